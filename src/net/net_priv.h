/* Inside net: loops, connections and WebSockets. All of it belongs to the loop's thread. */
#ifndef HW_NET_NET_PRIV_H
#define HW_NET_NET_PRIV_H

#include "net/http.h"
#include "sys/thread.h"

#include <http_parser.h>
#include <stdatomic.h>
#include <uv.h>
#include <wslay/wslay.h>

#define READ_BYTES 65536u         /* the loop's shared read buffer */
#define PIPELINE_BYTES_MAX 65536u /* read ahead of the request at hand; more waits in the socket   \
                                   */
#define OUT_BYTES_MAX (40u << 20) /* of answers waiting to be sent on one connection */
#define KEEP_BYTES 16384u         /* an active connection keeps buffers up to this */
#define BIG_BODY_BYTES 65536u     /* bodies above this count against unauthenticated_bytes_max */

enum connection_state {
    CONNECTION_IDLE,   /* between requests */
    CONNECTION_HEAD,   /* some bytes of a head are here */
    CONNECTION_BODY,   /* the head is whole */
    CONNECTION_BUSY,   /* the service has the request */
    CONNECTION_WS,     /* upgraded */
    CONNECTION_CLOSING /* nothing is read any more; what is queued is sent, then it closes */
};

/* A header as offsets from the start of the message, since the bytes may move while they arrive. */
struct header_place {
    uint32_t name_at, name_len, value_at, value_len;
};

struct connection {
    uv_tcp_t tcp;
    struct loop *loop;
    struct connection *next; /* all of the loop */
    struct connection *previous;
    struct connection *next_dirty; /* with bytes to send or input to parse, once each */
    enum connection_state state;
    bool dirty;
    bool closed;      /* uv_close was called */
    bool handle_gone; /* and has finished */
    bool peer_gone;
    bool close_after_send;
    bool reading;
    bool writing;      /* a uv_write is under way */
    uint64_t since_ms; /* when the state began */
    /* the message being read */
    http_parser parser;
    uint8_t *in; /* owned: the message so far, and what came with it */
    size_t in_len;
    size_t in_cap;
    size_t message_len; /* of a whole message, at the start of in */
    struct buf ahead;   /* what came while the service had the request */
    struct header_place places[HTTP_HEADERS_MAX];
    size_t place_count;
    bool last_was_value;
    size_t url_at;
    size_t url_len;
    size_t head_len; /* known once the head is whole */
    size_t body_at;
    size_t body_len;
    size_t counted;    /* bytes of its body in the loop's sum of big bodies */
    struct buf chunks; /* of a chunked body */
    unsigned refusal;  /* status of a refusal found while parsing */
    bool complete;
    struct http_request request;
    struct arena arena;
    struct buf out;
    size_t out_sent;
    struct ws *ws;
    char peer[48];
};

struct ws {
    struct connection *connection;
    wslay_event_context_ptr wslay;
    void *user;
    struct ws_limits limits;
    const uint8_t *in; /* what wslay reads from */
    size_t in_left;
    uint64_t pinged_ms;
    uint64_t heard_ms;
    bool closing;
    bool dead; /* the service was told, or is being told */
};

struct loop {
    uv_loop_t uv;
    uv_async_t async;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_timer_t sweep;
    uv_tcp_t listener;
    bool listening;
    bool touched; /* something happened in this turn */
    bool draining;
    bool ended;
    struct http_service service;
    struct http_limits limits;
    struct mailbox mailbox;
    struct connection *connections;
    struct connection *dirty;
    uint64_t drain_until_ms;
    _Atomic uint32_t stop_grace_ms; /* UINT32_MAX: not asked to stop */
    void *user;
    char date[40];
    uint64_t date_second;
    /* figures: written here, read anywhere */
    _Atomic uint64_t connections_now, connections_total, requests, bytes_in, bytes_out, refused,
        ws_open, turns;
    uint8_t read_buffer[READ_BYTES];
};

static inline void figure_add(_Atomic uint64_t *figure, uint64_t n)
{
    atomic_store_explicit(figure, atomic_load_explicit(figure, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* ---- http.c ---- */
void http_accept(struct loop *loop);
void http_data(struct connection *connection, const uint8_t *data, size_t len);
/* Parses what is waiting behind an answered request. */
void http_continue(struct connection *connection);
void http_timeout(struct connection *connection);
/* Sends what is queued; called once per turn for each dirty connection. */
void connection_flush(struct connection *connection);
void connection_dirty(struct connection *connection);
void connection_close(struct connection *connection);
/* Gives back memory that an idle connection does not need. */
void connection_slim(struct connection *connection);
void http_refuse(struct connection *connection, unsigned status);

/* ---- ws.c ---- */
void ws_data(struct ws *ws, const uint8_t *data, size_t len);
void ws_sweep(struct ws *ws, uint64_t now_ms);
/* The connection has closed: the service is told. The memory goes with the connection's. */
void ws_gone(struct ws *ws);
void ws_free(struct ws *ws);

#endif
