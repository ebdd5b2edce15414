/* The client whose DynamoDB is the store in this process: a call is started on the loop's own lane,
 * without JSON and without a signature. */
#include "client/client.h"

static void local_start(struct client *client, struct op_call *call);

void client_init_local(struct client *client, struct lane *lane)
{
    client->start = local_start;
    client->lane = lane;
}

static void local_start(struct client *client, struct op_call *call)
{
    op_start(client->lane, call);
}
