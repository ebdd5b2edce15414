/* All field tables as JSON, for programs that make requests wrong on purpose: each member with its
 * type and bounds, nested as on the wire. */
#include "op/op_priv.h"

static void describe_fields(struct buf *out, const struct field *fields);
static void describe_field(struct buf *out, const struct field *field);
static void describe_set(struct buf *out, const struct enum_set *set);

static const char *const type_names[] = {
    [FIELD_END] = "",         [FIELD_STRING] = "string",   [FIELD_ENUM] = "enum",
    [FIELD_BOOL] = "boolean", [FIELD_INTEGER] = "integer", [FIELD_LONG] = "long",
    [FIELD_ITEM] = "item",    [FIELD_NAMES] = "names",     [FIELD_STRUCT] = "struct",
    [FIELD_LIST] = "list",    [FIELD_UNBUILT] = "unbuilt", [FIELD_STRINGS] = "strings",
    [FIELD_ITEMS] = "items",  [FIELD_SIZE] = "long",       [FIELD_DOUBLE] = "double",
    [FIELD_TIME] = "time",    [FIELD_SECONDS] = "seconds", [FIELD_MAP] = "map",
};

void op_describe_json(struct buf *out)
{
    static const char *const targets[] = {
        [OP_API_DYNAMODB] = "DynamoDB_20120810", [OP_API_STREAMS] = "DynamoDBStreams_20120810"};
    buf_add_byte(out, '[');
    for (size_t i = 0; i < op_list_count; i++) {
        const struct op *op = op_list[i];
        buf_printf(
            out, "%s{\"name\":\"%s\",\"target\":\"%s.%s\",\"writes\":%s,\"in\":", i == 0 ? "" : ",",
            op->name, targets[op->api], op->name, op->writes ? "true" : "false");
        describe_fields(out, op->in_fields);
        buf_add_cstr(out, ",\"out\":");
        describe_fields(out, op->out_fields);
        buf_add_byte(out, '}');
    }
    buf_add_byte(out, ']');
}

static void describe_fields(struct buf *out, const struct field *fields)
{
    buf_add_byte(out, '[');
    for (const struct field *field = fields; field->type != FIELD_END; field++) {
        if (field != fields) {
            buf_add_byte(out, ',');
        }
        describe_field(out, field);
    }
    buf_add_byte(out, ']');
}

static void describe_field(struct buf *out, const struct field *field)
{
    bool name = field->form != FORM_ANY;
    int64_t min = name ? TABLE_NAME_MIN : field->min;
    int64_t max = name ? TABLE_NAME_MAX : field->max;
    buf_printf(out, "{\"name\":\"%s\",\"type\":\"%s\"", field->name.ptr, type_names[field->type]);
    if ((field->flags & FIELD_REQUIRED) != 0) {
        buf_add_cstr(out, ",\"required\":true");
    }
    if (min != 0 || (field->flags & FIELD_NATURAL) != 0) {
        buf_printf(out, ",\"min\":%lld", (long long)min);
    }
    if (max != 0) {
        buf_printf(out, ",\"max\":%lld", (long long)max);
    }
    if (name) {
        buf_add_cstr(out, ",\"pattern\":\"[a-zA-Z0-9_.-]+\"");
    }
    if (field->set != NULL) {
        describe_set(out, field->set);
    }
    if (field->shape != NULL) {
        buf_add_cstr(out, ",\"members\":");
        describe_fields(out, field->shape->fields);
    }
    buf_add_byte(out, '}');
}

static void describe_set(struct buf *out, const struct enum_set *set)
{
    const char *between = "";
    buf_add_cstr(out, ",\"values\":[");
    for (size_t i = 0; i < set->count; i++) {
        if (set->names[i] != NULL) {
            buf_printf(out, "%s\"%s\"", between, set->names[i]);
            between = ",";
        }
    }
    buf_add_byte(out, ']');
}
