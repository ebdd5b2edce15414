/* Hop 7 of the straight path: after the operation's run, before server/dispatch.c. The output
 * struct becomes JSON, driven by its field table; items are written straight from their bytes.
 *
 * What is absent is left out, never null: pointers that are NULL, numbers that are 0 (unless the
 * table keeps them), structs and items whose `given` is false. */
#include "op/op_priv.h"

#include "base/assert.h"

static bool is_present(const struct field *field, const void *base);
static void encode_field(struct buf *out, const struct field *field, const void *base);
static void encode_item(struct buf *out, const struct field *field, struct bytes item);
static void encode_list(struct buf *out, const struct field *field, const void *base);
static void encode_map(struct buf *out, const struct field *field, const void *base);
static void encode_names(struct buf *out, struct bytes names);
static void encode_double(struct buf *out, double number);
static void encode_time(struct buf *out, uint64_t ms, bool whole);

/* Alignment is the tables' promise: offsets are those of members of that type. */
#define MEMBER_OF(type, base, offset)                                                              \
    (*(type const *)(const void *)((const char *)(base) + (offset)))

unsigned op_encode(const struct op_call *call, struct buf *out)
{
    if (call->fault.code != FAULT_NONE) {
        return fault_encode(&call->fault, out);
    }
    if (call->op->encode != NULL) {
        call->op->encode(call, out);
    } else if (call->op->out_fields->type != FIELD_END) {
        encode_fields(out, call->op->out_fields, call->out);
    }
    return 200;
}

void encode_fields(struct buf *out, const struct field *fields, const void *base)
{
    bool first = true;
    buf_add_byte(out, '{');
    for (const struct field *field = fields; field->type != FIELD_END; field++) {
        if (!is_present(field, base)) {
            continue;
        }
        if (!first) {
            buf_add_byte(out, ',');
        }
        first = false;
        buf_add_byte(out, '"');
        buf_add(out, field->name);
        buf_add(out, BYTES("\":"));
        encode_field(out, field, base);
    }
    buf_add_byte(out, '}');
}

static bool is_present(const struct field *field, const void *base)
{
    if (field->given != 0) {
        return MEMBER_OF(bool, base, field->given);
    }
    if ((field->flags & FIELD_KEEP_ZERO) != 0) {
        return true;
    }
    switch (field->type) {
    case FIELD_STRING:
        return MEMBER_OF(struct bytes, base, field->offset).ptr != NULL;
    case FIELD_ITEM:
    case FIELD_NAMES:
        return MEMBER_OF(struct bytes, base, field->offset).len > 0;
    case FIELD_ENUM:
        return MEMBER_OF(int, base, field->offset) != 0;
    case FIELD_BOOL:
        return MEMBER_OF(bool, base, field->offset);
    case FIELD_INTEGER:
        return MEMBER_OF(int32_t, base, field->offset) != 0;
    case FIELD_LONG:
        return MEMBER_OF(int64_t, base, field->offset) != 0;
    case FIELD_SIZE:
        return MEMBER_OF(size_t, base, field->offset) != 0;
    case FIELD_DOUBLE:
        return MEMBER_OF(double, base, field->offset) > 0;
    case FIELD_TIME:
    case FIELD_SECONDS:
        return MEMBER_OF(uint64_t, base, field->offset) != 0;
    case FIELD_LIST:
    case FIELD_STRINGS:
    case FIELD_ITEMS:
    case FIELD_MAP:
        return MEMBER_OF(void *, base, field->offset) != NULL;
    case FIELD_STRUCT:
        return true;
    case FIELD_END:
    case FIELD_UNBUILT:
        break;
    }
    return false;
}

static void encode_field(struct buf *out, const struct field *field, const void *base)
{
    switch (field->type) {
    case FIELD_STRING:
        json_add_string(out, MEMBER_OF(struct bytes, base, field->offset));
        break;
    case FIELD_ITEM:
        encode_item(out, field, MEMBER_OF(struct bytes, base, field->offset));
        break;
    case FIELD_ENUM:
        json_add_string(out, bytes_cstr(field->set->names[MEMBER_OF(int, base, field->offset)]));
        break;
    case FIELD_BOOL:
        buf_add_cstr(out, MEMBER_OF(bool, base, field->offset) ? "true" : "false");
        break;
    case FIELD_INTEGER:
        buf_printf(out, "%d", MEMBER_OF(int32_t, base, field->offset));
        break;
    case FIELD_LONG:
        buf_printf(out, "%lld", (long long)MEMBER_OF(int64_t, base, field->offset));
        break;
    case FIELD_SIZE:
        buf_printf(out, "%zu", MEMBER_OF(size_t, base, field->offset));
        break;
    case FIELD_DOUBLE:
        encode_double(out, MEMBER_OF(double, base, field->offset));
        break;
    case FIELD_TIME:
    case FIELD_SECONDS:
        encode_time(out, MEMBER_OF(uint64_t, base, field->offset), field->type == FIELD_SECONDS);
        break;
    case FIELD_STRUCT:
        encode_fields(out, field->shape->fields, (const char *)base + field->offset);
        break;
    case FIELD_LIST:
    case FIELD_STRINGS:
    case FIELD_ITEMS:
        encode_list(out, field, base);
        break;
    case FIELD_MAP:
        encode_map(out, field, base);
        break;
    case FIELD_NAMES:
        encode_names(out, MEMBER_OF(struct bytes, base, field->offset));
        break;
    case FIELD_END:
    case FIELD_UNBUILT:
        ASSERT(false); /* a type of requests in a table of answers */
    }
}

static void encode_list(struct buf *out, const struct field *field, const void *base)
{
    const char *elements = MEMBER_OF(const char *, base, field->offset);
    size_t count = MEMBER_OF(size_t, base, field->count);
    size_t size = field->type == FIELD_LIST ? field->shape->size : sizeof(struct bytes);
    buf_add_byte(out, '[');
    for (size_t i = 0; i < count; i++) {
        const char *element = elements + i * size;
        if (i > 0) {
            buf_add_byte(out, ',');
        }
        if (field->type == FIELD_LIST) {
            encode_fields(out, field->shape->fields, element);
        } else if (field->type == FIELD_ITEMS) {
            encode_item(out, field, MEMBER_OF(struct bytes, element, 0));
        } else {
            json_add_string(out, MEMBER_OF(struct bytes, element, 0));
        }
    }
    buf_add_byte(out, ']');
}

static void encode_item(struct buf *out, const struct field *field, struct bytes item)
{
    if ((field->flags & FIELD_HASHED) != 0) {
        item_to_json_hashed(out, item);
    } else {
        item_to_json(out, item);
    }
}

static void encode_map(struct buf *out, const struct field *field, const void *base)
{
    const char *entries = MEMBER_OF(const char *, base, field->offset);
    size_t count = MEMBER_OF(size_t, base, field->count);
    buf_add_byte(out, '{');
    for (size_t i = 0; i < count; i++) {
        const char *entry = entries + i * field->shape->size;
        if (i > 0) {
            buf_add_byte(out, ',');
        }
        json_add_string(out, MEMBER_OF(struct bytes, entry, 0));
        buf_add_byte(out, ':');
        encode_field(out, field->shape->fields, entry);
    }
    buf_add_byte(out, '}');
}

static void encode_names(struct buf *out, struct bytes names)
{
    struct cursor cursor = cursor_of(names);
    struct bytes name;
    struct value value;
    const char *between = "{";
    while (item_next(&cursor, &name, &value)) {
        buf_add_cstr(out, between);
        json_add_string(out, name);
        buf_add_byte(out, ':');
        json_add_string(out, value.body);
        between = ",";
    }
    buf_add_cstr(out, *between == '{' ? "{}" : "}");
}

/* Capacity units: whole or half ones. */
static void encode_double(struct buf *out, double number)
{
    uint64_t halves = (uint64_t)(number * 2 + 0.25);
    buf_printf(out, "%llu.%c", (unsigned long long)(halves / 2), halves % 2 == 0 ? '0' : '5');
}

static void encode_time(struct buf *out, uint64_t ms, bool whole)
{
    unsigned fraction = (unsigned)(ms % 1000);
    buf_printf(out, "%llu", (unsigned long long)(ms / 1000));
    if (whole || fraction == 0) {
        return;
    }
    buf_printf(out, ".%03u", fraction);
    while (!out->failed && out->ptr[out->len - 1] == '0') {
        out->len--;
    }
}
