/* Threads and their roles. Which of them a struct belongs to is base/owner.h's. */
#ifndef HW_SYS_THREAD_H
#define HW_SYS_THREAD_H

#include "base/err.h"
#include "sys/mailbox.h"

#include <pthread.h>

/* Main's is that of who was not started by thread_start. */
enum role { ROLE_MAIN, ROLE_LOOP, ROLE_COMMITTER, ROLE_WORKER };

struct thread {
    pthread_t handle;
    enum role role;
    const char *name;
    void (*run)(void *arg);
    void *arg;
};

/* Starts it; thread must stay where it is until joined. name: at most 15 characters, static.
 * Signals are blocked in it. Where the system gives none, the process ends with status 1 and says
 * so: without one of its threads it could not keep its promises, and those before it run already.
 */
void thread_start(struct thread *thread, enum role role, const char *name, void (*run)(void *arg),
                  void *arg);
void thread_join(struct thread *thread);
/* From now on the calling thread's reads and writes go behind those of others, where the disk's
 * scheduler knows of such an order. Its share of the processors is as before: it takes locks that
 * others wait for. */
void thread_read_last(void);
/* A wish: the scheduler runs the calling thread soon after it was woken, for a short while. For one
 * that works little and that many wait for. */
void thread_run_soon(void);
/* Processors this process may use. */
unsigned thread_cpu_count(void);
/* The role of the calling thread: debug builds assert that no loop waits for a disk, and neither
 * loop nor committer for a commit. */
enum role thread_role(void);
/* Sleeps; never on a loop that serves or on the committer. */
void thread_pause_ms(unsigned ms);
/* Returns when cond is signalled, after so many milliseconds, or for no reason: the caller looks.
 */
void thread_wait_ms(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t ms);

/* A flag to sleep on. signal before wait is remembered (once). */
struct event {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool set;
};

void event_init(struct event *event);
void event_fini(struct event *event);
void event_signal(struct event *event);
/* Waits until signalled, or until timeout_ms passed (-1: for ever), and clears the flag. */
void event_wait(struct event *event, int64_t timeout_ms);

/* A bounded pool of threads for what may block: cold reads, password hashes, long scans. */
struct pool;

struct work {
    struct message message; /* posted to home when run has returned */
    struct mailbox *home;
    void (*run)(struct work *work);  /* on a pool thread */
    void (*done)(struct work *work); /* on home's thread */
};

struct pool *pool_open(unsigned threads, size_t queue_max, const char *name);
/* Waits for the work at hand, runs what is queued, joins the threads. */
void pool_close(struct pool *pool);
/* Any thread. ERR_RANGE: the queue is full and the work was not taken (sys I5). */
MUST_USE enum err pool_submit(struct pool *pool, struct work *work);
size_t pool_queued(struct pool *pool);

#endif
