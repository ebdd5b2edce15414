/* A library to be preloaded under a process: each of its syncs takes longer.
 *
 *   HWSLOW_US=N   microseconds that fsync and fdatasync wait before they begin */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static struct timespec added;

__attribute__((constructor)) static void begin(void)
{
    const char *text = getenv("HWSLOW_US");
    char *end = NULL;
    long us = text == NULL ? 0 : strtol(text, &end, 10);
    if (us <= 0 || us > 10000000 || *end != '\0') {
        fprintf(stderr, "hwslow: HWSLOW_US is a number of microseconds\n");
        _exit(127);
    }
    added = (struct timespec){us / 1000000, us % 1000000 * 1000};
}

static void wait_first(void)
{
    struct timespec left = added;
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

EXPORT int fsync(int fd)
{
    wait_first();
    return (int)syscall(SYS_fsync, fd);
}

EXPORT int fdatasync(int fd)
{
    wait_first();
    return (int)syscall(SYS_fdatasync, fd);
}
