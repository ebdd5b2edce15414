/* Plain sockets; only numeric addresses, since a load never crosses a resolver. */
#include "lib/peer.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define CALL_TIMEOUT_S 30
#define READ_BYTES 16384u

enum err peer_parse(const char *url, struct peer *peer)
{
    static const char scheme[] = "http://";
    char host[64];
    if (strncmp(url, scheme, sizeof(scheme) - 1) != 0) {
        return ERR_INVALID;
    }
    const char *from = url + sizeof(scheme) - 1;
    const char *colon = strchr(from, ':');
    if (colon == NULL || (size_t)(colon - from) >= sizeof(host)) {
        return ERR_INVALID;
    }
    memcpy(host, from, (size_t)(colon - from));
    host[colon - from] = 0;
    char *end;
    long port = strtol(colon + 1, &end, 10);
    if (port < 1 || port > 65535 || (*end != 0 && strcmp(end, "/") != 0)) {
        return ERR_INVALID;
    }
    *peer = (struct peer){.address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)}};
    const char *digits = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    if (inet_pton(AF_INET, digits, &peer->address.sin_addr) != 1) {
        return ERR_INVALID;
    }
    snprintf(peer->host, sizeof(peer->host), "%s:%ld", host, port);
    return OK;
}

enum err peer_connect(const struct peer *peer, int *fd)
{
    struct timeval limit = {.tv_sec = CALL_TIMEOUT_S};
    int on = 1;
    int made = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (made < 0) {
        return ERR_IO;
    }
    if (setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
        setsockopt(made, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0 ||
        setsockopt(made, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) != 0 ||
        connect(made, (const struct sockaddr *)&peer->address, sizeof(peer->address)) != 0) {
        close(made);
        return ERR_IO;
    }
    *fd = made;
    return OK;
}

enum err peer_call(const struct peer *peer, struct bytes request, struct buf *in,
                   struct response *response)
{
    int fd;
    TRY(peer_connect(peer, &fd));
    enum err err = ERR_IO;
    while (request.len > 0) {
        ssize_t sent = send(fd, request.ptr, request.len, MSG_NOSIGNAL);
        if (sent <= 0) {
            goto out;
        }
        request = bytes_of(request.ptr + sent, request.len - (size_t)sent);
    }
    buf_clear(in);
    for (enum response_state state = RESPONSE_PART; state == RESPONSE_PART;) {
        uint8_t *room = buf_room(in, READ_BYTES);
        ssize_t got = room == NULL ? -1 : recv(fd, room, READ_BYTES, 0);
        if (got <= 0) {
            goto out;
        }
        in->len += (size_t)got;
        state = response_read(buf_bytes(in), response);
        err = state == RESPONSE_BAD ? ERR_INVALID : state == RESPONSE_WHOLE ? OK : err;
    }
out:
    close(fd);
    return err;
}
