/* RocksDB's files, written so that a power cut at any moment leaves something it can open.
 * view_files.cc. */
#ifndef HW_TABLE_VIEW_FILES_H
#define HW_TABLE_VIEW_FILES_H

#ifdef __cplusplus
#include <memory>

#include <rocksdb/file_system.h>

std::shared_ptr<rocksdb::FileSystem>
view_files_over(const std::shared_ptr<rocksdb::FileSystem> &files);

extern "C" {
#endif

#include "base/err.h"

#include <stddef.h>

/* Before RocksDB opens a directory: cuts off what a power cut left behind the last sync.
 * ERR_DAMAGED, with the reason: something that was synced is missing. */
MUST_USE enum err view_files_prepare(const char *dir, char *reason, size_t room);

#ifdef __cplusplus
}
#endif

#endif
