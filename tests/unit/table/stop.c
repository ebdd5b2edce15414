/* table: a store that is closed while its view is damaged ends as one that runs does. */
#include "world.h"

#include "sys/process.h"

#include <fcntl.h>
#include <glob.h>
#include <sys/wait.h>

#define ROUNDS 20
#define KEYS 40
#define PADDING 20000
#define CLOSING "closing: "

static int told[2]; /* a pipe: why the child ended */

static void tell(enum exit_status status, const char *file, const char *reason)
{
    dprintf(told[1], "%s: %s", file, reason);
    process_exit_now((int)status);
}

/* A table of the view, over the same keys each time. */
static void write_table(struct world *world, struct seat *seat, int64_t round)
{
    for (int i = 0; i < KEYS; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%d", i);
        struct action action = {
            .kind = ACT_PUT, .table = "t", .key = key, .number = round, .padding = PADDING};
        CHECK(run_action(seat, &action) == OK);
    }
    enum err err = view_flush(world->store->view);
    CHECK(err == OK || err == ERR_IO); /* a compaction may have met the damage before */
}

static void flip_in_the_middle(const char *path)
{
    uint8_t byte = 0;
    int fd = open(path, O_RDWR);
    off_t middle = lseek(fd, 0, SEEK_END) / 2;
    CHECK(pread(fd, &byte, 1, middle) == 1);
    byte ^= 0x10;
    CHECK(pwrite(fd, &byte, 1, middle) == 1);
    close(fd);
}

/* The largest, since some hold no item. */
static void damage_a_table(struct world *world, char *name, size_t room)
{
    char pattern[128];
    glob_t found;
    off_t most = 0;
    snprintf(pattern, sizeof(pattern), "%s/view/*.sst", world->dir);
    CHECK(glob(pattern, 0, NULL, &found) == 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        int fd = open(found.gl_pathv[i], O_RDONLY);
        off_t bytes = lseek(fd, 0, SEEK_END);
        close(fd);
        if (bytes > most) {
            most = bytes;
            snprintf(name, room, "%s", found.gl_pathv[i]);
        }
    }
    globfree(&found);
    flip_in_the_middle(name);
}

static void make_damaged(struct world *world, char *name, size_t room)
{
    struct seat seat;
    world_open(world);
    make_table(world->store, "t", STREAM_NEW_AND_OLD);
    seat_init(&seat, world->store);
    write_table(world, &seat, 1); /* too few for a compaction while there is a keeper */
    seat_fini(&seat);
    world_close(world);
    damage_a_table(world, name, room);
}

/* Nobody watches the view any more when the compaction meets the damage. */
static void meet_it_while_closing(struct world *world)
{
    struct seat seat;
    world_open(world);
    seat_init(&seat, world->store);
    keeper_close(world->store->keeper);
    world->store->keeper = NULL;
    for (int64_t round = 2; view_background_errors(world->store->view) == 0 && round <= ROUNDS;
         round++) {
        write_table(world, &seat, round);
        for (int waits = 0; view_background_errors(world->store->view) == 0 && waits < 100;
             waits++) {
            thread_pause_ms(10);
        }
    }
    CHECK(view_background_errors(world->store->view) != 0);
    seat_fini(&seat);
    dprintf(told[1], CLOSING);
    world_close(world);
    process_exit_now(98); /* closed as if nothing were wrong */
}

static void a_store_that_closes_names_the_table_that_is_damaged(void)
{
    struct world world;
    char name[128] = {0};
    char text[2048] = {0};
    int status = 0;
    int names[2];
    world_init(&world);
    world.options.memtable_bytes = 8u << 20; /* no table, so no compaction, while it writes */
    CHECK(pipe(told) == 0 && pipe(names) == 0);
    pid_t child = fork();
    if (child == 0) {
        store_on_fatal(tell);
        make_damaged(&world, name, sizeof(name));
        CHECK(write(names[1], name, sizeof(name)) == sizeof(name));
        meet_it_while_closing(&world);
    }
    close(told[1]);
    close(names[1]);
    CHECK(read(names[0], name, sizeof(name)) == sizeof(name));
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    CHECK(read(told[0], text, sizeof(text) - 1) > 0);
    CHECK(strncmp(text, CLOSING, strlen(CLOSING)) == 0); /* and not of a write before */
    CHECK(strstr(text, name) != NULL && strstr(text, " offset ") != NULL);
    if (strstr(text, name) == NULL) {
        printf("status %d: %s\n", status, text);
    }
    close(told[0]);
    close(names[0]);
    world_remove(&world);
}

int main(void)
{
    RUN(a_store_that_closes_names_the_table_that_is_damaged);
    return CHECK_RESULT();
}
