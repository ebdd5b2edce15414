/* From acknowledgement to event: how long after a write was answered a follower in the process has
 * its record in hand. One thread writes, so many writes in flight; another follows the table. An
 * event may come before its writer has the answer: that counts as no time at all, and is told.
 *
 *   follow-bench DIR [writes of each phase]
 *
 * The data directory is made under DIR and removed by the caller. Exits 1 when the median is not
 * under half a millisecond. */
#include "base/mem.h"
#include "client/follow.h"
#include "lib/hist.h"
#include "op/shapes.h"
#include "sys/clock.h"
#include "sys/thread.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define TABLE BYTES("bench")
#define KEYS 1000u
#define IN_FLIGHT_MAX 64u
#define MEDIAN_NS_MAX 500000u

struct write {
    struct op_call call; /* first */
    struct arena arena;
    struct writer *writer;
    uint64_t number;
};

/* The thread that writes. */
struct writer {
    struct thread thread;
    struct event wake;
    struct mailbox home;
    struct lane lane;
    struct client client;
    struct store *store;
    struct write writes[IN_FLIGHT_MAX];
    size_t in_flight;
    size_t running;
    uint64_t begun;
    uint64_t wanted;
    uint64_t failed;
};

/* Written by the writer when the answer has come; read when all threads have ended. */
static uint64_t *answered_ns;
/* The follower's. */
static uint64_t *handed_ns;
static uint64_t handed;

static void wake_up(void *arg)
{
    event_signal(arg);
}

/* ---- writing ---- */

static void write_done(struct op_call *call);

static void write_next(struct write *write)
{
    struct writer *writer = write->writer;
    static uint8_t body[1000];
    struct item_build build;
    if (writer->begun == writer->wanted) {
        return;
    }
    arena_reset(&write->arena);
    struct put_item_in *in = arena_zalloc(&write->arena, sizeof(*in));
    write->number = writer->begun++;
    item_build_init(&build, &write->arena);
    item_build_s(&build, BYTES("pk"),
                 arena_printf(&write->arena, "%u", (unsigned)(write->number % KEYS)));
    item_build_b(&build, BYTES("body"), bytes_of(body, sizeof(body)));
    item_build_i64(&build, BYTES("number"), (int64_t)write->number);
    in->table_name = TABLE;
    writer->failed += item_build_end(&build, &in->item) != OK;
    write->call =
        (struct op_call){.op = &op_put_item, .arena = &write->arena, .in = in, .done = write_done};
    writer->running++;
    client_start(&writer->client, &write->call);
}

static void write_done(struct op_call *call)
{
    struct write *write = (struct write *)call;
    answered_ns[write->number] = clock_mono_ns();
    write->writer->failed += call->fault.code != FAULT_NONE;
    write->writer->running--;
    write_next(write);
}

static void write_all(void *arg)
{
    struct writer *writer = arg;
    lane_init(&writer->lane, writer->store, &writer->home);
    client_init_local(&writer->client, &writer->lane);
    for (size_t i = 0; i < writer->in_flight; i++) {
        writer->writes[i].writer = writer;
        arena_init(&writer->writes[i].arena, 0);
        write_next(&writer->writes[i]);
    }
    while (writer->running > 0) {
        lane_flush(&writer->lane);
        if (mailbox_run(&writer->home) == 0) {
            event_wait(&writer->wake, -1);
        }
    }
    for (size_t i = 0; i < writer->in_flight; i++) {
        arena_fini(&writer->writes[i].arena);
    }
    lane_fini(&writer->lane);
}

/* ---- following ---- */

static void take_events(void *arg, const struct follow_event *events, size_t count)
{
    uint64_t now = clock_mono_ns();
    (void)arg;
    for (size_t i = 0; i < count; i++) {
        struct value value;
        int64_t number = 0;
        if (item_get(events[i].record.new_image, BYTES("number"), &value) &&
            value_i64(value, &number)) {
            handed_ns[number] = now;
            handed++;
        }
    }
}

static void follow_ended(void *arg, enum err err)
{
    (void)arg;
    fprintf(stderr, "the follower ended: %s\n", err_text(err));
    exit(1);
}

/* ---- one phase ---- */

static bool report(size_t in_flight, uint64_t count, uint64_t ns)
{
    struct hist hist;
    uint64_t early = 0;
    hist_init(&hist, 100, 60000000000u, 3);
    for (uint64_t i = 0; i < count; i++) {
        bool before = handed_ns[i] <= answered_ns[i];
        early += before;
        hist_record(&hist, before ? 0 : handed_ns[i] - answered_ns[i]);
    }
    uint64_t median = hist_percentile(&hist, 50);
    printf("%2zu in flight %8.0f writes/s  answer to event: p50 %6.1f us  p90 %6.1f  p99 %7.1f  "
           "max %8.1f  before the answer %4.1f %%\n",
           in_flight, (double)count * 1e9 / (double)ns, (double)median / 1000,
           (double)hist_percentile(&hist, 90) / 1000, (double)hist_percentile(&hist, 99) / 1000,
           (double)hist.most / 1000, 100.0 * (double)early / (double)count);
    hist_fini(&hist);
    return median < MEDIAN_NS_MAX;
}

static bool run(struct store *store, size_t in_flight, uint64_t count)
{
    struct event wake;
    struct mailbox home;
    struct lane lane;
    struct client client;
    struct follow *follow = NULL;
    struct writer *writer = mem_zalloc(1, sizeof(*writer));
    const struct follow_options options = {
        .table_name = TABLE, .start = FOLLOW_LATEST, .events = take_events, .ended = follow_ended};
    *writer = (struct writer){.store = store, .in_flight = in_flight, .wanted = count};
    handed = 0;
    event_init(&wake);
    mailbox_init(&home, wake_up, &wake);
    lane_init(&lane, store, &home);
    client_init_local(&client, &lane);
    event_init(&writer->wake);
    mailbox_init(&writer->home, wake_up, &writer->wake);
    uint64_t begun = clock_mono_ns();
    bool ok = follow_open(&client, &options, &follow) == OK;
    if (ok) {
        thread_start(&writer->thread, ROLE_LOOP, "writer", write_all, writer);
    }
    while (ok && handed < count) {
        lane_flush(&lane);
        if (mailbox_run(&home) == 0) {
            event_wait(&wake, 1000);
        }
    }
    uint64_t ended = clock_mono_ns();
    follow_close(follow);
    if (ok) {
        thread_join(&writer->thread);
    }
    while (lane.in_flight > 0) {
        lane_flush(&lane);
        mailbox_run(&home);
    }
    ok = ok && writer->failed == 0 && report(in_flight, count, ended - begun);
    event_fini(&writer->wake);
    mem_free(writer);
    lane_fini(&lane);
    event_fini(&wake);
    return ok;
}

int main(int argc, char **argv)
{
    struct store *store = NULL;
    struct store_report opened;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 20000;
    if (argc < 2 || count == 0) {
        fprintf(stderr, "usage: follow-bench DIR [writes of each phase]\n");
        return 2;
    }
    const struct store_options options = {
        .data = argv[1], .region = BYTES("us-east-1"), .account = BYTES("000000000000")};
    const struct table_definition definition = {
        .name = TABLE, .schema = {.partition = {BYTES("pk"), VALUE_S}}, .view = STREAM_NEW_AND_OLD};
    if (store_open(&options, &store, &opened) != OK ||
        store_ensure_table(store, &definition) != OK) {
        fprintf(stderr, "%s: %s\n", opened.log.file, opened.log.reason);
        return 1;
    }
    answered_ns = mem_zalloc(count, sizeof(*answered_ns));
    handed_ns = mem_zalloc(count, sizeof(*handed_ns));
    bool ok = run(store, 1, count / 10 + 1) && run(store, 16, count) && run(store, 64, count);
    mem_free(answered_ns);
    mem_free(handed_ns);
    return store_close(store) == OK && ok ? 0 : 1;
}
