/* op: streams show each change once, in order, by view type. */
#include "harness.h"

static char arn[256];
static char shard[80];
static char iterator[2200];

/* Copies the text of the first member of that name. */
static void member_text(const char *answer, const char *name, char *out, size_t room)
{
    char key[64];
    snprintf(key, sizeof(key), "\"%s\":\"", name);
    const char *found = strstr(answer, key);
    out[0] = 0;
    if (found != NULL) {
        found += strlen(key);
        snprintf(out, room, "%.*s", (int)strcspn(found, "\""), found);
    }
}

static void open_stream(const char *table)
{
    char json[512];
    snprintf(json, sizeof(json), "{'TableName':'%s'}", table);
    member_text(call("DescribeTable", json), "LatestStreamArn", arn, sizeof(arn));
    snprintf(json, sizeof(json), "{'StreamArn':'%s'}", arn);
    member_text(call("DescribeStream", json), "ShardId", shard, sizeof(shard));
}

static const char *open_iterator(const char *type, const char *sequence)
{
    char json[1024];
    char more[128] = "";
    if (sequence != NULL) {
        snprintf(more, sizeof(more), ",'SequenceNumber':'%s'", sequence);
    }
    snprintf(json, sizeof(json), "{'StreamArn':'%s','ShardId':'%s','ShardIteratorType':'%s'%s}",
             arn, shard, type, more);
    const char *answer = refusal("GetShardIterator", json);
    member_text(answer, "ShardIterator", iterator, sizeof(iterator));
    return answer;
}

static const char *get_records(int limit)
{
    char json[2400];
    snprintf(json, sizeof(json), "{'ShardIterator':'%s','Limit':%d}", iterator, limit);
    const char *answer = call("GetRecords", json);
    member_text(answer, "NextShardIterator", iterator, sizeof(iterator));
    return answer;
}

static void change_three_times(const char *table)
{
    char json[512];
    snprintf(json, sizeof(json), "{'TableName':'%s','Item':{'pk':{'S':'a'},'v':{'N':'1'}}}", table);
    call("PutItem", json);
    call("PutItem", json); /* changes nothing */
    snprintf(json, sizeof(json), "{'TableName':'%s','Item':{'pk':{'S':'a'},'v':{'N':'22'}}}",
             table);
    call("PutItem", json);
    snprintf(json, sizeof(json), "{'TableName':'%s','Key':{'pk':{'S':'a'}}}", table);
    call("DeleteItem", json);
    call("DeleteItem", json); /* changes nothing */
}

static void each_change_is_one_record(void)
{
    call("CreateTable", MAKE_HASH_TABLE("whole", WITH_STREAM("NEW_AND_OLD_IMAGES")));
    open_stream("whole");
    CHECK(strlen(shard) == 37);
    change_three_times("whole");
    CHECK_HAS(open_iterator("TRIM_HORIZON", NULL), "ShardIterator");
    static char first[16384];
    snprintf(first, sizeof(first), "%s", get_records(10));
    CHECK_HAS(first, "{'Records':[{'eventID':'");
    CHECK_HAS(first, "'eventName':'INSERT','eventVersion':'1.1','eventSource':'aws:dynamodb',"
                     "'awsRegion':'us-east-1','dynamodb':{'ApproximateCreationDateTime':");
    CHECK_HAS(first, "'Keys':{'pk':{'S':'a'}},'NewImage':{'pk':{'S':'a'},'v':{'N':'1'}},"
                     "'SequenceNumber':'1000");
    CHECK_HAS(first, "'SizeBytes':9,'StreamViewType':'NEW_AND_OLD_IMAGES'}},{'eventID':");
    CHECK_HAS(first, "'eventName':'MODIFY'");
    CHECK_HAS(first, "'NewImage':{'pk':{'S':'a'},'v':{'N':'22'}},'OldImage':{'pk':{'S':'a'},"
                     "'v':{'N':'1'}}");
    CHECK_HAS(first, "'eventName':'REMOVE'");
    CHECK_HAS(first, "'Keys':{'pk':{'S':'a'}},'OldImage':{'pk':{'S':'a'},'v':{'N':'22'}},"
                     "'SequenceNumber'");
    CHECK_HAS(get_records(10), "{'Records':[],'NextShardIterator':'");
    char id[64];
    char again[64];
    member_text(first, "eventID", id, sizeof(id));
    CHECK(strlen(id) == 32 && strspn(id, "0123456789abcdef") == 32);
    open_iterator("TRIM_HORIZON", NULL);
    member_text(get_records(1), "eventID", again, sizeof(again));
    CHECK_TEXT(again, id);
}

static void views_show_what_they_say(void)
{
    call("CreateTable", MAKE_HASH_TABLE("keys", WITH_STREAM("KEYS_ONLY")));
    open_stream("keys");
    change_three_times("keys");
    open_iterator("TRIM_HORIZON", NULL);
    const char *records = get_records(10);
    CHECK_LACKS(records, "Image'");
    CHECK_HAS(records, "'SizeBytes':3,'StreamViewType':'KEYS_ONLY'");
    call("CreateTable", MAKE_HASH_TABLE("news", WITH_STREAM("NEW_IMAGE")));
    open_stream("news");
    change_three_times("news");
    open_iterator("TRIM_HORIZON", NULL);
    records = get_records(10);
    CHECK_LACKS(records, "OldImage");
    CHECK_HAS(records, "'NewImage':{'pk':{'S':'a'},'v':{'N':'22'}}");
    call("CreateTable", MAKE_HASH_TABLE("olds", WITH_STREAM("OLD_IMAGE")));
    open_stream("olds");
    change_three_times("olds");
    open_iterator("TRIM_HORIZON", NULL);
    records = get_records(10);
    CHECK_LACKS(records, "NewImage");
    CHECK_HAS(records, "'OldImage':{'pk':{'S':'a'},'v':{'N':'22'}}");
}

static void iterators_start_where_they_say(void)
{
    char sequence[64];
    char found[64];
    open_stream("whole");
    open_iterator("LATEST", NULL);
    CHECK_HAS(get_records(10), "{'Records':[],");
    open_iterator("TRIM_HORIZON", NULL);
    get_records(1);
    member_text(get_records(1), "SequenceNumber", sequence, sizeof(sequence));
    CHECK(strlen(sequence) == 24);
    open_iterator("AT_SEQUENCE_NUMBER", sequence);
    member_text(get_records(1), "SequenceNumber", found, sizeof(found));
    CHECK_TEXT(found, sequence);
    open_iterator("AFTER_SEQUENCE_NUMBER", sequence);
    member_text(get_records(1), "SequenceNumber", found, sizeof(found));
    CHECK(strcmp(found, sequence) > 0);
    CHECK_TEXT(open_iterator("AFTER_SEQUENCE_NUMBER", "100000000000000000000001"),
               "Invalid SequenceNumber for the shard");
    CHECK_TEXT(open_iterator("AFTER_SEQUENCE_NUMBER", "100099999999999999900001"),
               "Invalid SequenceNumber for the shard");
    CHECK_TEXT(open_iterator("AFTER_SEQUENCE_NUMBER", "999999999999999999999"),
               "Invalid SequenceNumber for the shard");
    char json[512];
    snprintf(json, sizeof(json), "{'StreamArn':'%s'}", arn);
    member_text(call("DescribeStream", json), "StartingSequenceNumber", sequence, sizeof(sequence));
    open_iterator("AT_SEQUENCE_NUMBER", sequence);
    CHECK_HAS(get_records(1), "'eventName':'INSERT'");
    snprintf(shard, sizeof(shard), "shardId-00000000000000000000-00000000");
    CHECK_HAS(open_iterator("LATEST", NULL),
              "ResourceNotFoundException: Requested resource not found: Shard: "
              "shardId-00000000000000000000-00000000 in Stream: ");
}

static void iterators_survive_a_restart_and_no_damage(void)
{
    open_stream("whole");
    open_iterator("TRIM_HORIZON", NULL);
    get_records(1);
    harness_close();
    harness_open();
    char json[2400];
    size_t len = strlen(iterator);
    for (size_t at = len - 30; at < len - 2; at++) {
        char was = iterator[at];
        iterator[at] = was == 'A' ? 'B' : 'A';
        snprintf(json, sizeof(json), "{'ShardIterator':'%s'}", iterator);
        CHECK_REFUSED("GetRecords", json, "Invalid ShardIterator");
        iterator[at] = was;
    }
    CHECK_HAS(get_records(1), "'eventName':'MODIFY'");
}

static void a_closed_shard_ends(void)
{
    char json[512];
    call("CreateTable", MAKE_HASH_TABLE("closing", WITH_STREAM("NEW_IMAGE")));
    open_stream("closing");
    snprintf(json, sizeof(json), "{'StreamArn':'%s'}", arn);
    const char *shown = call("DescribeStream", json);
    CHECK_HAS(shown, "'StreamStatus':'ENABLED','StreamViewType':'NEW_IMAGE',"
                     "'CreationRequestDateTime':");
    CHECK_HAS(shown, "'TableName':'closing','KeySchema':[{'AttributeName':'pk','KeyType':'HASH'}],"
                     "'Shards':[{'ShardId':'shardId-0000000");
    CHECK_HAS(shown, "'SequenceNumberRange':{'StartingSequenceNumber':'1000");
    CHECK_LACKS(shown, "EndingSequenceNumber");
    call("PutItem", "{'TableName':'closing','Item':{'pk':{'S':'a'}}}");
    open_iterator("TRIM_HORIZON", NULL);
    call("DeleteTable", "{'TableName':'closing'}");
    shown = call("DescribeStream", json);
    CHECK_HAS(shown, "'StreamStatus':'DISABLED'");
    CHECK_HAS(shown, "'EndingSequenceNumber':'1000");
    const char *records = get_records(10);
    CHECK_HAS(records, "'eventName':'INSERT'");
    CHECK_LACKS(records, "REMOVE");
    CHECK_LACKS(records, "NextShardIterator");
    CHECK_HAS(call("ListStreams", "{'TableName':'closing'}"), "'TableName':'closing'");
}

static void shards_and_streams_come_in_pages(void)
{
    char json[512];
    char first[256];
    open_stream("whole");
    snprintf(json, sizeof(json), "{'StreamArn':'%s','ExclusiveStartShardId':'%s'}", arn, shard);
    CHECK_HAS(call("DescribeStream", json), "'Shards':[]}");
    snprintf(json, sizeof(json),
             "{'StreamArn':'%s','ShardFilter':{'Type':'CHILD_SHARDS','ShardId':'%s'}}", arn, shard);
    CHECK_HAS(call("DescribeStream", json), "'Shards':[]}");
    const char *page = call("ListStreams", "{'Limit':2}");
    member_text(page, "LastEvaluatedStreamArn", first, sizeof(first));
    CHECK(first[0] != 0);
    int seen = 2;
    while (first[0] != 0) {
        snprintf(json, sizeof(json), "{'Limit':1,'ExclusiveStartStreamArn':'%s'}", first);
        page = call("ListStreams", json);
        member_text(page, "LastEvaluatedStreamArn", first, sizeof(first));
        seen++;
    }
    CHECK(seen == 5);
    CHECK_HAS(call("ListStreams", "{'TableName':'whole'}"), "/whole/stream/");
    CHECK_LACKS(call("ListStreams", "{'TableName':'whole'}"), "/keys/stream/");
}

static void limits_hold(void)
{
    call("CreateTable", MAKE_HASH_TABLE("many", WITH_STREAM("KEYS_ONLY")));
    open_stream("many");
    for (int i = 0; i < 30; i++) {
        char json[128];
        snprintf(json, sizeof(json), "{'TableName':'many','Item':{'pk':{'S':'%d'}}}", i);
        call("PutItem", json);
    }
    open_iterator("TRIM_HORIZON", NULL);
    int seen = 0;
    for (int turn = 0; turn < 10 && seen < 30; turn++) {
        int count = 0;
        for (const char *p = get_records(7); (p = strstr(p, "eventID")) != NULL; p++) {
            count++;
        }
        CHECK(count <= 7);
        seen += count;
    }
    CHECK(seen == 30);
}

int main(void)
{
    harness_init();
    RUN(each_change_is_one_record);
    RUN(views_show_what_they_say);
    RUN(iterators_start_where_they_say);
    RUN(iterators_survive_a_restart_and_no_damage);
    RUN(a_closed_shard_ends);
    RUN(shards_and_streams_come_in_pages);
    RUN(limits_hold);
    harness_fini();
    return CHECK_RESULT();
}
