/* table: power cuts under several writers, also during the start of a new directory and during
 * recovery from the cut before, kills between them. What was acknowledged or seen is there,
 * transactions are whole, the table is what its stream says, and every start succeeds without help.
 * The same with syncs that do nothing must fail: then the cuts are real.
 *
 * HW_TEST_CUTS: how many (30). HW_TEST_SEED: all decisions (1). HW_TEST_NOSYNC: instead, count the
 * cuts until the loss of these syncs is found (tests/fault/recorder.c). HW_TEST_KEEP: a directory
 * where what each cut left is kept. */
#include "pairs.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define CUT_STATUS 86
#define ROUNDS_A_DIRECTORY 5 /* then a new one is begun */
#define CONTROL_CUTS_MAX 20
#define FIRST_START_OPERATIONS 110 /* changes and syncs until the first write, and some more */

struct house {
    char bin[PATH_MAX];
    char self[PATH_MAX];
    char top[64];
    char root[128];
    char state[128];
    char data[160];
    uint64_t random;
    const char *nosync;
    bool small; /* segments and memtables */
    struct shared *shared;
    unsigned long cuts;
    unsigned long again; /* cuts during recovery from a cut */
};

/* ---- in a process of its own, under the library ---- */

static struct shared *map_shared(const char *top)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/shared", top);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    void *mapped = MAP_FAILED;
    if (fd >= 0 && ftruncate(fd, sizeof(struct shared)) == 0) {
        mapped = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    if (mapped == MAP_FAILED) {
        printf("cannot map %s\n", path);
        exit(99);
    }
    close(fd);
    return mapped;
}

/* argv: mode, top, data, size of things. */
static int play(char **argv)
{
    bool small = strcmp(argv[4], "small") == 0;
    struct shared *shared = map_shared(argv[2]);
    struct world world = {.options = {.region = BYTES("us-east-1"),
                                      .account = BYTES("000000000000"),
                                      .data = argv[3],
                                      .cache_bytes = 8u << 20}};
    if (small) {
        world.options.segment_bytes = 256u << 10;
        world.options.memtable_bytes = 64u << 10;
        world.options.flush_bytes = 128u << 10;
    }
    if (strcmp(argv[1], "write") == 0) {
        write_until_killed(&world, shared, newest_acked(shared) + 1);
        return 1;
    }
    if (strcmp(argv[1], "look") == 0) {
        world_open(&world);
        look_at_pairs(&world, shared);
        fflush(stdout);
        _exit(CHECK_RESULT()); /* as a kill would */
    }
    check_pairs(&world, shared);
    return CHECK_RESULT();
}

/* ---- the house around it ---- */

static uint64_t random_below(struct house *house, uint64_t end)
{
    uint64_t z = house->random += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return (z ^ (z >> 31)) % end;
}

static void clear(struct house *house)
{
    char command[512];
    snprintf(command, sizeof(command), "rm -rf '%s' '%s' && mkdir -p '%s'", house->root,
             house->state, house->root);
    CHECK(system(command) == 0);
    memset(house->shared, 0, sizeof(*house->shared));
}

static pid_t start(struct house *house, const char *mode, const char *point, const char *output)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        char library[PATH_MAX + 32];
        char seed[32];
        int out = open(output, O_WRONLY | O_CREAT | O_APPEND, 0600);
        snprintf(library, sizeof(library), "%s/libhwfault.so", house->bin);
        snprintf(seed, sizeof(seed), "%llu", (unsigned long long)house->random);
        setenv("HWFAULT_ROOT", house->root, 1);
        setenv("HWFAULT_STATE", house->state, 1);
        setenv("HWFAULT_SYNC_US", "400", 1);
        setenv("HWFAULT_SEED", seed, 1);
        setenv("HWFAULT_NOSYNC", house->nosync, 1);
        setenv("HWFAULT_CUT", point, 1);
        setenv("ASAN_OPTIONS", "verify_asan_link_order=0:detect_leaks=0", 1);
        setenv("LD_PRELOAD", library, 1);
        dup2(out, 1);
        dup2(out, 2);
        execl(house->self, house->self, mode, house->top, house->data,
              house->small ? "small" : "default", (char *)NULL);
        _exit(98);
    }
    return child;
}

/* Waits until it ends, or for a while after it has begun to write, and kills it then. */
static int end(struct house *house, pid_t child, unsigned ms)
{
    int status = 0;
    while (waitpid(child, &status, WNOHANG) == 0) {
        if (atomic_load(&house->shared->started) && ms-- == 0) {
            kill(child, SIGKILL);
            waitpid(child, &status, 0);
            return status;
        }
        usleep(1000);
    }
    return status;
}

static bool was_cut(int status)
{
    return WIFEXITED(status) && WEXITSTATUS(status) == CUT_STATUS;
}

static bool was_killed(int status)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

/* Where the power is cut: rare places get their share. */
static void choose_point(struct house *house, char *out, size_t room)
{
    static const struct {
        const char *path;
        unsigned within;
    } points[] = {{"", 80},       {"", 400},       {"", 2000},       {"/log", 1000},
                  {"/view", 200}, {"next.tmp", 8}, {"MANIFEST", 30}, {".sst", 60},
                  {"CURRENT", 4}, {"dbtmp", 16},   {"data/", 60}};
    size_t which = (size_t)random_below(house, sizeof(points) / sizeof(points[0]));
    snprintf(out, room, "%s@%u", points[which].path,
             1 + (unsigned)random_below(house, points[which].within));
}

static bool take_power(struct house *house, const char *output)
{
    char command[PATH_MAX + 512];
    unsigned seed = (unsigned)random_below(house, 1000000000);
    snprintf(command, sizeof(command), "%s/hwfault-cut '%s' '%s' %u >>'%s' 2>&1", house->bin,
             house->state, house->root, seed, output);
    bool cut = system(command) == 0;
    house->cuts++;
    const char *keep = getenv("HW_TEST_KEEP");
    if (keep != NULL) {
        snprintf(command, sizeof(command), "mkdir -p %s && cp -a '%s' '%s/%lu'", keep, house->root,
                 keep, house->cuts);
        cut = system(command) == 0 && cut;
    }
    return cut;
}

/* Recovers, perhaps cut again up to three times, until a check ends by itself. */
static bool recovers(struct house *house, const char *output)
{
    for (unsigned times = 0;; times++) {
        char point[32] = "";
        if (times < 3 && random_below(house, 3) == 0) {
            snprintf(point, sizeof(point), "%u", 1 + (unsigned)random_below(house, 60));
        }
        int status = end(house, start(house, "check", point, output), 60000);
        if (!was_cut(status)) {
            return WIFEXITED(status) && WEXITSTATUS(status) == 0;
        }
        house->again++;
        if (!take_power(house, output)) {
            return false;
        }
    }
}

/* After a kill: what it shows must stay, though the power is cut next. */
static bool shows(struct house *house, const char *output)
{
    int status = end(house, start(house, "look", "", output), 60000);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* One cut, perhaps after a kill or two. False: something did not hold. */
static bool round_holds(struct house *house, const char *output)
{
    char point[64];
    int status = 0;
    for (bool again = true; again; again = random_below(house, 3) == 0) {
        choose_point(house, point, sizeof(point));
        atomic_store(&house->shared->started, false);
        status =
            end(house, start(house, "write", point, output), (unsigned)random_below(house, 200));
        if (!was_cut(status) && !was_killed(status)) {
            return false;
        }
        if (random_below(house, 3) == 0 && !shows(house, output)) {
            return false;
        }
    }
    return take_power(house, output) && recovers(house, output);
}

static void show(const char *path)
{
    char line[512];
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        fputs(line, stdout);
    }
    if (file != NULL) {
        fclose(file);
    }
}

/* False: something did not hold, after house->cuts. */
static bool cuts_hold(struct house *house, unsigned long cuts, bool tell)
{
    char output[128];
    uint64_t seed = house->random;
    snprintf(output, sizeof(output), "%s/output", house->top);
    house->cuts = 0;
    house->again = 0;
    for (unsigned long rounds = 0; house->cuts < cuts; rounds++) {
        if (rounds % ROUNDS_A_DIRECTORY == 0) {
            house->small = rounds / ROUNDS_A_DIRECTORY % 3 != 2;
            clear(house);
        }
        unlink(output);
        if (!round_holds(house, output)) {
            if (tell) {
                printf("seed %llu, cut %lu:\n", (unsigned long long)seed, house->cuts);
                show(output);
            }
            return false;
        }
    }
    return true;
}

static unsigned long variable(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);
    return text == NULL ? otherwise : strtoul(text, NULL, 10);
}

static struct house own;

static void nothing_is_lost_by_power_cuts(void)
{
    unsigned long cuts = variable("HW_TEST_CUTS", 30);
    own.nosync = "";
    own.random = variable("HW_TEST_SEED", 1);
    CHECK(cuts_hold(&own, cuts, true));
    printf("%lu cuts, %lu of them during recovery from one before\n", own.cuts, own.again);
}

/* The first start is ended at each of its changes, by a cut or by a kill; then writers go on, and
 * the power is cut before long. */
static bool start_holds(struct house *house, unsigned at, bool by_kill, const char *output)
{
    char point[32];
    clear(house);
    unlink(output);
    snprintf(point, sizeof(point), "%u", at);
    int status = end(house, start(house, "write", point, output), 10000);
    if (!was_cut(status) || (!by_kill && !take_power(house, output))) {
        return false;
    }
    atomic_store(&house->shared->started, false);
    status = end(house, start(house, "write", "", output), (unsigned)random_below(house, 20));
    return was_killed(status) && take_power(house, output) && recovers(house, output);
}

static void a_first_start_may_end_anywhere(void)
{
    char output[128];
    unsigned step = (unsigned)variable("HW_TEST_STEP", 5);
    own.nosync = "";
    own.small = true;
    own.random = variable("HW_TEST_SEED", 1);
    snprintf(output, sizeof(output), "%s/output", own.top);
    for (unsigned at = 1 + (unsigned)random_below(&own, step); at < FIRST_START_OPERATIONS;
         at += step) {
        for (unsigned by_kill = 0; by_kill < 2; by_kill++) {
            if (!start_holds(&own, at, by_kill, output)) {
                printf("ended at change %u, by %s:\n", at, by_kill ? "a kill" : "a cut");
                show(output);
                CHECK(false);
            }
        }
    }
}

static void syncs_that_do_nothing_are_found(void)
{
    const char *nosync = getenv("HW_TEST_NOSYNC");
    own.nosync = nosync == NULL ? "all" : nosync;
    own.random = variable("HW_TEST_SEED", 1);
    unsigned long cuts = nosync == NULL ? CONTROL_CUTS_MAX : variable("HW_TEST_CUTS", 200);
    CHECK(!cuts_hold(&own, cuts, nosync != NULL));
    printf("without syncs (%s): found after %lu cuts\n", own.nosync, own.cuts);
}

int main(int argc, char **argv)
{
    if (argc == 5) {
        return play(argv);
    }
    ssize_t len = readlink("/proc/self/exe", own.self, sizeof(own.self) - 1);
    snprintf(own.bin, sizeof(own.bin), "%.*s", (int)(strrchr(own.self, '/') - own.self), own.self);
    snprintf(own.top, sizeof(own.top), "/tmp/hw-cut-XXXXXX");
    if (len < 0 || mkdtemp(own.top) == NULL) {
        printf("no temporary directory\n");
        return 99;
    }
    snprintf(own.root, sizeof(own.root), "%s/root", own.top);
    snprintf(own.state, sizeof(own.state), "%s/state", own.top);
    snprintf(own.data, sizeof(own.data), "%s/data", own.root);
    own.shared = map_shared(own.top);
    if (getenv("HW_TEST_NOSYNC") == NULL) {
        RUN(nothing_is_lost_by_power_cuts);
        RUN(a_first_start_may_end_anywhere);
    }
    RUN(syncs_that_do_nothing_are_found);
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", own.top);
    CHECK(system(command) == 0);
    return CHECK_RESULT();
}
