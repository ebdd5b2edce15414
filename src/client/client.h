/* One call interface to "a DynamoDB": the store in this process, or (later) one over HTTP. Triggers
 * and chat speak only this. A client belongs to one loop; calls are op_calls, completed on that
 * loop. */
#ifndef HW_CLIENT_CLIENT_H
#define HW_CLIENT_CLIENT_H

#include "op/op.h"

struct client {
    void (*start)(struct client *client, struct op_call *call);
    struct lane *lane; /* of the local one */
};

/* The store in this process. */
void client_init_local(struct client *client, struct lane *lane);

/* op, arena, in and done must be set; the rest is the call's. done may run before this returns. */
static inline void client_start(struct client *client, struct op_call *call)
{
    client->start(client, call);
}

#endif
