/* lib/load: whatever a server does wrong is counted by its name, and in an open loop a stall is
 * seen by everyone who would have come meanwhile. The server here is a thread that answers from a
 * script, one connection at a time. */
#include "lib/load.h"

#include "check.h"
#include "sys/thread.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define RIGHT "HTTP/1.1 200 OK\r\nx-amz-crc32: 2745614147\r\nContent-Length: 2\r\n\r\n{}"
#define WRONG "HTTP/1.1 200 OK\r\nx-amz-crc32: 2745614148\r\nContent-Length: 2\r\n\r\n{}"
#define BARE "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
#define REFUSED "HTTP/1.1 400 Bad Request\r\nContent-Length: 21\r\n\r\n{\"__type\":\"a.b#Busy\"}"
#define NAMELESS "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"
#define LAST "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
#define GARBLED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"

/* One answer: pause, then the first part, then the rest, then perhaps the end. */
struct step {
    const char *answer;
    size_t first; /* bytes sent alone; 0: all at once */
    unsigned pause_ms;
    bool closes;
};

struct server {
    struct thread thread;
    int listener;
    struct peer peer;
    const struct step *steps;
    size_t step_count; /* the last one is repeated */
};

static unsigned long keys_seen[128];
static size_t key_count;

static bool read_request(int fd)
{
    static char text[65536];
    struct bytes head = BYTES("\r\n\r\n");
    size_t len = 0;
    for (;;) {
        ssize_t got = recv(fd, text + len, sizeof(text) - len, 0);
        if (got <= 0) {
            return false;
        }
        len += (size_t)got;
        const char *end = memmem(text, len, head.ptr, head.len);
        const char *length = memmem(text, len, "Content-Length: ", 16);
        if (end != NULL && length != NULL &&
            len == (size_t)(end - text) + 4 + strtoul(length + 16, NULL, 10)) {
            const char *key = memmem(text, len, "\"pk\":{\"S\":\"", 11);
            keys_seen[key_count++ % 128] = key == NULL ? 0 : strtoul(key + 11, NULL, 10);
            return true;
        }
    }
}

static void serve(void *arg)
{
    struct server *server = arg;
    size_t at = 0;
    int fd;
    while ((fd = accept(server->listener, NULL, NULL)) >= 0) {
        bool open = true;
        while (open && read_request(fd)) {
            const struct step *step = &server->steps[at];
            at += at + 1 < server->step_count ? 1 : 0;
            thread_pause_ms(step->pause_ms);
            size_t len = strlen(step->answer);
            bool sent = send(fd, step->answer, step->first, MSG_NOSIGNAL) >= 0;
            thread_pause_ms(step->first > 0 ? 5 : 0);
            sent =
                sent && send(fd, step->answer + step->first, len - step->first, MSG_NOSIGNAL) > 0;
            open = sent && !step->closes;
        }
        close(fd);
    }
}

static void server_start(struct server *server, const struct step *steps, size_t count)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    char url[64];
    *server = (struct server){.steps = steps, .step_count = count};
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(server->listener, (struct sockaddr *)&address, sizeof(address)) == 0);
    CHECK(listen(server->listener, 16) == 0);
    CHECK(getsockname(server->listener, (struct sockaddr *)&address, &len) == 0);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u", ntohs(address.sin_port));
    CHECK(peer_parse(url, &server->peer) == OK);
    thread_start(&server->thread, ROLE_WORKER, "server", serve, server);
}

static void server_stop(struct server *server)
{
    shutdown(server->listener, SHUT_RDWR);
    thread_join(&server->thread);
    close(server->listener);
}

static const struct request_target target = {BYTES_INIT("127.0.0.1"), BYTES_INIT("bench"), 100, 50};

/* Against one connection; plan has mix and end, the rest is filled in. */
static enum err run(const struct step *steps, size_t count, struct load_plan plan,
                    struct load_result *result)
{
    struct server server;
    struct signer signer;
    struct prng prng;
    char why[128];
    server_start(&server, steps, count);
    prng_init(&prng, 1);
    signer_init(&signer, BYTES("id"), BYTES("secret"), BYTES("us-east-1"), BYTES("dynamodb"));
    plan.peer = &server.peer;
    plan.target = &target;
    plan.signer = &signer;
    plan.prng = &prng;
    plan.connections = 1;
    load_result_init(result);
    enum err err = load_run(&plan, result, why, sizeof(why));
    server_stop(&server);
    return err;
}

static uint64_t errors_named(const struct load_result *result, const char *name)
{
    for (size_t i = 0; i < result->error_count; i++) {
        if (strcmp(result->errors[i].name, name) == 0) {
            return result->errors[i].count;
        }
    }
    return 0;
}

static struct load_plan puts_of(uint64_t count)
{
    return (struct load_plan){.weights = {[REQUEST_PUT] = 100}, .request_count = count};
}

static void every_wrong_answer_is_counted_by_its_name(void)
{
    static const struct step steps[] = {
        {.answer = RIGHT},   {.answer = WRONG},    {.answer = BARE},    {.answer = REFUSED},
        {.answer = REFUSED}, {.answer = NAMELESS}, {.answer = GARBLED}, {.answer = RIGHT},
    };
    struct load_result result;
    CHECK(run(steps, 8, puts_of(10), &result) == OK);
    CHECK(errors_named(&result, "x-amz-crc32 does not match") == 1);
    CHECK(errors_named(&result, "Busy") == 2);
    CHECK(errors_named(&result, "HTTP 500") == 1);
    CHECK(errors_named(&result, "answer is not HTTP/1.1") == 1);
    CHECK(load_error_total(&result) == 5);
    CHECK(result.ok == 6 && result.crc_absent == 4 && result.crc_wrong == 1);
    CHECK(result.crc_right == 5);
    CHECK(result.latency_ns[REQUEST_PUT].total == 6);
    load_result_fini(&result);
}

static void an_answer_in_pieces_is_one_answer(void)
{
    static const struct step steps[] = {{.answer = RIGHT, .first = 1},
                                        {.answer = RIGHT, .first = 40},
                                        {.answer = RIGHT, .first = sizeof(RIGHT) - 2}};
    struct load_result result;
    CHECK(run(steps, 3, puts_of(3), &result) == OK);
    CHECK(result.ok == 3 && load_error_total(&result) == 0);
    load_result_fini(&result);
}

static void a_closed_connection_is_opened_again(void)
{
    static const struct step steps[] = {{.answer = LAST, .closes = true},
                                        {.answer = "HTTP/1.1 200 OK\r\n", .closes = true},
                                        {.answer = RIGHT}};
    struct load_result result;
    CHECK(run(steps, 3, puts_of(4), &result) == OK);
    CHECK(result.ok == 4);
    CHECK(errors_named(&result, "connection lost (receive)") == 1);
    load_result_fini(&result);
}

static void an_item_that_is_not_there_is_an_error(void)
{
    static const struct step steps[] = {{.answer = RIGHT}};
    const struct load_plan plan = {.weights = {[REQUEST_GET] = 100}, .request_count = 3};
    struct load_result result;
    CHECK(run(steps, 1, plan, &result) == OK);
    CHECK(result.ok == 0 && errors_named(&result, "item is missing") == 3);
    load_result_fini(&result);
}

static void a_fill_puts_again_what_was_refused(void)
{
    static const struct step steps[] = {{.answer = REFUSED}, {.answer = RIGHT}};
    const struct load_plan plan = {.fill = true};
    struct load_result result;
    CHECK(run(steps, 2, plan, &result) == OK);
    CHECK(result.answered == target.item_count + 1 && result.ok == target.item_count);
    load_result_fini(&result);
}

static void items_in_order_are_each_asked_for_in_turn(void)
{
    static const struct step steps[] = {{.answer = RIGHT}};
    struct load_plan plan = puts_of(target.item_count + 2);
    struct load_result result;
    plan.in_order = true;
    key_count = 0;
    CHECK(run(steps, 1, plan, &result) == OK);
    CHECK(result.ok == target.item_count + 2 && key_count == target.item_count + 2);
    for (size_t i = 0; i < key_count; i++) {
        CHECK(keys_seen[i] == i % target.item_count);
    }
    load_result_fini(&result);
}

/* 300 ms of silence in 600 ms at 1,000/s: in a closed loop one request sees it, in an open loop
 * all those that were due. */
static void a_stall_is_seen_by_all_that_were_due(void)
{
    static const struct step steps[] = {
        {.answer = RIGHT}, {.answer = RIGHT, .pause_ms = 300}, {.answer = RIGHT}};
    struct load_plan plan = puts_of(0);
    struct load_result result;
    plan.run_ns = 600000000;
    CHECK(run(steps, 3, plan, &result) == OK);
    /* Of thousands of requests one waited: nine in ten know nothing of it. */
    CHECK(hist_percentile(&result.latency_ns[REQUEST_PUT], 90) <
          result.latency_ns[REQUEST_PUT].most / 2);
    CHECK(result.latency_ns[REQUEST_PUT].most > 250000000);
    load_result_fini(&result);
    plan.rate = 1000;
    /* On a machine that is busy with other work a run may not get to all that was due. */
    bool seen = false;
    for (int tries = 0; !seen && tries < 20; tries++) {
        CHECK(run(steps, 3, plan, &result) == OK);
        seen = result.ok + result.late > 450 && result.ok + result.late <= 601 &&
               hist_percentile(&result.latency_ns[REQUEST_PUT], 90) > 150000000 &&
               result.slot_count == 6 && result.slot_p99_us[2] == 0 &&
               result.slot_p99_us[3] > 150000 && result.slot_p99_us[5] < 100000;
        load_result_fini(&result);
    }
    CHECK(seen);
}

static void what_cannot_be_answered_in_time_is_said_to_be_late(void)
{
    static const struct step steps[] = {{.answer = RIGHT, .pause_ms = 20}};
    struct load_plan plan = puts_of(0);
    struct load_result result;
    plan.run_ns = 300000000;
    plan.rate = 1000;
    CHECK(run(steps, 1, plan, &result) == OK);
    double due = result.wall_s * plan.rate; /* a busy machine measures longer */
    CHECK((double)result.ok <= result.wall_s / 0.02 + 1);
    CHECK(fabs(due - (double)result.ok - (double)result.late) <= 3); /* one in flight */
    load_result_fini(&result);
}

static void a_server_that_refuses_every_item_ends_the_load(void)
{
    static const struct step steps[] = {{.answer = NAMELESS, .closes = true}};
    struct load_result result;
    CHECK(run(steps, 1, (struct load_plan){.fill = true}, &result) == ERR_IO);
    load_result_fini(&result);
}

static void a_server_that_only_closes_ends_the_load(void)
{
    static const struct step steps[] = {{.answer = "H", .closes = true}};
    struct load_result result;
    CHECK(run(steps, 1, puts_of(1), &result) == ERR_IO);
    CHECK(result.ok == 0);
    load_result_fini(&result);
}

int main(void)
{
    RUN(every_wrong_answer_is_counted_by_its_name);
    RUN(an_answer_in_pieces_is_one_answer);
    RUN(a_closed_connection_is_opened_again);
    RUN(an_item_that_is_not_there_is_an_error);
    RUN(a_fill_puts_again_what_was_refused);
    RUN(items_in_order_are_each_asked_for_in_turn);
    RUN(a_stall_is_seen_by_all_that_were_due);
    RUN(what_cannot_be_answered_in_time_is_said_to_be_late);
    RUN(a_server_that_refuses_every_item_ends_the_load);
    RUN(a_server_that_only_closes_ends_the_load);
    return CHECK_RESULT();
}
