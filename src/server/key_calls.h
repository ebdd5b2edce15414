/* The calls about managed keys, X-Amz-Target "Headwater_20261130.CreateKey" and the like.
 *
 *   loop of the request ── message ──> first loop: one change after the other: a new set, saved by
 *   a read worker, then a notice to every loop ── the last one to take it ──> first loop: the old
 *   set is freed, the answer goes back
 *
 * So when a change is answered no loop knows the keys as they were (server I8). */
#ifndef HW_SERVER_KEY_CALLS_H
#define HW_SERVER_KEY_CALLS_H

#include "server/managed.h"
#include "sys/thread.h"

#include <stdatomic.h>

#define KEY_LOOPS_MAX 64u

struct http_request;
struct json;
struct key_call;
struct key_op;
struct loop_state;
struct server;

struct key_notice {
    struct message message; /* first */
    struct loop_state *state;
};

/* Owned by the first loop, but for what says otherwise. */
struct key_changes {
    struct owner owner;
    struct server *server;
    struct key_call *current;
    struct key_call *oldest; /* that wait */
    struct key_call *newest;
    struct managed_file file; /* while a change is saved the worker's */
    struct managed_set *fresh;
    struct managed_key *replaced;
    struct work work;
    enum err saved;
    char why[512];
    struct key_notice notices[KEY_LOOPS_MAX];
    struct message taken;
    _Atomic unsigned awaited; /* loops that have not taken the notice; the last one sends taken */
    _Atomic unsigned calls;   /* under way in all loops: none of them ends before they are none */
};

/* NULL: no such call. */
const struct key_op *key_op_find(struct bytes target);
/* Takes the request and answers it, now or later. key: whose request it is; NULL: an owner's. */
void key_op_start(struct loop_state *state, const struct key_op *op, const struct managed_key *key,
                  struct http_request *request, struct json root);
/* Must a loop that stops still run its messages? */
bool key_calls_pending(const struct server *server);

#endif
