/* Conditions over an item, updates of an item and projections: functions of program, binding and
 * item only (expr I2, I6). */
#include "expr/expr_priv.h"
#include "item/number.h"

#include <stdio.h>

struct context {
    const struct expr *expr;
    const struct expr_binding *binding;
    struct bytes item;
    struct arena *arena;
    struct expr_fault *fault;
};

static bool test_node(const struct context *context, uint32_t at);
static bool operand(const struct context *context, uint32_t at, struct value *out);
static enum err compute(const struct context *context, uint32_t at, struct value *out);
static enum err refuse_bare(const struct context *context, const char *text);

#define TEXT_PATH "The document path provided in the update expression is invalid for update"
#define TEXT_TYPE "An operand in the update expression has an incorrect data type"
#define TEXT_MISSING                                                                               \
    "The provided expression refers to an attribute that does not exist in the item"
#define TEXT_DEPTH "Nesting Levels have exceeded supported limits"

/* ---- places ---- */

bool place_resolve(const struct expr *expr, const struct expr_binding *binding,
                   const struct node *path, struct place *place)
{
    place->steps = expr->steps + path->a;
    place->count = path->count;
    if (path->count > PATH_STEPS_MAX) {
        return false;
    }
    for (size_t i = 0; i < path->count; i++) {
        place->names[i] = BYTES_NONE;
        if (place->steps[i].name.len > 0 &&
            !binding_name(binding, place->steps[i].name, &place->names[i])) {
            return false;
        }
    }
    return true;
}

static bool list_at(struct bytes body, uint32_t index, struct value *out)
{
    struct cursor cursor = cursor_of(body);
    for (uint32_t i = 0; list_next(&cursor, out); i++) {
        if (i == index) {
            return true;
        }
    }
    return false;
}

static bool step_into(struct value value, const struct place *place, size_t i, struct value *out)
{
    bool index = place->steps[i].name.len == 0;
    if (index) {
        return value.tag == VALUE_L && list_at(value.body, place->steps[i].index, out);
    }
    return value.tag == VALUE_M && item_get(value.body, place->names[i], out);
}

bool place_get(struct bytes item, const struct place *place, struct value *out)
{
    struct value value = {.tag = VALUE_M, .body = item};
    for (size_t i = 0; i < place->count; i++) {
        struct value inner;
        if (!step_into(value, place, i, &inner)) {
            return false;
        }
        value = inner;
    }
    *out = value;
    return true;
}

void place_text(const struct place *place, char *out, size_t room)
{
    size_t len = (size_t)snprintf(out, room, "[");
    for (size_t i = 0; i < place->count && len < room; i++) {
        const char *comma = i == 0 ? "" : ", ";
        int added = place->steps[i].name.len == 0
                        ? snprintf(out + len, room - len, "%s[%u]", comma, place->steps[i].index)
                        : snprintf(out + len, room - len, "%s%.*s", comma,
                                   (int)(place->names[i].len < 255 ? place->names[i].len : 255),
                                   (const char *)place->names[i].ptr);
        len += added < 0 ? 0 : (size_t)added;
    }
    if (len < room) {
        snprintf(out + len, room - len, "]");
    }
}

/* ---- conditions ---- */

enum err expr_test(const struct expr *expr, const struct expr_binding *binding, struct bytes item,
                   struct arena *arena, bool *result, struct expr_fault *fault)
{
    const struct context context = {expr, binding, item, arena, fault};
    *result = test_node(&context, expr->root);
    return OK;
}

/* UTF-16 units, as Java counts. */
static size_t utf16_len(struct bytes text)
{
    size_t units = 0;
    for (size_t i = 0; i < text.len; i++) {
        units += (text.ptr[i] & 0xc0) != 0x80 ? 1 : 0;
        units += text.ptr[i] >= 0xf0 ? 1 : 0;
    }
    return units;
}

static bool size_of(const struct context *context, const struct node *node, struct value *out)
{
    struct value value;
    size_t size;
    if (!operand(context, node->a, &value)) {
        return false;
    }
    switch (value.tag) {
    case VALUE_S:
        size = utf16_len(value.body);
        break;
    case VALUE_B:
        size = value.body.len;
        break;
    case VALUE_L:
    case VALUE_M:
    case VALUE_SS:
    case VALUE_NS:
    case VALUE_BS:
        size = value_count(value);
        break;
    case VALUE_N:
    case VALUE_FALSE:
    case VALUE_TRUE:
    case VALUE_NULL:
    default:
        return false;
    }
    *out = value_of_i64(context->arena, (int64_t)size);
    return out->whole.ptr != NULL;
}

/* False: there is no such attribute. */
static bool operand(const struct context *context, uint32_t at, struct value *out)
{
    const struct node *node = &context->expr->nodes[at];
    struct place place;
    switch ((enum node_type)node->type) {
    case NODE_VALUE:
        return binding_value(context->binding, node->text, out);
    case NODE_PATH:
        return place_resolve(context->expr, context->binding, node, &place) &&
               place_get(context->item, &place, out);
    case NODE_SIZE:
        return size_of(context, node, out);
    default:
        return false;
    }
}

static bool compare(enum compare_op op, bool has_a, struct value a, bool has_b, struct value b)
{
    bool same_type = has_a && has_b && a.tag == b.tag;
    if (op == OP_EQ || op == OP_NE) {
        bool equal = has_a && has_b && value_equal(a, b);
        return op == OP_EQ ? equal : !equal;
    }
    if (!same_type || a.tag > VALUE_B) {
        return false;
    }
    int order = value_compare(a, b);
    return op == OP_LT   ? order < 0
           : op == OP_LE ? order <= 0
           : op == OP_GT ? order > 0
                         : order >= 0;
}

static bool contains(struct value whole, struct value part)
{
    struct cursor cursor = cursor_of(whole.body);
    struct bytes element;
    struct value inner;
    enum value_tag scalar = whole.tag == VALUE_SS   ? VALUE_S
                            : whole.tag == VALUE_NS ? VALUE_N
                                                    : VALUE_B;
    switch (whole.tag) {
    case VALUE_S:
    case VALUE_B:
        return whole.tag == part.tag &&
               (part.body.len == 0 ||
                (whole.body.len > 0 &&
                 memmem(whole.body.ptr, whole.body.len, part.body.ptr, part.body.len) != NULL));
    case VALUE_SS:
    case VALUE_NS:
    case VALUE_BS:
        while (part.tag == scalar && set_next(&cursor, &element)) {
            if (bytes_equal(element, part.body)) {
                return true;
            }
        }
        return false;
    case VALUE_L:
        while (list_next(&cursor, &inner)) {
            if (value_equal(inner, part)) {
                return true;
            }
        }
        return false;
    default:
        return false;
    }
}

static bool test_node(const struct context *context, uint32_t at)
{
    const struct node *node = &context->expr->nodes[at];
    struct value a = {0};
    struct value b = {0};
    struct value c = {0};
    bool has_a;
    switch ((enum node_type)node->type) {
    case NODE_AND:
        return test_node(context, node->a) && test_node(context, node->b);
    case NODE_OR:
        return test_node(context, node->a) || test_node(context, node->b);
    case NODE_NOT:
        return !test_node(context, node->a);
    case NODE_COMPARE: {
        has_a = operand(context, node->a, &a);
        bool has_b = operand(context, node->b, &b);
        return compare((enum compare_op)node->op, has_a, a, has_b, b);
    }
    case NODE_BETWEEN:
        return operand(context, node->a, &a) && operand(context, node->b, &b) &&
               operand(context, node->c, &c) && compare(OP_GE, true, a, true, b) &&
               compare(OP_LE, true, a, true, c);
    case NODE_IN:
        has_a = operand(context, node->a, &a);
        for (uint32_t i = 0; has_a && i < node->count; i++) {
            if (operand(context, context->expr->lists[node->b + i], &b) && value_equal(a, b)) {
                return true;
            }
        }
        return false;
    case NODE_EXISTS:
        return operand(context, node->a, &a);
    case NODE_NOT_EXISTS:
        return !operand(context, node->a, &a);
    case NODE_ATTRIBUTE_TYPE:
        return operand(context, node->a, &a) && operand(context, node->b, &b) && b.tag == VALUE_S &&
               bytes_equal(b.body, bytes_cstr(value_type_name(a.tag)));
    case NODE_BEGINS_WITH:
        return operand(context, node->a, &a) && operand(context, node->b, &b) && a.tag == b.tag &&
               (a.tag == VALUE_S || a.tag == VALUE_B) && bytes_start_with(a.body, b.body);
    case NODE_CONTAINS:
        return operand(context, node->a, &a) && operand(context, node->b, &b) && contains(a, b);
    default:
        return false;
    }
}

/* ---- updates ---- */

static enum err refuse_bare(const struct context *context, const char *text)
{
    expr_refuse(context->fault, false, "%s", text);
    return ERR_FAULT;
}

static struct value make_value(struct arena *arena, enum value_tag tag, struct bytes body)
{
    uint8_t *whole = arena_alloc(arena, 11 + body.len);
    size_t at = 0;
    if (whole == NULL) {
        return (struct value){0};
    }
    whole[at++] = (uint8_t)tag;
    size_t len = body.len;
    for (; len >= 0x80; len >>= 7) {
        whole[at++] = (uint8_t)(len | 0x80);
    }
    whole[at++] = (uint8_t)len;
    if (body.len > 0) {
        memcpy(whole + at, body.ptr, body.len);
    }
    return (struct value){tag, bytes_of(whole + at, body.len), bytes_of(whole, at + body.len)};
}

static enum err compute_sum(const struct context *context, struct value a, struct value b,
                            bool minus, struct value *out)
{
    uint8_t encoded[NUMBER_ENCODED_MAX];
    size_t len;
    char text[300];
    if (a.tag != VALUE_N || b.tag != VALUE_N) {
        return refuse_bare(context, TEXT_TYPE);
    }
    enum number_refusal refusal = minus ? number_subtract(a.body, b.body, encoded, &len)
                                        : number_add(a.body, b.body, encoded, &len);
    if (refusal != NUMBER_OK) {
        /* DynamoDB tells too long a sum as it tells too large a one. */
        number_refusal_text(refusal == NUMBER_TOO_PRECISE ? NUMBER_OVERFLOW : refusal, BYTES_NONE,
                            text, sizeof(text));
        return refuse_bare(context, text);
    }
    *out = make_value(context->arena, VALUE_N, bytes_of(encoded, len));
    return out->whole.ptr == NULL ? ERR_NOMEM : OK;
}

/* The value of a SET's right side. */
static enum err compute(const struct context *context, uint32_t at, struct value *out)
{
    const struct node *node = &context->expr->nodes[at];
    struct value a;
    struct value b;
    switch ((enum node_type)node->type) {
    case NODE_PATH:
    case NODE_VALUE:
        return operand(context, at, out) ? OK : refuse_bare(context, TEXT_MISSING);
    case NODE_IF_NOT_EXISTS:
        return operand(context, node->a, out) ? OK : compute(context, node->b, out);
    case NODE_PLUS:
    case NODE_MINUS:
        TRY(compute(context, node->a, &a));
        TRY(compute(context, node->b, &b));
        return compute_sum(context, a, b, node->type == NODE_MINUS, out);
    case NODE_LIST_APPEND: {
        TRY(compute(context, node->a, &a));
        TRY(compute(context, node->b, &b));
        if (a.tag != VALUE_L || b.tag != VALUE_L) {
            return refuse_bare(context, TEXT_TYPE);
        }
        uint8_t *both = arena_alloc(context->arena, a.body.len + b.body.len);
        if (both == NULL) {
            return ERR_NOMEM;
        }
        memcpy(both, a.body.ptr, a.body.len);
        memcpy(both + a.body.len, b.body.ptr, b.body.len);
        *out = make_value(context->arena, VALUE_L, bytes_of(both, a.body.len + b.body.len));
        return out->whole.ptr == NULL ? ERR_NOMEM : OK;
    }
    default:
        return refuse_bare(context, TEXT_TYPE);
    }
}

/* Union (ADD) or difference (DELETE) of two sets of one type; an empty difference has body.len 0.
 */
static enum err combine_sets(const struct context *context, struct value old, struct value change,
                             bool add, struct value *out)
{
    struct cursor left = cursor_of(old.body);
    struct cursor right = cursor_of(change.body);
    struct bytes a = BYTES_NONE;
    struct bytes b = BYTES_NONE;
    if (old.tag != change.tag) {
        return refuse_bare(context, TEXT_TYPE);
    }
    uint8_t *body = arena_alloc(context->arena, old.body.len + change.body.len);
    size_t len = 0;
    if (body == NULL) {
        return ERR_NOMEM;
    }
    const uint8_t *a_from = left.next;
    const uint8_t *b_from = right.next;
    bool has_a = set_next(&left, &a);
    bool has_b = set_next(&right, &b);
    while (has_a || has_b) {
        int order = !has_a ? 1 : !has_b ? -1 : bytes_compare(a, b);
        bool keep = add || order < 0;
        const uint8_t *from = order <= 0 ? a_from : b_from;
        const uint8_t *to = order <= 0 ? left.next : right.next;
        if (keep) {
            memcpy(body + len, from, (size_t)(to - from));
            len += (size_t)(to - from);
        }
        if (order <= 0) {
            a_from = left.next;
            has_a = set_next(&left, &a);
        }
        if (order >= 0) {
            b_from = right.next;
            has_b = set_next(&right, &b);
        }
    }
    *out = make_value(context->arena, old.tag, bytes_of(body, len));
    return out->whole.ptr == NULL ? ERR_NOMEM : OK;
}

/* A path's parent must be there and of the kind its last step needs. */
static bool has_parent(const struct context *context, const struct place *place,
                       bool *missing_index)
{
    struct value parent = {.tag = VALUE_M, .body = context->item};
    struct value last;
    for (size_t i = 0; i + 1 < place->count; i++) {
        struct value inner;
        if (!step_into(parent, place, i, &inner)) {
            return false;
        }
        parent = inner;
    }
    size_t i = place->count - 1;
    bool index = place->steps[i].name.len == 0;
    if (parent.tag != (index ? VALUE_L : VALUE_M)) {
        return false;
    }
    *missing_index = index && !step_into(parent, place, i, &last);
    return true;
}

static enum err apply_action(const struct context *context, const struct action *action,
                             struct touch *root, bool *astray)
{
    struct place place;
    struct value old;
    struct value result = {0};
    bool missing_index = false;
    if (!place_resolve(context->expr, context->binding, &context->expr->nodes[action->path],
                       &place)) {
        *astray = true;
        return OK;
    }
    bool exists = place_get(context->item, &place, &old);
    bool remove = action->kind == ACTION_REMOVE;
    if (action->kind == ACTION_SET) {
        TRY(compute(context, action->value, &result));
    }
    *astray |= !has_parent(context, &place, &missing_index);
    if (action->kind == ACTION_ADD || action->kind == ACTION_DELETE) {
        struct value change;
        if (!operand(context, action->value, &change)) {
            return refuse_bare(context, TEXT_MISSING);
        }
        bool add = action->kind == ACTION_ADD;
        if (add && !exists) {
            result = change;
        } else if (add && change.tag == VALUE_N) {
            TRY(compute_sum(context, old, change, false, &result));
        } else if (exists) {
            TRY(combine_sets(context, old, change, add, &result));
            remove = result.body.len == 0;
        } else {
            return OK; /* DELETE from what is not there */
        }
    }
    if (remove && (missing_index || !exists)) {
        return OK;
    }
    struct touch *leaf = touch_add(root, &place, context->arena);
    if (leaf == NULL) {
        return ERR_NOMEM;
    }
    leaf->leaf = true;
    leaf->remove = remove;
    leaf->value = result;
    return OK;
}

/* All touched paths, for the UPDATED_ fragments. */
static enum err touch_all(const struct context *context, struct touch *root)
{
    for (size_t i = 0; i < context->expr->action_count; i++) {
        struct place place;
        if (place_resolve(context->expr, context->binding,
                          &context->expr->nodes[context->expr->actions[i].path], &place)) {
            struct touch *leaf = touch_add(root, &place, context->arena);
            if (leaf == NULL) {
                return ERR_NOMEM;
            }
            leaf->leaf = true;
        }
    }
    return OK;
}

enum err expr_update(const struct expr *expr, const struct expr_binding *binding, struct bytes old,
                     bool existed, struct arena *arena, struct expr_update_result *result,
                     struct expr_fault *fault)
{
    const struct context context = {expr, binding, old, arena, fault};
    struct touch root = {0};
    struct touch fragments = {0};
    bool astray = false; /* told after what is wrong with a value, wherever that stands */
    *result = (struct expr_update_result){0};
    for (size_t i = 0; i < expr->action_count; i++) {
        TRY(apply_action(&context, &expr->actions[i], &root, &astray));
    }
    if (astray) {
        return refuse_bare(&context, TEXT_PATH);
    }
    TRY(rewrite_item(old, &root, arena, &result->item));
    if (item_wraps(result->item) > ITEM_WRAPS_MAX) {
        return refuse_bare(&context, TEXT_DEPTH);
    }
    TRY(touch_all(&context, &fragments));
    if (existed) {
        TRY(cut_item(old, &fragments, arena, &result->updated_old));
    }
    return cut_item(result->item, &fragments, arena, &result->updated_new);
}

bool expr_update_adds(const struct expr *expr)
{
    bool adds = false;
    for (size_t i = 0; i < expr->action_count; i++) {
        enum action_kind kind = expr->actions[i].kind;
        adds |= kind == ACTION_SET || kind == ACTION_ADD;
    }
    return adds;
}

/* ---- the charge of an update ---- */

static size_t step_size(const struct place *place, size_t i)
{
    if (place->steps[i].name.len > 0) {
        return place->names[i].len;
    }
    size_t digits = 1;
    for (uint32_t index = place->steps[i].index; index >= 10; index /= 10) {
        digits++;
    }
    return digits;
}

static size_t charge_of(const struct expr *expr, const struct expr_binding *binding, uint32_t at)
{
    const struct node *node = &expr->nodes[at];
    struct value value;
    struct place place;
    size_t charge = 1;
    switch ((enum node_type)node->type) {
    case NODE_VALUE:
        return binding_value(binding, node->text, &value) ? value_size(value) : 0;
    case NODE_PATH:
        for (size_t i = 0; place_resolve(expr, binding, node, &place) && i < place.count; i++) {
            charge += 14 + step_size(&place, i);
        }
        return charge;
    case NODE_PLUS:
        return 34 + charge_of(expr, binding, node->a) + charge_of(expr, binding, node->b);
    case NODE_MINUS:
    case NODE_LIST_APPEND:
        return 37 + charge_of(expr, binding, node->a) + charge_of(expr, binding, node->b);
    case NODE_IF_NOT_EXISTS:
        return 39 + charge_of(expr, binding, node->a) + charge_of(expr, binding, node->b);
    default:
        return 0;
    }
}

size_t expr_update_charge(const struct expr *expr, const struct expr_binding *binding)
{
    size_t charge = 3;
    for (size_t i = 0; i < expr->action_count; i++) {
        const struct action *action = &expr->actions[i];
        struct place place;
        bool valued = action->kind == ACTION_SET || action->kind == ACTION_ADD;
        charge += valued ? 19 : 1;
        for (size_t j = 0;
             place_resolve(expr, binding, &expr->nodes[action->path], &place) && j < place.count;
             j++) {
            charge += (j == 0 ? 0 : 4) + step_size(&place, j);
        }
        charge += valued ? charge_of(expr, binding, action->value) : 0;
    }
    return charge;
}

/* ---- projections ---- */

enum err expr_project(const struct expr *expr, const struct expr_binding *binding,
                      struct bytes item, struct arena *arena, struct bytes *projected,
                      struct expr_fault *fault)
{
    struct touch root = {0};
    (void)fault;
    for (size_t i = 0; i < expr->list_count; i++) {
        struct place place;
        if (place_resolve(expr, binding, &expr->nodes[expr->lists[i]], &place)) {
            struct touch *leaf = touch_add(&root, &place, arena);
            if (leaf == NULL) {
                return ERR_NOMEM;
            }
            leaf->leaf = true;
        }
    }
    return cut_item(item, &root, arena, projected);
}
