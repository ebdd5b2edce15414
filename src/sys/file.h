/* Files: the only place that opens, writes, syncs, renames and removes. Failures are noted here,
 * with path and cause; interrupted and short calls are gone on with (sys I1). Any thread. */
#ifndef HW_SYS_FILE_H
#define HW_SYS_FILE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

/* What failed on this thread last: call, path, offset where the call has one, and cause, for a
 * person; "" if nothing did. Borrowed until the next failure on it. */
const char *file_failure(void);
/* That, where err came of it, else the words of the error: why a call of this file failed. */
const char *file_reason(enum err err);
/* For who waited for another thread, where it failed: takes that one's words for its own. */
void file_failure_is(const char *text);
#define FILE_FAILURE_MAX (4096 + 256)

enum file_mode {
    FILE_READ,
    FILE_UPDATE,        /* read and write, must exist */
    FILE_UPDATE_DIRECT, /* the same past the page cache: whole sectors, aligned memory */
    FILE_CREATE         /* new or emptied, read and write */
};

/* ERR_NOT_FOUND, ERR_IO, ERR_FULL; ERR_INVALID: the volume has no direct access. */
MUST_USE enum err file_open(const char *path, enum file_mode mode, int *fd);
/* A failed close is a failed write. Accepts -1. */
MUST_USE enum err file_close(int fd);
/* Reads up to len bytes; *got is less only at the end of the file. */
MUST_USE enum err file_read(int fd, void *out, size_t len, uint64_t offset, size_t *got);
/* All of it, out of the page cache and at once. ERR_INCOMPLETE: that would take waiting for the
 * disk, or reaches past the end, or the volume cannot tell, or it failed: file_read knows. */
MUST_USE enum err file_read_resident(int fd, void *out, size_t len, uint64_t offset);
/* For who reads all of a file once: from the disk itself, past the page cache, where the volume
 * lets it; else nothing of what was read stays in the page cache. *direct: which of the two, for
 * file_read_aside to know and to change. Errors as file_open's. */
MUST_USE enum err file_open_aside(const char *path, int *fd, bool *direct);
/* As file_read. out begins at a page, len and offset are multiples of this. */
#define FILE_ASIDE_STEP 4096u
MUST_USE enum err file_read_aside(int fd, bool *direct, void *out, size_t len, uint64_t offset,
                                  size_t *got);
/* All of it. ERR_FULL, ERR_IO. */
MUST_USE enum err file_write(int fd, const void *data, size_t len, uint64_t offset);
/* Data, and the size when it changed. */
MUST_USE enum err file_sync(int fd);
MUST_USE enum err file_truncate(int fd, uint64_t len);
MUST_USE enum err file_size(int fd, uint64_t *len);

MUST_USE enum err file_rename(const char *from, const char *to);
/* Gone already is fine. */
MUST_USE enum err file_remove(const char *path);
bool file_exists(const char *path);
/* Makes a directory (there already is fine) with mode 0700. Its name is durable after it (sys
 * I3). */
MUST_USE enum err directory_make(const char *path);
/* Entries of the directory are durable after it. */
MUST_USE enum err directory_sync(const char *path);
/* fn is called with each name but . and .. ; it may not change the directory. */
MUST_USE enum err directory_list(const char *path, void (*fn)(void *arg, const char *name),
                                 void *arg);
/* An exclusive lock that ends with the process. ERR_BUSY: another process has it. */
MUST_USE enum err file_lock(int fd);
/* One that others may share, but not with an exclusive one. ERR_BUSY. */
MUST_USE enum err file_lock_shared(int fd);
/* Bytes that may still be written to the volume. */
MUST_USE enum err volume_free(const char *path, uint64_t *bytes);
/* Bytes that the volume holds at all. */
MUST_USE enum err volume_size(const char *path, uint64_t *bytes);

/* Whole small files. ERR_RANGE: more than max. */
MUST_USE enum err file_read_all(const char *path, size_t max, struct arena *arena,
                                struct bytes *out);
/* Appends all that can be read from path, which may be a pipe; "-": from standard input. ERR_RANGE:
 * more than out may hold. */
MUST_USE enum err file_read_stream(const char *path, struct buf *out);
/* Written beside, synced, renamed over: the file is whole, old or new, at any time
 * (sys I2). */
MUST_USE enum err file_write_all(const char *path, struct bytes data, unsigned mode);
MUST_USE enum err file_absolute(const char *path, char *out, size_t room);

#endif
