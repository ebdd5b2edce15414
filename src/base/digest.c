/* One-shot digests. OpenSSL's one-shot calls and its EVP interface look the algorithm up and
 * allocate at every call, which costs more than hashing a short text; its plain calls do not. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/digest.h"

#include <openssl/sha.h>

void digest_sha256(struct bytes data, uint8_t out[SHA256_LEN])
{
    SHA256_CTX state;
    SHA256_Init(&state);
    if (data.len > 0) {
        SHA256_Update(&state, data.ptr, data.len);
    }
    SHA256_Final(out, &state);
}

void digest_hex(struct bytes data, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < data.len; i++) {
        out[2 * i] = digits[data.ptr[i] >> 4];
        out[2 * i + 1] = digits[data.ptr[i] & 15];
    }
}
