/* What is in the log's directory: its id, and the segment files by their names and first headers.
 */
#include "base/mem.h"
#include "log/log_priv.h"
#include "sys/file.h"

#include <stdio.h>
#include <stdlib.h>

/* Of a file that makes the rest unreadable. */
static enum err damaged_file(struct log_report *report, const char *path, const char *what)
{
    snprintf(report->file, sizeof(report->file), "%s", path);
    snprintf(report->reason, sizeof(report->reason),
             "%s. Restore the file from a copy, or move the data directory aside.", what);
    return ERR_DAMAGED;
}

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
