/* Borrowed bytes: a pointer and a length, never assumed to end in zero (base I1). Whoever hands one
 * out says until when it is valid. Text is UTF-8 in the same struct. */
#ifndef HW_BASE_BYTES_H
#define HW_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

struct bytes {
    const uint8_t *ptr;
    size_t len;
};

#define BYTES(literal) ((struct bytes){(const uint8_t *)("" literal), sizeof(literal) - 1})
#define BYTES_NONE ((struct bytes){NULL, 0})
/* A literal in a static initialiser. */
#define BYTES_INIT(literal)                                                                        \
    {                                                                                              \
        (const uint8_t *)("" literal), sizeof(literal) - 1                                         \
    }
/* For printf: "%.*s", BYTES_FMT(b). */
#define BYTES_FMT(b) (int)(b).len, (const char *)(b).ptr

static inline struct bytes bytes_of(const void *ptr, size_t len)
{
    return (struct bytes){(const uint8_t *)ptr, len};
}

static inline struct bytes bytes_cstr(const char *text)
{
    return bytes_of(text, strlen(text));
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* ASCII letters in either case. Most that differ do so in their first byte. */
static inline bool bytes_equal_nocase(struct bytes a, struct bytes b)
{
    return a.len == b.len &&
           (a.len == 0 || (((*a.ptr ^ *b.ptr) & 0xdf) == 0 &&
                           strncasecmp((const char *)a.ptr, (const char *)b.ptr, a.len) == 0));
}

/* Byte order, the shorter first where one is a prefix of the other: <0, 0, >0. */
static inline int bytes_compare(struct bytes a, struct bytes b)
{
    size_t least = a.len < b.len ? a.len : b.len;
    int order = least == 0 ? 0 : memcmp(a.ptr, b.ptr, least);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static inline bool bytes_start_with(struct bytes whole, struct bytes prefix)
{
    return whole.len >= prefix.len &&
           (prefix.len == 0 || memcmp(whole.ptr, prefix.ptr, prefix.len) == 0);
}

/* Cuts the part before the separator off, which goes; the rest stays. Without one all is the part.
 */
static inline struct bytes bytes_cut(struct bytes *rest, uint8_t separator)
{
    const uint8_t *at =
        rest->len == 0 ? NULL : (const uint8_t *)memchr(rest->ptr, separator, rest->len);
    struct bytes part = bytes_of(rest->ptr, at == NULL ? rest->len : (size_t)(at - rest->ptr));
    size_t taken = part.len + (at == NULL ? 0 : 1);
    *rest = bytes_of(rest->ptr + taken, rest->len - taken);
    return part;
}

/* For bytes_trim: what HTTP allows around a value; what C calls space. */
#define BYTES_BLANK " \t"
#define BYTES_SPACE " \t\n\v\f\r"

static inline bool bytes_is_any(uint8_t byte, const char *set)
{
    while (*set != '\0' && (uint8_t)*set != byte) {
        set++;
    }
    return *set != '\0';
}

/* Without the bytes of that set at both ends. */
static inline struct bytes bytes_trim(struct bytes text, const char *set)
{
    while (text.len > 0 && bytes_is_any(text.ptr[0], set)) {
        text = bytes_of(text.ptr + 1, text.len - 1);
    }
    while (text.len > 0 && bytes_is_any(text.ptr[text.len - 1], set)) {
        text.len--;
    }
    return text;
}

#endif
