/* table: the stream is the log. Records by view type, none for writes that change nothing, closed
 * and dropped streams, and events that are never newer than what their reader sees. */
#include "world.h"

/* A task that reads a stream from a place on. */
struct stream_job {
    struct task task; /* first */
    struct arena arena;
    struct seat *seat;
    const struct stream *stream;
    struct log_place after;
    bool from_trim;
    struct stream_record *records;
    struct log_record *raw;
    size_t count;
    struct log_place reached;
    struct log_place end;
    bool at_end;
    enum err err;
};

static enum err stream_evaluate(struct task *task, struct reader *reader, struct changes *changes)
{
    struct stream_job *job = (struct stream_job *)task;
    (void)changes;
    struct log_read read = {
        .after = job->from_trim ? reader_stream_trim(reader, job->stream) : job->after,
        .hash_high = UINT64_MAX,
        .records_max = 1000,
        .bytes_max = 1u << 20,
        .arena = reader->arena,
    };
    TRY(reader_stream(reader, job->stream, &read));
    job->records = arena_alloc(reader->arena, (read.count + 1) * sizeof(*job->records));
    for (size_t i = 0; i < read.count; i++) {
        TRY(stream_record_decode(job->stream, &read.records[i], &job->records[i]));
    }
    job->raw = read.records;
    job->count = read.count;
    job->reached = read.reached;
    job->at_end = read.at_end;
    job->end = reader_stream_end(reader, job->stream);
    return OK;
}

static void stream_done(struct task *task, enum err err)
{
    struct stream_job *job = (struct stream_job *)task;
    job->err = err;
    job->seat->pending--;
}

static void stream_read(struct seat *seat, struct stream_job *job)
{
    job->seat = seat;
    arena_init(&job->arena, 0);
    job->task.arena = &job->arena;
    job->task.evaluate = stream_evaluate;
    job->task.done = stream_done;
    job->task.writes = false;
    seat->pending++;
    store_run(&seat->lane, &job->task);
    seat_finish(seat);
}

static const struct stream *stream_of(const struct catalogue *catalogue, const char *table)
{
    return catalogue_next_stream(catalogue, BYTES_NONE, bytes_cstr(table));
}

static void records_are_as_the_view_type_says(void)
{
    static const char *tables[] = {"", "keys", "new", "old", "both"};
    struct world world;
    struct seat seat;
    world_init(&world);
    world_open(&world);
    for (int view = STREAM_KEYS_ONLY; view <= STREAM_NEW_AND_OLD; view++) {
        make_table(world.store, tables[view], (enum stream_view)view);
    }
    seat_init(&seat, world.store);
    const struct catalogue *catalogue = store_catalogue_pin(world.store);
    for (int view = STREAM_KEYS_ONLY; view <= STREAM_NEW_AND_OLD; view++) {
        const char *table = tables[view];
        CHECK(put(&seat, table, "k", 1) == OK);
        CHECK(put(&seat, table, "k", 1) == OK); /* changes nothing: no record */
        CHECK(put(&seat, table, "k", 2) == OK);
        CHECK(drop(&seat, table, "k") == OK);
        CHECK(drop(&seat, table, "k") == OK); /* changes nothing: no record */

        struct stream_job job = {.stream = stream_of(catalogue, table), .from_trim = true};
        stream_read(&seat, &job);
        CHECK(job.err == OK && job.count == 3 && job.at_end);
        const struct stream_record *insert = &job.records[0];
        const struct stream_record *modify = &job.records[1];
        const struct stream_record *remove = &job.records[2];
        bool new = view == STREAM_NEW_IMAGE || view == STREAM_NEW_AND_OLD;
        bool old = view == STREAM_OLD_IMAGE || view == STREAM_NEW_AND_OLD;
        CHECK(insert->inserted && !insert->removed && insert->origin == ORIGIN_USER);
        CHECK(!modify->inserted && !modify->removed);
        CHECK(!remove->inserted && remove->removed);
        CHECK(insert->has_new_image == new && !insert->has_old_image);
        CHECK(modify->has_new_image == new && modify->has_old_image == old);
        CHECK(!remove->has_new_image && remove->has_old_image == old);
        CHECK(!new || item_number(insert->new_image) == 1);
        CHECK(!new || item_number(modify->new_image) == 2);
        CHECK(!old || item_number(modify->old_image) == 1);
        CHECK(!old || item_number(remove->old_image) == 2);
        CHECK(new || (insert->new_image.len == 0 && modify->new_image.len == 0));
        CHECK(job.raw[0].commit < job.raw[1].commit && job.raw[1].commit < job.raw[2].commit);
        arena_fini(&job.arena);
    }
    store_catalogue_unpin(world.store, catalogue);
    world_end(&world, &seat);
}

static void a_transaction_is_one_commit_with_its_records_in_order(void)
{
    struct world world;
    struct seat seat;
    world_begin(&world, &seat, STREAM_NEW_IMAGE);
    struct job job = {.actions = {{.kind = ACT_PUT, .table = "t", .key = "a", .number = 1},
                                  {.kind = ACT_PUT, .table = "t", .key = "b", .number = 2},
                                  {.kind = ACT_PUT, .table = "t", .key = "c", .number = 3}},
                      .count = 3,
                      .token = "x"};
    CHECK(job_run(&seat, &job) == OK);
    const struct catalogue *catalogue = store_catalogue_pin(world.store);
    struct stream_job read = {.stream = stream_of(catalogue, "t"), .from_trim = true};
    stream_read(&seat, &read);
    CHECK(read.count == 3);
    for (size_t i = 0; i < read.count; i++) {
        CHECK(read.raw[i].commit == job.task.commit);
        CHECK(item_number(read.records[i].new_image) == (int64_t)i + 1);
    }
    CHECK(read.raw[0].index < read.raw[1].index && read.raw[1].index < read.raw[2].index);
    arena_fini(&read.arena);
    store_catalogue_unpin(world.store, catalogue);
    world_end(&world, &seat);
}

/* Changes of one item in one group, proposed over the same visible state: each old image is the new
 * one of the record before, whatever the proposals had read. */
static void an_old_image_is_the_new_image_before_it(void)
{
    enum { COUNT = 40 };
    struct world world;
    struct seat seat;
    struct job *jobs = mem_zalloc(COUNT, sizeof(*jobs));
    world_begin(&world, &seat, STREAM_NEW_AND_OLD);
    CHECK(put(&seat, "t", "k", 0) == OK);
    for (size_t i = 0; i < COUNT; i++) {
        jobs[i].actions[0] =
            (struct action){.kind = ACT_ADD, .table = "t", .key = "k", .number = (int64_t)i + 1};
        jobs[i].count = 1;
        job_start(&seat, &jobs[i]);
    }
    seat_finish(&seat);
    const struct catalogue *catalogue = store_catalogue_pin(world.store);
    struct stream_job read = {.stream = stream_of(catalogue, "t"), .from_trim = true};
    stream_read(&seat, &read);
    CHECK(read.count == COUNT + 1);
    for (size_t i = 1; i < read.count; i++) {
        CHECK(read.records[i].has_old_image);
        CHECK(bytes_equal(read.records[i].old_image, read.records[i - 1].new_image));
        arena_fini(&jobs[i - 1].arena);
    }
    arena_fini(&read.arena);
    store_catalogue_unpin(world.store, catalogue);
    seat_fini(&seat);
    world_close(&world);
    mem_free(jobs);
    world_remove(&world);
}

static void a_closed_stream_is_read_to_its_end_and_goes_when_it_is_old(void)
{
    struct world world;
    struct seat seat;
    world_begin(&world, &seat, STREAM_KEYS_ONLY);
    CHECK(put(&seat, "t", "a", 1) == OK);
    CHECK(delete_table(world.store, "t") == OK);
    make_table(world.store, "other", STREAM_KEYS_ONLY);
    CHECK(put(&seat, "other", "a", 1) == OK);

    const struct catalogue *catalogue = store_catalogue_pin(world.store);
    struct stream_job job = {.stream = stream_of(catalogue, "t"), .from_trim = true};
    stream_read(&seat, &job);
    CHECK(job.err == OK && job.count == 1 && job.at_end); /* not the record that closed it */
    CHECK(job.end.commit == job.stream->last_commit);
    arena_fini(&job.arena);
    store_catalogue_unpin(world.store, catalogue);
    seat_fini(&seat);
    world_close(&world);

    /* After a restart it is still there; when all of it is old it goes, and stays gone. */
    world_open(&world);
    uint64_t now = store_now_ms(world.store);
    store_trim(world.store, now);
    catalogue = store_catalogue_pin(world.store);
    CHECK(stream_of(catalogue, "t") != NULL);
    /* Hidden wholly, before it is dropped: its end is a place, what was before it is none. */
    store_hide_old(world.store, now + 25 * 3600 * 1000);
    seat_init(&seat, world.store);
    struct stream_job hidden = {.stream = stream_of(catalogue, "t"), .from_trim = true};
    stream_read(&seat, &hidden);
    CHECK(hidden.err == OK && hidden.count == 0 && hidden.at_end);
    CHECK(hidden.reached.commit == hidden.end.commit);
    struct stream_job start = {.stream = stream_of(catalogue, "t"), .after = {1, LOG_INDEX_END}};
    stream_read(&seat, &start);
    CHECK(start.err == ERR_TRIMMED);
    arena_fini(&hidden.arena);
    arena_fini(&start.arena);
    seat_fini(&seat);
    store_catalogue_unpin(world.store, catalogue);
    store_trim(world.store, now + 25 * 3600 * 1000);
    catalogue = store_catalogue_pin(world.store);
    CHECK(stream_of(catalogue, "t") == NULL);
    const struct stream *other = stream_of(catalogue, "other");
    seat_init(&seat, world.store);
    struct stream_job trimmed = {.stream = other, .after = {other->first_commit, LOG_INDEX_END}};
    stream_read(&seat, &trimmed);
    CHECK(trimmed.err == ERR_TRIMMED); /* its own records are old too: hidden at once */
    arena_fini(&trimmed.arena);
    struct stream_job rest = {.stream = other, .from_trim = true};
    stream_read(&seat, &rest);
    CHECK(rest.err == OK && rest.count == 0 && rest.at_end);
    arena_fini(&rest.arena);
    store_catalogue_unpin(world.store, catalogue);
    seat_fini(&seat);
    world_close(&world);

    world_open(&world);
    catalogue = store_catalogue_pin(world.store);
    CHECK(stream_of(catalogue, "t") == NULL);
    CHECK(stream_of(catalogue, "other") != NULL);
    store_catalogue_unpin(world.store, catalogue);
    CHECK(atomic_load(&world.store->trim) >= 5); /* it only advances */
    world_close(&world);
    world_remove(&world);
}

/* Puts that were evaluated over the table before the switch stand after it in the same group. */
static void a_switch_is_exact_in_a_group(void)
{
    enum { COUNT = 10 };
    struct world world;
    struct seat seat;
    struct job jobs[2 * COUNT] = {0};
    struct update_job off = {.seat = &seat, .table = "t", .update = {.close_stream = true}};
    world_begin(&world, &seat, STREAM_KEYS_ONLY);
    for (size_t i = 0; i < 2 * COUNT; i++) {
        if (i == COUNT) {
            arena_init(&off.arena, 0);
            off.task.arena = &off.arena;
            off.task.evaluate = update_evaluate;
            off.task.done = update_done;
            off.task.writes = true;
            seat.pending++;
            store_run(&seat.lane, &off.task);
        }
        jobs[i].actions[0] =
            (struct action){.kind = ACT_ADD, .table = "t", .key = "k", .number = (int64_t)i + 1};
        jobs[i].count = 1;
        job_start(&seat, &jobs[i]);
    }
    seat_finish(&seat);
    const struct catalogue *catalogue = store_catalogue_pin(world.store);
    const struct stream *stream = stream_of(catalogue, "t");
    struct stream_job read = {.stream = stream, .from_trim = true};
    stream_read(&seat, &read);
    CHECK(read.err == OK && read.count == COUNT && read.at_end);
    CHECK(stream->last_commit == off.task.commit);
    for (size_t i = 0; i < 2 * COUNT; i++) {
        CHECK(i < COUNT ? jobs[i].task.commit < off.task.commit
                        : jobs[i].task.commit > off.task.commit);
        arena_fini(&jobs[i].arena);
    }
    arena_fini(&read.arena);
    arena_fini(&off.arena);
    store_catalogue_unpin(world.store, catalogue);
    world_end(&world, &seat);
}

static void check_switched(struct world *world, const uint64_t commits[3])
{
    const struct catalogue *catalogue = store_catalogue_pin(world->store);
    const struct table *table = catalogue_table(catalogue, BYTES("t"));
    const struct stream *first = catalogue_next_stream(catalogue, BYTES_NONE, BYTES("t"));
    const struct stream *second = catalogue_next_stream(catalogue, first->arn, BYTES("t"));
    struct seat seat;
    CHECK(first->last_commit == commits[0] && first->view == STREAM_KEYS_ONLY);
    CHECK(second->first_commit == commits[1] && second->last_commit == commits[2]);
    CHECK(second->view == STREAM_NEW_IMAGE && second->id != first->id);
    CHECK(catalogue_next_stream(catalogue, second->arn, BYTES("t")) == NULL);
    CHECK(table->stream == NULL && bytes_equal(table->latest_stream_arn, second->arn));
    seat_init(&seat, world->store);
    struct stream_job read = {.stream = second, .from_trim = true};
    stream_read(&seat, &read);
    CHECK(read.err == OK && read.count == 1 && read.at_end);
    CHECK(read.count == 1 && item_number(read.records[0].new_image) == 3);
    arena_fini(&read.arena);
    seat_fini(&seat);
    store_catalogue_unpin(world->store, catalogue);
}

static void switched_streams_are_the_same_after_a_kill_and_a_stop(void)
{
    struct world world;
    struct world copy;
    struct seat seat;
    uint64_t commits[3];
    world_init(&world);
    world_init(&copy);
    world_open(&world);
    make_table(world.store, "t", STREAM_KEYS_ONLY);
    seat_init(&seat, world.store);
    CHECK(put(&seat, "t", "a", 1) == OK);
    commits[0] = update_table(world.store, "t", (struct table_update){.close_stream = true});
    CHECK(put(&seat, "t", "a", 2) == OK);
    commits[1] =
        update_table(world.store, "t", (struct table_update){.open_view = STREAM_NEW_IMAGE});
    CHECK(put(&seat, "t", "a", 3) == OK);
    commits[2] = update_table(world.store, "t", (struct table_update){.close_stream = true});
    CHECK(put(&seat, "t", "a", 4) == OK);
    check_switched(&world, commits);
    world_copy(&world, &copy);
    seat_fini(&seat);
    world_close(&world);
    world_open(&copy);
    check_switched(&copy, commits);
    world_close(&copy);
    world_open(&world);
    check_switched(&world, commits);
    world_close(&world);
    world_remove(&world);
    world_remove(&copy);
}

static uint64_t trim_at_open(struct world *world)
{
    world_open(world);
    uint64_t trim = atomic_load(&world->store->trim); /* the keeper has hardly begun */
    world_close(world);
    return trim;
}

/* What a reader was told is too old stays so over a kill, without a commit in between. */
static void what_was_hidden_is_hidden_after_a_start(void)
{
    struct world world;
    struct world copy;
    struct seat seat;
    world_init(&world);
    world_init(&copy);
    world.options.retention_ms = 1;
    copy.options.retention_ms = 1;
    world_open(&world);
    make_table(world.store, "t", STREAM_NEW_IMAGE);
    seat_init(&seat, world.store);
    CHECK(put(&seat, "t", "a", 1) == OK);
    store_trim(world.store, store_now_ms(world.store) + 3600000);
    CHECK(atomic_load(&world.store->trim) == 2);
    world_copy(&world, &copy);
    seat_fini(&seat);
    world_close(&world);
    CHECK(trim_at_open(&copy) == 2);
    world_remove(&world);
    world_remove(&copy);
}

/* Records of t's stream that are not hidden. */
static size_t count_left(struct world *world)
{
    struct seat seat;
    struct stream_job job = {.from_trim = true};
    seat_init(&seat, world->store);
    const struct catalogue *catalogue = store_catalogue_pin(world->store);
    job.stream = stream_of(catalogue, "t");
    stream_read(&seat, &job);
    CHECK(job.err == OK);
    arena_fini(&job.arena);
    store_catalogue_unpin(world->store, catalogue);
    seat_fini(&seat);
    return job.count;
}

/* Days pass and hide a record; then a kill, and the clock stands where it was. The note that
 * remembers it is one commit: it hides nothing itself when it is old. */
static void what_was_hidden_stays_so_over_a_kill_and_a_clock_set_back(void)
{
    const uint64_t day_ms = 86400000;
    struct world world;
    struct world copy;
    struct seat seat;
    world_init(&world);
    world_init(&copy);
    world_open(&world);
    make_table(world.store, "t", STREAM_NEW_IMAGE);
    seat_init(&seat, world.store);
    CHECK(put(&seat, "t", "a", 1) == OK);
    uint64_t written = log_last(world.store->log);
    uint64_t now = store_age_ms(world.store);
    store_hide_old(world.store, now + day_ms / 2);
    CHECK(count_left(&world) == 1 && log_last(world.store->log) == written);
    for (uint64_t days = 2; days < 10; days++) {
        store_hide_old(world.store, now + days * day_ms);
        CHECK(count_left(&world) == 0 && log_last(world.store->log) == written + 1);
    }
    world_copy(&world, &copy);
    seat_fini(&seat);
    world_close(&world);

    world_open(&copy);
    CHECK(count_left(&copy) == 0);
    seat_init(&seat, copy.store);
    CHECK(put(&seat, "t", "a", 2) == OK);
    CHECK(count_left(&copy) == 1); /* nor is anything hidden that is new */
    store_hide_old(copy.store, now);
    CHECK(count_left(&copy) == 1);
    CHECK(store_hiding_ms(copy.store) == now + 2 * day_ms);
    store_hide_old(copy.store, now + 4 * day_ms);
    CHECK(count_left(&copy) == 0);
    seat_fini(&seat);
    world_close(&copy);
    world_remove(&world);
    world_remove(&copy);
}

/* The wall clock is one that is set forward as soon as the store is open: as if the start had been
 * long ago by it. */
static void a_clock_that_is_set_lets_nothing_age(void)
{
    struct world world;
    world_init(&world);
    world_open(&world);
    expirer_close(world.store->expirer); /* both read what is changed here */
    world.store->expirer = NULL;
    keeper_close(world.store->keeper);
    world.store->keeper = NULL;
    uint64_t start = clock_wall_ms();
    uint64_t age = store_age_ms(world.store);
    CHECK(age <= start && start - age < 10000);
    world.store->base.wall_ms -= (uint64_t)3650 * 86400000; /* the wall clock is ten years ahead */
    age = store_age_ms(world.store);
    CHECK(age >= start - (uint64_t)3650 * 86400000 - 10000 && age < start - 86400000);
    world.store->base.wall_ms += (uint64_t)7300 * 86400000; /* and now ten years behind */
    age = store_age_ms(world.store);
    CHECK(age >= start && age - start < 10000);
    world_close(&world);
    world_remove(&world);
}

/* ---- followers ---- */

struct watcher {
    struct log_follower follower; /* first, so that its message is ours */
    struct seat seat;
    const struct stream *stream;
    struct log_place after;
    uint64_t events;
    uint64_t older;
    bool woken;
};

static void watcher_woken(struct message *message)
{
    ((struct watcher *)(void *)message)->woken = true;
}

static void watch_once(struct watcher *watcher)
{
    watcher->woken = false;
    store_follow(watcher->seat.lane.store, &watcher->follower, watcher->stream, watcher->after);
    while (!watcher->woken) {
        event_wait(&watcher->seat.event, -1);
        mailbox_run(&watcher->seat.home);
    }
    struct stream_job job = {.stream = watcher->stream, .after = watcher->after};
    stream_read(&watcher->seat, &job);
    CHECK(job.err == OK);
    for (size_t i = 0; i < job.count; i++) {
        const struct stream_record *event = &job.records[i];
        char key[32];
        struct value value;
        CHECK(item_get(event->new_image, BYTES("pk"), &value));
        snprintf(key, sizeof(key), "%.*s", BYTES_FMT(value.body));
        watcher->older += get(&watcher->seat, "t", key) < item_number(event->new_image);
        watcher->events++;
    }
    watcher->after = job.reached;
    arena_fini(&job.arena);
}

struct writer {
    struct thread thread;
    struct store *store;
    uint64_t count;
};

static void write_events(void *arg)
{
    struct writer *writer = arg;
    struct seat seat;
    seat_init(&seat, writer->store);
    for (uint64_t i = 0; i < writer->count; i += 4) {
        struct job jobs[4] = {0};
        char keys[4][8];
        for (uint64_t j = 0; j < 4; j++) {
            snprintf(keys[j], sizeof(keys[j]), "k%u", (unsigned)((i + j) % 10));
            jobs[j].actions[0] = (struct action){
                .kind = ACT_PUT, .table = "t", .key = keys[j], .number = (int64_t)(i + j)};
            jobs[j].count = 1;
            job_start(&seat, &jobs[j]);
        }
        seat_finish(&seat);
        for (size_t j = 0; j < 4; j++) {
            CHECK(jobs[j].err == OK);
            arena_fini(&jobs[j].arena);
        }
    }
    seat_fini(&seat);
}

static void an_event_is_never_newer_than_what_its_follower_reads(void)
{
    struct world world;
    struct writer writer;
    struct watcher *watcher = mem_zalloc(1, sizeof(*watcher));
    world_init(&world);
    world_open(&world);
    make_table(world.store, "t", STREAM_NEW_IMAGE);
    const struct catalogue *catalogue = store_catalogue_pin(world.store);
    watcher->stream = stream_of(catalogue, "t");
    watcher->after = (struct log_place){watcher->stream->first_commit, LOG_INDEX_END};
    watcher->follower.message.run = watcher_woken;
    watcher->follower.home = &watcher->seat.home;
    seat_init(&watcher->seat, world.store);
    writer = (struct writer){.store = world.store, .count = 20000};
    thread_start(&writer.thread, ROLE_WORKER, "writer", write_events, &writer);
    while (watcher->events < writer.count) {
        watch_once(watcher);
    }
    thread_join(&writer.thread);
    CHECK(watcher->events == writer.count);
    CHECK(watcher->older == 0);
    store_catalogue_unpin(world.store, catalogue);
    seat_fini(&watcher->seat);
    mem_free(watcher);
    world_close(&world);
    world_remove(&world);
}

static void the_end_of_a_stream_wakes_its_follower(void)
{
    struct world world;
    struct watcher *watcher = mem_zalloc(1, sizeof(*watcher));
    world_init(&world);
    world_open(&world);
    make_table(world.store, "t", STREAM_NEW_IMAGE);
    const struct catalogue *catalogue = store_catalogue_pin(world.store);
    watcher->stream = stream_of(catalogue, "t");
    watcher->after = (struct log_place){watcher->stream->first_commit, LOG_INDEX_END};
    watcher->follower.message.run = watcher_woken;
    watcher->follower.home = &watcher->seat.home;
    seat_init(&watcher->seat, world.store);
    store_follow(world.store, &watcher->follower, watcher->stream, watcher->after);
    CHECK(delete_table(world.store, "t") == OK);
    while (!watcher->woken) {
        event_wait(&watcher->seat.event, -1);
        mailbox_run(&watcher->seat.home);
    }
    const struct catalogue *now = store_catalogue_pin(world.store);
    CHECK(stream_of(now, "t")->last_commit == 2);
    store_catalogue_unpin(world.store, now);
    store_catalogue_unpin(world.store, catalogue);
    seat_fini(&watcher->seat);
    mem_free(watcher);
    world_close(&world);
    world_remove(&world);
}

int main(void)
{
    RUN(records_are_as_the_view_type_says);
    RUN(a_transaction_is_one_commit_with_its_records_in_order);
    RUN(an_old_image_is_the_new_image_before_it);
    RUN(a_closed_stream_is_read_to_its_end_and_goes_when_it_is_old);
    RUN(a_switch_is_exact_in_a_group);
    RUN(switched_streams_are_the_same_after_a_kill_and_a_stop);
    RUN(what_was_hidden_is_hidden_after_a_start);
    RUN(what_was_hidden_stays_so_over_a_kill_and_a_clock_set_back);
    RUN(a_clock_that_is_set_lets_nothing_age);
    RUN(an_event_is_never_newer_than_what_its_follower_reads);
    RUN(the_end_of_a_stream_wakes_its_follower);
    return CHECK_RESULT();
}
