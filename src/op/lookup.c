/* Tables, keys and items by what a request says of them, with DynamoDB's words where they are not
 * there or do not fit. */
#include "op/op_priv.h"

enum err lookup_table(struct op_call *call, struct reader *reader, struct bytes name,
                      const struct table **table)
{
    *table = reader_table(reader, name);
    if (*table == NULL) {
        call->fault = (struct fault){.code = FAULT_NOT_FOUND};
        return ERR_FAULT;
    }
    return OK;
}

enum err lookup_index(struct op_call *call, struct bytes name)
{
    return name.ptr == NULL
               ? OK
               : fault(call, FAULT_VALIDATION, "The table does not have the specified index: %.*s",
                       BYTES_FMT(name));
}

enum err lookup_item_key(struct op_call *call, const struct table *table, struct bytes item,
                         struct key *key)
{
    struct key_fault refused;
    enum key_refusal refusal = key_from_item(&table->schema, item, call->arena, key, &refused);
    return refusal == KEY_OK ? OK : fault_key(call, refusal, &refused, false);
}

enum err lookup_key(struct op_call *call, const struct table *table, struct bytes item,
                    struct key *key)
{
    struct key_fault refused;
    enum key_refusal refusal = key_from_exact(&table->schema, item, call->arena, key, &refused);
    return refusal == KEY_OK ? OK : fault_key(call, refusal, &refused, true);
}

enum err fault_key(struct op_call *call, enum key_refusal refusal, const struct key_fault *refused,
                   bool exact)
{
    const struct key_attribute *attribute = refused->attribute;
    switch (refusal) {
    case KEY_MISSING:
        if (exact) {
            break;
        }
        return fault(call, FAULT_VALIDATION, INVALID_VALUES "Missing the key %.*s in the item",
                     BYTES_FMT(attribute->name));
    case KEY_TYPE:
        if (exact) {
            break;
        }
        return fault(call, FAULT_VALIDATION,
                     INVALID_VALUES "Type mismatch for key %.*s expected: %s actual: %s",
                     BYTES_FMT(attribute->name), value_type_name(attribute->tag),
                     value_type_name(refused->found));
    case KEY_EXTRA:
        break;
    case KEY_EMPTY:
        return fault(call, FAULT_VALIDATION,
                     "One or more parameter values are not valid. The AttributeValue for a key "
                     "attribute cannot contain an empty %s value. Key: %.*s",
                     attribute->tag == VALUE_B ? "binary" : "string", BYTES_FMT(attribute->name));
    case KEY_PARTITION_SIZE:
        return fault(call, FAULT_VALIDATION, "%s", ITEM_PARTITION_KEY_TOO_LARGE);
    case KEY_SORT_SIZE:
        return fault(call, FAULT_VALIDATION,
                     INVALID_VALUES "Aggregated size of all range keys has exceeded the size limit "
                                    "of 1024 bytes");
    case KEY_OK:
    case KEY_NOMEM:
        return ERR_NOMEM;
    }
    return fault(call, FAULT_VALIDATION, "The provided key element does not match the schema");
}

enum err lookup_item(struct reader *reader, const struct table *table, const struct key *key,
                     struct bytes *item)
{
    *item = BYTES_NONE;
    enum err err = reader_get(reader, table, key, item);
    return err == ERR_NOT_FOUND ? OK : err;
}

bool is_reserved_name(struct bytes name)
{
    return bytes_start_with(name, BYTES(RESERVED_PREFIX));
}
