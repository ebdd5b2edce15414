/* Checking Signature Version 4. HMAC keys are kept as the two hash states they start from, so a
 * check costs the hash of the body, of the canonical request, and two short HMAC ends. OpenSSL's
 * plain SHA-256 calls are used: the fetching interface costs more than the hash at these lengths.
 *
 * A derived key is kept only when it proved right, so that made-up credentials cannot push the real
 * ones out (net I7). */
#include "net/sigv4_priv.h"

#include "base/digest.h"
#include "base/mem.h"
#include "base/owner.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>

#define KEY_CACHE 64u
#define SECONDS_MAX 253402300799 /* the end of 9999: a leap second behind it has no stamp */
#define QUOTED_MAX 600u          /* of what the caller sent, in a refusal */

struct sigv4_context {
    struct owner owner;
    unsigned last; /* found last time */
    unsigned next; /* the next one to be replaced */
    struct cached_key keys[KEY_CACHE];
};

static bool read_authorization(const struct http_request *request, struct authorization *out,
                               struct sigv4_result *result);
static bool split_credential(struct authorization *out, struct sigv4_result *result);
static bool check_algorithm(const struct authorization *authorization, struct sigv4_result *result);
static bool read_date(const struct http_request *request, const struct authorization *authorization,
                      char stamp[STAMP_LEN + 1], uint64_t *ms, struct sigv4_result *result);
static bool check_scope(const struct sigv4_policy *policy,
                        const struct authorization *authorization, struct bytes stamp,
                        struct sigv4_result *result);
static bool check_signed(const struct http_request *request,
                         const struct authorization *authorization, struct sigv4_result *result);
static bool check_age(const struct sigv4_policy *policy, const struct authorization *authorization,
                      struct bytes stamp, uint64_t date_ms, struct sigv4_result *result);
static bool check_body(const struct http_request *request, char body_hash[SHA256_HEX_LEN],
                       struct sigv4_result *result);
static bool make_canonical(const struct http_request *request,
                           const struct authorization *authorization, struct bytes body_hash,
                           struct bytes *out, struct sigv4_result *result);
static bool check_signature(struct sigv4_context *context, struct bytes secret, bool known,
                            const struct authorization *authorization, struct bytes to_sign);
static void refuse_signature(struct sigv4_result *result, struct bytes canonical,
                             struct bytes to_sign);

/* ---- keys ---- */

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

void hmac(const struct hmac_key *key, struct bytes data, uint8_t out[SHA256_DIGEST_LENGTH])
{
    SHA256_CTX state = key->inner;
    uint8_t inner[SHA256_DIGEST_LENGTH];
    SHA256_Update(&state, data.ptr, data.len);
    SHA256_Final(inner, &state);
    state = key->outer;
    SHA256_Update(&state, inner, sizeof(inner));
    SHA256_Final(out, &state);
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

static bool is_key_of(const struct cached_key *cached, struct bytes credential, struct bytes secret)
{
    return bytes_equal(bytes_of(cached->credential, cached->credential_len), credential) &&
           bytes_equal(bytes_of(cached->secret, cached->secret_len), secret);
}

const struct hmac_key *signing_key(struct sigv4_context *context, struct bytes credential,
                                   struct bytes secret, const struct bytes parts[4],
                                   struct hmac_key *scratch, bool *found)
{
    ASSERT_OWNER(&context->owner);
    for (unsigned i = 0; i < KEY_CACHE; i++) {
        unsigned at = (context->last + i) % KEY_CACHE;
        if (is_key_of(&context->keys[at], credential, secret)) {
            context->last = at;
            *found = true;
            return &context->keys[at].key;
        }
    }
    *found = false;
    uint8_t chain[4 + SECRET_MAX] = {'A', 'W', 'S', '4'};
    size_t chain_len = 4 + (secret.len < SECRET_MAX ? secret.len : SECRET_MAX);
    memcpy(chain + 4, secret.ptr, chain_len - 4);
    for (size_t i = 0; i < 4; i++) {
        hmac_key_init(scratch, chain, chain_len);
        hmac(scratch, parts[i], chain);
        chain_len = SHA256_DIGEST_LENGTH;
    }
    hmac_key_init(scratch, chain, chain_len);
    OPENSSL_cleanse(chain, sizeof(chain));
    return scratch;
}

void signing_key_keep(struct sigv4_context *context, struct bytes credential, struct bytes secret,
                      const struct hmac_key *key)
{
    ASSERT_OWNER(&context->owner);
    if (credential.len > CREDENTIAL_MAX || secret.len > SECRET_MAX) {
        return;
    }
    struct cached_key *fresh = &context->keys[context->next];
    context->last = context->next;
    context->next = (context->next + 1) % KEY_CACHE;
    memcpy(fresh->credential, credential.ptr, credential.len);
    fresh->credential_len = credential.len;
    memcpy(fresh->secret, secret.ptr, secret.len);
    fresh->secret_len = secret.len;
    fresh->key = *key;
}

size_t string_to_sign(struct bytes stamp, struct bytes scope, struct bytes canonical,
                      uint8_t out[TO_SIGN_MAX])
{
    const struct bytes algorithm = BYTES("AWS4-HMAC-SHA256\n");
    uint8_t digest[SHA256_LEN];
    struct text text = {out, out + TO_SIGN_MAX};
    if (algorithm.len + stamp.len + 1 + scope.len + 1 + SHA256_HEX_LEN > TO_SIGN_MAX) {
        return 0;
    }
    digest_sha256(canonical, digest);
    text_add(&text, algorithm);
    text_add(&text, stamp);
    text_add_byte(&text, '\n');
    text_add(&text, scope);
    text_add_byte(&text, '\n');
    digest_hex(bytes_of(digest, sizeof(digest)), (char *)text.at);
    return (size_t)(text.at - out) + SHA256_HEX_LEN;
}

/* ---- checking ---- */

void sigv4_check(struct sigv4_context *context, const struct sigv4_policy *policy,
                 const struct http_request *request, struct sigv4_result *result)
{
    struct authorization authorization;
    char stamp_text[STAMP_LEN + 1] = {0};
    char body_hash[SHA256_HEX_LEN];
    uint8_t to_sign[TO_SIGN_MAX];
    uint64_t date_ms;
    struct bytes canonical;
    const struct bytes stamp = bytes_of(stamp_text, STAMP_LEN);
    result->refusal = SIGV4_OK;
    result->text[0] = 0;
    result->key_id = BYTES_NONE;
    result->region = BYTES_NONE;
    if (!read_authorization(request, &authorization, result) ||
        !read_date(request, &authorization, stamp_text, &date_ms, result) ||
        !check_age(policy, &authorization, stamp, date_ms, result) ||
        !check_signed(request, &authorization, result) ||
        !check_algorithm(&authorization, result) || !split_credential(&authorization, result) ||
        !check_scope(policy, &authorization, stamp, result) ||
        !check_body(request, body_hash, result) ||
        !make_canonical(request, &authorization, bytes_of(body_hash, sizeof(body_hash)), &canonical,
                        result)) {
        return;
    }
    size_t len = string_to_sign(stamp, authorization.scope, canonical, to_sign);
    if (len == 0) {
        sigv4_refuse(result, SIGV4_INCOMPLETE, "The credential scope is too long.");
        return;
    }
    struct bytes secret;
    bool known = policy->lookup(policy->lookup_arg, authorization.parts[0], &secret) &&
                 secret.len <= SECRET_MAX;
    if (!known) {
        secret = BYTES("0000000000000000000000000000000000000000"); /* the same work */
    }
    bool same = check_signature(context, secret, known, &authorization, bytes_of(to_sign, len));
    if (!known) {
        sigv4_refuse(result, SIGV4_UNKNOWN_KEY,
                     "The security token included in the request is invalid.");
    } else if (!same) {
        refuse_signature(result, canonical, bytes_of(to_sign, len));
    }
    result->key_id = authorization.parts[0];
    result->region = authorization.parts[2];
}

static bool check_signature(struct sigv4_context *context, struct bytes secret, bool known,
                            const struct authorization *authorization, struct bytes to_sign)
{
    struct hmac_key scratch;
    uint8_t digest[SHA256_LEN];
    char expected[SHA256_HEX_LEN];
    bool found;
    const struct hmac_key *key = signing_key(context, authorization->credential, secret,
                                             authorization->parts + 1, &scratch, &found);
    hmac(key, to_sign, digest);
    digest_hex(bytes_of(digest, sizeof(digest)), expected);
    bool same = authorization->signature.len == sizeof(expected) &&
                CRYPTO_memcmp(expected, authorization->signature.ptr, sizeof(expected)) == 0;
    if (known && same && !found) {
        signing_key_keep(context, authorization->credential, secret, key);
    }
    OPENSSL_cleanse(&scratch, found ? 0 : sizeof(scratch));
    return known && same;
}

/* ---- refusals ---- */

void sigv4_refuse(struct sigv4_result *result, enum sigv4_refusal refusal, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    result->refusal = refusal;
    vsnprintf(result->text, sizeof(result->text), format, list);
    va_end(list);
    for (char *at = result->text; *at != 0; at++) {
        if ((*at < ' ' || *at > '~') && *at != '\n') {
            *at = '?';
        }
    }
}

/* Both strings are told, as AWS does, since a client's author sees from them what differs. They
 * hold nothing that the caller did not send. */
static void refuse_signature(struct sigv4_result *result, struct bytes canonical,
                             struct bytes to_sign)
{
    sigv4_refuse(
        result, SIGV4_INVALID,
        "The request signature we calculated does not match the signature you provided. Check "
        "your AWS Secret Access Key and signing method. Consult the service documentation for "
        "details.\n\nThe Canonical String for this request should have been\n'%.*s'\n\nThe "
        "String-to-Sign should have been\n'%.*s'\n",
        QUOTED(canonical, 2048u), BYTES_FMT(to_sign));
}

/* ---- the parts ---- */

static bool is_between(uint8_t byte)
{
    return byte == ',' || byte == ' ' || byte == '\t';
}

/* What stands between commas and blanks; an empty one at the end. */
static struct bytes cut_field(struct bytes *fields, const char *between)
{
    while (fields->len > 0 && is_between(fields->ptr[0])) {
        *fields = bytes_of(fields->ptr + 1, fields->len - 1);
    }
    size_t len = fields->len;
    for (; *between != 0 && len > 0; between++) {
        const uint8_t *at = memchr(fields->ptr, *between, len);
        len = at == NULL ? len : (size_t)(at - fields->ptr);
    }
    struct bytes field = bytes_of(fields->ptr, len);
    len += len < fields->len;
    *fields = bytes_of(fields->ptr + len, fields->len - len);
    return field;
}

/* "Credential=..., SignedHeaders=..., Signature=...", in any order, with commas, blanks or both
 * between them, as AWS takes them. */
static bool read_fields(struct bytes fields, struct authorization *out, struct sigv4_result *result)
{
    bool tabs = fields.len > 0 && memchr(fields.ptr, '\t', fields.len) != NULL; /* rare */
    while (fields.len > 0) {
        struct bytes value = cut_field(&fields, tabs ? ", \t" : ", ");
        struct bytes name = bytes_cut(&value, '=');
        struct bytes *place = bytes_equal(name, BYTES("Credential"))      ? &out->credential
                              : bytes_equal(name, BYTES("SignedHeaders")) ? &out->signed_list
                              : bytes_equal(name, BYTES("Signature"))     ? &out->signature
                                                                          : NULL;
        if (place != NULL && place->ptr != NULL) {
            sigv4_refuse(result, SIGV4_INCOMPLETE,
                         "Authorization header names '%.*s' more than once. Authorization=%.*s",
                         BYTES_FMT(name), QUOTED(out->header, QUOTED_MAX));
            return false;
        }
        if (place != NULL) {
            *place = value;
        }
    }
    return true;
}

/* All that is missing is told together. */
static bool check_fields(const struct http_request *request, const struct authorization *out,
                         struct sigv4_result *result)
{
    unsigned dates;
    unsigned stamps;
    (void)http_header_get(request, BYTES("date"), &dates);
    (void)http_header_get(request, BYTES("x-amz-date"), &stamps);
    if (out->credential.len > 0 && out->signature.len > 0 && out->signed_list.len > 0 &&
        dates + stamps > 0) {
        return true;
    }
    sigv4_refuse(
        result, SIGV4_INCOMPLETE, "%s%s%s%sAuthorization=%.*s",
        out->credential.len > 0 ? "" : "Authorization header requires 'Credential' parameter. ",
        out->signature.len > 0 ? "" : "Authorization header requires 'Signature' parameter. ",
        out->signed_list.len > 0 ? "" : "Authorization header requires 'SignedHeaders' parameter. ",
        dates + stamps > 0 ? ""
                           : "Authorization header requires existence of either a 'X-Amz-Date' "
                             "or a 'Date' header. ",
        QUOTED(out->header, QUOTED_MAX));
    return false;
}

static bool split_credential(struct authorization *out, struct sigv4_result *result)
{
    struct bytes rest = out->credential;
    size_t len =
        SCOPE_PARTS - 1; /* with just so many slashes between them the parts make the whole */
    for (size_t i = 0; i < SCOPE_PARTS; i++) {
        out->parts[i] = bytes_cut(&rest, '/');
        len += out->parts[i].len;
    }
    if (len != out->credential.len || out->parts[0].len == 0 || out->parts[0].len > 128) {
        sigv4_refuse(result, SIGV4_INCOMPLETE,
                     "Credential must have exactly 5 slash-delimited elements, e.g. "
                     "keyid/date/region/service/term, got '%.*s'",
                     QUOTED(out->credential, 300u));
        return false;
    }
    out->scope = bytes_of(out->parts[1].ptr, out->credential.len - out->parts[0].len - 1);
    return true;
}

static bool split_names(struct authorization *out, struct sigv4_result *result)
{
    struct bytes rest = out->signed_list;
    while (rest.len > 0) {
        if (out->name_count == SIGNED_MAX) {
            sigv4_refuse(result, SIGV4_INCOMPLETE, "SignedHeaders names more than %u headers",
                         SIGNED_MAX);
            return false;
        }
        out->names[out->name_count++] = bytes_cut(&rest, ';');
    }
    return true;
}

static bool read_authorization(const struct http_request *request, struct authorization *out,
                               struct sigv4_result *result)
{
    unsigned count;
    bool presigned = sigv4_is_presigned(request);
    memset(out, 0, offsetof(struct authorization, names));
    out->header = http_header_get(request, BYTES("authorization"), &count);
    if (presigned && count == 0) {
        return sigv4_read_query(request, out, result) && split_names(out, result);
    }
    struct bytes fields = out->header;
    if (!bytes_start_with(fields, BYTES("AWS4-"))) {
        sigv4_refuse(result, SIGV4_MISSING, "Request is missing Authentication Token");
        return false;
    }
    if (count > 1) {
        sigv4_refuse(result, SIGV4_INCOMPLETE, "Authorization header requires to be given once.");
        return false;
    }
    if (presigned) {
        sigv4_refuse(result, SIGV4_INVALID,
                     "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as "
                     "HTTP header.");
        return false;
    }
    out->algorithm = bytes_cut(&fields, ' ');
    return read_fields(fields, out, result) && check_fields(request, out, result) &&
           split_names(out, result);
}

static bool check_algorithm(const struct authorization *authorization, struct sigv4_result *result)
{
    if (bytes_equal(authorization->algorithm, BYTES("AWS4-HMAC-SHA256"))) {
        return true;
    }
    sigv4_refuse(result, SIGV4_INCOMPLETE,
                 "Unsupported AWS 'algorithm': '%.*s' (only AWS4-HMAC-SHA256 for now). ",
                 QUOTED(authorization->algorithm, 200u));
    return false;
}

/* Of a header: X-Amz-Date, else Date, which may also be in HTTP's own form. */
static bool read_date(const struct http_request *request, const struct authorization *authorization,
                      char stamp[STAMP_LEN + 1], uint64_t *ms, struct sigv4_result *result)
{
    unsigned count = 1;
    struct bytes given = authorization->in_query
                             ? authorization->date
                             : http_header_get(request, BYTES("x-amz-date"), &count);
    struct bytes date = given;
    if (count == 0) {
        given = date = http_header_get(request, BYTES("date"), &count);
        char text[40];
        struct tm parts = {0};
        snprintf(text, sizeof(text), "%.*s", QUOTED(date, sizeof(text) - 1));
        const char *end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
        time_t seconds = end != NULL && *end == 0 ? timegm(&parts) : -1;
        if (seconds >= 0 && seconds <= SECONDS_MAX) {
            stamp_format((uint64_t)seconds * 1000, stamp);
            date = bytes_of(stamp, STAMP_LEN);
        }
    }
    if (count != 1 || !stamp_parse(date, ms)) {
        sigv4_refuse(result, SIGV4_INCOMPLETE,
                     "Date must be in ISO-8601 'basic format'. Got '%.*s'. See "
                     "http://en.wikipedia.org/wiki/ISO_8601",
                     QUOTED(given, 100u));
        return false;
    }
    memmove(stamp, date.ptr, STAMP_LEN);
    return true;
}

/* All parts of the scope are looked at, and what does not fit is told together. */
static bool check_scope(const struct sigv4_policy *policy,
                        const struct authorization *authorization, struct bytes stamp,
                        struct sigv4_result *result)
{
    const struct bytes *parts = authorization->parts;
    char region[200] = "";
    char service[200] = "";
    char terminator[200] = "";
    char date[400] = "";
    if (parts[2].len == 0 || (policy->region.len > 0 && !bytes_equal(parts[2], policy->region))) {
        snprintf(region, sizeof(region),
                 "Credential should be scoped to a valid region, not '%.*s'. ",
                 QUOTED(parts[2], 100u));
    }
    if (!bytes_equal(parts[3], policy->service)) {
        snprintf(service, sizeof(service),
                 "Credential should be scoped to correct service: '%.*s'. ",
                 BYTES_FMT(policy->service));
    }
    if (!bytes_equal(parts[4], BYTES("aws4_request"))) {
        snprintf(terminator, sizeof(terminator),
                 "Credential should be scoped with a valid terminator: 'aws4_request', not "
                 "'%.*s'. ",
                 QUOTED(parts[4], 80u));
    }
    if (!bytes_equal(parts[1], bytes_of(stamp.ptr, 8))) {
        snprintf(date, sizeof(date),
                 "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date "
                 "from HTTP: '%.*s' != '%.8s', from '%.*s'.",
                 QUOTED(parts[1], 100u), (const char *)stamp.ptr, BYTES_FMT(stamp));
    }
    if (region[0] != 0 || service[0] != 0 || terminator[0] != 0 || date[0] != 0) {
        sigv4_refuse(result, SIGV4_INVALID, "%s%s%s%s", region, service, terminator, date);
    }
    return result->refusal == SIGV4_OK;
}

static bool is_signed(const struct authorization *authorization, struct bytes name)
{
    for (size_t i = 0; i < authorization->name_count; i++) {
        if (bytes_equal_nocase(authorization->names[i], name)) {
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
        sigv4_refuse(result, SIGV4_INVALID,
                     "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.");
        return false;
    }
    for (size_t i = 0; i < request->header_count; i++) {
        struct bytes name = request->headers[i].name;
        if (name.len > 6 && bytes_equal_nocase(bytes_of(name.ptr, 6), BYTES("x-amz-")) &&
            !is_signed(authorization, name)) {
            sigv4_refuse(result, SIGV4_INVALID,
                         "'%.*s' must be a 'SignedHeader' in the AWS Authorization.",
                         QUOTED(name, 100u));
            return false;
        }
    }
    return true;
}

static bool check_age(const struct sigv4_policy *policy, const struct authorization *authorization,
                      struct bytes stamp, uint64_t date_ms, struct sigv4_result *result)
{
    char now[STAMP_LEN + 1];
    char bound[STAMP_LEN + 1];
    uint64_t lifetime_ms = authorization->in_query ? authorization->lifetime_ms : SKEW_MS;
    if (date_ms + lifetime_ms >= policy->now_ms && date_ms <= policy->now_ms + SKEW_MS) {
        return true;
    }
    bool expired = date_ms < policy->now_ms;
    bool minutes = lifetime_ms % 60000 == 0;
    stamp_format(policy->now_ms, now);
    if (!expired) {
        stamp_format(policy->now_ms + SKEW_MS, bound);
        sigv4_refuse(result, SIGV4_INVALID,
                     "Signature not yet current: %.*s is still later than %s (%s + 15 min.)",
                     BYTES_FMT(stamp), bound, now);
        return false;
    }
    stamp_format(policy->now_ms - lifetime_ms, bound);
    sigv4_refuse(result, SIGV4_INVALID,
                 "Signature expired: %.*s is now earlier than %s (%s - %llu %s)", BYTES_FMT(stamp),
                 bound, now, (unsigned long long)(lifetime_ms / (minutes ? 60000 : 1000)),
                 minutes ? "min." : "sec.");
    return false;
}

static bool check_body(const struct http_request *request, char body_hash[SHA256_HEX_LEN],
                       struct sigv4_result *result)
{
    unsigned count;
    uint8_t digest[SHA256_LEN];
    digest_sha256(request->body, digest);
    digest_hex(bytes_of(digest, sizeof(digest)), body_hash);
    struct bytes declared = http_header_get(request, BYTES("x-amz-content-sha256"), &count);
    if (count == 0 || bytes_equal(declared, bytes_of(body_hash, SHA256_HEX_LEN))) {
        return true;
    }
    sigv4_refuse(
        result, SIGV4_INVALID,
        "The value of x-amz-content-sha256 is not the SHA-256 of the body that was received.");
    return false;
}

/* ---- the canonical request ---- */

/* The signed headers' values; a name listed for a header that did not come, or came twice, cannot
 * have been meant. */
static bool find_signed(const struct http_request *request,
                        const struct authorization *authorization, struct bytes values[SIGNED_MAX],
                        size_t *room, struct sigv4_result *result)
{
    for (size_t i = 0; i < authorization->name_count; i++) {
        unsigned count;
        struct bytes name = authorization->names[i];
        values[i] = http_header_get(request, name, &count);
        *room += name.len + values[i].len + 2;
        if (count != 1) {
            sigv4_refuse(result, SIGV4_INVALID, "The signed header '%.*s' was %s.",
                         QUOTED(name, 100u), count == 0 ? "not sent" : "sent more than once");
            return false;
        }
    }
    return true;
}

static bool make_canonical(const struct http_request *request,
                           const struct authorization *authorization, struct bytes body_hash,
                           struct bytes *out, struct sigv4_result *result)
{
    struct bytes values[SIGNED_MAX];
    size_t room = canonical_room(request->path, request->query) + request->method_text.len +
                  authorization->signed_list.len + body_hash.len + 8;
    if (!find_signed(request, authorization, values, &room, result)) {
        return false;
    }
    uint8_t *start = arena_alloc(request->arena, room);
    if (start == NULL) {
        sigv4_refuse(result, SIGV4_INVALID, "The request is too large to be checked.");
        return false;
    }
    struct text text = {start, start + room};
    text_add(&text, request->method_text);
    text_add_byte(&text, '\n');
    canonical_path(&text, request->path);
    text_add_byte(&text, '\n');
    if (!canonical_query(&text, request->query,
                         authorization->in_query ? BYTES("X-Amz-Signature") : BYTES_NONE)) {
        sigv4_refuse(result, SIGV4_INVALID, "The query string has more than %zu parameters.",
                     QUERY_PAIRS_MAX);
        return false;
    }
    text_add_byte(&text, '\n');
    for (size_t i = 0; i < authorization->name_count; i++) {
        text_add(&text, authorization->names[i]);
        text_add_byte(&text, ':');
        canonical_value(&text, values[i]);
        text_add_byte(&text, '\n');
    }
    text_add_byte(&text, '\n');
    text_add(&text, authorization->signed_list);
    text_add_byte(&text, '\n');
    text_add(&text, body_hash);
    *out = bytes_of(start, (size_t)(text.at - start));
    return true;
}
