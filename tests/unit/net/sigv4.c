/* Signatures: AWS's published vectors are accepted, our own are made as theirs, any changed byte is
 * refused, and each refusal has AWS's name and words, in AWS's order. */
#include "net/sigv4_priv.h"

#include "check.h"

#include <stdlib.h>
#include <time.h>

#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define SCOPE "20150830/us-east-1/service/aws4_request"
#define NOW_MS 1440938160000u /* 2015-08-30 12:36:00 */

static struct sigv4_context *context;
static struct arena arena;
static struct sigv4_result result;
static const char *secret_now = SECRET;

static bool secret_of(void *arg, struct bytes key_id, struct bytes *secret)
{
    (void)arg;
    *secret = bytes_cstr(secret_now);
    return bytes_equal(key_id, BYTES("AKIDEXAMPLE"));
}

static struct sigv4_policy policy = {
    .lookup = secret_of, .service = BYTES_INIT("service"), .now_ms = NOW_MS};

static void add(struct http_request *request, const char *name, const char *value)
{
    request->headers[request->header_count++] =
        (struct http_header){bytes_cstr(name), bytes_cstr(value)};
}

static enum sigv4_refusal check(struct http_request *request)
{
    arena_reset(&arena); /* what was found before lay in it */
    request->arena = &arena;
    sigv4_check(context, &policy, request, &result);
    return result.refusal;
}

/* A request with these headers, Host and X-Amz-Date of the vectors, and this Authorization. */
static struct http_request request_of(const char *method, const char *path, const char *query,
                                      const char *authorization)
{
    struct http_request request = {
        .method_text = bytes_cstr(method), .path = bytes_cstr(path), .query = bytes_cstr(query)};
    add(&request, "Host", "example.amazonaws.com");
    add(&request, "X-Amz-Date", "20150830T123600Z");
    add(&request, "Authorization", authorization);
    return request;
}

static const char *authorization_of(const char *names, const char *signature)
{
    static char text[400];
    snprintf(text, sizeof(text),
             "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/" SCOPE ", SignedHeaders=%s, Signature=%s",
             names, signature);
    return text;
}

static void published_vectors_are_accepted(void)
{
    static const struct {
        const char *method, *path, *query, *header, *value, *body, *names, *signature;
    } vectors[] = {
        {"GET", "/", "", NULL, NULL, "", "host;x-amz-date",
         "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
        {"POST", "/", "", NULL, NULL, "", "host;x-amz-date",
         "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
        {"GET", "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", "", NULL,
         NULL, "", "host;x-amz-date",
         "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
        {"GET", "/\xe1\x88\xb4", "", NULL, NULL, "", "host;x-amz-date",
         "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
        {"GET", "/example space/", "", NULL, NULL, "", "host;x-amz-date",
         "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
        {"GET", "//example//", "", NULL, NULL, "", "host;x-amz-date",
         "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"},
        {"GET", "/example/..", "", NULL, NULL, "", "host;x-amz-date",
         "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
        {"GET", "/example1/example2/../..", "", NULL, NULL, "", "host;x-amz-date",
         "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
        {"GET", "/./", "", NULL, NULL, "", "host;x-amz-date",
         "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
        {"GET", "/./example", "", NULL, NULL, "", "host;x-amz-date",
         "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5"},
        {"GET", "/", "Param2=value2&Param1=value1", NULL, NULL, "", "host;x-amz-date",
         "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
        {"GET", "/", "Param1=value2&Param1=value1", NULL, NULL, "", "host;x-amz-date",
         "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"},
        {"GET", "/", "\xe1\x88\xb4=bar", NULL, NULL, "", "host;x-amz-date",
         "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
        {"GET", "/", "%E1%88%b4=bar", NULL, NULL, "", "host;x-amz-date",
         "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
        {"POST", "/", "", "Content-Type", "application/x-www-form-urlencoded", "Param1=value1",
         "content-type;host;x-amz-date",
         "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
    };
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        struct http_request request =
            request_of(vectors[i].method, vectors[i].path, vectors[i].query,
                       authorization_of(vectors[i].names, vectors[i].signature));
        if (vectors[i].header != NULL) {
            add(&request, vectors[i].header, vectors[i].value);
        }
        request.body = bytes_cstr(vectors[i].body);
        if (check(&request) != SIGV4_OK) {
            printf("vector %zu: %s\n", i, result.text);
        }
        CHECK(result.refusal == SIGV4_OK);
        CHECK_BYTES(result.key_id, BYTES("AKIDEXAMPLE"));
        CHECK_BYTES(result.region, BYTES("us-east-1"));
    }
    struct http_request trimmed = request_of(
        "GET", "/", "",
        authorization_of("host;my-header1;my-header2;x-amz-date",
                         "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"));
    add(&trimmed, "My-Header1", " value1");
    add(&trimmed, "My-Header2", "\"a   b   c\"");
    CHECK(check(&trimmed) == SIGV4_OK);
}

/* Takes "X-Amz-Date: v\r\nAuthorization: w\r\n" apart. */
static void add_signed(struct http_request *request, char *lines)
{
    char *rest = NULL;
    for (char *line = strtok_r(lines, "\r\n", &rest); line != NULL;
         line = strtok_r(NULL, "\r\n", &rest)) {
        char *colon = strchr(line, ':');
        *colon = 0;
        add(request, line, colon + 2);
    }
}

static const struct sigv4_sign_input put_item = {.method = BYTES_INIT("POST"),
                                                 .host = BYTES_INIT("localhost:8000"),
                                                 .path = BYTES_INIT("/"),
                                                 .query = BYTES_INIT("a=%20b&A=1"),
                                                 .target = BYTES_INIT("DynamoDB_20120810.PutItem"),
                                                 .content_type =
                                                     BYTES_INIT("application/x-amz-json-1.0"),
                                                 .body = BYTES_INIT("{\"TableName\":\"t\"}"),
                                                 .key_id = BYTES_INIT("AKIDEXAMPLE"),
                                                 .secret = BYTES_INIT(SECRET),
                                                 .region = BYTES_INIT("eu-west-1"),
                                                 .service = BYTES_INIT("service"),
                                                 .now_ms = NOW_MS};

static struct http_request signed_request(const struct sigv4_sign_input *input, char lines[2048])
{
    struct buf headers;
    struct http_request request = {.method_text = input->method,
                                   .path = input->path,
                                   .query = input->query,
                                   .body = input->body};
    buf_init(&headers, 2047);
    CHECK(sigv4_sign(context, input, &headers) == OK);
    snprintf(lines, 2048, "%.*s", BYTES_FMT(buf_bytes(&headers)));
    buf_fini(&headers);
    add(&request, "Host", (const char *)input->host.ptr);
    add(&request, "User-Agent", "unsigned/1.0");
    add(&request, "Content-Type", (const char *)input->content_type.ptr);
    add(&request, "X-Amz-Target", (const char *)input->target.ptr);
    add_signed(&request, lines);
    return request;
}

static void our_signer_is_accepted(void)
{
    char lines[2048];
    struct sigv4_sign_input input = put_item;
    struct http_request request = signed_request(&input, lines);
    CHECK(check(&request) == SIGV4_OK);
    CHECK_BYTES(result.region, BYTES("eu-west-1"));
    /* More scopes than the cache holds, each twice. */
    for (unsigned i = 0; i < 200; i++) {
        char region[20];
        snprintf(region, sizeof(region), "region-%u", i % 100);
        input.region = bytes_cstr(region);
        request = signed_request(&input, lines);
        CHECK(check(&request) == SIGV4_OK);
    }
}

static void a_changed_secret_is_another_key(void)
{
    char lines[2048];
    struct http_request request = signed_request(&put_item, lines);
    CHECK(check(&request) == SIGV4_OK);
    secret_now = "another";
    CHECK(check(&request) == SIGV4_INVALID);
    secret_now = SECRET;
    CHECK(check(&request) == SIGV4_OK);
}

/* Changes each byte of *part in three ways; the check must refuse each. */
static void change_each_byte(struct http_request *request, struct bytes *part, const char *what)
{
    static const uint8_t flips[] = {0x01, 0x20, 0x80};
    struct bytes whole = *part;
    uint8_t *copy = malloc(whole.len);
    for (size_t i = 0; i < whole.len * sizeof(flips); i++) {
        memcpy(copy, whole.ptr, whole.len);
        copy[i / 3] ^= flips[i % 3];
        *part = bytes_of(copy, whole.len);
        if (check(request) == SIGV4_OK) {
            printf("%s, byte %zu, flip %02x: %.*s\n", what, i / 3, flips[i % 3], BYTES_FMT(*part));
            CHECK(false);
        }
    }
    *part = bytes_of(whole.ptr, whole.len - 1); /* shorter */
    CHECK(check(request) != SIGV4_OK);
    *part = whole;
    free(copy);
    CHECK(check(request) == SIGV4_OK);
}

static void every_changed_byte_is_refused(void)
{
    char lines[2048];
    struct http_request request = signed_request(&put_item, lines);
    change_each_byte(&request, &request.method_text, "method");
    change_each_byte(&request, &request.query, "query");
    change_each_byte(&request, &request.body, "body");
    for (size_t i = 0; i < request.header_count; i++) {
        if (!bytes_equal(request.headers[i].name, BYTES("User-Agent"))) {
            change_each_byte(&request, &request.headers[i].value, "header");
        }
    }
    request.path = BYTES("/x");
    CHECK(check(&request) == SIGV4_INVALID);
}

/* ---- presigned requests ---- */

#define PRESIGNED_HEAD "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE/" SCOPE
#define PRESIGNED_DATE "&X-Amz-Date=20150830T123600Z&X-Amz-Expires=90"
#define PRESIGNED_TAIL                                                                             \
    "&X-Amz-SignedHeaders=host;x-amz-target&X-Amz-Security-Token=a/token+=&X-Amz-Signature="       \
    "84ccfa2f6e8917d46b4bd5c1ca230b513763e825ff78922f9cddbfd56f1de8bb"

/* The signature was made by botocore, over the escaped form of the same query. */
static struct http_request presigned(const char *query)
{
    struct http_request request = {.method_text = BYTES_INIT("POST"),
                                   .path = BYTES_INIT("/"),
                                   .query = bytes_cstr(query),
                                   .body = BYTES_INIT("{}")};
    add(&request, "Host", "example.amazonaws.com");
    add(&request, "X-Amz-Target", "a.B");
    return request;
}

static void presigned_requests_are_accepted(void)
{
    struct http_request request =
        presigned("Limit=a b/\xc3\xbc&" PRESIGNED_HEAD PRESIGNED_DATE PRESIGNED_TAIL);
    CHECK(check(&request) == SIGV4_OK);
    CHECK(bytes_equal(result.key_id, BYTES("AKIDEXAMPLE")));
    request.query =
        BYTES("Limit=a%20b%2F%C3%BC&X-Amz-Algorithm=AWS4%2DHMAC-SHA256&X-Amz-Credential="
              "AKIDEXAMPLE%2f20150830%2fus-east-1%2fservice%2faws4_request" PRESIGNED_DATE
                  PRESIGNED_TAIL);
    CHECK(check(&request) == SIGV4_OK);
    request.query = BYTES(PRESIGNED_HEAD PRESIGNED_TAIL PRESIGNED_DATE "&Limit=a%20b%2f%c3%bc");
    CHECK(check(&request) == SIGV4_OK);
}

static void every_changed_byte_of_a_presigned_request_is_refused(void)
{
    struct http_request request =
        presigned("Limit=a b/\xc3\xbc&" PRESIGNED_HEAD PRESIGNED_DATE PRESIGNED_TAIL);
    change_each_byte(&request, &request.method_text, "method");
    change_each_byte(&request, &request.query, "query");
    change_each_byte(&request, &request.body, "body");
    change_each_byte(&request, &request.headers[0].value, "header");
    change_each_byte(&request, &request.headers[1].value, "header");
}

static void presigned_requests_end(void)
{
    static const struct {
        int64_t after_ms;
        const char *text;
    } cases[] = {
        {0, ""},
        {90000, ""},
        {90001, "Signature expired: 20150830T123600Z is now earlier than 20150830T123600Z "
                "(20150830T123730Z - 90 sec.)"},
        {-900000, ""},
        {-901000, "Signature not yet current: 20150830T123600Z is still later than "
                  "20150830T123559Z (20150830T122059Z + 15 min.)"},
    };
    struct http_request request =
        presigned("Limit=a b/\xc3\xbc&" PRESIGNED_HEAD PRESIGNED_DATE PRESIGNED_TAIL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        policy.now_ms = NOW_MS + (uint64_t)cases[i].after_ms;
        CHECK(check(&request) == (cases[i].text[0] == 0 ? SIGV4_OK : SIGV4_INVALID));
        CHECK(strcmp(result.text, cases[i].text) == 0);
    }
    policy.now_ms = NOW_MS;
}

static void presigned_refusals_have_words(void)
{
#define MUST(name) "AWS query-string parameters must include '" name "'. "
#define AGAIN "Re-examine the query-string parameters."
    static const struct {
        const char *query, *text;
    } cases[] = {
        {"X-Amz-Algorithm", MUST("X-Amz-Algorithm") MUST("X-Amz-Credential") MUST("X-Amz-Signature")
                                MUST("X-Amz-SignedHeaders") MUST("X-Amz-Date") AGAIN},
        {"X-Amz-Algorithm=",
         MUST("X-Amz-Algorithm") MUST("X-Amz-Credential") MUST("X-Amz-Signature")
             MUST("X-Amz-SignedHeaders") MUST("X-Amz-Date") AGAIN},
        {PRESIGNED_HEAD PRESIGNED_TAIL, MUST("X-Amz-Date") AGAIN},
        {PRESIGNED_HEAD PRESIGNED_DATE "&X-Amz-SignedHeaders=host", MUST("X-Amz-Signature") AGAIN},
        {PRESIGNED_HEAD PRESIGNED_DATE PRESIGNED_DATE PRESIGNED_TAIL,
         "AWS query-string parameters must include 'X-Amz-Date' only once. " AGAIN},
        {PRESIGNED_HEAD PRESIGNED_TAIL "&X-Amz-Date=2015",
         "Date must be in ISO-8601 'basic format'. Got '2015'. See "
         "http://en.wikipedia.org/wiki/ISO_8601"},
#define WITH_EXPIRES(text)                                                                         \
    PRESIGNED_HEAD PRESIGNED_TAIL "&X-Amz-Date=20150830T123600Z&X-Amz-Expires=" text
        {WITH_EXPIRES(""), "X-Amz-Expires should be a number"},
        {WITH_EXPIRES("-"), "X-Amz-Expires should be a number"},
        {WITH_EXPIRES("9x"), "X-Amz-Expires should be a number"},
        {WITH_EXPIRES("+9"), "X-Amz-Expires should be a number"},
        {WITH_EXPIRES("-9"), "X-Amz-Expires must be non-negative"},
        {WITH_EXPIRES("0"), "X-Amz-Expires must be greater than 0"},
        {WITH_EXPIRES("604801"),
         "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires "
         "must be less than 604800 seconds"},
        {WITH_EXPIRES("18446744073709551617"),
         "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires "
         "must be less than 604800 seconds"},
        {WITH_EXPIRES("604800"), "The request signature we calculated does not match"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http_request request = presigned(cases[i].query);
        bool exact = i + 1 < sizeof(cases) / sizeof(cases[0]);
        CHECK(check(&request) == (exact ? SIGV4_INCOMPLETE : SIGV4_INVALID));
        CHECK(exact ? strcmp(result.text, cases[i].text) == 0
                    : strncmp(result.text, cases[i].text, strlen(cases[i].text)) == 0);
    }
    struct http_request request = presigned(PRESIGNED_HEAD PRESIGNED_DATE PRESIGNED_TAIL);
    request.headers[1].name = BYTES("x-amz-other");
    CHECK(check(&request) == SIGV4_INVALID);
    CHECK(strcmp(result.text, "'x-amz-other' must be a 'SignedHeader' in the AWS Authorization.") ==
          0);
}

static void refusals_have_names_and_words(void)
{
    static const char good[] = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
#define CREDENTIAL(scope)                                                                          \
    "AWS4-HMAC-SHA256 Credential=" scope ", SignedHeaders=host;x-amz-date, Signature="
    static const struct {
        const char *authorization;
        enum sigv4_refusal refusal;
        const char *text;
    } cases[] = {
        {"", SIGV4_MISSING, "Request is missing Authentication Token"},
        {"Basic QQ==", SIGV4_MISSING, "Request is missing Authentication Token"},
        {"AWS4-HMAC-SHA25 Credential=a, SignedHeaders=host;x-amz-date, Signature=",
         SIGV4_INCOMPLETE,
         "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA25' (only AWS4-HMAC-SHA256 for now). "},
        {"AWS4-HMAC-SHA256", SIGV4_INCOMPLETE,
         "Authorization header requires 'Credential' parameter. Authorization header requires "
         "'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. "
         "Authorization=AWS4-HMAC-SHA256"},
        {"AWS4-HMAC-SHA256 Credential=a/b/c/d/e, Signature=00", SIGV4_INCOMPLETE,
         "Authorization header requires 'SignedHeaders' parameter. Authorization=AWS4-HMAC-SHA256 "
         "Credential=a/b/c/d/e, Signature=00"},
        {"AWS4-HMAC-SHA256 Credential=a, Credential=b, SignedHeaders=host, Signature=00",
         SIGV4_INCOMPLETE, "Authorization header names 'Credential' more than once."},
        {CREDENTIAL("AKIDEXAMPLE/20150830/us-east-1/service"), SIGV4_INCOMPLETE,
         "Credential must have exactly 5 slash-delimited elements, e.g. "
         "keyid/date/region/service/term, got 'AKIDEXAMPLE/20150830/us-east-1/service'"},
        {CREDENTIAL("AKIDEXAMPLE/20150830//service/aws4_request"), SIGV4_INVALID,
         "Credential should be scoped to a valid region, not ''. "},
        {CREDENTIAL("AKIDEXAMPLE/20150830/us-east-1/s3/aws4_request"), SIGV4_INVALID,
         "Credential should be scoped to correct service: 'service'. "},
        {CREDENTIAL("AKIDEXAMPLE/20150830/us-east-1/service/aws3"), SIGV4_INVALID,
         "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws3'. "},
        {CREDENTIAL("AKIDEXAMPLE/20150831/us-east-1/service/aws4_request"), SIGV4_INVALID,
         "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from "
         "HTTP: '20150831' != '20150830', from '20150830T123600Z'."},
        {CREDENTIAL("AKIDEXAMPLE/b//d/e"), SIGV4_INVALID,
         "Credential should be scoped to a valid region, not ''. Credential should be scoped to "
         "correct service: 'service'. Credential should be scoped with a valid terminator: "
         "'aws4_request', not 'e'. Date in Credential scope does not match YYYYMMDD from ISO-8601 "
         "version of date from HTTP: 'b' != '20150830', from '20150830T123600Z'."},
        {"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/" SCOPE ", SignedHeaders=x-amz-date, Signature=",
         SIGV4_INVALID,
         "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."},
        {"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/" SCOPE ", SignedHeaders=host, Signature=",
         SIGV4_INVALID, "'X-Amz-Date' must be a 'SignedHeader' in the AWS Authorization."},
        {CREDENTIAL("AKIDUNKNOWN/" SCOPE), SIGV4_UNKNOWN_KEY,
         "The security token included in the request is invalid."},
        {CREDENTIAL("AKIDEXAMPLE/20150830/eu-west-1/service/aws4_request"), SIGV4_INVALID,
         "The request signature we calculated does not match the signature you provided. Check "
         "your AWS Secret Access Key and signing method. Consult the service documentation for "
         "details.\n\nThe Canonical String for this request should have been\n'GET\n/\n\nhost:"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char authorization[600];
        size_t len = strlen(cases[i].authorization);
        snprintf(authorization, sizeof(authorization), "%s%s", cases[i].authorization,
                 len > 0 && cases[i].authorization[len - 1] == '=' && i > 1 ? good : "");
        struct http_request request = request_of("GET", "/", "", authorization);
        CHECK(check(&request) == cases[i].refusal);
        struct bytes expected = bytes_cstr(cases[i].text);
        size_t shown = strlen(result.text) < expected.len ? strlen(result.text) : expected.len;
        CHECK_BYTES(bytes_of(result.text, shown), expected);
    }
}

static void dates_are_checked(void)
{
    static const char signature[] =
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
    struct http_request request =
        request_of("GET", "/", "", authorization_of("host;x-amz-date", signature));
    const uint64_t quarter = 15 * 60 * 1000;
    policy.now_ms = NOW_MS + quarter;
    CHECK(check(&request) == SIGV4_OK);
    policy.now_ms = NOW_MS - quarter;
    CHECK(check(&request) == SIGV4_OK);
    policy.now_ms = NOW_MS + quarter + 1000;
    CHECK(check(&request) == SIGV4_INVALID);
    CHECK_BYTES(bytes_cstr(result.text),
                BYTES("Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z "
                      "(20150830T125101Z - 15 min.)"));
    policy.now_ms = NOW_MS - quarter - 1000;
    CHECK(check(&request) == SIGV4_INVALID);
    CHECK_BYTES(bytes_cstr(result.text),
                BYTES("Signature not yet current: 20150830T123600Z is still later than "
                      "20150830T123559Z (20150830T122059Z + 15 min.)"));
    policy.now_ms = NOW_MS;
    static const char *const bad[] = {"20150830T123600",
                                      "20150830T123600ZZ",
                                      "20150830 123600Z",
                                      "20151330T123600Z",
                                      "20150830T243600Z",
                                      "2015083xT123600Z",
                                      ""};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        request.headers[1].value = bytes_cstr(bad[i]);
        CHECK(check(&request) == SIGV4_INCOMPLETE);
        CHECK(strstr(result.text, "Date must be in ISO-8601 'basic format'. Got '") == result.text);
    }
    request.headers[1].name = BYTES("X-Other");
    CHECK(check(&request) == SIGV4_INCOMPLETE);
    CHECK(strstr(result.text, "Authorization header requires existence of either a 'X-Amz-Date' or "
                              "a 'Date' header. Authorization=AWS4-HMAC-SHA256 ") == result.text);
    /* A Date header may stand in; the signature then covers it under that name. */
    request.headers[1] =
        (struct http_header){BYTES("Date"), BYTES("Sun, 30 Aug 2015 12:36:00 GMT")};
    CHECK(check(&request) == SIGV4_INVALID); /* x-amz-date is signed but was not sent */
    CHECK_BYTES(bytes_cstr(result.text), BYTES("The signed header 'x-amz-date' was not sent."));
    /* A leap second behind the last year that a stamp can tell. */
    request.headers[1].value = BYTES("Fri, 31 Dec 9999 23:59:59 GMT");
    CHECK(check(&request) == SIGV4_INVALID);
    request.headers[1].value = BYTES("Fri, 31 Dec 9999 23:59:60 GMT");
    CHECK(check(&request) == SIGV4_INCOMPLETE);
}

static void stamps_are_real_dates(void)
{
    for (uint64_t s = 0; s < 4102444800u; s += 86399u * 7u) {
        char stamp[STAMP_LEN + 1];
        uint64_t ms = 0;
        stamp_format(s * 1000, stamp);
        CHECK(stamp_parse(bytes_cstr(stamp), &ms) && ms == s * 1000);
    }
    uint64_t ms;
    CHECK(stamp_parse(BYTES("20240229T000000Z"), &ms));
    CHECK(!stamp_parse(BYTES("20230229T000000Z"), &ms));
    CHECK(!stamp_parse(BYTES("21000229T000000Z"), &ms));
    CHECK(!stamp_parse(BYTES("20230431T000000Z"), &ms));
}

static void doubled_and_unsigned_headers_are_refused(void)
{
    char lines[2048];
    struct http_request request = signed_request(&put_item, lines);
    add(&request, "content-type", "text/plain");
    CHECK(check(&request) == SIGV4_INVALID);
    CHECK_BYTES(bytes_cstr(result.text),
                BYTES("The signed header 'content-type' was sent more than once."));
    request.header_count--;
    add(&request, "X-Amz-Security-Token", "t");
    CHECK(check(&request) == SIGV4_INVALID);
    request.header_count--;
    add(&request, "Authorization", "AWS4-HMAC-SHA256");
    CHECK(check(&request) == SIGV4_INCOMPLETE);
}

static void a_declared_body_hash_must_be_right(void)
{
    static const char hash[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    struct http_request request =
        request_of("GET", "/", "", authorization_of("host;x-amz-content-sha256;x-amz-date", "00"));
    add(&request, "X-Amz-Content-Sha256", hash);
    CHECK(check(&request) == SIGV4_INVALID);
    CHECK(strstr(result.text, "The request signature we calculated") == result.text);
    request.body = BYTES("x");
    CHECK(check(&request) == SIGV4_INVALID);
    CHECK(strstr(result.text, "The value of x-amz-content-sha256") == result.text);
}

/* "a;a;...", or "a&a&...". */
static const char *repeated(char separator, size_t count)
{
    static char text[400];
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        text[len++] = 'a';
        text[len++] = separator;
    }
    text[len - 1] = 0;
    return text;
}

static enum sigv4_refusal check_names(size_t count)
{
    char text[800];
    snprintf(text, sizeof(text),
             "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/" SCOPE ", SignedHeaders=%s, Signature=00",
             repeated(';', count));
    struct http_request request = request_of("GET", "/", "", text);
    return check(&request);
}

static void lists_have_limits(void)
{
    CHECK(check_names(64) != SIGV4_OK && strstr(result.text, "more than") == NULL);
    CHECK(check_names(65) == SIGV4_INCOMPLETE);
    CHECK_BYTES(bytes_cstr(result.text), BYTES("SignedHeaders names more than 64 headers"));
    struct http_request request =
        request_of("GET", "/", repeated('&', 64), authorization_of("host;x-amz-date", "00"));
    CHECK(check(&request) == SIGV4_INVALID && strstr(result.text, "more than") == NULL);
    request.query = bytes_cstr(repeated('&', 65));
    CHECK(check(&request) == SIGV4_INVALID);
    CHECK_BYTES(bytes_cstr(result.text), BYTES("The query string has more than 64 parameters."));
}

/* Longer than a block of the hash: the key of the first round is its digest. */
static void long_secrets_are_keys(void)
{
    static char secret[300];
    char lines[2048];
    struct buf none;
    struct sigv4_sign_input input = put_item;
    memset(secret, 's', 256);
    secret_now = secret;
    input.secret = bytes_cstr(secret);
    struct http_request request = signed_request(&input, lines);
    CHECK(check(&request) == SIGV4_OK);
    secret[255] = 't';
    CHECK(check(&request) != SIGV4_OK);
    secret[256] = 't'; /* and none is longer */
    input.secret = bytes_cstr(secret);
    buf_init(&none, 2047);
    CHECK(sigv4_sign(context, &input, &none) != OK && none.len == 0);
    CHECK(check(&request) != SIGV4_OK);
    buf_fini(&none);
    secret_now = SECRET;
}

static void words_of_the_caller_are_ascii_in_refusals(void)
{
    struct http_request request =
        request_of("GET", "/", "",
                   "AWS4-\x01\xff\xc3 Credential=a, SignedHeaders=host;x-amz-date, "
                   "Signature=b");
    CHECK(check(&request) == SIGV4_INCOMPLETE);
    CHECK_BYTES(bytes_cstr(result.text), BYTES("Unsupported AWS 'algorithm': 'AWS4-?"
                                               "?"
                                               "?' (only AWS4-HMAC-SHA256 for now). "));
}

static void queries_sort_by_name_then_value(void)
{
    static const struct {
        const char *query, *canonical;
    } cases[] = {
        {"a-=1&a=2", "a=2&a-=1"},
        {"a=10&a=9", "a=10&a=9"},
        {"x=a.b&x=a%2Fb", "x=a%2Fb&x=a.b"},
        {"q=a+b", "q=a%2Bb"},
        {"b&a=1", "a=1&b="},
        {"a=1=2", "a=1%3D2"},
        {"a=%7e&a=%zz", "a=%25zz&a=~"},
        {"&", "="},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t out[1000];
        struct text text = {out, out + sizeof(out)};
        CHECK(canonical_query(&text, bytes_cstr(cases[i].query), BYTES_NONE));
        CHECK_BYTES(bytes_of(out, (size_t)(text.at - out)), bytes_cstr(cases[i].canonical));
    }
    char many[QUERY_PAIRS_MAX * 2 + 10];
    uint8_t out[sizeof(many) * 8];
    for (size_t i = 0; i <= QUERY_PAIRS_MAX; i++) {
        memcpy(many + 2 * i, "a&", 2);
    }
    struct text text = {out, out + sizeof(out)};
    CHECK(!canonical_query(&text, bytes_of(many, 2 * QUERY_PAIRS_MAX + 1), BYTES_NONE));
}

static void random_headers_do_no_harm(void)
{
    static const char words[] = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/" SCOPE
                                ",SignedHeaders=host;x-amz-date,Signature=00 ;;//,,== ";
    unsigned seed = 1;
    for (unsigned i = 0; i < 50000; i++) {
        char text[300];
        size_t len = (size_t)rand_r(&seed) % (sizeof(text) - 1);
        size_t at = 0;
        while (at < len) {
            size_t from = (size_t)rand_r(&seed) % (sizeof(words) - 1);
            size_t count = (size_t)rand_r(&seed) % 60;
            for (; count > 0 && from < sizeof(words) - 1 && at < len; count--) {
                text[at++] = words[from++];
            }
        }
        text[at] = 0;
        struct http_request request = request_of("GET", text, text + at / 2, text);
        CHECK(check(&request) != SIGV4_OK);
    }
}

int main(void)
{
    context = sigv4_context_new();
    arena_init(&arena, 0);
    RUN(published_vectors_are_accepted);
    RUN(our_signer_is_accepted);
    RUN(a_changed_secret_is_another_key);
    RUN(every_changed_byte_is_refused);
    RUN(presigned_requests_are_accepted);
    RUN(every_changed_byte_of_a_presigned_request_is_refused);
    RUN(presigned_requests_end);
    RUN(presigned_refusals_have_words);
    RUN(refusals_have_names_and_words);
    RUN(dates_are_checked);
    RUN(stamps_are_real_dates);
    RUN(doubled_and_unsigned_headers_are_refused);
    RUN(a_declared_body_hash_must_be_right);
    RUN(lists_have_limits);
    RUN(long_secrets_are_keys);
    RUN(words_of_the_caller_are_ascii_in_refusals);
    RUN(queries_sort_by_name_then_value);
    RUN(random_headers_do_no_harm);
    arena_fini(&arena);
    sigv4_context_free(context);
    return CHECK_RESULT();
}
