/* One table of options, read three ways. Later sources overwrite earlier ones: defaults, the file,
 * the variables, the flags (server I4). */
#include "server/config.h"

#include "sys/file.h"
#include "sys/process.h"
#include "table/table.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct option {
    const char *key;
    const char *initial;
    const char *help;
    size_t offset;
    uint64_t least;
    uint64_t most;
    enum config_kind kind;
};

static const struct option options[] = {
#define OPTION(key, field, kind, text, least, most, help)                                          \
    {key, text, help, offsetof(struct config, field), least, most, CONFIG_##kind},
#ifdef HW_TEST_HOOKS
#define OPTION_TEST OPTION
#else
#define OPTION_TEST(key, field, kind, text, least, most, help)
#endif
#include "server/config.def"
#undef OPTION
#undef OPTION_TEST
};
#define OPTION_COUNT (sizeof(options) / sizeof(options[0]))
#define CONFIG_FILE_BYTES_MAX (1u << 20)

struct loading {
    struct arena *arena;
    struct config *config;
    char *why;
    size_t room;
};

static enum err load_flags(struct loading *loading, int argc, char **argv, const char **file);
static enum err load_variables(struct loading *loading);
static enum err load_file(struct loading *loading, const char *path);
static enum err check_budget(struct loading *loading);
static const struct option *option_find(struct bytes key);
static enum err option_set(struct loading *loading, const struct option *option, struct bytes text,
                           const char *source);
static bool parse_count(const char *text, bool suffixes, uint64_t *out);
static bool parse_flag(const char *text, bool *out);

enum err config_load(int argc, char **argv, struct arena *arena, struct config *config, char *why,
                     size_t room)
{
    struct loading loading = {arena, config, why, room};
    const char *file = process_variable("HEADWATER_CONFIG");
    *config = (struct config){0};
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        TRY(option_set(&loading, &options[i], bytes_cstr(options[i].initial), "default"));
    }
    /* The flags are read twice: first for --config alone, so that they can overrule the file. */
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "--config=", 9) == 0) {
            file = argv[i] + 9;
        } else if (strcmp(argv[i], "--config") == 0 && i + 1 < argc) {
            file = argv[i + 1];
        }
    }
    if (file != NULL) {
        TRY(load_file(&loading, file));
    }
    TRY(load_variables(&loading));
    TRY(load_flags(&loading, argc, argv, &file));
    return check_budget(&loading);
}

static enum err check_budget(struct loading *loading)
{
    const struct config *config = loading->config;
    uint64_t segment = config->segment_bytes == 0 ? 64u << 20 : config->segment_bytes;
    uint64_t least = STORE_BUDGET_SEGMENTS * segment;
    if (config->log_budget == 0 || config->log_budget >= least) {
        return OK;
    }
    snprintf(loading->why, loading->room,
             "option log-budget is %llu: it must be 0, or %llu at least, %u segments of "
             "segment-bytes",
             (unsigned long long)config->log_budget, (unsigned long long)least,
             STORE_BUDGET_SEGMENTS);
    return ERR_INVALID;
}

/* --config is no row of the table, as a file cannot name another. */
void config_help(struct buf *out)
{
    buf_add_cstr(out,
                 "  --config TEXT              file with a line 'option = value' for each option "
                 "it sets\n");
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const char *sample[] = {"TEXT", "N", "BYTES", ""};
        buf_printf(out, "  --%s %s%*s%s%s%s\n", options[i].key, sample[options[i].kind],
                   (int)(24 - strlen(options[i].key) - strlen(sample[options[i].kind])), "",
                   options[i].help, options[i].initial[0] == 0 ? "" : "; default ",
                   options[i].initial);
    }
}

static enum err load_flags(struct loading *loading, int argc, char **argv, const char **file)
{
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        if (strncmp(word, "--", 2) != 0) {
            snprintf(loading->why, loading->room, "unexpected argument '%s'", word);
            return ERR_INVALID;
        }
        const char *equals = strchr(word, '=');
        size_t key_len = equals == NULL ? strlen(word + 2) : (size_t)(equals - word - 2);
        struct bytes key = bytes_of(word + 2, key_len);
        const struct option *option = option_find(key);
        bool is_config = bytes_equal(key, BYTES("config"));
        if (option == NULL && !is_config) {
            snprintf(loading->why, loading->room, "unknown option '--%.*s'", BYTES_FMT(key));
            return ERR_INVALID;
        }
        const char *text = equals == NULL ? NULL : equals + 1;
        if (text == NULL && option != NULL && option->kind == CONFIG_FLAG) {
            bool ignored;
            bool follows = i + 1 < argc && parse_flag(argv[i + 1], &ignored);
            text = follows ? argv[++i] : "yes";
        } else if (text == NULL) {
            if (i + 1 >= argc) {
                snprintf(loading->why, loading->room, "option '%s' needs a value", word);
                return ERR_INVALID;
            }
            text = argv[++i];
        }
        if (is_config) {
            *file = text;
            continue;
        }
        TRY(option_set(loading, option, bytes_cstr(text), "flag"));
    }
    return OK;
}

static enum err load_variables(struct loading *loading)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        char name[64] = "HEADWATER_";
        size_t len = strlen(name);
        for (const char *c = options[i].key; *c != 0; c++) {
            name[len++] = (char)(*c == '-' ? '_' : toupper((unsigned char)*c));
        }
        name[len] = 0;
        const char *text = process_variable(name);
        if (text != NULL) {
            TRY(option_set(loading, &options[i], bytes_cstr(text), name));
        }
    }
    return OK;
}

/* Lines of "key = value"; # starts a comment at the start of a line. */
static enum err load_file(struct loading *loading, const char *path)
{
    struct bytes text;
    if (file_read_all(path, CONFIG_FILE_BYTES_MAX, loading->arena, &text) != OK) {
        snprintf(loading->why, loading->room, "cannot read the configuration file %s", path);
        return ERR_INVALID;
    }
    if (memchr(text.ptr, 0, text.len) != NULL) {
        snprintf(loading->why, loading->room, "the configuration file %s holds a zero byte", path);
        return ERR_INVALID;
    }
    unsigned line_number = 0;
    while (text.len > 0) {
        const uint8_t *newline = memchr(text.ptr, '\n', text.len);
        size_t len = newline == NULL ? text.len : (size_t)(newline - text.ptr);
        struct bytes line = bytes_trim(bytes_of(text.ptr, len), BYTES_SPACE);
        size_t taken = newline == NULL ? len : len + 1;
        text = bytes_of(text.ptr + taken, text.len - taken);
        line_number++;
        if (line.len == 0 || line.ptr[0] == '#') {
            continue;
        }
        const uint8_t *equals = memchr(line.ptr, '=', line.len);
        size_t key_len = equals == NULL ? line.len : (size_t)(equals - line.ptr);
        struct bytes key = bytes_trim(bytes_of(line.ptr, key_len), BYTES_SPACE);
        const struct option *option = option_find(key);
        if (equals == NULL || option == NULL) {
            snprintf(loading->why, loading->room, "%s line %u: %s '%.*s'", path, line_number,
                     equals == NULL ? "expected 'key = value' at" : "unknown option",
                     BYTES_FMT(key));
            return ERR_INVALID;
        }
        struct bytes value = bytes_trim(bytes_of(equals + 1, line.len - key_len - 1), BYTES_SPACE);
        TRY(option_set(loading, option, value, path));
    }
    return OK;
}

static const struct option *option_find(struct bytes key)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (bytes_equal(key, bytes_cstr(options[i].key))) {
            return &options[i];
        }
    }
    return NULL;
}

static enum err option_set(struct loading *loading, const struct option *option, struct bytes text,
                           const char *source)
{
    char *place = (char *)loading->config + option->offset;
    struct bytes copy = arena_printf(loading->arena, "%.*s", BYTES_FMT(text));
    if (copy.ptr == NULL) {
        return ERR_NOMEM;
    }
    const char *word = (const char *)copy.ptr;
    uint64_t number = 0;
    bool truth = false;
    switch (option->kind) {
    case CONFIG_TEXT:
        memcpy(place, &word, sizeof(word));
        return OK;
    case CONFIG_COUNT:
    case CONFIG_SIZE:
        if (strcmp(word, "auto") == 0 && strcmp(option->initial, "auto") == 0) {
            number = 0;
        } else if (!parse_count(word, option->kind == CONFIG_SIZE, &number) ||
                   number < option->least || number > option->most) {
            snprintf(loading->why, loading->room,
                     "option %s (%s) is '%s': it must be a number from %llu to %llu%s", option->key,
                     source, word, (unsigned long long)option->least,
                     (unsigned long long)option->most,
                     option->kind == CONFIG_SIZE ? ", with k, m or g if you like" : "");
            return ERR_INVALID;
        }
        memcpy(place, &number, sizeof(number));
        return OK;
    case CONFIG_FLAG:
        if (!parse_flag(word, &truth)) {
            snprintf(loading->why, loading->room, "option %s (%s) is '%s': it must be yes or no",
                     option->key, source, word);
            return ERR_INVALID;
        }
        memcpy(place, &truth, sizeof(truth));
        return OK;
    }
    return ERR_INVALID;
}

static bool parse_count(const char *text, bool suffixes, uint64_t *out)
{
    char *end = NULL;
    errno = 0;
    if (!isdigit((unsigned char)text[0])) {
        return false;
    }
    unsigned long long number = strtoull(text, &end, 10);
    unsigned shift = 0;
    if (suffixes && *end != 0) {
        const char *units = "kmg";
        const char *unit = strchr(units, tolower((unsigned char)*end));
        if (unit == NULL || end[1] != 0) {
            return false;
        }
        shift = 10 * ((unsigned)(unit - units) + 1);
        end++;
    }
    if (errno != 0 || *end != 0 || number > UINT64_MAX >> shift) {
        return false;
    }
    *out = (uint64_t)number << shift;
    return true;
}

static bool parse_flag(const char *text, bool *out)
{
    bool yes = strcmp(text, "yes") == 0 || strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
    bool no = strcmp(text, "no") == 0 || strcmp(text, "false") == 0 || strcmp(text, "0") == 0;
    *out = yes;
    return yes || no;
}
