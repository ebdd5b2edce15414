/* sys/thread: what a thread asks of the scheduler. */
#include "sys/thread.h"

#include "check.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* sched_getattr(2), which libc has not. */
struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns, deadline_ns, period_ns;
};

static struct attributes ask(void)
{
    struct attributes attributes = {0};
    CHECK(syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0) == 0);
    return attributes;
}

static struct attributes before, after;

static void wish(void *arg)
{
    (void)arg;
    CHECK(setpriority(PRIO_PROCESS, 0, 3) == 0);
    before = ask();
    thread_run_soon();
    after = ask();
}

/* Linux before 6.12 tells of no slice. */
static void a_thread_that_runs_soon_has_short_slices_and_all_else_as_before(void)
{
    struct thread thread;
    thread_start(&thread, ROLE_WORKER, "soon", wish, NULL);
    thread_join(&thread);
    CHECK(after.policy == before.policy && after.flags == before.flags);
    CHECK(after.nice == 3 && before.nice == 3);
    CHECK(before.runtime_ns == 0 || (after.runtime_ns == 100000 && before.runtime_ns > 100000));
    CHECK(ask().runtime_ns == before.runtime_ns); /* of that thread alone */
}

int main(void)
{
    RUN(a_thread_that_runs_soon_has_short_slices_and_all_else_as_before);
    return CHECK_RESULT();
}
