/* Command lines of the drivers: a table of rows, each a place in the program's own struct. */
#ifndef HW_BENCH_OPTIONS_H
#define HW_BENCH_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define OPTION_LIST_MAX 32u

/* What an OPTION_LIST fills: every value given, in order; the rest is NULL. */
struct option_list {
    const char *texts[OPTION_LIST_MAX];
    size_t count;
};

struct option_row {
    const char *name;
    enum {
        OPTION_TEXT,  /* const char * */
        OPTION_COUNT, /* uint64_t */
        OPTION_REAL,  /* double */
        OPTION_FLAG,  /* bool */
        OPTION_LIST   /* struct option_list */
    } kind;
    size_t offset;
    double least;
    double most;
    const char *help;
};

/* Into target; texts are borrowed from argv. True: go on. False: *status is what to exit with,
 * after help (0) or a message about what is wrong (2). *rest is the first argument after "--", or
 * argc where there is none; rest NULL: none may come. */
bool options_parse(const struct option_row *rows, size_t count, int argc, char **argv, void *target,
                   void (*usage)(FILE *out), int *status, int *rest);
/* One line for each row. */
void options_print(const struct option_row *rows, size_t count, FILE *out);

#endif
