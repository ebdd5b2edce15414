/* Frames from some segment on, in the order of the log, each behind the one before: what recovery,
 * verify and scrub share of it, and how they tell damage. */
#include "base/cursor.h"
#include "log/log_priv.h"

#include <stdio.h>

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

struct segment *scan_find(struct log *log, uint64_t number)
{
    size_t at = segments_bisect(log, segment_is_from, number);
    bool found = at < log->segment_count && log->by_number[at]->number == number;
    return found ? log->by_number[at] : NULL;
}
