/* Projection expressions: what is cut out of an item, against marks in a tree; and cutting again
 * changes nothing where no list lost elements. */
#include "tree.h"

static void made_projection(struct fuzz_input *input, struct arena *arena)
{
    struct bytes item = fuzz_item(input, arena, 1 + (unsigned)fuzz_below(input, 3));
    struct grammar grammar = grammar_of(input, arena, item);
    struct tree *tree = tree_of_item(item, arena);
    struct expr_binding binding;
    struct expr_fault fault = {.text = {0}};
    struct bytes projected;
    struct bytes again;
    size_t count = 1 + fuzz_below(input, 6);
    bool indexed = false;
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            put(&grammar, ",");
        }
        struct grammar_path path = put_path(&grammar);
        tree_mark(tree, &path);
        for (size_t j = 0; j < path.count; j++) {
            indexed = indexed || path.steps[j].is_index;
        }
    }
    struct bytes text = fuzz_copy(arena, buf_bytes(&grammar.text));
    const struct expr *expr = compile(EXPR_PROJECTION, text);
    HOLDS(expr != NULL || text.len > EXPR_TEXT_MAX);
    if (expr != NULL && bind(&grammar, expr, NULL, &binding, &fault)) {
        HOLDS(expr_project(expr, &binding, item, arena, &projected, &fault) == OK);
        HOLDS(item_check(projected) == OK);
        HOLDS(bytes_equal(projected, tree_bytes(tree, false, arena)));
        HOLDS(expr_project(expr, &binding, projected, arena, &again, &fault) == OK);
        HOLDS(indexed || bytes_equal(projected, again));
    }
    buf_fini(&grammar.text);
}

static void any_text(struct fuzz_input *input, struct arena *arena)
{
    struct bytes item = fuzz_item(input, arena, 2);
    struct expr_fault fault = {.text = {0}};
    struct bytes projected;
    struct buf text;
    buf_init(&text, 65536);
    struct expr_binding binding = loose_binding(input, arena, &text);
    const struct expr *expr = compile(EXPR_PROJECTION, fuzz_copy(arena, buf_bytes(&text)));
    if (expr != NULL && check_all(expr, &binding, NULL, arena, &fault) == OK) {
        HOLDS(expr_project(expr, &binding, item, arena, &projected, &fault) == OK);
        HOLDS(item_check(projected) == OK && projected.len <= item.len);
    }
    buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = fuzz_input_of(data, size);
    struct arena arena;
    arena_init(&arena, 0);
    if (fuzz_bool(&input)) {
        made_projection(&input, &arena);
    } else {
        any_text(&input, &arena);
    }
    arena_fini(&arena);
    return 0;
}
