/* WebSockets: the handshake, and wslay's events between the connection's bytes and the service's
 * messages. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "net/net_priv.h"

#include "base/base64.h"
#include "base/mem.h"

#include <openssl/sha.h>
#include <strings.h>

static ssize_t on_recv(wslay_event_context_ptr wslay, uint8_t *out, size_t len, int flags,
                       void *arg);
static ssize_t on_send(wslay_event_context_ptr wslay, const uint8_t *data, size_t len, int flags,
                       void *arg);
static void on_message(wslay_event_context_ptr wslay,
                       const struct wslay_event_on_msg_recv_arg *message, void *arg);
static void settle(struct ws *ws);
static bool has_token(struct bytes list, const char *token);

static const struct wslay_event_callbacks callbacks = {
    .recv_callback = on_recv,
    .send_callback = on_send,
    .on_msg_recv_callback = on_message,
};

struct ws *http_upgrade(struct http_request *request, struct bytes subprotocol,
                        const struct ws_limits *limits, void *user)
{
    static const char magic[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    struct connection *connection = request->connection;
    unsigned keys;
    uint8_t decoded[32];
    size_t decoded_len = 0;
    struct bytes key = http_header_get(request, BYTES("sec-websocket-key"), &keys);
    struct bytes version = http_header_get(request, BYTES("sec-websocket-version"), NULL);
    struct bytes offered = http_header_get(request, BYTES("sec-websocket-protocol"), NULL);
    if (request->method != HTTP_METHOD_GET ||
        !has_token(http_header_get(request, BYTES("upgrade"), NULL), "websocket") ||
        !has_token(http_header_get(request, BYTES("connection"), NULL), "upgrade") ||
        !bytes_equal(version, BYTES("13"))) {
        http_respond(
            request, 426,
            BYTES(
                "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nContent-Type: text/plain\r\n"),
            BYTES("a WebSocket handshake of version 13 is expected\n"));
        return NULL;
    }
    if (keys != 1 || key.len != 24 || base64_decode(key, decoded, &decoded_len) != OK ||
        decoded_len != 16) {
        http_respond(request, 400, BYTES("Content-Type: text/plain\r\n"),
                     BYTES("Sec-WebSocket-Key is not 16 bytes in base 64\n"));
        return NULL;
    }
    struct ws *ws = mem_zalloc(1, sizeof(*ws));
    ws->connection = connection;
    ws->user = user;
    ws->limits = *limits;
    ws->heard_ms = uv_now(&connection->loop->uv);
    ws->pinged_ms = ws->heard_ms;
    if (connection->closed || wslay_event_context_server_init(&ws->wslay, &callbacks, ws) != 0) {
        mem_free(ws);
        http_abort(request);
        return NULL;
    }
    wslay_event_config_set_max_recv_msg_length(ws->wslay, limits->message_max);
    uint8_t digest[SHA_DIGEST_LENGTH];
    SHA_CTX sha;
    SHA1_Init(&sha);
    SHA1_Update(&sha, key.ptr, key.len);
    SHA1_Update(&sha, magic, sizeof(magic) - 1);
    SHA1_Final(digest, &sha);
    struct buf *out = &connection->out;
    buf_add_cstr(out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
                      "Upgrade\r\nSec-WebSocket-Accept: ");
    base64_add(out, bytes_of(digest, sizeof(digest)));
    if (subprotocol.len > 0 && offered.len > 0 &&
        memmem(offered.ptr, offered.len, subprotocol.ptr, subprotocol.len) != NULL) {
        buf_add_cstr(out, "\r\nSec-WebSocket-Protocol: ");
        buf_add(out, subprotocol);
    }
    buf_add_cstr(out, "\r\n\r\n");
    connection->state = CONNECTION_WS;
    connection->ws = ws;
    arena_fini(&connection->arena);
    figure_add(&connection->loop->ws_open, 1);
    connection_dirty(connection);
    /* A client may have sent frames behind its handshake. */
    size_t left = connection->in_len - connection->message_len;
    if (left > 0) {
        ws_data(ws, connection->in + connection->message_len, left);
    }
    mem_free(connection->in);
    connection->in = NULL;
    connection->in_len = 0;
    connection->in_cap = 0;
    connection->message_len = 0;
    return ws;
}

/* A comma-separated list holds the token, in any case. */
static bool has_token(struct bytes list, const char *token)
{
    size_t len = strlen(token);
    for (size_t i = 0; i + len <= list.len; i++) {
        bool starts = i == 0 || list.ptr[i - 1] == ',' || list.ptr[i - 1] == ' ';
        bool ends = i + len == list.len || list.ptr[i + len] == ',' || list.ptr[i + len] == ' ';
        if (starts && ends && strncasecmp((const char *)list.ptr + i, token, len) == 0) {
            return true;
        }
    }
    return false;
}

void ws_data(struct ws *ws, const uint8_t *data, size_t len)
{
    ws->in = data;
    ws->in_left = len;
    ws->heard_ms = uv_now(&ws->connection->loop->uv);
    int failed = 0;
    while (ws->in_left > 0 && failed == 0 && !ws->dead && wslay_event_get_read_enabled(ws->wslay)) {
        failed = wslay_event_recv(ws->wslay);
    }
    ws->in_left = 0;
    if (failed != 0 && !ws->dead) {
        connection_close(ws->connection);
        return;
    }
    settle(ws);
}

static ssize_t on_recv(wslay_event_context_ptr wslay, uint8_t *out, size_t len, int flags,
                       void *arg)
{
    struct ws *ws = arg;
    (void)flags;
    if (ws->in_left == 0) {
        wslay_event_set_error(wslay, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    size_t taken = len < ws->in_left ? len : ws->in_left;
    memcpy(out, ws->in, taken);
    ws->in += taken;
    ws->in_left -= taken;
    return (ssize_t)taken;
}

static ssize_t on_send(wslay_event_context_ptr wslay, const uint8_t *data, size_t len, int flags,
                       void *arg)
{
    struct ws *ws = arg;
    (void)flags;
    (void)wslay;
    buf_add(&ws->connection->out, bytes_of(data, len));
    return (ssize_t)len;
}

static void on_message(wslay_event_context_ptr wslay,
                       const struct wslay_event_on_msg_recv_arg *message, void *arg)
{
    struct ws *ws = arg;
    struct loop *loop = ws->connection->loop;
    if (ws->dead || ws->closing) {
        return;
    }
    if (message->opcode == WSLAY_TEXT_FRAME) {
        loop->service.ws_text(loop->service.arg, ws, ws->user,
                              bytes_of(message->msg, message->msg_length));
    } else if (message->opcode == WSLAY_BINARY_FRAME) {
        wslay_event_queue_close(wslay, WSLAY_CODE_UNSUPPORTED_DATA,
                                (const uint8_t *)"text frames only", 16);
        ws->closing = true;
    }
}

/* Moves wslay's queue to the connection and ends it when both sides have said so. */
static void settle(struct ws *ws)
{
    struct connection *connection = ws->connection;
    if (ws->dead) {
        return;
    }
    while (wslay_event_want_write(ws->wslay)) {
        if (wslay_event_send(ws->wslay) != 0) {
            connection_close(connection);
            return;
        }
    }
    if (!wslay_event_want_read(ws->wslay) || wslay_event_get_close_sent(ws->wslay)) {
        connection->state = CONNECTION_CLOSING;
        connection->since_ms = uv_now(&connection->loop->uv);
        connection->close_after_send = true;
    }
    connection_dirty(connection);
}

enum err ws_send(struct ws *ws, struct bytes text)
{
    if (ws->dead || ws->closing || ws->connection->closed) {
        return ERR_CLOSED;
    }
    if (ws_queued(ws) + text.len > ws->limits.queue_max) {
        ws_close(ws, 4008, BYTES("slow consumer"));
        return ERR_RANGE;
    }
    const struct wslay_event_msg message = {WSLAY_TEXT_FRAME, text.ptr, text.len};
    if (wslay_event_queue_msg(ws->wslay, &message) != 0) {
        return ERR_CLOSED;
    }
    settle(ws);
    return OK;
}

void ws_close(struct ws *ws, uint16_t code, struct bytes reason)
{
    if (ws->dead || ws->closing || ws->connection->closed) {
        return;
    }
    ws->closing = true;
    if (wslay_event_queue_close(ws->wslay, code, reason.ptr, reason.len) != 0) {
        connection_close(ws->connection);
        return;
    }
    settle(ws);
}

size_t ws_queued(const struct ws *ws)
{
    return ws->connection->out.len + ws->connection->out_sent;
}

void ws_sweep(struct ws *ws, uint64_t now_ms)
{
    if (now_ms - ws->heard_ms >= 2u * ws->limits.ping_ms + 1000u) {
        ws_close(ws, 4012, BYTES("no pong"));
        return;
    }
    if (now_ms - ws->pinged_ms >= ws->limits.ping_ms) {
        const struct wslay_event_msg ping = {WSLAY_PING, NULL, 0};
        ws->pinged_ms = now_ms;
        if (wslay_event_queue_msg(ws->wslay, &ping) == 0) {
            settle(ws);
        }
    }
}

void ws_gone(struct ws *ws)
{
    struct loop *loop = ws->connection->loop;
    ws->connection->state = CONNECTION_CLOSING;
    ws->dead = true;
    figure_add(&loop->ws_open, UINT64_MAX); /* one less */
    loop->service.ws_closed(loop->service.arg, ws, ws->user);
}

void ws_free(struct ws *ws)
{
    if (ws != NULL) {
        wslay_event_context_free(ws->wslay);
        mem_free(ws);
    }
}
