/* ledger: signed clients write, the server is killed, and what was acknowledged, shown or refused
 * is held against the table and its stream; again and again over one data directory. The promises
 * are listed in check.h. */
#include "ledger/ledger.h"

#include "lib/credentials.h"
#include "sys/file.h"
#include "sys/random.h"

#include <ftw.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define EXIT_USE 2
#define VIOLATIONS_SHOWN_MAX 20u
#define REREAD_FIRST 25u /* rounds; then whenever there are that part of them more */
#define REREAD_SHARE 4u
#define UNKNOWN_PERCENT 95u
#define UNKNOWN_ROUNDS_MIN 20u

#define ROW(name, kind, field, least, most, help)                                                  \
    {                                                                                              \
        name, OPTION_##kind, offsetof(struct plan, field), least, most, help                       \
    }
static const struct option_row rows[] = {
    ROW("rounds", COUNT, rounds, 1, 1e9, "kills; each is a case (20)"),
    ROW("kill-by", TEXT, kill_by_text, 0, 0,
        "kill: SIGKILL (default); term: SIGTERM, which must end clean; cut: the --preload library "
        "ends\n                   the process, by SIGKILL or an exit status from 64 on; fault: a "
        "call "
        "of\n                   it fails, and it may end with any exit status but 0; none: nothing "
        "dies"),
    ROW("least-ms", COUNT, least_ms, 1, 1e6, "least time of load before the kill (10)"),
    ROW("most-ms", COUNT, most_ms, 1, 1e6,
        "most time of it (800; cut: 10000, then the process is killed)"),
    ROW("recovery-kills", COUNT, recovery_percent, 0, 99,
        "percent of restarts that are killed in their first 30 ms (10; only with --kill-by kill)"),
    ROW("check-kills", COUNT, check_percent, 0, 100,
        "percent of rounds whose server is killed once more, while it is checked (0; only with "
        "--kill-by kill)"),
    ROW("clients", COUNT, clients, 1, WORKLOAD_CLIENTS_MAX, "signed clients (16)"),
    ROW("litter", FLAG, litter, 0, 0,
        "one more client fills a table of 8 kB items that nobody checks, and the checked one keeps "
        "its\n                   stream for ever: with --retention-ms=1000 of serve, the log is "
        "cleaned all the time"),
    ROW("seed", COUNT, seed, 0, 9e15, "of the clients and the moments (random, printed)"),
    ROW("data", TEXT, data, 0, 0,
        "data directory; kept (default: a new one in /tmp, removed unless something was wrong)"),
    ROW("keep", FLAG, keep, 0, 0, "keep the data directory in any case"),
    ROW("server", TEXT, server, 0, 0, "the program (headwater beside this one)"),
    ROW("vary", LIST, varied, 0, 0,
        "one more argument of `serve`, in turn from start to start; may be given again"),
    ROW("preload", TEXT, preload, 0, 0, "LD_PRELOAD of the server"),
    ROW("env", LIST, variables, 0, 0,
        "K=V in the server's environment; {start} in V is the number of the start; may be given "
        "again"),
    ROW("after-death", TEXT, after_death, 0, 0,
        "shell command to run before each restart; DATA, START and STATUS (as a shell's $?) are in "
        "its\n                   environment"),
    ROW("until", TEXT, until, 0, 0, "a file: when it is there, no further round begins"),
    ROW("endpoint", TEXT, endpoint, 0, 0,
        "http://ADDRESS:PORT of a server that runs already (then --kill-by none)"),
    ROW("credentials", TEXT, credentials, 0, 0, "its keys (DATA/credentials)"),
    ROW("region", TEXT, region, 0, 0, "named in signatures (us-east-1)"),
};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

static void usage(FILE *out);
static bool prepare(struct ledger *ledger, const char *program, int argc, char **argv, int rest);
static bool make_directory(struct ledger *ledger);
static bool make_keys(struct ledger *ledger);
static bool read_keys(struct ledger *ledger);
static void run(struct ledger *ledger);
static void stop_server(struct ledger *ledger);
static void violated(void *arg, const char *text);
static void summarise(const struct ledger *ledger);
static void remove_directory(const struct ledger *ledger);

static struct buf keys;
static char scratch_root[64]; /* of a data directory that is ours to remove */
static char path_data[4096];
static char path_server[4096];
static char path_credentials[4200];

int main(int argc, char **argv)
{
    static struct ledger ledger;
    int status;
    int rest;
    ledger.plan = (struct plan){.rounds = 20,
                                .kill_by_text = "kill",
                                .least_ms = 10,
                                .recovery_percent = 10,
                                .clients = 16,
                                .region = "us-east-1"};
    if (!options_parse(rows, ROW_COUNT, argc, argv, &ledger.plan, usage, &status, &rest)) {
        return status;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    if (!prepare(&ledger, argv[0], argc, argv, rest)) {
        return EXIT_USE;
    }
    run(&ledger);
    stop_server(&ledger);
    summarise(&ledger);
    bool right = ledger.totals.failed == 0 && ledger.checker.violations == 0;
    if (right && !ledger.plan.keep) {
        remove_directory(&ledger);
    }
    return right ? EXIT_SUCCESS : EXIT_FAILURE;
}

static bool read_kill_by(struct plan *plan)
{
    static const char *const names[] = {[KILL_BY_KILL] = "kill",
                                        [KILL_BY_TERM] = "term",
                                        [KILL_BY_CUT] = "cut",
                                        [KILL_BY_FAULT] = "fault",
                                        [KILL_BY_NONE] = "none"};
    if (plan->endpoint != NULL) {
        plan->kill_by_text = "none";
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(plan->kill_by_text, names[i]) == 0) {
            plan->kill_by = (enum kill_by)i;
            return true;
        }
    }
    fprintf(stderr, "ledger: --kill-by is '%s': it must be kill, term, cut, fault or none\n",
            plan->kill_by_text);
    return false;
}

static bool prepare(struct ledger *ledger, const char *program, int argc, char **argv, int rest)
{
    struct plan *plan = &ledger->plan;
    char directory[4096];
    if (!read_kill_by(plan)) {
        return false;
    }
    plan->most_ms = plan->most_ms != 0 ? plan->most_ms : plan->kill_by == KILL_BY_CUT ? 10000 : 800;
    plan->most_ms = plan->most_ms < plan->least_ms ? plan->least_ms : plan->most_ms;
    plan->seed = plan->seed != 0 ? plan->seed : random_u64() >> 11;
    if (plan->server == NULL) {
        snprintf(directory, sizeof(directory), "%s", program);
        snprintf(path_server, sizeof(path_server), "%.4000s/headwater", dirname(directory));
        plan->server = path_server;
    }
    if (plan->endpoint == NULL && !make_directory(ledger)) {
        return false;
    }
    ledger->server_plan = (struct server_plan){
        .program = plan->server,
        .data = plan->data != NULL ? plan->data : "",
        .preload = plan->preload,
        .variables = plan->variables.texts,
        .variable_count = plan->variables.count,
        .arguments = (const char *const *)(argv + rest),
        .argument_count = (size_t)(argc - rest),
        .varied = plan->varied.texts,
        .varied_count = plan->varied.count,
    };
    server_init(&ledger->server, &ledger->server_plan);
    checker_init(&ledger->checker, violated, ledger);
    history_init(&ledger->history);
    workload_init(&ledger->workload, &ledger->checker, &ledger->history, plan->seed);
    hear_init(&ledger->hear);
    buf_init(&ledger->body, 16u << 20);
    link_init(&ledger->link);
    prng_init(&ledger->prng, ~plan->seed);
    ledger->ask = (struct ask){.table = ledger->table, .run = random_u64() >> 32};
    printf("ledger: seed %llu, data %s\n", (unsigned long long)plan->seed,
           plan->data != NULL ? plan->data : plan->endpoint);
    if (plan->endpoint != NULL && peer_parse(plan->endpoint, &ledger->wire.peer) != OK) {
        fprintf(stderr, "ledger: --endpoint must be http://ADDRESS:PORT\n");
        return false;
    }
    return read_keys(ledger);
}

static bool make_directory(struct ledger *ledger)
{
    if (ledger->plan.data == NULL) {
        snprintf(scratch_root, sizeof(scratch_root), "/tmp/ledger-XXXXXX");
        if (mkdtemp(scratch_root) == NULL) {
            fprintf(stderr, "ledger: cannot make a directory in /tmp\n");
            return false;
        }
        snprintf(path_data, sizeof(path_data), "%s/data", scratch_root);
        ledger->plan.data = path_data;
    }
    setenv("DATA", ledger->plan.data, 1);
    return true;
}

/* A server of our own gets keys of ours, so that they are known before its first start. */
static bool make_keys(struct ledger *ledger)
{
    static char option[4300];
    static const char *arguments[OPTION_LIST_MAX * 2];
    struct server_plan *plan = &ledger->server_plan;
    snprintf(path_credentials, sizeof(path_credentials), "%s.credentials", plan->data);
    snprintf(option, sizeof(option), "--credentials=%s", path_credentials);
    FILE *file = fopen(path_credentials, "w");
    if (file == NULL || plan->argument_count + 1 >= sizeof(arguments) / sizeof(arguments[0])) {
        fprintf(stderr, "ledger: cannot write %s\n", path_credentials);
        return false;
    }
    fprintf(file, "[default]\naws_access_key_id = AKIALEDGER0000000000\n"
                  "aws_secret_access_key = ledger/ledger/ledger/ledger/ledger/0000\n");
    bool written = fclose(file) == 0;
    memcpy(arguments, plan->arguments, plan->argument_count * sizeof(*arguments));
    arguments[plan->argument_count++] = option;
    plan->arguments = arguments;
    return written;
}

static bool read_keys(struct ledger *ledger)
{
    const struct plan *plan = &ledger->plan;
    const char *path = plan->credentials;
    const char *key_id;
    const char *secret;
    buf_init(&keys, 1u << 20);
    if (path == NULL && plan->endpoint != NULL) {
        fprintf(stderr, "ledger: --endpoint needs --credentials\n");
        return false;
    }
    if (path == NULL) {
        if (!make_keys(ledger)) {
            return false;
        }
        path = path_credentials;
    }
    if (credentials_read(path, &keys, &key_id, &secret) != OK) {
        fprintf(stderr, "ledger: no access key in %s\n", path);
        return false;
    }
    wire_init(&ledger->wire, key_id, secret, plan->region);
    return true;
}

static void run(struct ledger *ledger)
{
    struct totals *totals = &ledger->totals;
    const struct plan *plan = &ledger->plan;
    if (round_prepare(ledger) != OK) {
        checker_violation(&ledger->checker, "the table cannot be made");
        totals->failed++;
        return;
    }
    uint64_t reread_at = REREAD_FIRST;
    bool last = false;
    for (uint64_t done = 1; !last && totals->failed == 0; done++) {
        bool right = round_run(ledger);
        last = done == plan->rounds || (plan->until != NULL && file_exists(plan->until));
        if (right && (done == reread_at || last)) {
            right = round_reread(ledger);
            reread_at =
                done + (done / REREAD_SHARE > REREAD_FIRST ? done / REREAD_SHARE : REREAD_FIRST);
        }
        totals->passed += right;
        totals->failed += !right;
    }
    /* A case of its own: kills that interrupt nothing would prove nothing. */
    if (totals->failed == 0 && plan->kill_by == KILL_BY_KILL &&
        totals->rounds >= UNKNOWN_ROUNDS_MIN &&
        totals->rounds_with_unknown * 100 < totals->rounds * UNKNOWN_PERCENT) {
        checker_violation(
            &ledger->checker, "too few kills left writes without an answer: %llu of %llu",
            (unsigned long long)totals->rounds_with_unknown, (unsigned long long)totals->rounds);
        totals->failed++;
    }
}

static void stop_server(struct ledger *ledger)
{
    link_close(&ledger->link);
    if (ledger->server.pid > 0) {
        server_signal(&ledger->server, SIGKILL);
        server_wait(&ledger->server, 10000);
    }
}

static void violated(void *arg, const char *text)
{
    const struct ledger *ledger = arg;
    if (ledger->checker.violations <= VIOLATIONS_SHOWN_MAX) {
        printf("round %llu: %s\n", (unsigned long long)ledger->round, text);
    }
}

static void summarise(const struct ledger *ledger)
{
    const struct totals *t = &ledger->totals;
    unsigned long long skipped = ledger->plan.rounds - t->rounds;
    if (ledger->checker.violations > VIOLATIONS_SHOWN_MAX) {
        printf("... %llu violations in all\n", (unsigned long long)ledger->checker.violations);
    }
    if (t->failed > 0) {
        printf("the facts are kept: %s, %s\n", ledger->plan.data, ledger->server.errors);
    }
    printf("kills %llu (and %llu in recovery), with unanswered writes %llu (%.0f %%)\n",
           (unsigned long long)t->deaths, (unsigned long long)t->deaths_in_recovery,
           (unsigned long long)t->rounds_with_unknown,
           t->rounds == 0 ? 0 : 100.0 * (double)t->rounds_with_unknown / (double)t->rounds);
    printf("requests %llu: writes acknowledged %llu, unanswered %llu; refused %llu; reads %llu\n",
           (unsigned long long)t->requests, (unsigned long long)t->acknowledged,
           (unsigned long long)t->unknown, (unsigned long long)t->refused,
           (unsigned long long)t->reads);
    printf("stream records %llu, read again from the start %llu times\n",
           (unsigned long long)ledger->checker.record_count, (unsigned long long)t->rereads);
    printf("restart at most %llu ms, replayed at most %llu bytes; a round %llu ms, at most %llu\n",
           (unsigned long long)t->ready_ms_most, (unsigned long long)t->replayed_most,
           (unsigned long long)(t->rounds == 0 ? 0 : t->round_ms_sum / t->rounds),
           (unsigned long long)t->round_ms_most);
    printf("%llu passed, %llu failed, %llu skipped\n", (unsigned long long)t->passed,
           (unsigned long long)t->failed, skipped);
}

static int remove_entry(const char *path, const struct stat *stat, int kind, struct FTW *place)
{
    (void)stat;
    (void)kind;
    (void)place;
    return remove(path);
}

static void remove_directory(const struct ledger *ledger)
{
    if (scratch_root[0] != 0 && nftw(scratch_root, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0) {
        fprintf(stderr, "ledger: cannot remove %s\n", ledger->plan.data);
    }
}

static void usage(FILE *out)
{
    fprintf(out, "Usage: ledger [options] [-- arguments of headwater serve]\n\n"
                 "Signed clients write while the server is killed, again and again over one data "
                 "directory; after each\nrestart everything acknowledged, shown or refused is held "
                 "against table and stream.\n\n");
    options_print(rows, ROW_COUNT, out);
    fprintf(out, "\nExit status: 0 when every promise was kept, 1 when one was not (what happened "
                 "is told, the data\ndirectory is kept), 2 for wrong use.\n"
                 "Example: ledger --rounds 100 --vary --loops=1 --vary --loops=2 -- "
                 "--segment-bytes=262144 \\\n    --memtable-bytes=65536 --flush-bytes=262144\n");
}
