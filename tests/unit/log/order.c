/* log: nothing is promised before it is on the disk. What the log does to its files is written down
 * call by call, and the order is compared with what its README says (log I2, I4, I5, I7, I8). */
#include "sys/thread.h"
#include "world.h"

#include "../trace.h"

#define SEGMENT_BYTES (256u * 1024u)

static void segment_name(unsigned number, char out[32])
{
    snprintf(out, 32, "%020u.log", number);
}

/* The next thing this thread did to a file after event `at`. */
static const struct trace_event *mine_after(size_t at, const char *file)
{
    static const struct trace_event nothing;
    for (size_t i = at + 1; i < trace.count; i++) {
        if (trace.events[i].mine && strcmp(trace.events[i].file, file) == 0) {
            return &trace.events[i];
        }
    }
    return &nothing;
}

/* Every write into a segment is followed by a sync of it before this thread does more to it. */
static size_t count_synced_writes(void)
{
    size_t count = 0;
    for (size_t i = 0; i < trace.count; i++) {
        const struct trace_event *event = &trace.events[i];
        if (event->mine && event->kind == TRACE_WRITE && strstr(event->file, ".log") != NULL) {
            CHECK(mine_after(i, event->file)->kind == TRACE_SYNC);
            count++;
        }
    }
    return count;
}

static void a_frame_is_synced_when_append_returns(void)
{
    struct log_report report;
    fresh_dir();
    struct log *log = open_log(0, OK, &report);
    for (unsigned i = 0; i < 100; i++) {
        trace_begin(dir);
        append(log, 2, 3000);
        trace_end();
        CHECK(count_synced_writes() >= 1);
        size_t last = trace.count;
        while (last > 0 && !trace.events[last - 1].mine) {
            last--; /* of the worker */
        }
        CHECK(last > 0 && trace.events[last - 1].len == 0);
    }
    CHECK(log_close(log, false) == OK);
}

/* Zeros in it, synced, renamed, and the directory synced. */
static void check_segment_was_made(unsigned number, size_t used_at)
{
    char name[32];
    size_t at = 0;
    uint64_t filled = 0;
    segment_name(number, name);
    size_t renamed = trace_find(0, TRACE_RENAME, name);
    CHECK(renamed < used_at);
    for (size_t i = renamed; i > 0 && filled < SEGMENT_BYTES; i--) {
        bool fills = trace.events[i - 1].kind == TRACE_WRITE &&
                     strcmp(trace.events[i - 1].file, "next.tmp") == 0;
        filled += fills ? trace.events[i - 1].len : 0;
        at = fills && at == 0 ? i - 1 : at;
    }
    CHECK(filled == SEGMENT_BYTES);
    CHECK(trace_find(at, TRACE_SYNC, "next.tmp") < renamed);
    CHECK(trace_find(renamed, TRACE_DIRECTORY_SYNC, ".") < used_at);
}

/* The end frame, a sector, was written by this thread and synced. */
static void check_segment_was_ended(unsigned number, size_t used_at)
{
    char name[32];
    size_t last = used_at;
    segment_name(number, name);
    while (last > 0 &&
           (!trace.events[last - 1].mine || trace.events[last - 1].kind != TRACE_WRITE)) {
        last--;
    }
    CHECK(last > 0 && strcmp(trace.events[last - 1].file, name) == 0 &&
          trace.events[last - 1].len == 512);
    CHECK(trace_find(last, TRACE_SYNC, name) < used_at);
}

static void a_segment_is_whole_and_the_one_before_it_ended_before_it_is_used(void)
{
    struct log_report report;
    fresh_dir();
    trace_begin(dir);
    struct log *log = open_log(0, OK, &report);
    for (unsigned i = 0; i < 100; i++) {
        append(log, 3, 3000);
    }
    trace_end();
    CHECK(log_close(log, false) == OK);
    unsigned used = 0;
    for (unsigned number = 1; number < 10; number++) {
        char name[32];
        segment_name(number, name);
        size_t used_at = trace_find(0, TRACE_WRITE, name);
        if (used_at < trace.count) {
            used++;
            check_segment_was_made(number, used_at);
            if (number > 1) {
                check_segment_was_ended(number - 1, used_at);
            }
        }
    }
    CHECK(used > 4);
    size_t named = trace_find(0, TRACE_RENAME, "id");
    size_t first = trace_find(0, TRACE_RENAME, "00000000000000000001.log");
    CHECK(trace_find(0, TRACE_SYNC, "id.new") < named);
    CHECK(trace_find(named, TRACE_DIRECTORY_SYNC, ".") < first && first < trace.count);
}

static void recovery_writes_the_last_frame_again_and_syncs_it(void)
{
    char path[400];
    off_t start;
    off_t end;
    struct log_report report;
    make_tail(path, sizeof(path), &start, &end);
    trace_begin(dir);
    struct log *log = open_log(0, OK, &report);
    trace_end();
    const char *name = path + strlen(dir) + 1;
    size_t written = trace_find(0, TRACE_WRITE, name);
    CHECK(written < trace.count && trace.events[written].offset == (uint64_t)start &&
          trace.events[written].len == (uint64_t)(end - start));
    CHECK(mine_after(written, name)->kind == TRACE_SYNC);
    CHECK(log_close(log, false) == OK);
}

/* A sector of the last frame is lost: the others go, durably, and the frame before it is written
 * again. */
static void a_torn_end_is_zeroed_and_synced(void)
{
    char path[400];
    off_t start;
    off_t end;
    static const char zeros[512];
    struct log_report report;
    make_tail(path, sizeof(path), &start, &end);
    change(path, start, zeros, sizeof(zeros));
    trace_begin(dir);
    struct log *log = open_log(0, OK, &report);
    trace_end();
    CHECK(report.torn_end);
    const char *name = path + strlen(dir) + 1;
    size_t zeroed = trace_find(0, TRACE_WRITE, name);
    CHECK(zeroed < trace.count && trace.events[zeroed].offset == (uint64_t)start &&
          trace.events[zeroed].len == (uint64_t)(end - start));
    CHECK(mine_after(zeroed, name)->kind == TRACE_SYNC);
    CHECK(count_synced_writes() == 2);
    CHECK(log_close(log, false) == OK);
}

static void the_mark_of_a_clean_stop_goes_durably_before_anything_is_appended(void)
{
    char name[32];
    struct log_report report;
    struct log_figures figures;
    fresh_dir();
    segment_name(1, name);
    struct log *log = open_log(0, OK, &report);
    append(log, 3, 100);
    log_figures(log, &figures);
    trace_begin(dir);
    CHECK(log_close(log, true) == OK);
    trace_end();
    CHECK(count_synced_writes() == 1);
    trace_begin(dir);
    log = open_log(3, OK, &report);
    trace_end();
    size_t taken = trace_find(0, TRACE_WRITE, name);
    CHECK(report.clean_stop && taken < trace.count && trace.events[taken].offset == figures.bytes &&
          trace.events[taken].len == 512);
    CHECK(mine_after(taken, name)->kind == TRACE_SYNC);
    CHECK(log_close(log, false) == OK);
}

/* A ready segment is replaced by a larger one, and the directory cannot be synced: the name may
 * stand for the old file after a power cut, so no frame may go into the new one. */
static void a_segment_whose_name_is_not_durable_is_not_used(void)
{
    static char body[60000];
    struct log_report report;
    char path[100];
    const struct log_options large = {.dir = dir, .segment_bytes = 1u << 20, .tail_bytes = 65536};
    fresh_dir();
    struct log *log = open_log(0, OK, &report);
    for (unsigned i = 0; i < 4; i++) {
        append(log, 1, sizeof(body));
    }
    snprintf(path, sizeof(path), "%s/%020d.log", dir, 4);
    while (access(path, F_OK) != 0) {
        thread_pause_ms(1);
    }
    CHECK(log_close(log, false) == OK);
    trace_begin(dir);
    trace.workers_fail = true;
    CHECK(log_open(&large, &log, &report) == OK);
    while (trace.failed < 3) { /* the worker does nothing else by then, and waits between tries */
        thread_pause_ms(1);
    }
    log_group_begin(log, 1000);
    log_commit_begin(log);
    for (unsigned i = 0; i < 4; i++) {
        log_record_add(log, 1, 1, 1, bytes_of(body, sizeof(body)));
    }
    CHECK(log_append(log) == ERR_IO);
    trace_end();
    trace.workers_fail = false;
    CHECK(log_close(log, false) == OK);
    log = open_log(0, OK, &report);
    CHECK(report.last_commit == 4 && replay(log, 0) == 4);
    CHECK(log_close(log, false) == OK);
}

/* A removal that may not be durable is the last: a power cut could bring its segment back, and not
 * those that went after it. */
static void nothing_is_removed_behind_a_removal_that_was_not_synced(void)
{
    struct log_report report;
    char path[100];
    struct log_figures figures = {0};
    fresh_dir();
    struct log *log = open_log(0, OK, &report);
    while (figures.segments < 5) {
        append(log, 1, 30000);
        log_figures(log, &figures);
    }
    newest_segment(path, sizeof(path));
    unsigned long open = strtoul(path + strlen(dir) + 1, NULL, 10);
    while (figures.segments <
           open + 1) { /* then the worker syncs the directory for removals only */
        thread_pause_ms(1);
        log_figures(log, &figures);
    }
    trace_begin(dir);
    trace.failed = 0;
    trace.workers_fail = true;
    log_set_flushed(log, log_last(log));
    log_set_trim(log, log_last(log));
    while (trace.failed == 0) {
        thread_pause_ms(1);
    }
    for (int i = 0; i < 10; i++) {
        log_set_trim(log, log_last(log));
        thread_pause_ms(10);
    }
    snprintf(path, sizeof(path), "%s/%020d.log", dir, 2);
    CHECK(trace.failed == 1 && access(path, F_OK) == 0);
    trace_end();
    trace.workers_fail = false;
    uint64_t last = log_last(log);
    CHECK(log_close(log, false) == OK);
    log = open_log(last, OK, &report);
    CHECK(log_last(log) == last);
    CHECK(log_close(log, false) == OK);
}

int main(void)
{
    RUN(a_frame_is_synced_when_append_returns);
    RUN(a_segment_is_whole_and_the_one_before_it_ended_before_it_is_used);
    RUN(recovery_writes_the_last_frame_again_and_syncs_it);
    RUN(a_torn_end_is_zeroed_and_synced);
    RUN(the_mark_of_a_clean_stop_goes_durably_before_anything_is_appended);
    RUN(a_segment_whose_name_is_not_durable_is_not_used);
    RUN(nothing_is_removed_behind_a_removal_that_was_not_synced);
    remove_dir();
    return CHECK_RESULT();
}
