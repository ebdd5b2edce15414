/* Answers into what the checker knows of them. */
#ifndef HW_LEDGER_HEAR_H
#define HW_LEDGER_HEAR_H

#include "ledger/history.h"
#include "lib/response.h"

struct hear {
    struct json_parser *parser;
    struct buf scratch;
    struct buf why; /* of a false return: what is wrong with the answer */
};

struct page {
    size_t count;
    struct bytes next; /* the iterator, borrowed until the next answer is heard; empty: none */
};

void hear_init(struct hear *hear);
void hear_fini(struct hear *hear);
/* Fills in the op's outcome and what the answer showed. False: no right server says that. */
bool hear_answer(struct hear *hear, struct history *history, struct op *op,
                 const struct response *response);
/* Appends a page's records. False: as above. */
bool hear_page(struct hear *hear, const struct response *response, struct records *records,
               struct page *page);
/* The text at a path of member names through objects, where "0" is an array's first element; empty:
 * none. Borrowed as next is. */
struct bytes hear_text(struct hear *hear, const struct response *response, const char *const *path,
                       size_t len);

#endif
