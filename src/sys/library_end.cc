// In C++ because only its runtime can be asked what was thrown.
#include "sys/library_end.h"

#include <atomic>
#include <cstdlib>
#include <exception>

namespace
{

std::atomic<library_end *> end_callback;

void end_with(const char *reason)
{
    library_end *callback = end_callback.load();
    if (callback != nullptr) {
        callback(reason);
    }
}

[[noreturn]] void ended() noexcept
{
    std::exception_ptr thrown = std::current_exception();
    if (thrown == nullptr) {
        end_with("ended without an exception");
        std::abort();
    }
    try {
        std::rethrow_exception(thrown);
    } catch (const std::exception &exception) {
        end_with(exception.what());
    } catch (...) {
        end_with("an exception of an unknown type");
    }
    std::abort();
}

} // namespace

void library_end_call(library_end *callback)
{
    end_callback.store(callback);
    std::set_terminate(ended);
}
