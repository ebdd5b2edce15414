// RocksDB's files, with two promises more, which a power cut asks for where a file system does not
// happen to keep them by itself (table I13).
//
// RocksDB renames CURRENT to the name of a new manifest and only then syncs the directory: the
// rename might be kept and the manifest's own name be lost. Here the directory is synced first.
//
// RocksDB appends to its manifest and syncs it, and refuses to open when the end of it is torn,
// though nobody was told about that end. So a file MANIFEST-<n>.synced beside it says how long the
// manifest was at its last sync (one sector, written in place after the sync, synced before RocksDB
// is told), and what is longer is cut off before RocksDB reads it. A manifest that is shorter is
// damaged: RocksDB would take it for an older state without a word.
//
//   MANIFEST-<n>.synced = u64 length, u32 CRC-32C of that, zeros up to 512 bytes
//
// A manifest without such a file is as RocksDB left it.
#include "table/view_files.h"

extern "C" {
#include "base/hash.h"
#include "sys/file.h"
}

#include <rocksdb/file_system.h>

#include <cstring>
#include <string>
#include <vector>

using namespace rocksdb;

namespace
{

const std::string kManifest = "MANIFEST-";
const std::string kSynced = ".synced";
const size_t kSector = 512;

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

void encode_length(uint64_t length, uint8_t sector[kSector])
{
    memset(sector, 0, kSector);
    for (size_t i = 0; i < 8; i++) {
        sector[i] = static_cast<uint8_t>(length >> (8 * i));
    }
    uint32_t crc = hash_crc32c(0, bytes_of(sector, 8));
    for (size_t i = 0; i < 4; i++) {
        sector[8 + i] = static_cast<uint8_t>(crc >> (8 * i));
    }
}

enum err read_length(const std::string &path, uint64_t *length)
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
    uint64_t value = 0;
    for (size_t i = 0; i < 8; i++) {
        value |= static_cast<uint64_t>(sector[i]) << (8 * i);
    }
    encode_length(value, expected);
    if (got != sizeof(sector) || memcmp(sector, expected, sizeof(sector)) != 0) {
        return ERR_NOT_FOUND; // never synced, so CURRENT does not name this manifest
    }
    *length = value;
    return OK;
}

enum err cut_manifest(const std::string &path, uint64_t length)
{
    uint64_t size = 0;
    int fd = -1;
    TRY(file_open(path.c_str(), FILE_UPDATE, &fd));
    enum err err = file_size(fd, &size);
    if (err == OK && size < length) {
        err = ERR_DAMAGED;
    }
    if (err == OK && size > length) {
        err = file_truncate(fd, length);
        err = err != OK ? err : file_sync(fd);
    }
    enum err closed = file_close(fd);
    return err != OK ? err : closed;
}

void take_synced(void *names, const char *name)
{
    if (ends_with(name, kSynced)) {
        static_cast<std::vector<std::string> *>(names)->emplace_back(name);
    }
}

// ---- the files ----

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

    IOStatus Sync(const IOOptions &options, IODebugContext *debug) override
    {
        IOStatus status = FSWritableFileOwnerWrapper::Sync(options, debug);
        return status.ok() ? note_synced(options, debug) : status;
    }

    IOStatus Fsync(const IOOptions &options, IODebugContext *debug) override
    {
        IOStatus status = FSWritableFileOwnerWrapper::Fsync(options, debug);
        return status.ok() ? note_synced(options, debug) : status;
    }

  private:
    IOStatus note_synced(const IOOptions &options, IODebugContext *debug)
    {
        uint8_t sector[kSector];
        encode_length(GetFileSize(options, debug), sector);
        bool noted =
            file_write(synced_, sector, sizeof(sector), 0) == OK && file_sync(synced_) == OK;
        return noted ? IOStatus::OK() : IOStatus::IOError("cannot note how long the manifest is");
    } // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks): RocksDB's status owns its text

    int synced_;
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
                return IOStatus::IOError("cannot make " + path + kSynced);
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

    IOStatus RenameFile(const std::string &from, const std::string &to, const IOOptions &options,
                        IODebugContext *debug) override
    {
        if (name_in(to) == "CURRENT" && directory_sync(to.substr(0, to.rfind('/')).c_str()) != OK) {
            return IOStatus::IOError("cannot sync the directory of " + to);
        }
        return FileSystemWrapper::RenameFile(from, to, options, debug);
    }
};

} // namespace

std::shared_ptr<FileSystem> view_files_over(const std::shared_ptr<FileSystem> &files)
{
    return std::make_shared<Files>(files);
}

extern "C" enum err view_files_prepare(const char *dir, char *reason, size_t room)
{
    std::vector<std::string> names;
    TRY(directory_list(dir, take_synced, &names));
    for (const std::string &name : names) {
        std::string synced = std::string(dir) + "/" + name;
        std::string manifest = synced.substr(0, synced.size() - kSynced.size());
        uint64_t length = 0;
        if (!file_exists(manifest.c_str())) {
            TRY(file_remove(synced.c_str()));
            continue;
        }
        enum err err = read_length(synced, &length);
        err = err == OK ? cut_manifest(manifest, length) : err == ERR_NOT_FOUND ? OK : err;
        if (err == ERR_DAMAGED) {
            snprintf(reason, room, "%s is shorter than it was when it was last synced",
                     manifest.c_str());
        }
        TRY(err);
    }
    return OK;
}
