/* Thin calls, so that the rest of the program needs no system header for them. */
#include "sys/process.h"

#include "sys/clock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static sigset_t waited_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    return set;
}

uint64_t process_raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 0;
    }
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (uint64_t)limit.rlim_cur : 0;
}

void process_block_signals(void)
{
    sigset_t set = waited_signals();
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    process_ignore_broken_pipe();
}

void process_ignore_broken_pipe(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
}

bool process_output_is_open(void)
{
    struct pollfd output = {.fd = STDOUT_FILENO};
    return poll(&output, 1, 0) <= 0 || (output.revents & (POLLERR | POLLHUP | POLLNVAL)) == 0;
}

size_t process_terminal_columns(void)
{
    struct winsize size = {0};
    if (!isatty(STDOUT_FILENO)) {
        return 0;
    }
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/* Being stopped and continued, or watched by a debugger, ends the system call without a signal: the
 * wait goes on for what is left of it. */
int process_wait_signal(int64_t timeout_ms)
{
    sigset_t set = waited_signals();
    uint64_t end_ns = clock_mono_ns() + (uint64_t)(timeout_ms < 0 ? 0 : timeout_ms) * 1000000u;
    for (;;) {
        uint64_t now_ns = clock_mono_ns();
        uint64_t left_ns = end_ns > now_ns ? end_ns - now_ns : 0;
        struct timespec timeout = {(time_t)(left_ns / 1000000000u), (long)(left_ns % 1000000000u)};
        int number = timeout_ms < 0 ? sigwaitinfo(&set, NULL) : sigtimedwait(&set, NULL, &timeout);
        if (number > 0) {
            return number;
        }
        if (errno != EINTR) {
            return 0;
        }
    }
}

void process_raise_signal(int number)
{
    kill(getpid(), number);
}

const char *process_variable(const char *name)
{
    return getenv(name); /* NOLINT(concurrency-mt-unsafe): read before threads start */
}

uint64_t process_resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    unsigned long long total = 0;
    unsigned long long resident = 0;
    if (file == NULL) {
        return 0;
    }
    /* NOLINTNEXTLINE(cert-err34-c): the kernel writes them, and they fit. */
    if (fscanf(file, "%llu %llu", &total, &resident) != 2) {
        resident = 0;
    }
    (void)fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* The first number of a file; 0: none. */
static uint64_t number_in(const char *path)
{
    FILE *file = fopen(path, "re");
    char line[64] = "";
    if (file != NULL) {
        (void)!fgets(line, sizeof(line), file);
        (void)fclose(file);
    }
    return line[0] >= '0' && line[0] <= '9' ? strtoull(line, NULL, 10) : 0;
}

/* The least of the group's own limit and those above it, which are in the directories above. */
static uint64_t least_limit(char *path, size_t room)
{
    uint64_t least = 0;
    for (size_t len = strlen(path); len >= strlen("/sys/fs/cgroup");) {
        snprintf(path + len, room - len, "/memory.max");
        uint64_t limit = number_in(path);
        least = limit > 0 && (least == 0 || limit < least) ? limit : least;
        while (len > 0 && path[len - 1] != '/') {
            len--;
        }
        len -= len > 0;
        path[len] = 0;
    }
    return least;
}

uint64_t process_memory_limit(void)
{
    char path[4096] = "/sys/fs/cgroup";
    char line[2048] = "";
    FILE *file = fopen("/proc/self/cgroup", "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "0::/", 4) == 0) {
            line[strcspn(line, "\n")] = 0;
            snprintf(path, sizeof(path), "/sys/fs/cgroup%s", line[4] == 0 ? "" : line + 3);
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    uint64_t limit = least_limit(path, sizeof(path));
    uint64_t older = number_in("/sys/fs/cgroup/memory/memory.limit_in_bytes");
    limit = limit == 0 ? older : limit;
    return limit > (uint64_t)1 << 60 ? 0 : limit; /* so older kernels say that there is none */
}

uint64_t process_memory_left(void)
{
    FILE *file = fopen("/proc/meminfo", "re");
    char line[128];
    uint64_t kilobytes = 0;
    while (file != NULL && kilobytes == 0 && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "MemAvailable:", 13) == 0) {
            kilobytes = strtoull(line + 13, NULL, 10);
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return kilobytes << 10;
}

uint64_t process_id(void)
{
    return (uint64_t)getpid();
}

uint64_t process_cpu_us(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000u +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

_Noreturn void process_exit_now(int status)
{
    _exit(status);
}
