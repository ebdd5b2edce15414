/* Query: items of one partition in the order of their sort keys, a page at a time. Limit and the
 * 1 MB of a page count what was read, before the filter.
 * Amazon DynamoDB API Reference, API_Query. */
#include "op/page.h"

static bool query_access(const struct op_call *call, op_access_visit *visit, void *arg);
static enum err query_check(struct op_call *call);
static enum err query_run(struct op_call *call, struct reader *reader, struct changes *changes);
static enum err query_range(struct op_call *call, struct reader *reader,
                            const struct expressions *expressions, const struct table *table,
                            struct reader_range *range);
static enum err key_range_of(struct op_call *call, const struct key_range *key,
                             struct reader_range *range);
static enum err start_after(struct op_call *call, const struct table *table,
                            const struct key_range *key, struct reader_range *range);
static bool range_holds(const struct reader_range *range, struct bytes sort);

/* ScanIndexForward is true unless it says otherwise: `forward` is what the wire gave. */
struct query_wire {
    struct query_in in; /* first: callers in the process know only this */
    bool forward;
    bool has_forward;
};

static enum err query_settle(struct op_call *call, struct decode *decode);

/* `in` is first in the wire's struct, so its offsets are good in both. */
static const struct field query_in_fields[] = {
    {NAME("Limit"), .type = FIELD_INTEGER, .flags = FIELD_NO_ECHO, .stage = 0, .min = 1,
     AT(query_in, limit), GIVEN(query_in, has_limit)},
    MEMBER_TABLE(query_in, 1),
    MEMBER_CAPACITY(query_in, 1),
    {NAME("Select"), .type = FIELD_ENUM, .stage = 2, .set = &set_select, AT(query_in, select)},
    MEMBER_EXPRESSION("ProjectionExpression", query_in, projection),
    MEMBER_EXPRESSION("FilterExpression", query_in, filter),
    MEMBER_EXPRESSION("KeyConditionExpression", query_in, key_condition),
    MEMBER_NAMES(query_in),
    MEMBER_VALUES(query_in),
    {NAME("ExclusiveStartKey"), .type = FIELD_ITEM, .flags = FIELD_START, AT(query_in, start_key)},
    {NAME("ScanIndexForward"), .type = FIELD_BOOL, AT(query_wire, forward),
     GIVEN(query_wire, has_forward)},
    {NAME("ConsistentRead"), .type = FIELD_BOOL, AT(query_in, consistent_read)},
    MEMBER_INDEX(query_in),
    MEMBER_UNBUILT("AttributesToGet"),
    MEMBER_UNBUILT("QueryFilter"),
    MEMBER_UNBUILT("ConditionalOperator"),
    MEMBER_UNBUILT("KeyConditions"),
    {.type = FIELD_END},
};

static const char *const query_old_order[] = {"Select", "ReturnConsumedCapacity", "TableName",
                                              "Limit", NULL};

const struct op op_query = {
    .name = "Query",
    .api = OP_API_DYNAMODB,
    .in_size = sizeof(struct query_wire),
    .out_size = sizeof(struct query_out),
    .in_fields = query_in_fields,
    .out_fields = query_out_fields,
    .old_order = query_old_order,
    .settle = query_settle,
    .access = query_access,
    .check = query_check,
    .run = query_run,
};

static bool query_access(const struct op_call *call, op_access_visit *visit, void *arg)
{
    const struct query_in *in = call->in;
    const struct op_access access = {
        .action = "Query",
        .table = in->table_name,
        .texts = {.filter = in->filter,
                  .projection = in->projection,
                  .key_condition = in->key_condition},
        .tokens = &in->tokens,
        .reads = true,
        .select = in->select,
        .capacity = in->capacity,
    };
    return visit(arg, &access);
}

static enum err query_settle(struct op_call *call, struct decode *decode)
{
    struct query_wire *wire = call->in;
    TRY(decode_tell_violations(decode, 1));
    TRY(decode_tell_mixing(decode));
    TRY(decode_tell_violations(decode, UINT32_MAX));
    TRY(decode_tell_values(decode));
    wire->in.backward = wire->has_forward && !wire->forward;
    return OK;
}

static enum err query_check(struct op_call *call)
{
    const struct query_in *in = call->in;
    TRY(page_check_select(call, in->select, in->projection.ptr != NULL));
    TRY(page_check_index(call, in->select, in->index_name));
    if (in->key_condition.ptr == NULL) {
        return fault(call, FAULT_VALIDATION,
                     "Either the KeyConditions or KeyConditionExpression parameter must be "
                     "specified in the request.");
    }
    return OK;
}

static enum err query_run(struct op_call *call, struct reader *reader, struct changes *changes)
{
    const struct query_in *in = call->in;
    const struct expression_texts texts = {
        .filter = in->filter, .projection = in->projection, .key_condition = in->key_condition};
    struct expressions expressions;
    struct reader_range range;
    struct page page = {.call = call,
                        .reader = reader,
                        .expressions = &expressions,
                        .select = in->select,
                        .has_limit = in->has_limit,
                        .limit = in->limit,
                        .filter_bytes = in->filter.len};
    (void)changes;
    TRY(expressions_open(call, reader, &texts, &in->tokens, &expressions));
    TRY(lookup_table(call, reader, in->table_name, &page.table));
    TRY(lookup_index(call, in->index_name));
    TRY(query_range(call, reader, &expressions, page.table, &range));
    TRY(expressions_check_schema(call, &expressions, &page.table->schema));
    TRY(page_open(&page));
    enum err err = reader_scan(reader, page.table, &range, page_visit, &page);
    return page_close(&page, err, in->capacity, in->consistent_read);
}

static enum err query_range(struct op_call *call, struct reader *reader,
                            const struct expressions *expressions, const struct table *table,
                            struct reader_range *range)
{
    const struct query_in *in = call->in;
    struct expr_fault refused;
    struct key_range key;
    enum err err = expr_key_range(expressions->key_condition, &expressions->binding, &table->schema,
                                  reader->arena, &key, &refused);
    if (err != OK) {
        return err == ERR_FAULT ? fault_expr(call, &refused) : err;
    }
    TRY(key_range_of(call, &key, range));
    range->backward = in->backward;
    range->cached_bytes_max = CACHED_BYTES_MAX;
    return in->start_key.ptr == NULL ? OK : start_after(call, table, &key, range);
}

/* A prefix is the range from it up to the first text that is past all that begin with it. */
static enum err key_range_of(struct op_call *call, const struct key_range *key,
                             struct reader_range *range)
{
    *range = (struct reader_range){
        .partition = key->partition,
        .hash = key->hash,
        .low = key->low,
        .high = key->high,
        .has_low = key->has_low,
        .has_high = key->has_high,
        .low_inclusive = key->low_inclusive,
        .high_inclusive = key->high_inclusive,
    };
    struct bytes prefix = key->prefix;
    if (prefix.len == 0) {
        return OK;
    }
    range->low = prefix;
    range->has_low = true;
    range->low_inclusive = true;
    while (prefix.len > 0 && prefix.ptr[prefix.len - 1] == 0xff) {
        prefix.len--;
    }
    if (prefix.len == 0) {
        return OK;
    }
    uint8_t *high = arena_alloc(call->arena, prefix.len);
    if (high == NULL) {
        return ERR_NOMEM;
    }
    memcpy(high, prefix.ptr, prefix.len);
    high[prefix.len - 1]++;
    range->high = bytes_of(high, prefix.len);
    range->has_high = true;
    range->high_inclusive = false;
    return OK;
}

static enum err start_after(struct op_call *call, const struct table *table,
                            const struct key_range *key, struct reader_range *range)
{
    const struct query_in *in = call->in;
    struct key start;
    struct bytes partition;
    struct bytes sort;
    TRY(page_start_key(call, table, in->start_key, &start));
    TRY(key_split(start.bytes, &partition, &sort));
    bool bounded = range->has_low || range->has_high;
    if (!range_holds(range, sort)) {
        return fault(call, FAULT_VALIDATION,
                     "The provided starting key does not match the range key predicate");
    }
    if (!bytes_equal(partition, key->partition)) {
        return fault(call, FAULT_VALIDATION, "%s",
                     bounded ? "The query can return at most one row and cannot be restarted"
                     : !key_schema_has_sort(&table->schema)
                         ? "The provided exclusive start key is invalid"
                         : "The provided starting key is outside query boundaries based on "
                           "provided conditions");
    }
    range->after = sort;
    range->has_after = true;
    return OK;
}

static bool range_holds(const struct reader_range *range, struct bytes sort)
{
    if (range->has_low) {
        int order = bytes_compare(sort, range->low);
        if (order < 0 || (order == 0 && !range->low_inclusive)) {
            return false;
        }
    }
    if (range->has_high) {
        int order = bytes_compare(sort, range->high);
        if (order > 0 || (order == 0 && !range->high_inclusive)) {
            return false;
        }
    }
    return true;
}
