/* The calls about the scrub, X-Amz-Target "Headwater_20261130.StartScrub" and DescribeScrub: both
 * answer how it is doing, at once. */
#ifndef HW_SERVER_SCRUB_CALLS_H
#define HW_SERVER_SCRUB_CALLS_H

#include "base/json.h"

struct http_request;
struct loop_state;
struct managed_key;
struct scrub_op;

/* NULL: no such call. */
const struct scrub_op *scrub_op_find(struct bytes target);
/* Answers the request. key: whose request it is; NULL: an owner's. */
void scrub_op_run(struct loop_state *state, const struct scrub_op *op,
                  const struct managed_key *key, struct http_request *request, struct json root);

#endif
