/* Answers: the end of each request. Head and body are appended to what the connection sends at the
 * end of the turn; a refusal by net itself is a short text and the end of the connection. */
#include "net/net_priv.h"

#include "base/assert.h"
#include "sys/clock.h"

#include <stdio.h>
#include <strings.h>
#include <time.h>

#define HEAD_BYTES 192u    /* more than our own lines of a head take */
#define DATE_CHECK_MS 100u /* how late a Date may change */

static void add_head(struct connection *connection, unsigned status, struct bytes headers,
                     size_t body_len, bool keep_alive);
static const char *reason_of(unsigned status);

struct bytes http_header_get(const struct http_request *request, struct bytes name, unsigned *count)
{
    struct bytes value = BYTES_NONE;
    unsigned found = 0;
    for (size_t i = 0; i < request->header_count; i++) {
        const struct http_header *header = &request->headers[i];
        if (bytes_equal_nocase(header->name, name)) {
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

/* The request's memory may be used again. Returns false when nobody waits for an answer. */
static bool end_request(struct connection *connection)
{
    ASSERT_OWNER(&connection->loop->owner);
    ASSERT(connection->state == CONNECTION_BUSY);
    connection->state = CONNECTION_IDLE;
    connection->exchange->answered = true;
    connection->since_ms = uv_now(&connection->loop->uv);
    if (!connection->closed) {
        return true;
    }
    arena_reset(&connection->exchange->arena);
    if (connection->handle_gone) {
        connection_free(connection);
    }
    return false;
}

void http_respond(struct http_request *request, unsigned status, struct bytes headers,
                  struct bytes body)
{
    struct connection *connection = request->connection;
    bool keep_alive = request->keep_alive && !connection->loop->draining;
    if (!end_request(connection)) {
        return;
    }
    bool bare = request->method == HTTP_METHOD_HEAD || status == 204 || status == 304;
    (void)buf_room(&connection->out, headers.len + (bare ? 0 : body.len) + HEAD_BYTES);
    add_head(connection, status, headers, body.len, keep_alive);
    if (!bare) {
        buf_add(&connection->out, body);
    }
    arena_reset(&connection->exchange->arena);
    http_slim(connection);
    if (keep_alive && !connection->out.failed) {
        connection_dirty(connection);
    } else {
        connection_finish(connection);
    }
    connection_answered(connection);
}

void http_abort(struct http_request *request)
{
    struct connection *connection = request->connection;
    if (end_request(connection)) {
        arena_reset(&connection->exchange->arena);
        connection->state = CONNECTION_CLOSING;
        connection_close(connection);
    }
}

bool http_is_open(const struct http_request *request)
{
    return !request->connection->peer_gone;
}

/* What follows on this connection cannot be trusted to start at a message. */
void http_refuse(struct connection *connection, unsigned status)
{
    char text[64];
    int len = snprintf(text, sizeof(text), "%s\n", reason_of(status));
    http_refuse_with(connection, status, bytes_of(text, (size_t)len));
}

void http_refuse_with(struct connection *connection, unsigned status, struct bytes text)
{
    figure_add(&connection->loop->refused, 1);
    add_head(connection, status, BYTES("Content-Type: text/plain\r\n"), text.len, false);
    buf_add(&connection->out, text);
    connection_finish(connection);
}

/* ---- heads ---- */

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

/* The line is made once a second, and the wall clock asked ten times. */
static struct bytes date_line(struct loop *loop)
{
    uint64_t now_ms = uv_now(&loop->uv);
    if (loop->date_len == 0 || now_ms - loop->date_checked_ms >= DATE_CHECK_MS) {
        uint64_t second = clock_wall_ms() / 1000;
        loop->date_checked_ms = now_ms;
        if (loop->date_len == 0 || second != loop->date_second) {
            time_t now = (time_t)second;
            struct tm parts;
            gmtime_r(&now, &parts);
            loop->date_len = strftime(loop->date, sizeof(loop->date),
                                      "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts);
            loop->date_second = second;
        }
    }
    return bytes_of(loop->date, loop->date_len);
}

static void add_head(struct connection *connection, unsigned status, struct bytes headers,
                     size_t body_len, bool keep_alive)
{
    struct buf *out = &connection->out;
    const struct exchange *exchange = connection->exchange;
    if (status == 200) {
        buf_add(out, BYTES("HTTP/1.1 200 OK\r\n"));
    } else {
        buf_printf(out, "HTTP/1.1 %u %s\r\n", status, reason_of(status));
    }
    buf_add(out, headers);
    if (status != 204 && status != 304) {
        buf_add(out, BYTES("Content-Length: "));
        add_unsigned(out, body_len);
        buf_add(out, BYTES("\r\n"));
    }
    buf_add(out, date_line(connection->loop));
    if (!keep_alive) {
        buf_add(out, BYTES("Connection: close\r\n\r\n"));
    } else if (exchange->parser.http_minor == 0) {
        buf_add(out, BYTES("Connection: keep-alive\r\n\r\n"));
    } else {
        buf_add(out, BYTES("\r\n"));
    }
}

static const char *reason_of(unsigned status)
{
    static const struct {
        unsigned status;
        const char *reason;
    } reasons[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {413, "Payload Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Entity"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (reasons[i].status == status) {
            return reasons[i].reason;
        }
    }
    return "Answer";
}
