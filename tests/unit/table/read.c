/* table/reader, table/view: ranges in both directions against a plain model, cold reads that go
 * to workers, proposals that come back from the committer, and a catalogue that changes under its
 * readers. */
#include "sys/file.h"
#include "world.h"

/* ---- the page cache ---- */

/* Stands between the view's files and the page cache (CMakeLists.txt), which a test cannot empty on
 * every volume. */
static _Atomic bool page_cache_is_cold;
static int reads_until_cold = -1; /* of one test: then one is */

enum err __wrap_file_read_resident(int fd, void *out, size_t len, uint64_t offset);
enum err __wrap_file_read_resident(int fd, void *out, size_t len, uint64_t offset)
{
    size_t got = 0;
    if (reads_until_cold >= 0 && reads_until_cold-- == 0) {
        return ERR_INCOMPLETE;
    }
    return !page_cache_is_cold && file_read(fd, out, len, offset, &got) == OK && got == len
               ? OK
               : ERR_INCOMPLETE;
}

/* ---- ranges ---- */

#define SORTS 40

struct range_job {
    struct task task; /* first */
    struct arena arena;
    struct seat *seat;
    struct reader_range range;
    unsigned found[SORTS];
    size_t count;
    size_t stop_after;
    enum err err;
};

static bool visit(void *arg, struct bytes key, struct bytes item)
{
    struct range_job *job = arg;
    struct bytes partition;
    struct bytes sort;
    CHECK(key_split(key, &partition, &sort) == OK);
    CHECK(item.len > 0);
    job->found[job->count++] = (unsigned)(sort.ptr[0] - '0') * 10 + (unsigned)(sort.ptr[1] - '0');
    return job->count < job->stop_after;
}

static enum err range_evaluate(struct task *task, struct reader *reader, struct changes *changes)
{
    struct range_job *job = (struct range_job *)task;
    (void)changes;
    job->count = 0;
    return reader_scan(reader, reader_table(reader, BYTES("s")), &job->range, visit, job);
}

static void range_done(struct task *task, enum err err)
{
    struct range_job *job = (struct range_job *)task;
    job->err = err;
    job->seat->pending--;
}

static void scan(struct seat *seat, struct range_job *job)
{
    job->seat = seat;
    arena_init(&job->arena, 0);
    job->task.arena = &job->arena;
    job->task.evaluate = range_evaluate;
    job->task.done = range_done;
    job->range.partition = BYTES("p");
    job->range.hash = hash_key(BYTES("p"));
    job->stop_after = job->stop_after == 0 ? SORTS + 1 : job->stop_after;
    seat->pending++;
    store_run(&seat->lane, &job->task);
    seat_finish(seat);
    arena_fini(&job->arena);
}

struct fill_job {
    struct task task; /* first */
    struct arena arena;
};

/* Sort keys 00, 02, .. 78 of partition p, one of its neighbours each. */
static enum err fill(struct task *task, struct reader *reader, struct changes *changes)
{
    (void)task;
    const struct table *table = reader_table(reader, BYTES("s"));
    static const char *partitions[] = {"p", "o", "pp", "q"};
    for (unsigned i = 0; i < SORTS + 3; i++) {
        struct item_build build;
        struct bytes item;
        struct key key;
        struct key_fault fault;
        struct bytes sort = arena_printf(reader->arena, "%02u", i < SORTS ? i * 2 : 10);
        item_build_init(&build, reader->arena);
        item_build_s(&build, BYTES("pk"), bytes_cstr(partitions[i < SORTS ? 0 : i - SORTS + 1]));
        item_build_s(&build, BYTES("sk"), sort);
        TRY(item_build_end(&build, &item));
        if (key_from_item(&table->schema, item, reader->arena, &key, &fault) != KEY_OK) {
            return ERR_INVALID;
        }
        TRY(change_item(reader, changes, table, &key, BYTES_NONE, item, ORIGIN_USER));
    }
    return OK;
}

static void fill_table(struct store *store)
{
    struct fill_job job = {0};
    struct table_definition definition = {
        .name = BYTES("s"), .schema = {{BYTES("pk"), VALUE_S}, {BYTES("sk"), VALUE_S}}};
    CHECK(store_ensure_table(store, &definition) == OK);
    arena_init(&job.arena, 0);
    job.task.arena = &job.arena;
    job.task.evaluate = fill;
    job.task.writes = true;
    CHECK(task_run_blocking(store, &job.task) == OK);
    arena_fini(&job.arena);
}

/* What a range must give, by looking at each sort key alone. */
static bool in_range(const struct reader_range *range, const char *text)
{
    struct bytes sort = bytes_cstr(text);
    int low = range->has_low ? bytes_compare(sort, range->low) : 1;
    int high = range->has_high ? bytes_compare(sort, range->high) : -1;
    int after = !range->has_after ? 1 : bytes_compare(sort, range->after);
    after = range->has_after && range->backward ? -after : after;
    return (low > 0 || (low == 0 && range->low_inclusive)) &&
           (high < 0 || (high == 0 && range->high_inclusive)) && after > 0 &&
           bytes_start_with(sort, range->prefix);
}

static void check_range(struct seat *seat, const struct reader_range *range)
{
    struct range_job job = {.range = *range};
    size_t expected = 0;
    scan(seat, &job);
    CHECK(job.err == OK);
    for (unsigned i = 0; i < SORTS; i++) {
        unsigned sort = 2 * (range->backward ? SORTS - 1 - i : i);
        char text[16];
        snprintf(text, sizeof(text), "%02u", sort);
        if (in_range(range, text)) {
            CHECK(expected < job.count && job.found[expected] == sort);
            expected++;
        }
    }
    CHECK(job.count == expected);
}

static void ranges_are_what_their_bounds_say(void)
{
    static const char *bounds[] = {"", "00", "09", "10", "10x", "78", "79", "99"};
    struct world world;
    struct seat seat;
    world_init(&world);
    world_open(&world);
    fill_table(world.store);
    seat_init(&seat, world.store);
    for (unsigned choice = 0; choice < 8 * 8 * 8 * 2 * 4; choice++) {
        const char *low = bounds[choice % 8];
        const char *high = bounds[choice / 8 % 8];
        const char *after = bounds[choice / 64 % 8];
        struct reader_range range = {
            .low = bytes_cstr(low),
            .high = bytes_cstr(high),
            .after = bytes_cstr(after),
            .has_low = low[0] != 0,
            .has_high = high[0] != 0,
            .has_after = after[0] != 0,
            .backward = choice / 512 % 2 == 1,
            .low_inclusive = choice / 1024 % 2 == 1,
            .high_inclusive = choice / 2048 % 2 == 1,
        };
        check_range(&seat, &range);
        range.prefix = BYTES("1");
        check_range(&seat, &range);
    }
    struct range_job job = {.stop_after = 3};
    scan(&seat, &job);
    CHECK(job.err == OK && job.count == 3 && job.found[2] == 4);
    world_end(&world, &seat);
}

/* ---- cold ---- */

/* A block cache too small for the data, and everything flushed. */
enum { COLD_ITEMS = 300 };

static void open_and_flush(struct world *world, struct seat *seat)
{
    world_init(world);
    world->options.cache_bytes = 64u << 10;
    world_open(world);
    make_table(world->store, "t", STREAM_NEW_AND_OLD);
    seat_init(seat, world->store);
    for (int64_t i = 0; i < COLD_ITEMS; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%d", (int)i);
        struct action action = {
            .kind = ACT_PUT, .table = "t", .key = key, .number = i, .padding = 2000};
        CHECK(run_action(seat, &action) == OK);
    }
    store_flush(world->store);
}

/* Items 0 to a third of all were added to three times. */
static void check_items(struct seat *seat, bool added)
{
    for (int64_t i = 0; i < COLD_ITEMS; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%d", (int)i);
        CHECK(get(seat, "t", key) == i + (added && i < COLD_ITEMS / 3 ? 3 : 0));
    }
}

static void add_three_times(struct seat *seat)
{
    struct job *jobs = mem_zalloc(COLD_ITEMS, sizeof(*jobs));
    char(*keys)[16] = mem_zalloc(COLD_ITEMS, sizeof(*keys));
    for (int i = 0; i < COLD_ITEMS; i++) {
        snprintf(keys[i], sizeof(keys[i]), "k%d", i / 3);
        jobs[i].actions[0] = (struct action){
            .kind = ACT_ADD, .table = "t", .key = keys[i], .number = 1, .padding = 2000};
        jobs[i].count = 1;
        job_start(seat, &jobs[i]);
    }
    seat_finish(seat);
    for (int i = 0; i < COLD_ITEMS; i++) {
        CHECK(jobs[i].err == OK);
        arena_fini(&jobs[i].arena);
    }
    mem_free(jobs);
    mem_free(keys);
}

/* Where the page cache has nothing either, reads come from the disk, on workers, and writes too,
 * without the committer waiting for one. */
static void cold_items_are_read_on_workers(void)
{
    struct world world;
    struct seat seat;
    struct store_figures figures;
    open_and_flush(&world, &seat);
    page_cache_is_cold = true;
    check_items(&seat, false);
    store_figures(world.store, &figures);
    CHECK(figures.cache_only_incomplete > COLD_ITEMS / 2);
    CHECK(figures.worker_reads == figures.cache_only_incomplete);
    CHECK(figures.flushed == figures.visible);
    add_three_times(&seat);
    check_items(&seat, true);
    page_cache_is_cold = false;
    world_end(&world, &seat);
}

static void what_the_page_cache_holds_is_read_at_once(void)
{
    struct world world;
    struct seat seat;
    struct store_figures figures;
    open_and_flush(&world, &seat);
    check_items(&seat, false);
    add_three_times(&seat);
    check_items(&seat, true);
    store_figures(world.store, &figures);
    CHECK(figures.cache_only_incomplete == 0 && figures.worker_reads == 0);
    world_end(&world, &seat);
}

struct row_count {
    size_t count;
    uint8_t last[ROW_KEY_MAX];
    size_t last_len;
};

static bool count_row(void *arg, struct bytes row, struct bytes value)
{
    struct row_count *rows = arg;
    (void)value;
    CHECK(bytes_compare(row, bytes_of(rows->last, rows->last_len)) > 0);
    memcpy(rows->last, row.ptr, row.len);
    rows->last_len = row.len;
    rows->count++;
    return true;
}

static enum err count_rows(struct view *view, enum view_read how, size_t *count)
{
    struct row_key low = {0};
    struct row_count rows = {0};
    row_u64(&low, TABLE_ID_FIRST);
    struct view_scan scan = {.low = row_bytes(&low), .how = how, .fn = count_row, .arg = &rows};
    enum err err = view_scan(view, &scan);
    *count = rows.count;
    return err;
}

/* Whatever block of whatever file is missing, also beside deleted ranges. */
static void a_scan_is_whole_or_incomplete(void)
{
    enum { ROWS = 1200, RUNS = 4 };
    struct world world;
    struct seat seat;
    size_t count;
    world_init(&world);
    world.options.cache_bytes = 64u << 10;
    world_open(&world);
    seat_init(&seat, world.store);
    for (size_t run = 0; run < RUNS; run++) {
        char gone[16];
        snprintf(gone, sizeof(gone), "gone%zu", run);
        make_table(world.store, gone, 0);
        make_table(world.store, "t", 0);
        for (size_t i = 0; i < ROWS; i++) {
            char key[16];
            snprintf(key, sizeof(key), "k%zu", i * (run + 1) % (ROWS * 2));
            struct action action = {.kind = ACT_PUT,
                                    .table = i % 8 == 0 ? gone : "t",
                                    .key = key,
                                    .number = (int64_t)i,
                                    .padding = 500};
            CHECK(run_action(&seat, &action) == OK);
        }
        CHECK(delete_table(world.store, gone) == OK);
        store_flush(world.store);
    }
    CHECK(count_rows(world.store->view, VIEW_BLOCKING, &count) == OK);
    size_t whole = count;
    CHECK(whole > ROWS);
    size_t incomplete = 0;
    for (int n = 0; n < 400; n++) {
        reads_until_cold = n;
        enum err err = count_rows(world.store->view, VIEW_CACHED, &count);
        CHECK(err == ERR_INCOMPLETE || (err == OK && count == whole));
        incomplete += err == ERR_INCOMPLETE;
    }
    reads_until_cold = -1;
    CHECK(incomplete > 50);
    world_end(&world, &seat);
}

/* ---- the catalogue under its readers ---- */

struct churn {
    struct thread thread;
    struct store *store;
    unsigned number;
};

static void make_and_delete(void *arg)
{
    struct churn *churn = arg;
    char name[16];
    snprintf(name, sizeof(name), "c%u", churn->number % 2);
    for (unsigned i = 0; i < 60; i++) {
        make_table(churn->store, name, i % 2 == 0 ? STREAM_NEW_IMAGE : 0);
        enum err err = delete_table(churn->store, name);
        CHECK(err == OK || err == ERR_FAULT);
    }
}

static void use_what_is_there(void *arg)
{
    struct churn *churn = arg;
    struct seat seat;
    seat_init(&seat, churn->store);
    for (unsigned i = 0; i < 400; i++) {
        enum err err = put(&seat, i % 2 == 0 ? "c0" : "c1", "k", i);
        CHECK(err == OK || err == ERR_NOT_FOUND);
        const struct catalogue *catalogue = store_catalogue_pin(churn->store);
        const struct table *table = NULL;
        while ((table = catalogue_next_table(catalogue,
                                             table == NULL ? BYTES_NONE : table->name)) != NULL) {
            CHECK(catalogue_table(catalogue, table->name) == table);
            CHECK(catalogue_table_by_id(catalogue, table->id) == table);
            CHECK(table->stream == NULL ||
                  catalogue_stream(catalogue, table->stream->arn) == table->stream);
        }
        store_catalogue_unpin(churn->store, catalogue);
    }
    seat_fini(&seat);
}

static void tables_come_and_go_under_their_users(void)
{
    struct world world;
    struct churn churns[6];
    world_init(&world);
    world.options.repeat_evaluation = true;
    world_open(&world);
    for (unsigned i = 0; i < 6; i++) {
        churns[i] = (struct churn){.store = world.store, .number = i};
        thread_start(&churns[i].thread, ROLE_WORKER, "churn",
                     i < 3 ? make_and_delete : use_what_is_there, &churns[i]);
    }
    for (unsigned i = 0; i < 6; i++) {
        thread_join(&churns[i].thread);
    }
    uint64_t streams = 0;
    const struct catalogue *catalogue = store_catalogue_pin(world.store);
    uint64_t next_id = catalogue->next_id;
    const struct stream *stream = NULL;
    while ((stream = catalogue_next_stream(catalogue, stream == NULL ? BYTES_NONE : stream->arn,
                                           BYTES_NONE)) != NULL) {
        streams++;
    }
    store_catalogue_unpin(world.store, catalogue);
    world_close(&world);

    world_open(&world);
    catalogue = store_catalogue_pin(world.store);
    CHECK(catalogue->next_id == next_id);
    CHECK(catalogue->stream_count == streams && streams > 0);
    store_catalogue_unpin(world.store, catalogue);
    world_close(&world);
    world_remove(&world);
}

int main(void)
{
    RUN(ranges_are_what_their_bounds_say);
    RUN(cold_items_are_read_on_workers);
    RUN(what_the_page_cache_holds_is_read_at_once);
    RUN(a_scan_is_whole_or_incomplete);
    RUN(tables_come_and_go_under_their_users);
    return CHECK_RESULT();
}
