/* Cleaned files. Segments are made frame by frame, the cleaner's own writer makes files of them,
 * once or over and over, is stopped, or killed before the old files are gone; then files are
 * damaged, or summaries and frames changed whose checksums are right. What verifies and what opens
 * has exactly what is whole and alive; a stream that is read gives that, or says that it is
 * damaged; and the log that opened works on. */
#include "log/files.h"

#include "base/mem.h"

#define SEGMENTS_MAX 5u
#define FILES_MAX 12u
#define RECORDS_MAX 256u
#define STREAMS 4u

struct made_file {
    struct segment_id id;
    uint64_t first_commit;
    uint64_t last_commit;
    size_t used; /* bytes of its frames */
    bool holds[RECORDS_MAX];
    uint64_t dropped[STREAMS];
    struct buf sound; /* before the damage */
    struct buf bytes;
    bool missing;
};

struct made_log {
    struct fuzz_input *input;
    struct arena *arena;
    struct made_file files[FILES_MAX];
    size_t file_count;
    size_t open;             /* the file that is not sealed */
    size_t frame_starts[8];  /* in it */
    size_t frame_lens[8];    /* header and payload */
    size_t frame_records[8]; /* before each frame of it */
    size_t frame_count;
    struct log_record records[RECORDS_MAX];
    size_t record_count;
    uint64_t trims[STREAMS];
    uint64_t next_commit;
    uint64_t time_ms;
    uint32_t crc;
    bool damaged;
    bool forged;    /* checksums are right all the same */
    bool must_find; /* and verify tells all the same */
    unsigned paces; /* until the cleaner is stopped */
};

/* ---- segments ---- */

static void add_frame(struct made_log *made, struct made_file *file, enum frame_kind kind,
                      struct bytes payload, uint32_t commits)
{
    size_t at = file->sound.len;
    uint8_t *out = buf_room(&file->sound, (size_t)sectors_of(HEADER + payload.len));
    const struct frame_header header = {.segment = file->id.number,
                                        .first_commit = made->next_commit,
                                        .time_ms = made->time_ms,
                                        .log_id = LOG_ID,
                                        .commit_count = commits,
                                        .payload_len = (uint32_t)payload.len,
                                        .previous_crc = made->crc,
                                        .kind = (uint16_t)kind};
    HOLDS(out != NULL);
    file->sound.len += (size_t)sectors_of(HEADER + payload.len);
    memset(out, 0, file->sound.len - at);
    memcpy(out + HEADER, payload.ptr, payload.len);
    frame_seal(out, &header, &made->crc);
    made->next_commit += commits;
    made->frame_starts[made->frame_count] = at;
    made->frame_lens[made->frame_count] = HEADER + payload.len;
}

static void add_data(struct made_log *made, struct made_file *file)
{
    struct buf payload;
    uint32_t commits = (uint32_t)(1 + fuzz_below(made->input, 3));
    buf_init(&payload, 65536);
    made->time_ms += fuzz_below(made->input, 3);
    for (uint32_t i = 0; i < commits; i++) {
        uint32_t count = 1 + (uint32_t)fuzz_below(made->input, 3);
        for (uint32_t j = 0; j < count && made->record_count < RECORDS_MAX; j++) {
            const struct log_place place = {made->next_commit + i, j};
            struct log_record record =
                any_record(made->input, place, count, made->time_ms, STREAMS);
            file->holds[made->record_count] = true;
            made->records[made->record_count++] = record;
            put_record(&payload, &record);
        }
    }
    add_frame(made, file, FRAME_DATA, buf_bytes(&payload), commits);
    buf_fini(&payload);
}

static void path_of(const struct made_file *file, char path[200])
{
    struct log log;
    snprintf(log.dir, sizeof(log.dir), "%s", dir);
    segment_id_file(&log, file->id, path, 200);
}

static struct made_file *new_file(struct made_log *made, struct segment_id id)
{
    struct made_file *file = &made->files[made->file_count++];
    HOLDS(made->file_count <= FILES_MAX);
    file->id = id;
    buf_init(&file->sound, 1u << 20);
    buf_init(&file->bytes, 1u << 20);
    return file;
}

static void make_segments(struct made_log *made)
{
    char path[200];
    size_t segments = 2 + fuzz_below(made->input, SEGMENTS_MAX - 1);
    made->next_commit = 1;
    made->time_ms = 1000;
    fresh_dir();
    for (size_t i = 0; i < segments; i++) {
        struct made_file *file = new_file(made, (struct segment_id){i + 1, i + 1, 0});
        uint8_t next[8] = {(uint8_t)(i + 2)};
        bool open = i + 1 == segments;
        file->first_commit = made->next_commit;
        for (size_t frames = 1 + fuzz_below(made->input, 3); frames > 0; frames--) {
            made->frame_records[made->frame_count] = made->record_count;
            add_data(made, file);
            made->frame_count += open;
        }
        file->last_commit = made->next_commit - 1;
        if (!open) {
            add_frame(made, file, FRAME_END, bytes_of(next, sizeof(next)), 0);
        }
        file->used = file->sound.len;
        for (size_t zeros = (1 + fuzz_below(made->input, 8)) * SECTOR; zeros > 0; zeros--) {
            buf_add_byte(&file->sound, 0);
        }
        made->open = i;
        path_of(file, path);
        write_file(path, buf_bytes(&file->sound));
    }
}

/* ---- cleaning ---- */

/* Does another one that is there stand for all that it stands for? */
static bool is_leftover(const struct made_log *made, const struct made_file *file)
{
    bool found = false;
    for (size_t i = 0; i < made->file_count; i++) {
        const struct made_file *other = &made->files[i];
        found = found || (!other->missing && other->id.generation > file->id.generation &&
                          other->id.number <= file->id.number &&
                          other->id.last_number >= file->id.last_number);
    }
    return found;
}

/* The one that begins with a segment's number, of those that count. */
static struct made_file *find_file(struct made_log *made, uint64_t number)
{
    struct made_file *found = NULL;
    for (size_t i = 0; i < made->file_count; i++) {
        struct made_file *file = &made->files[i];
        if (file->id.number == number && !file->missing && !is_leftover(made, file)) {
            HOLDS(found == NULL);
            found = file;
        }
    }
    return found;
}

static uint64_t trim_of(void *arg, uint64_t stream)
{
    const struct made_log *made = arg;
    HOLDS(stream < STREAMS);
    return made->trims[stream];
}

static enum err pace(void *arg, uint64_t bytes)
{
    struct made_log *made = arg;
    HOLDS(bytes > 0);
    return made->paces > 0 && --made->paces == 0 ? ERR_CLOSED : OK;
}

static void raise_trims(struct made_log *made)
{
    for (size_t i = 1; i < STREAMS; i++) {
        size_t how = fuzz_below(made->input, 4);
        uint64_t to = how == 3  ? UINT64_MAX
                      : how > 0 ? fuzz_below(made->input, made->next_commit + 1)
                                : 0;
        made->trims[i] = to > made->trims[i] ? to : made->trims[i];
    }
}

/* What a cleaned file of these must hold, and say of what it does not. */
static void expect_cleaned(struct made_log *made, struct made_file *file,
                           struct made_file *const *sources, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < made->record_count; j++) {
            const struct log_record *record = &made->records[j];
            uint64_t trim = made->trims[record->stream];
            bool alive = record->stream != 0 && record->commit > trim;
            uint64_t *dropped = &file->dropped[record->stream];
            file->holds[j] = file->holds[j] || (sources[i]->holds[j] && alive);
            if (sources[i]->holds[j] && !alive && trim != UINT64_MAX && record->stream != 0 &&
                record->commit > *dropped) {
                *dropped = record->commit;
            }
        }
        for (size_t j = 1; j < STREAMS; j++) {
            bool said = made->trims[j] != UINT64_MAX && sources[i]->dropped[j] > file->dropped[j];
            file->dropped[j] = said ? sources[i]->dropped[j] : file->dropped[j];
        }
    }
}

/* Exact where no trim point is in the midst of a stream. */
static void check_live(struct made_log *made, const struct segment_index *index,
                       const struct made_file *file, struct trims *trims)
{
    uint64_t expected = 0;
    struct segment_live *live = live_of(index);
    bool exact = true;
    for (size_t i = 0; i < index->count; i++) {
        const struct stream_index *list = &index->streams[i];
        uint64_t trim = made->trims[list->stream];
        exact = exact &&
                (trim < list->entries[0].commit || trim >= list->entries[list->count - 1].commit);
    }
    for (size_t i = 0; i < made->record_count; i++) {
        const struct log_record *record = &made->records[i];
        bool alive = record->stream != 0 && record->commit > made->trims[record->stream];
        expected += file->holds[i] && alive ? record->body.len + 64 : 0;
    }
    HOLDS(!exact || live_bytes(live, trims) == expected);
    mem_free(live);
}

/* What the cleaner is told of a segment; an index may be written behind it. */
static void take_source(struct made_log *made, struct log *log, const struct made_file *file,
                        struct trims *trims, struct segment *copy)
{
    struct segment_index *index = NULL;
    *copy = *scan_find(log, file->id.number);
    copy->state = SEGMENT_SEALED;
    copy->last_commit = file->last_commit;
    copy->unmeasured = copy->generation == 0;
    HOLDS(segment_measure(log, copy) == OK && copy->used == file->used);
    HOLDS(index_load(log, copy, &index) == OK);
    check_live(made, index, file, trims);
    if (fuzz_bool(made->input) && !copy->indexed) {
        HOLDS(index_write(log, copy, index) == OK);
        copy->indexed = true;
    }
    index_free(index);
}

static struct log *bare_log(void)
{
    struct log_report report = {0};
    struct log *log = mem_zalloc(1, sizeof(*log));
    struct scan scan = {.log = log, .report = &report};
    snprintf(log->dir, sizeof(log->dir), "%s", dir);
    log->id = LOG_ID;
    HOLDS(scan_list(&scan) == OK);
    mem_free(scan.leftovers);
    return log;
}

static void clean(struct made_log *made)
{
    struct made_file *sources[SEGMENTS_MAX];
    struct segment copies[SEGMENTS_MAX];
    struct segment out = {0};
    struct dropped_list dropped = {0};
    struct log_trims ask = {made, trim_of};
    struct trims trims = {.ask = &ask};
    struct log *log = bare_log();
    size_t sealed = log->segment_count - 1;
    size_t first = sealed == 0 ? 0 : fuzz_below(made->input, sealed);
    size_t count = sealed == 0 ? 0 : 1 + fuzz_below(made->input, sealed - first);
    raise_trims(made);
    for (size_t i = 0; i < count; i++) {
        sources[i] = find_file(made, log->by_number[first + i]->number);
        take_source(made, log, sources[i], &trims, &copies[i]);
    }
    const struct cleaning cleaning = {
        .log = log, .segments = copies, .count = count, .trims = &trims, .pace = pace, .arg = made};
    made->paces = fuzz_below(made->input, 8) == 1 ? 1 + (unsigned)fuzz_byte(made->input) % 16 : 0;
    enum err err = count == 0 ? ERR_RANGE : cleaned_write(&cleaning, &out, &dropped);
    HOLDS(err == OK || err == ERR_RANGE || err == ERR_CLOSED);
    bool removes = fuzz_below(made->input, 4) != 1;
    if (err == OK) {
        struct made_file *file =
            new_file(made, (struct segment_id){out.number, out.last_number, out.generation});
        file->first_commit = out.first_commit;
        file->last_commit = out.last_commit;
        file->used = (size_t)out.used;
        expect_cleaned(made, file, sources, count);
        HOLDS(out.first_commit == sources[0]->first_commit);
        HOLDS(out.last_commit == sources[count - 1]->last_commit);
    }
    for (size_t i = 0; err == OK && removes && i < count; i++) {
        char path[200];
        path_of(sources[i], path);
        HOLDS(unlink(path) == 0);
        sources[i]->missing = true;
    }
    trims_clear(&trims);
    mem_free(dropped.items);
    segments_free(log);
    mem_free(log->dropped.items);
    mem_free(log);
}

/* ---- damaging ---- */

static void read_files(struct made_log *made)
{
    for (size_t i = 0; i < made->file_count; i++) {
        struct made_file *file = &made->files[i];
        char path[200];
        struct bytes all;
        path_of(file, path);
        if (!file->missing) {
            HOLDS(file_read_all(path, 1u << 20, made->arena, &all) == OK);
            buf_clear(&file->sound);
            buf_add(&file->sound, all);
            buf_add(&file->bytes, all);
        }
    }
}

static void put_le(uint8_t *out, uint64_t value, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
}

/* Changes a frame of a cleaned file and seals it again. */
static void forge(struct made_log *made, struct made_file *file)
{
    struct frame_header header;
    struct buf *bytes = &file->bytes;
    size_t at = 0;
    uint32_t crc;
    for (size_t frames = fuzz_below(made->input, 3); frames > 0 && at + HEADER <= bytes->len;
         frames--) {
        bool whole = frame_header_in(bytes_of(bytes->ptr + at, HEADER), LOG_ID, file->id, &header);
        at += whole ? (size_t)sectors_of(HEADER + (uint64_t)header.payload_len) : 0;
    }
    if (at >= file->used || at + HEADER > bytes->len ||
        !frame_header_in(bytes_of(bytes->ptr + at, HEADER), LOG_ID, file->id, &header) ||
        at + HEADER + header.payload_len > bytes->len || header.payload_len == 0) {
        return;
    }
    uint8_t *payload = bytes->ptr + at + HEADER;
    made->damaged = true;
    made->forged = true;
    if (header.kind == FRAME_SUMMARY) {
        size_t field = fuzz_below(made->input, 8);
        uint8_t *place = payload + (field < 4 ? field * 8 : 16 + field * 4);
        size_t len = field < 4 ? 8 : 4;
        uint8_t was[8];
        memcpy(was, place, len);
        put_le(place, fuzz_u64(made->input), len);
        made->must_find |=
            field != 1 && field != 4 && memcmp(was, place, len) != 0 && !is_leftover(made, file);
    } else {
        payload[fuzz_below(made->input, header.payload_len)] ^=
            (uint8_t)(1 + fuzz_below(made->input, 255));
    }
    frame_seal(bytes->ptr + at, &header, &crc);
}

static void damage_once(struct made_log *made)
{
    size_t chosen = fuzz_below(made->input, made->file_count);
    struct made_file *file = &made->files[chosen];
    struct buf *bytes = &file->bytes;
    struct buf *other = &made->files[fuzz_below(made->input, made->file_count)].bytes;
    size_t how = fuzz_below(made->input, 9);
    if (file->missing || bytes->len < SECTOR) {
        return;
    }
    size_t at = fuzz_below(made->input, bytes->len);
    size_t sector = at / SECTOR * SECTOR;
    size_t second = fuzz_below(made->input, bytes->len / SECTOR) * SECTOR;
    size_t room = bytes->len - (sector > second ? sector : second);
    size_t len = room < SECTOR ? room : SECTOR;
    uint8_t kept[SECTOR];
    made->damaged = made->damaged || how < 7;
    made->must_find = made->must_find && how >= 7;
    switch (how) {
    case 0:
        bytes->ptr[at] ^= (uint8_t)(1 + fuzz_below(made->input, 255));
        break;
    case 1:
        memset(bytes->ptr + sector, 0, bytes->len - sector < SECTOR ? bytes->len - sector : SECTOR);
        break;
    case 2:
        bytes->len = fuzz_bool(made->input) ? sector : at;
        break;
    case 3:
        memcpy(kept, bytes->ptr + sector, len);
        memmove(bytes->ptr + sector, bytes->ptr + second, len);
        memcpy(bytes->ptr + second, kept, len);
        break;
    case 4:
        buf_add(bytes, fuzz_bytes(made->input, 200));
        break;
    case 5:
        file->missing = fuzz_bool(made->input);
        break;
    case 6: /* under another name */
        if (other != bytes) {
            buf_clear(bytes);
            buf_add(bytes, buf_bytes(other));
        }
        break;
    default:
        if (file->id.generation > 0) {
            forge(made, file);
        }
    }
}

static void write_files(const struct made_log *made)
{
    fresh_dir();
    for (size_t i = 0; i < made->file_count; i++) {
        char path[200];
        path_of(&made->files[i], path);
        if (!made->files[i].missing) {
            write_file(path, buf_bytes(&made->files[i].bytes));
        }
    }
}

/* ---- what must be there ---- */

struct expected {
    const struct log_record *records[RECORDS_MAX];
    size_t count;
    uint64_t first_commit;
    uint64_t last_commit;
    uint64_t cleaned_commit; /* of the newest cleaned file */
    uint64_t dropped[STREAMS];
    bool whole; /* nothing is missing or changed but perhaps an end */
};

static bool stands(const struct made_file *file, size_t at, size_t len)
{
    return file->bytes.len >= at + len &&
           memcmp(file->bytes.ptr + at, file->sound.ptr + at, len) == 0;
}

/* Records of the file that is not sealed go up to its first frame that is not whole. */
static void expect_open(struct made_log *made, const struct made_file *file, bool behind_cleaned,
                        struct expected *expected)
{
    size_t frames = 0;
    while (frames < made->frame_count &&
           stands(file, made->frame_starts[frames], made->frame_lens[frames])) {
        frames++;
    }
    expected->whole = expected->whole && (frames > 0 || !behind_cleaned);
    size_t end = frames == made->frame_count ? made->record_count : made->frame_records[frames];
    for (size_t i = 0; i < end; i++) {
        if (file->holds[i]) {
            expected->records[expected->count++] = &made->records[i];
            expected->last_commit = made->records[i].commit;
        }
    }
}

static struct expected expect(struct made_log *made)
{
    struct expected expected = {.whole = true};
    uint64_t number = 1;
    while (find_file(made, number) == NULL && number <= made->open) {
        number++;
    }
    struct made_file *file = find_file(made, number);
    expected.first_commit = file == NULL ? 0 : file->first_commit;
    for (; file != NULL && file != &made->files[made->open]; file = find_file(made, number)) {
        expected.whole = expected.whole && stands(file, 0, file->used);
        for (size_t i = 0; i < made->record_count; i++) {
            if (file->holds[i]) {
                expected.records[expected.count++] = &made->records[i];
            }
        }
        for (size_t i = 1; i < STREAMS; i++) {
            bool more = file->dropped[i] > expected.dropped[i];
            expected.dropped[i] = more ? file->dropped[i] : expected.dropped[i];
        }
        expected.last_commit = file->last_commit;
        expected.cleaned_commit =
            file->id.generation > 0 ? file->last_commit : expected.cleaned_commit;
        number = file->id.last_number + 1;
    }
    expected.whole = expected.whole && file != NULL;
    if (file != NULL) {
        bool behind =
            expected.cleaned_commit > 0 && expected.cleaned_commit == expected.last_commit;
        expect_open(made, file, behind, &expected);
    }
    return expected;
}

struct comparing {
    const struct expected *expected;
    size_t next;
    bool wrong;
};

static enum err compare_record(void *arg, const struct log_record *record)
{
    struct comparing *comparing = arg;
    const struct expected *expected = comparing->expected;
    bool right = comparing->next < expected->count &&
                 same_record(record, expected->records[comparing->next]);
    comparing->wrong = comparing->wrong || !right;
    comparing->next++;
    return OK;
}

/* ---- looking ---- */

static void check_scan(const struct made_log *made, const struct expected *expected)
{
    struct log_report report;
    struct comparing comparing = {.expected = expected};
    enum err err = log_scan(dir, compare_record, &comparing, &report);
    HOLDS(err == OK || err == ERR_DAMAGED);
    HOLDS(err == OK || (report.reason[0] != 0 && report.file[0] != 0));
    HOLDS(err == OK || made->damaged);
    if (err == OK && made->forged) {
        HOLDS(!made->must_find);
    } else if (err == OK) {
        HOLDS(expected->whole && !comparing.wrong && comparing.next == expected->count);
        HOLDS(report.cleaned_commit == expected->cleaned_commit);
    }
}

/* All of a stream, in small pages, or as far as it is whole. */
static void check_stream(struct log *log, struct made_log *made, const struct expected *expected,
                         uint64_t stream)
{
    struct log_read read = {.stream = stream,
                            .after = {log_first(log) - 1, LOG_INDEX_END},
                            .until = UINT64_MAX,
                            .hash_high = UINT64_MAX,
                            .records_max = 1 + fuzz_below(made->input, 5),
                            .bytes_max = 1 + fuzz_below(made->input, 60),
                            .mode = LOG_READ_BLOCKING,
                            .arena = made->arena};
    size_t at = 0;
    for (unsigned pages = 0; !read.at_end && pages < 4 * RECORDS_MAX; pages++) {
        enum err err = log_read(log, &read);
        HOLDS(err == OK || made->damaged);
        HOLDS(err == OK || err == ERR_DAMAGED || (made->forged && err == ERR_TRIMMED));
        if (err != OK) {
            return;
        }
        for (size_t i = 0; i < read.count && !made->forged; i++, at++) {
            while (at < expected->count && expected->records[at]->stream != stream) {
                at++;
            }
            HOLDS(at < expected->count && same_record(&read.records[i], expected->records[at]));
        }
        read.after = read.reached;
    }
    while (at < expected->count && expected->records[at]->stream != stream) {
        at++;
    }
    HOLDS(made->forged || (read.at_end && at == expected->count));
}

static void append(struct log *log, struct made_log *made, struct expected *expected)
{
    static struct log_record record;
    log_group_begin(log, made->time_ms + 5);
    uint64_t commit = log_commit_begin(log);
    log_record_add(log, 3, 1, 77, BYTES("appended"));
    record = (struct log_record){.commit = commit,
                                 .count = 1,
                                 .time_ms = log_group_time_ms(log),
                                 .stream = 1,
                                 .key_hash = 77,
                                 .body = BYTES("appended"),
                                 .kind = 3};
    HOLDS(log_append(log) == OK);
    log_publish(log, commit);
    HOLDS(commit == expected->last_commit + 1 && expected->count < RECORDS_MAX);
    expected->records[expected->count++] = &record;
    expected->last_commit = commit;
}

static void check_replay(struct log *log, const struct expected *expected, uint64_t flushed)
{
    struct comparing comparing = {.expected = expected};
    while (comparing.next < expected->count &&
           expected->records[comparing.next]->commit <= flushed) {
        comparing.next++;
    }
    HOLDS(log_replay(log, flushed, compare_record, &comparing) == OK);
    HOLDS(!comparing.wrong && comparing.next == expected->count);
}

static void use_log(struct log *log, struct made_log *made, struct expected *expected,
                    uint64_t flushed)
{
    struct log_report report;
    for (uint64_t stream = 1; stream < STREAMS; stream++) {
        check_stream(log, made, expected, stream);
        HOLDS(made->forged || log_dropped(log, stream) == expected->dropped[stream]);
    }
    for (size_t i = 0; i < made->file_count; i++) {
        char path[200];
        path_of(&made->files[i], path);
        HOLDS(!is_leftover(made, &made->files[i]) || access(path, F_OK) != 0);
    }
    if (made->forged) {
        HOLDS(log_close(log, false) == OK);
        return;
    }
    HOLDS(log_last(log) == expected->last_commit);
    HOLDS(expected->count == 0 || !expected->whole || log_first(log) == expected->first_commit);
    check_replay(log, expected, flushed);
    append(log, made, expected);
    HOLDS(log_close(log, false) == OK);
    HOLDS(open_log_at(flushed, &log, &report) == OK);
    check_replay(log, expected, flushed);
    HOLDS(log_close(log, false) == OK);
}

static bool begins(struct made_log *made)
{
    uint64_t number = 1;
    while (find_file(made, number) == NULL) {
        number++;
    }
    return stands(find_file(made, number), 0, SECTOR);
}

static void check_log(struct made_log *made)
{
    struct expected expected = expect(made);
    struct log_report report;
    struct log *log;
    uint64_t flushed = expected.cleaned_commit +
                       fuzz_below(made->input, made->next_commit - expected.cleaned_commit);
    bool early = expected.cleaned_commit > 0 && fuzz_below(made->input, 8) == 1;
    if (find_file(made, made->open + 1) == NULL) {
        return; /* of no account: there is no log without its end */
    }
    /* Without its first frame the log may be one whose beginning was trimmed. */
    made->forged = made->forged || !begins(made);
    check_scan(made, &expected);
    enum err err = open_log_at(early ? expected.cleaned_commit - 1 : flushed, &log, &report);
    HOLDS(err == OK || made->damaged || early);
    HOLDS(err != OK || !early || made->forged);
    if (err == OK) {
        use_log(log, made, &expected, flushed);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct made_log made;
    struct fuzz_input input = fuzz_input_of(data, size);
    struct arena arena;
    arena_init(&arena, 0);
    made = (struct made_log){.input = &input, .arena = &arena};
    make_segments(&made);
    for (size_t cleanings = fuzz_below(&input, 5); cleanings > 0; cleanings--) {
        clean(&made);
    }
    read_files(&made);
    for (size_t damages = fuzz_below(&input, 4); damages > 0; damages--) {
        damage_once(&made);
    }
    write_files(&made);
    check_log(&made);
    for (size_t i = 0; i < made.file_count; i++) {
        buf_fini(&made.files[i].sound);
        buf_fini(&made.files[i].bytes);
    }
    arena_fini(&arena);
    return 0;
}
