/* The scrub: a thread that reads all of log and view while the store is open, so that damage is
 * known while the copies are still there that would mend it (table I16). A pass reads the log with
 * its indexes, compares a sample of rows with it under a snapshot, and reads the view's files. It
 * reads at a bounded rate, behind others, and past the page cache. What is damaged is told and
 * changes nothing else: reads of it fail by themselves, and what is whole is served.
 *
 * The sample holds what the log says up to some commit, and so must the view: the snapshot is taken
 * when the log has been read, and then what was committed up to the snapshot is read too. */
#include "table/table_priv.h"

#include "sys/file.h"

#define FIRST_PASS_MS 3600000u /* after the start, or as long as the interval if that is less */
#define ROW_READ_BYTES 4096u   /* of a row beside its value: a block */
#define BEHIND_NS 100000000u   /* what could not be read is not made up for past this */

struct scrubber {
    struct store *store;
    struct thread thread;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    uint64_t bytes_per_second; /* of the options */
    uint64_t interval_ms;
    /* under the mutex */
    struct store_scrub state;
    uint64_t wanted; /* a pass at so many bytes a second; 0: none */
    bool stopping;
    /* the thread's own */
    uint64_t rate;
    uint64_t due_ns; /* when what was read so far may have been read */
    struct sample *sample;
    uint64_t until; /* commits after it are not in the snapshot */
    bool log_is_whole;
};

static void run_scrubber(void *arg);
static uint64_t wait_for_pass(struct scrubber *scrubber, uint64_t due_ms);
static void run_pass(struct scrubber *scrubber);
static enum err scrub_log(struct scrubber *scrubber);
static enum err compare_rows(struct scrubber *scrubber, struct log_scrub *log);
static enum err scrub_view(struct scrubber *scrubber);
static enum err pace(struct scrubber *scrubber, uint64_t bytes);
static enum err charge(struct scrubber *scrubber, uint64_t bytes);
static void tell_view(struct scrubber *scrubber, const char *file, const char *reason);
static void tell(struct scrubber *scrubber, const char *file, uint64_t offset, const char *reason);

struct scrubber *scrubber_open(struct store *store, uint64_t bytes_per_second, uint64_t interval_ms)
{
    struct scrubber *scrubber = mem_zalloc(1, sizeof(*scrubber));
    scrubber->store = store;
    scrubber->bytes_per_second = bytes_per_second;
    scrubber->interval_ms = interval_ms;
    pthread_mutex_init(&scrubber->mutex, NULL);
    pthread_cond_init(&scrubber->cond, NULL);
    thread_start(&scrubber->thread, ROLE_WORKER, "scrubber", run_scrubber, scrubber);
    return scrubber;
}

void scrubber_close(struct scrubber *scrubber)
{
    if (scrubber == NULL) {
        return;
    }
    pthread_mutex_lock(&scrubber->mutex);
    scrubber->stopping = true;
    pthread_cond_signal(&scrubber->cond);
    pthread_mutex_unlock(&scrubber->mutex);
    thread_join(&scrubber->thread);
    pthread_mutex_destroy(&scrubber->mutex);
    pthread_cond_destroy(&scrubber->cond);
    mem_free(scrubber);
}

void store_scrub_start(struct store *store, uint64_t bytes_per_second)
{
    struct scrubber *scrubber = store->scrubber;
    pthread_mutex_lock(&scrubber->mutex);
    if (scrubber->state.running == 0) {
        scrubber->wanted = bytes_per_second > 0 ? bytes_per_second : scrubber->bytes_per_second;
        scrubber->state.running = 1; /* who asks now and then looks sees the pass */
        pthread_cond_signal(&scrubber->cond);
    }
    pthread_mutex_unlock(&scrubber->mutex);
}

void store_scrub_state(struct store *store, struct store_scrub *out)
{
    struct scrubber *scrubber = store->scrubber;
    pthread_mutex_lock(&scrubber->mutex);
    *out = scrubber->state;
    pthread_mutex_unlock(&scrubber->mutex);
    out->bytes_all = out->bytes_all > out->bytes ? out->bytes_all : out->bytes;
}

/* ---- the thread ---- */

static uint64_t mono_ms(void)
{
    return clock_mono_ns() / 1000000;
}

static void run_scrubber(void *arg)
{
    struct scrubber *scrubber = arg;
    uint64_t first = scrubber->interval_ms < FIRST_PASS_MS ? scrubber->interval_ms : FIRST_PASS_MS;
    uint64_t due_ms = mono_ms() + first;
    thread_read_last();
    while ((scrubber->rate = wait_for_pass(scrubber, due_ms)) > 0) {
        due_ms = mono_ms() + scrubber->interval_ms;
        run_pass(scrubber);
    }
}

/* At how many bytes a second; 0: the store closes. */
static uint64_t wait_for_pass(struct scrubber *scrubber, uint64_t due_ms)
{
    uint64_t rate = 0;
    pthread_mutex_lock(&scrubber->mutex);
    while (rate == 0 && !scrubber->stopping) {
        uint64_t now = mono_ms();
        if (scrubber->wanted > 0) {
            rate = scrubber->wanted;
        } else if (scrubber->interval_ms == 0) {
            pthread_cond_wait(&scrubber->cond, &scrubber->mutex);
        } else if (now < due_ms) {
            thread_wait_ms(&scrubber->cond, &scrubber->mutex, (int64_t)(due_ms - now));
        } else {
            rate = scrubber->bytes_per_second;
        }
    }
    scrubber->wanted = 0;
    if (rate > 0) {
        scrubber->state = (struct store_scrub){.running = 1,
                                               .passes = scrubber->state.passes,
                                               .ended_s = scrubber->state.ended_s,
                                               .damages_total = scrubber->state.damages_total,
                                               .started_s = clock_wall_ms() / 1000};
    }
    rate = scrubber->stopping ? 0 : rate;
    pthread_mutex_unlock(&scrubber->mutex);
    return rate;
}

static void check_format(struct scrubber *scrubber)
{
    struct store_report report = {0};
    struct store_format format;
    enum err err = store_read_format(scrubber->store->data, &format, &report);
    if (err != OK) {
        bool damaged = err == ERR_DAMAGED;
        snprintf(report.log.file, sizeof(report.log.file), "%.240s/FORMAT", scrubber->store->data);
        tell(scrubber, report.log.file, 0,
             damaged                ? report.log.reason
             : err == ERR_NOT_FOUND ? "it is missing"
                                    : file_failure());
    }
}

static void run_pass(struct scrubber *scrubber)
{
    struct store_scrub *state = &scrubber->state;
    uint64_t bytes_all =
        log_scrub_bytes(scrubber->store->log) + view_table_bytes(scrubber->store->view);
    pthread_mutex_lock(&scrubber->mutex);
    state->bytes_all = bytes_all;
    pthread_mutex_unlock(&scrubber->mutex);
    scrubber->due_ns = clock_mono_ns();
    check_format(scrubber);
    enum err err = scrub_log(scrubber);
    err = err != OK ? err : scrub_view(scrubber);
    pthread_mutex_lock(&scrubber->mutex);
    state->running = 0;
    if (err == OK) {
        state->bytes_all = state->bytes;
        state->passes++;
        state->ended_s = clock_wall_ms() / 1000;
    }
    struct store_scrub ended = *state;
    pthread_mutex_unlock(&scrubber->mutex);
    NOTE(ended.damages == 0 ? NOTE_INFO : NOTE_ERROR, "scrub.ended",
         NOTE_U("whole_pass", err == OK), NOTE_U("bytes", ended.bytes),
         NOTE_U("records", ended.records), NOTE_U("tables", ended.tables),
         NOTE_U("rows", ended.rows), NOTE_U("damages", ended.damages));
}

/* ---- the log, and rows of the view ---- */

static enum err log_read_piece(void *arg, uint64_t bytes)
{
    return charge(arg, bytes);
}

static void log_is_damaged(void *arg, const struct log_report *report)
{
    struct scrubber *scrubber = arg;
    scrubber->log_is_whole = false;
    tell(scrubber, report->file, report->offset, report->reason);
}

static enum err take_record(void *arg, const struct log_record *record)
{
    struct scrubber *scrubber = arg;
    pthread_mutex_lock(&scrubber->mutex);
    scrubber->state.records++;
    pthread_mutex_unlock(&scrubber->mutex);
    return record->commit <= scrubber->until ? sample_add(scrubber->sample, record) : OK;
}

static enum err scrub_log(struct scrubber *scrubber)
{
    const struct log_scrub_options options = {
        .read = log_read_piece, .damaged = log_is_damaged, .fn = take_record, .arg = scrubber};
    struct log_scrub *log = log_scrub_new(scrubber->store->log, &options);
    scrubber->sample = sample_new();
    scrubber->until = UINT64_MAX;
    scrubber->log_is_whole = true;
    enum err err = log_scrub_run(log);
    err = err != OK || !scrubber->log_is_whole ? err : compare_rows(scrubber, log);
    sample_free(scrubber->sample);
    log_scrub_free(log);
    return err;
}

static enum err compare_one(void *arg, uint64_t bytes)
{
    struct scrubber *scrubber = arg;
    TRY(pace(scrubber, ROW_READ_BYTES + bytes));
    pthread_mutex_lock(&scrubber->mutex);
    scrubber->state.rows++;
    pthread_mutex_unlock(&scrubber->mutex);
    return OK;
}

/* A commit is in the view a little before it is shown. */
static enum err wait_until_visible(struct scrubber *scrubber, uint64_t commit)
{
    while (log_visible(scrubber->store->log) < commit) {
        TRY(pace(scrubber, 0));
        thread_pause_ms(1);
    }
    return OK;
}

/* Compares nothing where the log turned out to be damaged: what it says last is not known. */
static enum err compare_rows(struct scrubber *scrubber, struct log_scrub *log)
{
    struct store *store = scrubber->store;
    struct view_state state = {0};
    char reason[sizeof(scrubber->state.told[0].reason)];
    char file[sizeof(scrubber->state.told[0].file)];
    struct view_snapshot *snapshot = view_snapshot_open(store->view);
    view_snapshot_keep_cache(snapshot);
    enum err err = view_snapshot_state(snapshot, &state);
    snprintf(reason, sizeof(reason), "its state row cannot be read");
    if (err == OK) {
        scrubber->until = state.applied;
        err = wait_until_visible(scrubber, state.applied);
        err = err != OK ? err : log_scrub_run(log);
        bool comparable = err == OK && scrubber->log_is_whole;
        err = !comparable ? err
                          : sample_compare(scrubber->sample, log_scrub_gone(log), snapshot,
                                           compare_one, scrubber, reason, sizeof(reason));
    }
    view_snapshot_close(snapshot);
    if (err != OK && err != ERR_CLOSED) {
        snprintf(file, sizeof(file), "%.240s/view", store->data);
        tell_view(scrubber, file, reason);
        err = OK;
    }
    return err;
}

/* ---- the view's files ---- */

static bool view_read_piece(void *arg, uint64_t bytes)
{
    return charge(arg, bytes) == OK;
}

static void table_is_damaged(void *arg, const char *file, const char *reason)
{
    tell_view(arg, file, reason);
}

static enum err scrub_view(struct scrubber *scrubber)
{
    char dir[4096];
    struct view_check check = {.dir = dir,
                               .live = true,
                               .read = view_read_piece,
                               .found = table_is_damaged,
                               .arg = scrubber};
    snprintf(dir, sizeof(dir), "%s/view", scrubber->store->data);
    enum err err = view_check_files(&check);
    if (err == ERR_NOT_FOUND) { /* nothing of it was ever flushed */
        err = OK;
    } else if (err != OK && err != ERR_CLOSED) {
        tell_view(scrubber, check.file, err == ERR_DAMAGED ? check.reason : file_failure());
        err = OK;
    }
    pthread_mutex_lock(&scrubber->mutex);
    scrubber->state.tables = check.tables;
    pthread_mutex_unlock(&scrubber->mutex);
    return err;
}

/* ---- pace, and what is told ---- */

/* Waits until so many bytes more may have been read. What a busy disk kept from being read is not
 * read the faster for it afterwards. */
static enum err pace(struct scrubber *scrubber, uint64_t bytes)
{
    uint64_t now = clock_mono_ns();
    scrubber->due_ns = scrubber->due_ns + BEHIND_NS < now ? now - BEHIND_NS : scrubber->due_ns;
    scrubber->due_ns += (uint64_t)((double)bytes * 1e9 / (double)scrubber->rate);
    pthread_mutex_lock(&scrubber->mutex);
    while (!scrubber->stopping && now + 1000000 <= scrubber->due_ns) {
        thread_wait_ms(&scrubber->cond, &scrubber->mutex,
                       (int64_t)((scrubber->due_ns - now) / 1000000));
        now = clock_mono_ns();
    }
    bool stopping = scrubber->stopping;
    pthread_mutex_unlock(&scrubber->mutex);
    return stopping ? ERR_CLOSED : OK;
}

static enum err charge(struct scrubber *scrubber, uint64_t bytes)
{
    pthread_mutex_lock(&scrubber->mutex);
    scrubber->state.bytes += bytes;
    pthread_mutex_unlock(&scrubber->mutex);
    return pace(scrubber, bytes);
}

/* The view is made from the log, if that still begins with the first commit. */
static void tell_view(struct scrubber *scrubber, const char *file, const char *reason)
{
    char text[sizeof(scrubber->state.told[0].reason)];
    snprintf(text, sizeof(text),
             "%.300s. Restore the data directory from a copy, or, where the log begins with commit "
             "1, stop the server and move the view aside: it is made again.",
             reason);
    tell(scrubber, file, 0, text);
}

static void tell(struct scrubber *scrubber, const char *file, uint64_t offset, const char *reason)
{
    struct store_scrub *state = &scrubber->state;
    NOTE(NOTE_ERROR, "scrub.damaged", NOTE_S("file", file), NOTE_U("offset", offset),
         NOTE_S("reason", reason));
    pthread_mutex_lock(&scrubber->mutex);
    if (state->damages < STORE_SCRUB_TOLD_MAX) {
        struct store_scrub_damage *damage = &state->told[state->damages];
        damage->offset = offset;
        snprintf(damage->file, sizeof(damage->file), "%.255s", file);
        snprintf(damage->reason, sizeof(damage->reason), "%.511s", reason);
    }
    state->damages++;
    state->damages_total++;
    pthread_mutex_unlock(&scrubber->mutex);
}
