/* Inside net: loops, connections and WebSockets. All of it belongs to the loop's thread. */
#ifndef HW_NET_NET_PRIV_H
#define HW_NET_NET_PRIV_H

#include "net/http.h"
#include "sys/thread.h"

#include <http_parser.h>
#include <stdatomic.h>
#include <uv.h>
#include <wslay/wslay.h>

#define READ_BYTES 65536u  /* the loop's shared read buffer */
#define PLAIN_BYTES 16384u /* of one TLS record */
#define PIPELINE_BYTES_MAX                                                                         \
    65536u                        /* read ahead of the request at hand; more waits in the socket   \
                                   */
#define OUT_BYTES_MAX (40u << 20) /* of answers waiting to be sent on one connection */
#define OUT_BYTES_PAUSE 262144u   /* with so much to send, the next request waits */
#define KEEP_BYTES 16384u         /* an active connection keeps buffers up to this */
#define WS_PARTS_MAX 1024u        /* frames that one message may come in */
#define TURN_TIMES 2u             /* the bound of answers unsent, while a turn makes them */
#define LEAST_RATE 1024u          /* bytes a second, of a body and of an answer */
#define LINGER_MS 2000u           /* after the last answer, for the peer to read it and close */
#define DRAIN_LINGER_MS 200u      /* the same while the loop is stopping */

enum connection_state {
    CONNECTION_IDLE,      /* between requests */
    CONNECTION_HEAD,      /* some bytes of a head are here */
    CONNECTION_BODY,      /* the head is whole */
    CONNECTION_BUSY,      /* the service has the request */
    CONNECTION_WS,        /* upgraded */
    CONNECTION_HANDSHAKE, /* of TLS, the first state of a connection that has it */
    CONNECTION_CLOSING    /* what comes is thrown away; what is queued is sent, then it closes */
};

/* Where in a chunked body the next byte belongs. */
enum chunk_state {
    CHUNK_SIZE,
    CHUNK_EXTENSION,
    CHUNK_SIZE_END, /* the CR of a size's line was read */
    CHUNK_DATA,     /* left bytes of it, then its CR */
    CHUNK_DATA_END,
    CHUNK_LAST, /* after the chunk of size 0 */
    CHUNK_LAST_END,
    CHUNK_DONE
};
#define CHUNK_DIGITS_MAX 8u /* of a size: more than any body may have */
#define CHUNK_LINE_MAX 256u /* a size and its extensions, which nobody reads */

struct chunk_reader {
    enum chunk_state state;
    unsigned line_len; /* of the size's line so far */
    uint64_t left;
};

/* A header as offsets from the start of the message, since the bytes may move while they arrive. */
struct header_place {
    uint32_t name_at, name_len, value_at, value_len;
};

/* What a connection needs to read and serve a message. It comes with the first byte and goes when
 * the connection has been idle for a while, so that an idle one costs little. */
struct exchange {
    http_parser parser;
    uint8_t *room; /* of in; what was answered stands before it */
    uint8_t *in;   /* the message so far, and what came with it */
    size_t in_len;
    size_t in_cap;
    size_t message_len; /* of a whole message, at the start of in; 0 while it is not whole */
    size_t url_at;
    size_t url_len;
    size_t head_len; /* known once the head is whole */
    size_t body_at;
    size_t body_len;
    size_t place_count;
    unsigned refusal; /* status of a refusal found while parsing; 0: none */
    bool last_was_value;
    bool head_done;
    bool complete;
    bool answered; /* and the next message has not begun */
    struct chunk_reader chunk_reader;
    struct buf chunks; /* of a chunked body */
    struct buf ahead;  /* what came while the service had the request */
    struct arena arena;
    struct http_request request;
    struct header_place places[HTTP_HEADERS_MAX];
};

/* How far something had come when it was last looked at: it must come LEAST_RATE further. */
struct pace {
    uint64_t since_ms;
    uint64_t done;
};

struct connection {
    uv_tcp_t tcp;
    struct loop *loop;
    struct connection *next; /* all of the loop */
    struct connection *previous;
    struct connection *next_dirty;  /* with something to do in the flush, once each */
    struct connection **dirty_link; /* what points here */
    struct exchange *exchange;      /* NULL while idle */
    struct ws *ws;
    struct tls_stream *tls; /* NULL: plain */
    struct buf out;
    size_t counted; /* bytes of its body in the sum of bodies being read */
    size_t unsent;  /* bytes in the loop's sum of answers unsent */
    size_t given;   /* bytes to the kernel, or to libuv for it, since the beginning */
    size_t taken;   /* of them by the peer's end, when it was last looked at */
    struct pending_write *writing; /* the uv_write that is under way */
    size_t writing_len;
    uint64_t writing_since_ms; /* when it began */
    size_t taken_before;       /* what had been taken by then */
    uint64_t since_ms;         /* when the state began */
    struct pace write_pace;    /* of the write under way */
    struct pace body_pace;
    uint16_t peer_slots[2]; /* where crowd.c counts its peer */
    enum connection_state state;
    bool peer_is_counted;
    bool takes_answers; /* a good part of them, when it was last in question */
    bool dirty;
    bool reading;
    bool peer_gone; /* it sends no more */
    bool close_after_send;
    bool lingering;   /* all was sent and it was told so */
    bool closed;      /* uv_close was called */
    bool handle_gone; /* and has finished */
    char peer[46];
};

struct ws {
    struct connection *connection;
    wslay_event_context_ptr wslay;
    void *user;
    struct ws_limits limits;
    const uint8_t *in; /* what wslay reads from */
    size_t in_left;
    unsigned parts; /* of the message being read, so far */
    uint64_t pinged_ms;
    uint64_t heard_ms;
    bool closing; /* a close frame is queued, or wslay failed */
    bool dead;    /* the service was told, or is being told */
};

struct loop {
    struct owner owner;
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
    uint64_t accept_noted_ms;
    _Atomic uint32_t stop_grace_ms; /* UINT32_MAX: not asked to stop */
    void *user;
    char date[48];
    size_t date_len;
    uint64_t date_second;
    uint64_t date_checked_ms;
    /* figures: written here, read anywhere */
    _Atomic uint64_t connections_now, connections_total, requests, bytes_in, bytes_out, refused,
        ws_open, turns;
    _Atomic uint64_t tls_handshakes, tls_failed, connections_refused, slow_closed, unsent;
    struct tls *tls; /* of connections to come; NULL: they are plain */
    uint8_t read_buffer[READ_BYTES];
    uint8_t plain_buffer[PLAIN_BYTES]; /* the same, unsealed */
};

static inline void figure_add(_Atomic uint64_t *figure, uint64_t n)
{
    atomic_store_explicit(figure, atomic_load_explicit(figure, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* ---- connection.c ---- */
void connection_accept(struct loop *loop);
/* To be looked at in the flush of this turn. */
void connection_dirty(struct connection *connection);
/* Goes on with what is read ahead, then sends what is queued; once per turn if dirty. */
void connection_flush(struct connection *connection);
/* Takes it out of the list of those to be looked at. */
void connection_undirty(struct connection *connection);
/* An answer was added. When one turn makes more answers than may wait, those who do not take theirs
 * are closed before its end. */
void connection_answered(struct connection *connection);
/* Sends what waits for the flush already now. False: nothing does. */
bool connection_offer(struct connection *connection);
/* What is queued is sent, then the connection ends; nothing more is read from it. */
void connection_finish(struct connection *connection);
/* Ends it at once. */
void connection_close(struct connection *connection);
/* Bytes that have reached the peer's end since the beginning. */
size_t connection_taken(const struct connection *connection);
/* Of a closed connection whose request has ended. */
void connection_free(struct connection *connection);
/* Once a second: what has waited too long, and memory that is not needed. */
void connection_sweep(struct connection *connection, uint64_t now_ms);
void connection_read_start(struct connection *connection);
void connection_read_stop(struct connection *connection);
/* Bytes of the peer, unsealed if they came sealed. */
void connection_data(struct connection *connection, struct bytes data);
/* The peer sends no more. */
void connection_peer_end(struct connection *connection);

/* ---- http.c ---- */
void http_data(struct connection *connection, struct bytes data);
/* Was the request at hand answered, so that http_continue may go on? */
bool http_is_answered(const struct connection *connection);
/* How much of the body at hand has come. */
size_t http_body_so_far(const struct connection *connection);
/* Makes the connection ready for its next message and parses what is already here. */
void http_continue(struct connection *connection);
void exchange_free(struct exchange *exchange);

/* Gives back what a large message took; what came behind it is kept. */
void http_slim(struct connection *connection);

/* ---- crowd.c ---- */
enum crowd_place {
    CROWD_SERVED,
    CROWD_REFUSED, /* to be told so */
    CROWD_DROPPED  /* too many are being told already */
};
/* Once for each connection, address may be NULL; crowd_leave takes it back. */
enum crowd_place crowd_enter(struct connection *connection, const struct sockaddr *address);
void crowd_leave(struct connection *connection);
/* Bytes of bodies being read, over all loops: false when there would be too many, although the
 * slowest of this loop were refused. */
bool crowd_body_reserve(struct connection *connection, size_t len);
void crowd_body_release(struct connection *connection);
/* So many bytes that a body may not take its time. */
bool crowd_bodies_are_many(const struct loop *loop);
/* Counts what the connection has to send now. */
void crowd_count_unsent(struct connection *connection);
/* Are the loop's answers unsent within so many times their bound? */
bool crowd_has_room(const struct loop *loop, unsigned times);
/* Closes the slowest readers of the loop until they are within so many times their bound. */
void crowd_relieve(struct loop *loop, unsigned times);

/* ---- chunks.c ---- */
/* Appends the data of the chunks to out; *taken is less than data.len only at the end, when the
 * state is CHUNK_DONE. A zeroed reader begins. ERR_INVALID: not chunks; ERR_RANGE: out is full. */
MUST_USE enum err chunks_read(struct chunk_reader *reader, struct bytes data, struct buf *out,
                              size_t *taken);

/* ---- answer.c ---- */
void http_refuse(struct connection *connection, unsigned status);
/* The same with a text of its own. */
void http_refuse_with(struct connection *connection, unsigned status, struct bytes text);

/* ---- tls.c ---- */
struct tls_stream; /* the TLS of one connection */
/* Before threads. */
void tls_prepare(void);
/* The connection speaks TLS by the loop's certificate. False: no memory. */
bool tls_begin(struct connection *connection);
void tls_end(struct tls_stream *stream);
/* Bytes as they came: what they hold goes to connection_data. */
void tls_data(struct connection *connection, struct bytes data);
/* Seals all that the connection has to send; gives what is to be sent. NULL: it cannot go on. */
struct buf *tls_seal(struct connection *connection);
/* The same with the sign that nothing follows. */
struct buf *tls_farewell(struct connection *connection);
/* Gives back memory that an idle connection does not need; NULL is none. */
void tls_slim(struct tls_stream *stream);
/* Is nothing of its own waiting to be sent? */
bool tls_is_quiet(const struct tls_stream *stream);

/* ---- ws.c ---- */
void ws_data(struct ws *ws, struct bytes data);
/* Takes what came behind the handshake; later calls do nothing. */
void ws_begin(struct ws *ws);
void ws_sweep(struct ws *ws, uint64_t now_ms);
/* The connection has closed: the service is told. The memory goes with the connection's. */
void ws_gone(struct ws *ws);
void ws_free(struct ws *ws);

#endif
