/* base/arena: one lifetime, a stated bound, no allocation when warm. */
#include "base/arena.h"

#include "check.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

static void the_limit_is_kept(void)
{
    struct arena arena;
    arena_init(&arena, 64 * 1024);
    CHECK(arena_alloc(&arena, 1000) != NULL);
    CHECK(arena_alloc(&arena, 65 * 1024) == NULL);
    CHECK(arena_alloc(&arena, SIZE_MAX) == NULL);
    CHECK(arena_alloc(&arena, 30 * 1024) != NULL);
    arena_fini(&arena);
}

static void a_warm_arena_gives_the_same_memory(void)
{
    struct arena arena;
    arena_init(&arena, 0);
    void *first = arena_alloc(&arena, 100);
    arena_reset(&arena);
    CHECK(arena_alloc(&arena, 100) == first);
    arena_fini(&arena);
}

static void printf_ends_in_zero(void)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct bytes text = arena_printf(&arena, "%d-%s", 7, "x");
    CHECK_BYTES(text, BYTES("7-x"));
    CHECK(text.ptr[text.len] == 0);
    arena_fini(&arena);
}

#ifdef __SANITIZE_ADDRESS__
static void an_overrun_of_a_block_is_seen(void)
{
    struct arena arena;
    arena_init(&arena, 0);
    uint8_t *block = arena_alloc(&arena, 13);
    uint8_t *next = arena_alloc(&arena, 16);
    CHECK(!__asan_address_is_poisoned(block) && !__asan_address_is_poisoned(block + 12));
    CHECK(__asan_address_is_poisoned(block + 13) && __asan_address_is_poisoned(next - 1));
    CHECK(__asan_address_is_poisoned(next + 16));
    arena_reset(&arena);
    CHECK(__asan_address_is_poisoned(block));
    arena_fini(&arena);
}
#endif

int main(void)
{
    RUN(the_limit_is_kept);
    RUN(a_warm_arena_gives_the_same_memory);
    RUN(printf_ends_in_zero);
#ifdef __SANITIZE_ADDRESS__
    RUN(an_overrun_of_a_block_is_seen);
#endif
    return CHECK_RESULT();
}
