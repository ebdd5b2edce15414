/* The server under load: its address, sockets to it, and single blocking calls for what happens
 * before a load (making the table). */
#ifndef HW_BENCH_PEER_H
#define HW_BENCH_PEER_H

#include "lib/response.h"

#include "base/buf.h"

#include <netinet/in.h>

struct peer {
    struct sockaddr_in address;
    char host[128]; /* "127.0.0.1:8000", as in the Host header */
};

/* From http://ADDRESS:PORT, ADDRESS in IPv4 digits or "localhost". ERR_INVALID. */
MUST_USE enum err peer_parse(const char *url, struct peer *peer);
/* A connected socket without Nagle's delay, or ERR_IO. */
MUST_USE enum err peer_connect(const struct peer *peer, int *fd);
/* One request on a connection of its own; waits at most 30 s. response points into in. */
MUST_USE enum err peer_call(const struct peer *peer, struct bytes request, struct buf *in,
                            struct response *response);

#endif
