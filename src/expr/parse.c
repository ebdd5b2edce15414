/* From text to program: a lexer and a recursive descent over DynamoDB's grammar. Refusals are in
 * its words; "near" is the source from the token before to the token after, spacing kept. Recursion
 * is bounded: every level needs an operator or is a redundant group, and both are limited. */
#include "base/mem.h"
#include "expr/expr_priv.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

enum token_type { TOKEN_END, TOKEN_NAME, TOKEN_HASH, TOKEN_COLON, TOKEN_NUMBER, TOKEN_SIGN };

struct token {
    enum token_type type;
    struct bytes text;
};

struct parser {
    enum expr_kind kind;
    struct bytes text;
    struct token before, now, after;
    size_t at; /* behind `after` */
    struct expr_fault *fault;
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

static bool refuse(struct parser *parser, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static bool refuse_syntax(struct parser *parser);
static struct token scan(struct parser *parser);
static void advance(struct parser *parser);
static bool at_sign(const struct parser *parser, const char *sign);
static bool at_word(const struct parser *parser, const char *word);
static bool take_sign(struct parser *parser, const char *sign);
static bool add_node(struct parser *parser, struct node node, uint32_t *out);
static bool parse_or(struct parser *parser, uint32_t *out, bool *group);
static bool parse_and(struct parser *parser, uint32_t *out, bool *group);
static bool parse_not(struct parser *parser, uint32_t *out, bool *group);
static bool parse_primary(struct parser *parser, uint32_t *out, bool *group);
static bool parse_predicate(struct parser *parser, uint32_t *out);
static bool parse_operand(struct parser *parser, uint32_t *out);
static bool parse_path(struct parser *parser, uint32_t *out);
static bool parse_call(struct parser *parser, uint32_t *out, bool *is_condition);
static bool parse_update(struct parser *parser);
static bool parse_update_value(struct parser *parser, uint32_t *out);
static bool parse_update_operand(struct parser *parser, uint32_t *out);
static bool parse_projection(struct parser *parser);
static struct expr *finish(struct parser *parser, uint32_t root, const struct expr_fault *fault);

const char *expr_kind_name(enum expr_kind kind)
{
    static const char *const names[] = {"ConditionExpression", "FilterExpression",
                                        "UpdateExpression", "ProjectionExpression",
                                        "KeyConditionExpression"};
    return names[kind];
}

struct expr *expr_parse(enum expr_kind kind, struct bytes text)
{
    struct expr_fault fault = {0};
    struct parser parser = {.kind = kind, .text = text, .fault = &fault};
    uint32_t root = 0;
    bool group = false;
    bool good;
    if (text.len == 0) {
        good = refuse(&parser, "The expression can not be empty;");
    } else if (text.len > EXPR_TEXT_MAX) {
        good = refuse(&parser, "Expression size has exceeded the maximum allowed size;");
    } else {
        parser.after = scan(&parser);
        advance(&parser);
        switch (kind) {
        case EXPR_UPDATE:
            good = parse_update(&parser);
            break;
        case EXPR_PROJECTION:
            good = parse_projection(&parser);
            break;
        case EXPR_CONDITION:
        case EXPR_FILTER:
        case EXPR_KEY_CONDITION:
            good = parse_or(&parser, &root, &group);
            break;
        default:
            good = false;
        }
        if (good && parser.now.type != TOKEN_END) {
            good = refuse_syntax(&parser);
        }
    }
    if (good && parser.operators > EXPR_OPERATORS_MAX) {
        good = refuse(&parser, "The expression contains too many operators; operator count: %u",
                      parser.operators);
    }
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
        mem_zalloc(1, sizeof(*expr) + nodes + steps + actions + lists + parser->text.len);
    uint8_t *at = (uint8_t *)(expr + 1);
    struct node *own_nodes = (struct node *)(void *)at;
    struct step *own_steps = (struct step *)(void *)(at + nodes);
    struct action *own_actions = (struct action *)(void *)(at + nodes + steps);
    uint32_t *own_lists = (uint32_t *)(void *)(at + nodes + steps + actions);
    uint8_t *own_text = at + nodes + steps + actions + lists;
    if (parser->text.len > 0) {
        memcpy(own_text, parser->text.ptr, parser->text.len);
    }
    expr->kind = parser->kind;
    expr->text = bytes_of(own_text, parser->text.len);
    expr->root = root;
    if (fault != NULL) {
        expr->refused = true;
        expr->fault = *fault;
        return expr;
    }
#define MOVE(field)                                                                                \
    (field).ptr = (field).ptr == NULL ? NULL : own_text + ((field).ptr - parser->text.ptr)
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

static bool refuse(struct parser *parser, const char *format, ...)
{
    va_list list;
    struct expr_fault *fault = parser->fault;
    if (fault->text[0] != 0) {
        return false; /* the first one is told */
    }
    fault->enveloped = true;
    size_t len = (size_t)snprintf(fault->text, sizeof(fault->text),
                                  "Invalid %s: ", expr_kind_name(parser->kind));
    va_start(list, format);
    vsnprintf(fault->text + len, sizeof(fault->text) - len, format, list);
    va_end(list);
    return false;
}

static bool refuse_syntax(struct parser *parser)
{
    const struct token *now = &parser->now;
    struct bytes end = bytes_of(parser->text.ptr + parser->text.len, 0);
    struct bytes from = parser->before.text.ptr != NULL ? parser->before.text : now->text;
    struct bytes to = parser->after.type != TOKEN_END ? parser->after.text
                      : now->type != TOKEN_END        ? now->text
                                                      : from;
    struct bytes shown = now->type == TOKEN_END ? BYTES("<EOF>") : now->text;
    struct bytes near = bytes_of(from.ptr, (size_t)(to.ptr + to.len - from.ptr));
    if (now->type == TOKEN_END && parser->before.text.ptr == NULL) {
        near = bytes_of(parser->text.ptr,
                        (size_t)(end.ptr - parser->text.ptr)); /* nothing but blanks */
    }
    return refuse(parser, "Syntax error; token: \"%.*s\", near: \"%.*s\"",
                  (int)(shown.len < 200 ? shown.len : 200), shown.ptr,
                  (int)(near.len < 400 ? near.len : 400), near.ptr);
}

/* ---- the lexer ---- */

static bool is_name_start(uint8_t c)
{
    return (c < 128 && isalpha(c)) || c == '_';
}

static bool is_name(uint8_t c)
{
    return (c < 128 && isalnum(c)) || c == '_';
}

static struct token scan(struct parser *parser)
{
    const uint8_t *p = parser->text.ptr;
    size_t len = parser->text.len;
    size_t at = parser->at;
    while (at < len && (p[at] == ' ' || p[at] == '\t' || p[at] == '\n' || p[at] == '\r')) {
        at++;
    }
    size_t start = at;
    struct token token = {TOKEN_SIGN, BYTES_NONE};
    if (at == len) {
        token.type = TOKEN_END;
    } else if (is_name_start(p[at])) {
        token.type = TOKEN_NAME;
        while (at < len && is_name(p[at])) {
            at++;
        }
    } else if ((p[at] == '#' || p[at] == ':') && at + 1 < len && is_name(p[at + 1])) {
        token.type = p[at] == '#' ? TOKEN_HASH : TOKEN_COLON;
        at++;
        while (at < len && is_name(p[at])) {
            at++;
        }
    } else if (p[at] >= '1' && p[at] <= '9') {
        token.type = TOKEN_NUMBER;
        while (at < len && p[at] >= '0' && p[at] <= '9') {
            at++;
        }
    } else if (p[at] == '0') {
        token.type = TOKEN_NUMBER;
        at++;
    } else if (at + 1 < len && ((p[at] == '<' && (p[at + 1] == '=' || p[at + 1] == '>')) ||
                                (p[at] == '>' && p[at + 1] == '='))) {
        at += 2;
    } else {
        at++;
        while (at < len && (p[start] & 0xc0) == 0xc0 && (p[at] & 0xc0) == 0x80) {
            at++; /* the rest of a UTF-8 character: one token */
        }
    }
    token.text = bytes_of(p + start, at - start);
    parser->at = at;
    return token;
}

static void advance(struct parser *parser)
{
    parser->before = parser->now;
    parser->now = parser->after;
    parser->after = scan(parser);
}

static bool token_is(const struct token *token, const char *text)
{
    return token->type == TOKEN_SIGN && bytes_equal(token->text, bytes_cstr(text));
}

static bool at_sign(const struct parser *parser, const char *sign)
{
    return token_is(&parser->now, sign);
}

static bool at_word(const struct parser *parser, const char *word)
{
    const struct token *now = &parser->now;
    return now->type == TOKEN_NAME && now->text.len == strlen(word) &&
           strncasecmp((const char *)now->text.ptr, word, now->text.len) == 0;
}

static bool take_sign(struct parser *parser, const char *sign)
{
    if (!at_sign(parser, sign)) {
        return refuse_syntax(parser);
    }
    advance(parser);
    return true;
}

static bool add_node(struct parser *parser, struct node node, uint32_t *out)
{
    if (parser->node_count == parser->node_cap) {
        parser->node_cap = parser->node_cap == 0 ? 32 : parser->node_cap * 2;
        parser->nodes = mem_realloc(parser->nodes, parser->node_cap * sizeof(parser->nodes[0]));
    }
    parser->nodes[parser->node_count] = node;
    *out = (uint32_t)parser->node_count++;
    return true;
}

static void add_list(struct parser *parser, uint32_t node)
{
    if (parser->list_count == parser->list_cap) {
        parser->list_cap = parser->list_cap == 0 ? 32 : parser->list_cap * 2;
        parser->lists = mem_realloc(parser->lists, parser->list_cap * sizeof(parser->lists[0]));
    }
    parser->lists[parser->list_count++] = node;
}

/* ---- conditions ---- */

static bool too_deep(struct parser *parser)
{
    if (++parser->depth <= EXPR_DEPTH_MAX + 10) {
        return false;
    }
    if (at_sign(parser, "(") && token_is(&parser->before, "(")) {
        (void)refuse(parser, "The expression has redundant parentheses;");
    } else {
        (void)refuse(parser, "The expression contains too many operators; operator count: %u",
                     EXPR_OPERATORS_MAX + 1);
    }
    return true;
}

static bool parse_or(struct parser *parser, uint32_t *out, bool *group)
{
    if (!parse_and(parser, out, group)) {
        return false;
    }
    while (at_word(parser, "OR")) {
        uint32_t right;
        bool ignored;
        advance(parser);
        parser->operators++;
        if (!parse_and(parser, &right, &ignored) ||
            !add_node(parser, (struct node){.type = NODE_OR, .a = *out, .b = right}, out)) {
            return false;
        }
        *group = false;
    }
    return true;
}

static bool parse_and(struct parser *parser, uint32_t *out, bool *group)
{
    if (!parse_not(parser, out, group)) {
        return false;
    }
    while (at_word(parser, "AND")) {
        uint32_t right;
        bool ignored;
        advance(parser);
        parser->operators++;
        if (!parse_not(parser, &right, &ignored) ||
            !add_node(parser, (struct node){.type = NODE_AND, .a = *out, .b = right}, out)) {
            return false;
        }
        *group = false;
    }
    return true;
}

static bool parse_not(struct parser *parser, uint32_t *out, bool *group)
{
    bool inner;
    if (!at_word(parser, "NOT")) {
        return parse_primary(parser, out, group);
    }
    if (too_deep(parser)) {
        return false;
    }
    advance(parser);
    parser->operators++;
    *group = false;
    if (!parse_not(parser, out, &inner)) {
        return false;
    }
    parser->depth--;
    return add_node(parser, (struct node){.type = NODE_NOT, .a = *out}, out);
}

/* A group, or a predicate. *group: it was a group and nothing else. */
static bool parse_primary(struct parser *parser, uint32_t *out, bool *group)
{
    *group = false;
    if (!at_sign(parser, "(")) {
        return parse_predicate(parser, out);
    }
    bool inner = false;
    if (too_deep(parser)) {
        return false;
    }
    advance(parser);
    if (!parse_or(parser, out, &inner) || !take_sign(parser, ")")) {
        return false;
    }
    parser->depth--;
    if (inner) {
        return refuse(parser, "The expression has redundant parentheses;");
    }
    *group = true;
    return true;
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

static bool parse_predicate(struct parser *parser, uint32_t *out)
{
    uint32_t left;
    enum compare_op op;
    bool is_condition = false;
    if (parser->now.type == TOKEN_NAME && token_is(&parser->after, "(")) {
        if (!parse_call(parser, &left, &is_condition)) {
            return false;
        }
        if (is_condition) {
            *out = left;
            return true;
        }
    } else if (!parse_operand(parser, &left)) {
        return false;
    }
    if (compare_of(parser, &op)) {
        uint32_t right;
        advance(parser);
        parser->operators++;
        return parse_operand(parser, &right) &&
               add_node(
                   parser,
                   (struct node){.type = NODE_COMPARE, .op = (uint8_t)op, .a = left, .b = right},
                   out);
    }
    if (at_word(parser, "BETWEEN")) {
        uint32_t low;
        uint32_t high;
        advance(parser);
        parser->operators++;
        if (!parse_operand(parser, &low)) {
            return false;
        }
        if (!at_word(parser, "AND")) {
            return refuse_syntax(parser);
        }
        advance(parser);
        return parse_operand(parser, &high) &&
               add_node(parser, (struct node){.type = NODE_BETWEEN, .a = left, .b = low, .c = high},
                        out);
    }
    if (at_word(parser, "IN") && token_is(&parser->after, "(")) {
        uint32_t operands[EXPR_IN_MAX];
        uint32_t count = 0;
        advance(parser);
        advance(parser);
        parser->operators++;
        for (;;) {
            uint32_t operand;
            if (!parse_operand(parser, &operand)) {
                return false;
            }
            if (count < EXPR_IN_MAX) {
                operands[count] = operand;
            }
            count++;
            if (!at_sign(parser, ",")) {
                break;
            }
            advance(parser);
        }
        if (!take_sign(parser, ")")) {
            return false;
        }
        if (count > EXPR_IN_MAX) {
            return refuse(
                parser,
                "The IN operator is provided with too many operands; number of operands: %u",
                count);
        }
        uint32_t first = (uint32_t)parser->list_count;
        for (uint32_t i = 0; i < count; i++) {
            add_list(parser, operands[i]);
        }
        return add_node(
            parser, (struct node){.type = NODE_IN, .a = left, .b = first, .count = (uint16_t)count},
            out);
    }
    return refuse_syntax(parser);
}

static bool parse_operand(struct parser *parser, uint32_t *out)
{
    bool is_condition;
    if (parser->now.type == TOKEN_COLON) {
        struct node node = {.type = NODE_VALUE, .text = parser->now.text};
        advance(parser);
        return add_node(parser, node, out);
    }
    if (parser->now.type == TOKEN_NAME && token_is(&parser->after, "(")) {
        struct token name = parser->now;
        if (!parse_call(parser, out, &is_condition)) {
            return false;
        }
        return is_condition ? refuse(parser,
                                     "The function is not allowed to be used this way in an "
                                     "expression; function: %.*s",
                                     BYTES_FMT(name.text))
                            : true;
    }
    return parse_path(parser, out);
}

static bool parse_path(struct parser *parser, uint32_t *out)
{
    struct node node = {
        .type = NODE_PATH, .a = (uint32_t)parser->step_count, .text = parser->now.text};
    bool first = true;
    for (;;) {
        struct step step = {.name = parser->now.text};
        if (!first && at_sign(parser, "[")) {
            advance(parser);
            if (parser->now.type != TOKEN_NUMBER) {
                return refuse_syntax(parser);
            }
            uint64_t index = 0;
            for (size_t i = 0; i < parser->now.text.len && index < UINT32_MAX; i++) {
                index = index * 10 + (uint64_t)(parser->now.text.ptr[i] - '0');
            }
            step = (struct step){BYTES_NONE, index > UINT32_MAX ? UINT32_MAX : (uint32_t)index};
            advance(parser);
            if (!take_sign(parser, "]")) {
                return false;
            }
        } else {
            if (!first) {
                advance(parser); /* the point */
            }
            step.name = parser->now.text;
            if (parser->now.type == TOKEN_NAME) {
                if (is_reserved(step.name)) {
                    return refuse(parser,
                                  "Attribute name is a reserved keyword; reserved keyword: %.*s",
                                  BYTES_FMT(step.name));
                }
            } else if (parser->now.type != TOKEN_HASH) {
                return refuse_syntax(parser);
            }
            advance(parser);
        }
        if (parser->step_count == parser->step_cap) {
            parser->step_cap = parser->step_cap == 0 ? 32 : parser->step_cap * 2;
            parser->steps = mem_realloc(parser->steps, parser->step_cap * sizeof(parser->steps[0]));
        }
        parser->steps[parser->step_count++] = step;
        node.count++;
        first = false;
        if (!at_sign(parser, ".") && !at_sign(parser, "[")) {
            return add_node(parser, node, out);
        }
    }
}

struct function {
    const char *name;
    uint8_t type;
    uint8_t operands;
    bool is_condition;
    bool in_update;
};

static const struct function functions[] = {
    {"attribute_exists", NODE_EXISTS, 1, true, false},
    {"attribute_not_exists", NODE_NOT_EXISTS, 1, true, false},
    {"attribute_type", NODE_ATTRIBUTE_TYPE, 2, true, false},
    {"begins_with", NODE_BEGINS_WITH, 2, true, false},
    {"contains", NODE_CONTAINS, 2, true, false},
    {"size", NODE_SIZE, 1, false, false},
    {"if_not_exists", NODE_IF_NOT_EXISTS, 2, false, true},
    {"list_append", NODE_LIST_APPEND, 2, false, true},
};

static bool parse_call(struct parser *parser, uint32_t *out, bool *is_condition)
{
    struct bytes name = parser->now.text;
    const struct function *function = NULL;
    uint32_t operands[2] = {0, 0};
    unsigned count = 0;
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        if (bytes_equal(name, bytes_cstr(functions[i].name))) {
            function = &functions[i];
        }
    }
    if (function == NULL) {
        return refuse(parser, "Invalid function name; function: %.*s",
                      (int)(name.len < 255 ? name.len : 255), name.ptr);
    }
    bool update = parser->kind == EXPR_UPDATE;
    bool key = parser->kind == EXPR_KEY_CONDITION;
    if (function->in_update != update || (key && function->type != NODE_BEGINS_WITH)) {
        return refuse(parser, "The function is not allowed in a%s; function: %s",
                      update                        ? "n update expression"
                      : key                         ? " key condition expression"
                      : parser->kind == EXPR_FILTER ? " filter expression"
                                                    : " condition expression",
                      function->name);
    }
    if (too_deep(parser)) {
        return false;
    }
    advance(parser);
    advance(parser);
    while (count == 0 || at_sign(parser, ",")) {
        uint32_t operand;
        if (count > 0) {
            advance(parser);
        }
        if (!(update ? parse_update_operand(parser, &operand) : parse_operand(parser, &operand))) {
            return false;
        }
        if (count < 2) {
            operands[count] = operand;
        }
        count++;
    }
    if (!take_sign(parser, ")")) {
        return false;
    }
    parser->depth--;
    if (count != function->operands) {
        return refuse(parser,
                      "Incorrect number of operands for operator or function; operator or "
                      "function: %s, number of operands: %u",
                      function->name, count);
    }
    bool needs_path = function->type == NODE_EXISTS || function->type == NODE_NOT_EXISTS ||
                      function->type == NODE_IF_NOT_EXISTS;
    if (needs_path && parser->nodes[operands[0]].type != NODE_PATH) {
        return refuse(parser,
                      "Operator or function requires a document path; operator or function: %s",
                      function->name);
    }
    *is_condition = function->is_condition;
    return add_node(
        parser,
        (struct node){.type = function->type, .a = operands[0], .b = operands[1], .text = name},
        out);
}

/* ---- updates and projections ---- */

static bool add_action(struct parser *parser, struct action action)
{
    if (parser->action_count == parser->action_cap) {
        parser->action_cap = parser->action_cap == 0 ? 16 : parser->action_cap * 2;
        parser->actions =
            mem_realloc(parser->actions, parser->action_cap * sizeof(parser->actions[0]));
    }
    parser->actions[parser->action_count++] = action;
    return true;
}

static bool parse_action(struct parser *parser, enum action_kind kind)
{
    struct action action = {.kind = kind};
    if (!parse_path(parser, &action.path)) {
        return false;
    }
    if (kind == ACTION_SET) {
        return take_sign(parser, "=") && parse_update_value(parser, &action.value) &&
               add_action(parser, action);
    }
    if (kind == ACTION_REMOVE) {
        return add_action(parser, action);
    }
    if (parser->now.type != TOKEN_COLON) {
        return refuse_syntax(parser);
    }
    return parse_operand(parser, &action.value) && add_action(parser, action);
}

static bool parse_update(struct parser *parser)
{
    static const char *const clauses[] = {"SET", "REMOVE", "ADD", "DELETE"};
    bool seen[4] = {false};
    if (parser->now.type == TOKEN_END) {
        return refuse_syntax(parser);
    }
    while (parser->now.type != TOKEN_END) {
        size_t kind = 0;
        while (kind < 4 && !at_word(parser, clauses[kind])) {
            kind++;
        }
        if (kind == 4) {
            return refuse_syntax(parser);
        }
        if (seen[kind]) {
            return refuse(parser,
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
    }
    return true;
}

static bool parse_update_value(struct parser *parser, uint32_t *out)
{
    if (!parse_update_operand(parser, out)) {
        return false;
    }
    bool plus = at_sign(parser, "+");
    if (plus || at_sign(parser, "-")) {
        uint32_t right;
        struct bytes text = parser->now.text;
        advance(parser);
        parser->operators++;
        return parse_update_operand(parser, &right) &&
               add_node(
                   parser,
                   (struct node){
                       .type = plus ? NODE_PLUS : NODE_MINUS, .a = *out, .b = right, .text = text},
                   out);
    }
    return true;
}

static bool parse_update_operand(struct parser *parser, uint32_t *out)
{
    bool is_condition;
    if (at_sign(parser, "(")) {
        if (too_deep(parser)) {
            return false;
        }
        advance(parser);
        if (at_sign(parser, "(")) {
            return refuse(parser, "The expression has redundant parentheses;");
        }
        if (!parse_update_value(parser, out) || !take_sign(parser, ")")) {
            return false;
        }
        parser->depth--;
        return true;
    }
    if (parser->now.type == TOKEN_NAME && token_is(&parser->after, "(")) {
        return parse_call(parser, out, &is_condition);
    }
    return parse_operand(parser, out);
}

static bool parse_projection(struct parser *parser)
{
    for (;;) {
        uint32_t path;
        if (!parse_path(parser, &path)) {
            return false;
        }
        add_list(parser, path);
        if (!at_sign(parser, ",")) {
            return true;
        }
        advance(parser);
    }
}
