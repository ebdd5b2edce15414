/* Conditions: OR, AND, NOT, comparisons, BETWEEN and IN, by precedence. What stands left of an
 * operator is read before it is known what it must be, so each part says what it may still become.
 */
#include "expr/parse_priv.h"

static bool parse_or(struct parser *parser, struct part *out);
static bool parse_and(struct parser *parser, struct part *out);
static bool parse_not(struct parser *parser, struct part *out);
static bool parse_primary(struct parser *parser, struct part *out);
static bool parse_comparison(struct parser *parser, struct part *left);
static bool parse_in(struct parser *parser, struct part *left);

/* The part stands where a condition must. */
static bool part_as_condition(struct parser *parser, struct part *part)
{
    if (part->kind == PART_OPERAND) {
        return parser_refuse_syntax(parser);
    }
    if (part->kind == PART_CALL && part->function != NULL && !part->function->is_condition) {
        parser_note_misuse(parser, part->name);
    }
    part->kind = PART_CONDITION;
    return true;
}

bool parse_condition(struct parser *parser, uint32_t *out)
{
    struct part part;
    if (!parse_or(parser, &part) || !part_as_condition(parser, &part)) {
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
    parser_add_node(parser, (struct node){.type = (uint8_t)type, .a = left->node, .b = right->node},
                    &left->node);
}

static bool parse_or(struct parser *parser, struct part *out)
{
    if (!parse_and(parser, out)) {
        return false;
    }
    while (at_word(parser, "OR")) {
        struct part right;
        if (!part_as_condition(parser, out)) {
            return false;
        }
        advance(parser);
        if (!parse_and(parser, &right) || !part_as_condition(parser, &right)) {
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
        if (!part_as_condition(parser, out)) {
            return false;
        }
        advance(parser);
        if (!parse_not(parser, &right) || !part_as_condition(parser, &right)) {
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
    if (parser_too_deep(parser)) {
        return false;
    }
    advance(parser);
    if (!parse_not(parser, out) || !part_as_condition(parser, out)) {
        return false;
    }
    parser->depth--;
    parser->operators++;
    out->group = false;
    parser_add_node(parser, (struct node){.type = NODE_NOT, .a = out->node}, &out->node);
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
    if (!part_as_operand(parser, left)) {
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
            return parser_refuse_syntax(parser);
        }
        advance(parser);
        if (!parse_operand(parser, &node.c)) {
            return false;
        }
    }
    *left = (struct part){.kind = PART_CONDITION};
    parser_add_node(parser, node, &left->node);
    return true;
}

static bool parse_in(struct parser *parser, struct part *left)
{
    struct node node = {.type = NODE_IN, .a = left->node, .b = (uint32_t)parser->list_count};
    advance(parser);
    if (!at_sign(parser, "(")) {
        return parser_refuse_syntax(parser);
    }
    do {
        uint32_t operand;
        advance(parser);
        if (!parse_operand(parser, &operand)) {
            return false;
        }
        parser_add_list(parser, operand);
        node.count++;
    } while (at_sign(parser, ","));
    if (!parser_take_sign(parser, ")")) {
        return false;
    }
    *left = (struct part){.kind = PART_CONDITION};
    parser_add_node(parser, node, &left->node);
    return true;
}
