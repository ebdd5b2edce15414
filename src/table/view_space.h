/* Compactions give way when the disk runs out. view_space.cc. One view of a process at a time. */
#ifndef HW_TABLE_VIEW_SPACE_H
#define HW_TABLE_VIEW_SPACE_H

#ifdef __cplusplus
#include <memory>

#include <rocksdb/file_system.h>

std::shared_ptr<rocksdb::FileSystem>
view_space_over(const std::shared_ptr<rocksdb::FileSystem> &files);

extern "C" {
#endif

#include <stdbool.h>
#include <stdint.h>

/* The name of the listener, for RocksDB's option "listeners". */
#define VIEW_SPACE_LISTENER "headwater-space"

/* Before the view is opened. floor: bytes of its volume that a compaction leaves free. */
void view_space_init(uint64_t floor);
/* Compactions since then that ended for want of space, each counted by RocksDB as a background
 * error. Any thread. */
uint64_t view_space_waits(void);
/* The last one that could write ended so. Any thread. */
bool view_space_is_waiting(void);

#ifdef __cplusplus
}
#endif

#endif
