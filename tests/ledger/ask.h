/* An op as a request: its body is made from the op alone, so that a repetition is the same to the
 * byte. And what may be wrong with one on purpose. */
#ifndef HW_LEDGER_ASK_H
#define HW_LEDGER_ASK_H

#include "ledger/history.h"

/* Each is refused with its own error. */
enum invalid {
    INVALID_NO_SORT_KEY,
    INVALID_TOO_BIG,
    INVALID_SYNTAX,
    INVALID_NUMBER,
    INVALID_ITEM_TWICE,
    INVALID_SIGNATURE,
    INVALID_TABLE,
    INVALID_OTHER_TOKEN, /* an acknowledged transaction's token on another one */
    INVALID_COUNT
};

struct ask {
    const char *table;
    uint64_t run; /* in tokens, so that two runs on one table differ */
};

/* X-Amz-Target. */
const char *ask_target(const struct op *op);
void ask_body(const struct ask *ask, const struct op *op, struct buf *out);
/* What an answer to this op shows of its first action's item. */
enum shown ask_shows(const struct op *op);
bool ask_shows_on_failure(const struct op *op);
/* The error that an invalid op must get. */
const char *ask_invalid_error(unsigned invalid);

#endif
