/* `headwater log verify|dump` and `headwater describe-operations`: reading without a server; what a
 * running one reads itself is cmd_scrub.c's. */
#include "server/server.h"
#include "sys/file.h"
#include "sys/process.h"

#include <stdio.h>
#include <stdlib.h>

struct dump {
    struct buf line;
    uint64_t records;
    uint64_t first; /* commit of the first record; 0: none */
    bool print;
};

static bool take_online(int *argc, char **argv);
static bool hold_directory(const char *data, bool dump_it, int *lock, int *status);
static int tell(const char *path, enum err err, const struct log_report *report,
                const struct dump *dump);
static int cannot_read(const char *path, enum err err, const char *reason);
static int verify_view(const char *data, const struct log_report *log, uint64_t first);
static int verify_credentials(const char *data);
static enum err visit(void *arg, const struct log_record *record);

int command_log(int argc, char **argv)
{
    const char *data = "./data";
    const char *verb = argc > 0 ? argv[0] : "";
    bool dump_it = strcmp(verb, "dump") == 0;
    if (!dump_it && strcmp(verb, "verify") != 0) {
        fprintf(stderr, "headwater: log verify or log dump?\nTry: headwater log --help\n");
        return EXIT_USAGE;
    }
    if (!dump_it && take_online(&argc, argv)) {
        return command_scrub(argc - 1, argv + 1);
    }
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--data") == 0 && i + 1 < argc) {
            data = argv[++i];
        } else if (strncmp(argv[i], "--data=", 7) == 0) {
            data = argv[i] + 7;
        } else {
            fprintf(stderr, "headwater: log %s does not know '%s'\nTry: headwater log --help\n",
                    verb, argv[i]);
            return EXIT_USAGE;
        }
    }
    char path[4096];
    int lock = -1;
    int status = EXIT_FAILED;
    struct log_report report = {0};
    struct dump dump = {.print = dump_it};
    if (!hold_directory(data, dump_it, &lock, &status)) {
        return status;
    }
    process_ignore_broken_pipe();
    snprintf(path, sizeof(path), "%s/log", data);
    buf_init(&dump.line, 256u << 20);
    enum err err = log_scan(path, visit, &dump, &report);
    status = tell(path, err, &report, &dump);
    if (!dump_it && status == EXIT_CLEAN) {
        status = verify_view(data, &report, dump.first);
    }
    if (!dump_it && status == EXIT_CLEAN) {
        status = verify_credentials(data);
    }
    buf_fini(&dump.line);
    IGNORE(file_close(lock)); /* it was only held */
    return status;
}

/* Removes the word, if it is there. */
static bool take_online(int *argc, char **argv)
{
    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], "--online") == 0) {
            memmove(argv + i, argv + i + 1, (size_t)(*argc - i - 1) * sizeof(*argv));
            --*argc;
            return true;
        }
    }
    return false;
}

/* No server may run while the log is read, and none may start. The lock leaves no trace. */
static bool hold_directory(const char *data, bool dump_it, int *lock, int *status)
{
    char path[4096];
    char holder[32] = {0};
    size_t got = 0;
    snprintf(path, sizeof(path), "%s/LOCK", data);
    enum err err = file_open(path, FILE_READ, lock);
    if (err == ERR_NOT_FOUND) {
        return true; /* a copy of a log */
    }
    err = err != OK ? err : file_lock_shared(*lock);
    if (err == ERR_BUSY && file_read(*lock, holder, sizeof(holder) - 1, 0, &got) == OK) {
        fprintf(stderr, "headwater: process %lu runs on %s: stop it first%s\n",
                strtoul(holder, NULL, 10), data,
                dump_it ? "" : ", or let it look itself: headwater log verify --online");
        *status = EXIT_IN_USE;
    } else if (err != OK) {
        *status = cannot_read(path, err, file_reason(err));
    }
    return err == OK;
}

static int cannot_read(const char *path, enum err err, const char *reason)
{
    enum exit_status status = err == ERR_NOMEM ? EXIT_FAILED : EXIT_DISK;
    char what[ENDING_FILE_MAX + 64];
    snprintf(what, sizeof(what), "%s cannot be read", path);
    ending_tell(status, what, reason);
    return (int)status;
}

static int tell(const char *path, enum err err, const struct log_report *report,
                const struct dump *dump)
{
    FILE *out = dump->print ? stderr : stdout;
    if (dump->print && (fflush(stdout) != 0 || ferror(stdout))) {
        bool unread = !process_output_is_open();
        if (!unread) {
            fprintf(stderr, "headwater: standard output cannot be written\n");
        }
        return unread ? EXIT_CLEAN : EXIT_FAILED;
    }
    if (err == ERR_NOT_FOUND) {
        fprintf(stderr, "headwater: there is no log in %s: name its directory with --data\n", path);
        return EXIT_FAILED;
    }
    if (err == ERR_DAMAGED) {
        fprintf(out, "DAMAGED %s at offset %llu: %s\n", report->file,
                (unsigned long long)report->offset, report->reason);
        return EXIT_DAMAGED;
    }
    if (err != OK) {
        return cannot_read(path, err, file_reason(err));
    }
    fprintf(out,
            "whole: %llu segments, %llu frames, %llu commits to number %llu, %llu records, %llu "
            "bytes read%s\n",
            (unsigned long long)report->segments, (unsigned long long)report->frames,
            (unsigned long long)report->commits, (unsigned long long)report->last_commit,
            (unsigned long long)dump->records, (unsigned long long)report->bytes_scanned,
            report->clean_stop ? ", stopped cleanly" : "");
    if (report->cleaned_commit > 0) {
        fprintf(out,
                "cleaned: of commits up to number %llu, records that were hidden may be gone\n",
                (unsigned long long)report->cleaned_commit);
    }
    if (report->torn_end) {
        fprintf(out, "a torn end that nobody was told about: %s at offset %llu\n", report->file,
                (unsigned long long)report->offset);
    }
    if (report->indexes_missing > 0) {
        fprintf(out, "%llu indexes that the server will make again\n",
                (unsigned long long)report->indexes_missing);
    }
    return EXIT_CLEAN;
}

static int verify_view(const char *data, const struct log_report *log, uint64_t first)
{
    struct store_verify view = {.log = log, .first = first};
    enum err err = store_verify(data, &view);
    if (err == ERR_DAMAGED) {
        printf("DAMAGED %s: %s. Restore the data directory from a copy, or, where the log begins "
               "with commit 1, move the view aside: the server makes it again.\n",
               view.file, view.reason);
        return EXIT_DAMAGED;
    }
    if (err == ERR_NOT_FOUND) {
        printf("no view beside it%s\n", first <= 1 ? ": the server will make it" : "");
        return EXIT_CLEAN;
    }
    if (err != OK) {
        return cannot_read(view.file, err, view.reason[0] != 0 ? view.reason : file_reason(err));
    }
    printf("view: %llu tables, %llu bytes read, to commit %llu, %llu rows as the log has them\n",
           (unsigned long long)view.tables, (unsigned long long)view.bytes,
           (unsigned long long)view.commit, (unsigned long long)view.rows);
    return EXIT_CLEAN;
}

/* Those in the directory, which the server made; a copy of a log has none. */
static int verify_credentials(const char *data)
{
    struct arena arena;
    struct keys keys;
    char path[4096];
    char why[512];
    int status = EXIT_CLEAN;
    snprintf(path, sizeof(path), "%s/credentials", data);
    arena_init(&arena, 0);
    if (file_exists(path) && keys_load(data, path, &arena, &keys, why, sizeof(why)) != OK) {
        printf("DAMAGED %s\n", why);
        status = EXIT_DAMAGED;
    }
    arena_fini(&arena);
    return status;
}

static enum err visit(void *arg, const struct log_record *record)
{
    struct dump *dump = arg;
    dump->records++;
    dump->first = dump->first == 0 ? record->commit : dump->first;
    buf_clear(&dump->line);
    TRY(table_record_to_json(record, &dump->line));
    bool wrote =
        !dump->print || fwrite(dump->line.ptr, 1, dump->line.len, stdout) == dump->line.len;
    return wrote ? OK : ERR_IO;
}

int command_describe_operations(int argc, char **argv)
{
    (void)argv;
    struct buf text;
    if (argc != 0) {
        fprintf(stderr, "headwater: describe-operations takes no arguments\n");
        return EXIT_USAGE;
    }
    buf_init(&text, 4u << 20);
    op_describe_json(&text);
    buf_add_byte(&text, '\n');
    bool wrote = !text.failed && fwrite(text.ptr, 1, text.len, stdout) == text.len;
    buf_fini(&text);
    return wrote && fflush(stdout) == 0 ? EXIT_CLEAN : EXIT_FAILED;
}
