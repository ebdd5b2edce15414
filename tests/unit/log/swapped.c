/* log: a frame that stands in the place of another of its file is whole by its checksums, and not
 * what an index leads to, what an index may be made of, or what may be cleaned away. */
#include "log/log_priv.h"
#include "sys/thread.h"
#include "world.h"

#define KEPT 7u /* stream of every fourth commit */
#define SHORT 8u
#define COMMITS 480u
#define BODY 2000u
#define FRAME (5u * SECTOR)

static _Atomic uint64_t short_trim;

static uint64_t trim_of(void *arg, uint64_t stream)
{
    (void)arg;
    return stream == SHORT ? atomic_load(&short_trim) : 0;
}

static int body_of(char body[BODY], uint64_t commit)
{
    memset(body, 'b', BODY);
    return snprintf(body, BODY, "commit %06llu", (unsigned long long)commit);
}

/* Commits of one record each, all of a length: frames of a size. */
static void make_log(void)
{
    char body[BODY];
    struct log_report report;
    remove_dir();
    snprintf(dir, sizeof(dir), "/dev/shm/hwlogXXXXXX"); /* nothing here needs a disk */
    CHECK(mkdtemp(dir) != NULL);
    atomic_store(&short_trim, 0);
    struct log *log = open_log(0, OK, &report);
    for (unsigned i = 1; i <= COMMITS; i++) {
        log_group_begin(log, i);
        uint64_t commit = log_commit_begin(log);
        body_of(body, commit);
        log_record_add(log, 1, commit % 4 == 0 ? KEPT : SHORT, commit, bytes_of(body, BODY));
        CHECK(log_append(log) == OK);
        log_publish(log, commit);
    }
    CHECK(log_close(log, true) == OK);
}

static void name_of(unsigned number, char path[200])
{
    snprintf(path, 200, "%s/%020u.log", dir, number);
}

/* The file that stands for the first four segments. */
static bool find_cleaned(char path[200])
{
    DIR *open = opendir(dir);
    struct dirent *entry;
    bool found = false;
    char start[64];
    snprintf(start, sizeof(start), "%020d-%020d.", 1, 4);
    while ((entry = readdir(open)) != NULL) {
        if (strncmp(entry->d_name, start, strlen(start)) == 0) {
            snprintf(path, 200, "%.60s/%.63s", dir, entry->d_name);
            found = true;
        }
    }
    closedir(open);
    return found;
}

static void swap(const char *path, off_t one, off_t other, size_t len)
{
    static uint8_t at_one[1 << 17];
    static uint8_t at_other[1 << 17];
    int fd = open(path, O_RDWR);
    CHECK(pread(fd, at_one, len, one) == (ssize_t)len);
    CHECK(pread(fd, at_other, len, other) == (ssize_t)len);
    CHECK(memcmp(at_one, at_other, len) != 0);
    CHECK(pwrite(fd, at_one, len, other) == (ssize_t)len);
    CHECK(pwrite(fd, at_other, len, one) == (ssize_t)len);
    close(fd);
}

/* Frames of the long stream, in the second segment. */
static void swap_two(char path[200])
{
    uint8_t header[HEADER];
    name_of(2, path);
    int fd = open(path, O_RDONLY);
    CHECK(pread(fd, header, HEADER, 0) == HEADER);
    close(fd);
    uint64_t first;
    memcpy(&first, header + 24, 8);
    off_t at = (off_t)(32 + (4 - first % 4) % 4) * (off_t)FRAME;
    swap(path, at, at + (off_t)4 * FRAME, FRAME);
}

/* What is read of the stream is right as far as it goes. */
static enum err read_kept(struct log *log)
{
    char body[BODY];
    struct arena arena;
    uint64_t next = 4;
    struct log_read read = {.stream = KEPT,
                            .after = {0, LOG_INDEX_END},
                            .until = UINT64_MAX,
                            .hash_high = UINT64_MAX,
                            .records_max = 50,
                            .bytes_max = 1 << 20,
                            .mode = LOG_READ_BLOCKING,
                            .arena = &arena};
    enum err err = OK;
    arena_init(&arena, 0);
    while (err == OK && !read.at_end) {
        err = log_read(log, &read);
        for (size_t i = 0; err == OK && i < read.count; i++, next += 4) {
            const struct log_record *record = &read.records[i];
            body_of(body, next);
            CHECK(record->commit == next && bytes_equal(record->body, bytes_of(body, BODY)));
        }
        read.after = read.reached;
    }
    CHECK(err != OK || next > COMMITS);
    arena_fini(&arena);
    return err;
}

static enum err open_and_read(void)
{
    struct log_report report;
    struct log *log = open_log(COMMITS, OK, &report);
    enum err err = read_kept(log);
    CHECK(log_close(log, true) == OK);
    return err;
}

static void a_frame_that_an_index_does_not_mean_is_damage(void)
{
    char path[200];
    struct log_report report;
    make_log();
    CHECK(open_and_read() == OK);
    swap_two(path);
    CHECK(log_scan(dir, NULL, NULL, &report) == ERR_DAMAGED);
    CHECK(open_and_read() == ERR_DAMAGED);
}

static void an_index_is_not_made_of_frames_out_of_their_places(void)
{
    char path[200];
    make_log();
    name_of(2, path);
    struct stat status;
    CHECK(stat(path, &status) == 0);
    change(path, status.st_size - SECTOR, "damage", 6); /* the index's end */
    CHECK(open_and_read() == OK);
    CHECK(stat(path, &status) == 0);
    change(path, status.st_size - SECTOR, "damage", 6);
    swap_two(path);
    CHECK(open_and_read() == ERR_DAMAGED);
}

/* The cleaner knows of each sealed segment what is in it, or that it is damaged. */
static bool is_learnt(struct log *log)
{
    bool learnt = true;
    pthread_mutex_lock(&log->mutex);
    for (const struct segment *segment = log->first; segment != NULL; segment = segment->next) {
        bool refused = segment->index_refused || segment->clean_refused;
        learnt &= segment->state != SEGMENT_SEALED || segment->live != NULL || refused;
    }
    pthread_mutex_unlock(&log->mutex);
    return learnt;
}

/* All that can be at once; whole: into one file of the first four segments. */
static void clean(bool whole)
{
    char path[200];
    struct log_report report;
    struct log *log = open_log(COMMITS, OK, &report);
    const struct log_cleaning cleaning = {
        .trims = {NULL, trim_of}, .bytes_per_second = 1000000000, .every_ms = 2};
    atomic_store(&short_trim, 0);
    log_clean(log, &cleaning);
    for (unsigned tries = 0; !is_learnt(log) && tries < 30000; tries++) {
        thread_pause_ms(1);
    }
    atomic_store(&short_trim, COMMITS);
    if (!whole) {
        thread_pause_ms(300);
    }
    for (unsigned tries = 0; whole && !find_cleaned(path) && tries < 30000; tries++) {
        thread_pause_ms(1);
    }
    CHECK(log_close(log, true) == OK);
}

static void frames_out_of_their_places_are_not_cleaned_away(void)
{
    char path[200];
    struct log_report report;
    make_log();
    swap_two(path);
    clean(false);
    CHECK(access(path, F_OK) == 0);
    CHECK(log_scan(dir, NULL, NULL, &report) == ERR_DAMAGED && strcmp(report.file, path) == 0);
}

/* Where the kept frames of a cleaned file are, the first two of a size. */
static size_t two_alike(const char *path, off_t places[2])
{
    uint8_t header[HEADER];
    int fd = open(path, O_RDONLY);
    off_t at = 0;
    off_t before = 0;
    size_t len = 0;
    size_t len_before = 0;
    while (pread(fd, header, HEADER, at) == HEADER && memcmp(header, "HWframe1", 8) == 0) {
        uint32_t payload;
        memcpy(&payload, header + 36, 4);
        len = (size_t)sectors_of(HEADER + (uint64_t)payload);
        if (header[52] == FRAME_KEPT && len == len_before) {
            places[0] = before;
            places[1] = at;
            break;
        }
        len_before = header[52] == FRAME_KEPT ? len : 0;
        before = at;
        at += (off_t)len;
    }
    close(fd);
    return places[1] == 0 ? 0 : len;
}

static void a_frame_of_a_cleaned_file_in_the_place_of_another_is_damage(void)
{
    char path[200];
    off_t places[2] = {0};
    struct stat status;
    make_log();
    clean(true);
    CHECK(open_and_read() == OK);
    CHECK(find_cleaned(path));
    size_t len = two_alike(path, places);
    CHECK(len > 0);
    swap(path, places[0], places[1], len);
    CHECK(open_and_read() == ERR_DAMAGED);
    CHECK(stat(path, &status) == 0);
    change(path, status.st_size - SECTOR, "damage", 6);
    CHECK(open_and_read() == ERR_DAMAGED);
}

static off_t size_of(const char *path)
{
    struct stat status;
    CHECK(stat(path, &status) == 0);
    return status.st_size;
}

/* Nothing before the log's first frame says which one it must be: what comes after it does. */
static void a_log_does_not_begin_with_a_later_frame(void)
{
    char path[200];
    uint8_t header[HEADER] = {0};
    struct log_report report;
    make_log();
    name_of(1, path);
    off_t size = size_of(path);
    off_t end = 0;
    int fd = open(path, O_RDONLY);
    while (pread(fd, header, HEADER, end) == HEADER && header[52] == FRAME_DATA) {
        end += FRAME;
    }
    close(fd);
    CHECK(header[52] == FRAME_END);
    swap(path, 0, end, SECTOR);
    CHECK(log_scan(dir, NULL, NULL, &report) == ERR_DAMAGED && strcmp(report.file, path) == 0);
    CHECK(open_and_read() == ERR_DAMAGED && size_of(path) == size);
    swap(path, 0, end, SECTOR);
    CHECK(open_and_read() == OK);
    swap(path, 0, (off_t)8 * FRAME, FRAME);
    CHECK(log_scan(dir, NULL, NULL, &report) == ERR_DAMAGED && strcmp(report.file, path) == 0);
    CHECK(open_and_read() == ERR_DAMAGED && size_of(path) == size);
}

int main(void)
{
    RUN(a_frame_that_an_index_does_not_mean_is_damage);
    RUN(an_index_is_not_made_of_frames_out_of_their_places);
    RUN(frames_out_of_their_places_are_not_cleaned_away);
    RUN(a_frame_of_a_cleaned_file_in_the_place_of_another_is_damage);
    RUN(a_log_does_not_begin_with_a_later_frame);
    remove_dir();
    return CHECK_RESULT();
}
