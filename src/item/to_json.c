/* The JSON form, written straight from the item encoding. */
#include "base/base64.h"
#include "item/item.h"
#include "item/number.h"

static void add_members(struct buf *buf, struct bytes item, bool hashed);
static void add_value(struct buf *buf, struct value value, bool hashed);
static void add_hashed_numbers(struct buf *buf, struct bytes set);
static void add_number(void *arg, struct bytes number);
static void add_element(struct buf *buf, enum value_tag tag, struct bytes element);

void item_to_json(struct buf *buf, struct bytes item)
{
    add_members(buf, item, false);
}

void item_to_json_hashed(struct buf *buf, struct bytes item)
{
    add_members(buf, item, true);
}

void value_to_json(struct buf *buf, struct value value)
{
    add_value(buf, value, false);
}

static void add_members(struct buf *buf, struct bytes item, bool hashed)
{
    struct cursor cursor = cursor_of(item);
    struct bytes name;
    struct value value;
    bool first = true;
    buf_add_byte(buf, '{');
    while (item_next(&cursor, &name, &value)) {
        if (!first) {
            buf_add_byte(buf, ',');
        }
        json_add_string(buf, name);
        buf_add_byte(buf, ':');
        add_value(buf, value, hashed);
        first = false;
    }
    buf_add_byte(buf, '}');
}

/* Of a set whose bracket is open. */
static void add_hashed_numbers(struct buf *buf, struct bytes set)
{
    hash_set_each(set, add_number, buf);
    buf->len -= buf->len > 0; /* the last comma */
    buf_add(buf, BYTES("]}"));
}

static void add_number(void *arg, struct bytes number)
{
    add_element(arg, VALUE_N, number);
    buf_add_byte(arg, ',');
}

static void add_element(struct buf *buf, enum value_tag tag, struct bytes element)
{
    if (tag == VALUE_S || tag == VALUE_SS) {
        json_add_string(buf, element);
        return;
    }
    buf_add_byte(buf, '"');
    if (tag == VALUE_N || tag == VALUE_NS) {
        number_add_text(buf, element);
    } else {
        base64_add(buf, element);
    }
    buf_add_byte(buf, '"');
}

static void add_value(struct buf *buf, struct value value, bool hashed)
{
    struct cursor cursor = cursor_of(value.body);
    struct value inner;
    struct bytes element;
    bool first = true;
    switch (value.tag) {
    case VALUE_S:
        buf_add(buf, BYTES("{\"S\":"));
        break;
    case VALUE_N:
        buf_add(buf, BYTES("{\"N\":"));
        break;
    case VALUE_B:
        buf_add(buf, BYTES("{\"B\":"));
        break;
    case VALUE_FALSE:
        buf_add(buf, BYTES("{\"BOOL\":false}"));
        return;
    case VALUE_TRUE:
        buf_add(buf, BYTES("{\"BOOL\":true}"));
        return;
    case VALUE_NULL:
        buf_add(buf, BYTES("{\"NULL\":true}"));
        return;
    case VALUE_M:
        buf_add(buf, BYTES("{\"M\":"));
        add_members(buf, value.body, hashed);
        buf_add_byte(buf, '}');
        return;
    case VALUE_L:
        buf_add(buf, BYTES("{\"L\":["));
        while (list_next(&cursor, &inner)) {
            if (!first) {
                buf_add_byte(buf, ',');
            }
            add_value(buf, inner, hashed);
            first = false;
        }
        buf_add(buf, BYTES("]}"));
        return;
    case VALUE_SS:
    case VALUE_NS:
    case VALUE_BS:
        buf_printf(buf, "{\"%s\":[", value_type_name(value.tag));
        if (hashed && value.tag == VALUE_NS) {
            add_hashed_numbers(buf, value.body);
            return;
        }
        while (set_next(&cursor, &element)) {
            if (!first) {
                buf_add_byte(buf, ',');
            }
            add_element(buf, value.tag, element);
            first = false;
        }
        buf_add(buf, BYTES("]}"));
        return;
    }
    add_element(buf, value.tag, value.body);
    buf_add_byte(buf, '}');
}
