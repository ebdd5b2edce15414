/* op I6: a warm call is decoded and answered without the heap. */
#include "check.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
int main(void)
{
    return CHECK_SKIPPED; /* sanitizers bring a heap of their own */
}
#else

#include "harness.h"

extern void *__libc_malloc(size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_calloc(size_t count, size_t size);
void *malloc(size_t size);
void *realloc(void *block, size_t size);
void *calloc(size_t count, size_t size);

static _Thread_local size_t allocations;

void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}

void *realloc(void *block, size_t size)
{
    allocations++;
    return __libc_realloc(block, size);
}

void *calloc(size_t count, size_t size)
{
    allocations++;
    return __libc_calloc(count, size);
}

/* Runs once to be warm, then counts what decoding and encoding take of the heap. */
static size_t count_of(const char *target, const char *json)
{
    struct op_call one = {0};
    struct json root;
    size_t decoding = 0;
    one.op = op_find(bytes_cstr(target));
    one.arena = &harness.arena;
    for (int turn = 0; turn < 3; turn++) {
        CHECK(json_parse(harness.parser, bytes_cstr(quoted(json)), &root) == OK);
        arena_reset(&harness.arena);
        allocations = 0;
        CHECK(op_decode(&one, root) == OK);
        decoding = allocations;
        harness_start(&one);
        buf_clear(&harness.answer);
        allocations = 0;
        CHECK(op_encode(&one, &harness.answer) == 200);
    }
    return decoding + allocations;
}

static void nothing_is_allocated(void)
{
    CHECK(count_of("DynamoDB_20120810.PutItem",
                   "{'TableName':'hash','Item':{'pk':{'S':'a'},'l':{'L':[{'N':'1'},{'SS':['b','a']"
                   "}]},'m':{'M':{'x':{'B':'AAEC'}}}},'ReturnConsumedCapacity':'TOTAL'}") == 0);
    CHECK(count_of("DynamoDB_20120810.GetItem",
                   "{'TableName':'hash','Key':{'pk':{'S':'a'}},'ProjectionExpression':'#l, m',"
                   "'ExpressionAttributeNames':{'#l':'l'}}") == 0);
    CHECK(count_of("DynamoDB_20120810.UpdateItem",
                   "{'TableName':'hash','Key':{'pk':{'S':'a'}},'UpdateExpression':'ADD n :n',"
                   "'ExpressionAttributeValues':{':n':{'N':'1'}},'ReturnValues':'ALL_NEW'}") == 0);
    CHECK(count_of("DynamoDB_20120810.Query",
                   "{'TableName':'hash','KeyConditionExpression':'pk = :p',"
                   "'ExpressionAttributeValues':{':p':{'S':'a'}}}") == 0);
    CHECK(count_of("DynamoDB_20120810.Scan", "{'TableName':'hash'}") == 0);
    CHECK(count_of("DynamoDB_20120810.TransactWriteItems",
                   "{'TransactItems':[{'Delete':{'TableName':'hash','Key':{'pk':{'S':'b'}}}}]}") ==
          0);
    CHECK(count_of("DynamoDB_20120810.DeleteItem", "{'TableName':'hash','Key':{'pk':{'S':'a'}}}") ==
          0);
}

int main(void)
{
    harness_init();
    call("CreateTable", MAKE_HASH_TABLE("hash", ""));
    RUN(nothing_is_allocated);
    harness_fini();
    return CHECK_RESULT();
}
#endif
