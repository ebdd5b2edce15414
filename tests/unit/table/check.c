/* table: the check of the view's files ends at the first damage, or tells each and goes on; a disk
 * that fails is not called damage. */
#include "bare.h"
#include "table/view_check.h"
#include "table/view_write.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <sys/syscall.h>

#define TABLES 3u
#define ROUNDS 20u

static char unreadable[128]; /* empty: all can be read */

/* In place of libc's. */
ssize_t pread(int fd, void *data, size_t len, off_t at)
{
    char link[64];
    char path[128] = {0};
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    if (unreadable[0] != 0 && readlink(link, path, sizeof(path) - 1) > 0 &&
        strcmp(path, unreadable) == 0) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_pread64, fd, data, len, at);
}

/* ---- a view of three tables, and one of them ---- */

static char table[128];
static off_t table_bytes;

static void make_view(void)
{
    glob_t found;
    char pattern[80];
    view_write_set_calm(false);
    struct view *view = open_view(0);
    for (uint64_t round = 1; round <= TABLES; round++) {
        write_values(view, round);
        CHECK(view_flush(view) == OK);
    }
    view_close(view);
    snprintf(pattern, sizeof(pattern), "%s/*.sst", dir);
    CHECK(glob(pattern, 0, NULL, &found) == 0 && found.gl_pathc == TABLES);
    snprintf(table, sizeof(table), "%.127s", found.gl_pathv[1]);
    globfree(&found);
    int fd = open(table, O_RDONLY);
    table_bytes = lseek(fd, 0, SEEK_END);
    close(fd);
    CHECK(table_bytes > 100000);
}

static void flip(const char *path, off_t at)
{
    uint8_t byte = 0;
    int fd = open(path, O_RDWR);
    CHECK(lseek(fd, at, SEEK_SET) == at && read(fd, &byte, 1) == 1);
    byte ^= 0x10;
    CHECK(pwrite(fd, &byte, 1, at) == 1);
    close(fd);
}

/* ---- the check ---- */

struct told {
    unsigned count;
    char file[256];
    char reason[512];
    unsigned pieces; /* until the check is to end; 0: it is not */
};

static void take_found(void *arg, const char *file, const char *reason)
{
    struct told *told = arg;
    told->count++;
    snprintf(told->file, sizeof(told->file), "%s", file);
    snprintf(told->reason, sizeof(told->reason), "%s", reason);
}

static bool take_read(void *arg, uint64_t bytes)
{
    struct told *told = arg;
    CHECK(bytes > 0);
    return told->pieces == 0 || --told->pieces > 0;
}

/* It ends at what is wrong with the table, and where it goes on it tells that alone. */
static void check_finds(enum err expected, const char *file, const char *reason)
{
    struct told told = {0};
    struct view_check check = {.dir = dir};
    CHECK(view_check_files(&check) == expected);
    if (expected == ERR_DAMAGED) {
        CHECK_BYTES(bytes_cstr(check.file), bytes_cstr(file));
        CHECK(strstr(check.reason, reason) != NULL);
    }
    check = (struct view_check){
        .dir = dir, .live = true, .read = take_read, .found = take_found, .arg = &told};
    CHECK(view_check_files(&check) == OK);
    CHECK(told.count == 1 && strstr(told.reason, reason) != NULL);
    CHECK_BYTES(bytes_cstr(told.file), bytes_cstr(file));
    CHECK(check.tables >= TABLES - 1 && check.bytes > 0);
    if (strstr(told.reason, reason) == NULL) {
        printf("%s: %s\n", told.file, told.reason);
    }
}

static void a_view_that_is_whole_is_read_to_the_last_byte(void)
{
    struct told told = {0};
    make_view();
    struct view_check check = {.dir = dir, .read = take_read, .found = take_found, .arg = &told};
    CHECK(view_check_files(&check) == OK && told.count == 0);
    CHECK(check.tables == TABLES && check.bytes >= TABLES * (uint64_t)VALUES * VALUE);
    remove_view();
}

static void who_counts_the_bytes_can_end_it(void)
{
    struct told told = {.pieces = 2};
    make_view();
    struct view_check check = {.dir = dir, .read = take_read, .found = take_found, .arg = &told};
    CHECK(view_check_files(&check) == ERR_CLOSED && told.count == 0 && check.tables == 0);
    CHECK(check.bytes > 0 && check.bytes < (uint64_t)table_bytes);
    remove_view();
}

static void a_table_of_another_length_is_named(void)
{
    char reason[64];
    make_view();
    CHECK(truncate(table, table_bytes - 1) == 0);
    snprintf(reason, sizeof(reason), "%lld bytes and should have %lld", (long long)table_bytes - 1,
             (long long)table_bytes);
    check_finds(ERR_DAMAGED, table, reason);
    CHECK(truncate(table, 0) == 0);
    check_finds(ERR_DAMAGED, table, "it has 0 bytes");
    remove_view();
}

static void a_table_with_other_bytes_is_named(void)
{
    make_view();
    flip(table, table_bytes / 2);
    check_finds(ERR_DAMAGED, table, "its bytes do not give its checksum: ");
    remove_view();
}

/* It might have been compacted away: only the newest list says that it was not. */
static void a_table_that_is_missing_is_named(void)
{
    make_view();
    CHECK(unlink(table) == 0);
    check_finds(ERR_DAMAGED, table, "it is missing");
    remove_view();
}

static void a_disk_that_fails_is_not_called_damage(void)
{
    make_view();
    snprintf(unreadable, sizeof(unreadable), "%s", table);
    check_finds(ERR_IO, table, "Input/output error");
    unreadable[0] = 0;
    struct view_check check = {.dir = dir};
    CHECK(view_check_files(&check) == OK && check.tables == TABLES);
    remove_view();
}

static void a_view_that_is_not_there_is_not_found(void)
{
    char command[128];
    make_view();
    snprintf(command, sizeof(command), "rm %s/*", dir);
    CHECK(system(command) == 0);
    struct view_check check = {.dir = dir};
    CHECK(view_check_files(&check) == ERR_NOT_FOUND);
    remove_view();
    CHECK(view_check_files(&check) == ERR_NOT_FOUND);
}

/* ---- a compaction that meets it ---- */

/* It reads all of the tables: they overlap. */
static void compact(char *text, size_t room, bool *damaged, bool readable)
{
    struct view *view = open_view_again(0);
    snprintf(unreadable, sizeof(unreadable), "%s", readable ? "" : table);
    for (uint64_t round = TABLES + 1; view_background_errors(view) == 0 && round <= ROUNDS;
         round++) {
        write_values(view, round);
        enum err err = view_flush(view);
        CHECK(err == OK || err == ERR_IO); /* the compaction may have been faster */
        for (int waits = 0; view_background_errors(view) == 0 && waits < 20; waits++) {
            usleep(50000);
        }
    }
    CHECK(view_background_errors(view) != 0);
    *damaged = view_write_error(text, room);
    view_close(view);
    unreadable[0] = 0;
}

static void a_compaction_names_the_table_that_is_damaged(void)
{
    char text[512];
    bool damaged = false;
    make_view();
    flip(table, table_bytes / 2);
    compact(text, sizeof(text), &damaged, true);
    CHECK(damaged && strstr(text, table) != NULL && strstr(text, " offset ") != NULL);
    if (strstr(text, table) == NULL) {
        printf("%s\n", text);
    }
    remove_view();
}

static void a_compaction_that_cannot_read_does_not_call_it_damage(void)
{
    char text[512];
    bool damaged = true;
    make_view();
    compact(text, sizeof(text), &damaged, false);
    CHECK(!damaged && strstr(text, table) != NULL && strstr(text, "Input/output error") != NULL);
    remove_view();
}

/* ---- what a batch changes ---- */

static enum err refuse_second(void *arg, enum view_change change, struct bytes row,
                              struct bytes value)
{
    unsigned *count = arg;
    CHECK(row.len > 0 && (change == VIEW_PUT || value.len == 0));
    return ++*count == 2 ? ERR_RANGE : OK;
}

static void what_is_no_batch_is_damage(void)
{
    unsigned count = 0;
    CHECK(view_check_batch("no batch", 8, refuse_second, &count) == ERR_DAMAGED && count == 0);
    struct view *view = view_open_batch();
    view_put(view, BYTES("a"), BYTES("1"));
    view_delete(view, BYTES("b"));
    view_delete_range(view, BYTES("c"), BYTES("d"));
    CHECK(view_batch_take(view, refuse_second, &count) == ERR_RANGE && count == 2);
    view_close(view);
}

int main(void)
{
    RUN(a_view_that_is_whole_is_read_to_the_last_byte);
    RUN(who_counts_the_bytes_can_end_it);
    RUN(a_table_of_another_length_is_named);
    RUN(a_table_with_other_bytes_is_named);
    RUN(a_table_that_is_missing_is_named);
    RUN(a_disk_that_fails_is_not_called_damage);
    RUN(a_view_that_is_not_there_is_not_found);
    RUN(a_compaction_names_the_table_that_is_damaged);
    RUN(a_compaction_that_cannot_read_does_not_call_it_damage);
    RUN(what_is_no_batch_is_damage);
    return CHECK_RESULT();
}
