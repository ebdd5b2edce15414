/* What was packed comes back; what was not, is cut off, or would not fit does not, and nothing past
 * the bound is written. */
#include "base/deflate.h"

#include "check.h"

#include <zlib.h>

#define ROOM_MAX ((size_t)1 << 20)

static struct deflate *packer;
static struct buf packed;
static struct buf unpacked;

static struct bytes text_of(size_t len, unsigned variety)
{
    static uint8_t text[ROOM_MAX + 1];
    static uint64_t state = 1;
    for (size_t i = 0; i < len; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        text[i] = (uint8_t)("abcdefgh"[(state >> 33) % variety]);
    }
    return bytes_of(text, len);
}

static enum err again(enum deflate_form form, struct bytes data)
{
    buf_clear(&unpacked);
    return deflate_unpack(packer, form, data, &unpacked);
}

/* By zlib, the reference. */
static struct bytes zlib_packed(struct bytes data, int bits)
{
    static uint8_t out[2 * ROOM_MAX];
    z_stream stream = {0};
    CHECK(deflateInit2(&stream, 9, Z_DEFLATED, bits, 9, Z_DEFAULT_STRATEGY) == Z_OK);
    stream.next_in = (Bytef *)(uintptr_t)data.ptr;
    stream.avail_in = (uInt)data.len;
    stream.next_out = out;
    stream.avail_out = sizeof(out);
    CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    size_t len = sizeof(out) - stream.avail_out;
    deflateEnd(&stream);
    return bytes_of(out, len);
}

static void what_was_packed_comes_back(void)
{
    static const size_t lens[] = {0, 1, 100, 4096, 65536, 70000, ROOM_MAX};
    for (size_t i = 0; i < 2 * sizeof(lens) / sizeof(lens[0]); i++) {
        struct bytes text = text_of(lens[i / 2], i % 2 == 0 ? 1 : 8);
        for (enum deflate_form form = DEFLATE_GZIP; form <= DEFLATE_ZLIB; form++) {
            buf_clear(&packed);
            CHECK(deflate_pack(packer, form, text, &packed) == OK);
            CHECK(again(form, buf_bytes(&packed)) == OK);
            CHECK(bytes_equal(buf_bytes(&unpacked), text));
            struct bytes others = zlib_packed(text, form == DEFLATE_GZIP ? 31 : 15);
            CHECK(again(form, others) == OK);
            CHECK(bytes_equal(buf_bytes(&unpacked), text));
        }
    }
}

static void members_follow_each_other(void)
{
    buf_clear(&packed);
    CHECK(deflate_pack(packer, DEFLATE_GZIP, BYTES("first "), &packed) == OK);
    CHECK(deflate_pack(packer, DEFLATE_GZIP, BYTES("second"), &packed) == OK);
    CHECK(again(DEFLATE_GZIP, buf_bytes(&packed)) == OK);
    CHECK(bytes_equal(buf_bytes(&unpacked), BYTES("first second")));
    buf_add(&packed, BYTES("junk"));
    CHECK(again(DEFLATE_GZIP, buf_bytes(&packed)) == ERR_INVALID);
    buf_clear(&packed);
    CHECK(deflate_pack(packer, DEFLATE_ZLIB, BYTES("a"), &packed) == OK);
    CHECK(deflate_pack(packer, DEFLATE_ZLIB, BYTES("b"), &packed) == OK);
    CHECK(again(DEFLATE_ZLIB, buf_bytes(&packed)) == ERR_INVALID);
}

static void the_bound_is_kept(void)
{
    for (enum deflate_form form = DEFLATE_GZIP; form <= DEFLATE_ZLIB; form++) {
        struct bytes bomb = zlib_packed(text_of(ROOM_MAX, 1), form == DEFLATE_GZIP ? 31 : 15);
        CHECK(bomb.len < 2000);
        CHECK(again(form, bomb) == OK && unpacked.len == ROOM_MAX);
        bomb = zlib_packed(text_of(ROOM_MAX + 1, 1), form == DEFLATE_GZIP ? 31 : 15);
        CHECK(again(form, bomb) == ERR_RANGE && unpacked.cap <= ROOM_MAX);
    }
    /* Two members that pass it together. */
    static uint8_t both[4096];
    struct bytes half = zlib_packed(text_of(ROOM_MAX / 2 + 1, 1), 31);
    memcpy(both, half.ptr, half.len);
    memcpy(both + half.len, half.ptr, half.len);
    CHECK(again(DEFLATE_GZIP, bytes_of(both, 2 * half.len)) == ERR_RANGE);
}

static void damage_is_seen(void)
{
    for (enum deflate_form form = DEFLATE_GZIP; form <= DEFLATE_ZLIB; form++) {
        static uint8_t copy[4096];
        buf_clear(&packed);
        CHECK(deflate_pack(packer, form, text_of(700, 4), &packed) == OK);
        CHECK(again(form, BYTES("")) == ERR_INVALID);
        CHECK(again(form, BYTES("{\"a\":1}")) == ERR_INVALID);
        CHECK(again(form == DEFLATE_GZIP ? DEFLATE_ZLIB : DEFLATE_GZIP, buf_bytes(&packed)) ==
              ERR_INVALID);
        for (size_t len = 0; len < packed.len; len++) {
            CHECK(again(form, bytes_of(packed.ptr, len)) == ERR_INVALID);
        }
        for (size_t i = packed.len / 2; i < packed.len; i++) { /* behind the header's free bytes */
            memcpy(copy, packed.ptr, packed.len);
            copy[i] ^= 1;
            CHECK(again(form, bytes_of(copy, packed.len)) != OK);
        }
    }
}

int main(void)
{
    packer = deflate_new();
    buf_init(&packed, 2 * ROOM_MAX);
    buf_init(&unpacked, ROOM_MAX);
    RUN(what_was_packed_comes_back);
    RUN(members_follow_each_other);
    RUN(the_bound_is_kept);
    RUN(damage_is_seen);
    buf_fini(&packed);
    buf_fini(&unpacked);
    deflate_free(packer);
    return CHECK_RESULT();
}
