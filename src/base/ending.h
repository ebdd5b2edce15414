/* How the process ends when it cannot go on: its statuses, and the last line that it says, which a
 * person reads: what failed, why, and the next step. Every next step is a row of ending.c. Takes no
 * memory; any thread. */
#ifndef HW_BASE_ENDING_H
#define HW_BASE_ENDING_H

/* doc/durability.md says what each means. */
enum exit_status {
    EXIT_CLEAN = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_DAMAGED = 3,
    EXIT_DISK = 4,
    EXIT_IN_USE = 5
};

/* What a path and a reason may take, for who keeps them until they are told. */
#define ENDING_FILE_MAX 4224u
#define ENDING_REASON_MAX 5120u

/* The data directory, for steps that name it. Borrowed for good; before there are threads. */
void ending_place(const char *data);

/* `headwater: WHAT: REASON. NEXT STEP` on standard error. what: what failed, a file with its path
 * where it is one. reason: the cause in the words of the system or of a library, or what was found
 * and where; the step follows from the status and from the cause that stands in it. */
void ending_tell(enum exit_status status, const char *what, const char *reason);

#endif
