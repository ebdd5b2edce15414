// The environment of RocksDB in which a thread can ask for reads that never wait for a disk: they
// come out of the block cache or the page cache, or end as incomplete. Everything else is RocksDB's
// own. In C++, as RocksDB's C interface has no place for it.
#include <memory>

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/utilities/object_registry.h>

extern "C" {
#include "base/note.h"
#include "sys/file.h"
#include "table/resident.h"
}

using namespace rocksdb;

static thread_local bool resident_only;

namespace
{

// A table file with a second descriptor, as the first one is not to be had.
class ResidentFile : public FSRandomAccessFileOwnerWrapper
{
  public:
    ResidentFile(std::unique_ptr<FSRandomAccessFile> &&file, int fd)
        : FSRandomAccessFileOwnerWrapper(std::move(file)), fd_(fd)
    {
    }

    ~ResidentFile() override
    {
        IGNORE(file_close(fd_)); // nothing was written
    }

    IOStatus Read(uint64_t offset, size_t n, const IOOptions &options, Slice *result, char *scratch,
                  IODebugContext *debug) const override
    {
        if (!resident_only) {
            return target()->Read(offset, n, options, result, scratch, debug);
        }
        if (file_read_resident(fd_, scratch, n, offset) != OK) {
            return status_to_io_status(Status::Incomplete());
        }
        *result = Slice(scratch, n);
        return IOStatus::OK();
    }

    IOStatus MultiRead(FSReadRequest *requests, size_t count, const IOOptions &options,
                       IODebugContext *debug) override
    {
        return resident_only ? FSRandomAccessFile::MultiRead(requests, count, options, debug)
                             : target()->MultiRead(requests, count, options, debug);
    }

    IOStatus Prefetch(uint64_t offset, size_t n, const IOOptions &options,
                      IODebugContext *debug) override
    {
        return resident_only ? IOStatus::OK() : target()->Prefetch(offset, n, options, debug);
    }

  private:
    int fd_;
};

class ResidentFiles : public FileSystemWrapper
{
  public:
    using FileSystemWrapper::FileSystemWrapper;

    const char *Name() const override
    {
        return RESIDENT_ENV;
    }

    IOStatus NewRandomAccessFile(const std::string &path, const FileOptions &options,
                                 std::unique_ptr<FSRandomAccessFile> *out,
                                 IODebugContext *debug) override
    {
        std::unique_ptr<FSRandomAccessFile> file;
        int fd = -1;
        IOStatus status = target()->NewRandomAccessFile(path, options, &file, debug);
        if (status.ok() && file_open(path.c_str(), FILE_READ, &fd) != OK) {
            status = IOStatus::IOError("cannot be opened twice", path);
        }
        if (status.ok()) {
            out->reset(new ResidentFile(std::move(file), fd));
        }
        return status;
    }
};

} // namespace

extern "C" {

void resident_init(void)
{
    // The registry that names are looked up in lives as long as the process; so must what it gives.
    static Env *const env = [] {
        static Env *const made =
            NewCompositeEnv(std::make_shared<ResidentFiles>(FileSystem::Default())).release();
        ObjectLibrary::Default()->AddFactory<Env>(
            RESIDENT_ENV,
            [](const std::string &, std::unique_ptr<Env> *, std::string *) { return made; });
        return made;
    }();
    (void)env;
}

void resident_begin(void)
{
    resident_only = true;
}

void resident_end(void)
{
    resident_only = false;
}

} // extern "C"
