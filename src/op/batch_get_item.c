/* BatchGetItem: up to 100 items of any tables, each read by itself.
 * Amazon DynamoDB API Reference, API_BatchGetItem.
 *
 * The answer holds up to 16 MB of items, and no more JSON than fits a response; keys of what is
 * left come back in UnprocessedKeys. Unlike TransactGetItems it is no one state of the store. */
#include "op/op_priv.h"

#define BATCH_KEYS_MAX 100
#define ANSWER_ITEM_BYTES_MAX (16u << 20)

/* RequestItems of one table, and what is left of it. */
struct keys_and_attributes {
    struct bytes *keys;
    size_t key_count;
    struct bytes projection;
    struct expression_tokens tokens;
    bool consistent_read;
};
struct table_keys {
    struct bytes name;
    struct keys_and_attributes of;
};
struct batch_get_in {
    struct table_keys *tables;
    size_t table_count;
    enum return_capacity capacity;
};

struct table_items {
    struct bytes name;
    struct bytes *items;
    size_t count;
};
struct batch_get_out {
    struct table_items *responses;
    size_t response_count;
    struct table_keys *unprocessed;
    size_t unprocessed_count;
    struct consumed_capacity *capacities; /* one per table */
    size_t capacity_count;
};

/* One table of the request under evaluation. */
struct batch_table {
    const struct table *table;
    struct expressions expressions;
};

/* How much was read so far, and what it makes. */
struct batch_get {
    struct op_call *call;
    struct reader *reader;
    struct batch_table *tables;
    size_t item_bytes;
    size_t json_bytes;
    bool full;
};

static bool batch_get_access(const struct op_call *call, op_access_visit *visit, void *arg);
static enum err batch_get_settle(struct op_call *call, struct decode *decode);
static enum err batch_get_run(struct op_call *call, struct reader *reader, struct changes *changes);
static enum err open_tables(struct batch_get *batch);
static enum err check_names(struct batch_get *batch);
static enum err check_duplicates(struct op_call *call, const struct keys_and_attributes *one,
                                 const struct keys_and_attributes *other);
static enum err get_table(struct batch_get *batch, size_t index);
static enum err get_item(struct batch_get *batch, size_t index, struct bytes key);

static const struct field keys_and_attributes_fields[] = {
    {NAME("Keys"), .type = FIELD_ITEMS, .flags = FIELD_REQUIRED | FIELD_NO_ECHO | FIELD_ALONE,
     .stage = 0, .min = 1, .max = BATCH_KEYS_MAX, AT(keys_and_attributes, keys),
     COUNTED(keys_and_attributes, key_count)},
    MEMBER_TEXT("ProjectionExpression", keys_and_attributes, projection),
    MEMBER_NAMES(keys_and_attributes),
    {NAME("ConsistentRead"), .type = FIELD_BOOL, AT(keys_and_attributes, consistent_read)},
    MEMBER_UNBUILT("AttributesToGet"),
    {.type = FIELD_END},
};
static const struct shape shape_keys_and_attributes = {
    "KeysAndAttributes", keys_and_attributes_fields, sizeof(struct keys_and_attributes)};

static const struct field table_keys_fields[] = {
    {NAME("*"), .type = FIELD_STRUCT, .shape = &shape_keys_and_attributes, AT(table_keys, of)},
    {.type = FIELD_END},
};
static const struct shape shape_table_keys = {"", table_keys_fields, sizeof(struct table_keys)};

static const struct field batch_get_in_fields[] = {
    {NAME("RequestItems"), .type = FIELD_MAP, .flags = FIELD_REQUIRED, .stage = 1, .min = 1,
     .shape = &shape_table_keys, AT(batch_get_in, tables), COUNTED(batch_get_in, table_count)},
    MEMBER_CAPACITY(batch_get_in, 1),
    {.type = FIELD_END},
};

static const struct field table_items_fields[] = {
    {NAME("*"), .type = FIELD_ITEMS, AT(table_items, items), COUNTED(table_items, count)},
    {.type = FIELD_END},
};
static const struct shape shape_table_items = {"", table_items_fields, sizeof(struct table_items)};

static const struct field batch_get_out_fields[] = {
    {NAME("Responses"), .type = FIELD_MAP, .flags = FIELD_KEEP_ZERO, .shape = &shape_table_items,
     AT(batch_get_out, responses), COUNTED(batch_get_out, response_count)},
    {NAME("UnprocessedKeys"), .type = FIELD_MAP, .flags = FIELD_KEEP_ZERO,
     .shape = &shape_table_keys, AT(batch_get_out, unprocessed),
     COUNTED(batch_get_out, unprocessed_count)},
    {NAME("ConsumedCapacity"), .type = FIELD_LIST, .shape = &shape_capacity,
     AT(batch_get_out, capacities), COUNTED(batch_get_out, capacity_count)},
    {.type = FIELD_END},
};

const struct op op_batch_get_item = {
    .name = "BatchGetItem",
    .api = OP_API_DYNAMODB,
    .in_size = sizeof(struct batch_get_in),
    .out_size = sizeof(struct batch_get_out),
    .in_fields = batch_get_in_fields,
    .out_fields = batch_get_out_fields,
    .settle = batch_get_settle,
    .access = batch_get_access,
    .run = batch_get_run,
};

static bool batch_get_access(const struct op_call *call, op_access_visit *visit, void *arg)
{
    const struct batch_get_in *in = call->in;
    bool more = true;
    for (size_t i = 0; more && i < in->table_count; i++) {
        const struct keys_and_attributes *of = &in->tables[i].of;
        const struct op_access access = {
            .action = "BatchGetItem",
            .table = in->tables[i].name,
            .items = of->keys,
            .item_count = of->key_count,
            .texts = {.projection = of->projection},
            .tokens = &of->tokens,
            .reads = true,
            .capacity = in->capacity,
        };
        more = visit(arg, &access);
    }
    return more;
}

/* More keys than are decoded were told of before: every table has at least one. */
static enum err batch_get_settle(struct op_call *call, struct decode *decode)
{
    const struct batch_get_in *in = call->in;
    size_t keys = 0;
    TRY(decode_tell_violations(decode, UINT32_MAX));
    for (size_t i = 0; i < in->table_count && i < LIST_DECODED_MAX; i++) {
        keys += in->tables[i].of.key_count;
    }
    if (keys > BATCH_KEYS_MAX) {
        return fault(call, FAULT_VALIDATION, "Too many items requested for the BatchGetItem call");
    }
    for (size_t i = 0; decode->legacy_count > 0 && i < in->table_count && i < LIST_DECODED_MAX;
         i++) {
        if (in->tables[i].of.projection.ptr != NULL) {
            return fault_mixing(call, "AttributesToGet", "ProjectionExpression");
        }
    }
    return decode_tell_values(decode);
}

static enum err batch_get_run(struct op_call *call, struct reader *reader, struct changes *changes)
{
    const struct batch_get_in *in = call->in;
    struct batch_get_out *out = call->out;
    struct arena *arena = call->arena;
    struct batch_get batch = {.call = call, .reader = reader};
    (void)changes;
    batch.tables = arena_alloc(arena, in->table_count * sizeof(*batch.tables));
    out->responses = arena_zalloc(arena, in->table_count * sizeof(*out->responses));
    out->unprocessed = arena_zalloc(arena, in->table_count * sizeof(*out->unprocessed));
    if (batch.tables == NULL || out->responses == NULL || out->unprocessed == NULL) {
        return ERR_NOMEM;
    }
    if (in->capacity != CAPACITY_NONE) {
        out->capacities = arena_zalloc(arena, in->table_count * sizeof(*out->capacities));
        if (out->capacities == NULL) {
            return ERR_NOMEM;
        }
    }
    TRY(open_tables(&batch));
    for (size_t i = 0; i < in->table_count; i++) {
        TRY(get_table(&batch, i));
    }
    return OK;
}

/* All expressions, then duplicates, then tables, then keys, and those that are the same under two
 * names of a table. */
static enum err open_tables(struct batch_get *batch)
{
    struct op_call *call = batch->call;
    const struct batch_get_in *in = call->in;
    for (size_t i = 0; i < in->table_count; i++) {
        const struct keys_and_attributes *of = &in->tables[i].of;
        const struct expression_texts texts = {.projection = of->projection};
        TRY(expressions_open(call, batch->reader, &texts, &of->tokens,
                             &batch->tables[i].expressions));
    }
    for (size_t i = 0; i < in->table_count; i++) {
        TRY(check_duplicates(call, &in->tables[i].of, &in->tables[i].of));
    }
    for (size_t i = 0; i < in->table_count; i++) {
        TRY(lookup_table(call, batch->reader, in->tables[i].name, &batch->tables[i].table));
    }
    for (size_t i = 0; i < in->table_count; i++) {
        const struct keys_and_attributes *of = &in->tables[i].of;
        for (size_t j = 0; j < of->key_count; j++) {
            struct key key;
            TRY(lookup_key(call, batch->tables[i].table, of->keys[j], &key));
        }
    }
    return check_names(batch);
}

static enum err check_names(struct batch_get *batch)
{
    const struct batch_get_in *in = batch->call->in;
    for (size_t i = 1; i < in->table_count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (batch->tables[i].table == batch->tables[j].table) {
                TRY(check_duplicates(batch->call, &in->tables[i].of, &in->tables[j].of));
            }
        }
    }
    return OK;
}

/* Keys of one that are keys of the other, or come in it before, where they are the same. */
static enum err check_duplicates(struct op_call *call, const struct keys_and_attributes *one,
                                 const struct keys_and_attributes *other)
{
    for (size_t i = 0; i < one->key_count; i++) {
        size_t count = one == other ? i : other->key_count;
        for (size_t j = 0; j < count; j++) {
            if (bytes_equal(one->keys[i], other->keys[j])) {
                return fault(call, FAULT_VALIDATION, "%s", TEXT_BATCH_DUPLICATE);
            }
        }
    }
    return OK;
}

static enum err get_table(struct batch_get *batch, size_t index)
{
    struct op_call *call = batch->call;
    const struct batch_get_in *in = call->in;
    struct batch_get_out *out = call->out;
    const struct table_keys *asked = &in->tables[index];
    struct table_items *response = &out->responses[out->response_count];
    size_t done = 0;
    response->name = asked->name;
    response->items = arena_alloc(call->arena, asked->of.key_count * sizeof(*response->items));
    if (response->items == NULL) {
        return ERR_NOMEM;
    }
    while (done < asked->of.key_count) {
        TRY(get_item(batch, index, asked->of.keys[done]));
        if (batch->full) {
            break;
        }
        done++;
    }
    out->response_count += done > 0;
    if (done < asked->of.key_count) {
        struct table_keys *left = &out->unprocessed[out->unprocessed_count++];
        *left = *asked;
        left->of.keys += done;
        left->of.key_count -= done;
    }
    return OK;
}

/* Reads one item into the answer, or finds that the answer has no more room. The first one always
 * has. */
static enum err get_item(struct batch_get *batch, size_t index, struct bytes key_item)
{
    struct op_call *call = batch->call;
    const struct batch_get_in *in = call->in;
    struct batch_get_out *out = call->out;
    struct batch_table *table = &batch->tables[index];
    struct table_items *response = &out->responses[out->response_count];
    struct key key;
    struct bytes item;
    struct bytes shown;
    if (batch->full) {
        return OK;
    }
    TRY(lookup_key(call, table->table, key_item, &key));
    TRY(lookup_item(batch->reader, table->table, &key, &item));
    size_t bytes = item_size(item);
    shown = item;
    if (item.len > 0 && table->expressions.projection != NULL) {
        TRY(expressions_project(call, batch->reader, &table->expressions, item, &shown));
    }
    size_t json = answer_item_bytes(shown);
    batch->full = batch->item_bytes + bytes > ANSWER_ITEM_BYTES_MAX ||
                  batch->json_bytes + json > ANSWER_JSON_BYTES_MAX;
    if (batch->full) {
        return OK;
    }
    batch->item_bytes += bytes;
    batch->json_bytes += json;
    if (!batch->reader->blocking && batch->item_bytes > CACHED_BYTES_MAX) {
        return ERR_INCOMPLETE;
    }
    if (item.len > 0) {
        response->items[response->count++] = shown;
    }
    if (in->capacity == CAPACITY_NONE) {
        return OK;
    }
    double units = capacity_read(bytes, in->tables[index].of.consistent_read);
    return capacity_add(call, out->capacities, &out->capacity_count, in->capacity, table->table,
                        (struct capacity_units){.units = units});
}
