/* client: a follower gets every event once, in order, never before it can be read, and hears of the
 * end. */
#include "client/follow.h"

#include "../op/harness.h"

struct follower {
    struct follow *follow;
    size_t events;
    size_t expected;
    uint64_t next; /* the value the next event must hold */
    bool in_order;
    bool enough;
    bool ended;
    bool close_itself;
    enum err err;
    struct log_place last;
};

static struct client client;

static uint64_t value_of(struct bytes image)
{
    struct value value;
    int64_t number = -1;
    CHECK(item_get(image, BYTES("v"), &value) && value_i64(value, &number));
    return (uint64_t)number;
}

static void on_events(void *arg, const struct follow_event *events, size_t count)
{
    struct follower *follower = arg;
    for (size_t i = 0; i < count; i++) {
        follower->in_order =
            follower->in_order && value_of(events[i].record.new_image) == follower->next++;
        follower->last = events[i].place;
    }
    follower->events += count;
    follower->enough = follower->events >= follower->expected;
    if (follower->close_itself) {
        follow_close(follower->follow);
        follower->follow = NULL;
    }
}

static void on_ended(void *arg, enum err err)
{
    struct follower *follower = arg;
    follower->ended = true;
    follower->err = err;
}

static enum err follow(struct follower *follower, enum follow_start start, struct log_place after,
                       uint64_t first, size_t expected)
{
    *follower = (struct follower){.expected = expected, .next = first, .in_order = true};
    const struct follow_options options = {.table_name = BYTES("followed"),
                                           .start = start,
                                           .after = after,
                                           .events = on_events,
                                           .ended = on_ended,
                                           .arg = follower};
    return follow_open(&client, &options, &follower->follow);
}

static void put(uint64_t number)
{
    char json[160];
    snprintf(json, sizeof(json),
             "{'TableName':'followed','Item':{'pk':{'S':'k%llu'},"
             "'v':{'N':'%llu'}}}",
             (unsigned long long)(number % 10), (unsigned long long)number);
    CHECK_CALL("PutItem", json, "{}");
}

static uint64_t made; /* events so far */

static void put_many(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        put(made++);
    }
}

static void what_comes_is_handed_over_once_in_order(void)
{
    struct follower follower;
    put_many(3);
    CHECK(follow(&follower, FOLLOW_LATEST, (struct log_place){0}, 3, 50) == OK);
    put_many(50);
    CHECK(harness_run_until(&follower.enough));
    CHECK(follower.events == 50 && follower.in_order);
    follow_close(follower.follow);
    put_many(1);
    CHECK(follower.events == 50);
}

static void the_past_is_read_from_the_first_or_from_a_place(void)
{
    struct follower follower;
    struct follower second;
    CHECK(follow(&follower, FOLLOW_TRIM_HORIZON, (struct log_place){0}, 0, made) == OK);
    CHECK(harness_run_until(&follower.enough));
    CHECK(follower.events == made && follower.in_order);
    struct log_place place = follow_place(follower.follow);
    CHECK(place.commit >= follower.last.commit);
    put_many(5);
    CHECK(follow(&second, FOLLOW_AFTER, place, made - 5, 5) == OK);
    CHECK(harness_run_until(&second.enough));
    CHECK(second.events == 5 && second.in_order);
    follow_close(second.follow);
    follow_close(follower.follow);
}

static void one_far_behind_reads_from_disk(void)
{
    struct follower follower;
    harness_close();
    harness_open(); /* the tail is empty now */
    client_init_local(&client, &harness.lane);
    put_many(2500);
    CHECK(follow(&follower, FOLLOW_TRIM_HORIZON, (struct log_place){0}, 0, made) == OK);
    CHECK(harness_run_until(&follower.enough));
    CHECK(follower.events == made && follower.in_order);
    follow_close(follower.follow);
}

static void it_may_be_closed_in_any_state(void)
{
    struct follower follower;
    CHECK(follow(&follower, FOLLOW_TRIM_HORIZON, (struct log_place){0}, 0, made) == OK);
    follow_close(follower.follow); /* perhaps reading */
    CHECK(follow(&follower, FOLLOW_LATEST, (struct log_place){0}, made, 1) == OK);
    follower.close_itself = true; /* while handing over */
    put_many(1);
    CHECK(harness_run_until(&follower.enough));
    CHECK(follow(&follower, FOLLOW_LATEST, (struct log_place){0}, made, 1) == OK);
    follow_close(follower.follow); /* armed */
    put_many(1);
    mailbox_run(&harness.home);
    CHECK(follower.events == 0);
}

#ifdef HW_TEST_HOOKS
static void a_held_follower_hands_nothing_over(void)
{
    struct follower follower;
    struct follower other;
    char path[96];
    snprintf(path, sizeof(path), "%s/hold", harness.data);
    FILE *hold = fopen(path, "w");
    CHECK(hold != NULL && fclose(hold) == 0);
    follow_hold_file(path);
    CHECK(follow(&follower, FOLLOW_LATEST, (struct log_place){0}, 7, 1) == OK);
    CHECK(follow(&other, FOLLOW_LATEST, (struct log_place){0}, 7, 1) == OK);
    put(7);
    for (int turn = 0; turn < 5; turn++) {
        mailbox_run(&harness.home);
        event_wait(&harness.wake, 20);
    }
    CHECK(follower.events == 0);
    follow_close(other.follow); /* while held */
    CHECK(remove(path) == 0);
    CHECK(harness_run_until(&follower.enough));
    CHECK(follower.in_order);
    follow_close(follower.follow);
    mailbox_run(&harness.home);
    CHECK(other.events == 0);
    follow_hold_file("/nowhere/at/all");
}
#endif

static void the_end_is_told(void)
{
    struct follower follower;
    CHECK(follow(&follower, FOLLOW_LATEST, (struct log_place){0}, 0, 1) == OK);
    CHECK_HAS(call("DeleteTable", "{'TableName':'followed'}"), "DELETING");
    CHECK(harness_run_until(&follower.ended));
    CHECK(follower.err == ERR_CLOSED);
    follow_close(follower.follow);
    CHECK(follow(&follower, FOLLOW_LATEST, (struct log_place){0}, 0, 1) == ERR_NOT_FOUND);
}

int main(void)
{
    harness_init();
    client_init_local(&client, &harness.lane);
    call("CreateTable", MAKE_HASH_TABLE("followed", WITH_STREAM("NEW_IMAGE")));
    RUN(what_comes_is_handed_over_once_in_order);
    RUN(the_past_is_read_from_the_first_or_from_a_place);
    RUN(one_far_behind_reads_from_disk);
    RUN(it_may_be_closed_in_any_state);
#ifdef HW_TEST_HOOKS
    RUN(a_held_follower_hands_nothing_over);
#endif
    RUN(the_end_is_told);
    harness_fini();
    return CHECK_RESULT();
}
