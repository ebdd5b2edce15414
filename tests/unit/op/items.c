/* op: what item calls do and answer. */
#include "harness.h"

static void put_get_and_replace(void)
{
    CHECK_CALL("PutItem", "{'TableName':'hash','Item':{'pk':{'S':'a'},'n':{'N':'1.50'}}}", "{}");
    CHECK_CALL("GetItem", "{'TableName':'hash','Key':{'pk':{'S':'a'}}}",
               "{'Item':{'n':{'N':'1.5'},'pk':{'S':'a'}}}");
    CHECK_CALL("PutItem",
               "{'TableName':'hash','Item':{'pk':{'S':'a'},'m':{'BOOL':true}},"
               "'ReturnValues':'ALL_OLD','ReturnConsumedCapacity':'TOTAL'}",
               "{'Attributes':{'n':{'N':'1.5'},'pk':{'S':'a'}},"
               "'ConsumedCapacity':{'TableName':'hash','CapacityUnits':1.0}}");
    CHECK_CALL("GetItem",
               "{'TableName':'hash','Key':{'pk':{'S':'a'}},'ProjectionExpression':'#m, z',"
               "'ExpressionAttributeNames':{'#m':'m'},'ReturnConsumedCapacity':'INDEXES'}",
               "{'Item':{'m':{'BOOL':true}},'ConsumedCapacity':{'TableName':'hash',"
               "'CapacityUnits':0.5,'Table':{'CapacityUnits':0.5}}}");
    CHECK_CALL("GetItem", "{'TableName':'hash','Key':{'pk':{'S':'a'}},'ProjectionExpression':'z'}",
               "{'Item':{}}");
    CHECK_CALL("GetItem", "{'TableName':'hash','Key':{'pk':{'S':'absent'}}}", "{}");
    CHECK_CALL("GetItem",
               "{'TableName':'hash','Key':{'pk':{'S':'absent'}},'ConsistentRead':true,"
               "'ReturnConsumedCapacity':'TOTAL'}",
               "{'ConsumedCapacity':{'TableName':'hash','CapacityUnits':1.0}}");
}

static void tables_go_by_name_or_arn(void)
{
    call("PutItem", "{'TableName':'arn:aws:dynamodb:us-east-1:000000000000:table/hash',"
                    "'Item':{'pk':{'S':'by-arn'}}}");
    CHECK(harness.status == 200);
    CHECK_CALL("GetItem", "{'TableName':'hash','Key':{'pk':{'S':'by-arn'}}}",
               "{'Item':{'pk':{'S':'by-arn'}}}");
}

static void a_failed_condition_changes_nothing_and_may_show_the_item(void)
{
    call("PutItem", "{'TableName':'hash','Item':{'pk':{'S':'c'},'v':{'N':'1'}}}");
    CHECK_CALL("PutItem",
               "{'TableName':'hash','Item':{'pk':{'S':'c'},'v':{'N':'2'}},"
               "'ConditionExpression':'attribute_not_exists(pk)'}",
               "{'__type':'com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException',"
               "'message':'The conditional request failed'}");
    CHECK(harness.status == 400);
    CHECK_CALL("DeleteItem",
               "{'TableName':'hash','Key':{'pk':{'S':'c'}},'ConditionExpression':'v = :v',"
               "'ExpressionAttributeValues':{':v':{'N':'2'}},"
               "'ReturnValuesOnConditionCheckFailure':'ALL_OLD'}",
               "{'__type':'com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException',"
               "'message':'The conditional request failed',"
               "'Item':{'pk':{'S':'c'},'v':{'N':'1'}}}");
    CHECK_CALL("UpdateItem",
               "{'TableName':'hash','Key':{'pk':{'S':'ghost'}},'UpdateExpression':'SET v = :v',"
               "'ConditionExpression':'attribute_exists(pk)',"
               "'ExpressionAttributeValues':{':v':{'N':'2'}},"
               "'ReturnValuesOnConditionCheckFailure':'ALL_OLD'}",
               "{'__type':'com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException',"
               "'message':'The conditional request failed'}");
    CHECK_CALL("GetItem", "{'TableName':'hash','Key':{'pk':{'S':'ghost'}}}", "{}");
    CHECK_CALL("GetItem", "{'TableName':'hash','Key':{'pk':{'S':'c'}}}",
               "{'Item':{'pk':{'S':'c'},'v':{'N':'1'}}}");
}

static void delete_gives_back_what_was_there(void)
{
    call("PutItem", "{'TableName':'hash','Item':{'pk':{'S':'d'},'v':{'N':'1'}}}");
    CHECK_CALL("DeleteItem",
               "{'TableName':'hash','Key':{'pk':{'S':'d'}},'ReturnValues':'ALL_OLD',"
               "'ReturnItemCollectionMetrics':'SIZE'}",
               "{'Attributes':{'pk':{'S':'d'},'v':{'N':'1'}}}");
    CHECK_CALL("DeleteItem", "{'TableName':'hash','Key':{'pk':{'S':'d'}},'ReturnValues':'ALL_OLD'}",
               "{}");
    CHECK_CALL("DeleteItem",
               "{'TableName':'hash','Key':{'pk':{'S':'d'}},'ReturnConsumedCapacity':'TOTAL'}",
               "{'ConsumedCapacity':{'TableName':'hash','CapacityUnits':1.0}}");
}

static const char *update(const char *values)
{
    char json[1024];
    snprintf(json, sizeof(json),
             "{'TableName':'hash','Key':{'pk':{'S':'u'}},'UpdateExpression':"
             "'SET a = if_not_exists(a, :z) + :one REMOVE gone',"
             "'ExpressionAttributeValues':{':z':{'N':'0'},':one':{'N':'1'}},'ReturnValues':'%s'}",
             values);
    return call("UpdateItem", json);
}

static void update_makes_and_changes_items(void)
{
    CHECK_TEXT(update("ALL_NEW"), quoted("{'Attributes':{'a':{'N':'1'},'pk':{'S':'u'}}}"));
    CHECK_TEXT(update("ALL_OLD"), quoted("{'Attributes':{'a':{'N':'1'},'pk':{'S':'u'}}}"));
    CHECK_TEXT(update("UPDATED_NEW"), quoted("{'Attributes':{'a':{'N':'3'}}}"));
    CHECK_TEXT(update("UPDATED_OLD"), quoted("{'Attributes':{'a':{'N':'3'}}}"));
    CHECK_TEXT(update("NONE"), "{}");
    CHECK_CALL("UpdateItem",
               "{'TableName':'hash','Key':{'pk':{'S':'new'}},'ReturnValues':'ALL_OLD'}", "{}");
    CHECK_CALL("GetItem", "{'TableName':'hash','Key':{'pk':{'S':'new'}}}",
               "{'Item':{'pk':{'S':'new'}}}");
    CHECK_CALL("UpdateItem",
               "{'TableName':'hash','Key':{'pk':{'S':'u'}},'UpdateExpression':'REMOVE a',"
               "'ReturnValues':'UPDATED_NEW'}",
               "{}");
}

static void items_are_at_most_400_kb(void)
{
    static char json[500 * 1024];
    enum { FILL = 400 * 1024 - 5 }; /* beside "pk" + "k" and "v" + "f" */
    static char fill[FILL + 2];
    memset(fill, 'x', FILL + 1);
    for (int over = 0; over < 2; over++) {
        fill[FILL] = over ? 'x' : 0;
        snprintf(json, sizeof(json), "{'TableName':'hash','Item':{'pk':{'S':'k'},'vf':{'S':'%s'}}}",
                 fill);
        if (over) {
            CHECK_REFUSED("PutItem", json, "Item size has exceeded the maximum allowed size");
        } else {
            CHECK_CALL("PutItem", json, "{}");
        }
    }
    fill[FILL] = 0;
    snprintf(json, sizeof(json),
             "{'TableName':'hash','Key':{'pk':{'S':'k'}},'UpdateExpression':'SET vf = :v',"
             "'ExpressionAttributeValues':{':v':{'S':'%s'}}}",
             fill);
    CHECK_REFUSED("UpdateItem", json, "Item size to update has exceeded the maximum allowed size");
    CHECK_REFUSED("UpdateItem",
                  "{'TableName':'hash','Key':{'pk':{'S':'k'}},'UpdateExpression':'SET w = :v',"
                  "'ExpressionAttributeValues':{':v':{'S':'more'}}}",
                  "Item size to update has exceeded the maximum allowed size");
    CHECK_HAS(call("DeleteItem", "{'TableName':'hash','Key':{'pk':{'S':'k'}},"
                                 "'ReturnConsumedCapacity':'TOTAL'}"),
              "'CapacityUnits':400.0");
}

static void callers_in_the_process_need_no_json(void)
{
    struct item_build build;
    struct bytes item;
    arena_reset(&harness.arena);
    item_build_init(&build, &harness.arena);
    item_build_s(&build, BYTES("pk"), BYTES("inside"));
    item_build_i64(&build, BYTES("n"), 7);
    CHECK(item_build_end(&build, &item) == OK);
    struct put_item_in put = {.table_name = BYTES("hash"), .item = item};
    struct op_call one = {.op = &op_put_item, .arena = &harness.arena, .in = &put};
    harness_start(&one);
    CHECK(one.fault.code == FAULT_NONE);
    CHECK(((const struct put_item_out *)one.out)->commit > 0);
    struct op_call again = {.op = &op_put_item, .arena = &harness.arena, .in = &put};
    harness_start(&again);
    CHECK(again.fault.code == FAULT_NONE);
    CHECK(((const struct put_item_out *)again.out)->commit == 0);
    item_build_init(&build, &harness.arena);
    item_build_s(&build, BYTES("pk"), BYTES("inside"));
    struct get_item_in get = {.table_name = BYTES("hash")};
    CHECK(item_build_end(&build, &get.key) == OK);
    struct op_call read = {.op = &op_get_item, .arena = &harness.arena, .in = &get};
    harness_start(&read);
    CHECK(((const struct get_item_out *)read.out)->found);
    CHECK(bytes_equal(((const struct get_item_out *)read.out)->item, item));
}

int main(void)
{
    harness_init();
    call("CreateTable", MAKE_HASH_TABLE("hash", ""));
    RUN(put_get_and_replace);
    RUN(tables_go_by_name_or_arn);
    RUN(a_failed_condition_changes_nothing_and_may_show_the_item);
    RUN(delete_gives_back_what_was_there);
    RUN(update_makes_and_changes_items);
    RUN(items_are_at_most_400_kb);
    RUN(callers_in_the_process_need_no_json);
    harness_fini();
    return CHECK_RESULT();
}
