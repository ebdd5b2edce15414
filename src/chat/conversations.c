/* Conversations: opening the one of two people, the list, the read marker. Unread is arithmetic:
 * the head's n minus read_n (chat I7, I9). */
#include "chat/chat_priv.h"

struct opening {
    struct bytes cid;
    struct person other;
    struct head head; /* of a conversation that was there */
    uint64_t read_n;
};

/* The list: rows of the inbox, then for each its head and its last message. */
struct listing {
    struct bytes *items; /* I# rows */
    size_t count;
    size_t at;
    struct bytes next;
    struct bytes cid;
    uint64_t read_n;
    struct head head;
};

struct marking {
    struct bytes cid;
    uint64_t seq;
    uint64_t n;
    struct head head;
};

static void other_read(struct job *job);
static void opened_read(struct job *job);
static void opened_written(struct job *job);
static void opened_inbox_read(struct job *job);
static void opened_last_read(struct job *job);
static void answer_opening(struct job *job, unsigned status, const struct message_row *last);
static void inbox_read(struct job *job);
static void list_next_head(struct job *job);
static void list_head_read(struct job *job);
static void list_last_read(struct job *job);
static void list_add(struct job *job, const struct message_row *last);
static void mark_head_read(struct job *job);
static void mark_row_read(struct job *job);
static void mark_write(struct job *job);
static void marked(struct job *job);

/* ---- opening ---- */

void conversations_post(struct job *job, struct json body)
{
    struct json with;
    if (!json_member(body, BYTES("with"), &with) || json_type(with) != JSON_STRING) {
        job_problem(job, PROBLEM_BAD_FIELD, "with must be a handle");
        return;
    }
    struct bytes handle = json_string(with);
    struct opening *opening = arena_zalloc(&job->arena, sizeof(*opening));
    uint8_t *folded = arena_alloc(&job->arena, CHAT_HANDLE_MAX);
    if (opening == NULL || folded == NULL) {
        job_problem(job, PROBLEM_INTERNAL, NULL);
        return;
    }
    if (handle.len < CHAT_HANDLE_MIN || handle.len > CHAT_HANDLE_MAX) {
        job_problem(job, PROBLEM_NO_USER, NULL);
        return;
    }
    for (size_t i = 0; i < handle.len; i++) {
        uint8_t c = handle.ptr[i];
        folded[i] = (uint8_t)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    job->flow = opening;
    job_get(job, TABLE_USER, key_handle(&job->arena, bytes_of(folded, handle.len)), BYTES("#"),
            other_read);
}

static void other_read(struct job *job)
{
    struct opening *opening = job->flow;
    if (job_failed(job)) {
        return;
    }
    struct bytes item = job_item(job);
    if (!item_string(item, BYTES("uid"), &opening->other.id) ||
        !item_string(item, BYTES("handle"), &opening->other.handle)) {
        job_problem(job, PROBLEM_NO_USER, NULL);
        return;
    }
    if (bytes_equal(opening->other.id, job->user.id)) {
        job_problem(job, PROBLEM_BAD_FIELD, "with must be somebody else's handle");
        return;
    }
    opening->cid = dm_id(&job->arena, job->user.id, opening->other.id);
    job_get(job, TABLE_LOG, key_conversation(&job->arena, opening->cid), BYTES("#HEAD"),
            opened_read);
}

static struct bytes person_item(struct arena *arena, const struct person *person)
{
    struct item_build build;
    struct bytes item = BYTES_NONE;
    item_build_init(&build, arena);
    item_build_s(&build, BYTES("id"), person->id);
    item_build_s(&build, BYTES("handle"), person->handle);
    return item_build_end(&build, &item) == OK ? item : BYTES_NONE;
}

static bool add_values(struct buf *out, struct value value)
{
    buf_add(out, value.whole);
    return value.whole.ptr != NULL;
}

/* Elements of a list in the arena; ptr NULL: memory. */
static struct bytes list_of_maps(struct arena *arena, const struct bytes *maps, size_t count)
{
    struct buf list;
    bool good = true;
    buf_init(&list, 1u << 20);
    for (size_t i = 0; i < count; i++) {
        good &= maps[i].ptr != NULL && add_values(&list, value_of_m(arena, maps[i]));
    }
    struct bytes copy = good && !list.failed ? arena_dup(arena, buf_bytes(&list)) : BYTES_NONE;
    buf_fini(&list);
    return copy;
}

/* HEAD, both members, both inbox rows and the event's own row, if HEAD is not there yet. */
static bool opening_actions(struct job *job, struct opening *opening,
                            struct transact_action *actions)
{
    struct arena *arena = &job->arena;
    const struct person people[2] = {job->user, opening->other};
    const struct bytes maps[2] = {person_item(arena, &people[0]), person_item(arena, &people[1])};
    const struct message_row event = {
        .seq = 1, .n = 0, .ts = job->now_ms, .type = BYTES("conversation.created")};
    struct bytes ev = message_item(arena, &event, BYTES_NONE, BYTES_NONE, false);
    struct bytes members = list_of_maps(arena, maps, 2);
    struct bytes events = list_of_maps(arena, &ev, 1);
    struct bytes pk = key_conversation(arena, opening->cid);
    struct item_build build;
    if (members.ptr == NULL || events.ptr == NULL) {
        return false;
    }
    item_build_init(&build, arena);
    item_build_s(&build, BYTES("pk"), pk);
    item_build_s(&build, BYTES("sk"), BYTES("#HEAD"));
    item_build_i64(&build, BYTES("seq"), 1);
    item_build_i64(&build, BYTES("n"), 0);
    item_build_i64(&build, BYTES("mepoch"), 1);
    item_build_i64(&build, BYTES("ts"), (int64_t)job->now_ms);
    item_build_s(&build, BYTES("state"), BYTES("open"));
    item_build_s(&build, BYTES("kind"), BYTES("dm"));
    item_build_l(&build, BYTES("members"), members);
    item_build_l(&build, BYTES("ev"), events);
    actions[0] = (struct transact_action){.kind = TRANSACT_PUT,
                                          .table_name = TABLE_LOG,
                                          .condition = BYTES("attribute_not_exists(pk)"),
                                          .on_condition_failure = RETURN_ALL_OLD};
    bool good = item_build_end(&build, &actions[0].item) == OK;
    actions[1] = (struct transact_action){.kind = TRANSACT_PUT, .table_name = TABLE_LOG};
    actions[1].item =
        message_item(arena, &event, key_log(arena, opening->cid, 1), key_event(arena, 1), false);
    for (size_t i = 0; i < 2; i++) {
        struct transact_action *member = &actions[2 + 2 * i];
        struct transact_action *inbox = &actions[3 + 2 * i];
        item_build_init(&build, arena);
        item_build_s(&build, BYTES("pk"), pk);
        item_build_s(&build, BYTES("sk"), arena_printf(arena, "M#%.*s", BYTES_FMT(people[i].id)));
        item_build_s(&build, BYTES("role"), BYTES("member"));
        item_build_i64(&build, BYTES("joined_seq"), 1);
        *member = (struct transact_action){.kind = TRANSACT_PUT, .table_name = TABLE_LOG};
        good &= item_build_end(&build, &member->item) == OK;
        item_build_init(&build, arena);
        item_build_s(&build, BYTES("pk"), key_user(arena, people[i].id));
        item_build_s(&build, BYTES("sk"), key_inbox(arena, opening->cid));
        item_build_i64(&build, BYTES("read_seq"), 1);
        item_build_i64(&build, BYTES("read_n"), 0);
        *inbox = (struct transact_action){.kind = TRANSACT_PUT, .table_name = TABLE_USER};
        good &= item_build_end(&build, &inbox->item) == OK;
    }
    return good && actions[1].item.ptr != NULL;
}

static void opened_read(struct job *job)
{
    struct opening *opening = job->flow;
    if (job_failed(job)) {
        return;
    }
    struct bytes item = job_item(job);
    if (item.len > 0) {
        if (!head_read(item, &job->arena, &opening->head)) {
            job_problem(job, PROBLEM_INTERNAL, NULL);
            return;
        }
        job_get(job, TABLE_USER, key_user(&job->arena, job->user.id),
                key_inbox(&job->arena, opening->cid), opened_inbox_read);
        return;
    }
    struct transact_action *actions = arena_zalloc(&job->arena, 6 * sizeof(*actions));
    if (actions == NULL || !opening_actions(job, opening, actions)) {
        job_problem(job, PROBLEM_INTERNAL, NULL);
        return;
    }
    job->in.transact = (struct transact_write_in){.actions = actions, .count = 6};
    job_start(job, &op_transact_write_items, &job->in.transact, opened_written);
}

static void opened_written(struct job *job)
{
    struct opening *opening = job->flow;
    if (job_failed(job)) {
        return;
    }
    if (job->call.fault.code != FAULT_NONE) {
        /* The other one was quicker: read theirs. */
        job_get(job, TABLE_LOG, key_conversation(&job->arena, opening->cid), BYTES("#HEAD"),
                opened_read);
        return;
    }
    struct person *people = arena_alloc(&job->arena, 2 * sizeof(*people));
    if (people == NULL) {
        job_problem(job, PROBLEM_INTERNAL, NULL);
        return;
    }
    people[0] = job->user;
    people[1] = opening->other;
    opening->head = (struct head){.seq = 1, .kind = BYTES("dm"), .members = {people, 2}};
    atomic_fetch_add_explicit(&job->chat->chat->conversations, 1, memory_order_relaxed);
    answer_opening(job, 201, NULL);
}

static void opened_inbox_read(struct job *job)
{
    struct opening *opening = job->flow;
    if (job_failed(job)) {
        return;
    }
    if (!item_number(job_item(job), BYTES("read_n"), &opening->read_n)) {
        job_problem(job, PROBLEM_INTERNAL, NULL);
        return;
    }
    if (opening->head.n == 0) {
        answer_opening(job, 200, NULL);
        return;
    }
    job_get(job, TABLE_LOG, key_log(&job->arena, opening->cid, opening->head.seq),
            key_message(&job->arena, opening->head.seq), opened_last_read);
}

static void opened_last_read(struct job *job)
{
    struct message_row row;
    if (job_failed(job)) {
        return;
    }
    answer_opening(job, 200, message_read(job_item(job), &row) ? &row : NULL);
}

static void add_conversation(struct buf *out, struct bytes cid, const struct head *head,
                             uint64_t read_n, const struct message_row *last)
{
    buf_add_cstr(out, "{\"id\":");
    json_add_string(out, cid);
    buf_add_cstr(out, ",\"kind\":");
    json_add_string(out, head->kind);
    buf_add_cstr(out, ",\"members\":");
    add_members(out, &head->members);
    buf_add_cstr(out, ",\"head_seq\":");
    add_number(out, head->seq);
    buf_add_cstr(out, ",\"n\":");
    add_number(out, head->n);
    buf_add_cstr(out, ",\"read_n\":");
    add_number(out, read_n);
    buf_add_cstr(out, ",\"unread\":");
    add_number(out, head->n > read_n ? head->n - read_n : 0);
    if (last != NULL) {
        buf_add_cstr(out, ",\"last\":");
        add_message(out, last);
    }
    buf_add_cstr(out, "}");
}

static void answer_opening(struct job *job, unsigned status, const struct message_row *last)
{
    struct opening *opening = job->flow;
    buf_clear(&job->chat->out);
    add_conversation(&job->chat->out, opening->cid, &opening->head, opening->read_n, last);
    job_answer(job, status, false);
}

/* ---- the list ---- */

void conversations_get(struct job *job, struct json body)
{
    (void)body;
    struct bytes cursor = query_parameter(job->request, BYTES("cursor"));
    struct bytes limit_text = query_parameter(job->request, BYTES("limit"));
    uint64_t limit = CHAT_PAGE_DEFAULT;
    struct listing *listing = arena_zalloc(&job->arena, sizeof(*listing));
    struct item_build build;
    if (limit_text.len > 0 &&
        (!parse_number(limit_text, &limit) || limit < 1 || limit > CHAT_PAGE_MAX)) {
        job_problem(job, PROBLEM_BAD_FIELD, "limit must be 1 to 200");
        return;
    }
    if (listing == NULL) {
        job_problem(job, PROBLEM_INTERNAL, NULL);
        return;
    }
    job->flow = listing;
    item_build_init(&build, &job->arena);
    item_build_s(&build, BYTES(":p"), key_user(&job->arena, job->user.id));
    item_build_s(&build, BYTES(":i"), BYTES("I#"));
    job->in.query = (struct query_in){.table_name = TABLE_USER,
                                      .key_condition = BYTES("pk = :p AND begins_with(sk, :i)"),
                                      .consistent_read = true,
                                      .has_limit = true,
                                      .limit = (int32_t)limit};
    job->in.query.tokens.has_values = true;
    if (item_build_end(&build, &job->in.query.tokens.values) != OK) {
        job_problem(job, PROBLEM_INTERNAL, NULL);
        return;
    }
    if (cursor.len > 0 && cursor.len <= 64) {
        job->in.query.start_key = key_item(&job->arena, key_user(&job->arena, job->user.id),
                                           key_inbox(&job->arena, cursor));
    }
    job_start(job, &op_query, &job->in.query, inbox_read);
}

static void inbox_read(struct job *job)
{
    struct listing *listing = job->flow;
    if (job_failed(job)) {
        return;
    }
    const struct query_out *out = job->call.out;
    struct bytes last_sk = BYTES_NONE;
    if (job->call.fault.code != FAULT_NONE) {
        job_problem(job, PROBLEM_INTERNAL, NULL);
        return;
    }
    listing->items = out->items;
    listing->count = out->count;
    if (item_string(out->last_key, BYTES("sk"), &last_sk) && last_sk.len > 2) {
        listing->next = bytes_of(last_sk.ptr + 2, last_sk.len - 2);
    }
    buf_init(&job->text, 32u << 20);
    buf_add_cstr(&job->text, "{\"items\":[");
    list_next_head(job);
}

static void list_next_head(struct job *job)
{
    struct listing *listing = job->flow;
    struct bytes sk;
    if (listing->at == listing->count) {
        buf_add_cstr(&job->text, "],\"next\":");
        if (listing->next.len > 0) {
            json_add_string(&job->text, listing->next);
        } else {
            buf_add_cstr(&job->text, "null");
        }
        buf_add_cstr(&job->text, "}");
        buf_clear(&job->chat->out);
        buf_add(&job->chat->out, buf_bytes(&job->text));
        job_answer(job, 200, false);
        return;
    }
    struct bytes item = listing->items[listing->at];
    if (!item_string(item, BYTES("sk"), &sk) || sk.len <= 2 ||
        !item_number(item, BYTES("read_n"), &listing->read_n)) {
        job_problem(job, PROBLEM_INTERNAL, NULL);
        return;
    }
    listing->cid = bytes_of(sk.ptr + 2, sk.len - 2);
    job_get(job, TABLE_LOG, key_conversation(&job->arena, listing->cid), BYTES("#HEAD"),
            list_head_read);
}

static void list_head_read(struct job *job)
{
    struct listing *listing = job->flow;
    struct bytes item = job_item(job);
    if (item.len == 0 || !head_read(item, &job->arena, &listing->head)) {
        if (!job_failed(job)) {
            job_problem(job, PROBLEM_INTERNAL, NULL);
        }
        return;
    }
    if (listing->head.n == 0) {
        list_add(job, NULL);
        return;
    }
    job_get(job, TABLE_LOG, key_log(&job->arena, listing->cid, listing->head.seq),
            key_message(&job->arena, listing->head.seq), list_last_read);
}

static void list_last_read(struct job *job)
{
    struct message_row row;
    if (job_failed(job)) {
        return;
    }
    list_add(job, message_read(job_item(job), &row) ? &row : NULL);
}

static void list_add(struct job *job, const struct message_row *last)
{
    struct listing *listing = job->flow;
    if (listing->at > 0) {
        buf_add_cstr(&job->text, ",");
    }
    add_conversation(&job->text, listing->cid, &listing->head, listing->read_n, last);
    listing->at++;
    list_next_head(job);
}

/* ---- the read marker ---- */

void read_put(struct job *job, struct json body)
{
    struct json seq;
    struct marking *marking = arena_zalloc(&job->arena, sizeof(*marking));
    if (marking == NULL) {
        job_problem(job, PROBLEM_INTERNAL, NULL);
        return;
    }
    if (!json_member(body, BYTES("seq"), &seq) || json_type(seq) != JSON_INTEGER ||
        json_integer(seq) < 1) {
        job_problem(job, PROBLEM_BAD_FIELD, "seq must be a number of at least 1");
        return;
    }
    marking->cid = job->cid;
    marking->seq = (uint64_t)json_integer(seq);
    job->flow = marking;
    job_get(job, TABLE_LOG, key_conversation(&job->arena, job->cid), BYTES("#HEAD"),
            mark_head_read);
}

static void mark_head_read(struct job *job)
{
    struct marking *marking = job->flow;
    if (job_failed(job)) {
        return;
    }
    struct bytes item = job_item(job);
    if (item.len == 0 || !head_read(item, &job->arena, &marking->head) ||
        !head_has(&marking->head, job->user.id)) {
        job_problem(job, PROBLEM_NOT_MEMBER, NULL);
        return;
    }
    if (marking->seq > marking->head.seq) {
        job_problem(job, PROBLEM_BAD_FIELD, "seq is past the newest event");
        return;
    }
    if (marking->seq == marking->head.seq) {
        marking->n = marking->head.n;
        mark_write(job);
        return;
    }
    job_get(job, TABLE_LOG, key_log(&job->arena, marking->cid, marking->seq),
            key_message(&job->arena, marking->seq), mark_row_read);
}

static void mark_row_read(struct job *job)
{
    struct marking *marking = job->flow;
    struct message_row row;
    if (job_failed(job)) {
        return;
    }
    struct bytes item = job_item(job);
    marking->n = message_read(item, &row) ? row.n : 0;
    mark_write(job);
}

/* A marker only moves forward: the condition makes a late or repeated one harmless. */
static void mark_write(struct job *job)
{
    struct marking *marking = job->flow;
    struct item_build build;
    item_build_init(&build, &job->arena);
    item_build_i64(&build, BYTES(":s"), (int64_t)marking->seq);
    item_build_i64(&build, BYTES(":n"), (int64_t)marking->n);
    job->in.update = (struct update_item_in){
        .table_name = TABLE_USER,
        .key = key_item(&job->arena, key_user(&job->arena, job->user.id),
                        key_inbox(&job->arena, marking->cid)),
        .update = BYTES("SET read_seq = :s, read_n = :n"),
        .condition = BYTES("read_seq < :s"),
        .on_condition_failure = RETURN_ALL_OLD,
    };
    job->in.update.tokens.has_values = true;
    if (item_build_end(&build, &job->in.update.tokens.values) != OK) {
        job_problem(job, PROBLEM_INTERNAL, NULL);
        return;
    }
    job_start(job, &op_update_item, &job->in.update, marked);
}

static void marked(struct job *job)
{
    struct marking *marking = job->flow;
    uint64_t read_seq = marking->seq;
    uint64_t read_n = marking->n;
    if (job_failed(job)) {
        return;
    }
    if (job->call.fault.code != FAULT_NONE) {
        (void)item_number(job->call.fault.item, BYTES("read_seq"), &read_seq);
        (void)item_number(job->call.fault.item, BYTES("read_n"), &read_n);
    }
    struct buf *out = &job->chat->out;
    buf_clear(out);
    buf_printf(out, "{\"read_seq\":%llu,\"read_n\":%llu,\"unread\":%llu}",
               (unsigned long long)read_seq, (unsigned long long)read_n,
               (unsigned long long)(marking->head.n > read_n ? marking->head.n - read_n : 0));
    job_answer(job, 200, false);
}
