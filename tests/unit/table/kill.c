/* table: kills at random moments under several writers, one data directory through all of them.
 * What was acknowledged is there, transactions are whole, and the table is what its stream says.
 * Small segments and memtables, so that kills fall into flushes and segment changes too.
 *
 * HW_TEST_KILLS: how many (10). HW_TEST_SEED: the moments. */
#include "pairs.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

static void kill_writers(struct world *world, struct shared *shared, int64_t from, unsigned us)
{
    int status = 0;
    atomic_store(&shared->started, false);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        write_until_killed(world, shared, from);
        _exit(1);
    }
    while (!atomic_load(&shared->started) && waitpid(child, &status, WNOHANG) == 0) {
        usleep(500);
    }
    usleep(us);
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static unsigned long variable(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);
    return text == NULL ? otherwise : strtoul(text, NULL, 10);
}

/* The parent opens the store in a child too: it stays a process of one thread, which may fork. */
static void nothing_acknowledged_is_lost(void)
{
    struct world world;
    unsigned long kills = variable("HW_TEST_KILLS", 10);
    unsigned seed = (unsigned)variable("HW_TEST_SEED", 1);
    struct shared *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    world_init(&world);
    world.options.segment_bytes = 256u << 10;
    world.options.memtable_bytes = 128u << 10;
    world.options.flush_bytes = 300u << 10;
    for (unsigned long i = 0; i < kills; i++) {
        int status = 0;
        kill_writers(&world, shared, newest_acked(shared) + 1, (unsigned)rand_r(&seed) % 150000);
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            check_failures = 0;
            check_pairs(&world, shared);
            fflush(stdout);
            _exit(CHECK_RESULT());
        }
        waitpid(child, &status, 0);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    CHECK(newest_acked(shared) > 0);
    world_remove(&world);
}

int main(void)
{
    RUN(nothing_acknowledged_is_lost);
    return CHECK_RESULT();
}
