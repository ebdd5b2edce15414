/* The server under test: started, killed and waited for. */
#ifndef HW_LEDGER_SERVER_H
#define HW_LEDGER_SERVER_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct server_plan {
    const char *program;
    const char *data;
    const char *preload;          /* NULL: none */
    const char *const *variables; /* K=V; "{start}" in V becomes the number of the start */
    size_t variable_count;
    const char *const *arguments; /* of `headwater serve`, after ours */
    size_t argument_count;
    const char *const *varied; /* one more, in turn from start to start */
    size_t varied_count;
};

struct server {
    const struct server_plan *plan;
    pid_t pid; /* 0: does not run */
    int out;   /* its standard output, until it is ready */
    uint64_t starts;
    int status; /* of the last end, as waitpid has it */
    char url[128];
    char errors[4096]; /* file of its standard error, of the last start */
    uint64_t started_ns;
    uint64_t ready_ms; /* from start to ready, the last time */
    uint64_t replayed_bytes;
};

void server_init(struct server *server, const struct server_plan *plan);
/* Forks and executes it. ERR_IO. */
MUST_USE enum err server_start(struct server *server);
/* Until it says where it listens. ERR_CLOSED: it ended first; ERR_IO: not ready for 60 s. */
MUST_USE enum err server_await(struct server *server);
void server_signal(const struct server *server, int number);
/* False: it ended; status says how. */
bool server_runs(struct server *server);
/* Waits for its end at most so long; false: it still runs. */
bool server_wait(struct server *server, unsigned timeout_ms);
/* "exit status 4", "signal 9", ... */
const char *server_end_text(const struct server *server, char out[64]);

#endif
