/* A cheap generator (xoshiro256++, by its published definition) for keys and values of a load:
 * random enough that nothing compresses or repeats, far from fit for secrets. */
#ifndef HW_BENCH_PRNG_H
#define HW_BENCH_PRNG_H

#include <stddef.h>
#include <stdint.h>

struct prng {
    uint64_t s[4];
};

/* Any seed, also 0. */
void prng_init(struct prng *prng, uint64_t seed);
/* Random characters out of the 32 from '_' to '~', none of which JSON escapes: five bits each. */
void prng_text(struct prng *prng, char *out, size_t len);

static inline uint64_t prng_rotate(uint64_t x, unsigned by)
{
    return x << by | x >> (64 - by);
}

static inline uint64_t prng_next(struct prng *prng)
{
    uint64_t *s = prng->s;
    uint64_t result = prng_rotate(s[0] + s[3], 23) + s[0];
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = prng_rotate(s[3], 45);
    return result;
}

/* Uniform below n (1 to 2^32), but for a bias under n / 2^32. */
static inline uint64_t prng_below(struct prng *prng, uint64_t n)
{
    return ((prng_next(prng) >> 32) * n) >> 32;
}

#endif
