/* ListTables: names of tables in order, a page at a time, without the server's own.
 * Amazon DynamoDB API Reference, API_ListTables. */
#include "op/op_priv.h"

#define LIST_TABLES_MAX 100

struct list_tables_in {
    struct bytes after; /* ExclusiveStartTableName */
    int32_t limit;
    bool has_limit;
};

struct list_tables_out {
    struct bytes *names;
    size_t count;
    struct bytes last;
};

static enum err list_tables_run(struct op_call *call, struct reader *reader,
                                struct changes *changes);

static const struct field list_tables_in_fields[] = {
    {NAME("ExclusiveStartTableName"), .type = FIELD_STRING, .stage = 1, .form = FORM_CONTROL_START,
     AT(list_tables_in, after)},
    {NAME("Limit"), .type = FIELD_INTEGER, .stage = 1, .min = 1, .max = LIST_TABLES_MAX,
     AT(list_tables_in, limit), GIVEN(list_tables_in, has_limit)},
    {.type = FIELD_END},
};

static const struct field list_tables_out_fields[] = {
    {NAME("TableNames"), .type = FIELD_STRINGS, AT(list_tables_out, names),
     COUNTED(list_tables_out, count)},
    MEMBER_TEXT("LastEvaluatedTableName", list_tables_out, last),
    {.type = FIELD_END},
};

const struct op op_list_tables = {
    .name = "ListTables",
    .api = OP_API_DYNAMODB,
    .in_size = sizeof(struct list_tables_in),
    .out_size = sizeof(struct list_tables_out),
    .in_fields = list_tables_in_fields,
    .out_fields = list_tables_out_fields,
    .run = list_tables_run,
};

static enum err list_tables_run(struct op_call *call, struct reader *reader,
                                struct changes *changes)
{
    const struct list_tables_in *in = call->in;
    struct list_tables_out *out = call->out;
    size_t limit = in->has_limit ? (size_t)in->limit : LIST_TABLES_MAX;
    struct bytes after = in->after;
    (void)changes;
    out->names = arena_alloc(call->arena, limit * sizeof(*out->names));
    if (out->names == NULL) {
        return ERR_NOMEM;
    }
    const struct table *table;
    while ((table = catalogue_next_table(reader->catalogue, after)) != NULL) {
        after = table->name;
        if (table->reserved) {
            continue;
        }
        if (out->count == limit) {
            out->last = out->names[limit - 1];
            return OK;
        }
        out->names[out->count] = arena_dup(call->arena, table->name);
        if (out->names[out->count++].ptr == NULL) {
            return ERR_NOMEM;
        }
    }
    return OK;
}
