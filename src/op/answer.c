/* How much an answer holds: items are counted by the bytes of their JSON, of which the server has
 * room for a bounded number. */
#include "op/op_priv.h"

#define ANSWER_ITEMS_MAX 100u
/* {"S":""}, is an empty string in a list, of one byte. Attributes of the item itself may have names
 * that take even more, but only the short ones do, and there are not many of those. */
#define JSON_PER_BYTE_MAX 9u
#define JSON_BYTES_MORE (80u << 10)

size_t answer_item_bytes(struct bytes item)
{
    struct buf text;
    size_t most = item_size(item) * JSON_PER_BYTE_MAX + JSON_BYTES_MORE;
    if (most <= ANSWER_JSON_BYTES_MAX / ANSWER_ITEMS_MAX) {
        return most;
    }
    buf_init(&text, ANSWER_JSON_BYTES_MAX);
    item_to_json(&text, item);
    size_t size = text.len;
    buf_fini(&text);
    return size;
}
