/* The checker: does what clients saw agree with the stream, and is the stream a history that these
 * requests allow? The stream is one order of all commits, so nothing has to be searched: the order
 * is taken as the witness and every promise is held against it.
 *
 *  C1 Sequence numbers strictly rise; nothing that was read once is missing, changed or moved.
 *  C2 Each record's old image is what the records before it made, its new image what its write
 * makes of that, to the byte; no record changes nothing. C3 Each record belongs to one write, each
 * write to one commit at most, once and for ever: none to a refused one, none twice, none that had
 * come to nothing in an earlier round. C4 A transaction's records are all there, together, and its
 * conditions held where it stands. C5 What was acknowledged has its record, or changed nothing at
 * some point of its interval. C6 A failed condition failed at some point of its interval, with the
 * item that its answer showed. C7 The order agrees with time: whatever was answered before
 * something else was sent, comes before it (writes, reads and pages of the stream alike). So a read
 * shows an item as it was at some point of its interval, never older than what any client knew when
 * it was sent, and never something that the stream does not have. C8 An empty page of the stream
 * hid nothing that had been acknowledged before it was asked for.
 *
 * A request without an answer may stand anywhere after it was sent, or nowhere; once the server is
 * dead and the stream was read to its end, that is decided. */
#ifndef HW_LEDGER_CHECK_H
#define HW_LEDGER_CHECK_H

#include "ledger/history.h"

enum life {
    LIFE_NONE,    /* id not given out */
    LIFE_LIVE,    /* of this round */
    LIFE_APPLIED, /* has its commit */
    LIFE_NEVER    /* must never have one */
};

struct fate {
    enum life life;
    uint32_t op; /* in this round's history, while live */
};

struct checker {
    struct state states[MODEL_KEYS];      /* by all records so far */
    char sequence[SEQUENCE_TEXT_MAX + 1]; /* of the last of them */
    uint64_t record_count;
    uint64_t digest;    /* over all their digests, in order */
    struct fate *fates; /* by id */
    size_t fate_cap;
    uint64_t last_id;
    uint64_t violations;
    void (*violated)(void *arg, const char *text);
    void *arg;
};

void checker_init(struct checker *checker, void (*violated)(void *arg, const char *text),
                  void *arg);
void checker_fini(struct checker *checker);
/* A new id, for the op at this place of the history. */
uint64_t checker_new_id(struct checker *checker, size_t op);
/* An id whose write came to nothing is tried again, now as this op. */
void checker_revive(struct checker *checker, uint64_t id, size_t op);
/* The round's history against all records since the last check; the checker then knows the new
 * states, and every id of the round is decided. */
void check_round(struct checker *checker, struct history *history, const struct records *records);
/* Records that were read twice: those of again, from its first, must be those of before from `from`
 * on; again must hold all of them, and may hold more. */
void check_same(struct checker *checker, const struct records *before, size_t from,
                const struct records *again, const char *how);
/* The table's item, after check_round. */
void check_item(struct checker *checker, unsigned key, const struct state *found, const char *how);
/* Counts it and tells it. */
void checker_violation(struct checker *checker, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* One more digest in a row of them. */
uint64_t check_digest(uint64_t digest, const struct record *record);

#endif
