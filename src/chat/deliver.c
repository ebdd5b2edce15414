/* Delivery: the follower of headwater.chat_log's stream, and the only way a message gets to a
 * socket. Only records of HEAD items are read: each carries the events of its write. An event whose
 * body was too long for HEAD waits for its row; those behind it wait too, so sockets see stream
 * order (chat I2).
 *
 * Beside it the follower of headwater.chat_user, which brings the ends of sessions: wherever one is
 * ended, every loop closes the sockets that were opened with it. */
#include "base/hash.h"
#include "base/mem.h"
#include "base/note.h"
#include "chat/chat_priv.h"

#define ROW_TRIES_MAX 5u
#define DELIVERIES_MAX 65536u

struct delivery {
    struct delivery *next;
    struct chat_loop *chat;
    struct arena arena;
    struct bytes cid;
    struct head head;
    struct message_row row;
    bool ready;
    bool lost; /* its row cannot be read: the sockets concerned must start over */
    unsigned tries;
    struct op_call call;
    struct get_item_in get;
};

static enum err feed_open(struct feed *feed);
static void on_log_events(void *arg, const struct follow_event *events, size_t count);
static void on_user_events(void *arg, const struct follow_event *events, size_t count);
static void on_ended(void *arg, enum err err);
static void take_head(struct chat_loop *chat, const struct follow_event *event);
static void take_event(struct chat_loop *chat, struct bytes cid, struct bytes image,
                       struct bytes ev);
static bool anyone_here(struct chat_loop *chat, const struct members *members);
static void fetch_row(struct delivery *delivery);
static void row_fetched(struct op_call *call);
static void deliver_ready(struct chat_loop *chat);
static void deliver(struct chat_loop *chat, struct delivery *delivery);

enum err delivery_open(struct chat_loop *chat)
{
    chat->log_feed = (struct feed){.chat = chat, .table = TABLE_LOG, .events = on_log_events};
    chat->user_feed = (struct feed){.chat = chat, .table = TABLE_USER, .events = on_user_events};
    TRY(feed_open(&chat->log_feed));
    return feed_open(&chat->user_feed);
}

static enum err feed_open(struct feed *feed)
{
    const struct follow_options options = {.table_name = feed->table,
                                           .start = FOLLOW_LATEST,
                                           .events = feed->events,
                                           .ended = on_ended,
                                           .arg = feed};
    return follow_open(feed->chat->client, &options, &feed->follow);
}

void delivery_close(struct chat_loop *chat)
{
    follow_close(chat->log_feed.follow);
    follow_close(chat->user_feed.follow);
    chat->log_feed.follow = NULL;
    chat->user_feed.follow = NULL;
    while (chat->first_delivery != NULL) {
        struct delivery *delivery = chat->first_delivery;
        chat->first_delivery = delivery->next;
        arena_fini(&delivery->arena);
        mem_free(delivery);
    }
}

/* Nobody can be told what was missed: every socket starts over from the tables. */
static void on_ended(void *arg, enum err err)
{
    struct feed *feed = arg;
    struct chat_loop *chat = feed->chat;
    NOTE(NOTE_ERROR, "chat.follow_ended", NOTE_B("table", feed->table),
         NOTE_S("error", err_text(err)));
    follow_close(feed->follow);
    feed->follow = NULL;
    for (struct socket *socket = chat->sockets; socket != NULL; socket = socket->next) {
        if (socket->ws != NULL) {
            ws_close(socket->ws, 4010, BYTES("start over"));
        }
    }
    if (!chat->closing && feed_open(feed) != OK) {
        NOTE(NOTE_ERROR, "chat.follow_lost", NOTE_B("table", feed->table));
    }
}

static void on_log_events(void *arg, const struct follow_event *events, size_t count)
{
    struct feed *feed = arg;
    for (size_t i = 0; i < count; i++) {
        take_head(feed->chat, &events[i]);
    }
    deliver_ready(feed->chat);
}

static void on_user_events(void *arg, const struct follow_event *events, size_t count)
{
    const struct bytes prefix = BYTES("0|T#");
    struct feed *feed = arg;
    struct bytes pk;
    for (size_t i = 0; i < count; i++) {
        if (events[i].record.removed && item_string(events[i].keys, BYTES("pk"), &pk) &&
            bytes_start_with(pk, prefix)) {
            sockets_close_token(feed->chat, bytes_of(pk.ptr + prefix.len, pk.len - prefix.len));
        }
    }
}

static void take_head(struct chat_loop *chat, const struct follow_event *event)
{
    const struct bytes prefix = BYTES("0|C#");
    struct bytes pk;
    struct bytes sk;
    struct value list;
    struct value ev;
    if (event->record.removed || !item_string(event->keys, BYTES("sk"), &sk) ||
        !bytes_equal(sk, BYTES("#HEAD")) || !item_string(event->keys, BYTES("pk"), &pk) ||
        !bytes_start_with(pk, prefix) || !item_get(event->record.new_image, BYTES("ev"), &list) ||
        list.tag != VALUE_L) {
        return;
    }
    struct cursor cursor = cursor_of(list.body);
    while (list_next(&cursor, &ev)) {
        if (ev.tag == VALUE_M) {
            take_event(chat, bytes_of(pk.ptr + prefix.len, pk.len - prefix.len),
                       event->record.new_image, ev.body);
        }
    }
}

static void take_event(struct chat_loop *chat, struct bytes cid, struct bytes image,
                       struct bytes ev)
{
    struct delivery *delivery = mem_zalloc(1, sizeof(*delivery));
    atomic_fetch_add_explicit(&chat->chat->events, 1, memory_order_relaxed);
    arena_init(&delivery->arena, 1u << 20);
    delivery->chat = chat;
    delivery->cid = arena_dup(&delivery->arena, cid);
    struct bytes own = arena_dup(&delivery->arena, ev);
    bool good = delivery->cid.ptr != NULL && own.ptr != NULL &&
                head_read(arena_dup(&delivery->arena, image), &delivery->arena, &delivery->head) &&
                message_read(own, &delivery->row);
    if (!good || !anyone_here(chat, &delivery->head.members)) {
        arena_fini(&delivery->arena);
        mem_free(delivery);
        return;
    }
    if (chat->first_delivery == NULL) {
        chat->first_delivery = delivery;
    } else {
        chat->last_delivery->next = delivery;
    }
    chat->last_delivery = delivery;
    chat->deliveries++;
    bool message = bytes_equal(delivery->row.type, BYTES("message.created"));
    delivery->ready = !message || delivery->row.has_text;
    if (!delivery->ready) {
        fetch_row(delivery);
    }
}

static bool anyone_here(struct chat_loop *chat, const struct members *members)
{
    for (size_t i = 0; i < members->count; i++) {
        if (sockets_of(chat, members->people[i].id) != NULL) {
            return true;
        }
    }
    return false;
}

static void fetch_row(struct delivery *delivery)
{
    struct arena *arena = &delivery->arena;
    delivery->get = (struct get_item_in){
        .table_name = TABLE_LOG,
        .key = key_item(arena, key_log(arena, delivery->cid, delivery->row.seq),
                        key_message(arena, delivery->row.seq)),
        .consistent_read = true};
    delivery->call = (struct op_call){.op = &op_get_item,
                                      .arena = arena,
                                      .in = &delivery->get,
                                      .done = row_fetched,
                                      .user = delivery};
    delivery->chat->jobs++;
    client_start(delivery->chat->client, &delivery->call);
}

static void row_fetched(struct op_call *call)
{
    struct delivery *delivery = call->user;
    struct chat_loop *chat = delivery->chat;
    const struct get_item_out *out = call->out;
    struct message_row row;
    chat->jobs--;
    if (call->fault.code == FAULT_NONE && out->found && message_read(out->item, &row) &&
        row.has_text) {
        delivery->row = row;
        delivery->ready = true;
    } else if (++delivery->tries < ROW_TRIES_MAX) {
        fetch_row(delivery);
        return;
    } else {
        delivery->ready = true;
        delivery->lost = true;
        atomic_fetch_add_explicit(&chat->chat->gaps, 1, memory_order_relaxed);
    }
    deliver_ready(chat);
}

static void deliver_ready(struct chat_loop *chat)
{
    ASSERT_OWNER(&chat->owner);
    while (chat->first_delivery != NULL && chat->first_delivery->ready) {
        struct delivery *delivery = chat->first_delivery;
        chat->first_delivery = delivery->next;
        chat->deliveries--;
        deliver(chat, delivery);
        arena_fini(&delivery->arena);
        mem_free(delivery);
    }
}

/* Encoded once, sent to every socket of every member on this loop. */
static void deliver(struct chat_loop *chat, struct delivery *delivery)
{
    struct buf *out = &chat->event;
    buf_clear(out);
    buf_add_cstr(out, "{\"ev\":");
    add_event(out, delivery->cid, &delivery->row, &delivery->head);
    buf_add_cstr(out, "}");
    for (size_t i = 0; i < delivery->head.members.count; i++) {
        struct bytes uid = delivery->head.members.people[i].id;
        struct socket *socket = sockets_of(chat, uid);
        while (socket != NULL) {
            struct socket *next = socket->next_of_user;
            bool theirs =
                socket->ws != NULL && bytes_equal(bytes_of(socket->user_id, CHAT_ID_LEN), uid);
            if (theirs && delivery->lost) {
                ws_close(socket->ws, 4010, BYTES("start over"));
            } else if (theirs && ws_send(socket->ws, buf_bytes(out)) == OK) {
                atomic_fetch_add_explicit(&chat->chat->deliveries, 1, memory_order_relaxed);
            }
            socket = next;
        }
    }
}
