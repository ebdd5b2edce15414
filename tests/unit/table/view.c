/* table: RocksDB's manifest, which it appends to and syncs, after power cuts and after damage. */
#include "world.h"

#include "table/view_files.h"

#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <sys/stat.h>

static void manifest_path(const struct world *world, char out[PATH_MAX], const char *ending)
{
    char path[PATH_MAX];
    char name[64] = "";
    snprintf(path, sizeof(path), "%s/view/CURRENT", world->dir);
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0 && read(fd, name, sizeof(name) - 1) > 0);
    close(fd);
    snprintf(out, PATH_MAX, "%s/view/%.*s%s", world->dir, (int)strcspn(name, "\n"), name, ending);
}

/* A store with one item in its files. */
static void make_world(struct world *world)
{
    struct seat seat;
    world_init(world);
    world_open(world);
    make_table(world->store, "t", (enum stream_view)0);
    seat_init(&seat, world->store);
    CHECK(put(&seat, "t", "k", 7) == OK);
    seat_fini(&seat);
    world_close(world);
}

static void check_item(struct world *world)
{
    struct seat seat;
    world_open(world);
    seat_init(&seat, world->store);
    CHECK(get(&seat, "t", "k") == 7);
    seat_fini(&seat);
    world_close(world);
}

static void an_end_of_the_manifest_that_was_not_synced_is_cut_off(void)
{
    struct world world;
    char path[PATH_MAX];
    struct stat before;
    struct stat after;
    char garbage[700];
    memset(garbage, 'g', sizeof(garbage));
    make_world(&world);
    manifest_path(&world, path, "");
    CHECK(stat(path, &before) == 0);
    int fd = open(path, O_WRONLY | O_APPEND);
    CHECK(write(fd, garbage, sizeof(garbage)) == sizeof(garbage));
    close(fd);
    char view[PATH_MAX];
    char reason[256] = "";
    snprintf(view, sizeof(view), "%s/view", world.dir);
    CHECK(view_files_prepare(view, reason, sizeof(reason)) == OK);
    CHECK(stat(path, &after) == 0 && after.st_size == before.st_size);
    check_item(&world);
    world_remove(&world);
}

static void a_manifest_that_lost_something_synced_is_damage(void)
{
    struct world world;
    char path[PATH_MAX];
    struct stat status;
    make_world(&world);
    manifest_path(&world, path, "");
    CHECK(stat(path, &status) == 0 && truncate(path, status.st_size - 1) == 0);
    CHECK(store_open(&world.options, &world.store, &world.report) == ERR_DAMAGED);
    CHECK(strstr(world.report.log.reason, "shorter than it was when it was last synced") != NULL);
    CHECK(strstr(world.report.log.reason, "MANIFEST-") != NULL);
    world_remove(&world);
}

/* RocksDB would take a record whose place holds zeros for the end of its block. */
static void a_manifest_with_other_bytes_is_damage(void)
{
    struct world world;
    char path[PATH_MAX];
    struct stat status;
    static const char zeros[64];
    make_world(&world);
    manifest_path(&world, path, "");
    CHECK(stat(path, &status) == 0);
    int fd = open(path, O_WRONLY);
    CHECK(pwrite(fd, zeros, sizeof(zeros), status.st_size - (off_t)sizeof(zeros)) == sizeof(zeros));
    close(fd);
    CHECK(store_open(&world.options, &world.store, &world.report) == ERR_DAMAGED);
    CHECK(strstr(world.report.log.reason, "holds other bytes than when it was last synced") !=
          NULL);
    world_remove(&world);
}

static void a_note_that_says_nothing_is_damage(void)
{
    struct world world;
    char path[PATH_MAX];
    uint8_t byte = 0;
    make_world(&world);
    manifest_path(&world, path, ".synced");
    int fd = open(path, O_RDWR);
    CHECK(pread(fd, &byte, 1, 1) == 1);
    byte ^= 1;
    CHECK(pwrite(fd, &byte, 1, 1) == 1);
    CHECK(store_open(&world.options, &world.store, &world.report) == ERR_DAMAGED);
    CHECK(strstr(world.report.log.reason, ".synced does not say how long") != NULL);
    byte ^= 1;
    CHECK(pwrite(fd, &byte, 1, 1) == 1);
    close(fd);
    check_item(&world);
    world_remove(&world);
}

/* An older version noted the length alone. */
static void a_note_without_a_checksum_is_taken(void)
{
    struct world world;
    char path[PATH_MAX];
    static const char zeros[500];
    make_world(&world);
    manifest_path(&world, path, ".synced");
    int fd = open(path, O_WRONLY);
    CHECK(pwrite(fd, zeros, sizeof(zeros), 12) == sizeof(zeros));
    close(fd);
    check_item(&world);
    world_remove(&world);
}

static void a_manifest_without_a_note_is_taken_as_it_is(void)
{
    struct world world;
    char path[PATH_MAX];
    make_world(&world);
    manifest_path(&world, path, ".synced");
    CHECK(unlink(path) == 0);
    check_item(&world);
    manifest_path(&world, path, ".synced");
    CHECK(truncate(path, 0) == 0); /* made, and the power was cut before the first sync */
    check_item(&world);
    world_remove(&world);
}

/* A note that a power cut left without its manifest goes; one note stays. */
static void notes_do_not_pile_up(void)
{
    struct world world;
    char path[PATH_MAX];
    glob_t found;
    make_world(&world);
    snprintf(path, sizeof(path), "%s/view/MANIFEST-000002.synced", world.dir);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    CHECK(fd >= 0);
    close(fd);
    check_item(&world);
    check_item(&world);
    snprintf(path, sizeof(path), "%s/view/MANIFEST-*.synced", world.dir);
    CHECK(glob(path, 0, NULL, &found) == 0 && found.gl_pathc == 1);
    manifest_path(&world, path, ".synced");
    CHECK(found.gl_pathc == 1 && strcmp(found.gl_pathv[0], path) == 0);
    globfree(&found);
    world_remove(&world);
}

int main(void)
{
    RUN(an_end_of_the_manifest_that_was_not_synced_is_cut_off);
    RUN(a_manifest_that_lost_something_synced_is_damage);
    RUN(a_manifest_with_other_bytes_is_damage);
    RUN(a_note_that_says_nothing_is_damage);
    RUN(a_note_without_a_checksum_is_taken);
    RUN(a_manifest_without_a_note_is_taken_as_it_is);
    RUN(notes_do_not_pile_up);
    return CHECK_RESULT();
}
