/* What tests of the view alone share: one in a directory of its own, and values that do not pack.
 */
#ifndef HW_TEST_TABLE_BARE_H
#define HW_TEST_TABLE_BARE_H

#include "check.h"
#include "table/table_priv.h"

#include <stdlib.h>
#include <unistd.h>

#define VALUE 1000u
#define VALUES 2000u /* 2 MB */

static char dir[64];

static inline struct view *open_view_again(uint64_t floor_bytes)
{
    struct view *view = NULL;
    struct view_state state;
    bool fresh = false;
    char reason[256] = "";
    const struct view_options options = {.dir = dir,
                                         .memtable_bytes = 64u << 20,
                                         .cache_bytes = 1u << 20,
                                         .floor_bytes = floor_bytes};
    CHECK(view_open(&options, &view, &state, &fresh, reason, sizeof(reason)) == OK);
    return view;
}

static inline struct view *open_view(uint64_t floor_bytes)
{
    snprintf(dir, sizeof(dir), "/tmp/hw-view-XXXXXX");
    CHECK(mkdtemp(dir) != NULL);
    return open_view_again(floor_bytes);
}

static inline void remove_view(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    CHECK(system(command) == 0);
}

static inline void close_view(struct view *view)
{
    view_close(view);
    remove_view();
}

static inline void key_of(unsigned i, uint8_t key[5])
{
    const uint8_t bytes[5] = {'t', (uint8_t)(i >> 8), (uint8_t)i};
    memcpy(key, bytes, sizeof(bytes));
}

static inline void value_of(uint64_t round, uint32_t *random, uint8_t value[VALUE])
{
    *random = *random == 0 ? 1 + (uint32_t)round : *random;
    for (size_t j = 0; j < VALUE; j++) {
        *random = *random * 1664525u + 1013904223u;
        value[j] = (uint8_t)(*random >> 24);
    }
}

/* Others in each round, of the same keys. */
static inline void write_values(struct view *view, uint64_t round)
{
    uint8_t value[VALUE];
    uint8_t key[5];
    uint32_t random = 0;
    const struct view_state state = {.applied = round};
    for (unsigned i = 0; i < VALUES; i++) {
        value_of(round, &random, value);
        key_of(i, key);
        view_put(view, bytes_of(key, sizeof(key)), bytes_of(value, VALUE));
    }
    CHECK(view_write(view, &state) == OK);
}

#endif
