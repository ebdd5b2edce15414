/* log: what reading a stream from segments takes of the heap. */
#include "log/log_priv.h"
#include "sys/thread.h"
#include "world.h"

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

/* ---- the log ---- */

/* Commits of one record each, a frame for each, in sealed segments and one that is not. */
static void make_log(void)
{
    struct log_report report;
    fresh_dir();
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

int main(void)
{
    RUN(a_record_that_is_read_takes_nothing_of_the_heap);
    remove_dir();
    return CHECK_RESULT();
}
