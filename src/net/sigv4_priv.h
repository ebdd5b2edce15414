/* Inside net's signatures: the canonical form of a request's target, times, and keys. */
#ifndef HW_NET_SIGV4_PRIV_H
#define HW_NET_SIGV4_PRIV_H

#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/assert.h"
#include "net/sigv4.h"

#include <openssl/sha.h>

#define STAMP_LEN 16u                /* 20150830T123600Z */
#define QUERY_PAIRS_MAX ((size_t)64) /* of one query string */
#define TO_SIGN_MAX 512u
#define CREDENTIAL_MAX 256u
#define SECRET_MAX 256u

/* An HMAC key as the two hash states it starts from. */
struct hmac_key {
    SHA256_CTX inner;
    SHA256_CTX outer;
};

struct cached_key {
    uint8_t credential[CREDENTIAL_MAX]; /* id/date/region/service/aws4_request */
    size_t credential_len;              /* 0: free */
    uint8_t secret[SECRET_MAX];         /* a changed secret makes another key */
    size_t secret_len;
    struct hmac_key key;
};

/* Text being put together in memory whose size was reckoned before: `end` says that it was right.
 */
struct text {
    uint8_t *at;
    const uint8_t *end;
};

static inline void text_add(struct text *text, struct bytes data)
{
    ASSERT(data.len <= (size_t)(text->end - text->at));
    if (data.len > 0) {
        memcpy(text->at, data.ptr, data.len);
        text->at += data.len;
    }
}

static inline void text_add_byte(struct text *text, uint8_t byte)
{
    ASSERT(text->at < text->end);
    *text->at++ = byte;
}

/* ---- canonical.c ---- */

/* The most that the canonical forms of these take, the work of sorting included. */
size_t canonical_room(struct bytes path, struct bytes query);
/* Dots and doubled slashes taken out, then each byte encoded as RFC 3986 has it: what was already
 * encoded is encoded again, as AWS's clients do for every service but S3. */
void canonical_path(struct text *text, struct bytes path);
/* Decoded, encoded again and sorted by name and value. False: more than QUERY_PAIRS_MAX. */
bool canonical_query(struct text *text, struct bytes query);
/* Trimmed, inner runs of blanks as one. */
void canonical_value(struct text *text, struct bytes value);
/* "20150830T123600Z", a real date. */
bool stamp_parse(struct bytes text, uint64_t *ms);
void stamp_format(uint64_t ms, char stamp[STAMP_LEN + 1]);

/* ---- sigv4.c ---- */

void hmac(const struct hmac_key *key, struct bytes data, uint8_t out[SHA256_DIGEST_LENGTH]);
/* The key of a credential: the cached one, or it is derived into *scratch and *found is false.
 * parts: date, region, service, terminator. */
const struct hmac_key *signing_key(struct sigv4_context *context, struct bytes credential,
                                   struct bytes secret, const struct bytes parts[4],
                                   struct hmac_key *scratch, bool *found);
/* Keeps a derived key that proved right. */
void signing_key_keep(struct sigv4_context *context, struct bytes credential, struct bytes secret,
                      const struct hmac_key *key);
/* The string that is signed: its length. 0: the scope is too long. */
size_t string_to_sign(struct bytes stamp, struct bytes scope, struct bytes canonical,
                      uint8_t out[TO_SIGN_MAX]);

#endif
