/* Threads are numbered as they first ask. A plain field: who uses it beside its owner races, and
 * that is what is to be found. */
#include "base/owner.h"

#include <stdatomic.h>

static _Atomic uint32_t threads;
static _Thread_local uint32_t current;

bool owner_claim(struct owner *owner)
{
    if (current == 0) {
        current = atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) + 1;
    }
    if (owner->thread == 0) {
        owner->thread = current;
    }
    return owner->thread == current;
}

void owner_leave(struct owner *owner)
{
    owner->thread = 0;
}
