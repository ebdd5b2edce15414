/* Records: their bodies, the rows they put into the view, and how they read in a dump. The formats
 * are drawn in table_priv.h. Rows come from the record alone, by the same function for a commit
 * and for replay, so that what is replayed cannot differ from what was shown (table I2). Decoders
 * check everything; what is wrong is ERR_DAMAGED. */
#include "base/base64.h"
#include "table/table_priv.h"

#define FLAG_WAS 1u
#define FLAG_IS 2u
#define FLAG_OLD 4u
#define FLAG_EXPIRES 8u
#define VARINT_MAX 10u

typedef enum err record_rows(struct view *view, const struct log_record *record);
typedef enum err record_dump(const struct log_record *record, struct buf *out);

static record_rows item_rows, token_rows, token_drop_rows, table_rows, table_delete_rows,
    stream_drop_rows, stream_close_rows, expiry_fill_rows, expiry_drop_rows, stream_age_rows;
static record_dump item_dump, token_dump, token_drop_dump, description_dump, expiry_fill_dump;

static const struct record_row {
    const char *name;
    record_rows *rows;
    catalogue_change *catalogue;
    record_dump *dump;
} record_kinds[] = {
#define RECORD(name, number, text, rows, catalogue, dump) [number] = {text, rows, catalogue, dump},
#include "table/record.def"
#undef RECORD
};

static const struct record_row *row_of_kind(uint8_t kind)
{
    bool known =
        kind < sizeof(record_kinds) / sizeof(record_kinds[0]) && record_kinds[kind].rows != NULL;
    return known ? &record_kinds[kind] : NULL;
}

enum err record_apply(struct view *view, const struct log_record *record)
{
    const struct record_row *row = row_of_kind(record->kind);
    return row == NULL ? ERR_DAMAGED : row->rows(view, record);
}

enum err record_catalogue(const struct catalogue *before, const struct log_record *record,
                          struct catalogue **after)
{
    const struct record_row *row = row_of_kind(record->kind);
    *after = NULL;
    if (row == NULL) {
        return ERR_DAMAGED;
    }
    return row->catalogue == NULL ? OK : row->catalogue(before, record, after);
}

/* ---- encoding: the largest size is known before, so bodies are written straight into the arena.
 */

struct writer {
    uint8_t *next;
};

static void write_u8(struct writer *writer, uint8_t value)
{
    *writer->next++ = value;
}

static void write_u64(struct writer *writer, uint64_t value)
{
    for (int i = 0; i < 8; i++) {
        *writer->next++ = (uint8_t)(value >> 8 * i);
    }
}

static void write_varint(struct writer *writer, uint64_t value)
{
    for (; value >= 0x80; value >>= 7) {
        *writer->next++ = (uint8_t)(value | 0x80);
    }
    *writer->next++ = (uint8_t)value;
}

static void write_raw(struct writer *writer, struct bytes data)
{
    if (data.len > 0) {
        memcpy(writer->next, data.ptr, data.len);
        writer->next += data.len;
    }
}

static void write_sized(struct writer *writer, struct bytes data)
{
    write_varint(writer, data.len);
    write_raw(writer, data);
}

enum err item_record_encode(const struct item_record *record, struct arena *arena,
                            struct bytes *body)
{
    size_t most = 3 + 8 * VARINT_MAX + record->key.len + record->new_item.len +
                  record->removed.len + (record->has_old ? record->old_item.len : 0);
    uint8_t *start = arena_alloc(arena, most);
    if (start == NULL) {
        return ERR_NOMEM;
    }
    struct writer writer = {start};
    write_u8(&writer, record->origin);
    write_u8(&writer, record->view);
    write_u8(&writer, (uint8_t)((record->was ? FLAG_WAS : 0) | (record->is ? FLAG_IS : 0) |
                                (record->has_old ? FLAG_OLD : 0) |
                                (record->expiry_second != 0 ? FLAG_EXPIRES : 0)));
    write_varint(&writer, record->table_id);
    write_sized(&writer, record->key);
    if (record->is) {
        write_sized(&writer, record->new_item);
    }
    if (record->has_old) {
        write_sized(&writer, record->old_item);
    }
    if (record->expiry_second != 0) {
        write_varint(&writer, record->expiry_id);
        write_varint(&writer, record->expiry_second);
    }
    write_varint(&writer, record->removed_count);
    if (record->removed_count > 0) {
        write_sized(&writer, record->removed);
    }
    *body = bytes_of(start, (size_t)(writer.next - start));
    return OK;
}

enum err expiry_fill_encode(const struct expiry_fill *fill, struct arena *arena, struct bytes *body)
{
    size_t most = 1 + 3 * VARINT_MAX + fill->place.len;
    size_t count = 0;
    for (size_t i = 0; i < fill->count; i++) {
        most += 2 * VARINT_MAX + 8 + fill->keys[i].bytes.len;
        count += fill->seconds[i] != 0;
    }
    uint8_t *start = arena_alloc(arena, most);
    if (start == NULL) {
        return ERR_NOMEM;
    }
    struct writer writer = {start};
    write_varint(&writer, fill->expiry_id);
    write_u8(&writer, fill->done);
    write_sized(&writer, fill->place);
    write_varint(&writer, count);
    for (size_t i = 0; i < fill->count; i++) {
        if (fill->seconds[i] != 0) {
            write_varint(&writer, fill->seconds[i]);
            write_u64(&writer, fill->keys[i].hash);
            write_sized(&writer, fill->keys[i].bytes);
        }
    }
    *body = bytes_of(start, (size_t)(writer.next - start));
    return OK;
}

enum err token_record_encode(const struct token_record *record, struct arena *arena,
                             struct bytes *body)
{
    uint8_t *start =
        arena_alloc(arena, 8 + record->request_hash.len + VARINT_MAX + record->token.len);
    if (start == NULL) {
        return ERR_NOMEM;
    }
    struct writer writer = {start};
    write_u64(&writer, record->time_ms);
    write_raw(&writer, record->request_hash);
    write_sized(&writer, record->token);
    *body = bytes_of(start, (size_t)(writer.next - start));
    return OK;
}

enum err token_drop_encode(const struct token_record *records, size_t count, struct arena *arena,
                           struct bytes *body)
{
    size_t most = VARINT_MAX;
    for (size_t i = 0; i < count; i++) {
        most += 8 + VARINT_MAX + records[i].token.len;
    }
    uint8_t *start = arena_alloc(arena, most);
    if (start == NULL) {
        return ERR_NOMEM;
    }
    struct writer writer = {start};
    write_varint(&writer, count);
    for (size_t i = 0; i < count; i++) {
        write_u64(&writer, records[i].time_ms);
        write_sized(&writer, records[i].token);
    }
    *body = bytes_of(start, (size_t)(writer.next - start));
    return OK;
}

/* ---- decoding ---- */

static enum err read_sized(struct cursor *cursor, struct bytes *out)
{
    uint64_t len = 0;
    TRY(cursor_varint(cursor, &len));
    return len > cursor_left(cursor) ? ERR_DAMAGED : cursor_bytes(cursor, (size_t)len, out);
}

static enum err read_end(const struct cursor *cursor)
{
    return cursor_left(cursor) == 0 ? OK : ERR_DAMAGED;
}

/* Rows that may go: those of expiry, the only ones that are made. */
static bool is_expiry_row(struct bytes row)
{
    static const uint8_t prefix[9] = {0, 0, 0, 0, 0, 0, 0, 0, 'x'};
    return row.len > 33 && row.len <= 33 + KEY_STORED_MAX &&
           bytes_start_with(row, bytes_of(prefix, sizeof(prefix)));
}

static enum err read_removed_rows(struct cursor *cursor, struct item_record *record)
{
    TRY(cursor_varint(cursor, &record->removed_count));
    record->removed = bytes_of(cursor->next, cursor_left(cursor));
    for (uint64_t i = 0; i < record->removed_count; i++) {
        struct bytes row;
        TRY(read_sized(cursor, &row));
        if (!is_expiry_row(row)) {
            return ERR_DAMAGED;
        }
    }
    return OK;
}

enum err item_record_decode(struct bytes body, struct item_record *record)
{
    struct cursor cursor = cursor_of(body);
    struct item_record read = {0};
    uint8_t flags = 0;
    TRY(cursor_u8(&cursor, &read.origin));
    TRY(cursor_u8(&cursor, &read.view));
    TRY(cursor_u8(&cursor, &flags));
    TRY(cursor_varint(&cursor, &read.table_id));
    TRY(read_sized(&cursor, &read.key));
    read.was = (flags & FLAG_WAS) != 0;
    read.is = (flags & FLAG_IS) != 0;
    read.has_old = (flags & FLAG_OLD) != 0;
    if (read.is) {
        TRY(read_sized(&cursor, &read.new_item));
    }
    if (read.has_old) {
        TRY(read_sized(&cursor, &read.old_item));
    }
    if ((flags & FLAG_EXPIRES) != 0) {
        TRY(cursor_varint(&cursor, &read.expiry_id));
        TRY(cursor_varint(&cursor, &read.expiry_second));
    }
    TRY(read_removed_rows(&cursor, &read));
    TRY(read_end(&cursor));
    bool sound = (flags & ~(FLAG_WAS | FLAG_IS | FLAG_OLD | FLAG_EXPIRES)) == 0 &&
                 (read.was || read.is) &&
                 ((flags & FLAG_EXPIRES) == 0 || (read.is && read.expiry_second != 0)) &&
                 (!read.has_old || read.was) && read.origin >= ORIGIN_USER &&
                 read.origin <= ORIGIN_SYSTEM && read.view <= STREAM_NEW_AND_OLD &&
                 read.table_id >= TABLE_ID_FIRST && read.key.len <= KEY_STORED_MAX;
    if (!sound) {
        return ERR_DAMAGED;
    }
    *record = read;
    return OK;
}

static enum err read_token(struct cursor *cursor, struct bytes *token)
{
    TRY(read_sized(cursor, token));
    return token->len <= TOKEN_LEN_MAX ? OK : ERR_DAMAGED;
}

enum err token_record_decode(struct bytes body, struct token_record *record)
{
    struct cursor cursor = cursor_of(body);
    TRY(cursor_u64(&cursor, &record->time_ms));
    TRY(cursor_bytes(&cursor, 32, &record->request_hash));
    TRY(read_token(&cursor, &record->token));
    return read_end(&cursor);
}

enum err stream_record_decode(const struct stream *stream, const struct log_record *record,
                              struct stream_record *out)
{
    struct item_record item;
    if (record->kind == KIND_RECORD_TABLE_DELETE || record->kind == KIND_RECORD_STREAM_CLOSE) {
        return ERR_CLOSED;
    }
    if (record->kind != KIND_RECORD_ITEM) {
        return ERR_DAMAGED;
    }
    TRY(item_record_decode(record->body, &item));
    bool gives_new = stream->view == STREAM_NEW_IMAGE || stream->view == STREAM_NEW_AND_OLD;
    bool gives_old = stream->view == STREAM_OLD_IMAGE || stream->view == STREAM_NEW_AND_OLD;
    *out = (struct stream_record){
        .origin = (enum change_origin)item.origin,
        .inserted = !item.was,
        .removed = !item.is,
        .key = item.key,
        .has_new_image = gives_new && item.is,
        .has_old_image = gives_old && item.has_old,
    };
    out->new_image = out->has_new_image ? item.new_item : BYTES_NONE;
    out->old_image = out->has_old_image ? item.old_item : BYTES_NONE;
    return OK;
}

/* ---- rows ---- */

static enum err item_rows(struct view *view, const struct log_record *record)
{
    struct item_record item;
    struct row_key row;
    TRY(item_record_decode(record->body, &item));
    row_of_item(&row, item.table_id, record->key_hash, item.key);
    if (item.is) {
        view_put(view, row_bytes(&row), item.new_item);
    } else {
        view_delete(view, row_bytes(&row));
    }
    struct cursor removed = cursor_of(item.removed);
    for (uint64_t i = 0; i < item.removed_count; i++) {
        struct bytes gone;
        TRY(read_sized(&removed, &gone));
        view_delete(view, gone);
    }
    if (item.expiry_second != 0) {
        row_of_expiry(&row, item.expiry_id, item.expiry_second, record->key_hash, item.key);
        view_put_expiry(view, row_bytes(&row), item.expiry_second);
    }
    return OK;
}

/* Each pair of a second and a key; the rest of the record goes to fill. */
static enum err each_filled(struct bytes body, struct expiry_fill *fill,
                            void (*fn)(void *arg, struct row_key *row, uint64_t second), void *arg)
{
    struct cursor cursor = cursor_of(body);
    uint8_t done = 0;
    uint64_t count = 0;
    TRY(cursor_varint(&cursor, &fill->expiry_id));
    TRY(cursor_u8(&cursor, &done));
    TRY(read_sized(&cursor, &fill->place));
    TRY(cursor_varint(&cursor, &count));
    if (fill->place.len > 8 + KEY_STORED_MAX) {
        return ERR_DAMAGED;
    }
    fill->done = done != 0;
    for (; count > 0; count--) {
        uint64_t second = 0;
        uint64_t hash = 0;
        struct bytes key;
        struct row_key row;
        TRY(cursor_varint(&cursor, &second));
        TRY(cursor_u64(&cursor, &hash));
        TRY(read_sized(&cursor, &key));
        if (key.len > KEY_STORED_MAX) {
            return ERR_DAMAGED;
        }
        row_of_expiry(&row, fill->expiry_id, second, hash, key);
        fn(arg, &row, second);
    }
    return read_end(&cursor);
}

static void put_filled(void *view, struct row_key *row, uint64_t second)
{
    view_put_expiry(view, row_bytes(row), second);
}

static enum err expiry_fill_rows(struct view *view, const struct log_record *record)
{
    struct expiry_fill fill = {0};
    struct row_key row;
    struct row_key value = {0};
    TRY(each_filled(record->body, &fill, put_filled, view));
    uint8_t done = fill.done;
    row_add(&value, bytes_of(&done, 1));
    row_add(&value, fill.place);
    row_of_store_u64(&row, 'f', fill.expiry_id);
    view_put(view, row_bytes(&row), row_bytes(&value));
    return OK;
}

static enum err expiry_drop_rows(struct view *view, const struct log_record *record)
{
    uint64_t id = 0;
    struct row_key low;
    struct row_key high;
    TRY(read_described_id(record->body, BYTES("expiry"), &id));
    row_of_store_u64(&low, 'f', id);
    view_delete(view, row_bytes(&low));
    row_of_store_u64(&low, 'x', id);
    row_of_store_u64(&high, 'x', id + 1);
    view_delete_range(view, row_bytes(&low), row_bytes(&high));
    return OK;
}

static enum err token_rows(struct view *view, const struct log_record *record)
{
    struct token_record token;
    struct row_key row;
    TRY(token_record_decode(record->body, &token));
    row_of_token(&row, token.time_ms, token.token);
    view_put(view, row_bytes(&row), bytes_of(record->body.ptr, 8 + 32));
    return OK;
}

static enum err each_dropped_token(struct bytes body, void (*fn)(void *arg, struct row_key *row),
                                   void *arg)
{
    struct cursor cursor = cursor_of(body);
    uint64_t count = 0;
    TRY(cursor_varint(&cursor, &count));
    for (; count > 0; count--) {
        uint64_t time_ms = 0;
        struct bytes token;
        struct row_key row;
        TRY(cursor_u64(&cursor, &time_ms));
        TRY(read_token(&cursor, &token));
        row_of_token(&row, time_ms, token);
        fn(arg, &row);
    }
    return read_end(&cursor);
}

static void delete_row(void *view, struct row_key *row)
{
    view_delete(view, row_bytes(row));
}

static enum err token_drop_rows(struct view *view, const struct log_record *record)
{
    return each_dropped_token(record->body, delete_row, view);
}

/* first and last commit are beside the description, since the record that closes a stream cannot
 * hold its own commit number. */
static enum err put_stream(struct view *view, uint64_t id, uint64_t first, uint64_t last,
                           struct bytes description)
{
    struct row_key row;
    struct buf value;
    buf_init(&value, description.len + 16);
    buf_add_u64(&value, first);
    buf_add_u64(&value, last);
    buf_add(&value, description);
    enum err err = buf_check(&value);
    if (err == OK) {
        row_of_store_u64(&row, 'u', id);
        view_put(view, row_bytes(&row), buf_bytes(&value));
    }
    buf_fini(&value);
    return err;
}

/* Of a table that is made or changed. A stream that has no first commit yet is opened here, another
 * one may have changed with it. */
static enum err table_rows(struct view *view, const struct log_record *record)
{
    struct table table;
    struct stream stream;
    struct bytes stream_item;
    uint64_t stream_id = 0;
    struct row_key row;
    TRY(read_described_table(record->body, &table, &stream_id, &stream_item));
    if (stream_id != 0) {
        TRY(read_described_stream(stream_item, &stream));
        uint64_t first = stream.first_commit == 0 ? record->commit : stream.first_commit;
        TRY(put_stream(view, stream_id, first, UINT64_MAX, stream_item));
    }
    row_of_store_u64(&row, 't', table.id);
    view_put(view, row_bytes(&row), record->body);
    return OK;
}

/* Ids are never reused, so a range over all rows of the id removes nothing that comes later. */
static enum err table_delete_rows(struct view *view, const struct log_record *record)
{
    struct table table;
    struct stream stream;
    struct bytes stream_item;
    uint64_t stream_id = 0;
    struct row_key low = {0};
    struct row_key high = {0};
    TRY(read_described_table(record->body, &table, &stream_id, &stream_item));
    if (table.id < TABLE_ID_FIRST) {
        return ERR_DAMAGED;
    }
    if (stream_id != 0) {
        TRY(read_described_stream(stream_item, &stream));
        TRY(put_stream(view, stream_id, stream.first_commit, record->commit, stream_item));
    }
    row_of_store_u64(&low, 't', table.id);
    view_delete(view, row_bytes(&low));
    low.len = 0;
    row_u64(&low, table.id);
    row_u64(&high, table.id + 1);
    view_delete_range(view, row_bytes(&low), row_bytes(&high));
    return OK;
}

/* The record stands in the stream that it closes (table I12). */
static enum err stream_close_rows(struct view *view, const struct log_record *record)
{
    struct stream stream;
    TRY(read_described_stream(record->body, &stream));
    return put_stream(view, stream.id, stream.first_commit, record->commit, record->body);
}

static enum err stream_drop_rows(struct view *view, const struct log_record *record)
{
    uint64_t id = 0;
    struct row_key low;
    struct row_key high;
    TRY(read_described_id(record->body, BYTES("stream"), &id));
    row_of_store_u64(&low, 'u', id);
    view_delete(view, row_bytes(&low));
    row_of_store_u64(&low, 'd', id);
    row_of_store_u64(&high, 'd', id + 1);
    view_delete_range(view, row_bytes(&low), row_bytes(&high));
    return OK;
}

static enum err stream_age_rows(struct view *view, const struct log_record *record)
{
    struct row_key row;
    row_of_store(&row, 'a');
    view_put(view, row_bytes(&row), record->body);
    return OK;
}

/* ---- dumping ---- */

enum err table_record_to_json(const struct log_record *record, struct buf *out)
{
    const struct record_row *row = row_of_kind(record->kind);
    if (row == NULL) {
        return ERR_DAMAGED;
    }
    buf_printf(out,
               "{\"commit\":%llu,\"index\":%u,\"count\":%u,\"time\":%llu,\"stream\":%llu,"
               "\"key_hash\":\"%016llx\",\"kind\":\"%s\"",
               (unsigned long long)record->commit, record->index, record->count,
               (unsigned long long)record->time_ms, (unsigned long long)record->stream,
               (unsigned long long)record->key_hash, row->name);
    TRY(row->dump(record, out));
    buf_add_cstr(out, "}\n");
    return buf_check(out);
}

static void dump_base64(struct buf *out, const char *name, struct bytes data)
{
    buf_printf(out, ",\"%s\":\"", name);
    base64_add(out, data);
    buf_add_byte(out, '"');
}

static enum err dump_item(struct buf *out, const char *name, struct bytes item)
{
    TRY(item_check(item));
    buf_printf(out, ",\"%s\":", name);
    item_to_json(out, item);
    return OK;
}

static enum err item_dump(const struct log_record *record, struct buf *out)
{
    struct item_record item;
    TRY(item_record_decode(record->body, &item));
    buf_printf(out, ",\"table\":%llu,\"origin\":%u,\"view\":%u", (unsigned long long)item.table_id,
               item.origin, item.view);
    buf_printf(out, ",\"was\":%s", item.was ? "true" : "false");
    dump_base64(out, "key", item.key);
    if (item.is) {
        TRY(dump_item(out, "new", item.new_item));
    }
    if (item.expiry_second != 0) {
        buf_printf(out, ",\"expires\":%llu", (unsigned long long)item.expiry_second);
    }
    return item.has_old ? dump_item(out, "old", item.old_item) : OK;
}

static enum err token_dump(const struct log_record *record, struct buf *out)
{
    struct token_record token;
    TRY(token_record_decode(record->body, &token));
    buf_printf(out, ",\"token_time\":%llu", (unsigned long long)token.time_ms);
    dump_base64(out, "token", token.token);
    dump_base64(out, "request_hash", token.request_hash);
    return OK;
}

static void count_row(void *arg, struct row_key *row)
{
    (void)row;
    (*(uint64_t *)arg)++;
}

static enum err token_drop_dump(const struct log_record *record, struct buf *out)
{
    uint64_t count = 0;
    TRY(each_dropped_token(record->body, count_row, &count));
    buf_printf(out, ",\"tokens\":%llu", (unsigned long long)count);
    return OK;
}

static void count_filled(void *arg, struct row_key *row, uint64_t second)
{
    (void)second;
    count_row(arg, row);
}

static enum err expiry_fill_dump(const struct log_record *record, struct buf *out)
{
    uint64_t count = 0;
    struct expiry_fill fill = {0};
    TRY(each_filled(record->body, &fill, count_filled, &count));
    buf_printf(out, ",\"expiry\":%llu,\"rows\":%llu,\"done\":%s",
               (unsigned long long)fill.expiry_id, (unsigned long long)count,
               fill.done ? "true" : "false");
    return OK;
}

static enum err description_dump(const struct log_record *record, struct buf *out)
{
    return dump_item(out, "description", record->body);
}
