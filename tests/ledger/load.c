/* Closed-loop clients and one stream reader on one thread: what is sent and what is answered have
 * one order. After the kill, answers that had reached us before it are still taken: they are
 * promises too. */
#include "ledger/ledger.h"

#include "base/mem.h"
#include "sys/clock.h"

#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#define NS_PER_MS 1000000u
#define SILENCE_NS (30000ull * NS_PER_MS)
#define DEATH_MS 10000u
#define LATE_NS (5ull * NS_PER_MS)
#define PAGE_PAUSE_NS (2ull * NS_PER_MS) /* after an empty page */
#define EVENTS_MAX 128

struct client {
    struct link link;
    bool busy;
    size_t op; /* in the history, while busy */
    bool is_reader;
    bool litters;
};

struct load {
    struct ledger *ledger;
    struct client *clients; /* the last one reads the stream; the one before it may litter */
    size_t count;
    size_t open;
    size_t busy;
    int epoll;
    bool ending; /* nothing more is sent */
    uint64_t end_ns;
    uint64_t heard_ns;
    uint64_t page_due_ns; /* the reader asks again at this time; 0: it waits for an answer */
};

static enum err open_all(struct load *load);
static enum err run_turn(struct load *load, bool *over);
static void end_when_due(struct load *load, uint64_t now);
static void next_request(struct load *load, struct client *client);
static void send_op(struct load *load, struct client *client, const char *target,
                    bool wrong_signature);
static void receive(struct load *load, struct client *client);
static void answered(struct load *load, struct client *client, const struct response *response);
static void page_answered(struct load *load, struct op *op, const struct response *response);
static void client_lost(struct load *load, struct client *client);

enum err load_run(struct ledger *ledger)
{
    const struct plan *plan = &ledger->plan;
    struct load load = {.ledger = ledger, .count = plan->clients + 1 + plan->litter, .epoll = -1};
    uint64_t load_ms =
        plan->least_ms + prng_below(&ledger->prng, plan->most_ms - plan->least_ms + 1);
    load.clients = mem_zalloc(load.count, sizeof(*load.clients));
    enum err err = open_all(&load);
    load.heard_ns = clock_mono_ns();
    load.end_ns = load.heard_ns + load_ms * NS_PER_MS;
    for (size_t i = 0; err == OK && i < load.count; i++) {
        next_request(&load, &load.clients[i]);
    }
    for (bool over = false; err == OK && !over;) {
        err = run_turn(&load, &over);
    }
    for (size_t i = 0; i < load.count; i++) {
        link_close(&load.clients[i].link);
    }
    mem_free(load.clients);
    if (load.epoll >= 0) {
        close(load.epoll);
    }
    if (err == OK && !load.ending) {
        round_after_fault(ledger);
    }
    if (err == OK && plan->kill_by != KILL_BY_NONE && !server_wait(&ledger->server, DEATH_MS)) {
        checker_violation(&ledger->checker, "the server closed all connections and does not end");
        err = ERR_IO;
    }
    return err;
}

static enum err open_all(struct load *load)
{
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (load->epoll < 0) {
        return ERR_IO;
    }
    for (size_t i = 0; i < load->count; i++) {
        link_init(&load->clients[i].link);
    }
    for (size_t i = 0; i < load->count; i++) {
        struct client *client = &load->clients[i];
        struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = client};
        client->is_reader = i + 1 == load->count;
        client->litters = i == load->ledger->plan.clients && !client->is_reader;
        if (link_open(&client->link, &load->ledger->wire) != OK) {
            continue; /* dead already; where it may not be, the turn finds out */
        }
        if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, client->link.fd, &event) != 0) {
            return ERR_IO;
        }
        load->open++;
    }
    return OK;
}

static uint64_t until_next(const struct load *load, uint64_t now)
{
    uint64_t wait = 100 * NS_PER_MS;
    if (!load->ending && load->end_ns + LATE_NS < now + wait) {
        wait = load->end_ns + LATE_NS > now ? load->end_ns + LATE_NS - now : 0;
    }
    if (load->page_due_ns != 0) {
        uint64_t due = load->page_due_ns > now ? load->page_due_ns - now : 0;
        wait = due < wait ? due : wait;
    }
    return wait;
}

static enum err run_turn(struct load *load, bool *over)
{
    struct epoll_event events[EVENTS_MAX];
    struct ledger *ledger = load->ledger;
    uint64_t now = clock_mono_ns();
    end_when_due(load, now - LATE_NS); /* nobody writes */
    if (load->open == 0 ||
        (load->ending && load->busy == 0 && ledger->plan.kill_by == KILL_BY_NONE)) {
        *over = true;
        return OK;
    }
    if (load->page_due_ns != 0 && now >= load->page_due_ns) {
        load->page_due_ns = 0;
        next_request(load, &load->clients[load->count - 1]);
    }
    if (now - load->heard_ns > SILENCE_NS) {
        checker_violation(&ledger->checker, "no answer for 30 s");
        return ERR_IO;
    }
    struct timespec wait = {.tv_nsec = (long)until_next(load, now)};
    int count = epoll_pwait2(load->epoll, events, EVENTS_MAX, &wait, NULL);
    for (int i = 0; i < count; i++) {
        receive(load, events[i].data.ptr);
    }
    return OK;
}

/* A cut that has not come by now will not come: the round then is a kill, told in the totals. */
static void end_when_due(struct load *load, uint64_t now)
{
    struct ledger *ledger = load->ledger;
    if (load->ending || now < load->end_ns) {
        return;
    }
    load->ending = true;
    if (ledger->plan.kill_by == KILL_BY_TERM) {
        server_signal(&ledger->server, SIGTERM);
    } else if (ledger->plan.kill_by != KILL_BY_NONE) {
        server_signal(&ledger->server, SIGKILL);
    }
}

/* Items that nobody asks for again, under a few keys. */
static void litter_body(struct ledger *ledger)
{
    static char litter[8000];
    memset(litter, 'a' + (int)(ledger->litter % 26), sizeof(litter) - 1);
    buf_clear(&ledger->body);
    buf_printf(&ledger->body, "{\"RequestItems\":{\"%s\":[", ledger->litter_table);
    for (unsigned i = 0; i < 4; i++) {
        buf_printf(&ledger->body,
                   "%s{\"PutRequest\":{\"Item\":{\"pk\":{\"S\":\"l\"},\"sk\":{\"S\":\"%u\"},"
                   "\"litter\":{\"S\":\"%s\"}}}}",
                   i == 0 ? "" : ",", (unsigned)(ledger->litter++ % 500), litter);
    }
    buf_printf(&ledger->body, "]}}");
}

static void next_request(struct load *load, struct client *client)
{
    struct ledger *ledger = load->ledger;
    if (load->ending || client->link.fd < 0) {
        return;
    }
    if (client->litters) {
        litter_body(ledger);
        send_op(load, client, "DynamoDB_20120810.BatchWriteItem", false);
        return;
    }
    if (client->is_reader) {
        client->op = ledger->history.count;
        struct op *op = history_send(&ledger->history, OP_PAGE);
        stream_page_body(ledger->live_iterator, &ledger->body);
        send_op(load, client, ask_target(op), false);
        return;
    }
    client->op = workload_next(&ledger->workload, (unsigned)(client - load->clients),
                               clock_mono_ns() / NS_PER_MS);
    const struct op *op = &ledger->history.ops[client->op];
    buf_clear(&ledger->body);
    ask_body(&ledger->ask, op, &ledger->body);
    send_op(load, client, ask_target(op),
            op->kind == OP_INVALID && op->invalid == INVALID_SIGNATURE);
    if (ledger->history.ops[client->op].kind <= OP_TRANSACT) {
        end_when_due(load, clock_mono_ns()); /* right behind a write, so that it has no answer */
    }
}

static void send_op(struct load *load, struct client *client, const char *target,
                    bool wrong_signature)
{
    struct ledger *ledger = load->ledger;
    client->busy = true;
    load->busy++;
    if (link_send(&client->link, &ledger->wire, target, buf_bytes(&ledger->body),
                  wrong_signature) != OK) {
        client_lost(load, client);
    }
}

static void receive(struct load *load, struct client *client)
{
    struct response response;
    if (client->link.fd < 0) {
        return;
    }
    switch (link_receive(&client->link, &response)) {
    case LINK_PART:
        return;
    case LINK_LOST:
        client_lost(load, client);
        return;
    case LINK_WHOLE:
        load->heard_ns = clock_mono_ns();
        if (!client->busy) {
            client_lost(load, client);
            return;
        }
        client->busy = false;
        load->busy--;
        if (!client->litters) {
            answered(load, client, &response);
        }
        if (response.closes) {
            client_lost(load, client);
        } else if (client->is_reader && load->ledger->history.ops[client->op].empty) {
            load->page_due_ns = load->heard_ns + PAGE_PAUSE_NS;
        } else {
            next_request(load, client);
        }
    }
}

static void answered(struct load *load, struct client *client, const struct response *response)
{
    struct ledger *ledger = load->ledger;
    struct op *op = &ledger->history.ops[client->op];
    char text[1024];
    if (response->status >= 500 && ledger->plan.kill_by == KILL_BY_KILL) {
        checker_violation(&ledger->checker, "HTTP %u: %.*s to %s", response->status,
                          BYTES_FMT(response->body), op_text(op, text));
    }
    if (client->is_reader) {
        page_answered(load, op, response);
        return;
    }
    if (!hear_answer(&ledger->hear, &ledger->history, op, response)) {
        checker_violation(&ledger->checker, "HTTP %u: %.*s; to %s", response->status,
                          BYTES_FMT(buf_bytes(&ledger->hear.why)), op_text(op, text));
    }
    workload_learn(&ledger->workload, (unsigned)(client - load->clients), op,
                   clock_mono_ns() / NS_PER_MS);
}

static void page_answered(struct load *load, struct op *op, const struct response *response)
{
    struct ledger *ledger = load->ledger;
    struct page page;
    if (response->status >= 500) {
        return;
    }
    if (!hear_page(&ledger->hear, response, &ledger->history.seen, &page) || page.next.len == 0 ||
        page.next.len > ITERATOR_MAX) {
        checker_violation(&ledger->checker, "the live reader: %.*s",
                          BYTES_FMT(buf_bytes(&ledger->hear.why)));
        return;
    }
    history_answer(&ledger->history, op, OUTCOME_DONE);
    op->record_count = ledger->history.seen.count;
    op->empty = page.count == 0;
    memcpy(ledger->live_iterator, page.next.ptr, page.next.len);
    ledger->live_iterator[page.next.len] = 0;
    ledger->live_count = ledger->history.seen.count;
}

/* Its request, if any, stays without an answer. */
static void client_lost(struct load *load, struct client *client)
{
    struct ledger *ledger = load->ledger;
    if (!load->ending && ledger->plan.kill_by != KILL_BY_CUT &&
        ledger->plan.kill_by != KILL_BY_FAULT) {
        checker_violation(&ledger->checker, "a connection was lost while nothing was killed");
        load->ending = true;
        server_signal(&ledger->server, SIGKILL);
    }
    load->busy -= client->busy ? 1 : 0;
    client->busy = false;
    link_close(&client->link);
    load->open--;
}
