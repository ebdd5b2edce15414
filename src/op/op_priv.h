/* What the operations share: texts, and the few steps that several of them take. Private to op. */
#ifndef HW_OP_OP_PRIV_H
#define HW_OP_OP_PRIV_H

#include "expr/expr.h"
#include "op/field.h"

#define ENVELOPE_ONE "1 validation error detected: "
#define INVALID_VALUES "One or more parameter values were invalid: "
#define TEXT_START_OF_STRUCTURE "Start of structure or map found where not expected"

#define TEXT_ITEM_TOO_BIG "Item size has exceeded the maximum allowed size"
#define TEXT_UPDATE_TOO_BIG "Item size to update has exceeded the maximum allowed size"

#define TEXT_TRANSACT_TOO_BIG                                                                      \
    "The aggregate size of the items in the transaction cannot exceed 4 MB"
#define TEXT_TRANSACT_DUPLICATE "Transaction request cannot include multiple operations on one item"
#define TEXT_BATCH_DUPLICATE "Provided list of item keys contains duplicates"

#define TEXT_START_KEY "The provided starting key is invalid"

#define ENUM_STRAY (-1)         /* an enum whose text is in no set, until constraints are told */
#define LIST_DECODED_MAX 128u   /* elements of a list past it are counted, not decoded */
#define DEPTH_ENVELOPED_MAX 62u /* nesting past it is told bare */
#define TABLE_NAME_MIN 3
#define TABLE_NAME_MAX 255
#define TABLE_ARN_MAX 1024
#define RESERVED_PREFIX "headwater."

/* ---- faults: fault.c ---- */

/* The text, with the envelope of a single fault if so told. */
MUST_USE enum err fault_text(struct op_call *call, enum fault_code code, bool enveloped,
                             struct bytes text);
MUST_USE enum err fault_expr(struct op_call *call, const struct expr_fault *refused);
/* Do this call's faults of values and expressions wear the envelope? */
bool fault_envelopes(const struct op_call *call);
/* A ValidationException that wears the envelope where the operation envelops. */
MUST_USE enum err fault_value(struct op_call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Expressions stand beside legacy parameters; both lists are names with ", " between them. */
MUST_USE enum err fault_mixing(struct op_call *call, const char *legacy, const char *expressions);

/* ---- members that many operations have: members.c ---- */

extern const struct enum_set set_return_values, set_return_values_old, set_on_condition_failure,
    set_capacity, set_metrics;
extern const struct shape shape_capacity;

/* PutItem gives back the old item or nothing. */
MUST_USE enum err check_return_values_old(struct op_call *call, enum return_values values);

/* Wire names, in the tables' own words. */
#define NAME(text) .name = BYTES_INIT(text)
#define MEMBER_TABLE(structure, at_stage)                                                          \
    {                                                                                              \
        NAME("TableName"), .type = FIELD_STRING, .flags = FIELD_REQUIRED, .stage = (at_stage),     \
                           .form = FORM_TABLE_NAME, AT(structure, table_name)                      \
    }
#define MEMBER_CAPACITY(structure, at_stage)                                                       \
    {                                                                                              \
        NAME("ReturnConsumedCapacity"), .type = FIELD_ENUM, .stage = (at_stage),                   \
                                        .set = &set_capacity, AT(structure, capacity)              \
    }
#define MEMBER_METRICS(structure, at_stage)                                                        \
    {                                                                                              \
        NAME("ReturnItemCollectionMetrics"), .type = FIELD_ENUM, .stage = (at_stage),              \
                                             .set = &set_metrics, AT(structure, metrics)           \
    }
#define MEMBER_ON_FAILURE(structure, at_stage)                                                     \
    {                                                                                              \
        NAME("ReturnValuesOnConditionCheckFailure"), .type = FIELD_ENUM, .stage = (at_stage),      \
                                                     .set = &set_on_condition_failure,             \
                                                     AT(structure, on_condition_failure)           \
    }
#define MEMBER_TEXT(text, structure, member)                                                       \
    {                                                                                              \
        NAME(text), .type = FIELD_STRING, AT(structure, member)                                    \
    }
#define MEMBER_EXPRESSION(text, structure, member)                                                 \
    {                                                                                              \
        NAME(text), .type = FIELD_STRING, .flags = FIELD_EXPRESSION, AT(structure, member)         \
    }
#define MEMBER_INDEX(structure)                                                                    \
    {                                                                                              \
        NAME("IndexName"), .type = FIELD_STRING, .stage = 1, .form = FORM_TABLE_NAME,              \
                           AT(structure, index_name)                                               \
    }
#define MEMBER_NAMES(structure)                                                                    \
    {                                                                                              \
        NAME("ExpressionAttributeNames"), .type = FIELD_NAMES, AT(structure, tokens.names),        \
                                          GIVEN(structure, tokens.has_names)                       \
    }
#define MEMBER_VALUES(structure)                                                                   \
    {                                                                                              \
        NAME("ExpressionAttributeValues"), .type = FIELD_ITEM, .flags = FIELD_VALUES,              \
                                           AT(structure, tokens.values),                           \
                                           GIVEN(structure, tokens.has_values)                     \
    }
#define MEMBER_UNBUILT(text)                                                                       \
    {                                                                                              \
        NAME(text), .type = FIELD_UNBUILT                                                          \
    }
#define MEMBER_OUT_CAPACITY(structure)                                                             \
    {                                                                                              \
        NAME("ConsumedCapacity"), .type = FIELD_STRUCT, .shape = &shape_capacity,                  \
                                  AT(structure, capacity), GIVEN(structure, capacity.given)        \
    }

/* ---- expressions of a request: expressions.c ---- */

/* Up to three expressions share names and values; checked in DynamoDB's order, before the table.
 * Programs are good until the evaluation ends. */
struct expressions {
    struct expr_binding binding;
    const struct expr *condition;
    const struct expr *filter;
    const struct expr *update;
    const struct expr *projection;
    const struct expr *key_condition;
};

MUST_USE enum err expressions_open(struct op_call *call, struct reader *reader,
                                   const struct expression_texts *texts,
                                   const struct expression_tokens *tokens, struct expressions *out);
/* What needs the schema: no update of a key attribute, no filter on one. After the table is found.
 */
MUST_USE enum err expressions_check_schema(struct op_call *call, struct expressions *expressions,
                                           const struct key_schema *schema);
/* Does the old item (empty: absent) meet the condition? If not, a ConditionalCheckFailed fault,
 * with the item if asked for. */
MUST_USE enum err expressions_require(struct op_call *call, struct reader *reader,
                                      const struct expressions *expressions, struct bytes old_item,
                                      enum return_values on_failure);

MUST_USE enum err expressions_project(struct op_call *call, struct reader *reader,
                                      const struct expressions *expressions, struct bytes item,
                                      struct bytes *projected);
/* The item after the update (none: only made, if absent), of at most 400 KB. ERR_FAULT with refused
 * set. */
MUST_USE enum err expressions_update(struct reader *reader, const struct expressions *expressions,
                                     const struct table *table, struct bytes old_item,
                                     const struct key *key, struct expr_update_result *result,
                                     struct expr_fault *refused);

/* ---- tables and keys: lookup.c ---- */

/* The table, or ResourceNotFoundException in the words of item calls. */
MUST_USE enum err lookup_table(struct op_call *call, struct reader *reader, struct bytes name,
                               const struct table **table);
/* No table has an index: a name of one is refused. */
MUST_USE enum err lookup_index(struct op_call *call, struct bytes name);
/* The key of a whole item, and of a Key member. */
MUST_USE enum err lookup_item_key(struct op_call *call, const struct table *table,
                                  struct bytes item, struct key *key);
MUST_USE enum err lookup_key(struct op_call *call, const struct table *table, struct bytes item,
                             struct key *key);
/* The fault for a refused key. exact: it came in a Key member. */
MUST_USE enum err fault_key(struct op_call *call, enum key_refusal refusal,
                            const struct key_fault *refused, bool exact);
/* The most that a read of many items looks at on a loop, which may not be held up. */
#define CACHED_BYTES_MAX (64u << 10)
/* The item now, empty when absent. */
MUST_USE enum err lookup_item(struct reader *reader, const struct table *table,
                              const struct key *key, struct bytes *item);
bool is_reserved_name(struct bytes name);

/* ---- how much an answer holds: answer.c ---- */

/* Answers of up to 100 items whose sizes are not bounded otherwise. */
#define ANSWER_JSON_BYTES_MAX (28u << 20)
/* The bytes of an item's JSON, or what they cannot be more than where 100 such items fit. */
size_t answer_item_bytes(struct bytes item);

/* ---- capacity: capacity.c ---- */

double capacity_read(size_t bytes, bool consistent);
double capacity_write(size_t old_bytes, size_t new_bytes);
/* Fills it; for requests that asked for it. */
MUST_USE enum err capacity_set(struct op_call *call, struct consumed_capacity *capacity,
                               enum return_capacity asked, const struct table *table, double units);
/* Adds to the table's entry in a list with room for it. */
MUST_USE enum err capacity_add(struct op_call *call, struct consumed_capacity *list, size_t *count,
                               enum return_capacity asked, const struct table *table,
                               struct capacity_units units);
/* Adds what another call of one table took. */
MUST_USE enum err capacity_merge(struct op_call *call, struct consumed_capacity *list,
                                 size_t *count, const struct consumed_capacity *one);

/* ---- cancelled transactions: cancel.c ---- */

/* One reason for each action, "None" until refused; made with the first refusal. */
struct cancellations {
    struct cancellation *reasons; /* NULL: none is refused */
    size_t count;                 /* of actions */
};
MUST_USE enum err cancel_action(struct op_call *call, struct cancellations *cancellations,
                                size_t index, struct cancellation reason);
/* The fault that tells all reasons; some action is refused. */
MUST_USE enum err cancel_fault(struct op_call *call, const struct cancellations *cancellations);

#endif
