/* Lists and maps as constraint texts show them, which is as Java's toString does: lists of plain
 * structs whole, a map with its names. What is within larger ones is left out: DynamoDB's own hosts
 * differ in it. */
#include "op/op_priv.h"

#include <ctype.h>

#define ECHO_BYTES_MAX (64u << 10)

static bool is_plain(const struct shape *shape);
static void add_struct(struct buf *out, const struct decode *decode, const struct shape *shape,
                       const void *base);
static struct bytes member_text(const struct decode *decode, const struct field *field,
                                const void *base);
static struct bytes finish(struct decode *decode, struct buf *text);

struct bytes echo_list(struct decode *decode, const struct field *field, const void *base)
{
    const char *elements = *(const char *const *)(const void *)((const char *)base + field->offset);
    size_t count = *(const size_t *)(const void *)((const char *)base + field->count);
    struct buf text;
    if (field->type != FIELD_LIST || !is_plain(field->shape)) {
        return BYTES("[...]");
    }
    buf_init(&text, ECHO_BYTES_MAX);
    for (size_t i = 0; i < count && i < LIST_DECODED_MAX; i++) {
        buf_add_cstr(&text, i == 0 ? "[" : ", ");
        add_struct(&text, decode, field->shape, elements + i * field->shape->size);
    }
    buf_add_byte(&text, ']');
    return finish(decode, &text);
}

struct bytes echo_map(struct decode *decode, const struct field *field, const void *base)
{
    const char *entries = *(const char *const *)(const void *)((const char *)base + field->offset);
    size_t count = *(const size_t *)(const void *)((const char *)base + field->count);
    const struct field *value = field->shape->fields;
    struct buf text;
    buf_init(&text, ECHO_BYTES_MAX);
    for (size_t i = 0; i < count && i < LIST_DECODED_MAX; i++) {
        const void *entry = entries + i * field->shape->size;
        buf_add_cstr(&text, i == 0 ? "{" : ", ");
        buf_add(&text, *(const struct bytes *)entry);
        if (value->type == FIELD_LIST) {
            size_t within = *(const size_t *)(const void *)((const char *)entry + value->count);
            buf_add_cstr(&text, within == 0 ? "=[]" : "=[...]");
        } else {
            buf_printf(&text, "=%s(...)", value->shape->type);
        }
    }
    buf_add_byte(&text, '}');
    return finish(decode, &text);
}

static bool is_plain(const struct shape *shape)
{
    const struct field *field = shape->fields;
    while (field->type == FIELD_STRING || field->type == FIELD_ENUM) {
        field++;
    }
    return field->type == FIELD_END;
}

static void add_struct(struct buf *out, const struct decode *decode, const struct shape *shape,
                       const void *base)
{
    buf_add_cstr(out, shape->type);
    for (const struct field *field = shape->fields; field->type != FIELD_END; field++) {
        buf_printf(out, "%s%c%s=", field == shape->fields ? "(" : ", ", tolower(field->name.ptr[0]),
                   (const char *)field->name.ptr + 1);
        buf_add(out, member_text(decode, field, base));
    }
    buf_add_byte(out, ')');
}

static struct bytes member_text(const struct decode *decode, const struct field *field,
                                const void *base)
{
    const void *place = (const char *)base + field->offset;
    if (field->type == FIELD_STRING) {
        struct bytes text = *(const struct bytes *)place;
        return text.ptr == NULL ? BYTES("null") : text;
    }
    int value = *(const int *)place;
    return value == ENUM_STRAY ? decode_stray_text(decode, place)
           : value == 0        ? BYTES("null")
                               : bytes_cstr(field->set->names[value]);
}

static struct bytes finish(struct decode *decode, struct buf *text)
{
    struct bytes kept = arena_dup(decode->call->arena, buf_bytes(text));
    buf_fini(text);
    return kept.ptr == NULL ? BYTES("") : kept;
}
