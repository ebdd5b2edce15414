/* sys/process: a wait for a signal ends with one of those waited for, or when its time is over,
 * and not because somebody stopped, continued or watched the process. */
#include "sys/process.h"

#include "check.h"
#include "sys/clock.h"
#include "sys/thread.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void a_process_stopped_and_continued_still_waits(void)
{
    pid_t child = fork();
    if (child == 0) {
        process_block_signals();
        _exit(process_wait_signal(-1));
    }
    CHECK(child > 0);
    if (child <= 0) {
        return; /* -1 would be a signal to everybody */
    }
    int status = 0;
    for (int i = 0; i < 5; i++) {
        thread_pause_ms(20);
        CHECK(kill(child, SIGSTOP) == 0);
        bool stopped = waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status);
        CHECK(stopped);
        if (!stopped) {
            return; /* it has ended: its number may be another's */
        }
        CHECK(kill(child, SIGCONT) == 0);
    }
    thread_pause_ms(20);
    CHECK(kill(child, SIGTERM) == 0);
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == SIGTERM);
}

static void a_wait_ends_when_its_time_is_over(void)
{
    process_block_signals();
    uint64_t begun = clock_mono_ns();
    CHECK(process_wait_signal(30) == 0);
    CHECK(clock_mono_ns() - begun >= 30000000u);
}

static void a_raised_signal_ends_a_wait(void)
{
    process_block_signals();
    process_raise_signal(SIGINT);
    CHECK(process_wait_signal(10000) == SIGINT);
}

int main(void)
{
    RUN(a_process_stopped_and_continued_still_waits);
    RUN(a_wait_ends_when_its_time_is_over);
    RUN(a_raised_signal_ends_a_wait);
    return CHECK_RESULT();
}
