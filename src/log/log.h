/* The log: the truth. Groups of commits become frames in segment files; one frame, one sync. The
 * format is in log_priv.h and fixed for ever. log knows records as bytes with a stream id and a key
 * hash; what is in them is table's.
 *
 * Terms: a commit is one request's effect and has a number (1, 2, 3, ... without gaps); a record is
 * one change in it, known by (commit, index). durable >= visible >= flushed: durable  the newest
 * commit whose frame is synced visible  the newest commit that may be shown: log_publish says so,
 * after the view took it flushed  the newest commit that is in the view's files: log_set_flushed
 * says so
 *
 * Threads: one committer (log_group_*, log_append, log_publish); everything marked "any thread"
 * takes the log's own short locks. A failed write or sync is never retried: the caller must end the
 * process. */
#ifndef HW_LOG_LOG_H
#define HW_LOG_LOG_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/ending.h"
#include "base/err.h"
#include "sys/mailbox.h"

#define LOG_COMMIT_BYTES_MAX (128u << 20)
#define LOG_INDEX_END 99999u /* indexes have five digits */

struct log;

/* A place in the log: just after record `index` of `commit`. {c, LOG_INDEX_END}: after all of
 * commit c. */
struct log_place {
    uint64_t commit;
    uint32_t index;
};

struct log_record {
    uint64_t commit;
    uint32_t index; /* in its commit, from 0 */
    uint32_t count; /* records of its commit */
    uint64_t time_ms;
    uint64_t stream;   /* 0: of no stream */
    uint64_t key_hash; /* of the partition key */
    struct bytes body;
    uint8_t kind; /* table's; 0 is not used */
};

struct log_directory_entry {
    uint64_t stream;
    uint64_t count;
    struct log_place first;
    struct log_place last;
};

/* Segments at or after the one that was asked for that may hold records of a stream, in order; no
 * other one below `until` does. */
#define LOG_DIRECTORY_FOUND_MAX 16u
struct log_directory_found {
    uint64_t segments[LOG_DIRECTORY_FOUND_MAX];
    size_t count;
    uint64_t until; /* past `from` */
};

/* Which sealed segments hold records of a stream: kept by the view (a row per stream and segment),
 * so that a quiet stream among busy ones is found by one seek. All three or none. */
struct log_directory {
    void *arg;
    /* The segments that the log holds, in order, before anything else is called: told[i] is to say
     * of which the directory has everything. Of others it may drop what it has. In log_open. */
    void (*opened)(void *arg, const uint64_t *segments, size_t count, bool *told);
    /* A segment is complete. One entry per stream in it, perhaps none. Called on the log's worker,
     * for segments that were not told, or that a kill may have hidden from the view, once more. */
    void (*sealed)(void *arg, uint64_t segment, const struct log_directory_entry *entries,
                   size_t count);
    /* A segment is gone, and its number is not used again. What the log still holds of it stands in
     * segments that were told before. Called on the log's worker. */
    void (*removed)(void *arg, uint64_t segment);
    /* `from` itself, and no more, where nothing is known of it. Any thread that may wait for a
     * disk. */
    enum err (*find)(void *arg, uint64_t stream, uint64_t from, struct log_directory_found *found);
};

struct log_options {
    const char *dir;        /* DATA/log, made if absent */
    uint64_t id;            /* of the log that the view was made from; 0: there is no view */
    uint64_t segment_bytes; /* 64 MiB; at least 256 KiB */
    uint64_t flushed;       /* what the view holds, from its own files */
    size_t tail_bytes;      /* newest records kept in memory: 16 MiB */
    uint64_t budget_bytes;  /* of all segment files; 0: as many as the disk takes */
    bool buffered;          /* never O_DIRECT */
    struct log_directory directory;
};

/* What recovery found and did; printed by the caller. */
struct log_report {
    uint64_t segments;
    uint64_t frames;
    uint64_t commits;
    uint64_t bytes_scanned;
    uint64_t last_commit;
    uint64_t indexes_missing; /* of sealed segments; log_scan only */
    uint64_t log_id;          /* log_scan only */
    uint64_t offset;          /* in file, of a torn end or of damage */
    uint64_t cleaned_commit;  /* up to it, records that are dead may be missing */
    bool clean_stop;
    bool torn_end; /* an unacknowledged end was cut off */
    char file[ENDING_FILE_MAX];
    char reason[ENDING_REASON_MAX]; /* of damage: what is wrong and what to do */
};

/* Opens or makes the log and recovers its end (DESIGN 2.3). ERR_DAMAGED with the report filled:
 * refuse to start. ERR_IO, ERR_FULL, ERR_NOMEM. */
MUST_USE enum err log_open(const struct log_options *options, struct log **log,
                           struct log_report *report);
/* clean: everything is durable and flushed, a clean-stop mark is written. */
MUST_USE enum err log_close(struct log *log, bool clean);

/* A random number that names this log for ever; frames are seeded with it. */
uint64_t log_id(const struct log *log);

/* Calls fn for every record after commit `after`, in order; stops at the first error and returns
 * it. For replay: before the first append. record->body is valid during the call. */
typedef enum err log_visit(void *arg, const struct log_record *record);
MUST_USE enum err log_replay(struct log *log, uint64_t after, log_visit *fn, void *arg);
/* The same over a directory that nobody has open, checking every byte (frames, indexes, unused
 * space) and changing none: for `headwater log verify` and `dump`. fn may be NULL. */
MUST_USE enum err log_scan(const char *dir, log_visit *fn, void *arg, struct log_report *report);

/* Reading all of a log that is open, once, while it is written, trimmed and read: every byte of
 * sealed segments and of their indexes, what is shown of the open one, and that segments which are
 * ready are zeros. Space of the open segment that was not written yet is not looked at, and an
 * index that is not written yet neither. What is damaged is told, and the reading goes on behind
 * it. One thread. */
struct log_scrub;
struct log_scrub_options {
    /* Bytes were read: may wait, so that they are read no faster than they may. What it returns but
     * OK ends the reading. */
    enum err (*read)(void *arg, uint64_t bytes);
    /* report: file, offset, reason. Borrowed. */
    void (*damaged)(void *arg, const struct log_report *report);
    log_visit *fn; /* each record, in order, of what is whole */
    void *arg;
};
struct log_scrub *log_scrub_new(struct log *log, const struct log_scrub_options *options);
/* From where it stands to what is visible now; again: what came after that. OK, or what read or fn
 * said. */
MUST_USE enum err log_scrub_run(struct log_scrub *scrub);
/* Of commits up to this one records may have been missing in what it read: dead ones that were
 * cleaned away, and any that were trimmed before it came to them. */
uint64_t log_scrub_gone(const struct log_scrub *scrub);
void log_scrub_free(struct log_scrub *scrub);
/* What it will read, were nothing written meanwhile. */
uint64_t log_scrub_bytes(struct log *log);

/* ---- appending: committer only ---- */

/* Starts the next group. Its commits get the numbers after the last; its time is max(previous,
 * now_ms). */
void log_group_begin(struct log *log, uint64_t now_ms);
/* Time of this group, as its records will show it (log I14). */
uint64_t log_group_time_ms(const struct log *log);
/* A new commit in the group; returns its number. */
uint64_t log_commit_begin(struct log *log);
/* A record of the newest commit. body is copied. The sum over a commit may not pass
 * LOG_COMMIT_BYTES_MAX (the caller checks before). */
void log_record_add(struct log *log, uint8_t kind, uint64_t stream, uint64_t key_hash,
                    struct bytes body);
/* Bytes of the group so far. */
size_t log_group_bytes(const struct log *log);
/* Writes the group as one frame and syncs it; a group without commits does nothing. ERR_FULL: no
 * segment could be prepared, or the budget has no room for one (log_over_budget), nothing was
 * written, the group is dropped whole and its numbers are free again; the caller may go on. Any
 * other error: nothing may be acknowledged and the process must end. */
MUST_USE enum err log_append(struct log *log);
/* Was its newest ERR_FULL the budget's, and not the disk's? */
bool log_over_budget(const struct log *log);
/* Everything up to `commit` may be shown: the tail has it, followers with records in it are woken.
 */
void log_publish(struct log *log, uint64_t commit);

/* Notes durably how far the log is synced, when nothing was appended for a tenth of a second, or
 * for a second in any case: to be called several times a second, by one thread. */
void log_note_end(struct log *log);

/* ---- state: any thread ---- */

uint64_t log_last(const struct log *log); /* durable */
uint64_t log_visible(const struct log *log);
/* The view's files hold everything up to commit: segments wholly below it may go once trimmed. */
void log_set_flushed(struct log *log, uint64_t commit);
/* Log above flushed, which a kill would replay: its bytes, and LOG_RECORD_WEIGHT for each record,
 * since a small record takes about as long as so many bytes of a large one. */
#define LOG_RECORD_WEIGHT 512u
uint64_t log_unflushed_bytes(const struct log *log);
/* Segments wholly at or below `commit`, and flushed, may be deleted: all streams' trim points are
 * past it. */
void log_set_trim(struct log *log, uint64_t commit);
/* Bytes that may still be written: into segments that are there and those that the budget lets be
 * made; UINT64_MAX without a budget. What a frame leaves at the end of a segment is lost of it. */
uint64_t log_room(const struct log *log);
/* The newest commit whose frame is older than time_ms, for retention; 0 if none. */
uint64_t log_commit_before(struct log *log, uint64_t time_ms);
/* The first commit still held (1 in a young log). */
uint64_t log_first(const struct log *log);

/* The cleaner (DESIGN 2.4): sealed, flushed segments of which half or more is dead are rewritten
 * without it and merged. What is alive: records of a stream past its trim point. */
struct log_trims {
    void *arg;
    /* Records of the stream up to this commit are dead for ever; UINT64_MAX: all are, the stream is
     * known no more. Called on the cleaner's thread, of streams with flushed records. */
    uint64_t (*trim)(void *arg, uint64_t stream);
};
struct log_cleaning {
    struct log_trims trims;
    uint64_t bytes_per_second; /* read and written, at most; 0: 64 MB */
    unsigned every_ms;         /* it looks for something to do, and after a flush; 0: 1000 */
};
/* Starts the cleaner, once, when trims can be answered; log_close ends it. */
void log_clean(struct log *log, const struct log_cleaning *cleaning);
/* Records of the stream up to this commit may have been dropped, in this process or before: they
 * must stay hidden (log I18). 0: none. */
uint64_t log_dropped(struct log *log, uint64_t stream);

struct log_figures {
    uint64_t frames;
    uint64_t commits;
    uint64_t records;
    uint64_t bytes; /* written in frames */
    uint64_t syncs; /* of frames */
    uint64_t segments;
    uint64_t segments_ready;
    uint64_t disk_bytes; /* of all segment files */
    uint64_t budget_bytes;
    uint64_t cleanings;
    uint64_t cleaned_bytes; /* given back by them */
    uint64_t kept_bytes;    /* written by them */
    uint64_t tail_bytes;
    uint64_t tail_first_commit;
    uint64_t write_ns_total;
    uint64_t sync_ns_total;
    uint64_t sync_ns_max;
    uint64_t sync_histogram[32]; /* by power of two of microseconds */
    bool direct;
};
void log_figures(const struct log *log, struct log_figures *out);

/* ---- reading streams: any thread ---- */

enum log_read_mode { LOG_READ_TAIL_ONLY, LOG_READ_BLOCKING };

struct log_read {
    uint64_t stream;
    struct log_place after; /* records strictly after this place */
    uint64_t until;         /* and not past this commit; UINT64_MAX: as far as visible */
    uint64_t hash_low;      /* inclusive range of key hashes, for shards: 0 .. UINT64_MAX is all */
    uint64_t hash_high;
    size_t records_max;
    size_t bytes_max; /* of bodies; at least one record is given */
    enum log_read_mode mode;
    struct arena *arena; /* takes records and bodies */
    /* out */
    struct log_record *records;
    size_t count;
    struct log_place reached; /* everything up to here was looked at: continue from it */
    bool at_end;              /* reached is the newest visible place (or the end of until) */
};
/* ERR_INCOMPLETE: TAIL_ONLY, and the place is older than the tail. ERR_TRIMMED: older than
 * log_first. ERR_DAMAGED, ERR_IO: noted where seen. */
MUST_USE enum err log_read(struct log *log, struct log_read *read);

/* A follower is woken (its message is posted to home) once when its stream has visible records past
 * a place; it must be armed again for the next wake (log I13). */
struct log_follower {
    struct message message; /* run is the follower's */
    struct mailbox *home;
    uint64_t stream;           /* 0: any publish wakes it */
    struct log_follower *next; /* log's own */
    bool armed;                /* log's own */
};
/* Wakes at once when there is something already. Any thread; armed at most once at a time. */
void log_follow(struct log *log, struct log_follower *follower, struct log_place after);
/* After it returns the message will not be posted any more. True: it was not armed, so a message
 * may be in the mailbox still. */
bool log_unfollow(struct log *log, struct log_follower *follower);

#endif
