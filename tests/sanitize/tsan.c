/* What ThreadSanitizer is not to report, in every program of the preset tsan: races with RocksDB's
 * own accesses. RocksDB is not built with it, so how its threads take turns cannot be seen, while
 * what it reads and writes through the libraries of C and C++ (memcpy, operator delete) can. A list
 * of suppressions would hide more than that: a term matches any frame of the two accesses and of
 * where their threads and their memory come from, so that nothing would be said of our own code
 * where RocksDB calls it, is called by it, or has made its thread. Here a report is judged by where
 * its accesses are made, and by nothing else; planted.c and `tests/sanitize/threads` show that
 * races of our own beside RocksDB are still told. */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum { FRAMES_MAX = 64, TEXT_MAX_BYTES = 8192 };

/* Of the sanitizer's library; its header has neither. The trace ends at the first NULL. */
int __tsan_get_report_data(void *report, const char **description, int *count, int *stack_count,
                           int *access_count, int *place_count, int *mutex_count, int *thread_count,
                           int *thread_id_count, void **sleep, unsigned long sleep_count);
int __tsan_get_report_mop(void *report, unsigned long index, int *thread, void **address, int *size,
                          int *is_write, int *is_atomic, void **trace, unsigned long trace_count);
int __tsan_get_report_loc(void *report, unsigned long index, const char **type, void **address,
                          void **start, unsigned long *size, int *thread, int *file,
                          int *is_suppressable, void **trace, unsigned long trace_count);
/* One text for each function that is inlined at the call before pc, the innermost first, and an
 * empty one. */
void __sanitizer_symbolize_pc(void *pc, const char *format, char *out, size_t room);
/* Asked before a report is printed: shall it not be? This takes the place of its weak one,
 * __tsan::OnReport. */
bool is_hidden(void *report, bool suppressed) __asm__("_ZN6__tsan8OnReportEPKNS_10ReportDescEb");

/* Who made the access: the libraries do so for who calls them. */
enum maker { MAKER_LIBRARY, MAKER_ROCKSDB, MAKER_OURS_C, MAKER_OTHER };

struct counts {
    const char *description;
    int accesses, places;
};

static struct counts count(void *report);
static bool is_access_of_rocksdb(void *report, unsigned long index, bool has_place);
static bool is_memory_of_rocksdb(void *report);
static bool is_rocksdb_at(void *const *trace);
static enum maker maker_at(void *pc, bool *in_cpp_library);
static enum maker maker_of(char *function, bool *in_cpp_library);

bool is_hidden(void *report, bool suppressed)
{
    struct counts counts = count(report);
    if (strcmp(counts.description, "data-race") != 0) {
        return suppressed;
    }
    for (int i = 0; i < counts.accesses; i++) {
        if (is_access_of_rocksdb(report, (unsigned long)i, counts.places > 0)) {
            return true;
        }
    }
    return suppressed;
}

static struct counts count(void *report)
{
    struct counts counts = {"", 0, 0};
    int ignored[5];
    void *sleep = NULL;
    __tsan_get_report_data(report, &counts.description, &ignored[0], &ignored[1], &counts.accesses,
                           &counts.places, &ignored[2], &ignored[3], &ignored[4], &sleep, 1);
    return counts;
}

/* Of an access that is too long ago to know its place only the memory says whose it was: nobody but
 * RocksDB writes to its own. */
static bool is_access_of_rocksdb(void *report, unsigned long index, bool has_place)
{
    void *trace[FRAMES_MAX + 1] = {NULL};
    void *address = NULL;
    int ignored[4];
    __tsan_get_report_mop(report, index, &ignored[0], &address, &ignored[1], &ignored[2],
                          &ignored[3], trace, FRAMES_MAX);
    return trace[0] != NULL ? is_rocksdb_at(trace) : has_place && is_memory_of_rocksdb(report);
}

static bool is_memory_of_rocksdb(void *report)
{
    void *trace[FRAMES_MAX + 1] = {NULL};
    const char *type = "";
    void *addresses[2];
    unsigned long size = 0;
    int ignored[3];
    __tsan_get_report_loc(report, 0, &type, &addresses[0], &addresses[1], &size, &ignored[0],
                          &ignored[1], &ignored[2], trace, FRAMES_MAX);
    return strcmp(type, "heap") == 0 && is_rocksdb_at(trace);
}

/* Functions that are not built with the sanitizer are in no trace, but for the one that called what
 * is: where C++'s library was called and then comes C of ours, or nothing at all, RocksDB stands
 * between them. */
static bool is_rocksdb_at(void *const *trace)
{
    bool in_cpp_library = false;
    enum maker maker = MAKER_LIBRARY;
    for (; *trace != NULL && maker == MAKER_LIBRARY; trace++) {
        maker = maker_at(*trace, &in_cpp_library);
    }
    return maker == MAKER_ROCKSDB ||
           (in_cpp_library && (maker == MAKER_LIBRARY || maker == MAKER_OURS_C));
}

static enum maker maker_at(void *pc, bool *in_cpp_library)
{
    char text[TEXT_MAX_BYTES] = "";
    __sanitizer_symbolize_pc(pc, "%m\t%s\t%f", text, sizeof(text) - 1);
    for (char *function = text; *function != 0;) {
        char *next = function + strlen(function) + 1;
        enum maker maker = maker_of(function, in_cpp_library);
        if (maker != MAKER_LIBRARY) {
            return maker;
        }
        function = next;
    }
    return MAKER_LIBRARY;
}

/* RocksDB's functions have no source, nor have the templates of C++'s library that were built for
 * it; ours have. What is inlined from a header does what the function around it does. */
static enum maker maker_of(char *function, bool *in_cpp_library)
{
    char *source = strchr(function, '\t');
    char *name = source != NULL ? strchr(source + 1, '\t') : NULL;
    if (name == NULL) {
        return MAKER_OTHER;
    }
    *source++ = 0;
    *name++ = 0;
    const char *module = function;
    bool has_source = strcmp(source, "<null>") != 0;
    if (strstr(module, "/libtsan.so") != NULL || strstr(source, "/usr/include/") != NULL) {
        return MAKER_LIBRARY;
    }
    if (has_source && strstr(module, "/libstdc++.so") == NULL) {
        const char *end = strrchr(source, '.');
        return end != NULL && strcmp(end, ".cc") != 0 ? MAKER_OURS_C : MAKER_OTHER;
    }
    if (!has_source && (strstr(name, "rocksdb::") != NULL || strncmp(name, "rocksdb_", 8) == 0)) {
        return MAKER_ROCKSDB;
    }
    bool is_cpp_library = strstr(module, "/libstdc++.so") != NULL || strstr(name, "std::") != NULL;
    *in_cpp_library |= is_cpp_library;
    return is_cpp_library ? MAKER_LIBRARY : MAKER_OTHER;
}
