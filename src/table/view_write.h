/* What flushes and compactions write: compactions give way when the disk runs out, and tables are
 * written at a pace that leaves the processor and the disk to commits. view_write.cc. One view of a
 * process at a time. */
#ifndef HW_TABLE_VIEW_WRITE_H
#define HW_TABLE_VIEW_WRITE_H

#ifdef __cplusplus
#include <memory>

#include <rocksdb/file_system.h>

std::shared_ptr<rocksdb::FileSystem>
view_write_over(const std::shared_ptr<rocksdb::FileSystem> &files);

extern "C" {
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The name of the listener, for RocksDB's option "listeners". */
#define VIEW_WRITE_LISTENER "headwater-space"
/* Bytes of a table that are written at once, then synced, then waited for: the option of RocksDB
 * for each. */
#define VIEW_WRITE_CHUNK "128K"

/* Before the view is opened. floor: bytes of its volume that a compaction leaves free. */
void view_write_init(uint64_t floor);
/* Compactions since then that ended for want of space, each counted by RocksDB as a background
 * error. Any thread. */
uint64_t view_write_waits(void);
/* The last one that could write ended so. Any thread. */
bool view_write_is_waiting(void);
/* What the first other background error says; with RocksDB's words, which name the file and the
 * place; text stays as it is where there was none. True: something is damaged. Any thread. */
bool view_write_error(char *text, size_t room);
/* Not calm: as fast as it goes, which is also how it begins. Any thread. */
void view_write_set_calm(bool calm);

#ifdef __cplusplus
}
#endif

#endif
