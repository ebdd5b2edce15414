/* DeleteTable: removes a table and its items; its stream is closed and stays readable.
 * Amazon DynamoDB API Reference, API_DeleteTable. */
#include "op/description.h"

struct delete_table_in {
    struct bytes table_name;
};

static enum err delete_table_run(struct op_call *call, struct reader *reader,
                                 struct changes *changes);

static const struct field delete_table_in_fields[] = {
    {NAME("TableName"), .type = FIELD_STRING, .flags = FIELD_REQUIRED, .stage = 1,
     .form = FORM_CONTROL_NAME, AT(delete_table_in, table_name)},
    {.type = FIELD_END},
};

static const struct field delete_table_out_fields[] = {
    {NAME("TableDescription"), .type = FIELD_STRUCT, .shape = &shape_table_description,
     AT(table_out, table)},
    {.type = FIELD_END},
};

const struct op op_delete_table = {
    .name = "DeleteTable",
    .api = OP_API_DYNAMODB,
    .writes = true,
    .in_size = sizeof(struct delete_table_in),
    .out_size = sizeof(struct table_out),
    .in_fields = delete_table_in_fields,
    .out_fields = delete_table_out_fields,
    .run = delete_table_run,
};

static enum err delete_table_run(struct op_call *call, struct reader *reader,
                                 struct changes *changes)
{
    const struct delete_table_in *in = call->in;
    struct table_out *out = call->out;
    const struct table *table;
    TRY(lookup_control(call, reader, in->table_name, &table));
    TRY(description_fill(table, STATUS_DELETING, call->arena, &out->table));
    if (table->reserved) {
        return fault(call, FAULT_VALIDATION,
                     "Tables named " RESERVED_PREFIX
                     "* belong to the server and cannot be deleted");
    }
    if (out->table.protected) {
        return fault(call, FAULT_VALIDATION,
                     "Resource cannot be deleted as it is currently protected against deletion. "
                     "Disable deletion protection first.");
    }
    /* DynamoDB shows of a table that goes neither its keys nor when it was made. */
    out->table.definition_count = out->table.key_count = 0;
    out->table.definitions = NULL;
    out->table.keys = NULL;
    out->table.created_ms = 0;
    return change_delete_table(reader, changes, table);
}
