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

static enum err read_segments(struct log *log, struct log_read *read);
static bool next_segment(struct log *log, uint64_t after_number, struct log_place after,
                         struct segment *copy, struct index_entry **entries, size_t *count,
                         uint64_t stream);
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
    if (read->after.commit + (read->after.index == LOG_INDEX_END ? 1 : 0) < log_first(log) &&
        read->after.commit + 1 < log_first(log)) {
        return ERR_TRIMMED;
    }
    return read_segments(log, read);
}

static enum err read_segments(struct log *log, struct log_read *read)
{
    uint64_t visible = log_visible(log);
    uint64_t end = read->until < visible ? read->until : visible;
    uint64_t number = 0;
    size_t bytes = 0;
    bool full = false;
    struct segment segment;
    struct index_entry *entries = NULL;
    size_t count = 0;
    while (!full &&
           next_segment(log, number, read->after, &segment, &entries, &count, read->stream)) {
        number = segment.number;
        enum err err = OK;
        struct segment_index *loaded = NULL;
        if (segment.first_commit > end) {
            mem_free(entries);
            break;
        }
        if (segment.index == NULL && log->options.directory.find != NULL) {
            uint64_t wanted;
            TRY(log->options.directory.find(log->options.directory.arg, read->stream, number,
                                            &wanted));
            if (wanted > number) {
                number = wanted - 1;
                continue;
            }
        }
        if (segment.index == NULL) {
            err = index_load(log, &segment, &loaded);
            const struct stream_index *list = err == OK ? index_find(loaded, read->stream) : NULL;
            count = list == NULL ? 0 : list->count;
            err = err != OK ? err
                            : read_entries(log, &segment, list == NULL ? NULL : list->entries,
                                           count, read, &bytes, &full);
            index_free(loaded);
        } else {
            err = read_entries(log, &segment, entries, count, read, &bytes, &full);
        }
        mem_free(entries);
        entries = NULL;
        if (err == ERR_NOT_FOUND) {
            return ERR_TRIMMED; /* the file went while we looked */
        }
        TRY(err);
        if (!full && segment.last_commit <= end) {
            read->reached = (struct log_place){segment.last_commit, LOG_INDEX_END};
        }
    }
    if (!full) {
        read->at_end = true;
        read->reached = (struct log_place){end > read->reached.commit ? end : read->reached.commit,
                                           LOG_INDEX_END};
    }
    return OK;
}

/* The first segment after a number that may hold something past `after`. Entries of an index in
 * memory are copied. */
static bool next_segment(struct log *log, uint64_t after_number, struct log_place after,
                         struct segment *copy, struct index_entry **entries, size_t *count,
                         uint64_t stream)
{
    bool found = false;
    *entries = NULL;
    *count = 0;
    pthread_mutex_lock(&log->mutex);
    for (struct segment *segment = log->first; segment != NULL && !found; segment = segment->next) {
        bool useful = segment->number > after_number && segment->state != SEGMENT_READY &&
                      segment->first_commit != UINT64_MAX && segment->last_commit >= after.commit;
        if (!useful) {
            continue;
        }
        found = true;
        *copy = *segment;
        const struct stream_index *list =
            segment->index == NULL ? NULL : index_find(segment->index, stream);
        if (list != NULL && list->count > 0) {
            *entries = mem_alloc(list->count * sizeof(**entries));
            memcpy(*entries, list->entries, list->count * sizeof(**entries));
            *count = list->count;
        }
    }
    pthread_mutex_unlock(&log->mutex);
    return found;
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
        if (entry_after(&entries[middle], read->after)) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    if (low == count) {
        return OK;
    }
    segment_path(log, segment->number, path, sizeof(path));
    TRY(frame_reader_open(&reader, path, segment->number, log->id));
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
        if (err != OK || header.kind != FRAME_DATA ||
            (size_t)entry->offset + entry->len > payload.len) {
            NOTE(NOTE_ERROR, "log.damaged", NOTE_S("file", path),
                 NOTE_U("offset", (uint64_t)entry->frame_sector * SECTOR));
            err = ERR_DAMAGED;
            break;
        }
        struct bytes body =
            arena_dup(read->arena, bytes_of(payload.ptr + entry->offset, entry->len));
        if (body.ptr == NULL) {
            err = ERR_NOMEM;
            break;
        }
        *bytes += entry->len;
        read->records[read->count++] = (struct log_record){.commit = entry->commit,
                                                           .index = entry->index,
                                                           .count = entry->count,
                                                           .time_ms = header.time_ms,
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
    struct segment segment = {0};
    struct index_entry *none;
    size_t count;
    while (next_segment(log, segment.number, (struct log_place){after + 1, 0}, &segment, &none,
                        &count, 0)) {
        struct frame_reader reader;
        struct frame_header header;
        struct bytes payload;
        char path[4200];
        TRY(segment_measure(log, &segment));
        segment_path(log, segment.number, path, sizeof(path));
        TRY(frame_reader_open(&reader, path, segment.number, log->id));
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

uint64_t log_commit_before(struct log *log, uint64_t time_ms)
{
    uint64_t commit = 0;
    struct segment boundary = {0};
    bool inside = false;
    pthread_mutex_lock(&log->mutex);
    for (struct segment *segment = log->first; segment != NULL && !inside;
         segment = segment->next) {
        if (segment->state == SEGMENT_READY || segment->first_commit == UINT64_MAX) {
            continue;
        }
        if (segment->last_time_ms < time_ms) {
            commit = segment->last_commit;
        } else {
            boundary = *segment;
            inside = true;
        }
    }
    pthread_mutex_unlock(&log->mutex);
    struct frame_reader reader;
    struct frame_header header;
    struct bytes payload;
    char path[4200];
    segment_path(log, boundary.number, path, sizeof(path));
    if (!inside || segment_measure(log, &boundary) != OK ||
        frame_reader_open(&reader, path, boundary.number, log->id) != OK) {
        return commit;
    }
    for (uint64_t at = 0; at < boundary.used;
         at += sectors_of(HEADER + (uint64_t)header.payload_len)) {
        if (frame_reader_at(&reader, at, &header, &payload) != OK || header.time_ms >= time_ms) {
            break;
        }
        commit = header.commit_count > 0 ? header.first_commit + header.commit_count - 1 : commit;
    }
    frame_reader_close(&reader);
    return commit;
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
