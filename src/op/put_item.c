/* PutItem: makes an item, or replaces one whole.
 * Amazon DynamoDB API Reference, API_PutItem.
 *
 * Hop 4 of the straight path: after op/decode.c, before table/commit.c. */
#include "op/op_priv.h"

static bool put_item_access(const struct op_call *call, op_access_visit *visit, void *arg);
static enum err put_item_check(struct op_call *call);
static enum err put_item_run(struct op_call *call, struct reader *reader, struct changes *changes);

static const struct field put_item_in_fields[] = {
    MEMBER_TABLE(put_item_in, 1),
    MEMBER_CAPACITY(put_item_in, 1),
    {NAME("ReturnValues"), .type = FIELD_ENUM, .stage = 1, .set = &set_return_values,
     AT(put_item_in, return_values)},
    MEMBER_METRICS(put_item_in, 1),
    MEMBER_ON_FAILURE(put_item_in, 1),
    {NAME("Item"), .type = FIELD_ITEM, .flags = FIELD_REQUIRED, .stage = 1, AT(put_item_in, item)},
    MEMBER_EXPRESSION("ConditionExpression", put_item_in, condition),
    MEMBER_NAMES(put_item_in),
    MEMBER_VALUES(put_item_in),
    MEMBER_UNBUILT("Expected"),
    MEMBER_UNBUILT("ConditionalOperator"),
    {.type = FIELD_END},
};

static const struct field put_item_out_fields[] = {
    {NAME("Attributes"), .type = FIELD_ITEM, AT(put_item_out, attributes)},
    MEMBER_OUT_CAPACITY(put_item_out),
    {.type = FIELD_END},
};

const struct op op_put_item = {
    .name = "PutItem",
    .api = OP_API_DYNAMODB,
    .writes = true,
    .envelopes = true,
    .in_size = sizeof(struct put_item_in),
    .out_size = sizeof(struct put_item_out),
    .commit_offset = offsetof(struct put_item_out, commit),
    .in_fields = put_item_in_fields,
    .out_fields = put_item_out_fields,
    .access = put_item_access,
    .check = put_item_check,
    .run = put_item_run,
};

static bool put_item_access(const struct op_call *call, op_access_visit *visit, void *arg)
{
    const struct put_item_in *in = call->in;
    const struct op_access access = {
        .action = "PutItem",
        .table = in->table_name,
        .items = &in->item,
        .item_count = 1,
        .texts = {.condition = in->condition},
        .tokens = &in->tokens,
        .return_values = in->return_values,
        .on_condition_failure = in->on_condition_failure,
        .capacity = in->capacity,
    };
    return visit(arg, &access);
}

static enum err put_item_check(struct op_call *call)
{
    const struct put_item_in *in = call->in;
    TRY(check_return_values_old(call, in->return_values));
    return item_size(in->item) > ITEM_SIZE_MAX
               ? fault(call, FAULT_VALIDATION, "%s", TEXT_ITEM_TOO_BIG)
               : OK;
}

static enum err put_item_run(struct op_call *call, struct reader *reader, struct changes *changes)
{
    const struct put_item_in *in = call->in;
    struct put_item_out *out = call->out;
    const struct expression_texts texts = {.condition = in->condition};
    struct expressions expressions;
    const struct table *table;
    struct key key;
    struct bytes old_item;
    TRY(expressions_open(call, reader, &texts, &in->tokens, &expressions));
    TRY(lookup_table(call, reader, in->table_name, &table));
    TRY(lookup_item_key(call, table, in->item, &key));
    TRY(lookup_item(reader, table, &key, &old_item));
    TRY(expressions_require(call, reader, &expressions, old_item, in->on_condition_failure));
    TRY(change_item(reader, changes, table, &key, old_item, in->item, ORIGIN_USER));
    if (in->return_values == RETURN_ALL_OLD) {
        out->attributes = old_item;
    }
    if (in->capacity != CAPACITY_NONE) {
        return capacity_set(call, &out->capacity, in->capacity, table,
                            capacity_write(item_size(old_item), item_size(in->item)));
    }
    return OK;
}
