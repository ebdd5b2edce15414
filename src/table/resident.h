/* Reads of the view's files that never wait for a disk: out of the block cache or the page cache,
 * or ERR_INCOMPLETE. resident.cc. */
#ifndef HW_TABLE_RESIDENT_H
#define HW_TABLE_RESIDENT_H

/* The name of the environment, for RocksDB's option "env". */
#define RESIDENT_ENV "headwater-resident"

/* Makes the name known. Once or more, before the view is opened. */
void resident_init(void);
/* Between these the calling thread reads only what is in memory. */
void resident_begin(void);
void resident_end(void);

#endif
