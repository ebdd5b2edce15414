/* The part of libhwfault.so that knows what is watched and writes the journal. One mutex is held
 * around each change and its record, so that the journal's order is the order of the changes. */
#ifndef HW_FAULT_RECORDER_H
#define HW_FAULT_RECORDER_H

#include "journal.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/uio.h>

/* False: this process is not watched, every call goes straight to the kernel. */
bool recorder_on(void);

/* The inode number of a watched file or directory that fd is open on; 0: not watched. */
uint64_t watched_fd(int fd, struct stat *status);
/* The watched directory that holds the last name of a path; 0: not watched. */
uint64_t watched_parent(int dirfd, const char *path, char name[256]);

/* A change or a sync begins; path, or fd where path is NULL, is what it is about. Locks; does not
 * return when the power is cut here. */
void change_begin(int fd, const char *path);
void change_end(void);

/* Between begin and end. */
void record_entry(uint64_t directory, const char *name, uint64_t target, unsigned flags);
/* Before a change of a file: keeps what will be replaced. */
void record_size_prepare(uint64_t inode, uint64_t size, uint64_t old_size);
void record_write_prepare(uint64_t inode, uint64_t offset, uint64_t old_size,
                          const struct iovec *parts, int count);
/* After it: whoever is killed before is taken to have done it durably. */
void record_done(bool done);
void record_written(ssize_t written);
/* A file or directory was made or found: keeps its bytes at hand. */
void watch_inode(uint64_t inode, const char *path, int dirfd, bool is_directory);
/* A sync in two halves, with change_begin before the first and the wait between them unlocked. */
uint64_t sync_begin(void);
void sync_finish(int fd, uint64_t inode, bool is_directory, uint64_t covered);
void sync_all(void);

/* Something that the journal cannot express was done below the watched directory. */
_Noreturn void not_modelled(const char *call);

#endif
