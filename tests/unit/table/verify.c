/* table: offline, the view is compared row by row with what the log makes of it, however many rows
 * there are, and what differs is named. */
#include "world.h"

#define ITEMS 3000u /* more than what a comparison has room for at first */
#define EACH ACTIONS_MAX
#define LATER ((int64_t)4000000000)

static enum err note_first(void *arg, const struct log_record *record)
{
    uint64_t *first = arg;
    *first = *first == 0 ? record->commit : *first;
    return OK;
}

static enum err verify(const struct world *world, struct store_verify *out)
{
    static struct log_report report;
    char log[96];
    *out = (struct store_verify){.log = &report};
    snprintf(log, sizeof(log), "%s/log", world->dir);
    CHECK(log_scan(log, note_first, &out->first, &report) == OK);
    return store_verify(world->dir, out);
}

static void check_named(const struct world *world, const char *reason)
{
    struct store_verify found;
    CHECK(verify(world, &found) == ERR_DAMAGED);
    CHECK(strstr(found.reason, reason) != NULL);
    CHECK(strncmp(found.file, world->dir, strlen(world->dir)) == 0);
    if (strstr(found.reason, reason) == NULL) {
        printf("%s: %s\n", found.file, found.reason);
    }
}

static void run(const char *words)
{
    CHECK(system(words) == 0);
}

/* ---- a world to verify ---- */

static void write_items(struct seat *seat, unsigned from, unsigned count, enum action_kind kind)
{
    char keys[EACH][16];
    struct job job = {.count = EACH};
    for (unsigned first = from; first < from + count; first += EACH) {
        for (unsigned i = 0; i < EACH; i++) {
            snprintf(keys[i], sizeof(keys[i]), "k%u", first + i);
            job.actions[i] = (struct action){
                .kind = kind, .table = "t", .key = keys[i], .number = LATER + first + i};
        }
        CHECK(job_run(seat, &job) == OK);
    }
}

static void make_world(struct world *world)
{
    static const struct table_update expire = {.set_expiry = true,
                                               .expiry_attribute = BYTES_INIT("n")};
    struct seat seat;
    world_init(world);
    world_open(world);
    seat_init(&seat, world->store);
    make_table(world->store, "t", STREAM_KEYS_ONLY);
    make_table(world->store, "gone", 0);
    CHECK(put(&seat, "gone", "k", 1) == OK);
    CHECK(delete_table(world->store, "gone") == OK);
    update_table(world->store, "t", expire);
    write_items(&seat, 0, ITEMS, ACT_PUT);
    write_items(&seat, 0, ITEMS / 3, ACT_PUT);
    write_items(&seat, ITEMS / 2, ITEMS / 10, ACT_DELETE);
    seat_fini(&seat);
    world_close(world);
}

/* The first row from low on. */
struct first_row {
    struct row_key row;
    uint8_t value[512];
    size_t value_len;
};

static bool take_first(void *arg, struct bytes row, struct bytes value)
{
    struct first_row *first = arg;
    CHECK(value.len <= sizeof(first->value));
    row_add(&first->row, row);
    memcpy(first->value, value.ptr, value.len);
    first->value_len = value.len;
    return false;
}

enum harm { HARM_CHANGE, HARM_DELETE, HARM_COPY };

/* What is not the log's doing, to the first row from low on; undone when it is called again with
 * what it returned. */
static struct first_row harm_view(const struct world *world, const struct row_key *low,
                                  enum harm harm)
{
    char dir[96];
    char reason[256];
    bool fresh = false;
    struct view *view = NULL;
    struct view_state state;
    struct first_row first = {0};
    snprintf(dir, sizeof(dir), "%s/view", world->dir);
    const struct view_options options = {
        .dir = dir, .memtable_bytes = 1u << 20, .cache_bytes = 1u << 20};
    CHECK(view_open(&options, &view, &state, &fresh, reason, sizeof(reason)) == OK && !fresh);
    const struct view_scan scan = {
        .low = row_bytes(low), .how = VIEW_BLOCKING, .fn = take_first, .arg = &first};
    CHECK(view_scan(view, &scan) == OK && first.row.len > 0);
    struct first_row now = first;
    if (harm == HARM_DELETE) {
        view_delete(view, row_bytes(&now.row));
    } else {
        now.value[now.value_len - 1] ^= harm == HARM_CHANGE;
        now.row.ptr[now.row.len - 1] ^= harm == HARM_COPY ? 0x40 : 0;
        view_put(view, row_bytes(&now.row), bytes_of(now.value, now.value_len));
    }
    CHECK(view_write(view, &state) == OK && view_flush(view) == OK);
    view_close(view);
    return harm == HARM_COPY ? now : first;
}

/* As it was: with a value, or (value NULL) without the row. */
static void mend_view(const struct world *world, const struct first_row *row, bool was)
{
    char dir[96];
    char reason[256];
    bool fresh = false;
    struct view *view = NULL;
    struct view_state state;
    snprintf(dir, sizeof(dir), "%s/view", world->dir);
    const struct view_options options = {
        .dir = dir, .memtable_bytes = 1u << 20, .cache_bytes = 1u << 20};
    CHECK(view_open(&options, &view, &state, &fresh, reason, sizeof(reason)) == OK && !fresh);
    if (was) {
        view_put(view, row_bytes(&row->row), bytes_of(row->value, row->value_len));
    } else {
        view_delete(view, row_bytes(&row->row));
    }
    CHECK(view_write(view, &state) == OK && view_flush(view) == OK);
    view_close(view);
}

static void row_of_items(struct row_key *low)
{
    low->len = 0;
    row_u64(low, TABLE_ID_FIRST);
}

static void every_row_of_many_is_compared(void)
{
    struct world world;
    struct store_verify found;
    struct row_key items;
    struct row_key expiries;
    make_world(&world);
    CHECK(verify(&world, &found) == OK);
    CHECK(found.rows > 2 * ITEMS && found.commit > ITEMS / EACH && found.tables > 0);

    row_of_items(&items);
    row_of_store(&expiries, 'x');
    struct first_row row = harm_view(&world, &items, HARM_CHANGE);
    check_named(&world, "it is not what was written by record");
    mend_view(&world, &row, true);
    row = harm_view(&world, &items, HARM_DELETE);
    check_named(&world, "it is missing, and was written by record");
    mend_view(&world, &row, true);
    row = harm_view(&world, &expiries, HARM_DELETE);
    check_named(&world, "a row of kind 'x': it is missing, and was written by record");
    mend_view(&world, &row, true);
    row = harm_view(&world, &items, HARM_COPY);
    check_named(&world, "rows, and the log makes");
    mend_view(&world, &row, false);
    CHECK(verify(&world, &found) == OK);
    world_remove(&world);
}

static void a_view_beside_another_log_is_named(void)
{
    struct world one;
    struct world other;
    char words[256];
    make_world(&one);
    make_world(&other);
    snprintf(words, sizeof(words), "rm -r '%s/log' && cp -a '%s/log' '%s'", one.dir, other.dir,
             one.dir);
    run(words);
    check_named(&one, "it was made from another log than the one beside it");
    world_remove(&one);
    world_remove(&other);
}

/* As a copy of the directory that was not taken at one time. */
static void a_view_that_is_ahead_of_its_log_is_named(void)
{
    struct world world;
    struct seat seat;
    char words[256];
    make_world(&world);
    snprintf(words, sizeof(words), "cp -a '%s/log' '%s/before'", world.dir, world.dir);
    run(words);
    world_open(&world);
    seat_init(&seat, world.store);
    CHECK(put(&seat, "t", "more", LATER) == OK);
    seat_fini(&seat);
    world_close(&world);
    snprintf(words, sizeof(words), "rm -r '%s/log' && mv '%s/before' '%s/log'", world.dir,
             world.dir, world.dir);
    run(words);
    check_named(&world, "it holds commits up to ");
    CHECK(store_open(&world.options, &world.store, &world.report) == ERR_DAMAGED);
    world_remove(&world);
}

static void a_format_that_is_missing_is_named(void)
{
    struct world world;
    struct store_verify found;
    char words[256];
    make_world(&world);
    snprintf(words, sizeof(words), "rm '%s/FORMAT'", world.dir);
    run(words);
    check_named(&world, "it is missing");
    snprintf(words, sizeof(words), "rm -r '%s/view'", world.dir);
    run(words);
    CHECK(verify(&world, &found) == ERR_NOT_FOUND); /* a log alone may be a copy */
    world_remove(&world);
}

static void a_view_that_is_new_has_nothing_to_compare(void)
{
    struct world world;
    struct store_verify found;
    char words[256];
    make_world(&world);
    snprintf(words, sizeof(words), "rm '%s'/view/*", world.dir);
    run(words);
    CHECK(verify(&world, &found) == ERR_NOT_FOUND && found.rows == 0);
    world_remove(&world);
}

int main(void)
{
    RUN(every_row_of_many_is_compared);
    RUN(a_view_beside_another_log_is_named);
    RUN(a_view_that_is_ahead_of_its_log_is_named);
    RUN(a_format_that_is_missing_is_named);
    RUN(a_view_that_is_new_has_nothing_to_compare);
    return CHECK_RESULT();
}
