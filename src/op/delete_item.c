/* DeleteItem: removes one item; an absent one stays absent.
 * Amazon DynamoDB API Reference, API_DeleteItem. */
#include "op/op_priv.h"

static bool delete_item_access(const struct op_call *call, op_access_visit *visit, void *arg);
static enum err delete_item_run(struct op_call *call, struct reader *reader,
                                struct changes *changes);

static const struct field delete_item_in_fields[] = {
    MEMBER_TABLE(delete_item_in, 1),
    MEMBER_CAPACITY(delete_item_in, 1),
    {NAME("ReturnValues"), .type = FIELD_ENUM, .stage = 1, .set = &set_return_values_old,
     AT(delete_item_in, return_values)},
    MEMBER_METRICS(delete_item_in, 1),
    MEMBER_ON_FAILURE(delete_item_in, 1),
    {NAME("Key"), .type = FIELD_ITEM, .flags = FIELD_REQUIRED, .stage = 1, AT(delete_item_in, key)},
    MEMBER_EXPRESSION("ConditionExpression", delete_item_in, condition),
    MEMBER_NAMES(delete_item_in),
    MEMBER_VALUES(delete_item_in),
    MEMBER_UNBUILT("Expected"),
    MEMBER_UNBUILT("ConditionalOperator"),
    {.type = FIELD_END},
};

static const struct field delete_item_out_fields[] = {
    {NAME("Attributes"), .type = FIELD_ITEM, AT(delete_item_out, attributes)},
    MEMBER_OUT_CAPACITY(delete_item_out),
    {.type = FIELD_END},
};

const struct op op_delete_item = {
    .name = "DeleteItem",
    .api = OP_API_DYNAMODB,
    .writes = true,
    .envelopes = true,
    .in_size = sizeof(struct delete_item_in),
    .out_size = sizeof(struct delete_item_out),
    .commit_offset = offsetof(struct delete_item_out, commit),
    .in_fields = delete_item_in_fields,
    .out_fields = delete_item_out_fields,
    .access = delete_item_access,
    .run = delete_item_run,
};

static bool delete_item_access(const struct op_call *call, op_access_visit *visit, void *arg)
{
    const struct delete_item_in *in = call->in;
    const struct op_access access = {
        .action = "DeleteItem",
        .table = in->table_name,
        .items = &in->key,
        .item_count = 1,
        .texts = {.condition = in->condition},
        .tokens = &in->tokens,
        .return_values = in->return_values,
        .on_condition_failure = in->on_condition_failure,
        .capacity = in->capacity,
    };
    return visit(arg, &access);
}

static enum err delete_item_run(struct op_call *call, struct reader *reader,
                                struct changes *changes)
{
    const struct delete_item_in *in = call->in;
    struct delete_item_out *out = call->out;
    const struct expression_texts texts = {.condition = in->condition};
    struct expressions expressions;
    const struct table *table;
    struct key key;
    struct bytes old_item;
    TRY(expressions_open(call, reader, &texts, &in->tokens, &expressions));
    TRY(lookup_table(call, reader, in->table_name, &table));
    TRY(lookup_key(call, table, in->key, &key));
    TRY(lookup_item(reader, table, &key, &old_item));
    TRY(expressions_require(call, reader, &expressions, old_item, in->on_condition_failure));
    if (old_item.len > 0) {
        TRY(change_item(reader, changes, table, &key, old_item, BYTES_NONE, ORIGIN_USER));
    }
    if (in->return_values == RETURN_ALL_OLD) {
        out->attributes = old_item;
    }
    if (in->capacity != CAPACITY_NONE) {
        return capacity_set(call, &out->capacity, in->capacity, table,
                            capacity_write(item_size(old_item), 0));
    }
    return OK;
}
