/* `headwater tail TABLE`: the table's stream as JSON lines, live. A client like any other:
 * DescribeTable, DescribeStream, GetShardIterator and GetRecords over HTTP, so it works on any
 * endpoint. Once it has begun it outlives the server: it waits for it to come back and goes on
 * where it was, since an iterator is a place in the stream. */
#include "net/fetch.h"
#include "server/server.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/process.h"

#include <stdio.h>
#include <stdlib.h>

#define POLL_MS 50u
#define AWAY_MS 250u /* between looks for a server that is away */
#define ANSWER_BYTES_MAX (8u << 20)

enum called {
    CALL_ANSWERED,
    CALL_REFUSED, /* tail->type and tail->why say how */
    CALL_AWAY     /* nobody answers, or not now: tail->why */
};

struct tail {
    struct arena arena;
    struct keys keys;
    struct fetch *fetch;
    struct sigv4_context *signatures;
    struct json_parser *parser;
    struct buf head;
    struct buf body;
    struct buf answer;
    const char *table;
    const char *data;
    const char *endpoint;
    const char *credentials;
    const char *region;
    const char *from;
    uint64_t count; /* records to print; 0: no end */
    uint64_t printed;
    bool find_again; /* the address is the one in DATA/url */
    bool away;       /* and that was said */
    char url[256];
    char arn[1025];
    char shard_id[129];
    char iterator[2049];
    char sequence_number[41]; /* of the newest record; empty: none yet */
    char type[128];
    char why[512];
};

static bool read_arguments(struct tail *tail, int argc, char **argv);
static bool find_server(struct tail *tail);
static bool find_address(struct tail *tail);
static bool find_stream(struct tail *tail);
static int follow_stream(struct tail *tail);
static bool go_on(struct tail *tail, enum called called);
static enum called get_iterator(struct tail *tail, const char *type);
static enum called call(struct tail *tail, const char *target, struct json *answer);
static void take_refusal(struct tail *tail, struct json answer);
static bool copy_string(struct json object, const char *name, char *out, size_t room);
static bool refused(const struct tail *tail);
static bool print_records(struct tail *tail, struct json answer);

int command_tail(int argc, char **argv)
{
    const char *region = process_variable("AWS_REGION");
    region = region != NULL && region[0] != 0 ? region : process_variable("AWS_DEFAULT_REGION");
    struct tail tail = {.data = "./data",
                        .endpoint = "",
                        .credentials = "",
                        .region = region != NULL && region[0] != 0 ? region : "us-east-1",
                        .from = "latest"};
    arena_init(&tail.arena, 0);
    if (!read_arguments(&tail, argc, argv)) {
        fprintf(stderr, "Try: headwater tail --help\n");
        return EXIT_USAGE;
    }
    buf_init(&tail.head, ANSWER_BYTES_MAX);
    buf_init(&tail.body, 65536);
    buf_init(&tail.answer, ANSWER_BYTES_MAX);
    tail.fetch = fetch_open();
    tail.signatures = sigv4_context_new();
    tail.parser = json_parser_new();
    process_ignore_broken_pipe();
    int status = EXIT_FAILED;
    if (tail.fetch != NULL && tail.signatures != NULL && tail.parser != NULL &&
        find_server(&tail) && find_stream(&tail)) {
        status = follow_stream(&tail);
    }
    fetch_close(tail.fetch);
    sigv4_context_free(tail.signatures);
    json_parser_free(tail.parser);
    buf_fini(&tail.head);
    buf_fini(&tail.body);
    buf_fini(&tail.answer);
    arena_fini(&tail.arena);
    return status;
}

static bool read_arguments(struct tail *tail, int argc, char **argv)
{
    const char *count_text = "0";
    const struct {
        const char *name;
        const char **place;
    } options[] = {{"--data", &tail->data},
                   {"--endpoint", &tail->endpoint},
                   {"--credentials", &tail->credentials},
                   {"--region", &tail->region},
                   {"--from", &tail->from},
                   {"--count", &count_text}};
    for (int i = 0; i < argc; i++) {
        bool known = false;
        for (size_t j = 0; j < sizeof(options) / sizeof(options[0]) && !known; j++) {
            size_t len = strlen(options[j].name);
            if (strcmp(argv[i], options[j].name) == 0 && i + 1 < argc) {
                *options[j].place = argv[++i];
                known = true;
            } else if (strncmp(argv[i], options[j].name, len) == 0 && argv[i][len] == '=') {
                *options[j].place = argv[i] + len + 1;
                known = true;
            }
        }
        if (!known && argv[i][0] != '-' && tail->table == NULL) {
            tail->table = argv[i];
        } else if (!known) {
            fprintf(stderr, "headwater: tail does not know '%s'\n", argv[i]);
            return false;
        }
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

/* The address and the key: those that were given, or those of the server that runs on DATA. */
static bool find_server(struct tail *tail)
{
    char why[512];
    tail->find_again = tail->endpoint[0] == 0;
    if (tail->find_again && !find_address(tail)) {
        fprintf(stderr,
                "headwater: no server runs on %s (there is no %s/url); name one with --endpoint\n",
                tail->data, tail->data);
        return false;
    }
    struct bytes file = arena_printf(&tail->arena, "%s/credentials", tail->data);
    const char *path = tail->credentials[0] != 0 ? tail->credentials : (const char *)file.ptr;
    if (!file_exists(path)) {
        fprintf(stderr, "headwater: there is no access key in %s; name a file with --credentials\n",
                path);
        return false;
    }
    if (keys_load(tail->data, path, &tail->arena, &tail->keys, why, sizeof(why)) != OK) {
        fprintf(stderr, "headwater: %s\n", why);
        return false;
    }
    return true;
}

static bool find_address(struct tail *tail)
{
    char path[4096];
    struct arena arena;
    struct bytes text = BYTES_NONE;
    snprintf(path, sizeof(path), "%s/url", tail->data);
    arena_init(&arena, 0);
    bool found = file_read_all(path, sizeof(tail->url) - 1, &arena, &text) == OK && text.len > 0;
    if (found) {
        snprintf(tail->url, sizeof(tail->url), "%.*s", (int)strcspn((const char *)text.ptr, "\r\n"),
                 (const char *)text.ptr);
        tail->endpoint = tail->url;
    }
    arena_fini(&arena);
    return found;
}

/* ---- one call ---- */

/* Fills tail->body: each ? of format is the next of the texts, as a JSON string. */
static void body_of(struct tail *tail, const char *format, const char *const *texts)
{
    buf_clear(&tail->body);
    for (const char *p = format; *p != 0; p++) {
        if (*p == '?') {
            json_add_string(&tail->body, bytes_cstr(*texts++));
        } else {
            buf_add_byte(&tail->body, (uint8_t)*p);
        }
    }
}

/* Sends tail->body. The answer is valid until the next call. */
static enum called call(struct tail *tail, const char *target, struct json *answer)
{
    unsigned status = 0;
    const char *host = strstr(tail->endpoint, "://");
    host = host == NULL ? tail->endpoint : host + 3;
    const struct sigv4_sign_input input = {
        .method = BYTES("POST"),
        .host = bytes_of(host, strcspn(host, "/")),
        .path = BYTES("/"),
        .target = bytes_cstr(target),
        .content_type = BYTES("application/x-amz-json-1.0"),
        .body = buf_bytes(&tail->body),
        .key_id = tail->keys.entries[0].id,
        .secret = tail->keys.entries[0].secret,
        .region = bytes_cstr(tail->region),
        .service = BYTES("dynamodb"),
        .now_ms = clock_wall_ms(),
    };
    buf_clear(&tail->head);
    buf_printf(&tail->head, "Content-Type: application/x-amz-json-1.0\r\nX-Amz-Target: %s\r\n",
               target);
    if (sigv4_sign(tail->signatures, &input, &tail->head) != OK) {
        snprintf(tail->why, sizeof(tail->why), "the request cannot be signed");
        return CALL_REFUSED;
    }
    if (fetch_post(tail->fetch, tail->endpoint, buf_bytes(&tail->head), buf_bytes(&tail->body),
                   &status, &tail->answer, tail->why, sizeof(tail->why)) != OK) {
        return CALL_AWAY;
    }
    tail->type[0] = 0;
    snprintf(tail->why, sizeof(tail->why), "it does not answer as DynamoDB does");
    bool decoded = json_parse(tail->parser, buf_bytes(&tail->answer), answer) == OK &&
                   json_type(*answer) == JSON_OBJECT;
    if (decoded && status == 200) {
        return CALL_ANSWERED;
    }
    if (decoded) {
        take_refusal(tail, *answer);
    }
    bool later = status >= 500 || strstr(tail->type, "Throttling") != NULL ||
                 strstr(tail->type, "LimitExceeded") != NULL ||
                 strstr(tail->type, "ThroughputExceeded") != NULL;
    return later ? CALL_AWAY : CALL_REFUSED;
}

static void take_refusal(struct tail *tail, struct json answer)
{
    char type[256];
    if (copy_string(answer, "__type", type, sizeof(type))) {
        const char *hash = strchr(type, '#');
        snprintf(tail->type, sizeof(tail->type), "%.127s", hash == NULL ? type : hash + 1);
    }
    struct json message;
    bool told = json_member(answer, BYTES("message"), &message) ||
                json_member(answer, BYTES("Message"), &message);
    snprintf(tail->why, sizeof(tail->why), "%s", tail->type);
    if (told && json_type(message) == JSON_STRING) {
        snprintf(tail->why, sizeof(tail->why), "%.*s", BYTES_FMT(json_string(message)));
        tail->why[strcspn(tail->why, "\n")] = 0; /* what follows is the signed text */
    }
}

/* False: it is not there, or longer than it may be. */
static bool copy_string(struct json object, const char *name, char *out, size_t room)
{
    struct json value;
    if (json_type(object) != JSON_OBJECT || !json_member(object, bytes_cstr(name), &value) ||
        json_type(value) != JSON_STRING || json_string(value).len >= room) {
        return false;
    }
    snprintf(out, room, "%.*s", BYTES_FMT(json_string(value)));
    return true;
}

/* ---- the stream ---- */

static bool refused(const struct tail *tail)
{
    fprintf(stderr, "headwater: table %s at %s: %s\n", tail->table, tail->endpoint, tail->why);
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
    body_of(tail, "{\"TableName\":?}", &tail->table);
    if (call(tail, "DynamoDB_20120810.DescribeTable", &answer) != CALL_ANSWERED) {
        return refused(tail);
    }
    if (!json_member(answer, BYTES("Table"), &part) ||
        !copy_string(part, "LatestStreamArn", tail->arn, sizeof(tail->arn))) {
        fprintf(stderr, "headwater: the table %s has no stream\n", tail->table);
        return false;
    }
    const char *arn = tail->arn;
    body_of(tail, "{\"StreamArn\":?}", &arn);
    if (call(tail, "DynamoDBStreams_20120810.DescribeStream", &answer) != CALL_ANSWERED) {
        return refused(tail);
    }
    if (!json_member(answer, BYTES("StreamDescription"), &part) ||
        !json_member(part, BYTES("Shards"), &part) || json_type(part) != JSON_ARRAY ||
        (iter = json_iter_of(part), !json_next(&iter, &shard)) ||
        !copy_string(shard, "ShardId", tail->shard_id, sizeof(tail->shard_id))) {
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
    body_of(tail,
            after ? "{\"StreamArn\":?,\"ShardId\":?,\"ShardIteratorType\":?,\"SequenceNumber\":?}"
                  : "{\"StreamArn\":?,\"ShardId\":?,\"ShardIteratorType\":?}",
            texts);
    enum called called = call(tail, "DynamoDBStreams_20120810.GetShardIterator", &answer);
    bool told = called != CALL_ANSWERED ||
                copy_string(answer, "ShardIterator", tail->iterator, sizeof(tail->iterator));
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
        body_of(tail, "{\"ShardIterator\":?}", &iterator);
        enum called called = call(tail, "DynamoDBStreams_20120810.GetRecords", &answer);
        if (called != CALL_ANSWERED) {
            if (!go_on(tail, called)) {
                return EXIT_FAILED;
            }
            continue;
        }
        tail->away = false;
        ended = !print_records(tail, answer) ||
                !copy_string(answer, "NextShardIterator", tail->iterator, sizeof(tail->iterator));
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
        fprintf(stderr, "headwater: %s: %s; waiting for it\n", tail->endpoint, tail->why);
        tail->away = true;
    }
    thread_pause_ms(AWAY_MS);
    if (tail->find_again) {
        (void)find_address(tail); /* a server that starts again may have another port */
    }
}

static bool was_refused_for(const struct tail *tail, enum called called, const char *type)
{
    return called == CALL_REFUSED && strstr(tail->type, type) != NULL;
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
        buf_clear(&tail->head);
        json_add_value(&tail->head, record);
        buf_add_byte(&tail->head, '\n');
        if (fwrite(tail->head.ptr, 1, tail->head.len, stdout) != tail->head.len) {
            return false;
        }
        if (json_type(record) == JSON_OBJECT && json_member(record, BYTES("dynamodb"), &change)) {
            (void)copy_string(change, "SequenceNumber", tail->sequence_number,
                              sizeof(tail->sequence_number));
        }
        tail->printed++;
        if (tail->count != 0 && tail->printed >= tail->count) {
            return false;
        }
    }
    return true;
}
