/* Stored items: item_check against a decoder written here again; readers keep within any bytes;
 * what is sound reads, measures and prints, and comes back from its JSON byte for byte. */
#include "item/item.h"
#include "fuzz.h"
#include "item/number.h"

struct shape {
    bool utf8;  /* of every name and string */
    bool named; /* no name is empty */
    size_t size;
};

static bool sound_members(struct bytes body, unsigned depth, size_t each, struct shape *shape);

static bool cut_len(struct bytes *rest, size_t *len)
{
    *len = 0;
    for (unsigned i = 0; i < 9 && i < rest->len; i++) {
        *len |= (size_t)(rest->ptr[i] & 0x7f) << (7 * i);
        if (rest->ptr[i] < 0x80) {
            bool shortest = i == 0 || rest->ptr[i] != 0;
            *rest = bytes_of(rest->ptr + i + 1, rest->len - i - 1);
            return shortest && *len <= rest->len;
        }
    }
    return false;
}

static bool cut_bytes(struct bytes *rest, struct bytes *out)
{
    size_t len;
    if (!cut_len(rest, &len)) {
        return false;
    }
    *out = bytes_of(rest->ptr, len);
    *rest = bytes_of(rest->ptr + len, rest->len - len);
    return true;
}

static bool sound_set(struct bytes body, unsigned tag, struct shape *shape)
{
    struct bytes before = BYTES_NONE;
    struct bytes element;
    bool first = true;
    for (; body.len > 0; before = element, first = false) {
        if (!cut_bytes(&body, &element) || (!first && bytes_compare(before, element) >= 0) ||
            (tag == VALUE_NS && !number_check(element))) {
            return false;
        }
        shape->utf8 &= tag != VALUE_SS || fuzz_is_utf8(element);
        shape->size += tag == VALUE_NS ? number_size(element) : element.len;
    }
    return !first;
}

static bool sound_value(struct bytes *rest, unsigned depth, struct shape *shape)
{
    struct bytes body;
    if (rest->len == 0) {
        return false;
    }
    unsigned tag = rest->ptr[0];
    *rest = bytes_of(rest->ptr + 1, rest->len - 1);
    if (tag == VALUE_FALSE || tag == VALUE_TRUE || tag == VALUE_NULL) {
        shape->size += 1;
        return true;
    }
    if (tag < VALUE_S || tag > VALUE_BS || !cut_bytes(rest, &body)) {
        return false;
    }
    if (tag == VALUE_S || tag == VALUE_B) {
        shape->utf8 &= tag == VALUE_B || fuzz_is_utf8(body);
        shape->size += body.len;
        return true;
    }
    if (tag == VALUE_N) {
        shape->size += number_size(body);
        return number_check(body);
    }
    if (tag >= VALUE_SS) {
        return sound_set(body, tag, shape);
    }
    shape->size += 3;
    if (depth >= ITEM_DEPTH_MAX) {
        return false;
    }
    if (tag == VALUE_M) {
        return sound_members(body, depth + 1, 1, shape);
    }
    while (body.len > 0) {
        shape->size += 1;
        if (!sound_value(&body, depth + 1, shape)) {
            return false;
        }
    }
    return true;
}

static bool sound_members(struct bytes body, unsigned depth, size_t each, struct shape *shape)
{
    struct bytes before = BYTES_NONE;
    struct bytes name;
    bool first = true;
    for (; body.len > 0; before = name, first = false) {
        if (!cut_bytes(&body, &name) || name.len > ITEM_NAME_MAX ||
            (!first && bytes_compare(before, name) >= 0) || !sound_value(&body, depth, shape)) {
            return false;
        }
        shape->utf8 &= fuzz_is_utf8(name);
        shape->named &= name.len > 0;
        shape->size += name.len + each;
    }
    return true;
}

/* Readers stop early in damaged bytes and stay inside; each member they give is found by name. */
static void read_anything(struct bytes item)
{
    struct cursor cursor = cursor_of(item);
    struct bytes name;
    struct value value;
    struct value found;
    int64_t integer;
    size_t count = 0;
    for (; item_next(&cursor, &name, &value); count++) {
        HOLDS(value.whole.ptr >= item.ptr && value.whole.len <= item.len);
        (void)value_count(value);
        (void)value_size(value);
        (void)value_type_name(value.tag);
        (void)value_i64(value, &integer);
        (void)item_get(item, name, &found);
    }
    HOLDS(item_count(item) == count);
    (void)item_size(item);
}

static void read_sound(struct bytes item, const struct shape *shape, struct arena *arena)
{
    struct cursor cursor = cursor_of(item);
    struct bytes name;
    struct value value;
    struct value found;
    while (item_next(&cursor, &name, &value)) {
        HOLDS(item_get(item, name, &found) && value_equal(found, value));
    }
    HOLDS(cursor.next == cursor.end && item_size(item) == shape->size);
    if (!shape->utf8 || !shape->named) {
        return;
    }
    struct buf text;
    struct bytes again;
    struct item_reading reading = {.deeper = true}; /* as deep as the format goes */
    buf_init(&text, 1u << 20);
    item_to_json(&text, item);
    HOLDS(!text.failed && fuzz_is_utf8(buf_bytes(&text)));
    HOLDS(item_from_json(fuzz_parse_json(buf_bytes(&text)), arena, &again, &reading) == OK);
    HOLDS(bytes_equal(again, item));
    buf_fini(&text);
}

/* An item with a few bytes changed, which reaches further than any bytes do. */
static struct bytes damaged_item(struct fuzz_input *input, struct arena *arena)
{
    struct bytes item = fuzz_item(input, arena, 1 + (unsigned)fuzz_below(input, 6));
    size_t changes = fuzz_below(input, 4);
    uint8_t *bytes = arena_alloc(arena, item.len + 1);
    HOLDS(bytes != NULL);
    memcpy(bytes, item.ptr, item.len);
    for (size_t i = 0; i < changes && item.len > 0; i++) {
        bytes[fuzz_below(input, item.len)] = fuzz_byte(input);
    }
    return fuzz_copy(arena, bytes_of(bytes, item.len - (item.len > 0 ? fuzz_below(input, 2) : 0)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = fuzz_input_of(data, size);
    struct shape shape = {.utf8 = true, .named = true};
    struct arena arena;
    arena_init(&arena, 0);
    struct bytes item =
        fuzz_bool(&input) ? damaged_item(&input, &arena) : fuzz_copy(&arena, fuzz_rest(&input));
    bool sound = sound_members(item, 0, 0, &shape);
    HOLDS((item_check(item) == OK) == sound);
    read_anything(item);
    if (sound) {
        read_sound(item, &shape, &arena);
    }
    arena_fini(&arena);
    return 0;
}
