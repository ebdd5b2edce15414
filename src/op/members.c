/* Members that many operations share: their enum sets, with DynamoDB's list of each in its own
 * order, and the shape of ConsumedCapacity. */
#include "op/op_priv.h"

static const char *const return_values_names[] = {
    [RETURN_NONE] = "NONE",
    [RETURN_ALL_OLD] = "ALL_OLD",
    [RETURN_UPDATED_OLD] = "UPDATED_OLD",
    [RETURN_ALL_NEW] = "ALL_NEW",
    [RETURN_UPDATED_NEW] = "UPDATED_NEW",
};
static const char *const on_failure_names[] = {
    [RETURN_NONE] = "NONE",
    [RETURN_ALL_OLD] = "ALL_OLD",
};
static const char *const capacity_names[] = {
    [CAPACITY_NONE] = "NONE",
    [CAPACITY_TOTAL] = "TOTAL",
    [CAPACITY_INDEXES] = "INDEXES",
};
static const char *const metrics_names[] = {
    [METRICS_NONE] = "NONE",
    [METRICS_SIZE] = "SIZE",
};

#define TEXT_ONLY_OLD "ReturnValues can only be ALL_OLD or NONE"
#define RETURN_VALUES_TEXT                                                                         \
    "Failed to satisfy constraint: Member must satisfy enum value set: "                           \
    "[ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATE_NEW, NONE]"

#define RETURN_VALUES_OLD_TEXT "[ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]"

/* DynamoDB's newer text names no value, and says UPDATE_NEW. */
const struct enum_set set_return_values = {
    .names = return_values_names,
    .count = sizeof(return_values_names) / sizeof(return_values_names[0]),
    .text = RETURN_VALUES_OLD_TEXT,
    .bare = RETURN_VALUES_TEXT,
};
/* DeleteItem tells a value that it does not take beside its other faults, PutItem after them. */
const struct enum_set set_return_values_old = {
    .names = on_failure_names,
    .count = sizeof(on_failure_names) / sizeof(on_failure_names[0]),
    .text = RETURN_VALUES_OLD_TEXT,
    .bare = RETURN_VALUES_TEXT,
    .wider = &set_return_values,
    .narrow = TEXT_ONLY_OLD,
};
const struct enum_set set_on_condition_failure = ENUM_SET(on_failure_names, "[ALL_OLD, NONE]");
const struct enum_set set_capacity = ENUM_SET(capacity_names, "[INDEXES, TOTAL, NONE]");
const struct enum_set set_metrics = ENUM_SET(metrics_names, "[SIZE, NONE]");

static const struct field units_fields[] = {
    {NAME("CapacityUnits"), .type = FIELD_DOUBLE, .flags = FIELD_KEEP_ZERO,
     AT(capacity_units, units)},
    {NAME("ReadCapacityUnits"), .type = FIELD_DOUBLE, AT(capacity_units, read)},
    {NAME("WriteCapacityUnits"), .type = FIELD_DOUBLE, AT(capacity_units, write)},
    {.type = FIELD_END},
};
static const struct shape shape_units = {"Capacity", units_fields, sizeof(struct capacity_units)};

static const struct field capacity_fields[] = {
    MEMBER_TEXT("TableName", consumed_capacity, table_name),
    {NAME("CapacityUnits"), .type = FIELD_DOUBLE, AT(consumed_capacity, total.units)},
    {NAME("ReadCapacityUnits"), .type = FIELD_DOUBLE, AT(consumed_capacity, total.read)},
    {NAME("WriteCapacityUnits"), .type = FIELD_DOUBLE, AT(consumed_capacity, total.write)},
    {NAME("Table"), .type = FIELD_STRUCT, .shape = &shape_units, AT(consumed_capacity, table),
     GIVEN(consumed_capacity, detailed)},
    {.type = FIELD_END},
};
const struct shape shape_capacity = {"ConsumedCapacity", capacity_fields,
                                     sizeof(struct consumed_capacity)};

enum err check_return_values_old(struct op_call *call, enum return_values values)
{
    if (values == RETURN_NONE || values == RETURN_ALL_OLD) {
        return OK;
    }
    return fault(call, FAULT_VALIDATION, "%s", TEXT_ONLY_OLD);
}
