/* Inside the table layer: formats of records and rows, and what its files share.
 *
 * Record bodies (log/log.h carries kind, stream id, key hash, commit and time beside them). Varints
 * are LEB128, fixed integers little-endian. Replay needs nothing but these bytes.
 *
 *   item          u8 origin        enum change_origin
 *                 u8 view          enum stream_view of its stream, 0 without one
 *                 u8 flags         1 there was an item, 2 there is one now, 4 the old image is
 * here, 8 the new item expires varint table varint len, key  stored form varint len, new  item
 * bytes       (flag 2) varint len, old  item bytes       (flag 4) varint expiry id, varint second
 * when it expires: its row is made (flag 8) varint count     removed index and expiry rows, each
 * varint len, row key token         u64 time ms, 32 bytes request hash, varint len, token
 *   token_drop    varint count, each u64 time ms, varint len, token
 *   table         description of the table; of its stream under "stream"
 *   table_delete  description of the table, its stream with "first" under "stream"
 *   stream_drop   description: "stream" (its id)
 *   table_update  description of the table as it is from this commit on; a stream under "stream"
 *                 whose "first" is 0 is opened by it, another one is from now on as it says
 *   stream_close  description of the stream, which this commit
 * closes
 *   expiry_fill   varint expiry id, u8 done, varint len, place: hash and key of the last item that
 *                 was looked at; varint count, each varint second, u64 hash, varint len, key: their
 *                 expiry rows are made
 *   expiry_drop   description: "expiry" (its id)
 *   stream_age    description: "age" (ms since 1970): what it makes too old is hidden from now on
 *
 * A description is an item (item/item.h), see describe.c.
 *
 * Rows of the view. Table ids below TABLE_ID_FIRST are the store's own.
 *
 *   table id (u64 big-endian), partition hash (u64 big-endian), key (stored form)   -> item
 *   0, 's'                                           -> the state of the view, view.c
 *   0, 't', table id (u64 big-endian)                -> description of the table
 *   0, 'u', stream id (u64 big-endian)               -> u64 first, u64 last commit, description
 *   0, 'k', ten minutes since 1970 (u64 big-endian), token  -> u64 time ms, 32 bytes request hash
 *   0, 'd', stream, segment (u64 big-endian each)    -> u64 count, first and last place (u64, u32)
 *   0, 'x', expiry id, second, hash (u64 big-endian each), key (stored form)  -> nothing
 *   0, 'f', expiry id (u64 big-endian)               -> u8 done, place: as in expiry_fill
 *   0, 'a'                                           -> description of the newest stream_age
 *   0, 'e', segment (u64 big-endian)                 -> nothing: this segment's 'd' rows are whole;
 *                                                       deleted after them when the segment is gone
 */
#ifndef HW_TABLE_TABLE_PRIV_H
#define HW_TABLE_TABLE_PRIV_H

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/note.h"
#include "sys/clock.h"
#include "table/table.h"
#include "table/view_check.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define TABLE_ID_FIRST 256u
#define KEY_STORED_MAX (2u + ITEM_PARTITION_KEY_MAX + ITEM_SORT_KEY_MAX + 1u)
#define ROW_KEY_MAX (33u + KEY_STORED_MAX + 1u) /* the longest are expiry rows */
#define TOKEN_LEN_MAX 256u
#define TOKEN_KEPT_MS 600000u /* 10 minutes */
#define TOKEN_DROP_COUNT_MAX 1000u
#define COMMIT_COUNT_MAX 1024u /* changes of one commit, and of one group */
#define GROUP_BYTES_MAX (1u << 20)
#define EPOCH_FIRST 1000u

enum record_kind {
#define RECORD(name, number, text, rows, catalogue, dump) KIND_##name = (number),
#include "table/record.def"
#undef RECORD
};
static_assert((int)KIND_RECORD_ITEM == RECORD_ITEM, "table.h states the kind that all may read");

/* ---- rows: row.c ---- */

struct row_key {
    size_t len;
    uint8_t ptr[ROW_KEY_MAX];
};

static inline struct bytes row_bytes(const struct row_key *row)
{
    return bytes_of(row->ptr, row->len);
}

void row_u64(struct row_key *row, uint64_t value);
void row_add(struct row_key *row, struct bytes data);
/* The row of an item; ASSERTs that the key fits, which key.h promises. */
void row_of_item(struct row_key *row, uint64_t table_id, uint64_t hash, struct bytes key);
/* Of the store's own: table id 0 and a letter. */
void row_of_store(struct row_key *row, char letter);
void row_of_store_u64(struct row_key *row, char letter, uint64_t id);
void row_of_expiry(struct row_key *row, uint64_t expiry_id, uint64_t second, uint64_t hash,
                   struct bytes key);
void row_of_token(struct row_key *row, uint64_t time_ms, struct bytes token);
/* The first key after all that begin with row; false: there is none. */
bool row_successor(struct row_key *row);
uint64_t row_hash(uint64_t table_id, struct bytes key);

static inline uint64_t read_u64_big(const uint8_t *p)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) {
        value = value << 8 | p[i];
    }
    return value;
}

/* ---- the view: view.c ---- */

/* What the view says about itself, in the batch of each group. */
struct view_state {
    uint64_t log_id;
    uint64_t applied; /* it holds exactly the commits up to here */
    uint64_t time_ms; /* of the newest commit: time goes on from there */
    uint64_t next_id; /* of tables and streams: never reused (table I7) */
    uint64_t trim;    /* every stream's records up to this commit are hidden; only advances */
};

struct view;
struct view_options {
    const char *dir;
    uint64_t memtable_bytes;
    uint64_t cache_bytes;
    uint64_t floor_bytes; /* of the volume, that compactions leave free */
    bool to_read;         /* nothing is changed, nothing can be written */
};
/* *fresh: it was empty, state is zero. */
MUST_USE enum err view_open(const struct view_options *options, struct view **view,
                            struct view_state *state, bool *fresh, char *reason, size_t room);
/* Of nothing but a batch: for who only asks what records make of rows (view_batch_take). */
struct view *view_open_batch(void);
void view_close(struct view *view);
/* Bytes of the tables that it is made of. */
uint64_t view_table_bytes(struct view *view);

enum view_read { VIEW_CACHED, VIEW_BLOCKING };
/* The value, in the arena. ERR_NOT_FOUND, ERR_INCOMPLETE, ERR_NOMEM, ERR_DAMAGED, ERR_IO. */
MUST_USE enum err view_get(struct view *view, struct bytes row, enum view_read how,
                           struct arena *arena, struct bytes *value);
/* The view as it is now, for several gets; briefly, for it holds back what compaction may drop. */
struct view_snapshot;
struct view_snapshot *view_snapshot_open(struct view *view);
/* What is read of it does not enter RocksDB's cache. */
void view_snapshot_keep_cache(const struct view_snapshot *snapshot);
MUST_USE enum err view_snapshot_state(const struct view_snapshot *snapshot,
                                      struct view_state *state);
/* As view_get. */
MUST_USE enum err view_snapshot_get(const struct view_snapshot *snapshot, struct bytes row,
                                    enum view_read how, struct arena *arena, struct bytes *value);
void view_snapshot_close(struct view_snapshot *snapshot);
/* Rows from low (inclusive) to high (exclusive; empty: to the end), in either direction, of one
 * snapshot. fn returns false to stop. Past bytes_max it is ERR_INCOMPLETE (0: no such bound), and
 * so is a cached scan that meets very many deleted rows. */
struct view_scan {
    struct bytes low, high;
    bool backward;
    enum view_read how;
    size_t bytes_max;
    bool (*fn)(void *arg, struct bytes row, struct bytes value);
    void *arg;
};
MUST_USE enum err view_scan(struct view *view, const struct view_scan *scan);

/* One batch at a time, of the committer, or of replay before it runs: view_leave is between. */
void view_leave(struct view *view);
void view_put(struct view *view, struct bytes row, struct bytes value);
void view_delete(struct view *view, struct bytes row);
void view_delete_range(struct view *view, struct bytes low, struct bytes high);
/* An expiry row; its second is noted, so that a sweep need not begin at the first one again, which
 * would read over all the rows that were deleted: how low those go that came since view_take_low
 * was asked last; UINT64_MAX: none. Told no sooner than the row can be read. */
void view_put_expiry(struct view *view, struct bytes row, uint64_t second);
uint64_t view_take_low(struct view *view);
size_t view_batch_bytes(const struct view *view);
/* What is in the batch, in order, which is then empty: for who compares instead of writing.
 * VIEW_DELETE_RANGE: from row to value. fn's first error ends it. */
typedef enum err view_batch_visit(void *arg, enum view_change change, struct bytes row,
                                  struct bytes value);
MUST_USE enum err view_batch_take(struct view *view, view_batch_visit *fn, void *arg);
/* Writes the batch with the state in it, and empties it. Any error is fatal to the caller. */
MUST_USE enum err view_write(struct view *view, const struct view_state *state);

/* Rows that are derived and need no order with the commits (the log's directory). Any thread. */
struct view_row {
    struct row_key key;
    uint8_t value[40];
    size_t value_len;
};
MUST_USE enum err view_put_derived(struct view *view, const struct view_row *rows, size_t count);
MUST_USE enum err view_delete_derived(struct view *view, const struct view_row *rows, size_t count);

/* The newest failure of a call of RocksDB in its words, which name file and place; text stays as it
 * is where there was none. Any thread. */
void view_failure(char *text, size_t room);
/* Waits until everything written is in files. */
MUST_USE enum err view_flush(struct view *view);
/* But for compactions that wait for space. */
uint64_t view_background_errors(struct view *view);
/* 0: fine, 1: writes should slow down, 2: no more now, before RocksDB itself stalls. */
unsigned view_pressure(struct view *view);
/* Flushes and compactions keep up with the writes, by far: they need not hurry. */
bool view_keeps_up(struct view *view);

/* ---- the catalogue: catalogue.c, describe.c ---- */

struct table_node;
struct stream_node;

/* How far a stream is hidden: moved by the keeper (and at the start), read by all. A reader may see
 * an older one, as if it had come earlier, so nothing is ordered by it. */
struct stream_trim {
    _Atomic uint32_t references;
    _Atomic uint64_t commit; /* records up to it are hidden; only advances */
};

struct catalogue {
    _Atomic uint32_t references;
    uint64_t commit; /* that made it */
    uint64_t next_id;
    size_t table_count;
    size_t stream_count;
    struct table_node **by_name;
    struct table_node **by_id;
    struct stream_node **by_arn;
};

struct catalogue *catalogue_new(uint64_t next_id);
struct catalogue *catalogue_pin(const struct catalogue *catalogue);
void catalogue_unpin(const struct catalogue *pinned);
/* What a record makes of a catalogue: a new one, with one reference. ERR_DAMAGED. */
typedef enum err catalogue_change(const struct catalogue *before, const struct log_record *record,
                                  struct catalogue **after);
catalogue_change catalogue_add_table, catalogue_drop_table, catalogue_drop_stream,
    catalogue_update_table, catalogue_close_stream;
/* From rows, at start: streams first, then tables. Changes catalogue in place. */
MUST_USE enum err catalogue_load_stream(struct catalogue *catalogue, struct bytes value);
MUST_USE enum err catalogue_load_table(struct catalogue *catalogue, struct bytes value);
/* The table after that id (0: from the first) that expires items; NULL at the end. */
const struct table *catalogue_next_expiring(const struct catalogue *catalogue, uint64_t after_id);
/* NULL: it was forgotten, or never was. */
const struct stream *catalogue_stream_of_id(const struct catalogue *catalogue, uint64_t id);
/* Streams closed and hidden wholly: the first one, NULL if there is none. */
const struct stream *catalogue_trimmed_stream(const struct catalogue *catalogue);

/* Descriptions. ERR_NOMEM; ERR_DAMAGED. Decoded strings are views into the item. */
MUST_USE enum err describe_stream(const struct stream *stream, struct arena *arena,
                                  struct bytes *item);
MUST_USE enum err describe_table(const struct table *table, struct arena *arena,
                                 struct bytes *item);
MUST_USE enum err describe_id(struct bytes name, uint64_t id, struct arena *arena,
                              struct bytes *item);
MUST_USE enum err read_described_stream(struct bytes item, struct stream *stream);
/* *stream_item: its nested stream, empty if none; *stream_id likewise 0. */
MUST_USE enum err read_described_table(struct bytes item, struct table *table, uint64_t *stream_id,
                                       struct bytes *stream_item);
MUST_USE enum err read_described_id(struct bytes item, struct bytes name, uint64_t *id);

/* ---- records: record.c ---- */

struct item_record {
    uint8_t origin;
    uint8_t view;
    bool was;
    bool is;
    bool has_old;
    uint64_t table_id;
    struct bytes key;
    struct bytes new_item;
    struct bytes old_item;
    uint64_t expiry_second; /* the new item's; 0: it does not expire */
    uint64_t expiry_id;     /* in whose rows: not in the record without a second */
    struct bytes removed;   /* encoded: the one expiry row that goes; decoded: the list of rows */
    uint64_t removed_count; /* 0 or 1 when encoded */
};
MUST_USE enum err item_record_encode(const struct item_record *record, struct arena *arena,
                                     struct bytes *body);
MUST_USE enum err item_record_decode(struct bytes body, struct item_record *record);

struct token_record {
    struct bytes token;
    uint64_t time_ms;
    struct bytes request_hash; /* 32 bytes */
};
MUST_USE enum err token_record_encode(const struct token_record *record, struct arena *arena,
                                      struct bytes *body);
MUST_USE enum err token_record_decode(struct bytes body, struct token_record *record);
MUST_USE enum err token_drop_encode(const struct token_record *records, size_t count,
                                    struct arena *arena, struct bytes *body);

/* Keys whose second is 0 have no row. */
struct expiry_fill {
    uint64_t expiry_id;
    bool done;
    struct bytes place;
    const struct key *keys;
    uint64_t *seconds;
    size_t count;
};
MUST_USE enum err expiry_fill_encode(const struct expiry_fill *fill, struct arena *arena,
                                     struct bytes *body);

/* The rows of a record, into the view's batch: the same for a commit and for replay. */
MUST_USE enum err record_apply(struct view *view, const struct log_record *record);
/* The catalogue after a record; *after is NULL when the record says nothing about it. */
MUST_USE enum err record_catalogue(const struct catalogue *before, const struct log_record *record,
                                   struct catalogue **after);

/* ---- the overlay: overlay.c. What the group at hand has changed, committer only. ---- */

struct overlay *overlay_new(void);
void overlay_free(struct overlay *overlay);
/* Empty again: constant time. */
void overlay_clear(struct overlay *overlay);
/* value: borrowed until cleared; empty: deleted. */
void overlay_set(struct overlay *overlay, uint64_t hash, uint64_t table_id, struct bytes key,
                 struct bytes value);
/* False: this group did not touch it. */
bool overlay_get(const struct overlay *overlay, uint64_t hash, uint64_t table_id, struct bytes key,
                 struct bytes *value);

/* ---- the store ---- */

struct touched {
    uint64_t hash;
};

/* Counters of any thread, read by store_figures; relaxed, nothing is ordered by them. */
struct counters {
    _Atomic uint64_t proposals, commits, groups, repeated, sent_back, throttled, slowed, changes;
    _Atomic uint64_t cache_only_incomplete, worker_reads;
    _Atomic uint64_t view_batch_ns_total, view_batch_ns_max;
    _Atomic uint64_t flushes, flush_ns_total;
    _Atomic uint64_t queue_now, queue_max;
    _Atomic uint64_t expired;
    _Atomic uint64_t flushed; /* commit */
};

static inline void count_add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static inline void count_max(_Atomic uint64_t *counter, uint64_t n)
{
    uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
    while (now < n && !atomic_compare_exchange_weak_explicit(counter, &now, n, memory_order_relaxed,
                                                             memory_order_relaxed)) {
    }
}

/* What the volume's free space lets through: beside the reserve that flushes need, all; then all,
 * slowly; then only what frees space. */
enum space { SPACE_AMPLE, SPACE_SLOW, SPACE_DELETES, SPACE_NONE };

struct committer;
struct keeper;
struct expirer;
struct scrubber;

struct store {
    struct log *log;
    struct view *view;
    struct directory *directory;
    struct pool *pool;
    struct committer *committer;
    struct keeper *keeper;
    struct expirer *expirer;
    struct scrubber *scrubber;
    struct arena names; /* region, account, paths: as long as the store */
    const char *data;
    struct bytes region;
    struct bytes account;
    uint64_t epoch;
    uint64_t retention_ms;
    uint64_t segment_bytes;
    uint64_t memtable_bytes;
    uint64_t cache_bytes;
    uint64_t tail_bytes;
    uint64_t flush_bytes;
    uint64_t throttle_bytes;
    uint64_t log_budget;  /* 0: none */
    uint64_t log_reserve; /* of it: for what adds no item */
    bool repeat_evaluation;
    int lock; /* descriptor of LOCK */

    /* The catalogue that is shown. Replaced by the committer under the mutex; catalogue_commit is
     * its commit, stored after it (release), so that a lane sees by one load (acquire) whether the
     * one it has pinned is still the newest. */
    pthread_mutex_t catalogue_mutex;
    const struct catalogue *catalogue;
    _Atomic uint64_t catalogue_commit;

    /* Odd while the committer changes the view and the catalogue; see evaluate_visible. */
    _Atomic uint64_t show_count;
    _Atomic uint64_t now_ms;   /* the newest time handed out: never backwards */
    _Atomic uint64_t token_ms; /* the same, of store_token_ms */
    uint64_t token_base_ms;    /* at base */
    _Atomic uint64_t trim;     /* what every stream has hidden: the log may go up to here */
    _Atomic uint64_t aged_ms;  /* noted in the log: what it makes too old stays hidden */
    _Atomic uint64_t streamed; /* no later commit holds a stream's record; may say too much */
    struct clock_base base;    /* of the start */
    uint64_t swept_s;          /* every row up to this second is done; the expirer's own */
    bool sweep_failed;         /* as last noted; the expirer's own */
    /* Kept up by the keeper: how the view is doing (view_pressure), and an enum space. */
    _Atomic unsigned pressure;
    _Atomic unsigned space;
    uint64_t reserve_bytes;

    /* Expression caches of workers: taken for one evaluation each. */
    pthread_mutex_t exprs_mutex;
    struct expr_cache **exprs;
    size_t exprs_count;
    size_t exprs_cap;

    struct counters counters;
};

/* What DATA/FORMAT says. checked: with a check, and right. */
struct store_format {
    unsigned epoch;
    bool checked;
};
/* ERR_NOT_FOUND: there is none. ERR_DAMAGED with the report filled. */
MUST_USE enum err store_read_format(const char *data, struct store_format *out,
                                    struct store_report *report);
/* Ends the process through store_on_fatal's callback. Of the log, on the thread that met it. */
_Noreturn void store_die_of_log(const struct store *store, enum err err);
/* Of the view: in RocksDB's own words where it told any, which name file and place, and with
 * EXIT_DAMAGED where it met damage. */
_Noreturn void store_die_of_view(const struct store *store, enum err err);
/* Dies so when a flush or compaction has failed. Any thread. */
void store_check_view(struct store *store);
/* Wall time, but never before a time handed out earlier or found in the log. */
uint64_t store_now_ms(struct store *store);
/* The time that tokens are kept by: it passes as real time does, whatever the wall clock is set to,
 * and never goes back, over restarts too. */
uint64_t store_token_ms(struct store *store);
/* True when the log above flushed or the view asks writers to slow down (1) or to wait (2). */
unsigned store_pressure(struct store *store);
struct expr_cache *store_take_exprs(struct store *store);
void store_give_exprs(struct store *store, struct expr_cache *exprs);

/* ---- tasks: task.c ---- */

/* Evaluates from scratch: outcome and changes are those of this call alone. */
enum err task_evaluate(struct task *task, struct reader *reader);
/* On a worker, blocking, then home again; ERR_RANGE when the workers' queue is full. */
MUST_USE enum err task_read_on_worker(struct task *task);
/* Runs evaluate until it is decided, blocking; for the store's own tasks on their own threads. */
MUST_USE enum err task_run_blocking(struct store *store, struct task *task);

/* ---- the committer: commit.c ---- */

struct committer *committer_open(struct store *store, struct view_state state);
/* Commits what waits, then ends its thread. Returns the state as last written. */
struct view_state committer_close(struct committer *committer);
struct mailbox *committer_mailbox(struct committer *committer);

/* ---- the keeper: keep.c. Flushes, trims, forgets tokens, watches the view. ---- */

struct keeper *keeper_open(struct store *store);
void keeper_close(struct keeper *keeper);
/* What is visible goes to the view's files, and the log is told so. */
void store_flush(struct store *store);
/* Records of the stream up to which commit nobody will ask for: for the log's cleaner, of commits
 * that are flushed. arg is the store. Any thread. */
uint64_t store_stream_dead(void *arg, uint64_t stream_id);
/* Stream records older than their retention are hidden from now on, by now_ms, an age's, or by the
 * one that is noted; a later one is noted first where it hides anything more. Blocks. */
void store_hide_old(struct store *store, uint64_t now_ms);
/* At the start, before the committer: what was hidden before. */
void store_hide_again(struct store *store);
/* That, and closed streams that are hidden wholly are dropped, by commits. */
void store_trim(struct store *store, uint64_t now_ms);
/* now_ms: store_token_ms's. */
void store_forget_tokens(struct store *store, uint64_t now_ms);
/* Looks how much of the volume is left; true: so little that it is worth another look soon. */
bool store_watch_space(struct store *store);
/* An enum space: how much the log's budget leaves when `bytes` more are written. */
unsigned store_budget_use(const struct store *store, uint64_t bytes);

/* ---- expiry: expire.c ---- */

struct expirer *expirer_open(struct store *store);
void expirer_close(struct expirer *expirer);
/* Makes the missing rows of tables that expire items, and deletes what is due; now_ms is an age's.
 * Ends between two batches when stopping is set. Blocks; one thread at a time. */
void store_expire(struct store *store, uint64_t now_ms, const _Atomic bool *stopping);
/* Does the item (empty: none) of this table expire, and when? */
bool item_expires(const struct table *table, struct bytes item, uint64_t *second);

/* ---- the scrub: scrub.c ---- */

struct scrubber *scrubber_open(struct store *store, uint64_t bytes_per_second,
                               uint64_t interval_ms);
void scrubber_close(struct scrubber *scrubber);

/* ---- what the log says of some rows: sample.c. One thread. ---- */

struct sample;
struct sample *sample_new(void);
void sample_free(struct sample *sample);
/* The next record of the log. ERR_DAMAGED. */
MUST_USE enum err sample_add(struct sample *sample, const struct log_record *record);
/* Compares, row by row, those of which the newest record is of a commit after `after`: what was
 * written after one before may be gone from the log. pace is called before each, with the bytes of
 * its value. ERR_DAMAGED, with the reason: one is not what the newest record about it says; what
 * pace says; as view_get. */
MUST_USE enum err sample_compare(const struct sample *sample, uint64_t after,
                                 const struct view_snapshot *snapshot,
                                 enum err (*pace)(void *arg, uint64_t bytes), void *arg,
                                 char *reason, size_t room);

/* ---- the log's directory: directory.c ---- */

struct directory;
struct directory *directory_open(struct view *view);
void directory_close(struct directory *directory);
struct log_directory directory_for_log(struct directory *directory);
/* Deletes the rows of segments that went, if there are enough of them. Blocks; one thread at a
 * time. Ends early when stopping is set; what is left goes another time. */
void directory_sweep(struct directory *directory, const _Atomic bool *stopping);

/* ---- changes: change.c ---- */

MUST_USE enum err change_forget_tokens(struct reader *reader, struct changes *changes,
                                       struct bytes body);
MUST_USE enum err change_note_age(struct reader *reader, struct changes *changes, uint64_t age_ms);
MUST_USE enum err change_fill_expiry(struct reader *reader, struct changes *changes,
                                     const struct expiry_fill *fill);
MUST_USE enum err change_drop_stream(struct reader *reader, struct changes *changes,
                                     const struct stream *stream);

#endif
