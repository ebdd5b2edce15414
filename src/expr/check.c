/* What can be said of a bound expression without an item: undefined names and values, operands by
 * number and type, equal operands, BETWEEN's bounds; then overlapping paths, the form of a key
 * condition, and key attributes where none may be. In DynamoDB's words and order (expr I4).
 *
 * A program's nodes stand in the order in which DynamoDB visits them, operands before their
 * operator, so one walk over them finds what it would find first. */
#include "expr/expr_priv.h"
#include "item/number.h"

#include <stdarg.h>
#include <stdio.h>

struct checking {
    const struct expr *expr;
    struct expr_binding *binding;
    struct arena *arena;
    struct expr_fault *fault;
};

static enum err refuse(const struct checking *checking, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static enum err check_value(const struct checking *checking, const struct node *node);
static enum err check_path(const struct checking *checking, const struct node *node);
static enum err check_operator(const struct checking *checking, const struct node *node);
static enum err check_operand(const struct checking *checking, const char *name, uint32_t at,
                              const char *allowed);
static enum err check_between(const struct checking *checking, const struct node *node);
static enum err check_in(const struct checking *checking, const struct node *node);
static enum err check_attribute_type(const struct checking *checking, const struct node *node);
static enum err check_distinct(const struct checking *checking, const char *name, uint32_t a,
                               uint32_t b);
static enum err check_add_operand(const struct checking *checking, const struct action *action);
static enum err check_overlaps(const struct checking *checking, size_t count,
                               uint32_t path_of(const struct expr *expr, size_t i));
static enum err check_overlap(const struct checking *checking, const struct node *one,
                              const struct node *two);
static uint32_t action_path(const struct expr *expr, size_t i);
static uint32_t projected_path(const struct expr *expr, size_t i);
static bool is_key_attribute(const struct key_schema *schema, struct bytes name);

static enum err refuse(const struct checking *checking, const char *format, ...)
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

enum err expr_check(const struct expr *expr, struct expr_binding *binding, struct arena *arena,
                    struct expr_fault *fault)
{
    const struct checking checking = {expr, binding, arena, fault};
    for (size_t i = 0; i < expr->node_count; i++) {
        const struct node *node = &expr->nodes[i];
        TRY(node->type == NODE_VALUE  ? check_value(&checking, node)
            : node->type == NODE_PATH ? check_path(&checking, node)
                                      : check_operator(&checking, node));
    }
    for (size_t i = 0; i < expr->action_count; i++) {
        TRY(check_add_operand(&checking, &expr->actions[i]));
    }
    return OK;
}

enum err expr_check_form(const struct expr *expr, struct expr_binding *binding, struct arena *arena,
                         struct expr_fault *fault)
{
    const struct checking checking = {expr, binding, arena, fault};
    switch (expr->kind) {
    case EXPR_UPDATE:
        return check_overlaps(&checking, expr->action_count, action_path);
    case EXPR_PROJECTION:
        return check_overlaps(&checking, expr->list_count, projected_path);
    case EXPR_KEY_CONDITION:
        return key_check(expr, binding, arena, fault);
    case EXPR_CONDITION:
    case EXPR_FILTER:
        break;
    }
    return OK;
}

/* Updates leave keys alone, and in a query keys are for the key condition. */
enum err expr_check_schema(const struct expr *expr, struct expr_binding *binding,
                           const struct key_schema *schema, struct expr_fault *fault)
{
    struct place place;
    for (size_t i = 0; i < expr->action_count; i++) {
        if (place_resolve(expr, binding, &expr->nodes[expr->actions[i].path], &place) &&
            is_key_attribute(schema, place.names[0])) {
            expr_refuse(fault, false,
                        "One or more parameter values were invalid: Cannot update attribute %.*s. "
                        "This attribute is part of the key",
                        BYTES_FMT(place.names[0]));
            return ERR_FAULT;
        }
    }
    for (size_t i = 0; expr->kind == EXPR_FILTER && i < expr->node_count; i++) {
        if (expr->nodes[i].type == NODE_PATH &&
            place_resolve(expr, binding, &expr->nodes[i], &place) &&
            is_key_attribute(schema, place.names[0])) {
            expr_refuse(fault, false,
                        "Filter Expression can only contain non-primary key attributes: Primary "
                        "key attribute: %.*s",
                        BYTES_FMT(place.names[0]));
            return ERR_FAULT;
        }
    }
    return OK;
}

/* ---- operands ---- */

static enum err check_value(const struct checking *checking, const struct node *node)
{
    struct value value;
    if (binding_value(checking->binding, node->text, &value)) {
        return OK;
    }
    return refuse(checking,
                  "An expression attribute value used in expression is not defined; attribute "
                  "value: %.*s",
                  BYTES_FMT(node->text));
}

static enum err check_path(const struct checking *checking, const struct node *node)
{
    if (node->count > ITEM_DEPTH_MAX) {
        return refuse(checking, "The document path has too many nesting levels; nesting levels: %u",
                      node->count);
    }
    for (uint32_t i = 0; i < node->count; i++) {
        struct bytes step = checking->expr->steps[node->a + i].name;
        struct bytes name;
        if (!binding_name(checking->binding, step, &name)) {
            return refuse(checking,
                          "An expression attribute name used in the document path is not defined; "
                          "attribute name: %.*s",
                          BYTES_FMT(step));
        }
    }
    return OK;
}

static bool literal(const struct checking *checking, uint32_t at, struct value *out)
{
    const struct node *node = &checking->expr->nodes[at];
    return node->type == NODE_VALUE && binding_value(checking->binding, node->text, out);
}

/* The type that an operand has whatever the item; NULL: that depends on the item. */
static const char *operand_type(const struct checking *checking, uint32_t at)
{
    struct value value;
    switch ((enum node_type)checking->expr->nodes[at].type) {
    case NODE_VALUE:
        return literal(checking, at, &value) ? value_type_name(value.tag) : NULL;
    case NODE_SIZE:
    case NODE_PLUS:
    case NODE_MINUS:
        return "N";
    case NODE_LIST_APPEND:
        return "L";
    default:
        return NULL;
    }
}

/* ---- operators ---- */

static enum err check_count(const struct checking *checking, const struct node *node,
                            unsigned wanted)
{
    if (node->count == wanted) {
        return OK;
    }
    return refuse(checking,
                  "Incorrect number of operands for operator or function; operator or function: "
                  "%.*s, number of operands: %u",
                  BYTES_FMT(node->text), node->count);
}

/* A function whose first operand names an attribute. */
static enum err check_needs_path(const struct checking *checking, const struct node *node)
{
    if (checking->expr->nodes[node->a].type == NODE_PATH) {
        return OK;
    }
    return refuse(checking,
                  "Operator or function requires a document path; operator or function: %.*s",
                  BYTES_FMT(node->text));
}

static enum err check_operator(const struct checking *checking, const struct node *node)
{
    static const char *const compares[] = {"=", "<>", "<", "<=", ">", ">="};
    static const char *const ordered = " S N B ";
    const char *name = node->type == NODE_PLUS ? "+" : "-";
    switch ((enum node_type)node->type) {
    case NODE_COMPARE:
        name = compares[node->op];
        if (node->op >= OP_LT) {
            TRY(check_operand(checking, name, node->a, ordered));
            TRY(check_operand(checking, name, node->b, ordered));
        }
        return check_distinct(checking, name, node->a, node->b);
    case NODE_BETWEEN:
        return check_between(checking, node);
    case NODE_IN:
        return check_in(checking, node);
    case NODE_EXISTS:
    case NODE_NOT_EXISTS:
        TRY(check_count(checking, node, 1));
        return check_needs_path(checking, node);
    case NODE_ATTRIBUTE_TYPE:
        TRY(check_count(checking, node, 2));
        TRY(check_distinct(checking, "attribute_type", node->a, node->b));
        return check_attribute_type(checking, node);
    case NODE_BEGINS_WITH:
        TRY(check_count(checking, node, 2));
        TRY(check_operand(checking, "begins_with", node->a, " S B "));
        TRY(check_operand(checking, "begins_with", node->b, " S B "));
        return check_distinct(checking, "begins_with", node->a, node->b);
    case NODE_CONTAINS:
        TRY(check_count(checking, node, 2));
        return check_distinct(checking, "contains", node->a, node->b);
    case NODE_SIZE:
        TRY(check_count(checking, node, 1));
        return check_operand(checking, "size", node->a, " S B SS NS BS L M ");
    case NODE_IF_NOT_EXISTS:
        TRY(check_count(checking, node, 2));
        TRY(check_distinct(checking, "if_not_exists", node->a, node->b));
        return check_needs_path(checking, node);
    case NODE_LIST_APPEND:
        TRY(check_count(checking, node, 2));
        TRY(check_operand(checking, "list_append", node->a, " L "));
        return check_operand(checking, "list_append", node->b, " L ");
    case NODE_PLUS:
    case NODE_MINUS:
        TRY(check_operand(checking, name, node->a, " N "));
        return check_operand(checking, name, node->b, " N ");
    case NODE_PATH:
    case NODE_VALUE:
    case NODE_AND:
    case NODE_OR:
    case NODE_NOT:
        return OK;
    }
    return OK;
}

/* allowed: type names, each between spaces. */
static enum err check_operand(const struct checking *checking, const char *name, uint32_t at,
                              const char *allowed)
{
    const char *type = operand_type(checking, at);
    char wanted[8];
    if (type == NULL) {
        return OK;
    }
    snprintf(wanted, sizeof(wanted), " %s ", type);
    if (strstr(allowed, wanted) != NULL) {
        return OK;
    }
    return refuse(checking,
                  "Incorrect operand type for operator or function; operator or function: %s, "
                  "operand type: %s",
                  name, type);
}

static enum err check_attribute_type(const struct checking *checking, const struct node *node)
{
    struct value value;
    char wanted[8];
    if (!literal(checking, node->b, &value)) {
        const char *type = operand_type(checking, node->b);
        return refuse(checking,
                      "Incorrect operand type for operator or function; operator or function: "
                      "attribute_type, operand type: %s",
                      type != NULL ? type : "{NS,SS,L,BS,N,M,B,BOOL,NULL,S}");
    }
    TRY(check_operand(checking, "attribute_type", node->b, " S "));
    int len = value.body.len < 5 ? (int)value.body.len : 5;
    snprintf(wanted, sizeof(wanted), " %.*s ", len, (const char *)value.body.ptr);
    if (len > 0 && len < 5 && strstr(" S N B SS NS BS L M NULL BOOL ", wanted) != NULL) {
        return OK;
    }
    return refuse(checking,
                  "Invalid attribute type name found; type: %.*s, valid types: "
                  "{B,NULL,SS,BOOL,L,BS,N,NS,S,M}",
                  (int)(value.body.len < 200 ? value.body.len : 200), value.body.ptr);
}

static enum err check_in(const struct checking *checking, const struct node *node)
{
    for (uint32_t i = 0; i < node->count; i++) {
        TRY(check_distinct(checking, "IN", node->a, checking->expr->lists[node->b + i]));
    }
    if (node->count > EXPR_IN_MAX) {
        return refuse(checking,
                      "The IN operator is provided with too many operands; number of operands: %u",
                      node->count);
    }
    return OK;
}

/* AttributeValue: {S:a}, as Java prints it. */
static void literal_text(struct value value, char *out, size_t room)
{
    struct buf text;
    buf_init(&text, 1024);
    if (value.tag == VALUE_N) {
        number_add_text(&text, value.body);
    } else if (value.tag == VALUE_B) {
        buf_printf(&text, "java.nio.HeapByteBuffer[pos=0 lim=%zu cap=%zu]", value.body.len,
                   value.body.len);
    } else {
        buf_add(&text, bytes_of(value.body.ptr, value.body.len < 300 ? value.body.len : 300));
    }
    snprintf(out, room, "AttributeValue: {%s:%.*s}", value_type_name(value.tag),
             BYTES_FMT(buf_bytes(&text)));
    buf_fini(&text);
}

static enum err check_between(const struct checking *checking, const struct node *node)
{
    const uint32_t operands[3] = {node->a, node->b, node->c};
    struct value low;
    struct value high;
    for (size_t i = 0; i < 3; i++) {
        TRY(check_operand(checking, "BETWEEN", operands[i], " S N B "));
    }
    TRY(check_distinct(checking, "BETWEEN", node->a, node->b));
    TRY(check_distinct(checking, "BETWEEN", node->a, node->c));
    if (!literal(checking, node->b, &low) || !literal(checking, node->c, &high)) {
        return OK;
    }
    bool same_type = low.tag == high.tag;
    if (same_type && value_compare(low, high) <= 0) {
        return OK;
    }
    char low_text[400];
    char high_text[400];
    literal_text(low, low_text, sizeof(low_text));
    literal_text(high, high_text, sizeof(high_text));
    return refuse(checking,
                  same_type ? "The BETWEEN operator requires upper bound to be greater than or "
                              "equal to lower bound; lower bound operand: %s, upper bound "
                              "operand: %s"
                            : "The BETWEEN operator requires same data type for lower and upper "
                              "bounds; lower bound operand: %s, upper bound operand: %s",
                  low_text, high_text);
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

static enum err check_distinct(const struct checking *checking, const char *name, uint32_t a,
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
    return refuse(checking,
                  "The first operand must be distinct from the remaining operands for this "
                  "operator or function; operator: %s, first operand: %s",
                  name, text);
}

/* ADD takes numbers and sets, DELETE sets. DynamoDB names the same set of types for both. */
static enum err check_add_operand(const struct checking *checking, const struct action *action)
{
    static const char *const names[] = {"?",    "STRING", "NUMBER", "Binary", "BOOL", "BOOL",
                                        "NULL", "LIST",   "MAP",    "SS",     "NS",   "BS"};
    struct value value;
    bool add = action->kind == ACTION_ADD;
    if ((!add && action->kind != ACTION_DELETE) || !literal(checking, action->value, &value) ||
        value.tag >= VALUE_SS || (add && value.tag == VALUE_N)) {
        return OK;
    }
    return refuse(checking,
                  "Incorrect operand type for operator or function; operator: %s, operand type: "
                  "%s, typeSet: ALLOWED_FOR_ADD_OPERAND",
                  add ? "ADD" : "DELETE", names[value.tag]);
}

/* ---- paths and keys ---- */

static uint32_t action_path(const struct expr *expr, size_t i)
{
    return expr->actions[i].path;
}

static uint32_t projected_path(const struct expr *expr, size_t i)
{
    return expr->lists[i];
}

/* Each path against those written before it. */
static enum err check_overlaps(const struct checking *checking, size_t count,
                               uint32_t path_of(const struct expr *expr, size_t i))
{
    const struct expr *expr = checking->expr;
    for (size_t i = 1; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            TRY(check_overlap(checking, &expr->nodes[path_of(expr, j)],
                              &expr->nodes[path_of(expr, i)]));
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
    return refuse(checking,
                  "Two document paths %s with each other; must remove or rewrite one of these "
                  "paths; path one: %s, path two: %s",
                  conflict ? "conflict" : "overlap", a_text, b_text);
}
