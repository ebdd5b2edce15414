/* Every byte of the view's files against the checksums that were made with them, also while a
 * server has them open. view_check.cc. */
#ifndef HW_TABLE_VIEW_CHECK_H
#define HW_TABLE_VIEW_CHECK_H

#ifdef __cplusplus
extern "C" {
#endif

#include "base/bytes.h"
#include "base/ending.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The name of what makes the checksums of whole tables, for RocksDB's option
 * "file_checksum_gen_factory"; known after view_check_init. */
#define VIEW_CHECKSUM "headwater-crc32c"
void view_check_init(void);

enum view_change { VIEW_PUT, VIEW_DELETE, VIEW_DELETE_RANGE };

struct view_check {
    const char *dir;
    bool live; /* a server has it open */
    /* Called after every piece that was read, with its bytes; false ends the check. May be NULL. */
    bool (*read)(void *arg, uint64_t bytes);
    /* Called with each table that is damaged, and the check goes on; NULL: it ends there. */
    void (*found)(void *arg, const char *file, const char *reason);
    void *arg;
    /* out */
    uint64_t tables;
    uint64_t bytes;
    char file[ENDING_FILE_MAX]; /* that is damaged */
    char reason[ENDING_REASON_MAX];
};

/* ERR_NOT_FOUND: there is no view. ERR_DAMAGED with file and reason. ERR_CLOSED: read said so.
 * ERR_IO. Tables that a compaction removes meanwhile are left out. */
MUST_USE enum err view_check_files(struct view_check *check);

/* What a batch of RocksDB's changes, in order: see view_batch_take. */
MUST_USE enum err view_check_batch(const char *data, size_t len,
                                   enum err (*fn)(void *arg, enum view_change change,
                                                  struct bytes row, struct bytes value),
                                   void *arg);

#ifdef __cplusplus
}
#endif

#endif
