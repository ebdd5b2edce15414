/* The shape of a segment that recovery did not scan, as the view holds all of it: by its headers
 * alone, when somebody needs it, or the worker soon after the start. */
#include "base/note.h"
#include "log/log_priv.h"

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
enum err scan_measure(struct scan *scan, struct segment *segment)
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
    enum err err = scan_measure(&scan, copy);
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
