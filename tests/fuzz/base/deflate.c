/* Packed data: what we or zlib packed comes back, in one member or several; changed and made-up
 * bytes give an error or some bytes, never more than the bound, and the same answer each time. */
#include "base/deflate.h"
#include "fuzz.h"

#include <stdlib.h>
#include <zlib.h>

#define BOUND ((size_t)20000)

static struct deflate *packer;

static struct bytes unpacked(enum deflate_form form, struct bytes data, size_t bound,
                             struct buf *out, enum err *err)
{
    buf_fini(out);
    buf_init(out, bound);
    *err = deflate_unpack(packer, form, data, out);
    HOLDS(*err == OK || *err == ERR_INVALID || *err == ERR_RANGE);
    HOLDS(out->len <= bound && out->cap <= bound);
    return buf_bytes(out);
}

/* By zlib, in any of its ways. */
static void add_zlib(struct fuzz_input *input, enum deflate_form form, struct bytes text,
                     struct buf *out)
{
    z_stream stream = {0};
    int level = (int)fuzz_below(input, 10);
    int strategy = (int)fuzz_below(input, 5);
    int bits = 9 + (int)fuzz_below(input, 7) + (form == DEFLATE_GZIP ? 16 : 0);
    HOLDS(deflateInit2(&stream, level, Z_DEFLATED, bits, 1 + (int)fuzz_below(input, 9), strategy) ==
          Z_OK);
    size_t room = text.len + text.len / 4 + 200;
    uint8_t *place = buf_room(out, room);
    HOLDS(place != NULL);
    stream.next_in = (Bytef *)(uintptr_t)text.ptr;
    stream.avail_in = (uInt)text.len;
    stream.next_out = place;
    stream.avail_out = (uInt)room;
    HOLDS(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    out->len += room - stream.avail_out;
    deflateEnd(&stream);
}

static void add_member(struct fuzz_input *input, enum deflate_form form, struct bytes text,
                       struct buf *out)
{
    if (fuzz_bool(input)) {
        add_zlib(input, form, text, out);
    } else {
        HOLDS(deflate_pack(packer, form, text, out) == OK);
    }
}

/* Bytes that repeat themselves now and then. */
static void add_text(struct fuzz_input *input, struct buf *out)
{
    struct bytes piece = fuzz_bytes(input, 200);
    for (size_t count = 1 + fuzz_below(input, 20); count > 0; count--) {
        buf_add(out, piece);
    }
}

static void forget_packer(void)
{
    deflate_free(packer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = fuzz_input_of(data, size);
    struct buf text;
    struct buf packed;
    struct buf out;
    enum err err;
    if (packer == NULL) {
        packer = deflate_new();
        atexit(forget_packer);
    }
    buf_init(&text, BOUND);
    buf_init(&packed, 4 * BOUND);
    buf_init(&out, BOUND);
    enum deflate_form form = fuzz_bool(&input) ? DEFLATE_GZIP : DEFLATE_ZLIB;
    for (size_t members = form == DEFLATE_GZIP ? 1 + fuzz_below(&input, 3) : 1; members > 0;
         members--) {
        size_t before = text.len;
        add_text(&input, &text);
        struct bytes member =
            text.len == before ? BYTES("") : bytes_of(text.ptr + before, text.len - before);
        add_member(&input, form, member, &packed);
    }
    struct bytes back = unpacked(form, buf_bytes(&packed), BOUND, &out, &err);
    HOLDS(err == OK && bytes_equal(back, buf_bytes(&text)));
    if (text.len > 0) {
        (void)unpacked(form, buf_bytes(&packed), text.len, &out, &err);
        HOLDS(err == OK);
        (void)unpacked(form, buf_bytes(&packed), text.len - 1, &out, &err);
        HOLDS(err == ERR_RANGE);
    }
    for (size_t changes = fuzz_below(&input, 4); changes > 0; changes--) {
        packed.ptr[fuzz_below(&input, packed.len)] = fuzz_byte(&input);
    }
    (void)unpacked(form, buf_bytes(&packed), fuzz_below(&input, BOUND + 1), &out, &err);
    (void)unpacked(fuzz_bool(&input) ? DEFLATE_GZIP : DEFLATE_ZLIB, fuzz_rest(&input), BOUND, &out,
                   &err);
    buf_fini(&text);
    buf_fini(&packed);
    buf_fini(&out);
    return 0;
}
