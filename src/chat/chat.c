/* Jobs, routing and answers: what every chat request goes through. */
#include "base/mem.h"
#include "base/note.h"
#include "chat/chat_priv.h"
#include "sys/clock.h"

#include <stdio.h>

#define OUT_BYTES_MAX (16u * 1024u * 1024u)
#define JOB_BYTES_MAX (32u * 1024u * 1024u)

struct problem_row {
    const char *code;
    const char *title;
    unsigned status;
    bool retryable;
};

static const struct problem_row problems[] = {
#define PROBLEM(name, code, status, retryable, title) [name] = {code, title, status, retryable},
#include "chat/problem.def"
#undef PROBLEM
};

const struct chat_table chat_tables[] = {
    {"headwater.chat_log", true, false},
    {"headwater.chat_user", true, true},
    {"headwater.chat_aux", false, false},
};
const size_t chat_table_count = sizeof(chat_tables) / sizeof(chat_tables[0]);

static void route(struct job *job);
static void route_conversation(struct job *job);
static struct bytes bearer(const struct http_request *request);
static bool split_path(struct bytes path, struct bytes *cid, struct bytes *rest);
static void call_done(struct op_call *call);
static void every_second(struct loop_timer *timer);
static void add_problem(struct buf *out, const struct job *job, enum problem problem,
                        const char *detail);
static bool origin_allowed(const struct chat *chat, const struct http_request *request);

enum err chat_open(const struct chat_options *options, struct chat **out)
{
    struct chat *chat = mem_zalloc(1, sizeof(*chat));
    chat->pool = options->pool;
    chat->origins = options->origins;
    chat->session_ms = options->session_ms == 0 ? 12u * 3600u * 1000u : options->session_ms;
    chat->key_ms = options->key_ms == 0 ? 7u * 24u * 3600u * 1000u : options->key_ms;
    *out = chat;
    return OK;
}

void chat_close(struct chat *chat)
{
    mem_free(chat);
}

enum err chat_loop_open(struct chat *chat, struct loop *loop, struct client *client,
                        struct chat_loop **out)
{
    struct chat_loop *state = mem_zalloc(1, sizeof(*state));
    state->chat = chat;
    state->loop = loop;
    state->client = client;
    state->parser = json_parser_new();
    state->timer.run = every_second;
    buf_init(&state->out, OUT_BYTES_MAX);
    buf_init(&state->event, OUT_BYTES_MAX);
    *out = state;
    if (state->parser == NULL) {
        return ERR_NOMEM;
    }
    TRY(delivery_open(state));
    return loop_timer_start(loop, &state->timer, 1000);
}

void chat_loop_close(struct chat_loop *chat)
{
    if (chat == NULL) {
        return;
    }
    chat->closing = true;
    delivery_close(chat);
    loop_timer_stop(chat->loop, &chat->timer);
    while (chat->free_jobs != NULL) {
        struct job *job = chat->free_jobs;
        chat->free_jobs = job->waiting;
        arena_fini(&job->arena);
        mem_free(job);
    }
    json_parser_free(chat->parser);
    buf_fini(&chat->out);
    buf_fini(&chat->event);
    mem_free(chat);
}

size_t chat_in_flight(const struct chat_loop *chat)
{
    return chat == NULL ? 0 : chat->jobs;
}

void chat_turn_end(struct chat_loop *chat)
{
    (void)chat; /* frames are sent by net's own flush; nothing is collected yet */
}

void chat_figures(const struct chat *chat, struct chat_figures *out)
{
#define READ(field) .field = atomic_load_explicit(&chat->field, memory_order_relaxed)
    *out = (struct chat_figures){
        READ(users),     READ(sessions), READ(conversations), READ(messages), READ(replays),
        READ(conflicts), READ(events),   READ(deliveries),    READ(sockets),  READ(gaps)};
#undef READ
}

void chat_request(struct chat_loop *chat, struct http_request *request)
{
    struct job *job = job_new(chat, request, NULL);
    if (job == NULL) {
        http_respond(request, 503,
                     BYTES("Content-Type: application/problem+json\r\nRetry-After: 1\r\n"),
                     BYTES("{\"status\":503,\"code\":\"busy\",\"retryable\":true}"));
        return;
    }
    if (!origin_allowed(chat->chat, request)) {
        job_problem(job, PROBLEM_BAD_ORIGIN, NULL);
    } else if (bytes_equal(request->path, BYTES("/v1/ws"))) {
        job_end(job);
        socket_open(chat, request);
    } else if (bytes_equal(request->path, BYTES("/v1/users")) ||
               bytes_equal(request->path, BYTES("/v1/sessions"))) {
        struct json body;
        bool users = request->path.len == strlen("/v1/users");
        if (request->method != HTTP_METHOD_POST) {
            job_problem(job, PROBLEM_BAD_METHOD, NULL);
        } else if (json_parse(chat->parser, request->body, &body) != OK ||
                   json_type(body) != JSON_OBJECT) {
            job_problem(job, PROBLEM_BAD_JSON, NULL);
        } else if (users) {
            users_post(job, body);
        } else {
            sessions_post(job, body);
        }
    } else {
        authenticate(job, bearer(request), route);
    }
}

/* Everything below needs a user. */
static void route(struct job *job)
{
    struct http_request *request = job->request;
    struct json body;
    bool post = request->method == HTTP_METHOD_POST;
    if (bytes_equal(request->path, BYTES("/v1/sessions/current"))) {
        if (request->method == HTTP_METHOD_DELETE) {
            sessions_delete(job);
        } else {
            job_problem(job, PROBLEM_BAD_METHOD, NULL);
        }
    } else if (!bytes_equal(request->path, BYTES("/v1/conversations"))) {
        route_conversation(job);
    } else if (request->method == HTTP_METHOD_GET) {
        conversations_get(job);
    } else if (!post) {
        job_problem(job, PROBLEM_BAD_METHOD, NULL);
    } else if (json_parse(job->chat->parser, request->body, &body) != OK ||
               json_type(body) != JSON_OBJECT) {
        job_problem(job, PROBLEM_BAD_JSON, NULL);
    } else {
        conversations_post(job, body);
    }
}

static void route_conversation(struct job *job)
{
    struct http_request *request = job->request;
    struct bytes cid;
    struct bytes rest;
    struct json body;
    bool known = split_path(request->path, &cid, &rest);
    bool messages = known && bytes_equal(rest, BYTES("messages"));
    bool events = known && bytes_equal(rest, BYTES("events"));
    bool read = known && bytes_equal(rest, BYTES("read"));
    bool sends = messages && request->method == HTTP_METHOD_POST;
    bool marks = read && request->method == HTTP_METHOD_PUT;
    if (!messages && !events && !read) {
        job_problem(job, PROBLEM_NOT_FOUND, NULL);
    } else if ((sends || marks) && (json_parse(job->chat->parser, request->body, &body) != OK ||
                                    json_type(body) != JSON_OBJECT)) {
        job_problem(job, PROBLEM_BAD_JSON, NULL);
    } else if (sends) {
        struct bytes key = http_header_get(request, BYTES("idempotency-key"), NULL);
        if (key.len >= 2 && key.ptr[0] == '"' && key.ptr[key.len - 1] == '"') {
            key = bytes_of(key.ptr + 1, key.len - 2); /* the draft's quoted form */
        }
        message_send(job, cid, key, body);
    } else if (marks) {
        read_put(job, cid, body);
    } else if (messages && request->method == HTTP_METHOD_GET) {
        messages_get(job, cid);
    } else if (events && request->method == HTTP_METHOD_GET) {
        events_get(job, cid);
    } else {
        job_problem(job, PROBLEM_BAD_METHOD, NULL);
    }
}

/* "/v1/conversations/{cid}/{rest}" */
static bool split_path(struct bytes path, struct bytes *cid, struct bytes *rest)
{
    const struct bytes prefix = BYTES("/v1/conversations/");
    if (!bytes_start_with(path, prefix)) {
        return false;
    }
    struct bytes tail = bytes_of(path.ptr + prefix.len, path.len - prefix.len);
    const uint8_t *slash = memchr(tail.ptr, '/', tail.len);
    if (slash == NULL || slash == tail.ptr || slash - tail.ptr > 64) {
        return false;
    }
    *cid = bytes_of(tail.ptr, (size_t)(slash - tail.ptr));
    *rest = bytes_of(slash + 1, tail.len - cid->len - 1);
    return true;
}

static struct bytes bearer(const struct http_request *request)
{
    struct bytes header = http_header_get(request, BYTES("authorization"), NULL);
    const struct bytes scheme = BYTES("Bearer ");
    return bytes_start_with(header, scheme)
               ? bytes_of(header.ptr + scheme.len, header.len - scheme.len)
               : BYTES_NONE;
}

/* A browser names its page's origin: it must be ours (the Host it called) or a listed one. Programs
 * name none. */
static bool origin_allowed(const struct chat *chat, const struct http_request *request)
{
    struct bytes origin = http_header_get(request, BYTES("origin"), NULL);
    struct bytes host = http_header_get(request, BYTES("host"), NULL);
    if (origin.len == 0) {
        return true;
    }
    struct bytes own = arena_printf(request->arena, "http://%.*s", BYTES_FMT(host));
    struct bytes own_tls = arena_printf(request->arena, "https://%.*s", BYTES_FMT(host));
    if (bytes_equal(origin, own) || bytes_equal(origin, own_tls)) {
        return true;
    }
    struct bytes list = chat->origins;
    while (list.len > 0) {
        const uint8_t *comma = memchr(list.ptr, ',', list.len);
        size_t len = comma == NULL ? list.len : (size_t)(comma - list.ptr);
        if (bytes_equal(origin, bytes_of(list.ptr, len))) {
            return true;
        }
        size_t taken = comma == NULL ? len : len + 1;
        list = bytes_of(list.ptr + taken, list.len - taken);
    }
    return false;
}

/* ---- jobs ---- */

struct job *job_new(struct chat_loop *chat, struct http_request *request, struct socket *socket)
{
    if (chat->jobs >= CHAT_JOBS_MAX) {
        return NULL;
    }
    struct job *job = chat->free_jobs;
    if (job != NULL) {
        chat->free_jobs = job->waiting;
    } else {
        job = mem_zalloc(1, sizeof(*job));
        arena_init(&job->arena, JOB_BYTES_MAX);
    }
    chat->jobs++;
    job->chat = chat;
    job->request = request;
    job->socket = socket;
    job->now_ms = clock_wall_ms();
    if (socket != NULL) {
        socket->jobs++;
    }
    return job;
}

void job_end(struct job *job)
{
    struct chat_loop *chat = job->chat;
    struct socket *socket = job->socket;
    struct arena arena = job->arena;
    buf_fini(&job->text);
    arena_reset(&arena);
    *job = (struct job){.arena = arena, .waiting = chat->free_jobs};
    chat->free_jobs = job;
    chat->jobs--;
    if (socket != NULL) {
        socket->jobs--;
        if (socket->ws == NULL && socket->jobs == 0) {
            mem_free(socket);
        }
    }
}

void job_start(struct job *job, const struct op *op, void *in, void (*next)(struct job *job))
{
    job->next = next;
    job->call =
        (struct op_call){.op = op, .arena = &job->arena, .in = in, .done = call_done, .user = job};
    client_start(job->chat->client, &job->call);
}

void job_get(struct job *job, struct bytes table, struct bytes pk, struct bytes sk,
             void (*next)(struct job *job))
{
    job->in.get = (struct get_item_in){
        .table_name = table, .key = key_item(&job->arena, pk, sk), .consistent_read = true};
    job_start(job, &op_get_item, &job->in.get, next);
}

static void call_done(struct op_call *call)
{
    struct job *job = call->user;
    job->next(job);
}

struct bytes job_item(const struct job *job)
{
    const struct get_item_out *out = job->call.out;
    return job->call.fault.code == FAULT_NONE && out->found ? out->item : BYTES_NONE;
}

bool job_failed(struct job *job)
{
    enum fault_code code = job->call.fault.code;
    if (code == FAULT_NONE || code == FAULT_CONDITION_FAILED ||
        code == FAULT_TRANSACTION_CANCELED) {
        return false;
    }
    bool busy = code == FAULT_THROUGHPUT_EXCEEDED || code == FAULT_THROTTLING ||
                code == FAULT_UNAVAILABLE || code == FAULT_TRANSACTION_CONFLICT;
    if (!busy) {
        NOTE(NOTE_ERROR, "chat.store", NOTE_S("operation", job->call.op->name),
             NOTE_S("fault", fault_wire_name(code)), NOTE_B("message", job->call.fault.message));
    }
    job_problem(job, busy ? PROBLEM_BUSY : PROBLEM_INTERNAL, NULL);
    return true;
}

void job_answer(struct job *job, unsigned status, bool replayed)
{
    struct chat_loop *chat = job->chat;
    if (job->request != NULL) {
        struct bytes head =
            replayed ? BYTES("Content-Type: application/json\r\nCache-Control: "
                             "no-store\r\nIdempotent-Replayed: true\r\n")
                     : BYTES("Content-Type: application/json\r\nCache-Control: no-store\r\n");
        http_respond(job->request, status, head, buf_bytes(&chat->out));
    } else if (job->socket->ws != NULL) {
        buf_clear(&chat->event);
        buf_printf(&chat->event, "{\"id\":%lld,\"%s\":", (long long)job->frame_id, job->frame_verb);
        buf_add(&chat->event, buf_bytes(&chat->out));
        buf_add_cstr(&chat->event, "}");
        IGNORE(ws_send(job->socket->ws,
                       buf_bytes(&chat->event))); /* closed or too slow: its end is coming */
    }
    job_end(job);
}

void job_problem(struct job *job, enum problem problem, const char *detail)
{
    struct chat_loop *chat = job->chat;
    buf_clear(&chat->out);
    add_problem(&chat->out, job, problem, detail);
    if (job->request != NULL) {
        struct bytes head =
            problem == PROBLEM_BUSY
                ? BYTES("Content-Type: application/problem+json\r\nCache-Control: "
                        "no-store\r\nRetry-After: 1\r\n")
                : BYTES("Content-Type: application/problem+json\r\nCache-Control: no-store\r\n");
        http_respond(job->request, problems[problem].status, head, buf_bytes(&chat->out));
        job_end(job);
        return;
    }
    job->frame_verb = "error";
    struct ws *ws = job->socket->ws;
    job_answer(job, problems[problem].status, false);
    if (problem == PROBLEM_BAD_TOKEN && ws != NULL) {
        ws_close(ws, 4500, BYTES("bad token"));
    }
}

static void add_problem(struct buf *out, const struct job *job, enum problem problem,
                        const char *detail)
{
    const struct problem_row *row = &problems[problem];
    (void)job;
    buf_printf(
        out,
        "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,\"code\":\"%s\",\"retryable\":%s",
        row->title, row->status, row->code, row->retryable ? "true" : "false");
    if (detail != NULL) {
        buf_add_cstr(out, ",\"detail\":");
        json_add_string(out, bytes_cstr(detail));
    }
    buf_add_cstr(out, "}");
}

/* Sockets whose session has ended are closed; who logs in again resumes. */
static void every_second(struct loop_timer *timer)
{
    struct chat_loop *chat =
        (struct chat_loop *)(void *)((char *)timer - offsetof(struct chat_loop, timer));
    uint64_t now_ms = clock_wall_ms();
    for (struct socket *socket = chat->sockets; socket != NULL; socket = socket->next) {
        if (socket->connected && socket->ws != NULL && now_ms >= socket->expires_ms) {
            ws_close(socket->ws, 4500, BYTES("session expired"));
        }
    }
    if (loop_timer_start(chat->loop, &chat->timer, 1000) != OK) {
        NOTE(NOTE_ERROR, "chat.timer");
    }
}

/* ---- requests ---- */

struct bytes query_parameter(const struct http_request *request, struct bytes name)
{
    struct bytes query = request->query;
    while (query.len > 0) {
        const uint8_t *end = memchr(query.ptr, '&', query.len);
        size_t len = end == NULL ? query.len : (size_t)(end - query.ptr);
        if (len > name.len && memcmp(query.ptr, name.ptr, name.len) == 0 &&
            query.ptr[name.len] == '=') {
            return bytes_of(query.ptr + name.len + 1, len - name.len - 1);
        }
        size_t taken = end == NULL ? len : len + 1;
        query = bytes_of(query.ptr + taken, query.len - taken);
    }
    return BYTES_NONE;
}

bool parse_number(struct bytes text, uint64_t *out)
{
    uint64_t number = 0;
    if (text.len == 0 || text.len > 15) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return false;
        }
        number = number * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    *out = number;
    return true;
}
