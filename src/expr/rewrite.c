/* Copying an item with changes, and cutting out what is touched. Touched paths form a tree; the
 * item is walked beside it, untouched members are copied as bytes. Depth is bounded by
 * PATH_STEPS_MAX. */
#include "expr/expr_priv.h"

struct writer {
    struct arena *arena;
    uint8_t *ptr;
    size_t len;
    size_t cap;
};

static enum err write_bytes(struct writer *writer, struct bytes data);
static enum err write_members(struct writer *writer, struct bytes body, const struct touch *touch);
static enum err write_list(struct writer *writer, struct bytes body, const struct touch *touch);
static enum err write_touched(struct writer *writer, struct value old, const struct touch *touch);
static enum err cut_members(struct writer *writer, struct bytes body, const struct touch *touch);
static enum err cut_list(struct writer *writer, struct bytes body, const struct touch *touch);
static enum err cut_value(struct writer *writer, struct bytes name, struct value value,
                          const struct touch *touch);

static int touch_order(const struct touch *touch, struct bytes name, bool is_index, uint32_t index)
{
    if (touch->is_index != is_index) {
        return touch->is_index ? 1 : -1;
    }
    if (is_index) {
        return (touch->index > index) - (touch->index < index);
    }
    return bytes_compare(touch->name, name);
}

struct touch *touch_add(struct touch *root, const struct place *place, struct arena *arena)
{
    struct touch *at = root;
    for (size_t i = 0; i < place->count; i++) {
        bool is_index = place->steps[i].name.len == 0;
        struct touch **link = &at->first;
        while (*link != NULL &&
               touch_order(*link, place->names[i], is_index, place->steps[i].index) < 0) {
            link = &(*link)->next;
        }
        if (*link == NULL ||
            touch_order(*link, place->names[i], is_index, place->steps[i].index) != 0) {
            struct touch *fresh = arena_zalloc(arena, sizeof(*fresh));
            if (fresh == NULL) {
                return NULL;
            }
            fresh->name = place->names[i];
            fresh->is_index = is_index;
            fresh->index = place->steps[i].index;
            fresh->next = *link;
            *link = fresh;
        }
        at = *link;
    }
    return at;
}

/* ---- output ---- */

static enum err write_bytes(struct writer *writer, struct bytes data)
{
    if (writer->cap - writer->len < data.len) {
        size_t cap = writer->cap * 2 < 256 ? 256 : writer->cap * 2;
        while (cap - writer->len < data.len) {
            cap *= 2;
        }
        uint8_t *grown = arena_alloc(writer->arena, cap);
        if (grown == NULL) {
            return ERR_NOMEM;
        }
        if (writer->len > 0) {
            memcpy(grown, writer->ptr, writer->len);
        }
        writer->ptr = grown;
        writer->cap = cap;
    }
    if (data.len > 0) {
        memcpy(writer->ptr + writer->len, data.ptr, data.len);
    }
    writer->len += data.len;
    return OK;
}

static enum err write_varint(struct writer *writer, size_t value)
{
    uint8_t bytes[10];
    size_t len = 0;
    for (; value >= 0x80; value >>= 7) {
        bytes[len++] = (uint8_t)(value | 0x80);
    }
    bytes[len++] = (uint8_t)value;
    return write_bytes(writer, bytes_of(bytes, len));
}

static enum err write_name(struct writer *writer, struct bytes name)
{
    TRY(write_varint(writer, name.len));
    return write_bytes(writer, name);
}

static enum err write_container(struct writer *writer, enum value_tag tag,
                                const struct writer *body)
{
    uint8_t byte = (uint8_t)tag;
    TRY(write_bytes(writer, bytes_of(&byte, 1)));
    TRY(write_varint(writer, body->len));
    return write_bytes(writer, bytes_of(body->ptr, body->len));
}

/* ---- changes ---- */

enum err rewrite_item(struct bytes item, const struct touch *root, struct arena *arena,
                      struct bytes *out)
{
    struct writer writer = {.arena = arena};
    writer.cap = item.len + 256;
    writer.ptr = arena_alloc(arena, writer.cap);
    if (writer.ptr == NULL) {
        return ERR_NOMEM;
    }
    TRY(write_members(&writer, item, root));
    *out = bytes_of(writer.ptr, writer.len);
    return OK;
}

static enum err write_members(struct writer *writer, struct bytes body, const struct touch *touch)
{
    struct cursor cursor = cursor_of(body);
    const struct touch *next = touch->first;
    const uint8_t *from = cursor.next;
    struct bytes name;
    struct value value;
    while (item_next(&cursor, &name, &value)) {
        for (; next != NULL && bytes_compare(next->name, name) < 0; next = next->next) {
            if (next->leaf && !next->remove) {
                TRY(write_name(writer, next->name));
                TRY(write_bytes(writer, next->value.whole));
            }
        }
        if (next == NULL || !bytes_equal(next->name, name)) {
            TRY(write_bytes(writer, bytes_of(from, (size_t)(cursor.next - from))));
        } else {
            if (!(next->leaf && next->remove)) {
                TRY(write_name(writer, name));
                TRY(write_touched(writer, value, next));
            }
            next = next->next;
        }
        from = cursor.next;
    }
    for (; next != NULL; next = next->next) {
        if (next->leaf && !next->remove) {
            TRY(write_name(writer, next->name));
            TRY(write_bytes(writer, next->value.whole));
        }
    }
    return OK;
}

static enum err write_touched(struct writer *writer, struct value old, const struct touch *touch)
{
    struct writer inner = {.arena = writer->arena};
    if (touch->leaf) {
        return write_bytes(writer, touch->value.whole);
    }
    TRY(old.tag == VALUE_L ? write_list(&inner, old.body, touch)
                           : write_members(&inner, old.body, touch));
    return write_container(writer, old.tag, &inner);
}

/* Indexes are the original ones; what is set past the end is appended in order. */
static enum err write_list(struct writer *writer, struct bytes body, const struct touch *touch)
{
    struct cursor cursor = cursor_of(body);
    const struct touch *next = touch->first;
    struct value value;
    for (uint32_t i = 0; list_next(&cursor, &value); i++) {
        if (next == NULL || next->index != i) {
            TRY(write_bytes(writer, value.whole));
            continue;
        }
        if (!(next->leaf && next->remove)) {
            TRY(write_touched(writer, value, next));
        }
        next = next->next;
    }
    for (; next != NULL; next = next->next) {
        if (next->leaf && !next->remove) {
            TRY(write_bytes(writer, next->value.whole));
        }
    }
    return OK;
}

/* ---- cutting ---- */

enum err cut_item(struct bytes item, const struct touch *root, struct arena *arena,
                  struct bytes *out)
{
    struct writer writer = {.arena = arena};
    TRY(cut_members(&writer, item, root));
    *out = writer.len > 0 ? bytes_of(writer.ptr, writer.len) : BYTES("");
    return OK;
}

static enum err cut_members(struct writer *writer, struct bytes body, const struct touch *touch)
{
    struct cursor cursor = cursor_of(body);
    const struct touch *next = touch->first;
    struct bytes name;
    struct value value;
    while (next != NULL && item_next(&cursor, &name, &value)) {
        while (next != NULL && (next->is_index || bytes_compare(next->name, name) < 0)) {
            next = next->next;
        }
        if (next != NULL && bytes_equal(next->name, name)) {
            TRY(cut_value(writer, name, value, next));
        }
    }
    return OK;
}

/* A touched value, with its name when it has one; nothing when nothing inside is there. */
static enum err cut_value(struct writer *writer, struct bytes name, struct value value,
                          const struct touch *touch)
{
    struct writer inner = {.arena = writer->arena};
    if (touch->leaf) {
        if (name.ptr != NULL) {
            TRY(write_name(writer, name));
        }
        return write_bytes(writer, value.whole);
    }
    if (value.tag != VALUE_L && value.tag != VALUE_M) {
        return OK;
    }
    TRY(value.tag == VALUE_L ? cut_list(&inner, value.body, touch)
                             : cut_members(&inner, value.body, touch));
    if (inner.len == 0) {
        return OK;
    }
    if (name.ptr != NULL) {
        TRY(write_name(writer, name));
    }
    return write_container(writer, value.tag, &inner);
}

static enum err cut_list(struct writer *writer, struct bytes body, const struct touch *touch)
{
    struct cursor cursor = cursor_of(body);
    const struct touch *next = touch->first;
    struct value value;
    for (uint32_t i = 0; list_next(&cursor, &value); i++) {
        while (next != NULL && (!next->is_index || next->index < i)) {
            next = next->next;
        }
        if (next != NULL && next->index == i) {
            TRY(cut_value(writer, BYTES_NONE, value, next));
        }
    }
    return OK;
}
