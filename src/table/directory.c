/* Which segments of the log hold a stream's records, as rows of the view, so that a quiet stream
 * among busy ones is found by one seek. Derived: written when a segment is sealed, in no order with
 * the commits. A kill may lose the newest rows; then the log, told at its opening of which segments
 * everything is here, tells of the others again, and until it has, it is to ask them themselves.
 *
 * A segment's 'd' rows and its 'e' row are one batch, and the 'e' row goes last. Rows of segments
 * that went are kept until they are worth a walk over all rows.
 *
 * Told on the log's worker, swept by the keeper, read by any thread. */
#include "table/table_priv.h"

#include <stdlib.h>

#define SWEEP_SHARE 16u     /* one in so many segments is gone: then their rows go */
#define SWEEP_ROWS 256u     /* deleted at once */
#define SWEEP_LOOKED 65536u /* looked at in one scan, which holds back compaction */

/* Segments of which everything is known: each has its rows, or is no more. */
struct run {
    uint64_t low;
    uint64_t high;
};

struct directory {
    pthread_mutex_t mutex;
    struct view *view;
    struct run *runs; /* in order, with something between each two */
    size_t run_count;
    size_t run_cap;
    uint64_t *gone; /* segments that went and have their rows still */
    size_t gone_count;
    size_t gone_cap;
    size_t told; /* segments with rows, those that are gone not counted */
    bool opened; /* what was gone at the start is swept, however little it is */
};

static void log_opened(void *arg, const uint64_t *segments, size_t count, bool *told);
static void segment_sealed(void *arg, uint64_t segment, const struct log_directory_entry *entries,
                           size_t count);
static void segment_removed(void *arg, uint64_t segment);
static enum err find_segments(void *arg, uint64_t stream, uint64_t from,
                              struct log_directory_found *found);

struct directory *directory_open(struct view *view)
{
    struct directory *directory = mem_zalloc(1, sizeof(*directory));
    directory->view = view;
    pthread_mutex_init(&directory->mutex, NULL);
    return directory;
}

void directory_close(struct directory *directory)
{
    if (directory != NULL) {
        pthread_mutex_destroy(&directory->mutex);
        mem_free(directory->runs);
        mem_free(directory->gone);
        mem_free(directory);
    }
}

struct log_directory directory_for_log(struct directory *directory)
{
    return (struct log_directory){directory, log_opened, segment_sealed, segment_removed,
                                  find_segments};
}

/* ---- what is known: under the mutex, or before threads ---- */

static size_t bisect_runs(const struct directory *directory, uint64_t high)
{
    size_t low = 0;
    size_t end = directory->run_count;
    while (low < end) {
        size_t middle = (low + end) / 2;
        if (directory->runs[middle].high >= high) {
            end = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

/* The run that a segment is in; NULL: nothing is known of it. */
static const struct run *run_of(const struct directory *directory, uint64_t segment)
{
    size_t at = bisect_runs(directory, segment);
    bool found = at < directory->run_count && directory->runs[at].low <= segment;
    return found ? &directory->runs[at] : NULL;
}

static void insert_run(struct directory *directory, size_t at, struct run run)
{
    if (directory->run_count == directory->run_cap) {
        directory->run_cap = directory->run_cap * 2 + 8;
        directory->runs = mem_realloc(directory->runs, directory->run_cap * sizeof(struct run));
    }
    memmove(directory->runs + at + 1, directory->runs + at,
            (directory->run_count - at) * sizeof(struct run));
    directory->runs[at] = run;
    directory->run_count++;
}

/* Into the run that it is in, that it follows, or that it comes before; one that fills the gap
 * between two joins them. */
static void know_segment(struct directory *directory, uint64_t segment)
{
    size_t at = bisect_runs(directory, segment - 1);
    if (at == directory->run_count || segment + 1 < directory->runs[at].low) {
        insert_run(directory, at, (struct run){segment, segment});
        return;
    }
    struct run *run = &directory->runs[at];
    run->low = segment < run->low ? segment : run->low;
    run->high = segment > run->high ? segment : run->high;
    if (at + 1 < directory->run_count && run[1].low == run->high + 1) {
        run->high = run[1].high;
        directory->run_count--;
        memmove(run + 1, run + 2, (directory->run_count - at - 1) * sizeof(struct run));
    }
}

static void note_gone(struct directory *directory, uint64_t segment)
{
    if (directory->gone_count == directory->gone_cap) {
        directory->gone_cap = directory->gone_cap * 2 + 8;
        directory->gone = mem_realloc(directory->gone, directory->gone_cap * sizeof(uint64_t));
    }
    directory->gone[directory->gone_count++] = segment;
}

/* ---- what the log tells ---- */

struct loading {
    struct directory *directory;
    const uint64_t *segments;
    size_t count;
    size_t at;
    bool *told;
};

static bool load_segment(void *arg, struct bytes row, struct bytes value)
{
    struct loading *loading = arg;
    uint64_t segment = read_u64_big(row.ptr + row.len - 8);
    (void)value;
    while (loading->at < loading->count && loading->segments[loading->at] < segment) {
        loading->at++;
    }
    if (loading->at < loading->count && loading->segments[loading->at] == segment) {
        loading->told[loading->at] = true;
        loading->directory->told++;
    } else {
        note_gone(loading->directory, segment);
    }
    return true;
}

/* Numbers that the log has no more do not part a run. What cannot be read is told again. */
static void log_opened(void *arg, const uint64_t *segments, size_t count, bool *told)
{
    struct directory *directory = arg;
    struct loading loading = {directory, segments, count, 0, told};
    struct row_key low;
    struct row_key high;
    row_of_store(&low, 'e');
    row_of_store(&high, 'e' + 1);
    struct view_scan scan = {
        .low = row_bytes(&low),
        .high = row_bytes(&high),
        .how = VIEW_BLOCKING,
        .fn = load_segment,
        .arg = &loading,
    };
    if (view_scan(directory->view, &scan) != OK) {
        memset(told, 0, count * sizeof(*told));
        directory->gone_count = 0;
        directory->told = 0;
    }
    for (size_t i = 0; i < count; i++) {
        if (told[i] && i > 0 && told[i - 1]) {
            directory->runs[directory->run_count - 1].high = segments[i];
        } else if (told[i]) {
            insert_run(directory, directory->run_count, (struct run){segments[i], segments[i]});
        }
    }
    directory->opened = directory->gone_count > 0;
}

static void row_of_directory(struct row_key *row, uint64_t stream, uint64_t segment)
{
    row_of_store_u64(row, 'd', stream);
    row_u64(row, segment);
}

static void put_little(uint8_t **out, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) {
        *(*out)++ = (uint8_t)(value >> 8 * i);
    }
}

static void entry_row(struct view_row *row, uint64_t segment,
                      const struct log_directory_entry *entry)
{
    uint8_t *out = row->value;
    row_of_directory(&row->key, entry->stream, segment);
    put_little(&out, entry->count, 8);
    put_little(&out, entry->first.commit, 8);
    put_little(&out, entry->first.index, 4);
    put_little(&out, entry->last.commit, 8);
    put_little(&out, entry->last.index, 4);
    row->value_len = (size_t)(out - row->value);
}

static void segment_sealed(void *arg, uint64_t segment, const struct log_directory_entry *entries,
                           size_t count)
{
    struct directory *directory = arg;
    struct view_row *rows = mem_zalloc(count + 1, sizeof(*rows));
    for (size_t i = 0; i < count; i++) {
        entry_row(&rows[i], segment, &entries[i]);
    }
    row_of_store_u64(&rows[count].key, 'e', segment);
    if (view_put_derived(directory->view, rows, count + 1) == OK) {
        pthread_mutex_lock(&directory->mutex);
        directory->told += run_of(directory, segment) == NULL;
        know_segment(directory, segment);
        pthread_mutex_unlock(&directory->mutex);
    }
    mem_free(rows);
}

static void segment_removed(void *arg, uint64_t segment)
{
    struct directory *directory = arg;
    pthread_mutex_lock(&directory->mutex);
    directory->told -= directory->told > 0 && run_of(directory, segment) != NULL;
    know_segment(directory, segment);
    note_gone(directory, segment);
    pthread_mutex_unlock(&directory->mutex);
}

/* ---- what it asks ---- */

static bool take_segment(void *arg, struct bytes row, struct bytes value)
{
    struct log_directory_found *found = arg;
    (void)value;
    found->segments[found->count++] = read_u64_big(row.ptr + row.len - 8);
    return found->count < LOG_DIRECTORY_FOUND_MAX;
}

static enum err find_segments(void *arg, uint64_t stream, uint64_t from,
                              struct log_directory_found *found)
{
    struct directory *directory = arg;
    struct row_key low;
    struct row_key high;
    *found = (struct log_directory_found){.until = from + 1};
    pthread_mutex_lock(&directory->mutex);
    const struct run *run = run_of(directory, from);
    bool known = run != NULL;
    found->until = known ? run->high + 1 : from + 1;
    pthread_mutex_unlock(&directory->mutex);
    if (!known) {
        found->segments[found->count++] = from;
        return OK;
    }
    row_of_directory(&low, stream, from);
    row_of_directory(&high, stream, found->until);
    struct view_scan scan = {
        .low = row_bytes(&low),
        .high = row_bytes(&high),
        .how = VIEW_BLOCKING,
        .fn = take_segment,
        .arg = found,
    };
    TRY(view_scan(directory->view, &scan));
    if (found->count == LOG_DIRECTORY_FOUND_MAX) {
        found->until = found->segments[found->count - 1] + 1;
    }
    return OK;
}

/* ---- rows of segments that went ---- */

struct sweep {
    const uint64_t *gone; /* sorted */
    size_t gone_count;
    struct view_row *rows; /* to be deleted */
    size_t row_count;
    size_t looked;
    struct row_key next; /* where to go on */
    bool more;
};

static int by_number(const void *a, const void *b)
{
    const uint64_t *left = a;
    const uint64_t *right = b;
    return *left < *right ? -1 : *left > *right;
}

static bool sweep_row(void *arg, struct bytes row, struct bytes value)
{
    struct sweep *sweep = arg;
    uint64_t segment = read_u64_big(row.ptr + row.len - 8);
    (void)value;
    if (sweep->row_count == SWEEP_ROWS || sweep->looked == SWEEP_LOOKED) {
        sweep->next.len = 0;
        row_add(&sweep->next, row);
        sweep->more = true;
        return false;
    }
    sweep->looked++;
    if (bsearch(&segment, sweep->gone, sweep->gone_count, sizeof(segment), by_number) != NULL) {
        struct view_row *dead = &sweep->rows[sweep->row_count++];
        dead->key.len = 0;
        row_add(&dead->key, row);
    }
    return true;
}

/* All rows of one letter, a part at a time. */
static enum err sweep_rows(struct directory *directory, struct sweep *sweep, char letter,
                           const _Atomic bool *stopping)
{
    struct row_key high;
    row_of_store(&sweep->next, letter);
    row_of_store(&high, (char)(letter + 1));
    do {
        struct row_key low = sweep->next;
        struct view_scan scan = {
            .low = row_bytes(&low),
            .high = row_bytes(&high),
            .how = VIEW_BLOCKING,
            .fn = sweep_row,
            .arg = sweep,
        };
        sweep->row_count = 0;
        sweep->looked = 0;
        sweep->more = false;
        TRY(view_scan(directory->view, &scan));
        TRY(view_delete_derived(directory->view, sweep->rows, sweep->row_count));
        TRY(atomic_load_explicit(stopping, memory_order_relaxed) ? ERR_BUSY : OK);
    } while (sweep->more);
    return OK;
}

/* A copy of what is gone, sorted; false: it is not worth a walk yet. */
static bool take_gone(struct directory *directory, struct sweep *sweep)
{
    pthread_mutex_lock(&directory->mutex);
    size_t count = directory->gone_count;
    bool worth = count > 0 && (directory->opened || count >= directory->told / SWEEP_SHARE);
    if (worth) {
        uint64_t *gone = mem_alloc(count * sizeof(*gone));
        memcpy(gone, directory->gone, count * sizeof(*gone));
        qsort(gone, count, sizeof(*gone), by_number);
        sweep->gone = gone;
        sweep->gone_count = count;
    }
    pthread_mutex_unlock(&directory->mutex);
    return worth;
}

void directory_sweep(struct directory *directory, const _Atomic bool *stopping)
{
    struct sweep sweep = {0};
    if (!take_gone(directory, &sweep)) {
        return;
    }
    sweep.rows = mem_zalloc(SWEEP_ROWS, sizeof(*sweep.rows));
    enum err err = sweep_rows(directory, &sweep, 'd', stopping);
    err = err != OK ? err : sweep_rows(directory, &sweep, 'e', stopping);
    if (err == OK) {
        pthread_mutex_lock(&directory->mutex);
        directory->gone_count -= sweep.gone_count;
        memmove(directory->gone, directory->gone + sweep.gone_count,
                directory->gone_count * sizeof(*directory->gone));
        directory->opened = false;
        pthread_mutex_unlock(&directory->mutex);
    }
    mem_free(sweep.rows);
    mem_free((void *)(uintptr_t)sweep.gone);
}
