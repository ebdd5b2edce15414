/* Output under construction: grows on the heap up to its largest size. After a failed append the
 * buffer is marked failed, keeps its contents and refuses more, so that a writer checks once, at
 * the end (base I3). */
#ifndef HW_BASE_BUF_H
#define HW_BASE_BUF_H

#include "base/bytes.h"
#include "base/err.h"

struct buf {
    uint8_t *ptr;
    size_t len;
    size_t cap;
    size_t max;
    bool failed;
};

void buf_init(struct buf *buf, size_t max);
void buf_fini(struct buf *buf);
/* Empty again, memory kept. */
void buf_clear(struct buf *buf);
/* Room for n more bytes at ptr + len, or NULL (then failed is set). The caller adds to len. */
uint8_t *buf_room(struct buf *buf, size_t n);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* In memory of the caller's, which it never outgrows; not for buf_fini. */
static inline struct buf buf_over(uint8_t *memory, size_t cap)
{
    return (struct buf){.ptr = memory, .cap = cap, .max = cap};
}

static inline struct bytes buf_bytes(const struct buf *buf)
{
    return bytes_of(buf->ptr, buf->len);
}

/* Here, so that a short literal is a store or two: an answer is made of forty of them. */
static inline void buf_add(struct buf *buf, struct bytes data)
{
    if (data.len == 0) {
        return;
    }
    bool roomy = !buf->failed && data.len <= buf->cap - buf->len;
    uint8_t *room = roomy ? buf->ptr + buf->len : buf_room(buf, data.len);
    if (room != NULL) {
        /* Bytes that are some are somewhere. */
        /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker) */
        memcpy(room, data.ptr, data.len);
        buf->len += data.len;
    }
}

static inline void buf_add_byte(struct buf *buf, uint8_t byte)
{
    uint8_t *room = buf->len < buf->cap ? buf->ptr + buf->len : buf_room(buf, 1);
    if (room != NULL) {
        *room = byte;
        buf->len++;
    }
}

static inline void buf_add_cstr(struct buf *buf, const char *text)
{
    buf_add(buf, bytes_cstr(text));
}

/* Little-endian integers of the disk formats. */
void buf_add_u16(struct buf *buf, uint16_t value);
void buf_add_u32(struct buf *buf, uint32_t value);
void buf_add_u64(struct buf *buf, uint64_t value);
/* LEB128, 1 to 10 bytes. */
void buf_add_varint(struct buf *buf, uint64_t value);
/* ERR_RANGE if any append failed. */
MUST_USE enum err buf_check(const struct buf *buf);

#endif
