/* Messages: sending through the conversation's head, history, and events. One send is one
 * transaction: HEAD moves from seq s to s+1 if it still is s, the message's row and its idempotency
 * key are put, the sender's read marker moves. A lost race is repeated on the head that the refusal
 * brought along; a repeated key is answered from its row
 * (chat I1, I3, I6). */
#include "base/digest.h"
#include "base/hash.h"
#include "base/mem.h"
#include "chat/chat_priv.h"
#include "sys/random.h"

struct sending {
    struct bytes cid;
    struct bytes key;
    struct bytes text;
    char fingerprint[64];
    struct head head;
    struct message_row row;
    unsigned tries;
    bool in_room;
};

static void send_enter(struct job *job);
static void send_leave(struct job *job);
static void send_problem(struct job *job, enum problem problem, const char *detail);
static void send_read_head(struct job *job);
static void send_head_read(struct job *job);
static void send_write(struct job *job);
static void send_written(struct job *job);
static void send_replay(struct job *job, struct bytes stored);
static void send_answer(struct job *job, bool replayed);

/* ---- sending ---- */

void messages_post(struct job *job, struct json body)
{
    unsigned count;
    struct bytes key = http_header_get(job->request, BYTES("idempotency-key"), &count);
    if (count > 1) {
        job_problem(job, PROBLEM_BAD_FIELD, "one Idempotency-Key is enough");
        return;
    }
    if (key.len >= 2 && key.ptr[0] == '"' && key.ptr[key.len - 1] == '"') {
        key = bytes_of(key.ptr + 1, key.len - 2); /* the draft's quoted form */
    }
    message_send(job, job->cid, key, body);
}

/* What a header, JSON and a key of an item can all hold. */
static bool is_key(struct bytes key)
{
    bool good = key.len >= 1 && key.len <= CHAT_KEY_MAX;
    for (size_t i = 0; good && i < key.len; i++) {
        good = key.ptr[i] >= 0x20 && key.ptr[i] < 0x7f;
    }
    return good;
}

void message_send(struct job *job, struct bytes cid, struct bytes key, struct json message)
{
    struct json body;
    struct json text;
    struct json client_id;
    struct sending *sending = arena_zalloc(&job->arena, sizeof(*sending));
    if (sending == NULL) {
        job_problem(job, PROBLEM_INTERNAL, NULL);
        return;
    }
    if (!json_member(message, BYTES("body"), &body) || json_type(body) != JSON_OBJECT ||
        !json_member(body, BYTES("text"), &text) || json_type(text) != JSON_STRING) {
        job_problem(job, PROBLEM_BAD_FIELD, "body.text must be a string");
        return;
    }
    sending->text = arena_dup(&job->arena, json_string(text));
    if (sending->text.len < 1 || sending->text.len > CHAT_TEXT_MAX) {
        job_problem(job, PROBLEM_BAD_FIELD, "body.text must be 1 to 16384 bytes long");
        return;
    }
    if (json_member(message, BYTES("client_id"), &client_id)) {
        if (json_type(client_id) != JSON_STRING ||
            (key.ptr != NULL && !bytes_equal(key, json_string(client_id)))) {
            job_problem(job, PROBLEM_BAD_FIELD,
                        "client_id must be a string, and the Idempotency-Key when both are given");
            return;
        }
        key = json_string(client_id);
    }
    if (key.ptr == NULL) {
        char made[CHAT_ID_LEN];
        make_id(job->now_ms, made);
        sending->key = arena_dup(&job->arena, bytes_of(made, sizeof(made)));
    } else if (is_key(key)) {
        sending->key = arena_dup(&job->arena, key);
    } else {
        job_problem(job, PROBLEM_BAD_FIELD,
                    "the idempotency key must be 1 to 64 printable ASCII characters");
        return;
    }
    sending->cid = arena_dup(&job->arena, cid);
    struct bytes content =
        arena_printf(&job->arena, "%.*s|%.*s", BYTES_FMT(sending->cid), BYTES_FMT(sending->text));
    uint8_t hash[SHA256_LEN];
    if (content.ptr == NULL || sending->key.ptr == NULL) {
        job_problem(job, PROBLEM_INTERNAL, NULL);
        return;
    }
    digest_sha256(content, hash);
    digest_hex(bytes_of(hash, sizeof(hash)), sending->fingerprint);
    job->flow = sending;
    send_enter(job);
}

/* One send per conversation at a time on this loop; the others wait in its room. */
static void send_enter(struct job *job)
{
    struct sending *sending = job->flow;
    struct chat_loop *chat = job->chat;
    struct room **bucket = &chat->rooms[hash_key(sending->cid) % CHAT_BUCKETS];
    struct room *room = *bucket;
    while (room != NULL && !bytes_equal(room->id, sending->cid)) {
        room = room->next;
    }
    if (room != NULL && room->count >= CHAT_ROOM_QUEUE_MAX) {
        job_problem(job, PROBLEM_BUSY, NULL);
        return;
    }
    sending->in_room = true;
    if (room != NULL) {
        job->waiting = NULL;
        if (room->first == NULL) {
            room->first = job;
        } else {
            room->last->waiting = job;
        }
        room->last = job;
        room->count++;
        return;
    }
    uint8_t *id = mem_alloc(sending->cid.len);
    memcpy(id, sending->cid.ptr, sending->cid.len);
    room = mem_zalloc(1, sizeof(*room));
    room->id = bytes_of(id, sending->cid.len);
    room->next = *bucket;
    *bucket = room;
    send_read_head(job);
}

/* The next one goes in; an empty room is forgotten. */
static void send_leave(struct job *job)
{
    struct sending *sending = job->flow;
    struct room **link = &job->chat->rooms[hash_key(sending->cid) % CHAT_BUCKETS];
    while (!bytes_equal((*link)->id, sending->cid)) {
        link = &(*link)->next;
    }
    struct room *room = *link;
    struct job *next = room->first;
    if (next != NULL) {
        room->first = next->waiting;
        room->count--;
        next->waiting = NULL;
        send_read_head(next);
        return;
    }
    *link = room->next;
    mem_free((void *)(uintptr_t)room->id.ptr);
    mem_free(room);
}

static void send_problem(struct job *job, enum problem problem, const char *detail)
{
    send_leave(job);
    job_problem(job, problem, detail);
}

static bool send_failed(struct job *job)
{
    enum fault_code code = job->call.fault.code;
    if (code == FAULT_NONE || code == FAULT_TRANSACTION_CANCELED) {
        return false;
    }
    send_leave(job);
    if (!job_failed(job)) {
        job_problem(job, PROBLEM_INTERNAL, NULL); /* no condition of these calls stands alone */
    }
    return true;
}

static void send_read_head(struct job *job)
{
    struct sending *sending = job->flow;
    job_get(job, TABLE_LOG, key_conversation(&job->arena, sending->cid), BYTES("#HEAD"),
            send_head_read);
}

static void send_head_read(struct job *job)
{
    struct sending *sending = job->flow;
    if (send_failed(job)) {
        return;
    }
    struct bytes item = job_item(job);
    if (item.len == 0 || !head_read(item, &job->arena, &sending->head) ||
        !head_has(&sending->head, job->user.id)) {
        send_problem(job, PROBLEM_NOT_MEMBER, NULL);
        return;
    }
    send_write(job);
}

static struct bytes one_element(struct arena *arena, struct bytes map)
{
    return map.ptr == NULL ? BYTES_NONE : value_of_m(arena, map).whole;
}

static bool send_actions(struct job *job, struct sending *sending, struct transact_action *actions)
{
    struct arena *arena = &job->arena;
    const struct message_row *row = &sending->row;
    struct bytes ev = one_element(
        arena, message_item(arena, row, BYTES_NONE, BYTES_NONE, row->text.len <= CHAT_INLINE_MAX));
    struct item_build build;
    bool good = ev.ptr != NULL;
    item_build_init(&build, arena);
    item_build_i64(&build, BYTES(":s0"), (int64_t)sending->head.seq);
    item_build_i64(&build, BYTES(":s1"), (int64_t)row->seq);
    item_build_i64(&build, BYTES(":n"), (int64_t)row->n);
    item_build_i64(&build, BYTES(":t"), (int64_t)row->ts);
    item_build_i64(&build, BYTES(":e"), (int64_t)sending->head.mepoch);
    item_build_s(&build, BYTES(":o"), BYTES("open"));
    item_build_l(&build, BYTES(":ev"), ev);
    actions[0] = (struct transact_action){
        .kind = TRANSACT_UPDATE,
        .table_name = TABLE_LOG,
        .item = key_item(arena, key_conversation(arena, sending->cid), BYTES("#HEAD")),
        .update = BYTES("SET seq = :s1, n = :n, ts = :t, ev = :ev"),
        .condition = BYTES("seq = :s0 AND mepoch = :e AND #st = :o"),
        .on_condition_failure = RETURN_ALL_OLD,
    };
    actions[0].tokens.has_values = true;
    actions[0].tokens.has_names = true;
    good &= item_build_end(&build, &actions[0].tokens.values) == OK;
    item_build_init(&build, arena);
    item_build_s(&build, BYTES("#st"), BYTES("state"));
    good &= item_build_end(&build, &actions[0].tokens.names) == OK;

    actions[1] = (struct transact_action){.kind = TRANSACT_PUT,
                                          .table_name = TABLE_LOG,
                                          .condition = BYTES("attribute_not_exists(pk)")};
    actions[1].item = message_item(arena, row, key_log(arena, sending->cid, row->seq),
                                   key_message(arena, row->seq), true);

    item_build_init(&build, arena);
    item_build_s(&build, BYTES("pk"), key_idempotency(arena, job->user.id, sending->key));
    item_build_s(&build, BYTES("sk"), BYTES("#"));
    item_build_s(&build, BYTES("fingerprint"),
                 bytes_of(sending->fingerprint, sizeof(sending->fingerprint)));
    item_build_s(&build, BYTES("cid"), sending->cid);
    item_build_i64(&build, BYTES("seq"), (int64_t)row->seq);
    item_build_i64(&build, BYTES("n"), (int64_t)row->n);
    item_build_i64(&build, BYTES("ts"), (int64_t)row->ts);
    item_build_i64(&build, BYTES("expires"), (int64_t)(job->now_ms + job->chat->chat->key_ms));
    actions[2] =
        (struct transact_action){.kind = TRANSACT_PUT,
                                 .table_name = TABLE_AUX,
                                 .condition = BYTES("attribute_not_exists(pk) OR expires < :now"),
                                 .on_condition_failure = RETURN_ALL_OLD};
    good &= item_build_end(&build, &actions[2].item) == OK;
    item_build_init(&build, arena);
    item_build_i64(&build, BYTES(":now"), (int64_t)job->now_ms);
    actions[2].tokens.has_values = true;
    good &= item_build_end(&build, &actions[2].tokens.values) == OK;

    item_build_init(&build, arena);
    item_build_i64(&build, BYTES(":s"), (int64_t)row->seq);
    item_build_i64(&build, BYTES(":n"), (int64_t)row->n);
    actions[3] = (struct transact_action){
        .kind = TRANSACT_UPDATE,
        .table_name = TABLE_USER,
        .item = key_item(arena, key_user(arena, job->user.id), key_inbox(arena, sending->cid)),
        .update = BYTES("SET read_seq = :s, read_n = :n")};
    actions[3].tokens.has_values = true;
    good &= item_build_end(&build, &actions[3].tokens.values) == OK;
    return good && actions[1].item.ptr != NULL && actions[0].item.ptr != NULL &&
           actions[3].item.ptr != NULL;
}

static void send_write(struct job *job)
{
    struct sending *sending = job->flow;
    struct transact_action *actions = arena_zalloc(&job->arena, 4 * sizeof(*actions));
    sending->row = (struct message_row){
        .seq = sending->head.seq + 1,
        .n = sending->head.n + 1,
        .ts = job->now_ms > sending->head.ts ? job->now_ms : sending->head.ts,
        .type = BYTES("message.created"),
        .sender = job->user,
        .client_id = sending->key,
        .text = sending->text,
        .has_text = true,
        .ver = 1,
    };
    if (actions == NULL || !send_actions(job, sending, actions)) {
        send_problem(job, PROBLEM_INTERNAL, NULL);
        return;
    }
    job->in.transact = (struct transact_write_in){.actions = actions, .count = 4};
    job_start(job, &op_transact_write_items, &job->in.transact, send_written);
}

static void send_written(struct job *job)
{
    struct sending *sending = job->flow;
    if (send_failed(job)) {
        return;
    }
    const struct fault *fault = &job->call.fault;
    if (fault->code == FAULT_NONE) {
        atomic_fetch_add_explicit(&job->chat->chat->messages, 1, memory_order_relaxed);
        send_answer(job, false);
        return;
    }
    if (fault->reason_count == 4 && fault->reasons[2].item.len > 0) {
        send_replay(job, fault->reasons[2].item);
        return;
    }
    bool moved = fault->reason_count == 4 && fault->reasons[0].item.len > 0;
    atomic_fetch_add_explicit(&job->chat->chat->conflicts, 1, memory_order_relaxed);
    if (++sending->tries > CHAT_RETRIES_MAX) {
        send_problem(job, PROBLEM_BUSY, NULL);
    } else if (moved && head_read(fault->reasons[0].item, &job->arena, &sending->head) &&
               head_has(&sending->head, job->user.id)) {
        send_write(job);
    } else {
        send_read_head(job);
    }
}

/* The same key: the first outcome again, or 422 when the content is another. */
static void send_replay(struct job *job, struct bytes stored)
{
    struct sending *sending = job->flow;
    struct bytes fingerprint;
    if (!item_string(stored, BYTES("fingerprint"), &fingerprint) ||
        !item_number(stored, BYTES("seq"), &sending->row.seq) ||
        !item_number(stored, BYTES("n"), &sending->row.n) ||
        !item_number(stored, BYTES("ts"), &sending->row.ts)) {
        send_problem(job, PROBLEM_INTERNAL, NULL);
        return;
    }
    if (!bytes_equal(fingerprint, bytes_of(sending->fingerprint, sizeof(sending->fingerprint)))) {
        send_problem(job, PROBLEM_KEY_REUSED, NULL);
        return;
    }
    atomic_fetch_add_explicit(&job->chat->chat->replays, 1, memory_order_relaxed);
    send_answer(job, true);
}

static void send_answer(struct job *job, bool replayed)
{
    struct sending *sending = job->flow;
    struct buf *out = &job->chat->out;
    send_leave(job);
    buf_clear(out);
    if (job->request != NULL) {
        add_message(out, &sending->row);
    } else {
        buf_printf(out, "{\"seq\":%llu,\"n\":%llu,\"ts\":", (unsigned long long)sending->row.seq,
                   (unsigned long long)sending->row.n);
        add_time(out, sending->row.ts);
        buf_add_cstr(out, replayed ? ",\"replayed\":true}" : ",\"replayed\":false}");
    }
    job_answer(job, 201, replayed);
}

/* ---- history ---- */

struct history {
    struct bytes cid;
    uint64_t from; /* the sequence number to start at, in the direction of reading */
    uint64_t bucket;
    bool backward;
    size_t limit;
    struct head head;
    struct message_row *rows;
    size_t count;
};

static void history_head_read(struct job *job);
static void history_query(struct job *job);
static void history_read(struct job *job);
static void history_answer(struct job *job);

void messages_get(struct job *job, struct json body)
{
    (void)body;
    struct bytes before = query_parameter(job->request, BYTES("before"));
    struct bytes after = query_parameter(job->request, BYTES("after"));
    struct bytes limit_text = query_parameter(job->request, BYTES("limit"));
    struct history *history = arena_zalloc(&job->arena, sizeof(*history));
    uint64_t limit = CHAT_PAGE_DEFAULT;
    uint64_t bound = UINT64_MAX;
    if (history == NULL) {
        job_problem(job, PROBLEM_INTERNAL, NULL);
        return;
    }
    bool wrong = (before.len > 0 && after.len > 0) ||
                 (before.len > 0 && !parse_number(before, &bound)) ||
                 (after.len > 0 && !parse_number(after, &bound)) ||
                 (limit_text.len > 0 &&
                  (!parse_number(limit_text, &limit) || limit < 1 || limit > CHAT_PAGE_MAX));
    if (wrong) {
        job_problem(job, PROBLEM_BAD_FIELD,
                    "before or after must be a sequence number, limit 1 to 200");
        return;
    }
    history->cid = job->cid;
    history->backward = after.len == 0;
    history->from = bound;
    history->limit = (size_t)limit;
    history->rows = arena_zalloc(&job->arena, (size_t)limit * sizeof(history->rows[0]));
    job->flow = history;
    if (history->rows == NULL) {
        job_problem(job, PROBLEM_INTERNAL, NULL);
        return;
    }
    job_get(job, TABLE_LOG, key_conversation(&job->arena, job->cid), BYTES("#HEAD"),
            history_head_read);
}

static void history_head_read(struct job *job)
{
    struct history *history = job->flow;
    if (job_failed(job)) {
        return;
    }
    struct bytes item = job_item(job);
    if (item.len == 0 || !head_read(item, &job->arena, &history->head) ||
        !head_has(&history->head, job->user.id)) {
        job_problem(job, PROBLEM_NOT_MEMBER, NULL);
        return;
    }
    uint64_t newest = history->head.seq;
    if (history->backward) {
        if (history->from <= 1) {
            history_answer(job);
            return;
        }
        history->from = history->from > newest ? newest : history->from - 1;
    } else {
        history->from++;
        if (history->from > newest) {
            history_answer(job);
            return;
        }
    }
    history->bucket = history->from >> 12;
    history_query(job);
}

static bool query_rows(struct job *job, struct bytes cid, uint64_t bucket, const char *kind,
                       uint64_t low, uint64_t high, bool backward, size_t limit)
{
    struct arena *arena = &job->arena;
    struct item_build build;
    item_build_init(&build, arena);
    item_build_s(&build, BYTES(":p"), key_log(arena, cid, bucket << 12));
    item_build_s(&build, BYTES(":a"),
                 arena_printf(arena, "%s#%012llu", kind, (unsigned long long)low));
    item_build_s(&build, BYTES(":b"),
                 arena_printf(arena, "%s#%012llu", kind, (unsigned long long)high));
    job->in.query = (struct query_in){.table_name = TABLE_LOG,
                                      .key_condition = BYTES("pk = :p AND sk BETWEEN :a AND :b"),
                                      .consistent_read = true,
                                      .backward = backward,
                                      .has_limit = true,
                                      .limit = (int32_t)limit};
    job->in.query.tokens.has_values = true;
    return item_build_end(&build, &job->in.query.tokens.values) == OK;
}

static void history_query(struct job *job)
{
    struct history *history = job->flow;
    uint64_t first = history->bucket << 12;
    uint64_t last = first + 4095;
    uint64_t low = history->backward ? first : history->from > first ? history->from : first;
    uint64_t high = history->backward ? (history->from < last ? history->from : last)
                                      : (history->head.seq < last ? history->head.seq : last);
    if (!query_rows(job, history->cid, history->bucket, "m", low, high, history->backward,
                    history->limit - history->count)) {
        job_problem(job, PROBLEM_INTERNAL, NULL);
        return;
    }
    job_start(job, &op_query, &job->in.query, history_read);
}

static void history_read(struct job *job)
{
    struct history *history = job->flow;
    if (job_failed(job)) {
        return;
    }
    const struct query_out *out = job->call.out;
    if (job->call.fault.code != FAULT_NONE) {
        job_problem(job, PROBLEM_INTERNAL, NULL);
        return;
    }
    for (size_t i = 0; i < out->count && history->count < history->limit; i++) {
        if (!message_read(out->items[i], &history->rows[history->count++])) {
            job_problem(job, PROBLEM_INTERNAL, NULL);
            return;
        }
    }
    bool more = out->last_key.len > 0; /* a page of the store ended before ours */
    bool done = history->count == history->limit ||
                (!more && (history->backward ? history->bucket == 0
                                             : (history->bucket + 1) << 12 > history->head.seq));
    if (done) {
        history_answer(job);
        return;
    }
    if (more && history->count > 0) {
        uint64_t newest = history->rows[history->count - 1].seq;
        history->from = history->backward ? newest - 1 : newest + 1;
        history->bucket = history->from >> 12;
    } else {
        history->bucket = history->backward ? history->bucket - 1 : history->bucket + 1;
    }
    history_query(job);
}

/* Items oldest first, whichever way they were read; next and prev are the bounds of the pages
 * around. */
static void history_answer(struct job *job)
{
    struct history *history = job->flow;
    struct buf *out = &job->chat->out;
    uint64_t oldest = 0;
    uint64_t newest = 0;
    for (size_t i = 1; i < history->count; i++) {
        uint64_t n = history->rows[i].n;
        uint64_t expected =
            history->backward ? history->rows[i - 1].n - 1 : history->rows[i - 1].n + 1;
        if (n != expected) {
            job_problem(job, PROBLEM_BUSY,
                        NULL); /* never a page with a hole: the reader asks again */
            return;
        }
    }
    if (history->count > 0) {
        oldest = history->backward ? history->rows[history->count - 1].seq : history->rows[0].seq;
        newest = history->backward ? history->rows[0].seq : history->rows[history->count - 1].seq;
    }
    buf_clear(out);
    buf_add_cstr(out, "{\"items\":[");
    for (size_t i = 0; i < history->count; i++) {
        buf_add_cstr(out, i == 0 ? "" : ",");
        add_message(out, &history->rows[history->backward ? history->count - 1 - i : i]);
    }
    bool older = history->count > 0 &&
                 (history->backward ? history->rows[history->count - 1].n : history->rows[0].n) > 1;
    bool newer = history->count > 0 && newest < history->head.seq;
    buf_add_cstr(out, "],\"next\":");
    if (newer) {
        add_number(out, newest);
    } else {
        buf_add_cstr(out, "null");
    }
    buf_add_cstr(out, ",\"prev\":");
    if (older) {
        add_number(out, oldest);
    } else {
        buf_add_cstr(out, "null");
    }
    buf_add_cstr(out, ",\"head_seq\":");
    add_number(out, history->head.seq);
    buf_add_cstr(out, "}");
    job_answer(job, 200, false);
}

/* ---- events ---- */

static void events_head_read(struct job *job);
static void events_query(struct job *job, const char *kind, void (*next)(struct job *job));
static void events_messages_read(struct job *job);
static void events_others_read(struct job *job);
static void events_answer(struct job *job);

void events_get(struct job *job, struct json body)
{
    (void)body;
    struct bytes after = query_parameter(job->request, BYTES("after"));
    struct bytes limit_text = query_parameter(job->request, BYTES("limit"));
    struct event_page *page = arena_zalloc(&job->arena, sizeof(*page));
    uint64_t limit = CHAT_PAGE_MAX;
    if (page == NULL) {
        job_problem(job, PROBLEM_INTERNAL, NULL);
        return;
    }
    if (!parse_number(after, &page->after) ||
        (limit_text.len > 0 &&
         (!parse_number(limit_text, &limit) || limit < 1 || limit > CHAT_PAGE_MAX))) {
        job_problem(job, PROBLEM_BAD_FIELD, "after must be a sequence number, limit 1 to 200");
        return;
    }
    page->cid = job->cid;
    page->limit = (size_t)limit;
    page->next = events_answer;
    events_load(job, page);
}

/* job->flow is the page until next runs. */
void events_load(struct job *job, struct event_page *page)
{
    job->flow = page;
    page->count = 0;
    page->rows = arena_zalloc(&job->arena, (page->limit + 1) * sizeof(page->rows[0]));
    if (page->rows == NULL) {
        job_problem(job, PROBLEM_INTERNAL, NULL);
        return;
    }
    job_get(job, TABLE_LOG, key_conversation(&job->arena, page->cid), BYTES("#HEAD"),
            events_head_read);
}

static void events_head_read(struct job *job)
{
    struct event_page *page = job->flow;
    if (job_failed(job)) {
        return;
    }
    struct bytes item = job_item(job);
    page->denied = item.len == 0 || !head_read(item, &job->arena, &page->head) ||
                   !head_has(&page->head, job->user.id);
    if (page->denied) {
        page->head = (struct head){0}; /* nothing of it is told */
    }
    if (page->denied || page->after >= page->head.seq) {
        page->next(job);
        return;
    }
    events_query(job, "m", events_messages_read);
}

/* One bucket's rows at most: a page never crosses one, the caller asks on. */
static void events_query(struct job *job, const char *kind, void (*next)(struct job *job))
{
    struct event_page *page = job->flow;
    uint64_t low = page->after + 1;
    uint64_t bucket = low >> 12;
    uint64_t high = (bucket << 12) + 4095;
    high = high < page->head.seq ? high : page->head.seq;
    high = high < page->after + page->limit ? high : page->after + page->limit;
    if (!query_rows(job, page->cid, bucket, kind, low, high, false, page->limit)) {
        job_problem(job, PROBLEM_INTERNAL, NULL);
        return;
    }
    job_start(job, &op_query, &job->in.query, next);
}

static bool take_rows(struct job *job, struct event_page *page)
{
    const struct query_out *out = job->call.out;
    if (job->call.fault.code != FAULT_NONE) {
        return false;
    }
    for (size_t i = 0; i < out->count; i++) {
        struct message_row row;
        if (!message_read(out->items[i], &row) || page->count > page->limit) {
            return false;
        }
        size_t at = page->count++;
        for (; at > 0 && page->rows[at - 1].seq > row.seq; at--) {
            page->rows[at] = page->rows[at - 1];
        }
        page->rows[at] = row;
    }
    return true;
}

static void events_messages_read(struct job *job)
{
    if (job_failed(job)) {
        return;
    }
    if (!take_rows(job, job->flow)) {
        job_problem(job, PROBLEM_INTERNAL, NULL);
        return;
    }
    events_query(job, "e", events_others_read);
}

static void events_others_read(struct job *job)
{
    struct event_page *page = job->flow;
    if (job_failed(job)) {
        return;
    }
    if (!take_rows(job, page)) {
        job_problem(job, PROBLEM_INTERNAL, NULL);
        return;
    }
    /* A page of the store may end early: what is dense from `after` on is kept, the rest is asked
     * for again. */
    size_t dense = 0;
    while (dense < page->count && page->rows[dense].seq == page->after + 1 + dense) {
        dense++;
    }
    if (dense == 0 && ++page->tries < 10) {
        page->count = 0;
        events_query(job, "m", events_messages_read);
        return;
    }
    page->count = dense;
    page->next(job);
}

static void events_answer(struct job *job)
{
    struct event_page *page = job->flow;
    struct buf *out = &job->chat->out;
    if (page->denied) {
        job_problem(job, PROBLEM_NOT_MEMBER, NULL);
        return;
    }
    buf_clear(out);
    buf_add_cstr(out, "{\"items\":[");
    for (size_t i = 0; i < page->count; i++) {
        buf_add_cstr(out, i == 0 ? "" : ",");
        add_event(out, page->cid, &page->rows[i], &page->head);
    }
    uint64_t reached = page->count > 0 ? page->rows[page->count - 1].seq : page->after;
    buf_add_cstr(out, "],\"next\":");
    if (reached < page->head.seq) {
        add_number(out, reached);
    } else {
        buf_add_cstr(out, "null");
    }
    buf_add_cstr(out, ",\"head_seq\":");
    add_number(out, page->head.seq);
    buf_add_cstr(out, "}");
    job_answer(job, 200, false);
}
