/* Operands: values, paths, calls of functions, and parentheses around them. */
#include "expr/parse_priv.h"

#include "base/mem.h"

#define INDEX_DIGITS_MAX 10u
#define INDEX_MAX 2147483647u

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

static bool parse_call(struct parser *parser, struct part *out);

void parser_note_misuse(struct parser *parser, struct bytes name)
{
    parser_note(parser, name,
                "The function is not allowed to be used this way in an expression; function: %.*s",
                BYTES_FMT(name));
}

bool part_as_operand(struct parser *parser, const struct part *part)
{
    if (part->kind == PART_CONDITION) {
        return parser_refuse_syntax(parser);
    }
    if (part->kind == PART_CALL && part->function != NULL && part->function->is_condition) {
        parser_note_misuse(parser, part->name);
    }
    return true;
}

void part_as_argument(struct parser *parser, const struct part *part)
{
    if (part->kind == PART_CALL && part->function != NULL &&
        part->function->type == NODE_LIST_APPEND) {
        parser_note_misuse(parser, part->name);
    }
}

bool parse_group(struct parser *parser, struct part *out,
                 bool parse_inner(struct parser *parser, struct part *out))
{
    if (parser_too_deep(parser)) {
        return false;
    }
    advance(parser);
    if (!parse_inner(parser, out) || !parser_take_sign(parser, ")")) {
        return false;
    }
    parser->depth--;
    if (out->group) {
        return parser_refuse(parser, "The expression has redundant parentheses;");
    }
    out->group = true;
    return true;
}

/* A value, a call or a path. */
bool parse_part(struct parser *parser, struct part *out)
{
    *out = (struct part){.kind = PART_OPERAND};
    if (parser->lexer.now.type == TOKEN_COLON) {
        struct node node = {.type = NODE_VALUE, .text = parser->lexer.now.text};
        advance(parser);
        parser_add_node(parser, node, &out->node);
        return true;
    }
    if (at_call(parser)) {
        return parse_call(parser, out);
    }
    return parse_path(parser, &out->node);
}

/* An operand, maybe in parentheses. */
bool parse_operand_part(struct parser *parser, struct part *out)
{
    if (at_sign(parser, "(")) {
        return parse_group(parser, out, parse_operand_part);
    }
    return parse_part(parser, out) && part_as_operand(parser, out);
}

bool parse_operand(struct parser *parser, uint32_t *out)
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
        return parser_refuse_syntax(parser);
    }
    for (size_t i = 0; i < digits.len && i < INDEX_DIGITS_MAX; i++) {
        index = index * 10 + (uint64_t)(digits.ptr[i] - '0');
    }
    if (digits.len > INDEX_DIGITS_MAX || index > INDEX_MAX) {
        parser_note(parser, digits, "List index is not within the allowable range; index: [%.*s]",
                    (int)(digits.len < 255 ? digits.len : 255), digits.ptr);
    }
    *step = (struct step){BYTES_NONE, (uint32_t)index};
    advance(parser);
    return parser_take_sign(parser, "]");
}

static bool parse_name(struct parser *parser, struct step *step)
{
    *step = (struct step){.name = parser->lexer.now.text};
    if (parser->lexer.now.type == TOKEN_NAME) {
        if (is_reserved(step->name)) {
            parser_note(parser, step->name,
                        "Attribute name is a reserved keyword; reserved keyword: %.*s",
                        BYTES_FMT(step->name));
        }
    } else if (parser->lexer.now.type != TOKEN_HASH) {
        return parser_refuse_syntax(parser);
    }
    advance(parser);
    return true;
}

bool parse_path(struct parser *parser, uint32_t *out)
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
    parser_add_node(parser, node, out);
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
            parser_note(parser, name, "The function is not allowed in a%s expression; function: %s",
                        update ? "n update" : " condition", function->name);
        }
        return function;
    }
    parser_note(parser, name, "Invalid function name; function: %.*s",
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
        parser_note(parser, name,
                    "Incorrect operand type for operator or function; operator or function: size, "
                    "operand type: N");
    } else if (function != NULL) {
        parser_note_misuse(parser, name);
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
        part_as_argument(parser, &operand);
        if (count < 2) {
            operands[count] = operand.node;
        }
        count++;
    } while (at_sign(parser, ","));
    if (!parser_take_sign(parser, ")")) {
        return false;
    }
    parser->depth--;
    struct node node = {.type = function == NULL ? (uint8_t)NODE_SIZE : function->type,
                        .count = (uint16_t)count,
                        .a = operands[0],
                        .b = operands[1],
                        .text = name};
    *out = (struct part){.kind = PART_CALL, .function = function, .name = name};
    parser_add_node(parser, node, &out->node);
    return true;
}
