/* A draw of a hundred picks the kind of request; further draws fill it in. Draws depend on the
 * client's seed alone, what they are applied to also on what was seen. */
#include "ledger/workload.h"

#include "ledger/ask.h"

#define TOKEN_AGAIN_MS 300000u /* well inside the 10 minutes that tokens are kept */

static void draw_write(struct workload *workload, struct prng *prng, struct op *op,
                       enum action_kind kind);
static void draw_transaction(struct workload *workload, struct prng *prng, struct op *op);
static void draw_condition(struct workload *workload, struct prng *prng, struct action *action,
                           unsigned percent);
static void draw_invalid(struct workload *workload, struct prng *prng, unsigned client,
                         struct op *op, uint64_t now_ms);
static void draw_read(struct prng *prng, struct op *op, bool query);
static size_t use_again(struct workload *workload, const struct op *before);

struct weight {
    unsigned percent;
    enum op_kind kind;
    enum action_kind action; /* of OP_WRITE */
    bool query;              /* of OP_READ */
};

static const struct weight weights[] = {
    {.percent = 30, OP_TRANSACT},
    {.percent = 3, OP_REPEAT},
    {.percent = 13, OP_WRITE, .action = ACTION_PUT},
    {.percent = 15, OP_WRITE, .action = ACTION_SET},
    {.percent = 3, OP_WRITE, .action = ACTION_DROP},
    {.percent = 4, OP_WRITE, .action = ACTION_KEEP},
    {.percent = 8, OP_WRITE, .action = ACTION_ADD},
    {.percent = 8, OP_WRITE, .action = ACTION_DELETE},
    {.percent = 4, OP_INVALID},
    {.percent = 8, OP_READ},
    {.percent = 4, OP_READ, .query = true},
};

void workload_init(struct workload *workload, struct checker *checker, struct history *history,
                   uint64_t seed)
{
    *workload = (struct workload){.checker = checker, .history = history};
    for (size_t i = 0; i < WORKLOAD_CLIENTS_MAX; i++) {
        prng_init(&workload->prngs[i], seed + i);
    }
}

size_t workload_next(struct workload *workload, unsigned client, uint64_t now_ms)
{
    struct prng *prng = &workload->prngs[client];
    struct history *history = workload->history;
    const struct acknowledged *last = &workload->last[client];
    uint64_t drawn = prng_below(prng, 100);
    const struct weight *weight = weights;
    if (workload->again_count > 0) {
        return use_again(workload, &workload->again[--workload->again_count].op);
    }
    for (; drawn >= weight->percent; weight++) {
        drawn -= weight->percent;
    }
    bool has_last = last->op.id != 0 && now_ms - last->at_ms < TOKEN_AGAIN_MS;
    if (weight->kind == OP_REPEAT && has_last) {
        return use_again(workload, &last->op);
    }
    enum op_kind kind = weight->kind == OP_REPEAT ? OP_TRANSACT : weight->kind;
    size_t at = history->count;
    struct op *op = history_send(history, kind);
    if (kind == OP_READ) {
        draw_read(prng, op, weight->query);
        return at;
    }
    op->id = checker_new_id(workload->checker, at);
    if (kind == OP_TRANSACT) {
        draw_transaction(workload, prng, op);
    } else if (kind == OP_INVALID) {
        draw_invalid(workload, prng, client, op, now_ms);
    } else {
        draw_write(workload, prng, op, weight->action);
    }
    return at;
}

/* The same request under the same token. Where the first one came to nothing (the server died
 * first), this one is the write; otherwise it must do nothing. */
static size_t use_again(struct workload *workload, const struct op *before)
{
    struct history *history = workload->history;
    struct checker *checker = workload->checker;
    const struct op copy = *before; /* it may stand in the history, which moves */
    bool lives = checker->fates[copy.id].life == LIFE_NEVER;
    size_t at = history->count;
    struct op *op = history_send(history, lives ? OP_TRANSACT : OP_REPEAT);
    op->id = copy.id;
    op->token = copy.token;
    op->action_count = copy.action_count;
    memcpy(op->actions, copy.actions, sizeof(op->actions));
    if (lives) {
        checker_revive(checker, op->id, at);
    }
    return at;
}

static void draw_write(struct workload *workload, struct prng *prng, struct op *op,
                       enum action_kind kind)
{
    struct action *action = &op->actions[0];
    op->action_count = 1;
    action->kind = kind;
    action->key = kind == ACTION_ADD ? MODEL_HOT_KEYS + (unsigned)prng_below(prng, MODEL_COUNTERS)
                                     : (unsigned)prng_below(prng, MODEL_HOT_KEYS);
    draw_condition(workload, prng, action, kind == ACTION_ADD ? 10 : 40);
}

/* Mostly what the item is thought to be, sometimes what it is not. */
static void draw_condition(struct workload *workload, struct prng *prng, struct action *action,
                           unsigned percent)
{
    const struct state *known = &workload->known[action->key];
    bool wanted = prng_below(prng, 100) < percent;
    bool fails = prng_below(prng, 100) < 30;
    uint64_t drawn = prng_below(prng, 3);
    if (!wanted) {
        return;
    }
    if (drawn == 0 || !known->present) {
        action->condition = known->present == fails ? CONDITION_ABSENT : CONDITION_PRESENT;
    } else if (drawn == 1 && known->w != 0) {
        action->condition = CONDITION_W_IS;
        action->operand = known->w + (fails ? 1 : 0);
    } else {
        action->condition = CONDITION_N_BELOW;
        action->operand = (uint64_t)known->n + (fails ? 0 : 5);
    }
}

static unsigned other_key(struct prng *prng, const struct op *op, size_t count)
{
    for (;;) {
        unsigned key = (unsigned)prng_below(prng, MODEL_HOT_KEYS);
        bool taken = false;
        for (size_t i = 0; i < count; i++) {
            taken = taken || op->actions[i].key == key;
        }
        if (!taken) {
            return key;
        }
    }
}

/* Two to four keys, the first two always written with the id; a counter; perhaps a check. */
static void draw_transaction(struct workload *workload, struct prng *prng, struct op *op)
{
    static const enum action_kind kinds[] = {ACTION_PUT, ACTION_SET, ACTION_SET, ACTION_DROP,
                                             ACTION_DELETE};
    size_t keys = 2 + prng_below(prng, 3);
    for (size_t i = 0; i < keys; i++) {
        struct action *action = &op->actions[i];
        action->key = other_key(prng, op, i);
        action->kind = kinds[prng_below(prng, i < 2 ? 4 : 5)];
        draw_condition(workload, prng, action, 20);
    }
    op->actions[keys] = (struct action){
        .kind = ACTION_ADD, .key = MODEL_HOT_KEYS + (unsigned)prng_below(prng, MODEL_COUNTERS)};
    op->action_count = keys + 1;
    if (prng_below(prng, 4) == 0) {
        struct action *check = &op->actions[op->action_count];
        check->key = other_key(prng, op, op->action_count);
        check->kind = ACTION_CHECK;
        draw_condition(workload, prng, check, 100);
        op->action_count++;
    }
    op->token = prng_below(prng, 100) < 70 ? op->id : 0;
}

static void draw_invalid(struct workload *workload, struct prng *prng, unsigned client,
                         struct op *op, uint64_t now_ms)
{
    const struct acknowledged *last = &workload->last[client];
    op->invalid = (unsigned)prng_below(prng, INVALID_COUNT);
    if (op->invalid == INVALID_TOO_BIG && prng_below(prng, 10) != 0) {
        op->invalid = INVALID_SIGNATURE; /* the body is large */
    }
    if (op->invalid == INVALID_OTHER_TOKEN &&
        (last->op.id == 0 || now_ms - last->at_ms >= TOKEN_AGAIN_MS)) {
        op->invalid = INVALID_TABLE;
    }
    draw_write(workload, prng, op,
               op->invalid == INVALID_SYNTAX || op->invalid == INVALID_NUMBER ? ACTION_SET
                                                                              : ACTION_PUT);
    op->actions[0].condition = CONDITION_NONE;
    if (op->invalid == INVALID_NO_SORT_KEY || op->invalid == INVALID_TOO_BIG) {
        op->actions[0].key = 0;
    } else if (op->invalid == INVALID_ITEM_TWICE) {
        op->actions[1] = op->actions[0];
        op->action_count = 2;
    } else if (op->invalid == INVALID_OTHER_TOKEN) {
        op->token = last->op.token;
    }
}

static void draw_read(struct prng *prng, struct op *op, bool query)
{
    unsigned key = (unsigned)prng_below(prng, MODEL_KEYS);
    op->key_count = 1;
    op->first_key = key;
    if (query && key >= MODEL_HOT_KEYS) {
        op->first_key = MODEL_HOT_KEYS;
        op->key_count = MODEL_COUNTERS;
    } else if (query) {
        op->first_key = key - key % MODEL_SORTS;
        op->key_count = MODEL_SORTS;
    }
}

void workload_learn(struct workload *workload, unsigned client, const struct op *op,
                    uint64_t now_ms)
{
    struct state *known = workload->known;
    if (op->kind == OP_READ && op->outcome == OUTCOME_DONE) {
        memcpy(known + op->first_key, workload->history->states + op->states_at,
               op->key_count * sizeof(*known));
    }
    if ((op->kind != OP_WRITE && op->kind != OP_TRANSACT) || op->outcome != OUTCOME_DONE) {
        return;
    }
    for (size_t i = 0; i < op->action_count; i++) {
        struct state *state = &known[op->actions[i].key];
        *state = model_apply(&op->actions[i], op->id, state);
    }
    if (op->kind == OP_TRANSACT && op->token != 0) {
        workload->last[client] = (struct acknowledged){*op, now_ms};
    }
}

static void take_again(struct workload *workload, const struct op *op, uint64_t at_ms)
{
    if (workload->again_count < WORKLOAD_AGAIN_MAX) {
        workload->again[workload->again_count++] = (struct acknowledged){*op, at_ms};
    }
}

void workload_turn(struct workload *workload, uint64_t now_ms)
{
    const struct history *history = workload->history;
    workload->again_count = 0;
    for (size_t i = 0; i < history->count; i++) {
        const struct op *op = &history->ops[i];
        if (op->kind == OP_TRANSACT && op->outcome == OUTCOME_UNKNOWN && op->token != 0) {
            take_again(workload, op, now_ms);
        }
    }
    for (size_t i = 0; i < WORKLOAD_CLIENTS_MAX; i++) {
        const struct acknowledged *last = &workload->last[i];
        if (last->op.id != 0 && now_ms - last->at_ms < TOKEN_AGAIN_MS) {
            take_again(workload, &last->op, last->at_ms);
        }
    }
    memcpy(workload->known, workload->checker->states, sizeof(workload->known));
}
