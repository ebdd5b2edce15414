/* ListTagsOfResource: the tags of a table, by key. All of them fit into one page, so no NextToken
 * is ever given, and none that comes is ours.
 * Amazon DynamoDB API Reference, API_ListTagsOfResource. */
#include "op/tags.h"

struct list_tags_in {
    struct bytes arn;
    struct bytes token;
};

struct list_tags_out {
    struct table_tag *tags;
    size_t count;
};

static enum err list_tags_check(struct op_call *call);
static enum err list_tags_run(struct op_call *call, struct reader *reader, struct changes *changes);

static const struct field list_tags_in_fields[] = {
    MEMBER_RESOURCE(list_tags_in),
    {NAME("NextToken"), .type = FIELD_STRING, AT(list_tags_in, token)},
    {.type = FIELD_END},
};

static const struct field tag_fields[] = {
    MEMBER_TEXT("Key", table_tag, key),
    MEMBER_TEXT("Value", table_tag, value),
    {.type = FIELD_END},
};
static const struct shape shape_tag = {"Tag", tag_fields, sizeof(struct table_tag)};

static const struct field list_tags_out_fields[] = {
    {NAME("Tags"), .type = FIELD_LIST, .shape = &shape_tag, AT(list_tags_out, tags),
     COUNTED(list_tags_out, count)},
    {.type = FIELD_END},
};

const struct op op_list_tags_of_resource = {
    .name = "ListTagsOfResource",
    .api = OP_API_DYNAMODB,
    .in_size = sizeof(struct list_tags_in),
    .out_size = sizeof(struct list_tags_out),
    .in_fields = list_tags_in_fields,
    .out_fields = list_tags_out_fields,
    .check = list_tags_check,
    .run = list_tags_run,
};

static enum err list_tags_check(struct op_call *call)
{
    const struct list_tags_in *in = call->in;
    TRY(check_resource_arn(call, in->arn));
    if (in->token.ptr != NULL) {
        return fault(call, FAULT_VALIDATION, "Invalid NextToken");
    }
    return OK;
}

static enum err list_tags_run(struct op_call *call, struct reader *reader, struct changes *changes)
{
    const struct list_tags_in *in = call->in;
    struct list_tags_out *out = call->out;
    struct table_settings settings;
    const struct table *table = reader_table(reader, in->arn);
    (void)changes;
    if (table == NULL) {
        struct bytes account = store_account(reader->store);
        return fault(call, FAULT_ACCESS_DENIED,
                     "User: arn:aws:iam::%.*s:root is not authorized to perform: "
                     "dynamodb:ListTagsOfResource on resource: *",
                     BYTES_FMT(account));
    }
    struct bytes kept = arena_dup(call->arena, table->settings);
    out->tags = arena_zalloc(call->arena, (TAGS_MAX + 1) * sizeof(*out->tags));
    if (kept.ptr == NULL || out->tags == NULL) {
        return ERR_NOMEM;
    }
    settings_decode(kept, &settings);
    struct cursor cursor = cursor_of(settings.tags);
    struct bytes name;
    struct value value;
    while (out->count < TAGS_MAX && item_next(&cursor, &name, &value)) {
        out->tags[out->count++] =
            (struct table_tag){name, value.body.ptr == NULL ? BYTES("") : value.body};
    }
    return OK;
}
