/* What can be said of an expression before any item is read: undefined names and values, literal
 * operands of wrong types, equal operands, BETWEEN's bounds, overlapping paths, key attributes in
 * an update. In DynamoDB's words. */
#include "expr/expr_priv.h"
#include "item/number.h"

#include <stdio.h>

struct checking {
    const struct expr *expr;
    struct expr_binding *binding;
    struct arena *arena;
    struct expr_fault *fault;
};

#define REFUSE(checking, ...) refuse_with_kind(checking, __VA_ARGS__)
static enum err refuse_with_kind(const struct checking *checking, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static enum err check_tokens(const struct checking *checking);
static enum err check_node(const struct checking *checking, const struct node *node);
static enum err check_literal(const struct checking *checking, uint32_t at, const char *operator,
                              const char * allowed);
static enum err check_between(const struct checking *checking, const struct node *node);
static enum err check_distinct(const struct checking *checking, const char *operator, uint32_t a,
                               uint32_t b);
static enum err check_update(const struct checking *checking, const struct key_schema *schema);
static enum err check_filter(const struct checking *checking, const struct key_schema *schema);
static bool is_key_attribute(const struct key_schema *schema, struct bytes name);
static enum err check_overlap(const struct checking *checking, const struct node *one,
                              const struct node *two);

#include <stdarg.h>

static enum err refuse_with_kind(const struct checking *checking, const char *format, ...)
{
    va_list list;
    char text[900];
    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    expr_refuse(checking->fault, true, "Invalid %s: %s", expr_kind_name(checking->expr->kind),
                text);
    return ERR_FAULT;
}

enum err expr_check(const struct expr *expr, struct expr_binding *binding,
                    const struct key_schema *schema, struct arena *arena, struct expr_fault *fault)
{
    const struct checking checking = {expr, binding, arena, fault};
    TRY(check_tokens(&checking));
    for (size_t i = 0; i < expr->node_count; i++) {
        TRY(check_node(&checking, &expr->nodes[i]));
    }
    if (expr->kind == EXPR_UPDATE) {
        return check_update(&checking, schema);
    }
    if (expr->kind == EXPR_FILTER && schema != NULL) {
        return check_filter(&checking, schema);
    }
    for (size_t i = 0; expr->kind == EXPR_PROJECTION && i < expr->list_count; i++) {
        for (size_t j = i + 1; j < expr->list_count; j++) {
            TRY(check_overlap(&checking, &expr->nodes[expr->lists[i]],
                              &expr->nodes[expr->lists[j]]));
        }
    }
    return OK;
}

/* Every #name and :value, in the order of the text. */
static enum err check_tokens(const struct checking *checking)
{
    const struct expr *expr = checking->expr;
    for (size_t i = 0; i < expr->node_count; i++) {
        const struct node *node = &expr->nodes[i];
        struct value value;
        struct bytes name;
        if (node->type == NODE_VALUE && !binding_value(checking->binding, node->text, &value)) {
            return REFUSE(checking,
                          "An expression attribute value used in expression is not defined; "
                          "attribute value: %.*s",
                          BYTES_FMT(node->text));
        }
        for (uint32_t j = 0; node->type == NODE_PATH && j < node->count; j++) {
            struct bytes step = expr->steps[node->a + j].name;
            if (!binding_name(checking->binding, step, &name)) {
                return REFUSE(checking,
                              "An expression attribute name used in the document path is not "
                              "defined; attribute name: %.*s",
                              BYTES_FMT(step));
            }
        }
    }
    return OK;
}

static bool literal(const struct checking *checking, uint32_t at, struct value *out)
{
    const struct node *node = &checking->expr->nodes[at];
    return node->type == NODE_VALUE && binding_value(checking->binding, node->text, out);
}

/* allowed: type names, each between spaces. */
static enum err check_literal(const struct checking *checking, uint32_t at, const char *operator,
                              const char * allowed)
{
    struct value value;
    char wanted[8];
    if (!literal(checking, at, &value)) {
        return OK;
    }
    snprintf(wanted, sizeof(wanted), " %s ", value_type_name(value.tag));
    if (strstr(allowed, wanted) != NULL) {
        return OK;
    }
    return REFUSE(checking,
                  "Incorrect operand type for operator or function; operator or function: %s, "
                  "operand type: %s",
                  operator, value_type_name(value.tag));
}

static enum err check_node(const struct checking *checking, const struct node *node)
{
    static const char *const compares[] = {"=", "<>", "<", "<=", ">", ">="};
    struct value value;
    switch ((enum node_type)node->type) {
    case NODE_COMPARE:
        if (node->op >= OP_LT) {
            TRY(check_literal(checking, node->a, compares[node->op], " S N B "));
            TRY(check_literal(checking, node->b, compares[node->op], " S N B "));
        }
        return check_distinct(checking, compares[node->op], node->a, node->b);
    case NODE_BETWEEN:
        TRY(check_literal(checking, node->a, "BETWEEN", " S N B "));
        return check_between(checking, node);
    case NODE_BEGINS_WITH:
        TRY(check_literal(checking, node->a, "begins_with", " S B "));
        TRY(check_literal(checking, node->b, "begins_with", " S B "));
        return check_distinct(checking, "begins_with", node->a, node->b);
    case NODE_CONTAINS:
        TRY(check_literal(checking, node->a, "contains", " S B SS NS BS L "));
        return check_distinct(checking, "contains", node->a, node->b);
    case NODE_ATTRIBUTE_TYPE:
        TRY(check_literal(checking, node->b, "attribute_type", " S "));
        if (literal(checking, node->b, &value)) {
            char wanted[8];
            snprintf(wanted, sizeof(wanted), " %.*s ", value.body.len < 5 ? (int)value.body.len : 5,
                     (const char *)value.body.ptr);
            if (value.body.len > 4 || value.body.len == 0 ||
                strstr(" S N B SS NS BS L M NULL BOOL ", wanted) == NULL) {
                return REFUSE(checking,
                              "Invalid attribute type name found; type: %.*s, valid types: "
                              "{B,NULL,SS,BOOL,L,BS,N,NS,S,M}",
                              (int)(value.body.len < 200 ? value.body.len : 200), value.body.ptr);
            }
        }
        return OK;
    case NODE_SIZE:
        return check_literal(checking, node->a, "size", " S B SS NS BS L M ");
    case NODE_PLUS:
    case NODE_MINUS:
        TRY(check_literal(checking, node->a, node->type == NODE_PLUS ? "+" : "-", " N "));
        return check_literal(checking, node->b, node->type == NODE_PLUS ? "+" : "-", " N ");
    case NODE_LIST_APPEND:
        TRY(check_literal(checking, node->a, "list_append", " L "));
        return check_literal(checking, node->b, "list_append", " L ");
    case NODE_IN:
    case NODE_PATH:
    case NODE_VALUE:
    case NODE_IF_NOT_EXISTS:
    case NODE_AND:
    case NODE_OR:
    case NODE_NOT:
    case NODE_EXISTS:
    case NODE_NOT_EXISTS:
        return OK;
    }
    return OK;
}

/* AttributeValue: {S:a}, as Java prints it. */
static void literal_text(struct value value, struct arena *arena, char *out, size_t room)
{
    struct buf text;
    (void)arena;
    buf_init(&text, 4096);
    if (value.tag == VALUE_N) {
        number_add_text(&text, value.body);
    } else {
        buf_add(&text, bytes_of(value.body.ptr, value.body.len < 300 ? value.body.len : 300));
    }
    snprintf(out, room, "AttributeValue: {%s:%.*s}", value_type_name(value.tag),
             BYTES_FMT(buf_bytes(&text)));
    buf_fini(&text);
}

static enum err check_between(const struct checking *checking, const struct node *node)
{
    struct value low;
    struct value high;
    char low_text[400];
    char high_text[400];
    TRY(check_literal(checking, node->b, "BETWEEN", " S N B "));
    TRY(check_literal(checking, node->c, "BETWEEN", " S N B "));
    if (!literal(checking, node->b, &low) || !literal(checking, node->c, &high)) {
        return OK;
    }
    literal_text(low, checking->arena, low_text, sizeof(low_text));
    literal_text(high, checking->arena, high_text, sizeof(high_text));
    if (low.tag != high.tag) {
        return REFUSE(checking,
                      "The BETWEEN operator requires same data type for lower and upper bounds; "
                      "lower bound operand: %s, upper bound operand: %s",
                      low_text, high_text);
    }
    if (value_compare(low, high) > 0) {
        return REFUSE(checking,
                      "The BETWEEN operator requires upper bound to be greater than or equal to "
                      "lower bound; lower bound operand: %s, upper bound "
                      "operand: %s",
                      low_text, high_text);
    }
    return OK;
}

static bool same_place(const struct checking *checking, const struct node *one,
                       const struct node *two, struct place *place)
{
    struct place other;
    if (one->count != two->count || !place_resolve(checking->expr, checking->binding, one, place) ||
        !place_resolve(checking->expr, checking->binding, two, &other)) {
        return false;
    }
    for (size_t i = 0; i < place->count; i++) {
        if (!bytes_equal(place->names[i], other.names[i]) ||
            place->steps[i].index != other.steps[i].index) {
            return false;
        }
    }
    return true;
}

static enum err check_distinct(const struct checking *checking, const char *operator, uint32_t a,
                               uint32_t b)
{
    const struct node *one = &checking->expr->nodes[a];
    const struct node *two = &checking->expr->nodes[b];
    struct place place;
    char text[400];
    if (one->type != NODE_PATH || two->type != NODE_PATH ||
        !same_place(checking, one, two, &place)) {
        return OK;
    }
    place_text(&place, text, sizeof(text));
    return REFUSE(checking,
                  "The first operand must be distinct from the remaining operands for this "
                  "operator or function; operator: %s, first operand: %s",
                  operator, text);
}

/* ---- updates ---- */

static enum err check_add_operand(const struct checking *checking, const struct action *action)
{
    static const char *const names[] = {"?",    "STRING", "NUMBER", "Binary", "BOOL", "BOOL",
                                        "NULL", "LIST",   "MAP",    "SS",     "NS",   "BS"};
    struct value value;
    if (!literal(checking, action->value, &value)) {
        return OK;
    }
    bool set = value.tag >= VALUE_SS;
    if (set || (action->kind == ACTION_ADD && value.tag == VALUE_N)) {
        return OK;
    }
    return REFUSE(checking,
                  "Incorrect operand type for operator or function; operator: %s, operand type: "
                  "%s, typeSet: ALLOWED_FOR_%s_OPERAND",
                  action->kind == ACTION_ADD ? "ADD" : "DELETE", names[value.tag],
                  action->kind == ACTION_ADD ? "ADD" : "DELETE");
}

static enum err check_update(const struct checking *checking, const struct key_schema *schema)
{
    const struct expr *expr = checking->expr;
    for (size_t i = 0; i < expr->action_count; i++) {
        if (expr->actions[i].kind == ACTION_ADD || expr->actions[i].kind == ACTION_DELETE) {
            TRY(check_add_operand(checking, &expr->actions[i]));
        }
    }
    for (size_t i = 0; i < expr->action_count; i++) {
        for (size_t j = i + 1; j < expr->action_count; j++) {
            TRY(check_overlap(checking, &expr->nodes[expr->actions[i].path],
                              &expr->nodes[expr->actions[j].path]));
        }
    }
    for (size_t i = 0; schema != NULL && i < expr->action_count; i++) {
        struct place place;
        if (!place_resolve(expr, checking->binding, &expr->nodes[expr->actions[i].path], &place)) {
            continue;
        }
        if (is_key_attribute(schema, place.names[0])) {
            expr_refuse(checking->fault, false,
                        "One or more parameter values were invalid: Cannot update attribute %.*s. "
                        "This attribute is part of the key",
                        BYTES_FMT(place.names[0]));
            return ERR_FAULT;
        }
    }
    return OK;
}

/* Keys are for the key condition. */
static enum err check_filter(const struct checking *checking, const struct key_schema *schema)
{
    const struct expr *expr = checking->expr;
    for (size_t i = 0; i < expr->node_count; i++) {
        struct place place;
        if (expr->nodes[i].type == NODE_PATH &&
            place_resolve(expr, checking->binding, &expr->nodes[i], &place) &&
            is_key_attribute(schema, place.names[0])) {
            expr_refuse(checking->fault, false,
                        "Filter Expression can only contain non-primary key attributes: Primary "
                        "key attribute: %.*s",
                        BYTES_FMT(place.names[0]));
            return ERR_FAULT;
        }
    }
    return OK;
}

static bool is_key_attribute(const struct key_schema *schema, struct bytes name)
{
    return bytes_equal(name, schema->partition.name) ||
           (key_schema_has_sort(schema) && bytes_equal(name, schema->sort.name));
}

static enum err check_overlap(const struct checking *checking, const struct node *one,
                              const struct node *two)
{
    struct place a;
    struct place b;
    char a_text[400];
    char b_text[400];
    if (!place_resolve(checking->expr, checking->binding, one, &a) ||
        !place_resolve(checking->expr, checking->binding, two, &b)) {
        return OK;
    }
    size_t least = a.count < b.count ? a.count : b.count;
    size_t same = 0;
    bool conflict = false;
    while (same < least && !conflict) {
        bool a_index = a.steps[same].name.len == 0;
        bool b_index = b.steps[same].name.len == 0;
        conflict = a_index != b_index;
        if (conflict || !bytes_equal(a.names[same], b.names[same]) ||
            (a_index && a.steps[same].index != b.steps[same].index)) {
            break;
        }
        same++;
    }
    if (same < least && !conflict) {
        return OK;
    }
    place_text(&a, a_text, sizeof(a_text));
    place_text(&b, b_text, sizeof(b_text));
    return REFUSE(checking,
                  "Two document paths %s with each other; must remove or rewrite one of these "
                  "paths; path one: %s, path two: %s",
                  conflict ? "conflict" : "overlap", a_text, b_text);
}
