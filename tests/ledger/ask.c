/* Which parameters a write gets, follows from its id. */
#include "ledger/ask.h"

#include <stdlib.h>

#define BIG_VALUE_LEN 420000u

static void add_action(const struct ask *ask, const struct op *op, const struct action *action,
                       struct buf *out);
static void add_members(const struct ask *ask, const struct action *action, uint64_t id,
                        struct buf *out);
static void add_put(const struct op *op, const struct action *action, struct buf *out);
static void add_values(const struct action *action, uint64_t id, struct buf *out);
static void add_transaction(const struct ask *ask, const struct op *op, struct buf *out);
static void add_read(const struct ask *ask, const struct op *op, struct buf *out);
static void add_invalid(const struct ask *ask, const struct op *op, struct buf *out);

#define DYNAMODB "DynamoDB_20120810."

const char *ask_target(const struct op *op)
{
    static const char *const targets[] = {
        [ACTION_PUT] = DYNAMODB "PutItem",       [ACTION_SET] = DYNAMODB "UpdateItem",
        [ACTION_DROP] = DYNAMODB "UpdateItem",   [ACTION_KEEP] = DYNAMODB "UpdateItem",
        [ACTION_DELETE] = DYNAMODB "DeleteItem", [ACTION_ADD] = DYNAMODB "UpdateItem",
    };
    switch (op->kind) {
    case OP_TRANSACT:
    case OP_REPEAT:
        return DYNAMODB "TransactWriteItems";
    case OP_READ:
        return op->key_count == 1 ? DYNAMODB "GetItem" : DYNAMODB "Query";
    case OP_PAGE:
        return "DynamoDBStreams_20120810.GetRecords";
    case OP_INVALID:
        if (op->invalid == INVALID_ITEM_TWICE || op->invalid == INVALID_OTHER_TOKEN) {
            return DYNAMODB "TransactWriteItems";
        }
        return targets[op->actions[0].kind];
    case OP_WRITE:
        return targets[op->actions[0].kind];
    }
    abort();
}

enum shown ask_shows(const struct op *op)
{
    if (op->kind != OP_WRITE) {
        return SHOWN_NOTHING;
    }
    switch (op->actions[0].kind) {
    case ACTION_DELETE: /* always, since its record does not name it */
        return SHOWN_OLD;
    case ACTION_PUT:
        return op->id % 2 == 0 ? SHOWN_OLD : SHOWN_NOTHING;
    case ACTION_KEEP: /* old and new may be the same write's: only the old one tells */
        return SHOWN_OLD;
    default:
        return op->id % 3 == 0 ? SHOWN_OLD : op->id % 3 == 1 ? SHOWN_NEW : SHOWN_NOTHING;
    }
}

bool ask_shows_on_failure(const struct op *op)
{
    return op->kind == OP_WRITE && op->actions[0].condition != CONDITION_NONE &&
           op->id / 2 % 2 == 0;
}

const char *ask_invalid_error(unsigned invalid)
{
    static const char *const errors[INVALID_COUNT] = {
        [INVALID_NO_SORT_KEY] = "ValidationException",
        [INVALID_TOO_BIG] = "ValidationException",
        [INVALID_SYNTAX] = "ValidationException",
        [INVALID_NUMBER] = "ValidationException",
        [INVALID_ITEM_TWICE] = "ValidationException",
        [INVALID_SIGNATURE] = "InvalidSignatureException",
        [INVALID_TABLE] = "ResourceNotFoundException",
        [INVALID_OTHER_TOKEN] = "IdempotentParameterMismatchException",
    };
    return errors[invalid];
}

void ask_body(const struct ask *ask, const struct op *op, struct buf *out)
{
    static const char *const shows[] = {
        [SHOWN_NOTHING] = "NONE", [SHOWN_OLD] = "ALL_OLD", [SHOWN_NEW] = "ALL_NEW"};
    switch (op->kind) {
    case OP_WRITE:
        buf_add_byte(out, '{');
        add_action(ask, op, &op->actions[0], out);
        buf_printf(out, ",\"ReturnValues\":\"%s\"", shows[ask_shows(op)]);
        if (ask_shows_on_failure(op)) {
            buf_add_cstr(out, ",\"ReturnValuesOnConditionCheckFailure\":\"ALL_OLD\"");
        }
        buf_add_byte(out, '}');
        return;
    case OP_TRANSACT:
    case OP_REPEAT:
        add_transaction(ask, op, out);
        return;
    case OP_READ:
        add_read(ask, op, out);
        return;
    case OP_INVALID:
        add_invalid(ask, op, out);
        return;
    case OP_PAGE: /* its body is an iterator, the reader's to make */
        break;
    }
    abort();
}

/* Members without braces; a transaction puts them under its action's name. */
static void add_action(const struct ask *ask, const struct op *op, const struct action *action,
                       struct buf *out)
{
    add_members(ask, action, op->id, out);
    if (action->kind == ACTION_PUT) {
        add_put(op, action, out);
        return;
    }
    buf_add_cstr(out, ",\"Key\":");
    model_key_json(out, action->key);
}

static void add_put(const struct op *op, const struct action *action, struct buf *out)
{
    const struct state none = {0};
    struct state item = model_apply(action, op->id, &none);
    buf_add_cstr(out, ",\"Item\":");
    model_item_json(out, action->key, &item);
}

static void add_members(const struct ask *ask, const struct action *action, uint64_t id,
                        struct buf *out)
{
    static const char *const updates[] = {
        [ACTION_SET] = "SET w = :w, v = :v ADD n :n",
        [ACTION_DROP] = "REMOVE n SET w = :w, v = :v",
        [ACTION_KEEP] = "SET w = if_not_exists(w, :w), v = if_not_exists(v, :v)",
        [ACTION_ADD] = "ADD n :n",
        [ACTION_CHECK] = NULL,
    };
    static const char *const conditions[] = {
        [CONDITION_NONE] = NULL,
        [CONDITION_ABSENT] = "attribute_not_exists(pk)",
        [CONDITION_PRESENT] = "attribute_exists(pk)",
        [CONDITION_W_IS] = "w = :o",
        [CONDITION_N_BELOW] = "n < :o",
    };
    buf_printf(out, "\"TableName\":\"%s\"", ask->table);
    if (updates[action->kind] != NULL) {
        buf_printf(out, ",\"UpdateExpression\":\"%s\"", updates[action->kind]);
    }
    if (conditions[action->condition] != NULL) {
        buf_printf(out, ",\"ConditionExpression\":\"%s\"", conditions[action->condition]);
    }
    add_values(action, id, out);
}

static void add_values(const struct action *action, uint64_t id, struct buf *out)
{
    bool sets =
        action->kind == ACTION_SET || action->kind == ACTION_DROP || action->kind == ACTION_KEEP;
    bool adds = action->kind == ACTION_SET || action->kind == ACTION_ADD;
    size_t before = out->len;
    if (sets) {
        buf_printf(out, ",\":w\":{\"S\":\"%llu\"},\":v\":", (unsigned long long)id);
        model_value_json(out, id);
    }
    if (adds) {
        buf_printf(out, ",\":n\":{\"N\":\"%lld\"}",
                   action->kind == ACTION_ADD ? (long long)id : (long long)model_step(id));
    }
    if (action->condition >= CONDITION_W_IS) {
        buf_printf(out, ",\":o\":{\"%s\":\"%llu\"}",
                   action->condition == CONDITION_W_IS ? "S" : "N",
                   (unsigned long long)action->operand);
    }
    if (out->len > before) {
        static const char opening[] = ",\"ExpressionAttributeValues\":{";
        size_t len = sizeof(opening) - 2; /* the first value's comma goes */
        if (buf_room(out, len + 2) != NULL) {
            memmove(out->ptr + before + len, out->ptr + before, out->len - before);
            memcpy(out->ptr + before, opening, len + 1);
            out->len += len;
            buf_add_byte(out, '}');
        }
    }
}

static void add_transaction(const struct ask *ask, const struct op *op, struct buf *out)
{
    static const char *const names[] = {[ACTION_PUT] = "Put",
                                        [ACTION_SET] = "Update",
                                        [ACTION_DROP] = "Update",
                                        [ACTION_KEEP] = "Update",
                                        [ACTION_DELETE] = "Delete",
                                        [ACTION_ADD] = "Update",
                                        [ACTION_CHECK] = "ConditionCheck"};
    buf_add_cstr(out, "{\"TransactItems\":[");
    for (size_t i = 0; i < op->action_count; i++) {
        buf_printf(out, "%s{\"%s\":{", i == 0 ? "" : ",", names[op->actions[i].kind]);
        add_action(ask, op, &op->actions[i], out);
        buf_add_cstr(out, "}}");
    }
    buf_add_byte(out, ']');
    if (op->token != 0) {
        buf_printf(out, ",\"ClientRequestToken\":\"%llx-%llu\"", (unsigned long long)ask->run,
                   (unsigned long long)op->token);
    }
    buf_add_byte(out, '}');
}

static void add_read(const struct ask *ask, const struct op *op, struct buf *out)
{
    if (op->key_count == 1) {
        buf_printf(out, "{\"TableName\":\"%s\",\"ConsistentRead\":true,\"Key\":", ask->table);
        model_key_json(out, op->first_key);
    } else {
        buf_printf(out,
                   "{\"TableName\":\"%s\",\"ConsistentRead\":true,\"KeyConditionExpression\":"
                   "\"pk = :p\",\"ExpressionAttributeValues\":{\":p\":",
                   ask->table);
        model_partition_json(out, op->first_key);
        buf_add_byte(out, '}');
    }
    buf_add_byte(out, '}');
}

static void add_invalid(const struct ask *ask, const struct op *op, struct buf *out)
{
    unsigned long long id = op->id;
    const struct ask nowhere = {.table = "ledger.nowhere"};
    switch ((enum invalid)op->invalid) {
    case INVALID_NO_SORT_KEY:
        buf_printf(
            out, "{\"TableName\":\"%s\",\"Item\":{\"pk\":{\"S\":\"p00\"},\"w\":{\"S\":\"%llu\"}}}",
            ask->table, id);
        return;
    case INVALID_TOO_BIG:
        buf_printf(out,
                   "{\"TableName\":\"%s\",\"Item\":{\"pk\":{\"S\":\"p00\"},\"sk\":{\"S\":\"k0\"},"
                   "\"w\":{\"S\":\"%llu\"},\"v\":{\"S\":\"%0*d\"}}}",
                   ask->table, id, (int)BIG_VALUE_LEN, 0);
        return;
    case INVALID_SYNTAX:
    case INVALID_NUMBER:
        buf_printf(out, "{\"TableName\":\"%s\",\"Key\":", ask->table);
        model_key_json(out, op->actions[0].key);
        buf_printf(out,
                   ",\"UpdateExpression\":\"SET w = :w ADD n %s\",\"ExpressionAttributeValues\":{"
                   "\":w\":{\"S\":\"%llu\"},\":n\":{\"N\":\"%s\"}}}",
                   op->invalid == INVALID_SYNTAX ? ":n SET" : ":n", id,
                   op->invalid == INVALID_SYNTAX ? "1" : "1e126");
        return;
    case INVALID_ITEM_TWICE:
    case INVALID_OTHER_TOKEN:
        add_transaction(ask, op, out);
        return;
    case INVALID_SIGNATURE:
    case INVALID_TABLE:
        buf_add_byte(out, '{');
        add_action(op->invalid == INVALID_TABLE ? &nowhere : ask, op, &op->actions[0], out);
        buf_add_byte(out, '}');
        return;
    case INVALID_COUNT:
        break;
    }
    abort();
}
