/* UntagResource: takes tags from a table. Those it does not have are gone already.
 * Amazon DynamoDB API Reference, API_UntagResource. */
#include "op/tags.h"

struct untag_resource_in {
    struct bytes arn;
    struct bytes *keys;
    size_t key_count;
    uint64_t age_ms; /* chosen once per call: evaluation is repeatable */
};

static enum err untag_resource_check(struct op_call *call);
static enum err untag_resource_run(struct op_call *call, struct reader *reader,
                                   struct changes *changes);
static bool is_named(const struct untag_resource_in *in, struct bytes key);

static const struct field untag_resource_in_fields[] = {
    MEMBER_RESOURCE(untag_resource_in),
    {NAME("TagKeys"), .type = FIELD_STRINGS, .flags = FIELD_REQUIRED, .stage = 1,
     AT(untag_resource_in, keys), COUNTED(untag_resource_in, key_count)},
    {.type = FIELD_END},
};

static const struct field untag_resource_out_fields[] = {{.type = FIELD_END}};

const struct op op_untag_resource = {
    .name = "UntagResource",
    .api = OP_API_DYNAMODB,
    .writes = true,
    .in_size = sizeof(struct untag_resource_in),
    .out_size = 1,
    .in_fields = untag_resource_in_fields,
    .out_fields = untag_resource_out_fields,
    .check = untag_resource_check,
    .run = untag_resource_run,
};

static enum err untag_resource_check(struct op_call *call)
{
    const struct untag_resource_in *in = call->in;
    TRY(check_resource_arn(call, in->arn));
    if (in->key_count == 0) {
        return fault(call, FAULT_VALIDATION, "Atleast one Tag Key needs to be provided as Input.");
    }
    return check_tag_keys(call, in->keys, in->key_count);
}

static enum err untag_resource_run(struct op_call *call, struct reader *reader,
                                   struct changes *changes)
{
    struct untag_resource_in *in = call->in;
    struct table_settings settings;
    struct item_build build;
    struct bytes tags;
    struct bytes name;
    struct value value;
    const struct table *table;
    TRY(lookup_resource(call, reader, in->arn, &table));
    settings_decode(table->settings, &settings);
    struct cursor cursor = cursor_of(settings.tags);
    item_build_init(&build, call->arena);
    while (item_next(&cursor, &name, &value)) {
        if (!is_named(in, name)) {
            item_build_value(&build, name, value);
        }
    }
    TRY(item_build_end(&build, &tags));
    return tags_change(call, reader, changes, table, tags, &in->age_ms);
}

static bool is_named(const struct untag_resource_in *in, struct bytes key)
{
    for (size_t i = 0; i < in->key_count && i < LIST_DECODED_MAX; i++) {
        if (bytes_equal(in->keys[i], key)) {
            return true;
        }
    }
    return false;
}
