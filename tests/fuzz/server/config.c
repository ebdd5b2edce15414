/* The options file: what it says comes to the same as the same words given as flags, every number
 * taken is within its bounds, and a configuration written out reads back. */
#include "server/config.h"
#include "fuzz.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LINES_MAX 40u

static char path[64];

static void remove_file(void)
{
    unlink(path);
}

static void write_file(struct bytes text)
{
    if (path[0] == 0) {
        snprintf(path, sizeof(path), "/dev/shm/fuzz-config-%d", (int)getpid());
        atexit(remove_file);
    }
    FILE *file = fopen(path, "wb");
    HOLDS(file != NULL && (text.len == 0 || fwrite(text.ptr, text.len, 1, file) == 1));
    HOLDS(fclose(file) == 0);
}

static enum err load_file(struct bytes text, struct arena *arena, struct config *config)
{
    char flag[] = "--config";
    char *words[] = {flag, path};
    char why[300] = "";
    write_file(text);
    enum err err = config_load(2, words, arena, config, why, sizeof(why));
    HOLDS(err == OK || err == ERR_INVALID);
    HOLDS(err == OK || (why[0] != 0 && strlen(why) < sizeof(why)));
    return err;
}

/* ---- properties ---- */

static bool same_text(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static bool same_number(uint64_t a, uint64_t b)
{
    return a == b;
}

static void check_same(const struct config *a, const struct config *b)
{
#define SAME_TEXT same_text
#define SAME_COUNT same_number
#define SAME_SIZE same_number
#define SAME_FLAG same_number
#define OPTION(key, field, kind, text, least, most, help) HOLDS(SAME_##kind(a->field, b->field));
#define OPTION_TEST OPTION
#include "server/config.def"
#undef OPTION
#undef OPTION_TEST
}

/* What is chosen at the start, by what the machine has, is 0 until then. */
static bool is_auto(const char *initial, uint64_t number)
{
    return number == 0 && strcmp(initial, "auto") == 0;
}

static bool is_within(const char *value, uint64_t number, uint64_t least, uint64_t most)
{
    (void)value;
    return number >= least && number <= most;
}

static void check_bounds(const struct config *config)
{
#define BOUND_TEXT(field, initial, least, most) HOLDS((field) != NULL);
#define BOUND_COUNT(field, initial, least, most)                                                   \
    HOLDS(is_auto(initial, field) || is_within(#field, field, least, most));
#define BOUND_SIZE BOUND_COUNT
#define BOUND_FLAG(field, initial, least, most) HOLDS((field) || !(field));
#define OPTION(key, field, kind, text, least, most, help)                                          \
    BOUND_##kind(config->field, text, (uint64_t)(least), (uint64_t)(most))
#define OPTION_TEST OPTION
#include "server/config.def"
#undef OPTION
#undef OPTION_TEST
}

static void add_text(struct buf *out, const char *key, const char *initial, const char *value)
{
    (void)initial;
    buf_printf(out, "%s = %s\n", key, value);
}

static void add_number(struct buf *out, const char *key, const char *initial, uint64_t value)
{
    if (is_auto(initial, value)) {
        buf_printf(out, "%s = auto\n", key);
    } else {
        buf_printf(out, "%s=%llu\n", key, (unsigned long long)value);
    }
}

static void add_flag(struct buf *out, const char *key, const char *initial, bool value)
{
    (void)initial;
    buf_printf(out, "%s = %s\n", key, value ? "yes" : "no");
}

static void write_again(const struct config *config, struct arena *arena)
{
    struct config again;
    struct buf out;
    buf_init(&out, 1u << 20);
#define ADD_TEXT add_text
#define ADD_COUNT add_number
#define ADD_SIZE add_number
#define ADD_FLAG add_flag
#define OPTION(key, field, kind, text, least, most, help)                                          \
    ADD_##kind(&out, key, text, config->field);
#define OPTION_TEST OPTION
#include "server/config.def"
#undef OPTION
#undef OPTION_TEST
    HOLDS(load_file(buf_bytes(&out), arena, &again) == OK);
    check_same(config, &again);
    buf_fini(&out);
}

static struct bytes trimmed(struct bytes text)
{
    while (text.len > 0 && isspace(text.ptr[0])) {
        text = bytes_of(text.ptr + 1, text.len - 1);
    }
    while (text.len > 0 && isspace(text.ptr[text.len - 1])) {
        text.len--;
    }
    return text;
}

/* The same lines as flags, each "--key=value". */
static void check_flags(struct bytes text, enum err err, const struct config *config,
                        struct arena *arena)
{
    struct config flags;
    char *words[LINES_MAX];
    char why[300] = "";
    int count = 0;
    bool comparable = true;
    while (text.len > 0 && comparable) {
        const uint8_t *end = memchr(text.ptr, '\n', text.len);
        size_t len = end == NULL ? text.len : (size_t)(end - text.ptr);
        struct bytes line = trimmed(bytes_of(text.ptr, len));
        text = end == NULL ? BYTES_NONE : bytes_of(end + 1, text.len - len - 1);
        if (line.len == 0 || line.ptr[0] == '#') {
            continue;
        }
        const uint8_t *equals = memchr(line.ptr, '=', line.len);
        comparable = equals != NULL && count < (int)LINES_MAX;
        if (comparable) {
            struct bytes key = trimmed(bytes_of(line.ptr, (size_t)(equals - line.ptr)));
            struct bytes value =
                trimmed(bytes_of(equals + 1, line.len - (size_t)(equals - line.ptr) - 1));
            struct bytes word =
                arena_printf(arena, "--%.*s=%.*s", BYTES_FMT(key), BYTES_FMT(value));
            comparable = !bytes_equal(key, BYTES("config"));
            words[count++] = (char *)(uintptr_t)word.ptr;
        }
    }
    if (comparable) {
        HOLDS(config_load(count, words, arena, &flags, why, sizeof(why)) == err);
        if (err == OK) {
            check_same(config, &flags);
        }
    }
}

/* Words of a command line, in any arrangement. */
static void any_flags(struct fuzz_input *input, struct arena *arena)
{
    static const char *const known[] = {"--listen",
                                        "--data=x",
                                        "--allow-plaintext",
                                        "no",
                                        "yes",
                                        "--loops",
                                        "3",
                                        "--segment-bytes=1m",
                                        "64k",
                                        "--auth",
                                        "none",
                                        "--",
                                        "=",
                                        "--retention-ms=99"};
    char *words[8];
    char why[300] = "";
    struct config config;
    int count = (int)fuzz_below(input, 9);
    for (int i = 0; i < count; i++) {
        size_t choice = fuzz_below(input, sizeof(known) / sizeof(known[0]) + 2);
        struct bytes word = choice < sizeof(known) / sizeof(known[0]) ? bytes_cstr(known[choice])
                                                                      : fuzz_text(input, arena, 30);
        words[i] = (char *)(uintptr_t)arena_printf(arena, "%.*s", BYTES_FMT(word)).ptr;
        if (strncmp(words[i], "--config", 8) == 0) {
            return; /* it would name any file of this machine */
        }
    }
    enum err err = config_load(count, words, arena, &config, why, sizeof(why));
    HOLDS(err == OK ? why[0] == 0 : err == ERR_INVALID && why[0] != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = fuzz_input_of(data, size);
    struct config config;
    struct arena arena;
    arena_init(&arena, 0);
    any_flags(&input, &arena);
    struct bytes text = fuzz_rest(&input);
    if (memchr(text.ptr, 0, text.len) == NULL) {
        enum err err = load_file(text, &arena, &config);
        check_flags(text, err, &config, &arena);
        if (err == OK) {
            check_bounds(&config);
            write_again(&config, &arena);
        }
    } else {
        HOLDS(load_file(text, &arena, &config) == ERR_INVALID);
    }
    arena_fini(&arena);
    return 0;
}
