/* table: a stream's records are found without looking into segments that hold none of it, after a
 * kill too. What is read is written down call by call. */
#include "../trace.h"
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

int main(void)
{
    RUN(a_quiet_stream_is_found_among_busy_segments);
    return CHECK_RESULT();
}
