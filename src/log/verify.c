/* Reading a whole log that nobody has open, for `headwater log verify` and `dump`: every byte is
 * checked, none is changed. Beside what recovery would refuse, that is the indexes, and that
 * whatever no frame covers is zero. */
#include "base/cursor.h"
#include "base/mem.h"
#include "log/log_priv.h"

#include <stdio.h>

static enum err verify_all(struct verify *verify);
static enum err verify_note(struct verify *verify, enum err noted);
static enum err verify_segment(struct verify *verify, struct segment *segment);
static enum err verify_frames(struct verify *verify, const struct segment *segment,
                              struct frame_reader *reader, uint64_t end);
static enum err verify_index(struct verify *verify, const struct segment *segment,
                             struct frame_reader *reader, uint64_t at);
static enum err verify_end(struct verify *verify, const struct segment *segment,
                           struct frame_reader *reader, uint64_t at);
static enum err verify_unused(struct verify *verify, const struct segment *segment);

enum err log_scan(const char *dir, log_visit *fn, void *arg, struct log_report *report)
{
    struct log *log = mem_zalloc(1, sizeof(*log));
    struct verify verify = {.scan = {.log = log, .report = report}, .fn = fn, .arg = arg};
    *report = (struct log_report){0};
    snprintf(log->dir, sizeof(log->dir), "%s", dir);
    enum err err = log_id_read(log, report);
    if (err == ERR_NOT_FOUND) {
        enum err missing = log_id_missing(log, report);
        err = missing == OK ? ERR_NOT_FOUND : missing;
    }
    err = err != OK ? err : scan_list(&verify.scan);
    enum err noted = err != OK ? OK : end_read(log, &log->end);
    err = err != OK ? err : verify_all(&verify);
    err = err != OK ? err : verify_note(&verify, noted);
    report->last_commit = verify.scan.commit;
    report->log_id = log->id;
    segments_free(log);
    mem_free(verify.scan.leftovers);
    mem_free(log->dropped.items);
    mem_free(log->marks);
    mem_free(log);
    return err;
}

/* A log without one is from an older version, or a copy. */
static enum err verify_note(struct verify *verify, enum err noted)
{
    if (noted == ERR_DAMAGED) {
        return end_damaged(verify->scan.log, verify->scan.report);
    }
    TRY(noted == ERR_NOT_FOUND ? OK : noted);
    return scan_reaches_note(&verify->scan, verify->scan.log->end.segment, 0);
}

static enum err verify_all(struct verify *verify)
{
    struct scan *scan = &verify->scan;
    struct segment *segment = scan->log->first;
    TRY(scan_begin(scan));
    scan->commit =
        segment == NULL || segment->first_commit == UINT64_MAX ? 0 : segment->first_commit - 1;
    while (segment != NULL) {
        TRY(verify_segment(verify, segment));
        if (!scan->ended) {
            return verify_unused(verify, segment->next);
        }
        segment =
            segment->next != NULL && segment->next->number == scan->next ? segment->next : NULL;
        if (segment == NULL) {
            return scan_damage(scan, scan->next, 0,
                               "The segment that the one before it names is missing");
        }
    }
    return OK;
}

static enum err verify_segment(struct verify *verify, struct segment *segment)
{
    struct scan *scan = &verify->scan;
    struct frame_reader reader;
    char path[4200];
    uint64_t at;
    TRY(segment_reader(scan->log, segment, &reader, path, sizeof(path)));
    scan->report->bytes_scanned += reader.size;
    scan->report->segments++;
    if (segment->generation != 0) {
        enum err err = verify_cleaned(verify, segment, &reader);
        err = err != OK ? err : verify_index(verify, segment, &reader, segment->used);
        frame_reader_close(&reader);
        return err;
    }
    enum err err = scan_segment(scan, segment, &reader, &at);
    err = err != OK ? err : scan_begins(scan, segment);
    err = err != OK ? err : verify_frames(verify, segment, &reader, at);
    if (err == OK) {
        err = scan->ended ? verify_index(verify, segment, &reader, at)
                          : verify_end(verify, segment, &reader, at);
    }
    frame_reader_close(&reader);
    return err;
}

static enum err visit_record(void *arg, const struct log_record *record, uint32_t offset)
{
    const struct verify *verify = arg;
    (void)offset;
    return verify->fn == NULL || record->commit <= verify->visited
               ? OK
               : verify->fn(verify->arg, record);
}

/* The frames that scan_segment accepted, up to end: their records, and the zeros behind each. */
static enum err verify_frames(struct verify *verify, const struct segment *segment,
                              struct frame_reader *reader, uint64_t end)
{
    struct frame_header header;
    struct bytes payload;
    uint64_t at = 0;
    while (at < end) {
        TRY(frame_reader_at(reader, at, &header, &payload));
        TRY(verify_frame(verify, segment, reader, at, &header, payload));
        at += sectors_of(HEADER + (uint64_t)header.payload_len);
    }
    return OK;
}

enum err verify_frame(struct verify *verify, const struct segment *segment,
                      struct frame_reader *reader, uint64_t at, const struct frame_header *header,
                      struct bytes payload)
{
    uint64_t used = HEADER + (uint64_t)header->payload_len;
    enum err err =
        header->kind != FRAME_DATA ? OK : frame_walk(header, payload, visit_record, verify);
    if (err == ERR_DAMAGED) {
        return scan_damage(&verify->scan, segment->number, at,
                           "A frame is whole but a record in it is not what the format says");
    }
    TRY(err);
    return verify_zeros(verify, segment, reader, at + used, at + sectors_of(used));
}

/* Its records come in the order of the log, and none is of a commit that it does not stand for. */
struct kept {
    struct verify *verify;
    uint64_t last_commit;
    struct log_place before;
    uint64_t time_ms;
    uint64_t records;
};

static enum err visit_kept(void *arg, const struct log_record *record, uint32_t offset)
{
    struct kept *kept = arg;
    bool follows = record->commit <= kept->last_commit && record->time_ms >= kept->time_ms &&
                   (record->commit > kept->before.commit ||
                    (record->commit == kept->before.commit && record->index > kept->before.index));
    if (!follows) {
        return ERR_DAMAGED;
    }
    kept->before = (struct log_place){record->commit, record->index};
    kept->time_ms = record->time_ms;
    kept->records++;
    return visit_record(kept->verify, record, offset);
}

static enum err verify_kept(struct verify *verify, const struct segment *segment,
                            struct frame_reader *reader, const struct summary *summary)
{
    static const char wrong[] = "A frame of a cleaned file is damaged";
    struct kept kept = {.verify = verify,
                        .last_commit = summary->last_commit,
                        .before = {summary->first_commit - 1, LOG_INDEX_END},
                        .time_ms = summary->first_time_ms};
    uint32_t crc = 0;
    uint64_t at = summary->kept_at;
    while (at < summary->used) {
        struct frame_header header;
        struct bytes payload;
        enum err err = frame_reader_at(reader, at, &header, &payload);
        bool right = err == OK && header.kind == FRAME_KEPT && header.previous_crc == crc;
        if (err == ERR_NOT_FOUND || err == ERR_DAMAGED || (err == OK && !right)) {
            return scan_damage_in(&verify->scan, segment, at, wrong);
        }
        TRY(err);
        err = frame_walk(&header, payload, visit_kept, &kept);
        TRY(err == ERR_DAMAGED ? scan_damage_in(&verify->scan, segment, at, wrong) : err);
        uint64_t used = HEADER + (uint64_t)header.payload_len;
        TRY(verify_zeros(verify, segment, reader, at + used, at + sectors_of(used)));
        crc = header.header_crc;
        verify->scan.report->frames++;
        at += sectors_of(used);
    }
    bool whole =
        at == summary->used && crc == summary->kept_crc && kept.records == summary->records;
    return whole ? OK : scan_damage_in(&verify->scan, segment, at, wrong);
}

enum err verify_cleaned(struct verify *verify, const struct segment *segment,
                        struct frame_reader *reader)
{
    struct summary summary;
    TRY(scan_cleaned(&verify->scan, segment, reader, &summary));
    uint64_t used = HEADER + SUMMARY_BYTES + (uint64_t)summary.dropped.count * 16;
    enum err err = verify_zeros(verify, segment, reader, used, summary.kept_at);
    err = err != OK ? err : verify_kept(verify, segment, reader, &summary);
    summary_free(&summary);
    return err;
}

/* A power cut may have torn it: then a sector of it is as it was before, zeros, and the server
 * makes it again. Anything else that is not it is damage, of what can be made again. */
static enum err verify_index(struct verify *verify, const struct segment *segment,
                             struct frame_reader *reader, uint64_t at)
{
    struct frame_header header;
    struct bytes payload;
    struct bytes sector;
    bool torn = false;
    enum err err = frame_reader_at(reader, at, &header, &payload);
    if (err == OK && header.kind == FRAME_INDEX) {
        uint64_t used = HEADER + (uint64_t)header.payload_len;
        return verify_zeros(verify, segment, reader, at + used, reader->size);
    }
    if (err != OK && err != ERR_NOT_FOUND && err != ERR_DAMAGED) {
        return err;
    }
    for (uint64_t offset = at; offset < reader->size && !torn; offset += SECTOR) {
        size_t len = reader->size - offset < SECTOR ? (size_t)(reader->size - offset) : SECTOR;
        TRY(frame_reader_bytes(reader, offset, len, &sector));
        torn = is_zero(sector);
    }
    verify->scan.report->indexes_missing++;
    return torn || at == reader->size ? OK : verify_damaged_index(verify, segment, at);
}

enum err verify_damaged_index(struct verify *verify, const struct segment *segment, uint64_t at)
{
    struct log_report *report = verify->scan.report;
    segment_file(verify->scan.log, segment, report->file, sizeof(report->file));
    report->offset = at;
    snprintf(
        report->reason, sizeof(report->reason),
        "The index behind the segment's frames is damaged. No record is lost: the server makes "
        "it again when it runs.");
    return ERR_DAMAGED;
}

/* Behind the newest frame. */
static enum err verify_end(struct verify *verify, const struct segment *segment,
                           struct frame_reader *reader, uint64_t at)
{
    struct scan *scan = &verify->scan;
    uint64_t dirty_end = 0;
    bool later = false;
    TRY(scan_behind(scan, segment, reader, at, &dirty_end, &later));
    for (const struct segment *other = segment->next; other != NULL; other = other->next) {
        later |= other->first_commit != UINT64_MAX && other->first_commit > scan->commit;
    }
    if (later || (dirty_end > at && scan->report->clean_stop)) {
        return scan_damage(scan, segment->number, at,
                           "A frame is damaged and what comes after it is not");
    }
    if (scan->behind_cleaned) {
        return scan_damage(scan, segment->number, at,
                           "The first frame behind a cleaned file is damaged");
    }
    if (scan_is_cut(scan, reader, at)) {
        return scan_damage(scan, segment->number, at, "The file is cut short");
    }
    TRY(reader->failed);
    TRY(scan_reaches_note(scan, segment->number, at));
    scan->report->torn_end = dirty_end > at;
    scan->report->offset = dirty_end > at ? at : 0;
    if (dirty_end > at) {
        segment_path(scan->log, segment->number, scan->report->file, sizeof(scan->report->file));
    }
    return OK;
}

/* Segments that were made ahead. */
static enum err verify_unused(struct verify *verify, const struct segment *segment)
{
    enum err err = OK;
    for (; err == OK && segment != NULL; segment = segment->next) {
        struct frame_reader reader;
        char path[4200];
        segment_path(verify->scan.log, segment->number, path, sizeof(path));
        TRY(frame_reader_open(&reader, path, segment->number, verify->scan.log->id));
        verify->scan.report->bytes_scanned += reader.size;
        verify->scan.report->segments++;
        err = verify_zeros(verify, segment, &reader, 0, reader.size);
        frame_reader_close(&reader);
    }
    return err;
}

enum err verify_zeros(struct verify *verify, const struct segment *segment,
                      struct frame_reader *reader, uint64_t from, uint64_t to)
{
    struct bytes part;
    for (uint64_t at = from; at < to; at += part.len) {
        size_t len =
            to - at < SECTOR - at % SECTOR ? (size_t)(to - at) : (size_t)(SECTOR - at % SECTOR);
        TRY(frame_reader_bytes(reader, at, len, &part));
        if (!is_zero(part)) {
            return scan_damage_in(&verify->scan, segment, at,
                                  "Bytes that no frame covers were changed");
        }
    }
    return OK;
}
