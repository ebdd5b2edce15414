/* The cache of programs, and the binding of a request's names and values. Entries leave in the
 * order they came: a program stays valid for EXPR_CACHE_MAX further compilations (expr I1, I7). */
#include "base/hash.h"
#include "base/mem.h"
#include "base/owner.h"
#include "expr/expr_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define BUCKETS 1024u

struct expr_cache {
    struct owner owner;
    struct expr *buckets[BUCKETS];
    struct expr *ring[EXPR_CACHE_MAX + 1];
    size_t next;
};

struct expr_cache *expr_cache_new(void)
{
    return mem_zalloc(1, sizeof(struct expr_cache));
}

void expr_cache_free(struct expr_cache *cache)
{
    for (size_t i = 0; cache != NULL && i <= EXPR_CACHE_MAX; i++) {
        mem_free(cache->ring[i]);
    }
    mem_free(cache);
}

static void evict(struct expr_cache *cache, struct expr *expr)
{
    struct expr **link = &cache->buckets[expr->hash % BUCKETS];
    while (*link != expr) {
        link = &(*link)->next;
    }
    *link = expr->next;
    mem_free(expr);
}

void expr_cache_leave(struct expr_cache *cache)
{
    owner_leave(&cache->owner);
}

enum err expr_compile(struct expr_cache *cache, enum expr_kind kind, struct bytes text,
                      const struct expr **out, struct expr_fault *fault)
{
    ASSERT_OWNER(&cache->owner);
    uint64_t hash = hash_key(text) + (uint64_t)kind;
    struct expr *expr = cache->buckets[hash % BUCKETS];
    while (expr != NULL &&
           (expr->hash != hash || expr->kind != kind || !bytes_equal(expr->text, text))) {
        expr = expr->next;
    }
    if (expr == NULL) {
        expr = expr_parse(kind, text);
        expr->hash = hash;
        if (cache->ring[cache->next] != NULL) {
            evict(cache, cache->ring[cache->next]);
        }
        cache->ring[cache->next] = expr;
        cache->next = (cache->next + 1) % (EXPR_CACHE_MAX + 1);
        expr->next = cache->buckets[hash % BUCKETS];
        cache->buckets[hash % BUCKETS] = expr;
    }
    if (expr->refused) {
        *fault = expr->fault;
        return ERR_FAULT;
    }
    *out = expr;
    return OK;
}

void expr_refuse(struct expr_fault *fault, bool enveloped, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fault->enveloped = enveloped;
    vsnprintf(fault->text, sizeof(fault->text), format, list);
    va_end(list);
}

/* ---- binding ---- */

enum err expr_binding_init(struct expr_binding *binding, struct arena *arena, struct bytes names,
                           bool has_names, struct bytes values, bool has_values)
{
    size_t name_words = item_count(names) / 64 + 1;
    size_t value_words = item_count(values) / 64 + 1;
    *binding = (struct expr_binding){
        .names = names, .values = values, .has_names = has_names, .has_values = has_values};
    binding->names_used = arena_zalloc(arena, (name_words + value_words) * sizeof(uint64_t));
    if (binding->names_used == NULL) {
        return ERR_NOMEM;
    }
    binding->values_used = binding->names_used + name_words;
    return OK;
}

/* The member of that name, marked as used when used is given. */
static bool find(struct bytes map, struct bytes token, uint64_t *used, struct value *out)
{
    struct cursor cursor = cursor_of(map);
    struct bytes name;
    for (size_t i = 0; item_next(&cursor, &name, out); i++) {
        if (bytes_equal(name, token)) {
            if (used != NULL) {
                used[i / 64] |= 1ull << (i % 64);
            }
            return true;
        }
    }
    return false;
}

bool binding_value(const struct expr_binding *binding, struct bytes token, struct value *out)
{
    return find(binding->values, token, binding->values_used, out);
}

bool binding_name(const struct expr_binding *binding, struct bytes token, struct bytes *out)
{
    struct value value;
    if (token.len == 0 || token.ptr[0] != '#') {
        *out = token;
        return true;
    }
    if (!find(binding->names, token, binding->names_used, &value) || value.tag != VALUE_S) {
        return false;
    }
    *out = value.body;
    return true;
}

/* A token that no expression used, and where a Java set would hold it. */
struct unused {
    uint32_t bucket;
    struct bytes name;
};

static int unused_order(const void *left, const void *right)
{
    const struct unused *a = left;
    const struct unused *b = right;
    return a->bucket != b->bucket ? (a->bucket < b->bucket ? -1 : 1)
                                  : bytes_compare(a->name, b->name);
}

/* Those that were not used, in DynamoDB's order. */
static size_t find_unused(struct bytes map, const uint64_t *used, struct unused *out)
{
    struct cursor cursor = cursor_of(map);
    size_t total = item_count(map);
    uint32_t buckets = 16;
    size_t count = 0;
    struct bytes name;
    struct value value;
    while (buckets < total + total / 3 + 1) {
        buckets *= 2;
    }
    for (size_t i = 0; item_next(&cursor, &name, &value); i++) {
        if ((used[i / 64] >> (i % 64) & 1) == 0) {
            out[count++] = (struct unused){hash_java(name) & (buckets - 1), name};
        }
    }
    qsort(out, count, sizeof(out[0]), unused_order);
    return count;
}

static bool list_unused(struct bytes map, const uint64_t *used, const char *member,
                        struct expr_fault *fault)
{
    struct unused *unused = mem_alloc((item_count(map) + 1) * sizeof(*unused));
    size_t count = find_unused(map, used, unused);
    size_t len = 0;
    if (count > 0) {
        expr_refuse(fault, true, "Value provided in %s unused in expressions: keys: {", member);
        len = strlen(fault->text);
    }
    for (size_t i = 0; i < count && len < sizeof(fault->text) - 2; i++) {
        len += (size_t)snprintf(fault->text + len, sizeof(fault->text) - len, "%s%.*s",
                                i > 0 ? ", " : "", BYTES_FMT(unused[i].name));
    }
    if (count > 0) {
        len = len < sizeof(fault->text) - 2 ? len : sizeof(fault->text) - 2;
        fault->text[len] = '}';
        fault->text[len + 1] = 0;
    }
    mem_free(unused);
    return count > 0;
}

static bool all_used(struct bytes map, const uint64_t *used)
{
    size_t count = item_count(map);
    size_t marked = 0;
    for (size_t i = 0; i < count / 64 + 1; i++) {
        marked += (size_t)__builtin_popcountll(used[i]);
    }
    return marked == count;
}

enum err expr_check_unused(const struct expr_binding *binding, struct expr_fault *fault)
{
    if (all_used(binding->names, binding->names_used) &&
        all_used(binding->values, binding->values_used)) {
        return OK;
    }
    bool unused =
        list_unused(binding->names, binding->names_used, "ExpressionAttributeNames", fault) ||
        list_unused(binding->values, binding->values_used, "ExpressionAttributeValues", fault);
    return unused ? ERR_FAULT : OK;
}
