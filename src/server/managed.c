/* Managed access keys and their file: see managed.h (server I6, I8). */
#include "server/managed.h"

#include "base/mem.h"
#include "sys/file.h"
#include "sys/process.h"
#include "sys/random.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <stdio.h>

#define LABEL "headwater keys 1\n"
#define FILE_BYTES_MAX (32u << 20)
#define MASTER_BYTES_MAX 200u
#define MASTER_DIGITS ((size_t)2 * SEAL_KEY_LEN)
#define CREDENTIAL "headwater-master-key"

static enum err choose_paths(struct managed_file *file, const char *data, const char *master,
                             char *why, size_t room);
static bool is_inside(const char *path, const char *directory);
static enum err read_master(struct managed_file *file, char *why, size_t room);
static enum err write_master(struct managed_file *file, char *why, size_t room);
static enum err read_set(struct bytes plain, struct managed_set **set, char *why, size_t room);
static enum err read_key(struct json_parser *policies, struct json value, struct managed_key **key,
                         char *why, size_t room);
static void write_set(const struct managed_set *set, struct buf *out);
static enum err key_new(struct json_parser *parser, const struct managed_key *like,
                        struct managed_key **out, char *why, size_t room);
static bool is_name(struct bytes name);
static size_t place_of(const struct managed_set *set, struct bytes id);
static struct managed_key *find_any(const struct managed_set *set, struct bytes text);
static struct managed_set *set_with(const struct managed_set *old, const struct managed_key *out,
                                    struct managed_key *in);

/* ---- the file ---- */

enum err managed_open(struct managed_file *file, const char *data, const char *master,
                      struct managed_set **set, char *why, size_t room)
{
    struct arena arena;
    struct bytes text;
    struct bytes plain = BYTES_NONE;
    TRY(choose_paths(file, data, master, why, room));
    TRY(read_master(file, why, room));
    if (!file_exists(file->path)) {
        *set = mem_zalloc(1, sizeof(**set));
        return OK;
    }
    arena_init(&arena, (size_t)2 * FILE_BYTES_MAX);
    enum err err = file_read_all(file->path, FILE_BYTES_MAX, &arena, &text);
    if (err != OK) {
        snprintf(why, room, "cannot read the managed keys in %s: %s", file->path, file_reason(err));
    } else if (!file->has_master) {
        err = ERR_NOT_FOUND;
        snprintf(why, room,
                 "the managed keys in %s need their master key, and there is none in %s; name its "
                 "file with --master-key",
                 file->path, file->master_path);
    } else {
        const struct bytes label = BYTES(LABEL);
        bool labelled = bytes_start_with(text, label);
        size_t skipped = labelled ? label.len : 0;
        err = !labelled
                  ? ERR_DAMAGED
                  : seal_open(file->master, label, bytes_of(text.ptr + skipped, text.len - skipped),
                              &arena, &plain);
        if (err != OK) {
            snprintf(why, room,
                     "the managed keys in %s do not open with the master key in %s: it is another "
                     "one, or the file is damaged",
                     file->path, file->master_path);
        } else {
            err = read_set(plain, set, why, room);
        }
    }
    if (plain.ptr != NULL) {
        OPENSSL_cleanse((void *)(uintptr_t)plain.ptr, plain.len);
    }
    arena_fini(&arena);
    return err;
}

static enum err choose_paths(struct managed_file *file, const char *data, const char *master,
                             char *why, size_t room)
{
    const char *directory = process_variable("CREDENTIALS_DIRECTORY");
    int len = (int)strlen(data);
    while (len > 1 && data[len - 1] == '/') {
        len--;
    }
    *file = (struct managed_file){0};
    snprintf(file->path, sizeof(file->path), "%s/keys", data);
    if (master[0] != 0) {
        snprintf(file->master_path, sizeof(file->master_path), "%s", master);
    } else if (directory != NULL && directory[0] != 0) {
        snprintf(file->master_path, sizeof(file->master_path), "%s/" CREDENTIAL, directory);
    }
    if (master[0] == 0 && (file->master_path[0] == 0 || !file_exists(file->master_path))) {
        snprintf(file->master_path, sizeof(file->master_path), "%.*s.key", len, data);
    }
    if (is_inside(file->master_path, data)) {
        snprintf(why, room,
                 "option master-key is '%s': it must not be in the data directory, whose keys it "
                 "opens",
                 file->master_path);
        return ERR_INVALID;
    }
    return OK;
}

static bool is_inside(const char *path, const char *directory)
{
    char folder[MANAGED_PATH_MAX];
    char whole[MANAGED_PATH_MAX];
    char within[MANAGED_PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof(folder), "%.*s", slash == NULL ? 1 : (int)(slash - path) + 1,
             slash == NULL ? "." : path);
    if (file_absolute(directory, whole, sizeof(whole)) != OK ||
        (file_absolute(path, within, sizeof(within)) != OK &&
         file_absolute(folder, within, sizeof(within)) != OK)) {
        return false; /* the one is not there: nothing is in it */
    }
    size_t len = strlen(whole);
    return strncmp(within, whole, len) == 0 && (within[len] == '/' || within[len] == 0);
}

static int digit_of(uint8_t letter)
{
    return letter >= '0' && letter <= '9'   ? letter - '0'
           : letter >= 'a' && letter <= 'f' ? letter - 'a' + 10
           : letter >= 'A' && letter <= 'F' ? letter - 'A' + 10
                                            : -1;
}

/* 64 hexadecimal digits. */
static enum err read_master(struct managed_file *file, char *why, size_t room)
{
    struct arena arena;
    struct bytes text;
    if (!file_exists(file->master_path)) {
        return OK;
    }
    arena_init(&arena, 0);
    enum err err = file_read_all(file->master_path, MASTER_BYTES_MAX, &arena, &text);
    bool right = err == OK;
    while (right && text.len > 0 && isspace(text.ptr[text.len - 1])) {
        text.len--;
    }
    right = right && text.len == MASTER_DIGITS;
    for (size_t i = 0; right && i < SEAL_KEY_LEN; i++) {
        int high = digit_of(text.ptr[2 * i]);
        int low = digit_of(text.ptr[2 * i + 1]);
        right = high >= 0 && low >= 0;
        file->master[i] = (uint8_t)(right ? high * 16 + low : 0);
    }
    arena_fini(&arena);
    file->has_master = right;
    if (err == ERR_IO || err == ERR_NOMEM) {
        snprintf(why, room, "cannot read the master key in %s: %s", file->master_path,
                 file_reason(err));
        return err;
    }
    if (!right) {
        snprintf(why, room,
                 "the master key in %s cannot be read: it must be %zu hexadecimal digits",
                 file->master_path, MASTER_DIGITS);
        return ERR_INVALID;
    }
    return OK;
}

static enum err write_master(struct managed_file *file, char *why, size_t room)
{
    uint8_t master[SEAL_KEY_LEN];
    char text[MASTER_DIGITS + 2];
    random_fill(master, sizeof(master));
    for (size_t i = 0; i < sizeof(master); i++) {
        snprintf(text + 2 * i, 3, "%02x", master[i]);
    }
    text[MASTER_DIGITS] = '\n';
    enum err err = file_write_all(file->master_path, bytes_of(text, MASTER_DIGITS + 1), 0600);
    if (err == OK) {
        memcpy(file->master, master, sizeof(master));
        file->has_master = true;
    } else {
        snprintf(why, room,
                 "the master key cannot be written to %s: name another file with --master-key",
                 file->master_path);
    }
    OPENSSL_cleanse(master, sizeof(master));
    OPENSSL_cleanse(text, sizeof(text));
    return err;
}

enum err managed_save(struct managed_file *file, const struct managed_set *set, char *why,
                      size_t room)
{
    uint8_t nonce[SEAL_NONCE_LEN];
    struct buf plain;
    struct buf text;
    if (!file->has_master) {
        TRY(write_master(file, why, room));
    }
    buf_init(&plain, FILE_BYTES_MAX / 2);
    buf_init(&text, FILE_BYTES_MAX);
    write_set(set, &plain);
    buf_add_cstr(&text, LABEL);
    random_fill(nonce, sizeof(nonce));
    enum err err = buf_check(&plain);
    err = err != OK ? err : seal(file->master, nonce, BYTES(LABEL), buf_bytes(&plain), &text);
    err = err != OK ? err : file_write_all(file->path, buf_bytes(&text), 0600);
    if (err != OK) {
        snprintf(why, room, "the keys cannot be written to %s", file->path);
    }
    if (plain.len > 0) {
        OPENSSL_cleanse(plain.ptr, plain.len);
    }
    buf_fini(&plain);
    buf_fini(&text);
    return err;
}

static void write_set(const struct managed_set *set, struct buf *out)
{
    buf_add_cstr(out, "{\"keys\":[");
    for (size_t i = 0; i < set->count; i++) {
        const struct managed_key *key = set->by_id[i];
        buf_add_cstr(out, i == 0 ? "{\"id\":" : ",{\"id\":");
        json_add_string(out, key->id);
        buf_add_cstr(out, ",\"name\":");
        json_add_string(out, key->name);
        buf_add_cstr(out, ",\"secret\":");
        json_add_string(out, key->secret);
        buf_printf(out,
                   ",\"active\":%s,\"created_ms\":%llu,\"policy\":", key->active ? "true" : "false",
                   (unsigned long long)key->created_ms);
        json_add_string(out, key->policy_text);
        buf_add_byte(out, '}');
    }
    buf_add_cstr(out, "]}");
}

static enum err read_set(struct bytes plain, struct managed_set **set, char *why, size_t room)
{
    struct json_parser *parser = json_parser_new();
    struct json_parser *policies = json_parser_new();
    struct json root;
    struct json keys;
    struct json value;
    enum err err =
        parser == NULL || policies == NULL ? ERR_NOMEM : json_parse(parser, plain, &root);
    snprintf(why, room, "the managed keys cannot be read");
    if (err == OK && (json_type(root) != JSON_OBJECT || !json_member(root, BYTES("keys"), &keys) ||
                      json_type(keys) != JSON_ARRAY)) {
        err = ERR_DAMAGED;
    }
    struct managed_set *made = mem_zalloc(1, sizeof(*made));
    struct json_iter iter = err == OK ? json_iter_of(keys) : (struct json_iter){0};
    while (err == OK && json_next(&iter, &value)) {
        struct managed_key *key = NULL;
        err = read_key(policies, value, &key, why, room);
        if (err == OK) {
            struct managed_set *more = set_with(made, NULL, key);
            managed_set_free(made);
            made = more;
        }
    }
    json_parser_free(policies);
    json_parser_free(parser);
    if (err != OK) {
        managed_set_free_all(made);
        return err;
    }
    *set = made;
    return OK;
}

static bool text_of(struct json object, struct bytes name, struct bytes *out)
{
    struct json value;
    bool is = json_member(object, name, &value) && json_type(value) == JSON_STRING;
    *out = is ? json_string(value) : BYTES_NONE;
    return is;
}

/* A policy that an older or newer version took and this one does not is kept, and allows nothing:
 * what cannot be read denies. */
static enum err read_key(struct json_parser *policies, struct json value, struct managed_key **key,
                         char *why, size_t room)
{
    struct managed_key like = {0};
    struct json active;
    struct json created;
    if (json_type(value) != JSON_OBJECT || !text_of(value, BYTES("id"), &like.id) ||
        !text_of(value, BYTES("name"), &like.name) ||
        !text_of(value, BYTES("secret"), &like.secret) ||
        !text_of(value, BYTES("policy"), &like.policy_text) ||
        !json_member(value, BYTES("active"), &active) ||
        !json_member(value, BYTES("created_ms"), &created) || json_type(created) != JSON_INTEGER) {
        return ERR_DAMAGED;
    }
    like.active = json_type(active) == JSON_TRUE;
    like.created_ms = (uint64_t)json_integer(created);
    enum err err = key_new(policies, &like, key, why, room);
    return err == ERR_INVALID ? key_new(NULL, &like, key, why, room) : err;
}

/* ---- keys and sets ---- */

void managed_make_key(char id[KEY_ID_LEN + 1], char secret[KEY_SECRET_LEN + 1])
{
    static const char id_letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    static const char secret_letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t random[KEY_ID_LEN - 4 + KEY_SECRET_LEN];
    random_fill(random, sizeof(random));
    memcpy(id, "AKIA", 4);
    for (size_t i = 4; i < KEY_ID_LEN; i++) {
        id[i] = id_letters[random[i - 4] & 31];
    }
    for (size_t i = 0; i < KEY_SECRET_LEN; i++) {
        secret[i] = secret_letters[random[KEY_ID_LEN - 4 + i] & 63];
    }
    id[KEY_ID_LEN] = 0;
    secret[KEY_SECRET_LEN] = 0;
    OPENSSL_cleanse(random, sizeof(random));
}

static struct bytes keep(uint8_t **at, struct bytes text)
{
    struct bytes kept = bytes_of(*at, text.len);
    if (text.len > 0) {
        memcpy(*at, text.ptr, text.len);
    }
    *at += text.len;
    return kept;
}

/* A copy with its policy compiled; without a parser it has none. */
static enum err key_new(struct json_parser *parser, const struct managed_key *like,
                        struct managed_key **out, char *why, size_t room)
{
    struct policy *policy = NULL;
    if (parser != NULL) {
        TRY(policy_compile(parser, like->policy_text, like->name, &policy, why, room));
    }
    size_t size =
        sizeof(*like) + like->id.len + like->name.len + like->secret.len + like->policy_text.len;
    struct managed_key *key = mem_alloc(size);
    uint8_t *at = (uint8_t *)(key + 1);
    *key = *like;
    key->size = size;
    key->policy = policy;
    key->id = keep(&at, like->id);
    key->name = keep(&at, like->name);
    key->secret = keep(&at, like->secret);
    key->policy_text = keep(&at, like->policy_text);
    *out = key;
    return OK;
}

void managed_key_free(struct managed_key *key)
{
    if (key != NULL) {
        policy_free(key->policy);
        OPENSSL_cleanse(key, key->size);
        mem_free(key);
    }
}

void managed_set_free(struct managed_set *set)
{
    mem_free(set);
}

void managed_set_free_all(struct managed_set *set)
{
    for (size_t i = 0; set != NULL && i < set->count; i++) {
        managed_key_free(set->by_id[i]);
    }
    managed_set_free(set);
}

const struct managed_key *managed_find(const struct managed_set *set, struct bytes id)
{
    size_t place = place_of(set, id);
    return place < set->count && bytes_equal(set->by_id[place]->id, id) ? set->by_id[place] : NULL;
}

/* The first place whose id is not below id. */
static size_t place_of(const struct managed_set *set, struct bytes id)
{
    size_t low = 0;
    size_t high = set->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (bytes_compare(set->by_id[middle]->id, id) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct managed_key *find_any(const struct managed_set *set, struct bytes text)
{
    for (size_t i = 0; i < set->count; i++) {
        if (bytes_equal(set->by_id[i]->id, text) || bytes_equal(set->by_id[i]->name, text)) {
            return set->by_id[i];
        }
    }
    return NULL;
}

static struct managed_set *set_with(const struct managed_set *old, const struct managed_key *out,
                                    struct managed_key *in)
{
    struct managed_set *set =
        mem_zalloc(1, sizeof(*set) + (old->count + 1) * sizeof(struct managed_key *));
    for (size_t i = 0; i < old->count; i++) {
        if (old->by_id[i] != out) {
            set->by_id[set->count++] = old->by_id[i];
        }
    }
    if (in != NULL) {
        size_t place = place_of(set, in->id);
        memmove(&set->by_id[place + 1], &set->by_id[place],
                (set->count - place) * sizeof(struct managed_key *));
        set->by_id[place] = in;
        set->count++;
    }
    return set;
}

/* An id's form is no name's, since a key is told by either. */
static bool is_name(struct bytes name)
{
    static const char marks[] = "+=,.@_-";
    bool right = name.len > 0 && name.len <= MANAGED_NAME_MAX;
    for (size_t i = 0; right && i < name.len; i++) {
        right = isalnum(name.ptr[i]) || memchr(marks, name.ptr[i], sizeof(marks) - 1) != NULL;
    }
    bool like_id = name.len == KEY_ID_LEN && bytes_start_with(name, BYTES("AKIA"));
    return right && !like_id && name.ptr[0] != '-';
}

enum err managed_apply(const struct managed_set *old, const struct key_change *change,
                       struct managed_set **fresh, struct managed_key **touched,
                       struct managed_key **replaced, char *why, size_t room)
{
    char id[KEY_ID_LEN + 1];
    char secret[KEY_SECRET_LEN + 1];
    struct managed_key *made = NULL;
    struct managed_key *found = find_any(old, change->name);
    if ((change->kind == KEY_CREATE) == (found != NULL)) {
        return found != NULL ? ERR_BUSY : ERR_NOT_FOUND;
    }
    if (change->kind == KEY_CREATE && !is_name(change->name)) {
        snprintf(why, room,
                 "a name is of 1 to %u letters, digits and +=,.@_-, and no access key id",
                 MANAGED_NAME_MAX);
        return ERR_INVALID;
    }
    if (change->kind == KEY_CREATE && old->count >= MANAGED_KEYS_MAX) {
        return ERR_FULL;
    }
    if (change->kind != KEY_DELETE) {
        struct managed_key like = found != NULL ? *found : (struct managed_key){.active = true};
        if (found == NULL) {
            managed_make_key(id, secret);
            like.id = bytes_of(id, KEY_ID_LEN);
            like.secret = bytes_of(secret, KEY_SECRET_LEN);
            like.name = change->name;
            like.created_ms = change->now_ms;
        }
        like.active = change->set_active ? change->active : like.active;
        like.policy_text = change->policy.ptr != NULL ? change->policy : like.policy_text;
        bool unread = found != NULL && found->policy == NULL && change->policy.ptr == NULL;
        struct json_parser *parser = unread ? NULL : json_parser_new();
        enum err err =
            parser == NULL && !unread ? ERR_NOMEM : key_new(parser, &like, &made, why, room);
        json_parser_free(parser);
        OPENSSL_cleanse(secret, sizeof(secret));
        if (err != OK) {
            return err;
        }
    }
    *fresh = set_with(old, found, made);
    *touched = made != NULL ? made : found;
    *replaced = found;
    return OK;
}
