/* The requests of a load, built once and then only patched: a request is a text with places for
 * keys, values and the signature. All keys are as wide as each other, and so are all values, so
 * nothing else ever moves. */
#ifndef HW_BENCH_REQUEST_H
#define HW_BENCH_REQUEST_H

#include "lib/prng.h"
#include "lib/sign.h"

#include "base/buf.h"

enum request_kind {
    REQUEST_PUT,
    REQUEST_GET,
    REQUEST_UPDATE,
    REQUEST_DELETE,
    REQUEST_TRANSACT,
    REQUEST_KIND_COUNT
};

#define REQUEST_SLOTS_MAX 8u
#define REQUEST_KEY_LEN 10u

struct request_slot {
    size_t at; /* in text */
    bool is_key;
};

struct request {
    enum request_kind kind;
    struct buf text; /* head and body */
    size_t body_at;
    size_t signature_at;
    struct request_slot slots[REQUEST_SLOTS_MAX];
    size_t slot_count;
    struct sign_prefix prefix;
};

/* What all requests of a load share; borrowed. */
struct request_target {
    struct bytes host; /* of the Host header, with port */
    struct bytes table;
    size_t value_len;
    uint64_t item_count; /* at least 2 */
};

/* "put", "get", ...; NULL past the last kind. */
const char *request_kind_name(enum request_kind kind);
/* REQUEST_KIND_COUNT if there is none of that name. */
enum request_kind request_kind_of(struct bytes name);

/* The whole text, with the signer's time; build again whenever signer_set_time says so. Takes a
 * zeroed struct or one built before. */
void request_build(struct request *request, enum request_kind kind,
                   const struct request_target *target, const struct signer *signer);
void request_fini(struct request *request);
/* Item number key, fresh random values, a fresh signature. A request with more keys takes other,
 * random ones beside it. Valid until the next fill. */
struct bytes request_fill(struct request *request, const struct request_target *target,
                          const struct signer *signer, struct prng *prng, uint64_t key);
/* One signed request of any operation, appended to out. target: as in X-Amz-Target, with its
 * prefix. */
void request_write(struct buf *out, struct bytes host, struct bytes target, struct bytes body,
                   const struct signer *signer);

#endif
