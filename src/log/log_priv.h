/* The disk format of the log, fixed for ever, and what its files share.
 *
 * DATA/log/id             16 hex digits: the log id
 * DATA/log/<20 digits>.log segment files, numbered from 1; zero-filled ahead, not recycled
 * DATA/log/<20 digits>-<20 digits>.<generation>.log
 *                         a cleaned file: it stands for the segments of these numbers
 *
 * DATA/log/end             how far the log is known to be synced: two places of 4096 bytes each, at
 *                          0 and at 4096, written in turn; what is not named is 0
 *
 *   offset  size  a place
 *   0       8     magic "HWlogend"
 *   8       4     CRC-32C of bytes 16..512
 *   16      8     log id
 *   24      8     turn: rises with each note, the highest one that is whole holds
 *   32      8     newest commit whose frame was synced
 *   40      8     segment of that frame
 *   48      8     where the frame ends in it
 *   56      8     segment that the log begins with: those before it are gone, or about to go
 *   64      8     first commit of that segment; both 0: of a version that did not say
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
 *   52      2     kind: 1 data, 2 end of segment, 3 clean stop, 4 index, 5 summary, 6 kept
 *   54      2     0
 *   56      8     log id
 *
 * The seed is the CRC-32C of log id and segment number, so that user bytes or an old file cannot
 * imitate a frame; in a cleaned file of log id, both numbers and the generation (u32).
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
 * offset is the body's, from the start of the frame's payload.
 *
 * A cleaned file is a summary, kept frames, an index, and nothing else. It is written whole under
 * another name, the summary last, synced and renamed. In its headers the segment number is the
 * first one it stands for. A summary's first commit and time are those of the first segment; a kept
 * frame's is its first record's, its number of commits is that of its records, its time its first
 * record's, and its previous CRC that of the frame before in the file (0: the first one).
 *
 *   summary payload = u64 last commit, u64 time of the last segment, u64 bytes up to the index,
 *                     u64 records, u32 previous CRC of the first frame that it stands for,
 *                     u32 header CRC of the last end frame that it stands for,
 *                     u32 header CRC of the last kept frame (0: none),
 *                     u32 dropped, (u64 stream, u64 commit)* in order of stream
 *   kept payload    = record*
 *   record          = varint commit - the header's, varint index, varint count, u8 kind,
 *                     u64 key_hash, varint stream, varint body_len, u64 time, body
 *
 * dropped: of which streams records were left out, and up to which commit all of them may be. */
#ifndef HW_LOG_LOG_PRIV_H
#define HW_LOG_LOG_PRIV_H

#include "log/log.h"
#include "sys/file.h"
#include "sys/thread.h"

#include <stdatomic.h>

#define SECTOR 512u
#define HEADER 64u
#define SEGMENT_LEAST (256u << 10)
#define FIRST_SEGMENT_BYTES (4u << 20) /* of a new log, so that it starts at once */
#define END_ROOM SECTOR                /* kept free in a segment for its end frame */

enum frame_kind {
    FRAME_DATA = 1,
    FRAME_END = 2,
    FRAME_CLEAN = 3,
    FRAME_INDEX = 4,
    FRAME_SUMMARY = 5,
    FRAME_KEPT = 6
};

/* Of which file a frame is. */
struct segment_id {
    uint64_t number;
    uint64_t last_number; /* of a cleaned file */
    uint32_t generation;  /* 0: a segment as it was written */
};

struct frame_header {
    uint64_t segment;
    uint64_t last_segment; /* of a cleaned file, in its seed and name */
    uint32_t generation;
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
    uint64_t last_number; /* of a cleaned file; else the number */
    uint64_t size;
    uint64_t first_commit; /* UINT64_MAX: no frame yet */
    uint64_t last_commit;
    uint64_t last_time_ms; /* unmeasured: of the next one's first frame, which is never less */
    uint64_t used;         /* bytes of frames, to the next sector */
    uint32_t generation;   /* 0: as it was written */
    enum segment_state state;
    bool unmeasured;    /* sealed, and its headers were not read: used, indexed and index_at are not
                           known (segment_measure) */
    bool indexed;       /* its index frame is known to be on disk */
    bool index_refused; /* none could be made: its frames are damaged, or the disk failed; until
                           somebody reads it in spite of that */
    bool told;          /* the directory has it, or there is none */
    bool clean_refused; /* something in it is damaged */
    bool busy; /* somebody works on it without the mutex, so it must stay; or leftovers of what it
                  replaced may still be there, so it must stay for ever */
    uint64_t index_at;
    struct segment_index
        *index;           /* in memory: of the open one, and of sealed ones until it is on disk */
    uint64_t clean_below; /* not 0: more was alive than it seemed; when less than this is */
    struct segment_live *live; /* the cleaner's */
    struct segment *next;
};

/* Which bytes of a segment are whose: what the cleaner asks trim points about. */
#define LIVE_STREAMS_MAX 64u
struct live_stream {
    uint64_t stream;
    uint64_t bytes;
    uint64_t first_commit;
    uint64_t last_commit;
};
struct segment_live {
    uint64_t others; /* bytes of streams past the largest ones: taken to be alive */
    size_t count;
    struct live_stream streams[];
};

/* What stands in a cleaned file's summary. */
#define SUMMARY_BYTES 48u /* of its payload, without what was dropped */
struct dropped {
    uint64_t stream;
    uint64_t commit;
};
struct dropped_list { /* in order of stream */
    struct dropped *items;
    size_t count;
    size_t cap;
};
struct summary {
    uint64_t first_commit;
    uint64_t last_commit;
    uint64_t first_time_ms; /* of the first frame that it stands for */
    uint64_t last_time_ms;
    uint64_t used; /* where the index begins */
    uint64_t records;
    uint64_t kept_at; /* where the first kept frame begins */
    uint32_t crc_before;
    uint32_t crc_after;
    uint32_t kept_crc;
    struct dropped_list dropped;
};

/* With what the log begins: it may begin with an older one still. segment 0: not known. */
struct log_begin {
    uint64_t segment;
    uint64_t commit;
};

/* In DATA/log/end: this commit's frame, which ends there, was synced. */
struct end_note {
    uint64_t turn; /* rises with each; the newest one holds */
    uint64_t commit;
    uint64_t segment;
    uint64_t offset;
    struct log_begin begin;
};

/* How far a segment was read for the commit of a time: frames before `at` are older than time_ms,
 * the one there has something as old as next_ms, the first that is not older. */
struct time_mark {
    uint64_t segment; /* 0: none */
    uint32_t generation;
    uint64_t used; /* of the segment; next_ms UINT64_MAX: all of that was older */
    uint64_t time_ms;
    uint64_t next_ms;
    uint64_t at;
    uint64_t commit; /* the newest that is older than next_ms */
};
#define TIME_MARKS 8u /* periods that are asked for in turn, before one is forgotten */

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
    struct owner committer;
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
    struct log_begin begin; /* as it was known when the log was opened; from then on it stays so */
    /* of who is `noting`; at the start recovery's, the note that it found */
    struct end_note end;
    uint64_t end_begin; /* both places say that the log begins with this segment, or a later one */
    uint64_t end_seen;  /* visible, when it was looked at last */
    uint64_t end_seen_ms;
    uint64_t end_noted_ms;
    int end_fd;
    bool end_failed;
    /* shared, under the mutex */
    pthread_mutex_t mutex;
    pthread_cond_t worker_wake;
    pthread_cond_t segment_ready;
    pthread_cond_t noted;
    struct segment *first; /* all, in order */
    struct segment *last;
    struct segment **by_number; /* the same ones */
    size_t segment_count;
    size_t segment_cap;
    uint64_t disk_bytes;   /* sum of their sizes */
    uint64_t removals;     /* segments that went: what was said of segments before may be wrong */
    uint64_t settled;      /* no segment below this number wants its index */
    uint64_t wanted_bytes; /* least size of the next segment to prepare */
    enum err worker_error; /* of the last preparation: ERR_FULL is a state */
    char worker_failure[FILE_FAILURE_MAX]; /* and its words */
    _Atomic bool awaited;  /* somebody waits for a segment: it is made without pauses */
    bool unfit;            /* the budget had no room for the newest preparation */
    bool over_budget;      /* nor for the newest that log_append waited for */
    bool removal_unsynced; /* nothing more may be removed */
    bool closing;
    bool worker_running;
    bool noting;       /* somebody writes a note, or looks whether to */
    bool cleaner_news; /* there may be more to clean than when it looked */
    struct thread worker;
    struct cleaner *cleaner;
    uint64_t idle_rounds; /* of the cleaner, since it last cleaned something */
    pthread_cond_t cleaner_wake;
    struct dropped_list dropped; /* of all cleaned files, ever since the log was opened */
    struct tail_frame *tail_oldest;
    struct tail_frame *tail_newest;
    size_t tail_bytes;
    struct log_follower *followers;
    struct time_mark time_marks[TIME_MARKS]; /* log_commit_before's */
    size_t time_mark_next;                   /* that is forgotten */
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
/* Fills the header before the payload at memory + HEADER; len of the payload. */
void frame_seal(uint8_t *memory, const struct frame_header *header, uint32_t *header_crc);
/* Does a whole header stand here? The payload is not looked at. */
bool frame_header_read(struct bytes sector, uint64_t log_id, uint64_t segment,
                       struct frame_header *out);
bool frame_header_in(struct bytes sector, uint64_t log_id, struct segment_id id,
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
/* Adds a record to the payload of a kept frame, which the header says that it is. */
void frame_keep(const struct frame_header *header, const struct log_record *record,
                struct buf *out);
/* Walks the payload of a data or a kept frame. fn may be NULL. ERR_DAMAGED when it is not what the
 * format says. */
typedef enum err frame_visit(void *arg, const struct log_record *record, uint32_t body_offset);
MUST_USE enum err frame_walk(const struct frame_header *header, struct bytes payload,
                             frame_visit *fn, void *arg);
/* Is it that record of the stream what stands at the entry's offset? A whole frame may stand in the
 * place of another of its file. */
bool frame_holds(const struct frame_header *header, struct bytes payload, uint64_t stream,
                 const struct index_entry *entry);
/* The frames of one file, from the first on. */
struct frame_chain {
    uint64_t next_commit; /* of a segment as it was written; of its first frame at the start */
    uint32_t crc;         /* of the newest frame's header */
    bool any;
};
/* Is it the one behind the newest? Then it is the newest. A summary always is. */
bool frame_follows(struct frame_chain *chain, const struct frame_header *header);

struct frame_reader;

/* ---- segment.c ---- */
void segment_path(const struct log *log, uint64_t number, char *out, size_t room);
/* Path of the file that a segment is in. */
void segment_id_file(const struct log *log, struct segment_id id, char *out, size_t room);
void segment_file(const struct log *log, const struct segment *segment, char *out, size_t room);
/* Opens it for reading, and says its path. Errors as file_open's. */
MUST_USE enum err segment_reader(const struct log *log, const struct segment *segment,
                                 struct frame_reader *reader, char *path, size_t room);
/* The same past the page cache. */
MUST_USE enum err segment_reader_aside(const struct log *log, const struct segment *segment,
                                       struct frame_reader *reader, char *path, size_t room);
void segment_free(struct segment *segment);
/* It may want its index. Under the mutex. */
void segment_unsettle(struct log *log, const struct segment *segment);
/* Puts made in the place of the count segments from `first` on, which are freed. Under the mutex.
 */
void segments_swap(struct log *log, struct segment *first, size_t count, struct segment *made);
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
/* Is its number, or one that it stands for, at least this one? */
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
 * worker. The caller frees it. ERR_IO: a read failed; the next call tries again. */
MUST_USE enum err index_load(struct log *log, const struct segment *wanted,
                             struct segment_index **out);

/* The worker is to make it once more: it was found damaged. Any thread. */
void index_write_again(struct log *log, const struct segment *copy);

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

/* ---- cleaned.c: cleaned files ---- */
/* A trim point for each stream that was asked about: the same answer until it is asked anew. */
struct trims {
    const struct log_trims *ask;
    struct dropped *items; /* in order of stream */
    size_t count;
    size_t cap;
};
uint64_t trims_of(struct trims *trims, uint64_t stream);
void trims_clear(struct trims *trims);
/* The time of a record whose body is at offset; the frame is a data or a kept one. */
uint64_t frame_record_time(const struct frame_header *header, struct bytes payload,
                           uint32_t offset);
/* Reads the summary at the start. ERR_DAMAGED: there is none, or it is not what the format says. */
MUST_USE enum err summary_read(struct frame_reader *reader, struct summary *out);
void summary_free(struct summary *summary);
/* Notes that records of the stream up to commit were dropped. */
void dropped_add(struct dropped_list *list, uint64_t stream, uint64_t commit);
/* How much of a segment is whose, of its index. */
struct segment_live *live_of(const struct segment_index *index);
uint64_t live_bytes(const struct segment_live *live, struct trims *trims);
/* Writes what is alive of neighbouring segments into one file under its own name, durably. The
 * segments are the caller's copies. pace is called with bytes that were read or written; what it
 * returns but OK ends the writing. OK: out is the segment, dropped (of which records were left out)
 * is added to. ERR_RANGE: no more than a part of it is dead, nothing was written. ERR_DAMAGED is
 * noted. ERR_CLOSED as pace says. ERR_BUSY: it has its name, perhaps, but not durably: nothing may
 * be cleaned any more. */
struct cleaning {
    struct log *log;
    const struct segment *segments;
    size_t count;
    struct trims *trims;
    enum err (*pace)(void *arg, uint64_t bytes);
    void *arg;
};
MUST_USE enum err cleaned_write(const struct cleaning *cleaning, struct segment *out,
                                struct dropped_list *dropped);

/* ---- clean.c ---- */
/* Ends the cleaner, if there is one. */
void cleaner_stop(struct log *log);

/* ---- end.c ---- */
/* The newest note. ERR_NOT_FOUND: there is no file. ERR_DAMAGED: there is none in it. ERR_IO. */
MUST_USE enum err end_read(const struct log *log, struct end_note *out);
/* Fills the report and returns ERR_DAMAGED. */
MUST_USE enum err end_damaged(const struct log *log, struct log_report *report);
/* After recovery: everything visible is durable. Makes the file where it is missing or damaged. */
MUST_USE enum err end_open(struct log *log);
/* While the log is open, and no note is being written. ERR_DAMAGED: the file holds none. Not under
 * the mutex. */
MUST_USE enum err end_check(struct log *log);
/* Before a removal: notes, durably, that the log begins there from now on. Not under the mutex. */
MUST_USE enum err end_begin_later(struct log *log, struct log_begin begin);
/* clean: everything visible is noted. In any state. */
MUST_USE enum err end_close(struct log *log, bool clean);

/* ---- recover.c ---- */
MUST_USE enum err recover(struct log *log, struct log_report *report);

/* ---- list.c (and scan_list) ---- */
/* ERR_NOT_FOUND: there is no file. ERR_DAMAGED with the report filled: it does not hold an id. */
MUST_USE enum err log_id_read(struct log *log, struct log_report *report);
/* OK when there is no segment either: a new log. ERR_DAMAGED with the report filled. */
MUST_USE enum err log_id_missing(struct log *log, struct log_report *report);

/* ---- measure.c (and scan_measure) ---- */
/* Fills the caller's own copy of a segment that recovery has not measured, and the log's. Any
 * thread, not under the mutex. ERR_NOT_FOUND: the file was removed. ERR_DAMAGED is noted. */
MUST_USE enum err segment_measure(struct log *log, struct segment *copy);

/* ---- reader.c: one file ---- */
struct frame_reader {
    int fd;
    bool headers_only; /* nothing is read ahead of what is asked for */
    bool aside;        /* opened by file_open_aside */
    bool direct;
    uint64_t segment;
    uint64_t last_segment; /* of a cleaned file */
    uint32_t generation;
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

/* ---- scan.c ---- */
/* Frames from some segment on, in the order of the log: what recovery and verify share. */
struct scan {
    struct log *log;
    struct log_report *report;
    uint64_t commit; /* newest seen */
    uint64_t time_ms;
    uint32_t crc;        /* of the newest frame's header */
    uint32_t crc_before; /* of the header before that */
    bool any;            /* a frame was seen: the chain can be checked */
    bool behind_cleaned; /* of the segment at hand no frame was seen, and before it is a cleaned
                            file: so it has one (log I10) */
    bool ended;          /* the newest frame names `next` */
    uint64_t next;
    uint64_t last_segment; /* where the newest frame is */
    uint64_t last_at;
    uint64_t last_len;
    struct segment_id *leftovers; /* files that others stand for; the caller frees them */
    size_t leftover_count;
};
/* Is it the frame that was written after the newest one seen? */
bool scan_follows(const struct scan *scan, const struct frame_header *header);
/* All segment files, in order of their numbers, into scan->log. */
MUST_USE enum err scan_list(struct scan *scan);
/* The shape of a segment that is not scanned, by its headers alone; the scan then stands behind it.
 */
MUST_USE enum err scan_measure(struct scan *scan, struct segment *segment);
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
/* Behind a segment's end frame, from `at` on: damage, where a frame stands there that is not its
 * index. */
MUST_USE enum err scan_behind_end(struct scan *scan, const struct segment *segment,
                                  struct frame_reader *reader, uint64_t at);
/* Is the file shorter than one may be whose frames end at `at` without an end frame? */
bool scan_is_cut(const struct scan *scan, struct frame_reader *reader, uint64_t at);
/* At its end: damage, where the log was synced further once. */
MUST_USE enum err scan_reaches_note(struct scan *scan, uint64_t segment, uint64_t at);
/* From the note, where it says so, or from what is so of every log: with what it begins. Damage,
 * where an older segment is missing. */
MUST_USE enum err scan_begin(struct scan *scan);
/* Of a segment of which the first frame is known: damage, where the log begins with it and it had
 * an earlier one. */
MUST_USE enum err scan_begins(struct scan *scan, const struct segment *segment);
/* Fills the report and returns ERR_DAMAGED. */
MUST_USE enum err scan_damage(struct scan *scan, uint64_t segment, uint64_t offset,
                              const char *what);
MUST_USE enum err scan_damage_in(struct scan *scan, const struct segment *segment, uint64_t offset,
                                 const char *what);
/* A cleaned file's summary, which must be what its name and the frame before it say; the scan then
 * stands behind it. The caller frees it. */
MUST_USE enum err scan_cleaned(struct scan *scan, const struct segment *segment,
                               struct frame_reader *reader, struct summary *summary);

/* ---- verify.c: what is checked without a server and while one runs (scrub.c) ---- */
struct verify {
    struct scan scan;
    log_visit *fn; /* may be NULL */
    void *arg;
    uint64_t visited; /* records of commits up to this one are checked but not visited */
};
/* Of a frame that is whole: its records, and the zeros behind it. payload is of the reader. */
MUST_USE enum err verify_frame(struct verify *verify, const struct segment *segment,
                               struct frame_reader *reader, uint64_t at,
                               const struct frame_header *header, struct bytes payload);
MUST_USE enum err verify_zeros(struct verify *verify, const struct segment *segment,
                               struct frame_reader *reader, uint64_t from, uint64_t to);
/* A cleaned file but for its index; scan->ended and what it names are set. */
MUST_USE enum err verify_cleaned(struct verify *verify, const struct segment *segment,
                                 struct frame_reader *reader);
/* Fills the report and returns ERR_DAMAGED. */
MUST_USE enum err verify_damaged_index(struct verify *verify, const struct segment *segment,
                                       uint64_t at);

#endif
