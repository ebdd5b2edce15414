/* malloc that cannot fail. */
#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define PAGE 4096u

static void *there(void *block, size_t size)
{
    if (block == NULL) {
        fprintf(stderr, "headwater: out of memory for %zu bytes\n", size);
        abort();
    }
    return block;
}

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
