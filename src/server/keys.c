/* The credentials file: [profile] sections with aws_access_key_id and aws_secret_access_key lines.
 * (server I6). One that is made here has a comment before its key, "# check = " and a CRC-32C of
 * profile, id and secret: a bit that changes would otherwise be another key, and its holders
 * strangers. */
#include "server/keys.h"

#include "base/hash.h"
#include "server/managed.h"
#include "sys/file.h"

#include <stdio.h>

#define KEYS_FILE_BYTES_MAX (1u << 20)
#define KEYS_MAX 10000u

/* A section of the file as far as it was read. */
struct profile {
    struct bytes head;
    struct bytes id;
    struct bytes secret;
    struct bytes check;
    unsigned check_line; /* 0: none that is still to be met */
};

static enum err keys_create(const char *path, struct arena *arena);
static enum err keys_parse(struct bytes text, struct arena *arena, struct keys *keys, char *why,
                           size_t room);
static enum err profile_end(const struct profile *profile, const struct keys *keys, char *why,
                            size_t room);
static enum err profile_check(const struct profile *profile, const struct keys *keys, char *why,
                              size_t room);
static uint32_t profile_crc(struct bytes head, struct bytes id, struct bytes secret);
static bool line_value(struct bytes line, const char *key, struct bytes *value);

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
            snprintf(why, room, "cannot write the credentials file %s: %s", keys->path,
                     file_reason(made));
            return made;
        }
        keys->created = true;
    }
    enum err err = file_read_all(keys->path, KEYS_FILE_BYTES_MAX, arena, &text);
    if (err != OK) {
        snprintf(why, room, "cannot read the credentials file %s: %s", keys->path,
                 file_reason(err));
        return err;
    }
    err = keys_parse(text, arena, keys, why, room);
    return ours && err == ERR_INVALID ? ERR_DAMAGED : err;
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
        arena, "[default]\n# check = %08x\naws_access_key_id = %s\naws_secret_access_key = %s\n",
        profile_crc(BYTES("[default]"), bytes_cstr(id), bytes_cstr(secret)), id, secret);
    return text.ptr == NULL ? ERR_NOMEM : file_write_all(path, text, 0600);
}

static enum err keys_parse(struct bytes text, struct arena *arena, struct keys *keys, char *why,
                           size_t room)
{
    struct profile profile = {0};
    unsigned line_number = 0;
    keys->entries = arena_alloc(arena, sizeof(*keys->entries) * KEYS_MAX);
    if (keys->entries == NULL) {
        return ERR_NOMEM;
    }
    while (text.len > 0) {
        const uint8_t *newline = memchr(text.ptr, '\n', text.len);
        size_t len = newline == NULL ? text.len : (size_t)(newline - text.ptr);
        struct bytes line = bytes_trim(bytes_of(text.ptr, len), BYTES_SPACE);
        size_t taken = newline == NULL ? len : len + 1;
        text = bytes_of(text.ptr + taken, text.len - taken);
        line_number++;
        if (line.len > 0 && line.ptr[0] == '[') {
            TRY(profile_end(&profile, keys, why, room));
            profile = (struct profile){.head = line};
        }
        (void)line_value(line, "aws_access_key_id", &profile.id);
        (void)line_value(line, "aws_secret_access_key", &profile.secret);
        if (line_value(line, "# check", &profile.check)) {
            profile.check_line = line_number;
        }
        if (profile.id.len > 0 && profile.secret.len > 0) {
            TRY(profile_check(&profile, keys, why, room));
            if (keys->count == KEYS_MAX) {
                snprintf(why, room, "%s line %u: more than %u keys", keys->path, line_number,
                         KEYS_MAX);
                return ERR_INVALID;
            }
            keys->entries[keys->count++] = (struct key_entry){profile.id, profile.secret};
            profile = (struct profile){.head = profile.head};
        }
    }
    TRY(profile_end(&profile, keys, why, room));
    if (keys->count == 0) {
        snprintf(why, room, "%s holds no profile with aws_access_key_id and aws_secret_access_key",
                 keys->path);
        return ERR_INVALID;
    }
    return OK;
}

static enum err damaged(const struct profile *profile, const struct keys *keys, char *why,
                        size_t room)
{
    snprintf(why, room,
             "%s line %u: the check is not that of the key after it. Restore the file from a copy; "
             "remove this line where the key was changed on purpose",
             keys->path, profile->check_line);
    return ERR_DAMAGED;
}

/* A check whose key never came. */
static enum err profile_end(const struct profile *profile, const struct keys *keys, char *why,
                            size_t room)
{
    return profile->check_line == 0 ? OK : damaged(profile, keys, why, room);
}

static enum err profile_check(const struct profile *profile, const struct keys *keys, char *why,
                              size_t room)
{
    char expected[16];
    snprintf(expected, sizeof(expected), "%08x",
             profile_crc(profile->head, profile->id, profile->secret));
    bool fits = profile->check_line == 0 || bytes_equal(profile->check, bytes_cstr(expected));
    return fits ? OK : damaged(profile, keys, why, room);
}

static uint32_t profile_crc(struct bytes head, struct bytes id, struct bytes secret)
{
    uint32_t crc = hash_crc32c(0, head);
    crc = hash_crc32c(hash_crc32c(crc, BYTES("\n")), id);
    return hash_crc32c(hash_crc32c(crc, BYTES("\n")), secret);
}

static bool line_value(struct bytes line, const char *key, struct bytes *value)
{
    const uint8_t *equals = memchr(line.ptr, '=', line.len);
    if (line.len == 0 || equals == NULL) {
        return false;
    }
    size_t key_len = (size_t)(equals - line.ptr);
    if (!bytes_equal(bytes_trim(bytes_of(line.ptr, key_len), BYTES_SPACE), bytes_cstr(key))) {
        return false;
    }
    *value = bytes_trim(bytes_of(equals + 1, line.len - key_len - 1), BYTES_SPACE);
    return true;
}
