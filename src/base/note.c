/* One write(2) per line, so that lines of several threads never mix. The clock is read here and not
 * through sys, because base knows nothing of it and the time of a log line decides nothing. */
#include "base/note.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum note_level note_threshold = NOTE_INFO;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static size_t escape(char *out, size_t room, struct bytes text);

void note_write(enum note_level level, const char *event, const struct note_pair *pairs,
                size_t count)
{
    char line[2048];
    const size_t room = sizeof(line) - 3; /* closing brace, newline, zero */
    struct timespec now;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    size_t len = strftime(line, room, "{\"time\":\"%Y-%m-%dT%H:%M:%S", &parts);
    len += (size_t)snprintf(line + len, room - len, ".%03ldZ\",\"level\":\"%s\",\"event\":\"%s\"",
                            now.tv_nsec / 1000000, level_names[level], event);
    for (size_t i = 0; i < count; i++) {
        char pair[1200];
        size_t used = (size_t)snprintf(pair, sizeof(pair), ",\"%s\":", pairs[i].key);
        if (pairs[i].kind == NOTE_KIND_TEXT) {
            pair[used++] = '"';
            used += escape(pair + used, sizeof(pair) - used - 2, pairs[i].text);
            pair[used++] = '"';
        } else if (pairs[i].kind == NOTE_KIND_NUMBER) {
            used += (size_t)snprintf(pair + used, sizeof(pair) - used, "%llu",
                                     (unsigned long long)pairs[i].number);
        } else {
            used += (size_t)snprintf(pair + used, sizeof(pair) - used, "%lld",
                                     (long long)pairs[i].number);
        }
        if (len + used > room) {
            break;
        }
        memcpy(line + len, pair, used);
        len += used;
    }
    line[len++] = '}';
    line[len++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, len);
    (void)written; /* nobody is left to be told */
}

bool note_level_parse(const char *text, enum note_level *level)
{
    for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *level = (enum note_level)i;
            return true;
        }
    }
    return false;
}

/* JSON string contents; what does not fit is cut. */
static size_t escape(char *out, size_t room, struct bytes text)
{
    size_t len = 0;
    for (size_t i = 0; i < text.len && len + 6 < room; i++) {
        uint8_t c = text.ptr[i];
        if (c == '"' || c == '\\') {
            out[len++] = '\\';
            out[len++] = (char)c;
        } else if (c < 0x20 || c == 0x7f) {
            len += (size_t)snprintf(out + len, room - len, "\\u%04x", c);
        } else {
            out[len++] = (char)c;
        }
    }
    return len;
}
