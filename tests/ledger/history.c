/* Growing arrays, and their texts. */
#include "ledger/history.h"

#include "base/mem.h"

#include <stdio.h>

#define INDEX_DIGITS 5u

static void *grow(void *array, size_t count, size_t *cap, size_t size)
{
    if (count < *cap) {
        return array;
    }
    *cap = *cap == 0 ? 1024 : *cap * 2;
    return mem_realloc(array, *cap * size);
}

void history_init(struct history *history)
{
    *history = (struct history){0};
}

void history_fini(struct history *history)
{
    mem_free(history->ops);
    mem_free(history->states);
    records_fini(&history->seen);
    *history = (struct history){0};
}

void history_clear(struct history *history)
{
    history->count = 0;
    history->state_count = 0;
    records_clear(&history->seen);
}

struct op *history_send(struct history *history, enum op_kind kind)
{
    history->ops = grow(history->ops, history->count, &history->cap, sizeof(*history->ops));
    struct op *op = &history->ops[history->count++];
    *op = (struct op){
        .kind = kind, .sent = ++history->now, .answered = UINT64_MAX, .group = OP_NO_GROUP};
    return op;
}

void history_answer(struct history *history, struct op *op, enum outcome outcome)
{
    op->answered = ++history->now;
    op->outcome = outcome;
}

struct state *history_show(struct history *history, struct op *op, unsigned first_key,
                           unsigned key_count)
{
    op->first_key = first_key;
    op->key_count = key_count;
    op->states_at = history->state_count;
    for (unsigned i = 0; i < key_count; i++) {
        history->states = grow(history->states, history->state_count, &history->state_cap,
                               sizeof(*history->states));
        history->states[history->state_count++] = (struct state){0};
    }
    return &history->states[op->states_at];
}

void records_fini(struct records *records)
{
    mem_free(records->all);
    *records = (struct records){0};
}

void records_clear(struct records *records)
{
    records->count = 0;
}

struct record *records_add(struct records *records)
{
    records->all = grow(records->all, records->count, &records->cap, sizeof(*records->all));
    struct record *record = &records->all[records->count++];
    *record = (struct record){0};
    return record;
}

int sequence_compare(const char *a, const char *b)
{
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);
    return a_len != b_len ? (a_len > b_len) - (a_len < b_len) : strcmp(a, b);
}

bool sequence_same_commit(const char *a, const char *b)
{
    size_t len = strlen(a);
    return len == strlen(b) && len > INDEX_DIGITS && memcmp(a, b, len - INDEX_DIGITS) == 0;
}

const char *op_text(const struct op *op, char out[1024])
{
    static const char *const kinds[] = {[OP_WRITE] = "write",   [OP_TRANSACT] = "transaction",
                                        [OP_REPEAT] = "repeat", [OP_INVALID] = "invalid",
                                        [OP_READ] = "read",     [OP_PAGE] = "page"};
    static const char *const outcomes[] = {[OUTCOME_UNKNOWN] = "unanswered",
                                           [OUTCOME_DONE] = "acknowledged",
                                           [OUTCOME_REFUSED] = "refused"};
    char text[128];
    int len =
        snprintf(out, 1024, "%s %llu (%s, sent at %llu", kinds[op->kind],
                 (unsigned long long)op->id, outcomes[op->outcome], (unsigned long long)op->sent);
    if (op->answered != UINT64_MAX) {
        len += snprintf(out + len, 1024 - (size_t)len, ", answered at %llu",
                        (unsigned long long)op->answered);
    }
    if (op->condition_failed) {
        len += snprintf(out + len, 1024 - (size_t)len, ", failed conditions 0x%x", op->failed);
    }
    for (size_t i = 0; i < op->action_count; i++) {
        len += snprintf(out + len, 1024 - (size_t)len, "%s%s", i == 0 ? ": " : "; ",
                        model_action_text(&op->actions[i], text));
    }
    if (op->shown != SHOWN_NOTHING) {
        len += snprintf(out + len, 1024 - (size_t)len, "; answer showed %s item %s",
                        op->shown == SHOWN_OLD ? "old" : "new",
                        model_state_text(&op->shown_state, text));
    }
    snprintf(out + len, 1024 - (size_t)len, ")");
    return out;
}

const char *record_text(const struct record *record, char out[512])
{
    char old_text[64];
    char new_text[64];
    char key_text[128];
    const struct action key = {.kind = ACTION_CHECK, .key = record->key};
    snprintf(out, 512, "record %s %c of %s: %s -> %s", record->sequence, record->event,
             model_action_text(&key, key_text) + strlen("Check "),
             model_state_text(&record->old_state, old_text),
             model_state_text(&record->new_state, new_text));
    return out;
}
