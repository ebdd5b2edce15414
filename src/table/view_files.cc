// RocksDB's files, with two promises more, which a power cut asks for where a file system does not
// happen to keep them by itself (table I13).
//
// RocksDB renames CURRENT to the name of a new manifest and only then syncs the directory: the
// rename might be kept and the manifest's own name be lost. Here the directory is synced first.
//
// RocksDB appends to its manifest and syncs it, and refuses to open when the end of it is torn,
// though nobody was told about that end. So a file MANIFEST-<n>.synced beside it says how long the
// manifest was at its last sync (one sector, written in place after the sync, synced before RocksDB
// is told), and what is longer is cut off before RocksDB reads it. A manifest that is shorter, or
// holds other bytes, is damaged: RocksDB would take a shorter one for an older state, and passes
// over zeros where a record should begin, without a word.
//
//   MANIFEST-<n>.synced = u64 length, u32 CRC-32C of that, u32 CRC-32C of the manifest so far,
//                         u32 CRC-32C of the 16 bytes before, zeros up to 512 bytes
//
// An older version wrote zeros after the first CRC: then only the length is known. A manifest
// without such a file is as RocksDB left it.
#include "table/view_files.h"

extern "C" {
#include "base/hash.h"
#include "sys/file.h"
}

#include <rocksdb/file_system.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

using namespace rocksdb;

namespace
{

const std::string kManifest = "MANIFEST-";
const std::string kSynced = ".synced";
const std::string kTable = ".sst";
const size_t kSector = 512;
const size_t kPiece = 1 << 20;

bool ends_with(const std::string &text, const std::string &end)
{
    return text.size() >= end.size() &&
           text.compare(text.size() - end.size(), end.size(), end) == 0;
}

std::string name_in(const std::string &path)
{
    return path.substr(path.rfind('/') + 1);
}

bool is_manifest(const std::string &path)
{
    return name_in(path).compare(0, kManifest.size(), kManifest) == 0 && !ends_with(path, kSynced);
}

// ---- MANIFEST-<n>.synced ----

struct Synced {
    uint64_t length = 0;
    uint32_t crc = 0;
    bool has_crc = false;
};

void put_integer(uint64_t value, size_t count, uint8_t *out)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = static_cast<uint8_t>(value >> (8 * i));
    }
}

uint64_t get_integer(size_t count, const uint8_t *bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < count; i++) {
        value |= static_cast<uint64_t>(bytes[i]) << (8 * i);
    }
    return value;
}

void encode_synced(const Synced &synced, uint8_t sector[kSector])
{
    memset(sector, 0, kSector);
    put_integer(synced.length, 8, sector);
    put_integer(hash_crc32c(0, bytes_of(sector, 8)), 4, sector + 8);
    if (synced.has_crc) {
        put_integer(synced.crc, 4, sector + 12);
        put_integer(hash_crc32c(0, bytes_of(sector, 16)), 4, sector + 16);
    }
}

// ERR_NOT_FOUND: there is no such file, or an empty one; ERR_INVALID: it does not say.
enum err read_synced(const std::string &path, Synced *synced)
{
    uint8_t sector[kSector] = {0};
    uint8_t expected[kSector];
    size_t got = 0;
    int fd = -1;
    TRY(file_open(path.c_str(), FILE_READ, &fd));
    enum err err = file_read(fd, sector, sizeof(sector), 0, &got);
    enum err closed = file_close(fd);
    TRY(err);
    TRY(closed);
    Synced read;
    read.length = get_integer(8, sector);
    read.crc = static_cast<uint32_t>(get_integer(4, sector + 12));
    read.has_crc = get_integer(8, sector + 12) != 0;
    encode_synced(read, expected);
    if (got == 0) {
        return ERR_NOT_FOUND;
    }
    if (got != sizeof(sector) || memcmp(sector, expected, sizeof(sector)) != 0) {
        return ERR_INVALID;
    }
    *synced = read;
    return OK;
}

enum err crc_of_start(int fd, uint64_t length, uint32_t *crc)
{
    std::vector<uint8_t> piece(kPiece);
    *crc = 0;
    for (uint64_t at = 0; at < length;) {
        size_t got = 0;
        size_t want = std::min<uint64_t>(kPiece, length - at);
        TRY(file_read(fd, piece.data(), want, at, &got));
        if (got < want) {
            return ERR_DAMAGED;
        }
        *crc = hash_crc32c(*crc, bytes_of(piece.data(), got));
        at += got;
    }
    return OK;
}

// ERR_RANGE: it is shorter.
enum err check_manifest(int fd, const Synced &synced, bool *is_longer)
{
    uint64_t size = 0;
    uint32_t crc = 0;
    TRY(file_size(fd, &size));
    if (size < synced.length) {
        return ERR_RANGE;
    }
    *is_longer = size > synced.length;
    TRY(crc_of_start(fd, synced.length, &crc));
    return synced.has_crc && crc != synced.crc ? ERR_DAMAGED : OK;
}

enum err mend_manifest(const std::string &path, const Synced &synced, bool cut)
{
    bool is_longer = false;
    int fd = -1;
    TRY(file_open(path.c_str(), cut ? FILE_UPDATE : FILE_READ, &fd));
    enum err err = check_manifest(fd, synced, &is_longer);
    if (err == OK && is_longer && cut) {
        err = file_truncate(fd, synced.length);
        err = err != OK ? err : file_sync(fd);
    }
    enum err closed = file_close(fd);
    return err != OK ? err : closed;
}

struct Names {
    std::vector<std::string> synced;
    bool has_tables = false;
};

void take_name(void *arg, const char *name)
{
    Names *names = static_cast<Names *>(arg);
    if (ends_with(name, kSynced)) {
        names->synced.emplace_back(name);
    }
    names->has_tables |= ends_with(name, kTable);
}

enum err damaged(const std::string &path, const char *what, char *reason, size_t room)
{
    snprintf(reason, room, "%s %s", path.c_str(), what);
    return ERR_DAMAGED;
}

// The manifest that CURRENT names; empty where the view is new.
enum err read_current(const std::string &dir, bool has_tables, std::string *manifest, char *reason,
                      size_t room)
{
    const std::string path = dir + "/CURRENT";
    uint8_t text[64];
    size_t got = 0;
    int fd = -1;
    manifest->clear();
    enum err err = file_open(path.c_str(), FILE_READ, &fd);
    if (err == ERR_NOT_FOUND) {
        return has_tables
                   ? damaged(path, "is missing beside tables that it should lead to", reason, room)
                   : OK;
    }
    TRY(err);
    err = file_read(fd, text, sizeof(text), 0, &got);
    enum err closed = file_close(fd);
    TRY(err);
    TRY(closed);
    std::string name(reinterpret_cast<char *>(text), got);
    if (name.empty() || name.back() != '\n' || !is_manifest(name) ||
        !file_exists((dir + "/" + name.substr(0, name.size() - 1)).c_str())) {
        return damaged(path, "does not name a manifest that is there", reason, room);
    }
    *manifest = name.substr(0, name.size() - 1);
    return OK;
}

// ---- the files ----

void add_name(void *names, const char *name)
{
    static_cast<std::vector<std::string> *>(names)->emplace_back(name);
}

class Manifest : public FSWritableFileOwnerWrapper
{
  public:
    Manifest(std::unique_ptr<FSWritableFile> file, int synced)
        : FSWritableFileOwnerWrapper(std::move(file)), synced_(synced)
    {
    }

    ~Manifest() override
    {
        IGNORE(file_close(synced_)); // each length was synced
    }

    using FSWritableFileOwnerWrapper::Append;

    IOStatus Append(const Slice &data, const IOOptions &options, IODebugContext *debug) override
    {
        IOStatus status = FSWritableFileOwnerWrapper::Append(data, options, debug);
        return appended(status, data);
    }

    IOStatus Append(const Slice &data, const IOOptions &options, const DataVerificationInfo &info,
                    IODebugContext *debug) override
    {
        IOStatus status = FSWritableFileOwnerWrapper::Append(data, options, info, debug);
        return appended(status, data);
    }

    IOStatus Sync(const IOOptions &options, IODebugContext *debug) override
    {
        IOStatus status = FSWritableFileOwnerWrapper::Sync(options, debug);
        return status.ok() ? note_synced() : status;
    }

    IOStatus Fsync(const IOOptions &options, IODebugContext *debug) override
    {
        IOStatus status = FSWritableFileOwnerWrapper::Fsync(options, debug);
        return status.ok() ? note_synced() : status;
    }

  private:
    IOStatus appended(const IOStatus &status, const Slice &data)
    {
        if (status.ok()) {
            state_.length += data.size();
            state_.crc = hash_crc32c(state_.crc, bytes_of(data.data(), data.size()));
        }
        return status;
    }

    IOStatus note_synced()
    {
        uint8_t sector[kSector];
        encode_synced(state_, sector);
        bool noted =
            file_write(synced_, sector, sizeof(sector), 0) == OK && file_sync(synced_) == OK;
        return noted ? IOStatus::OK()
                     : IOStatus::IOError("cannot note how long the manifest is", file_failure());
    } // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks): RocksDB's status owns its text

    int synced_;
    Synced state_ = {0, 0, true};
};

class Files : public FileSystemWrapper
{
  public:
    using FileSystemWrapper::FileSystemWrapper;

    const char *Name() const override
    {
        return "headwater-view-files";
    }

    IOStatus NewWritableFile(const std::string &path, const FileOptions &options,
                             std::unique_ptr<FSWritableFile> *result,
                             IODebugContext *debug) override
    {
        std::unique_ptr<FSWritableFile> file;
        int synced = -1;
        IOStatus status = FileSystemWrapper::NewWritableFile(path, options, &file, debug);
        if (status.ok() && is_manifest(path)) {
            if (file_open((path + kSynced).c_str(), FILE_CREATE, &synced) != OK) {
                return IOStatus::IOError("cannot make " + path + kSynced, file_failure());
            }
            file.reset(new Manifest(std::move(file), synced));
        }
        *result = std::move(file);
        return status;
    }

    IOStatus DeleteFile(const std::string &path, const IOOptions &options,
                        IODebugContext *debug) override
    {
        IOStatus status = FileSystemWrapper::DeleteFile(path, options, debug);
        if (status.ok() && is_manifest(path)) {
            IGNORE(file_remove((path + kSynced).c_str())); // view_files_prepare removes it
        }
        return status;
    }

    // RocksDB's own takes a directory whose reading fails for one that ends there.
    IOStatus GetChildren(const std::string &dir, const IOOptions &, std::vector<std::string> *names,
                         IODebugContext *) override
    {
        names->clear();
        enum err err = directory_list(dir.c_str(), add_name, names);
        return err == OK              ? IOStatus::OK()
               : err == ERR_NOT_FOUND ? IOStatus::PathNotFound(dir)
                                      : IOStatus::IOError("cannot list " + dir, file_failure());
    } // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks): RocksDB's status owns its text

    IOStatus GetChildrenFileAttributes(const std::string &dir, const IOOptions &options,
                                       std::vector<FileAttributes> *result,
                                       IODebugContext *debug) override
    {
        // Not the wrapper's, which asks the file system below for the names.
        return FileSystem::GetChildrenFileAttributes( // NOLINT(bugprone-parent-virtual-call)
            dir, options, result, debug);
    }

    IOStatus RenameFile(const std::string &from, const std::string &to, const IOOptions &options,
                        IODebugContext *debug) override
    {
        if (name_in(to) == "CURRENT" && directory_sync(to.substr(0, to.rfind('/')).c_str()) != OK) {
            return IOStatus::IOError("cannot sync the directory of " + to, file_failure());
        }
        return FileSystemWrapper::RenameFile(from, to, options, debug);
    }
};

IOStatus refused(const std::string &path)
{
    return IOStatus::NotSupported("nothing may be changed", path);
} // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks): RocksDB's status owns its text

// A manifest as far as it was synced: what comes behind may be torn, or is being written.
class SyncedPart : public FSSequentialFileOwnerWrapper
{
  public:
    SyncedPart(std::unique_ptr<FSSequentialFile> &&file, uint64_t length)
        : FSSequentialFileOwnerWrapper(std::move(file)), left_(length)
    {
    }

    IOStatus Read(size_t n, const IOOptions &options, Slice *result, char *scratch,
                  IODebugContext *debug) override
    {
        IOStatus status = FSSequentialFileOwnerWrapper::Read(std::min<uint64_t>(n, left_), options,
                                                             result, scratch, debug);
        left_ -= status.ok() ? result->size() : 0;
        return status;
    }

  private:
    uint64_t left_;
};

class ReadOnlyFiles : public FileSystemWrapper
{
  public:
    using FileSystemWrapper::FileSystemWrapper;

    const char *Name() const override
    {
        return VIEW_FILES_TO_READ;
    }

    IOStatus NewSequentialFile(const std::string &path, const FileOptions &options,
                               std::unique_ptr<FSSequentialFile> *result,
                               IODebugContext *debug) override
    {
        Synced synced;
        std::unique_ptr<FSSequentialFile> file;
        IOStatus status = FileSystemWrapper::NewSequentialFile(path, options, &file, debug);
        if (status.ok() && is_manifest(path) && read_synced(path + kSynced, &synced) == OK) {
            file.reset(new SyncedPart(std::move(file), synced.length));
        }
        *result = std::move(file);
        return status;
    }

    IOStatus NewWritableFile(const std::string &path, const FileOptions &,
                             std::unique_ptr<FSWritableFile> *, IODebugContext *) override
    {
        return refused(path);
    }

    IOStatus ReopenWritableFile(const std::string &path, const FileOptions &,
                                std::unique_ptr<FSWritableFile> *, IODebugContext *) override
    {
        return refused(path);
    }

    IOStatus ReuseWritableFile(const std::string &path, const std::string &, const FileOptions &,
                               std::unique_ptr<FSWritableFile> *, IODebugContext *) override
    {
        return refused(path);
    }

    IOStatus NewRandomRWFile(const std::string &path, const FileOptions &,
                             std::unique_ptr<FSRandomRWFile> *, IODebugContext *) override
    {
        return refused(path);
    }

    IOStatus NewLogger(const std::string &path, const IOOptions &, std::shared_ptr<Logger> *,
                       IODebugContext *) override
    {
        return refused(path);
    }

    IOStatus DeleteFile(const std::string &path, const IOOptions &, IODebugContext *) override
    {
        return refused(path);
    }

    IOStatus RenameFile(const std::string &path, const std::string &, const IOOptions &,
                        IODebugContext *) override
    {
        return refused(path);
    }

    IOStatus LinkFile(const std::string &path, const std::string &, const IOOptions &,
                      IODebugContext *) override
    {
        return refused(path);
    }

    IOStatus Truncate(const std::string &path, size_t, const IOOptions &, IODebugContext *) override
    {
        return refused(path);
    }

    IOStatus CreateDir(const std::string &path, const IOOptions &, IODebugContext *) override
    {
        return refused(path);
    }

    IOStatus CreateDirIfMissing(const std::string &path, const IOOptions &,
                                IODebugContext *) override
    {
        return file_exists(path.c_str()) ? IOStatus::OK() : refused(path);
    } // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks): RocksDB's status owns its text
};

} // namespace

std::shared_ptr<FileSystem> view_files_to_read(const std::shared_ptr<FileSystem> &files)
{
    return std::make_shared<ReadOnlyFiles>(files);
}

std::shared_ptr<FileSystem> view_files_over(const std::shared_ptr<FileSystem> &files)
{
    return std::make_shared<Files>(files);
}

static enum err look_at(const std::string &dir, bool mend, char *reason, size_t room)
{
    Names names;
    std::string current;
    TRY(directory_list(dir.c_str(), take_name, &names));
    TRY(read_current(dir, names.has_tables, &current, reason, room));
    for (const std::string &name : names.synced) {
        const std::string path = dir + "/" + name;
        const std::string manifest = path.substr(0, path.size() - kSynced.size());
        Synced synced;
        if (!file_exists(manifest.c_str())) {
            TRY(mend ? file_remove(path.c_str()) : OK);
            continue;
        }
        enum err err = read_synced(path, &synced);
        if (err == ERR_NOT_FOUND && mend) {
            continue; // made before a cut, and nothing was synced
        }
        err = err == ERR_NOT_FOUND ? ERR_INVALID : err;
        if (err == ERR_INVALID && name_in(manifest) == current) {
            return damaged(path,
                           "does not say how long the manifest beside it is: if that is whole, "
                           "remove this file",
                           reason, room);
        }
        if (err == ERR_INVALID) {
            continue; // never synced
        }
        err = err != OK ? err : mend_manifest(manifest, synced, mend);
        if (err == ERR_DAMAGED || err == ERR_RANGE) {
            return damaged(manifest,
                           err == ERR_RANGE ? "is shorter than it was when it was last synced"
                                            : "holds other bytes than when it was last synced",
                           reason, room);
        }
        TRY(err);
    }
    return OK;
}

extern "C" enum err view_files_prepare(const char *dir, char *reason, size_t room)
{
    return look_at(dir, true, reason, room);
}

extern "C" enum err view_files_check(const char *dir, char *reason, size_t room)
{
    return look_at(dir, false, reason, room);
}
