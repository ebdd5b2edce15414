/* Whether a managed key's policy allows what a call does. On the loop's thread. */
#ifndef HW_SERVER_AUTHORISE_H
#define HW_SERVER_AUTHORISE_H

#include "server/managed.h"
#include "server/server.h"

/* False: the fault is DynamoDB's AccessDeniedException, in the call's arena. */
bool authorise_call(struct loop_state *state, const struct managed_key *key,
                    const struct op_call *call, struct fault *fault);
/* The same for an action of our own, on an ARN. */
bool authorise_action(struct loop_state *state, const struct managed_key *key, struct arena *arena,
                      const char *action, struct bytes resource, struct fault *fault);

#endif
