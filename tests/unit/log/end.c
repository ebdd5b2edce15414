/* log: what stands behind the end of any log are zeros, so the end is noted beside it (log I6). A
 * log that ends before the note is damaged; a note that is torn or lost loses nothing. Nor does a
 * log tell by itself where it begins: that is noted before a segment goes. */
#include "base/hash.h"
#include "log/log_priv.h"
#include "sys/thread.h"
#include "world.h"

#define PLACE 4096

static void path_of(char path[100], const char *name)
{
    snprintf(path, 100, "%s/%s", dir, name);
}

static void write_at(const char *name, uint64_t at, size_t len, int byte)
{
    char path[100];
    static uint8_t bytes[1 << 20];
    memset(bytes, byte, len);
    path_of(path, name);
    int fd = open(path, O_RDWR);
    CHECK(pwrite(fd, bytes, len, (off_t)at) == (ssize_t)len);
    close(fd);
}

static const char first[] = "00000000000000000001.log";

static void note(struct log *log)
{
    for (unsigned tries = 0; log->end.commit < log_last(log) && tries < 5000; tries++) {
        log_note_end(log);
        thread_pause_ms(1);
    }
    CHECK(log->end.commit == log_last(log));
}

/* Ten frames that are noted, and `more` that are not; *at: where the last noted one begins. */
static void make_log(unsigned more, uint64_t *at)
{
    struct log_report report;
    fresh_dir();
    struct log *log = open_log(0, OK, &report);
    for (unsigned i = 0; i < 9; i++) {
        append(log, 1, 30);
    }
    *at = log->position;
    append(log, 1, 30);
    note(log);
    for (unsigned i = 0; i < more; i++) {
        append(log, 1, 30);
    }
    CHECK(log_close(log, false) == OK);
}

static void check_damaged(uint64_t at)
{
    struct log_report report;
    char path[100];
    path_of(path, first);
    for (unsigned i = 0; i < 2; i++) {
        CHECK((i == 0 ? log_scan(dir, NULL, NULL, &report)
                      : (enum err)(open_log(0, ERR_DAMAGED, &report) != NULL ? OK : ERR_DAMAGED)) ==
              ERR_DAMAGED);
        CHECK_BYTES(bytes_cstr(report.file), bytes_cstr(path));
        CHECK(report.offset == at && strstr(report.reason, "which was synced") != NULL);
    }
}

static uint64_t last_of(uint64_t flushed)
{
    struct log_report report;
    struct log *log = open_log(flushed, OK, &report);
    uint64_t last = log_last(log);
    CHECK(log_close(log, false) == OK);
    return last;
}

static void zeros_over_noted_frames_are_damage(void)
{
    uint64_t at;
    make_log(3, &at);
    write_at(first, at, PLACE, 0);
    check_damaged(at);
}

static void a_damaged_last_frame_is_damage_once_it_is_noted(void)
{
    uint64_t at;
    make_log(0, &at);
    write_at(first, at + 20, 1, 0xff);
    check_damaged(at);
}

/* The log says nothing of them, and no note does: they may never have been synced. */
static void zeros_over_frames_that_are_not_noted_are_an_end(void)
{
    uint64_t at;
    make_log(3, &at);
    write_at(first, at + SECTOR, PLACE, 0);
    CHECK(last_of(0) == 10);
    CHECK(last_of(0) == 10);
}

/* What a start accepted is synced, and noted at once. */
static void what_a_start_found_is_noted(void)
{
    uint64_t at;
    make_log(3, &at);
    CHECK(last_of(0) == 13);
    write_at(first, at + SECTOR, PLACE, 0);
    check_damaged(at + SECTOR);
}

static void a_clean_stop_is_noted(void)
{
    struct log_report report;
    fresh_dir();
    struct log *log = open_log(0, OK, &report);
    append(log, 1, 30);
    uint64_t at = log->position;
    append(log, 1, 30);
    CHECK(log_close(log, true) == OK);
    write_at(first, at, PLACE, 0);
    check_damaged(at);
}

/* Eleven frames, of which the newest note is torn, and ten are noted before it. */
static void tear_note(uint64_t *at)
{
    struct log_report report;
    make_log(0, at);
    struct log *log = open_log(0, OK, &report);
    append(log, 1, 30);
    note(log);
    uint64_t turn = log->end.turn;
    CHECK(log_close(log, false) == OK);
    write_at("end", turn % 2 * PLACE + 100, 300, 0x55);
    CHECK(log_scan(dir, NULL, NULL, &report) == OK);
}

static void a_torn_note_leaves_the_one_before(void)
{
    uint64_t at;
    tear_note(&at);
    write_at(first, at + SECTOR, PLACE, 0);
    CHECK(last_of(0) == 10);
    tear_note(&at);
    write_at(first, at, PLACE, 0);
    check_damaged(at);
}

static void a_file_without_a_note_is_told_and_made_again(void)
{
    struct log_report report;
    char path[100];
    uint64_t at;
    path_of(path, "end");
    for (unsigned i = 0; i < 3; i++) {
        make_log(0, &at);
        path_of(path, "end");
        if (i == 0) {
            write_at("end", 0, 2 * PLACE, 0);
        } else if (i == 1) {
            CHECK(truncate(path, 17) == 0);
        } else {
            write_at("end", 33, 1, 0x77);
            write_at("end", PLACE + 33, 1, 0x77);
        }
        CHECK(log_scan(dir, NULL, NULL, &report) == ERR_DAMAGED);
        CHECK_BYTES(bytes_cstr(report.file), bytes_cstr(path));
        CHECK(strstr(report.reason, "No record is lost") != NULL);
        CHECK(last_of(0) == 10);
        CHECK(log_scan(dir, NULL, NULL, &report) == OK);
        write_at(first, at, PLACE, 0);
        check_damaged(at);
    }
    make_log(0, &at);
    path_of(path, "end");
    CHECK(unlink(path) == 0 && log_scan(dir, NULL, NULL, &report) == OK && last_of(0) == 10);
    CHECK(access(path, F_OK) == 0);
}

static void a_log_without_its_segments_is_damage(void)
{
    struct log_report report;
    char command[200];
    uint64_t at;
    make_log(0, &at);
    snprintf(command, sizeof(command), "rm %s/*.log", dir);
    CHECK(system(command) == 0);
    CHECK(log_scan(dir, NULL, NULL, &report) == ERR_DAMAGED);
    open_log(0, ERR_DAMAGED, &report);
    CHECK(strstr(report.file, first) != NULL);
}

/* A note is not written again without a reason, and while frames are written only now and then. */
static void notes_are_few(void)
{
    struct log_report report;
    fresh_dir();
    struct log *log = open_log(0, OK, &report);
    append(log, 1, 30);
    note(log);
    uint64_t turn = log->end.turn;
    for (unsigned i = 0; i < 200; i++) {
        log_note_end(log);
        append(log, 1, 30);
    }
    uint64_t noted = log->end.turn - turn;
    note(log);
    turn = log->end.turn;
    for (unsigned i = 0; i < 30; i++) {
        thread_pause_ms(10);
        log_note_end(log);
    }
    CHECK(noted <= 4 && log->end.turn == turn);
    CHECK(log_close(log, true) == OK);
}

/* ---- where the log begins ---- */

static void segment_of(char path[100], unsigned number)
{
    snprintf(path, 100, "%s/%020u.log", dir, number);
}

static uint64_t last_of_first(struct log *log)
{
    pthread_mutex_lock(&log->mutex);
    bool sealed = log->first->state == SEGMENT_SEALED && log->first->index == NULL;
    uint64_t commit = sealed ? log->first->last_commit : 0;
    pthread_mutex_unlock(&log->mutex);
    return commit;
}

/* The first segment, which ends with that commit, goes. */
static void give_way(struct log *log, uint64_t commit)
{
    log_set_flushed(log, log_last(log));
    log_set_trim(log, commit);
    for (unsigned tries = 0; last_of_first(log) == commit && tries < 5000; tries++) {
        thread_pause_ms(1);
    }
    CHECK(last_of_first(log) != commit && log_first(log) == commit + 1);
}

/* Five segments and more, the oldest of which are removed; gives the log's first and last commit.
 */
static void make_segments(unsigned removed, uint64_t *begin, uint64_t *end)
{
    struct log_report report;
    struct log_figures figures = {0};
    char command[200];
    fresh_dir();
    struct log *log = open_log(0, OK, &report);
    while (figures.segments < 6) {
        append(log, 3, 700);
        log_figures(log, &figures);
    }
    snprintf(command, sizeof(command), "cp %s/%s %s/aside", dir, first, dir);
    CHECK(system(command) == 0);
    for (unsigned i = 0; i < removed; i++) {
        for (unsigned tries = 0; last_of_first(log) == 0 && tries < 5000; tries++) {
            thread_pause_ms(1);
        }
        give_way(log, last_of_first(log));
    }
    *begin = log_first(log);
    *end = log_last(log);
    CHECK(log_close(log, false) == OK);
}

static enum err read_from(struct log *log, uint64_t commit)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct log_read read = {.stream = 1 + commit % 2,
                            .after = {commit - 1, LOG_INDEX_END},
                            .until = UINT64_MAX,
                            .hash_high = UINT64_MAX,
                            .records_max = 1,
                            .bytes_max = 1 << 20,
                            .mode = LOG_READ_BLOCKING,
                            .arena = &arena};
    enum err err = log_read(log, &read);
    CHECK(err != OK || (read.count == 1 && read.records[0].commit == commit));
    arena_fini(&arena);
    return err;
}

static void a_first_segment_that_is_missing_is_damage(void)
{
    struct log_report report;
    char path[100];
    uint64_t begin;
    uint64_t end;
    make_segments(2, &begin, &end);
    segment_of(path, 3);
    CHECK(log_scan(dir, NULL, NULL, &report) == OK);
    CHECK(unlink(path) == 0);
    CHECK(log_scan(dir, NULL, NULL, &report) == ERR_DAMAGED);
    CHECK_BYTES(bytes_cstr(report.file), bytes_cstr(path));
    open_log(end, ERR_DAMAGED, &report);
    CHECK_BYTES(bytes_cstr(report.file), bytes_cstr(path));
}

/* Its end frame stands at its start, and nothing behind it: whole by itself. */
static void keep_end_frame(const char *path)
{
    uint8_t frame[SECTOR] = {0};
    uint64_t at = 0;
    int fd = open(path, O_RDWR);
    while (pread(fd, frame, SECTOR, (off_t)at) == SECTOR && frame[52] == FRAME_DATA) {
        uint32_t len;
        memcpy(&len, frame + 36, 4);
        at += sectors_of(HEADER + (uint64_t)len);
    }
    CHECK(frame[52] == FRAME_END && at > 0);
    CHECK(pwrite(fd, frame, SECTOR, 0) == SECTOR && ftruncate(fd, SECTOR) == 0);
    close(fd);
}

static void records_that_were_damaged_away_are_not_told_to_be_trimmed(void)
{
    for (unsigned removed = 0; removed < 2; removed++) {
        struct log_report report;
        struct stat status;
        char path[100];
        uint64_t begin;
        uint64_t end;
        make_segments(removed, &begin, &end);
        segment_of(path, 1 + removed);
        struct log *log = open_log(end, OK, &report);
        CHECK(read_from(log, begin) == OK && (removed == 0 || read_from(log, 1) == ERR_TRIMMED));
        CHECK(log_close(log, false) == OK);
        keep_end_frame(path);
        CHECK(log_scan(dir, NULL, NULL, &report) == ERR_DAMAGED && report.offset == 0);
        CHECK_BYTES(bytes_cstr(report.file), bytes_cstr(path));
        log = open_log(end, OK, &report);
        CHECK(read_from(log, begin) == ERR_DAMAGED);
        CHECK(read_from(log, end) == OK);
        CHECK(log_close(log, false) == OK);
        CHECK(stat(path, &status) == 0 && status.st_size == SECTOR);
    }
}

/* It is noted before it happens, and a kill may come between. */
static void a_removal_that_did_not_happen_is_no_damage(void)
{
    struct log_report report;
    char command[200];
    uint64_t begin;
    uint64_t end;
    make_segments(1, &begin, &end);
    snprintf(command, sizeof(command), "mv %s/aside %s/%s", dir, dir, first);
    CHECK(system(command) == 0);
    CHECK(log_scan(dir, NULL, NULL, &report) == OK);
    struct log *log = open_log(end, OK, &report);
    CHECK(log_first(log) == 1 && read_from(log, 1) == OK && read_from(log, begin) == OK);
    give_way(log, begin - 1);
    CHECK(log_first(log) == begin);
    CHECK(log_close(log, false) == OK);
    CHECK(log_scan(dir, NULL, NULL, &report) == OK);
}

static void a_torn_note_does_not_miss_what_was_removed(void)
{
    for (unsigned i = 0; i < 2; i++) {
        struct log_report report;
        uint64_t begin;
        uint64_t end;
        make_segments(2, &begin, &end);
        write_at("end", (uint64_t)i * PLACE + 100, 300, 0x55);
        CHECK(log_scan(dir, NULL, NULL, &report) == OK);
        struct log *log = open_log(end, OK, &report);
        CHECK(log_first(log) == begin && log->begin.segment == 3);
        CHECK(log_close(log, true) == OK);
    }
}

/* An older version's says nothing of it. */
static void a_note_that_does_not_say_where_the_log_begins_is_made_again(void)
{
    struct log_report report;
    char path[100];
    uint64_t begin;
    uint64_t end;
    make_segments(2, &begin, &end);
    path_of(path, "end");
    int fd = open(path, O_RDWR);
    for (off_t at = 0; at <= PLACE; at += PLACE) {
        uint8_t place[SECTOR];
        CHECK(pread(fd, place, SECTOR, at) == SECTOR);
        memset(place + 56, 0, 16);
        uint32_t crc = hash_crc32c(0, bytes_of(place + 16, SECTOR - 16));
        memcpy(place + 8, &crc, 4);
        CHECK(pwrite(fd, place, SECTOR, at) == SECTOR);
    }
    close(fd);
    CHECK(log_scan(dir, NULL, NULL, &report) == OK);
    struct log *log = open_log(end, OK, &report);
    CHECK(log_first(log) == begin && log->begin.segment == 1);
    CHECK(log->end.begin.segment == 3 && log->end.begin.commit == begin);
    CHECK(log_close(log, false) == OK);
    segment_of(path, 3);
    CHECK(unlink(path) == 0);
    open_log(end, ERR_DAMAGED, &report);
}

int main(void)
{
    RUN(zeros_over_noted_frames_are_damage);
    RUN(a_damaged_last_frame_is_damage_once_it_is_noted);
    RUN(zeros_over_frames_that_are_not_noted_are_an_end);
    RUN(what_a_start_found_is_noted);
    RUN(a_clean_stop_is_noted);
    RUN(a_torn_note_leaves_the_one_before);
    RUN(a_file_without_a_note_is_told_and_made_again);
    RUN(a_log_without_its_segments_is_damage);
    RUN(notes_are_few);
    RUN(a_first_segment_that_is_missing_is_damage);
    RUN(records_that_were_damaged_away_are_not_told_to_be_trimmed);
    RUN(a_removal_that_did_not_happen_is_no_damage);
    RUN(a_torn_note_does_not_miss_what_was_removed);
    RUN(a_note_that_does_not_say_where_the_log_begins_is_made_again);
    remove_dir();
    return CHECK_RESULT();
}
