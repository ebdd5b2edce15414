/* table: what is put is there, in the view and in the stream, and is there again after a restart
 * and after a kill; tables and streams come and go; a directory has one process. */
#include "world.h"

#include <signal.h>
#include <sys/wait.h>

static void items_come_and_go(void)
{
    struct world world;
    struct seat seat;
    world_begin(&world, &seat, 0);
    CHECK(get(&seat, "t", "a") == -1);
    CHECK(put(&seat, "t", "a", 7) == OK);
    CHECK(get(&seat, "t", "a") == 7);
    CHECK(put(&seat, "t", "a", 8) == OK);
    CHECK(get(&seat, "t", "a") == 8);
    CHECK(drop(&seat, "t", "a") == OK);
    CHECK(get(&seat, "t", "a") == -1);
    CHECK(put(&seat, "nowhere", "a", 1) == ERR_NOT_FOUND);
    world_end(&world, &seat);
}

static void a_clean_stop_keeps_everything_and_replays_nothing(void)
{
    struct world world;
    struct seat seat;
    world_begin(&world, &seat, STREAM_NEW_AND_OLD);
    CHECK(put(&seat, "t", "a", 1) == OK);
    CHECK(put(&seat, "t", "b", 2) == OK);
    CHECK(drop(&seat, "t", "a") == OK);
    seat_fini(&seat);
    world_close(&world);

    world_open(&world);
    CHECK(world.report.log.clean_stop);
    CHECK(world.report.replayed_commits == 0);
    CHECK(world.report.view_commit == 4);
    seat_init(&seat, world.store);
    CHECK(get(&seat, "t", "a") == -1);
    CHECK(get(&seat, "t", "b") == 2);
    CHECK(put(&seat, "t", "a", 3) == OK);
    CHECK(get(&seat, "t", "a") == 3);
    world_end(&world, &seat);
}

/* A child writes until it is killed and says through a pipe what was acknowledged. */
static void write_until_killed(struct world *world, int pipe)
{
    struct seat seat;
    world_open(world);
    make_table(world->store, "t", STREAM_NEW_AND_OLD);
    seat_init(&seat, world->store);
    for (int64_t n = 1;; n++) {
        char key[16];
        snprintf(key, sizeof(key), "k%d", (int)(n % 50));
        if (put(&seat, "t", key, n) != OK || write(pipe, &n, sizeof(n)) != sizeof(n)) {
            _exit(1);
        }
    }
}

static int64_t kill_a_writer(struct world *world, unsigned ms)
{
    int pipes[2];
    int64_t acked = 0;
    int64_t n = 0;
    int status = 0;
    CHECK(pipe(pipes) == 0);
    pid_t child = fork();
    if (child == 0) {
        write_until_killed(world, pipes[1]);
    }
    close(pipes[1]);
    if (read(pipes[0], &n, sizeof(n)) == sizeof(n)) {
        acked = n;
    }
    thread_pause_ms(ms);
    kill(child, SIGKILL);
    while (read(pipes[0], &n, sizeof(n)) == sizeof(n)) {
        acked = n;
    }
    waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status));
    close(pipes[0]);
    return acked;
}

static void what_was_acknowledged_survives_a_kill(void)
{
    struct world world;
    struct seat seat;
    world_init(&world);
    int64_t acked = kill_a_writer(&world, 60);
    CHECK(acked > 0);
    world_open(&world);
    CHECK(!world.report.log.clean_stop);
    CHECK(world.report.replayed_commits >= (uint64_t)acked);
    seat_init(&seat, world.store);
    for (int64_t n = acked > 49 ? acked - 49 : 1; n <= acked; n++) {
        char key[16];
        snprintf(key, sizeof(key), "k%d", (int)(n % 50));
        CHECK(get(&seat, "t", key) >= n);
    }
    world_end(&world, &seat);
}

static void a_second_process_is_told_who_has_the_directory(void)
{
    struct world world;
    struct world other;
    char expected[64];
    world_init(&world);
    world_open(&world);
    other = world;
    CHECK(store_open(&other.options, &other.store, &other.report) == ERR_BUSY);
    snprintf(expected, sizeof(expected), "process %d", (int)getpid());
    CHECK_BYTES(bytes_cstr(other.report.directory_holder), bytes_cstr(expected));
    world_close(&world);
    world_open(&world);
    world_close(&world);
    world_remove(&world);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void a_format_that_is_not_ours_is_refused(void)
{
    static const char *const unknown[] = {
        "headwater data 2\nepoch 1000\n", "headwater data 7\nfeatures: of a later time\n",
        ("headwater data 12\nepoch 1000\nand more than this version would ever write: "
         "0123456789012345678901234567890123456789012345678901234567890123456789\n")};
    static const char *const unreadable[] = {
        "", "epoch 1000\n", "headwater data 1\n", "headwater data 1\nepoch 7\n",
        "headwater data 1\nepoch 1000\nand more\n", "headwater data 1\nepoch 4294968296\n",
        "headwater data 1 epoch 1000\n",
        /* a changed epoch with the check of another */
        "headwater data 1\nepoch 1001\ncheck 1db03e8d\n"};
    struct world world;
    char path[96];
    world_init(&world);
    world_open(&world);
    world_close(&world);
    snprintf(path, sizeof(path), "%s/FORMAT", world.dir);
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        write_file(path, unknown[i]);
        CHECK(store_open(&world.options, &world.store, &world.report) == ERR_DAMAGED);
        CHECK(strstr(world.report.log.reason, "start that version or a newer one") != NULL);
    }
    for (size_t i = 0; i < sizeof(unreadable) / sizeof(unreadable[0]); i++) {
        write_file(path, unreadable[i]);
        CHECK(store_open(&world.options, &world.store, &world.report) == ERR_DAMAGED);
        CHECK(strstr(world.report.log.reason, "cannot be read as the format") != NULL);
    }
    CHECK(unlink(path) == 0);
    CHECK(store_open(&world.options, &world.store, &world.report) == ERR_DAMAGED);
    CHECK_BYTES(bytes_cstr(world.report.log.file), bytes_cstr(path));
    write_file(path, "headwater data 1\nepoch 1000\n");
    world_open(&world);
    world_close(&world);
    world_remove(&world);
}

static void a_lost_view_is_made_again_from_the_whole_log(void)
{
    struct world world;
    struct seat seat;
    char command[96];
    world_begin(&world, &seat, STREAM_KEYS_ONLY);
    CHECK(put(&seat, "t", "a", 5) == OK);
    seat_fini(&seat);
    world_close(&world);
    snprintf(command, sizeof(command), "rm -rf '%s/view'", world.dir);
    CHECK(system(command) == 0);
    world_open(&world);
    CHECK(world.report.replayed_commits == 2);
    seat_init(&seat, world.store);
    CHECK(get(&seat, "t", "a") == 5);
    world_end(&world, &seat);
}

static void a_deleted_table_is_empty_when_made_again(void)
{
    struct world world;
    struct seat seat;
    world_begin(&world, &seat, STREAM_NEW_IMAGE);
    CHECK(put(&seat, "t", "a", 5) == OK);
    CHECK(delete_table(world.store, "t") == OK);
    CHECK(delete_table(world.store, "t") == ERR_FAULT);
    CHECK(put(&seat, "t", "a", 1) == ERR_NOT_FOUND);
    make_table(world.store, "t", STREAM_NEW_IMAGE);
    CHECK(get(&seat, "t", "a") == -1);
    CHECK(put(&seat, "t", "b", 6) == OK);

    /* Both streams are there, the first one closed, under names that differ. */
    const struct catalogue *catalogue = store_catalogue_pin(world.store);
    const struct stream *first = catalogue_next_stream(catalogue, BYTES_NONE, BYTES("t"));
    const struct stream *second = catalogue_next_stream(catalogue, first->arn, BYTES("t"));
    CHECK(second != NULL && catalogue_next_stream(catalogue, second->arn, BYTES("t")) == NULL);
    CHECK(first->last_commit != UINT64_MAX && second->last_commit == UINT64_MAX);
    CHECK(second == catalogue_table(catalogue, BYTES("t"))->stream);
    store_catalogue_unpin(world.store, catalogue);
    seat_fini(&seat);
    world_close(&world);

    world_open(&world);
    seat_init(&seat, world.store);
    CHECK(get(&seat, "t", "a") == -1);
    CHECK(get(&seat, "t", "b") == 6);
    world_end(&world, &seat);
}

static void names_of_tables_and_streams_are_as_clients_parse_them(void)
{
    struct world world;
    world_init(&world);
    world_open(&world);
    make_table(world.store, "orders", STREAM_NEW_IMAGE);
    const struct catalogue *catalogue = store_catalogue_pin(world.store);
    const struct table *table = catalogue_table(catalogue, BYTES("orders"));
    CHECK_BYTES(table->arn, BYTES("arn:aws:dynamodb:us-east-1:000000000000:table/orders"));
    const struct stream *stream = table->stream;
    CHECK(stream->label.len == 23 && stream->label.ptr[10] == 'T' && stream->label.ptr[19] == '.');
    CHECK(bytes_start_with(stream->arn, table->arn));
    CHECK(stream->shard_id.len == 8 + 20 + 1 + 8);
    CHECK(bytes_start_with(stream->shard_id, BYTES("shardId-0000000")));
    CHECK(stream->first_commit == 1);
    CHECK(!table->reserved);
    store_catalogue_unpin(world.store, catalogue);
    make_table(world.store, "headwater.x", 0);
    catalogue = store_catalogue_pin(world.store);
    CHECK(catalogue_table(catalogue, BYTES("headwater.x"))->reserved);
    CHECK(catalogue_table(catalogue, BYTES("headwater.x"))->stream == NULL);
    store_catalogue_unpin(world.store, catalogue);
    world_close(&world);
    world_remove(&world);
}

static void sequence_numbers_read_back(void)
{
    struct world world;
    char text[25];
    struct log_place place;
    world_init(&world);
    world_open(&world);
    sequence_number_text(world.store, 123456789, 42, text);
    CHECK_BYTES(bytes_cstr(text), BYTES("100000000012345678900042"));
    CHECK(sequence_number_parse(world.store, bytes_cstr(text), &place) == OK);
    CHECK(place.commit == 123456789 && place.index == 42);
    CHECK(sequence_number_parse(world.store, BYTES("100100000012345678900042"), &place) ==
          ERR_INVALID);
    CHECK(sequence_number_parse(world.store, BYTES("10000000001234567890004"), &place) ==
          ERR_INVALID);
    CHECK(sequence_number_parse(world.store, BYTES("10000000001234567890004x"), &place) ==
          ERR_INVALID);
    world_close(&world);
    world_remove(&world);
}

static bool count_row(void *arg, struct bytes row, struct bytes value)
{
    (void)row;
    (void)value;
    (*(uint64_t *)arg)++;
    return true;
}

static void a_deleted_table_leaves_no_rows(void)
{
    struct world world;
    struct seat seat;
    struct row_key low = {0};
    uint64_t rows = 0;
    world_begin(&world, &seat, 0);
    CHECK(put(&seat, "t", "a", 5) == OK && put(&seat, "t", "b", 5) == OK);
    row_u64(&low, TABLE_ID_FIRST);
    struct view_scan scan = {
        .low = row_bytes(&low), .how = VIEW_BLOCKING, .fn = count_row, .arg = &rows};
    CHECK(view_scan(world.store->view, &scan) == OK && rows == 2);
    rows = 0;
    CHECK(delete_table(world.store, "t") == OK);
    CHECK(view_scan(world.store->view, &scan) == OK && rows == 0);
    world_end(&world, &seat);
}

/* A copy of the directory of a running store is what a kill leaves behind. */
static void ids_are_not_used_again_after_a_kill(void)
{
    struct world world;
    struct world copy;
    world_init(&world);
    world_open(&world);
    make_table(world.store, "t", STREAM_NEW_IMAGE);
    uint64_t next_id = world.store->catalogue->next_id;
    CHECK(delete_table(world.store, "t") == OK);
    world_init(&copy);
    world_copy(&world, &copy);
    world_close(&world);

    world_open(&copy);
    CHECK(copy.report.replayed_commits == 2);
    world_close(&copy);
    world_open(&copy);
    CHECK(copy.report.replayed_commits == 0);
    CHECK(copy.store->catalogue->next_id == next_id);
    CHECK(copy.store->catalogue->stream_count == 1);
    world_close(&copy);
    world_remove(&world);
    world_remove(&copy);
}

/* The one that forks comes first, while there is one thread. */
int main(void)
{
    RUN(what_was_acknowledged_survives_a_kill);
    RUN(items_come_and_go);
    RUN(a_clean_stop_keeps_everything_and_replays_nothing);
    RUN(a_second_process_is_told_who_has_the_directory);
    RUN(a_format_that_is_not_ours_is_refused);
    RUN(a_lost_view_is_made_again_from_the_whole_log);
    RUN(a_deleted_table_is_empty_when_made_again);
    RUN(a_deleted_table_leaves_no_rows);
    RUN(ids_are_not_used_again_after_a_kill);
    RUN(names_of_tables_and_streams_are_as_clients_parse_them);
    RUN(sequence_numbers_read_back);
    return CHECK_RESULT();
}
