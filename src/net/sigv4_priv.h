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
#define SIGNED_MAX 64u  /* names in one signature's list */
#define SCOPE_PARTS 5u  /* key id, date, region, service, terminator */
#define SKEW_MS 900000u /* 15 minutes */
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

/* What a request says of its signature, in its Authorization header or its query string. */
struct authorization {
    struct bytes header; /* the whole of it; empty for the query form */
    bool in_query;
    struct bytes algorithm;
    struct bytes credential;
    struct bytes parts[SCOPE_PARTS];
    struct bytes scope; /* date/region/service/terminator */
    struct bytes signed_list;
    struct bytes signature;
    struct bytes date;    /* of the query form */
    uint64_t lifetime_ms; /* from its date on */
    size_t name_count;
    struct bytes names[SIGNED_MAX];
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
/* Decoded, encoded again and sorted by name and value, without the pairs of one name (NONE: all).
 * False: more than QUERY_PAIRS_MAX. */
bool canonical_query(struct text *text, struct bytes query, struct bytes without);
/* A name or value with its escapes taken out, in the arena; ptr NULL: no memory. */
struct bytes query_decode(struct arena *arena, struct bytes data);
/* Trimmed, inner runs of blanks as one. */
void canonical_value(struct text *text, struct bytes value);
/* "20150830T123600Z", a real date. */
bool stamp_parse(struct bytes text, uint64_t *ms);
void stamp_format(uint64_t ms, char stamp[STAMP_LEN + 1]);

/* ---- sigv4.c ---- */

/* Notes a refusal. The text goes into a JSON answer: what is not ASCII becomes '?'. */
void sigv4_refuse(struct sigv4_result *result, enum sigv4_refusal refusal, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* For "%.*s" of what the caller sent. A pointer of nothing goes with the length 0. */
#define QUOTED(text, max) (int)((text).len < (max) ? (text).len : (max)), (const char *)(text).ptr
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

/* ---- sigv4_query.c ---- */

/* Is it a presigned request? */
bool sigv4_is_presigned(const struct http_request *request);
/* Its parameters; *out was zeroed. */
bool sigv4_read_query(const struct http_request *request, struct authorization *out,
                      struct sigv4_result *result);

#endif
