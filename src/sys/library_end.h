/* A C++ library under us (RocksDB) that throws where nobody catches: memory, a thread or a lock it
 * could not have. The C++ runtime would end the process by a signal and without our words. */
#ifndef HW_SYS_LIBRARY_END_H
#define HW_SYS_LIBRARY_END_H

#ifdef __cplusplus
extern "C" {
#endif

/* Ends the process. reason is the exception's own text, borrowed. Runs on the thread that threw. */
typedef void library_end(const char *reason);

/* Before the library is first called; again: replaces. When the callback returns, abort() follows.
 */
void library_end_call(library_end *callback);

#ifdef __cplusplus
}
#endif

#endif
