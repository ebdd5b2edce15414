/* DescribeStream: a stream and its shards: here one, open as long as the stream is.
 * Amazon DynamoDB Streams API Reference, API_streams_DescribeStream.
 *
 * An open shard has no EndingSequenceNumber: consumers take one that has for finished. */
#include "op/description.h"
#include "op/shard.h"

enum filter_type { FILTER_NONE = 0, FILTER_CHILD_SHARDS };

struct shard_filter {
    enum filter_type type;
    struct bytes shard_id;
};

struct describe_stream_in {
    struct bytes arn;
    int32_t limit;
    bool has_limit;
    struct bytes after; /* ExclusiveStartShardId */
    struct shard_filter filter;
    bool has_filter;
};

struct sequence_range {
    struct bytes start;
    struct bytes end;
};

struct shard {
    struct bytes id;
    struct sequence_range range;
};

struct stream_description {
    struct bytes arn;
    struct bytes label;
    struct bytes status;
    enum stream_view view;
    uint64_t created_ms;
    struct bytes table_name;
    struct key_element *keys;
    size_t key_count;
    struct shard *shards;
    size_t shard_count;
};

struct describe_stream_out {
    struct stream_description stream;
};

static enum err describe_stream_run(struct op_call *call, struct reader *reader,
                                    struct changes *changes);
static enum err describe_shard(struct op_call *call, struct reader *reader,
                               const struct stream *stream, struct stream_description *out);

static const char *const filter_names[] = {[FILTER_CHILD_SHARDS] = "CHILD_SHARDS"};
static const struct enum_set set_filter = ENUM_SET(filter_names, "[CHILD_SHARDS]");

static const struct field filter_fields[] = {
    {NAME("Type"), .type = FIELD_ENUM, .flags = FIELD_REQUIRED, .stage = 1, .set = &set_filter,
     AT(shard_filter, type)},
    {NAME("ShardId"), .type = FIELD_STRING, .flags = FIELD_REQUIRED, .stage = 1, .min = 28,
     .max = 65, AT(shard_filter, shard_id)},
    {.type = FIELD_END},
};
static const struct shape shape_filter = {"ShardFilter", filter_fields,
                                          sizeof(struct shard_filter)};

static const struct field describe_stream_in_fields[] = {
    {NAME("StreamArn"), .type = FIELD_STRING, .flags = FIELD_REQUIRED, .stage = 1, .min = 37,
     .max = 1024, AT(describe_stream_in, arn)},
    {NAME("Limit"), .type = FIELD_INTEGER, .stage = 1, .min = 1, .max = 100,
     AT(describe_stream_in, limit), GIVEN(describe_stream_in, has_limit)},
    {NAME("ExclusiveStartShardId"), .type = FIELD_STRING, .stage = 1, .min = 28, .max = 65,
     AT(describe_stream_in, after)},
    {NAME("ShardFilter"), .type = FIELD_STRUCT, .shape = &shape_filter,
     AT(describe_stream_in, filter), GIVEN(describe_stream_in, has_filter)},
    {.type = FIELD_END},
};

static const struct field range_fields[] = {
    MEMBER_TEXT("StartingSequenceNumber", sequence_range, start),
    MEMBER_TEXT("EndingSequenceNumber", sequence_range, end),
    {.type = FIELD_END},
};
static const struct shape shape_range = {"SequenceNumberRange", range_fields,
                                         sizeof(struct sequence_range)};

static const struct field shard_fields[] = {
    MEMBER_TEXT("ShardId", shard, id),
    {NAME("SequenceNumberRange"), .type = FIELD_STRUCT, .shape = &shape_range, AT(shard, range)},
    {.type = FIELD_END},
};
static const struct shape shape_shard = {"Shard", shard_fields, sizeof(struct shard)};

static const struct field description_fields[] = {
    MEMBER_TEXT("StreamArn", stream_description, arn),
    MEMBER_TEXT("StreamLabel", stream_description, label),
    MEMBER_TEXT("StreamStatus", stream_description, status),
    {NAME("StreamViewType"), .type = FIELD_ENUM, .set = &set_stream_view,
     AT(stream_description, view)},
    {NAME("CreationRequestDateTime"), .type = FIELD_TIME, AT(stream_description, created_ms)},
    MEMBER_TEXT("TableName", stream_description, table_name),
    {NAME("KeySchema"), .type = FIELD_LIST, .shape = &shape_key_element,
     AT(stream_description, keys), COUNTED(stream_description, key_count)},
    {NAME("Shards"), .type = FIELD_LIST, .shape = &shape_shard, AT(stream_description, shards),
     COUNTED(stream_description, shard_count)},
    {.type = FIELD_END},
};
static const struct shape shape_description = {"StreamDescription", description_fields,
                                               sizeof(struct stream_description)};

static const struct field describe_stream_out_fields[] = {
    {NAME("StreamDescription"), .type = FIELD_STRUCT, .shape = &shape_description,
     AT(describe_stream_out, stream)},
    {.type = FIELD_END},
};

const struct op op_describe_stream = {
    .name = "DescribeStream",
    .api = OP_API_STREAMS,
    .in_size = sizeof(struct describe_stream_in),
    .out_size = sizeof(struct describe_stream_out),
    .in_fields = describe_stream_in_fields,
    .out_fields = describe_stream_out_fields,
    .run = describe_stream_run,
};

static enum err describe_stream_run(struct op_call *call, struct reader *reader,
                                    struct changes *changes)
{
    const struct describe_stream_in *in = call->in;
    struct describe_stream_out *out = call->out;
    const struct stream *stream;
    struct arena *arena = call->arena;
    (void)changes;
    TRY(lookup_stream(call, reader, in->arn, &stream));
    struct stream_description *shown = &out->stream;
    struct key_schema schema = stream->schema;
    schema.partition.name = arena_dup(arena, schema.partition.name);
    schema.sort.name = arena_dup(arena, schema.sort.name);
    shown->arn = arena_dup(arena, stream->arn);
    shown->label = arena_dup(arena, stream->label);
    shown->status = stream->last_commit == UINT64_MAX ? BYTES("ENABLED") : BYTES("DISABLED");
    shown->view = stream->view;
    shown->created_ms = stream->created_ms;
    shown->table_name = arena_dup(arena, stream->table_name);
    shown->keys = key_elements(&schema, arena, &shown->key_count);
    if (schema.partition.name.ptr == NULL || schema.sort.name.ptr == NULL ||
        shown->arn.ptr == NULL || shown->label.ptr == NULL || shown->table_name.ptr == NULL ||
        shown->keys == NULL) {
        return ERR_NOMEM;
    }
    TRY(describe_shard(call, reader, stream, shown));
    /* The one shard has no children, and a page that starts after it is empty. */
    bool past = in->after.ptr != NULL && bytes_compare(in->after, stream->shard_id) >= 0;
    shown->shard_count = in->has_filter || past ? 0 : 1;
    return OK;
}

static enum err describe_shard(struct op_call *call, struct reader *reader,
                               const struct stream *stream, struct stream_description *out)
{
    struct shard *shard = arena_zalloc(call->arena, sizeof(*shard));
    if (shard == NULL) {
        return ERR_NOMEM;
    }
    shard->id = arena_dup(call->arena, stream->shard_id);
    shard->range.start = sequence_text(reader, call->arena, stream->first_commit, 0);
    out->shards = shard;
    if (stream->last_commit != UINT64_MAX) {
        shard->range.end = sequence_text(reader, call->arena, stream->last_commit, LOG_INDEX_END);
        TRY(shard->range.end.ptr == NULL ? ERR_NOMEM : OK);
    }
    return shard->id.ptr == NULL || shard->range.start.ptr == NULL ? ERR_NOMEM : OK;
}
