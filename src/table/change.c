/* What an evaluation yields: records encoded as they will stand in the log. Everything chosen here
 * (ids, labels, names) is a function of the reader's catalogue and time alone, so that a repeated
 * evaluation yields the same bytes. */
#include "table/table_priv.h"

static enum err add(struct changes *changes, struct arena *arena, const struct change *change);
static struct bytes made_arn(struct reader *reader, struct bytes name);
static enum err close_stream(struct reader *reader, struct changes *changes,
                             const struct stream *stream);
static enum err drop_expiry(struct reader *reader, struct changes *changes,
                            const struct table *table);
static enum err set_retention(struct reader *reader, struct table *table,
                              const struct table_update *update);
static enum err open_stream(struct reader *reader, struct table *table, uint64_t id,
                            enum stream_view view);
static void label_of(uint64_t ms, char out[32]);

enum err change_item(struct reader *reader, struct changes *changes, const struct table *table,
                     const struct key *key, struct bytes old_item, struct bytes new_item,
                     enum change_origin origin)
{
    if (bytes_equal(old_item, new_item)) {
        return OK;
    }
    const struct stream *stream = table->stream;
    struct item_record record = {
        .origin = (uint8_t)origin,
        .view = (uint8_t)(stream == NULL ? 0 : stream->view),
        .was = old_item.len > 0,
        .is = new_item.len > 0,
        .table_id = table->id,
        .key = key->bytes,
        .new_item = new_item,
        .old_item = old_item,
    };
    record.has_old =
        record.was && (record.view == STREAM_OLD_IMAGE || record.view == STREAM_NEW_AND_OLD);
    struct change change = {
        .table_id = table->id,
        .stream_id = stream == NULL ? 0 : stream->id,
        .row_hash = row_hash(table->id, key->bytes),
        .key = *key,
        .old_item = old_item,
        .new_item = new_item,
        .kind = KIND_RECORD_ITEM,
    };
    struct row_key gone;
    uint64_t second = 0;
    if (item_expires(table, new_item, &record.expiry_second)) {
        record.expiry_id = table->expiry_id;
    }
    if (item_expires(table, old_item, &second) && second != record.expiry_second) {
        row_of_expiry(&gone, table->expiry_id, second, key->hash, key->bytes);
        record.removed = row_bytes(&gone);
        record.removed_count = 1;
    }
    TRY(item_record_encode(&record, reader->arena, &change.record));
    return add(changes, reader->arena, &change);
}

enum err change_fill_expiry(struct reader *reader, struct changes *changes,
                            const struct expiry_fill *fill)
{
    struct change change = {.kind = KIND_RECORD_EXPIRY_FILL};
    TRY(expiry_fill_encode(fill, reader->arena, &change.record));
    return add(changes, reader->arena, &change);
}

enum err change_token(struct reader *reader, struct changes *changes, struct bytes token,
                      const uint8_t request_hash[32])
{
    struct token_record record = {token, reader->token_ms, bytes_of(request_hash, 32)};
    struct change change = {
        .row_hash = row_hash(0, token),
        .key = {.bytes = token},
        .kind = KIND_RECORD_TOKEN,
    };
    if (token.len > TOKEN_LEN_MAX) {
        return ERR_RANGE;
    }
    TRY(token_record_encode(&record, reader->arena, &change.record));
    change.new_item = bytes_of(change.record.ptr, 8 + 32); /* as its row holds it */
    return add(changes, reader->arena, &change);
}

enum err change_create_table(struct reader *reader, struct changes *changes,
                             const struct table_definition *definition, const struct table **made)
{
    struct table *table = arena_zalloc(reader->arena, sizeof(*table));
    struct change change = {.kind = KIND_RECORD_TABLE};
    if (table == NULL) {
        return ERR_NOMEM;
    }
    *table = (struct table){
        .id = reader->catalogue->next_id,
        .name = definition->name,
        .arn = made_arn(reader, definition->name),
        .schema = definition->schema,
        .settings = definition->settings,
        .created_ms = reader->now_ms,
        .retention_ms = definition->retention_ms,
        .reserved = bytes_start_with(definition->name, BYTES("headwater.")),
    };
    if (table->arn.ptr == NULL) {
        return ERR_NOMEM;
    }
    if (definition->view != 0) {
        TRY(open_stream(reader, table, table->id + 1, definition->view));
    }
    TRY(describe_table(table, reader->arena, &change.record));
    change.table_id = table->id;
    TRY(add(changes, reader->arena, &change));
    *made = table;
    return OK;
}

enum err change_update_table(struct reader *reader, struct changes *changes,
                             const struct table *table, const struct table_update *update,
                             const struct table **made)
{
    struct table *changed = arena_zalloc(reader->arena, sizeof(*changed));
    struct change change = {.kind = KIND_RECORD_TABLE_UPDATE, .table_id = table->id};
    if (changed == NULL) {
        return ERR_NOMEM;
    }
    *changed = *table;
    changed->settings = update->settings;
    if (update->close_stream) {
        TRY(close_stream(reader, changes, table->stream));
        changed->stream = NULL;
    }
    if (update->set_expiry) {
        TRY(drop_expiry(reader, changes, table));
        bool on = update->expiry_attribute.len > 0;
        changed->expiry_id = on ? reader->catalogue->next_id : 0;
        changed->expiry_attribute = update->expiry_attribute;
    }
    if (update->set_retention) {
        TRY(set_retention(reader, changed, update));
    }
    if (update->open_view != 0) {
        TRY(open_stream(reader, changed, reader->catalogue->next_id, update->open_view));
    }
    TRY(describe_table(changed, reader->arena, &change.record));
    TRY(add(changes, reader->arena, &change));
    *made = changed;
    return OK;
}

/* What the shorter period has hidden so far stays hidden: the log may have let it go. */
static enum err set_retention(struct reader *reader, struct table *table,
                              const struct table_update *update)
{
    table->retention_ms = update->retention_ms;
    if (table->stream == NULL) {
        return OK;
    }
    struct stream *stream = arena_alloc(reader->arena, sizeof(*stream));
    if (stream == NULL) {
        return ERR_NOMEM;
    }
    *stream = *table->stream;
    uint64_t store = reader->store->retention_ms;
    uint64_t before = stream->retention_ms == 0 ? store : stream->retention_ms;
    uint64_t after = update->retention_ms == 0 ? store : update->retention_ms;
    if (after > before && update->age_ms > before) {
        uint64_t hidden = update->age_ms - before;
        stream->hidden_ms = hidden > stream->hidden_ms ? hidden : stream->hidden_ms;
    }
    stream->retention_ms = update->retention_ms;
    table->stream = stream;
    return OK;
}

/* The record is in the stream, so that whoever follows it is woken and sees its end. */
static enum err close_stream(struct reader *reader, struct changes *changes,
                             const struct stream *stream)
{
    struct change change = {
        .kind = KIND_RECORD_STREAM_CLOSE,
        .table_id = stream->table_id,
        .stream_id = stream->id,
    };
    TRY(describe_stream(stream, reader->arena, &change.record));
    return add(changes, reader->arena, &change);
}

enum err change_delete_table(struct reader *reader, struct changes *changes,
                             const struct table *table)
{
    struct change change = {
        .kind = KIND_RECORD_TABLE_DELETE,
        .table_id = table->id,
        /* In its stream, so that whoever follows it is woken and sees its end. */
        .stream_id = table->stream == NULL ? 0 : table->stream->id,
    };
    TRY(drop_expiry(reader, changes, table));
    TRY(describe_table(table, reader->arena, &change.record));
    return add(changes, reader->arena, &change);
}

/* Its rows go. */
static enum err drop_expiry(struct reader *reader, struct changes *changes,
                            const struct table *table)
{
    struct change change = {.kind = KIND_RECORD_EXPIRY_DROP, .table_id = table->id};
    if (table->expiry_id == 0) {
        return OK;
    }
    TRY(describe_id(BYTES("expiry"), table->expiry_id, reader->arena, &change.record));
    return add(changes, reader->arena, &change);
}

enum err change_drop_stream(struct reader *reader, struct changes *changes,
                            const struct stream *stream)
{
    struct change change = {.kind = KIND_RECORD_STREAM_DROP};
    TRY(describe_id(BYTES("stream"), stream->id, reader->arena, &change.record));
    return add(changes, reader->arena, &change);
}

enum err change_note_age(struct reader *reader, struct changes *changes, uint64_t age_ms)
{
    struct change change = {.kind = KIND_RECORD_STREAM_AGE};
    TRY(describe_id(BYTES("age"), age_ms, reader->arena, &change.record));
    return add(changes, reader->arena, &change);
}

enum err change_forget_tokens(struct reader *reader, struct changes *changes, struct bytes body)
{
    struct change change = {.kind = KIND_RECORD_TOKEN_DROP, .record = body};
    return add(changes, reader->arena, &change);
}

static enum err add(struct changes *changes, struct arena *arena, const struct change *change)
{
    size_t bytes = change->record.len + 64; /* with what the log puts around it */
    if (changes->count >= COMMIT_COUNT_MAX || bytes > LOG_COMMIT_BYTES_MAX - changes->bytes) {
        return ERR_RANGE;
    }
    struct change *added = arena_alloc(arena, sizeof(*added));
    if (added == NULL) {
        return ERR_NOMEM;
    }
    *added = *change;
    added->next = NULL;
    if (changes->last == NULL) {
        changes->first = added;
    } else {
        changes->last->next = added;
    }
    changes->last = added;
    changes->count++;
    changes->bytes += bytes;
    return OK;
}

static struct bytes made_arn(struct reader *reader, struct bytes name)
{
    struct bytes region = store_region(reader->store);
    struct bytes account = store_account(reader->store);
    return arena_printf(reader->arena, "arn:aws:dynamodb:%.*s:%.*s:table/%.*s", BYTES_FMT(region),
                        BYTES_FMT(account), BYTES_FMT(name));
}

/* Its label is the time of its making, moved on until no stream that is still readable has it. Its
 * first commit is known when it is made. */
static enum err open_stream(struct reader *reader, struct table *table, uint64_t id,
                            enum stream_view view)
{
    struct stream *stream = arena_zalloc(reader->arena, sizeof(*stream));
    char label[32];
    uint64_t ms = reader->now_ms;
    if (stream == NULL) {
        return ERR_NOMEM;
    }
    do {
        label_of(ms, label);
        stream->arn = arena_printf(reader->arena, "%.*s/stream/%s", BYTES_FMT(table->arn), label);
        if (stream->arn.ptr == NULL) {
            return ERR_NOMEM;
        }
        stream->created_ms = ms++;
    } while (catalogue_stream(reader->catalogue, stream->arn) != NULL);
    stream->id = id;
    stream->table_id = table->id;
    stream->table_name = table->name;
    stream->view = view;
    stream->retention_ms = table->retention_ms;
    stream->schema = table->schema;
    stream->last_commit = UINT64_MAX;
    stream->label = arena_dup(reader->arena, bytes_cstr(label));
    stream->shard_id =
        arena_printf(reader->arena, "shardId-%020llu-%08x", (unsigned long long)stream->created_ms,
                     (unsigned)(uint32_t)hash_key(stream->arn));
    table->stream = stream;
    table->latest_stream_label = stream->label;
    table->latest_stream_arn = stream->arn;
    return stream->label.ptr == NULL || stream->shard_id.ptr == NULL ? ERR_NOMEM : OK;
}

/* 2015-05-11T21:21:33.291, of the proleptic Gregorian calendar in UTC: days since 1970 are split
 * into eras of 400 years, counted from 0000-03-01 so that the leap day ends a year. */
static void label_of(uint64_t ms, char out[32])
{
    uint64_t days = ms / 86400000 + 719468;
    uint64_t era = days / 146097;
    uint64_t day_of_era = days % 146097;
    uint64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint64_t month_from_march = (5 * day_of_year + 2) / 153;
    unsigned day = (unsigned)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    unsigned month =
        (unsigned)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    unsigned year = (unsigned)((year_of_era + era * 400 + (month <= 2)) % 10000);
    unsigned of_day = (unsigned)(ms % 86400000);
    snprintf(out, 32, "%04u-%02u-%02uT%02u:%02u:%02u.%03u", year, month, day, of_day / 3600000,
             of_day / 60000 % 60, of_day / 1000 % 60, of_day % 1000);
}
