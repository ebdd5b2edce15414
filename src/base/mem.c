/* malloc that cannot fail: the process ends with status 1, as it does where the system refuses it
 * anything else at a start. What was acknowledged is durable. */
#include "base/mem.h"

#include "base/ending.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE 4096u

static void *there(void *block, size_t size)
{
    if (block == NULL) {
        char what[64];
        snprintf(what, sizeof(what), "out of memory for %zu bytes", size);
        ending_tell(EXIT_FAILED, what, strerrordesc_np(ENOMEM));
        _exit(EXIT_FAILED); /* not by a signal: nothing here is wrong */
    }
    return block;
}

/* What the linker makes of malloc and posix_memalign in all that is linked statically (--wrap).
 * RocksDB's block cache uses what they return unseen; it is to end here instead. */
/* NOLINTBEGIN(bugprone-reserved-identifier): the linker's names */
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
int __real_posix_memalign(void **block, size_t alignment, size_t size);
int __wrap_posix_memalign(void **block, size_t alignment, size_t size);

void *__wrap_malloc(size_t size)
{
    return there(__real_malloc(size), size);
}

int __wrap_posix_memalign(void **block, size_t alignment, size_t size)
{
    int failed = __real_posix_memalign(block, alignment, size);
    if (failed != 0) {
        (void)there(NULL, size);
    }
    return failed;
}

void *mem_try(size_t size)
{
    return __real_malloc(size);
}
/* NOLINTEND(bugprone-reserved-identifier) */

void *mem_alloc(size_t size)
{
    return there(malloc(size == 0 ? 1 : size), size);
}

void *mem_zalloc(size_t count, size_t size)
{
    return there(calloc(count == 0 ? 1 : count, size == 0 ? 1 : size), size);
}

void *mem_alloc_pages(size_t size)
{
    size_t whole = size > SIZE_MAX - PAGE ? 0 : (size + PAGE - 1) / PAGE * PAGE;
    return there(whole < size ? NULL : aligned_alloc(PAGE, whole), size);
}

void *mem_realloc(void *block, size_t size)
{
    return there(realloc(block, size == 0 ? 1 : size), size);
}

void mem_free(void *block)
{
    free(block);
}
