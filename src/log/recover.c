/* Finding the end of the log, and telling a torn end from damage (DESIGN 2.3). The scan begins at
 * the segment that holds the first commit the view does not, checks every byte of every frame from
 * there, and stops at the first place without a valid frame. A torn end is what nobody was told
 * about: nothing valid comes after it, and nothing the view or a later segment knows is past it.
 * Anything else is damage, and the caller refuses to start (log I6). What was accepted is synced
 * again before it is served (log I8). */
#include "base/mem.h"
#include "log/log_priv.h"
#include "sys/file.h"

#include <stdio.h>

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
        TRY(segment->generation == 0 ? scan_measure(scan, segment) : OK);
        return scan_damage(scan, segment->last_number + 1, 0,
                           "The segment that the one before it names is missing");
    }
    if (segment->generation != 0) {
        return take_cleaned(scan, segment, next, start);
    }
    if (next == start || segment->first_commit == UINT64_MAX || next->first_commit == UINT64_MAX ||
        next->first_commit < segment->first_commit) {
        return scan_measure(scan, segment);
    }
    segment->state = SEGMENT_SEALED;
    segment->unmeasured = true;
    segment->last_commit = next->first_commit - 1;
    segment->last_time_ms = next->last_time_ms;
    return OK;
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
    struct segment *next = scan_find(scan->log, scan->next);
    if (next == NULL) {
        return scan_damage(scan, scan->next, 0,
                           "The segment that the one before it names is missing");
    }
    *segment_in_turn = next;
    return OK;
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
    if (err != OK && err != ERR_DAMAGED) {
        report->reason[0] = 0; /* what was judged before a read is known to have failed */
    }
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
