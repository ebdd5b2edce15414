/* The overlay: what the group at hand has changed, by row, so that a proposal evaluated again on
 * the committer sees the proposals before it. An open-addressing table with twice the room that a
 * group may need; a generation number makes clearing free. Committer only
 * (table I6). */
#include "table/table_priv.h"

#define OVERLAY_SLOTS ((size_t)4 * COMMIT_COUNT_MAX)

struct overlay_slot {
    uint64_t generation;
    uint64_t hash;
    uint64_t table_id;
    struct bytes key;
    struct bytes value;
};

struct overlay {
    uint64_t generation; /* slots of another one are free */
    size_t count;
    struct overlay_slot slots[OVERLAY_SLOTS];
};

static struct overlay_slot *find_slot(const struct overlay *overlay, uint64_t hash,
                                      uint64_t table_id, struct bytes key);

struct overlay *overlay_new(void)
{
    struct overlay *overlay = mem_zalloc(1, sizeof(*overlay));
    overlay->generation = 1;
    return overlay;
}

void overlay_free(struct overlay *overlay)
{
    mem_free(overlay);
}

void overlay_clear(struct overlay *overlay)
{
    overlay->generation++;
    overlay->count = 0;
}

void overlay_set(struct overlay *overlay, uint64_t hash, uint64_t table_id, struct bytes key,
                 struct bytes value)
{
    struct overlay_slot *slot = find_slot(overlay, hash, table_id, key);
    if (slot->generation != overlay->generation) {
        ASSERT(++overlay->count <= OVERLAY_SLOTS / 2);
    }
    *slot = (struct overlay_slot){overlay->generation, hash, table_id, key, value};
}

bool overlay_get(const struct overlay *overlay, uint64_t hash, uint64_t table_id, struct bytes key,
                 struct bytes *value)
{
    const struct overlay_slot *slot = find_slot(overlay, hash, table_id, key);
    if (slot->generation != overlay->generation) {
        return false;
    }
    *value = slot->value;
    return true;
}

/* The slot that has the row, or the free one where it belongs. There always is one: at most half
 * are taken. */
static struct overlay_slot *find_slot(const struct overlay *overlay, uint64_t hash,
                                      uint64_t table_id, struct bytes key)
{
    size_t i = hash % OVERLAY_SLOTS;
    for (;; i = (i + 1) % OVERLAY_SLOTS) {
        const struct overlay_slot *slot = &overlay->slots[i];
        if (slot->generation != overlay->generation ||
            (slot->hash == hash && slot->table_id == table_id && bytes_equal(slot->key, key))) {
            return (struct overlay_slot *)(uintptr_t)slot;
        }
    }
}
