/* Signed calls over connections that are kept. */
#ifndef HW_LEDGER_WIRE_H
#define HW_LEDGER_WIRE_H

#include "lib/peer.h"
#include "lib/sign.h"

struct wire {
    struct peer peer;
    struct signer signer;
    struct signer wrong_signer; /* the right key id, another secret */
    struct buf request;
};

struct link {
    int fd;
    bool closes; /* the server said so with its last answer */
    struct buf in;
};

enum link_state {
    LINK_PART,
    LINK_WHOLE, /* response is there, borrowed from link->in until the next call */
    LINK_LOST   /* closed, reset, or not HTTP */
};

/* Texts are borrowed. */
void wire_init(struct wire *wire, const char *key_id, const char *secret, const char *region);
void wire_fini(struct wire *wire);
/* A link is fd -1 and an empty buffer before it is opened. */
void link_init(struct link *link);
MUST_USE enum err link_open(struct link *link, const struct wire *wire);
void link_close(struct link *link);
/* Sends one request; ERR_IO: the connection is lost. */
MUST_USE enum err link_send(struct link *link, struct wire *wire, const char *target,
                            struct bytes body, bool wrong_signature);
/* Takes what the socket has, without waiting. */
enum link_state link_receive(struct link *link, struct response *response);
/* Sends, and waits for the answer at most 30 s. Opens the link where it is not open. ERR_IO,
 * ERR_INVALID. */
MUST_USE enum err link_call(struct link *link, struct wire *wire, const char *target,
                            struct bytes body, struct response *response);

#endif
