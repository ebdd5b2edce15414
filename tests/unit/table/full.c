/* table/commit on a full disk: the log refuses the group whole, nothing of it is seen, and writes
 * go on when there is room again. Runs on a small volume of its own, in a mount namespace that ends
 * with the process; skipped where that is not allowed. */
#include "world.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

/* In one namespace for all tests: RocksDB's threads stay in the one that they began in. */
static bool mount_volume(struct world *world)
{
    static bool own_namespace;
    own_namespace = own_namespace || (unshare(CLONE_NEWNS) == 0 &&
                                      mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    return own_namespace && mount("tmpfs", world->dir, "tmpfs", 0, "size=24m") == 0;
}

/* Takes all space that is left. */
static void fill_volume(const char *path)
{
    static const uint8_t zeros[4096];
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    while (write(fd, zeros, sizeof(zeros)) > 0) {
    }
    close(fd);
}

static enum err put_padded(struct seat *seat, int64_t number)
{
    struct action action = {
        .kind = ACT_PUT, .table = "t", .key = "k", .number = number, .padding = 50000};
    return run_action(seat, &action);
}

struct volume {
    char data[80];
    char ballast[80];
};

/* A store with table t on a volume of its own; false: that is not allowed here. */
static bool open_on_volume(struct world *world, struct volume *volume)
{
    world_init(world);
    if (!mount_volume(world)) {
        printf("skip: no mount namespace\n");
        world_remove(world);
        return false;
    }
    snprintf(volume->data, sizeof(volume->data), "%s/data", world->dir);
    snprintf(volume->ballast, sizeof(volume->ballast), "%s/ballast", world->dir);
    world->options.data = volume->data;
    /* RocksDB needs no room during the test, and nobody flushes. */
    world->options.memtable_bytes = 64u << 20;
    world->options.throttle_bytes = 256u << 20;
    world->options.repeat_evaluation = true;
    world_open(world);
    keeper_close(world->store->keeper); /* so that only the log finds out */
    world->store->keeper = NULL;
    atomic_store_explicit(&world->store->space, SPACE_AMPLE,
                          memory_order_relaxed); /* it may have looked */
    make_table(world->store, "t", 0);
    return true;
}

static void close_on_volume(struct world *world)
{
    world_close(world);
    CHECK(umount2(world->dir, MNT_DETACH) == 0);
    world_remove(world);
}

static void a_refused_group_did_not_happen(void)
{
    struct world world;
    struct volume volume;
    struct seat seat;
    if (!open_on_volume(&world, &volume)) {
        return;
    }
    seat_init(&seat, world.store);
    CHECK(put(&seat, "t", "other", 1) == OK);
    fill_volume(volume.ballast);

    int64_t written = 0;
    enum err err = OK;
    while (err == OK && written < 200) {
        err = put_padded(&seat, written + 1);
        written += err == OK;
    }
    CHECK(err == ERR_FULL);
    CHECK(get(&seat, "t", "k") == written);
    uint64_t visible = log_visible(world.store->log);

    /* The second is decided over the first, which does not happen: both must say so. */
    struct job jobs[3] = {0};
    jobs[0].actions[0] = (struct action){.kind = ACT_PUT,
                                         .table = "t",
                                         .key = "new",
                                         .number = 1,
                                         .must_be_absent = true,
                                         .padding = 100000};
    jobs[1].actions[0] = jobs[0].actions[0];
    jobs[2].actions[0] =
        (struct action){.kind = ACT_ADD, .table = "t", .key = "other", .number = 5};
    for (size_t i = 0; i < 3; i++) {
        jobs[i].count = 1;
        job_start(&seat, &jobs[i]);
    }
    seat_finish(&seat);
    for (size_t i = 0; i < 3; i++) {
        CHECK(jobs[i].err == ERR_FULL && jobs[i].task.commit == 0);
        arena_fini(&jobs[i].arena);
    }
    struct arena arena;
    arena_init(&arena, 0);
    struct table_definition definition = {.settings =
                                              make_item(&arena, "takes a segment", 0, 900000),
                                          .name = BYTES("late"),
                                          .schema = {.partition = {BYTES("pk"), VALUE_S}}};
    CHECK(store_ensure_table(world.store, &definition) == ERR_FULL);
    CHECK(put(&seat, "late", "k", 1) == ERR_NOT_FOUND);
    CHECK(get(&seat, "t", "new") == -1);
    CHECK(get(&seat, "t", "other") == 1);
    CHECK(log_visible(world.store->log) == visible);

    CHECK(unlink(volume.ballast) == 0);
    for (int tries = 0; err == ERR_FULL && tries < 100; tries++) {
        err = put_padded(&seat, -7);
        thread_pause_ms(err == OK ? 0 : 50);
    }
    CHECK(err == OK);
    CHECK(get(&seat, "t", "k") == -7);
    CHECK(log_visible(world.store->log) == visible + 1);
    CHECK(put(&seat, "late", "k", 1) == ERR_NOT_FOUND);
    CHECK(store_ensure_table(world.store, &definition) == OK);
    CHECK(put(&seat, "late", "k", 1) == OK);
    arena_fini(&arena);
    seat_fini(&seat);
    world_close(&world);
    world_open(&world);
    seat_init(&seat, world.store);
    CHECK(get(&seat, "t", "k") == -7);
    CHECK(get(&seat, "t", "new") == -1);
    CHECK(get(&seat, "late", "k") == 1);
    seat_fini(&seat);
    close_on_volume(&world);
}

/* Makes table "late", in a record that only an empty segment takes. */
static enum err make_late(struct task *task, struct reader *reader, struct changes *changes)
{
    const struct table *made = NULL;
    struct table_definition definition = {
        .settings = make_item(task->arena, "takes a segment", 0, 900000),
        .name = BYTES("late"),
        .schema = {.partition = {BYTES("pk"), VALUE_S}},
    };
    return change_create_table(reader, changes, &definition, &made);
}

/* Writes into table "late" where there is one, more than has room behind its making. */
static enum err write_late(struct task *task, struct reader *reader, struct changes *changes)
{
    bool is_late = reader_table(reader, BYTES("late")) != NULL;
    struct action action = {.kind = ACT_PUT,
                            .table = is_late ? "late" : "t",
                            .key = "k",
                            .number = is_late ? 2 : 1,
                            .padding = is_late ? 300000 : 0};
    return act((struct job *)task, &action, reader, changes);
}

static size_t segments_ready(const struct world *world)
{
    struct log_figures figures;
    log_figures(world->store->log, &figures);
    return figures.segments_ready;
}

static void what_was_left_of_a_refused_group_is_evaluated_again(void)
{
    struct world world;
    struct volume volume;
    struct seat seat;
    struct job jobs[2] = {0};
    int64_t number = 0;
    enum err err = OK;
    if (!open_on_volume(&world, &volume)) {
        return;
    }
    seat_init(&seat, world.store);
    while (segments_ready(&world) == 0) {
        thread_pause_ms(1);
    }
    fill_volume(volume.ballast);
    while (err == OK && segments_ready(&world) > 0) {
        err = put_padded(&seat, --number);
    }
    for (int tries = 0; err == OK && tries < 4; tries++) {
        err = put_padded(&seat,
                         --number); /* so that the last segment has less than the table's record */
    }
    CHECK(err == OK && segments_ready(&world) == 0);

    for (size_t i = 0; i < 2; i++) {
        jobs[i].actions[0].kind = ACT_PUT;
        jobs[i].count = 1;
        job_prepare(&seat, &jobs[i]);
        jobs[i].task.evaluate = i == 0 ? make_late : write_late;
        store_run(&seat.lane, &jobs[i].task);
    }
    seat_finish(&seat);
    CHECK(jobs[0].err == ERR_FULL && jobs[1].err == OK);
    CHECK(get(&seat, "t", "k") == 1);
    CHECK(put(&seat, "late", "k", 1) == ERR_NOT_FOUND);
    for (size_t i = 0; i < 2; i++) {
        arena_fini(&jobs[i].arena);
    }
    CHECK(unlink(volume.ballast) == 0);
    make_table(world.store, "new", 0); /* under the number that the other one did not get */
    CHECK(get(&seat, "new", "k") == -1);
    seat_fini(&seat);
    close_on_volume(&world);
}

static void a_small_volume_has_small_parts(void)
{
    struct world world;
    world_init(&world);
    if (!mount_volume(&world)) {
        printf("skip: no mount namespace\n");
        world_remove(&world);
        return;
    }
    world.options.segment_bytes = 0;
    world.options.memtable_bytes = 0;
    world_open(&world);
    CHECK(world.store->segment_bytes == 24u * (1u << 20) / 64);
    CHECK(world.store->throttle_bytes == 4 * world.store->flush_bytes);
    CHECK(world.store->reserve_bytes == 5 * world.store->segment_bytes);
    close_on_volume(&world);
}

int main(void)
{
    RUN(a_refused_group_did_not_happen);
    RUN(what_was_left_of_a_refused_group_is_evaluated_again);
    RUN(a_small_volume_has_small_parts);
    return CHECK_RESULT();
}
