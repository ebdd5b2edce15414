/* What is watched, and the journal of it (journal.h). Everything here goes to the kernel directly
 * or through calls that hwfault.c does not replace.
 *
 * HWFAULT_ROOT       the directory; it exists before the process starts, and outlives all cuts
 * HWFAULT_STATE      where the journal and the links are kept: on the same volume, outside of it
 * HWFAULT_CUT        n, or text@n: the power is cut at the n-th change or sync of this process, of
 *                    those whose path holds the text
 * HWFAULT_SYNC_US    a sync takes a random time up to this many microseconds
 * HWFAULT_SEED       of those times
 * HWFAULT_NOSYNC     all, files, directories, or text: syncs of these do nothing; of files, with a
 *                    text, those whose path holds it */
#include "recorder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define INODES_MAX 65536u /* a power of two; half of it is used at most */
#define READERS 64u

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct journal_header *header; /* NULL: off */
static uint8_t *journal;
static struct record *pending; /* of the change that is under way */
static uint64_t inodes[INODES_MAX];
static unsigned inode_count;
static dev_t device;
static char state_dir[PATH_MAX];
static struct {
    uint64_t inode;
    int fd;
} readers[READERS];

static struct {
    char path[256]; /* part of it; empty: all */
    unsigned long at;
    unsigned long seen;
} cut;

static struct {
    unsigned long us_max;
    uint64_t random;
    const char *ignored;
} syncs;

static void walk_root(const char *root);
static void walk(int directory, const char *path, uint64_t inode);
static _Noreturn void give_up(const char *what, const char *detail);

/* ---- starting ---- */

static const char *variable(const char *name)
{
    const char *text = getenv(name);
    return text == NULL ? "" : text;
}

static void read_options(void)
{
    const char *text = variable("HWFAULT_CUT");
    const char *at = strrchr(text, '@');
    if (at != NULL) {
        snprintf(cut.path, sizeof(cut.path), "%.*s", (int)(at - text), text);
    }
    cut.at = strtoul(at == NULL ? text : at + 1, NULL, 10);
    syncs.us_max = strtoul(variable("HWFAULT_SYNC_US"), NULL, 10);
    syncs.random = strtoul(variable("HWFAULT_SEED"), NULL, 10) * 0x9e3779b97f4a7c15ull + 1;
    syncs.ignored = variable("HWFAULT_NOSYNC");
}

static void open_journal(void)
{
    char path[PATH_MAX + 16];
    mkdir(state_dir, 0700);
    snprintf(path, sizeof(path), "%s/inodes", state_dir);
    mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/journal", state_dir);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || syscall(SYS_ftruncate, fd, (long)JOURNAL_BYTES) != 0) {
        give_up("cannot make the journal", path);
    }
    journal = (uint8_t *)syscall(SYS_mmap, NULL, JOURNAL_BYTES, PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_NORESERVE, fd, 0L);
    if (journal == MAP_FAILED) {
        give_up("cannot map the journal", path);
    }
    close(fd);
}

__attribute__((constructor)) static void recorder_start(void)
{
    struct stat root;
    struct stat state;
    if (variable("HWFAULT_STATE")[0] == 0) {
        return;
    }
    snprintf(state_dir, sizeof(state_dir), "%s", variable("HWFAULT_STATE"));
    read_options();
    open_journal();
    if (stat(variable("HWFAULT_ROOT"), &root) != 0 || !S_ISDIR(root.st_mode)) {
        give_up("HWFAULT_ROOT is not a directory", variable("HWFAULT_ROOT"));
    }
    if (stat(state_dir, &state) != 0 || state.st_dev != root.st_dev) {
        give_up("HWFAULT_STATE is not on the volume of HWFAULT_ROOT", state_dir);
    }
    device = root.st_dev;
    struct journal_header *found = (struct journal_header *)journal;
    if (found->magic == 0) {
        found->root = root.st_ino;
        atomic_store(&found->end, JOURNAL_ROOM);
        found->magic = JOURNAL_MAGIC;
    }
    if (found->magic != JOURNAL_MAGIC || found->root != root.st_ino) {
        give_up("the journal is of another directory", state_dir);
    }
    found->operations = 0;
    found->was_cut = 0;
    header = found;
    walk_root(variable("HWFAULT_ROOT"));
}

bool recorder_on(void)
{
    return header != NULL;
}

static _Noreturn void give_up(const char *what, const char *detail)
{
    fprintf(stderr, "hwfault: %s: %s\n", what, detail);
    abort();
}

void not_modelled(const char *call)
{
    give_up("the fault library does not model this call", call);
}

/* ---- what is watched ---- */

static unsigned slot_of(uint64_t inode)
{
    unsigned slot = (unsigned)(inode * 0x9e3779b97f4a7c15ull >> 40) % INODES_MAX;
    while (inodes[slot] != 0 && inodes[slot] != inode) {
        slot = (slot + 1) % INODES_MAX;
    }
    return slot;
}

static bool is_watched(uint64_t inode)
{
    pthread_mutex_lock(&mutex);
    bool watched = inodes[slot_of(inode)] != 0;
    pthread_mutex_unlock(&mutex);
    return watched;
}

static void add_inode(uint64_t inode)
{
    unsigned slot = slot_of(inode);
    if (inodes[slot] == 0 && ++inode_count > INODES_MAX / 2) {
        give_up("too many files", state_dir);
    }
    inodes[slot] = inode;
}

uint64_t watched_fd(int fd, struct stat *status)
{
    if (fstat(fd, status) != 0 || status->st_dev != device ||
        (!S_ISREG(status->st_mode) && !S_ISDIR(status->st_mode))) {
        return 0;
    }
    return is_watched(status->st_ino) ? status->st_ino : 0;
}

uint64_t watched_parent(int dirfd, const char *path, char name[256])
{
    char parent[PATH_MAX];
    struct stat status;
    const char *slash = strrchr(path, '/');
    const char *last = slash == NULL ? path : slash + 1;
    int len = slash == NULL ? 1 : slash == path ? 1 : (int)(slash - path);
    if (last[0] == 0 || strlen(last) > 255) {
        return 0; /* the kernel refuses it, or it names a directory that is there */
    }
    snprintf(parent, sizeof(parent), "%.*s", len, slash == NULL ? "." : path);
    if (fstatat(dirfd, parent, &status, 0) != 0 || status.st_dev != device) {
        return 0;
    }
    snprintf(name, 256, "%s", last);
    return is_watched(status.st_ino) ? status.st_ino : 0;
}

static void inode_path(uint64_t inode, char *out, size_t room)
{
    snprintf(out, room, "%s/inodes/%llu", state_dir, (unsigned long long)inode);
}

void watch_inode(uint64_t inode, const char *path, int dirfd, bool is_directory)
{
    char link[PATH_MAX + 40];
    if (inodes[slot_of(inode)] != 0) {
        return;
    }
    add_inode(inode);
    inode_path(inode, link, sizeof(link));
    if (!is_directory && syscall(SYS_linkat, dirfd, path, AT_FDCWD, link, 0) != 0 &&
        errno != EEXIST) {
        give_up("cannot link", path);
    }
}

static int compare_entries(const struct dirent **left, const struct dirent **right)
{
    return strcmp((*left)->d_name, (*right)->d_name);
}

static void walk_root(const char *root)
{
    int fd = (int)syscall(SYS_openat, AT_FDCWD, root, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    struct record *record = (struct record *)(journal + atomic_load(&header->end));
    add_inode(header->root);
    *record = (struct record){.bytes = sizeof(*record), .kind = RECORD_WALK, .seq = ++header->seq};
    atomic_fetch_add(&header->end, record->bytes);
    walk(fd, root, header->root);
    close(fd);
    record = (struct record *)(journal + atomic_load(&header->end));
    *record =
        (struct record){.bytes = sizeof(*record), .kind = RECORD_WALKED, .seq = ++header->seq};
    atomic_fetch_add(&header->end, record->bytes);
}

static void walk(int directory, const char *path, uint64_t inode)
{
    struct dirent **names = NULL;
    int count = scandirat(directory, ".", &names, NULL, compare_entries);
    for (int i = 0; i < count; i++) {
        const char *name = names[i]->d_name;
        struct stat status;
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
            fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
            bool is_directory = S_ISDIR(status.st_mode);
            if (!is_directory && !S_ISREG(status.st_mode)) {
                give_up("neither a file nor a directory", name);
            }
            watch_inode(status.st_ino, name, directory, is_directory);
            record_entry(inode, name, status.st_ino, is_directory ? RECORD_DIRECTORY : 0);
            if (is_directory) {
                int below = (int)syscall(SYS_openat, directory, name,
                                         O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
                walk(below, path, status.st_ino);
                close(below);
            }
        }
        free(names[i]);
    }
    free(names);
}

/* ---- changes ---- */

static bool path_holds(int fd, const char *path, const char *part)
{
    char link[64];
    char text[PATH_MAX] = {0};
    if (path == NULL) {
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        if (readlink(link, text, sizeof(text) - 1) < 0) {
            return false;
        }
        path = text;
    }
    return strstr(path, part) != NULL;
}

void change_begin(int fd, const char *path)
{
    pthread_mutex_lock(&mutex);
    header->operations++;
    if (cut.at == 0 || (cut.path[0] != 0 && !path_holds(fd, path, cut.path))) {
        return;
    }
    if (++cut.seen == cut.at) {
        static const char text[] = "hwfault: the power is cut\n";
        header->was_cut = 1;
        syscall(SYS_write, 2, text, sizeof(text) - 1);
        syscall(SYS_exit_group, CUT_STATUS); /* with the mutex: nothing changes after it */
    }
}

void change_end(void)
{
    pthread_mutex_unlock(&mutex);
}

static struct record *record_new(enum record_kind kind, uint64_t inode, size_t payload_max)
{
    uint64_t end = atomic_load(&header->end);
    if (end + sizeof(struct record) + payload_max + 8 > JOURNAL_BYTES) {
        give_up("the journal is full", state_dir);
    }
    struct record *record = (struct record *)(journal + end);
    *record = (struct record){.kind = (uint8_t)kind, .inode = inode};
    return record;
}

/* Whoever is killed before the last line has not written the record. */
static void record_publish(struct record *record)
{
    size_t payload = (size_t)record->name_len + record->new_len + record->old_len;
    record->bytes = (uint32_t)(sizeof(*record) + (payload + 7) / 8 * 8);
    record->seq = ++header->seq;
    atomic_fetch_add(&header->end, record->bytes);
}

static size_t without_zeros(const uint8_t *bytes, size_t len)
{
    while (len >= 8 && memcmp(bytes + len - 8, "\0\0\0\0\0\0\0\0", 8) == 0) {
        len -= 8;
    }
    while (len > 0 && bytes[len - 1] == 0) {
        len--;
    }
    return len;
}

void record_entry(uint64_t directory, const char *name, uint64_t target, unsigned flags)
{
    size_t len = strlen(name);
    struct record *record = record_new(RECORD_ENTRY, directory, len);
    record->target = target;
    record->flags = (uint8_t)flags;
    record->name_len = (uint16_t)len;
    memcpy(record + 1, name, len);
    record_publish(record);
}

/* A reader of the file, whatever its user has it open for. */
static int reader_of(uint64_t inode)
{
    unsigned slot = (unsigned)(inode % READERS);
    char path[PATH_MAX + 40];
    if (readers[slot].inode != inode) {
        if (readers[slot].inode != 0) {
            close(readers[slot].fd);
        }
        inode_path(inode, path, sizeof(path));
        readers[slot].fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
        readers[slot].inode = inode;
    }
    return readers[slot].fd;
}

static uint32_t read_old(uint64_t inode, uint8_t *out, uint64_t offset, uint64_t len)
{
    ssize_t got = len == 0 ? 0 : pread(reader_of(inode), out, len, (off_t)offset);
    if (got < 0 || (uint64_t)got < len) {
        give_up("cannot read what is replaced", state_dir);
    }
    return (uint32_t)without_zeros(out, len);
}

void record_size_prepare(uint64_t inode, uint64_t size, uint64_t old_size)
{
    uint64_t lost = size < old_size ? old_size - size : 0;
    struct record *record = record_new(RECORD_SIZE, inode, lost);
    record->length = size;
    record->old_size = old_size;
    record->old_len = read_old(inode, (uint8_t *)(record + 1), size, lost);
    pending = record;
}

static size_t parts_copy(uint8_t *out, const struct iovec *parts, int count)
{
    size_t len = 0;
    int last = count - 1;
    while (last >= 0 && without_zeros(parts[last].iov_base, parts[last].iov_len) == 0) {
        last--;
    }
    for (int i = 0; i <= last; i++) {
        size_t part =
            i < last ? parts[i].iov_len : without_zeros(parts[i].iov_base, parts[i].iov_len);
        memcpy(out + len, parts[i].iov_base, part);
        len += part;
    }
    return len;
}

void record_write_prepare(uint64_t inode, uint64_t offset, uint64_t old_size,
                          const struct iovec *parts, int count)
{
    uint64_t length = 0;
    for (int i = 0; i < count; i++) {
        length += parts[i].iov_len;
    }
    struct record *record = record_new(RECORD_WRITE, inode, 2 * length);
    uint8_t *payload = (uint8_t *)(record + 1);
    uint64_t replaced = offset >= old_size ? 0 : old_size - offset;
    replaced = replaced < length ? replaced : length;
    record->offset = offset;
    record->old_size = old_size;
    record->new_len = (uint32_t)parts_copy(payload, parts, count);
    record->old_len = read_old(inode, payload + record->new_len, offset, replaced);
    pending = record;
}

void record_done(bool done)
{
    if (done) {
        record_publish(pending);
    }
    pending = NULL;
}

void record_written(ssize_t written)
{
    pending->length = written < 0 ? 0 : (uint64_t)written;
    record_done(written > 0);
}

/* ---- syncs ---- */

uint64_t sync_begin(void)
{
    uint64_t covered = header->seq;
    uint64_t random = syncs.random;
    syncs.random ^= syncs.random << 13;
    syncs.random ^= syncs.random >> 7;
    syncs.random ^= syncs.random << 17;
    if (syncs.us_max > 0) {
        pthread_mutex_unlock(&mutex);
        struct timespec time = {0, (long)(random % syncs.us_max) * 1000};
        nanosleep(&time, NULL);
        pthread_mutex_lock(&mutex);
    }
    return covered;
}

static bool is_ignored(int fd, bool is_directory)
{
    const char *ignored = syncs.ignored;
    if (ignored[0] == 0 || strcmp(ignored, "all") == 0) {
        return ignored[0] != 0;
    }
    if (strcmp(ignored, "directories") == 0) {
        return is_directory;
    }
    return strcmp(ignored, "files") == 0 ? !is_directory : path_holds(fd, NULL, ignored);
}

void sync_finish(int fd, uint64_t inode, bool is_directory, uint64_t covered)
{
    if (is_ignored(fd, is_directory)) {
        return;
    }
    struct record *record = record_new(RECORD_SYNC, inode, 0);
    record->length = covered;
    record_publish(record);
}

void sync_all(void)
{
    uint64_t covered = header->seq;
    for (unsigned i = 0; i < INODES_MAX; i++) {
        if (inodes[i] != 0) {
            struct record *record = record_new(RECORD_SYNC, inodes[i], 0);
            record->length = covered;
            record_publish(record);
        }
    }
}
