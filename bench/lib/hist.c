/* HdrHistogram's layout. A value's bucket is the position of its highest bit above the sub-bucket
 * range; its sub-bucket is the bits below. The lower half of every bucket but the first repeats the
 * bucket before it, so only upper halves are stored: counts[bucket * half + sub]. */
#include "lib/hist.h"

#include "base/assert.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

static size_t index_of(const struct hist *hist, uint64_t value);
static uint64_t top_of(const struct hist *hist, size_t index);

void hist_init(struct hist *hist, uint64_t lowest, uint64_t highest, unsigned digits)
{
    ASSERT(lowest >= 1 && highest / 2 >= lowest && digits >= 1 && digits <= 5);
    uint64_t apart = 2; /* integers up to here must each have a sub-bucket */
    for (unsigned i = 0; i < digits; i++) {
        apart *= 10;
    }
    *hist = (struct hist){.least = UINT64_MAX, .highest = highest};
    hist->unit_shift = 63u - (unsigned)__builtin_clzll(lowest);
    hist->half_shift = 63u - (unsigned)__builtin_clzll(apart - 1);
    hist->count_len = index_of(hist, highest) + 1;
    hist->counts = mem_zalloc(hist->count_len, sizeof(*hist->counts));
}

void hist_fini(struct hist *hist)
{
    mem_free(hist->counts);
    hist->counts = NULL;
}

void hist_clear(struct hist *hist)
{
    memset(hist->counts, 0, hist->count_len * sizeof(*hist->counts));
    hist->total = 0;
    hist->least = UINT64_MAX;
    hist->most = 0;
    hist->sum = 0;
}

void hist_record(struct hist *hist, uint64_t value)
{
    hist->counts[index_of(hist, value < hist->highest ? value : hist->highest)]++;
    hist->total++;
    hist->sum += (double)value;
    hist->least = value < hist->least ? value : hist->least;
    hist->most = value > hist->most ? value : hist->most;
}

void hist_merge(struct hist *into, const struct hist *from)
{
    ASSERT(into->count_len == from->count_len && into->unit_shift == from->unit_shift &&
           into->half_shift == from->half_shift);
    for (size_t i = 0; i < into->count_len; i++) {
        into->counts[i] += from->counts[i];
    }
    into->total += from->total;
    into->sum += from->sum;
    into->least = from->least < into->least ? from->least : into->least;
    into->most = from->most > into->most ? from->most : into->most;
}

uint64_t hist_percentile(const struct hist *hist, double percent)
{
    if (hist->total == 0) {
        return 0;
    }
    double bounded = percent < 0 ? 0 : percent > 100 ? 100 : percent;
    /* 99.9 % of 1,000 is 999 values, though 99.9 / 100 * 1000 is a little more in binary. */
    double wanted = ceil((bounded / 100.0 - 1e-9) * (double)hist->total);
    uint64_t needed = wanted < 1 ? 1 : (uint64_t)wanted;
    uint64_t seen = 0;
    for (size_t i = 0; i < hist->count_len; i++) {
        seen += hist->counts[i];
        if (seen >= needed) {
            uint64_t top = top_of(hist, i);
            return top < hist->most && i + 1 < hist->count_len ? top : hist->most;
        }
    }
    return hist->most;
}

double hist_mean(const struct hist *hist)
{
    return hist->total == 0 ? 0 : hist->sum / (double)hist->total;
}

static size_t index_of(const struct hist *hist, uint64_t value)
{
    uint64_t units = value >> hist->unit_shift;
    /* Setting the sub-bucket bits makes all small values fall into bucket 0. */
    uint64_t mask = ((uint64_t)2 << hist->half_shift) - 1;
    unsigned bucket = 63u - (unsigned)__builtin_clzll(units | mask) - hist->half_shift;
    uint64_t sub = units >> bucket;
    return ((size_t)bucket << hist->half_shift) + (size_t)sub;
}

/* The largest value of a place. */
static uint64_t top_of(const struct hist *hist, size_t index)
{
    size_t half = (size_t)1 << hist->half_shift;
    size_t bucket = index < 2 * half ? 0 : index / half - 1;
    uint64_t sub = (uint64_t)(index - bucket * half);
    return ((sub + 1) << (bucket + hist->unit_shift)) - 1;
}
