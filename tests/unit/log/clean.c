/* log: the cleaner. What is alive is read as before, whatever was dropped around it, while it works
 * and after a stop at any of its steps; and a cleaned file is as guarded as any other (log I15,
 * I16, I17, I18). */
#include "log/log_priv.h"
#include "sys/thread.h"
#include "world.h"

#include "../trace.h"

#define KEPT 7u  /* stream of every tenth commit */
#define SHORT 8u /* stream of the others, but every third, which is of none */
#define BODY 2000u

static _Atomic uint64_t trims[16];

static uint64_t trim_of(void *arg, uint64_t stream)
{
    (void)arg;
    return stream < 16 ? atomic_load(&trims[stream]) : UINT64_MAX;
}

static struct log *open_at(uint64_t flushed)
{
    struct log_report report;
    return open_log(flushed, OK, &report);
}

static void start_cleaner(struct log *log)
{
    const struct log_cleaning cleaning = {
        .trims = {NULL, trim_of}, .bytes_per_second = 1000000000, .every_ms = 2};
    log_clean(log, &cleaning);
}

static uint64_t stream_of(uint64_t commit)
{
    return commit % 10 == 0 ? KEPT : commit % 3 == 0 ? 0 : SHORT;
}

static int body_of(char body[BODY + 40], uint64_t commit, unsigned index)
{
    memset(body, 'a' + (int)(commit % 26), BODY);
    int len = snprintf(body, 40, "%llu.%u", (unsigned long long)commit, index);
    body[len] = ' ';
    return (int)(BODY - commit % 100);
}

/* Each commit has two records. */
static void append_many(struct log *log, unsigned commits)
{
    static char body[BODY + 40];
    for (unsigned i = 0; i < commits; i++) {
        log_group_begin(log, 1000 * (log_last(log) + 1));
        uint64_t commit = log_commit_begin(log);
        for (unsigned j = 0; j < 2; j++) {
            int len = body_of(body, commit, j);
            log_record_add(log, 3, stream_of(commit), commit * 7919, bytes_of(body, (size_t)len));
        }
        CHECK(log_append(log) == OK);
        log_publish(log, commit);
    }
}

static struct log_figures figures_of(struct log *log)
{
    struct log_figures figures;
    log_figures(log, &figures);
    return figures;
}

static void check_record(const struct log_record *record)
{
    char body[BODY + 40];
    int len = body_of(body, record->commit, record->index);
    CHECK(bytes_equal(record->body, bytes_of(body, (size_t)len)));
    CHECK(record->count == 2 && record->kind == 3 && record->key_hash == record->commit * 7919 &&
          record->time_ms == 1000 * record->commit);
}

/* Reads the stream of tenth commits, all of it after a place, a page at a time; what is missing or
 * wrong is said. Damage ends it. */
static enum err read_kept_from(struct log *log, struct log_place after, size_t page)
{
    struct arena arena;
    struct log_read read = {.stream = KEPT,
                            .after = after,
                            .until = UINT64_MAX,
                            .hash_high = UINT64_MAX,
                            .bytes_max = 1 << 20,
                            .mode = LOG_READ_BLOCKING,
                            .arena = &arena};
    struct log_place next = {after.index == LOG_INDEX_END ? (after.commit / 10 + 1) * 10
                                                          : after.commit,
                             after.index == LOG_INDEX_END ? 0 : after.index + 1};
    enum err err = OK;
    uint64_t last = log_visible(log);
    arena_init(&arena, 0);
    do {
        read.records_max = page;
        arena_reset(&arena);
        err = log_read(log, &read);
        for (size_t i = 0; err == OK && i < read.count; i++) {
            const struct log_record *record = &read.records[i];
            CHECK(record->commit == next.commit && record->index == next.index);
            check_record(record);
            next = record->index == 0 ? (struct log_place){record->commit, 1}
                                      : (struct log_place){record->commit + 10, 0};
        }
        read.after = read.reached;
    } while (err == OK && !read.at_end);
    CHECK(err != OK || next.commit > last);
    arena_fini(&arena);
    return err;
}

static void check_kept(struct log *log)
{
    CHECK(read_kept_from(log, (struct log_place){0, LOG_INDEX_END}, 100) == OK);
    CHECK(read_kept_from(log, (struct log_place){0, LOG_INDEX_END}, 3) == OK);
    for (uint64_t commit = 10; commit <= log_last(log); commit += 50) {
        CHECK(read_kept_from(log, (struct log_place){commit, 0}, 7) == OK);
        CHECK(read_kept_from(log, (struct log_place){commit + 3, LOG_INDEX_END}, 100) == OK);
    }
}

struct scanned {
    uint64_t kept;
    uint64_t other; /* streams */
};

static enum err scan_record(void *arg, const struct log_record *record)
{
    struct scanned *scanned = arg;
    scanned->kept += record->stream == KEPT;
    scanned->other += record->stream != KEPT;
    check_record(record);
    return OK;
}

static struct scanned scan_all(void)
{
    struct scanned scanned = {0};
    struct log_report report;
    enum err err = log_scan(dir, scan_record, &scanned, &report);
    CHECK(err == OK);
    if (err != OK) {
        printf("%s at %llu: %s\n", report.file, (unsigned long long)report.offset, report.reason);
    }
    return scanned;
}

static void wait_for_cleanings(struct log *log, uint64_t cleanings)
{
    for (unsigned i = 0; i < 30000 && figures_of(log).cleanings < cleanings; i++) {
        thread_pause_ms(1);
    }
    CHECK(figures_of(log).cleanings >= cleanings);
}

/* It has looked often enough at all that it may clean, and found nothing more. */
static void wait_until_idle(struct log *log)
{
    uint64_t idle = 0;
    for (unsigned i = 0; i < 30000 && idle < 50; i++) {
        thread_pause_ms(1);
        pthread_mutex_lock(&log->mutex);
        for (const struct segment *segment = log->first; segment != NULL; segment = segment->next) {
            bool waits = segment->state == SEGMENT_SEALED &&
                         (!segment->indexed || (segment->live == NULL && segment->busy));
            log->idle_rounds = waits && !segment->index_refused ? 0 : log->idle_rounds;
        }
        idle = log->idle_rounds;
        pthread_mutex_unlock(&log->mutex);
    }
    CHECK(idle >= 50);
}

static void fresh_trims(void)
{
    for (size_t i = 0; i < 16; i++) {
        atomic_store(&trims[i], 0);
    }
}

/* A log of some segments whose short-lived stream is dead. */
static struct log *half_dead_log(unsigned commits)
{
    fresh_dir();
    fresh_trims();
    struct log *log = open_at(0);
    append_many(log, commits);
    log_set_flushed(log, log_last(log));
    atomic_store(&trims[SHORT], log_last(log));
    return log;
}

static void list_files(char names[64][64], size_t *count)
{
    DIR *open = opendir(dir);
    struct dirent *entry;
    *count = 0;
    while ((entry = readdir(open)) != NULL) {
        if (strstr(entry->d_name, ".log") != NULL && *count < 64) {
            snprintf(names[(*count)++], 64, "%.63s", entry->d_name);
        }
    }
    closedir(open);
}

/* The first of that generation, or of any: 0. */
static bool find_cleaned(char path[200], unsigned generation)
{
    char names[64][64];
    size_t count;
    list_files(names, &count);
    for (size_t i = 0; i < count; i++) {
        bool wanted = names[i][20] == '-' &&
                      (generation == 0 || strtoul(names[i] + 42, NULL, 10) == generation);
        if (wanted) {
            snprintf(path, 200, "%.60s/%s", dir, names[i]);
            return true;
        }
    }
    return false;
}

static void half_dead_neighbours_become_one_file(void)
{
    struct log *log = half_dead_log(1000);
    uint64_t segments = figures_of(log).segments;
    check_kept(log);
    start_cleaner(log);
    wait_for_cleanings(log, 1);
    wait_until_idle(log);
    struct log_figures figures = figures_of(log);
    CHECK(segments > 10 && figures.segments < segments / 2);
    CHECK(figures.cleaned_bytes > (segments - 3) * 128 * 1024 && figures.kept_bytes > 0);
    check_kept(log);
    append_many(log, 100);
    check_kept(log);
    uint64_t last = log_last(log);
    CHECK(log_dropped(log, SHORT) > 0 && log_dropped(log, SHORT) <= last);
    CHECK(log_dropped(log, KEPT) == 0 && log_dropped(log, 0) == 0);
    uint64_t dropped = log_dropped(log, SHORT);
    CHECK(log_commit_before(log, 505000) >= 500 && log_commit_before(log, 505000) < 505);
    CHECK(log_close(log, true) == OK);
    CHECK(scan_all().kept == last / 10 * 2);
    log = open_at(last);
    CHECK(log_last(log) == last && log_first(log) == 1 && log_dropped(log, SHORT) == dropped);
    check_kept(log);
    CHECK(log_close(log, true) == OK);
}

static void what_is_alive_is_not_written_again(void)
{
    struct log *log = half_dead_log(300);
    atomic_store(&trims[SHORT], 0);
    for (uint64_t stream = 0; stream < 16; stream++) {
        CHECK(log_dropped(log, stream) == 0);
    }
    start_cleaner(log);
    thread_pause_ms(300);
    CHECK(figures_of(log).cleanings == 0 && log_dropped(log, SHORT) == 0);
    check_kept(log);
    CHECK(log_close(log, true) == OK);
    struct scanned scanned = scan_all();
    CHECK(scanned.kept == 60 && scanned.other == 540);
}

/* Nothing but where the numbers go on is left. A stream that is known no more is dead. */
static void a_segment_without_anything_alive_shrinks_to_nothing(void)
{
    struct log *log = half_dead_log(500);
    atomic_store(&trims[KEPT], UINT64_MAX);
    start_cleaner(log);
    wait_for_cleanings(log, 1);
    wait_until_idle(log);
    struct log_figures figures = figures_of(log);
    CHECK(figures.segments <= 5 && figures.kept_bytes < 64 * 1024);
    CHECK(log_dropped(log, KEPT) == 0); /* nobody can ask */
    uint64_t last = log_last(log);
    CHECK(log_first(log) == 1);
    CHECK(log_close(log, true) == OK);
    log = open_at(last);
    CHECK(log_last(log) == last && log_first(log) == 1);
    /* Then they go as any other, the oldest first. */
    append_many(log, 300);
    log_set_flushed(log, log_last(log));
    log_set_trim(log, log_last(log) - 10);
    for (unsigned i = 0; i < 5000 && log_first(log) < last; i++) {
        thread_pause_ms(1);
    }
    CHECK(log_first(log) > last);
    last = log_last(log);
    CHECK(log_close(log, true) == OK);
    log = open_at(last);
    CHECK(log_last(log) == last);
    CHECK(log_close(log, true) == OK);
}

static void cleaned_files_are_cleaned_and_merged_again(void)
{
    char path[200];
    struct log *log = half_dead_log(1000);
    start_cleaner(log);
    wait_for_cleanings(log, 1);
    wait_until_idle(log);
    uint64_t cleanings = figures_of(log).cleanings;
    append_many(log, 300);
    log_set_flushed(log, log_last(log));
    atomic_store(&trims[SHORT], log_last(log));
    wait_for_cleanings(log, cleanings + 1);
    wait_until_idle(log);
    check_kept(log);
    cleanings = figures_of(log).cleanings;
    uint64_t segments = figures_of(log).segments;
    atomic_store(&trims[KEPT], 899);
    wait_for_cleanings(log, cleanings + 1);
    wait_until_idle(log);
    CHECK(figures_of(log).segments <= segments);
    CHECK(log_dropped(log, KEPT) > 0 && log_dropped(log, KEPT) <= 899);
    CHECK(read_kept_from(log, (struct log_place){899, LOG_INDEX_END}, 10) == OK);
    uint64_t last = log_last(log);
    CHECK(log_close(log, true) == OK);
    CHECK(find_cleaned(path, 2));
    CHECK(scan_all().kept >= (last / 10 - 90) * 2);
    log = open_at(last);
    CHECK(read_kept_from(log, (struct log_place){899, LOG_INDEX_END}, 10) == OK);
    CHECK(log_close(log, true) == OK);
}

struct reader {
    struct thread thread;
    struct log *log;
    _Atomic bool stop;
    uint64_t rounds;
};

static void read_on_and_on(void *arg)
{
    struct reader *reader = arg;
    while (!atomic_load(&reader->stop)) {
        uint64_t commit = reader->rounds % 30 * 20;
        CHECK(read_kept_from(reader->log, (struct log_place){commit, LOG_INDEX_END},
                             1 + reader->rounds % 40) == OK);
        reader->rounds++;
    }
}

static void readers_do_not_notice(void)
{
    fresh_dir();
    fresh_trims();
    struct log *log = open_at(0);
    static struct reader readers[3];
    append_many(log, 300);
    start_cleaner(log);
    for (size_t i = 0; i < 3; i++) {
        readers[i] = (struct reader){.log = log};
        thread_start(&readers[i].thread, ROLE_WORKER, "reader", read_on_and_on, &readers[i]);
    }
    for (unsigned i = 0; i < 60; i++) {
        append_many(log, 30);
        log_set_flushed(log, log_last(log));
        atomic_store(&trims[SHORT], log_last(log) - 20);
        thread_pause_ms(5);
    }
    wait_until_idle(log);
    for (size_t i = 0; i < 3; i++) {
        atomic_store(&readers[i].stop, true);
        thread_join(&readers[i].thread);
        CHECK(readers[i].rounds > 0);
    }
    CHECK(figures_of(log).cleanings >= 5);
    check_kept(log);
    CHECK(log_close(log, true) == OK);
    scan_all();
}

static struct log *found_in; /* cleaned while its directory is asked; NULL: it was */

static void told_of(void *arg, const uint64_t *segments, size_t count, bool *told)
{
    (void)arg;
    (void)segments;
    memset(told, 1, count * sizeof(*told));
}

static void is_sealed(void *arg, uint64_t segment, const struct log_directory_entry *entries,
                      size_t count)
{
    (void)arg;
    (void)segment;
    (void)entries;
    (void)count;
}

static void is_removed(void *arg, uint64_t segment)
{
    (void)arg;
    (void)segment;
}

/* Between the choice of a segment and the opening of its file. */
static enum err find_and_clean(void *arg, uint64_t stream, uint64_t from,
                               struct log_directory_found *found)
{
    struct log *log = found_in;
    (void)arg;
    (void)stream;
    *found = (struct log_directory_found){.segments = {from}, .count = 1, .until = from + 1};
    if (log != NULL) {
        found_in = NULL;
        start_cleaner(log);
        wait_for_cleanings(log, 1);
        wait_until_idle(log);
    }
    return OK;
}

static void a_reader_whose_file_was_cleaned_looks_again(void)
{
    struct log_report report;
    struct log *log = half_dead_log(400);
    uint64_t last = log_last(log);
    CHECK(log_close(log, true) == OK);
    const struct log_options options = {
        .dir = dir,
        .segment_bytes = 256 * 1024,
        .flushed = last,
        .tail_bytes = 1024,
        .directory = {NULL, told_of, is_sealed, is_removed, find_and_clean}};
    CHECK(log_open(&options, &log, &report) == OK);
    found_in = log;
    CHECK(read_kept_from(log, (struct log_place){0, LOG_INDEX_END}, 100) == OK);
    CHECK(found_in == NULL && figures_of(log).cleanings > 0);
    check_kept(log);
    CHECK(log_close(log, true) == OK);
}

/* Cleaned while its oldest file is removed; NULL: it was. */
static struct log *_Atomic removed_from;

/* After the file went, before its directory is synced. */
static void clean_while_removing(const char *path)
{
    struct log *log = removed_from;
    bool removing = log != NULL && strcmp(path, dir) == 0 && log_first(log) > 1;
    if (!removing) {
        return;
    }
    removed_from = NULL;
    start_cleaner(log);
    uint64_t rounds = 0;
    for (unsigned i = 0; i < 30000 && rounds < 3 && figures_of(log).cleanings == 0; i++) {
        thread_pause_ms(1);
        pthread_mutex_lock(&log->mutex);
        rounds = log->idle_rounds;
        pthread_mutex_unlock(&log->mutex);
    }
    pthread_mutex_lock(&log->mutex);
    const struct segment *oldest = log->first;
    CHECK(oldest->number == 1 && oldest->generation == 0 && oldest->live == NULL &&
          !oldest->clean_refused);
    pthread_mutex_unlock(&log->mutex);
}

static void let_sync(const char *path)
{
    (void)path;
}

static void a_segment_that_is_being_removed_is_not_cleaned(void)
{
    struct log_report report;
    struct log *log = half_dead_log(400);
    uint64_t last = log_last(log);
    removed_from = log;
    trace.on_sync = clean_while_removing;
    log_set_trim(log, last / 2);
    for (unsigned i = 0; i < 30000 && removed_from != NULL; i++) {
        thread_pause_ms(1);
    }
    CHECK(removed_from == NULL);
    wait_for_cleanings(log, 1);
    wait_until_idle(log);
    trace.on_sync = let_sync;
    CHECK(read_kept_from(log, (struct log_place){last / 2 / 10 * 10 + 10, 0}, 100) == OK);
    CHECK(log_close(log, true) == OK);
    log = open_log(last, OK, &report);
    CHECK(log_first(log) > 1 && log_first(log) <= last / 2 + 1);
    CHECK(log_close(log, true) == OK);
}

/* Old files, beside: put back, they are what a kill leaves between the new one's name and their
 * removal. */
static void leftovers_of_a_kill_are_removed(void)
{
    for (unsigned pattern = 0; pattern < 3; pattern++) {
        char names[64][64];
        char command[400];
        size_t count;
        struct log *log = half_dead_log(400);
        uint64_t last = log_last(log);
        CHECK(log_close(log, true) == OK);
        list_files(names, &count);
        snprintf(command, sizeof(command), "mkdir %s/old && cp %s/*.log %s/old", dir, dir, dir);
        CHECK(system(command) == 0);
        log = open_at(last);
        start_cleaner(log);
        wait_for_cleanings(log, 1);
        wait_until_idle(log);
        CHECK(log_close(log, true) == OK);
        size_t put_back = 0;
        for (size_t i = 0; i < count; i++) {
            char path[200];
            snprintf(path, sizeof(path), "%.60s/%.63s", dir, names[i]);
            bool wanted = pattern == 0 || (i + pattern) % 3 == 0;
            if (access(path, F_OK) != 0 && wanted) {
                snprintf(command, sizeof(command), "cp %.60s/old/%.63s %.60s", dir, names[i], dir);
                CHECK(system(command) == 0);
                put_back++;
            }
        }
        snprintf(command, sizeof(command), "echo half > %s/clean.tmp", dir);
        CHECK(put_back > 0 && system(command) == 0);
        CHECK(scan_all().kept == last / 10 * 2); /* verify sees past them */
        log = open_at(last);
        check_kept(log);
        CHECK(log_last(log) == last);
        size_t left;
        uint64_t segments = figures_of(log).segments;
        CHECK(log_close(log, true) == OK);
        list_files(names, &left);
        CHECK(left == segments || left == segments + 1); /* one may have been made ready */
        snprintf(command, sizeof(command), "%s/clean.tmp", dir);
        CHECK(access(command, F_OK) != 0);
    }
}

static void a_hole_behind_or_before_a_cleaned_file_is_damage(void)
{
    char path[200];
    char other[200];
    struct log_report report;
    struct log *log = half_dead_log(400);
    uint64_t last = log_last(log);
    start_cleaner(log);
    wait_for_cleanings(log, 1);
    wait_until_idle(log);
    CHECK(log_close(log, true) == OK);
    CHECK(find_cleaned(path, 0));
    snprintf(other, sizeof(other), "%s/away", dir);
    CHECK(rename(path, other) == 0);
    uint64_t first = strtoull(path + strlen(dir) + 1, NULL, 10);
    uint64_t behind = strtoull(path + strlen(dir) + 22, NULL, 10);
    if (first > 1) {
        CHECK(open_log(last, ERR_DAMAGED, &report) == NULL);
        CHECK(log_scan(dir, NULL, NULL, &report) == ERR_DAMAGED);
    }
    /* Under a name that is not its own it is not believed. */
    char renamed[200];
    snprintf(renamed, sizeof(renamed), "%s/%020llu-%020llu.9.log", dir, (unsigned long long)first,
             (unsigned long long)behind);
    CHECK(rename(other, renamed) == 0);
    CHECK(open_log(last, ERR_DAMAGED, &report) == NULL);
    CHECK(log_scan(dir, NULL, NULL, &report) == ERR_DAMAGED);
    CHECK(strcmp(report.file, renamed) == 0);
    CHECK(rename(renamed, path) == 0);
    /* One that stands for a part of it, and for what is behind it. */
    snprintf(renamed, sizeof(renamed), "%s/%020llu-%020llu.1.log", dir, (unsigned long long)behind,
             (unsigned long long)behind + 1);
    snprintf(other, sizeof(other), "cp %.90s %.90s", path, renamed);
    CHECK(system(other) == 0);
    CHECK(open_log(last, ERR_DAMAGED, &report) == NULL);
    CHECK(unlink(renamed) == 0);
    /* The first one behind the cleaned files is gone. */
    do {
        behind++;
        snprintf(other, sizeof(other), "%s/%020llu.log", dir, (unsigned long long)behind);
    } while (unlink(other) != 0 && behind < 100);
    CHECK(open_log(last, ERR_DAMAGED, &report) == NULL);
    CHECK(log_scan(dir, NULL, NULL, &report) == ERR_DAMAGED);
}

/* What was dropped is in the view alone: it cannot be made again, and is not made in part. */
static void a_view_older_than_a_cleaned_file_is_damage(void)
{
    char path[200];
    struct log_report report;
    struct log *log = half_dead_log(400);
    uint64_t last = log_last(log);
    start_cleaner(log);
    wait_for_cleanings(log, 1);
    wait_until_idle(log);
    CHECK(log_close(log, true) == OK);
    CHECK(find_cleaned(path, 0));
    const uint64_t flushed[] = {0, 1, 30};
    for (size_t i = 0; i < 3; i++) {
        CHECK(open_log(flushed[i], ERR_DAMAGED, &report) == NULL);
        CHECK(strstr(report.reason, "The view is missing or older") != NULL);
        CHECK(strcmp(report.file, path) == 0);
    }
    log = open_log(last, OK, &report);
    CHECK(log_close(log, true) == OK);
}

/* A bit is changed in each sector in turn: verify says so, and a reader gets what was written or
 * learns that it is damaged, or reads on where only the index was hit. */
static void damage_in_a_cleaned_file_is_found(void)
{
    char path[200];
    struct stat status;
    struct log *log = half_dead_log(400);
    uint64_t last = log_last(log);
    start_cleaner(log);
    wait_for_cleanings(log, 1);
    wait_until_idle(log);
    CHECK(log_close(log, true) == OK);
    CHECK(find_cleaned(path, 0) && stat(path, &status) == 0);
    unsigned damaged_reads = 0;
    for (off_t at = 0; at < status.st_size; at += at < 2048 ? 37 : 4096 + 37) {
        struct log_report report;
        uint8_t was;
        int fd = open(path, O_RDWR);
        CHECK(pread(fd, &was, 1, at) == 1);
        uint8_t changed = was ^ 0x10;
        CHECK(pwrite(fd, &changed, 1, at) == 1);
        CHECK(log_scan(dir, NULL, NULL, &report) == ERR_DAMAGED);
        CHECK(strcmp(report.file, path) == 0);
        struct log *opened = NULL;
        const struct log_options options = {
            .dir = dir, .segment_bytes = 256 * 1024, .flushed = last, .tail_bytes = 1024};
        enum err err = log_open(&options, &opened, &report);
        CHECK(err == OK || err == ERR_DAMAGED);
        if (err == OK) {
            err = read_kept_from(opened, (struct log_place){0, LOG_INDEX_END}, 100);
            CHECK(err == OK || err == ERR_DAMAGED);
            CHECK(log_close(opened, true) == OK);
        }
        damaged_reads += err == ERR_DAMAGED;
        CHECK(pwrite(fd, &was, 1, at) == 1);
        close(fd);
    }
    CHECK(damaged_reads > 5);
    CHECK(truncate(path, status.st_size - 512) == 0);
    struct log_report report;
    CHECK(log_scan(dir, NULL, NULL, &report) == ERR_DAMAGED || report.indexes_missing == 1);
}

/* The index is whole, but a frame that it leads to is not what was written. */
static void damage_in_what_is_cleaned_is_not_cleaned_away(void)
{
    char path[200];
    struct log_report report;
    struct log *log = half_dead_log(400);
    uint64_t last = log_last(log);
    CHECK(log_close(log, true) == OK);
    snprintf(path, sizeof(path), "%s/%020d.log", dir, 2);
    change(path, 100000, "damage", 6);
    log = open_at(last);
    start_cleaner(log);
    thread_pause_ms(300);
    CHECK(log_close(log, true) == OK);
    CHECK(access(path, F_OK) == 0 && log_scan(dir, NULL, NULL, &report) == ERR_DAMAGED);
}

/* A frame behind it was durable when it was made: one that is not there now is no torn end. */
static void a_first_frame_behind_a_cleaned_file_cannot_be_torn(void)
{
    char path[200];
    struct log_report report;
    fresh_dir();
    fresh_trims();
    atomic_store(&trims[SHORT], UINT64_MAX);
    atomic_store(&trims[KEPT], UINT64_MAX);
    struct log *log = open_at(0);
    uint64_t sealed = 0;
    while (figures_of(log).segments < 4 || sealed == 0) {
        append_many(log, 1);
        snprintf(path, sizeof(path), "%s/%020d.log", dir, 2);
        int fd = open(path, O_RDONLY);
        uint8_t first = 0;
        bool used = fd >= 0 && pread(fd, &first, 1, 0) == 1 && first == 'H';
        close(fd);
        sealed = used ? log_last(log) - 1 : 0;
        if (used) {
            break;
        }
    }
    log_set_flushed(log, sealed);
    start_cleaner(log);
    wait_for_cleanings(log, 1);
    CHECK(log_close(log, false) == OK);
    log = open_at(sealed);
    CHECK(log_last(log) == sealed + 1);
    CHECK(log_close(log, false) == OK);
    change(path, 100, "damage", 6);
    CHECK(open_log(sealed, ERR_DAMAGED, &report) == NULL);
    CHECK(log_scan(dir, NULL, NULL, &report) == ERR_DAMAGED);
}

/* Whole and synced, then its name, then durably so, and only then what it replaces goes. */
static void old_files_go_when_the_new_one_is_durable(void)
{
    struct log *log = half_dead_log(400);
    trace_begin(dir);
    start_cleaner(log);
    wait_for_cleanings(log, 1);
    wait_until_idle(log);
    trace_end();
    CHECK(log_close(log, true) == OK);
    size_t renamed = 0;
    while (renamed < trace.count && !(trace.events[renamed].kind == TRACE_RENAME &&
                                      strchr(trace.events[renamed].file, '-') != NULL)) {
        renamed++;
    }
    CHECK(renamed < trace.count);
    size_t written = renamed;
    while (written > 0 && !(trace.events[written - 1].kind == TRACE_WRITE &&
                            strcmp(trace.events[written - 1].file, "clean.tmp") == 0)) {
        written--;
    }
    CHECK(written > 0);
    CHECK(trace_find(written - 1, TRACE_SYNC, "clean.tmp") < renamed);
    size_t removed = trace_find(0, TRACE_REMOVE, "00000000000000000001.log");
    CHECK(removed < trace.count && removed > renamed);
    CHECK(trace_find(renamed, TRACE_DIRECTORY_SYNC, ".") < removed);
}

/* ---- while all of it is read ---- */

struct scrubbed {
    struct log *log;
    struct log_place newest; /* of the kept stream */
    bool disordered;
    unsigned told;
    char file[256];
    bool cleans; /* at the first bytes */
    bool mends;  /* and before that, what is damaged in the first segment */
    bool works;  /* at each piece: there is more to clean */
};

/* The first segment's file, as it was written. */
static void flip_in_the_first(void)
{
    char path[200];
    uint8_t byte;
    snprintf(path, sizeof(path), "%.150s/%020u.log", dir, 1u);
    int fd = open(path, O_RDWR);
    CHECK(pread(fd, &byte, 1, 5000) == 1);
    byte ^= 0x10;
    CHECK(pwrite(fd, &byte, 1, 5000) == 1);
    close(fd);
}

static enum err scrub_bytes(void *arg, uint64_t bytes)
{
    struct scrubbed *scrubbed = arg;
    (void)bytes;
    if (scrubbed->mends) {
        scrubbed->mends = false;
        flip_in_the_first();
    }
    if (scrubbed->cleans) {
        scrubbed->cleans = false;
        start_cleaner(scrubbed->log);
        wait_for_cleanings(scrubbed->log, 1);
        wait_until_idle(scrubbed->log);
    }
    if (scrubbed->works && log_last(scrubbed->log) < 6000) {
        append_many(scrubbed->log, 100);
        log_set_flushed(scrubbed->log, log_last(scrubbed->log));
        atomic_store(&trims[SHORT], log_last(scrubbed->log));
    }
    return OK;
}

static void scrub_damaged(void *arg, const struct log_report *report)
{
    struct scrubbed *scrubbed = arg;
    scrubbed->told++;
    snprintf(scrubbed->file, sizeof(scrubbed->file), "%.255s", report->file);
}

/* Every record of the kept stream, once and in order. */
static enum err scrub_record(void *arg, const struct log_record *record)
{
    struct scrubbed *scrubbed = arg;
    check_record(record);
    if (record->stream == KEPT) {
        struct log_place *newest = &scrubbed->newest;
        bool next = record->index == 0 ? record->commit == newest->commit + 10 && newest->index != 0
                                       : record->commit == newest->commit && newest->index == 0;
        scrubbed->disordered |= !next;
        *newest = (struct log_place){record->commit, record->index};
    }
    return OK;
}

static void scrub_all(struct scrubbed *scrubbed)
{
    const struct log_scrub_options options = {
        .read = scrub_bytes, .damaged = scrub_damaged, .fn = scrub_record, .arg = scrubbed};
    struct log_scrub *scrub = log_scrub_new(scrubbed->log, &options);
    scrubbed->newest = (struct log_place){0, 1};
    CHECK(log_scrub_run(scrub) == OK);
    CHECK(log_scrub_run(scrub) == OK);
    log_scrub_free(scrub);
}

static void cleaned_files_are_whole_to_who_reads_an_open_log(void)
{
    struct scrubbed scrubbed = {.log = half_dead_log(1500), .cleans = true};
    uint64_t last = log_last(scrubbed.log);
    scrub_all(&scrubbed); /* begins in a segment that is cleaned meanwhile */
    CHECK(scrubbed.told == 0 && !scrubbed.disordered && scrubbed.newest.commit == last / 10 * 10);
    scrub_all(&scrubbed);
    CHECK(scrubbed.told == 0 && !scrubbed.disordered && scrubbed.newest.commit == last / 10 * 10);
    scrubbed.works = true;
    scrub_all(&scrubbed); /* files go between the list and their opening */
    CHECK(scrubbed.told == 0 && !scrubbed.disordered);
    CHECK(scrubbed.newest.commit > 4000);
    CHECK(log_close(scrubbed.log, true) == OK);
}

/* Its file was another one when it was judged: that one is read, also where it stands for no more.
 */
static void what_was_cleaned_while_it_was_read_is_read_again(void)
{
    struct scrubbed scrubbed = {.log = half_dead_log(100), .mends = true, .cleans = true};
    flip_in_the_first();
    scrub_all(&scrubbed);
    CHECK(scrubbed.told == 0 && !scrubbed.disordered && scrubbed.newest.commit == 100);
    CHECK(log_close(scrubbed.log, true) == OK);
}

static void a_segment_that_was_read_in_part_is_read_from_its_cleaned_file(void)
{
    struct scrubbed scrubbed = {.log = half_dead_log(25), .newest = {0, 1}};
    const struct log_scrub_options options = {
        .read = scrub_bytes, .damaged = scrub_damaged, .fn = scrub_record, .arg = &scrubbed};
    struct log_scrub *scrub = log_scrub_new(scrubbed.log, &options);
    CHECK(log_scrub_run(scrub) == OK && scrubbed.newest.commit == 20);
    append_many(scrubbed.log, 375);
    log_set_flushed(scrubbed.log, log_last(scrubbed.log));
    atomic_store(&trims[SHORT], log_last(scrubbed.log));
    start_cleaner(scrubbed.log);
    wait_for_cleanings(scrubbed.log, 1);
    wait_until_idle(scrubbed.log);
    CHECK(log_scrub_run(scrub) == OK);
    CHECK(scrubbed.told == 0 && !scrubbed.disordered && scrubbed.newest.commit == 400);
    log_scrub_free(scrub);
    CHECK(log_close(scrubbed.log, true) == OK);
}

static void damage_in_a_cleaned_file_is_told_while_the_log_is_open(void)
{
    char path[200];
    struct stat status;
    struct scrubbed scrubbed = {.log = half_dead_log(400)};
    uint64_t last = log_last(scrubbed.log);
    start_cleaner(scrubbed.log);
    wait_for_cleanings(scrubbed.log, 1);
    wait_until_idle(scrubbed.log);
    CHECK(log_close(scrubbed.log, true) == OK);
    CHECK(find_cleaned(path, 0) && stat(path, &status) == 0);
    scrubbed.log = open_at(last);
    for (off_t at = 12; at < status.st_size; at += 4096 + 37) {
        uint8_t was;
        int fd = open(path, O_RDWR);
        CHECK(pread(fd, &was, 1, at) == 1);
        uint8_t changed = was ^ 0x10;
        CHECK(pwrite(fd, &changed, 1, at) == 1);
        scrubbed.told = 0;
        scrub_all(&scrubbed);
        CHECK(scrubbed.told >= 1 && strcmp(scrubbed.file, path) == 0);
        CHECK(pwrite(fd, &was, 1, at) == 1);
        close(fd);
    }
    CHECK(log_close(scrubbed.log, true) == OK);
}

int main(void)
{
    RUN(old_files_go_when_the_new_one_is_durable);
    RUN(half_dead_neighbours_become_one_file);
    RUN(what_is_alive_is_not_written_again);
    RUN(a_segment_without_anything_alive_shrinks_to_nothing);
    RUN(cleaned_files_are_cleaned_and_merged_again);
    RUN(readers_do_not_notice);
    RUN(a_reader_whose_file_was_cleaned_looks_again);
    RUN(a_segment_that_is_being_removed_is_not_cleaned);
    RUN(leftovers_of_a_kill_are_removed);
    RUN(a_hole_behind_or_before_a_cleaned_file_is_damage);
    RUN(a_view_older_than_a_cleaned_file_is_damage);
    RUN(damage_in_a_cleaned_file_is_found);
    RUN(damage_in_what_is_cleaned_is_not_cleaned_away);
    RUN(a_first_frame_behind_a_cleaned_file_cannot_be_torn);
    RUN(cleaned_files_are_whole_to_who_reads_an_open_log);
    RUN(what_was_cleaned_while_it_was_read_is_read_again);
    RUN(a_segment_that_was_read_in_part_is_read_from_its_cleaned_file);
    RUN(damage_in_a_cleaned_file_is_told_while_the_log_is_open);
    remove_dir();
    return CHECK_RESULT();
}
