/* What the clients ask for, by their seeds and by what they have seen: hot keys, so that writes
 * meet; transactions of several keys and a counter; conditions that hold and that fail; tokens that
 * are used again; and requests that are wrong. */
#ifndef HW_LEDGER_WORKLOAD_H
#define HW_LEDGER_WORKLOAD_H

#include "ledger/check.h"
#include "lib/prng.h"

#define WORKLOAD_CLIENTS_MAX 64u
#define WORKLOAD_AGAIN_MAX 128u

struct acknowledged {
    struct op op; /* a transaction with a token */
    uint64_t at_ms;
};

struct workload {
    struct checker *checker;
    struct history *history;
    struct prng prngs[WORKLOAD_CLIENTS_MAX];
    struct state known[MODEL_KEYS]; /* about what the items are */
    struct acknowledged last[WORKLOAD_CLIENTS_MAX];
    /* Tokens of before the server died, used again first of all. */
    struct acknowledged again[WORKLOAD_AGAIN_MAX];
    size_t again_count;
};

void workload_init(struct workload *workload, struct checker *checker, struct history *history,
                   uint64_t seed);
/* The next op of this client, at the end of the history; its place there. */
size_t workload_next(struct workload *workload, unsigned client, uint64_t now_ms);
/* An answer came. */
void workload_learn(struct workload *workload, unsigned client, const struct op *op,
                    uint64_t now_ms);
/* After check_round, before the history is cleared: takes up the tokens to use again. */
void workload_turn(struct workload *workload, uint64_t now_ms);

#endif
