/* Shard iterators, sequence numbers and ARNs of streams, as text from a client: only our own are
 * taken, and every one of ours comes back. */
#include "op/shard.h"
#include "fuzz.h"
#include "op/op_priv.h"
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

#define ARN "arn:aws:dynamodb:eu-west-1:1:table/t/stream/2015-05-11T21:21:33.291"

static struct catalogue *one_stream(struct arena *arena)
{
    const struct stream stream = {.id = 2,
                                  .table_id = 1,
                                  .table_name = BYTES("t"),
                                  .label = BYTES("2015-05-11T21:21:33.291"),
                                  .arn = BYTES(ARN),
                                  .shard_id = BYTES("shardId-00000001431379293291-00000001"),
                                  .view = STREAM_KEYS_ONLY,
                                  .schema = {.partition = {BYTES("pk"), VALUE_S}},
                                  .last_commit = UINT64_MAX};
    struct catalogue *catalogue = catalogue_new(3);
    struct bytes item;
    struct buf row;
    buf_init(&row, 4096);
    HOLDS(describe_stream(&stream, arena, &item) == OK);
    buf_add_u64(&row, stream.first_commit);
    buf_add_u64(&row, stream.last_commit);
    buf_add(&row, item);
    HOLDS(catalogue_load_stream(catalogue, buf_bytes(&row)) == OK);
    buf_fini(&row);
    return catalogue;
}

/* A stream is found by its ARN alone; whatever else is given is told back. */
static void check_arn(struct bytes arn, struct arena *arena)
{
    struct catalogue *catalogue = one_stream(arena);
    static struct store store = {.epoch = EPOCH_FIRST};
    struct reader reader = {.store = &store, .catalogue = catalogue, .arena = arena};
    struct op_call call = {.op = &op_query, .arena = arena};
    const struct stream *stream = NULL;
    enum err err = lookup_stream(&call, &reader, arn, &stream);
    HOLDS((err == OK) == bytes_equal(arn, BYTES(ARN)));
    if (err == OK) {
        HOLDS(bytes_equal(stream->arn, arn) && stream->id == 2);
    } else {
        HOLDS(err == ERR_FAULT &&
              (call.fault.code == FAULT_VALIDATION || call.fault.code == FAULT_NOT_FOUND));
        HOLDS(call.fault.message.len > 0);
    }
    catalogue_unpin(catalogue);
}

static void check_sequence_text(struct fuzz_input *input, struct arena *arena)
{
    static struct store store = {.epoch = EPOCH_FIRST};
    struct reader reader = {.store = &store, .arena = arena};
    const struct log_place place = {fuzz_u64(input) % 1000000000000000u,
                                    (uint32_t)fuzz_below(input, LOG_INDEX_END + 1)};
    struct log_place back;
    struct bytes text = sequence_text(&reader, arena, place.commit, place.index);
    HOLDS(sequence_number_parse(&store, text, &back) == OK && same_place(back, place));
    const struct log_place next = {fuzz_u64(input), (uint32_t)fuzz_u64(input)};
    HOLDS(place_compare(place, next) == -place_compare(next, place));
}

/* Ours, with one byte changed, cut short or whole, or what the input brings. */
static struct bytes chosen_arn(struct fuzz_input *input, struct arena *arena)
{
    struct bytes arn = fuzz_copy(arena, BYTES(ARN));
    uint8_t *changed = arena_alloc(arena, arn.len);
    HOLDS(changed != NULL);
    memcpy(changed, arn.ptr, arn.len);
    switch (fuzz_below(input, 4)) {
    case 0:
        return arn;
    case 1:
        changed[fuzz_below(input, arn.len)] = fuzz_byte(input);
        return bytes_of(changed, arn.len);
    case 2:
        return fuzz_copy(arena, bytes_of(arn.ptr, fuzz_below(input, arn.len)));
    default:
        return fuzz_copy(arena, fuzz_bytes(input, 100));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = fuzz_input_of(data, size);
    struct arena arena;
    arena_init(&arena, 0);
    check_iterator(&input, &arena);
    check_arn(chosen_arn(&input, &arena), &arena);
    check_sequence_text(&input, &arena);
    struct bytes raw = fuzz_copy(&arena, fuzz_bytes(&input, 40));
    check_sequence(&input, raw);
    check_text(fuzz_copy(&arena, fuzz_rest(&input)), &arena);
    arena_fini(&arena);
    return 0;
}
