/* table: the scrub compares rows of the view with what the log says last of them, while both are
 * written, and names a row that is not that (table I16). */
#include "world.h"

#include "sys/thread.h"

#define KEYS 400

static void open_world(struct world *world, struct seat *seat)
{
    world_init(world);
    world->options.scrub_bytes_per_second = 1u << 30;
    world->options.segment_bytes = 256u << 10;
    world->options.memtable_bytes = 64u << 10;
    world->options.flush_bytes = 256u << 10;
    world_open(world);
    make_table(world->store, "t", STREAM_NEW_AND_OLD);
    seat_init(seat, world->store);
}

static void close_world(struct world *world, struct seat *seat)
{
    seat_fini(seat);
    world_close(world);
    world_remove(world);
}

static void key_of(unsigned i, char key[16])
{
    snprintf(key, 16, "k%u", i);
}

static void put_keys(struct seat *seat, unsigned count, int64_t number)
{
    char key[16];
    for (unsigned i = 0; i < count; i++) {
        key_of(i, key);
        CHECK(put(seat, "t", key, number + i) == OK);
    }
}

static struct store_scrub scrub_of(struct world *world)
{
    struct store_scrub state = {.running = 1};
    store_scrub_start(world->store, 0);
    for (unsigned tries = 0; state.running != 0 && tries < 20000; tries++) {
        thread_pause_ms(1);
        store_scrub_state(world->store, &state);
    }
    CHECK(state.running == 0 && state.passes > 0);
    return state;
}

struct newest {
    struct row_key row;
    uint8_t value[256];
    size_t value_len;
};

static bool take_row(void *arg, struct bytes row, struct bytes value)
{
    struct newest *newest = arg;
    newest->row.len = 0;
    row_add(&newest->row, row);
    memcpy(newest->value, value.ptr, value.len);
    newest->value_len = value.len;
    return false;
}

/* The first row of an item. */
static void find_row(struct world *world, struct newest *newest)
{
    struct row_key low = {0};
    row_u64(&low, TABLE_ID_FIRST);
    const struct view_scan scan = {
        .low = row_bytes(&low), .how = VIEW_BLOCKING, .fn = take_row, .arg = newest};
    CHECK(view_scan(world->store->view, &scan) == OK);
    CHECK(newest->row.len > 16 && newest->value_len > 0);
}

/* Into the view alone, as no commit does. Nothing else is written meanwhile. */
static void change_row(struct world *world, const struct newest *row, bool is_there)
{
    struct view_snapshot *snapshot = view_snapshot_open(world->store->view);
    struct view_state state;
    CHECK(view_snapshot_state(snapshot, &state) == OK);
    view_snapshot_close(snapshot);
    view_leave(world->store->view);
    if (is_there) {
        view_put(world->store->view, row_bytes(&row->row), bytes_of(row->value, row->value_len));
    } else {
        view_delete(world->store->view, row_bytes(&row->row));
    }
    CHECK(view_write(world->store->view, &state) == OK);
    view_leave(world->store->view);
}

/* Rows that only a cleaned segment tells of are not compared. */
static uint64_t least_rows(const struct world *world)
{
    struct log_figures figures;
    log_figures(world->store->log, &figures);
    return figures.cleanings == 0 ? KEYS : 3;
}

static void rows_that_are_as_the_log_says_are_whole(void)
{
    struct world world;
    struct seat seat;
    open_world(&world, &seat);
    put_keys(&seat, KEYS, 1);
    put_keys(&seat, KEYS / 2, 1000);
    CHECK(drop(&seat, "t", "k7") == OK);
    struct store_scrub state = scrub_of(&world);
    CHECK(state.damages == 0 && state.rows >= least_rows(&world));
    CHECK(state.records >= least_rows(&world));
    CHECK(state.bytes > 0 && state.bytes == state.bytes_all);
    CHECK(delete_table(world.store, "t") == OK);
    make_table(world.store, "t", STREAM_NEW_AND_OLD);
    put_keys(&seat, 3, 5);
    state = scrub_of(&world);
    CHECK(state.damages == 0 && state.rows >= least_rows(&world) && state.passes == 2);
    close_world(&world, &seat);
}

static void a_row_that_is_not_what_was_written_is_named(void)
{
    struct world world;
    struct seat seat;
    struct newest row;
    open_world(&world, &seat);
    put_keys(&seat, KEYS, 1);
    find_row(&world, &row);
    struct newest other = row;
    other.value[other.value_len - 1] ^= 1;
    const struct {
        const struct newest *row;
        bool is_there;
        const char *words;
    } changes[] = {{&other, true, "it is not what was written"},
                   {&row, false, "it is missing, and was written"}};
    for (size_t i = 0; i < 2; i++) {
        change_row(&world, changes[i].row, changes[i].is_there);
        struct store_scrub state = scrub_of(&world);
        CHECK(state.damages == 1 && state.damages_total == i + 1);
        CHECK(strstr(state.told[0].reason, changes[i].words) != NULL);
        CHECK(strstr(state.told[0].file, "/view") != NULL);
        change_row(&world, &row, true);
        CHECK(scrub_of(&world).damages == 0);
    }
    close_world(&world, &seat);
}

static void a_row_that_was_deleted_and_is_there_is_named(void)
{
    struct world world;
    struct seat seat;
    struct newest row;
    open_world(&world, &seat);
    CHECK(put(&seat, "t", "k", 1) == OK);
    find_row(&world, &row);
    CHECK(drop(&seat, "t", "k") == OK);
    CHECK(scrub_of(&world).damages == 0);
    change_row(&world, &row, true);
    struct store_scrub state = scrub_of(&world);
    CHECK(state.damages == 1);
    CHECK(strstr(state.told[0].reason, "it is there, and was deleted") != NULL);
    close_world(&world, &seat);
}

struct sampling {
    struct world world;
    struct seat seat;
    struct sample *sample;
    unsigned rows; /* compared */
};

/* An item's record goes into the sample and, where it is not to be lost, into the view. */
static void add_record(struct sampling *sampling, unsigned i, unsigned number, bool lost)
{
    uint8_t key[10] = {0, 7};
    uint8_t item[8];
    struct arena arena;
    struct bytes body = BYTES_NONE;
    arena_init(&arena, 0);
    snprintf((char *)key + 2, 8, "k%06u", i);
    snprintf((char *)item, sizeof(item), "i%06u", number);
    const struct item_record of = {.origin = ORIGIN_USER,
                                   .was = true,
                                   .is = number > 0,
                                   .table_id = TABLE_ID_FIRST,
                                   .key = bytes_of(key, 9),
                                   .new_item = bytes_of(item, 7)};
    CHECK(item_record_encode(&of, &arena, &body) == OK);
    const struct log_record record = {
        .commit = 1, .count = 1, .body = body, .kind = KIND_RECORD_ITEM, .key_hash = i};
    CHECK(sample_add(sampling->sample, &record) == OK);
    if (!lost) {
        CHECK(record_apply(sampling->world.store->view, &record) == OK);
    }
    arena_fini(&arena);
}

static enum err count_row(void *arg, uint64_t bytes)
{
    struct sampling *sampling = arg;
    CHECK(bytes <= 7);
    sampling->rows++;
    return OK;
}

static enum err compare_sample(struct sampling *sampling)
{
    char reason[512];
    struct view_state state;
    struct view_snapshot *snapshot = view_snapshot_open(sampling->world.store->view);
    CHECK(view_snapshot_state(snapshot, &state) == OK);
    CHECK(view_write(sampling->world.store->view, &state) == OK);
    view_snapshot_close(snapshot);
    snapshot = view_snapshot_open(sampling->world.store->view);
    sampling->rows = 0;
    enum err err =
        sample_compare(sampling->sample, 0, snapshot, count_row, sampling, reason, sizeof(reason));
    view_snapshot_close(snapshot);
    return err;
}

/* More rows than are kept: the sample is halved on the way, more than once. */
static void a_sample_of_many_rows_is_a_part_of_them(void)
{
    enum { MANY = 50000 };
    struct sampling sampling = {.sample = sample_new()};
    open_world(&sampling.world, &sampling.seat);
    view_leave(sampling.world.store->view); /* nothing is committed from here on */
    for (unsigned i = 0; i < MANY; i++) {
        add_record(&sampling, i, 1 + i, false);
    }
    for (unsigned i = 0; i < MANY; i += 3) {
        add_record(&sampling, i, i % 2 == 0 ? 0 : 7, false);
    }
    CHECK(compare_sample(&sampling) == OK);
    CHECK(sampling.rows > 5000 && sampling.rows <= 16384);
    for (unsigned i = 0; i < MANY; i += 3) {
        add_record(&sampling, i, 9, true);
    }
    CHECK(compare_sample(&sampling) == ERR_DAMAGED);
    sample_free(sampling.sample);
    close_world(&sampling.world, &sampling.seat);
}

struct writing {
    struct store *store;
    _Atomic bool stopping;
    unsigned count;
};

static void write_on(void *arg)
{
    struct writing *writing = arg;
    struct seat seat;
    char key[16];
    seat_init(&seat, writing->store);
    while (!writing->stopping) {
        key_of(writing->count * 7 % KEYS, key);
        CHECK((writing->count % 5 == 0 ? drop(&seat, "t", key)
                                       : put(&seat, "t", key, writing->count)) == OK);
        writing->count++;
    }
    seat_fini(&seat);
}

/* HW_TEST_SCRUBS says how often it is looked, where each takes long. */
static void no_row_differs_while_they_are_written(void)
{
    const char *asked = getenv("HW_TEST_SCRUBS");
    unsigned long scrubs = asked != NULL ? strtoul(asked, NULL, 10) : 200;
    struct world world;
    struct seat seat;
    struct thread thread;
    open_world(&world, &seat);
    put_keys(&seat, KEYS, 1);
    struct writing writing = {.store = world.store};
    thread_start(&thread, ROLE_WORKER, "writer", write_on, &writing);
    for (unsigned long i = 0; i < scrubs; i++) {
        struct store_scrub state = scrub_of(&world);
        CHECK(state.damages == 0 && state.rows > 0);
    }
    writing.stopping = true;
    thread_join(&thread);
    CHECK(writing.count > 40);
    close_world(&world, &seat);
}

int main(void)
{
    RUN(rows_that_are_as_the_log_says_are_whole);
    RUN(a_row_that_is_not_what_was_written_is_named);
    RUN(a_row_that_was_deleted_and_is_there_is_named);
    RUN(a_sample_of_many_rows_is_a_part_of_them);
    RUN(no_row_differs_while_they_are_written);
    return CHECK_RESULT();
}
