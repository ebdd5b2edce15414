/* Primary keys: a schema of one or two attributes, and a key's stored form.
 *
 *   key bytes = u16 partition_len (big-endian), partition, sort
 *
 * partition and sort are the raw bytes of an S or B, the encoded form of an N. sort runs to the end
 * (absent when the schema has none), so byte order within a partition is DynamoDB's sort order. A
 * key's partition hash is hash_key of the partition bytes; it is stored and never changes. */
#ifndef HW_ITEM_KEY_H
#define HW_ITEM_KEY_H

#include "item/item.h"

struct key_attribute {
    struct bytes name;  /* empty: the schema has no sort key */
    enum value_tag tag; /* VALUE_S, VALUE_N or VALUE_B */
};

struct key_schema {
    struct key_attribute partition;
    struct key_attribute sort;
};

static inline bool key_schema_has_sort(const struct key_schema *schema)
{
    return schema->sort.name.len > 0;
}

struct key {
    struct bytes bytes; /* the stored form */
    uint64_t hash;      /* of the partition */
};

enum key_refusal {
    KEY_OK,
    KEY_MISSING, /* an attribute of the schema is not there */
    KEY_TYPE,    /* it has another type */
    KEY_EXTRA,   /* key_from_exact: there are more attributes than the schema's */
    KEY_EMPTY,   /* empty string or binary */
    KEY_PARTITION_SIZE,
    KEY_SORT_SIZE,
    KEY_NOMEM
};

/* Which attribute a refusal is about, and the tag found (KEY_TYPE). */
struct key_fault {
    const struct key_attribute *attribute;
    enum value_tag found;
};

/* The key of a whole item. */
enum key_refusal key_from_item(const struct key_schema *schema, struct bytes item,
                               struct arena *arena, struct key *out, struct key_fault *fault);
/* The key of a request's Key map, which must hold exactly the schema's attributes. */
enum key_refusal key_from_exact(const struct key_schema *schema, struct bytes item,
                                struct arena *arena, struct key *out, struct key_fault *fault);
/* The key as an item of its one or two attributes, in the arena (ptr NULL: memory). key must be
 * well formed. */
struct bytes key_to_item(const struct key_schema *schema, struct bytes key, struct arena *arena);
/* Parts of a stored key. ERR_DAMAGED. */
MUST_USE enum err key_split(struct bytes key, struct bytes *partition, struct bytes *sort);

#endif
