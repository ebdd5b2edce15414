/* table I15: a compaction that finds no room gives way, is no error of the database, and goes on
 * when there is room. What RocksDB says of it is in our log. */
#include "bare.h"
#include "sys/thread.h"
#include "table/view_write.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>

#define FLOOR (100u << 20)
#define ROOMY (10ull << 30)

static _Atomic uint64_t left = ROOMY;
static _Atomic bool unknown;
static _Atomic unsigned asked;

/* In place of libc's: how much is free on the volume. */
int statvfs(const char *path, struct statvfs *out)
{
    (void)path;
    atomic_fetch_add(&asked, 1);
    if (atomic_load(&unknown)) {
        errno = EIO;
        return -1;
    }
    *out = (struct statvfs){.f_frsize = 1, .f_bavail = atomic_load(&left), .f_blocks = ROOMY};
    return 0;
}

/* Each holds the values of one round; what a compaction has not finished is none. */
static uint64_t count_tables(struct view *view)
{
    return (view_table_bytes(view) + VALUE) / ((uint64_t)VALUES * VALUE);
}

static void check_values(struct view *view, uint64_t round)
{
    struct arena arena;
    uint8_t expected[VALUE];
    uint8_t key[5];
    uint32_t random = 0;
    arena_init(&arena, 0);
    for (unsigned i = 0; i < VALUES; i++) {
        struct bytes value = BYTES_NONE;
        value_of(round, &random, expected);
        key_of(i, key);
        CHECK(view_get(view, bytes_of(key, sizeof(key)), VIEW_BLOCKING, &arena, &value) == OK);
        CHECK(bytes_equal(value, bytes_of(expected, VALUE)));
        arena_reset(&arena);
    }
    arena_fini(&arena);
}

/* As many as one compaction takes. */
static void write_runs(struct view *view)
{
    for (uint64_t round = 1; round <= 4; round++) {
        write_values(view, round);
        CHECK(view_flush(view) == OK);
    }
}

static void wait_for_waits(uint64_t waits)
{
    for (unsigned i = 0; i < 2000 && view_write_waits() < waits; i++) {
        thread_pause_ms(5);
    }
    CHECK(view_write_waits() >= waits);
}

static void wait_until_compacted(struct view *view)
{
    for (unsigned i = 0; i < 2000 && (count_tables(view) > 1 || view_write_is_waiting()); i++) {
        thread_pause_ms(5);
    }
    CHECK(count_tables(view) == 1 && !view_write_is_waiting());
}

/* Where the log lines go; gives what stands for it. */
static int take_notes(const char *path)
{
    int was = dup(2);
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    CHECK(was >= 0 && fd >= 0 && dup2(fd, 2) == 2);
    close(fd);
    return was;
}

static void check_notes(const char *path, int was)
{
    static char text[65536];
    CHECK(dup2(was, 2) == 2);
    close(was);
    int fd = open(path, O_RDONLY);
    ssize_t got = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[got > 0 ? got : 0] = 0;
    CHECK(unlink(path) == 0);
    const char *line = strstr(text, "\"event\":\"view.rocksdb\"");
    CHECK(line != NULL);
    CHECK(strstr(text, "\"level\":\"info\"") == NULL);
    CHECK(line != NULL && strstr(line, "\"message\":\"") != NULL);
    if (line == NULL) {
        printf("%s", text);
    }
}

/* The first piece of 128 KiB does not fit any more; then the output is not even made. */
static void a_compaction_without_room_waits_for_it(void)
{
    char notes[80];
    atomic_store(&left, FLOOR + (100u << 10));
    struct view *view = open_view(FLOOR);
    snprintf(notes, sizeof(notes), "%s.notes", dir);
    int was = take_notes(notes);
    write_runs(view);
    wait_for_waits(2);
    check_notes(notes, was);
    CHECK(view_write_is_waiting());
    CHECK(view_background_errors(view) == 0);
    CHECK(count_tables(view) == 4);
    check_values(view, 4);
    write_values(view, 5);
    CHECK(view_flush(view) == OK && count_tables(view) == 5); /* a flush may have the rest */
    atomic_store(&left, ROOMY);
    wait_until_compacted(view);
    CHECK(view_background_errors(view) == 0);
    check_values(view, 5);
    close_view(view);
}

/* Room that is not there for long: it waits again, and what was there is whole after a restart. */
static void what_a_compaction_left_behind_is_no_part_of_the_view(void)
{
    atomic_store(&left, FLOOR / 2);
    struct view *view = open_view(FLOOR);
    write_runs(view);
    wait_for_waits(1);
    view_close(view);
    view = open_view_again(FLOOR);
    CHECK(view_write_waits() == 0 || view_write_is_waiting()); /* counted anew */
    check_values(view, 4);
    CHECK(count_tables(view) == 4);
    atomic_store(&left, ROOMY);
    wait_until_compacted(view);
    check_values(view, 4);
    close_view(view);
}

static void a_volume_that_cannot_be_asked_is_taken_for_a_large_one(void)
{
    atomic_store(&left, 0);
    atomic_store(&unknown, true);
    atomic_store(&asked, 0);
    struct view *view = open_view(FLOOR);
    write_runs(view);
    wait_until_compacted(view);
    CHECK(view_write_waits() == 0 && atomic_load(&asked) > 0);
    check_values(view, 4);
    close_view(view);
    atomic_store(&unknown, false);
}

int main(void)
{
    RUN(a_compaction_without_room_waits_for_it);
    RUN(what_a_compaction_left_behind_is_no_part_of_the_view);
    RUN(a_volume_that_cannot_be_asked_is_taken_for_a_large_one);
    return CHECK_RESULT();
}
