/* `headwater tail TABLE`: the table's stream as JSON lines, live. A client like any other:
 * DescribeTable, DescribeStream, GetShardIterator and GetRecords over HTTP, so it works on any
 * endpoint. Once it has begun it outlives the server: it waits for it to come back and goes on
 * where it was, since an iterator is a place in the stream. */
#include "server/remote.h"
#include "server/server.h"
#include "sys/process.h"

#include <stdio.h>
#include <stdlib.h>

#define POLL_MS 50u
#define AWAY_MS 250u /* between looks for a server that is away */

struct tail {
    struct remote remote;
    const char *table;
    const char *from;
    uint64_t count; /* records to print; 0: no end */
    uint64_t printed;
    bool away; /* and that was said */
    char arn[1025];
    char shard_id[129];
    char iterator[2049];
    char sequence_number[41]; /* of the newest record; empty: none yet */
};

static bool read_arguments(struct tail *tail, int argc, char **argv);
static bool find_stream(struct tail *tail);
static int follow_stream(struct tail *tail);
static bool go_on(struct tail *tail, enum called called);
static enum called get_iterator(struct tail *tail, const char *type);
static bool refused(const struct tail *tail);
static bool print_records(struct tail *tail, struct json answer);

int command_tail(int argc, char **argv)
{
    struct tail tail = {.from = "latest"};
    remote_init(&tail.remote);
    int status = EXIT_USAGE;
    if (!read_arguments(&tail, argc, argv)) {
        fprintf(stderr, "Try: headwater tail --help\n");
    } else {
        process_ignore_broken_pipe();
        bool found = remote_open(&tail.remote) && find_stream(&tail);
        status = found ? follow_stream(&tail) : EXIT_FAILED;
    }
    remote_fini(&tail.remote);
    return status;
}

static bool read_arguments(struct tail *tail, int argc, char **argv)
{
    const char *count_text = "0";
    const struct word words[] = {{"--from", &tail->from}, {"--count", &count_text}};
    if (!remote_arguments(&tail->remote, "tail", argc, argv, words, 2, &tail->table, 1)) {
        return false;
    }
    char *end = NULL;
    tail->count = strtoull(count_text, &end, 10);
    if (count_text[0] < '0' || count_text[0] > '9' || *end != 0) {
        fprintf(stderr, "headwater: --count is '%s': it must be a number\n", count_text);
        return false;
    }
    if (tail->table == NULL || tail->table[0] == 0 || strlen(tail->table) > 255) {
        fprintf(stderr, "headwater: tail needs a table's name\n");
        return false;
    }
    if (strcmp(tail->from, "latest") != 0 && strcmp(tail->from, "start") != 0) {
        fprintf(stderr, "headwater: --from is '%s': it must be latest or start\n", tail->from);
        return false;
    }
    return true;
}

/* ---- the stream ---- */

static bool refused(const struct tail *tail)
{
    fprintf(stderr, "headwater: table %s at %s: %s\n", tail->table, tail->remote.endpoint,
            tail->remote.why);
    return false;
}

/* The table's newest stream and where to begin in it. Whoever cannot be reached now is an error: it
 * may be the wrong address. */
static bool find_stream(struct tail *tail)
{
    struct json answer;
    struct json part;
    struct json shard;
    struct json_iter iter;
    remote_body(&tail->remote, "{\"TableName\":?}", &tail->table);
    if (remote_call(&tail->remote, REMOTE_DYNAMODB "DescribeTable", &answer) != CALL_ANSWERED) {
        return refused(tail);
    }
    if (!json_member(answer, BYTES("Table"), &part) ||
        !remote_string(part, "LatestStreamArn", tail->arn, sizeof(tail->arn))) {
        fprintf(stderr, "headwater: the table %s has no stream\n", tail->table);
        return false;
    }
    const char *arn = tail->arn;
    remote_body(&tail->remote, "{\"StreamArn\":?}", &arn);
    if (remote_call(&tail->remote, REMOTE_STREAMS "DescribeStream", &answer) != CALL_ANSWERED) {
        return refused(tail);
    }
    if (!json_member(answer, BYTES("StreamDescription"), &part) ||
        !json_member(part, BYTES("Shards"), &part) || json_type(part) != JSON_ARRAY ||
        (iter = json_iter_of(part), !json_next(&iter, &shard)) ||
        !remote_string(shard, "ShardId", tail->shard_id, sizeof(tail->shard_id))) {
        fprintf(stderr, "headwater: the stream of %s has no shard\n", tail->table);
        return false;
    }
    bool start = strcmp(tail->from, "start") == 0;
    return get_iterator(tail, start ? "TRIM_HORIZON" : "LATEST") == CALL_ANSWERED || refused(tail);
}

static enum called get_iterator(struct tail *tail, const char *type)
{
    struct json answer;
    bool after = strcmp(type, "AFTER_SEQUENCE_NUMBER") == 0;
    const char *const texts[] = {tail->arn, tail->shard_id, type, tail->sequence_number};
    remote_body(&tail->remote,
                after
                    ? "{\"StreamArn\":?,\"ShardId\":?,\"ShardIteratorType\":?,\"SequenceNumber\":?}"
                    : "{\"StreamArn\":?,\"ShardId\":?,\"ShardIteratorType\":?}",
                texts);
    enum called called = remote_call(&tail->remote, REMOTE_STREAMS "GetShardIterator", &answer);
    bool told = called != CALL_ANSWERED ||
                remote_string(answer, "ShardIterator", tail->iterator, sizeof(tail->iterator));
    return told ? called : CALL_REFUSED;
}

static int follow_stream(struct tail *tail)
{
    struct json answer;
    bool ended = false;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    fprintf(stderr, "headwater: following %s from the %s of its stream\n", tail->table,
            strcmp(tail->from, "start") == 0 ? "start" : "end");
    while (!ended && process_output_is_open()) {
        uint64_t before = tail->printed;
        const char *iterator = tail->iterator;
        remote_body(&tail->remote, "{\"ShardIterator\":?}", &iterator);
        enum called called = remote_call(&tail->remote, REMOTE_STREAMS "GetRecords", &answer);
        if (called != CALL_ANSWERED) {
            if (!go_on(tail, called)) {
                return EXIT_FAILED;
            }
            continue;
        }
        tail->away = false;
        ended = !print_records(tail, answer) ||
                !remote_string(answer, "NextShardIterator", tail->iterator, sizeof(tail->iterator));
        if (!ended && tail->printed == before) {
            thread_pause_ms(POLL_MS);
        }
    }
    if (ferror(stdout) && process_output_is_open()) {
        fprintf(stderr, "headwater: standard output cannot be written\n");
        return EXIT_FAILED;
    }
    return EXIT_CLEAN;
}

static void await_server(struct tail *tail)
{
    if (!tail->away) {
        fprintf(stderr, "headwater: %s: %s; waiting for it\n", tail->remote.endpoint,
                tail->remote.why);
        tail->away = true;
    }
    thread_pause_ms(AWAY_MS);
    if (tail->remote.find_again) {
        (void)remote_find_address(
            &tail->remote); /* a server that starts again may have another port */
    }
}

static bool was_refused_for(const struct tail *tail, enum called called, const char *type)
{
    return called == CALL_REFUSED && strstr(tail->remote.type, type) != NULL;
}

/* What can be done about a call that was not answered; false: nothing, and it was said why. */
static bool go_on(struct tail *tail, enum called called)
{
    bool seen = tail->sequence_number[0] != 0;
    bool from_start = strcmp(tail->from, "start") == 0;
    bool lost = false;
    if (was_refused_for(tail, called, "ExpiredIterator")) {
        lost = !seen && !from_start;
        called = get_iterator(tail, seen         ? "AFTER_SEQUENCE_NUMBER"
                                    : from_start ? "TRIM_HORIZON"
                                                 : "LATEST");
    }
    if (was_refused_for(tail, called, "TrimmedDataAccess")) {
        lost = true;
        called = get_iterator(tail, "TRIM_HORIZON");
    }
    if (lost && called == CALL_ANSWERED) {
        fprintf(stderr, "headwater: away for too long: records may be missing here\n");
    }
    if (called == CALL_AWAY) {
        await_server(tail);
    }
    return called != CALL_REFUSED || refused(tail);
}

/* Each record on a line. False: as many as were asked for, or nobody takes them. */
static bool print_records(struct tail *tail, struct json answer)
{
    struct json records;
    struct json record;
    struct json change;
    if (!json_member(answer, BYTES("Records"), &records) || json_type(records) != JSON_ARRAY) {
        return true;
    }
    struct json_iter iter = json_iter_of(records);
    while (json_next(&iter, &record)) {
        buf_clear(&tail->remote.head);
        json_add_value(&tail->remote.head, record);
        buf_add_byte(&tail->remote.head, '\n');
        if (fwrite(tail->remote.head.ptr, 1, tail->remote.head.len, stdout) !=
            tail->remote.head.len) {
            return false;
        }
        if (json_type(record) == JSON_OBJECT && json_member(record, BYTES("dynamodb"), &change)) {
            (void)remote_string(change, "SequenceNumber", tail->sequence_number,
                                sizeof(tail->sequence_number));
        }
        tail->printed++;
        if (tail->count != 0 && tail->printed >= tail->count) {
            return false;
        }
    }
    return true;
}
