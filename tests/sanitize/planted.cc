// Races of our own beside RocksDB, which the preset tsan must report (tests/sanitize/tsan.c):
//
//   planted callback DIR   in a listener that a thread of RocksDB calls, against the main thread
//   planted handler DIR    in a handler that RocksDB calls on two threads of ours
//   planted caller DIR     in what calls RocksDB, between two calls of it
//   planted nothing DIR    the same work without a race: nothing may be reported
#include <rocksdb/db.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <rocksdb/write_batch.h>

#include <pthread.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>

using namespace rocksdb;

namespace
{

const int kRounds = 200;

DB *db;
std::string planted;
std::mutex mutex;
uint64_t shared; // under the mutex, where nothing is planted

void touch(const std::string &where)
{
    if (planted == where) {
        shared++;
        return;
    }
    std::lock_guard<std::mutex> lock(mutex);
    shared++;
}

void check(const Status &status)
{
    if (!status.ok()) {
        fprintf(stderr, "planted: %s\n", status.ToString().c_str());
        exit(1);
    }
}

class Listener : public EventListener
{
  public:
    void OnFlushBegin(DB *, const FlushJobInfo &) override
    {
        touch("callback");
    }
};

class Handler : public WriteBatch::Handler
{
  public:
    Status PutCF(uint32_t, const Slice &, const Slice &) override
    {
        touch("handler");
        return Status::OK();
    }
};

void *work(void *)
{
    Handler handler;
    for (int i = 0; i < kRounds; i++) {
        WriteBatch batch;
        check(batch.Put("key" + std::to_string(i), std::string(100, 'v')));
        check(db->Write(WriteOptions(), &batch));
        touch("caller");
        check(batch.Iterate(&handler));
    }
    return nullptr;
}

void open_in(const char *dir)
{
    Options options;
    options.create_if_missing = true;
    options.listeners.push_back(std::make_shared<Listener>());
    check(DB::Open(options, dir, &db));
}

} // namespace

int main(int argc, char **argv)
{
    if (argc != 3) {
        return 2;
    }
    planted = argv[1];
    open_in(argv[2]);
    pthread_t threads[2];
    for (pthread_t &thread : threads) {
        if (pthread_create(&thread, nullptr, work, nullptr) != 0) {
            return 1;
        }
    }
    for (int i = 0; i < 5; i++) {
        check(db->Put(WriteOptions(), "main", std::to_string(i)));
        FlushOptions options;
        options.wait = false;
        check(db->Flush(options));
        touch("callback");
    }
    for (pthread_t &thread : threads) {
        pthread_join(thread, nullptr);
    }
    check(db->Close());
    delete db;
    printf("%s: %llu\n", planted.c_str(), static_cast<unsigned long long>(shared));
    return 0;
}
