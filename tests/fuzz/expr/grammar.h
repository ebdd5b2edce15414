/* Expressions made by DynamoDB's grammar, and what they must come to: a condition's text is written
 * and its truth on the item reckoned in one go, by functions that share nothing with src/expr.
 * Names and values are bound as they are used.
 *
 * An expression may still be refused (operands that are equal or of wrong types, paths that
 * overlap): then only its words are looked at. */
#ifndef HW_FUZZ_EXPR_GRAMMAR_H
#define HW_FUZZ_EXPR_GRAMMAR_H

#include "fuzz.h"

#include "expr/expr_priv.h"
#include "item/number.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#define GRAMMAR_BOUND_MAX 48u
#define GRAMMAR_STEPS_MAX 6u

struct grammar_step {
    bool is_index;
    uint32_t index;
    struct bytes name;
};

struct grammar_path {
    struct grammar_step steps[GRAMMAR_STEPS_MAX];
    size_t count;
};

struct grammar {
    struct fuzz_input *input;
    struct arena *arena;
    struct bytes item;
    struct buf text;
    struct bytes names[GRAMMAR_BOUND_MAX];
    size_t name_count;
    struct value values[GRAMMAR_BOUND_MAX];
    size_t value_count;
    bool touches_key; /* a path begins with pk or sk */
};

/* An operand: a value, or no such attribute. */
struct meant {
    bool exists;
    struct value value;
};

static inline struct grammar grammar_of(struct fuzz_input *input, struct arena *arena,
                                        struct bytes item)
{
    struct grammar grammar = {.input = input, .arena = arena, .item = item};
    buf_init(&grammar.text, 65536);
    return grammar;
}

static inline size_t choose(struct grammar *grammar, size_t n)
{
    return fuzz_below(grammar->input, n);
}

/* ---- text ---- */

static inline void put(struct grammar *grammar, const char *token)
{
    static const char *const blanks[] = {" ", "", "\t", "\n ", "  "};
    bool word = isalnum(token[0]) || token[0] == '_' || token[0] == '#' || token[0] == ':';
    size_t blank = choose(grammar, 12);
    if (word) {
        buf_add_byte(&grammar->text, ' ');
    }
    buf_add_cstr(&grammar->text, token);
    if (blank < sizeof(blanks) / sizeof(blanks[0])) {
        buf_add_cstr(&grammar->text, blanks[blank]);
    }
}

static inline bool is_plain(struct bytes name)
{
    bool plain = name.len > 0 && name.ptr[0] < 128 && isalpha(name.ptr[0]);
    for (size_t i = 0; i < name.len; i++) {
        plain = plain && name.ptr[i] < 128 && (isalnum(name.ptr[i]) || name.ptr[i] == '_');
    }
    bool remove = name.len == 6 && strncasecmp((const char *)name.ptr, "remove", 6) == 0;
    return plain && !is_reserved(name) && !remove; /* a word of the grammar, though not reserved */
}

static inline void put_name(struct grammar *grammar, struct bytes name)
{
    char token[24];
    size_t at = 0;
    if (is_plain(name) && (choose(grammar, 4) != 0 || grammar->name_count == GRAMMAR_BOUND_MAX)) {
        buf_add(&grammar->text, name);
        return;
    }
    while (at < grammar->name_count && !bytes_equal(grammar->names[at], name)) {
        at++;
    }
    if (at == grammar->name_count) {
        HOLDS(at < GRAMMAR_BOUND_MAX);
        grammar->names[grammar->name_count++] = name;
    }
    snprintf(token, sizeof(token), "#n%zu", at);
    buf_add_cstr(&grammar->text, token);
}

/* ---- paths ---- */

static inline bool nth_member(struct bytes item, size_t n, struct bytes *name, struct value *value)
{
    struct cursor cursor = cursor_of(item);
    while (item_next(&cursor, name, value)) {
        if (n-- == 0) {
            return true;
        }
    }
    return false;
}

static inline bool nth_element(struct bytes list, size_t n, struct value *value)
{
    struct cursor cursor = cursor_of(list);
    while (list_next(&cursor, value)) {
        if (n-- == 0) {
            return true;
        }
    }
    return false;
}

/* The value a step further, looked for from the start. */
static inline struct meant follow(struct value from, const struct grammar_step *step)
{
    struct meant found = {0};
    struct bytes name;
    if (step->is_index) {
        found.exists = from.tag == VALUE_L && nth_element(from.body, step->index, &found.value);
        return found;
    }
    for (size_t i = 0; from.tag == VALUE_M && nth_member(from.body, i, &name, &found.value); i++) {
        if (bytes_equal(name, step->name)) {
            found.exists = true;
            return found;
        }
    }
    return (struct meant){0};
}

static inline struct meant look_up(struct bytes item, const struct grammar_path *path)
{
    struct meant at = {true, {.tag = VALUE_M, .body = item}};
    for (size_t i = 0; i < path->count && at.exists; i++) {
        at = follow(at.value, &path->steps[i]);
    }
    return at;
}

static inline struct grammar_step choose_step(struct grammar *grammar, struct meant from)
{
    struct grammar_step step = {.name = BYTES("a")};
    struct value value;
    size_t count = from.exists && from.value.tag >= VALUE_L && from.value.tag <= VALUE_M
                       ? value_count(from.value)
                       : 0;
    size_t choice = choose(grammar, count + 2);
    step.is_index = from.exists ? from.value.tag == VALUE_L : choice % 2 == 1;
    if (step.is_index) {
        step.index = (uint32_t)(choice == count + 1 ? choose(grammar, 300) : choice);
    } else if (choice >= count || !nth_member(from.value.body, choice, &step.name, &value)) {
        step.name = grammar->name_count < GRAMMAR_BOUND_MAX - GRAMMAR_STEPS_MAX
                        ? fuzz_name(grammar->input, grammar->arena)
                        : BYTES("b");
    }
    return step;
}

/* Writes a path, mostly one that leads somewhere. */
static inline struct grammar_path put_path(struct grammar *grammar)
{
    struct grammar_path path = {.count = 0};
    struct meant at = {true, {.tag = VALUE_M, .body = grammar->item}};
    char index[24];
    bool more = true;
    buf_add_byte(&grammar->text, ' ');
    while (more) {
        struct grammar_step *step = &path.steps[path.count];
        bool before = at.exists;
        *step = choose_step(grammar, at);
        if (grammar->name_count >= GRAMMAR_BOUND_MAX - GRAMMAR_STEPS_MAX && !step->is_index &&
            !is_plain(step->name)) {
            step->name = BYTES("c");
        }
        at = at.exists ? follow(at.value, step) : at;
        if (step->is_index) {
            snprintf(index, sizeof(index), "[%u]", step->index);
            buf_add_cstr(&grammar->text, index);
        } else {
            buf_add_cstr(&grammar->text, path.count == 0 ? "" : ".");
            put_name(grammar, step->name);
        }
        path.count++;
        bool inside = at.exists && (at.value.tag == VALUE_L || at.value.tag == VALUE_M);
        more = path.count < GRAMMAR_STEPS_MAX && before &&
               choose(grammar, inside ? 3 : 12) == (inside ? 1 : 0) + 0u;
        more = more || (path.count < GRAMMAR_STEPS_MAX && inside && choose(grammar, 2) == 1);
    }
    struct bytes first = path.steps[0].name;
    grammar->touches_key |= bytes_equal(first, BYTES("pk")) || bytes_equal(first, BYTES("sk"));
    return path;
}

/* ---- values ---- */

static inline struct value put_value(struct grammar *grammar, struct value value)
{
    char token[24];
    size_t at = grammar->value_count;
    if (at == GRAMMAR_BOUND_MAX) {
        at = 0;
    } else {
        grammar->values[grammar->value_count++] = value;
    }
    snprintf(token, sizeof(token), ":v%zu", at);
    put(grammar, token);
    return grammar->values[at];
}

/* A value to go with another operand: the same, one of its type, or any. */
static inline struct value put_value_like(struct grammar *grammar, struct meant other)
{
    size_t choice = choose(grammar, 8);
    if (other.exists && choice < 3 && other.value.whole.ptr != NULL) {
        return put_value(grammar, other.value);
    }
    enum value_tag tag = other.exists && choice < 7 ? other.value.tag : (enum value_tag)0;
    return put_value(grammar, fuzz_value(grammar->input, grammar->arena, tag, 1));
}

/* ---- conditions ---- */

static inline bool put_or(struct grammar *grammar, unsigned depth, bool *group);

static inline size_t units_of(struct bytes text)
{
    size_t units = 0;
    for (size_t i = 0; i < text.len; i++) {
        units += text.ptr[i] < 0x80 || text.ptr[i] >= 0xc0 ? (text.ptr[i] >= 0xf0 ? 2 : 1) : 0;
    }
    return units;
}

static inline struct meant size_meant(struct grammar *grammar, struct meant of)
{
    if (!of.exists || of.value.tag == VALUE_N ||
        (of.value.tag >= VALUE_FALSE && of.value.tag <= VALUE_NULL)) {
        return (struct meant){0};
    }
    size_t size = of.value.tag == VALUE_S   ? units_of(of.value.body)
                  : of.value.tag == VALUE_B ? of.value.body.len
                                            : value_count(of.value);
    return (struct meant){true, value_of_i64(grammar->arena, (int64_t)size)};
}

static inline struct meant put_operand(struct grammar *grammar, struct meant other)
{
    size_t choice = choose(grammar, 8);
    if (choice < 3) {
        return (struct meant){true, put_value_like(grammar, other)};
    }
    if (choice > 3) {
        struct grammar_path path = put_path(grammar);
        return look_up(grammar->item, &path);
    }
    put(grammar, "size");
    put(grammar, "(");
    struct grammar_path path = put_path(grammar);
    put(grammar, ")");
    return size_meant(grammar, look_up(grammar->item, &path));
}

static inline int order_of(struct value a, struct value b)
{
    size_t least = a.body.len < b.body.len ? a.body.len : b.body.len;
    for (size_t i = 0; i < least; i++) {
        if (a.body.ptr[i] != b.body.ptr[i]) {
            return a.body.ptr[i] < b.body.ptr[i] ? -1 : 1;
        }
    }
    return a.body.len == b.body.len ? 0 : a.body.len < b.body.len ? -1 : 1;
}

static inline bool same(struct meant a, struct meant b)
{
    return a.exists && b.exists && a.value.tag == b.value.tag && order_of(a.value, b.value) == 0;
}

static inline bool ordered(struct meant a, struct meant b)
{
    return a.exists && b.exists && a.value.tag == b.value.tag && a.value.tag <= VALUE_B;
}

static inline bool put_comparison(struct grammar *grammar, struct meant left)
{
    static const char *const signs[] = {"=", "<>", "<", "<=", ">", ">="};
    size_t sign = choose(grammar, 6);
    put(grammar, signs[sign]);
    struct meant right = put_operand(grammar, left);
    if (sign < 2) {
        return same(left, right) == (sign == 0);
    }
    int order = ordered(left, right) ? order_of(left.value, right.value) : 0;
    return ordered(left, right) && (sign == 2   ? order < 0
                                    : sign == 3 ? order <= 0
                                    : sign == 4 ? order > 0
                                                : order >= 0);
}

static inline bool put_between(struct grammar *grammar, struct meant value)
{
    put(grammar, choose(grammar, 2) == 0 ? "BETWEEN" : "between");
    struct meant low = put_operand(grammar, value);
    put(grammar, "AND");
    struct meant high = put_operand(grammar, value);
    return ordered(value, low) && ordered(value, high) && order_of(low.value, value.value) <= 0 &&
           order_of(value.value, high.value) <= 0;
}

static inline bool put_in(struct grammar *grammar, struct meant value)
{
    size_t count = 1 + choose(grammar, 4);
    bool any = false;
    put(grammar, "In");
    put(grammar, "(");
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            put(grammar, ",");
        }
        any = same(value, put_operand(grammar, value)) || any;
    }
    put(grammar, ")");
    return any;
}

static inline bool holds_part(struct meant whole, struct meant part)
{
    struct cursor cursor = cursor_of(whole.value.body);
    struct bytes element;
    struct value inner;
    if (!whole.exists || !part.exists) {
        return false;
    }
    enum value_tag tag = whole.value.tag;
    if (tag == VALUE_S || tag == VALUE_B) {
        bool found = false;
        for (size_t i = 0; part.value.tag == tag && i + part.value.body.len <= whole.value.body.len;
             i++) {
            found = found || bytes_equal(part.value.body,
                                         bytes_of(whole.value.body.ptr + i, part.value.body.len));
        }
        return found;
    }
    if (tag == VALUE_L) {
        while (list_next(&cursor, &inner)) {
            if (same((struct meant){true, inner}, part)) {
                return true;
            }
        }
        return false;
    }
    bool fits = (tag == VALUE_SS && part.value.tag == VALUE_S) ||
                (tag == VALUE_NS && part.value.tag == VALUE_N) ||
                (tag == VALUE_BS && part.value.tag == VALUE_B);
    while (fits && set_next(&cursor, &element)) {
        if (bytes_equal(element, part.value.body)) {
            return true;
        }
    }
    return false;
}

/* An element of a set or list, or a piece of a string, to be looked for. */
static inline struct meant put_part(struct grammar *grammar, struct meant whole)
{
    static const enum value_tag scalars[] = {VALUE_S, VALUE_N, VALUE_B};
    struct cursor cursor = cursor_of(whole.value.body);
    struct bytes element;
    struct value value = {0};
    size_t n = choose(grammar, 4);
    if (!whole.exists || n == 3) {
        return put_operand(grammar, whole);
    }
    if (whole.value.tag == VALUE_L && nth_element(whole.value.body, n, &value)) {
        return (struct meant){true, put_value(grammar, value)};
    }
    if (whole.value.tag == VALUE_S) {
        size_t from = choose(grammar, whole.value.body.len + 1);
        struct bytes piece = bytes_of(whole.value.body.ptr + from, whole.value.body.len - from);
        return (struct meant){true, put_value(grammar, value_of_s(grammar->arena, piece))};
    }
    if (whole.value.tag >= VALUE_SS && set_next(&cursor, &element)) {
        uint8_t *bytes = arena_alloc(grammar->arena, element.len + 2);
        HOLDS(bytes != NULL && element.len < 128);
        bytes[0] = (uint8_t)scalars[whole.value.tag - VALUE_SS];
        bytes[1] = (uint8_t)element.len;
        memcpy(bytes + 2, element.ptr, element.len);
        value = (struct value){(enum value_tag)bytes[0], bytes_of(bytes + 2, element.len),
                               bytes_of(bytes, element.len + 2)};
        return (struct meant){true, put_value(grammar, value)};
    }
    return put_operand(grammar, whole);
}

static inline bool put_function(struct grammar *grammar)
{
    static const char *const names[] = {"attribute_exists", "attribute_not_exists",
                                        "attribute_type", "begins_with", "contains"};
    static const char *const types[] = {"S", "N", "B", "BOOL", "NULL", "L", "M", "SS", "NS", "BS"};
    size_t function = choose(grammar, 5);
    bool truth = false;
    put(grammar, names[function]);
    put(grammar, "(");
    struct grammar_path path = put_path(grammar);
    struct meant value = look_up(grammar->item, &path);
    if (function < 2) {
        truth = value.exists == (function == 0);
    } else {
        put(grammar, ",");
    }
    if (function == 2) {
        struct value type =
            put_value(grammar, value_of_s(grammar->arena, bytes_cstr(types[choose(grammar, 10)])));
        truth = value.exists && type.tag == VALUE_S &&
                bytes_equal(type.body, bytes_cstr(value_type_name(value.value.tag)));
    } else if (function == 3) {
        struct meant prefix = put_operand(grammar, value);
        truth = ordered(value, prefix) && value.value.tag != VALUE_N &&
                bytes_start_with(value.value.body, prefix.value.body);
    } else if (function == 4) {
        truth = holds_part(value, put_part(grammar, value));
    }
    put(grammar, ")");
    return truth;
}

static inline bool put_primary(struct grammar *grammar, unsigned depth, bool *group)
{
    size_t choice = choose(grammar, 8);
    bool inner = false;
    *group = depth > 0 && choice == 0;
    if (*group) {
        /* A group in a group is refused as redundant, so most get something beside it. */
        put(grammar, "(");
        bool truth = put_or(grammar, depth - 1, &inner);
        if (inner) {
            put(grammar, "AND");
            truth = put_function(grammar) && truth;
        }
        put(grammar, ")");
        return truth;
    }
    if (choice < 3) {
        return put_function(grammar);
    }
    struct meant value = put_operand(grammar, (struct meant){0});
    return choice == 3   ? put_between(grammar, value)
           : choice == 4 ? put_in(grammar, value)
                         : put_comparison(grammar, value);
}

static inline bool put_not(struct grammar *grammar, unsigned depth, bool *group)
{
    if (depth > 0 && choose(grammar, 6) == 0) {
        put(grammar, choose(grammar, 2) == 0 ? "NOT" : "not");
        bool truth = put_not(grammar, depth - 1, group);
        *group = false;
        return !truth;
    }
    return put_primary(grammar, depth, group);
}

static inline bool put_and(struct grammar *grammar, unsigned depth, bool *group)
{
    bool truth = put_not(grammar, depth, group);
    while (depth > 0 && choose(grammar, 4) == 0) {
        bool ignored;
        put(grammar, "AND");
        truth = put_not(grammar, depth - 1, &ignored) && truth;
        *group = false;
        depth--;
    }
    return truth;
}

static inline bool put_or(struct grammar *grammar, unsigned depth, bool *group)
{
    bool truth = put_and(grammar, depth, group);
    while (depth > 0 && choose(grammar, 4) == 0) {
        bool ignored;
        put(grammar, "Or");
        truth = put_and(grammar, depth - 1, &ignored) || truth;
        *group = false;
        depth--;
    }
    return truth;
}

/* ---- binding and compiling ---- */

static inline struct bytes bound_names(struct grammar *grammar)
{
    struct item_build build;
    struct bytes names;
    item_build_init(&build, grammar->arena);
    for (size_t i = 0; i < grammar->name_count; i++) {
        item_build_s(&build, arena_printf(grammar->arena, "#n%zu", i), grammar->names[i]);
    }
    HOLDS(item_build_end(&build, &names) == OK);
    return names;
}

static inline struct bytes bound_values(struct grammar *grammar)
{
    struct item_build build;
    struct bytes values;
    item_build_init(&build, grammar->arena);
    for (size_t i = 0; i < grammar->value_count; i++) {
        item_build_value(&build, arena_printf(grammar->arena, ":v%zu", i), grammar->values[i]);
    }
    HOLDS(item_build_end(&build, &values) == OK);
    return values;
}

/* The words of a refusal: all there, and one text for one expression. */
static inline void check_fault(const struct expr_fault *fault)
{
    size_t len = strnlen(fault->text, sizeof(fault->text));
    HOLDS(len > 0 && len < sizeof(fault->text));
}

static inline struct expr_cache *the_cache(void)
{
    static struct expr_cache *cache;
    cache = cache == NULL ? expr_cache_new() : cache;
    return cache;
}

/* Compiles twice, as a request and its repetition would; both come to the same. */
static inline const struct expr *compile(enum expr_kind kind, struct bytes text)
{
    const struct expr *first = NULL;
    const struct expr *second = NULL;
    struct expr_fault fault = {.text = {0}};
    struct expr_fault again = {.text = {0}};
    enum err err = expr_compile(the_cache(), kind, text, &first, &fault);
    HOLDS(err == OK || err == ERR_FAULT);
    HOLDS(expr_compile(the_cache(), kind, text, &second, &again) == err && first == second);
    if (err == ERR_FAULT) {
        char prefix[64];
        check_fault(&fault);
        HOLDS(strcmp(fault.text, again.text) == 0 && fault.enveloped == again.enveloped);
        snprintf(prefix, sizeof(prefix), "Invalid %s: ", expr_kind_name(kind));
        HOLDS(strncmp(fault.text, prefix, strlen(prefix)) == 0);
        return NULL;
    }
    return first;
}

/* All checks, in DynamoDB's order. */
static inline enum err check_all(const struct expr *expr, struct expr_binding *binding,
                                 const struct key_schema *schema, struct arena *arena,
                                 struct expr_fault *fault)
{
    enum err err = expr_check(expr, binding, arena, fault);
    err = err != OK ? err : expr_check_form(expr, binding, arena, fault);
    return err != OK || schema == NULL ? err : expr_check_schema(expr, binding, schema, fault);
}

/* Binds and checks; false: refused. A made expression uses all that it binds. */
static inline bool bind(struct grammar *grammar, const struct expr *expr,
                        const struct key_schema *schema, struct expr_binding *binding,
                        struct expr_fault *fault)
{
    HOLDS(expr_binding_init(binding, grammar->arena, bound_names(grammar), grammar->name_count > 0,
                            bound_values(grammar), grammar->value_count > 0) == OK);
    enum err err = check_all(expr, binding, schema, grammar->arena, fault);
    HOLDS(err == OK || err == ERR_FAULT);
    if (err == ERR_FAULT) {
        check_fault(fault);
        return false;
    }
    HOLDS(expr_check_unused(binding, fault) == OK);
    return true;
}

/* ---- texts that are not made by the grammar ---- */

static inline void add_tokens(struct fuzz_input *input, struct buf *text)
{
    static const char *const tokens[] = {"a",
                                         "b",
                                         "#n0",
                                         "#n1",
                                         ":v0",
                                         ":v1",
                                         ":v2",
                                         ":v3",
                                         "(",
                                         ")",
                                         ",",
                                         ".",
                                         "[0]",
                                         "[1]",
                                         "[",
                                         "]",
                                         "=",
                                         "<>",
                                         "<",
                                         "<=",
                                         ">",
                                         ">=",
                                         "+",
                                         "-",
                                         "AND",
                                         "OR",
                                         "NOT",
                                         "IN",
                                         "BETWEEN",
                                         "SET",
                                         "REMOVE",
                                         "ADD",
                                         "DELETE",
                                         "pk",
                                         "sk",
                                         "size(",
                                         "list_append(",
                                         "if_not_exists(",
                                         "begins_with(",
                                         "contains(",
                                         "attribute_exists(",
                                         "attribute_not_exists(",
                                         "attribute_type(",
                                         "name",
                                         "12345678901",
                                         "\xc3\xa4",
                                         "nothing(",
                                         "map1.b"};
    while (fuzz_left(input) > 0 && text->len < 5000) {
        buf_add_cstr(text, tokens[fuzz_below(input, sizeof(tokens) / sizeof(tokens[0]))]);
        buf_add_byte(text, ' ');
    }
}

/* Text from the input, or tokens; bound to a value of each kind. */
static inline struct expr_binding loose_binding(struct fuzz_input *input, struct arena *arena,
                                                struct buf *text)
{
    static const char names_json[] = "{\"#n0\":{\"S\":\"a\"},\"#n1\":{\"S\":\"map1\"}}";
    static const char values_json[] =
        "{\":v0\":{\"N\":\"1\"},\":v1\":{\"S\":\"a\"},\":v2\":{\"SS\":[\"a\",\"b\"]},"
        "\":v3\":{\"L\":[{\"N\":\"2\"}]},\":v4\":{\"B\":\"AAE=\"},\":v5\":{\"BOOL\":true}}";
    struct expr_binding binding;
    struct bytes names;
    struct bytes values;
    struct item_reading reading = {0};
    if (fuzz_bool(input)) {
        add_tokens(input, text);
    } else {
        buf_add(text, fuzz_rest(input));
    }
    HOLDS(item_from_json(fuzz_parse_json(bytes_cstr(names_json)), arena, &names, &reading) == OK);
    HOLDS(item_from_json(fuzz_parse_json(bytes_cstr(values_json)), arena, &values, &reading) == OK);
    HOLDS(expr_binding_init(&binding, arena, names, true, values, true) == OK);
    return binding;
}

#endif
