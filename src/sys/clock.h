/* Time. Wall time is for people and for records; it may jump. Monotonic time is for waiting and
 * measuring (sys I6). */
#ifndef HW_SYS_CLOCK_H
#define HW_SYS_CLOCK_H

#include "base/err.h"

#include <stdint.h>

/* Milliseconds since 1970, of the wall clock (or of the test clock file). */
uint64_t clock_wall_ms(void);
/* Nanoseconds since some fixed point, never backwards. */
uint64_t clock_mono_ns(void);

/* Does the kernel say that something keeps the wall clock right? */
enum clock_kept { CLOCK_KEPT, CLOCK_NOT_KEPT, CLOCK_KEPT_UNKNOWN };
enum clock_kept clock_is_kept(void);

/* A moment by both clocks. */
struct clock_base {
    uint64_t wall_ms;
    uint64_t mono_ns;
    int64_t shift_ms; /* of the test clock */
};
struct clock_base clock_base_now(void);
/* What the wall clock would say now had it not been set since. The test clock's file is time that
 * passes, so it counts. */
uint64_t clock_unset_ms(const struct clock_base *base);

#ifdef HW_TEST_HOOKS
/* Black-box tests move time: the wall clock is the real one plus the signed milliseconds written in
 * this file. Replace it by renaming: an absent or half-written file moves nothing. */
void clock_use_file(const char *path);
#endif

#endif
