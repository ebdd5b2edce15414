/* Scan: all items of a table, or of one segment of it, in the order of their partitions' hashes, a
 * page at a time.
 * Amazon DynamoDB API Reference, API_Scan.
 *
 * Segments are equal ranges of the hash: disjoint, together the whole, and the same for as long as
 * TotalSegments is. */
#include "op/page.h"

#define SEGMENT_MAX 999999
#define SEGMENT_COUNT_MAX 1000000

/* DynamoDB tells what is wrong with Select after the expressions, so it waits in select_fault. */
struct scan_wire {
    struct scan_in in; /* first: callers in the process know only this */
    struct fault select_fault;
};

static bool scan_access(const struct op_call *call, op_access_visit *visit, void *arg);
static enum err scan_settle(struct op_call *call, struct decode *decode);
static enum err scan_run(struct op_call *call, struct reader *reader, struct changes *changes);
static enum err check_members(struct op_call *call);
static struct reader_hashes hashes_of(const struct scan_in *in);
static enum err start_after(struct op_call *call, const struct table *table,
                            const struct reader_hashes *hashes, struct key *start);

/* `in` is first in the wire's struct, so its offsets are good in both. */
static const struct field scan_in_fields[] = {
    {NAME("Limit"), .type = FIELD_INTEGER, .flags = FIELD_NO_ECHO, .stage = 0, .min = 1,
     AT(scan_in, limit), GIVEN(scan_in, has_limit)},
    {NAME("Segment"), .type = FIELD_INTEGER, .flags = FIELD_NO_ECHO | FIELD_NATURAL, .stage = 0,
     .max = SEGMENT_MAX, AT(scan_in, segment), GIVEN(scan_in, has_segment)},
    {NAME("TotalSegments"), .type = FIELD_INTEGER, .flags = FIELD_NO_ECHO, .stage = 0, .min = 1,
     .max = SEGMENT_COUNT_MAX, AT(scan_in, total_segments), GIVEN(scan_in, has_total)},
    MEMBER_TABLE(scan_in, 1),
    MEMBER_CAPACITY(scan_in, 1),
    {NAME("Select"), .type = FIELD_ENUM, .stage = 2, .set = &set_select, AT(scan_in, select)},
    MEMBER_EXPRESSION("ProjectionExpression", scan_in, projection),
    MEMBER_EXPRESSION("FilterExpression", scan_in, filter),
    MEMBER_NAMES(scan_in),
    MEMBER_VALUES(scan_in),
    {NAME("ExclusiveStartKey"), .type = FIELD_ITEM, .flags = FIELD_START | FIELD_DEEP_START,
     AT(scan_in, start_key)},
    {NAME("ConsistentRead"), .type = FIELD_BOOL, AT(scan_in, consistent_read)},
    MEMBER_INDEX(scan_in),
    MEMBER_UNBUILT("AttributesToGet"),
    MEMBER_UNBUILT("ScanFilter"),
    MEMBER_UNBUILT("ConditionalOperator"),
    {.type = FIELD_END},
};

static const char *const scan_old_order[] = {
    "Select", "TotalSegments", "ReturnConsumedCapacity", "TableName", "Segment", "Limit", NULL};

const struct op op_scan = {
    .name = "Scan",
    .api = OP_API_DYNAMODB,
    .in_size = sizeof(struct scan_wire),
    .out_size = sizeof(struct query_out),
    .in_fields = scan_in_fields,
    .out_fields = scan_out_fields,
    .old_order = scan_old_order,
    .settle = scan_settle,
    .access = scan_access,
    .run = scan_run,
};

static bool scan_access(const struct op_call *call, op_access_visit *visit, void *arg)
{
    const struct scan_in *in = call->in;
    const struct op_access access = {
        .action = "Scan",
        .table = in->table_name,
        .texts = {.filter = in->filter, .projection = in->projection},
        .tokens = &in->tokens,
        .reads = true,
        .select = in->select,
        .capacity = in->capacity,
    };
    return visit(arg, &access);
}

static enum err scan_settle(struct op_call *call, struct decode *decode)
{
    struct scan_wire *wire = call->in;
    TRY(decode_tell_violations(decode, 1));
    TRY(decode_tell_values(decode));
    enum err err = decode_tell_violations(decode, UINT32_MAX);
    if (err == ERR_FAULT) {
        wire->select_fault = call->fault;
        call->fault = (struct fault){0};
        return OK;
    }
    return err;
}

static enum err scan_run(struct op_call *call, struct reader *reader, struct changes *changes)
{
    const struct scan_in *in = call->in;
    const struct expression_texts texts = {.filter = in->filter, .projection = in->projection};
    struct expressions expressions;
    struct reader_hashes hashes = hashes_of(in);
    struct key start;
    struct page page = {.call = call,
                        .reader = reader,
                        .expressions = &expressions,
                        .select = in->select,
                        .has_limit = in->has_limit,
                        .limit = in->limit,
                        .filter_bytes = in->filter.len};
    (void)changes;
    TRY(expressions_open(call, reader, &texts, &in->tokens, &expressions));
    TRY(check_members(call));
    TRY(lookup_table(call, reader, in->table_name, &page.table));
    TRY(lookup_index(call, in->index_name));
    if (in->start_key.ptr != NULL) {
        TRY(start_after(call, page.table, &hashes, &start));
        hashes.after = &start;
    }
    TRY(page_open(&page));
    enum err err = reader_scan_table(reader, page.table, &hashes, page_visit, &page);
    return page_close(&page, err, in->capacity, in->consistent_read);
}

static enum err check_members(struct op_call *call)
{
    const struct scan_wire *wire = call->in;
    const struct scan_in *in = &wire->in;
    if (wire->select_fault.code != FAULT_NONE) {
        call->fault = wire->select_fault;
        return ERR_FAULT;
    }
    TRY(page_check_select(call, in->select, in->projection.ptr != NULL));
    TRY(page_check_index(call, in->select, in->index_name));
    if (in->has_segment != in->has_total) {
        return fault(call, FAULT_VALIDATION,
                     "The %s parameter is required but was not present in the request when %s",
                     in->has_segment ? "TotalSegments" : "Segment",
                     in->has_segment ? "Segment parameter is present"
                                     : "parameter TotalSegments is present");
    }
    if (in->has_segment && in->segment >= in->total_segments) {
        return fault(call, FAULT_VALIDATION,
                     "The Segment parameter is zero-based and must be less than parameter "
                     "TotalSegments");
    }
    return OK;
}

/* The last segment takes what the division leaves over. */
static struct reader_hashes hashes_of(const struct scan_in *in)
{
    struct reader_hashes hashes = {.hash_high = UINT64_MAX, .cached_bytes_max = CACHED_BYTES_MAX};
    if (in->has_segment && in->has_total && in->segment < in->total_segments) {
        uint64_t share = UINT64_MAX / (uint64_t)in->total_segments;
        hashes.hash_low = share * (uint64_t)in->segment;
        if (in->segment + 1 < in->total_segments) {
            hashes.hash_high = hashes.hash_low + share - 1;
        }
    }
    return hashes;
}

static enum err start_after(struct op_call *call, const struct table *table,
                            const struct reader_hashes *hashes, struct key *start)
{
    const struct scan_in *in = call->in;
    TRY(page_start_key(call, table, in->start_key, start));
    if (start->hash < hashes->hash_low || start->hash > hashes->hash_high) {
        return fault(call, FAULT_VALIDATION,
                     "%s: Invalid ExclusiveStartKey. Please use ExclusiveStartKey with correct "
                     "Segment. TotalSegments: %d Segment: %d",
                     TEXT_START_KEY, in->total_segments, in->segment);
    }
    return OK;
}
