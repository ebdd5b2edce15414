/* What happened between two looks at the store: every request, when it was sent and answered, what
 * was asked and said, and every stream record in the order it was read. Times are numbers of events
 * of this process, which sends and receives on one thread: they have one order and no clock. */
#ifndef HW_LEDGER_HISTORY_H
#define HW_LEDGER_HISTORY_H

#include "ledger/model.h"

#define OP_ACTIONS_MAX 6u
#define OP_NO_GROUP SIZE_MAX
#define SEQUENCE_TEXT_MAX 40u

enum op_kind {
    OP_WRITE,    /* one action */
    OP_TRANSACT, /* several, all or none */
    OP_REPEAT,   /* an acknowledged transaction's token once more: must succeed, must do nothing */
    OP_INVALID,  /* must be refused, must do nothing */
    OP_READ,     /* GetItem or Query: shows states of keys */
    OP_PAGE      /* GetRecords by the live reader */
};

enum outcome {
    OUTCOME_UNKNOWN, /* not answered: the connection was lost, or the server failed */
    OUTCOME_DONE,
    OUTCOME_REFUSED /* nothing may have happened; for conditions, failed says which */
};

/* What an answer showed of the action's item. */
enum shown { SHOWN_NOTHING, SHOWN_OLD, SHOWN_NEW };

struct op {
    uint64_t id; /* of writes; 0 for others */
    enum op_kind kind;
    enum outcome outcome;
    uint64_t sent;
    uint64_t answered; /* UINT64_MAX: never */
    struct action actions[OP_ACTIONS_MAX];
    size_t action_count;
    uint64_t token;   /* ClientRequestToken of a transaction; 0: none */
    unsigned invalid; /* which kind of wrong, ask.h's */
    /* OUTCOME_REFUSED */
    bool condition_failed;
    unsigned failed; /* bit per action whose condition failed */
    /* Of a write: the item its answer showed, old unless asked otherwise (also where its condition
     * failed). */
    enum shown shown;
    struct state shown_state;
    /* Of a read: states of consecutive keys, in history.states; of absent ones too. */
    unsigned first_key;
    unsigned key_count;
    size_t states_at;
    /* Of a page: how far the reader was after it, and whether it was empty. */
    size_t record_count;
    bool empty;
    /* The checker's: the commit that holds its effect. */
    size_t group;
};

struct record {
    char sequence[SEQUENCE_TEXT_MAX + 1]; /* without leading zeros */
    char event;                           /* I, M or R of eventName */
    unsigned key;
    struct state old_state;
    struct state new_state;
    uint64_t digest; /* of the whole record as shown */
};

struct records {
    struct record *all;
    size_t count;
    size_t cap;
};

struct history {
    struct op *ops;
    size_t count;
    size_t cap;
    struct state *states;
    size_t state_count;
    size_t state_cap;
    uint64_t now; /* the last event */
    /* Read by the live reader: shown to somebody, so durable. */
    struct records seen;
};

void history_init(struct history *history);
void history_fini(struct history *history);
/* For the next round; time goes on. */
void history_clear(struct history *history);
/* A new op, sent now; valid until the next one. */
struct op *history_send(struct history *history, enum op_kind kind);
/* Answered now. */
void history_answer(struct history *history, struct op *op, enum outcome outcome);
/* Room for an op's states, zeroed. */
struct state *history_show(struct history *history, struct op *op, unsigned first_key,
                           unsigned key_count);

void records_fini(struct records *records);
void records_clear(struct records *records);
/* A zeroed one at the end. */
struct record *records_add(struct records *records);
/* As big integers: <0, 0, >0. */
int sequence_compare(const char *a, const char *b);
/* Both are records of one commit: Headwater's sequence numbers end in five digits that count
 * inside of a commit. */
bool sequence_same_commit(const char *a, const char *b);

/* For messages. */
const char *op_text(const struct op *op, char out[1024]);
const char *record_text(const struct record *record, char out[512]);

#endif
