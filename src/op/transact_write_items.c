/* TransactWriteItems: up to 100 actions on as many items, all or none, in one commit.
 * Amazon DynamoDB API Reference, API_TransactWriteItems.
 *
 * A ClientRequestToken is kept with the commit for 10 minutes: the same request again succeeds and
 * does nothing, another request under it is refused. What fails before the actions meet the items
 * is a fault of the call; what fails on an item cancels, with a reason for each action
 * (op I7). */
#include "op/op_priv.h"

#include "base/digest.h"

#define TRANSACT_ACTIONS_MAX 100
#define TRANSACT_BYTES_MAX (4u << 20)

/* One action under evaluation. */
struct step {
    const struct transact_action *action;
    struct expressions expressions;
    const struct table *table;
    struct key key;
    enum key_refusal refusal; /* of the key, and why */
    struct key_fault refused;
    struct bytes old_item;
    struct bytes new_item;
};

struct transaction {
    struct op_call *call;
    struct reader *reader;
    struct step *steps;
    size_t count;
    struct cancellations cancellations;
};

static bool transact_access(const struct op_call *call, op_access_visit *visit, void *arg);
static enum err transact_settle(struct op_call *call, struct decode *decode);
static enum err transact_check(struct op_call *call);
static enum err transact_run(struct op_call *call, struct reader *reader, struct changes *changes);
static enum err open_steps(struct transaction *transaction);
static enum err open_step(struct transaction *transaction, struct step *step);
static enum err find_keys(struct transaction *transaction);
static void find_key(const struct transaction *transaction, struct step *step);
static enum err check_key(struct transaction *transaction, size_t index);
static enum err check_duplicates(struct transaction *transaction);
static enum err look_up_token(struct transaction *transaction, const uint8_t hash[SHA256_LEN],
                              bool *replay);
static enum err hash_request(struct op_call *call, uint8_t hash[SHA256_LEN]);
static enum err evaluate_step(struct transaction *transaction, size_t index);
static enum err update_step(struct transaction *transaction, size_t index);
static enum err refuse_step(struct transaction *transaction, size_t index, const char *code,
                            struct bytes message, struct bytes item);
static enum err cancel(struct transaction *transaction);
static enum err charge(struct transaction *transaction, bool replay);

/* One element of TransactItems as the wire has it: all four are decoded to the same place, since
 * only one may be given. */
struct transact_wire_item {
    struct transact_action action;
    bool put;
    bool update;
    bool delete;
    bool check;
};
struct transact_wire {
    struct transact_write_in in; /* first: callers in the process know only this */
    struct transact_wire_item *items;
    size_t item_count;
};

#define ACTION_MEMBERS                                                                             \
    {NAME("TableName"), .type = FIELD_STRING,           .flags = FIELD_REQUIRED,                   \
     .stage = 3,        .form = FORM_TABLE_NAME_LENGTH, AT(transact_action, table_name)},          \
        MEMBER_ON_FAILURE(transact_action, 2), MEMBER_NAMES(transact_action),                      \
    {                                                                                              \
        NAME("ExpressionAttributeValues"),                                                         \
            .type = FIELD_ITEM, .flags = FIELD_VALUES | FIELD_DEEPER,                              \
            AT(transact_action, tokens.values), GIVEN(transact_action, tokens.has_values),         \
            TOO_DEEP(transact_action, deep_values)                                                 \
    }
#define ACTION_ITEM(name)                                                                          \
    {                                                                                              \
        NAME(name), .type = FIELD_ITEM, .flags = FIELD_REQUIRED, .stage = 3,                       \
                    AT(transact_action, item), TOO_DEEP(transact_action, deep_item)                \
    }

static const struct field put_fields[] = {
    ACTION_MEMBERS,
    ACTION_ITEM("Item"),
    MEMBER_TEXT("ConditionExpression", transact_action, condition),
    {.type = FIELD_END},
};
static const struct field update_fields[] = {
    ACTION_MEMBERS,
    ACTION_ITEM("Key"),
    {NAME("UpdateExpression"), .type = FIELD_STRING, .flags = FIELD_REQUIRED, .stage = 3,
     AT(transact_action, update)},
    MEMBER_TEXT("ConditionExpression", transact_action, condition),
    {.type = FIELD_END},
};
static const struct field delete_fields[] = {
    ACTION_MEMBERS,
    ACTION_ITEM("Key"),
    MEMBER_TEXT("ConditionExpression", transact_action, condition),
    {.type = FIELD_END},
};
static const struct field check_fields[] = {
    ACTION_MEMBERS,
    ACTION_ITEM("Key"),
    {NAME("ConditionExpression"), .type = FIELD_STRING, .flags = FIELD_REQUIRED, .stage = 3,
     AT(transact_action, condition)},
    {.type = FIELD_END},
};
static const struct shape shape_put = {"Put", put_fields, sizeof(struct transact_action)};
static const struct shape shape_update = {"Update", update_fields, sizeof(struct transact_action)};
static const struct shape shape_delete = {"Delete", delete_fields, sizeof(struct transact_action)};
static const struct shape shape_check = {"ConditionCheck", check_fields,
                                         sizeof(struct transact_action)};

static const struct field item_fields[] = {
    {NAME("ConditionCheck"), .type = FIELD_STRUCT, .shape = &shape_check,
     AT(transact_wire_item, action), GIVEN(transact_wire_item, check)},
    {NAME("Put"), .type = FIELD_STRUCT, .shape = &shape_put, AT(transact_wire_item, action),
     GIVEN(transact_wire_item, put)},
    {NAME("Delete"), .type = FIELD_STRUCT, .shape = &shape_delete, AT(transact_wire_item, action),
     GIVEN(transact_wire_item, delete)},
    {NAME("Update"), .type = FIELD_STRUCT, .shape = &shape_update, AT(transact_wire_item, action),
     GIVEN(transact_wire_item, update)},
    {.type = FIELD_END},
};
static const struct shape shape_item = {"TransactWriteItem", item_fields,
                                        sizeof(struct transact_wire_item)};

static const struct field transact_in_fields[] = {
    {NAME("TransactItems"), .type = FIELD_LIST, .flags = FIELD_REQUIRED, .stage = 1, .min = 1,
     .max = TRANSACT_ACTIONS_MAX, .shape = &shape_item, AT(transact_wire, items),
     COUNTED(transact_wire, item_count)},
    {NAME("ClientRequestToken"), .type = FIELD_STRING, .stage = 2, .min = 1, .max = 36,
     AT(transact_write_in, token)},
    MEMBER_CAPACITY(transact_write_in, 2),
    MEMBER_METRICS(transact_write_in, 2),
    {.type = FIELD_END},
};

static const struct field transact_out_fields[] = {
    {NAME("ConsumedCapacity"), .type = FIELD_LIST, .shape = &shape_capacity,
     AT(transact_write_out, capacities), COUNTED(transact_write_out, capacity_count)},
    {.type = FIELD_END},
};

const struct op op_transact_write_items = {
    .name = "TransactWriteItems",
    .api = OP_API_DYNAMODB,
    .writes = true,
    .old_values = true,
    .sets_first = true,
    .in_size = sizeof(struct transact_wire),
    .out_size = sizeof(struct transact_write_out),
    .commit_offset = offsetof(struct transact_write_out, commit),
    .in_fields = transact_in_fields,
    .out_fields = transact_out_fields,
    .settle = transact_settle,
    .access = transact_access,
    .check = transact_check,
    .run = transact_run,
};

static bool transact_access(const struct op_call *call, op_access_visit *visit, void *arg)
{
    static const char *const actions[] = {[TRANSACT_PUT] = "PutItem",
                                          [TRANSACT_UPDATE] = "UpdateItem",
                                          [TRANSACT_DELETE] = "DeleteItem",
                                          [TRANSACT_CHECK] = "ConditionCheckItem"};
    const struct transact_write_in *in = call->in;
    bool more = true;
    for (size_t i = 0; more && i < in->count; i++) {
        const struct transact_action *action = &in->actions[i];
        const struct op_access access = {
            .action = actions[action->kind],
            .enclosing = "TransactWriteItems",
            .table = action->table_name,
            .items = &action->item,
            .item_count = 1,
            .texts = {.condition = action->condition, .update = action->update},
            .tokens = &action->tokens,
            .on_condition_failure = action->on_condition_failure,
            .capacity = in->capacity,
        };
        more = visit(arg, &access);
    }
    return more;
}

/* DynamoDB's order: the list's length; enums and token; one action an element; names; values. */
static enum err transact_settle(struct op_call *call, struct decode *decode)
{
    struct transact_wire *wire = call->in;
    TRY(decode_tell_violations(decode, 2));
    for (size_t i = 0; i < wire->item_count; i++) {
        const struct transact_wire_item *item = &wire->items[i];
        int given = item->put + item->update + item->delete + item->check;
        if (given != 1) {
            return fault(
                call, FAULT_VALIDATION, "%s",
                given == 0 ? "Invalid Request: TransactWriteRequest should contain Delete or Put "
                             "or Update request"
                           : "TransactItems can only contain one of Check, Put, Update or Delete");
        }
    }
    TRY(decode_tell_violations(decode, 3));
    TRY(decode_tell_values(decode));
    wire->in.actions = arena_alloc(call->arena, wire->item_count * sizeof(*wire->in.actions));
    if (wire->in.actions == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < wire->item_count; i++) {
        const struct transact_wire_item *item = &wire->items[i];
        wire->in.actions[i] = item->action;
        wire->in.actions[i].kind = item->put      ? TRANSACT_PUT
                                   : item->update ? TRANSACT_UPDATE
                                   : item->delete ? TRANSACT_DELETE
                                                  : TRANSACT_CHECK;
    }
    wire->in.count = wire->item_count;
    return OK;
}

static enum err transact_check(struct op_call *call)
{
    const struct transact_write_in *in = call->in;
    size_t bytes = 0;
    for (size_t i = 0; i < in->count; i++) {
        const struct transact_action *action = &in->actions[i];
        bytes += item_size(action->item) + item_size(action->tokens.values);
        bytes += action->update.len + action->condition.len;
    }
    if (bytes > TRANSACT_BYTES_MAX) {
        return fault(call, FAULT_VALIDATION, "%s", TEXT_TRANSACT_TOO_BIG);
    }
    return OK;
}

static enum err transact_run(struct op_call *call, struct reader *reader, struct changes *changes)
{
    const struct transact_write_in *in = call->in;
    struct transaction transaction = {
        .call = call, .reader = reader, .count = in->count, .cancellations.count = in->count};
    uint8_t hash[SHA256_LEN];
    bool replay = false;
    TRY(open_steps(&transaction));
    TRY(find_keys(&transaction));
    if (in->token.len > 0) {
        TRY(hash_request(call, hash));
        TRY(look_up_token(&transaction, hash, &replay));
    }
    if (replay) {
        return charge(&transaction, true);
    }
    for (size_t i = 0; i < transaction.count; i++) {
        TRY(evaluate_step(&transaction, i));
    }
    if (transaction.cancellations.reasons != NULL) {
        return cancel(&transaction);
    }
    for (size_t i = 0; i < transaction.count; i++) {
        struct step *step = &transaction.steps[i];
        if (step->action->kind != TRANSACT_CHECK &&
            (step->old_item.len > 0 || step->new_item.len > 0)) {
            TRY(change_item(reader, changes, step->table, &step->key, step->old_item,
                            step->new_item, ORIGIN_USER));
        }
    }
    if (in->token.len > 0) {
        TRY(change_token(reader, changes, in->token, hash));
    }
    return charge(&transaction, false);
}

/* All expressions, then all tables, as DynamoDB tells them. */
static enum err open_steps(struct transaction *transaction)
{
    struct op_call *call = transaction->call;
    const struct transact_write_in *in = call->in;
    transaction->steps = arena_zalloc(call->arena, in->count * sizeof(*transaction->steps));
    if (transaction->steps == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < in->count; i++) {
        transaction->steps[i].action = &in->actions[i];
        TRY(open_step(transaction, &transaction->steps[i]));
    }
    for (size_t i = 0; i < in->count; i++) {
        TRY(lookup_table(call, transaction->reader, in->actions[i].table_name,
                         &transaction->steps[i].table));
    }
    return OK;
}

static enum err open_step(struct transaction *transaction, struct step *step)
{
    const struct transact_action *action = step->action;
    const struct expression_texts texts = {.condition = action->condition,
                                           .update = action->update};
    struct expression_tokens tokens = action->tokens;
    const struct bytes *deep =
        action->deep_values != NULL ? action->deep_values : action->deep_item;
    if (deep != NULL) {
        return fault_text(transaction->call, FAULT_VALIDATION, false, *deep);
    }
    if (action->kind == TRANSACT_PUT) {
        if (item_size(action->item) > ITEM_SIZE_MAX) {
            return fault(transaction->call, FAULT_VALIDATION, "%s", TEXT_ITEM_TOO_BIG);
        }
        if (action->condition.ptr == NULL) {
            tokens.has_values = false; /* DynamoDB takes unused values of a plain Put */
        }
    }
    return expressions_open(transaction->call, transaction->reader, &texts, &tokens,
                            &step->expressions);
}

static enum err find_keys(struct transaction *transaction)
{
    for (size_t i = 0; i < transaction->count; i++) {
        find_key(transaction, &transaction->steps[i]);
    }
    TRY(check_duplicates(transaction));
    for (size_t i = 0; i < transaction->count; i++) {
        TRY(check_key(transaction, i));
    }
    if (transaction->cancellations.reasons != NULL) {
        return cancel(transaction);
    }
    for (size_t i = 0; i < transaction->count; i++) {
        struct step *step = &transaction->steps[i];
        enum err err =
            expressions_check_schema(transaction->call, &step->expressions, &step->table->schema);
        if (err == ERR_FAULT) {
            TRY(refuse_step(transaction, i, "ValidationError", transaction->call->fault.message,
                            BYTES_NONE));
            return cancel(transaction);
        }
        TRY(err);
    }
    return OK;
}

static void find_key(const struct transaction *transaction, struct step *step)
{
    struct arena *arena = transaction->call->arena;
    const struct key_schema *schema = &step->table->schema;
    struct bytes item = step->action->item;
    step->refusal = step->action->kind == TRANSACT_PUT
                        ? key_from_item(schema, item, arena, &step->key, &step->refused)
                        : key_from_exact(schema, item, arena, &step->key, &step->refused);
}

/* A key of the wrong make or too long cancels, told for the first such action only; an empty one is
 * a fault of the call. */
static enum err check_key(struct transaction *transaction, size_t index)
{
    struct op_call *call = transaction->call;
    const struct step *step = &transaction->steps[index];
    bool cancels = step->refusal != KEY_EMPTY && step->refusal != KEY_NOMEM;
    if (step->refusal == KEY_OK || (cancels && transaction->cancellations.reasons != NULL)) {
        return OK;
    }
    enum err err =
        fault_key(call, step->refusal, &step->refused, step->action->kind != TRANSACT_PUT);
    if (err != ERR_FAULT || !cancels) {
        return err;
    }
    return refuse_step(transaction, index, "ValidationError", call->fault.message, BYTES_NONE);
}

static enum err check_duplicates(struct transaction *transaction)
{
    for (size_t i = 1; i < transaction->count; i++) {
        const struct step *one = &transaction->steps[i];
        for (size_t j = 0; j < i; j++) {
            const struct step *other = &transaction->steps[j];
            if (one->refusal == KEY_OK && other->refusal == KEY_OK &&
                one->key.hash == other->key.hash && one->table->id == other->table->id &&
                bytes_equal(one->key.bytes, other->key.bytes)) {
                return fault(transaction->call, FAULT_VALIDATION, "%s", TEXT_TRANSACT_DUPLICATE);
            }
        }
    }
    return OK;
}

static enum err look_up_token(struct transaction *transaction, const uint8_t hash[SHA256_LEN],
                              bool *replay)
{
    struct op_call *call = transaction->call;
    const struct transact_write_in *in = call->in;
    struct token_state state;
    enum err err = reader_token(transaction->reader, in->token, &state);
    if (err == ERR_NOT_FOUND) {
        return OK;
    }
    TRY(err);
    if (memcmp(state.request_hash, hash, SHA256_LEN) != 0) {
        return fault(call, FAULT_IDEMPOTENT_MISMATCH,
                     "The ClientRequestToken was already used for a request with other parameters "
                     "within the last 10 minutes");
    }
    *replay = true;
    return OK;
}

/* Over all that decides the effect; the capacity option is no part of it. */
static enum err hash_request(struct op_call *call, uint8_t hash[SHA256_LEN])
{
    enum { PARTS = 6 };
    const struct transact_write_in *in = call->in;
    size_t room = 0;
    for (size_t i = 0; i < in->count; i++) {
        const struct transact_action *action = &in->actions[i];
        room += 2 + PARTS * sizeof(uint64_t) + action->table_name.len + action->item.len +
                action->update.len + action->condition.len + action->tokens.names.len +
                action->tokens.values.len;
    }
    uint8_t *text = arena_alloc(call->arena, room);
    uint8_t *next = text;
    if (text == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < in->count; i++) {
        const struct transact_action *action = &in->actions[i];
        const struct bytes parts[PARTS] = {action->table_name,   action->item,
                                           action->update,       action->condition,
                                           action->tokens.names, action->tokens.values};
        *next++ = (uint8_t)action->kind;
        *next++ = (uint8_t)action->on_condition_failure;
        for (size_t j = 0; j < PARTS; j++) {
            uint64_t len = parts[j].len;
            memcpy(next, &len, sizeof(len));
            next += sizeof(len);
            if (len > 0) {
                memcpy(next, parts[j].ptr, parts[j].len);
                next += parts[j].len;
            }
        }
    }
    digest_sha256(bytes_of(text, (size_t)(next - text)), hash);
    return OK;
}

static enum err evaluate_step(struct transaction *transaction, size_t index)
{
    struct op_call *call = transaction->call;
    struct step *step = &transaction->steps[index];
    const struct transact_action *action = step->action;
    TRY(lookup_item(transaction->reader, step->table, &step->key, &step->old_item));
    enum err err = expressions_require(call, transaction->reader, &step->expressions,
                                       step->old_item, action->on_condition_failure);
    if (err == ERR_FAULT) {
        bool failed = call->fault.code == FAULT_CONDITION_FAILED;
        return refuse_step(transaction, index,
                           failed ? "ConditionalCheckFailed" : "ValidationError",
                           failed ? BYTES("The conditional request failed") : call->fault.message,
                           call->fault.item);
    }
    TRY(err);
    switch (action->kind) {
    case TRANSACT_PUT:
        step->new_item = action->item;
        break;
    case TRANSACT_UPDATE:
        return update_step(transaction, index);
    case TRANSACT_DELETE:
        step->new_item = BYTES_NONE;
        break;
    case TRANSACT_CHECK:
        step->new_item = step->old_item;
        break;
    }
    return OK;
}

static enum err update_step(struct transaction *transaction, size_t index)
{
    struct op_call *call = transaction->call;
    struct step *step = &transaction->steps[index];
    struct expr_update_result result = {0};
    struct expr_fault refused;
    enum err err = expressions_update(transaction->reader, &step->expressions, step->table,
                                      step->old_item, &step->key, &result, &refused);
    if (err == ERR_FAULT) {
        err = fault_text(call, FAULT_VALIDATION, false, bytes_cstr(refused.text));
    }
    if (err == ERR_FAULT) {
        return refuse_step(transaction, index, "ValidationError", call->fault.message, BYTES_NONE);
    }
    step->new_item = result.item;
    return err;
}

static enum err refuse_step(struct transaction *transaction, size_t index, const char *code,
                            struct bytes message, struct bytes item)
{
    return cancel_action(transaction->call, &transaction->cancellations, index,
                         (struct cancellation){code, message, item});
}

static enum err cancel(struct transaction *transaction)
{
    return cancel_fault(transaction->call, &transaction->cancellations);
}

/* Twice what single calls would cost, summed by table; a replay only reads. */
static enum err charge(struct transaction *transaction, bool replay)
{
    struct op_call *call = transaction->call;
    const struct transact_write_in *in = call->in;
    struct transact_write_out *out = call->out;
    if (in->capacity == CAPACITY_NONE) {
        return OK;
    }
    out->capacities = arena_zalloc(call->arena, transaction->count * sizeof(*out->capacities));
    if (out->capacities == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < transaction->count; i++) {
        struct step *step = &transaction->steps[i];
        if (replay) {
            TRY(lookup_item(transaction->reader, step->table, &step->key, &step->old_item));
        }
        size_t put = step->action->kind == TRANSACT_PUT ? item_size(step->action->item) : 0;
        size_t read = item_size(step->old_item);
        double units =
            2 * (replay ? capacity_read(read > put ? read : put, true)
                        : capacity_write(item_size(step->old_item), item_size(step->new_item)));
        TRY(capacity_add(call, out->capacities, &out->capacity_count, in->capacity, step->table,
                         (struct capacity_units){.units = units,
                                                 .read = replay ? units : 0,
                                                 .write = replay ? 0 : units}));
    }
    return OK;
}
