/* The two clocks, and the test clock of builds with hooks. */
#include "sys/clock.h"

#include <time.h>

#ifdef HW_TEST_HOOKS
#include <stdatomic.h>
#include <stdio.h>

static const char *test_clock_path;
static _Atomic uint64_t test_clock_read_ns;
static _Atomic int64_t test_clock_shift_ms;

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

#ifdef HW_TEST_HOOKS
void clock_use_file(const char *path)
{
    test_clock_path = path;
}

static int64_t test_shift_ms(void)
{
    if (test_clock_path == NULL) {
        return 0;
    }
    uint64_t now = clock_mono_ns();
    if (now - atomic_load_explicit(&test_clock_read_ns, memory_order_relaxed) > 10000000u) {
        atomic_store_explicit(&test_clock_read_ns, now, memory_order_relaxed);
        FILE *file = fopen(test_clock_path, "re");
        long long shift = 0;
        if (file != NULL) {
            if (fscanf(file, "%lld", &shift) == 1) {
                atomic_store_explicit(&test_clock_shift_ms, shift, memory_order_relaxed);
            }
            fclose(file);
        }
    }
    return atomic_load_explicit(&test_clock_shift_ms, memory_order_relaxed);
}
#endif
