/* UpdateItem: changes attributes of one item, or makes it.
 * Amazon DynamoDB API Reference, API_UpdateItem. */
#include "op/op_priv.h"

static bool update_item_access(const struct op_call *call, op_access_visit *visit, void *arg);
static enum err update_item_run(struct op_call *call, struct reader *reader,
                                struct changes *changes);
static void update_return(const struct update_item_in *in, struct bytes old_item,
                          const struct expr_update_result *result, struct update_item_out *out);

/* A bad name is told alone, then only the first bad enum. */
static const struct field update_item_in_fields[] = {
    {NAME("TableName"), .type = FIELD_STRING, .flags = FIELD_REQUIRED, .stage = 1,
     .form = FORM_TABLE_NAME_PATTERN, AT(update_item_in, table_name)},
    {NAME("ReturnValues"), .type = FIELD_ENUM, .stage = 2, .set = &set_return_values,
     AT(update_item_in, return_values)},
    {NAME("ReturnValuesOnConditionCheckFailure"), .type = FIELD_ENUM, .flags = FIELD_BARE,
     .stage = 3, .set = &set_on_condition_failure, AT(update_item_in, on_condition_failure)},
    MEMBER_METRICS(update_item_in, 4),
    {NAME("ReturnConsumedCapacity"), .type = FIELD_ENUM, .flags = FIELD_BARE, .stage = 5,
     .set = &set_capacity, AT(update_item_in, capacity)},
    {NAME("Key"), .type = FIELD_ITEM, .flags = FIELD_REQUIRED, .stage = 6, AT(update_item_in, key)},
    MEMBER_EXPRESSION("UpdateExpression", update_item_in, update),
    MEMBER_EXPRESSION("ConditionExpression", update_item_in, condition),
    MEMBER_NAMES(update_item_in),
    MEMBER_VALUES(update_item_in),
    MEMBER_UNBUILT("AttributeUpdates"),
    MEMBER_UNBUILT("Expected"),
    MEMBER_UNBUILT("ConditionalOperator"),
    {.type = FIELD_END},
};

static const char *const update_item_old_order[] = {
    "ReturnConsumedCapacity",
    "TableName",
    "ReturnValues",
    "ReturnValuesOnConditionCheckFailure",
    "ReturnItemCollectionMetrics",
    "Key",
    NULL,
};

static const struct field update_item_out_fields[] = {
    {NAME("Attributes"), .type = FIELD_ITEM, AT(update_item_out, attributes),
     GIVEN(update_item_out, has_attributes)},
    MEMBER_OUT_CAPACITY(update_item_out),
    {.type = FIELD_END},
};

const struct op op_update_item = {
    .name = "UpdateItem",
    .api = OP_API_DYNAMODB,
    .writes = true,
    .envelopes = true,
    .in_size = sizeof(struct update_item_in),
    .out_size = sizeof(struct update_item_out),
    .commit_offset = offsetof(struct update_item_out, commit),
    .in_fields = update_item_in_fields,
    .out_fields = update_item_out_fields,
    .old_order = update_item_old_order,
    .access = update_item_access,
    .run = update_item_run,
};

static bool update_item_access(const struct op_call *call, op_access_visit *visit, void *arg)
{
    const struct update_item_in *in = call->in;
    const struct op_access access = {
        .action = "UpdateItem",
        .table = in->table_name,
        .items = &in->key,
        .item_count = 1,
        .texts = {.condition = in->condition, .update = in->update},
        .tokens = &in->tokens,
        .return_values = in->return_values,
        .on_condition_failure = in->on_condition_failure,
        .capacity = in->capacity,
    };
    return visit(arg, &access);
}

static enum err update_item_run(struct op_call *call, struct reader *reader,
                                struct changes *changes)
{
    const struct update_item_in *in = call->in;
    struct update_item_out *out = call->out;
    const struct expression_texts texts = {.condition = in->condition, .update = in->update};
    struct expressions expressions;
    const struct table *table;
    struct key key;
    struct bytes old_item;
    struct expr_update_result result = {0};
    struct expr_fault refused;
    TRY(expressions_open(call, reader, &texts, &in->tokens, &expressions));
    TRY(lookup_table(call, reader, in->table_name, &table));
    TRY(expressions_check_schema(call, &expressions, &table->schema));
    TRY(lookup_key(call, table, in->key, &key));
    if (expressions.update != NULL &&
        expr_update_charge(expressions.update, &expressions.binding) > ITEM_SIZE_MAX) {
        return fault(call, FAULT_VALIDATION, "%s", TEXT_UPDATE_TOO_BIG);
    }
    TRY(lookup_item(reader, table, &key, &old_item));
    TRY(expressions_require(call, reader, &expressions, old_item, in->on_condition_failure));
    enum err err =
        expressions_update(reader, &expressions, table, old_item, &key, &result, &refused);
    if (err != OK) {
        return err == ERR_FAULT ? fault_expr(call, &refused) : err;
    }
    TRY(change_item(reader, changes, table, &key, old_item, result.item, ORIGIN_USER));
    update_return(in, old_item, &result, out);
    if (in->capacity != CAPACITY_NONE) {
        return capacity_set(call, &out->capacity, in->capacity, table,
                            capacity_write(item_size(old_item), item_size(result.item)));
    }
    return OK;
}

static void update_return(const struct update_item_in *in, struct bytes old_item,
                          const struct expr_update_result *result, struct update_item_out *out)
{
    switch (in->return_values) {
    case RETURN_NONE:
        return;
    case RETURN_ALL_OLD:
        out->attributes = old_item;
        break;
    case RETURN_UPDATED_OLD:
        out->attributes = result->updated_old;
        break;
    case RETURN_ALL_NEW:
        out->attributes = result->item;
        break;
    case RETURN_UPDATED_NEW:
        out->attributes = result->updated_new;
        break;
    }
    out->has_attributes = out->attributes.len > 0;
}
