/* One-shot digests. OpenSSL's one-shot calls and its EVP interface look the algorithm up and
 * allocate at every call, which costs more than hashing a short text; its plain calls do not. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/digest.h"

#include <openssl/sha.h>
#ifdef __SSSE3__
#include <tmmintrin.h>
#endif

void digest_sha256(struct bytes data, uint8_t out[SHA256_LEN])
{
    SHA256_CTX state;
    SHA256_Init(&state);
    if (data.len > 0) {
        SHA256_Update(&state, data.ptr, data.len);
    }
    SHA256_Final(out, &state);
}

/* Sixteen bytes at a time where the processor can look sixteen digits up at once: a signature check
 * writes three digests. */
void digest_hex(struct bytes data, char *out)
{
    static const char digits[] = "0123456789abcdef";
    size_t i = 0;
#ifdef __SSSE3__
    const __m128i table = _mm_loadu_si128((const void *)digits);
    const __m128i nibble = _mm_set1_epi8(15);
    for (; data.len - i >= sizeof(__m128i); i += sizeof(__m128i)) {
        __m128i bytes = _mm_loadu_si128((const void *)(data.ptr + i));
        __m128i high = _mm_shuffle_epi8(table, _mm_and_si128(_mm_srli_epi16(bytes, 4), nibble));
        __m128i low = _mm_shuffle_epi8(table, _mm_and_si128(bytes, nibble));
        _mm_storeu_si128((void *)(out + 2 * i), _mm_unpacklo_epi8(high, low));
        _mm_storeu_si128((void *)(out + 2 * i + 16), _mm_unpackhi_epi8(high, low));
    }
#endif
    for (; i < data.len; i++) {
        out[2 * i] = digits[data.ptr[i] >> 4];
        out[2 * i + 1] = digits[data.ptr[i] & 15];
    }
}
