/* GetRecords: records of a shard from an iterator on, in order, and the iterator to go on with.
 * Amazon DynamoDB Streams API Reference, API_streams_GetRecords.
 *
 * An empty page is no end. A closed shard is at its end when there is no NextShardIterator. */
#include "op/description.h"
#include "op/shard.h"

#include "base/hash.h"

#define RECORDS_MAX 1000
#define RECORDS_BYTES_MAX (1u << 20)

struct get_records_in {
    struct bytes iterator;
    int32_t limit;
    bool has_limit;
};

struct identity {
    struct bytes principal;
    struct bytes type;
};

struct record_body {
    uint64_t time_ms;
    struct bytes keys;
    struct bytes new_image;
    struct bytes old_image;
    bool has_new_image;
    bool has_old_image;
    struct bytes sequence;
    size_t size;
    enum stream_view view;
};

struct record {
    struct bytes id;
    struct bytes name;
    struct bytes version;
    struct bytes source;
    struct bytes region;
    struct record_body body;
    struct identity identity;
    bool has_identity;
};

struct get_records_out {
    struct record *records;
    size_t count;
    struct bytes next;
};

static enum err get_records_run(struct op_call *call, struct reader *reader,
                                struct changes *changes);
static enum err open_iterator(struct op_call *call, struct reader *reader,
                              struct iterator *iterator, const struct stream **stream);
static enum err show_record(struct op_call *call, struct reader *reader,
                            const struct stream *stream, const struct log_record *from,
                            struct record *to);
static struct bytes event_id(struct arena *arena, struct bytes arn, struct bytes sequence);

static const struct field get_records_in_fields[] = {
    {NAME("ShardIterator"), .type = FIELD_STRING, .flags = FIELD_REQUIRED, .stage = 1, .min = 1,
     .max = ITERATOR_TEXT_MAX, AT(get_records_in, iterator)},
    {NAME("Limit"), .type = FIELD_INTEGER, .stage = 1, .min = 1, .max = RECORDS_MAX,
     AT(get_records_in, limit), GIVEN(get_records_in, has_limit)},
    {.type = FIELD_END},
};

static const struct field body_fields[] = {
    {NAME("ApproximateCreationDateTime"), .type = FIELD_SECONDS, AT(record_body, time_ms)},
    {NAME("Keys"), .type = FIELD_ITEM, AT(record_body, keys)},
    {NAME("NewImage"), .type = FIELD_ITEM, .flags = FIELD_HASHED, AT(record_body, new_image),
     GIVEN(record_body, has_new_image)},
    {NAME("OldImage"), .type = FIELD_ITEM, .flags = FIELD_HASHED, AT(record_body, old_image),
     GIVEN(record_body, has_old_image)},
    MEMBER_TEXT("SequenceNumber", record_body, sequence),
    {NAME("SizeBytes"), .type = FIELD_SIZE, .flags = FIELD_KEEP_ZERO, AT(record_body, size)},
    {NAME("StreamViewType"), .type = FIELD_ENUM, .set = &set_stream_view, AT(record_body, view)},
    {.type = FIELD_END},
};
static const struct shape shape_body = {"StreamRecord", body_fields, sizeof(struct record_body)};

static const struct field identity_fields[] = {
    MEMBER_TEXT("PrincipalId", identity, principal),
    MEMBER_TEXT("Type", identity, type),
    {.type = FIELD_END},
};
static const struct shape shape_identity = {"Identity", identity_fields, sizeof(struct identity)};

static const struct field record_fields[] = {
    MEMBER_TEXT("eventID", record, id),
    MEMBER_TEXT("eventName", record, name),
    MEMBER_TEXT("eventVersion", record, version),
    MEMBER_TEXT("eventSource", record, source),
    MEMBER_TEXT("awsRegion", record, region),
    {NAME("dynamodb"), .type = FIELD_STRUCT, .shape = &shape_body, AT(record, body)},
    {NAME("userIdentity"), .type = FIELD_STRUCT, .shape = &shape_identity, AT(record, identity),
     GIVEN(record, has_identity)},
    {.type = FIELD_END},
};
static const struct shape shape_record = {"Record", record_fields, sizeof(struct record)};

static const struct field get_records_out_fields[] = {
    {NAME("Records"), .type = FIELD_LIST, .shape = &shape_record, AT(get_records_out, records),
     COUNTED(get_records_out, count)},
    MEMBER_TEXT("NextShardIterator", get_records_out, next),
    {.type = FIELD_END},
};

const struct op op_get_records = {
    .name = "GetRecords",
    .api = OP_API_STREAMS,
    .in_size = sizeof(struct get_records_in),
    .out_size = sizeof(struct get_records_out),
    .in_fields = get_records_in_fields,
    .out_fields = get_records_out_fields,
    .run = get_records_run,
};

static enum err get_records_run(struct op_call *call, struct reader *reader,
                                struct changes *changes)
{
    const struct get_records_in *in = call->in;
    struct get_records_out *out = call->out;
    struct iterator iterator;
    const struct stream *stream = NULL;
    (void)changes;
    TRY(open_iterator(call, reader, &iterator, &stream));
    struct log_read read = {
        .stream = stream->id, /* NOLINT(clang-analyzer-core.NullDereference): OK has one */
        .after = iterator.after,
        .until = stream->last_commit,
        .hash_high = UINT64_MAX,
        .records_max = in->has_limit ? (size_t)in->limit : RECORDS_MAX,
        .bytes_max = RECORDS_BYTES_MAX,
        .mode = reader->blocking ? LOG_READ_BLOCKING : LOG_READ_TAIL_ONLY,
        .arena = call->arena,
    };
    enum err err = reader_stream(reader, stream, &read);
    if (err == ERR_TRIMMED) {
        return fault(call, FAULT_TRIMMED, "%s", TEXT_TRIMMED);
    }
    TRY(err);
    out->records = arena_zalloc(call->arena, (read.count + 1) * sizeof(*out->records));
    if (out->records == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < read.count; i++) {
        if (read.records[i].kind == RECORD_ITEM) {
            TRY(show_record(call, reader, stream, &read.records[i], &out->records[out->count++]));
        }
    }
    if (stream->last_commit != UINT64_MAX && read.at_end) {
        return OK;
    }
    iterator.after = read.reached;
    iterator.created_ms = reader->now_ms;
    out->next = iterator_text(&iterator, call->arena);
    return out->next.ptr == NULL ? ERR_NOMEM : OK;
}

static enum err open_iterator(struct op_call *call, struct reader *reader,
                              struct iterator *iterator, const struct stream **stream)
{
    const struct get_records_in *in = call->in;
    if (iterator_parse(in->iterator, iterator) != OK) {
        return fault(call, FAULT_VALIDATION, "Invalid ShardIterator");
    }
    if (reader->now_ms > iterator->created_ms + ITERATOR_KEPT_MS) {
        return fault(call, FAULT_EXPIRED_ITERATOR,
                     "The shard iterator has expired and can no longer be used to retrieve stream "
                     "records");
    }
    TRY(lookup_stream(call, reader, iterator->arn, stream));
    if (place_compare(iterator->after, reader_stream_trim(reader, *stream)) < 0) {
        return fault(call, FAULT_TRIMMED, "%s", TEXT_TRIMMED);
    }
    return OK;
}

static enum err show_record(struct op_call *call, struct reader *reader,
                            const struct stream *stream, const struct log_record *from,
                            struct record *to)
{
    struct stream_record decoded;
    struct arena *arena = call->arena;
    TRY(stream_record_decode(stream, from, &decoded));
    struct record_body *body = &to->body;
    body->time_ms = from->time_ms;
    body->keys = key_to_item(&stream->schema, decoded.key, arena);
    body->has_new_image = decoded.has_new_image;
    body->new_image = decoded.new_image;
    body->has_old_image = decoded.has_old_image;
    body->old_image = decoded.old_image;
    body->sequence = sequence_text(reader, arena, from->commit, from->index);
    body->view = stream->view;
    body->size = item_size(body->keys) + item_size(body->new_image) + item_size(body->old_image);
    to->id = event_id(arena, stream->arn, body->sequence);
    to->name = decoded.removed    ? BYTES("REMOVE")
               : decoded.inserted ? BYTES("INSERT")
                                  : BYTES("MODIFY");
    to->version = BYTES("1.1");
    to->source = BYTES("aws:dynamodb");
    to->region = store_region(reader->store);
    to->has_identity = decoded.origin == ORIGIN_EXPIRY;
    to->identity = (struct identity){BYTES("dynamodb.amazonaws.com"), BYTES("Service")};
    return body->keys.ptr == NULL || body->sequence.ptr == NULL || to->id.ptr == NULL ? ERR_NOMEM
                                                                                      : OK;
}

/* The same at every reading: a hash of what names the record for ever (op I9). */
static struct bytes event_id(struct arena *arena, struct bytes arn, struct bytes sequence)
{
    struct bytes text = arena_printf(arena, "%.*s %.*s", BYTES_FMT(arn), BYTES_FMT(sequence));
    if (text.ptr == NULL) {
        return text;
    }
    return arena_printf(arena, "%016llx%016llx", (unsigned long long)hash_key(text),
                        (unsigned long long)hash_key(bytes_of(text.ptr + 1, text.len - 1)));
}
