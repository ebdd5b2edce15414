/* Key conditions: an item's key lies in the range exactly when the same text, taken for a
 * condition, is true of the item. */
#include "grammar.h"

static struct key_attribute attribute(struct fuzz_input *input, const char *name)
{
    static const enum value_tag tags[] = {VALUE_S, VALUE_N, VALUE_B};
    return (struct key_attribute){bytes_cstr(name), tags[fuzz_below(input, 3)]};
}

/* A literal for a key attribute: of its type, mostly; now and then the item's own. */
static void put_key_value(struct grammar *grammar, const struct key_attribute *attribute)
{
    struct value value;
    size_t choice = choose(grammar, 8);
    if (choice < 4 && item_get(grammar->item, attribute->name, &value)) {
        put_value(grammar, value);
        return;
    }
    enum value_tag tag = choice == 7 ? (enum value_tag)0 : attribute->tag;
    put_value(grammar, fuzz_value(grammar->input, grammar->arena, tag, 1));
}

static void put_key_name(struct grammar *grammar, const struct key_attribute *attribute)
{
    buf_add_byte(&grammar->text, ' ');
    put_name(grammar, choose(grammar, 16) == 0 ? BYTES("a") : attribute->name);
}

static void put_key_condition(struct grammar *grammar, const struct key_attribute *attribute)
{
    static const char *const signs[] = {"=", "<", "<=", ">", ">=", "<>"};
    size_t choice = choose(grammar, 12);
    if (choice == 0) {
        put(grammar, "begins_with");
        put(grammar, "(");
        put_key_name(grammar, attribute);
        put(grammar, ",");
        put_key_value(grammar, attribute);
        put(grammar, ")");
    } else if (choice == 1) {
        put_key_name(grammar, attribute);
        put(grammar, "BETWEEN");
        put_key_value(grammar, attribute);
        put(grammar, "AND");
        put_key_value(grammar, attribute);
    } else if (choice == 2) {
        put_key_value(grammar, attribute);
        put(grammar, signs[choose(grammar, 6)]);
        put_key_name(grammar, attribute);
    } else {
        put_key_name(grammar, attribute);
        put(grammar, signs[choice < 8 ? 0 : choose(grammar, 6)]);
        put_key_value(grammar, attribute);
    }
}

static bool in_range(const struct key_range *range, struct bytes key)
{
    struct bytes partition;
    struct bytes sort;
    HOLDS(key_split(key, &partition, &sort) == OK);
    int low = range->has_low ? bytes_compare(sort, range->low) : 1;
    int high = range->has_high ? bytes_compare(sort, range->high) : -1;
    return bytes_equal(partition, range->partition) &&
           (low > 0 || (low == 0 && range->low_inclusive)) &&
           (high < 0 || (high == 0 && range->high_inclusive)) &&
           bytes_start_with(sort, range->prefix);
}

/* The item's key, and the condition as one on the item. */
static void compare(struct grammar *grammar, const struct key_schema *schema, struct bytes text,
                    struct expr_binding *binding, const struct key_range *range)
{
    struct expr_fault fault;
    struct key_fault key_fault;
    struct key key;
    bool truth;
    if (key_from_item(schema, grammar->item, grammar->arena, &key, &key_fault) != KEY_OK) {
        return;
    }
    const struct expr *condition = compile(EXPR_CONDITION, text);
    HOLDS(condition != NULL);
    HOLDS(check_all(condition, binding, NULL, grammar->arena, &fault) == OK);
    HOLDS(expr_test(condition, binding, grammar->item, grammar->arena, &truth, &fault) == OK);
    HOLDS(in_range(range, key.bytes) == truth);
    HOLDS(!truth || range->hash == key.hash);
}

static void try_range(struct grammar *grammar, const struct key_schema *schema, struct bytes text,
                      struct expr_binding *binding, const struct expr *expr)
{
    struct expr_fault fault = {.text = {0}};
    struct key_range range;
    enum err err = expr_key_range(expr, binding, schema, grammar->arena, &range, &fault);
    HOLDS(err == OK || err == ERR_FAULT);
    if (err == ERR_FAULT) {
        check_fault(&fault);
    } else {
        HOLDS(range.partition.len > 0);
        compare(grammar, schema, text, binding, &range);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = fuzz_input_of(data, size);
    struct expr_fault fault = {.text = {0}};
    struct expr_binding binding;
    struct arena arena;
    arena_init(&arena, 0);
    struct key_schema schema = {.partition = attribute(&input, "pk")};
    struct bytes item;
    struct item_build build;
    item_build_init(&build, &arena);
    item_build_value(&build, BYTES("pk"), fuzz_value(&input, &arena, schema.partition.tag, 1));
    if (fuzz_bool(&input)) {
        schema.sort = attribute(&input, "sk");
        item_build_value(&build, BYTES("sk"), fuzz_value(&input, &arena, schema.sort.tag, 1));
    }
    HOLDS(item_build_end(&build, &item) == OK);
    struct grammar grammar = grammar_of(&input, &arena, item);
    bool made = fuzz_bool(&input);
    if (made) {
        put_key_condition(&grammar, &schema.partition);
        for (size_t more = fuzz_below(&input, 3); more > 0; more--) {
            put(&grammar, "AND");
            put_key_condition(&grammar,
                              key_schema_has_sort(&schema) ? &schema.sort : &schema.partition);
        }
    } else {
        binding = loose_binding(&input, &arena, &grammar.text);
    }
    struct bytes text = fuzz_copy(&arena, buf_bytes(&grammar.text));
    const struct expr *expr = compile(EXPR_KEY_CONDITION, text);
    bool bound = expr != NULL && (made ? bind(&grammar, expr, &schema, &binding, &fault)
                                       : check_all(expr, &binding, &schema, &arena, &fault) == OK);
    if (bound) {
        try_range(&grammar, &schema, text, &binding, expr);
    }
    buf_fini(&grammar.text);
    arena_fini(&arena);
    return 0;
}
