/* Sealed bytes: they open as they were, and with nothing changed. */
#include "base/seal.h"
#include "check.h"

static const uint8_t key[SEAL_KEY_LEN] = {1, 2, 3};
static const uint8_t nonce[SEAL_NONCE_LEN] = {9};

/* Test case 15 of the GCM specification's AES-256 cases, without its label: 16 zero bytes under a
 * zero key and nonce. */
static void as_the_specification_says(void)
{
    static const uint8_t zeros[SEAL_KEY_LEN];
    static const uint8_t expected[] = {0xce, 0xa7, 0x40, 0x3d, 0x4d, 0x60, 0x6b, 0x6e,
                                       0x07, 0x4e, 0xc5, 0xd3, 0xba, 0xf3, 0x9d, 0x18,
                                       0xd0, 0xd1, 0xc8, 0xa7, 0x99, 0x99, 0x6b, 0xf0,
                                       0x26, 0x5b, 0x98, 0xb5, 0xd4, 0x8a, 0xb9, 0x19};
    struct buf out;
    buf_init(&out, 1024);
    CHECK(seal(zeros, zeros, BYTES_NONE, bytes_of(zeros, 16), &out) == OK);
    CHECK_BYTES(bytes_of(out.ptr + SEAL_NONCE_LEN, out.len - SEAL_NONCE_LEN),
                bytes_of(expected, sizeof(expected)));
    buf_fini(&out);
}

static void what_is_sealed_opens(void)
{
    struct arena arena;
    struct buf out;
    struct bytes plain;
    arena_init(&arena, 0);
    buf_init(&out, 1024);
    CHECK(seal(key, nonce, BYTES("label"), BYTES("secret"), &out) == OK);
    CHECK(out.len == SEAL_NONCE_LEN + 6 + SEAL_TAG_LEN);
    CHECK(memmem(out.ptr, out.len, "secret", 6) == NULL);
    CHECK(seal_open(key, BYTES("label"), buf_bytes(&out), &arena, &plain) == OK);
    CHECK_BYTES(plain, BYTES("secret"));
    buf_clear(&out);
    CHECK(seal(key, nonce, BYTES_NONE, BYTES_NONE, &out) == OK);
    CHECK(seal_open(key, BYTES_NONE, buf_bytes(&out), &arena, &plain) == OK && plain.len == 0);
    buf_fini(&out);
    arena_fini(&arena);
}

static void nothing_else_opens(void)
{
    struct arena arena;
    struct buf out;
    struct bytes plain;
    uint8_t other[SEAL_KEY_LEN] = {1, 2, 4};
    arena_init(&arena, 0);
    buf_init(&out, 1024);
    CHECK(seal(key, nonce, BYTES("label"), BYTES("secret"), &out) == OK);
    CHECK(seal_open(other, BYTES("label"), buf_bytes(&out), &arena, &plain) == ERR_DAMAGED);
    CHECK(seal_open(key, BYTES("labels"), buf_bytes(&out), &arena, &plain) == ERR_DAMAGED);
    for (size_t i = 0; i < out.len; i++) {
        CHECK(seal_open(key, BYTES("label"), bytes_of(out.ptr, i), &arena, &plain) == ERR_DAMAGED);
        out.ptr[i] ^= 0x10;
        CHECK(seal_open(key, BYTES("label"), buf_bytes(&out), &arena, &plain) == ERR_DAMAGED);
        out.ptr[i] ^= 0x10;
    }
    struct buf small;
    buf_init(&small, 20);
    CHECK(seal(key, nonce, BYTES("label"), BYTES("secret"), &small) == ERR_RANGE);
    buf_fini(&small);
    buf_fini(&out);
    arena_fini(&arena);
}

int main(void)
{
    RUN(as_the_specification_says);
    RUN(what_is_sealed_opens);
    RUN(nothing_else_opens);
    return CHECK_RESULT();
}
