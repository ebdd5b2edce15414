/* The tail: the newest frames in memory, as they were written, shared by all who follow; and the
 * followers. A frame is immutable once published (log I12). The mutex is held to walk the list and
 * take references, never while records are copied. */
#include "base/mem.h"
#include "log/log_priv.h"

#define PIN_MAX 64u /* frames looked at under one hold of the mutex */

struct tail_frame *tail_frame_new(size_t cap)
{
    struct tail_frame *frame = mem_zalloc(1, sizeof(*frame));
    atomic_init(&frame->references, 1);
    frame->cap = (size_t)sectors_of(cap);
    frame->memory = mem_alloc_pages(frame->cap);
    frame->len = HEADER;
    return frame;
}

void tail_frame_drop(struct tail_frame *frame)
{
    if (frame != NULL &&
        atomic_fetch_sub_explicit(&frame->references, 1, memory_order_acq_rel) == 1) {
        mem_free(frame->memory);
        mem_free(frame->entries);
        mem_free(frame);
    }
}

uint8_t *tail_frame_room(struct tail_frame *frame, size_t n)
{
    if (frame->cap - frame->len < n + SECTOR) { /* a sector for the zeros at the end */
        size_t cap = frame->cap * 2;
        while (cap - frame->len < n + SECTOR) {
            cap *= 2;
        }
        cap = (cap + 4095) / 4096 * 4096;
        uint8_t *grown = mem_alloc_pages(cap);
        memcpy(grown, frame->memory, frame->len);
        mem_free(frame->memory);
        frame->memory = grown;
        frame->cap = cap;
    }
    return frame->memory + frame->len;
}

static size_t frame_bytes(const struct tail_frame *frame)
{
    return sizeof(*frame) + frame->cap + frame->entry_cap * sizeof(frame->entries[0]);
}

/* Under the mutex. The oldest go when the bound is passed; the newest frame always stays. */
void tail_push(struct log *log, struct tail_frame *frame)
{
    frame->newer = NULL;
    if (log->tail_newest == NULL) {
        log->tail_oldest = frame;
    } else {
        log->tail_newest->newer = frame;
    }
    log->tail_newest = frame;
    log->tail_bytes += frame_bytes(frame);
    while (log->tail_bytes > log->options.tail_bytes && log->tail_oldest != frame) {
        struct tail_frame *oldest = log->tail_oldest;
        log->tail_oldest = oldest->newer;
        log->tail_bytes -= frame_bytes(oldest);
        tail_frame_drop(oldest);
    }
    log->figures.tail_bytes = log->tail_bytes;
    log->figures.tail_first_commit = log->tail_oldest->first_commit;
}

static bool is_after(uint64_t commit, uint32_t index, struct log_place place)
{
    return commit > place.commit || (commit == place.commit && index > place.index);
}

/* Takes a frame's records of the stream; false when the read is full. */
static enum err take_records(const struct tail_frame *frame, struct log_read *read, size_t *bytes,
                             bool *full)
{
    for (size_t i = 0; i < frame->entry_count; i++) {
        const struct tail_entry *entry = &frame->entries[i];
        if (entry->stream != read->stream ||
            !is_after(entry->at.commit, entry->at.index, read->after)) {
            continue;
        }
        if (entry->at.commit > read->until) {
            return OK;
        }
        if (entry->at.key_hash < read->hash_low || entry->at.key_hash > read->hash_high) {
            continue;
        }
        if (read->count == read->records_max ||
            (read->count > 0 && *bytes + entry->at.len > read->bytes_max)) {
            *full = true;
            return OK;
        }
        struct bytes body = arena_dup(
            read->arena, bytes_of(frame->memory + HEADER + entry->at.offset, entry->at.len));
        if (body.ptr == NULL) {
            return ERR_NOMEM;
        }
        *bytes += entry->at.len;
        read->records[read->count++] = (struct log_record){.commit = entry->at.commit,
                                                           .index = entry->at.index,
                                                           .count = entry->at.count,
                                                           .time_ms = frame->time_ms,
                                                           .stream = entry->stream,
                                                           .key_hash = entry->at.key_hash,
                                                           .body = body,
                                                           .kind = entry->at.kind};
        read->reached = (struct log_place){entry->at.commit, entry->at.index};
    }
    return OK;
}

/* From read->after on. ERR_INCOMPLETE: that is older than the tail. read->records has room for
 * records_max. */
enum err tail_read(struct log *log, struct log_read *read)
{
    struct tail_frame *pinned[PIN_MAX];
    size_t bytes = 0;
    bool full = false;
    bool more = true;
    read->reached = read->after;
    uint64_t resume =
        read->after.index == LOG_INDEX_END ? read->after.commit + 1 : read->after.commit;
    while (more && !full) {
        size_t count = 0;
        pthread_mutex_lock(&log->mutex);
        uint64_t visible = atomic_load_explicit(&log->visible, memory_order_acquire);
        uint64_t end = read->until < visible ? read->until : visible;
        if (resume <= end &&
            (log->tail_oldest == NULL || log->tail_oldest->first_commit > resume)) {
            pthread_mutex_unlock(&log->mutex);
            return read->count > 0 ? OK : ERR_INCOMPLETE;
        }
        for (struct tail_frame *frame = log->tail_oldest;
             frame != NULL && count < PIN_MAX && frame->first_commit <= end; frame = frame->newer) {
            if (frame->last_commit >= resume) {
                atomic_fetch_add_explicit(&frame->references, 1, memory_order_relaxed);
                pinned[count++] = frame;
            }
        }
        pthread_mutex_unlock(&log->mutex);
        enum err err = OK;
        for (size_t i = 0; i < count; i++) {
            if (err == OK && !full) {
                err = take_records(pinned[i], read, &bytes, &full);
                resume = pinned[i]->last_commit + 1;
                if (!full) {
                    uint64_t whole = pinned[i]->last_commit < end ? pinned[i]->last_commit : end;
                    read->reached = (struct log_place){whole, LOG_INDEX_END};
                }
            }
            tail_frame_drop(pinned[i]);
        }
        TRY(err);
        more = count == PIN_MAX;
        if (!more && !full) {
            read->at_end = true;
            if (read->reached.commit < end) {
                read->reached = (struct log_place){end, LOG_INDEX_END};
            }
        }
    }
    return OK;
}

/* Takes the followers that this frame concerns off the list; posts them outside the mutex. */
void followers_wake(struct log *log, const struct tail_frame *frame)
{
    struct log_follower *woken = NULL;
    pthread_mutex_lock(&log->mutex);
    struct log_follower **link = &log->followers;
    while (*link != NULL) {
        struct log_follower *follower = *link;
        bool wanted = follower->stream == 0;
        for (size_t i = 0; i < frame->entry_count && !wanted; i++) {
            wanted = frame->entries[i].stream == follower->stream;
        }
        if (!wanted) {
            link = &follower->next;
            continue;
        }
        *link = follower->next;
        follower->next = woken;
        woken = follower;
    }
    for (struct log_follower *follower = woken; follower != NULL; follower = follower->next) {
        follower->armed = false;
    }
    pthread_mutex_unlock(&log->mutex);
    while (woken != NULL) {
        struct log_follower *follower = woken;
        woken = follower->next;
        mailbox_post(follower->home, &follower->message);
    }
}
