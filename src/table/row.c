/* Keys of the view's rows: integers big-endian, so that byte order is the order of ids. The shapes
 * are drawn in table_priv.h. */
#include "table/table_priv.h"

void row_u64(struct row_key *row, uint64_t value)
{
    uint8_t bytes[8];
    for (int i = 7; i >= 0; i--) {
        bytes[i] = (uint8_t)value;
        value >>= 8;
    }
    row_add(row, bytes_of(bytes, sizeof(bytes)));
}

void row_add(struct row_key *row, struct bytes data)
{
    ASSERT(data.len <= sizeof(row->ptr) - row->len);
    if (data.len > 0) {
        memcpy(row->ptr + row->len, data.ptr, data.len);
        row->len += data.len;
    }
}

void row_of_item(struct row_key *row, uint64_t table_id, uint64_t hash, struct bytes key)
{
    row->len = 0;
    row_u64(row, table_id);
    row_u64(row, hash);
    row_add(row, key);
}

void row_of_store(struct row_key *row, char letter)
{
    row->len = 0;
    row_u64(row, 0);
    row_add(row, bytes_of(&letter, 1));
}

void row_of_store_u64(struct row_key *row, char letter, uint64_t id)
{
    row_of_store(row, letter);
    row_u64(row, id);
}

void row_of_expiry(struct row_key *row, uint64_t expiry_id, uint64_t second, uint64_t hash,
                   struct bytes key)
{
    row_of_store_u64(row, 'x', expiry_id);
    row_u64(row, second);
    row_u64(row, hash);
    row_add(row, key);
}

void row_of_token(struct row_key *row, uint64_t time_ms, struct bytes token)
{
    row_of_store_u64(row, 'k', time_ms / TOKEN_KEPT_MS);
    row_add(row, token);
}

bool row_successor(struct row_key *row)
{
    while (row->len > 0 && row->ptr[row->len - 1] == 0xff) {
        row->len--;
    }
    if (row->len == 0) {
        return false;
    }
    row->ptr[row->len - 1]++;
    return true;
}

uint64_t row_hash(uint64_t table_id, struct bytes key)
{
    return hash_key(key) ^ table_id * 0x9e3779b97f4a7c15u;
}
