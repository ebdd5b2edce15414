/* Reads of the view's files: those that never wait for a disk, and what came of each. resident.cc.
 */
#ifndef HW_TABLE_RESIDENT_H
#define HW_TABLE_RESIDENT_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* The name of the environment, for RocksDB's option "env". */
#define RESIDENT_ENV "headwater-resident"

/* Makes the name known. Once or more, before the view is opened. */
void resident_init(void);
/* What the newest file that could not be opened for reading said, with its path; "": none. RocksDB
 * tells of one that it has no direct access, and keeps the cause to itself. Any thread. */
void resident_refusal(char *text, size_t room);
/* Until resident_end the calling thread's reads are watched. only: what neither RocksDB's cache nor
 * the page cache holds is refused. */
void resident_begin(bool only);
/* ERR_INCOMPLETE: a read was refused; ERR_IO: one failed. Whatever RocksDB says of it: an iterator
 * of ours (7.8) forgets the status of a file that it enters while it skips deleted ranges. */
MUST_USE enum err resident_end(void);

#endif
