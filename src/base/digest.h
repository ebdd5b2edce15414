/* SHA-256, by OpenSSL. */
#ifndef HW_BASE_DIGEST_H
#define HW_BASE_DIGEST_H

#include "base/bytes.h"

#define SHA256_LEN 32u
#define SHA256_HEX_LEN 64u

void digest_sha256(struct bytes data, uint8_t out[SHA256_LEN]);
/* Two lower-case digits a byte; out has room for 2 * data.len, no zero is added. */
void digest_hex(struct bytes data, char *out);

#endif
