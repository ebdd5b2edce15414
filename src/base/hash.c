/* CRC-32C by the processor where it can, by table elsewhere; the rest by libraries. */
#include "base/hash.h"

#include <libdeflate.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#ifdef __SSE4_2__
#include <nmmintrin.h>

uint32_t hash_crc32c(uint32_t seed, struct bytes data)
{
    uint64_t crc = ~seed;
    const uint8_t *p = data.ptr;
    size_t left = data.len;
    for (; left >= 8; left -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        crc = _mm_crc32_u64(crc, word);
    }
    for (; left > 0; left--, p++) {
        crc = _mm_crc32_u8((uint32_t)crc, *p);
    }
    return ~(uint32_t)crc;
}
#else
uint32_t hash_crc32c(uint32_t seed, struct bytes data)
{
    uint32_t crc = ~seed;
    for (size_t i = 0; i < data.len; i++) {
        crc ^= data.ptr[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
        }
    }
    return ~crc;
}
#endif

uint32_t hash_crc32(struct bytes data)
{
    return libdeflate_crc32(0, data.ptr, data.len);
}

uint64_t hash_key(struct bytes data)
{
    return XXH3_64bits(data.ptr, data.len);
}

/* UTF-16 units, a character past the first plane as two. */
uint32_t hash_java(struct bytes text)
{
    uint32_t hash = 0;
    for (size_t i = 0; i < text.len;) {
        uint32_t lead = text.ptr[i];
        size_t len = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
        uint32_t point = len == 1 ? lead : lead & (0x7fu >> len);
        for (size_t j = 1; j < len && i + j < text.len; j++) {
            point = point << 6 | (text.ptr[i + j] & 0x3f);
        }
        if (point >= 0x10000) {
            hash = hash * 31 + (0xd800 + ((point - 0x10000) >> 10));
            point = 0xdc00 + (point & 0x3ff);
        }
        hash = hash * 31 + point;
        i += len;
    }
    return hash ^ hash >> 16;
}
