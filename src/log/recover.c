/* Finding the end of the log, and telling a torn end from damage (DESIGN 2.3). The scan begins at
 * the segment that holds the first commit the view does not, checks every byte of every frame from
 * there, and stops at the first place without a valid frame. A torn end is what nobody was told
 * about: nothing valid comes after it, and nothing the view or a later segment knows is past it.
 * Anything else is damage, and the caller refuses to start (log I6). What was accepted is synced
 * again before it is served (log I8). */
#include "base/cursor.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/note.h"
#include "log/log_priv.h"
#include "sys/file.h"

#include <stdio.h>
#include <stdlib.h>

#define WINDOW (1u << 20)
#define WINDOW_ASIDE (256u << 10) /* a multiple of FILE_ASIDE_STEP */

/* ---- reading frames ---- */

enum err frame_reader_open(struct frame_reader *reader, const char *path, uint64_t segment,
                           uint64_t log_id)
{
    *reader = (struct frame_reader){.fd = -1, .segment = segment, .log_id = log_id};
    TRY(file_open(path, FILE_READ, &reader->fd));
    return file_size(reader->fd, &reader->size);
}

enum err frame_reader_open_aside(struct frame_reader *reader, const char *path, uint64_t segment,
                                 uint64_t log_id)
{
    *reader = (struct frame_reader){.fd = -1, .segment = segment, .log_id = log_id, .aside = true};
    TRY(file_open_aside(path, &reader->fd, &reader->direct));
    return file_size(reader->fd, &reader->size);
}

void frame_reader_close(struct frame_reader *reader)
{
    IGNORE(file_close(reader->fd)); /* it was only read */
    mem_free(reader->window);
    reader->fd = -1;
    reader->window = NULL;
}

static enum err read_window(struct frame_reader *reader, uint64_t offset, size_t len)
{
    size_t ahead = reader->headers_only ? HEADER : WINDOW;
    size_t want = len > ahead ? len : ahead;
    want = want > reader->size - offset ? (size_t)(reader->size - offset) : want;
    if (want > reader->window_cap) {
        mem_free(reader->window);
        reader->window = mem_alloc(want);
        reader->window_cap = want;
    }
    size_t got;
    reader->window_len = 0;
    reader->failed = file_read(reader->fd, reader->window, want, offset, &got);
    TRY(reader->failed);
    reader->window_at = offset;
    reader->window_len = got;
    return OK;
}

/* In whole steps, and a piece at a time, so that who counts the bytes can wait between them. */
static enum err read_aside(struct frame_reader *reader, uint64_t offset, size_t len)
{
    uint64_t from = offset / FILE_ASIDE_STEP * FILE_ASIDE_STEP;
    uint64_t end = offset + len > from + WINDOW_ASIDE ? offset + len : from + WINDOW_ASIDE;
    size_t want = (size_t)((end - from + FILE_ASIDE_STEP - 1) / FILE_ASIDE_STEP * FILE_ASIDE_STEP);
    if (want > reader->window_cap) {
        mem_free(reader->window);
        reader->window = mem_alloc_pages(want);
        reader->window_cap = want;
    }
    reader->window_at = from;
    reader->window_len = 0;
    while (reader->window_len < want) {
        size_t left = want - reader->window_len;
        size_t piece = left < WINDOW_ASIDE ? left : WINDOW_ASIDE;
        size_t got;
        reader->failed =
            file_read_aside(reader->fd, &reader->direct, reader->window + reader->window_len, piece,
                            from + reader->window_len, &got);
        TRY(reader->failed);
        reader->window_len += got;
        TRY(reader->read == NULL ? OK : reader->read(reader->read_arg, got));
        if (got < piece) {
            break;
        }
    }
    return OK;
}

enum err frame_reader_bytes(struct frame_reader *reader, uint64_t offset, size_t len,
                            struct bytes *out)
{
    if (offset > reader->size || len > reader->size - offset) {
        return ERR_NOT_FOUND;
    }
    bool inside = reader->window != NULL && offset >= reader->window_at &&
                  offset + len <= reader->window_at + reader->window_len;
    if (!inside) {
        TRY(reader->aside ? read_aside(reader, offset, len) : read_window(reader, offset, len));
        if (reader->window_at + reader->window_len < offset + len) {
            return ERR_NOT_FOUND;
        }
    }
    *out = bytes_of(reader->window + (offset - reader->window_at), len);
    return OK;
}

enum err frame_reader_at(struct frame_reader *reader, uint64_t offset, struct frame_header *header,
                         struct bytes *payload)
{
    struct bytes sector;
    struct bytes whole;
    TRY(frame_reader_bytes(reader, offset, HEADER, &sector));
    const struct segment_id id = {reader->segment, reader->last_segment, reader->generation};
    if (!frame_header_in(sector, reader->log_id, id, header)) {
        return ERR_NOT_FOUND;
    }
    enum err err = frame_reader_bytes(reader, offset, HEADER + (size_t)header->payload_len, &whole);
    if (err != OK) {
        return err == ERR_NOT_FOUND ? ERR_DAMAGED : err;
    }
    *payload = bytes_of(whole.ptr + HEADER, header->payload_len);
    return frame_payload_ok(header, *payload) ? OK : ERR_DAMAGED;
}

/* ---- the scan ---- */

enum err scan_damage(struct scan *scan, uint64_t segment, uint64_t offset, const char *what)
{
    const struct segment named = {.number = segment};
    return scan_damage_in(scan, &named, offset, what);
}

enum err scan_damage_in(struct scan *scan, const struct segment *segment, uint64_t offset,
                        const char *what)
{
    segment_file(scan->log, segment, scan->report->file, sizeof(scan->report->file));
    scan->report->offset = offset;
    snprintf(scan->report->reason, sizeof(scan->report->reason),
             "%s. The log before this place is whole up to commit %llu. Restore the file from a "
             "copy, or move the data directory aside.",
             what, (unsigned long long)scan->commit);
    return ERR_DAMAGED;
}

/* Of a file that makes the rest unreadable. */
static enum err damaged_file(struct log_report *report, const char *path, const char *what)
{
    snprintf(report->file, sizeof(report->file), "%.255s", path);
    snprintf(report->reason, sizeof(report->reason),
             "%s. Restore the file from a copy, or move the data directory aside.", what);
    return ERR_DAMAGED;
}

bool scan_follows(const struct scan *scan, const struct frame_header *header)
{
    return header->kind != FRAME_INDEX &&
           (!scan->any ||
            (header->previous_crc == scan->crc && header->first_commit == scan->commit + 1 &&
             header->time_ms >= scan->time_ms));
}

struct index_place {
    struct segment_index *index;
    uint32_t sector;
    uint64_t records; /* of the frame in turn */
};

static enum err index_record(void *arg, const struct log_record *record, uint32_t offset)
{
    struct index_place *place = arg;
    place->records++;
    if (place->index != NULL && record->stream != 0) {
        const struct index_entry entry = {.key_hash = record->key_hash,
                                          .commit = record->commit,
                                          .index = record->index,
                                          .count = record->count,
                                          .frame_sector = place->sector,
                                          .offset = offset,
                                          .len = (uint32_t)record->body.len,
                                          .kind = record->kind};
        index_add(place->index, record->stream, &entry);
    }
    return OK;
}

enum err scan_segment(struct scan *scan, struct segment *segment, struct frame_reader *reader,
                      uint64_t *at)
{
    struct frame_header header;
    struct bytes payload;
    struct index_place place = {.index = segment->index};
    *at = 0;
    scan->ended = false;
    while (!scan->ended) {
        enum err err = frame_reader_at(reader, *at, &header, &payload);
        if (err == ERR_NOT_FOUND || err == ERR_DAMAGED) {
            return OK; /* the caller judges */
        }
        TRY(err);
        if (!scan_follows(scan, &header)) {
            return OK;
        }
        if (sectors_of(HEADER + (uint64_t)header.payload_len) > reader->size - *at) {
            return scan_damage(scan, segment->number, *at,
                               "The file is cut short behind this frame");
        }
        place.sector = (uint32_t)(*at / SECTOR);
        place.records = 0;
        if (header.kind == FRAME_DATA && frame_walk(&header, payload, index_record, &place) != OK) {
            return scan_damage(
                scan, segment->number, *at,
                "A frame's checksum is right but its records are not what the format says");
        }
        if (header.kind == FRAME_END) {
            struct cursor cursor = cursor_of(payload);
            if (cursor_u64(&cursor, &scan->next) != OK || scan->next <= segment->number) {
                return scan_damage(scan, segment->number, *at,
                                   "An end frame does not name the next segment");
            }
            scan->ended = true;
        }
        if (segment->first_commit == UINT64_MAX) {
            segment->first_commit = header.first_commit;
        }
        scan->any = true;
        scan->behind_cleaned = false;
        scan->crc = header.header_crc;
        scan->crc_before = header.previous_crc;
        scan->commit = header.first_commit + header.commit_count - 1;
        scan->time_ms = header.time_ms;
        scan->last_segment = segment->number;
        scan->last_at = *at;
        scan->last_len = sectors_of(HEADER + (uint64_t)header.payload_len);
        scan->report->frames++;
        scan->report->commits += header.commit_count;
        scan->report->clean_stop = header.kind == FRAME_CLEAN;
        if (header.kind == FRAME_DATA &&
            scan->commit > atomic_load_explicit(&scan->log->flushed, memory_order_relaxed)) {
            mark_bytes(scan->log, scan->commit, HEADER + (uint64_t)header.payload_len,
                       place.records);
        }
        *at += scan->last_len;
    }
    TRY(scan_behind_end(scan, segment, reader, *at));
    if (frame_reader_at(reader, *at, &header, &payload) == OK && header.kind == FRAME_INDEX) {
        segment->indexed = true;
        segment->index_at = *at;
    }
    return OK;
}

/* The end frame may have changed places with one before it; what is cut off then is in no other
 * file. */
enum err scan_behind_end(struct scan *scan, const struct segment *segment,
                         struct frame_reader *reader, uint64_t at)
{
    struct bytes sector;
    struct frame_header header;
    for (uint64_t offset = at; offset + HEADER <= reader->size; offset += SECTOR) {
        enum err err = frame_reader_bytes(reader, offset, HEADER, &sector);
        if (err != OK) { /* it is cut to its index */
            return err == ERR_NOT_FOUND ? OK : err;
        }
        bool whole = frame_header_read(sector, scan->log->id, segment->number, &header);
        if (whole && (header.kind != FRAME_INDEX || offset > at)) {
            return scan_damage(scan, segment->number, at, "A frame stands behind the end frame");
        }
    }
    return OK;
}

enum err scan_behind(struct scan *scan, const struct segment *segment, struct frame_reader *reader,
                     uint64_t at, uint64_t *dirty_end, bool *later)
{
    *dirty_end = at;
    *later = false;
    for (uint64_t offset = at; offset < reader->size; offset += SECTOR) {
        struct bytes sector;
        struct frame_header header;
        size_t len = reader->size - offset < SECTOR ? (size_t)(reader->size - offset) : SECTOR;
        TRY(frame_reader_bytes(reader, offset, len, &sector));
        if (is_zero(sector)) {
            continue;
        }
        *dirty_end = offset + len;
        if (frame_header_read(sector, scan->log->id, segment->number, &header)) {
            *later |=
                offset > at ? header.first_commit > scan->commit : !scan_follows(scan, &header);
        }
    }
    return OK;
}

/* Every segment that is not ended has room for its end frame behind its last frame, also behind one
 * that is torn but for its header: one that has not is not as long as it was made. */
bool scan_is_cut(const struct scan *scan, struct frame_reader *reader, uint64_t at)
{
    struct bytes sector;
    struct frame_header header;
    uint64_t end = at + END_ROOM;
    if (frame_reader_bytes(reader, at, HEADER, &sector) == OK &&
        frame_header_read(sector, scan->log->id, reader->segment, &header)) {
        end = at + sectors_of(HEADER + (uint64_t)header.payload_len) +
              (header.kind == FRAME_END ? 0 : END_ROOM);
    }
    return end > reader->size;
}

enum err scan_reaches_note(struct scan *scan, uint64_t segment, uint64_t at)
{
    char what[128];
    const struct end_note *note = &scan->log->end;
    snprintf(what, sizeof(what), "The log ends before commit %llu, which was synced",
             (unsigned long long)note->commit);
    return scan->commit >= note->commit ? OK : scan_damage(scan, segment, at, what);
}

enum err scan_begin(struct scan *scan)
{
    struct log *log = scan->log;
    bool noted = log->end.begin.segment != 0;
    log->begin = noted ? log->end.begin : (struct log_begin){1, 1};
    return !noted || log->first == NULL || log->first->number <= log->begin.segment
               ? OK
               : scan_damage(scan, log->begin.segment, 0,
                             "The segment that the log begins with is missing");
}

enum err scan_begins(struct scan *scan, const struct segment *segment)
{
    const struct log_begin *begin = &scan->log->begin;
    return segment->number != begin->segment || segment->first_commit == UINT64_MAX ||
                   segment->first_commit <= begin->commit
               ? OK
               : scan_damage_in(scan, segment, 0,
                                "The frames that the log begins with are damaged or missing");
}

static enum err zero_range(struct log *log, uint64_t number, uint64_t from, uint64_t to)
{
    static const uint8_t zeros[65536];
    char path[4200];
    int fd = -1;
    segment_path(log, number, path, sizeof(path));
    TRY(file_open(path, FILE_UPDATE, &fd));
    enum err err = OK;
    for (uint64_t at = from; err == OK && at < to; at += sizeof(zeros)) {
        err =
            file_write(fd, zeros, to - at < sizeof(zeros) ? (size_t)(to - at) : sizeof(zeros), at);
    }
    err = err != OK ? err : file_sync(fd);
    enum err closed = file_close(fd);
    return err != OK ? err : closed;
}

/* After a failed sync the kernel may call dirty pages clean: the last accepted frame is written and
 * synced again. */
static enum err rewrite_last(struct scan *scan)
{
    struct frame_reader reader;
    struct bytes frame;
    char path[4200];
    int fd = -1;
    segment_path(scan->log, scan->last_segment, path, sizeof(path));
    TRY(frame_reader_open(&reader, path, scan->last_segment, scan->log->id));
    enum err err = frame_reader_bytes(&reader, scan->last_at, (size_t)scan->last_len, &frame);
    err = err != OK ? err : file_open(path, FILE_UPDATE, &fd);
    if (err == OK) {
        err = file_write(fd, frame.ptr, frame.len, scan->last_at);
        err = err != OK ? err : file_sync(fd);
        enum err closed = file_close(fd);
        err = err != OK ? err : closed;
    }
    frame_reader_close(&reader);
    return err;
}

/* The mark of a clean stop says that nothing comes after it (log I7). It goes, durably, before
 * something does: else a first frame that a power cut tears would be taken for damage. */
static enum err take_clean_mark(struct scan *scan)
{
    TRY(zero_range(scan->log, scan->last_segment, scan->last_at, scan->last_at + scan->last_len));
    scan->crc = scan->crc_before;
    return OK;
}

/* ---- the list of segments ---- */

struct found {
    struct segment_id *ids;
    size_t count;
    size_t cap;
};

/* Twenty digits and what follows them; 0 where there are none. */
static uint64_t digits_of(const char *text, char **end)
{
    unsigned long long number = strtoull(text, end, 10);
    return *end == text + 20 && *text >= '0' && *text <= '9' ? number : 0;
}

static bool is_segment_name(const char *name, struct segment_id *id)
{
    char *end = NULL;
    *id = (struct segment_id){.number = digits_of(name, &end)};
    id->last_number = id->number;
    if (id->number == 0 || strcmp(end, ".log") == 0) {
        return id->number != 0;
    }
    id->last_number = *end == '-' ? digits_of(end + 1, &end) : 0;
    if (id->last_number < id->number || *end != '.') {
        return false;
    }
    unsigned long generation = strtoul(end + 1, &end, 10);
    id->generation = generation > UINT32_MAX ? 0 : (uint32_t)generation;
    return id->generation > 0 && strcmp(end, ".log") == 0;
}

static void note_name(void *arg, const char *name)
{
    struct found *found = arg;
    struct segment_id id;
    if (!is_segment_name(name, &id)) {
        return;
    }
    if (found->count == found->cap) {
        found->cap = found->cap == 0 ? 64 : found->cap * 2;
        found->ids = mem_realloc(found->ids, found->cap * sizeof(found->ids[0]));
    }
    found->ids[found->count++] = id;
}

static int by_number(const void *left, const void *right)
{
    const struct segment_id *a = left;
    const struct segment_id *b = right;
    int order = (a->number > b->number) - (a->number < b->number);
    order =
        order != 0 ? order : (a->last_number < b->last_number) - (a->last_number > b->last_number);
    return order != 0 ? order : (a->generation < b->generation) - (a->generation > b->generation);
}

/* Those that a cleaned file stands for are leftovers of a kill between its name and their removal.
 * They have lower generations, and it has all of their numbers (log I16). */
static enum err set_leftovers_aside(struct scan *scan, struct found *found)
{
    size_t kept = 0;
    scan->leftovers = mem_zalloc(found->count + 1, sizeof(scan->leftovers[0]));
    for (size_t i = 0; i < found->count; i++) {
        const struct segment_id *id = &found->ids[i];
        const struct segment_id *before = kept == 0 ? NULL : &found->ids[kept - 1];
        if (before == NULL || id->number > before->last_number) {
            found->ids[kept++] = *id;
        } else if (id->last_number <= before->last_number && id->generation < before->generation) {
            scan->leftovers[scan->leftover_count++] = *id;
        } else {
            char path[4200];
            segment_id_file(scan->log, *id, path, sizeof(path));
            return damaged_file(scan->report, path, "Another file stands for the same segments");
        }
    }
    found->count = kept;
    return OK;
}

enum err scan_cleaned(struct scan *scan, const struct segment *segment, struct frame_reader *reader,
                      struct summary *summary)
{
    enum err err = summary_read(reader, summary);
    if (err != OK) {
        return err == ERR_DAMAGED
                   ? scan_damage_in(scan, segment, 0, "The summary of a cleaned file is damaged")
                   : err;
    }
    if (scan->any &&
        (summary->crc_before != scan->crc || summary->first_commit != scan->commit + 1 ||
         summary->first_time_ms < scan->time_ms)) {
        summary_free(summary);
        return scan_damage_in(scan, segment, 0, "A cleaned file does not follow what is before it");
    }
    scan->any = true;
    scan->behind_cleaned = true;
    scan->crc = summary->crc_after;
    scan->commit = summary->last_commit;
    scan->time_ms = summary->last_time_ms;
    scan->ended = true;
    scan->next = segment->last_number + 1;
    return OK;
}

/* All that is to know of a cleaned file stands in its summary. */
static enum err list_cleaned(struct scan *scan, struct segment *segment,
                             struct frame_reader *reader)
{
    struct summary summary;
    struct frame_header header;
    struct bytes sector;
    const struct segment_id id = {segment->number, segment->last_number, segment->generation};
    struct scan alone = {.log = scan->log, .report = scan->report};
    TRY(scan_cleaned(&alone, segment, reader, &summary));
    segment->state = SEGMENT_SEALED;
    segment->first_commit = summary.first_commit;
    segment->last_commit = summary.last_commit;
    segment->last_time_ms = summary.last_time_ms;
    segment->used = summary.used;
    segment->index_at = summary.used;
    segment->indexed = frame_reader_bytes(reader, summary.used, HEADER, &sector) == OK &&
                       frame_header_in(sector, scan->log->id, id, &header) &&
                       header.kind == FRAME_INDEX;
    for (size_t i = 0; i < summary.dropped.count; i++) {
        dropped_add(&scan->log->dropped, summary.dropped.items[i].stream,
                    summary.dropped.items[i].commit);
    }
    scan->report->cleaned_commit = summary.last_commit;
    summary_free(&summary);
    return OK;
}

/* What a segment begins with. */
static enum err list_written(struct scan *scan, struct segment *segment,
                             struct frame_reader *reader, const char *path)
{
    struct frame_header header;
    struct bytes sector;
    if (frame_reader_bytes(reader, 0, HEADER, &sector) != OK) {
        return OK;
    }
    if (frame_header_read(sector, scan->log->id, segment->number, &header)) {
        segment->first_commit = header.first_commit;
        segment->last_time_ms = header.time_ms; /* until it is measured */
        return OK;
    }
    return frame_is_of_other_log(sector, segment->number)
               ? damaged_file(scan->report, path,
                              "It belongs to another log than the file id beside it")
               : OK;
}

/* The id is made before the first segment, and every frame is sealed with it. */
enum err log_id_read(struct log *log, struct log_report *report)
{
    char path[4200];
    struct arena arena;
    struct bytes text;
    snprintf(path, sizeof(path), "%s/id", log->dir);
    arena_init(&arena, 0);
    enum err err = file_read_all(path, 64, &arena, &text);
    if (err == OK && text.len == 16 &&
        strspn((const char *)text.ptr, "0123456789abcdef") == text.len) {
        log->id = strtoull((const char *)text.ptr, NULL, 16);
    }
    arena_fini(&arena);
    if (err == ERR_NOT_FOUND) {
        return err;
    }
    TRY(err == ERR_RANGE ? OK : err);
    if (log->id == 0) {
        return damaged_file(report, path, "It should hold the log's id");
    }
    return log->options.id == 0 || log->options.id == log->id
               ? OK
               : damaged_file(report, path,
                              "This is not the log that the view beside it was made from");
}

static void count_name(void *arg, const char *name)
{
    *(uint64_t *)arg += strstr(name, ".log") != NULL;
}

enum err log_id_missing(struct log *log, struct log_report *report)
{
    char path[4200];
    uint64_t segments = 0;
    snprintf(path, sizeof(path), "%s/id", log->dir);
    TRY(directory_list(log->dir, count_name, &segments));
    return segments == 0 && log->options.id == 0
               ? OK
               : damaged_file(report, path,
                              "It is missing, and no frame can be checked without it");
}

enum err scan_list(struct scan *scan)
{
    struct log *log = scan->log;
    struct found found = {0};
    enum err err = directory_list(log->dir, note_name, &found);
    if (found.count > 1) {
        qsort(found.ids, found.count, sizeof(found.ids[0]), by_number);
    }
    err = err != OK ? err : set_leftovers_aside(scan, &found);
    for (size_t i = 0; err == OK && i < found.count; i++) {
        struct frame_reader reader;
        char path[4200];
        struct segment *segment = mem_zalloc(1, sizeof(*segment));
        *segment = (struct segment){.number = found.ids[i].number,
                                    .last_number = found.ids[i].last_number,
                                    .generation = found.ids[i].generation,
                                    .first_commit = UINT64_MAX,
                                    .state = SEGMENT_READY};
        err = segment_reader(log, segment, &reader, path, sizeof(path));
        reader.headers_only = true;
        if (err == OK) {
            segment->size = reader.size / SECTOR * SECTOR;
            err = segment->generation == 0 ? list_written(scan, segment, &reader, path)
                                           : list_cleaned(scan, segment, &reader);
            err = err != OK ? err : reader.failed;
        }
        frame_reader_close(&reader);
        segment_add(log, segment);
    }
    mem_free(found.ids);
    return err;
}

/* Behind its end frame a segment has its index and no more; where there is none yet, or one that
 * was just being written, all that is there is looked at. */
static enum err measure_index(struct scan *scan, struct segment *segment,
                              struct frame_reader *reader, uint64_t at)
{
    struct frame_header header;
    struct bytes sector;
    segment->indexed = frame_reader_bytes(reader, at, HEADER, &sector) == OK &&
                       frame_header_read(sector, scan->log->id, segment->number, &header) &&
                       header.kind == FRAME_INDEX;
    segment->index_at = segment->indexed ? at : segment->index_at;
    if (segment->indexed &&
        at + sectors_of(HEADER + (uint64_t)header.payload_len) == reader->size) {
        return OK;
    }
    reader->headers_only = false;
    return scan_behind_end(scan, segment, reader, at);
}

/* The shape of a segment that is wholly in the view, by its headers, which must follow each other,
 * and its end frame, which the next segment's first frame must follow, or the one that is written
 * in place of a torn one. */
static enum err measure(struct scan *scan, struct segment *segment)
{
    struct frame_reader reader;
    struct frame_header header;
    struct bytes sector;
    char path[4200];
    uint64_t at = 0;
    bool ended = false;
    struct frame_chain chain = {.next_commit = segment->first_commit};
    TRY(scan_begins(scan, segment));
    segment_path(scan->log, segment->number, path, sizeof(path));
    TRY(frame_reader_open(&reader, path, segment->number, scan->log->id));
    reader.headers_only = true;
    segment->state = SEGMENT_SEALED;
    while (!ended && frame_reader_bytes(&reader, at, HEADER, &sector) == OK &&
           frame_header_read(sector, scan->log->id, segment->number, &header) &&
           frame_follows(&chain, &header)) {
        ended = header.kind == FRAME_END;
        segment->last_commit = header.first_commit + header.commit_count - 1;
        segment->last_time_ms = header.time_ms;
        *scan = (struct scan){.log = scan->log,
                              .report = scan->report,
                              .leftovers = scan->leftovers,
                              .leftover_count = scan->leftover_count,
                              .commit = segment->last_commit,
                              .time_ms = header.time_ms,
                              .crc = header.header_crc,
                              .crc_before = header.previous_crc,
                              .any = true,
                              .last_segment = segment->number,
                              .last_at = at,
                              .last_len = sectors_of(HEADER + (uint64_t)header.payload_len)};
        at += scan->last_len;
    }
    segment->used = at;
    enum err err = ended ? measure_index(scan, segment, &reader, at)
                         : scan_damage(scan, segment->number, at,
                                       "A frame in the middle of the log is damaged");
    frame_reader_close(&reader);
    return reader.failed != OK ? reader.failed : err;
}

enum err segment_measure(struct log *log, struct segment *copy)
{
    if (!copy->unmeasured) {
        return OK;
    }
    struct log_report report = {0};
    struct scan scan = {.log = log, .report = &report};
    uint64_t last_commit = copy->last_commit;
    enum err err = measure(&scan, copy);
    if (err == OK && copy->last_commit != last_commit) {
        err = scan_damage(&scan, copy->number, copy->used,
                          "The next segment's first frame does not follow the last one of this");
    }
    if (err != OK) {
        if (err == ERR_DAMAGED) {
            NOTE(NOTE_ERROR, "log.damaged", NOTE_S("file", report.file),
                 NOTE_U("offset", report.offset), NOTE_S("reason", report.reason));
        }
        return err;
    }
    copy->unmeasured = false;
    pthread_mutex_lock(&log->mutex);
    struct segment *segment = scan_find(log, copy->number);
    if (segment != NULL && segment->unmeasured) {
        segment->last_time_ms = copy->last_time_ms;
        segment->used = copy->used;
        segment->indexed = copy->indexed;
        segment->index_at = copy->index_at;
        segment->unmeasured = false;
        pthread_cond_signal(&log->worker_wake); /* its index may be missing */
    }
    pthread_mutex_unlock(&log->mutex);
    return OK;
}

/* The scan begins behind it, in a segment as it was written: the newest visible commit was in one
 * when the file was made (log I10). */
static enum err take_cleaned(struct scan *scan, const struct segment *segment,
                             const struct segment *next, const struct segment *start)
{
    struct frame_reader reader;
    struct summary summary;
    char path[4200];
    if (next->first_commit != segment->last_commit + 1) {
        return scan_damage(scan, next->number, 0,
                           "Its first frame does not follow the cleaned file before it");
    }
    if (next != start) {
        return OK;
    }
    *scan = (struct scan){.log = scan->log,
                          .report = scan->report,
                          .leftovers = scan->leftovers,
                          .leftover_count = scan->leftover_count};
    enum err err = segment_reader(scan->log, segment, &reader, path, sizeof(path));
    err = err != OK ? err : scan_cleaned(scan, segment, &reader, &summary);
    if (err == OK) {
        summary_free(&summary);
    }
    frame_reader_close(&reader);
    return err;
}

/* What the next segment's first frame says of one wholly in the view. That does not do for the last
 * one before the scan, whose end frame the scan follows, nor where a first frame is missing: those
 * are measured. Numbers have no gap: each segment is made under the one after the newest. */
static enum err take_held(struct scan *scan, struct segment *segment, const struct segment *start)
{
    const struct segment *next = segment->next;
    if (next->number != segment->last_number + 1) {
        TRY(segment->generation == 0 ? measure(scan, segment) : OK);
        return scan_damage(scan, segment->last_number + 1, 0,
                           "The segment that the one before it names is missing");
    }
    if (segment->generation != 0) {
        return take_cleaned(scan, segment, next, start);
    }
    if (next == start || segment->first_commit == UINT64_MAX || next->first_commit == UINT64_MAX ||
        next->first_commit < segment->first_commit) {
        return measure(scan, segment);
    }
    segment->state = SEGMENT_SEALED;
    segment->unmeasured = true;
    segment->last_commit = next->first_commit - 1;
    segment->last_time_ms = next->last_time_ms;
    return OK;
}

struct segment *scan_find(struct log *log, uint64_t number)
{
    size_t at = segments_bisect(log, segment_is_from, number);
    bool found = at < log->segment_count && log->by_number[at]->number == number;
    return found ? log->by_number[at] : NULL;
}

/* An end frame is durable before anything is written into the next segment: one that is in use
 * behind a log that does not go on is damage, even where its first header is damaged too. */
static enum err is_in_use(struct scan *scan, const struct segment *segment, bool *in_use)
{
    struct frame_reader reader;
    struct bytes sector;
    char path[4200];
    uint64_t dirty_end = 0;
    *in_use = false;
    segment_path(scan->log, segment->number, path, sizeof(path));
    TRY(frame_reader_open(&reader, path, segment->number, scan->log->id));
    enum err err = scan_behind(scan, segment, &reader, 0, &dirty_end, in_use);
    if (err == OK && dirty_end > 0 && frame_reader_bytes(&reader, 0, HEADER, &sector) == OK) {
        *in_use |= !is_zero(sector);
    }
    frame_reader_close(&reader);
    return err != OK ? err : reader.failed;
}

static enum err check_later(struct scan *scan, const struct segment *segment, uint64_t at)
{
    for (const struct segment *other = segment->next; other != NULL; other = other->next) {
        bool in_use = other->first_commit != UINT64_MAX;
        TRY(in_use || scan->report->clean_stop ? OK : is_in_use(scan, other, &in_use));
        if (in_use) {
            return scan_damage(scan, segment->number, at,
                               "A frame is damaged and a later segment is in use");
        }
    }
    return OK;
}

static void adopt_end(struct scan *scan, struct segment *segment, uint64_t at)
{
    struct log *log = scan->log;
    log->open = segment;
    segment->state = SEGMENT_OPEN;
    segment->used = at;
    segment->last_commit = scan->commit;
    segment->last_time_ms = scan->time_ms;
    log->position = at;
    log->previous_crc = scan->any ? scan->crc : 0;
    log->last_commit = scan->commit;
    log->last_time_ms = scan->time_ms;
}

/* At the first place without a valid frame: torn, damaged, or simply the end. */
static enum err judge_end(struct scan *scan, struct segment *segment, struct frame_reader *reader,
                          uint64_t at)
{
    struct log *log = scan->log;
    uint64_t flushed = atomic_load_explicit(&log->flushed, memory_order_relaxed);
    uint64_t dirty_end;
    bool later;
    TRY(scan_behind(scan, segment, reader, at, &dirty_end, &later));
    if (later) {
        return scan_damage(scan, segment->number, at,
                           "A frame is damaged and valid ones come after it");
    }
    if (scan_is_cut(scan, reader, at)) {
        return scan_damage(scan, segment->number, at, "The file is cut short");
    }
    TRY(reader->failed);
    TRY(check_later(scan, segment, at));
    if (scan->commit < flushed) {
        return scan_damage(scan, segment->number, at,
                           "The log ends before a commit that the view already holds");
    }
    TRY(scan_reaches_note(scan, segment->number, at));
    if (dirty_end > at) {
        if (scan->report->clean_stop) {
            return scan_damage(scan, segment->number, at,
                               "There are bytes behind the mark of a clean stop");
        }
        segment_path(log, segment->number, scan->report->file, sizeof(scan->report->file));
        scan->report->torn_end = true;
        scan->report->offset = at;
        TRY(zero_range(log, segment->number, at, dirty_end));
    }
    if (scan->report->clean_stop) {
        TRY(take_clean_mark(scan));
        at = scan->last_at;
    } else if (scan->any) {
        TRY(rewrite_last(scan));
    }
    adopt_end(scan, segment, at);
    return OK;
}

/* Scans one segment and goes on to the one it names, or judges the end. */
static enum err scan_next(struct scan *scan, struct segment **segment_in_turn, bool *ended)
{
    struct segment *segment = *segment_in_turn;
    struct frame_reader reader;
    char path[4200];
    uint64_t at;
    if (segment->generation != 0) {
        return scan_damage_in(scan, segment, 0,
                              "The view is missing or older than this cleaned file, which has not "
                              "all that it would be made again from");
    }
    segment->index = index_new();
    segment_path(scan->log, segment->number, path, sizeof(path));
    TRY(frame_reader_open(&reader, path, segment->number, scan->log->id));
    scan->report->bytes_scanned += reader.size;
    enum err err = scan_segment(scan, segment, &reader, &at);
    err = err != OK ? err : scan_begins(scan, segment);
    if (err == OK && scan->behind_cleaned) {
        err = scan_damage(scan, segment->number, at,
                          "The first frame behind a cleaned file is damaged");
    }
    if (err == OK && !scan->ended) {
        err = judge_end(scan, segment, &reader, at);
        *ended = true;
    }
    frame_reader_close(&reader);
    if (err != OK || *ended) {
        return err;
    }
    segment->state = SEGMENT_SEALED;
    segment->used = at;
    segment->last_commit = scan->commit;
    segment->last_time_ms = scan->time_ms;
    *segment_in_turn = scan_find(scan->log, scan->next);
    return *segment_in_turn != NULL
               ? OK
               : scan_damage(scan, scan->next, 0,
                             "The segment that the one before it names is missing");
}

/* Where there is none, as an older version left it, or none that can be read, nothing is known. */
static enum err take_note(struct log *log)
{
    enum err err = end_read(log, &log->end);
    return err == ERR_NOT_FOUND || err == ERR_DAMAGED ? OK : err;
}

/* The names that stand for them are durable first. */
static enum err remove_leftovers(struct scan *scan)
{
    TRY(scan->leftover_count == 0 ? OK : directory_sync(scan->log->dir));
    for (size_t i = 0; i < scan->leftover_count; i++) {
        char path[4200];
        segment_id_file(scan->log, scan->leftovers[i], path, sizeof(path));
        TRY(file_remove(path));
    }
    return OK;
}

static enum err recover_segments(struct scan *scan);

enum err recover(struct log *log, struct log_report *report)
{
    struct scan scan = {.log = log, .report = report};
    static const char *const unfinished[] = {"next.tmp", "clean.tmp"};
    enum err err = OK;
    for (size_t i = 0; err == OK && i < 2; i++) {
        char path[4200];
        snprintf(path, sizeof(path), "%s/%s", log->dir, unfinished[i]);
        err = file_remove(path);
    }
    err = err != OK ? err : scan_list(&scan);
    err = err != OK ? err : recover_segments(&scan);
    err = err != OK ? err : remove_leftovers(&scan);
    mem_free(scan.leftovers);
    return err;
}

static enum err recover_segments(struct scan *scan)
{
    struct log *log = scan->log;
    struct log_report *report = scan->report;
    uint64_t flushed = atomic_load_explicit(&log->flushed, memory_order_relaxed);
    TRY(take_note(log));
    TRY(scan_begin(scan));
    struct segment *start = NULL;
    for (struct segment *segment = log->first; segment != NULL; segment = segment->next) {
        report->segments++;
        if (segment->first_commit != UINT64_MAX &&
            (start == NULL || segment->first_commit <= flushed + 1)) {
            start = segment;
        }
    }
    if (start == NULL && log->first != NULL) {
        start = log->first; /* no whole frame anywhere */
    }
    if (start == NULL) {
        return flushed == 0
                   ? scan_reaches_note(scan, log->end.segment, 0)
                   : scan_damage(scan, 1, 0, "The log is missing but the view holds commits");
    }
    if (start->first_commit != UINT64_MAX && start->first_commit > flushed + 1) {
        return scan_damage(scan, start->number, 0,
                           "The log begins after the newest commit that the view holds");
    }
    if (start->generation != 0 && flushed >= start->last_commit) {
        return scan_damage(scan, start->last_number + 1, 0,
                           "The first frame behind a cleaned file is damaged or missing");
    }
    for (struct segment *segment = log->first; segment != start; segment = segment->next) {
        TRY(take_held(scan, segment, start));
    }
    atomic_store_explicit(&log->first_commit,
                          log->first->first_commit == UINT64_MAX ? 1 : log->first->first_commit,
                          memory_order_relaxed);
    if (!scan->any) {
        scan->commit = start->first_commit == UINT64_MAX ? 0 : start->first_commit - 1;
    }
    bool ended = false;
    for (struct segment *segment = start; !ended;) {
        TRY(scan_next(scan, &segment, &ended));
    }
    return OK;
}
