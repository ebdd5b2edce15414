/* The committer: one thread through which every change goes. The hop before is task.c, the hop
 * after is log/append.c; then the group comes back here to be shown and answered.
 *
 * Its turn: take everything that waits; validate each proposal, or evaluate it again over what the
 * group has changed so far; write one frame and sync it once; apply one batch to the view; publish;
 * answer all. In that order (table I3): whoever sees an answer, an event or an item sees nothing
 * that a crash could undo, and whoever sees an event reads at least that event's state. A proposal
 * that changes nothing waits for its group too when it was decided here, since the group's changes
 * may be why.
 *
 * newest holds the newest commit per row hash since the start. Two rows may share an entry: that
 * costs a repeated evaluation, never a wrong one. Entries of a group that the log refused stay, for
 * the same reason. */
#include "table/table_priv.h"

#include "expr/expr.h"
#include "sys/clock.h"

#define NEWEST_BITS 20
#define ROUNDS_MAX 8u       /* cold returns of one task before it is read here, at last: table I8 */
#define HOLD_NS 1000000000u /* proposals wait this long for room before they are refused */
#define SLOW_MS 2           /* between groups while the store is under pressure */
#define ANSWERS_MAX 16u

struct group {
    struct message *oldest; /* tasks, in commit order */
    struct message *newest;
    size_t changes;
    uint64_t last_commit; /* 0: nothing to write */
};

struct committer {
    struct store *store;
    struct thread thread;
    struct event event;
    struct mailbox mailbox;
    _Atomic bool stopping; /* set before event is signalled, read after it */
    struct message *waiting;
    struct message *waiting_newest;
    struct overlay *overlay;
    struct catalogue *catalogue; /* with this group's changes; pinned */
    struct expr_cache *exprs;
    struct view_state state;
    struct group group;
    uint64_t held_since_ns; /* 0: not held */
    uint64_t *newest;
};

enum taken { TAKEN, LEFT, SENT_BACK };

static void committer_run(void *arg);
static void gather(struct committer *committer);
static bool held(struct committer *committer);
static void commit_group(struct committer *committer);
static enum taken take(struct committer *committer, struct task *task);
static bool send_back(struct committer *committer, struct task *task);
static bool is_current(const struct committer *committer, const struct task *task);
static enum err evaluate_here(struct committer *committer, struct task *task);
static void evaluate_twice(struct committer *committer, struct task *task);
static bool is_same_change(const struct change *left, const struct change *right);
static bool has_room(const struct committer *committer, const struct task *task);
static bool has_space(const struct committer *committer, struct task *task);
static void add_commit(struct committer *committer, struct task *task);
static void show_group(struct committer *committer);
static void drop_group(struct committer *committer, enum err err);
static void show_catalogue(struct committer *committer);
static void answer(struct committer *committer, struct message *oldest);

static struct task *task_of(struct message *message)
{
    return (struct task *)message; /* message is its first member */
}

static void wake_committer(void *arg)
{
    event_signal(arg);
}

struct committer *committer_open(struct store *store, struct view_state state)
{
    struct committer *committer = mem_zalloc(1, sizeof(*committer));
    committer->store = store;
    committer->state = state;
    event_init(&committer->event);
    mailbox_init(&committer->mailbox, wake_committer, &committer->event);
    committer->overlay = overlay_new();
    committer->newest = mem_zalloc((size_t)1 << NEWEST_BITS, sizeof(uint64_t));
    committer->catalogue = catalogue_pin(store->catalogue);
    committer->exprs = expr_cache_new();
    ASSERT(committer->exprs != NULL);
    view_leave(store->view); /* recovery was here */
    thread_start(&committer->thread, ROLE_COMMITTER, "committer", committer_run, committer);
    return committer;
}

struct view_state committer_close(struct committer *committer)
{
    atomic_store_explicit(&committer->stopping, true, memory_order_release);
    event_signal(&committer->event);
    thread_join(&committer->thread);
    view_leave(committer->store->view);
    event_fini(&committer->event);
    overlay_free(committer->overlay);
    catalogue_unpin(committer->catalogue);
    expr_cache_free(committer->exprs);
    mem_free(committer->newest);
    struct view_state state = committer->state;
    mem_free(committer);
    return state;
}

struct mailbox *committer_mailbox(struct committer *committer)
{
    return &committer->mailbox;
}

static void committer_run(void *arg)
{
    struct committer *committer = arg;
    thread_run_soon();
    for (;;) {
        gather(committer);
        if (committer->waiting == NULL) {
            if (atomic_load_explicit(&committer->stopping, memory_order_acquire)) {
                break;
            }
            event_wait(&committer->event, -1);
        } else if (!held(committer)) {
            commit_group(committer);
        }
    }
}

static void gather(struct committer *committer)
{
    struct message *message = mailbox_take(&committer->mailbox);
    if (message == NULL) {
        return;
    }
    if (committer->waiting == NULL) {
        committer->waiting = message;
    } else {
        committer->waiting_newest->next = message;
    }
    while (message->next != NULL) {
        message = message->next;
    }
    committer->waiting_newest = message;
}

/* Admission, before anything is written: first slow, then wait a while for room, then refuse. */
static bool held(struct committer *committer)
{
    unsigned pressure = store_pressure(committer->store);
    uint64_t now = clock_mono_ns();
    if (pressure < 2) {
        committer->held_since_ns = 0;
        if (pressure == 1) {
            count_add(&committer->store->counters.slowed, 1);
            event_wait(&committer->event, SLOW_MS);
        }
        return false;
    }
    if (committer->held_since_ns == 0) {
        committer->held_since_ns = now;
    }
    if (now - committer->held_since_ns < HOLD_NS) {
        event_wait(&committer->event, SLOW_MS);
        return true;
    }
    struct message *refused = committer->waiting;
    committer->waiting = NULL;
    for (struct message *each = refused; each != NULL; each = each->next) {
        task_of(each)->outcome = ERR_RANGE;
        count_add(&committer->store->counters.throttled, 1);
    }
    answer(committer, refused);
    return true;
}

static void commit_group(struct committer *committer)
{
    struct store *store = committer->store;
    struct group *group = &committer->group;
    *group = (struct group){0};
    overlay_clear(committer->overlay);
    log_group_begin(store->log, store_now_ms(store));
    while (committer->waiting != NULL) {
        struct message *message = committer->waiting;
        struct message *next = message->next;
        enum taken taken = take(committer, task_of(message));
        if (taken == LEFT) {
            break;
        }
        committer->waiting = next;
        if (taken == TAKEN) {
            message->next = NULL;
            *(group->oldest == NULL ? &group->oldest : &group->newest->next) = message;
            group->newest = message;
        }
    }
    if (group->last_commit > 0) {
        enum err err = log_append(store->log);
        if (err == ERR_FULL) {
            drop_group(committer, err);
        } else if (err != OK) {
            store_die_of_log(store, err);
        } else {
            show_group(committer);
        }
    }
    answer(committer, group->oldest);
}

/* LEFT: it is for the next group. */
static enum taken take(struct committer *committer, struct task *task)
{
    if (!has_room(committer, task)) {
        return LEFT;
    }
    if (!is_current(committer, task)) {
        task->outcome = evaluate_here(committer, task);
        count_add(&committer->store->counters.repeated, 1);
    }
    if (committer->store->repeat_evaluation && task->outcome != ERR_INCOMPLETE) {
        evaluate_twice(committer, task);
    }
    if (task->outcome == ERR_INCOMPLETE && send_back(committer, task)) {
        return SENT_BACK;
    }
    if (task->changes.count == 0) {
        return TAKEN;
    }
    if (!has_space(committer, task)) {
        task->changes = (struct changes){0};
        task->outcome = ERR_FULL;
        count_add(&committer->store->counters.throttled, 1);
        return TAKEN;
    }
    if (!has_room(committer, task)) {
        /* It was decided over this group, which the log may refuse: nothing would be newer then. */
        task->stale = true;
        return LEFT;
    }
    add_commit(committer, task);
    return TAKEN;
}

/* To be read from disk on a worker, and proposed again. Once sent, the task is not ours to touch.
 */
static bool send_back(struct committer *committer, struct task *task)
{
    struct counters *counters = &committer->store->counters;
    task->rounds++;
    atomic_fetch_sub_explicit(&counters->queue_now, 1, memory_order_relaxed);
    enum err err = task_read_on_worker(task);
    if (err != OK) {
        atomic_fetch_add_explicit(&counters->queue_now, 1, memory_order_relaxed);
        task->outcome = err;
        return false;
    }
    count_add(&counters->sent_back, 1);
    return true;
}

/* Has nothing that it read changed since it looked? */
static bool is_current(const struct committer *committer, const struct task *task)
{
    if (task->stale || (task->touched_catalogue && committer->catalogue->commit > task->seen)) {
        return false;
    }
    for (size_t i = 0; i < task->touched_count; i++) {
        if (committer->newest[task->touched[i].hash >> (64 - NEWEST_BITS)] > task->seen) {
            return false;
        }
    }
    return true;
}

static enum err evaluate_here(struct committer *committer, struct task *task)
{
    struct reader reader = {
        .store = committer->store,
        .catalogue = committer->catalogue,
        .exprs = committer->exprs,
        .overlay = committer->overlay,
        /* A task that other work pushes out of the cache again and again must come to an end. */
        .blocking = task->rounds >= ROUNDS_MAX,
    };
    return task_evaluate(task, &reader);
}

/* The test mode: an evaluation that is repeated over the same state yields the same bytes. What the
 * first one read is cached by then, unless other work has pushed it out meanwhile. */
static void evaluate_twice(struct committer *committer, struct task *task)
{
    enum err outcome = task->outcome;
    struct changes changes = task->changes;
    task->outcome = evaluate_here(committer, task);
    if (task->outcome == ERR_INCOMPLETE || task->outcome == ERR_NOMEM) {
        return;
    }
    ASSERT(task->outcome == outcome && task->changes.count == changes.count);
    const struct change *again = task->changes.first;
    for (const struct change *each = changes.first; each != NULL; each = each->next) {
        ASSERT(is_same_change(each, again));
        again = again->next;
    }
}

static bool is_same_change(const struct change *left, const struct change *right)
{
    return left->kind == right->kind && left->table_id == right->table_id &&
           left->stream_id == right->stream_id && left->row_hash == right->row_hash &&
           left->key.hash == right->key.hash && bytes_equal(left->key.bytes, right->key.bytes) &&
           bytes_equal(left->old_item, right->old_item) &&
           bytes_equal(left->new_item, right->new_item) && bytes_equal(left->record, right->record);
}

/* A commit larger than a group goes alone. */
static bool has_room(const struct committer *committer, const struct task *task)
{
    const struct group *group = &committer->group;
    return group->changes == 0 ||
           (group->changes + task->changes.count <= COMMIT_COUNT_MAX &&
            log_group_bytes(committer->store->log) + task->changes.bytes <= GROUP_BYTES_MAX);
}

/* When the disk or the log's budget runs out, what adds to it is refused first, and deletes last.
 */
static bool has_space(const struct committer *committer, struct task *task)
{
    const struct store *store = committer->store;
    unsigned space = atomic_load_explicit(&store->space, memory_order_relaxed);
    unsigned use = store_budget_use(store, log_group_bytes(store->log) + task->changes.bytes);
    task->over_budget = use >= SPACE_DELETES && use > space;
    space = task->over_budget ? use : space;
    for (const struct change *change = task->changes.first;
         space == SPACE_DELETES && change != NULL; change = change->next) {
        if (change->new_item.len > 0 || change->kind == KIND_RECORD_TABLE) {
            return false;
        }
    }
    return space != SPACE_NONE;
}

static struct log_record record_of(const struct change *change, uint64_t commit)
{
    return (struct log_record){
        .commit = commit,
        .stream = change->stream_id,
        .key_hash = change->key.hash,
        .body = change->record,
        .kind = change->kind,
    };
}

static void add_commit(struct committer *committer, struct task *task)
{
    struct log *log = committer->store->log;
    uint64_t commit = log_commit_begin(log);
    for (const struct change *change = task->changes.first; change != NULL; change = change->next) {
        log_record_add(log, change->kind, change->stream_id, change->key.hash, change->record);
        if (change->stream_id != 0) {
            atomic_store_explicit(&committer->store->streamed, commit, memory_order_relaxed);
        }
        if (change->kind == KIND_RECORD_ITEM || change->kind == KIND_RECORD_TOKEN) {
            committer->newest[change->row_hash >> (64 - NEWEST_BITS)] = commit;
            overlay_set(committer->overlay, change->row_hash, change->table_id, change->key.bytes,
                        change->new_item);
            continue;
        }
        struct log_record record = record_of(change, commit);
        struct catalogue *after = NULL;
        enum err err = record_catalogue(committer->catalogue, &record, &after);
        ASSERT(err == OK); /* the record was encoded by this process */
        if (after != NULL) {
            catalogue_unpin(committer->catalogue);
            committer->catalogue = after;
        }
    }
    task->commit = commit;
    committer->group.changes += task->changes.count;
    committer->group.last_commit = commit;
}

/* The frame is durable. View, catalogue, then everybody. */
static void show_group(struct committer *committer)
{
    struct store *store = committer->store;
    uint64_t start = clock_mono_ns();
    uint64_t commits = 0;
    for (struct message *each = committer->group.oldest; each != NULL; each = each->next) {
        struct task *task = task_of(each);
        commits += task->commit != 0;
        for (const struct change *change = task->changes.first; change != NULL;
             change = change->next) {
            struct log_record record = record_of(change, task->commit);
            enum err err = record_apply(store->view, &record);
            ASSERT(err == OK); /* the record was encoded by this process */
        }
    }
    committer->state.applied = committer->group.last_commit;
    committer->state.time_ms = log_group_time_ms(store->log);
    committer->state.next_id = committer->catalogue->next_id;
    committer->state.trim = atomic_load_explicit(&store->trim, memory_order_relaxed);

    atomic_fetch_add_explicit(&store->show_count, 1, memory_order_acq_rel);
    enum err err = view_write(store->view, &committer->state);
    if (err != OK) {
        store_die_of_view(store, err);
    }
    show_catalogue(committer);
    atomic_fetch_add_explicit(&store->show_count, 1, memory_order_acq_rel);
    log_publish(store->log, committer->group.last_commit);

    uint64_t spent = clock_mono_ns() - start;
    count_add(&store->counters.groups, 1);
    count_add(&store->counters.commits, commits);
    count_add(&store->counters.changes, committer->group.changes);
    count_add(&store->counters.view_batch_ns_total, spent);
    count_max(&store->counters.view_batch_ns_max, spent);
}

static void show_catalogue(struct committer *committer)
{
    struct store *store = committer->store;
    if (store->catalogue == committer->catalogue) {
        return;
    }
    const struct catalogue *before = store->catalogue;
    pthread_mutex_lock(&store->catalogue_mutex);
    store->catalogue = catalogue_pin(committer->catalogue);
    pthread_mutex_unlock(&store->catalogue_mutex);
    atomic_store_explicit(&store->catalogue_commit, committer->catalogue->commit,
                          memory_order_release);
    catalogue_unpin(before);
}

/* The log has no room: nothing was written, and whatever was decided over this group did not
 * happen. */
static void drop_group(struct committer *committer, enum err err)
{
    bool over_budget = log_over_budget(committer->store->log);
    for (struct message *each = committer->group.oldest; each != NULL; each = each->next) {
        task_of(each)->outcome = err;
        task_of(each)->over_budget = over_budget;
        task_of(each)->commit = 0;
    }
    catalogue_unpin(committer->catalogue);
    committer->catalogue = catalogue_pin(committer->store->catalogue);
}

/* One list and at most one wake for each home. */
static void answer(struct committer *committer, struct message *oldest)
{
    struct home {
        struct mailbox *mailbox;
        struct message *oldest;
        struct message *newest;
    } homes[ANSWERS_MAX];
    size_t count = 0;
    uint64_t answered = 0;
    while (oldest != NULL) {
        struct message *message = oldest;
        struct mailbox *mailbox = task_of(message)->lane->home;
        size_t i = 0;
        oldest = message->next;
        message->next = NULL;
        answered++;
        while (i < count && homes[i].mailbox != mailbox) {
            i++;
        }
        if (i == ANSWERS_MAX) {
            i = 0;
            mailbox_post_list(homes[0].mailbox, homes[0].oldest, homes[0].newest);
            homes[0].mailbox = NULL;
        }
        if (i == count || homes[i].mailbox == NULL) {
            homes[i] = (struct home){mailbox, message, message};
            count += i == count;
        } else {
            homes[i].newest->next = message;
            homes[i].newest = message;
        }
    }
    /* Before the answers: who has them may close the store. */
    atomic_fetch_sub_explicit(&committer->store->counters.queue_now, answered,
                              memory_order_relaxed);
    for (size_t i = 0; i < count; i++) {
        mailbox_post_list(homes[i].mailbox, homes[i].oldest, homes[i].newest);
    }
}
