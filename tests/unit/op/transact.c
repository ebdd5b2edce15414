/* op: TransactWriteItems is all or nothing, says why not, and counts a token once. */
#include "harness.h"

#define PUT(key, more) "{'Put':{'TableName':'hash','Item':{'pk':{'S':'" key "'}" more "}}}"

static const char *get(const char *key)
{
    char json[128];
    snprintf(json, sizeof(json), "{'TableName':'hash','Key':{'pk':{'S':'%s'}}}", key);
    return call("GetItem", json);
}

static void all_actions_happen_together(void)
{
    call("PutItem", "{'TableName':'hash','Item':{'pk':{'S':'old'}}}");
    call("PutItem", "{'TableName':'hash','Item':{'pk':{'S':'check'},'v':{'N':'1'}}}");
    CHECK_CALL(
        "TransactWriteItems",
        "{'TransactItems':[" PUT(
            "t1",
            "") ","
                "{'Update':{'TableName':'hash','Key':{'pk':{'S':'t2'}},"
                "'UpdateExpression':'ADD n :one','ExpressionAttributeValues':{':one':{'N':'1'}}}},"
                "{'Delete':{'TableName':'hash','Key':{'pk':{'S':'old'}}}},"
                "{'ConditionCheck':{'TableName':'hash','Key':{'pk':{'S':'check'}},"
                "'ConditionExpression':'v = :v','ExpressionAttributeValues':{':v':{'N':'1'}}}}],"
                "'ReturnConsumedCapacity':'TOTAL'}",
        "{'ConsumedCapacity':[{'TableName':'hash','CapacityUnits':8.0,"
        "'WriteCapacityUnits':8.0}]}");
    CHECK_TEXT(get("t1"), quoted("{'Item':{'pk':{'S':'t1'}}}"));
    CHECK_TEXT(get("t2"), quoted("{'Item':{'n':{'N':'1'},'pk':{'S':'t2'}}}"));
    CHECK_TEXT(get("old"), "{}");
}

static void every_failed_condition_is_told_and_nothing_happens(void)
{
    CHECK_CALL(
        "TransactWriteItems",
        "{'TransactItems':[" PUT(
            "never",
            "") ","
                "{'Put':{'TableName':'hash','Item':{'pk':{'S':'check'}},'ConditionExpression':"
                "'attribute_not_exists(pk)','ReturnValuesOnConditionCheckFailure':'ALL_OLD'}},"
                "{'ConditionCheck':{'TableName':'hash','Key':{'pk':{'S':'t1'}},"
                "'ConditionExpression':'attribute_not_exists(pk)'}}]}",
        "{'__type':'com.amazonaws.dynamodb.v20120810#TransactionCanceledException',"
        "'Message':'Transaction cancelled, please refer cancellation reasons for specific "
        "reasons [None, ConditionalCheckFailed, ConditionalCheckFailed]',"
        "'CancellationReasons':[{'Code':'None'},{'Code':'ConditionalCheckFailed',"
        "'Message':'The conditional request failed','Item':{'pk':{'S':'check'},"
        "'v':{'N':'1'}}},{'Code':'ConditionalCheckFailed','Message':"
        "'The conditional request failed'}]}");
    CHECK_TEXT(get("never"), "{}");
}

static void what_does_not_fit_its_item_cancels(void)
{
    CHECK_HAS(call("TransactWriteItems",
                   "{'TransactItems':[" PUT(
                       "never", "") ","
                                    "{'Delete':{'TableName':'hash','Key':{'pk':{'N':'1'}}}}]}"),
              "[None, ValidationError]','CancellationReasons':[{'Code':'None'},"
              "{'Code':'ValidationError','Message':'The provided key element does not match the "
              "schema'}]");
    CHECK_HAS(call("TransactWriteItems",
                   "{'TransactItems':[{'Update':{'TableName':'hash','Key':{'pk':{'S':'check'}},"
                   "'UpdateExpression':'SET a = b + :v',"
                   "'ExpressionAttributeValues':{':v':{'N':'1'}}}}]}"),
              "{'Code':'ValidationError','Message':'The provided expression refers to an attribute "
              "that does not exist in the item'}");
    CHECK_TEXT(get("never"), "{}");
}

static const char *add_once(const char *token, const char *by)
{
    char json[512];
    snprintf(json, sizeof(json),
             "{'TransactItems':[{'Update':{'TableName':'hash','Key':{'pk':{'S':'sum'}},"
             "'UpdateExpression':'ADD n :by','ExpressionAttributeValues':{':by':{'N':'%s'}}}}],"
             "'ClientRequestToken':'%s','ReturnConsumedCapacity':'TOTAL'}",
             by, token);
    return call("TransactWriteItems", json);
}

static void a_token_counts_once_across_restarts(void)
{
    CHECK_HAS(add_once("one", "5"), "'WriteCapacityUnits':2.0");
    CHECK_HAS(add_once("one", "5"), "'ReadCapacityUnits':2.0");
    harness_close();
    harness_open();
    CHECK_HAS(add_once("one", "5"), "'ReadCapacityUnits':2.0");
    CHECK_HAS(add_once("one", "6"),
              "'__type':'com.amazonaws.dynamodb.v20120810#IdempotentParameterMismatchException',"
              "'Message':");
    CHECK_TEXT(get("sum"), quoted("{'Item':{'n':{'N':'5'},'pk':{'S':'sum'}}}"));
    CHECK_HAS(add_once("two", "6"), "'WriteCapacityUnits':2.0");
    CHECK_TEXT(get("sum"), quoted("{'Item':{'n':{'N':'11'},'pk':{'S':'sum'}}}"));
}

static void a_cancelled_call_leaves_its_token_free(void)
{
    call("TransactWriteItems",
         "{'TransactItems':[{'ConditionCheck':{'TableName':'hash','Key':{'pk':{'S':'x'}},"
         "'ConditionExpression':'attribute_exists(pk)'}}],'ClientRequestToken':'free'}");
    CHECK(harness.status == 400);
    CHECK_HAS(add_once("free", "1"), "'WriteCapacityUnits':2.0");
}

static void a_hundred_actions_are_the_most(void)
{
    static char json[32 * 1024];
    for (int count = 100; count <= 101; count++) {
        size_t len = (size_t)snprintf(json, sizeof(json), "{'TransactItems':[");
        for (int i = 0; i < count; i++) {
            len += (size_t)snprintf(json + len, sizeof(json) - len,
                                    "%s{'Put':{'TableName':'hash','Item':{'pk':{'S':'many%d'}}}}",
                                    i == 0 ? "" : ",", i);
        }
        snprintf(json + len, sizeof(json) - len, "]}");
        if (count == 100) {
            CHECK_CALL("TransactWriteItems", json, "{}");
        } else {
            CHECK_REFUSED("TransactWriteItems", json,
                          "1 validation error detected: Value '[...]' at 'transactItems' failed to "
                          "satisfy constraint: Member must have length less than or equal to 100");
        }
    }
}

int main(void)
{
    harness_init();
    call("CreateTable", MAKE_HASH_TABLE("hash", ""));
    RUN(all_actions_happen_together);
    RUN(every_failed_condition_is_told_and_nothing_happens);
    RUN(what_does_not_fit_its_item_cancels);
    RUN(a_token_counts_once_across_restarts);
    RUN(a_cancelled_call_leaves_its_token_free);
    RUN(a_hundred_actions_are_the_most);
    harness_fini();
    return CHECK_RESULT();
}
