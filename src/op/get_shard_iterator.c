/* GetShardIterator: a place to read a shard from.
 * Amazon DynamoDB Streams API Reference, API_streams_GetShardIterator. */
#include "op/shard.h"

enum iterator_type {
    ITERATOR_NONE = 0,
    ITERATOR_TRIM_HORIZON,
    ITERATOR_LATEST,
    ITERATOR_AT,
    ITERATOR_AFTER
};

struct get_shard_iterator_in {
    struct bytes arn;
    struct bytes shard_id;
    enum iterator_type type;
    struct bytes sequence;
};

struct get_shard_iterator_out {
    struct bytes iterator;
};

static enum err iterator_check(struct op_call *call);
static enum err iterator_run(struct op_call *call, struct reader *reader, struct changes *changes);
static enum err place_of(struct op_call *call, struct reader *reader, const struct stream *stream,
                         struct log_place *after);
static enum err place_of_sequence(struct op_call *call, struct reader *reader,
                                  const struct stream *stream, struct log_place *after);

static const char *const type_names[] = {
    [ITERATOR_TRIM_HORIZON] = "TRIM_HORIZON",
    [ITERATOR_LATEST] = "LATEST",
    [ITERATOR_AT] = "AT_SEQUENCE_NUMBER",
    [ITERATOR_AFTER] = "AFTER_SEQUENCE_NUMBER",
};
static const struct enum_set set_iterator_type =
    ENUM_SET(type_names, "[AFTER_SEQUENCE_NUMBER, LATEST, AT_SEQUENCE_NUMBER, TRIM_HORIZON]");

static const struct field get_shard_iterator_in_fields[] = {
    {NAME("StreamArn"), .type = FIELD_STRING, .flags = FIELD_REQUIRED, .stage = 1, .min = 37,
     .max = 1024, AT(get_shard_iterator_in, arn)},
    {NAME("ShardId"), .type = FIELD_STRING, .flags = FIELD_REQUIRED, .stage = 1, .min = 28,
     .max = 65, AT(get_shard_iterator_in, shard_id)},
    {NAME("ShardIteratorType"), .type = FIELD_ENUM, .flags = FIELD_REQUIRED, .stage = 1,
     .set = &set_iterator_type, AT(get_shard_iterator_in, type)},
    {NAME("SequenceNumber"), .type = FIELD_STRING, .flags = FIELD_NO_VALUE, .stage = 1, .min = 21,
     .max = 40, AT(get_shard_iterator_in, sequence)},
    {.type = FIELD_END},
};

static const struct field get_shard_iterator_out_fields[] = {
    MEMBER_TEXT("ShardIterator", get_shard_iterator_out, iterator),
    {.type = FIELD_END},
};

const struct op op_get_shard_iterator = {
    .name = "GetShardIterator",
    .api = OP_API_STREAMS,
    .in_size = sizeof(struct get_shard_iterator_in),
    .out_size = sizeof(struct get_shard_iterator_out),
    .in_fields = get_shard_iterator_in_fields,
    .out_fields = get_shard_iterator_out_fields,
    .check = iterator_check,
    .run = iterator_run,
};

static enum err iterator_check(struct op_call *call)
{
    const struct get_shard_iterator_in *in = call->in;
    bool wants = in->type == ITERATOR_AT || in->type == ITERATOR_AFTER;
    if (wants && in->sequence.ptr == NULL) {
        return fault(call, FAULT_VALIDATION, INVALID_VALUES "SequenceNumber cannot be null");
    }
    if (!wants && in->sequence.ptr != NULL) {
        return fault(call, FAULT_VALIDATION,
                     INVALID_VALUES "SequenceNumber should not be passed for this iterator type");
    }
    return OK;
}

static enum err iterator_run(struct op_call *call, struct reader *reader, struct changes *changes)
{
    const struct get_shard_iterator_in *in = call->in;
    struct get_shard_iterator_out *out = call->out;
    const struct stream *stream;
    (void)changes;
    TRY(lookup_stream(call, reader, in->arn, &stream));
    if (!bytes_equal(in->shard_id, stream->shard_id)) {
        return fault(call, FAULT_NOT_FOUND,
                     "Requested resource not found: Shard: %.*s in Stream: %.*s not found",
                     BYTES_FMT(in->shard_id), BYTES_FMT(in->arn));
    }
    struct iterator iterator = {.arn = in->arn, .created_ms = reader->now_ms};
    TRY(place_of(call, reader, stream, &iterator.after));
    out->iterator = iterator_text(&iterator, call->arena);
    return out->iterator.ptr == NULL ? ERR_NOMEM : OK;
}

static enum err place_of(struct op_call *call, struct reader *reader, const struct stream *stream,
                         struct log_place *after)
{
    const struct get_shard_iterator_in *in = call->in;
    switch (in->type) {
    case ITERATOR_NONE:
    case ITERATOR_TRIM_HORIZON:
        *after = reader_stream_trim(reader, stream);
        break;
    case ITERATOR_LATEST:
        *after = reader_stream_end(reader, stream);
        break;
    case ITERATOR_AT:
    case ITERATOR_AFTER:
        return place_of_sequence(call, reader, stream, after);
    }
    return OK;
}

/* Places lie between records. The stream's own StartingSequenceNumber stands before the first. */
static enum err place_of_sequence(struct op_call *call, struct reader *reader,
                                  const struct stream *stream, struct log_place *after)
{
    const struct get_shard_iterator_in *in = call->in;
    const struct log_place start = {stream->first_commit, LOG_INDEX_END};
    struct log_place place;
    if (sequence_number_parse(reader->store, in->sequence, &place) != OK ||
        place.commit < stream->first_commit ||
        place_compare(place, reader_stream_end(reader, stream)) > 0) {
        return fault(call, FAULT_VALIDATION, "Invalid SequenceNumber for the shard");
    }
    if (in->type == ITERATOR_AT) {
        place = place.index > 0 ? (struct log_place){place.commit, place.index - 1}
                                : (struct log_place){place.commit - 1, LOG_INDEX_END};
    }
    if (place_compare(place, start) < 0) {
        place = start;
    }
    if (place_compare(place, reader_stream_trim(reader, stream)) < 0) {
        return fault(call, FAULT_TRIMMED, "%s", TEXT_TRIMMED);
    }
    *after = place;
    return OK;
}
