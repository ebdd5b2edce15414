/* BatchWriteItem: up to 25 puts and deletes, each a write of its own.
 * Amazon DynamoDB API Reference, API_BatchWriteItem.
 *
 * The request is checked as a whole first, so that one which is refused changes nothing. Then every
 * entry is a PutItem or DeleteItem call of the same lane, with an arena of its own since they are
 * evaluated side by side: each is its own commit. Entries that the store has no room for now, or
 * whose table is another since it was checked, come back in UnprocessedItems; where that is all of
 * them, the call is refused as they were. */
#include "op/op_priv.h"

#define BATCH_WRITES_MAX 25

struct put_request {
    struct bytes item;
};
struct delete_request {
    struct bytes key;
};
struct write_request {
    struct put_request put;
    struct delete_request delete;
    bool puts;
    bool deletes;
};
struct table_writes {
    struct bytes name;
    struct write_request *requests;
    size_t count;
};
struct batch_write_in {
    struct table_writes *tables;
    size_t table_count;
    enum return_capacity capacity;
    enum return_metrics metrics;
};
struct batch_write_out {
    struct table_writes *unprocessed;
    size_t unprocessed_count;
    struct consumed_capacity *capacities; /* one per table */
    size_t capacity_count;
};

struct batch_write;

/* One entry under way. */
struct write_entry {
    struct op_call call; /* first */
    struct batch_write *batch;
    size_t table; /* its place in the request */
    const struct write_request *request;
    struct put_item_in put;
    struct delete_item_in delete;
    struct arena arena;
    bool refused; /* told in UnprocessedItems, if others are not */
};

/* The calls of one batch: on its lane's thread only. */
struct batch_write {
    struct op_call *call;
    struct write_entry *entries;
    size_t count;
    size_t pending;       /* calls under way, and one while they are started */
    struct fault fault;   /* of an entry of which nothing is known; FAULT_NONE: none has */
    struct fault refusal; /* of an entry that was refused */
};

static bool batch_write_access(const struct op_call *call, op_access_visit *visit, void *arg);
static enum err batch_write_settle(struct op_call *call, struct decode *decode);
static enum err check_requests(struct op_call *call, const struct table_writes *writes);
static enum err batch_write_check(struct op_call *call);
static enum err batch_write_run(struct op_call *call, struct reader *reader,
                                struct changes *changes);
static enum err find_key(struct op_call *call, const struct table *table,
                         const struct write_request *request, struct key *key);
static void batch_write_after(struct op_call *call);
static size_t count_writes(const struct batch_write_in *in);
static void start_entry(struct batch_write *batch, struct write_entry *entry);
static void entry_done(struct op_call *call);
static void one_less(struct batch_write *batch);
static enum err note_capacity(struct batch_write *batch, const struct consumed_capacity *one);
static enum err note_unprocessed(struct batch_write *batch);

static const struct field put_request_fields[] = {
    {NAME("Item"), .type = FIELD_ITEM, .flags = FIELD_REQUIRED, .stage = 1, AT(put_request, item)},
    {.type = FIELD_END},
};
static const struct field delete_request_fields[] = {
    {NAME("Key"), .type = FIELD_ITEM, .flags = FIELD_REQUIRED, .stage = 1, AT(delete_request, key)},
    {.type = FIELD_END},
};
static const struct shape shape_put_request = {"PutRequest", put_request_fields,
                                               sizeof(struct put_request)};
static const struct shape shape_delete_request = {"DeleteRequest", delete_request_fields,
                                                  sizeof(struct delete_request)};

static const struct field write_request_fields[] = {
    {NAME("PutRequest"), .type = FIELD_STRUCT, .shape = &shape_put_request, AT(write_request, put),
     GIVEN(write_request, puts)},
    {NAME("DeleteRequest"), .type = FIELD_STRUCT, .shape = &shape_delete_request,
     AT(write_request, delete), GIVEN(write_request, deletes)},
    {.type = FIELD_END},
};
static const struct shape shape_write_request = {"WriteRequest", write_request_fields,
                                                 sizeof(struct write_request)};

static const struct field table_writes_fields[] = {
    {NAME("*"), .type = FIELD_LIST, .stage = 1, .min = 1, .max = BATCH_WRITES_MAX,
     .shape = &shape_write_request, AT(table_writes, requests), COUNTED(table_writes, count)},
    {.type = FIELD_END},
};
static const struct shape shape_table_writes = {"", table_writes_fields,
                                                sizeof(struct table_writes)};

static const struct field batch_write_in_fields[] = {
    {NAME("RequestItems"), .type = FIELD_MAP, .stage = 2, .shape = &shape_table_writes,
     AT(batch_write_in, tables), COUNTED(batch_write_in, table_count)},
    MEMBER_CAPACITY(batch_write_in, 1),
    MEMBER_METRICS(batch_write_in, 1),
    {.type = FIELD_END},
};

static const struct field batch_write_out_fields[] = {
    {NAME("UnprocessedItems"), .type = FIELD_MAP, .flags = FIELD_KEEP_ZERO,
     .shape = &shape_table_writes, AT(batch_write_out, unprocessed),
     COUNTED(batch_write_out, unprocessed_count)},
    {NAME("ConsumedCapacity"), .type = FIELD_LIST, .shape = &shape_capacity,
     AT(batch_write_out, capacities), COUNTED(batch_write_out, capacity_count)},
    {.type = FIELD_END},
};

const struct op op_batch_write_item = {
    .name = "BatchWriteItem",
    .api = OP_API_DYNAMODB,
    .writes = true,
    .old_values = true,
    .in_size = sizeof(struct batch_write_in),
    .out_size = sizeof(struct batch_write_out),
    .in_fields = batch_write_in_fields,
    .out_fields = batch_write_out_fields,
    .settle = batch_write_settle,
    .access = batch_write_access,
    .check = batch_write_check,
    .run = batch_write_run,
    .after = batch_write_after,
};

static bool batch_write_access(const struct op_call *call, op_access_visit *visit, void *arg)
{
    const struct batch_write_in *in = call->in;
    bool more = true;
    for (size_t i = 0; more && i < in->table_count; i++) {
        const struct table_writes *writes = &in->tables[i];
        struct bytes *items = arena_alloc(call->arena, (writes->count + 1) * sizeof(*items));
        if (items == NULL) {
            return false;
        }
        for (size_t j = 0; j < writes->count; j++) {
            const struct write_request *request = &writes->requests[j];
            items[j] = request->puts ? request->put.item : request->delete.key;
        }
        const struct op_access access = {
            .action = "BatchWriteItem",
            .table = writes->name,
            .items = items,
            .item_count = writes->count,
            .capacity = in->capacity,
        };
        more = visit(arg, &access);
    }
    return more;
}

/* DynamoDB's order: lengths of lists, absent members and enums; no request; names; one action an
 * entry; values; how many there are. */
static enum err batch_write_settle(struct op_call *call, struct decode *decode)
{
    const struct batch_write_in *in = call->in;
    TRY(decode_tell_violations(decode, 1));
    if (in->table_count == 0) {
        return fault(call, FAULT_VALIDATION,
                     "The requestItems parameter is required for BatchWriteItem");
    }
    TRY(decode_tell_violations(decode, UINT32_MAX));
    for (size_t i = 0; i < in->table_count && i < LIST_DECODED_MAX; i++) {
        TRY(check_requests(call, &in->tables[i]));
    }
    TRY(decode_tell_values(decode));
    if (count_writes(in) > BATCH_WRITES_MAX) {
        return fault(call, FAULT_VALIDATION,
                     "Too many items requested for the BatchWriteItem call");
    }
    return OK;
}

/* An empty list is told with the constraints, null is left for here. */
static enum err check_requests(struct op_call *call, const struct table_writes *writes)
{
    if (writes->count == 0) {
        return fault(call, FAULT_VALIDATION,
                     "The batch write request list for a table cannot be null or empty: %.*s",
                     BYTES_FMT(writes->name));
    }
    for (size_t i = 0; i < writes->count; i++) {
        if (writes->requests[i].puts == writes->requests[i].deletes) {
            return fault(call, FAULT_VALIDATION,
                         "Supplied AttributeValue has more than one datatypes set, must contain "
                         "exactly one of the supported datatypes");
        }
    }
    return OK;
}

static enum err batch_write_check(struct op_call *call)
{
    const struct batch_write_in *in = call->in;
    for (size_t i = 0; i < in->table_count; i++) {
        for (size_t j = 0; j < in->tables[i].count; j++) {
            if (item_size(in->tables[i].requests[j].put.item) > ITEM_SIZE_MAX) {
                return fault(call, FAULT_VALIDATION, "%s", TEXT_ITEM_TOO_BIG);
            }
        }
    }
    return OK;
}

/* Only what may refuse the whole request: tables, keys, and keys that come twice. */
static enum err batch_write_run(struct op_call *call, struct reader *reader,
                                struct changes *changes)
{
    const struct batch_write_in *in = call->in;
    const struct table *tables[BATCH_WRITES_MAX];
    struct key keys[BATCH_WRITES_MAX];
    size_t count = 0;
    (void)changes;
    for (size_t i = 0; i < in->table_count; i++) {
        const struct table *table;
        TRY(lookup_table(call, reader, in->tables[i].name, &table));
    }
    for (size_t i = 0; i < in->table_count; i++) {
        for (size_t j = 0; j < in->tables[i].count; j++) {
            TRY(lookup_table(call, reader, in->tables[i].name, &tables[count]));
            TRY(find_key(call, tables[count], &in->tables[i].requests[j], &keys[count]));
            for (size_t k = 0; k < count; k++) {
                if (tables[k] == tables[count] && keys[k].hash == keys[count].hash &&
                    bytes_equal(keys[k].bytes, keys[count].bytes)) {
                    return fault(call, FAULT_VALIDATION, "%s", TEXT_BATCH_DUPLICATE);
                }
            }
            count++;
        }
    }
    return OK;
}

/* A key that is missing or of another type is told in the words of a Key member, of a Put too. */
static enum err find_key(struct op_call *call, const struct table *table,
                         const struct write_request *request, struct key *key)
{
    struct key_fault refused;
    enum key_refusal refusal =
        request->puts
            ? key_from_item(&table->schema, request->put.item, call->arena, key, &refused)
            : key_from_exact(&table->schema, request->delete.key, call->arena, key, &refused);
    return refusal == KEY_OK ? OK : fault_key(call, refusal, &refused, true);
}

static void batch_write_after(struct op_call *call)
{
    const struct batch_write_in *in = call->in;
    size_t count = count_writes(in);
    struct batch_write *batch = arena_zalloc(call->arena, sizeof(*batch));
    struct write_entry *entries = arena_zalloc(call->arena, count * sizeof(*entries));
    if (batch == NULL || entries == NULL) {
        call->fault = (struct fault){.code = FAULT_INTERNAL};
        call->done(call);
        return;
    }
    *batch = (struct batch_write){.call = call, .entries = entries, .pending = 1};
    for (size_t i = 0; i < in->table_count; i++) {
        for (size_t j = 0; j < in->tables[i].count; j++) {
            struct write_entry *entry = &entries[batch->count++];
            entry->batch = batch;
            entry->table = i;
            entry->request = &in->tables[i].requests[j];
        }
    }
    for (size_t i = 0; i < count; i++) {
        start_entry(batch, &entries[i]);
    }
    one_less(batch);
}

static size_t count_writes(const struct batch_write_in *in)
{
    size_t count = 0;
    for (size_t i = 0; i < in->table_count && i < LIST_DECODED_MAX; i++) {
        count += in->tables[i].count;
    }
    return count;
}

static void start_entry(struct batch_write *batch, struct write_entry *entry)
{
    const struct batch_write_in *in = batch->call->in;
    struct bytes table_name = in->tables[entry->table].name;
    entry->put = (struct put_item_in){
        .table_name = table_name, .item = entry->request->put.item, .capacity = in->capacity};
    entry->delete = (struct delete_item_in){
        .table_name = table_name, .key = entry->request->delete.key, .capacity = in->capacity};
    arena_init(&entry->arena, 0);
    entry->call.op = entry->request->puts ? &op_put_item : &op_delete_item;
    entry->call.in = entry->request->puts ? (void *)&entry->put : (void *)&entry->delete;
    entry->call.arena = &entry->arena;
    entry->call.done = entry_done;
    batch->pending++;
    op_start(batch->call->task.lane, &entry->call);
}

static void entry_done(struct op_call *call)
{
    struct write_entry *entry = (struct write_entry *)call; /* call is its first member */
    struct batch_write *batch = entry->batch;
    const struct put_item_out *put = call->out;
    const struct delete_item_out *deleted = call->out;
    struct fault told = call->fault;
    if (told.message.len > 0) {
        told.message = arena_dup(batch->call->arena, told.message);
    }
    entry->refused = told.code != FAULT_NONE && told.code != FAULT_INTERNAL;
    if (entry->refused) {
        batch->refusal = told;
    } else if (told.code != FAULT_NONE) {
        batch->fault = told;
    } else if (note_capacity(batch, entry->request->puts ? &put->capacity : &deleted->capacity) !=
               OK) {
        batch->fault = (struct fault){.code = FAULT_INTERNAL};
    }
    arena_fini(&entry->arena);
    one_less(batch);
}

static void one_less(struct batch_write *batch)
{
    struct op_call *call = batch->call;
    if (--batch->pending > 0) {
        return;
    }
    if (batch->fault.code == FAULT_NONE && note_unprocessed(batch) != OK) {
        batch->fault = (struct fault){.code = FAULT_INTERNAL};
    }
    call->fault = batch->fault;
    call->done(call);
}

static enum err note_capacity(struct batch_write *batch, const struct consumed_capacity *one)
{
    struct op_call *call = batch->call;
    struct batch_write_out *out = call->out;
    if (!one->given) {
        return OK;
    }
    if (out->capacities == NULL) {
        out->capacities = arena_zalloc(call->arena, batch->count * sizeof(*out->capacities));
        if (out->capacities == NULL) {
            return ERR_NOMEM;
        }
    }
    return capacity_merge(call, out->capacities, &out->capacity_count, one);
}

static enum err note_unprocessed(struct batch_write *batch)
{
    struct op_call *call = batch->call;
    const struct batch_write_in *in = call->in;
    struct batch_write_out *out = call->out;
    size_t left = 0;
    for (size_t i = 0; i < batch->count; i++) {
        left += batch->entries[i].refused;
    }
    if (left == batch->count) {
        batch->fault = batch->refusal;
        return OK;
    }
    if (left == 0) {
        return OK;
    }
    struct write_request *requests = arena_alloc(call->arena, left * sizeof(*requests));
    out->unprocessed = arena_zalloc(call->arena, in->table_count * sizeof(*out->unprocessed));
    if (requests == NULL || out->unprocessed == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < batch->count; i++) {
        const struct write_entry *entry = &batch->entries[i];
        if (!entry->refused) {
            continue;
        }
        struct bytes name = in->tables[entry->table].name;
        struct table_writes *last = &out->unprocessed[out->unprocessed_count];
        if (out->unprocessed_count == 0 || last[-1].name.ptr != name.ptr) {
            *last = (struct table_writes){.name = name, .requests = requests};
            out->unprocessed_count++;
        }
        out->unprocessed[out->unprocessed_count - 1].count++;
        *requests++ = *entry->request;
    }
    return OK;
}
