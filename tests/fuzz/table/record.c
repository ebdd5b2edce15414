/* Bodies of records, as replay finds them: any bytes are decoded or refused, what is decoded
 * encodes to the same, rows stay in their table, a catalogue stays in order, and a dump is JSON.
 *
 * The rows of a record come to the view's functions, which are replaced here: they look at what
 * would be written. */
#include "fuzz.h"
#include "table/table_priv.h"

#define RECORDS_MAX 8u
#define NAMES_MAX 4u

static uint64_t rows;

static void check_row(struct bytes row)
{
    HOLDS(row.len >= 8 && row.len <= ROW_KEY_MAX);
    uint64_t table_id = read_u64_big(row.ptr);
    HOLDS(table_id == 0 || table_id >= TABLE_ID_FIRST);
    rows++;
}

void view_put(struct view *view, struct bytes row, struct bytes value)
{
    (void)view;
    check_row(row);
    HOLDS(value.ptr != NULL || value.len == 0);
}

void view_delete(struct view *view, struct bytes row)
{
    (void)view;
    check_row(row);
}

void view_delete_range(struct view *view, struct bytes low, struct bytes high)
{
    (void)view;
    check_row(low);
    HOLDS(bytes_compare(low, high) < 0);
}

/* ---- bodies that are sound, or nearly ---- */

static struct bytes item_body(struct fuzz_input *input, struct arena *arena)
{
    struct item_record record = {.origin = (uint8_t)(1 + fuzz_below(input, 3)),
                                 .view = (uint8_t)fuzz_below(input, 5),
                                 .was = fuzz_bool(input),
                                 .is = fuzz_bool(input),
                                 .has_old = fuzz_bool(input),
                                 .table_id = TABLE_ID_FIRST + fuzz_u64(input) / 2,
                                 .key = fuzz_bytes(input, 40)};
    struct item_record back;
    struct bytes body;
    record.new_item = record.is ? fuzz_item(input, arena, 1) : BYTES_NONE;
    record.old_item = record.has_old ? fuzz_item(input, arena, 1) : BYTES_NONE;
    HOLDS(item_record_encode(&record, arena, &body) == OK);
    bool sound = (record.was || record.is) && (!record.has_old || record.was);
    HOLDS((item_record_decode(body, &back) == OK) == sound);
    return body;
}

static struct bytes token_body(struct fuzz_input *input, struct arena *arena)
{
    static const uint8_t hash[32] = {1};
    struct token_record record = {.token = fuzz_bytes(input, TOKEN_LEN_MAX),
                                  .time_ms = fuzz_u64(input),
                                  .request_hash = bytes_of(hash, sizeof(hash))};
    struct token_record back;
    struct bytes body;
    HOLDS(token_record_encode(&record, arena, &body) == OK);
    HOLDS(token_record_decode(body, &back) == OK && back.time_ms == record.time_ms &&
          bytes_equal(back.token, record.token));
    return body;
}

static struct bytes drop_body(struct fuzz_input *input, struct arena *arena)
{
    struct token_record records[4];
    size_t count = fuzz_below(input, 5);
    struct bytes body;
    for (size_t i = 0; i < count; i++) {
        records[i] = (struct token_record){fuzz_bytes(input, 20), fuzz_u64(input), BYTES_NONE};
    }
    HOLDS(token_drop_encode(records, count, arena, &body) == OK);
    return body;
}

static struct bytes description_body(struct fuzz_input *input, struct arena *arena)
{
    uint64_t id = TABLE_ID_FIRST + fuzz_below(input, NAMES_MAX);
    struct bytes name = arena_printf(arena, "table%zu", fuzz_below(input, NAMES_MAX));
    struct key_schema schema = {.partition = {BYTES("pk"), VALUE_S}};
    struct bytes body;
    if (fuzz_bool(input)) {
        schema.sort = (struct key_attribute){BYTES("sk"), VALUE_N};
    }
    const struct stream stream = {.id = 300 + fuzz_below(input, NAMES_MAX),
                                  .table_id = id,
                                  .table_name = name,
                                  .label = BYTES("label"),
                                  .arn =
                                      arena_printf(arena, "arn%zu", fuzz_below(input, NAMES_MAX)),
                                  .shard_id = BYTES("shard"),
                                  .view = (enum stream_view)(1 + fuzz_below(input, 4)),
                                  .schema = schema,
                                  .created_ms = fuzz_u64(input) / 2,
                                  .first_commit = fuzz_below(input, 100)};
    const struct table table = {.id = id,
                                .name = name,
                                .arn = BYTES("arn"),
                                .schema = schema,
                                .stream = fuzz_bool(input) ? &stream : NULL,
                                .latest_stream_label = stream.label,
                                .latest_stream_arn = stream.arn,
                                .settings = fuzz_item(input, arena, 1),
                                .created_ms = stream.created_ms};
    if (fuzz_below(input, 4) == 1) {
        HOLDS(describe_id(BYTES("stream"), stream.id, arena, &body) == OK);
    } else {
        HOLDS(describe_table(&table, arena, &body) == OK);
    }
    return body;
}

static struct bytes make_body(struct fuzz_input *input, struct arena *arena, uint8_t kind)
{
    struct bytes body = kind == KIND_RECORD_ITEM         ? item_body(input, arena)
                        : kind == KIND_RECORD_TOKEN      ? token_body(input, arena)
                        : kind == KIND_RECORD_TOKEN_DROP ? drop_body(input, arena)
                                                         : description_body(input, arena);
    uint8_t *changed = arena_alloc(arena, body.len);
    HOLDS(changed != NULL);
    memcpy(changed, body.ptr, body.len);
    for (size_t changes = fuzz_below(input, 3); changes > 0 && body.len > 0; changes--) {
        changed[fuzz_below(input, body.len)] = fuzz_byte(input);
    }
    return bytes_of(changed, body.len);
}

/* ---- properties ---- */

static void check_item_record(const struct log_record *record, struct arena *arena)
{
    static const struct stream streams[] = {{.view = STREAM_KEYS_ONLY},
                                            {.view = STREAM_NEW_IMAGE},
                                            {.view = STREAM_OLD_IMAGE},
                                            {.view = STREAM_NEW_AND_OLD}};
    struct item_record item;
    struct item_record again;
    struct stream_record shown;
    struct bytes body;
    enum err err = item_record_decode(record->body, &item);
    HOLDS(err == OK || err == ERR_DAMAGED);
    for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
        enum err shown_err = stream_record_decode(&streams[i], record, &shown);
        bool closes =
            record->kind == KIND_RECORD_TABLE_DELETE || record->kind == KIND_RECORD_STREAM_CLOSE;
        HOLDS(closes                             ? shown_err == ERR_CLOSED
              : record->kind == KIND_RECORD_ITEM ? shown_err == err
                                                 : shown_err == ERR_DAMAGED);
        HOLDS(shown_err != OK || !shown.has_new_image || item.is);
        HOLDS(shown_err != OK || !shown.has_old_image || item.has_old);
    }
    if (err == OK) {
        HOLDS(item_record_encode(&item, arena, &body) == OK);
        HOLDS(body.len <= record->body.len); /* rows of a later version are read over */
        HOLDS(item_record_decode(body, &again) == OK && bytes_equal(again.key, item.key) &&
              bytes_equal(again.new_item, item.new_item) &&
              bytes_equal(again.old_item, item.old_item) && again.table_id == item.table_id);
    }
}

static void check_token_record(const struct log_record *record, struct arena *arena)
{
    struct token_record token;
    struct bytes body;
    if (token_record_decode(record->body, &token) == OK) {
        HOLDS(token_record_encode(&token, arena, &body) == OK);
        HOLDS(bytes_equal(body, record->body));
    }
}

static void check_dump(const struct log_record *record)
{
    struct buf out;
    buf_init(&out, 1u << 20);
    enum err err = table_record_to_json(record, &out);
    HOLDS(err == OK || err == ERR_DAMAGED);
    if (err == OK && fuzz_is_utf8(buf_bytes(&out))) {
        HOLDS(json_type(fuzz_parse_json(buf_bytes(&out))) == JSON_OBJECT);
    }
    buf_fini(&out);
}

static void check_catalogue(const struct catalogue *catalogue)
{
    struct bytes before = BYTES_NONE;
    size_t tables = 0;
    size_t streams = 0;
    for (const struct table *table = catalogue_next_table(catalogue, BYTES_NONE);
         table != NULL && tables <= catalogue->table_count; tables++) {
        HOLDS(tables == 0 || bytes_compare(before, table->name) < 0);
        HOLDS(catalogue_table(catalogue, table->name) != NULL);
        HOLDS(catalogue_table_by_id(catalogue, table->id) != NULL);
        before = table->name;
        table = catalogue_next_table(catalogue, before);
    }
    HOLDS(tables == catalogue->table_count);
    for (const struct stream *stream = catalogue_next_stream(catalogue, BYTES_NONE, BYTES_NONE);
         stream != NULL && streams <= catalogue->stream_count; streams++) {
        HOLDS(catalogue_stream(catalogue, stream->arn) != NULL);
        stream = catalogue_next_stream(catalogue, stream->arn, BYTES_NONE);
    }
    HOLDS(streams == catalogue->stream_count);
    (void)catalogue_trimmed_stream(catalogue);
}

static struct catalogue *apply(struct catalogue *catalogue, const struct log_record *record)
{
    struct catalogue *after = NULL;
    uint64_t before = rows;
    enum err applied = record_apply(NULL, record);
    HOLDS(applied == OK || applied == ERR_DAMAGED);
    HOLDS(applied != OK || rows > before || record->kind == KIND_RECORD_TOKEN_DROP);
    enum err changed = record_catalogue(catalogue, record, &after);
    HOLDS(changed == OK || changed == ERR_DAMAGED);
    HOLDS(changed == OK || after == NULL);
    if (after == NULL) {
        return catalogue;
    }
    check_catalogue(after);
    catalogue_unpin(catalogue);
    return after;
}

/* The rows that are read at a start. */
static void load(struct bytes value)
{
    struct catalogue *catalogue = catalogue_new(TABLE_ID_FIRST);
    enum err stream = catalogue_load_stream(catalogue, value);
    enum err table = catalogue_load_table(catalogue, value);
    HOLDS((stream == OK || stream == ERR_DAMAGED) && (table == OK || table == ERR_DAMAGED));
    check_catalogue(catalogue);
    catalogue_unpin(catalogue);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = fuzz_input_of(data, size);
    struct catalogue *catalogue = catalogue_new(TABLE_ID_FIRST);
    struct arena arena;
    arena_init(&arena, 0);
    for (size_t i = 1 + fuzz_below(&input, RECORDS_MAX); i > 0; i--) {
        bool raw = fuzz_below(&input, 4) == 0;
        uint8_t kind = (uint8_t)(raw ? fuzz_below(&input, 9) : 1 + fuzz_below(&input, 6));
        struct log_record record = {.commit = 100 - i,
                                    .count = 1,
                                    .time_ms = fuzz_u64(&input),
                                    .stream = fuzz_byte(&input),
                                    .key_hash = fuzz_byte(&input),
                                    .kind = kind};
        record.body =
            raw ? fuzz_copy(&arena, fuzz_bytes(&input, 400)) : make_body(&input, &arena, kind);
        check_item_record(&record, &arena);
        check_token_record(&record, &arena);
        check_dump(&record);
        load(record.body);
        catalogue = apply(catalogue, &record);
    }
    catalogue_unpin(catalogue);
    arena_fini(&arena);
    return 0;
}
