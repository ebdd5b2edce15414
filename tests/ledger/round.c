/* One round: load, death, restart, and everything held against everything. What a check reads was
 * shown too: if the server dies under it (a cut during recovery), it must be there next time. */
#include "ledger/ledger.h"

#include "sys/clock.h"
#include "sys/thread.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#define RESTARTS_MAX 100
#define RECOVERY_KILL_MS 30u
#define CUT_STATUS_MIN 64 /* below are the program's own */
#define ACTIVE_WAITS_MAX 1000
#define TERM_EXIT_MS 10000u
#define FAULT_EXIT_MS 2000u

static enum err restart(struct ledger *ledger);
static enum err make_table(struct ledger *ledger);
static bool is_cut(const struct ledger *ledger);
static bool server_died_of_cut(struct ledger *ledger);
static bool server_died_in_check(struct ledger *ledger);
static bool died_right(struct ledger *ledger);
static enum err check_all(struct ledger *ledger);
static enum err read_records(struct ledger *ledger, char reached[ITERATOR_MAX + 1]);
static enum err check_table(struct ledger *ledger);
static void count_round(struct ledger *ledger, uint64_t began_ns);

enum err round_prepare(struct ledger *ledger)
{
    snprintf(ledger->table, sizeof(ledger->table), "ledger-%llx",
             (unsigned long long)ledger->ask.run);
    for (int i = 0; i < RESTARTS_MAX; i++) {
        if (ledger->plan.kill_by != KILL_BY_NONE) {
            TRY(restart(ledger));
        }
        enum err err = make_table(ledger);
        if (err != ERR_IO || !server_died_of_cut(ledger)) {
            return err;
        }
        ledger->totals.deaths_in_recovery++;
    }
    return ERR_IO;
}

/* There already is fine: a cut may have come just after it was made. */
static enum err create(struct ledger *ledger, const char *table, const char *more)
{
    struct response response;
    buf_clear(&ledger->body);
    buf_printf(
        &ledger->body,
        "{\"TableName\":\"%s\",\"BillingMode\":\"PAY_PER_REQUEST\",\"AttributeDefinitions\":["
        "{\"AttributeName\":\"pk\",\"AttributeType\":\"S\"},"
        "{\"AttributeName\":\"sk\",\"AttributeType\":\"S\"}],\"KeySchema\":["
        "{\"AttributeName\":\"pk\",\"KeyType\":\"HASH\"},"
        "{\"AttributeName\":\"sk\",\"KeyType\":\"RANGE\"}],\"StreamSpecification\":{"
        "\"StreamEnabled\":true,\"StreamViewType\":\"NEW_AND_OLD_IMAGES\"}%s}",
        table, more);
    TRY(ledger_call(ledger, "DynamoDB_20120810.CreateTable", &response));
    if (response.status != 200 &&
        !bytes_equal(response_error(response.body), BYTES("ResourceInUseException"))) {
        checker_violation(&ledger->checker, "CreateTable: HTTP %u %.*s", response.status,
                          BYTES_FMT(response.body));
        return ERR_INVALID;
    }
    return OK;
}

static enum err make_table(struct ledger *ledger)
{
    static const char *const status[] = {"Table", "TableStatus"};
    static const char for_ever[] =
        ",\"Tags\":[{\"Key\":\"headwater:stream-retention\",\"Value\":\"forever\"}]";
    struct response response;
    TRY(create(ledger, ledger->table, ledger->plan.litter ? for_ever : ""));
    if (ledger->plan.litter) {
        snprintf(ledger->litter_table, sizeof(ledger->litter_table), "%.50s-litter", ledger->table);
        TRY(create(ledger, ledger->litter_table, ""));
    }
    for (int i = 0; i < ACTIVE_WAITS_MAX; i++) {
        buf_clear(&ledger->body);
        buf_printf(&ledger->body, "{\"TableName\":\"%s\"}", ledger->table);
        TRY(ledger_call(ledger, "DynamoDB_20120810.DescribeTable", &response));
        if (bytes_equal(hear_text(&ledger->hear, &response, status, 2), BYTES("ACTIVE"))) {
            TRY(stream_find(ledger));
            return stream_iterator(ledger, "TRIM_HORIZON", NULL, ledger->iterator);
        }
        thread_pause_ms(10);
    }
    return ERR_INVALID;
}

bool round_run(struct ledger *ledger)
{
    uint64_t violations = ledger->checker.violations;
    uint64_t began_ns = clock_mono_ns();
    ledger->round++;
    history_clear(&ledger->history);
    records_clear(&ledger->records);
    memcpy(ledger->live_iterator, ledger->iterator, sizeof(ledger->live_iterator));
    ledger->live_count = 0;
    ledger->kills_check = ledger->plan.kill_by == KILL_BY_KILL && ledger->plan.check_percent > 0 &&
                          prng_below(&ledger->prng, 100) < ledger->plan.check_percent;
    link_close(&ledger->link);
    bool died = load_run(ledger) == OK && died_right(ledger);
    for (int i = 0; died && i < RESTARTS_MAX; i++) {
        if (ledger->plan.kill_by != KILL_BY_NONE && restart(ledger) != OK) {
            break;
        }
        enum err err = check_all(ledger);
        if (err == OK) {
            count_round(ledger, began_ns);
            workload_turn(&ledger->workload, clock_mono_ns() / 1000000);
            return ledger->checker.violations == violations;
        }
        if (err != ERR_IO || !server_died_in_check(ledger)) {
            checker_violation(&ledger->checker, "the server failed while it was checked");
            break;
        }
        ledger->totals.deaths_in_recovery++;
    }
    count_round(ledger, began_ns);
    if (ledger->checker.violations == violations) {
        checker_violation(&ledger->checker, "the round did not come to its end");
    }
    return false;
}

/* The end that was asked for, not one of its own. */
static bool died_right(struct ledger *ledger)
{
    char text[64];
    const struct server *server = &ledger->server;
    bool right = false;
    switch (ledger->plan.kill_by) {
    case KILL_BY_NONE:
        return true;
    case KILL_BY_KILL:
        right = WIFSIGNALED(server->status) && WTERMSIG(server->status) == SIGKILL;
        break;
    case KILL_BY_TERM:
        right = WIFEXITED(server->status) && WEXITSTATUS(server->status) == 0;
        break;
    case KILL_BY_CUT:
    case KILL_BY_FAULT:
        right = is_cut(ledger);
        break;
    }
    ledger->totals.deaths++;
    if (!right) {
        checker_violation(&ledger->checker, "the server ended by %s; see %s",
                          server_end_text(server, text), server->errors);
    }
    return right;
}

void round_after_fault(struct ledger *ledger)
{
    if (ledger->plan.kill_by == KILL_BY_FAULT && !server_wait(&ledger->server, FAULT_EXIT_MS)) {
        setenv("LOST", "1", 1);
        server_signal(&ledger->server, SIGKILL);
    }
}

/* After a call that failed. */
static bool server_died_of_cut(struct ledger *ledger)
{
    link_close(&ledger->link);
    enum kill_by kill_by = ledger->plan.kill_by;
    round_after_fault(ledger);
    return (kill_by == KILL_BY_CUT || kill_by == KILL_BY_FAULT) &&
           server_wait(&ledger->server, TERM_EXIT_MS) && is_cut(ledger);
}

/* Of a cut, or by our own kill: then the next check is let be. */
static bool server_died_in_check(struct ledger *ledger)
{
    if (!ledger->kills_check) {
        return server_died_of_cut(ledger);
    }
    link_close(&ledger->link);
    ledger->kills_check = false;
    return server_wait(&ledger->server, TERM_EXIT_MS) && WIFSIGNALED(ledger->server.status) &&
           WTERMSIG(ledger->server.status) == SIGKILL;
}

static bool is_cut(const struct ledger *ledger)
{
    int status = ledger->server.status;
    enum kill_by kill_by = ledger->plan.kill_by;
    int least = kill_by == KILL_BY_FAULT ? 1 : CUT_STATUS_MIN;
    return (kill_by == KILL_BY_CUT || kill_by == KILL_BY_FAULT) &&
           ((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) ||
            (WIFEXITED(status) && WEXITSTATUS(status) >= least));
}

static bool run_after_death(struct ledger *ledger)
{
    const char *command = ledger->plan.after_death;
    if (command == NULL || ledger->server.starts == 0) {
        return true;
    }
    char start[24];
    snprintf(start, sizeof(start), "%llu", (unsigned long long)ledger->server.starts);
    setenv("START", start, 1);
    snprintf(start, sizeof(start), "%d",
             WIFSIGNALED(ledger->server.status) ? 128 + WTERMSIG(ledger->server.status)
                                                : WEXITSTATUS(ledger->server.status));
    setenv("STATUS", start, 1);
    int status = system(command); /* the user's own command, from the command line */
    unsetenv("LOST");
    if (status != 0) {
        checker_violation(&ledger->checker, "--after-death failed: %s", command);
    }
    return status == 0;
}

/* Until it is ready. Now and then it is killed on its way there: a recovery may be cut short too.
 */
static enum err restart(struct ledger *ledger)
{
    struct server *server = &ledger->server;
    link_close(&ledger->link);
    for (int i = 0; i < RESTARTS_MAX; i++) {
        bool kill_it = ledger->plan.kill_by == KILL_BY_KILL && server->starts > 0 &&
                       prng_below(&ledger->prng, 100) < ledger->plan.recovery_percent;
        unsigned kill_ms = (unsigned)prng_below(&ledger->prng, RECOVERY_KILL_MS);
        char text[64];
        if (!run_after_death(ledger)) {
            return ERR_INVALID;
        }
        TRY(server_start(server));
        if (kill_it) {
            thread_pause_ms(kill_ms);
            server_signal(server, SIGKILL);
        }
        enum err err = server_await(server);
        if (kill_it && server_wait(server, TERM_EXIT_MS)) {
            ledger->totals.deaths_in_recovery++;
            continue;
        }
        if (err == OK) {
            return peer_parse(server->url, &ledger->wire.peer);
        }
        if (err != ERR_CLOSED || !is_cut(ledger)) {
            checker_violation(&ledger->checker, "the server does not start (%s); see %s",
                              err == ERR_CLOSED ? server_end_text(server, text) : "not ready",
                              server->errors);
            return ERR_INVALID;
        }
        ledger->totals.deaths_in_recovery++;
    }
    checker_violation(&ledger->checker, "the server does not start in %d tries", RESTARTS_MAX);
    return ERR_INVALID;
}

static void keep_page(void *arg, const struct records *page)
{
    struct records *records = arg;
    for (size_t i = 0; i < page->count; i++) {
        *records_add(records) = page->all[i];
    }
}

/* A server that is killed in its check dies when it has shown more than the live reader saw. */
static void keep_page_of_check(void *arg, const struct records *page)
{
    struct ledger *ledger = arg;
    keep_page(&ledger->records, page);
    if (ledger->kills_check && ledger->records.count > ledger->history.seen.count) {
        server_signal(&ledger->server, SIGKILL);
    }
}

/* ERR_IO: the server is gone, and all must be checked again. */
static enum err check_all(struct ledger *ledger)
{
    struct records tail = {0};
    char iterator[ITERATOR_MAX + 1];
    char reached[ITERATOR_MAX + 1];
    memcpy(iterator, ledger->live_iterator, sizeof(iterator));
    TRY(stream_find(ledger));
    TRY(read_records(ledger, reached));
    enum err err = stream_read(ledger, iterator, keep_page, &tail);
    if (err == OK) {
        check_same(&ledger->checker, &ledger->records, ledger->live_count, &tail,
                   "an iterator of before the end");
        if (tail.count > ledger->records.count - ledger->live_count) {
            checker_violation(&ledger->checker,
                              "an iterator of before the end was shown %zu records more",
                              tail.count - (ledger->records.count - ledger->live_count));
        }
        err = check_table(ledger);
    }
    if (err == OK) { /* else the same records are read again */
        memcpy(ledger->iterator, reached, sizeof(ledger->iterator));
    }
    records_fini(&tail);
    return err;
}

/* By the iterator of the last check, or by the sequence number where it ended. reached: the
 * iterator behind what was read. */
static enum err read_records(struct ledger *ledger, char reached[ITERATOR_MAX + 1])
{
    struct history *history = &ledger->history;
    records_clear(&ledger->records);
    memcpy(reached, ledger->iterator, sizeof(ledger->iterator));
    if (ledger->round % 2 == 0 && ledger->checker.record_count > 0) {
        TRY(stream_iterator(ledger, "AFTER_SEQUENCE_NUMBER", ledger->checker.sequence, reached));
    }
    enum err err = stream_read(ledger, reached, keep_page_of_check, ledger);
    if (err == ERR_IO && ledger->records.count > history->seen.count) {
        check_same(&ledger->checker, &history->seen, 0, &ledger->records, "the live reader");
        struct records shown = ledger->records; /* now these must be there next time */
        ledger->records = history->seen;
        history->seen = shown;
    }
    return err;
}

static enum err call_read(struct ledger *ledger, struct history *history, unsigned first_key,
                          unsigned key_count, const struct op **read)
{
    struct response response;
    struct op *op = history_send(history, OP_READ);
    op->first_key = first_key;
    op->key_count = key_count;
    buf_clear(&ledger->body);
    ask_body(&ledger->ask, op, &ledger->body);
    TRY(ledger_call(ledger, ask_target(op), &response));
    if (!hear_answer(&ledger->hear, history, op, &response) || op->outcome != OUTCOME_DONE) {
        checker_violation(&ledger->checker, "reading the table: HTTP %u: %.*s", response.status,
                          BYTES_FMT(buf_bytes(&ledger->hear.why)));
        return ERR_INVALID;
    }
    *read = op;
    return OK;
}

/* Every item by GetItem and by Query; then, with nothing left to read, the round is judged. */
static enum err check_table(struct ledger *ledger)
{
    struct history reads;
    const struct op *op;
    enum err err = OK;
    history_init(&reads);
    for (unsigned key = 0; err == OK && key < MODEL_KEYS; key++) {
        err = call_read(ledger, &reads, key, 1, &op);
    }
    for (unsigned key = 0; err == OK && key < MODEL_KEYS; key += MODEL_SORTS) {
        unsigned count = key < MODEL_HOT_KEYS ? MODEL_SORTS : MODEL_COUNTERS;
        err = call_read(ledger, &reads, key, count, &op);
    }
    if (err == OK) {
        check_round(&ledger->checker, &ledger->history, &ledger->records);
    }
    for (size_t i = 0; err == OK && i < reads.count; i++) {
        op = &reads.ops[i];
        for (unsigned j = 0; j < op->key_count; j++) {
            check_item(&ledger->checker, op->first_key + j, &reads.states[op->states_at + j],
                       op->key_count == 1 ? "GetItem" : "Query");
        }
    }
    history_fini(&reads);
    return err;
}

static void count_round(struct ledger *ledger, uint64_t began_ns)
{
    struct totals *totals = &ledger->totals;
    const struct history *history = &ledger->history;
    uint64_t round_ms = (clock_mono_ns() - began_ns) / 1000000;
    uint64_t unknown = 0;
    for (size_t i = 0; i < history->count; i++) {
        const struct op *op = &history->ops[i];
        bool writes = op->kind == OP_WRITE || op->kind == OP_TRANSACT;
        totals->requests++;
        totals->reads += op->kind == OP_READ || op->kind == OP_PAGE;
        totals->acknowledged += writes && op->outcome == OUTCOME_DONE;
        totals->refused += op->outcome == OUTCOME_REFUSED;
        unknown += writes && op->outcome == OUTCOME_UNKNOWN;
    }
    totals->rounds++;
    totals->unknown += unknown;
    totals->rounds_with_unknown += unknown > 0;
    totals->round_ms_sum += round_ms;
    totals->round_ms_most = round_ms > totals->round_ms_most ? round_ms : totals->round_ms_most;
    if (ledger->server.replayed_bytes > totals->replayed_most) {
        totals->replayed_most = ledger->server.replayed_bytes;
    }
    if (ledger->server.ready_ms > totals->ready_ms_most) {
        totals->ready_ms_most = ledger->server.ready_ms;
    }
}

struct reread {
    struct ledger *ledger;
    uint64_t count;
    uint64_t digest;
};

static void digest_page(void *arg, const struct records *page)
{
    struct reread *reread = arg;
    for (size_t i = 0; i < page->count; i++) {
        reread->digest = check_digest(reread->digest, &page->all[i]);
        reread->count++;
    }
}

static enum err read_again(struct ledger *ledger, struct reread *reread)
{
    char iterator[ITERATOR_MAX + 1];
    *reread = (struct reread){.ledger = ledger};
    TRY(stream_iterator(ledger, "TRIM_HORIZON", NULL, iterator));
    return stream_read(ledger, iterator, digest_page, reread);
}

bool round_reread(struct ledger *ledger)
{
    struct reread reread;
    const struct checker *checker = &ledger->checker;
    enum err err = read_again(ledger, &reread);
    for (int i = 0; err == ERR_IO && i < RESTARTS_MAX && server_died_of_cut(ledger); i++) {
        ledger->totals.deaths_in_recovery++;
        err = restart(ledger) == OK ? read_again(ledger, &reread) : ERR_INVALID;
    }
    if (err != OK) {
        checker_violation(&ledger->checker, "the stream cannot be read from its start");
        return false;
    }
    ledger->totals.rereads++;
    if (reread.count != checker->record_count || reread.digest != checker->digest) {
        checker_violation(&ledger->checker,
                          "the whole stream, read again, has %llu records (digest %016llx); they "
                          "were %llu (%016llx)",
                          (unsigned long long)reread.count, (unsigned long long)reread.digest,
                          (unsigned long long)checker->record_count,
                          (unsigned long long)checker->digest);
        return false;
    }
    return true;
}
