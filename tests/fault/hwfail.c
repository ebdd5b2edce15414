/* A library to be preloaded under a process: the Nth call of one kind fails, once, and every other
 * call reaches the kernel.
 *
 *   HWFAIL=KIND:ERROR:N   e.g. write:ENOSPC:7, write:short:3, sync:EIO:1, memory:ENOMEM:2
 *   HWFAIL=KIND:ERROR:@SITE   the first call that comes from this place; none, where no call does
 *   HWFAIL_ROOT=PATH      kinds that have a file count it only for this directory and what is in it
 *   HWFAIL_HIT=FILE       gets one line when the call fails: kind, error, N or @SITE, and what it
 * was about HWFAIL_SITES=FILE     gets a line "SITE what" for each place that a call of the kind
 * comes from, when it first does HWFAIL_CALLS=FILE     holds the number of calls of the kind so
 * far, 8 bytes in the machine's order
 *
 * A place is how the call was come to, by the functions that lead to it (the innermost SITE_FRAMES
 * of them), and the kind of file it is about (its path without the numbers in it).
 *
 * A sync that fails takes with it what was last written to its file, as Linux may: the pages are
 * marked clean, so that a later sync succeeds without them, and the disk has what was there before
 * that write (zeros, where it is not known). What is acknowledged on the word of
 * such a later sync is therefore found to be lost. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <unwind.h>

#define EXPORT __attribute__((visibility("default")))
/* The names for large files are the same calls on the machines we run on. */
#define ALIAS(name) __attribute__((visibility("default"), alias(#name)))
#define FDS_MAX 4096
#define SHORT (-1)
#define SITES_MAX 65536u
#define SITE_FRAMES 8u
#define SITE_FRAMES_OF_MEMORY 4u /* what grows is grown from everywhere */

#define BEFORE_MAX (1u << 20)

struct last_write {
    _Atomic int64_t at;
    _Atomic size_t len;
    char *before; /* of BEFORE_MAX bytes: what it was written over, so much of it is known */
    size_t known;
};

static const struct {
    const char *name;
    int number;
} errors[] = {
    {"ENOSPC", ENOSPC}, {"EIO", EIO},       {"EMFILE", EMFILE}, {"EINTR", EINTR},
    {"ENOMEM", ENOMEM}, {"EAGAIN", EAGAIN}, {"short", SHORT},
};

static char kind[32];
static char error_name[16];
static int error;
#define NEVER UINT64_MAX
static uint64_t when;    /* 0: no library; NEVER: by place, or not at all */
static uint64_t when_at; /* the place */
static unsigned site_frames;
static const char *sites_file;
static const char *root;
static _Atomic uint64_t own_calls;
static _Atomic uint64_t *calls = &own_calls;
static struct last_write last_writes[FDS_MAX];
static _Atomic uint64_t seen[SITES_MAX];
static _Thread_local bool walking; /* what walks the stack may call what we are under */
static void *own_start;

/* What is not understood must not pass for a run without faults. */
_Noreturn static void refuse(const char *what)
{
    fprintf(stderr, "hwfail: %s\n", what);
    _exit(127);
}

/* So that they can be read of a process that was killed. */
static void share_calls(const char *file)
{
    if (file == NULL) {
        return;
    }
    long fd = syscall(SYS_openat, AT_FDCWD, file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || syscall(SYS_ftruncate, fd, 8L) != 0) {
        refuse("HWFAIL_CALLS cannot be made");
    }
    long place = syscall(SYS_mmap, NULL, 8L, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0L);
    syscall(SYS_close, fd);
    if (place <= 0) {
        refuse("HWFAIL_CALLS cannot be mapped");
    }
    calls = (_Atomic uint64_t *)(uintptr_t)place;
}

__attribute__((constructor)) static void begin(void)
{
    unsigned long long number = 0;
    const char *text = getenv("HWFAIL");
    root = getenv("HWFAIL_ROOT");
    if (text == NULL) {
        return;
    }
    unsigned long long at = 0;
    bool by_place = sscanf(text, "%31[^:]:%15[^:]:@%llx", kind, error_name, &at) == 3;
    if (root == NULL ||
        (!by_place && sscanf(text, "%31[^:]:%15[^:]:%llu", kind, error_name, &number) != 3)) {
        refuse("HWFAIL is KIND:ERROR:N or KIND:ERROR:@SITE, and needs HWFAIL_ROOT");
    }
    sites_file = getenv("HWFAIL_SITES");
    when_at = at;
    site_frames = strcmp(kind, "memory") == 0 ? SITE_FRAMES_OF_MEMORY : SITE_FRAMES;
    number = by_place || number == 0 ? NEVER : number;
    share_calls(getenv("HWFAIL_CALLS"));
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        error = strcmp(errors[i].name, error_name) == 0 ? errors[i].number : error;
    }
    if (error == 0) {
        refuse("the error in HWFAIL is unknown");
    }
    when = number;
}

static bool path_of(int fd, char out[PATH_MAX])
{
    char link[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t len = syscall(SYS_readlinkat, AT_FDCWD, link, out, (size_t)PATH_MAX - 1);
    out[len > 0 ? len : 0] = 0;
    return len > 0;
}

static bool below_root(const char *path)
{
    size_t len = root == NULL ? 0 : strlen(root);
    return path != NULL && len > 0 && strncmp(path, root, len) == 0 &&
           (path[len] == '/' || path[len] == 0);
}

static void append(const char *file, const char *line, size_t len)
{
    long fd = file == NULL
                  ? -1
                  : syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd >= 0) {
        syscall(SYS_write, fd, line, len);
        syscall(SYS_close, fd);
    }
}

static void tell(const char *what)
{
    char line[PATH_MAX + 128];
    const char *file = getenv("HWFAIL_HIT");
    const char *text = getenv("HWFAIL");
    int len = snprintf(line, sizeof(line), "%s %s %s %s\n", kind, error_name,
                       strrchr(text, ':') + 1, what);
    append(file, line, (size_t)len);
}

/* ---- places ---- */

struct walk {
    uint64_t hash;
    unsigned frames;
};

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

/* Relative to what was loaded where, which differs from run to run. Our own frames count for
 * nothing: compilers merge them. */
static _Unwind_Reason_Code take_frame(struct _Unwind_Context *context, void *arg)
{
    struct walk *walk = arg;
    struct dl_find_object object;
    uintptr_t at = _Unwind_GetIP(context);
    if (at == 0 || _dl_find_object((void *)at, &object) != 0) {
        return _URC_END_OF_STACK;
    }
    if (object.dlfo_map_start != own_start) {
        walk->hash = mix(walk->hash, at - (uintptr_t)object.dlfo_map_start);
        walk->frames++;
    }
    return walk->frames == site_frames ? _URC_END_OF_STACK : _URC_NO_REASON;
}

/* Of each run of digits, and of what is like one in hexadecimal, no more than that it is there. */
static uint64_t hash_name(uint64_t hash, const char *what)
{
    size_t len = root == NULL ? 0 : strlen(root);
    what += strncmp(what, root, len) == 0 ? len : 0;
    for (; *what != 0; what++) {
        bool number = (*what >= '0' && *what <= '9') || (*what >= 'a' && *what <= 'f');
        bool digits = number && strspn(what, "0123456789abcdef") >= 6;
        if (digits || (*what >= '0' && *what <= '9')) {
            what += strspn(what, digits ? "0123456789abcdef" : "0123456789") - 1;
            hash = mix(hash, '0');
        } else {
            hash = mix(hash, (unsigned char)*what);
        }
    }
    return hash;
}

/* True for who is the first of this process. */
static bool is_new(uint64_t site)
{
    for (size_t i = 0; i < SITES_MAX; i++) {
        _Atomic uint64_t *place = &seen[(site + i) % SITES_MAX];
        uint64_t before = 0;
        if (atomic_compare_exchange_strong(place, &before, site)) {
            return true;
        }
        if (before == site) {
            return false;
        }
    }
    refuse("more places than there is room for");
}

static bool is_due_by_place(const char *what)
{
    char line[PATH_MAX + 32];
    struct walk walk = {0};
    struct dl_find_object own;
    if (walking) {
        return false;
    }
    walking = true;
    if (own_start == NULL && _dl_find_object((void *)(uintptr_t)is_due_by_place, &own) == 0) {
        own_start = own.dlfo_map_start;
    }
    (void)_Unwind_Backtrace(take_frame, &walk);
    uint64_t site = hash_name(walk.hash, what) | 1;
    bool new = is_new(site);
    if (new) {
        int len = snprintf(line, sizeof(line), "%016llx %s\n", (unsigned long long)site, what);
        append(sites_file, line, (size_t)len);
    }
    walking = false;
    return new &&site == when_at;
}

/* True once: for the call that is to fail. */
static bool is_due(const char *what)
{
    uint64_t number = atomic_fetch_add(calls, 1) + 1;
    bool by_place = sites_file != NULL && is_due_by_place(what);
    if (number != when && !by_place) {
        return false;
    }
    tell(what);
    return true;
}

static bool fails_path(const char *of_kind, const char *path)
{
    return when != 0 && strcmp(kind, of_kind) == 0 && below_root(path) && is_due(path);
}

static bool fails_fd(const char *of_kind, int fd)
{
    char path[PATH_MAX];
    return when != 0 && strcmp(kind, of_kind) == 0 && path_of(fd, path) && below_root(path) &&
           is_due(path);
}

static bool fails_always(const char *of_kind, const char *what)
{
    return when != 0 && strcmp(kind, of_kind) == 0 && is_due(what);
}

static int failed(void)
{
    errno = error == SHORT ? EIO : error;
    return -1;
}

/* ---- opening ---- */

static int open_any(int dirfd, const char *path, int flags, mode_t mode)
{
    if (fails_path("open", path)) {
        return failed();
    }
    return (int)syscall(SYS_openat, dirfd, path, flags, mode);
}

static mode_t mode_argument(int flags, va_list arguments)
{
    return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(arguments, mode_t)
                                                                      : 0;
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

int __open_2(const char *path, int flags);
EXPORT int __open_2(const char *path, int flags)
{
    return open_any(AT_FDCWD, path, flags, 0);
}
ALIAS(__open_2) int __open64_2(const char *path, int flags);

EXPORT int mkdir(const char *path, mode_t mode)
{
    return fails_path("mkdir", path) ? failed() : (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

/* The descriptor is gone either way, as on Linux. */
EXPORT int close(int fd)
{
    bool fails = fails_fd("close", fd);
    int result = (int)syscall(SYS_close, fd);
    return fails ? failed() : result;
}

/* ---- reading ---- */

static size_t read_len(int fd, size_t len, bool *fails)
{
    *fails = len > 1 && fails_fd("read", fd);
    return *fails && error == SHORT ? len / 2 : len;
}

EXPORT ssize_t read(int fd, void *bytes, size_t len)
{
    bool fails;
    size_t part = read_len(fd, len, &fails);
    return fails && error != SHORT ? failed() : syscall(SYS_read, fd, bytes, part);
}

EXPORT ssize_t pread(int fd, void *bytes, size_t len, off_t at)
{
    bool fails;
    size_t part = read_len(fd, len, &fails);
    return fails && error != SHORT ? failed() : syscall(SYS_pread64, fd, bytes, part, at);
}
ALIAS(pread) ssize_t pread64(int fd, void *bytes, size_t len, off_t at);

ssize_t __read_chk(int fd, void *bytes, size_t len, size_t size);
EXPORT ssize_t __read_chk(int fd, void *bytes, size_t len, size_t size)
{
    return len > size ? failed() : read(fd, bytes, len);
}

ssize_t __pread_chk(int fd, void *bytes, size_t len, off_t at, size_t size);
EXPORT ssize_t __pread_chk(int fd, void *bytes, size_t len, off_t at, size_t size)
{
    return len > size ? failed() : pread(fd, bytes, len, at);
}
ALIAS(__pread_chk) ssize_t __pread64_chk(int fd, void *bytes, size_t len, off_t at, size_t size);

EXPORT struct dirent *readdir(DIR *directory)
{
    struct dirent *(*next)(DIR *) = NULL;
    if (fails_fd("readdir", dirfd(directory))) {
        (void)failed();
        return NULL;
    }
    *(void **)&next = dlsym(RTLD_NEXT, "readdir");
    return next(directory);
}
ALIAS(readdir) struct dirent64 *readdir64(DIR *directory);

/* ---- writing ---- */

static void remember(int fd, off_t at, ssize_t written)
{
    if (when != 0 && written > 0 && fd >= 0 && fd < FDS_MAX) {
        off_t from = at >= 0 ? at : lseek(fd, 0, SEEK_CUR) - written;
        atomic_store(&last_writes[fd].at, from);
        atomic_store(&last_writes[fd].len, (size_t)written);
    }
}

/* Through a descriptor of its own, as the file's may be for writing only. */
static void look_before(int fd, const struct iovec *parts, int count, off_t at)
{
    char path[64];
    size_t len = 0;
    if (when == 0 || strcmp(kind, "sync") != 0 || fd < 0 || fd >= FDS_MAX) {
        return;
    }
    struct last_write *last = &last_writes[fd];
    for (int i = 0; i < count; i++) {
        len += parts[i].iov_len;
    }
    last->known = 0;
    if (last->before == NULL) {
        long room = syscall(SYS_mmap, NULL, (size_t)BEFORE_MAX, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L);
        last->before = room > 0 ? (char *)(uintptr_t)room : NULL;
    }
    if (at < 0 || len > BEFORE_MAX || last->before == NULL) {
        return;
    }
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    long in = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    long got = in < 0 ? -1 : syscall(SYS_pread64, in, last->before, len, at);
    if (in >= 0) {
        syscall(SYS_close, in);
    }
    if (got >= 0) {
        memset(last->before + got, 0, len - (size_t)got);
        last->known = len;
    }
}

static void forget_written(int fd)
{
    static const char zeros[4096];
    if (fd < 0 || fd >= FDS_MAX) {
        return;
    }
    size_t len = atomic_exchange(&last_writes[fd].len, 0);
    int64_t at = atomic_load(&last_writes[fd].at);
    if (len <= last_writes[fd].known) {
        syscall(SYS_pwrite64, fd, last_writes[fd].before, len, at);
        return;
    }
    while (len > 0) {
        size_t part = len < sizeof(zeros) ? len : sizeof(zeros);
        long written = syscall(SYS_pwrite64, fd, zeros, part, at);
        if (written <= 0) {
            return; /* O_DIRECT, unaligned: that file keeps what it has */
        }
        at += written;
        len -= (size_t)written;
    }
}

/* at: -1 for the file's own place. A short write takes half of the first part. */
static ssize_t write_any(int fd, const struct iovec *parts, int count, off_t at)
{
    struct iovec half = {0};
    if (count > 0 && parts[0].iov_len > 1 && fails_fd("write", fd)) {
        if (error != SHORT) {
            return failed();
        }
        half = (struct iovec){parts[0].iov_base, parts[0].iov_len / 2};
        parts = &half;
        count = 1;
    }
    look_before(fd, parts, count, at);
    ssize_t written = at < 0 ? syscall(SYS_writev, fd, parts, count)
                             : syscall(SYS_pwritev, fd, parts, count, at, 0L);
    remember(fd, at, written);
    return written;
}

static struct iovec one_part(const void *bytes, size_t len)
{
    return (struct iovec){(void *)(uintptr_t)bytes, len};
}

EXPORT ssize_t write(int fd, const void *bytes, size_t len)
{
    struct iovec part = one_part(bytes, len);
    return write_any(fd, &part, 1, -1);
}

EXPORT ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return write_any(fd, parts, count, -1);
}

EXPORT ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    struct iovec part = one_part(bytes, len);
    return write_any(fd, &part, 1, at);
}
ALIAS(pwrite) ssize_t pwrite64(int fd, const void *bytes, size_t len, off_t at);

EXPORT ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    return write_any(fd, parts, count, at);
}
ALIAS(pwritev) ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t at);

static int sync_any(int fd, long call)
{
    if (fails_fd("sync", fd)) {
        forget_written(fd);
        return failed();
    }
    return (int)syscall(call, fd);
}

EXPORT int fsync(int fd)
{
    return sync_any(fd, SYS_fsync);
}

EXPORT int fdatasync(int fd)
{
    return sync_any(fd, SYS_fdatasync);
}

EXPORT int fallocate(int fd, int mode, off_t at, off_t len)
{
    return fails_fd("allocate", fd) ? failed() : (int)syscall(SYS_fallocate, fd, mode, at, len);
}
ALIAS(fallocate) int fallocate64(int fd, int mode, off_t at, off_t len);

/* Returns the error and leaves errno alone. */
EXPORT int posix_fallocate(int fd, off_t at, off_t len)
{
    int before = errno;
    int result = fallocate(fd, 0, at, len) == 0 ? 0 : errno;
    errno = before;
    return result;
}
ALIAS(posix_fallocate) int posix_fallocate64(int fd, off_t at, off_t len);

EXPORT int ftruncate(int fd, off_t size)
{
    return fails_fd("truncate", fd) ? failed() : (int)syscall(SYS_ftruncate, fd, size);
}
ALIAS(ftruncate) int ftruncate64(int fd, off_t size);

/* ---- names ---- */

EXPORT int rename(const char *from, const char *to)
{
    return fails_path("rename", to) ? failed()
                                    : (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
}

EXPORT int unlink(const char *path)
{
    return fails_path("unlink", path) ? failed() : (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

/* ---- what has no file below the root ---- */

EXPORT void *mmap(void *where, size_t len, int protection, int flags, int fd, off_t at)
{
    if (fails_always("map", fd < 0 ? "memory" : "a file")) {
        (void)failed();
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, where, len, protection, flags, fd, at);
}
ALIAS(mmap) void *mmap64(void *where, size_t len, int protection, int flags, int fd, off_t at);

/* Counted from main on: where the libraries' own constructors find no memory, nothing has begun. */
static int (*real_main)(int, char **, char **);
static _Atomic bool began;

static int main_from_here(int argc, char **argv, char **environment)
{
    atomic_store(&began, true);
    return real_main(argc, argv, environment);
}

typedef int start_main(int (*main)(int, char **, char **), int argc, char **argv,
                       void (*init)(void), void (*fini)(void), void (*rtld_fini)(void),
                       void *stack_end);

start_main __libc_start_main;
EXPORT int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv,
                             void (*init)(void), void (*fini)(void), void (*rtld_fini)(void),
                             void *stack_end)
{
    start_main *next = NULL;
    *(void **)&next = dlsym(RTLD_NEXT, "__libc_start_main");
    real_main = main;
    return next(main_from_here, argc, argv, init, fini, rtld_fini, stack_end);
}

/* What malloc is below every name of it. The C++ runtime throws where one of these is NULL. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static bool fails_memory(void)
{
    bool fails = atomic_load(&began) && fails_always("memory", "memory");
    errno = fails ? ENOMEM : errno;
    return fails;
}

EXPORT void *malloc(size_t size)
{
    return fails_memory() ? NULL : __libc_malloc(size);
}

EXPORT void *calloc(size_t count, size_t size)
{
    return fails_memory() ? NULL : __libc_calloc(count, size);
}

EXPORT void *realloc(void *block, size_t size)
{
    return fails_memory() ? NULL : __libc_realloc(block, size);
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    return fails_memory() ? NULL : __libc_memalign(alignment, size);
}

EXPORT int posix_memalign(void **out, size_t alignment, size_t size)
{
    void *block = fails_memory() ? NULL : __libc_memalign(alignment, size);
    *out = block == NULL ? *out : block;
    return block == NULL ? ENOMEM : 0;
}

EXPORT int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
    return fails_always("accept", "a connection")
               ? failed()
               : (int)syscall(SYS_accept4, fd, address, len, flags);
}

EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *arg)
{
    int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) = NULL;
    if (fails_always("thread", "a thread")) {
        return error;
    }
    *(void **)&next = dlsym(RTLD_NEXT, "pthread_create");
    return next(thread, attributes, run, arg);
}
