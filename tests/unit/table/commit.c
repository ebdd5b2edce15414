/* table/commit: many writers at once. Sums are exact, transactions whole, tokens kept, and a group
 * sees its own changes in order; evaluation may be repeated. */
#include "sys/file.h"
#include "world.h"

#define THREADS 8
#define ROUNDS 400

struct worker {
    struct thread thread;
    struct store *store;
    unsigned number;
    uint64_t failed;
    uint64_t repeated;
};

static struct store *open_with_table(struct world *world, enum stream_view view)
{
    world_init(world);
    world->options.repeat_evaluation = true;
    world_open(world);
    make_table(world->store, "t", view);
    return world->store;
}

static void run_workers(struct store *store, void (*run)(void *arg), struct worker *workers)
{
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.store = store, .number = i};
        thread_start(&workers[i].thread, ROLE_WORKER, "test", run, &workers[i]);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        thread_join(&workers[i].thread);
    }
}

/* Several at a time, so that one group holds the same key many times. */
static void count_up(void *arg)
{
    struct worker *worker = arg;
    struct seat seat;
    static const char *keys[] = {"a", "b", "c"};
    seat_init(&seat, worker->store);
    for (unsigned i = 0; i < ROUNDS / 4; i++) {
        struct job jobs[4] = {0};
        for (unsigned j = 0; j < 4; j++) {
            jobs[j].actions[0] = (struct action){
                .kind = ACT_ADD, .table = "t", .key = keys[(i + j) % 3], .number = 1};
            jobs[j].count = 1;
            job_start(&seat, &jobs[j]);
        }
        seat_finish(&seat);
        for (unsigned j = 0; j < 4; j++) {
            worker->failed += jobs[j].err != OK;
            worker->repeated += jobs[j].evaluations > 2;
            arena_fini(&jobs[j].arena);
        }
    }
    seat_fini(&seat);
}

static void counters_from_many_threads_are_exact(void)
{
    struct world world;
    struct worker workers[THREADS];
    struct seat seat;
    struct store_figures figures;
    struct store *store = open_with_table(&world, STREAM_NEW_AND_OLD);
    run_workers(store, count_up, workers);
    seat_init(&seat, store);
    int64_t sum = get(&seat, "t", "a") + get(&seat, "t", "b") + get(&seat, "t", "c");
    CHECK(sum == THREADS * ROUNDS);
    store_figures(store, &figures);
    CHECK(figures.repeated > 0);
    CHECK(figures.commits == THREADS * ROUNDS + 1);
    CHECK(figures.groups < figures.commits);
    CHECK(figures.queue_now == 0);
    seat_fini(&seat);
    world_close(&world);

    world_open(&world);
    seat_init(&seat, world.store);
    CHECK(get(&seat, "t", "a") + get(&seat, "t", "b") + get(&seat, "t", "c") == sum);
    world_end(&world, &seat);
}

/* Moves one from an account to another, both in one commit. */
static void transfer(void *arg)
{
    static const char *keys[] = {"a", "b", "c", "d"};
    struct worker *worker = arg;
    struct seat seat;
    seat_init(&seat, worker->store);
    for (unsigned i = 0; i < ROUNDS / 4; i++) {
        unsigned from = (i + worker->number) % 4;
        unsigned to = (from + 1 + i % 3) % 4;
        struct job job = {
            .actions = {{.kind = ACT_ADD, .table = "t", .key = keys[from], .number = -1},
                        {.kind = ACT_ADD, .table = "t", .key = keys[to], .number = 1}},
            .count = 2};
        worker->failed += job_run(&seat, &job) != OK;
    }
    seat_fini(&seat);
}

/* A transaction whose condition always fails, because it reads two accounts that sum to zero: it
 * must never see a half transfer. */
struct look {
    struct job job; /* first */
    int64_t sum;
    bool slow; /* gives transfers time to pass between its reads */
};

static enum err look_evaluate(struct task *task, struct reader *reader, struct changes *changes)
{
    static const char *keys[] = {"a", "b", "c", "d"};
    struct look *look = (struct look *)task;
    look->sum = 0;
    for (size_t i = 0; i < 4; i++) {
        struct action action = {.kind = ACT_GET, .table = "t", .key = keys[i]};
        if (i == 2 && look->slow) {
            thread_pause_ms(1);
        }
        TRY(act(&look->job, &action, reader, changes));
        look->sum += action.value;
    }
    return ERR_FAULT;
}

static void look_on(void *arg)
{
    struct worker *worker = arg;
    struct seat seat;
    seat_init(&seat, worker->store);
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct look look = {.slow = i % 8 == 0};
        arena_init(&look.job.arena, 0);
        look.job.seat = &seat;
        look.job.task.arena = &look.job.arena;
        look.job.task.evaluate = look_evaluate;
        look.job.task.done = job_done;
        look.job.task.writes = true;
        seat.pending++;
        store_run(&seat.lane, &look.job.task);
        seat_finish(&seat);
        worker->failed += look.sum != 0 || look.job.err != ERR_FAULT;
        arena_fini(&look.job.arena);
    }
    seat_fini(&seat);
}

static void transfer_or_look_on(void *arg)
{
    (((struct worker *)arg)->number % 2 == 0 ? transfer : look_on)(arg);
}

static void transactions_are_whole_to_those_who_write_and_to_those_who_fail(void)
{
    struct world world;
    struct worker workers[THREADS];
    struct seat seat;
    struct store *store = open_with_table(&world, STREAM_NEW_IMAGE);
    run_workers(store, transfer_or_look_on, workers);
    for (unsigned i = 0; i < THREADS; i++) {
        CHECK(workers[i].failed == 0);
    }
    seat_init(&seat, store);
    CHECK(get(&seat, "t", "a") + get(&seat, "t", "b") + get(&seat, "t", "c") +
              get(&seat, "t", "d") ==
          0);
    world_end(&world, &seat);
}

/* All threads want the same new keys: each key goes to exactly one. */
static void claim(void *arg)
{
    struct worker *worker = arg;
    struct seat seat;
    seat_init(&seat, worker->store);
    for (unsigned i = 0; i < ROUNDS; i++) {
        char key[16];
        snprintf(key, sizeof(key), "key%u", i);
        struct job job = {.actions = {{.kind = ACT_PUT,
                                       .table = "t",
                                       .key = key,
                                       .number = worker->number,
                                       .must_be_absent = true}},
                          .count = 1};
        enum err err = job_run(&seat, &job);
        worker->failed += err == ERR_FAULT && job.failed;
        CHECK(err == OK || err == ERR_FAULT);
    }
    seat_fini(&seat);
}

static void a_condition_lets_exactly_one_through(void)
{
    struct world world;
    struct worker workers[THREADS];
    uint64_t failed = 0;
    struct store *store = open_with_table(&world, 0);
    run_workers(store, claim, workers);
    for (unsigned i = 0; i < THREADS; i++) {
        failed += workers[i].failed;
    }
    CHECK(failed == (THREADS - 1) * ROUNDS);
    world_close(&world);
    world_remove(&world);
}

/* One seat proposes everything before the committer may look: one group, evaluated in order. */
static void a_group_sees_its_own_changes(void)
{
    struct world world;
    struct seat seat;
    struct job jobs[6] = {0};
    struct store *store = open_with_table(&world, STREAM_NEW_AND_OLD);
    seat_init(&seat, store);
    jobs[0].actions[0] = (struct action){
        .kind = ACT_PUT, .table = "t", .key = "k", .number = 1, .must_be_absent = true};
    jobs[1].actions[0] = (struct action){
        .kind = ACT_PUT, .table = "t", .key = "k", .number = 2, .must_be_absent = true};
    jobs[2].actions[0] = (struct action){.kind = ACT_ADD, .table = "t", .key = "k", .number = 10};
    jobs[3].actions[0] = (struct action){.kind = ACT_PUT, .table = "t", .key = "k", .number = 5};
    jobs[4].actions[0] = (struct action){.kind = ACT_PUT, .table = "t", .key = "k", .number = 5};
    jobs[5].actions[0] = (struct action){.kind = ACT_ADD, .table = "t", .key = "k", .number = 1};
    for (size_t i = 0; i < 6; i++) {
        jobs[i].count = 1;
        job_start(&seat, &jobs[i]);
    }
    seat_finish(&seat);
    CHECK(jobs[0].err == OK);
    CHECK(jobs[1].err == ERR_FAULT && jobs[1].failed && jobs[1].task.commit == 0);
    CHECK(jobs[2].err == OK && jobs[2].actions[0].value == 11);
    CHECK(jobs[3].err == OK && jobs[3].actions[0].value == 11);
    CHECK(jobs[4].err == OK && jobs[4].task.commit == 0); /* changes nothing */
    CHECK(jobs[5].err == OK && jobs[5].actions[0].value == 6);
    CHECK(jobs[5].task.commit == jobs[3].task.commit + 1);
    CHECK(get(&seat, "t", "k") == 6);
    for (size_t i = 0; i < 6; i++) {
        arena_fini(&jobs[i].arena);
    }
    world_end(&world, &seat);
}

/* An evaluation that is overtaken: between its read and its change somebody else's commit is shown.
 */
struct overtaken {
    struct job job; /* first */
    struct seat *other;
};

static enum err overtaken_evaluate(struct task *task, struct reader *reader,
                                   struct changes *changes)
{
    struct overtaken *overtaken = (struct overtaken *)task;
    TRY(job_evaluate(task, reader, changes));
    return overtaken->job.evaluations == 1 ? put(overtaken->other, "t", "k", 100) : OK;
}

static void a_proposal_that_was_overtaken_is_evaluated_again(void)
{
    struct world world;
    struct seat seat;
    struct seat other;
    struct overtaken late = {
        .job = {.actions = {{.kind = ACT_ADD, .table = "t", .key = "k", .number = 1}}, .count = 1},
        .other = &other};
    struct store *store = open_with_table(&world, 0);
    seat_init(&seat, store);
    seat_init(&other, store);
    job_prepare(&seat, &late.job);
    late.job.task.evaluate = overtaken_evaluate;
    store_run(&seat.lane, &late.job.task);
    seat_finish(&seat);
    CHECK(late.job.err == OK && late.job.evaluations > 1);
    CHECK(get(&seat, "t", "k") == 101);
    arena_fini(&late.job.arena);
    seat_fini(&other);
    world_end(&world, &seat);
}

/* Whoever came before in the group may be answered and gone when the old item is shown. */
static void an_old_item_of_the_same_group_outlives_who_wrote_it(void)
{
    struct world world;
    struct seat seat;
    struct job jobs[2] = {0};
    struct store *store = open_with_table(&world, STREAM_NEW_AND_OLD);
    seat_init(&seat, store);
    for (size_t i = 0; i < 2; i++) {
        jobs[i].actions[0] =
            (struct action){.kind = ACT_ADD, .table = "t", .key = "k", .number = 7};
        jobs[i].count = 1;
        job_start(&seat, &jobs[i]);
    }
    seat_finish(&seat);
    arena_reset(&jobs[0].arena);
    for (size_t i = 0; i < 8; i++) { /* the next request in its memory */
        memset(arena_alloc(&jobs[0].arena, 1024), 0xff, 1024);
    }
    CHECK(jobs[1].err == OK && item_check(jobs[1].actions[0].old_item) == OK);
    CHECK(item_number(jobs[1].actions[0].old_item) == 7);
    for (size_t i = 0; i < 2; i++) {
        arena_fini(&jobs[i].arena);
    }
    world_end(&world, &seat);
}

/* More than a group may hold, and items larger than one. */
static void large_groups_are_split_and_large_commits_go_alone(void)
{
    enum { MANY = 1500 };
    struct world world;
    struct seat seat;
    struct store_figures figures;
    struct store *store = open_with_table(&world, 0);
    struct job *jobs = mem_zalloc(MANY, sizeof(*jobs));
    char(*keys)[16] = mem_zalloc(MANY, sizeof(*keys));
    seat_init(&seat, store);
    for (size_t i = 0; i < MANY; i++) {
        snprintf(keys[i], sizeof(keys[i]), "%zu", i % 1100);
        size_t padding = i == 700 || i == 701 ? 1200000 : 0;
        jobs[i].actions[0] = (struct action){
            .kind = ACT_ADD, .table = "t", .key = keys[i], .number = 1, .padding = padding};
        jobs[i].count = 1;
        job_start(&seat, &jobs[i]);
    }
    seat_finish(&seat);
    for (size_t i = 0; i < MANY; i++) {
        CHECK(jobs[i].err == OK);
        arena_fini(&jobs[i].arena);
    }
    CHECK(get(&seat, "t", "0") == 2);
    CHECK(get(&seat, "t", "1099") == 1);
    CHECK(get(&seat, "t", "700") == 1);
    store_figures(store, &figures);
    CHECK(figures.groups >= 5);
    seat_fini(&seat);
    world_close(&world);
    mem_free(jobs);
    mem_free(keys);
    world_remove(&world);
}

static void a_token_is_known_after_a_restart_and_forgotten_in_time(void)
{
    struct world world;
    struct seat seat;
    struct job job = {.actions = {{.kind = ACT_ADD, .table = "t", .key = "k", .number = 1}},
                      .count = 1};
    struct store *store = open_with_table(&world, STREAM_NEW_IMAGE);
    job.token = "once";
    seat_init(&seat, store);
    CHECK(job_run(&seat, &job) == OK && !job.token_known);
    CHECK(job_run(&seat, &job) == OK && job.token_known);
    CHECK(get(&seat, "t", "k") == 1);
    seat_fini(&seat);
    world_close(&world);

    world_open(&world);
    store = world.store;
    seat_init(&seat, store);
    CHECK(job_run(&seat, &job) == OK && job.token_known);
    CHECK(get(&seat, "t", "k") == 1);

    /* Rows of the past ten minutes stay; later they go, by a commit of their own. */
    uint64_t before = log_visible(store->log);
    uint64_t now = store_token_ms(store);
    store_forget_tokens(store, now);
    CHECK(log_visible(store->log) == before);
    atomic_store(&store->token_ms, now + TOKEN_KEPT_MS + 1000);
    job.token = "twice";
    CHECK(job_run(&seat, &job) == OK && !job.token_known);
    job.token = "once";
    CHECK(job_run(&seat, &job) == OK && !job.token_known);
    CHECK(get(&seat, "t", "k") == 3);
    before = log_visible(store->log);
    store_forget_tokens(store, now + 4 * TOKEN_KEPT_MS);
    CHECK(log_visible(store->log) == before + 1);
    store_forget_tokens(store, now + 4 * TOKEN_KEPT_MS);
    CHECK(log_visible(store->log) == before + 1);
    job.token = "twice";
    CHECK(job_run(&seat, &job) == OK && !job.token_known); /* its row is gone before its time */
    world_end(&world, &seat);
}

/* Two proposals with one token in one group: the second must find the first. */
static void a_token_holds_within_a_group(void)
{
    struct world world;
    struct seat seat;
    struct job jobs[2] = {0};
    struct store *store = open_with_table(&world, 0);
    seat_init(&seat, store);
    for (size_t i = 0; i < 2; i++) {
        jobs[i].actions[0] =
            (struct action){.kind = ACT_ADD, .table = "t", .key = "k", .number = 1};
        jobs[i].count = 1;
        jobs[i].token = "same";
        job_start(&seat, &jobs[i]);
    }
    seat_finish(&seat);
    CHECK(!jobs[0].token_known && jobs[1].token_known);
    CHECK(get(&seat, "t", "k") == 1);
    for (size_t i = 0; i < 2; i++) {
        arena_fini(&jobs[i].arena);
    }
    world_end(&world, &seat);
}

/* A request that began before midnight, so to say, meets its own repetition that was committed
 * after it; the clock may even have been set forward in between. */
static void a_token_of_a_later_time_is_found(void)
{
    static const uint64_t later[] = {1, TOKEN_KEPT_MS + 1, 1000 * (uint64_t)TOKEN_KEPT_MS};
    for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
        struct world world;
        struct seat early;
        struct seat late;
        struct job jobs[2] = {0};
        struct store *store = open_with_table(&world, 0);
        uint64_t boundary = (store_token_ms(store) / TOKEN_KEPT_MS + 2) * TOKEN_KEPT_MS;
        seat_init(&early, store);
        seat_init(&late, store);
        for (size_t j = 0; j < 2; j++) {
            jobs[j].actions[0] =
                (struct action){.kind = ACT_ADD, .table = "t", .key = "k", .number = 1};
            jobs[j].count = 1;
            jobs[j].token = "same";
        }
        atomic_store(&store->token_ms, boundary - 1);
        job_start(&early, &jobs[0]);
        atomic_store(&store->token_ms, boundary - 1 + later[i]);
        CHECK(job_run(&late, &jobs[1]) == OK && !jobs[1].token_known);
        seat_finish(&early);
        CHECK(jobs[0].err == OK && jobs[0].token_known);
        CHECK(get(&early, "t", "k") == 1);
        arena_fini(&jobs[0].arena);
        seat_fini(&late);
        seat_fini(&early);
        world_close(&world);
        world_remove(&world);
    }
}

struct together {
    uint64_t tokens;
    uint64_t alone;
};

static enum err look_at_token(void *arg, const struct log_record *record)
{
    struct together *together = arg;
    if (record->kind == KIND_RECORD_TOKEN) {
        together->tokens++;
        together->alone += record->count != 3;
    }
    return OK;
}

/* A kill between them would do the changes twice, or never. */
static void a_token_is_in_the_commit_of_its_changes(void)
{
    struct world world;
    struct seat seat;
    struct log_report report;
    struct together together = {0};
    char log[80];
    struct job job = {.actions = {{.kind = ACT_ADD, .table = "t", .key = "a", .number = 1},
                                  {.kind = ACT_ADD, .table = "t", .key = "b", .number = 1}},
                      .count = 2,
                      .token = "once"};
    struct store *store = open_with_table(&world, 0);
    seat_init(&seat, store);
    CHECK(job_run(&seat, &job) == OK);
    seat_fini(&seat);
    world_close(&world);
    snprintf(log, sizeof(log), "%s/log", world.dir);
    CHECK(log_scan(log, look_at_token, &together, &report) == OK);
    CHECK(together.tokens == 1 && together.alone == 0);
    world_remove(&world);
}

/* The put was proposed while the table was there; in its group the table's end comes first. */
static void a_table_that_a_group_deletes_takes_no_more_items(void)
{
    struct world world;
    struct seat seat;
    struct delete_job gone = {.name = "t"};
    struct job late = {.actions = {{.kind = ACT_PUT, .table = "t", .key = "k", .number = 1}},
                       .count = 1};
    struct store *store = open_with_table(&world, STREAM_NEW_IMAGE);
    seat_init(&seat, store);
    delete_start(&seat, &gone);
    job_start(&seat, &late);
    seat_finish(&seat);
    CHECK(gone.err == OK && gone.task.commit > 0);
    CHECK(late.err == ERR_FAULT && late.no_table && late.task.commit == 0);
    arena_fini(&gone.arena);
    arena_fini(&late.arena);
    world_end(&world, &seat);
}

/* Admission: what the view's files do not hold yet is bounded, by a wait and then a refusal that
 * changes nothing; a flush makes room. */
static void writes_are_refused_when_too_much_is_unflushed(void)
{
    struct world world;
    struct seat seat;
    struct store_figures figures;
    world_init(&world);
    world.options.throttle_bytes = 256u << 10;
    world_open(&world);
    make_table(world.store, "t", 0);
    seat_init(&seat, world.store);
    enum err err = OK;
    int64_t written = 0;
    while (err == OK && written < 1000) {
        struct action action = {
            .kind = ACT_PUT, .table = "t", .key = "k", .number = written + 1, .padding = 10000};
        err = run_action(&seat, &action);
        written += err == OK;
    }
    CHECK(err == ERR_RANGE && written > 10);
    CHECK(get(&seat, "t", "k") == written);
    store_figures(world.store, &figures);
    CHECK(figures.throttled == 1 && figures.queue_now == 0);
    store_flush(world.store);
    CHECK(put(&seat, "t", "k", -5) == OK);
    CHECK(get(&seat, "t", "k") == -5);
    world_end(&world, &seat);
}

/* The reserve is made larger than the volume. */
static void deletes_are_refused_last_when_the_disk_is_full(void)
{
    struct world world;
    struct seat seat;
    uint64_t left = 0;
    world_begin(&world, &seat, STREAM_NEW_AND_OLD);
    CHECK(put(&seat, "t", "a", 1) == OK && put(&seat, "t", "b", 1) == OK);
    CHECK(volume_free(world.dir, &left) == OK);
    keeper_close(world.store->keeper); /* it alone writes what it sees */
    world.store->keeper = NULL;
    world.store->reserve_bytes = left + left / 2;
    store_watch_space(world.store);
    CHECK(put(&seat, "t", "a", 2) == ERR_FULL);
    CHECK(get(&seat, "t", "a") == 1);
    CHECK(drop(&seat, "t", "a") == OK);
    world.store->reserve_bytes = 4 * left;
    store_watch_space(world.store);
    CHECK(drop(&seat, "t", "b") == ERR_FULL);
    CHECK(get(&seat, "t", "b") == 1);
    world.store->reserve_bytes = 1;
    store_watch_space(world.store);
    CHECK(put(&seat, "t", "a", 3) == OK);
    world_end(&world, &seat);
}

int main(void)
{
    RUN(counters_from_many_threads_are_exact);
    RUN(transactions_are_whole_to_those_who_write_and_to_those_who_fail);
    RUN(a_condition_lets_exactly_one_through);
    RUN(a_group_sees_its_own_changes);
    RUN(a_proposal_that_was_overtaken_is_evaluated_again);
    RUN(an_old_item_of_the_same_group_outlives_who_wrote_it);
    RUN(large_groups_are_split_and_large_commits_go_alone);
    RUN(a_token_is_known_after_a_restart_and_forgotten_in_time);
    RUN(a_token_holds_within_a_group);
    RUN(a_token_of_a_later_time_is_found);
    RUN(a_token_is_in_the_commit_of_its_changes);
    RUN(a_table_that_a_group_deletes_takes_no_more_items);
    RUN(writes_are_refused_when_too_much_is_unflushed);
    RUN(deletes_are_refused_last_when_the_disk_is_full);
    return CHECK_RESULT();
}
