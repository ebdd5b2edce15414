/* Chunks in a list, a bump pointer in the newest.
 *
 * Under AddressSanitizer what nobody was given is poisoned and a gap follows each block, so that an
 * overrun inside a chunk is found like one of the heap's. */
#include "base/arena.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define ARENA_ALIGN 16u
#define ARENA_CHUNK_MIN (16u << 10)
#define ARENA_KEEP_MAX (256u << 10) /* a reset arena keeps no chunk above this */

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif
#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define ARENA_GAP ARENA_ALIGN
#else
#define ASAN_POISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#define ARENA_GAP 0u
#endif

struct arena_chunk {
    struct arena_chunk *older;
    size_t size; /* of data */
    _Alignas(ARENA_ALIGN) uint8_t data[];
};

static bool arena_grow(struct arena *arena, size_t size);

void arena_init(struct arena *arena, size_t limit)
{
    *arena = (struct arena){.limit = limit == 0 ? 64u << 20 : limit};
}

void arena_fini(struct arena *arena)
{
    struct arena_chunk *chunk = arena->chunks;
    while (chunk != NULL) {
        struct arena_chunk *older = chunk->older;
        free(chunk);
        chunk = older;
    }
    size_t limit = arena->limit;
    arena_init(arena, limit);
}

void arena_reset(struct arena *arena)
{
    struct arena_chunk *keep = arena->chunks;
    if (keep == NULL || keep->size > ARENA_KEEP_MAX) {
        arena_fini(arena);
        return;
    }
    struct arena_chunk *chunk = keep->older;
    while (chunk != NULL) {
        struct arena_chunk *older = chunk->older;
        free(chunk);
        chunk = older;
    }
    keep->older = NULL;
    ASAN_POISON_MEMORY_REGION(keep->data, keep->size);
    arena->next = keep->data;
    arena->end = keep->data + keep->size;
    arena->used = keep->size;
    arena->failed = false;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    size_t room = (size_t)(arena->end - arena->next);
    if (size > SIZE_MAX - ARENA_ALIGN - ARENA_GAP) {
        arena->failed = true;
        return NULL;
    }
    size_t rounded = (size + ARENA_GAP + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    if (rounded == 0) {
        rounded = ARENA_ALIGN;
    }
    if (rounded > room) {
        if (!arena_grow(arena, rounded)) {
            arena->failed = true;
            return NULL;
        }
    }
    void *block = arena->next;
    arena->next += rounded;
    ASAN_UNPOISON_MEMORY_REGION(block, size);
    return block;
}

void *arena_zalloc(struct arena *arena, size_t size)
{
    void *block = arena_alloc(arena, size);
    if (block != NULL) {
        memset(block, 0, size);
    }
    return block;
}

struct bytes arena_dup(struct arena *arena, struct bytes source)
{
    uint8_t *copy = arena_alloc(arena, source.len);
    if (copy == NULL) {
        return BYTES_NONE;
    }
    if (source.len > 0) {
        memcpy(copy, source.ptr, source.len);
    }
    return bytes_of(copy, source.len);
}

struct bytes arena_printf(struct arena *arena, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int need = vsnprintf(NULL, 0, format, list);
    va_end(list);
    char *text = need < 0 ? NULL : arena_alloc(arena, (size_t)need + 1);
    if (text == NULL) {
        return BYTES_NONE;
    }
    va_start(list, format);
    vsnprintf(text, (size_t)need + 1, format, list);
    va_end(list);
    return bytes_of(text, (size_t)need);
}

/* Each chunk at least doubles the arena, so that large requests stay linear. */
static bool arena_grow(struct arena *arena, size_t size)
{
    ASSERT(arena->limit > 0);
    size_t want = arena->used < ARENA_CHUNK_MIN ? ARENA_CHUNK_MIN : arena->used;
    if (want > 1u << 20) {
        want = 1u << 20;
    }
    if (want < size) {
        want = size;
    }
    if (want > arena->limit || arena->used > arena->limit - want) {
        return false;
    }
    struct arena_chunk *chunk = mem_try(sizeof(*chunk) + want);
    if (chunk == NULL) {
        return false;
    }
    chunk->older = arena->chunks;
    chunk->size = want;
    arena->chunks = chunk;
    ASAN_POISON_MEMORY_REGION(chunk->data, want);
    arena->next = chunk->data;
    arena->end = chunk->data + want;
    arena->used += want;
    return true;
}
