/* /metrics: Prometheus text. Every row of the tables below is one metric; figures are read while
 * threads go on, so they are each exact and together approximate. */
#include "server/server.h"
#include "sys/clock.h"
#include "sys/process.h"

struct metric {
    const char *name;
    const char *type;
    const char *help;
    size_t offset;
};

#define STORE(name, type, field, help)                                                             \
    {                                                                                              \
        name, type, help, offsetof(struct store_figures, field)                                    \
    }
static const struct metric store_metrics[] = {
    STORE("headwater_commits_total", "counter", commits,
          "Commits: writes, transactions, catalogue changes"),
    STORE("headwater_commit_groups_total", "counter", groups,
          "Groups of commits, one frame and one sync each"),
    STORE("headwater_proposals_total", "counter", proposals, "Changes proposed to the committer"),
    STORE("headwater_evaluations_repeated_total", "counter", repeated,
          "Proposals evaluated again on the committer"),
    STORE("headwater_evaluations_sent_back_total", "counter", sent_back,
          "Proposals sent back for a cold read"),
    STORE("headwater_throttled_total", "counter", throttled, "Writes refused by admission"),
    STORE("headwater_slowed_total", "counter", slowed, "Groups that admission made wait a little"),
    STORE("headwater_disk_free_bytes", "gauge", space.left, "Free space of the data directory"),
    STORE("headwater_disk_reserve_bytes", "gauge", space.reserve,
          "With less free space writes are refused"),
    STORE("headwater_view_compaction_waits_total", "counter", compaction_waits,
          "Attempts of compactions that ended for want of free space"),
    STORE("headwater_commit_queue", "gauge", queue_now, "Proposals waiting for the committer"),
    STORE("headwater_commit_queue_max", "gauge", queue_max, "Most proposals that ever waited"),
    STORE("headwater_items_expired_total", "counter", expired, "Items deleted as their time came"),
    STORE("headwater_durable_commit", "gauge", durable, "Newest commit that is synced"),
    STORE("headwater_visible_commit", "gauge", visible, "Newest commit that is shown"),
    STORE("headwater_flushed_commit", "gauge", flushed, "Newest commit in the view's files"),
    STORE("headwater_unflushed_bytes", "gauge", unflushed_bytes,
          "Log that a kill would replay, and 512 bytes for each record"),
    STORE("headwater_view_reads_incomplete_total", "counter", cache_only_incomplete,
          "Cache-only reads that met a cold block"),
    STORE("headwater_view_worker_reads_total", "counter", worker_reads,
          "Evaluations on read workers"),
    STORE("headwater_view_batch_ns_total", "counter", view_batch_ns_total,
          "Time in the view's write batches"),
    STORE("headwater_view_flushes_total", "counter", flushes, "Flushes of the view"),
    STORE("headwater_view_flush_ns_total", "counter", flush_ns_total,
          "Time in flushes of the view"),
    STORE("headwater_view_background_errors", "gauge", background_errors,
          "RocksDB's own count; anything but 0 ends the process"),
    STORE("headwater_log_frames_total", "counter", log.frames, "Frames written"),
    STORE("headwater_log_records_total", "counter", log.records, "Records written"),
    STORE("headwater_log_bytes_total", "counter", log.bytes, "Bytes of frames written"),
    STORE("headwater_log_syncs_total", "counter", log.syncs, "Syncs of frames"),
    STORE("headwater_log_sync_ns_total", "counter", log.sync_ns_total, "Time in syncs"),
    STORE("headwater_log_sync_ns_max", "gauge", log.sync_ns_max, "Longest sync"),
    STORE("headwater_log_write_ns_total", "counter", log.write_ns_total,
          "Time in writes of frames"),
    STORE("headwater_log_segments", "gauge", log.segments, "Segments held"),
    STORE("headwater_log_disk_bytes", "gauge", log.disk_bytes, "Bytes of all segment files"),
    STORE("headwater_log_budget_bytes", "gauge", log.budget_bytes,
          "--log-budget, which they do not pass; 0: none"),
    STORE("headwater_log_segments_ready", "gauge", log.segments_ready, "Segments filled ahead"),
    STORE("headwater_log_cleanings_total", "counter", log.cleanings,
          "Files written by the cleaner in place of segments"),
    STORE("headwater_log_cleaned_bytes_total", "counter", log.cleaned_bytes,
          "Disk space that the cleaner gave back"),
    STORE("headwater_log_kept_bytes_total", "counter", log.kept_bytes,
          "Bytes written by the cleaner"),
    STORE("headwater_stream_tail_bytes", "gauge", log.tail_bytes, "Newest records kept in memory"),
    STORE("headwater_stream_tail_first_commit", "gauge", log.tail_first_commit,
          "Oldest commit in memory"),
};

#define SCRUB(name, type, field, help)                                                             \
    {                                                                                              \
        name, type, help, offsetof(struct store_scrub, field)                                      \
    }
static const struct metric scrub_metrics[] = {
    SCRUB("headwater_scrub_running", "gauge", running, "1 while log and view are read and checked"),
    SCRUB("headwater_scrub_passes_total", "counter", passes, "Passes that came to their end"),
    SCRUB("headwater_scrub_start_seconds", "gauge", started_s,
          "When the newest pass began, since 1970; 0: none did"),
    SCRUB("headwater_scrub_end_seconds", "gauge", ended_s,
          "When the newest one that ended did, since 1970; 0: none did"),
    SCRUB("headwater_scrub_bytes", "gauge", bytes, "Read in the newest pass"),
    SCRUB("headwater_scrub_bytes_all", "gauge", bytes_all, "That the newest pass has to read"),
    SCRUB("headwater_scrub_records", "gauge", records, "Records of the log in the newest pass"),
    SCRUB("headwater_scrub_rows", "gauge", rows,
          "Rows of the view compared with the log in the newest pass"),
    SCRUB("headwater_scrub_damages", "gauge", damages,
          "Damages found in the newest pass: scrub.damaged in the log names them"),
    SCRUB("headwater_scrub_damages_total", "counter", damages_total,
          "Damages found, in every pass again"),
};

#define LOOP(name, type, field, help)                                                              \
    {                                                                                              \
        name, type, help, offsetof(struct loop_figures, field)                                     \
    }
static const struct metric loop_metrics[] = {
    LOOP("headwater_connections", "gauge", connections, "Open connections"),
    LOOP("headwater_connections_total", "counter", connections_total, "Connections accepted"),
    LOOP("headwater_http_requests_total", "counter", requests, "Requests of every face"),
    LOOP("headwater_http_refused_total", "counter", refused,
         "Requests and connections refused by a limit or as malformed"),
    LOOP("headwater_http_bytes_in_total", "counter", bytes_in, "Bytes received"),
    LOOP("headwater_http_bytes_out_total", "counter", bytes_out, "Bytes sent"),
    LOOP("headwater_connections_refused_total", "counter", connections_refused,
         "Connections past the limit of all or of one address"),
    LOOP("headwater_http_slow_closed_total", "counter", slow_closed,
         "Connections closed because they took their answers too slowly"),
    LOOP("headwater_http_unsent_bytes", "gauge", unsent, "Answers that wait for their readers"),
    LOOP("headwater_websockets", "gauge", ws_open, "Open WebSockets"),
    LOOP("headwater_tls_handshakes_total", "counter", tls_handshakes, "TLS connections made"),
    LOOP("headwater_tls_failed_total", "counter", tls_failed,
         "Connections that did not speak TLS as they must"),
};

#define CHAT(name, type, field, help)                                                              \
    {                                                                                              \
        name, type, help, offsetof(struct chat_figures, field)                                     \
    }
static const struct metric chat_metrics[] = {
    CHAT("headwater_chat_messages_total", "counter", messages, "Messages appended"),
    CHAT("headwater_chat_replays_total", "counter", replays,
         "Sends answered from their idempotency key"),
    CHAT("headwater_chat_conflicts_total", "counter", conflicts,
         "Appends repeated because the conversation had moved on"),
    CHAT("headwater_chat_events_total", "counter", events, "Events taken from the stream"),
    CHAT("headwater_chat_deliveries_total", "counter", deliveries, "Events sent to sockets"),
    CHAT("headwater_chat_gaps_total", "counter", gaps, "Gaps filled from the table"),
    CHAT("headwater_chat_sockets", "gauge", sockets, "Authenticated sockets"),
};

static void write_all(struct buf *out, const struct metric *metrics, size_t count,
                      const void *figures);
static void write_one(struct buf *out, const char *name, const char *type, const char *help,
                      uint64_t value);
static void write_operations(struct server *server, struct buf *out);
static void write_operation_histogram(struct server *server, struct buf *out, size_t op);
static void write_sync_histogram(struct buf *out, const struct log_figures *log);
static uint64_t sum_loops(struct server *server, size_t op, size_t field);

void metrics_write(struct server *server, struct buf *out)
{
    struct store_figures store;
    struct store_scrub scrub;
    struct loop_figures loops = {0};
    struct chat_figures chat;
    store_figures(server->store, &store);
    chat_figures(server->chat, &chat);
    for (unsigned i = 0; i < server->loop_count; i++) {
        struct loop_figures one;
        loop_figures(server->loops[i].loop, &one);
        for (size_t j = 0; j < sizeof(loop_metrics) / sizeof(loop_metrics[0]); j++) {
            uint64_t value;
            uint64_t sum;
            memcpy(&value, (const char *)&one + loop_metrics[j].offset, sizeof(value));
            memcpy(&sum, (const char *)&loops + loop_metrics[j].offset, sizeof(sum));
            sum += value;
            memcpy((char *)&loops + loop_metrics[j].offset, &sum, sizeof(sum));
        }
    }
    write_all(out, store_metrics, sizeof(store_metrics) / sizeof(store_metrics[0]), &store);
    store_scrub_state(server->store, &scrub);
    write_all(out, scrub_metrics, sizeof(scrub_metrics) / sizeof(scrub_metrics[0]), &scrub);
    write_all(out, loop_metrics, sizeof(loop_metrics) / sizeof(loop_metrics[0]), &loops);
    write_all(out, chat_metrics, sizeof(chat_metrics) / sizeof(chat_metrics[0]), &chat);
    uint64_t refused = 0;
    for (unsigned i = 0; i < server->loop_count; i++) {
        refused += atomic_load_explicit(&server->loops[i].refused_signatures, memory_order_relaxed);
    }
    write_one(out, "headwater_signatures_refused_total", "counter",
              "Calls refused before they were decoded", refused);
    write_one(out, "headwater_resident_bytes", "gauge", "Resident memory",
              process_resident_bytes());
    write_one(out, "headwater_cpu_us_total", "counter", "Processor time of all threads",
              process_cpu_us());
    write_one(out, "headwater_tls_certificate_end_seconds", "gauge",
              "When the certificate ends, since 1970; 0 without TLS",
              atomic_load_explicit(&server->tls_ends_s, memory_order_relaxed));
    write_one(out, "headwater_uptime_ms", "gauge", "Since ready",
              (clock_mono_ns() - server->started_ns) / 1000000);
    write_one(out, "headwater_replayed_bytes", "gauge", "Log bytes replayed at this start",
              server->report.replayed_bytes);
    write_sync_histogram(out, &store.log);
    write_operations(server, out);
}

static void write_all(struct buf *out, const struct metric *metrics, size_t count,
                      const void *figures)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value;
        memcpy(&value, (const char *)figures + metrics[i].offset, sizeof(value));
        write_one(out, metrics[i].name, metrics[i].type, metrics[i].help, value);
    }
}

static void write_one(struct buf *out, const char *name, const char *type, const char *help,
                      uint64_t value)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", name, help, name, type, name,
               (unsigned long long)value);
}

static void write_sync_histogram(struct buf *out, const struct log_figures *log)
{
    uint64_t sum = 0;
    buf_printf(out, "# HELP headwater_log_sync_seconds Time of one sync\n# TYPE "
                    "headwater_log_sync_seconds histogram\n");
    for (unsigned i = 0; i < 32; i++) {
        sum += log->sync_histogram[i];
        buf_printf(out, "headwater_log_sync_seconds_bucket{le=\"%g\"} %llu\n",
                   (double)(1ull << i) / 1e6, (unsigned long long)sum);
    }
    buf_printf(out, "headwater_log_sync_seconds_bucket{le=\"+Inf\"} %llu\n",
               (unsigned long long)sum);
    buf_printf(out, "headwater_log_sync_seconds_sum %g\nheadwater_log_sync_seconds_count %llu\n",
               (double)log->sync_ns_total / 1e9, (unsigned long long)sum);
}

static void write_operations(struct server *server, struct buf *out)
{
    static const struct {
        const char *name;
        const char *help;
        size_t offset;
    } rows[] = {
        {"headwater_operation_requests_total", "Calls of this operation",
         offsetof(struct op_figures, requests)},
        {"headwater_operation_faults_total", "Calls answered with a fault of the caller's",
         offsetof(struct op_figures, faults)},
        {"headwater_operation_errors_total", "Calls answered with an error of ours",
         offsetof(struct op_figures, errors)},
    };
    for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
        buf_printf(out, "# HELP %s %s\n# TYPE %s counter\n", rows[row].name, rows[row].help,
                   rows[row].name);
        for (size_t op = 0; op < op_list_count; op++) {
            buf_printf(out, "%s{operation=\"%s\"} %llu\n", rows[row].name, op_list[op]->name,
                       (unsigned long long)sum_loops(server, op, rows[row].offset));
        }
    }
    buf_printf(out, "# HELP headwater_operation_seconds From a request's last byte to its answer\n"
                    "# TYPE headwater_operation_seconds histogram\n");
    for (size_t op = 0; op < op_list_count; op++) {
        write_operation_histogram(server, out, op);
    }
}

/* The last bucket takes what is above all bounds, so its only bound is +Inf. */
static void write_operation_histogram(struct server *server, struct buf *out, size_t op)
{
    const char *name = op_list[op]->name;
    uint64_t sum = 0;
    for (size_t i = 0; i < SERVER_BUCKETS; i++) {
        sum += sum_loops(server, op,
                         offsetof(struct op_figures, buckets) + i * sizeof(_Atomic uint64_t));
        buf_printf(out, "headwater_operation_seconds_bucket{operation=\"%s\",le=\"", name);
        if (i + 1 < SERVER_BUCKETS) {
            buf_printf(out, "%g", (double)(1ull << i) / 1e6);
        } else {
            buf_add_cstr(out, "+Inf");
        }
        buf_printf(out, "\"} %llu\n", (unsigned long long)sum);
    }
    double seconds = (double)sum_loops(server, op, offsetof(struct op_figures, time_ns)) / 1e9;
    buf_printf(out,
               "headwater_operation_seconds_sum{operation=\"%s\"} %.9g\n"
               "headwater_operation_seconds_count{operation=\"%s\"} %llu\n",
               name, seconds, name, (unsigned long long)sum);
}

static uint64_t sum_loops(struct server *server, size_t op, size_t field)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < server->loop_count; i++) {
        const char *figures =
            (const char *)&server->loops[i].ops[op < SERVER_OPS_MAX ? op : SERVER_OPS_MAX - 1];
        const void *place = figures + field;
        sum += atomic_load_explicit((const _Atomic uint64_t *)place, memory_order_relaxed);
    }
    return sum;
}
