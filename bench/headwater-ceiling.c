/* headwater-ceiling: the fastest answer there can be, so that a driver's own cost, the kernel's and
 * our network layer's share of a server's figures are known. Run headwater-bench against it as
 * against any server. It answers every POST with 200, GetItem with a value of --size bytes, all
 * else with {}. Three faces:
 *   raw     one epoll, looks at nothing but where a request ends
 *   net     src/net's loop
 *   signed  the same, and every signature is checked (access key id "bench", secret "bench") */
#include "net/http.h"
#include "net/sigv4.h"

#include "base/hash.h"
#include "base/mem.h"
#include "sys/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_MAX 256
#define READ_BYTES 16384u
#define REQUEST_BYTES_MAX (1u << 20)
#define VALUE_BYTES_MAX 400000u

struct answer {
    struct buf headers; /* ours, without Content-Length */
    struct buf body;
    struct buf whole; /* raw face */
};

struct answers {
    struct answer empty;
    struct answer item;
    struct answer active; /* DescribeTable */
};

struct connection {
    int fd;
    struct buf in;
};

struct face {
    struct answers answers;
    struct sigv4_context *signatures; /* NULL: not checked */
};

static void build_answer(struct answer *answer, const char *before, size_t fill, const char *after);
static const struct answer *pick_answer(const struct answers *answers, struct bytes target);
static int run_raw(const struct answers *answers, uint16_t port);
static int run_net(struct face *face, uint16_t port);
static void on_request(void *arg, struct http_request *request);
static void on_turn_end(void *arg, struct loop *loop);
static bool is_signed(struct face *face, const struct http_request *request);
static bool lookup(void *arg, struct bytes key_id, struct bytes *secret);
static void announce(uint16_t port);
static bool open_listener(uint16_t port, int *fd, uint16_t *bound);
static void accept_all(int epoll, int listener);
static bool serve(struct connection *connection, const struct answers *answers);
static size_t request_len(struct bytes in);

int main(int argc, char **argv)
{
    static const struct option table[] = {{"port", required_argument, NULL, 'p'},
                                          {"size", required_argument, NULL, 's'},
                                          {"face", required_argument, NULL, 'f'},
                                          {0}};
    unsigned long port = 0;
    unsigned long size = 1024;
    const char *name = "raw";
    for (int got = getopt_long(argc, argv, "", table, NULL); got != -1;
         got = getopt_long(argc, argv, "", table, NULL)) {
        if (got == 'f') {
            name = optarg;
        } else if (got == 'p' || got == 's') {
            *(got == 'p' ? &port : &size) = strtoul(optarg, NULL, 10);
        } else {
            name = "";
        }
    }
    struct face face = {0};
    build_answer(&face.answers.empty, "{}", 0, "");
    build_answer(&face.answers.item, "{\"Item\":{\"pk\":{\"S\":\"0000000000\"},\"v\":{\"S\":\"",
                 size < VALUE_BYTES_MAX ? size : VALUE_BYTES_MAX, "\"}}}");
    build_answer(&face.answers.active, "{\"Table\":{\"TableStatus\":\"ACTIVE\"}}", 0, "");
    if (strcmp(name, "raw") == 0) {
        return run_raw(&face.answers, (uint16_t)port);
    }
    if (strcmp(name, "signed") == 0) {
        face.signatures = sigv4_context_new();
    } else if (strcmp(name, "net") != 0) {
        fprintf(stderr, "Usage: headwater-ceiling [--port PORT] [--size BYTES] "
                        "[--face raw|net|signed]\n");
        return 2;
    }
    return run_net(&face, (uint16_t)port);
}

static void build_answer(struct answer *answer, const char *before, size_t fill, const char *after)
{
    buf_init(&answer->headers, REQUEST_BYTES_MAX);
    buf_init(&answer->body, REQUEST_BYTES_MAX);
    buf_init(&answer->whole, REQUEST_BYTES_MAX);
    buf_add_cstr(&answer->body, before);
    for (size_t i = 0; i < fill; i++) {
        buf_add_byte(&answer->body, 'v');
    }
    buf_add_cstr(&answer->body, after);
    buf_printf(&answer->headers,
               "Content-Type: application/x-amz-json-1.0\r\n"
               "x-amzn-RequestId: 0000000000000000000000000000000000000000000000000000\r\n"
               "x-amz-crc32: %u\r\n",
               hash_crc32(buf_bytes(&answer->body)));
    buf_printf(&answer->whole, "HTTP/1.1 200 OK\r\n%.*sContent-Length: %zu\r\n\r\n",
               BYTES_FMT(buf_bytes(&answer->headers)), answer->body.len);
    buf_add(&answer->whole, buf_bytes(&answer->body));
}

static const struct answer *pick_answer(const struct answers *answers, struct bytes target)
{
    if (memmem(target.ptr, target.len, ".GetItem", 8) != NULL) {
        return &answers->item;
    }
    bool is_describe = memmem(target.ptr, target.len, ".DescribeTable", 14) != NULL;
    return is_describe ? &answers->active : &answers->empty;
}

static void announce(uint16_t port)
{
    printf("listening url=http://127.0.0.1:%u\n", port);
    fflush(stdout);
}

/* ---- our network layer ---- */

static int run_net(struct face *face, uint16_t port)
{
    const struct http_service service = {
        .arg = face, .request = on_request, .turn_end = on_turn_end};
    const struct http_limits limits = {.body_max = REQUEST_BYTES_MAX,
                                       .other_body_max = REQUEST_BYTES_MAX,
                                       .connections_max = 20000,
                                       .peer_connections_max = 20000,
                                       .head_timeout_ms = 10000,
                                       .body_timeout_ms = 10000,
                                       .idle_timeout_ms = 60000,
                                       .unauthenticated_bytes_max = 64u << 20,
                                       .unsent_bytes_max = 256u << 20};
    char why[256];
    struct loop *loop;
    uint16_t bound;
    if (loop_open(&service, &limits, &loop) != OK) {
        fprintf(stderr, "headwater-ceiling: no loop\n");
        return 1;
    }
    if (loop_listen(loop, "127.0.0.1", port, &bound, why, sizeof(why)) != OK) {
        fprintf(stderr, "headwater-ceiling: cannot listen: %s\n", why);
        return 1;
    }
    announce(bound);
    loop_run(loop);
    loop_close(loop);
    return 0;
}

static void on_request(void *arg, struct http_request *request)
{
    struct face *face = arg;
    struct bytes target = http_header_get(request, BYTES("x-amz-target"), NULL);
    const struct answer *answer = pick_answer(&face->answers, target);
    if (face->signatures != NULL && !is_signed(face, request)) {
        http_respond(request, 403, BYTES_NONE, BYTES("{\"__type\":\"InvalidSignature\"}"));
        return;
    }
    http_respond(request, 200, buf_bytes(&answer->headers), buf_bytes(&answer->body));
}

static void on_turn_end(void *arg, struct loop *loop)
{
    (void)arg;
    (void)loop;
}

static bool is_signed(struct face *face, const struct http_request *request)
{
    const struct sigv4_policy policy = {
        .lookup = lookup, .service = BYTES("dynamodb"), .now_ms = clock_wall_ms()};
    struct sigv4_result result;
    sigv4_check(face->signatures, &policy, request, &result);
    return result.refusal == SIGV4_OK;
}

static bool lookup(void *arg, struct bytes key_id, struct bytes *secret)
{
    (void)arg;
    *secret = BYTES("bench");
    return bytes_equal(key_id, *secret);
}

/* ---- raw ---- */

static int run_raw(const struct answers *answers, uint16_t port)
{
    int listener;
    uint16_t bound;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll < 0 || !open_listener(port, &listener, &bound) ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) != 0) {
        fprintf(stderr, "headwater-ceiling: cannot listen: %s\n", strerror(errno));
        return 1;
    }
    announce(bound);
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        int count = epoll_wait(epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            struct connection *connection = events[i].data.ptr;
            if (connection == NULL) {
                accept_all(epoll, listener);
            } else if (!serve(connection, answers)) {
                close(connection->fd);
                buf_fini(&connection->in);
                mem_free(connection);
            }
        }
    }
}

static bool open_listener(uint16_t port, int *fd, uint16_t *bound)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int on = 1;
    *fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0 || setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(*fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(*fd, 1024) != 0 ||
        getsockname(*fd, (struct sockaddr *)&address, &len) != 0) {
        return false;
    }
    *bound = ntohs(address.sin_port);
    return true;
}

static void accept_all(int epoll, int listener)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        int on = 1;
        struct connection *connection = mem_zalloc(1, sizeof(*connection));
        struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = connection};
        connection->fd = fd;
        buf_init(&connection->in, REQUEST_BYTES_MAX);
        if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
            epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
            close(fd);
            mem_free(connection);
        }
    }
}

/* False when the connection is over. An answer that the socket does not take whole ends it too: one
 * request at a time never fills it. */
static bool serve(struct connection *connection, const struct answers *answers)
{
    struct buf *in = &connection->in;
    for (;;) {
        uint8_t *room = buf_room(in, READ_BYTES);
        ssize_t got = room == NULL ? 0 : recv(connection->fd, room, READ_BYTES, 0);
        if (got <= 0) {
            return got < 0 && errno == EAGAIN;
        }
        in->len += (size_t)got;
        size_t len = request_len(buf_bytes(in));
        if (len > 0 && len == in->len) {
            const struct answer *answer =
                pick_answer(answers, bytes_of(in->ptr, len < 512 ? len : 512));
            in->len = 0;
            return send(connection->fd, answer->whole.ptr, answer->whole.len, MSG_NOSIGNAL) ==
                   (ssize_t)answer->whole.len;
        }
        if (len > 0 && len < in->len) {
            return false;
        }
    }
}

/* Of the first request, head and body; 0 while its head is incomplete. */
static size_t request_len(struct bytes in)
{
    static const char name[] = "Content-Length: ";
    const uint8_t *end = memmem(in.ptr, in.len, "\r\n\r\n", 4);
    if (end == NULL) {
        return 0;
    }
    size_t head = (size_t)(end - in.ptr) + 4;
    const uint8_t *length = memmem(in.ptr, head, name, sizeof(name) - 1);
    return head + (length == NULL ? 0 : strtoul((const char *)length + sizeof(name) - 1, NULL, 10));
}
