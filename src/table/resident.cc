// The environment of RocksDB in which a thread can ask for reads that never wait for a disk: they
// come out of the block cache or the page cache, or end as incomplete. Everything else is left to
// view_files.cc, view_write.cc and view_note.cc. In C++, as RocksDB's C interface has no place for
// it.
#include <memory>
#include <mutex>

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/utilities/object_registry.h>

#include "table/view_files.h"
#include "table/view_note.h"
#include "table/view_write.h"

extern "C" {
#include "base/assert.h"
#include "sys/file.h"
#include "table/resident.h"
}

using namespace rocksdb;

// RocksDB ends a file after the last read of it, which it knows by counts that ThreadSanitizer does
// not see: so it is told. A destructor writes before its first line, hence is not looked at.
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#define DESTRUCTOR_AFTER_READS __attribute__((no_sanitize("thread")))
#define TELL_ACQUIRED(file) __tsan_acquire(file)
#define TELL_RELEASED(file) __tsan_release(file)
#else
#define DESTRUCTOR_AFTER_READS
#define TELL_ACQUIRED(file) ((void)(file))
#define TELL_RELEASED(file) ((void)(file))
#endif

// What the thread does at the moment, may do, and what came of it.
static thread_local bool watched;
static thread_local bool resident_only;
static thread_local enum err outcome;

namespace
{

class Use
{
  public:
    explicit Use(const void *file) : file_(const_cast<void *>(file))
    {
    }

    ~Use()
    {
        TELL_RELEASED(file_);
    }

    Use(const Use &) = delete;
    Use &operator=(const Use &) = delete;

  private:
    void *file_;
};

std::mutex refusal_mutex;
std::string refusal;

// A table file with a second descriptor, as the first one is not to be had.
class ResidentFile : public FSRandomAccessFileOwnerWrapper
{
  public:
    ResidentFile(std::unique_ptr<FSRandomAccessFile> &&file, int fd)
        : FSRandomAccessFileOwnerWrapper(std::move(file)), fd_(fd)
    {
    }

    DESTRUCTOR_AFTER_READS ~ResidentFile() override
    {
        TELL_ACQUIRED(this);
        IGNORE(file_close(fd_)); // nothing was written
    }

    IOStatus Read(uint64_t offset, size_t n, const IOOptions &options, Slice *result, char *scratch,
                  IODebugContext *debug) const override
    {
        Use use(this);
        if (!resident_only) {
            IOStatus status = target()->Read(offset, n, options, result, scratch, debug);
            outcome = status.ok() ? outcome : ERR_IO;
            return status;
        }
        if (file_read_resident(fd_, scratch, n, offset) != OK) {
            outcome = ERR_INCOMPLETE;
            return status_to_io_status(Status::Incomplete());
        }
        *result = Slice(scratch, n);
        return IOStatus::OK();
    }

    IOStatus MultiRead(FSReadRequest *requests, size_t count, const IOOptions &options,
                       IODebugContext *debug) override
    {
        // Not the wrapper's, which asks the file below: each read is to come here.
        return FSRandomAccessFile::MultiRead( // NOLINT(bugprone-parent-virtual-call)
            requests, count, options, debug);
    }

    IOStatus Prefetch(uint64_t offset, size_t n, const IOOptions &options,
                      IODebugContext *debug) override
    {
        Use use(this);
        return resident_only ? IOStatus::OK() : target()->Prefetch(offset, n, options, debug);
    } // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks): RocksDB's status owns its text

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
        enum err err = status.ok() ? file_open(path.c_str(), FILE_READ, &fd) : OK;
        if (err != OK) {
            status = IOStatus::IOError(path + " cannot be opened twice", file_reason(err));
        }
        if (!status.ok()) {
            std::lock_guard<std::mutex> lock(refusal_mutex);
            refusal = status.ToString();
        }
        if (status.ok()) {
            out->reset(new ResidentFile(std::move(file), fd));
        }
        return status;
    }
};

// The registry that names are looked up in lives as long as the process; so must what it gives.
Env *named(const char *name, std::shared_ptr<FileSystem> files)
{
    Env *made = NewCompositeEnv(files).release();
    ObjectLibrary::Default()->AddFactory<Env>(
        name, [made](const std::string &, std::unique_ptr<Env> *, std::string *) { return made; });
    return made;
}

} // namespace

extern "C" {

void resident_refusal(char *text, size_t room)
{
    std::lock_guard<std::mutex> lock(refusal_mutex);
    snprintf(text, room, "%s", refusal.c_str());
}

void resident_init(void)
{
    static Env *const env =
        named(RESIDENT_ENV, std::make_shared<ResidentFiles>(view_write_over(
                                view_files_over(view_note_over(FileSystem::Default())))));
    static Env *const to_read =
        named(VIEW_FILES_TO_READ, view_files_to_read(FileSystem::Default()));
    (void)env;
    (void)to_read;
}

void resident_begin(bool only)
{
    ASSERT(!watched);
    watched = true;
    resident_only = only;
    outcome = OK;
}

enum err resident_end(void)
{
    watched = false;
    resident_only = false;
    return outcome;
}

} // extern "C"
