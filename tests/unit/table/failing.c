/* table, log: a store's whole life with one call of the system failing, at each place in turn. The
 * life is a process of its own, under tests/fault/hwfail.c: it opens, writes, flushes, cleans,
 * expires, verifies, closes and opens again. Whatever failed, it ends by itself, a read is right or
 * an error, damage is not made up, and the start after it has all that was acknowledged.
 *
 * HW_TEST_EACH: so many places of each kind one by one, then fewer and fewer of them (2; of the
 * log's syncs, which are what an answer stands on, 8). */
#include "world.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
int main(void)
{
    return CHECK_SKIPPED; /* sanitizers stand between a program and a library that is preloaded */
}
#else

#include "sys/library_end.h"
#include "sys/process.h"

#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define KEYS 24
#define ROUNDS 4
#define PADDING 9000
#define BATCH ACTIONS_MAX
#define DUE 1000
#define WORKERS 4u
#define TOLD 1 /* a life that was told of an error and ended itself */
#define DIED 4 /* store_die */

/* Kept outside of what fails: the newest number of each key that was tried and that was
 * acknowledged; -1: deleted. */
struct promises {
    int64_t tried[KEYS];
    int64_t kept[KEYS];
    bool tables_are_there;
};

static const struct {
    const char *name;
    uint64_t retention_ms;
    unsigned one_in; /* of its items are large */
} tables[] = {{"t", 0, 3}, {"litter", 1, 1}, {"due", 1, 100}};

static void key_of(unsigned i, char key[16])
{
    snprintf(key, 16, "k%u", i);
}

/* Is that what the item may hold? */
static bool fits(const struct promises *promises, unsigned i, int64_t number)
{
    return number == promises->kept[i] || number == promises->tried[i];
}

/* ---- the life ---- */

struct life {
    struct world world;
    struct seat seat;
    struct promises *promises;
    char keys[BATCH][16];
    const char *wrong; /* the first promise that was not kept */
};

static void must(struct life *life, bool truth, const char *what)
{
    if (!truth && life->wrong == NULL) {
        life->wrong = what;
    }
}

/* True: go on. An error of the world is no damage. */
static bool went(struct life *life, enum err err)
{
    must(life, err != ERR_DAMAGED, "an error was taken for damage");
    return err == OK;
}

static void die(enum exit_status status, const char *file, const char *reason)
{
    process_exit_now(strlen(file) > 0 && strlen(reason) > 0 ? (int)status : 99);
}

static void library_ended(const char *reason)
{
    die(TOLD, "a library", reason);
}

static bool open_store(struct life *life)
{
    struct world *world = &life->world;
    if (!went(life, store_open(&world->options, &world->store, &world->report))) {
        printf("store_open: %s %s\n", world->report.log.file, world->report.log.reason);
        return false;
    }
    seat_init(&life->seat, world->store);
    return true;
}

static bool close_store(struct life *life)
{
    seat_fini(&life->seat);
    return went(life, store_close(life->world.store));
}

static bool make_tables(struct life *life)
{
    for (size_t i = 0; i < 3; i++) {
        const struct table_definition definition = {
            .name = bytes_cstr(tables[i].name),
            .schema = {.partition = {BYTES("pk"), VALUE_S}},
            .view = STREAM_NEW_AND_OLD,
            .retention_ms = tables[i].retention_ms,
        };
        if (!went(life, store_ensure_table(life->world.store, &definition))) {
            return false;
        }
    }
    return true;
}

static int64_t number_of(int64_t round, unsigned i)
{
    return round == ROUNDS && i % 5 == 0 ? -1 : round;
}

static struct job *job_begin(struct life *life, struct job *job)
{
    *job = (struct job){.count = BATCH};
    for (unsigned i = 0; i < BATCH; i++) {
        job->actions[i].key = life->keys[i];
    }
    return job;
}

static void job_end(struct life *life, struct job *job, bool *done)
{
    *done = went(life, job->err);
    arena_fini(&job->arena);
}

/* BATCH keys from `first` on, of each table in one transaction. */
static void write_batch(struct life *life, unsigned first, int64_t round)
{
    struct job jobs[3];
    bool done[3];
    for (unsigned i = 0; i < BATCH; i++) {
        int64_t number = number_of(round, first + i);
        key_of(first + i, life->keys[i]);
        life->promises->tried[first + i] = number;
    }
    for (unsigned table = 0; table < 3; table++) {
        struct job *job = job_begin(life, &jobs[table]);
        for (unsigned i = 0; i < BATCH; i++) {
            int64_t number = table == 0 ? number_of(round, first + i) : DUE + round;
            job->actions[i].table = tables[table].name;
            job->actions[i].kind = number < 0 ? ACT_DELETE : ACT_PUT;
            job->actions[i].number = number;
            job->actions[i].padding = i % tables[table].one_in == 0 ? PADDING : 0;
        }
        job_start(&life->seat, job);
    }
    seat_finish(&life->seat);
    for (unsigned table = 0; table < 3; table++) {
        job_end(life, &jobs[table], &done[table]);
    }
    for (unsigned i = first; done[0] && i < first + BATCH; i++) {
        life->promises->kept[i] = life->promises->tried[i];
    }
}

static void read_keys(struct life *life)
{
    for (unsigned i = 0; i < KEYS; i++) {
        char key[16];
        struct action action = {.kind = ACT_GET, .table = "t", .key = key};
        key_of(i, key);
        if (went(life, run_action(&life->seat, &action))) {
            must(life, fits(life->promises, i, action.found ? action.value : -1),
                 "an item is not what was written");
        }
    }
}

static bool visit_number(void *arg, struct bytes key, struct bytes item)
{
    (void)key;
    *(bool *)arg &= item_number(item) > 0;
    return true;
}

struct scanning {
    struct task task; /* first */
    const struct stream *stream;
    uint64_t records;
    bool sound;
};

static enum err scan_all(struct task *task, struct reader *reader, struct changes *changes)
{
    struct scanning *scanning = (struct scanning *)task;
    const struct table *table = reader_table(reader, BYTES("t"));
    const struct reader_hashes all = {.hash_high = UINT64_MAX, .cached_bytes_max = 65536};
    (void)changes;
    scanning->sound = true;
    return table == NULL ? ERR_FAULT
                         : reader_scan_table(reader, table, &all, visit_number, &scanning->sound);
}

static enum err read_stream(struct task *task, struct reader *reader, struct changes *changes)
{
    struct scanning *scanning = (struct scanning *)task;
    const struct table *table = reader_table(reader, BYTES("t"));
    (void)changes;
    scanning->records = 0;
    scanning->sound = true;
    if (table == NULL) {
        return ERR_FAULT;
    }
    struct log_read read = {
        .after = reader_stream_trim(reader, table->stream),
        .hash_high = UINT64_MAX,
        .records_max = 10000,
        .bytes_max = 16u << 20,
        .arena = reader->arena,
    };
    TRY(reader_stream(reader, table->stream, &read));
    for (size_t i = 0; i < read.count; i++) {
        struct stream_record record;
        TRY(stream_record_decode(table->stream, &read.records[i], &record));
        scanning->sound &= record.removed || item_number(record.new_image) > 0;
    }
    scanning->records = read.count;
    return OK;
}

static void run_scanning(struct life *life, struct scanning *scanning,
                         enum err (*evaluate)(struct task *task, struct reader *reader,
                                              struct changes *changes))
{
    struct arena arena;
    arena_init(&arena, 0);
    *scanning = (struct scanning){.task = {.arena = &arena, .evaluate = evaluate}};
    if (went(life, task_run_blocking(life->world.store, &scanning->task))) {
        must(life, scanning->sound, "what was read is not what was written");
    }
    arena_fini(&arena);
}

static void write_rounds(struct life *life)
{
    for (int64_t round = 1; round <= ROUNDS; round++) {
        for (unsigned first = 0; first < KEYS; first += BATCH) {
            write_batch(life, first, round);
        }
    }
}

static void expire_due(struct life *life)
{
    static const _Atomic bool never = false;
    struct update_job job = {.table = "due",
                             .update = {.set_expiry = true, .expiry_attribute = BYTES("n")}};
    expirer_close(life->world.store->expirer);
    life->world.store->expirer = NULL;
    arena_init(&job.arena, 0);
    job.task.arena = &job.arena;
    job.task.evaluate = update_evaluate;
    job.task.writes = true;
    (void)went(life, task_run_blocking(life->world.store, &job.task));
    arena_fini(&job.arena);
    store_expire(life->world.store, (uint64_t)2000 * DUE, &never);
}

/* Of sealed segments, most of which is the litter's; one turn of the cleaner at most. */
static void trim_and_clean(struct life *life)
{
    struct log_figures figures = {0};
    store_flush(life->world.store);
    store_trim(life->world.store, store_age_ms(life->world.store) + 1000);
    store_flush(life->world.store);
    for (int tries = 0; figures.cleanings == 0 && tries < 100; tries++) {
        log_figures(life->world.store->log, &figures);
        thread_pause_ms(1);
    }
}

static void scrub(struct life *life)
{
    struct store_scrub state = {.running = 1};
    store_scrub_start(life->world.store, 1u << 30);
    for (int tries = 0; state.running != 0 && tries < 60000; tries++) {
        thread_pause_ms(1);
        store_scrub_state(life->world.store, &state);
    }
    must(life, state.running == 0, "the scrub did not come to its end");
}

static void verify(struct life *life)
{
    char log[80];
    struct log_report report;
    struct store_verify verify = {.log = &report};
    snprintf(log, sizeof(log), "%s/log", life->world.dir);
    if (went(life, log_scan(log, NULL, NULL, &report))) {
        (void)went(life, store_verify(life->world.options.data, &verify));
    }
}

static int end(struct life *life, int status)
{
    if (life->wrong != NULL) {
        printf("%s\n", life->wrong);
    }
    fflush(stdout);
    return life->wrong == NULL ? status : 99;
}

static int live(const char *dir, const char *promises)
{
    static struct life life;
    struct scanning scanning;
    int fd = open(promises, O_RDWR);
    life.promises = mmap(NULL, sizeof(*life.promises), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd < 0 || life.promises == MAP_FAILED) {
        return TOLD; /* that was the call that fails */
    }
    close(fd);
    snprintf(life.world.dir, sizeof(life.world.dir), "%s", dir);
    life.world.options = (struct store_options){.data = life.world.dir,
                                                .region = BYTES("us-east-1"),
                                                .account = BYTES("000000000000"),
                                                .segment_bytes = 256u << 10,
                                                .memtable_bytes = 256u << 10,
                                                .flush_bytes = 256u << 10,
                                                .cache_bytes = 1u << 20,
                                                .tail_bytes = 64u << 10,
                                                .repeat_evaluation = true};
    store_on_fatal(die);
    library_end_call(library_ended);
    if (!open_store(&life)) {
        return end(&life, TOLD);
    }
    if (make_tables(&life)) {
        life.promises->tables_are_there = true;
        write_rounds(&life);
        expire_due(&life);
        trim_and_clean(&life);
        scrub(&life);
        read_keys(&life);
        run_scanning(&life, &scanning, scan_all);
        run_scanning(&life, &scanning, read_stream);
        (void)went(&life, delete_table(life.world.store, "litter"));
    }
    if (!close_store(&life)) {
        return end(&life, TOLD);
    }
    verify(&life);
    if (!open_store(&life)) {
        return end(&life, TOLD);
    }
    if (life.promises->tables_are_there) {
        read_keys(&life);
        run_scanning(&life, &scanning, read_stream);
        write_batch(&life, 0, ROUNDS + 1);
    }
    return end(&life, close_store(&life) ? 0 : TOLD);
}

/* ---- its start, and what is left ---- */

struct trial {
    struct world world;
    struct promises *promises;
    char promises_path[96];
    char hit[96];
    char out[96];
};

static void trial_init(struct trial *trial)
{
    world_init(&trial->world);
    if (access("/dev/shm", W_OK) == 0) { /* a disk's syncs are most of a life */
        CHECK(rmdir(trial->world.dir) == 0);
        snprintf(trial->world.dir, sizeof(trial->world.dir), "/dev/shm/hw-table-XXXXXX");
        CHECK(mkdtemp(trial->world.dir) != NULL);
    }
    snprintf(trial->promises_path, sizeof(trial->promises_path), "%s.promises", trial->world.dir);
    snprintf(trial->hit, sizeof(trial->hit), "%s.hit", trial->world.dir);
    snprintf(trial->out, sizeof(trial->out), "%s.out", trial->world.dir);
    int fd = open(trial->promises_path, O_RDWR | O_CREAT, 0600);
    CHECK(fd >= 0 && ftruncate(fd, sizeof(*trial->promises)) == 0);
    trial->promises =
        mmap(NULL, sizeof(*trial->promises), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(trial->promises != MAP_FAILED);
    close(fd);
    for (unsigned i = 0; i < KEYS; i++) {
        trial->promises->tried[i] = -1;
        trial->promises->kept[i] = -1;
    }
}

static void trial_fini(struct trial *trial)
{
    munmap(trial->promises, sizeof(*trial->promises));
    (void)unlink(trial->promises_path);
    (void)unlink(trial->hit);
    (void)unlink(trial->out);
    world_remove(&trial->world);
}

static void set(const char *name, const char *value)
{
    CHECK(setenv(name, value, 1) == 0);
}

struct kind {
    const char *call; /* and how it fails */
    const char *part; /* of the directory, in which calls count */
    unsigned each;    /* at least */
};

/* The exit status; -1: it ended otherwise. */
static int run_life(struct trial *trial, const char *fault, const char *part)
{
    extern char **environ;
    char name[] = "failing";
    char *const arguments[] = {name, trial->world.dir, trial->promises_path, NULL};
    posix_spawn_file_actions_t actions;
    pid_t child = 0;
    int status = 0;
    char root[96];
    snprintf(root, sizeof(root), "%s%s", trial->world.dir, part);
    set("HWFAIL", fault);
    set("HWFAIL_ROOT", root);
    set("HWFAIL_HIT", trial->hit);
    set("LD_PRELOAD", HWFAIL_LIBRARY);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, trial->out, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    int failed = posix_spawn(&child, "/proc/self/exe", &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    unsetenv("LD_PRELOAD");
    unsetenv("HWFAIL");
    CHECK(failed == 0 && waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void check_kept(struct trial *trial)
{
    char log[80];
    char key[16];
    struct seat seat;
    struct log_report report;
    struct store_verify verify = {.log = &report, .first = 0};
    world_open(&trial->world);
    seat_init(&seat, trial->world.store);
    for (unsigned i = 0; trial->promises->tables_are_there && i < KEYS; i++) {
        key_of(i, key);
        CHECK(fits(trial->promises, i, get(&seat, "t", key)));
    }
    seat_fini(&seat);
    world_close(&trial->world);
    snprintf(log, sizeof(log), "%s/log", trial->world.dir);
    CHECK(log_scan(log, NULL, NULL, &report) == OK);
    CHECK(store_verify(trial->world.dir, &verify) == OK);
}

static void show(const char *path)
{
    char text[4096];
    int fd = open(path, O_RDONLY);
    ssize_t got = fd < 0 ? 0 : read(fd, text, sizeof(text));
    printf("%.*s", (int)(got > 0 ? got : 0), text);
    close(fd);
}

/* False: the life ended before its Nth call of that kind. */
static bool try_fault(const struct kind *kind, unsigned n, bool *survived)
{
    char fault[64];
    struct trial trial;
    int before = check_failures;
    trial_init(&trial);
    snprintf(fault, sizeof(fault), "%s:%u", kind->call, n);
    int status = run_life(&trial, fault, kind->part);
    bool hit = access(trial.hit, F_OK) == 0;
    CHECK(status == 0 || (hit && (status == TOLD || status == DIED)));
    CHECK(status != 0 || trial.promises->kept[0] == ROUNDS + 1 || hit);
    check_kept(&trial);
    if (check_failures != before) {
        printf("after %s in %s/, status %d: ", fault, kind->part, status);
        show(trial.hit);
        show(trial.out);
    }
    *survived = status == 0;
    trial_fini(&trial);
    return hit;
}

static unsigned each(const struct kind *kind)
{
    const char *text = getenv("HW_TEST_EACH");
    unsigned wanted = text == NULL ? 2 : (unsigned)strtoul(text, NULL, 10);
    return wanted > kind->each ? wanted : kind->each;
}

static void try_kind(const struct kind *kind)
{
    unsigned places = 0;
    unsigned survivals = 0;
    bool survived = false;
    for (unsigned n = 1; try_fault(kind, n, &survived); n += 1 + n / each(kind)) {
        places++;
        survivals += survived;
    }
    CHECK(survived && places > 0);
    printf("%s in %s/: %u places, %u survived\n", kind->call, kind->part, places, survivals);
}

/* Most of a life is waiting for the disk: some at once. */
static void one_call_fails_at_each_place(void)
{
    static const struct kind kinds[] = {
        {"open:EMFILE", "", 0},  {"read:EIO", "", 0},      {"read:short", "", 0},
        {"write:EIO", "", 0},    {"write:ENOSPC", "", 0},  {"write:short", "", 0},
        {"sync:EIO", "", 0},     {"rename:EIO", "", 0},    {"unlink:EIO", "", 0},
        {"truncate:EIO", "", 0}, {"close:EIO", "", 0},     {"allocate:ENOSPC", "", 0},
        {"mkdir:ENOSPC", "", 0}, {"map:ENOMEM", "", 0},    {"readdir:EIO", "", 0},
        {"sync:EIO", "/log", 8}, {"thread:EAGAIN", "", 0},
    };
    pid_t workers[WORKERS];
    fflush(stdout);
    for (size_t worker = 0; worker < WORKERS; worker++) {
        workers[worker] = fork();
        if (workers[worker] == 0) {
            for (size_t i = worker; i < sizeof(kinds) / sizeof(kinds[0]); i += WORKERS) {
                try_kind(&kinds[i]);
            }
            fflush(stdout);
            _exit(CHECK_RESULT());
        }
    }
    for (size_t worker = 0; worker < WORKERS; worker++) {
        int status = -1;
        CHECK(waitpid(workers[worker], &status, 0) == workers[worker]);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

int main(int count, char **arguments)
{
    if (count == 3) {
        return live(arguments[1], arguments[2]);
    }
    RUN(one_call_fails_at_each_place);
    return CHECK_RESULT();
}
#endif
