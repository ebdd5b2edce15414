/* Signature Version 4: what a signer written here again signs is accepted, as is what our own
 * signer signs; a request that was changed is accepted only where that signer would sign the same;
 * and no text in the Authorization header or the query is accepted without the key, whatever it
 * is. */
#include "net/sigv4.h"
#include "fuzz.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define NOW_MS 1440938160000u /* 2015-08-30 12:36:00 */
#define STAMP "20150830T123600Z"
#define KEY_ID "AKIDEXAMPLE"
#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define SCOPE "20150830/us-east-1/dynamodb/aws4_request"
#define PAIRS_MAX 70u

static bool secret_of(void *arg, struct bytes key_id, struct bytes *secret)
{
    (void)arg;
    *secret = BYTES(SECRET);
    return bytes_equal(key_id, BYTES(KEY_ID));
}

static const struct sigv4_policy policy = {
    .lookup = secret_of, .service = BYTES_INIT("dynamodb"), .now_ms = NOW_MS};

/* ---- the reference signer ---- */

static void add_hex(struct buf *out, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        buf_printf(out, "%02x", data[i]);
    }
}

static void add_sha256(struct buf *out, struct bytes data)
{
    uint8_t digest[32];
    HOLDS(EVP_Digest(data.ptr, data.len, digest, NULL, EVP_sha256(), NULL) == 1);
    add_hex(out, digest, sizeof(digest));
}

static void hmac_of(const uint8_t *key, size_t key_len, struct bytes data, uint8_t out[32])
{
    unsigned len = 32;
    HOLDS(HMAC(EVP_sha256(), key, (int)key_len, data.ptr, data.len, out, &len) != NULL);
}

static void add_encoded(struct buf *out, uint8_t c)
{
    if (isalnum(c) || (c != 0 && strchr("-_.~", c) != NULL)) {
        buf_add_byte(out, c);
    } else {
        buf_printf(out, "%%%02X", c);
    }
}

/* Segments on a stack; ".." takes one off. */
static void add_path(struct buf *out, struct bytes path)
{
    struct bytes stack[256];
    size_t count = 0;
    bool slash = true; /* the path ends in one, or in dots that stand for one */
    for (size_t at = 0; at < path.len;) {
        size_t end = at;
        while (end < path.len && path.ptr[end] != '/') {
            end++;
        }
        struct bytes segment = bytes_of(path.ptr + at, end - at);
        slash = end < path.len;
        if (bytes_equal(segment, BYTES(".."))) {
            count -= count > 0 ? 1 : 0;
            slash = true;
        } else if (bytes_equal(segment, BYTES("."))) {
            slash = true;
        } else if (segment.len > 0) {
            HOLDS(count < 256);
            stack[count++] = segment;
        }
        at = end + 1;
    }
    for (size_t i = 0; i < count; i++) {
        buf_add_byte(out, '/');
        for (size_t j = 0; j < stack[i].len; j++) {
            add_encoded(out, stack[i].ptr[j]);
        }
    }
    if (slash || count == 0) {
        buf_add_byte(out, '/');
    }
}

static int by_text(const void *left, const void *right)
{
    const struct bytes *a = left;
    const struct bytes *b = right;
    int order = bytes_compare(a[0], b[0]);
    return order != 0 ? order : bytes_compare(a[1], b[1]);
}

static struct bytes recoded(struct bytes text, struct arena *arena)
{
    struct buf out;
    buf_init(&out, 65536);
    for (size_t i = 0; i < text.len; i++) {
        unsigned c = text.ptr[i];
        if (c == '%' && i + 2 < text.len && isxdigit(text.ptr[i + 1]) &&
            isxdigit(text.ptr[i + 2])) {
            char digits[3] = {(char)text.ptr[i + 1], (char)text.ptr[i + 2], 0};
            c = (unsigned)strtoul(digits, NULL, 16);
            i += 2;
        }
        add_encoded(&out, (uint8_t)c);
    }
    struct bytes copy = fuzz_copy(arena, buf_bytes(&out));
    buf_fini(&out);
    return copy;
}

/* False: more pairs than are taken. */
static bool add_query(struct buf *out, struct bytes query, struct arena *arena)
{
    struct bytes pairs[PAIRS_MAX][2];
    size_t count = 0;
    while (query.len > 0) {
        const uint8_t *end = memchr(query.ptr, '&', query.len);
        struct bytes pair =
            bytes_of(query.ptr, end == NULL ? query.len : (size_t)(end - query.ptr));
        const uint8_t *equals = pair.len == 0 ? NULL : memchr(pair.ptr, '=', pair.len);
        size_t name = equals == NULL ? pair.len : (size_t)(equals - pair.ptr);
        if (count == 64) {
            return false;
        }
        pairs[count][0] = recoded(bytes_of(pair.ptr, name), arena);
        pairs[count++][1] =
            equals == NULL ? BYTES("") : recoded(bytes_of(equals + 1, pair.len - name - 1), arena);
        query = end == NULL ? BYTES_NONE : bytes_of(end + 1, query.len - pair.len - 1);
    }
    qsort(pairs, count, sizeof(pairs[0]), by_text);
    for (size_t i = 0; i < count; i++) {
        buf_add_cstr(out, i == 0 ? "" : "&");
        buf_add(out, pairs[i][0]);
        buf_add_byte(out, '=');
        buf_add(out, pairs[i][1]);
    }
    return true;
}

/* Words with one blank between them. */
static void add_value(struct buf *out, struct bytes value)
{
    bool word = false;
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.ptr[i];
        bool blank = c == ' ' || c == '\t';
        if (!blank) {
            bool before = i > 0 && (value.ptr[i - 1] == ' ' || value.ptr[i - 1] == '\t');
            buf_add_cstr(out, before && word ? " " : "");
            buf_add_byte(out, c);
            word = true;
        }
    }
}

/* The signature of the request by the listed headers; false: it cannot be signed. */
static bool sign(const struct http_request *request, struct bytes list, char signature[65])
{
    struct buf text;
    struct buf to_sign;
    uint8_t key[32];
    static const char *const parts[] = {"us-east-1", "dynamodb", "aws4_request"};
    bool good = true;
    buf_init(&text, 1u << 20);
    buf_init(&to_sign, 1u << 16);
    buf_add(&text, request->method_text);
    buf_add_byte(&text, '\n');
    add_path(&text, request->path);
    buf_add_byte(&text, '\n');
    good = add_query(&text, request->query, request->arena);
    buf_add_byte(&text, '\n');
    for (struct bytes rest = list; rest.len > 0;) {
        const uint8_t *end = memchr(rest.ptr, ';', rest.len);
        struct bytes name = bytes_of(rest.ptr, end == NULL ? rest.len : (size_t)(end - rest.ptr));
        unsigned found = 0;
        rest = end == NULL ? BYTES_NONE : bytes_of(end + 1, rest.len - name.len - 1);
        buf_add(&text, name);
        buf_add_byte(&text, ':');
        for (size_t i = 0; i < request->header_count; i++) {
            const struct http_header *header = &request->headers[i];
            if (header->name.len == name.len &&
                strncasecmp((const char *)header->name.ptr, (const char *)name.ptr, name.len) ==
                    0) {
                add_value(&text, header->value);
                found++;
            }
        }
        buf_add_byte(&text, '\n');
        good = good && found == 1;
    }
    buf_add_byte(&text, '\n');
    buf_add(&text, list);
    buf_add_byte(&text, '\n');
    add_sha256(&text, request->body);
    buf_add_cstr(&to_sign, "AWS4-HMAC-SHA256\n" STAMP "\n" SCOPE "\n");
    add_sha256(&to_sign, buf_bytes(&text));
    HOLDS(!text.failed && !to_sign.failed);
    hmac_of((const uint8_t *)("AWS4" SECRET), strlen("AWS4" SECRET), BYTES("20150830"), key);
    for (size_t i = 0; i < 3; i++) {
        uint8_t next[32];
        hmac_of(key, sizeof(key), bytes_cstr(parts[i]), next);
        memcpy(key, next, sizeof(key));
    }
    hmac_of(key, sizeof(key), buf_bytes(&to_sign), key);
    for (size_t i = 0; i < 32; i++) {
        snprintf(signature + 2 * i, 3, "%02x", key[i]);
    }
    buf_fini(&text);
    buf_fini(&to_sign);
    return good;
}

/* ---- requests ---- */

static void add_header(struct http_request *request, struct bytes name, struct bytes value)
{
    request->headers[request->header_count++] = (struct http_header){name, value};
}

/* Bytes that HTTP lets through there: no controls, and none of `but`. */
static struct bytes clean(struct fuzz_input *input, struct arena *arena, size_t most,
                          const char *but)
{
    struct bytes raw = fuzz_bytes(input, most);
    uint8_t *text = arena_alloc(arena, raw.len + 1);
    HOLDS(text != NULL);
    for (size_t i = 0; i < raw.len; i++) {
        bool bad = raw.ptr[i] < 0x21 || raw.ptr[i] == 0x7f || strchr(but, raw.ptr[i]) != NULL;
        text[i] = bad ? 'x' : raw.ptr[i];
    }
    return fuzz_copy(arena, bytes_of(text, raw.len));
}

static struct bytes path_text(struct fuzz_input *input, struct arena *arena)
{
    static const char *const pieces[] = {"/",   "a",   "..", ".",       "%41",
                                         "%2f", "b c", "//", "\xc3\xa4"};
    struct buf out;
    buf_init(&out, 4096);
    buf_add_byte(&out, '/');
    for (size_t count = fuzz_below(input, 12); count > 0; count--) {
        buf_add_cstr(&out, pieces[fuzz_below(input, sizeof(pieces) / sizeof(pieces[0]))]);
    }
    buf_add(&out, clean(input, arena, 20, "?"));
    struct bytes path = fuzz_copy(arena, buf_bytes(&out));
    buf_fini(&out);
    return path;
}

static struct bytes query_text(struct fuzz_input *input, struct arena *arena)
{
    static const char *const pieces[] = {"&",   "=", "a", "b",    "%20",
                                         "%7e", "+", "%", "a=b&", "\xc3"};
    struct buf out;
    buf_init(&out, 4096);
    for (size_t count = fuzz_below(input, 30); count > 0; count--) {
        buf_add_cstr(&out, pieces[fuzz_below(input, sizeof(pieces) / sizeof(pieces[0]))]);
    }
    buf_add(&out, clean(input, arena, 80, ""));
    struct bytes query = fuzz_copy(arena, buf_bytes(&out));
    buf_fini(&out);
    struct bytes plain = recoded(query, arena); /* no parameter of a signature, however written */
    return memmem(plain.ptr, plain.len, "X-Amz-", 6) != NULL ? BYTES_NONE : query;
}

static struct bytes value_text(struct fuzz_input *input, struct arena *arena)
{
    return fuzz_bool(input)
               ? arena_printf(arena, "a  b \t%.*s", BYTES_FMT(clean(input, arena, 20, "")))
               : clean(input, arena, 20, "");
}

static void make_request(struct fuzz_input *input, struct arena *arena,
                         struct http_request *request, struct buf *list)
{
    *request = (struct http_request){.arena = arena};
    request->method_text = fuzz_bool(input) ? BYTES("POST") : BYTES("GET");
    request->path = path_text(input, arena);
    request->query = query_text(input, arena);
    buf_add_cstr(list, "host;x-amz-date");
    add_header(request, BYTES("Host"), value_text(input, arena));
    add_header(request, BYTES("X-Amz-Date"), BYTES(STAMP));
    if (fuzz_bool(input)) {
        add_header(request, BYTES("X-Amz-Target"), value_text(input, arena));
        buf_add_cstr(list, ";x-amz-target");
    }
    if (fuzz_bool(input)) {
        add_header(request, BYTES("Content-Type"), value_text(input, arena));
        buf_add_cstr(list, fuzz_bool(input) ? ";content-type" : "");
    }
    request->body = fuzz_copy(arena, fuzz_bytes(input, 60));
}

static void check_result(const struct sigv4_result *result)
{
    size_t len = strnlen(result->text, sizeof(result->text));
    HOLDS(len < sizeof(result->text) && (result->refusal == SIGV4_OK) == (len == 0));
    for (size_t i = 0; i < len; i++) {
        HOLDS(result->text[i] == '\n' || (result->text[i] >= ' ' && result->text[i] <= '~'));
    }
}

static enum sigv4_refusal check(struct http_request *request)
{
    static struct sigv4_context *context;
    static struct sigv4_result result;
    context = context == NULL ? sigv4_context_new() : context;
    sigv4_check(context, &policy, request, &result);
    check_result(&result);
    HOLDS(result.refusal != SIGV4_OK || bytes_equal(result.key_id, BYTES(KEY_ID)));
    HOLDS(result.refusal != SIGV4_OK || bytes_equal(result.region, BYTES("us-east-1")));
    return result.refusal;
}

static void change(struct fuzz_input *input, struct arena *arena, struct bytes *text)
{
    if (text->len > 0) {
        uint8_t *copy = arena_alloc(arena, text->len);
        HOLDS(copy != NULL);
        memcpy(copy, text->ptr, text->len);
        copy[fuzz_below(input, text->len)] = fuzz_byte(input);
        *text = bytes_of(copy, text->len);
    }
}

/* Changes one part; false: the part was the Authorization header, whose own words are signed too.
 */
static bool change_request(struct fuzz_input *input, struct arena *arena,
                           struct http_request *request)
{
    size_t part = fuzz_below(input, 5);
    size_t header = fuzz_below(input, request->header_count);
    struct bytes *parts[] = {&request->path, &request->query, &request->body, &request->method_text,
                             &request->headers[header].value};
    change(input, arena, parts[part]);
    return part < 4 || header + 1 < request->header_count;
}

static void signed_request(struct fuzz_input *input, struct arena *arena)
{
    struct http_request request;
    struct buf list;
    char signature[65];
    char now[65];
    buf_init(&list, 300);
    make_request(input, arena, &request, &list);
    if (sign(&request, buf_bytes(&list), signature)) {
        add_header(&request, BYTES("Authorization"),
                   arena_printf(arena,
                                "AWS4-HMAC-SHA256 Credential=" KEY_ID "/" SCOPE
                                ", SignedHeaders=%.*s, Signature=%s",
                                BYTES_FMT(buf_bytes(&list)), signature));
        HOLDS(check(&request) == SIGV4_OK);
        bool outside = change_request(input, arena, &request);
        if (check(&request) == SIGV4_OK && outside) {
            HOLDS(sign(&request, buf_bytes(&list), now) && strcmp(signature, now) == 0);
        }
    }
    buf_fini(&list);
}

/* The same with all of it in the query string, which is signed without the signature. */
static void presigned_request(struct fuzz_input *input, struct arena *arena)
{
    struct http_request request;
    struct buf list;
    char signature[65];
    char now[65];
    buf_init(&list, 300);
    make_request(input, arena, &request, &list);
    struct bytes unsigned_query = arena_printf(
        arena,
        "%.*s&X-Amz-Date=" STAMP "&X-Amz-Expires=%zu&X-Amz-Credential=" KEY_ID "/" SCOPE
        "&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-SignedHeaders=%.*s",
        BYTES_FMT(request.query), 1 + fuzz_below(input, 604800), BYTES_FMT(buf_bytes(&list)));
    request.query = unsigned_query;
    if (sign(&request, buf_bytes(&list), signature)) {
        request.query =
            arena_printf(arena, "%.*s&X-Amz-Signature=%s", BYTES_FMT(unsigned_query), signature);
        HOLDS(check(&request) == SIGV4_OK);
        (void)change_request(input, arena, &request);
        bool kept = request.query.len > unsigned_query.len + strlen("&X-Amz-Signature=") + 64 - 1 &&
                    memcmp(request.query.ptr + unsigned_query.len,
                           "&X-Amz-Signature=", strlen("&X-Amz-Signature=")) == 0;
        if (check(&request) == SIGV4_OK) {
            HOLDS(kept);
            request.query = bytes_of(request.query.ptr, unsigned_query.len);
            HOLDS(sign(&request, buf_bytes(&list), now) && strcmp(signature, now) == 0);
        }
    }
    buf_fini(&list);
}

static struct bytes line_value(struct bytes head, const char *name)
{
    const uint8_t *at = memmem(head.ptr, head.len, name, strlen(name));
    HOLDS(at != NULL);
    at += strlen(name);
    return bytes_of(
        at,
        (size_t)((const uint8_t *)memmem(at, (size_t)(head.ptr + head.len - at), "\r\n", 2) - at));
}

/* Our own signer, and the checks of its lengths. */
static void own_signature(struct fuzz_input *input, struct arena *arena)
{
    static struct sigv4_context *context;
    struct http_request request = {.arena = arena};
    struct buf head;
    context = context == NULL ? sigv4_context_new() : context;
    const struct sigv4_sign_input to_sign = {.method = BYTES("POST"),
                                             .host = value_text(input, arena),
                                             .path = path_text(input, arena),
                                             .query = query_text(input, arena),
                                             .target = value_text(input, arena),
                                             .content_type = value_text(input, arena),
                                             .body = fuzz_bytes(input, 40),
                                             .key_id = BYTES(KEY_ID),
                                             .secret = BYTES(SECRET),
                                             .region = BYTES("us-east-1"),
                                             .service = BYTES("dynamodb"),
                                             .now_ms = NOW_MS};
    buf_init(&head, 4096);
    HOLDS(sigv4_sign(context, &to_sign, &head) == OK);
    request.method_text = to_sign.method;
    request.path = to_sign.path;
    request.query = to_sign.query;
    request.body = to_sign.body;
    add_header(&request, BYTES("host"), to_sign.host);
    add_header(&request, BYTES("x-amz-date"), line_value(buf_bytes(&head), "X-Amz-Date: "));
    if (to_sign.target.len > 0) {
        add_header(&request, BYTES("x-amz-target"), to_sign.target);
    }
    if (to_sign.content_type.len > 0) {
        add_header(&request, BYTES("content-type"), to_sign.content_type);
    }
    add_header(&request, BYTES("authorization"), line_value(buf_bytes(&head), "Authorization: "));
    char ignored[65];
    if (sign(&request, BYTES("host"), ignored)) { /* else: more pairs than are taken */
        HOLDS(check(&request) == SIGV4_OK);
    }
    buf_fini(&head);
}

/* Whatever stands in the header: nobody without the key is let in. */
static void any_header(struct fuzz_input *input, struct arena *arena)
{
    static const char *const dates[] = {STAMP,
                                        "20150830T123600",
                                        "Sun, 30 Aug 2015 12:36:00 GMT",
                                        "20150230T000000Z",
                                        "19700101T000000Z",
                                        ""};
    struct http_request request;
    struct buf list;
    buf_init(&list, 300);
    make_request(input, arena, &request, &list);
    bool date = fuzz_bool(input);
    request.headers[1] = (struct http_header){
        date ? BYTES("Date") : BYTES("X-Amz-Date"),
        bytes_cstr(dates[fuzz_below(input, sizeof(dates) / sizeof(dates[0]))])};
    bool framed = fuzz_bool(input);
    struct bytes rest = fuzz_rest(input);
    struct bytes text = framed ? arena_printf(arena,
                                              "AWS4-HMAC-SHA256 Credential=" KEY_ID "/" SCOPE
                                              ", SignedHeaders=%.*s",
                                              BYTES_FMT(rest))
                               : fuzz_copy(arena, rest);
    add_header(&request, BYTES("authorization"), text);
    HOLDS(check(&request) != SIGV4_OK);
    buf_fini(&list);
}

/* Whatever stands in the query. */
static void any_query(struct fuzz_input *input, struct arena *arena)
{
    static const char *const pieces[] = {"X-Amz-Algorithm=",
                                         "AWS4-HMAC-SHA256",
                                         "&X-Amz-Credential=",
                                         KEY_ID "/" SCOPE,
                                         "&X-Amz-Signature=",
                                         "&X-Amz-SignedHeaders=",
                                         "host;x-amz-date",
                                         "&X-Amz-Date=",
                                         STAMP,
                                         "&X-Amz-Expires=",
                                         "604800",
                                         "&X-Amz-Security-Token=",
                                         "%41",
                                         "-"};
    struct http_request request;
    struct buf list;
    struct buf query;
    buf_init(&list, 300);
    buf_init(&query, 8192);
    make_request(input, arena, &request, &list);
    buf_add_cstr(&query, "X-Amz-Algorithm=AWS4-HMAC-SHA256");
    for (size_t count = fuzz_below(input, 40); count > 0; count--) {
        buf_add_cstr(&query, pieces[fuzz_below(input, sizeof(pieces) / sizeof(pieces[0]))]);
    }
    buf_add(&query, clean(input, arena, 200, ""));
    request.query = buf_bytes(&query);
    HOLDS(check(&request) != SIGV4_OK);
    buf_fini(&query);
    buf_fini(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = fuzz_input_of(data, size);
    struct arena arena;
    arena_init(&arena, 0);
    switch (fuzz_below(&input, 5)) {
    case 0:
        any_header(&input, &arena);
        break;
    case 1:
        signed_request(&input, &arena);
        break;
    case 2:
        own_signature(&input, &arena);
        break;
    case 3:
        presigned_request(&input, &arena);
        break;
    default:
        any_query(&input, &arena);
    }
    arena_fini(&arena);
    return 0;
}
