/* headwater-ceiling: the fastest answer there can be. One thread answers every POST with the same
 * 200, looking at nothing but where a request ends, so that a driver's own cost and the kernel's
 * share of a server's figures are known: run headwater-bench against it as against any server.
 * GetItem is answered with a value of --size bytes, everything else with {}. */
#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"

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

struct connection {
    int fd;
    struct buf in;
};

struct answers {
    struct buf empty;
    struct buf item;
    struct buf active; /* DescribeTable */
};

static bool open_listener(uint16_t port, int *fd, uint16_t *bound);
static void build_answer(struct buf *out, const char *before, size_t fill, const char *after);
static void accept_all(int epoll, int listener);
static bool serve(struct connection *connection, const struct answers *answers);
static size_t request_len(struct bytes in);

int main(int argc, char **argv)
{
    static const struct option table[] = {
        {"port", required_argument, NULL, 'p'}, {"size", required_argument, NULL, 's'}, {0}};
    unsigned long port = 0;
    unsigned long size = 1024;
    for (int got = getopt_long(argc, argv, "", table, NULL); got != -1;
         got = getopt_long(argc, argv, "", table, NULL)) {
        if (got != 'p' && got != 's') {
            fprintf(stderr, "Usage: headwater-ceiling [--port PORT] [--size BYTES]\n");
            return 2;
        }
        *(got == 'p' ? &port : &size) = strtoul(optarg, NULL, 10);
    }
    struct answers answers;
    build_answer(&answers.empty, "{}", 0, "");
    build_answer(&answers.item, "{\"Item\":{\"pk\":{\"S\":\"0000000000\"},\"v\":{\"S\":\"",
                 size < 400000 ? size : 400000, "\"}}}");
    build_answer(&answers.active, "{\"Table\":{\"TableStatus\":\"ACTIVE\"}}", 0, "");
    int listener;
    uint16_t bound;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0 || !open_listener((uint16_t)port, &listener, &bound)) {
        fprintf(stderr, "headwater-ceiling: cannot listen: %s\n", strerror(errno));
        return 1;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) != 0) {
        return 1;
    }
    printf("listening url=http://127.0.0.1:%u\n", bound);
    fflush(stdout);
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        int count = epoll_wait(epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            struct connection *connection = events[i].data.ptr;
            if (connection == NULL) {
                accept_all(epoll, listener);
            } else if (!serve(connection, &answers)) {
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

static void build_answer(struct buf *out, const char *before, size_t fill, const char *after)
{
    struct buf body;
    buf_init(&body, REQUEST_BYTES_MAX);
    buf_init(out, REQUEST_BYTES_MAX);
    buf_add_cstr(&body, before);
    for (size_t i = 0; i < fill; i++) {
        buf_add_byte(&body, 'v');
    }
    buf_add_cstr(&body, after);
    buf_printf(out,
               "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\n"
               "x-amzn-RequestId: 0000000000000000000000000000000000000000000000000000\r\n"
               "x-amz-crc32: %u\r\nContent-Length: %zu\r\n\r\n",
               hash_crc32(buf_bytes(&body)), body.len);
    buf_add(out, buf_bytes(&body));
    buf_fini(&body);
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
            size_t head = len < 512 ? len : 512;
            bool is_get = memmem(in->ptr, head, ".GetItem", 8) != NULL;
            bool is_describe = memmem(in->ptr, head, ".DescribeTable", 14) != NULL;
            const struct buf *answer = is_get        ? &answers->item
                                       : is_describe ? &answers->active
                                                     : &answers->empty;
            in->len = 0;
            return send(connection->fd, answer->ptr, answer->len, MSG_NOSIGNAL) ==
                   (ssize_t)answer->len;
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
