/* From text to program: a recursive descent over DynamoDB's grammar. Refusals are in
 * its words; "near" is the source from the token before, or its beginning, to the token after, or
 * its end, spacing kept (as DynamoDB Local has it, whose parser is AWS's).
 *
 * A wrong syntax is told before anything else that is wrong, wherever it stands; of the rest, what
 * is found first in the text. Two things are told at once: parentheses around nothing but
 * parentheses, and nesting past what the limit of operators can need, so that recursion is bounded
 * and time is linear (expr I3, I5). */
#include "base/mem.h"
#include "expr/expr_priv.h"

#include <stdarg.h>
#include <stdio.h>

#define INDEX_DIGITS_MAX 10u
#define INDEX_MAX 2147483647u

/* What a part of a condition may still become: "(a)" is the start of a comparison or wrong,
 * "size(a)" the same, "contains(a, b)" a condition of its own. */
enum part_kind { PART_OPERAND, PART_CALL, PART_CONDITION };

struct part {
    enum part_kind kind;
    uint32_t node;
    bool group; /* it is parentheses and nothing else */
    const struct function *function;
    struct bytes name; /* of a call, as written */
};

struct parser {
    enum expr_kind kind;
    struct lexer lexer;
    struct expr_fault *fault;
    struct expr_fault noted; /* to be told if the syntax is right */
    const uint8_t *noted_at;
    unsigned depth;
    unsigned operators;
    struct node *nodes;
    size_t node_count, node_cap;
    struct step *steps;
    size_t step_count, step_cap;
    uint32_t *lists;
    size_t list_count, list_cap;
    struct action *actions;
    size_t action_count, action_cap;
};

struct function {
    const char *name;
    uint8_t type;
    bool is_condition; /* stands alone; the others are operands */
    bool in_update;
};

static const struct function functions[] = {
    {"attribute_exists", NODE_EXISTS, true, false},
    {"attribute_not_exists", NODE_NOT_EXISTS, true, false},
    {"attribute_type", NODE_ATTRIBUTE_TYPE, true, false},
    {"begins_with", NODE_BEGINS_WITH, true, false},
    {"contains", NODE_CONTAINS, true, false},
    {"size", NODE_SIZE, false, false},
    {"if_not_exists", NODE_IF_NOT_EXISTS, false, true},
    {"list_append", NODE_LIST_APPEND, false, true},
};

static bool refuse(struct parser *parser, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void note(struct parser *parser, struct bytes where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static bool refuse_syntax(struct parser *parser);
static bool parse_condition(struct parser *parser, uint32_t *out);
static bool parse_or(struct parser *parser, struct part *out);
static bool parse_and(struct parser *parser, struct part *out);
static bool parse_not(struct parser *parser, struct part *out);
static bool parse_primary(struct parser *parser, struct part *out);
static bool parse_comparison(struct parser *parser, struct part *left);
static bool parse_in(struct parser *parser, struct part *left);
static bool parse_part(struct parser *parser, struct part *out);
static bool parse_operand_part(struct parser *parser, struct part *out);
static bool parse_operand(struct parser *parser, uint32_t *out);
static bool parse_path(struct parser *parser, uint32_t *out);
static bool parse_call(struct parser *parser, struct part *out);
static bool parse_update(struct parser *parser);
static bool parse_set_value(struct parser *parser, struct part *out);
static bool parse_projection(struct parser *parser);
static struct expr *finish(struct parser *parser, uint32_t root, const struct expr_fault *fault);

const char *expr_kind_name(enum expr_kind kind)
{
    static const char *const names[] = {"ConditionExpression", "FilterExpression",
                                        "UpdateExpression", "ProjectionExpression",
                                        "KeyConditionExpression"};
    return names[kind];
}

static bool parse(struct parser *parser, uint32_t *root)
{
    if (parser->lexer.text.len == 0) {
        return refuse(parser, "The expression can not be empty;");
    }
    if (parser->lexer.text.len > EXPR_TEXT_MAX) {
        return refuse(parser, "Expression size has exceeded the maximum allowed size;");
    }
    lexer_start(&parser->lexer);
    bool good = parser->kind == EXPR_UPDATE       ? parse_update(parser)
                : parser->kind == EXPR_PROJECTION ? parse_projection(parser)
                                                  : parse_condition(parser, root);
    if (!good) {
        return false;
    }
    if (parser->lexer.now.type != TOKEN_END) {
        return refuse_syntax(parser);
    }
    if (parser->noted_at != NULL) {
        *parser->fault = parser->noted;
        return false;
    }
    if (parser->operators > EXPR_OPERATORS_MAX) {
        return refuse(parser, "The expression contains too many operators; operator count: %u",
                      EXPR_OPERATORS_MAX + 1);
    }
    return true;
}

struct expr *expr_parse(enum expr_kind kind, struct bytes text)
{
    struct expr_fault fault = {0};
    struct parser parser = {.kind = kind, .lexer.text = text, .fault = &fault};
    uint32_t root = 0;
    bool good = parse(&parser, &root);
    struct expr *expr = finish(&parser, root, good ? NULL : &fault);
    mem_free(parser.nodes);
    mem_free(parser.steps);
    mem_free(parser.lists);
    mem_free(parser.actions);
    return expr;
}

/* Everything in one block, texts moved to the program's own copy. */
static struct expr *finish(struct parser *parser, uint32_t root, const struct expr_fault *fault)
{
    size_t nodes = fault != NULL ? 0 : parser->node_count * sizeof(struct node);
    size_t steps = fault != NULL ? 0 : parser->step_count * sizeof(struct step);
    size_t actions = fault != NULL ? 0 : parser->action_count * sizeof(struct action);
    size_t lists = fault != NULL ? 0 : parser->list_count * sizeof(uint32_t);
    struct expr *expr =
        mem_zalloc(1, sizeof(*expr) + nodes + steps + actions + lists + parser->lexer.text.len);
    uint8_t *at = (uint8_t *)(expr + 1);
    struct node *own_nodes = (struct node *)(void *)at;
    struct step *own_steps = (struct step *)(void *)(at + nodes);
    struct action *own_actions = (struct action *)(void *)(at + nodes + steps);
    uint32_t *own_lists = (uint32_t *)(void *)(at + nodes + steps + actions);
    uint8_t *own_text = at + nodes + steps + actions + lists;
    if (parser->lexer.text.len > 0) {
        memcpy(own_text, parser->lexer.text.ptr, parser->lexer.text.len);
    }
    expr->kind = parser->kind;
    expr->text = bytes_of(own_text, parser->lexer.text.len);
    expr->root = root;
    if (fault != NULL) {
        expr->refused = true;
        expr->fault = *fault;
        return expr;
    }
#define MOVE(field)                                                                                \
    ((field).ptr = (field).ptr == NULL ? NULL : own_text + ((field).ptr - parser->lexer.text.ptr))
    for (size_t i = 0; i < parser->node_count; i++) {
        own_nodes[i] = parser->nodes[i];
        MOVE(own_nodes[i].text);
    }
    for (size_t i = 0; i < parser->step_count; i++) {
        own_steps[i] = parser->steps[i];
        MOVE(own_steps[i].name);
    }
#undef MOVE
    if (actions > 0) {
        memcpy(own_actions, parser->actions, actions);
    }
    if (lists > 0) {
        memcpy(own_lists, parser->lists, lists);
    }
    expr->nodes = own_nodes;
    expr->steps = own_steps;
    expr->actions = own_actions;
    expr->lists = own_lists;
    expr->node_count = parser->node_count;
    expr->step_count = parser->step_count;
    expr->action_count = parser->action_count;
    expr->list_count = parser->list_count;
    return expr;
}

/* ---- refusals ---- */

__attribute__((format(printf, 3, 0))) static void
tell(const struct parser *parser, struct expr_fault *fault, const char *format, va_list list)
{
    fault->enveloped = true;
    size_t len = (size_t)snprintf(fault->text, sizeof(fault->text),
                                  "Invalid %s: ", expr_kind_name(parser->kind));
    vsnprintf(fault->text + len, sizeof(fault->text) - len, format, list);
}

static bool refuse(struct parser *parser, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    tell(parser, parser->fault, format, list);
    va_end(list);
    return false;
}

/* The one that stands first in the text is kept. */
static void note(struct parser *parser, struct bytes where, const char *format, ...)
{
    va_list list;
    if (parser->noted_at != NULL && parser->noted_at <= where.ptr) {
        return;
    }
    parser->noted_at = where.ptr;
    va_start(list, format);
    tell(parser, &parser->noted, format, list);
    va_end(list);
}

static bool refuse_syntax(struct parser *parser)
{
    const struct token *now = &parser->lexer.now;
    const struct token *before = &parser->lexer.before;
    const struct token *after = &parser->lexer.after;
    struct bytes text = parser->lexer.text;
    struct bytes shown = now->type == TOKEN_END ? BYTES("<EOF>") : now->text;
    const uint8_t *from = before->text.ptr != NULL ? before->text.ptr : text.ptr;
    const uint8_t *to =
        after->type != TOKEN_END ? after->text.ptr + after->text.len : text.ptr + text.len;
    struct bytes near = bytes_of(from, (size_t)(to - from));
    return refuse(parser, "Syntax error; token: \"%.*s\", near: \"%.*s\"",
                  (int)(shown.len < 200 ? shown.len : 200), shown.ptr,
                  (int)(near.len < 400 ? near.len : 400), near.ptr);
}

static bool at_sign(const struct parser *parser, const char *sign)
{
    return token_is_sign(&parser->lexer.now, sign);
}

static bool at_word(const struct parser *parser, const char *word)
{
    return token_is_word(&parser->lexer.now, word);
}

/* At a name and an opening parenthesis. */
static bool at_call(const struct parser *parser)
{
    return parser->lexer.now.type == TOKEN_NAME && token_is_sign(&parser->lexer.after, "(");
}

static void advance(struct parser *parser)
{
    lexer_advance(&parser->lexer);
}

static bool take_sign(struct parser *parser, const char *sign)
{
    if (!at_sign(parser, sign)) {
        return refuse_syntax(parser);
    }
    advance(parser);
    return true;
}

static void add_node(struct parser *parser, struct node node, uint32_t *out)
{
    if (parser->node_count == parser->node_cap) {
        parser->node_cap = parser->node_cap == 0 ? 32 : parser->node_cap * 2;
        parser->nodes = mem_realloc(parser->nodes, parser->node_cap * sizeof(parser->nodes[0]));
    }
    parser->nodes[parser->node_count] = node;
    *out = (uint32_t)parser->node_count++;
}

static void add_list(struct parser *parser, uint32_t node)
{
    if (parser->list_count == parser->list_cap) {
        parser->list_cap = parser->list_cap == 0 ? 32 : parser->list_cap * 2;
        parser->lists = mem_realloc(parser->lists, parser->list_cap * sizeof(parser->lists[0]));
    }
    parser->lists[parser->list_count++] = node;
}

static bool too_deep(struct parser *parser)
{
    if (++parser->depth <= EXPR_DEPTH_MAX + 10) {
        return false;
    }
    if (at_sign(parser, "(") && token_is_sign(&parser->lexer.before, "(")) {
        (void)refuse(parser, "The expression has redundant parentheses;");
    } else {
        (void)refuse(parser, "The expression contains too many operators; operator count: %u",
                     EXPR_OPERATORS_MAX + 1);
    }
    return true;
}

/* ---- conditions ---- */

static void note_misuse(struct parser *parser, struct bytes name)
{
    note(parser, name,
         "The function is not allowed to be used this way in an expression; function: %.*s",
         BYTES_FMT(name));
}

/* The part stands where a condition must. */
static bool as_condition(struct parser *parser, struct part *part)
{
    if (part->kind == PART_OPERAND) {
        return refuse_syntax(parser);
    }
    if (part->kind == PART_CALL && part->function != NULL && !part->function->is_condition) {
        note_misuse(parser, part->name);
    }
    part->kind = PART_CONDITION;
    return true;
}

/* The part stands where an operand must. */
static bool as_operand(struct parser *parser, const struct part *part)
{
    if (part->kind == PART_CONDITION) {
        return refuse_syntax(parser);
    }
    if (part->kind == PART_CALL && part->function != NULL && part->function->is_condition) {
        note_misuse(parser, part->name);
    }
    return true;
}

/* The part is an operand of a function or of a sum: list_append can only be a SET's whole right
 * side. */
static void as_argument(struct parser *parser, const struct part *part)
{
    if (part->kind == PART_CALL && part->function != NULL &&
        part->function->type == NODE_LIST_APPEND) {
        note_misuse(parser, part->name);
    }
}

static bool parse_condition(struct parser *parser, uint32_t *out)
{
    struct part part;
    if (!parse_or(parser, &part) || !as_condition(parser, &part)) {
        return false;
    }
    *out = part.node;
    return true;
}

static void join(struct parser *parser, enum node_type type, struct part *left,
                 const struct part *right)
{
    parser->operators++;
    left->group = false;
    add_node(parser, (struct node){.type = (uint8_t)type, .a = left->node, .b = right->node},
             &left->node);
}

static bool parse_or(struct parser *parser, struct part *out)
{
    if (!parse_and(parser, out)) {
        return false;
    }
    while (at_word(parser, "OR")) {
        struct part right;
        if (!as_condition(parser, out)) {
            return false;
        }
        advance(parser);
        if (!parse_and(parser, &right) || !as_condition(parser, &right)) {
            return false;
        }
        join(parser, NODE_OR, out, &right);
    }
    return true;
}

static bool parse_and(struct parser *parser, struct part *out)
{
    if (!parse_not(parser, out)) {
        return false;
    }
    while (at_word(parser, "AND")) {
        struct part right;
        if (!as_condition(parser, out)) {
            return false;
        }
        advance(parser);
        if (!parse_not(parser, &right) || !as_condition(parser, &right)) {
            return false;
        }
        join(parser, NODE_AND, out, &right);
    }
    return true;
}

static bool parse_not(struct parser *parser, struct part *out)
{
    if (!at_word(parser, "NOT")) {
        return parse_primary(parser, out);
    }
    if (too_deep(parser)) {
        return false;
    }
    advance(parser);
    if (!parse_not(parser, out) || !as_condition(parser, out)) {
        return false;
    }
    parser->depth--;
    parser->operators++;
    out->group = false;
    add_node(parser, (struct node){.type = NODE_NOT, .a = out->node}, &out->node);
    return true;
}

/* Parentheses around what parse_inner reads, which may not be parentheses alone. */
static bool parse_group(struct parser *parser, struct part *out,
                        bool parse_inner(struct parser *parser, struct part *out))
{
    if (too_deep(parser)) {
        return false;
    }
    advance(parser);
    if (!parse_inner(parser, out) || !take_sign(parser, ")")) {
        return false;
    }
    parser->depth--;
    if (out->group) {
        return refuse(parser, "The expression has redundant parentheses;");
    }
    out->group = true;
    return true;
}

/* A group, whatever is in it, and a comparison if it goes on as one. */
static bool parse_primary(struct parser *parser, struct part *out)
{
    bool good = at_sign(parser, "(") ? parse_group(parser, out, parse_or) : parse_part(parser, out);
    return good && parse_comparison(parser, out);
}

static bool compare_of(const struct parser *parser, enum compare_op *op)
{
    static const char *const signs[] = {"=", "<>", "<", "<=", ">", ">="};
    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
        if (at_sign(parser, signs[i])) {
            *op = (enum compare_op)i;
            return true;
        }
    }
    return false;
}

/* What stands left becomes a condition if an operator follows it; else it stays what it is. */
static bool parse_comparison(struct parser *parser, struct part *left)
{
    enum compare_op op;
    struct node node = {.a = left->node};
    bool compares = compare_of(parser, &op);
    if (!compares && !at_word(parser, "BETWEEN") && !at_word(parser, "IN")) {
        return true;
    }
    if (!as_operand(parser, left)) {
        return false;
    }
    parser->operators++;
    if (at_word(parser, "IN")) {
        return parse_in(parser, left);
    }
    advance(parser);
    if (!parse_operand(parser, &node.b)) {
        return false;
    }
    node.type = NODE_COMPARE;
    node.op = compares ? (uint8_t)op : 0;
    if (!compares) {
        node.type = NODE_BETWEEN;
        if (!at_word(parser, "AND")) {
            return refuse_syntax(parser);
        }
        advance(parser);
        if (!parse_operand(parser, &node.c)) {
            return false;
        }
    }
    *left = (struct part){.kind = PART_CONDITION};
    add_node(parser, node, &left->node);
    return true;
}

static bool parse_in(struct parser *parser, struct part *left)
{
    struct node node = {.type = NODE_IN, .a = left->node, .b = (uint32_t)parser->list_count};
    advance(parser);
    if (!at_sign(parser, "(")) {
        return refuse_syntax(parser);
    }
    do {
        uint32_t operand;
        advance(parser);
        if (!parse_operand(parser, &operand)) {
            return false;
        }
        add_list(parser, operand);
        node.count++;
    } while (at_sign(parser, ","));
    if (!take_sign(parser, ")")) {
        return false;
    }
    *left = (struct part){.kind = PART_CONDITION};
    add_node(parser, node, &left->node);
    return true;
}

/* A value, a call or a path. */
static bool parse_part(struct parser *parser, struct part *out)
{
    *out = (struct part){.kind = PART_OPERAND};
    if (parser->lexer.now.type == TOKEN_COLON) {
        struct node node = {.type = NODE_VALUE, .text = parser->lexer.now.text};
        advance(parser);
        add_node(parser, node, &out->node);
        return true;
    }
    if (at_call(parser)) {
        return parse_call(parser, out);
    }
    return parse_path(parser, &out->node);
}

/* An operand, maybe in parentheses. */
static bool parse_operand_part(struct parser *parser, struct part *out)
{
    if (at_sign(parser, "(")) {
        return parse_group(parser, out, parse_operand_part);
    }
    return parse_part(parser, out) && as_operand(parser, out);
}

static bool parse_operand(struct parser *parser, uint32_t *out)
{
    struct part part;
    if (!parse_operand_part(parser, &part)) {
        return false;
    }
    *out = part.node;
    return true;
}

static void add_step(struct parser *parser, struct step step)
{
    if (parser->step_count == parser->step_cap) {
        parser->step_cap = parser->step_cap == 0 ? 32 : parser->step_cap * 2;
        parser->steps = mem_realloc(parser->steps, parser->step_cap * sizeof(parser->steps[0]));
    }
    parser->steps[parser->step_count++] = step;
}

static bool parse_index(struct parser *parser, struct step *step)
{
    struct bytes digits = parser->lexer.now.text;
    uint64_t index = 0;
    if (parser->lexer.now.type != TOKEN_NUMBER) {
        return refuse_syntax(parser);
    }
    for (size_t i = 0; i < digits.len && i < INDEX_DIGITS_MAX; i++) {
        index = index * 10 + (uint64_t)(digits.ptr[i] - '0');
    }
    if (digits.len > INDEX_DIGITS_MAX || index > INDEX_MAX) {
        note(parser, digits, "List index is not within the allowable range; index: [%.*s]",
             (int)(digits.len < 255 ? digits.len : 255), digits.ptr);
    }
    *step = (struct step){BYTES_NONE, (uint32_t)index};
    advance(parser);
    return take_sign(parser, "]");
}

static bool parse_name(struct parser *parser, struct step *step)
{
    *step = (struct step){.name = parser->lexer.now.text};
    if (parser->lexer.now.type == TOKEN_NAME) {
        if (is_reserved(step->name)) {
            note(parser, step->name, "Attribute name is a reserved keyword; reserved keyword: %.*s",
                 BYTES_FMT(step->name));
        }
    } else if (parser->lexer.now.type != TOKEN_HASH) {
        return refuse_syntax(parser);
    }
    advance(parser);
    return true;
}

static bool parse_path(struct parser *parser, uint32_t *out)
{
    struct node node = {
        .type = NODE_PATH, .a = (uint32_t)parser->step_count, .text = parser->lexer.now.text};
    struct step step;
    if (!parse_name(parser, &step)) {
        return false;
    }
    add_step(parser, step);
    node.count = 1;
    while (at_sign(parser, ".") || at_sign(parser, "[")) {
        bool index = at_sign(parser, "[");
        advance(parser);
        if (!(index ? parse_index(parser, &step) : parse_name(parser, &step))) {
            return false;
        }
        add_step(parser, step);
        node.count++;
    }
    add_node(parser, node, out);
    return true;
}

static const struct function *function_of(struct parser *parser, struct bytes name)
{
    bool update = parser->kind == EXPR_UPDATE;
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        const struct function *function = &functions[i];
        if (!bytes_equal(name, bytes_cstr(function->name))) {
            continue;
        }
        if (function->in_update != update) {
            note(parser, name, "The function is not allowed in a%s expression; function: %s",
                 update ? "n update" : " condition", function->name);
        }
        return function;
    }
    note(parser, name, "Invalid function name; function: %.*s",
         (int)(name.len < 255 ? name.len : 255), name.ptr);
    return NULL;
}

/* Function calls are no operators and have no limit of their own, but nothing that is right nests
 * so deep: told is the first that is wrong with them. */
static bool calls_too_deep(struct parser *parser, const struct function *function,
                           struct bytes name)
{
    if (++parser->depth <= EXPR_DEPTH_MAX + 10) {
        return false;
    }
    if (function != NULL && function->type == NODE_SIZE) {
        note(parser, name,
             "Incorrect operand type for operator or function; operator or function: size, "
             "operand type: N");
    } else if (function != NULL) {
        note_misuse(parser, name);
    }
    *parser->fault = parser->noted;
    return true;
}

static bool parse_call(struct parser *parser, struct part *out)
{
    struct bytes name = parser->lexer.now.text;
    const struct function *function = function_of(parser, name);
    uint32_t operands[2] = {0, 0};
    unsigned count = 0;
    if (calls_too_deep(parser, function, name)) {
        return false;
    }
    advance(parser);
    do {
        struct part operand;
        advance(parser);
        if (!parse_operand_part(parser, &operand)) {
            return false;
        }
        as_argument(parser, &operand);
        if (count < 2) {
            operands[count] = operand.node;
        }
        count++;
    } while (at_sign(parser, ","));
    if (!take_sign(parser, ")")) {
        return false;
    }
    parser->depth--;
    struct node node = {.type = function == NULL ? (uint8_t)NODE_SIZE : function->type,
                        .count = (uint16_t)count,
                        .a = operands[0],
                        .b = operands[1],
                        .text = name};
    *out = (struct part){.kind = PART_CALL, .function = function, .name = name};
    add_node(parser, node, &out->node);
    return true;
}

/* ---- updates and projections ---- */

static void add_action(struct parser *parser, struct action action)
{
    if (parser->action_count == parser->action_cap) {
        parser->action_cap = parser->action_cap == 0 ? 16 : parser->action_cap * 2;
        parser->actions =
            mem_realloc(parser->actions, parser->action_cap * sizeof(parser->actions[0]));
    }
    parser->actions[parser->action_count++] = action;
}

static bool parse_action(struct parser *parser, enum action_kind kind)
{
    struct action action = {.kind = kind};
    struct part value = {0};
    if (!parse_path(parser, &action.path)) {
        return false;
    }
    switch (kind) {
    case ACTION_SET:
        if (!take_sign(parser, "=") || !parse_set_value(parser, &value)) {
            return false;
        }
        break;
    case ACTION_REMOVE:
        break;
    case ACTION_ADD:
    case ACTION_DELETE:
        if (parser->lexer.now.type != TOKEN_COLON) {
            return refuse_syntax(parser);
        }
        if (!parse_part(parser, &value)) {
            return false;
        }
        break;
    }
    action.value = value.node;
    add_action(parser, action);
    return true;
}

static bool parse_update(struct parser *parser)
{
    static const char *const clauses[] = {"SET", "REMOVE", "ADD", "DELETE"};
    bool seen[4] = {false};
    do {
        size_t kind = 0;
        while (kind < 4 && !at_word(parser, clauses[kind])) {
            kind++;
        }
        if (kind == 4) {
            return refuse_syntax(parser);
        }
        if (seen[kind]) {
            note(parser, parser->lexer.now.text,
                 "The \"%s\" section can only be used once in an update expression;",
                 clauses[kind]);
        }
        seen[kind] = true;
        do {
            advance(parser);
            if (!parse_action(parser, (enum action_kind)kind)) {
                return false;
            }
        } while (at_sign(parser, ","));
    } while (parser->lexer.now.type != TOKEN_END);
    return true;
}

/* An operand, or a sum or difference of two; a PART_CONDITION here is such a sum, which nothing may
 * be added to. */
static bool parse_set_term(struct parser *parser, struct part *out)
{
    return at_sign(parser, "(") ? parse_group(parser, out, parse_set_value)
                                : parse_operand_part(parser, out);
}

static bool parse_set_value(struct parser *parser, struct part *out)
{
    if (!parse_set_term(parser, out)) {
        return false;
    }
    bool plus = at_sign(parser, "+");
    if (out->kind == PART_CONDITION || (!plus && !at_sign(parser, "-"))) {
        return true;
    }
    struct node node = {
        .type = plus ? NODE_PLUS : NODE_MINUS, .a = out->node, .text = parser->lexer.now.text};
    struct part right;
    as_argument(parser, out);
    parser->operators++;
    advance(parser);
    if (!parse_operand_part(parser, &right)) {
        return false;
    }
    as_argument(parser, &right);
    node.b = right.node;
    *out = (struct part){.kind = PART_CONDITION};
    add_node(parser, node, &out->node);
    return true;
}

static bool parse_projection(struct parser *parser)
{
    uint32_t path;
    if (!parse_path(parser, &path)) {
        return false;
    }
    add_list(parser, path);
    while (at_sign(parser, ",")) {
        advance(parser);
        if (!parse_path(parser, &path)) {
            return false;
        }
        add_list(parser, path);
    }
    return true;
}
