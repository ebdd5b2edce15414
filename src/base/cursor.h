/* Reading binary formats: every read checks its bounds, nothing else does pointer arithmetic. A
 * failed read returns ERR_DAMAGED and leaves the cursor and the out-parameter as they were
 * (base I2). */
#ifndef HW_BASE_CURSOR_H
#define HW_BASE_CURSOR_H

#include "base/bytes.h"
#include "base/err.h"

struct cursor {
    const uint8_t *next;
    const uint8_t *end;
};

static inline struct cursor cursor_of(struct bytes source)
{
    return (struct cursor){source.ptr, source.ptr == NULL ? NULL : source.ptr + source.len};
}

static inline size_t cursor_left(const struct cursor *cursor)
{
    return (size_t)(cursor->end - cursor->next);
}

static inline MUST_USE enum err cursor_bytes(struct cursor *cursor, size_t len, struct bytes *out)
{
    if (cursor_left(cursor) < len) {
        return ERR_DAMAGED;
    }
    *out = bytes_of(cursor->next, len);
    cursor->next += len;
    return OK;
}

static inline MUST_USE enum err cursor_u8(struct cursor *cursor, uint8_t *out)
{
    if (cursor->next == cursor->end) {
        return ERR_DAMAGED;
    }
    *out = *cursor->next++;
    return OK;
}

static inline MUST_USE enum err cursor_u16(struct cursor *cursor, uint16_t *out)
{
    if (cursor_left(cursor) < 2) {
        return ERR_DAMAGED;
    }
    *out = (uint16_t)(cursor->next[0] | cursor->next[1] << 8);
    cursor->next += 2;
    return OK;
}

static inline MUST_USE enum err cursor_u32(struct cursor *cursor, uint32_t *out)
{
    if (cursor_left(cursor) < 4) {
        return ERR_DAMAGED;
    }
    const uint8_t *p = cursor->next;
    *out = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    cursor->next += 4;
    return OK;
}

static inline MUST_USE enum err cursor_u64(struct cursor *cursor, uint64_t *out)
{
    uint32_t low = 0;
    uint32_t high = 0;
    if (cursor_left(cursor) < 8) {
        return ERR_DAMAGED;
    }
    TRY(cursor_u32(cursor, &low));
    TRY(cursor_u32(cursor, &high));
    *out = (uint64_t)high << 32 | low;
    return OK;
}

/* LEB128 of at most 10 bytes; overlong and overflowing forms are damage. */
static inline MUST_USE enum err cursor_varint(struct cursor *cursor, uint64_t *out)
{
    uint64_t value = 0;
    const uint8_t *p = cursor->next;
    for (unsigned shift = 0; shift < 64 && p < cursor->end; shift += 7) {
        uint8_t byte = *p++;
        if (shift == 63 && byte > 1) {
            return ERR_DAMAGED;
        }
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            if (byte == 0 && shift != 0) {
                return ERR_DAMAGED;
            }
            cursor->next = p;
            *out = value;
            return OK;
        }
    }
    return ERR_DAMAGED;
}

#endif
