/* log: what reading a stream from segments takes of the heap, and that a read of the disk that
 * fails is told as what it is and tried again by the next request. */
#include "log/log_priv.h"
#include "sys/thread.h"
#include "world.h"

#include <errno.h>
#include <sys/syscall.h>

#define COMMITS 1700u /* four segments */
#define STREAM 7u

/* ---- in place of libc's ---- */

static _Thread_local size_t allocations; /* but malloc's, which base/mem.c stands before */

void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
    allocations++;
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size)
{
    allocations++;
    return __real_realloc(block, size);
}

static struct {
    char file[100]; /* reads of it that begin here, of at least so many bytes, fail */
    _Atomic off_t from;
    _Atomic off_t to;
    _Atomic size_t least;
    _Atomic unsigned failed;
} bad;

static bool is_bad(int fd, off_t at, size_t len)
{
    char link[64];
    char path[200] = {0};
    if (at < bad.from || at >= bad.to || len < bad.least) {
        return false;
    }
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    return readlink(link, path, sizeof(path) - 1) > 0 && strcmp(path, bad.file) == 0;
}

static void fail_reads(off_t from, off_t to, size_t least)
{
    bad.failed = 0;
    bad.from = from;
    bad.least = least;
    bad.to = to;
}

ssize_t pread(int fd, void *data, size_t len, off_t at)
{
    if (is_bad(fd, at, len)) {
        bad.failed++;
        errno = EIO;
        return -1;
    }
    return syscall(SYS_pread64, fd, data, len, at);
}

/* ---- the log ---- */

static void name_of(unsigned number, char path[100])
{
    snprintf(path, 100, "%s/%020u.log", dir, number);
}

/* Commits of one record each, a frame for each, in sealed segments and one that is not. */
static void make_log(void)
{
    struct log_report report;
    bad.to = 0;
    fresh_dir();
    name_of(1, bad.file);
    struct log *log = open_log(0, OK, &report);
    for (unsigned i = 1; i <= COMMITS; i++) {
        char body[40];
        log_group_begin(log, i);
        uint64_t commit = log_commit_begin(log);
        int len = snprintf(body, sizeof(body), "%llu", (unsigned long long)commit);
        log_record_add(log, 1, STREAM, commit, bytes_of(body, (size_t)len));
        CHECK(log_append(log) == OK);
        log_publish(log, commit);
    }
    CHECK(log_close(log, true) == OK);
}

/* So many records of the stream, all in the first segment. */
static enum err read_first(struct log *log, size_t records)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct log_read read = {.stream = STREAM,
                            .after = {0, LOG_INDEX_END},
                            .until = UINT64_MAX,
                            .hash_high = UINT64_MAX,
                            .records_max = records,
                            .bytes_max = 1 << 20,
                            .mode = LOG_READ_BLOCKING,
                            .arena = &arena};
    enum err err = log_read(log, &read);
    CHECK(err != OK || read.count == records);
    for (size_t i = 0; err == OK && i < read.count; i++) {
        char body[40];
        int len = snprintf(body, sizeof(body), "%zu", i + 1);
        CHECK_BYTES(read.records[i].body, bytes_of(body, (size_t)len));
    }
    arena_fini(&arena);
    return err;
}

static struct segment first_of(struct log *log)
{
    pthread_mutex_lock(&log->mutex);
    struct segment segment = *log->first;
    pthread_mutex_unlock(&log->mutex);
    return segment;
}

static bool worker_is_done(const struct segment *segment)
{
    return segment->index_refused || (!segment->unmeasured && segment->indexed);
}

static struct log *open_and_wait(void)
{
    struct log_report report;
    struct log *log = open_log(COMMITS, OK, &report);
    struct segment first = first_of(log);
    for (unsigned tries = 0; !worker_is_done(&first) && tries < 10000; tries++) {
        thread_pause_ms(1);
        first = first_of(log);
    }
    CHECK(worker_is_done(&first));
    return log;
}

/* Whose index is on the disk and known to be there. */
static struct log *open_indexed(void)
{
    struct log *log = open_and_wait();
    CHECK(first_of(log).indexed && first_of(log).index_at > 0);
    return log;
}

/* ---- the tests ---- */

static void a_record_that_is_read_takes_nothing_of_the_heap(void)
{
    make_log();
    struct log *log = open_indexed();
    CHECK(read_first(log, 20) == OK);
    allocations = 0;
    CHECK(read_first(log, 20) == OK);
    size_t few = allocations;
    allocations = 0;
    CHECK(read_first(log, 320) == OK);
    printf("allocations: %zu for 20 records, %zu for 320\n", few, allocations);
    CHECK(few > 0 && allocations < few + 30);
    CHECK(log_close(log, true) == OK);
}

static void an_index_that_cannot_be_read_is_not_taken_for_damaged(void)
{
    make_log();
    struct log *log = open_indexed();
    uint64_t at = first_of(log).index_at;
    fail_reads((off_t)at, (off_t)at + 1, 0);
    CHECK(read_first(log, 20) == ERR_IO && bad.failed > 0);
    CHECK(first_of(log).indexed && !first_of(log).index_refused);
    bad.to = 0;
    CHECK(read_first(log, 20) == OK);
    CHECK(first_of(log).indexed && first_of(log).index_at == at);
    CHECK(log_close(log, true) == OK);
}

static void take_index_away(void)
{
    static const char zeros[SECTOR];
    struct log *log = open_indexed();
    off_t at = (off_t)first_of(log).index_at;
    CHECK(log_close(log, true) == OK);
    change(bad.file, at, zeros, sizeof(zeros));
}

/* The worker cannot read headers, or frames: once somebody can, it makes the index after all. */
static void an_index_that_could_not_be_made_is_made_when_it_is_wanted(void)
{
    static const struct {
        off_t from, to;
        size_t least;
    } parts[] = {{SECTOR, INT64_MAX, 0}, {0, 1, HEADER + 1}};
    struct log_report report;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        make_log();
        take_index_away();
        fail_reads(parts[i].from, parts[i].to, parts[i].least);
        struct log *log = open_and_wait();
        CHECK(first_of(log).index_refused && bad.failed > 0);
        CHECK(read_first(log, 20) == ERR_IO);
        bad.to = 0;
        CHECK(read_first(log, 20) == OK);
        for (unsigned tries = 0; !first_of(log).indexed && tries < 10000; tries++) {
            thread_pause_ms(1);
        }
        CHECK(first_of(log).indexed && !first_of(log).index_refused);
        CHECK(read_first(log, 20) == OK);
        CHECK(log_close(log, true) == OK);
        CHECK(log_scan(dir, NULL, NULL, &report) == OK && report.indexes_missing == 0);
    }
}

static uint64_t never(void *arg, uint64_t stream)
{
    (void)arg;
    (void)stream;
    return 0;
}

/* The cleaner asks an index what is alive. One that could not be read is asked again. */
static void a_segment_that_could_not_be_read_is_weighed_later(void)
{
    const struct log_cleaning cleaning = {.trims = {NULL, never}, .every_ms = 1};
    make_log();
    struct log *log = open_indexed();
    uint64_t at = first_of(log).index_at;
    fail_reads((off_t)at, (off_t)at + 1, 0);
    log_clean(log, &cleaning);
    for (unsigned tries = 0; bad.failed < 2 && tries < 10000; tries++) {
        thread_pause_ms(1);
    }
    CHECK(bad.failed >= 2 && first_of(log).live == NULL);
    bad.to = 0;
    for (unsigned tries = 0; first_of(log).live == NULL && tries < 10000; tries++) {
        thread_pause_ms(1);
    }
    CHECK(first_of(log).live != NULL && first_of(log).indexed);
    CHECK(log_close(log, true) == OK);
}

int main(void)
{
    RUN(a_record_that_is_read_takes_nothing_of_the_heap);
    RUN(an_index_that_cannot_be_read_is_not_taken_for_damaged);
    RUN(an_index_that_could_not_be_made_is_made_when_it_is_wanted);
    RUN(a_segment_that_could_not_be_read_is_weighed_later);
    remove_dir();
    return CHECK_RESULT();
}
