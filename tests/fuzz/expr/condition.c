/* Condition expressions: what they come to on an item, against what the grammar reckoned when it
 * wrote them; any text is compiled or refused, the same each time. */
#include "grammar.h"

static void made_condition(struct fuzz_input *input, struct arena *arena)
{
    struct bytes item = fuzz_item(input, arena, 1 + (unsigned)fuzz_below(input, 3));
    struct grammar grammar = grammar_of(input, arena, item);
    struct expr_binding binding;
    struct expr_fault fault = {.text = {0}};
    bool group;
    bool result = false;
    bool again = false;
    bool expected = put_or(&grammar, 1 + (unsigned)fuzz_below(input, 6), &group);
    struct bytes text = fuzz_copy(arena, buf_bytes(&grammar.text));
    const struct expr *expr = compile(EXPR_CONDITION, text);
    HOLDS(expr != NULL || text.len > EXPR_TEXT_MAX);
    if (expr != NULL && bind(&grammar, expr, NULL, &binding, &fault)) {
        HOLDS(expr_test(expr, &binding, item, arena, &result, &fault) == OK);
        HOLDS(result == expected);
        HOLDS(expr_test(expr, &binding, item, arena, &again, &fault) == OK && again == result);
    }
    buf_fini(&grammar.text);
}

static void any_text(struct fuzz_input *input, struct arena *arena)
{
    struct bytes item = fuzz_item(input, arena, 2);
    struct expr_fault fault = {.text = {0}};
    struct buf text;
    bool result;
    buf_init(&text, 65536);
    struct expr_binding binding = loose_binding(input, arena, &text);
    const struct expr *expr = compile(EXPR_CONDITION, fuzz_copy(arena, buf_bytes(&text)));
    if (expr != NULL && check_all(expr, &binding, NULL, arena, &fault) == OK) {
        HOLDS(expr_test(expr, &binding, item, arena, &result, &fault) == OK);
        HOLDS(expr_test(expr, &binding, BYTES_NONE, arena, &result, &fault) == OK);
        if (expr_check_unused(&binding, &fault) != OK) {
            check_fault(&fault);
        }
    }
    buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = fuzz_input_of(data, size);
    struct arena arena;
    arena_init(&arena, 0);
    if (fuzz_bool(&input)) {
        made_condition(&input, &arena);
    } else {
        any_text(&input, &arena);
    }
    arena_fini(&arena);
    return 0;
}
