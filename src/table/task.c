/* Tasks: a request's way from its loop to the committer and home. The hop before is op/call.c, the
 * hop after is commit.c.
 *
 * An evaluation runs on the caller's thread and never waits for a disk; where it would have to, it
 * runs again on a read worker. What yields no changes is answered at once, if it was decided on one
 * visible state (table I5); everything else is a proposal, handed to the committer once per turn.
 */
#include "table/table_priv.h"

#include "expr/expr.h"
#include "sys/clock.h"

#define QUEUE_MAX 65536u /* proposals on their way to the committer */
#define VISIBLE_TRIES 4u /* of a read that met a changing catalogue */

static enum err evaluate_on_lane(struct lane *lane, struct task *task);
static enum err evaluate_visible(struct task *task, struct reader *reader, bool *settled);
static void decide(struct task *task, enum err err, bool settled);
static void propose(struct task *task);
static void come_home(struct message *message);
static void read_blocking(struct work *work);
static void read_done(struct work *work);

void lane_init(struct lane *lane, struct store *store, struct mailbox *home)
{
    *lane = (struct lane){.store = store, .home = home, .exprs = expr_cache_new()};
    ASSERT(lane->exprs != NULL);
    lane->catalogue = store_catalogue_pin(store);
}

void lane_fini(struct lane *lane)
{
    ASSERT(lane->in_flight == 0 && lane->count == 0);
    catalogue_unpin(lane->catalogue);
    expr_cache_free(lane->exprs);
    *lane = (struct lane){0};
}

void lane_flush(struct lane *lane)
{
    ASSERT_OWNER(&lane->owner);
    if (lane->count == 0) {
        return;
    }
    struct counters *counters = &lane->store->counters;
    uint64_t before =
        atomic_fetch_add_explicit(&counters->queue_now, lane->count, memory_order_relaxed);
    count_max(&counters->queue_max, before + lane->count);
    count_add(&counters->proposals, lane->count);
    lane->count = 0;
    mailbox_post_list(committer_mailbox(lane->store->committer), lane->oldest, lane->newest);
    lane->oldest = NULL;
    lane->newest = NULL;
}

void store_run(struct lane *lane, struct task *task)
{
    ASSERT_OWNER(&lane->owner);
    task->lane = lane;
    task->now_ms = store_now_ms(lane->store);
    task->token_ms = store_token_ms(lane->store);
    task->commit = 0;
    task->touched = NULL;
    task->touched_cap = 0;
    task->stale = false;
    task->rounds = 0;
    lane->in_flight++;
    enum err err = evaluate_on_lane(lane, task);
    if (err != ERR_INCOMPLETE) {
        decide(task, err, !task->stale);
        return;
    }
    count_add(&lane->store->counters.cache_only_incomplete, 1);
    err = task_read_on_worker(task);
    if (err != OK) {
        decide(task, err, true);
    }
}

/* What a lane has pinned is good as long as nothing newer is shown: one load tells. */
static enum err evaluate_on_lane(struct lane *lane, struct task *task)
{
    struct store *store = lane->store;
    struct reader reader = {.store = store, .exprs = lane->exprs};
    enum err err = OK;
    bool settled = false;
    for (unsigned tries = 0; !settled && tries < VISIBLE_TRIES; tries++) {
        task->seen = log_visible(store->log);
        if (lane->catalogue->commit !=
            atomic_load_explicit(&store->catalogue_commit, memory_order_acquire)) {
            catalogue_unpin(lane->catalogue);
            lane->catalogue = store_catalogue_pin(store);
        }
        reader.catalogue = lane->catalogue;
        err = evaluate_visible(task, &reader, &settled);
    }
    task->stale = !settled;
    return err;
}

/* *settled: the outcome belongs to one visible state. show_count is odd while the committer changes
 * view and catalogue. The evaluation's reads stay between the two looks at it: after the first one
 * since that is an acquire load, before the second since RocksDB takes its state by acquire loads.
 * One row and an unchanged catalogue are one state by themselves. A write with changes is settled
 * by the committer. */
static enum err evaluate_visible(struct task *task, struct reader *reader, bool *settled)
{
    struct store *store = reader->store;
    uint64_t before = atomic_load_explicit(&store->show_count, memory_order_acquire);
    enum err err = task_evaluate(task, reader);
    uint64_t after = atomic_load_explicit(&store->show_count, memory_order_acquire);
    bool same_catalogue = reader->catalogue->commit ==
                          atomic_load_explicit(&store->catalogue_commit, memory_order_relaxed);
    *settled = task->changes.count > 0 || err == ERR_INCOMPLETE ||
               (before == after && before % 2 == 0) || (same_catalogue && task->touched_count <= 1);
    return err;
}

enum err task_evaluate(struct task *task, struct reader *reader)
{
    reader->task = task;
    reader->arena = task->arena;
    reader->now_ms = task->now_ms;
    reader->token_ms = task->token_ms;
    task->changes = (struct changes){0};
    task->touched_count = 0;
    task->touched_catalogue = false;
    enum err err = task->evaluate(task, reader, &task->changes);
    err = task->arena->failed ? ERR_NOMEM : err;
    ASSERT(task->writes || task->changes.count == 0);
    if (err != OK) {
        task->changes = (struct changes){0};
    }
    return err;
}

/* On the lane's thread, with an outcome that only a changing store could make wrong. */
static void decide(struct task *task, enum err err, bool settled)
{
    struct lane *lane = task->lane;
    struct store *store = lane->store;
    ASSERT_OWNER(&lane->owner);
    bool to_commit =
        (err == OK || err == ERR_FAULT) && task->writes && (task->changes.count > 0 || !settled);
    task->outcome = err;
    if (to_commit &&
        atomic_load_explicit(&store->counters.queue_now, memory_order_relaxed) < QUEUE_MAX) {
        propose(task);
        return;
    }
    if (to_commit) {
        count_add(&store->counters.throttled, 1);
        task->outcome = ERR_RANGE;
    }
    come_home(&task->message);
}

static void propose(struct task *task)
{
    struct lane *lane = task->lane;
    task->message.next = NULL;
    task->message.run = come_home;
    if (lane->newest == NULL) {
        lane->oldest = &task->message;
    } else {
        lane->newest->next = &task->message;
    }
    lane->newest = &task->message;
    lane->count++;
}

static void come_home(struct message *message)
{
    struct task *task = (struct task *)message; /* message is its first member */
    ASSERT_OWNER(&task->lane->owner);
    task->lane->in_flight--;
    task->done(task, task->outcome);
}

/* ---- cold reads ---- */

enum err task_read_on_worker(struct task *task)
{
    task->work.home = task->lane->home;
    task->work.run = read_blocking;
    task->work.done = read_done;
    enum err err = pool_submit(task->lane->store->pool, &task->work);
    if (err != OK) {
        count_add(&task->lane->store->counters.throttled, 1);
    }
    return err;
}

static struct task *task_of_work(struct work *work)
{
    return (struct task *)(void *)((uint8_t *)work - offsetof(struct task, work));
}

static void read_blocking(struct work *work)
{
    struct task *task = task_of_work(work);
    struct store *store = task->lane->store;
    struct expr_cache *exprs = store_take_exprs(store);
    bool settled = false;
    for (unsigned tries = 0; !settled && tries < VISIBLE_TRIES; tries++) {
        task->seen = log_visible(store->log);
        const struct catalogue *catalogue = store_catalogue_pin(store);
        struct reader reader = {
            .store = store, .catalogue = catalogue, .exprs = exprs, .blocking = true};
        task->outcome = evaluate_visible(task, &reader, &settled);
        store_catalogue_unpin(store, catalogue);
    }
    task->stale = !settled;
    store_give_exprs(store, exprs);
    count_add(&store->counters.worker_reads, 1);
}

static void read_done(struct work *work)
{
    struct task *task = task_of_work(work);
    decide(task, task->outcome, !task->stale);
}

/* ---- the store's own tasks ---- */

struct blocking_run {
    struct task *task;
    enum err err;
    bool done;
};

static _Thread_local struct blocking_run *blocking_run;

static void note_done(struct task *task, enum err err)
{
    ASSERT(blocking_run->task == task);
    blocking_run->err = err;
    blocking_run->done = true;
}

static void wake_event(void *arg)
{
    event_signal(arg);
}

enum err task_run_blocking(struct store *store, struct task *task)
{
    DASSERT(thread_role() != ROLE_LOOP && thread_role() != ROLE_COMMITTER);
    struct blocking_run run = {.task = task};
    struct event event;
    struct mailbox home;
    struct lane lane;
    event_init(&event);
    mailbox_init(&home, wake_event, &event);
    lane_init(&lane, store, &home);
    blocking_run = &run;
    task->done = note_done;
    store_run(&lane, task);
    lane_flush(&lane);
    while (!run.done) {
        event_wait(&event, -1);
        mailbox_run(&home);
        lane_flush(&lane);
    }
    lane_fini(&lane);
    event_fini(&event);
    return run.err;
}
