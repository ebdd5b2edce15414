/* Accounts and sessions. A password is kept as argon2id's encoded hash, made and checked on a
 * worker; a session token is 32 random bytes of which only the SHA-256 is kept, in chat_user, for
 * 12 hours (chat I10). */
#include "base/base64.h"
#include "base/digest.h"
#include "base/hash.h"
#include "chat/chat_priv.h"
#include "sys/random.h"

#include <argon2.h>
#include <ctype.h>

/* 19 MiB, 2 passes, 1 lane: the first choice of common advice for argon2id. */
#define HASH_PASSES 2u
#define HASH_KIB 19456u
#define HASH_LANES 1u
#define HASH_ENCODED_MAX 128u
#define TOKEN_LEN 32u

struct account {
    struct bytes handle; /* as it will be shown */
    struct bytes folded; /* lower case: what must be unique */
    struct bytes password;
    char id[CHAT_ID_LEN];
    char hash[HASH_ENCODED_MAX];
    uint8_t salt[16];
    bool known;
    bool right;
};

struct session {
    char token[TOKEN_LEN * 2];
    uint64_t expires_ms;
    struct account *account;
};

static struct account *account_read(struct job *job, struct json body, bool creating);
static void hash_run(struct work *work);
static void hash_done(struct work *work);
static void user_hashed(struct job *job);
static void user_written(struct job *job);
static void session_handle_read(struct job *job);
static void session_auth_read(struct job *job);
static void verify_run(struct work *work);
static void session_verified(struct job *job);
static void session_written(struct job *job);
static void session_removed(struct job *job);
static void token_read(struct job *job);
static _Atomic uint64_t *attempt_slot(struct job *job, const struct account *account);
static bool attempt_take(struct job *job, const struct account *account);
static void attempt_give_back(struct job *job, const struct account *account);
static void submit(struct job *job, void (*run)(struct work *work), void (*next)(struct job *job));

void users_post(struct job *job, struct json body)
{
    struct account *account = account_read(job, body, true);
    if (account == NULL) {
        return;
    }
    job->flow = account;
    make_id(job->now_ms, account->id);
    random_fill(account->salt, sizeof(account->salt));
    submit(job, hash_run, user_hashed);
}

/* The handle and the password of a request; the job is answered when they will not do. */
static struct account *account_read(struct job *job, struct json body, bool creating)
{
    struct json handle;
    struct json password;
    if (!json_member(body, BYTES("handle"), &handle) || json_type(handle) != JSON_STRING) {
        job_problem(job, PROBLEM_BAD_FIELD, "handle must be a string");
        return NULL;
    }
    if (!json_member(body, BYTES("password"), &password) || json_type(password) != JSON_STRING) {
        job_problem(job, PROBLEM_BAD_FIELD, "password must be a string");
        return NULL;
    }
    struct account *account = arena_zalloc(&job->arena, sizeof(*account));
    uint8_t *folded = arena_alloc(&job->arena, CHAT_HANDLE_MAX);
    if (account == NULL || folded == NULL) {
        job_problem(job, PROBLEM_INTERNAL, NULL);
        return NULL;
    }
    account->handle = arena_dup(&job->arena, json_string(handle));
    account->password = arena_dup(&job->arena, json_string(password));
    bool fits = account->handle.len >= CHAT_HANDLE_MIN && account->handle.len <= CHAT_HANDLE_MAX;
    for (size_t i = 0; fits && i < account->handle.len; i++) {
        int c = account->handle.ptr[i];
        fits = (c < 128 && isalnum(c)) || c == '_' || c == '-' || c == '.';
        folded[i] = (uint8_t)tolower(c);
    }
    account->folded = bytes_of(folded, fits ? account->handle.len : 0);
    size_t len = account->password.len;
    if (creating && !fits) {
        job_problem(job, PROBLEM_BAD_FIELD,
                    "handle must be 2 to 32 of a-z, A-Z, 0-9, '_', '-' and '.'");
        return NULL;
    }
    if (creating && (len < CHAT_PASSWORD_MIN || len > CHAT_PASSWORD_MAX)) {
        job_problem(job, PROBLEM_BAD_FIELD, "password must be 8 to 1024 bytes long");
        return NULL;
    }
    if (!fits || len == 0 || len > CHAT_PASSWORD_MAX) {
        job_problem(job, PROBLEM_BAD_CREDENTIALS, NULL);
        return NULL;
    }
    return account;
}

static void submit(struct job *job, void (*run)(struct work *work), void (*next)(struct job *job))
{
    job->next = next;
    job->work = (struct work){.home = loop_mailbox(job->chat->loop), .run = run, .done = hash_done};
    if (pool_submit(job->chat->chat->hashers, &job->work) != OK) {
        job_problem(job, PROBLEM_BUSY, NULL);
    }
}

static struct job *job_of(struct work *work)
{
    return (struct job *)(void *)((char *)work - offsetof(struct job, work));
}

static bool is_stopping(struct work *work)
{
    return atomic_load_explicit(&job_of(work)->chat->chat->stopping, memory_order_relaxed);
}

static void hash_run(struct work *work)
{
    struct account *account = job_of(work)->flow;
    account->right =
        !is_stopping(work) &&
        argon2id_hash_encoded(HASH_PASSES, HASH_KIB, HASH_LANES, account->password.ptr,
                              account->password.len, account->salt, sizeof(account->salt), 32,
                              account->hash, sizeof(account->hash)) == ARGON2_OK;
}

static void hash_done(struct work *work)
{
    job_step(job_of(work));
}

/* Profile, secret and the lock on the handle in one transaction: the lock's condition is what makes
 * a handle unique. */
static void user_hashed(struct job *job)
{
    struct account *account = job->flow;
    struct arena *arena = &job->arena;
    struct bytes id = bytes_of(account->id, sizeof(account->id));
    struct transact_action *actions = arena_zalloc(arena, 3 * sizeof(*actions));
    if (actions == NULL || !account->right) {
        job_problem(job, PROBLEM_INTERNAL, NULL);
        return;
    }
    struct item_build build;
    bool failed = false;
    for (size_t i = 0; i < 3; i++) {
        actions[i] = (struct transact_action){.kind = TRANSACT_PUT,
                                              .table_name = TABLE_USER,
                                              .condition = BYTES("attribute_not_exists(pk)")};
        item_build_init(&build, arena);
        item_build_s(&build, BYTES("pk"),
                     i == 0 ? key_handle(arena, account->folded) : key_user(arena, id));
        item_build_s(&build, BYTES("sk"),
                     i == 0   ? BYTES("#")
                     : i == 1 ? BYTES("#PROFILE")
                              : BYTES("#AUTH"));
        if (i == 0) {
            item_build_s(&build, BYTES("uid"), id);
        }
        if (i < 2) {
            item_build_s(&build, BYTES("handle"), account->handle);
            item_build_i64(&build, BYTES("created"), (int64_t)job->now_ms);
        } else {
            item_build_s(&build, BYTES("hash"), bytes_cstr(account->hash));
        }
        failed |= item_build_end(&build, &actions[i].item) != OK;
    }
    if (failed) {
        job_problem(job, PROBLEM_INTERNAL, NULL);
        return;
    }
    job->in.transact = (struct transact_write_in){.actions = actions, .count = 3};
    job_start(job, &op_transact_write_items, &job->in.transact, user_written);
}

static void user_written(struct job *job)
{
    struct account *account = job->flow;
    if (job_failed(job)) {
        return;
    }
    if (job->call.fault.code != FAULT_NONE) {
        job_problem(job, PROBLEM_HANDLE_TAKEN, NULL);
        return;
    }
    atomic_fetch_add_explicit(&job->chat->chat->users, 1, memory_order_relaxed);
    const struct person person = {bytes_of(account->id, sizeof(account->id)), account->handle};
    buf_clear(&job->chat->out);
    add_person(&job->chat->out, &person);
    job_answer(job, 201, false);
}

void sessions_post(struct job *job, struct json body)
{
    struct account *account = account_read(job, body, false);
    if (account == NULL || !attempt_take(job, account)) {
        return;
    }
    job->flow = account;
    job_get(job, TABLE_USER, key_handle(&job->arena, account->folded), BYTES("#"),
            session_handle_read);
}

static void session_handle_read(struct job *job)
{
    struct account *account = job->flow;
    struct bytes id;
    if (job_failed(job)) {
        return;
    }
    struct bytes item = job_item(job);
    account->known = item_string(item, BYTES("uid"), &id) && id.len == CHAT_ID_LEN &&
                     item_string(item, BYTES("handle"), &account->handle);
    if (!account->known) {
        /* The same work for an unknown handle, so that time does not tell which handles exist. */
        random_fill(account->salt, sizeof(account->salt));
        submit(job, hash_run, session_verified);
        return;
    }
    memcpy(account->id, id.ptr, CHAT_ID_LEN);
    job_get(job, TABLE_USER, key_user(&job->arena, id), BYTES("#AUTH"), session_auth_read);
}

static void session_auth_read(struct job *job)
{
    struct account *account = job->flow;
    struct bytes hash;
    if (job_failed(job)) {
        return;
    }
    if (!item_string(job_item(job), BYTES("hash"), &hash) || hash.len >= sizeof(account->hash)) {
        job_problem(job, PROBLEM_BAD_CREDENTIALS, NULL);
        return;
    }
    memcpy(account->hash, hash.ptr, hash.len);
    account->hash[hash.len] = 0;
    submit(job, verify_run, session_verified);
}

static void verify_run(struct work *work)
{
    struct account *account = job_of(work)->flow;
    account->right = !is_stopping(work) && argon2id_verify(account->hash, account->password.ptr,
                                                           account->password.len) == ARGON2_OK;
}

static void session_verified(struct job *job)
{
    struct account *account = job->flow;
    struct arena *arena = &job->arena;
    if (!account->known || !account->right) {
        job_problem(job, PROBLEM_BAD_CREDENTIALS, NULL);
        return;
    }
    attempt_give_back(job, account);
    struct session *session = arena_zalloc(arena, sizeof(*session));
    if (session == NULL) {
        job_problem(job, PROBLEM_INTERNAL, NULL);
        return;
    }
    uint8_t random[TOKEN_LEN];
    uint8_t hash[SHA256_LEN];
    random_fill(random, sizeof(random));
    digest_hex(bytes_of(random, sizeof(random)), session->token);
    digest_sha256(bytes_of(session->token, sizeof(session->token)), hash);
    digest_hex(bytes_of(hash, sizeof(hash)), job->token_hash);
    session->expires_ms = job->now_ms + job->chat->chat->session_ms;
    session->account = account;
    job->flow = session;
    struct item_build build;
    item_build_init(&build, arena);
    item_build_s(&build, BYTES("pk"), key_token(arena, job->token_hash));
    item_build_s(&build, BYTES("sk"), BYTES("#"));
    item_build_s(&build, BYTES("uid"), bytes_of(account->id, CHAT_ID_LEN));
    item_build_s(&build, BYTES("handle"), account->handle);
    item_build_i64(&build, BYTES("expires"), (int64_t)session->expires_ms);
    job->in.put = (struct put_item_in){.table_name = TABLE_USER};
    if (item_build_end(&build, &job->in.put.item) != OK) {
        job_problem(job, PROBLEM_INTERNAL, NULL);
        return;
    }
    job_start(job, &op_put_item, &job->in.put, session_written);
}

static void session_written(struct job *job)
{
    struct session *session = job->flow;
    if (job_failed(job)) {
        return;
    }
    atomic_fetch_add_explicit(&job->chat->chat->sessions, 1, memory_order_relaxed);
    const struct person person = {bytes_of(session->account->id, CHAT_ID_LEN),
                                  session->account->handle};
    struct buf *out = &job->chat->out;
    buf_clear(out);
    buf_add_cstr(out, "{\"token\":");
    json_add_string(out, bytes_of(session->token, sizeof(session->token)));
    buf_add_cstr(out, ",\"user\":");
    add_person(out, &person);
    buf_add_cstr(out, ",\"expires\":");
    add_time(out, session->expires_ms);
    buf_add_cstr(out, "}");
    job_answer(job, 201, false);
}

/* ---- guesses ---- */

/* Each attempt takes one of a few places, which come back one a minute; a right password gives its
 * own back. So a guesser is slowed to 60 an hour before any hash is made, and nobody can lock
 * somebody else out from another address. Handles that share a slot share the limit. */
static _Atomic uint64_t *attempt_slot(struct job *job, const struct account *account)
{
    struct bytes who = arena_printf(&job->arena, "%.*s|%.*s", BYTES_FMT(account->folded),
                                    BYTES_FMT(job->request->peer));
    return &job->chat->chat->attempts[hash_key(who) % CHAT_ATTEMPT_SLOTS];
}

static bool attempt_take(struct job *job, const struct account *account)
{
    const uint64_t span_ms = (uint64_t)CHAT_ATTEMPTS_MAX * CHAT_ATTEMPT_MS;
    _Atomic uint64_t *slot = attempt_slot(job, account);
    uint64_t free_at = atomic_load_explicit(slot, memory_order_relaxed);
    for (;;) {
        /* Further ahead than it can be: the clock was set back. */
        bool past = free_at < job->now_ms || free_at > job->now_ms + span_ms;
        uint64_t wanted = (past ? job->now_ms : free_at) + CHAT_ATTEMPT_MS;
        if (wanted > job->now_ms + span_ms) {
            uint64_t seconds = (wanted - job->now_ms - span_ms + 999) / 1000;
            job->extra_head =
                arena_printf(&job->arena, "Retry-After: %llu\r\n", (unsigned long long)seconds);
            struct bytes detail =
                arena_printf(&job->arena, "try again in %llu s%c", (unsigned long long)seconds, 0);
            job_problem(job, PROBLEM_MANY_ATTEMPTS, (const char *)detail.ptr);
            return false;
        }
        if (atomic_compare_exchange_weak_explicit(slot, &free_at, wanted, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            return true;
        }
    }
}

static void attempt_give_back(struct job *job, const struct account *account)
{
    _Atomic uint64_t *slot = attempt_slot(job, account);
    uint64_t free_at = atomic_load_explicit(slot, memory_order_relaxed);
    while (free_at >= CHAT_ATTEMPT_MS &&
           !atomic_compare_exchange_weak_explicit(slot, &free_at, free_at - CHAT_ATTEMPT_MS,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

/* ---- sessions ---- */

void sessions_delete(struct job *job, struct json body)
{
    (void)body;
    job->in.remove = (struct delete_item_in){
        .table_name = TABLE_USER,
        .key = key_item(&job->arena, key_token(&job->arena, job->token_hash), BYTES("#"))};
    job_start(job, &op_delete_item, &job->in.remove, session_removed);
}

static void session_removed(struct job *job)
{
    if (job_failed(job)) {
        return;
    }
    buf_clear(&job->chat->out);
    job_answer(job, 204, false);
}

void authenticate(struct job *job, struct bytes token, void (*next)(struct job *job))
{
    uint8_t hash[SHA256_LEN];
    if (token.len != (size_t)2 * TOKEN_LEN) {
        job_problem(job, PROBLEM_BAD_TOKEN, NULL);
        return;
    }
    digest_sha256(token, hash);
    digest_hex(bytes_of(hash, sizeof(hash)), job->token_hash);
    void (**after)(struct job *) = arena_alloc(&job->arena, sizeof(*after));
    if (after == NULL) {
        job_problem(job, PROBLEM_INTERNAL, NULL);
        return;
    }
    *after = next;
    job->flow = after;
    if (job->socket != NULL) {
        memcpy(job->socket->token_hash, job->token_hash, sizeof(job->token_hash));
    }
    job_get(job, TABLE_USER, key_token(&job->arena, job->token_hash), BYTES("#"), token_read);
}

static void token_read(struct job *job)
{
    void (**after)(struct job *) = job->flow;
    uint64_t expires = 0;
    if (job_failed(job)) {
        return;
    }
    struct bytes item = job_item(job);
    if (!item_string(item, BYTES("uid"), &job->user.id) || job->user.id.len != CHAT_ID_LEN ||
        !item_string(item, BYTES("handle"), &job->user.handle) ||
        !item_number(item, BYTES("expires"), &expires) || expires <= job->now_ms) {
        job_problem(job, PROBLEM_BAD_TOKEN, NULL);
        return;
    }
    if (job->socket != NULL) {
        job->socket->expires_ms = expires;
    }
    (*after)(job);
}
