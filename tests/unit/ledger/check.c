/* tests/ledger/check: a small true story is believed; every lie told into it is found, and named.
 * A checker that had never caught anything would prove nothing. */
#include "ledger/check.h"

#include "check.h"

#include <stdlib.h>

#define TEXTS_MAX 65536u

/* What clients and stream said, and what the checker found wrong with it. */
struct story {
    struct checker checker;
    struct history history;
    struct records records;
    struct state states[MODEL_KEYS]; /* the store's, as the story goes */
    uint64_t commit;
    char found[TEXTS_MAX];
};

static struct story story;

static void note_violation(void *arg, const char *text)
{
    struct story *told = arg;
    size_t len = strlen(told->found);
    snprintf(told->found + len, sizeof(told->found) - len, "%s\n", text);
}

static void begin(void)
{
    checker_init(&story.checker, note_violation, &story);
    history_init(&story.history);
    story.records = (struct records){0};
    memset(story.states, 0, sizeof(story.states));
    story.commit = 0;
    story.found[0] = 0;
}

static void end(void)
{
    checker_fini(&story.checker);
    history_fini(&story.history);
    records_fini(&story.records);
}

/* Judges the round, and begins the next one. */
static void judge(void)
{
    check_round(&story.checker, &story.history, &story.records);
    history_clear(&story.history);
    records_clear(&story.records);
}

#define CHECK_BELIEVED()                                                                           \
    do {                                                                                           \
        judge();                                                                                   \
        CHECK(story.checker.violations == 0);                                                      \
        CHECK_BYTES(bytes_cstr(story.found), BYTES(""));                                           \
    } while (0)

/* Found, with these words among the rest. */
#define CHECK_FOUND(words)                                                                         \
    do {                                                                                           \
        judge();                                                                                   \
        CHECK(story.checker.violations > 0);                                                       \
        if (strstr(story.found, words) == NULL) {                                                  \
            check_failures++;                                                                      \
            printf("expected \"%s\" in: %s\n", words, story.found);                                \
        }                                                                                          \
    } while (0)

/* ---- telling ---- */

static struct op *op_at(size_t at)
{
    return &story.history.ops[at];
}

static size_t ask(enum op_kind kind, const struct action *actions, size_t count)
{
    size_t at = story.history.count;
    struct op *op = history_send(&story.history, kind);
    op->id = checker_new_id(&story.checker, at);
    op->action_count = count;
    memcpy(op->actions, actions, count * sizeof(*actions));
    return at;
}

static size_t ask_write(enum action_kind kind, unsigned key)
{
    const struct action action = {.kind = kind, .key = key};
    return ask(OP_WRITE, &action, 1);
}

static size_t ask_if(enum action_kind kind, unsigned key, enum condition_kind condition,
                     uint64_t operand)
{
    const struct action action = {kind, condition, key, operand};
    return ask(OP_WRITE, &action, 1);
}

/* Two keys and a counter. */
static size_t ask_transaction(unsigned key, unsigned other)
{
    const struct action actions[] = {{.kind = ACTION_PUT, .key = key},
                                     {.kind = ACTION_SET, .key = other},
                                     {.kind = ACTION_ADD, .key = MODEL_HOT_KEYS}};
    size_t at = ask(OP_TRANSACT, actions, 3);
    op_at(at)->token = op_at(at)->id;
    return at;
}

static void answer(size_t at)
{
    history_answer(&story.history, op_at(at), OUTCOME_DONE);
}

static void answer_showing(size_t at, enum shown shown, struct state state)
{
    answer(at);
    op_at(at)->shown = shown;
    op_at(at)->shown_state = state;
}

static void refuse_condition(size_t at, unsigned failed)
{
    history_answer(&story.history, op_at(at), OUTCOME_REFUSED);
    op_at(at)->condition_failed = true;
    op_at(at)->failed = failed;
}

static struct record *tell_record(uint64_t commit, unsigned index, unsigned key,
                                  struct state old_state, struct state new_state)
{
    struct record *record = records_add(&story.records);
    snprintf(record->sequence, sizeof(record->sequence), "1000%015llu%05u",
             (unsigned long long)commit, index);
    record->key = key;
    record->old_state = old_state;
    record->new_state = new_state;
    record->event = !old_state.present ? 'I' : !new_state.present ? 'R' : 'M';
    record->digest = commit * 1000 + index;
    return record;
}

/* The store does what was asked, in one commit with a record for each change. */
static void happen(size_t at)
{
    const struct op *op = op_at(at);
    unsigned index = 0;
    story.commit++;
    for (size_t i = 0; i < op->action_count; i++) {
        struct state *state = &story.states[op->actions[i].key];
        struct state after = model_apply(&op->actions[i], op->id, state);
        if (!state_equal(state, &after)) {
            tell_record(story.commit, index++, op->actions[i].key, *state, after);
        }
        *state = after;
    }
}

static size_t done(enum action_kind kind, unsigned key)
{
    size_t at = ask_write(kind, key);
    happen(at);
    answer(at);
    return at;
}

static size_t ask_read(unsigned key)
{
    size_t at = story.history.count;
    struct op *op = history_send(&story.history, OP_READ);
    op->first_key = key;
    op->key_count = 1;
    return at;
}

static void answer_read(size_t at, struct state state)
{
    answer(at);
    *history_show(&story.history, op_at(at), op_at(at)->first_key, 1) = state;
}

static size_t ask_page(void)
{
    history_send(&story.history, OP_PAGE);
    return story.history.count - 1;
}

/* The live reader is given the first `count` records of the story so far. */
static void answer_page(size_t at, size_t count)
{
    struct records *seen = &story.history.seen;
    answer(at);
    op_at(at)->empty = seen->count == count;
    op_at(at)->record_count = count;
    while (seen->count < count) {
        struct record record = story.records.all[seen->count];
        *records_add(seen) = record;
    }
}

static struct record *last_record(void)
{
    return &story.records.all[story.records.count - 1];
}

/* ---- what is true ---- */

static void a_true_story_is_believed(void)
{
    begin();
    size_t put = ask_write(ACTION_PUT, 1);
    size_t read = ask_read(1);
    size_t update = ask_write(ACTION_SET, 1); /* overtakes the put, which it was sent after */
    happen(update);
    size_t page = ask_page();
    answer_showing(update, SHOWN_OLD, (struct state){0});
    answer_page(page, 1);
    struct state between = story.states[1];
    happen(put);
    answer_showing(put, SHOWN_OLD, between);
    answer_read(read,
                between); /* of before the put, which had not been answered when it was sent */
    done(ACTION_ADD, MODEL_HOT_KEYS + 1);
    size_t transaction = ask_transaction(1, 2);
    happen(transaction);
    answer(transaction);
    struct state gone = story.states[2];
    size_t removal = ask_write(ACTION_DELETE, 2);
    happen(removal);
    answer_showing(removal, SHOWN_OLD, gone);
    page = ask_page();
    answer_page(page, story.records.count);
    page = ask_page();
    answer_page(page, story.records.count);
    size_t last = ask_write(ACTION_PUT, 7);
    happen(last);
    answer_read(ask_read(7), story.states[7]); /* a little ahead of the stream */
    answer_page(ask_page(), story.records.count - 1);
    CHECK_BELIEVED();
    end();
}

static void what_was_never_answered_may_have_happened_or_not(void)
{
    begin();
    done(ACTION_PUT, 1);
    size_t happened = ask_transaction(1, 2);
    ask_transaction(3, 4);
    ask_write(ACTION_ADD, MODEL_HOT_KEYS);
    size_t removal = ask_if(ACTION_DELETE, 1, CONDITION_W_IS, op_at(happened)->id);
    ask_write(ACTION_PUT, 9);
    happen(happened);
    happen(removal);
    CHECK_BELIEVED();
    end();
}

static void what_changes_nothing_has_no_record(void)
{
    begin();
    size_t removal = ask_write(ACTION_DELETE, 1);
    answer_showing(removal, SHOWN_OLD, (struct state){0});
    size_t put = ask_write(ACTION_PUT, 1);
    size_t early = ask_write(ACTION_KEEP, 1);
    happen(put);
    answer_showing(early, SHOWN_OLD, story.states[1]);
    answer(put);
    CHECK_BELIEVED();
    end();
}

static void a_condition_may_fail_at_any_point_of_its_interval(void)
{
    begin();
    size_t refused = ask_if(ACTION_SET, 1, CONDITION_PRESENT, 0);
    size_t both = ask(OP_TRANSACT,
                      (struct action[]){{ACTION_PUT, CONDITION_ABSENT, 2, 0},
                                        {ACTION_SET, CONDITION_PRESENT, 3, 0}},
                      2);
    done(ACTION_PUT, 1);
    done(ACTION_PUT, 2);
    refuse_condition(refused, 1);
    refuse_condition(both, 3);
    CHECK_BELIEVED();
    end();
}

static void a_token_used_again_after_a_restart_has_its_effect_once(void)
{
    begin();
    size_t kept = ask_transaction(1, 2);
    happen(kept);
    answer(kept);
    size_t lost = ask_transaction(3, 4);
    const struct op first = *op_at(kept);
    const struct op second = *op_at(lost);
    CHECK_BELIEVED();
    struct op *repeat = history_send(&story.history, OP_REPEAT);
    repeat->id = first.id;
    history_answer(&story.history, repeat, OUTCOME_DONE);
    struct op *again = history_send(&story.history, OP_TRANSACT);
    memcpy(again->actions, second.actions, sizeof(second.actions));
    again->action_count = second.action_count;
    again->id = second.id;
    checker_revive(&story.checker, second.id, 1);
    happen(1);
    answer(1);
    CHECK_BELIEVED();
    end();
}

/* ---- lies about writes ---- */

static void a_lost_acknowledgement_is_found(void)
{
    begin();
    done(ACTION_PUT, 1);
    size_t lost = ask_write(ACTION_PUT, 2);
    answer(lost);
    CHECK_FOUND("acknowledged, but it has no record: write 2");
    end();
}

static void a_lost_delete_is_found(void)
{
    begin();
    done(ACTION_PUT, 1);
    size_t lost = ask_write(ACTION_DELETE, 1);
    answer_showing(lost, SHOWN_OLD, story.states[1]);
    CHECK_FOUND("acknowledged, but it has no record: write 2");
    end();
}

static void a_delete_that_found_nothing_where_something_was_is_found(void)
{
    begin();
    done(ACTION_PUT, 1);
    size_t blind = ask_write(ACTION_DELETE, 1);
    answer_showing(blind, SHOWN_OLD, (struct state){0});
    CHECK_FOUND("acknowledged, but it has no record: write 2");
    end();
}

static void an_add_applied_twice_is_found(void)
{
    begin();
    size_t add = done(ACTION_ADD, MODEL_HOT_KEYS);
    happen(add);
    CHECK_FOUND("that write has an effect already");
    end();
}

static void an_add_of_twice_as_much_is_found(void)
{
    begin();
    done(ACTION_PUT, 1);
    done(ACTION_SET, 1);
    last_record()->new_state.n *= 2;
    CHECK_FOUND("should have made the item w=2 n=3");
    end();
}

static void half_a_transaction_is_found(void)
{
    begin();
    size_t half = ask_transaction(1, 2);
    happen(half);
    story.records.count--;
    CHECK_FOUND("half a transaction");
    end();
}

static void a_transaction_in_two_commits_is_found(void)
{
    begin();
    size_t split = ask_transaction(1, 2);
    happen(split);
    answer(split);
    snprintf(last_record()->sequence, sizeof(last_record()->sequence), "1000%015u%05u", 2, 0);
    CHECK_FOUND("half a transaction");
    end();
}

static void a_record_too_many_in_a_transaction_is_found(void)
{
    begin();
    done(ACTION_PUT, 5);
    size_t transaction = ask_transaction(1, 2);
    happen(transaction);
    answer(transaction);
    tell_record(2, 3, 5, story.states[5], (struct state){0});
    CHECK_FOUND("has 4 records, 3 are due");
    end();
}

static void two_writes_in_one_commit_are_found(void)
{
    begin();
    done(ACTION_PUT, 1);
    done(ACTION_PUT, 2);
    snprintf(last_record()->sequence, sizeof(last_record()->sequence), "1000%015u%05u", 1, 1);
    CHECK_FOUND("one commit holds writes 1 and 2");
    end();
}

static void an_effect_of_a_failed_condition_is_found(void)
{
    begin();
    size_t refused = ask_if(ACTION_PUT, 1, CONDITION_PRESENT, 0);
    happen(refused);
    refuse_condition(refused, 1);
    CHECK_FOUND("that write was refused");
    end();
}

static void an_effect_against_its_condition_is_found(void)
{
    begin();
    size_t unasked = ask_if(ACTION_PUT, 1, CONDITION_PRESENT, 0);
    happen(unasked);
    answer(unasked);
    CHECK_FOUND("had an effect though its condition 0 did not hold");
    end();
}

static void a_condition_that_held_and_was_refused_is_found(void)
{
    begin();
    done(ACTION_PUT, 1);
    size_t refused = ask_if(ACTION_PUT, 1, CONDITION_PRESENT, 0);
    refuse_condition(refused, 1);
    CHECK_FOUND("its conditions were never so");
    end();
}

static void the_wrong_failed_condition_of_a_transaction_is_found(void)
{
    begin();
    size_t refused = ask(OP_TRANSACT,
                         (struct action[]){{ACTION_PUT, CONDITION_ABSENT, 2, 0},
                                           {ACTION_SET, CONDITION_PRESENT, 3, 0}},
                         2);
    refuse_condition(refused, 1);
    CHECK_FOUND("its conditions were never so");
    end();
}

static void a_failed_condition_that_shows_another_item_is_found(void)
{
    begin();
    done(ACTION_PUT, 1);
    size_t refused = ask_if(ACTION_PUT, 1, CONDITION_ABSENT, 0);
    refuse_condition(refused, 1);
    op_at(refused)->shown = SHOWN_OLD;
    op_at(refused)->shown_state = (struct state){.present = true, .w = 77};
    CHECK_FOUND("its conditions were never so");
    end();
}

static void an_invalid_request_with_an_effect_is_found(void)
{
    begin();
    const struct action action = {.kind = ACTION_PUT, .key = 1};
    size_t invalid = ask(OP_INVALID, &action, 1);
    happen(invalid);
    history_answer(&story.history, op_at(invalid), OUTCOME_REFUSED);
    CHECK_FOUND("that write was refused");
    end();
}

static void an_invalid_request_that_is_accepted_is_found(void)
{
    begin();
    const struct action action = {.kind = ACTION_PUT, .key = 1};
    answer(ask(OP_INVALID, &action, 1));
    CHECK_FOUND("accepted: invalid 1");
    end();
}

static void a_wrong_old_item_in_an_answer_is_found(void)
{
    begin();
    done(ACTION_PUT, 1);
    size_t put = ask_write(ACTION_PUT, 1);
    happen(put);
    answer_showing(put, SHOWN_OLD, (struct state){0});
    CHECK_FOUND("by the stream it was w=1");
    end();
}

static void a_token_that_works_twice_after_a_restart_is_found(void)
{
    begin();
    size_t kept = ask_transaction(1, 2);
    happen(kept);
    answer(kept);
    const struct op first = *op_at(kept);
    CHECK_BELIEVED();
    struct op *repeat = history_send(&story.history, OP_REPEAT);
    repeat->id = first.id;
    repeat->action_count = first.action_count;
    memcpy(repeat->actions, first.actions, sizeof(first.actions));
    happen(0); /* the counter goes up once more */
    answer(0);
    CHECK_FOUND("that write has had its effect in an earlier round");
    end();
}

static void a_token_that_is_refused_the_second_time_is_found(void)
{
    begin();
    size_t kept = ask_transaction(1, 2);
    happen(kept);
    answer(kept);
    struct op *repeat = history_send(&story.history, OP_REPEAT);
    repeat->id = op_at(kept)->id;
    history_answer(&story.history, repeat, OUTCOME_REFUSED);
    CHECK_FOUND("a token's repetition was refused");
    end();
}

static void a_dead_write_that_comes_to_life_is_found(void)
{
    begin();
    ask_write(ACTION_PUT, 1);
    CHECK_BELIEVED();
    tell_record(1, 0, 1, (struct state){0}, (struct state){.present = true, .w = 1});
    CHECK_FOUND("that write had come to nothing in an earlier round");
    end();
}

/* ---- lies about the stream ---- */

static void a_duplicate_record_is_found(void)
{
    begin();
    done(ACTION_PUT, 1);
    struct record copy = *last_record();
    *records_add(&story.records) = copy;
    CHECK_FOUND("comes after sequence number");
    end();
}

static void swapped_records_are_found(void)
{
    begin();
    done(ACTION_PUT, 1);
    done(ACTION_PUT, 2);
    struct record first = story.records.all[0];
    story.records.all[0] = story.records.all[1];
    story.records.all[1] = first;
    CHECK_FOUND("comes after sequence number");
    end();
}

/* Renumbered as well, so that only time tells. */
static void an_order_that_time_forbids_is_found(void)
{
    begin();
    size_t first = ask_write(ACTION_PUT, 1);
    answer(first);
    size_t second = ask_write(ACTION_PUT, 2);
    answer(second);
    happen(second);
    happen(first);
    CHECK_FOUND("after one at 0 that was sent after it was answered");
    end();
}

static void a_write_before_records_that_were_shown_before_it_is_found(void)
{
    begin();
    size_t shown = ask_write(ACTION_PUT, 1);
    size_t page = ask_page();
    answer(page);
    op_at(page)->record_count = 2; /* the reader says that it was there already */
    size_t late = ask_write(ACTION_PUT, 2);
    happen(late);
    answer(late);
    happen(shown);
    CHECK_FOUND("which was known when it was sent");
    end();
}

static void an_unanswered_write_before_what_it_came_after_is_found(void)
{
    begin();
    size_t first = ask_write(ACTION_PUT, 1);
    answer(first);
    size_t unanswered = ask_write(ACTION_PUT, 2);
    happen(unanswered);
    happen(first);
    CHECK_FOUND("which was known when it was sent");
    end();
}

static void a_record_of_nothing_is_found(void)
{
    begin();
    done(ACTION_PUT, 1);
    tell_record(2, 0, 1, story.states[1], story.states[1]);
    CHECK_FOUND("changes nothing");
    end();
}

static void a_record_of_no_write_is_found(void)
{
    begin();
    tell_record(1, 0, 1, (struct state){0}, (struct state){.present = true, .w = 99});
    CHECK_FOUND("nobody sent such a write");
    end();
}

static void a_removal_that_nobody_asked_for_is_found(void)
{
    begin();
    done(ACTION_PUT, 1);
    tell_record(2, 0, 1, story.states[1], (struct state){0});
    CHECK_FOUND("no delete of this item was sent");
    end();
}

static void a_wrong_old_image_is_found(void)
{
    begin();
    done(ACTION_PUT, 1);
    done(ACTION_PUT, 1);
    last_record()->old_state.w = 2;
    CHECK_FOUND("but the records before it made the item w=1");
    end();
}

static void a_wrong_event_name_is_found(void)
{
    begin();
    done(ACTION_PUT, 1);
    last_record()->event = 'M';
    CHECK_FOUND("should be named I");
    end();
}

static void a_record_shown_before_it_was_durable_is_found(void)
{
    begin();
    size_t put = ask_write(ACTION_PUT, 1);
    happen(put);
    size_t page = ask_page();
    answer_page(page, 1);
    records_clear(&story.records); /* and the server dies */
    CHECK_FOUND("was shown 1 records that are gone");
    end();
}

static void a_record_with_another_number_after_a_restart_is_found(void)
{
    begin();
    size_t put = ask_write(ACTION_PUT, 1);
    happen(put);
    answer_page(ask_page(), 1);
    snprintf(last_record()->sequence, sizeof(last_record()->sequence), "1000%015u%05u", 2, 0);
    CHECK_FOUND("the live reader was shown record 100000000000000000100000");
    end();
}

static void a_record_with_other_bytes_after_a_restart_is_found(void)
{
    begin();
    size_t put = ask_write(ACTION_PUT, 1);
    happen(put);
    answer_page(ask_page(), 1);
    last_record()->digest++;
    CHECK_FOUND("(other bytes)");
    end();
}

static void a_page_that_hides_what_was_acknowledged_is_found(void)
{
    begin();
    done(ACTION_PUT, 1);
    answer_page(ask_page(), 0);
    CHECK_FOUND("a page of the stream was empty");
    end();
}

/* ---- lies about reads and the table ---- */

static void a_stale_read_is_found(void)
{
    begin();
    done(ACTION_PUT, 1);
    struct state before = story.states[1];
    done(ACTION_PUT, 1);
    answer_read(ask_read(1), before);
    CHECK_FOUND("which it never was between places 2 (w=2) and 2");
    end();
}

static void a_read_of_what_is_not_there_after_the_kill_is_found(void)
{
    begin();
    size_t put = ask_write(ACTION_PUT, 1);
    answer_read(ask_read(1), (struct state){.present = true, .w = op_at(put)->id});
    CHECK_FOUND("which it never was");
    end();
}

static void a_read_that_goes_back_in_time_is_found(void)
{
    begin();
    size_t put = ask_write(ACTION_PUT, 1);
    happen(put); /* unanswered, but one reader has seen it */
    answer_read(ask_read(1), story.states[1]);
    answer_read(ask_read(1), (struct state){0});
    CHECK_FOUND("which it never was between places 1");
    end();
}

static void a_read_of_the_future_is_found(void)
{
    begin();
    size_t read = ask_read(1);
    answer_read(read, (struct state){.present = true, .w = 1});
    done(ACTION_PUT, 1);
    CHECK_FOUND("which it never was between places 0 (absent) and 0");
    end();
}

/* Whoever was shown an event reads at least that event's state. */
static void a_read_older_than_a_shown_event_is_found(void)
{
    begin();
    size_t put = ask_write(ACTION_PUT, 1);
    happen(put);
    answer_page(ask_page(), 1);
    answer_read(ask_read(1), (struct state){0});
    CHECK_FOUND("which it never was between places 1");
    end();
}

static void a_table_that_differs_from_the_stream_is_found(void)
{
    begin();
    done(ACTION_PUT, 1);
    CHECK_BELIEVED();
    check_item(&story.checker, 1, &story.states[1], "GetItem");
    check_item(&story.checker, 2, &story.states[2], "GetItem");
    CHECK(story.checker.violations == 0);
    check_item(&story.checker, 1, &story.states[2], "GetItem");
    CHECK(story.checker.violations == 1);
    CHECK(strstr(story.found, "GetItem shows") != NULL);
    end();
}

static void rereading_that_differs_is_found(void)
{
    begin();
    done(ACTION_PUT, 1);
    done(ACTION_PUT, 2);
    struct records tail = {0};
    *records_add(&tail) = story.records.all[1];
    check_same(&story.checker, &story.records, 1, &tail, "an old iterator");
    check_same(&story.checker, &tail, 0, &tail, "an old iterator");
    CHECK(story.checker.violations == 0);
    check_same(&story.checker, &story.records, 0, &tail, "an old iterator");
    CHECK(story.checker.violations == 1);
    records_fini(&tail);
    end();
}

int main(void)
{
    RUN(a_true_story_is_believed);
    RUN(what_was_never_answered_may_have_happened_or_not);
    RUN(what_changes_nothing_has_no_record);
    RUN(a_condition_may_fail_at_any_point_of_its_interval);
    RUN(a_token_used_again_after_a_restart_has_its_effect_once);
    RUN(a_lost_acknowledgement_is_found);
    RUN(a_lost_delete_is_found);
    RUN(a_delete_that_found_nothing_where_something_was_is_found);
    RUN(an_add_applied_twice_is_found);
    RUN(an_add_of_twice_as_much_is_found);
    RUN(half_a_transaction_is_found);
    RUN(a_transaction_in_two_commits_is_found);
    RUN(a_record_too_many_in_a_transaction_is_found);
    RUN(two_writes_in_one_commit_are_found);
    RUN(an_effect_of_a_failed_condition_is_found);
    RUN(an_effect_against_its_condition_is_found);
    RUN(a_condition_that_held_and_was_refused_is_found);
    RUN(the_wrong_failed_condition_of_a_transaction_is_found);
    RUN(a_failed_condition_that_shows_another_item_is_found);
    RUN(an_invalid_request_with_an_effect_is_found);
    RUN(an_invalid_request_that_is_accepted_is_found);
    RUN(a_wrong_old_item_in_an_answer_is_found);
    RUN(a_token_that_works_twice_after_a_restart_is_found);
    RUN(a_token_that_is_refused_the_second_time_is_found);
    RUN(a_dead_write_that_comes_to_life_is_found);
    RUN(a_duplicate_record_is_found);
    RUN(swapped_records_are_found);
    RUN(an_order_that_time_forbids_is_found);
    RUN(a_write_before_records_that_were_shown_before_it_is_found);
    RUN(an_unanswered_write_before_what_it_came_after_is_found);
    RUN(a_record_of_nothing_is_found);
    RUN(a_record_of_no_write_is_found);
    RUN(a_removal_that_nobody_asked_for_is_found);
    RUN(a_wrong_old_image_is_found);
    RUN(a_wrong_event_name_is_found);
    RUN(a_record_shown_before_it_was_durable_is_found);
    RUN(a_record_with_another_number_after_a_restart_is_found);
    RUN(a_record_with_other_bytes_after_a_restart_is_found);
    RUN(a_page_that_hides_what_was_acknowledged_is_found);
    RUN(a_stale_read_is_found);
    RUN(a_read_of_what_is_not_there_after_the_kill_is_found);
    RUN(a_read_that_goes_back_in_time_is_found);
    RUN(a_read_of_the_future_is_found);
    RUN(a_read_older_than_a_shown_event_is_found);
    RUN(a_table_that_differs_from_the_stream_is_found);
    RUN(rereading_that_differs_is_found);
    return CHECK_RESULT();
}
