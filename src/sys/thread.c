/* pthreads, an event on a condition variable with the monotonic clock, and a pool with one queue.
 */
#include "sys/thread.h"

#include "base/assert.h"
#include "base/ending.h"
#include "base/mem.h"
#include "sys/process.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SHORT_SLICE_NS 100000u

static _Thread_local enum role current_role = ROLE_MAIN;

static void *thread_main(void *arg)
{
    struct thread *thread = arg;
    current_role = thread->role;
    pthread_setname_np(pthread_self(), thread->name);
    thread->run(thread->arg);
    return NULL;
}

void thread_start(struct thread *thread, enum role role, const char *name, void (*run)(void *arg),
                  void *arg)
{
    *thread = (struct thread){.role = role, .name = name, .run = run, .arg = arg};
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&thread->handle, NULL, thread_main, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0) {
        char what[128];
        char text[128];
        snprintf(what, sizeof(what), "the system gives no thread for %s", name);
        ending_tell(EXIT_FAILED, what, strerror_r(failed, text, sizeof(text)));
        process_exit_now(EXIT_FAILED);
    }
}

void thread_join(struct thread *thread)
{
    int failed = pthread_join(thread->handle, NULL);
    ASSERT(failed == 0);
}

enum role thread_role(void)
{
    return current_role;
}

void thread_read_last(void)
{
    enum { WHO_PROCESS = 1, BEST_EFFORT = 2, CLASS_SHIFT = 13, LAST = 7 };
    /* A wish: where it is refused, reads wait their turn as all do. */
    (void)syscall(SYS_ioprio_set, WHO_PROCESS, 0, BEST_EFFORT << CLASS_SHIFT | LAST);
}

/* Short slices, for which no right is needed. Linux 6.12 and newer let one with a short slice in
 * before the end of another's longer one; older ones take no notice. The struct is that of
 * sched_setattr(2), which libc has not. */
void thread_run_soon(void)
{
    const struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime_ns, deadline_ns, period_ns;
    } wish = {
        .size = sizeof(wish), .nice = getpriority(PRIO_PROCESS, 0), .runtime_ns = SHORT_SLICE_NS};
    (void)syscall(SYS_sched_setattr, 0, &wish, 0);
}

unsigned thread_cpu_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) != 0) {
        return 1;
    }
    int count = CPU_COUNT(&set);
    return count < 1 ? 1 : (unsigned)count;
}

static struct timespec deadline(int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    return until;
}

void thread_wait_ms(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t ms)
{
    struct timespec until = deadline(ms);
    pthread_cond_clockwait(cond, mutex, CLOCK_MONOTONIC, &until);
}

void event_init(struct event *event)
{
    pthread_mutex_init(&event->mutex, NULL);
    pthread_cond_init(&event->cond, NULL);
    event->set = false;
}

void event_fini(struct event *event)
{
    pthread_cond_destroy(&event->cond);
    pthread_mutex_destroy(&event->mutex);
}

void event_signal(struct event *event)
{
    pthread_mutex_lock(&event->mutex);
    event->set = true;
    pthread_cond_signal(&event->cond);
    pthread_mutex_unlock(&event->mutex);
}

void event_wait(struct event *event, int64_t timeout_ms)
{
    struct timespec until = deadline(timeout_ms < 0 ? 0 : timeout_ms);
    pthread_mutex_lock(&event->mutex);
    while (!event->set) {
        if (timeout_ms < 0) {
            pthread_cond_wait(&event->cond, &event->mutex);
        } else if (pthread_cond_clockwait(&event->cond, &event->mutex, CLOCK_MONOTONIC, &until) ==
                   ETIMEDOUT) {
            break;
        }
    }
    event->set = false;
    pthread_mutex_unlock(&event->mutex);
}

struct pool {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    struct message *oldest;
    struct message *newest;
    size_t queued;
    size_t queue_max;
    bool closing;
    unsigned count;
    struct thread threads[];
};

static void pool_run(void *arg);
static void work_done(struct message *message);

struct pool *pool_open(unsigned threads, size_t queue_max, const char *name)
{
    struct pool *pool = mem_zalloc(1, sizeof(*pool) + threads * sizeof(pool->threads[0]));
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->cond, NULL);
    pool->queue_max = queue_max;
    for (unsigned i = 0; i < threads; i++) {
        thread_start(&pool->threads[i], ROLE_WORKER, name, pool_run, pool);
        pool->count++;
    }
    return pool;
}

void pool_close(struct pool *pool)
{
    if (pool == NULL) {
        return;
    }
    pthread_mutex_lock(&pool->mutex);
    pool->closing = true;
    pthread_cond_broadcast(&pool->cond);
    pthread_mutex_unlock(&pool->mutex);
    for (unsigned i = 0; i < pool->count; i++) {
        thread_join(&pool->threads[i]);
    }
    pthread_cond_destroy(&pool->cond);
    pthread_mutex_destroy(&pool->mutex);
    mem_free(pool);
}

enum err pool_submit(struct pool *pool, struct work *work)
{
    enum err err = OK;
    work->message.run = work_done;
    work->message.next = NULL;
    pthread_mutex_lock(&pool->mutex);
    if (pool->queued >= pool->queue_max || pool->closing) {
        err = ERR_RANGE;
    } else {
        if (pool->oldest == NULL) {
            pool->oldest = &work->message;
        } else {
            pool->newest->next = &work->message;
        }
        pool->newest = &work->message;
        pool->queued++;
        pthread_cond_signal(&pool->cond);
    }
    pthread_mutex_unlock(&pool->mutex);
    return err;
}

size_t pool_queued(struct pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    size_t queued = pool->queued;
    pthread_mutex_unlock(&pool->mutex);
    return queued;
}

static void pool_run(void *arg)
{
    struct pool *pool = arg;
    pthread_mutex_lock(&pool->mutex);
    for (;;) {
        while (pool->oldest == NULL && !pool->closing) {
            pthread_cond_wait(&pool->cond, &pool->mutex);
        }
        struct message *message = pool->oldest;
        if (message == NULL) {
            break;
        }
        pool->oldest = message->next;
        pool->queued--;
        pthread_mutex_unlock(&pool->mutex);
        struct work *work = (struct work *)message; /* message is its first member */
        work->run(work);
        mailbox_post(work->home, &work->message);
        pthread_mutex_lock(&pool->mutex);
    }
    pthread_mutex_unlock(&pool->mutex);
}

static void work_done(struct message *message)
{
    struct work *work = (struct work *)message;
    work->done(work);
}

void thread_pause_ms(unsigned ms)
{
    struct timespec pause = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&pause, NULL);
}
