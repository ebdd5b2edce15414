/* System calls on files, each with its one way of failing. */
#include "sys/file.h"

#include "base/note.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#define STREAM_STEP 65536u
#define NO_OFFSET (-1)

static _Thread_local char failure[FILE_FAILURE_MAX];

const char *file_failure(void)
{
    return failure;
}

const char *file_reason(enum err err)
{
    return err == ERR_NOMEM                                        ? strerrordesc_np(ENOMEM)
           : (err == ERR_IO || err == ERR_FULL) && failure[0] != 0 ? failure
                                                                   : err_text(err);
}

void file_failure_is(const char *text)
{
    snprintf(failure, sizeof(failure), "%s", text);
}

static enum err failed_at(const char *call, const char *path, int64_t offset)
{
    int cause = errno;
    char text[128];
    char at[48] = "";
    const char *reason = strerror_r(cause, text, sizeof(text));
    if (offset == NO_OFFSET) {
        NOTE(NOTE_ERROR, "file.failed", NOTE_S("call", call), NOTE_S("path", path),
             NOTE_S("cause", reason));
    } else {
        NOTE(NOTE_ERROR, "file.failed", NOTE_S("call", call), NOTE_S("path", path),
             NOTE_I("offset", offset), NOTE_S("cause", reason));
        snprintf(at, sizeof(at), " at offset %lld", (long long)offset);
    }
    snprintf(failure, sizeof(failure), "%s of %s%s: %s", call, path, at, reason);
    return cause == ENOSPC || cause == EDQUOT ? ERR_FULL : ERR_IO;
}

static enum err failed(const char *call, const char *path)
{
    return failed_at(call, path, NO_OFFSET);
}

/* For calls that know only the descriptor. */
static void path_of(int fd, char path[PATH_MAX])
{
    char link[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, PATH_MAX - 1);
    path[len < 0 ? 0 : len] = 0;
}

static enum err failed_fd_at(const char *call, int fd, int64_t offset)
{
    char path[PATH_MAX];
    int cause = errno;
    path_of(fd, path);
    errno = cause;
    return failed_at(call, path, offset);
}

static enum err failed_fd(const char *call, int fd)
{
    return failed_fd_at(call, fd, NO_OFFSET);
}

static void parent_of(const char *path, char *out, size_t room)
{
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/') {
        len--;
    }
    while (len > 0 && path[len - 1] != '/') {
        len--;
    }
    while (len > 1 && path[len - 1] == '/') {
        len--;
    }
    snprintf(out, room, "%.*s", len == 0 ? 1 : (int)len, len == 0 ? "." : path);
}

enum err file_open(const char *path, enum file_mode mode, int *out)
{
    static const int flags[] = {
        [FILE_READ] = O_RDONLY,
        [FILE_UPDATE] = O_RDWR,
        [FILE_UPDATE_DIRECT] = O_RDWR | O_DIRECT,
        [FILE_CREATE] = O_RDWR | O_CREAT | O_TRUNC,
    };
    int fd;
    do {
        fd = open(path, flags[mode] | O_CLOEXEC, 0600);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        if (errno == ENOENT) {
            return ERR_NOT_FOUND;
        }
        return mode == FILE_UPDATE_DIRECT && errno == EINVAL ? ERR_INVALID : failed("open", path);
    }
    *out = fd;
    return OK;
}

enum err file_close(int fd)
{
    char path[PATH_MAX];
    if (fd < 0) {
        return OK;
    }
    path_of(fd, path); /* when the call returns, nothing leads from the descriptor to it */
    return close(fd) == 0 ? OK : failed("close", path);
}

/* Some volumes open a file for direct access and then refuse to read it so. */
static bool leave_direct(int fd, bool *direct)
{
    int flags = *direct ? fcntl(fd, F_GETFL) : -1;
    *direct = flags >= 0 && fcntl(fd, F_SETFL, flags & ~O_DIRECT) != 0;
    return flags >= 0 && !*direct;
}

static enum err read_until(int fd, bool *direct, void *out, size_t len, uint64_t offset,
                           size_t *got)
{
    uint8_t *next = out;
    size_t done = 0;
    while (done < len) {
        ssize_t n = pread(fd, next + done, len - done, (off_t)(offset + done));
        if (n < 0 && (errno == EINTR || (errno == EINVAL && leave_direct(fd, direct)))) {
            continue;
        }
        if (n < 0) {
            return failed_fd_at("pread", fd, (int64_t)(offset + done));
        }
        if (n == 0) {
            break;
        }
        done += (size_t)n;
        if (*direct && done % FILE_ASIDE_STEP != 0) {
            uint64_t size = 0;
            TRY(file_size(fd, &size));
            if (offset + done >= size || !leave_direct(fd, direct)) {
                break;
            }
        }
    }
    *got = done;
    return OK;
}

enum err file_read(int fd, void *out, size_t len, uint64_t offset, size_t *got)
{
    bool direct = false;
    return read_until(fd, &direct, out, len, offset, got);
}

enum err file_read_resident(int fd, void *out, size_t len, uint64_t offset)
{
    struct iovec part = {out, len};
    return preadv2(fd, &part, 1, (off_t)offset, RWF_NOWAIT) == (ssize_t)len ? OK : ERR_INCOMPLETE;
}

enum err file_open_aside(const char *path, int *out, bool *direct)
{
    int fd;
    do {
        fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
    } while (fd < 0 && errno == EINTR);
    *direct = fd >= 0;
    if (fd < 0) {
        return file_open(path, FILE_READ, out);
    }
    *out = fd;
    return OK;
}

enum err file_read_aside(int fd, bool *direct, void *out, size_t len, uint64_t offset, size_t *got)
{
    TRY(read_until(fd, direct, out, len, offset, got));
    if (!*direct) {
        /* Advice: where it is not taken, pages stay. */
        (void)posix_fadvise(fd, (off_t)offset, (off_t)*got, POSIX_FADV_DONTNEED);
    }
    return OK;
}

enum err file_write(int fd, const void *data, size_t len, uint64_t offset)
{
    const uint8_t *next = data;
    size_t done = 0;
    while (done < len) {
        ssize_t n = pwrite(fd, next + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n == 0 ? EIO : errno;
            return failed_fd_at("pwrite", fd, (int64_t)(offset + done));
        }
        done += (size_t)n;
    }
    return OK;
}

enum err file_sync(int fd)
{
    return fdatasync(fd) == 0 ? OK : failed_fd("fdatasync", fd);
}

enum err file_truncate(int fd, uint64_t len)
{
    return ftruncate(fd, (off_t)len) == 0 ? OK : failed_fd_at("ftruncate", fd, (int64_t)len);
}

enum err file_size(int fd, uint64_t *len)
{
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return failed_fd("fstat", fd);
    }
    *len = (uint64_t)status.st_size;
    return OK;
}

enum err file_rename(const char *from, const char *to)
{
    return rename(from, to) == 0 ? OK : failed("rename", from);
}

enum err file_remove(const char *path)
{
    return unlink(path) == 0 || errno == ENOENT ? OK : failed("unlink", path);
}

bool file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* What is there already may have been made by a process that was killed before its sync. A parent
 * that we may not read is not ours, and neither was the making. */
enum err directory_make(const char *path)
{
    char parent[PATH_MAX];
    bool made = mkdir(path, 0700) == 0;
    if (!made && errno != EEXIST) {
        return failed("mkdir", path);
    }
    parent_of(path, parent, sizeof(parent));
    return made || access(parent, R_OK) == 0 ? directory_sync(parent) : OK;
}

enum err directory_sync(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return failed("open", path);
    }
    enum err err = fsync(fd) == 0 ? OK : failed("fsync", path);
    enum err closed = file_close(fd);
    return err != OK ? err : closed;
}

enum err directory_list(const char *path, void (*fn)(void *arg, const char *name), void *arg)
{
    DIR *directory = opendir(path);
    struct dirent *entry;
    if (directory == NULL) {
        return errno == ENOENT ? ERR_NOT_FOUND : failed("opendir", path);
    }
    enum err err = OK;
    for (;;) {
        errno = 0;                  /* the only way to tell a failure from the end */
        entry = readdir(directory); /* NOLINT(concurrency-mt-unsafe): its own stream */
        if (entry == NULL) {
            err = errno == 0 ? OK : failed("readdir", path);
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            fn(arg, entry->d_name);
        }
    }
    closedir(directory);
    return err;
}

static enum err lock(int fd, int how)
{
    if (flock(fd, how | LOCK_NB) == 0) {
        return OK;
    }
    return errno == EWOULDBLOCK ? ERR_BUSY : failed_fd("flock", fd);
}

enum err file_lock(int fd)
{
    return lock(fd, LOCK_EX);
}

enum err file_lock_shared(int fd)
{
    return lock(fd, LOCK_SH);
}

enum err volume_free(const char *path, uint64_t *bytes)
{
    struct statvfs status;
    if (statvfs(path, &status) != 0) {
        return failed("statvfs", path);
    }
    *bytes = (uint64_t)status.f_bavail * status.f_frsize;
    return OK;
}

enum err volume_size(const char *path, uint64_t *bytes)
{
    struct statvfs status;
    if (statvfs(path, &status) != 0) {
        return failed("statvfs", path);
    }
    *bytes = (uint64_t)status.f_blocks * status.f_frsize;
    return OK;
}

enum err file_read_all(const char *path, size_t max, struct arena *arena, struct bytes *out)
{
    int fd = -1;
    uint64_t len = 0;
    size_t got = 0;
    TRY(file_open(path, FILE_READ, &fd));
    enum err err = file_size(fd, &len);
    if (err == OK && len > max) {
        err = ERR_RANGE;
    }
    uint8_t *text = err == OK ? arena_alloc(arena, (size_t)len + 1) : NULL;
    if (err == OK) {
        err = text == NULL ? ERR_NOMEM : file_read(fd, text, (size_t)len, 0, &got);
    }
    enum err closed = file_close(fd);
    TRY(err);
    TRY(closed);
    text[got] = 0;
    *out = bytes_of(text, got);
    return OK;
}

static enum err read_to_end(int fd, struct buf *out)
{
    for (;;) {
        uint8_t *room = buf_room(out, STREAM_STEP);
        ssize_t got = room != NULL ? read(fd, room, STREAM_STEP) : -1;
        if (room == NULL || got == 0) {
            return buf_check(out);
        }
        if (got < 0 && errno != EINTR) {
            return failed_fd("read", fd);
        }
        out->len += got > 0 ? (size_t)got : 0;
    }
}

enum err file_read_stream(const char *path, struct buf *out)
{
    int fd = STDIN_FILENO;
    if (strcmp(path, "-") == 0) {
        return read_to_end(fd, out);
    }
    TRY(file_open(path, FILE_READ, &fd));
    enum err err = read_to_end(fd, out);
    enum err closed = file_close(fd);
    return err != OK ? err : closed;
}

enum err file_write_all(const char *path, struct bytes data, unsigned mode)
{
    char beside[PATH_MAX];
    char parent[PATH_MAX];
    int fd = -1;
    snprintf(beside, sizeof(beside), "%s.new", path);
    parent_of(path, parent, sizeof(parent));
    /* Half a rename may be left of a power cut: two names of one file, which we must not empty. */
    TRY(file_remove(beside));
    TRY(file_open(beside, FILE_CREATE, &fd));
    enum err err = fchmod(fd, (mode_t)mode) == 0 ? OK : failed("fchmod", beside);
    err = err != OK ? err : file_write(fd, data.ptr, data.len, 0);
    err = err != OK ? err : file_sync(fd);
    enum err closed = file_close(fd);
    err = err != OK ? err : closed;
    err = err != OK ? err : file_rename(beside, path);
    if (err != OK) {
        IGNORE(file_remove(beside)); /* the first error is the one to tell */
        return err;
    }
    return directory_sync(parent);
}

enum err file_absolute(const char *path, char *out, size_t room)
{
    char *full = realpath(path, NULL);
    if (full == NULL) {
        return ERR_NOT_FOUND;
    }
    snprintf(out, room, "%s", full);
    free(full);
    return OK;
}
