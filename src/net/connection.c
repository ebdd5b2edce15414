/* Connections: accepted, read, flushed once per turn, and ended so that the peer can read the last
 * answer.
 *
 * Closing a socket with unread input resets it, and the reset may overtake the answer that explains
 * it. So whoever gets a last answer is told that nothing follows (shutdown), what it still sends is
 * thrown away, and the socket closes when the peer does or after LINGER_MS (net I5). */
#include "net/net_priv.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/note.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out);
static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buffer);
static void on_closed(uv_handle_t *handle);
static void on_written(uv_write_t *write, int status);
static void on_shut(uv_shutdown_t *shut, int status);
static bool send_out(struct connection *connection);
static bool send_buf(struct connection *connection, struct buf *out);
static bool drop(struct connection *connection);
static size_t kernel_queue(const struct connection *connection);
static bool send_rest(struct connection *connection, struct buf *out, size_t sent);
static void linger(struct connection *connection);
static void slim(struct connection *connection);

/* ---- accepting and reading ---- */

void connection_accept(struct loop *loop)
{
    ASSERT_OWNER(&loop->owner);
    struct connection *connection = mem_zalloc(1, sizeof(*connection));
    connection->loop = loop;
    connection->since_ms = uv_now(&loop->uv);
    buf_init(&connection->out, OUT_BYTES_MAX);
    int failed = uv_tcp_init(&loop->uv, &connection->tcp);
    ASSERT(failed == 0); /* it only fills the handle in */
    connection->tcp.data = connection;
    connection->next = loop->connections;
    if (loop->connections != NULL) {
        loop->connections->previous = connection;
    }
    loop->connections = connection;
    figure_add(&loop->connections_now, 1);
    struct sockaddr_storage peer;
    const struct sockaddr *address = (const struct sockaddr *)&peer;
    int len = sizeof(peer);
    if (uv_accept((uv_stream_t *)&loop->listener, (uv_stream_t *)&connection->tcp) != 0) {
        (void)crowd_enter(connection, NULL);
        connection_close(connection);
        return;
    }
    bool named = uv_tcp_getpeername(&connection->tcp, (struct sockaddr *)&peer, &len) == 0;
    enum crowd_place place = crowd_enter(connection, named ? address : NULL);
    if (place == CROWD_DROPPED) {
        connection_close(connection);
        return;
    }
    figure_add(&loop->connections_total, 1);
    uv_tcp_nodelay(&connection->tcp, 1);
    if (named) {
        (void)uv_ip_name(address, connection->peer, sizeof(connection->peer));
    }
    if (loop->tls != NULL && (place == CROWD_REFUSED || !tls_begin(connection))) {
        connection_close(connection); /* an answer would cost a handshake */
    } else if (place == CROWD_REFUSED) {
        http_refuse(connection, 503);
    } else {
        connection_read_start(connection);
    }
}

void connection_read_start(struct connection *connection)
{
    if (!connection->reading && !connection->peer_gone && !connection->closed) {
        connection->reading =
            uv_read_start((uv_stream_t *)&connection->tcp, on_alloc, on_read) == 0;
    }
}

void connection_read_stop(struct connection *connection)
{
    if (connection->reading) {
        uv_read_stop((uv_stream_t *)&connection->tcp);
        connection->reading = false;
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct connection *connection = handle->data;
    (void)suggested;
    *out = uv_buf_init((char *)connection->loop->read_buffer, READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buffer)
{
    struct connection *connection = stream->data;
    connection->loop->touched = true;
    if (len == UV_EOF) {
        connection_peer_end(connection);
        return;
    }
    if (len < 0) {
        connection_close(connection);
        return;
    }
    figure_add(&connection->loop->bytes_in, (uint64_t)len);
    struct bytes data = bytes_of(buffer->base, (size_t)len);
    if (len == 0 || connection->state == CONNECTION_CLOSING) {
        return;
    }
    if (connection->tls != NULL) {
        tls_data(connection, data);
    } else {
        connection_data(connection, data);
    }
}

void connection_data(struct connection *connection, struct bytes data)
{
    ASSERT_OWNER(&connection->loop->owner);
    if (connection->state == CONNECTION_WS) {
        ws_begin(connection->ws);
        ws_data(connection->ws, data);
    } else {
        http_data(connection, data);
    }
}

/* The peer sends no more. It may still read: whole requests that it sent are answered. */
void connection_peer_end(struct connection *connection)
{
    connection_read_stop(connection);
    connection->peer_gone = true;
    if (connection->state == CONNECTION_WS || connection->lingering) {
        connection_close(connection);
    } else {
        connection_dirty(connection);
    }
}

/* ---- flushing ---- */

void connection_dirty(struct connection *connection)
{
    ASSERT_OWNER(&connection->loop->owner);
    connection->loop->touched = true;
    if (!connection->dirty && !connection->closed) {
        connection->dirty = true;
        connection->next_dirty = connection->loop->dirty;
        connection->dirty_link = &connection->loop->dirty;
        if (connection->next_dirty != NULL) {
            connection->next_dirty->dirty_link = &connection->next_dirty;
        }
        connection->loop->dirty = connection;
    }
}

void connection_undirty(struct connection *connection)
{
    *connection->dirty_link = connection->next_dirty;
    if (connection->next_dirty != NULL) {
        connection->next_dirty->dirty_link = connection->dirty_link;
    }
}

/* May the next request be looked at? Not while the peer is behind with reading answers. */
static bool is_ready(const struct connection *connection)
{
    return !connection->writing && connection->out.len < OUT_BYTES_PAUSE &&
           http_is_answered(connection);
}

void connection_flush(struct connection *connection)
{
    ASSERT_OWNER(&connection->loop->owner);
    while (!connection->closed && is_ready(connection)) {
        http_continue(connection); /* its answer leaves with this flush */
    }
    if (!connection->closed && connection->state == CONNECTION_WS) {
        ws_begin(connection->ws);
    }
    connection->dirty = false;
    if (connection->closed || !send_out(connection)) {
        return;
    }
    crowd_count_unsent(connection);
    crowd_relieve(connection->loop, 1);
    if (connection->closed || connection->writing) {
        return;
    }
    if (is_ready(connection)) {
        connection_dirty(connection);
    } else if (connection->close_after_send) {
        linger(connection);
    } else if (connection->peer_gone && connection->state != CONNECTION_BUSY) {
        connection_close(connection);
    }
}

void connection_answered(struct connection *connection)
{
    crowd_count_unsent(connection);
    crowd_relieve(connection->loop, TURN_TIMES);
    if (connection->closed) {
        connection->state = CONNECTION_CLOSING; /* for whoever is at its requests now */
    }
}

bool connection_offer(struct connection *connection)
{
    bool waits = connection->out.len > 0 && connection->writing == NULL;
    if (waits && send_out(connection)) {
        crowd_count_unsent(connection);
    }
    return waits;
}

/* A write that could not be finished at once. */
struct pending_write {
    uv_write_t write; /* first */
    struct buf data;
};

/* Sends what is queued, or leaves it to libuv. False: the connection has failed and is closed. */
static bool send_out(struct connection *connection)
{
    struct buf *out = &connection->out;
    if (connection->writing ||
        (out->len == 0 && (connection->tls == NULL || tls_is_quiet(connection->tls)))) {
        return true;
    }
    if (connection->tls != NULL) {
        out = tls_seal(connection);
    }
    return out != NULL ? send_buf(connection, out) : drop(connection);
}

static bool drop(struct connection *connection)
{
    connection_close(connection);
    return false;
}

static bool send_buf(struct connection *connection, struct buf *out)
{
    uv_buf_t data = uv_buf_init((char *)out->ptr, (unsigned)out->len);
    int sent = uv_try_write((uv_stream_t *)&connection->tcp, &data, 1);
    if (sent < 0 && sent != UV_EAGAIN) {
        return drop(connection);
    }
    figure_add(&connection->loop->bytes_out, out->len);
    connection->given += sent > 0 ? (size_t)sent : 0;
    if (sent >= 0 && (size_t)sent == out->len) {
        if (out->cap > KEEP_BYTES) {
            buf_fini(out);
        }
        buf_clear(out);
        return true;
    }
    return send_rest(connection, out, sent < 0 ? 0 : (size_t)sent);
}

static bool send_rest(struct connection *connection, struct buf *out, size_t sent)
{
    struct pending_write *pending = mem_zalloc(1, sizeof(*pending));
    pending->data = *out;
    pending->write.data = connection;
    buf_init(out, out->max);
    uv_buf_t rest =
        uv_buf_init((char *)pending->data.ptr + sent, (unsigned)(pending->data.len - sent));
    connection->writing = pending;
    connection->writing_len = rest.len;
    connection->taken = connection_taken(connection);
    connection->taken_before = connection->taken;
    connection->given += rest.len;
    connection->writing_since_ms = uv_now(&connection->loop->uv);
    connection->write_pace = (struct pace){connection->writing_since_ms, connection->taken};
    if (uv_write(&pending->write, (uv_stream_t *)&connection->tcp, &rest, 1, on_written) == 0) {
        return true;
    }
    connection->writing = NULL;
    buf_fini(&pending->data);
    mem_free(pending);
    return drop(connection);
}

static void on_written(uv_write_t *write, int status)
{
    struct pending_write *pending = (struct pending_write *)(void *)write;
    struct connection *connection = write->data;
    buf_fini(&pending->data);
    mem_free(pending);
    connection->writing = NULL;
    connection->writing_len = 0;
    if (connection->closed) {
        return;
    }
    if (connection->state == CONNECTION_IDLE) {
        connection->since_ms = uv_now(&connection->loop->uv); /* the peer was busy until now */
    }
    if (status != 0) {
        connection_close(connection);
    } else {
        connection_dirty(connection);
    }
}

/* ---- ending ---- */

void connection_finish(struct connection *connection)
{
    ASSERT_OWNER(&connection->loop->owner);
    connection->state = CONNECTION_CLOSING;
    connection->since_ms = uv_now(&connection->loop->uv);
    connection->close_after_send = true;
    crowd_body_release(connection);
    connection_dirty(connection);
}

/* Everything was sent. The memory of the request is not needed any more. */
static void linger(struct connection *connection)
{
    if (connection->lingering) {
        return;
    }
    uv_shutdown_t *shut = mem_zalloc(1, sizeof(*shut));
    connection->lingering = true;
    connection->since_ms = uv_now(&connection->loop->uv);
    slim(connection);
    if (connection->tls != NULL && !connection->peer_gone) {
        struct buf *last = tls_farewell(connection);
        uv_buf_t data = uv_buf_init((char *)last->ptr, (unsigned)last->len);
        (void)uv_try_write((uv_stream_t *)&connection->tcp, &data, 1); /* a courtesy */
        buf_clear(last);
    }
    if (connection->peer_gone || uv_shutdown(shut, (uv_stream_t *)&connection->tcp, on_shut) != 0) {
        mem_free(shut);
        connection_close(connection);
        return;
    }
    connection_read_start(connection);
}

static void on_shut(uv_shutdown_t *shut, int status)
{
    (void)status; /* the peer has gone: reading says so too */
    mem_free(shut);
}

void connection_close(struct connection *connection)
{
    ASSERT_OWNER(&connection->loop->owner);
    if (connection->closed) {
        return;
    }
    connection->closed = true;
    connection->reading = false;
    connection->peer_gone = true;
    crowd_body_release(connection);
    crowd_count_unsent(connection);
    uv_close((uv_handle_t *)&connection->tcp, on_closed);
    buf_fini(&connection->out);
    if (connection->writing != NULL) {
        buf_fini(&connection->writing->data); /* libuv does not look at it any more */
    }
    if (connection->ws != NULL) {
        ws_gone(connection->ws);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;
    connection->handle_gone = true;
    connection->loop->touched = true;
    if (connection->state != CONNECTION_BUSY) {
        connection_free(connection);
    }
}

void connection_free(struct connection *connection)
{
    ASSERT_OWNER(&connection->loop->owner);
    struct loop *loop = connection->loop;
    if (connection->dirty) {
        connection_undirty(connection);
    }
    if (connection->next != NULL) {
        connection->next->previous = connection->previous;
    }
    if (connection->previous != NULL) {
        connection->previous->next = connection->next;
    } else {
        loop->connections = connection->next;
    }
    crowd_leave(connection);
    figure_add(&loop->connections_now, UINT64_MAX); /* one less */
    ws_free(connection->ws);
    tls_end(connection->tls);
    exchange_free(connection->exchange);
    buf_fini(&connection->out);
    mem_free(connection);
}

/* ---- once a second ---- */

/* Gives back memory that a connection without a message does not need. */
static void slim(struct connection *connection)
{
    exchange_free(connection->exchange);
    connection->exchange = NULL;
    if (connection->out.len == 0) {
        buf_fini(&connection->out);
    }
    tls_slim(connection->tls);
}

/* Bytes that the kernel keeps for the peer. It asks for more by the megabyte only, so without them
 * a steady reader would seem to take nothing for a long time. */
static size_t kernel_queue(const struct connection *connection)
{
    uv_os_fd_t fd;
    int queued = 0;
    bool known = uv_fileno((const uv_handle_t *)&connection->tcp, &fd) == 0 &&
                 ioctl(fd, SIOCOUTQ, &queued) == 0;
    return known && queued > 0 ? (size_t)queued : 0;
}

size_t connection_taken(const struct connection *connection)
{
    size_t left = uv_stream_get_write_queue_size((const uv_stream_t *)&connection->tcp) +
                  kernel_queue(connection);
    return left < connection->given ? connection->given - left : 0;
}

/* Is it slower than it may be, in the span that ends now? A new span begins with the answer. */
static bool is_too_slow(struct pace *pace, uint64_t done, uint64_t now_ms, uint32_t span_ms)
{
    uint64_t waited_ms = now_ms - pace->since_ms;
    if (waited_ms < span_ms) {
        return false;
    }
    bool slow = done - pace->done < waited_ms * LEAST_RATE / 1000;
    *pace = (struct pace){now_ms, done};
    return slow;
}

/* Does the peer leave its answers lying? Whoever takes a few bytes now and then does, too. */
static bool is_slow_reader(struct connection *connection, uint64_t now_ms)
{
    if (!connection->writing) {
        return false;
    }
    connection->taken = connection_taken(connection);
    return is_too_slow(&connection->write_pace, connection->taken, now_ms,
                       connection->loop->limits.idle_timeout_ms);
}

static void sweep_body(struct connection *connection, uint64_t now_ms)
{
    uint32_t span_ms = connection->loop->limits.body_timeout_ms;
    bool slow = is_too_slow(&connection->body_pace, http_body_so_far(connection), now_ms, span_ms);
    bool many = crowd_bodies_are_many(connection->loop);
    if (slow || (many && now_ms - connection->since_ms >= span_ms)) {
        http_refuse(connection, 408);
    }
}

void connection_sweep(struct connection *connection, uint64_t now_ms)
{
    ASSERT_OWNER(&connection->loop->owner);
    struct loop *loop = connection->loop;
    const struct http_limits *limits = &loop->limits;
    if (connection->closed) {
        return;
    }
    if (is_slow_reader(connection, now_ms)) {
        figure_add(&loop->slow_closed, 1);
        connection_close(connection);
        return;
    }
    uint64_t waited_ms = connection->writing ? 0 : now_ms - connection->since_ms;
    uint32_t linger_ms = loop->draining ? DRAIN_LINGER_MS : LINGER_MS;
    switch (connection->state) {
    case CONNECTION_HANDSHAKE:
        if (waited_ms >= limits->head_timeout_ms) {
            connection_close(connection);
        }
        break;
    case CONNECTION_IDLE:
        if (waited_ms >= limits->idle_timeout_ms) {
            connection_close(connection);
        } else if (waited_ms >= LINGER_MS && !http_is_answered(connection)) {
            slim(connection);
        }
        break;
    case CONNECTION_HEAD:
        if (waited_ms >= limits->head_timeout_ms) {
            http_refuse(connection, 408);
        }
        break;
    case CONNECTION_BODY:
        sweep_body(connection, now_ms);
        break;
    case CONNECTION_BUSY:
        break;
    case CONNECTION_WS:
        ws_sweep(connection->ws, now_ms);
        break;
    case CONNECTION_CLOSING:
        if (waited_ms >= (connection->lingering ? linger_ms : limits->idle_timeout_ms)) {
            connection_close(connection);
        }
        break;
    }
}
