/* Streams by ARN and shard iterators (op I8): see shard.h. */
#include "op/shard.h"

#include "base/base64.h"
#include "base/cursor.h"
#include "base/digest.h"

#define STATE_LEN ((size_t)20)
#define CHECK_LEN ((size_t)8)

static const uint8_t *find(struct bytes text, struct bytes part);
static void check_of(struct bytes arn, const uint8_t state[STATE_LEN], uint8_t check[CHECK_LEN]);

struct bytes iterator_text(const struct iterator *iterator, struct arena *arena)
{
    uint8_t check[CHECK_LEN];
    struct buf state;
    struct buf text;
    buf_init(&state, 64);
    buf_init(&text, ITERATOR_TEXT_MAX);
    buf_add_u64(&state, iterator->after.commit);
    buf_add_u32(&state, iterator->after.index);
    buf_add_u64(&state, iterator->created_ms);
    struct bytes out = BYTES_NONE;
    if (!state.failed) {
        check_of(iterator->arn, state.ptr, check);
        buf_add(&state, bytes_of(check, sizeof(check)));
        buf_add(&text, iterator->arn);
        buf_add_cstr(&text, "|1|");
        base64_add(&text, buf_bytes(&state));
        out = text.failed ? BYTES_NONE : arena_dup(arena, buf_bytes(&text));
    }
    buf_fini(&state);
    buf_fini(&text);
    return out;
}

enum err iterator_parse(struct bytes text, struct iterator *iterator)
{
    uint8_t state[64];
    uint8_t check[CHECK_LEN];
    size_t len = 0;
    const uint8_t *bar = find(text, BYTES("|1|"));
    if (bar == NULL || text.len > ITERATOR_TEXT_MAX) {
        return ERR_INVALID;
    }
    struct bytes encoded = bytes_of(bar + 3, text.len - (size_t)(bar + 3 - text.ptr));
    iterator->arn = bytes_of(text.ptr, (size_t)(bar - text.ptr));
    if (encoded.len != (STATE_LEN + CHECK_LEN + 2) / 3 * 4 ||
        base64_decode(encoded, state, &len) != OK || len != STATE_LEN + CHECK_LEN) {
        return ERR_INVALID;
    }
    check_of(iterator->arn, state, check);
    if (memcmp(check, state + STATE_LEN, CHECK_LEN) != 0) {
        return ERR_INVALID;
    }
    struct cursor cursor = cursor_of(bytes_of(state, len));
    TRY(cursor_u64(&cursor, &iterator->after.commit));
    TRY(cursor_u32(&cursor, &iterator->after.index));
    return cursor_u64(&cursor, &iterator->created_ms);
}

int place_compare(struct log_place a, struct log_place b)
{
    if (a.commit != b.commit) {
        return a.commit < b.commit ? -1 : 1;
    }
    return (a.index > b.index) - (a.index < b.index);
}

struct bytes sequence_text(struct reader *reader, struct arena *arena, uint64_t commit,
                           uint32_t index)
{
    char text[25];
    sequence_number_text(reader->store, commit, index, text);
    return arena_dup(arena, bytes_of(text, 24));
}

enum err check_stream_arn(struct op_call *call, struct bytes arn)
{
    if (!bytes_start_with(arn, BYTES("arn:")) || find(arn, BYTES(":table/")) == NULL ||
        find(arn, BYTES("/stream/")) == NULL) {
        return fault(call, FAULT_VALIDATION, "Invalid StreamArn: %.*s", BYTES_FMT(arn));
    }
    return OK;
}

enum err lookup_stream(struct op_call *call, struct reader *reader, struct bytes arn,
                       const struct stream **stream)
{
    TRY(check_stream_arn(call, arn));
    *stream = catalogue_stream(reader->catalogue, arn);
    if (*stream == NULL) {
        return fault(call, FAULT_NOT_FOUND, "Requested resource not found: Stream: %.*s not found",
                     BYTES_FMT(arn));
    }
    return OK;
}

static const uint8_t *find(struct bytes text, struct bytes part)
{
    return text.ptr == NULL ? NULL : memmem(text.ptr, text.len, part.ptr, part.len);
}

static void check_of(struct bytes arn, const uint8_t state[STATE_LEN], uint8_t check[CHECK_LEN])
{
    uint8_t text[ITERATOR_TEXT_MAX + STATE_LEN];
    uint8_t digest[SHA256_LEN];
    size_t len = arn.len < ITERATOR_TEXT_MAX ? arn.len : ITERATOR_TEXT_MAX;
    memcpy(text, state, STATE_LEN);
    if (len > 0) {
        memcpy(text + STATE_LEN, arn.ptr, len);
    }
    digest_sha256(bytes_of(text, STATE_LEN + len), digest);
    memcpy(check, digest, CHECK_LEN);
}
