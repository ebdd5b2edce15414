/* Seeding (splitmix64) and text. */
#include "lib/prng.h"

#include <string.h>

void prng_init(struct prng *prng, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        seed += 0x9e3779b97f4a7c15u;
        uint64_t z = seed;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        prng->s[i] = z ^ z >> 31;
    }
}

void prng_text(struct prng *prng, char *out, size_t len)
{
    /* Eight characters at a time: five random bits in each byte, above '_'. */
    while (len > 0) {
        uint64_t word = (prng_next(prng) & 0x1f1f1f1f1f1f1f1fu) + 0x5f5f5f5f5f5f5f5fu;
        size_t part = len < sizeof(word) ? len : sizeof(word);
        memcpy(out, &word, part);
        out += part;
        len -= part;
    }
}
