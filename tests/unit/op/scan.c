/* op: Scan reads a whole table or a segment of it, a page at a time. */
#include "harness.h"

#define COUNT 200
#define SEGMENTS_MAX 16

static unsigned char seen[COUNT];

static void put_all(void)
{
    for (int i = 0; i < COUNT; i++) {
        char json[256];
        snprintf(json, sizeof(json),
                 "{'TableName':'both','Item':{'pk':{'S':'p%d'},'sk':{'N':'%d'},'odd':{'BOOL':%s}}}",
                 i / 4, i, i % 2 ? "true" : "false");
        CHECK_CALL("PutItem", json, "{}");
    }
    /* Rows of neighbours, which belong to no scan of this table. */
    call("PutItem", "{'TableName':'hash','Item':{'pk':{'S':'x'}}}");
    call("PutItem", "{'TableName':'other','Item':{'pk':{'S':'p1'},'sk':{'N':'1'}}}");
}

/* Counts the items of all pages of a scan in seen; how many pages it had, 0: it was refused. */
static unsigned walk(const char *more)
{
    char start[512] = "";
    for (unsigned turn = 1; turn < 2 * COUNT; turn++) {
        char json[1024];
        snprintf(json, sizeof(json), "{'TableName':'both'%s%s}", more, start);
        const char *answer = call("Scan", json);
        const char *last = strstr(answer, "\"LastEvaluatedKey\":");
        if (harness.status != 200) {
            printf("%s\n", answer);
            return 0;
        }
        const char *sk = quoted("'sk':{'N':'");
        for (const char *p = answer; (p = strstr(p, sk)) != NULL && (last == NULL || p < last);
             p++) {
            long i = strtol(p + strlen(sk), NULL, 10);
            CHECK(i >= 0 && i < COUNT);
            seen[i]++;
        }
        if (last == NULL) {
            return turn;
        }
        snprintf(start, sizeof(start), ",'ExclusiveStartKey':%.*s",
                 (int)(strstr(last, "}}") + 2 - (last + 19)), last + 19);
    }
    return 0;
}

static void check_each_once(unsigned step)
{
    for (unsigned i = 0; i < COUNT; i++) {
        CHECK(seen[i] == (i % step == step - 1));
    }
    memset(seen, 0, sizeof(seen));
}

static void pages_hold_every_item_once(void)
{
    CHECK(walk("") == 1);
    check_each_once(1);
    CHECK(walk(",'Limit':1") == COUNT + 1);
    check_each_once(1);
    CHECK(walk(",'Limit':7") == COUNT / 7 + 1);
    check_each_once(1);
    CHECK(walk(",'Limit':7,'FilterExpression':'odd = :t',"
               "'ExpressionAttributeValues':{':t':{'BOOL':true}}") == COUNT / 7 + 1);
    check_each_once(2);
}

/* The order is that of the hash, so partitions stay together and another scan gives the same. */
static void order_is_the_same_each_time(void)
{
    char *once = strdup(call("Scan", "{'TableName':'both'}"));
    CHECK_TEXT(call("Scan", "{'TableName':'both','ConsistentRead':true}"), once);
    CHECK(strstr(once, "\"Count\":200,\"ScannedCount\":200}") != NULL);
    free(once);
}

static void segments_are_disjoint_and_complete(void)
{
    for (int total = 1; total <= SEGMENTS_MAX; total++) {
        for (int segment = 0; segment < total; segment++) {
            char more[128];
            snprintf(more, sizeof(more), ",'Segment':%d,'TotalSegments':%d,'Limit':9", segment,
                     total);
            CHECK(walk(more) > 0);
        }
        check_each_once(1);
    }
    /* More segments than items, and the most there may be: the first, some, the last. */
    CHECK_HAS(call("Scan", "{'TableName':'both','Segment':0,'TotalSegments':1000000}"), "'Count':");
    CHECK_HAS(call("Scan", "{'TableName':'both','Segment':999999,'TotalSegments':1000000}"),
              "'Count':");
}

static void segments_with_a_key_of_another_are_refused(void)
{
    unsigned refused = 0;
    for (int segment = 0; segment < 4; segment++) {
        char json[256];
        char expected[256];
        snprintf(json, sizeof(json),
                 "{'TableName':'both','Segment':%d,'TotalSegments':4,'ExclusiveStartKey':"
                 "{'pk':{'S':'p1'},'sk':{'N':'4'}}}",
                 segment);
        snprintf(expected, sizeof(expected),
                 "The provided starting key is invalid: Invalid ExclusiveStartKey. Please use "
                 "ExclusiveStartKey with correct Segment. TotalSegments: 4 Segment: %d",
                 segment);
        const char *answer = refusal("Scan", json);
        refused += strcmp(answer, expected) == 0;
        CHECK(strcmp(answer, expected) == 0 || harness.status == 200);
    }
    CHECK(refused == 3);
}

static void counts_and_capacity_are_of_what_was_read(void)
{
    CHECK_CALL("Scan",
               "{'TableName':'both','Select':'COUNT','FilterExpression':'odd = :t AND sk < :n',"
               "'ExpressionAttributeValues':{':t':{'BOOL':true},':n':{'N':'8'}},"
               "'ReturnConsumedCapacity':'INDEXES'}",
               "{'Count':4,'ScannedCount':200,'ConsumedCapacity':{'TableName':'both',"
               "'CapacityUnits':0.5,'Table':{'CapacityUnits':0.5}}}");
    CHECK_CALL("Scan",
               "{'TableName':'both','FilterExpression':'pk = :p','ProjectionExpression':'sk',"
               "'ExpressionAttributeValues':{':p':{'S':'p9'}},'ConsistentRead':true,"
               "'ReturnConsumedCapacity':'TOTAL'}",
               "{'Items':[{'sk':{'N':'36'}},{'sk':{'N':'37'}},{'sk':{'N':'38'}},"
               "{'sk':{'N':'39'}}],'Count':4,'ScannedCount':200,'ConsumedCapacity':"
               "{'TableName':'both','CapacityUnits':1.0}}");
    CHECK_CALL("Scan", "{'TableName':'empty'}", "{'Items':[],'Count':0,'ScannedCount':0}");
}

/* What a loop may not read in one go comes from a worker, and so does what it may not filter. */
static void long_scans_leave_the_loop(void)
{
    static char fill[1000];
    struct store_figures before;
    struct store_figures after;
    memset(fill, 'x', sizeof(fill) - 1);
    call("CreateTable", MAKE_HASH_TABLE("long", ""));
    for (int i = 0; i < 100; i++) {
        char json[1200];
        snprintf(json, sizeof(json), "{'TableName':'long','Item':{'pk':{'S':'%d'},'x':{'S':'%s'}}}",
                 i, fill);
        CHECK_CALL("PutItem", json, "{}");
    }
    store_figures(harness.store, &before);
    CHECK_CALL("Scan", "{'TableName':'long','Select':'COUNT','Limit':50}",
               "{'Count':50,'ScannedCount':50,'LastEvaluatedKey':{'pk':{'S':'45'}}}");
    store_figures(harness.store, &after);
    CHECK(after.worker_reads == before.worker_reads);
    CHECK_CALL("Scan", "{'TableName':'long','Select':'COUNT'}", "{'Count':100,'ScannedCount':100}");
    store_figures(harness.store, &after);
    CHECK(after.worker_reads == before.worker_reads + 1);
    char filter[1024];
    char json[2048];
    for (size_t i = 0, len = 0; i < 60; i++) {
        len += (size_t)snprintf(filter + len, sizeof(filter) - len, "sk >= :n AND ");
    }
    snprintf(json, sizeof(json),
             "{'TableName':'both','Select':'COUNT','ExpressionAttributeValues':{':n':{'N':'0'}},"
             "'FilterExpression':'%ssk >= :n'}",
             filter);
    CHECK_CALL("Scan", json, "{'Count':200,'ScannedCount':200}");
    store_figures(harness.store, &after);
    CHECK(after.worker_reads == before.worker_reads + 2);
}

/* Rows that were deleted are passed over by a worker, too. */
static void many_deleted_rows_leave_the_loop(void)
{
    struct store_figures before;
    struct store_figures after;
    call("CreateTable", MAKE_HASH_TABLE("gone", ""));
    for (int i = 0; i < 2000; i++) {
        char json[256];
        snprintf(json, sizeof(json), "{'TableName':'gone','Item':{'pk':{'S':'%d'}}}", i);
        CHECK_CALL("PutItem", json, "{}");
        snprintf(json, sizeof(json), "{'TableName':'gone','Key':{'pk':{'S':'%d'}}}", i);
        CHECK_CALL("DeleteItem", json, "{}");
    }
    store_figures(harness.store, &before);
    CHECK_CALL("Scan", "{'TableName':'gone'}", "{'Items':[],'Count':0,'ScannedCount':0}");
    store_figures(harness.store, &after);
    CHECK(after.worker_reads == before.worker_reads + 1);
}

static void a_page_ends_past_one_megabyte(void)
{
    static char json[310 * 1024];
    static char fill[300 * 1024 + 1];
    memset(fill, 'x', sizeof(fill) - 1);
    call("CreateTable", MAKE_HASH_TABLE("big", ""));
    for (int i = 0; i < 6; i++) {
        snprintf(json, sizeof(json), "{'TableName':'big','Item':{'pk':{'S':'%d'},'f':{'S':'%s'}}}",
                 i, fill);
        CHECK_CALL("PutItem", json, "{}");
    }
    const char *answer = call("Scan", "{'TableName':'big','FilterExpression':'pk = :no',"
                                      "'ExpressionAttributeValues':{':no':{'S':'no'}},"
                                      "'ConsistentRead':true,'ReturnConsumedCapacity':'TOTAL'}");
    CHECK_HAS(answer, "{'Items':[],'Count':0,'ScannedCount':4,'LastEvaluatedKey':{'pk':");
    CHECK_HAS(answer, "'CapacityUnits':301.0");
}

#define SCAN(more) "{'TableName':'both'" more "}"

static void refusals_have_their_order(void)
{
    CHECK_REFUSED("Scan", SCAN(",'Segment':4,'TotalSegments':4"),
                  "The Segment parameter is zero-based and must be less than parameter "
                  "TotalSegments");
    CHECK_REFUSED("Scan", SCAN(",'Segment':0"),
                  "The TotalSegments parameter is required but was not present in the request when "
                  "Segment parameter is present");
    CHECK_REFUSED("Scan", SCAN(",'TotalSegments':4"),
                  "The Segment parameter is required but was not present in the request when "
                  "parameter TotalSegments is present");
    CHECK_REFUSED("Scan", SCAN(",'Segment':-1,'TotalSegments':1000001,'Limit':0"),
                  "3 validation errors detected: Value at 'Limit' failed to satisfy constraint: "
                  "Member must have value greater than or equal to 1; Value at 'Segment' failed to "
                  "satisfy constraint: Member must have value greater than or equal to 0; Value at "
                  "'TotalSegments' failed to satisfy constraint: Member must have value less than "
                  "or equal to 1000000");
    CHECK_REFUSED("Scan", SCAN(",'Select':'x','FilterExpression':'a','Segment':0"),
                  "Invalid FilterExpression: Syntax error; token: \"<EOF>\", near: \"a\"");
    CHECK_REFUSED("Scan", SCAN(",'Select':'x','Segment':0"),
                  "1 validation error detected: Value 'x' at 'select' failed to satisfy "
                  "constraint: Member must satisfy enum value set: [SPECIFIC_ATTRIBUTES, COUNT, "
                  "ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES]");
    CHECK_REFUSED("Scan", SCAN(",'ExclusiveStartKey':{'pk':{'S':'p'}}"),
                  "The provided starting key is invalid");
    CHECK_REFUSED("Scan", "{'TableName':'none','ExclusiveStartKey':{'pk':{'S':'p'}}}",
                  "ResourceNotFoundException: Requested resource not found");
}

int main(void)
{
    harness_init();
    call("CreateTable", MAKE_TABLE("both", ""));
    call("CreateTable", MAKE_TABLE("other", ""));
    call("CreateTable", MAKE_TABLE("empty", ""));
    call("CreateTable", MAKE_HASH_TABLE("hash", ""));
    put_all();
    RUN(pages_hold_every_item_once);
    RUN(order_is_the_same_each_time);
    RUN(segments_are_disjoint_and_complete);
    RUN(segments_with_a_key_of_another_are_refused);
    RUN(counts_and_capacity_are_of_what_was_read);
    RUN(long_scans_leave_the_loop);
    RUN(many_deleted_rows_leave_the_loop);
    RUN(a_page_ends_past_one_megabyte);
    RUN(refusals_have_their_order);
    harness_fini();
    return CHECK_RESULT();
}
