/* The shapes of values: each write's id picks one, so that all types pass through the log, small
 * ones mostly and now and then one that fills a frame or a memtable alone. */
#include "ledger/model.h"

#include "base/base64.h"
#include "lib/prng.h"

#include <stdio.h>
#include <stdlib.h>

#define TEXT_MAX 100000u
#define SET_MAX 3u /* elements of a number set */

static void add_text(struct buf *out, struct prng *prng, size_t len);
static size_t text_len(struct prng *prng);
static bool read_number(struct json item, const char *name, const char *type, int64_t *number);

bool state_equal(const struct state *a, const struct state *b)
{
    return a->present == b->present && a->has_n == b->has_n && a->w == b->w && a->n == b->n;
}

bool model_holds(const struct action *action, const struct state *old)
{
    switch (action->condition) {
    case CONDITION_NONE:
        return true;
    case CONDITION_ABSENT:
        return !old->present;
    case CONDITION_PRESENT:
        return old->present;
    case CONDITION_W_IS:
        return old->present && old->w == action->operand;
    case CONDITION_N_BELOW:
        return old->has_n && old->n < (int64_t)action->operand;
    }
    abort();
}

struct state model_apply(const struct action *action, uint64_t id, const struct state *old)
{
    switch (action->kind) {
    case ACTION_PUT:
        return (struct state){.present = true, .w = id};
    case ACTION_SET:
        return (struct state){true, true, id, old->n + model_step(id)};
    case ACTION_DROP:
        return (struct state){.present = true, .w = id};
    case ACTION_KEEP:
        return old->present ? *old : (struct state){.present = true, .w = id};
    case ACTION_DELETE:
        return (struct state){0};
    case ACTION_ADD:
        return (struct state){.present = true, .has_n = true, .n = old->n + (int64_t)id};
    case ACTION_CHECK:
        return *old;
    }
    abort();
}

int64_t model_step(uint64_t id)
{
    return 1 + (int64_t)(id % 9);
}

void model_partition_json(struct buf *out, unsigned key)
{
    if (key < MODEL_HOT_KEYS) {
        buf_printf(out, "{\"S\":\"p%02u\"}", key / MODEL_SORTS);
    } else {
        buf_add_cstr(out, "{\"S\":\"counters\"}");
    }
}

static void add_key(struct buf *out, unsigned key)
{
    buf_add_cstr(out, "\"pk\":");
    model_partition_json(out, key);
    if (key < MODEL_HOT_KEYS) {
        buf_printf(out, ",\"sk\":{\"S\":\"k%u\"}", key % MODEL_SORTS);
    } else {
        buf_printf(out, ",\"sk\":{\"S\":\"c%u\"}", key - MODEL_HOT_KEYS);
    }
}

void model_key_json(struct buf *out, unsigned key)
{
    buf_add_byte(out, '{');
    add_key(out, key);
    buf_add_byte(out, '}');
}

void model_item_json(struct buf *out, unsigned key, const struct state *state)
{
    buf_add_byte(out, '{');
    if (state->has_n) {
        buf_printf(out, "\"n\":{\"N\":\"%lld\"},", (long long)state->n);
    }
    add_key(out, key);
    if (state->w != 0) {
        buf_add_cstr(out, ",\"v\":");
        model_value_json(out, state->w);
        buf_printf(out, ",\"w\":{\"S\":\"%llu\"}", (unsigned long long)state->w);
    }
    buf_add_byte(out, '}');
}

void model_value_json(struct buf *out, uint64_t id)
{
    struct prng prng;
    uint8_t data[48];
    prng_init(&prng, id);
    switch (prng_below(&prng, 8)) {
    case 0:
        buf_add_cstr(out, "{\"B\":\"");
        for (size_t i = 0; i < sizeof(data); i++) {
            data[i] = (uint8_t)prng_next(&prng);
        }
        base64_add(out, bytes_of(data, 1 + prng_below(&prng, sizeof(data))));
        buf_add_cstr(out, "\"}");
        return;
    case 1:
        buf_add_cstr(out, "{\"M\":{\"a\":{\"L\":[{\"S\":\"");
        add_text(out, &prng, 20);
        buf_printf(out, "\"},{\"BOOL\":%s},{\"NULL\":true}]},\"b\":{\"N\":\"-%llu.5\"}}}",
                   id % 2 == 0 ? "true" : "false", (unsigned long long)id);
        return;
    case 2:
        buf_printf(out, "{\"SS\":[\"a%llu\",\"b\",\"c\"]}", (unsigned long long)id);
        return;
    case 3:
        buf_printf(out, "{\"NS\":[\"-3\",\"0.25\",\"%llu\"]}", (unsigned long long)id);
        return;
    default:
        buf_add_cstr(out, "{\"S\":\"");
        add_text(out, &prng, text_len(&prng));
        buf_add_cstr(out, "\"}");
    }
}

static size_t text_len(struct prng *prng)
{
    uint64_t drawn = prng_below(prng, 1000);
    return drawn < 2    ? TEXT_MAX / 2 + prng_below(prng, TEXT_MAX / 2)
           : drawn < 60 ? 1 + prng_below(prng, 4000)
                        : 1 + prng_below(prng, 100);
}

static void add_text(struct buf *out, struct prng *prng, size_t len)
{
    uint8_t *room = buf_room(out, len);
    if (room != NULL) {
        prng_text(prng, (char *)room, len);
        out->len += len;
    }
}

static bool read_text(struct json item, const char *name, char out[64])
{
    struct json value;
    struct json text;
    if (json_type(item) != JSON_OBJECT || !json_member(item, bytes_cstr(name), &value) ||
        json_type(value) != JSON_OBJECT || !json_member(value, BYTES("S"), &text) ||
        json_type(text) != JSON_STRING || json_string(text).len > 63) {
        return false;
    }
    struct bytes bytes = json_string(text);
    memcpy(out, bytes.ptr, bytes.len);
    out[bytes.len] = 0;
    return true;
}

unsigned model_key_of(struct json item)
{
    char pk[64];
    char sk[64];
    unsigned partition;
    unsigned sort;
    if (!read_text(item, "pk", pk) || !read_text(item, "sk", sk)) {
        return MODEL_KEYS;
    }
    if (strcmp(pk, "counters") == 0 && sscanf(sk, "c%u", &sort) == 1 && sort < MODEL_COUNTERS) {
        return MODEL_HOT_KEYS + sort;
    }
    if (sscanf(pk, "p%u", &partition) == 1 && partition < MODEL_PARTITIONS &&
        sscanf(sk, "k%u", &sort) == 1 && sort < MODEL_SORTS) {
        return partition * MODEL_SORTS + sort;
    }
    return MODEL_KEYS;
}

/* A set has no order; ours are written by value. */
static void add_numbers(struct buf *out, struct json set)
{
    struct json_iter iter = json_iter_of(set);
    struct json element;
    struct {
        double number;
        struct json text;
    } sorted[SET_MAX];
    size_t count = 0;
    while (count < SET_MAX && json_next(&iter, &element)) {
        char digits[32] = {0};
        struct bytes text = json_type(element) == JSON_STRING ? json_string(element) : BYTES_NONE;
        memcpy(digits, text.ptr, text.len < sizeof(digits) ? text.len : sizeof(digits) - 1);
        double number = strtod(digits, NULL);
        size_t at = count++;
        for (; at > 0 && sorted[at - 1].number > number; at--) {
            sorted[at] = sorted[at - 1];
        }
        sorted[at].number = number;
        sorted[at].text = element;
    }
    buf_add_byte(out, '[');
    for (size_t i = 0; i < count; i++) {
        buf_add_cstr(out, i > 0 ? "," : "");
        json_add_value(out, sorted[i].text);
    }
    buf_add_byte(out, ']');
}

/* As it was shown, but for the order of a number set. */
static void add_item(struct buf *out, struct json item)
{
    struct json_iter iter = json_iter_of(item);
    struct bytes name;
    struct json value;
    struct json set;
    bool more = false;
    buf_add_byte(out, '{');
    while (json_next_member(&iter, &name, &value)) {
        buf_add_cstr(out, more ? "," : "");
        json_add_string(out, name);
        buf_add_byte(out, ':');
        more = true;
        if (json_type(value) == JSON_OBJECT && json_count(value) == 1 &&
            json_member(value, BYTES("NS"), &set) && json_type(set) == JSON_ARRAY &&
            json_count(set) <= SET_MAX) {
            buf_add_cstr(out, "{\"NS\":");
            add_numbers(out, set);
            buf_add_byte(out, '}');
        } else {
            json_add_value(out, value);
        }
    }
    buf_add_byte(out, '}');
}

bool model_recognise(struct json item, unsigned key, struct state *state, struct buf *scratch)
{
    int64_t w = 0;
    struct state found = {.present = true};
    found.has_n = read_number(item, "n", "N", &found.n);
    found.w = read_number(item, "w", "S", &w) ? (uint64_t)w : 0;
    buf_clear(scratch);
    add_item(scratch, item);
    size_t len = scratch->len;
    model_item_json(scratch, key, &found);
    if (!bytes_equal(bytes_of(scratch->ptr, len),
                     bytes_of(scratch->ptr + len, scratch->len - len))) {
        return false;
    }
    *state = found;
    return true;
}

static bool read_number(struct json item, const char *name, const char *type, int64_t *number)
{
    struct json value;
    struct json text;
    if (!json_member(item, bytes_cstr(name), &value) || json_type(value) != JSON_OBJECT ||
        !json_member(value, bytes_cstr(type), &text) || json_type(text) != JSON_STRING) {
        return false;
    }
    char digits[32] = {0};
    struct bytes bytes = json_string(text);
    memcpy(digits, bytes.ptr, bytes.len < sizeof(digits) ? bytes.len : sizeof(digits) - 1);
    *number = strtoll(digits, NULL, 10);
    return true;
}

const char *model_state_text(const struct state *state, char out[64])
{
    if (!state->present) {
        return "absent";
    }
    int len = snprintf(out, 64, "w=%llu", (unsigned long long)state->w);
    if (state->has_n) {
        snprintf(out + len, 64 - (size_t)len, " n=%lld", (long long)state->n);
    }
    return out;
}

const char *model_action_text(const struct action *action, char out[128])
{
    static const char *const kinds[] = {
        [ACTION_PUT] = "Put",    [ACTION_SET] = "Set",       [ACTION_DROP] = "Drop n",
        [ACTION_KEEP] = "Keep",  [ACTION_DELETE] = "Delete", [ACTION_ADD] = "Add",
        [ACTION_CHECK] = "Check"};
    static const char *const conditions[] = {[CONDITION_NONE] = "",
                                             [CONDITION_ABSENT] = " if absent",
                                             [CONDITION_PRESENT] = " if present",
                                             [CONDITION_W_IS] = " if w =",
                                             [CONDITION_N_BELOW] = " if n <"};
    struct buf key;
    buf_init(&key, 128);
    add_key(&key, action->key);
    int len = snprintf(out, 128, "%s %.*s%s", kinds[action->kind], BYTES_FMT(buf_bytes(&key)),
                       conditions[action->condition]);
    if (action->condition >= CONDITION_W_IS) {
        snprintf(out + len, 128 - (size_t)len, " %llu", (unsigned long long)action->operand);
    }
    buf_fini(&key);
    return out;
}
