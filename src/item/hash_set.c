/* The order in which Java's HashSet<BigDecimal> has numbers that were added rising: by bucket, and
 * in a bucket as they came. DynamoDB shows number sets so in some of its answers. */
#include "base/mem.h"
#include "item/item.h"
#include "item/number.h"

#include <stdlib.h>

#define BUCKETS_FIRST 16u

struct place {
    uint32_t bucket;
    uint32_t rank;
    struct bytes number;
};

static int compare(const void *one, const void *other);

void hash_set_each(struct bytes set, void (*visit)(void *arg, struct bytes number), void *arg)
{
    struct cursor cursor = cursor_of(set);
    struct bytes number;
    size_t count = 0;
    while (set_next(&cursor, &number)) {
        count++;
    }
    uint32_t buckets = BUCKETS_FIRST;
    while (count > (size_t)buckets / 4 * 3) {
        buckets *= 2;
    }
    struct place *places = mem_zalloc(count + 1, sizeof(*places));
    cursor = cursor_of(set);
    for (uint32_t i = 0; set_next(&cursor, &number); i++) {
        places[i] = (struct place){number_hash_java(number) & (buckets - 1), i, number};
    }
    qsort(places, count, sizeof(*places), compare);
    for (size_t i = 0; i < count; i++) {
        visit(arg, places[i].number);
    }
    mem_free(places);
}

static int compare(const void *one, const void *other)
{
    const struct place *a = one;
    const struct place *b = other;
    if (a->bucket != b->bucket) {
        return a->bucket < b->bucket ? -1 : 1;
    }
    return a->rank < b->rank ? -1 : a->rank > b->rank;
}
