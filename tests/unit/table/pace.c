/* table: a flush and a compaction pause between small pieces while the view keeps up, and only
 * then. */
#include "bare.h"
#include "table/view_write.h"
#include "world.h"

#include <sys/syscall.h>
#include <time.h>

static _Atomic unsigned pauses;
static _Atomic uint64_t paused_ns;
static _Atomic uint64_t longest_ns;

/* In place of libc's: counted. */
int nanosleep(const struct timespec *wanted, struct timespec *left)
{
    uint64_t ns = (uint64_t)wanted->tv_sec * 1000000000 + (uint64_t)wanted->tv_nsec;
    longest_ns = ns > longest_ns ? ns : longest_ns;
    atomic_fetch_add(&pauses, 1);
    atomic_fetch_add(&paused_ns, (uint64_t)wanted->tv_sec * 1000000000 + (uint64_t)wanted->tv_nsec);
    return (int)syscall(SYS_nanosleep, wanted, left);
}

static _Atomic int calm_after = -1; /* so many more writes of a piece */

/* In place of libc's. */
ssize_t write(int fd, const void *data, size_t len)
{
    if (len >= 100000 && atomic_load(&calm_after) >= 0 && atomic_fetch_sub(&calm_after, 1) == 0) {
        view_write_set_calm(true);
    }
    return syscall(SYS_write, fd, data, len);
}

static unsigned flush_pauses(struct view *view, uint64_t round, bool calm)
{
    write_values(view, round);
    view_write_set_calm(calm);
    atomic_store(&pauses, 0);
    atomic_store(&paused_ns, 0);
    CHECK(view_flush(view) == OK);
    return atomic_load(&pauses);
}

/* 2 MB in pieces of 128 KiB, at 100 MB/s. */
static void a_calm_flush_pauses_between_its_pieces(void)
{
    struct view *view = open_view(0);
    unsigned calm = flush_pauses(view, 1, true);
    uint64_t calm_ns = atomic_load(&paused_ns);
    CHECK(calm >= 12 && calm <= 20);
    CHECK(calm_ns >= 15000000 && calm_ns <= 22000000);
    CHECK(flush_pauses(view, 2, false) == 0);
    CHECK(flush_pauses(view, 3, true) >= 12);
    close_view(view);
}

/* Four sorted runs are merged into one. */
static void a_calm_compaction_does_too(void)
{
    struct view *view = open_view(0);
    for (uint64_t round = 1; round <= 3; round++) {
        CHECK(flush_pauses(view, round, false) == 0);
    }
    CHECK(flush_pauses(view, 4, true) >= 12);
    for (unsigned i = 0; i < 1000 && atomic_load(&pauses) < 30; i++) {
        usleep(10000); /* not counted */
    }
    CHECK(atomic_load(&pauses) >= 30);
    close_view(view);
}

static void a_hurry_is_not_waited_for_once_it_is_over(void)
{
    struct view *view = open_view(0);
    atomic_store(&longest_ns, 0);
    atomic_store(&calm_after, 10);
    unsigned found = flush_pauses(view, 1, false);
    CHECK(atomic_load(&calm_after) == -1 && found >= 2 && found <= 8);
    CHECK(atomic_load(&longest_ns) < 4000000);
    close_view(view);
}

static void a_store_is_calm_until_it_closes(void)
{
    struct world world;
    struct seat seat;
    world_init(&world);
    world.options.memtable_bytes = 64u << 20;
    world_open(&world);
    seat_init(&seat, world.store);
    usleep(200000); /* the keeper looks each 50 ms */
    write_values(world.store->view, 1);
    atomic_store(&pauses, 0);
    CHECK(view_flush(world.store->view) == OK);
    CHECK(atomic_load(&pauses) >= 12);
    write_values(world.store->view, 2);
    seat_fini(&seat);
    atomic_store(&pauses, 0);
    world_close(&world);
    CHECK(atomic_load(&pauses) == 0);
    world_remove(&world);
}

int main(void)
{
    RUN(a_calm_flush_pauses_between_its_pieces);
    RUN(a_calm_compaction_does_too);
    RUN(a_hurry_is_not_waited_for_once_it_is_over);
    RUN(a_store_is_calm_until_it_closes);
    return CHECK_RESULT();
}
