/* Descriptions of tables and streams, as items: they are stored in records and rows, and new
 * attributes can be added without a new format. Numbers are N, names of attributes as below.
 *
 *   table   id name arn pk pk_type [sk sk_type] created settings [label label_arn] [retention]
 *           [expiry expiry_by] [stream]
 *   stream  id table table_name label arn shard view pk pk_type [sk sk_type] created first
 *           [retention] [hidden]
 *
 * first is the commit of the stream's enablement; 0 in the record that makes it, which does not
 * know its own number. What is read was checked by item_check here, since it comes from disk. */
#include "table/table_priv.h"

static void add_schema(struct item_build *build, const struct key_schema *schema);
static enum err read_schema(struct bytes item, struct key_schema *schema);
static void add_u64(struct item_build *build, struct bytes name, uint64_t number);
static enum err read_u64(struct bytes item, struct bytes name, uint64_t *number);
static void add_some(struct item_build *build, struct bytes name, uint64_t number);
static enum err read_some(struct bytes item, struct bytes name, uint64_t *number);
static enum err read_s(struct bytes item, struct bytes name, struct bytes *text);
static void try_s(struct bytes item, struct bytes name, struct bytes *text);
static void try_m(struct bytes item, struct bytes name, struct bytes *map);

enum err describe_stream(const struct stream *stream, struct arena *arena, struct bytes *item)
{
    struct item_build build;
    item_build_init(&build, arena);
    add_u64(&build, BYTES("id"), stream->id);
    add_u64(&build, BYTES("table"), stream->table_id);
    item_build_s(&build, BYTES("table_name"), stream->table_name);
    item_build_s(&build, BYTES("label"), stream->label);
    item_build_s(&build, BYTES("arn"), stream->arn);
    item_build_s(&build, BYTES("shard"), stream->shard_id);
    add_u64(&build, BYTES("view"), (uint64_t)stream->view);
    add_schema(&build, &stream->schema);
    add_u64(&build, BYTES("created"), stream->created_ms);
    add_u64(&build, BYTES("first"), stream->first_commit);
    add_some(&build, BYTES("retention"), stream->retention_ms);
    add_some(&build, BYTES("hidden"), stream->hidden_ms);
    return item_build_end(&build, item);
}

enum err read_described_stream(struct bytes item, struct stream *stream)
{
    uint64_t view = 0;
    *stream = (struct stream){.last_commit = UINT64_MAX};
    TRY(item_check(item));
    TRY(read_u64(item, BYTES("id"), &stream->id));
    TRY(read_u64(item, BYTES("table"), &stream->table_id));
    TRY(read_s(item, BYTES("table_name"), &stream->table_name));
    TRY(read_s(item, BYTES("label"), &stream->label));
    TRY(read_s(item, BYTES("arn"), &stream->arn));
    TRY(read_s(item, BYTES("shard"), &stream->shard_id));
    TRY(read_u64(item, BYTES("view"), &view));
    TRY(read_schema(item, &stream->schema));
    TRY(read_u64(item, BYTES("created"), &stream->created_ms));
    TRY(read_u64(item, BYTES("first"), &stream->first_commit));
    TRY(read_some(item, BYTES("retention"), &stream->retention_ms));
    TRY(read_some(item, BYTES("hidden"), &stream->hidden_ms));
    if (view < STREAM_KEYS_ONLY || view > STREAM_NEW_AND_OLD) {
        return ERR_DAMAGED;
    }
    stream->view = (enum stream_view)view;
    return OK;
}

enum err describe_table(const struct table *table, struct arena *arena, struct bytes *item)
{
    struct item_build build;
    struct bytes stream = BYTES_NONE;
    item_build_init(&build, arena);
    add_u64(&build, BYTES("id"), table->id);
    item_build_s(&build, BYTES("name"), table->name);
    item_build_s(&build, BYTES("arn"), table->arn);
    add_schema(&build, &table->schema);
    add_u64(&build, BYTES("created"), table->created_ms);
    item_build_m(&build, BYTES("settings"), table->settings);
    add_some(&build, BYTES("retention"), table->retention_ms);
    if (table->expiry_id != 0) {
        add_u64(&build, BYTES("expiry"), table->expiry_id);
        item_build_s(&build, BYTES("expiry_by"), table->expiry_attribute);
    }
    if (table->latest_stream_label.len > 0) {
        item_build_s(&build, BYTES("label"), table->latest_stream_label);
        item_build_s(&build, BYTES("label_arn"), table->latest_stream_arn);
    }
    if (table->stream != NULL) {
        TRY(describe_stream(table->stream, arena, &stream));
        item_build_m(&build, BYTES("stream"), stream);
    }
    return item_build_end(&build, item);
}

enum err read_described_table(struct bytes item, struct table *table, uint64_t *stream_id,
                              struct bytes *stream_item)
{
    *table = (struct table){0};
    *stream_item = BYTES_NONE;
    *stream_id = 0;
    TRY(item_check(item));
    TRY(read_u64(item, BYTES("id"), &table->id));
    TRY(read_s(item, BYTES("name"), &table->name));
    TRY(read_s(item, BYTES("arn"), &table->arn));
    TRY(read_schema(item, &table->schema));
    TRY(read_u64(item, BYTES("created"), &table->created_ms));
    TRY(read_some(item, BYTES("retention"), &table->retention_ms));
    TRY(read_some(item, BYTES("expiry"), &table->expiry_id));
    if (table->expiry_id != 0) {
        TRY(read_s(item, BYTES("expiry_by"), &table->expiry_attribute));
    }
    try_m(item, BYTES("settings"), &table->settings);
    try_s(item, BYTES("label"), &table->latest_stream_label);
    try_s(item, BYTES("label_arn"), &table->latest_stream_arn);
    table->reserved = bytes_start_with(table->name, BYTES("headwater."));
    try_m(item, BYTES("stream"), stream_item);
    return stream_item->len == 0 ? OK : read_u64(*stream_item, BYTES("id"), stream_id);
}

enum err describe_id(struct bytes name, uint64_t id, struct arena *arena, struct bytes *item)
{
    struct item_build build;
    item_build_init(&build, arena);
    add_u64(&build, name, id);
    return item_build_end(&build, item);
}

enum err read_described_id(struct bytes item, struct bytes name, uint64_t *id)
{
    TRY(item_check(item));
    return read_u64(item, name, id);
}

static struct bytes type_name(enum value_tag tag)
{
    return bytes_cstr(value_type_name(tag));
}

static void add_schema(struct item_build *build, const struct key_schema *schema)
{
    item_build_s(build, BYTES("pk"), schema->partition.name);
    item_build_s(build, BYTES("pk_type"), type_name(schema->partition.tag));
    if (key_schema_has_sort(schema)) {
        item_build_s(build, BYTES("sk"), schema->sort.name);
        item_build_s(build, BYTES("sk_type"), type_name(schema->sort.tag));
    }
}

static enum err read_type(struct bytes item, struct bytes name, enum value_tag *tag)
{
    struct bytes text = BYTES_NONE;
    TRY(read_s(item, name, &text));
    for (enum value_tag each = VALUE_S; each <= VALUE_B; each++) {
        if (bytes_equal(text, type_name(each))) {
            *tag = each;
            return OK;
        }
    }
    return ERR_DAMAGED;
}

static enum err read_schema(struct bytes item, struct key_schema *schema)
{
    TRY(read_s(item, BYTES("pk"), &schema->partition.name));
    TRY(read_type(item, BYTES("pk_type"), &schema->partition.tag));
    try_s(item, BYTES("sk"), &schema->sort.name);
    return key_schema_has_sort(schema) ? read_type(item, BYTES("sk_type"), &schema->sort.tag) : OK;
}

/* Ids, commits and milliseconds stay far below 2^63. */
static void add_u64(struct item_build *build, struct bytes name, uint64_t number)
{
    ASSERT(number <= INT64_MAX);
    item_build_i64(build, name, (int64_t)number);
}

/* What is not there is 0. */
static void add_some(struct item_build *build, struct bytes name, uint64_t number)
{
    if (number != 0) {
        add_u64(build, name, number);
    }
}

static enum err read_some(struct bytes item, struct bytes name, uint64_t *number)
{
    struct value value;
    return item_get(item, name, &value) ? read_u64(item, name, number) : OK;
}

static enum err read_u64(struct bytes item, struct bytes name, uint64_t *number)
{
    struct value value;
    int64_t read = 0;
    if (!item_get(item, name, &value) || value.tag != VALUE_N || !value_i64(value, &read) ||
        read < 0) {
        return ERR_DAMAGED;
    }
    *number = (uint64_t)read;
    return OK;
}

static enum err read_s(struct bytes item, struct bytes name, struct bytes *text)
{
    struct value value;
    if (!item_get(item, name, &value) || value.tag != VALUE_S) {
        return ERR_DAMAGED;
    }
    *text = value.body;
    return OK;
}

static void try_s(struct bytes item, struct bytes name, struct bytes *text)
{
    struct value value;
    if (item_get(item, name, &value) && value.tag == VALUE_S) {
        *text = value.body;
    }
}

static void try_m(struct bytes item, struct bytes name, struct bytes *map)
{
    struct value value;
    if (item_get(item, name, &value) && value.tag == VALUE_M) {
        *map = value.body;
    }
}
