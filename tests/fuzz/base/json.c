/* The JSON reader against a strict reader of RFC 8259 written here again, which walks the text
 * beside the parsed document; and what is written from a document reads back the same. */
#include "base/json.h"
#include "fuzz.h"

#include <ctype.h>

#define DEPTH_MAX 1024u /* what base/json.h states */

/* Reads the text; with has_value also compares it with what was parsed. */
struct reference {
    const uint8_t *at;
    const uint8_t *end;
    struct arena *arena;
    bool compare;
    bool unsure; /* a number that may be out of a double's or an integer's range */
    bool loose;  /* many digits that begin with 0: simdjson 3.0 takes them */
    unsigned deepest;
};

static bool read_value(struct reference *reference, struct json value, unsigned depth);

static void skip_blanks(struct reference *reference)
{
    while (reference->at < reference->end && memchr(" \t\n\r", *reference->at, 4) != NULL) {
        reference->at++;
    }
}

static bool take(struct reference *reference, const char *text)
{
    size_t len = strlen(text);
    if ((size_t)(reference->end - reference->at) < len || memcmp(reference->at, text, len) != 0) {
        return false;
    }
    reference->at += len;
    return true;
}

static bool take_digits(struct reference *reference, size_t *count)
{
    const uint8_t *start = reference->at;
    while (reference->at < reference->end && isdigit(*reference->at)) {
        reference->at++;
    }
    *count = (size_t)(reference->at - start);
    return *count > 0;
}

static bool read_number(struct reference *reference, struct json value)
{
    const uint8_t *start = reference->at;
    size_t whole = 0;
    size_t fraction = 0;
    size_t exponent = 0;
    bool real = false;
    (void)take(reference, "-");
    const uint8_t *first = reference->at;
    if (!take_digits(reference, &whole)) {
        return false;
    }
    if (whole > 1 && *first == '0') {
        reference->loose = reference->loose || whole > 18;
        return false;
    }
    if (take(reference, ".")) {
        real = true;
        if (!take_digits(reference, &fraction)) {
            return false;
        }
    }
    if (take(reference, "e") || take(reference, "E")) {
        real = true;
        bool sign = take(reference, "+") || take(reference, "-");
        (void)sign;
        if (!take_digits(reference, &exponent)) {
            return false;
        }
    }
    reference->unsure |= whole > 18 || exponent > 2;
    if (reference->compare && !real && whole <= 18) {
        int64_t integer = 0;
        for (const uint8_t *p = first; p < reference->at; p++) {
            integer = integer * 10 + (*p - '0');
        }
        HOLDS(json_type(value) == JSON_INTEGER);
        HOLDS(json_integer(value) == (*start == '-' ? -integer : integer));
        HOLDS(json_number(value) >= -1e18 && json_number(value) <= 1e18);
    } else if (reference->compare) {
        HOLDS(json_type(value) == JSON_NUMBER || (!real && json_type(value) == JSON_INTEGER));
        HOLDS(json_number(value) == json_number(value));
    }
    return true;
}

static bool read_hex(struct reference *reference, uint32_t *unit)
{
    *unit = 0;
    for (int i = 0; i < 4; i++) {
        if (reference->at == reference->end || !isxdigit(*reference->at)) {
            return false;
        }
        uint8_t c = *reference->at++;
        *unit = *unit << 4 | (uint32_t)(isdigit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return true;
}

static size_t put_character(uint8_t *out, uint32_t point)
{
    if (point < 0x80) {
        out[0] = (uint8_t)point;
        return 1;
    }
    size_t len = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--) {
        out[i] = (uint8_t)(0x80 | (point & 0x3f));
        point >>= 6;
    }
    out[0] = (uint8_t)((0xf0u << (4 - len)) | point);
    return len;
}

/* \uXXXX, a pair of them above the basic plane. */
static bool read_escaped(struct reference *reference, uint8_t *out, size_t *len)
{
    uint32_t high;
    uint32_t low;
    if (!read_hex(reference, &high)) {
        return false;
    }
    if (high >> 11 != 0x1b) {
        *len += put_character(out + *len, high);
        return true;
    }
    if (high >= 0xdc00 || !take(reference, "\\u") || !read_hex(reference, &low) || low < 0xdc00 ||
        low > 0xdfff) {
        return false;
    }
    *len += put_character(out + *len, 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
    return true;
}

/* *text: unescaped, in the arena. */
static bool read_string(struct reference *reference, struct bytes *text)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meant[] = "\"\\/\b\f\n\r\t";
    uint8_t *out = arena_alloc(reference->arena, (size_t)(reference->end - reference->at) + 1);
    size_t len = 0;
    HOLDS(out != NULL);
    if (!take(reference, "\"")) {
        return false;
    }
    while (reference->at < reference->end && *reference->at != '"') {
        uint8_t c = *reference->at++;
        if (c < 0x20) {
            return false;
        }
        if (c != '\\') {
            out[len++] = c;
            continue;
        }
        if (reference->at == reference->end) {
            return false;
        }
        c = *reference->at++;
        const char *letter = c == 0 ? NULL : strchr(letters, c);
        if (letter != NULL) {
            out[len++] = (uint8_t)meant[letter - letters];
        } else if (c != 'u' || !read_escaped(reference, out, &len)) {
            return false;
        }
    }
    *text = bytes_of(out, len);
    return take(reference, "\"");
}

static bool read_array(struct reference *reference, struct json value, unsigned depth)
{
    struct json_iter iter = {0};
    struct json element = {0};
    size_t count = 0;
    if (reference->compare) {
        HOLDS(json_type(value) == JSON_ARRAY);
        iter = json_iter_of(value);
    }
    skip_blanks(reference);
    bool more = !take(reference, "]");
    while (more) {
        HOLDS(!reference->compare || json_next(&iter, &element));
        if (!read_value(reference, element, depth)) {
            return false;
        }
        count++;
        more = take(reference, ",");
        if (!more && !take(reference, "]")) {
            return false;
        }
    }
    HOLDS(!reference->compare || (!json_next(&iter, &element) && json_count(value) == count));
    return true;
}

static bool read_object(struct reference *reference, struct json value, unsigned depth)
{
    struct json_iter iter = {0};
    struct json member = {0};
    struct bytes name;
    struct bytes found;
    size_t count = 0;
    if (reference->compare) {
        HOLDS(json_type(value) == JSON_OBJECT);
        iter = json_iter_of(value);
    }
    skip_blanks(reference);
    bool more = !take(reference, "}");
    while (more) {
        skip_blanks(reference);
        if (!read_string(reference, &name)) {
            return false;
        }
        skip_blanks(reference);
        if (!take(reference, ":")) {
            return false;
        }
        if (reference->compare) {
            HOLDS(json_next_member(&iter, &found, &member) && bytes_equal(found, name));
            HOLDS(json_member(value, name, &member));
            struct json_iter rest = iter; /* json_member gives the last of that name */
            struct json later;
            while (json_next_member(&rest, &found, &later)) {
                HOLDS(!bytes_equal(found, name) || member.place >= later.place);
            }
            iter = json_iter_of(value);
            for (size_t i = 0; i <= count; i++) {
                HOLDS(json_next_member(&iter, &found, &member));
            }
        }
        if (!read_value(reference, member, depth)) {
            return false;
        }
        count++;
        more = take(reference, ",");
        if (!more && !take(reference, "}")) {
            return false;
        }
    }
    HOLDS(!reference->compare ||
          (!json_next_member(&iter, &found, &member) && json_count(value) == count));
    return true;
}

static bool read_word(struct reference *reference, struct json value)
{
    static const struct {
        const char *text;
        enum json_type type;
    } words[] = {{"null", JSON_NULL}, {"false", JSON_FALSE}, {"true", JSON_TRUE}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (take(reference, words[i].text)) {
            HOLDS(!reference->compare || json_type(value) == words[i].type);
            return true;
        }
    }
    return read_number(reference, value);
}

static bool read_value(struct reference *reference, struct json value, unsigned depth)
{
    struct bytes text;
    reference->deepest = depth > reference->deepest ? depth : reference->deepest;
    skip_blanks(reference);
    bool good;
    if (reference->at == reference->end) {
        return false;
    }
    if (*reference->at == '"') {
        good = read_string(reference, &text);
        HOLDS(!good || !reference->compare ||
              (json_type(value) == JSON_STRING && bytes_equal(json_string(value), text)));
    } else if (take(reference, "[")) {
        good = read_array(reference, value, depth + 1);
    } else if (take(reference, "{")) {
        good = read_object(reference, value, depth + 1);
    } else {
        good = read_word(reference, value);
    }
    skip_blanks(reference);
    return good;
}

/* What is written of a document is the same document; from the second time on also the same text
 * (the first may turn 1.0 into 1, and -0 into 0). */
static void write_again(struct json root)
{
    struct buf texts[3];
    for (size_t i = 0; i < 3; i++) {
        buf_init(&texts[i], 1u << 20);
        json_add_value(&texts[i], root);
        HOLDS(!texts[i].failed);
        root = fuzz_parse_json(buf_bytes(&texts[i]));
    }
    HOLDS(bytes_equal(buf_bytes(&texts[1]), buf_bytes(&texts[2])));
    for (size_t i = 0; i < 3; i++) {
        buf_fini(&texts[i]);
    }
}

static void write_string(struct bytes text)
{
    struct buf out;
    buf_init(&out, 6 * text.len + 2);
    json_add_string(&out, text);
    HOLDS(!out.failed);
    struct json root = fuzz_parse_json(buf_bytes(&out));
    HOLDS(json_type(root) == JSON_STRING && bytes_equal(json_string(root), text));
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct json_parser *parser;
    struct arena arena;
    struct json root;
    arena_init(&arena, 0);
    parser = parser == NULL ? json_parser_new() : parser;
    struct bytes text = bytes_of(data, size);
    struct reference reference = {.at = data, .end = data + size, .arena = &arena};
    bool good = fuzz_is_utf8(text) && read_value(&reference, (struct json){0}, 0) &&
                reference.at == reference.end;
    enum err err = json_parse(parser, text, &root);
    HOLDS(err == OK || err == ERR_INVALID);
    HOLDS(err != OK || reference.loose || (good && reference.deepest <= DEPTH_MAX));
    HOLDS(err == OK || !good || reference.unsure || reference.deepest >= DEPTH_MAX);
    if (err == OK && good) {
        reference =
            (struct reference){.at = data, .end = data + size, .arena = &arena, .compare = true};
        HOLDS(read_value(&reference, root, 0) && reference.at == reference.end);
        write_again(root);
    }
    if (fuzz_is_utf8(text)) {
        write_string(text);
    }
    arena_fini(&arena);
    return 0;
}
