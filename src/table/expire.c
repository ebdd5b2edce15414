/* Expiry: items whose time has come are deleted. Every item of a table that expires items, and that
 * has a time, has an expiry row, ordered by time; a thread of its own looks for the due ones. What
 * it found is only a hint: the item is read again, and deleted by a commit like any other, if its
 * time is still the one of the row. So an item that was given more time in between stays.
 *
 * Rows are kept by the records of the items (change_item). Those of items that were there before
 * expiry was switched on are made here, a chunk at a time; each chunk's record tells how far it is,
 * so that it goes on from there after a restart. Whatever is written meanwhile has its row by its
 * own record, so the two may overlap and need no order (table I14). */
#include "item/number.h"
#include "table/table_priv.h"

#include <math.h>
#include <stdlib.h>

#define SWEEP_EVERY_MS 500
#define SWEEP_COUNT_MAX 64u
#define FILL_COUNT_MAX 256u
#define FILL_VISITS_MAX 4096u
#define FILL_BYTES_MAX (4u << 20)
#define FILL_CHUNKS_MAX 32u /* of a table, before the others have their turn */
#define FRACTION_MAX 1e15   /* seconds that a double holds with a part of one */
#define TOO_OLD_S ((uint64_t)5 * 365 * 24 * 3600) /* DynamoDB leaves those alone */

struct expirer {
    struct store *store;
    struct thread thread;
    struct event event;
    _Atomic bool stopping; /* set before the event is signalled, read after it */
};

/* One look at all tables. */
struct sweep {
    uint64_t from_s; /* rows before it are done */
    uint64_t now_s;
    bool failed;  /* or ended before all was done */
    enum err err; /* of the first table that failed, table_id */
    uint64_t table_id;
    const _Atomic bool *stopping;
};

/* A batch of one table: found on this thread, decided by the task. */
struct batch {
    struct task task; /* first: a task pointer is one of these */
    struct arena arena;
    struct store *store;
    const struct table *table; /* of the catalogue that is pinned while rows are looked for */
    uint64_t table_id;
    uint64_t expiry_id;
    uint64_t *seconds;
    struct key *keys;
    size_t count;
    size_t visits;
    size_t bytes;
    struct row_key last; /* the last row that was visited */
    bool full;           /* there may be more */
    bool failed;         /* memory */
};

static void run_expirer(void *arg);
static enum err expire_table(struct store *store, uint64_t table_id, struct sweep *sweep);
static enum err fill_chunk(struct store *store, uint64_t table_id, bool *done);
static enum err sweep_batch(struct store *store, uint64_t table_id, const struct sweep *sweep,
                            struct row_key *low, bool *more);
static enum err evaluate_sweep(struct task *task, struct reader *reader, struct changes *changes);
static enum err evaluate_fill(struct task *task, struct reader *reader, struct changes *changes);

struct expirer *expirer_open(struct store *store)
{
    struct expirer *expirer = mem_zalloc(1, sizeof(*expirer));
    expirer->store = store;
    event_init(&expirer->event);
    thread_start(&expirer->thread, ROLE_WORKER, "expirer", run_expirer, expirer);
    return expirer;
}

void expirer_close(struct expirer *expirer)
{
    if (expirer == NULL) {
        return;
    }
    atomic_store_explicit(&expirer->stopping, true, memory_order_release);
    event_signal(&expirer->event);
    thread_join(&expirer->thread);
    event_fini(&expirer->event);
    mem_free(expirer);
}

static void run_expirer(void *arg)
{
    struct expirer *expirer = arg;
    while (!atomic_load_explicit(&expirer->stopping, memory_order_acquire)) {
        store_expire(expirer->store, store_age_ms(expirer->store), &expirer->stopping);
        event_wait(&expirer->event, SWEEP_EVERY_MS);
    }
}

/* The first whole second at which such a time has come; 0: there is none. */
static uint64_t second_of(struct value value)
{
    int64_t whole = 0;
    char text[NUMBER_TEXT_MAX + 1] = {0};
    struct buf out = buf_over((uint8_t *)text, NUMBER_TEXT_MAX);
    if (value.tag != VALUE_N) {
        return 0;
    }
    if (value_i64(value, &whole)) {
        return whole > 0 ? (uint64_t)whole : 0;
    }
    number_add_text(&out, value.body);
    double seconds = out.failed ? 0 : strtod(text, NULL);
    return seconds > 0 && seconds < FRACTION_MAX ? (uint64_t)ceil(seconds) : 0;
}

bool item_expires(const struct table *table, struct bytes item, uint64_t *second)
{
    struct value value;
    uint64_t found = 0;
    if (table->expiry_id != 0 && item.len > 0 && item_get(item, table->expiry_attribute, &value)) {
        found = second_of(value);
    }
    *second = found > 0 ? found : *second;
    return found > 0;
}

/* A stop does not wait for all that is due: no further batch is begun. */
static bool ends(struct sweep *sweep)
{
    bool stopping = atomic_load_explicit(sweep->stopping, memory_order_acquire);
    sweep->failed = sweep->failed || stopping;
    return stopping;
}

/* Once when it begins to fail and once when it is over: it is tried twice a second. */
static void note_failure(struct store *store, const struct sweep *sweep)
{
    bool failed = sweep->err != OK;
    if (failed != store->sweep_failed && failed) {
        NOTE(NOTE_WARN, "expiry.failed", NOTE_U("table", sweep->table_id),
             NOTE_S("reason", err_text(sweep->err)));
    } else if (failed != store->sweep_failed) {
        NOTE(NOTE_INFO, "expiry.goes_on");
    }
    store->sweep_failed = failed;
}

/* A table that cannot be done now (writes are throttled, the disk is full) is tried again the next
 * time. */
void store_expire(struct store *store, uint64_t now_ms, const _Atomic bool *stopping)
{
    struct sweep sweep = {.now_s = now_ms / 1000, .stopping = stopping};
    uint64_t table_id = 0;
    uint64_t low_s = view_take_low(store->view);
    sweep.from_s = low_s < store->swept_s ? low_s : store->swept_s;
    while (!ends(&sweep)) {
        const struct catalogue *catalogue = store_catalogue_pin(store);
        const struct table *table = catalogue_next_expiring(catalogue, table_id);
        table_id = table == NULL ? 0 : table->id;
        store_catalogue_unpin(store, catalogue);
        if (table_id == 0) {
            break;
        }
        enum err err = expire_table(store, table_id, &sweep);
        if (err != OK) {
            sweep.failed = true;
            sweep.table_id = sweep.err == OK ? table_id : sweep.table_id;
            sweep.err = sweep.err == OK ? err : sweep.err;
        }
    }
    note_failure(store, &sweep);
    store->swept_s = !sweep.failed && sweep.now_s > sweep.from_s ? sweep.now_s : sweep.from_s;
}

static enum err expire_table(struct store *store, uint64_t table_id, struct sweep *sweep)
{
    bool done = false;
    bool more = true;
    struct row_key low = {0};
    for (unsigned chunks = 0; !done && chunks < FILL_CHUNKS_MAX && !ends(sweep); chunks++) {
        TRY(fill_chunk(store, table_id, &done));
    }
    while (more && !ends(sweep)) {
        TRY(sweep_batch(store, table_id, sweep, &low, &more));
    }
    return OK;
}

/* ---- batches ---- */

static bool batch_open(struct batch *batch, struct store *store, const struct catalogue *catalogue,
                       uint64_t table_id, size_t count_max)
{
    *batch = (struct batch){.store = store, .table_id = table_id};
    batch->table = catalogue_table_by_id(catalogue, table_id);
    if (batch->table == NULL || batch->table->expiry_id == 0) {
        return false;
    }
    batch->expiry_id = batch->table->expiry_id;
    arena_init(&batch->arena, 0);
    batch->seconds = arena_alloc(&batch->arena, count_max * sizeof(*batch->seconds));
    batch->keys = arena_zalloc(&batch->arena, count_max * sizeof(*batch->keys));
    batch->failed = batch->seconds == NULL || batch->keys == NULL;
    return true;
}

/* Of a row that holds hash and key at its end. */
static void batch_add(struct batch *batch, uint64_t second, struct bytes hash_and_key)
{
    struct bytes key = bytes_of(hash_and_key.ptr + 8, hash_and_key.len - 8);
    struct bytes kept = arena_dup(&batch->arena, key);
    batch->failed = batch->failed || kept.ptr == NULL;
    batch->seconds[batch->count] = second;
    batch->keys[batch->count++] =
        (struct key){.bytes = kept, .hash = read_u64_big(hash_and_key.ptr)};
}

static enum err batch_run(struct batch *batch,
                          enum err (*evaluate)(struct task *task, struct reader *reader,
                                               struct changes *changes))
{
    batch->task.arena = &batch->arena;
    batch->task.evaluate = evaluate;
    batch->task.writes = true;
    return task_run_blocking(batch->store, &batch->task);
}

/* The table, if it still expires its items as it did when the batch was made. */
static const struct table *table_of(const struct batch *batch, struct reader *reader)
{
    reader->task->touched_catalogue = true;
    const struct table *table = catalogue_table_by_id(reader->catalogue, batch->table_id);
    return table != NULL && table->expiry_id == batch->expiry_id ? table : NULL;
}

static enum err read_item(struct reader *reader, const struct table *table, const struct key *key,
                          struct bytes *item)
{
    *item = BYTES_NONE;
    enum err err = reader_get(reader, table, key, item);
    return err == ERR_NOT_FOUND ? OK : err;
}

/* ---- sweeping ---- */

static bool visit_due(void *arg, struct bytes row, struct bytes value)
{
    struct batch *batch = arg;
    (void)value;
    batch_add(batch, read_u64_big(row.ptr + 17), bytes_of(row.ptr + 25, row.len - 25));
    batch->last.len = 0;
    row_add(&batch->last, row);
    batch->full = batch->count == SWEEP_COUNT_MAX;
    return !batch->full && !batch->failed;
}

/* Rows from low on, which is moved past those that were seen; empty: from the beginning. */
static enum err sweep_batch(struct store *store, uint64_t table_id, const struct sweep *sweep,
                            struct row_key *low, bool *more)
{
    struct batch batch;
    struct row_key high;
    const struct catalogue *catalogue = store_catalogue_pin(store);
    bool expires = batch_open(&batch, store, catalogue, table_id, SWEEP_COUNT_MAX);
    *more = false;
    store_catalogue_unpin(store, catalogue);
    if (!expires) {
        return OK;
    }
    if (low->len == 0) {
        uint64_t oldest_s = sweep->now_s > TOO_OLD_S ? sweep->now_s - TOO_OLD_S : 0;
        row_of_store_u64(low, 'x', batch.expiry_id);
        row_u64(low, oldest_s > sweep->from_s ? oldest_s : sweep->from_s);
    }
    row_of_store_u64(&high, 'x', batch.expiry_id);
    row_u64(&high, sweep->now_s + 1);
    struct view_scan scan = {
        .low = row_bytes(low),
        .high = row_bytes(&high),
        .how = VIEW_BLOCKING,
        .fn = visit_due,
        .arg = &batch,
    };
    enum err err = OK;
    if (bytes_compare(scan.low, scan.high) < 0) { /* else the clock was set back */
        err = batch.failed ? ERR_NOMEM : view_scan(store->view, &scan);
    }
    err = err == OK && batch.failed ? ERR_NOMEM : err;
    if (err == OK && batch.count > 0) {
        err = batch_run(&batch, evaluate_sweep);
        *more = batch.full;
        *low = batch.last;
        row_add(low, bytes_of("", 1));
    }
    if (err == OK) {
        count_add(&store->counters.expired, batch.task.changes.count);
    }
    arena_fini(&batch.arena);
    return err;
}

static enum err evaluate_sweep(struct task *task, struct reader *reader, struct changes *changes)
{
    const struct batch *batch = (const struct batch *)task;
    const struct table *table = table_of(batch, reader);
    for (size_t i = 0; table != NULL && i < batch->count; i++) {
        struct bytes item;
        uint64_t second = 0;
        TRY(read_item(reader, table, &batch->keys[i], &item));
        if (item_expires(table, item, &second) && second == batch->seconds[i]) {
            TRY(change_item(reader, changes, table, &batch->keys[i], item, BYTES_NONE,
                            ORIGIN_EXPIRY));
        }
    }
    return OK;
}

/* ---- rows of items that were there before ---- */

static bool visit_item(void *arg, struct bytes row, struct bytes item)
{
    struct batch *batch = arg;
    uint64_t second = 0;
    if (item_expires(batch->table, item, &second)) {
        batch_add(batch, second, bytes_of(row.ptr + 8, row.len - 8));
    }
    batch->last.len = 0;
    row_add(&batch->last, row);
    batch->visits++;
    batch->bytes += item.len;
    batch->full = batch->count == FILL_COUNT_MAX || batch->visits == FILL_VISITS_MAX ||
                  batch->bytes >= FILL_BYTES_MAX;
    return !batch->full && !batch->failed;
}

/* Where it goes on: after the last row of the chunk before. */
static enum err find_place(struct batch *batch, struct row_key *low, bool *done)
{
    struct row_key row;
    struct bytes value;
    row_of_store_u64(&row, 'f', batch->expiry_id);
    enum err err =
        view_get(batch->store->view, row_bytes(&row), VIEW_BLOCKING, &batch->arena, &value);
    *done = false;
    low->len = 0;
    row_u64(low, batch->table_id);
    if (err == ERR_NOT_FOUND) {
        return OK;
    }
    TRY(err);
    if (value.len == 0 || value.len - 1 > KEY_STORED_MAX + 8) {
        return ERR_DAMAGED;
    }
    *done = value.ptr[0] != 0;
    row_add(low, bytes_of(value.ptr + 1, value.len - 1));
    row_add(low, bytes_of("", 1));
    return OK;
}

static enum err find_items(struct batch *batch, const struct row_key *low)
{
    struct row_key high = {0};
    row_u64(&high, batch->table_id + 1);
    struct view_scan scan = {
        .low = row_bytes(low),
        .high = row_bytes(&high),
        .how = VIEW_BLOCKING,
        .fn = visit_item,
        .arg = batch,
    };
    TRY(view_scan(batch->store->view, &scan));
    return batch->failed ? ERR_NOMEM : OK;
}

static enum err fill_chunk(struct store *store, uint64_t table_id, bool *done)
{
    struct batch batch;
    struct row_key low;
    const struct catalogue *catalogue = store_catalogue_pin(store);
    enum err err = OK;
    if (!batch_open(&batch, store, catalogue, table_id, FILL_COUNT_MAX)) {
        store_catalogue_unpin(store, catalogue);
        *done = true;
        return OK;
    }
    err = batch.failed ? ERR_NOMEM : find_place(&batch, &low, done);
    bool work = err == OK && !*done;
    err = work ? find_items(&batch, &low) : err;
    batch.table = NULL;
    store_catalogue_unpin(store, catalogue);
    if (work && err == OK) {
        err = batch_run(&batch, evaluate_fill);
        *done = !batch.full;
    }
    arena_fini(&batch.arena);
    return err;
}

static enum err evaluate_fill(struct task *task, struct reader *reader, struct changes *changes)
{
    const struct batch *batch = (const struct batch *)task;
    const struct table *table = table_of(batch, reader);
    if (table == NULL) {
        return OK;
    }
    struct expiry_fill fill = {
        .expiry_id = batch->expiry_id,
        .done = !batch->full,
        .keys = batch->keys,
    };
    size_t prefix = batch->last.len > 0 ? 8 : 0;
    fill.place = bytes_of(batch->last.ptr + prefix, batch->last.len - prefix);
    fill.seconds = arena_zalloc(reader->arena, FILL_COUNT_MAX * sizeof(*fill.seconds));
    if (fill.seconds == NULL) {
        return ERR_NOMEM;
    }
    for (; fill.count < batch->count; fill.count++) {
        struct bytes item;
        TRY(read_item(reader, table, &batch->keys[fill.count], &item));
        if (!item_expires(table, item, &fill.seconds[fill.count])) {
            fill.seconds[fill.count] = 0; /* no longer: no row */
        }
    }
    return change_fill_expiry(reader, changes, &fill);
}
