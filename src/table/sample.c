/* Is the view what the log makes of it? Of some rows: as many as fit into a bound. Records of the
 * log come in order and are turned into rows once more, by the function that made them (table I2);
 * of each row whose hash is in the sample's part of all hashes the newest word is kept. When the
 * bound is passed the part is halved, and what is no longer in it is forgotten. So one reading of
 * the log does, and what is kept of a row is all that the log says of it. Which part it is differs
 * from sample to sample. */
#include "table/table_priv.h"

#include "sys/random.h"

#define ROWS_MAX 16384u
#define KEY_BYTES_MAX (2u << 20)
#define VALUE_BYTES_MAX (32u << 20)  /* that are read to be compared */
#define SLOTS ((size_t)2 * ROWS_MAX) /* a power of two */

struct sampled {
    uint64_t hash; /* of the row */
    uint64_t value_hash;
    uint64_t value_len;
    uint32_t at;  /* of the row's key in keys */
    uint32_t len; /* 0: this slot is free */
    bool is_there;
    /* who said so */
    uint32_t index;
    uint64_t commit;
};

struct sample {
    struct view *batch;
    struct sampled *slots;
    size_t count;
    uint64_t value_bytes;
    struct buf keys;
    uint64_t mask; /* rows whose hash has these bits as in part are kept */
    uint64_t part;
    const struct log_record *record; /* in turn */
};

struct sample *sample_new(void)
{
    struct sample *sample = mem_zalloc(1, sizeof(*sample));
    sample->batch = view_open_batch();
    sample->slots = mem_zalloc(SLOTS, sizeof(*sample->slots));
    sample->part = random_u64();
    buf_init(&sample->keys, KEY_BYTES_MAX + ROW_KEY_MAX);
    return sample;
}

void sample_free(struct sample *sample)
{
    view_close(sample->batch);
    mem_free(sample->slots);
    buf_fini(&sample->keys);
    mem_free(sample);
}

/* ---- the newest word about each row ---- */

static struct bytes row_of(const struct sample *sample, const struct sampled *row)
{
    ASSERT(sample->keys.ptr != NULL);
    return bytes_of(sample->keys.ptr + row->at, row->len);
}

/* The high bits choose the part, the low ones the slot. */
static bool is_in_part(const struct sample *sample, uint64_t hash)
{
    return ((hash >> 32 ^ sample->part) & sample->mask) == 0;
}

static struct sampled *find(const struct sample *sample, uint64_t hash, struct bytes row)
{
    size_t at = (size_t)hash & (SLOTS - 1);
    while (sample->slots[at].len != 0 && (sample->slots[at].hash != hash ||
                                          !bytes_equal(row_of(sample, &sample->slots[at]), row))) {
        at = (at + 1) & (SLOTS - 1);
    }
    return &sample->slots[at];
}

static void halve(struct sample *sample)
{
    struct sampled *before = sample->slots;
    struct buf keys = sample->keys;
    sample->mask = sample->mask << 1 | 1;
    sample->slots = mem_zalloc(SLOTS, sizeof(*sample->slots));
    sample->count = 0;
    sample->value_bytes = 0;
    buf_init(&sample->keys, KEY_BYTES_MAX + ROW_KEY_MAX);
    for (size_t i = 0; i < SLOTS; i++) {
        struct bytes row = bytes_of(keys.ptr + before[i].at, before[i].len);
        if (row.len > 0 && is_in_part(sample, before[i].hash)) {
            struct sampled *kept = find(sample, before[i].hash, row);
            *kept = before[i];
            kept->at = (uint32_t)sample->keys.len;
            buf_add(&sample->keys, row);
            sample->count++;
            sample->value_bytes += kept->value_len;
        }
    }
    mem_free(before);
    buf_fini(&keys);
}

static void note(struct sample *sample, enum view_change change, struct bytes row,
                 struct bytes value)
{
    uint64_t hash = hash_key(row);
    while (is_in_part(sample, hash) &&
           (sample->count == ROWS_MAX || sample->keys.len > KEY_BYTES_MAX ||
            (sample->value_bytes > VALUE_BYTES_MAX && sample->count > 1))) {
        halve(sample);
    }
    if (!is_in_part(sample, hash)) {
        return;
    }
    struct sampled *slot = find(sample, hash, row);
    if (slot->len == 0) {
        *slot = (struct sampled){
            .hash = hash, .at = (uint32_t)sample->keys.len, .len = (uint32_t)row.len};
        buf_add(&sample->keys, row);
        sample->count++;
    }
    slot->is_there = change == VIEW_PUT;
    slot->value_hash = change == VIEW_PUT ? hash_key(value) : 0;
    sample->value_bytes += value.len - slot->value_len;
    slot->value_len = value.len;
    slot->commit = sample->record->commit;
    slot->index = sample->record->index;
}

static void note_range(struct sample *sample, struct bytes low, struct bytes high)
{
    for (size_t i = 0; i < SLOTS; i++) {
        struct sampled *slot = &sample->slots[i];
        struct bytes row = slot->len == 0 ? BYTES_NONE : row_of(sample, slot);
        if (slot->len > 0 && bytes_compare(low, row) <= 0 && bytes_compare(row, high) < 0) {
            slot->is_there = false;
            sample->value_bytes -= slot->value_len;
            slot->value_len = 0;
            slot->commit = sample->record->commit;
            slot->index = sample->record->index;
        }
    }
}

static enum err take_change(void *arg, enum view_change change, struct bytes row,
                            struct bytes value)
{
    struct sample *sample = arg;
    if (change == VIEW_DELETE_RANGE) {
        note_range(sample, row, value);
    } else {
        note(sample, change, row, value);
    }
    return OK;
}

enum err sample_add(struct sample *sample, const struct log_record *record)
{
    sample->record = record;
    TRY(record_apply(sample->batch, record));
    return view_batch_take(sample->batch, take_change, sample);
}

/* ---- and the view ---- */

static enum err differs(const struct sample *sample, const struct sampled *slot, const char *what,
                        char *reason, size_t room)
{
    struct bytes row = row_of(sample, slot);
    uint64_t table = read_u64_big(row.ptr);
    snprintf(reason, room, "%s %llu, row hash %016llx: %s by record %u of commit %llu of the log",
             table >= TABLE_ID_FIRST ? "table" : "rows of the store's own, table",
             (unsigned long long)table, (unsigned long long)slot->hash, what, slot->index,
             (unsigned long long)slot->commit);
    return ERR_DAMAGED;
}

static enum err compare(const struct sample *sample, const struct sampled *slot,
                        const struct view_snapshot *snapshot, struct arena *arena, char *reason,
                        size_t room)
{
    struct bytes value = BYTES_NONE;
    enum err err = view_snapshot_get(snapshot, row_of(sample, slot), VIEW_BLOCKING, arena, &value);
    if (err == ERR_NOT_FOUND) {
        return slot->is_there
                   ? differs(sample, slot, "it is missing, and was written", reason, room)
                   : OK;
    }
    if (err == ERR_DAMAGED || err == ERR_IO) {
        return differs(sample, slot, "it cannot be read, and was written", reason, room);
    }
    TRY(err);
    if (!slot->is_there) {
        return differs(sample, slot, "it is there, and was deleted", reason, room);
    }
    bool same = value.len == slot->value_len && hash_key(value) == slot->value_hash;
    return same ? OK : differs(sample, slot, "it is not what was written", reason, room);
}

enum err sample_compare(const struct sample *sample, uint64_t after,
                        const struct view_snapshot *snapshot,
                        enum err (*pace)(void *arg, uint64_t bytes), void *arg, char *reason,
                        size_t room)
{
    struct arena arena;
    enum err err = OK;
    arena_init(&arena, 0);
    for (size_t i = 0; err == OK && i < SLOTS; i++) {
        if (sample->slots[i].len > 0 && sample->slots[i].commit > after) {
            arena_reset(&arena);
            err = pace(arg, sample->slots[i].value_len);
            err = err != OK ? err
                            : compare(sample, &sample->slots[i], snapshot, &arena, reason, room);
        }
    }
    arena_fini(&arena);
    return err;
}
