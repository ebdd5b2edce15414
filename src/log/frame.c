/* Frames as bytes: sealing, recognising and walking them (log I3). Pure. */
#include "base/cursor.h"
#include "base/hash.h"
#include "log/log_priv.h"

static const uint8_t frame_magic[8] = {'H', 'W', 'f', 'r', 'a', 'm', 'e', '1'};

static void put_le(uint8_t *out, uint64_t value, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
}

uint32_t frame_seed(uint64_t log_id, uint64_t segment)
{
    uint8_t both[16];
    put_le(both, log_id, 8);
    put_le(both + 8, segment, 8);
    return hash_crc32c(0, bytes_of(both, sizeof(both)));
}

uint64_t sectors_of(uint64_t bytes)
{
    return (bytes + SECTOR - 1) / SECTOR * SECTOR;
}

void frame_seal(uint8_t *memory, const struct frame_header *header, uint32_t *header_crc)
{
    uint32_t seed = frame_seed(header->log_id, header->segment);
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
    uint32_t crc = hash_crc32c(frame_seed(log_id, segment), bytes_of(sector.ptr + 12, HEADER - 12));
    if (err != OK || crc != header.header_crc || header.segment != segment ||
        header.log_id != log_id || zero != 0 || header.kind < FRAME_DATA ||
        header.kind > FRAME_INDEX) {
        return false;
    }
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
           hash_crc32c(frame_seed(header->log_id, header->segment), payload) == header->payload_crc;
}

enum err frame_walk(const struct frame_header *header, struct bytes payload, frame_visit *fn,
                    void *arg)
{
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
