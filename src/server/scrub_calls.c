/* The calls about the scrub: see scrub_calls.h. */
#include "server/scrub_calls.h"

#include "server/authorise.h"
#include "server/server.h"

#define SCRUB_RATE_LEAST 65536u

struct scrub_op {
    const char *name;
    const char *action;
    bool starts;
};

static const struct scrub_op ops[] = {
    {"Headwater_20261130.StartScrub", "headwater:StartScrub", true},
    {"Headwater_20261130.DescribeScrub", "headwater:DescribeScrub", false},
};

static bool read_rate(struct json root, uint64_t *rate);
static void answer_state(struct loop_state *state, struct http_request *request);
static void add_damages(struct buf *out, const struct store_scrub *scrub);

const struct scrub_op *scrub_op_find(struct bytes target)
{
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        if (bytes_equal(target, bytes_cstr(ops[i].name))) {
            return &ops[i];
        }
    }
    return NULL;
}

void scrub_op_run(struct loop_state *state, const struct scrub_op *op,
                  const struct managed_key *key, struct http_request *request, struct json root)
{
    struct server *server = state->server;
    struct fault fault = {0};
    uint64_t rate = 0;
    struct bytes resource = arena_printf(request->arena, "arn:aws:headwater:%.*s:%.*s:scrub",
                                         BYTES_FMT(store_region(server->store)),
                                         BYTES_FMT(store_account(server->store)));
    if (key != NULL &&
        !authorise_action(state, key, request->arena, op->action, resource, &fault)) {
        dispatch_fault(state, request, &fault);
        return;
    }
    if (op->starts && !read_rate(root, &rate)) {
        fault.code = FAULT_VALIDATION;
        fault.message = BYTES("BytesPerSecond must be a whole number from 65536 on");
        dispatch_fault(state, request, &fault);
        return;
    }
    if (op->starts) {
        store_scrub_start(server->store, rate);
    }
    answer_state(state, request);
}

static bool read_rate(struct json root, uint64_t *rate)
{
    struct json value;
    if (!json_member(root, BYTES("BytesPerSecond"), &value)) {
        return true;
    }
    int64_t given = json_type(value) == JSON_INTEGER ? json_integer(value) : 0;
    *rate = given > 0 ? (uint64_t)given : 0;
    return *rate >= SCRUB_RATE_LEAST;
}

static void answer_state(struct loop_state *state, struct http_request *request)
{
    struct buf *out = &state->answer;
    struct store_scrub scrub;
    store_scrub_state(state->server->store, &scrub);
    buf_clear(out);
    buf_printf(out, "{\"Scrub\":{\"Status\":\"%s\",\"Passes\":%llu",
               scrub.running != 0 ? "RUNNING" : "IDLE", (unsigned long long)scrub.passes);
    if (scrub.started_s > 0) {
        buf_printf(out, ",\"StartDate\":%llu", (unsigned long long)scrub.started_s);
    }
    if (scrub.ended_s > 0) {
        buf_printf(out, ",\"EndDate\":%llu", (unsigned long long)scrub.ended_s);
    }
    buf_printf(out,
               ",\"Bytes\":%llu,\"BytesAll\":%llu,\"Records\":%llu,\"Tables\":%llu,\"Rows\":%llu,"
               "\"Damages\":%llu,\"Damaged\":[",
               (unsigned long long)scrub.bytes, (unsigned long long)scrub.bytes_all,
               (unsigned long long)scrub.records, (unsigned long long)scrub.tables,
               (unsigned long long)scrub.rows, (unsigned long long)scrub.damages);
    add_damages(out, &scrub);
    buf_add_cstr(out, "]}}");
    dispatch_answer(state, request, 200);
}

static void add_damages(struct buf *out, const struct store_scrub *scrub)
{
    for (uint64_t i = 0; i < scrub->damages && i < STORE_SCRUB_TOLD_MAX; i++) {
        const struct store_scrub_damage *damage = &scrub->told[i];
        buf_add_cstr(out, i == 0 ? "{\"File\":" : ",{\"File\":");
        json_add_string(out, bytes_cstr(damage->file));
        buf_printf(out, ",\"Offset\":%llu,\"Reason\":", (unsigned long long)damage->offset);
        json_add_string(out, bytes_cstr(damage->reason));
        buf_add_byte(out, '}');
    }
}
