/* DescribeTimeToLive: by which attribute a table's items expire, if they do.
 * Amazon DynamoDB API Reference, API_DescribeTimeToLive. */
#include "op/description.h"

struct describe_time_to_live_in {
    struct bytes table_name;
};

struct expiry_description {
    struct bytes status;
    struct bytes attribute;
};

struct describe_time_to_live_out {
    struct expiry_description expiry;
};

static enum err describe_time_to_live_run(struct op_call *call, struct reader *reader,
                                          struct changes *changes);

static const struct field describe_time_to_live_in_fields[] = {
    {NAME("TableName"), .type = FIELD_STRING, .flags = FIELD_REQUIRED, .stage = 1,
     .form = FORM_CONTROL_NAME, AT(describe_time_to_live_in, table_name)},
    {.type = FIELD_END},
};

static const struct field description_fields[] = {
    MEMBER_TEXT("TimeToLiveStatus", expiry_description, status),
    MEMBER_TEXT("AttributeName", expiry_description, attribute),
    {.type = FIELD_END},
};
static const struct shape shape_description = {"TimeToLiveDescription", description_fields,
                                               sizeof(struct expiry_description)};

static const struct field describe_time_to_live_out_fields[] = {
    {NAME("TimeToLiveDescription"), .type = FIELD_STRUCT, .shape = &shape_description,
     AT(describe_time_to_live_out, expiry)},
    {.type = FIELD_END},
};

const struct op op_describe_time_to_live = {
    .name = "DescribeTimeToLive",
    .api = OP_API_DYNAMODB,
    .in_size = sizeof(struct describe_time_to_live_in),
    .out_size = sizeof(struct describe_time_to_live_out),
    .in_fields = describe_time_to_live_in_fields,
    .out_fields = describe_time_to_live_out_fields,
    .run = describe_time_to_live_run,
};

static enum err describe_time_to_live_run(struct op_call *call, struct reader *reader,
                                          struct changes *changes)
{
    const struct describe_time_to_live_in *in = call->in;
    struct describe_time_to_live_out *out = call->out;
    const struct table *table;
    (void)changes;
    TRY(lookup_control(call, reader, in->table_name, &table));
    if (table->expiry_id == 0) {
        out->expiry.status = BYTES("DISABLED");
        return OK;
    }
    out->expiry.status = BYTES("ENABLED");
    out->expiry.attribute = arena_dup(call->arena, table->expiry_attribute);
    return out->expiry.attribute.ptr == NULL ? ERR_NOMEM : OK;
}
