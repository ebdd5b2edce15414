/* Indexes of segments: any payload decodes or is refused, what decodes holds its entries by stream,
 * and what is encoded comes back. */
#include "fuzz.h"
#include "log/log_priv.h"

#define ENTRIES_MAX 64u

static bool same_entry(const struct index_entry *a, const struct index_entry *b)
{
    return a->key_hash == b->key_hash && a->commit == b->commit && a->index == b->index &&
           a->count == b->count && a->frame_sector == b->frame_sector && a->offset == b->offset &&
           a->len == b->len && a->kind == b->kind;
}

static void check_sound(const struct segment_index *index)
{
    for (size_t i = 0; i < index->count; i++) {
        const struct stream_index *list = &index->streams[i];
        HOLDS(i == 0 || index->streams[i - 1].stream < list->stream);
        HOLDS(list->count > 0 && index_find(index, list->stream) == list);
    }
}

static void check_same(const struct segment_index *a, const struct segment_index *b)
{
    HOLDS(a->count == b->count);
    for (size_t i = 0; i < a->count; i++) {
        HOLDS(a->streams[i].stream == b->streams[i].stream);
        HOLDS(a->streams[i].count == b->streams[i].count);
        for (size_t j = 0; j < a->streams[i].count; j++) {
            HOLDS(same_entry(&a->streams[i].entries[j], &b->streams[i].entries[j]));
        }
    }
}

/* Encodes, decodes, and compares. */
static void round_trip(const struct segment_index *index, struct bytes *payload, struct buf *out)
{
    struct segment_index *again = index_new();
    index_encode(index, out);
    HOLDS(!out->failed && index_decode(buf_bytes(out), again) == OK);
    check_sound(again);
    check_same(index, again);
    index_free(again);
    *payload = buf_bytes(out);
}

static void any_payload(struct bytes payload)
{
    struct segment_index *index = index_new();
    struct bytes encoded;
    struct buf out;
    buf_init(&out, 1u << 20);
    enum err err = index_decode(payload, index);
    HOLDS(err == OK || err == ERR_DAMAGED);
    check_sound(index);
    if (err == OK) {
        round_trip(index, &encoded, &out);
    }
    index_free(index);
    buf_fini(&out);
}

/* Entries of a few streams in any order; each stream keeps its own in the order they came. */
static void made_index(struct fuzz_input *input, struct arena *arena)
{
    struct index_entry entries[ENTRIES_MAX];
    uint64_t streams[ENTRIES_MAX];
    struct segment_index *index = index_new();
    struct bytes encoded;
    struct buf out;
    size_t count = fuzz_below(input, ENTRIES_MAX);
    buf_init(&out, 1u << 20);
    for (size_t i = 0; i < count; i++) {
        streams[i] = fuzz_below(input, 2) == 0 ? fuzz_below(input, 12) : fuzz_u64(input);
        entries[i] = (struct index_entry){.key_hash = fuzz_byte(input),
                                          .commit = fuzz_byte(input),
                                          .index = (uint32_t)i,
                                          .frame_sector = fuzz_byte(input),
                                          .kind = fuzz_byte(input)};
        index_add(index, streams[i], &entries[i]);
    }
    check_sound(index);
    for (size_t i = 0; i < count; i++) {
        const struct stream_index *list = index_find(index, streams[i]);
        size_t before = 0;
        for (size_t j = 0; j < i; j++) {
            before += streams[j] == streams[i] ? 1 : 0;
        }
        HOLDS(list != NULL && before < list->count);
        HOLDS(same_entry(&list->entries[before], &entries[i]));
    }
    round_trip(index, &encoded, &out);
    uint8_t *changed = arena_alloc(arena, encoded.len);
    HOLDS(changed != NULL);
    memcpy(changed, encoded.ptr, encoded.len);
    changed[fuzz_below(input, encoded.len)] = fuzz_byte(input);
    any_payload(bytes_of(changed, encoded.len));
    any_payload(fuzz_copy(arena, bytes_of(encoded.ptr, fuzz_below(input, encoded.len))));
    index_free(index);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = fuzz_input_of(data, size);
    struct arena arena;
    arena_init(&arena, 0);
    if (fuzz_bool(&input)) {
        made_index(&input, &arena);
    } else {
        any_payload(fuzz_copy(&arena, fuzz_rest(&input)));
    }
    arena_fini(&arena);
    return 0;
}
