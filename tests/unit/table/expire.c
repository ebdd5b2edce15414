/* table/expire: the expiry rows are those of the items, whatever is written, killed and started
 * again; what was there before gets its rows, once; only what is due goes. The items' numbers are
 * their times, far from now, so that the store's own thread finds nothing due. */
#include "world.h"

#define LATER ((int64_t)4000000000) /* the year 2096 */
#define MANY 9000                   /* more than one look at the table makes rows for */

static const struct table_update on = {.set_expiry = true, .expiry_attribute = BYTES_INIT("n")};
static const struct table_update off = {.set_expiry = true};

static const _Atomic bool never = false;

static void stop_expirer(struct world *world)
{
    expirer_close(world->store->expirer);
    world->store->expirer = NULL;
}

static uint64_t expiry_id_of(struct store *store)
{
    const struct catalogue *catalogue = store_catalogue_pin(store);
    const struct table *table = catalogue_table(catalogue, BYTES("t"));
    uint64_t id = table == NULL ? 0 : table->expiry_id;
    store_catalogue_unpin(store, catalogue);
    return id;
}

/* ---- rows against items ---- */

/* Sums do not depend on the order, and no two rows that differ have the same by chance. */
struct sum {
    size_t count;
    uint64_t sum;
};

static void add_to_sum(struct sum *sum, uint64_t second, struct bytes hash_and_key)
{
    sum->count++;
    sum->sum += hash_key(hash_and_key) ^ second * 0x9e3779b97f4a7c15u;
}

static bool add_row(void *arg, struct bytes row, struct bytes value)
{
    CHECK(value.len == 0);
    add_to_sum(arg, read_u64_big(row.ptr + 17), bytes_of(row.ptr + 25, row.len - 25));
    return true;
}

static bool add_item(void *arg, struct bytes row, struct bytes item)
{
    if (item_number(item) > 0) {
        add_to_sum(arg, (uint64_t)item_number(item), bytes_of(row.ptr + 8, row.len - 8));
    }
    return true;
}

static struct sum sum_of(struct store *store, const struct row_key *low, const struct row_key *high,
                         bool (*fn)(void *arg, struct bytes row, struct bytes value))
{
    struct sum sum = {0};
    struct view_scan scan = {
        .low = row_bytes(low),
        .high = row_bytes(high),
        .how = VIEW_BLOCKING,
        .fn = fn,
        .arg = &sum,
    };
    CHECK(view_scan(store->view, &scan) == OK);
    return sum;
}

static size_t rows_in_all(struct store *store)
{
    struct row_key low;
    struct row_key high;
    row_of_store(&low, 'x');
    row_of_store(&high, 'y');
    return sum_of(store, &low, &high, add_row).count;
}

/* Every item with a time has its row, and nothing else has one. */
static void check_rows(struct store *store, size_t count)
{
    struct row_key low;
    struct row_key high;
    row_of_store_u64(&low, 'x', expiry_id_of(store));
    row_of_store_u64(&high, 'x', expiry_id_of(store) + 1);
    struct sum rows = sum_of(store, &low, &high, add_row);
    const struct catalogue *catalogue = store_catalogue_pin(store);
    uint64_t id = catalogue_table(catalogue, BYTES("t"))->id;
    store_catalogue_unpin(store, catalogue);
    low.len = 0;
    high.len = 0;
    row_u64(&low, id);
    row_u64(&high, id + 1);
    struct sum items = sum_of(store, &low, &high, add_item);
    CHECK(rows.count == count && items.count == count && rows.sum == items.sum);
    CHECK(rows_in_all(store) == count);
}

static void rows_are_those_of_the_items(void)
{
    struct world world;
    struct world copy;
    struct seat seat;
    world_init(&world);
    world_init(&copy);
    world_open(&world);
    make_table(world.store, "t", STREAM_KEYS_ONLY);
    seat_init(&seat, world.store);
    CHECK(put(&seat, "t", "before", LATER) == OK);
    CHECK(put(&seat, "t", "untimed before", -5) == OK);
    stop_expirer(&world);
    update_table(world.store, "t", on);
    CHECK(rows_in_all(world.store) == 0); /* of those that were there before, not yet */
    CHECK(put(&seat, "t", "put", LATER) == OK);
    CHECK(put(&seat, "t", "put again", LATER) == OK);
    CHECK(put(&seat, "t", "put again", LATER + 1) == OK);
    CHECK(put(&seat, "t", "same time", LATER) == OK);
    struct action grown = {
        .kind = ACT_PUT, .table = "t", .key = "same time", .number = LATER, .padding = 9};
    CHECK(run_action(&seat, &grown) == OK);
    CHECK(put(&seat, "t", "dropped", LATER) == OK);
    CHECK(drop(&seat, "t", "dropped") == OK);
    CHECK(put(&seat, "t", "untimed", LATER) == OK);
    CHECK(put(&seat, "t", "untimed", 0) == OK);
    CHECK(rows_in_all(world.store) == 3);
    store_expire(world.store, 1000, &never);
    check_rows(world.store, 4);
    world_copy(&world, &copy);
    seat_fini(&seat);
    world_close(&world);

    world_open(&copy); /* from the log */
    check_rows(copy.store, 4);
    world_close(&copy);
    world_open(&world); /* from the view */
    stop_expirer(&world);
    check_rows(world.store, 4);
    update_table(world.store, "t", off);
    CHECK(expiry_id_of(world.store) == 0 && rows_in_all(world.store) == 0);
    update_table(world.store, "t", on);
    store_expire(world.store, 1000, &never);
    check_rows(world.store, 4);
    CHECK(delete_table(world.store, "t") == OK);
    CHECK(rows_in_all(world.store) == 0);
    world_close(&world);
    world_remove(&world);
    world_remove(&copy);
}

/* ---- going on after a kill ---- */

static void put_many(struct seat *seat)
{
    static char keys[MANY][12];
    static struct job jobs[MANY / ACTIONS_MAX];
    memset(jobs, 0, sizeof(jobs));
    for (int i = 0; i < MANY; i++) {
        struct job *job = &jobs[i / ACTIONS_MAX];
        snprintf(keys[i], sizeof(keys[i]), "%d", i);
        job->actions[job->count++] =
            (struct action){.kind = ACT_PUT, .table = "t", .key = keys[i], .number = LATER + i};
    }
    for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++) {
        CHECK(job_run(seat, &jobs[i]) == OK);
    }
}

static bool is_filled(struct store *store)
{
    struct row_key row;
    struct arena arena;
    struct bytes value = BYTES_NONE;
    arena_init(&arena, 0);
    row_of_store_u64(&row, 'f', expiry_id_of(store));
    enum err err = view_get(store->view, row_bytes(&row), VIEW_BLOCKING, &arena, &value);
    bool filled = err == OK && value.len > 0 && value.ptr[0] == 1;
    arena_fini(&arena);
    return filled;
}

static void making_rows_goes_on_from_its_place(void)
{
    struct world world;
    struct world copy;
    struct seat seat;
    struct store_figures figures;
    world_init(&world);
    world_init(&copy);
    world_open(&world);
    make_table(world.store, "t", STREAM_KEYS_ONLY);
    seat_init(&seat, world.store);
    put_many(&seat);
    stop_expirer(&world);
    update_table(world.store, "t", on);
    store_expire(world.store, 1000, &never);
    size_t made = rows_in_all(world.store);
    CHECK(made > 0 && made < MANY && !is_filled(world.store));
    world_copy(&world, &copy);
    store_expire(world.store, 1000, &never);
    CHECK(is_filled(world.store));
    check_rows(world.store, MANY);
    seat_fini(&seat);
    world_close(&world);

    world_open(&copy);
    for (int i = 0; i < 10000 && !is_filled(copy.store); i++) {
        thread_pause_ms(1);
    }
    check_rows(copy.store, MANY);
    store_figures(copy.store, &figures);
    CHECK(figures.commits > 0 && figures.commits < 10); /* the rest, not all again */
    world_close(&copy);
    world_remove(&world);
    world_remove(&copy);
}

/* ---- what goes ---- */

static void only_what_is_due_goes(void)
{
    const uint64_t now_ms = (uint64_t)(LATER + 10) * 1000 + 999;
    const int64_t oldest = LATER + 10 - (int64_t)5 * 365 * 86400;
    struct world world;
    struct seat seat;
    struct store_figures figures;
    world_begin(&world, &seat, STREAM_KEYS_ONLY);
    update_table(world.store, "t", on);
    stop_expirer(&world);
    CHECK(put(&seat, "t", "due", LATER + 10) == OK);
    CHECK(put(&seat, "t", "next", LATER + 11) == OK);
    CHECK(put(&seat, "t", "old", oldest) == OK);
    CHECK(put(&seat, "t", "ancient", oldest - 11) == OK);
    store_expire(world.store, (uint64_t)LATER * 1000, &never);
    CHECK(get(&seat, "t", "due") > 0 && get(&seat, "t", "old") == -1);
    store_expire(world.store, now_ms, &never);
    CHECK(get(&seat, "t", "due") == -1 && get(&seat, "t", "next") > 0);
    CHECK(get(&seat, "t", "ancient") > 0);
    /* What is due already when it is written, below all that was swept; and after a clock that was
     * set back. */
    CHECK(put(&seat, "t", "late", LATER - 1000) == OK);
    store_expire(world.store, 1000, &never);
    CHECK(get(&seat, "t", "late") > 0);
    store_expire(world.store, now_ms, &never);
    CHECK(get(&seat, "t", "late") == -1);
    store_expire(world.store, now_ms + 1000, &never);
    CHECK(get(&seat, "t", "next") == -1);
    store_figures(world.store, &figures);
    CHECK(figures.expired == 4);
    check_rows(world.store, 1);
    world_end(&world, &seat);
}

/* A stop finds nothing begun after it, and nothing forgotten the next time. */
static void a_stop_leaves_what_is_due_for_later(void)
{
    static const _Atomic bool stopping = true;
    struct world world;
    struct seat seat;
    world_begin(&world, &seat, STREAM_KEYS_ONLY);
    CHECK(put(&seat, "t", "before", LATER) == OK);
    stop_expirer(&world);
    update_table(world.store, "t", on);
    CHECK(put(&seat, "t", "due", LATER) == OK);
    store_expire(world.store, (uint64_t)(LATER + 1) * 1000, &stopping);
    CHECK(get(&seat, "t", "due") > 0 && rows_in_all(world.store) == 1);
    store_expire(world.store, (uint64_t)(LATER + 1) * 1000, &never);
    CHECK(get(&seat, "t", "due") == -1 && get(&seat, "t", "before") == -1);
    world_end(&world, &seat);
}

/* ---- more time, given while it is swept ---- */

#define RACERS 512

struct race {
    struct store *store;
    char keys[RACERS][12];
    bool kept[RACERS]; /* it was there still when it was given more time */
};

static void give_more_time(void *arg)
{
    struct race *race = arg;
    struct seat seat;
    seat_init(&seat, race->store);
    for (int i = 0; i < RACERS; i++) {
        struct action action = {.kind = ACT_PUT,
                                .table = "t",
                                .key = race->keys[i],
                                .number = LATER + 1000000,
                                .must_exist = true};
        race->kept[i] = run_action(&seat, &action) == OK;
    }
    seat_fini(&seat);
}

static void more_time_that_was_given_counts(void)
{
    static struct race race;
    struct world world;
    struct seat seat;
    struct thread thread;
    world_begin(&world, &seat, STREAM_KEYS_ONLY);
    update_table(world.store, "t", on);
    stop_expirer(&world);
    race.store = world.store;
    for (int i = 0; i < RACERS; i++) {
        snprintf(race.keys[i], sizeof(race.keys[i]), "%d", i);
        CHECK(put(&seat, "t", race.keys[i], LATER + i) == OK);
    }
    thread_start(&thread, ROLE_WORKER, "giver", give_more_time, &race);
    for (int i = 0; i < RACERS; i += 4) {
        store_expire(world.store, (uint64_t)(LATER + i) * 1000, &never);
    }
    thread_join(&thread);
    store_expire(world.store, (uint64_t)(LATER + RACERS) * 1000, &never);
    size_t kept = 0;
    for (int i = 0; i < RACERS; i++) {
        CHECK((get(&seat, "t", race.keys[i]) > 0) == race.kept[i]);
        kept += race.kept[i];
    }
    check_rows(world.store, kept);
    world_end(&world, &seat);
}

int main(void)
{
    RUN(rows_are_those_of_the_items);
    RUN(making_rows_goes_on_from_its_place);
    RUN(only_what_is_due_goes);
    RUN(a_stop_leaves_what_is_due_for_later);
    RUN(more_time_that_was_given_counts);
    return CHECK_RESULT();
}
