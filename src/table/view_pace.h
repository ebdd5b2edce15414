/* Tables are written at a pace that leaves the processor and the disk to commits. view_pace.cc.
 * One view of a process at a time. */
#ifndef HW_TABLE_VIEW_PACE_H
#define HW_TABLE_VIEW_PACE_H

#ifdef __cplusplus
#include <memory>

#include <rocksdb/file_system.h>

std::shared_ptr<rocksdb::FileSystem>
view_pace_over(const std::shared_ptr<rocksdb::FileSystem> &files);

extern "C" {
#endif

#include <stdbool.h>

/* Bytes of a table that are written at once, then synced, then waited for: the option of RocksDB
 * for each. */
#define VIEW_PACE_CHUNK "128K"

/* Not calm: as fast as it goes, which is also how it begins. Any thread. */
void view_pace_set_calm(bool calm);

#ifdef __cplusplus
}
#endif

#endif
