/* The thread that something belongs to. Zeroed it is nobody's, and the first to use it has it. Its
 * functions assert that in debug builds, where a use by another thread ends the process with the
 * place; other builds keep the four bytes alone. */
#ifndef HW_BASE_OWNER_H
#define HW_BASE_OWNER_H

#include "base/assert.h"

#include <stdbool.h>
#include <stdint.h>

struct owner {
    uint32_t thread;
};

#define ASSERT_OWNER(owner) DASSERT(owner_claim(owner))

/* True: it is the calling thread's, if need be from now on. */
bool owner_claim(struct owner *owner);
/* It is the next one's that uses it. The caller sees to the order between the two: a join, a mutex,
 * a message. Any thread. */
void owner_leave(struct owner *owner);

#endif
