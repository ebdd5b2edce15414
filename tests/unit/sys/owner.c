/* base/owner: what one thread uses is no other's until it is left, and a use beside it ends a
 * debug build. */
#include "base/owner.h"

#include "check.h"
#include "sys/mailbox.h"
#include "sys/thread.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef HW_TEST_HOOKS
#define DEBUG_BUILD true
#else
#define DEBUG_BUILD false
#endif

struct attempt {
    struct owner *owner;
    bool claimed;
};

static void claim(void *arg)
{
    struct attempt *attempt = arg;
    attempt->claimed = owner_claim(attempt->owner);
}

static bool claimed_by_another(struct owner *owner)
{
    struct thread thread;
    struct attempt attempt = {.owner = owner};
    thread_start(&thread, ROLE_WORKER, "another", claim, &attempt);
    thread_join(&thread);
    return attempt.claimed;
}

static void the_first_to_use_it_has_it_until_it_leaves(void)
{
    struct owner owner = {0};
    CHECK(owner_claim(&owner));
    CHECK(owner_claim(&owner));
    CHECK(!claimed_by_another(&owner));
    owner_leave(&owner);
    CHECK(claimed_by_another(&owner));
    CHECK(!owner_claim(&owner));
}

static void ignore(void *arg)
{
    (void)arg;
}

static void take(void *mailbox)
{
    (void)mailbox_take(mailbox);
}

/* In a child: its words are not this test's. */
static void take_as_two(void)
{
    struct mailbox mailbox;
    struct thread thread;
    mailbox_init(&mailbox, ignore, NULL);
    (void)mailbox_take(&mailbox);
    thread_start(&thread, ROLE_WORKER, "another", take, &mailbox);
    thread_join(&thread);
}

static void a_debug_build_ends_when_two_threads_take_from_a_mailbox(void)
{
    pid_t child = fork();
    if (child == 0) {
        close(STDERR_FILENO);
        take_as_two();
        _exit(0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    if (DEBUG_BUILD) {
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    } else {
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

int main(void)
{
    RUN(the_first_to_use_it_has_it_until_it_leaves);
    RUN(a_debug_build_ends_when_two_threads_take_from_a_mailbox);
    return CHECK_RESULT();
}
