/* Jobs, routing and answers: what every chat request goes through (chat I8, I11). */
#include "base/mem.h"
#include "base/note.h"
#include "chat/chat_priv.h"
#include "sys/clock.h"

#include <stdio.h>
#include <strings.h>

/* A page of the longest messages, each byte of text escaped to six, fits. */
#define OUT_BYTES_MAX (32u << 20)
#define JOB_BYTES_MAX (32u << 20)
#define SESSION_MS 43200000u /* 12 hours */
#define KEY_MS 604800000u    /* 7 days */

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

/* What a path and a method are answered by. A path is looked up by its parts: {c} stands for one
 * conversation. */
struct route {
    struct bytes path; /* all of it, or what follows /v1/conversations/{c}/ */
    bool in_conversation;
    bool open; /* needs no session */
    bool body; /* a JSON object comes with it */
    enum http_verb method;
    const char *method_name;
    void (*run)(struct job *job, struct json body);
};

#define ROUTE(path, in_conversation, open, body, method, run)                                      \
    {                                                                                              \
        BYTES_INIT(path), in_conversation, open, body, HTTP_METHOD_##method, #method, run          \
    }
static const struct route routes[] = {
    ROUTE("/v1/users", false, true, true, POST, users_post),
    ROUTE("/v1/sessions", false, true, true, POST, sessions_post),
    ROUTE("/v1/sessions/current", false, false, false, DELETE, sessions_delete),
    ROUTE("/v1/conversations", false, false, true, POST, conversations_post),
    ROUTE("/v1/conversations", false, false, false, GET, conversations_get),
    ROUTE("messages", true, false, true, POST, messages_post),
    ROUTE("messages", true, false, false, GET, messages_get),
    ROUTE("events", true, false, false, GET, events_get),
    ROUTE("read", true, false, true, PUT, read_put),
};
#define ROUTE_COUNT (sizeof(routes) / sizeof(routes[0]))

static const struct route *find_route(struct job *job);
static void run_route(struct job *job);
static struct bytes bearer(const struct http_request *request);
static bool split_path(struct bytes path, struct bytes *cid, struct bytes *rest);
static void call_done(struct op_call *call);
static void answer_frame(struct job *job);
static void every_second(struct loop_timer *timer);
static void add_problem(struct buf *out, enum problem problem, const char *detail);
static bool origin_allowed(const struct chat *chat, const struct http_request *request);

enum err chat_open(const struct chat_options *options, struct chat **out)
{
    struct chat *chat = mem_zalloc(1, sizeof(*chat));
    chat->ping_ms = options->ping_ms;
    chat->origins = options->origins;
    chat->session_ms = options->session_ms == 0 ? SESSION_MS : options->session_ms;
    chat->key_ms = options->key_ms == 0 ? KEY_MS : options->key_ms;
    *out = chat;
    chat->hashers = pool_open(CHAT_HASHES_MAX, CHAT_HASH_QUEUE_MAX, "hasher");
    return OK;
}

void chat_stop(struct chat *chat)
{
    atomic_store_explicit(&chat->stopping, true, memory_order_relaxed);
}

void chat_close(struct chat *chat)
{
    if (chat != NULL) {
        if (chat->hashers != NULL) {
            pool_close(chat->hashers);
        }
        mem_free(chat);
    }
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
        buf_clear(&chat->out);
        add_problem(&chat->out, PROBLEM_BUSY, NULL);
        http_respond(request, 503,
                     BYTES("Content-Type: application/problem+json\r\nRetry-After: 1\r\n"),
                     buf_bytes(&chat->out));
        return;
    }
    if (!origin_allowed(chat->chat, request)) {
        job_problem(job, PROBLEM_BAD_ORIGIN, NULL);
        return;
    }
    if (bytes_equal(request->path, BYTES("/v1/ws"))) {
        job_end(job);
        socket_open(chat, request);
        return;
    }
    job->route = find_route(job);
    if (job->route == NULL) {
        return;
    }
    if (job->route->open) {
        run_route(job);
    } else {
        authenticate(job, bearer(request), run_route);
    }
}

/* NULL: the job is answered. */
static const struct route *find_route(struct job *job)
{
    struct http_request *request = job->request;
    struct bytes rest = BYTES_NONE;
    bool in_conversation = split_path(request->path, &job->cid, &rest);
    struct bytes path = in_conversation ? rest : request->path;
    struct bytes allow = BYTES("");
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        const struct route *route = &routes[i];
        if (route->in_conversation != in_conversation || !bytes_equal(route->path, path)) {
            continue;
        }
        if (route->method == request->method) {
            return route;
        }
        allow = arena_printf(&job->arena, "%.*s%s%s", BYTES_FMT(allow), allow.len > 0 ? ", " : "",
                             route->method_name);
    }
    if (allow.len > 0) {
        job->extra_head = arena_printf(&job->arena, "Allow: %.*s\r\n", BYTES_FMT(allow));
    }
    job_problem(job, allow.len > 0 ? PROBLEM_BAD_METHOD : PROBLEM_NOT_FOUND, NULL);
    return NULL;
}

/* The user is known where the route needs one. A body must say that it is JSON: no form of another
 * site's page can. */
static void run_route(struct job *job)
{
    struct http_request *request = job->request;
    struct json body = {0};
    if (job->route->body) {
        struct bytes type = http_header_get(request, BYTES("content-type"), NULL);
        const struct bytes wanted = BYTES("application/json");
        bool json =
            type.len >= wanted.len &&
            strncasecmp((const char *)type.ptr, (const char *)wanted.ptr, wanted.len) == 0 &&
            (type.len == wanted.len || strchr("; ", type.ptr[wanted.len]) != NULL);
        if (!json) {
            job_problem(job, PROBLEM_BAD_TYPE, NULL);
            return;
        }
        if (json_parse(job->chat->parser, request->body, &body) != OK ||
            json_type(body) != JSON_OBJECT) {
            job_problem(job, PROBLEM_BAD_JSON, NULL);
            return;
        }
    }
    job->route->run(job, body);
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
    ASSERT_OWNER(&chat->owner);
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
    job_step(call->user);
}

/* A call may end before job_start has returned, and its next step may start another one: steps take
 * turns here instead of nesting, so that a thousand of them need no more stack than one. */
void job_step(struct job *job)
{
    struct chat_loop *chat = job->chat;
    job->waiting = NULL;
    if (chat->first_ready == NULL) {
        chat->first_ready = job;
    } else {
        chat->last_ready->waiting = job;
    }
    chat->last_ready = job;
    if (chat->stepping) {
        return;
    }
    chat->stepping = true;
    while (chat->first_ready != NULL) {
        struct job *first = chat->first_ready;
        chat->first_ready = first->waiting;
        first->next(first);
    }
    chat->stepping = false;
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
    bool busy = code == FAULT_THROUGHPUT_EXCEEDED || code == FAULT_DISK_FULL ||
                code == FAULT_LOG_FULL || code == FAULT_THROTTLING || code == FAULT_UNAVAILABLE ||
                code == FAULT_TRANSACTION_CONFLICT;
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
    if (chat->out.failed || job->text.failed || job->arena.failed) {
        NOTE(NOTE_ERROR, "chat.answer_not_whole");
        job_problem(job, PROBLEM_INTERNAL, NULL);
        return;
    }
    if (job->request != NULL) {
        struct bytes head =
            replayed ? BYTES("Content-Type: application/json\r\nCache-Control: "
                             "no-store\r\nIdempotent-Replayed: true\r\n")
                     : BYTES("Content-Type: application/json\r\nCache-Control: no-store\r\n");
        http_respond(job->request, status, head, buf_bytes(&chat->out));
    } else {
        answer_frame(job);
    }
    job_end(job);
}

/* chat->out under the frame's id and verb. */
static void answer_frame(struct job *job)
{
    struct chat_loop *chat = job->chat;
    if (job->socket->ws == NULL) {
        return;
    }
    buf_clear(&chat->event);
    buf_printf(&chat->event, "{\"id\":%lld,\"%s\":", (long long)job->frame_id, job->frame_verb);
    buf_add(&chat->event, buf_bytes(&chat->out));
    buf_add_cstr(&chat->event, "}");
    IGNORE(ws_send(job->socket->ws,
                   buf_bytes(&chat->event))); /* closed or too slow: its end is coming */
}

void job_problem(struct job *job, enum problem problem, const char *detail)
{
    struct chat_loop *chat = job->chat;
    const struct problem_row *row = &problems[problem];
    buf_clear(&chat->out);
    add_problem(&chat->out, problem, detail);
    if (job->request != NULL) {
        const char *more = row->status == 401   ? "WWW-Authenticate: Bearer\r\n"
                           : row->status == 503 ? "Retry-After: 1\r\n"
                                                : "";
        struct bytes head = arena_printf(&job->arena,
                                         "Content-Type: application/problem+json\r\nCache-Control: "
                                         "no-store\r\n%s%.*s",
                                         more, BYTES_FMT(job->extra_head));
        http_respond(job->request, row->status, head, buf_bytes(&chat->out));
    } else {
        job->frame_verb = "error";
        answer_frame(job);
        if (problem == PROBLEM_BAD_TOKEN && job->socket->ws != NULL) {
            ws_close(job->socket->ws, 4500, BYTES("bad token"));
        }
    }
    job_end(job);
}

static void add_problem(struct buf *out, enum problem problem, const char *detail)
{
    const struct problem_row *row = &problems[problem];
    buf_printf(
        out,
        "{\"type\":\"urn:headwater:problem:%s\",\"title\":\"%s\",\"status\":%u,\"code\":\"%s\","
        "\"retryable\":%s",
        row->code, row->title, row->status, row->code, row->retryable ? "true" : "false");
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
