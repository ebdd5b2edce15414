/* `headwater tail TABLE`: the table's stream as JSON lines, live. A client like any other:
 * DescribeTable, DescribeStream, GetShardIterator and GetRecords over HTTP, so it works on any
 * endpoint. Once it has begun it outlives the server: it waits for it to come back and goes on
 * where it was, since an iterator is a place in the stream. */
#include "server/filter.h"
#include "server/remote.h"
#include "server/server.h"
#include "sys/clock.h"
#include "sys/process.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define POLL_MS 50u
#define AWAY_MS 250u /* between looks for a server that is away */

struct tail {
    struct remote remote;
    struct filter filter;
    const char *table;
    const char *from;
    const char *type;  /* of the iterator that `from` asks for */
    uint64_t since_ms; /* and what is older is not printed */
    uint64_t count;    /* records to print; 0: no end */
    uint64_t read;     /* records, printed or not */
    uint64_t printed;
    bool away; /* and that was said */
    char arn[1025];
    char shard_id[129];
    char iterator[2049];
    char sequence_number[41]; /* of the newest record, or the one to begin with */
};

static bool read_arguments(struct tail *tail, int argc, char **argv);
static bool read_start(struct tail *tail);
static bool find_stream(struct tail *tail);
static int follow_stream(struct tail *tail);
static bool go_on(struct tail *tail, enum called called);
static enum called get_iterator(struct tail *tail, const char *type);
static bool refused(const struct tail *tail);
static bool print_records(struct tail *tail, struct json answer);
static bool is_wanted(struct tail *tail, struct json record);

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
    filter_fini(&tail.filter);
    remote_fini(&tail.remote);
    return status;
}

static bool read_arguments(struct tail *tail, int argc, char **argv)
{
    const char *count_text = "0";
    struct filter_texts texts = {"", "", "", ""};
    const struct word words[] = {{"--from", &tail->from},     {"--count", &count_text},
                                 {"--events", &texts.events}, {"--filter", &texts.condition},
                                 {"--names", &texts.names},   {"--values", &texts.values}};
    if (!remote_arguments(&tail->remote, "tail", argc, argv, words,
                          sizeof(words) / sizeof(words[0]), &tail->table, 1)) {
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
    return read_start(tail) && filter_open(&tail->filter, &texts);
}

/* 90s, 10m, 2h or 7d ago, or a moment in UTC. */
static bool read_moment(const char *text, uint64_t *ms)
{
    static const struct {
        char unit;
        uint64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};
    char *end = NULL;
    uint64_t now = clock_wall_ms();
    uint64_t count = strtoull(text, &end, 10);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (isdigit((unsigned char)text[0]) && end[0] == units[i].unit && end[1] == 0) {
            *ms = count < now / units[i].ms ? now - count * units[i].ms : 0;
            return true;
        }
    }
    struct tm parts = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    time_t seconds = rest != NULL && *rest == 0 ? timegm(&parts) : -1;
    *ms = (uint64_t)seconds * 1000;
    return seconds >= 0;
}

static bool read_start(struct tail *tail)
{
    static const struct {
        const char *word;
        const char *type;
    } starts[] = {{"latest", "LATEST"},
                  {"start", "TRIM_HORIZON"},
                  {"at:", "AT_SEQUENCE_NUMBER"},
                  {"after:", "AFTER_SEQUENCE_NUMBER"}};
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        size_t len = strlen(starts[i].word);
        const char *number = tail->from + len;
        bool numbered = starts[i].word[len - 1] == ':';
        if (strncmp(tail->from, starts[i].word, len) == 0 &&
            (numbered ? number[0] != 0 && strlen(number) <= 40 : number[0] == 0)) {
            snprintf(tail->sequence_number, sizeof(tail->sequence_number), "%.40s", number);
            tail->type = starts[i].type;
            return true;
        }
    }
    tail->type = "TRIM_HORIZON";
    if (!read_moment(tail->from, &tail->since_ms)) {
        fprintf(stderr,
                "headwater: --from is '%s': it must be latest, start, at: or after: and a sequence "
                "number,\na time ago (90s, 10m, 2h, 7d) or a time (2026-01-31T09:00:00Z)\n",
                tail->from);
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
    return get_iterator(tail, tail->type) == CALL_ANSWERED || refused(tail);
}

static enum called get_iterator(struct tail *tail, const char *type)
{
    struct json answer;
    bool numbered = strstr(type, "SEQUENCE_NUMBER") != NULL;
    const char *const texts[] = {tail->arn, tail->shard_id, type, tail->sequence_number};
    remote_body(&tail->remote,
                numbered
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
    fprintf(stderr, "headwater: following %s from %s\n", tail->table,
            strcmp(tail->from, "start") == 0    ? "the start of its stream"
            : strcmp(tail->from, "latest") == 0 ? "the end of its stream"
                                                : tail->from);
    while (!ended && process_output_is_open()) {
        uint64_t before = tail->read;
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
        if (!ended && tail->read == before) {
            thread_pause_ms(POLL_MS);
        }
    }
    if (tail->filter.failed) {
        return EXIT_FAILED;
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
    bool seen = tail->read > 0;
    bool lost = false;
    if (was_refused_for(tail, called, "ExpiredIterator")) {
        lost = !seen && strcmp(tail->type, "LATEST") == 0;
        called = get_iterator(tail, seen ? "AFTER_SEQUENCE_NUMBER" : tail->type);
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
        if (json_type(record) == JSON_OBJECT && json_member(record, BYTES("dynamodb"), &change)) {
            (void)remote_string(change, "SequenceNumber", tail->sequence_number,
                                sizeof(tail->sequence_number));
        }
        tail->read++;
        if (!is_wanted(tail, record)) {
            if (tail->filter.failed) {
                return false;
            }
            continue;
        }
        buf_clear(&tail->remote.head);
        json_add_value(&tail->remote.head, record);
        buf_add_byte(&tail->remote.head, '\n');
        if (fwrite(tail->remote.head.ptr, 1, tail->remote.head.len, stdout) !=
            tail->remote.head.len) {
            return false;
        }
        tail->printed++;
        if (tail->count != 0 && tail->printed >= tail->count) {
            return false;
        }
    }
    return true;
}

/* Of records that were written within a second of --from some are printed that are older: a
 * record's time has no more than seconds in it. */
static bool is_wanted(struct tail *tail, struct json record)
{
    struct json change;
    struct json time;
    if (tail->since_ms > 0 && json_type(record) == JSON_OBJECT &&
        json_member(record, BYTES("dynamodb"), &change) && json_type(change) == JSON_OBJECT &&
        json_member(change, BYTES("ApproximateCreationDateTime"), &time) &&
        (json_type(time) == JSON_INTEGER || json_type(time) == JSON_NUMBER) &&
        (uint64_t)json_number(time) < tail->since_ms / 1000) {
        return false;
    }
    return filter_takes(&tail->filter, record);
}
