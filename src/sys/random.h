/* Randomness from the kernel, fit for secrets (sys I7). */
#ifndef HW_SYS_RANDOM_H
#define HW_SYS_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Any thread. Ends the process if the kernel has none, since nothing safe could go on. */
void random_fill(void *out, size_t len);
uint64_t random_u64(void);

#endif
