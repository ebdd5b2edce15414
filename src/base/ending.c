/* The last line of a process that cannot go on. */
#include "base/ending.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define AGAIN "then start again: what was acknowledged is there."

/* The first row that fits gives the step. words: as a library says it; else the cause is looked for
 * as the system says it, which RocksDB repeats. A row without either fits every reason. */
static const struct step {
    enum exit_status status;
    int cause;
    const char *words;
    const char *text;
    bool names_data; /* the data directory follows */
} steps[] = {
    {EXIT_FAILED, ENOMEM, NULL,
     "Give the process more memory, or --memory-bytes to keep to, " AGAIN, false},
    {EXIT_FAILED, 0, "bad_alloc",
     "Give the process more memory, or --memory-bytes to keep to, " AGAIN, false},
    {EXIT_FAILED, EAGAIN, NULL, "Raise its limits of tasks (ulimit -u, cgroup pids.max), " AGAIN,
     false},
    {EXIT_FAILED, EADDRNOTAVAIL, NULL, "Choose an address of this machine with --listen.", false},
    {EXIT_FAILED, EACCES, NULL,
     "Give the user that it runs as the right to it, or choose another with --listen.", false},
    {EXIT_FAILED, EMFILE, NULL, "Raise its limit of open files (ulimit -n), " AGAIN, false},
    {EXIT_FAILED, 0, NULL, "Mend what it names, " AGAIN, false},
    {EXIT_USAGE, 0, NULL, "Mend what it names; headwater serve --help tells of the options.",
     false},
    {EXIT_DAMAGED, 0, "a version of Headwater", "Nothing was changed in", true},
    {EXIT_DAMAGED, 0, "estore ", /* the reason says of what */
     "What else is damaged is told by headwater log verify --data", true},
    {EXIT_DAMAGED, 0, NULL,
     "A copy of the data directory from before mends it; what else is damaged is told by headwater "
     "log verify --data",
     true},
    {EXIT_DISK, 0, "are kept free", "Make room, or make these smaller.", false},
    {EXIT_DISK, ENOSPC, NULL, "Make room on that volume (df), " AGAIN, false},
    {EXIT_DISK, EDQUOT, NULL, "Raise the user's quota or make room, " AGAIN, false},
    {EXIT_DISK, EROFS, NULL,
     "Find out why that volume is read-only (dmesg) and make it writable, " AGAIN, false},
    {EXIT_DISK, EACCES, NULL, "Give the user that it runs as the right to it, " AGAIN, false},
    {EXIT_DISK, EPERM, NULL, "Give the user that it runs as the right to it, " AGAIN, false},
    {EXIT_DISK, ENFILE, NULL, "Raise the system's limit of open files (fs.file-max), " AGAIN,
     false},
    {EXIT_DISK, EMFILE, NULL, "Raise its limit of open files (ulimit -n), " AGAIN, false},
    {EXIT_DISK, ENOTDIR, NULL, "Name a directory with --data, or move the file aside.", false},
    {EXIT_DISK, 0, NULL, "Look at the disk (dmesg, smartctl), " AGAIN, false},
    {EXIT_IN_USE, EADDRINUSE, NULL,
     "Stop the program that listens there, or choose another port with --listen.", false},
    {EXIT_IN_USE, 0, NULL, "Stop that process first, or name another directory with --data.",
     false},
};

static const char *place = "./data";

void ending_place(const char *data)
{
    place = data;
}

static bool fits(const struct step *step, enum exit_status status, const char *reason)
{
    const char *words = step->cause != 0 ? strerrordesc_np(step->cause) : step->words;
    return step->status == status && (words == NULL || strstr(reason, words) != NULL);
}

void ending_tell(enum exit_status status, const char *what, const char *reason)
{
    const struct step *step = steps;
    const struct step *last = steps + sizeof(steps) / sizeof(steps[0]) - 1;
    size_t len = strlen(reason);
    while (step < last && !fits(step, status, reason)) {
        step++;
    }
    fprintf(stderr, "headwater: %s: %s%s %s%s%s\n", what, reason,
            len > 0 && reason[len - 1] == '.' ? "" : ".", step->text, step->names_data ? " " : "",
            step->names_data ? place : "");
}
