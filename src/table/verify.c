/* Is the view what the log makes of it? The records of the log that is held are turned into rows
 * once more, by the function that made them (table I2), and the newest word about each row is
 * compared with what the view has. Where the log is held from its first commit on, the view may
 * have no row more than that.
 *
 * Which word is the newest is found by a first reading of the log, which notes the number of the
 * last change under a hash of each row; the second one compares. What does not fit into the notes'
 * bound is done in several such rounds, each for the part of the hashes. Two rows of one hash cost
 * a comparison, never an alarm. */
#include "table/table_priv.h"

#include "sys/file.h"

#include <stdlib.h>

#define NOTES_MAX ((size_t)4 << 20)
#define NOTES_FIRST 1024u
#define PARTS_MAX (1u << 16)

struct note_of_row {
    uint64_t hash;
    uint64_t change; /* 0: free */
};

/* Rows from low up to high went at this change. */
struct range {
    uint64_t change;
    struct row_key low;
    struct row_key high;
};

struct comparison {
    struct view *view;
    struct view_state state;
    struct store_verify *out;
    const struct log_record *record; /* in turn */
    struct note_of_row *notes;
    size_t cap; /* a power of two */
    size_t count;
    struct range *ranges;
    size_t range_count;
    size_t range_cap;
    uint64_t changes; /* of the reading in turn */
    uint64_t part;
    uint64_t parts;
    uint64_t present; /* rows that there should be */
    struct arena arena;
    bool comparing;
};

static enum err check_format(const char *data, struct store_verify *out);
static enum err check_tables(const char *view, struct store_verify *out);
static enum err check_state(const struct comparison *comparison);
static enum err compare(struct comparison *comparison, const char *log);
static enum err read_log(struct comparison *comparison, const char *log, bool comparing);
static enum err count_rows(struct comparison *comparison);
static enum err damaged(struct store_verify *out, const char *file, const char *reason);

enum err store_verify(const char *data, struct store_verify *out)
{
    char view[4096];
    char log[4096];
    bool fresh = false;
    struct comparison comparison = {.out = out, .parts = 1};
    snprintf(view, sizeof(view), "%s/view", data);
    snprintf(log, sizeof(log), "%s/log", data);
    TRY(check_format(data, out));
    TRY(check_tables(view, out));
    const struct view_options options = {
        .dir = view, .memtable_bytes = 1u << 20, .cache_bytes = 8u << 20, .to_read = true};
    enum err err = view_open(&options, &comparison.view, &comparison.state, &fresh, out->reason,
                             sizeof(out->reason));
    if (err != OK || fresh) {
        if (err == OK) {
            view_close(comparison.view);
        }
        return err;
    }
    arena_init(&comparison.arena, 0);
    out->commit = comparison.state.applied;
    err = check_state(&comparison);
    err = err != OK ? err : compare(&comparison, log);
    if (err == OK && out->first == 1 && out->log->cleaned_commit == 0) {
        err = count_rows(&comparison);
    }
    view_close(comparison.view);
    arena_fini(&comparison.arena);
    mem_free(comparison.notes);
    mem_free(comparison.ranges);
    return err;
}

/* A log alone, without a view, may have been copied without it. */
static enum err check_format(const char *data, struct store_verify *out)
{
    struct store_report report = {0};
    struct store_format format;
    char view[4096];
    enum err err = store_read_format(data, &format, &report);
    if (err == ERR_DAMAGED) {
        return damaged(out, report.log.file, report.log.reason);
    }
    snprintf(view, sizeof(view), "%s/view", data);
    snprintf(out->file, sizeof(out->file), "%s/FORMAT", data);
    if (err == ERR_NOT_FOUND && file_exists(view)) {
        return damaged(out, out->file, "it is missing");
    }
    return err == ERR_NOT_FOUND ? OK : err;
}

static enum err check_tables(const char *view, struct store_verify *out)
{
    struct view_check check = {.dir = view};
    enum err err = view_check_files(&check);
    out->tables = check.tables;
    out->bytes = check.bytes;
    snprintf(out->file, sizeof(out->file), "%s", check.file);
    snprintf(out->reason, sizeof(out->reason), "%s", check.reason);
    return err;
}

static enum err check_state(const struct comparison *comparison)
{
    const struct view_state *state = &comparison->state;
    const struct store_verify *out = comparison->out;
    char reason[256];
    if (state->log_id != out->log->log_id) {
        return damaged(comparison->out, out->file,
                       "it was made from another log than the one beside it");
    }
    snprintf(reason, sizeof(reason), "it holds commits up to %llu, and the log has %llu to %llu",
             (unsigned long long)state->applied, (unsigned long long)out->first,
             (unsigned long long)out->log->last_commit);
    bool apart = out->log->last_commit < state->applied || out->first > state->applied + 1;
    return apart ? damaged(comparison->out, out->file, reason) : OK;
}

/* ---- the newest word about each row ---- */

static enum err compare(struct comparison *comparison, const char *log)
{
    enum err err = ERR_RANGE;
    while (err == ERR_RANGE && comparison->parts <= PARTS_MAX) {
        comparison->present = 0;
        comparison->out->rows = 0;
        err = OK;
        for (comparison->part = 0; err == OK && comparison->part < comparison->parts;
             comparison->part++) {
            err = read_log(comparison, log, false);
            err = err != OK ? err : read_log(comparison, log, true);
        }
        comparison->parts *= 2;
    }
    return err;
}

static struct note_of_row *find_note(const struct comparison *comparison, uint64_t hash)
{
    size_t at = (size_t)hash & (comparison->cap - 1);
    while (comparison->notes[at].change != 0 && comparison->notes[at].hash != hash) {
        at = (at + 1) & (comparison->cap - 1);
    }
    return &comparison->notes[at];
}

static void grow_notes(struct comparison *comparison)
{
    struct note_of_row *before = comparison->notes;
    size_t count = comparison->cap;
    comparison->cap = count == 0 ? NOTES_FIRST : count * 2;
    comparison->notes = mem_zalloc(comparison->cap, sizeof(*comparison->notes));
    for (size_t i = 0; i < count; i++) {
        if (before[i].change != 0) {
            *find_note(comparison, before[i].hash) = before[i];
        }
    }
    mem_free(before);
}

static enum err note_change(struct comparison *comparison, uint64_t hash)
{
    if (comparison->count * 2 >= comparison->cap) {
        grow_notes(comparison);
    }
    struct note_of_row *note = find_note(comparison, hash);
    comparison->count += note->change == 0;
    *note = (struct note_of_row){hash, comparison->changes};
    return comparison->count > NOTES_MAX ? ERR_RANGE : OK;
}

static void note_range(struct comparison *comparison, struct bytes low, struct bytes high)
{
    if (comparison->range_count == comparison->range_cap) {
        comparison->range_cap = comparison->range_cap * 2 + 16;
        comparison->ranges =
            mem_realloc(comparison->ranges, comparison->range_cap * sizeof(struct range));
    }
    struct range *range = &comparison->ranges[comparison->range_count++];
    *range = (struct range){.change = comparison->changes};
    row_add(&range->low, low);
    row_add(&range->high, high);
}

static bool went_with_a_range(const struct comparison *comparison, struct bytes row)
{
    for (size_t i = comparison->range_count; i > 0; i--) {
        const struct range *range = &comparison->ranges[i - 1];
        if (range->change < comparison->changes) {
            return false;
        }
        if (bytes_compare(row_bytes(&range->low), row) <= 0 &&
            bytes_compare(row, row_bytes(&range->high)) < 0) {
            return true;
        }
    }
    return false;
}

static enum err tell_row(const struct comparison *comparison, struct bytes row, const char *what)
{
    char reason[384];
    const struct log_record *record = comparison->record;
    uint64_t table = read_u64_big(row.ptr);
    if (table >= TABLE_ID_FIRST) {
        snprintf(reason, sizeof(reason),
                 "table %llu, key hash %016llx: %s by record %u of commit %llu of the log",
                 (unsigned long long)table, (unsigned long long)record->key_hash, what,
                 record->index, (unsigned long long)record->commit);
    } else {
        snprintf(reason, sizeof(reason),
                 "a row of kind '%c': %s by record %u of commit %llu of the log", row.ptr[8], what,
                 record->index, (unsigned long long)record->commit);
    }
    return damaged(comparison->out, comparison->out->file, reason);
}

static enum err compare_row(struct comparison *comparison, enum view_change change,
                            struct bytes row, struct bytes value)
{
    struct bytes found = BYTES_NONE;
    bool expected = change == VIEW_PUT && !went_with_a_range(comparison, row);
    arena_reset(&comparison->arena);
    enum err err = view_get(comparison->view, row, VIEW_BLOCKING, &comparison->arena, &found);
    comparison->present += expected;
    comparison->out->rows++;
    if (err == ERR_NOT_FOUND) {
        return expected ? tell_row(comparison, row, "it is missing, and was written") : OK;
    }
    TRY(err);
    if (!expected) {
        return tell_row(comparison, row, "it is there, and was deleted");
    }
    return bytes_equal(found, value) ? OK : tell_row(comparison, row, "it is not what was written");
}

static enum err take_change(void *arg, enum view_change change, struct bytes row,
                            struct bytes value)
{
    struct comparison *comparison = arg;
    comparison->changes++;
    if (change == VIEW_DELETE_RANGE) {
        if (!comparison->comparing) {
            note_range(comparison, row, value);
        }
        return OK;
    }
    uint64_t hash = hash_key(row);
    if ((hash >> 40) % comparison->parts != comparison->part) {
        return OK;
    }
    if (!comparison->comparing) {
        return note_change(comparison, hash);
    }
    return find_note(comparison, hash)->change == comparison->changes
               ? compare_row(comparison, change, row, value)
               : OK;
}

static enum err take_record(void *arg, const struct log_record *record)
{
    struct comparison *comparison = arg;
    if (record->commit > comparison->state.applied) {
        return ERR_CLOSED; /* the view does not hold it yet */
    }
    if (record->commit <= comparison->out->log->cleaned_commit) {
        return OK; /* what was written after it may be gone from the log */
    }
    comparison->record = record;
    TRY(record_apply(comparison->view, record));
    return view_batch_take(comparison->view, take_change, comparison);
}

static enum err read_log(struct comparison *comparison, const char *log, bool comparing)
{
    struct log_report report;
    comparison->changes = 0;
    comparison->comparing = comparing;
    if (!comparing) {
        comparison->range_count = 0;
        comparison->count = 0;
        if (comparison->cap > 0) {
            memset(comparison->notes, 0, comparison->cap * sizeof(*comparison->notes));
        }
    }
    enum err err = log_scan(log, take_record, comparison, &report);
    return err == ERR_CLOSED ? OK : err;
}

/* ---- rows that nothing wrote ---- */

/* The view's own: its state, and the directory of the log. */
static bool is_own(struct bytes row)
{
    return row.len > 8 && read_u64_big(row.ptr) == 0 &&
           (row.ptr[8] == 's' || row.ptr[8] == 'd' || row.ptr[8] == 'e');
}

static bool count_row(void *arg, struct bytes row, struct bytes value)
{
    (void)value;
    *(uint64_t *)arg += !is_own(row);
    return true;
}

static enum err count_rows(struct comparison *comparison)
{
    char reason[256];
    uint64_t count = 0;
    const struct view_scan scan = {
        .low = BYTES(""), .how = VIEW_BLOCKING, .fn = count_row, .arg = &count};
    TRY(view_scan(comparison->view, &scan));
    snprintf(reason, sizeof(reason), "it has %llu rows, and the log makes %llu of it",
             (unsigned long long)count, (unsigned long long)comparison->present);
    return count == comparison->present ? OK
                                        : damaged(comparison->out, comparison->out->file, reason);
}

static enum err damaged(struct store_verify *out, const char *file, const char *reason)
{
    char text[sizeof(out->reason)];
    snprintf(text, sizeof(text), "%s", reason); /* it may be out's own */
    if (file != out->file) {
        snprintf(out->file, sizeof(out->file), "%s", file);
    }
    snprintf(out->reason, sizeof(out->reason), "%s", text);
    return ERR_DAMAGED;
}
