/* Hop 2 of the straight path: after net/http.c, before op/decode.c. Checks the signature and the
 * policy, finds the operation by its wire name, and turns outcomes into answers. Other faces of the
 * one address are told apart by path: /v1 is chat, the root serves the page or DynamoDB's health
 * text, /healthz, /readyz and /metrics are the operator's. */
#include "base/hash.h"
#include "base/note.h"
#include "server/authorise.h"
#include "server/scrub_calls.h"
#include "sys/clock.h"
#include "sys/random.h"
#include "web/web.h"

#include <ctype.h>
#include <stdio.h>

#define REQUEST_ID_COUNTED 13u /* characters of five bits: all of a 64-bit number */

#define PACK_LEAST 4096u        /* DynamoDB packs answers longer than this */
#define PACK_MOST (1u << 20)    /* 30 instructions a byte: a longer answer goes as it is */
#define KEEP_BYTES (256u << 10) /* of buffers that are rarely needed */

#define ONLY_TLS "Strict-Transport-Security: max-age=31536000\r\n"

static const char id_letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

/* An AWS call on its way; lives in its request's arena. */
struct aws_call {
    struct op_call call; /* first: the op's done gives it back */
    struct http_request *request;
    struct loop_state *state;
};

static void on_request(void *arg, struct http_request *request);
static void on_turn_end(void *arg, struct loop *loop);
static void on_ws_text(void *arg, struct ws *ws, void *user, struct bytes text);
static void on_ws_closed(void *arg, struct ws *ws, void *user);
static void serve_aws(struct loop_state *state, struct http_request *request);
static bool check_caller(struct loop_state *state, struct http_request *request,
                         const struct managed_key **key, struct fault *fault);
static bool find_secret(void *arg, struct bytes key_id, struct bytes *secret);
static bool is_foreign(const struct http_request *request, struct bytes name);
static enum err unpack_body(struct loop_state *state, const struct http_request *request,
                            struct bytes *body);
static struct bytes pack_body(struct loop_state *state, const struct http_request *request,
                              struct bytes body);
static void aws_done(struct op_call *call);
static void answer_body(struct loop_state *state, struct http_request *request, unsigned status,
                        struct bytes type, struct bytes body);
static void answer_unknown(struct loop_state *state, struct http_request *request);
static void answer_plain(struct http_request *request, unsigned status, const char *type,
                         struct bytes body);
static void serve_root(struct loop_state *state, struct http_request *request);
static void serve_ready(struct loop_state *state, struct http_request *request);
static void serve_metrics(struct loop_state *state, struct http_request *request);
static void add_cors(struct loop_state *state, const struct http_request *request);
static void serve_preflight(struct loop_state *state, struct http_request *request);
static void count_call(struct loop_state *state, const struct op_call *call, uint64_t received_ns);

void dispatch_service(struct loop_state *state, struct http_service *service)
{
    *service = (struct http_service){
        .arg = state,
        .request = on_request,
        .turn_end = on_turn_end,
        .ws_text = on_ws_text,
        .ws_closed = on_ws_closed,
    };
}

static void on_request(void *arg, struct http_request *request)
{
    struct loop_state *state = arg;
    bool reads = request->method == HTTP_METHOD_GET || request->method == HTTP_METHOD_HEAD;
    if (request->method == HTTP_METHOD_POST && bytes_equal(request->path, BYTES("/"))) {
        serve_aws(state, request);
    } else if (bytes_start_with(request->path, BYTES("/v1/"))) {
        chat_request(state->chat, request);
    } else if (reads && bytes_equal(request->path, BYTES("/healthz"))) {
        answer_plain(request, 200, "text/plain", BYTES("ok\n"));
    } else if (reads && bytes_equal(request->path, BYTES("/readyz"))) {
        serve_ready(state, request);
    } else if (reads && bytes_equal(request->path, BYTES("/metrics"))) {
        serve_metrics(state, request);
    } else if (reads) {
        serve_root(state, request);
    } else if (request->method == HTTP_METHOD_OPTIONS) {
        serve_preflight(state, request);
    } else {
        answer_unknown(state, request);
    }
}

static void on_turn_end(void *arg, struct loop *loop)
{
    struct loop_state *state = arg;
    (void)loop;
    lane_flush(&state->lane);
}

static void on_ws_text(void *arg, struct ws *ws, void *user, struct bytes text)
{
    struct loop_state *state = arg;
    chat_ws_text(state->chat, ws, user, text);
}

static void on_ws_closed(void *arg, struct ws *ws, void *user)
{
    struct loop_state *state = arg;
    chat_ws_closed(state->chat, ws, user);
}

/* DynamoDB names a bad target and unreadable JSON before it looks at the signature; here the
 * signature comes first, so that no body of a stranger is decoded, and a stranger is told of a bad
 * target only. */
static void serve_aws(struct loop_state *state, struct http_request *request)
{
    struct fault fault = {0};
    struct bytes type = http_header_get(request, BYTES("content-type"), NULL);
    struct bytes target = http_header_get(request, BYTES("x-amz-target"), NULL);
    if (!bytes_start_with(type, BYTES("application/x-amz-json-1.0")) &&
        !bytes_start_with(type, BYTES("application/json"))) {
        answer_unknown(state, request);
        return;
    }
    const struct op *op = op_find(target);
    const struct key_op *key_op = op == NULL ? key_op_find(target) : NULL;
    const struct scrub_op *scrub_op = op == NULL ? scrub_op_find(target) : NULL;
    const struct managed_key *key = NULL;
    if (op == NULL && key_op == NULL && scrub_op == NULL) {
        fault.code = FAULT_UNKNOWN_OPERATION;
        fault.message = op_absent(target, request->arena);
        if (fault.message.ptr == NULL && target.len > 0) {
            fault.message =
                arena_printf(request->arena, "Headwater does not know the operation %.*s",
                             (int)(target.len < 200 ? target.len : 200), target.ptr);
        }
        dispatch_fault(state, request, &fault);
        return;
    }
    if (!check_caller(state, request, &key, &fault)) {
        atomic_fetch_add_explicit(&state->refused_signatures, 1, memory_order_relaxed);
        dispatch_fault(state, request, &fault);
        return;
    }
    struct bytes body;
    enum err unpacked = unpack_body(state, request, &body);
    if (unpacked == ERR_RANGE) {
        answer_body(state, request, 413, BYTES("text/plain"), BYTES("Payload Too Large\n"));
        return;
    }
    struct json root;
    struct aws_call *aws = arena_zalloc(request->arena, sizeof(*aws));
    if (aws == NULL || unpacked != OK) {
        fault.code = FAULT_INTERNAL; /* DynamoDB's answer to what cannot be unpacked */
        dispatch_fault(state, request, &fault);
        return;
    }
    if (json_parse(state->parser, body, &root) != OK || json_type(root) != JSON_OBJECT) {
        fault.code = FAULT_SERIALIZATION;
        dispatch_fault(state, request, &fault);
        return;
    }
    if (key_op != NULL) {
        key_op_start(state, key_op, key, request, root);
        return;
    }
    if (scrub_op != NULL) {
        scrub_op_run(state, scrub_op, key, request, root);
        return;
    }
    aws->request = request;
    aws->state = state;
    aws->call.op = op;
    aws->call.arena = request->arena;
    if (op->names_host) {
        aws->call.host = arena_dup(request->arena, http_header_get(request, BYTES("host"), NULL));
    }
    aws->call.done = aws_done;
    if (op_decode(&aws->call, root) != OK) {
        aws_done(&aws->call);
        return;
    }
    if (key != NULL && !authorise_call(state, key, &aws->call, &fault)) {
        aws->call.fault = fault;
        aws_done(&aws->call);
        return;
    }
    op_start(&state->lane, &aws->call);
}

/* Who is looked for, and found. */
struct looking {
    const struct loop_state *state;
    const struct managed_key *key;
};

/* *key: the managed key that signed, NULL: an owner's. Borrowed until the loop goes back to its
 * messages. */
static bool check_caller(struct loop_state *state, struct http_request *request,
                         const struct managed_key **key, struct fault *fault)
{
    static const enum fault_code codes[] = {
        [SIGV4_OK] = FAULT_NONE,
        [SIGV4_MISSING] = FAULT_MISSING_TOKEN,
        [SIGV4_INCOMPLETE] = FAULT_INCOMPLETE_SIGNATURE,
        [SIGV4_INVALID] = FAULT_INVALID_SIGNATURE,
        [SIGV4_UNKNOWN_KEY] = FAULT_UNRECOGNIZED_CLIENT,
    };
    struct server *server = state->server;
    if (server->unsigned_calls) {
        if (is_foreign(request, BYTES("host")) || is_foreign(request, BYTES("origin"))) {
            fault->code = FAULT_ACCESS_DENIED;
            fault->message = BYTES("Without signatures only calls to a loopback Host and from no "
                                   "foreign Origin are accepted");
            return false;
        }
        return true;
    }
    struct sigv4_result result;
    struct looking looking = {.state = state};
    const struct sigv4_policy policy = {
        .lookup = find_secret,
        .lookup_arg = &looking,
        .region = server->region_fixed ? server->region : BYTES_NONE,
        .service = BYTES("dynamodb"),
        .now_ms = clock_wall_ms(),
    };
    sigv4_check(state->signatures, &policy, request, &result);
    fault->code = codes[result.refusal];
    if (result.refusal != SIGV4_OK) {
        fault->message = arena_dup(request->arena, bytes_cstr(result.text));
    }
    *key = looking.key;
    return result.refusal == SIGV4_OK;
}

/* A key that is not active is nobody's. */
static bool find_secret(void *arg, struct bytes key_id, struct bytes *secret)
{
    struct looking *looking = arg;
    if (keys_lookup(&looking->state->server->keys, key_id, secret)) {
        return true;
    }
    const struct managed_key *key = managed_find(looking->state->managed, key_id);
    if (key == NULL || !key->active) {
        return false;
    }
    looking->key = key;
    *secret = key->secret;
    return true;
}

/* Does this header name a host that is not loopback? For --auth=none, against pages that resolve
 * their name to us. */
static bool is_foreign(const struct http_request *request, struct bytes name)
{
    static const struct bytes own[] = {BYTES_INIT("127.0.0.1"), BYTES_INIT("localhost"),
                                       BYTES_INIT("[::1]")};
    struct bytes host = http_header_get(request, name, NULL);
    if (host.len == 0) {
        return false;
    }
    const struct bytes schemes[] = {BYTES("http://"), BYTES("https://")};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (bytes_start_with(host, schemes[i])) {
            host = bytes_of(host.ptr + schemes[i].len, host.len - schemes[i].len);
            break;
        }
    }
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        if (bytes_start_with(host, own[i]) &&
            (host.len == own[i].len || host.ptr[own[i].len] == ':')) {
            return false;
        }
    }
    return true;
}

/* The body without its Content-Encoding, valid until the next request. ERR_RANGE: too large;
 * ERR_INVALID: not what the header says, or an encoding that is not known. */
static enum err unpack_body(struct loop_state *state, const struct http_request *request,
                            struct bytes *body)
{
    struct bytes encoding = http_header_get(request, BYTES("content-encoding"), NULL);
    *body = request->body;
    if (encoding.len == 0 || bytes_equal_nocase(encoding, BYTES("identity"))) {
        return OK;
    }
    bool gzip = bytes_equal_nocase(encoding, BYTES("gzip"));
    if (!gzip && !bytes_equal_nocase(encoding, BYTES("deflate"))) {
        return ERR_INVALID;
    }
    if (state->unpacked.cap > KEEP_BYTES) {
        buf_fini(&state->unpacked);
    }
    buf_clear(&state->unpacked);
    TRY(deflate_unpack(state->deflate, gzip ? DEFLATE_GZIP : DEFLATE_ZLIB, request->body,
                       &state->unpacked));
    *body = buf_bytes(&state->unpacked);
    return OK;
}

/* The body as it is sent; a packed one is announced in the head. */
static struct bytes pack_body(struct loop_state *state, const struct http_request *request,
                              struct bytes body)
{
    if (body.len <= PACK_LEAST || body.len > PACK_MOST) {
        return body;
    }
    enum http_encoding encoding = http_accepted_encoding(request);
    if (encoding == HTTP_ENCODING_IDENTITY) {
        return body;
    }
    bool gzip = encoding == HTTP_ENCODING_GZIP;
    if (state->packed.cap > KEEP_BYTES) {
        buf_fini(&state->packed);
    }
    buf_clear(&state->packed);
    if (deflate_pack(state->deflate, gzip ? DEFLATE_GZIP : DEFLATE_ZLIB, body, &state->packed) !=
            OK ||
        state->packed.len >= body.len) {
        return body;
    }
    buf_add(&state->head,
            gzip ? BYTES("Content-Encoding: gzip\r\n") : BYTES("Content-Encoding: deflate\r\n"));
    return buf_bytes(&state->packed);
}

static void aws_done(struct op_call *call)
{
    struct aws_call *aws = (struct aws_call *)call;
    struct loop_state *state = aws->state;
    buf_clear(&state->answer);
    unsigned status = op_encode(call, &state->answer);
    count_call(state, call, aws->request->received_ns);
    dispatch_answer(state, aws->request, status);
}

void dispatch_fault(struct loop_state *state, struct http_request *request,
                    const struct fault *fault)
{
    buf_clear(&state->answer);
    unsigned status = fault_encode(fault, &state->answer);
    NOTE(NOTE_DEBUG, "request.refused", NOTE_S("fault", fault_wire_name(fault->code)),
         NOTE_B("message", fault->message));
    dispatch_answer(state, request, status);
}

/* As DynamoDB's: 52 characters. The first ones are the loop's own, chosen at its start, and the
 * rest a scrambled count: unique enough to find a request in a log, not a secret. */
void dispatch_request_ids(struct loop_state *state)
{
    for (size_t i = 0; i < REQUEST_ID_LEN; i++) {
        state->request_id[i] = (uint8_t)id_letters[random_u64() & 31];
    }
    state->request_seed = random_u64();
}

static void add_request_id(struct loop_state *state, struct buf *head)
{
    uint64_t x = state->request_seed += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    x ^= x >> 31;
    for (size_t i = REQUEST_ID_LEN - REQUEST_ID_COUNTED; i < REQUEST_ID_LEN; i++, x >>= 5) {
        state->request_id[i] = (uint8_t)id_letters[x & 31];
    }
    buf_add(head, BYTES("x-amzn-RequestId: "));
    buf_add(head, bytes_of(state->request_id, REQUEST_ID_LEN));
}

static void add_decimal(struct buf *buf, uint64_t value)
{
    uint8_t digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (uint8_t)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    buf_add(buf, bytes_of(digits + at, sizeof(digits) - at));
}

void dispatch_answer(struct loop_state *state, struct http_request *request, unsigned status)
{
    struct bytes body = buf_bytes(&state->answer);
    if (state->answer.failed) {
        NOTE(NOTE_ERROR, "answer.too_large", NOTE_U("bytes", state->answer.len));
        status = 500;
        body = BYTES("{\"__type\":\"com.amazonaws.dynamodb.v20120810#InternalServerError\","
                     "\"message\":\"The answer is too large\"}");
    }
    answer_body(state, request, status, BYTES("application/x-amz-json-1.0"), body);
}

/* DynamoDB's answer to what is no call of its protocol. */
static void answer_unknown(struct loop_state *state, struct http_request *request)
{
    answer_body(state, request, 404, BYTES("application/xml"),
                BYTES("<UnknownOperationException/>\n"));
}

/* What every answer of the AWS face has. */
static void answer_body(struct loop_state *state, struct http_request *request, unsigned status,
                        struct bytes type, struct bytes body)
{
    buf_clear(&state->head);
    body = pack_body(state, request, body);
    buf_add(&state->head, BYTES("Content-Type: "));
    buf_add(&state->head, type);
    buf_add(&state->head, BYTES("\r\n"));
    add_request_id(state, &state->head);
    buf_add(&state->head, BYTES("\r\nx-amz-crc32: "));
    add_decimal(&state->head, hash_crc32(body));
    buf_add(&state->head, BYTES("\r\n"));
    add_cors(state, request);
    http_respond(request, status, buf_bytes(&state->head), body);
}

static void answer_plain(struct http_request *request, unsigned status, const char *type,
                         struct bytes body)
{
    struct bytes head = arena_printf(
        request->arena, "Content-Type: %s\r\nX-Content-Type-Options: nosniff\r\n", type);
    http_respond(request, status, head, body);
}

/* The page for browsers; DynamoDB's health text for everyone else. */
static void serve_root(struct loop_state *state, struct http_request *request)
{
    bool root = bytes_equal(request->path, BYTES("/"));
    struct bytes accept = http_header_get(request, BYTES("accept"), NULL);
    bool browser = accept.len >= 9 && memmem(accept.ptr, accept.len, "text/html", 9) != NULL;
    const struct web_file *file =
        root && !browser ? NULL : web_find(root ? BYTES("/index.html") : request->path);
    if (file != NULL) {
        struct bytes head =
            arena_printf(request->arena, "Content-Type: %s\r\n%s%s", file->type,
                         web_security_headers, state->server->tls_ends_s != 0 ? ONLY_TLS : "");
        http_respond(request, 200, head, file->body);
    } else if (root) {
        struct bytes text = arena_printf(request->arena, "healthy: dynamodb.%.*s.amazonaws.com ",
                                         BYTES_FMT(state->server->region));
        buf_clear(&state->head);
        buf_add(&state->head,
                BYTES("Content-Type: text/plain\r\nX-Content-Type-Options: nosniff\r\n"));
        add_cors(state, request);
        http_respond(request, 200, buf_bytes(&state->head), text);
    } else {
        answer_plain(request, 404, "text/plain", BYTES("not found\n"));
    }
}

static void serve_ready(struct loop_state *state, struct http_request *request)
{
    if (atomic_load_explicit(&state->server->draining, memory_order_relaxed)) {
        answer_plain(request, 503, "text/plain", BYTES("draining\n"));
    } else {
        answer_plain(request, 200, "text/plain", BYTES("ready\n"));
    }
}

static void serve_metrics(struct loop_state *state, struct http_request *request)
{
    buf_clear(&state->answer);
    metrics_write(state->server, &state->answer);
    answer_plain(request, 200, "text/plain; version=0.0.4", buf_bytes(&state->answer));
}

/* The value of Access-Control-Allow-Origin, ptr NULL: a page of the request's origin may not read
 * the answer. The signature is the guard of AWS calls, so unless told otherwise every page may;
 * without signatures none may. */
static struct bytes allowed_origin(const struct server *server, struct bytes origin)
{
    struct bytes list = bytes_cstr(server->config.cors_origin);
    if (origin.len == 0 || server->unsigned_calls) {
        return BYTES_NONE;
    }
    while (list.len > 0) {
        struct bytes one = bytes_cut(&list, ',');
        while (one.len > 0 && one.ptr[0] == ' ') {
            one = bytes_of(one.ptr + 1, one.len - 1);
        }
        if (bytes_equal(one, BYTES("*"))) {
            return one;
        }
        if (bytes_equal(one, origin)) {
            return origin;
        }
    }
    return BYTES_NONE;
}

/* To the head of an answer to a browser. False: its page may not read it. */
static bool add_allowed(struct loop_state *state, struct bytes origin)
{
    struct bytes allowed = allowed_origin(state->server, origin);
    if (allowed.ptr == NULL) {
        return false;
    }
    buf_add(&state->head, BYTES("Access-Control-Allow-Origin: "));
    buf_add(&state->head, allowed);
    buf_add(&state->head, BYTES("\r\nAccess-Control-Expose-Headers: x-amzn-RequestId,x-amz-crc32,"
                                "x-amzn-ErrorType,x-amzn-ErrorMessage,Date\r\n"));
    return true;
}

static void add_cors(struct loop_state *state, const struct http_request *request)
{
    struct bytes origin = http_header_get(request, BYTES("origin"), NULL);
    if (origin.len > 0) {
        (void)add_allowed(state, origin);
        buf_add(&state->head, BYTES("Vary: Origin\r\n"));
    }
}

/* What a preflight asks for is what it gets. */
static void add_granted(struct loop_state *state, const struct http_request *request,
                        struct bytes asked, const char *granted)
{
    struct bytes value = http_header_get(request, asked, NULL);
    if (value.len > 0) {
        buf_add_cstr(&state->head, granted);
        buf_add(&state->head, value);
        buf_add(&state->head, BYTES("\r\n"));
    }
}

/* May a page of that origin send what it is about to send? */
static void serve_preflight(struct loop_state *state, struct http_request *request)
{
    buf_clear(&state->head);
    if (!add_allowed(state, http_header_get(request, BYTES("origin"), NULL))) {
        http_respond(request, 403, BYTES("Content-Type: text/plain\r\nVary: Origin\r\n"),
                     BYTES("Pages of this origin may not call: see --cors-origin\n"));
        return;
    }
    add_granted(state, request, BYTES("access-control-request-method"),
                "Access-Control-Allow-Methods: ");
    add_granted(state, request, BYTES("access-control-request-headers"),
                "Access-Control-Allow-Headers: ");
    buf_add(&state->head, BYTES("Access-Control-Max-Age: 172800\r\n"
                                "Vary: Origin, Access-Control-Request-Method, "
                                "Access-Control-Request-Headers\r\n"));
    http_respond(request, 200, buf_bytes(&state->head), BYTES_NONE);
}

static void count_call(struct loop_state *state, const struct op_call *call, uint64_t received_ns)
{
    size_t index = op_index(call->op);
    struct op_figures *figures = &state->ops[index < SERVER_OPS_MAX ? index : SERVER_OPS_MAX - 1];
    uint64_t took = clock_mono_ns() - received_ns;
    uint64_t us = took / 1000;
    size_t bucket = us == 0 ? 0 : (size_t)(64 - __builtin_clzll(us));
    atomic_fetch_add_explicit(&figures->requests, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&figures->time_ns, took, memory_order_relaxed);
    atomic_fetch_add_explicit(
        &figures->buckets[bucket < SERVER_BUCKETS ? bucket : SERVER_BUCKETS - 1], 1,
        memory_order_relaxed);
    if (call->fault.code != FAULT_NONE) {
        bool ours = fault_status(call->fault.code) >= 500;
        atomic_fetch_add_explicit(ours ? &figures->errors : &figures->faults, 1,
                                  memory_order_relaxed);
        NOTE(ours ? NOTE_ERROR : NOTE_DEBUG, "request.fault", NOTE_S("operation", call->op->name),
             NOTE_S("fault", fault_wire_name(call->fault.code)), NOTE_U("us", us));
    }
}
