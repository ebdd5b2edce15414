/* What ThreadSanitizer is not to report, in every program of the preset tsan: RocksDB is not built
 * with it, so how its threads take turns cannot be seen. A report with one of its frames says
 * nothing, nor does one of C++'s library, which only RocksDB shares between threads. libuv closes
 * what it opened by the bare system call, so that the next to have that descriptor seems to race
 * with who opened it before: those two of its openings at which this was seen. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "race:rocksdb\n"
           "race:std::_Hashtable\n"
           "race:libstdc++.so\n"
           "race:^epoll_create1$\n"
           "race:^uv_pipe$\n";
}
