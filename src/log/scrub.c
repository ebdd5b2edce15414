/* Reading a whole log while it is open: every byte that verify.c checks, told from a file that is
 * just changing by what the list of segments says of it.
 *
 * Segments are copied out of the list under the mutex and read without it, the oldest first. What
 * was shown of a segment never changes again: its frames up to `used`, and its index once it is
 * `indexed`. So damage there is damage, but for a file that is gone: it is one that was trimmed,
 * if the log begins behind it by now, or one that was cleaned, and what is alive of it is read from
 * the file that stands for it. */
#include "base/mem.h"
#include "log/log_priv.h"
#include "sys/file.h"

#include <stdio.h>

struct log_scrub {
    struct owner owner;
    struct log *log;
    struct log_scrub_options options;
    struct verify verify; /* scan: of the newest frame that was read, as far as it has no gap */
    struct log_report report;
    uint64_t number; /* of the segment in turn */
    uint64_t at;     /* in it */
    uint64_t cleaned_commit;
    bool looked_ahead;
};

static bool take_segment(struct log_scrub *scrub, struct segment *segment);
static enum err check_segment(struct log_scrub *scrub, struct segment *segment);
static enum err check_file(struct log_scrub *scrub, const struct segment *segment, uint64_t end);
static enum err check_frame(struct log_scrub *scrub, const struct segment *segment,
                            struct frame_reader *reader, bool *ended);
static enum err check_index(struct log_scrub *scrub, const struct segment *segment,
                            struct frame_reader *reader);
static enum err look_ahead(struct log_scrub *scrub);
static void check_note(struct log_scrub *scrub);
static enum err check_unused(struct log_scrub *scrub, const struct segment *segment);
static enum err open_file(struct log_scrub *scrub, const struct segment *segment,
                          struct frame_reader *reader);
static void tell(struct log_scrub *scrub);
static enum err judge(struct log_scrub *scrub, const struct segment *segment, enum err err);

struct log_scrub *log_scrub_new(struct log *log, const struct log_scrub_options *options)
{
    struct log_scrub *scrub = mem_zalloc(1, sizeof(*scrub));
    scrub->log = log;
    scrub->options = *options;
    scrub->verify = (struct verify){
        .scan = {.log = log, .report = &scrub->report}, .fn = options->fn, .arg = options->arg};
    return scrub;
}

uint64_t log_scrub_gone(const struct log_scrub *scrub)
{
    uint64_t first = log_first(scrub->log);
    return first > scrub->cleaned_commit ? first - 1 : scrub->cleaned_commit;
}

void log_scrub_free(struct log_scrub *scrub)
{
    mem_free(scrub);
}

uint64_t log_scrub_bytes(struct log *log)
{
    pthread_mutex_lock(&log->mutex);
    uint64_t bytes = log->disk_bytes - (log->open->size - log->open->used);
    pthread_mutex_unlock(&log->mutex);
    return bytes;
}

enum err log_scrub_run(struct log_scrub *scrub)
{
    ASSERT_OWNER(&scrub->owner);
    struct segment segment;
    bool ended = false;
    while (!ended && take_segment(scrub, &segment)) {
        TRY(check_segment(scrub, &segment));
        ended = segment.state != SEGMENT_SEALED;
    }
    return look_ahead(scrub);
}

/* The oldest one that was not read to its end. Where that is not the one behind the newest frame
 * that was read, segments were trimmed between, or it stands for some that were read, and what its
 * first frame must follow is not known. */
static bool take_segment(struct log_scrub *scrub, struct segment *segment)
{
    struct log *log = scrub->log;
    pthread_mutex_lock(&log->mutex);
    size_t at = segments_bisect(log, segment_is_from, scrub->number);
    bool found = at < log->segment_count && log->by_number[at]->state != SEGMENT_READY;
    if (found) {
        *segment = *log->by_number[at];
    }
    pthread_mutex_unlock(&log->mutex);
    if (found &&
        (segment->number != scrub->number || (segment->generation != 0 && scrub->at > 0))) {
        scrub->number = segment->number;
        scrub->at = 0;
        scrub->verify.scan.any = false;
    }
    return found;
}

/* One that cannot be measured is read to its end frame, or to where it is damaged. A cleaned file
 * may stand for segments that were read before it was made. */
static enum err check_segment(struct log_scrub *scrub, struct segment *segment)
{
    scrub->verify.visited = scrub->verify.scan.commit;
    enum err measured =
        segment->state == SEGMENT_SEALED ? segment_measure(scrub->log, segment) : OK;
    enum err err = check_file(scrub, segment, measured == OK ? segment->used : UINT64_MAX);
    scrub->at = segment->used;
    if (segment->state == SEGMENT_SEALED) {
        scrub->number = segment->last_number + 1;
        scrub->at = 0;
    }
    return judge(scrub, segment, err);
}

static enum err check_file(struct log_scrub *scrub, const struct segment *segment, uint64_t end)
{
    struct frame_reader reader;
    bool ended = false;
    if (segment->state == SEGMENT_OPEN && scrub->at == end) {
        return OK;
    }
    enum err err = open_file(scrub, segment, &reader);
    bool opened = err == OK;
    err = err != OK || scrub->at > 0 ? err : scan_begins(&scrub->verify.scan, segment);
    if (err == OK && segment->generation != 0) {
        scrub->cleaned_commit = segment->last_commit;
        err = verify_cleaned(&scrub->verify, segment, &reader);
        ended = true;
    }
    while (err == OK && !ended && scrub->at < end) {
        err = check_frame(scrub, segment, &reader, &ended);
    }
    if (err == OK && segment->generation == 0 && ended) {
        err = scan_behind_end(&scrub->verify.scan, segment, &reader, scrub->at);
    }
    if (err == OK && segment->state == SEGMENT_SEALED && segment->index == NULL &&
        segment->indexed) {
        err = check_index(scrub, segment, &reader);
    }
    if (err == ERR_NOT_FOUND && opened) {
        err = scan_damage_in(&scrub->verify.scan, segment, scrub->at, "The file is cut short");
    }
    frame_reader_close(&reader);
    return err;
}

static enum err check_frame(struct log_scrub *scrub, const struct segment *segment,
                            struct frame_reader *reader, bool *ended)
{
    struct scan *scan = &scrub->verify.scan;
    struct frame_header header;
    struct bytes payload;
    enum err err = frame_reader_at(reader, scrub->at, &header, &payload);
    TRY(reader->failed);
    if (err == ERR_NOT_FOUND || err == ERR_DAMAGED) {
        return scan_damage(scan, segment->number, scrub->at,
                           "A frame is damaged and what comes after it is not");
    }
    TRY(err);
    if (!scan_follows(scan, &header)) {
        return scan_damage(scan, segment->number, scrub->at,
                           "A frame does not follow the one before it");
    }
    TRY(verify_frame(&scrub->verify, segment, reader, scrub->at, &header, payload));
    scan->any = true;
    scan->crc = header.header_crc;
    scan->commit = header.first_commit + header.commit_count - 1;
    scan->time_ms = header.time_ms;
    *ended = header.kind == FRAME_END;
    scrub->at += sectors_of(HEADER + (uint64_t)header.payload_len);
    return OK;
}

/* Nobody need wait until a reader meets it: it is made again at once. */
static enum err check_index(struct log_scrub *scrub, const struct segment *segment,
                            struct frame_reader *reader)
{
    struct frame_header header;
    struct bytes payload;
    struct segment_index *index = index_new();
    enum err err = frame_reader_at(reader, segment->index_at, &header, &payload);
    bool whole = err == OK && header.kind == FRAME_INDEX && index_decode(payload, index) == OK;
    index_free(index);
    TRY(reader->failed);
    if (whole) {
        uint64_t used = HEADER + (uint64_t)header.payload_len;
        return verify_zeros(&scrub->verify, segment, reader, segment->index_at + used,
                            reader->size);
    }
    if (err != OK && err != ERR_NOT_FOUND && err != ERR_DAMAGED) {
        return err;
    }
    index_write_again(scrub->log, segment);
    return verify_damaged_index(&scrub->verify, segment, segment->index_at);
}

/* ---- segments that are ready ---- */

static enum err look_ahead(struct log_scrub *scrub)
{
    struct log *log = scrub->log;
    struct segment segment = {0};
    pthread_mutex_lock(&log->mutex);
    bool found = !scrub->looked_ahead && log->last != NULL && log->last->state == SEGMENT_READY;
    if (found) {
        segment = *log->last;
    }
    pthread_mutex_unlock(&log->mutex);
    if (!scrub->looked_ahead) {
        check_note(scrub);
    }
    scrub->looked_ahead = true;
    return found ? judge(scrub, &segment, check_unused(scrub, &segment)) : OK;
}

/* It is there while the log is open. */
static void check_note(struct log_scrub *scrub)
{
    if (end_check(scrub->log) != OK) {
        IGNORE(end_damaged(scrub->log, &scrub->report)); /* it is what is told */
        tell(scrub);
    }
}

static enum err check_unused(struct log_scrub *scrub, const struct segment *segment)
{
    struct frame_reader reader;
    enum err err = open_file(scrub, segment, &reader);
    err = err != OK ? err : verify_zeros(&scrub->verify, segment, &reader, 0, reader.size);
    if (err == OK && reader.size < segment->size) {
        err = scan_damage_in(&scrub->verify.scan, segment, reader.size,
                             "The file is shorter than it was made");
    }
    frame_reader_close(&reader);
    return err;
}

/* ---- what became of it ---- */

static enum err open_file(struct log_scrub *scrub, const struct segment *segment,
                          struct frame_reader *reader)
{
    char path[4200];
    enum err err = segment_reader_aside(scrub->log, segment, reader, path, sizeof(path));
    reader->read = scrub->options.read;
    reader->read_arg = scrub->options.arg;
    return err;
}

/* What became of it since it was copied. A segment that is being trimmed is in the list for a
 * little longer than its file is there; one that was cleaned is not in it when its file goes. */
enum fate { FATE_HELD, FATE_TRIMMED, FATE_CLEANED };

static bool is_same(const struct segment *segment, const struct segment *now)
{
    return now != NULL && now->number == segment->number &&
           now->generation == segment->generation &&
           (segment->state != SEGMENT_READY ||
            (now->state == SEGMENT_READY && now->size == segment->size));
}

static enum fate fate_of(struct log_scrub *scrub, const struct segment *segment)
{
    struct log *log = scrub->log;
    pthread_mutex_lock(&log->mutex);
    bool same = is_same(segment, scan_find(log, segment->number));
    bool trimmed = segment->state == SEGMENT_SEALED && segment->last_commit < log_first(log);
    pthread_mutex_unlock(&log->mutex);
    bool cleaned = !same && !trimmed && segment->state == SEGMENT_SEALED;
    return cleaned ? FATE_CLEANED : same && !trimmed ? FATE_HELD : FATE_TRIMMED;
}

static void tell(struct log_scrub *scrub)
{
    scrub->options.damaged(scrub->options.arg, &scrub->report);
}

/* Damage is told, and what follows it need not be behind anything. */
static enum err judge(struct log_scrub *scrub, const struct segment *segment, enum err err)
{
    struct scan *scan = &scrub->verify.scan;
    char what[512];
    bool is_file = err == ERR_NOT_FOUND || err == ERR_IO || err == ERR_DAMAGED;
    if (!is_file) {
        return err;
    }
    enum fate fate = fate_of(scrub, segment);
    scan->any = false;
    if (fate == FATE_CLEANED) {
        scrub->number = segment->number;
    }
    if (fate != FATE_HELD) {
        return OK;
    }
    if (err != ERR_DAMAGED) {
        snprintf(what, sizeof(what), "%s", err == ERR_IO ? file_failure() : "It is missing");
        IGNORE(scan_damage_in(scan, segment, 0, what)); /* the report, which is told */
    }
    tell(scrub);
    return OK;
}
