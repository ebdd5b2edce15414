/* Hop 1 of the straight path: bytes become one complete request; limits are checked here. The next
 * hop is server/dispatch.c; the answer comes back through answer.c.
 *
 * http_parser reads the syntax. A message's bytes gather in the connection's own buffer, and the
 * parser goes on where it stood, so headers are kept as offsets from the message's start until it
 * is whole (net I1). What arrives while the service has a request waits in a second buffer, since
 * the first may not move then. What http_parser is lenient about is refused here: bare line feeds
 * and carriage returns, blanks where none belong, folded lines, more than one Host, empty lengths;
 * chunks.c reads chunked bodies. Two programs that read a message differently are how requests are
 * smuggled, so what could be read in two ways is refused (net I3). */
#include "net/net_priv.h"

#include "base/assert.h"
#include "base/mem.h"
#include "sys/clock.h"

#include <strings.h>

static struct exchange *exchange_new(const struct loop *loop);
static void message_reset(struct exchange *exchange, struct connection *connection);
static void rewind_room(struct exchange *exchange);
static void keep(struct exchange *exchange, struct bytes data);
static void parse(struct connection *connection, size_t from);
static unsigned parse_plain(struct connection *connection, size_t *from);
static unsigned parse_chunks(struct connection *connection, size_t *from);
static bool reserve_body(struct connection *connection);
static unsigned check_head(struct connection *connection);
static void deliver(struct connection *connection);
static size_t body_max(const struct connection *connection);

/* ---- parser callbacks: they only note places ---- */

static size_t place_of(const struct exchange *exchange, const char *at)
{
    return (size_t)((const uint8_t *)at - exchange->in);
}

static struct exchange *exchange_of(http_parser *parser)
{
    return ((struct connection *)parser->data)->exchange;
}

static int stop(struct exchange *exchange, unsigned status)
{
    exchange->refusal = status;
    return 1;
}

static bool is_chunked(const struct exchange *exchange)
{
    return (exchange->parser.flags & F_CHUNKED) != 0;
}

static int on_url(http_parser *parser, const char *at, size_t len)
{
    struct exchange *exchange = exchange_of(parser);
    if (exchange->url_len == 0) {
        exchange->url_at = place_of(exchange, at);
    }
    exchange->url_len += len;
    return exchange->url_len > HTTP_HEAD_BYTES_MAX ? stop(exchange, 414) : 0;
}

static int on_header_field(http_parser *parser, const char *at, size_t len)
{
    struct exchange *exchange = exchange_of(parser);
    if (exchange->place_count == 0 || exchange->last_was_value) {
        if (exchange->place_count == HTTP_HEADERS_MAX) {
            return stop(exchange, 431);
        }
        exchange->places[exchange->place_count++] =
            (struct header_place){.name_at = (uint32_t)place_of(exchange, at)};
        exchange->last_was_value = false;
    }
    exchange->places[exchange->place_count - 1].name_len += (uint32_t)len;
    return 0;
}

static int on_header_value(http_parser *parser, const char *at, size_t len)
{
    struct exchange *exchange = exchange_of(parser);
    if (exchange->place_count == 0) {
        return stop(exchange, 400);
    }
    struct header_place *place = &exchange->places[exchange->place_count - 1];
    if (!exchange->last_was_value || place->value_len == 0) {
        place->value_at = (uint32_t)place_of(exchange, at);
        exchange->last_was_value = true;
    } else if (len > 0 && place->value_at + place->value_len != place_of(exchange, at)) {
        return stop(exchange, 400); /* a folded line */
    }
    place->value_len += (uint32_t)len;
    return 0;
}

static int on_headers_complete(http_parser *parser)
{
    struct connection *connection = parser->data;
    connection->exchange->head_done = true;
    bool chunked = is_chunked(connection->exchange);
    uint64_t len = parser->content_length == ULLONG_MAX ? 0 : parser->content_length;
    if (chunked) {
        connection->exchange->chunks.max = body_max(connection);
    } else if (len > connection->loop->limits.other_body_max && len > body_max(connection)) {
        return stop(connection->exchange, 413);
    }
    return chunked ? 1 : 0; /* 1: the rest is not the parser's */
}

static int on_body(http_parser *parser, const char *at, size_t len)
{
    struct exchange *exchange = exchange_of(parser);
    if (exchange->body_len == 0) {
        exchange->body_at = place_of(exchange, at);
    }
    exchange->body_len += len;
    return 0;
}

static int on_message_complete(http_parser *parser)
{
    exchange_of(parser)->complete = !is_chunked(exchange_of(parser));
    http_parser_pause(parser, 1); /* what follows is the next request */
    return 0;
}

static const http_parser_settings parser_settings = {
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* ---- bytes in ---- */

void http_data(struct connection *connection, struct bytes data)
{
    if (connection->exchange == NULL) {
        connection->exchange = exchange_new(connection->loop);
        message_reset(connection->exchange, connection);
    }
    struct exchange *exchange = connection->exchange;
    if (connection->state == CONNECTION_BUSY || http_is_answered(connection)) {
        buf_add(&exchange->ahead, data);
        if (exchange->ahead.len > PIPELINE_BYTES_MAX) {
            connection_read_stop(connection);
        }
        return;
    }
    if (exchange->head_done && is_chunked(exchange)) {
        exchange->in_len = exchange->head_len; /* chunks gather elsewhere */
    }
    size_t from = exchange->in_len;
    keep(exchange, data);
    parse(connection, from);
}

bool http_is_answered(const struct connection *connection)
{
    return connection->state == CONNECTION_IDLE && connection->exchange != NULL &&
           connection->exchange->answered;
}

/* What is behind an answered request is parsed where it stands: were it moved each time, a read
 * full of small requests would cost thirty times itself. */
void http_continue(struct connection *connection)
{
    struct exchange *exchange = connection->exchange;
    if (exchange->message_len > 0) { /* it was not given back already */
        exchange->in += exchange->message_len;
        exchange->in_len -= exchange->message_len;
        exchange->in_cap -= exchange->message_len;
    }
    if (exchange->in_len == 0) {
        rewind_room(exchange);
    }
    message_reset(exchange, connection);
    if (exchange->ahead.len > 0) {
        keep(exchange, buf_bytes(&exchange->ahead));
        buf_fini(&exchange->ahead);
    }
    connection_read_start(connection);
    if (exchange->in_len > 0) {
        parse(connection, 0);
    }
}

/* A peer that sent a large message, and some of the next, may not hold the large one's room. What
 * is kept is at most four times what is here. */
void http_slim(struct connection *connection)
{
    struct exchange *exchange = connection->exchange;
    size_t left = exchange->in_len - exchange->message_len;
    size_t all = (size_t)(exchange->in - exchange->room) + exchange->in_cap;
    if (all > KEEP_BYTES && all / 4 >= left) {
        uint8_t *rest = left == 0 ? NULL : mem_alloc(left);
        if (left > 0) {
            memcpy(rest, exchange->in + exchange->message_len, left);
        }
        mem_free(exchange->room);
        exchange->room = rest;
        exchange->in = rest;
        exchange->in_cap = left;
        exchange->in_len = left;
        exchange->message_len = 0;
    }
    if (exchange->chunks.cap > KEEP_BYTES) {
        buf_fini(&exchange->chunks);
    }
}

/* Moves what is here to the start of its room. */
static void rewind_room(struct exchange *exchange)
{
    size_t before = (size_t)(exchange->in - exchange->room);
    if (before > 0) {
        memmove(exchange->room, exchange->in, exchange->in_len);
        exchange->in = exchange->room;
        exchange->in_cap += before;
    }
}

/* Room grows with what comes, not with what was promised. */
static void keep(struct exchange *exchange, struct bytes data)
{
    size_t need = exchange->in_len + data.len;
    if (need > exchange->in_cap) {
        rewind_room(exchange);
    }
    if (need > exchange->in_cap) {
        size_t cap = exchange->in_cap < 2048 ? 2048 : exchange->in_cap * 2;
        if (exchange->head_done && !is_chunked(exchange)) {
            size_t whole = exchange->in_len + (size_t)exchange->parser.content_length;
            cap = cap < whole ? cap : whole; /* no more will come of it */
        }
        cap = cap < need ? need : cap;
        exchange->room = mem_realloc(exchange->room, cap);
        exchange->in = exchange->room;
        exchange->in_cap = cap;
    }
    memcpy(exchange->in + exchange->in_len, data.ptr, data.len);
    exchange->in_len += data.len;
}

/* Parses the bytes from `from` on; gives a whole message to the service. */
static void parse(struct connection *connection, size_t from)
{
    struct exchange *exchange = connection->exchange;
    unsigned refusal = 0;
    if (connection->state == CONNECTION_IDLE) {
        connection->state = CONNECTION_HEAD;
        connection->since_ms = uv_now(&connection->loop->uv);
    }
    if (!exchange->head_done || !is_chunked(exchange)) {
        refusal = parse_plain(connection, &from);
    }
    if (refusal == 0 && exchange->head_done && is_chunked(exchange)) {
        refusal = parse_chunks(connection, &from);
    }
    if (refusal == 0 && exchange->head_done && !exchange->complete && !reserve_body(connection)) {
        refusal = 503;
    }
    if (refusal != 0) {
        http_refuse(connection, refusal);
    } else if (exchange->complete) {
        exchange->message_len = from;
        deliver(connection);
    }
}

/* The head and a body of a stated length. *from moves behind what was read; returns the status of
 * a refusal, 0: none. */
static unsigned parse_plain(struct connection *connection, size_t *from)
{
    struct exchange *exchange = connection->exchange;
    bool had_head = exchange->head_done;
    size_t taken =
        http_parser_execute(&exchange->parser, &parser_settings, (const char *)exchange->in + *from,
                            exchange->in_len - *from);
    enum http_errno error = HTTP_PARSER_ERRNO(&exchange->parser);
    *from += taken;
    if (exchange->refusal != 0) {
        return exchange->refusal;
    }
    if (error != HPE_OK && error != HPE_PAUSED) {
        return error == HPE_HEADER_OVERFLOW ? 431 : 400;
    }
    if (!exchange->head_done) {
        return exchange->in_len > HTTP_HEAD_BYTES_MAX ? 431 : 0;
    }
    if (had_head) {
        return 0;
    }
    connection->since_ms = uv_now(&connection->loop->uv);
    connection->body_pace = (struct pace){.since_ms = connection->since_ms};
    connection->state = CONNECTION_BODY;
    return check_head(connection);
}

/* The same for chunks. */
static unsigned parse_chunks(struct connection *connection, size_t *from)
{
    struct exchange *exchange = connection->exchange;
    size_t taken = 0;
    enum err err = chunks_read(&exchange->chunk_reader,
                               bytes_of(exchange->in + *from, exchange->in_len - *from),
                               &exchange->chunks, &taken);
    *from += taken;
    exchange->complete = exchange->chunk_reader.state == CHUNK_DONE;
    return err == ERR_RANGE ? 413 : err != OK ? 400 : 0;
}

/* What has come of the body is counted until it is whole. */
static bool reserve_body(struct connection *connection)
{
    size_t come = http_body_so_far(connection);
    return come == connection->counted ||
           crowd_body_reserve(connection, come - connection->counted);
}

size_t http_body_so_far(const struct connection *connection)
{
    return connection->exchange->body_len + connection->exchange->chunks.len;
}

/* ---- a whole head ---- */

static struct bytes at_place(const struct exchange *exchange, size_t at, size_t len)
{
    return bytes_of(exchange->in + at, len);
}

static bool name_is(struct bytes name, const char *lower)
{
    return bytes_equal_nocase(name, bytes_cstr(lower));
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

/* Finds the end of the head, behind its empty line, from the last thing the parser reported; false
 * if what stands there is not the end, or the request line has more blanks than two. */
static bool find_head_end(struct exchange *exchange)
{
    const struct bytes version = BYTES(" HTTP/1.1");
    size_t end = exchange->url_at + exchange->url_len;
    if (exchange->url_at < 2 || exchange->in[exchange->url_at - 2] == ' ') {
        return false; /* more than one blank before the target */
    }
    if (exchange->in_len < end + version.len ||
        memcmp(exchange->in + end, version.ptr, strlen(" HTTP/")) != 0) {
        return false;
    }
    end += version.len;
    if (exchange->place_count > 0) {
        const struct header_place *last = &exchange->places[exchange->place_count - 1];
        end = last->value_len > 0 ? (size_t)last->value_at + last->value_len
                                  : (size_t)last->name_at + last->name_len;
        while (end < exchange->in_len &&
               (exchange->in[end] == ':' || is_blank(exchange->in[end]))) {
            end++; /* of a header without a value, or blanks behind one */
        }
    }
    if (end + 4 > exchange->in_len || memcmp(exchange->in + end, "\r\n\r\n", 4) != 0) {
        return false;
    }
    exchange->head_len = end + 4;
    return true;
}

/* Lines end in CR LF, which stand nowhere else, and none goes on in the next. */
static bool lines_are_plain(const struct exchange *exchange)
{
    const uint8_t *end = exchange->in + exchange->head_len;
    const uint8_t *back = memchr(exchange->in, '\r', exchange->head_len);
    for (; back != NULL; back = memchr(back + 1, '\r', (size_t)(end - back - 1))) {
        if (back[1] != '\n') { /* the head ends in a line feed, so one byte follows */
            return false;
        }
    }
    const uint8_t *feed = memchr(exchange->in, '\n', exchange->head_len);
    while (feed != NULL) {
        if (feed == exchange->in || feed[-1] != '\r' || (feed + 1 < end && is_blank(feed[1]))) {
            return false;
        }
        feed = feed + 1 < end ? memchr(feed + 1, '\n', (size_t)(end - feed - 1)) : NULL;
    }
    return true;
}

/* How long the scheme and the authority of the absolute form are; 0: another form, or another
 * scheme. */
static size_t authority_end(struct bytes url, size_t *scheme)
{
    const char *text = (const char *)url.ptr;
    *scheme = url.len > 7 && strncasecmp(text, "http://", 7) == 0    ? 7
              : url.len > 8 && strncasecmp(text, "https://", 8) == 0 ? 8
                                                                     : 0;
    size_t end = *scheme;
    while (*scheme > 0 && end < url.len && url.ptr[end] != '/' && url.ptr[end] != '?') {
        end++;
    }
    return end;
}

/* A proxy's client sends the absolute form. Its authority must be the Host header's, or who reads
 * the one serves another site than who reads the other. */
static bool target_is_ours(struct bytes url, struct bytes host)
{
    if (url.len > 0 && (url.ptr[0] == '/' || url.ptr[0] == '*')) {
        return true;
    }
    size_t scheme;
    size_t end = authority_end(url, &scheme);
    return end > scheme && end - scheme == host.len &&
           strncasecmp((const char *)url.ptr + scheme, (const char *)host.ptr, host.len) == 0;
}

/* What a head says about its message. */
struct head_facts {
    struct bytes host;
    unsigned hosts;
    unsigned encodings;
    bool expects;
};

typedef uint8_t sixteen __attribute__((vector_size(16)));

/* Is one of sixteen bytes below a blank, or delete? */
static bool may_have_control(const uint8_t *bytes)
{
    sixteen x;
    uint64_t found[2];
    memcpy(&x, bytes, sizeof(x));
    sixteen controls = (sixteen)(x < ' ') | (sixteen)(x == 0x7f);
    memcpy(found, &controls, sizeof(found));
    return (found[0] | found[1]) != 0;
}

/* RFC 9110, 5.5: no control characters but the tab. They are how a log line is forged. The last
 * sixteen bytes are looked at twice rather than one by one. */
static bool is_field_text(struct bytes value)
{
    uint8_t padded[sizeof(sixteen)];
    const size_t step = sizeof(sixteen);
    if (value.len < step) {
        memset(padded, ' ', step);
        memcpy(padded, value.ptr, value.len);
        if (!may_have_control(padded)) {
            return true;
        }
    } else {
        size_t at = 0;
        while (at + step <= value.len && !may_have_control(value.ptr + at)) {
            at += step;
        }
        if (at + step > value.len && !may_have_control(value.ptr + value.len - step)) {
            return true;
        }
    }
    for (size_t at = 0; at < value.len; at++) {
        uint8_t c = value.ptr[at];
        if ((c < ' ' && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return true;
}

static unsigned check_header(struct bytes name, struct bytes value, struct head_facts *facts)
{
    /* http_parser takes blanks in names, and no other separator. */
    if (name.len == 0 || memchr(name.ptr, ' ', name.len) != NULL || !is_field_text(value)) {
        return 400;
    }
    switch (name.ptr[0] | 0x20) {
    case 'h':
        if (name_is(name, "host")) {
            facts->hosts++;
            facts->host = value;
        }
        return 0;
    case 'c':
        return name_is(name, "content-length") && value.len == 0 ? 400 : 0;
    case 'e':
        if (name_is(name, "expect")) {
            facts->expects = true;
            return name_is(value, "100-continue") ? 0 : 417;
        }
        return 0;
    case 't':
        if (name_is(name, "transfer-encoding")) {
            return !name_is(value, "chunked") ? 501 : ++facts->encodings > 1 ? 400 : 0;
        }
        return 0;
    default:
        return 0;
    }
}

/* Everything about a head that http_parser lets pass. Returns the status of the refusal; 0: none.
 */
static unsigned check_head(struct connection *connection)
{
    struct exchange *exchange = connection->exchange;
    const http_parser *parser = &exchange->parser;
    struct head_facts facts = {0};
    if (!find_head_end(exchange) || !lines_are_plain(exchange)) {
        return 400;
    }
    if (exchange->head_len > HTTP_HEAD_BYTES_MAX) {
        return 431;
    }
    if (parser->http_major != 1) {
        return 505;
    }
    if (parser->method == HTTP_CONNECT) {
        return 501; /* the parser takes what follows for the tunnel's, also a stated body */
    }
    for (size_t i = 0; i < exchange->place_count; i++) {
        const struct header_place *place = &exchange->places[i];
        struct bytes value = at_place(exchange, place->value_at, place->value_len);
        while (value.len > 0 && is_blank(value.ptr[value.len - 1])) {
            value.len--;
        }
        unsigned refusal =
            check_header(at_place(exchange, place->name_at, place->name_len), value, &facts);
        if (refusal != 0) {
            return refusal;
        }
    }
    bool modern = parser->http_minor >= 1;
    if (facts.hosts > 1 || (modern ? facts.hosts == 0 : facts.encodings > 0) ||
        (facts.hosts > 0 &&
         !target_is_ours(at_place(exchange, exchange->url_at, exchange->url_len), facts.host))) {
        return 400;
    }
    if (exchange->complete) {
        return 0;
    }
    if (facts.expects && modern) {
        buf_add(&connection->out, BYTES("HTTP/1.1 100 Continue\r\n\r\n"));
        connection_dirty(connection);
    }
    return 0;
}

/* ---- a whole request ---- */

static const enum http_verb verbs[] = {
    [HTTP_DELETE] = HTTP_METHOD_DELETE, [HTTP_GET] = HTTP_METHOD_GET,
    [HTTP_HEAD] = HTTP_METHOD_HEAD,     [HTTP_POST] = HTTP_METHOD_POST,
    [HTTP_PUT] = HTTP_METHOD_PUT,       [HTTP_OPTIONS] = HTTP_METHOD_OPTIONS,
    [HTTP_PATCH] = HTTP_METHOD_PATCH,
};

static enum http_verb verb_of(unsigned method)
{
    bool listed = method < sizeof(verbs) / sizeof(verbs[0]) &&
                  (verbs[method] != HTTP_METHOD_GET || method == HTTP_GET);
    return listed ? verbs[method] : HTTP_METHOD_OTHER;
}

/* What is behind "?" of a request's target goes to query. */
static struct bytes path_of(struct bytes url, struct bytes *query)
{
    size_t scheme;
    size_t authority = authority_end(url, &scheme);
    *query = bytes_of(url.ptr + authority, url.len - authority);
    struct bytes path = bytes_cut(query, '?');
    return path.len == 0 ? BYTES("/") : path;
}

/* Only the calls of an API, at "/", are large. */
static size_t body_max(const struct connection *connection)
{
    const struct exchange *exchange = connection->exchange;
    const struct http_limits *limits = &connection->loop->limits;
    struct bytes query;
    struct bytes path = path_of(at_place(exchange, exchange->url_at, exchange->url_len), &query);
    return path.len == 1 ? limits->body_max : limits->other_body_max;
}

static void set_headers(struct http_request *request, const struct exchange *exchange)
{
    request->header_count = exchange->place_count;
    for (size_t i = 0; i < exchange->place_count; i++) {
        const struct header_place *place = &exchange->places[i];
        struct bytes value = at_place(exchange, place->value_at, place->value_len);
        while (value.len > 0 && is_blank(value.ptr[value.len - 1])) {
            value.len--;
        }
        request->headers[i] =
            (struct http_header){at_place(exchange, place->name_at, place->name_len), value};
    }
}

/* The message is whole: the service gets it. */
static void deliver(struct connection *connection)
{
    struct loop *loop = connection->loop;
    struct exchange *exchange = connection->exchange;
    struct http_request *request = &exchange->request;
    connection->state = CONNECTION_BUSY;
    connection->since_ms = uv_now(&loop->uv);
    crowd_body_release(connection);
    request->loop = loop;
    request->connection = connection;
    request->arena = &exchange->arena;
    request->user = NULL;
    request->method = verb_of(exchange->parser.method);
    request->method_text = bytes_cstr(http_method_str((enum http_method)exchange->parser.method));
    request->received_ns = clock_mono_ns();
    request->keep_alive = http_should_keep_alive(&exchange->parser) != 0;
    request->peer = bytes_cstr(connection->peer);
    request->body = is_chunked(exchange)
                        ? buf_bytes(&exchange->chunks)
                        : at_place(exchange, exchange->body_at, exchange->body_len);
    request->path =
        path_of(at_place(exchange, exchange->url_at, exchange->url_len), &request->query);
    set_headers(request, exchange);
    figure_add(&loop->requests, 1);
    loop->service.request(loop->service.arg, request);
}

/* ---- memory ---- */

static struct exchange *exchange_new(const struct loop *loop)
{
    struct exchange *exchange = mem_alloc(sizeof(*exchange));
    exchange->room = NULL;
    exchange->in = NULL;
    exchange->in_len = 0;
    exchange->in_cap = 0;
    arena_init(&exchange->arena, 0);
    buf_init(&exchange->chunks, loop->limits.body_max);
    buf_init(&exchange->ahead, PIPELINE_BYTES_MAX + READ_BYTES);
    return exchange;
}

void exchange_free(struct exchange *exchange)
{
    if (exchange != NULL) {
        arena_fini(&exchange->arena);
        buf_fini(&exchange->chunks);
        buf_fini(&exchange->ahead);
        mem_free(exchange->room);
        mem_free(exchange);
    }
}

static void message_reset(struct exchange *exchange, struct connection *connection)
{
    http_parser_init(&exchange->parser, HTTP_REQUEST);
    exchange->parser.data = connection;
    exchange->message_len = 0;
    exchange->url_at = 0;
    exchange->url_len = 0;
    exchange->head_len = 0;
    exchange->body_at = 0;
    exchange->body_len = 0;
    exchange->place_count = 0;
    exchange->refusal = 0;
    exchange->last_was_value = false;
    exchange->head_done = false;
    exchange->complete = false;
    exchange->answered = false;
    exchange->chunk_reader = (struct chunk_reader){0};
    buf_clear(&exchange->chunks);
}
