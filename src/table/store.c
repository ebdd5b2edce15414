/* The store: opening and closing a data directory, and what all its threads share.
 *
 *   DATA/LOCK     held while a process has the directory; says which
 *   DATA/FORMAT   "headwater data 1", "epoch 1000", "check " and a CRC-32C of these lines: written
 *                 first, so that a directory with other contents and without it is refused. Without
 *                 a check, as an older version wrote it, it gets one
 *   DATA/log/     the truth                      DATA/view/    what it amounts to
 *
 * Opening is: lock, format, view, log, replay of what the view does not hold, threads. */
#include "table/table_priv.h"

#include "expr/expr.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/process.h"
#include "table/view_write.h"

#include <stdlib.h>

#define PATH_ROOM 4096
#define FORMAT_VERSION 1u
#define FORMAT_LEN_MAX 65536u
#define REPLAY_BATCH_BYTES (4u << 20)
#define FORMAT_TEXT_MAX 64u
#define READ_QUEUE_MAX 16384u
#define MIB ((uint64_t)1 << 20)
#define SIZE_MOST (64 * MIB)
#define SIZE_LEAST (MIB / 4)
#define SIZE_STEP 4096u

static enum err lock_directory(struct store *store, const char *data, struct store_report *report);
static void set_sizes(struct store *store, const struct store_options *options);
static enum err check_format(struct store *store, const char *data, struct store_report *report);
static enum err open_view(struct store *store, const struct store_options *options,
                          struct view_state *state, bool *fresh, struct store_report *report);
static enum err open_log(struct store *store, const struct store_options *options,
                         struct view_state *state, bool fresh, struct store_report *report);
static enum err load_catalogue(struct store *store, struct view_state *state);
static enum err replay(struct store *store, struct view_state *state, struct store_report *report);
static enum err find_token_time(struct store *store);
static enum err load_age(struct store *store);
static void start_threads(struct store *store, const struct store_options *options,
                          struct view_state state);
static enum err damaged(struct store_report *report, const char *file, const char *reason);
static void store_free(struct store *store);

static store_fatal *fatal_callback;

void store_on_fatal(store_fatal *fatal)
{
    fatal_callback = fatal;
}

static _Noreturn void die(enum exit_status status, const char *what, const char *data,
                          const char *name, const char *reason)
{
    char file[PATH_ROOM + 64];
    snprintf(file, sizeof(file), "%s%s/%s", what, data, name);
    NOTE(NOTE_ERROR, "store.fatal", NOTE_S("file", file), NOTE_S("reason", reason));
    if (fatal_callback != NULL) {
        fatal_callback(status, file, reason);
    }
    process_exit_now((int)status);
}

_Noreturn void store_die_of_log(const struct store *store, enum err err)
{
    die(EXIT_DISK, "the log cannot be written, ", store->data, "log", file_reason(err));
}

_Noreturn void store_die_of_view(const struct store *store, enum err err)
{
    char text[ENDING_REASON_MAX];
    snprintf(text, sizeof(text), "%s", err_text(err));
    view_failure(text, sizeof(text));
    bool damaged = view_write_error(text, sizeof(text)) || err == ERR_DAMAGED;
    die(damaged ? EXIT_DAMAGED : EXIT_DISK, damaged ? "damaged data, " : "the view cannot go on, ",
        store->data, "view", text);
}

void store_view_failure(char *text, size_t room)
{
    view_failure(text, room);
}

static uint64_t or_default(uint64_t given, uint64_t otherwise)
{
    return given == 0 ? otherwise : given;
}

enum err store_open(const struct store_options *options, struct store **out,
                    struct store_report *report)
{
    struct view_state state = {0};
    bool fresh = false;
    struct store *store = mem_zalloc(1, sizeof(*store));
    *report = (struct store_report){0};
    store->lock = -1;
    store->base = clock_base_now();
    arena_init(&store->names, 0);
    store->region = arena_dup(&store->names, options->region);
    store->account = arena_dup(&store->names, options->account);
    store->retention_ms = or_default(options->retention_ms, (uint64_t)24 * 3600 * 1000);
    store->repeat_evaluation = options->repeat_evaluation;
    store->data = (const char *)arena_printf(&store->names, "%s", options->data).ptr;
    pthread_mutex_init(&store->catalogue_mutex, NULL);
    pthread_mutex_init(&store->exprs_mutex, NULL);

    enum err err = store->names.failed ? ERR_NOMEM : lock_directory(store, options->data, report);
    set_sizes(store, options);
    err = err != OK ? err : check_format(store, options->data, report);
    err = err != OK ? err : open_view(store, options, &state, &fresh, report);
    err = err != OK ? err : open_log(store, options, &state, fresh, report);
    err = err != OK ? err : load_catalogue(store, &state);
    err = err != OK ? err : replay(store, &state, report);
    err = err != OK ? err : find_token_time(store);
    if (err != OK) {
        store_free(store);
        return err;
    }
    start_threads(store, options, state);
    *out = store;
    return OK;
}

/* What was not said follows from the volume, for a small one would be taken up by what is only kept
 * ready or free, and from the memory. A volume that cannot be asked is taken for a large one. */
static void set_sizes(struct store *store, const struct store_options *options)
{
    uint64_t volume = UINT64_MAX;
    enum err err = volume_size(options->data, &volume);
    uint64_t unit = err == OK ? volume / 64 / SIZE_STEP * SIZE_STEP : SIZE_MOST;
    unit = unit < SIZE_LEAST ? SIZE_LEAST : unit < SIZE_MOST ? unit : SIZE_MOST;
    store->segment_bytes = or_default(options->segment_bytes, unit);
    uint64_t part = options->memory_bytes / 16;
    unit = part == 0 || part > unit ? unit : part;
    store->cache_bytes = or_default(options->cache_bytes, part == 0 ? 64 * MIB : 2 * part);
    store->tail_bytes = or_default(options->tail_bytes, part == 0 ? 16 * MIB : part / 2);
    store->memtable_bytes = or_default(options->memtable_bytes, unit);
    store->flush_bytes = or_default(options->flush_bytes, unit);
    /* Segments go when they are flushed, so that much less than the budget may be unflushed. */
    store->log_budget = options->log_budget;
    store->log_reserve = options->log_budget / 64;
    if (store->log_budget > 0 && store->flush_bytes > store->log_budget / 4) {
        store->flush_bytes = store->log_budget / 4;
    }
    store->throttle_bytes = or_default(options->throttle_bytes, 4 * unit);
    /* A few memtables and segments: what is on its way to the disk when writes are refused. */
    store->reserve_bytes = 3 * store->memtable_bytes + 2 * store->segment_bytes;
}

/* Keeper and expirer first, since they propose; then the committer has nothing left to do. */
enum err store_close(struct store *store)
{
    scrubber_close(store->scrubber);
    store->scrubber = NULL;
    expirer_close(store->expirer);
    store->expirer = NULL;
    keeper_close(store->keeper);
    store->keeper = NULL;
    pool_close(store->pool);
    store->pool = NULL;
    struct view_state state = committer_close(store->committer);
    store->committer = NULL;
    state.trim = atomic_load_explicit(&store->trim, memory_order_relaxed);
    enum err err = view_write(store->view, &state);
    if (err != OK) {
        store_die_of_view(store, err);
    }
    store_flush(store);
    store_check_view(store);
    struct log *log = store->log;
    store->log = NULL;
    err = log_close(log, true);
    store_free(store);
    return err;
}

static void store_free(struct store *store)
{
    if (store->log != NULL) {
        enum err err = log_close(store->log, false);
        if (err != OK) {
            NOTE(NOTE_WARN, "log.close_failed", NOTE_S("reason", err_text(err)));
        }
    }
    directory_close(store->directory);
    if (store->view != NULL) {
        view_close(store->view);
    }
    catalogue_unpin(store->catalogue);
    for (size_t i = 0; i < store->exprs_count; i++) {
        expr_cache_free(store->exprs[i]);
    }
    mem_free(store->exprs);
    if (store->lock >= 0 && file_close(store->lock) != OK) {
        NOTE(NOTE_WARN, "lock.close_failed");
    }
    pthread_mutex_destroy(&store->exprs_mutex);
    pthread_mutex_destroy(&store->catalogue_mutex);
    arena_fini(&store->names);
    mem_free(store);
}

/* ---- opening, step by step ---- */

static enum err path_in(const char *data, const char *name, char *out, size_t room)
{
    int len = snprintf(out, room, "%s/%s", data, name);
    return len < 0 || (size_t)len >= room ? ERR_INVALID : OK;
}

/* The pid in LOCK is for people: the lock itself is the kernel's and ends with its holder. */
static enum err lock_directory(struct store *store, const char *data, struct store_report *report)
{
    char path[PATH_ROOM];
    char text[64] = {0};
    size_t got = 0;
    TRY(path_in(data, "LOCK", path, sizeof(path)));
    TRY(directory_make(data));
    enum err err = file_open(path, FILE_UPDATE, &store->lock);
    if (err == ERR_NOT_FOUND) {
        err = file_open(path, FILE_CREATE, &store->lock);
    }
    TRY(err);
    err = file_lock(store->lock);
    if (err == ERR_BUSY) {
        TRY(file_read(store->lock, text, sizeof(text) - 1, 0, &got));
        snprintf(report->directory_holder, sizeof(report->directory_holder), "process %lu",
                 strtoul(text, NULL, 10));
    }
    TRY(err);
    int len = snprintf(text, sizeof(text), "%llu\n", (unsigned long long)process_id());
    TRY(file_truncate(store->lock, 0));
    return file_write(store->lock, text, (size_t)len, 0);
}

static struct bytes format_text(unsigned version, unsigned epoch, bool with_check,
                                char text[FORMAT_TEXT_MAX])
{
    int len = snprintf(text, FORMAT_TEXT_MAX, "headwater data %u\nepoch %u\n", version, epoch);
    if (with_check) {
        uint32_t crc = hash_crc32c(0, bytes_of(text, (size_t)len));
        len += snprintf(text + len, FORMAT_TEXT_MAX - (size_t)len, "check %08x\n", crc);
    }
    return bytes_of(text, (size_t)len);
}

static enum err write_format(const char *data, const char *path, unsigned epoch)
{
    char text[FORMAT_TEXT_MAX];
    TRY(file_write_all(path, format_text(FORMAT_VERSION, epoch, true, text), 0600));
    return directory_sync(data);
}

/* Only the version is read of a file that another version wrote: what follows may be anything. */
enum err store_read_format(const char *data, struct store_format *out, struct store_report *report)
{
    char path[PATH_ROOM];
    unsigned version = 0;
    unsigned epoch = 0;
    char text[FORMAT_TEXT_MAX];
    struct bytes found;
    struct arena arena;
    TRY(path_in(data, "FORMAT", path, sizeof(path)));
    arena_init(&arena, 0);
    enum err err = file_read_all(path, FORMAT_LEN_MAX, &arena, &found);
    if (err == ERR_RANGE) {
        err = damaged(report, path, "it is longer than a format is");
    }
    if (err != OK) {
        arena_fini(&arena);
        return err;
    }
    /* NOLINTNEXTLINE(cert-err34-c): as many digits as fit are asked for. */
    int fields = sscanf((const char *)found.ptr, "headwater data %9u\nepoch %9u", &version, &epoch);
    bool checked = bytes_equal(found, format_text(version, epoch, true, text));
    bool sound = fields == 2 && epoch >= EPOCH_FIRST && epoch <= 9999 &&
                 (checked || bytes_equal(found, format_text(version, epoch, false, text)));
    arena_fini(&arena);
    if (fields >= 1 && version != FORMAT_VERSION) {
        return damaged(report, path,
                       "written by a version of Headwater that this one does not "
                       "know: start that version or a newer one");
    }
    if (!sound) {
        return damaged(report, path, "it cannot be read as the format of a data directory");
    }
    *out = (struct store_format){.epoch = epoch, .checked = checked};
    return OK;
}

static enum err check_format(struct store *store, const char *data, struct store_report *report)
{
    char path[PATH_ROOM];
    char log[PATH_ROOM];
    struct store_format format = {.epoch = EPOCH_FIRST};
    TRY(path_in(data, "FORMAT", path, sizeof(path)));
    TRY(path_in(data, "log", log, sizeof(log)));
    if (file_exists(path)) {
        TRY(store_read_format(data, &format, report));
    } else if (file_exists(log)) {
        return damaged(report, path,
                       "it is missing beside a log: restore it, or use another "
                       "data directory");
    }
    store->epoch = format.epoch;
    return format.checked ? OK : write_format(data, path, format.epoch);
}

static enum err open_view(struct store *store, const struct store_options *options,
                          struct view_state *state, bool *fresh, struct store_report *report)
{
    char path[PATH_ROOM];
    TRY(path_in(options->data, "view", path, sizeof(path)));
    TRY(directory_make(path));
    struct view_options view = {
        .dir = path,
        .memtable_bytes = store->memtable_bytes,
        .cache_bytes = store->cache_bytes,
        .floor_bytes = store->reserve_bytes / 4 * 3,
    };
    char reason[sizeof(report->log.reason)] = {0};
    enum err err = view_open(&view, &store->view, state, fresh, reason, sizeof(reason));
    if (err != OK) {
        snprintf(report->log.file, sizeof(report->log.file), "%.*s",
                 (int)sizeof(report->log.file) - 1, path);
        snprintf(report->log.reason, sizeof(report->log.reason), "%s", reason);
        return err;
    }
    report->view_commit = state->applied;
    store->directory = directory_open(store->view);
    return OK;
}

static enum err open_log(struct store *store, const struct store_options *options,
                         struct view_state *state, bool fresh, struct store_report *report)
{
    char path[PATH_ROOM];
    TRY(path_in(options->data, "log", path, sizeof(path)));
    struct log_options log = {
        .dir = path,
        .segment_bytes = store->segment_bytes,
        .id = fresh ? 0 : state->log_id,
        .flushed = state->applied,
        .tail_bytes = (size_t)store->tail_bytes,
        .budget_bytes = options->log_budget,
        .directory = directory_for_log(store->directory),
    };
    TRY(log_open(&log, &store->log, &report->log));
    if (log_first(store->log) > state->applied + 1) {
        return damaged(report, path,
                       "it begins after the view ends, so commits between are "
                       "missing: restore log and view from one copy");
    }
    state->log_id = log_id(store->log);
    state->next_id = state->next_id < TABLE_ID_FIRST ? TABLE_ID_FIRST : state->next_id;
    uint64_t trim = log_first(store->log) - 1;
    trim = trim > state->trim ? trim : state->trim;
    atomic_store_explicit(&store->trim, trim, memory_order_relaxed);
    log_set_trim(store->log, trim);
    return OK;
}

static enum err damaged(struct store_report *report, const char *file, const char *reason)
{
    snprintf(report->log.file, sizeof(report->log.file), "%.*s", (int)sizeof(report->log.file) - 1,
             file);
    snprintf(report->log.reason, sizeof(report->log.reason), "%s", reason);
    return ERR_DAMAGED;
}

struct load {
    struct catalogue *catalogue;
    enum err (*row)(struct catalogue *catalogue, struct bytes value);
    enum err err;
};

static bool load_row(void *arg, struct bytes row, struct bytes value)
{
    struct load *load = arg;
    (void)row;
    load->err = load->row(load->catalogue, value);
    return load->err == OK;
}

static enum err load_rows(struct store *store, struct load *load, char letter)
{
    struct row_key low;
    struct row_key high;
    row_of_store(&low, letter);
    row_of_store(&high, (char)(letter + 1));
    struct view_scan scan = {
        .low = row_bytes(&low),
        .high = row_bytes(&high),
        .how = VIEW_BLOCKING,
        .fn = load_row,
        .arg = load,
    };
    TRY(view_scan(store->view, &scan));
    return load->err;
}

static enum err load_catalogue(struct store *store, struct view_state *state)
{
    struct load streams = {catalogue_new(state->next_id), catalogue_load_stream, OK};
    struct load tables = {streams.catalogue, catalogue_load_table, OK};
    store->catalogue = streams.catalogue;
    TRY(load_rows(store, &streams, 'u'));
    return load_rows(store, &tables, 't');
}

/* ---- replay ---- */

struct replay {
    struct store *store;
    struct view_state *state;
    struct store_report *report;
};

static enum err check_items(const struct log_record *record)
{
    struct item_record item;
    if (record->kind != KIND_RECORD_ITEM) {
        return OK;
    }
    TRY(item_record_decode(record->body, &item));
    TRY(item.is ? item_check(item.new_item) : OK);
    return item.has_old ? item_check(item.old_item) : OK;
}

/* Batches end where commits do, so that the view never holds half of one. */
static enum err replay_record(void *arg, const struct log_record *record)
{
    struct replay *replay = arg;
    struct store *store = replay->store;
    struct catalogue *after = NULL;
    TRY(check_items(record));
    TRY(record_apply(store->view, record));
    TRY(record_catalogue(store->catalogue, record, &after));
    if (after != NULL) {
        catalogue_unpin(store->catalogue);
        store->catalogue = after;
        replay->state->next_id = after->next_id;
    }
    replay->report->replayed_bytes += record->body.len;
    if (record->index + 1 < record->count) {
        return OK;
    }
    replay->report->replayed_commits++;
    replay->state->applied = record->commit;
    replay->state->time_ms =
        record->time_ms > replay->state->time_ms ? record->time_ms : replay->state->time_ms;
    return view_batch_bytes(store->view) < REPLAY_BATCH_BYTES
               ? OK
               : view_write(store->view, replay->state);
}

static enum err replay(struct store *store, struct view_state *state, struct store_report *report)
{
    struct replay replay = {store, state, report};
    enum err err = log_replay(store->log, state->applied, replay_record, &replay);
    if (err == ERR_DAMAGED && report->log.reason[0] == 0) {
        snprintf(report->log.file, sizeof(report->log.file), "%s/log", store->data);
        snprintf(report->log.reason, sizeof(report->log.reason),
                 "the record after commit %llu cannot be read: restore log and view from one copy, "
                 "or move the data directory aside",
                 (unsigned long long)state->applied);
    }
    TRY(err);
    if (report->replayed_commits > 0 || state->applied == 0) {
        TRY(view_write(store->view, state));
    }
    atomic_store_explicit(&store->now_ms, state->time_ms, memory_order_relaxed);
    atomic_store_explicit(&store->counters.flushed, report->view_commit, memory_order_relaxed);
    atomic_store_explicit(&store->catalogue_commit, store->catalogue->commit, memory_order_relaxed);
    atomic_store_explicit(&store->streamed, log_last(store->log), memory_order_relaxed);
    TRY(load_age(store));
    store_hide_again(store);
    return OK;
}

static bool take_period(void *arg, struct bytes row, struct bytes value)
{
    (void)value;
    *(uint64_t *)arg = read_u64_big(row.ptr + 9) * TOKEN_KEPT_MS;
    return false;
}

/* Not before the newest token: its row would not be looked at. */
static enum err find_token_time(struct store *store)
{
    uint64_t newest_ms = 0;
    struct row_key low;
    struct row_key high;
    row_of_store(&low, 'k');
    row_of_store(&high, 'k' + 1);
    struct view_scan scan = {
        .low = row_bytes(&low),
        .high = row_bytes(&high),
        .backward = true,
        .how = VIEW_BLOCKING,
        .fn = take_period,
        .arg = &newest_ms,
    };
    TRY(view_scan(store->view, &scan));
    store->token_base_ms = store->base.wall_ms > newest_ms ? store->base.wall_ms : newest_ms;
    return OK;
}

/* By which age records were hidden before. */
static enum err load_age(struct store *store)
{
    struct arena arena;
    struct row_key row;
    struct bytes value = BYTES_NONE;
    uint64_t age_ms = 0;
    row_of_store(&row, 'a');
    arena_init(&arena, 0);
    enum err err = view_get(store->view, row_bytes(&row), VIEW_BLOCKING, &arena, &value);
    if (err == OK) {
        err = read_described_id(value, BYTES("age"), &age_ms);
    }
    arena_fini(&arena);
    atomic_store_explicit(&store->aged_ms, age_ms, memory_order_relaxed);
    return err == ERR_NOT_FOUND ? OK : err;
}

static void start_threads(struct store *store, const struct store_options *options,
                          struct view_state state)
{
    unsigned workers = options->read_workers == 0 ? 4 : options->read_workers;
    store->pool = pool_open(workers, READ_QUEUE_MAX, "reader");
    store_watch_space(store);
    store->committer = committer_open(store, state);
    store_hide_old(store, store_age_ms(store));
    store->keeper = keeper_open(store);
    const struct log_cleaning cleaning = {.trims = {store, store_stream_dead}};
    log_clean(store->log, &cleaning);
    store->expirer = expirer_open(store);
    store->scrubber = scrubber_open(store, or_default(options->scrub_bytes_per_second, 8 * MIB),
                                    options->scrub_interval_ms);
}

/* ---- what threads share ---- */

struct log *store_log(struct store *store)
{
    return store->log;
}

struct pool *store_pool(struct store *store)
{
    return store->pool;
}

struct bytes store_region(const struct store *store)
{
    return store->region;
}

struct bytes store_account(const struct store *store)
{
    return store->account;
}

uint64_t store_now_ms(struct store *store)
{
    uint64_t wall = clock_wall_ms();
    count_max(&store->now_ms, wall);
    return atomic_load_explicit(&store->now_ms, memory_order_relaxed);
}

uint64_t store_token_ms(struct store *store)
{
    uint64_t passed =
        clock_unset_ms(&store->base) - store->base.wall_ms; /* a test clock goes back */
    count_max(&store->token_ms, store->token_base_ms + passed);
    return atomic_load_explicit(&store->token_ms, memory_order_relaxed);
}

uint64_t store_age_ms(struct store *store)
{
    uint64_t wall = clock_wall_ms();
    uint64_t unset = clock_unset_ms(&store->base);
    return wall < unset ? wall : unset;
}

uint64_t store_hiding_ms(struct store *store)
{
    uint64_t aged = atomic_load_explicit(&store->aged_ms, memory_order_relaxed);
    uint64_t age = store_age_ms(store);
    return age > aged ? age : aged;
}

unsigned store_pressure(struct store *store)
{
    unsigned pressure = atomic_load_explicit(&store->pressure, memory_order_relaxed);
    uint64_t unflushed = log_unflushed_bytes(store->log);
    unsigned of_log = unflushed >= store->throttle_bytes           ? 2
                      : unflushed >= store->throttle_bytes / 4 * 3 ? 1
                                                                   : 0;
    unsigned space = atomic_load_explicit(&store->space, memory_order_relaxed);
    pressure = pressure == 0 && space != SPACE_AMPLE ? 1 : pressure;
    of_log = of_log == 0 && store_budget_use(store, 0) > 0 ? 1 : of_log;
    return of_log > pressure ? of_log : pressure;
}

struct expr_cache *store_take_exprs(struct store *store)
{
    struct expr_cache *exprs = NULL;
    pthread_mutex_lock(&store->exprs_mutex);
    if (store->exprs_count > 0) {
        exprs = store->exprs[--store->exprs_count];
    }
    pthread_mutex_unlock(&store->exprs_mutex);
    exprs = exprs == NULL ? expr_cache_new() : exprs;
    ASSERT(exprs != NULL);
    return exprs;
}

/* There are never more than workers at once. */
void store_give_exprs(struct store *store, struct expr_cache *exprs)
{
    expr_cache_leave(exprs);
    pthread_mutex_lock(&store->exprs_mutex);
    if (store->exprs_count == store->exprs_cap) {
        store->exprs_cap = store->exprs_cap * 2 + 4;
        store->exprs = mem_realloc(store->exprs, store->exprs_cap * sizeof(struct expr_cache *));
    }
    store->exprs[store->exprs_count++] = exprs;
    pthread_mutex_unlock(&store->exprs_mutex);
}

const struct catalogue *store_catalogue_pin(struct store *store)
{
    pthread_mutex_lock(&store->catalogue_mutex);
    const struct catalogue *catalogue = catalogue_pin(store->catalogue);
    pthread_mutex_unlock(&store->catalogue_mutex);
    return catalogue;
}

void store_catalogue_unpin(struct store *store, const struct catalogue *catalogue)
{
    (void)store;
    catalogue_unpin(catalogue);
}

void store_follow(struct store *store, struct log_follower *follower, const struct stream *stream,
                  struct log_place after)
{
    follower->stream = stream->id;
    log_follow(store->log, follower, after);
}

bool store_unfollow(struct store *store, struct log_follower *follower)
{
    return log_unfollow(store->log, follower);
}

/* ---- sequence numbers ---- */

void sequence_number_text(struct store *store, uint64_t commit, uint32_t index, char out[25])
{
    snprintf(out, 25, "%04u%015llu%05u", (unsigned)store->epoch % 10000u,
             (unsigned long long)(commit % 1000000000000000u), (unsigned)(index % 100000u));
}

static bool digits(struct bytes text, size_t from, size_t count, uint64_t *value)
{
    *value = 0;
    for (size_t i = from; i < from + count; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return false;
        }
        *value = *value * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    return true;
}

enum err sequence_number_parse(struct store *store, struct bytes text, struct log_place *place)
{
    uint64_t epoch = 0;
    uint64_t commit = 0;
    uint64_t index = 0;
    if (text.len != 24 || !digits(text, 0, 4, &epoch) || !digits(text, 4, 15, &commit) ||
        !digits(text, 19, 5, &index) || epoch != store->epoch) {
        return ERR_INVALID;
    }
    *place = (struct log_place){commit, (uint32_t)index};
    return OK;
}

/* ---- reserved tables ---- */

struct ensure {
    struct task task; /* first: a task pointer is one of these */
    const struct table_definition *definition;
};

static enum err ensure_table(struct task *task, struct reader *reader, struct changes *changes)
{
    const struct ensure *ensure = (struct ensure *)task;
    const struct table *made = NULL;
    if (reader_table(reader, ensure->definition->name) != NULL) {
        return OK;
    }
    return change_create_table(reader, changes, ensure->definition, &made);
}

enum err store_ensure_table(struct store *store, const struct table_definition *definition)
{
    struct arena arena;
    struct ensure ensure = {.definition = definition};
    arena_init(&arena, 0);
    ensure.task.arena = &arena;
    ensure.task.evaluate = ensure_table;
    ensure.task.writes = true;
    enum err err = task_run_blocking(store, &ensure.task);
    arena_fini(&arena);
    return err;
}

/* ---- figures ---- */

void store_figures(struct store *store, struct store_figures *out)
{
    struct counters *counters = &store->counters;
    *out = (struct store_figures){
#define COUNTER(name) .name = atomic_load_explicit(&counters->name, memory_order_relaxed)
        COUNTER(proposals),
        COUNTER(commits),
        COUNTER(groups),
        COUNTER(repeated),
        COUNTER(sent_back),
        COUNTER(throttled),
        COUNTER(slowed),
        COUNTER(changes),
        COUNTER(cache_only_incomplete),
        COUNTER(worker_reads),
        COUNTER(view_batch_ns_total),
        COUNTER(view_batch_ns_max),
        COUNTER(flushes),
        COUNTER(flush_ns_total),
        COUNTER(queue_now),
        COUNTER(queue_max),
        COUNTER(expired),
        COUNTER(flushed),
#undef COUNTER
        .durable = log_last(store->log),
        .visible = log_visible(store->log),
        .unflushed_bytes = log_unflushed_bytes(store->log),
        .background_errors = view_background_errors(store->view),
        .compaction_waits = view_write_waits(),
        .space = store_space(store),
    };
    log_figures(store->log, &out->log);
}
