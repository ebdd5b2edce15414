/* Options: flag over HEADWATER_* variable over --config file over default, all from one table
 * (config.def). */
#ifndef HW_SERVER_CONFIG_H
#define HW_SERVER_CONFIG_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum config_kind { CONFIG_TEXT, CONFIG_COUNT, CONFIG_SIZE, CONFIG_FLAG };

/* Texts live in the arena given to config_load, ended by zero. */
struct config {
#define CONFIG_FIELD_TEXT(field) const char *field;
#define CONFIG_FIELD_COUNT(field) uint64_t field;
#define CONFIG_FIELD_SIZE(field) uint64_t field;
#define CONFIG_FIELD_FLAG(field) bool field;
#define OPTION(key, field, kind, text, least, most, help) CONFIG_FIELD_##kind(field)
#ifdef HW_TEST_HOOKS
#define OPTION_TEST(key, field, kind, text, least, most, help) CONFIG_FIELD_##kind(field)
#else
#define OPTION_TEST(key, field, kind, text, least, most, help)
#endif
#include "server/config.def"
#undef OPTION
#undef OPTION_TEST
};

/* Reads flags ("--key value", "--key=value"; a FLAG may stand alone), variables and the file that
 * --config names. ERR_INVALID with why naming the option and what it may be. */
MUST_USE enum err config_load(int argc, char **argv, struct arena *arena, struct config *config,
                              char *why, size_t room);
/* A line per option, for --help. */
void config_help(struct buf *out);

#endif
