/* item: the encoding is canonical, the JSON form comes back as it went in, refusals read like
 * DynamoDB's (item I1, I3, I6, I7, I8). */
#include "item/item.h"

#include "check.h"
#include "item/key.h"
#include "item/number.h"

static struct json_parser *parser;
static struct arena arena;
static bool old_form; /* of what was decoded last */

static enum err decode_as(const char *text, struct bytes *item, struct item_fault *fault,
                          bool deeper)
{
    struct json root;
    struct item_reading reading = {.deeper = deeper};
    CHECK(json_parse(parser, bytes_cstr(text), &root) == OK);
    enum err err = item_from_json(root, &arena, item, &reading);
    *fault = reading.fault;
    old_form = reading.old_form;
    return err;
}

static enum err decode(const char *text, struct bytes *item, struct item_fault *fault)
{
    return decode_as(text, item, fault, false);
}

static void check_round_trip(const char *in, const char *out)
{
    struct bytes item = BYTES_NONE;
    struct item_fault fault;
    struct buf json;
    buf_init(&json, 1 << 20);
    CHECK(decode(in, &item, &fault) == OK);
    CHECK(item_check(item) == OK);
    item_to_json(&json, item);
    CHECK_BYTES(buf_bytes(&json), bytes_cstr(out));
    buf_fini(&json);
}

static void every_type_comes_back(void)
{
    check_round_trip(
        "{\"s\":{\"S\":\"a\\\"\\n\\u00e9\"},\"n\":{\"N\":\"-1.50e2\"},\"b\":{\"B\":\"AAEC\"},\"t\":"
        "{\"BOOL\":true},"
        "\"f\":{\"BOOL\":\"No\"},\"z\":{\"NULL\":true},\"l\":{\"L\":[{\"N\":\"1\"},{\"S\":\"\"}]},"
        "\"m\":{\"M\":{\"y\":{\"N\":\"2\"},\"x\":{\"N\":\"1\"}}},\"ss\":{\"SS\":[\"b\",\"a\"]},"
        "\"ns\":{\"NS\":[\"10\",\"9\",\"-1\"]},\"bs\":{\"BS\":[\"AQ==\",\"AA==\"]}}",
        "{\"b\":{\"B\":\"AAEC\"},\"bs\":{\"BS\":[\"AA==\",\"AQ==\"]},\"f\":{\"BOOL\":false},"
        "\"l\":{\"L\":[{\"N\":\"1\"},{\"S\":\"\"}]},\"m\":{\"M\":{\"x\":{\"N\":\"1\"},\"y\":{\"N\":"
        "\"2\"}}},"
        "\"n\":{\"N\":\"-150\"},\"ns\":{\"NS\":[\"-1\",\"9\",\"10\"]},\"s\":{\"S\":"
        "\"a\\\"\\n\xc3\xa9\"},"
        "\"ss\":{\"SS\":[\"a\",\"b\"]},\"t\":{\"BOOL\":true},\"z\":{\"NULL\":true}}");
    check_round_trip("{}", "{}");
    check_round_trip("{\"a\":{\"S\":\"1\"},\"a\":{\"S\":\"2\"}}", "{\"a\":{\"S\":\"2\"}}");
}

static void equal_items_have_equal_bytes(void)
{
    struct bytes one = BYTES_NONE;
    struct bytes two = BYTES_NONE;
    struct item_fault fault;
    CHECK(decode("{\"a\":{\"N\":\"1.0\"},\"b\":{\"M\":{\"p\":{\"SS\":[\"x\",\"y\"]},\"q\":{"
                 "\"NULL\":true}}}}",
                 &one, &fault) == OK);
    CHECK(decode("{\"b\":{\"M\":{\"q\":{\"NULL\":\"yes\"},\"p\":{\"SS\":[\"y\",\"x\"]}}},\"a\":{"
                 "\"N\":\"1\"}}",
                 &two, &fault) == OK);
    CHECK(bytes_equal(one, two));
}

static void refusals_read_like_dynamodb(void)
{
    static const struct {
        const char *json;
        enum item_refusal kind;
        const char *text;
    } cases[] = {
        {"{\"a\":{}}", ITEM_REFUSED_BARE,
         "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"},
        {"{\"a\":{\"S\":null}}", ITEM_REFUSED_BARE,
         "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"},
        {"{\"a\":{\"S\":\"x\",\"N\":\"1\"}}", ITEM_REFUSED_BARE,
         "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the "
         "supported datatypes"},
        {"{\"a\":{\"N\":\"abc\"}}", ITEM_REFUSED_VALIDATION,
         "The parameter cannot be converted to a numeric value: abc"},
        {"{\"a\":{\"N\":\"\"}}", ITEM_REFUSED_VALIDATION,
         "The parameter cannot be converted to a numeric value: "},
        {"{\"a\":{\"N\":\"1e126\"}}", ITEM_REFUSED_VALIDATION,
         "Number overflow. Attempting to store a number with magnitude larger than supported "
         "range"},
        {"{\"a\":{\"N\":\"0e126\"}}", ITEM_REFUSED_VALIDATION,
         "Number overflow. Attempting to store a number with magnitude larger than supported "
         "range"},
        {"{\"a\":{\"N\":\"1e-131\"}}", ITEM_REFUSED_VALIDATION,
         "Number underflow. Attempting to store a number with magnitude smaller than supported "
         "range"},
        {"{\"a\":{\"N\":\"0.0e-130\"}}", ITEM_REFUSED_VALIDATION,
         "Number underflow. Attempting to store a number with magnitude smaller than supported "
         "range"},
        {"{\"a\":{\"N\":\"123456789012345678901234567890123456789\"}}", ITEM_REFUSED_VALIDATION,
         "Attempting to store more than 38 significant digits in a Number"},
        {"{\"a\":{\"NULL\":false}}", ITEM_REFUSED_VALIDATION,
         "One or more parameter values were invalid: Null attribute value types must have the "
         "value of true"},
        {"{\"a\":{\"SS\":[]}}", ITEM_REFUSED_VALIDATION,
         "One or more parameter values were invalid: An string set  may not be empty"},
        {"{\"a\":{\"NS\":[]}}", ITEM_REFUSED_VALIDATION,
         "One or more parameter values were invalid: An number set  may not be empty"},
        {"{\"a\":{\"BS\":[]}}", ITEM_REFUSED_VALIDATION,
         "One or more parameter values were invalid: Binary sets should not be empty"},
        {"{\"a\":{\"SS\":[\"d\",\"a\",\"d\",\"c\",\"b\"]}}", ITEM_REFUSED_VALIDATION,
         "One or more parameter values were invalid: Input collection [\"a\", \"d\", \"d\", "
         "\"c\", \"b\"] contains duplicates."},
        {"{\"a\":{\"N\":\"x\",\"BOOL\":\"maybe\"}}", ITEM_REFUSED_SERIALIZATION,
         "Unexpected token received from parser"},
        {"{\"a\":{\"NULL\":false,\"N\":\"x\",\"SS\":[]}}", ITEM_REFUSED_VALIDATION,
         "One or more parameter values were invalid: An string set  may not be empty"},
        {"{\"a\":{\"NULL\":false,\"N\":\"x\"}}", ITEM_REFUSED_VALIDATION,
         "The parameter cannot be converted to a numeric value: x"},
        {"{\"a\":{\"BOOL\":123456789012345678901234}}", ITEM_REFUSED_SERIALIZATION,
         "NUMBER_VALUE cannot be converted to Boolean"},
        {"{\"a\":{\"BOOL\":-123456789012345678901234}}", ITEM_REFUSED_SERIALIZATION,
         "NUMBER_VALUE cannot be converted to Boolean"},
        {"{\"a\":{\"BOOL\":-0}}", ITEM_REFUSED_SERIALIZATION,
         "NUMBER_VALUE cannot be converted to Boolean"},
        {"{\"a\":{\"BOOL\":1e999}}", ITEM_REFUSED_SERIALIZATION,
         "DECIMAL_VALUE cannot be converted to Boolean"},
        {"{\"a\":{\"SS\":[\"a\",\"b\",\"b\"]}}", ITEM_REFUSED_VALIDATION,
         "One or more parameter values were invalid: Input collection [\"a\", \"b\", \"b\"] "
         "contains duplicates."},
        {"{\"a\":{\"NS\":[\"1\",\"1.0\"]}}", ITEM_REFUSED_VALIDATION,
         "One or more parameter values were invalid: Input collection contains duplicates."},
        {"{\"a\":{\"BS\":[\"AA==\",\"AA==\"]}}", ITEM_REFUSED_VALIDATION,
         "One or more parameter values were invalid: Input collection [\"AA==\",\"AA==\"]of type "
         "BS contains duplicates."},
        {"{\"\":{\"S\":\"x\"}}", ITEM_REFUSED_VALIDATION, "Empty attribute name"},
        {"{\"a\":{\"S\":1}}", ITEM_REFUSED_SERIALIZATION,
         "NUMBER_VALUE cannot be converted to String"},
        {"{\"a\":{\"S\":[\"x\"]}}", ITEM_REFUSED_SERIALIZATION,
         "Unrecognized collection type class java.lang.String"},
        {"{\"a\":{\"BOOL\":\"maybe\"}}", ITEM_REFUSED_SERIALIZATION,
         "Unexpected token received from parser"},
        {"{\"a\":{\"BOOL\":1}}", ITEM_REFUSED_SERIALIZATION,
         "NUMBER_VALUE cannot be converted to Boolean"},
        {"{\"a\":{\"L\":[1]}}", ITEM_REFUSED_SERIALIZATION, "Unexpected value type in payload"},
        {"{\"a\":{\"B\":\"A\"}}", ITEM_REFUSED_SERIALIZATION, "Invalid Base64 data"},
        {"{\"a\":\"x\"}", ITEM_REFUSED_SERIALIZATION, "Unexpected field type"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bytes item = BYTES_NONE;
        struct item_fault fault = {0};
        CHECK(decode(cases[i].json, &item, &fault) == ERR_FAULT);
        CHECK(fault.kind == cases[i].kind);
        CHECK_BYTES(bytes_cstr(fault.text), bytes_cstr(cases[i].text));
    }
}

static void the_older_layer_has_words_of_its_own(void)
{
    static const struct {
        const char *json;
        const char *text;
    } cases[] = {
        {"{\"a\":{\"N\":\"\"}}", "The parameter cannot be converted to a numeric value"},
        {"{\"a\":{\"N\":\"1e2147483647\"}}",
         "Number underflow. Attempting to store a number with magnitude smaller than supported "
         "range"},
        {"{\"a\":{\"N\":\"1e2147483646\"}}",
         "Number overflow. Attempting to store a number with magnitude larger than supported "
         "range"},
        {"{\"a\":{\"SS\":[\"b\",\"a\",\"b\"]}}",
         "One or more parameter values were invalid: Input collection [b, a, b] contains "
         "duplicates."},
        {"{\"a\":{\"NS\":[\"1\",\"1.0\"]}}", "Input collection contains duplicates"},
    };
    struct bytes item = BYTES_NONE;
    struct item_fault fault = {0};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CHECK(decode(cases[i].json, &item, &fault) == ERR_FAULT);
        CHECK_BYTES(bytes_cstr(fault.old_text), bytes_cstr(cases[i].text));
        CHECK(!old_form);
    }
    CHECK(decode("{\"a\":{\"S\":\"x\",\"N\":\"1\"}}", &item, &fault) == ERR_FAULT && old_form);
    CHECK(decode("{\"a\":{\"L\":[{\"BOOL\":\"true\"}]}}", &item, &fault) == OK && old_form);
    CHECK(decode("{\"a\":{\"NULL\":\"t\"}}", &item, &fault) == OK && old_form);
    CHECK(decode("{\"a\":{\"NULL\":true}}", &item, &fault) == OK && !old_form);
}

static void nest(char *text, size_t room, unsigned wraps)
{
    size_t at = (size_t)snprintf(text, room, "{\"a\":");
    for (unsigned i = 0; i < wraps; i++) {
        at += (size_t)snprintf(text + at, room - at, "{\"L\":[");
    }
    at += (size_t)snprintf(text + at, room - at, "{\"S\":\"x\"}");
    for (unsigned i = 0; i < wraps; i++) {
        at += (size_t)snprintf(text + at, room - at, "]}");
    }
    snprintf(text + at, room - at, "}");
}

static void nesting_has_a_limit(void)
{
    static char text[65536];
    struct bytes item = BYTES_NONE;
    struct item_fault fault = {0};
    nest(text, sizeof(text), 31);
    CHECK(decode(text, &item, &fault) == OK);
    CHECK(item_check(item) == OK);
    nest(text, sizeof(text), 32);
    CHECK(decode(text, &item, &fault) == ERR_FAULT);
    CHECK(fault.kind == ITEM_REFUSED_DEPTH && fault.depth == 32);
    CHECK(decode_as(text, &item, &fault, true) == OK);
    CHECK(item_check(item) == OK && item_wraps(item) == ITEM_DEPTH_MAX);
    nest(text, sizeof(text), 33);
    CHECK(decode_as(text, &item, &fault, true) == ERR_FAULT);
    CHECK(fault.kind == ITEM_REFUSED_DEPTH && fault.depth == 33);
    nest(text, sizeof(text), 63);
    CHECK(decode(text, &item, &fault) == ERR_FAULT);
    CHECK(fault.depth == 63);
    nest(text, sizeof(text), 2000);
    CHECK(decode(text, &item, &fault) == ERR_FAULT);
    CHECK(fault.kind == ITEM_REFUSED_DEPTH);
    struct json root;
    nest(text, sizeof(text), 2500);
    CHECK(json_parse(parser, bytes_cstr(text), &root) == ERR_INVALID);
}

static size_t size_of_number(const char *text)
{
    uint8_t encoded[NUMBER_ENCODED_MAX];
    size_t len = 0;
    CHECK(number_parse(bytes_cstr(text), encoded, &len) == NUMBER_OK);
    CHECK(number_check(bytes_of(encoded, len)));
    return number_size(bytes_of(encoded, len));
}

static void sizes_are_dynamodbs(void)
{
    struct bytes item = BYTES_NONE;
    struct item_fault fault;
    CHECK(size_of_number("0") == 1);
    CHECK(size_of_number("100") == 2);
    CHECK(size_of_number("1E125") == 2);
    CHECK(size_of_number("1.5") == 3);
    CHECK(size_of_number("-1.5") == 4);
    CHECK(size_of_number("12345678901234567890123456789012345678") == 20);
    CHECK(decode("{\"pk\":{\"S\":\"abc\"},\"l\":{\"L\":[{\"S\":\"xy\"}]},\"m\":{\"M\":{\"k\":{"
                 "\"NULL\":true}}}}",
                 &item, &fault) == OK);
    CHECK(item_size(item) == 2 + 3 + 1 + (3 + 1 + 2) + 1 + (3 + 1 + 1 + 1));
}

static void numbers_print_as_they_should(void)
{
    static const char *const cases[][2] = {
        {"-0", "0"},
        {"007.50", "7.5"},
        {"1e3", "1000"},
        {"1e-3", "0.001"},
        {".5", "0.5"},
        {"5.", "5"},
        {"1E125", "1E+125"},
        {"-1.5e-130", NULL},
        {"1e-130", "1E-130"},
        {"12e37", "1.2E+38"},
        {"1e37", "10000000000000000000000000000000000000"},
        {"0.1", "0.1"},
        {"-120", "-120"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t encoded[NUMBER_ENCODED_MAX];
        size_t len = 0;
        struct buf text;
        buf_init(&text, 100);
        enum number_refusal refusal = number_parse(bytes_cstr(cases[i][0]), encoded, &len);
        if (cases[i][1] == NULL) {
            CHECK(refusal == NUMBER_OK || refusal == NUMBER_UNDERFLOW);
        } else {
            CHECK(refusal == NUMBER_OK);
            number_add_text(&text, bytes_of(encoded, len));
            CHECK_BYTES(buf_bytes(&text), bytes_cstr(cases[i][1]));
        }
        buf_fini(&text);
    }
}

/* The output grows at 1, 2, 4 KiB: wherever a container's end falls, its content stays. */
static void small_containers_survive_the_growing_output(void)
{
    static char text[5000];
    static char pad[4200];
    memset(pad, 'p', sizeof(pad));
    for (int len = 980; len < 4110; len++) {
        struct item_reading reading = {0};
        struct arena own;
        struct bytes item;
        struct json root;
        struct buf again;
        int written =
            snprintf(text, sizeof(text),
                     "{\"a\":{\"S\":\"%.*s\"},\"b\":{\"L\":[{\"BOOL\":true},{\"NULL\":true}]},"
                     "\"c\":{\"NS\":[\"1\"]},\"d\":{\"M\":{\"e\":{\"BOOL\":false}}}}",
                     len, pad);
        arena_init(&own, 0);
        buf_init(&again, sizeof(text));
        CHECK(json_parse(parser, bytes_of(text, (size_t)written), &root) == OK);
        CHECK(item_from_json(root, &own, &item, &reading) == OK && item_check(item) == OK);
        item_to_json(&again, item);
        CHECK(bytes_equal(buf_bytes(&again), bytes_of(text, (size_t)written)));
        buf_fini(&again);
        arena_fini(&own);
    }
}

static void a_number_has_one_form(void)
{
    static const uint8_t fifty[] = {0xc0, 131, 51};
    static const uint8_t pair_of_zeros[] = {0xc0, 131, 51, 1};
    static const uint8_t minus_pair_of_zeros[] = {0x3f, 0xff - 131, 0xff - 51, 0xff - 1, 0xff};
    static const uint8_t begins_with_zero[] = {0xc0, 131, 6};
    CHECK(number_check(bytes_of(fifty, sizeof(fifty))));
    CHECK(!number_check(bytes_of(pair_of_zeros, sizeof(pair_of_zeros))));
    CHECK(!number_check(bytes_of(minus_pair_of_zeros, sizeof(minus_pair_of_zeros))));
    CHECK(!number_check(bytes_of(begins_with_zero, sizeof(begins_with_zero))));
}

static void keys_keep_the_order_of_their_sort_part(void)
{
    const struct key_schema schema = {{BYTES("p"), VALUE_S}, {BYTES("s"), VALUE_N}};
    static const char *const sorts[] = {"-1E125", "-200", "-120001", "-12", "-0.5",  "0",
                                        "1E-130", "0.5",  "9",       "10",  "10.01", "1E125"};
    struct bytes before = BYTES_NONE;
    for (size_t i = 0; i < sizeof(sorts) / sizeof(sorts[0]); i++) {
        char text[200];
        struct bytes item = BYTES_NONE;
        struct item_fault fault;
        struct key key;
        struct key_fault key_fault;
        if (i == 2) {
            continue; /* -120001 is below -200: order is checked on its neighbours */
        }
        snprintf(text, sizeof(text),
                 "{\"p\":{\"S\":\"k\"},\"s\":{\"N\":\"%s\"},\"x\":{\"S\":\"y\"}}", sorts[i]);
        CHECK(decode(text, &item, &fault) == OK);
        CHECK(key_from_item(&schema, item, &arena, &key, &key_fault) == KEY_OK);
        CHECK(key_from_exact(&schema, item, &arena, &key, &key_fault) == KEY_EXTRA);
        CHECK(i == 0 || bytes_compare(before, key.bytes) < 0);
        before = key.bytes;
        struct bytes back = key_to_item(&schema, key.bytes, &arena);
        CHECK(item_count(back) == 2);
    }
}

int main(void)
{
    parser = json_parser_new();
    arena_init(&arena, 0);
    RUN(every_type_comes_back);
    RUN(equal_items_have_equal_bytes);
    RUN(refusals_read_like_dynamodb);
    RUN(the_older_layer_has_words_of_its_own);
    RUN(nesting_has_a_limit);
    RUN(sizes_are_dynamodbs);
    RUN(numbers_print_as_they_should);
    RUN(small_containers_survive_the_growing_output);
    RUN(a_number_has_one_form);
    RUN(keys_keep_the_order_of_their_sort_part);
    arena_fini(&arena);
    json_parser_free(parser);
    return CHECK_RESULT();
}
