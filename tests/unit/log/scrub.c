/* log: all of it is read while it is open. What is whole raises no alarm, whatever is written,
 * indexed and trimmed meanwhile; what is damaged is told, once, and what is behind it still read.
 */
#include "log/log_priv.h"
#include "sys/thread.h"
#include "world.h"

struct listener {
    struct log *log;
    uint64_t records;
    uint64_t first_commit;
    uint64_t last_commit;
    uint64_t bytes;
    unsigned told;
    struct log_report report; /* the newest */
    bool disordered;
    bool trims;      /* at the first bytes */
    bool appends;    /* at each piece */
    uint64_t end_at; /* bytes, that end the reading; 0: none */
};

static enum err hear_read(void *arg, uint64_t bytes)
{
    struct listener *listener = arg;
    listener->bytes += bytes;
    if (listener->trims) {
        struct log_figures figures;
        uint64_t newest = log_last(listener->log);
        listener->trims = false;
        log_set_flushed(listener->log, newest);
        log_set_trim(listener->log, newest - 1);
        do {
            thread_pause_ms(1);
            log_figures(listener->log, &figures);
        } while (figures.segments > 2);
    }
    for (unsigned i = 0; listener->appends && i < 100; i++) {
        append(listener->log, 3, 700);
    }
    return listener->end_at > 0 && listener->bytes >= listener->end_at ? ERR_CLOSED : OK;
}

static void hear_damage(void *arg, const struct log_report *report)
{
    struct listener *listener = arg;
    listener->told++;
    listener->report = *report;
}

static enum err hear_record(void *arg, const struct log_record *record)
{
    struct listener *listener = arg;
    listener->first_commit = listener->records == 0 ? record->commit : listener->first_commit;
    listener->disordered |= record->commit < listener->last_commit;
    listener->last_commit = record->commit;
    listener->records++;
    return OK;
}

static struct log_scrub *scrub_of(struct listener *listener)
{
    const struct log_scrub_options options = {
        .read = hear_read, .damaged = hear_damage, .fn = hear_record, .arg = listener};
    return log_scrub_new(listener->log, &options);
}

static enum err scrub_once(struct listener *listener)
{
    struct log_scrub *scrub = scrub_of(listener);
    enum err err = log_scrub_run(scrub);
    log_scrub_free(scrub);
    return err;
}

static uint64_t records_of(uint64_t commits)
{
    uint64_t records = 0;
    for (uint64_t commit = 1; commit <= commits; commit++) {
        records += 1 + commit % 3;
    }
    return records;
}

/* So many are sealed, with their indexes; another is open and one ready. */
static struct log *make_log(unsigned sealed)
{
    struct log_report report;
    fresh_dir();
    struct log *log = open_log(0, OK, &report);
    unsigned done = 0;
    while (done < sealed) {
        append(log, 3, 700);
        done = 0;
        pthread_mutex_lock(&log->mutex);
        for (const struct segment *segment = log->first; segment != NULL; segment = segment->next) {
            done += segment->state == SEGMENT_SEALED && segment->index == NULL;
        }
        pthread_mutex_unlock(&log->mutex);
    }
    append(log, 3, 700);
    return log;
}

static void flip(const char *path, uint64_t at)
{
    uint8_t byte;
    int fd = open(path, O_RDWR);
    CHECK(pread(fd, &byte, 1, (off_t)at) == 1);
    byte ^= 0x20;
    CHECK(pwrite(fd, &byte, 1, (off_t)at) == 1);
    close(fd);
}

static void every_record_is_read_once_and_what_comes_is_read_by_the_next_run(void)
{
    struct listener listener = {.log = make_log(3)};
    struct log_scrub *scrub = scrub_of(&listener);
    uint64_t last = log_last(listener.log);
    CHECK(log_scrub_bytes(listener.log) > 3 * 200u << 10);
    CHECK(log_scrub_run(scrub) == OK);
    CHECK(listener.told == 0 && !listener.disordered);
    CHECK(listener.records == records_of(last) && listener.last_commit == last);
    CHECK(listener.bytes >= log_scrub_bytes(listener.log));
    for (unsigned i = 0; i < 300; i++) {
        append(listener.log, 3, 700);
    }
    CHECK(log_scrub_run(scrub) == OK);
    CHECK(listener.told == 0 && !listener.disordered);
    CHECK(listener.records == records_of(last + 900) && listener.last_commit == last + 900);
    log_scrub_free(scrub);
    CHECK(log_close(listener.log, false) == OK);
}

static void nothing_is_taken_for_damage_while_frames_are_written(void)
{
    struct listener listener = {.log = make_log(2), .appends = true, .end_at = 3u << 20};
    CHECK(scrub_once(&listener) == ERR_CLOSED); /* it never comes to an end otherwise */
    CHECK(listener.told == 0 && !listener.disordered);
    CHECK(listener.records > 1000);
    CHECK(log_close(listener.log, false) == OK);
}

static void segments_that_are_trimmed_meanwhile_are_left_out(void)
{
    struct listener listener = {.log = make_log(4), .trims = true};
    CHECK(scrub_once(&listener) == OK);
    CHECK(listener.told == 0 && !listener.disordered);
    CHECK(listener.last_commit == log_last(listener.log));
    CHECK(listener.records < records_of(listener.last_commit));
    CHECK(log_close(listener.log, false) == OK);
}

static void what_was_trimmed_unread_is_known_to_be_gone(void)
{
    struct listener listener = {.log = make_log(2)};
    struct log_scrub *scrub = scrub_of(&listener);
    CHECK(log_scrub_run(scrub) == OK);
    uint64_t read = listener.last_commit;
    CHECK(log_scrub_gone(scrub) == 0);
    for (unsigned i = 0; i < 600; i++) {
        append(listener.log, 3, 700);
    }
    listener.trims = true;
    CHECK(hear_read(&listener, 0) == OK);
    CHECK(log_scrub_run(scrub) == OK);
    CHECK(listener.told == 0 && listener.records < records_of(listener.last_commit));
    CHECK(log_scrub_gone(scrub) > read);
    CHECK(log_scrub_gone(scrub) == log_first(listener.log) - 1);
    log_scrub_free(scrub);
    CHECK(log_close(listener.log, false) == OK);
}

struct scrubbing {
    struct listener listener;
    _Atomic bool stopping;
    unsigned rounds;
};

static void scrub_on(void *arg)
{
    struct scrubbing *scrubbing = arg;
    while (!scrubbing->stopping) {
        CHECK(scrub_once(&scrubbing->listener) == OK);
        scrubbing->listener.last_commit = 0;
        scrubbing->rounds++;
    }
}

/* A file goes a little before its segment leaves the list: as long as its directory is synced. */
static void segments_that_go_all_the_time_raise_no_alarm(void)
{
    struct scrubbing scrubbing = {.listener = {.log = make_log(1)}};
    struct log *log = scrubbing.listener.log;
    struct thread thread;
    thread_start(&thread, ROLE_WORKER, "scrub", scrub_on, &scrubbing);
    for (unsigned i = 0; i < 1500; i++) {
        append(log, 3, 7000);
        log_set_flushed(log, log_last(log));
        log_set_trim(log, log_last(log) - 1);
    }
    scrubbing.stopping = true;
    thread_join(&thread);
    CHECK(log_first(log) > 1000 && scrubbing.rounds > 10);
    CHECK(scrubbing.listener.told == 0 && !scrubbing.listener.disordered);
    CHECK(log_close(log, false) == OK);
}

static void a_changed_bit_is_told_and_what_is_behind_it_is_read(void)
{
    struct listener listener = {.log = make_log(3)};
    uint64_t last = log_last(listener.log);
    struct segment second = *listener.log->first->next;
    char path[4200];
    segment_path(listener.log, 2, path, sizeof(path));
    const uint64_t places[] = {3, 20, HEADER + 100, second.used / 2, second.used - 1};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        flip(path, places[i]);
        listener = (struct listener){.log = listener.log};
        CHECK(scrub_once(&listener) == OK);
        CHECK(listener.told == 1 && !listener.disordered);
        CHECK_BYTES(bytes_cstr(listener.report.file), bytes_cstr(path));
        CHECK(listener.report.offset <= places[i] && listener.report.offset + 32768 > places[i]);
        CHECK(listener.report.reason[0] != 0);
        CHECK(listener.first_commit == 1 && listener.last_commit == last);
        bool in_end_frame = places[i] == second.used - 1;
        CHECK(listener.records < records_of(last) || in_end_frame);
        flip(path, places[i]);
    }
    CHECK(log_close(listener.log, false) == OK);
}

static void what_was_shown_of_the_open_segment_is_read_too(void)
{
    struct listener listener = {.log = make_log(1)};
    char path[4200];
    segment_path(listener.log, listener.log->open->number, path, sizeof(path));
    flip(path, listener.log->open->used - SECTOR);
    CHECK(scrub_once(&listener) == OK);
    CHECK(listener.told == 1);
    CHECK_BYTES(bytes_cstr(listener.report.file), bytes_cstr(path));
    CHECK(log_close(listener.log, false) == OK);
}

static void a_damaged_index_is_told_and_made_again(void)
{
    struct listener listener = {.log = make_log(2)};
    char path[4200];
    segment_path(listener.log, 1, path, sizeof(path));
    uint64_t at = listener.log->first->index_at;
    flip(path, at + HEADER + 30);
    CHECK(scrub_once(&listener) == OK);
    CHECK(listener.told == 1 && listener.report.offset == at);
    CHECK_BYTES(bytes_cstr(listener.report.file), bytes_cstr(path));
    CHECK(listener.records == records_of(log_last(listener.log)));
    for (unsigned tries = 0; listener.told > 0 && tries < 5000; tries++) {
        thread_pause_ms(1);
        listener = (struct listener){.log = listener.log};
        CHECK(scrub_once(&listener) == OK);
    }
    CHECK(listener.told == 0);
    CHECK(log_close(listener.log, false) == OK);
}

static void a_file_that_is_missing_or_cut_short_is_told(void)
{
    struct listener listener = {.log = make_log(3)};
    char path[4200];
    segment_path(listener.log, 2, path, sizeof(path));
    CHECK(truncate(path, 100000) == 0);
    CHECK(scrub_once(&listener) == OK);
    CHECK(listener.told == 1);
    CHECK_BYTES(bytes_cstr(listener.report.file), bytes_cstr(path));
    CHECK(unlink(path) == 0);
    listener = (struct listener){.log = listener.log};
    CHECK(scrub_once(&listener) == OK);
    CHECK(listener.told == 1);
    CHECK_BYTES(bytes_cstr(listener.report.file), bytes_cstr(path));
    CHECK(strstr(listener.report.reason, "missing") != NULL);
    CHECK(listener.last_commit == log_last(listener.log));
    CHECK(log_close(listener.log, false) == OK);
}

static void wait_for_segment_ahead(struct log *log, char path[4200])
{
    uint64_t ready = 0;
    while (ready == 0) {
        thread_pause_ms(1);
        pthread_mutex_lock(&log->mutex);
        const struct segment *newest = log->last;
        ready = newest->state == SEGMENT_READY ? newest->number : 0;
        pthread_mutex_unlock(&log->mutex);
    }
    segment_path(log, ready, path, 4200);
}

static void a_segment_made_ahead_must_be_zeros(void)
{
    struct listener listener = {.log = make_log(1)};
    char path[4200];
    wait_for_segment_ahead(listener.log, path);
    flip(path, 70000);
    CHECK(scrub_once(&listener) == OK);
    CHECK(listener.told == 1);
    CHECK_BYTES(bytes_cstr(listener.report.file), bytes_cstr(path));
    CHECK(log_close(listener.log, false) == OK);
}

static void a_segment_made_ahead_must_have_its_length(void)
{
    struct listener listener = {.log = make_log(1)};
    char path[4200];
    wait_for_segment_ahead(listener.log, path);
    CHECK(truncate(path, 70000) == 0);
    CHECK(scrub_once(&listener) == OK);
    CHECK(listener.told == 1 && listener.report.offset == 70000);
    CHECK_BYTES(bytes_cstr(listener.report.file), bytes_cstr(path));
    CHECK(log_close(listener.log, false) == OK);
}

static void scrub_for(void *arg)
{
    CHECK(scrub_once(arg) == OK);
}

static void note_being_written(struct log *log, bool is)
{
    pthread_mutex_lock(&log->mutex);
    log->noting = is;
    pthread_cond_broadcast(&log->noted);
    pthread_mutex_unlock(&log->mutex);
}

/* Both places, as a removal writes them, one behind the other. */
static void a_note_that_is_being_written_is_not_taken_for_damage(void)
{
    struct listener listener = {.log = make_log(1)};
    struct thread thread;
    char path[4200];
    snprintf(path, sizeof(path), "%s/end", dir);
    note_being_written(listener.log, true);
    flip(path, 40);
    flip(path, 4096 + 40);
    thread_start(&thread, ROLE_WORKER, "scrub", scrub_for, &listener);
    thread_pause_ms(100);
    flip(path, 40);
    flip(path, 4096 + 40);
    note_being_written(listener.log, false);
    thread_join(&thread);
    CHECK(listener.told == 0);
    CHECK(log_close(listener.log, false) == OK);
}

/* As after a start: the segments' shapes are not known, and one of them cannot be measured. */
static void damage_from_before_the_start_is_told(void)
{
    struct listener listener = {.log = make_log(3)};
    struct log_report report;
    char path[4200];
    uint64_t last = log_last(listener.log);
    CHECK(log_close(listener.log, true) == OK);
    snprintf(path, sizeof(path), "%s/%020u.log", dir, 1u);
    flip(path, 512 + 3);
    listener = (struct listener){.log = open_log(last, OK, &report)};
    CHECK(scrub_once(&listener) == OK);
    CHECK(listener.told == 1);
    CHECK_BYTES(bytes_cstr(listener.report.file), bytes_cstr(path));
    CHECK(listener.last_commit == last);
    CHECK(log_close(listener.log, true) == OK);
}

int main(void)
{
    RUN(every_record_is_read_once_and_what_comes_is_read_by_the_next_run);
    RUN(nothing_is_taken_for_damage_while_frames_are_written);
    RUN(segments_that_are_trimmed_meanwhile_are_left_out);
    RUN(what_was_trimmed_unread_is_known_to_be_gone);
    RUN(segments_that_go_all_the_time_raise_no_alarm);
    RUN(a_changed_bit_is_told_and_what_is_behind_it_is_read);
    RUN(what_was_shown_of_the_open_segment_is_read_too);
    RUN(a_damaged_index_is_told_and_made_again);
    RUN(a_file_that_is_missing_or_cut_short_is_told);
    RUN(a_segment_made_ahead_must_be_zeros);
    RUN(a_segment_made_ahead_must_have_its_length);
    RUN(a_note_that_is_being_written_is_not_taken_for_damage);
    RUN(damage_from_before_the_start_is_told);
    remove_dir();
    return CHECK_RESULT();
}
