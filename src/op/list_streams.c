/* ListStreams: streams by ARN, a page at a time, without those of the server's own tables. Streams
 * of deleted tables stay listed while their records are readable.
 * Amazon DynamoDB Streams API Reference, API_streams_ListStreams.
 *
 * A page starts after an ARN in their order, whether there is such a stream or not: one that was
 * named by LastEvaluatedStreamArn may be gone by now. */
#include "op/shard.h"

#define LIST_STREAMS_MAX 100

struct list_streams_in {
    struct bytes table_name;
    struct bytes after; /* ExclusiveStartStreamArn */
    int32_t limit;
    bool has_limit;
};

struct stream_entry {
    struct bytes arn;
    struct bytes table_name;
    struct bytes label;
};

struct list_streams_out {
    struct stream_entry *streams;
    size_t count;
    struct bytes last;
};

static enum err list_streams_check(struct op_call *call);
static enum err list_streams_run(struct op_call *call, struct reader *reader,
                                 struct changes *changes);

static const struct field list_streams_in_fields[] = {
    {NAME("TableName"), .type = FIELD_STRING, .stage = 1, .form = FORM_TABLE_NAME,
     AT(list_streams_in, table_name)},
    {NAME("Limit"), .type = FIELD_INTEGER, .stage = 1, .min = 1, .max = LIST_STREAMS_MAX,
     AT(list_streams_in, limit), GIVEN(list_streams_in, has_limit)},
    {NAME("ExclusiveStartStreamArn"), .type = FIELD_STRING, .stage = 1, .min = 37, .max = 1024,
     AT(list_streams_in, after)},
    {.type = FIELD_END},
};

static const struct field entry_fields[] = {
    MEMBER_TEXT("StreamArn", stream_entry, arn),
    MEMBER_TEXT("TableName", stream_entry, table_name),
    MEMBER_TEXT("StreamLabel", stream_entry, label),
    {.type = FIELD_END},
};
static const struct shape shape_entry = {"Stream", entry_fields, sizeof(struct stream_entry)};

static const struct field list_streams_out_fields[] = {
    {NAME("Streams"), .type = FIELD_LIST, .shape = &shape_entry, AT(list_streams_out, streams),
     COUNTED(list_streams_out, count)},
    MEMBER_TEXT("LastEvaluatedStreamArn", list_streams_out, last),
    {.type = FIELD_END},
};

const struct op op_list_streams = {
    .name = "ListStreams",
    .api = OP_API_STREAMS,
    .in_size = sizeof(struct list_streams_in),
    .out_size = sizeof(struct list_streams_out),
    .in_fields = list_streams_in_fields,
    .out_fields = list_streams_out_fields,
    .check = list_streams_check,
    .run = list_streams_run,
};

static enum err list_streams_check(struct op_call *call)
{
    const struct list_streams_in *in = call->in;
    return in->after.ptr == NULL ? OK : check_stream_arn(call, in->after);
}

static enum err list_streams_run(struct op_call *call, struct reader *reader,
                                 struct changes *changes)
{
    const struct list_streams_in *in = call->in;
    struct list_streams_out *out = call->out;
    size_t limit = in->has_limit ? (size_t)in->limit : LIST_STREAMS_MAX;
    struct bytes after = in->after;
    const struct stream *stream;
    (void)changes;
    out->streams = arena_alloc(call->arena, limit * sizeof(*out->streams));
    if (out->streams == NULL) {
        return ERR_NOMEM;
    }
    while ((stream = catalogue_next_stream(reader->catalogue, after, in->table_name)) != NULL) {
        after = stream->arn;
        if (is_reserved_name(stream->table_name)) {
            continue;
        }
        if (out->count == limit) {
            out->last = out->streams[limit - 1].arn;
            return OK;
        }
        struct stream_entry *entry = &out->streams[out->count++];
        entry->arn = arena_dup(call->arena, stream->arn);
        entry->table_name = arena_dup(call->arena, stream->table_name);
        entry->label = arena_dup(call->arena, stream->label);
        if (entry->arn.ptr == NULL || entry->table_name.ptr == NULL || entry->label.ptr == NULL) {
            return ERR_NOMEM;
        }
    }
    return OK;
}
