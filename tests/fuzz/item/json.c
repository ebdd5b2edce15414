/* The JSON form of items: what is taken is sound and comes back the same from its own JSON; order
 * of members, spelling of numbers and of base 64 do not matter to the bytes. */
#include "base/base64.h"
#include "fuzz.h"
#include "item/item.h"
#include "item/mismatch.h"

static void add_value(struct buf *out, struct fuzz_input *input, struct arena *arena,
                      unsigned depth);

/* ---- JSON that is nearly an item ---- */

static void add_scalar(struct buf *out, struct fuzz_input *input, struct arena *arena, char type)
{
    static const char *const wrong[] = {"null", "true", "12",   "1.5",
                                        "[]",   "{}",   "\"\"", "18446744073709551615"};
    size_t choice = fuzz_below(input, 24);
    if (choice < sizeof(wrong) / sizeof(wrong[0])) {
        buf_add_cstr(out, wrong[choice]);
    } else if (type == 'N') {
        buf_printf(out, "\"%.*s\"", BYTES_FMT(fuzz_number_text(input, arena)));
    } else if (type == 'B' && fuzz_below(input, 8) != 0) {
        buf_add_byte(out, '"');
        base64_add(out, fuzz_bytes(input, 12));
        buf_add_byte(out, '"');
    } else {
        json_add_string(out, fuzz_text(input, arena, 24));
    }
}

static void add_list(struct buf *out, struct fuzz_input *input, struct arena *arena, char type,
                     unsigned depth)
{
    size_t count = fuzz_below(input, 5);
    buf_add_byte(out, '[');
    for (size_t i = 0; i < count; i++) {
        buf_add_cstr(out, i == 0 ? "" : ",");
        if (type == 'L' && fuzz_below(input, 16) != 0) {
            add_value(out, input, arena, depth - 1);
        } else {
            add_scalar(out, input, arena, type);
        }
    }
    buf_add_byte(out, ']');
}

static void add_map(struct buf *out, struct fuzz_input *input, struct arena *arena, unsigned depth)
{
    size_t count = fuzz_below(input, 5);
    buf_add_byte(out, '{');
    for (size_t i = 0; i < count; i++) {
        buf_add_cstr(out, i == 0 ? "" : ",");
        json_add_string(out, fuzz_below(input, 16) == 0 ? BYTES("") : fuzz_name(input, arena));
        buf_add_byte(out, ':');
        if (fuzz_below(input, 16) == 0) {
            add_scalar(out, input, arena, 'S');
        } else {
            add_value(out, input, arena, depth);
        }
    }
    buf_add_byte(out, '}');
}

static void add_member(struct buf *out, struct fuzz_input *input, struct arena *arena,
                       unsigned depth)
{
    static const char *const types[] = {"S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "L", "M"};
    static const char *const truths[] = {"true",  "false", "\"yes\"", "\"No\"",
                                         "\"T\"", "\"0\"", "1",       "\"\""};
    const char *type = types[fuzz_below(input, depth == 0 ? 8 : 10)];
    buf_printf(out, "\"%s\":", fuzz_below(input, 24) == 0 ? "Other" : type);
    if (strlen(type) > 2) {
        buf_add_cstr(out, truths[fuzz_below(input, sizeof(truths) / sizeof(truths[0]))]);
    } else if (type[0] == 'M') {
        add_map(out, input, arena, depth - 1);
    } else if (type[0] == 'L' || type[1] == 'S') {
        add_list(out, input, arena, type[0], depth);
    } else {
        add_scalar(out, input, arena, type[0]);
    }
}

static void add_value(struct buf *out, struct fuzz_input *input, struct arena *arena,
                      unsigned depth)
{
    size_t count = fuzz_below(input, 16) == 0 ? fuzz_below(input, 3) : 1;
    buf_add_byte(out, '{');
    for (size_t i = 0; i < count; i++) {
        buf_add_cstr(out, i == 0 ? "" : ",");
        add_member(out, input, arena, depth);
    }
    buf_add_byte(out, '}');
}

/* A value inside as many lists or maps as the choice says: around the limit of nesting. */
static void add_nested(struct buf *out, struct fuzz_input *input, struct arena *arena)
{
    size_t levels = fuzz_below(input, 80);
    const char *ends[80];
    buf_add_cstr(out, "{\"a\":");
    for (size_t i = 0; i < levels; i++) {
        bool list = fuzz_bool(input);
        buf_add_cstr(out, list ? "{\"L\":[" : "{\"M\":{\"b\":");
        ends[i] = list ? "]}" : "}}";
    }
    add_value(out, input, arena, 0);
    for (size_t i = levels; i > 0; i--) {
        buf_add_cstr(out, ends[i - 1]);
    }
    buf_add_byte(out, '}');
}

/* ---- properties ---- */

/* What is read one container deeper is the same, or was refused for that container alone. */
static void check_deeper(struct json root, struct arena *arena, enum err err, struct bytes item,
                         const struct item_fault *fault)
{
    struct item_reading reading = {.deeper = true};
    struct bytes deeper;
    enum err again = item_from_json(root, arena, &deeper, &reading);
    if (err == OK) {
        HOLDS(again == OK && bytes_equal(item, deeper));
    } else if (again == OK) {
        HOLDS(fault->kind == ITEM_REFUSED_DEPTH && fault->depth == ITEM_DEPTH_MAX);
        HOLDS(item_check(deeper) == OK);
    } else {
        HOLDS(again == ERR_FAULT);
        HOLDS(reading.fault.kind != ITEM_REFUSED_DEPTH || reading.fault.depth > ITEM_DEPTH_MAX);
    }
}

static void check_item(struct bytes text, struct arena *arena)
{
    static struct json_parser *parser;
    struct item_reading reading = {0};
    struct bytes item = BYTES_NONE;
    struct bytes again;
    struct json root;
    struct value value;
    char words[256];
    parser = parser == NULL ? json_parser_new() : parser;
    if (json_parse(parser, text, &root) != OK) {
        return;
    }
    enum err err = value_from_json(root, arena, &value, &reading);
    HOLDS(err == OK || err == ERR_FAULT);
    for (int expected = EXPECT_STRING; expected <= EXPECT_STRUCT; expected++) {
        json_mismatch_text((enum json_expected)expected, root, "java.lang.Object", words,
                           sizeof(words));
    }
    err = item_from_json(root, arena, &item, &reading);
    HOLDS(err == OK || err == ERR_FAULT);
    check_deeper(root, arena, err, item, &reading.fault);
    if (err == ERR_FAULT) {
        HOLDS(reading.fault.kind == ITEM_REFUSED_SERIALIZATION || reading.fault.text[0] != 0);
        HOLDS(reading.fault.kind != ITEM_REFUSED_DEPTH || reading.fault.depth >= ITEM_DEPTH_MAX);
        return;
    }
    HOLDS(item_check(item) == OK);
    struct buf out;
    buf_init(&out, 1u << 20);
    item_to_json(&out, item);
    HOLDS(!out.failed);
    HOLDS(item_from_json(fuzz_parse_json(buf_bytes(&out)), arena, &again, &reading) == OK);
    HOLDS(bytes_equal(item, again));
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = fuzz_input_of(data, size);
    struct arena arena;
    struct buf text;
    arena_init(&arena, 0);
    buf_init(&text, 1u << 20);
    switch (fuzz_below(&input, 4)) {
    case 0:
        add_map(&text, &input, &arena, 1 + (unsigned)fuzz_below(&input, 4));
        break;
    case 1:
        add_nested(&text, &input, &arena);
        break;
    default:
        buf_add(&text, fuzz_rest(&input));
    }
    check_item(buf_bytes(&text), &arena);
    buf_fini(&text);
    arena_fini(&arena);
    return 0;
}
