/* `headwater log verify|dump` and `headwater describe-operations`: reading without a server. */
#include "server/server.h"

#include <stdio.h>

struct dump {
    struct buf line;
    uint64_t records;
    bool print;
};

static enum err visit(void *arg, const struct log_record *record);

int command_log(int argc, char **argv)
{
    const char *data = "./data";
    const char *verb = argc > 0 ? argv[0] : "";
    bool dump_it = strcmp(verb, "dump") == 0;
    if (!dump_it && strcmp(verb, "verify") != 0) {
        fprintf(stderr, "headwater: log verify or log dump?\n");
        return EXIT_USAGE;
    }
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--data") == 0 && i + 1 < argc) {
            data = argv[++i];
        } else if (strncmp(argv[i], "--data=", 7) == 0) {
            data = argv[i] + 7;
        } else {
            fprintf(stderr, "headwater: log %s does not know '%s'\n", verb, argv[i]);
            return EXIT_USAGE;
        }
    }
    char path[4096];
    struct log_report report = {0};
    struct dump dump = {.print = dump_it};
    snprintf(path, sizeof(path), "%s/log", data);
    buf_init(&dump.line, 256u * 1024u * 1024u);
    enum err err = log_scan(path, visit, &dump, &report);
    buf_fini(&dump.line);
    FILE *out = dump_it ? stderr : stdout;
    if (err != OK) {
        fprintf(out, "DAMAGED %s at offset %llu: %s\n", report.file[0] == 0 ? path : report.file,
                (unsigned long long)report.offset,
                report.reason[0] == 0 ? err_text(err) : report.reason);
        return err == ERR_DAMAGED ? EXIT_DAMAGED : EXIT_FAILED;
    }
    fprintf(out,
            "whole: %llu segments, %llu frames, %llu commits to number %llu, %llu records, %llu "
            "bytes read%s%s\n",
            (unsigned long long)report.segments, (unsigned long long)report.frames,
            (unsigned long long)report.commits, (unsigned long long)report.last_commit,
            (unsigned long long)dump.records, (unsigned long long)report.bytes_scanned,
            report.clean_stop ? ", stopped cleanly" : "",
            report.torn_end ? ", with a torn end that nobody was told about" : "");
    return EXIT_CLEAN;
}

int command_describe_operations(int argc, char **argv)
{
    (void)argv;
    struct buf text;
    if (argc != 0) {
        fprintf(stderr, "headwater: describe-operations takes no arguments\n");
        return EXIT_USAGE;
    }
    buf_init(&text, 4u * 1024u * 1024u);
    op_describe_json(&text);
    fwrite(text.ptr, 1, text.len, stdout);
    fputc('\n', stdout);
    buf_fini(&text);
    return EXIT_CLEAN;
}

static enum err visit(void *arg, const struct log_record *record)
{
    struct dump *dump = arg;
    dump->records++;
    buf_clear(&dump->line);
    TRY(table_record_to_json(record, &dump->line));
    if (dump->print) {
        fwrite(dump->line.ptr, 1, dump->line.len, stdout);
        fputc('\n', stdout);
    }
    return OK;
}
