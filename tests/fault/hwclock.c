/* A library to be preloaded under a process: its wall clock is what a file says, while the
 * monotonic clock and the kernel's own stay as they are.
 *
 *   HWCLOCK=FILE   16 bytes that a test changes at will, mapped: i64 shift_ns, added to the real
 *                  wall clock; i64 frozen_ns, which is the time instead, unless it is 0
 *
 * What waits until a time of the wall clock waits as long as that clock has still to go, as it
 * would if the kernel's had been set. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define SECOND 1000000000

struct setting {
    _Atomic int64_t shift_ns;
    _Atomic int64_t frozen_ns;
};

static struct setting none;
static struct setting *setting = &none;

_Noreturn static void refuse(const char *what)
{
    fprintf(stderr, "hwclock: %s\n", what);
    _exit(127);
}

__attribute__((constructor)) static void begin(void)
{
    const char *file = getenv("HWCLOCK");
    int fd = file == NULL ? -1 : open(file, O_RDWR | O_CLOEXEC);
    void *map = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*setting), PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
        refuse("HWCLOCK is a file of 16 bytes");
    }
    close(fd);
    setting = map;
}

static int real_time(clockid_t clock, struct timespec *out)
{
    return (int)syscall(SYS_clock_gettime, clock, out);
}

/* Rounds down, so that nanoseconds are never negative. */
static struct timespec time_of(int64_t ns)
{
    int64_t part = ns % SECOND;
    part = part < 0 ? part + SECOND : part;
    return (struct timespec){.tv_sec = (ns - part) / SECOND, .tv_nsec = part};
}

static int64_t ns_of(const struct timespec *time)
{
    return (int64_t)time->tv_sec * SECOND + time->tv_nsec;
}

static int64_t shift(const struct timespec *real)
{
    int64_t frozen = atomic_load(&setting->frozen_ns);
    return frozen != 0 ? frozen - ns_of(real) : atomic_load(&setting->shift_ns);
}

EXPORT int clock_gettime(clockid_t clock, struct timespec *out)
{
    int result = real_time(clock, out);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        *out = time_of(ns_of(out) + shift(out));
    }
    return result;
}

EXPORT int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    int result = clock_gettime(CLOCK_REALTIME, &now);
    *out = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return result;
}

EXPORT time_t time(time_t *out)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL) {
        *out = now.tv_sec;
    }
    return now.tv_sec;
}

EXPORT int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex,
                                  const struct timespec *restrict until)
{
    struct timespec now;
    int (*wait)(pthread_cond_t *, pthread_mutex_t *, clockid_t, const struct timespec *) = NULL;
    *(void **)&wait = dlsym(RTLD_NEXT, "pthread_cond_clockwait");
    (void)real_time(CLOCK_REALTIME, &now);
    struct timespec real = time_of(ns_of(until) - shift(&now));
    return wait(cond, mutex, CLOCK_REALTIME, &real);
}
