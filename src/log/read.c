/* Reading: streams from the tail or from segments, replay, following, and the commit of a time.
 * Segments are copied out of the list under the mutex and then read without it: one that is removed
 * meanwhile reads as trimmed. */
#include "base/assert.h"
#include "base/mem.h"
#include "base/note.h"
#include "log/log_priv.h"
#include "sys/file.h"

#include <stdio.h>
#include <stdlib.h>

/* A way through the segments: the one at hand, and what the directory said of those behind it. */
struct walk {
    uint64_t stream;
    struct segment segment;
    struct index_entry *entries; /* the stream's, of an index in memory: a copy */
    size_t count;
    uint64_t removals; /* of the log when the segment was taken */
    struct log_directory_found found;
    uint64_t found_removals; /* of the log when the directory was asked; else UINT64_MAX */
};

static enum err measure_first(struct log *log);
static enum err read_segments(struct log *log, struct log_read *read);
static bool next_segment(struct log *log, struct walk *walk, uint64_t from, struct log_place after);
static bool is_held(struct log *log, const struct segment *copy);
static enum err ask_directory(struct log *log, struct walk *walk, uint64_t *from);
static enum err read_segment(struct log *log, const struct walk *walk, struct log_read *read,
                             size_t *bytes, bool *full);
static enum err read_entries(struct log *log, const struct segment *segment,
                             const struct index_entry *entries, size_t count, struct log_read *read,
                             size_t *bytes, bool *full);

enum err log_read(struct log *log, struct log_read *read)
{
    read->count = 0;
    read->at_end = false;
    read->reached = read->after;
    if (read->records_max == 0) {
        return OK;
    }
    size_t max = read->records_max < 4096 ? read->records_max : 4096;
    read->records_max = max;
    read->records = arena_alloc(read->arena, max * sizeof(read->records[0]));
    if (read->records == NULL) {
        return ERR_NOMEM;
    }
    enum err err = tail_read(log, read);
    if (err != ERR_INCOMPLETE || read->mode == LOG_READ_TAIL_ONLY) {
        return err;
    }
    DASSERT(thread_role() != ROLE_LOOP);
    if (read->after.commit + (read->after.index == LOG_INDEX_END ? 1 : 0) < log_first(log) &&
        read->after.commit + 1 < log_first(log)) {
        TRY(measure_first(log));
        return ERR_TRIMMED;
    }
    return read_segments(log, read);
}

/* Where the log begins, its first frame says, which is known to be the first when those behind it
 * follow. */
static enum err measure_first(struct log *log)
{
    struct segment first = {0};
    pthread_mutex_lock(&log->mutex);
    if (log->first != NULL) {
        first = *log->first;
    }
    pthread_mutex_unlock(&log->mutex);
    enum err err = segment_measure(log, &first);
    return err == ERR_NOT_FOUND ? OK : err; /* it was removed */
}

static enum err read_segments(struct log *log, struct log_read *read)
{
    uint64_t visible = log_visible(log);
    uint64_t end = read->until < visible ? read->until : visible;
    struct walk walk = {.stream = read->stream, .found_removals = UINT64_MAX};
    uint64_t from = 0;
    size_t bytes = 0;
    bool full = false;
    enum err err = OK;
    while (err == OK && !full && next_segment(log, &walk, from, read->reached) &&
           walk.segment.first_commit <= end) {
        from = walk.segment.number;
        err = ask_directory(log, &walk, &from);
        if (err != OK || from == 0 || from > walk.segment.last_number) {
            continue;
        }
        from = walk.segment.last_number + 1;
        err = read_segment(log, &walk, read, &bytes, &full);
        if (err == ERR_NOT_FOUND) { /* the file went while we looked */
            err = is_held(log, &walk.segment)                 ? ERR_DAMAGED
                  : walk.segment.last_commit < log_first(log) ? ERR_TRIMMED
                                                              : OK;
            from = 0; /* what was alive of it is in another (log I17) */
            continue;
        }
        if (err == OK && !full && walk.segment.last_commit <= end) {
            read->reached = (struct log_place){walk.segment.last_commit, LOG_INDEX_END};
        }
    }
    mem_free(walk.entries);
    if (err == OK && !full) {
        read->at_end = true;
        read->reached = (struct log_place){end > read->reached.commit ? end : read->reached.commit,
                                           LOG_INDEX_END};
    }
    return err;
}

/* One that is about to be removed counts as gone. */
static bool is_held(struct log *log, const struct segment *copy)
{
    pthread_mutex_lock(&log->mutex);
    const struct segment *segment = scan_find(log, copy->number);
    bool held = segment != NULL && segment->generation == copy->generation &&
                segment->last_commit >= log_first(log);
    pthread_mutex_unlock(&log->mutex);
    return held;
}

/* Sealed segments hold commits in the order of their numbers. */
static bool is_past(const struct segment *segment, uint64_t commit)
{
    return segment->state != SEGMENT_SEALED || segment->last_commit >= commit;
}

/* The first segment from a number on that may hold something past `after`. Entries of an index in
 * memory are copied. */
static bool next_segment(struct log *log, struct walk *walk, uint64_t from, struct log_place after)
{
    mem_free(walk->entries);
    walk->entries = NULL;
    walk->count = 0;
    pthread_mutex_lock(&log->mutex);
    size_t at = segments_bisect(log, is_past, after.commit);
    size_t least = segments_bisect(log, segment_is_from, from);
    const struct segment *segment = NULL;
    for (at = at > least ? at : least; at < log->segment_count && segment == NULL; at++) {
        const struct segment *other = log->by_number[at];
        bool useful = other->state != SEGMENT_READY && other->first_commit != UINT64_MAX &&
                      other->last_commit >= after.commit;
        segment = useful ? other : NULL;
    }
    if (segment != NULL) {
        walk->segment = *segment;
        walk->removals = log->removals;
        const struct stream_index *list =
            segment->index == NULL ? NULL : index_find(segment->index, walk->stream);
        if (list != NULL && list->count > 0) {
            walk->entries = mem_alloc(list->count * sizeof(*walk->entries));
            memcpy(walk->entries, list->entries, list->count * sizeof(*walk->entries));
            walk->count = list->count;
        }
    }
    pthread_mutex_unlock(&log->mutex);
    return segment != NULL;
}

/* *from: the number to go on from; the segment's own where it is to be read. What the directory
 * said before a segment went may lead past where its records are now: then all that comes after
 * what was reached is looked at again. */
static enum err ask_directory(struct log *log, struct walk *walk, uint64_t *from)
{
    const struct log_directory *directory = &log->options.directory;
    struct log_directory_found *found = &walk->found;
    if (walk->found_removals != UINT64_MAX && walk->found_removals != walk->removals) {
        walk->found_removals = UINT64_MAX;
        *from = 0;
        return OK;
    }
    if (walk->segment.index != NULL || directory->find == NULL) {
        return OK;
    }
    if (walk->found_removals == UINT64_MAX || *from >= found->until) {
        *found = (struct log_directory_found){.until = *from + 1};
        TRY(directory->find(directory->arg, walk->stream, *from, found));
        walk->found_removals = walk->removals;
    }
    size_t i = 0;
    while (i < found->count && found->segments[i] < *from) {
        i++;
    }
    *from = i < found->count ? found->segments[i] : found->until;
    return OK;
}

static enum err read_segment(struct log *log, const struct walk *walk, struct log_read *read,
                             size_t *bytes, bool *full)
{
    const struct segment *segment = &walk->segment;
    if (segment->index != NULL) {
        return read_entries(log, segment, walk->entries, walk->count, read, bytes, full);
    }
    struct segment_index *index = NULL;
    TRY(index_load(log, segment, &index));
    const struct stream_index *list = index_find(index, walk->stream);
    enum err err = list == NULL
                       ? OK
                       : read_entries(log, segment, list->entries, list->count, read, bytes, full);
    index_free(index);
    return err;
}

static bool entry_after(const struct index_entry *entry, struct log_place place)
{
    return entry->commit > place.commit ||
           (entry->commit == place.commit && entry->index > place.index);
}

static enum err read_entries(struct log *log, const struct segment *segment,
                             const struct index_entry *entries, size_t count, struct log_read *read,
                             size_t *bytes, bool *full)
{
    struct frame_reader reader;
    struct frame_header header = {0};
    struct bytes payload = BYTES_NONE;
    uint32_t held = UINT32_MAX;
    char path[4200];
    size_t low = 0;
    size_t high = count;
    uint64_t visible = log_visible(log);
    uint64_t end = read->until < visible ? read->until : visible;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (entry_after(&entries[middle], read->reached)) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    if (low == count) {
        return OK;
    }
    TRY(segment_reader(log, segment, &reader, path, sizeof(path)));
    enum err err = OK;
    for (size_t i = low; i < count && err == OK; i++) {
        const struct index_entry *entry = &entries[i];
        if (entry->commit > end) {
            break;
        }
        if (entry->key_hash < read->hash_low || entry->key_hash > read->hash_high) {
            continue;
        }
        if (read->count == read->records_max ||
            (read->count > 0 && *bytes + entry->len > read->bytes_max)) {
            *full = true;
            break;
        }
        if (held != entry->frame_sector) {
            err =
                frame_reader_at(&reader, (uint64_t)entry->frame_sector * SECTOR, &header, &payload);
            held = entry->frame_sector;
        }
        bool there = err == OK && frame_holds(&header, payload, read->stream, entry);
        if (!there && (err == OK || err == ERR_NOT_FOUND || err == ERR_DAMAGED)) {
            NOTE(NOTE_ERROR, "log.damaged", NOTE_S("file", path),
                 NOTE_U("offset", (uint64_t)entry->frame_sector * SECTOR));
            err = ERR_DAMAGED;
        }
        if (!there) {
            break;
        }
        struct bytes body =
            arena_dup(read->arena, bytes_of(payload.ptr + entry->offset, entry->len));
        if (body.ptr == NULL) {
            err = ERR_NOMEM;
            break;
        }
        *bytes += entry->len;
        read->records[read->count++] =
            (struct log_record){.commit = entry->commit,
                                .index = entry->index,
                                .count = entry->count,
                                .time_ms = frame_record_time(&header, payload, entry->offset),
                                .stream = read->stream,
                                .key_hash = entry->key_hash,
                                .body = body,
                                .kind = entry->kind};
        read->reached = (struct log_place){entry->commit, entry->index};
    }
    frame_reader_close(&reader);
    return err;
}

/* ---- replay and time ---- */

struct replaying {
    uint64_t after;
    log_visit *fn;
    void *arg;
};

static enum err replay_record(void *arg, const struct log_record *record, uint32_t offset)
{
    const struct replaying *replaying = arg;
    (void)offset;
    return record->commit <= replaying->after ? OK : replaying->fn(replaying->arg, record);
}

/* Segments come and go while replay walks them: a worker makes the next one ahead, and removes
 * those that are trimmed. */
enum err log_replay(struct log *log, uint64_t after, log_visit *fn, void *arg)
{
    struct replaying replaying = {after, fn, arg};
    if (log->last_commit > after && after + 1 < log_first(log)) {
        return ERR_TRIMMED;
    }
    struct walk walk = {0};
    while (
        next_segment(log, &walk, walk.segment.last_number + 1, (struct log_place){after + 1, 0})) {
        struct segment segment = walk.segment;
        struct frame_reader reader;
        struct frame_header header;
        struct bytes payload;
        char path[4200];
        TRY(segment_measure(log, &segment));
        TRY(segment_reader(log, &segment, &reader, path, sizeof(path)));
        enum err err = OK;
        for (uint64_t at = 0; at < segment.used && err == OK;
             at += sectors_of(HEADER + (uint64_t)header.payload_len)) {
            err = frame_reader_at(&reader, at, &header, &payload);
            if (err == OK && header.kind == FRAME_DATA &&
                header.first_commit + header.commit_count > after + 1) {
                err = frame_walk(&header, payload, replay_record, &replaying);
            }
            err = err == ERR_NOT_FOUND ? ERR_DAMAGED : err;
        }
        frame_reader_close(&reader);
        TRY(err);
    }
    return OK;
}

static bool is_empty(const struct segment *segment)
{
    return segment->state != SEGMENT_SEALED && segment->last_commit < segment->first_commit;
}

/* Times never fall (log I14); those without a frame that is shown come last. */
static bool is_from_time(const struct segment *segment, uint64_t time_ms)
{
    return is_empty(segment) || segment->last_time_ms >= time_ms;
}

static enum err note_before(void *arg, const struct log_record *record, uint32_t offset)
{
    struct time_mark *mark = arg;
    (void)offset;
    if (record->time_ms < mark->time_ms) {
        mark->commit = record->commit;
    } else if (mark->next_ms == UINT64_MAX) {
        mark->next_ms = record->time_ms;
    }
    return OK;
}

/* From where the mark stands to the first frame that is not older, or to what cannot be read. */
static void read_until(struct frame_reader *reader, struct time_mark *mark)
{
    struct frame_header header;
    struct bytes payload;
    while (mark->at < mark->used && frame_reader_at(reader, mark->at, &header, &payload) == OK) {
        if (header.time_ms >= mark->time_ms) {
            mark->next_ms = header.time_ms;
            return;
        }
        if (header.kind == FRAME_KEPT) {
            IGNORE(frame_walk(&header, payload, note_before, mark)); /* as far as it goes */
        } else if (header.kind != FRAME_SUMMARY && header.commit_count > 0) {
            mark->commit = header.first_commit + header.commit_count - 1;
        }
        if (mark->next_ms != UINT64_MAX) {
            return;
        }
        mark->at += sectors_of(HEADER + (uint64_t)header.payload_len);
    }
}

/* The mark that spares the most reading; else one to be made anew. Under the mutex. */
static struct time_mark *find_mark(struct log *log, const struct segment *boundary,
                                   uint64_t time_ms)
{
    struct time_mark *found = NULL;
    for (size_t i = 0; i < TIME_MARKS; i++) {
        struct time_mark *mark = &log->time_marks[i];
        bool usable = mark->segment == boundary->number &&
                      mark->generation == boundary->generation && mark->time_ms <= time_ms;
        found = usable && (found == NULL || mark->time_ms > found->time_ms) ? mark : found;
    }
    return found;
}

static bool answers(const struct time_mark *mark, const struct segment *boundary, uint64_t time_ms)
{
    return mark->next_ms == UINT64_MAX ? mark->used == boundary->used : time_ms <= mark->next_ms;
}

static void keep_mark(struct log *log, const struct time_mark *made)
{
    pthread_mutex_lock(&log->mutex);
    const struct segment boundary = {.number = made->segment, .generation = made->generation};
    struct time_mark *place = find_mark(log, &boundary, made->time_ms);
    if (place == NULL) {
        place = &log->time_marks[log->time_mark_next++ % TIME_MARKS];
    }
    *place = *made;
    pthread_mutex_unlock(&log->mutex);
}

/* In a cleaned file that is the newest one that is left. It is asked again and again of a time that
 * went on a little: what is known of the segment where that lies is kept, so that nothing is read
 * while nothing grows old. */
uint64_t log_commit_before(struct log *log, uint64_t time_ms)
{
    struct segment boundary = {0};
    struct time_mark mark = {0};
    bool known = false;
    pthread_mutex_lock(&log->mutex);
    size_t place = segments_bisect(log, is_from_time, time_ms);
    uint64_t commit = place == 0 ? 0 : log->by_number[place - 1]->last_commit;
    bool inside = place < log->segment_count && !is_empty(log->by_number[place]);
    if (inside) {
        boundary = *log->by_number[place];
        const struct time_mark *found = find_mark(log, &boundary, time_ms);
        known = found != NULL;
        mark = known ? *found : mark;
    }
    pthread_mutex_unlock(&log->mutex);
    if (!inside || (known && answers(&mark, &boundary, time_ms))) {
        return known ? mark.commit : commit;
    }
    struct frame_reader reader;
    char path[4200];
    if (segment_measure(log, &boundary) != OK ||
        segment_reader(log, &boundary, &reader, path, sizeof(path)) != OK) {
        return commit;
    }
    mark = (struct time_mark){.segment = boundary.number,
                              .generation = boundary.generation,
                              .used = boundary.used,
                              .time_ms = time_ms,
                              .next_ms = UINT64_MAX,
                              .at = known ? mark.at : 0,
                              .commit = known ? mark.commit : commit};
    read_until(&reader, &mark);
    if (reader.failed == OK) {
        keep_mark(log, &mark);
    }
    frame_reader_close(&reader);
    return mark.commit;
}

/* ---- following ---- */

static bool has_more(const struct log *log, uint64_t stream, struct log_place after)
{
    uint64_t visible = atomic_load_explicit(&log->visible, memory_order_relaxed);
    if (after.commit >= visible && after.index == LOG_INDEX_END) {
        return false;
    }
    uint64_t resume = after.index == LOG_INDEX_END ? after.commit + 1 : after.commit;
    if (log->tail_oldest == NULL || log->tail_oldest->first_commit > resume) {
        return resume <= visible; /* older than the tail: the reader finds out */
    }
    for (const struct tail_frame *frame = log->tail_oldest; frame != NULL; frame = frame->newer) {
        for (size_t i = 0; frame->last_commit >= resume && i < frame->entry_count; i++) {
            const struct tail_entry *entry = &frame->entries[i];
            if ((stream == 0 || entry->stream == stream) && entry_after(&entry->at, after)) {
                return true;
            }
        }
    }
    return false;
}

void log_follow(struct log *log, struct log_follower *follower, struct log_place after)
{
    pthread_mutex_lock(&log->mutex);
    ASSERT(!follower->armed);
    bool now = has_more(log, follower->stream, after);
    if (!now) {
        follower->armed = true;
        follower->next = log->followers;
        log->followers = follower;
    }
    pthread_mutex_unlock(&log->mutex);
    if (now) {
        mailbox_post(follower->home, &follower->message);
    }
}

bool log_unfollow(struct log *log, struct log_follower *follower)
{
    pthread_mutex_lock(&log->mutex);
    bool armed = follower->armed;
    struct log_follower **link = &log->followers;
    while (armed && *link != follower) {
        link = &(*link)->next;
    }
    if (armed) {
        *link = follower->next;
        follower->armed = false;
    }
    pthread_mutex_unlock(&log->mutex);
    return !armed;
}
