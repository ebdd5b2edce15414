/* Key conditions: first their form, which needs no table, then the range of keys they mean in one.
 * Every condition names one attribute, with a value on its other side; conditions are joined by
 * AND. */
#include "base/hash.h"
#include "expr/expr_priv.h"

/* The condition on one attribute. */
struct key_part {
    struct key_part *next;
    struct bytes name;
    uint8_t type; /* NODE_COMPARE, NODE_BETWEEN, NODE_BEGINS_WITH */
    uint8_t op;
    struct value low;
    struct value high;
};

struct key_parts {
    const struct expr *expr;
    const struct expr_binding *binding;
    struct arena *arena;
    struct expr_fault *fault;
    struct key_part *first; /* as written */
    struct key_part **end;
    size_t count;
};

static enum err walk(struct key_parts *parts, uint32_t at);
static enum err take(struct key_parts *parts, const struct node *node);
static enum err refuse(const struct key_parts *parts, const char *text, const char *detail);
static const char *refused_operator(const struct node *node);
static enum err check_types(const struct key_parts *parts, const struct key_schema *schema);
static enum err check_schema(const struct key_parts *parts, const struct key_schema *schema,
                             const struct key_part **partition, const struct key_part **sort);
static enum err check_empty(const struct key_parts *parts, const struct key_attribute *attribute,
                            struct value value);
static enum err check_size(const struct key_parts *parts, struct bytes partition);
static enum err check_sort_size(const struct key_parts *parts, const struct key_part *part);
static void set_sort(struct key_range *range, const struct key_part *part);

static void parts_init(struct key_parts *parts, const struct expr *expr,
                       const struct expr_binding *binding, struct arena *arena,
                       struct expr_fault *fault)
{
    *parts = (struct key_parts){
        .expr = expr, .binding = binding, .arena = arena, .fault = fault, .end = &parts->first};
}

enum err key_check(const struct expr *expr, const struct expr_binding *binding, struct arena *arena,
                   struct expr_fault *fault)
{
    struct key_parts parts;
    parts_init(&parts, expr, binding, arena, fault);
    return walk(&parts, expr->root);
}

enum err expr_key_range(const struct expr *expr, const struct expr_binding *binding,
                        const struct key_schema *schema, struct arena *arena,
                        struct key_range *range, struct expr_fault *fault)
{
    struct key_parts parts;
    const struct key_part *partition = NULL;
    const struct key_part *sort = NULL;
    parts_init(&parts, expr, binding, arena, fault);
    *range = (struct key_range){0};
    TRY(walk(&parts, expr->root));
    TRY(check_types(&parts, schema));
    TRY(check_schema(&parts, schema, &partition, &sort));
    TRY(check_empty(&parts, &schema->partition, partition->low));
    TRY(check_size(&parts, partition->low.body));
    range->partition = partition->low.body;
    range->hash = hash_key(range->partition);
    if (sort != NULL) {
        TRY(check_empty(&parts, &schema->sort, sort->low));
        TRY(check_sort_size(&parts, sort));
        set_sort(range, sort);
    }
    return OK;
}

/* ---- form ---- */

static enum err refuse(const struct key_parts *parts, const char *text, const char *detail)
{
    expr_refuse(parts->fault, false, "%s%s", text, detail);
    return ERR_FAULT;
}

static enum err walk(struct key_parts *parts, uint32_t at)
{
    const struct node *node = &parts->expr->nodes[at];
    if (node->type == NODE_AND) {
        TRY(walk(parts, node->a));
        return walk(parts, node->b);
    }
    const char *name = refused_operator(node);
    return name == NULL ? take(parts, node)
                        : refuse(parts, "Invalid operator used in KeyConditionExpression: ", name);
}

/* NULL: it may be in a key condition. */
static const char *refused_operator(const struct node *node)
{
    switch ((enum node_type)node->type) {
    case NODE_COMPARE:
        return node->op == OP_NE ? "<>" : NULL;
    case NODE_BETWEEN:
    case NODE_BEGINS_WITH:
        return NULL;
    case NODE_OR:
        return "OR";
    case NODE_NOT:
        return "NOT";
    case NODE_IN:
        return "IN";
    case NODE_EXISTS:
        return "attribute_exists";
    case NODE_NOT_EXISTS:
        return "attribute_not_exists";
    case NODE_ATTRIBUTE_TYPE:
        return "attribute_type";
    case NODE_CONTAINS:
        return "contains";
    case NODE_AND:
    case NODE_PATH:
    case NODE_VALUE:
    case NODE_SIZE:
    case NODE_IF_NOT_EXISTS:
    case NODE_LIST_APPEND:
    case NODE_PLUS:
    case NODE_MINUS:
        break; /* no conditions: the parser lets none of them stand alone */
    }
    return NULL;
}

/* One operand of a condition: the attribute's name, or a value. */
static enum err take_operand(struct key_parts *parts, const struct node *node, uint32_t at,
                             struct key_part *part, size_t *values)
{
    const struct node *operand = &parts->expr->nodes[at];
    struct place place;
    struct value value = {0};
    if (operand->type == NODE_PATH) {
        if (part->name.ptr != NULL) {
            return refuse(parts, "Invalid condition in KeyConditionExpression: ",
                          "Multiple attribute names used in one condition");
        }
        if (operand->count != 1 || !place_resolve(parts->expr, parts->binding, operand, &place)) {
            return refuse(
                parts, "KeyConditionExpressions cannot have conditions on nested attributes", "");
        }
        part->name = place.names[0];
        return OK;
    }
    if (operand->type != NODE_VALUE) {
        return refuse(parts, "KeyConditionExpressions cannot contain nested operations", "");
    }
    if (part->name.ptr == NULL && node->type != NODE_COMPARE) {
        return refuse(parts,
                      node->type == NODE_BETWEEN
                          ? "Invalid condition in KeyConditionExpression: BETWEEN"
                          : "Invalid condition in KeyConditionExpression: begins_with",
                      " operator must have the key attribute as its first operand");
    }
    (void)binding_value(parts->binding, operand->text, &value);
    *(*values == 0 ? &part->low : &part->high) = value;
    (*values)++;
    return OK;
}

static enum err take(struct key_parts *parts, const struct node *node)
{
    static const uint8_t turned[] = {[OP_EQ] = OP_EQ, [OP_NE] = OP_NE, [OP_LT] = OP_GT,
                                     [OP_LE] = OP_GE, [OP_GT] = OP_LT, [OP_GE] = OP_LE};
    const uint32_t operands[3] = {node->a, node->b, node->c};
    size_t count = node->type == NODE_BETWEEN ? 3 : 2;
    size_t values = 0;
    struct key_part *part = arena_zalloc(parts->arena, sizeof(*part));
    if (part == NULL) {
        return ERR_NOMEM;
    }
    part->type = node->type;
    part->op = node->op;
    for (size_t i = 0; i < count; i++) {
        TRY(take_operand(parts, node, operands[i], part, &values));
    }
    if (part->name.ptr == NULL) {
        return refuse(
            parts, "Invalid condition in KeyConditionExpression: ", "No key attribute specified");
    }
    if (node->type == NODE_COMPARE && parts->expr->nodes[node->a].type == NODE_VALUE) {
        part->op = turned[node->op]; /* the value stands left */
    }
    for (const struct key_part *other = parts->first; other != NULL; other = other->next) {
        if (bytes_equal(other->name, part->name)) {
            return refuse(parts, "KeyConditionExpressions must only contain one condition per key",
                          "");
        }
    }
    *parts->end = part;
    parts->end = &part->next;
    parts->count++;
    return OK;
}

/* ---- against a schema ---- */

static enum err check_types(const struct key_parts *parts, const struct key_schema *schema)
{
    for (const struct key_part *part = parts->first; part != NULL; part = part->next) {
        const struct key_attribute *attribute =
            bytes_equal(part->name, schema->partition.name) ? &schema->partition
            : key_schema_has_sort(schema) && bytes_equal(part->name, schema->sort.name)
                ? &schema->sort
                : NULL;
        if (attribute != NULL && (part->low.tag != attribute->tag ||
                                  (part->high.tag != 0 && part->high.tag != attribute->tag))) {
            return refuse(parts, "One or more parameter values were invalid: ",
                          "Condition parameter type does not match schema type");
        }
    }
    return OK;
}

static enum err refuse_missing(const struct key_parts *parts, struct bytes name)
{
    expr_refuse(parts->fault, false, "Query condition missed key schema element: %.*s",
                BYTES_FMT(name));
    return ERR_FAULT;
}

static enum err check_schema(const struct key_parts *parts, const struct key_schema *schema,
                             const struct key_part **partition, const struct key_part **sort)
{
    size_t keys = key_schema_has_sort(schema) ? 2 : 1;
    if (parts->count > keys) {
        expr_refuse(parts->fault, false,
                    "The number of query conditions (%zu) exceeds the number of key attributes "
                    "defined in the schema (%zu)",
                    parts->count, keys);
        return ERR_FAULT;
    }
    for (const struct key_part *part = parts->first; part != NULL; part = part->next) {
        if (bytes_equal(part->name, schema->partition.name)) {
            *partition = part;
        } else if (keys == 2 && bytes_equal(part->name, schema->sort.name)) {
            *sort = part;
        }
    }
    if (*partition == NULL) {
        return refuse_missing(parts, schema->partition.name);
    }
    if (parts->count == 2 && *sort == NULL) {
        return refuse_missing(parts, schema->sort.name);
    }
    if ((*partition)->type != NODE_COMPARE || (*partition)->op != OP_EQ) {
        return refuse(parts, "Query key condition not supported", "");
    }
    return OK;
}

static enum err check_empty(const struct key_parts *parts, const struct key_attribute *attribute,
                            struct value value)
{
    if (value.tag == VALUE_N || value.body.len > 0) {
        return OK;
    }
    expr_refuse(parts->fault, false,
                "One or more parameter values are not valid. The AttributeValue for a key "
                "attribute cannot contain an empty %s value. Key: %.*s",
                value.tag == VALUE_S ? "string" : "binary", BYTES_FMT(attribute->name));
    return ERR_FAULT;
}

static enum err check_size(const struct key_parts *parts, struct bytes partition)
{
    return partition.len <= ITEM_PARTITION_KEY_MAX
               ? OK
               : refuse(parts, ITEM_PARTITION_KEY_TOO_LARGE, "");
}

/* DynamoDB Local refuses what no sort key can be. */
static enum err check_sort_size(const struct key_parts *parts, const struct key_part *part)
{
    const struct value *larger =
        part->type == NODE_BETWEEN && part->high.body.len > part->low.body.len ? &part->high
                                                                               : &part->low;
    if (larger->tag == VALUE_N || larger->body.len <= ITEM_SORT_KEY_MAX) {
        return OK;
    }
    expr_refuse(parts->fault, false,
                "One or more parameter values were invalid: Aggregated size of all range keys has "
                "exceeded the size limit of %u bytes",
                ITEM_SORT_KEY_MAX);
    return ERR_FAULT;
}

static void set_sort(struct key_range *range, const struct key_part *part)
{
    bool between = part->type == NODE_BETWEEN;
    enum compare_op op = (enum compare_op)part->op;
    if (part->type == NODE_BEGINS_WITH) {
        range->prefix = part->low.body;
        return;
    }
    range->has_low = between || op == OP_EQ || op == OP_GT || op == OP_GE;
    range->low_inclusive = between || op != OP_GT;
    range->low = part->low.body;
    range->has_high = between || op == OP_EQ || op == OP_LT || op == OP_LE;
    range->high_inclusive = between || op != OP_LT;
    range->high = between ? part->high.body : part->low.body;
}
