/* `headwater doctor`: would a server do well here? Each check looks at one thing, says what it
 * found, and what to change where that is not good. Nothing is guessed: what the system does not
 * tell is said to be unknown. */
#include "server/server.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/process.h"
#include "sys/volume.h"

#include <stdio.h>
#include <stdlib.h>

#define MIB ((uint64_t)1 << 20)
#define ROOM_LEAST (320 * MIB) /* three memtables and two segments, as a first start wants them */
#define ROOM_GOOD (2048 * MIB)
#define FILES_LEAST 256u
#define FILES_GOOD 4096u
#define MEMORY_LEAST (128 * MIB)
#define MEMORY_GOOD (768 * MIB) /* six memtables, caches, and what requests take */
#define SYNCS 33u
#define SYNC_FREE_US 15u
#define SYNC_SLOW_US 20000u
#define PROBE_BYTES 4096u
#define WALL_LEAST_MS 1700000000000u /* 2023: before the program was written */
#define WALL_MOST_MS 4102444800000u  /* 2100 */

enum verdict { VERDICT_OK, VERDICT_WARN, VERDICT_FAIL };

struct finding {
    enum verdict verdict;
    char found[512];
    const char *advice; /* NULL: nothing to change */
};

/* Where the data directory is, or will be. */
struct place {
    const char *data;
    char folder[4096]; /* that exists */
    char probe[4200];
    bool writable;
};

typedef void check_fn(const struct place *place, struct finding *finding);
static check_fn check_directory, check_room, check_volume, check_sync, check_direct, check_files,
    check_clock, check_memory;

static const struct {
    const char *name;
    check_fn *run;
    bool writes;
} checks[] = {
    {"directory", check_directory, false}, {"free space", check_room, false},
    {"file system", check_volume, false},  {"sync", check_sync, true},
    {"direct access", check_direct, true}, {"open files", check_files, false},
    {"clock", check_clock, false},         {"memory", check_memory, false},
};

static bool find_place(const char *data, struct place *place);
static bool tell(const char *name, const struct finding *finding);
static enum err measure_sync(const char *path, uint64_t *median_us);
static enum err try_direct(const char *path);

int command_doctor(int argc, char **argv)
{
    struct place place = {.data = "./data"};
    enum verdict worst = VERDICT_OK;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--data") == 0 && i + 1 < argc) {
            place.data = argv[++i];
        } else if (strncmp(argv[i], "--data=", 7) == 0) {
            place.data = argv[i] + 7;
        } else {
            fprintf(stderr, "headwater: doctor does not know '%s'\nTry: headwater doctor --help\n",
                    argv[i]);
            return EXIT_USAGE;
        }
    }
    process_ignore_broken_pipe();
    if (!find_place(place.data, &place)) {
        fprintf(stderr, "headwater: %s is too long a path\n", place.data);
        return EXIT_USAGE;
    }
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        struct finding finding = {.verdict = VERDICT_OK};
        if (checks[i].writes && !place.writable) {
            continue; /* the directory's own check has said so */
        }
        checks[i].run(&place, &finding);
        worst = finding.verdict > worst ? finding.verdict : worst;
        if (!tell(checks[i].name, &finding)) {
            return process_output_is_open() ? EXIT_FAILED : EXIT_CLEAN;
        }
    }
    return worst == VERDICT_FAIL ? EXIT_FAILED : EXIT_CLEAN;
}

/* The directory itself, or the nearest one above it that is there. */
static bool find_place(const char *data, struct place *place)
{
    char path[sizeof(place->folder)];
    int fd = -1;
    if (file_absolute(data, path, sizeof(path)) != OK &&
        (size_t)snprintf(path, sizeof(path), "%s", data) >= sizeof(path)) {
        return false;
    }
    while (!file_exists(path)) {
        char *slash = strrchr(path, '/');
        if (slash == NULL || slash == path) {
            snprintf(path, sizeof(path), "%s", slash == NULL ? "." : "/");
            break;
        }
        *slash = 0;
    }
    snprintf(place->folder, sizeof(place->folder), "%s", path);
    snprintf(place->probe, sizeof(place->probe), "%s/headwater-doctor-%llu", place->folder,
             (unsigned long long)process_id());
    place->writable = file_open(place->probe, FILE_CREATE, &fd) == OK;
    if (place->writable) {
        IGNORE(file_close(fd));
        IGNORE(file_remove(place->probe));
    }
    return true;
}

static void dump_text(struct buf *out, const char *name, const char *text)
{
    buf_printf(out, "\"%s\":", name);
    json_add_string(out, bytes_cstr(text));
}

static bool tell(const char *name, const struct finding *finding)
{
    static const char *const words[] = {"OK", "WARN", "FAIL"};
    struct buf line;
    buf_init(&line, 8192);
    if (process_terminal_columns() > 0) {
        buf_printf(&line, "%-5s %-14s %s%s%s\n", words[finding->verdict], name, finding->found,
                   finding->advice == NULL ? "" : ": ",
                   finding->advice == NULL ? "" : finding->advice);
    } else {
        buf_add_byte(&line, '{');
        dump_text(&line, "check", name);
        buf_add_byte(&line, ',');
        dump_text(&line, "result", words[finding->verdict]);
        buf_add_byte(&line, ',');
        dump_text(&line, "found", finding->found);
        if (finding->advice != NULL) {
            buf_add_byte(&line, ',');
            dump_text(&line, "advice", finding->advice);
        }
        buf_add_cstr(&line, "}\n");
    }
    bool wrote = !line.failed && fwrite(line.ptr, 1, line.len, stdout) == line.len;
    buf_fini(&line);
    return wrote && fflush(stdout) == 0;
}

static void judge(struct finding *finding, enum verdict verdict, const char *advice)
{
    finding->verdict = verdict;
    finding->advice = advice;
}

/* ---- the checks ---- */

static void check_directory(const struct place *place, struct finding *finding)
{
    bool there = file_exists(place->data);
    if (!place->writable) {
        snprintf(finding->found, sizeof(finding->found), "nothing can be made in %.400s",
                 place->folder);
        judge(finding, VERDICT_FAIL,
              "give the user that runs the server this directory (chown), or name another with "
              "--data");
        return;
    }
    snprintf(finding->found, sizeof(finding->found), "%.400s %s", place->data,
             there ? "can be written" : "can be made");
}

static void check_room(const struct place *place, struct finding *finding)
{
    struct volume volume;
    if (volume_look(place->folder, &volume) != OK) {
        snprintf(finding->found, sizeof(finding->found), "unknown");
        judge(finding, VERDICT_WARN, "the volume cannot be asked: see that it is mounted");
        return;
    }
    snprintf(finding->found, sizeof(finding->found), "%llu MB",
             (unsigned long long)(volume.free_bytes / MIB));
    if (volume.free_bytes < ROOM_LEAST) {
        judge(finding, VERDICT_FAIL,
              "a first start needs 320 MB: make room, or make --memtable-bytes and "
              "--segment-bytes smaller");
    } else if (volume.free_bytes < ROOM_GOOD) {
        judge(finding, VERDICT_WARN,
              "flushes and compactions keep 320 MB back: writes are refused when no more is left");
    }
}

static void check_volume(const struct place *place, struct finding *finding)
{
    struct volume volume = {.kind = VOLUME_OTHER, .name = "unknown"};
    IGNORE(volume_look(place->folder, &volume));
    snprintf(finding->found, sizeof(finding->found), "%s", volume.name);
    switch (volume.kind) {
    case VOLUME_DISK:
        break;
    case VOLUME_MEMORY:
        judge(finding, VERDICT_WARN,
              "it is memory: everything is lost with the machine's power; use a disk");
        break;
    case VOLUME_REMOTE:
        judge(finding, VERDICT_WARN,
              "it is not this machine's own: locks and syncs may not hold there; use a local disk");
        break;
    case VOLUME_OTHER:
        judge(finding, VERDICT_WARN,
              "not one that was tried: ext4 and xfs are; in a container use a volume, not the "
              "image");
        break;
    }
}

static void check_sync(const struct place *place, struct finding *finding)
{
    uint64_t us = 0;
    enum err err = measure_sync(place->probe, &us);
    IGNORE(file_remove(place->probe));
    if (err != OK) {
        snprintf(finding->found, sizeof(finding->found), "%.400s", file_failure());
        judge(finding, VERDICT_FAIL,
              "nothing can be promised on such a volume: see the kernel's log");
        return;
    }
    snprintf(finding->found, sizeof(finding->found), "a sync takes %llu us (median of %u)",
             (unsigned long long)us, SYNCS);
    if (us < SYNC_FREE_US) {
        judge(finding, VERDICT_WARN,
              "too fast for a disk: it is memory, or syncs are switched off (eatmydata, a virtual "
              "disk with an unsafe cache); what is acknowledged may be lost with the power");
    } else if (us > SYNC_SLOW_US) {
        judge(finding, VERDICT_WARN,
              "each write waits for one: use a disk with a protected cache, or a faster one");
    }
}

static void check_direct(const struct place *place, struct finding *finding)
{
    enum err err = try_direct(place->probe);
    IGNORE(file_remove(place->probe));
    snprintf(finding->found, sizeof(finding->found), "%s",
             err == OK ? "O_DIRECT works" : "no O_DIRECT");
    if (err != OK) {
        judge(finding, VERDICT_WARN, "the log goes through the page cache, which costs time");
    }
}

static void check_files(const struct place *place, struct finding *finding)
{
    uint64_t files = process_raise_file_limit();
    (void)place;
    snprintf(finding->found, sizeof(finding->found),
             "%llu may be open (the server takes all of it)", (unsigned long long)files);
    if (files < FILES_GOOD) {
        judge(finding, files < FILES_LEAST ? VERDICT_FAIL : VERDICT_WARN,
              "half of them are for connections, the rest for tables and segments: raise the hard "
              "limit (ulimit -Hn, or LimitNOFILE= of the unit) to 65536");
    }
}

static void check_clock(const struct place *place, struct finding *finding)
{
    uint64_t now = clock_wall_ms();
    enum clock_kept kept = clock_is_kept();
    (void)place;
    snprintf(finding->found, sizeof(finding->found), "%llu ms since 1970, %s",
             (unsigned long long)now,
             kept == CLOCK_KEPT       ? "synchronised"
             : kept == CLOCK_NOT_KEPT ? "not synchronised"
                                      : "the kernel does not say whether it is synchronised");
    if (now < WALL_LEAST_MS || now > WALL_MOST_MS) {
        judge(finding, VERDICT_FAIL,
              "set it: signatures are refused beyond 15 minutes, and a start believes it");
    } else if (kept == CLOCK_NOT_KEPT) {
        judge(finding, VERDICT_WARN, "run an NTP client (chrony, systemd-timesyncd)");
    }
}

static void check_memory(const struct place *place, struct finding *finding)
{
    uint64_t limit = process_memory_limit();
    uint64_t left = process_memory_left();
    uint64_t least = limit > 0 && (left == 0 || limit < left) ? limit : left;
    (void)place;
    if (limit > 0) {
        snprintf(finding->found, sizeof(finding->found), "limited to %llu MB, %llu MB left",
                 (unsigned long long)(limit / MIB), (unsigned long long)(left / MIB));
    } else {
        snprintf(finding->found, sizeof(finding->found), "no limit, %llu MB left",
                 (unsigned long long)(left / MIB));
    }
    if (least > 0 && least < MEMORY_GOOD) {
        judge(finding, least < MEMORY_LEAST ? VERDICT_FAIL : VERDICT_WARN,
              "memtables alone may take 384 MB: make --memtable-bytes and --cache-bytes smaller, "
              "or give it more");
    }
}

/* ---- the disk ---- */

static int by_size(const void *left, const void *right)
{
    const uint64_t *a = left;
    const uint64_t *b = right;
    return (*a > *b) - (*a < *b);
}

/* As the log does it: into bytes that are there already. */
static enum err measure_sync(const char *path, uint64_t *median_us)
{
    static const uint8_t zeros[PROBE_BYTES * SYNCS];
    uint8_t piece[PROBE_BYTES];
    uint64_t took[SYNCS];
    int fd = -1;
    memset(piece, 0x5a, sizeof(piece));
    TRY(file_open(path, FILE_CREATE, &fd));
    enum err err = file_write(fd, zeros, sizeof(zeros), 0);
    err = err != OK ? err : file_sync(fd);
    for (uint64_t i = 0; err == OK && i < SYNCS; i++) {
        uint64_t begun = clock_mono_ns();
        err = file_write(fd, piece, sizeof(piece), i * PROBE_BYTES);
        err = err != OK ? err : file_sync(fd);
        took[i] = (clock_mono_ns() - begun) / 1000;
    }
    enum err closed = file_close(fd);
    if (err == OK) {
        qsort(took, SYNCS, sizeof(took[0]), by_size);
        *median_us = took[SYNCS / 2];
    }
    return err != OK ? err : closed;
}

static enum err try_direct(const char *path)
{
    static _Alignas(PROBE_BYTES) uint8_t piece[PROBE_BYTES];
    int fd = -1;
    TRY(file_open(path, FILE_CREATE, &fd));
    TRY(file_close(fd));
    TRY(file_open(path, FILE_UPDATE_DIRECT, &fd));
    enum err err = file_write(fd, piece, sizeof(piece), 0);
    enum err closed = file_close(fd);
    return err != OK ? err : closed;
}
