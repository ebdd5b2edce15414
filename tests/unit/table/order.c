/* table: a group is synced, then shown, then told to followers, then answered, and nothing of it is
 * seen earlier (table I1, I3, I5, I9). What the committer does to the log's files and to RocksDB is
 * written down call by call; RocksDB's write and flush are linked to the functions below. */
#include "../trace.h"
#include "world.h"

#include <rocksdb/c.h>

static struct world world;
static struct seat seat;
static struct mailbox follower_home;
static struct log_follower follower;
static uint64_t shown_to_follower; /* the item's number when the follower was woken */

/* ---- in place of RocksDB's ---- */

void __real_rocksdb_write(rocksdb_t *db, const rocksdb_writeoptions_t *options,
                          rocksdb_writebatch_t *batch, char **error);
void __wrap_rocksdb_write(rocksdb_t *db, const rocksdb_writeoptions_t *options,
                          rocksdb_writebatch_t *batch, char **error);
void __real_rocksdb_flush(rocksdb_t *db, const rocksdb_flushoptions_t *options, char **error);
void __wrap_rocksdb_flush(rocksdb_t *db, const rocksdb_flushoptions_t *options, char **error);

struct batch_rows {
    uint64_t items;
    uint64_t states;
    uint64_t applied;
};

static void see_put(void *arg, const char *key, size_t len, const char *value, size_t value_len)
{
    struct batch_rows *rows = arg;
    const uint8_t *row = (const uint8_t *)key;
    bool own = len > 8 && read_u64_big(row) == 0;
    rows->items += len > 8 && !own;
    if (own && len == 9 && row[8] == 's' && value_len >= 20) {
        rows->states++;
        for (int i = 0; i < 8; i++) {
            rows->applied |= (uint64_t)(uint8_t)value[12 + i] << 8 * i;
        }
    }
}

static void see_delete(void *arg, const char *key, size_t len)
{
    see_put(arg, key, len, "", 0);
}

void __wrap_rocksdb_write(rocksdb_t *db, const rocksdb_writeoptions_t *options,
                          rocksdb_writebatch_t *batch, char **error)
{
    struct batch_rows rows = {0};
    rocksdb_writebatch_iterate(batch, &rows, see_put, see_delete);
    __real_rocksdb_write(db, options, batch, error);
    if (rows.items > 0) {
        CHECK(rows.states == 1); /* items and the number they belong to, or neither */
        trace_note("batch", rows.applied, rows.items);
    }
}

static void (*after_flush)(void);

void __wrap_rocksdb_flush(rocksdb_t *db, const rocksdb_flushoptions_t *options, char **error)
{
    __real_rocksdb_flush(db, options, error);
    if (after_flush != NULL) {
        after_flush();
    }
}

/* ---- a store, a seat and a follower that write down when they are told ---- */

static void answered(void *arg)
{
    trace_note("answer", 0, 0);
    event_signal(arg);
}

/* On the committer's thread: what could a reader see now? */
static void told(void *arg)
{
    struct key key = {0};
    struct key_fault fault;
    struct row_key row;
    struct arena arena;
    struct bytes item = BYTES_NONE;
    (void)arg;
    arena_init(&arena, 0);
    const struct catalogue *catalogue = store_catalogue_pin(world.store);
    const struct table *table = catalogue_table(catalogue, BYTES("t"));
    struct bytes wanted = make_item(&arena, "k", 0, 0);
    CHECK(key_from_item(&table->schema, wanted, &arena, &key, &fault) == KEY_OK);
    row_of_item(&row, table->id, key.hash, key.bytes);
    enum err err = view_get(world.store->view, row_bytes(&row), VIEW_BLOCKING, &arena, &item);
    shown_to_follower = err == OK ? (uint64_t)item_number(item) : 0;
    store_catalogue_unpin(world.store, catalogue);
    arena_fini(&arena);
    trace_note("follower", log_visible(world.store->log), 0);
}

static void not_run(struct message *message)
{
    (void)message;
}

static void open_world(void)
{
    world_init(&world);
    world_open(&world);
    make_table(world.store, "t", STREAM_NEW_AND_OLD);
    event_init(&seat.event);
    mailbox_init(&seat.home, answered, &seat.event);
    lane_init(&seat.lane, world.store, &seat.home);
    mailbox_init(&follower_home, told, NULL);
    follower = (struct log_follower){.message = {.run = not_run}, .home = &follower_home};
}

static void close_world(void)
{
    world_end(&world, &seat);
}

static void arm(void)
{
    const struct catalogue *catalogue = store_catalogue_pin(world.store);
    store_follow(world.store, &follower, catalogue_table(catalogue, BYTES("t"))->stream,
                 (struct log_place){log_visible(world.store->log), LOG_INDEX_END});
    store_catalogue_unpin(world.store, catalogue);
}

static void watch(void)
{
    char log[80];
    snprintf(log, sizeof(log), "%s/log", world.dir);
    mailbox_run(&follower_home);
    arm();
    trace_begin(log);
}

#define SEGMENT "00000000000000000001.log"

/* Leaves out what goes on beside: the log's worker prepares the next segment, the keeper reads what
 * may be trimmed. */
static void keep_own_events(void)
{
    size_t kept = 0;
    for (size_t i = 0; i < trace.count; i++) {
        const struct trace_event *event = &trace.events[i];
        bool written = event->kind != TRACE_READ && strcmp(event->file, SEGMENT) == 0;
        if (event->kind == TRACE_NOTE || written) {
            trace.events[kept++] = *event;
        }
    }
    trace.count = kept;
}

/* One group, from its frame to its answers, and nothing else. */
static void check_order(uint64_t commit, bool tells)
{
    static const struct trace_event expected[] = {
        {.kind = TRACE_WRITE, .file = SEGMENT}, {.kind = TRACE_SYNC, .file = SEGMENT},
        {.kind = TRACE_NOTE, .file = "batch"},  {.kind = TRACE_NOTE, .file = "follower"},
        {.kind = TRACE_NOTE, .file = "answer"},
    };
    size_t at = 0;
    keep_own_events();
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        if (!tells && strcmp(expected[i].file, "follower") == 0) {
            continue;
        }
        const struct trace_event *event = &trace.events[at];
        bool same = at < trace.count && event->kind == expected[i].kind &&
                    strcmp(event->file, expected[i].file) == 0;
        CHECK(same);
        if (!same) {
            printf("event %zu is %d %s, expected %s\n", at, at < trace.count ? (int)event->kind : 0,
                   at < trace.count ? event->file : "none", expected[i].file);
        }
        CHECK(strcmp(expected[i].file, "batch") != 0 || event->offset == commit);
        CHECK(strcmp(expected[i].file, "follower") != 0 || event->offset == commit);
        at++;
    }
    CHECK(trace.count == at);
}

static void a_group_is_synced_then_shown_then_told_then_answered(void)
{
    open_world();
    watch();
    CHECK(put(&seat, "t", "k", 7) == OK);
    trace_end();
    check_order(log_visible(world.store->log), true);
    CHECK(shown_to_follower == 7);
    watch();
    CHECK(put(&seat, "t", "k", 8) == OK);
    trace_end();
    check_order(log_visible(world.store->log), true);
    CHECK(shown_to_follower == 8);
    close_world();
}

/* The second and third put change nothing, because of the first, which nobody may know of before
 * its sync: all three are answered together. */
static void what_a_group_decides_is_answered_after_its_sync(void)
{
    struct job jobs[3] = {0};
    open_world();
    watch();
    for (size_t i = 0; i < 3; i++) {
        jobs[i].actions[0] = (struct action){
            .kind = ACT_PUT, .table = "t", .key = "k", .number = 5, .must_be_absent = i == 1};
        jobs[i].count = 1;
        job_start(&seat, &jobs[i]);
    }
    seat_finish(&seat);
    trace_end();
    check_order(log_visible(world.store->log), true);
    CHECK(jobs[0].err == OK && jobs[0].task.commit > 0);
    CHECK(jobs[1].err == ERR_FAULT && jobs[1].failed);
    CHECK(jobs[2].err == OK && jobs[2].task.commit == 0);
    for (size_t i = 0; i < 3; i++) {
        arena_fini(&jobs[i].arena);
    }
    close_world();
}

/* ---- while a sync is under way ---- */

static struct event sync_begun;
static struct event sync_may_end;

static void hold_sync(const char *path)
{
    if (strstr(path, SEGMENT) != NULL) {
        event_signal(&sync_begun);
        event_wait(&sync_may_end, 10000); /* never so long, unless a check has failed */
    }
}

static void let_sync(const char *path)
{
    (void)path;
}

static void what_is_not_synced_is_not_seen(void)
{
    struct seat other;
    struct job first = {.actions = {{.kind = ACT_PUT, .table = "t", .key = "k", .number = 5}},
                        .count = 1};
    struct job second = {
        .actions =
            {{.kind = ACT_PUT, .table = "t", .key = "k", .number = 6, .must_be_absent = true}},
        .count = 1};
    struct action must_exist = {
        .kind = ACT_PUT, .table = "t", .key = "k", .number = 7, .must_exist = true};
    open_world();
    seat_init(&other, world.store);
    event_init(&sync_begun);
    event_init(&sync_may_end);
    uint64_t visible = log_visible(world.store->log);
    watch();
    trace.on_sync = hold_sync;
    job_start(&seat, &first);
    lane_flush(&seat.lane);
    event_wait(&sync_begun, -1);
    trace.on_sync = let_sync;
    CHECK(log_visible(world.store->log) == visible);
    CHECK(get(&other, "t", "k") == -1);
    CHECK(run_action(&other, &must_exist) == ERR_FAULT); /* as before the first */
    job_start(&other, &second);
    lane_flush(&other.lane);
    CHECK(trace_count(TRACE_NOTE, "follower") == 0 && trace_count(TRACE_NOTE, "answer") == 0);
    event_signal(&sync_may_end);
    seat_finish(&seat);
    seat_finish(&other);
    trace_end();
    CHECK(first.err == OK && shown_to_follower == 5);
    CHECK(second.err == ERR_FAULT && second.failed); /* it is after the first */
    CHECK(get(&other, "t", "k") == 5);
    arena_fini(&first.arena);
    arena_fini(&second.arena);
    seat_fini(&other);
    event_fini(&sync_begun);
    event_fini(&sync_may_end);
    close_world();
}

/* ---- flushed ---- */

static void put_after_flush(void)
{
    after_flush = NULL;
    CHECK(put(&seat, "t", "late", 1) == OK);
}

/* A write that came while RocksDB flushed may not be in its files: flushed must not count it. */
static void what_came_during_a_flush_is_not_called_flushed(void)
{
    struct store_figures figures;
    open_world();
    CHECK(put(&seat, "t", "k", 1) == OK);
    uint64_t visible = log_visible(world.store->log);
    after_flush = put_after_flush;
    store_flush(world.store);
    store_figures(world.store, &figures);
    CHECK(figures.flushed == visible && figures.visible == visible + 1);
    CHECK(figures.unflushed_bytes > 0);
    close_world();
}

/* ---- replay ---- */

/* Larger than a batch of replay: the whole of it is in one batch all the same (table I1). */
static void a_replayed_commit_is_in_one_batch(void)
{
    static char keys[ACTIONS_MAX][8];
    char command[160];
    struct job job = {.count = ACTIONS_MAX};
    open_world();
    for (size_t i = 0; i < ACTIONS_MAX; i++) {
        snprintf(keys[i], sizeof(keys[i]), "%zu", i);
        job.actions[i] = (struct action){
            .kind = ACT_PUT, .table = "t", .key = keys[i], .number = 1, .padding = 1u << 20};
    }
    CHECK(job_run(&seat, &job) == OK);
    CHECK(put(&seat, "t", "k", 1) == OK);
    seat_fini(&seat);
    world_close(&world);
    snprintf(command, sizeof(command), "rm -rf '%s/view'", world.dir);
    CHECK(system(command) == 0);
    trace_begin(world.dir);
    world_open(&world);
    trace_end();
    size_t found = trace_find(0, TRACE_NOTE, "batch");
    CHECK(found < trace.count && trace.events[found].offset == job.task.commit &&
          trace.events[found].len == ACTIONS_MAX);
    world_close(&world);
    world_remove(&world);
}

int main(void)
{
    RUN(a_group_is_synced_then_shown_then_told_then_answered);
    RUN(what_a_group_decides_is_answered_after_its_sync);
    RUN(what_is_not_synced_is_not_seen);
    RUN(what_came_during_a_flush_is_not_called_flushed);
    RUN(a_replayed_commit_is_in_one_batch);
    return CHECK_RESULT();
}
