/* The data model's keys, items and JSON objects. */
#include "base/digest.h"
#include "chat/chat_priv.h"
#include "sys/random.h"

#include <stdio.h>
#include <time.h>

struct bytes key_conversation(struct arena *arena, struct bytes cid)
{
    return arena_printf(arena, "0|C#%.*s", BYTES_FMT(cid));
}

struct bytes key_log(struct arena *arena, struct bytes cid, uint64_t seq)
{
    return arena_printf(arena, "0|L#%.*s#%llu", BYTES_FMT(cid), (unsigned long long)(seq >> 12));
}

struct bytes key_message(struct arena *arena, uint64_t seq)
{
    return arena_printf(arena, "m#%012llu", (unsigned long long)seq);
}

struct bytes key_event(struct arena *arena, uint64_t seq)
{
    return arena_printf(arena, "e#%012llu", (unsigned long long)seq);
}

struct bytes key_user(struct arena *arena, struct bytes uid)
{
    return arena_printf(arena, "0|U#%.*s", BYTES_FMT(uid));
}

struct bytes key_inbox(struct arena *arena, struct bytes cid)
{
    return arena_printf(arena, "I#%.*s", BYTES_FMT(cid));
}

struct bytes key_handle(struct arena *arena, struct bytes handle)
{
    return arena_printf(arena, "0|X#handle#%.*s", BYTES_FMT(handle));
}

struct bytes key_token(struct arena *arena, const char hash[64])
{
    return arena_printf(arena, "0|T#%.64s", hash);
}

struct bytes key_idempotency(struct arena *arena, struct bytes uid, struct bytes key)
{
    return arena_printf(arena, "0|K#%.*s#%.*s", BYTES_FMT(uid), BYTES_FMT(key));
}

struct bytes key_item(struct arena *arena, struct bytes pk, struct bytes sk)
{
    struct item_build build;
    struct bytes item = BYTES_NONE;
    item_build_init(&build, arena);
    item_build_s(&build, BYTES("pk"), pk);
    item_build_s(&build, BYTES("sk"), sk);
    return item_build_end(&build, &item) == OK ? item : BYTES_NONE;
}

/* Crockford's base 32: 48 bits of milliseconds, 80 random bits. */
void make_id(uint64_t now_ms, char out[CHAT_ID_LEN])
{
    static const char letters[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    uint8_t random[16];
    random_fill(random, sizeof(random));
    for (size_t i = 0; i < 10; i++) {
        out[9 - i] = letters[now_ms & 31];
        now_ms >>= 5;
    }
    for (size_t i = 0; i < 16; i++) {
        out[10 + i] = letters[random[i] & 31];
    }
}

struct bytes dm_id(struct arena *arena, struct bytes a, struct bytes b)
{
    bool swap = bytes_compare(a, b) > 0;
    struct bytes both =
        arena_printf(arena, "%.*s|%.*s", BYTES_FMT(swap ? b : a), BYTES_FMT(swap ? a : b));
    uint8_t hash[SHA256_LEN];
    char hex[32];
    digest_sha256(both, hash);
    digest_hex(bytes_of(hash, 16), hex);
    return arena_printf(arena, "d_%.32s", hex);
}

bool item_string(struct bytes item, struct bytes name, struct bytes *out)
{
    struct value value;
    if (item.len == 0 || !item_get(item, name, &value) || value.tag != VALUE_S) {
        return false;
    }
    *out = value.body;
    return true;
}

bool item_number(struct bytes item, struct bytes name, uint64_t *out)
{
    struct value value;
    int64_t number;
    if (item.len == 0 || !item_get(item, name, &value) || !value_i64(value, &number) ||
        number < 0) {
        return false;
    }
    *out = (uint64_t)number;
    return true;
}

static bool person_read(struct bytes item, struct person *person)
{
    return item_string(item, BYTES("id"), &person->id) &&
           item_string(item, BYTES("handle"), &person->handle);
}

bool head_read(struct bytes item, struct arena *arena, struct head *head)
{
    struct value list;
    *head = (struct head){0};
    if (!item_number(item, BYTES("seq"), &head->seq) || !item_number(item, BYTES("n"), &head->n) ||
        !item_number(item, BYTES("mepoch"), &head->mepoch) ||
        !item_number(item, BYTES("ts"), &head->ts) ||
        !item_string(item, BYTES("kind"), &head->kind) ||
        !item_get(item, BYTES("members"), &list) || list.tag != VALUE_L) {
        return false;
    }
    struct cursor cursor = cursor_of(list.body);
    struct value member;
    head->members.people = arena_zalloc(arena, value_count(list) * sizeof(struct person));
    while (head->members.people != NULL && list_next(&cursor, &member)) {
        if (member.tag != VALUE_M ||
            !person_read(member.body, &head->members.people[head->members.count])) {
            return false;
        }
        head->members.count++;
    }
    return head->members.people != NULL;
}

bool head_has(const struct head *head, struct bytes uid)
{
    for (size_t i = 0; i < head->members.count; i++) {
        if (bytes_equal(head->members.people[i].id, uid)) {
            return true;
        }
    }
    return false;
}

bool message_read(struct bytes item, struct message_row *row)
{
    struct value value;
    *row = (struct message_row){.type = BYTES("message.created"), .ver = 1};
    if (item.len == 0 || !item_number(item, BYTES("seq"), &row->seq) ||
        !item_number(item, BYTES("n"), &row->n) || !item_number(item, BYTES("ts"), &row->ts)) {
        return false;
    }
    (void)item_string(item, BYTES("type"), &row->type);
    (void)item_string(item, BYTES("client_id"), &row->client_id);
    (void)item_number(item, BYTES("ver"), &row->ver);
    if (item_get(item, BYTES("sender"), &value) && value.tag == VALUE_M &&
        !person_read(value.body, &row->sender)) {
        return false;
    }
    if (item_get(item, BYTES("body"), &value) && value.tag == VALUE_M) {
        row->has_text = item_string(value.body, BYTES("text"), &row->text);
    }
    return true;
}

/* A row (pk and sk given), or an element of HEAD's ev (pk empty). */
struct bytes message_item(struct arena *arena, const struct message_row *row, struct bytes pk,
                          struct bytes sk, bool with_text)
{
    struct item_build build;
    struct item_build part;
    struct bytes sender = BYTES_NONE;
    struct bytes body = BYTES_NONE;
    struct bytes item = BYTES_NONE;
    item_build_init(&build, arena);
    if (pk.len > 0) {
        item_build_s(&build, BYTES("pk"), pk);
        item_build_s(&build, BYTES("sk"), sk);
    }
    item_build_s(&build, BYTES("type"), row->type);
    item_build_i64(&build, BYTES("seq"), (int64_t)row->seq);
    item_build_i64(&build, BYTES("n"), (int64_t)row->n);
    item_build_i64(&build, BYTES("ts"), (int64_t)row->ts);
    if (row->sender.id.len > 0) {
        item_build_init(&part, arena);
        item_build_s(&part, BYTES("id"), row->sender.id);
        item_build_s(&part, BYTES("handle"), row->sender.handle);
        build.failed |= item_build_end(&part, &sender) != OK;
        item_build_m(&build, BYTES("sender"), sender);
        item_build_s(&build, BYTES("client_id"), row->client_id);
        item_build_i64(&build, BYTES("ver"), (int64_t)row->ver);
    }
    if (row->has_text && with_text) {
        item_build_init(&part, arena);
        item_build_s(&part, BYTES("text"), row->text);
        build.failed |= item_build_end(&part, &body) != OK;
        item_build_m(&build, BYTES("body"), body);
    }
    return item_build_end(&build, &item) == OK ? item : BYTES_NONE;
}

void add_time(struct buf *out, uint64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm parts;
    char text[40];
    gmtime_r(&seconds, &parts);
    size_t len = strftime(text, sizeof(text), "\"%Y-%m-%dT%H:%M:%S", &parts);
    buf_add(out, bytes_of(text, len));
    buf_printf(out, ".%03uZ\"", (unsigned)(ms % 1000));
}

void add_number(struct buf *out, uint64_t number)
{
    buf_printf(out, "%llu", (unsigned long long)number);
}

void add_person(struct buf *out, const struct person *person)
{
    buf_add_cstr(out, "{\"id\":");
    json_add_string(out, person->id);
    buf_add_cstr(out, ",\"handle\":");
    json_add_string(out, person->handle);
    buf_add_cstr(out, "}");
}

void add_members(struct buf *out, const struct members *members)
{
    buf_add_cstr(out, "[");
    for (size_t i = 0; i < members->count; i++) {
        buf_add_cstr(out, i == 0 ? "{\"id\":" : ",{\"id\":");
        json_add_string(out, members->people[i].id);
        buf_add_cstr(out, ",\"handle\":");
        json_add_string(out, members->people[i].handle);
        buf_add_cstr(out, ",\"role\":\"member\"}");
    }
    buf_add_cstr(out, "]");
}

void add_message(struct buf *out, const struct message_row *row)
{
    buf_add_cstr(out, "{\"seq\":");
    add_number(out, row->seq);
    buf_add_cstr(out, ",\"n\":");
    add_number(out, row->n);
    buf_add_cstr(out, ",\"sender\":");
    add_person(out, &row->sender);
    buf_add_cstr(out, ",\"ts\":");
    add_time(out, row->ts);
    buf_add_cstr(out, ",\"client_id\":");
    json_add_string(out, row->client_id);
    buf_add_cstr(out, ",\"body\":{\"text\":");
    json_add_string(out, row->text);
    buf_add_cstr(out, "},\"ver\":");
    add_number(out, row->ver);
    buf_add_cstr(out, "}");
}

void add_event(struct buf *out, struct bytes cid, const struct message_row *row,
               const struct head *head)
{
    buf_add_cstr(out, "{\"c\":");
    json_add_string(out, cid);
    buf_add_cstr(out, ",\"seq\":");
    add_number(out, row->seq);
    buf_add_cstr(out, ",\"type\":");
    json_add_string(out, row->type);
    buf_add_cstr(out, ",\"n\":");
    add_number(out, row->n);
    buf_add_cstr(out, ",\"data\":");
    if (bytes_equal(row->type, BYTES("message.created"))) {
        add_message(out, row);
    } else {
        buf_add_cstr(out, "{\"id\":");
        json_add_string(out, cid);
        buf_add_cstr(out, ",\"kind\":");
        json_add_string(out, head->kind);
        buf_add_cstr(out, ",\"members\":");
        add_members(out, &head->members);
        buf_add_cstr(out, "}");
    }
    buf_add_cstr(out, "}");
}
