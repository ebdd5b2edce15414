/* See fuzz.h. */
#include "fuzz.h"

#include "item/number.h"

#include <stdio.h>
#include <stdlib.h>

void fuzz_broken(const char *what, const char *file, int line)
{
    fprintf(stderr, "%s:%d: %s does not hold\n", file, line, what);
    abort();
}

struct fuzz_input fuzz_input_of(const uint8_t *data, size_t size)
{
    return (struct fuzz_input){data, data == NULL ? NULL : data + size};
}

size_t fuzz_left(const struct fuzz_input *input)
{
    return (size_t)(input->back - input->front);
}

/* ---- choices ---- */

uint8_t fuzz_byte(struct fuzz_input *input)
{
    return fuzz_left(input) == 0 ? 0 : *--input->back;
}

bool fuzz_bool(struct fuzz_input *input)
{
    return (fuzz_byte(input) & 1) != 0;
}

size_t fuzz_below(struct fuzz_input *input, size_t n)
{
    size_t choice = fuzz_byte(input);
    for (size_t range = 256; range < n; range *= 256) {
        choice = choice << 8 | fuzz_byte(input);
    }
    return choice % n;
}

uint64_t fuzz_u64(struct fuzz_input *input)
{
    uint8_t kind = fuzz_byte(input);
    uint64_t value = 0;
    if (kind < 96) {
        return kind;
    }
    if (kind < 160) {
        return (1ull << (kind - 96)) - 1 + fuzz_byte(input) % 3;
    }
    for (unsigned i = 0; i < 8; i++) {
        value = value << 8 | fuzz_byte(input);
    }
    return value;
}

/* ---- bytes ---- */

struct bytes fuzz_bytes(struct fuzz_input *input, size_t most)
{
    size_t len = fuzz_below(input, most + 1);
    size_t left = fuzz_left(input);
    struct bytes taken = bytes_of(input->front, len < left ? len : left);
    input->front += taken.len;
    return taken;
}

struct bytes fuzz_rest(struct fuzz_input *input)
{
    struct bytes taken = bytes_of(input->front, fuzz_left(input));
    input->front = input->back;
    return taken;
}

struct bytes fuzz_copy(struct arena *arena, struct bytes source)
{
    struct bytes copy = arena_dup(arena, source);
    HOLDS(copy.ptr != NULL);
    return copy;
}

/* ---- values ---- */

struct bytes fuzz_text(struct fuzz_input *input, struct arena *arena, size_t most)
{
    struct bytes raw = fuzz_bytes(input, most / 2);
    uint8_t *text = arena_alloc(arena, raw.len * 2 + 1);
    size_t len = 0;
    HOLDS(text != NULL);
    for (size_t i = 0; i < raw.len; i++) {
        uint8_t c = raw.ptr[i];
        if (c < 0x80) {
            text[len++] = c;
        } else { /* a character of two bytes */
            text[len++] = (uint8_t)(0xc2 + (c >> 6 & 1));
            text[len++] = (uint8_t)(0x80 | (c & 0x3f));
        }
    }
    return bytes_of(text, len);
}

struct bytes fuzz_name(struct fuzz_input *input, struct arena *arena)
{
    static const char *const names[] = {"a", "b", "c", "d", "pk", "sk", "list1", "map1", "n1"};
    size_t count = sizeof(names) / sizeof(names[0]);
    size_t choice = fuzz_below(input, count + 1);
    if (choice < count) {
        return bytes_cstr(names[choice]);
    }
    struct bytes text = fuzz_text(input, arena, 40);
    return text.len == 0 ? BYTES("x") : text;
}

struct bytes fuzz_number_text(struct fuzz_input *input, struct arena *arena)
{
    char text[160];
    size_t len = 0;
    size_t digits = 1 + fuzz_below(input, fuzz_below(input, 4) == 0 ? 40 : 4);
    size_t point = fuzz_below(input, 48);
    if (fuzz_bool(input)) {
        text[len++] = '-';
    }
    for (size_t i = 0; i < digits; i++) {
        if (i == point) {
            text[len++] = '.';
        }
        text[len++] = (char)('0' + fuzz_below(input, 10));
    }
    if (fuzz_below(input, 4) == 0) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "e%d",
                                (int)fuzz_below(input, 270) - 135);
    }
    return fuzz_copy(arena, bytes_of(text, len));
}

struct bytes fuzz_number(struct fuzz_input *input, struct arena *arena)
{
    uint8_t encoded[NUMBER_ENCODED_MAX];
    size_t len;
    if (number_parse(fuzz_number_text(input, arena), encoded, &len) != NUMBER_OK) {
        number_from_i64((int8_t)fuzz_byte(input), encoded, &len);
    }
    return fuzz_copy(arena, bytes_of(encoded, len));
}

static size_t put_varint(uint8_t *out, size_t value)
{
    size_t len = 0;
    for (; value >= 0x80; value >>= 7) {
        out[len++] = (uint8_t)(value | 0x80);
    }
    out[len++] = (uint8_t)value;
    return len;
}

static struct value whole_value(struct arena *arena, enum value_tag tag, struct bytes body)
{
    uint8_t *whole = arena_alloc(arena, 11 + body.len);
    size_t at = 0;
    HOLDS(whole != NULL);
    whole[at++] = (uint8_t)tag;
    bool bare = tag >= VALUE_FALSE && tag <= VALUE_NULL;
    if (!bare) {
        at += put_varint(whole + at, body.len);
        memcpy(whole + at, body.ptr, body.len);
    }
    struct bytes at_body = bare ? BYTES_NONE : bytes_of(whole + at, body.len);
    return (struct value){tag, at_body, fuzz_copy(arena, bytes_of(whole, at + at_body.len))};
}

static int by_bytes(const void *left, const void *right)
{
    const struct bytes *a = left;
    const struct bytes *b = right;
    return bytes_compare(*a, *b);
}

static struct bytes set_body(struct fuzz_input *input, struct arena *arena, enum value_tag tag)
{
    struct bytes elements[5];
    size_t count = 1 + fuzz_below(input, 5);
    struct buf body;
    buf_init(&body, 4096);
    for (size_t i = 0; i < count; i++) {
        elements[i] = tag == VALUE_NS   ? fuzz_number(input, arena)
                      : tag == VALUE_SS ? fuzz_text(input, arena, 8)
                                        : fuzz_bytes(input, 4);
    }
    qsort(elements, count, sizeof(elements[0]), by_bytes);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || !bytes_equal(elements[i - 1], elements[i])) {
            buf_add_varint(&body, elements[i].len);
            buf_add(&body, elements[i]);
        }
    }
    struct bytes copy = fuzz_copy(arena, buf_bytes(&body));
    buf_fini(&body);
    return copy;
}

static struct bytes list_body(struct fuzz_input *input, struct arena *arena, unsigned depth)
{
    size_t count = fuzz_below(input, 5);
    struct buf body;
    buf_init(&body, 1u << 20);
    for (size_t i = 0; i < count; i++) {
        buf_add(&body, fuzz_value(input, arena, (enum value_tag)0, depth - 1).whole);
    }
    struct bytes copy = fuzz_copy(arena, buf_bytes(&body));
    buf_fini(&body);
    return copy;
}

struct value fuzz_value(struct fuzz_input *input, struct arena *arena, enum value_tag tag,
                        unsigned depth)
{
    if (tag == 0) {
        tag = (enum value_tag)(VALUE_S + fuzz_below(input, 11));
        tag = depth == 0 && (tag == VALUE_L || tag == VALUE_M) ? VALUE_S : tag;
    }
    switch (tag) {
    case VALUE_S:
        return whole_value(arena, tag, fuzz_text(input, arena, 40));
    case VALUE_N:
        return whole_value(arena, tag, fuzz_number(input, arena));
    case VALUE_B:
        return whole_value(arena, tag, fuzz_bytes(input, 20));
    case VALUE_FALSE:
    case VALUE_TRUE:
    case VALUE_NULL:
        return whole_value(arena, tag, BYTES_NONE);
    case VALUE_L:
        return whole_value(arena, tag, list_body(input, arena, depth == 0 ? 1 : depth));
    case VALUE_M:
        return whole_value(arena, tag, fuzz_item(input, arena, depth == 0 ? 0 : depth - 1));
    case VALUE_SS:
    case VALUE_NS:
    case VALUE_BS:
        return whole_value(arena, tag, set_body(input, arena, tag));
    }
    return whole_value(arena, VALUE_NULL, BYTES_NONE);
}

struct bytes fuzz_item(struct fuzz_input *input, struct arena *arena, unsigned depth)
{
    struct item_build build;
    struct bytes item;
    size_t count = fuzz_below(input, 6);
    item_build_init(&build, arena);
    for (size_t i = 0; i < count; i++) {
        struct bytes name = fuzz_name(input, arena);
        item_build_value(&build, name, fuzz_value(input, arena, (enum value_tag)0, depth));
    }
    HOLDS(item_build_end(&build, &item) == OK);
    HOLDS(item_check(item) == OK);
    return fuzz_copy(arena, item);
}

/* ---- checks ---- */

/* Length of the character at p, 0: none (RFC 3629: shortest form, no surrogates, to U+10FFFF). */
static size_t character_len(const uint8_t *p, size_t left)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = p[0] < 0x80       ? 1
                 : p[0] >> 5 == 6  ? 2
                 : p[0] >> 4 == 14 ? 3
                 : p[0] >> 3 == 30 ? 4
                                   : 0;
    uint32_t point = len == 1 ? p[0] : p[0] & (0x7fu >> len);
    if (len == 0 || len > left) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if (p[i] >> 6 != 2) {
            return 0;
        }
        point = point << 6 | (p[i] & 0x3fu);
    }
    bool good = len == 1 || (point >= least[len] && point <= 0x10ffff && point >> 11 != 0x1b);
    return good ? len : 0;
}

bool fuzz_is_utf8(struct bytes text)
{
    size_t at = 0;
    while (at < text.len) {
        size_t len = character_len(text.ptr + at, text.len - at);
        if (len == 0) {
            return false;
        }
        at += len;
    }
    return true;
}

struct json fuzz_parse_json(struct bytes text)
{
    static struct json_parser *parser;
    struct json root;
    if (parser == NULL) {
        parser = json_parser_new();
    }
    HOLDS(json_parse(parser, text, &root) == OK);
    return root;
}
