/* The store without a network: puts (and then reads) of whole items from one lane, so many in
 * flight, over existing items; what one costs in processor time and how many a sync carries. The
 * data directory is made anew under the given one and removed by the caller.
 *
 *   commit-bench DIR [items] [puts] [in flight] [item bytes] */
#include "base/mem.h"
#include "sys/clock.h"
#include "sys/process.h"
#include "table/table.h"

#include <stdio.h>
#include <stdlib.h>

struct put {
    struct task task; /* first */
    struct arena arena;
    struct bench *bench;
    uint64_t item;
    uint64_t version;
    uint64_t started_ns;
    bool reads;
    struct put *next_idle;
};

struct bench {
    struct lane lane;
    struct mailbox home;
    struct event event;
    size_t bytes;
    uint64_t items;
    uint64_t begun;
    uint64_t done;
    uint64_t failed;
    uint64_t latency_ns;
    uint64_t random;
    bool sequential;
    bool reads;
    struct put *idle;
};

static struct bytes item_of(struct put *put, struct arena *arena)
{
    struct item_build build;
    struct bytes item = BYTES_NONE;
    uint8_t *body = arena_zalloc(arena, put->bench->bytes);
    uint64_t random = (put->item + 1) * 0x9e3779b97f4a7c15u + put->version;
    for (size_t i = 0; i + 8 <= put->bench->bytes; i += 8) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        memcpy(body + i, &random, 8);
    }
    item_build_init(&build, arena);
    item_build_s(&build, BYTES("pk"),
                 arena_printf(arena, "item-%08llu", (unsigned long long)put->item));
    item_build_b(&build, BYTES("body"), bytes_of(body, put->bench->bytes));
    item_build_i64(&build, BYTES("version"), (int64_t)put->version);
    return item_build_end(&build, &item) == OK ? item : BYTES_NONE;
}

static enum err evaluate(struct task *task, struct reader *reader, struct changes *changes)
{
    struct put *put = (struct put *)task;
    struct key key;
    struct key_fault fault;
    struct bytes old = BYTES_NONE;
    const struct table *table = reader_table(reader, BYTES("bench"));
    struct bytes item = item_of(put, reader->arena);
    if (key_from_item(&table->schema, item, reader->arena, &key, &fault) != KEY_OK) {
        return ERR_INVALID;
    }
    enum err err = reader_get(reader, table, &key, &old);
    if (put->reads || (err != OK && err != ERR_NOT_FOUND)) {
        return err;
    }
    return change_item(reader, changes, table, &key, err == OK ? old : BYTES_NONE, item,
                       ORIGIN_USER);
}

static void done(struct task *task, enum err err)
{
    struct put *put = (struct put *)task;
    struct bench *bench = put->bench;
    bench->done++;
    bench->failed += err != OK;
    bench->latency_ns += clock_mono_ns() - put->started_ns;
    arena_reset(&put->arena);
    put->next_idle = bench->idle;
    bench->idle = put;
}

static void start_next(struct put *put)
{
    struct bench *bench = put->bench;
    bench->random = bench->random * 6364136223846793005u + 1442695040888963407u;
    put->item =
        bench->sequential ? bench->begun % bench->items : (bench->random >> 33) % bench->items;
    put->version = bench->begun++;
    put->reads = bench->reads;
    put->task.evaluate = evaluate;
    put->task.done = done;
    put->task.arena = &put->arena;
    put->task.writes = !bench->reads;
    put->started_ns = clock_mono_ns();
    store_run(&bench->lane, &put->task);
}

static void wake(void *arg)
{
    event_signal(arg);
}

/* As a loop does: all that came home is started anew, then handed over at once. */
static void run(struct bench *bench, uint64_t wanted)
{
    bench->begun = 0;
    bench->done = 0;
    bench->latency_ns = 0;
    while (bench->done < wanted) {
        struct put *put = bench->idle;
        bench->idle = NULL;
        while (put != NULL) {
            struct put *next = put->next_idle;
            if (bench->begun < wanted) {
                start_next(put);
            }
            put = next;
        }
        lane_flush(&bench->lane);
        if (bench->idle == NULL && mailbox_run(&bench->home) == 0 && bench->done < wanted) {
            event_wait(&bench->event, -1);
        }
    }
}

static void report(const char *name, struct bench *bench, struct store *store, uint64_t ns,
                   uint64_t cpu_us, const struct store_figures *before)
{
    struct store_figures now;
    store_figures(store, &now);
    uint64_t frames = now.log.frames - before->log.frames;
    double count = (double)bench->done;
    printf("%-6s %9.0f/s  cpu %6.2f us  mean %7.0f us  failed %llu  per sync %5.1f  "
           "view %5.2f us  sync %5.0f us  repeated %llu  cold %llu  sent back %llu\n",
           name, count * 1e9 / (double)ns, (double)cpu_us / count,
           (double)bench->latency_ns / count / 1000, (unsigned long long)bench->failed,
           frames == 0 ? 0.0 : count / (double)frames,
           (double)(now.view_batch_ns_total - before->view_batch_ns_total) / count / 1000,
           frames == 0 ? 0.0
                       : (double)(now.log.sync_ns_total - before->log.sync_ns_total) /
                             (double)frames / 1000,
           (unsigned long long)(now.repeated - before->repeated),
           (unsigned long long)(now.cache_only_incomplete - before->cache_only_incomplete),
           (unsigned long long)(now.sent_back - before->sent_back));
}

static uint64_t number(int argc, char **argv, int i, uint64_t otherwise)
{
    return argc > i ? strtoull(argv[i], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
    struct store *store = NULL;
    struct store_report opened;
    struct store_figures before;
    struct bench bench = {
        .items = number(argc, argv, 2, 10000), .bytes = number(argc, argv, 5, 1024), .random = 1};
    uint64_t wanted = number(argc, argv, 3, 500000);
    size_t flying = number(argc, argv, 4, 64);
    if (argc < 2) {
        fprintf(stderr, "usage: commit-bench DIR [items] [puts] [in flight] [item bytes]\n");
        return 2;
    }
    struct store_options options = {
        .data = argv[1], .region = BYTES("us-east-1"), .account = BYTES("000000000000")};
    struct table_definition definition = {.name = BYTES("bench"),
                                          .schema = {.partition = {BYTES("pk"), VALUE_S}},
                                          .view = STREAM_NEW_AND_OLD};
    if (store_open(&options, &store, &opened) != OK ||
        store_ensure_table(store, &definition) != OK) {
        fprintf(stderr, "%s: %s\n", opened.log.file, opened.log.reason);
        return 1;
    }
    event_init(&bench.event);
    mailbox_init(&bench.home, wake, &bench.event);
    lane_init(&bench.lane, store, &bench.home);
    struct put *puts = mem_zalloc(flying, sizeof(*puts));
    for (size_t i = 0; i < flying; i++) {
        puts[i].bench = &bench;
        arena_init(&puts[i].arena, 0);
    }
    static const char *const names[] = {"fill", "put", "put", "get"};
    for (size_t phase = 0; phase < 4; phase++) {
        store_figures(store, &before);
        uint64_t cpu = process_cpu_us();
        uint64_t start = clock_mono_ns();
        bench.sequential = phase == 0;
        bench.reads = phase == 3;
        bench.idle = NULL;
        for (size_t i = 0; i < flying; i++) {
            puts[i].next_idle = bench.idle;
            bench.idle = &puts[i];
        }
        run(&bench, phase == 0 ? bench.items : wanted);
        report(names[phase], &bench, store, clock_mono_ns() - start, process_cpu_us() - cpu,
               &before);
    }
    for (size_t i = 0; i < flying; i++) {
        arena_fini(&puts[i].arena);
    }
    mem_free(puts);
    lane_fini(&bench.lane);
    event_fini(&bench.event);
    return store_close(store) == OK ? 0 : 1;
}
