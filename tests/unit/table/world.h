/* What tests of the store share: a store in a directory of its own, a lane that is run until its
 * tasks are home, and the small evaluations that most tests are made of. */
#ifndef HW_TEST_WORLD_H
#define HW_TEST_WORLD_H

#include "base/mem.h"
#include "check.h"
#include "sys/clock.h"
#include "table/table_priv.h"

#include <stdlib.h>
#include <unistd.h>

struct world {
    char dir[64];
    struct store_options options;
    struct store *store;
    struct store_report report;
};

static inline void world_init(struct world *world)
{
    *world = (struct world){.options = {.region = BYTES("us-east-1"),
                                        .account = BYTES("000000000000"),
                                        .segment_bytes = 1u << 20,
                                        .memtable_bytes = 1u << 20,
                                        .cache_bytes = 8u << 20}};
    snprintf(world->dir, sizeof(world->dir), "/tmp/hw-table-XXXXXX");
    if (mkdtemp(world->dir) == NULL) {
        printf("no temporary directory\n");
        exit(99);
    }
    world->options.data = world->dir;
}

static inline void world_open(struct world *world)
{
    enum err err = store_open(&world->options, &world->store, &world->report);
    if (err != OK) {
        printf("store_open: %s, %s: %s\n", err_text(err), world->report.log.file,
               world->report.log.reason);
        exit(99);
    }
}

static inline void world_close(struct world *world)
{
    CHECK(store_close(world->store) == OK);
    world->store = NULL;
}

static inline void world_remove(struct world *world)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", world->dir);
    CHECK(system(command) == 0);
}

/* Copies an open world's directory: what a kill would leave. Not while the log prepares a segment,
 * as a name that goes while it is copied fails the copy. */
static inline void world_copy(const struct world *world, const struct world *copy)
{
    char command[160];
    struct log_figures figures = {0};
    for (int tries = 0; figures.segments_ready == 0 && tries < 10000; tries++) {
        log_figures(world->store->log, &figures);
        thread_pause_ms(figures.segments_ready == 0 ? 1 : 0);
    }
    snprintf(command, sizeof(command), "cp -a '%s/.' '%s'", world->dir, copy->dir);
    CHECK(system(command) == 0);
}

/* A thread's lane, with an event to sleep on. */
struct seat {
    struct lane lane;
    struct mailbox home;
    struct event event;
    size_t pending;
};

static inline void seat_wake(void *arg)
{
    event_signal(arg);
}

static inline void seat_init(struct seat *seat, struct store *store)
{
    event_init(&seat->event);
    mailbox_init(&seat->home, seat_wake, &seat->event);
    lane_init(&seat->lane, store, &seat->home);
    seat->pending = 0;
}

static inline void seat_fini(struct seat *seat)
{
    lane_fini(&seat->lane);
    event_fini(&seat->event);
}

/* What a test's task does: up to ACTIONS_MAX items, each written or counted up, under conditions.
 */
#define ACTIONS_MAX 8

enum action_kind { ACT_PUT, ACT_DELETE, ACT_ADD, ACT_GET, ACT_NONE };

struct action {
    enum action_kind kind;
    const char *table;
    const char *key;
    int64_t number; /* put: the value; add: what is added */
    bool must_be_absent;
    bool must_exist;
    size_t padding; /* bytes of ballast in the item */
    /* out */
    bool found;
    int64_t value;
    struct bytes old_item; /* in the job's arena */
};

struct job {
    struct task task; /* first */
    struct arena arena;
    struct seat *seat;
    struct action actions[ACTIONS_MAX];
    size_t count;
    const char *token;
    bool token_known; /* out */
    bool failed;      /* out: a condition did not hold */
    bool no_table;
    unsigned evaluations;
    bool done;
    enum err err;
};

static inline struct bytes make_item(struct arena *arena, const char *key, int64_t number,
                                     size_t padding)
{
    struct item_build build;
    struct bytes item = BYTES_NONE;
    char *ballast = arena_zalloc(arena, padding + 1);
    memset(ballast, 'x', padding);
    item_build_init(&build, arena);
    item_build_s(&build, BYTES("pk"), bytes_cstr(key));
    item_build_i64(&build, BYTES("n"), number);
    if (padding > 0) {
        item_build_s(&build, BYTES("ballast"), bytes_of(ballast, padding));
    }
    enum err err = item_build_end(&build, &item);
    CHECK(err == OK);
    return item;
}

static inline int64_t item_number(struct bytes item)
{
    struct value value;
    int64_t number = -1;
    if (!item_get(item, BYTES("n"), &value) || !value_i64(value, &number)) {
        return -1;
    }
    return number;
}

static inline enum err act(struct job *job, struct action *action, struct reader *reader,
                           struct changes *changes)
{
    struct key key;
    struct key_fault fault;
    struct bytes old = BYTES_NONE;
    struct bytes new = BYTES_NONE;
    const struct table *table = reader_table(reader, bytes_cstr(action->table));
    if (table == NULL) {
        job->no_table = true;
        return ERR_FAULT;
    }
    struct bytes item = make_item(reader->arena, action->key, action->number, action->padding);
    if (key_from_item(&table->schema, item, reader->arena, &key, &fault) != KEY_OK) {
        return ERR_INVALID;
    }
    enum err err = reader_get(reader, table, &key, &old);
    if (err != OK && err != ERR_NOT_FOUND) {
        return err;
    }
    action->found = err == OK;
    action->old_item = old;
    action->value = action->found ? item_number(old) : 0;
    if ((action->must_be_absent && action->found) || (action->must_exist && !action->found)) {
        job->failed = true;
        return ERR_FAULT;
    }
    if (action->kind == ACT_PUT) {
        new = item;
    } else if (action->kind == ACT_ADD) {
        action->value += action->number;
        new = make_item(reader->arena, action->key, action->value, action->padding);
    } else if (action->kind == ACT_GET) {
        return OK;
    }
    old = action->found ? old : BYTES_NONE;
    return change_item(reader, changes, table, &key, old, new, ORIGIN_USER);
}

static inline enum err job_evaluate(struct task *task, struct reader *reader,
                                    struct changes *changes)
{
    struct job *job = (struct job *)task;
    static const uint8_t hash[32] = {1, 2, 3};
    job->failed = false;
    job->no_table = false;
    job->token_known = false;
    job->evaluations++;
    if (job->token != NULL) {
        struct token_state state;
        enum err err = reader_token(reader, bytes_cstr(job->token), &state);
        if (err == OK) {
            job->token_known = true;
            return OK;
        }
        if (err != ERR_NOT_FOUND) {
            return err;
        }
        TRY(change_token(reader, changes, bytes_cstr(job->token), hash));
    }
    for (size_t i = 0; i < job->count; i++) {
        TRY(act(job, &job->actions[i], reader, changes));
    }
    return OK;
}

static inline void job_done(struct task *task, enum err err)
{
    struct job *job = (struct job *)task;
    job->done = true;
    job->err = err;
    job->seat->pending--;
}

static inline void job_prepare(struct seat *seat, struct job *job)
{
    bool writes = false;
    for (size_t i = 0; i < job->count; i++) {
        writes = writes || job->actions[i].kind != ACT_GET;
    }
    job->seat = seat;
    job->done = false;
    job->evaluations = 0;
    arena_init(&job->arena, 0);
    job->task.arena = &job->arena;
    job->task.evaluate = job_evaluate;
    job->task.done = job_done;
    job->task.writes = writes;
    seat->pending++;
}

static inline void job_start(struct seat *seat, struct job *job)
{
    job_prepare(seat, job);
    store_run(&seat->lane, &job->task);
}

static inline void seat_finish(struct seat *seat)
{
    lane_flush(&seat->lane);
    while (seat->pending > 0) {
        event_wait(&seat->event, -1);
        mailbox_run(&seat->home);
        lane_flush(&seat->lane);
    }
}

/* One job, start to end. */
static inline enum err job_run(struct seat *seat, struct job *job)
{
    job_start(seat, job);
    seat_finish(seat);
    arena_fini(&job->arena);
    return job->err;
}

static inline enum err run_action(struct seat *seat, struct action *action)
{
    struct job job = {.actions = {*action}, .count = 1};
    enum err err = job_run(seat, &job);
    *action = job.actions[0];
    return err == ERR_FAULT && job.no_table ? ERR_NOT_FOUND : err;
}

static inline enum err put(struct seat *seat, const char *table, const char *key, int64_t number)
{
    struct action action = {.kind = ACT_PUT, .table = table, .key = key, .number = number};
    return run_action(seat, &action);
}

static inline enum err drop(struct seat *seat, const char *table, const char *key)
{
    struct action action = {.kind = ACT_DELETE, .table = table, .key = key};
    return run_action(seat, &action);
}

/* The item's number; -1: it is not there. */
static inline int64_t get(struct seat *seat, const char *table, const char *key)
{
    struct action action = {.kind = ACT_GET, .table = table, .key = key};
    enum err err = run_action(seat, &action);
    CHECK(err == OK);
    return action.found ? action.value : -1;
}

static inline void make_table(struct store *store, const char *name, enum stream_view view)
{
    struct table_definition definition = {
        .name = bytes_cstr(name),
        .schema = {.partition = {BYTES("pk"), VALUE_S}},
        .view = view,
    };
    CHECK(store_ensure_table(store, &definition) == OK);
}

/* What most tests begin with: a store with a table "t" that has such a stream, and a seat. */
static inline void world_begin(struct world *world, struct seat *seat, enum stream_view view)
{
    world_init(world);
    world_open(world);
    make_table(world->store, "t", view);
    seat_init(seat, world->store);
}

static inline void world_end(struct world *world, struct seat *seat)
{
    seat_fini(seat);
    world_close(world);
    world_remove(world);
}

/* Deletes a table through a task of its own. */
struct delete_job {
    struct task task; /* first */
    struct arena arena;
    struct seat *seat;
    const char *name;
    enum err err;
};

static inline enum err delete_evaluate(struct task *task, struct reader *reader,
                                       struct changes *changes)
{
    const struct table *table = reader_table(reader, bytes_cstr(((struct delete_job *)task)->name));
    return table == NULL ? ERR_FAULT : change_delete_table(reader, changes, table);
}

static inline void delete_done(struct task *task, enum err err)
{
    struct delete_job *job = (struct delete_job *)task;
    job->err = err;
    job->seat->pending--;
}

static inline void delete_start(struct seat *seat, struct delete_job *job)
{
    job->seat = seat;
    arena_init(&job->arena, 0);
    job->task.arena = &job->arena;
    job->task.evaluate = delete_evaluate;
    job->task.done = delete_done;
    job->task.writes = true;
    seat->pending++;
    store_run(&seat->lane, &job->task);
}

static inline enum err delete_table(struct store *store, const char *name)
{
    struct seat seat;
    struct delete_job job = {.name = name};
    seat_init(&seat, store);
    delete_start(&seat, &job);
    seat_finish(&seat);
    seat_fini(&seat);
    arena_fini(&job.arena);
    return job.err;
}

/* Changes a table through a task of its own. */
struct update_job {
    struct task task; /* first */
    struct arena arena;
    struct seat *seat; /* of one that is not run blocking */
    const char *table;
    struct table_update update;
};

static inline enum err update_evaluate(struct task *task, struct reader *reader,
                                       struct changes *changes)
{
    struct update_job *job = (struct update_job *)task;
    const struct table *made;
    const struct table *table = reader_table(reader, bytes_cstr(job->table));
    return change_update_table(reader, changes, table, &job->update, &made);
}

static inline void update_done(struct task *task, enum err err)
{
    CHECK(err == OK);
    ((struct update_job *)task)->seat->pending--;
}

static inline uint64_t update_table(struct store *store, const char *table,
                                    struct table_update update)
{
    struct update_job job = {.table = table, .update = update};
    arena_init(&job.arena, 0);
    job.task.arena = &job.arena;
    job.task.evaluate = update_evaluate;
    job.task.writes = true;
    CHECK(task_run_blocking(store, &job.task) == OK);
    arena_fini(&job.arena);
    return job.task.commit;
}

#endif
