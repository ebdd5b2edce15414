/* Update expressions: the new item and its fragments, against a tree that is changed action by
 * action; what fails there fails here. */
#include "tree.h"

#include <stdlib.h>

/* The reference: right sides are reckoned on the old item while the text is written; failed: some
 * action cannot be done. */
struct updating {
    struct grammar grammar;
    struct tree *tree;
    struct grammar_path touched[16];
    size_t touched_count;
    bool failed;
};

static struct value whole_of(struct arena *arena, enum value_tag tag, struct bytes body)
{
    struct buf out;
    buf_init(&out, 1u << 20);
    buf_add_byte(&out, (uint8_t)tag);
    buf_add_varint(&out, body.len);
    buf_add(&out, body);
    HOLDS(!out.failed);
    struct bytes whole = fuzz_copy(arena, buf_bytes(&out));
    buf_fini(&out);
    struct bytes inside = bytes_of(whole.ptr + whole.len - body.len, body.len);
    return (struct value){tag, inside, whole};
}

/* ---- right sides of SET ---- */

#define RIGHT_SIDE_DEPTH 3u

static struct meant put_update_operand(struct updating *updating, enum value_tag wanted,
                                       unsigned depth);

static struct meant sum_of(struct updating *updating, struct meant a, struct meant b, bool minus)
{
    uint8_t encoded[NUMBER_ENCODED_MAX];
    size_t len;
    if (!a.exists || !b.exists || a.value.tag != VALUE_N || b.value.tag != VALUE_N) {
        updating->failed = true;
        return (struct meant){0};
    }
    enum number_refusal refusal = minus ? number_subtract(a.value.body, b.value.body, encoded, &len)
                                        : number_add(a.value.body, b.value.body, encoded, &len);
    if (refusal != NUMBER_OK) {
        updating->failed = true;
        return (struct meant){0};
    }
    return (struct meant){true, whole_of(updating->grammar.arena, VALUE_N, bytes_of(encoded, len))};
}

static struct meant join(struct updating *updating, struct meant a, struct meant b)
{
    struct buf both;
    if (!a.exists || !b.exists || a.value.tag != VALUE_L || b.value.tag != VALUE_L) {
        updating->failed = true;
        return (struct meant){0};
    }
    buf_init(&both, 1u << 20);
    buf_add(&both, a.value.body);
    buf_add(&both, b.value.body);
    struct value list = whole_of(updating->grammar.arena, VALUE_L, buf_bytes(&both));
    buf_fini(&both);
    return (struct meant){true, list};
}

/* What does not exist is a failure only where it is needed, so a missing path is given up as it is.
 * list_append only stands alone. */
static struct meant put_update_function(struct updating *updating, enum value_tag wanted,
                                        unsigned depth)
{
    struct grammar *grammar = &updating->grammar;
    bool appends = depth == RIGHT_SIDE_DEPTH - 1 && choose(grammar, 2) == 0;
    put(grammar, appends ? "list_append" : "if_not_exists");
    put(grammar, "(");
    if (appends) {
        struct meant a = put_update_operand(updating, VALUE_L, depth);
        put(grammar, ",");
        struct meant b = put_update_operand(updating, VALUE_L, depth);
        put(grammar, ")");
        return join(updating, a, b);
    }
    struct grammar_path path = put_path(grammar);
    struct meant found = look_up(grammar->item, &path);
    bool failed = updating->failed;
    put(grammar, ",");
    struct meant other = put_update_operand(updating, wanted, depth);
    updating->failed = found.exists ? failed : updating->failed; /* then it was not looked at */
    put(grammar, ")");
    return found.exists ? found : other;
}

static struct meant put_update_operand(struct updating *updating, enum value_tag wanted,
                                       unsigned depth)
{
    struct grammar *grammar = &updating->grammar;
    size_t choice = choose(grammar, 8);
    if (choice < 4) {
        struct meant like = {wanted != 0, {.tag = wanted}};
        return (struct meant){true, put_value_like(grammar, like)};
    }
    if (depth > 0 && choice < 6) {
        return put_update_function(updating, wanted, depth - 1);
    }
    struct grammar_path path = put_path(grammar);
    struct meant found = look_up(grammar->item, &path);
    updating->failed = updating->failed || !found.exists;
    return found;
}

static struct meant put_right_side(struct updating *updating)
{
    struct grammar *grammar = &updating->grammar;
    size_t choice = choose(grammar, 6);
    if (choice >= 2) {
        return put_update_operand(updating, (enum value_tag)0, RIGHT_SIDE_DEPTH);
    }
    bool group = choose(grammar, 4) == 0;
    if (group) {
        put(grammar, "(");
    }
    struct meant a = put_update_operand(updating, VALUE_N, RIGHT_SIDE_DEPTH - 1);
    put(grammar, choice == 0 ? "+" : "-");
    struct meant b = put_update_operand(updating, VALUE_N, RIGHT_SIDE_DEPTH - 1);
    if (group) {
        put(grammar, ")");
    }
    return sum_of(updating, a, b, choice == 1);
}

/* ---- what an action does to the tree ---- */

static void set_in_tree(struct updating *updating, const struct grammar_path *path,
                        struct value value)
{
    const struct grammar_step *last = &path->steps[path->count - 1];
    struct tree *parent = tree_parent(updating->tree, path);
    if (parent == NULL) {
        updating->failed = true;
        return;
    }
    struct tree **place = tree_place(parent, last);
    struct tree *fresh = tree_of(value, updating->grammar.arena);
    bool replaces = tree_is_there(place, last);
    fresh->name = last->name;
    fresh->index = last->index;
    fresh->next = replaces ? (*place)->next : *place;
    *place = fresh;
}

static void remove_in_tree(struct updating *updating, const struct grammar_path *path)
{
    const struct grammar_step *last = &path->steps[path->count - 1];
    struct tree *parent = tree_parent(updating->tree, path);
    struct tree **place = parent == NULL ? NULL : tree_place(parent, last);
    updating->failed = updating->failed || parent == NULL;
    if (tree_is_there(place, last)) {
        (*place)->removed = true;
    }
}

static bool set_has(struct value set, struct bytes wanted)
{
    struct cursor cursor = cursor_of(set.body);
    struct bytes element;
    while (set_next(&cursor, &element)) {
        if (bytes_equal(element, wanted)) {
            return true;
        }
    }
    return false;
}

static int by_bytes(const void *left, const void *right)
{
    const struct bytes *a = left;
    const struct bytes *b = right;
    return bytes_compare(*a, *b);
}

/* All elements of both sets, or those of the first that the second has not; a body. */
static struct bytes combine(struct value old, struct value change, bool add, struct arena *arena)
{
    struct bytes elements[32];
    size_t count = 0;
    struct cursor cursor = cursor_of(old.body);
    struct buf out;
    while (set_next(&cursor, &elements[count])) {
        count += add || !set_has(change, elements[count]) ? 1 : 0;
    }
    cursor = cursor_of(change.body);
    while (add && set_next(&cursor, &elements[count])) {
        count += set_has(old, elements[count]) ? 0 : 1;
    }
    qsort(elements, count, sizeof(elements[0]), by_bytes);
    buf_init(&out, 65536);
    for (size_t i = 0; i < count; i++) {
        buf_add_varint(&out, elements[i].len);
        buf_add(&out, elements[i]);
    }
    struct bytes body = fuzz_copy(arena, buf_bytes(&out));
    buf_fini(&out);
    return body;
}

static void add_or_delete(struct updating *updating, const struct grammar_path *path, bool add,
                          struct value change)
{
    struct arena *arena = updating->grammar.arena;
    struct meant old = look_up(updating->grammar.item, path);
    bool parent = tree_parent(updating->tree, path) != NULL;
    updating->failed = updating->failed || !parent;
    if (updating->failed) {
        return;
    }
    if (add && !old.exists) {
        set_in_tree(updating, path, change);
    } else if (add && change.tag == VALUE_N) {
        struct meant sum = sum_of(updating, old, (struct meant){true, change}, false);
        if (sum.exists) {
            set_in_tree(updating, path, sum.value);
        }
    } else if (old.exists && old.value.tag != change.tag) {
        updating->failed = true;
    } else if (old.exists) {
        struct bytes body = combine(old.value, change, add, arena);
        if (body.len == 0) {
            remove_in_tree(updating, path);
        } else {
            set_in_tree(updating, path, whole_of(arena, change.tag, body));
        }
    }
}

/* ---- the text ---- */

static void put_action(struct updating *updating, enum action_kind kind)
{
    static const enum value_tag addable[] = {VALUE_N, VALUE_SS, VALUE_NS, VALUE_BS};
    struct grammar *grammar = &updating->grammar;
    struct grammar_path path = put_path(grammar);
    struct meant old = look_up(grammar->item, &path);
    updating->touched[updating->touched_count++] = path;
    if (kind == ACTION_SET) {
        put(grammar, "=");
        struct meant value = put_right_side(updating);
        updating->failed = updating->failed || !value.exists;
        if (!updating->failed) {
            set_in_tree(updating, &path, value.value);
        }
    } else if (kind == ACTION_REMOVE) {
        remove_in_tree(updating, &path);
    } else {
        bool usable = old.exists && (old.value.tag >= VALUE_SS || old.value.tag == VALUE_N);
        struct meant like = {true,
                             {.tag = usable && choose(grammar, 4) != 0
                                         ? old.value.tag
                                         : addable[choose(grammar, 4)]}};
        add_or_delete(updating, &path, kind == ACTION_ADD, put_value_like(grammar, like));
    }
}

static void put_update(struct updating *updating)
{
    static const char *const words[] = {"SET", "REMOVE", "ADD", "DELETE",
                                        "set", "Remove", "add", "delete"};
    struct grammar *grammar = &updating->grammar;
    size_t first = choose(grammar, 4);
    size_t sections = 1 + choose(grammar, 4);
    for (size_t i = 0; i < sections; i++) {
        size_t kind = (first + i) % 4;
        size_t count = 1 + choose(grammar, 4);
        put(grammar, words[kind + 4 * choose(grammar, 2)]);
        for (size_t j = 0; j < count; j++) {
            if (j > 0) {
                put(grammar, ",");
            }
            put_action(updating, (enum action_kind)kind);
        }
    }
}

/* ---- properties ---- */

static void check_result(struct updating *updating, bool existed,
                         const struct expr_update_result *result)
{
    struct arena *arena = updating->grammar.arena;
    struct tree *before = tree_of_item(updating->grammar.item, arena);
    struct tree *after = tree_of_item(result->item, arena);
    HOLDS(item_check(result->item) == OK);
    HOLDS(bytes_equal(result->item, tree_bytes(updating->tree, true, arena)));
    for (size_t i = 0; i < updating->touched_count; i++) {
        tree_mark(before, &updating->touched[i]);
        tree_mark(after, &updating->touched[i]);
    }
    HOLDS(
        bytes_equal(result->updated_old, existed ? tree_bytes(before, false, arena) : BYTES_NONE));
    HOLDS(bytes_equal(result->updated_new, tree_bytes(after, false, arena)));
}

static void made_update(struct fuzz_input *input, struct arena *arena)
{
    struct bytes item = fuzz_item(input, arena, 1 + (unsigned)fuzz_below(input, 3));
    struct updating updating = {.grammar = grammar_of(input, arena, item),
                                .tree = tree_of_item(item, arena)};
    struct expr_update_result result;
    struct expr_update_result again;
    struct expr_binding binding;
    struct expr_fault fault = {.text = {0}};
    put_update(&updating);
    bool existed = item.len > 0;
    struct bytes text = fuzz_copy(arena, buf_bytes(&updating.grammar.text));
    const struct expr *expr = compile(EXPR_UPDATE, text);
    HOLDS(expr != NULL || text.len > EXPR_TEXT_MAX);
    if (expr != NULL && bind(&updating.grammar, expr, NULL, &binding, &fault)) {
        enum err err = expr_update(expr, &binding, item, existed, arena, &result, &fault);
        HOLDS(err == OK || err == ERR_FAULT);
        bool deep = tree_depth(updating.tree) > ITEM_DEPTH_MAX + 1;
        HOLDS((err == OK) == (!updating.failed && !deep));
        HOLDS(expr_update_charge(expr, &binding) > 0);
        if (err == OK) {
            check_result(&updating, existed, &result);
            HOLDS(expr_update(expr, &binding, item, existed, arena, &again, &fault) == OK);
            HOLDS(bytes_equal(again.item, result.item));
        } else {
            check_fault(&fault);
        }
    }
    buf_fini(&updating.grammar.text);
}

static void any_text(struct fuzz_input *input, struct arena *arena)
{
    static const struct key_schema schema = {{BYTES_INIT("pk"), VALUE_S},
                                             {BYTES_INIT("sk"), VALUE_N}};
    struct bytes item = fuzz_item(input, arena, 2);
    struct expr_fault fault = {.text = {0}};
    struct expr_update_result result;
    struct buf text;
    buf_init(&text, 65536);
    struct expr_binding binding = loose_binding(input, arena, &text);
    const struct expr *expr = compile(EXPR_UPDATE, fuzz_copy(arena, buf_bytes(&text)));
    if (expr != NULL && check_all(expr, &binding, &schema, arena, &fault) == OK) {
        enum err err = expr_update(expr, &binding, item, true, arena, &result, &fault);
        HOLDS(err == OK ? item_check(result.item) == OK : err == ERR_FAULT);
        struct value before;
        struct value after;
        if (err == OK && item_get(item, BYTES("pk"), &before)) { /* a key cannot be changed */
            HOLDS(item_get(result.item, BYTES("pk"), &after) && value_equal(before, after));
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
        made_update(&input, &arena);
    } else {
        any_text(&input, &arena);
    }
    arena_fini(&arena);
    return 0;
}
