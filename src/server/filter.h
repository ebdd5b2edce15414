/* Which records of a stream `headwater tail` prints. One thread. */
#ifndef HW_SERVER_FILTER_H
#define HW_SERVER_FILTER_H

#include "base/arena.h"
#include "base/json.h"
#include "expr/expr.h"

/* As the command line has them; empty: not given. */
struct filter_texts {
    const char *events;    /* INSERT, MODIFY and REMOVE, by commas */
    const char *condition; /* a filter expression over the item */
    const char *names;     /* JSON, as the AWS CLI has them */
    const char *values;
};

/* All zero: takes every record, and may be ended. */
struct filter {
    unsigned events; /* a bit each; 0: all */
    struct expr_cache *cache;
    const struct expr *condition; /* NULL: none */
    struct expr_binding binding;
    struct json_parser *parser;
    struct arena held;   /* what the binding stands in */
    struct arena record; /* of one evaluation */
    bool failed;         /* an evaluation had no answer, and it was said why */
};

/* False: what is wrong was said on standard error. */
bool filter_open(struct filter *filter, const struct filter_texts *texts);
void filter_fini(struct filter *filter);
/* The item is the record's new image, else its old one, else its keys. */
bool filter_takes(struct filter *filter, struct json record);

#endif
