/* fork and exec; readiness is the line on standard output that README promises. */
#include "ledger/server.h"

#include "sys/clock.h"
#include "sys/thread.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define READY_TIMEOUT_MS 60000
#define ARGUMENTS_MAX 80u
#define NS_PER_MS 1000000u

static void set_variable(const struct server *server, const char *variable);
_Noreturn static void execute(const struct server *server, int out);
static void note_replay(struct server *server);

void server_init(struct server *server, const struct server_plan *plan)
{
    *server = (struct server){.plan = plan, .out = -1};
    snprintf(server->errors, sizeof(server->errors), "%s.stderr", plan->data);
}

enum err server_start(struct server *server)
{
    int pipe_ends[2];
    if (pipe2(pipe_ends, O_CLOEXEC) != 0) {
        return ERR_IO;
    }
    server->starts++;
    server->started_ns = clock_mono_ns();
    pid_t pid = fork();
    if (pid == 0) {
        execute(server, pipe_ends[1]);
    }
    close(pipe_ends[1]);
    if (pid < 0) {
        close(pipe_ends[0]);
        return ERR_IO;
    }
    server->pid = pid;
    server->out = pipe_ends[0];
    return OK;
}

/* In the child. It dies with us, so that a broken run leaves no server behind. */
_Noreturn static void execute(const struct server *server, int out)
{
    const struct server_plan *plan = server->plan;
    const char *arguments[ARGUMENTS_MAX] = {plan->program, "serve",    "--data",
                                            plan->data,    "--listen", "127.0.0.1:0"};
    size_t count = 6;
    for (size_t i = 0; i < plan->argument_count && count + 2 < ARGUMENTS_MAX; i++) {
        arguments[count++] = plan->arguments[i];
    }
    if (plan->varied_count > 0) {
        arguments[count++] = plan->varied[server->starts % plan->varied_count];
    }
    int errors = open(server->errors, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* It may not push us off a processor when a request wakes it: a kill right behind a request
     * would then come after the answer. */
    sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0});
    if (errors < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(errors, STDERR_FILENO) < 0) {
        _exit(127);
    }
    for (size_t i = 0; i < plan->variable_count; i++) {
        set_variable(server, plan->variables[i]);
    }
    if (plan->preload != NULL) {
        setenv("LD_PRELOAD", plan->preload, 1);
    }
    execv(plan->program, (char *const *)(uintptr_t)arguments);
    fprintf(stderr, "cannot execute %s\n", plan->program);
    _exit(127);
}

static void set_variable(const struct server *server, const char *variable)
{
    static const char mark[] = "{start}";
    char name[256];
    char value[4096];
    const char *equals = strchr(variable, '=');
    const char *at = equals == NULL ? NULL : strstr(equals, mark);
    if (equals == NULL || (size_t)(equals - variable) >= sizeof(name)) {
        return;
    }
    snprintf(name, sizeof(name), "%.*s", (int)(equals - variable), variable);
    if (at == NULL) {
        snprintf(value, sizeof(value), "%s", equals + 1);
    } else {
        snprintf(value, sizeof(value), "%.*s%llu%s", (int)(at - equals - 1), equals + 1,
                 (unsigned long long)server->starts, at + sizeof(mark) - 1);
    }
    setenv(name, value, 1);
}

enum err server_await(struct server *server)
{
    static const char mark[] = "listening url=";
    char text[8192];
    size_t len = 0;
    enum err err = ERR_IO;
    struct pollfd poll_fd = {.fd = server->out, .events = POLLIN};
    while (len + 1 < sizeof(text) && poll(&poll_fd, 1, READY_TIMEOUT_MS) == 1) {
        ssize_t got = read(server->out, text + len, sizeof(text) - 1 - len);
        if (got <= 0) {
            err = server_wait(server, READY_TIMEOUT_MS) ? ERR_CLOSED : ERR_IO;
            break;
        }
        len += (size_t)got;
        text[len] = 0;
        const char *found = strstr(text, mark);
        if (found != NULL && strchr(found, '\n') != NULL) {
            snprintf(server->url, sizeof(server->url), "%.*s",
                     (int)strcspn(found + sizeof(mark) - 1, "\n"), found + sizeof(mark) - 1);
            server->ready_ms = (clock_mono_ns() - server->started_ns) / NS_PER_MS;
            note_replay(server);
            err = OK;
            break;
        }
    }
    close(server->out);
    server->out = -1;
    return err;
}

static void note_replay(struct server *server)
{
    static const char mark[] = "\"replayed_bytes\":";
    char text[8192] = "";
    FILE *file = fopen(server->errors, "r");
    size_t len = file == NULL ? 0 : fread(text, 1, sizeof(text) - 1, file);
    text[len] = 0;
    const char *found = strstr(text, mark);
    server->replayed_bytes = found == NULL ? 0 : strtoull(found + sizeof(mark) - 1, NULL, 10);
    if (file != NULL) {
        fclose(file);
    }
}

void server_signal(const struct server *server, int number)
{
    if (server->pid > 0) {
        kill(server->pid, number);
    }
}

bool server_runs(struct server *server)
{
    if (server->pid > 0 && waitpid(server->pid, &server->status, WNOHANG) == server->pid) {
        server->pid = 0;
    }
    return server->pid > 0;
}

bool server_wait(struct server *server, unsigned timeout_ms)
{
    uint64_t until = clock_mono_ns() + (uint64_t)timeout_ms * NS_PER_MS;
    while (server_runs(server)) {
        if (clock_mono_ns() > until) {
            return false;
        }
        thread_pause_ms(1);
    }
    return true;
}

const char *server_end_text(const struct server *server, char out[64])
{
    if (WIFSIGNALED(server->status)) {
        snprintf(out, 64, "signal %d", WTERMSIG(server->status));
    } else {
        snprintf(out, 64, "exit status %d", WEXITSTATUS(server->status));
    }
    return out;
}
