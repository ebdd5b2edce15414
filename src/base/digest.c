/* One-shot digests. */
#include "base/digest.h"

#include "base/assert.h"

#include <openssl/evp.h>

void digest_sha256(struct bytes data, uint8_t out[SHA256_LEN])
{
    unsigned len = 0;
    int done = EVP_Digest(data.ptr, data.len, out, &len, EVP_sha256(), NULL);
    ASSERT(done == 1 && len == SHA256_LEN);
}

void digest_hex(struct bytes data, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < data.len; i++) {
        out[2 * i] = digits[data.ptr[i] >> 4];
        out[2 * i + 1] = digits[data.ptr[i] & 15];
    }
}
