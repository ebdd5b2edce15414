/* DescribeEndpoints: where to send further requests, for clients that discover their endpoint: to
 * where this one was sent.
 * Amazon DynamoDB API Reference, API_DescribeEndpoints. */
#include "op/op_priv.h"

#define CACHED_MINUTES 1440

struct endpoint {
    struct bytes address;
    int64_t cached_minutes;
};

struct endpoints_out {
    struct endpoint *endpoints;
    size_t count;
};

static enum err describe_endpoints_run(struct op_call *call, struct reader *reader,
                                       struct changes *changes);

static const struct field describe_endpoints_in_fields[] = {{.type = FIELD_END}};

static const struct field endpoint_fields[] = {
    MEMBER_TEXT("Address", endpoint, address),
    {NAME("CachePeriodInMinutes"), .type = FIELD_LONG, AT(endpoint, cached_minutes)},
    {.type = FIELD_END},
};
static const struct shape shape_endpoint = {"Endpoint", endpoint_fields, sizeof(struct endpoint)};

static const struct field describe_endpoints_out_fields[] = {
    {NAME("Endpoints"), .type = FIELD_LIST, .shape = &shape_endpoint, AT(endpoints_out, endpoints),
     COUNTED(endpoints_out, count)},
    {.type = FIELD_END},
};

const struct op op_describe_endpoints = {
    .name = "DescribeEndpoints",
    .api = OP_API_DYNAMODB,
    .names_host = true,
    .in_size = 1,
    .out_size = sizeof(struct endpoints_out),
    .in_fields = describe_endpoints_in_fields,
    .out_fields = describe_endpoints_out_fields,
    .run = describe_endpoints_run,
};

static enum err describe_endpoints_run(struct op_call *call, struct reader *reader,
                                       struct changes *changes)
{
    struct endpoints_out *out = call->out;
    (void)changes;
    out->endpoints = arena_alloc(call->arena, sizeof(*out->endpoints));
    if (out->endpoints == NULL) {
        return ERR_NOMEM;
    }
    struct bytes region = store_region(reader->store);
    struct bytes address =
        call->host.len > 0
            ? call->host
            : arena_printf(call->arena, "dynamodb.%.*s.amazonaws.com", BYTES_FMT(region));
    out->endpoints[0] = (struct endpoint){address, CACHED_MINUTES};
    out->count = 1;
    return address.ptr == NULL ? ERR_NOMEM : OK;
}
