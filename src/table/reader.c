/* What an evaluation sees: the view, and on the committer what the group at hand has changed above
 * it. Everything read for a write is noted in the task by the hash of its row, so that the
 * committer can tell whether it is still so (table I4). */
#include "table/table_priv.h"

#define CACHED_BYTES_DEFAULT (64u << 10)

/* A caller's visit, without what rows have before the key. */
struct range_visit {
    reader_visit *fn;
    void *arg;
};

static enum err touch(struct reader *reader, uint64_t hash);
static enum err keep_overlaid(struct reader *reader, struct bytes *item);
static enum err find_token(struct reader *reader, struct bytes token, struct bytes *value);
static enum err scan_rows(struct reader *reader, const struct row_key *low,
                          const struct row_key *high, bool backward, size_t cached_bytes_max,
                          struct range_visit *visit);
static enum err range_rows(const struct table *table, const struct reader_range *range,
                           struct row_key *low, struct row_key *high);

const struct table *reader_table(struct reader *reader, struct bytes name)
{
    static const struct bytes mark = BYTES_INIT(":table/");
    const struct table *table = NULL;
    reader->task->touched_catalogue = true;
    if (!bytes_start_with(name, BYTES("arn:"))) {
        return catalogue_table(reader->catalogue, name);
    }
    /* Table names hold no colon, so the last one is before "table/". */
    size_t at = name.len;
    while (at > 0 && name.ptr[at - 1] != ':') {
        at--;
    }
    struct bytes tail = bytes_of(name.ptr + at - 1, name.len - at + 1);
    if (bytes_start_with(tail, mark)) {
        table =
            catalogue_table(reader->catalogue, bytes_of(tail.ptr + mark.len, tail.len - mark.len));
    }
    return table != NULL && bytes_equal(table->arn, name) ? table : NULL;
}

enum err reader_get(struct reader *reader, const struct table *table, const struct key *key,
                    struct bytes *item)
{
    uint64_t hash = row_hash(table->id, key->bytes);
    struct row_key row;
    TRY(touch(reader, hash));
    if (reader->overlay != NULL &&
        overlay_get(reader->overlay, hash, table->id, key->bytes, item)) {
        return keep_overlaid(reader, item);
    }
    row_of_item(&row, table->id, key->hash, key->bytes);
    return view_get(reader->store->view, row_bytes(&row),
                    reader->blocking ? VIEW_BLOCKING : VIEW_CACHED, reader->arena, item);
}

enum err reader_get_together(struct reader *reader, const struct reader_place *places, size_t count,
                             size_t cached_bytes_max, struct bytes *items)
{
    size_t bytes = 0;
    enum err err = OK;
    ASSERT(!reader->task->writes);
    struct view_snapshot *snapshot = view_snapshot_open(reader->store->view);
    for (size_t i = 0; i < count && err == OK; i++) {
        struct row_key row;
        row_of_item(&row, places[i].table->id, places[i].key->hash, places[i].key->bytes);
        items[i] = BYTES_NONE;
        err = view_snapshot_get(snapshot, row_bytes(&row),
                                reader->blocking ? VIEW_BLOCKING : VIEW_CACHED, reader->arena,
                                &items[i]);
        err = err == ERR_NOT_FOUND ? OK : err;
        bytes += items[i].len;
        if (err == OK && !reader->blocking && bytes > cached_bytes_max) {
            err = ERR_INCOMPLETE;
        }
    }
    view_snapshot_close(snapshot);
    return err;
}

/* The overlay's bytes are those of the task that wrote them, whose answer may leave before that of
 * this one. */
static enum err keep_overlaid(struct reader *reader, struct bytes *item)
{
    if (item->len == 0) {
        return ERR_NOT_FOUND;
    }
    *item = arena_dup(reader->arena, *item);
    return item->ptr == NULL ? ERR_NOMEM : OK;
}

/* The smallest row above row. */
static void step_past(struct row_key *row)
{
    row_add(row, bytes_of("", 1));
}

static bool visit_row(void *arg, struct bytes row, struct bytes value)
{
    struct range_visit *visit = arg;
    return visit->fn(visit->arg, bytes_of(row.ptr + 16, row.len - 16), value);
}

enum err reader_scan(struct reader *reader, const struct table *table,
                     const struct reader_range *range, reader_visit *fn, void *arg)
{
    struct row_key low;
    struct row_key high;
    struct range_visit visit = {fn, arg};
    if (range_rows(table, range, &low, &high) == ERR_NOT_FOUND) {
        return OK;
    }
    return scan_rows(reader, &low, &high, range->backward, range->cached_bytes_max, &visit);
}

enum err reader_scan_table(struct reader *reader, const struct table *table,
                           const struct reader_hashes *hashes, reader_visit *fn, void *arg)
{
    struct row_key low;
    struct row_key high;
    struct range_visit visit = {fn, arg};
    row_of_item(&high, table->id, hashes->hash_high, BYTES_NONE);
    bool bounded = row_successor(&high);
    ASSERT(bounded); /* table ids stay far below the largest */
    row_of_item(&low, table->id, hashes->hash_low, BYTES_NONE);
    if (hashes->after != NULL) {
        row_of_item(&low, table->id, hashes->after->hash, hashes->after->bytes);
        step_past(&low);
    }
    return scan_rows(reader, &low, &high, false, hashes->cached_bytes_max, &visit);
}

static enum err scan_rows(struct reader *reader, const struct row_key *low,
                          const struct row_key *high, bool backward, size_t cached_bytes_max,
                          struct range_visit *visit)
{
    ASSERT(!reader->task->writes);
    struct view_scan scan = {
        .low = row_bytes(low),
        .high = row_bytes(high),
        .backward = backward,
        .how = reader->blocking ? VIEW_BLOCKING : VIEW_CACHED,
        .bytes_max = reader->blocking        ? 0
                     : cached_bytes_max == 0 ? CACHED_BYTES_DEFAULT
                                             : cached_bytes_max,
        .fn = visit_row,
        .arg = visit,
    };
    return view_scan(reader->store->view, &scan);
}

enum err reader_token(struct reader *reader, struct bytes token, struct token_state *state)
{
    uint64_t hash = row_hash(0, token);
    struct bytes value = BYTES_NONE;
    TRY(touch(reader, hash));
    if (token.len > TOKEN_LEN_MAX) {
        return ERR_NOT_FOUND;
    }
    if (reader->overlay == NULL || !overlay_get(reader->overlay, hash, 0, token, &value)) {
        TRY(find_token(reader, token, &value));
    }
    struct cursor cursor = cursor_of(value);
    struct bytes request_hash;
    uint64_t committed_ms = 0;
    TRY(cursor_u64(&cursor, &committed_ms));
    TRY(cursor_bytes(&cursor, sizeof(state->request_hash), &request_hash));
    if (committed_ms + TOKEN_KEPT_MS <= reader->token_ms) {
        return ERR_NOT_FOUND;
    }
    memcpy(state->request_hash, request_hash.ptr, request_hash.len);
    return OK;
}

static uint64_t kept_before(uint64_t time_ms)
{
    return time_ms < TOKEN_KEPT_MS ? 0 : time_ms - TOKEN_KEPT_MS;
}

/* A token is in the row of its ten minutes. Those that are still valid are in the reader's own or
 * the ones before; or later, when who wrote it began after this task: in the newest of all, since
 * time runs on, or the ones before, since it may just have. The newest of them counts. */
static enum err find_token(struct reader *reader, struct bytes token, struct bytes *value)
{
    uint64_t newest = atomic_load_explicit(&reader->store->token_ms, memory_order_relaxed);
    const uint64_t times[] = {newest, kept_before(newest), reader->token_ms,
                              kept_before(reader->token_ms)};
    uint64_t looked_at = UINT64_MAX; /* the period */
    enum err err = ERR_NOT_FOUND;
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]) && err == ERR_NOT_FOUND; i++) {
        struct row_key row;
        if (times[i] / TOKEN_KEPT_MS >= looked_at) {
            continue;
        }
        looked_at = times[i] / TOKEN_KEPT_MS;
        row_of_token(&row, times[i], token);
        err = view_get(reader->store->view, row_bytes(&row),
                       reader->blocking ? VIEW_BLOCKING : VIEW_CACHED, reader->arena, value);
    }
    return err;
}

/* The record that closes a stream is in it, to wake who follows; it is not one of its changes. Past
 * it there is nothing to ask the log for, which may have removed all of it. */
enum err reader_stream(struct reader *reader, const struct stream *stream, struct log_read *read)
{
    struct log_place trim = reader_stream_trim(reader, stream);
    read->stream = stream->id;
    read->until = stream->last_commit == UINT64_MAX ? UINT64_MAX : stream->last_commit - 1;
    read->mode = reader->blocking ? LOG_READ_BLOCKING : LOG_READ_TAIL_ONLY;
    if (read->after.commit < trim.commit) {
        return ERR_TRIMMED;
    }
    if (read->after.commit >= stream->last_commit) {
        read->count = 0;
        read->at_end = true;
        read->reached = read->after;
        return OK;
    }
    TRY(log_read(reader->store->log, read));
    size_t kept = 0;
    for (size_t i = 0; i < read->count; i++) {
        if (read->records[i].kind == RECORD_ITEM) {
            read->records[kept++] = read->records[i];
        }
    }
    read->count = kept;
    return OK;
}

struct log_place reader_stream_end(struct reader *reader, const struct stream *stream)
{
    uint64_t visible = log_visible(reader->store->log);
    uint64_t end = stream->last_commit < visible ? stream->last_commit : visible;
    return (struct log_place){end, LOG_INDEX_END};
}

struct log_place reader_stream_trim(struct reader *reader, const struct stream *stream)
{
    (void)reader;
    uint64_t trim = atomic_load_explicit(&stream->trim->commit, memory_order_relaxed);
    uint64_t place = trim < stream->last_commit ? trim : stream->last_commit;
    return (struct log_place){place > stream->first_commit ? place : stream->first_commit,
                              LOG_INDEX_END};
}

/* A few hashes in the arena, doubled when full. */
static enum err touch(struct reader *reader, uint64_t hash)
{
    struct task *task = reader->task;
    if (!task->writes) {
        return OK;
    }
    if (task->touched_count == task->touched_cap) {
        size_t cap = task->touched_cap == 0 ? 4 : 2 * task->touched_cap;
        struct touched *grown = arena_alloc(task->arena, cap * sizeof(*grown));
        if (grown == NULL) {
            return ERR_NOMEM;
        }
        if (task->touched_count > 0) {
            memcpy(grown, task->touched, task->touched_count * sizeof(*grown));
        }
        task->touched = grown;
        task->touched_cap = cap;
    }
    task->touched[task->touched_count++].hash = hash;
    return OK;
}

/* One bound of the range: prefix and sort bytes, moved past it when it is left out (a lower bound)
 * or let in (an upper one, which is exclusive as a row). */
static void bound_row(const struct row_key *prefix, struct bytes sort, bool past,
                      struct row_key *out)
{
    *out = *prefix;
    row_add(out, sort);
    if (past) {
        step_past(out);
    }
}

/* ERR_NOT_FOUND: the range is empty. */
static enum err range_rows(const struct table *table, const struct reader_range *range,
                           struct row_key *low, struct row_key *high)
{
    struct row_key prefix = {0};
    struct row_key after;
    uint8_t partition_len[2] = {(uint8_t)(range->partition.len >> 8),
                                (uint8_t)range->partition.len};
    row_of_item(&prefix, table->id, range->hash, bytes_of(partition_len, 2));
    row_add(&prefix, range->partition);
    *low = prefix;
    row_add(low, range->prefix);
    *high = *low;
    /* Table ids stay far below the largest, so there is a row after any partition. */
    bool bounded = row_successor(high);
    ASSERT(bounded);
    if (range->has_low) {
        bound_row(&prefix, range->low, !range->low_inclusive, &after);
        *low = bytes_compare(row_bytes(&after), row_bytes(low)) > 0 ? after : *low;
    }
    if (range->has_high) {
        bound_row(&prefix, range->high, range->high_inclusive, &after);
        *high = bytes_compare(row_bytes(&after), row_bytes(high)) < 0 ? after : *high;
    }
    if (range->has_after) {
        bound_row(&prefix, range->after, !range->backward, &after);
        if (!range->backward && bytes_compare(row_bytes(&after), row_bytes(low)) > 0) {
            *low = after;
        }
        if (range->backward && bytes_compare(row_bytes(&after), row_bytes(high)) < 0) {
            *high = after;
        }
    }
    return bytes_compare(row_bytes(low), row_bytes(high)) < 0 ? OK : ERR_NOT_FOUND;
}
