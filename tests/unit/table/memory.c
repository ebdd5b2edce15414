/* table: a task whose arena has no room for the next thing, at each place where it asks for some.
 * Whatever it had done by then, it is answered as one that found no memory and nothing of it is
 * seen; with room enough it goes through. */
#include "world.h"

#define STEP 16u         /* what an arena gives is a multiple of it */
#define ROOM_MOST 65536u /* more than any of these tasks takes */

typedef enum err evaluation(struct task *task, struct reader *reader, struct changes *changes);

/* An arena that gives `room` bytes and no more. */
static void arena_leave(struct arena *arena, size_t room)
{
    arena_init(arena, 2 * ROOM_MOST);
    arena->used = ROOM_MOST; /* so much is its next chunk */
    CHECK(arena_alloc(arena, STEP) != NULL);
    arena->limit = arena->used;
    arena->end = arena->next + room;
}

/* How many rooms were too small. */
static unsigned run_in_every_room(struct store *store, evaluation *evaluate, bool writes)
{
    enum err err = ERR_NOMEM;
    unsigned refusals = 0;
    uint64_t before = log_visible(store->log);
    for (size_t room = 0; err == ERR_NOMEM && room < ROOM_MOST - 2 * STEP; room += STEP) {
        struct arena arena;
        struct task task = {.evaluate = evaluate, .writes = writes, .arena = &arena};
        arena_leave(&arena, room);
        err = task_run_blocking(store, &task);
        CHECK(err == OK || err == ERR_NOMEM);
        CHECK(log_visible(store->log) == before + (writes && err == OK));
        CHECK((task.commit != 0) == (writes && err == OK));
        refusals += err != OK;
        arena_fini(&arena);
    }
    CHECK(err == OK && refusals > 0);
    return refusals;
}

static const struct table_definition definition = {
    .name = BYTES_INIT("made"),
    .schema = {.partition = {BYTES_INIT("pk"), VALUE_S}},
    .view = STREAM_NEW_AND_OLD,
};

static enum err create(struct task *task, struct reader *reader, struct changes *changes)
{
    const struct table *made = NULL;
    (void)task;
    return change_create_table(reader, changes, &definition, &made);
}

static enum err update(struct reader *reader, struct changes *changes,
                       const struct table_update *update)
{
    const struct table *made = NULL;
    return change_update_table(reader, changes, reader_table(reader, definition.name), update,
                               &made);
}

static enum err close_stream(struct task *task, struct reader *reader, struct changes *changes)
{
    (void)task;
    return update(reader, changes, &(struct table_update){.close_stream = true});
}

static enum err open_stream(struct task *task, struct reader *reader, struct changes *changes)
{
    (void)task;
    return update(reader, changes, &(struct table_update){.open_view = STREAM_NEW_AND_OLD});
}

static enum err expire(struct task *task, struct reader *reader, struct changes *changes)
{
    (void)task;
    return update(reader, changes,
                  &(struct table_update){.set_expiry = true, .expiry_attribute = BYTES("n")});
}

static enum err expire_again(struct task *task, struct reader *reader, struct changes *changes)
{
    (void)task;
    return update(reader, changes,
                  &(struct table_update){.set_expiry = true, .expiry_attribute = BYTES("m")});
}

static enum err keep_longer(struct task *task, struct reader *reader, struct changes *changes)
{
    (void)task;
    return update(reader, changes,
                  &(struct table_update){.set_retention = true, .retention_ms = 90000000});
}

static enum err drop_table(struct task *task, struct reader *reader, struct changes *changes)
{
    (void)task;
    return change_delete_table(reader, changes, reader_table(reader, definition.name));
}

/* Of item "k", in memory of its own, which outlives the tasks. */
static struct key key_of_k;

static void make_key(struct arena *arena)
{
    struct key_fault fault;
    CHECK(key_from_item(&definition.schema, make_item(arena, "k", 0, 0), arena, &key_of_k,
                        &fault) == KEY_OK);
}

/* Item "k" as it is, looked at so many times. */
static enum err change_to(struct reader *reader, struct changes *changes, struct bytes new_item,
                          unsigned looks)
{
    struct bytes old = BYTES_NONE;
    const struct table *table = reader_table(reader, definition.name);
    for (unsigned i = 0; i < looks; i++) {
        enum err err = reader_get(reader, table, &key_of_k, &old);
        if (err != OK && err != ERR_NOT_FOUND) {
            return err;
        }
    }
    return change_item(reader, changes, table, &key_of_k, old, new_item, ORIGIN_USER);
}

static struct bytes item_of_now; /* written by the tasks below */

static enum err put_with_token(struct task *task, struct reader *reader, struct changes *changes)
{
    static const uint8_t hash[32] = {7};
    (void)task;
    TRY(change_token(reader, changes, BYTES("token"), hash));
    return change_to(reader, changes, item_of_now, 1);
}

static enum err put_item(struct task *task, struct reader *reader, struct changes *changes)
{
    (void)task;
    return change_to(reader, changes, item_of_now, 1);
}

static enum err drop_item(struct task *task, struct reader *reader, struct changes *changes)
{
    (void)task;
    return change_to(reader, changes, BYTES_NONE, 1);
}

/* Each look is noted for the committer. */
static enum err look_often(struct task *task, struct reader *reader, struct changes *changes)
{
    (void)task;
    return change_to(reader, changes, item_of_now, 9);
}

static size_t records_read;

static enum err read_records(struct task *task, struct reader *reader, struct changes *changes)
{
    (void)task;
    (void)changes;
    struct log_read read = {
        .hash_high = UINT64_MAX,
        .records_max = 100,
        .bytes_max = 1u << 20,
        .arena = reader->arena,
    };
    const struct table *table = reader_table(reader, definition.name);
    read.after = reader_stream_trim(reader, table->stream);
    TRY(reader_stream(reader, table->stream, &read));
    records_read = read.count;
    return OK;
}

static int64_t number_read;

static enum err read_together(struct task *task, struct reader *reader, struct changes *changes)
{
    struct bytes found[1];
    (void)task;
    (void)changes;
    const struct table *table = reader_table(reader, definition.name);
    const struct reader_place place = {table, &key_of_k};
    enum err err = reader_get_together(reader, &place, 1, 65536, found);
    number_read = err == OK ? item_number(found[0]) : -1;
    return err;
}

static void open_world(struct world *world, bool repeat)
{
    world_init(world);
    world->options.repeat_evaluation = repeat; /* then the committer finds no memory too */
    world_open(world);
    keeper_close(world->store->keeper); /* who commit things of their own */
    world->store->keeper = NULL;
    expirer_close(world->store->expirer);
    world->store->expirer = NULL;
}

static void tables_are_changed_whole_or_not_at_all(bool repeat)
{
    struct world world;
    open_world(&world, repeat);
    CHECK(run_in_every_room(world.store, create, true) > 10);
    run_in_every_room(world.store, keep_longer, true);
    run_in_every_room(world.store, close_stream, true);
    run_in_every_room(world.store, open_stream, true);
    run_in_every_room(world.store, expire, true);
    run_in_every_room(world.store, expire_again, true);
    run_in_every_room(world.store, drop_table, true);
    world_close(&world);
    world_remove(&world);
}

static void items_are_changed_whole_or_not_at_all(bool repeat)
{
    struct world world;
    struct seat seat;
    struct arena items;
    open_world(&world, repeat);
    arena_init(&items, 0);
    make_key(&items);
    seat_init(&seat, world.store);
    CHECK(store_ensure_table(world.store, &definition) == OK);
    item_of_now = make_item(&items, "k", 4000000000, 100);
    run_in_every_room(world.store, put_with_token, true);
    CHECK(get(&seat, "made", "k") == 4000000000);
    run_in_every_room(world.store, expire, true);
    item_of_now = make_item(&items, "k", 4000000001, 300);
    run_in_every_room(world.store, put_item, true);
    item_of_now = make_item(&items, "k", 4000000002, 0);
    run_in_every_room(world.store, look_often, true);
    CHECK(get(&seat, "made", "k") == 4000000002);

    run_in_every_room(world.store, read_together, false);
    CHECK(number_read == 4000000002);
    run_in_every_room(world.store, drop_item, true);
    CHECK(get(&seat, "made", "k") == -1);
    run_in_every_room(world.store, read_records, false);
    CHECK(records_read == 4);
    seat_fini(&seat);
    arena_fini(&items);
    world_close(&world);
    world_remove(&world);
}

static void a_change_without_memory_did_not_happen(void)
{
    tables_are_changed_whole_or_not_at_all(false);
    items_are_changed_whole_or_not_at_all(false);
}

static void nor_one_that_the_committer_found_none_for(void)
{
    tables_are_changed_whole_or_not_at_all(true);
    items_are_changed_whole_or_not_at_all(true);
}

int main(void)
{
    RUN(a_change_without_memory_did_not_happen);
    RUN(nor_one_that_the_committer_found_none_for);
    return CHECK_RESULT();
}
