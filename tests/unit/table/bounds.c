/* table: the bounds that table.h and its README state, at them and one past them. */
#include "world.h"

/* A task with one thing to do, run blocking. */
typedef enum err evaluation(struct task *task, struct reader *reader, struct changes *changes);

static enum err run(struct store *store, evaluation *evaluate, bool writes)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct task task = {.evaluate = evaluate, .writes = writes, .arena = &arena};
    enum err err = task_run_blocking(store, &task);
    arena_fini(&arena);
    return err;
}

/* ---- a commit ---- */

static unsigned wanted;

static enum err change_many(struct task *task, struct reader *reader, struct changes *changes)
{
    const struct table *table = reader_table(reader, BYTES("t"));
    for (unsigned i = 0; i < wanted; i++) {
        struct key key;
        struct key_fault fault;
        char text[16];
        snprintf(text, sizeof(text), "k%u", i);
        struct bytes item = make_item(task->arena, text, 1 + i, 0);
        CHECK(key_from_item(&table->schema, item, task->arena, &key, &fault) == KEY_OK);
        TRY(change_item(reader, changes, table, &key, BYTES_NONE, item, ORIGIN_USER));
    }
    return OK;
}

static void a_commit_takes_so_many_changes(void)
{
    struct world world;
    struct seat seat;
    world_begin(&world, &seat, STREAM_KEYS_ONLY);
    uint64_t before = log_visible(world.store->log);
    wanted = COMMIT_COUNT_MAX + 1;
    CHECK(run(world.store, change_many, true) == ERR_RANGE);
    CHECK(get(&seat, "t", "k0") == -1 && log_visible(world.store->log) == before);
    wanted = COMMIT_COUNT_MAX;
    CHECK(run(world.store, change_many, true) == OK);
    CHECK(get(&seat, "t", "k0") == 1 && get(&seat, "t", "k1023") == COMMIT_COUNT_MAX);
    CHECK(log_visible(world.store->log) == before + 1);
    world_end(&world, &seat);
}

/* ---- a token ---- */

static char token_text[TOKEN_LEN_MAX + 1];
static size_t token_len;
static bool token_known;

static enum err make_known(struct task *task, struct reader *reader, struct changes *changes)
{
    static const uint8_t hash[32] = {9};
    (void)task;
    return change_token(reader, changes, bytes_of(token_text, token_len), hash);
}

static enum err ask_token(struct task *task, struct reader *reader, struct changes *changes)
{
    struct token_state state;
    (void)task;
    (void)changes;
    enum err err = reader_token(reader, bytes_of(token_text, token_len), &state);
    token_known = err == OK && state.request_hash[0] == 9;
    return err == ERR_NOT_FOUND ? OK : err;
}

static void a_token_is_so_long_at_most(void)
{
    struct world world;
    world_init(&world);
    world_open(&world);
    memset(token_text, 't', sizeof(token_text));
    token_len = TOKEN_LEN_MAX + 1;
    CHECK(run(world.store, make_known, true) == ERR_RANGE);
    CHECK(run(world.store, ask_token, false) == OK && !token_known);
    token_len = TOKEN_LEN_MAX;
    CHECK(run(world.store, make_known, true) == OK);
    CHECK(run(world.store, ask_token, false) == OK && token_known);
    world_close(&world);
    world_remove(&world);
}

/* ---- a part of a table ---- */

static struct reader_hashes hashes;
static size_t items_seen;

static bool count_item(void *arg, struct bytes key, struct bytes item)
{
    (void)arg;
    (void)key;
    items_seen += item_number(item) > 0;
    return true;
}

static enum err scan_part(struct task *task, struct reader *reader, struct changes *changes)
{
    (void)task;
    (void)changes;
    items_seen = 0;
    return reader_scan_table(reader, reader_table(reader, BYTES("t")), &hashes, count_item, NULL);
}

static void a_part_of_a_table_ends_at_its_hashes(void)
{
    struct world world;
    struct seat seat;
    struct key key = {.bytes = BYTES("k"), .hash = UINT64_MAX};
    world_begin(&world, &seat, 0);
    CHECK(put(&seat, "t", "a", 1) == OK && put(&seat, "t", "b", 2) == OK);
    hashes = (struct reader_hashes){.hash_high = UINT64_MAX};
    CHECK(run(world.store, scan_part, false) == OK && items_seen == 2);
    hashes = (struct reader_hashes){.hash_low = 2, .hash_high = 1};
    CHECK(run(world.store, scan_part, false) == OK && items_seen == 0);
    hashes = (struct reader_hashes){.hash_high = UINT64_MAX / 2, .after = &key};
    CHECK(run(world.store, scan_part, false) == OK && items_seen == 0);
    world_end(&world, &seat);
}

/* ---- a label ---- */

static uint64_t label_ms;
static char label[32];

static enum err make_labelled(struct task *task, struct reader *reader, struct changes *changes)
{
    static const struct table_definition definition = {
        .name = BYTES_INIT("labelled"),
        .schema = {.partition = {BYTES_INIT("pk"), VALUE_S}},
        .view = STREAM_KEYS_ONLY,
    };
    const struct table *made = NULL;
    struct changes dropped = {0};
    (void)task;
    (void)changes;
    reader->now_ms = label_ms;
    TRY(change_create_table(reader, &dropped, &definition, &made));
    snprintf(label, sizeof(label), "%.*s", BYTES_FMT(made->latest_stream_label));
    return OK;
}

static void a_label_is_the_time_of_its_making(void)
{
    static const struct {
        uint64_t ms;
        const char *label;
    } known[] = {
        {0, "1970-01-01T00:00:00.000"},
        {951782400000, "2000-02-29T00:00:00.000"},
        {1709251199999, "2024-02-29T23:59:59.999"},
        {1767225599999, "2025-12-31T23:59:59.999"},
        {1769860800001, "2026-01-31T12:00:00.001"},
        {4107456000000, "2100-02-28T00:00:00.000"},
        {4107542400000, "2100-03-01T00:00:00.000"},
    };
    struct world world;
    world_init(&world);
    world_open(&world);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        label_ms = known[i].ms;
        CHECK(run(world.store, make_labelled, false) == OK);
        CHECK_BYTES(bytes_cstr(label), bytes_cstr(known[i].label));
    }
    world_close(&world);
    world_remove(&world);
}

int main(void)
{
    RUN(a_commit_takes_so_many_changes);
    RUN(a_token_is_so_long_at_most);
    RUN(a_part_of_a_table_ends_at_its_hashes);
    RUN(a_label_is_the_time_of_its_making);
    return CHECK_RESULT();
}
