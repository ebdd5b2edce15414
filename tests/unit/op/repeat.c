/* op: every kind of write, many at once on a few keys, under the store's test mode that evaluates
 * each proposal again on the committer and ends the process where the bytes differ. Their order is
 * the committer's, so outcomes are only checked to be answers, and the totals to be exact. */
#include "harness.h"

#define ROUNDS 60u

#define ONE ",'ExpressionAttributeValues':{':one':{'N':'1'}}"
#define KEY(n) "'TableName':'mix','Key':{'pk':{'S':'k" #n "'}}"
#define UPDATE(n, text, more) "{" KEY(n) ",'UpdateExpression':'" text "'" more "}"
#define VALUES(text) ",'ExpressionAttributeValues':{" text "}"

static const struct write {
    const char *operation;
    const char *json;
} writes[] = {
    {"PutItem", "{'TableName':'mix','Item':{'pk':{'S':'k1'},'n':{'N':'1'},'l':{'L':[{'S':'a'}]},"
                "'m':{'M':{'x':{'N':'1'}}},'s':{'SS':['a','b']}},'ReturnValues':'ALL_OLD'}"},
    {"PutItem", "{'TableName':'mix','Item':{'pk':{'S':'k2'},'b':{'B':'AAEC'},'bs':{'BS':['AA==']},"
                "'ns':{'NS':['1','2.50']},'o':{'BOOL':true},'z':{'NULL':true}}}"},
    {"PutItem", "{'TableName':'mix','Item':{'pk':{'S':'k1'}},'ConditionExpression':"
                "'attribute_not_exists(pk)','ReturnValuesOnConditionCheckFailure':'ALL_OLD'}"},
    {"PutItem", "{'TableName':'mix','Item':{'pk':{'S':'k3'}},'ConditionExpression':"
                "'attribute_exists(n) AND n > :one OR size(l) < :one'" ONE "}"},
    {"UpdateItem",
     UPDATE(1, "SET n = if_not_exists(n, :one) + :one", ONE ",'ReturnValues':'ALL_NEW'")},
    {"UpdateItem",
     UPDATE(1, "SET n = :one - if_not_exists(n, :one)", ONE ",'ReturnValues':'ALL_OLD'")},
    {"UpdateItem", UPDATE(1, "SET l = list_append(if_not_exists(l, :e), :e)",
                          VALUES("':e':{'L':[{'S':'x'}]}") ",'ReturnValues':'UPDATED_NEW'")},
    {"UpdateItem",
     UPDATE(1, "SET m.y = :one, l[0] = :one REMOVE m.x, l[3] DELETE s :s",
            VALUES("':one':{'N':'1'},':s':{'SS':['a']}") ",'ReturnValues':'UPDATED_OLD'")},
    {"UpdateItem",
     UPDATE(4, "ADD tally :one, marks :t", VALUES("':one':{'N':'1'},':t':{'NS':['7','8']}"))},
    {"UpdateItem", UPDATE(4, "ADD tally :one REMOVE marks", ONE)},
    {"UpdateItem", UPDATE(5, "SET #n = :one",
                          ONE ",'ExpressionAttributeNames':{'#n':'with.dot'},"
                              "'ConditionExpression':'attribute_not_exists(pk)'")},
    {"UpdateItem", "{" KEY(6) "}"},
    {"DeleteItem", "{" KEY(2) ",'ReturnValues':'ALL_OLD'}"},
    {"DeleteItem", "{" KEY(5) ",'ConditionExpression':'attribute_exists(pk)'}"},
    {"DeleteItem", "{" KEY(7) "}"},
    {"TransactWriteItems",
     "{'TransactItems':[{'Put':{'TableName':'mix','Item':{'pk':{'S':'k8'},'n':{'N':'1'}}}},"
     "{'Update':" UPDATE(4, "ADD tally :one", ONE) "},{'Delete':{" KEY(
         3) "}},"
            "{'ConditionCheck':{" KEY(7) ",'ConditionExpression':'attribute_not_exists(pk)'}}]}"},
    {"TransactWriteItems",
     "{'TransactItems':[{'Update':" UPDATE(
         4, "ADD tally :one",
         ONE) "},"
              "{'ConditionCheck':{" KEY(6) ",'ConditionExpression':'attribute_not_exists(pk)',"
                                           "'ReturnValuesOnConditionCheckFailure':'ALL_OLD'}}]}"},
    {"TransactWriteItems", "{'ClientRequestToken':'token-@','TransactItems':[{'Update':" UPDATE(
                               4, "ADD once :one", ONE) "}]}"},
    {"TransactWriteItems", "{'ClientRequestToken':'token-@','TransactItems':[{'Update':" UPDATE(
                               4, "ADD once :one", ONE) "}]}"},
    {"CreateTable", MAKE_TABLE("passing", WITH_STREAM("NEW_AND_OLD_IMAGES"))},
    {"PutItem", "{'TableName':'passing','Item':{'pk':{'S':'a'},'sk':{'N':'1'}}}"},
    {"DeleteTable", "{'TableName':'passing'}"},
};
#define WRITES (sizeof(writes) / sizeof(writes[0]))

struct running {
    struct op_call call; /* first */
    struct arena arena;
};

static struct running running[WRITES];
static size_t running_count;
static bool all_done;
static uint64_t added; /* to tally, by what was answered with success */
static uint64_t internal_errors;

static void running_done(struct op_call *call)
{
    size_t i = (size_t)((struct running *)call - running);
    buf_clear(&harness.answer);
    internal_errors += op_encode(call, &harness.answer) >= 500;
    if (call->fault.code == FAULT_NONE && strstr(writes[i].json, "ADD tally") != NULL) {
        added++;
    }
    running_count--;
    all_done = running_count == 0;
}

/* The round's number in place of @. */
static const char *of_round(const char *json, unsigned round)
{
    static char text[4096];
    const char *at = strchr(json, '@');
    if (at == NULL) {
        return json;
    }
    snprintf(text, sizeof(text), "%.*s%u%s", (int)(at - json), json, round, at + 1);
    return text;
}

static void start(size_t i, unsigned round)
{
    struct op_call *call = &running[i].call;
    struct json root;
    char target[64];
    snprintf(target, sizeof(target), "DynamoDB_20120810.%s", writes[i].operation);
    arena_init(&running[i].arena, 0);
    *call = (struct op_call){
        .op = op_find(bytes_cstr(target)), .arena = &running[i].arena, .done = running_done};
    CHECK(json_parse(harness.parser, bytes_cstr(quoted(of_round(writes[i].json, round))), &root) ==
          OK);
    bool sound = op_decode(call, root) == OK;
    CHECK(sound);
    if (!sound) {
        printf("%s %.*s\n", writes[i].json, BYTES_FMT(call->fault.message));
        exit(99);
    }
    op_start(&harness.lane, call);
}

static void every_write_is_evaluated_again_to_the_same_bytes(void)
{
    struct store_figures figures;
    char expected[64];
    call("CreateTable", MAKE_HASH_TABLE("mix", WITH_STREAM("NEW_AND_OLD_IMAGES")));
    for (unsigned round = 0; round < ROUNDS; round++) {
        running_count = WRITES;
        all_done = false;
        for (size_t i = 0; i < WRITES; i++) {
            start((i + round) % WRITES, round); /* another order each time */
        }
        CHECK(harness_run_until(&all_done));
        for (size_t i = 0; i < WRITES; i++) {
            arena_fini(&running[i].arena);
        }
    }
    CHECK(internal_errors == 0);
    store_figures(harness.store, &figures);
    CHECK(figures.repeated > ROUNDS && figures.commits > 10 * ROUNDS);
    const char *item = call("GetItem", "{" KEY(4) "}");
    snprintf(expected, sizeof(expected), "'tally':{'N':'%llu'}", (unsigned long long)added);
    CHECK_HAS(item, expected);
    snprintf(expected, sizeof(expected), "'once':{'N':'%u'}", ROUNDS);
    CHECK_HAS(item, expected);
}

int main(void)
{
    harness_init();
    RUN(every_write_is_evaluated_again_to_the_same_bytes);
    harness_fini();
    return CHECK_RESULT();
}
