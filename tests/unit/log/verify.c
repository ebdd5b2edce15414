/* log: verify finds a changed bit wherever it is and says where, and lets pass what a power cut may
 * leave: a torn end, a torn index. Indexes that are missing or damaged are made again. */
#include "log/log_priv.h"
#include "sys/thread.h"
#include "world.h"

#define FRAMES_MAX 1000u

struct place {
    char path[100];
    uint64_t at;
    uint64_t used; /* header and payload */
    uint64_t len;  /* to the next sector */
    uint16_t kind;
};

static struct place places[FRAMES_MAX];
static size_t place_count;
static uint64_t id;
static uint64_t last;

static void name_of(unsigned number, char path[100])
{
    snprintf(path, 100, "%s/%020u.log", dir, number);
}

static bool is_used(unsigned number)
{
    char path[100];
    uint8_t first = 0;
    name_of(number, path);
    int fd = open(path, O_RDONLY);
    bool used = fd >= 0 && pread(fd, &first, 1, 0) == 1 && first != 0;
    close(fd);
    return used;
}

/* Opens and closes it until the worker has written what it wants to write. */
static void open_until_indexed(uint64_t flushed)
{
    struct log_report report = {.indexes_missing = 1};
    for (unsigned tries = 0; report.indexes_missing > 0 && tries < 1000; tries++) {
        struct log *log = open_log(flushed, OK, &report);
        thread_pause_ms(tries);
        CHECK(log_close(log, true) == OK);
        CHECK(log_scan(dir, NULL, NULL, &report) == OK);
    }
    CHECK(report.indexes_missing == 0);
}

static void find_places(unsigned number)
{
    static uint8_t memory[512 * 1024];
    struct frame_header header;
    uint64_t at = 0;
    char path[100];
    name_of(number, path);
    int fd = open(path, O_RDONLY);
    ssize_t len = pread(fd, memory, sizeof(memory), 0);
    close(fd);
    while ((ssize_t)at < len &&
           frame_header_read(bytes_of(memory + at, SECTOR), id, number, &header)) {
        struct place *place = &places[place_count++];
        CHECK(place_count < FRAMES_MAX);
        place->at = at;
        place->used = HEADER + (uint64_t)header.payload_len;
        place->len = sectors_of(place->used);
        place->kind = header.kind;
        memcpy(place->path, path, sizeof(path));
        at += place->len;
    }
}

/* Two segments with their indexes, a third one that was stopped cleanly, one ahead. */
static void make_log(void)
{
    struct log_report report;
    struct log_figures figures = {0};
    fresh_dir();
    struct log *log = open_log(0, OK, &report);
    id = log_id(log);
    while (!is_used(3)) {
        append(log, 3, 700);
    }
    while (figures.segments < 4) {
        thread_pause_ms(1);
        log_figures(log, &figures);
    }
    append(log, 3, 700);
    last = log_last(log);
    CHECK(log_close(log, true) == OK);
    open_until_indexed(0);
    CHECK(log_scan(dir, NULL, NULL, &report) == OK);
    CHECK(report.segments == 4 && report.clean_stop && !report.torn_end);
    CHECK(report.last_commit == last);
    place_count = 0;
    for (unsigned number = 1; number <= 3; number++) {
        find_places(number);
    }
}

static void flip(const char *path, uint64_t at)
{
    uint8_t byte;
    int fd = open(path, O_RDWR);
    CHECK(pread(fd, &byte, 1, (off_t)at) == 1);
    byte ^= 0x20;
    CHECK(pwrite(fd, &byte, 1, (off_t)at) == 1);
    close(fd);
}

static void check_found(const char *path, uint64_t at, uint64_t from, uint64_t to)
{
    struct log_report report;
    flip(path, at);
    CHECK(log_scan(dir, NULL, NULL, &report) == ERR_DAMAGED);
    CHECK_BYTES(bytes_cstr(report.file), bytes_cstr(path));
    CHECK(report.offset >= from && report.offset < to && report.reason[0] != 0);
    flip(path, at);
}

static void a_changed_bit_is_found_in_every_frame(void)
{
    unsigned kinds[FRAME_INDEX + 1] = {0};
    make_log();
    for (size_t i = 0; i + 1 < place_count; i++) {
        const struct place *place = &places[i];
        kinds[place->kind]++;
        check_found(place->path, place->at + 3, place->at, place->at + 1);
        check_found(place->path, place->at + 20, place->at, place->at + 1);
        check_found(place->path, place->at + place->used - 1, place->at, place->at + 1);
        check_found(place->path, place->at + (HEADER + place->used) / 2, place->at, place->at + 1);
        if (place->used < place->len) {
            check_found(place->path, place->at + place->len - 1, place->at, place->at + place->len);
        }
    }
    CHECK(kinds[FRAME_DATA] > 60 && kinds[FRAME_END] == 2 && kinds[FRAME_INDEX] == 2);
}

/* What says that nothing follows is the newest frame itself: without it, the end is a torn one. */
static void a_changed_mark_of_a_clean_stop_is_told(void)
{
    struct log_report report;
    make_log();
    const struct place *mark = &places[place_count - 1];
    CHECK(mark->kind == FRAME_CLEAN);
    flip(mark->path, mark->at + 20);
    CHECK(log_scan(dir, NULL, NULL, &report) == OK);
    CHECK(report.torn_end && report.offset == mark->at && report.last_commit == last);
    CHECK_BYTES(bytes_cstr(report.file), bytes_cstr(mark->path));
}

static void a_changed_bit_where_no_frame_is_is_found(void)
{
    char path[100];
    make_log();
    name_of(4, path);
    check_found(path, 100000, 100000 / SECTOR * SECTOR, 100001);
    const struct place *mark = &places[place_count - 1];
    check_found(mark->path, mark->at + 70000, mark->at, mark->at + 70001);
}

static const struct place *index_place(void)
{
    size_t i = 0;
    while (places[i].kind != FRAME_INDEX) {
        i++;
    }
    CHECK(places[i].len > 2 * SECTOR);
    return &places[i];
}

static void a_torn_index_is_let_pass_and_made_again(void)
{
    struct log_report report;
    static const char zeros[SECTOR];
    make_log();
    const struct place *index = index_place();
    change(index->path, (off_t)(index->at + SECTOR), zeros, sizeof(zeros));
    CHECK(log_scan(dir, NULL, NULL, &report) == OK && report.indexes_missing == 1);
    open_until_indexed(0);
    /* Its segment is not read by a recovery that needs nothing of it. */
    make_log();
    change(index->path, (off_t)index->at, zeros, sizeof(zeros));
    open_until_indexed(last);
}

static uint64_t count_stream(struct log *log)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct log_read read = {.stream = 1,
                            .until = UINT64_MAX,
                            .hash_high = UINT64_MAX,
                            .records_max = 4000,
                            .bytes_max = 100 << 20,
                            .mode = LOG_READ_BLOCKING,
                            .arena = &arena};
    CHECK(log_read(log, &read) == OK && read.at_end);
    arena_fini(&arena);
    return read.count;
}

/* Nobody knows of it before somebody reads the stream, who gets every record all the same. */
static void a_damaged_index_is_made_again_when_it_is_read(void)
{
    struct log_report report;
    make_log();
    struct log *log = open_log(last, OK, &report);
    uint64_t expected = count_stream(log);
    CHECK(log_close(log, true) == OK);
    const struct place *index = index_place();
    flip(index->path, index->at + index->used - 5);
    CHECK(log_scan(dir, NULL, NULL, &report) == ERR_DAMAGED);
    log = open_log(last, OK, &report);
    CHECK(count_stream(log) == expected);
    for (unsigned tries = 0; log_scan(dir, NULL, NULL, &report) != OK && tries < 1000; tries++) {
        thread_pause_ms(10);
    }
    CHECK(count_stream(log) == expected);
    CHECK(log_close(log, true) == OK);
    CHECK(log_scan(dir, NULL, NULL, &report) == OK && report.indexes_missing == 0);
}

int main(void)
{
    RUN(a_changed_bit_is_found_in_every_frame);
    RUN(a_changed_mark_of_a_clean_stop_is_told);
    RUN(a_changed_bit_where_no_frame_is_is_found);
    RUN(a_torn_index_is_let_pass_and_made_again);
    RUN(a_damaged_index_is_made_again_when_it_is_read);
    remove_dir();
    return CHECK_RESULT();
}
