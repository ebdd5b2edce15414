/* GetItem: reads one item by its key. Every read here is consistent; ConsistentRead only changes
 * what it is said to cost.
 * Amazon DynamoDB API Reference, API_GetItem. */
#include "op/op_priv.h"

static bool get_item_access(const struct op_call *call, op_access_visit *visit, void *arg);
static enum err get_item_run(struct op_call *call, struct reader *reader, struct changes *changes);

static const struct field get_item_in_fields[] = {
    MEMBER_TABLE(get_item_in, 1),
    MEMBER_CAPACITY(get_item_in, 1),
    {NAME("Key"), .type = FIELD_ITEM, .flags = FIELD_REQUIRED, .stage = 1, AT(get_item_in, key)},
    {NAME("ConsistentRead"), .type = FIELD_BOOL, AT(get_item_in, consistent_read)},
    MEMBER_EXPRESSION("ProjectionExpression", get_item_in, projection),
    MEMBER_NAMES(get_item_in),
    MEMBER_UNBUILT("AttributesToGet"),
    {.type = FIELD_END},
};

static const struct field get_item_out_fields[] = {
    {NAME("Item"), .type = FIELD_ITEM, AT(get_item_out, item), GIVEN(get_item_out, found)},
    MEMBER_OUT_CAPACITY(get_item_out),
    {.type = FIELD_END},
};

const struct op op_get_item = {
    .name = "GetItem",
    .api = OP_API_DYNAMODB,
    .in_size = sizeof(struct get_item_in),
    .out_size = sizeof(struct get_item_out),
    .in_fields = get_item_in_fields,
    .out_fields = get_item_out_fields,
    .access = get_item_access,
    .run = get_item_run,
};

static bool get_item_access(const struct op_call *call, op_access_visit *visit, void *arg)
{
    const struct get_item_in *in = call->in;
    const struct op_access access = {
        .action = "GetItem",
        .table = in->table_name,
        .items = &in->key,
        .item_count = 1,
        .texts = {.projection = in->projection},
        .tokens = &in->tokens,
        .reads = true,
        .capacity = in->capacity,
    };
    return visit(arg, &access);
}

static enum err get_item_run(struct op_call *call, struct reader *reader, struct changes *changes)
{
    const struct get_item_in *in = call->in;
    struct get_item_out *out = call->out;
    const struct expression_texts texts = {.projection = in->projection};
    struct expressions expressions;
    const struct table *table;
    struct key key;
    struct bytes item;
    (void)changes;
    TRY(expressions_open(call, reader, &texts, &in->tokens, &expressions));
    TRY(lookup_table(call, reader, in->table_name, &table));
    TRY(lookup_key(call, table, in->key, &key));
    TRY(lookup_item(reader, table, &key, &item));
    out->found = item.len > 0;
    out->item = item;
    if (out->found && expressions.projection != NULL) {
        TRY(expressions_project(call, reader, &expressions, item, &out->item));
    }
    if (in->capacity != CAPACITY_NONE) {
        return capacity_set(call, &out->capacity, in->capacity, table,
                            capacity_read(item_size(item), in->consistent_read));
    }
    return OK;
}
