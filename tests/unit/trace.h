/* The order of what a test's process does to files, written down as it happens: the calls stand in
 * place of libc's for everything linked into the test, and do what libc's do. Only files below
 * trace_begin's directory are noted, by their names in it. */
#ifndef HW_TEST_TRACE_H
#define HW_TEST_TRACE_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TRACE_MAX 100000u

enum trace_kind {
    TRACE_WRITE = 1, /* len bytes at offset of file; a read too */
    TRACE_READ,
    TRACE_SYNC,
    TRACE_DIRECTORY_SYNC,
    TRACE_RENAME, /* to file, from `from` */
    TRACE_REMOVE,
    TRACE_NOTE, /* the test's own: file is its name, offset and len its numbers */
};

struct trace_event {
    enum trace_kind kind;
    bool mine; /* done by the thread that called trace_begin */
    char file[48];
    char from[48];
    uint64_t offset;
    uint64_t len;
};

static struct trace {
    pthread_mutex_t mutex;
    char dir[128]; /* empty: nothing is noted */
    pthread_t thread;
    struct trace_event events[TRACE_MAX];
    size_t count;
    void (*_Atomic on_sync)(const char *path); /* before a sync, on its thread, traced or not */
    _Atomic bool workers_fail; /* syncs of directories, but those of the thread that began */
    _Atomic unsigned failed;
} trace = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static inline void trace_begin(const char *directory)
{
    pthread_mutex_lock(&trace.mutex);
    snprintf(trace.dir, sizeof(trace.dir), "%s", directory);
    trace.thread = pthread_self();
    trace.count = 0;
    pthread_mutex_unlock(&trace.mutex);
}

static inline void trace_end(void)
{
    pthread_mutex_lock(&trace.mutex);
    trace.dir[0] = 0;
    pthread_mutex_unlock(&trace.mutex);
}

/* The name below the traced directory; NULL when path is elsewhere. */
static inline const char *trace_name(const char *path)
{
    size_t len = strlen(trace.dir);
    if (len == 0 || strncmp(path, trace.dir, len) != 0) {
        return NULL;
    }
    return path[len] == '/' ? path + len + 1 : path[len] == 0 ? "." : NULL;
}

static inline void trace_add(enum trace_kind kind, const char *file, const char *from,
                             uint64_t offset, uint64_t len)
{
    if (trace.count == TRACE_MAX) {
        printf("the trace is full\n");
        _exit(99);
    }
    struct trace_event *event = &trace.events[trace.count++];
    *event = (struct trace_event){.kind = kind,
                                  .mine = pthread_equal(pthread_self(), trace.thread) != 0,
                                  .offset = offset,
                                  .len = len};
    snprintf(event->file, sizeof(event->file), "%.47s", file);
    snprintf(event->from, sizeof(event->from), "%.47s", from);
}

static inline void trace_path(enum trace_kind kind, const char *path, const char *from,
                              uint64_t offset, uint64_t len)
{
    pthread_mutex_lock(&trace.mutex);
    const char *name = trace_name(path);
    const char *old = from == NULL ? "" : trace_name(from);
    if (name != NULL && old != NULL) {
        trace_add(kind, name, old, offset, len);
    }
    pthread_mutex_unlock(&trace.mutex);
}

#define TRACE_PATH_ROOM 256

static inline void trace_path_of(int fd, char path[TRACE_PATH_ROOM])
{
    char link[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t got = readlink(link, path, TRACE_PATH_ROOM - 1);
    path[got < 0 ? 0 : got] = 0;
}

static inline void trace_descriptor(enum trace_kind kind, int fd, uint64_t offset, uint64_t len)
{
    char path[TRACE_PATH_ROOM];
    trace_path_of(fd, path);
    trace_path(kind, path, NULL, offset, len);
}

static inline void trace_note(const char *name, uint64_t number, uint64_t len)
{
    pthread_mutex_lock(&trace.mutex);
    if (trace.dir[0] != 0) {
        trace_add(TRACE_NOTE, name, "", number, len);
    }
    pthread_mutex_unlock(&trace.mutex);
}

/* The first event at or after `from` of this kind and file; trace.count: there is none. */
static inline size_t trace_find(size_t from, enum trace_kind kind, const char *file)
{
    size_t i = from;
    while (i < trace.count &&
           (trace.events[i].kind != kind || strcmp(trace.events[i].file, file) != 0)) {
        i++;
    }
    return i;
}

static inline size_t trace_count(enum trace_kind kind, const char *file)
{
    size_t count = 0;
    for (size_t i = 0; i < trace.count; i++) {
        count += trace.events[i].kind == kind && strcmp(trace.events[i].file, file) == 0;
    }
    return count;
}

/* ---- in place of libc's ---- */

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
    ssize_t wrote = syscall(SYS_pwrite64, fd, data, len, offset);
    trace_descriptor(TRACE_WRITE, fd, (uint64_t)offset, len);
    return wrote;
}

ssize_t pread(int fd, void *data, size_t len, off_t offset)
{
    ssize_t got = syscall(SYS_pread64, fd, data, len, offset);
    trace_descriptor(TRACE_READ, fd, (uint64_t)offset, len);
    return got;
}

static inline void trace_sync_begins(int fd)
{
    void (*on_sync)(const char *path) = trace.on_sync;
    if (on_sync != NULL) {
        char path[TRACE_PATH_ROOM];
        trace_path_of(fd, path);
        on_sync(path);
    }
}

int fdatasync(int fd)
{
    trace_sync_begins(fd);
    int status = (int)syscall(SYS_fdatasync, fd);
    if (status == 0) {
        trace_descriptor(TRACE_SYNC, fd, 0, 0);
    }
    return status;
}

int fsync(int fd)
{
    if (trace.workers_fail && !pthread_equal(pthread_self(), trace.thread)) {
        trace.failed++;
        errno = EIO;
        return -1;
    }
    trace_sync_begins(fd);
    int status = (int)syscall(SYS_fsync, fd);
    if (status == 0) {
        trace_descriptor(TRACE_DIRECTORY_SYNC, fd, 0, 0);
    }
    return status;
}

int rename(const char *from, const char *to)
{
    int status = (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
    if (status == 0) {
        trace_path(TRACE_RENAME, to, from, 0, 0);
    }
    return status;
}

int unlink(const char *path)
{
    int status = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (status == 0) {
        trace_path(TRACE_REMOVE, path, NULL, 0, 0);
    }
    return status;
}

#endif
