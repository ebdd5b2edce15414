/* A connection without a socket: the loop is never run, bytes are handed to net as its reading
 * callback would, and answers stay in the connection's buffer. */
#ifndef HW_FUZZ_NET_WIRE_H
#define HW_FUZZ_NET_WIRE_H

#include "fuzz.h"

#include "base/mem.h"
#include "net/net_priv.h"

static inline void wire_turn_end(void *arg, struct loop *loop)
{
    (void)arg;
    (void)loop;
}

static inline struct loop *wire_loop(struct http_service service, const struct http_limits *limits)
{
    struct loop *loop;
    service.turn_end = wire_turn_end;
    HOLDS(loop_open(&service, limits, &loop) == OK);
    return loop;
}

static inline struct connection *wire_open(struct loop *loop)
{
    struct connection *connection = mem_zalloc(1, sizeof(*connection));
    connection->loop = loop;
    buf_init(&connection->out, OUT_BYTES_MAX);
    HOLDS(uv_tcp_init(&loop->uv, &connection->tcp) == 0);
    connection->tcp.data = connection;
    return connection;
}

/* What connection_flush does, but for the sending. */
static inline void wire_turn(struct connection *connection)
{
    while (http_is_answered(connection)) {
        http_continue(connection);
    }
    if (connection->state == CONNECTION_WS) {
        ws_begin(connection->ws);
    }
    connection->dirty = false;
    connection->loop->dirty = NULL;
}

static inline void wire_feed(struct connection *connection, struct bytes data)
{
    if (data.len == 0 || connection->state == CONNECTION_CLOSING) {
        return;
    }
    if (connection->state == CONNECTION_WS) {
        ws_begin(connection->ws);
        ws_data(connection->ws, data);
    } else {
        http_data(connection, data);
    }
}

static inline void wire_close(struct connection *connection)
{
    struct loop *loop = connection->loop;
    crowd_body_release(connection);
    wire_turn(connection);
    buf_clear(&connection->out);
    crowd_count_unsent(connection);
    uv_close((uv_handle_t *)&connection->tcp, NULL);
    (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
    ws_free(connection->ws);
    exchange_free(connection->exchange);
    buf_fini(&connection->out);
    mem_free(connection);
}

#endif
