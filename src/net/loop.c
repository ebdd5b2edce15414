/* Loops: one thread, one libuv loop, its connections. The order of a turn is kept by libuv's
 * phases: sockets are read in the poll phase, the mailbox is run and the service's turn_end called
 * in the check phase after it (and in the prepare phase when timers did something), then every
 * connection with bytes to send is flushed once. So whatever was begun has been handed on before
 * the loop sleeps (net I6). */
#include "net/net_priv.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/note.h"

#include <stdio.h>
#include <unistd.h>

#define SWEEP_MS 1000u
#define DRAIN_SWEEP_MS 10u /* so that the deadline is seen in time */
#define BACKLOG 1024

static void on_wake(uv_async_t *async);
static void on_prepare(uv_prepare_t *prepare);
static void on_check(uv_check_t *check);
static void on_sweep(uv_timer_t *timer);
static void on_connection(uv_stream_t *listener, int status);
static void turn(struct loop *loop);
static void wake(void *arg);
static void on_timer_closed(uv_handle_t *handle);
static void begin_drain(struct loop *loop, uint32_t grace_ms);
static void end_if_drained(struct loop *loop);

enum err loop_open(const struct http_service *service, const struct http_limits *limits,
                   struct loop **out)
{
    struct loop *loop = mem_zalloc(1, sizeof(*loop));
    loop->service = *service;
    loop->limits = *limits;
    atomic_init(&loop->stop_grace_ms, UINT32_MAX);
    if (uv_loop_init(&loop->uv) != 0) {
        mem_free(loop);
        return ERR_NOMEM;
    }
    mailbox_init(&loop->mailbox, wake, loop);
    loop->uv.data = loop;
    loop->async.data = loop;
    loop->prepare.data = loop;
    loop->check.data = loop;
    loop->sweep.data = loop;
    loop->listener.data = loop;
    int failed = uv_async_init(&loop->uv, &loop->async, on_wake);
    failed |=
        uv_prepare_init(&loop->uv, &loop->prepare) | uv_prepare_start(&loop->prepare, on_prepare);
    failed |= uv_check_init(&loop->uv, &loop->check) | uv_check_start(&loop->check, on_check);
    failed |= uv_timer_init(&loop->uv, &loop->sweep) |
              uv_timer_start(&loop->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
    if (failed != 0) {
        loop_close(loop);
        return ERR_NOMEM;
    }
    *out = loop;
    return OK;
}

enum err loop_listen(struct loop *loop, const char *host, uint16_t port, uint16_t *bound, char *why,
                     size_t room)
{
    struct sockaddr_storage address;
    struct sockaddr_storage given;
    int len = sizeof(given);
    bool named = strcmp(host, "localhost") == 0;
    const char *literal = named ? "127.0.0.1" : host;
    if (uv_ip4_addr(literal, port, (struct sockaddr_in *)&address) != 0 &&
        uv_ip6_addr(literal, port, (struct sockaddr_in6 *)&address) != 0) {
        snprintf(why, room, "%s is not an IP address", host);
        return ERR_INVALID;
    }
    int failed = uv_tcp_init(&loop->uv, &loop->listener);
    if (failed == 0) {
        failed = uv_tcp_bind(&loop->listener, (const struct sockaddr *)&address, 0);
    }
    if (failed == 0) {
        failed = uv_listen((uv_stream_t *)&loop->listener, BACKLOG, on_connection);
    }
    if (failed == 0) {
        failed = uv_tcp_getsockname(&loop->listener, (struct sockaddr *)&given, &len);
    }
    if (failed != 0) {
        const char *words = strerrordesc_np(-failed); /* the system's own number, on Linux */
        snprintf(why, room, "%s", words != NULL ? words : uv_strerror(failed));
        return failed == UV_EADDRINUSE ? ERR_BUSY : ERR_IO;
    }
    *bound = ntohs(given.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&given)->sin6_port
                                               : ((struct sockaddr_in *)&given)->sin_port);
    loop->listening = true;
    return OK;
}

enum err loop_listen_shared(struct loop *loop, const struct loop *first)
{
    uv_os_fd_t fd;
    if (uv_fileno((const uv_handle_t *)&first->listener, &fd) != 0) {
        return ERR_IO;
    }
    int copy = dup(fd);
    if (copy < 0) {
        return ERR_IO;
    }
    if (uv_tcp_init(&loop->uv, &loop->listener) != 0 || uv_tcp_open(&loop->listener, copy) != 0) {
        close(copy);
        return ERR_IO;
    }
    if (uv_listen((uv_stream_t *)&loop->listener, BACKLOG, on_connection) != 0) {
        return ERR_IO; /* the handle owns the copy */
    }
    loop->listening = true;
    return OK;
}

void loop_run(struct loop *loop)
{
    while (!loop->ended && uv_run(&loop->uv, UV_RUN_ONCE) != 0) {
    }
}

void loop_stop(struct loop *loop, uint32_t grace_ms)
{
    atomic_store_explicit(&loop->stop_grace_ms, grace_ms, memory_order_release);
    uv_async_send(&loop->async);
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    struct loop *loop = arg;
    bool own = handle->type != UV_TIMER || handle == (uv_handle_t *)&loop->sweep;
    if (!uv_is_closing(handle)) {
        uv_close(handle, own ? NULL : on_timer_closed);
    }
}

void loop_close(struct loop *loop)
{
    if (loop == NULL) {
        return;
    }
    owner_leave(&loop->owner);       /* its thread was joined */
    uv_prepare_stop(&loop->prepare); /* the service has gone: no more turns */
    uv_check_stop(&loop->check);
    for (struct connection *connection = loop->connections; connection != NULL;
         connection = connection->next) {
        connection_close(connection);
    }
    uv_run(&loop->uv, UV_RUN_NOWAIT);
    uv_walk(&loop->uv, close_handle, loop);
    while (uv_run(&loop->uv, UV_RUN_NOWAIT) != 0) {
    }
    ASSERT(loop->connections == NULL); /* each request was ended before */
    int failed = uv_loop_close(&loop->uv);
    ASSERT(failed == 0);
    tls_close(loop->tls);
    mem_free(loop);
}

struct mailbox *loop_mailbox(struct loop *loop)
{
    return &loop->mailbox;
}

void loop_use_tls(struct loop *loop, struct tls *tls)
{
    tls_prepare();
    tls_close(loop->tls);
    loop->tls = tls;
}

void loop_set_user(struct loop *loop, void *user)
{
    loop->user = user;
}

void *loop_user(const struct loop *loop)
{
    return loop->user;
}

void loop_figures(const struct loop *loop, struct loop_figures *out)
{
#define READ(figure) atomic_load_explicit(&loop->figure, memory_order_relaxed)
    *out = (struct loop_figures){
        .connections = READ(connections_now),
        .connections_total = READ(connections_total),
        .requests = READ(requests),
        .bytes_in = READ(bytes_in),
        .bytes_out = READ(bytes_out),
        .refused = READ(refused),
        .ws_open = READ(ws_open),
        .turns = READ(turns),
        .tls_handshakes = READ(tls_handshakes),
        .tls_failed = READ(tls_failed),
        .connections_refused = READ(connections_refused),
        .slow_closed = READ(slow_closed),
        .unsent = READ(unsent),
    };
#undef READ
}

/* ---- turns ---- */

static void wake(void *arg)
{
    struct loop *loop = arg;
    uv_async_send(&loop->async);
}

static void on_wake(uv_async_t *async)
{
    struct loop *loop = async->data;
    loop->touched = true;
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct loop *loop = prepare->data;
    if (loop->touched) {
        turn(loop);
    }
}

static void on_check(uv_check_t *check)
{
    struct loop *loop = check->data;
    turn(loop);
    uint32_t grace_ms = atomic_load_explicit(&loop->stop_grace_ms, memory_order_acquire);
    if (grace_ms != UINT32_MAX && !loop->draining) {
        begin_drain(loop, grace_ms); /* what was answered in this turn has left */
    }
    if (loop->draining) {
        end_if_drained(loop);
    }
}

/* Messages, turn_end, then one flush; again when the flush gave the service requests that had
 * waited behind answered ones. */
static void turn(struct loop *loop)
{
    ASSERT_OWNER(&loop->owner);
    do {
        figure_add(&loop->turns, 1);
        mailbox_run(&loop->mailbox);
        loop->service.turn_end(loop->service.arg, loop);
        loop->touched = false;
        while (loop->dirty != NULL) {
            struct connection *connection = loop->dirty;
            connection_undirty(connection);
            connection_flush(connection);
        }
    } while (loop->touched);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct loop *loop = listener->data;
    uint64_t now_ms = uv_now(&loop->uv);
    loop->touched = true;
    if (status == 0) {
        connection_accept(loop);
    } else if (now_ms - loop->accept_noted_ms >= SWEEP_MS) {
        loop->accept_noted_ms = now_ms; /* out of descriptors: it will go on for a while */
        NOTE(NOTE_WARN, "accept", NOTE_S("error", uv_strerror(status)));
    }
}

static void on_sweep(uv_timer_t *timer)
{
    struct loop *loop = timer->data;
    uint64_t now_ms = uv_now(&loop->uv);
    loop->touched = true;
    for (struct connection *connection = loop->connections; connection != NULL;
         connection = connection->next) {
        connection_sweep(connection, now_ms); /* closes, but never frees */
    }
}

/* ---- stopping ---- */

static void begin_drain(struct loop *loop, uint32_t grace_ms)
{
    loop->draining = true;
    loop->drain_until_ms = uv_now(&loop->uv) + grace_ms;
    if (loop->listening) {
        uv_close((uv_handle_t *)&loop->listener, NULL);
        loop->listening = false;
    }
    for (struct connection *connection = loop->connections; connection != NULL;
         connection = connection->next) {
        if (connection->state == CONNECTION_IDLE || connection->state == CONNECTION_HEAD) {
            connection_finish(connection); /* sends what is still queued */
        } else if (connection->state == CONNECTION_WS) {
            ws_close(connection->ws, 4001, BYTES("restart"));
        } else if (connection->state == CONNECTION_HANDSHAKE) {
            connection_close(connection);
        }
    }
    turn(loop);
    uv_timer_start(&loop->sweep, on_sweep, DRAIN_SWEEP_MS, DRAIN_SWEEP_MS);
}

static void end_if_drained(struct loop *loop)
{
    bool late = uv_now(&loop->uv) >= loop->drain_until_ms;
    bool left = false;
    for (struct connection *connection = loop->connections; connection != NULL;
         connection = connection->next) {
        if (late) {
            connection_close(connection);
        }
        left |= !connection->handle_gone;
    }
    loop->ended = !left;
}

/* ---- timers ---- */

static void on_timer(uv_timer_t *handle)
{
    struct loop_timer *timer = handle->data;
    struct loop *loop = handle->loop->data;
    loop->touched = true;
    timer->run(timer);
}

static void on_timer_closed(uv_handle_t *handle)
{
    mem_free(handle);
}

enum err loop_timer_start(struct loop *loop, struct loop_timer *timer, uint32_t ms)
{
    ASSERT_OWNER(&loop->owner);
    uv_timer_t *handle = timer->handle;
    if (handle == NULL) {
        handle = mem_zalloc(1, sizeof(*handle));
        if (uv_timer_init(&loop->uv, handle) != 0) {
            mem_free(handle);
            return ERR_NOMEM;
        }
        handle->data = timer;
        timer->handle = handle;
    }
    return uv_timer_start(handle, on_timer, ms, 0) == 0 ? OK : ERR_NOMEM;
}

void loop_timer_stop(struct loop *loop, struct loop_timer *timer)
{
    ASSERT_OWNER(&loop->owner);
    if (timer->handle != NULL) {
        uv_close(timer->handle, on_timer_closed);
        timer->handle = NULL;
    }
}
