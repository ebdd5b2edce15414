/* The key of an AWS shared-credentials file. */
#ifndef HW_BENCH_CREDENTIALS_H
#define HW_BENCH_CREDENTIALS_H

#include "base/buf.h"

/* The first aws_access_key_id and aws_secret_access_key of the file, kept in keep. ERR_NOT_FOUND:
 * no such file, or not both in it. */
MUST_USE enum err credentials_read(const char *path, struct buf *keep, const char **key_id,
                                   const char **secret);

#endif
