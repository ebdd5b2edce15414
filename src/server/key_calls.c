/* The calls about managed keys: see key_calls.h. The secret of a key is in the answer of its
 * CreateKey and nowhere else (server I6). */
#include "base/note.h"
#include "server/authorise.h"
#include "sys/clock.h"

#include <stdio.h>

struct key_op {
    const char *name;
    const char *action;
    bool lists;
    enum key_change_kind kind;
};

/* A change on its way; lives in its request's arena. */
struct key_call {
    struct message message; /* first */
    struct key_call *next;
    struct loop_state *state; /* where it came from and is answered */
    struct http_request *request;
    struct key_change change;
    const struct managed_key *touched; /* valid until the answer */
    struct fault fault;
};

static const struct key_op ops[] = {
    {"Headwater_20261130.CreateKey", "headwater:CreateKey", false, KEY_CREATE},
    {"Headwater_20261130.UpdateKey", "headwater:UpdateKey", false, KEY_UPDATE},
    {"Headwater_20261130.DeleteKey", "headwater:DeleteKey", false, KEY_DELETE},
    {"Headwater_20261130.ListKeys", "headwater:ListKeys", true, KEY_CREATE},
};

static bool read_change(const struct key_op *op, struct json root, struct arena *arena,
                        struct key_change *change, struct fault *fault);
static void answer_list(struct loop_state *state, struct http_request *request);
static void add_key(struct buf *out, const struct managed_key *key);
static void call_arrives(struct message *message);
static void start_next(struct key_changes *changes);
static bool prepare(struct key_changes *changes);
static void save(struct work *work);
static void saved(struct work *work);
static void take_notice(struct message *message);
static void all_took(struct message *message);
static void finish(struct key_changes *changes);
static void answer(struct message *message);
static void say(struct arena *arena, struct fault *fault, enum fault_code code, const char *why);

const struct key_op *key_op_find(struct bytes target)
{
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        if (bytes_equal(target, bytes_cstr(ops[i].name))) {
            return &ops[i];
        }
    }
    return NULL;
}

void key_op_start(struct loop_state *state, const struct key_op *op, const struct managed_key *key,
                  struct http_request *request, struct json root)
{
    struct server *server = state->server;
    struct fault fault = {0};
    struct key_call *call = arena_zalloc(request->arena, sizeof(*call));
    if (call == NULL) {
        fault.code = FAULT_INTERNAL;
        dispatch_fault(state, request, &fault);
        return;
    }
    if (!op->lists && !read_change(op, root, request->arena, &call->change, &fault)) {
        dispatch_fault(state, request, &fault);
        return;
    }
    const struct managed_key *of = managed_find(state->managed, call->change.name);
    struct bytes resource = arena_printf(request->arena, "arn:aws:headwater:%.*s:%.*s:key/%.*s",
                                         BYTES_FMT(store_region(server->store)),
                                         BYTES_FMT(store_account(server->store)),
                                         BYTES_FMT(op->lists    ? BYTES("*")
                                                   : of != NULL ? of->name
                                                                : call->change.name));
    if (key != NULL &&
        !authorise_action(state, key, request->arena, op->action, resource, &fault)) {
        dispatch_fault(state, request, &fault);
        return;
    }
    if (op->lists) {
        answer_list(state, request);
        return;
    }
    call->state = state;
    call->request = request;
    call->message.run = call_arrives;
    /* Sequentially consistent, as in key_calls_pending: either this sees that the server stops, or
     * every loop sees this call and waits for it. */
    atomic_fetch_add(&server->changes.calls, 1);
    if (atomic_load(&server->draining)) {
        atomic_fetch_sub(&server->changes.calls, 1);
        say(request->arena, &fault, FAULT_UNAVAILABLE, "The server is stopping");
        dispatch_fault(state, request, &fault);
        return;
    }
    mailbox_post(loop_mailbox(server->loops[0].loop), &call->message);
}

bool key_calls_pending(const struct server *server)
{
    return atomic_load(&server->changes.calls) > 0;
}

static bool read_text(struct json root, struct bytes name, struct arena *arena, struct bytes *out)
{
    struct json value;
    if (!json_member(root, name, &value) || json_type(value) != JSON_STRING) {
        return false;
    }
    *out = arena_dup(arena, json_string(value));
    return out->ptr != NULL;
}

static bool read_change(const struct key_op *op, struct json root, struct arena *arena,
                        struct key_change *change, struct fault *fault)
{
    struct bytes status = BYTES_NONE;
    change->kind = op->kind;
    change->now_ms = clock_wall_ms();
    bool has_policy = read_text(root, BYTES("Policy"), arena, &change->policy);
    change->set_active = read_text(root, BYTES("Status"), arena, &status);
    change->active = bytes_equal(status, BYTES("Active"));
    const char *why =
        !read_text(root, BYTES("Name"), arena, &change->name) || change->name.len == 0
            ? "Name is missing: a string, the key's name or access key id"
        : op->kind == KEY_CREATE && !has_policy ? "Policy is missing: a policy document as a string"
        : change->set_active && !change->active && !bytes_equal(status, BYTES("Inactive"))
            ? "Status must be Active or Inactive"
            : NULL;
    if (why != NULL) {
        say(arena, fault, FAULT_VALIDATION, why);
    }
    return why == NULL;
}

static void answer_list(struct loop_state *state, struct http_request *request)
{
    struct buf *out = &state->answer;
    buf_clear(out);
    buf_add_cstr(out, "{\"Keys\":[");
    for (size_t i = 0; i < state->managed->count; i++) {
        buf_add_cstr(out, i == 0 ? "" : ",");
        add_key(out, state->managed->by_id[i]);
        buf_add_byte(out, '}');
    }
    buf_add_cstr(out, "]}");
    dispatch_answer(state, request, 200);
}

/* Without its end, for the secret of a new one. */
static void add_key(struct buf *out, const struct managed_key *key)
{
    buf_add_cstr(out, "{\"Name\":");
    json_add_string(out, key->name);
    buf_add_cstr(out, ",\"AccessKeyId\":");
    json_add_string(out, key->id);
    buf_printf(out, ",\"Status\":\"%s\",\"CreateDate\":%llu,\"Policy\":",
               key->active ? "Active" : "Inactive", (unsigned long long)(key->created_ms / 1000));
    json_add_string(out, key->policy_text);
}

/* ---- on the first loop ---- */

static void call_arrives(struct message *message)
{
    struct key_call *call = (struct key_call *)message;
    struct key_changes *changes = &call->state->server->changes;
    call->next = NULL;
    if (changes->oldest == NULL) {
        changes->oldest = call;
    } else {
        changes->newest->next = call;
    }
    changes->newest = call;
    if (changes->current == NULL) {
        start_next(changes);
    }
}

static void start_next(struct key_changes *changes)
{
    ASSERT_OWNER(&changes->owner);
    while (changes->current == NULL && changes->oldest != NULL) {
        changes->current = changes->oldest;
        changes->oldest = changes->oldest->next;
        if (!prepare(changes)) {
            finish(changes);
        }
    }
}

static bool prepare(struct key_changes *changes)
{
    struct key_call *call = changes->current;
    struct server *server = changes->server;
    struct managed_key *touched = NULL;
    enum err err = managed_apply(server->loops[0].managed, &call->change, &changes->fresh, &touched,
                                 &changes->replaced, changes->why, sizeof(changes->why));
    struct arena *arena = call->request->arena;
    switch (err) {
    case OK:
        break;
    case ERR_BUSY:
        say(arena, &call->fault, FAULT_IN_USE, "There is a key of that name");
        return false;
    case ERR_NOT_FOUND:
        say(arena, &call->fault, FAULT_NOT_FOUND, "There is no managed key of that name or id");
        return false;
    case ERR_FULL:
        say(arena, &call->fault, FAULT_LIMIT_EXCEEDED, "There are 1,000 managed keys already");
        return false;
    case ERR_INVALID:
        say(arena, &call->fault, FAULT_VALIDATION, changes->why);
        return false;
    default:
        call->fault.code = FAULT_INTERNAL;
        return false;
    }
    call->touched = touched;
    changes->work =
        (struct work){.home = loop_mailbox(server->loops[0].loop), .run = save, .done = saved};
    if (pool_submit(store_pool(server->store), &changes->work) != OK) {
        changes->saved = ERR_RANGE;
        snprintf(changes->why, sizeof(changes->why), "too much is waiting for the disk");
        saved(&changes->work);
    }
    return true;
}

static struct key_changes *changes_of(struct work *work)
{
    return (struct key_changes *)((char *)work - offsetof(struct key_changes, work));
}

/* On a read worker. */
static void save(struct work *work)
{
    struct key_changes *changes = changes_of(work);
    changes->saved =
        managed_save(&changes->file, changes->fresh, changes->why, sizeof(changes->why));
}

static void saved(struct work *work)
{
    struct key_changes *changes = changes_of(work);
    struct server *server = changes->server;
    if (changes->saved != OK) {
        struct key_call *call = changes->current;
        say(call->request->arena, &call->fault, FAULT_INTERNAL, changes->why);
        NOTE(NOTE_ERROR, "keys.unsaved", NOTE_S("reason", changes->why));
        managed_set_free(changes->fresh);
        if (call->change.kind != KEY_DELETE) {
            managed_key_free((struct managed_key *)(uintptr_t)call->touched);
        }
        call->touched = NULL;
        finish(changes);
        start_next(changes);
        return;
    }
    /* Released by the last loop's decrement and acquired by it: all have taken it by then. */
    atomic_store(&changes->awaited, server->loop_count);
    for (unsigned i = 0; i < server->loop_count; i++) {
        changes->notices[i].message.run = take_notice;
        changes->notices[i].state = &server->loops[i];
        mailbox_post(loop_mailbox(server->loops[i].loop), &changes->notices[i].message);
    }
}

/* On every loop. Nothing of a request points into a set past its check. */
static void take_notice(struct message *message)
{
    struct loop_state *state = ((struct key_notice *)message)->state;
    ASSERT_OWNER(&state->lane.owner);
    struct key_changes *changes = &state->server->changes;
    state->retired = state->managed;
    state->managed = changes->fresh;
    if (atomic_fetch_sub(&changes->awaited, 1) == 1) {
        changes->taken.run = all_took;
        mailbox_post(loop_mailbox(state->server->loops[0].loop), &changes->taken);
    }
}

static void all_took(struct message *message)
{
    struct key_changes *changes =
        (struct key_changes *)((char *)message - offsetof(struct key_changes, taken));
    const struct key_call *call = changes->current;
    static const char *const events[] = {
        [KEY_CREATE] = "key.created", [KEY_UPDATE] = "key.updated", [KEY_DELETE] = "key.deleted"};
    NOTE(NOTE_INFO, events[call->change.kind], NOTE_B("name", call->touched->name),
         NOTE_B("id", call->touched->id));
    managed_set_free(changes->server->loops[0].retired);
    managed_key_free(changes->replaced);
    finish(changes);
    start_next(changes);
}

/* The answer is posted before the notice of any later change, so that its key is there still. */
static void finish(struct key_changes *changes)
{
    ASSERT_OWNER(&changes->owner);
    struct key_call *call = changes->current;
    changes->current = NULL;
    changes->fresh = NULL;
    changes->replaced = NULL;
    call->message.run = answer;
    mailbox_post(loop_mailbox(call->state->loop), &call->message);
}

/* ---- on the loop of the request ---- */

static void answer(struct message *message)
{
    struct key_call *call = (struct key_call *)message;
    struct loop_state *state = call->state;
    struct buf *out = &state->answer;
    if (call->fault.code != FAULT_NONE) {
        dispatch_fault(state, call->request, &call->fault);
    } else {
        buf_clear(out);
        buf_add_cstr(out, "{");
        if (call->change.kind != KEY_DELETE) {
            buf_add_cstr(out, "\"Key\":");
            add_key(out, call->touched);
        }
        if (call->change.kind == KEY_CREATE) {
            buf_add_cstr(out, ",\"SecretAccessKey\":");
            json_add_string(out, call->touched->secret);
        }
        buf_add_cstr(out, call->change.kind == KEY_DELETE ? "}" : "}}");
        dispatch_answer(state, call->request, 200);
        memset(out->ptr, 0, out->len); /* a secret stays no longer than it must */
    }
    atomic_fetch_sub(&state->server->changes.calls, 1);
}

static void say(struct arena *arena, struct fault *fault, enum fault_code code, const char *why)
{
    fault->code = code;
    fault->message = arena_dup(arena, bytes_cstr(why));
}
