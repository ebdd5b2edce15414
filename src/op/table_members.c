/* Members that several requests about tables have: see description.h. Their order is that in which
 * DynamoDB tells what is wrong with them. */
#include "op/description.h"

static const struct field definition_fields[] = {
    {NAME("AttributeType"), .type = FIELD_ENUM, .flags = FIELD_REQUIRED, .stage = 1,
     .set = &set_attribute_type, AT(attribute_definition, type)},
    {NAME("AttributeName"), .type = FIELD_STRING, .flags = FIELD_REQUIRED, .stage = 1, .min = 1,
     .max = 255, AT(attribute_definition, name)},
    {.type = FIELD_END},
};
const struct shape shape_definition_in = {"AttributeDefinition", definition_fields,
                                          sizeof(struct attribute_definition)};

static const struct field throughput_fields[] = {
    {NAME("WriteCapacityUnits"), .type = FIELD_LONG, .flags = FIELD_REQUIRED, .stage = 1, .min = 1,
     AT(throughput, write), GIVEN(throughput, has_write)},
    {NAME("ReadCapacityUnits"), .type = FIELD_LONG, .flags = FIELD_REQUIRED, .stage = 1, .min = 1,
     AT(throughput, read), GIVEN(throughput, has_read)},
    {.type = FIELD_END},
};
const struct shape shape_throughput_in = {"ProvisionedThroughput", throughput_fields,
                                          sizeof(struct throughput)};

static const struct field on_demand_fields[] = {
    {NAME("MaxReadRequestUnits"), .type = FIELD_LONG, AT(throughput, read),
     GIVEN(throughput, has_read)},
    {NAME("MaxWriteRequestUnits"), .type = FIELD_LONG, AT(throughput, write),
     GIVEN(throughput, has_write)},
    {.type = FIELD_END},
};
const struct shape shape_on_demand_in = {"OnDemandThroughput", on_demand_fields,
                                         sizeof(struct throughput)};

static const struct field stream_fields[] = {
    {NAME("StreamEnabled"), .type = FIELD_BOOL, .flags = FIELD_REQUIRED, .stage = 1,
     AT(stream_specification, enabled), GIVEN(stream_specification, has_enabled)},
    {NAME("StreamViewType"), .type = FIELD_ENUM, .stage = 1, .set = &set_stream_view,
     AT(stream_specification, view)},
    {.type = FIELD_END},
};
const struct shape shape_stream_in = {"StreamSpecification", stream_fields,
                                      sizeof(struct stream_specification)};

static const struct field tag_fields[] = {
    {NAME("Key"), .type = FIELD_STRING, .flags = FIELD_REQUIRED | FIELD_OWN_WORDS, .min = 1,
     .max = TAG_KEY_MAX, AT(table_tag, key)},
    {NAME("Value"), .type = FIELD_STRING, .flags = FIELD_REQUIRED | FIELD_OWN_WORDS,
     .max = TAG_VALUE_MAX, AT(table_tag, value)},
    {.type = FIELD_END},
};
const struct shape shape_tag_in = {"Tag", tag_fields, sizeof(struct table_tag)};

static const char *const encryption_names[] = {
    [ENCRYPTION_AES256] = "AES256", [ENCRYPTION_KMS] = "KMS"};
static const struct enum_set set_encryption = ENUM_SET(encryption_names, "[AES256, KMS]");

static const struct field encryption_fields[] = {
    {NAME("Enabled"), .type = FIELD_BOOL, AT(encryption, enabled), GIVEN(encryption, has_enabled)},
    {NAME("SSEType"), .type = FIELD_ENUM, .stage = 1, .set = &set_encryption, AT(encryption, type)},
    {NAME("KMSMasterKeyId"), .type = FIELD_STRING, .stage = 1, .min = 1, AT(encryption, key)},
    {.type = FIELD_END},
};
const struct shape shape_encryption_in = {"SSESpecification", encryption_fields,
                                          sizeof(struct encryption)};

enum err check_units(struct op_call *call, const char *member, int64_t units)
{
    if (units <= CAPACITY_UNITS_MAX) {
        return OK;
    }
    return fault(call, FAULT_VALIDATION, "Given value %lld for %s is out of bounds",
                 (long long)units, member);
}

enum err check_encryption(struct op_call *call, const struct encryption *asked)
{
    if (asked->has_enabled && !asked->enabled && asked->type != ENCRYPTION_NONE) {
        return fault(call, FAULT_VALIDATION,
                     INVALID_VALUES "SSEType can not be specified if Enabled is false");
    }
    if (asked->has_enabled && !asked->enabled && asked->key.ptr != NULL) {
        return fault(call, FAULT_VALIDATION,
                     INVALID_VALUES "KMSMasterKeyId can not be specified if Enabled is false");
    }
    if (asked->type == ENCRYPTION_AES256) {
        return fault(call, FAULT_VALIDATION, INVALID_VALUES "SSEType AES256 is not supported");
    }
    if (asked->enabled || asked->type == ENCRYPTION_KMS || asked->key.ptr != NULL) {
        return fault(call, FAULT_VALIDATION,
                     "Headwater does not support SSESpecification with keys yet");
    }
    return OK;
}
