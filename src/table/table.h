/* Tables: the catalogue, the committer and the view. A request is a task: a pure, repeatable
 * evaluation over a reader that yields changes; the store runs it, validates it on the committer,
 * writes it to the log, applies it to the view, and posts it home. Reads are tasks that yield no
 * changes.
 *
 *   store_run ── evaluate on the caller's thread, cache-only ──┬─ no changes: done at once (decided
 * on visible state) │ a cold block: again on a read worker, blocking ─────┤ │ └─ changes: the lane,
 * handed over once per turn committer: nothing it read is newer than its seen? take its bytes; else
 * evaluate again over the group's overlay (cold: back to a worker); one frame, one sync, one
 * RocksDB batch, visible, tails, answers home
 *
 * table knows errors and outcomes, not faults: what a request's refusal reads like is op's. */
#ifndef HW_TABLE_TABLE_H
#define HW_TABLE_TABLE_H

#include "base/arena.h"
#include "base/ending.h"
#include "base/err.h"
#include "item/item.h"
#include "item/key.h"
#include "log/log.h"
#include "sys/thread.h"

struct store;
struct catalogue; /* immutable snapshot of all tables and streams */
struct overlay;   /* what this group has changed so far: committer only */

/* ---- what is in the catalogue ---- */

enum stream_view {
    STREAM_KEYS_ONLY = 1,
    STREAM_NEW_IMAGE = 2,
    STREAM_OLD_IMAGE = 3,
    STREAM_NEW_AND_OLD = 4
};

/* One enablement of a table's stream. It outlives its table until its last record is trimmed.
 * Immutable. */
struct stream {
    uint64_t id; /* never reused */
    uint64_t table_id;
    struct bytes table_name;
    struct bytes label; /* 2015-05-11T21:21:33.291 */
    struct bytes arn;
    struct bytes shard_id; /* shardId-<20 digits of creation ms>-<8 hex> */
    enum stream_view view;
    struct key_schema schema;
    uint64_t created_ms;
    uint64_t first_commit; /* of its enablement: records come after it */
    uint64_t last_commit;  /* where it was closed; UINT64_MAX while open */
    uint64_t retention_ms; /* 0: the store's; RETENTION_FOREVER */
    uint64_t hidden_ms; /* records before this time stay hidden: its retention was shorter once */
    struct stream_trim *trim; /* table's own: how far it is hidden, shared by its versions */
};
#define RETENTION_FOREVER ((uint64_t)INT64_MAX)

struct table {
    uint64_t id; /* never reused */
    struct bytes name;
    struct bytes arn;
    struct key_schema schema;
    const struct stream *stream;      /* the open one, or NULL */
    struct bytes latest_stream_label; /* of the open or last stream; empty if there never was one */
    struct bytes latest_stream_arn;
    struct bytes settings; /* an item: op's own (billing mode, throughput, table id as UUID, ...)
                              echoed by it */
    uint64_t created_ms;
    uint64_t retention_ms; /* of the streams that it opens; as of a stream */
    uint64_t expiry_id;    /* of this enablement of expiry, never reused; 0: items do not expire */
    struct bytes expiry_attribute;
    bool reserved; /* headwater.* */
};

/* A snapshot is pinned by a reader for one evaluation; these are valid as long. */
const struct table *catalogue_table(const struct catalogue *catalogue, struct bytes name);
const struct table *catalogue_table_by_id(const struct catalogue *catalogue, uint64_t id);
/* Tables by name, after `after` (empty: from the first); NULL at the end. */
const struct table *catalogue_next_table(const struct catalogue *catalogue, struct bytes after);
const struct stream *catalogue_stream(const struct catalogue *catalogue, struct bytes arn);
/* Streams by ARN, after `after`; NULL at the end. Of one table when table is not empty. */
const struct stream *catalogue_next_stream(const struct catalogue *catalogue, struct bytes after,
                                           struct bytes table);

/* ---- the store ---- */

/* A budget of the log holds so many segments at least: one is written, one is ready, and what is
 * flushed may be trimmed. */
#define STORE_BUDGET_SEGMENTS 8u

struct store_options {
    const char *data;      /* the data directory: LOCK, FORMAT, log/, view/ are made in it */
    struct bytes region;   /* for ARNs */
    struct bytes account;  /* 000000000000 */
    uint64_t memory_bytes; /* resident memory that what is 0 below is cut for; 0: no such bound */
    /* 0 of these four: a 64th of the data directory's volume, or a 16th of memory_bytes if that is
     * less (256 KiB to 64 MiB); throttle_bytes four times that. segment_bytes takes no memory. */
    uint64_t segment_bytes;
    uint64_t memtable_bytes;
    uint64_t flush_bytes;    /* so much log above flushed starts a flush */
    uint64_t throttle_bytes; /* so much throttles writes */
    uint64_t cache_bytes;  /* block cache, before the page cache; 0: 64 MiB, or memory_bytes / 8 */
    uint64_t tail_bytes;   /* 0: 16 MiB, or memory_bytes / 32 */
    uint64_t log_budget;   /* bytes of the log's files; 0: none. At least STORE_BUDGET_SEGMENTS */
    unsigned read_workers; /* 0: 4 */
    uint64_t retention_ms; /* 0: 24 h of stream records, where a table has no period of its own */
    uint64_t scrub_bytes_per_second; /* 0: 8 MiB */
    uint64_t scrub_interval_ms;      /* from one pass to the next; 0: only when asked */
    bool repeat_evaluation; /* test: every proposal is evaluated again on the committer, same bytes
                               asserted */
};

struct store_report {
    struct log_report log;
    uint64_t replayed_commits;
    uint64_t replayed_bytes;
    uint64_t view_commit;      /* what the view held */
    char directory_holder[64]; /* ERR_BUSY: who has it */
};

/* Opens, recovers and replays; starts committer and workers. ERR_BUSY: another process has the
 * directory. ERR_DAMAGED with report->log filled. */
MUST_USE enum err store_open(const struct store_options *options, struct store **store,
                             struct store_report *report);
/* After the last task has come home. Flushes, checks and marks a clean stop; where the view cannot
 * be written, or has failed before, it does not return (store_on_fatal). */
MUST_USE enum err store_close(struct store *store);

/* A failed write or sync, a background error of RocksDB, damage: called on the thread that met it,
 * before anything more is acknowledged; must end the process. file: what is told to have failed,
 * with its path; reason: call, file, offset and cause. */
typedef void store_fatal(enum exit_status status, const char *file, const char *reason);
void store_on_fatal(store_fatal *fatal);

/* Makes sure of a table, through the same commit path; blocks. Before lanes are in use. */
struct table_definition;
MUST_USE enum err store_ensure_table(struct store *store,
                                     const struct table_definition *definition);
/* Free space of the volume, and how much of it is kept for flushes and compactions: with less than
 * that writes are refused. */
struct store_space {
    uint64_t left;
    uint64_t reserve;
};
struct store_space store_space(const struct store *store);
/* What RocksDB said of its newest failure, with file and cause; text stays as it is where there was
 * none. Any thread. */
void store_view_failure(char *text, size_t room);
struct log *store_log(struct store *store);
struct pool *store_pool(struct store *store);
struct bytes store_region(const struct store *store);
/* The time that ages go by: the wall clock, but since the start never ahead of what has really
 * passed, so that a clock that is set forward lets nothing be trimmed early. May go back. */
uint64_t store_age_ms(struct store *store);
/* The time by which stream records are hidden: that, but never before one that has hidden some. */
uint64_t store_hiding_ms(struct store *store);
struct bytes store_account(const struct store *store);

/* ---- tasks ---- */

struct reader;
struct task;

/* A thread's door to the store: one per loop (and one per test thread). Tasks come home to its
 * mailbox. */
struct lane {
    struct owner owner;
    struct store *store;
    struct mailbox *home;
    struct message *oldest; /* proposals of this turn */
    struct message *newest;
    size_t count;
    size_t in_flight;
    struct expr_cache *exprs;          /* of this thread, lent to evaluations that run on it */
    const struct catalogue *catalogue; /* table's own: the newest this lane has seen, pinned */
};
void lane_init(struct lane *lane, struct store *store, struct mailbox *home);
void lane_fini(struct lane *lane);
/* Once per turn: hands over what was proposed. */
void lane_flush(struct lane *lane);

/* One item's change as the view and the log take it; made by change_item only. */
struct change {
    struct change *next;
    uint64_t table_id;
    uint64_t stream_id; /* 0: none */
    uint64_t row_hash;  /* of table and key, as validation knows it */
    struct key key;
    struct bytes old_item; /* empty: it was absent */
    struct bytes new_item; /* empty: deleted */
    struct bytes record;   /* encoded body of the log record */
    uint8_t kind;
};

struct changes {
    struct change *first;
    struct change *last;
    size_t count;
    size_t bytes;
};

/* A request on its way. The one who starts it owns it; it may not move until done is called. */
struct task {
    struct message message; /* table's own while it runs */
    struct lane *lane;
    /* Pure and repeatable: must give the same outcome for the same reader contents and now_ms, and
     * start from scratch each time (results of an earlier call are void). Returns OK or ERR_FAULT
     * (decided, without changes), ERR_INCOMPLETE (passed through from the reader), or another error
     * (the request fails). Any thread, one at a time. */
    enum err (*evaluate)(struct task *task, struct reader *reader, struct changes *changes);
    /* On the lane's thread. err: what evaluate said last; or ERR_FULL, ERR_RANGE (throttled:
     * retryable), ERR_NOMEM, ERR_IO. Nothing was changed unless OK. */
    void (*done)(struct task *task, enum err err);
    struct arena *arena; /* of the request: evaluation allocates here */
    uint64_t now_ms;     /* set by store_run, the same in every evaluation */
    uint64_t token_ms;   /* the same, by the clock of tokens */
    uint64_t commit;     /* of its changes; 0 if there were none */
    bool writes;         /* false: never goes to the committer */
    bool over_budget;    /* of ERR_FULL: it is the log's budget that has no room, not the disk */
    /* table's own */
    uint64_t seen;
    struct changes changes;
    struct touched *touched; /* key hashes read, for validation */
    size_t touched_count;
    size_t touched_cap;
    bool touched_catalogue;
    bool stale;     /* must be evaluated again, whatever was touched */
    uint8_t rounds; /* times it came back from the committer to be read from disk */
    enum err outcome;
    struct work work;
};

/* Runs it; done is called before it returns when the outcome is decided on visible state and in
 * cache, else later. */
void store_run(struct lane *lane, struct task *task);

/* ---- what an evaluation sees: valid during the call ---- */

struct reader {
    struct store *store;
    struct task *task;
    const struct catalogue *catalogue;
    struct expr_cache *exprs; /* of the thread this runs on */
    struct arena *arena;      /* the task's */
    uint64_t now_ms;
    uint64_t token_ms;
    bool blocking;           /* else cold blocks give ERR_INCOMPLETE */
    struct overlay *overlay; /* committer only */
};

/* The table of that name (names may be ARNs of it too); NULL if there is none. Noted for
 * validation. */
const struct table *reader_table(struct reader *reader, struct bytes name);
/* The item, in the reader's arena. ERR_NOT_FOUND, ERR_INCOMPLETE, ERR_DAMAGED. Noted for
 * validation. */
MUST_USE enum err reader_get(struct reader *reader, const struct table *table,
                             const struct key *key, struct bytes *item);

/* Many items as one state has them all, which reader_get after reader_get does not promise to an
 * evaluation that does not write; items[i] is empty when absent. Only for such evaluations. On a
 * loop ERR_INCOMPLETE past cached_bytes_max. */
struct reader_place {
    const struct table *table;
    const struct key *key;
};
MUST_USE enum err reader_get_together(struct reader *reader, const struct reader_place *places,
                                      size_t count, size_t cached_bytes_max, struct bytes *items);

/* Items of one partition in sort order. Not for writing evaluations (ranges are not validated). */
struct reader_range {
    struct bytes partition;
    uint64_t hash;
    struct bytes low, high; /* raw sort key bytes */
    struct bytes prefix;    /* what every sort key begins with; empty: anything */
    bool has_low, has_high, low_inclusive, high_inclusive;
    bool backward;
    struct bytes
        after; /* exclusive start: sort key bytes, in the direction of reading; has_after */
    bool has_after;
    size_t cached_bytes_max; /* cache-only: past this many bytes read it is ERR_INCOMPLETE, so that
                                a loop is not held up: 64 KiB */
};
/* fn is called per item (key: stored form, item: borrowed until it returns); it returns false to
 * stop. One consistent snapshot. */
typedef bool reader_visit(void *arg, struct bytes key, struct bytes item);
MUST_USE enum err reader_scan(struct reader *reader, const struct table *table,
                              const struct reader_range *range, reader_visit *fn, void *arg);
/* Items of a table by the hashes of their partitions, from hash_low to hash_high (both inclusive)
 * and after the key `after` (NULL: from the first). Else as reader_scan. */
struct reader_hashes {
    uint64_t hash_low, hash_high;
    const struct key *after;
    size_t cached_bytes_max;
};
MUST_USE enum err reader_scan_table(struct reader *reader, const struct table *table,
                                    const struct reader_hashes *hashes, reader_visit *fn,
                                    void *arg);

/* A transaction's token, kept for 10 minutes after its commit, across restarts. ERR_NOT_FOUND.
 * Noted for validation. */
struct token_state {
    uint8_t request_hash[32];
};
MUST_USE enum err reader_token(struct reader *reader, struct bytes token,
                               struct token_state *state);

/* Stream records (log_read with the stream's bounds). tail only unless blocking. */
MUST_USE enum err reader_stream(struct reader *reader, const struct stream *stream,
                                struct log_read *read);
/* Where a stream stands: the newest visible place; the first place not trimmed, which is its end
 * when it is closed and all of it is hidden. */
struct log_place reader_stream_end(struct reader *reader, const struct stream *stream);
struct log_place reader_stream_trim(struct reader *reader, const struct stream *stream);

/* ---- what an evaluation yields ---- */

enum change_origin { ORIGIN_USER = 1, ORIGIN_EXPIRY = 2, ORIGIN_SYSTEM = 3 };

/* old item (empty: absent) to new item (empty: delete). Nothing is added when both are equal bytes.
 * Images must stay valid as long as the task's arena. ERR_NOMEM, ERR_RANGE (past the largest
 * commit). */
MUST_USE enum err change_item(struct reader *reader, struct changes *changes,
                              const struct table *table, const struct key *key,
                              struct bytes old_item, struct bytes new_item,
                              enum change_origin origin);
/* Makes this commit known under a token; at most one. */
MUST_USE enum err change_token(struct reader *reader, struct changes *changes, struct bytes token,
                               const uint8_t request_hash[32]);

struct table_definition {
    struct bytes name;
    struct key_schema schema;
    enum stream_view view; /* 0: no stream */
    struct bytes settings;
    uint64_t retention_ms; /* as of a stream */
};
/* The name must be free (checked by the caller through reader_table). ids, label, ARNs and shard id
 * are chosen here from now_ms and the catalogue, repeatably; *made describes the table as it will
 * be. */
MUST_USE enum err change_create_table(struct reader *reader, struct changes *changes,
                                      const struct table_definition *definition,
                                      const struct table **made);
/* A table from this commit on. */
struct table_update {
    struct bytes settings;
    enum stream_view open_view; /* not 0: a stream is opened; none may be open */
    bool close_stream;          /* the open one; it stays readable until trimmed */
    bool set_retention;         /* of its open stream and of later ones: */
    uint64_t retention_ms;      /* as of a stream */
    bool set_expiry;            /* items expire by this attribute; empty: no longer */
    struct bytes expiry_attribute;
    uint64_t age_ms; /* store_age_ms, looked at once a request; with set_retention */
};
/* Records of commits before it are of the streams before, those after it of the streams after.
 * *made describes the table as it will be. */
MUST_USE enum err change_update_table(struct reader *reader, struct changes *changes,
                                      const struct table *table, const struct table_update *update,
                                      const struct table **made);
/* Its stream is closed at this commit and stays readable until trimmed. */
MUST_USE enum err change_delete_table(struct reader *reader, struct changes *changes,
                                      const struct table *table);

/* ---- stream records, decoded ---- */

/* A record of kind RECORD_ITEM, its parts views into the body. */
struct stream_record {
    enum change_origin origin;
    bool inserted; /* there was no old item; !removed && !inserted: modified */
    bool removed;
    struct bytes key;       /* stored form */
    struct bytes new_image; /* as the view type gives it; empty if not given */
    struct bytes old_image;
    bool has_new_image, has_old_image;
};
#define RECORD_ITEM 1
MUST_USE enum err stream_record_decode(const struct stream *stream, const struct log_record *record,
                                       struct stream_record *out);

/* 24 digits: epoch (4), commit (15), index (5). out: 25 bytes, zero-ended. */
void sequence_number_text(struct store *store, uint64_t commit, uint32_t index, char out[25]);
/* ERR_INVALID: not of this form or epoch. */
MUST_USE enum err sequence_number_parse(struct store *store, struct bytes text,
                                        struct log_place *place);

/* ---- following ---- */

/* Wakes follower (see log.h) when the stream has visible records past `after`. */
void store_follow(struct store *store, struct log_follower *follower, const struct stream *stream,
                  struct log_place after);
bool store_unfollow(struct store *store, struct log_follower *follower);
/* A pinned snapshot outside of evaluations, e.g. for a follower's own thread. */
const struct catalogue *store_catalogue_pin(struct store *store);
void store_catalogue_unpin(struct store *store, const struct catalogue *catalogue);

struct store_figures {
    uint64_t proposals, commits, groups, repeated, sent_back, throttled, slowed, changes;
    uint64_t cache_only_incomplete, worker_reads;
    uint64_t durable, visible, flushed, unflushed_bytes;
    uint64_t view_batch_ns_total, view_batch_ns_max;
    uint64_t flushes, flush_ns_total;
    uint64_t queue_now, queue_max; /* of the committer */
    uint64_t expired;              /* items */
    uint64_t background_errors;
    uint64_t compaction_waits; /* attempts that ended for want of space */
    struct store_space space;
    struct log_figures log;
};
void store_figures(struct store *store, struct store_figures *out);

/* A data directory that nobody has open, for `headwater log verify`: its FORMAT, every byte of the
 * view's files, and that the view is what the log's records make of it. Nothing is changed. log: of
 * a log_scan over DATA/log that found it whole, first: the commit of its first record (0: none).
 * ERR_NOT_FOUND: there is no view. ERR_DAMAGED with file and reason; ERR_IO. */
struct store_verify {
    const struct log_report *log;
    uint64_t first;
    /* out */
    uint64_t tables; /* RocksDB's files */
    uint64_t bytes;
    uint64_t rows;   /* compared */
    uint64_t commit; /* the view holds the commits up to here */
    char file[ENDING_FILE_MAX];
    char reason[ENDING_REASON_MAX];
};
MUST_USE enum err store_verify(const char *data, struct store_verify *verify);

/* The same while the store is open: a thread reads all of log and view, at a bounded rate, past the
 * page cache, and looks whether rows of the view are what the log makes of them: as many as fit
 * into its memory, others in each pass (scrub.c). Damage is noted, told here, and changes nothing
 * else: what is whole is served. One pass at a time. Any thread. */
#define STORE_SCRUB_TOLD_MAX 16u
struct store_scrub_damage {
    uint64_t offset; /* in file, where it is of the log; else 0 */
    char file[256];
    char reason[512];
};
struct store_scrub {
    uint64_t running;       /* 1: a pass is under way, else 0 */
    uint64_t passes;        /* ended whole, since the start of the process */
    uint64_t started_s;     /* wall time of the newest pass; 0: none */
    uint64_t ended_s;       /* of the newest that ended; 0: none */
    uint64_t bytes;         /* read in the newest pass */
    uint64_t bytes_all;     /* that it has to read, as far as known when it began */
    uint64_t records;       /* of the log */
    uint64_t tables;        /* RocksDB's files */
    uint64_t rows;          /* compared with the log */
    uint64_t damages;       /* found in the newest pass */
    uint64_t damages_total; /* since the start of the process */
    struct store_scrub_damage told[STORE_SCRUB_TOLD_MAX]; /* the first ones of the newest pass */
};
void store_scrub_state(struct store *store, struct store_scrub *out);
/* Begins a pass, unless one is under way: then that one goes on. bytes_per_second: of this pass; 0:
 * as the store's options say. */
void store_scrub_start(struct store *store, uint64_t bytes_per_second);

/* Offline, for `headwater log dump`: one record of log_scan as one JSON line. */
MUST_USE enum err table_record_to_json(const struct log_record *record, struct buf *out);

#endif
