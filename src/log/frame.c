/* Frames as bytes: sealing, recognising and walking them (log I3). Pure. */
#include "base/cursor.h"
#include "base/hash.h"
#include "log/log_priv.h"

#define HEAD_MAX (10u + 5 + 5 + 1 + 8 + 10 + 10) /* what add_head adds at most */

static const uint8_t frame_magic[8] = {'H', 'W', 'f', 'r', 'a', 'm', 'e', '1'};

static struct segment_id id_of(const struct frame_header *header);

static void put_le(uint8_t *out, uint64_t value, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
}

/* One that stands for several has its whole name in the seed. */
static uint32_t frame_seed(uint64_t log_id, struct segment_id id)
{
    uint8_t name[28];
    put_le(name, log_id, 8);
    put_le(name + 8, id.number, 8);
    put_le(name + 16, id.last_number, 8);
    put_le(name + 24, id.generation, 4);
    return hash_crc32c(0, bytes_of(name, id.generation == 0 ? 16 : sizeof(name)));
}

static struct segment_id id_of(const struct frame_header *header)
{
    return (struct segment_id){header->segment, header->last_segment, header->generation};
}

uint64_t sectors_of(uint64_t bytes)
{
    return (bytes + SECTOR - 1) / SECTOR * SECTOR;
}

void frame_seal(uint8_t *memory, const struct frame_header *header, uint32_t *header_crc)
{
    uint32_t seed = frame_seed(header->log_id, id_of(header));
    memcpy(memory, frame_magic, sizeof(frame_magic));
    put_le(memory + 12, hash_crc32c(seed, bytes_of(memory + HEADER, header->payload_len)), 4);
    put_le(memory + 16, header->segment, 8);
    put_le(memory + 24, header->first_commit, 8);
    put_le(memory + 32, header->commit_count, 4);
    put_le(memory + 36, header->payload_len, 4);
    put_le(memory + 40, header->time_ms, 8);
    put_le(memory + 48, header->previous_crc, 4);
    put_le(memory + 52, header->kind, 2);
    put_le(memory + 54, 0, 2);
    put_le(memory + 56, header->log_id, 8);
    *header_crc = hash_crc32c(seed, bytes_of(memory + 12, HEADER - 12));
    put_le(memory + 8, *header_crc, 4);
}

bool frame_header_read(struct bytes sector, uint64_t log_id, uint64_t segment,
                       struct frame_header *out)
{
    return frame_header_in(sector, log_id, (struct segment_id){.number = segment}, out);
}

static bool has_kind(const struct frame_header *header, struct segment_id id)
{
    return header->kind == FRAME_INDEX ||
           (id.generation == 0 ? header->kind >= FRAME_DATA && header->kind <= FRAME_CLEAN
                               : header->kind == FRAME_SUMMARY || header->kind == FRAME_KEPT);
}

bool frame_header_in(struct bytes sector, uint64_t log_id, struct segment_id id,
                     struct frame_header *out)
{
    struct cursor cursor = cursor_of(sector);
    struct bytes magic;
    uint16_t zero = 1;
    struct frame_header header = {0};
    if (sector.len < HEADER || memcmp(sector.ptr, frame_magic, sizeof(frame_magic)) != 0) {
        return false;
    }
    enum err err = cursor_bytes(&cursor, sizeof(frame_magic), &magic);
    err = err != OK ? err : cursor_u32(&cursor, &header.header_crc);
    err = err != OK ? err : cursor_u32(&cursor, &header.payload_crc);
    err = err != OK ? err : cursor_u64(&cursor, &header.segment);
    err = err != OK ? err : cursor_u64(&cursor, &header.first_commit);
    err = err != OK ? err : cursor_u32(&cursor, &header.commit_count);
    err = err != OK ? err : cursor_u32(&cursor, &header.payload_len);
    err = err != OK ? err : cursor_u64(&cursor, &header.time_ms);
    err = err != OK ? err : cursor_u32(&cursor, &header.previous_crc);
    err = err != OK ? err : cursor_u16(&cursor, &header.kind);
    err = err != OK ? err : cursor_u16(&cursor, &zero);
    err = err != OK ? err : cursor_u64(&cursor, &header.log_id);
    uint32_t crc = hash_crc32c(frame_seed(log_id, id), bytes_of(sector.ptr + 12, HEADER - 12));
    if (err != OK || crc != header.header_crc || header.segment != id.number ||
        header.log_id != log_id || zero != 0 || !has_kind(&header, id)) {
        return false;
    }
    header.last_segment = id.last_number;
    header.generation = id.generation;
    *out = header;
    return true;
}

bool frame_is_of_other_log(struct bytes sector, uint64_t segment)
{
    struct frame_header header;
    struct cursor cursor = cursor_of(sector);
    struct bytes before;
    uint64_t claimed = 0;
    return cursor_bytes(&cursor, HEADER - 8, &before) == OK &&
           cursor_u64(&cursor, &claimed) == OK &&
           frame_header_read(sector, claimed, segment, &header);
}

bool frame_payload_ok(const struct frame_header *header, struct bytes payload)
{
    return payload.len == header->payload_len &&
           hash_crc32c(frame_seed(header->log_id, id_of(header)), payload) == header->payload_crc;
}

/* What stands before a record's body; of a kept one before its time. */
static void add_head(const struct frame_header *header, const struct log_record *record,
                     struct buf *out)
{
    if (header->kind == FRAME_KEPT) {
        buf_add_varint(out, record->commit - header->first_commit);
        buf_add_varint(out, record->index);
        buf_add_varint(out, record->count);
    }
    buf_add_byte(out, record->kind);
    buf_add_u64(out, record->key_hash);
    buf_add_varint(out, record->stream);
    buf_add_varint(out, record->body.len);
}

void frame_keep(const struct frame_header *header, const struct log_record *record, struct buf *out)
{
    add_head(header, record, out);
    buf_add_u64(out, record->time_ms);
    buf_add(out, record->body);
}

/* A kept frame says of each record which commit it is of, a data frame of all together (log I11).
 * It is asked once for each record that is read, so it allocates nothing. */
bool frame_holds(const struct frame_header *header, struct bytes payload, uint64_t stream,
                 const struct index_entry *entry)
{
    uint64_t before = header->kind == FRAME_KEPT ? 8 : 0;
    bool placed =
        (header->kind == FRAME_KEPT || header->kind == FRAME_DATA) &&
        (uint64_t)entry->offset + entry->len <= payload.len && entry->offset >= before &&
        entry->commit >= header->first_commit &&
        (header->kind == FRAME_KEPT || entry->commit - header->first_commit < header->commit_count);
    if (!placed) {
        return false;
    }
    const struct log_record record = {.commit = entry->commit,
                                      .index = entry->index,
                                      .count = entry->count,
                                      .stream = stream,
                                      .key_hash = entry->key_hash,
                                      .body = bytes_of(payload.ptr + entry->offset, entry->len),
                                      .kind = entry->kind};
    uint8_t room[HEAD_MAX];
    struct buf head = buf_over(room, sizeof(room));
    add_head(header, &record, &head);
    uint64_t end = entry->offset - before;
    return !head.failed && head.len <= end &&
           memcmp(payload.ptr + end - head.len, head.ptr, head.len) == 0;
}

bool frame_follows(struct frame_chain *chain, const struct frame_header *header)
{
    bool kept = header->kind == FRAME_KEPT;
    bool first = !kept && !chain->any;
    bool follows = (first || header->previous_crc == chain->crc) &&
                   (kept || header->first_commit == chain->next_commit);
    if (header->kind == FRAME_SUMMARY || !follows) {
        return header->kind == FRAME_SUMMARY;
    }
    chain->any = true;
    chain->crc = header->header_crc;
    chain->next_commit = header->first_commit + header->commit_count;
    return true;
}

static enum err read_kept(struct cursor *cursor, const struct frame_header *header,
                          struct log_record *record)
{
    uint64_t commits;
    uint64_t index;
    uint64_t count;
    uint64_t len;
    TRY(cursor_varint(cursor, &commits));
    TRY(cursor_varint(cursor, &index));
    TRY(cursor_varint(cursor, &count));
    TRY(cursor_u8(cursor, &record->kind));
    TRY(cursor_u64(cursor, &record->key_hash));
    TRY(cursor_varint(cursor, &record->stream));
    TRY(cursor_varint(cursor, &len));
    TRY(cursor_u64(cursor, &record->time_ms));
    TRY(cursor_bytes(cursor, (size_t)len, &record->body));
    record->commit = header->first_commit + commits;
    record->index = (uint32_t)index;
    record->count = (uint32_t)count;
    return index < count && count <= LOG_INDEX_END && record->stream != 0 &&
                   record->commit >= header->first_commit
               ? OK
               : ERR_DAMAGED;
}

uint64_t frame_record_time(const struct frame_header *header, struct bytes payload, uint32_t offset)
{
    uint64_t time_ms = header->time_ms;
    struct cursor cursor = cursor_of(payload);
    struct bytes before;
    if (header->kind == FRAME_KEPT && offset >= 8 &&
        cursor_bytes(&cursor, offset - 8, &before) == OK) {
        IGNORE(cursor_u64(&cursor, &time_ms)); /* there is a body behind it */
    }
    return time_ms;
}

/* In order of (commit, index). */
static enum err walk_kept(const struct frame_header *header, struct bytes payload, frame_visit *fn,
                          void *arg)
{
    struct cursor cursor = cursor_of(payload);
    struct log_place before = {0};
    for (uint32_t i = 0; i < header->commit_count; i++) {
        struct log_record record = {0};
        TRY(read_kept(&cursor, header, &record));
        bool follows = record.commit > before.commit ||
                       (record.commit == before.commit && record.index > before.index);
        if (!follows) {
            return ERR_DAMAGED;
        }
        before = (struct log_place){record.commit, record.index};
        if (fn != NULL) {
            TRY(fn(arg, &record, (uint32_t)(record.body.ptr - payload.ptr)));
        }
    }
    return cursor_left(&cursor) == 0 ? OK : ERR_DAMAGED;
}

enum err frame_walk(const struct frame_header *header, struct bytes payload, frame_visit *fn,
                    void *arg)
{
    if (header->kind == FRAME_KEPT) {
        return walk_kept(header, payload, fn, arg);
    }
    struct cursor cursor = cursor_of(payload);
    for (uint32_t i = 0; i < header->commit_count; i++) {
        uint64_t count;
        TRY(cursor_varint(&cursor, &count));
        if (count == 0 || count > LOG_INDEX_END) {
            return ERR_DAMAGED;
        }
        for (uint64_t j = 0; j < count; j++) {
            struct log_record record = {.commit = header->first_commit + i,
                                        .index = (uint32_t)j,
                                        .count = (uint32_t)count,
                                        .time_ms = header->time_ms};
            uint64_t len;
            TRY(cursor_u8(&cursor, &record.kind));
            TRY(cursor_u64(&cursor, &record.key_hash));
            TRY(cursor_varint(&cursor, &record.stream));
            TRY(cursor_varint(&cursor, &len));
            TRY(cursor_bytes(&cursor, (size_t)len, &record.body));
            if (fn != NULL) {
                TRY(fn(arg, &record, (uint32_t)(record.body.ptr - payload.ptr)));
            }
        }
    }
    return cursor_left(&cursor) == 0 ? OK : ERR_DAMAGED;
}
