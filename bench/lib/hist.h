/* Latencies, by the algorithm of HdrHistogram: buckets that double, each cut into equal
 * sub-buckets, so that every value between lowest and highest is known to the stated number of
 * decimal digits whatever its size. Recording is a few shifts and one addition; nothing is
 * allocated after init. */
#ifndef HW_BENCH_HIST_H
#define HW_BENCH_HIST_H

#include <stddef.h>
#include <stdint.h>

struct hist {
    uint64_t *counts;
    size_t count_len;
    uint64_t total;
    uint64_t least; /* exact; UINT64_MAX while empty */
    uint64_t most;  /* exact */
    uint64_t highest;
    double sum;
    unsigned unit_shift; /* values below 2^unit_shift are not told apart */
    unsigned half_shift; /* a bucket's upper half has 2^half_shift sub-buckets */
};

/* lowest at least 1, highest at least twice that, digits 1 to 5. */
void hist_init(struct hist *hist, uint64_t lowest, uint64_t highest, unsigned digits);
void hist_fini(struct hist *hist);
void hist_clear(struct hist *hist);
/* A value above highest counts as highest; least, most and mean keep it as it is. */
void hist_record(struct hist *hist, uint64_t value);
/* Both made with the same bounds. */
void hist_merge(struct hist *into, const struct hist *from);
/* The least recorded value, to its precision, that percent of all values do not pass; 0 while
 * empty. Never above the largest value recorded. */
uint64_t hist_percentile(const struct hist *hist, double percent);
double hist_mean(const struct hist *hist);

#endif
