/* The running server: what its threads share, and what each loop has of its own. */
#ifndef HW_SERVER_SERVER_H
#define HW_SERVER_SERVER_H

#include "base/deflate.h"
#include "base/ending.h"
#include "base/json.h"
#include "chat/chat.h"
#include "client/client.h"
#include "net/http.h"
#include "net/sigv4.h"
#include "op/op.h"
#include "server/config.h"
#include "server/key_calls.h"
#include "server/keys.h"
#include "table/table.h"

#include <stdatomic.h>

#define SERVER_OPS_MAX 64u
#define REQUEST_ID_LEN 52u
#define SERVER_BUCKETS 24u /* of request time: powers of two of microseconds */

struct server;

/* Written by the loop, read by whoever serves /metrics: relaxed is enough, each is a sum of its
 * own. */
struct op_figures {
    _Atomic uint64_t requests;
    _Atomic uint64_t faults;
    _Atomic uint64_t errors;
    _Atomic uint64_t time_ns;
    _Atomic uint64_t buckets[SERVER_BUCKETS];
};

/* Owned by its loop's thread. */
struct loop_state {
    struct server *server;
    struct loop *loop;
    struct thread thread;
    struct lane lane;
    struct client client;
    struct chat_loop *chat;
    struct json_parser *parser;
    struct sigv4_context *signatures;
    struct managed_set *managed; /* keys, as this loop knows them; shared, immutable */
    struct managed_set *retired; /* the set before that one, until all loops have the new one */
    struct deflate *deflate;
    struct buf unpacked; /* a request's body */
    struct buf packed;   /* an answer's */
    struct buf answer;
    struct buf head;
    uint64_t request_seed; /* of request ids */
    uint8_t request_id[REQUEST_ID_LEN];
    struct op_figures ops[SERVER_OPS_MAX];
    _Atomic uint64_t refused_signatures;
};

/* Immutable while loops run, but for draining and changes. */
struct server {
    struct config config;
    struct keys keys;
    struct key_changes changes;
    struct store *store;
    struct chat *chat;
    struct loop_state *loops;
    unsigned loop_count;
    struct bytes region;
    bool region_fixed; /* --region was given: signatures must name it */
    bool unsigned_calls;
    struct tls *tls; /* NULL: plain HTTP. Of the main thread: loops have shares of their own */
    _Atomic uint64_t tls_ends_s;
    uint16_t port;
    char host[64];
    uint64_t started_ns;
    struct store_report report;
    _Atomic bool draining;
};

/* The service that every loop gives its requests to; arg is its loop_state. */
void dispatch_service(struct loop_state *state, struct http_service *service);
/* Chooses where a loop's request ids begin. */
void dispatch_request_ids(struct loop_state *state);
/* Answers of the AWS face: a fault, and what is in state->answer. */
void dispatch_fault(struct loop_state *state, struct http_request *request,
                    const struct fault *fault);
void dispatch_answer(struct loop_state *state, struct http_request *request, unsigned status);
/* Reads --tls-cert and --tls-key, if given; false: what is wrong with them goes to why. */
bool certificate_open(struct server *server, char *why, size_t room);
/* Before the loop runs. */
void certificate_use(struct server *server, struct loop *loop);
/* Reads them again, for all loops; keeps the old ones when they cannot be read. */
void certificate_renew(struct server *server);
/* The text of /metrics. */
void metrics_write(struct server *server, struct buf *out);

/* Subcommands; each returns an exit_status (base/ending.h). */
int command_serve(int argc, char **argv);
int command_tail(int argc, char **argv);
int command_table(int argc, char **argv);
int command_item(int argc, char **argv);
int command_key(int argc, char **argv);
int command_log(int argc, char **argv);
/* log verify --online, and what follows. */
int command_scrub(int argc, char **argv);
int command_doctor(int argc, char **argv);
int command_describe_operations(int argc, char **argv);

#endif
