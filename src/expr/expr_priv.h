/* Inside expr: a program is an array of nodes, an array of path steps and, for updates, an array of
 * actions, all in one block. Nodes refer to each other by number, children before parents. */
#ifndef HW_EXPR_EXPR_PRIV_H
#define HW_EXPR_EXPR_PRIV_H

#include "expr/expr.h"

enum node_type {
    NODE_PATH,          /* steps[a .. a + count) */
    NODE_VALUE,         /* text: ":v" */
    NODE_SIZE,          /* size(a) */
    NODE_IF_NOT_EXISTS, /* a, b */
    NODE_LIST_APPEND,   /* a, b */
    NODE_PLUS,
    NODE_MINUS,
    NODE_AND,
    NODE_OR,
    NODE_NOT,
    NODE_COMPARE, /* op, a, b */
    NODE_BETWEEN, /* a, b, c */
    NODE_IN,      /* a, lists[b .. b + count) */
    NODE_EXISTS,
    NODE_NOT_EXISTS,
    NODE_ATTRIBUTE_TYPE,
    NODE_BEGINS_WITH,
    NODE_CONTAINS
};

enum compare_op { OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE };

struct node {
    uint8_t type;
    uint8_t op;
    uint16_t count; /* steps of a path, operands of IN and of functions */
    uint32_t a, b, c;
    struct bytes text; /* into the program's own copy */
};

struct step {
    struct bytes name; /* plain or "#n"; empty: an index */
    uint32_t index;
};

enum action_kind { ACTION_SET, ACTION_REMOVE, ACTION_ADD, ACTION_DELETE };

struct action {
    enum action_kind kind;
    uint32_t path;  /* node */
    uint32_t value; /* node; not for REMOVE */
};

struct expr {
    enum expr_kind kind;
    uint64_t hash;
    struct bytes text;
    bool refused;
    struct expr_fault fault;
    uint32_t root; /* of a condition or key condition */
    const struct node *nodes;
    const struct step *steps;
    const uint32_t *lists; /* operands of IN; paths of a projection from 0 */
    const struct action *actions;
    size_t node_count;
    size_t step_count;
    size_t list_count;
    size_t action_count;
    struct expr *next; /* in its bucket */
};

/* A path with its names resolved. */
struct place {
    const struct step *steps;
    struct bytes names[ITEM_DEPTH_MAX + 1];
    size_t count;
};
#define PATH_STEPS_MAX (ITEM_DEPTH_MAX + 1) /* deeper paths name nothing that can exist */

const char *expr_kind_name(enum expr_kind kind);
bool is_reserved(struct bytes name);

/* ---- lex.c ---- */
enum token_type {
    TOKEN_END,
    TOKEN_NAME,
    TOKEN_KEYWORD, /* never a name, in any kind of expression */
    TOKEN_HASH,
    TOKEN_COLON,
    TOKEN_NUMBER,
    TOKEN_SIGN
};

struct token {
    enum token_type type;
    struct bytes text;
};

struct lexer {
    struct bytes text;
    struct token before, now, after;
    size_t at; /* behind `after` */
};

/* text is set, the rest zero: to the first token. */
void lexer_start(struct lexer *lexer);
void lexer_advance(struct lexer *lexer);
bool token_is_sign(const struct token *token, const char *sign);
bool token_is_word(const struct token *token, const char *word);

/* ---- parse.c ---- */
/* A program on the heap (a refused one carries its fault). NULL: memory. */
struct expr *expr_parse(enum expr_kind kind, struct bytes text);

/* ---- evaluate.c ---- */
/* Names resolved through the binding. False: undefined (checked before), or deeper than any item.
 */
bool place_resolve(const struct expr *expr, const struct expr_binding *binding,
                   const struct node *path, struct place *place);
/* The value at a place in an item. */
bool place_get(struct bytes item, const struct place *place, struct value *out);
bool binding_value(const struct expr_binding *binding, struct bytes token, struct value *out);
/* The name that "#n" stands for; a plain name stands for itself. */
bool binding_name(const struct expr_binding *binding, struct bytes token, struct bytes *out);
void expr_refuse(struct expr_fault *fault, bool enveloped, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "[a, [0], b]" */
void place_text(const struct place *place, char *out, size_t room);

/* ---- key.c ---- */
/* The form of a key condition. */
MUST_USE enum err key_check(const struct expr *expr, const struct expr_binding *binding,
                            struct arena *arena, struct expr_fault *fault);

/* ---- rewrite.c ---- */
/* Touched paths as a tree, to copy an item with changes, or to cut out only what is touched. */
struct touch {
    struct bytes name;
    uint32_t index;
    bool is_index;
    bool leaf;
    bool remove;         /* leaf: takes it out */
    struct value value;  /* leaf: sets it, unless remove */
    struct touch *first; /* children in order */
    struct touch *next;
};
/* Adds a path; NULL: memory. Overlaps were refused before, or (projections) the shorter path wins.
 */
struct touch *touch_add(struct touch *root, const struct place *place, struct arena *arena);
/* The item with the changes. ERR_NOMEM. */
MUST_USE enum err rewrite_item(struct bytes item, const struct touch *root, struct arena *arena,
                               struct bytes *out);
/* Only what is touched, list elements compacted. */
MUST_USE enum err cut_item(struct bytes item, const struct touch *root, struct arena *arena,
                           struct bytes *out);

#endif
