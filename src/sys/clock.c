/* The two clocks, and the test clock of builds with hooks. */
#include "sys/clock.h"

#include <sys/timex.h>
#include <time.h>

#ifdef HW_TEST_HOOKS
#include <stdio.h>

static const char *test_clock_path;

static int64_t test_shift_ms(void);
#endif

uint64_t clock_wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
#ifdef HW_TEST_HOOKS
    ms += (uint64_t)test_shift_ms();
#endif
    return ms;
}

uint64_t clock_mono_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

struct clock_base clock_base_now(void)
{
    struct clock_base base = {.wall_ms = clock_wall_ms(), .mono_ns = clock_mono_ns()};
#ifdef HW_TEST_HOOKS
    base.shift_ms = test_shift_ms();
#endif
    return base;
}

uint64_t clock_unset_ms(const struct clock_base *base)
{
    uint64_t ms = base->wall_ms + (clock_mono_ns() - base->mono_ns) / 1000000;
#ifdef HW_TEST_HOOKS
    ms += (uint64_t)(test_shift_ms() - base->shift_ms);
#endif
    return ms;
}

enum clock_kept clock_is_kept(void)
{
    struct timex state = {0};
    if (adjtimex(&state) < 0) {
        return CLOCK_KEPT_UNKNOWN;
    }
    return (state.status & STA_UNSYNC) == 0 ? CLOCK_KEPT : CLOCK_NOT_KEPT;
}

#ifdef HW_TEST_HOOKS
void clock_use_file(const char *path)
{
    test_clock_path = path;
}

/* Read at every call, so that a test which has moved the clock need not wait for anybody to notice.
 */
static int64_t test_shift_ms(void)
{
    FILE *file = test_clock_path == NULL ? NULL : fopen(test_clock_path, "re");
    long long shift = 0;
    if (file != NULL) {
        if (fscanf(file, "%lld", &shift) != 1) {
            shift = 0;
        }
        fclose(file);
    }
    return shift;
}
#endif
