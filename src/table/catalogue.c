/* The catalogue: an immutable snapshot of all tables and streams. A change makes a new snapshot
 * that shares every table and stream it did not touch; snapshots and what they hold are reference
 * counted, since lanes, workers and followers let go of them at their own time. Looking up is a
 * binary search; changing is a copy of arrays of pointers, which is rare. */
#include "table/table_priv.h"

/* A node holds its description's bytes, and the struct's strings are views into them. */
struct table_node {
    _Atomic uint32_t references;
    struct table table;
    struct stream_node *stream; /* the open one: referenced */
    uint8_t description[];
};

struct stream_node {
    _Atomic uint32_t references;
    struct stream stream;
    uint8_t description[];
};

static enum err make_stream(struct bytes item, uint64_t first, uint64_t last,
                            struct stream_node **out);
static enum err make_table(struct bytes item, struct stream_node *stream, struct table_node **out);
static void share_trim(struct stream_node *node, const struct stream_node *before);
static void release_stream(struct stream_node *node);
static void release_table(struct table_node *node);
static struct catalogue *copy_of(const struct catalogue *before, uint64_t commit);
static void insert_table(struct catalogue *catalogue, struct table_node *node);
static void remove_table(struct catalogue *catalogue, uint64_t id);
static void insert_stream(struct catalogue *catalogue, struct stream_node *node);
static void remove_stream(struct catalogue *catalogue, uint64_t id);
static size_t name_place(const struct catalogue *catalogue, struct bytes name);
static size_t id_place(const struct catalogue *catalogue, uint64_t id);
static size_t arn_place(const struct catalogue *catalogue, struct bytes arn);
static struct stream_node *stream_by_id(const struct catalogue *catalogue, uint64_t id);
static enum err close_stream(const struct catalogue *before, struct bytes item, uint64_t commit,
                             struct stream_node **closed);
static void replace_stream(struct catalogue *catalogue, struct stream_node *node);
static bool is_new_table(const struct catalogue *catalogue, const struct table *table);
static bool is_new_stream(const struct catalogue *catalogue, const struct stream *stream);

/* ---- looking up ---- */

const struct table *catalogue_table(const struct catalogue *catalogue, struct bytes name)
{
    size_t place = name_place(catalogue, name);
    if (place == catalogue->table_count ||
        !bytes_equal(catalogue->by_name[place]->table.name, name)) {
        return NULL;
    }
    return &catalogue->by_name[place]->table;
}

const struct table *catalogue_table_by_id(const struct catalogue *catalogue, uint64_t id)
{
    size_t place = id_place(catalogue, id);
    if (place == catalogue->table_count || catalogue->by_id[place]->table.id != id) {
        return NULL;
    }
    return &catalogue->by_id[place]->table;
}

const struct table *catalogue_next_table(const struct catalogue *catalogue, struct bytes after)
{
    size_t place = name_place(catalogue, after);
    if (place < catalogue->table_count && after.len > 0 &&
        bytes_equal(catalogue->by_name[place]->table.name, after)) {
        place++;
    }
    return place == catalogue->table_count ? NULL : &catalogue->by_name[place]->table;
}

const struct stream *catalogue_stream(const struct catalogue *catalogue, struct bytes arn)
{
    size_t place = arn_place(catalogue, arn);
    if (place == catalogue->stream_count ||
        !bytes_equal(catalogue->by_arn[place]->stream.arn, arn)) {
        return NULL;
    }
    return &catalogue->by_arn[place]->stream;
}

const struct stream *catalogue_next_stream(const struct catalogue *catalogue, struct bytes after,
                                           struct bytes table)
{
    for (size_t i = arn_place(catalogue, after); i < catalogue->stream_count; i++) {
        const struct stream *stream = &catalogue->by_arn[i]->stream;
        if (!bytes_equal(stream->arn, after) &&
            (table.len == 0 || bytes_equal(stream->table_name, table))) {
            return stream;
        }
    }
    return NULL;
}

const struct table *catalogue_next_expiring(const struct catalogue *catalogue, uint64_t after_id)
{
    for (size_t i = id_place(catalogue, after_id + 1); i < catalogue->table_count; i++) {
        if (catalogue->by_id[i]->table.expiry_id != 0) {
            return &catalogue->by_id[i]->table;
        }
    }
    return NULL;
}

const struct stream *catalogue_stream_of_id(const struct catalogue *catalogue, uint64_t id)
{
    const struct stream_node *node = stream_by_id(catalogue, id);
    return node == NULL ? NULL : &node->stream;
}

const struct stream *catalogue_trimmed_stream(const struct catalogue *catalogue)
{
    for (size_t i = 0; i < catalogue->stream_count; i++) {
        const struct stream *stream = &catalogue->by_arn[i]->stream;
        if (stream->last_commit <=
            atomic_load_explicit(&stream->trim->commit, memory_order_relaxed)) {
            return stream;
        }
    }
    return NULL;
}

/* ---- lifetimes ---- */

struct catalogue *catalogue_new(uint64_t next_id)
{
    struct catalogue *catalogue = mem_zalloc(1, sizeof(*catalogue));
    atomic_init(&catalogue->references, 1);
    catalogue->next_id = next_id;
    return catalogue;
}

/* A new reference comes from one that is held, so nothing needs to be ordered by it. */
struct catalogue *catalogue_pin(const struct catalogue *catalogue)
{
    struct catalogue *pinned = (struct catalogue *)(uintptr_t)catalogue;
    atomic_fetch_add_explicit(&pinned->references, 1, memory_order_relaxed);
    return pinned;
}

/* Release: what its holder did with the object is done; acquire by the last one, who frees it. */
static bool was_last(_Atomic uint32_t *references)
{
    return atomic_fetch_sub_explicit(references, 1, memory_order_acq_rel) == 1;
}

void catalogue_unpin(const struct catalogue *pinned)
{
    struct catalogue *catalogue = (struct catalogue *)(uintptr_t)pinned;
    if (catalogue == NULL || !was_last(&catalogue->references)) {
        return;
    }
    for (size_t i = 0; i < catalogue->table_count; i++) {
        release_table(catalogue->by_name[i]);
    }
    for (size_t i = 0; i < catalogue->stream_count; i++) {
        release_stream(catalogue->by_arn[i]);
    }
    mem_free(catalogue->by_name);
    mem_free(catalogue->by_id);
    mem_free(catalogue->by_arn);
    mem_free(catalogue);
}

static void release_trim(struct stream_trim *trim)
{
    if (was_last(&trim->references)) {
        mem_free(trim);
    }
}

static void release_stream(struct stream_node *node)
{
    if (node != NULL && was_last(&node->references)) {
        release_trim(node->stream.trim);
        mem_free(node);
    }
}

static void release_table(struct table_node *node)
{
    if (was_last(&node->references)) {
        release_stream(node->stream);
        mem_free(node);
    }
}

static struct stream_node *pin_stream(struct stream_node *node)
{
    if (node != NULL) {
        atomic_fetch_add_explicit(&node->references, 1, memory_order_relaxed);
    }
    return node;
}

static struct table_node *pin_table(struct table_node *node)
{
    atomic_fetch_add_explicit(&node->references, 1, memory_order_relaxed);
    return node;
}

/* ---- changes ---- */

enum err catalogue_add_table(const struct catalogue *before, const struct log_record *record,
                             struct catalogue **after)
{
    struct table table;
    struct bytes stream_item;
    uint64_t stream_id = 0;
    struct stream_node *stream = NULL;
    struct table_node *node = NULL;
    TRY(read_described_table(record->body, &table, &stream_id, &stream_item));
    if (!is_new_table(before, &table)) {
        return ERR_DAMAGED;
    }
    if (stream_id != 0) {
        TRY(make_stream(stream_item, record->commit, UINT64_MAX, &stream));
    }
    bool sound = stream == NULL || is_new_stream(before, &stream->stream);
    enum err err = sound ? make_table(record->body, stream, &node) : ERR_DAMAGED;
    if (err != OK) {
        release_stream(stream);
        return err;
    }
    struct catalogue *catalogue = copy_of(before, record->commit);
    uint64_t newest = table.id > stream_id ? table.id : stream_id;
    catalogue->next_id = newest >= catalogue->next_id ? newest + 1 : catalogue->next_id;
    insert_table(catalogue, node);
    if (stream != NULL) {
        insert_stream(catalogue, stream);
    }
    *after = catalogue;
    return OK;
}

enum err catalogue_drop_table(const struct catalogue *before, const struct log_record *record,
                              struct catalogue **after)
{
    struct table table;
    struct bytes stream_item;
    uint64_t stream_id = 0;
    struct stream_node *closed = NULL;
    TRY(read_described_table(record->body, &table, &stream_id, &stream_item));
    if (catalogue_table_by_id(before, table.id) == NULL) {
        return ERR_DAMAGED;
    }
    if (stream_id != 0) {
        TRY(close_stream(before, stream_item, record->commit, &closed));
    }
    struct catalogue *catalogue = copy_of(before, record->commit);
    remove_table(catalogue, table.id);
    if (closed != NULL) {
        replace_stream(catalogue, closed);
    }
    *after = catalogue;
    return OK;
}

/* The record that closes the table's stream, if it is closed, stands before it in the commit. */
enum err catalogue_update_table(const struct catalogue *before, const struct log_record *record,
                                struct catalogue **after)
{
    struct table table;
    struct bytes stream_item;
    uint64_t stream_id = 0;
    struct table_node *node = NULL;
    TRY(read_described_table(record->body, &table, &stream_id, &stream_item));
    const struct table *now = catalogue_table_by_id(before, table.id);
    if (now == NULL || !bytes_equal(now->name, table.name)) {
        return ERR_DAMAGED;
    }
    struct stream_node *known = stream_id == 0 ? NULL : stream_by_id(before, stream_id);
    struct stream_node *stream = NULL; /* opened, or the next version of the open one */
    if (stream_id != 0) {
        uint64_t first = known == NULL ? record->commit : known->stream.first_commit;
        TRY(make_stream(stream_item, first, UINT64_MAX, &stream));
    }
    bool sound =
        stream == NULL || (known == NULL ? is_new_stream(before, &stream->stream)
                                         : known->stream.table_id == table.id &&
                                               known->stream.last_commit == UINT64_MAX &&
                                               bytes_equal(known->stream.arn, stream->stream.arn));
    enum err err = sound ? make_table(record->body, stream, &node) : ERR_DAMAGED;
    if (err != OK) {
        release_stream(stream);
        return err;
    }
    if (known != NULL) {
        share_trim(stream, known);
    }
    struct catalogue *catalogue = copy_of(before, record->commit);
    uint64_t newest = table.expiry_id > stream_id ? table.expiry_id : stream_id;
    catalogue->next_id = newest >= catalogue->next_id ? newest + 1 : catalogue->next_id;
    remove_table(catalogue, table.id);
    insert_table(catalogue, node);
    if (stream != NULL) {
        replace_stream(catalogue, stream);
    }
    *after = catalogue;
    return OK;
}

enum err catalogue_close_stream(const struct catalogue *before, const struct log_record *record,
                                struct catalogue **after)
{
    struct stream_node *closed = NULL;
    TRY(close_stream(before, record->body, record->commit, &closed));
    struct catalogue *catalogue = copy_of(before, record->commit);
    replace_stream(catalogue, closed);
    *after = catalogue;
    return OK;
}

enum err catalogue_drop_stream(const struct catalogue *before, const struct log_record *record,
                               struct catalogue **after)
{
    uint64_t id = 0;
    TRY(read_described_id(record->body, BYTES("stream"), &id));
    struct catalogue *catalogue = copy_of(before, record->commit);
    remove_stream(catalogue, id);
    *after = catalogue;
    return OK;
}

enum err catalogue_load_stream(struct catalogue *catalogue, struct bytes value)
{
    struct cursor cursor = cursor_of(value);
    uint64_t first = 0;
    uint64_t last = 0;
    struct bytes item;
    struct stream_node *node = NULL;
    TRY(cursor_u64(&cursor, &first));
    TRY(cursor_u64(&cursor, &last));
    TRY(cursor_bytes(&cursor, cursor_left(&cursor), &item));
    TRY(make_stream(item, first, last, &node));
    if (!is_new_stream(catalogue, &node->stream)) {
        release_stream(node);
        return ERR_DAMAGED;
    }
    insert_stream(catalogue, node);
    return OK;
}

enum err catalogue_load_table(struct catalogue *catalogue, struct bytes value)
{
    struct table table;
    struct bytes stream_item;
    uint64_t stream_id = 0;
    struct table_node *node = NULL;
    TRY(read_described_table(value, &table, &stream_id, &stream_item));
    struct stream_node *stream = stream_id == 0 ? NULL : stream_by_id(catalogue, stream_id);
    if ((stream_id != 0 && stream == NULL) || !is_new_table(catalogue, &table)) {
        return ERR_DAMAGED;
    }
    TRY(make_table(value, stream, &node));
    insert_table(catalogue, node);
    return OK;
}

/* ---- helpers ---- */

static enum err make_stream(struct bytes item, uint64_t first, uint64_t last,
                            struct stream_node **out)
{
    struct stream_node *node = mem_alloc(sizeof(*node) + item.len);
    atomic_init(&node->references, 1);
    memcpy(node->description, item.ptr, item.len);
    enum err err = read_described_stream(bytes_of(node->description, item.len), &node->stream);
    if (err != OK) {
        mem_free(node);
        return err;
    }
    node->stream.first_commit = first;
    node->stream.last_commit = last;
    node->stream.trim = mem_zalloc(1, sizeof(*node->stream.trim));
    atomic_init(&node->stream.trim->references, 1);
    *out = node;
    return OK;
}

/* A version of a stream is hidden as far as the one before. */
static void share_trim(struct stream_node *node, const struct stream_node *before)
{
    release_trim(node->stream.trim);
    node->stream.trim = before->stream.trim;
    atomic_fetch_add_explicit(&node->stream.trim->references, 1, memory_order_relaxed);
}

static enum err make_table(struct bytes item, struct stream_node *stream, struct table_node **out)
{
    uint64_t stream_id = 0;
    struct bytes stream_item;
    struct table_node *node = mem_alloc(sizeof(*node) + item.len);
    atomic_init(&node->references, 1);
    memcpy(node->description, item.ptr, item.len);
    enum err err = read_described_table(bytes_of(node->description, item.len), &node->table,
                                        &stream_id, &stream_item);
    if (err != OK) {
        mem_free(node);
        return err;
    }
    node->stream = pin_stream(stream);
    node->table.stream = stream == NULL ? NULL : &stream->stream;
    *out = node;
    return OK;
}

/* Room for one more of each. */
static struct catalogue *copy_of(const struct catalogue *before, uint64_t commit)
{
    struct catalogue *catalogue = catalogue_new(before->next_id);
    catalogue->commit = commit;
    catalogue->table_count = before->table_count;
    catalogue->stream_count = before->stream_count;
    catalogue->by_name = mem_zalloc(before->table_count + 1, sizeof(struct table_node *));
    catalogue->by_id = mem_zalloc(before->table_count + 1, sizeof(struct table_node *));
    catalogue->by_arn = mem_zalloc(before->stream_count + 1, sizeof(struct stream_node *));
    for (size_t i = 0; i < before->table_count; i++) {
        catalogue->by_name[i] = pin_table(before->by_name[i]);
        catalogue->by_id[i] = before->by_id[i];
    }
    for (size_t i = 0; i < before->stream_count; i++) {
        catalogue->by_arn[i] = pin_stream(before->by_arn[i]);
    }
    return catalogue;
}

static void *insert_at(void *array, size_t count, size_t place, void *entry)
{
    void **entries = mem_realloc(array, (count + 1) * sizeof(void *));
    memmove(entries + place + 1, entries + place, (count - place) * sizeof(void *));
    entries[place] = entry;
    return entries;
}

static void remove_at(void *array, size_t count, size_t place)
{
    void **entries = array;
    memmove(entries + place, entries + place + 1, (count - place - 1) * sizeof(void *));
}

/* Takes over the caller's reference. */
static void insert_table(struct catalogue *catalogue, struct table_node *node)
{
    size_t count = catalogue->table_count;
    size_t name = name_place(catalogue, node->table.name);
    size_t id = id_place(catalogue, node->table.id);
    catalogue->by_name = insert_at(catalogue->by_name, count, name, node);
    catalogue->by_id = insert_at(catalogue->by_id, count, id, node);
    catalogue->table_count++;
}

static void remove_table(struct catalogue *catalogue, uint64_t id)
{
    size_t place = id_place(catalogue, id);
    struct table_node *node = catalogue->by_id[place];
    remove_at(catalogue->by_name, catalogue->table_count, name_place(catalogue, node->table.name));
    remove_at(catalogue->by_id, catalogue->table_count, place);
    catalogue->table_count--;
    release_table(node);
}

static void insert_stream(struct catalogue *catalogue, struct stream_node *node)
{
    size_t place = arn_place(catalogue, node->stream.arn);
    catalogue->by_arn = insert_at(catalogue->by_arn, catalogue->stream_count, place, node);
    catalogue->stream_count++;
}

static void remove_stream(struct catalogue *catalogue, uint64_t id)
{
    struct stream_node *node = stream_by_id(catalogue, id);
    if (node != NULL) {
        remove_at(catalogue->by_arn, catalogue->stream_count,
                  arn_place(catalogue, node->stream.arn));
        catalogue->stream_count--;
        release_stream(node);
    }
}

/* What an open stream is once this commit has closed it. */
static enum err close_stream(const struct catalogue *before, struct bytes item, uint64_t commit,
                             struct stream_node **closed)
{
    struct stream stream;
    TRY(read_described_stream(item, &stream));
    const struct stream_node *open = stream_by_id(before, stream.id);
    if (open == NULL || open->stream.last_commit != UINT64_MAX ||
        !bytes_equal(open->stream.arn, stream.arn)) {
        return ERR_DAMAGED;
    }
    TRY(make_stream(item, stream.first_commit, commit, closed));
    share_trim(*closed, open);
    return OK;
}

/* Takes over the caller's reference. */
static void replace_stream(struct catalogue *catalogue, struct stream_node *node)
{
    remove_stream(catalogue, node->stream.id);
    insert_stream(catalogue, node);
}

static struct stream_node *stream_by_id(const struct catalogue *catalogue, uint64_t id)
{
    for (size_t i = 0; i < catalogue->stream_count; i++) {
        if (catalogue->by_arn[i]->stream.id == id) {
            return catalogue->by_arn[i];
        }
    }
    return NULL;
}

/* A second table of a name or an id would make the orders ambiguous; one without a name would be
 * listed for ever. */
static bool is_new_table(const struct catalogue *catalogue, const struct table *table)
{
    return table->name.len > 0 && catalogue_table(catalogue, table->name) == NULL &&
           catalogue_table_by_id(catalogue, table->id) == NULL;
}

static bool is_new_stream(const struct catalogue *catalogue, const struct stream *stream)
{
    return stream->arn.len > 0 && catalogue_stream(catalogue, stream->arn) == NULL &&
           stream_by_id(catalogue, stream->id) == NULL;
}

/* The first place whose name is not below name; likewise for ids and ARNs. */
static size_t name_place(const struct catalogue *catalogue, struct bytes name)
{
    size_t low = 0;
    size_t high = catalogue->table_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (bytes_compare(catalogue->by_name[middle]->table.name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static size_t id_place(const struct catalogue *catalogue, uint64_t id)
{
    size_t low = 0;
    size_t high = catalogue->table_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (catalogue->by_id[middle]->table.id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static size_t arn_place(const struct catalogue *catalogue, struct bytes arn)
{
    size_t low = 0;
    size_t high = catalogue->stream_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (bytes_compare(catalogue->by_arn[middle]->stream.arn, arn) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}
