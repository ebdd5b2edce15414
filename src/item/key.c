/* Keys: u16 partition length (big-endian), partition, sort. */
#include "item/key.h"

#include "base/hash.h"
#include "item/number.h"

static enum key_refusal take_part(const struct key_attribute *attribute, struct bytes item,
                                  size_t max, bool partition, struct bytes *out,
                                  struct key_fault *fault);
static enum key_refusal make_key(struct bytes partition, struct bytes sort, struct arena *arena,
                                 struct key *out);

enum key_refusal key_from_item(const struct key_schema *schema, struct bytes item,
                               struct arena *arena, struct key *out, struct key_fault *fault)
{
    struct bytes partition = BYTES_NONE;
    struct bytes sort = BYTES_NONE;
    enum key_refusal refusal =
        take_part(&schema->partition, item, ITEM_PARTITION_KEY_MAX, true, &partition, fault);
    if (refusal == KEY_OK && key_schema_has_sort(schema)) {
        refusal = take_part(&schema->sort, item, ITEM_SORT_KEY_MAX, false, &sort, fault);
    }
    return refusal != KEY_OK ? refusal : make_key(partition, sort, arena, out);
}

enum key_refusal key_from_exact(const struct key_schema *schema, struct bytes item,
                                struct arena *arena, struct key *out, struct key_fault *fault)
{
    enum key_refusal refusal = key_from_item(schema, item, arena, out, fault);
    size_t wanted = key_schema_has_sort(schema) ? 2 : 1;
    if (refusal != KEY_MISSING && item_count(item) != wanted) {
        return KEY_EXTRA;
    }
    return refusal;
}

static enum key_refusal take_part(const struct key_attribute *attribute, struct bytes item,
                                  size_t max, bool partition, struct bytes *out,
                                  struct key_fault *fault)
{
    struct value value;
    fault->attribute = attribute;
    fault->found = (enum value_tag)0;
    if (!item_get(item, attribute->name, &value)) {
        return KEY_MISSING;
    }
    fault->found = value.tag;
    if (value.tag != attribute->tag) {
        return KEY_TYPE;
    }
    if (value.body.len == 0) {
        return KEY_EMPTY;
    }
    if (value.body.len > max) {
        return partition ? KEY_PARTITION_SIZE : KEY_SORT_SIZE;
    }
    *out = value.body;
    return KEY_OK;
}

static enum key_refusal make_key(struct bytes partition, struct bytes sort, struct arena *arena,
                                 struct key *out)
{
    size_t len = 2 + partition.len + sort.len;
    uint8_t *bytes = arena_alloc(arena, len);
    if (bytes == NULL) {
        return KEY_NOMEM;
    }
    bytes[0] = (uint8_t)(partition.len >> 8);
    bytes[1] = (uint8_t)partition.len;
    memcpy(bytes + 2, partition.ptr, partition.len);
    if (sort.len > 0) {
        memcpy(bytes + 2 + partition.len, sort.ptr, sort.len);
    }
    *out = (struct key){bytes_of(bytes, len), hash_key(partition)};
    return KEY_OK;
}

enum err key_split(struct bytes key, struct bytes *partition, struct bytes *sort)
{
    if (key.len < 2) {
        return ERR_DAMAGED;
    }
    size_t len = (size_t)key.ptr[0] << 8 | key.ptr[1];
    if (len == 0 || len > ITEM_PARTITION_KEY_MAX || key.len - 2 < len ||
        key.len - 2 - len > ITEM_SORT_KEY_MAX) {
        return ERR_DAMAGED;
    }
    *partition = bytes_of(key.ptr + 2, len);
    *sort = bytes_of(key.ptr + 2 + len, key.len - 2 - len);
    return OK;
}

static void add_part(struct item_build *build, const struct key_attribute *attribute,
                     struct bytes part)
{
    uint8_t *whole = arena_alloc(build->arena, 1 + 3 + part.len);
    if (whole == NULL) {
        build->failed = true;
        return;
    }
    size_t at = 0;
    whole[at++] = (uint8_t)attribute->tag;
    if (part.len >= 0x80) {
        whole[at++] = (uint8_t)(part.len | 0x80);
        whole[at++] = (uint8_t)(part.len >> 7);
    } else {
        whole[at++] = (uint8_t)part.len;
    }
    memcpy(whole + at, part.ptr, part.len);
    const struct value value = {attribute->tag, bytes_of(whole + at, part.len),
                                bytes_of(whole, at + part.len)};
    item_build_value(build, attribute->name, value);
}

struct bytes key_to_item(const struct key_schema *schema, struct bytes key, struct arena *arena)
{
    struct item_build build;
    struct bytes partition;
    struct bytes sort;
    struct bytes item = BYTES_NONE;
    if (key_split(key, &partition, &sort) != OK) {
        return BYTES_NONE;
    }
    item_build_init(&build, arena);
    add_part(&build, &schema->partition, partition);
    if (key_schema_has_sort(schema)) {
        add_part(&build, &schema->sort, sort);
    }
    return item_build_end(&build, &item) == OK ? item : BYTES_NONE;
}
