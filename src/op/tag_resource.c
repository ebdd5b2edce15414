/* TagResource: gives a table tags, or tags it has another value.
 * Amazon DynamoDB API Reference, API_TagResource. */
#include "op/tags.h"

struct tag_resource_in {
    struct bytes arn;
    struct table_tag *tags;
    size_t tag_count;
    uint64_t age_ms; /* chosen once per call: evaluation is repeatable */
};

static enum err tag_resource_check(struct op_call *call);
static enum err tag_resource_run(struct op_call *call, struct reader *reader,
                                 struct changes *changes);

static const struct field tag_resource_in_fields[] = {
    MEMBER_RESOURCE(tag_resource_in),
    {NAME("Tags"), .type = FIELD_LIST, .flags = FIELD_REQUIRED, .stage = 1, .shape = &shape_tag_in,
     AT(tag_resource_in, tags), COUNTED(tag_resource_in, tag_count)},
    {.type = FIELD_END},
};

static const struct field tag_resource_out_fields[] = {{.type = FIELD_END}};

const struct op op_tag_resource = {
    .name = "TagResource",
    .api = OP_API_DYNAMODB,
    .writes = true,
    .in_size = sizeof(struct tag_resource_in),
    .out_size = 1,
    .in_fields = tag_resource_in_fields,
    .out_fields = tag_resource_out_fields,
    .check = tag_resource_check,
    .run = tag_resource_run,
};

static enum err tag_resource_check(struct op_call *call)
{
    const struct tag_resource_in *in = call->in;
    TRY(check_resource_arn(call, in->arn));
    if (in->tag_count == 0) {
        return fault(call, FAULT_VALIDATION, "Atleast one Tag needs to be provided as Input.");
    }
    return check_tags(call, in->tags, in->tag_count);
}

static enum err tag_resource_run(struct op_call *call, struct reader *reader,
                                 struct changes *changes)
{
    struct tag_resource_in *in = call->in;
    struct table_settings settings;
    struct bytes tags;
    const struct table *table;
    TRY(lookup_resource(call, reader, in->arn, &table));
    settings_decode(table->settings, &settings);
    TRY(tags_add(call, settings.tags, in->tags, in->tag_count, &tags));
    return tags_change(call, reader, changes, table, tags, &in->age_ms);
}
