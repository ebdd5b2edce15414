/* `headwater serve`: opens the store, makes keys and reserved tables, starts the loops, says where
 * it listens, waits for a signal, drains and stops (server I3, I5). Exit status is DESIGN section
 * 7's (server I7). */
#include "base/ending.h"
#include "base/mem.h"
#include "base/note.h"
#include "client/follow.h"
#include "server/server.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/library_end.h"
#include "sys/process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_BYTES_MAX (48u << 20) /* 4 MB of items may be nine times that as JSON */
#define LOOP_UNSENT_LEAST (40u << 20)
#define BODY_BYTES_MAX (16u << 20)
#define OTHER_BODY_BYTES_MAX (256u << 10) /* the longest message of a chat fits, all escaped */
#define DRAIN_TERM_MS 5000u
#define DRAIN_INT_MS 500u

static bool origins_are_plain(const char *text);
static int serve(struct server *server, struct arena *arena);
static const char *from_root(struct arena *arena, const char *path);
static int wait_for_end(struct server *server);
static void limit_connections(struct config *config);
static int open_store(struct server *server);
static enum exit_status status_of(enum err err);
static const char *open_failure(const struct server *server, enum err err, char *why, size_t room);
static enum err ensure_chat_tables(struct server *server);
static int open_loops(struct server *server, struct managed_set *managed);
static struct http_limits limits_of(const struct config *config, unsigned loops);
static bool split_address(struct server *server, char *why, size_t room);
static void loop_main(void *arg);
static void finish_loop(struct loop_state *state);
static void print_banner(const struct server *server);
static void print_exports(const struct server *server, const char *url);
static void add_shell_word(struct buf *out, struct bytes text);
static void write_url_file(const struct server *server, const char *url);
static void fatal(enum exit_status status, const char *file, const char *reason);
static void library_ended(const char *reason);
static bool is_loopback(const char *host);

int command_serve(int argc, char **argv)
{
    static struct server server;
    struct arena arena;
    char why[512];
    arena_init(&arena, 0);
    library_end_call(library_ended);
    enum err err = config_load(argc, argv, &arena, &server.config, why, sizeof(why));
    if (err == ERR_NOMEM) {
        ending_tell(EXIT_FAILED, "the options", strerrordesc_np(ENOMEM));
        return EXIT_FAILED;
    }
    if (err != OK) {
        fprintf(stderr, "headwater: %s\nTry: headwater serve --help\n", why);
        return EXIT_USAGE;
    }
    if (!note_level_parse(server.config.log_level, &note_threshold)) {
        fprintf(stderr,
                "headwater: option log-level is '%s': it must be debug, info, warn or error\n"
                "Try: headwater serve --help\n",
                server.config.log_level);
        return EXIT_USAGE;
    }
    if (!origins_are_plain(server.config.cors_origin)) {
        fprintf(stderr,
                "headwater: option cors-origin is '%s': it must be *, none, or origins such as "
                "https://console.example:8443, without a path, separated by commas\n"
                "Try: headwater serve --help\n",
                server.config.cors_origin);
        return EXIT_USAGE;
    }
    int status = serve(&server, &arena);
    arena_fini(&arena);
    return status;
}

/* A browser names an origin as scheme://host[:port], in lower case: what is written otherwise would
 * never be met. */
static bool origins_are_plain(const char *text)
{
    struct bytes list = bytes_cstr(text);
    bool alone = bytes_equal(list, BYTES("*")) || bytes_equal(list, BYTES("none"));
    while (list.len > 0 && !alone) {
        struct bytes one = bytes_cut(&list, ',');
        while (one.len > 0 && one.ptr[0] == ' ') {
            one = bytes_of(one.ptr + 1, one.len - 1);
        }
        size_t scheme = bytes_start_with(one, BYTES("http://"))    ? strlen("http://")
                        : bytes_start_with(one, BYTES("https://")) ? strlen("https://")
                                                                   : one.len;
        bool plain = one.len > scheme;
        for (size_t i = scheme; i < one.len; i++) {
            plain = plain && one.ptr[i] > ' ' && one.ptr[i] < 0x7f && one.ptr[i] != '/' &&
                    one.ptr[i] != '*' && !(one.ptr[i] >= 'A' && one.ptr[i] <= 'Z');
        }
        if (!plain) {
            return false;
        }
    }
    return text[0] != 0;
}

static int serve(struct server *server, struct arena *arena)
{
    char why[512];
    const struct config *config = &server->config;
    process_block_signals();
    limit_connections(&server->config);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    server->config.data = from_root(arena, config->data);
    ending_place(config->data);
#ifdef HW_TEST_HOOKS
    if (config->test_clock[0] != 0) {
        clock_use_file(config->test_clock);
    }
    if (config->test_hold_follower[0] != 0) {
        follow_hold_file(config->test_hold_follower);
    }
#endif
    if (!split_address(server, why, sizeof(why)) || !certificate_open(server, why, sizeof(why))) {
        fprintf(stderr, "headwater: %s\nTry: headwater serve --help\n", why);
        return EXIT_USAGE;
    }
    const char *region = config->region[0] != 0 ? config->region : process_variable("AWS_REGION");
    region = region != NULL && region[0] != 0 ? region : process_variable("AWS_DEFAULT_REGION");
    server->region = bytes_cstr(region != NULL && region[0] != 0 ? region : "us-east-1");
    server->region_fixed = config->region[0] != 0;
    int status = open_store(server);
    if (status != EXIT_CLEAN) {
        return status;
    }
    struct managed_set *managed = NULL;
    enum err keys =
        keys_load(config->data, config->credentials, arena, &server->keys, why, sizeof(why));
    keys = keys != OK ? keys
                      : managed_open(&server->changes.file, config->data, config->master_key,
                                     &managed, why, sizeof(why));
    if (keys != OK) {
        bool wrong = keys == ERR_INVALID || keys == ERR_RANGE || keys == ERR_NOT_FOUND;
        status = wrong ? EXIT_USAGE : (int)status_of(keys);
        ending_tell((enum exit_status)status,
                    status == EXIT_DAMAGED ? "damaged data" : "access keys", why);
    } else {
        status = open_loops(server, managed);
    }
    if (status == EXIT_CLEAN) {
        server->started_ns = clock_mono_ns();
        print_banner(server);
        int number = wait_for_end(server);
        atomic_store_explicit(&server->draining, true, memory_order_relaxed);
        NOTE(NOTE_INFO, "server.stopping", NOTE_I("signal", number));
        for (unsigned i = 0; i < server->loop_count; i++) {
            loop_stop(server->loops[i].loop, number == SIGINT ? DRAIN_INT_MS : DRAIN_TERM_MS);
        }
        for (unsigned i = 0; i < server->loop_count; i++) {
            thread_join(&server->loops[i].thread);
        }
    }
    for (unsigned i = 0; i < server->loop_count; i++) {
        finish_loop(&server->loops[i]);
    }
    managed_set_free_all(server->loop_count > 0 ? server->loops[0].managed : managed);
    mem_free(server->loops);
    tls_close(server->tls);
    chat_close(server->chat);
    struct bytes url = arena_printf(arena, "%s/url", config->data);
    IGNORE(file_remove((const char *)url.ptr));
    enum err closed = store_close(server->store);
    if (closed != OK) {
        NOTE(NOTE_ERROR, "store.close", NOTE_S("error", err_text(closed)));
        ending_tell(EXIT_DISK, config->data, file_reason(closed));
        return EXIT_DISK;
    }
    if (status == EXIT_CLEAN) {
        NOTE(NOTE_INFO, "server.stopped");
    }
    return status;
}

/* So that a message names a file that is found from everywhere. */
static const char *from_root(struct arena *arena, const char *path)
{
    char here[4096];
    if (path[0] == '/' || file_absolute(".", here, sizeof(here)) != OK) {
        return path;
    }
    struct bytes whole =
        arena_printf(arena, "%s/%s", here, path + (strncmp(path, "./", 2) == 0 ? 2 : 0));
    return whole.ptr != NULL ? (const char *)whole.ptr : path;
}

/* A SIGHUP asks for the certificate to be read again, which is done now and then anyway; without
 * TLS it ends the server, too. */
static int wait_for_end(struct server *server)
{
    if (server->tls == NULL) {
        return process_wait_signal(-1);
    }
    int number = 0;
    while (number == 0 || number == SIGHUP) {
        number = process_wait_signal((int64_t)server->config.tls_renew_ms);
        if (number == 0 || number == SIGHUP) {
            certificate_renew(server);
        }
    }
    return number;
}

/* Peers get half of the descriptors at most. A view that cannot open a file must end the process,
 * and no crowd of strangers may bring that about. */
static void limit_connections(struct config *config)
{
    uint64_t files = process_raise_file_limit();
    uint64_t share = files / 2;
    uint64_t most = share > 2 * HTTP_LINGERERS_MAX ? share - HTTP_LINGERERS_MAX : share / 2;
    if (files > 0 && most < config->connections_max) {
        config->connections_max = most > 0 ? most : 1;
        NOTE(NOTE_WARN, "server.connections", NOTE_U("open_files_max", files),
             NOTE_U("connections_max", config->connections_max));
    }
}

static int open_store(struct server *server)
{
    const struct config *config = &server->config;
    struct store_options options = {
        .data = config->data,
        .region = server->region,
        .account = BYTES("000000000000"),
        .memory_bytes = config->memory_bytes,
        .segment_bytes = config->segment_bytes,
        .memtable_bytes = config->memtable_bytes,
        .cache_bytes = config->cache_bytes,
        .flush_bytes = config->flush_bytes,
        .throttle_bytes = config->throttle_bytes,
        .tail_bytes = config->tail_bytes,
        .log_budget = config->log_budget,
        .scrub_bytes_per_second = config->scrub_bytes_per_second,
        .scrub_interval_ms = config->scrub_interval_ms,
        .read_workers = (unsigned)config->read_workers,
        .retention_ms = config->retention_ms,
    };
#ifdef HW_TEST_HOOKS
    options.repeat_evaluation = config->test_repeat_evaluation;
#endif
    char what[ENDING_FILE_MAX + 256];
    char why[ENDING_REASON_MAX];
    uint64_t begun = clock_mono_ns();
    store_on_fatal(fatal);
    enum err err = store_open(&options, &server->store, &server->report);
    const struct store_report *report = &server->report;
    switch (err) {
    case OK:
        NOTE(NOTE_INFO, "store.open", NOTE_U("ms", (clock_mono_ns() - begun) / 1000000),
             NOTE_U("last_commit", report->log.last_commit),
             NOTE_U("view_commit", report->view_commit),
             NOTE_U("replayed_commits", report->replayed_commits),
             NOTE_U("replayed_bytes", report->replayed_bytes),
             NOTE_U("segments", report->log.segments), NOTE_U("clean_stop", report->log.clean_stop),
             NOTE_U("torn_end", report->log.torn_end));
        return EXIT_CLEAN;
    case ERR_BUSY:
        snprintf(what, sizeof(what), "the data directory %s is in use", config->data);
        snprintf(server->report.log.reason, sizeof(server->report.log.reason), "%s",
                 report->directory_holder);
        break;
    case ERR_DAMAGED:
        snprintf(what, sizeof(what), "damaged data: %s at offset %llu", report->log.file,
                 (unsigned long long)report->log.offset);
        if (report->log.file[0] == 0) { /* RocksDB's words name it */
            snprintf(what, sizeof(what), "damaged data: %s/view", config->data);
        }
        break;
    default:
        snprintf(what, sizeof(what), "cannot open the data directory %s", config->data);
        break;
    }
    ending_tell(status_of(err), what, open_failure(server, err, why, sizeof(why)));
    return (int)status_of(err);
}

static enum exit_status status_of(enum err err)
{
    return err == ERR_DAMAGED                 ? EXIT_DAMAGED
           : err == ERR_IO || err == ERR_FULL ? EXIT_DISK
           : err == ERR_BUSY                  ? EXIT_IN_USE
                                              : EXIT_FAILED;
}

/* Which file, and why: the report's words, else those of a system call or of RocksDB. */
static const char *open_failure(const struct server *server, enum err err, char *why, size_t room)
{
    if (server->report.log.reason[0] != 0) {
        return server->report.log.reason;
    }
    snprintf(why, room, "%s", file_reason(err));
    if (err == ERR_DAMAGED || (err == ERR_IO && file_failure()[0] == 0)) {
        store_view_failure(why, room);
    }
    return why;
}

static enum err ensure_chat_tables(struct server *server)
{
    for (size_t i = 0; i < chat_table_count; i++) {
        const struct table_definition definition = {
            .name = bytes_cstr(chat_tables[i].name),
            .schema = {{BYTES("pk"), VALUE_S}, {BYTES("sk"), VALUE_S}},
            .view = !chat_tables[i].stream      ? (enum stream_view)0
                    : chat_tables[i].old_images ? STREAM_NEW_AND_OLD
                                                : STREAM_NEW_IMAGE,
        };
        TRY(store_ensure_table(server->store, &definition));
    }
    return OK;
}

/* Everything a loop needs, then the sockets, then the threads: nothing is served before all of it
 * stands. */
static int open_loops(struct server *server, struct managed_set *managed)
{
    const struct config *config = &server->config;
    const struct chat_options chat_options = {.origins = bytes_cstr(config->chat_origins),
                                              .ping_ms = (uint32_t)config->ping_ms};
    char what[ENDING_FILE_MAX + 256];
    char why[ENDING_REASON_MAX];
    unsigned count = config->loops == 0 ? thread_cpu_count() : (unsigned)config->loops;
    const struct http_limits limits = limits_of(config, count);
    enum err err = ensure_chat_tables(server);
    err = err != OK ? err : chat_open(&chat_options, &server->chat);
    if (err == ERR_FULL) {
        struct store_space space = store_space(server->store);
        snprintf(what, sizeof(what),
                 "the first start needs %llu MB of free disk for the data directory %s, which has "
                 "%llu MB",
                 (unsigned long long)(space.reserve >> 20), config->data,
                 (unsigned long long)(space.left >> 20));
        ending_tell(EXIT_DISK, what,
                    "three of --memtable-bytes and two of --segment-bytes are kept free");
        return EXIT_DISK;
    }
    if (err != OK) {
        snprintf(what, sizeof(what), "cannot prepare the chat tables in %s", config->data);
        snprintf(why, sizeof(why), "%s", file_reason(err));
        if (status_of(err) != EXIT_FAILED) {
            store_view_failure(why, sizeof(why)); /* the log's ends the process */
        }
        ending_tell(status_of(err), what, why);
        return (int)status_of(err);
    }
    server->loops = mem_zalloc(count, sizeof(*server->loops));
    server->changes.server = server;
    for (unsigned i = 0; i < count; i++) {
        struct loop_state *state = &server->loops[i];
        struct http_service service;
        state->server = server;
        state->managed = managed;
        dispatch_request_ids(state);
        buf_init(&state->answer, ANSWER_BYTES_MAX);
        buf_init(&state->head, 4096);
        buf_init(&state->unpacked, BODY_BYTES_MAX);
        buf_init(&state->packed, ANSWER_BYTES_MAX);
        state->deflate = deflate_new();
        state->parser = json_parser_new();
        state->signatures = sigv4_context_new();
        dispatch_service(state, &service);
        if (state->parser == NULL || state->signatures == NULL ||
            loop_open(&service, &limits, &state->loop) != OK) {
            ending_tell(EXIT_FAILED, "cannot start a loop", strerrordesc_np(ENOMEM));
            return EXIT_FAILED;
        }
        server->loop_count++;
        lane_init(&state->lane, server->store, loop_mailbox(state->loop));
        client_init_local(&state->client, &state->lane);
        certificate_use(server, state->loop);
        enum err listening = i == 0 ? loop_listen(state->loop, server->host, server->port,
                                                  &server->port, why, sizeof(why))
                                    : loop_listen_shared(state->loop, server->loops[0].loop);
        if (listening != OK) {
            int status = listening == ERR_BUSY      ? EXIT_IN_USE
                         : listening == ERR_INVALID ? EXIT_USAGE
                                                    : EXIT_FAILED;
            snprintf(what, sizeof(what), "cannot listen on %s", config->listen);
            ending_tell((enum exit_status)status, what, why);
            return status;
        }
    }
    for (unsigned i = 0; i < server->loop_count; i++) {
        thread_start(&server->loops[i].thread, ROLE_LOOP, "hw-loop", loop_main, &server->loops[i]);
    }
    return EXIT_CLEAN;
}

/* Unsent answers are bounded loop by loop; each loop has room for the largest. */
static struct http_limits limits_of(const struct config *config, unsigned loops)
{
    uint64_t unsent = config->unsent_bytes_max / loops;
    uint64_t least =
        config->unsent_bytes_max < LOOP_UNSENT_LEAST ? config->unsent_bytes_max : LOOP_UNSENT_LEAST;
    uint64_t most = config->connections_max;
    uint64_t of_peer = config->peer_connections_max;
    return (struct http_limits){
        .body_max = BODY_BYTES_MAX,
        .other_body_max = OTHER_BODY_BYTES_MAX,
        .connections_max = (uint32_t)most,
        .peer_connections_max = (uint32_t)(of_peer > 0 ? of_peer : most - most / 4),
        .head_timeout_ms = (uint32_t)config->head_timeout_ms,
        .body_timeout_ms = (uint32_t)config->head_timeout_ms,
        .idle_timeout_ms = (uint32_t)config->idle_timeout_ms,
        .unauthenticated_bytes_max = 64u << 20,
        .unsent_bytes_max = unsent > least ? unsent : least,
    };
}

static void loop_main(void *arg)
{
    struct loop_state *state = arg;
    enum err err = chat_loop_open(state->server->chat, state->loop, &state->client, &state->chat);
    if (err != OK) {
        fatal(EXIT_FAILED, "cannot follow the chat stream", file_reason(err));
    }
    loop_run(state->loop);
    chat_stop(state->server->chat);
    /* Peers have gone; what they asked for still comes home and ends there. */
    while (state->lane.in_flight > 0 || chat_in_flight(state->chat) > 0 ||
           key_calls_pending(state->server)) {
        lane_flush(&state->lane);
        if (mailbox_run(loop_mailbox(state->loop)) == 0) {
            thread_pause_ms(1);
        }
    }
    chat_loop_close(state->chat);
}

static void finish_loop(struct loop_state *state)
{
    loop_close(state->loop);
    lane_fini(&state->lane);
    json_parser_free(state->parser);
    sigv4_context_free(state->signatures);
    deflate_free(state->deflate);
    buf_fini(&state->unpacked);
    buf_fini(&state->packed);
    buf_fini(&state->answer);
    buf_fini(&state->head);
}

/* "host:port" or "[v6]:port". */
static bool split_address(struct server *server, char *why, size_t room)
{
    const char *text = server->config.listen;
    const char *colon = strrchr(text, ':');
    char *end = NULL;
    unsigned long port = colon == NULL ? 65536 : strtoul(colon + 1, &end, 10);
    size_t len = colon == NULL ? 0 : (size_t)(colon - text);
    bool brackets = len > 2 && text[0] == '[' && text[len - 1] == ']';
    if (colon == NULL || colon[1] == 0 || *end != 0 || port > 65535 || len == 0 ||
        len >= sizeof(server->host)) {
        snprintf(why, room, "option listen is '%s': it must be address:port", text);
        return false;
    }
    snprintf(server->host, sizeof(server->host), "%.*s", brackets ? (int)len - 2 : (int)len,
             brackets ? text + 1 : text);
    server->port = (uint16_t)port;
    bool none = strcmp(server->config.auth, "none") == 0;
    if (!none && strcmp(server->config.auth, "sigv4") != 0) {
        snprintf(why, room, "option auth is '%s': it must be sigv4 or none", server->config.auth);
        return false;
    }
    server->unsigned_calls = none;
    bool sealed = server->config.tls_cert[0] != 0;
    if (!is_loopback(server->host) && (none || !(sealed || server->config.allow_plaintext))) {
        snprintf(
            why, room, "%s is not a loopback address: %s", server->host,
            none ? "--auth=none is for loopback only"
                 : "listening beyond loopback needs --tls-cert and --tls-key, or --allow-plaintext "
                   "to do so without TLS");
        return false;
    }
    return true;
}

static bool is_loopback(const char *host)
{
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 ||
           strcmp(host, "localhost") == 0;
}

/* What a person needs next, on standard output; programs wait for the last line or for DATA/url. */
static void print_banner(const struct server *server)
{
    bool v6 = strchr(server->host, ':') != NULL;
    char url[128];
    snprintf(url, sizeof(url), "http%s://%s%s%s:%u", server->tls != NULL ? "s" : "", v6 ? "[" : "",
             server->host, v6 ? "]" : "", server->port);
    printf("Headwater " HW_VERSION " is ready.\n  chat page      %s/\n  endpoint       %s%s\n", url,
           url, server->unsigned_calls ? " (calls need no signature: --auth=none)" : "");
    if (!server->unsigned_calls) {
        print_exports(server, url);
    }
    write_url_file(server, url);
    printf("listening url=%s\n", url);
    fflush(stdout);
}

/* Lines to paste into a shell, with the key's file and never the key. */
static void print_exports(const struct server *server, const char *url)
{
    char absolute[4096];
    const char *path = file_absolute(server->keys.path, absolute, sizeof(absolute)) == OK
                           ? absolute
                           : server->keys.path;
    struct buf word;
    struct buf region;
    buf_init(&word, 32u << 10);
    buf_init(&region, 32u << 10);
    add_shell_word(&word, bytes_cstr(path));
    add_shell_word(&region, server->region);
    printf("  access key     %s%s\n\n"
           "To use it from an AWS SDK or the AWS CLI:\n"
           "  export AWS_SHARED_CREDENTIALS_FILE=%.*s\n"
           "  export AWS_REGION=%.*s AWS_DEFAULT_REGION=%.*s\n"
           "  aws dynamodb list-tables --endpoint-url %s\n\n",
           path, server->keys.created ? " (made now)" : "", BYTES_FMT(buf_bytes(&word)),
           BYTES_FMT(buf_bytes(&region)), BYTES_FMT(buf_bytes(&region)), url);
    buf_fini(&word);
    buf_fini(&region);
}

/* As a shell reads it back: in quotes, unless it is of plain characters alone. */
static void add_shell_word(struct buf *out, struct bytes text)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-+:@%";
    bool quoted = text.len == 0;
    for (size_t i = 0; i < text.len; i++) {
        quoted |= memchr(plain, text.ptr[i], sizeof(plain) - 1) == NULL;
    }
    buf_add_cstr(out, quoted ? "'" : "");
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\'') {
            buf_add_cstr(out, "'\\''");
        } else {
            buf_add_byte(out, text.ptr[i]);
        }
    }
    buf_add_cstr(out, quoted ? "'" : "");
}

static void write_url_file(const struct server *server, const char *url)
{
    char path[4096];
    char line[160];
    snprintf(path, sizeof(path), "%s/url", server->config.data);
    snprintf(line, sizeof(line), "%s\n", url);
    if (file_write_all(path, bytes_cstr(line), 0644) != OK) {
        NOTE(NOTE_WARN, "server.url_file", NOTE_S("file", path));
    }
}

/* Called on the thread that met it, before anything more is acknowledged. */
static void fatal(enum exit_status status, const char *file, const char *reason)
{
    NOTE(NOTE_ERROR, "server.fatal", NOTE_S("file", file), NOTE_S("reason", reason),
         NOTE_I("status", (int)status));
    ending_tell(status, file, reason);
    process_exit_now((int)status);
}

/* Nothing that is not durable was acknowledged: the next start goes on from the log. */
static void library_ended(const char *reason)
{
    fatal(EXIT_FAILED, "a library (RocksDB) cannot go on", reason);
}
