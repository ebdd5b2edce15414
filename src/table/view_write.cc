// What flushes and compactions write: compactions give way when the disk runs out (table I15), and
// tables are written at a pace.
//
// A compaction writes its output beside its inputs. RocksDB lets it take the last byte of the disk,
// from the flushes and from the log, and then counts its failure as one of the database. Here its
// writes fail while a floor of free space is left; RocksDB removes the output, is told of no error,
// and tries again after a second. What failed would fail again, having written as much as there is
// room for, so the next attempt that may write comes after four times as long as that one took, or
// as soon as there is clearly more room. Until then the output is refused when it is made.
//
// A compaction that drops what was deleted needs much less than its inputs, and nobody knows how
// much: so it is tried, not calculated.
//
// A flush writes 64 MB as fast as the processor packs them. On a machine with few processors that
// is a tenth of a second in which commits get a third of one, and a 1 MB write into the page cache
// is not interrupted at all: requests that come at 70 % of what is possible then wait for 40 ms.
// Here a flush and each compaction write a small piece and then pause, unless the view falls
// behind. A pause is on the thread of the flush or compaction, outside of RocksDB's locks.
#include "table/view_write.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <thread>

#include <rocksdb/listener.h>
#include <rocksdb/utilities/object_registry.h>

extern "C" {
#include "sys/clock.h"
#include "sys/file.h"
}

using namespace rocksdb;

namespace
{

const uint64_t kSecond = 1000000000;
const uint64_t kMillisecond = 1000000;
const uint64_t kBytesPerSecond = 100000000;

// Compactions run on several threads.
struct Waiting {
    std::mutex mutex;
    uint64_t floor = 0;
    uint64_t until_ns = 0; // 0: the last one that could write did not fail
    uint64_t left = 0;     // when it began
};

Waiting waiting;
std::atomic<uint64_t> waits; // read by the keeper; nothing is ordered by it
std::atomic<bool> calm;      // nothing is ordered by it

// The first background error, before RocksDB counts it.
std::mutex error_mutex;
std::string error_text;
bool error_is_damage;

// Of the compaction that this thread runs.
thread_local bool compacting;
thread_local uint64_t left_at_begin;
thread_local uint64_t begun_ns;

uint64_t left_for(const std::string &path)
{
    uint64_t left = 0;
    return volume_free(path.c_str(), &left) == OK ? left : UINT64_MAX;
}

bool may_write(uint64_t left)
{
    std::lock_guard<std::mutex> lock(waiting.mutex);
    bool roomier = left >= waiting.floor && left - waiting.floor >= waiting.left;
    return roomier || clock_mono_ns() >= waiting.until_ns;
}

bool has_room(uint64_t left, size_t len)
{
    std::lock_guard<std::mutex> lock(waiting.mutex);
    return left >= waiting.floor && left - waiting.floor >= len;
}

void begin_pause()
{
    std::lock_guard<std::mutex> lock(waiting.mutex);
    uint64_t now = clock_mono_ns();
    waiting.until_ns = now + std::max(kSecond, 4 * (now - begun_ns));
    waiting.left = left_at_begin;
}

void end_pause()
{
    std::lock_guard<std::mutex> lock(waiting.mutex);
    waiting.until_ns = 0;
}

IOStatus no_space()
{
    return IOStatus::NoSpace("a compaction leaves the rest of the disk alone");
}

bool is_table(const std::string &path)
{
    const std::string suffix = ".sst";
    return path.size() > suffix.size() &&
           path.compare(path.size() - suffix.size(), suffix.size(), suffix) == 0;
}

// What a compaction writes, and any table.
class Output : public FSWritableFileOwnerWrapper
{
  public:
    Output(std::unique_ptr<FSWritableFile> file, const std::string &compacted, bool is_table)
        : FSWritableFileOwnerWrapper(std::move(file)), compacted_(compacted), is_table_(is_table),
          due_ns_(clock_mono_ns())
    {
    }

    IOStatus Append(const Slice &data, const IOOptions &options, IODebugContext *debug) override
    {
        return take(data) ? paused(data, target()->Append(data, options, debug)) : no_space();
    } // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks): RocksDB's status owns its text

    IOStatus Append(const Slice &data, const IOOptions &options,
                    const DataVerificationInfo &verification, IODebugContext *debug) override
    {
        return take(data) ? paused(data, target()->Append(data, options, verification, debug))
                          : no_space();
    } // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks): RocksDB's status owns its text

    // A compaction's allocates as much as all inputs have, whatever becomes of it.
    void PrepareWrite(size_t offset, size_t len, const IOOptions &options,
                      IODebugContext *debug) override
    {
        if (compacted_.empty()) {
            target()->PrepareWrite(offset, len, options, debug);
        }
    }

  private:
    bool take(const Slice &data)
    {
        if (compacted_.empty() || has_room(left_for(compacted_), data.size())) {
            return true;
        }
        begin_pause();
        return false;
    }

    // Time that was lost to something else is not caught up on, and what was written in a hurry is
    // not waited for later.
    IOStatus paused(const Slice &data, IOStatus status)
    {
        uint64_t now = clock_mono_ns();
        if (!is_table_ || !calm.load(std::memory_order_relaxed)) {
            due_ns_ = now;
            return status;
        }
        due_ns_ = std::max(due_ns_, now) + data.size() * kSecond / kBytesPerSecond;
        if (due_ns_ - now >= kMillisecond) {
            std::this_thread::sleep_for(std::chrono::nanoseconds(due_ns_ - now));
        }
        return status;
    }

    std::string compacted_; // the directory, of what a compaction writes
    bool is_table_;
    uint64_t due_ns_; // of the next piece
};

class Files : public FileSystemWrapper
{
  public:
    using FileSystemWrapper::FileSystemWrapper;

    const char *Name() const override
    {
        return "headwater-view-write";
    }

    IOStatus NewWritableFile(const std::string &path, const FileOptions &options,
                             std::unique_ptr<FSWritableFile> *result,
                             IODebugContext *debug) override
    {
        std::string compacted = compacting ? path.substr(0, path.rfind('/')) : "";
        if (compacting) {
            left_at_begin = left_for(compacted);
            begun_ns = clock_mono_ns();
            if (!may_write(left_at_begin)) {
                return no_space();
            }
        }
        std::unique_ptr<FSWritableFile> file;
        IOStatus status = FileSystemWrapper::NewWritableFile(path, options, &file, debug);
        if (status.ok() && (compacting || is_table(path))) {
            result->reset(new Output(std::move(file), compacted, is_table(path)));
        } else {
            *result = std::move(file);
        }
        return status;
    }
};

class Listener : public EventListener
{
  public:
    const char *Name() const override
    {
        return VIEW_WRITE_LISTENER;
    }

    void OnCompactionBegin(DB *, const CompactionJobInfo &) override
    {
        compacting = true;
    }

    void OnCompactionCompleted(DB *, const CompactionJobInfo &job) override
    {
        compacting = false;
        if (job.status.ok()) {
            end_pause();
        }
    }

    // A flush may follow on the thread of a compaction that was told nothing at its end.
    void OnFlushBegin(DB *, const FlushJobInfo &) override
    {
        compacting = false;
    }

    void OnBackgroundError(BackgroundErrorReason reason, Status *error) override
    {
        if (reason == BackgroundErrorReason::kCompaction && error->IsNoSpace()) {
            waits.fetch_add(1, std::memory_order_relaxed);
            *error = Status::OK();
            return;
        }
        std::lock_guard<std::mutex> lock(error_mutex);
        if (error_text.empty()) {
            error_text = error->ToString();
            error_is_damage = error->IsCorruption();
        }
    }
};

} // namespace

std::shared_ptr<FileSystem> view_write_over(const std::shared_ptr<FileSystem> &files)
{
    return std::make_shared<Files>(files);
}

extern "C" {

bool view_write_error(char *text, size_t room)
{
    std::lock_guard<std::mutex> lock(error_mutex);
    if (error_text.empty()) {
        return false;
    }
    snprintf(text, room, "%s", error_text.c_str());
    return error_is_damage;
}

void view_write_init(uint64_t floor)
{
    static const bool known = [] {
        ObjectLibrary::Default()->AddFactory<EventListener>(
            VIEW_WRITE_LISTENER,
            [](const std::string &, std::unique_ptr<EventListener> *made, std::string *) {
                made->reset(new Listener());
                return made->get();
            });
        return true;
    }();
    (void)known;
    {
        std::lock_guard<std::mutex> lock(error_mutex);
        error_text.clear();
    }
    std::lock_guard<std::mutex> lock(waiting.mutex);
    waiting.floor = floor;
    waiting.until_ns = 0;
    waits.store(0, std::memory_order_relaxed);
}

uint64_t view_write_waits(void)
{
    return waits.load(std::memory_order_relaxed);
}

bool view_write_is_waiting(void)
{
    std::lock_guard<std::mutex> lock(waiting.mutex);
    return waiting.until_ns != 0;
}

void view_write_set_calm(bool is_calm)
{
    calm.store(is_calm, std::memory_order_relaxed);
}

} // extern "C"
