/* getopt_long, and the ranges it does not know. */
#include "lib/options.h"

#include "base/mem.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define STATUS_USE 2

static bool set_option(const struct option_row *row, const char *text, void *target,
                       const char *program);
static bool set_number(const struct option_row *row, const char *text, char *field,
                       const char *program);

static const char *program_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

static struct option *long_options(const struct option_row *rows, size_t count)
{
    struct option *table = mem_zalloc(count + 2, sizeof(*table));
    for (size_t i = 0; i < count; i++) {
        bool is_flag = rows[i].kind == OPTION_FLAG;
        table[i] =
            (struct option){rows[i].name, is_flag ? no_argument : required_argument, NULL, 0};
    }
    table[count] = (struct option){"help", no_argument, NULL, 'h'};
    return table;
}

bool options_parse(const struct option_row *rows, size_t count, int argc, char **argv, void *target,
                   void (*usage)(FILE *out), int *status, int *rest)
{
    struct option *table = long_options(rows, count);
    const char *program = program_name(argv[0]);
    int at = 0;
    int got;
    *status = STATUS_USE;
    while ((got = getopt_long(argc, argv, "+", table, &at)) == 0 &&
           set_option(&rows[at], optarg, target, program)) {
    }
    mem_free(table);
    if (got == 'h') {
        usage(stdout);
        *status = EXIT_SUCCESS;
    }
    if (got != -1) {
        return false;
    }
    bool dashes = optind > 0 && strcmp(argv[optind - 1], "--") == 0;
    if (optind != argc && (rest == NULL || !dashes)) {
        fprintf(stderr, "%s: what is '%s'?\n", program, argv[optind]);
        return false;
    }
    if (rest != NULL) {
        *rest = optind;
    }
    return true;
}

void options_print(const struct option_row *rows, size_t count, FILE *out)
{
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "  --%-14s %s\n", rows[i].name, rows[i].help);
    }
}

static bool set_option(const struct option_row *row, const char *text, void *target,
                       const char *program)
{
    char *field = (char *)target + row->offset;
    struct option_list *list = (struct option_list *)(void *)field;
    switch (row->kind) {
    case OPTION_FLAG:
        memcpy(field, &(bool){true}, sizeof(bool));
        return true;
    case OPTION_TEXT:
        memcpy(field, &text, sizeof(text));
        return true;
    case OPTION_LIST:
        if (list->count == OPTION_LIST_MAX) {
            fprintf(stderr, "%s: --%s is given more than %u times\n", program, row->name,
                    OPTION_LIST_MAX);
            return false;
        }
        list->texts[list->count++] = text;
        return true;
    case OPTION_COUNT:
    case OPTION_REAL:
        return set_number(row, text, field, program);
    }
    return false;
}

static bool set_number(const struct option_row *row, const char *text, char *field,
                       const char *program)
{
    char *end;
    double real = strtod(text, &end);
    uint64_t count = (uint64_t)real;
    if (*end != 0 || end == text || !(real >= row->least && real <= row->most) ||
        (row->kind == OPTION_COUNT && (double)count < real)) {
        fprintf(stderr, "%s: --%s is '%s': it must be %.10g to %.10g\n", program, row->name, text,
                row->least, row->most);
        return false;
    }
    if (row->kind == OPTION_COUNT) {
        memcpy(field, &count, sizeof(count));
    } else {
        memcpy(field, &real, sizeof(real));
    }
    return true;
}
