/* What a call is about, in the words of policies: action, resource, leading keys, attributes. Found
 * from the decoded input, so that a policy and the operation cannot read a request differently, and
 * only as far as the policy asks. What cannot be found out is unknown, and helps nobody (policy
 * I3). */
#include "server/authorise.h"

#include "base/base64.h"
#include "base/cursor.h"
#include "expr/expr.h"
#include "item/number.h"

#include <stdio.h>

/* One access that is asked for. */
struct asking {
    struct loop_state *state;
    const struct managed_key *key;
    struct arena *arena;
    struct fault *fault;
};

/* Values under collection; after a failure they are unknown. */
struct names {
    struct arena *arena;
    struct bytes *list;
    size_t count;
    size_t room;
};

static bool ask_access(void *arg, const struct op_access *access);
static bool ask(const struct asking *asking, const struct policy_request *request);
static struct bytes resource_of(const struct asking *asking, const struct op_access *access);
static void find_leading(const struct asking *asking, const struct op_access *access,
                         struct policy_values *out);
static bool leading_of_items(const struct op_access *access, const struct key_attribute *attribute,
                             struct names *names);
static bool leading_of_query(const struct asking *asking, const struct op_access *access,
                             const struct key_schema *schema, struct names *names);
static bool key_text(struct bytes raw, enum value_tag tag, struct arena *arena, struct bytes *text);
static void find_attributes(const struct asking *asking, const struct op_access *access,
                            struct policy_values *out);
static bool attributes_of(const struct asking *asking, const struct op_access *access,
                          struct names *names);
static bool add_name(void *arg, struct bytes name);
static struct bytes select_of(const struct op_access *access);

#define NAME(literal) BYTES_INIT(literal)
static const struct bytes return_names[] = {
    [RETURN_NONE] = NAME("NONE"),
    [RETURN_ALL_OLD] = NAME("ALL_OLD"),
    [RETURN_UPDATED_OLD] = NAME("UPDATED_OLD"),
    [RETURN_ALL_NEW] = NAME("ALL_NEW"),
    [RETURN_UPDATED_NEW] = NAME("UPDATED_NEW"),
};
static const struct bytes capacity_names[] = {
    [CAPACITY_NONE] = NAME("NONE"),
    [CAPACITY_TOTAL] = NAME("TOTAL"),
    [CAPACITY_INDEXES] = NAME("INDEXES"),
};
static const struct bytes select_names[] = {
    [SELECT_ALL_ATTRIBUTES] = NAME("ALL_ATTRIBUTES"),
    [SELECT_ALL_PROJECTED] = NAME("ALL_PROJECTED_ATTRIBUTES"),
    [SELECT_SPECIFIC] = NAME("SPECIFIC_ATTRIBUTES"),
    [SELECT_COUNT] = NAME("COUNT"),
};

bool authorise_call(struct loop_state *state, const struct managed_key *key,
                    const struct op_call *call, struct fault *fault)
{
    struct asking asking = {state, key, call->arena, fault};
    bool allowed = op_accesses(call, ask_access, &asking);
    if (!allowed && fault->code == FAULT_NONE) {
        fault->code = FAULT_INTERNAL;
    }
    return allowed;
}

bool authorise_action(struct loop_state *state, const struct managed_key *key, struct arena *arena,
                      const char *action, struct bytes resource, struct fault *fault)
{
    struct asking asking = {state, key, arena, fault};
    struct policy_request request = {.action = bytes_cstr(action), .resource = resource};
    request.context[POLICY_USERNAME] = (struct policy_values){.values = &key->name, .count = 1};
    return ask(&asking, &request);
}

static bool ask_access(void *arg, const struct op_access *access)
{
    const struct asking *asking = arg;
    const struct policy *policy = asking->key->policy;
    char action[64];
    struct bytes enclosing = bytes_cstr(access->enclosing == NULL ? "" : access->enclosing);
    struct bytes select = select_of(access);
    struct bytes returns[2] = {return_names[access->return_values],
                               return_names[access->on_condition_failure]};
    bool writes = !access->reads && access->item_count > 0;
    bool fails_with_item = access->on_condition_failure != RETURN_NONE;
    snprintf(action, sizeof(action), "dynamodb:%s", access->action);
    struct policy_request request = {.action = bytes_cstr(action),
                                     .resource = resource_of(asking, access)};
    struct policy_values *context = request.context;
    if (request.resource.ptr == NULL) {
        return false;
    }
    context[POLICY_USERNAME] = (struct policy_values){.values = &asking->key->name, .count = 1};
    context[POLICY_ENCLOSING] =
        (struct policy_values){.values = &enclosing, .count = access->enclosing != NULL};
    context[POLICY_SELECT] = (struct policy_values){.values = &select, .count = access->reads};
    context[POLICY_RETURN_VALUES] = (struct policy_values){.values = returns,
                                                           .count = !writes           ? 0
                                                                    : fails_with_item ? 2
                                                                                      : 1};
    context[POLICY_RETURN_CAPACITY] =
        (struct policy_values){.values = &capacity_names[access->capacity],
                               .count = access->reads || access->item_count > 0};
    if (policy_asks(policy, POLICY_LEADING_KEYS)) {
        find_leading(asking, access, &context[POLICY_LEADING_KEYS]);
    }
    if (policy_asks(policy, POLICY_ATTRIBUTES)) {
        find_attributes(asking, access, &context[POLICY_ATTRIBUTES]);
    }
    return ask(asking, &request);
}

static bool ask(const struct asking *asking, const struct policy_request *request)
{
    enum policy_decision decision = policy_decide(asking->key->policy, request);
    if (decision == POLICY_ALLOWED) {
        return true;
    }
    asking->fault->code = FAULT_ACCESS_DENIED;
    asking->fault->message = arena_printf(
        asking->arena,
        "User: arn:aws:iam::%.*s:user/%.*s is not authorized to perform: %.*s on resource: %.*s "
        "%s%.*s%s",
        BYTES_FMT(store_account(asking->state->server->store)), BYTES_FMT(asking->key->name),
        BYTES_FMT(request->action), BYTES_FMT(request->resource),
        decision == POLICY_DENIED ? "with an explicit deny in an identity-based policy"
                                  : "because no identity-based policy allows the ",
        decision == POLICY_DENIED ? 0 : (int)request->action.len, (const char *)request->action.ptr,
        decision == POLICY_DENIED ? "" : " action");
    return false;
}

/* A table may be named by its ARN: the operation finds it by just that text, too. */
static struct bytes resource_of(const struct asking *asking, const struct op_access *access)
{
    struct store *store = asking->state->server->store;
    struct bytes table = access->table.len > 0 ? access->table : BYTES("*");
    if (bytes_start_with(access->stream, BYTES("arn:"))) {
        return access->stream;
    }
    if (bytes_start_with(table, BYTES("arn:")) && !access->streams) {
        return table;
    }
    return arena_printf(asking->arena, "arn:aws:dynamodb:%.*s:%.*s:table/%.*s%s",
                        BYTES_FMT(store_region(store)), BYTES_FMT(store_account(store)),
                        BYTES_FMT(table), access->streams ? "/stream/*" : "");
}

/* ---- leading keys ---- */

static void find_leading(const struct asking *asking, const struct op_access *access,
                         struct policy_values *out)
{
    struct store *store = asking->state->server->store;
    struct names names = {.arena = asking->arena};
    if (access->item_count == 0 && access->texts.key_condition.len == 0) {
        return; /* a Scan, or no access to items */
    }
    struct bytes name = access->table;
    for (size_t i = name.len; bytes_start_with(name, BYTES("arn:")) && i > 0; i--) {
        if (name.ptr[i - 1] == '/') {
            name = bytes_of(name.ptr + i, name.len - i);
        }
    }
    const struct catalogue *catalogue = store_catalogue_pin(store);
    const struct table *table = catalogue_table(catalogue, name);
    out->unknown = table == NULL || !leading_of_items(access, &table->schema.partition, &names) ||
                   (access->texts.key_condition.len > 0 &&
                    !leading_of_query(asking, access, &table->schema, &names));
    store_catalogue_unpin(store, catalogue);
    out->values = names.list;
    out->count = names.count;
}

static bool leading_of_items(const struct op_access *access, const struct key_attribute *attribute,
                             struct names *names)
{
    for (size_t i = 0; i < access->item_count; i++) {
        struct value value;
        struct bytes text;
        if (!item_get(access->items[i], attribute->name, &value) || value.tag != attribute->tag ||
            !key_text(value.body, value.tag, names->arena, &text) || !add_name(names, text)) {
            return false;
        }
    }
    return true;
}

static bool leading_of_query(const struct asking *asking, const struct op_access *access,
                             const struct key_schema *schema, struct names *names)
{
    const struct expression_tokens *tokens = access->tokens;
    struct expr_cache *cache = asking->state->lane.exprs;
    const struct expr *expr;
    struct expr_binding binding;
    struct expr_fault refused;
    struct key_range range;
    struct bytes text;
    return expr_compile(cache, EXPR_KEY_CONDITION, access->texts.key_condition, &expr, &refused) ==
               OK &&
           expr_binding_init(&binding, asking->arena, tokens->names, tokens->has_names,
                             tokens->values, tokens->has_values) == OK &&
           expr_check(expr, &binding, asking->arena, &refused) == OK &&
           expr_check_form(expr, &binding, asking->arena, &refused) == OK &&
           expr_key_range(expr, &binding, schema, asking->arena, &range, &refused) == OK &&
           key_text(range.partition, schema->partition.tag, asking->arena, &text) &&
           add_name(names, text);
}

static bool key_text(struct bytes raw, enum value_tag tag, struct arena *arena, struct bytes *text)
{
    struct buf buf;
    *text = raw;
    if (tag == VALUE_S) {
        return true;
    }
    buf_init(&buf, 1u << 20);
    if (tag == VALUE_N) {
        number_add_text(&buf, raw);
    } else {
        base64_add(&buf, raw);
    }
    *text = buf.failed ? BYTES_NONE : arena_dup(arena, buf_bytes(&buf));
    buf_fini(&buf);
    return text->ptr != NULL;
}

/* ---- attributes ---- */

static void find_attributes(const struct asking *asking, const struct op_access *access,
                            struct policy_values *out)
{
    struct names names = {.arena = asking->arena};
    out->unknown = !attributes_of(asking, access, &names);
    out->values = names.list;
    out->count = names.count;
}

static bool attributes_of(const struct asking *asking, const struct op_access *access,
                          struct names *names)
{
    const struct expression_texts *texts = &access->texts;
    const struct expression_tokens *tokens = access->tokens;
    const struct {
        enum expr_kind kind;
        struct bytes text;
    } all[] = {{EXPR_CONDITION, texts->condition},
               {EXPR_FILTER, texts->filter},
               {EXPR_UPDATE, texts->update},
               {EXPR_PROJECTION, texts->projection},
               {EXPR_KEY_CONDITION, texts->key_condition}};
    for (size_t i = 0; i < access->item_count; i++) {
        struct cursor cursor = cursor_of(access->items[i]);
        struct bytes name;
        struct value value;
        while (item_next(&cursor, &name, &value)) {
            if (!add_name(names, name)) {
                return false;
            }
        }
    }
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        const struct expr *expr;
        struct expr_binding binding;
        struct expr_fault refused;
        if (all[i].text.len > 0 &&
            (expr_compile(asking->state->lane.exprs, all[i].kind, all[i].text, &expr, &refused) !=
                 OK ||
             expr_binding_init(&binding, asking->arena, tokens->names, tokens->has_names,
                               tokens->values, tokens->has_values) != OK ||
             !expr_attributes(expr, &binding, add_name, names))) {
            return false;
        }
    }
    return true;
}

static bool add_name(void *arg, struct bytes name)
{
    struct names *names = arg;
    if (names->count == names->room) {
        size_t room = names->room == 0 ? 16 : names->room * 2;
        struct bytes *list = arena_alloc(names->arena, room * sizeof(*list));
        if (list == NULL) {
            return false;
        }
        if (names->count > 0) {
            memcpy(list, names->list, names->count * sizeof(*list));
        }
        names->list = list;
        names->room = room;
    }
    names->list[names->count++] = name;
    return true;
}

/* What a read gives: what was asked for, else what that comes to. */
static struct bytes select_of(const struct op_access *access)
{
    enum query_select select = access->select != SELECT_DEFAULT   ? access->select
                               : access->texts.projection.len > 0 ? SELECT_SPECIFIC
                                                                  : SELECT_ALL_ATTRIBUTES;
    return select_names[select];
}
