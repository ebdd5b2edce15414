/* HTTP/1.1 requests: what arrives is the same however it is cut, and is what a strict reader of the
 * RFC, written here again, finds at the same place; every message is delivered or refused once.
 *
 * The input is what a peer sends. From its end come the cuts, and which answers are late. */
#include "fuzz.h"
#include "wire.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#define BODY_MAX 3000u
#define PIECES_MAX 8u

static struct buf transcript;        /* of the run at hand */
static struct http_request *waiting; /* to be answered later */
static bool answer_late;
static struct bytes sent; /* the whole input */
static size_t reading_at; /* where the reference stands in it */
static size_t requests;

/* ---- the reference ---- */

static bool is_token(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!isalnum(text.ptr[i]) &&
            (text.ptr[i] == 0 || strchr("!#$%&'*+-.^_`|~", text.ptr[i]) == NULL)) {
            return false;
        }
    }
    return text.len > 0;
}

static bool is_word(struct bytes text, const char *word)
{
    return text.len == strlen(word) && strncasecmp((const char *)text.ptr, word, text.len) == 0;
}

/* The next line, without its end. */
static struct bytes line_of(struct bytes *rest)
{
    const uint8_t *end = memmem(rest->ptr, rest->len, "\r\n", 2);
    HOLDS(end != NULL);
    struct bytes line = bytes_of(rest->ptr, (size_t)(end - rest->ptr));
    *rest = bytes_of(end + 2, rest->len - line.len - 2);
    HOLDS(memchr(line.ptr, '\n', line.len) == NULL && memchr(line.ptr, '\r', line.len) == NULL);
    return line;
}

static struct bytes trimmed(struct bytes text)
{
    while (text.len > 0 && (*text.ptr == ' ' || *text.ptr == '\t')) {
        text = bytes_of(text.ptr + 1, text.len - 1);
    }
    while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t')) {
        text.len--;
    }
    return text;
}

static void reference_line(struct bytes line, const struct http_request *request)
{
    const uint8_t *space = memchr(line.ptr, ' ', line.len);
    HOLDS(space != NULL);
    struct bytes method = bytes_of(line.ptr, (size_t)(space - line.ptr));
    struct bytes rest = bytes_of(space + 1, line.len - method.len - 1);
    space = memchr(rest.ptr, ' ', rest.len);
    HOLDS(space != NULL);
    struct bytes target = bytes_of(rest.ptr, (size_t)(space - rest.ptr));
    struct bytes version = bytes_of(space + 1, rest.len - target.len - 1);
    HOLDS(is_token(method) && bytes_equal(method, request->method_text));
    HOLDS(version.len == 8 && memcmp(version.ptr, "HTTP/1.", 7) == 0 && isdigit(version.ptr[7]));
    if (target.len > 0 &&
        target.ptr[0] == '/') { /* the origin form, which is nearly always meant */
        struct bytes path = request->path;
        struct bytes query = request->query;
        HOLDS(bytes_start_with(target, path) &&
              (path.len == target.len || target.ptr[path.len] == '?'));
        HOLDS(path.len == target.len ||
              bytes_equal(query, bytes_of(target.ptr + path.len + 1, target.len - path.len - 1)));
        HOLDS(path.len < target.len || query.len == 0);
    }
}

static struct bytes reference_chunks(struct bytes *rest, struct buf *body)
{
    for (;;) {
        struct bytes line = line_of(rest);
        size_t len = 0;
        size_t at = 0;
        for (; at < line.len && isxdigit(line.ptr[at]); at++) {
            HOLDS(len <= BODY_MAX);
            len = len * 16 + (size_t)(isdigit(line.ptr[at]) ? line.ptr[at] - '0'
                                                            : (line.ptr[at] | 0x20) - 'a' + 10);
        }
        HOLDS(at > 0 && (at == line.len || line.ptr[at] == ';' || line.ptr[at] == ' '));
        if (len == 0) {
            HOLDS(line_of(rest).len == 0);
            return buf_bytes(body);
        }
        HOLDS(rest->len >= len + 2 && rest->ptr[len] == '\r' && rest->ptr[len + 1] == '\n');
        buf_add(body, bytes_of(rest->ptr, len));
        *rest = bytes_of(rest->ptr + len + 2, rest->len - len - 2);
    }
}

/* Reads the message that must stand at reading_at and compares it with the one delivered. */
static void reference_read(const struct http_request *request)
{
    struct bytes rest = bytes_of(sent.ptr + reading_at, sent.len - reading_at);
    struct buf chunks;
    size_t count = 0;
    size_t hosts = 0;
    size_t lengths = 0;
    size_t encodings = 0;
    size_t length = 0;
    buf_init(&chunks, BODY_MAX);
    while (bytes_start_with(rest, BYTES("\r\n"))) {
        rest = bytes_of(rest.ptr + 2, rest.len - 2);
    }
    const uint8_t *start = rest.ptr;
    reference_line(line_of(&rest), request);
    for (struct bytes line = line_of(&rest); line.len > 0; line = line_of(&rest)) {
        const uint8_t *colon = memchr(line.ptr, ':', line.len);
        HOLDS(colon != NULL && count < request->header_count);
        struct bytes name = bytes_of(line.ptr, (size_t)(colon - line.ptr));
        struct bytes value = trimmed(bytes_of(colon + 1, line.len - name.len - 1));
        HOLDS(is_token(name) && memchr(value.ptr, 0, value.len) == NULL);
        HOLDS(bytes_equal(name, request->headers[count].name));
        HOLDS(bytes_equal(value, request->headers[count].value));
        hosts += is_word(name, "host") ? 1 : 0;
        encodings += is_word(name, "transfer-encoding") ? 1 : 0;
        if (is_word(name, "content-length")) {
            lengths++;
            HOLDS(value.len > 0);
            for (size_t i = 0; i < value.len; i++) { /* zeros may lead, as many as there are */
                HOLDS(isdigit(value.ptr[i]) && length < 100000000);
                length = length * 10 + value.ptr[i] - '0';
            }
        }
        count++;
    }
    HOLDS(count == request->header_count && hosts <= 1);
    HOLDS((size_t)(rest.ptr - start) <= HTTP_HEAD_BYTES_MAX + 2);
    HOLDS(lengths + encodings <= 1);
    struct bytes body = bytes_of(rest.ptr, length);
    if (encodings > 0) {
        body = reference_chunks(&rest, &chunks);
    } else {
        HOLDS(length <= rest.len);
        rest = bytes_of(rest.ptr + length, rest.len - length);
    }
    HOLDS(body.len <= BODY_MAX && bytes_equal(body, request->body));
    buf_fini(&chunks);
    reading_at = (size_t)(rest.ptr - sent.ptr);
}

/* ---- the service ---- */

static void answer(struct http_request *request)
{
    struct bytes last = http_header_get(request, BYTES("x-last"), NULL);
    struct bytes text = arena_printf(request->arena, "%zu %zu", request->header_count, last.len);
    http_respond(request, request->method == HTTP_METHOD_DELETE ? 204 : 200,
                 BYTES("Content-Type: text/plain\r\n"), text);
}

static void on_request(void *arg, struct http_request *request)
{
    (void)arg;
    reference_read(request);
    requests++;
    buf_printf(&transcript, "%u %d [%.*s] [%.*s] [%.*s] ", request->method, request->keep_alive,
               BYTES_FMT(request->method_text), BYTES_FMT(request->path),
               BYTES_FMT(request->query));
    for (size_t i = 0; i < request->header_count; i++) {
        buf_add(&transcript, request->headers[i].name);
        buf_add_byte(&transcript, 0);
        buf_add(&transcript, request->headers[i].value);
        buf_add_byte(&transcript, 0);
    }
    buf_add(&transcript, request->body);
    if (answer_late) {
        waiting = request;
    } else {
        answer(request);
    }
}

/* ---- runs ---- */

static void settle(struct connection *connection)
{
    wire_turn(connection);
    while (waiting != NULL) {
        struct http_request *request = waiting;
        waiting = NULL;
        answer(request);
        wire_turn(connection);
    }
}

static struct loop *the_loop(void)
{
    static struct loop *loop;
    static const struct http_service service = {.request = on_request};
    static const struct http_limits limits = {.body_max = BODY_MAX,
                                              .other_body_max = BODY_MAX,
                                              .unauthenticated_bytes_max = 1u << 30,
                                              .unsent_bytes_max = 1u << 30};
    if (loop == NULL) {
        loop = wire_loop(service, &limits);
    }
    return loop;
}

/* "100 Continue" is for a body that is still to come, so the cuts decide about it. */
static void add_answers(struct bytes out)
{
    const struct bytes interim = BYTES("HTTP/1.1 100 Continue\r\n\r\n");
    for (size_t i = 0; i < out.len; i++) {
        while (bytes_start_with(bytes_of(out.ptr + i, out.len - i), interim)) {
            i += interim.len;
        }
        buf_add(&transcript, bytes_of(out.ptr + i, i < out.len ? 1 : 0));
    }
}

/* Feeds the input in pieces; what came of it is the transcript and what was sent back. */
static void run(const size_t *cuts, size_t count, bool late, struct buf *out)
{
    struct loop *loop = the_loop();
    struct connection *connection = wire_open(loop);
    uint64_t refused = atomic_load(&loop->refused);
    size_t at = 0;
    buf_init(&transcript, 1u << 22);
    loop->date_checked_ms = uv_now(&loop->uv);
    answer_late = late;
    waiting = NULL;
    reading_at = 0;
    for (size_t i = 0; i <= count; i++) {
        size_t end = i == count ? sent.len : cuts[i];
        wire_feed(connection, bytes_of(sent.ptr + at, end - at));
        at = end;
        if (!late || i % 2 == 1) {
            settle(connection);
        }
    }
    settle(connection);
    HOLDS(connection->state == CONNECTION_IDLE || connection->state == CONNECTION_HEAD ||
          connection->state == CONNECTION_BODY || connection->state == CONNECTION_CLOSING);
    refused = atomic_load(&loop->refused) - refused;
    buf_printf(&transcript, "%d %d %d", connection->state == CONNECTION_CLOSING,
               connection->close_after_send, (int)refused);
    if (refused == 0) {
        add_answers(buf_bytes(&connection->out));
    } else {
        /* Of two faults at one place the cuts decide which is told. */
        HOLDS(refused == 1 && connection->state == CONNECTION_CLOSING);
    }
    HOLDS(!transcript.failed && !connection->out.failed);
    wire_close(connection);
    *out = transcript;
}

static int by_size(const void *left, const void *right)
{
    const size_t *a = left;
    const size_t *b = right;
    return (*a > *b) - (*a < *b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = fuzz_input_of(data, size);
    struct buf whole;
    struct buf pieces;
    size_t cuts[PIECES_MAX];
    size_t count = fuzz_below(&input, PIECES_MAX);
    bool late = fuzz_bool(&input);
    size_t places[PIECES_MAX];
    for (size_t i = 0; i < count; i++) {
        places[i] = fuzz_below(&input, 65536);
    }
    sent = fuzz_rest(&input);
    if (sent.len == 0) {
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        cuts[i] = places[i] % (sent.len + 1);
    }
    qsort(cuts, count, sizeof(cuts[0]), by_size);
    run(NULL, 0, false, &whole);
    run(cuts, count, late, &pieces);
    HOLDS(bytes_equal(buf_bytes(&whole), buf_bytes(&pieces)));
    buf_fini(&whole);
    buf_fini(&pieces);
    return 0;
}
