/* headwater-bench: a load driver for any server that speaks DynamoDB's protocol. It makes a table,
 * fills it, loads it with a mix of calls and says how many came back and how fast. Every request
 * carries fresh random bytes and a fresh signature; every answer's status and checksum are looked
 * at. bench/README.md tells how to read the figures. */
#include "lib/credentials.h"
#include "lib/options.h"
#include "lib/report.h"

#include "base/mem.h"
#include "sys/clock.h"
#include "sys/process.h"
#include "sys/random.h"
#include "sys/thread.h"

#include <stdlib.h>

#define EXIT_ERRORS 1
#define EXIT_USE 2
#define ITEMS_MAX 4000000000u
#define ACTIVE_WAIT_MS 10u
#define ACTIVE_WAITS_MAX 3000

struct options {
    const char *endpoint;
    const char *credentials;
    const char *access_key;
    const char *secret_key;
    const char *region;
    const char *table;
    const char *mix;
    const char *stream;
    const char *json;
    uint64_t connections;
    uint64_t items;
    uint64_t size;
    uint64_t seed;
    uint64_t requests;
    double seconds;
    double warmup;
    double rate;
    bool create;
    bool load;
    bool in_order;
};

#define ROW(name, kind, field, least, most, help)                                                  \
    {                                                                                              \
        name, OPTION_##kind, offsetof(struct options, field), least, most, help                    \
    }
static const struct option_row rows[] = {
    ROW("endpoint", TEXT, endpoint, 0, 0, "http://ADDRESS:PORT of the server"),
    ROW("credentials", TEXT, credentials, 0, 0,
        "AWS shared-credentials file; its first profile is used"),
    ROW("access-key", TEXT, access_key, 0, 0, "instead of a file: the key id"),
    ROW("secret-key", TEXT, secret_key, 0, 0, "and its secret"),
    ROW("region", TEXT, region, 0, 0, "named in signatures (us-east-1)"),
    ROW("table", TEXT, table, 0, 0, "table's name (bench)"),
    ROW("connections", COUNT, connections, 1, 20000, "keep-alive connections (64)"),
    ROW("items", COUNT, items, 2, (double)ITEMS_MAX, "items in the table (10000)"),
    ROW("size", COUNT, size, 1, 400000, "bytes of an item's value (1024)"),
    ROW("mix", TEXT, mix, 0, 0,
        "percent of each call, out of put get update delete transact (put=100)"),
    ROW("seconds", REAL, seconds, 0, 3600, "measured time (10); 0: none"),
    ROW("requests", COUNT, requests, 1, 1e12, "instead of a time: so many, without warm-up"),
    ROW("warmup", REAL, warmup, 0, 3600, "time before it (2)"),
    ROW("open-loop", REAL, rate, 0.001, 1e7,
        "requests a second, sent when due whatever the server does"),
    ROW("create", FLAG, create, 0, 0, "make the table first"),
    ROW("stream", TEXT, stream, 0, 0, "with --create: the table's stream view type"),
    ROW("load", FLAG, load, 0, 0, "put every item once before the run"),
    ROW("in-order", FLAG, in_order, 0, 0, "items one after another instead of uniformly"),
    ROW("seed", COUNT, seed, 0, 1e18, "of keys and values (random)"),
    ROW("json", TEXT, json, 0, 0, "write the results to this file too, one object a line"),
};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

struct bench {
    struct options options;
    struct peer peer;
    struct signer signer;
    struct prng prng;
    struct request_target target;
    struct load_plan plan;
    FILE *json;
};

static void usage(FILE *out);
static bool parse_mix(const char *text, unsigned weights[REQUEST_KIND_COUNT]);
static bool read_credentials(struct options *options, struct buf *keep);
static bool prepare(struct bench *bench, struct buf *keep);
static bool create_table(struct bench *bench);
static bool call(struct bench *bench, const char *target, const struct buf *body, struct buf *in,
                 struct response *response);
static int measure(struct bench *bench, const char *label);

int main(int argc, char **argv)
{
    static struct bench bench;
    struct buf keep;
    buf_init(&keep, 65536);
    bench.options = (struct options){.region = "us-east-1",
                                     .table = "bench",
                                     .mix = "put=100",
                                     .connections = 64,
                                     .items = 10000,
                                     .size = 1024,
                                     .seconds = 10,
                                     .warmup = 2};
    int status;
    if (!options_parse(rows, ROW_COUNT, argc, argv, &bench.options, usage, &status, NULL)) {
        return status;
    }
    if (!prepare(&bench, &keep)) {
        return EXIT_USE;
    }
    status = EXIT_SUCCESS;
    if (bench.options.create && !create_table(&bench)) {
        status = EXIT_ERRORS;
    }
    if (status == EXIT_SUCCESS && bench.options.load) {
        bench.plan.fill = true;
        status = measure(&bench, "fill");
        bench.plan.fill = false;
    }
    if (status == EXIT_SUCCESS && (bench.options.seconds > 0 || bench.options.requests > 0)) {
        bench.plan.rate = bench.options.requests > 0 ? 0 : bench.options.rate;
        bench.plan.request_count = bench.options.requests;
        status = measure(&bench, bench.options.mix);
    }
    if (bench.json != NULL && fclose(bench.json) != 0) {
        fprintf(stderr, "headwater-bench: cannot write %s\n", bench.options.json);
        status = EXIT_ERRORS;
    }
    buf_fini(&keep);
    return status;
}

static bool prepare(struct bench *bench, struct buf *keep)
{
    struct options *options = &bench->options;
    if (options->endpoint == NULL || peer_parse(options->endpoint, &bench->peer) != OK) {
        fprintf(stderr, "headwater-bench: --endpoint must be http://ADDRESS:PORT\n");
        return false;
    }
    if (!parse_mix(options->mix, bench->plan.weights)) {
        fprintf(stderr, "headwater-bench: --mix must be like put=50,get=50, 100 in all\n");
        return false;
    }
    if (!read_credentials(options, keep)) {
        return false;
    }
    if (options->json != NULL && (bench->json = fopen(options->json, "w")) == NULL) {
        fprintf(stderr, "headwater-bench: cannot write %s\n", options->json);
        return false;
    }
    process_raise_file_limit();
    prng_init(&bench->prng, options->seed != 0 ? options->seed : random_u64());
    signer_init(&bench->signer, bytes_cstr(options->access_key), bytes_cstr(options->secret_key),
                bytes_cstr(options->region), BYTES("dynamodb"));
    bench->target = (struct request_target){.host = bytes_cstr(bench->peer.host),
                                            .table = bytes_cstr(options->table),
                                            .value_len = (size_t)options->size,
                                            .item_count = options->items};
    bench->plan.peer = &bench->peer;
    bench->plan.target = &bench->target;
    bench->plan.signer = &bench->signer;
    bench->plan.prng = &bench->prng;
    bench->plan.in_order = options->in_order;
    bench->plan.connections = (unsigned)options->connections;
    bench->plan.warmup_ns = (uint64_t)(options->warmup * 1e9);
    bench->plan.run_ns = (uint64_t)(options->seconds * 1e9);
    return true;
}

static int measure(struct bench *bench, const char *label)
{
    struct load_result *result = mem_zalloc(1, sizeof(*result));
    struct report report = {label, bench->options.endpoint, &bench->plan, result};
    char why[128];
    load_result_init(result);
    enum err err = load_run(&bench->plan, result, why, sizeof(why));
    report_table(&report, stdout);
    fflush(stdout);
    if (err != OK) {
        fprintf(stderr, "headwater-bench: %s: %s\n", bench->peer.host, why);
    } else if (bench->json != NULL) {
        report_json(&report, bench->json);
    }
    bool clean = err == OK && load_error_total(result) == 0 && result->ok > 0;
    load_result_fini(result);
    mem_free(result);
    return clean ? EXIT_SUCCESS : EXIT_ERRORS;
}

/* A key schema of one string, on demand; waits until the table is ACTIVE. */
static bool create_table(struct bench *bench)
{
    const struct options *options = &bench->options;
    struct response response = {0};
    struct buf body;
    struct buf in;
    buf_init(&body, 4096);
    buf_init(&in, 1u << 20);
    buf_printf(&body,
               "{\"TableName\":\"%s\",\"AttributeDefinitions\":[{\"AttributeName\":\"pk\","
               "\"AttributeType\":\"S\"}],\"KeySchema\":[{\"AttributeName\":\"pk\",\"KeyType\":"
               "\"HASH\"}],\"BillingMode\":\"PAY_PER_REQUEST\"",
               options->table);
    if (options->stream != NULL) {
        buf_printf(&body,
                   ",\"StreamSpecification\":{\"StreamEnabled\":true,\"StreamViewType\":\"%s\"}",
                   options->stream);
    }
    buf_add_cstr(&body, "}");
    bool active = false;
    bool made = call(bench, "DynamoDB_20120810.CreateTable", &body, &in, &response);
    for (int i = 0; made && !active && i < ACTIVE_WAITS_MAX; i++) {
        thread_pause_ms(i == 0 ? 0 : ACTIVE_WAIT_MS);
        buf_clear(&body);
        buf_printf(&body, "{\"TableName\":\"%s\"}", options->table);
        made = call(bench, "DynamoDB_20120810.DescribeTable", &body, &in, &response);
        active = made && memmem(response.body.ptr, response.body.len, "\"ACTIVE\"", 8) != NULL;
    }
    if (made && !active) {
        fprintf(stderr, "headwater-bench: table %s does not become ACTIVE\n", options->table);
    }
    buf_fini(&in);
    buf_fini(&body);
    return active;
}

/* False, with a message, unless the answer's status is 200. */
static bool call(struct bench *bench, const char *target, const struct buf *body, struct buf *in,
                 struct response *response)
{
    struct buf request;
    buf_init(&request, 65536);
    signer_set_time(&bench->signer, clock_wall_ms());
    request_write(&request, bytes_cstr(bench->peer.host), bytes_cstr(target), buf_bytes(body),
                  &bench->signer);
    enum err err = peer_call(&bench->peer, buf_bytes(&request), in, response);
    buf_fini(&request);
    if (err != OK) {
        fprintf(stderr, "headwater-bench: %s: %s: %s\n", bench->peer.host, target, err_text(err));
        return false;
    }
    if (response->status != 200) {
        fprintf(stderr, "headwater-bench: %s: HTTP %u: %.*s\n", target, response->status,
                BYTES_FMT(response->body));
        return false;
    }
    return true;
}

/* "put=50,get=50" */
static bool parse_mix(const char *text, unsigned weights[REQUEST_KIND_COUNT])
{
    unsigned long sum = 0;
    while (*text != 0) {
        const char *equals = strchr(text, '=');
        if (equals == NULL) {
            return false;
        }
        enum request_kind kind = request_kind_of(bytes_of(text, (size_t)(equals - text)));
        char *end;
        unsigned long percent = strtoul(equals + 1, &end, 10);
        if (kind == REQUEST_KIND_COUNT || percent > 100 || (*end != 0 && *end != ',')) {
            return false;
        }
        weights[kind] += (unsigned)percent;
        sum += percent;
        text = *end == ',' ? end + 1 : end;
    }
    return sum == 100;
}

static bool read_credentials(struct options *options, struct buf *keep)
{
    if (options->credentials == NULL) {
        if (options->access_key == NULL || options->secret_key == NULL) {
            fprintf(stderr, "headwater-bench: --credentials or --access-key and --secret-key "
                            "must be given\n");
            return false;
        }
        return true;
    }
    if (credentials_read(options->credentials, keep, &options->access_key, &options->secret_key) !=
        OK) {
        fprintf(stderr, "headwater-bench: no access key in %s\n", options->credentials);
        return false;
    }
    return true;
}

static void usage(FILE *out)
{
    fprintf(out, "Usage: headwater-bench --endpoint URL --credentials FILE [options]\n\n");
    options_print(rows, ROW_COUNT, out);
    fprintf(out,
            "\nExit status: 0 when every answer was as it should be, 1 when one was not, 2 for "
            "wrong use.\n"
            "Example: headwater-bench --endpoint http://127.0.0.1:8000 --credentials "
            "data/credentials \\\n"
            "    --create --stream NEW_AND_OLD_IMAGES --load --mix put=50,get=50\n");
}
