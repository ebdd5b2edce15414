/* Base 64 of RFC 4648 section 4, with padding. */
#ifndef HW_BASE_BASE64_H
#define HW_BASE_BASE64_H

#include "base/buf.h"

void base64_add(struct buf *buf, struct bytes data);
/* At most len / 4 * 3 bytes go to out. ERR_INVALID: not canonical base 64 with padding. */
MUST_USE enum err base64_decode(struct bytes text, uint8_t *out, size_t *len);

#endif
