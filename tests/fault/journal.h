/* What libhwfault.so writes down and hwfault-cut reads: every change below one directory, in the
 * order in which it was made, with what it replaced, and every sync. From it follows what is
 * durable and what a power cut may still lose.
 *
 * HWFAULT_STATE/journal       header, then records without gaps; a sparse file, mapped shared, so
 *                             that it outlives a killed process
 * HWFAULT_STATE/inodes/<n>    a link to every file that was ever seen, by inode number: its bytes
 *                             are at hand whatever happens to its names, and its number is not used
 *                             again
 *
 * A process that finds a journal goes on in it: it walks the directory once more (RECORD_WALK, an
 * entry for each name that is there, RECORD_WALKED). The first walk says what was durable to begin
 * with; a later one differs from what was written down by what its predecessor did in the moment it
 * was killed. */
#ifndef HW_FAULT_JOURNAL_H
#define HW_FAULT_JOURNAL_H

#include <stdatomic.h>
#include <stdint.h>

#define JOURNAL_MAGIC 0x314c414e52554f4aull
#define JOURNAL_BYTES (16ull << 30) /* sparse */
#define JOURNAL_ROOM 4096           /* of the header; records begin behind it */
#define CUT_STATUS 86               /* exit status of a process whose power was cut */

struct journal_header {
    uint64_t magic;
    _Atomic uint64_t end; /* records before it are whole */
    uint64_t seq;         /* of the newest record */
    uint64_t operations;  /* counted by the newest process */
    uint64_t root;        /* inode of the directory */
    uint64_t was_cut;     /* the newest process ended by HWFAULT_CUT */
};

enum record_kind {
    RECORD_ENTRY = 1, /* a name in a directory now stands for `target`, or for nothing */
    RECORD_WRITE,     /* bytes of a file changed */
    RECORD_SIZE,      /* a file was truncated or extended with zeros */
    RECORD_SYNC,      /* records up to `length` on this inode are durable */
    RECORD_WALK,
    RECORD_WALKED
};

enum record_flags {
    RECORD_DIRECTORY = 1, /* the target of an entry is a directory */
    RECORD_PAIR = 2       /* of a rename: the old name's end, right after the new name's entry */
};

/* Followed by the name, the new bytes, the old bytes, and zeros up to a multiple of 8. Zeros at the
 * end of bytes are not kept: the rest of a range is zeros. */
struct record {
    uint32_t bytes; /* of the whole record */
    uint8_t kind;
    uint8_t flags;
    uint16_t name_len;
    uint64_t seq;
    uint64_t inode;  /* of the file; of an entry, of its directory */
    uint64_t target; /* of an entry; 0: none */
    uint64_t offset;
    uint64_t length; /* of a write; the new size; the sequence number that a sync covers */
    uint64_t old_size;
    uint32_t new_len;
    uint32_t old_len;
};

#endif
