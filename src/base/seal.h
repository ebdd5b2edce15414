/* AES-256-GCM, by OpenSSL: what is sealed is secret, and opens only as it was sealed. */
#ifndef HW_BASE_SEAL_H
#define HW_BASE_SEAL_H

#include "base/arena.h"
#include "base/buf.h"

#define SEAL_KEY_LEN 32u
#define SEAL_NONCE_LEN 12u
#define SEAL_TAG_LEN 16u

/* Appends nonce, ciphertext and tag. The nonce must be of this seal alone (random). label is bound
 * to it and not in it. ERR_RANGE: out is full; ERR_NOMEM. */
MUST_USE enum err seal(const uint8_t key[SEAL_KEY_LEN], const uint8_t nonce[SEAL_NONCE_LEN],
                       struct bytes label, struct bytes plain, struct buf *out);
/* ERR_DAMAGED: another key, another label, or not as it was sealed. */
MUST_USE enum err seal_open(const uint8_t key[SEAL_KEY_LEN], struct bytes label,
                            struct bytes sealed, struct arena *arena, struct bytes *plain);

#endif
