/* Recovery of damaged segments. A log is made frame by frame, checksums right, then damaged. What
 * opens holds exactly the records before the first place that is not whole, and nothing is cut off
 * where a whole header still stands behind it; what cannot be opened does not verify either; after
 * that it takes commits, reads its streams, and comes back. */
#include "log/files.h"

#define SEGMENTS_MAX 3u
#define FRAMES_MAX 16u
#define RECORDS_MAX 160u
#define STREAMS 3u

struct made_frame {
    size_t segment; /* from 0 */
    size_t at;
    size_t len; /* header and payload */
    size_t records_before;
    bool wrong;    /* its header is not what may stand there */
    bool nonsense; /* its payload is no records */
};

struct made_log {
    struct fuzz_input *input;
    struct arena *arena;
    struct buf files[SEGMENTS_MAX];
    struct buf sound[SEGMENTS_MAX]; /* before the damage */
    bool missing[SEGMENTS_MAX];
    size_t segment_count;
    struct made_frame frames[FRAMES_MAX];
    size_t frame_count;
    struct log_record records[RECORDS_MAX];
    size_t record_count;
    uint64_t next_commit;
    uint64_t time_ms;
    uint64_t frame_time_ms; /* of the frame before */
    uint32_t crc;
    bool odd_index; /* an index whose checksum is right and nothing else */
    bool damaged;
};

/* ---- making ---- */

static void add_frame(struct made_log *made, size_t segment, enum frame_kind kind,
                      struct bytes payload, uint32_t commits)
{
    struct buf *file = &made->files[segment];
    size_t at = file->len;
    size_t room = (size_t)sectors_of(HEADER + payload.len);
    uint8_t *out = buf_room(file, room);
    uint32_t crc;
    struct frame_header header = {.segment = segment + 1,
                                  .first_commit = made->next_commit,
                                  .time_ms = made->time_ms,
                                  .log_id = LOG_ID,
                                  .commit_count = commits,
                                  .payload_len = (uint32_t)payload.len,
                                  .previous_crc = kind == FRAME_INDEX ? 0 : made->crc,
                                  .kind = (uint16_t)kind};
    HOLDS(out != NULL && made->frame_count < FRAMES_MAX);
    struct made_frame *frame = &made->frames[made->frame_count++];
    *frame = (struct made_frame){.segment = segment,
                                 .at = at,
                                 .len = HEADER + payload.len,
                                 .records_before = made->record_count};
    if (fuzz_below(made->input, 64) == 1 && made->frame_count > 1 && kind != FRAME_INDEX) {
        bool early = fuzz_bool(made->input);
        header.previous_crc += (uint32_t)fuzz_below(made->input, 2);
        header.first_commit += fuzz_below(made->input, 3);
        header.time_ms = early ? made->frame_time_ms - 1 : header.time_ms;
        frame->wrong =
            early || header.previous_crc != made->crc || header.first_commit != made->next_commit;
        made->damaged = made->damaged || frame->wrong;
    }
    memset(out, 0, room);
    memcpy(out + HEADER, payload.len > 0 ? payload.ptr : out, payload.len);
    frame_seal(out, &header, &crc);
    file->len += room;
    made->crc = kind == FRAME_INDEX ? made->crc : crc;
    made->next_commit += commits;
    made->frame_time_ms = made->time_ms;
}

static void add_data(struct made_log *made, size_t segment)
{
    struct buf payload;
    uint32_t commits = (uint32_t)(1 + fuzz_below(made->input, 3));
    size_t first = made->record_count;
    buf_init(&payload, 65536);
    made->time_ms += fuzz_below(made->input, 3);
    for (uint32_t i = 0; i < commits; i++) {
        uint32_t count = 1 + (uint32_t)fuzz_below(made->input, 3);
        for (uint32_t j = 0; j < count; j++) {
            const struct log_place place = {made->next_commit + i, j};
            struct log_record record =
                any_record(made->input, place, count, made->time_ms, STREAMS);
            HOLDS(made->record_count < RECORDS_MAX);
            made->records[made->record_count++] = record;
            put_record(&payload, &record);
        }
    }
    add_frame(made, segment, FRAME_DATA, buf_bytes(&payload), commits);
    made->frames[made->frame_count - 1].records_before = first;
    buf_fini(&payload);
}

/* Whole, but its records are none. */
static void add_nonsense(struct made_log *made, size_t segment)
{
    add_frame(made, segment, FRAME_DATA, BYTES("\1\1nonsense"), 1);
    made->frames[made->frame_count - 1].nonsense = true;
    made->damaged = true;
}

static void add_end(struct made_log *made, size_t segment)
{
    uint8_t next[8] = {(uint8_t)(segment + 2)};
    add_frame(made, segment, FRAME_END, bytes_of(next, sizeof(next)), 0);
    if (fuzz_below(made->input, 4) == 1) {
        add_frame(made, segment, FRAME_INDEX, fuzz_bytes(made->input, 80), 0);
        made->odd_index = true;
        made->frame_count--; /* not of the chain */
    }
}

static void make_log(struct made_log *made)
{
    made->segment_count = 1 + fuzz_below(made->input, SEGMENTS_MAX);
    made->next_commit = 1;
    made->time_ms = 1000;
    for (size_t i = 0; i < made->segment_count; i++) {
        buf_init(&made->files[i], 1u << 20);
        buf_init(&made->sound[i], 1u << 20);
        for (size_t frames = fuzz_below(made->input, 4) + (i == 0 ? 1 : 0); frames > 0; frames--) {
            add_data(made, i);
        }
        if (fuzz_below(made->input, 40) == 1) {
            add_nonsense(made, i);
        }
        if (i + 1 < made->segment_count) {
            add_end(made, i);
        } else if (fuzz_below(made->input, 4) == 1) {
            add_frame(made, i, FRAME_CLEAN, BYTES_NONE, 0);
        }
        size_t sectors = fuzz_below(made->input, 4);
        sectors += i + 1 == made->segment_count ? END_ROOM / SECTOR : 0;
        for (size_t zeros = sectors * SECTOR; zeros > 0; zeros--) {
            buf_add_byte(&made->files[i], 0);
        }
        buf_add(&made->sound[i], buf_bytes(&made->files[i]));
    }
}

/* ---- damaging ---- */

static void damage_once(struct made_log *made)
{
    size_t segment = fuzz_below(made->input, made->segment_count);
    struct buf *file = &made->files[segment];
    if (file->len == 0) {
        return;
    }
    size_t at = fuzz_below(made->input, file->len);
    size_t sector = at / SECTOR * SECTOR;
    size_t other = fuzz_below(made->input, file->len) / SECTOR * SECTOR;
    made->damaged = true;
    switch (fuzz_below(made->input, 6)) {
    case 0:
        file->ptr[at] ^= (uint8_t)(1 + fuzz_below(made->input, 255));
        break;
    case 1:
        memset(file->ptr + sector, 0, SECTOR);
        break;
    case 2:
        file->len = fuzz_below(made->input, 2) == 0 ? sector : at;
        break;
    case 3:
        memcpy(file->ptr + sector, file->ptr + other, sector == other ? 0 : SECTOR);
        break;
    case 4:
        buf_add(file, fuzz_bytes(made->input, 200));
        break;
    default:
        made->missing[segment] = fuzz_below(made->input, 4) == 1;
    }
}

static bool stands(const struct made_log *made, const struct made_frame *frame, size_t len)
{
    const struct buf *file = &made->files[frame->segment];
    const struct buf *sound = &made->sound[frame->segment];
    return !made->missing[frame->segment] && frame->at + len <= file->len &&
           memcmp(file->ptr + frame->at, sound->ptr + frame->at, len) == 0;
}

/* The first frame that is not whole or not right; frame_count: all are. */
static size_t first_broken(const struct made_log *made)
{
    size_t i = 0;
    while (i < made->frame_count && !made->frames[i].wrong && !made->frames[i].nonsense &&
           stands(made, &made->frames[i], made->frames[i].len)) {
        i++;
    }
    return i;
}

/* Must recovery refuse to cut off what comes from there? A frame that follows and whose payload is
 * not as its checksum says is torn, whatever the payload was. */
static bool is_undeniable(const struct made_log *made, size_t broken)
{
    const struct made_frame *first = &made->frames[broken];
    bool any = (first->wrong && stands(made, first, HEADER)) ||
               (first->nonsense && stands(made, first, first->len));
    for (size_t i = broken + 1; i < made->frame_count; i++) {
        any = any || stands(made, &made->frames[i], HEADER);
    }
    return any;
}

/* ---- files ---- */

static void path_of(char *out, size_t room, size_t segment)
{
    snprintf(out, room, "%s/%020zu.log", dir, segment + 1);
}

static void write_log(const struct made_log *made)
{
    char path[100];
    fresh_dir();
    for (size_t i = 0; i < made->segment_count; i++) {
        path_of(path, sizeof(path), i);
        if (!made->missing[i]) {
            write_file(path, buf_bytes(&made->files[i]));
        }
    }
}

/* ---- what is there after opening ---- */

struct expecting {
    const struct made_log *made;
    size_t next;
    size_t end;
    bool wrong;
};

static enum err expect_record(void *arg, const struct log_record *record)
{
    struct expecting *expecting = arg;
    bool right = expecting->next < expecting->end &&
                 same_record(record, &expecting->made->records[expecting->next]);
    expecting->wrong = expecting->wrong || !right;
    expecting->next++;
    return OK;
}

static void expect_replay(struct log *log, const struct made_log *made, size_t end)
{
    struct expecting expecting = {.made = made, .end = end};
    HOLDS(log_replay(log, 0, expect_record, &expecting) == OK);
    HOLDS(!expecting.wrong && expecting.next == end);
}

/* Reads a stream in small pages; with an odd index it may be found damaged. */
static void expect_stream(struct log *log, const struct made_log *made, size_t end, uint64_t stream)
{
    struct log_read read = {.stream = stream,
                            .until = UINT64_MAX,
                            .hash_high = UINT64_MAX,
                            .records_max = 1 + fuzz_below(made->input, 5),
                            .bytes_max = 1 + fuzz_below(made->input, 60),
                            .mode = LOG_READ_BLOCKING,
                            .arena = made->arena};
    size_t at = 0;
    for (unsigned pages = 0; !read.at_end && pages < 2 * RECORDS_MAX; pages++) {
        enum err err = log_read(log, &read);
        if (made->odd_index) {
            if (err != OK) {
                return;
            }
        } else {
            HOLDS(err == OK);
            for (size_t i = 0; i < read.count; i++, at++) {
                while (at < end && made->records[at].stream != stream) {
                    at++;
                }
                HOLDS(at < end && same_record(&read.records[i], &made->records[at]));
            }
        }
        read.after = read.reached;
    }
    while (at < end && made->records[at].stream != stream) {
        at++;
    }
    HOLDS(read.at_end && (made->odd_index || at == end));
}

/* One more commit, which must be there after the next start. */
static void append(struct log *log, struct made_log *made, size_t *end)
{
    log_group_begin(log, made->time_ms + 5);
    uint64_t commit = log_commit_begin(log);
    log_record_add(log, 3, 1, 77, BYTES("appended"));
    uint64_t time_ms = log_group_time_ms(log);
    HOLDS(log_append(log) == OK);
    log_publish(log, commit);
    HOLDS(log_visible(log) == commit && log_last(log) == commit);
    HOLDS(*end < RECORDS_MAX);
    made->records[(*end)++] = (struct log_record){.commit = commit,
                                                  .count = 1,
                                                  .time_ms = time_ms,
                                                  .stream = 1,
                                                  .key_hash = 77,
                                                  .body = BYTES("appended"),
                                                  .kind = 3};
}

static void use_log(struct log *log, struct made_log *made, size_t end)
{
    struct log_report report;
    enum err err;
    expect_replay(log, made, end);
    for (uint64_t stream = 1; stream < STREAMS; stream++) {
        expect_stream(log, made, end, stream);
    }
    append(log, made, &end);
    HOLDS(log_close(log, !made->damaged && fuzz_bool(made->input)) == OK);
    err = open_log_at(0, &log, &report);
    /* A byte that was changed in a segment made ahead is seen only behind what went into it. */
    HOLDS(err == OK && (!report.torn_end || made->damaged));
    expect_replay(log, made, end);
    HOLDS(log_close(log, false) == OK);
}

static void check_log(struct made_log *made)
{
    struct log_report report;
    struct log_report scanned;
    size_t broken = first_broken(made);
    size_t end =
        broken == made->frame_count ? made->record_count : made->frames[broken].records_before;
    uint64_t flushed =
        fuzz_below(made->input, 4) == 1 ? fuzz_below(made->input, made->next_commit + 1) : 0;
    struct expecting expecting = {.made = made, .end = end};
    struct log *log;
    enum err err;
    write_log(made);
    if (made->missing[0]) {
        return; /* the caller's trim may have taken it: nothing is known of what it held */
    }
    enum err verified = log_scan(dir, expect_record, &expecting, &scanned);
    HOLDS(verified == OK || verified == ERR_DAMAGED);
    HOLDS(verified != OK || (!expecting.wrong && expecting.next == end));
    err = open_log_at(flushed, &log, &report);
    HOLDS(made->damaged || flushed >= made->next_commit || err == OK);
    if (flushed > 0) {
        if (err == OK) {
            HOLDS(report.last_commit >= flushed);
            /* Segments below were not read: their indexes are loaded, or made again. */
            for (uint64_t stream = 1; stream < STREAMS && !made->damaged; stream++) {
                expect_stream(log, made, end, stream);
            }
            HOLDS(log_close(log, false) == OK);
        }
        return;
    }
    /* To verify is to look at more: at bytes that no frame covers, and at indexes. */
    HOLDS(err == OK || verified == ERR_DAMAGED);
    HOLDS(verified == OK || made->damaged || made->odd_index);
    if (err == OK) {
        HOLDS(broken == made->frame_count || !is_undeniable(made, broken));
        use_log(log, made, end);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = fuzz_input_of(data, size);
    struct arena arena;
    arena_init(&arena, 0);
    struct made_log made = {.input = &input, .arena = &arena};
    make_log(&made);
    for (size_t damages = fuzz_below(&input, 4); damages > 0; damages--) {
        damage_once(&made);
    }
    check_log(&made);
    for (size_t i = 0; i < made.segment_count; i++) {
        buf_fini(&made.files[i]);
        buf_fini(&made.sound[i]);
    }
    arena_fini(&arena);
    return 0;
}
