/* Signature Version 4 for a client that sends the same few kinds of request very often. Everything
 * that does not change within a second is hashed once a second, and a request pays for its body and
 * four more blocks. This is a second implementation beside net's on purpose: a driver that shared
 * the server's code could not notice its mistakes. */
#ifndef HW_BENCH_SIGN_H
#define HW_BENCH_SIGN_H

/* EVP costs more per call than hashing a short text does. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/bytes.h"

#include <openssl/sha.h>

#define SIGN_HEX_LEN 64u
#define SIGN_TIME_LEN 16u

struct sign_hmac {
    SHA256_CTX inner;
    SHA256_CTX outer;
};

struct signer {
    struct bytes key_id; /* the four are borrowed */
    struct bytes secret;
    struct bytes region;
    struct bytes service;
    char time[SIGN_TIME_LEN + 1]; /* 20150830T123600Z */
    char scope[128];              /* 20150830/us-east-1/dynamodb/aws4_request */
    uint64_t second;
    struct sign_hmac key; /* the day's key; inner has taken all of the string to sign but the end */
};

/* What the requests of one kind share within one second. */
struct sign_prefix {
    SHA256_CTX canonical; /* the canonical request up to the body's hash */
};

void signer_init(struct signer *signer, struct bytes key_id, struct bytes secret,
                 struct bytes region, struct bytes service);
/* True if the second changed: prefixes and the texts that carry time must be made again. */
bool signer_set_time(struct signer *signer, uint64_t wall_ms);
void signer_prefix(const struct signer *signer, struct bytes host, struct bytes content_type,
                   struct bytes target, struct sign_prefix *prefix);
/* Of a POST to / with the signed headers content-type;host;x-amz-date;x-amz-target. */
void signer_sign(const struct signer *signer, const struct sign_prefix *prefix, struct bytes body,
                 char out[SIGN_HEX_LEN]);

#endif
