/* Segment files and the worker that prepares them ahead, writes indexes of sealed ones and removes
 * trimmed ones. A segment is filled with zeros under another name, synced, renamed, and the
 * directory synced, before a frame may go into it: then a frame's sync never has to change the
 * file's shape (log I4, I5, I10). */
#include "base/assert.h"
#include "base/mem.h"
#include "base/note.h"
#include "log/log_priv.h"
#include "sys/clock.h"
#include "sys/file.h"

#include <errno.h>
#include <stdio.h>

#define FILL_CHUNK (256u << 10)
#define FILL_PAUSE_MS 1u /* between chunks: commits have disk and processor for themselves */
#define RETRY_MS 200     /* a full disk is looked at again */

static void worker_run(void *arg);
static struct segment *first_ready(const struct log *log);
static bool fits_budget(const struct log *log, uint64_t size, uint64_t bytes);
static bool worker_prepare(struct log *log);
static bool worker_index(struct log *log);
static bool wants_index(const struct segment *segment);
static void tell_directory(struct log *log, const struct segment *segment,
                           const struct segment_index *index);
static void tell_removed(struct log *log, uint64_t first, uint64_t last);
static bool worker_remove(struct log *log);
static enum err fill(struct log *log, const char *path, uint64_t bytes);

void segment_path(const struct log *log, uint64_t number, char *out, size_t room)
{
    snprintf(out, room, "%s/%020llu.log", log->dir, (unsigned long long)number);
}

void segment_id_file(const struct log *log, struct segment_id id, char *out, size_t room)
{
    if (id.generation == 0) {
        segment_path(log, id.number, out, room);
        return;
    }
    snprintf(out, room, "%s/%020llu-%020llu.%u.log", log->dir, (unsigned long long)id.number,
             (unsigned long long)id.last_number, id.generation);
}

void segment_file(const struct log *log, const struct segment *segment, char *out, size_t room)
{
    segment_id_file(log,
                    (struct segment_id){segment->number, segment->last_number, segment->generation},
                    out, room);
}

enum err segment_reader(const struct log *log, const struct segment *segment,
                        struct frame_reader *reader, char *path, size_t room)
{
    segment_file(log, segment, path, room);
    enum err err = frame_reader_open(reader, path, segment->number, log->id);
    reader->last_segment = segment->last_number;
    reader->generation = segment->generation;
    return err;
}

enum err segment_reader_aside(const struct log *log, const struct segment *segment,
                              struct frame_reader *reader, char *path, size_t room)
{
    segment_file(log, segment, path, room);
    enum err err = frame_reader_open_aside(reader, path, segment->number, log->id);
    reader->last_segment = segment->last_number;
    reader->generation = segment->generation;
    return err;
}

/* Which segments need not be told again; asked before threads. What the directory knows of those
 * that a cleaned file stands for leads to it. */
static void ask_directory(struct log *log)
{
    const struct log_directory *directory = &log->options.directory;
    size_t count = 0;
    for (size_t i = 0; i < log->segment_count; i++) {
        count += (size_t)(log->by_number[i]->last_number - log->by_number[i]->number + 1);
    }
    uint64_t *numbers = mem_zalloc(count + 1, sizeof(*numbers));
    bool *told = mem_zalloc(count + 1, sizeof(*told));
    size_t at = 0;
    for (size_t i = 0; i < log->segment_count; i++) {
        for (uint64_t n = log->by_number[i]->number; n <= log->by_number[i]->last_number; n++) {
            told[at] = directory->opened == NULL;
            numbers[at++] = n;
        }
    }
    if (directory->opened != NULL) {
        directory->opened(directory->arg, numbers, count, told);
    }
    at = 0;
    for (size_t i = 0; i < log->segment_count; i++) {
        log->by_number[i]->told = true;
        for (uint64_t n = log->by_number[i]->number; n <= log->by_number[i]->last_number; n++) {
            log->by_number[i]->told &= told[at++];
        }
    }
    mem_free(numbers);
    mem_free(told);
}

void segments_start(struct log *log)
{
    ask_directory(log);
    atomic_store_explicit(&log->awaited, false, memory_order_relaxed);
    thread_start(&log->worker, ROLE_WORKER, "hw-segments", worker_run, log);
    log->worker_running = true;
}

void segments_stop(struct log *log)
{
    cleaner_stop(log);
    pthread_mutex_lock(&log->mutex);
    log->closing = true;
    atomic_store_explicit(&log->awaited, true, memory_order_relaxed);
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
    log->disk_bytes += segment->size;
    if (log->last == NULL) {
        log->first = segment;
    } else {
        log->last->next = segment;
    }
    log->last = segment;
    if (log->segment_count == log->segment_cap) {
        log->segment_cap = log->segment_cap == 0 ? 64 : log->segment_cap * 2;
        log->by_number = mem_realloc(log->by_number, log->segment_cap * sizeof(struct segment *));
    }
    log->by_number[log->segment_count++] = segment;
}

void segment_drop(struct log *log, struct segment *segment)
{
    size_t at = segments_bisect(log, segment_is_from, segment->number);
    ASSERT(at < log->segment_count && log->by_number[at] == segment);
    struct segment *before = at == 0 ? NULL : log->by_number[at - 1];
    *(before == NULL ? &log->first : &before->next) = segment->next;
    log->last = log->last == segment ? before : log->last;
    log->segment_count--;
    log->disk_bytes -= segment->size;
    memmove(log->by_number + at, log->by_number + at + 1,
            (log->segment_count - at) * sizeof(struct segment *));
    log->removals++;
    segment_free(segment);
}

void segment_free(struct segment *segment)
{
    index_free(segment->index);
    mem_free(segment->live);
    mem_free(segment);
}

static void segment_resize(struct log *log, struct segment *segment, uint64_t size)
{
    log->disk_bytes = log->disk_bytes - segment->size + size;
    segment->size = size;
}

uint64_t log_room(const struct log *log)
{
    struct log *locked =
        (struct log *)(uintptr_t)log; /* the mutex is taken, nothing else changes */
    uint64_t budget = log->options.budget_bytes;
    if (budget == 0) {
        return UINT64_MAX;
    }
    pthread_mutex_lock(&locked->mutex);
    const struct segment *ready = first_ready(log);
    uint64_t taken = log->open->used + END_ROOM;
    uint64_t left = budget > log->disk_bytes ? budget - log->disk_bytes : 0;
    uint64_t room = log->open->size > taken ? log->open->size - taken : 0;
    room += ready == NULL ? 0 : ready->size;
    room += left / log->options.segment_bytes * log->options.segment_bytes;
    pthread_mutex_unlock(&locked->mutex);
    return room;
}

bool log_over_budget(const struct log *log)
{
    return log->over_budget;
}

void segments_swap(struct log *log, struct segment *first, size_t count, struct segment *made)
{
    made->told = true;
    for (size_t i = 0; i < count; i++) {
        struct segment *gone = first;
        first = first->next;
        made->told &= gone->told;
        segment_drop(log, gone);
    }
    size_t at = segments_bisect(log, segment_is_from, made->number);
    ASSERT(at < log->segment_count && log->by_number[at] == first); /* the newest commit's stays */
    *(at == 0 ? &log->first : &log->by_number[at - 1]->next) = made;
    made->next = first;
    memmove(log->by_number + at + 1, log->by_number + at,
            (log->segment_count - at) * sizeof(struct segment *));
    log->by_number[at] = made;
    log->segment_count++;
    log->disk_bytes += made->size;
    log->figures.segments -= count - 1;
    segment_unsettle(log, made);
}

void segment_unsettle(struct log *log, const struct segment *segment)
{
    log->settled = segment->number < log->settled ? segment->number : log->settled;
}

void segments_free(struct log *log)
{
    for (size_t i = 0; i < log->segment_count; i++) {
        segment_free(log->by_number[i]);
    }
    mem_free(log->by_number);
    log->by_number = NULL;
    log->segment_count = 0;
    log->first = NULL;
    log->last = NULL;
}

size_t segments_bisect(const struct log *log, segment_past *past, uint64_t value)
{
    size_t low = 0;
    size_t high = log->segment_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (past(log->by_number[middle], value)) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

bool segment_is_from(const struct segment *segment, uint64_t number)
{
    return segment->last_number >= number;
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
    *segment = (struct segment){.number = number,
                                .last_number = number,
                                .size = bytes,
                                .first_commit = UINT64_MAX,
                                .state = SEGMENT_READY};
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
        if (at + len < bytes && !atomic_load_explicit(&log->awaited, memory_order_relaxed)) {
            thread_pause_ms(FILL_PAUSE_MS);
        }
    }
    err = err != OK ? err : file_sync(fd);
    enum err closed = file_close(fd);
    mem_free(zeros);
    return err != OK ? err : closed;
}

/* The one that comes after the open one: segments are used in the order of their numbers, and those
 * that are ready are the last. */
static struct segment *first_ready(const struct log *log)
{
    size_t at = log->segment_count;
    while (at > 0 && log->by_number[at - 1]->state == SEGMENT_READY) {
        at--;
    }
    return at < log->segment_count ? log->by_number[at] : NULL;
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
        atomic_store_explicit(&log->awaited, true, memory_order_relaxed);
        pthread_cond_signal(&log->worker_wake);
        pthread_cond_wait(&log->segment_ready, &log->mutex);
        next = first_ready(log);
        err = next != NULL && next->size >= bytes ? OK : log->worker_error;
    }
    if (err != OK) {
        file_failure_is(log->worker_failure);
    }
    atomic_store_explicit(&log->awaited, false, memory_order_relaxed);
    if (err == OK) {
        next->state = SEGMENT_OPEN;
        next->index = index_new();
        log->figures.segments_ready = first_ready(log) != NULL;
        pthread_cond_signal(&log->worker_wake);
        *out = next;
    }
    log->over_budget = err == ERR_FULL && log->unfit;
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

/* May a segment of some size, 0 where there is none, become one of so many bytes? */
static bool fits_budget(const struct log *log, uint64_t size, uint64_t bytes)
{
    uint64_t budget = log->options.budget_bytes;
    uint64_t others = log->disk_bytes - size;
    return budget == 0 || (others <= budget && bytes <= budget - others);
}

/* One segment ahead, large enough for what waits: one that is too small is made again under its
 * number, so that numbers stay in the order of commits. Until then it has no room for anybody: a
 * frame written into it would go with the file that is replaced. On a full disk the smaller file is
 * still there, and so it is where the budget has no room; after any other failure it is made again
 * before it is used, since the name may stand for a file that a power cut takes away. Called and
 * returns under the mutex; so do the others. */
static bool worker_prepare(struct log *log)
{
    struct segment *ready = first_ready(log);
    uint64_t bytes = log->wanted_bytes;
    log->figures.segments_ready = ready != NULL;
    if (ready != NULL && ready->size >= bytes) {
        return false;
    }
    uint64_t number = ready != NULL       ? ready->number
                      : log->last == NULL ? 1
                                          : log->last->last_number + 1;
    uint64_t size = ready != NULL ? ready->size : 0;
    struct segment *made = NULL;
    log->unfit = !fits_budget(log, size, bytes);
    if (log->unfit) {
        log->worker_error = ERR_FULL;
        log->worker_failure[0] = 0;
        pthread_cond_broadcast(&log->segment_ready);
        return false;
    }
    if (ready != NULL) {
        segment_resize(log, ready, 0);
    }
    pthread_mutex_unlock(&log->mutex);
    enum err err = segment_make(log, number, bytes, &made);
    pthread_mutex_lock(&log->mutex);
    if (ready != NULL) {
        segment_resize(log, ready, err == OK ? made->size : err == ERR_FULL ? size : 0);
        mem_free(made);
    } else if (err == OK) {
        segment_add(log, made);
        log->figures.segments++;
        log->figures.segments_ready = 1;
    }
    log->worker_error = err;
    if (err != OK) {
        snprintf(log->worker_failure, sizeof(log->worker_failure), "%s", file_failure());
    }
    pthread_cond_broadcast(&log->segment_ready);
    return err == OK;
}

/* Those of a sealed segment go to its file and to the directory. After a start that is also done
 * for segments that the directory has not, and for those whose index is missing or damaged. */
static bool worker_index(struct log *log)
{
    size_t at = segments_bisect(log, segment_is_from, log->settled);
    while (at < log->segment_count && log->by_number[at]->state == SEGMENT_SEALED &&
           !wants_index(log->by_number[at])) {
        at++;
    }
    if (at == log->segment_count) {
        return false;
    }
    struct segment *segment = log->by_number[at];
    log->settled = segment->number;
    if (!wants_index(segment)) {
        return false; /* those behind the sealed ones have none yet */
    }
    segment->busy = true;
    struct segment copy = *segment; /* readers change and copy it under the mutex */
    struct segment_index *index = segment->index;
    pthread_mutex_unlock(&log->mutex);
    if (copy.unmeasured) { /* whether it has its index is not known yet */
        enum err measured = segment_measure(log, &copy);
        pthread_mutex_lock(&log->mutex);
        segment->index_refused = measured != OK;
        segment->busy = false;
        return true;
    }
    enum err err = index != NULL ? OK : index_load(log, &copy, &index);
    bool made = err == OK;
    pthread_mutex_lock(&log->mutex);
    copy.indexed = segment->indexed; /* loading may have found it damaged */
    pthread_mutex_unlock(&log->mutex);
    if (made && !copy.indexed) {
        err = index_write(log, &copy, index);
    }
    if (err == OK && log->options.directory.sealed != NULL) {
        tell_directory(log, &copy, index);
    }
    pthread_mutex_lock(&log->mutex);
    segment->index_at = copy.index_at;
    segment_resize(log, segment, copy.size);
    if (err != OK) {
        NOTE(NOTE_WARN, "log.index_not_written", NOTE_U("segment", segment->number),
             NOTE_S("error", err_text(err)));
    }
    segment->indexed = err == OK;
    segment->index_refused = err != OK;
    segment->told = err == OK;
    segment->index = NULL; /* readers load it, or make it, from the file */
    segment->busy = false;
    index_free(made ? index : NULL);
    return true;
}

static bool wants_index(const struct segment *segment)
{
    return segment->state == SEGMENT_SEALED && !segment->busy &&
           (segment->index != NULL ||
            ((!segment->indexed || !segment->told) && !segment->index_refused));
}

/* All that a cleaned file holds is told as of its first number: nothing of the others. */
static void tell_directory(struct log *log, const struct segment *segment,
                           const struct segment_index *index)
{
    const struct log_directory *directory = &log->options.directory;
    struct log_directory_entry *entries = mem_zalloc(index->count + 1, sizeof(*entries));
    for (size_t i = 0; i < index->count; i++) {
        const struct stream_index *list = &index->streams[i];
        const struct index_entry *first = &list->entries[0];
        const struct index_entry *last = &list->entries[list->count - 1];
        entries[i] = (struct log_directory_entry){
            list->stream, list->count, {first->commit, first->index}, {last->commit, last->index}};
    }
    directory->sealed(directory->arg, segment->number, entries, index->count);
    for (uint64_t n = segment->number + 1; n <= segment->last_number; n++) {
        directory->sealed(directory->arg, n, entries, 0);
    }
    mem_free(entries);
}

static void tell_removed(struct log *log, uint64_t first, uint64_t last)
{
    const struct log_directory *directory = &log->options.directory;
    if (directory->removed != NULL) {
        pthread_mutex_unlock(&log->mutex);
        for (uint64_t n = first; n <= last; n++) {
            directory->removed(directory->arg, n);
        }
        pthread_mutex_lock(&log->mutex);
    }
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
        oldest->busy || oldest->index != NULL || oldest->last_commit > flushed ||
        oldest->last_commit > log->trim_commit || oldest->last_commit >= visible) {
        return false;
    }
    char path[4200];
    uint64_t number = oldest->number;
    uint64_t last_number = oldest->last_number;
    const struct log_begin begin = {last_number + 1, oldest->last_commit + 1};
    segment_file(log, oldest, path, sizeof(path));
    atomic_store_explicit(&log->first_commit, oldest->last_commit + 1, memory_order_release);
    oldest->busy = true; /* the cleaner must not take it up, nor put another in its place */
    pthread_mutex_unlock(&log->mutex);
    enum err err = end_begin_later(log, begin);
    err = err != OK ? err : file_remove(path);
    bool gone = err == OK;
    err = gone ? directory_sync(log->dir) : err;
    if (err != OK) {
        NOTE(NOTE_WARN, "log.segment_not_removed", NOTE_S("file", path));
    }
    pthread_mutex_lock(&log->mutex);
    oldest->busy = false;
    log->removal_unsynced |= gone && err != OK;
    if (gone) {
        segment_drop(log, oldest);
        log->figures.segments--;
        tell_removed(log, number, last_number);
    }
    return err == OK;
}
