/* The load itself: one thread, one epoll, many keep-alive connections, one request at a time on
 * each. Closed loop: a connection sends its next request when the last one was answered, which
 * measures throughput. Open loop: requests are due at fixed times whatever the server does, and
 * latency counts from the moment a request was due, so that a stall is seen by every request that
 * it delayed and not only by those in flight. */
#ifndef HW_BENCH_LOAD_H
#define HW_BENCH_LOAD_H

#include "lib/hist.h"
#include "lib/peer.h"
#include "lib/request.h"

#define LOAD_ERRORS_MAX 32u
#define LOAD_SECONDS_MAX 3600u
#define LOAD_SLOT_NS 100000000ull
#define LOAD_SLOTS_MAX 36000u

struct load_plan {
    const struct peer *peer;
    const struct request_target *target;
    struct signer *signer;
    struct prng *prng;
    unsigned weights[REQUEST_KIND_COUNT]; /* percent, 100 in all */
    unsigned connections;
    double rate; /* requests a second, open loop; 0: closed loop */
    uint64_t warmup_ns;
    uint64_t run_ns;
    /* Instead of a time: so many requests, all measured; 0: by time. Closed loop only. */
    uint64_t request_count;
    /* Items in order of their numbers, again from the first after the last; else uniformly. */
    bool in_order;
    /* Instead of all that: put each item once, in order, again when refused. */
    bool fill;
};

struct load_error {
    char name[64]; /* an error type, "HTTP 500" without one, or what broke */
    uint64_t count;
};

/* Of the measured time, warm-up excluded; a fill or a count is measured whole. */
struct load_result {
    struct hist latency_ns[REQUEST_KIND_COUNT]; /* of answers with status 200 */
    uint64_t answered;                          /* whole answers of any status */
    uint64_t ok;                                /* status 200, body as it should be */
    uint64_t crc_right, crc_wrong, crc_absent;
    struct load_error errors[LOAD_ERRORS_MAX]; /* the last row takes what has no place */
    size_t error_count;
    uint64_t late; /* open loop: due before the end, never sent */
    double wall_s, user_s, system_s;
    uint32_t per_second[LOAD_SECONDS_MAX]; /* ok in each second */
    size_t second_count;
    struct hist slot_ns; /* latencies of the slot at hand, each of LOAD_SLOT_NS */
    size_t slot, slot_count;
    uint32_t slot_p99_us[LOAD_SLOTS_MAX]; /* of those answered in it; 0: none */
};

void load_result_init(struct load_result *result);
void load_result_fini(struct load_result *result);
/* Keeps the p99 of the slot at hand and begins another. */
void load_end_slot(struct load_result *result);
/* ERR_IO: the server cannot be reached, or gave no answer for 30 s; why says which. What was
 * refused or wrong is in the result. */
MUST_USE enum err load_run(const struct load_plan *plan, struct load_result *result, char *why,
                           size_t room);
/* All errors counted. */
uint64_t load_error_total(const struct load_result *result);

#endif
