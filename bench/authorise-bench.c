/* What it costs to authorise a call of a managed key: its policy is compiled, its expressions are
 * in the loop's cache, as after the first call. Processor time of one thread; the best of several
 * rounds, since a busy machine only adds. Exits 1 when a call of one item costs more than the
 * limit.
 *
 *   authorise-bench [LIMIT_NS] */
#include "server/authorise.h"
#include "sys/thread.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 15u
#define CALLS 20000u

static const char policy_text[] =
    "{\"Version\":\"2012-10-17\",\"Statement\":["
    "{\"Effect\":\"Allow\",\"Action\":[\"dynamodb:ListTables\",\"dynamodb:DescribeTable\"],"
    "\"Resource\":\"*\"},"
    "{\"Effect\":\"Allow\",\"Action\":[\"dynamodb:GetItem\",\"dynamodb:PutItem\","
    "\"dynamodb:UpdateItem\",\"dynamodb:Query\",\"dynamodb:ConditionCheckItem\"],"
    "\"Resource\":[\"arn:aws:dynamodb:*:*:table/Games\",\"arn:aws:dynamodb:*:*:table/Games/*\"],"
    "\"Condition\":{\"ForAllValues:StringEquals\":{\"dynamodb:LeadingKeys\":[\"${aws:username}\"],"
    "\"dynamodb:Attributes\":[\"pk\",\"sk\",\"score\",\"title\"]},"
    "\"StringEqualsIfExists\":{\"dynamodb:Select\":\"SPECIFIC_ATTRIBUTES\","
    "\"dynamodb:ReturnValues\":[\"NONE\",\"UPDATED_OLD\",\"UPDATED_NEW\"]}}},"
    "{\"Effect\":\"Deny\",\"Action\":\"*\",\"Resource\":\"arn:aws:dynamodb:*:*:table/headwater.*\"}"
    "]}";

#define KEY "{\"pk\":{\"S\":\"ann\"},\"sk\":{\"S\":\"1\"}}"
#define CHECK_ENTRY                                                                                \
    "{\"ConditionCheck\":{\"TableName\":\"Games\",\"Key\":" KEY                                    \
    ",\"ConditionExpression\":\"score > title\"}}"

static const struct {
    const char *name;
    const char *target;
    const char *body;
    bool limited; /* a call of one item */
} calls[] = {
    {"GetItem", "DynamoDB_20120810.GetItem",
     "{\"TableName\":\"Games\",\"Key\":" KEY ",\"ProjectionExpression\":\"title, score\"}", true},
    {"PutItem", "DynamoDB_20120810.PutItem",
     "{\"TableName\":\"Games\",\"Item\":{\"pk\":{\"S\":\"ann\"},\"sk\":{\"S\":\"1\"},\"score\":"
     "{\"N\":\"7\"}}}",
     true},
    {"UpdateItem", "DynamoDB_20120810.UpdateItem",
     "{\"TableName\":\"Games\",\"Key\":" KEY ",\"UpdateExpression\":\"SET score = :s\","
     "\"ConditionExpression\":\"title < :s\",\"ExpressionAttributeValues\":{\":s\":{\"N\":\"7\"}}}",
     true},
    {"Query", "DynamoDB_20120810.Query",
     "{\"TableName\":\"Games\",\"KeyConditionExpression\":\"pk = :p AND sk > :s\","
     "\"ProjectionExpression\":\"title\",\"ExpressionAttributeValues\":{\":p\":{\"S\":\"ann\"},"
     "\":s\":{\"S\":\"0\"}}}",
     true},
    {"TransactWriteItems of 3", "DynamoDB_20120810.TransactWriteItems",
     "{\"TransactItems\":[" CHECK_ENTRY "," CHECK_ENTRY "," CHECK_ENTRY "]}", false},
};

static void wake(void *arg)
{
    event_signal(arg);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

static uint64_t cpu_ns(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) != 0) {
        return 0;
    }
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Nanoseconds a call; 0: it is not allowed. */
static uint64_t measure(struct loop_state *state, const struct managed_key *key,
                        struct op_call *call)
{
    uint64_t best = UINT64_MAX;
    struct arena scratch;
    arena_init(&scratch, 0);
    call->arena = &scratch;
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t begun = cpu_ns();
        for (unsigned i = 0; i < CALLS; i++) {
            struct fault fault = {0};
            if (!authorise_call(state, key, call, &fault)) {
                printf("%.*s\n", BYTES_FMT(fault.message));
                arena_fini(&scratch);
                return 0;
            }
            arena_reset(&scratch);
        }
        uint64_t took = (cpu_ns() - begun) / CALLS;
        best = took < best ? took : best;
    }
    arena_fini(&scratch);
    return best;
}

static bool measure_all(struct loop_state *state, const struct managed_key *key, uint64_t limit_ns)
{
    struct json_parser *parser = json_parser_new();
    struct arena arena;
    bool good = parser != NULL;
    arena_init(&arena, 0);
    for (size_t i = 0; good && i < sizeof(calls) / sizeof(calls[0]); i++) {
        struct op_call call = {.op = op_find(bytes_cstr(calls[i].target)), .arena = &arena};
        struct json root;
        if (json_parse(parser, bytes_cstr(calls[i].body), &root) != OK ||
            op_decode(&call, root) != OK) {
            printf("%s: %.*s\n", calls[i].name, BYTES_FMT(call.fault.message));
            good = false;
            break;
        }
        uint64_t ns = measure(state, key, &call);
        bool within = ns > 0 && (!calls[i].limited || ns <= limit_ns);
        printf("%-24s %5llu ns%s\n", calls[i].name, (unsigned long long)ns,
               within ? "" : "  too much");
        good = good && within;
    }
    arena_fini(&arena);
    json_parser_free(parser);
    return good;
}

int main(int argc, char **argv)
{
    static struct server server;
    static struct loop_state state;
    char folder[] = "/tmp/authorise-bench.XXXXXX";
    char data[64];
    char why[200];
    struct mailbox home;
    struct event event;
    struct store_report report;
    struct managed_key key = {.name = BYTES("ann")};
    const struct table_definition games = {
        .name = BYTES("Games"), .schema = {{BYTES("pk"), VALUE_S}, {BYTES("sk"), VALUE_S}}};
    uint64_t limit_ns = argc > 1 ? strtoull(argv[1], NULL, 10) : 2000;
    if (mkdtemp(folder) == NULL) {
        return 2;
    }
    snprintf(data, sizeof(data), "%s/data", folder);
    const struct store_options options = {.data = data,
                                          .region = BYTES("us-east-1"),
                                          .account = BYTES("000000000000"),
                                          .segment_bytes = 1u << 20,
                                          .memtable_bytes = 1u << 20};
    struct json_parser *parser = json_parser_new();
    if (policy_compile(parser, bytes_cstr(policy_text), key.name, &key.policy, why, sizeof(why)) !=
            OK ||
        store_open(&options, &server.store, &report) != OK ||
        store_ensure_table(server.store, &games) != OK) {
        fprintf(stderr, "authorise-bench: cannot begin\n");
        return 2;
    }
    event_init(&event);
    mailbox_init(&home, wake, &event);
    state.server = &server;
    lane_init(&state.lane, server.store, &home);
    bool good = measure_all(&state, &key, limit_ns);
    lane_fini(&state.lane);
    good = store_close(server.store) == OK && good;
    policy_free(key.policy);
    json_parser_free(parser);
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return good ? 0 : 1;
}
