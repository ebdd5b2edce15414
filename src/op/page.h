/* One page of Query or Scan: what was read is counted, filtered, projected and kept until Limit or
 * 1 MB is reached. Both count what was read, before the filter. Private to op. */
#ifndef HW_OP_PAGE_H
#define HW_OP_PAGE_H

#include "op/op_priv.h"

/* Set from call to limit, the rest zero. */
struct page {
    struct op_call *call; /* its output is a query_out */
    struct reader *reader;
    const struct expressions *expressions;
    const struct table *table;
    enum query_select select;
    bool has_limit;
    int32_t limit;
    size_t filter_bytes; /* of the filter's text, which each item costs */
    size_t cap;          /* of out->items */
    size_t bytes;        /* of items read so far */
    size_t work;         /* done on this thread so far, in bytes looked at */
    enum err err;
};

extern const struct enum_set set_select;
extern const struct field query_out_fields[], scan_out_fields[];

/* Select against ProjectionExpression, and then what only indexes have. */
MUST_USE enum err page_check_select(struct op_call *call, enum query_select select, bool projects);
MUST_USE enum err page_check_index(struct op_call *call, enum query_select select,
                                   struct bytes index_name);
/* Before the first visit. */
MUST_USE enum err page_open(struct page *page);
/* A reader_visit; arg: the page. */
bool page_visit(void *arg, struct bytes key, struct bytes item);
/* After the last one, with what the reader said: the page's own errors, and what it cost. */
MUST_USE enum err page_close(struct page *page, enum err err, enum return_capacity asked,
                             bool consistent);
/* The key of an ExclusiveStartKey. */
MUST_USE enum err page_start_key(struct op_call *call, const struct table *table, struct bytes item,
                                 struct key *key);

#endif
