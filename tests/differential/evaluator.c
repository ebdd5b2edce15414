/* Evaluates what it is asked, one JSON object a line, by the program's own code: for comparison
 * with the slow, obvious reference in reference.py. Answers one JSON object a line.
 *
 *   {"numbers": [a, b]}                         {"a": text, "b": text, "order": n, "sum": s,
 * "difference": s}
 *   {"condition"|"update"|"projection"|"key": text, "item": {...}, "names": {...}, "values": {...}}
 *                                               {"holds": bool} | {"item": {...}} | {"fault": text}
 *
 * The item of a key condition is a key of the attributes pk and sk.
 */
#include "base/json.h"
#include "expr/expr.h"
#include "item/number.h"

#include <stdio.h>
#include <stdlib.h>

static struct json_parser *parser;
static struct expr_cache *cache;
static struct arena arena;
static struct buf answer;

static void add_member(const char *name, const char *text)
{
    buf_printf(&answer, "%s\"%s\":", answer.len > 1 ? "," : "", name);
    json_add_string(&answer, bytes_cstr(text));
}

static void add_number(const char *name, enum number_refusal refusal, struct bytes encoded)
{
    char text[300];
    struct buf shown;
    buf_init(&shown, 200);
    if (refusal == NUMBER_OK) {
        if (!number_check(encoded)) {
            printf("\"not canonical\"\n");
            exit(1);
        }
        number_add_text(&shown, encoded);
        snprintf(text, sizeof(text), "%.*s", BYTES_FMT(buf_bytes(&shown)));
    } else {
        number_refusal_text(refusal, BYTES_NONE, text, sizeof(text));
    }
    buf_fini(&shown);
    add_member(name, text);
}

static void answer_numbers(struct json pair)
{
    uint8_t encoded[4][NUMBER_ENCODED_MAX];
    size_t len[4];
    enum number_refusal refusal[4];
    struct json_iter iter = json_iter_of(pair);
    struct json text;
    for (size_t i = 0; i < 2 && json_next(&iter, &text); i++) {
        refusal[i] = number_parse(json_string(text), encoded[i], &len[i]);
        add_number(i == 0 ? "a" : "b", refusal[i], bytes_of(encoded[i], len[i]));
    }
    if (refusal[0] == NUMBER_OK && refusal[1] == NUMBER_OK) {
        struct bytes a = bytes_of(encoded[0], len[0]);
        struct bytes b = bytes_of(encoded[1], len[1]);
        int order = bytes_compare(a, b);
        buf_printf(&answer, ",\"order\":%d", (order > 0) - (order < 0));
        refusal[2] = number_add(a, b, encoded[2], &len[2]);
        refusal[3] = number_subtract(a, b, encoded[3], &len[3]);
        add_number("sum", refusal[2], bytes_of(encoded[2], len[2]));
        add_number("difference", refusal[3], bytes_of(encoded[3], len[3]));
    }
}

static struct bytes item_member(struct json root, struct bytes name, bool *given)
{
    struct json member;
    struct bytes item = BYTES("");
    struct item_reading reading = {0};
    *given = json_member(root, name, &member);
    if (*given && item_from_json(member, &arena, &item, &reading) != OK) {
        printf("\"the item is refused: %s\"\n", reading.fault.text);
        exit(1);
    }
    return item.ptr == NULL ? BYTES("") : item;
}

static struct key_attribute key_attribute_of(const char *name, struct bytes item)
{
    struct value value = {0};
    (void)item_get(item, bytes_cstr(name), &value);
    return (struct key_attribute){bytes_cstr(name), value.tag};
}

static bool is_within(const struct key_range *range, struct bytes sort)
{
    int low = range->has_low ? bytes_compare(sort, range->low) : 1;
    int high = range->has_high ? bytes_compare(sort, range->high) : -1;
    return (low > 0 || (low == 0 && range->low_inclusive)) &&
           (high < 0 || (high == 0 && range->high_inclusive)) &&
           bytes_start_with(sort, range->prefix);
}

static enum err find_key(const struct expr *expr, struct bytes item,
                         const struct expr_binding *binding, struct expr_fault *fault, bool *holds)
{
    const struct key_schema schema = {key_attribute_of("pk", item), key_attribute_of("sk", item)};
    struct key_range range = {0};
    struct key_fault refused;
    struct bytes partition;
    struct bytes sort;
    struct key key;
    TRY(expr_key_range(expr, binding, &schema, &arena, &range, fault));
    if (key_from_item(&schema, item, &arena, &key, &refused) != KEY_OK ||
        key_split(key.bytes, &partition, &sort) != OK) {
        printf("\"not a key\"\n");
        exit(1);
    }
    *holds = bytes_equal(partition, range.partition) && is_within(&range, sort);
    return OK;
}

static enum err evaluate(enum expr_kind kind, struct bytes text, struct bytes item,
                         struct expr_binding *binding, struct expr_fault *fault)
{
    const struct expr *expr;
    struct expr_update_result result;
    struct bytes projected;
    bool holds = false;
    TRY(expr_compile(cache, kind, text, &expr, fault));
    TRY(expr_check(expr, binding, &arena, fault));
    TRY(expr_check_unused(binding, fault));
    TRY(expr_check_form(expr, binding, &arena, fault));
    switch (kind) {
    case EXPR_CONDITION:
        TRY(expr_test(expr, binding, item, &arena, &holds, fault));
        buf_printf(&answer, "\"holds\":%s", holds ? "true" : "false");
        return OK;
    case EXPR_KEY_CONDITION:
        TRY(find_key(expr, item, binding, fault, &holds));
        buf_printf(&answer, "\"holds\":%s", holds ? "true" : "false");
        return OK;
    case EXPR_UPDATE:
        TRY(expr_update(expr, binding, item, true, &arena, &result, fault));
        projected = result.item;
        break;
    default:
        TRY(expr_project(expr, binding, item, &arena, &projected, fault));
    }
    if (item_check(projected) != OK) {
        printf("\"not an item\"\n");
        exit(1);
    }
    buf_add_cstr(&answer, "\"item\":");
    item_to_json(&answer, projected);
    return OK;
}

static void answer_expression(struct json root, enum expr_kind kind, struct bytes text)
{
    bool has_names;
    bool has_values;
    bool has_item;
    struct expr_binding binding;
    struct expr_fault fault = {0};
    struct bytes names = item_member(root, BYTES("names"), &has_names);
    struct bytes values = item_member(root, BYTES("values"), &has_values);
    struct bytes item = item_member(root, BYTES("item"), &has_item);
    if (expr_binding_init(&binding, &arena, names, has_names, values, has_values) != OK ||
        evaluate(kind, text, item, &binding, &fault) != OK) {
        add_member("fault", fault.text);
    }
}

int main(void)
{
    static const struct {
        struct bytes name;
        enum expr_kind kind;
    } kinds[] = {{BYTES_INIT("condition"), EXPR_CONDITION},
                 {BYTES_INIT("update"), EXPR_UPDATE},
                 {BYTES_INIT("projection"), EXPR_PROJECTION},
                 {BYTES_INIT("key"), EXPR_KEY_CONDITION}};
    char *line = NULL;
    size_t room = 0;
    ssize_t len;
    parser = json_parser_new();
    cache = expr_cache_new();
    arena_init(&arena, 0);
    buf_init(&answer, 1u << 24);
    while ((len = getline(&line, &room, stdin)) > 0) {
        struct json root;
        struct json member;
        arena_reset(&arena);
        buf_clear(&answer);
        if (json_parse(parser, bytes_of(line, (size_t)len), &root) != OK) {
            return 1;
        }
        buf_add_byte(&answer, '{');
        if (json_member(root, BYTES("numbers"), &member)) {
            answer_numbers(member);
        }
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
            if (json_member(root, kinds[i].name, &member)) {
                answer_expression(root, kinds[i].kind, json_string(member));
            }
        }
        buf_add_byte(&answer, '}');
        printf("%.*s\n", BYTES_FMT(buf_bytes(&answer)));
    }
    free(line);
    buf_fini(&answer);
    arena_fini(&arena);
    expr_cache_free(cache);
    json_parser_free(parser);
    return 0;
}
