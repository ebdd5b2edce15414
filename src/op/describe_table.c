/* DescribeTable: what a table is. Tables are ready as soon as they exist.
 * Amazon DynamoDB API Reference, API_DescribeTable. */
#include "op/description.h"

struct describe_table_in {
    struct bytes table_name;
};

static enum err describe_table_run(struct op_call *call, struct reader *reader,
                                   struct changes *changes);

static const struct field describe_table_in_fields[] = {
    {NAME("TableName"), .type = FIELD_STRING, .flags = FIELD_REQUIRED, .stage = 1,
     .form = FORM_CONTROL_NAME, AT(describe_table_in, table_name)},
    {.type = FIELD_END},
};

static const struct field describe_table_out_fields[] = {
    {NAME("Table"), .type = FIELD_STRUCT, .shape = &shape_table_description, AT(table_out, table)},
    {.type = FIELD_END},
};

const struct op op_describe_table = {
    .name = "DescribeTable",
    .api = OP_API_DYNAMODB,
    .in_size = sizeof(struct describe_table_in),
    .out_size = sizeof(struct table_out),
    .in_fields = describe_table_in_fields,
    .out_fields = describe_table_out_fields,
    .run = describe_table_run,
};

static enum err describe_table_run(struct op_call *call, struct reader *reader,
                                   struct changes *changes)
{
    const struct describe_table_in *in = call->in;
    struct table_out *out = call->out;
    const struct table *table;
    (void)changes;
    TRY(lookup_control(call, reader, in->table_name, &table));
    return description_fill(table, STATUS_ACTIVE, call->arena, &out->table);
}
