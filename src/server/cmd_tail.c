/* `headwater tail TABLE`: the table's stream as JSON lines, live. A client like any other:
 * DescribeTable, DescribeStream, GetShardIterator and GetRecords over HTTP, so it works on any
 * endpoint. */
#include "net/fetch.h"
#include "server/server.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/process.h"

#include <stdio.h>
#include <stdlib.h>

#define POLL_MS 50u
#define ANSWER_BYTES_MAX (8u * 1024u * 1024u)

struct tail {
    struct arena arena;
    struct arena page; /* of the iterator in turn */
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
};

static bool read_arguments(struct tail *tail, int argc, char **argv);
static bool find_server(struct tail *tail);
static bool call(struct tail *tail, const char *target, struct json *answer);
static int follow_stream(struct tail *tail);
static bool get_string(struct json object, const char *name, struct arena *arena, const char **out);
static bool print_records(struct tail *tail, struct json answer, uint64_t *printed);

int command_tail(int argc, char **argv)
{
    struct tail tail = {.data = "./data",
                        .endpoint = "",
                        .credentials = "",
                        .region = "us-east-1",
                        .from = "latest"};
    arena_init(&tail.arena, 0);
    arena_init(&tail.page, 0);
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
    int status = EXIT_FAILED;
    if (tail.fetch != NULL && tail.signatures != NULL && tail.parser != NULL &&
        find_server(&tail)) {
        status = follow_stream(&tail);
    }
    fetch_close(tail.fetch);
    sigv4_context_free(tail.signatures);
    json_parser_free(tail.parser);
    buf_fini(&tail.head);
    buf_fini(&tail.body);
    buf_fini(&tail.answer);
    arena_fini(&tail.arena);
    arena_fini(&tail.page);
    return status;
}

static bool read_arguments(struct tail *tail, int argc, char **argv)
{
    char count[24] = "0";
    const char *count_text = count;
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
    if (tail->table == NULL || strlen(tail->table) > 255 || *end != 0) {
        fprintf(stderr, "headwater: tail needs a table's name%s\n",
                *end != 0 ? ", and --count a number" : "");
        return false;
    }
    if (strcmp(tail->from, "latest") != 0 && strcmp(tail->from, "start") != 0) {
        fprintf(stderr, "headwater: --from is '%s': it must be latest or start\n", tail->from);
        return false;
    }
    return true;
}

/* The address of DATA/url and the key of DATA/credentials, unless they were given. */
static bool find_server(struct tail *tail)
{
    char why[512];
    struct bytes url = arena_printf(&tail->arena, "%s/url", tail->data);
    struct bytes text;
    if (tail->endpoint[0] == 0) {
        if (file_read_all((const char *)url.ptr, 1024, &tail->arena, &text) != OK ||
            text.len == 0) {
            fprintf(stderr,
                    "headwater: no server runs on %s (there is no %s); name one with --endpoint\n",
                    tail->data, (const char *)url.ptr);
            return false;
        }
        tail->endpoint =
            (const char *)arena_printf(&tail->arena, "%.*s",
                                       (int)strcspn((const char *)text.ptr, "\r\n"), text.ptr)
                .ptr;
    }
    struct bytes file = arena_printf(&tail->arena, "%s/credentials", tail->data);
    const char *path = tail->credentials[0] != 0 ? tail->credentials : (const char *)file.ptr;
    if (keys_load(tail->data, path, &tail->arena, &tail->keys, why, sizeof(why)) != OK) {
        fprintf(stderr, "headwater: %s\n", why);
        return false;
    }
    return true;
}

/* Sends tail->body. The answer is valid until the next call. */
static bool call(struct tail *tail, const char *target, struct json *answer)
{
    char why[300];
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
    if (sigv4_sign(tail->signatures, &input, &tail->head) != OK ||
        fetch_post(tail->fetch, tail->endpoint, buf_bytes(&tail->head), buf_bytes(&tail->body),
                   &status, &tail->answer, why, sizeof(why)) != OK) {
        fprintf(stderr, "headwater: %s: %s\n", tail->endpoint, why);
        return false;
    }
    if (json_parse(tail->parser, buf_bytes(&tail->answer), answer) != OK ||
        json_type(*answer) != JSON_OBJECT) {
        fprintf(stderr, "headwater: %s does not answer as DynamoDB does\n", tail->endpoint);
        return false;
    }
    if (status != 200) {
        struct json message;
        struct bytes text =
            json_member(*answer, BYTES("message"), &message) && json_type(message) == JSON_STRING
                ? json_string(message)
                : BYTES("refused");
        fprintf(stderr, "headwater: %s: %.*s\n", target, BYTES_FMT(text));
        return false;
    }
    return true;
}

static bool get_string(struct json object, const char *name, struct arena *arena, const char **out)
{
    struct json value;
    if (json_type(object) != JSON_OBJECT || !json_member(object, bytes_cstr(name), &value) ||
        json_type(value) != JSON_STRING) {
        return false;
    }
    struct bytes copy = arena_printf(arena, "%.*s", BYTES_FMT(json_string(value)));
    *out = (const char *)copy.ptr;
    return copy.ptr != NULL;
}

static void body_of(struct tail *tail, const char *format, const char *first, const char *second,
                    const char *third)
{
    const char *parts[] = {first, second, third};
    size_t part = 0;
    buf_clear(&tail->body);
    for (const char *p = format; *p != 0; p++) {
        if (*p == '?') {
            json_add_string(&tail->body, bytes_cstr(parts[part++]));
        } else {
            buf_add_byte(&tail->body, (uint8_t)*p);
        }
    }
}

static int follow_stream(struct tail *tail)
{
    struct json answer;
    struct json table;
    struct json description;
    struct json shards;
    struct json shard;
    const char *arn;
    const char *shard_id;
    const char *iterator;
    uint64_t printed = 0;
    body_of(tail, "{\"TableName\":?}", tail->table, "", "");
    if (!call(tail, "DynamoDB_20120810.DescribeTable", &answer)) {
        return EXIT_FAILED;
    }
    if (!json_member(answer, BYTES("Table"), &table) ||
        !get_string(table, "LatestStreamArn", &tail->arena, &arn)) {
        fprintf(stderr, "headwater: the table %s has no stream\n", tail->table);
        return EXIT_FAILED;
    }
    body_of(tail, "{\"StreamArn\":?}", arn, "", "");
    if (!call(tail, "DynamoDBStreams_20120810.DescribeStream", &answer)) {
        return EXIT_FAILED;
    }
    struct json_iter iter;
    if (!json_member(answer, BYTES("StreamDescription"), &description) ||
        !json_member(description, BYTES("Shards"), &shards) || json_type(shards) != JSON_ARRAY ||
        (iter = json_iter_of(shards), !json_next(&iter, &shard)) ||
        !get_string(shard, "ShardId", &tail->arena, &shard_id)) {
        fprintf(stderr, "headwater: the stream of %s has no shard\n", tail->table);
        return EXIT_FAILED;
    }
    body_of(tail, "{\"StreamArn\":?,\"ShardId\":?,\"ShardIteratorType\":?}", arn, shard_id,
            strcmp(tail->from, "start") == 0 ? "TRIM_HORIZON" : "LATEST");
    if (!call(tail, "DynamoDBStreams_20120810.GetShardIterator", &answer) ||
        !get_string(answer, "ShardIterator", &tail->arena, &iterator)) {
        return EXIT_FAILED;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (;;) {
        body_of(tail, "{\"ShardIterator\":?}", iterator, "", "");
        if (!call(tail, "DynamoDBStreams_20120810.GetRecords", &answer)) {
            return EXIT_FAILED;
        }
        uint64_t before = printed;
        arena_reset(&tail->page);
        if (!print_records(tail, answer, &printed) ||
            !get_string(answer, "NextShardIterator", &tail->page, &iterator)) {
            return EXIT_CLEAN;
        }
        if (printed == before) {
            thread_pause_ms(POLL_MS);
        }
    }
}

/* Each record on a line. False: as many as were asked for. */
static bool print_records(struct tail *tail, struct json answer, uint64_t *printed)
{
    struct json records;
    struct json record;
    if (!json_member(answer, BYTES("Records"), &records) || json_type(records) != JSON_ARRAY) {
        return true;
    }
    struct json_iter iter = json_iter_of(records);
    while (json_next(&iter, &record)) {
        buf_clear(&tail->head);
        json_add_value(&tail->head, record);
        printf("%.*s\n", BYTES_FMT(buf_bytes(&tail->head)));
        (*printed)++;
        if (tail->count != 0 && *printed >= tail->count) {
            return false;
        }
    }
    return true;
}
