/* tests/ledger/hear, ask, model: an answer becomes exactly what it says, and one that no right
 * server gives is refused. */
#include "ledger/hear.h"

#include "check.h"
#include "ledger/ask.h"

#include <stdlib.h>

struct scene {
    struct hear hear;
    struct history history;
    struct buf body;
};

static struct scene scene;

static void begin(void)
{
    hear_init(&scene.hear);
    history_init(&scene.history);
    buf_init(&scene.body, 1u << 20);
}

static void end(void)
{
    hear_fini(&scene.hear);
    history_fini(&scene.history);
    buf_fini(&scene.body);
}

static struct op *send_op(enum op_kind kind, uint64_t id, struct action action)
{
    struct op *op = history_send(&scene.history, kind);
    op->id = id;
    op->action_count = 1;
    op->actions[0] = action;
    return op;
}

static bool hear_body(struct op *op, unsigned status)
{
    const struct response response = {.status = status, .body = buf_bytes(&scene.body)};
    return hear_answer(&scene.hear, &scene.history, op, &response);
}

static bool hear_text_body(struct op *op, unsigned status, const char *text)
{
    buf_clear(&scene.body);
    buf_add_cstr(&scene.body, text);
    return hear_body(op, status);
}

/* {"Attributes":item} or whatever the member is called. */
static void write_item(const char *member, unsigned key, struct state state)
{
    buf_clear(&scene.body);
    buf_printf(&scene.body, "{\"__type\":\"x#ConditionalCheckFailedException\",\"%s\":", member);
    model_item_json(&scene.body, key, &state);
    buf_add_cstr(&scene.body, "}");
}

static void every_item_of_ours_is_recognised_and_no_other(void)
{
    begin();
    for (uint64_t id = 1; id < 2000; id++) {
        struct json root;
        struct json item;
        struct state found;
        unsigned key = (unsigned)(id % MODEL_HOT_KEYS);
        const struct state state = {true, id % 2 == 0, id, id % 2 == 0 ? (int64_t)id * 3 : 0};
        write_item("Item", key, state);
        CHECK(json_parse(scene.hear.parser, buf_bytes(&scene.body), &root) == OK);
        CHECK(json_member(root, BYTES("Item"), &item));
        CHECK(model_key_of(item) == key);
        CHECK(model_recognise(item, key, &found, &scene.hear.scratch));
        CHECK(state_equal(&found, &state));
        CHECK(!model_recognise(item, key + 1, &found, &scene.hear.scratch));
    }
    /* One character of the value. */
    const struct state plain = {.present = true, .w = 4};
    struct json root;
    struct json item;
    struct state found;
    write_item("Item", 7, plain);
    uint8_t *value = memmem(scene.body.ptr, scene.body.len, "\"v\":{", 5);
    CHECK(value != NULL);
    value = value == NULL ? scene.body.ptr : memchr(value + 9, '"', 100);
    value[1] = value[1] == 'a' ? 'b' : 'a';
    CHECK(json_parse(scene.hear.parser, buf_bytes(&scene.body), &root) == OK);
    CHECK(json_member(root, BYTES("Item"), &item));
    CHECK(!model_recognise(item, 7, &found, &scene.hear.scratch));
    end();
}

static void requests_are_json_and_repeat_to_the_byte(void)
{
    const struct ask ask_table = {.table = "t", .run = 5};
    struct buf again;
    begin();
    buf_init(&again, 1u << 20);
    for (uint64_t id = 1; id < 200; id++) {
        struct op op = {.id = id, .kind = id % 3 == 0 ? OP_TRANSACT : OP_WRITE, .token = id};
        op.action_count = op.kind == OP_WRITE ? 1 : 3;
        for (unsigned i = 0; i < 3; i++) {
            op.actions[i] = (struct action){(enum action_kind)((id + i) % ACTION_CHECK),
                                            (enum condition_kind)(id / 7 % 5), i, id};
        }
        struct json root;
        buf_clear(&scene.body);
        buf_clear(&again);
        ask_body(&ask_table, &op, &scene.body);
        ask_body(&ask_table, &op, &again);
        CHECK(json_parse(scene.hear.parser, buf_bytes(&scene.body), &root) == OK);
        CHECK_BYTES(buf_bytes(&again), buf_bytes(&scene.body));
    }
    buf_fini(&again);
    end();
}

static void a_success_shows_the_item_that_was_asked_for(void)
{
    const struct action removal = {.kind = ACTION_DELETE, .key = 3};
    const struct state state = {true, true, 8, 2};
    begin();
    struct op *op = send_op(OP_WRITE, 10, removal);
    write_item("Attributes", 3, state);
    CHECK(hear_body(op, 200));
    CHECK(op->outcome == OUTCOME_DONE && op->shown == SHOWN_OLD);
    CHECK(state_equal(&op->shown_state, &state));
    op = send_op(OP_WRITE, 11, removal);
    CHECK(hear_text_body(op, 200, "{}"));
    CHECK(op->shown == SHOWN_OLD && !op->shown_state.present);
    op = send_op(OP_WRITE, 12, removal);
    write_item("Attributes", 4, state);
    CHECK(!hear_body(op, 200)); /* another key's */
    op = send_op(OP_WRITE, 13, removal);
    CHECK(!hear_text_body(op, 200, "{\"Attributes\":"));
    end();
}

static void refusals_are_told_apart(void)
{
    const struct action plain = {.kind = ACTION_PUT, .key = 3};
    const struct action conditional = {ACTION_PUT, CONDITION_ABSENT, 3, 0};
    const struct state state = {true, false, 8, 0};
    begin();
    struct op *op = send_op(OP_WRITE, 4, conditional);
    write_item("Item", 3, state);
    CHECK(hear_body(op, 400));
    CHECK(op->outcome == OUTCOME_REFUSED && op->condition_failed && op->failed == 1);
    CHECK(op->shown == SHOWN_OLD && state_equal(&op->shown_state, &state));
    op = send_op(OP_WRITE, 5, plain); /* it had no condition */
    CHECK(!hear_text_body(op, 400, "{\"__type\":\"x#ConditionalCheckFailedException\"}"));
    op = send_op(OP_WRITE, 6, plain);
    CHECK(hear_text_body(op, 400, "{\"__type\":\"x#ThrottlingException\"}"));
    CHECK(op->outcome == OUTCOME_REFUSED && !op->condition_failed);
    op = send_op(OP_WRITE, 7, plain);
    CHECK(!hear_text_body(op, 400, "{\"__type\":\"x#ValidationException\"}"));
    op = send_op(OP_WRITE, 8, plain);
    CHECK(hear_text_body(op, 500, "{\"__type\":\"x#InternalServerError\"}"));
    CHECK(op->outcome == OUTCOME_UNKNOWN && op->answered == UINT64_MAX);
    op = send_op(OP_INVALID, 9, plain);
    op->invalid = INVALID_SIGNATURE;
    CHECK(hear_text_body(op, 400, "{\"__type\":\"x#InvalidSignatureException\"}"));
    op = send_op(OP_INVALID, 10, plain);
    op->invalid = INVALID_TABLE;
    CHECK(!hear_text_body(op, 400, "{\"__type\":\"x#InvalidSignatureException\"}"));
    end();
}

static void cancellation_reasons_are_per_action(void)
{
    static const char answer[] =
        "{\"__type\":\"x#TransactionCanceledException\",\"CancellationReasons\":["
        "{\"Code\":\"None\"},{\"Code\":\"ConditionalCheckFailed\"}]}";
    begin();
    struct op *op = send_op(OP_TRANSACT, 4, (struct action){.kind = ACTION_PUT});
    op->action_count = 2;
    CHECK(hear_text_body(op, 400, answer));
    CHECK(op->outcome == OUTCOME_REFUSED && op->condition_failed && op->failed == 2);
    op = send_op(OP_TRANSACT, 5, (struct action){.kind = ACTION_PUT});
    op->action_count = 3;
    CHECK(!hear_text_body(op, 400, answer));
    end();
}

static void a_query_shows_all_keys_of_its_partition(void)
{
    const struct state state = {true, false, 8, 0};
    begin();
    struct op *op = history_send(&scene.history, OP_READ);
    op->first_key = 10;
    op->key_count = MODEL_SORTS;
    buf_clear(&scene.body);
    buf_add_cstr(&scene.body, "{\"Items\":[");
    model_item_json(&scene.body, 12, &state);
    buf_add_byte(&scene.body, ',');
    model_item_json(&scene.body, 15, &state);
    buf_add_cstr(&scene.body, "]}");
    CHECK(hear_body(op, 200));
    for (unsigned i = 0; i < MODEL_SORTS; i++) {
        CHECK(scene.history.states[op->states_at + i].present == (i == 2 || i == 5));
    }
    op = history_send(&scene.history, OP_READ);
    op->first_key = 10;
    op->key_count = MODEL_SORTS;
    buf_clear(&scene.body);
    buf_add_cstr(&scene.body, "{\"Items\":[");
    model_item_json(&scene.body, 15, &state);
    buf_add_byte(&scene.body, ',');
    model_item_json(&scene.body, 12, &state);
    buf_add_cstr(&scene.body, "]}");
    CHECK(!hear_body(op, 200));
    end();
}

static void write_page(const char *event, struct state old_state, struct state new_state)
{
    buf_clear(&scene.body);
    buf_printf(&scene.body,
               "{\"Records\":[{\"eventName\":\"%s\",\"dynamodb\":{\"SequenceNumber\":"
               "\"000100\",\"Keys\":",
               event);
    model_key_json(&scene.body, 9);
    if (old_state.present) {
        buf_add_cstr(&scene.body, ",\"OldImage\":");
        model_item_json(&scene.body, 9, &old_state);
    }
    if (new_state.present) {
        buf_add_cstr(&scene.body, ",\"NewImage\":");
        model_item_json(&scene.body, 9, &new_state);
    }
    buf_add_cstr(&scene.body, "}}],\"NextShardIterator\":\"next\"}");
}

static bool hear_page_body(struct records *records, struct page *page)
{
    const struct response response = {.status = 200, .body = buf_bytes(&scene.body)};
    return hear_page(&scene.hear, &response, records, page);
}

static void a_page_is_its_records_and_an_iterator(void)
{
    const struct state none = {0};
    const struct state state = {true, false, 8, 0};
    struct records records = {0};
    struct page page;
    begin();
    write_page("REMOVE", state, none);
    CHECK(hear_page_body(&records, &page));
    CHECK(page.count == 1 && records.count == 1 && records.all[0].key == 9);
    CHECK_BYTES(page.next, BYTES("next"));
    CHECK_BYTES(bytes_cstr(records.all[0].sequence), BYTES("100"));
    CHECK(records.all[0].event == 'R' && !records.all[0].new_state.present);
    CHECK(state_equal(&records.all[0].old_state, &state));
    uint64_t digest = records.all[0].digest;
    write_page("INSERT", none, state);
    CHECK(hear_page_body(&records, &page));
    CHECK(records.count == 2 && records.all[1].event == 'I' && records.all[1].digest != digest);
    buf_clear(&scene.body);
    buf_add_cstr(&scene.body, "{\"Records\":[{\"eventName\":\"INSERT\"}]}");
    CHECK(!hear_page_body(&records, &page));
    records_fini(&records);
    end();
}

static void sequence_numbers_are_compared_as_numbers(void)
{
    CHECK(sequence_compare("99", "100") < 0);
    CHECK(sequence_compare("100000000000000000100000", "100000000000000000100000") == 0);
    CHECK(sequence_compare("100000000000000000100001", "100000000000000000100000") > 0);
    CHECK(sequence_same_commit("100000000000000000100001", "100000000000000000100000"));
    CHECK(!sequence_same_commit("100000000000000000200000", "100000000000000000100000"));
    CHECK(sequence_compare("1", "") > 0);
}

int main(void)
{
    RUN(every_item_of_ours_is_recognised_and_no_other);
    RUN(requests_are_json_and_repeat_to_the_byte);
    RUN(a_success_shows_the_item_that_was_asked_for);
    RUN(refusals_are_told_apart);
    RUN(cancellation_reasons_are_per_action);
    RUN(a_query_shows_all_keys_of_its_partition);
    RUN(a_page_is_its_records_and_an_iterator);
    RUN(sequence_numbers_are_compared_as_numbers);
    return CHECK_RESULT();
}
