/* What the tests of kills and of power cuts share: writers of transactions that put the same number
 * on both sides of a pair, and a check that nothing acknowledged is lost, no pair is halved, and
 * the table is what its stream says. */
#ifndef HW_TEST_PAIRS_H
#define HW_TEST_PAIRS_H

#include "world.h"

#include <limits.h>

#define WRITERS 3
#define PAIRS 20

/* Shared with the child: the newest acknowledged number of each pair. */
struct shared {
    _Atomic int64_t acked[WRITERS][PAIRS];
    _Atomic bool started;
};

/* So that the next writers go on above it. */
static inline int64_t newest_acked(const struct shared *shared)
{
    int64_t newest = 0;
    for (unsigned i = 0; i < WRITERS * PAIRS; i++) {
        int64_t acked = atomic_load(&shared->acked[i / PAIRS][i % PAIRS]);
        newest = acked > newest ? acked : newest;
    }
    return newest;
}

struct writer {
    struct thread thread;
    struct store *store;
    struct shared *shared;
    unsigned number;
    int64_t from;
};

static inline void pair_key(char out[16], const char *side, unsigned writer, unsigned pair)
{
    snprintf(out, 16, "%s-%u-%u", side, writer, pair);
}

/* One transaction a pair: both sides get the same number. Four in flight. */
static inline void write_pairs(void *arg)
{
    struct writer *writer = arg;
    struct seat seat;
    seat_init(&seat, writer->store);
    for (int64_t n = writer->from;; n += 4) {
        struct job jobs[4] = {0};
        char left[4][16];
        char right[4][16];
        for (unsigned i = 0; i < 4; i++) {
            unsigned pair = (unsigned)((n + i) % PAIRS);
            pair_key(left[i], "l", writer->number, pair);
            pair_key(right[i], "r", writer->number, pair);
            jobs[i].actions[0] =
                (struct action){.kind = ACT_PUT, .table = "t", .key = left[i], .number = n + i};
            jobs[i].actions[1] = (struct action){
                .kind = ACT_PUT, .table = "t", .key = right[i], .number = n + i, .padding = 600};
            jobs[i].count = 2;
            job_start(&seat, &jobs[i]);
        }
        seat_finish(&seat);
        for (unsigned i = 0; i < 4; i++) {
            if (jobs[i].err != OK) {
                _exit(1);
            }
            atomic_store(&writer->shared->acked[writer->number][(n + i) % PAIRS], n + i);
            arena_fini(&jobs[i].arena);
        }
        atomic_store(&writer->shared->started, true);
    }
}

static inline void write_until_killed(struct world *world, struct shared *shared, int64_t from)
{
    static struct writer writers[WRITERS];
    world_open(world);
    make_table(world->store, "t", STREAM_NEW_IMAGE);
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] =
            (struct writer){.store = world->store, .shared = shared, .number = i, .from = from};
        thread_start(&writers[i].thread, ROLE_WORKER, "writer", write_pairs, &writers[i]);
    }
    thread_join(&writers[0].thread);
}

/* ---- what the stream says ---- */

struct told {
    struct task task; /* first */
    struct arena arena;
    struct seat *seat;
    const struct stream *stream;
    struct log_place after;
    bool started;
    bool at_end;
    int64_t left[WRITERS][PAIRS];
    int64_t right[WRITERS][PAIRS];
    uint64_t halves;
    enum err err;
};

static inline void tell(struct told *told, const struct stream_record *record)
{
    struct value value;
    char side = 0;
    unsigned writer = 0;
    unsigned pair = 0;
    char key[32] = {0};
    if (!item_get(record->new_image, BYTES("pk"), &value) || value.body.len >= sizeof(key)) {
        CHECK(false);
        return;
    }
    memcpy(key, value.body.ptr, value.body.len);
    CHECK(sscanf(key, "%c-%u-%u", &side, &writer, &pair) == 3 && writer < WRITERS && pair < PAIRS);
    (side == 'l' ? told->left : told->right)[writer][pair] = item_number(record->new_image);
}

static inline enum err told_evaluate(struct task *task, struct reader *reader,
                                     struct changes *changes)
{
    struct told *told = (struct told *)task;
    struct log_read read = {
        .after = told->started ? told->after : reader_stream_trim(reader, told->stream),
        .hash_high = UINT64_MAX,
        .records_max = 500,
        .bytes_max = 1u << 20,
        .arena = reader->arena,
    };
    (void)changes;
    TRY(reader_stream(reader, told->stream, &read));
    for (size_t i = 0; i < read.count; i++) {
        struct stream_record record;
        TRY(stream_record_decode(told->stream, &read.records[i], &record));
        CHECK(read.records[i].count == 2);
        told->halves++;
        tell(told, &record);
    }
    told->after = read.reached;
    told->at_end = read.at_end;
    told->started = true;
    return OK;
}

static inline void told_done(struct task *task, enum err err)
{
    struct told *told = (struct told *)task;
    told->err = err;
    told->seat->pending--;
}

static inline void read_stream(struct seat *seat, struct told *told)
{
    told->seat = seat;
    told->task.evaluate = told_evaluate;
    told->task.done = told_done;
    while (!told->at_end && told->err == OK) {
        arena_init(&told->arena, 0);
        told->task.arena = &told->arena;
        seat->pending++;
        store_run(&seat->lane, &told->task);
        seat_finish(seat);
        arena_fini(&told->arena);
    }
    CHECK(told->err == OK);
}

static inline void check_pair(struct seat *seat, struct shared *shared, const struct told *told,
                              unsigned writer, unsigned pair)
{
    char key[16];
    pair_key(key, "l", writer, pair);
    int64_t left = get(seat, "t", key);
    pair_key(key, "r", writer, pair);
    int64_t right = get(seat, "t", key);
    left = left < 0 ? 0 : left;
    right = right < 0 ? 0 : right;
    CHECK(left == right);
    CHECK(left >= atomic_load(&shared->acked[writer][pair]));
    CHECK(told->left[writer][pair] == left && told->right[writer][pair] == right);
    atomic_store(&shared->acked[writer][pair], left); /* it was seen, so it must stay */
}

/* `headwater log verify`: every frame from the first on follows the one before it. */
static inline void check_log(const struct world *world)
{
    struct log_report report;
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/log", world->options.data);
    if (log_scan(path, NULL, NULL, &report) != OK) {
        printf("log verify: %s at %llu: %s\n", report.file, (unsigned long long)report.offset,
               report.reason);
        CHECK(false);
    }
}

/* The table may not have been made yet: then nothing was acknowledged. */
static inline void look_at_pairs(struct world *world, struct shared *shared)
{
    struct seat seat;
    struct told *told = mem_zalloc(1, sizeof(*told));
    seat_init(&seat, world->store);
    const struct catalogue *catalogue = store_catalogue_pin(world->store);
    told->stream = catalogue_next_stream(catalogue, BYTES_NONE, BYTES("t"));
    if (told->stream == NULL) {
        CHECK(newest_acked(shared) == 0);
    } else {
        read_stream(&seat, told);
        CHECK(told->halves % 2 == 0);
        for (unsigned i = 0; i < WRITERS * PAIRS; i++) {
            check_pair(&seat, shared, told, i / PAIRS, i % PAIRS);
        }
    }
    store_catalogue_unpin(world->store, catalogue);
    seat_fini(&seat);
    mem_free(told);
}

static inline void check_pairs(struct world *world, struct shared *shared)
{
    world_open(world);
    look_at_pairs(world, shared);
    world_close(world);
    check_log(world);
}

#endif
