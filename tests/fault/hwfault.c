/* A library to be preloaded under a process: it stands between the program (RocksDB's files too)
 * and the kernel, and writes down each change below one directory and each sync (recorder.c), so
 * that hwfault-cut can turn the directory into what a power cut might have left of it.
 *
 * Syncs do not reach the disk: what they promise is kept by the model alone, which is also faster.
 * O_DIRECT is taken off, as it promises nothing here. Calls that change files in a way that the
 * model lacks end the process, and changes that pass by it are found by hwfault-cut. */
#include "recorder.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
/* The names for large files are the same calls on the machines we run on. */
#define ALIAS(name) __attribute__((visibility("default"), alias(#name)))

/* ---- opening ---- */

static bool is_below(int dirfd, const char *path)
{
    char name[256];
    return watched_parent(dirfd, path, name) != 0;
}

/* O_TMPFILE has the bit of O_DIRECTORY in it. */
static bool is_unnamed(int flags)
{
    return (flags & O_TMPFILE) == O_TMPFILE;
}

/* Only a file that is made or emptied is a change. */
static int open_changing(int dirfd, const char *path, int flags, mode_t mode, uint64_t directory,
                         const char *name)
{
    struct stat before = {0};
    struct stat after;
    change_begin(-1, path);
    bool existed = fstatat(dirfd, path, &before, 0) == 0;
    bool empties = existed && (flags & O_TRUNC) != 0 && S_ISREG(before.st_mode);
    int fd = (int)syscall(SYS_openat, dirfd, path, empties ? flags & ~O_TRUNC : flags, mode);
    if (fd >= 0 && fstat(fd, &after) == 0 && S_ISREG(after.st_mode)) {
        watch_inode(after.st_ino, path, dirfd, false);
        if (!existed) {
            record_entry(directory, name, after.st_ino, 0);
        } else if (empties && after.st_size > 0) {
            record_size_prepare(after.st_ino, 0, (uint64_t)after.st_size);
            record_done(syscall(SYS_ftruncate, fd, 0L) == 0);
        }
    }
    change_end();
    return fd;
}

static int open_any(int dirfd, const char *path, int flags, mode_t mode)
{
    char name[256];
    uint64_t directory = 0;
    if (recorder_on() && path != NULL &&
        ((flags & (O_CREAT | O_TRUNC | O_DIRECT | O_DSYNC)) != 0 || is_unnamed(flags))) {
        directory = watched_parent(dirfd, path, name);
    }
    if (directory == 0) {
        return (int)syscall(SYS_openat, dirfd, path, flags, mode);
    }
    if ((flags & O_DSYNC) != 0 || is_unnamed(flags)) {
        not_modelled("open with O_SYNC, O_DSYNC or O_TMPFILE");
    }
    flags &= ~O_DIRECT;
    if ((flags & (O_CREAT | O_TRUNC)) == 0) {
        return (int)syscall(SYS_openat, dirfd, path, flags, mode);
    }
    return open_changing(dirfd, path, flags, mode, directory, name);
}

static mode_t mode_argument(int flags, va_list arguments)
{
    return (flags & O_CREAT) != 0 || is_unnamed(flags) ? va_arg(arguments, mode_t) : 0;
}

EXPORT int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_argument(flags, arguments);
    va_end(arguments);
    return open_any(AT_FDCWD, path, flags, mode);
}
ALIAS(open) int open64(const char *path, int flags, ...);

EXPORT int openat(int dirfd, const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_argument(flags, arguments);
    va_end(arguments);
    return open_any(dirfd, path, flags, mode);
}
ALIAS(openat) int openat64(int dirfd, const char *path, int flags, ...);

/* What fortified callers without a mode are compiled to. */
int __open_2(const char *path, int flags);
EXPORT int __open_2(const char *path, int flags)
{
    return open_any(AT_FDCWD, path, flags, 0);
}
ALIAS(__open_2) int __open64_2(const char *path, int flags);

int __openat_2(int dirfd, const char *path, int flags);
EXPORT int __openat_2(int dirfd, const char *path, int flags)
{
    return open_any(dirfd, path, flags, 0);
}
ALIAS(__openat_2) int __openat64_2(int dirfd, const char *path, int flags);

EXPORT int creat(const char *path, mode_t mode)
{
    return open_any(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
ALIAS(creat) int creat64(const char *path, mode_t mode);

/* The C library's streams call the kernel from inside of it. */
EXPORT FILE *fopen(const char *path, const char *mode)
{
    FILE *(*next)(const char *, const char *) = NULL;
    if (recorder_on() && strpbrk(mode, "wa+") != NULL && is_below(AT_FDCWD, path)) {
        not_modelled("fopen for writing");
    }
    *(void **)&next = dlsym(RTLD_NEXT, "fopen");
    return next(path, mode);
}
ALIAS(fopen) FILE *fopen64(const char *path, const char *mode);

/* ---- writing ---- */

/* at: -1 for the file's own place. */
static ssize_t write_kernel(int fd, const struct iovec *parts, int count, off_t at, int flags)
{
    if (at < 0) {
        return syscall(SYS_writev, fd, parts, count);
    }
    return syscall(SYS_pwritev2, fd, parts, count, at, 0L, flags);
}

static ssize_t write_any(int fd, const struct iovec *parts, int count, off_t at, int flags)
{
    struct stat status;
    uint64_t inode = recorder_on() ? watched_fd(fd, &status) : 0;
    if (inode == 0) {
        return write_kernel(fd, parts, count, at, flags);
    }
    change_begin(fd, NULL);
    uint64_t offset = (uint64_t)at;
    fstat(fd, &status);
    if ((fcntl(fd, F_GETFL) & O_APPEND) != 0) {
        offset = (uint64_t)status.st_size;
    } else if (at < 0) {
        offset = (uint64_t)lseek(fd, 0, SEEK_CUR);
    }
    record_write_prepare(inode, offset, (uint64_t)status.st_size, parts, count);
    ssize_t written = write_kernel(fd, parts, count, at, flags);
    int cause = errno;
    record_written(written);
    change_end();
    errno = cause;
    return written;
}

static struct iovec one_part(const void *bytes, size_t len)
{
    return (struct iovec){(void *)(uintptr_t)bytes, len};
}

EXPORT ssize_t write(int fd, const void *bytes, size_t len)
{
    struct iovec part = one_part(bytes, len);
    struct stat status;
    if (!recorder_on() || watched_fd(fd, &status) == 0) {
        return syscall(SYS_write, fd, bytes, len);
    }
    return write_any(fd, &part, 1, -1, 0);
}

EXPORT ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return write_any(fd, parts, count, -1, 0);
}

EXPORT ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    struct iovec part = one_part(bytes, len);
    if (at < 0) {
        errno = EINVAL;
        return -1;
    }
    return write_any(fd, &part, 1, at, 0);
}
ALIAS(pwrite) ssize_t pwrite64(int fd, const void *bytes, size_t len, off_t at);

EXPORT ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    if (at < 0) {
        errno = EINVAL;
        return -1;
    }
    return write_any(fd, parts, count, at, 0);
}
ALIAS(pwritev) ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t at);

EXPORT ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t at, int flags)
{
    struct stat status;
    if (flags != 0 && recorder_on() && watched_fd(fd, &status) != 0) {
        not_modelled("pwritev2 with flags");
    }
    return write_any(fd, parts, count, at, flags);
}
ALIAS(pwritev2)
ssize_t pwritev64v2(int fd, const struct iovec *parts, int count, off_t at, int flags);

/* ---- sizes ---- */

static int set_size(int fd, const char *path, uint64_t inode, off_t size)
{
    struct stat status;
    change_begin(fd, path);
    int result = path == NULL ? fstat(fd, &status) : stat(path, &status);
    if (result == 0 && size >= 0) {
        record_size_prepare(inode, (uint64_t)size, (uint64_t)status.st_size);
        result = (int)(path == NULL ? syscall(SYS_ftruncate, fd, size)
                                    : syscall(SYS_truncate, path, size));
        record_done(result == 0);
    }
    int cause = errno;
    change_end();
    errno = cause;
    return result;
}

EXPORT int ftruncate(int fd, off_t size)
{
    struct stat status;
    uint64_t inode = recorder_on() ? watched_fd(fd, &status) : 0;
    if (inode == 0) {
        return (int)syscall(SYS_ftruncate, fd, size);
    }
    return set_size(fd, NULL, inode, size);
}
ALIAS(ftruncate) int ftruncate64(int fd, off_t size);

EXPORT int truncate(const char *path, off_t size)
{
    struct stat status;
    if (!recorder_on() || !is_below(AT_FDCWD, path) || stat(path, &status) != 0) {
        return (int)syscall(SYS_truncate, path, size);
    }
    return set_size(-1, path, status.st_ino, size);
}
ALIAS(truncate) int truncate64(const char *path, off_t size);

/* Room that is only set aside shows nothing of itself. */
EXPORT int fallocate(int fd, int mode, off_t offset, off_t len)
{
    struct stat status;
    if (recorder_on() && watched_fd(fd, &status) != 0 && mode != FALLOC_FL_KEEP_SIZE) {
        not_modelled("fallocate that changes a file");
    }
    return (int)syscall(SYS_fallocate, fd, mode, offset, len);
}
ALIAS(fallocate) int fallocate64(int fd, int mode, off_t offset, off_t len);

EXPORT int posix_fallocate(int fd, off_t offset, off_t len)
{
    return fallocate(fd, 0, offset, len) == 0 ? 0 : errno;
}
ALIAS(posix_fallocate) int posix_fallocate64(int fd, off_t offset, off_t len);

/* ---- syncs ---- */

static int sync_fd(int fd, long call)
{
    struct stat status;
    uint64_t inode = recorder_on() ? watched_fd(fd, &status) : 0;
    if (inode == 0) {
        return (int)syscall(call, fd);
    }
    change_begin(fd, NULL);
    uint64_t covered = sync_begin();
    sync_finish(fd, inode, S_ISDIR(status.st_mode), covered);
    change_end();
    return 0;
}

EXPORT int fsync(int fd)
{
    return sync_fd(fd, SYS_fsync);
}

EXPORT int fdatasync(int fd)
{
    return sync_fd(fd, SYS_fdatasync);
}

/* Starts writing out; promises nothing. */
EXPORT int sync_file_range(int fd, off_t offset, off_t len, unsigned flags)
{
    struct stat status;
    if (recorder_on() && watched_fd(fd, &status) != 0) {
        return 0;
    }
    return (int)syscall(SYS_sync_file_range, fd, offset, len, flags);
}
ALIAS(sync_file_range) int sync_file_range64(int fd, off_t offset, off_t len, unsigned flags);

EXPORT int syncfs(int fd)
{
    struct stat status;
    if (!recorder_on() || watched_fd(fd, &status) == 0) {
        return (int)syscall(SYS_syncfs, fd);
    }
    change_begin(fd, NULL);
    sync_all();
    change_end();
    return 0;
}

EXPORT void sync(void)
{
    if (recorder_on()) {
        change_begin(-1, "");
        sync_all();
        change_end();
    } else {
        syscall(SYS_sync);
    }
}

/* ---- names ---- */

static int rename_any(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    char from_name[256];
    char to_name[256];
    struct stat status;
    struct stat there;
    uint64_t from_inode = recorder_on() ? watched_parent(from_dir, from, from_name) : 0;
    uint64_t to_inode = recorder_on() ? watched_parent(to_dir, to, to_name) : 0;
    if (from_inode == 0 && to_inode == 0) {
        return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
    }
    if (from_inode == 0 || to_inode == 0 || flags != 0) {
        not_modelled("rename out of or into the directory, or with flags");
    }
    change_begin(-1, to);
    int result = fstatat(from_dir, from, &status, AT_SYMLINK_NOFOLLOW);
    /* Two names of one file stay as they are: so says POSIX, and a cut may leave such two. */
    bool same = fstatat(to_dir, to, &there, AT_SYMLINK_NOFOLLOW) == 0 && result == 0 &&
                there.st_ino == status.st_ino;
    result = result != 0 ? result : (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, 0);
    if (result == 0 && !same) {
        record_entry(to_inode, to_name, status.st_ino,
                     S_ISDIR(status.st_mode) ? RECORD_DIRECTORY : 0);
        record_entry(from_inode, from_name, 0, RECORD_PAIR);
    }
    int cause = errno;
    change_end();
    errno = cause;
    return result;
}

EXPORT int rename(const char *from, const char *to)
{
    return rename_any(AT_FDCWD, from, AT_FDCWD, to, 0);
}

EXPORT int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    return rename_any(from_dir, from, to_dir, to, 0);
}

EXPORT int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    return rename_any(from_dir, from, to_dir, to, flags);
}

EXPORT int unlinkat(int dirfd, const char *path, int flags)
{
    char name[256];
    uint64_t directory = recorder_on() ? watched_parent(dirfd, path, name) : 0;
    if (directory == 0) {
        return (int)syscall(SYS_unlinkat, dirfd, path, flags);
    }
    if (flags != 0) {
        not_modelled("removing a directory"); /* its inode number would be used again */
    }
    change_begin(-1, path);
    int result = (int)syscall(SYS_unlinkat, dirfd, path, 0);
    int cause = errno;
    if (result == 0) {
        record_entry(directory, name, 0, 0);
    }
    change_end();
    errno = cause;
    return result;
}

EXPORT int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

EXPORT int rmdir(const char *path)
{
    return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

EXPORT int remove(const char *path)
{
    struct stat status;
    bool is_directory = lstat(path, &status) == 0 && S_ISDIR(status.st_mode);
    return unlinkat(AT_FDCWD, path, is_directory ? AT_REMOVEDIR : 0);
}

EXPORT int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    char name[256];
    struct stat status;
    uint64_t directory = recorder_on() ? watched_parent(to_dir, to, name) : 0;
    if (directory == 0) {
        return (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
    }
    change_begin(-1, to);
    int result = (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
    int cause = errno;
    if (result == 0 && fstatat(to_dir, to, &status, AT_SYMLINK_NOFOLLOW) == 0) {
        watch_inode(status.st_ino, to, to_dir, false);
        record_entry(directory, name, status.st_ino, 0);
    }
    change_end();
    errno = cause;
    return result;
}

EXPORT int link(const char *from, const char *to)
{
    return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

EXPORT int symlinkat(const char *target, int dirfd, const char *path)
{
    if (recorder_on() && is_below(dirfd, path)) {
        not_modelled("symlink");
    }
    return (int)syscall(SYS_symlinkat, target, dirfd, path);
}

EXPORT int symlink(const char *target, const char *path)
{
    return symlinkat(target, AT_FDCWD, path);
}

EXPORT int mkdirat(int dirfd, const char *path, mode_t mode)
{
    char name[256];
    struct stat status;
    uint64_t directory = recorder_on() ? watched_parent(dirfd, path, name) : 0;
    if (directory == 0) {
        return (int)syscall(SYS_mkdirat, dirfd, path, mode);
    }
    change_begin(-1, path);
    int result = (int)syscall(SYS_mkdirat, dirfd, path, mode);
    int cause = errno;
    if (result == 0 && fstatat(dirfd, path, &status, 0) == 0) {
        watch_inode(status.st_ino, path, dirfd, true);
        record_entry(directory, name, status.st_ino, RECORD_DIRECTORY);
    }
    change_end();
    errno = cause;
    return result;
}

EXPORT int mkdir(const char *path, mode_t mode)
{
    return mkdirat(AT_FDCWD, path, mode);
}

/* ---- calls that the model lacks ---- */

EXPORT void *mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
    struct stat status;
    if (recorder_on() && fd >= 0 && (protection & PROT_WRITE) != 0 &&
        (flags & MAP_TYPE) != MAP_PRIVATE && watched_fd(fd, &status) != 0) {
        not_modelled("mmap for writing");
    }
    return (void *)syscall(SYS_mmap, at, len, protection, flags, fd, offset);
}
ALIAS(mmap)
void *mmap64(void *at, size_t len, int protection, int flags, int fd, off_t offset);

EXPORT ssize_t copy_file_range(int from, off_t *from_at, int to, off_t *to_at, size_t len,
                               unsigned flags)
{
    struct stat status;
    if (recorder_on() && watched_fd(to, &status) != 0) {
        not_modelled("copy_file_range");
    }
    return syscall(SYS_copy_file_range, from, from_at, to, to_at, len, flags);
}

EXPORT ssize_t sendfile(int to, int from, off_t *at, size_t len)
{
    struct stat status;
    if (recorder_on() && watched_fd(to, &status) != 0) {
        not_modelled("sendfile");
    }
    return syscall(SYS_sendfile, to, from, at, len);
}
ALIAS(sendfile) ssize_t sendfile64(int to, int from, off_t *at, size_t len);
