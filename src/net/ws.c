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
static void on_frame(wslay_event_context_ptr wslay,
                     const struct wslay_event_on_frame_recv_start_arg *frame, void *arg);
static void settle(struct ws *ws);
static void fail(struct ws *ws);
static void refuse_frame(struct ws *ws);
static void begin_close(struct ws *ws, uint16_t code, struct bytes reason);
static void close_slow(struct ws *ws);
static bool has_token(struct bytes list, struct bytes token);

static const struct wslay_event_callbacks callbacks = {
    .recv_callback = on_recv,
    .send_callback = on_send,
    .on_frame_recv_start_callback = on_frame,
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
        !has_token(http_header_get(request, BYTES("upgrade"), NULL), BYTES("websocket")) ||
        !has_token(http_header_get(request, BYTES("connection"), NULL), BYTES("upgrade")) ||
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
    if (subprotocol.len > 0 && has_token(offered, subprotocol)) {
        buf_add_cstr(out, "\r\nSec-WebSocket-Protocol: ");
        buf_add(out, subprotocol);
    }
    buf_add_cstr(out, "\r\n\r\n");
    connection->state = CONNECTION_WS;
    connection->ws = ws;
    figure_add(&connection->loop->ws_open, 1);
    connection_dirty(connection);
    return ws;
}

/* A comma-separated list holds the token, in any case. */
static bool has_token(struct bytes list, struct bytes token)
{
    for (size_t i = 0; i + token.len <= list.len; i++) {
        const uint8_t *at = list.ptr + i;
        bool starts = i == 0 || strchr(", \t", at[-1]) != NULL;
        bool ends = i + token.len == list.len || strchr(", \t", at[token.len]) != NULL;
        if (starts && ends &&
            strncasecmp((const char *)at, (const char *)token.ptr, token.len) == 0) {
            return true;
        }
    }
    return false;
}

/* A client may send frames behind its handshake. They wait for the flush, so that the service has
 * the ws in its hands before its first event. */
void ws_begin(struct ws *ws)
{
    struct connection *connection = ws->connection;
    struct exchange *exchange = connection->exchange;
    if (exchange == NULL) {
        return;
    }
    connection->exchange = NULL;
    ws_data(ws, bytes_of(exchange->in + exchange->message_len,
                         exchange->in_len - exchange->message_len));
    if (connection->state == CONNECTION_WS) {
        ws_data(ws, buf_bytes(&exchange->ahead));
    }
    exchange_free(exchange);
    connection_read_start(connection);
}

void ws_data(struct ws *ws, struct bytes data)
{
    ws->in = data.ptr;
    ws->in_left = data.len;
    ws->heard_ms = uv_now(&ws->connection->loop->uv);
    while (ws->in_left > 0 && !ws->dead && wslay_event_get_read_enabled(ws->wslay)) {
        if (wslay_event_recv(ws->wslay) != 0) {
            refuse_frame(ws);
            break;
        }
    }
    ws->in_left = 0;
    settle(ws);
    if (ws_queued(ws) > ws->limits.queue_max) {
        close_slow(ws); /* it sends pings and does not take the pongs */
    }
}

/* Nothing more can be had from wslay. The end comes in the flush, not inside the service's own
 * call. */
static void fail(struct ws *ws)
{
    ws->closing = true;
    connection_finish(ws->connection);
}

/* wslay gives up at a malformed head of a frame, and says nothing to the peer. */
static void refuse_frame(struct ws *ws)
{
    static const uint8_t protocol_error[] = {0x88, 2, WSLAY_CODE_PROTOCOL_ERROR >> 8,
                                             WSLAY_CODE_PROTOCOL_ERROR & 0xff};
    buf_add(&ws->connection->out, bytes_of(protocol_error, sizeof(protocol_error)));
    fail(ws);
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

/* What wslay lets pass. It keeps a record for each part of a message, so parts of one byte cost a
 * hundred times what they bring; and a close frame has two bytes of code or none. */
static void on_frame(wslay_event_context_ptr wslay,
                     const struct wslay_event_on_frame_recv_start_arg *frame, void *arg)
{
    struct ws *ws = arg;
    (void)wslay;
    if (frame->opcode == WSLAY_CONNECTION_CLOSE && frame->payload_length == 1 && !ws->closing) {
        begin_close(ws, WSLAY_CODE_PROTOCOL_ERROR, BYTES("half a close code"));
    }
    if (wslay_is_ctrl_frame(frame->opcode) || ws->closing) {
        return;
    }
    ws->parts = frame->opcode == WSLAY_CONTINUATION_FRAME ? ws->parts + 1 : 1;
    if (ws->parts > WS_PARTS_MAX) {
        begin_close(ws, WSLAY_CODE_POLICY_VIOLATION, BYTES("too many parts of one message"));
    }
}

static void on_message(wslay_event_context_ptr wslay,
                       const struct wslay_event_on_msg_recv_arg *message, void *arg)
{
    struct ws *ws = arg;
    struct loop *loop = ws->connection->loop;
    (void)wslay;
    if (ws->dead || ws->closing) {
        return;
    }
    if (message->opcode == WSLAY_TEXT_FRAME) {
        loop->service.ws_text(loop->service.arg, ws, ws->user,
                              bytes_of(message->msg, message->msg_length));
    } else if (message->opcode == WSLAY_BINARY_FRAME) {
        begin_close(ws, WSLAY_CODE_UNSUPPORTED_DATA, BYTES("text frames only"));
    }
}

/* Moves wslay's queue to the connection, and ends it when a close frame has been sent: the peer's
 * own is then only waited for. */
static void settle(struct ws *ws)
{
    struct connection *connection = ws->connection;
    if (ws->dead || connection->state != CONNECTION_WS) {
        return;
    }
    while (wslay_event_want_write(ws->wslay)) {
        if (wslay_event_send(ws->wslay) != 0) {
            fail(ws);
            return;
        }
    }
    if (!wslay_event_want_read(ws->wslay) || wslay_event_get_close_sent(ws->wslay)) {
        ws->closing = true;
        connection_finish(connection);
    } else if (connection->out.len > 0) {
        connection_dirty(connection);
    }
}

enum err ws_send(struct ws *ws, struct bytes text)
{
    ASSERT_OWNER(&ws->connection->loop->owner);
    if (ws->dead || ws->closing || ws->connection->closed) {
        return ERR_CLOSED;
    }
    if (ws_queued(ws) + text.len > ws->limits.queue_max) {
        close_slow(ws);
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
    ASSERT_OWNER(&ws->connection->loop->owner);
    if (ws->dead || ws->closing || ws->connection->closed) {
        return;
    }
    begin_close(ws, code, reason);
    settle(ws);
}

/* What the peer sent behind is not looked at: were it malformed, wslay would give up its queue, and
 * the close frame with it. */
static void begin_close(struct ws *ws, uint16_t code, struct bytes reason)
{
    ws->closing = true;
    wslay_event_shutdown_read(ws->wslay);
    if (wslay_event_queue_close(ws->wslay, code, reason.ptr, reason.len) != 0) {
        fail(ws);
    }
}

static void close_slow(struct ws *ws)
{
    ws_close(ws, 4008, BYTES("slow consumer"));
}

size_t ws_queued(const struct ws *ws)
{
    return ws->connection->out.len +
           uv_stream_get_write_queue_size((const uv_stream_t *)&ws->connection->tcp);
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
