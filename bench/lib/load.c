/* A turn: look at the clock, send what is due (open loop), wait for sockets, handle each. Sockets
 * are edge-triggered and one recv takes a whole answer, so that a request costs one send, one recv
 * and its share of an epoll_wait. Requests are patched in place and handed to the kernel from the
 * template; only what a full socket refuses is copied. */
#include "lib/load.h"

#include "base/assert.h"
#include "base/mem.h"
#include "sys/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES 16384u
#define ANSWER_BYTES_MAX (80u << 20)
#define EVENTS_MAX 256
#define SILENCE_NS 30000000000u
#define FILL_ERRORS_MAX 1000u
#define LOSSES_MAX 1000u
#define NS_PER_S 1000000000u

struct connection {
    int fd;
    bool busy;
    enum request_kind kind;
    uint64_t key;
    uint64_t since_ns; /* sent, or due */
    struct buf in;
    struct buf out; /* what the socket did not take */
    struct connection *next_idle;
};

struct load {
    const struct load_plan *plan;
    struct load_result *result;
    struct request requests[REQUEST_KIND_COUNT];
    struct connection *connections;
    struct connection *idle; /* open loop */
    int epoll;
    unsigned in_flight;
    unsigned losses; /* connections lost since the last answer */
    bool measuring;
    bool ending;         /* nothing more is sent */
    uint64_t given;      /* fill and count: handed out so far; fill: the next item */
    uint64_t in_order;   /* in order: the next item */
    uint64_t due_ns;     /* open loop: the next request's time */
    double due_fraction; /* and the part of a nanosecond that due_ns leaves out */
    uint64_t begun_ns;
    uint64_t measured_ns;
    uint64_t heard_ns;
    struct rusage usage;
    const char *broken;
};

static bool is_counted(const struct load_plan *plan);
static enum err open_all(struct load *load);
static void close_all(struct load *load);
static enum err connection_open(struct load *load, struct connection *connection);
static bool run_turn(struct load *load);
static void change_phase(struct load *load, uint64_t now);
static void begin_measuring(struct load *load, uint64_t now);
static void end_measuring(struct load *load, uint64_t now);
static void build_requests(struct load *load);
static void start_all(struct load *load);
static void send_due(struct load *load, uint64_t now);
static struct timespec until_next(const struct load *load, uint64_t now);
static void next_request(struct load *load, struct connection *connection);
static void send_request(struct load *load, struct connection *connection, uint64_t due_ns);
static void send_rest(struct load *load, struct connection *connection);
static void receive(struct load *load, struct connection *connection);
static void answered(struct load *load, struct connection *connection,
                     const struct response *response);
static void judge(struct load *load, struct connection *connection, const struct response *response,
                  uint64_t now);
static void connection_lost(struct load *load, struct connection *connection, const char *what);
static void count_error(struct load_result *result, struct bytes name);

void load_result_init(struct load_result *result)
{
    *result = (struct load_result){0};
    for (size_t i = 0; i < REQUEST_KIND_COUNT; i++) {
        hist_init(&result->latency_ns[i], 100, 3600ull * NS_PER_S, 3);
    }
    hist_init(&result->slot_ns, 100, 3600ull * NS_PER_S, 2);
}

void load_result_fini(struct load_result *result)
{
    for (size_t i = 0; i < REQUEST_KIND_COUNT; i++) {
        hist_fini(&result->latency_ns[i]);
    }
    hist_fini(&result->slot_ns);
}

void load_end_slot(struct load_result *result)
{
    if (result->slot < LOAD_SLOTS_MAX) {
        result->slot_p99_us[result->slot] =
            (uint32_t)(hist_percentile(&result->slot_ns, 99) / 1000);
        result->slot_count = result->slot + 1;
    }
    hist_clear(&result->slot_ns);
}

uint64_t load_error_total(const struct load_result *result)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < result->error_count; i++) {
        sum += result->errors[i].count;
    }
    return sum;
}

enum err load_run(const struct load_plan *plan, struct load_result *result, char *why, size_t room)
{
    struct load load = {.plan = plan, .result = result, .epoll = -1};
    signer_set_time(plan->signer, clock_wall_ms());
    build_requests(&load);
    enum err err = open_all(&load);
    if (err == OK) {
        load.begun_ns = clock_mono_ns();
        load.heard_ns = load.begun_ns;
        load.due_ns = load.begun_ns;
        if (is_counted(plan)) {
            begin_measuring(&load, load.begun_ns);
        }
        start_all(&load);
        while (run_turn(&load)) {
        }
    } else {
        load.broken = "cannot connect";
    }
    close_all(&load);
    if (load.broken != NULL) {
        snprintf(why, room, "%s", load.broken);
        return ERR_IO;
    }
    return OK;
}

static bool is_counted(const struct load_plan *plan)
{
    return plan->fill || plan->request_count > 0;
}

static enum err open_all(struct load *load)
{
    unsigned count = load->plan->connections;
    load->connections = mem_zalloc(count, sizeof(*load->connections));
    for (unsigned i = 0; i < count; i++) {
        struct connection *connection = &load->connections[i];
        connection->fd = -1;
        buf_init(&connection->in, ANSWER_BYTES_MAX);
        buf_init(&connection->out, SIZE_MAX / 2);
    }
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (load->epoll < 0) {
        return ERR_IO;
    }
    for (unsigned i = 0; i < count; i++) {
        TRY(connection_open(load, &load->connections[i]));
    }
    return OK;
}

static void close_all(struct load *load)
{
    for (unsigned i = 0; i < load->plan->connections; i++) {
        struct connection *connection = &load->connections[i];
        if (connection->fd >= 0) {
            close(connection->fd);
        }
        buf_fini(&connection->in);
        buf_fini(&connection->out);
    }
    mem_free(load->connections);
    if (load->epoll >= 0) {
        close(load->epoll);
    }
    for (size_t i = 0; i < REQUEST_KIND_COUNT; i++) {
        request_fini(&load->requests[i]);
    }
}

static enum err connection_open(struct load *load, struct connection *connection)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.ptr = connection};
    TRY(peer_connect(load->plan->peer, &connection->fd));
    buf_clear(&connection->in);
    buf_clear(&connection->out);
    if (fcntl(connection->fd, F_SETFL, O_NONBLOCK) != 0 ||
        epoll_ctl(load->epoll, EPOLL_CTL_ADD, connection->fd, &event) != 0) {
        return ERR_IO;
    }
    return OK;
}

/* False when the load is over. */
static bool run_turn(struct load *load)
{
    struct epoll_event events[EVENTS_MAX];
    uint64_t now = clock_mono_ns();
    change_phase(load, now);
    if (load->broken != NULL || (load->ending && load->in_flight == 0)) {
        return false;
    }
    if (now - load->heard_ns > SILENCE_NS && load->in_flight > 0) {
        load->broken = "no answer for 30 s";
        return false;
    }
    if (signer_set_time(load->plan->signer, clock_wall_ms())) {
        build_requests(load);
    }
    if (load->plan->rate > 0) {
        send_due(load, now);
    }
    struct timespec wait = until_next(load, now);
    int count = epoll_pwait2(load->epoll, events, EVENTS_MAX, &wait, NULL);
    for (int i = 0; i < count; i++) {
        struct connection *connection = events[i].data.ptr;
        if ((events[i].events & EPOLLOUT) != 0 && connection->out.len > 0) {
            send_rest(load, connection);
        }
        if ((events[i].events & ~(uint32_t)EPOLLOUT) != 0) {
            receive(load, connection);
        }
    }
    return true;
}

static void change_phase(struct load *load, uint64_t now)
{
    const struct load_plan *plan = load->plan;
    if (is_counted(plan)) {
        if (load->measuring && load->ending && load->in_flight == 0) {
            end_measuring(load, now);
        }
        return;
    }
    if (!load->measuring && !load->ending && now - load->begun_ns >= plan->warmup_ns) {
        begin_measuring(load, now);
    }
    if (load->measuring && now - load->measured_ns >= plan->run_ns) {
        end_measuring(load, now);
        load->ending = true;
    }
}

static void begin_measuring(struct load *load, uint64_t now)
{
    load->measuring = true;
    load->measured_ns = now;
    getrusage(RUSAGE_SELF, &load->usage);
}

static void end_measuring(struct load *load, uint64_t now)
{
    struct load_result *result = load->result;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    load->measuring = false;
    load_end_slot(result);
    result->wall_s = (double)(now - load->measured_ns) / 1e9;
    result->user_s = (double)(usage.ru_utime.tv_sec - load->usage.ru_utime.tv_sec) +
                     (double)(usage.ru_utime.tv_usec - load->usage.ru_utime.tv_usec) / 1e6;
    result->system_s = (double)(usage.ru_stime.tv_sec - load->usage.ru_stime.tv_sec) +
                       (double)(usage.ru_stime.tv_usec - load->usage.ru_stime.tv_usec) / 1e6;
    if (load->plan->rate > 0 && now > load->due_ns) {
        result->late = (uint64_t)((double)(now - load->due_ns) * load->plan->rate / 1e9);
    }
}

static void build_requests(struct load *load)
{
    for (size_t i = 0; i < REQUEST_KIND_COUNT; i++) {
        bool used = load->plan->fill ? i == REQUEST_PUT : load->plan->weights[i] > 0;
        if (used) {
            request_build(&load->requests[i], (enum request_kind)i, load->plan->target,
                          load->plan->signer);
        }
    }
}

static void start_all(struct load *load)
{
    for (unsigned i = 0; i < load->plan->connections; i++) {
        next_request(load, &load->connections[i]);
    }
}

static void send_due(struct load *load, uint64_t now)
{
    while (!load->ending && load->idle != NULL && load->due_ns <= now) {
        struct connection *connection = load->idle;
        load->idle = connection->next_idle;
        double step = 1e9 / load->plan->rate + load->due_fraction;
        uint64_t due_ns = load->due_ns;
        load->due_ns += (uint64_t)step;
        load->due_fraction = step - (double)(uint64_t)step;
        send_request(load, connection, due_ns);
    }
}

static struct timespec until_next(const struct load *load, uint64_t now)
{
    uint64_t wait = NS_PER_S / 20; /* phases end at most so much late on a silent server */
    if (load->plan->rate > 0 && !load->ending && load->idle != NULL) {
        uint64_t due = load->due_ns > now ? load->due_ns - now : 0;
        wait = due < wait ? due : wait;
    }
    return (struct timespec){.tv_nsec = (long)wait};
}

/* What a connection does after an answer. */
static void next_request(struct load *load, struct connection *connection)
{
    const struct load_plan *plan = load->plan;
    if (is_counted(plan)) {
        uint64_t count = plan->fill ? plan->target->item_count : plan->request_count;
        if (load->given < count) {
            connection->key = load->given++;
            load->ending = load->given == count;
            send_request(load, connection, 0);
        }
    } else if (!load->ending && plan->rate > 0) {
        connection->next_idle = load->idle;
        load->idle = connection;
    } else if (!load->ending) {
        send_request(load, connection, 0);
    }
}

static enum request_kind pick_kind(const struct load_plan *plan)
{
    uint64_t drawn = prng_below(plan->prng, 100);
    for (size_t i = 0; i + 1 < REQUEST_KIND_COUNT; i++) {
        if (drawn < plan->weights[i]) {
            return (enum request_kind)i;
        }
        drawn -= plan->weights[i];
    }
    return (enum request_kind)(REQUEST_KIND_COUNT - 1);
}

/* due_ns 0: latency counts from the send. */
static void send_request(struct load *load, struct connection *connection, uint64_t due_ns)
{
    const struct load_plan *plan = load->plan;
    if (plan->fill) {
        connection->kind = REQUEST_PUT;
    } else {
        connection->kind = pick_kind(plan);
        connection->key = plan->in_order ? load->in_order++ % plan->target->item_count
                                         : prng_below(plan->prng, plan->target->item_count);
    }
    struct bytes text = request_fill(&load->requests[connection->kind], plan->target, plan->signer,
                                     plan->prng, connection->key);
    connection->busy = true;
    load->in_flight++;
    connection->since_ns = due_ns != 0 ? due_ns : clock_mono_ns();
    ssize_t sent = send(connection->fd, text.ptr, text.len, MSG_NOSIGNAL);
    if (sent == (ssize_t)text.len) {
        return;
    }
    if (sent < 0 && errno != EAGAIN) {
        connection_lost(load, connection, "connection lost (send)");
        return;
    }
    size_t taken = sent > 0 ? (size_t)sent : 0;
    buf_add(&connection->out, bytes_of(text.ptr + taken, text.len - taken));
}

static void send_rest(struct load *load, struct connection *connection)
{
    struct buf *out = &connection->out;
    ssize_t sent = send(connection->fd, out->ptr, out->len, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) {
        connection_lost(load, connection, "connection lost (send)");
    } else if (sent > 0) {
        memmove(out->ptr, out->ptr + sent, out->len - (size_t)sent);
        out->len -= (size_t)sent;
    }
}

/* Until an answer is whole or the socket is empty: an edge may have told of bytes and of the end
 * behind them at once. */
static void receive(struct load *load, struct connection *connection)
{
    struct buf *in = &connection->in;
    for (;;) {
        struct response response;
        uint8_t *room = buf_room(in, READ_BYTES);
        ssize_t got = room == NULL ? 0 : recv(connection->fd, room, READ_BYTES, 0);
        if (got < 0 && errno == EAGAIN) {
            return;
        }
        if (got <= 0) {
            connection_lost(load, connection, "connection lost (receive)");
            return;
        }
        in->len += (size_t)got;
        enum response_state state = response_read(buf_bytes(in), &response);
        if (state == RESPONSE_WHOLE && connection->busy && response.len == in->len) {
            answered(load, connection, &response);
            return;
        }
        if (state != RESPONSE_PART) {
            connection_lost(load, connection, "answer is not HTTP/1.1");
            return;
        }
    }
}

static void answered(struct load *load, struct connection *connection,
                     const struct response *response)
{
    uint64_t now = clock_mono_ns();
    connection->busy = false;
    load->in_flight--;
    load->losses = 0;
    load->heard_ns = now;
    if (load->measuring) {
        judge(load, connection, response, now);
    }
    bool again = load->plan->fill && response->status != 200;
    if (again && load_error_total(load->result) > FILL_ERRORS_MAX) {
        load->broken = "items are refused";
    }
    connection->in.len = 0;
    if (response->closes) {
        close(connection->fd);
        connection->fd = -1;
        if (connection_open(load, connection) != OK) {
            load->broken = "cannot connect again";
            return;
        }
    }
    if (again && load->broken == NULL) {
        send_request(load, connection, 0);
    } else {
        next_request(load, connection);
    }
}

static void judge(struct load *load, struct connection *connection, const struct response *response,
                  uint64_t now)
{
    struct load_result *result = load->result;
    result->answered++;
    switch (response->crc) {
    case RESPONSE_CRC_RIGHT:
        result->crc_right++;
        break;
    case RESPONSE_CRC_ABSENT:
        result->crc_absent++;
        break;
    case RESPONSE_CRC_WRONG:
        result->crc_wrong++;
        count_error(result, BYTES("x-amz-crc32 does not match"));
        return;
    }
    if (response->status != 200) {
        struct bytes name = response_error(response->body);
        char text[32];
        int len = snprintf(text, sizeof(text), "HTTP %u", response->status);
        count_error(result, name.len > 0 ? name : bytes_of(text, (size_t)len));
        return;
    }
    if (connection->kind == REQUEST_GET && response->body.len < load->plan->target->value_len) {
        count_error(result, BYTES("item is missing"));
        return;
    }
    result->ok++;
    hist_record(&result->latency_ns[connection->kind], now - connection->since_ns);
    size_t slot = (size_t)((now - load->measured_ns) / LOAD_SLOT_NS);
    if (slot != result->slot) {
        load_end_slot(result);
        result->slot = slot;
    }
    hist_record(&result->slot_ns, now - connection->since_ns);
    size_t second = (size_t)((now - load->measured_ns) / NS_PER_S);
    if (second < LOAD_SECONDS_MAX) {
        result->per_second[second]++;
        result->second_count = second + 1;
    }
}

static void connection_lost(struct load *load, struct connection *connection, const char *what)
{
    bool was_busy = connection->busy;
    if (load->measuring || was_busy) {
        count_error(load->result, bytes_cstr(what));
    }
    close(connection->fd);
    connection->fd = -1;
    connection->busy = false;
    load->in_flight -= was_busy ? 1 : 0;
    if (connection_open(load, connection) != OK) {
        load->broken = "the server is gone";
    } else if (++load->losses > LOSSES_MAX) {
        load->broken = "the server closes every connection";
    } else if (was_busy && is_counted(load->plan)) {
        send_request(load, connection, 0);
    } else if (was_busy) {
        next_request(load, connection);
    }
}

static void count_error(struct load_result *result, struct bytes name)
{
    size_t i = 0;
    size_t len =
        name.len < sizeof(result->errors[0].name) ? name.len : sizeof(result->errors[0].name) - 1;
    while (i < result->error_count && (strlen(result->errors[i].name) != len ||
                                       memcmp(result->errors[i].name, name.ptr, len) != 0)) {
        i++;
    }
    if (i == LOAD_ERRORS_MAX) {
        i--;
    } else if (i == result->error_count) {
        memcpy(result->errors[i].name, name.ptr, len);
        result->error_count++;
    }
    result->errors[i].count++;
}
