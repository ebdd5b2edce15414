/* Filter expressions: conditions that may not name key attributes. */
#include "grammar.h"

static const struct key_schema schema = {{BYTES_INIT("pk"), VALUE_S}, {BYTES_INIT("sk"), VALUE_N}};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = fuzz_input_of(data, size);
    struct expr_fault fault = {.text = {0}};
    struct expr_binding binding;
    struct arena arena;
    bool result;
    bool group;
    arena_init(&arena, 0);
    struct bytes item = fuzz_item(&input, &arena, 2);
    struct grammar grammar = grammar_of(&input, &arena, item);
    bool made = fuzz_bool(&input);
    bool expected = false;
    if (made) {
        expected = put_or(&grammar, 1 + (unsigned)fuzz_below(&input, 4), &group);
    } else {
        binding = loose_binding(&input, &arena, &grammar.text);
    }
    struct bytes text = fuzz_copy(&arena, buf_bytes(&grammar.text));
    const struct expr *expr = compile(EXPR_FILTER, text);
    HOLDS(expr != NULL || !made || text.len > EXPR_TEXT_MAX);
    if (expr != NULL && made) {
        bool bound = bind(&grammar, expr, &schema, &binding, &fault);
        bool key =
            strncmp(fault.text, "Filter Expression can only contain non-primary key", 50) == 0;
        HOLDS(!bound || !grammar.touches_key);
        HOLDS(bound || grammar.touches_key || !key);
        if (bound) {
            HOLDS(expr_test(expr, &binding, item, &arena, &result, &fault) == OK);
            HOLDS(result == expected);
        }
    } else if (expr != NULL && check_all(expr, &binding, &schema, &arena, &fault) == OK) {
        HOLDS(expr_test(expr, &binding, item, &arena, &result, &fault) == OK);
    }
    buf_fini(&grammar.text);
    arena_fini(&arena);
    return 0;
}
