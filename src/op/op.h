/* Operations: what an API call reads, checks, does and answers. One file each; a descriptor binds
 * its parts, and everything derived (dispatch, metrics, the client's other direction,
 * documentation) reads the descriptor.
 *
 * A call is a task of the table layer with an input and an output struct (shapes.h). The same call
 * serves the wire (decode, start, encode) and callers in the process (fill the input struct, start,
 * read the output struct). What holds for all of them: op I3 to I5. */
#ifndef HW_OP_OP_H
#define HW_OP_OP_H

#include "base/buf.h"
#include "base/json.h"
#include "op/shapes.h"
#include "table/table.h"

enum fault_code {
#define FAULT(name, wire, status, prefix, text) name,
#include "op/fault.def"
#undef FAULT
};

/* One per action of a cancelled transaction; code "None" has no message. */
struct cancellation {
    const char *code; /* static: None, ConditionalCheckFailed, ValidationError, ... */
    struct bytes message;
    struct bytes item; /* ReturnValuesOnConditionCheckFailure; empty: none */
};

/* What the caller is told when the request is refused: expected, exact in wording. */
struct fault {
    enum fault_code code;
    struct bytes message; /* in the call's arena or static */
    struct bytes item;    /* ConditionalCheckFailed with ALL_OLD */
    const struct cancellation *reasons;
    size_t reason_count;
};
const char *fault_wire_name(enum fault_code code);
unsigned fault_status(enum fault_code code);

struct op_call;
struct decode;

/* How a member of an input or output struct is named, typed, bounded and placed: see field.h. */
struct field;

/* The expressions of a request, or of one of its entries; empty: not given. */
struct expression_texts {
    struct bytes condition;
    struct bytes filter;
    struct bytes update;
    struct bytes projection;
    struct bytes key_condition;
};

/* One thing that a call does, as policies see it: an entry of a batch or a transaction is one of
 * its own. All borrowed from the call. */
struct op_access {
    const char *action;        /* "PutItem" */
    const char *enclosing;     /* the transaction's name, of an entry; else NULL */
    struct bytes table;        /* its name or ARN; empty: no table is named */
    struct bytes stream;       /* the ARN of a stream; empty: none is named */
    bool streams;              /* it is about streams, if none is named about those of the table */
    const struct bytes *items; /* Key and Item members, each an item */
    size_t item_count;
    struct expression_texts texts;
    const struct expression_tokens *tokens; /* NULL: there are none */
    bool reads;                             /* items, of which select says what is given */
    enum query_select select;
    enum return_values return_values; /* of a write */
    enum return_values on_condition_failure;
    enum return_capacity capacity;
};
/* Returns false to see no more. */
typedef bool op_access_visit(void *arg, const struct op_access *access);

enum op_api { OP_API_DYNAMODB, OP_API_STREAMS };

struct op {
    const char *name; /* the wire's: "PutItem" */
    enum op_api api;
    bool writes;
    bool envelopes;  /* faults of values and expressions wear DynamoDB's envelope */
    bool old_values; /* decodes values as DynamoDB's older layer: its texts name the :key */
    bool sets_first; /* refused sets are told before other refused values */
    bool names_host; /* its answer names the host of the request */
    size_t in_size;
    size_t out_size;
    size_t commit_offset; /* of a uint64_t in the output that takes the commit number; 0: none */
    const struct field *in_fields;
    const struct field *out_fields;
    /* The order in which constraints are told, all joined and in their older words, when a required
     * member is absent or a number had to be brought into range; wire names, NULL-ended. NULL: the
     * order of the table, as ever. */
    const char *const *old_order;
    /* The end of decoding, where the operation tells faults in an order of its own or turns the
     * wire's shape into the input's. NULL: constraints, then values. */
    enum err (*settle)(struct op_call *call, struct decode *decode);
    /* Visits what the call does; false where visit said so. NULL: one access, to the table, stream
     * or resource that its members name. */
    bool (*access)(const struct op_call *call, op_access_visit *visit, void *arg);
    /* Checks that need neither store nor expressions, in DynamoDB's order, and what must be chosen
     * once per call (evaluation is repeatable). ERR_FAULT with the call's fault set. May be NULL.
     */
    enum err (*check)(struct op_call *call);
    /* The meaning; see task.evaluate. Sets call->out or the fault. */
    enum err (*run)(struct op_call *call, struct reader *reader, struct changes *changes);
    /* Takes over where a run has succeeded, on the lane's thread, for an operation that makes calls
     * of its own; in the end it calls done, once. NULL: done is called. */
    void (*after)(struct op_call *call);
    /* Appends the answer's JSON when out_fields do not suffice; NULL: out_fields say all, and where
     * there is none the answer has no body, not even "{}". */
    void (*encode)(const struct op_call *call, struct buf *out);
};

/* All operations, in ops.def's order. */
extern const struct op *const op_list[];
extern const size_t op_list_count;
/* The target is the X-Amz-Target header, "DynamoDB_20120810.PutItem"; NULL: unknown. */
const struct op *op_find(struct bytes target);
/* Why the operation is not here, if it is one of DynamoDB's (op/absent.def); ptr NULL: it is none,
 * or it is here. */
struct bytes op_absent(struct bytes target, struct arena *arena);
/* Its place in op_list. */
size_t op_index(const struct op *op);

struct op_call {
    struct task task; /* first: a task pointer is a call pointer */
    const struct op *op;
    struct arena *arena; /* of the request */
    struct bytes host;   /* of an op that names it; empty: the request has none */
    bool old_layer;      /* decoded as DynamoDB's older layer does, so told in its words */
    void *in;            /* in_size bytes */
    void *out;           /* out_size bytes, zeroed by op_start */
    struct fault fault;  /* code FAULT_NONE: it succeeded */
    void (*done)(struct op_call *call); /* on the lane's thread, once */
    void *user;
};

/* Decodes a request's JSON into a fresh input struct (types and constraints by the field tables,
 * DynamoDB's words and order). ERR_FAULT: call->fault is set. ERR_NOMEM. op and arena must be set.
 */
MUST_USE enum err op_decode(struct op_call *call, struct json root);
/* Visits every access of a decoded call. False: visit did not want to see them all, or there was no
 * memory. */
bool op_accesses(const struct op_call *call, op_access_visit *visit, void *arg);
/* Runs the call: op, arena, in and done must be set. Errors of the world become FAULT_INTERNAL,
 * throttles FAULT_THROUGHPUT_EXCEEDED or, for a full disk, FAULT_DISK_FULL or FAULT_LOG_FULL. done
 * may be called before it returns. */
void op_start(struct lane *lane, struct op_call *call);
/* The answer's JSON and HTTP status, of a success or a fault. */
unsigned op_encode(const struct op_call *call, struct buf *out);
/* {"__type":...,"message":...} of a fault outside any call. */
unsigned fault_encode(const struct fault *fault, struct buf *out);

/* Sets the fault with a formatted message in the arena and returns ERR_FAULT. */
MUST_USE enum err fault(struct op_call *call, enum fault_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* All field tables as JSON, for the generator of wrong requests. */
void op_describe_json(struct buf *out);

/* The descriptors that callers in the process use. */
extern const struct op op_put_item, op_get_item, op_update_item, op_delete_item, op_query,
    op_transact_write_items;

#endif
