/* Segment files and the worker that prepares them ahead, writes indexes of sealed ones and removes
 * trimmed ones. A segment is filled with zeros under another name, synced, renamed, and the
 * directory synced, before a frame may go into it: then a frame's sync never has to change the
 * file's shape (log I4, I5, I10). */
#include "base/mem.h"
#include "base/note.h"
#include "log/log_priv.h"
#include "sys/clock.h"
#include "sys/file.h"

#include <errno.h>
#include <stdio.h>

#define FILL_CHUNK (1u << 20)
#define RETRY_MS 200 /* a full disk is looked at again */

static void worker_run(void *arg);
static bool worker_prepare(struct log *log);
static bool worker_index(struct log *log);
static bool wants_index(const struct segment *segment);
static void tell_directory(struct log *log, uint64_t segment, const struct segment_index *index);
static bool worker_remove(struct log *log);
static enum err fill(struct log *log, const char *path, uint64_t bytes);

void segment_path(const struct log *log, uint64_t number, char *out, size_t room)
{
    snprintf(out, room, "%s/%020llu.log", log->dir, (unsigned long long)number);
}

void segments_start(struct log *log)
{
    thread_start(&log->worker, ROLE_WORKER, "hw-segments", worker_run, log);
    log->worker_running = true;
}

void segments_stop(struct log *log)
{
    pthread_mutex_lock(&log->mutex);
    log->closing = true;
    pthread_cond_broadcast(&log->worker_wake);
    pthread_mutex_unlock(&log->mutex);
    if (log->worker_running) {
        thread_join(&log->worker);
        log->worker_running = false;
    }
}

void segment_add(struct log *log, struct segment *segment)
{
    segment->next = NULL;
    if (log->last == NULL) {
        log->first = segment;
    } else {
        log->last->next = segment;
    }
    log->last = segment;
}

enum err segment_make(struct log *log, uint64_t number, uint64_t bytes, struct segment **out)
{
    char path[4200];
    char beside[4200];
    segment_path(log, number, path, sizeof(path));
    snprintf(beside, sizeof(beside), "%s/next.tmp", log->dir);
    enum err err = fill(log, beside, bytes);
    err = err != OK ? err : file_rename(beside, path);
    if (err != OK) {
        IGNORE(file_remove(beside)); /* the first error is the one to tell */
        return err;
    }
    /* The name stands for the new file, but perhaps not durably: nobody may write into it. */
    TRY(directory_sync(log->dir) == OK ? OK : ERR_IO);
    struct segment *segment = mem_zalloc(1, sizeof(*segment));
    *segment = (struct segment){
        .number = number, .size = bytes, .first_commit = UINT64_MAX, .state = SEGMENT_READY};
    *out = segment;
    return OK;
}

static enum err fill(struct log *log, const char *path, uint64_t bytes)
{
    int fd = -1;
    size_t chunk = bytes < FILL_CHUNK ? (size_t)bytes : FILL_CHUNK;
    void *zeros = mem_alloc_pages(FILL_CHUNK);
    memset(zeros, 0, FILL_CHUNK);
    enum err err = file_open(path, FILE_CREATE, &fd);
    if (err == OK && log->direct) {
        int direct = -1;
        err = file_open(path, FILE_UPDATE_DIRECT, &direct);
        if (err == OK) {
            IGNORE(file_close(fd)); /* empty still */
            fd = direct;
        }
    }
    for (uint64_t at = 0; err == OK && at < bytes; at += chunk) {
        size_t len = bytes - at < chunk ? (size_t)(bytes - at) : chunk;
        err = file_write(fd, zeros, len, at);
    }
    err = err != OK ? err : file_sync(fd);
    enum err closed = file_close(fd);
    mem_free(zeros);
    return err != OK ? err : closed;
}

/* The one that comes after the open one: segments are used in the order of their numbers. */
static struct segment *first_ready(const struct log *log)
{
    struct segment *segment = log->first;
    while (segment != NULL && segment->state != SEGMENT_READY) {
        segment = segment->next;
    }
    return segment;
}

enum err segment_take(struct log *log, uint64_t bytes, struct segment **out)
{
    enum err err = OK;
    pthread_mutex_lock(&log->mutex);
    log->wanted_bytes =
        bytes > log->options.segment_bytes ? sectors_of(bytes) : log->options.segment_bytes;
    struct segment *next = first_ready(log);
    log->worker_error = OK;
    while (err == OK && (next == NULL || next->size < bytes)) {
        pthread_cond_signal(&log->worker_wake);
        pthread_cond_wait(&log->segment_ready, &log->mutex);
        next = first_ready(log);
        err = next != NULL && next->size >= bytes ? OK : log->worker_error;
    }
    if (err == OK) {
        next->state = SEGMENT_OPEN;
        next->index = index_new();
        log->figures.segments_ready = first_ready(log) != NULL;
        pthread_cond_signal(&log->worker_wake);
        *out = next;
    }
    log->wanted_bytes = log->options.segment_bytes;
    pthread_mutex_unlock(&log->mutex);
    return err;
}

/* ---- the worker ---- */

static void worker_run(void *arg)
{
    struct log *log = arg;
    pthread_mutex_lock(&log->mutex);
    while (!log->closing) {
        bool worked = worker_prepare(log);
        worked |= !log->closing && worker_index(log);
        worked |= !log->closing && worker_remove(log);
        if (worked || log->closing) {
            continue;
        }
        if (log->worker_error == OK) {
            pthread_cond_wait(&log->worker_wake, &log->mutex);
        } else {
            thread_wait_ms(&log->worker_wake, &log->mutex, RETRY_MS);
        }
    }
    pthread_mutex_unlock(&log->mutex);
}

/* One segment ahead, large enough for what waits: one that is too small is made again under its
 * number, so that numbers stay in the order of commits. Until then it has no room for anybody: a
 * frame written into it would go with the file that is replaced. On a full disk the smaller file is
 * still there; after any other failure it is made again before it is used, since the name may stand
 * for a file that a power cut takes away. Called and returns under the mutex; so do the others. */
static bool worker_prepare(struct log *log)
{
    struct segment *ready = first_ready(log);
    uint64_t bytes = log->wanted_bytes;
    log->figures.segments_ready = ready != NULL;
    if (ready != NULL && ready->size >= bytes) {
        return false;
    }
    uint64_t number = ready != NULL ? ready->number : log->last == NULL ? 1 : log->last->number + 1;
    uint64_t size = ready != NULL ? ready->size : 0;
    struct segment *made = NULL;
    if (ready != NULL) {
        ready->size = 0;
    }
    pthread_mutex_unlock(&log->mutex);
    enum err err = segment_make(log, number, bytes, &made);
    pthread_mutex_lock(&log->mutex);
    if (ready != NULL) {
        ready->size = err == OK ? made->size : err == ERR_FULL ? size : 0;
        mem_free(made);
    } else if (err == OK) {
        segment_add(log, made);
        log->figures.segments++;
        log->figures.segments_ready = 1;
    }
    log->worker_error = err;
    pthread_cond_broadcast(&log->segment_ready);
    return err == OK;
}

/* Those of a sealed segment go to its file and to the directory. After a start that is also done
 * for segments that recovery has read, since the directory may have lost them, and for those whose
 * index is missing or damaged. */
static bool worker_index(struct log *log)
{
    struct segment *segment = log->first;
    while (segment != NULL && !wants_index(segment)) {
        segment = segment->next;
    }
    if (segment == NULL) {
        return false;
    }
    struct segment copy = *segment; /* readers change and copy it under the mutex */
    struct segment_index *index = segment->index;
    pthread_mutex_unlock(&log->mutex);
    if (copy.unmeasured) { /* whether it has its index is not known yet */
        enum err measured = segment_measure(log, &copy);
        pthread_mutex_lock(&log->mutex);
        segment->index_refused = measured != OK;
        return true;
    }
    enum err err = index != NULL ? OK : index_load(log, &copy, &index);
    bool made = err == OK;
    if (made && !copy.indexed) {
        err = index_write(log, &copy, index);
    }
    if (err == OK && log->options.directory.sealed != NULL) {
        tell_directory(log, copy.number, index);
    }
    pthread_mutex_lock(&log->mutex);
    segment->index_at = copy.index_at;
    segment->size = copy.size;
    if (err != OK) {
        NOTE(NOTE_WARN, "log.index_not_written", NOTE_U("segment", segment->number),
             NOTE_S("error", err_text(err)));
    }
    segment->indexed = err == OK;
    segment->index_refused = err != OK;
    segment->index = NULL; /* readers load it, or make it, from the file */
    index_free(made ? index : NULL);
    return true;
}

static bool wants_index(const struct segment *segment)
{
    return segment->state == SEGMENT_SEALED &&
           (segment->index != NULL || (!segment->indexed && !segment->index_refused));
}

static void tell_directory(struct log *log, uint64_t segment, const struct segment_index *index)
{
    struct log_directory_entry *entries = mem_zalloc(index->count + 1, sizeof(*entries));
    for (size_t i = 0; i < index->count; i++) {
        const struct stream_index *list = &index->streams[i];
        const struct index_entry *first = &list->entries[0];
        const struct index_entry *last = &list->entries[list->count - 1];
        entries[i] = (struct log_directory_entry){
            list->stream, list->count, {first->commit, first->index}, {last->commit, last->index}};
    }
    log->options.directory.sealed(log->options.directory.arg, segment, entries, index->count);
    mem_free(entries);
}

/* The segment of the newest visible commit stays, sealed or not: until a frame in the next one is
 * durable, nothing else on the disk says where the log ends. One whose file cannot be removed is
 * tried again when there is something to do; those behind it stay as long, and for good once a
 * removal was not synced: a log with a hole does not open. */
static bool worker_remove(struct log *log)
{
    struct segment *oldest = log->first;
    uint64_t flushed = atomic_load_explicit(&log->flushed, memory_order_relaxed);
    uint64_t visible = atomic_load_explicit(&log->visible, memory_order_relaxed);
    if (oldest == NULL || log->removal_unsynced || oldest->state != SEGMENT_SEALED ||
        oldest->index != NULL || oldest->last_commit > flushed ||
        oldest->last_commit > log->trim_commit || oldest->last_commit >= visible) {
        return false;
    }
    char path[4200];
    segment_path(log, oldest->number, path, sizeof(path));
    atomic_store_explicit(&log->first_commit, oldest->last_commit + 1, memory_order_release);
    pthread_mutex_unlock(&log->mutex);
    enum err err = file_remove(path);
    bool gone = err == OK;
    err = gone ? directory_sync(log->dir) : err;
    if (err != OK) {
        NOTE(NOTE_WARN, "log.segment_not_removed", NOTE_S("file", path));
    }
    pthread_mutex_lock(&log->mutex);
    log->removal_unsynced |= gone && err != OK;
    if (gone) {
        log->first = oldest->next;
        log->figures.segments--;
        mem_free(oldest);
    }
    return err == OK;
}
