/* Log frames: what was sealed is read back, nothing else is; the walk of a payload gives the
 * records that were put in, and only payloads that writing those records again would give. */
#include "fuzz.h"
#include "log/log_priv.h"

#define RECORDS_MAX 4096u

/* An entry of an index leads to its own record and to no other. */
static void look_up(const struct frame_header *header, struct bytes payload,
                    const struct log_record *record, uint32_t offset)
{
    struct index_entry entry = {.key_hash = record->key_hash,
                                .commit = record->commit,
                                .index = record->index,
                                .count = record->count,
                                .offset = offset,
                                .len = (uint32_t)record->body.len,
                                .kind = record->kind};
    HOLDS(frame_holds(header, payload, record->stream, &entry));
    HOLDS(!frame_holds(header, payload, record->stream + 1, &entry));
    entry.key_hash++;
    HOLDS(!frame_holds(header, payload, record->stream, &entry));
    entry.key_hash--;
    entry.offset = (uint32_t)payload.len;
    entry.len = 1;
    HOLDS(!frame_holds(header, payload, record->stream, &entry));
    entry.offset = offset;
    entry.len = (uint32_t)record->body.len;
    entry.commit = header->first_commit + header->commit_count;
    HOLDS(header->kind == FRAME_KEPT || !frame_holds(header, payload, record->stream, &entry));
    entry.commit = header->first_commit - 1;
    HOLDS(!frame_holds(header, payload, record->stream, &entry));
}

/* Writes what a walk visits, as the format says. */
struct copying {
    const struct frame_header *header;
    struct buf out;
    uint64_t commit;
    size_t records;
    struct bytes payload;
};

static enum err copy_record(void *arg, const struct log_record *record, uint32_t offset)
{
    struct copying *copying = arg;
    HOLDS(record->index < record->count && record->commit == copying->commit);
    HOLDS(record->body.ptr == copying->payload.ptr + offset);
    HOLDS(offset + record->body.len <= copying->payload.len);
    if (record->index == 0) {
        buf_add_varint(&copying->out, record->count);
    }
    buf_add_byte(&copying->out, record->kind);
    buf_add_u64(&copying->out, record->key_hash);
    buf_add_varint(&copying->out, record->stream);
    buf_add_varint(&copying->out, record->body.len);
    buf_add(&copying->out, record->body);
    if (copying->header->kind == FRAME_DATA) {
        look_up(copying->header, copying->payload, record, offset);
    }
    copying->commit += record->index + 1 == record->count ? 1 : 0;
    copying->records++;
    return copying->records < RECORDS_MAX ? OK : ERR_RANGE;
}

static void walk(const struct frame_header *header, struct bytes payload)
{
    struct copying copying = {.header = header, .commit = header->first_commit, .payload = payload};
    buf_init(&copying.out, 1u << 20);
    enum err err = frame_walk(header, payload, copy_record, &copying);
    HOLDS(err == OK || err == ERR_DAMAGED || err == ERR_RANGE);
    HOLDS(!copying.out.failed);
    if (err == OK) {
        HOLDS(copying.commit == header->first_commit + header->commit_count);
        HOLDS(bytes_equal(buf_bytes(&copying.out), payload));
    }
    HOLDS(frame_walk(header, payload, NULL, NULL) == err || err == ERR_RANGE);
    buf_fini(&copying.out);
}

/* A payload of whole commits. */
static uint32_t add_commits(struct fuzz_input *input, struct buf *out)
{
    uint32_t commits = 1 + (uint32_t)fuzz_below(input, 4);
    for (uint32_t i = 0; i < commits; i++) {
        uint64_t records = 1 + fuzz_below(input, 4);
        buf_add_varint(out, records);
        for (; records > 0; records--) {
            struct bytes body = fuzz_bytes(input, 40);
            buf_add_byte(out, fuzz_byte(input));
            buf_add_u64(out, fuzz_u64(input));
            buf_add_varint(out, fuzz_u64(input));
            buf_add_varint(out, body.len);
            buf_add(out, body);
        }
    }
    return commits;
}

static bool same_header(const struct frame_header *a, const struct frame_header *b)
{
    return a->segment == b->segment && a->first_commit == b->first_commit &&
           a->time_ms == b->time_ms && a->log_id == b->log_id &&
           a->commit_count == b->commit_count && a->payload_len == b->payload_len &&
           a->previous_crc == b->previous_crc && a->kind == b->kind;
}

/* One byte changed anywhere is seen; and so is a frame of another log or segment. */
static void damage(struct fuzz_input *input, uint8_t *frame, const struct frame_header *header)
{
    struct frame_header read;
    size_t len = HEADER + header->payload_len;
    size_t at = fuzz_below(input, len);
    HOLDS(!frame_header_read(bytes_of(frame, len), header->log_id, header->segment + 1, &read));
    HOLDS(!frame_header_read(bytes_of(frame, len), header->log_id ^ 1, header->segment, &read));
    HOLDS(!frame_header_read(bytes_of(frame, HEADER - 1), header->log_id, header->segment, &read));
    frame[at] ^= (uint8_t)(1 + fuzz_below(input, 255));
    bool read_it = frame_header_read(bytes_of(frame, len), header->log_id, header->segment, &read);
    HOLDS(!read_it || !frame_payload_ok(&read, bytes_of(frame + HEADER, header->payload_len)));
}

static void sealed_frame(struct fuzz_input *input, struct arena *arena)
{
    struct buf payload;
    struct frame_header read;
    uint32_t crc;
    buf_init(&payload, 65536);
    struct frame_header header = {.segment = 1 + fuzz_u64(input) / 2,
                                  .first_commit = 1 + fuzz_u64(input) / 2,
                                  .time_ms = fuzz_u64(input),
                                  .log_id = fuzz_u64(input),
                                  .previous_crc = (uint32_t)fuzz_u64(input),
                                  .kind = (uint16_t)(FRAME_DATA + fuzz_below(input, 4))};
    header.commit_count = add_commits(input, &payload);
    header.payload_len = (uint32_t)payload.len;
    uint8_t *frame = arena_alloc(arena, HEADER + payload.len);
    HOLDS(frame != NULL && !payload.failed);
    memcpy(frame + HEADER, payload.ptr, payload.len);
    frame_seal(frame, &header, &crc);
    HOLDS(frame_header_read(bytes_of(frame, HEADER), header.log_id, header.segment, &read));
    HOLDS(same_header(&read, &header) && read.header_crc == crc);
    HOLDS(frame_payload_ok(&read, bytes_of(frame + HEADER, payload.len)));
    HOLDS(!frame_payload_ok(&read, bytes_of(frame + HEADER, payload.len - 1)));
    walk(&read, bytes_of(frame + HEADER, payload.len));
    uint64_t sectors = sectors_of(payload.len);
    HOLDS(sectors % SECTOR == 0 && sectors >= payload.len && sectors - payload.len < SECTOR);
    damage(input, frame, &header);
    buf_fini(&payload);
}

/* ---- kept frames, of a cleaned file ---- */

struct keeping {
    const struct frame_header *header;
    struct bytes payload;
    struct buf out;
    struct log_record before;
    size_t records;
};

/* Each record says its own place and time; written again it is the same bytes. */
static enum err keep_again(void *arg, const struct log_record *record, uint32_t offset)
{
    struct keeping *keeping = arg;
    HOLDS(record->stream != 0 && record->index < record->count && record->count <= LOG_INDEX_END);
    HOLDS(keeping->records == 0 || record->commit > keeping->before.commit ||
          (record->commit == keeping->before.commit && record->index > keeping->before.index));
    HOLDS(record->body.ptr == keeping->payload.ptr + offset);
    HOLDS(offset + record->body.len <= keeping->payload.len);
    HOLDS(frame_record_time(keeping->header, keeping->payload, offset) == record->time_ms);
    frame_keep(keeping->header, record, &keeping->out);
    look_up(keeping->header, keeping->payload, record, offset);
    keeping->before = *record;
    keeping->records++;
    return keeping->records < RECORDS_MAX ? OK : ERR_RANGE;
}

static enum err walk_kept(const struct frame_header *header, struct bytes payload)
{
    struct keeping keeping = {.header = header, .payload = payload};
    buf_init(&keeping.out, 1u << 20);
    enum err err = frame_walk(header, payload, keep_again, &keeping);
    HOLDS(err == OK || err == ERR_DAMAGED || err == ERR_RANGE);
    HOLDS(!keeping.out.failed);
    if (err == OK) {
        HOLDS(keeping.records == header->commit_count);
        HOLDS(bytes_equal(buf_bytes(&keeping.out), payload));
    }
    HOLDS(frame_walk(header, payload, NULL, NULL) == err || err == ERR_RANGE);
    buf_fini(&keeping.out);
    return err;
}

static uint32_t keep_records(struct fuzz_input *input, const struct frame_header *header,
                             struct buf *out)
{
    uint32_t count = 1 + (uint32_t)fuzz_below(input, 8);
    struct log_record record = {.commit = header->first_commit};
    for (uint32_t i = 0; i < count; i++) {
        bool next = fuzz_bool(input);
        record.commit += next ? 1 + fuzz_u64(input) % 1000 : 0;
        record.index = (next ? 0 : record.index) + 1 + (uint32_t)fuzz_below(input, 3);
        record.count = record.index + 1 + (uint32_t)fuzz_below(input, 3);
        record.kind = fuzz_byte(input);
        record.key_hash = fuzz_u64(input);
        record.stream = 1 + fuzz_u64(input) / 2;
        record.time_ms = fuzz_u64(input);
        record.body = fuzz_bytes(input, 40);
        frame_keep(header, &record, out);
    }
    return count;
}

static void kept_frame(struct fuzz_input *input, struct arena *arena)
{
    struct buf payload;
    struct frame_header read;
    uint32_t crc;
    buf_init(&payload, 65536);
    struct frame_header header = {.segment = 1 + fuzz_u64(input) / 4,
                                  .generation = 1 + (uint32_t)fuzz_below(input, 1000),
                                  .first_commit = 1 + fuzz_u64(input) / 4,
                                  .time_ms = fuzz_u64(input),
                                  .log_id = fuzz_u64(input),
                                  .kind = FRAME_KEPT};
    header.last_segment = header.segment + fuzz_below(input, 20);
    header.commit_count = keep_records(input, &header, &payload);
    header.payload_len = (uint32_t)payload.len;
    uint8_t *frame = arena_alloc(arena, HEADER + payload.len);
    HOLDS(frame != NULL && !payload.failed);
    memcpy(frame + HEADER, payload.ptr, payload.len);
    frame_seal(frame, &header, &crc);
    struct bytes whole = bytes_of(frame, HEADER + payload.len);
    struct segment_id id = {header.segment, header.last_segment, header.generation};
    HOLDS(frame_header_in(whole, header.log_id, id, &read) && same_header(&read, &header));
    HOLDS(frame_payload_ok(&read, bytes_of(frame + HEADER, payload.len)));
    HOLDS(walk_kept(&read, bytes_of(frame + HEADER, payload.len)) == OK);
    /* It is of no other file: neither a segment's, nor one that stands for others. */
    HOLDS(!frame_header_read(whole, header.log_id, header.segment, &read));
    id.last_number++;
    HOLDS(!frame_header_in(whole, header.log_id, id, &read));
    frame[HEADER + fuzz_below(input, payload.len)] ^= (uint8_t)(1 + fuzz_below(input, 255));
    HOLDS(!frame_payload_ok(&header, bytes_of(frame + HEADER, payload.len)));
    IGNORE(walk_kept(&header, bytes_of(frame + HEADER, payload.len)));
    buf_fini(&payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = fuzz_input_of(data, size);
    struct arena arena;
    arena_init(&arena, 0);
    switch (fuzz_below(&input, 4)) {
    case 1: /* of the odd ones, as the corpus has it since before kept frames */
        sealed_frame(&input, &arena);
        break;
    case 3:
        kept_frame(&input, &arena);
        break;
    default: {
        struct frame_header header = {.first_commit = 1 + fuzz_u64(&input) / 2,
                                      .commit_count = (uint32_t)fuzz_u64(&input)};
        struct frame_header read;
        struct bytes raw = fuzz_copy(&arena, fuzz_rest(&input));
        walk(&header, raw);
        HOLDS(!frame_header_read(raw, 1, 1, &read) || read.kind <= FRAME_INDEX);
        header.kind = FRAME_KEPT;
        IGNORE(walk_kept(&header, raw));
        break;
    }
    }
    arena_fini(&arena);
    return 0;
}
