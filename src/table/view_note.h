/* RocksDB's warnings and errors as log lines: event "view.rocksdb", its text as "message". For C++.
 * view_note.cc. */
#ifndef HW_TABLE_VIEW_NOTE_H
#define HW_TABLE_VIEW_NOTE_H

#include <memory>

#include <rocksdb/file_system.h>

std::shared_ptr<rocksdb::FileSystem>
view_note_over(const std::shared_ptr<rocksdb::FileSystem> &files);

#endif
