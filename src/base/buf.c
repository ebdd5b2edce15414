/* A heap buffer that doubles. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void buf_init(struct buf *buf, size_t max)
{
    *buf = (struct buf){.max = max};
}

void buf_fini(struct buf *buf)
{
    free(buf->ptr);
    *buf = (struct buf){.max = buf->max};
}

void buf_clear(struct buf *buf)
{
    buf->len = 0;
    buf->failed = false;
}

uint8_t *buf_room(struct buf *buf, size_t n)
{
    if (buf->failed || n > buf->max || buf->len > buf->max - n) {
        buf->failed = true;
        return NULL;
    }
    if (buf->cap - buf->len >= n) {
        return buf->ptr == NULL ? NULL : buf->ptr + buf->len; /* NULL: no room was asked for */
    }
    size_t cap = buf->cap == 0 ? 256 : buf->cap;
    while (cap < buf->len + n) {
        cap *= 2;
    }
    if (cap > buf->max) {
        cap = buf->max;
    }
    uint8_t *grown = realloc(buf->ptr, cap);
    if (grown == NULL) {
        buf->failed = true;
        return NULL;
    }
    buf->ptr = grown;
    buf->cap = cap;
    return buf->ptr + buf->len;
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int need = vsnprintf(NULL, 0, format, list);
    va_end(list);
    uint8_t *room = need < 0 ? NULL : buf_room(buf, (size_t)need + 1);
    if (room == NULL) {
        buf->failed = true;
        return;
    }
    va_start(list, format);
    vsnprintf((char *)room, (size_t)need + 1, format, list);
    va_end(list);
    buf->len += (size_t)need;
}

static void buf_add_le(struct buf *buf, uint64_t value, size_t count)
{
    uint8_t *room = buf_room(buf, count);
    if (room == NULL) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        room[i] = (uint8_t)(value >> (8 * i));
    }
    buf->len += count;
}

void buf_add_u16(struct buf *buf, uint16_t value)
{
    buf_add_le(buf, value, 2);
}

void buf_add_u32(struct buf *buf, uint32_t value)
{
    buf_add_le(buf, value, 4);
}

void buf_add_u64(struct buf *buf, uint64_t value)
{
    buf_add_le(buf, value, 8);
}

void buf_add_varint(struct buf *buf, uint64_t value)
{
    while (value >= 0x80) {
        buf_add_byte(buf, (uint8_t)(value | 0x80));
        value >>= 7;
    }
    buf_add_byte(buf, (uint8_t)value);
}

enum err buf_check(const struct buf *buf)
{
    return buf->failed ? ERR_RANGE : OK;
}
