/* Forged, replayed and changed requests against the signature check: each begins as a request that
 * is accepted, signed in its header or in its query, and has one thing done to it that its signer
 * did not sign. None may be accepted.
 *
 *   forge COUNT [SEED]        prints how many of each kind were refused
 */
#include "base/arena.h"
#include "base/assert.h"
#include "base/digest.h"
#include "base/mem.h"
#include "net/sigv4.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BASES 256u
#define NOW_MS 1796036400000u /* 2026-11-30 11:00:00 */
#define SKEW_MS 900000u
#define DAY_MS 86400000u
#define BODY_MAX 200u

static const struct {
    const char *id;
    const char *secret;
} keys[] = {{"AKIDEXAMPLEAAAAAAAA1", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"},
            {"AKIDEXAMPLEAAAAAAAA2", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEZ"}};

/* An accepted request. Its texts are changed in copies only. */
struct base {
    unsigned key;
    const char *target;
    uint64_t signed_ms;
    char body[BODY_MAX];
    size_t body_len;
    char stamp[32];
    char authorization[512];
    bool linked; /* signed in its query */
    unsigned expires_s;
    char query[700];
};

/* One attempt: a copy that a kind of change may do anything to. */
struct attempt {
    const struct base *base;
    const struct base *other; /* of another request that is accepted */
    struct http_request request;
    uint64_t now_ms;
    bool key_gone;
    char authorization[600];
    char text[600];
    char query[800];
    char body[BODY_MAX + 8];
};

enum header { HEADER_HOST, HEADER_TYPE, HEADER_DATE, HEADER_TARGET, HEADER_AUTHORIZATION };

static uint64_t state;
static struct base bases[BASES];
static struct sigv4_context *signer;
static struct sigv4_context *checker;
static struct arena arena;
static bool key_gone;

static const char *const targets[] = {"DynamoDB_20120810.GetItem", "DynamoDB_20120810.PutItem",
                                      "DynamoDB_20120810.DeleteTable",
                                      "Headwater_20261130.CreateKey"};

static uint64_t any(void)
{
    uint64_t x = state += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static size_t below(size_t n)
{
    return (size_t)(any() % n);
}

static bool secret_of(void *arg, struct bytes key_id, struct bytes *secret)
{
    (void)arg;
    for (size_t i = 0; !key_gone && i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (bytes_equal(key_id, bytes_cstr(keys[i].id))) {
            *secret = bytes_cstr(keys[i].secret);
            return true;
        }
    }
    return false;
}

/* The two header lines that the signer made, taken apart. */
static void take_lines(struct bytes lines, char *stamp, size_t stamp_room, char *authorization,
                       size_t room)
{
    struct bytes line = bytes_cut(&lines, '\r');
    snprintf(stamp, stamp_room, "%.*s", (int)line.len - 12, (const char *)line.ptr + 12);
    lines = bytes_of(lines.ptr + 1, lines.len - 1);
    line = bytes_cut(&lines, '\r');
    snprintf(authorization, room, "%.*s", (int)line.len - 15, (const char *)line.ptr + 15);
}

static void sign(struct base *base, const char *id, const char *secret, const char *region,
                 const char *service)
{
    struct buf lines;
    buf_init(&lines, 4096);
    const struct sigv4_sign_input input = {
        .method = BYTES("POST"),
        .host = BYTES("localhost:8000"),
        .path = BYTES("/"),
        .target = bytes_cstr(base->target),
        .content_type = BYTES("application/x-amz-json-1.0"),
        .body = bytes_of(base->body, base->body_len),
        .key_id = bytes_cstr(id),
        .secret = bytes_cstr(secret),
        .region = bytes_cstr(region),
        .service = bytes_cstr(service),
        .now_ms = base->signed_ms,
    };
    ASSERT(sigv4_sign(signer, &input, &lines) == OK);
    take_lines(buf_bytes(&lines), base->stamp, sizeof(base->stamp), base->authorization,
               sizeof(base->authorization));
    buf_fini(&lines);
}

static void hmac_of(const void *key, size_t key_len, const char *text, uint8_t out[SHA256_LEN])
{
    unsigned len = SHA256_LEN;
    ASSERT(HMAC(EVP_sha256(), key, (int)key_len, (const uint8_t *)text, strlen(text), out, &len) !=
           NULL);
}

static const char *hex_of(const uint8_t digest[SHA256_LEN])
{
    static char text[SHA256_HEX_LEN + 1];
    digest_hex(bytes_of(digest, SHA256_LEN), text);
    return text;
}

/* A link, by the steps of AWS's description. */
static void sign_link(struct base *base, const char *id, const char *secret, unsigned expires_s)
{
    static const char *const parts[] = {"us-east-1", "dynamodb", "aws4_request"};
    uint8_t digest[SHA256_LEN];
    char chain[64];
    char canonical[1400];
    char to_sign[300];
    char day[9];
    snprintf(day, sizeof(day), "%.8s", base->stamp);
    snprintf(base->query, sizeof(base->query),
             "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=%s%%2F%s%%2Fus-east-1%%2Fdynamodb"
             "%%2Faws4_request&X-Amz-Date=%s&X-Amz-Expires=%u&X-Amz-SignedHeaders=content-type%%3B"
             "host%%3Bx-amz-target",
             id, day, base->stamp, expires_s);
    digest_sha256(bytes_of(base->body, base->body_len), digest);
    snprintf(canonical, sizeof(canonical),
             "POST\n/\n%s\ncontent-type:application/x-amz-json-1.0\nhost:localhost:8000\n"
             "x-amz-target:%s\n\ncontent-type;host;x-amz-target\n%s",
             base->query, base->target, hex_of(digest));
    digest_sha256(bytes_cstr(canonical), digest);
    snprintf(to_sign, sizeof(to_sign),
             "AWS4-HMAC-SHA256\n%s\n%s/us-east-1/dynamodb/aws4_request\n%s", base->stamp, day,
             hex_of(digest));
    snprintf(chain, sizeof(chain), "AWS4%s", secret);
    hmac_of(chain, strlen(chain), day, digest);
    for (size_t i = 0; i < 3; i++) {
        hmac_of(memcpy(chain, digest, sizeof(digest)), sizeof(digest), parts[i], digest);
    }
    hmac_of(memcpy(chain, digest, sizeof(digest)), sizeof(digest), to_sign, digest);
    size_t len = strlen(base->query);
    snprintf(base->query + len, sizeof(base->query) - len, "&X-Amz-Signature=%s", hex_of(digest));
}

static void make_base(struct base *base)
{
    base->key = (unsigned)below(2);
    base->target = targets[below(4)];
    base->signed_ms = NOW_MS - SKEW_MS + 1000 + below(2 * SKEW_MS - 2000);
    base->body_len = (size_t)snprintf(base->body, sizeof(base->body),
                                      "{\"TableName\":\"t%016" PRIx64
                                      "\",\"Key\":{\"k\":{\"S\":\"%016" PRIx64 "\"}}}",
                                      any(), any());
    base->linked = below(4) == 0;
    base->expires_s = 1800 + (unsigned)below(3600);
    sign(base, keys[base->key].id, keys[base->key].secret, "us-east-1", "dynamodb");
    if (base->linked) {
        sign_link(base, keys[base->key].id, keys[base->key].secret, base->expires_s);
    }
}

static void start(struct attempt *attempt)
{
    const struct base *base = &bases[below(BASES)];
    attempt->base = base;
    do {
        attempt->other = &bases[below(BASES)];
    } while (attempt->other == base);
    attempt->now_ms = NOW_MS;
    attempt->key_gone = false;
    snprintf(attempt->authorization, sizeof(attempt->authorization), "%s", base->authorization);
    memcpy(attempt->body, base->body, base->body_len);
    struct http_request *request = &attempt->request;
    request->arena = &arena;
    request->method = HTTP_METHOD_POST;
    request->method_text = BYTES("POST");
    request->path = BYTES("/");
    request->query = BYTES_NONE;
    request->body = bytes_of(attempt->body, base->body_len);
    request->header_count = 5;
    request->headers[HEADER_HOST] = (struct http_header){BYTES("Host"), BYTES("localhost:8000")};
    request->headers[HEADER_TYPE] =
        (struct http_header){BYTES("Content-Type"), BYTES("application/x-amz-json-1.0")};
    request->headers[HEADER_DATE] =
        (struct http_header){BYTES("X-Amz-Date"), bytes_cstr(base->stamp)};
    request->headers[HEADER_TARGET] =
        (struct http_header){BYTES("X-Amz-Target"), bytes_cstr(base->target)};
    request->headers[HEADER_AUTHORIZATION] =
        (struct http_header){BYTES("Authorization"), bytes_cstr(attempt->authorization)};
    if (base->linked) {
        snprintf(attempt->query, sizeof(attempt->query), "%s", base->query);
        request->header_count = 4;
        request->headers[HEADER_DATE] = (struct http_header){BYTES("Accept"), BYTES("*/*")};
    }
}

static bool is_accepted(struct attempt *attempt)
{
    static struct sigv4_result result;
    const struct sigv4_policy policy = {
        .lookup = secret_of, .service = BYTES("dynamodb"), .now_ms = attempt->now_ms};
    attempt->request.headers[HEADER_AUTHORIZATION].value = bytes_cstr(attempt->authorization);
    if (attempt->base->linked) {
        attempt->request.query = bytes_cstr(attempt->query);
    }
    key_gone = attempt->key_gone;
    sigv4_check(checker, &policy, &attempt->request, &result);
    key_gone = false;
    arena_reset(&arena);
    return result.refusal == SIGV4_OK;
}

/* ---- what is done to a request; false: this one cannot be had so ---- */

static char *signature_of(struct attempt *attempt)
{
    return strstr(attempt->authorization, "Signature=") + 10;
}

static bool replace(struct attempt *attempt, const char *from, const char *to)
{
    char *at = strstr(attempt->authorization, from);
    if (at == NULL) {
        return false;
    }
    snprintf(attempt->text, sizeof(attempt->text), "%.*s%s%s", (int)(at - attempt->authorization),
             attempt->authorization, to, at + strlen(from));
    snprintf(attempt->authorization, sizeof(attempt->authorization), "%s", attempt->text);
    return true;
}

/* The header with something before and after its value. */
static void set_header(struct attempt *attempt, enum header header, const char *before,
                       const char *after)
{
    struct bytes *value = &attempt->request.headers[header].value;
    snprintf(attempt->text, sizeof(attempt->text), "%s%.*s%s", before, BYTES_FMT(*value), after);
    *value = bytes_cstr(attempt->text);
}

static bool change_signature_digit(struct attempt *attempt)
{
    char *digit = signature_of(attempt) + below(64);
    char old = *digit;
    *digit = "0123456789abcdef"[below(16)];
    return *digit != old;
}

static bool guess_signature(struct attempt *attempt)
{
    char *at = signature_of(attempt);
    for (size_t i = 0; i < 64; i++) {
        at[i] = "0123456789abcdef"[below(16)];
    }
    return true;
}

static bool cut_or_stretch_signature(struct attempt *attempt)
{
    char *at = signature_of(attempt);
    if (below(2) == 0) {
        at[below(64)] = 0;
    } else {
        snprintf(at + 64, 8, "%.*s", (int)(1 + below(5)), "00000");
    }
    return true;
}

static bool raise_signature_case(struct attempt *attempt)
{
    char *at = signature_of(attempt) + below(64);
    bool letter = *at >= 'a' && *at <= 'f';
    *at = (char)(letter ? *at - 32 : *at);
    return letter;
}

static bool take_signature_of_another(struct attempt *attempt)
{
    memcpy(signature_of(attempt), strstr(attempt->other->authorization, "Signature=") + 10, 64);
    return true;
}

static bool take_authorization_of_another(struct attempt *attempt)
{
    snprintf(attempt->authorization, sizeof(attempt->authorization), "%s",
             attempt->other->authorization);
    return true;
}

static bool change_body_byte(struct attempt *attempt)
{
    attempt->body[below(attempt->base->body_len)] ^= (char)(1 + below(255));
    return true;
}

static bool cut_or_stretch_body(struct attempt *attempt)
{
    size_t len = attempt->base->body_len;
    memcpy(attempt->body + len, "     ", 5);
    attempt->request.body.len = below(2) == 0 ? below(len) : len + 1 + below(4);
    return true;
}

static bool take_body_of_another(struct attempt *attempt)
{
    attempt->request.body = bytes_of(attempt->other->body, attempt->other->body_len);
    return true;
}

static bool change_target(struct attempt *attempt)
{
    const char *target = targets[below(4)];
    attempt->request.headers[HEADER_TARGET].value = bytes_cstr(target);
    return target != attempt->base->target;
}

static bool change_host(struct attempt *attempt)
{
    bool before = below(2) == 0;
    set_header(attempt, HEADER_HOST, before ? "x" : "", before ? "" : "0");
    return true;
}

static bool change_type(struct attempt *attempt)
{
    set_header(attempt, HEADER_TYPE, "", "; charset=utf-8");
    return true;
}

static bool change_date(struct attempt *attempt)
{
    size_t digit = below(15);
    set_header(attempt, HEADER_DATE, "", "");
    char old = attempt->text[digit];
    attempt->text[digit] = (char)('0' + below(10));
    return old != attempt->text[digit] && old != 'T';
}

static bool change_method(struct attempt *attempt)
{
    static const char *const methods[] = {"GET", "PUT", "DELETE", "post", "POSTS", ""};
    attempt->request.method_text = bytes_cstr(methods[below(6)]);
    return true;
}

static bool change_path(struct attempt *attempt)
{
    static const char *const paths[] = {"/a", "/%2e%2e/a", "/ ", "/%00", "/*", "/v1/"};
    attempt->request.path = bytes_cstr(paths[below(6)]);
    return true;
}

static bool add_query(struct attempt *attempt)
{
    static const char *const queries[] = {"a", "Action=PutItem", "a=b&a=b", "%", "X-Amz-Date=1"};
    attempt->request.query = bytes_cstr(queries[below(5)]);
    return true;
}

static bool name_another_key(struct attempt *attempt)
{
    return replace(attempt, keys[attempt->base->key].id, keys[1 - attempt->base->key].id);
}

static bool name_an_unknown_key(struct attempt *attempt)
{
    char id[] = "AKIDEXAMPLEAAAAAAAA0";
    id[below(19)] = (char)('A' + below(26));
    return replace(attempt, keys[attempt->base->key].id, id);
}

static bool change_scope(struct attempt *attempt)
{
    static const char *const changes[][2] = {
        {"/us-east-1/", "/eu-west-1/"}, {"/us-east-1/", "//"}, {"/us-east-1/", "/US-EAST-1/"},
        {"/dynamodb/", "/s3/"},         {"/dynamodb/", "/"},   {"/aws4_request", "/aws4_requests"},
        {"/aws4_request", ""},          {"/2026", "/2025"},    {"/20261130/", "/20261129/"}};
    const char *const *change = changes[below(9)];
    return replace(attempt, change[0], change[1]);
}

static bool change_signed_list(struct attempt *attempt)
{
    static const char *const changes[][2] = {
        {"host;", ""},          {";x-amz-date", ""},        {"content-type;", ""},
        {";x-amz-target", ""},  {"host;", "host;host;"},    {"host;x-amz-date", "x-amz-date;host"},
        {"host;", "host;via;"}, {"content-type;host;", ""}, {"x-amz-target", "x-amz-target;"}};
    const char *const *change = changes[below(9)];
    return replace(attempt, change[0], change[1]);
}

static bool change_algorithm(struct attempt *attempt)
{
    static const char *const others[] = {"AWS4-HMAC-SHA1",   "AWS4-HMAC-SHA512",
                                         "AWS3-HTTPS",       "none",
                                         "aws4-hmac-sha256", "AWS4-ECDSA-P256-SHA256"};
    return replace(attempt, "AWS4-HMAC-SHA256", others[below(6)]);
}

static bool double_a_signed_header(struct attempt *attempt)
{
    struct http_request *request = &attempt->request;
    size_t header = below(4);
    request->headers[5] = request->headers[header];
    if (below(2) == 0) {
        request->headers[5].value = BYTES("other");
    } else {
        request->headers[header].value = BYTES("other");
    }
    request->header_count = 6;
    return true;
}

static bool change_any_authorization_byte(struct attempt *attempt)
{
    size_t at = below(strlen(attempt->authorization));
    char old = attempt->authorization[at];
    char fresh = (char)(33 + below(94));
    attempt->authorization[at] = fresh;
    return old != fresh && old != ' ';
}

static bool replay_late(struct attempt *attempt)
{
    attempt->now_ms = attempt->base->signed_ms / 1000 * 1000 + SKEW_MS + 1001 + below(3 * DAY_MS);
    return true;
}

static bool replay_early(struct attempt *attempt)
{
    attempt->now_ms = attempt->base->signed_ms - SKEW_MS - 1001 - below(3 * DAY_MS);
    return true;
}

static bool replay_when_the_key_is_gone(struct attempt *attempt)
{
    attempt->key_gone = true;
    return true;
}

/* A whole request, right in all but its secret. */
static bool sign_with_another_secret(struct attempt *attempt)
{
    static struct base forged;
    char secret[64];
    const char *right = keys[attempt->base->key].secret;
    snprintf(secret, sizeof(secret), "%s", right);
    switch (below(5)) {
    case 0:
        secret[below(40)] ^= 1;
        break;
    case 1:
        secret[below(40)] = 0;
        break;
    case 2:
        snprintf(secret, sizeof(secret), "%s", keys[1 - attempt->base->key].secret);
        break;
    case 3:
        snprintf(secret, sizeof(secret), "%s", keys[attempt->base->key].id);
        break;
    default: /* the one that is worked with for keys that are not known */
        snprintf(secret, sizeof(secret), "0000000000000000000000000000000000000000");
    }
    forged = *attempt->base;
    sign(&forged, keys[forged.key].id, secret, "us-east-1", "dynamodb");
    snprintf(attempt->authorization, sizeof(attempt->authorization), "%s", forged.authorization);
    return true;
}

static bool sign_for_another_service(struct attempt *attempt)
{
    static struct base forged;
    static const char *const services[] = {"s3", "dynamodbstreams", "execute-api", "DynamoDB"};
    forged = *attempt->base;
    sign(&forged, keys[forged.key].id, keys[forged.key].secret, "us-east-1", services[below(4)]);
    snprintf(attempt->authorization, sizeof(attempt->authorization), "%s", forged.authorization);
    return true;
}

static bool leave_out_a_header(struct attempt *attempt)
{
    attempt->request.headers[below(4)].name = BYTES("X-Other");
    return true;
}

/* ---- links ---- */

static char *link_signature_of(struct attempt *attempt)
{
    return strstr(attempt->query, "X-Amz-Signature=") + 16;
}

static bool replace_in_link(struct attempt *attempt, const char *from, const char *to)
{
    char *at = strstr(attempt->query, from);
    ASSERT(at != NULL);
    size_t before = (size_t)(at - attempt->query);
    snprintf(at, sizeof(attempt->query) - before, "%s%s", to,
             attempt->base->query + before + strlen(from));
    return true;
}

static bool change_link_signature_digit(struct attempt *attempt)
{
    char *digit = link_signature_of(attempt) + below(64);
    char old = *digit;
    *digit = "0123456789abcdef"[below(16)];
    return *digit != old;
}

static bool take_link_signature_of_another(struct attempt *attempt)
{
    if (!attempt->other->linked) {
        return false;
    }
    memcpy(link_signature_of(attempt), strstr(attempt->other->query, "X-Amz-Signature=") + 16, 64);
    return true;
}

static bool change_any_link_byte(struct attempt *attempt)
{
    size_t at = below(strlen(attempt->query));
    char old = attempt->query[at];
    char fresh =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~&=%+;"[below(71)];
    bool escaped = old == '%' || (at > 0 && attempt->query[at - 1] == '%') ||
                   (at > 1 && attempt->query[at - 2] == '%'); /* %2f is %2F */
    attempt->query[at] = fresh;
    return old != fresh && !escaped;
}

static bool change_link_expiry(struct attempt *attempt)
{
    char from[40];
    char to[40];
    snprintf(from, sizeof(from), "Expires=%u", attempt->base->expires_s);
    snprintf(to, sizeof(to), "Expires=%u", attempt->base->expires_s + 1 + (unsigned)below(90000));
    return replace_in_link(attempt, from, to);
}

static bool name_another_key_in_link(struct attempt *attempt)
{
    return replace_in_link(attempt, keys[attempt->base->key].id, keys[1 - attempt->base->key].id);
}

static bool change_link_scope(struct attempt *attempt)
{
    static const char *const changes[][2] = {
        {"us-east-1", "eu-west-1"},           {"dynamodb", "s3"},      {"aws4_request", "aws4"},
        {"Credential=", "Credential=x"},      {"content-type%3B", ""}, {"%3Bx-amz-target", ""},
        {"AWS4-HMAC-SHA256", "AWS4-HMAC-MD5"}};
    const char *const *change = changes[below(7)];
    return replace_in_link(attempt, change[0], change[1]);
}

static bool add_to_link(struct attempt *attempt)
{
    static const char *const added[] = {"a=b&X-Amz-Alg", "X-Amz-Expires=9&X-Amz-Alg",
                                        "X-Amz-Signature=0&X-Amz-Alg", "&=&X-Amz-Alg"};
    return replace_in_link(attempt, "X-Amz-Alg", added[below(4)]);
}

static bool replay_link_late(struct attempt *attempt)
{
    attempt->now_ms = attempt->base->signed_ms / 1000 * 1000 +
                      (uint64_t)attempt->base->expires_s * 1000 + 1001 + below(3 * DAY_MS);
    return true;
}

static bool sign_link_with_another_secret(struct attempt *attempt)
{
    static struct base forged;
    char secret[64];
    snprintf(secret, sizeof(secret), "%s", keys[attempt->base->key].secret);
    secret[below(40)] ^= 1;
    forged = *attempt->base;
    sign_link(&forged, keys[forged.key].id, secret, forged.expires_s);
    snprintf(attempt->query, sizeof(attempt->query), "%s", forged.query);
    return true;
}

/* Rightly signed, for longer than the week that a link may live. */
static bool sign_link_for_too_long(struct attempt *attempt)
{
    static struct base forged;
    forged = *attempt->base;
    sign_link(&forged, keys[forged.key].id, keys[forged.key].secret,
              604801 + (unsigned)below(1000000));
    snprintf(attempt->query, sizeof(attempt->query), "%s", forged.query);
    return true;
}

#define KIND(name, of_form)                                                                        \
    {                                                                                              \
#name, name, of_form                                                                       \
    }
enum form { FORM_HEADER = 1, FORM_LINK = 2, FORM_BOTH = 3 };
static const struct {
    const char *name;
    bool (*change)(struct attempt *attempt);
    enum form form; /* of the requests that it is done to */
} kinds[] = {
    KIND(change_signature_digit, FORM_HEADER),
    KIND(guess_signature, FORM_HEADER),
    KIND(cut_or_stretch_signature, FORM_HEADER),
    KIND(raise_signature_case, FORM_HEADER),
    KIND(take_signature_of_another, FORM_HEADER),
    KIND(take_authorization_of_another, FORM_HEADER),
    KIND(change_body_byte, FORM_BOTH),
    KIND(cut_or_stretch_body, FORM_BOTH),
    KIND(take_body_of_another, FORM_BOTH),
    KIND(change_target, FORM_BOTH),
    KIND(change_host, FORM_BOTH),
    KIND(change_type, FORM_BOTH),
    KIND(change_date, FORM_HEADER),
    KIND(change_method, FORM_BOTH),
    KIND(change_path, FORM_BOTH),
    KIND(add_query, FORM_HEADER),
    KIND(name_another_key, FORM_HEADER),
    KIND(name_an_unknown_key, FORM_HEADER),
    KIND(change_scope, FORM_HEADER),
    KIND(change_signed_list, FORM_HEADER),
    KIND(change_algorithm, FORM_HEADER),
    KIND(double_a_signed_header, FORM_HEADER),
    KIND(change_any_authorization_byte, FORM_HEADER),
    KIND(replay_late, FORM_HEADER),
    KIND(replay_early, FORM_BOTH),
    KIND(replay_when_the_key_is_gone, FORM_BOTH),
    KIND(sign_with_another_secret, FORM_HEADER),
    KIND(sign_for_another_service, FORM_HEADER),
    KIND(leave_out_a_header, FORM_HEADER),
    KIND(change_link_signature_digit, FORM_LINK),
    KIND(take_link_signature_of_another, FORM_LINK),
    KIND(change_any_link_byte, FORM_LINK),
    KIND(change_link_expiry, FORM_LINK),
    KIND(name_another_key_in_link, FORM_LINK),
    KIND(change_link_scope, FORM_LINK),
    KIND(add_to_link, FORM_LINK),
    KIND(replay_link_late, FORM_LINK),
    KIND(sign_link_with_another_secret, FORM_LINK),
    KIND(sign_link_for_too_long, FORM_LINK),
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

int main(int argc, char **argv)
{
    static struct attempt attempt;
    uint64_t refused[KINDS] = {0};
    uint64_t accepted = 0;
    uint64_t controls = 0;
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)time(NULL);
    if (count == 0) {
        fprintf(stderr, "Usage: forge COUNT [SEED]\n");
        return 2;
    }
    state = seed;
    arena_init(&arena, 0);
    signer = sigv4_context_new();
    checker = sigv4_context_new();
    for (size_t i = 0; i < BASES; i++) {
        make_base(&bases[i]);
    }
    for (uint64_t made = 0; made < count;) {
        start(&attempt);
        if (made % 16 == 0) { /* what is changed below is accepted as it is */
            controls++;
            if (!is_accepted(&attempt)) {
                printf("a right request is refused: %s\n",
                       attempt.base->linked ? attempt.query : attempt.authorization);
                return 1;
            }
        }
        size_t kind = below(KINDS);
        if ((kinds[kind].form & (attempt.base->linked ? FORM_LINK : FORM_HEADER)) == 0 ||
            !kinds[kind].change(&attempt)) {
            continue;
        }
        made++;
        if (!is_accepted(&attempt)) {
            refused[kind]++;
        } else if (accepted++ < 10) {
            bool linked = attempt.base->linked;
            printf("accepted: %s\n  of %s\n  now %s %.*s\n", kinds[kind].name,
                   linked ? attempt.base->query : attempt.base->authorization,
                   linked ? attempt.query : attempt.authorization, BYTES_FMT(attempt.request.body));
        }
    }
    for (size_t i = 0; i < KINDS; i++) {
        printf("%8" PRIu64 " %s\n", refused[i], kinds[i].name);
        if (refused[i] < count / KINDS / 100) {
            printf("too few of this kind to show anything\n");
            return 1;
        }
    }
    printf("seed %" PRIu64 ", %" PRIu64 " right requests between them\n", seed, controls);
    printf("%" PRIu64 " passed, %" PRIu64 " failed, 0 skipped\n", count - accepted, accepted);
    sigv4_context_free(signer);
    sigv4_context_free(checker);
    arena_fini(&arena);
    return accepted > 0;
}
