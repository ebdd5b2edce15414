/* The credentials file: [profile] sections with aws_access_key_id and aws_secret_access_key lines.
 * (server I6). */
#include "server/keys.h"

#include "server/managed.h"
#include "sys/file.h"

#include <ctype.h>
#include <stdio.h>

#define KEYS_FILE_BYTES_MAX (1u << 20)
#define KEYS_MAX 10000u

static enum err keys_create(const char *path, struct arena *arena);
static enum err keys_parse(struct bytes text, struct arena *arena, struct keys *keys, char *why,
                           size_t room);
static bool line_value(struct bytes line, const char *key, struct bytes *value);
static struct bytes trim(struct bytes text);

enum err keys_load(const char *data, const char *path, struct arena *arena, struct keys *keys,
                   char *why, size_t room)
{
    struct bytes text;
    bool ours = path[0] == 0;
    struct bytes full =
        ours ? arena_printf(arena, "%s/credentials", data) : arena_printf(arena, "%s", path);
    if (full.ptr == NULL) {
        return ERR_NOMEM;
    }
    *keys = (struct keys){.path = (const char *)full.ptr};
    if (ours && !file_exists(keys->path)) {
        enum err made = keys_create(keys->path, arena);
        if (made != OK) {
            snprintf(why, room, "cannot write the credentials file %s", keys->path);
            return made;
        }
        keys->created = true;
    }
    if (file_read_all(keys->path, KEYS_FILE_BYTES_MAX, arena, &text) != OK) {
        snprintf(why, room, "cannot read the credentials file %s", keys->path);
        return ERR_IO;
    }
    return keys_parse(text, arena, keys, why, room);
}

bool keys_lookup(void *arg, struct bytes key_id, struct bytes *secret)
{
    const struct keys *keys = arg;
    for (size_t i = 0; i < keys->count; i++) {
        if (bytes_equal(keys->entries[i].id, key_id)) {
            *secret = keys->entries[i].secret;
            return true;
        }
    }
    return false;
}

static enum err keys_create(const char *path, struct arena *arena)
{
    char id[KEY_ID_LEN + 1];
    char secret[KEY_SECRET_LEN + 1];
    managed_make_key(id, secret);
    struct bytes text = arena_printf(
        arena, "[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", id, secret);
    return text.ptr == NULL ? ERR_NOMEM : file_write_all(path, text, 0600);
}

static enum err keys_parse(struct bytes text, struct arena *arena, struct keys *keys, char *why,
                           size_t room)
{
    struct bytes id = BYTES_NONE;
    struct bytes secret = BYTES_NONE;
    unsigned line_number = 0;
    keys->entries = arena_alloc(arena, sizeof(*keys->entries) * KEYS_MAX);
    if (keys->entries == NULL) {
        return ERR_NOMEM;
    }
    while (text.len > 0) {
        const uint8_t *newline = memchr(text.ptr, '\n', text.len);
        size_t len = newline == NULL ? text.len : (size_t)(newline - text.ptr);
        struct bytes line = trim(bytes_of(text.ptr, len));
        size_t taken = newline == NULL ? len : len + 1;
        text = bytes_of(text.ptr + taken, text.len - taken);
        line_number++;
        if (line.len > 0 && line.ptr[0] == '[') {
            id = BYTES_NONE;
            secret = BYTES_NONE;
        }
        (void)line_value(line, "aws_access_key_id", &id);
        (void)line_value(line, "aws_secret_access_key", &secret);
        if (id.len > 0 && secret.len > 0) {
            if (keys->count == KEYS_MAX) {
                snprintf(why, room, "%s line %u: more than %u keys", keys->path, line_number,
                         KEYS_MAX);
                return ERR_INVALID;
            }
            keys->entries[keys->count++] = (struct key_entry){id, secret};
            id = BYTES_NONE;
            secret = BYTES_NONE;
        }
    }
    if (keys->count == 0) {
        snprintf(why, room, "%s holds no profile with aws_access_key_id and aws_secret_access_key",
                 keys->path);
        return ERR_INVALID;
    }
    return OK;
}

static bool line_value(struct bytes line, const char *key, struct bytes *value)
{
    const uint8_t *equals = memchr(line.ptr, '=', line.len);
    if (line.len == 0 || equals == NULL) {
        return false;
    }
    size_t key_len = (size_t)(equals - line.ptr);
    if (!bytes_equal(trim(bytes_of(line.ptr, key_len)), bytes_cstr(key))) {
        return false;
    }
    *value = trim(bytes_of(equals + 1, line.len - key_len - 1));
    return true;
}

static struct bytes trim(struct bytes text)
{
    while (text.len > 0 && isspace(text.ptr[0])) {
        text = bytes_of(text.ptr + 1, text.len - 1);
    }
    while (text.len > 0 && isspace(text.ptr[text.len - 1])) {
        text.len--;
    }
    return text;
}
