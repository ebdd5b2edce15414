/* What a run found, for people and for scripts. */
#ifndef HW_BENCH_REPORT_H
#define HW_BENCH_REPORT_H

#include "lib/load.h"

#include <stdio.h>

/* A driver busier than this may itself be what was measured. */
#define REPORT_BUSY_MAX 0.90

struct report {
    const char *label; /* the mix, or "fill" */
    const char *endpoint;
    const struct load_plan *plan;
    const struct load_result *result;
};

/* Processor time of the driver over the time measured. */
double report_busy(const struct load_result *result);
/* Successful answers a second. */
double report_rate(const struct load_result *result);
void report_table(const struct report *report, FILE *out);
/* One JSON object and a line end. */
void report_json(const struct report *report, FILE *out);

#endif
