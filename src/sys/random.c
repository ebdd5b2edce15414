/* getrandom(2). */
#include "sys/random.h"

#include "base/assert.h"

#include <errno.h>
#include <sys/random.h>

void random_fill(void *out, size_t len)
{
    uint8_t *next = out;
    while (len > 0) {
        ssize_t got = getrandom(next, len, 0);
        ASSERT(got > 0 || errno == EINTR);
        if (got > 0) {
            next += got;
            len -= (size_t)got;
        }
    }
}

uint64_t random_u64(void)
{
    uint64_t value;
    random_fill(&value, sizeof(value));
    return value;
}
