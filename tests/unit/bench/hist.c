/* lib/hist: what is read back is what was recorded, to three digits, and percentiles are ranks. */
#include "lib/hist.h"

#include "check.h"

static void an_empty_histogram_has_no_latency(void)
{
    struct hist hist;
    hist_init(&hist, 1, 3600000000ull, 3);
    CHECK(hist_percentile(&hist, 50) == 0);
    CHECK(hist_mean(&hist) < 1e-9);
    hist_fini(&hist);
}

static void small_values_are_exact(void)
{
    struct hist hist;
    hist_init(&hist, 1, 3600000000ull, 3);
    for (uint64_t value = 1; value <= 1000; value++) {
        hist_record(&hist, value);
    }
    CHECK(hist_percentile(&hist, 0) == 1);
    CHECK(hist_percentile(&hist, 50) == 500);
    CHECK(hist_percentile(&hist, 90) == 900);
    CHECK(hist_percentile(&hist, 99) == 990);
    CHECK(hist_percentile(&hist, 99.9) == 999);
    CHECK(hist_percentile(&hist, 99.99) == 1000);
    CHECK(hist_percentile(&hist, 100) == 1000);
    CHECK(hist.least == 1 && hist.most == 1000);
    CHECK(hist_mean(&hist) > 500.49 && hist_mean(&hist) < 500.51);
    hist_fini(&hist);
}

/* The promise of the algorithm: any value comes back less than one part in 1,000 too large. */
static void every_size_keeps_three_digits(void)
{
    struct hist hist;
    hist_init(&hist, 1, 3600000000000ull, 3);
    for (uint64_t value = 1; value < 3600000000000ull / 3; value = value * 3 / 2 + 1) {
        hist_clear(&hist);
        hist_record(&hist, value);
        hist_record(&hist, 3600000000000ull);
        uint64_t read = hist_percentile(&hist, 50);
        CHECK(read >= value);
        CHECK(read - value <= value / 1000);
    }
    hist_fini(&hist);
}

static void a_coarse_unit_rounds_up_within_itself(void)
{
    struct hist hist;
    hist_init(&hist, 100, 3600000000000ull, 3);
    hist_record(&hist, 1000);
    hist_record(&hist, 1000000);
    uint64_t read = hist_percentile(&hist, 50);
    CHECK(read >= 1000 && read < 1100);
    hist_fini(&hist);
}

static void a_value_past_the_end_is_kept_as_the_largest(void)
{
    struct hist hist;
    hist_init(&hist, 1, 10000, 3);
    hist_record(&hist, 5);
    hist_record(&hist, 123456);
    CHECK(hist.most == 123456);
    CHECK(hist_percentile(&hist, 100) == 123456);
    CHECK(hist_percentile(&hist, 50) == 5);
    hist_fini(&hist);
}

static void merging_is_recording_in_one(void)
{
    struct hist both;
    struct hist one;
    struct hist other;
    hist_init(&both, 1, 1000000, 3);
    hist_init(&one, 1, 1000000, 3);
    hist_init(&other, 1, 1000000, 3);
    for (uint64_t i = 0; i < 5000; i++) {
        uint64_t value = i * i % 77777;
        hist_record(&both, value);
        hist_record(i % 3 == 0 ? &one : &other, value);
    }
    hist_merge(&one, &other);
    CHECK(one.total == both.total && one.least == both.least && one.most == both.most);
    for (double percent = 0; percent <= 100; percent += 2.5) {
        CHECK(hist_percentile(&one, percent) == hist_percentile(&both, percent));
    }
    hist_fini(&both);
    hist_fini(&one);
    hist_fini(&other);
}

int main(void)
{
    RUN(an_empty_histogram_has_no_latency);
    RUN(small_values_are_exact);
    RUN(every_size_keeps_three_digits);
    RUN(a_coarse_unit_rounds_up_within_itself);
    RUN(a_value_past_the_end_is_kept_as_the_largest);
    RUN(merging_is_recording_in_one);
    return CHECK_RESULT();
}
