/* Which segments of the log hold a stream's records, as rows of the view, so that a quiet stream
 * among busy ones is found by one seek. Derived: written when a segment is sealed, in no order with
 * the commits, and only trusted for a run of segments without a gap (a kill may lose the newest
 * rows); for the others the log asks the segments themselves.
 *
 * Written on the log's worker, read by any thread. */
#include "table/table_priv.h"

struct directory {
    pthread_mutex_t mutex;
    struct view *view;
    uint64_t low; /* segments low .. high are whole; none when low > high */
    uint64_t high;
};

static void segment_sealed(void *arg, uint64_t segment, const struct log_directory_entry *entries,
                           size_t count);
static enum err find_segment(void *arg, uint64_t stream, uint64_t from, uint64_t *segment);
static void load_runs(struct directory *directory);

struct directory *directory_open(struct view *view)
{
    struct directory *directory = mem_zalloc(1, sizeof(*directory));
    directory->view = view;
    directory->low = 1;
    pthread_mutex_init(&directory->mutex, NULL);
    load_runs(directory);
    return directory;
}

void directory_close(struct directory *directory)
{
    if (directory != NULL) {
        pthread_mutex_destroy(&directory->mutex);
        mem_free(directory);
    }
}

struct log_directory directory_for_log(struct directory *directory)
{
    return (struct log_directory){directory, segment_sealed, find_segment};
}

static void add_segment(struct directory *directory, uint64_t segment)
{
    bool follows = directory->low <= directory->high && segment == directory->high + 1;
    directory->low = follows ? directory->low : segment;
    directory->high = segment;
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
        add_segment(directory, segment);
        pthread_mutex_unlock(&directory->mutex);
    }
    mem_free(rows);
}

static bool take_segment(void *arg, struct bytes row, struct bytes value)
{
    (void)value;
    *(uint64_t *)arg = read_u64_big(row.ptr + row.len - 8);
    return false;
}

static enum err find_segment(void *arg, uint64_t stream, uint64_t from, uint64_t *segment)
{
    struct directory *directory = arg;
    struct row_key low;
    struct row_key high;
    pthread_mutex_lock(&directory->mutex);
    bool known = from >= directory->low && from <= directory->high;
    uint64_t last = directory->high;
    pthread_mutex_unlock(&directory->mutex);
    *segment = known ? last + 1 : from;
    if (!known) {
        return OK;
    }
    row_of_directory(&low, stream, from);
    row_of_directory(&high, stream, last + 1);
    struct view_scan scan = {
        .low = row_bytes(&low),
        .high = row_bytes(&high),
        .how = VIEW_BLOCKING,
        .fn = take_segment,
        .arg = segment,
    };
    return view_scan(directory->view, &scan);
}

static bool load_segment(void *arg, struct bytes row, struct bytes value)
{
    (void)value;
    add_segment(arg, read_u64_big(row.ptr + row.len - 8));
    return true;
}

/* The newest run without a gap. What cannot be read is not used. */
static void load_runs(struct directory *directory)
{
    struct row_key low;
    struct row_key high;
    row_of_store(&low, 'e');
    row_of_store(&high, 'e' + 1);
    struct view_scan scan = {
        .low = row_bytes(&low),
        .high = row_bytes(&high),
        .how = VIEW_BLOCKING,
        .fn = load_segment,
        .arg = directory,
    };
    if (view_scan(directory->view, &scan) != OK) {
        directory->low = 1;
        directory->high = 0;
    }
}
