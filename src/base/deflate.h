/* Packing and unpacking of gzip (RFC 1952) and zlib (RFC 1950) data, whole at once. */
#ifndef HW_BASE_DEFLATE_H
#define HW_BASE_DEFLATE_H

#include "base/buf.h"

enum deflate_form {
    DEFLATE_GZIP, /* HTTP's gzip */
    DEFLATE_ZLIB  /* HTTP's deflate */
};

/* Working memory of one thread: 450 KB once something was packed, 11 KB once unpacked. */
struct deflate;
/* Never NULL. */
struct deflate *deflate_new(void);
void deflate_free(struct deflate *deflate);

/* Appends the packed data. Quick rather than small: 30 instructions a byte of JSON. ERR_NOMEM;
 * ERR_RANGE: out is full. */
MUST_USE enum err deflate_pack(struct deflate *deflate, enum deflate_form form, struct bytes data,
                               struct buf *out);
/* Appends what was packed, of all members of a gzip file. Never writes more than out may hold:
 * ERR_RANGE then. ERR_INVALID: not of that form, cut off, or something follows it. ERR_NOMEM. */
MUST_USE enum err deflate_unpack(struct deflate *deflate, enum deflate_form form, struct bytes data,
                                 struct buf *out);

#endif
