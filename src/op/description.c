/* How tables are shown: see description.h. TableSizeBytes and ItemCount are 0: DynamoDB's are
 * hours old as well, and no client may rely on them. */
#include "op/description.h"

static const char *const billing_names[] = {
    [BILLING_PROVISIONED] = "PROVISIONED", [BILLING_PER_REQUEST] = "PAY_PER_REQUEST"};
static const char *const class_names[] = {
    [CLASS_STANDARD] = "STANDARD", [CLASS_INFREQUENT] = "STANDARD_INFREQUENT_ACCESS"};
static const char *const key_type_names[] = {[KEY_TYPE_HASH] = "HASH", [KEY_TYPE_RANGE] = "RANGE"};
static const char *const attribute_type_names[] = {
    [VALUE_S] = "S", [VALUE_N] = "N", [VALUE_B] = "B"};
static const char *const view_names[] = {[STREAM_KEYS_ONLY] = "KEYS_ONLY",
                                         [STREAM_NEW_IMAGE] = "NEW_IMAGE",
                                         [STREAM_OLD_IMAGE] = "OLD_IMAGE",
                                         [STREAM_NEW_AND_OLD] = "NEW_AND_OLD_IMAGES"};
static const char *const status_names[] = {[STATUS_CREATING] = "CREATING",
                                           [STATUS_ACTIVE] = "ACTIVE",
                                           [STATUS_UPDATING] = "UPDATING",
                                           [STATUS_DELETING] = "DELETING"};

const struct enum_set set_billing_mode = ENUM_SET(billing_names, "[PROVISIONED, PAY_PER_REQUEST]");
const struct enum_set set_table_class = {
    .names = class_names,
    .count = sizeof(class_names) / sizeof(class_names[0]),
    .text = "[STANDARD, STANDARD_INFREQUENT_ACCESS]",
    .bare = "Invalid table-class parameter provided. Please try again with a valid table-class "
            "value: [STANDARD, STANDARD_INFREQUENT_ACCESS].",
};
const struct enum_set set_key_type = ENUM_SET(key_type_names, "[HASH, RANGE]");
const struct enum_set set_attribute_type = ENUM_SET(attribute_type_names, "[B, N, S]");
const struct enum_set set_stream_view =
    ENUM_SET(view_names, "[OLD_IMAGE, KEYS_ONLY, NEW_AND_OLD_IMAGES, NEW_IMAGE]");
static const struct enum_set set_table_status = ENUM_SET(status_names, "");

static const struct field key_element_fields[] = {
    {NAME("AttributeName"), .type = FIELD_STRING, .flags = FIELD_REQUIRED, .stage = 1, .min = 1,
     .max = 255, AT(key_element, name)},
    {NAME("KeyType"), .type = FIELD_ENUM, .flags = FIELD_REQUIRED, .stage = 1, .set = &set_key_type,
     AT(key_element, type)},
    {.type = FIELD_END},
};
const struct shape shape_key_element = {"KeySchemaElement", key_element_fields,
                                        sizeof(struct key_element)};

static const struct field definition_fields[] = {
    MEMBER_TEXT("AttributeName", attribute_definition, name),
    {NAME("AttributeType"), .type = FIELD_ENUM, .set = &set_attribute_type,
     AT(attribute_definition, type)},
    {.type = FIELD_END},
};
static const struct shape shape_definition = {"AttributeDefinition", definition_fields,
                                              sizeof(struct attribute_definition)};

static const struct field provisioned_fields[] = {
    {NAME("NumberOfDecreasesToday"), .type = FIELD_LONG, .flags = FIELD_KEEP_ZERO,
     AT(provisioned, decreases)},
    {NAME("ReadCapacityUnits"), .type = FIELD_LONG, .flags = FIELD_KEEP_ZERO,
     AT(provisioned, read)},
    {NAME("WriteCapacityUnits"), .type = FIELD_LONG, .flags = FIELD_KEEP_ZERO,
     AT(provisioned, write)},
    {.type = FIELD_END},
};
static const struct shape shape_provisioned = {"ProvisionedThroughputDescription",
                                               provisioned_fields, sizeof(struct provisioned)};

struct billing_summary {
    enum billing_mode mode;
    uint64_t since_ms;
};
static const struct field billing_fields[] = {
    {NAME("BillingMode"), .type = FIELD_ENUM, .set = &set_billing_mode, AT(billing_summary, mode)},
    {NAME("LastUpdateToPayPerRequestDateTime"), .type = FIELD_TIME, AT(billing_summary, since_ms)},
    {.type = FIELD_END},
};
static const struct shape shape_billing = {"BillingModeSummary", billing_fields,
                                           sizeof(struct billing_summary)};

static const struct field on_demand_fields[] = {
    {NAME("MaxReadRequestUnits"), .type = FIELD_LONG, AT(throughput, read),
     GIVEN(throughput, has_read)},
    {NAME("MaxWriteRequestUnits"), .type = FIELD_LONG, AT(throughput, write),
     GIVEN(throughput, has_write)},
    {.type = FIELD_END},
};
static const struct shape shape_on_demand = {"OnDemandThroughput", on_demand_fields,
                                             sizeof(struct throughput)};

static const struct field stream_fields[] = {
    {NAME("StreamEnabled"), .type = FIELD_BOOL, .flags = FIELD_KEEP_ZERO,
     AT(stream_specification, enabled)},
    {NAME("StreamViewType"), .type = FIELD_ENUM, .set = &set_stream_view,
     AT(stream_specification, view)},
    {.type = FIELD_END},
};
static const struct shape shape_stream = {"StreamSpecification", stream_fields,
                                          sizeof(struct stream_specification)};

struct class_summary {
    enum table_class class;
    uint64_t since_ms;
};
static const struct field class_fields[] = {
    {NAME("TableClass"), .type = FIELD_ENUM, .set = &set_table_class, AT(class_summary, class)},
    {NAME("LastUpdateDateTime"), .type = FIELD_TIME, AT(class_summary, since_ms)},
    {.type = FIELD_END},
};
static const struct shape shape_class = {"TableClassSummary", class_fields,
                                         sizeof(struct class_summary)};

static const struct field table_fields[] = {
    {NAME("AttributeDefinitions"), .type = FIELD_LIST, .shape = &shape_definition,
     AT(table_description, definitions), COUNTED(table_description, definition_count)},
    MEMBER_TEXT("TableName", table_description, name),
    {NAME("KeySchema"), .type = FIELD_LIST, .shape = &shape_key_element,
     AT(table_description, keys), COUNTED(table_description, key_count)},
    {NAME("TableStatus"), .type = FIELD_ENUM, .set = &set_table_status,
     AT(table_description, status)},
    {NAME("CreationDateTime"), .type = FIELD_TIME, AT(table_description, created_ms)},
    {NAME("ProvisionedThroughput"), .type = FIELD_STRUCT, .shape = &shape_provisioned,
     AT(table_description, provisioned)},
    {NAME("TableSizeBytes"), .type = FIELD_SIZE, .flags = FIELD_KEEP_ZERO,
     AT(table_description, size_bytes)},
    {NAME("ItemCount"), .type = FIELD_SIZE, .flags = FIELD_KEEP_ZERO,
     AT(table_description, item_count)},
    MEMBER_TEXT("TableArn", table_description, arn),
    MEMBER_TEXT("TableId", table_description, id),
    {NAME("BillingModeSummary"), .type = FIELD_STRUCT, .shape = &shape_billing,
     AT(table_description, billing), GIVEN(table_description, has_billing)},
    {NAME("OnDemandThroughput"), .type = FIELD_STRUCT, .shape = &shape_on_demand,
     AT(table_description, on_demand), GIVEN(table_description, has_on_demand)},
    {NAME("StreamSpecification"), .type = FIELD_STRUCT, .shape = &shape_stream,
     AT(table_description, stream), GIVEN(table_description, has_stream)},
    MEMBER_TEXT("LatestStreamLabel", table_description, stream_label),
    MEMBER_TEXT("LatestStreamArn", table_description, stream_arn),
    {NAME("TableClassSummary"), .type = FIELD_STRUCT, .shape = &shape_class,
     AT(table_description, class), GIVEN(table_description, has_class)},
    {NAME("DeletionProtectionEnabled"), .type = FIELD_BOOL, .flags = FIELD_KEEP_ZERO,
     AT(table_description, protected)},
    {.type = FIELD_END},
};
const struct shape shape_table_description = {"TableDescription", table_fields,
                                              sizeof(struct table_description)};

/* Attributes of the settings item. They are stored: names and meanings stay. */
static const struct bytes name_billing = BYTES_INIT("BillingMode");
static const struct bytes name_read = BYTES_INIT("ReadCapacityUnits");
static const struct bytes name_write = BYTES_INIT("WriteCapacityUnits");
static const struct bytes name_max_read = BYTES_INIT("MaxReadRequestUnits");
static const struct bytes name_max_write = BYTES_INIT("MaxWriteRequestUnits");
static const struct bytes name_since = BYTES_INIT("LastUpdateToPayPerRequest");
static const struct bytes name_class = BYTES_INIT("TableClass");
static const struct bytes name_class_since = BYTES_INIT("LastUpdateOfTableClass");
static const struct bytes name_protected = BYTES_INIT("DeletionProtectionEnabled");
static const struct bytes name_id = BYTES_INIT("TableId");
static const struct bytes name_tags = BYTES_INIT("Tags");

static void describe_settings(const struct table_settings *settings, struct table_description *out);
static enum err describe_stream_of(const struct table *table, struct arena *arena,
                                   struct table_description *out);
static int enum_of(const struct enum_set *set, struct bytes item, struct bytes name);
static bool number_of(struct bytes item, struct bytes name, int64_t *out);

enum err settings_encode(const struct table_settings *settings, struct arena *arena,
                         struct bytes *item)
{
    struct item_build build;
    item_build_init(&build, arena);
    item_build_s(&build, name_billing, bytes_cstr(billing_names[settings->billing]));
    if (settings->billing == BILLING_PROVISIONED) {
        item_build_i64(&build, name_read, settings->throughput.read);
        item_build_i64(&build, name_write, settings->throughput.write);
    }
    if (settings->on_demand.has_read) {
        item_build_i64(&build, name_max_read, settings->on_demand.read);
    }
    if (settings->on_demand.has_write) {
        item_build_i64(&build, name_max_write, settings->on_demand.write);
    }
    if (settings->on_demand_since_ms != 0) {
        item_build_i64(&build, name_since, (int64_t)settings->on_demand_since_ms);
    }
    if (settings->class != CLASS_NONE) {
        item_build_s(&build, name_class, bytes_cstr(class_names[settings->class]));
    }
    if (settings->class_since_ms != 0) {
        item_build_i64(&build, name_class_since, (int64_t)settings->class_since_ms);
    }
    item_build_bool(&build, name_protected, settings->protected);
    item_build_s(&build, name_id, settings->id);
    item_build_m(&build, name_tags, settings->tags);
    return item_build_end(&build, item);
}

void settings_decode(struct bytes item, struct table_settings *settings)
{
    struct value value;
    int64_t since_ms = 0;
    memset(settings, 0, sizeof(*settings));
    settings->billing = (enum billing_mode)enum_of(&set_billing_mode, item, name_billing);
    if (settings->billing == BILLING_NONE) {
        settings->billing = BILLING_PER_REQUEST;
    }
    settings->class = (enum table_class)enum_of(&set_table_class, item, name_class);
    (void)number_of(item, name_read, &settings->throughput.read);
    (void)number_of(item, name_write, &settings->throughput.write);
    settings->on_demand.has_read = number_of(item, name_max_read, &settings->on_demand.read);
    settings->on_demand.has_write = number_of(item, name_max_write, &settings->on_demand.write);
    (void)number_of(item, name_since, &since_ms);
    settings->on_demand_since_ms = since_ms > 0 ? (uint64_t)since_ms : 0;
    since_ms = 0;
    (void)number_of(item, name_class_since, &since_ms);
    settings->class_since_ms = since_ms > 0 ? (uint64_t)since_ms : 0;
    settings->protected = item_get(item, name_protected, &value) && value.tag == VALUE_TRUE;
    if (item_get(item, name_id, &value)) {
        settings->id = value.body;
    }
    if (item_get(item, name_tags, &value) && value.tag == VALUE_M) {
        settings->tags = value.body;
    }
}

struct key_element *key_elements(const struct key_schema *schema, struct arena *arena,
                                 size_t *count)
{
    struct key_element *elements = arena_alloc(arena, 2 * sizeof(*elements));
    if (elements != NULL) {
        elements[0] = (struct key_element){schema->partition.name, KEY_TYPE_HASH};
        elements[1] = (struct key_element){schema->sort.name, KEY_TYPE_RANGE};
        *count = key_schema_has_sort(schema) ? 2 : 1;
    }
    return elements;
}

enum err description_fill(const struct table *table, enum table_status status, struct arena *arena,
                          struct table_description *out)
{
    struct table_settings settings;
    struct bytes kept = arena_dup(arena, table->settings);
    struct key_schema schema = table->schema;
    schema.partition.name = arena_dup(arena, schema.partition.name);
    schema.sort.name = arena_dup(arena, schema.sort.name);
    out->keys = key_elements(&schema, arena, &out->key_count);
    out->definitions = arena_alloc(arena, 2 * sizeof(*out->definitions));
    out->name = arena_dup(arena, table->name);
    out->arn = arena_dup(arena, table->arn);
    if (kept.ptr == NULL || schema.partition.name.ptr == NULL || schema.sort.name.ptr == NULL ||
        out->keys == NULL || out->definitions == NULL || out->name.ptr == NULL ||
        out->arn.ptr == NULL) {
        return ERR_NOMEM;
    }
    out->definitions[0] =
        (struct attribute_definition){schema.partition.name, schema.partition.tag};
    out->definitions[1] = (struct attribute_definition){schema.sort.name, schema.sort.tag};
    out->definition_count = out->key_count;
    out->status = status;
    out->created_ms = table->created_ms;
    settings_decode(kept, &settings);
    describe_settings(&settings, out);
    return describe_stream_of(table, arena, out);
}

static void describe_settings(const struct table_settings *settings, struct table_description *out)
{
    out->provisioned.read = settings->throughput.read;
    out->provisioned.write = settings->throughput.write;
    out->id = settings->id;
    out->has_billing =
        settings->billing == BILLING_PER_REQUEST || settings->on_demand_since_ms != 0;
    out->billing.mode = settings->billing;
    out->billing.since_ms =
        settings->on_demand_since_ms != 0 ? settings->on_demand_since_ms : out->created_ms;
    out->on_demand = settings->on_demand;
    out->has_on_demand = settings->on_demand.has_read || settings->on_demand.has_write;
    out->has_class = settings->class != CLASS_NONE;
    out->class.class = settings->class;
    out->class.since_ms = settings->class_since_ms;
    out->protected = settings->protected;
}

static enum err describe_stream_of(const struct table *table, struct arena *arena,
                                   struct table_description *out)
{
    if (table->stream != NULL) {
        out->has_stream = true;
        out->stream.enabled = true;
        out->stream.view = table->stream->view;
    }
    if (table->latest_stream_arn.len > 0) {
        out->stream_arn = arena_dup(arena, table->latest_stream_arn);
        out->stream_label = arena_dup(arena, table->latest_stream_label);
        return out->stream_arn.ptr == NULL || out->stream_label.ptr == NULL ? ERR_NOMEM : OK;
    }
    return OK;
}

enum err lookup_control(struct op_call *call, struct reader *reader, struct bytes name,
                        const struct table **table)
{
    *table = reader_table(reader, name);
    if (*table == NULL) {
        return fault(call, FAULT_NOT_FOUND, "Requested resource not found: Table: %.*s not found",
                     BYTES_FMT(name));
    }
    return OK;
}

static int enum_of(const struct enum_set *set, struct bytes item, struct bytes name)
{
    struct value value;
    if (!item_get(item, name, &value)) {
        return 0;
    }
    for (size_t i = 0; i < set->count; i++) {
        if (set->names[i] != NULL && bytes_equal(value.body, bytes_cstr(set->names[i]))) {
            return (int)i;
        }
    }
    return 0;
}

static bool number_of(struct bytes item, struct bytes name, int64_t *out)
{
    struct value value;
    return item_get(item, name, &value) && value_i64(value, out);
}
