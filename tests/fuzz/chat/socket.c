/* Frames of a chat socket: whatever they hold, and whatever the store answers to what they ask,
 * each line is answered at most once, by JSON, and nothing is left of it at the end.
 *
 * The store is a client of the target's own: it answers at once or later, with nothing, with an
 * item that fits everywhere, with any item, or with a fault, as the input chooses. Tables behave so
 * when they are another program's. */
#include "../net/wire.h"
#include "chat/chat_priv.h"
#include "fuzz.h"

#include "base/note.h"

#define PENDING_MAX 64u
#define UID "01ARZ3NDEKTSV4RRFFQ69G5FAV"

static struct fuzz_input *choices;
static struct op_call *pending[PENDING_MAX];
static size_t pending_count;
static struct chat_loop *chat;

/* ---- the store ---- */

static struct bytes person_item(struct arena *arena)
{
    struct item_build build;
    struct bytes item;
    item_build_init(&build, arena);
    item_build_s(&build, BYTES("id"), BYTES(UID));
    item_build_s(&build, BYTES("handle"), BYTES("ada"));
    HOLDS(item_build_end(&build, &item) == OK);
    return item;
}

static struct bytes text_item(struct arena *arena)
{
    struct item_build build;
    struct bytes item;
    item_build_init(&build, arena);
    item_build_s(&build, BYTES("text"), BYTES("hello"));
    HOLDS(item_build_end(&build, &item) == OK);
    return item;
}

/* A token, a head, a message and an idempotency key in one. */
static struct bytes fitting_item(struct arena *arena)
{
    struct item_build build;
    struct bytes item;
    uint64_t seq = fuzz_below(choices, 6);
    item_build_init(&build, arena);
    item_build_s(&build, BYTES("uid"), fuzz_below(choices, 16) == 1 ? BYTES("short") : BYTES(UID));
    item_build_s(&build, BYTES("handle"), BYTES("ada"));
    item_build_i64(&build, BYTES("expires"), fuzz_below(choices, 16) == 1 ? 1 : INT64_MAX / 2);
    item_build_i64(&build, BYTES("seq"), (int64_t)seq);
    item_build_i64(&build, BYTES("n"), (int64_t)seq);
    item_build_i64(&build, BYTES("mepoch"), 1);
    item_build_i64(&build, BYTES("ts"), (int64_t)(fuzz_u64(choices) / 2));
    item_build_i64(&build, BYTES("ver"), 1);
    item_build_s(&build, BYTES("kind"), BYTES("dm"));
    item_build_s(&build, BYTES("state"), BYTES("open"));
    item_build_s(&build, BYTES("type"),
                 fuzz_bool(choices) ? BYTES("message.created") : BYTES("conversation.created"));
    item_build_s(&build, BYTES("client_id"), BYTES("key"));
    item_build_s(&build, BYTES("cid"), BYTES("c1"));
    item_build_s(&build, BYTES("fingerprint"), fuzz_text(choices, arena, 64));
    item_build_m(&build, BYTES("sender"), person_item(arena));
    item_build_m(&build, BYTES("body"), text_item(arena));
    item_build_l(&build, BYTES("members"), value_of_m(arena, person_item(arena)).whole);
    HOLDS(item_build_end(&build, &item) == OK);
    return item;
}

static struct bytes stored_item(struct arena *arena)
{
    switch (fuzz_below(choices, 4)) {
    case 0:
        return BYTES_NONE;
    case 1:
        return fuzz_item(choices, arena, 2);
    default:
        return fitting_item(arena);
    }
}

static void fail(struct op_call *call)
{
    static const enum fault_code codes[] = {FAULT_THROUGHPUT_EXCEEDED, FAULT_INTERNAL,
                                            FAULT_TRANSACTION_CANCELED, FAULT_CONDITION_FAILED};
    struct cancellation *reasons = arena_zalloc(call->arena, 4 * sizeof(*reasons));
    HOLDS(reasons != NULL);
    call->fault.code = codes[fuzz_below(choices, 4)];
    call->fault.message = BYTES("as the input chose");
    if (call->fault.code == FAULT_TRANSACTION_CANCELED) {
        call->fault.reasons = reasons;
        call->fault.reason_count = 4;
        for (size_t i = 0; i < 4; i++) {
            reasons[i] = (struct cancellation){"ConditionalCheckFailed", BYTES("failed"),
                                               stored_item(call->arena)};
        }
    }
}

static void succeed(struct op_call *call)
{
    if (call->op == &op_get_item) {
        struct get_item_out *out = call->out;
        out->item = stored_item(call->arena);
        out->found = out->item.len > 0;
    } else if (call->op == &op_query) {
        struct query_out *out = call->out;
        out->count = fuzz_below(choices, 4);
        out->items = arena_zalloc(call->arena, 4 * sizeof(out->items[0]));
        HOLDS(out->items != NULL);
        for (size_t i = 0; i < out->count; i++) {
            out->items[i] = fuzz_below(choices, 8) == 1 ? fuzz_item(choices, call->arena, 1)
                                                        : fitting_item(call->arena);
        }
    }
}

static void finish(struct op_call *call)
{
    call->fault = (struct fault){0};
    call->out = arena_zalloc(call->arena, call->op->out_size);
    HOLDS(call->out != NULL);
    if (fuzz_below(choices, 6) == 1) {
        fail(call);
    } else {
        succeed(call);
    }
    call->done(call);
}

static void start(struct client *client, struct op_call *call)
{
    (void)client;
    if (fuzz_below(choices, 3) == 1 && pending_count < PENDING_MAX) {
        pending[pending_count++] = call;
    } else {
        finish(call);
    }
}

/* In any order. */
static void finish_some(size_t count)
{
    for (; count > 0 && pending_count > 0; count--) {
        size_t at = fuzz_below(choices, pending_count);
        struct op_call *call = pending[at];
        pending[at] = pending[--pending_count];
        finish(call);
    }
}

/* ---- frames ---- */

#define TOKEN "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define LONG_ID TOKEN "0"

/* Each is refused at a place of its own. */
static const char *const odd_frames[] = {
    "\n",
    "[]",
    "{\"id\":1,\"unknown\":{}}",
    "{\"id\":\"1\",\"ping\":{}}",
    "{\"id\":1,\"connect\":{}}",
    "{\"id\":1,\"connect\":[]}",
    "{\"id\":1,\"connect\":{\"token\":7}}",
    "{\"id\":1,\"connect\":{\"token\":\"short\"}}",
    "{\"id\":1,\"connect\":{\"token\":\"" TOKEN "\",\"resume\":{\"conv\":{\"c1\":\"1\"}}}}",
    "{\"id\":1,\"connect\":{\"token\":\"" TOKEN "\",\"resume\":{\"conv\":{\"c1\":-1}}}}",
    "{\"id\":1,\"connect\":{\"token\":\"" TOKEN "\",\"resume\":{\"conv\":{\"" LONG_ID "\":1}}}}",
    "{\"id\":1,\"connect\":{\"token\":\"" TOKEN "\",\"resume\":{\"conv\":[]}}}",
    "{\"id\":1,\"connect\":{\"token\":\"" TOKEN "\",\"resume\":[]}}",
    "{\"id\":1,\"send\":{}}",
    "{\"id\":1,\"send\":{\"c\":1}}",
    "{\"id\":1,\"send\":{\"c\":\"\"}}",
    "{\"id\":1,\"send\":{\"c\":\"" LONG_ID "\"}}",
    "{\"id\":1,\"send\":{\"c\":\"c1\",\"key\":1}}",
    "{\"id\":1,\"send\":{\"c\":\"c1\",\"body\":1}}",
    "{\"id\":1,\"ping\":{}}\n\n{\"id\":2,\"ping\":{}}\n",
};

static void add_resume(struct buf *out)
{
    size_t conversations = fuzz_below(choices, 4) == 1 ? 495 + fuzz_below(choices, 10) : 2;
    buf_printf(out, "\"connect\":{\"token\":\"" TOKEN "\",\"resume\":{\"conv\":{\"c1\":%zu",
               fuzz_below(choices, 8));
    for (size_t i = 2; i <= conversations; i++) {
        buf_printf(out, ",\"c%zu\":0", i);
    }
    buf_add_cstr(out, "}}}}");
}

static struct bytes made_frame(struct arena *arena)
{
    struct buf out;
    buf_init(&out, 65536);
    buf_printf(&out, "{\"id\":%d,", (int8_t)fuzz_byte(choices));
    switch (fuzz_below(choices, 5)) {
    case 0:
        add_resume(&out);
        break;
    case 1:
        buf_add_cstr(&out, "\"connect\":{\"token\":\"" TOKEN "\"}}");
        break;
    case 2:
        buf_printf(&out, "\"send\":{\"c\":\"c%zu\",\"body\":{\"text\":", fuzz_below(choices, 3));
        json_add_string(&out, fuzz_text(choices, arena, 40));
        buf_printf(&out, "},\"key\":\"k%zu\"}}", fuzz_below(choices, 3));
        break;
    case 3:
        buf_clear(&out);
        buf_add_cstr(&out,
                     odd_frames[fuzz_below(choices, sizeof(odd_frames) / sizeof(odd_frames[0]))]);
        break;
    default:
        buf_add_cstr(&out, "\"ping\":{}}");
    }
    struct bytes frame = fuzz_copy(arena, buf_bytes(&out));
    buf_fini(&out);
    return frame;
}

static void say(struct connection *connection, struct arena *arena)
{
    struct bytes text = fuzz_below(choices, 4) != 1 ? made_frame(arena) : fuzz_bytes(choices, 400);
    if (fuzz_is_utf8(text) && !connection->ws->closing) {
        chat_ws_text(chat, connection->ws, connection->ws->user, fuzz_copy(arena, text));
    }
}

/* Somewhere else: sockets of that token are told to go, and no other. */
static void log_out(struct connection *connection)
{
    const struct socket *socket = connection->ws->user;
    uint8_t hash[sizeof(socket->token_hash)];
    bool own = fuzz_bool(choices);
    bool was_closing = connection->ws->closing;
    memcpy(hash, socket->token_hash, sizeof(hash));
    hash[0] ^= own ? 0 : 1;
    sockets_close_token(chat, bytes_of(hash, sizeof(hash)));
    HOLDS(connection->ws->closing == (was_closing || own));
}

/* Text frames are one JSON object each. */
static void check_sent(struct bytes sent)
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
        HOLDS(first != 0x81 || json_type(fuzz_parse_json(payload)) == JSON_OBJECT);
    }
}

/* ---- runs ---- */

static void on_request(void *arg, struct http_request *request)
{
    (void)arg;
    chat_request(chat, request);
}

static void on_text(void *arg, struct ws *ws, void *user, struct bytes text)
{
    (void)arg;
    chat_ws_text(chat, ws, user, text);
}

static void on_closed(void *arg, struct ws *ws, void *user)
{
    (void)arg;
    chat_ws_closed(chat, ws, user);
}

static void set_up(struct loop **loop)
{
    static struct loop *the_loop;
    static struct chat shared = {.session_ms = 1000000, .key_ms = 1000000, .ping_ms = 25000};
    static struct client client = {.start = start};
    static const struct http_service service = {
        .request = on_request, .ws_text = on_text, .ws_closed = on_closed};
    static const struct http_limits limits = {.body_max = 100,
                                              .other_body_max = 100,
                                              .unauthenticated_bytes_max = 1u << 30,
                                              .unsent_bytes_max = 1u << 30};
    if (the_loop == NULL) {
        note_threshold = NOTE_ERROR + 1;
        the_loop = wire_loop(service, &limits);
        chat = mem_zalloc(1, sizeof(*chat));
        chat->chat = &shared;
        chat->loop = the_loop;
        chat->client = &client;
        chat->parser = json_parser_new();
        buf_init(&chat->out, 1u << 20);
        buf_init(&chat->event, 1u << 20);
    }
    *loop = the_loop;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char head[] =
        "GET /v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: "
        "Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    struct fuzz_input input = fuzz_input_of(data, size);
    struct loop *loop;
    struct arena arena;
    arena_init(&arena, 0);
    choices = &input;
    set_up(&loop);
    struct connection *connection = wire_open(loop);
    wire_feed(connection, bytes_of(head, sizeof(head) - 1));
    HOLDS(connection->state == CONNECTION_WS && chat->sockets != NULL);
    for (size_t frames = 1 + fuzz_below(&input, 12); frames > 0; frames--) {
        say(connection, &arena);
        finish_some(fuzz_below(&input, 3));
        if (fuzz_below(&input, 16) == 1) {
            log_out(connection);
        }
    }
    bool leaves = fuzz_bool(&input);
    if (!leaves) {
        finish_some(SIZE_MAX);
    }
    check_sent(buf_bytes(&connection->out));
    ws_gone(connection->ws);
    finish_some(SIZE_MAX);
    HOLDS(chat->jobs == 0 && chat->sockets == NULL && chat->first_ready == NULL);
    for (size_t i = 0; i < CHAT_BUCKETS; i++) {
        HOLDS(chat->rooms[i] == NULL && chat->by_user[i] == NULL);
    }
    wire_close(connection);
    arena_fini(&arena);
    return 0;
}
