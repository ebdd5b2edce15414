/* table: a stream's records are found without looking into segments that hold none of it, after a
 * kill too. What is read is written down call by call. */
#include "../trace.h"
#include "log/log_priv.h"
#include "sys/file.h"
#include "world.h"

#define SEGMENTS 12u

struct reading {
    struct task task; /* first */
    struct arena arena;
    struct seat *seat;
    const struct stream *stream;
    struct log_place after;
    size_t count;
    enum err err;
};

static enum err reading_evaluate(struct task *task, struct reader *reader, struct changes *changes)
{
    struct reading *reading = (struct reading *)task;
    struct log_read read = {
        .after = reader_stream_trim(reader, reading->stream),
        .hash_high = UINT64_MAX,
        .records_max = 100,
        .bytes_max = 1u << 20,
        .arena = reader->arena,
    };
    (void)changes;
    TRY(reader_stream(reader, reading->stream, &read));
    CHECK(read.at_end);
    reading->count = read.count;
    return OK;
}

static void reading_done(struct task *task, enum err err)
{
    struct reading *reading = (struct reading *)task;
    reading->err = err;
    reading->seat->pending--;
}

/* How many segments a reader of the table's whole stream opens. */
static size_t count_segments_read(struct world *world, struct seat *seat, const char *table,
                                  size_t records)
{
    struct reading reading = {.seat = seat};
    char log[80];
    size_t files = 0;
    const struct catalogue *catalogue = store_catalogue_pin(world->store);
    reading.stream = catalogue_table(catalogue, bytes_cstr(table))->stream;
    arena_init(&reading.arena, 0);
    reading.task.arena = &reading.arena;
    reading.task.evaluate = reading_evaluate;
    reading.task.done = reading_done;
    snprintf(log, sizeof(log), "%s/log", world->dir);
    trace_begin(log);
    seat->pending++;
    store_run(&seat->lane, &reading.task);
    seat_finish(seat);
    trace_end();
    CHECK(reading.err == OK && reading.count == records);
    for (unsigned number = 1; number < 100; number++) {
        char name[32];
        snprintf(name, sizeof(name), "%020u.log", number);
        files += trace_find(0, TRACE_READ, name) < trace.count;
    }
    store_catalogue_unpin(world->store, catalogue);
    arena_fini(&reading.arena);
    return files;
}

static uint64_t segments(struct store *store)
{
    struct store_figures figures;
    store_figures(store, &figures);
    return figures.log.segments;
}

/* Segments full of another stream. */
static void be_busy(struct world *world, struct seat *seat)
{
    uint64_t before = segments(world->store);
    for (int64_t n = 1; segments(world->store) < before + SEGMENTS / 2; n++) {
        struct action action = {
            .kind = ACT_PUT, .table = "busy", .key = "k", .number = n, .padding = 10000};
        CHECK(run_action(seat, &action) == OK);
    }
}

/* The worker tells the directory of a segment after it was left: wait for the newest. */
static void check_is_found(struct world *world, struct seat *seat)
{
    size_t read = SEGMENTS;
    for (unsigned i = 0; i < 1000 && read > 3; i++) {
        read = count_segments_read(world, seat, "quiet", 2);
        if (read > 3) {
            thread_pause_ms(10);
        }
    }
    CHECK(read <= 3); /* where its two records are, and perhaps the open one */
}

static void a_quiet_stream_is_found_among_busy_segments(void)
{
    struct world world;
    struct world copy;
    struct seat seat;
    world_init(&world);
    world.options.segment_bytes = 256u << 10;
    world.options.memtable_bytes = 64u << 20; /* nothing is flushed but by a clean stop */
    world.options.tail_bytes = 1;
    world_open(&world);
    make_table(world.store, "quiet", STREAM_NEW_IMAGE);
    make_table(world.store, "busy", STREAM_NEW_IMAGE);
    seat_init(&seat, world.store);
    CHECK(put(&seat, "quiet", "a", 1) == OK);
    be_busy(&world, &seat);
    CHECK(put(&seat, "quiet", "a", 2) == OK);
    be_busy(&world, &seat);
    check_is_found(&world, &seat);

    /* What a kill leaves behind: the view has no file yet. */
    copy = world;
    world_init(&copy);
    copy.options.segment_bytes = world.options.segment_bytes;
    copy.options.tail_bytes = 1;
    world_copy(&world, &copy);
    seat_fini(&seat);
    world_close(&world);
    world_open(&copy);
    CHECK(copy.report.view_commit == 0 && copy.report.replayed_commits > 2);
    seat_init(&seat, copy.store);
    check_is_found(&copy, &seat);
    seat_fini(&seat);
    world_close(&copy);

    world_open(&copy);
    seat_init(&seat, copy.store);
    check_is_found(&copy, &seat);
    seat_fini(&seat);
    world_close(&copy);
    world_remove(&world);
    world_remove(&copy);
}

/* ---- one record among very many segments ---- */

#define MANY 10000u
#define QUIET_AT 6789u
#define QUIET 1u
#define BUSY 2u
#define TOLD_WITHIN_NS 20000000000u

/* A log beside a view that holds all its commits, and what was asked of the directory between. */
struct many {
    struct world world; /* its directory */
    uint64_t log_id;
    uint32_t crc; /* of the newest frame */
    struct view *view;
    struct directory *directory;
    struct log_directory real;
    struct log *log;
    _Atomic unsigned finds;
    _Atomic unsigned sealed;
    _Atomic unsigned removed;
};

static void pass_opened(void *arg, const uint64_t *segments, size_t count, bool *told)
{
    struct many *many = arg;
    many->real.opened(many->real.arg, segments, count, told);
}

static void pass_sealed(void *arg, uint64_t segment, const struct log_directory_entry *entries,
                        size_t count)
{
    struct many *many = arg;
    many->real.sealed(many->real.arg, segment, entries, count);
    many->sealed++;
}

static void pass_removed(void *arg, uint64_t segment)
{
    struct many *many = arg;
    many->real.removed(many->real.arg, segment);
    many->removed++;
}

static enum err pass_find(void *arg, uint64_t stream, uint64_t from,
                          struct log_directory_found *found)
{
    struct many *many = arg;
    many->finds++;
    return many->real.find(many->real.arg, stream, from, found);
}

/* A frame of one sector at most, as the log would write it. */
static void put_frame(struct many *many, int file, uint64_t at, struct frame_header header,
                      struct bytes payload)
{
    uint8_t sector[SECTOR] = {0};
    uint32_t crc = 0;
    header.log_id = many->log_id;
    header.time_ms = 1000;
    header.payload_len = (uint32_t)payload.len;
    header.previous_crc = header.kind == FRAME_INDEX ? 0 : many->crc;
    memcpy(sector + HEADER, payload.ptr, payload.len);
    frame_seal(sector, &header, &crc);
    many->crc = header.kind == FRAME_INDEX ? many->crc : crc;
    CHECK(file_write(file, sector, SECTOR, at) == OK);
}

/* Segment n holds commit n, of one record. */
static void make_segment(struct many *many, uint64_t number, bool open)
{
    char path[128];
    int file = -1;
    struct buf index;
    uint8_t record[] = {1, 1, 7, 0, 0, 0, 0, 0, 0, 0, number == QUIET_AT ? QUIET : BUSY, 1, 'x'};
    uint8_t next[8] = {0};
    struct index_entry entry = {
        .key_hash = 7, .commit = number, .count = 1, .offset = 12, .len = 1, .kind = 1};
    struct segment_index *entries = index_new();
    snprintf(path, sizeof(path), "%s/log/%020llu.log", many->world.dir, (unsigned long long)number);
    CHECK(file_open(path, FILE_CREATE, &file) == OK);
    put_frame(many, file, 0,
              (struct frame_header){
                  .segment = number, .first_commit = number, .commit_count = 1, .kind = FRAME_DATA},
              bytes_of(record, sizeof(record)));
    for (int i = 0; i < 8; i++) {
        next[i] = (uint8_t)((number + 1) >> 8 * i);
    }
    buf_init(&index, SECTOR);
    index_add(entries, record[10], &entry);
    index_encode(entries, &index);
    index_free(entries);
    if (open) {
        CHECK(file_truncate(file, SEGMENT_LEAST) == OK);
    } else {
        struct frame_header header = {
            .segment = number, .first_commit = number + 1, .kind = FRAME_END};
        put_frame(many, file, SECTOR, header, bytes_of(next, 8));
        header.kind = FRAME_INDEX;
        put_frame(many, file, 2 * SECTOR, header, bytes_of(index.ptr, index.len));
    }
    buf_fini(&index);
    CHECK(file_close(file) == OK);
}

static void many_init(struct many *many)
{
    char path[128];
    world_init(&many->world);
    many->log_id = 0x1234567890abcdef;
    many->crc = 0;
    snprintf(path, sizeof(path), "%s/log", many->world.dir);
    CHECK(directory_make(path) == OK);
    snprintf(path, sizeof(path), "%s/log/id", many->world.dir);
    CHECK(file_write_all(path, BYTES("1234567890abcdef"), 0600) == OK);
    for (uint64_t number = 1; number <= MANY; number++) {
        make_segment(many, number, false);
    }
    make_segment(many, MANY + 1, true);
}

static void many_open(struct many *many)
{
    char view_dir[128];
    char log_dir[128];
    char reason[200];
    bool fresh;
    struct view_state state;
    struct log_report report;
    snprintf(view_dir, sizeof(view_dir), "%s/view", many->world.dir);
    snprintf(log_dir, sizeof(log_dir), "%s/log", many->world.dir);
    struct view_options view = {
        .dir = view_dir, .memtable_bytes = 16u << 20, .cache_bytes = 8u << 20};
    CHECK(directory_make(view_dir) == OK);
    CHECK(view_open(&view, &many->view, &state, &fresh, reason, sizeof(reason)) == OK);
    many->directory = directory_open(many->view);
    many->real = directory_for_log(many->directory);
    many->finds = 0;
    many->sealed = 0;
    struct log_options options = {
        .dir = log_dir,
        .segment_bytes = SEGMENT_LEAST,
        .flushed = MANY,
        .tail_bytes = 1,
        .directory = {many, pass_opened, pass_sealed, pass_removed, pass_find}};
    CHECK(log_open(&options, &many->log, &report) == OK);
}

static void many_close(struct many *many)
{
    CHECK(log_close(many->log, false) == OK);
    directory_close(many->directory);
    CHECK(view_flush(many->view) == OK);
    view_close(many->view);
}

/* The whole stream: its only record, wherever the telling is. */
static void read_quiet(struct many *many)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct log_read read = {.stream = QUIET,
                            .after = {log_first(many->log) - 1, LOG_INDEX_END},
                            .until = UINT64_MAX,
                            .hash_high = UINT64_MAX,
                            .records_max = 100,
                            .bytes_max = 1u << 20,
                            .mode = LOG_READ_BLOCKING,
                            .arena = &arena};
    CHECK(log_read(many->log, &read) == OK);
    CHECK(read.count == 1 && read.records[0].commit == QUIET_AT && read.at_end);
    arena_fini(&arena);
}

static void check_one_seek(struct many *many)
{
    char log[128];
    size_t files = 0;
    const char *file = "";
    snprintf(log, sizeof(log), "%s/log", many->world.dir);
    unsigned finds = many->finds;
    trace_begin(log);
    uint64_t start = clock_mono_ns();
    read_quiet(many);
    uint64_t ns = clock_mono_ns() - start;
    trace_end();
    CHECK(many->finds - finds == 1);
    for (size_t i = 0; i < trace.count; i++) {
        const struct trace_event *event = &trace.events[i];
        if (event->mine && event->kind == TRACE_READ && strcmp(event->file, file) != 0) {
            file = event->file;
            files++;
        }
    }
    CHECK(files == 1);
    printf("  one record among %u segments: %llu us\n", MANY, (unsigned long long)ns / 1000);
}

/* Told of after two hundred reads, which take half a second, if it is at all. */
static void read_until_told(struct many *many, unsigned sealed)
{
    const uint64_t end = clock_mono_ns() + TOLD_WITHIN_NS;
    while (many->sealed < sealed && clock_mono_ns() < end) {
        read_quiet(many);
    }
    CHECK(many->sealed == sealed);
}

static bool count_row(void *arg, struct bytes row, struct bytes value)
{
    (void)row;
    (void)value;
    ++*(size_t *)arg;
    return true;
}

static size_t rows(struct many *many)
{
    size_t count = 0;
    struct row_key low;
    struct row_key high;
    row_of_store(&low, 'd');
    row_of_store(&high, 'f');
    struct view_scan scan = {.low = row_bytes(&low),
                             .high = row_bytes(&high),
                             .how = VIEW_BLOCKING,
                             .fn = count_row,
                             .arg = &count};
    CHECK(view_scan(many->view, &scan) == OK);
    return count;
}

/* As a kill that took what was told of segments low .. high. */
static void forget(struct many *many, uint64_t low, uint64_t high)
{
    struct view_row *lost = mem_zalloc(3, sizeof(*lost));
    for (uint64_t number = low; number <= high; number++) {
        row_of_store_u64(&lost[0].key, 'd', QUIET);
        row_u64(&lost[0].key, number);
        row_of_store_u64(&lost[1].key, 'd', BUSY);
        row_u64(&lost[1].key, number);
        row_of_store_u64(&lost[2].key, 'e', number);
        CHECK(view_delete_derived(many->view, lost, 3) == OK);
    }
    mem_free(lost);
}

static void trim(struct many *many, uint64_t commit)
{
    log_set_trim(many->log, commit);
    for (unsigned i = 0; i < 60000 && many->removed < commit; i++) {
        thread_pause_ms(1);
    }
    CHECK(log_first(many->log) == commit + 1);
}

static void one_record_among_many_segments_is_one_seek(void)
{
    static struct many many;
    const _Atomic bool going_on = false;
    const unsigned gap = 50;
    const unsigned many_gone = MANY / 15;
    many_init(&many);
    many_open(&many);
    read_until_told(&many, MANY); /* a directory from before there were rows */
    check_one_seek(&many);
    many_close(&many);

    many_open(&many);
    check_one_seek(&many); /* at once: nothing is told again */
    CHECK(many.sealed == 0 && rows(&many) == 2 * MANY);
    forget(&many, QUIET_AT - gap, QUIET_AT + gap);
    many_close(&many);

    many_open(&many); /* a gap around the record */
    read_until_told(&many, 2 * gap + 1);
    check_one_seek(&many);
    CHECK(rows(&many) == 2 * MANY);

    trim(&many, many_gone);
    directory_sweep(many.directory, &going_on);
    CHECK(rows(&many) == 2 * (MANY - many_gone));
    check_one_seek(&many);
    trim(&many, many_gone + 10); /* too few to be swept, but at a start */
    directory_sweep(many.directory, &going_on);
    CHECK(rows(&many) == 2 * (MANY - many_gone));
    many_close(&many);

    many_open(&many);
    directory_sweep(many.directory, &going_on);
    CHECK(rows(&many) == 2 * (MANY - many_gone - 10));
    check_one_seek(&many);
    many_close(&many);
    world_remove(&many.world);
}

int main(void)
{
    RUN(one_record_among_many_segments_is_one_seek);
    RUN(a_quiet_stream_is_found_among_busy_segments);
    return CHECK_RESULT();
}
