/* Base 64, strict: what decodes also encodes back to the same text. */
#include "base/base64.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_add(struct buf *buf, struct bytes data)
{
    if (data.len > SIZE_MAX / 4 * 3 - 2) {
        buf->failed = true;
        return;
    }
    size_t len = (data.len + 2) / 3 * 4;
    uint8_t *out = buf_room(buf, len);
    if (out == NULL) {
        return;
    }
    for (size_t i = 0; i < data.len; i += 3) {
        size_t left = data.len - i;
        uint32_t bits = (uint32_t)data.ptr[i] << 16 |
                        (left > 1 ? (uint32_t)data.ptr[i + 1] << 8 : 0) |
                        (left > 2 ? data.ptr[i + 2] : 0);
        *out++ = (uint8_t)letters[bits >> 18];
        *out++ = (uint8_t)letters[bits >> 12 & 63];
        *out++ = left > 1 ? (uint8_t)letters[bits >> 6 & 63] : '=';
        *out++ = left > 2 ? (uint8_t)letters[bits & 63] : '=';
    }
    buf->len += len;
}

/* -1: not a letter. */
static int letter_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

enum err base64_decode(struct bytes text, uint8_t *out, size_t *len)
{
    size_t pads = 0;
    size_t written = 0;
    if (text.len % 4 != 0) {
        return ERR_INVALID;
    }
    while (pads < 2 && pads < text.len && text.ptr[text.len - 1 - pads] == '=') {
        pads++;
    }
    for (size_t i = 0; i < text.len; i += 4) {
        uint32_t bits = 0;
        size_t count = i + 4 == text.len ? 4 - pads : 4;
        for (size_t j = 0; j < count; j++) {
            int value = letter_value(text.ptr[i + j]);
            if (value < 0) {
                return ERR_INVALID;
            }
            bits |= (uint32_t)value << (18 - 6 * j);
        }
        if (bits & (count == 2 ? 0xffffu : count == 3 ? 0xffu : 0)) {
            return ERR_INVALID; /* bits that would not come back */
        }
        for (size_t j = 0; j + 1 < count; j++) {
            out[written++] = (uint8_t)(bits >> (16 - 8 * j));
        }
    }
    *len = written;
    return OK;
}
