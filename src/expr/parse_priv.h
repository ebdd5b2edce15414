/* Inside the parser: its state, and what its three files share. One thread, one expression. */
#ifndef HW_EXPR_PARSE_PRIV_H
#define HW_EXPR_PARSE_PRIV_H

#include "expr/expr_priv.h"

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

/* All that parse return false once the expression is refused, with the fault set. */
bool parser_refuse(struct parser *parser, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* What is wrong if the syntax is right. */
void parser_note(struct parser *parser, struct bytes where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool parser_refuse_syntax(struct parser *parser);
bool parser_take_sign(struct parser *parser, const char *sign);
void parser_add_node(struct parser *parser, struct node node, uint32_t *out);
void parser_add_list(struct parser *parser, uint32_t node);
/* One level deeper: true if that is refused. */
bool parser_too_deep(struct parser *parser);

/* condition.c */
bool parse_condition(struct parser *parser, uint32_t *out);

/* operand.c: a value, a call or a path; the same as an operand; that, maybe in parentheses. */
bool parse_part(struct parser *parser, struct part *out);
bool parse_operand(struct parser *parser, uint32_t *out);
bool parse_operand_part(struct parser *parser, struct part *out);
bool parse_path(struct parser *parser, uint32_t *out);
/* Parentheses around what parse_inner reads, which may not be parentheses alone. */
bool parse_group(struct parser *parser, struct part *out,
                 bool parse_inner(struct parser *parser, struct part *out));
/* The part stands where an operand must. */
bool part_as_operand(struct parser *parser, const struct part *part);
/* The part is an operand of a function or of a sum: list_append can only be a SET's whole right
 * side. */
void part_as_argument(struct parser *parser, const struct part *part);
void parser_note_misuse(struct parser *parser, struct bytes name);

static inline bool at_sign(const struct parser *parser, const char *sign)
{
    return token_is_sign(&parser->lexer.now, sign);
}

static inline bool at_word(const struct parser *parser, const char *word)
{
    return token_is_word(&parser->lexer.now, word);
}

/* At a name and an opening parenthesis. */
static inline bool at_call(const struct parser *parser)
{
    return parser->lexer.now.type == TOKEN_NAME && token_is_sign(&parser->lexer.after, "(");
}

static inline void advance(struct parser *parser)
{
    lexer_advance(&parser->lexer);
}

#endif
