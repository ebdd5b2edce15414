/* Chat: conversations over a DynamoDB. Everything durable is items in three tables; delivery
 * follows the stream of headwater.chat_log and has no second path. chat speaks to a client, never
 * to the store.
 *
 * struct chat is shared by all loops and immutable but for counters; struct chat_loop belongs to
 * one loop: its sockets, its follower, its waiting requests. */
#ifndef HW_CHAT_CHAT_H
#define HW_CHAT_CHAT_H

#include "client/client.h"
#include "net/http.h"
#include "sys/thread.h"

struct chat;
struct chat_loop;

struct chat_options {
    struct bytes origins; /* comma-separated Origins that may open a socket beside our own */
    uint64_t session_ms;  /* 0: 12 h */
    uint64_t key_ms;      /* idempotency keys are kept: 0: 7 days */
    uint32_t ping_ms;     /* between pings of a socket */
};

/* Also on failure *chat is there to be closed. */
MUST_USE enum err chat_open(const struct chat_options *options, struct chat **chat);
/* No password is hashed any more: nobody waits for it. Any thread. */
void chat_stop(struct chat *chat);
/* After its loops. */
void chat_close(struct chat *chat);

/* On the loop's thread, before it serves; opens its follower. */
MUST_USE enum err chat_loop_open(struct chat *chat, struct loop *loop, struct client *client,
                                 struct chat_loop **out);
/* After the loop has drained: no socket, no call is left. */
void chat_loop_close(struct chat_loop *chat);

/* A request for a path under /v1/; ends it, now or later. */
void chat_request(struct chat_loop *chat, struct http_request *request);
void chat_ws_text(struct chat_loop *chat, struct ws *ws, void *user, struct bytes text);
void chat_ws_closed(struct chat_loop *chat, struct ws *ws, void *user);
/* Calls or hashes still under way: the loop waits for them before it closes. */
size_t chat_in_flight(const struct chat_loop *chat);

struct chat_figures {
    uint64_t users, sessions, conversations, messages, replays, conflicts, events, deliveries,
        sockets, gaps;
};
void chat_figures(const struct chat *chat, struct chat_figures *out);

/* The tables chat stands on, which the server makes sure of at start. */
struct chat_table {
    const char *name;
    bool stream;
    bool old_images; /* NEW_AND_OLD_IMAGES instead of NEW_IMAGE */
};
extern const struct chat_table chat_tables[];
extern const size_t chat_table_count;

#endif
