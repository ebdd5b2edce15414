/* log: the segment ahead is made with pauses between its pieces, unless somebody waits for it. */
#include "log/log_priv.h"
#include "world.h"

#include <sys/syscall.h>
#include <time.h>

#define SEGMENT (2u << 20) /* eight pieces */
#define NEARLY 60000u      /* bytes a record */

static _Atomic unsigned pauses;
static struct log *_Atomic held; /* a pause lasts until somebody waits for a segment of it */

/* In place of libc's: counted. */
int nanosleep(const struct timespec *wanted, struct timespec *left)
{
    struct log *log = atomic_load(&held);
    atomic_fetch_add(&pauses, 1);
    for (unsigned i = 0; log != NULL && i < 10000 && !atomic_load(&log->awaited); i++) {
        usleep(1000); /* not counted */
    }
    return (int)syscall(SYS_nanosleep, wanted, left);
}

static struct log *open_large(void)
{
    struct log *log = NULL;
    struct log_report report;
    const struct log_options options = {
        .dir = dir, .segment_bytes = SEGMENT, .tail_bytes = 64 * 1024};
    CHECK(log_open(&options, &log, &report) == OK);
    return log;
}

static void wait_until_ready(struct log *log)
{
    struct log_figures figures = {0};
    for (unsigned i = 0; i < 10000 && figures.segments_ready == 0; i++) {
        usleep(1000);
        log_figures(log, &figures);
    }
    CHECK(figures.segments_ready == 1);
}

/* A frame of which one goes into a segment: ten commits of one to three records. */
static void append_most_of_a_segment(struct log *log)
{
    append(log, 10, NEARLY);
}

static void it_is_made_with_pauses(void)
{
    fresh_dir();
    atomic_store(&pauses, 0);
    struct log *log = open_large();
    wait_until_ready(log);
    CHECK(atomic_load(&pauses) == SEGMENT / (256 << 10) - 1);
    CHECK(log_close(log, true) == OK);
}

static void who_waits_for_it_ends_them(void)
{
    fresh_dir();
    struct log *log = open_large();
    wait_until_ready(log);
    append_most_of_a_segment(log);
    wait_until_ready(log);
    atomic_store(&pauses, 0);
    atomic_store(&held, log);
    append_most_of_a_segment(log); /* takes the one that is ready */
    for (unsigned i = 0; i < 10000 && atomic_load(&pauses) == 0; i++) {
        usleep(1000);
    }
    append_most_of_a_segment(log);    /* waits for the next */
    CHECK(atomic_load(&pauses) <= 2); /* the second one is of the segment after */
    atomic_store(&held, NULL);
    CHECK(log_close(log, true) == OK);
    struct log_report report;
    log = open_log(0, OK, &report);
    CHECK(replay(log, 0) == 30);
    CHECK(log_close(log, true) == OK);
}

int main(void)
{
    RUN(it_is_made_with_pauses);
    RUN(who_waits_for_it_ends_them);
    remove_dir();
    return CHECK_RESULT();
}
