/* client: what a follower reads of an event's key is never older than the event, whoever writes:
 * other threads, single writes and transactions over the same keys, puts and deletes, many in each
 * commit group. Every event's key is read in the callback that hands it over, through the same
 * interface.
 *
 * HW_TEST_EVENTS: how many events (100,000). */
#include "client/follow.h"

#include "../op/harness.h"
#include "base/mem.h"

#include <stdatomic.h>

#define WRITERS 3u
#define IN_FLIGHT 24u
#define SHARED_KEYS 40u /* counted up by everybody */
#define OWN_KEYS 8u     /* of each writer: put and deleted, with numbers that grow */

#define TABLE BYTES("newest")

static uint64_t wanted;
static _Atomic uint64_t made;     /* events that answered writes have caused */
static _Atomic uint64_t writing;  /* writers at work */
static _Atomic uint64_t refused;  /* writes answered with a fault other than a throttle */
static _Atomic uint64_t in_group; /* events of transactions */

/* ---- writers ---- */

struct writer;

struct write {
    struct op_call call; /* first */
    struct arena arena;
    struct writer *writer;
    uint64_t changes; /* events that it causes if it does anything */
};

struct writer {
    struct thread thread;
    unsigned number;
    struct event wake;
    struct mailbox home;
    struct lane lane;
    struct client client;
    struct write writes[IN_FLIGHT];
    size_t running;
    uint64_t step;
};

static struct bytes item_of(struct arena *arena, struct bytes key, int64_t number)
{
    struct item_build build;
    struct bytes item = BYTES_NONE;
    item_build_init(&build, arena);
    item_build_s(&build, BYTES("pk"), key);
    if (number >= 0) {
        item_build_i64(&build, BYTES("v"), number);
    }
    CHECK(item_build_end(&build, &item) == OK);
    return item;
}

static struct expression_tokens one(struct arena *arena)
{
    struct item_build build;
    struct expression_tokens tokens = {.has_values = true};
    item_build_init(&build, arena);
    item_build_i64(&build, BYTES(":one"), 1);
    CHECK(item_build_end(&build, &tokens.values) == OK);
    return tokens;
}

static struct bytes shared_key(struct arena *arena, uint64_t n)
{
    return item_of(arena, arena_printf(arena, "s%llu", (unsigned long long)(n % SHARED_KEYS)), -1);
}

static void make_update(struct write *write)
{
    struct update_item_in *in = arena_zalloc(&write->arena, sizeof(*in));
    *in = (struct update_item_in){.table_name = TABLE,
                                  .key = shared_key(&write->arena, write->writer->step),
                                  .update = BYTES("ADD v :one"),
                                  .tokens = one(&write->arena)};
    write->call.op = &op_update_item;
    write->call.in = in;
    write->changes = 1;
}

static void make_transaction(struct write *write)
{
    struct transact_write_in *in = arena_zalloc(&write->arena, sizeof(*in));
    in->count = 3;
    in->actions = arena_zalloc(&write->arena, in->count * sizeof(in->actions[0]));
    for (size_t i = 0; i < in->count; i++) {
        in->actions[i] =
            (struct transact_action){.kind = TRANSACT_UPDATE,
                                     .table_name = TABLE,
                                     .item = shared_key(&write->arena, write->writer->step * 7 + i),
                                     .update = BYTES("ADD v :one"),
                                     .tokens = one(&write->arena)};
    }
    write->call.op = &op_transact_write_items;
    write->call.in = in;
    write->changes = in->count;
}

/* Puts of a key are in the order of their numbers: a lane's proposals keep theirs. */
static void make_put_or_delete(struct write *write, bool put)
{
    uint64_t step = write->writer->step;
    struct bytes key = arena_printf(&write->arena, "o%u-%u", write->writer->number,
                                    (unsigned)(step / 8 % OWN_KEYS));
    if (put) {
        struct put_item_in *in = arena_zalloc(&write->arena, sizeof(*in));
        in->table_name = TABLE;
        in->item = item_of(&write->arena, key, (int64_t)step + 1);
        write->call.op = &op_put_item;
        write->call.in = in;
    } else {
        struct delete_item_in *in = arena_zalloc(&write->arena, sizeof(*in));
        in->table_name = TABLE;
        in->key = item_of(&write->arena, key, -1);
        write->call.op = &op_delete_item;
        write->call.in = in;
    }
    write->changes = 1;
}

static void write_done(struct op_call *call);

static void write_next(struct write *write)
{
    struct writer *writer = write->writer;
    if (atomic_load(&made) >= wanted) {
        return;
    }
    arena_reset(&write->arena);
    write->call = (struct op_call){.arena = &write->arena, .done = write_done};
    uint64_t turn = writer->step++ % 8;
    if (turn == 0) {
        make_transaction(write);
    } else if (turn == 3 || turn == 4 || turn == 5) {
        make_put_or_delete(write, turn != 5);
    } else {
        make_update(write);
    }
    writer->running++;
    client_start(&writer->client, &write->call);
}

static uint64_t commit_of(const struct op_call *call)
{
    return *(const uint64_t *)(const void *)((const uint8_t *)call->out + call->op->commit_offset);
}

static void write_done(struct op_call *call)
{
    struct write *write = (struct write *)call;
    bool throttled = call->fault.code == FAULT_THROUGHPUT_EXCEEDED;
    write->writer->running--;
    atomic_fetch_add(&refused, call->fault.code != FAULT_NONE && !throttled);
    if (call->fault.code == FAULT_NONE && commit_of(call) != 0) {
        atomic_fetch_add(&made, write->changes);
        atomic_fetch_add(&in_group, write->changes > 1 ? write->changes : 0);
    }
    write_next(write);
}

static void write_on(void *arg)
{
    struct writer *writer = arg;
    lane_init(&writer->lane, harness.store, &writer->home);
    client_init_local(&writer->client, &writer->lane);
    for (size_t i = 0; i < IN_FLIGHT; i++) {
        writer->writes[i].writer = writer;
        arena_init(&writer->writes[i].arena, 0);
        write_next(&writer->writes[i]);
    }
    while (writer->running > 0) {
        lane_flush(&writer->lane);
        if (mailbox_run(&writer->home) == 0) {
            event_wait(&writer->wake, -1);
        }
    }
    for (size_t i = 0; i < IN_FLIGHT; i++) {
        arena_fini(&writer->writes[i].arena);
    }
    lane_fini(&writer->lane);
    atomic_fetch_sub(&writing, 1);
    event_signal(&harness.wake);
}

/* ---- the follower ---- */

struct look {
    struct op_call call; /* first */
    struct arena arena;
    struct get_item_in in;
    bool removed;    /* the event was */
    int64_t version; /* what the event told: the new image's, or a removed one's old */
    struct look *next_free;
};

static struct client client;
static struct look *free_looks;
static size_t looking;
static uint64_t events;
static uint64_t looks;
static uint64_t older;
static uint64_t newer;
static uint64_t gone;
static int64_t awaited[WRITERS][OWN_KEYS]; /* read as absent though put: a removal must follow */
static uint64_t never_removed;

static int64_t version_of(struct bytes item)
{
    struct value value;
    int64_t number = -1;
    return item_get(item, BYTES("v"), &value) && value_i64(value, &number) ? number : -1;
}

/* Where an own key's waiting for a removal is kept; NULL for the shared ones, which never go. */
static int64_t *awaited_of(struct bytes keys)
{
    struct value value;
    char text[24] = {0};
    unsigned writer = 0;
    unsigned key = 0;
    CHECK(item_get(keys, BYTES("pk"), &value) && value.body.len < sizeof(text));
    memcpy(text, value.body.ptr, value.body.len);
    bool own = sscanf(text, "o%u-%u", &writer, &key) == 2 && writer < WRITERS && key < OWN_KEYS;
    return own ? &awaited[writer][key] : NULL;
}

static void look_done(struct op_call *call)
{
    struct look *look = (struct look *)call;
    const struct get_item_out *out = call->out;
    CHECK(call->fault.code == FAULT_NONE);
    if (!out->found) {
        int64_t *place = look->removed ? NULL : awaited_of(look->in.key);
        older += !look->removed && place == NULL;
        gone++;
        if (place != NULL) {
            *place = look->version;
        }
    } else {
        int64_t version = version_of(out->item);
        older += look->removed ? version <= look->version : version < look->version;
        newer += version > look->version;
    }
    looks++;
    looking--;
    look->next_free = free_looks;
    free_looks = look;
}

/* The newest event of a key settles what was awaited of it. */
static void settle_awaited(const struct follow_event *event, int64_t version)
{
    int64_t *place = awaited_of(event->keys);
    if (place != NULL && *place > 0 && event->record.removed && version >= *place) {
        *place = 0;
    } else if (place != NULL && *place > 0 && event->record.inserted) {
        never_removed++;
    }
}

static void on_events(void *arg, const struct follow_event *batch, size_t count)
{
    (void)arg;
    for (size_t i = 0; i < count; i++) {
        const struct follow_event *event = &batch[i];
        struct look *look = free_looks;
        if (look == NULL) {
            look = mem_zalloc(1, sizeof(*look));
            arena_init(&look->arena, 0);
        } else {
            free_looks = look->next_free;
        }
        arena_reset(&look->arena);
        look->removed = event->record.removed;
        look->version =
            version_of(look->removed ? event->record.old_image : event->record.new_image);
        CHECK(look->version > 0);
        settle_awaited(event, look->version);
        look->in =
            (struct get_item_in){.table_name = TABLE, .key = arena_dup(&look->arena, event->keys)};
        look->call = (struct op_call){
            .op = &op_get_item, .arena = &look->arena, .in = &look->in, .done = look_done};
        looking++;
        client_start(&client, &look->call);
    }
    events += count;
}

static void on_ended(void *arg, enum err err)
{
    (void)arg;
    printf("the follower ended: %s\n", err_text(err));
    CHECK(false);
}

/* The follower's loop, until all that was made has been handed over and looked at. */
static void follow_to_the_end(void)
{
    while (atomic_load(&writing) > 0 || events < atomic_load(&made) || looking > 0) {
        lane_flush(&harness.lane);
        if (mailbox_run(&harness.home) == 0) {
            event_wait(&harness.wake, 1000);
        }
    }
}

static void what_is_read_is_never_older_than_the_event(void)
{
    static struct writer writers[WRITERS];
    const char *asked = getenv("HW_TEST_EVENTS");
    struct follow *follow = NULL;
    const struct follow_options options = {
        .table_name = TABLE, .start = FOLLOW_LATEST, .events = on_events, .ended = on_ended};
    CHECK(follow_open(&client, &options, &follow) == OK);
    wanted = asked != NULL ? strtoull(asked, NULL, 10) : 100000;
    writing = WRITERS;
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i].number = i;
        event_init(&writers[i].wake);
        mailbox_init(&writers[i].home, harness_wake, &writers[i].wake);
        thread_start(&writers[i].thread, ROLE_LOOP, "writer", write_on, &writers[i]);
    }
    follow_to_the_end();
    follow_close(follow);
    for (unsigned i = 0; i < WRITERS; i++) {
        thread_join(&writers[i].thread);
        event_fini(&writers[i].wake);
    }
    while (free_looks != NULL) {
        struct look *look = free_looks;
        free_looks = look->next_free;
        arena_fini(&look->arena);
        mem_free(look);
    }
    CHECK(refused == 0);
    CHECK(events == made && events >= wanted);
    CHECK(looks == events);
    CHECK(older == 0);
    CHECK(never_removed == 0);
    CHECK(in_group > events / 6 && newer > 0);
    printf(
        "     %llu events, %llu of transactions; %llu keys read newer than the event, %llu gone, "
        "%llu older\n",
        (unsigned long long)events, (unsigned long long)in_group, (unsigned long long)newer,
        (unsigned long long)gone, (unsigned long long)older);
}

int main(void)
{
    harness_init();
    client_init_local(&client, &harness.lane);
    call("CreateTable", MAKE_HASH_TABLE("newest", WITH_STREAM("NEW_AND_OLD_IMAGES")));
    RUN(what_is_read_is_never_older_than_the_event);
    harness_fini();
    return CHECK_RESULT();
}
