/* The canonical forms that both sides of a signature must agree on to the byte: path, query string,
 * header values and times. */
#include "net/sigv4_priv.h"

#include "base/assert.h"

#include <time.h>

/* ---- percent encoding ---- */

static bool is_unreserved(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '~';
}

static void add_encoded(struct text *text, uint8_t c)
{
    static const char digits[] = "0123456789ABCDEF";
    if (is_unreserved(c)) {
        text_add_byte(text, c);
    } else {
        text_add_byte(text, '%');
        text_add_byte(text, (uint8_t)digits[c >> 4]);
        text_add_byte(text, (uint8_t)digits[c & 15]);
    }
}

static int unhex(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The byte that stands at *at, which moves to the last one that was read. */
static uint8_t decoded(struct bytes data, size_t *at)
{
    uint8_t c = data.ptr[*at];
    bool escaped = c == '%' && *at + 2 < data.len;
    int high = escaped ? unhex(data.ptr[*at + 1]) : -1;
    int low = escaped ? unhex(data.ptr[*at + 2]) : -1;
    if (high < 0 || low < 0) {
        return c;
    }
    *at += 2;
    return (uint8_t)(high << 4 | low);
}

/* One spelling for every way to write the same text. */
static void add_recoded(struct text *text, struct bytes data)
{
    for (size_t i = 0; i < data.len; i++) {
        add_encoded(text, decoded(data, &i));
    }
}

/* ---- paths ---- */

size_t canonical_room(struct bytes path, struct bytes query)
{
    /* A pair without '=' gets one; the query is there twice, unsorted and sorted. */
    return 3 * path.len + 2 + 2 * (3 * query.len + 2 * QUERY_PAIRS_MAX);
}

/* Drops the last segment of what was written since start; start itself is a '/'. */
static void drop_segment(struct text *text, const uint8_t *start)
{
    if (text->at - start > 1) {
        text->at--; /* the slash behind it */
        while (text->at[-1] != '/') {
            text->at--;
        }
    }
}

void canonical_path(struct text *text, struct bytes path)
{
    const uint8_t *start = text->at;
    text_add_byte(text, '/');
    while (path.len > 0) {
        size_t before = path.len;
        struct bytes segment = bytes_cut(&path, '/');
        bool open = before == segment.len; /* no slash behind it */
        if (bytes_equal(segment, BYTES(".."))) {
            drop_segment(text, start);
        } else if (segment.len > 0 && !bytes_equal(segment, BYTES("."))) {
            for (size_t i = 0; i < segment.len; i++) {
                add_encoded(text, segment.ptr[i]);
            }
            if (!open) {
                text_add_byte(text, '/');
            }
        }
    }
}

/* ---- queries ---- */

struct pair {
    struct bytes name;
    struct bytes value;
};

static int pair_compare(const struct pair *a, const struct pair *b)
{
    int order = bytes_compare(a->name, b->name);
    return order != 0 ? order : bytes_compare(a->value, b->value);
}

static struct bytes recode(struct text *text, struct bytes data)
{
    const uint8_t *start = text->at;
    add_recoded(text, data);
    return bytes_of(start, (size_t)(text->at - start));
}

struct bytes query_decode(struct arena *arena, struct bytes data)
{
    uint8_t *start = arena_alloc(arena, data.len + 1);
    struct text text = {start, start + data.len};
    if (start == NULL) {
        return BYTES_NONE;
    }
    for (size_t i = 0; i < data.len; i++) {
        text_add_byte(&text, decoded(data, &i));
    }
    return bytes_of(start, (size_t)(text.at - start));
}

bool canonical_query(struct text *text, struct bytes query, struct bytes without)
{
    struct pair pairs[QUERY_PAIRS_MAX];
    size_t count = 0;
    if (query.len == 0) {
        return true;
    }
    struct text unsorted = {text->at + 3 * query.len + 2 * QUERY_PAIRS_MAX, text->end};
    while (query.len > 0) {
        struct bytes value = bytes_cut(&query, '&');
        struct bytes name = bytes_cut(&value, '=');
        struct pair pair = {.name = recode(&unsorted, name)};
        if (without.len > 0 && bytes_equal(pair.name, without)) {
            continue;
        }
        if (count == QUERY_PAIRS_MAX) {
            return false;
        }
        pair.value = recode(&unsorted, value);
        size_t at = count++;
        for (; at > 0 && pair_compare(&pairs[at - 1], &pair) > 0; at--) {
            pairs[at] = pairs[at - 1];
        }
        pairs[at] = pair;
    }
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            text_add_byte(text, '&');
        }
        text_add(text, pairs[i].name);
        text_add_byte(text, '=');
        text_add(text, pairs[i].value);
    }
    return true;
}

/* ---- header values ---- */

void canonical_value(struct text *text, struct bytes value)
{
    bool blank = false; /* waits for a byte that makes it an inner one */
    bool begun = false;
    if (value.len > 0 && memchr(value.ptr, ' ', value.len) == NULL &&
        memchr(value.ptr, '\t', value.len) == NULL) {
        text_add(text, value); /* nearly all of them */
        return;
    }
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.ptr[i];
        if (c == ' ' || c == '\t') {
            blank = begun;
            continue;
        }
        if (blank) {
            text_add_byte(text, ' ');
            blank = false;
        }
        begun = true;
        text_add_byte(text, c);
    }
}

/* ---- times ---- */

static bool parse_digits(struct bytes text, size_t at, size_t count, unsigned *out)
{
    *out = 0;
    for (size_t i = at; i < at + count; i++) {
        unsigned digit = (unsigned)text.ptr[i] - '0';
        if (digit > 9) {
            return false;
        }
        *out = *out * 10 + digit;
    }
    return true;
}

/* Days since 1970 of a date of the Gregorian calendar; years begin in March, so that the leap day
 * is the last. */
static uint64_t days_of(unsigned year, unsigned month, unsigned day)
{
    uint64_t y = month <= 2 ? year - 1 : year;
    uint64_t m = month <= 2 ? month + 9 : month - 3;
    return y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - 719468;
}

static unsigned month_days(unsigned year, unsigned month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap ? 1u : 0u);
}

bool stamp_parse(struct bytes text, uint64_t *ms)
{
    unsigned year;
    unsigned month;
    unsigned day;
    unsigned hour;
    unsigned minute;
    unsigned second;
    if (text.len != STAMP_LEN || text.ptr[8] != 'T' || text.ptr[15] != 'Z' ||
        !parse_digits(text, 0, 4, &year) || !parse_digits(text, 4, 2, &month) ||
        !parse_digits(text, 6, 2, &day) || !parse_digits(text, 9, 2, &hour) ||
        !parse_digits(text, 11, 2, &minute) || !parse_digits(text, 13, 2, &second)) {
        return false;
    }
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > month_days(year, month) ||
        hour > 23 || minute > 59 || second > 59) {
        return false;
    }
    *ms = (((days_of(year, month, day) * 24 + hour) * 60 + minute) * 60 + second) * 1000;
    return true;
}

void stamp_format(uint64_t ms, char stamp[STAMP_LEN + 1])
{
    struct tm parts;
    time_t seconds = (time_t)(ms / 1000);
    gmtime_r(&seconds, &parts);
    size_t len = strftime(stamp, STAMP_LEN + 1, "%Y%m%dT%H%M%SZ", &parts);
    ASSERT(len == STAMP_LEN);
}
