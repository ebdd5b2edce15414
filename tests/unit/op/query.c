/* op: Query reads one partition in order, a page at a time. */
#include "harness.h"

#define COUNT 20

static char pages[4096]; /* sort keys of all pages, '|' between pages */

static void put_all(void)
{
    for (int i = 0; i < COUNT; i++) {
        char json[256];
        snprintf(json, sizeof(json),
                 "{'TableName':'both','Item':{'pk':{'S':'p'},'sk':{'N':'%d'},"
                 "'odd':{'BOOL':%s}}}",
                 i, i % 2 ? "true" : "false");
        CHECK_CALL("PutItem", json, "{}");
    }
    call("PutItem", "{'TableName':'both','Item':{'pk':{'S':'q'},'sk':{'N':'5'}}}");
}

/* All pages of a query, with what it says between the braces. */
static const char *walk(const char *more)
{
    char start[256] = "";
    size_t len = 0;
    pages[0] = 0;
    for (int turn = 0; turn < 50; turn++) {
        char json[1024];
        snprintf(json, sizeof(json),
                 "{'TableName':'both','ExpressionAttributeNames':{'#p':'pk'}%s%s}", start, more);
        const char *answer = call("Query", json);
        if (harness.status != 200) {
            return answer;
        }
        for (const char *p = answer; (p = strstr(p, quoted("'sk':{'N':'"))) != NULL; p++) {
            if (strstr(answer, "LastEvaluatedKey") != NULL &&
                p > strstr(answer, "LastEvaluatedKey")) {
                break;
            }
            long sk = strtol(p + 11, NULL, 10);
            len += (size_t)snprintf(pages + len, sizeof(pages) - len, "%ld ", sk);
        }
        const char *last = strstr(answer, "LastEvaluatedKey");
        if (last == NULL) {
            return pages;
        }
        const char *number = strstr(last, quoted("'N':'"));
        snprintf(start, sizeof(start), ",'ExclusiveStartKey':{'pk':{'S':'p'},'sk':{'N':'%ld'}}",
                 strtol(number + 5, NULL, 10));
        len += (size_t)snprintf(pages + len, sizeof(pages) - len, "| ");
    }
    return "it does not end";
}

#define PARTITION "'KeyConditionExpression':'#p = :p','ExpressionAttributeValues':{':p':{'S':'p'}}"
#define RANGE(condition, values)                                                                   \
    ",'KeyConditionExpression':'#p = :p AND " condition                                            \
    "','ExpressionAttributeValues':{':p':{'S':'p'}," values "}"

static void sort_keys_select_a_range(void)
{
    CHECK_TEXT(walk("," PARTITION), "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 ");
    CHECK_TEXT(walk(RANGE("sk < :a", "':a':{'N':'3'}")), "0 1 2 ");
    CHECK_TEXT(walk(RANGE("sk <= :a", "':a':{'N':'3'}")), "0 1 2 3 ");
    CHECK_TEXT(walk(RANGE("sk > :a", "':a':{'N':'17'}")), "18 19 ");
    CHECK_TEXT(walk(RANGE("sk >= :a", "':a':{'N':'17'}")), "17 18 19 ");
    CHECK_TEXT(walk(RANGE("sk = :a", "':a':{'N':'9'}")), "9 ");
    CHECK_TEXT(walk(RANGE("sk BETWEEN :a AND :b", "':a':{'N':'9'},':b':{'N':'11'}")), "9 10 11 ");
    CHECK_TEXT(walk(RANGE("sk BETWEEN :a AND :b", "':a':{'N':'8.5'},':b':{'N':'10.5'}")), "9 10 ");
}

static void pages_follow_each_other_both_ways(void)
{
    CHECK_TEXT(walk(",'Limit':7," PARTITION),
               "0 1 2 3 4 5 6 | 7 8 9 10 11 12 13 | 14 15 16 17 18 19 ");
    CHECK_TEXT(walk(",'Limit':7,'ScanIndexForward':false," PARTITION),
               "19 18 17 16 15 14 13 | 12 11 10 9 8 7 6 | 5 4 3 2 1 0 ");
    CHECK_TEXT(walk(",'Limit':2,'ScanIndexForward':false" RANGE("sk < :a", "':a':{'N':'5'}")),
               "4 3 | 2 1 | 0 ");
}

static void filters_count_what_was_read(void)
{
    CHECK_CALL("Query",
               "{'TableName':'both','KeyConditionExpression':'pk = :p AND sk < :n',"
               "'FilterExpression':'odd = :t','ProjectionExpression':'sk',"
               "'ExpressionAttributeValues':{':p':{'S':'p'},':n':{'N':'5'},':t':{'BOOL':true}},"
               "'ReturnConsumedCapacity':'TOTAL'}",
               "{'Items':[{'sk':{'N':'1'}},{'sk':{'N':'3'}}],'Count':2,'ScannedCount':5,"
               "'ConsumedCapacity':{'TableName':'both','CapacityUnits':0.5}}");
    CHECK_CALL("Query",
               "{'TableName':'both','KeyConditionExpression':'pk = :p','Select':'COUNT',"
               "'Limit':4,'FilterExpression':'odd = :t',"
               "'ExpressionAttributeValues':{':p':{'S':'p'},':t':{'BOOL':true}}}",
               "{'Count':2,'ScannedCount':4,'LastEvaluatedKey':{'pk':{'S':'p'},'sk':{'N':'3'}}}");
    CHECK_CALL("Query",
               "{'TableName':'both','KeyConditionExpression':'pk = :p',"
               "'ExpressionAttributeValues':{':p':{'S':'nobody'}}}",
               "{'Items':[],'Count':0,'ScannedCount':0}");
}

static void prefixes_are_ranges_too(void)
{
    static const char *const sorts[] = {"a", "ab", "aba", "abz", "ac", "b"};
    call("CreateTable",
         "{'TableName':'texts','BillingMode':'PAY_PER_REQUEST','AttributeDefinitions':["
         "{'AttributeName':'pk','AttributeType':'S'},{'AttributeName':'sk','AttributeType':'S'}],"
         "'KeySchema':[{'AttributeName':'pk','KeyType':'HASH'},"
         "{'AttributeName':'sk','KeyType':'RANGE'}]}");
    for (size_t i = 0; i < sizeof(sorts) / sizeof(sorts[0]); i++) {
        char json[256];
        snprintf(json, sizeof(json),
                 "{'TableName':'texts','Item':{'pk':{'S':'p'},'sk':{'S':'%s'}}}", sorts[i]);
        CHECK_CALL("PutItem", json, "{}");
    }
    CHECK_CALL("Query",
               "{'TableName':'texts','KeyConditionExpression':'pk = :p AND begins_with(sk, :s)',"
               "'ProjectionExpression':'sk','ScanIndexForward':false,"
               "'ExpressionAttributeValues':{':p':{'S':'p'},':s':{'S':'ab'}}}",
               "{'Items':[{'sk':{'S':'abz'}},{'sk':{'S':'aba'}},{'sk':{'S':'ab'}}],'Count':3,"
               "'ScannedCount':3}");
}

static void a_page_ends_past_one_megabyte(void)
{
    static char json[310 * 1024];
    static char fill[300 * 1024 + 1];
    memset(fill, 'x', sizeof(fill) - 1);
    for (int i = 0; i < 6; i++) {
        snprintf(json, sizeof(json),
                 "{'TableName':'both','Item':{'pk':{'S':'big'},'sk':{'N':'%d'},'f':{'S':'%s'}}}", i,
                 fill);
        CHECK_CALL("PutItem", json, "{}");
    }
    CHECK_HAS(call("Query", "{'TableName':'both','KeyConditionExpression':'pk = :p',"
                            "'Select':'COUNT','ExpressionAttributeValues':{':p':{'S':'big'}},"
                            "'ConsistentRead':true,'ReturnConsumedCapacity':'TOTAL'}"),
              "{'Count':4,'ScannedCount':4,'LastEvaluatedKey':{'pk':{'S':'big'},'sk':{'N':'3'}},"
              "'ConsumedCapacity':{'TableName':'both','CapacityUnits':301.0}}");
}

static void start_keys_are_checked(void)
{
#define START(condition, values, key)                                                              \
    "{'TableName':'both','KeyConditionExpression':'pk = :p" condition                              \
    "','ExpressionAttributeValues':{':p':{'S':'p'}" values "},'ExclusiveStartKey':" key "}"
    CHECK_REFUSED("Query", START("", "", "{'pk':{'S':'p'}}"),
                  "The provided starting key is invalid");
    CHECK_REFUSED("Query", START("", "", "{'pk':{'S':'p'},'sk':{'S':'1'}}"),
                  "The provided starting key is invalid");
    CHECK_REFUSED("Query", START("", "", "{'pk':{'S':'x'},'sk':{'N':'1'}}"),
                  "The provided starting key is outside query boundaries based on provided "
                  "conditions");
    CHECK_REFUSED("Query",
                  START(" AND sk > :n", ",':n':{'N':'5'}", "{'pk':{'S':'p'},'sk':{'N':'5'}}"),
                  "The provided starting key does not match the range key predicate");
    CHECK_REFUSED("Query",
                  START(" AND sk > :n", ",':n':{'N':'5'}", "{'pk':{'S':'x'},'sk':{'N':'6'}}"),
                  "The query can return at most one row and cannot be restarted");
}

static void filters_stay_off_the_key(void)
{
    CHECK_REFUSED("Query",
                  "{'TableName':'both','KeyConditionExpression':'pk = :p','FilterExpression':"
                  "'sk = :p','ExpressionAttributeValues':{':p':{'S':'p'}}}",
                  "Filter Expression can only contain non-primary key attributes: Primary key "
                  "attribute: sk");
}

int main(void)
{
    harness_init();
    call("CreateTable", MAKE_TABLE("both", ""));
    put_all();
    RUN(sort_keys_select_a_range);
    RUN(pages_follow_each_other_both_ways);
    RUN(filters_count_what_was_read);
    RUN(prefixes_are_ranges_too);
    RUN(a_page_ends_past_one_megabyte);
    RUN(start_keys_are_checked);
    RUN(filters_stay_off_the_key);
    harness_fini();
    return CHECK_RESULT();
}
