/* Sockets: the frames connect, send and ping, and who is connected where. A socket receives the
 * events of all its user's conversations; what it missed is sent after connect, conversation by
 * conversation, before the answer that names the ranges (chat I4, I5). */
#include "base/hash.h"
#include "base/mem.h"
#include "chat/chat_priv.h"

struct resume {
    struct bytes *cids;
    uint64_t *seqs;
    size_t count;
    size_t at;
    struct event_page page;
    uint64_t first;   /* of the conversation in turn */
    uint64_t reached; /* of it */
    size_t bytes;     /* of events sent, over all */
    bool recovered;   /* all so far */
};

#define RESUME_CONVERSATIONS_MAX 500u

static bool socket_line(struct socket *socket, struct bytes line);
static void frame_connect(struct job *job, struct json connect);
static void frame_send(struct job *job, struct json send);
static void connected(struct job *job);
static void resume_next(struct job *job);
static void resume_loaded(struct job *job);
static void register_socket(struct job *job);

void socket_open(struct chat_loop *chat, struct http_request *request)
{
    const struct ws_limits limits = {.message_max = CHAT_FRAME_MAX,
                                     .queue_max = CHAT_SOCKET_QUEUE_MAX,
                                     .ping_ms = chat->chat->ping_ms};
    struct socket *socket = mem_zalloc(1, sizeof(*socket));
    socket->chat = chat;
    socket->ws = http_upgrade(request, BYTES("chat.v1"), &limits, socket);
    if (socket->ws == NULL) {
        mem_free(socket);
        return;
    }
    socket->next = chat->sockets;
    if (chat->sockets != NULL) {
        chat->sockets->link = &socket->next;
    }
    socket->link = &chat->sockets;
    chat->sockets = socket;
}

void chat_ws_text(struct chat_loop *chat, struct ws *ws, void *user, struct bytes text)
{
    (void)ws;
    (void)chat;
    socket_text(user, text);
}

void chat_ws_closed(struct chat_loop *chat, struct ws *ws, void *user)
{
    (void)ws;
    socket_gone(chat, user);
}

/* One or more objects, one to a line; empty lines say nothing. */
void socket_text(struct socket *socket, struct bytes text)
{
    while (text.len > 0 && socket->ws != NULL) {
        const uint8_t *newline = memchr(text.ptr, '\n', text.len);
        size_t len = newline == NULL ? text.len : (size_t)(newline - text.ptr);
        if (len > 0 && !socket_line(socket, bytes_of(text.ptr, len))) {
            return;
        }
        size_t taken = newline == NULL ? len : len + 1;
        text = bytes_of(text.ptr + taken, text.len - taken);
    }
}

/* False: the socket is being closed. */
static bool socket_line(struct socket *socket, struct bytes line)
{
    struct chat_loop *chat = socket->chat;
    struct json frame;
    struct json id;
    struct json verb;
    struct job *job = job_new(chat, NULL, socket);
    if (job == NULL) {
        ws_close(socket->ws, 4008, BYTES("too many requests under way"));
        return false;
    }
    if (json_parse(chat->parser, line, &frame) != OK || json_type(frame) != JSON_OBJECT) {
        job_problem(job, PROBLEM_BAD_JSON, NULL);
        return true;
    }
    if (json_member(frame, BYTES("id"), &id) && json_type(id) == JSON_INTEGER) {
        job->frame_id = json_integer(id);
    }
    if (socket->jobs > CHAT_SOCKET_JOBS_MAX) {
        job_problem(job, PROBLEM_BUSY, "too many frames of this socket are under way");
    } else if (json_member(frame, BYTES("connect"), &verb) && json_type(verb) == JSON_OBJECT) {
        frame_connect(job, verb);
    } else if (!socket->connected) {
        job_problem(job, PROBLEM_BAD_TOKEN, "connect first");
    } else if (json_member(frame, BYTES("send"), &verb) && json_type(verb) == JSON_OBJECT) {
        frame_send(job, verb);
    } else if (json_member(frame, BYTES("ping"), &verb)) {
        job->frame_verb = "pong";
        buf_clear(&chat->out);
        buf_add_cstr(&chat->out, "{}");
        job_answer(job, 200, false);
    } else {
        job_problem(job, PROBLEM_BAD_FRAME, NULL);
    }
    return true;
}

static void frame_send(struct job *job, struct json send)
{
    struct json conversation;
    struct json key;
    struct bytes key_text = BYTES_NONE;
    job->frame_verb = "send";
    job->user = (struct person){bytes_of(job->socket->user_id, CHAT_ID_LEN),
                                bytes_of(job->socket->handle, job->socket->handle_len)};
    job->user.id = arena_dup(&job->arena, job->user.id);
    job->user.handle = arena_dup(&job->arena, job->user.handle);
    if (!json_member(send, BYTES("c"), &conversation) || json_type(conversation) != JSON_STRING ||
        json_string(conversation).len < 1 || json_string(conversation).len > 64) {
        job_problem(job, PROBLEM_BAD_FIELD, "send.c must be a conversation's id");
        return;
    }
    if (json_member(send, BYTES("key"), &key)) {
        if (json_type(key) != JSON_STRING) {
            job_problem(job, PROBLEM_BAD_FIELD, "send.key must be a string");
            return;
        }
        key_text = json_string(key);
    }
    message_send(job, json_string(conversation), key_text, send);
}

/* ---- connect and resume ---- */

static void frame_connect(struct job *job, struct json connect)
{
    struct json token;
    struct json resume;
    struct json conversations;
    struct resume *state = arena_zalloc(&job->arena, sizeof(*state));
    job->frame_verb = "connect";
    if (state == NULL || job->socket->connecting || !json_member(connect, BYTES("token"), &token) ||
        json_type(token) != JSON_STRING) {
        job_problem(job, PROBLEM_BAD_TOKEN, "connect once, with a token");
        return;
    }
    job->socket->connecting = true;
    state->recovered = true;
    if (json_member(connect, BYTES("resume"), &resume) && json_type(resume) == JSON_OBJECT &&
        json_member(resume, BYTES("conv"), &conversations) &&
        json_type(conversations) == JSON_OBJECT) {
        struct json_iter iter = json_iter_of(conversations);
        size_t count = json_count(conversations);
        struct bytes cid;
        struct json seq;
        if (count > RESUME_CONVERSATIONS_MAX) {
            job_problem(job, PROBLEM_BAD_FIELD, "resume.conv may name 500 conversations");
            return;
        }
        state->cids = arena_zalloc(&job->arena, (count + 1) * sizeof(state->cids[0]));
        state->seqs = arena_zalloc(&job->arena, (count + 1) * sizeof(state->seqs[0]));
        while (state->cids != NULL && state->seqs != NULL && json_next_member(&iter, &cid, &seq)) {
            if (json_type(seq) != JSON_INTEGER || json_integer(seq) < 0 || cid.len > 64) {
                job_problem(job, PROBLEM_BAD_FIELD,
                            "resume.conv must map conversations to sequence numbers");
                return;
            }
            state->cids[state->count] = arena_dup(&job->arena, cid);
            state->seqs[state->count++] = (uint64_t)json_integer(seq);
        }
    }
    struct bytes copy = arena_dup(&job->arena, json_string(token));
    job->resume = state;
    authenticate(job, copy, connected);
}

static void connected(struct job *job)
{
    if (job->socket->ws == NULL) {
        job_end(job); /* it left meanwhile */
        return;
    }
    /* Registered before heads are read: an event is either pushed or found, or both; the client
     * drops what it has. */
    register_socket(job);
    job->flow = job->resume;
    buf_init(&job->text, 1u << 20);
    buf_printf(&job->text,
               "{\"session\":\"%.16s\",\"ping\":%u,\"pong\":true,\"max_frame\":%u,\"user\":",
               job->token_hash, job->chat->chat->ping_ms / 1000, CHAT_FRAME_MAX);
    add_person(&job->text, &job->user);
    buf_add_cstr(&job->text, ",\"conv\":{");
    resume_next(job);
}

static void register_socket(struct job *job)
{
    struct socket *socket = job->socket;
    struct socket **bucket = &job->chat->by_user[hash_key(job->user.id) % CHAT_BUCKETS];
    memcpy(socket->user_id, job->user.id.ptr, CHAT_ID_LEN);
    socket->handle_len =
        job->user.handle.len < CHAT_HANDLE_MAX ? job->user.handle.len : CHAT_HANDLE_MAX;
    memcpy(socket->handle, job->user.handle.ptr, socket->handle_len);
    socket->connected = true;
    socket->next_of_user = *bucket;
    *bucket = socket;
    atomic_fetch_add_explicit(&job->chat->chat->sockets, 1, memory_order_relaxed);
}

static void resume_next(struct job *job)
{
    struct resume *resume = job->resume;
    if (job->socket->ws == NULL) {
        job_end(job);
        return;
    }
    if (resume->at == resume->count) {
        buf_printf(&job->text, "},\"recovered\":%s}", resume->recovered ? "true" : "false");
        buf_clear(&job->chat->out);
        buf_add(&job->chat->out, buf_bytes(&job->text));
        job_answer(job, 200, false);
        return;
    }
    resume->first = resume->seqs[resume->at];
    resume->reached = resume->first;
    /* With no room left for events only the head is of interest. */
    bool room = resume->bytes < CHAT_RESUME_BYTES_MAX;
    resume->page = (struct event_page){.cid = resume->cids[resume->at],
                                       .after = room ? resume->first : UINT64_MAX,
                                       .limit = CHAT_PAGE_MAX,
                                       .next = resume_loaded};
    events_load(job, &resume->page);
}

static void resume_loaded(struct job *job)
{
    struct resume *resume = job->resume;
    struct event_page *page = &resume->page;
    struct buf *out = &job->chat->event;
    bool fits = !page->denied && page->head.seq <= resume->first + CHAT_RESUME_MAX;
    for (size_t i = 0; i < page->count && fits; i++) {
        buf_clear(out);
        buf_add_cstr(out, "{\"ev\":");
        add_event(out, page->cid, &page->rows[i], &page->head);
        buf_add_cstr(out, "}");
        fits = resume->bytes + out->len <= CHAT_RESUME_BYTES_MAX;
        if (fits && (job->socket->ws == NULL || ws_send(job->socket->ws, buf_bytes(out)) != OK)) {
            job_end(job); /* it has left, or reads too slowly and is being closed */
            return;
        }
        resume->bytes += out->len;
        resume->reached = fits ? page->rows[i].seq : resume->reached;
    }
    if (fits && page->count > 0 && resume->reached < page->head.seq) {
        page->after = resume->reached;
        page->tries = 0;
        events_load(job, page);
        return;
    }
    bool recovered = !page->denied && resume->reached >= page->head.seq;
    resume->recovered = resume->recovered && recovered;
    buf_add_cstr(&job->text, resume->at == 0 ? "" : ",");
    json_add_string(&job->text, page->cid);
    buf_printf(&job->text, ":{\"from\":%llu,\"to\":%llu,\"recovered\":%s}",
               (unsigned long long)resume->first + 1, (unsigned long long)page->head.seq,
               recovered ? "true" : "false");
    resume->at++;
    resume_next(job);
}

/* ---- leaving ---- */

void socket_gone(struct chat_loop *chat, struct socket *socket)
{
    ASSERT_OWNER(&chat->owner);
    socket->ws = NULL;
    if (socket->connected) {
        struct socket **link =
            &chat->by_user[hash_key(bytes_of(socket->user_id, CHAT_ID_LEN)) % CHAT_BUCKETS];
        while (*link != socket) {
            link = &(*link)->next_of_user;
        }
        *link = socket->next_of_user;
        socket->connected = false;
        atomic_fetch_sub_explicit(&chat->chat->sockets, 1, memory_order_relaxed);
    }
    *socket->link = socket->next;
    if (socket->next != NULL) {
        socket->next->link = socket->link;
    }
    if (socket->jobs == 0) {
        mem_free(socket);
    }
}

struct socket *sockets_of(struct chat_loop *chat, struct bytes uid)
{
    ASSERT_OWNER(&chat->owner);
    return uid.len == CHAT_ID_LEN ? chat->by_user[hash_key(uid) % CHAT_BUCKETS] : NULL;
}

void sockets_close_token(struct chat_loop *chat, struct bytes hash)
{
    ASSERT_OWNER(&chat->owner);
    for (struct socket *socket = chat->sockets; socket != NULL; socket = socket->next) {
        struct bytes own = bytes_of(socket->token_hash, sizeof(socket->token_hash));
        if (socket->ws != NULL && bytes_equal(own, hash)) {
            ws_close(socket->ws, 4503, BYTES("logged out"));
        }
    }
}
