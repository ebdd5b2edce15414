/* Keys: taken from items, split, turned back into items, and in the order of their attributes. */
#include "item/key.h"
#include "base/hash.h"
#include "fuzz.h"

static struct key_attribute attribute(struct fuzz_input *input, const char *name)
{
    static const enum value_tag tags[] = {VALUE_S, VALUE_N, VALUE_B};
    return (struct key_attribute){bytes_cstr(name), tags[fuzz_below(input, 3)]};
}

/* An attribute for the key: mostly of its type, sometimes missing, wrong, empty or too long. */
static void add_attribute(struct item_build *build, struct fuzz_input *input, struct arena *arena,
                          const struct key_attribute *wanted, size_t most)
{
    static uint8_t zeros[ITEM_PARTITION_KEY_MAX + 2];
    size_t choice = fuzz_below(input, 16);
    if (choice == 0) {
        return;
    }
    if (choice == 1 && wanted->tag == VALUE_B) {
        item_build_b(build, wanted->name, bytes_of(zeros, most - 1 + fuzz_below(input, 3)));
        return;
    }
    enum value_tag tag = choice == 2 ? (enum value_tag)0 : wanted->tag;
    item_build_value(build, wanted->name, fuzz_value(input, arena, tag, 1));
}

static struct bytes make_item(struct fuzz_input *input, struct arena *arena,
                              const struct key_schema *schema)
{
    struct item_build build;
    struct bytes item;
    item_build_init(&build, arena);
    add_attribute(&build, input, arena, &schema->partition, ITEM_PARTITION_KEY_MAX);
    if (key_schema_has_sort(schema)) {
        add_attribute(&build, input, arena, &schema->sort, ITEM_SORT_KEY_MAX);
    }
    if (fuzz_below(input, 4) == 0) {
        item_build_bool(&build, BYTES("x"), true);
    }
    HOLDS(item_build_end(&build, &item) == OK);
    return fuzz_copy(arena, item);
}

/* What is wrong with one attribute of a key, by key.h's words. */
static enum key_refusal judge(struct bytes item, const struct key_attribute *wanted, size_t most,
                              enum key_refusal too_long)
{
    struct value value;
    return !item_get(item, wanted->name, &value) ? KEY_MISSING
           : value.tag != wanted->tag            ? KEY_TYPE
           : value.body.len == 0                 ? KEY_EMPTY
           : value.body.len > most               ? too_long
                                                 : KEY_OK;
}

static bool take_key(const struct key_schema *schema, struct bytes item, struct arena *arena,
                     struct key *key)
{
    struct key_fault fault = {0};
    struct key exact;
    bool sorted = key_schema_has_sort(schema);
    enum key_refusal expected =
        judge(item, &schema->partition, ITEM_PARTITION_KEY_MAX, KEY_PARTITION_SIZE);
    if (expected == KEY_OK && sorted) {
        expected = judge(item, &schema->sort, ITEM_SORT_KEY_MAX, KEY_SORT_SIZE);
    }
    enum key_refusal refusal = key_from_item(schema, item, arena, key, &fault);
    HOLDS(refusal == expected);
    HOLDS(refusal == KEY_OK || fault.attribute == &schema->partition ||
          fault.attribute == &schema->sort);
    bool extra = item_count(item) != (sorted ? 2 : 1);
    enum key_refusal exactly = key_from_exact(schema, item, arena, &exact, &fault);
    HOLDS(exactly == (refusal != KEY_MISSING && extra ? KEY_EXTRA : refusal));
    HOLDS(exactly != KEY_OK || bytes_equal(exact.bytes, key->bytes));
    return refusal == KEY_OK;
}

static void check_parts(const struct key_schema *schema, struct bytes item, const struct key *key,
                        struct arena *arena)
{
    struct bytes partition;
    struct bytes sort;
    struct value value;
    struct key again;
    struct key_fault fault;
    HOLDS(key_split(key->bytes, &partition, &sort) == OK);
    HOLDS(item_get(item, schema->partition.name, &value) && bytes_equal(value.body, partition));
    HOLDS(key->hash == hash_key(partition));
    if (key_schema_has_sort(schema)) {
        HOLDS(item_get(item, schema->sort.name, &value) && bytes_equal(value.body, sort));
    } else {
        HOLDS(sort.len == 0);
    }
    struct bytes back = key_to_item(schema, key->bytes, arena);
    HOLDS(back.ptr != NULL && item_check(back) == OK);
    HOLDS(key_from_exact(schema, back, arena, &again, &fault) == KEY_OK);
    HOLDS(bytes_equal(again.bytes, key->bytes) && again.hash == key->hash);
}

static void check_order(const struct key_schema *schema, struct bytes a, struct bytes b,
                        const struct key *a_key, const struct key *b_key)
{
    struct value left;
    struct value right;
    HOLDS(item_get(a, schema->partition.name, &left) &&
          item_get(b, schema->partition.name, &right));
    HOLDS(value_equal(left, right) || !bytes_equal(a_key->bytes, b_key->bytes));
    if (!value_equal(left, right) || !key_schema_has_sort(schema)) {
        return;
    }
    HOLDS(item_get(a, schema->sort.name, &left) && item_get(b, schema->sort.name, &right));
    int order = value_compare(left, right);
    int key_order = bytes_compare(a_key->bytes, b_key->bytes);
    HOLDS((order > 0) - (order < 0) == (key_order > 0) - (key_order < 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = fuzz_input_of(data, size);
    struct key_schema schema = {.partition = attribute(&input, "pk")};
    struct arena arena;
    struct key a_key;
    struct key b_key;
    arena_init(&arena, 0);
    if (fuzz_bool(&input)) {
        schema.sort = attribute(&input, "sk");
    }
    struct bytes a = make_item(&input, &arena, &schema);
    struct bytes b = make_item(&input, &arena, &schema);
    bool has_a = take_key(&schema, a, &arena, &a_key);
    if (has_a) {
        check_parts(&schema, a, &a_key, &arena);
    }
    if (take_key(&schema, b, &arena, &b_key) && has_a) {
        check_order(&schema, a, b, &a_key, &b_key);
    }
    /* A key from a disk, or from a damaged page token. */
    struct bytes partition;
    struct bytes sort;
    struct bytes raw = fuzz_copy(&arena, fuzz_rest(&input));
    if (key_split(raw, &partition, &sort) == OK) {
        HOLDS(partition.len > 0 && 2 + partition.len + sort.len == raw.len);
        struct bytes item = key_to_item(&schema, raw, &arena);
        HOLDS(item.ptr != NULL);
    } else {
        HOLDS(key_to_item(&schema, raw, &arena).ptr == NULL);
    }
    arena_fini(&arena);
    return 0;
}
