/* The cleaner: a thread that looks through the sealed, flushed segments, a few at a time, for
 * neighbours that are half dead, and has one file written of what is alive in them. It keeps to a
 * rate, so that commits do not wait behind it, and takes no more than an eighth of the room that is
 * left. What it works on is marked as busy: nobody else may free or remove it (log I15, I16, I17).
 */
#include "base/assert.h"
#include "base/mem.h"
#include "base/note.h"
#include "log/log_priv.h"
#include "sys/clock.h"
#include "sys/file.h"

#define WINDOW 256u /* segments looked at in one round */
#define LOADS 4u    /* of them those whose index may be read for it */
#define RUN_MAX 64u /* files that become one */
#define PACE_BYTES (1u << 20)
#define RATE_DEFAULT 64000000u
#define EVERY_DEFAULT_MS 1000u
#define FAILED_ROUNDS 10u /* pause after a failure */
#define FILE_COST 16u /* a file costs as much as such a part of a segment, so small ones merge */

struct looked_at {
    struct segment *segment; /* busy, so it stays; NULL: one that may not be cleaned */
    struct segment copy;
    uint64_t alive;
};

struct cleaner {
    struct log *log;
    struct log_cleaning how;
    struct thread thread;
    struct trims trims;
    struct looked_at window[WINDOW];
    size_t count;
    uint64_t from; /* number at which the window begins */
    bool more;     /* segments behind the window */
    uint64_t unpaced;
};

struct run {
    size_t at;
    size_t count;
    uint64_t alive;
};

static void run_cleaner(void *arg);
static enum err clean_round(struct cleaner *cleaner, bool *cleaned);
static void take_window(struct cleaner *cleaner);
static void weigh_window(struct cleaner *cleaner);
static struct run choose_run(const struct cleaner *cleaner);
static void release_window(struct cleaner *cleaner);
static enum err clean_run(struct cleaner *cleaner, struct run run);

void log_clean(struct log *log, const struct log_cleaning *cleaning)
{
    struct cleaner *cleaner = mem_zalloc(1, sizeof(*cleaner));
    ASSERT(log->cleaner == NULL);
    cleaner->log = log;
    cleaner->how = *cleaning;
    if (cleaner->how.bytes_per_second == 0) {
        cleaner->how.bytes_per_second = RATE_DEFAULT;
    }
    if (cleaner->how.every_ms == 0) {
        cleaner->how.every_ms = EVERY_DEFAULT_MS;
    }
    cleaner->trims.ask = &cleaner->how.trims;
    log->cleaner = cleaner;
    thread_start(&cleaner->thread, ROLE_WORKER, "hw-cleaner", run_cleaner, cleaner);
}

void cleaner_stop(struct log *log)
{
    if (log->cleaner == NULL) {
        return;
    }
    pthread_mutex_lock(&log->mutex);
    log->closing = true;
    pthread_cond_signal(&log->cleaner_wake);
    pthread_mutex_unlock(&log->mutex);
    thread_join(&log->cleaner->thread);
    trims_clear(&log->cleaner->trims);
    mem_free(log->cleaner);
    log->cleaner = NULL;
}

/* False: the log is being closed. Early: also until a flush or a trim point that moved. */
static bool wait_ms(struct cleaner *cleaner, uint64_t ms, bool early)
{
    struct log *log = cleaner->log;
    uint64_t until_ns = clock_mono_ns() + ms * 1000000;
    uint64_t now_ns = clock_mono_ns();
    pthread_mutex_lock(&log->mutex);
    while (!log->closing && now_ns < until_ns && !(early && log->cleaner_news)) {
        thread_wait_ms(&log->cleaner_wake, &log->mutex,
                       (int64_t)((until_ns - now_ns) / 1000000) + 1);
        now_ns = clock_mono_ns();
    }
    log->cleaner_news &= !early;
    bool closing = log->closing;
    pthread_mutex_unlock(&log->mutex);
    return !closing;
}

static void run_cleaner(void *arg)
{
    struct cleaner *cleaner = arg;
    enum err err = OK;
    bool cleaned = false;
    while (err != ERR_CLOSED && err != ERR_BUSY) {
        uint64_t ms = (uint64_t)cleaner->how.every_ms * (err == OK ? 1 : FAILED_ROUNDS);
        if (!cleaned && !wait_ms(cleaner, ms, err == OK)) {
            return;
        }
        err = clean_round(cleaner, &cleaned);
        if (err != OK && err != ERR_CLOSED) {
            NOTE(NOTE_WARN, "log.not_cleaned", NOTE_S("error", err_text(err)),
                 NOTE_S("goes_on", err == ERR_BUSY ? "after a restart" : "yes"));
        }
    }
}

static enum err clean_round(struct cleaner *cleaner, bool *cleaned)
{
    *cleaned = false;
    trims_clear(&cleaner->trims);
    take_window(cleaner);
    weigh_window(cleaner);
    struct run run = choose_run(cleaner);
    enum err err = run.count == 0 ? OK : clean_run(cleaner, run);
    *cleaned = err == OK && run.count > 0;
    release_window(cleaner);
    pthread_mutex_lock(&cleaner->log->mutex);
    cleaner->log->idle_rounds = *cleaned ? 0 : cleaner->log->idle_rounds + 1;
    pthread_mutex_unlock(&cleaner->log->mutex);
    return err;
}

/* ---- what to clean ---- */

/* The newest visible commit is in a segment that stays as it was written (log I10), so recovery
 * begins in one. */
static bool may_clean(const struct log *log, const struct segment *segment)
{
    uint64_t flushed = atomic_load_explicit(&log->flushed, memory_order_relaxed);
    uint64_t visible = atomic_load_explicit(&log->visible, memory_order_relaxed);
    return segment->state == SEGMENT_SEALED && segment->index == NULL && !segment->busy &&
           segment->indexed && !segment->index_refused && !segment->clean_refused &&
           segment->last_commit <= flushed && segment->last_commit < visible;
}

static void take_window(struct cleaner *cleaner)
{
    struct log *log = cleaner->log;
    cleaner->count = 0;
    pthread_mutex_lock(&log->mutex);
    size_t at = segments_bisect(log, segment_is_from, cleaner->from);
    struct segment *segment = at < log->segment_count ? log->by_number[at] : NULL;
    for (; segment != NULL && cleaner->count < WINDOW; segment = segment->next) {
        struct looked_at *one = &cleaner->window[cleaner->count++];
        *one = (struct looked_at){.copy = *segment};
        if (may_clean(log, segment)) {
            segment->busy = true;
            one->segment = segment;
        }
    }
    cleaner->more = segment != NULL;
    pthread_mutex_unlock(&log->mutex);
}

static void release(struct cleaner *cleaner, struct looked_at *one)
{
    struct log *log = cleaner->log;
    if (one->segment != NULL) {
        pthread_mutex_lock(&log->mutex);
        one->segment->busy = false;
        segment_unsettle(log, one->segment);
        pthread_cond_signal(&log->worker_wake); /* it may have been passed over */
        pthread_mutex_unlock(&log->mutex);
        one->segment = NULL;
    }
}

static void release_window(struct cleaner *cleaner)
{
    for (size_t i = 0; i < cleaner->count; i++) {
        release(cleaner, &cleaner->window[i]);
    }
}

/* Readers copy the segment. One that is damaged is noted, and readers meet it; where a read failed,
 * a later round tries again. */
static void learn(struct log *log, const struct looked_at *one)
{
    struct segment_index *index = NULL;
    enum err err = index_load(log, &one->copy, &index);
    struct segment_live *live = err == OK ? live_of(index) : NULL;
    pthread_mutex_lock(&log->mutex);
    one->segment->live = live;
    one->segment->clean_refused = err == ERR_DAMAGED;
    pthread_mutex_unlock(&log->mutex);
    index_free(index);
}

/* What is alive in each. Whose bytes are in a segment is learnt once, a few segments a round; until
 * then it is not cleaned. */
static void weigh_window(struct cleaner *cleaner)
{
    unsigned loads = 0;
    bool learnt = true;
    for (size_t i = 0; i < cleaner->count; i++) {
        struct looked_at *one = &cleaner->window[i];
        if (one->segment == NULL) {
            continue;
        }
        if (one->segment->live == NULL && loads < LOADS) {
            loads++;
            learn(cleaner->log, one);
        }
        if (one->segment->live != NULL) {
            one->alive = live_bytes(one->segment->live, &cleaner->trims);
            continue;
        }
        learnt &= loads < LOADS;
        release(cleaner, one);
    }
    if (learnt) {
        bool last = cleaner->count == 0 || !cleaner->more;
        cleaner->from = last ? 0 : cleaner->window[cleaner->count - 1].copy.last_number + 1;
    }
}

/* Neighbours of which each is half dead, and that together shrink to a half or less. A file has a
 * cost of its own, so that small ones are merged, but each byte is seldom written again. */
static struct run choose_run(const struct cleaner *cleaner)
{
    uint64_t most = cleaner->log->options.segment_bytes;
    uint64_t cost = most / FILE_COST;
    struct run best = {0};
    for (size_t i = 0; i < cleaner->count && best.count == 0; i++) {
        uint64_t size = 0;
        uint64_t alive = 0;
        for (size_t j = i; j < cleaner->count && j - i < RUN_MAX; j++) {
            const struct looked_at *one = &cleaner->window[j];
            uint64_t below = one->copy.clean_below;
            if (one->segment == NULL || (below != 0 && one->alive >= below) ||
                one->alive > (one->copy.size + cost) / 2 || (j > i && alive + one->alive > most)) {
                break;
            }
            size += one->copy.size + cost;
            alive += one->alive;
            if (alive + cost <= size / 2) {
                best = (struct run){i, j - i + 1, alive};
            }
        }
    }
    return best;
}

/* ---- cleaning ---- */

static enum err pace(void *arg, uint64_t bytes)
{
    struct cleaner *cleaner = arg;
    cleaner->unpaced += bytes;
    if (cleaner->unpaced < PACE_BYTES) {
        return OK;
    }
    uint64_t ms = cleaner->unpaced * 1000 / cleaner->how.bytes_per_second;
    cleaner->unpaced = 0;
    return wait_ms(cleaner, ms, false) ? OK : ERR_CLOSED;
}

static bool has_room(const struct log *log, uint64_t bytes)
{
    uint64_t left = 0;
    return volume_free(log->dir, &left) != OK || bytes <= left / 8;
}

static void refuse(struct cleaner *cleaner, struct run run, bool damaged)
{
    pthread_mutex_lock(&cleaner->log->mutex);
    for (size_t i = run.at; i < run.at + run.count; i++) {
        struct looked_at *one = &cleaner->window[i];
        one->segment->clean_refused = damaged;
        one->segment->clean_below = one->alive / 2 + 1;
    }
    pthread_mutex_unlock(&cleaner->log->mutex);
}

/* Gone before what replaces them may be removed: else they would be found alone one day. */
static bool remove_sources(struct log *log, const struct segment *segments, size_t count)
{
    enum err err = OK;
    for (size_t i = 0; i < count; i++) {
        char path[4200];
        segment_file(log, &segments[i], path, sizeof(path));
        enum err removed = file_remove(path);
        err = err != OK ? err : removed;
    }
    enum err synced = directory_sync(log->dir);
    return err == OK && synced == OK;
}

static void tell(const struct segment *made, size_t files, uint64_t before)
{
    NOTE(NOTE_INFO, "log.cleaned", NOTE_U("first", made->number), NOTE_U("last", made->last_number),
         NOTE_U("files", files), NOTE_U("bytes", before), NOTE_U("kept", made->size));
}

static enum err clean_run(struct cleaner *cleaner, struct run run)
{
    struct log *log = cleaner->log;
    struct segment sources[RUN_MAX];
    struct segment *made = mem_zalloc(1, sizeof(*made));
    struct dropped_list dropped = {0};
    uint64_t before = 0;
    for (size_t i = 0; i < run.count; i++) {
        sources[i] = cleaner->window[run.at + i].copy;
        before += sources[i].size;
    }
    const struct cleaning cleaning = {.log = log,
                                      .segments = sources,
                                      .count = run.count,
                                      .trims = &cleaner->trims,
                                      .pace = pace,
                                      .arg = cleaner};
    enum err err = has_room(log, run.alive) ? cleaned_write(&cleaning, made, &dropped) : ERR_FULL;
    if (err == OK) {
        made->busy = true;
        pthread_mutex_lock(&log->mutex);
        for (size_t i = 0; i < dropped.count; i++) {
            dropped_add(&log->dropped, dropped.items[i].stream, dropped.items[i].commit);
        }
        segments_swap(log, cleaner->window[run.at].segment, run.count, made);
        log->figures.cleanings++;
        log->figures.cleaned_bytes += before > made->size ? before - made->size : 0;
        log->figures.kept_bytes += made->size;
        pthread_mutex_unlock(&log->mutex);
        for (size_t i = 0; i < run.count; i++) {
            cleaner->window[run.at + i].segment = NULL; /* freed */
        }
        tell(made, run.count, before);
        struct looked_at swapped = {.segment = made};
        if (remove_sources(log, sources, run.count)) {
            release(cleaner, &swapped);
        }
    } else {
        mem_free(made);
        if (err == ERR_DAMAGED || err == ERR_RANGE) {
            refuse(cleaner, run, err == ERR_DAMAGED);
        }
    }
    mem_free(dropped.items);
    return err == ERR_RANGE ? OK : err;
}
