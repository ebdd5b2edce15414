/* UpdateTable: changes a table's throughput, billing mode, stream, class or protection. All of it
 * is done when the answer leaves, though the answer says UPDATING and shows what was, as
 * DynamoDB's does; the next DescribeTable says ACTIVE.
 * Amazon DynamoDB API Reference, API_UpdateTable.
 *
 * A stream is switched by one commit: records of commits before it are of the streams before, those
 * after it of the streams after. DynamoDB's budgets of changes (decreases a day, classes a month,
 * seconds between two switches of protection) protect its fleet and are not imitated. */
#include "op/description.h"

#define TEXT_CHANGES                                                                               \
    "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, "                    \
    "GlobalSecondaryIndexUpdates, SSESpecification, ReplicaUpdates, MultiAccountReplicaReady, "    \
    "ReplicaTransitRoleArn, MultiRegionConsistency, DeletionProtectionEnabled, "                   \
    "OnDemandThroughput, WarmThroughput or TableClass is required"
#define TEXT_SAME_THROUGHPUT                                                                       \
    "The provisioned throughput for the table will not change. The requested value equals the "    \
    "current value. Current ReadCapacityUnits provisioned for the table: %lld. Requested "         \
    "ReadCapacityUnits: %lld. Current WriteCapacityUnits provisioned for the table: %lld. "        \
    "Requested WriteCapacityUnits: %lld. Refer to the Amazon DynamoDB Developer Guide for "        \
    "current limits and how to request higher limits."

struct update_table_in {
    struct bytes table_name;
    struct attribute_definition *definitions; /* of indexes; read over */
    size_t definition_count;
    enum billing_mode billing;
    struct throughput throughput;
    bool has_throughput;
    struct throughput on_demand;
    struct stream_specification stream;
    bool has_stream;
    enum table_class class;
    bool protected;
    bool has_protected;
    struct encryption encryption;
    bool has_encryption;
};

static enum err update_table_check(struct op_call *call);
static enum err update_table_run(struct op_call *call, struct reader *reader,
                                 struct changes *changes);
static enum err check_combination(struct op_call *call);
static enum err check_billing(struct op_call *call);
static enum err check_on_demand(struct op_call *call, const char *member, bool given,
                                int64_t units);
static enum err check_stream(struct op_call *call);
static enum err check_state(struct op_call *call, const struct table *table,
                            const struct table_settings *now);
static enum err fault_alone(struct op_call *call, const char *what);
static enum err fault_on_demand(struct op_call *call, const char *member);
static void apply(const struct update_table_in *in, const struct table *table, uint64_t now_ms,
                  struct table_settings *settings);
static bool has_on_demand(const struct update_table_in *in);

static const struct field update_table_in_fields[] = {
    {NAME("TableName"), .type = FIELD_STRING, .flags = FIELD_REQUIRED, .stage = 1,
     .form = FORM_CONTROL_NAME, AT(update_table_in, table_name)},
    {NAME("AttributeDefinitions"), .type = FIELD_LIST, .stage = 1, .shape = &shape_definition_in,
     AT(update_table_in, definitions), COUNTED(update_table_in, definition_count)},
    {NAME("BillingMode"), .type = FIELD_ENUM, .stage = 1, .set = &set_billing_mode,
     AT(update_table_in, billing)},
    {NAME("ProvisionedThroughput"), .type = FIELD_STRUCT, .shape = &shape_throughput_in,
     AT(update_table_in, throughput), GIVEN(update_table_in, has_throughput)},
    {NAME("OnDemandThroughput"), .type = FIELD_STRUCT, .shape = &shape_on_demand_in,
     AT(update_table_in, on_demand)},
    {NAME("StreamSpecification"), .type = FIELD_STRUCT, .shape = &shape_stream_in,
     AT(update_table_in, stream), GIVEN(update_table_in, has_stream)},
    {NAME("SSESpecification"), .type = FIELD_STRUCT, .shape = &shape_encryption_in,
     AT(update_table_in, encryption), GIVEN(update_table_in, has_encryption)},
    {NAME("TableClass"), .type = FIELD_ENUM, .flags = FIELD_BARE, .stage = 2,
     .set = &set_table_class, AT(update_table_in, class)},
    {NAME("DeletionProtectionEnabled"), .type = FIELD_BOOL, AT(update_table_in, protected),
     GIVEN(update_table_in, has_protected)},
    MEMBER_UNBUILT("GlobalSecondaryIndexUpdates"),
    MEMBER_UNBUILT("VectorIndexUpdates"),
    MEMBER_UNBUILT("ReplicaUpdates"),
    MEMBER_UNBUILT("MultiRegionConsistency"),
    MEMBER_UNBUILT("GlobalTableWitnessUpdates"),
    MEMBER_UNBUILT("GlobalTableSettingsReplicationMode"),
    MEMBER_UNBUILT("WarmThroughput"),
    {.type = FIELD_END},
};

static const struct field update_table_out_fields[] = {
    {NAME("TableDescription"), .type = FIELD_STRUCT, .shape = &shape_table_description,
     AT(table_out, table)},
    {.type = FIELD_END},
};

const struct op op_update_table = {
    .name = "UpdateTable",
    .api = OP_API_DYNAMODB,
    .writes = true,
    .in_size = sizeof(struct update_table_in),
    .out_size = sizeof(struct table_out),
    .in_fields = update_table_in_fields,
    .out_fields = update_table_out_fields,
    .check = update_table_check,
    .run = update_table_run,
};

static enum err update_table_check(struct op_call *call)
{
    const struct update_table_in *in = call->in;
    TRY(check_combination(call));
    TRY(check_billing(call));
    TRY(check_on_demand(call, "MaxReadRequestUnits", in->on_demand.has_read, in->on_demand.read));
    TRY(check_on_demand(call, "MaxWriteRequestUnits", in->on_demand.has_write,
                        in->on_demand.write));
    TRY(check_encryption(call, &in->encryption));
    return check_stream(call);
}

static enum err update_table_run(struct op_call *call, struct reader *reader,
                                 struct changes *changes)
{
    const struct update_table_in *in = call->in;
    struct table_out *out = call->out;
    struct table_settings settings;
    struct table_update update = {
        .open_view = in->stream.view,
        .close_stream = in->has_stream && !in->stream.enabled,
    };
    const struct table *table;
    const struct table *made;
    TRY(lookup_control(call, reader, in->table_name, &table));
    settings_decode(table->settings, &settings);
    TRY(check_state(call, table, &settings));
    apply(in, table, reader->now_ms, &settings);
    TRY(settings_encode(&settings, call->arena, &update.settings));
    struct table shown = *table;
    if (in->has_stream || !bytes_equal(update.settings, table->settings)) {
        TRY(change_update_table(reader, changes, table, &update, &made));
        shown = *made;
    }
    /* Protection and on-demand bounds are changed at once, so the answer has them. */
    bool at_once = in->has_protected || (has_on_demand(in) && in->billing == BILLING_NONE);
    if (!at_once) {
        shown.settings = table->settings;
    }
    TRY(description_fill(&shown, at_once ? STATUS_ACTIVE : STATUS_UPDATING, call->arena,
                         &out->table));
    out->table.has_stream = out->table.has_stream || in->has_stream;
    return OK;
}

static bool has_on_demand(const struct update_table_in *in)
{
    return in->on_demand.has_read || in->on_demand.has_write;
}

/* DynamoDB makes one kind of change at a time. */
static enum err check_combination(struct op_call *call)
{
    const struct update_table_in *in = call->in;
    int count = in->has_throughput + (in->billing != BILLING_NONE) + has_on_demand(in) +
                in->has_stream + in->has_encryption + (in->class != CLASS_NONE) + in->has_protected;
    if (count == 0) {
        return fault(call, FAULT_VALIDATION, TEXT_CHANGES);
    }
    if (count > 1 && in->has_encryption) {
        return fault_alone(call, "Server-Side Encryption");
    }
    if (count > 1 && in->class != CLASS_NONE) {
        return fault_alone(call, "TableClass");
    }
    if (count > 1 && in->has_protected) {
        return fault_alone(call, "DeletionProtection");
    }
    if (has_on_demand(in) && (in->has_throughput || in->has_stream)) {
        return fault(call, FAULT_VALIDATION,
                     INVALID_VALUES "OnDemandThroughput can only be combined with BillingMode in "
                                    "an UpdateTable request");
    }
    if (in->has_stream && (in->has_throughput || in->billing == BILLING_PROVISIONED)) {
        return fault(call, FAULT_VALIDATION,
                     INVALID_VALUES "You cannot modify stream status while updating table IOPS");
    }
    return OK;
}

static enum err fault_alone(struct op_call *call, const char *what)
{
    return fault(call, FAULT_VALIDATION,
                 INVALID_VALUES "%s modification must be the only operation in the request", what);
}

static enum err check_billing(struct op_call *call)
{
    const struct update_table_in *in = call->in;
    TRY(check_units(call, "ReadCapacityUnits", in->throughput.read));
    TRY(check_units(call, "WriteCapacityUnits", in->throughput.write));
    if (in->billing == BILLING_PROVISIONED && !in->has_throughput) {
        return fault(call, FAULT_VALIDATION,
                     INVALID_VALUES
                     "ProvisionedThroughput must be specified when BillingMode is PROVISIONED");
    }
    if (in->billing == BILLING_PER_REQUEST && in->has_throughput) {
        return fault(call, FAULT_VALIDATION,
                     INVALID_VALUES "ProvisionedThroughput cannot be specified when BillingMode is "
                                    "PAY_PER_REQUEST");
    }
    return OK;
}

static enum err check_on_demand(struct op_call *call, const char *member, bool given, int64_t units)
{
    const struct update_table_in *in = call->in;
    if (given && in->billing == BILLING_PROVISIONED) {
        return fault_on_demand(call, member);
    }
    if (given && units < 1 && units != ON_DEMAND_UNBOUND) {
        return fault(call, FAULT_VALIDATION,
                     INVALID_VALUES "Requested %s for OnDemandThroughput for table is outside of "
                                    "valid range",
                     member);
    }
    return OK;
}

static enum err fault_on_demand(struct op_call *call, const char *member)
{
    return fault(call, FAULT_VALIDATION,
                 INVALID_VALUES "%s for OnDemandThroughput cannot be specified when the table "
                                "BillingMode is PROVISIONED",
                 member);
}

static enum err check_stream(struct op_call *call)
{
    const struct update_table_in *in = call->in;
    if (in->stream.enabled && in->stream.view == 0) {
        return fault(call, FAULT_VALIDATION,
                     INVALID_VALUES "If stream is being enabled then UpdateViewType is required");
    }
    if (!in->stream.enabled && in->stream.view != 0) {
        return fault(call, FAULT_VALIDATION,
                     INVALID_VALUES
                     "If stream is being disabled, then UpdateViewType must not be specified");
    }
    return OK;
}

/* What the table as it is does not let happen. */
static enum err check_state(struct op_call *call, const struct table *table,
                            const struct table_settings *now)
{
    const struct update_table_in *in = call->in;
    bool stays = in->billing == BILLING_NONE || in->billing == now->billing;
    if (table->reserved) {
        return fault(call, FAULT_VALIDATION,
                     "Tables named " RESERVED_PREFIX
                     "* belong to the server and cannot be changed");
    }
    if (in->has_encryption) {
        return fault(call, FAULT_VALIDATION,
                     INVALID_VALUES "Table is already encrypted by default");
    }
    if (in->has_throughput && stays && now->billing == BILLING_PER_REQUEST) {
        return fault(call, FAULT_VALIDATION,
                     INVALID_VALUES "Neither ReadCapacityUnits nor WriteCapacityUnits can be "
                                    "specified when BillingMode is PAY_PER_REQUEST");
    }
    if (in->has_throughput && stays && in->throughput.read == now->throughput.read &&
        in->throughput.write == now->throughput.write) {
        return fault(call, FAULT_VALIDATION, TEXT_SAME_THROUGHPUT, (long long)now->throughput.read,
                     (long long)now->throughput.read, (long long)now->throughput.write,
                     (long long)now->throughput.write);
    }
    if (has_on_demand(in) && stays && now->billing == BILLING_PROVISIONED) {
        return fault_on_demand(call, in->on_demand.has_read ? "MaxReadRequestUnits"
                                                            : "MaxWriteRequestUnits");
    }
    if (in->stream.enabled && table->stream != NULL) {
        return fault(call, FAULT_VALIDATION, "Table already has an enabled stream: TableName: %.*s",
                     BYTES_FMT(table->name));
    }
    if (in->has_stream && !in->stream.enabled && table->stream == NULL) {
        return fault(call, FAULT_VALIDATION, "Table has no stream to disable: TableName: %.*s",
                     BYTES_FMT(table->name));
    }
    return OK;
}

static void apply_bound(bool given, int64_t units, bool *has, int64_t *bound)
{
    if (given) {
        *has = units != ON_DEMAND_UNBOUND;
        *bound = units;
    }
}

static void apply(const struct update_table_in *in, const struct table *table, uint64_t now_ms,
                  struct table_settings *settings)
{
    if (in->billing == BILLING_PER_REQUEST && settings->billing == BILLING_PROVISIONED) {
        settings->billing = BILLING_PER_REQUEST;
        settings->on_demand_since_ms = now_ms;
    }
    if (in->has_throughput) {
        if (settings->billing == BILLING_PER_REQUEST && settings->on_demand_since_ms == 0) {
            settings->on_demand_since_ms = table->created_ms;
        }
        settings->billing = BILLING_PROVISIONED;
        settings->throughput = in->throughput;
        settings->on_demand = (struct throughput){0};
    }
    apply_bound(in->on_demand.has_read, in->on_demand.read, &settings->on_demand.has_read,
                &settings->on_demand.read);
    apply_bound(in->on_demand.has_write, in->on_demand.write, &settings->on_demand.has_write,
                &settings->on_demand.write);
    /* A class that was never given is the standard one, and stays unsaid. */
    if (in->class != CLASS_NONE && in->class != settings->class &&
        (settings->class != CLASS_NONE || in->class != CLASS_STANDARD)) {
        settings->class = in->class;
        settings->class_since_ms = now_ms;
    }
    if (in->has_protected) {
        settings->protected = in->protected;
    }
}
