/* Nothing is taken on trust: an image that is not to the byte what some write makes, a refusal with
 * another error, a key that was not asked for, all are wrong answers. */
#include "ledger/hear.h"

#include "ledger/ask.h"

#include "base/hash.h"

#include <stdlib.h>

#define SHOWN_TEXT_MAX 600u

static bool hear_success(struct hear *hear, struct history *history, struct op *op,
                         struct json root);
static bool hear_refusal(struct hear *hear, struct op *op, const struct response *response,
                         struct json root);
static bool hear_reasons(struct hear *hear, struct op *op, struct json root);
static bool hear_read(struct hear *hear, struct history *history, struct op *op, struct json root);
static bool hear_state(struct hear *hear, struct json object, const char *name, unsigned key,
                       struct state *state);
static bool hear_record(struct hear *hear, struct json json, struct record *record);
static bool wrong(struct hear *hear, const char *what, struct bytes shown);
static bool parse(struct hear *hear, const struct response *response, struct json *root);

void hear_init(struct hear *hear)
{
    hear->parser = json_parser_new();
    buf_init(&hear->scratch, 64u << 20);
    buf_init(&hear->why, 65536);
    if (hear->parser == NULL) {
        abort();
    }
}

void hear_fini(struct hear *hear)
{
    json_parser_free(hear->parser);
    buf_fini(&hear->scratch);
    buf_fini(&hear->why);
}

bool hear_answer(struct hear *hear, struct history *history, struct op *op,
                 const struct response *response)
{
    struct json root;
    if (response->status >= 500) {
        return true; /* it may have happened or not: unknown, and never answered */
    }
    if (!parse(hear, response, &root)) {
        return false;
    }
    if (response->status == 200) {
        history_answer(history, op, OUTCOME_DONE);
        return hear_success(hear, history, op, root);
    }
    history_answer(history, op, OUTCOME_REFUSED);
    return hear_refusal(hear, op, response, root);
}

static bool hear_success(struct hear *hear, struct history *history, struct op *op,
                         struct json root)
{
    if (op->kind == OP_READ) {
        return hear_read(hear, history, op, root);
    }
    op->shown = ask_shows(op);
    return op->shown == SHOWN_NOTHING ||
           hear_state(hear, root, "Attributes", op->actions[0].key, &op->shown_state);
}

static bool hear_refusal(struct hear *hear, struct op *op, const struct response *response,
                         struct json root)
{
    static const char *const busy[] = {"ThrottlingException",
                                       "ProvisionedThroughputExceededException",
                                       "TransactionConflictException"};
    struct bytes error = response_error(response->body);
    for (size_t i = 0; i < sizeof(busy) / sizeof(busy[0]); i++) {
        if (bytes_equal(error, bytes_cstr(busy[i]))) {
            op->outcome = op->kind == OP_REPEAT ? OUTCOME_UNKNOWN : OUTCOME_REFUSED;
            return true; /* of a repetition it says nothing */
        }
    }
    if (op->kind == OP_INVALID) {
        return bytes_equal(error, bytes_cstr(ask_invalid_error(op->invalid))) ||
               wrong(hear, "an invalid request got another error", response->body);
    }
    if (op->kind == OP_TRANSACT && bytes_equal(error, BYTES("TransactionCanceledException"))) {
        return hear_reasons(hear, op, root) || wrong(hear, "cancellation reasons", response->body);
    }
    if (op->kind == OP_WRITE && op->actions[0].condition != CONDITION_NONE &&
        bytes_equal(error, BYTES("ConditionalCheckFailedException"))) {
        op->condition_failed = true;
        op->failed = 1;
        op->shown = ask_shows_on_failure(op) ? SHOWN_OLD : SHOWN_NOTHING;
        return op->shown == SHOWN_NOTHING ||
               hear_state(hear, root, "Item", op->actions[0].key, &op->shown_state);
    }
    return wrong(hear, "a right request was refused", response->body);
}

/* One code for each action; at least one condition failed. */
static bool hear_reasons(struct hear *hear, struct op *op, struct json root)
{
    struct json reasons;
    struct json reason;
    struct json code;
    size_t at = 0;
    bool conflict = false;
    (void)hear;
    if (!json_member(root, BYTES("CancellationReasons"), &reasons) ||
        json_type(reasons) != JSON_ARRAY || json_count(reasons) != op->action_count) {
        return false;
    }
    struct json_iter iter = json_iter_of(reasons);
    for (; json_next(&iter, &reason); at++) {
        if (json_type(reason) != JSON_OBJECT || !json_member(reason, BYTES("Code"), &code) ||
            json_type(code) != JSON_STRING) {
            return false;
        }
        if (bytes_equal(json_string(code), BYTES("ConditionalCheckFailed"))) {
            op->failed |= 1u << at;
        } else if (bytes_equal(json_string(code), BYTES("TransactionConflict"))) {
            conflict = true;
        } else if (!bytes_equal(json_string(code), BYTES("None"))) {
            return false;
        }
    }
    op->condition_failed = op->failed != 0 && !conflict;
    return op->failed != 0 || conflict;
}

static bool hear_read(struct hear *hear, struct history *history, struct op *op, struct json root)
{
    struct json items;
    struct json item;
    struct state *states = history_show(history, op, op->first_key, op->key_count);
    if (op->key_count == 1) {
        return hear_state(hear, root, "Item", op->first_key, states);
    }
    if (!json_member(root, BYTES("Items"), &items) || json_type(items) != JSON_ARRAY) {
        return wrong(hear, "a Query's answer has no Items", BYTES_NONE);
    }
    struct json_iter iter = json_iter_of(items);
    unsigned least = op->first_key; /* they come in the order of their sort keys */
    while (json_next(&iter, &item)) {
        unsigned key = model_key_of(item);
        if (key < least || key >= op->first_key + op->key_count) {
            buf_clear(&hear->scratch);
            json_add_value(&hear->scratch, item);
            return wrong(hear, "a Query shows an item out of order", buf_bytes(&hear->scratch));
        }
        if (!model_recognise(item, key, &states[key - op->first_key], &hear->scratch)) {
            return wrong(hear, "an item that no write makes (and what would be right)",
                         buf_bytes(&hear->scratch));
        }
        least = key + 1;
    }
    return true;
}

/* The item that is a member of the object; absent where it is not there. */
static bool hear_state(struct hear *hear, struct json object, const char *name, unsigned key,
                       struct state *state)
{
    struct json item;
    *state = (struct state){0};
    if (!json_member(object, bytes_cstr(name), &item)) {
        return true;
    }
    if (json_type(item) != JSON_OBJECT || model_key_of(item) != key) {
        return wrong(hear, "an item of another key", bytes_cstr(name));
    }
    return model_recognise(item, key, state, &hear->scratch) ||
           wrong(hear, "an item that no write makes (and what would be right)",
                 buf_bytes(&hear->scratch));
}

bool hear_page(struct hear *hear, const struct response *response, struct records *records,
               struct page *page)
{
    struct json root;
    struct json list;
    struct json json;
    struct json next;
    *page = (struct page){0};
    if (response->status != 200) {
        return wrong(hear, "GetRecords failed", response->body);
    }
    if (!parse(hear, response, &root) || !json_member(root, BYTES("Records"), &list) ||
        json_type(list) != JSON_ARRAY) {
        return wrong(hear, "a page without Records", response->body);
    }
    struct json_iter iter = json_iter_of(list);
    while (json_next(&iter, &json)) {
        struct record record = {0};
        if (!hear_record(hear, json, &record)) {
            return false;
        }
        *records_add(records) = record;
        page->count++;
    }
    if (json_member(root, BYTES("NextShardIterator"), &next) && json_type(next) == JSON_STRING) {
        page->next = json_string(next);
    }
    return true;
}

static bool get_text(struct json object, const char *name, struct bytes *text)
{
    struct json value;
    if (json_type(object) != JSON_OBJECT || !json_member(object, bytes_cstr(name), &value) ||
        json_type(value) != JSON_STRING) {
        return false;
    }
    *text = json_string(value);
    return true;
}

static bool hear_record(struct hear *hear, struct json json, struct record *record)
{
    struct json body;
    struct json keys;
    struct bytes event;
    struct bytes sequence;
    buf_clear(&hear->scratch);
    json_add_value(&hear->scratch, json);
    record->digest = hash_key(buf_bytes(&hear->scratch));
    if (!get_text(json, "eventName", &event) || !json_member(json, BYTES("dynamodb"), &body) ||
        !get_text(body, "SequenceNumber", &sequence) || sequence.len > SEQUENCE_TEXT_MAX ||
        !json_member(body, BYTES("Keys"), &keys)) {
        return wrong(hear, "a record without its parts", buf_bytes(&hear->scratch));
    }
    record->key = model_key_of(keys);
    if (record->key == MODEL_KEYS) {
        return wrong(hear, "a record of a key that was never written", buf_bytes(&hear->scratch));
    }
    while (sequence.len > 1 && *sequence.ptr == '0') {
        sequence = bytes_of(sequence.ptr + 1, sequence.len - 1);
    }
    memcpy(record->sequence, sequence.ptr, sequence.len);
    record->event = bytes_equal(event, BYTES("INSERT"))   ? 'I'
                    : bytes_equal(event, BYTES("MODIFY")) ? 'M'
                    : bytes_equal(event, BYTES("REMOVE")) ? 'R'
                                                          : '?';
    return hear_state(hear, body, "OldImage", record->key, &record->old_state) &&
           hear_state(hear, body, "NewImage", record->key, &record->new_state);
}

struct bytes hear_text(struct hear *hear, const struct response *response, const char *const *path,
                       size_t len)
{
    struct json at;
    if (response->status != 200 || !parse(hear, response, &at)) {
        return BYTES_NONE;
    }
    for (size_t i = 0; i < len; i++) {
        struct json next;
        if (json_type(at) == JSON_ARRAY && strcmp(path[i], "0") == 0) {
            struct json_iter iter = json_iter_of(at);
            if (!json_next(&iter, &next)) {
                return BYTES_NONE;
            }
        } else if (json_type(at) != JSON_OBJECT || !json_member(at, bytes_cstr(path[i]), &next)) {
            return BYTES_NONE;
        }
        at = next;
    }
    return json_type(at) == JSON_STRING ? json_string(at) : BYTES_NONE;
}

static bool parse(struct hear *hear, const struct response *response, struct json *root)
{
    if (json_parse(hear->parser, response->body, root) != OK || json_type(*root) != JSON_OBJECT) {
        return wrong(hear, "an answer that is no JSON object", response->body);
    }
    return true;
}

/* Always false. Long texts are cut in the middle. */
static bool wrong(struct hear *hear, const char *what, struct bytes shown)
{
    buf_clear(&hear->why);
    buf_printf(&hear->why, "%s: ", what);
    if (shown.len <= SHOWN_TEXT_MAX) {
        buf_add(&hear->why, shown);
    } else {
        buf_add(&hear->why, bytes_of(shown.ptr, SHOWN_TEXT_MAX / 2));
        buf_add_cstr(&hear->why, " ... ");
        buf_add(&hear->why,
                bytes_of(shown.ptr + shown.len - SHOWN_TEXT_MAX / 2, SHOWN_TEXT_MAX / 2));
    }
    return false;
}
