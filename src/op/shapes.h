/* Inputs and outputs of the operations that callers in the process use too. Strings and items are
 * borrowed from the caller until done; outputs live in the call's arena. Zero is "not given"
 * everywhere. Items, keys, names and values are in the item encoding (item/item.h): names holds S
 * values under "#n", values holds values under ":v". */
#ifndef HW_OP_SHAPES_H
#define HW_OP_SHAPES_H

#include "item/item.h"

enum return_values {
    RETURN_NONE = 0,
    RETURN_ALL_OLD,
    RETURN_UPDATED_OLD,
    RETURN_ALL_NEW,
    RETURN_UPDATED_NEW
};
enum return_capacity { CAPACITY_NONE = 0, CAPACITY_TOTAL, CAPACITY_INDEXES };
enum return_metrics { METRICS_NONE = 0, METRICS_SIZE };
enum query_select {
    SELECT_DEFAULT = 0,
    SELECT_ALL_ATTRIBUTES,
    SELECT_ALL_PROJECTED,
    SELECT_SPECIFIC,
    SELECT_COUNT
};

/* ExpressionAttributeNames and ExpressionAttributeValues. */
struct expression_tokens {
    struct bytes names;
    struct bytes values;
    bool has_names;
    bool has_values;
};

/* Only transactions tell of what kind their units are: in the sum and in its parts. */
struct capacity_units {
    double units, read, write; /* 0: not told */
};

struct consumed_capacity {
    struct bytes table_name;
    struct capacity_units total;
    struct capacity_units table; /* INDEXES only */
    bool given;                  /* it was asked for */
    bool detailed;               /* INDEXES was */
};

struct put_item_in {
    struct bytes table_name;
    struct bytes item;
    struct bytes condition; /* ConditionExpression */
    struct expression_tokens tokens;
    enum return_values return_values; /* NONE or ALL_OLD */
    enum return_values on_condition_failure;
    enum return_capacity capacity;
    enum return_metrics metrics;
};
struct put_item_out {
    struct bytes attributes; /* empty: none */
    struct consumed_capacity capacity;
    uint64_t commit; /* 0: it changed nothing */
};

struct get_item_in {
    struct bytes table_name;
    struct bytes key;
    bool consistent_read;
    struct bytes projection;
    struct expression_tokens tokens;
    enum return_capacity capacity;
};
struct get_item_out {
    struct bytes item; /* empty: not found */
    bool found;
    struct consumed_capacity capacity;
};

struct update_item_in {
    struct bytes table_name;
    struct bytes key;
    struct bytes update; /* UpdateExpression */
    struct bytes condition;
    struct expression_tokens tokens;
    enum return_values return_values;
    enum return_values on_condition_failure;
    enum return_capacity capacity;
    enum return_metrics metrics;
};
struct update_item_out {
    struct bytes attributes;
    bool has_attributes;
    struct consumed_capacity capacity;
    uint64_t commit;
};

struct delete_item_in {
    struct bytes table_name;
    struct bytes key;
    struct bytes condition;
    struct expression_tokens tokens;
    enum return_values return_values;
    enum return_values on_condition_failure;
    enum return_capacity capacity;
    enum return_metrics metrics;
};
struct delete_item_out {
    struct bytes attributes;
    struct consumed_capacity capacity;
    uint64_t commit;
};

struct query_in {
    struct bytes table_name;
    struct bytes key_condition;
    struct bytes filter;
    struct bytes projection;
    struct expression_tokens tokens;
    bool backward; /* ScanIndexForward: false */
    bool consistent_read;
    bool has_limit;
    int32_t limit;
    struct bytes start_key;  /* ExclusiveStartKey; ptr NULL: none */
    struct bytes index_name; /* ptr NULL: none */
    enum query_select select;
    enum return_capacity capacity;
};
struct scan_in {
    struct bytes table_name;
    struct bytes filter;
    struct bytes projection;
    struct expression_tokens tokens;
    bool consistent_read;
    bool has_limit;
    bool has_segment;
    bool has_total;
    int32_t limit;
    int32_t segment;
    int32_t total_segments;
    struct bytes start_key;  /* ExclusiveStartKey; ptr NULL: none */
    struct bytes index_name; /* ptr NULL: none */
    enum query_select select;
    enum return_capacity capacity;
};
struct query_out { /* of Query and Scan */
    struct bytes *items;
    size_t count; /* of matching items; items is NULL for COUNT */
    size_t scanned_count;
    struct bytes last_key; /* LastEvaluatedKey; empty: the end */
    struct consumed_capacity capacity;
};

enum transact_kind { TRANSACT_PUT = 1, TRANSACT_UPDATE, TRANSACT_DELETE, TRANSACT_CHECK };
struct transact_action {
    enum transact_kind kind;
    enum return_values on_condition_failure;
    struct bytes table_name;
    struct bytes item; /* PUT: the item; else the key */
    struct bytes update;
    struct bytes condition;
    struct expression_tokens tokens;
    const struct bytes *deep_values; /* what is said of values nested too deep, else NULL */
    const struct bytes *deep_item;
};
struct transact_write_in {
    struct transact_action *actions;
    size_t count;
    struct bytes token; /* ClientRequestToken */
    enum return_capacity capacity;
    enum return_metrics metrics;
};
struct transact_write_out {
    struct consumed_capacity *capacities; /* one per table */
    size_t capacity_count;
    uint64_t commit;
};

#endif
