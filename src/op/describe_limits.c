/* DescribeLimits: the quotas of an account. Headwater has none; the answer is that of an account
 * whose quotas nobody has changed, since clients divide by it.
 * Amazon DynamoDB API Reference, API_DescribeLimits. */
#include "op/op_priv.h"

struct limits_out {
    int64_t account_read;
    int64_t account_write;
    int64_t table_read;
    int64_t table_write;
};

static enum err describe_limits_run(struct op_call *call, struct reader *reader,
                                    struct changes *changes);

static const struct field describe_limits_in_fields[] = {{.type = FIELD_END}};

static const struct field describe_limits_out_fields[] = {
    {NAME("AccountMaxReadCapacityUnits"), .type = FIELD_LONG, AT(limits_out, account_read)},
    {NAME("AccountMaxWriteCapacityUnits"), .type = FIELD_LONG, AT(limits_out, account_write)},
    {NAME("TableMaxReadCapacityUnits"), .type = FIELD_LONG, AT(limits_out, table_read)},
    {NAME("TableMaxWriteCapacityUnits"), .type = FIELD_LONG, AT(limits_out, table_write)},
    {.type = FIELD_END},
};

const struct op op_describe_limits = {
    .name = "DescribeLimits",
    .api = OP_API_DYNAMODB,
    .in_size = 1,
    .out_size = sizeof(struct limits_out),
    .in_fields = describe_limits_in_fields,
    .out_fields = describe_limits_out_fields,
    .run = describe_limits_run,
};

static enum err describe_limits_run(struct op_call *call, struct reader *reader,
                                    struct changes *changes)
{
    (void)reader;
    (void)changes;
    *(struct limits_out *)call->out = (struct limits_out){80000, 80000, 40000, 40000};
    return OK;
}
