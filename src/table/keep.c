/* The keeper: what must happen from time to time, beside the requests. One thread flushes the view,
 * so that what a kill would replay stays bounded; the other polls the view's health, moves the
 * streams' trim point and forgets old tokens. What they change goes through the committer like
 * anything else (table I9, I10, I11). */
#include "table/table_priv.h"

#include "sys/clock.h"
#include "sys/file.h"
#include "table/view_write.h"

#define POLL_MS 50
#define POLL_NEARLY_FULL_MS 5
#define TRIM_EVERY_MS 1000u
#define TOKENS_EVERY_MS 60000u

struct keeper {
    struct store *store;
    struct thread flusher;
    struct thread thread;
    struct event flush_event;
    struct event event;
    unsigned budget_use;   /* as it was told last; the keeper's own */
    _Atomic bool stopping; /* set before the events are signalled, read after them */
    bool compaction_waits; /* as last noted */
    bool nearly_full;      /* the keeper's own */
};

static void run_flusher(void *arg);
static void run_keeper(void *arg);
static void watch_view(struct keeper *keeper);
static void watch_budget(struct keeper *keeper);

struct keeper *keeper_open(struct store *store)
{
    struct keeper *keeper = mem_zalloc(1, sizeof(*keeper));
    keeper->store = store;
    event_init(&keeper->flush_event);
    event_init(&keeper->event);
    thread_start(&keeper->flusher, ROLE_WORKER, "flusher", run_flusher, keeper);
    thread_start(&keeper->thread, ROLE_WORKER, "keeper", run_keeper, keeper);
    return keeper;
}

void keeper_close(struct keeper *keeper)
{
    if (keeper == NULL) {
        return;
    }
    atomic_store_explicit(&keeper->stopping, true, memory_order_release);
    event_signal(&keeper->event);
    event_signal(&keeper->flush_event);
    thread_join(&keeper->thread);
    view_write_set_calm(false); /* what is left of a flush, and the last one */
    thread_join(&keeper->flusher);
    event_fini(&keeper->event);
    event_fini(&keeper->flush_event);
    mem_free(keeper);
}

static bool is_stopping(struct keeper *keeper)
{
    return atomic_load_explicit(&keeper->stopping, memory_order_acquire);
}

/* ---- flushing ---- */

static void run_flusher(void *arg)
{
    struct keeper *keeper = arg;
    struct store *store = keeper->store;
    while (!is_stopping(keeper)) {
        if (log_unflushed_bytes(store->log) >= store->flush_bytes) {
            store_flush(store);
        } else {
            event_wait(&keeper->flush_event, POLL_MS);
        }
    }
}

/* Visible is noted first: everything up to it is in the view by then, so it is in its files when
 * the flush has returned. */
void store_flush(struct store *store)
{
    uint64_t visible = log_visible(store->log);
    uint64_t start = clock_mono_ns();
    enum err err = view_flush(store->view);
    if (err != OK) {
        store_die_of_view(store, err);
    }
    log_set_flushed(store->log, visible);
    atomic_store_explicit(&store->counters.flushed, visible, memory_order_relaxed);
    count_add(&store->counters.flushes, 1);
    count_add(&store->counters.flush_ns_total, clock_mono_ns() - start);
}

/* ---- the rest ---- */

static void run_keeper(void *arg)
{
    struct keeper *keeper = arg;
    uint64_t trimmed_ms = 0;
    uint64_t forgot_ms = 0;
    while (!is_stopping(keeper)) {
        uint64_t now_ms = clock_mono_ns() / 1000000;
        watch_view(keeper);
        log_note_end(keeper->store->log);
        if (now_ms - trimmed_ms >= TRIM_EVERY_MS) {
            trimmed_ms = now_ms;
            store_trim(keeper->store, store_age_ms(keeper->store));
            directory_sweep(keeper->store->directory, &keeper->stopping);
        }
        if (now_ms - forgot_ms >= TOKENS_EVERY_MS) {
            forgot_ms = now_ms;
            store_forget_tokens(keeper->store, store_token_ms(keeper->store));
        }
        event_wait(&keeper->event, keeper->nearly_full ? POLL_NEARLY_FULL_MS : POLL_MS);
    }
}

static void note_compaction(struct keeper *keeper)
{
    bool waits = view_write_is_waiting();
    if (waits != keeper->compaction_waits) {
        keeper->compaction_waits = waits;
        NOTE(NOTE_WARN, "view.compaction", NOTE_S("for_space", waits ? "waits" : "goes on"),
             NOTE_U("left", store_space(keeper->store).left));
    }
}

void store_check_view(struct store *store)
{
    if (view_background_errors(store->view) != 0) {
        store_die_of_view(store, ERR_IO);
    }
}

static void watch_view(struct keeper *keeper)
{
    struct store *store = keeper->store;
    store_check_view(store);
    note_compaction(keeper);
    view_write_set_calm(view_keeps_up(store->view) &&
                        log_unflushed_bytes(store->log) < 2 * store->flush_bytes);
    atomic_store_explicit(&store->pressure, view_pressure(store->view), memory_order_relaxed);
    keeper->nearly_full = store_watch_space(store);
    watch_budget(keeper);
}

unsigned store_budget_use(const struct store *store, uint64_t bytes)
{
    if (store->log_budget == 0) {
        return 0;
    }
    uint64_t room = log_room(store->log);
    uint64_t left = room < bytes ? 0 : room - bytes;
    return left == 0                       ? SPACE_NONE
           : left < store->log_reserve     ? SPACE_DELETES
           : left < store->log_budget / 10 ? SPACE_SLOW
                                           : SPACE_AMPLE;
}

static void watch_budget(struct keeper *keeper)
{
    struct store *store = keeper->store;
    unsigned use = store_budget_use(store, 0);
    if (use == keeper->budget_use) {
        return;
    }
    struct log_figures figures;
    log_figures(store->log, &figures);
    keeper->budget_use = use;
    NOTE(NOTE_WARN, "log.budget", NOTE_U("used", figures.disk_bytes),
         NOTE_U("budget", store->log_budget),
         NOTE_S("writes", use == 0   ? "taken"
                          : use == 1 ? "slowed"
                          : use == 2 ? "refused but deletes"
                                     : "refused"));
}

/* A volume that cannot be asked is taken to have room: the log says when it has none. */
struct store_space store_space(const struct store *store)
{
    struct store_space space = {.left = UINT64_MAX, .reserve = store->reserve_bytes};
    enum err err = volume_free(store->data, &space.left);
    space.left = err == OK ? space.left : UINT64_MAX;
    return space;
}

static uint64_t larger(uint64_t left, uint64_t right)
{
    return left > right ? left : right;
}

/* What is not flushed yet still comes to the view's files. */
static enum space space_of(const struct store *store, uint64_t left)
{
    uint64_t reserve = store->reserve_bytes;
    uint64_t coming = log_unflushed_bytes(store->log);
    if (left < larger(reserve / 2, reserve / 4 + coming)) {
        return SPACE_NONE;
    }
    if (left < larger(reserve, reserve / 2 + coming)) {
        return SPACE_DELETES;
    }
    return left < larger(reserve / 2 * 3, reserve + coming) ? SPACE_SLOW : SPACE_AMPLE;
}

bool store_watch_space(struct store *store)
{
    static const char *const taken[] = {
        [SPACE_AMPLE] = "taken",
        [SPACE_SLOW] = "slowed",
        [SPACE_DELETES] = "refused but deletes",
        [SPACE_NONE] = "refused",
    };
    unsigned before = atomic_load_explicit(&store->space, memory_order_relaxed);
    uint64_t left = store_space(store).left;
    enum space space = space_of(store, left);
    atomic_store_explicit(&store->space, space, memory_order_relaxed);
    if (space != before) {
        NOTE(NOTE_WARN, "store.space", NOTE_U("left", left),
             NOTE_U("reserve", store->reserve_bytes), NOTE_S("writes", taken[space]));
    }
    return left / 4 < store->reserve_bytes;
}

/* A task whose whole meaning is one record that was made before it. */
struct keeper_task {
    struct task task; /* first: a task pointer is one of these */
    struct arena arena;
    uint64_t stream_id;
    uint64_t age_ms;
    struct bytes body;
};

static enum err run_task(struct store *store, struct keeper_task *own,
                         enum err (*evaluate)(struct task *task, struct reader *reader,
                                              struct changes *changes))
{
    own->task.arena = &own->arena;
    own->task.evaluate = evaluate;
    own->task.writes = true;
    enum err err = task_run_blocking(store, &own->task);
    if (err != OK) {
        NOTE(NOTE_WARN, "keeper.failed", NOTE_S("reason", err_text(err)));
    }
    return err;
}

static enum err drop_stream(struct task *task, struct reader *reader, struct changes *changes)
{
    const struct keeper_task *own = (struct keeper_task *)task;
    const struct stream *stream = NULL;
    task->touched_catalogue = true;
    while ((stream =
                catalogue_next_stream(reader->catalogue, stream == NULL ? BYTES_NONE : stream->arn,
                                      BYTES_NONE)) != NULL) {
        if (stream->id == own->stream_id) {
            return change_drop_stream(reader, changes, stream);
        }
    }
    return OK;
}

/* Streams of one period share what the log was asked. */
struct hiding {
    struct store *store;
    uint64_t now_ms;
    uint64_t floor; /* hidden already in every stream, or gone from the log */
    uint64_t until_ms;
    uint64_t commit;
    uint64_t *wanted; /* of each stream of a catalogue: what is too old in it */
};

static uint64_t hidden_until(struct hiding *hiding, uint64_t retention_ms, uint64_t hidden_ms)
{
    uint64_t until_ms = hiding->now_ms > retention_ms ? hiding->now_ms - retention_ms : 0;
    until_ms = until_ms > hidden_ms ? until_ms : hidden_ms;
    if (until_ms != hiding->until_ms) {
        hiding->until_ms = until_ms;
        hiding->commit = log_commit_before(hiding->store->log, until_ms);
    }
    return hiding->commit > hiding->floor ? hiding->commit : hiding->floor;
}

/* What each stream has too old; false: none has more of it than it has hidden. Of commits after the
 * newest that a stream's record is in nothing is ever hidden, or each note would be the reason of
 * another one when it has grown old itself. */
static bool look_for_old(struct hiding *hiding, const struct catalogue *catalogue)
{
    struct store *store = hiding->store;
    uint64_t streamed = atomic_load_explicit(&store->streamed, memory_order_relaxed);
    const struct stream *stream = NULL;
    struct bytes after = BYTES_NONE;
    size_t i = 0;
    bool more = false;
    while ((stream = catalogue_next_stream(catalogue, after, BYTES_NONE)) != NULL) {
        uint64_t retention = stream->retention_ms == 0 ? store->retention_ms : stream->retention_ms;
        uint64_t hidden = atomic_load_explicit(&stream->trim->commit, memory_order_relaxed);
        hidden = hidden > stream->first_commit ? hidden : stream->first_commit;
        hiding->wanted[i] = hidden_until(hiding, retention, stream->hidden_ms);
        more |= hiding->wanted[i++] > hidden && hidden < streamed;
        after = stream->arn;
    }
    return more;
}

static enum err note_age(struct task *task, struct reader *reader, struct changes *changes)
{
    return change_note_age(reader, changes, ((struct keeper_task *)task)->age_ms);
}

/* No record is ever older than what is noted before it: log time goes on from there. A note that is
 * refused is made another time; on a full disk hiding is what makes room, so it does not wait. */
static void commit_age(struct store *store, uint64_t now_ms)
{
    struct keeper_task own = {.age_ms = now_ms};
    count_max(&store->now_ms, now_ms);
    arena_init(&own.arena, 0);
    if (run_task(store, &own, note_age) == OK) {
        count_max(&store->aged_ms, now_ms);
    }
    arena_fini(&own.arena);
}

/* The log keeps what any stream has not hidden, and at least the store's own period. A stream that
 * is opened meanwhile begins after all of it. */
static void hide_old(struct store *store, uint64_t now_ms, bool noting)
{
    const struct catalogue *catalogue = store_catalogue_pin(store);
    const struct stream *stream = NULL;
    struct hiding hiding = {.store = store, .now_ms = now_ms};
    uint64_t gone = log_first(store->log) - 1;
    hiding.floor = atomic_load_explicit(&store->trim, memory_order_relaxed);
    hiding.floor = gone > hiding.floor ? gone : hiding.floor;
    hiding.wanted = mem_zalloc(catalogue->stream_count + 1, sizeof(*hiding.wanted));
    uint64_t least = hidden_until(&hiding, store->retention_ms, 0);
    if (look_for_old(&hiding, catalogue) && noting) {
        commit_age(store, now_ms);
    }
    struct bytes after = BYTES_NONE;
    size_t i = 0;
    while ((stream = catalogue_next_stream(catalogue, after, BYTES_NONE)) != NULL) {
        count_max(&stream->trim->commit, hiding.wanted[i++]);
        count_max(&stream->trim->commit, log_dropped(store->log, stream->id));
        uint64_t hidden = atomic_load_explicit(&stream->trim->commit, memory_order_relaxed);
        hidden = hidden > stream->first_commit ? hidden : stream->first_commit;
        least = hidden < least ? hidden : least; /* the log need not keep more for it */
        after = stream->arn;
    }
    store_catalogue_unpin(store, catalogue);
    mem_free(hiding.wanted);
    if (least > atomic_load_explicit(&store->trim, memory_order_relaxed)) {
        atomic_store_explicit(&store->trim, least, memory_order_relaxed);
        log_set_trim(store->log, least);
    }
}

void store_hide_old(struct store *store, uint64_t now_ms)
{
    uint64_t aged = atomic_load_explicit(&store->aged_ms, memory_order_relaxed);
    hide_old(store, now_ms > aged ? now_ms : aged, now_ms > aged);
}

void store_hide_again(struct store *store)
{
    hide_old(store, atomic_load_explicit(&store->aged_ms, memory_order_relaxed), false);
}

/* A stream opened by a commit that is flushed is in every catalogue that is pinned after it: one
 * that is not there was forgotten, and its id is not used again. */
uint64_t store_stream_dead(void *arg, uint64_t stream_id)
{
    struct store *store = arg;
    const struct catalogue *catalogue = store_catalogue_pin(store);
    const struct stream *stream = catalogue_stream_of_id(catalogue, stream_id);
    uint64_t commit = UINT64_MAX;
    if (stream != NULL) {
        commit = atomic_load_explicit(&stream->trim->commit, memory_order_relaxed);
        commit = commit > stream->first_commit ? commit : stream->first_commit;
    }
    store_catalogue_unpin(store, catalogue);
    return commit;
}

void store_trim(struct store *store, uint64_t now_ms)
{
    enum err err = OK;
    store_hide_old(store, now_ms);
    while (err == OK) {
        struct keeper_task own = {0};
        const struct catalogue *catalogue = store_catalogue_pin(store);
        const struct stream *stream = catalogue_trimmed_stream(catalogue);
        own.stream_id = stream == NULL ? 0 : stream->id;
        store_catalogue_unpin(store, catalogue);
        if (own.stream_id == 0) {
            return;
        }
        arena_init(&own.arena, 0);
        err = run_task(store, &own, drop_stream);
        arena_fini(&own.arena);
    }
}

struct old_tokens {
    struct arena *arena;
    struct token_record *records;
    size_t count;
};

static bool collect_token(void *arg, struct bytes row, struct bytes value)
{
    struct old_tokens *old = arg;
    const size_t prefix = 8 + 1 + 8;
    struct bytes token = arena_dup(old->arena, bytes_of(row.ptr + prefix, row.len - prefix));
    (void)value;
    if (token.ptr == NULL) {
        return false;
    }
    uint64_t time_ms = read_u64_big(row.ptr + 9) * TOKEN_KEPT_MS;
    old->records[old->count++] = (struct token_record){.token = token, .time_ms = time_ms};
    return old->count < TOKEN_DROP_COUNT_MAX;
}

/* Tokens of ten minutes that ended ten minutes ago. */
static enum err collect_old_tokens(struct store *store, uint64_t now_ms, struct old_tokens *old)
{
    struct row_key low;
    struct row_key high;
    if (now_ms < TOKEN_KEPT_MS) {
        return OK;
    }
    old->records = arena_alloc(old->arena, TOKEN_DROP_COUNT_MAX * sizeof(*old->records));
    if (old->records == NULL) {
        return ERR_NOMEM;
    }
    row_of_store(&low, 'k');
    row_of_token(&high, now_ms - TOKEN_KEPT_MS, BYTES_NONE);
    struct view_scan scan = {
        .low = row_bytes(&low),
        .high = row_bytes(&high),
        .how = VIEW_BLOCKING,
        .fn = collect_token,
        .arg = old,
    };
    return view_scan(store->view, &scan);
}

static enum err forget_tokens(struct task *task, struct reader *reader, struct changes *changes)
{
    return change_forget_tokens(reader, changes, ((struct keeper_task *)task)->body);
}

void store_forget_tokens(struct store *store, uint64_t now_ms)
{
    size_t count = TOKEN_DROP_COUNT_MAX;
    enum err err = OK;
    while (err == OK && count == TOKEN_DROP_COUNT_MAX) {
        struct keeper_task own = {0};
        arena_init(&own.arena, 0);
        struct old_tokens old = {.arena = &own.arena};
        err = collect_old_tokens(store, now_ms, &old);
        count = old.count;
        if (err == OK && count > 0) {
            err = token_drop_encode(old.records, count, &own.arena, &own.body);
            err = err == OK ? run_task(store, &own, forget_tokens) : err;
        }
        arena_fini(&own.arena);
    }
}
