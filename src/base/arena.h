/* Memory with one lifetime: allocate freely, release all at once. An arena belongs to one thread at
 * a time. Allocation failure returns NULL: inside a request that ends the request with a fault
 * (base I4). */
#ifndef HW_BASE_ARENA_H
#define HW_BASE_ARENA_H

#include "base/bytes.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* newest first */
    uint8_t *next;
    uint8_t *end;
    size_t used;  /* bytes taken in chunks, for the bound */
    size_t limit; /* bytes in all chunks may not pass this */
    bool failed; /* something was not given since init or reset: what was made of it is not whole */
};

/* Owns no memory until the first allocation. limit 0 means 64 MiB. */
void arena_init(struct arena *arena, size_t limit);
/* Frees everything; the arena is then as after init. Accepts a zeroed arena. */
void arena_fini(struct arena *arena);
/* Forgets everything but keeps one chunk for reuse, so that a warm arena allocates nothing. */
void arena_reset(struct arena *arena);

/* 16-byte aligned, not zeroed; NULL when the limit or memory is reached. */
void *arena_alloc(struct arena *arena, size_t size);
/* The same, zeroed. */
void *arena_zalloc(struct arena *arena, size_t size);
/* A copy; ptr is NULL on failure (and for an empty source never NULL). */
struct bytes arena_dup(struct arena *arena, struct bytes source);
/* printf into the arena; ptr NULL on failure. Ends in zero past len. */
struct bytes arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
