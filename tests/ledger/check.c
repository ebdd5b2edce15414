/* One pass over the records gives every write its place; one pass over the events then holds the
 * places against time. A place p of a round is the state after its first p commits. Reads are
 * placed as early as what was known allows: if any placing is right, this one is. */
#include "ledger/check.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define NO_PLACE SIZE_MAX
#define TEXT_MAX 1024u

struct group {
    size_t first; /* in records */
    size_t count;
    size_t op; /* in the history; SIZE_MAX: nobody's */
};

/* What a key was from a place on. */
struct version {
    size_t place;
    struct state state;
};

struct bound {
    uint64_t sent;
    size_t place; /* the least of those sent then or later */
};

struct round {
    struct checker *checker;
    struct history *history;
    const struct records *records;
    struct state before[MODEL_KEYS];
    struct group *groups;
    size_t group_count;
    size_t *group_of; /* by record */
    struct version *versions;
    size_t version_starts[MODEL_KEYS + 1];
    struct bound *bounds; /* by sent */
    size_t bound_count;
    /* By op, as it was sent: the least place it may stand at; and the place after the newest commit
     * that was acknowledged. */
    size_t *floors;
    size_t *acknowledged;
};

static void check_order(struct round *round);
static void make_groups(struct round *round);
static void match_group(struct round *round, size_t at);
static void follow_record(struct round *round, const struct record *record);
static uint64_t group_id(struct round *round, const struct group *group);
static size_t find_delete(struct round *round, const struct record *record);
static bool may_match(struct round *round, const struct group *group, uint64_t id, size_t *op);
static void check_effect(struct round *round, const struct group *group, const struct op *op,
                         const struct state *before);
static void make_versions(struct round *round);
static void make_bounds(struct round *round);
static void check_times(struct round *round);
static size_t check_answer(struct round *round, struct op *op, size_t floor);
static size_t check_write(struct round *round, struct op *op, size_t floor);
static size_t check_refusal(struct round *round, struct op *op, size_t floor);
static size_t check_read(struct round *round, const struct op *op, size_t floor);
static size_t check_page(struct round *round, const struct op *op);
static void check_shown(struct round *round, const struct op *op);
static const struct state *state_at(const struct round *round, unsigned key, size_t place);
static size_t last_place(const struct round *round, uint64_t answered);
static void settle(struct round *round);

void checker_init(struct checker *checker, void (*violated)(void *arg, const char *text), void *arg)
{
    *checker = (struct checker){.violated = violated, .arg = arg};
}

void checker_fini(struct checker *checker)
{
    mem_free(checker->fates);
    checker->fates = NULL;
}

uint64_t checker_new_id(struct checker *checker, size_t op)
{
    uint64_t id = ++checker->last_id;
    if (id >= checker->fate_cap) {
        size_t cap = checker->fate_cap == 0 ? 4096 : checker->fate_cap * 2;
        checker->fates = mem_realloc(checker->fates, cap * sizeof(*checker->fates));
        memset(checker->fates + checker->fate_cap, 0,
               (cap - checker->fate_cap) * sizeof(*checker->fates));
        checker->fate_cap = cap;
    }
    checker->fates[id] = (struct fate){LIFE_LIVE, (uint32_t)op};
    return id;
}

void checker_revive(struct checker *checker, uint64_t id, size_t op)
{
    checker->fates[id] = (struct fate){LIFE_LIVE, (uint32_t)op};
}

void checker_violation(struct checker *checker, const char *format, ...)
{
    char text[8 * TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    checker->violations++;
    checker->violated(checker->arg, text);
}

uint64_t check_digest(uint64_t digest, const struct record *record)
{
    return (digest ^ record->digest) * 0x9e3779b97f4a7c15u + (digest >> 29);
}

void check_round(struct checker *checker, struct history *history, const struct records *records)
{
    struct round round = {.checker = checker, .history = history, .records = records};
    memcpy(round.before, checker->states, sizeof(round.before));
    round.groups = mem_zalloc(records->count + 1, sizeof(*round.groups));
    round.group_of = mem_zalloc(records->count + 1, sizeof(*round.group_of));
    check_same(checker, &history->seen, 0, records, "the live reader");
    check_order(&round);
    make_groups(&round);
    for (size_t i = 0; i < round.group_count; i++) {
        match_group(&round, i);
    }
    make_versions(&round);
    make_bounds(&round);
    check_times(&round);
    settle(&round);
    mem_free(round.groups);
    mem_free(round.group_of);
    mem_free(round.versions);
    mem_free(round.bounds);
    mem_free(round.floors);
    mem_free(round.acknowledged);
}

void check_same(struct checker *checker, const struct records *before, size_t from,
                const struct records *again, const char *how)
{
    char text[512];
    char other[512];
    for (size_t i = from; i < before->count; i++) {
        const struct record *old = &before->all[i];
        if (i - from >= again->count) {
            checker_violation(checker, "%s was shown %zu records that are gone; the first: %s", how,
                              before->count - i, record_text(old, text));
            return;
        }
        const struct record *new = &again->all[i - from];
        if (strcmp(old->sequence, new->sequence) != 0 || old->digest != new->digest) {
            checker_violation(checker, "%s was shown %s; now there is %s%s", how,
                              record_text(old, text), record_text(new, other),
                              strcmp(old->sequence, new->sequence) == 0 ? " (other bytes)" : "");
            return;
        }
    }
}

void check_item(struct checker *checker, unsigned key, const struct state *found, const char *how)
{
    char text[64];
    char other[64];
    char name[128];
    const struct state *expected = &checker->states[key];
    if (!state_equal(found, expected)) {
        const struct action action = {.kind = ACTION_CHECK, .key = key};
        checker_violation(checker, "%s shows %s as %s, by the stream it is %s", how,
                          model_action_text(&action, name) + strlen("Check "),
                          model_state_text(found, text), model_state_text(expected, other));
    }
}

static void check_order(struct round *round)
{
    struct checker *checker = round->checker;
    char text[512];
    for (size_t i = 0; i < round->records->count; i++) {
        const struct record *record = &round->records->all[i];
        if (sequence_compare(record->sequence, checker->sequence) <= 0) {
            checker_violation(checker, "%s comes after sequence number %s",
                              record_text(record, text), checker->sequence);
        }
        memcpy(checker->sequence, record->sequence, sizeof(checker->sequence));
        checker->record_count++;
        checker->digest = check_digest(checker->digest, record);
    }
}

static void make_groups(struct round *round)
{
    const struct record *all = round->records->all;
    for (size_t i = 0; i < round->records->count; i++) {
        if (i == 0 || !sequence_same_commit(all[i - 1].sequence, all[i].sequence)) {
            round->groups[round->group_count++] = (struct group){i, 0, SIZE_MAX};
        }
        round->groups[round->group_count - 1].count++;
        round->group_of[i] = round->group_count - 1;
    }
}

static void match_group(struct round *round, size_t at)
{
    struct group *group = &round->groups[at];
    struct state before[MODEL_KEYS];
    memcpy(before, round->checker->states, sizeof(before));
    for (size_t i = 0; i < group->count; i++) {
        follow_record(round, &round->records->all[group->first + i]);
    }
    uint64_t id = group_id(round, group);
    size_t op = SIZE_MAX;
    if (id == 0) {
        op = find_delete(round, &round->records->all[group->first]);
    } else if (!may_match(round, group, id, &op)) {
        return;
    }
    if (op != SIZE_MAX) {
        group->op = op;
        round->history->ops[op].group = at;
        check_effect(round, group, &round->history->ops[op], before);
    }
}

/* C2, as far as it needs no request. */
static void follow_record(struct round *round, const struct record *record)
{
    char text[512];
    char state[64];
    struct state *now = &round->checker->states[record->key];
    char event = !record->old_state.present ? 'I' : !record->new_state.present ? 'R' : 'M';
    if (!state_equal(&record->old_state, now)) {
        checker_violation(round->checker, "%s, but the records before it made the item %s",
                          record_text(record, text), model_state_text(now, state));
    }
    if (state_equal(&record->old_state, &record->new_state)) {
        checker_violation(round->checker, "%s changes nothing", record_text(record, text));
    } else if (record->event != event) {
        checker_violation(round->checker, "%s should be named %c", record_text(record, text),
                          event);
    }
    *now = record->new_state;
}

/* The write that made this record; 0: the record does not tell (a removal). */
static uint64_t record_id(const struct record *record)
{
    if (!record->new_state.present) {
        return 0;
    }
    return record->key < MODEL_HOT_KEYS ? record->new_state.w
                                        : (uint64_t)(record->new_state.n - record->old_state.n);
}

static uint64_t group_id(struct round *round, const struct group *group)
{
    char text[512];
    uint64_t id = 0;
    for (size_t i = 0; i < group->count; i++) {
        const struct record *record = &round->records->all[group->first + i];
        uint64_t here = record_id(record);
        if (here != 0 && id != 0 && here != id) {
            checker_violation(round->checker, "one commit holds writes %llu and %llu: %s",
                              (unsigned long long)id, (unsigned long long)here,
                              record_text(record, text));
        }
        id = id == 0 ? here : id;
    }
    return id;
}

/* A removal alone in its commit: of the DeleteItem whose answer showed just that item, or of one
 * without an answer. An item's state never comes twice, so the former is certain. */
static size_t find_delete(struct round *round, const struct record *record)
{
    char text[512];
    const struct history *history = round->history;
    size_t unknown = SIZE_MAX;
    for (size_t i = 0; i < history->count; i++) {
        const struct op *op = &history->ops[i];
        if (op->kind != OP_WRITE || op->actions[0].kind != ACTION_DELETE ||
            op->actions[0].key != record->key || op->group != OP_NO_GROUP ||
            op->outcome == OUTCOME_REFUSED) {
            continue;
        }
        if (op->outcome == OUTCOME_DONE && op->shown == SHOWN_OLD &&
            state_equal(&op->shown_state, &record->old_state)) {
            return i;
        }
        if (op->outcome == OUTCOME_UNKNOWN && unknown == SIZE_MAX &&
            model_holds(&op->actions[0], &record->old_state)) {
            unknown = i;
        }
    }
    if (unknown == SIZE_MAX) {
        checker_violation(round->checker, "%s: no delete of this item was sent",
                          record_text(record, text));
    }
    return unknown;
}

/* C3 */
static bool may_match(struct round *round, const struct group *group, uint64_t id, size_t *op)
{
    struct checker *checker = round->checker;
    const char *wrong = NULL;
    char text[512];
    char op_words[TEXT_MAX] = "";
    enum life life = id <= checker->last_id ? checker->fates[id].life : LIFE_NONE;
    switch (life) {
    case LIFE_NONE:
        wrong = "nobody sent such a write";
        break;
    case LIFE_APPLIED:
        wrong = "that write has had its effect in an earlier round";
        break;
    case LIFE_NEVER:
        wrong = "that write had come to nothing in an earlier round";
        break;
    case LIFE_LIVE:
        *op = checker->fates[id].op;
        const struct op *live = &round->history->ops[*op];
        op_text(live, op_words);
        if (live->outcome == OUTCOME_REFUSED || live->kind == OP_INVALID) {
            wrong = "that write was refused";
        } else if (live->group != OP_NO_GROUP) {
            wrong = "that write has an effect already";
        }
        break;
    }
    if (wrong != NULL) {
        checker_violation(checker, "%s, of write %llu: %s. %s",
                          record_text(&round->records->all[group->first], text),
                          (unsigned long long)id, wrong, op_words);
    }
    return wrong == NULL;
}

static const struct record *find_record(const struct round *round, const struct group *group,
                                        unsigned key)
{
    for (size_t i = 0; i < group->count; i++) {
        const struct record *record = &round->records->all[group->first + i];
        if (record->key == key) {
            return record;
        }
    }
    return NULL;
}

/* C4, and C2 as far as it needs the request. */
static void check_effect(struct round *round, const struct group *group, const struct op *op,
                         const struct state *before)
{
    char words[TEXT_MAX];
    char text[512];
    char expected_text[64];
    size_t changes = 0;
    for (size_t i = 0; i < op->action_count; i++) {
        const struct action *action = &op->actions[i];
        const struct state *old = &before[action->key];
        struct state expected = model_apply(action, op->id, old);
        const struct record *record = find_record(round, group, action->key);
        if (!model_holds(action, old)) {
            checker_violation(
                round->checker, "%s had an effect though its condition %zu did not hold: %s",
                op_text(op, words), i, record_text(&round->records->all[group->first], text));
        }
        if (state_equal(&expected, old)) {
            continue;
        }
        changes++;
        if (record == NULL) {
            checker_violation(
                round->checker, "half a transaction: %s has %s, but no record of its action %zu",
                op_text(op, words), record_text(&round->records->all[group->first], text), i);
        } else if (!state_equal(&record->new_state, &expected)) {
            checker_violation(round->checker, "%s should have made the item %s: %s",
                              record_text(record, text), model_state_text(&expected, expected_text),
                              op_text(op, words));
        }
    }
    if (group->count > changes) {
        checker_violation(round->checker, "%s has %zu records, %zu are due; the first: %s",
                          op_text(op, words), group->count, changes,
                          record_text(&round->records->all[group->first], text));
    }
}

static void make_versions(struct round *round)
{
    const struct records *records = round->records;
    size_t *starts = round->version_starts;
    size_t next[MODEL_KEYS];
    for (size_t i = 0; i < records->count; i++) {
        starts[records->all[i].key + 1]++;
    }
    for (size_t key = 0; key < MODEL_KEYS; key++) {
        starts[key + 1] += starts[key];
        next[key] = starts[key];
    }
    round->versions = mem_zalloc(records->count + 1, sizeof(*round->versions));
    for (size_t i = 0; i < records->count; i++) {
        const struct record *record = &records->all[i];
        round->versions[next[record->key]++] =
            (struct version){round->group_of[i] + 1, record->new_state};
    }
}

static int compare_bounds(const void *a, const void *b)
{
    const struct bound *left = a;
    const struct bound *right = b;
    return (left->sent > right->sent) - (left->sent < right->sent);
}

static void make_bounds(struct round *round)
{
    round->bounds = mem_zalloc(round->group_count + 1, sizeof(*round->bounds));
    for (size_t i = 0; i < round->group_count; i++) {
        if (round->groups[i].op != SIZE_MAX) {
            round->bounds[round->bound_count++] =
                (struct bound){round->history->ops[round->groups[i].op].sent, i};
        }
    }
    qsort(round->bounds, round->bound_count, sizeof(*round->bounds), compare_bounds);
    for (size_t i = round->bound_count; i-- > 1;) {
        if (round->bounds[i].place < round->bounds[i - 1].place) {
            round->bounds[i - 1].place = round->bounds[i].place;
        }
    }
}

/* The last place that an answer at this time can have shown: before all that was sent later. */
static size_t last_place(const struct round *round, uint64_t answered)
{
    size_t low = 0;
    size_t high = round->bound_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (round->bounds[middle].sent > answered) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low < round->bound_count ? round->bounds[low].place : round->group_count;
}

static const struct state *state_at(const struct round *round, unsigned key, size_t place)
{
    size_t low = round->version_starts[key];
    size_t high = round->version_starts[key + 1];
    size_t first = low;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (round->versions[middle].place <= place) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == first ? &round->before[key] : &round->versions[low - 1].state;
}

struct moment {
    uint64_t time;
    size_t op;
};

static int compare_moments(const void *a, const void *b)
{
    const struct moment *left = a;
    const struct moment *right = b;
    return (left->time > right->time) - (left->time < right->time);
}

/* C5 to C8. The floor rises with every answer: what it proved to be there, is there for all that is
 * sent later. */
static void check_times(struct round *round)
{
    struct history *history = round->history;
    struct moment *moments = mem_zalloc(2 * history->count + 1, sizeof(*moments));
    size_t count = 0;
    size_t floor = 0;
    size_t acknowledged = 0;
    round->acknowledged = mem_zalloc(history->count + 1, sizeof(*round->acknowledged));
    round->floors = mem_zalloc(history->count + 1, sizeof(*round->floors));
    for (size_t i = 0; i < history->count; i++) {
        moments[count++] = (struct moment){history->ops[i].sent, i};
        if (history->ops[i].answered != UINT64_MAX) {
            moments[count++] = (struct moment){history->ops[i].answered, i};
        }
    }
    qsort(moments, count, sizeof(*moments), compare_moments);
    for (size_t i = 0; i < count; i++) {
        struct op *op = &history->ops[moments[i].op];
        if (moments[i].time == op->sent) {
            round->floors[moments[i].op] = floor;
            round->acknowledged[moments[i].op] = acknowledged;
            continue;
        }
        size_t place = check_answer(round, op, round->floors[moments[i].op]);
        if (place != NO_PLACE && place > floor) {
            floor = place;
        }
        if (op->outcome == OUTCOME_DONE && op->group != OP_NO_GROUP && place > acknowledged) {
            acknowledged = place;
        }
    }
    mem_free(moments);
    /* What was never answered still comes after all that was known when it was sent. */
    for (size_t i = 0; i < history->count; i++) {
        const struct op *op = &history->ops[i];
        char words[TEXT_MAX];
        if (op->outcome == OUTCOME_UNKNOWN && op->group != OP_NO_GROUP &&
            op->group < round->floors[i]) {
            checker_violation(round->checker,
                              "%s stands at place %zu of this round, before place %zu, which was "
                              "known when it was sent",
                              op_text(op, words), op->group, round->floors[i]);
        }
    }
}

/* The place that the answer proves; NO_PLACE: none. */
static size_t check_answer(struct round *round, struct op *op, size_t floor)
{
    char words[TEXT_MAX];
    if (op->outcome == OUTCOME_UNKNOWN) {
        return NO_PLACE;
    }
    switch (op->kind) {
    case OP_WRITE:
    case OP_TRANSACT:
        return op->outcome == OUTCOME_DONE ? check_write(round, op, floor)
                                           : check_refusal(round, op, floor);
    case OP_REPEAT:
        if (op->outcome == OUTCOME_REFUSED) {
            checker_violation(round->checker, "a token's repetition was refused: %s",
                              op_text(op, words));
        }
        return NO_PLACE;
    case OP_INVALID:
        if (op->outcome == OUTCOME_DONE) {
            checker_violation(round->checker, "accepted: %s", op_text(op, words));
        }
        return NO_PLACE;
    case OP_READ:
        return op->outcome == OUTCOME_DONE ? check_read(round, op, floor) : NO_PLACE;
    case OP_PAGE:
        return op->outcome == OUTCOME_DONE ? check_page(round, op) : NO_PLACE;
    }
    abort();
}

/* All conditions hold, nothing changes, and the item is the one that was shown. */
static bool does_nothing(const struct round *round, const struct op *op, size_t place)
{
    for (size_t i = 0; i < op->action_count; i++) {
        const struct state *old = state_at(round, op->actions[i].key, place);
        struct state new = model_apply(&op->actions[i], op->id, old);
        if (!model_holds(&op->actions[i], old) || !state_equal(old, &new)) {
            return false;
        }
    }
    return op->shown == SHOWN_NOTHING ||
           state_equal(&op->shown_state, state_at(round, op->actions[0].key, place));
}

static size_t check_write(struct round *round, struct op *op, size_t floor)
{
    char words[TEXT_MAX];
    size_t last = last_place(round, op->answered);
    if (op->group == OP_NO_GROUP) {
        for (size_t place = floor; place <= last; place++) {
            if (does_nothing(round, op, place)) {
                return place;
            }
        }
        checker_violation(round->checker, "acknowledged, but it has no record: %s",
                          op_text(op, words));
        return NO_PLACE;
    }
    if (op->group < floor) {
        checker_violation(round->checker,
                          "%s stands at place %zu of this round, before place %zu, which was known "
                          "when it was sent",
                          op_text(op, words), op->group, floor);
    }
    if (op->group >= last) {
        checker_violation(round->checker,
                          "%s stands at place %zu of this round, after one at %zu that was sent "
                          "after it was answered",
                          op_text(op, words), op->group, last);
    }
    check_shown(round, op);
    return op->group + 1;
}

static void check_shown(struct round *round, const struct op *op)
{
    char words[TEXT_MAX];
    char text[64];
    if (op->shown == SHOWN_NOTHING) {
        return;
    }
    size_t place = op->shown == SHOWN_OLD ? op->group : op->group + 1;
    const struct state *expected = state_at(round, op->actions[0].key, place);
    if (!state_equal(&op->shown_state, expected)) {
        checker_violation(round->checker, "by the stream it was %s: %s",
                          model_state_text(expected, text), op_text(op, words));
    }
}

static bool fails_so(const struct round *round, const struct op *op, size_t place)
{
    for (size_t i = 0; i < op->action_count; i++) {
        bool failed = (op->failed >> i & 1) != 0;
        if (model_holds(&op->actions[i], state_at(round, op->actions[i].key, place)) == failed) {
            return false;
        }
    }
    return op->shown == SHOWN_NOTHING ||
           state_equal(&op->shown_state, state_at(round, op->actions[0].key, place));
}

static size_t check_refusal(struct round *round, struct op *op, size_t floor)
{
    char words[TEXT_MAX];
    if (!op->condition_failed) {
        return NO_PLACE;
    }
    size_t last = last_place(round, op->answered);
    for (size_t place = floor; place <= last; place++) {
        if (fails_so(round, op, place)) {
            return place;
        }
    }
    checker_violation(round->checker,
                      "its conditions were never so between places %zu and %zu of this round: %s",
                      floor, last, op_text(op, words));
    return NO_PLACE;
}

static size_t check_read(struct round *round, const struct op *op, size_t floor)
{
    size_t last = last_place(round, op->answered);
    size_t proved = NO_PLACE;
    for (unsigned i = 0; i < op->key_count; i++) {
        const struct state *shown = &round->history->states[op->states_at + i];
        unsigned key = op->first_key + i;
        size_t place = floor;
        while (place <= last && !state_equal(shown, state_at(round, key, place))) {
            place++;
        }
        if (place > last) {
            char words[TEXT_MAX];
            char text[64];
            char name[128];
            char other[64];
            const struct action action = {.kind = ACTION_CHECK, .key = key};
            checker_violation(round->checker,
                              "%s showed %s as %s, which it never was between places %zu (%s) and "
                              "%zu of this round",
                              op_text(op, words),
                              model_action_text(&action, name) + strlen("Check "),
                              model_state_text(shown, text), floor,
                              model_state_text(state_at(round, key, floor), other), last);
        } else if (proved == NO_PLACE || place > proved) {
            proved = place;
        }
    }
    return proved;
}

/* A read may be ahead of the stream by what is durable and on its way; an acknowledgement not. */
static size_t check_page(struct round *round, const struct op *op)
{
    char text[512];
    size_t count = op->record_count;
    if (op->empty && count < round->records->count &&
        round->group_of[count] < round->acknowledged[op - round->history->ops]) {
        checker_violation(round->checker,
                          "a page of the stream was empty (sent at %llu), though this was "
                          "acknowledged before: %s",
                          (unsigned long long)op->sent,
                          record_text(&round->records->all[count], text));
    }
    return count == 0 || count > round->records->count ? NO_PLACE : round->group_of[count - 1] + 1;
}

static void settle(struct round *round)
{
    for (size_t i = 0; i < round->history->count; i++) {
        const struct op *op = &round->history->ops[i];
        if (op->id != 0 && op->kind != OP_REPEAT) {
            round->checker->fates[op->id].life =
                op->group != OP_NO_GROUP ? LIFE_APPLIED : LIFE_NEVER;
        }
    }
}
