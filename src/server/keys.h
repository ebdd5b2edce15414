/* Access keys: every profile of the credentials file. Immutable once loaded, shared by all threads.
 */
#ifndef HW_SERVER_KEYS_H
#define HW_SERVER_KEYS_H

#include "base/arena.h"
#include "base/err.h"

struct key_entry {
    struct bytes id;
    struct bytes secret;
};

struct keys {
    struct key_entry *entries;
    size_t count;
    const char *path;
    bool created; /* by this start */
};

/* Reads path (AWS shared-credentials format); when it is DATA/credentials and absent, a key is made
 * and written there with mode 0600. ERR_INVALID, ERR_IO, and ERR_DAMAGED where a key does not fit
 * its check or DATA/credentials holds none: why says what. */
MUST_USE enum err keys_load(const char *data, const char *path, struct arena *arena,
                            struct keys *keys, char *why, size_t room);
/* A sigv4_lookup over struct keys. */
bool keys_lookup(void *keys, struct bytes key_id, struct bytes *secret);

#endif
