/* fault: what a simulated power cut may leave, and what it may not. Each play is a small process
 * under libhwfault.so that ends without a word; hwfault-cut then takes a seed, and what is left is
 * looked at. Over all seeds nothing forbidden may be seen, and everything that is allowed must be:
 * a cut that never loses anything would prove nothing. */
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEEDS 80
#define SECTOR 512
#define WIDE (8 * SECTOR)

static char bin[PATH_MAX]; /* where the library and the command are */
static char self[PATH_MAX];
static char top[64];

/* ---- the plays: run in the watched directory ---- */

static void must(bool done, const char *what)
{
    if (!done) {
        perror(what);
        _exit(1);
    }
}

static int make(const char *path, int flags)
{
    int fd = open(path, O_RDWR | O_CREAT | flags, 0600);
    must(fd >= 0, path);
    return fd;
}

static void fill(int fd, char letter, size_t len, off_t at)
{
    char *bytes = malloc(len);
    memset(bytes, letter, len);
    must(pwrite(fd, bytes, len, at) == (ssize_t)len, "pwrite");
    free(bytes);
}

static void sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY);
    must(fd >= 0 && fsync(fd) == 0, "fsync of a directory");
    close(fd);
}

/* A file of letters, durable with its name. */
static int make_durable(const char *path, char letter, size_t len)
{
    int fd = make(path, 0);
    fill(fd, letter, len, 0);
    must(fdatasync(fd) == 0, "fdatasync");
    sync_directory(".");
    return fd;
}

static void play_overwrite(void)
{
    fill(make_durable("f", 'a', WIDE), 'b', WIDE, 0);
}

static void play_synced(void)
{
    int fd = make_durable("f", 'a', WIDE);
    fill(fd, 'b', WIDE, 0);
    must(fdatasync(fd) == 0, "fdatasync");
}

static void play_name_not_synced(void)
{
    int fd = make("f", 0);
    fill(fd, 'a', WIDE, 0);
    must(fsync(fd) == 0, "fsync");
}

static void play_new(void)
{
    make_durable("other", 'o', 1);
    fill(make("f", 0), 'a', WIDE, 0);
}

static void play_rename(void)
{
    close(make_durable("target", 'a', SECTOR));
    close(make_durable("from", 'b', SECTOR));
    must(rename("from", "target") == 0, "rename");
}

static void play_rename_synced(void)
{
    play_rename();
    sync_directory(".");
}

static void play_unlink(void)
{
    close(make_durable("f", 'a', SECTOR));
    must(unlink("f") == 0, "unlink");
}

/* Written in order, without a sync between. */
static void play_two_files(void)
{
    int first = make_durable("first", 'a', SECTOR);
    int second = make_durable("second", 'a', SECTOR);
    fill(first, 'b', SECTOR, 0);
    fill(second, 'b', SECTOR, 0);
}

static void play_longer(void)
{
    int fd = make_durable("f", 'a', WIDE);
    must(lseek(fd, 0, SEEK_END) == WIDE, "lseek");
    char bytes[WIDE];
    memset(bytes, 'b', sizeof(bytes));
    struct iovec parts[2] = {{bytes, SECTOR}, {bytes, WIDE - SECTOR}};
    must(writev(fd, parts, 2) == WIDE, "writev");
}

static void play_shorter(void)
{
    must(ftruncate(make_durable("f", 'a', WIDE), SECTOR) == 0, "ftruncate");
}

static void play_emptied(void)
{
    close(make_durable("f", 'a', WIDE));
    fill(make("f", O_TRUNC), 'b', SECTOR, 0);
}

/* Two writes to one sector: the second is never there without the first. */
static void play_one_sector(void)
{
    int fd = make_durable("f", 'a', SECTOR);
    fill(fd, 'b', 100, 0);
    fill(fd, 'c', 100, 200);
}

static void play_directory(void)
{
    must(mkdir("d", 0700) == 0, "mkdir");
    int fd = make("d/f", 0);
    fill(fd, 'a', SECTOR, 0);
    must(fsync(fd) == 0, "fsync");
    sync_directory("d");
}

static void play_directory_synced(void)
{
    play_directory();
    sync_directory(".");
}

static void play_appended(void)
{
    close(make_durable("f", 'a', SECTOR));
    int fd = make("f", O_APPEND);
    char bytes[SECTOR];
    memset(bytes, 'b', sizeof(bytes));
    must(write(fd, bytes, SECTOR) == SECTOR && fdatasync(fd) == 0, "write");
}

static void play_linked(void)
{
    close(make_durable("f", 'a', SECTOR));
    must(link("f", "g") == 0 && unlink("f") == 0, "link");
    sync_directory(".");
}

/* What half a rename leaves: it changes nothing to do it again. */
static void play_rename_to_itself(void)
{
    close(make_durable("f", 'a', SECTOR));
    must(link("f", "g") == 0 && rename("f", "g") == 0, "rename");
    sync_directory(".");
}

static void play_everything_synced(void)
{
    play_new();
    sync();
}

/* Goes on where a process was killed that had written without a sync. */
static void play_goes_on(void)
{
    fill(make("f", 0), 'c', SECTOR, SECTOR);
}

static void play_mapped(void)
{
    int fd = make_durable("f", 'a', 4096);
    mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

static void play_stream(void)
{
    fopen("f", "w");
}

static void play_behind_its_back(void)
{
    must(syscall(SYS_openat, AT_FDCWD, "f", O_CREAT | O_WRONLY, 0600) >= 0, "openat");
    must(syscall(SYS_openat, AT_FDCWD, "g", O_CREAT | O_WRONLY, 0600) >= 0, "openat");
    must(syscall(SYS_openat, AT_FDCWD, "h", O_CREAT | O_WRONLY, 0600) >= 0, "openat");
}

struct play {
    const char *name;
    void (*run)(void);
};
#define PLAY(name)                                                                                 \
    {                                                                                              \
#name, play_##name                                                                         \
    }
static const struct play plays[] = {
    PLAY(overwrite),        PLAY(synced),
    PLAY(name_not_synced),  PLAY(new),
    PLAY(rename),           PLAY(rename_synced),
    PLAY(unlink),           PLAY(two_files),
    PLAY(longer),           PLAY(shorter),
    PLAY(emptied),          PLAY(one_sector),
    PLAY(directory),        PLAY(directory_synced),
    PLAY(appended),         PLAY(linked),
    PLAY(rename_to_itself), PLAY(everything_synced),
    PLAY(goes_on),          PLAY(mapped),
    PLAY(stream),           PLAY(behind_its_back),
};

static int run_play(const char *name)
{
    for (size_t i = 0; i < sizeof(plays) / sizeof(plays[0]); i++) {
        if (strcmp(plays[i].name, name) == 0) {
            plays[i].run();
            _exit(0); /* as a kill would: nothing is closed or flushed */
        }
    }
    return 2;
}

/* ---- the house ---- */

static void path_in(char out[PATH_MAX], const char *where, const char *what)
{
    int len = snprintf(out, PATH_MAX, "%s/%s", where, what);
    CHECK(len > 0 && len < PATH_MAX);
}

static int wait_for(pid_t child)
{
    int status = 0;
    waitpid(child, &status, 0);
    return status;
}

/* Runs a play under the library; one more variable for it may be given. */
static int perform(const char *name, const char *variable, const char *value)
{
    char root[PATH_MAX];
    char state[PATH_MAX];
    char library[PATH_MAX + 32];
    path_in(root, top, "root");
    path_in(state, top, "state");
    path_in(library, bin, "libhwfault.so");
    pid_t child = fork();
    if (child == 0) {
        setenv("HWFAULT_ROOT", root, 1);
        setenv("HWFAULT_STATE", state, 1);
        setenv("LD_PRELOAD", library, 1);
        setenv("ASAN_OPTIONS", "verify_asan_link_order=0:detect_leaks=0", 1);
        if (variable != NULL) {
            setenv(variable, value, 1);
        }
        int quiet = open("/dev/null", O_WRONLY);
        if (chdir(root) == 0 && quiet >= 0 && dup2(quiet, 2) == 2) {
            execl(self, self, "play", name, (char *)NULL);
        }
        _exit(99);
    }
    return wait_for(child);
}

/* What hwfault-cut says: its exit status. */
static int cut(const char *model, unsigned seed)
{
    char command[PATH_MAX];
    char root[PATH_MAX];
    char state[PATH_MAX];
    char number[16];
    path_in(root, top, "root");
    path_in(state, top, "state");
    path_in(command, bin, "hwfault-cut");
    snprintf(number, sizeof(number), "%u", seed);
    pid_t child = fork();
    if (child == 0) {
        int quiet = open("/dev/null", O_WRONLY);
        dup2(quiet, 1);
        dup2(quiet, 2);
        if (model == NULL) {
            execl(command, command, state, root, number, (char *)NULL);
        } else {
            execl(command, command, "--model", model, state, root, number, (char *)NULL);
        }
        _exit(99);
    }
    int status = wait_for(child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 98;
}

static void clear(void)
{
    char command[PATH_MAX];
    snprintf(command, sizeof(command), "rm -rf '%s' && mkdir -p '%s/root'", top, top);
    CHECK(system(command) == 0);
}

/* A file after the cut. */
struct left {
    bool there;
    size_t len;
    char bytes[4 * WIDE];
};

static void look(const char *name, struct left *left)
{
    char path[PATH_MAX];
    char root[PATH_MAX];
    path_in(root, top, "root");
    path_in(path, root, name);
    int fd = open(path, O_RDONLY);
    *left = (struct left){.there = fd >= 0};
    if (fd >= 0) {
        ssize_t got = read(fd, left->bytes, sizeof(left->bytes));
        left->len = got < 0 ? 0 : (size_t)got;
        close(fd);
    }
}

/* The letter that a range is made of: one, or '?' when they differ. */
static char letter_of(const struct left *left, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        if (left->bytes[i] != left->bytes[from]) {
            return '?';
        }
    }
    return left->bytes[from];
}

static bool is_all(const struct left *left, char letter, size_t len)
{
    return left->there && left->len == len && letter_of(left, 0, len) == letter;
}

/* Each sector is one of the letters, as a whole; which ones there are: bit i for letters[i]. */
static unsigned letters_seen(const struct left *left, const char *letters, size_t count)
{
    unsigned seen = 0;
    for (size_t at = 0; at < left->len; at += SECTOR) {
        size_t end = at + SECTOR < left->len ? at + SECTOR : left->len;
        char letter = letter_of(left, at, end);
        size_t which = 0;
        while (which < count && letters[which] != letter) {
            which++;
        }
        CHECK(which < count);
        seen |= 1u << which;
    }
    return seen;
}

/* Performs and cuts with every seed; judge says which outcome it was, as a number below 32, or -1
 * for one that is forbidden. All of `expected` (bits) must have been seen. */
static void over_seeds(const char *play, int (*judge)(void), unsigned expected)
{
    unsigned seen = 0;
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        clear();
        CHECK(perform(play, NULL, NULL) == 0);
        CHECK(cut(NULL, seed) == 0);
        int outcome = judge();
        if (outcome < 0) {
            printf("%s: seed %u left what it must not\n", play, seed);
            CHECK(outcome >= 0);
        } else {
            seen |= 1u << outcome;
        }
    }
    if (seen != expected) {
        printf("%s: outcomes %#x, expected %#x\n", play, seen, expected);
    }
    CHECK(seen == expected);
}

/* ---- what must hold ---- */

/* 0: old, 1: new, 2: torn */
static int judge_overwrite(void)
{
    struct left left;
    look("f", &left);
    if (left.len != WIDE) {
        return -1;
    }
    unsigned seen = letters_seen(&left, "ab", 2);
    return seen == 3 ? 2 : seen == 2 ? 1 : 0;
}

static void what_was_not_synced_is_kept_lost_or_torn_at_sectors(void)
{
    over_seeds("overwrite", judge_overwrite, 7);
}

static int judge_synced(void)
{
    struct left left;
    look("f", &left);
    return is_all(&left, 'b', WIDE) ? 0 : -1;
}

static void what_was_synced_stays(void)
{
    over_seeds("synced", judge_synced, 1);
}

static int judge_name(void)
{
    struct left left;
    look("f", &left);
    return !left.there ? 0 : is_all(&left, 'a', WIDE) ? 1 : -1;
}

static void a_synced_file_may_lose_its_name(void)
{
    over_seeds("name_not_synced", judge_name, 3);
}

/* 0: no name, 1: empty, 2: zeros, 3: whole, 4: anything between */
static int judge_new(void)
{
    struct left other;
    struct left left;
    look("other", &other);
    look("f", &left);
    if (!is_all(&other, 'o', 1) || (left.len != 0 && left.len != WIDE)) {
        return -1;
    }
    if (!left.there || left.len == 0) {
        return left.there;
    }
    char letters[2] = {'a', 0};
    unsigned seen = letters_seen(&left, letters, 2);
    return seen == 1 ? 3 : seen == 2 ? 2 : 4;
}

static void a_new_file_may_be_missing_empty_or_zeros(void)
{
    over_seeds("new", judge_new, 31);
}

/* 0: before, 1: after, 2: both names */
static int judge_rename(void)
{
    struct left from;
    struct left to;
    look("from", &from);
    look("target", &to);
    bool old = is_all(&to, 'a', SECTOR);
    bool new = is_all(&to, 'b', SECTOR);
    bool kept = is_all(&from, 'b', SECTOR);
    return old && kept ? 0 : new && !from.there ? 1 : new &&kept ? 2 : -1;
}

static void a_rename_may_be_lost_or_done_by_halves_but_loses_no_file(void)
{
    over_seeds("rename", judge_rename, 7);
}

static int judge_rename_synced(void)
{
    return judge_rename() == 1 ? 0 : -1;
}

static void a_synced_rename_stays(void)
{
    over_seeds("rename_synced", judge_rename_synced, 1);
}

static int judge_unlink(void)
{
    struct left left;
    look("f", &left);
    return !left.there ? 0 : is_all(&left, 'a', SECTOR) ? 1 : -1;
}

static void a_removed_file_may_come_back(void)
{
    over_seeds("unlink", judge_unlink, 3);
}

static int judge_two_files(void)
{
    struct left first;
    struct left second;
    look("first", &first);
    look("second", &second);
    return (is_all(&first, 'b', SECTOR) ? 1 : 0) + (is_all(&second, 'b', SECTOR) ? 2 : 0);
}

static void files_are_reordered(void)
{
    over_seeds("two_files", judge_two_files, 15);
}

/* 0: as before; longer by: 1: what was written, 2: zeros, 3: some of each */
static int judge_longer(void)
{
    struct left left;
    look("f", &left);
    if (left.len < WIDE || letter_of(&left, 0, WIDE) != 'a') {
        return -1;
    }
    if (left.len == WIDE) {
        return 0;
    }
    char letters[2] = {'b', 0};
    memmove(left.bytes, left.bytes + WIDE, WIDE);
    left.len -= WIDE;
    unsigned seen = left.len == WIDE ? letters_seen(&left, letters, 2) : 0;
    return (int)seen - (seen == 0);
}

static void a_longer_file_may_hold_zeros(void)
{
    over_seeds("longer", judge_longer, 15);
}

static int judge_shorter(void)
{
    struct left left;
    look("f", &left);
    if (left.len == SECTOR) {
        return letter_of(&left, 0, SECTOR) == 'a' ? 1 : -1;
    }
    char letters[2] = {'a', 0};
    unsigned seen = left.len == WIDE ? letters_seen(&left, letters, 2) : 0;
    return seen == 1 ? 0 : seen == 3 ? 2 : -1;
}

static void a_truncation_may_be_lost(void)
{
    over_seeds("shorter", judge_shorter, 7);
}

/* 0: untouched, 1: empty, 2: the new bytes alone, 3: another mixture of sectors */
static int judge_emptied(void)
{
    struct left left;
    look("f", &left);
    if (left.len == 0) {
        return left.there ? 1 : -1;
    }
    char letters[3] = {'a', 'b', 0};
    unsigned seen = letters_seen(&left, letters, 3);
    return seen == 1 && left.len == WIDE ? 0 : seen == 2 && left.len == SECTOR ? 2 : 3;
}

static void an_emptied_file_may_be_old_or_empty_or_new(void)
{
    over_seeds("emptied", judge_emptied, 15);
}

static int judge_one_sector(void)
{
    struct left left;
    look("f", &left);
    bool first = left.bytes[0] == 'b' && left.bytes[99] == 'b';
    bool second = left.bytes[200] == 'c' && left.bytes[299] == 'c';
    return left.len != SECTOR || (second && !first) ? -1 : first + second;
}

static void within_a_sector_order_holds(void)
{
    over_seeds("one_sector", judge_one_sector, 7);
}

static int judge_directory(void)
{
    struct left left;
    look("d/f", &left);
    return !left.there ? 0 : is_all(&left, 'a', SECTOR) ? 1 : -1;
}

static void a_new_directory_may_vanish_with_all_below(void)
{
    over_seeds("directory", judge_directory, 3);
    over_seeds("directory_synced", judge_directory, 2);
}

static int judge_appended(void)
{
    struct left left;
    look("f", &left);
    return left.len == 2 * SECTOR && letter_of(&left, 0, SECTOR) == 'a' &&
                   letter_of(&left, SECTOR, 2 * SECTOR) == 'b'
               ? 0
               : -1;
}

static void appending_is_understood(void)
{
    over_seeds("appended", judge_appended, 1);
}

static int judge_linked(void)
{
    struct left left;
    struct left old;
    look("g", &left);
    look("f", &old);
    return is_all(&left, 'a', SECTOR) && !old.there ? 0 : -1;
}

static int judge_itself(void)
{
    struct left left;
    struct left old;
    look("g", &left);
    look("f", &old);
    return is_all(&left, 'a', SECTOR) && is_all(&old, 'a', SECTOR) ? 0 : -1;
}

static void links_are_understood(void)
{
    over_seeds("rename_to_itself", judge_itself, 1);
    over_seeds("linked", judge_linked, 1);
}

static int judge_everything(void)
{
    struct left left;
    look("f", &left);
    return is_all(&left, 'a', WIDE) ? 0 : -1;
}

static void sync_keeps_everything(void)
{
    over_seeds("everything_synced", judge_everything, 1);
}

/* A second process sees what the first has written, and a cut may still take it. */
static void a_kill_makes_nothing_durable(void)
{
    unsigned seen = 0;
    for (unsigned seed = 1; seed <= 2 * SEEDS; seed++) {
        struct left left;
        clear();
        CHECK(perform("overwrite", NULL, NULL) == 0);
        CHECK(perform("goes_on", NULL, NULL) == 0);
        CHECK(cut(NULL, seed) == 0);
        look("f", &left);
        CHECK(left.len == WIDE);
        unsigned letters = letters_seen(&left, "abc", 3);
        CHECK((letters & 4) == 0 || letter_of(&left, SECTOR, 2 * SECTOR) == 'c');
        seen |= 1u << letters;
    }
    CHECK((seen & (1u << 1)) != 0); /* both are lost */
    CHECK((seen & (1u << 6)) != 0); /* both are kept */
    CHECK((seen & (1u << 5)) != 0); /* only the second */
    CHECK((seen & (1u << 3)) != 0); /* only the first, or some of it */
}

/* The same seed and the same play leave the same. */
static void a_seed_repeats_its_cut(void)
{
    for (unsigned seed = 1; seed <= 20; seed++) {
        struct left first;
        struct left second;
        clear();
        CHECK(perform("overwrite", NULL, NULL) == 0 && cut(NULL, seed) == 0);
        look("f", &first);
        clear();
        CHECK(perform("overwrite", NULL, NULL) == 0 && cut(NULL, seed) == 0);
        look("f", &second);
        CHECK(first.len == second.len && memcmp(first.bytes, second.bytes, first.len) == 0);
    }
}

static void a_model_can_be_asked_for(void)
{
    clear();
    CHECK(perform("new", NULL, NULL) == 0 && cut("everything", 1) == 0);
    CHECK(judge_new() == 3);
    clear();
    CHECK(perform("new", NULL, NULL) == 0 && cut("nothing", 1) == 0);
    CHECK(judge_new() == 0);
    clear();
    CHECK(perform("new", NULL, NULL) == 0 && cut("names", 1) == 0);
    CHECK(judge_new() == 2);
    CHECK(cut("no such", 1) == 2);
}

/* After a cut what is there is durable: a second cut takes none of it. */
static void what_a_cut_left_is_durable(void)
{
    for (unsigned seed = 1; seed <= 20; seed++) {
        clear();
        CHECK(perform("overwrite", NULL, NULL) == 0 && cut("everything", seed) == 0);
        CHECK(perform("synced", NULL, NULL) == 0 && cut("nothing", seed) == 0);
        CHECK(judge_synced() == 0);
    }
}

/* play_synced: create, write, sync, sync of the directory, write, sync. */
static void the_power_is_cut_where_it_was_asked(void)
{
    static const char *const at[] = {"1", "2", "3", "4", "5", "6", "7"};
    int left[7];
    for (size_t i = 0; i < 7; i++) {
        clear();
        int status = perform("synced", "HWFAULT_CUT", at[i]);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == (i < 6 ? 86 : 0));
        CHECK(cut("nothing", 1) == 0);
        struct left file;
        look("f", &file);
        left[i] = !file.there ? 0 : is_all(&file, 'a', WIDE) ? 1 : is_all(&file, 'b', WIDE) ? 2 : 3;
    }
    static const int expected[7] = {0, 0, 0, 0, 1, 1, 2};
    for (size_t i = 0; i < 7; i++) {
        CHECK(left[i] == expected[i]);
    }
    clear();
    CHECK(WEXITSTATUS(perform("rename", "HWFAULT_CUT", "target@4")) == 86);
    CHECK(cut("everything", 1) == 0);
    struct left from;
    look("from", &from);
    CHECK(is_all(&from, 'b', SECTOR));
}

static void syncs_can_be_ignored(void)
{
    static const struct {
        const char *ignored;
        int outcome; /* 0: no name, 1: old, 2: new */
    } rows[] = {{"all", 0}, {"directories", 0}, {"files", 3}, {"root/f", 3}, {"no such", 2}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct left left;
        clear();
        CHECK(perform("synced", "HWFAULT_NOSYNC", rows[i].ignored) == 0);
        CHECK(cut("nothing", 1) == 0);
        look("f", &left);
        int outcome = !left.there ? 0 : left.len == 0 ? 3 : is_all(&left, 'b', WIDE) ? 2 : 1;
        CHECK(outcome == rows[i].outcome);
    }
}

static void what_is_not_modelled_is_refused(void)
{
    clear();
    int status = perform("mapped", NULL, NULL);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    clear();
    status = perform("stream", NULL, NULL);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    clear();
    CHECK(perform("behind_its_back", NULL, NULL) == 0);
    CHECK(cut(NULL, 1) == 2);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "play") == 0) {
        return run_play(argv[2]);
    }
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    snprintf(bin, sizeof(bin), "%.*s", (int)(strrchr(self, '/') - self), self);
    snprintf(top, sizeof(top), "/tmp/hw-power-XXXXXX");
    if (len < 0 || mkdtemp(top) == NULL) {
        printf("no temporary directory\n");
        return 99;
    }
    RUN(what_was_not_synced_is_kept_lost_or_torn_at_sectors);
    RUN(what_was_synced_stays);
    RUN(a_synced_file_may_lose_its_name);
    RUN(a_new_file_may_be_missing_empty_or_zeros);
    RUN(a_rename_may_be_lost_or_done_by_halves_but_loses_no_file);
    RUN(a_synced_rename_stays);
    RUN(a_removed_file_may_come_back);
    RUN(files_are_reordered);
    RUN(a_longer_file_may_hold_zeros);
    RUN(a_truncation_may_be_lost);
    RUN(an_emptied_file_may_be_old_or_empty_or_new);
    RUN(within_a_sector_order_holds);
    RUN(a_new_directory_may_vanish_with_all_below);
    RUN(appending_is_understood);
    RUN(links_are_understood);
    RUN(sync_keeps_everything);
    RUN(a_kill_makes_nothing_durable);
    RUN(a_seed_repeats_its_cut);
    RUN(a_model_can_be_asked_for);
    RUN(what_a_cut_left_is_durable);
    RUN(the_power_is_cut_where_it_was_asked);
    RUN(syncs_can_be_ignored);
    RUN(what_is_not_modelled_is_refused);
    clear();
    char root[PATH_MAX];
    path_in(root, top, "root");
    CHECK(rmdir(root) == 0 && rmdir(top) == 0);
    return CHECK_RESULT();
}
