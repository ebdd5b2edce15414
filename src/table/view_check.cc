// Every byte of the view's files against the checksums that were made with them. CURRENT, the
// manifest and the file beside it are view_files.cc's; of each table the manifest holds a checksum
// over the whole file, which covers what the checksums of its blocks do not: their order, and the
// bytes between. A table of an older version has none; there the blocks' own are checked.
//
// The list of tables is read out of the manifest by a second instance that cannot write, so that a
// running server need not know: a table that is gone by the time it is read was compacted away,
// unless a newer list has it still.
#include "table/view_check.h"
#include "table/view_files.h"

extern "C" {
#include "base/hash.h"
#include "base/mem.h"
#include "sys/file.h"
#include "table/resident.h"
}

#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/file_checksum.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/utilities/object_registry.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace rocksdb;

namespace
{

const size_t kPiece = 256 << 10;
const int kTries = 5; // a manifest may be replaced while it is read
const std::chrono::milliseconds kPause(20);

enum err damaged(view_check *check, const std::string &file, const std::string &reason)
{
    snprintf(check->file, sizeof(check->file), "%s", file.c_str());
    snprintf(check->reason, sizeof(check->reason), "%s", reason.c_str());
    return ERR_DAMAGED;
}

// No table is opened for it, so that the one that is damaged is found by its own check.
Options reading_options()
{
    Options options;
    ConfigOptions config;
    Env *env = nullptr;
    std::shared_ptr<Env> guard;
    resident_init();
    if (Env::CreateFromString(config, VIEW_FILES_TO_READ, &env, &guard).ok()) {
        options.env = env;
    }
    options.paranoid_checks = false;
    options.skip_stats_update_on_db_open = true;
    options.max_open_files = 16;
    return options;
}

enum err list_tables(view_check *check, std::vector<LiveFileMetaData> *tables)
{
    DB *opened = nullptr;
    Status status = DB::OpenForReadOnly(reading_options(), check->dir, &opened);
    if (!status.ok()) {
        return status.IsCorruption() ? damaged(check, check->dir, status.ToString()) : ERR_IO;
    }
    std::unique_ptr<DB> db(opened);
    tables->clear();
    db->GetLiveFilesMetaData(tables);
    return OK;
}

// Which block it is, for a person; RocksDB's own words.
std::string block_of(const std::string &path)
{
    SstFileReader reader(reading_options());
    Status status = reader.Open(path);
    status = status.ok() ? reader.VerifyChecksum() : status;
    return status.ok() ? "" : ": " + status.ToString();
}

std::string checksum_text(uint32_t crc)
{
    std::string text(4, 0);
    for (size_t i = 0; i < 4; i++) {
        text[i] = static_cast<char>(crc >> (8 * (3 - i)));
    }
    return text;
}

// RocksDB's own, by its definition and name, with the processor's instruction for it: Debian builds
// RocksDB without, and then it is a seventh of what a flush costs.
class Checksum : public FileChecksumGenerator
{
  public:
    void Update(const char *data, size_t n) override
    {
        crc_ = hash_crc32c(crc_, bytes_of(data, n));
    }

    void Finalize() override
    {
        text_ = checksum_text(crc_);
    }

    std::string GetChecksum() const override
    {
        return text_;
    }

    const char *Name() const override
    {
        return kStandardDbFileChecksumFuncName;
    }

  private:
    uint32_t crc_ = 0;
    std::string text_;
};

class Checksums : public FileChecksumGenFactory
{
  public:
    std::unique_ptr<FileChecksumGenerator>
    CreateFileChecksumGenerator(const FileChecksumGenContext &) override
    {
        return std::make_unique<Checksum>();
    }

    const char *Name() const override
    {
        return VIEW_CHECKSUM;
    }
};

struct Aside {
    int fd = -1;
    bool direct = false;
};

enum err read_table(view_check *check, Aside *file, uint64_t size, uint32_t *crc)
{
    std::unique_ptr<void, void (*)(void *)> piece(mem_alloc_pages(kPiece), mem_free);
    *crc = 0;
    for (uint64_t at = 0; at < size;) {
        size_t got = 0;
        TRY(file_read_aside(file->fd, &file->direct, piece.get(), kPiece, at, &got));
        got = std::min<uint64_t>(got, size - at);
        if (got == 0) {
            return ERR_DAMAGED;
        }
        *crc = hash_crc32c(*crc, bytes_of(piece.get(), got));
        at += got;
        check->bytes += got;
        if (check->read != nullptr && !check->read(check->arg, got)) {
            return ERR_CLOSED;
        }
    }
    return OK;
}

enum err check_table(view_check *check, const LiveFileMetaData &table)
{
    const std::string path = std::string(check->dir) + table.name;
    uint64_t size = 0;
    uint32_t crc = 0;
    Aside file;
    TRY(file_open_aside(path.c_str(), &file.fd, &file.direct));
    enum err err = file_size(file.fd, &size);
    err = err == OK && size != table.size ? ERR_DAMAGED : err;
    err = err != OK ? err : read_table(check, &file, size, &crc);
    enum err closed = file_close(file.fd);
    if (size != table.size && err == ERR_DAMAGED) {
        return damaged(check, path,
                       "it has " + std::to_string(size) + " bytes and should have " +
                           std::to_string(table.size));
    }
    TRY(err);
    TRY(closed);
    check->tables++;
    if (table.file_checksum_func_name == kStandardDbFileChecksumFuncName) {
        return table.file_checksum == checksum_text(crc)
                   ? OK
                   : damaged(check, path, "its bytes do not give its checksum" + block_of(path));
    }
    const std::string block = block_of(path);
    return block.empty() ? OK : damaged(check, path, "a block of it is damaged" + block);
}

// Is it the end of the check?
enum err judge(const view_check *check, const std::string &table, enum err err)
{
    bool goes_on = check->found != nullptr && (err == ERR_DAMAGED || err == ERR_IO);
    if (goes_on) {
        check->found(check->arg, (check->dir + table).c_str(),
                     err == ERR_IO ? file_failure() : check->reason);
    }
    return goes_on ? OK : err;
}

bool has_table(const std::vector<LiveFileMetaData> &tables, const std::string &name)
{
    return std::any_of(tables.begin(), tables.end(),
                       [&](const LiveFileMetaData &table) { return table.name == name; });
}

enum err check_gone(view_check *check, const std::vector<std::string> &gone)
{
    std::vector<LiveFileMetaData> tables;
    TRY(gone.empty() ? OK : list_tables(check, &tables));
    for (const std::string &name : gone) {
        if (has_table(tables, name)) {
            TRY(judge(check, name, damaged(check, check->dir + name, "it is missing")));
        }
    }
    return OK;
}

} // namespace

// A running server may replace the manifest, or write the file beside it, while they are read.
static enum err find_tables(view_check *check, std::vector<LiveFileMetaData> *tables)
{
    enum err err = ERR_IO;
    for (int i = 0; err != OK && err != ERR_NOT_FOUND && i < (check->live ? kTries : 1); i++) {
        std::this_thread::sleep_for(i * kPause);
        err = view_files_check(check->dir, check->reason, sizeof(check->reason));
        if (err == OK && !file_exists((std::string(check->dir) + "/CURRENT").c_str())) {
            err = ERR_NOT_FOUND;
        }
        err = err != OK ? err : list_tables(check, tables);
    }
    return err;
}

static enum err check_all(view_check *check)
{
    std::vector<LiveFileMetaData> tables;
    std::vector<std::string> gone;
    TRY(find_tables(check, &tables));
    for (const LiveFileMetaData &table : tables) {
        enum err err = check_table(check, table);
        if (err == ERR_NOT_FOUND) {
            gone.push_back(table.name);
            continue;
        }
        TRY(judge(check, table.name, err));
    }
    return check_gone(check, gone);
}

extern "C" void view_check_init(void)
{
    static const bool known = [] {
        ObjectLibrary::Default()->AddFactory<FileChecksumGenFactory>(
            VIEW_CHECKSUM,
            [](const std::string &, std::unique_ptr<FileChecksumGenFactory> *made, std::string *) {
                made->reset(new Checksums());
                return made->get();
            });
        return true;
    }();
    (void)known;
}

extern "C" enum err view_check_files(struct view_check *check)
{
    snprintf(check->file, sizeof(check->file), "%s", check->dir);
    return file_exists(check->dir) ? check_all(check) : ERR_NOT_FOUND;
}

namespace
{

using visit = enum err(void *arg, enum view_change change, struct bytes row, struct bytes value);

class Changes : public WriteBatch::Handler
{
  public:
    Changes(visit *fn, void *arg) : fn_(fn), arg_(arg)
    {
    }

    Status PutCF(uint32_t, const Slice &row, const Slice &value) override
    {
        return tell(VIEW_PUT, row, value);
    }

    Status DeleteCF(uint32_t, const Slice &row) override
    {
        return tell(VIEW_DELETE, row, Slice());
    }

    Status DeleteRangeCF(uint32_t, const Slice &low, const Slice &high) override
    {
        return tell(VIEW_DELETE_RANGE, low, high);
    }

    enum err err() const
    {
        return err_;
    }

  private:
    Status tell(enum view_change change, const Slice &row, const Slice &value)
    {
        err_ = fn_(arg_, change, bytes_of(row.data(), row.size()),
                   bytes_of(value.data(), value.size()));
        return err_ == OK ? Status::OK() : Status::Aborted();
    } // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks): RocksDB's status owns its text

    visit *fn_;
    void *arg_;
    enum err err_ = OK;
};

} // namespace

extern "C" enum err view_check_batch(const char *data, size_t len, visit *fn, void *arg)
{
    Changes changes(fn, arg);
    Status status = WriteBatch(std::string(data, len)).Iterate(&changes);
    return changes.err() != OK ? changes.err() : status.ok() ? OK : ERR_DAMAGED;
}
