/* TransactGetItems: up to 100 items of any tables, as one state of the store has them all.
 * Amazon DynamoDB API Reference, API_TransactGetItems.
 *
 * The reads are of one snapshot, so no transaction is ever seen in part, and nothing that is
 * written meanwhile conflicts with them. A key that does not fit its table cancels, with a reason
 * for each action. */
#include "op/op_priv.h"

#define TRANSACT_GETS_MAX 100
#define TRANSACT_GET_BYTES_MAX (4u << 20)

struct transact_get {
    struct bytes table_name;
    struct bytes key;
    struct bytes projection;
    struct expression_tokens tokens;
};
struct transact_get_wire_item {
    struct transact_get get;
    bool given;
};
struct transact_get_in {
    struct transact_get_wire_item *items;
    size_t count;
    enum return_capacity capacity;
};

struct transact_get_response {
    struct bytes item; /* empty: absent, or nothing of it is projected */
};
struct transact_get_out {
    struct transact_get_response *responses;
    size_t count;
    struct consumed_capacity *capacities; /* one per table */
    size_t capacity_count;
};

/* What one evaluation knows of the actions, by their places. */
struct transact_gets {
    struct op_call *call;
    struct reader *reader;
    struct expressions *expressions;
    struct reader_place *places;
    struct key *keys;
    struct bytes *items;
};

static bool transact_get_access(const struct op_call *call, op_access_visit *visit, void *arg);
static enum err transact_get_settle(struct op_call *call, struct decode *decode);
static enum err transact_get_run(struct op_call *call, struct reader *reader,
                                 struct changes *changes);
static enum err open_gets(struct transact_gets *gets);
static enum err find_keys(struct transact_gets *gets);
static enum err check_duplicates(struct transact_gets *gets);
static bool is_same(const struct reader_place *one, const struct reader_place *other);
static enum err check_bytes(struct transact_gets *gets);
static enum err answer(struct transact_gets *gets);
static enum err charge(struct transact_gets *gets);

static const struct field get_fields[] = {
    {NAME("TableName"), .type = FIELD_STRING, .flags = FIELD_REQUIRED, .stage = 3,
     .form = FORM_TABLE_NAME_LENGTH, AT(transact_get, table_name)},
    {NAME("Key"), .type = FIELD_ITEM, .flags = FIELD_REQUIRED, .stage = 3, AT(transact_get, key)},
    MEMBER_TEXT("ProjectionExpression", transact_get, projection),
    MEMBER_NAMES(transact_get),
    {.type = FIELD_END},
};
static const struct shape shape_get = {"Get", get_fields, sizeof(struct transact_get)};

static const struct field transact_get_item_fields[] = {
    {NAME("Get"), .type = FIELD_STRUCT, .flags = FIELD_REQUIRED, .stage = 2, .shape = &shape_get,
     AT(transact_get_wire_item, get), GIVEN(transact_get_wire_item, given)},
    {.type = FIELD_END},
};
static const struct shape shape_transact_get_item = {"TransactGetItem", transact_get_item_fields,
                                                     sizeof(struct transact_get_wire_item)};

static const struct field transact_get_in_fields[] = {
    {NAME("TransactItems"), .type = FIELD_LIST, .flags = FIELD_REQUIRED, .stage = 1, .min = 1,
     .max = TRANSACT_GETS_MAX, .shape = &shape_transact_get_item, AT(transact_get_in, items),
     COUNTED(transact_get_in, count)},
    MEMBER_CAPACITY(transact_get_in, 2),
    {.type = FIELD_END},
};

static const struct field response_fields[] = {
    {NAME("Item"), .type = FIELD_ITEM, .flags = FIELD_HASHED, AT(transact_get_response, item)},
    {.type = FIELD_END},
};
static const struct shape shape_response = {"ItemResponse", response_fields,
                                            sizeof(struct transact_get_response)};

static const struct field transact_get_out_fields[] = {
    {NAME("Responses"), .type = FIELD_LIST, .shape = &shape_response,
     AT(transact_get_out, responses), COUNTED(transact_get_out, count)},
    {NAME("ConsumedCapacity"), .type = FIELD_LIST, .shape = &shape_capacity,
     AT(transact_get_out, capacities), COUNTED(transact_get_out, capacity_count)},
    {.type = FIELD_END},
};

const struct op op_transact_get_items = {
    .name = "TransactGetItems",
    .api = OP_API_DYNAMODB,
    .old_values = true,
    .sets_first = true,
    .in_size = sizeof(struct transact_get_in),
    .out_size = sizeof(struct transact_get_out),
    .in_fields = transact_get_in_fields,
    .out_fields = transact_get_out_fields,
    .settle = transact_get_settle,
    .access = transact_get_access,
    .run = transact_get_run,
};

static bool transact_get_access(const struct op_call *call, op_access_visit *visit, void *arg)
{
    const struct transact_get_in *in = call->in;
    bool more = true;
    for (size_t i = 0; more && i < in->count; i++) {
        const struct transact_get *get = &in->items[i].get;
        const struct op_access access = {
            .action = "GetItem",
            .enclosing = "TransactGetItems",
            .table = get->table_name,
            .items = &get->key,
            .item_count = 1,
            .texts = {.projection = get->projection},
            .tokens = &get->tokens,
            .reads = true,
            .capacity = in->capacity,
        };
        more = visit(arg, &access);
    }
    return more;
}

/* DynamoDB's order: the list's length; absent Gets and enums; names; values. */
static enum err transact_get_settle(struct op_call *call, struct decode *decode)
{
    (void)call;
    TRY(decode_tell_violations(decode, UINT32_MAX));
    return decode_tell_values(decode);
}

static enum err transact_get_run(struct op_call *call, struct reader *reader,
                                 struct changes *changes)
{
    const struct transact_get_in *in = call->in;
    struct arena *arena = call->arena;
    struct transact_gets gets = {
        .call = call,
        .reader = reader,
        .expressions = arena_alloc(arena, in->count * sizeof(*gets.expressions)),
        .places = arena_alloc(arena, in->count * sizeof(*gets.places)),
        .keys = arena_alloc(arena, in->count * sizeof(*gets.keys)),
        .items = arena_alloc(arena, in->count * sizeof(*gets.items)),
    };
    (void)changes;
    if (gets.expressions == NULL || gets.places == NULL || gets.keys == NULL ||
        gets.items == NULL) {
        return ERR_NOMEM;
    }
    TRY(open_gets(&gets));
    TRY(find_keys(&gets));
    TRY(reader_get_together(reader, gets.places, in->count, CACHED_BYTES_MAX, gets.items));
    TRY(check_bytes(&gets));
    TRY(answer(&gets));
    return charge(&gets);
}

/* All expressions, then all tables, as DynamoDB tells them. */
static enum err open_gets(struct transact_gets *gets)
{
    struct op_call *call = gets->call;
    const struct transact_get_in *in = call->in;
    for (size_t i = 0; i < in->count; i++) {
        const struct transact_get *get = &in->items[i].get;
        const struct expression_texts texts = {.projection = get->projection};
        TRY(expressions_open(call, gets->reader, &texts, &get->tokens, &gets->expressions[i]));
    }
    for (size_t i = 0; i < in->count; i++) {
        TRY(lookup_table(call, gets->reader, in->items[i].get.table_name, &gets->places[i].table));
    }
    return OK;
}

/* Every key that does not fit is a reason, an empty one too. */
static enum err find_keys(struct transact_gets *gets)
{
    struct op_call *call = gets->call;
    const struct transact_get_in *in = call->in;
    struct cancellations cancellations = {.count = in->count};
    for (size_t i = 0; i < in->count; i++) {
        gets->places[i].key = &gets->keys[i];
        enum err err =
            lookup_key(call, gets->places[i].table, in->items[i].get.key, &gets->keys[i]);
        if (err == ERR_FAULT) {
            gets->places[i].key = NULL;
            err = cancel_action(
                call, &cancellations, i,
                (struct cancellation){.code = "ValidationError", .message = call->fault.message});
        }
        TRY(err);
    }
    TRY(check_duplicates(gets));
    return cancellations.reasons == NULL ? OK : cancel_fault(call, &cancellations);
}

static enum err check_duplicates(struct transact_gets *gets)
{
    const struct transact_get_in *in = gets->call->in;
    for (size_t i = 1; i < in->count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (is_same(&gets->places[i], &gets->places[j])) {
                return fault(gets->call, FAULT_VALIDATION, "%s", TEXT_TRANSACT_DUPLICATE);
            }
        }
    }
    return OK;
}

/* A key that does not fit is none. */
static bool is_same(const struct reader_place *one, const struct reader_place *other)
{
    return one->key != NULL && other->key != NULL && one->table == other->table &&
           one->key->hash == other->key->hash && bytes_equal(one->key->bytes, other->key->bytes);
}

static enum err check_bytes(struct transact_gets *gets)
{
    const struct transact_get_in *in = gets->call->in;
    size_t bytes = 0;
    for (size_t i = 0; i < in->count; i++) {
        bytes += item_size(gets->items[i]);
    }
    return bytes <= TRANSACT_GET_BYTES_MAX
               ? OK
               : fault(gets->call, FAULT_VALIDATION, "%s", TEXT_TRANSACT_TOO_BIG);
}

static enum err answer(struct transact_gets *gets)
{
    struct op_call *call = gets->call;
    const struct transact_get_in *in = call->in;
    struct transact_get_out *out = call->out;
    out->responses = arena_zalloc(call->arena, in->count * sizeof(*out->responses));
    if (out->responses == NULL) {
        return ERR_NOMEM;
    }
    out->count = in->count;
    for (size_t i = 0; i < in->count; i++) {
        out->responses[i].item = gets->items[i];
        if (gets->items[i].len > 0 && gets->expressions[i].projection != NULL) {
            TRY(expressions_project(call, gets->reader, &gets->expressions[i], gets->items[i],
                                    &out->responses[i].item));
        }
    }
    return OK;
}

/* Twice what consistent reads would cost, summed by table. */
static enum err charge(struct transact_gets *gets)
{
    struct op_call *call = gets->call;
    const struct transact_get_in *in = call->in;
    struct transact_get_out *out = call->out;
    if (in->capacity == CAPACITY_NONE) {
        return OK;
    }
    out->capacities = arena_zalloc(call->arena, in->count * sizeof(*out->capacities));
    if (out->capacities == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < in->count; i++) {
        double units = 2 * capacity_read(item_size(gets->items[i]), true);
        TRY(capacity_add(call, out->capacities, &out->capacity_count, in->capacity,
                         gets->places[i].table,
                         (struct capacity_units){.units = units, .read = units}));
    }
    return OK;
}
