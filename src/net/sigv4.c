/* Signature Version 4. HMAC keys are kept as the two hash states they start from, so a check costs
 * the hash of the body, of the canonical request, and two short HMAC ends. OpenSSL's plain SHA-256
 * calls are used: the fetching interface costs more than the hash at these lengths. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "net/sigv4.h"

#include "base/digest.h"
#include "base/mem.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>

#define KEY_CACHE 64u
#define SIGNED_MAX 64u
#define SKEW_MS (15u * 60u * 1000u)
#define PARTS 5u /* key id, date, region, service, terminator */

struct hmac_key {
    SHA256_CTX inner;
    SHA256_CTX outer;
};

struct cached_key {
    char name[256]; /* key id / date / region / service */
    size_t name_len;
    uint8_t secret_hash[SHA256_DIGEST_LENGTH]; /* a changed secret is another key */
    struct hmac_key key;
};

struct sigv4_context {
    struct cached_key keys[KEY_CACHE];
    unsigned next;
};

/* The Authorization header, taken apart. */
struct authorization {
    struct bytes credential[PARTS];
    struct bytes names[SIGNED_MAX];
    size_t name_count;
    struct bytes signed_list;
    struct bytes signature;
    struct bytes scope; /* date/region/service/terminator */
};

static void refuse(struct sigv4_result *result, enum sigv4_refusal refusal, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static bool read_authorization(struct bytes header, struct authorization *out,
                               struct sigv4_result *result);
static bool check_scope(const struct sigv4_policy *policy,
                        const struct authorization *authorization, struct bytes date,
                        struct sigv4_result *result);
static bool check_signed(const struct http_request *request,
                         const struct authorization *authorization, struct sigv4_result *result);
static bool is_signed(const struct authorization *authorization, struct bytes name);
static bool hash_canonical(const struct http_request *request,
                           const struct authorization *authorization, const char body_hash[64],
                           uint8_t out[32], struct sigv4_result *result);
static const struct hmac_key *signing_key(struct sigv4_context *context, struct bytes key_id,
                                          struct bytes secret, struct bytes date,
                                          struct bytes region, struct bytes service);
static bool parse_time(struct bytes text, uint64_t *ms);

/* ---- HMAC ---- */

static void hmac_key_init(struct hmac_key *key, const uint8_t *secret, size_t len)
{
    uint8_t block[64] = {0};
    uint8_t pad[64];
    if (len > sizeof(block)) {
        digest_sha256(bytes_of(secret, len), block);
    } else {
        memcpy(block, secret, len);
    }
    for (size_t i = 0; i < sizeof(pad); i++) {
        pad[i] = block[i] ^ 0x36;
    }
    SHA256_Init(&key->inner);
    SHA256_Update(&key->inner, pad, sizeof(pad));
    for (size_t i = 0; i < sizeof(pad); i++) {
        pad[i] = block[i] ^ 0x5c;
    }
    SHA256_Init(&key->outer);
    SHA256_Update(&key->outer, pad, sizeof(pad));
    OPENSSL_cleanse(block, sizeof(block));
    OPENSSL_cleanse(pad, sizeof(pad));
}

static void hmac(const struct hmac_key *key, struct bytes data, uint8_t out[32])
{
    SHA256_CTX state = key->inner;
    uint8_t inner[32];
    SHA256_Update(&state, data.ptr, data.len);
    SHA256_Final(inner, &state);
    state = key->outer;
    SHA256_Update(&state, inner, sizeof(inner));
    SHA256_Final(out, &state);
}

static void hex(const uint8_t *data, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[data[i] >> 4];
        out[2 * i + 1] = digits[data[i] & 15];
    }
}

struct sigv4_context *sigv4_context_new(void)
{
    return mem_zalloc(1, sizeof(struct sigv4_context));
}

void sigv4_context_free(struct sigv4_context *context)
{
    if (context != NULL) {
        OPENSSL_cleanse(context, sizeof(*context));
        mem_free(context);
    }
}

static const struct hmac_key *signing_key(struct sigv4_context *context, struct bytes key_id,
                                          struct bytes secret, struct bytes date,
                                          struct bytes region, struct bytes service)
{
    char name[256];
    uint8_t secret_hash[32];
    const struct bytes parts[] = {date, region, service, BYTES("aws4_request")};
    int len = snprintf(name, sizeof(name), "%.*s/%.*s/%.*s/%.*s", BYTES_FMT(key_id),
                       BYTES_FMT(date), BYTES_FMT(region), BYTES_FMT(service));
    size_t name_len = len < 0 ? 0 : (size_t)len;
    bool cacheable = name_len > 0 && name_len < sizeof(name);
    digest_sha256(secret, secret_hash);
    for (size_t i = 0; cacheable && i < KEY_CACHE; i++) {
        const struct cached_key *cached = &context->keys[i];
        if (cached->name_len == name_len && memcmp(cached->name, name, name_len) == 0 &&
            memcmp(cached->secret_hash, secret_hash, sizeof(secret_hash)) == 0) {
            return &cached->key;
        }
    }
    struct cached_key *fresh = &context->keys[context->next];
    context->next = (context->next + 1) % KEY_CACHE;
    fresh->name_len = cacheable ? name_len : 0;
    memcpy(fresh->name, name, cacheable ? name_len : 0);
    memcpy(fresh->secret_hash, secret_hash, sizeof(secret_hash));
    uint8_t chain[4 + 256];
    size_t secret_len = secret.len < 256 ? secret.len : 256;
    memcpy(chain, "AWS4", 4);
    memcpy(chain + 4, secret.ptr, secret_len);
    size_t chain_len = 4 + secret_len;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        uint8_t link[32];
        hmac_key_init(&fresh->key, chain, chain_len);
        hmac(&fresh->key, parts[i], link);
        memcpy(chain, link, sizeof(link));
        chain_len = sizeof(link);
    }
    hmac_key_init(&fresh->key, chain, chain_len);
    OPENSSL_cleanse(chain, sizeof(chain));
    return &fresh->key;
}

/* ---- checking ---- */

static void refuse(struct sigv4_result *result, enum sigv4_refusal refusal, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    result->refusal = refusal;
    vsnprintf(result->text, sizeof(result->text), format, list);
    va_end(list);
}

void sigv4_check(struct sigv4_context *context, const struct sigv4_policy *policy,
                 const struct http_request *request, struct sigv4_result *result)
{
    struct authorization authorization = {0};
    unsigned count;
    unsigned dates;
    uint64_t date_ms = 0;
    result->refusal = SIGV4_OK;
    result->text[0] = 0;
    result->key_id = BYTES_NONE;
    result->region = BYTES_NONE;
    struct bytes header = http_header_get(request, BYTES("authorization"), &count);
    if (count == 0 || header.len == 0) {
        refuse(result, SIGV4_MISSING, "Request is missing Authentication Token");
        return;
    }
    if (count > 1 || !read_authorization(header, &authorization, result)) {
        if (count > 1) {
            refuse(result, SIGV4_INCOMPLETE, "Authorization header requires to be given once.");
        }
        return;
    }
    struct bytes date = http_header_get(request, BYTES("x-amz-date"), &dates);
    if (dates != 1 || !parse_time(date, &date_ms)) {
        refuse(result, SIGV4_INCOMPLETE,
               "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' "
               "header in ISO 8601 basic format. Authorization=%.*s",
               (int)(header.len < 600 ? header.len : 600), header.ptr);
        return;
    }
    char body_hash[64];
    uint8_t digest[32];
    uint8_t canonical[32];
    char expected[64];
    digest_sha256(request->body, digest);
    hex(digest, 32, body_hash);
    if (!check_scope(policy, &authorization, date, result) ||
        !check_signed(request, &authorization, result)) {
        return;
    }
    if (date_ms + SKEW_MS < policy->now_ms || date_ms > policy->now_ms + SKEW_MS) {
        bool expired = date_ms < policy->now_ms;
        char now[32];
        char bound[32];
        struct tm parts;
        time_t now_s = (time_t)(policy->now_ms / 1000);
        time_t bound_s =
            expired ? now_s - (time_t)(SKEW_MS / 1000) : now_s + (time_t)(SKEW_MS / 1000);
        gmtime_r(&now_s, &parts);
        strftime(now, sizeof(now), "%Y%m%dT%H%M%SZ", &parts);
        gmtime_r(&bound_s, &parts);
        strftime(bound, sizeof(bound), "%Y%m%dT%H%M%SZ", &parts);
        refuse(result, SIGV4_INVALID,
               expired ? "Signature expired: %.*s is now earlier than %s (%s - 15 min.)"
                       : "Signature not yet current: %.*s is still later than %s (%s + 15 min.)",
               BYTES_FMT(date), bound, now);
        return;
    }
    struct bytes declared = http_header_get(request, BYTES("x-amz-content-sha256"), NULL);
    if (declared.len > 0 && (declared.len != 64 || memcmp(declared.ptr, body_hash, 64) != 0)) {
        refuse(
            result, SIGV4_INVALID,
            "The value of x-amz-content-sha256 is not the SHA-256 of the body that was received.");
        return;
    }
    struct bytes secret;
    bool known = policy->lookup(policy->lookup_arg, authorization.credential[0], &secret);
    if (!known) {
        secret = BYTES(
            "0000000000000000000000000000000000000000"); /* the same work, and never a match */
    }
    if (!hash_canonical(request, &authorization, body_hash, canonical, result)) {
        return;
    }
    char to_sign[512];
    char canonical_hex[64];
    hex(canonical, 32, canonical_hex);
    int len = snprintf(to_sign, sizeof(to_sign), "AWS4-HMAC-SHA256\n%.*s\n%.*s\n%.64s",
                       BYTES_FMT(date), BYTES_FMT(authorization.scope), canonical_hex);
    if (len < 0 || (size_t)len >= sizeof(to_sign)) {
        refuse(result, SIGV4_INCOMPLETE, "The credential scope is too long.");
        return;
    }
    const struct hmac_key *key = signing_key(
        context, known ? authorization.credential[0] : BYTES_NONE, secret,
        authorization.credential[1], authorization.credential[2], authorization.credential[3]);
    hmac(key, bytes_of(to_sign, (size_t)len), digest);
    hex(digest, 32, expected);
    bool same = authorization.signature.len == 64 &&
                CRYPTO_memcmp(expected, authorization.signature.ptr, 64) == 0;
    if (!known) {
        refuse(result, SIGV4_UNKNOWN_KEY, "The security token included in the request is invalid.");
    } else if (!same) {
        refuse(result, SIGV4_INVALID,
               "The request signature we calculated does not match the signature you provided. "
               "Check your AWS Secret Access "
               "Key and signing method. Consult the service documentation for details.");
    }
    result->key_id = authorization.credential[0];
    result->region = authorization.credential[2];
}

static struct bytes trim(struct bytes text)
{
    while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t')) {
        text = bytes_of(text.ptr + 1, text.len - 1);
    }
    while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t')) {
        text.len--;
    }
    return text;
}

/* Cuts the part before the separator off; the rest stays. */
static struct bytes cut(struct bytes *rest, uint8_t separator)
{
    const uint8_t *at = rest->len == 0 ? NULL : memchr(rest->ptr, separator, rest->len);
    size_t len = at == NULL ? rest->len : (size_t)(at - rest->ptr);
    struct bytes part = bytes_of(rest->ptr, len);
    size_t taken = at == NULL ? len : len + 1;
    *rest = bytes_of(rest->ptr + taken, rest->len - taken);
    return part;
}

static bool read_authorization(struct bytes header, struct authorization *out,
                               struct sigv4_result *result)
{
    const struct bytes algorithm = BYTES("AWS4-HMAC-SHA256");
    struct bytes credential = BYTES_NONE;
    int shown = (int)(header.len < 600 ? header.len : 600);
    if (!bytes_start_with(header, algorithm) ||
        (header.len > algorithm.len && header.ptr[algorithm.len] != ' ')) {
        struct bytes rest = header;
        struct bytes named = cut(&rest, ' ');
        refuse(result, SIGV4_INCOMPLETE, "Unsupported AWS 'algorithm': '%.*s'",
               (int)(named.len < 200 ? named.len : 200), named.ptr);
        return false;
    }
    struct bytes rest = bytes_of(header.ptr + algorithm.len, header.len - algorithm.len);
    while (rest.len > 0) {
        struct bytes value = trim(cut(&rest, ','));
        struct bytes name = cut(&value, '=');
        struct bytes *place = bytes_equal(name, BYTES("Credential"))      ? &credential
                              : bytes_equal(name, BYTES("SignedHeaders")) ? &out->signed_list
                              : bytes_equal(name, BYTES("Signature"))     ? &out->signature
                                                                          : NULL;
        if (place != NULL && place->ptr != NULL) {
            refuse(result, SIGV4_INCOMPLETE,
                   "Authorization header names '%.*s' more than once. Authorization=%.*s",
                   BYTES_FMT(name), shown, header.ptr);
            return false;
        }
        if (place != NULL) {
            *place = value;
        }
    }
    char missing[400] = "";
    size_t at = 0;
    const struct {
        const char *name;
        struct bytes value;
    } needed[] = {{"Credential", credential},
                  {"Signature", out->signature},
                  {"SignedHeaders", out->signed_list}};
    for (size_t i = 0; i < 3; i++) {
        if (needed[i].value.len == 0) {
            at +=
                (size_t)snprintf(missing + at, sizeof(missing) - at,
                                 "Authorization header requires '%s' parameter. ", needed[i].name);
        }
    }
    if (at > 0) {
        refuse(result, SIGV4_INCOMPLETE, "%sAuthorization=%.*s", missing, shown, header.ptr);
        return false;
    }
    rest = credential;
    for (size_t i = 0; i < PARTS; i++) {
        out->credential[i] = cut(&rest, '/');
    }
    size_t slashes = 0;
    for (size_t i = 0; i < credential.len; i++) {
        slashes += credential.ptr[i] == '/' ? 1 : 0;
    }
    if (slashes != PARTS - 1 || out->credential[0].len == 0 || out->credential[0].len > 128) {
        refuse(result, SIGV4_INCOMPLETE,
               "Credential must have exactly 5 slash-delimited elements, e.g. "
               "keyid/date/region/service/term, got '%.*s'",
               (int)(credential.len < 300 ? credential.len : 300), credential.ptr);
        return false;
    }
    out->scope = bytes_of(out->credential[1].ptr, credential.len - out->credential[0].len - 1);
    rest = out->signed_list;
    while (rest.len > 0) {
        if (out->name_count == SIGNED_MAX) {
            refuse(result, SIGV4_INCOMPLETE, "SignedHeaders names more than %u headers",
                   SIGNED_MAX);
            return false;
        }
        out->names[out->name_count++] = cut(&rest, ';');
    }
    return true;
}

static bool check_scope(const struct sigv4_policy *policy,
                        const struct authorization *authorization, struct bytes date,
                        struct sigv4_result *result)
{
    const struct bytes *parts = authorization->credential;
    if (policy->region.len > 0 && !bytes_equal(parts[2], policy->region)) {
        refuse(result, SIGV4_INVALID, "Credential should be scoped to a valid region, not '%.*s'. ",
               (int)(parts[2].len < 100 ? parts[2].len : 100), parts[2].ptr);
    } else if (parts[2].len == 0) {
        refuse(result, SIGV4_INVALID, "Credential should be scoped to a valid region, not ''. ");
    } else if (!bytes_equal(parts[3], policy->service)) {
        refuse(result, SIGV4_INVALID, "Credential should be scoped to correct service: '%.*s'. ",
               BYTES_FMT(policy->service));
    } else if (!bytes_equal(parts[4], BYTES("aws4_request"))) {
        refuse(result, SIGV4_INVALID,
               "Credential should be scoped with a valid terminator: 'aws4_request', not '%.*s'. ",
               (int)(parts[4].len < 100 ? parts[4].len : 100), parts[4].ptr);
    } else if (parts[1].len != 8 || memcmp(parts[1].ptr, date.ptr, 8) != 0) {
        refuse(result, SIGV4_INVALID,
               "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date "
               "from HTTP: '%.*s' != '%.8s', from '%.*s'.",
               (int)(parts[1].len < 100 ? parts[1].len : 100), parts[1].ptr, (const char *)date.ptr,
               BYTES_FMT(date));
    }
    return result->refusal == SIGV4_OK;
}

static bool is_signed(const struct authorization *authorization, struct bytes name)
{
    for (size_t i = 0; i < authorization->name_count; i++) {
        struct bytes listed = authorization->names[i];
        if (listed.len == name.len &&
            strncasecmp((const char *)listed.ptr, (const char *)name.ptr, name.len) == 0) {
            return true;
        }
    }
    return false;
}

/* host, x-amz-date and every other x-amz-* header that was sent must be under the signature. */
static bool check_signed(const struct http_request *request,
                         const struct authorization *authorization, struct sigv4_result *result)
{
    if (!is_signed(authorization, BYTES("host"))) {
        refuse(result, SIGV4_INVALID,
               "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.");
        return false;
    }
    for (size_t i = 0; i < request->header_count; i++) {
        struct bytes name = request->headers[i].name;
        if (name.len > 6 && strncasecmp((const char *)name.ptr, "x-amz-", 6) == 0 &&
            !is_signed(authorization, name)) {
            refuse(result, SIGV4_INVALID,
                   "'%.*s' must be a 'SignedHeader' in the AWS Authorization.",
                   (int)(name.len < 100 ? name.len : 100), name.ptr);
            return false;
        }
    }
    return true;
}

/* ---- the canonical request, hashed as it is made ---- */

static void put(SHA256_CTX *hash, struct bytes data)
{
    if (data.len > 0) {
        SHA256_Update(hash, data.ptr, data.len);
    }
}

/* Trimmed, inner runs of blanks as one. */
static void put_value(SHA256_CTX *hash, struct bytes value)
{
    value = trim(value);
    size_t start = 0;
    for (size_t i = 1; i < value.len; i++) {
        if (value.ptr[i] == ' ' && value.ptr[i - 1] == ' ') {
            put(hash, bytes_of(value.ptr + start, i - start));
            while (i < value.len && value.ptr[i] == ' ') {
                i++;
            }
            start = i;
        }
    }
    put(hash, bytes_of(value.ptr + start, value.len - start));
}

static int unhex(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Percent-decoded and encoded again by RFC 3986, so that one spelling has one signature. Returns
 * the length written. */
static size_t recode(struct bytes text, bool slashes, uint8_t *out)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c == '%' && i + 2 < text.len && unhex(text.ptr[i + 1]) >= 0 &&
            unhex(text.ptr[i + 2]) >= 0) {
            c = (uint8_t)(unhex(text.ptr[i + 1]) << 4 | unhex(text.ptr[i + 2]));
            i += 2;
        }
        bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_' || c == '.' || c == '~' || (slashes && c == '/');
        if (plain) {
            out[len++] = c;
        } else {
            out[len++] = '%';
            out[len++] = (uint8_t)digits[c >> 4];
            out[len++] = (uint8_t)digits[c & 15];
        }
    }
    return len;
}

#define QUERY_PAIRS_MAX 64u

static bool put_query(SHA256_CTX *hash, struct bytes query, struct arena *arena)
{
    struct bytes pairs[QUERY_PAIRS_MAX];
    size_t count = 0;
    while (query.len > 0) {
        struct bytes value = cut(&query, '&');
        struct bytes name = cut(&value, '=');
        uint8_t *text = arena_alloc(arena, 3 * (name.len + value.len) + 1);
        if (count == QUERY_PAIRS_MAX || text == NULL) {
            return false;
        }
        size_t len = recode(name, false, text);
        text[len++] = '=';
        len += recode(value, false, text + len);
        struct bytes pair = bytes_of(text, len);
        size_t at = count++;
        for (; at > 0 && bytes_compare(pairs[at - 1], pair) > 0; at--) {
            pairs[at] = pairs[at - 1];
        }
        pairs[at] = pair;
    }
    for (size_t i = 0; i < count; i++) {
        put(hash, i == 0 ? BYTES_NONE : BYTES("&"));
        put(hash, pairs[i]);
    }
    return true;
}

static bool hash_canonical(const struct http_request *request,
                           const struct authorization *authorization, const char body_hash[64],
                           uint8_t out[32], struct sigv4_result *result)
{
    SHA256_CTX hash;
    SHA256_Init(&hash);
    put(&hash, request->method_text);
    put(&hash, BYTES("\n"));
    if (bytes_equal(request->path, BYTES("/"))) {
        put(&hash, BYTES("/\n"));
    } else {
        uint8_t *path = arena_alloc(request->arena, 3 * request->path.len + 1);
        if (path == NULL) {
            refuse(result, SIGV4_INVALID, "The path is too long.");
            return false;
        }
        put(&hash, bytes_of(path, recode(request->path, true, path)));
        put(&hash, BYTES("\n"));
    }
    if (!put_query(&hash, request->query, request->arena)) {
        refuse(result, SIGV4_INVALID, "The query string has too many parameters.");
        return false;
    }
    put(&hash, BYTES("\n"));
    for (size_t i = 0; i < authorization->name_count; i++) {
        unsigned count;
        struct bytes name = authorization->names[i];
        struct bytes value = http_header_get(request, name, &count);
        if (count != 1) {
            refuse(result, SIGV4_INVALID, "The signed header '%.*s' was %s.",
                   (int)(name.len < 100 ? name.len : 100), name.ptr,
                   count == 0 ? "not sent" : "sent more than once");
            return false;
        }
        put(&hash, name);
        put(&hash, BYTES(":"));
        put_value(&hash, value);
        put(&hash, BYTES("\n"));
    }
    put(&hash, BYTES("\n"));
    put(&hash, authorization->signed_list);
    put(&hash, BYTES("\n"));
    put(&hash, bytes_of(body_hash, 64));
    SHA256_Final(out, &hash);
    return true;
}

/* "20150830T123600Z" */
static bool parse_time(struct bytes text, uint64_t *ms)
{
    if (text.len != 16 || text.ptr[8] != 'T' || text.ptr[15] != 'Z') {
        return false;
    }
    int digits[16];
    for (size_t i = 0; i < 15; i++) {
        digits[i] = text.ptr[i] - '0';
        if (i != 8 && (digits[i] < 0 || digits[i] > 9)) {
            return false;
        }
    }
    struct tm parts = {
        .tm_year = digits[0] * 1000 + digits[1] * 100 + digits[2] * 10 + digits[3] - 1900,
        .tm_mon = digits[4] * 10 + digits[5] - 1,
        .tm_mday = digits[6] * 10 + digits[7],
        .tm_hour = digits[9] * 10 + digits[10],
        .tm_min = digits[11] * 10 + digits[12],
        .tm_sec = digits[13] * 10 + digits[14],
    };
    time_t seconds = timegm(&parts);
    if (seconds < 0) {
        return false;
    }
    *ms = (uint64_t)seconds * 1000;
    return true;
}

/* ---- signing ---- */

enum err sigv4_sign(struct sigv4_context *context, const struct sigv4_sign_input *input,
                    struct buf *headers)
{
    char stamp[17];
    char body_hash[64];
    char canonical_hex[64];
    char signature[64];
    uint8_t digest[32];
    struct tm parts;
    time_t seconds = (time_t)(input->now_ms / 1000);
    gmtime_r(&seconds, &parts);
    strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &parts);
    bool targeted = input->target.len > 0;
    bool typed = input->content_type.len > 0;
    digest_sha256(input->body, digest);
    hex(digest, 32, body_hash);
    char list[80];
    snprintf(list, sizeof(list), "%shost;x-amz-date%s", typed ? "content-type;" : "",
             targeted ? ";x-amz-target" : "");
    struct buf canonical;
    buf_init(&canonical, 65536);
    buf_printf(&canonical, "%.*s\n%.*s\n%.*s\n", BYTES_FMT(input->method), BYTES_FMT(input->path),
               BYTES_FMT(input->query));
    if (typed) {
        buf_printf(&canonical, "content-type:%.*s\n", BYTES_FMT(input->content_type));
    }
    buf_printf(&canonical, "host:%.*s\nx-amz-date:%s\n", BYTES_FMT(input->host), stamp);
    if (targeted) {
        buf_printf(&canonical, "x-amz-target:%.*s\n", BYTES_FMT(input->target));
    }
    buf_printf(&canonical, "\n%s\n%.64s", list, body_hash);
    enum err err = buf_check(&canonical);
    if (err == OK) {
        digest_sha256(buf_bytes(&canonical), digest);
        hex(digest, 32, canonical_hex);
        char scope[256];
        char to_sign[512];
        snprintf(scope, sizeof(scope), "%.8s/%.*s/%.*s/aws4_request", stamp,
                 BYTES_FMT(input->region), BYTES_FMT(input->service));
        int len = snprintf(to_sign, sizeof(to_sign), "AWS4-HMAC-SHA256\n%s\n%s\n%.64s", stamp,
                           scope, canonical_hex);
        const struct hmac_key *key = signing_key(context, input->key_id, input->secret,
                                                 bytes_of(stamp, 8), input->region, input->service);
        hmac(key, bytes_of(to_sign, len < 0 ? 0 : (size_t)len), digest);
        hex(digest, 32, signature);
        buf_printf(headers,
                   "X-Amz-Date: %s\r\nAuthorization: AWS4-HMAC-SHA256 Credential=%.*s/%s, "
                   "SignedHeaders=%s, Signature=%.64s\r\n",
                   stamp, BYTES_FMT(input->key_id), scope, list, signature);
        err = buf_check(headers);
    }
    buf_fini(&canonical);
    return err;
}
