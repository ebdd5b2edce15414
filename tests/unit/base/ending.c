/* base: the last line names what failed, why, and a step that fits the cause. */
#include "base/ending.h"

#include "check.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What ending_tell says, without its newline. */
static const char *told(enum exit_status status, const char *what, const char *reason)
{
    static char text[1024];
    int ends[2];
    int before = dup(STDERR_FILENO);
    CHECK(pipe(ends) == 0 && dup2(ends[1], STDERR_FILENO) == STDERR_FILENO);
    ending_tell(status, what, reason);
    CHECK(dup2(before, STDERR_FILENO) == STDERR_FILENO);
    close(before);
    close(ends[1]);
    ssize_t len = read(ends[0], text, sizeof(text) - 1);
    close(ends[0]);
    CHECK(len > 0 && text[len - 1] == '\n');
    text[len < 1 ? 0 : len - 1] = 0;
    return text;
}

static void the_step_follows_from_the_cause(void)
{
    static const struct {
        enum exit_status status;
        const char *reason;
        const char *step;
    } cases[] = {
        {EXIT_FAILED, "Cannot allocate memory", "Give the process more memory"},
        {EXIT_FAILED, "std::bad_alloc", "Give the process more memory"},
        {EXIT_FAILED, "Resource temporarily unavailable", "Raise its limits of tasks"},
        {EXIT_FAILED, "Cannot assign requested address", "Choose an address of this machine"},
        {EXIT_FAILED, "anything else", "start again"},
        {EXIT_DISK, "pwrite of /d/x at offset 5: No space left on device", "Make room"},
        {EXIT_DISK, "open of /d/x: Permission denied", "Give the user"},
        {EXIT_DISK, "open of /d/x: Read-only file system", "read-only (dmesg)"},
        {EXIT_DISK, "open of /d/x: Too many open files", "(ulimit -n)"},
        {EXIT_DISK, "open of /d/x: Too many open files in system", "fs.file-max"},
        {EXIT_DISK, "fdatasync of /d/x: Input/output error", "Look at the disk"},
        {EXIT_IN_USE, "Address already in use", "choose another port with --listen"},
        {EXIT_IN_USE, "process 7", "name another directory with --data"},
        {EXIT_DAMAGED, "other bytes", "A copy of the data directory from before mends it"},
        {EXIT_DAMAGED, "other bytes", "log verify --data /the/data"},
        {EXIT_DAMAGED, "Cut. Restore the file from a copy.", "What else is damaged is told by"},
    };
    ending_place("/the/data");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *text = told(cases[i].status, "it", cases[i].reason);
        const char *step = strstr(text, cases[i].step);
        CHECK(strncmp(text, "headwater: it: ", 15) == 0);
        CHECK(strstr(text, cases[i].reason) == text + 15);
        CHECK(step != NULL && step > text + 15 + strlen(cases[i].reason));
    }
}

static void a_sentence_gets_no_second_full_stop(void)
{
    CHECK(strncmp(told(EXIT_DISK, "it", "Broke."), "headwater: it: Broke. Look", 26) == 0);
    CHECK(strncmp(told(EXIT_DISK, "it", "broke"), "headwater: it: broke. Look", 26) == 0);
}

int main(void)
{
    RUN(the_step_follows_from_the_cause);
    RUN(a_sentence_gets_no_second_full_stop);
    return CHECK_RESULT();
}
