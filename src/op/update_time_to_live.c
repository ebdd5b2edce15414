/* UpdateTimeToLive: switches the expiry of a table's items on or off. It is so when the answer
 * leaves; items that were there before expire from then on as the store gets to them.
 * Amazon DynamoDB API Reference, API_UpdateTimeToLive.
 *
 * DynamoDB refuses a second change within an hour; that protects its fleet and is not imitated. */
#include "op/description.h"

struct expiry_specification {
    bool enabled;
    bool has_enabled;
    struct bytes attribute;
};

struct update_time_to_live_in {
    struct bytes table_name;
    struct expiry_specification specification;
    bool has_specification;
};

struct update_time_to_live_out {
    struct expiry_specification specification;
};

static enum err update_time_to_live_run(struct op_call *call, struct reader *reader,
                                        struct changes *changes);
static enum err check_state(struct op_call *call, const struct table *table);

static const struct field specification_in_fields[] = {
    {NAME("AttributeName"), .type = FIELD_STRING, .flags = FIELD_REQUIRED, .stage = 1, .min = 1,
     .max = 255, AT(expiry_specification, attribute)},
    {NAME("Enabled"), .type = FIELD_BOOL, .flags = FIELD_REQUIRED, .stage = 1,
     AT(expiry_specification, enabled), GIVEN(expiry_specification, has_enabled)},
    {.type = FIELD_END},
};
static const struct shape shape_specification_in = {
    "TimeToLiveSpecification", specification_in_fields, sizeof(struct expiry_specification)};

static const struct field specification_out_fields[] = {
    {NAME("Enabled"), .type = FIELD_BOOL, .flags = FIELD_KEEP_ZERO,
     AT(expiry_specification, enabled)},
    MEMBER_TEXT("AttributeName", expiry_specification, attribute),
    {.type = FIELD_END},
};
static const struct shape shape_specification_out = {
    "TimeToLiveSpecification", specification_out_fields, sizeof(struct expiry_specification)};

static const struct field update_time_to_live_in_fields[] = {
    {NAME("TableName"), .type = FIELD_STRING, .flags = FIELD_REQUIRED, .stage = 1,
     .form = FORM_CONTROL_NAME, AT(update_time_to_live_in, table_name)},
    {NAME("TimeToLiveSpecification"), .type = FIELD_STRUCT, .flags = FIELD_REQUIRED, .stage = 1,
     .shape = &shape_specification_in, AT(update_time_to_live_in, specification),
     GIVEN(update_time_to_live_in, has_specification)},
    {.type = FIELD_END},
};

static const struct field update_time_to_live_out_fields[] = {
    {NAME("TimeToLiveSpecification"), .type = FIELD_STRUCT, .shape = &shape_specification_out,
     AT(update_time_to_live_out, specification)},
    {.type = FIELD_END},
};

const struct op op_update_time_to_live = {
    .name = "UpdateTimeToLive",
    .api = OP_API_DYNAMODB,
    .writes = true,
    .in_size = sizeof(struct update_time_to_live_in),
    .out_size = sizeof(struct update_time_to_live_out),
    .in_fields = update_time_to_live_in_fields,
    .out_fields = update_time_to_live_out_fields,
    .run = update_time_to_live_run,
};

static enum err update_time_to_live_run(struct op_call *call, struct reader *reader,
                                        struct changes *changes)
{
    const struct update_time_to_live_in *in = call->in;
    struct update_time_to_live_out *out = call->out;
    const struct table *table;
    const struct table *made;
    TRY(lookup_control(call, reader, in->table_name, &table));
    TRY(check_state(call, table));
    struct table_update update = {
        .settings = table->settings,
        .set_expiry = true,
        .expiry_attribute = in->specification.enabled ? in->specification.attribute : BYTES_NONE,
    };
    TRY(change_update_table(reader, changes, table, &update, &made));
    out->specification = in->specification;
    return OK;
}

/* What the table as it is does not let happen. */
static enum err check_state(struct op_call *call, const struct table *table)
{
    const struct update_time_to_live_in *in = call->in;
    bool enabled = table->expiry_id != 0;
    if (table->reserved) {
        return fault(call, FAULT_VALIDATION,
                     "Tables named " RESERVED_PREFIX
                     "* belong to the server and cannot be changed");
    }
    if (enabled && !bytes_equal(table->expiry_attribute, in->specification.attribute)) {
        return fault(call, FAULT_VALIDATION,
                     "TimeToLive is active on a different AttributeName: current AttributeName is "
                     "%.*s",
                     BYTES_FMT(table->expiry_attribute));
    }
    if (enabled == in->specification.enabled) {
        return fault(call, FAULT_VALIDATION, "TimeToLive is already %s",
                     enabled ? "enabled" : "disabled");
    }
    return OK;
}
