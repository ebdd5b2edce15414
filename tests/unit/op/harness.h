/* A real store in a directory of its own, and calls on it from JSON text to JSON text: what a
 * client would see, without the network. */
#ifndef HW_TEST_OP_HARNESS_H
#define HW_TEST_OP_HARNESS_H

#include "base/json.h"
#include "op/op.h"
#include "sys/clock.h"
#include "sys/thread.h"
#include "table/table.h"

#include "check.h"

#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

struct harness {
    char data[64];
    struct store *store;
    struct event wake;
    struct mailbox home;
    struct lane lane;
    struct json_parser *parser;
    struct arena arena;
    struct buf answer;
    unsigned status;
    bool done;
};

static struct harness harness;

static void harness_wake(void *arg)
{
    event_signal(arg);
}

static void harness_open(void)
{
    struct store_report report;
    const struct store_options options = {.data = harness.data,
                                          .region = BYTES("us-east-1"),
                                          .account = BYTES("000000000000"),
                                          .segment_bytes = 1u << 20,
                                          .memtable_bytes = 4u << 20,
                                          .cache_bytes = 16u << 20,
                                          .repeat_evaluation = true};
    enum err err = store_open(&options, &harness.store, &report);
    if (err != OK) {
        printf("the store does not open: %s\n", err_text(err));
        exit(99);
    }
    lane_init(&harness.lane, harness.store, &harness.home);
}

static void harness_close(void)
{
    while (harness.lane.in_flight > 0) { /* reads of followers that were closed meanwhile */
        mailbox_run(&harness.home);
        event_wait(&harness.wake, 20);
    }
    lane_fini(&harness.lane);
    CHECK(store_close(harness.store) == OK);
}

static void harness_init(void)
{
    snprintf(harness.data, sizeof(harness.data), "/tmp/headwater-unit-XXXXXX");
    if (mkdtemp(harness.data) == NULL) {
        exit(99);
    }
    event_init(&harness.wake);
    mailbox_init(&harness.home, harness_wake, &harness.wake);
    harness.parser = json_parser_new();
    arena_init(&harness.arena, 0);
    buf_init(&harness.answer, 32u << 20);
    harness_open();
}

static int harness_remove(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

static void harness_fini(void)
{
    harness_close();
    json_parser_free(harness.parser);
    arena_fini(&harness.arena);
    buf_fini(&harness.answer);
    event_fini(&harness.wake);
    nftw(harness.data, harness_remove, 8, FTW_DEPTH | FTW_PHYS);
}

static void harness_done(struct op_call *call)
{
    (void)call;
    harness.done = true;
}

/* Turns of a loop until the flag is set; 10 s are for ever. */
static bool harness_run_until(const bool *flag)
{
    uint64_t limit = clock_mono_ns() + 10000000000u;
    while (!*flag && clock_mono_ns() < limit) {
        if (mailbox_run(&harness.home) == 0) {
            lane_flush(&harness.lane);
            event_wait(&harness.wake, *flag ? 0 : 20);
        }
        lane_flush(&harness.lane);
    }
    return *flag;
}

/* Runs a call of a filled input struct. */
static void harness_start(struct op_call *call)
{
    call->done = harness_done;
    harness.done = false;
    op_start(&harness.lane, call);
    CHECK(harness_run_until(&harness.done));
}

/* Tests write JSON with ' for ", as no test needs the character itself. */
static const char *quoted(const char *json)
{
    static char texts[4][1u << 20];
    static unsigned turn;
    char *text = texts[turn++ % 4];
    size_t len = strlen(json);
    CHECK(len < sizeof(texts[0]));
    for (size_t i = 0; i <= len; i++) {
        text[i] = json[i] == '\'' ? '"' : json[i];
    }
    return text;
}

/* As on a loop, where the next request is parsed while this one is on its way: nothing of a call
 * may lean on its request's document. */
static void parse_something_else(size_t len)
{
    static char other[1u << 20];
    struct json root;
    CHECK(len + 3 <= sizeof(other));
    memset(other, '#', len + 2);
    other[0] = '"';
    other[len + 1] = '"';
    CHECK(json_parse(harness.parser, bytes_of(other, len + 2), &root) == OK);
}

/* The answer's JSON, good until the next call. */
static const char *call(const char *name, const char *json)
{
    struct op_call one = {0};
    struct json root;
    char target[128];
    snprintf(target, sizeof(target), "DynamoDB_20120810.%s", name);
    one.op = op_find(bytes_cstr(target));
    if (one.op == NULL) {
        snprintf(target, sizeof(target), "DynamoDBStreams_20120810.%s", name);
        one.op = op_find(bytes_cstr(target));
    }
    arena_reset(&harness.arena);
    buf_clear(&harness.answer);
    one.arena = &harness.arena;
    if (one.op == NULL || json_parse(harness.parser, bytes_cstr(quoted(json)), &root) != OK) {
        return "the test is wrong";
    }
    if (op_decode(&one, root) == OK) {
        parse_something_else(strlen(json));
        harness_start(&one);
    }
    harness.status = op_encode(&one, &harness.answer);
    buf_add_byte(&harness.answer, 0);
    return (const char *)harness.answer.ptr;
}

/* The fault's message, or the whole answer when there is none; the type before it when it is not a
 * ValidationException. */
__attribute__((unused)) static const char *refusal(const char *name, const char *json)
{
    static char text[8192];
    const char *answer = call(name, json);
    const char *message = strstr(answer, "essage\":\"");
    const char *type = strchr(answer, '#');
    if (harness.status == 200 || type == NULL) {
        return answer;
    }
    size_t type_len = strcspn(type + 1, "\"");
    bool validation = strncmp(type + 1, "ValidationException", type_len) == 0;
    struct json root;
    struct json member;
    if (message == NULL) {
        snprintf(text, sizeof(text), "%.*s", (int)type_len, type + 1);
        return text;
    }
    struct bytes whole = bytes_of(answer, strlen(answer));
    if (json_parse(harness.parser, whole, &root) != OK ||
        (!json_member(root, BYTES("message"), &member) &&
         !json_member(root, BYTES("Message"), &member))) {
        return "an answer that is no JSON";
    }
    snprintf(text, sizeof(text), "%.*s%s%.*s", validation ? 0 : (int)type_len, type + 1,
             validation ? "" : ": ", BYTES_FMT(json_string(member)));
    return text;
}

#define CHECK_TEXT(actual, expected)                                                               \
    do {                                                                                           \
        const char *actual_text_ = (actual);                                                       \
        if (strcmp(actual_text_, expected) != 0) {                                                 \
            check_failures++;                                                                      \
            printf("%s:%d:\n  is       %s\n  expected %s\n", __FILE__, __LINE__, actual_text_,     \
                   expected);                                                                      \
        }                                                                                          \
    } while (0)
#define CHECK_CALL(name, json, expected) CHECK_TEXT(call(name, json), quoted(expected))
#define CHECK_REFUSED(name, json, expected) CHECK_TEXT(refusal(name, json), expected)
/* part: with ' for ". */
#define CHECK_HAS(text, part)                                                                      \
    do {                                                                                           \
        const char *whole_text_ = (text);                                                          \
        if (strstr(whole_text_, quoted(part)) == NULL) {                                           \
            check_failures++;                                                                      \
            printf("%s:%d:\n  %s\n  lacks %s\n", __FILE__, __LINE__, whole_text_, part);           \
        }                                                                                          \
    } while (0)
#define CHECK_LACKS(text, part)                                                                    \
    do {                                                                                           \
        const char *whole_text_ = (text);                                                          \
        if (strstr(whole_text_, quoted(part)) != NULL) {                                           \
            check_failures++;                                                                      \
            printf("%s:%d:\n  %s\n  has %s\n", __FILE__, __LINE__, whole_text_, part);             \
        }                                                                                          \
    } while (0)

#define MAKE_TABLE(name, more)                                                                     \
    "{'TableName':'" name "','BillingMode':'PAY_PER_REQUEST',"                                     \
    "'AttributeDefinitions':[{'AttributeName':'pk','AttributeType':'S'},"                          \
    "{'AttributeName':'sk','AttributeType':'N'}],"                                                 \
    "'KeySchema':[{'AttributeName':'pk','KeyType':'HASH'},"                                        \
    "{'AttributeName':'sk','KeyType':'RANGE'}]" more "}"
#define MAKE_HASH_TABLE(name, more)                                                                \
    "{'TableName':'" name "','BillingMode':'PAY_PER_REQUEST',"                                     \
    "'AttributeDefinitions':[{'AttributeName':'pk','AttributeType':'S'}],"                         \
    "'KeySchema':[{'AttributeName':'pk','KeyType':'HASH'}]" more "}"
#define WITH_STREAM(view)                                                                          \
    ",'StreamSpecification':{'StreamEnabled':true,'StreamViewType':'" view "'}"

#endif
