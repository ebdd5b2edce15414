/* table/commit on a full disk: the log refuses the group whole, nothing of it is seen, and writes
 * go on when there is room again. Runs on a small volume of its own, in a mount namespace that ends
 * with the process; skipped where that is not allowed. */
#include "world.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

static bool mount_volume(struct world *world)
{
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", world->dir, "tmpfs", 0, "size=24m") == 0;
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

static void a_refused_group_did_not_happen(void)
{
    struct world world;
    struct seat seat;
    char data[80];
    char ballast[80];
    world_init(&world);
    if (!mount_volume(&world)) {
        printf("skip a_refused_group_did_not_happen: no mount namespace\n");
        world_remove(&world);
        return;
    }
    snprintf(data, sizeof(data), "%s/data", world.dir);
    snprintf(ballast, sizeof(ballast), "%s/ballast", world.dir);
    world.options.data = data;
    world.options.memtable_bytes = 64u << 20; /* RocksDB needs no room during the test */
    world.options.repeat_evaluation = true;
    world_open(&world);
    keeper_close(world.store->keeper); /* so that only the log finds out */
    world.store->keeper = NULL;
    atomic_store_explicit(&world.store->scarcity, 0, memory_order_relaxed); /* it may have looked */
    make_table(world.store, "t", 0);
    seat_init(&seat, world.store);
    CHECK(put(&seat, "t", "other", 1) == OK);
    fill_volume(ballast);

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

    CHECK(unlink(ballast) == 0);
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
    world_close(&world);
    CHECK(umount2(world.dir, MNT_DETACH) == 0);
    world_remove(&world);
}

int main(void)
{
    RUN(a_refused_group_did_not_happen);
    return CHECK_RESULT();
}
