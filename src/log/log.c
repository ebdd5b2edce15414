/* Opening, appending, publishing: the committer's side of the log, and its figures. Hop 6 of the
 * straight path: after table/commit.c; when log_append has returned, everything in the frame is
 * durable, or the caller ends the process (log I1, I2, I9). */
#include "log/log.h"

#include "base/assert.h"
#include "base/digest.h"
#include "base/mem.h"
#include "base/note.h"
#include "log/log_priv.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/random.h"

#include <stdio.h>

#define GROUP_FIRST 16384u

static enum err id_open(struct log *log, struct log_report *report);
static bool probe_direct(struct log *log);
static enum err open_segment_file(struct log *log);
static void commit_close(struct log *log);
static enum err switch_segment(struct log *log, uint64_t bytes);
static enum err write_mark(struct log *log, enum frame_kind kind, uint64_t value);
static enum err write_and_sync(struct log *log, const void *memory, size_t len);
static void log_free(struct log *log);

enum err log_open(const struct log_options *options, struct log **out, struct log_report *report)
{
    struct log *log = mem_zalloc(1, sizeof(*log));
    *report = (struct log_report){0};
    log->options = *options;
    log->fd = -1;
    log->end_fd = -1;
    if (log->options.segment_bytes == 0) {
        log->options.segment_bytes = 64u << 20;
    }
    log->options.segment_bytes = sectors_of(
        log->options.segment_bytes < SEGMENT_LEAST ? SEGMENT_LEAST : log->options.segment_bytes);
    if (log->options.tail_bytes == 0) {
        log->options.tail_bytes = 16u << 20;
    }
    log->wanted_bytes = log->options.segment_bytes;
    atomic_init(&log->awaited, true); /* by the start */
    snprintf(log->dir, sizeof(log->dir), "%s", options->dir);
    pthread_mutex_init(&log->mutex, NULL);
    pthread_cond_init(&log->worker_wake, NULL);
    pthread_cond_init(&log->segment_ready, NULL);
    pthread_cond_init(&log->noted, NULL);
    pthread_cond_init(&log->cleaner_wake, NULL);
    atomic_init(&log->flushed, options->flushed);
    atomic_init(&log->first_commit, 1);
    enum err err = directory_make(log->dir);
    err = err != OK ? err : id_open(log, report);
    if (err == OK) {
        log->direct = !options->buffered && probe_direct(log);
        log->figures.direct = log->direct;
        err = recover(log, report);
    }
    /* Names that a killed process gave and did not sync: a frame may go into such a segment. */
    err = err != OK ? err : directory_sync(log->dir);
    if (err == OK && log->open == NULL) {
        uint64_t least = log->options.segment_bytes < FIRST_SEGMENT_BYTES
                             ? log->options.segment_bytes
                             : FIRST_SEGMENT_BYTES;
        struct segment *first = NULL;
        err = segment_make(log, log->last == NULL ? 1 : log->last->number + 1, least, &first);
        if (err == OK) {
            segment_add(log, first);
            first->state = SEGMENT_OPEN;
            first->index = index_new();
            log->open = first;
            log->position = 0;
        }
    }
    err = err != OK ? err : open_segment_file(log);
    if (err == OK) {
        atomic_store_explicit(&log->durable, log->last_commit, memory_order_relaxed);
        atomic_store_explicit(&log->visible, log->last_commit, memory_order_relaxed);
        log->figures.segments = log->segment_count;
        err = end_open(log);
    }
    if (err == OK) {
        segments_start(log);
    }
    if (err != OK) {
        log_free(log);
        return err;
    }
    report->last_commit = log->last_commit;
    *out = log;
    return OK;
}

enum err log_close(struct log *log, bool clean)
{
    if (log == NULL) {
        return OK;
    }
    segments_stop(log);
    enum err err = OK;
    if (clean && log->position + (uint64_t)2 * SECTOR <= log->open->size) {
        err = write_mark(log, FRAME_CLEAN, 0);
    }
    enum err closed = file_close(log->fd);
    log->fd = -1;
    err = err != OK ? err : end_close(log, clean);
    log_free(log);
    return err != OK ? err : closed;
}

static void log_free(struct log *log)
{
    segments_stop(log);
    IGNORE(file_close(log->fd)); /* nothing was promised about it */
    IGNORE(end_close(log, false));
    segments_free(log);
    mem_free(log->dropped.items);
    while (log->tail_oldest != NULL) {
        struct tail_frame *frame = log->tail_oldest;
        log->tail_oldest = frame->newer;
        tail_frame_drop(frame);
    }
    tail_frame_drop(log->group);
    tail_frame_drop(log->appended);
    mem_free(log->marks);
    pthread_mutex_destroy(&log->mutex);
    pthread_cond_destroy(&log->worker_wake);
    pthread_cond_destroy(&log->segment_ready);
    pthread_cond_destroy(&log->noted);
    pthread_cond_destroy(&log->cleaner_wake);
    mem_free(log);
}

/* The id is made once, before the first segment. */
static enum err id_open(struct log *log, struct log_report *report)
{
    char path[4200];
    char text[17];
    enum err err = log_id_read(log, report);
    if (err != ERR_NOT_FOUND) {
        return err;
    }
    TRY(log_id_missing(log, report));
    while (log->id == 0) {
        log->id = random_u64();
    }
    snprintf(path, sizeof(path), "%s/id", log->dir);
    snprintf(text, sizeof(text), "%016llx", (unsigned long long)log->id);
    return file_write_all(path, bytes_of(text, 16), 0600);
}

/* Can sectors of 512 bytes be written past the page cache here? */
static bool probe_direct(struct log *log)
{
    char path[4200];
    int fd = -1;
    bool direct = false;
    snprintf(path, sizeof(path), "%s/probe.tmp", log->dir);
    void *sector = mem_alloc_pages(4096);
    if (file_open(path, FILE_CREATE, &fd) == OK) {
        IGNORE(file_close(fd)); /* the probe opens it again */
        memset(sector, 0, 4096);
        if (file_open(path, FILE_UPDATE_DIRECT, &fd) == OK) {
            direct = file_write(fd, sector, 4096, 0) == OK &&
                     file_write(fd, sector, SECTOR, SECTOR) == OK;
            IGNORE(file_close(fd)); /* only a probe */
        }
    }
    mem_free(sector);
    IGNORE(file_remove(path)); /* only a probe */
    return direct;
}

static enum err open_segment_file(struct log *log)
{
    char path[4200];
    segment_path(log, log->open->number, path, sizeof(path));
    return file_open(path, log->direct ? FILE_UPDATE_DIRECT : FILE_UPDATE, &log->fd);
}

uint64_t log_id(const struct log *log)
{
    return log->id;
}

/* ---- the group ---- */

void log_group_begin(struct log *log, uint64_t now_ms)
{
    ASSERT_OWNER(&log->committer);
    if (log->group == NULL) {
        log->group = tail_frame_new(GROUP_FIRST);
    }
    log->group->len = HEADER;
    log->group->entry_count = 0;
    log->group->record_count = 0;
    log->group_time_ms = now_ms > log->last_time_ms ? now_ms : log->last_time_ms;
    log->group_commits = 0;
    log->commit_open = false;
}

uint64_t log_group_time_ms(const struct log *log)
{
    return log->group_time_ms;
}

size_t log_group_bytes(const struct log *log)
{
    return log->group->len - HEADER;
}

uint64_t log_commit_begin(struct log *log)
{
    ASSERT_OWNER(&log->committer);
    commit_close(log);
    uint8_t *room = tail_frame_room(log->group, 1);
    *room = 0; /* the record count, known when the commit is closed */
    log->commit_at = log->group->len;
    log->commit_entry = log->group->entry_count;
    log->group->len++;
    log->commit_records = 0;
    log->commit_open = true;
    log->group_commits++;
    return log->last_commit + log->group_commits;
}

static uint8_t *put_varint(uint8_t *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7) {
        *out++ = (uint8_t)(value | 0x80);
    }
    *out++ = (uint8_t)value;
    return out;
}

void log_record_add(struct log *log, uint8_t kind, uint64_t stream, uint64_t key_hash,
                    struct bytes body)
{
    ASSERT_OWNER(&log->committer);
    struct tail_frame *group = log->group;
    ASSERT(log->commit_open && log->commit_records < LOG_INDEX_END);
    uint8_t *start = tail_frame_room(group, 1 + 8 + 10 + 10 + body.len);
    uint8_t *out = start;
    *out++ = kind;
    for (size_t i = 0; i < 8; i++) {
        *out++ = (uint8_t)(key_hash >> (8 * i));
    }
    out = put_varint(out, stream);
    out = put_varint(out, body.len);
    size_t body_at = group->len + (size_t)(out - start);
    if (body.len > 0) {
        memcpy(out, body.ptr, body.len);
    }
    group->len = body_at + body.len;
    if (stream != 0) {
        if (group->entry_count == group->entry_cap) {
            group->entry_cap = group->entry_cap == 0 ? 64 : group->entry_cap * 2;
            group->entries =
                mem_realloc(group->entries, group->entry_cap * sizeof(group->entries[0]));
        }
        group->entries[group->entry_count++] =
            (struct tail_entry){stream,
                                {.key_hash = key_hash,
                                 .commit = log->last_commit + log->group_commits,
                                 .index = log->commit_records,
                                 .offset = (uint32_t)(body_at - HEADER),
                                 .len = (uint32_t)body.len,
                                 .kind = kind}};
    }
    log->commit_records++;
    group->record_count++;
}

/* Writes the record count; one of more than a byte moves the commit's bytes up. */
static void commit_close(struct log *log)
{
    struct tail_frame *group = log->group;
    if (!log->commit_open) {
        return;
    }
    ASSERT(log->commit_records > 0);
    uint8_t count[5];
    size_t width = (size_t)(put_varint(count, log->commit_records) - count);
    if (width > 1) {
        (void)tail_frame_room(group, width);
        memmove(group->memory + log->commit_at + width, group->memory + log->commit_at + 1,
                group->len - log->commit_at - 1);
        group->len += width - 1;
    }
    memcpy(group->memory + log->commit_at, count, width);
    for (size_t i = log->commit_entry; i < group->entry_count; i++) {
        group->entries[i].at.offset += (uint32_t)(width - 1);
        group->entries[i].at.count = log->commit_records;
    }
    log->commit_open = false;
}

enum err log_append(struct log *log)
{
    ASSERT_OWNER(&log->committer);
    struct tail_frame *group = log->group;
    commit_close(log);
    if (log->group_commits == 0) {
        return OK;
    }
    ASSERT(log->appended == NULL);
    size_t total = (size_t)sectors_of(group->len);
    if (log->position + total + END_ROOM > log->open->size) {
        enum err switched = switch_segment(log, total + END_ROOM);
        if (switched != OK) {
            log->group_commits = 0;
            return switched;
        }
    }
    const struct frame_header header = {.segment = log->open->number,
                                        .first_commit = log->last_commit + 1,
                                        .time_ms = log->group_time_ms,
                                        .log_id = log->id,
                                        .commit_count = log->group_commits,
                                        .payload_len = (uint32_t)(group->len - HEADER),
                                        .previous_crc = log->previous_crc,
                                        .kind = FRAME_DATA};
    uint32_t crc;
    frame_seal(group->memory, &header, &crc);
    memset(group->memory + group->len, 0, total - group->len);
    TRY(write_and_sync(log, group->memory, total));
    group->first_commit = log->last_commit + 1;
    group->last_commit = log->last_commit + log->group_commits;
    group->time_ms = log->group_time_ms;
    for (size_t i = 0; i < group->entry_count; i++) {
        group->entries[i].at.frame_sector = (uint32_t)((log->position - total) / SECTOR);
    }
    log->previous_crc = crc;
    log->last_commit = group->last_commit;
    log->last_time_ms = log->group_time_ms;
    atomic_store_explicit(&log->durable, log->last_commit, memory_order_release);
    log->appended = group;
    log->group = NULL;
    return OK;
}

/* The end frame of the old segment is synced before the first frame of the next is written. */
static enum err switch_segment(struct log *log, uint64_t bytes)
{
    struct segment *next = NULL;
    TRY(segment_take(log, bytes, &next));
    enum err err = write_mark(log, FRAME_END, next->number);
    err = err != OK ? err : file_close(log->fd);
    log->fd = -1;
    if (err != OK) {
        return err == ERR_FULL ? ERR_IO
                               : err; /* something was written: this is not the harmless kind */
    }
    pthread_mutex_lock(&log->mutex);
    log->open->state = SEGMENT_SEALED;
    log->open->used = log->position;
    log->open->last_commit = log->last_commit;
    log->open->last_time_ms = log->last_time_ms;
    if (log->open->first_commit == UINT64_MAX) {
        log->open->first_commit = log->last_commit + 1;
    }
    next->first_commit = log->last_commit + 1;
    log->open = next;
    log->position = 0;
    pthread_cond_signal(&log->worker_wake);
    pthread_mutex_unlock(&log->mutex);
    err = open_segment_file(log);
    return err == ERR_FULL ? ERR_IO : err;
}

/* An end or clean-stop frame: one sector. */
static enum err write_mark(struct log *log, enum frame_kind kind, uint64_t value)
{
    struct tail_frame *frame = tail_frame_new(SECTOR);
    uint32_t crc;
    size_t len = kind == FRAME_END ? 8 : 0;
    memset(frame->memory, 0, SECTOR);
    for (size_t i = 0; i < len; i++) {
        frame->memory[HEADER + i] = (uint8_t)(value >> (8 * i));
    }
    const struct frame_header header = {.segment = log->open->number,
                                        .first_commit = log->last_commit + 1,
                                        .time_ms = log->last_time_ms,
                                        .log_id = log->id,
                                        .payload_len = (uint32_t)len,
                                        .previous_crc = log->previous_crc,
                                        .kind = (uint16_t)kind};
    frame_seal(frame->memory, &header, &crc);
    enum err err = write_and_sync(log, frame->memory, SECTOR);
    log->previous_crc = crc;
    tail_frame_drop(frame);
    return err;
}

static enum err write_and_sync(struct log *log, const void *memory, size_t len)
{
    uint64_t begun = clock_mono_ns();
    enum err err = file_write(log->fd, memory, len, log->position);
    if (err != OK) {
        return ERR_IO;
    }
    uint64_t written = clock_mono_ns();
    if (file_sync(log->fd) != OK) {
        return ERR_IO;
    }
    uint64_t synced = clock_mono_ns();
    uint64_t us = (synced - written) / 1000;
    size_t bucket = us == 0 ? 0 : (size_t)(64 - __builtin_clzll(us));
    pthread_mutex_lock(&log->mutex);
    log->figures.frames++;
    log->figures.syncs++;
    log->figures.bytes += len;
    log->figures.write_ns_total += written - begun;
    log->figures.sync_ns_total += synced - written;
    log->figures.sync_ns_max =
        synced - written > log->figures.sync_ns_max ? synced - written : log->figures.sync_ns_max;
    log->figures.sync_histogram[bucket < 32 ? bucket : 31]++;
    pthread_mutex_unlock(&log->mutex);
    log->position += len;
    return OK;
}

void log_publish(struct log *log, uint64_t commit)
{
    ASSERT_OWNER(&log->committer);
    struct tail_frame *frame = log->appended;
    if (frame == NULL) {
        return;
    }
    ASSERT(commit == frame->last_commit);
    atomic_fetch_add_explicit(&frame->references, 1, memory_order_relaxed);
    pthread_mutex_lock(&log->mutex);
    if (log->open->first_commit == UINT64_MAX) {
        log->open->first_commit = frame->first_commit;
    }
    for (size_t i = 0; i < frame->entry_count; i++) {
        index_add(log->open->index, frame->entries[i].stream, &frame->entries[i].at);
    }
    log->open->last_commit = commit;
    log->open->last_time_ms = frame->time_ms;
    log->open->used = log->position;
    log->figures.commits += commit - frame->first_commit + 1;
    log->figures.records += frame->entry_count;
    mark_bytes(log, commit, frame->len, frame->record_count);
    tail_push(log, frame);
    /* Pairs with the acquire loads of readers: who sees the number sees the index and the tail with
     * it. */
    atomic_store_explicit(&log->visible, commit, memory_order_release);
    pthread_mutex_unlock(&log->mutex);
    log->appended = NULL;
    followers_wake(log, frame);
    tail_frame_drop(frame);
}

/* ---- state ---- */

void mark_bytes(struct log *log, uint64_t commit, uint64_t bytes, uint64_t records)
{
    log->bytes_written += bytes + records * LOG_RECORD_WEIGHT;
    struct byte_mark *newest = log->mark_count == 0 ? NULL : &log->marks[log->mark_count - 1];
    uint64_t since = newest == NULL        ? log->bytes_flushed
                     : log->mark_count > 1 ? log->marks[log->mark_count - 2].bytes
                                           : log->bytes_flushed;
    if (newest != NULL && log->bytes_written - since < MARK_BYTES) {
        *newest = (struct byte_mark){commit, log->bytes_written};
        return;
    }
    if (log->mark_count == log->mark_cap) {
        log->mark_cap = log->mark_cap == 0 ? 64 : log->mark_cap * 2;
        log->marks = mem_realloc(log->marks, log->mark_cap * sizeof(log->marks[0]));
    }
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): no marks is no room, which was made */
    log->marks[log->mark_count++] = (struct byte_mark){commit, log->bytes_written};
}

uint64_t log_last(const struct log *log)
{
    return atomic_load_explicit(&log->durable, memory_order_acquire);
}

uint64_t log_visible(const struct log *log)
{
    return atomic_load_explicit(&log->visible, memory_order_acquire);
}

uint64_t log_first(const struct log *log)
{
    return atomic_load_explicit(&log->first_commit, memory_order_acquire);
}

void log_set_flushed(struct log *log, uint64_t commit)
{
    pthread_mutex_lock(&log->mutex);
    if (commit > atomic_load_explicit(&log->flushed, memory_order_relaxed)) {
        atomic_store_explicit(&log->flushed, commit, memory_order_release);
        size_t gone = 0;
        while (gone < log->mark_count && log->marks[gone].commit <= commit) {
            log->bytes_flushed = log->marks[gone].bytes;
            gone++;
        }
        memmove(log->marks, log->marks + gone, (log->mark_count - gone) * sizeof(log->marks[0]));
        log->mark_count -= gone;
        pthread_cond_signal(&log->worker_wake);
        log->cleaner_news = true;
        pthread_cond_signal(&log->cleaner_wake);
    }
    pthread_mutex_unlock(&log->mutex);
}

uint64_t log_unflushed_bytes(const struct log *log)
{
    struct log *locked =
        (struct log *)(uintptr_t)log; /* the mutex is taken, nothing else changes */
    pthread_mutex_lock(&locked->mutex);
    uint64_t bytes = log->bytes_written - log->bytes_flushed;
    pthread_mutex_unlock(&locked->mutex);
    return bytes;
}

void log_set_trim(struct log *log, uint64_t commit)
{
    pthread_mutex_lock(&log->mutex);
    log->trim_commit = commit > log->trim_commit ? commit : log->trim_commit;
    pthread_cond_signal(&log->worker_wake);
    pthread_mutex_unlock(&log->mutex);
}

void log_figures(const struct log *log, struct log_figures *out)
{
    struct log *locked =
        (struct log *)(uintptr_t)log; /* the mutex is taken, nothing else changes */
    pthread_mutex_lock(&locked->mutex);
    *out = log->figures;
    out->disk_bytes = log->disk_bytes;
    out->budget_bytes = log->options.budget_bytes;
    pthread_mutex_unlock(&locked->mutex);
}
