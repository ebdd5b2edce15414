/* WebSockets: the handshake is taken exactly when its headers say so, frames give the same messages
 * however they are cut, and frames made by the rules give the messages they were made of. */
#include "fuzz.h"
#include "wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define MESSAGE_MAX 300u
#define FRAMES_MAX 10u
#define PIECES_MAX 6u

static struct buf transcript;
static struct buf expected;
static struct ws *socket_at;
static unsigned upgraded;
static unsigned gone;

/* ---- the service: some texts are answered, one closes ---- */

static void on_request(void *arg, struct http_request *request)
{
    static const struct ws_limits limits = {MESSAGE_MAX, 4096, 25000};
    (void)arg;
    socket_at = http_upgrade(request, BYTES("chat.v1"), &limits, &upgraded);
    upgraded += socket_at != NULL ? 1 : 0;
}

static void on_text(void *arg, struct ws *ws, void *user, struct bytes text)
{
    (void)arg;
    HOLDS(user == &upgraded && ws == socket_at);
    HOLDS(text.len <= MESSAGE_MAX && fuzz_is_utf8(text));
    buf_printf(&transcript, "%zu:", text.len);
    buf_add(&transcript, text);
    if (bytes_start_with(text, BYTES("e"))) {
        enum err err = ws_send(ws, text);
        HOLDS(err == OK || err == ERR_CLOSED || err == ERR_RANGE);
    } else if (bytes_start_with(text, BYTES("q"))) {
        ws_close(ws, 4001, BYTES("bye"));
        HOLDS(ws_send(ws, text) == ERR_CLOSED);
    }
}

static void on_closed(void *arg, struct ws *ws, void *user)
{
    (void)arg;
    (void)ws;
    (void)user;
    gone++;
}

static struct loop *the_loop(void)
{
    static struct loop *loop;
    static const struct http_service service = {
        .request = on_request, .ws_text = on_text, .ws_closed = on_closed};
    static const struct http_limits limits = {.body_max = 100,
                                              .other_body_max = 100,
                                              .unauthenticated_bytes_max = 1u << 30,
                                              .unsent_bytes_max = 1u << 30};
    loop = loop == NULL ? wire_loop(service, &limits) : loop;
    return loop;
}

/* ---- the handshake ---- */

static bool lists(struct bytes list, const char *token)
{
    size_t len = strlen(token);
    size_t at = 0;
    for (size_t i = 0; i <= list.len; i++) {
        if (i < list.len && memchr(", \t", list.ptr[i], 3) == NULL) {
            continue;
        }
        if (i - at == len && strncasecmp((const char *)list.ptr + at, token, len) == 0) {
            return true;
        }
        at = i + 1;
    }
    return false;
}

static struct bytes list_text(struct fuzz_input *input, struct arena *arena, const char *token)
{
    static const char *const around[] = {"", "keep-alive, ", " ,", "x", ",close"};
    const char *before = around[fuzz_below(input, 5)];
    const char *after = around[fuzz_below(input, 5)];
    return fuzz_below(input, 3) != 2 ? bytes_cstr(token)
                                     : arena_printf(arena, "%s%s%s", before, token, after);
}

/* Sends a handshake; *good: its headers are right. */
static void shake_hands(struct fuzz_input *input, struct arena *arena,
                        struct connection *connection, bool *good)
{
    static const char *const keys[] = {"dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=",
                                       "dGhlIHNhbXBsZSBub25jZQ!=", "dGhlIHNhbXBsZSBub25jZR=="};
    size_t key = fuzz_below(input, 4) == 3 ? fuzz_below(input, 4) : 0;
    bool post = fuzz_below(input, 16) == 15;
    bool version = fuzz_below(input, 16) != 15;
    struct bytes upgrade = list_text(input, arena, "WebSocket");
    struct bytes connect = list_text(input, arena, "Upgrade");
    struct bytes protocol = list_text(input, arena, "chat.v1");
    struct bytes head =
        arena_printf(arena,
                     "%s /v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: %.*s\r\nConnection: %.*s\r\n"
                     "Sec-WebSocket-Version: %s\r\nSec-WebSocket-Key: "
                     "%s\r\nSec-WebSocket-Protocol: %.*s\r\n\r\n",
                     post ? "POST" : "GET", BYTES_FMT(upgrade), BYTES_FMT(connect),
                     version ? "13" : "8", keys[key], BYTES_FMT(protocol));
    *good =
        !post && version && key == 0 && lists(upgrade, "websocket") && lists(connect, "upgrade");
    wire_feed(connection, head);
    struct bytes out = buf_bytes(&connection->out);
    HOLDS(*good == (connection->state == CONNECTION_WS));
    HOLDS(bytes_start_with(out, *good ? BYTES("HTTP/1.1 101 ") : BYTES("HTTP/1.1 4")));
    HOLDS(!*good || memmem(out.ptr, out.len, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 28) != NULL);
    bool echoed = memmem(out.ptr, out.len, "Protocol: chat.v1\r\n", 19) != NULL;
    HOLDS(!*good || echoed == lists(protocol, "chat.v1"));
}

/* ---- frames ---- */

static void add_frame(struct buf *out, struct fuzz_input *input, unsigned first,
                      struct bytes payload)
{
    const uint8_t mask[4] = {fuzz_byte(input), 1, 2, 3};
    buf_add_byte(out, (uint8_t)first);
    if (payload.len < 126) {
        buf_add_byte(out, (uint8_t)(0x80 | payload.len));
    } else {
        buf_add_byte(out, 0x80 | 126);
        buf_add_byte(out, (uint8_t)(payload.len >> 8));
        buf_add_byte(out, (uint8_t)payload.len);
    }
    buf_add(out, bytes_of(mask, 4));
    for (size_t i = 0; i < payload.len; i++) {
        buf_add_byte(out, payload.ptr[i] ^ mask[i % 4]);
    }
}

/* Texts by the rules, some in fragments, with pings between them; then perhaps an end. What must be
 * delivered goes to `expected`. */
static void add_messages(struct fuzz_input *input, struct arena *arena, struct buf *out)
{
    size_t count = fuzz_below(input, FRAMES_MAX);
    for (size_t i = 0; i < count; i++) {
        struct bytes text = fuzz_text(input, arena, 2 * fuzz_below(input, 120));
        size_t parts = 1 + fuzz_below(input, 3);
        size_t at = 0;
        for (size_t part = 0; part < parts; part++) {
            size_t end = part + 1 == parts ? text.len : at + fuzz_below(input, text.len - at + 1);
            unsigned fin = part + 1 == parts ? 0x80 : 0;
            if (fuzz_below(input, 4) == 3) {
                add_frame(out, input, 0x89, fuzz_bytes(input, 20));
            }
            add_frame(out, input, fin | (part == 0 ? 1 : 0), bytes_of(text.ptr + at, end - at));
            at = end;
        }
        buf_printf(&expected, "%zu:", text.len);
        buf_add(&expected, text);
        if (bytes_start_with(text, BYTES("q"))) {
            return; /* the service closes; more is not delivered */
        }
    }
    static const uint8_t status[] = {0x03, 0xe8, 'b', 'y', 'e'};
    switch (fuzz_below(input, 8)) {
    case 1:
        add_frame(out, input, 0x88, bytes_of(status, sizeof(status)));
        break;
    case 2:
        add_frame(out, input, 0x82, BYTES("binary"));
        break;
    case 3:
        add_frame(out, input, 0x81, BYTES("\xff"));
        break;
    default:
        return;
    }
    add_frame(out, input, 0x81, BYTES("too late"));
}

/* ---- runs ---- */

/* The frames that were sent, but for pongs: one that waits is given up for a close frame, so the
 * cuts decide about it; and of two faults at one place they decide which is told. */
static void add_sent(struct buf *out, struct bytes sent)
{
    const uint8_t *end = memmem(sent.ptr, sent.len, "\r\n\r\n", 4);
    HOLDS(end != NULL);
    struct cursor cursor = {end + 4, sent.ptr + sent.len};
    while (cursor_left(&cursor) > 0) {
        uint8_t first = 0;
        uint8_t len = 0;
        uint8_t high = 0;
        uint8_t low = 0;
        struct bytes payload;
        HOLDS(cursor_u8(&cursor, &first) == OK && cursor_u8(&cursor, &len) == OK && len < 127);
        HOLDS(len < 126 || (cursor_u8(&cursor, &high) == OK && cursor_u8(&cursor, &low) == OK));
        HOLDS(cursor_bytes(&cursor, len < 126 ? len : (size_t)high << 8 | low, &payload) == OK);
        if (first != 0x8a) {
            bool fault = first == 0x88 && payload.len == 2;
            buf_add_byte(out, first);
            buf_add(out, fault ? BYTES("fault") : payload);
        }
    }
}

static void run(struct bytes wire, const size_t *cuts, size_t count, struct buf *out)
{
    static const char head[] = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: "
                               "Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    struct loop *loop = the_loop();
    struct connection *connection = wire_open(loop);
    size_t at = 0;
    buf_init(&transcript, 1u << 20);
    loop->date_checked_ms = uv_now(&loop->uv);
    gone = 0;
    wire_feed(connection, bytes_of(head, sizeof(head) - 1));
    HOLDS(connection->state == CONNECTION_WS);
    wire_turn(connection);
    for (size_t i = 0; i <= count; i++) {
        size_t end = i == count ? wire.len : cuts[i];
        wire_feed(connection, bytes_of(wire.ptr + at, end - at));
        at = end;
    }
    HOLDS(connection->state == CONNECTION_WS || connection->state == CONNECTION_CLOSING);
    HOLDS((connection->state == CONNECTION_WS) == !connection->ws->closing);
    *out = transcript;
    buf_printf(out, "%d", connection->state);
    add_sent(out, buf_bytes(&connection->out));
    HOLDS(!out->failed && !connection->out.failed);
    ws_sweep(connection->ws, uv_now(&loop->uv) + 30000);
    ws_sweep(connection->ws, uv_now(&loop->uv) + 90000);
    HOLDS(connection->ws->closing);
    ws_gone(connection->ws);
    HOLDS(gone == 1 && ws_send(connection->ws, BYTES("x")) == ERR_CLOSED);
    wire_close(connection);
}

static int by_size(const void *left, const void *right)
{
    const size_t *a = left;
    const size_t *b = right;
    return (*a > *b) - (*a < *b);
}

static void try_handshake(struct fuzz_input *input, struct arena *arena)
{
    struct connection *connection = wire_open(the_loop());
    bool good;
    buf_init(&transcript, 1u << 20);
    shake_hands(input, arena, connection, &good);
    if (good) {
        ws_gone(connection->ws);
    }
    wire_close(connection);
    buf_fini(&transcript);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = fuzz_input_of(data, size);
    struct buf wire;
    struct buf whole;
    struct buf pieces;
    size_t cuts[PIECES_MAX];
    size_t places[PIECES_MAX];
    size_t count = fuzz_below(&input, PIECES_MAX);
    struct arena arena;
    arena_init(&arena, 0);
    buf_init(&wire, 1u << 20);
    buf_init(&expected, 1u << 20);
    for (size_t i = 0; i < count; i++) {
        places[i] = fuzz_below(&input, 65536);
    }
    size_t kind = fuzz_below(&input, 8);
    if (kind == 0) {
        try_handshake(&input, &arena);
    }
    if (kind < 4) {
        add_messages(&input, &arena, &wire);
    } else {
        buf_add(&wire, fuzz_rest(&input));
    }
    for (size_t i = 0; i < count; i++) {
        cuts[i] = places[i] % (wire.len + 1);
    }
    qsort(cuts, count, sizeof(cuts[0]), by_size);
    struct bytes frames = wire.len == 0 ? BYTES("") : buf_bytes(&wire);
    run(frames, NULL, 0, &whole);
    run(frames, cuts, count, &pieces);
    HOLDS(bytes_equal(buf_bytes(&whole), buf_bytes(&pieces)));
    HOLDS(kind >= 4 || bytes_start_with(buf_bytes(&whole), buf_bytes(&expected)));
    buf_fini(&whole);
    buf_fini(&pieces);
    buf_fini(&wire);
    buf_fini(&expected);
    arena_fini(&arena);
    return 0;
}
