/* The volume that a path is on, as far as the system tells. Any thread. */
#ifndef HW_SYS_VOLUME_H
#define HW_SYS_VOLUME_H

#include "base/err.h"

#include <stdint.h>

enum volume_kind {
    VOLUME_DISK,   /* a file system of a disk of this machine */
    VOLUME_MEMORY, /* gone with the machine's power */
    VOLUME_REMOTE, /* another machine's, or a program's */
    VOLUME_OTHER   /* not known to us */
};

struct volume {
    uint64_t free_bytes; /* that may still be written */
    enum volume_kind kind;
    const char *name; /* of the file system; "unknown" */
};

/* path must exist. ERR_IO. */
MUST_USE enum err volume_look(const char *path, struct volume *out);

#endif
