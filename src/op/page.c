/* Pages of Query and Scan: Select, Limit and the 1 MB, filter and projection, LastEvaluatedKey. */
#include "op/page.h"

#define PAGE_BYTES_MAX (1u << 20)

static enum err page_take(struct page *page, struct bytes item);
static enum err page_keep(struct page *page, struct bytes item);

static const char *const select_names[] = {
    [SELECT_ALL_ATTRIBUTES] = "ALL_ATTRIBUTES",
    [SELECT_ALL_PROJECTED] = "ALL_PROJECTED_ATTRIBUTES",
    [SELECT_SPECIFIC] = "SPECIFIC_ATTRIBUTES",
    [SELECT_COUNT] = "COUNT",
};
const struct enum_set set_select = ENUM_SET(
    select_names, "[SPECIFIC_ATTRIBUTES, COUNT, ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES]");

#define PAGE_OUT_FIELDS(of_items)                                                                  \
    {NAME("Items"), .type = FIELD_ITEMS, .flags = (of_items), AT(query_out, items),                \
     COUNTED(query_out, count)},                                                                   \
        {NAME("Count"), .type = FIELD_SIZE, .flags = FIELD_KEEP_ZERO, AT(query_out, count)},       \
        {NAME("ScannedCount"), .type = FIELD_SIZE, .flags = FIELD_KEEP_ZERO,                       \
         AT(query_out, scanned_count)},                                                            \
        {NAME("LastEvaluatedKey"), .type = FIELD_ITEM, AT(query_out, last_key)},                   \
        MEMBER_OUT_CAPACITY(query_out),                                                            \
    {                                                                                              \
        .type = FIELD_END                                                                          \
    }

const struct field query_out_fields[] = {PAGE_OUT_FIELDS(0)};
const struct field scan_out_fields[] = {PAGE_OUT_FIELDS(FIELD_HASHED)};

enum err page_check_select(struct op_call *call, enum query_select select, bool projects)
{
    static const char *const words[] = {
        [SELECT_ALL_ATTRIBUTES] = "ALL_ATTRIBUTES",
        [SELECT_ALL_PROJECTED] = "ALL_PROJECTED_ATTRIBUTES",
        [SELECT_COUNT] = "only the Count",
    };
    if (select == SELECT_SPECIFIC && !projects) {
        return fault(call, FAULT_VALIDATION,
                     ENVELOPE_ONE "Must specify the AttributesToGet or ProjectionExpression when "
                                  "choosing to get SPECIFIC_ATTRIBUTES");
    }
    if (select != SELECT_DEFAULT && select != SELECT_SPECIFIC && projects) {
        return fault(call, FAULT_VALIDATION,
                     ENVELOPE_ONE "Cannot specify the ProjectionExpression when choosing to get %s",
                     words[select]);
    }
    return OK;
}

enum err page_check_index(struct op_call *call, enum query_select select, struct bytes index_name)
{
    if (select == SELECT_ALL_PROJECTED && index_name.ptr == NULL) {
        return fault(call, FAULT_VALIDATION,
                     ENVELOPE_ONE "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using "
                                  "an IndexName");
    }
    return OK;
}

enum err page_open(struct page *page)
{
    struct query_out *out = page->call->out;
    if (page->select == SELECT_COUNT) {
        return OK;
    }
    page->cap = 16;
    out->items = arena_alloc(page->call->arena, page->cap * sizeof(*out->items));
    return out->items == NULL ? ERR_NOMEM : OK;
}

/* A loop may not be held up by a filter either: each row costs what is looked at for it. */
bool page_visit(void *arg, struct bytes key, struct bytes item)
{
    struct page *page = arg;
    struct query_out *out = page->call->out;
    page->work += item.len + page->filter_bytes;
    if (!page->reader->blocking && page->work > CACHED_BYTES_MAX) {
        page->err = ERR_INCOMPLETE;
        return false;
    }
    page->err = page_take(page, item);
    if (page->err != OK) {
        return false;
    }
    page->bytes += item_size(item);
    out->scanned_count++;
    bool full = (page->has_limit && out->scanned_count >= (size_t)page->limit) ||
                page->bytes > PAGE_BYTES_MAX;
    if (full) {
        out->last_key = key_to_item(&page->table->schema, key, page->call->arena);
        page->err = out->last_key.ptr == NULL ? ERR_NOMEM : OK;
    }
    return !full;
}

enum err page_close(struct page *page, enum err err, enum return_capacity asked, bool consistent)
{
    struct query_out *out = page->call->out;
    TRY(page->err);
    TRY(err);
    if (asked == CAPACITY_NONE) {
        return OK;
    }
    return capacity_set(page->call, &out->capacity, asked, page->table,
                        capacity_read(page->bytes, consistent));
}

enum err page_start_key(struct op_call *call, const struct table *table, struct bytes item,
                        struct key *key)
{
    struct key_fault refused;
    enum key_refusal refusal = key_from_exact(&table->schema, item, call->arena, key, &refused);
    if (refusal == KEY_MISSING || refusal == KEY_TYPE || refusal == KEY_EXTRA) {
        return fault(call, FAULT_VALIDATION, "%s", TEXT_START_KEY);
    }
    return refusal == KEY_OK ? OK : fault_key(call, refusal, &refused, true);
}

/* Filters, counts and keeps one item; the bytes at hand are the scan's. */
static enum err page_take(struct page *page, struct bytes item)
{
    struct op_call *call = page->call;
    struct query_out *out = call->out;
    const struct expressions *expressions = page->expressions;
    struct expr_fault refused;
    bool matches = true;
    if (expressions->filter != NULL) {
        enum err err = expr_test(expressions->filter, &expressions->binding, item, call->arena,
                                 &matches, &refused);
        if (err != OK) {
            return err == ERR_FAULT ? fault_expr(call, &refused) : err;
        }
    }
    if (!matches) {
        return OK;
    }
    if (out->items != NULL) {
        TRY(page_keep(page, item));
    }
    out->count++;
    return OK;
}

static enum err page_keep(struct page *page, struct bytes item)
{
    struct op_call *call = page->call;
    struct query_out *out = call->out;
    if (out->count == page->cap) {
        struct bytes *more = arena_alloc(call->arena, 2 * page->cap * sizeof(*more));
        if (more == NULL) {
            return ERR_NOMEM;
        }
        memcpy(more, out->items, page->cap * sizeof(*more));
        out->items = more;
        page->cap *= 2;
    }
    struct bytes *kept = &out->items[out->count];
    if (page->expressions->projection != NULL) {
        return expressions_project(call, page->reader, page->expressions, item, kept);
    }
    *kept = arena_dup(call->arena, item);
    return kept->ptr == NULL ? ERR_NOMEM : OK;
}
