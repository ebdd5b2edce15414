/* log: what was appended comes back, in order, through every way of reading; a torn end is cut off,
 * damage never is; followers wake exactly when there is something for them. */
#include "log/log.h"

#include "check.h"
#include "sys/clock.h"
#include "sys/thread.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];

static void fresh_dir(void)
{
    char command[200];
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    CHECK(dir[0] == 0 || system(command) == 0);
    snprintf(dir, sizeof(dir), "/tmp/hwlogXXXXXX");
    CHECK(mkdtemp(dir) != NULL);
}

static struct log *open_log(uint64_t flushed, enum err expected, struct log_report *report)
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
static void append(struct log *log, unsigned commits, size_t body_bytes)
{
    static char body[70000];
    log_group_begin(log, 1000);
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

struct counting {
    uint64_t commit;
    uint32_t index;
    uint64_t records;
    bool wrong;
};

static enum err count_record(void *arg, const struct log_record *record)
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

static uint64_t replay(struct log *log, uint64_t after)
{
    struct counting counting = {.commit = after, .index = UINT32_MAX - 1};
    CHECK(log_replay(log, after, count_record, &counting) == OK);
    CHECK(!counting.wrong);
    return counting.commit;
}

static void everything_comes_back_after_a_restart(void)
{
    struct log_report report;
    fresh_dir();
    struct log *log = open_log(0, OK, &report);
    for (unsigned i = 0; i < 200; i++) {
        append(log, 1 + i % 7, i % 5 * 1000);
    }
    uint64_t last = log_last(log);
    CHECK(log_visible(log) == last);
    CHECK(log_close(log, false) == OK);
    log = open_log(0, OK, &report);
    CHECK(report.last_commit == last && !report.torn_end && !report.clean_stop);
    CHECK(report.segments > 3);
    CHECK(replay(log, 0) == last);
    CHECK(replay(log, last - 10) == last);
    append(log, 3, 10);
    CHECK(log_close(log, true) == OK);
    log = open_log(last, OK, &report);
    CHECK(report.clean_stop && report.last_commit == last + 3);
    CHECK(replay(log, last) == last + 3);
    append(log, 1, 10);
    CHECK(log_close(log, true) == OK);
    struct counting counting = {.index = UINT32_MAX - 1};
    CHECK(log_scan(dir, count_record, &counting, &report) == OK);
    CHECK(!counting.wrong && counting.commit == last + 4);
}

static uint64_t read_stream(struct log *log, uint64_t stream, size_t page, enum log_read_mode mode)
{
    struct arena arena;
    struct log_read read = {.stream = stream,
                            .until = UINT64_MAX,
                            .hash_high = UINT64_MAX,
                            .bytes_max = 1 << 20,
                            .mode = mode,
                            .arena = &arena};
    struct log_place before = {0, 0};
    uint64_t records = 0;
    arena_init(&arena, 0);
    do {
        read.records_max = page;
        arena_reset(&arena);
        enum err err = log_read(log, &read);
        CHECK(err == OK);
        if (err != OK) {
            break;
        }
        for (size_t i = 0; i < read.count; i++) {
            const struct log_record *record = &read.records[i];
            char text[40];
            int len = snprintf(text, sizeof(text), "%llu.%u ", (unsigned long long)record->commit,
                               record->index);
            CHECK(bytes_start_with(record->body, bytes_of(text, (size_t)len)));
            CHECK(record->commit > before.commit ||
                  (record->commit == before.commit && record->index > before.index));
            before = (struct log_place){record->commit, record->index};
        }
        records += read.count;
        read.after = read.reached;
    } while (!read.at_end);
    arena_fini(&arena);
    return records;
}

static void a_stream_is_read_from_segments_and_tail_alike(void)
{
    struct log_report report;
    fresh_dir();
    struct log *log = open_log(0, OK, &report);
    uint64_t expected[3] = {0};
    for (unsigned i = 0; i < 300; i++) {
        append(log, 5, 400);
    }
    for (uint64_t c = 1; c <= log_last(log); c++) {
        expected[1 + c % 2] += 1 + c % 3;
    }
    CHECK(read_stream(log, 1, 7, LOG_READ_BLOCKING) == expected[1]);
    CHECK(read_stream(log, 2, 1000, LOG_READ_BLOCKING) == expected[2]);
    CHECK(read_stream(log, 3, 1000, LOG_READ_BLOCKING) == 0);
    struct arena arena;
    arena_init(&arena, 0);
    struct log_read old = {.stream = 1,
                           .until = UINT64_MAX,
                           .hash_high = UINT64_MAX,
                           .records_max = 10,
                           .bytes_max = 1000,
                           .mode = LOG_READ_TAIL_ONLY,
                           .arena = &arena};
    CHECK(log_read(log, &old) == ERR_INCOMPLETE);
    CHECK(log_close(log, false) == OK);
    log = open_log(0, OK, &report);
    CHECK(read_stream(log, 1, 100, LOG_READ_BLOCKING) == expected[1]);
    CHECK(log_commit_before(log, 1000) == 0);
    CHECK(log_commit_before(log, 1001) == log_last(log));
    CHECK(log_close(log, false) == OK);
    arena_fini(&arena);
}

static char *newest_segment(char *path, size_t room)
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
static void make_tail(char *path, size_t room, off_t *start, off_t *end)
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

static void change(const char *path, off_t at, const void *data, size_t len)
{
    int fd = open(path, O_RDWR);
    CHECK(pwrite(fd, data, len, at) == (ssize_t)len);
    close(fd);
}

static void a_torn_end_is_cut_off_at_every_sector(void)
{
    char path[400];
    off_t start;
    off_t end;
    static const char zeros[512];
    make_tail(path, sizeof(path), &start, &end);
    unsigned sectors = (unsigned)((end - start) / 512);
    CHECK(sectors >= 5);
    for (unsigned lost = 0; lost < sectors; lost++) {
        struct log_report report;
        make_tail(path, sizeof(path), &start, &end);
        change(path, start + (off_t)lost * 512, zeros, sizeof(zeros));
        struct log *log = open_log(0, OK, &report);
        CHECK(report.torn_end && report.last_commit == 10);
        CHECK(replay(log, 0) == 10);
        append(log, 2, 100);
        CHECK(log_close(log, false) == OK);
        log = open_log(0, OK, &report);
        CHECK(!report.torn_end && replay(log, 0) == 12);
        CHECK(log_close(log, false) == OK);
    }
}

static void damage_is_never_taken_for_an_end(void)
{
    char path[400];
    off_t start;
    off_t end;
    struct log_report report;
    for (off_t at = 0; at < 3000; at += 37) {
        uint8_t byte;
        make_tail(path, sizeof(path), &start, &end);
        if (at >= start) {
            break;
        }
        int fd = open(path, O_RDONLY);
        CHECK(pread(fd, &byte, 1, at) == 1);
        close(fd);
        byte ^= 0x10;
        change(path, at, &byte, 1);
        struct log *log = open_log(0, ERR_DAMAGED, &report);
        CHECK(log == NULL && report.reason[0] != 0 && report.file[0] != 0);
        CHECK(log_scan(dir, NULL, NULL, &report) == ERR_DAMAGED);
    }
    /* The last frame, but the view holds it already. */
    make_tail(path, sizeof(path), &start, &end);
    change(path, start + 600, "damage", 6);
    CHECK(open_log(12, ERR_DAMAGED, &report) == NULL);
    /* The last frame, behind it the mark of a clean stop. */
    fresh_dir();
    struct log *log = open_log(0, OK, &report);
    append(log, 3, 100);
    CHECK(log_close(log, true) == OK);
    change(newest_segment(path, sizeof(path)), 100, "damage", 6);
    CHECK(open_log(0, ERR_DAMAGED, &report) == NULL);
}

/* The mark of a clean stop says that nothing comes after it; it must be gone before something does.
 */
static void a_frame_torn_after_a_clean_stop_is_cut_off(void)
{
    char path[400];
    struct log_report report;
    struct log_figures figures;
    static const char zeros[512];
    fresh_dir();
    struct log *log = open_log(0, OK, &report);
    append(log, 3, 100);
    log_figures(log, &figures);
    CHECK(log_close(log, true) == OK);
    log = open_log(3, OK, &report);
    CHECK(report.clean_stop && replay(log, 0) == 3);
    append(log, 2, 1500);
    CHECK(log_close(log, false) == OK);
    change(newest_segment(path, sizeof(path)), (off_t)figures.bytes + 3 * 512, zeros,
           sizeof(zeros));
    log = open_log(3, OK, &report);
    CHECK(report.torn_end && !report.clean_stop && replay(log, 0) == 3);
    append(log, 1, 10);
    CHECK(log_close(log, true) == OK);
    CHECK(log_scan(dir, NULL, NULL, &report) == OK && report.last_commit == 4);
}

static void a_missing_segment_is_damage(void)
{
    struct log_report report;
    char path[400];
    fresh_dir();
    struct log *log = open_log(0, OK, &report);
    for (unsigned i = 0; i < 200; i++) {
        append(log, 3, 1000);
    }
    CHECK(log_close(log, false) == OK);
    snprintf(path, sizeof(path), "%s/%020d.log", dir, 2);
    CHECK(unlink(path) == 0);
    CHECK(open_log(0, ERR_DAMAGED, &report) == NULL);
}

static void a_missing_index_is_made_again(void)
{
    struct log_report report;
    char path[400];
    fresh_dir();
    struct log *log = open_log(0, OK, &report);
    for (unsigned i = 0; i < 200; i++) {
        append(log, 3, 1000);
    }
    uint64_t expected = read_stream(log, 1, 1000, LOG_READ_BLOCKING);
    CHECK(log_close(log, false) == OK);
    snprintf(path, sizeof(path), "%s/%020d.log", dir, 1);
    int fd = open(path, O_RDWR);
    off_t size = lseek(fd, 0, SEEK_END);
    CHECK(ftruncate(fd, size - 600) == 0);
    close(fd);
    log = open_log(log == NULL ? 0 : 600, OK, &report);
    CHECK(read_stream(log, 1, 1000, LOG_READ_BLOCKING) == expected);
    CHECK(log_close(log, false) == OK);
}

static void trimmed_segments_go(void)
{
    struct log_report report;
    fresh_dir();
    struct log *log = open_log(0, OK, &report);
    for (unsigned i = 0; i < 300; i++) {
        append(log, 3, 1000);
    }
    log_set_flushed(log, log_last(log));
    log_set_trim(log, log_last(log));
    for (int i = 0; i < 500 && log_first(log) == 1; i++) {
        thread_pause_ms(10);
    }
    CHECK(log_first(log) > 1);
    struct arena arena;
    arena_init(&arena, 0);
    struct log_read read = {.stream = 1,
                            .until = UINT64_MAX,
                            .hash_high = UINT64_MAX,
                            .records_max = 10,
                            .bytes_max = 1 << 20,
                            .mode = LOG_READ_BLOCKING,
                            .arena = &arena};
    CHECK(log_read(log, &read) == ERR_TRIMMED);
    uint64_t last = log_last(log);
    CHECK(log_close(log, false) == OK);
    log = open_log(last, OK, &report);
    CHECK(log_last(log) == last);
    CHECK(log_close(log, false) == OK);
    arena_fini(&arena);
}

static unsigned woken;

static void on_follower(struct message *message)
{
    (void)message;
    woken++;
}

static void on_wake(void *arg)
{
    (void)arg;
}

static void followers_wake_when_there_is_something(void)
{
    struct log_report report;
    struct mailbox mailbox;
    fresh_dir();
    struct log *log = open_log(0, OK, &report);
    mailbox_init(&mailbox, on_wake, NULL);
    struct log_follower follower = {.message = {.run = on_follower}, .home = &mailbox, .stream = 1};
    log_follow(log, &follower, (struct log_place){0, LOG_INDEX_END});
    append(log, 1, 10); /* commit 1 is of stream 2 */
    mailbox_run(&mailbox);
    CHECK(woken == 0);
    append(log, 1, 10);
    mailbox_run(&mailbox);
    CHECK(woken == 1);
    append(log, 2, 10);
    mailbox_run(&mailbox);
    CHECK(woken == 1); /* not armed */
    log_follow(log, &follower, (struct log_place){2, LOG_INDEX_END});
    mailbox_run(&mailbox);
    CHECK(woken == 2); /* commit 4 was there already */
    log_follow(log, &follower, (struct log_place){4, LOG_INDEX_END});
    CHECK(!log_unfollow(log, &follower));
    append(log, 4, 10);
    mailbox_run(&mailbox);
    CHECK(woken == 2);
    CHECK(log_close(log, false) == OK);
}

int main(void)
{
    RUN(everything_comes_back_after_a_restart);
    RUN(a_stream_is_read_from_segments_and_tail_alike);
    RUN(a_torn_end_is_cut_off_at_every_sector);
    RUN(damage_is_never_taken_for_an_end);
    RUN(a_frame_torn_after_a_clean_stop_is_cut_off);
    RUN(a_missing_segment_is_damage);
    RUN(a_missing_index_is_made_again);
    RUN(trimmed_segments_go);
    RUN(followers_wake_when_there_is_something);
    char command[200];
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    CHECK(system(command) == 0);
    return CHECK_RESULT();
}
