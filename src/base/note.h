/* Log lines: NOTE(level, event, key and value pairs). One line of JSON per note, on standard error,
 * with time, level, event and the pairs; item contents, keys of items and secrets never go in.
 *   NOTE(NOTE_WARN, "log.torn_end", NOTE_S("file", path), NOTE_U("offset", offset));
 * Any thread. */
#ifndef HW_BASE_NOTE_H
#define HW_BASE_NOTE_H

#include "base/bytes.h"

enum note_level { NOTE_DEBUG, NOTE_INFO, NOTE_WARN, NOTE_ERROR };

struct note_pair {
    const char *key;
    enum { NOTE_KIND_TEXT, NOTE_KIND_NUMBER, NOTE_KIND_SIGNED } kind;
    struct bytes text;
    uint64_t number;
};

#define NOTE_S(key, cstr) ((struct note_pair){key, NOTE_KIND_TEXT, bytes_cstr(cstr), 0})
#define NOTE_B(key, data) ((struct note_pair){key, NOTE_KIND_TEXT, data, 0})
#define NOTE_U(key, value)                                                                         \
    ((struct note_pair){key, NOTE_KIND_NUMBER, BYTES_NONE, (uint64_t)(value)})
#define NOTE_I(key, value)                                                                         \
    ((struct note_pair){key, NOTE_KIND_SIGNED, BYTES_NONE, (uint64_t)(int64_t)(value)})

#define NOTE(level, event, ...)                                                                    \
    do {                                                                                           \
        if ((level) >= note_threshold) {                                                           \
            const struct note_pair note_pairs_[] = {{0}, __VA_ARGS__};                             \
            note_write(level, event, note_pairs_ + 1,                                              \
                       sizeof(note_pairs_) / sizeof(note_pairs_[0]) - 1);                          \
        }                                                                                          \
    } while (0)

/* Set once by main before threads start; NOTE_INFO at first. */
extern enum note_level note_threshold;

void note_write(enum note_level level, const char *event, const struct note_pair *pairs,
                size_t count);
/* The level named "debug", "info", "warn" or "error"; false if it is none of these. */
bool note_level_parse(const char *text, enum note_level *level);

#endif
