/* HTTP/1.1 and WebSocket server on libuv. A loop is a thread with its connections, arenas and
 * waiting requests; it never blocks. The layer above (server) gives a service: what to do with a
 * request. net never sees an item.
 *
 * One request at a time per connection: the next one in the pipe is parsed when this one has been
 * answered. A request lives until it is answered, also when its peer has gone (answering is then a
 * no-op): exactly one of http_respond, http_upgrade or http_abort ends each request, on its loop's
 * thread, at once or later.
 *
 * Order of a loop's turn: sockets (requests are given to the service), messages of the mailbox,
 * timers, then service->turn_end once, then one flush of replies per connection. */
#ifndef HW_NET_HTTP_H
#define HW_NET_HTTP_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "sys/mailbox.h"

#define HTTP_HEADERS_MAX 64u
#define HTTP_HEAD_BYTES_MAX 16384u

struct loop;
struct connection;

enum http_verb {
    HTTP_METHOD_GET,
    HTTP_METHOD_POST,
    HTTP_METHOD_PUT,
    HTTP_METHOD_DELETE,
    HTTP_METHOD_HEAD,
    HTTP_METHOD_OPTIONS,
    HTTP_METHOD_PATCH,
    HTTP_METHOD_OTHER
};

struct http_header {
    struct bytes name;  /* as sent */
    struct bytes value; /* trimmed */
};

struct http_request {
    struct loop *loop;
    struct connection *connection;
    struct arena *arena; /* of the request; reset after the answer */
    void *user;          /* the service's own */
    enum http_verb method;
    struct bytes method_text;
    struct bytes path;  /* before '?', as sent */
    struct bytes query; /* after '?', as sent; empty if none */
    struct http_header headers[HTTP_HEADERS_MAX];
    size_t header_count;
    struct bytes body; /* contiguous; valid until the answer */
    struct bytes peer; /* address as text */
    uint64_t received_ns;
    bool keep_alive;
};

/* Connections that are refused past the limit and waited for, as many as the limit at most; more
 * are just closed. */
#define HTTP_LINGERERS_MAX ((uint64_t)256)

/* Limits of connections, each with a defined answer: 431 headers, 413 body, 408 slow head or body,
 * close when idle, 503 and close past the connection count. */
struct http_limits {
    size_t body_max;       /* at "/": 16 MiB */
    size_t other_body_max; /* at every other path */
    uint32_t connections_max;
    uint32_t peer_connections_max; /* of one address; of IPv6, of one /64 */
    uint32_t head_timeout_ms;      /* 10 s */
    uint32_t body_timeout_ms;      /* in each such span at least 1 KiB/s */
    uint32_t idle_timeout_ms; /* 60 s between requests; in each such span 1 KiB/s of an answer */
    /* Bodies being read, over all connections: 64 MiB, then the slowest get 408, or this one 503.
     */
    size_t unauthenticated_bytes_max;
    size_t unsent_bytes_max; /* of answers, on this loop; then the slowest readers are closed */
};

struct ws; /* one WebSocket */

struct http_service {
    void *arg;
    /* A complete request. Must end it now or later. */
    void (*request)(void *arg, struct http_request *request);
    /* Once per turn, after everything was read and every message run. */
    void (*turn_end)(void *arg, struct loop *loop);
    /* WebSocket events of sockets made by http_upgrade. text is one whole text message (at most
     * ws_message_max). closed is the last one; after it the ws is gone. */
    void (*ws_text)(void *arg, struct ws *ws, void *user, struct bytes text);
    void (*ws_closed)(void *arg, struct ws *ws, void *user);
};

/* ---- loops ---- */

/* A loop not yet running; service and limits are copied. */
MUST_USE enum err loop_open(const struct http_service *service, const struct http_limits *limits,
                            struct loop **loop);
/* Listening sockets are shared: the first loop binds, the others dup. port 0 picks one. text of the
 * cause (address in use, ...) goes to why. */
MUST_USE enum err loop_listen(struct loop *loop, const char *host, uint16_t port, uint16_t *bound,
                              char *why, size_t room);
MUST_USE enum err loop_listen_shared(struct loop *loop, const struct loop *first);
/* ---- TLS ---- */

struct tls; /* a certificate and its key: immutable, counted */
/* Reads PEM files: the certificate with the chain that signed it, and its key. ERR_INVALID with
 * why, naming the file. */
MUST_USE enum err tls_open(const char *certificate, const char *key, struct tls **tls, char *why,
                           size_t room);
/* One more owner; each ends with tls_close. Any thread. */
struct tls *tls_share(struct tls *tls);
void tls_close(struct tls *tls);
/* When the certificate ends, in seconds since 1970; 0: unknown. */
uint64_t tls_ends_s(const struct tls *tls);
/* New connections speak TLS by it, those that are there go on as they are. The loop takes tls over.
 * Before loop_run, or on the loop's thread. */
void loop_use_tls(struct loop *loop, struct tls *tls);

/* Runs until loop_stop has drained it; call on the thread that shall own it. */
void loop_run(struct loop *loop);
/* Any thread, async-signal-safe enough to be called from a signal watcher thread: stop accepting,
 * close idle connections, send what is being answered, close WebSockets with 4001; end within
 * grace_ms. */
void loop_stop(struct loop *loop, uint32_t grace_ms);
void loop_close(struct loop *loop);
/* For messages to this loop; owner: the loop. */
struct mailbox *loop_mailbox(struct loop *loop);
/* The service's own pointer of this loop. */
void loop_set_user(struct loop *loop, void *user);
void *loop_user(const struct loop *loop);

struct loop_timer {
    void (*run)(struct loop_timer *timer);
    void *handle; /* net's own */
};
/* One-shot; starting again moves it. ERR_NOMEM. Loop thread only. */
MUST_USE enum err loop_timer_start(struct loop *loop, struct loop_timer *timer, uint32_t ms);
void loop_timer_stop(struct loop *loop, struct loop_timer *timer);

struct loop_figures {
    uint64_t connections, connections_total, requests, bytes_in, bytes_out, refused, ws_open, turns;
    uint64_t tls_handshakes, tls_failed;
    uint64_t connections_refused, slow_closed, unsent;
};
/* Any thread; a recent copy. */
void loop_figures(const struct loop *loop, struct loop_figures *out);

/* ---- requests ---- */

/* The value of a header by case-insensitive name; ptr NULL if absent. *count (may be NULL): how
 * often it came. */
struct bytes http_header_get(const struct http_request *request, struct bytes name,
                             unsigned *count);
/* What an answer may be packed with. */
enum http_encoding { HTTP_ENCODING_IDENTITY, HTTP_ENCODING_GZIP, HTTP_ENCODING_DEFLATE };
enum http_encoding http_accepted_encoding(const struct http_request *request);
/* Ends the request. headers: complete lines "Name: value\r\n" without Content-Length, Date and
 * Connection, which are added here; head and body are copied before it returns. Where answers have
 * no room any more, other connections of the loop may be closed before it returns, WebSockets too:
 * not in the middle of a walk over them. */
void http_respond(struct http_request *request, unsigned status, struct bytes headers,
                  struct bytes body);
/* Ends the request and the connection without an answer. */
void http_abort(struct http_request *request);
/* Is the peer still there? For long waits. */
bool http_is_open(const struct http_request *request);

/* ---- WebSockets ---- */

struct ws_limits {
    size_t message_max; /* bytes of one message, 64 KiB */
    size_t
        queue_max; /* bytes waiting to be sent, 256 KiB: past it the socket is closed with 4008 */
    uint32_t ping_ms; /* 25 s; no pong for two of them closes with 4012 */
};
/* Ends the request with 101 (RFC 6455 checked, subprotocol echoed if it was offered; a bad
 * handshake is answered 400 or 426 and NULL returned). user goes to the events. */
struct ws *http_upgrade(struct http_request *request, struct bytes subprotocol,
                        const struct ws_limits *limits, void *user);
/* Loop thread only. Queued, sent in the flush at the end of the turn. ERR_CLOSED, ERR_RANGE (slow
 * reader, being closed). */
MUST_USE enum err ws_send(struct ws *ws, struct bytes text);
void ws_close(struct ws *ws, uint16_t code, struct bytes reason);
size_t ws_queued(const struct ws *ws);

#endif
