/* Hop 1 of the straight path: bytes become one complete request; limits are checked here. The next
 * hop is server/dispatch.c.
 *
 * http_parser reads the syntax. A message's bytes gather in the connection's own buffer, and the
 * parser goes on where it stood, so headers are kept as offsets from the message's start until it
 * is whole. What arrives while the service has a request waits in a second buffer, since the first
 * may not move then. What http_parser is lenient about is refused here: bare line feeds, blanks in
 * header names, folded lines, more than one Host. */
#include "net/net_priv.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/note.h"
#include "sys/clock.h"

#include <stdio.h>
#include <strings.h>
#include <time.h>

static _Atomic uint64_t connections_open; /* of all loops, for the one cap */
static _Atomic uint64_t big_body_bytes;   /* being read, of all loops */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out);
static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buffer);
static void on_closed(uv_handle_t *handle);
static void on_written(uv_write_t *write, int status);
static void connection_free(struct connection *connection);
static void parse(struct connection *connection, size_t from);
static void message_reset(struct connection *connection);
static bool keep(struct connection *connection, const uint8_t *data, size_t len);
static void deliver(struct connection *connection);
static unsigned check_head(struct connection *connection);
static void release_body(struct connection *connection);
static const char *reason_of(unsigned status);

/* ---- parser callbacks: they only note places ---- */

static size_t place_of(const struct connection *connection, const char *at)
{
    return (size_t)((const uint8_t *)at - connection->in);
}

static int stop(struct connection *connection, unsigned status)
{
    connection->refusal = status;
    return 1;
}

static int on_url(http_parser *parser, const char *at, size_t len)
{
    struct connection *connection = parser->data;
    if (connection->url_len == 0) {
        connection->url_at = place_of(connection, at);
    }
    connection->url_len += len;
    return connection->url_len > HTTP_HEAD_BYTES_MAX ? stop(connection, 414) : 0;
}

static int on_header_field(http_parser *parser, const char *at, size_t len)
{
    struct connection *connection = parser->data;
    if (connection->head_len != 0) {
        return stop(
            connection,
            400); /* trailers of a chunked body: nobody reads them, so nobody may hide in them */
    }
    if (connection->place_count == 0 || connection->last_was_value) {
        if (connection->place_count == HTTP_HEADERS_MAX) {
            return stop(connection, 431);
        }
        connection->places[connection->place_count++] =
            (struct header_place){.name_at = (uint32_t)place_of(connection, at)};
        connection->last_was_value = false;
    }
    connection->places[connection->place_count - 1].name_len += (uint32_t)len;
    return 0;
}

static int on_header_value(http_parser *parser, const char *at, size_t len)
{
    struct connection *connection = parser->data;
    if (connection->place_count == 0) {
        return stop(connection, 400);
    }
    struct header_place *place = &connection->places[connection->place_count - 1];
    if (!connection->last_was_value) {
        place->value_at = (uint32_t)place_of(connection, at);
        connection->last_was_value = true;
    } else if (len > 0 && place->value_len > 0 &&
               place->value_at + place->value_len != place_of(connection, at)) {
        return stop(connection, 400); /* a folded line */
    } else if (place->value_len == 0) {
        place->value_at = (uint32_t)place_of(connection, at);
    }
    place->value_len += (uint32_t)len;
    return 0;
}

static int on_headers_complete(http_parser *parser)
{
    struct connection *connection = parser->data;
    connection->head_len = 1; /* the exact figure is known when the parser has returned */
    if (parser->content_length != ULLONG_MAX &&
        parser->content_length > connection->loop->limits.body_max) {
        return stop(connection, 413);
    }
    return 0;
}

static int on_body(http_parser *parser, const char *at, size_t len)
{
    struct connection *connection = parser->data;
    if (parser->flags & F_CHUNKED) {
        buf_add(&connection->chunks, bytes_of(at, len));
        return connection->chunks.failed ? stop(connection, 413) : 0;
    }
    if (connection->body_len == 0) {
        connection->body_at = place_of(connection, at);
    }
    connection->body_len += len;
    return 0;
}

static int on_message_complete(http_parser *parser)
{
    struct connection *connection = parser->data;
    connection->complete = true;
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

/* ---- connections ---- */

void http_accept(struct loop *loop)
{
    struct connection *connection = mem_zalloc(1, sizeof(*connection));
    connection->loop = loop;
    connection->tcp.data = connection;
    connection->since_ms = uv_now(&loop->uv);
    arena_init(&connection->arena, 0);
    buf_init(&connection->out, OUT_BYTES_MAX);
    buf_init(&connection->chunks, loop->limits.body_max);
    buf_init(&connection->ahead, PIPELINE_BYTES_MAX + READ_BYTES);
    if (uv_tcp_init(&loop->uv, &connection->tcp) != 0) {
        mem_free(connection);
        return;
    }
    connection->next = loop->connections;
    if (loop->connections != NULL) {
        loop->connections->previous = connection;
    }
    loop->connections = connection;
    figure_add(&loop->connections_now, 1);
    uint64_t open = atomic_fetch_add_explicit(&connections_open, 1, memory_order_relaxed);
    message_reset(connection);
    if (uv_accept((uv_stream_t *)&loop->listener, (uv_stream_t *)&connection->tcp) != 0) {
        connection_close(connection);
        return;
    }
    figure_add(&loop->connections_total, 1);
    uv_tcp_nodelay(&connection->tcp, 1);
    struct sockaddr_storage peer;
    int len = sizeof(peer);
    if (uv_tcp_getpeername(&connection->tcp, (struct sockaddr *)&peer, &len) == 0) {
        (void)uv_ip_name((const struct sockaddr *)&peer, connection->peer,
                         sizeof(connection->peer));
    }
    if (open >= loop->limits.connections_max) {
        http_refuse(connection, 503);
        return;
    }
    connection->reading = uv_read_start((uv_stream_t *)&connection->tcp, on_alloc, on_read) == 0;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct connection *connection = handle->data;
    (void)suggested;
    *out = uv_buf_init((char *)connection->loop->read_buffer, READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buffer)
{
    struct connection *connection = stream->data;
    connection->loop->touched = true;
    if (len < 0) {
        connection->peer_gone = true;
        connection_close(connection);
        return;
    }
    if (len > 0) {
        figure_add(&connection->loop->bytes_in, (uint64_t)len);
        http_data(connection, (const uint8_t *)buffer->base, (size_t)len);
    }
}

void http_data(struct connection *connection, const uint8_t *data, size_t len)
{
    if (connection->state == CONNECTION_WS) {
        ws_data(connection->ws, data, len);
        return;
    }
    if (connection->state == CONNECTION_CLOSING) {
        return;
    }
    if (connection->state == CONNECTION_BUSY) {
        buf_add(&connection->ahead, bytes_of(data, len));
        if (connection->ahead.len > PIPELINE_BYTES_MAX && connection->reading) {
            uv_read_stop((uv_stream_t *)&connection->tcp);
            connection->reading = false;
        }
        return;
    }
    size_t before = connection->in_len;
    if (keep(connection, data, len)) {
        parse(connection, before);
    }
}

/* Parses the bytes from `from` on; gives a whole message to the service. */
static void parse(struct connection *connection, size_t from)
{
    struct loop *loop = connection->loop;
    size_t len = connection->in_len - from;
    if (connection->state == CONNECTION_IDLE) {
        connection->state = CONNECTION_HEAD;
        connection->since_ms = uv_now(&loop->uv);
    }
    bool had_head = connection->head_len != 0;
    size_t taken = http_parser_execute(&connection->parser, &parser_settings,
                                       (const char *)connection->in + from, len);
    enum http_errno error = HTTP_PARSER_ERRNO(&connection->parser);
    if (connection->refusal != 0) {
        http_refuse(connection, connection->refusal);
        return;
    }
    if (error != HPE_OK && error != HPE_PAUSED) {
        http_refuse(connection, error == HPE_HEADER_OVERFLOW ? 431 : 400);
        return;
    }
    if (connection->head_len == 0) {
        if (connection->in_len > HTTP_HEAD_BYTES_MAX) {
            http_refuse(connection, 431);
        }
        return;
    }
    if (!had_head) {
        connection->since_ms = uv_now(&loop->uv);
        connection->state = CONNECTION_BODY;
        unsigned refusal = check_head(connection);
        if (refusal != 0) {
            http_refuse(connection, refusal);
            return;
        }
    }
    if (!connection->complete) {
        /* An upgrade that no method of ours knows (CONNECT) ends the parser early. */
        if (connection->parser.upgrade && taken < len) {
            http_refuse(connection, 400);
        }
        return;
    }
    connection->message_len = from + taken;
    deliver(connection);
}

static struct bytes at_place(const struct connection *connection, size_t at, size_t len)
{
    return bytes_of(connection->in + at, len);
}

static bool name_is(struct bytes name, const char *lower)
{
    return name.len == strlen(lower) && strncasecmp((const char *)name.ptr, lower, name.len) == 0;
}

/* Everything about a head that http_parser lets pass. Returns the status of the refusal; 0: none.
 */
static unsigned check_head(struct connection *connection)
{
    unsigned hosts = 0;
    bool expects = false;
    size_t end = connection->url_at + connection->url_len;
    for (size_t i = 0; i < connection->place_count; i++) {
        const struct header_place *place = &connection->places[i];
        struct bytes name = at_place(connection, place->name_at, place->name_len);
        struct bytes value = at_place(connection, place->value_at, place->value_len);
        if (name.len == 0 || memchr(name.ptr, ' ', name.len) != NULL ||
            memchr(name.ptr, '\t', name.len) != NULL) {
            return 400;
        }
        if (value.len > 0 && memchr(value.ptr, 0, value.len) != NULL) {
            return 400;
        }
        hosts += name_is(name, "host") ? 1 : 0;
        expects |= name_is(name, "expect");
        if (name_is(name, "expect") && !name_is(value, "100-continue")) {
            return 417;
        }
        if (name_is(name, "transfer-encoding") && !name_is(value, "chunked")) {
            return 501;
        }
        end = value.len > 0 ? (size_t)place->value_at + place->value_len
                            : (size_t)place->name_at + place->name_len;
    }
    while (end < connection->in_len && memchr(": \t", connection->in[end], 3) != NULL) {
        end++; /* of a header without a value, or blanks behind one */
    }
    connection->head_len = end + 4;
    if (end + 4 > HTTP_HEAD_BYTES_MAX) {
        return 431;
    }
    if (end + 4 > connection->in_len || memcmp(connection->in + end, "\r\n\r\n", 4) != 0) {
        return 400;
    }
    size_t version = connection->url_at + connection->url_len;
    if (memcmp(connection->in + version, " HTTP/", 6) != 0) {
        return 400;
    }
    for (const uint8_t *p = memchr(connection->in, '\n', end); p != NULL;
         p = memchr(p + 1, '\n', (size_t)(connection->in + end - p - 1))) {
        if (p == connection->in || p[-1] != '\r') {
            return 400;
        }
    }
    bool modern = connection->parser.http_major == 1 && connection->parser.http_minor >= 1;
    if (connection->parser.http_major != 1) {
        return 505;
    }
    if (hosts > 1 || (modern && hosts == 0)) {
        return 400;
    }
    uint64_t length = connection->parser.content_length;
    bool sized = length != ULLONG_MAX && (connection->parser.flags & F_CONTENTLENGTH);
    if (sized && length > BIG_BODY_BYTES) {
        uint64_t sum =
            atomic_fetch_add_explicit(&big_body_bytes, length, memory_order_relaxed) + length;
        connection->counted = (size_t)length;
        if (sum > connection->loop->limits.unauthenticated_bytes_max) {
            return 503;
        }
    }
    if (expects && !connection->complete) {
        buf_add(&connection->out, BYTES("HTTP/1.1 100 Continue\r\n\r\n"));
        connection_dirty(connection);
    }
    return 0;
}

/* The message is whole and base points at it: the service gets it. */
static void deliver(struct connection *connection)
{
    struct loop *loop = connection->loop;
    struct http_request *request = &connection->request;
    static const enum http_verb methods[] = {
        [HTTP_GET] = HTTP_METHOD_GET,    [HTTP_POST] = HTTP_METHOD_POST,
        [HTTP_PUT] = HTTP_METHOD_PUT,    [HTTP_DELETE] = HTTP_METHOD_DELETE,
        [HTTP_HEAD] = HTTP_METHOD_HEAD,  [HTTP_OPTIONS] = HTTP_METHOD_OPTIONS,
        [HTTP_PATCH] = HTTP_METHOD_PATCH};
    unsigned method = connection->parser.method;
    bool known = method == HTTP_GET || (method < sizeof(methods) / sizeof(methods[0]) &&
                                        methods[method] != HTTP_METHOD_GET);
    connection->state = CONNECTION_BUSY;
    connection->since_ms = uv_now(&loop->uv);
    request->loop = loop;
    request->connection = connection;
    request->arena = &connection->arena;
    request->user = NULL;
    request->method = known ? methods[method] : HTTP_METHOD_OTHER;
    request->method_text = bytes_cstr(http_method_str((enum http_method)method));
    request->received_ns = clock_mono_ns();
    request->keep_alive = http_should_keep_alive(&connection->parser) != 0 && !loop->draining;
    request->peer = bytes_cstr(connection->peer);
    struct bytes url = at_place(connection, connection->url_at, connection->url_len);
    const uint8_t *question = url.len == 0 ? NULL : memchr(url.ptr, '?', url.len);
    request->path = question == NULL ? url : bytes_of(url.ptr, (size_t)(question - url.ptr));
    request->query =
        question == NULL ? BYTES_NONE : bytes_of(question + 1, url.len - request->path.len - 1);
    request->header_count = connection->place_count;
    for (size_t i = 0; i < connection->place_count; i++) {
        const struct header_place *place = &connection->places[i];
        struct bytes value = at_place(connection, place->value_at, place->value_len);
        while (value.len > 0 &&
               (value.ptr[value.len - 1] == ' ' || value.ptr[value.len - 1] == '\t')) {
            value.len--;
        }
        request->headers[i] =
            (struct http_header){at_place(connection, place->name_at, place->name_len), value};
    }
    bool chunked = (connection->parser.flags & F_CHUNKED) != 0;
    request->body = chunked ? buf_bytes(&connection->chunks)
                            : at_place(connection, connection->body_at, connection->body_len);
    figure_add(&loop->requests, 1);
    loop->service.request(loop->service.arg, request);
}

/* Room for the whole of a sized body is made at once. */
static bool keep(struct connection *connection, const uint8_t *data, size_t len)
{
    size_t need = connection->in_len + len;
    if (connection->head_len > 1 && (connection->parser.flags & F_CONTENTLENGTH) &&
        !connection->complete && connection->parser.content_length != ULLONG_MAX) {
        size_t whole =
            connection->in_len + (size_t)connection->parser.content_length; /* what is left of it */
        need = whole > need ? whole : need;
    }
    if (need > connection->in_cap) {
        size_t cap = connection->in_cap < 2048 ? 2048 : connection->in_cap * 2;
        cap = cap < need ? need : cap;
        connection->in = mem_realloc(connection->in, cap);
        connection->in_cap = cap;
    }
    /* A chunked body is gathered elsewhere: only its last bytes need to stay, behind the head. */
    memcpy(connection->in + connection->in_len, data, len);
    connection->in_len += len;
    return true;
}

static void message_reset(struct connection *connection)
{
    http_parser_init(&connection->parser, HTTP_REQUEST);
    connection->parser.data = connection;
    connection->message_len = 0;
    connection->place_count = 0;
    connection->last_was_value = false;
    connection->url_at = 0;
    connection->url_len = 0;
    connection->head_len = 0;
    connection->body_at = 0;
    connection->body_len = 0;
    connection->refusal = 0;
    connection->complete = false;
    buf_clear(&connection->chunks);
}

static void release_body(struct connection *connection)
{
    if (connection->counted > 0) {
        atomic_fetch_sub_explicit(&big_body_bytes, connection->counted, memory_order_relaxed);
        connection->counted = 0;
    }
}

/* ---- answers ---- */

struct bytes http_header_get(const struct http_request *request, struct bytes name, unsigned *count)
{
    struct bytes value = BYTES_NONE;
    unsigned found = 0;
    for (size_t i = 0; i < request->header_count; i++) {
        const struct http_header *header = &request->headers[i];
        if (header->name.len == name.len &&
            strncasecmp((const char *)header->name.ptr, (const char *)name.ptr, name.len) == 0) {
            value = found == 0 ? header->value : value;
            found++;
            if (count == NULL) {
                break;
            }
        }
    }
    if (count != NULL) {
        *count = found;
    }
    return value;
}

static void add_unsigned(struct buf *out, uint64_t value)
{
    uint8_t digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (uint8_t)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    buf_add(out, bytes_of(digits + at, sizeof(digits) - at));
}

static void add_date(struct loop *loop, struct buf *out)
{
    uint64_t second = clock_wall_ms() / 1000;
    if (second != loop->date_second) {
        time_t now = (time_t)second;
        struct tm parts;
        gmtime_r(&now, &parts);
        strftime(loop->date, sizeof(loop->date), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts);
        loop->date_second = second;
    }
    buf_add_cstr(out, loop->date);
}

static void add_head(struct connection *connection, unsigned status, struct bytes headers,
                     size_t body_len, bool keep_alive)
{
    struct buf *out = &connection->out;
    if (status == 200) {
        buf_add(out, BYTES("HTTP/1.1 200 OK\r\n"));
    } else {
        buf_printf(out, "HTTP/1.1 %u %s\r\n", status, reason_of(status));
    }
    buf_add(out, headers);
    if (status != 204 && status >= 200) {
        buf_add(out, BYTES("Content-Length: "));
        add_unsigned(out, body_len);
        buf_add(out, BYTES("\r\n"));
    }
    add_date(connection->loop, out);
    buf_add(out, keep_alive ? BYTES("\r\n") : BYTES("Connection: close\r\n\r\n"));
}

void http_respond(struct http_request *request, unsigned status, struct bytes headers,
                  struct bytes body)
{
    struct connection *connection = request->connection;
    ASSERT(connection->state == CONNECTION_BUSY);
    bool keep_alive = request->keep_alive && !connection->loop->draining;
    release_body(connection);
    connection->state = CONNECTION_IDLE;
    connection->since_ms = uv_now(&connection->loop->uv);
    if (connection->closed) {
        arena_reset(&connection->arena);
        if (connection->handle_gone) {
            connection_free(connection);
        }
        return;
    }
    add_head(connection, status, headers, body.len, keep_alive);
    if (request->method != HTTP_METHOD_HEAD && status != 204) {
        buf_add(&connection->out, body);
    }
    arena_reset(&connection->arena);
    if (!keep_alive || connection->out.failed) {
        connection->state = CONNECTION_CLOSING;
        connection->close_after_send = true;
    }
    connection_dirty(connection);
}

void http_abort(struct http_request *request)
{
    struct connection *connection = request->connection;
    ASSERT(connection->state == CONNECTION_BUSY);
    release_body(connection);
    connection->state = CONNECTION_CLOSING;
    arena_reset(&connection->arena);
    if (!connection->closed) {
        connection_close(connection);
    } else if (connection->handle_gone) {
        connection_free(connection);
    }
}

bool http_is_open(const struct http_request *request)
{
    return !request->connection->closed;
}

/* What is behind an answered request: moved to the start and parsed. */
void http_continue(struct connection *connection)
{
    size_t left = connection->in_len - connection->message_len;
    if (left > 0) {
        memmove(connection->in, connection->in + connection->message_len, left);
    }
    connection->in_len = left;
    message_reset(connection);
    if (connection->ahead.len > 0) {
        struct bytes ahead = buf_bytes(&connection->ahead);
        keep(connection, ahead.ptr, ahead.len);
        buf_fini(&connection->ahead);
    }
    if (!connection->reading) {
        connection->reading =
            uv_read_start((uv_stream_t *)&connection->tcp, on_alloc, on_read) == 0;
    }
    if (connection->in_len > 0) {
        connection->loop->touched = true;
        parse(connection, 0);
    }
}

/* One answer, then the end: what follows on this connection cannot be trusted to start at a
 * message. */
void http_refuse(struct connection *connection, unsigned status)
{
    struct bytes reason = bytes_cstr(reason_of(status));
    figure_add(&connection->loop->refused, 1);
    release_body(connection);
    connection->state = CONNECTION_CLOSING;
    connection->since_ms = uv_now(&connection->loop->uv);
    connection->close_after_send = true;
    add_head(connection, status, BYTES("Content-Type: text/plain\r\n"), reason.len + 1, false);
    buf_add(&connection->out, reason);
    buf_add_byte(&connection->out, '\n');
    connection_dirty(connection);
}

void http_timeout(struct connection *connection)
{
    http_refuse(connection, 408);
}

static const char *reason_of(unsigned status)
{
    static const struct {
        unsigned status;
        const char *reason;
    } reasons[] = {
        {101, "Switching Protocols"},
        {200, "OK"},
        {201, "Created"},
        {204, "No Content"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {413, "Payload Too Large"},
        {414, "URI Too Long"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Entity"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (reasons[i].status == status) {
            return reasons[i].reason;
        }
    }
    return "Answer";
}

/* ---- sending and closing ---- */

void connection_dirty(struct connection *connection)
{
    connection->loop->touched = true;
    if (!connection->dirty && !connection->closed) {
        connection->dirty = true;
        connection->next_dirty = connection->loop->dirty;
        connection->loop->dirty = connection;
    }
}

/* A write that could not be finished at once. */
struct pending_write {
    uv_write_t write; /* first */
    struct buf data;
};

void connection_flush(struct connection *connection)
{
    struct loop *loop = connection->loop;
    if (connection->closed) {
        return;
    }
    if (connection->out.len > 0) {
        uv_buf_t out = uv_buf_init((char *)connection->out.ptr, (unsigned)connection->out.len);
        int sent = connection->writing ? 0 : uv_try_write((uv_stream_t *)&connection->tcp, &out, 1);
        sent = sent == UV_EAGAIN ? 0 : sent;
        if (sent < 0) {
            connection_close(connection);
            return;
        }
        figure_add(&loop->bytes_out, connection->out.len);
        if ((size_t)sent < connection->out.len) {
            struct pending_write *pending = mem_zalloc(1, sizeof(*pending));
            pending->data = connection->out;
            pending->write.data = connection;
            buf_init(&connection->out, OUT_BYTES_MAX);
            out = uv_buf_init((char *)pending->data.ptr + sent,
                              (unsigned)(pending->data.len - (size_t)sent));
            connection->writing = true;
            connection->out_sent = pending->data.len - (size_t)sent;
            if (uv_write(&pending->write, (uv_stream_t *)&connection->tcp, &out, 1, on_written) !=
                0) {
                buf_fini(&pending->data);
                mem_free(pending);
                connection->writing = false;
                connection_close(connection);
                return;
            }
        } else if (connection->out.cap > KEEP_BYTES) {
            buf_fini(&connection->out);
        } else {
            buf_clear(&connection->out);
        }
    }
    if (connection->close_after_send && !connection->writing) {
        connection_close(connection);
    } else if (connection->state == CONNECTION_IDLE && connection->message_len > 0) {
        http_continue(connection);
    }
}

static void on_written(uv_write_t *write, int status)
{
    struct pending_write *pending = (struct pending_write *)(void *)write;
    struct connection *connection = write->data;
    buf_fini(&pending->data);
    mem_free(pending);
    connection->writing = false;
    connection->out_sent = 0;
    if (connection->closed) {
        return;
    }
    if (status != 0) {
        connection_close(connection);
    } else if (connection->out.len > 0 || connection->close_after_send) {
        connection_dirty(connection);
    }
}

void connection_close(struct connection *connection)
{
    if (connection->closed) {
        return;
    }
    connection->closed = true;
    connection->reading = false;
    uv_close((uv_handle_t *)&connection->tcp, on_closed);
    if (connection->ws != NULL) {
        ws_gone(connection->ws);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;
    connection->handle_gone = true;
    connection->loop->touched = true;
    if (connection->state != CONNECTION_BUSY) {
        connection_free(connection);
    }
}

static void connection_free(struct connection *connection)
{
    struct loop *loop = connection->loop;
    release_body(connection);
    if (connection->dirty) {
        struct connection **link = &loop->dirty;
        while (*link != connection) {
            link = &(*link)->next_dirty;
        }
        *link = connection->next_dirty;
    }
    if (connection->next != NULL) {
        connection->next->previous = connection->previous;
    }
    if (connection->previous != NULL) {
        connection->previous->next = connection->next;
    } else {
        loop->connections = connection->next;
    }
    atomic_fetch_sub_explicit(&connections_open, 1, memory_order_relaxed);
    figure_add(&loop->connections_now, UINT64_MAX); /* one less */
    ws_free(connection->ws);
    arena_fini(&connection->arena);
    buf_fini(&connection->out);
    buf_fini(&connection->chunks);
    buf_fini(&connection->ahead);
    mem_free(connection->in);
    mem_free(connection);
}

void connection_slim(struct connection *connection)
{
    if (connection->in_len == 0 && connection->in != NULL) {
        mem_free(connection->in);
        connection->in = NULL;
        connection->in_cap = 0;
    }
    arena_fini(&connection->arena);
    if (connection->out.len == 0) {
        buf_fini(&connection->out);
    }
    buf_fini(&connection->chunks);
}
