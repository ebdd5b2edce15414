/* Reading, measuring, comparing and building items. Readers go through the bounds-checked cursor,
 * so that damaged bytes end a walk early but are never followed out of bounds; item_check says
 * whether bytes are an item. */
#include "item/item.h"

#include "base/assert.h"
#include "item/number.h"

#include <stdlib.h>

static bool read_varint(struct cursor *cursor, size_t *out);
static bool read_value(struct cursor *cursor, struct value *out);
static bool read_bytes(struct cursor *cursor, struct bytes *out);
static enum err check_members(struct bytes body, unsigned depth);
static enum err check_value(struct value value, unsigned depth);
static enum err check_set(struct value value);

/* ---- reading ---- */

static bool read_varint(struct cursor *cursor, size_t *out)
{
    if (cursor->next < cursor->end && *cursor->next < 0x80) {
        *out = *cursor->next++;
        return true;
    }
    uint64_t value;
    if (cursor_varint(cursor, &value) != OK || value > SIZE_MAX / 2) {
        return false;
    }
    *out = (size_t)value;
    return true;
}

static bool read_bytes(struct cursor *cursor, struct bytes *out)
{
    size_t len;
    return read_varint(cursor, &len) && cursor_bytes(cursor, len, out) == OK;
}

static bool read_value(struct cursor *cursor, struct value *out)
{
    const uint8_t *start = cursor->next;
    if (cursor->next == cursor->end) {
        return false;
    }
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): before its end a cursor is on a byte */
    uint8_t tag = *cursor->next++;
    struct bytes body = BYTES_NONE;
    if (tag < VALUE_S || tag > VALUE_BS) {
        return false;
    }
    bool bare = tag >= VALUE_FALSE && tag <= VALUE_NULL;
    if (!bare && !read_bytes(cursor, &body)) {
        return false;
    }
    *out =
        (struct value){(enum value_tag)tag, body, bytes_of(start, (size_t)(cursor->next - start))};
    return true;
}

bool item_next(struct cursor *cursor, struct bytes *name, struct value *value)
{
    return cursor->next != cursor->end && read_bytes(cursor, name) && read_value(cursor, value);
}

bool list_next(struct cursor *cursor, struct value *value)
{
    return cursor->next != cursor->end && read_value(cursor, value);
}

bool set_next(struct cursor *cursor, struct bytes *element)
{
    return cursor->next != cursor->end && read_bytes(cursor, element);
}

bool item_get(struct bytes item, struct bytes name, struct value *out)
{
    struct cursor cursor = cursor_of(item);
    struct bytes found;
    struct value value;
    while (item_next(&cursor, &found, &value)) {
        int order = bytes_compare(found, name);
        if (order == 0) {
            *out = value;
            return true;
        }
        if (order > 0) {
            return false;
        }
    }
    return false;
}

size_t item_count(struct bytes item)
{
    struct cursor cursor = cursor_of(item);
    struct bytes name;
    struct value value;
    size_t count = 0;
    while (item_next(&cursor, &name, &value)) {
        count++;
    }
    return count;
}

size_t value_count(struct value value)
{
    struct cursor cursor = cursor_of(value.body);
    struct value inner;
    struct bytes element;
    size_t count = 0;
    if (value.tag == VALUE_M) {
        return item_count(value.body);
    }
    while (value.tag == VALUE_L ? list_next(&cursor, &inner) : set_next(&cursor, &element)) {
        count++;
    }
    return count;
}

/* ---- checking ---- */

enum err item_check(struct bytes item)
{
    return check_members(item, 0);
}

static enum err check_members(struct bytes body, unsigned depth)
{
    struct cursor cursor = cursor_of(body);
    struct bytes before = BYTES_NONE;
    bool first = true;
    while (cursor.next != cursor.end) {
        struct bytes name;
        struct value value;
        if (!item_next(&cursor, &name, &value) || name.len > ITEM_NAME_MAX ||
            (!first && bytes_compare(before, name) >= 0)) {
            return ERR_DAMAGED;
        }
        TRY(check_value(value, depth));
        before = name;
        first = false;
    }
    return OK;
}

static enum err check_value(struct value value, unsigned depth)
{
    struct cursor cursor = cursor_of(value.body);
    struct value element;
    switch (value.tag) {
    case VALUE_S:
    case VALUE_B:
    case VALUE_FALSE:
    case VALUE_TRUE:
    case VALUE_NULL:
        return OK;
    case VALUE_N:
        return number_check(value.body) ? OK : ERR_DAMAGED;
    case VALUE_L:
        if (depth >= ITEM_DEPTH_MAX) {
            return ERR_DAMAGED;
        }
        while (cursor.next != cursor.end) {
            if (!list_next(&cursor, &element)) {
                return ERR_DAMAGED;
            }
            TRY(check_value(element, depth + 1));
        }
        return OK;
    case VALUE_M:
        return depth >= ITEM_DEPTH_MAX ? ERR_DAMAGED : check_members(value.body, depth + 1);
    case VALUE_SS:
    case VALUE_NS:
    case VALUE_BS:
        return check_set(value);
    }
    return ERR_DAMAGED;
}

static enum err check_set(struct value value)
{
    struct cursor cursor = cursor_of(value.body);
    struct bytes before = BYTES_NONE;
    struct bytes element;
    bool first = true;
    while (cursor.next != cursor.end) {
        if (!set_next(&cursor, &element) || (!first && bytes_compare(before, element) >= 0) ||
            (value.tag == VALUE_NS && !number_check(element))) {
            return ERR_DAMAGED;
        }
        before = element;
        first = false;
    }
    return first ? ERR_DAMAGED : OK;
}

/* ---- measuring and comparing ---- */

size_t item_size(struct bytes item)
{
    struct cursor cursor = cursor_of(item);
    struct bytes name;
    struct value value;
    size_t size = 0;
    while (item_next(&cursor, &name, &value)) {
        size += name.len + value_size(value);
    }
    return size;
}

size_t value_size(struct value value)
{
    struct cursor cursor = cursor_of(value.body);
    struct value inner;
    struct bytes element;
    size_t size = 0;
    switch (value.tag) {
    case VALUE_S:
    case VALUE_B:
        return value.body.len;
    case VALUE_N:
        return number_size(value.body);
    case VALUE_FALSE:
    case VALUE_TRUE:
    case VALUE_NULL:
        return 1;
    case VALUE_L:
        while (list_next(&cursor, &inner)) {
            size += 1 + value_size(inner);
        }
        return size + 3;
    case VALUE_M:
        while (item_next(&cursor, &element, &inner)) {
            size += element.len + 1 + value_size(inner);
        }
        return size + 3;
    case VALUE_SS:
    case VALUE_NS:
    case VALUE_BS:
        while (set_next(&cursor, &element)) {
            size += value.tag == VALUE_NS ? number_size(element) : element.len;
        }
        return size;
    }
    return 0;
}

static unsigned value_wraps(struct value value)
{
    struct cursor cursor = cursor_of(value.body);
    struct value inner;
    unsigned most = 0;
    if (value.tag == VALUE_M) {
        return 1 + item_wraps(value.body);
    }
    if (value.tag != VALUE_L) {
        return 0;
    }
    while (list_next(&cursor, &inner)) {
        unsigned wraps = value_wraps(inner);
        most = wraps > most ? wraps : most;
    }
    return 1 + most;
}

unsigned item_wraps(struct bytes item)
{
    struct cursor cursor = cursor_of(item);
    struct bytes name;
    struct value value;
    unsigned most = 0;
    while (item_next(&cursor, &name, &value)) {
        unsigned wraps = value_wraps(value);
        most = wraps > most ? wraps : most;
    }
    return most;
}

const char *value_type_name(enum value_tag tag)
{
    static const char *const names[] = {"?",    "S", "N", "B",  "BOOL", "BOOL",
                                        "NULL", "L", "M", "SS", "NS",   "BS"};
    return (unsigned)tag < sizeof(names) / sizeof(names[0]) ? names[tag] : names[0];
}

bool value_i64(struct value value, int64_t *out)
{
    return value.tag == VALUE_N && number_to_i64(value.body, out);
}

int value_compare(struct value a, struct value b)
{
    ASSERT(a.tag == b.tag && a.tag <= VALUE_B);
    return bytes_compare(a.body, b.body); /* a number's bytes are ordered as the number */
}

/* ---- building ---- */

struct item_build_member {
    struct bytes name;
    struct bytes value; /* tag, length, body */
    size_t order;       /* as added: of equal names the last wins */
};

static uint8_t *put_varint(uint8_t *out, size_t value)
{
    while (value >= 0x80) {
        *out++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *out++ = (uint8_t)value;
    return out;
}

static size_t varint_len(size_t value)
{
    size_t len = 1;
    for (; value >= 0x80; value >>= 7) {
        len++;
    }
    return len;
}

/* Tag, length and body in the arena; whole.ptr is NULL when memory is out. */
static struct value make_value(struct arena *arena, enum value_tag tag, struct bytes body)
{
    bool bare = tag >= VALUE_FALSE && tag <= VALUE_NULL;
    uint8_t *whole = arena_alloc(arena, 1 + 10 + body.len);
    if (whole == NULL) {
        return (struct value){0};
    }
    uint8_t *out = whole;
    *out++ = (uint8_t)tag;
    if (!bare) {
        out = put_varint(out, body.len);
        if (body.len > 0) {
            memcpy(out, body.ptr, body.len);
        }
    }
    struct bytes copy = bytes_of(out, bare ? 0 : body.len);
    return (struct value){tag, copy, bytes_of(whole, (size_t)(out - whole) + copy.len)};
}

void item_build_init(struct item_build *build, struct arena *arena)
{
    *build = (struct item_build){.arena = arena};
}

void item_build_value(struct item_build *build, struct bytes name, struct value value)
{
    if (value.whole.ptr == NULL) {
        build->failed = true;
        return;
    }
    if (build->count == build->cap) {
        size_t cap = build->cap == 0 ? 16 : build->cap * 2;
        struct item_build_member *grown = arena_alloc(build->arena, cap * sizeof(*grown));
        if (grown == NULL) {
            build->failed = true;
            return;
        }
        if (build->count > 0) {
            memcpy(grown, build->members, build->count * sizeof(*grown));
        }
        build->members = grown;
        build->cap = cap;
    }
    build->members[build->count] = (struct item_build_member){name, value.whole, build->count};
    build->count++;
}

void item_build_s(struct item_build *build, struct bytes name, struct bytes text)
{
    item_build_value(build, name, make_value(build->arena, VALUE_S, text));
}

void item_build_b(struct item_build *build, struct bytes name, struct bytes data)
{
    item_build_value(build, name, make_value(build->arena, VALUE_B, data));
}

void item_build_i64(struct item_build *build, struct bytes name, int64_t number)
{
    item_build_value(build, name, value_of_i64(build->arena, number));
}

void item_build_bool(struct item_build *build, struct bytes name, bool truth)
{
    item_build_value(build, name,
                     make_value(build->arena, truth ? VALUE_TRUE : VALUE_FALSE, BYTES_NONE));
}

void item_build_null(struct item_build *build, struct bytes name)
{
    item_build_value(build, name, make_value(build->arena, VALUE_NULL, BYTES_NONE));
}

void item_build_m(struct item_build *build, struct bytes name, struct bytes item)
{
    item_build_value(build, name, make_value(build->arena, VALUE_M, item));
}

void item_build_l(struct item_build *build, struct bytes name, struct bytes elements)
{
    item_build_value(build, name, make_value(build->arena, VALUE_L, elements));
}

static int member_order(const void *left, const void *right)
{
    const struct item_build_member *a = left;
    const struct item_build_member *b = right;
    int order = bytes_compare(a->name, b->name);
    return order != 0 ? order : (a->order > b->order) - (a->order < b->order);
}

enum err item_build_end(struct item_build *build, struct bytes *item)
{
    size_t size = 0;
    if (build->failed) {
        return ERR_NOMEM;
    }
    if (build->count > 1) {
        qsort(build->members, build->count, sizeof(*build->members), member_order);
    }
    for (size_t i = 0; i < build->count; i++) {
        const struct item_build_member *member = &build->members[i];
        size += varint_len(member->name.len) + member->name.len + member->value.len;
    }
    uint8_t *start = arena_alloc(build->arena, size);
    if (start == NULL) {
        return ERR_NOMEM;
    }
    uint8_t *out = start;
    for (size_t i = 0; i < build->count; i++) {
        const struct item_build_member *member = &build->members[i];
        if (i + 1 < build->count && bytes_equal(member->name, build->members[i + 1].name)) {
            continue;
        }
        out = put_varint(out, member->name.len);
        if (member->name.len > 0) {
            memcpy(out, member->name.ptr, member->name.len);
        }
        out += member->name.len;
        memcpy(out, member->value.ptr, member->value.len);
        out += member->value.len;
    }
    *item = bytes_of(start, (size_t)(out - start));
    return OK;
}

struct value value_of_s(struct arena *arena, struct bytes text)
{
    return make_value(arena, VALUE_S, text);
}

struct value value_of_i64(struct arena *arena, int64_t number)
{
    uint8_t encoded[NUMBER_ENCODED_MAX];
    size_t len;
    number_from_i64(number, encoded, &len);
    return make_value(arena, VALUE_N, bytes_of(encoded, len));
}

struct value value_of_m(struct arena *arena, struct bytes item)
{
    return make_value(arena, VALUE_M, item);
}
