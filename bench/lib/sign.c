/* SHA-256 states are copied where AWS's description concatenates: a state that has taken a text
 * stands for every longer text that begins so. */
#include "lib/sign.h"

#include "base/digest.h"

#include <stdio.h>
#include <time.h>

static void hmac_init(struct sign_hmac *hmac, struct bytes key);
static void hmac_end(const struct sign_hmac *hmac, struct bytes text, uint8_t out[SHA256_LEN]);
static void add(SHA256_CTX *state, struct bytes text);
static void derive_key(struct signer *signer, struct bytes day, struct sign_hmac *key);

void signer_init(struct signer *signer, struct bytes key_id, struct bytes secret,
                 struct bytes region, struct bytes service)
{
    *signer =
        (struct signer){.key_id = key_id, .secret = secret, .region = region, .service = service};
    signer->second = UINT64_MAX;
}

bool signer_set_time(struct signer *signer, uint64_t wall_ms)
{
    if (wall_ms / 1000 == signer->second) {
        return false;
    }
    signer->second = wall_ms / 1000;
    time_t seconds = (time_t)signer->second;
    struct tm utc;
    gmtime_r(&seconds, &utc);
    (void)strftime(signer->time, sizeof(signer->time), "%Y%m%dT%H%M%SZ", &utc);
    snprintf(signer->scope, sizeof(signer->scope), "%.8s/%.*s/%.*s/aws4_request", signer->time,
             BYTES_FMT(signer->region), BYTES_FMT(signer->service));
    derive_key(signer, bytes_of(signer->time, 8), &signer->key);
    add(&signer->key.inner, BYTES("AWS4-HMAC-SHA256\n"));
    add(&signer->key.inner, bytes_cstr(signer->time));
    add(&signer->key.inner, BYTES("\n"));
    add(&signer->key.inner, bytes_cstr(signer->scope));
    add(&signer->key.inner, BYTES("\n"));
    return true;
}

void signer_prefix(const struct signer *signer, struct bytes host, struct bytes content_type,
                   struct bytes target, struct sign_prefix *prefix)
{
    SHA256_CTX *state = &prefix->canonical;
    SHA256_Init(state);
    add(state, BYTES("POST\n/\n\ncontent-type:"));
    add(state, content_type);
    add(state, BYTES("\nhost:"));
    add(state, host);
    add(state, BYTES("\nx-amz-date:"));
    add(state, bytes_cstr(signer->time));
    add(state, BYTES("\nx-amz-target:"));
    add(state, target);
    add(state, BYTES("\n\ncontent-type;host;x-amz-date;x-amz-target\n"));
}

void signer_sign(const struct signer *signer, const struct sign_prefix *prefix, struct bytes body,
                 char out[SIGN_HEX_LEN])
{
    uint8_t digest[SHA256_LEN];
    char hex[SHA256_HEX_LEN];
    SHA256_CTX state;
    SHA256_Init(&state);
    add(&state, body);
    SHA256_Final(digest, &state);
    digest_hex(bytes_of(digest, sizeof(digest)), hex);
    state = prefix->canonical;
    add(&state, bytes_of(hex, sizeof(hex)));
    SHA256_Final(digest, &state);
    digest_hex(bytes_of(digest, sizeof(digest)), hex);
    hmac_end(&signer->key, bytes_of(hex, sizeof(hex)), digest);
    digest_hex(bytes_of(digest, sizeof(digest)), out);
}

static void derive_key(struct signer *signer, struct bytes day, struct sign_hmac *key)
{
    char first[256];
    uint8_t digest[SHA256_LEN];
    const struct bytes parts[] = {day, signer->region, signer->service, BYTES("aws4_request")};
    int len = snprintf(first, sizeof(first), "AWS4%.*s", BYTES_FMT(signer->secret));
    hmac_init(key, bytes_of(first, (size_t)len));
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        hmac_end(key, parts[i], digest);
        hmac_init(key, bytes_of(digest, sizeof(digest)));
    }
}

/* RFC 2104: the states after the two padded keys. */
static void hmac_init(struct sign_hmac *hmac, struct bytes key)
{
    uint8_t digest[SHA256_LEN];
    uint8_t inner[SHA256_CBLOCK];
    uint8_t outer[SHA256_CBLOCK];
    if (key.len > SHA256_CBLOCK) {
        digest_sha256(key, digest);
        key = bytes_of(digest, sizeof(digest));
    }
    for (size_t i = 0; i < SHA256_CBLOCK; i++) {
        uint8_t byte = i < key.len ? key.ptr[i] : 0;
        inner[i] = byte ^ 0x36;
        outer[i] = byte ^ 0x5c;
    }
    SHA256_Init(&hmac->inner);
    SHA256_Update(&hmac->inner, inner, sizeof(inner));
    SHA256_Init(&hmac->outer);
    SHA256_Update(&hmac->outer, outer, sizeof(outer));
}

static void hmac_end(const struct sign_hmac *hmac, struct bytes text, uint8_t out[SHA256_LEN])
{
    SHA256_CTX state = hmac->inner;
    add(&state, text);
    SHA256_Final(out, &state);
    state = hmac->outer;
    SHA256_Update(&state, out, SHA256_LEN);
    SHA256_Final(out, &state);
}

static void add(SHA256_CTX *state, struct bytes text)
{
    SHA256_Update(state, text.ptr, text.len);
}
