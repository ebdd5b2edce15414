/* Shard iterators and sequence numbers, as text from a client: only our own are taken, and every
 * one of ours comes back. */
#include "op/shard.h"
#include "fuzz.h"
#include "table/table_priv.h"

static bool same_place(struct log_place a, struct log_place b)
{
    return a.commit == b.commit && a.index == b.index;
}

/* What is taken is exactly what we would write. */
static void check_text(struct bytes text, struct arena *arena)
{
    struct iterator iterator = {0};
    enum err err = iterator_parse(text, &iterator);
    HOLDS(err == OK || err == ERR_INVALID);
    if (err == OK) {
        HOLDS(bytes_equal(iterator_text(&iterator, arena), text));
        HOLDS(place_compare(iterator.after, iterator.after) == 0);
    }
}

static void check_iterator(struct fuzz_input *input, struct arena *arena)
{
    struct iterator back;
    const struct iterator iterator = {.arn = fuzz_text(input, arena, 1200),
                                      .after = {fuzz_u64(input), (uint32_t)fuzz_u64(input)},
                                      .created_ms = fuzz_u64(input)};
    struct bytes text = iterator_text(&iterator, arena);
    HOLDS(text.ptr != NULL && text.len <= ITERATOR_TEXT_MAX);
    if (memchr(iterator.arn.ptr, '|', iterator.arn.len) != NULL) {
        return; /* no ARN holds a bar */
    }
    HOLDS(iterator_parse(fuzz_copy(arena, text), &back) == OK);
    HOLDS(bytes_equal(back.arn, iterator.arn) && same_place(back.after, iterator.after) &&
          back.created_ms == iterator.created_ms);
    HOLDS(place_compare(back.after, (struct log_place){0, 0}) >= 0);
    uint8_t *changed = arena_alloc(arena, text.len);
    HOLDS(changed != NULL);
    memcpy(changed, text.ptr, text.len);
    changed[fuzz_below(input, text.len)] ^= (uint8_t)(1 + fuzz_below(input, 255));
    HOLDS(iterator_parse(bytes_of(changed, text.len), &back) == ERR_INVALID);
}

static void check_sequence(struct fuzz_input *input, struct bytes raw)
{
    static struct store store = {.epoch = EPOCH_FIRST};
    char text[25];
    struct log_place place;
    if (sequence_number_parse(&store, raw, &place) == OK) {
        sequence_number_text(&store, place.commit, place.index, text);
        HOLDS(bytes_equal(bytes_of(text, 24), raw));
    }
    const struct log_place mine = {fuzz_u64(input) % 1000000000000000u,
                                   (uint32_t)fuzz_below(input, LOG_INDEX_END + 1)};
    sequence_number_text(&store, mine.commit, mine.index, text);
    HOLDS(strlen(text) == 24 && sequence_number_parse(&store, bytes_of(text, 24), &place) == OK);
    HOLDS(same_place(place, mine));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = fuzz_input_of(data, size);
    struct arena arena;
    arena_init(&arena, 0);
    check_iterator(&input, &arena);
    struct bytes raw = fuzz_copy(&arena, fuzz_bytes(&input, 40));
    check_sequence(&input, raw);
    check_text(fuzz_copy(&arena, fuzz_rest(&input)), &arena);
    arena_fini(&arena);
    return 0;
}
