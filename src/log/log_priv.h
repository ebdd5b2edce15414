/* The disk format of the log, fixed for ever, and what its files share.
 *
 * DATA/log/id             16 hex digits: the log id
 * DATA/log/<20 digits>.log segment files, numbered from 1; zero-filled ahead, not recycled
 *
 * A segment is a run of frames, each starting on a sector (512 bytes), filled up with zeros to the
 * next. All integers are little-endian.
 *
 *   offset  size  header of a frame
 *   0       8     magic "HWframe1"
 *   8       4     CRC-32C of bytes 12..64, seeded (below)
 *   12      4     CRC-32C of the payload, seeded
 *   16      8     segment number
 *   24      8     first commit: of a frame without commits the next one to come
 *   32      4     number of commits
 *   36      4     payload bytes (they follow the header)
 *   40      8     time, ms since 1970; never less than the frame's before
 *   48      4     header CRC of the frame before in the log; 0 for the first
 *   52      2     kind: 1 data, 2 end of segment, 3 clean stop, 4 index
 *   54      2     0
 *   56      8     log id
 *
 * The seed is the CRC-32C of log id and segment number, so that user bytes or an old file cannot
 * imitate a frame.
 *
 *   data payload = commit*           commit = varint record_count, record*
 *   record       = u8 kind, u64 key_hash, varint stream, varint body_len, body
 *   end payload  = u64 number of the next segment
 *   clean payload is empty
 *
 * Frame N+1 is written only after N's sync has returned. A data frame is followed in its segment by
 * data, clean or end; after the end comes only the index frame, which is not part of the chain (its
 * previous CRC is 0): it is derived, written by the worker without haste, and made again when it is
 * missing or damaged.
 *
 *   index payload = u32 streams, stream*
 *   stream        = u64 id, u32 entries, entry*     in order of id
 *   entry         = u64 key_hash, u64 commit, u32 index, u32 count, u32 frame_sector, u32 offset,
 * u32 len, u8 kind
 *
 * offset is the body's, from the start of the frame's payload. */
#ifndef HW_LOG_LOG_PRIV_H
#define HW_LOG_LOG_PRIV_H

#include "log/log.h"
#include "sys/thread.h"

#include <stdatomic.h>

#define SECTOR 512u
#define HEADER 64u
#define SEGMENT_LEAST (256u << 10)
#define FIRST_SEGMENT_BYTES (4u << 20) /* of a new log, so that it starts at once */
#define END_ROOM SECTOR                /* kept free in a segment for its end frame */

enum frame_kind { FRAME_DATA = 1, FRAME_END = 2, FRAME_CLEAN = 3, FRAME_INDEX = 4 };

struct frame_header {
    uint64_t segment;
    uint64_t first_commit;
    uint64_t time_ms;
    uint64_t log_id;
    uint32_t header_crc;
    uint32_t payload_crc;
    uint32_t commit_count;
    uint32_t payload_len;
    uint32_t previous_crc;
    uint16_t kind;
};

/* One record in memory: where its body is. */
struct index_entry {
    uint64_t key_hash;
    uint64_t commit;
    uint32_t index;
    uint32_t count;
    uint32_t frame_sector;
    uint32_t offset;
    uint32_t len;
    uint8_t kind;
};

struct stream_index {
    uint64_t stream;
    struct index_entry *entries;
    size_t count;
    size_t cap;
};

/* The records of one segment by stream. */
struct segment_index {
    struct stream_index *streams;
    size_t count;
    size_t cap;
    size_t last; /* where the last record went: the next one often goes there too */
    size_t bytes;
};

/* Newest frames, shared by all who read: immutable once published, freed by the last reference. */
struct tail_entry {
    uint64_t stream;
    struct index_entry at;
};

struct tail_frame {
    _Atomic unsigned references;
    uint64_t first_commit;
    uint64_t last_commit;
    uint64_t time_ms;
    uint8_t *memory; /* header and payload, aligned for direct writing */
    size_t len;      /* used */
    size_t cap;
    struct tail_entry *entries;
    size_t entry_count;
    size_t entry_cap;
    size_t record_count; /* of all streams and of none */
    struct tail_frame *newer;
};

enum segment_state { SEGMENT_READY, SEGMENT_OPEN, SEGMENT_SEALED };

struct segment {
    uint64_t number;
    uint64_t size;
    uint64_t first_commit; /* UINT64_MAX: no frame yet */
    uint64_t last_commit;
    uint64_t last_time_ms; /* unmeasured: of the next one's first frame, which is never less */
    uint64_t used;         /* bytes of frames, to the next sector */
    enum segment_state state;
    bool unmeasured;    /* sealed, and its headers were not read: used, indexed and index_at are not
                           known (segment_measure) */
    bool indexed;       /* its index frame is known to be on disk */
    bool index_refused; /* none can be made: its frames are damaged */
    bool told;          /* the directory has it, or there is none */
    uint64_t index_at;
    struct segment_index
        *index; /* in memory: of the open one, and of sealed ones until it is on disk */
    struct segment *next;
};

struct byte_mark {
    uint64_t commit;
    uint64_t bytes;
};
#define MARK_BYTES (1u << 20)

struct log {
    char dir[4096];
    struct log_options options;
    uint64_t id;
    /* the committer's */
    int fd; /* of the open segment */
    struct segment *open;
    uint64_t position;
    uint32_t previous_crc;
    uint64_t last_commit;
    uint64_t last_time_ms;
    struct tail_frame *group;    /* under construction */
    struct tail_frame *appended; /* durable, not yet published */
    uint64_t group_time_ms;
    uint32_t group_commits;
    uint32_t commit_records;
    size_t commit_at; /* of the newest commit's record count in the group */
    size_t commit_entry;
    bool commit_open;
    bool direct;
    /* shared, under the mutex */
    pthread_mutex_t mutex;
    pthread_cond_t worker_wake;
    pthread_cond_t segment_ready;
    struct segment *first; /* all, in order */
    struct segment *last;
    struct segment **by_number; /* the same ones */
    size_t segment_count;
    size_t segment_cap;
    uint64_t disk_bytes;   /* sum of their sizes */
    bool unfit;            /* the budget had no room for the newest preparation */
    bool over_budget;      /* nor for the newest that log_append waited for */
    uint64_t removals;     /* segments that went: what was said of segments before may be wrong */
    uint64_t settled;      /* no segment below this number wants its index */
    uint64_t wanted_bytes; /* least size of the next segment to prepare */
    enum err worker_error; /* of the last preparation: ERR_FULL is a state */
    bool removal_unsynced; /* nothing more may be removed */
    bool closing;
    struct thread worker;
    bool worker_running;
    struct tail_frame *tail_oldest;
    struct tail_frame *tail_newest;
    size_t tail_bytes;
    struct log_follower *followers;
    uint64_t trim_commit;
    struct byte_mark *marks; /* how many bytes were written up to a commit, about every MARK_BYTES,
                                oldest first */
    size_t mark_count;
    size_t mark_cap;
    uint64_t bytes_written;
    uint64_t bytes_flushed;
    struct log_figures figures;
    /* any thread */
    _Atomic uint64_t durable;
    _Atomic uint64_t visible;
    _Atomic uint64_t flushed;
    _Atomic uint64_t first_commit;
};

/* ---- frame.c ---- */
uint32_t frame_seed(uint64_t log_id, uint64_t segment);
/* Fills the header before the payload at memory + HEADER; len of the payload. */
void frame_seal(uint8_t *memory, const struct frame_header *header, uint32_t *header_crc);
/* Does a whole header stand here? The payload is not looked at. */
bool frame_header_read(struct bytes sector, uint64_t log_id, uint64_t segment,
                       struct frame_header *out);
/* A whole header of this segment number, sealed with another log's id than the one it was tried
 * with? */
bool frame_is_of_other_log(struct bytes sector, uint64_t segment);
bool frame_payload_ok(const struct frame_header *header, struct bytes payload);
uint64_t sectors_of(uint64_t bytes); /* rounded up, in bytes */
/* data is not empty. */
static inline bool is_zero(struct bytes data)
{
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): said above */
    return data.ptr[0] == 0 && memcmp(data.ptr, data.ptr + 1, data.len - 1) == 0;
}
/* Walks a data payload. fn may be NULL. ERR_DAMAGED when it is not what the format says. */
typedef enum err frame_visit(void *arg, const struct log_record *record, uint32_t body_offset);
MUST_USE enum err frame_walk(const struct frame_header *header, struct bytes payload,
                             frame_visit *fn, void *arg);

/* ---- segment.c ---- */
void segment_path(const struct log *log, uint64_t number, char *out, size_t room);
void segments_start(struct log *log);
void segments_stop(struct log *log);
/* Makes a segment of at least bytes in this thread (the first one of a new log). */
MUST_USE enum err segment_make(struct log *log, uint64_t number, uint64_t bytes,
                               struct segment **out);
/* Committer: the next one that is ready with at least bytes of room; waits for the worker.
 * ERR_FULL. */
MUST_USE enum err segment_take(struct log *log, uint64_t bytes, struct segment **out);
/* The list of segments: under the mutex, or before threads. */
void segment_add(struct log *log, struct segment *segment); /* the last one, from now on */
void segment_drop(struct log *log, struct segment *segment);
void segments_free(struct log *log);
/* The place in by_number of the first segment that is past a value, as all behind it must be. */
typedef bool segment_past(const struct segment *segment, uint64_t value);
size_t segments_bisect(const struct log *log, segment_past *past, uint64_t value);
/* Is its number at least this one? */
segment_past segment_is_from;

/* ---- index.c ---- */
struct segment_index *index_new(void);
void index_free(struct segment_index *index);
void index_add(struct segment_index *index, uint64_t stream, const struct index_entry *entry);
const struct stream_index *index_find(const struct segment_index *index, uint64_t stream);
/* Its payload on disk. */
void index_encode(const struct segment_index *index, struct buf *out);
/* Adds a payload's entries to an empty index. ERR_DAMAGED: it is then half filled. */
MUST_USE enum err index_decode(struct bytes payload, struct segment_index *index);
/* Writes it behind the end frame; removes what it does not need of the file. segment is the
 * caller's own copy, and is told where the index is. */
MUST_USE enum err index_write(struct log *log, struct segment *segment,
                              const struct segment_index *index);
/* Reads it from disk, or makes it from the frames; one that is damaged is then written again by the
 * worker. The caller frees it. */
MUST_USE enum err index_load(struct log *log, const struct segment *wanted,
                             struct segment_index **out);

/* The worker is to make it once more: it was found damaged. Any thread. */
void index_write_again(struct log *log, uint64_t number);

/* Notes that commit was written, bytes after the mark before. Under the mutex, or before threads.
 */
void mark_bytes(struct log *log, uint64_t commit, uint64_t bytes, uint64_t records);

/* ---- tail.c ---- */
struct tail_frame *tail_frame_new(size_t cap);
void tail_frame_drop(struct tail_frame *frame);
uint8_t *tail_frame_room(struct tail_frame *frame, size_t n);
void tail_push(struct log *log, struct tail_frame *frame);
MUST_USE enum err tail_read(struct log *log, struct log_read *read);
void followers_wake(struct log *log, const struct tail_frame *frame);

/* ---- recover.c ---- */
/* ERR_NOT_FOUND: there is no file. ERR_DAMAGED with the report filled: it does not hold an id. */
MUST_USE enum err log_id_read(struct log *log, struct log_report *report);
/* OK when there is no segment either: a new log. ERR_DAMAGED with the report filled. */
MUST_USE enum err log_id_missing(struct log *log, struct log_report *report);
MUST_USE enum err recover(struct log *log, struct log_report *report);
/* Fills the caller's own copy of a segment that recovery has not measured, and the log's. Any
 * thread, not under the mutex. ERR_NOT_FOUND: the file was removed. ERR_DAMAGED is noted. */
MUST_USE enum err segment_measure(struct log *log, struct segment *copy);
/* Reads a frame at offset into memory that grows; *frame_len 0: no valid frame here (and why). */
struct frame_reader {
    int fd;
    bool headers_only; /* nothing is read ahead of what is asked for */
    bool aside;        /* opened by file_open_aside */
    bool direct;
    uint64_t segment;
    uint64_t log_id;
    uint64_t size;
    uint8_t *window;
    uint64_t window_at;
    size_t window_len;
    size_t window_cap;
    enum err failed; /* of the last read from the disk: where only "is it there" is asked, damage
                        must not be made of it */
    enum err (*read)(void *arg, uint64_t bytes); /* after each of them; what it returns but OK ends
                                                    the reading. May be NULL */
    void *read_arg;
};
MUST_USE enum err frame_reader_open(struct frame_reader *reader, const char *path, uint64_t segment,
                                    uint64_t log_id);
/* The same past the page cache. */
MUST_USE enum err frame_reader_open_aside(struct frame_reader *reader, const char *path,
                                          uint64_t segment, uint64_t log_id);
void frame_reader_close(struct frame_reader *reader);
/* OK with payload borrowed until the next call; ERR_NOT_FOUND: no valid frame; ERR_DAMAGED: a valid
 * header, not its payload. */
MUST_USE enum err frame_reader_at(struct frame_reader *reader, uint64_t offset,
                                  struct frame_header *header, struct bytes *payload);
MUST_USE enum err frame_reader_bytes(struct frame_reader *reader, uint64_t offset, size_t len,
                                     struct bytes *out);

/* Frames from some segment on, in the order of the log: what recovery and verify share. */
struct scan {
    struct log *log;
    struct log_report *report;
    uint64_t commit; /* newest seen */
    uint64_t time_ms;
    uint32_t crc;        /* of the newest frame's header */
    uint32_t crc_before; /* of the header before that */
    bool any;            /* a frame was seen: the chain can be checked */
    bool ended;          /* the newest frame names `next` */
    uint64_t next;
    uint64_t last_segment; /* where the newest frame is */
    uint64_t last_at;
    uint64_t last_len;
};
/* Is it the frame that was written after the newest one seen? */
bool scan_follows(const struct scan *scan, const struct frame_header *header);
/* All segment files, in order of their numbers, into scan->log. */
MUST_USE enum err scan_list(struct scan *scan);
struct segment *scan_find(struct log *log, uint64_t number);
/* Frames of one segment from its start. *at: where the first place without a valid frame is. */
MUST_USE enum err scan_segment(struct scan *scan, struct segment *segment,
                               struct frame_reader *reader, uint64_t *at);
/* What is at the end and behind it: is there a whole header that belongs further on, or that cannot
 * be here (damage)? A torn frame's header, where it is whole, follows the frame before. *dirty_end:
 * past the last byte that is not zero. */
MUST_USE enum err scan_behind(struct scan *scan, const struct segment *segment,
                              struct frame_reader *reader, uint64_t at, uint64_t *dirty_end,
                              bool *later);
/* Is the file shorter than one may be whose frames end at `at` without an end frame? */
bool scan_is_cut(const struct scan *scan, struct frame_reader *reader, uint64_t at);
/* Fills the report and returns ERR_DAMAGED. */
MUST_USE enum err scan_damage(struct scan *scan, uint64_t segment, uint64_t offset,
                              const char *what);

/* ---- verify.c: what is checked without a server and while one runs (scrub.c) ---- */
struct verify {
    struct scan scan;
    log_visit *fn; /* may be NULL */
    void *arg;
};
/* Of a frame that is whole: its records, and the zeros behind it. payload is of the reader. */
MUST_USE enum err verify_frame(struct verify *verify, const struct segment *segment,
                               struct frame_reader *reader, uint64_t at,
                               const struct frame_header *header, struct bytes payload);
MUST_USE enum err verify_zeros(struct verify *verify, const struct segment *segment,
                               struct frame_reader *reader, uint64_t from, uint64_t to);
/* Fills the report and returns ERR_DAMAGED. */
MUST_USE enum err verify_damaged_index(struct verify *verify, const struct segment *segment,
                                       uint64_t at);

#endif
