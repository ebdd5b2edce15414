// What RocksDB has to say goes into our log lines. A file of its own for it would grow beside the
// view, and RocksDB asserts that nothing is written to a file after a failed write, which that one
// is on a full disk.
#include "table/view_note.h"

#include <cstdarg>
#include <cstdio>

#include <rocksdb/env.h>

extern "C" {
#include "base/note.h"
}

using namespace rocksdb;

namespace
{

class Notes : public Logger
{
  public:
    Notes() : Logger(InfoLogLevel::WARN_LEVEL)
    {
    }

    // The options, at every start.
    void LogHeader(const char *, va_list) override
    {
    }

    void Logv(InfoLogLevel level, const char *format, va_list arguments) override
    {
        if (level < InfoLogLevel::WARN_LEVEL || level == InfoLogLevel::HEADER_LEVEL) {
            return;
        }
        char text[512];
        vsnprintf(text, sizeof(text), format, arguments);
        const note_pair pair = {"message", note_pair::NOTE_KIND_TEXT, bytes_cstr(text), 0};
        note_write(level == InfoLogLevel::WARN_LEVEL ? NOTE_WARN : NOTE_ERROR, "view.rocksdb",
                   &pair, 1);
    }
};

class Noted : public FileSystemWrapper
{
  public:
    using FileSystemWrapper::FileSystemWrapper;

    const char *Name() const override
    {
        return "headwater-view-note";
    }

    IOStatus NewLogger(const std::string &, const IOOptions &, std::shared_ptr<Logger> *out,
                       IODebugContext *) override
    {
        *out = std::make_shared<Notes>();
        return IOStatus::OK();
    }
};

} // namespace

std::shared_ptr<FileSystem> view_note_over(const std::shared_ptr<FileSystem> &files)
{
    return std::make_shared<Noted>(files);
}
