/* CreateTable: makes a table. It is ready when the answer leaves, though the answer says CREATING,
 * because clients wait for ACTIVE by DescribeTable.
 * Amazon DynamoDB API Reference, API_CreateTable.
 *
 * Billing mode, throughput, class and tags change nothing here; they are kept and shown. What
 * UpdateTable has too is in table_members.c. */
#include "op/tags.h"

#include "sys/random.h"

#define UUID_LEN 36u

struct create_table_in {
    struct bytes table_name;
    struct attribute_definition *definitions;
    size_t definition_count;
    struct key_element *keys;
    size_t key_count;
    enum billing_mode billing;
    struct throughput throughput;
    bool has_throughput;
    struct throughput on_demand;
    bool has_on_demand;
    struct stream_specification stream;
    bool has_stream;
    enum table_class class;
    bool protected;
    struct encryption encryption;
    bool has_encryption;
    struct table_tag *tags;
    size_t tag_count;
    char id[UUID_LEN]; /* chosen once per call: evaluation is repeatable */
};

static enum err create_table_check(struct op_call *call);
static enum err create_table_run(struct op_call *call, struct reader *reader,
                                 struct changes *changes);
static enum err check_billing(struct op_call *call);
static enum err check_schema(struct op_call *call);
static enum err check_key_types(struct op_call *call);
static enum err check_on_demand(struct op_call *call, const char *member, bool given,
                                int64_t units);
static enum err check_stream(struct op_call *call);
static enum err fault_definitions(struct op_call *call);
static void add_names(struct buf *out, const void *names, size_t count, size_t stride);
static const struct attribute_definition *definition_of(const struct create_table_in *in,
                                                        struct bytes name);
static void choose_id(char id[UUID_LEN]);

static const struct field create_table_in_fields[] = {
    {NAME("TableName"), .type = FIELD_STRING, .flags = FIELD_REQUIRED, .stage = 1,
     .form = FORM_CONTROL_NAME, AT(create_table_in, table_name)},
    {NAME("BillingMode"), .type = FIELD_ENUM, .stage = 1, .set = &set_billing_mode,
     AT(create_table_in, billing)},
    {NAME("ProvisionedThroughput"), .type = FIELD_STRUCT, .shape = &shape_throughput_in,
     AT(create_table_in, throughput), GIVEN(create_table_in, has_throughput)},
    {NAME("AttributeDefinitions"), .type = FIELD_LIST, .flags = FIELD_REQUIRED, .stage = 1,
     .shape = &shape_definition_in, AT(create_table_in, definitions),
     COUNTED(create_table_in, definition_count)},
    {NAME("KeySchema"), .type = FIELD_LIST, .flags = FIELD_REQUIRED, .stage = 1, .min = 1, .max = 2,
     .shape = &shape_key_element, AT(create_table_in, keys), COUNTED(create_table_in, key_count)},
    {NAME("OnDemandThroughput"), .type = FIELD_STRUCT, .shape = &shape_on_demand_in,
     AT(create_table_in, on_demand), GIVEN(create_table_in, has_on_demand)},
    {NAME("StreamSpecification"), .type = FIELD_STRUCT, .shape = &shape_stream_in,
     AT(create_table_in, stream), GIVEN(create_table_in, has_stream)},
    {NAME("TableClass"), .type = FIELD_ENUM, .flags = FIELD_BARE, .stage = 2,
     .set = &set_table_class, AT(create_table_in, class)},
    {NAME("DeletionProtectionEnabled"), .type = FIELD_BOOL, AT(create_table_in, protected)},
    {NAME("Tags"), .type = FIELD_LIST, .shape = &shape_tag_in, AT(create_table_in, tags),
     COUNTED(create_table_in, tag_count)},
    {NAME("SSESpecification"), .type = FIELD_STRUCT, .shape = &shape_encryption_in,
     AT(create_table_in, encryption), GIVEN(create_table_in, has_encryption)},
    MEMBER_UNBUILT("GlobalSecondaryIndexes"),
    MEMBER_UNBUILT("LocalSecondaryIndexes"),
    MEMBER_UNBUILT("VectorIndexes"),
    MEMBER_UNBUILT("WarmThroughput"),
    MEMBER_UNBUILT("ResourcePolicy"),
    {.type = FIELD_END},
};

static const struct field create_table_out_fields[] = {
    {NAME("TableDescription"), .type = FIELD_STRUCT, .shape = &shape_table_description,
     AT(table_out, table)},
    {.type = FIELD_END},
};

const struct op op_create_table = {
    .name = "CreateTable",
    .api = OP_API_DYNAMODB,
    .writes = true,
    .in_size = sizeof(struct create_table_in),
    .out_size = sizeof(struct table_out),
    .in_fields = create_table_in_fields,
    .out_fields = create_table_out_fields,
    .check = create_table_check,
    .run = create_table_run,
};

static enum err create_table_check(struct op_call *call)
{
    struct create_table_in *in = call->in;
    if (bytes_start_with(in->table_name, BYTES("arn:"))) {
        return fault(call, FAULT_VALIDATION,
                     ENVELOPE_ONE
                     "Value '%.*s' at 'tableName' failed to satisfy constraint: Member "
                     "must satisfy regular expression pattern: [a-zA-Z0-9_.-]+",
                     BYTES_FMT(in->table_name));
    }
    if (is_reserved_name(in->table_name)) {
        return fault(call, FAULT_VALIDATION,
                     "Tables named " RESERVED_PREFIX
                     "* belong to the server and cannot be created");
    }
    TRY(check_tags(call, in->tags, in->tag_count));
    TRY(check_billing(call));
    TRY(check_schema(call));
    TRY(check_stream(call));
    TRY(check_encryption(call, &in->encryption));
    choose_id(in->id);
    return OK;
}

static enum err create_table_run(struct op_call *call, struct reader *reader,
                                 struct changes *changes)
{
    const struct create_table_in *in = call->in;
    struct table_out *out = call->out;
    struct table_settings settings = {
        .billing = in->billing == BILLING_NONE ? BILLING_PROVISIONED : in->billing,
        .throughput = in->throughput,
        .on_demand = in->on_demand,
        .class = in->class,
        .protected = in->protected,
        .id = bytes_of(in->id, UUID_LEN),
    };
    struct table_definition definition = {.name = in->table_name};
    const struct attribute_definition *partition = definition_of(in, in->keys[0].name);
    definition.schema.partition = (struct key_attribute){partition->name, partition->type};
    if (in->key_count == 2) {
        const struct attribute_definition *sort = definition_of(in, in->keys[1].name);
        definition.schema.sort = (struct key_attribute){sort->name, sort->type};
    }
    definition.view = in->stream.enabled ? in->stream.view : (enum stream_view)0;
    if (reader_table(reader, in->table_name) != NULL) {
        return fault(call, FAULT_IN_USE, "Table already exists: %.*s", BYTES_FMT(in->table_name));
    }
    TRY(tags_add(call, BYTES_NONE, in->tags, in->tag_count, &settings.tags));
    TRY(tags_retention(call, settings.tags, &definition.retention_ms));
    TRY(settings_encode(&settings, call->arena, &definition.settings));
    const struct table *made;
    TRY(change_create_table(reader, changes, &definition, &made));
    return description_fill(made, STATUS_CREATING, call->arena, &out->table);
}

static enum err check_billing(struct op_call *call)
{
    const struct create_table_in *in = call->in;
    if (in->billing == BILLING_PER_REQUEST) {
        if (in->has_throughput) {
            return fault(call, FAULT_VALIDATION,
                         INVALID_VALUES "Neither ReadCapacityUnits nor WriteCapacityUnits can be "
                                        "specified when BillingMode is PAY_PER_REQUEST");
        }
    } else if (!in->has_throughput) {
        return fault(call, FAULT_VALIDATION,
                     INVALID_VALUES "ReadCapacityUnits and WriteCapacityUnits must both be "
                                    "specified when BillingMode is PROVISIONED");
    } else {
        TRY(check_units(call, "ReadCapacityUnits", in->throughput.read));
        TRY(check_units(call, "WriteCapacityUnits", in->throughput.write));
    }
    TRY(check_on_demand(call, "MaxReadRequestUnits", in->on_demand.has_read, in->on_demand.read));
    return check_on_demand(call, "MaxWriteRequestUnits", in->on_demand.has_write,
                           in->on_demand.write);
}

static enum err check_on_demand(struct op_call *call, const char *member, bool given, int64_t units)
{
    const struct create_table_in *in = call->in;
    if (!given) {
        return OK;
    }
    if (in->billing != BILLING_PER_REQUEST) {
        return fault(call, FAULT_VALIDATION,
                     INVALID_VALUES "%s for OnDemandThroughput cannot be specified when table "
                                    "BillingMode is PROVISIONED.",
                     member);
    }
    if (units < 1) {
        return fault(call, FAULT_VALIDATION,
                     INVALID_VALUES "Requested %s for OnDemandThroughput for table is outside of "
                                    "valid range",
                     member);
    }
    return OK;
}

static enum err check_schema(struct op_call *call)
{
    const struct create_table_in *in = call->in;
    if (in->definition_count < in->key_count) {
        return fault(call, FAULT_VALIDATION,
                     "Invalid KeySchema: Some index key attribute have no definition");
    }
    for (size_t i = 0; i < in->definition_count && i < LIST_DECODED_MAX; i++) {
        if (definition_of(in, in->definitions[i].name) != &in->definitions[i]) {
            return fault(call, FAULT_VALIDATION, "Attribute Name is duplicated: %.*s",
                         BYTES_FMT(in->definitions[i].name));
        }
    }
    for (size_t i = 0; i < in->key_count; i++) {
        if (definition_of(in, in->keys[i].name) == NULL) {
            return fault_definitions(call);
        }
    }
    TRY(check_key_types(call));
    if (in->definition_count != in->key_count) {
        return fault(call, FAULT_VALIDATION,
                     INVALID_VALUES "Number of attributes in KeySchema does not exactly match "
                                    "number of attributes defined in AttributeDefinitions");
    }
    return OK;
}

static enum err check_key_types(struct op_call *call)
{
    const struct create_table_in *in = call->in;
    if (in->key_count == 2 && bytes_equal(in->keys[0].name, in->keys[1].name)) {
        return fault(call, FAULT_VALIDATION,
                     "Both the Hash Key and the Range Key element in the KeySchema have the same "
                     "name");
    }
    if (in->keys[0].type != KEY_TYPE_HASH) {
        return fault(call, FAULT_VALIDATION,
                     "Invalid KeySchema: The first KeySchemaElement is not a HASH key type");
    }
    if (in->key_count == 2 && in->keys[1].type != KEY_TYPE_RANGE) {
        return fault(call, FAULT_VALIDATION,
                     "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type");
    }
    return OK;
}

static enum err check_stream(struct op_call *call)
{
    const struct create_table_in *in = call->in;
    if (in->stream.enabled && in->stream.view == 0) {
        return fault(call, FAULT_VALIDATION,
                     INVALID_VALUES "Table is being created with a stream enabled, UpdateViewType "
                                    "is required");
    }
    if (!in->stream.enabled && in->stream.view != 0) {
        return fault(call, FAULT_VALIDATION,
                     INVALID_VALUES "Table is being created with a stream disabled, UpdateViewType "
                                    "should not be specified");
    }
    return OK;
}

static enum err fault_definitions(struct op_call *call)
{
    const struct create_table_in *in = call->in;
    struct buf text;
    buf_init(&text, 64u << 10);
    buf_add_cstr(&text, INVALID_VALUES "Some index key attributes are not defined in "
                                       "AttributeDefinitions. Keys: [");
    add_names(&text, in->keys, in->key_count, sizeof(in->keys[0]));
    buf_add_cstr(&text, "], AttributeDefinitions: [");
    add_names(&text, in->definitions, in->definition_count, sizeof(in->definitions[0]));
    buf_add_byte(&text, ']');
    enum err err = fault_text(call, FAULT_VALIDATION, false, buf_bytes(&text));
    buf_fini(&text);
    return err;
}

/* Structs that begin with their name. */
static void add_names(struct buf *out, const void *names, size_t count, size_t stride)
{
    for (size_t i = 0; i < count && i < LIST_DECODED_MAX; i++) {
        struct bytes name;
        memcpy(&name, (const char *)names + i * stride, sizeof(name));
        buf_add_cstr(out, i == 0 ? "" : ", ");
        buf_add(out, name);
    }
}

static const struct attribute_definition *definition_of(const struct create_table_in *in,
                                                        struct bytes name)
{
    for (size_t i = 0; i < in->definition_count && i < LIST_DECODED_MAX; i++) {
        if (bytes_equal(in->definitions[i].name, name)) {
            return &in->definitions[i];
        }
    }
    return NULL;
}

/* A random UUID, version 4. */
static void choose_id(char id[UUID_LEN])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t random[16];
    size_t at = 0;
    random_fill(random, sizeof(random));
    random[6] = (uint8_t)((random[6] & 0x0f) | 0x40);
    random[8] = (uint8_t)((random[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < sizeof(random); i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            id[at++] = '-';
        }
        id[at++] = digits[random[i] >> 4];
        id[at++] = digits[random[i] & 15];
    }
}
