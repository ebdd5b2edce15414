/* What the parts of a run share. */
#ifndef HW_LEDGER_LEDGER_H
#define HW_LEDGER_LEDGER_H

#include "ledger/ask.h"
#include "ledger/check.h"
#include "ledger/hear.h"
#include "ledger/server.h"
#include "ledger/wire.h"
#include "ledger/workload.h"
#include "lib/options.h"

#define ITERATOR_MAX 2048u

enum kill_by {
    KILL_BY_KILL,  /* SIGKILL at a random moment */
    KILL_BY_TERM,  /* SIGTERM: what was answered is there, and the end is clean */
    KILL_BY_CUT,   /* a preloaded library ends the process when it likes */
    KILL_BY_FAULT, /* a call of it fails, and it ends itself or is killed; never another signal */
    KILL_BY_NONE   /* nothing dies; rounds end when all is answered */
};

struct plan {
    const char *server;
    const char *endpoint;
    const char *credentials;
    const char *region;
    const char *data;
    const char *kill_by_text;
    const char *preload;
    const char *after_death;
    const char *until;
    struct option_list variables;
    struct option_list varied;
    uint64_t rounds;
    uint64_t clients;
    uint64_t least_ms;
    uint64_t most_ms;
    uint64_t recovery_percent;
    uint64_t check_percent;
    uint64_t seed;
    bool keep;
    bool litter;
    enum kill_by kill_by;
};

/* Of the whole run. */
struct totals {
    uint64_t rounds, passed, failed;
    uint64_t deaths, deaths_in_recovery;
    uint64_t rounds_with_unknown;
    uint64_t requests, acknowledged, refused, unknown, reads;
    uint64_t rereads;
    uint64_t replayed_most, ready_ms_most;
    uint64_t round_ms_most, round_ms_sum;
};

struct stream_name {
    char arn[512];
    char shard[128];
};

struct ledger {
    struct plan plan;
    struct totals totals;
    struct server_plan server_plan;
    struct server server;
    struct checker checker;
    struct history history;
    struct workload workload;
    struct hear hear;
    struct ask ask;
    struct wire wire;
    struct prng prng; /* moments */
    struct link link; /* of the checking calls */
    struct buf body;
    char table[64];
    char litter_table[64];
    uint64_t litter; /* items written, or tried */
    struct stream_name stream;
    /* All records since the last check, read after it; and the iterator at their end. */
    struct records records;
    char iterator[ITERATOR_MAX + 1];
    /* Where the live reader was when the server died. */
    char live_iterator[ITERATOR_MAX + 1];
    size_t live_count; /* of the round's records, shown to it until then */
    bool kills_check;  /* of this round, which was not killed yet */
    uint64_t round;
};

/* ---- load.c ---- */

/* Runs the clients and the live reader until the server is dead, or, where nothing dies, until
 * every request is answered. ERR_IO: the server does neither. */
MUST_USE enum err load_run(struct ledger *ledger);

/* ---- stream.c ---- */

/* One call on ledger->link with ledger->body. ERR_IO: the server is gone. */
MUST_USE enum err ledger_call(struct ledger *ledger, const char *target, struct response *response);
/* Finds the table's stream and shard; tells a violation when they are others than before. */
MUST_USE enum err stream_find(struct ledger *ledger);
/* An iterator of that type; sequence only for those that want one. */
MUST_USE enum err stream_iterator(struct ledger *ledger, const char *type, const char *sequence,
                                  char out[ITERATOR_MAX + 1]);
/* Reads from the iterator to the end of the stream as it is now, and moves the iterator there.
 * take is given each page's records; they are gone afterwards. */
MUST_USE enum err stream_read(struct ledger *ledger, char iterator[ITERATOR_MAX + 1],
                              void (*take)(void *arg, const struct records *page), void *arg);
/* The body of GetRecords. */
void stream_page_body(const char *iterator, struct buf *out);

/* ---- round.c ---- */

/* Table and stream; the server runs. */
MUST_USE enum err round_prepare(struct ledger *ledger);
/* Load, death, restart, check. False: something is wrong, and the rest makes no sense. */
bool round_run(struct ledger *ledger);
/* After connections were lost: a fault (--kill-by fault) may cost them and not the server, which is
 * then killed, and --after-death is told by LOST=1: without a fault none may be lost. */
void round_after_fault(struct ledger *ledger);
/* The whole stream once more from its start, all of it as before. */
bool round_reread(struct ledger *ledger);

#endif
