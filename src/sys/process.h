/* The process: its limits, its signals (sys I8), its environment. */
#ifndef HW_SYS_PROCESS_H
#define HW_SYS_PROCESS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Raises the limit of open files to its hard limit; returns what it is then. */
uint64_t process_raise_file_limit(void);
/* Blocks SIGINT, SIGTERM and SIGHUP in this thread and all it starts, and ignores SIGPIPE: before
 * threads. */
void process_block_signals(void);
/* A write to a pipe that nobody reads fails, and does not end the process. */
void process_ignore_broken_pipe(void);
/* False when standard output is a pipe that nobody reads any more. */
bool process_output_is_open(void);
/* The columns of the terminal that standard output is; 0: it is none. */
size_t process_terminal_columns(void);
/* Waits for one of the blocked signals and returns its number; 0 after timeout_ms (-1: no limit).
 */
int process_wait_signal(int64_t timeout_ms);
/* A blocked signal for this process, from any thread: ends a process_wait_signal. */
void process_raise_signal(int number);
/* Borrowed for ever; NULL when not set. Before threads. */
const char *process_variable(const char *name);
/* Bytes of resident memory; 0 when unknown. */
uint64_t process_resident_bytes(void);
/* How much memory this process may use at most, by its control group; 0: no limit is known. */
uint64_t process_memory_limit(void);
/* Bytes of memory that the machine could give at once; 0 when unknown. */
uint64_t process_memory_left(void);
uint64_t process_id(void);
/* Microseconds of processor time, user and system. */
uint64_t process_cpu_us(void);
_Noreturn void process_exit_now(int status);

#endif
