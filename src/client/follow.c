/* A follower of a stream in this process: see follow.h. It is a small machine on its loop's thread:
 *
 *   reading ── a read-only task of the store: from the tail at once, or, where the place is older
 *   than the tail, on a read worker; comes home to the lane
 *   handing ── the batch goes to the owner
 *   armed   ── at the end of the stream: the next commit of the stream posts the follower's message
 *   ended   ── it cannot go on, and said so
 *
 * Everything happens on that thread, once and in order (client I1, I2, I4), and no callback comes
 * after the end or the closing (client I5, I6).
 *
 * A batch that is not the last is followed by arming too: the log then posts the message at once,
 * so a follower far behind takes turns with the loop's other work. Closing in any state frees it as
 * soon as no message can come any more. */
#include "client/follow.h"

#include "base/assert.h"
#include "base/mem.h"
#include "sys/file.h"

#define BATCH_RECORDS_MAX 1000u
#define BATCH_BYTES_MAX (1u << 20)
#define HOLD_LOOK_MS 10u

enum follow_state { FOLLOW_READING, FOLLOW_HANDING, FOLLOW_ARMED, FOLLOW_ENDED };

struct follow {
    struct task task; /* first: the read */
    struct log_follower follower;
    struct client *client;
    struct follow_options options;
    struct bytes arn; /* of the stream at opening, owned */
    struct arena arena;
    struct log_place place; /* everything up to here was handed over */
    bool placed;            /* false until the first read has found where to start */
    enum follow_state state;
    bool closed; /* by the owner: freed when the state allows */
    /* what a read found, in the arena */
    struct follow_event *events;
    size_t count;
    struct log_place reached;
    bool finished; /* the stream is closed and this is its end */
#ifdef HW_TEST_HOOKS
    struct work pause;
#endif
};

static void start_reading(struct follow *follow);
static enum err evaluate(struct task *task, struct reader *reader, struct changes *changes);
static enum err find_start(struct follow *follow, struct reader *reader,
                           const struct stream *stream);
static enum err take_records(struct follow *follow, const struct stream *stream,
                             const struct log_read *read);
static void read_done(struct task *task, enum err err);
static void hand_over(struct follow *follow);
static void arm(struct follow *follow);
static void woken(struct message *message);
static void end(struct follow *follow, enum err err);
static void destroy(struct follow *follow);

#ifdef HW_TEST_HOOKS
static const char *hold_path; /* set once, before loops start */

void follow_hold_file(const char *path)
{
    hold_path = path;
}

static void pause_run(struct work *work)
{
    (void)work;
    thread_pause_ms(HOLD_LOOK_MS);
}

static void pause_done(struct work *work)
{
    struct follow *follow =
        (struct follow *)(void *)((char *)work - offsetof(struct follow, pause));
    hand_over(follow);
}

/* Held: hand_over is called again after a pause. */
static bool is_held(struct follow *follow)
{
    if (hold_path == NULL || !file_exists(hold_path)) {
        return false;
    }
    struct lane *lane = follow->client->lane;
    follow->pause = (struct work){.home = lane->home, .run = pause_run, .done = pause_done};
    enum err err = pool_submit(store_pool(lane->store), &follow->pause);
    ASSERT(err == OK); /* a test that holds followers does not fill the pool */
    return true;
}
#else
static bool is_held(struct follow *follow)
{
    (void)follow;
    return false;
}
#endif

enum err follow_open(struct client *client, const struct follow_options *options,
                     struct follow **out)
{
    struct store *store = client->lane->store;
    const struct catalogue *catalogue = store_catalogue_pin(store);
    const struct table *table = catalogue_table(catalogue, options->table_name);
    if (table == NULL || table->stream == NULL) {
        store_catalogue_unpin(store, catalogue);
        return ERR_NOT_FOUND;
    }
    struct follow *follow = mem_zalloc(1, sizeof(*follow));
    uint8_t *arn = mem_alloc(table->stream->arn.len);
    memcpy(arn, table->stream->arn.ptr, table->stream->arn.len);
    follow->arn = bytes_of(arn, table->stream->arn.len);
    store_catalogue_unpin(store, catalogue);
    follow->client = client;
    follow->options = *options;
    follow->options.table_name = BYTES_NONE;
    follow->follower.home = client->lane->home;
    follow->follower.message.run = woken;
    follow->placed = options->start == FOLLOW_AFTER;
    follow->place = options->after;
    arena_init(&follow->arena, 0);
    *out = follow;
    start_reading(follow);
    return OK;
}

void follow_close(struct follow *follow)
{
    if (follow == NULL) {
        return;
    }
    ASSERT(!follow->closed);
    ASSERT_OWNER(&follow->client->lane->owner);
    follow->closed = true;
    switch (follow->state) {
    case FOLLOW_READING:
    case FOLLOW_HANDING:
        return; /* freed when the read or the owner's call comes back */
    case FOLLOW_ARMED:
        if (store_unfollow(follow->client->lane->store, &follow->follower)) {
            return; /* the message is on its way */
        }
        break;
    case FOLLOW_ENDED:
        break;
    }
    destroy(follow);
}

struct log_place follow_place(const struct follow *follow)
{
    return follow->place;
}

static void start_reading(struct follow *follow)
{
    ASSERT_OWNER(&follow->client->lane->owner);
    struct task *task = &follow->task;
    arena_reset(&follow->arena);
    follow->state = FOLLOW_READING;
    memset(task, 0, sizeof(*task));
    task->evaluate = evaluate;
    task->done = read_done;
    task->arena = &follow->arena;
    store_run(follow->client->lane, task);
}

/* Reads one batch. May be repeated, so it starts from `place` each time. */
static enum err evaluate(struct task *task, struct reader *reader, struct changes *changes)
{
    struct follow *follow = (struct follow *)task;
    (void)changes;
    follow->events = NULL;
    follow->count = 0;
    follow->finished = false;
    follow->reached = follow->place;
    const struct stream *stream = catalogue_stream(reader->catalogue, follow->arn);
    if (stream == NULL) {
        return ERR_TRIMMED;
    }
    if (!follow->placed) {
        TRY(find_start(follow, reader, stream));
    }
    struct log_read read = {
        .stream = stream->id,
        .after = follow->reached,
        .until = stream->last_commit,
        .hash_high = UINT64_MAX,
        .records_max = BATCH_RECORDS_MAX,
        .bytes_max = BATCH_BYTES_MAX,
        .mode = reader->blocking ? LOG_READ_BLOCKING : LOG_READ_TAIL_ONLY,
        .arena = reader->arena,
    };
    TRY(reader_stream(reader, stream, &read));
    return take_records(follow, stream, &read);
}

static enum err find_start(struct follow *follow, struct reader *reader,
                           const struct stream *stream)
{
    switch (follow->options.start) {
    case FOLLOW_LATEST:
        follow->reached = reader_stream_end(reader, stream);
        break;
    case FOLLOW_TRIM_HORIZON:
        follow->reached = reader_stream_trim(reader, stream);
        break;
    case FOLLOW_AFTER:
        break;
    }
    return OK;
}

static enum err take_records(struct follow *follow, const struct stream *stream,
                             const struct log_read *read)
{
    follow->events = arena_alloc(&follow->arena, (read->count + 1) * sizeof(*follow->events));
    if (follow->events == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < read->count; i++) {
        const struct log_record *record = &read->records[i];
        struct follow_event *event = &follow->events[follow->count];
        if (record->kind != RECORD_ITEM) {
            continue;
        }
        TRY(stream_record_decode(stream, record, &event->record));
        event->place = (struct log_place){record->commit, record->index};
        event->time_ms = record->time_ms;
        event->keys = key_to_item(&stream->schema, event->record.key, &follow->arena);
        if (event->keys.ptr == NULL) {
            return ERR_NOMEM;
        }
        follow->count++;
    }
    follow->reached = read->reached;
    follow->finished = stream->last_commit != UINT64_MAX && read->at_end;
    return OK;
}

static void read_done(struct task *task, enum err err)
{
    struct follow *follow = (struct follow *)task;
    if (err != OK) {
        end(follow, err);
        return;
    }
    follow->state = FOLLOW_HANDING;
    hand_over(follow);
}

static void hand_over(struct follow *follow)
{
    ASSERT_OWNER(&follow->client->lane->owner);
    if (!follow->closed && follow->count > 0) {
        if (is_held(follow)) {
            return;
        }
        follow->options.events(follow->options.arg, follow->events, follow->count);
    }
    follow->place = follow->reached;
    follow->placed = true;
    if (follow->finished || follow->closed) {
        end(follow, ERR_CLOSED);
    } else {
        arm(follow);
    }
}

static void arm(struct follow *follow)
{
    struct store *store = follow->client->lane->store;
    const struct catalogue *catalogue = store_catalogue_pin(store);
    const struct stream *stream = catalogue_stream(catalogue, follow->arn);
    if (stream == NULL) {
        store_catalogue_unpin(store, catalogue);
        end(follow, ERR_TRIMMED);
        return;
    }
    follow->state = FOLLOW_ARMED;
    store_follow(store, &follow->follower, stream, follow->place);
    store_catalogue_unpin(store, catalogue);
}

static void woken(struct message *message)
{
    struct follow *follow =
        (struct follow *)(void *)((char *)message - offsetof(struct follow, follower.message));
    if (follow->closed) {
        destroy(follow);
        return;
    }
    start_reading(follow);
}

/* The owner is told once, and still closes it. */
static void end(struct follow *follow, enum err err)
{
    follow->state = FOLLOW_ENDED;
    if (follow->closed) {
        destroy(follow);
        return;
    }
    follow->options.ended(follow->options.arg, err);
}

static void destroy(struct follow *follow)
{
    arena_fini(&follow->arena);
    mem_free((void *)(uintptr_t)follow->arn.ptr);
    mem_free(follow);
}
