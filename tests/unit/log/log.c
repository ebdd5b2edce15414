/* log: what was appended comes back, in order, through every way of reading; a torn end is cut off,
 * damage never is; followers wake exactly when there is something for them. */
#include "log/log.h"

#include "log/log_priv.h"
#include "sys/thread.h"
#include "world.h"

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

/* A frame larger than the segment that is kept ready gets one of its size, in its turn. */
static void a_large_frame_keeps_its_place(void)
{
    struct log_report report;
    struct log_figures figures;
    fresh_dir();
    struct log *log = open_log(0, OK, &report);
    do { /* one is ready by then */
        append(log, 1, 1000);
        log_figures(log, &figures);
    } while (figures.segments < 2);
    for (unsigned i = 0; i < 3; i++) {
        append(log, 8, 60000);
        append(log, 1, 10);
    }
    uint64_t last = log_last(log);
    uint64_t expected = read_stream(log, 1, 100, LOG_READ_BLOCKING);
    CHECK(log_close(log, false) == OK);
    log = open_log(0, OK, &report);
    CHECK(report.last_commit == last && replay(log, 0) == last);
    CHECK(read_stream(log, 1, 100, LOG_READ_BLOCKING) == expected);
    CHECK(log_close(log, false) == OK);
    log = open_log(last - 1, OK, &report);
    CHECK(replay(log, last - 1) == last);
    CHECK(log_close(log, false) == OK);
    struct counting counting = {.index = UINT32_MAX - 1};
    CHECK(log_scan(dir, count_record, &counting, &report) == OK);
    CHECK(!counting.wrong && counting.commit == last);
}

/* One that is ready, but smaller than this start's segments are to be, is replaced by a larger file
 * of its number. A frame may go into the one or the other, but not into what is being replaced. */
static void no_frame_goes_into_a_segment_that_is_being_replaced(void)
{
    struct log_report report;
    struct log_figures figures = {0};
    struct log *log;
    char beside[100];
    const struct log_options large = {.dir = dir, .segment_bytes = 64u << 20, .tail_bytes = 65536};
    fresh_dir();
    log = open_log(0, OK, &report);
    for (unsigned i = 0; i < 4; i++) {
        append(log, 1, 60000);
    }
    while (figures.segments_ready == 0) {
        thread_pause_ms(1);
        log_figures(log, &figures);
    }
    CHECK(log_close(log, false) == OK);
    CHECK(log_open(&large, &log, &report) == OK);
    snprintf(beside, sizeof(beside), "%s/next.tmp", dir);
    for (unsigned i = 0; i < 1000 && access(beside, F_OK) != 0; i++) {
        thread_pause_ms(1);
    }
    append(log, 1, 60000);
    CHECK(log_close(log, false) == OK);
    log = open_log(0, OK, &report);
    CHECK(report.last_commit == 5 && replay(log, 0) == 5);
    CHECK(log_close(log, false) == OK);
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

/* A frame is filled up to its last sector, so a file that ends sooner has lost something. */
static void a_file_cut_short_behind_a_frame_is_damage(void)
{
    char path[400];
    off_t start;
    off_t end;
    char byte;
    struct log_report report;
    make_tail(path, sizeof(path), &start, &end);
    int fd = open(path, O_RDONLY);
    CHECK(pread(fd, &byte, 1, end - 1) == 1 && byte == 0);
    close(fd);
    CHECK(truncate(path, end - 1) == 0);
    CHECK(log_scan(dir, NULL, NULL, &report) == ERR_DAMAGED && report.offset == (uint64_t)start);
    CHECK(open_log(0, ERR_DAMAGED, &report) == NULL && report.offset == (uint64_t)start);
    CHECK(report.file[0] != 0 && strstr(report.reason, "cut short") != NULL);
}

/* A file keeps the size that it was made with until it is ended: one that is cut between frames, or
 * within one, has lost something, and nothing else on the disk may say so. */
static void a_file_cut_short_anywhere_is_damage(void)
{
    char path[400];
    off_t start;
    off_t end;
    struct log_report report;
    static const off_t more[] = {0, 1, 63, 64, 511};
    make_tail(path, sizeof(path), &start, &end);
    for (off_t size = end + 511; size >= 0; size -= size > start ? 100 : 300) {
        make_tail(path, sizeof(path), &start, &end);
        CHECK(truncate(path, size) == 0);
        CHECK(log_scan(dir, NULL, NULL, &report) == ERR_DAMAGED);
        CHECK(open_log(0, ERR_DAMAGED, &report) == NULL && report.offset <= (uint64_t)size);
    }
    for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
        make_tail(path, sizeof(path), &start, &end);
        CHECK(truncate(path, start + more[i]) == 0);
        CHECK(log_scan(dir, NULL, NULL, &report) == ERR_DAMAGED);
        CHECK(open_log(0, ERR_DAMAGED, &report) == NULL && report.offset == (uint64_t)start);
    }
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

/* Appends until the worker has prepared as many more; it removes what may go before it waits. */
static void fill_segments(struct log *log, unsigned count)
{
    struct log_figures figures = {0};
    uint64_t before = 0;
    for (unsigned i = 0; i < count; i++) {
        log_figures(log, &figures);
        before = figures.segments;
        while (figures.segments == before) {
            append(log, 3, 1000);
            log_figures(log, &figures);
        }
    }
}

/* Neither an end frame nor anything behind it is in the segment, but the next one is in use. */
static void an_end_frame_that_is_lost_is_damage(void)
{
    static uint8_t memory[256 * 1024];
    struct log_report report;
    struct frame_header header = {0};
    char path[400];
    size_t at = 0;
    fresh_dir();
    struct log *log = open_log(0, OK, &report);
    fill_segments(log, 3);
    uint64_t id = log_id(log);
    CHECK(log_close(log, false) == OK);
    snprintf(path, sizeof(path), "%s/%020d.log", dir, 1);
    int fd = open(path, O_RDWR);
    ssize_t len = pread(fd, memory, sizeof(memory), 0);
    while (frame_header_read(bytes_of(memory + at, SECTOR), id, 1, &header) &&
           header.kind != FRAME_END) {
        at += (size_t)sectors_of(HEADER + (uint64_t)header.payload_len);
    }
    CHECK(header.kind == FRAME_END && (ssize_t)at < len);
    memset(memory + at, 0, (size_t)len - at);
    CHECK(pwrite(fd, memory, (size_t)len, 0) == len);
    close(fd);
    CHECK(open_log(0, ERR_DAMAGED, &report) == NULL);
    CHECK(report.offset == at && log_scan(dir, NULL, NULL, &report) == ERR_DAMAGED);
    CHECK(report.offset == at);
    /* The first header of the next one too: there are more behind it, or what it was the header of.
     */
    for (unsigned lost = 0; lost < 2; lost++) {
        static const uint8_t zeros[512];
        snprintf(path, sizeof(path), "%s/%020d.log", dir, 2);
        change(path, 0, lost == 0 ? (const void *)"damage" : zeros, lost == 0 ? 6 : 512);
        CHECK(open_log(0, ERR_DAMAGED, &report) == NULL);
        CHECK(report.offset == at && log_scan(dir, NULL, NULL, &report) == ERR_DAMAGED);
    }
}

/* A frame that is whole but is not the one that the next frame was written behind. */
static void a_frame_in_another_frames_place_is_damage(void)
{
    static uint8_t memory[8192];
    char path[400];
    off_t start;
    off_t end;
    uint32_t crc;
    struct log_report report;
    struct frame_header header;
    make_tail(path, sizeof(path), &start, &end);
    int fd = open(path, O_RDONLY);
    CHECK(pread(fd, memory, sizeof(memory), 0) == (ssize_t)sizeof(memory));
    close(fd);
    struct log *log = open_log(0, OK, &report);
    CHECK(frame_header_read(bytes_of(memory, SECTOR), log_id(log), 1, &header));
    CHECK(log_close(log, false) == OK);
    header.time_ms--;
    frame_seal(memory, &header, &crc);
    CHECK(start < (off_t)sizeof(memory));
    change(path, 0, memory, (size_t)start);
    CHECK(open_log(0, ERR_DAMAGED, &report) == NULL);
    CHECK(report.offset == (uint64_t)start);
    CHECK(log_scan(dir, NULL, NULL, &report) == ERR_DAMAGED);
    CHECK(report.offset == (uint64_t)start);
}

/* Without its id, or under another one, no frame can be told from garbage: nothing may be cut off.
 */
static void a_log_without_its_id_is_damage_and_stays_as_it_is(void)
{
    static const char *const ids[] = {NULL, "0123456789abcdef", "", "not hexadecimal!"};
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        char path[400];
        char id[100];
        off_t start;
        off_t end;
        char first[8];
        struct log_report report;
        make_tail(path, sizeof(path), &start, &end);
        snprintf(id, sizeof(id), "%s/id", dir);
        CHECK(unlink(id) == 0);
        if (ids[i] != NULL) {
            FILE *file = fopen(id, "w");
            CHECK(file != NULL && fputs(ids[i], file) >= 0 && fclose(file) == 0);
        }
        CHECK(open_log(0, ERR_DAMAGED, &report) == NULL);
        CHECK(report.file[0] != 0 && report.reason[0] != 0);
        CHECK(log_scan(dir, NULL, NULL, &report) != OK);
        int fd = open(path, O_RDONLY);
        CHECK(pread(fd, first, sizeof(first), start) == 8 && memcmp(first, "HWframe1", 8) == 0);
        close(fd);
    }
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
    uint64_t last = log_last(log);
    CHECK(log_close(log, false) == OK);
    snprintf(path, sizeof(path), "%s/%020d.log", dir, 2);
    CHECK(unlink(path) == 0);
    CHECK(open_log(0, ERR_DAMAGED, &report) == NULL);
    CHECK(open_log(last, ERR_DAMAGED, &report) == NULL); /* the view holds all that was in it */
    CHECK(strstr(report.file, "00002.log") != NULL);
}

static off_t second_frame(const char *path, uint64_t id, uint64_t segment)
{
    uint8_t sector[SECTOR];
    struct frame_header header = {0};
    int fd = open(path, O_RDONLY);
    CHECK(pread(fd, sector, sizeof(sector), 0) == sizeof(sector));
    CHECK(frame_header_read(bytes_of(sector, sizeof(sector)), id, segment, &header));
    close(fd);
    return (off_t)sectors_of(HEADER + (uint64_t)header.payload_len);
}

static enum err read_after(struct log *log, uint64_t commit, struct log_read *read)
{
    static struct arena arena;
    arena_init(&arena, 0);
    *read = (struct log_read){.stream = 1,
                              .after = {commit, LOG_INDEX_END},
                              .until = UINT64_MAX,
                              .hash_high = UINT64_MAX,
                              .records_max = 1000000,
                              .bytes_max = 64 << 20,
                              .mode = LOG_READ_BLOCKING,
                              .arena = &arena};
    enum err err = log_read(log, read);
    arena_fini(&arena);
    return err;
}

/* What the view holds is not read at a start: its length does not matter, and damage there is told
 * by whoever reads it. */
static void damage_in_what_the_view_holds_is_told_by_reading_it(void)
{
    struct log_report report;
    struct log_read read;
    uint64_t commits[7] = {0};
    char path[400];
    fresh_dir();
    struct log *log = open_log(0, OK, &report);
    for (unsigned i = 1; i < 7; i++) {
        fill_segments(log, 1);
        commits[i] = log_last(log); /* in segment i */
    }
    uint64_t id = log_id(log);
    CHECK(log_close(log, false) == OK);
    snprintf(path, sizeof(path), "%s/%020d.log", dir, 3);
    change(path, second_frame(path, id, 3), "damage", 6);
    log = open_log(commits[6], OK, &report);
    CHECK(report.bytes_scanned < 3 * 256 * 1024);
    CHECK(log_first(log) == 1);
    CHECK(read_after(log, commits[4], &read) == OK && read.at_end);
    CHECK(read.reached.commit == commits[6]);
    CHECK(read_after(log, 0, &read) == ERR_DAMAGED ||
          (read.reached.commit < commits[3] &&
           read_after(log, read.reached.commit, &read) == ERR_DAMAGED));
    struct counting counting = {.index = UINT32_MAX - 1};
    CHECK(log_replay(log, 0, count_record, &counting) == ERR_DAMAGED);
    CHECK(counting.commit < commits[3]);
    log_set_trim(log, commits[6]);
    for (int i = 0; i < 500 && log_first(log) <= commits[4]; i++) {
        thread_pause_ms(10);
    }
    CHECK(log_first(log) > commits[4]);
    CHECK(log_close(log, false) == OK);
    log = open_log(commits[6], OK, &report);
    CHECK(log_close(log, false) == OK);
}

static void times_are_found_in_what_the_view_holds(void)
{
    struct log_report report;
    struct log_figures figures = {0};
    uint64_t last = 0;
    fresh_dir();
    struct log *log = open_log(0, OK, &report);
    while (figures.segments < 8) {
        append_at(log, 1000 + log_last(log), 1, 9000);
        log_figures(log, &figures);
    }
    last = log_last(log);
    CHECK(log_close(log, false) == OK);
    log = open_log(last, OK, &report);
    for (uint64_t commit = last; commit > 0; commit--) { /* commit's time is 999 + commit */
        CHECK(log_commit_before(log, 1000 + commit) == commit);
    }
    CHECK(replay(log, 0) == last);
    CHECK(log_close(log, false) == OK);
}

/* A second later there is seldom more to know, and then only what comes behind. */
static void what_was_read_for_a_time_is_not_read_again(void)
{
    char path[100];
    char away[100];
    struct log_report report;
    fresh_dir();
    struct log *log = open_log(0, OK, &report);
    for (unsigned i = 0; i < 10; i++) {
        append_at(log, 1000 + 10 * i, 1, 100); /* commit's time is 990 + 10 * commit */
    }
    CHECK(log_commit_before(log, 1035) == 4 && log_commit_before(log, 1005) == 1);
    snprintf(path, sizeof(path), "%s/%020d.log", dir, 1);
    snprintf(away, sizeof(away), "%s/away", dir);
    CHECK(rename(path, away) == 0);
    CHECK(log_commit_before(log, 1036) == 4 && log_commit_before(log, 1040) == 4);
    CHECK(log_commit_before(log, 1006) == 1 && log_commit_before(log, 1010) == 1);
    CHECK(log_commit_before(log, 1041) == 0); /* this needs the file */
    CHECK(rename(away, path) == 0);
    CHECK(log_commit_before(log, 1041) == 5 && log_commit_before(log, 1011) == 2);
    CHECK(log_commit_before(log, 5000) == 10 && log_commit_before(log, 1055) == 6);
    CHECK(rename(path, away) == 0);
    CHECK(log_commit_before(log, 6000) == 10);
    CHECK(rename(away, path) == 0);
    append_at(log, 7000, 1, 100);
    CHECK(log_commit_before(log, 7000) == 10 && log_commit_before(log, 7001) == 11);
    CHECK(log_close(log, false) == OK);
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
    fill_segments(log, 2);
    log_set_trim(log, log_last(log)); /* but not flushed */
    fill_segments(log, 2);
    CHECK(log_first(log) == 1);
    log_set_flushed(log, log_last(log));
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

/* A file that cannot be removed is in the way of those behind it: without it they would be a log
 * with a hole, which does not open. */
static void a_segment_that_cannot_be_removed_keeps_those_behind_it(void)
{
    struct log_report report;
    char first[100];
    char aside[100];
    char second[100];
    fresh_dir();
    struct log *log = open_log(0, OK, &report);
    fill_segments(log, 4);
    snprintf(first, sizeof(first), "%s/%020d.log", dir, 1);
    snprintf(second, sizeof(second), "%s/%020d.log", dir, 2);
    snprintf(aside, sizeof(aside), "%s/aside", dir);
    CHECK(rename(first, aside) == 0 && mkdir(first, 0700) == 0);
    log_set_flushed(log, log_last(log));
    log_set_trim(log, log_last(log));
    for (int i = 0; i < 500 && log_first(log) == 1; i++) {
        thread_pause_ms(10);
    }
    for (int i = 0; i < 10; i++) { /* as long as the worker would need for the others */
        log_set_trim(log, log_last(log));
        thread_pause_ms(10);
    }
    CHECK(access(second, F_OK) == 0);
    CHECK(rmdir(first) == 0 && rename(aside, first) == 0);
    for (int i = 0; i < 500 && access(second, F_OK) == 0; i++) {
        log_set_trim(log, log_last(log));
        thread_pause_ms(10);
    }
    CHECK(access(first, F_OK) != 0 && access(second, F_OK) != 0);
    uint64_t last = log_last(log);
    CHECK(log_close(log, false) == OK);
    log = open_log(last, OK, &report);
    CHECK(log_last(log) == last);
    CHECK(log_close(log, false) == OK);
}

struct trimming {
    struct log *log;
    struct counting counting;
};

static enum err trim_and_count(void *arg, const struct log_record *record)
{
    struct trimming *trimming = arg;
    struct log *log = trimming->log;
    for (int i = 0; i < 1000 && record->commit == 1 && log_first(log) == 1; i++) {
        log_set_trim(log, log_last(log) / 3); /* of five segments the first */
        thread_pause_ms(10);
    }
    return count_record(&trimming->counting, record);
}

/* The worker removes a segment while replay reads it: replay goes on with what comes after. */
static void replay_walks_past_segments_that_go(void)
{
    struct log_report report;
    fresh_dir();
    struct log *log = open_log(0, OK, &report);
    fill_segments(log, 4);
    uint64_t last = log_last(log);
    CHECK(log_close(log, false) == OK);
    log = open_log(last, OK, &report);
    struct trimming trimming = {.log = log, .counting = {.index = UINT32_MAX - 1}};
    CHECK(log_replay(log, 0, trim_and_count, &trimming) == OK);
    CHECK(log_first(log) > 1 && trimming.counting.commit == last && !trimming.counting.wrong);
    CHECK(log_close(log, false) == OK);
}

/* One group of a commit, durable but not published; the log's older ones may all go. */
static uint64_t append_unpublished(struct log *log)
{
    static char body[9000];
    memset(body, 'b', sizeof(body));
    log_set_flushed(log, log_visible(log));
    log_set_trim(log, log_visible(log));
    log_group_begin(log, 1000);
    uint64_t commit = log_commit_begin(log);
    log_record_add(log, 1, 1, 1, bytes_of(body, sizeof(body)));
    CHECK(log_append(log) == OK);
    return commit;
}

/* All of a segment is flushed and trimmed before the next one has a frame that is shown: a power
 * cut may still tear that frame, and then only the older segment says where the log ends. */
static void the_segment_of_the_newest_visible_commit_stays(void)
{
    struct log_report report;
    struct stat status;
    static const char zeros[512];
    char first[100];
    char second[400];
    uint64_t last = 0;
    fresh_dir();
    snprintf(first, sizeof(first), "%s/%020d.log", dir, 1);
    struct log *log = open_log(0, OK, &report);
    for (uint64_t commit = append_unpublished(log);
         strstr(newest_segment(second, sizeof(second)), "00002.log") == NULL;
         commit = append_unpublished(log)) {
        log_publish(log, commit);
        last = commit;
    }
    for (int i = 0; i < 1000 && stat(first, &status) == 0 && status.st_size == 256 * 1024; i++) {
        thread_pause_ms(10); /* until its index is written, and it might go */
    }
    for (int i = 0; i < 20; i++) {
        log_set_trim(log, last); /* the worker looks again */
        thread_pause_ms(1);
    }
    CHECK(log_visible(log) == last && access(first, F_OK) == 0);
    CHECK(log_close(log, false) == OK);
    change(second, 0, zeros, sizeof(zeros));
    log = open_log(last, OK, &report);
    CHECK(report.torn_end && log != NULL && log_last(log) == last);
    if (log != NULL) {
        log_publish(log, append_unpublished(log));
        for (int i = 0; i < 1000 && access(first, F_OK) == 0; i++) {
            log_set_flushed(log, last + 1);
            log_set_trim(log, last + 1);
            thread_pause_ms(10);
        }
        CHECK(access(first, F_OK) != 0);
        CHECK(log_close(log, true) == OK);
    }
}

/* A clock that jumps back does not take the log's time with it, over a restart neither. */
/* 100 commits c of 1 + c % 3 small records each. */
static void what_a_kill_would_replay_is_weighed_alike_before_and_after_it(void)
{
    struct log_report report;
    struct log_figures figures;
    uint64_t records = 0;
    fresh_dir();
    struct log *log = open_log(0, OK, &report);
    for (unsigned i = 0; i < 10; i++) {
        append(log, 10, 1);
    }
    for (uint64_t commit = 1; commit <= 100; commit++) {
        records += 1 + commit % 3;
    }
    uint64_t weight = log_unflushed_bytes(log);
    log_figures(log, &figures);
    CHECK(weight > records * LOG_RECORD_WEIGHT);
    CHECK(weight <= records * LOG_RECORD_WEIGHT + figures.bytes);
    CHECK(log_close(log, false) == OK);
    log = open_log(0, OK, &report);
    CHECK(log_unflushed_bytes(log) == weight);
    log_set_flushed(log, 100);
    CHECK(log_unflushed_bytes(log) == 0);
    CHECK(log_close(log, false) == OK);
}

static void time_never_goes_back(void)
{
    struct log_report report;
    fresh_dir();
    struct log *log = open_log(0, OK, &report);
    append_at(log, 5000, 1, 10);
    append_at(log, 3000, 1, 10);
    CHECK(log_group_time_ms(log) == 5000);
    CHECK(log_close(log, false) == OK);
    log = open_log(0, OK, &report);
    log_group_begin(log, 4000);
    CHECK(log_group_time_ms(log) == 5000);
    append_at(log, 6000, 1, 10);
    CHECK(log_group_time_ms(log) == 6000);
    CHECK(log_commit_before(log, 5001) == 2 && log_commit_before(log, 5000) == 0);
    CHECK(log_close(log, false) == OK);
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

/* The view holds all before the segment, so the scan begins at a frame that is torn: what is
 * written in its place must follow the end frame all the same. */
static void a_torn_first_frame_of_a_segment_keeps_the_chain(void)
{
    struct log_report report;
    char path[400];
    fresh_dir();
    struct log *log = open_log(0, OK, &report);
    uint64_t before = 0;
    do {
        before = log_last(log);
        append(log, 3, 1000);
        newest_segment(path, sizeof(path));
    } while (strstr(path, "00002.log") == NULL);
    CHECK(log_close(log, false) == OK);
    change(path, 2 * 512, "torn", 4);
    log = open_log(before, OK, &report);
    CHECK(report.torn_end && log_last(log) == before);
    append(log, 3, 1000);
    CHECK(log_close(log, false) == OK);
    CHECK(log_scan(dir, NULL, NULL, &report) == OK);
    CHECK(report.last_commit == before + 3);
    log = open_log(0, OK, &report);
    if (log != NULL) {
        CHECK(replay(log, 0) == before + 3);
        CHECK(log_close(log, true) == OK);
    }
}

int main(void)
{
    RUN(everything_comes_back_after_a_restart);
    RUN(a_large_frame_keeps_its_place);
    RUN(no_frame_goes_into_a_segment_that_is_being_replaced);
    RUN(a_stream_is_read_from_segments_and_tail_alike);
    RUN(a_torn_end_is_cut_off_at_every_sector);
    RUN(damage_is_never_taken_for_an_end);
    RUN(a_file_cut_short_behind_a_frame_is_damage);
    RUN(a_file_cut_short_anywhere_is_damage);
    RUN(a_frame_torn_after_a_clean_stop_is_cut_off);
    RUN(an_end_frame_that_is_lost_is_damage);
    RUN(a_frame_in_another_frames_place_is_damage);
    RUN(a_log_without_its_id_is_damage_and_stays_as_it_is);
    RUN(a_missing_segment_is_damage);
    RUN(damage_in_what_the_view_holds_is_told_by_reading_it);
    RUN(times_are_found_in_what_the_view_holds);
    RUN(what_was_read_for_a_time_is_not_read_again);
    RUN(a_missing_index_is_made_again);
    RUN(a_torn_first_frame_of_a_segment_keeps_the_chain);
    RUN(trimmed_segments_go);
    RUN(a_segment_that_cannot_be_removed_keeps_those_behind_it);
    RUN(replay_walks_past_segments_that_go);
    RUN(the_segment_of_the_newest_visible_commit_stays);
    RUN(what_a_kill_would_replay_is_weighed_alike_before_and_after_it);
    RUN(time_never_goes_back);
    RUN(followers_wake_when_there_is_something);
    remove_dir();
    return CHECK_RESULT();
}
