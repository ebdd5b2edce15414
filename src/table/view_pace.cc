// Tables are written at a pace.
//
// A flush writes 64 MB as fast as the processor packs them. On a machine with few processors that
// is a tenth of a second in which commits get a third of one, and a 1 MB write into the page cache
// is not interrupted at all: requests that come at 70 % of what is possible then wait for 40 ms.
// Here a flush and each compaction write a small piece and then pause, unless the view falls
// behind. A pause is on the thread of the flush or compaction, outside of RocksDB's locks.
#include "table/view_pace.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include <rocksdb/file_system.h>

extern "C" {
#include "sys/clock.h"
}

using namespace rocksdb;

namespace
{

const uint64_t kBytesPerSecond = 100000000;
const uint64_t kMillisecond = 1000000;

std::atomic<bool> calm; // nothing is ordered by it

class Table : public FSWritableFileOwnerWrapper
{
  public:
    explicit Table(std::unique_ptr<FSWritableFile> file)
        : FSWritableFileOwnerWrapper(std::move(file)), due_ns_(clock_mono_ns())
    {
    }

    IOStatus Append(const Slice &data, const IOOptions &options, IODebugContext *debug) override
    {
        IOStatus status = target()->Append(data, options, debug);
        pause(data.size());
        return status;
    }

    IOStatus Append(const Slice &data, const IOOptions &options,
                    const DataVerificationInfo &verification, IODebugContext *debug) override
    {
        IOStatus status = target()->Append(data, options, verification, debug);
        pause(data.size());
        return status;
    }

  private:
    // Time that was lost to something else is not caught up on.
    void pause(size_t bytes)
    {
        uint64_t now = clock_mono_ns();
        if (!calm.load(std::memory_order_relaxed)) {
            due_ns_ = now; // what was written in a hurry is not waited for later
            return;
        }
        due_ns_ = std::max(due_ns_, now) + bytes * 1000000000 / kBytesPerSecond;
        if (due_ns_ - now >= kMillisecond) {
            std::this_thread::sleep_for(std::chrono::nanoseconds(due_ns_ - now));
        }
    }

    uint64_t due_ns_; // of the next piece
};

bool is_table(const std::string &path)
{
    const std::string suffix = ".sst";
    return path.size() > suffix.size() &&
           path.compare(path.size() - suffix.size(), suffix.size(), suffix) == 0;
}

class Files : public FileSystemWrapper
{
  public:
    using FileSystemWrapper::FileSystemWrapper;

    const char *Name() const override
    {
        return "headwater-view-pace";
    }

    IOStatus NewWritableFile(const std::string &path, const FileOptions &options,
                             std::unique_ptr<FSWritableFile> *result,
                             IODebugContext *debug) override
    {
        std::unique_ptr<FSWritableFile> file;
        IOStatus status = FileSystemWrapper::NewWritableFile(path, options, &file, debug);
        if (status.ok() && is_table(path)) {
            result->reset(new Table(std::move(file)));
        } else {
            *result = std::move(file);
        }
        return status;
    }
};

} // namespace

std::shared_ptr<FileSystem> view_pace_over(const std::shared_ptr<FileSystem> &files)
{
    return std::make_shared<Files>(files);
}

extern "C" void view_pace_set_calm(bool is_calm)
{
    calm.store(is_calm, std::memory_order_relaxed);
}
