/* Inside chat: jobs, sockets, rooms, and the data model.
 *
 * Every durable thing is an item (all keys strings named pk and sk; 0 is the tenant):
 *
 *   table     pk              sk           attributes
 *   chat_log  0|C#cid         #HEAD        seq, n, mepoch, state, kind, members, ts, ev
 *             0|C#cid         M#uid        role, joined_seq
 *             0|L#cid#b       m#seq12      a message: seq, n, ts, sender, client_id, body, ver
 *             0|L#cid#b       e#seq12      another event: seq, n, ts, type
 *   chat_user 0|U#uid         #PROFILE     handle, created
 *             0|U#uid         #AUTH        hash (argon2id, encoded)
 *             0|U#uid         I#cid        read_seq, read_n
 *             0|X#handle#h    #            uid, handle
 *             0|T#sha256      #            a session: uid, handle, expires
 *   chat_aux  0|K#uid#key     #            fingerprint, cid, seq, n, ts, expires
 *
 * b = seq >> 12. Every write to a conversation is one transaction that moves HEAD from seq s to s+1
 * under the condition that it still is s: seq is dense and total. HEAD's ev holds what this write
 * did (bodies inline up to INLINE_MAX bytes, else the row is read), so followers read only HEAD's
 * records, whose order per item the stream promises. A session is ended by deleting its item: the
 * stream of chat_user brings that to every loop, which closes the sockets opened with it. */
#ifndef HW_CHAT_CHAT_PRIV_H
#define HW_CHAT_CHAT_PRIV_H

#include "chat/chat.h"
#include "client/follow.h"

#include <stdatomic.h>

/* The bounds, each with a defined answer (chat I12). */
#define CHAT_TEXT_MAX 16384u
#define CHAT_KEY_MAX 64u
#define CHAT_HANDLE_MIN 2u
#define CHAT_HANDLE_MAX 32u
#define CHAT_PASSWORD_MIN 8u
#define CHAT_PASSWORD_MAX 1024u
#define CHAT_INLINE_MAX 700u /* bytes of body text inside HEAD's ev */
#define CHAT_PAGE_DEFAULT 50u
#define CHAT_PAGE_MAX 200u
/* Events sent after a connect, per conversation, and bytes of them in all; more: recovered false.
 */
#define CHAT_RESUME_MAX 1000u
#define CHAT_RESUME_BYTES_MAX (512u << 10)
#define CHAT_RETRIES_MAX 256u      /* of an append that lost a race; each takes some of its arena */
#define CHAT_JOBS_MAX 20000u       /* requests under way on one loop; more are answered busy */
#define CHAT_ROOM_QUEUE_MAX 4096u  /* sends waiting for one conversation on one loop */
#define CHAT_SOCKET_JOBS_MAX 1024u /* frames under way of one socket; more are answered busy */
#define CHAT_FRAME_MAX 131072u     /* the longest text fits, each byte of it escaped to six */
/* Bytes that wait for a socket to read; past it, it is closed. One batch of the follower fits. */
#define CHAT_SOCKET_QUEUE_MAX (1u << 20)
#define CHAT_HASHES_MAX                                                                            \
    2u /* at a time, each of 19 MiB: logging in is no way to stop the server                       \
        */
#define CHAT_HASH_QUEUE_MAX 64u
/* Attempts to log in with one handle from one address: a few at once, then one a minute. */
#define CHAT_ATTEMPTS_MAX 10u
#define CHAT_ATTEMPT_MS 60000u
#define CHAT_ATTEMPT_SLOTS 8192u
#define CHAT_ID_LEN 26u

#define TABLE_LOG BYTES("headwater.chat_log")
#define TABLE_USER BYTES("headwater.chat_user")
#define TABLE_AUX BYTES("headwater.chat_aux")

enum problem {
#define PROBLEM(name, code, status, retryable, title) name,
#include "chat/problem.def"
#undef PROBLEM
};

struct chat {
    struct pool *hashers;
    struct bytes origins;
    uint32_t ping_ms;
    _Atomic bool stopping;
    /* By a hash of handle and address: when all attempts are free again, in ms. Loops race for a
     * slot by compare-and-swap; nothing else depends on it, so relaxed is enough. */
    _Atomic uint64_t attempts[CHAT_ATTEMPT_SLOTS];
    uint64_t session_ms;
    uint64_t key_ms;
    _Atomic uint64_t users, sessions, conversations, messages, replays, conflicts, events,
        deliveries, sockets, gaps;
};

struct person {
    struct bytes id;
    struct bytes handle;
};

/* A socket that said who it is, or has yet to. */
struct socket {
    struct chat_loop *chat;
    struct ws *ws; /* NULL: closed; it is freed when its last job ends */
    size_t jobs;
    uint64_t expires_ms;
    char user_id[CHAT_ID_LEN]; /* connected */
    char handle[CHAT_HANDLE_MAX];
    size_t handle_len;
    char token_hash[64]; /* set before its session is read, so that its end is not missed */
    bool connecting;     /* it has sent its connect */
    bool connected;
    struct socket *next_of_user;
    struct socket *next; /* all of the loop */
    struct socket **link;
};

struct route;

/* One request or frame under way. */
struct job {
    struct chat_loop *chat;
    struct http_request *request; /* or */
    const struct route *route;
    struct bytes cid;        /* of the path */
    struct bytes extra_head; /* of a problem's answer: complete lines */
    struct socket *socket;   /* which was sent frame_id */
    int64_t frame_id;
    const char *frame_verb;
    struct arena arena;
    uint64_t now_ms;
    struct person user; /* who asks */
    char token_hash[64];
    void (*next)(struct job *job); /* after the store call or the work */
    struct op_call call;
    union {
        struct put_item_in put;
        struct get_item_in get;
        struct update_item_in update;
        struct delete_item_in remove;
        struct query_in query;
        struct transact_write_in transact;
    } in;
    struct work work;      /* password hashing */
    void *flow;            /* what the request needs between steps */
    struct buf text;       /* an answer under construction over several steps; freed with the job */
    struct resume *resume; /* of a connect frame, beside what authenticate and events_load need */
    struct job *waiting;   /* in a room, ready, or free */
};

/* A conversation with a send under way on this loop: the others wait here, so that one loop never
 * races itself. */
struct room {
    struct room *next;
    struct bytes id; /* owned */
    struct job *first;
    struct job *last;
    size_t count;
};

struct delivery;
struct resume;

#define CHAT_BUCKETS 1024u

/* A table's stream, followed. */
struct feed {
    struct chat_loop *chat;
    struct bytes table;
    void (*events)(void *feed, const struct follow_event *events, size_t count);
    struct follow *follow;
};

struct chat_loop {
    struct owner owner;
    struct chat *chat;
    struct loop *loop;
    struct client *client;
    struct feed log_feed;  /* brings messages */
    struct feed user_feed; /* brings ends of sessions */
    struct json_parser *parser;
    struct buf out;
    struct buf event;
    struct job *free_jobs;
    struct job *first_ready; /* jobs whose next step is due */
    struct job *last_ready;
    bool stepping;
    size_t jobs;
    struct socket *sockets;
    struct socket *by_user[CHAT_BUCKETS];
    struct room *rooms[CHAT_BUCKETS];
    struct delivery *first_delivery; /* events in stream order, the first may wait for its row */
    struct delivery *last_delivery;
    size_t deliveries;
    struct loop_timer timer;
    bool closing;
};

/* ---- chat.c: jobs ---- */

/* NULL: too many; the caller answers busy. */
struct job *job_new(struct chat_loop *chat, struct http_request *request, struct socket *socket);
void job_end(struct job *job);
/* The job's next step is due: it runs now, or after those that are. */
void job_step(struct job *job);
/* Store calls: next runs when the answer is there (maybe before these return). */
void job_get(struct job *job, struct bytes table, struct bytes pk, struct bytes sk,
             void (*next)(struct job *job));
void job_start(struct job *job, const struct op *op, void *in, void (*next)(struct job *job));
/* The item of the last GetItem; empty: there is none. */
struct bytes job_item(const struct job *job);
/* Did the last call fail for another reason than its condition? Then the job was answered and
 * ended. */
bool job_failed(struct job *job);

/* ---- answers: each ends the job ---- */

/* body: JSON in chat->out. */
void job_answer(struct job *job, unsigned status, bool replayed);
void job_problem(struct job *job, enum problem problem, const char *detail);

/* ---- model.c ---- */

struct members {
    struct person *people;
    size_t count;
};

struct head {
    uint64_t seq;
    uint64_t n;
    uint64_t mepoch;
    uint64_t ts;
    struct bytes kind;
    struct members members;
};

struct message_row {
    uint64_t seq;
    uint64_t n;
    uint64_t ts;
    struct bytes type; /* "message.created" */
    struct person sender;
    struct bytes client_id;
    struct bytes text;
    bool has_text; /* the body is inline */
    uint64_t ver;
};

struct bytes key_conversation(struct arena *arena, struct bytes cid);
struct bytes key_log(struct arena *arena, struct bytes cid, uint64_t seq);
struct bytes key_message(struct arena *arena, uint64_t seq);
struct bytes key_event(struct arena *arena, uint64_t seq);
struct bytes key_user(struct arena *arena, struct bytes uid);
struct bytes key_inbox(struct arena *arena, struct bytes cid);
struct bytes key_handle(struct arena *arena, struct bytes handle);
struct bytes key_token(struct arena *arena, const char hash[64]);
struct bytes key_idempotency(struct arena *arena, struct bytes uid, struct bytes key);
struct bytes key_item(struct arena *arena, struct bytes pk, struct bytes sk);

/* A time-ordered id of 26 characters (ULID). */
void make_id(uint64_t now_ms, char out[CHAT_ID_LEN]);
/* d_ and 32 hex digits of the two ids, whichever order they come in. */
struct bytes dm_id(struct arena *arena, struct bytes a, struct bytes b);

bool item_string(struct bytes item, struct bytes name, struct bytes *out);
bool item_number(struct bytes item, struct bytes name, uint64_t *out);
bool head_read(struct bytes item, struct arena *arena, struct head *head);
bool message_read(struct bytes item, struct message_row *row);
struct bytes message_item(struct arena *arena, const struct message_row *row, struct bytes pk,
                          struct bytes sk, bool with_text);
bool head_has(const struct head *head, struct bytes uid);

void add_time(struct buf *out, uint64_t ms);
void add_number(struct buf *out, uint64_t number);
void add_person(struct buf *out, const struct person *person);
void add_members(struct buf *out, const struct members *members);
void add_message(struct buf *out, const struct message_row *row);
/* An event as sockets and GET events show it. members and kind: for conversation.created. */
void add_event(struct buf *out, struct bytes cid, const struct message_row *row,
               const struct head *head);

/* ---- flows ---- */

void users_post(struct job *job, struct json body);
void sessions_post(struct job *job, struct json body);
void sessions_delete(struct job *job, struct json body);
/* Finds who has this token; next runs with job->user set, or the job is answered. */
void authenticate(struct job *job, struct bytes token, void (*next)(struct job *job));

void conversations_post(struct job *job, struct json body);
void conversations_get(struct job *job, struct json body);
void read_put(struct job *job, struct json body);

void messages_post(struct job *job, struct json body);
/* message: {"body":{"text":...},"client_id":...}; key: of the header or the frame; ptr NULL: none.
 */
void message_send(struct job *job, struct bytes cid, struct bytes key, struct json message);
void messages_get(struct job *job, struct json body);
void events_get(struct job *job, struct json body);
/* Events after `after`, oldest first, for GET events and for resume: fills rows, then next. */
struct event_page {
    struct bytes cid;
    uint64_t after;
    size_t limit;
    struct head head;
    struct message_row *rows;
    size_t count;
    unsigned tries;
    bool denied; /* there is no such conversation for this user */
    void (*next)(struct job *job);
};
void events_load(struct job *job, struct event_page *page);

void socket_open(struct chat_loop *chat, struct http_request *request);
void socket_text(struct socket *socket, struct bytes text);
void socket_gone(struct chat_loop *chat, struct socket *socket);
struct socket *sockets_of(struct chat_loop *chat, struct bytes uid);
void sockets_close_token(struct chat_loop *chat, struct bytes hash);

MUST_USE enum err delivery_open(struct chat_loop *chat);
void delivery_close(struct chat_loop *chat);

struct bytes query_parameter(const struct http_request *request, struct bytes name);
/* Digits only, at most 15 of them. */
bool parse_number(struct bytes text, uint64_t *out);

#endif
