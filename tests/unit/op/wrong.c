/* op: wrong requests get DynamoDB's words, whole. */
#include "harness.h"

struct wrong {
    const char *op;
    const char *json;
    const char *text;
};

#define ONE "1 validation error detected: "
#define MUST " failed to satisfy constraint: Member must "
#define SERIAL "SerializationException: "
#define CAPACITY_SET "satisfy enum value set: [INDEXES, TOTAL, NONE]"
#define PATTERN "satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
#define VALUES "One or more parameter values were invalid: "

static void check_all(const struct wrong *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *actual = refusal(rows[i].op, rows[i].json);
        if (strcmp(actual, rows[i].text) != 0) {
            check_failures++;
            printf("%s %s\n  is       %s\n  expected %s\n", rows[i].op, rows[i].json, actual,
                   rows[i].text);
        }
    }
}
#define CHECK_ALL(rows) check_all(rows, sizeof(rows) / sizeof((rows)[0]))

static void wrong_json_types(void)
{
    static const struct wrong rows[] = {
        {"GetItem", "{'TableName':1}", SERIAL "NUMBER_VALUE cannot be converted to String"},
        {"GetItem", "{'TableName':1.5}", SERIAL "DECIMAL_VALUE cannot be converted to String"},
        {"GetItem", "{'TableName':true}", SERIAL "TRUE_VALUE cannot be converted to String"},
        {"GetItem", "{'TableName':false}", SERIAL "FALSE_VALUE cannot be converted to String"},
        {"GetItem", "{'TableName':['a']}",
         SERIAL "Unrecognized collection type class java.lang.String"},
        {"GetItem", "{'TableName':{}}",
         SERIAL "Start of structure or map found where not expected"},
        {"GetItem", "{'ReturnConsumedCapacity':1}",
         SERIAL "NUMBER_VALUE cannot be converted to String"},
        {"GetItem", "{'ConsistentRead':'maybe'}", SERIAL "Unexpected token received from parser"},
        {"GetItem", "{'ConsistentRead':' true'}", SERIAL "Unexpected token received from parser"},
        {"GetItem", "{'ConsistentRead':1}", SERIAL "NUMBER_VALUE cannot be converted to Boolean"},
        {"GetItem", "{'ConsistentRead':1.5}",
         SERIAL "DECIMAL_VALUE cannot be converted to Boolean"},
        {"GetItem", "{'ConsistentRead':{}}",
         SERIAL "Start of structure or map found where not expected"},
        {"GetItem", "{'ConsistentRead':[]}", "SerializationException"},
        {"GetItem", "{'Key':'a'}", SERIAL "Unexpected field type"},
        {"GetItem", "{'Key':[]}",
         SERIAL "Unrecognized collection type java.util.Map<java.lang.String, "
                "com.amazonaws.dynamodb.v20120810.AttributeValue>"},
        {"GetItem", "{'ExpressionAttributeNames':[]}",
         SERIAL "Unrecognized collection type java.util.Map<java.lang.String, java.lang.String>"},
        {"GetItem", "{'ExpressionAttributeNames':{'#a':1}}",
         SERIAL "NUMBER_VALUE cannot be converted to String"},
        {"Query", "{'Limit':'1'}", SERIAL "STRING_VALUE cannot be converted to Integer"},
        {"Query", "{'Limit':true}", SERIAL "TRUE_VALUE cannot be converted to Integer"},
        {"Query", "{'Limit':[]}", SERIAL "Unrecognized collection type class java.lang.Integer"},
        {"CreateTable", "{'ProvisionedThroughput':{'ReadCapacityUnits':'1'}}",
         SERIAL "STRING_VALUE cannot be converted to Long"},
        {"CreateTable", "{'ProvisionedThroughput':[]}",
         SERIAL "Unrecognized collection type class "
                "com.amazonaws.dynamodb.v20120810.ProvisionedThroughput"},
        {"CreateTable", "{'ProvisionedThroughput':1}", SERIAL "Unexpected field type"},
        {"CreateTable", "{'KeySchema':{}}",
         SERIAL "Start of structure or map found where not expected"},
        {"CreateTable", "{'KeySchema':'a'}", SERIAL "Unexpected field type"},
        {"CreateTable", "{'KeySchema':['a']}", SERIAL "Unexpected value type in payload"},
        {"CreateTable", "{'KeySchema':[[]]}",
         SERIAL "Unrecognized collection type class "
                "com.amazonaws.dynamodb.v20120810.KeySchemaElement"},
        {"TransactWriteItems", "{'TransactItems':[{'Put':[]}]}",
         SERIAL "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.Put"},
    };
    CHECK_ALL(rows);
}

static void item_calls_tell_constraints(void)
{
    static const struct wrong rows[] = {
        {"GetItem", "{'TableName':'','ReturnConsumedCapacity':'x'}",
         ONE "Value at 'TableName'" MUST "have length greater than or equal to 1"},
        {"GetItem", "{'TableName':'ab','Key':{}}",
         ONE "Value 'ab' at 'tableName'" MUST "have length greater than or equal to 3"},
        {"GetItem", "{'TableName':'a!','Key':{}}",
         ONE "Value 'a!' at 'tableName'" MUST "have length greater than or equal to 3"},
        {"GetItem", "{'TableName':'abc!','Key':{}}",
         ONE "Value 'abc!' at 'tableName'" MUST PATTERN},
        {"GetItem", "{'TableName':'abc!','ReturnConsumedCapacity':'x','Key':{}}",
         "2 validation errors detected: Value 'abc!' at 'tableName'" MUST PATTERN
         "; Value 'x' at 'returnConsumedCapacity'" MUST CAPACITY_SET},
        {"GetItem", "{'TableName':'abc'}", ONE "Value null at 'key'" MUST "not be null"},
        {"GetItem", "{'Key':null}",
         "2 validation errors detected: Value null at 'tableName'" MUST
         "not be null; Value null at 'key'" MUST "not be null"},
        {"GetItem", "{'TableName':'abc','Key':{},'AttributesToGet':['a']}",
         "Headwater does not support AttributesToGet yet"},
        {"GetItem", "{'TableName':'abc','Key':{},'AttributesToGet':null,'Unknown':[1]}",
         "ResourceNotFoundException: Requested resource not found"},
        {"PutItem",
         "{'TableName':'ab','ReturnConsumedCapacity':'a','ReturnValues':'b',"
         "'ReturnItemCollectionMetrics':'c','ReturnValuesOnConditionCheckFailure':'d','Item':{}}",
         "5 validation errors detected: Value 'ab' at 'tableName'" MUST
         "have length greater than or equal to 3; Value 'a' at 'returnConsumedCapacity'" MUST
             CAPACITY_SET "; Failed to satisfy constraint: Member must satisfy enum value set: "
         "[ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATE_NEW, NONE]; Value 'c' at "
         "'returnItemCollectionMetrics'" MUST "satisfy enum value set: [SIZE, NONE]; Value 'd' at "
         "'returnValuesOnConditionCheckFailure'" MUST "satisfy enum value set: [ALL_OLD, NONE]"},
        {"PutItem", "{'TableName':'abc','Item':{},'ReturnValues':'ALL_NEW'}",
         "ReturnValues can only be ALL_OLD or NONE"},
        {"PutItem", "{'TableName':'abc','Item':{},'Expected':{}}",
         "Headwater does not support Expected yet"},
        {"UpdateItem", "{'TableName':'a!','Key':{},'ReturnConsumedCapacity':'x'}",
         "2 validation errors detected: Value 'a!' at 'tableName'" MUST PATTERN
         "; Value 'a!' at 'tableName'" MUST "have length greater than or equal to 3"},
        {"UpdateItem",
         "{'TableName':'abc','Key':{},'ReturnConsumedCapacity':'x',"
         "'ReturnItemCollectionMetrics':'y'}",
         ONE "Value 'y' at 'returnItemCollectionMetrics'" MUST
             "satisfy enum value set: [SIZE, NONE]"},
        {"UpdateItem", "{'TableName':'abc','Key':{},'ReturnConsumedCapacity':'x'}",
         "Value 'x' at 'returnConsumedCapacity'" MUST CAPACITY_SET},
        {"UpdateItem", "{'TableName':'a!','ReturnItemCollectionMetrics':'y'}",
         "2 validation errors detected: Value 'y' at 'returnItemCollectionMetrics'" MUST
         "satisfy enum value set: [SIZE, NONE]; Value null at 'key'" MUST "not be null"},
        {"UpdateItem", "{'ReturnValues':'x'}",
         "3 validation errors detected: Value null at 'tableName'" MUST
         "not be null; Value 'x' at 'returnValues'" MUST
         "satisfy enum value set: [ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]; "
         "Value null at 'key'" MUST "not be null"},
        {"Query", "{'TableName':'','Limit':0}",
         "2 validation errors detected: Value at 'Limit'" MUST
         "have value greater than or equal to 1; Value at 'TableName'" MUST
         "have length greater than or equal to 1"},
        {"Query", "{'TableName':'abc','Limit':0}",
         ONE "Value at 'Limit'" MUST "have value greater than or equal to 1"},
        {"Query", "{'TableName':'abc','Limit':0.5}",
         ONE "Value '0' at 'limit'" MUST "have value greater than or equal to 1"},
        {"Query", "{'TableName':'a!c','Limit':0.5,'Select':'x'}",
         "3 validation errors detected: Value 'x' at 'select'" MUST
         "satisfy enum value set: [SPECIFIC_ATTRIBUTES, COUNT, ALL_ATTRIBUTES, "
         "ALL_PROJECTED_ATTRIBUTES]; Value 'a!c' at 'tableName'" MUST PATTERN
         "; Value '0' at 'limit'" MUST "have value greater than or equal to 1"},
        {"Query",
         "{'TableName':'abc','KeyConditionExpression':'pk = :v','ExclusiveStartKey':{'pk':{}}}",
         "The provided starting key is invalid: Supplied AttributeValue is empty, must contain "
         "exactly one of the supported datatypes"},
        {"Query",
         "{'TableName':'abc','KeyConditionExpression':'pk = :v','ExclusiveStartKey':"
         "{'pk':{'N':'x'}}}",
         "The parameter cannot be converted to a numeric value: x"},
        {"Query", "{'Limit':0,'Select':'x'}",
         "3 validation errors detected: Value 'x' at 'select'" MUST
         "satisfy enum value set: [SPECIFIC_ATTRIBUTES, COUNT, ALL_ATTRIBUTES, "
         "ALL_PROJECTED_ATTRIBUTES]; Value null at 'tableName'" MUST
         "not be null; Value '0' at 'limit'" MUST "have value greater than or equal to 1"},
        {"Query", "{'TableName':'abc'}",
         "Either the KeyConditions or KeyConditionExpression parameter must be specified in the "
         "request."},
        {"Query", "{'TableName':'abc','IndexName':'i'}",
         ONE "Value 'i' at 'indexName'" MUST "have length greater than or equal to 3"},
        {"Query", "{'TableName':'abc','Select':'COUNT','ProjectionExpression':'a'}",
         ONE "Cannot specify the ProjectionExpression when choosing to get only the Count"},
        {"Query", "{'TableName':'abc','Select':'SPECIFIC_ATTRIBUTES'}",
         ONE "Must specify the AttributesToGet or ProjectionExpression when choosing to get "
             "SPECIFIC_ATTRIBUTES"},
        {"Query", "{'TableName':'abc','Select':'ALL_PROJECTED_ATTRIBUTES'}",
         ONE "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName"},
    };
    CHECK_ALL(rows);
}

static void values_and_tokens_are_checked_before_the_table(void)
{
    static const struct wrong rows[] = {
        {"PutItem", "{'TableName':'none','Item':{'a':{'N':'abc'}}}",
         ONE "The parameter cannot be converted to a numeric value: abc"},
        {"GetItem", "{'TableName':'none','Key':{'a':{'N':'abc'}}}",
         "The parameter cannot be converted to a numeric value: abc"},
        {"PutItem", "{'TableName':'none','Item':{'a':{'SS':[]}}}",
         ONE VALUES "An string set  may not be empty"},
        {"PutItem", "{'TableName':'none','Item':{'a':{'BOOL':'true'},'b':{'N':''}}}",
         "The parameter cannot be converted to a numeric value"},
        {"PutItem", "{'TableName':'none','Item':{'b':{'N':''},'a':{'S':'x','NULL':true}}}",
         "The parameter cannot be converted to a numeric value"},
        {"PutItem",
         "{'TableName':'none','Item':{'a':{'NULL':'y'}},'ConditionExpression':'a = :v',"
         "'ExpressionAttributeValues':{':v':{'SS':['b','a','b']}}}",
         "ExpressionAttributeValues contains invalid value: " VALUES
         "Input collection [b, a, b] contains duplicates. for key :v"},
        {"PutItem", "{'TableName':'none','Item':{'a':{'BOOL':'f'}},'ConditionExpression':'a'}",
         "Invalid ConditionExpression: Syntax error; token: \"<EOF>\", near: \"a\""},
        {"TransactWriteItems",
         "{'TransactItems':[{'Put':{'TableName':'none','Item':{'a':{'N':'x'}}}},"
         "{'Put':{'TableName':'none','Item':{'a':{'NS':['1','1']}}}}]}",
         "Input collection contains duplicates"},
        {"TransactWriteItems",
         "{'TransactItems':[{'Put':{'TableName':'none','Item':{'a':{'N':''}}}}]}",
         "The parameter cannot be converted to a numeric value"},
        {"PutItem", "{'TableName':'none','Item':{'a':{}}}",
         "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"},
        {"TransactWriteItems",
         "{'TransactItems':[{'Put':{'TableName':'none','Item':{},'ConditionExpression':'a=:v',"
         "'ExpressionAttributeValues':{':v':{'N':'abc'}}}}]}",
         "ExpressionAttributeValues contains invalid value: The parameter cannot be converted to a "
         "numeric value: abc for key :v"},
        {"PutItem", "{'TableName':'none','Item':{},'ExpressionAttributeNames':{'#a':'a'}}",
         ONE "ExpressionAttributeNames can only be specified when using expressions"},
        {"GetItem",
         "{'TableName':'none','Key':{},'ProjectionExpression':'a','ExpressionAttributeNames':{}}",
         "ExpressionAttributeNames must not be empty"},
        {"PutItem",
         "{'TableName':'none','Item':{},'ConditionExpression':'a = :v',"
         "'ExpressionAttributeValues':{':v':{'S':'a'},':w':{'S':'b'}}}",
         ONE "Value provided in ExpressionAttributeValues unused in expressions: keys: {:w}"},
        {"PutItem",
         "{'TableName':'none','Item':{},'ConditionExpression':'a = :v',"
         "'ExpressionAttributeValues':{'v':{'S':'a'}}}",
         ONE "ExpressionAttributeValues contains invalid key: Syntax error; key: \"v\""},
        {"GetItem",
         "{'TableName':'none','Key':{},'ProjectionExpression':'#a',"
         "'ExpressionAttributeNames':{'#a':''}}",
         "ExpressionAttributeNames contains invalid value: Empty attribute name for key #a"},
        {"PutItem", "{'TableName':'none','Item':{},'ConditionExpression':''}",
         ONE "Invalid ConditionExpression: The expression can not be empty;"},
        {"GetItem", "{'TableName':'none','Key':{},'ProjectionExpression':''}",
         "Invalid ProjectionExpression: The expression can not be empty;"},
        {"UpdateItem",
         "{'TableName':'none','Key':{},'ConditionExpression':'','UpdateExpression':''}",
         ONE "Invalid ConditionExpression: The expression can not be empty;"},
        {"PutItem", "{'TableName':'none','Item':{}}",
         "ResourceNotFoundException: Requested resource not found"},
    };
    CHECK_ALL(rows);
}

static void keys_are_told_by_what_is_wrong_with_them(void)
{
    static const struct wrong rows[] = {
        {"PutItem", "{'TableName':'both','Item':{'pk':{'S':'a'}}}",
         VALUES "Missing the key sk in the item"},
        {"PutItem", "{'TableName':'both','Item':{'pk':{'N':'1'},'sk':{'N':'1'}}}",
         VALUES "Type mismatch for key pk expected: S actual: N"},
        {"PutItem", "{'TableName':'both','Item':{'pk':{'S':''},'sk':{'N':'1'}}}",
         "One or more parameter values are not valid. The AttributeValue for a key attribute "
         "cannot "
         "contain an empty string value. Key: pk"},
        {"GetItem", "{'TableName':'both','Key':{'pk':{'S':'a'}}}",
         "The provided key element does not match the schema"},
        {"GetItem", "{'TableName':'both','Key':{'pk':{'S':'a'},'sk':{'N':'1'},'x':{'N':'1'}}}",
         "The provided key element does not match the schema"},
        {"DeleteItem", "{'TableName':'both','Key':{'pk':{'S':'a'},'sk':{'S':'1'}}}",
         "The provided key element does not match the schema"},
        {"UpdateItem",
         "{'TableName':'both','Key':{'pk':{'S':'a'},'sk':{'N':'1'}},"
         "'UpdateExpression':'SET pk = :v','ExpressionAttributeValues':{':v':{'S':'a'}}}",
         VALUES "Cannot update attribute pk. This attribute is part of the key"},
    };
    CHECK_ALL(rows);
}

static void tables_are_told_in_the_control_planes_words(void)
{
    static const struct wrong rows[] = {
        {"CreateTable", "{}",
         "The parameter 'TableName' is required but was not present in the request"},
        {"DeleteTable", "{'TableName':'ab'}",
         ONE "Value 'ab' at 'tableName'" MUST "have length greater than or equal to 3"},
        {"CreateTable", "{'TableName':'abc!','BillingMode':'x'}",
         "4 validation errors detected: Value 'abc!' at 'tableName'" MUST PATTERN
         "; Value 'x' at 'billingMode'" MUST
         "satisfy enum value set: [PROVISIONED, PAY_PER_REQUEST]; Value null at "
         "'attributeDefinitions'" MUST "not be null; Value null at 'keySchema'" MUST "not be null"},
        {"CreateTable",
         "{'TableName':'abc','AttributeDefinitions':[],'KeySchema':[],"
         "'ProvisionedThroughput':{'ReadCapacityUnits':0}}",
         "3 validation errors detected: Value null at "
         "'provisionedThroughput.writeCapacityUnits'" MUST
         "not be null; Value '0' at 'provisionedThroughput.readCapacityUnits'" MUST
         "have value greater than or equal to 1; Value '[]' at 'keySchema'" MUST
         "have length greater than or equal to 1"},
        {"CreateTable",
         "{'TableName':'abc','AttributeDefinitions':[{'AttributeName':'','AttributeType':'X'}],"
         "'KeySchema':[{'AttributeName':'pk','KeyType':'HASH'}]}",
         "2 validation errors detected: Value 'X' at "
         "'attributeDefinitions.1.member.attributeType'" MUST
         "satisfy enum value set: [B, N, S]; Value '' at "
         "'attributeDefinitions.1.member.attributeName'" MUST
         "have length greater than or equal to 1"},
        {"CreateTable",
         "{'TableName':'abc','AttributeDefinitions':[{'AttributeName':'pk','AttributeType':'S'}],"
         "'KeySchema':[{'AttributeName':'pk','KeyType':'HASH'}]}",
         VALUES "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode "
                "is PROVISIONED"},
        {"CreateTable",
         MAKE_HASH_TABLE("abc",
                         ",'ProvisionedThroughput':{'ReadCapacityUnits':1,'WriteCapacityUnits':1}"),
         VALUES
         "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode "
         "is PAY_PER_REQUEST"},
        {"CreateTable", MAKE_HASH_TABLE("headwater.mine", ""),
         "Tables named headwater.* belong to the server and cannot be created"},
        {"CreateTable", MAKE_HASH_TABLE("abc", ",'GlobalSecondaryIndexes':[]"),
         "Headwater does not support GlobalSecondaryIndexes yet"},
        {"CreateTable",
         MAKE_HASH_TABLE("abc", ",'StreamSpecification':{'StreamEnabled':false,"
                                "'StreamViewType':'NEW_IMAGE'}"),
         VALUES "Table is being created with a stream disabled, UpdateViewType should not be "
                "specified"},
        {"CreateTable",
         "{'TableName':'abc','BillingMode':'PAY_PER_REQUEST','AttributeDefinitions':"
         "[{'AttributeName':'a','AttributeType':'S'}],'KeySchema':"
         "[{'AttributeName':'b','KeyType':'HASH'}]}",
         VALUES "Some index key attributes are not defined in AttributeDefinitions. Keys: [b], "
                "AttributeDefinitions: [a]"},
        {"CreateTable",
         "{'TableName':'abc','BillingMode':'PAY_PER_REQUEST','AttributeDefinitions':"
         "[{'AttributeName':'a','AttributeType':'S'},{'AttributeName':'b','AttributeType':'S'}],"
         "'KeySchema':[{'AttributeName':'a','KeyType':'HASH'}]}",
         VALUES "Number of attributes in KeySchema does not exactly match number of attributes "
                "defined in AttributeDefinitions"},
        {"CreateTable",
         "{'TableName':'abc','BillingMode':'PAY_PER_REQUEST','AttributeDefinitions':"
         "[{'AttributeName':'a','AttributeType':'S'}],"
         "'KeySchema':[{'AttributeName':'a','KeyType':'RANGE'}]}",
         "Invalid KeySchema: The first KeySchemaElement is not a HASH key type"},
        {"CreateTable", MAKE_HASH_TABLE("hash", ""),
         "ResourceInUseException: Table already exists: hash"},
        {"DescribeTable", "{'TableName':'none'}",
         "ResourceNotFoundException: Requested resource not found: Table: none not found"},
        {"DeleteTable", "{'TableName':'none'}",
         "ResourceNotFoundException: Requested resource not found: Table: none not found"},
        {"ListTables", "{'Limit':0}",
         ONE "Value '0' at 'limit'" MUST "have value greater than or equal to 1"},
        {"ListTables", "{'Limit':101}",
         ONE "Value '101' at 'limit'" MUST "have value less than or equal to 100"},
        {"ListTables", "{'ExclusiveStartTableName':'a'}",
         ONE "Value 'a' at 'exclusiveStartTableName'" MUST
             "have length greater than or equal to 3"},
        {"ListTables", "{'ExclusiveStartTableName':''}",
         "2 validation errors detected: Value '' at 'exclusiveStartTableName'" MUST PATTERN
         "; Value '' at 'exclusiveStartTableName'" MUST "have length greater than or equal to 3"},
        {"DescribeTable", "{'TableName':''}",
         "2 validation errors detected: Value '' at 'tableName'" MUST
         "have length greater than or equal to 3; Value '' at 'tableName'" MUST PATTERN},
    };
    CHECK_ALL(rows);
}

static void transactions_are_told_in_their_order(void)
{
    static const struct wrong rows[] = {
        {"TransactWriteItems", "{}", ONE "Value null at 'transactItems'" MUST "not be null"},
        {"TransactWriteItems", "{'TransactItems':[],'ReturnConsumedCapacity':'x'}",
         ONE "Value '[]' at 'transactItems'" MUST "have length greater than or equal to 1"},
        {"TransactWriteItems",
         "{'TransactItems':[{'Put':{'ReturnValuesOnConditionCheckFailure':'x'}}],"
         "'ClientRequestToken':'1234567890123456789012345678901234567'}",
         "2 validation errors detected: Value 'x' at "
         "'transactItems.1.member.put.returnValuesOnConditionCheckFailure'" MUST
         "satisfy enum value set: [ALL_OLD, NONE]; Value '1234567890123456789012345678901234567' "
         "at "
         "'clientRequestToken'" MUST "have length less than or equal to 36"},
        {"TransactWriteItems", "{'TransactItems':[{}]}",
         "Invalid Request: TransactWriteRequest should contain Delete or Put or Update request"},
        {"TransactWriteItems", "{'TransactItems':[{'Put':{},'Delete':{}}]}",
         "TransactItems can only contain one of Check, Put, Update or Delete"},
        {"TransactWriteItems",
         "{'TransactItems':[{'Put':{'TableName':'abc','Item':{}}},"
         "{'Update':{'TableName':'a!','Key':{},'UpdateExpression':'x'}}]}",
         "2 validation errors detected: Value 'a!' at "
         "'transactItems.2.member.update.tableName'" MUST
         "have length greater than or equal to 3; Value 'a!' at "
         "'transactItems.2.member.update.tableName'" MUST PATTERN},
        {"TransactWriteItems",
         "{'TransactItems':[{'Put':{'TableName':'hash','Item':{'pk':{'S':'a'}}}},"
         "{'Delete':{'TableName':'hash','Key':{'pk':{'S':'a'}}}}]}",
         "Transaction request cannot include multiple operations on one item"},
        {"TransactWriteItems",
         "{'TransactItems':[{'Put':{'TableName':'none','Item':{'pk':{'S':'a'}}}}]}",
         "ResourceNotFoundException: Requested resource not found"},
        {"TransactWriteItems",
         "{'TransactItems':[{'Put':{'TableName':'hash','Item':{'pk':{'S':''}}}},"
         "{'Put':{'TableName':'hash','Item':{'pk':{'S':'a'}}}},"
         "{'Delete':{'TableName':'hash','Key':{'pk':{'S':'a'}}}}]}",
         "Transaction request cannot include multiple operations on one item"},
        {"TransactWriteItems",
         "{'TransactItems':[{'Put':{'TableName':'hash','Item':{'pk':{'S':''}}}}]}",
         "One or more parameter values are not valid. The AttributeValue for a key attribute "
         "cannot "
         "contain an empty string value. Key: pk"},
    };
    CHECK_ALL(rows);
}

static void streams_are_told_what_is_wrong(void)
{
#define ARN "arn:aws:dynamodb:us-east-1:000000000000:table/none/stream/2026-01-01T00:00:00.000"
#define SHARD "shardId-00000001573689847184-864758bb"
    static const struct wrong rows[] = {
        {"ListStreams", "{'Limit':0}",
         ONE "Value '0' at 'limit'" MUST "have value greater than or equal to 1"},
        {"ListStreams", "{'Limit':101}",
         ONE "Value '101' at 'limit'" MUST "have value less than or equal to 100"},
        {"DescribeStream", "{}", ONE "Value null at 'streamArn'" MUST "not be null"},
        {"DescribeStream", "{'StreamArn':'" ARN "'}",
         "ResourceNotFoundException: Requested resource not found: Stream: " ARN " not found"},
        {"DescribeStream", "{'StreamArn':'" ARN "','ShardFilter':{'Type':'x'}}",
         "2 validation errors detected: Value 'x' at 'shardFilter.type'" MUST
         "satisfy enum value set: [CHILD_SHARDS]; Value null at 'shardFilter.shardId'" MUST
         "not be null"},
        {"GetShardIterator",
         "{'StreamArn':'" ARN "','ShardId':'" SHARD "','ShardIteratorType':'AT_SEQUENCE_NUMBER',"
         "'SequenceNumber':'1'}",
         ONE "Value at 'sequenceNumber'" MUST "have length greater than or equal to 21"},
        {"GetShardIterator",
         "{'StreamArn':'" ARN "','ShardId':'" SHARD "','ShardIteratorType':'AT_SEQUENCE_NUMBER'}",
         VALUES "SequenceNumber cannot be null"},
        {"GetShardIterator",
         "{'StreamArn':'" ARN "','ShardId':'" SHARD "','ShardIteratorType':'LATEST',"
         "'SequenceNumber':'100000000000000000000001'}",
         VALUES "SequenceNumber should not be passed for this iterator type"},
        {"GetRecords", "{'ShardIterator':'x'}", "Invalid ShardIterator"},
        {"GetRecords", "{'ShardIterator':'" ARN "|1|AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=='}",
         "Invalid ShardIterator"},
        {"GetRecords", "{'ShardIterator':'x','Limit':0}",
         ONE "Value '0' at 'limit'" MUST "have value greater than or equal to 1"},
        {"GetRecords", "{'ShardIterator':'x','Limit':1001}",
         ONE "Value '1001' at 'limit'" MUST "have value less than or equal to 1000"},
    };
    CHECK_ALL(rows);
}

static void booleans_may_be_words(void)
{
    static const char *const words[] = {"'true'",  "'T'", "'yes'", "'Y'", "'1'",
                                        "'false'", "'f'", "'No'",  "'n'", "'0'"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        char json[256];
        snprintf(json, sizeof(json),
                 "{'TableName':'hash','Key':{'pk':{'S':'a'}},'ConsistentRead':%s,"
                 "'ReturnConsumedCapacity':'TOTAL'}",
                 words[i]);
        CHECK_HAS(call("GetItem", json), i < 5 ? "'CapacityUnits':1.0" : "'CapacityUnits':0.5");
    }
}

/* Texts are cut; an answer is JSON whatever was echoed and wherever it was cut. */
static void echoes_are_cut_between_characters(void)
{
    static char json[20000];
    static char echo[12001];
    for (size_t i = 0; i < 6000; i++) {
        memcpy(echo + 2 * i, "\xc3\xa9", 2);
    }
    for (size_t shift = 0; shift < 2; shift++) {
        struct json root;
        snprintf(json, sizeof(json), "{'TableName':'%s%s','Key':{}}", shift ? "x" : "", echo);
        const char *answer = call("GetItem", json);
        CHECK(strlen(answer) > 4000 && strlen(answer) < 4500);
        CHECK(json_parse(harness.parser, bytes_cstr(answer), &root) == OK);
        snprintf(json, sizeof(json), "{'TableName':'abc','Key':{'a':{'N':'%s%s'}}}",
                 shift ? "x" : "", echo);
        answer = call("GetItem", json);
        CHECK(json_parse(harness.parser, bytes_cstr(answer), &root) == OK);
    }
}

static void the_tables_describe_themselves(void)
{
    struct buf text;
    struct json root;
    buf_init(&text, 1u << 20);
    op_describe_json(&text);
    CHECK(json_parse(harness.parser, buf_bytes(&text), &root) == OK);
    CHECK(json_type(root) == JSON_ARRAY && json_count(root) == op_list_count);
    buf_add_byte(&text, 0);
    CHECK_HAS((const char *)text.ptr, "{'name':'Limit','type':'integer','min':1,'max':1000}");
    buf_fini(&text);
}

int main(void)
{
    harness_init();
    call("CreateTable", MAKE_TABLE("both", ""));
    call("CreateTable", MAKE_HASH_TABLE("hash", ""));
    RUN(wrong_json_types);
    RUN(item_calls_tell_constraints);
    RUN(values_and_tokens_are_checked_before_the_table);
    RUN(keys_are_told_by_what_is_wrong_with_them);
    RUN(tables_are_told_in_the_control_planes_words);
    RUN(transactions_are_told_in_their_order);
    RUN(streams_are_told_what_is_wrong);
    RUN(booleans_may_be_words);
    RUN(echoes_are_cut_between_characters);
    RUN(the_tables_describe_themselves);
    harness_fini();
    return CHECK_RESULT();
}
