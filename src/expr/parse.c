/* From text to program: a recursive descent over DynamoDB's grammar. Refusals are in
 * its words; "near" is the source from the token before, or its beginning, to the token after, or
 * its end, spacing kept (as DynamoDB Local has it, whose parser is AWS's).
 *
 * A wrong syntax is told before anything else that is wrong, wherever it stands; of the rest, what
 * is found first in the text. Two things are told at once: parentheses around nothing but
 * parentheses, and nesting past what the limit of operators can need, so that recursion is bounded
 * and time is linear (expr I3, I5). */
#include "expr/parse_priv.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

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
        return parser_refuse(parser, "The expression can not be empty;");
    }
    if (parser->lexer.text.len > EXPR_TEXT_MAX) {
        return parser_refuse(parser, "Expression size has exceeded the maximum allowed size;");
    }
    lexer_start(&parser->lexer);
    bool good = parser->kind == EXPR_UPDATE       ? parse_update(parser)
                : parser->kind == EXPR_PROJECTION ? parse_projection(parser)
                                                  : parse_condition(parser, root);
    if (!good) {
        return false;
    }
    if (parser->lexer.now.type != TOKEN_END) {
        return parser_refuse_syntax(parser);
    }
    if (parser->noted_at != NULL) {
        *parser->fault = parser->noted;
        return false;
    }
    if (parser->operators > EXPR_OPERATORS_MAX) {
        return parser_refuse(parser,
                             "The expression contains too many operators; operator count: %u",
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

bool parser_refuse(struct parser *parser, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    tell(parser, parser->fault, format, list);
    va_end(list);
    return false;
}

/* The one that stands first in the text is kept. */
void parser_note(struct parser *parser, struct bytes where, const char *format, ...)
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

bool parser_refuse_syntax(struct parser *parser)
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
    return parser_refuse(parser, "Syntax error; token: \"%.*s\", near: \"%.*s\"",
                         (int)(shown.len < 200 ? shown.len : 200), shown.ptr,
                         (int)(near.len < 400 ? near.len : 400), near.ptr);
}

bool parser_take_sign(struct parser *parser, const char *sign)
{
    if (!at_sign(parser, sign)) {
        return parser_refuse_syntax(parser);
    }
    advance(parser);
    return true;
}

void parser_add_node(struct parser *parser, struct node node, uint32_t *out)
{
    if (parser->node_count == parser->node_cap) {
        parser->node_cap = parser->node_cap == 0 ? 32 : parser->node_cap * 2;
        parser->nodes = mem_realloc(parser->nodes, parser->node_cap * sizeof(parser->nodes[0]));
    }
    parser->nodes[parser->node_count] = node;
    *out = (uint32_t)parser->node_count++;
}

void parser_add_list(struct parser *parser, uint32_t node)
{
    if (parser->list_count == parser->list_cap) {
        parser->list_cap = parser->list_cap == 0 ? 32 : parser->list_cap * 2;
        parser->lists = mem_realloc(parser->lists, parser->list_cap * sizeof(parser->lists[0]));
    }
    parser->lists[parser->list_count++] = node;
}

bool parser_too_deep(struct parser *parser)
{
    if (++parser->depth <= EXPR_DEPTH_MAX + 10) {
        return false;
    }
    if (at_sign(parser, "(") && token_is_sign(&parser->lexer.before, "(")) {
        (void)parser_refuse(parser, "The expression has redundant parentheses;");
    } else {
        (void)parser_refuse(parser,
                            "The expression contains too many operators; operator count: %u",
                            EXPR_OPERATORS_MAX + 1);
    }
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
        if (!parser_take_sign(parser, "=") || !parse_set_value(parser, &value)) {
            return false;
        }
        break;
    case ACTION_REMOVE:
        break;
    case ACTION_ADD:
    case ACTION_DELETE:
        if (parser->lexer.now.type != TOKEN_COLON) {
            return parser_refuse_syntax(parser);
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
            return parser_refuse_syntax(parser);
        }
        if (seen[kind]) {
            parser_note(parser, parser->lexer.now.text,
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
    part_as_argument(parser, out);
    parser->operators++;
    advance(parser);
    if (!parse_operand_part(parser, &right)) {
        return false;
    }
    part_as_argument(parser, &right);
    node.b = right.node;
    *out = (struct part){.kind = PART_CONDITION};
    parser_add_node(parser, node, &out->node);
    return true;
}

static bool parse_projection(struct parser *parser)
{
    uint32_t path;
    if (!parse_path(parser, &path)) {
        return false;
    }
    parser_add_list(parser, path);
    while (at_sign(parser, ",")) {
        advance(parser);
        if (!parse_path(parser, &path)) {
            return false;
        }
        parser_add_list(parser, path);
    }
    return true;
}
