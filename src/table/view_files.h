/* RocksDB's files, written so that a power cut at any moment leaves something it can open.
 * view_files.cc. */
#ifndef HW_TABLE_VIEW_FILES_H
#define HW_TABLE_VIEW_FILES_H

#ifdef __cplusplus
#include <memory>

#include <rocksdb/file_system.h>

std::shared_ptr<rocksdb::FileSystem>
view_files_over(const std::shared_ptr<rocksdb::FileSystem> &files);
// Refuses to change anything, and reads no more of a manifest than was synced.
std::shared_ptr<rocksdb::FileSystem>
view_files_to_read(const std::shared_ptr<rocksdb::FileSystem> &files);

extern "C" {
#endif

#include "base/err.h"

#include <stddef.h>

/* The name of the environment that refuses to change anything, for RocksDB's option "env". */
#define VIEW_FILES_TO_READ "headwater-to-read"

/* Before RocksDB opens a directory: cuts off what a power cut left behind the last sync.
 * ERR_DAMAGED, with the reason: something that was synced is missing, or is not what it was. */
MUST_USE enum err view_files_prepare(const char *dir, char *reason, size_t room);
/* The same without a change. */
MUST_USE enum err view_files_check(const char *dir, char *reason, size_t room);

#ifdef __cplusplus
}
#endif

#endif
