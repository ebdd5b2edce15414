/* op: tables are made, shown, listed and removed. */
#include "harness.h"

static void a_table_is_shown_as_it_was_made(void)
{
    const char *made = call(
        "CreateTable",
        "{'TableName':'shown','AttributeDefinitions':[{'AttributeName':'pk','AttributeType':'S'},"
        "{'AttributeName':'sk','AttributeType':'B'}],'KeySchema':[{'AttributeName':'pk',"
        "'KeyType':'HASH'},{'AttributeName':'sk','KeyType':'RANGE'}],"
        "'ProvisionedThroughput':{'ReadCapacityUnits':3,'WriteCapacityUnits':4},"
        "'TableClass':'STANDARD','Tags':[{'Key':'k','Value':''}],"
        "'StreamSpecification':{'StreamEnabled':true,'StreamViewType':'OLD_IMAGE'}}");
    CHECK_HAS(made, "{'TableDescription':{'AttributeDefinitions':[{'AttributeName':'pk',"
                    "'AttributeType':'S'},{'AttributeName':'sk','AttributeType':'B'}],"
                    "'TableName':'shown','KeySchema':[{'AttributeName':'pk','KeyType':'HASH'},"
                    "{'AttributeName':'sk','KeyType':'RANGE'}],'TableStatus':'CREATING',"
                    "'CreationDateTime':");
    const char *shown = call("DescribeTable", "{'TableName':'shown'}");
    CHECK_HAS(shown, "{'Table':{");
    CHECK_HAS(shown, "'TableStatus':'ACTIVE'");
    CHECK_HAS(shown, "'ProvisionedThroughput':{'NumberOfDecreasesToday':0,'ReadCapacityUnits':3,"
                     "'WriteCapacityUnits':4},'TableSizeBytes':0,'ItemCount':0,"
                     "'TableArn':'arn:aws:dynamodb:us-east-1:000000000000:table/shown',"
                     "'TableId':'");
    CHECK_HAS(shown, "'StreamSpecification':{'StreamEnabled':true,'StreamViewType':'OLD_IMAGE'},"
                     "'LatestStreamLabel':'");
    CHECK_HAS(shown, "'LatestStreamArn':'arn:aws:dynamodb:us-east-1:000000000000:table/shown/"
                     "stream/");
    CHECK_HAS(shown, "'TableClassSummary':{'TableClass':'STANDARD'},"
                     "'DeletionProtectionEnabled':false}}");
    CHECK_LACKS(shown, "BillingModeSummary");
}

static void on_demand_tables_say_so(void)
{
    call("CreateTable", MAKE_HASH_TABLE("demand", ",'OnDemandThroughput':{'MaxReadRequestUnits':7},"
                                                  "'DeletionProtectionEnabled':true"));
    const char *shown = call("DescribeTable", "{'TableName':'demand'}");
    CHECK_HAS(shown, "'BillingModeSummary':{'BillingMode':'PAY_PER_REQUEST',"
                     "'LastUpdateToPayPerRequestDateTime':");
    CHECK_HAS(shown, "'OnDemandThroughput':{'MaxReadRequestUnits':7}");
    CHECK_HAS(shown, "'DeletionProtectionEnabled':true");
    CHECK_LACKS(shown, "StreamSpecification");
    CHECK_LACKS(shown, "LatestStream");
    CHECK_REFUSED("DeleteTable", "{'TableName':'demand'}",
                  "Resource cannot be deleted as it is currently protected against deletion. "
                  "Disable deletion protection first.");
}

static void a_deleted_table_is_gone_and_its_name_free(void)
{
    call("CreateTable", MAKE_HASH_TABLE("gone", ""));
    call("PutItem", "{'TableName':'gone','Item':{'pk':{'S':'a'}}}");
    CHECK_HAS(call("DeleteTable", "{'TableName':'gone'}"), "'TableStatus':'DELETING'");
    CHECK_REFUSED("GetItem", "{'TableName':'gone','Key':{'pk':{'S':'a'}}}",
                  "ResourceNotFoundException: Requested resource not found");
    call("CreateTable", MAKE_HASH_TABLE("gone", ""));
    CHECK_CALL("GetItem", "{'TableName':'gone','Key':{'pk':{'S':'a'}}}", "{}");
    call("DeleteTable", "{'TableName':'gone'}");
}

static void names_come_in_order_and_pages(void)
{
    CHECK_CALL("ListTables", "{}", "{'TableNames':['demand','shown']}");
    CHECK_CALL("ListTables", "{'Limit':1}",
               "{'TableNames':['demand'],'LastEvaluatedTableName':'demand'}");
    CHECK_CALL("ListTables", "{'Limit':1,'ExclusiveStartTableName':'demand'}",
               "{'TableNames':['shown']}");
    CHECK_CALL("ListTables", "{'ExclusiveStartTableName':'shown'}", "{'TableNames':[]}");
}

static void the_servers_own_tables_work_by_name_only(void)
{
    const struct table_definition definition = {
        .name = BYTES("headwater.test"),
        .schema = {.partition = {BYTES("pk"), VALUE_S}},
        .view = STREAM_NEW_IMAGE,
    };
    CHECK(store_ensure_table(harness.store, &definition) == OK);
    CHECK_CALL("PutItem", "{'TableName':'headwater.test','Item':{'pk':{'S':'a'}}}", "{}");
    CHECK_HAS(call("DescribeTable", "{'TableName':'headwater.test'}"), "'TableStatus':'ACTIVE'");
    CHECK_LACKS(call("ListTables", "{}"), "headwater");
    CHECK_LACKS(call("ListStreams", "{}"), "headwater");
    CHECK_REFUSED("DeleteTable", "{'TableName':'headwater.test'}",
                  "Tables named headwater.* belong to the server and cannot be deleted");
}

static void an_update_shows_what_was_and_then_what_is(void)
{
    CHECK_HAS(call("UpdateTable", "{'TableName':'shown','ProvisionedThroughput':"
                                  "{'ReadCapacityUnits':5,'WriteCapacityUnits':4}}"),
              "'TableStatus':'UPDATING'");
    CHECK_HAS(call("DescribeTable", "{'TableName':'shown'}"), "'ReadCapacityUnits':5");
    CHECK_HAS(call("UpdateTable", "{'TableName':'shown','StreamSpecification':"
                                  "{'StreamEnabled':false}}"),
              "'StreamSpecification':{'StreamEnabled':false}");
    const char *shown = call("DescribeTable", "{'TableName':'shown'}");
    CHECK_LACKS(shown, "StreamSpecification");
    CHECK_HAS(shown, "'LatestStreamArn':");
    CHECK_REFUSED("UpdateTable",
                  "{'TableName':'shown','StreamSpecification':"
                  "{'StreamEnabled':false}}",
                  "Table has no stream to disable: TableName: shown");
    CHECK_HAS(call("UpdateTable", "{'TableName':'demand','DeletionProtectionEnabled':false}"),
              "'TableStatus':'ACTIVE'");
    CHECK_HAS(call("DescribeTable", "{'TableName':'demand'}"), "'DeletionProtectionEnabled':false");
    CHECK_HAS(call("UpdateTable", "{'TableName':'demand','DeletionProtectionEnabled':true}"),
              "'DeletionProtectionEnabled':true");
}

static void tables_survive_a_restart(void)
{
    static char before[4096];
    snprintf(before, sizeof(before), "%s", call("DescribeTable", "{'TableName':'shown'}"));
    harness_close();
    harness_open();
    CHECK_TEXT(call("DescribeTable", "{'TableName':'shown'}"), before);
}

int main(void)
{
    harness_init();
    RUN(a_table_is_shown_as_it_was_made);
    RUN(on_demand_tables_say_so);
    RUN(a_deleted_table_is_gone_and_its_name_free);
    RUN(names_come_in_order_and_pages);
    RUN(the_servers_own_tables_work_by_name_only);
    RUN(an_update_shows_what_was_and_then_what_is);
    RUN(tables_survive_a_restart);
    harness_fini();
    return CHECK_RESULT();
}
