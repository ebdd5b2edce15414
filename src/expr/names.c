/* The attributes that an expression names, by their top-level names. */
#include "expr/expr_priv.h"

bool expr_attributes(const struct expr *expr, const struct expr_binding *binding,
                     expr_visit_name *visit, void *arg)
{
    for (size_t i = 0; i < expr->node_count; i++) {
        struct bytes name;
        if (expr->nodes[i].type == NODE_PATH &&
            (!binding_name(binding, expr->steps[expr->nodes[i].a].name, &name) ||
             !visit(arg, name))) {
            return false;
        }
    }
    return true;
}
