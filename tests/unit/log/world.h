/* What tests of the log share: a log in a directory of its own, commits that tell their number, and
 * files changed under it. */
#ifndef HW_TEST_LOG_WORLD_H
#define HW_TEST_LOG_WORLD_H

#include "check.h"
#include "log/log.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];

static inline void remove_dir(void)
{
    char command[200];
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    CHECK(dir[0] == 0 || system(command) == 0);
}

static inline void fresh_dir(void)
{
    remove_dir();
    snprintf(dir, sizeof(dir), "/tmp/hwlogXXXXXX");
    CHECK(mkdtemp(dir) != NULL);
}

static inline struct log *open_log(uint64_t flushed, enum err expected, struct log_report *report)
{
    struct log *log = NULL;
    const struct log_options options = {
        .dir = dir, .segment_bytes = 256 * 1024, .flushed = flushed, .tail_bytes = 64 * 1024};
    enum err err = log_open(&options, &log, report);
    CHECK(err == expected);
    if (err != expected) {
        printf("log_open: %s (%s at %llu: %s)\n", err_text(err), report->file,
               (unsigned long long)report->offset, report->reason);
    }
    return log;
}

/* Commit c has 1 + c % 3 records of stream 1 + c % 2, each telling its number. */
static inline void append_at(struct log *log, uint64_t now_ms, unsigned commits, size_t body_bytes)
{
    static char body[70000];
    log_group_begin(log, now_ms);
    uint64_t commit = 0;
    for (unsigned i = 0; i < commits; i++) {
        commit = log_commit_begin(log);
        for (unsigned j = 0; j < 1 + commit % 3; j++) {
            memset(body, 'b', body_bytes);
            int len = snprintf(body, sizeof(body), "%llu.%u ", (unsigned long long)commit, j);
            log_record_add(log, 1, 1 + commit % 2, commit * 7919,
                           bytes_of(body, (size_t)len + body_bytes));
        }
    }
    CHECK(log_append(log) == OK);
    log_publish(log, commit);
}

static inline void append(struct log *log, unsigned commits, size_t body_bytes)
{
    append_at(log, 1000, commits, body_bytes);
}

struct counting {
    uint64_t commit;
    uint32_t index;
    uint64_t records;
    bool wrong;
};

static inline enum err count_record(void *arg, const struct log_record *record)
{
    struct counting *counting = arg;
    char text[40];
    int len =
        snprintf(text, sizeof(text), "%llu.%u ", (unsigned long long)record->commit, record->index);
    bool next = (record->commit == counting->commit && record->index == counting->index + 1) ||
                (record->commit == counting->commit + 1 && record->index == 0);
    counting->wrong |= !next || record->count != 1 + record->commit % 3 ||
                       record->key_hash != record->commit * 7919 ||
                       !bytes_start_with(record->body, bytes_of(text, (size_t)len)) ||
                       record->stream != 1 + record->commit % 2;
    counting->commit = record->commit;
    counting->index = record->index;
    counting->records++;
    return OK;
}

static inline uint64_t replay(struct log *log, uint64_t after)
{
    struct counting counting = {.commit = after, .index = UINT32_MAX - 1};
    CHECK(log_replay(log, after, count_record, &counting) == OK);
    CHECK(!counting.wrong);
    return counting.commit;
}

static inline char *newest_segment(char *path, size_t room)
{
    DIR *open = opendir(dir);
    struct dirent *entry;
    char best[64] = "";
    while ((entry = readdir(open)) != NULL) {
        struct stat status;
        char full[400];
        char first[8] = {0};
        snprintf(full, sizeof(full), "%s/%s", dir, entry->d_name);
        int fd = openat(AT_FDCWD, full, O_RDONLY);
        bool used = strstr(entry->d_name, ".log") != NULL && fstat(fd, &status) == 0 &&
                    pread(fd, first, 8, 0) == 8 && first[0] == 'H';
        close(fd);
        if (used && strcmp(entry->d_name, best) > 0) {
            snprintf(best, sizeof(best), "%.60s", entry->d_name);
        }
    }
    closedir(open);
    snprintf(path, room, "%s/%s", dir, best);
    return path;
}

/* Ends a log at 12 commits, of which the last frame holds two, and gives that frame's place. */
static inline void make_tail(char *path, size_t room, off_t *start, off_t *end)
{
    struct log_report report;
    fresh_dir();
    struct log *log = open_log(0, OK, &report);
    append(log, 10, 300);
    struct log_figures figures;
    log_figures(log, &figures);
    *start = (off_t)figures.bytes;
    append(log, 2, 1500);
    log_figures(log, &figures);
    *end = (off_t)figures.bytes;
    CHECK(log_close(log, false) == OK);
    newest_segment(path, room);
}

static inline void change(const char *path, off_t at, const void *data, size_t len)
{
    int fd = open(path, O_RDWR);
    CHECK(pwrite(fd, data, len, at) == (ssize_t)len);
    close(fd);
}

#endif
