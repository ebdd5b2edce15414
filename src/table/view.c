/* The view: items by key in RocksDB. Its own log is off; it holds an exact prefix of ours, and says
 * which in the same batch (view_write), so that replay knows where to go on (table I1). One column
 * family, one writer of commits, one batch a group. Nothing resumes by itself after a background
 * error: the keeper polls for it and ends the process.
 *
 * Reads come in two ways: cached ones take what RocksDB's cache or the kernel's page cache holds
 * and answer ERR_INCOMPLETE where they would have to wait for a disk; blocking ones are for
 * workers. Values are checked by RocksDB's block checksums when they enter its cache. */
#include "table/table_priv.h"

#include "table/resident.h"
#include "table/view_check.h"
#include "table/view_files.h"
#include "table/view_write.h"

#include <rocksdb/c.h>

#define STATE_VERSION 1u
#define STATE_LEN 44u
#define CACHE_FILL_SHIFT 29u   /* one in eight */
#define LEVEL0_CALM 16u        /* sorted runs; a compaction begins at four */
#define CACHED_SKIPS_MAX 1024u /* deleted rows that a cached scan walks over, one after another */

struct view {
    struct owner owner; /* of the batch */
    rocksdb_t *db;
    rocksdb_options_t *options;
    rocksdb_readoptions_t *read;
    rocksdb_readoptions_t *read_and_fill;
    rocksdb_writeoptions_t *write;
    rocksdb_flushoptions_t *flush;
    rocksdb_writebatch_t *batch;
    size_t batch_bytes;
    uint64_t batch_low;          /* least second of the batch's expiry rows */
    _Atomic uint64_t expiry_low; /* see view_take_low */
};

static pthread_mutex_t failure_mutex = PTHREAD_MUTEX_INITIALIZER;
static char failure[ENDING_REASON_MAX];

static enum err open_files(struct view *view, const struct view_options *options, char *reason,
                           size_t room);
static enum err make_options(const struct view_options *options, rocksdb_options_t **out,
                             char *reason, size_t room);
static enum err read_state(struct view *view, struct view_state *state, bool *fresh);
static enum err took(char *error, const char *call);
static enum err get_row(struct view *view, const rocksdb_readoptions_t *options, struct bytes row,
                        enum view_read how, struct arena *arena, struct bytes *value);
static enum err row_bounds(const struct view_scan *scan, rocksdb_readoptions_t *options);

static void begin_reading(enum view_read how)
{
    DASSERT(how == VIEW_CACHED || thread_role() != ROLE_LOOP);
    resident_begin(how == VIEW_CACHED);
}

enum err view_open(const struct view_options *options, struct view **out, struct view_state *state,
                   bool *fresh, char *reason, size_t room)
{
    struct view *view = mem_zalloc(1, sizeof(*view));
    view->batch_low = UINT64_MAX;
    atomic_init(&view->expiry_low, UINT64_MAX);
    resident_init();
    view_write_init(options->floor_bytes);
    view_check_init();
    enum err err = options->to_read ? view_files_check(options->dir, reason, room)
                                    : view_files_prepare(options->dir, reason, room);
    err = err != OK ? err : open_files(view, options, reason, room);
    if (err != OK) {
        view_close(view);
        return err;
    }
    view->read = rocksdb_readoptions_create();
    rocksdb_readoptions_set_fill_cache(view->read, 0);
    view->read_and_fill = rocksdb_readoptions_create();
    view->write = rocksdb_writeoptions_create();
    rocksdb_writeoptions_disable_WAL(view->write, 1);
    view->flush = rocksdb_flushoptions_create();
    rocksdb_flushoptions_set_wait(view->flush, 1);
    view->batch = rocksdb_writebatch_create();
    err = read_state(view, state, fresh);
    if (err != OK) {
        char words[ENDING_REASON_MAX];
        snprintf(words, sizeof(words), "%s", err_text(err));
        view_failure(words, sizeof(words));
        snprintf(reason, room, "its state row cannot be read: %s", words);
        view_close(view);
        return err;
    }
    *out = view;
    return OK;
}

static enum err open_files(struct view *view, const struct view_options *options, char *reason,
                           size_t room)
{
    char *error = NULL;
    TRY(make_options(options, &view->options, reason, room));
    view->db = options->to_read ? rocksdb_open_for_read_only(view->options, options->dir, 0, &error)
                                : rocksdb_open(view->options, options->dir, &error);
    if (view->db == NULL) {
        char cause[ENDING_REASON_MAX] = {0};
        if (strstr(error, options->dir) == NULL) { /* as where it could not open CURRENT */
            resident_refusal(cause, sizeof(cause));
        }
        snprintf(reason, room, "%s%s%s", error, cause[0] != 0 ? ": " : "", cause);
        return took(error, "open");
    }
    return OK;
}

struct view *view_open_batch(void)
{
    struct view *view = mem_zalloc(1, sizeof(*view));
    view->batch_low = UINT64_MAX;
    atomic_init(&view->expiry_low, UINT64_MAX);
    view->batch = rocksdb_writebatch_create();
    return view;
}

void view_close(struct view *view)
{
    if (view->db != NULL) {
        rocksdb_close(view->db);
    }
    if (view->batch != NULL) {
        rocksdb_writebatch_destroy(view->batch);
    }
    if (view->read != NULL) {
        rocksdb_flushoptions_destroy(view->flush);
        rocksdb_writeoptions_destroy(view->write);
        rocksdb_readoptions_destroy(view->read_and_fill);
        rocksdb_readoptions_destroy(view->read);
    }
    if (view->options != NULL) {
        rocksdb_options_destroy(view->options);
    }
    mem_free(view);
}

/* Most options have no setter in the C interface, so all are given as text. What matters:
 * - env: reads that do not wait (resident.h).
 * - file_checksum_gen_factory: the manifest holds a checksum of each whole table (view_check.cc).
 * - max_bgerror_resume_count=0: no write after an error before the process has started again.
 * - avoid_unnecessary_blocking_io: what a killed compaction left, perhaps a gigabyte, is removed
 *   beside a start and not before it; so is a memtable that nobody needs any more.
 * - max_background_jobs=4 gives one flush at a time.
 * - target_file_size_base: each sorted run is one file. Where there are more, RocksDB 7.8 forgets
 *   an error in the first block of the next one, and compaction drops the rest of the run.
 * - prepopulate_block_cache: what was just written stays readable without a disk after its flush;
 *   the committer's own reads depend on that.
 * - bytes_per_sync, writable_file_max_buffer_size: small pieces, with pauses between
 * (view_write.h).
 * - listeners: compactions that give way to a full disk (view_write.h).
 * - the slowdown and stop triggers are far above what admission lets through (view_pressure). */
static enum err make_options(const struct view_options *options, rocksdb_options_t **out,
                             char *reason, size_t room)
{
    char text[1536];
    char *error = NULL;
    snprintf(text, sizeof(text),
             "env=%s;listeners=" VIEW_WRITE_LISTENER ";create_if_missing=true;"
             "file_checksum_gen_factory=" VIEW_CHECKSUM ";"
             "paranoid_checks=true;force_consistency_checks=true;"
             "max_bgerror_resume_count=0;max_background_jobs=4;unordered_write=false;"
             "avoid_unnecessary_blocking_io=true;"
             "allow_concurrent_memtable_write=false;enable_write_thread_adaptive_yield=false;"
             "write_buffer_size=%llu;max_write_buffer_number=6;"
             "compaction_style=kCompactionStyleUniversal;target_file_size_base=1T;"
             "compression=kLZ4Compression;"
             "level0_file_num_compaction_trigger=4;level0_slowdown_writes_trigger=60;"
             "level0_stop_writes_trigger=100;soft_pending_compaction_bytes_limit=1T;"
             "hard_pending_compaction_bytes_limit=2T;"
             "memtable_whole_key_filtering=true;memtable_prefix_bloom_size_ratio=0.02;"
             "bytes_per_sync=" VIEW_WRITE_CHUNK ";writable_file_max_buffer_size=" VIEW_WRITE_CHUNK
             ";max_open_files=-1;info_log_level=WARN_LEVEL;"
             "stats_dump_period_sec=0;stats_persist_period_sec=0;"
             "block_based_table_factory={block_cache={capacity=%llu;num_shard_bits=4};"
             "filter_policy=bloomfilter:10:false;prepopulate_block_cache=kFlushOnly;"
             "format_version=5;block_size=4K;checksum=kXXH3}",
             options->to_read ? VIEW_FILES_TO_READ : RESIDENT_ENV,
             (unsigned long long)options->memtable_bytes, (unsigned long long)options->cache_bytes);
    rocksdb_options_t *base = rocksdb_options_create();
    rocksdb_options_t *made = rocksdb_options_create();
    rocksdb_get_options_from_string(base, text, made, &error);
    rocksdb_options_destroy(base);
    if (error != NULL) {
        snprintf(reason, room, "%s", error);
        rocksdb_options_destroy(made);
        return took(error, "options");
    }
    *out = made;
    return OK;
}

/* ---- reading ---- */

/* Of the blocks that come from the page cache some enter RocksDB's, at random: what is read again
 * and again soon does, and reads all over a large table do not pay for turning the cache over. */
static bool fills_cache(enum view_read how)
{
    static _Thread_local uint32_t random;
    random = random * 1664525u + 1013904223u;
    return how == VIEW_BLOCKING || random >> CACHE_FILL_SHIFT == 0;
}

enum err view_get(struct view *view, struct bytes row, enum view_read how, struct arena *arena,
                  struct bytes *value)
{
    return get_row(view, fills_cache(how) ? view->read_and_fill : view->read, row, how, arena,
                   value);
}

struct view_snapshot {
    struct view *view;
    const rocksdb_snapshot_t *snapshot;
    rocksdb_readoptions_t *read;
};

struct view_snapshot *view_snapshot_open(struct view *view)
{
    struct view_snapshot *snapshot = mem_zalloc(1, sizeof(*snapshot));
    snapshot->view = view;
    snapshot->snapshot = rocksdb_create_snapshot(view->db);
    snapshot->read = rocksdb_readoptions_create();
    rocksdb_readoptions_set_snapshot(snapshot->read, snapshot->snapshot);
    return snapshot;
}

void view_snapshot_keep_cache(const struct view_snapshot *snapshot)
{
    rocksdb_readoptions_set_fill_cache(snapshot->read, 0);
}

enum err view_snapshot_get(const struct view_snapshot *snapshot, struct bytes row,
                           enum view_read how, struct arena *arena, struct bytes *value)
{
    return get_row(snapshot->view, snapshot->read, row, how, arena, value);
}

void view_snapshot_close(struct view_snapshot *snapshot)
{
    rocksdb_readoptions_destroy(snapshot->read);
    rocksdb_release_snapshot(snapshot->view->db, snapshot->snapshot);
    mem_free(snapshot);
}

static enum err get_row(struct view *view, const rocksdb_readoptions_t *options, struct bytes row,
                        enum view_read how, struct arena *arena, struct bytes *value)
{
    char *error = NULL;
    size_t len = 0;
    begin_reading(how);
    rocksdb_pinnableslice_t *slice =
        rocksdb_get_pinned(view->db, options, (const char *)row.ptr, row.len, &error);
    enum err read = resident_end();
    if (error != NULL) {
        return took(error, "get");
    }
    if (slice == NULL) {
        return read == OK ? ERR_NOT_FOUND : read;
    }
    /* A value that was found although a read was refused or failed may be an older one. */
    if (read != OK) {
        rocksdb_pinnableslice_destroy(slice);
        return read;
    }
    const char *found = rocksdb_pinnableslice_value(slice, &len);
    struct bytes copy = arena_dup(arena, bytes_of(found, len));
    rocksdb_pinnableslice_destroy(slice);
    if (copy.ptr == NULL) {
        return ERR_NOMEM;
    }
    *value = copy;
    return OK;
}

enum err view_scan(struct view *view, const struct view_scan *scan)
{
    rocksdb_readoptions_t *options = rocksdb_readoptions_create();
    enum err err = row_bounds(scan, options);
    if (scan->how == VIEW_CACHED) {
        rocksdb_readoptions_set_max_skippable_internal_keys(options, CACHED_SKIPS_MAX);
    }
    begin_reading(scan->how);
    rocksdb_iterator_t *iterator = rocksdb_create_iterator(view->db, options);
    size_t bytes = 0;
    bool stopped = false;
    if (scan->backward) {
        rocksdb_iter_seek_to_last(iterator);
    } else {
        rocksdb_iter_seek_to_first(iterator);
    }
    while (err == OK && !stopped && rocksdb_iter_valid(iterator)) {
        size_t row_len = 0;
        size_t value_len = 0;
        const char *row = rocksdb_iter_key(iterator, &row_len);
        const char *value = rocksdb_iter_value(iterator, &value_len);
        bytes += row_len + value_len;
        if (scan->bytes_max > 0 && bytes > scan->bytes_max) {
            err = ERR_INCOMPLETE;
        } else if (!scan->fn(scan->arg, bytes_of(row, row_len), bytes_of(value, value_len))) {
            stopped = true;
        } else if (scan->backward) {
            rocksdb_iter_prev(iterator);
        } else {
            rocksdb_iter_next(iterator);
        }
    }
    if (err == OK && !stopped) {
        char *error = NULL;
        rocksdb_iter_get_error(iterator, &error);
        err = error == NULL ? OK : took(error, "scan");
    }
    enum err read = resident_end();
    err = err == OK ? read : err;
    rocksdb_iter_destroy(iterator);
    rocksdb_readoptions_destroy(options);
    return err;
}

/* The options keep pointers into scan, which outlives them. */
static enum err row_bounds(const struct view_scan *scan, rocksdb_readoptions_t *options)
{
    rocksdb_readoptions_set_iterate_lower_bound(options, (const char *)scan->low.ptr,
                                                scan->low.len);
    if (scan->high.len > 0) {
        rocksdb_readoptions_set_iterate_upper_bound(options, (const char *)scan->high.ptr,
                                                    scan->high.len);
    }
    return OK;
}

/* Takes RocksDB's error text and says which of ours it is. */
static enum err took(char *error, const char *call)
{
    enum err err = ERR_IO;
    if (strncmp(error, "Result incomplete", 17) == 0) {
        rocksdb_free(error);
        return ERR_INCOMPLETE;
    }
    if (strncmp(error, "Corruption", 10) == 0) {
        err = ERR_DAMAGED;
    }
    NOTE(NOTE_ERROR, "view.failed", NOTE_S("call", call), NOTE_S("reason", error));
    pthread_mutex_lock(&failure_mutex);
    snprintf(failure, sizeof(failure), "%s", error);
    pthread_mutex_unlock(&failure_mutex);
    rocksdb_free(error);
    return err;
}

void view_failure(char *text, size_t room)
{
    pthread_mutex_lock(&failure_mutex);
    if (failure[0] != 0) {
        snprintf(text, room, "%s", failure);
    }
    pthread_mutex_unlock(&failure_mutex);
}

/* ---- writing ---- */

void view_leave(struct view *view)
{
    owner_leave(&view->owner);
}

void view_put(struct view *view, struct bytes row, struct bytes value)
{
    ASSERT_OWNER(&view->owner);
    rocksdb_writebatch_put(view->batch, (const char *)row.ptr, row.len, (const char *)value.ptr,
                           value.len);
    view->batch_bytes += row.len + value.len;
}

void view_delete(struct view *view, struct bytes row)
{
    ASSERT_OWNER(&view->owner);
    rocksdb_writebatch_delete(view->batch, (const char *)row.ptr, row.len);
    view->batch_bytes += row.len;
}

void view_delete_range(struct view *view, struct bytes low, struct bytes high)
{
    ASSERT_OWNER(&view->owner);
    rocksdb_writebatch_delete_range(view->batch, (const char *)low.ptr, low.len,
                                    (const char *)high.ptr, high.len);
    view->batch_bytes += low.len + high.len;
}

void view_put_expiry(struct view *view, struct bytes row, uint64_t second)
{
    ASSERT_OWNER(&view->owner);
    view->batch_low = second < view->batch_low ? second : view->batch_low;
    view_put(view, row, BYTES(""));
}

/* Release and acquire: who has taken a second finds its row in the view. */
static void tell_low(struct view *view)
{
    uint64_t now = atomic_load_explicit(&view->expiry_low, memory_order_relaxed);
    while (view->batch_low < now &&
           !atomic_compare_exchange_weak_explicit(&view->expiry_low, &now, view->batch_low,
                                                  memory_order_release, memory_order_relaxed)) {
    }
    view->batch_low = UINT64_MAX;
}

uint64_t view_take_low(struct view *view)
{
    return atomic_exchange_explicit(&view->expiry_low, UINT64_MAX, memory_order_acq_rel);
}

size_t view_batch_bytes(const struct view *view)
{
    return view->batch_bytes;
}

enum err view_batch_take(struct view *view, view_batch_visit *fn, void *arg)
{
    ASSERT_OWNER(&view->owner);
    size_t len = 0;
    const char *data = rocksdb_writebatch_data(view->batch, &len);
    enum err err = view_check_batch(data, len, fn, arg);
    rocksdb_writebatch_clear(view->batch);
    view->batch_bytes = 0;
    return err;
}

static void put_u64(uint8_t *out, uint64_t value)
{
    for (int i = 0; i < 8; i++) {
        out[i] = (uint8_t)(value >> 8 * i);
    }
}

/* u32 version, then u64 log id, applied, time, next id, trim. */
static void encode_state(const struct view_state *state, uint8_t out[STATE_LEN])
{
    memset(out, 0, STATE_LEN);
    out[0] = STATE_VERSION;
    put_u64(out + 4, state->log_id);
    put_u64(out + 12, state->applied);
    put_u64(out + 20, state->time_ms);
    put_u64(out + 28, state->next_id);
    put_u64(out + 36, state->trim);
}

enum err view_write(struct view *view, const struct view_state *state)
{
    ASSERT_OWNER(&view->owner);
    char *error = NULL;
    struct row_key row;
    uint8_t value[STATE_LEN];
    row_of_store(&row, 's');
    encode_state(state, value);
    view_put(view, row_bytes(&row), bytes_of(value, sizeof(value)));
    rocksdb_write(view->db, view->write, view->batch, &error);
    rocksdb_writebatch_clear(view->batch);
    view->batch_bytes = 0;
    tell_low(view);
    return error == NULL ? OK : took(error, "write");
}

static enum err decode_state(struct bytes value, struct view_state *state)
{
    struct cursor cursor = cursor_of(value);
    uint32_t version = 0;
    uint64_t *fields[] = {&state->log_id, &state->applied, &state->time_ms, &state->next_id,
                          &state->trim};
    TRY(cursor_u32(&cursor, &version));
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        TRY(cursor_u64(&cursor, fields[i]));
    }
    return version == STATE_VERSION ? OK : ERR_DAMAGED;
}

static enum err get_state(struct view *view, const rocksdb_readoptions_t *options,
                          struct view_state *state)
{
    struct arena arena;
    struct row_key row;
    struct bytes value = BYTES_NONE;
    arena_init(&arena, 0);
    row_of_store(&row, 's');
    *state = (struct view_state){0};
    enum err err = get_row(view, options, row_bytes(&row), VIEW_BLOCKING, &arena, &value);
    err = err != OK ? err : decode_state(value, state);
    arena_fini(&arena);
    return err;
}

static enum err read_state(struct view *view, struct view_state *state, bool *fresh)
{
    enum err err = get_state(view, view->read_and_fill, state);
    *fresh = err == ERR_NOT_FOUND;
    return *fresh ? OK : err;
}

enum err view_snapshot_state(const struct view_snapshot *snapshot, struct view_state *state)
{
    return get_state(snapshot->view, snapshot->read, state);
}

static enum err write_derived(struct view *view, rocksdb_writebatch_t *batch)
{
    char *error = NULL;
    rocksdb_write(view->db, view->write, batch, &error);
    rocksdb_writebatch_destroy(batch);
    return error == NULL ? OK : took(error, "write");
}

enum err view_put_derived(struct view *view, const struct view_row *rows, size_t count)
{
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    for (size_t i = 0; i < count; i++) {
        rocksdb_writebatch_put(batch, (const char *)rows[i].key.ptr, rows[i].key.len,
                               (const char *)rows[i].value, rows[i].value_len);
    }
    return write_derived(view, batch);
}

enum err view_delete_derived(struct view *view, const struct view_row *rows, size_t count)
{
    if (count == 0) {
        return OK;
    }
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    for (size_t i = 0; i < count; i++) {
        rocksdb_writebatch_delete(batch, (const char *)rows[i].key.ptr, rows[i].key.len);
    }
    return write_derived(view, batch);
}

/* ---- files ---- */

enum err view_flush(struct view *view)
{
    char *error = NULL;
    rocksdb_flush(view->db, view->flush, &error);
    return error == NULL ? OK : took(error, "flush");
}

static uint64_t property(struct view *view, const char *name)
{
    uint64_t value = 0;
    return rocksdb_property_int(view->db, name, &value) == 0 ? value : 0;
}

uint64_t view_table_bytes(struct view *view)
{
    return property(view, "rocksdb.live-sst-files-size");
}

uint64_t view_background_errors(struct view *view)
{
    /* The waits are counted first by us, then by RocksDB. */
    uint64_t errors = property(view, "rocksdb.background-errors");
    uint64_t waits = view_write_waits();
    return errors > waits ? errors - waits : 0;
}

unsigned view_pressure(struct view *view)
{
    uint64_t immutable = property(view, "rocksdb.num-immutable-mem-table");
    uint64_t level0 = property(view, "rocksdb.num-files-at-level0");
    bool stalled = property(view, "rocksdb.is-write-stopped") != 0 ||
                   property(view, "rocksdb.actual-delayed-write-rate") != 0;
    if (stalled || immutable >= 4 || level0 >= 50) {
        return 2;
    }
    return immutable >= 2 || level0 >= 30 ? 1 : 0;
}

bool view_keeps_up(struct view *view)
{
    return property(view, "rocksdb.num-immutable-mem-table") < 2 &&
           property(view, "rocksdb.num-files-at-level0") < LEVEL0_CALM;
}
