/* Following a table's stream: events in order, handed over on a loop's thread as they become
 * visible. In this process a follower is woken by the commit and reads the shared tail; nothing
 * polls. Delivery is at least once over restarts (the position is the follower's to keep) and
 * exactly once, in order, within one follow.
 *
 * An event may be handed over before its writer has its answer, never before it is durable and
 * visible: who reads the event's key then sees that state or a newer one (client I3). */
#ifndef HW_CLIENT_FOLLOW_H
#define HW_CLIENT_FOLLOW_H

#include "client/client.h"

struct follow_event {
    struct log_place place;
    uint64_t time_ms;
    struct stream_record record; /* images as the stream's view type gives them */
    struct bytes keys;           /* item of the key attributes */
};

enum follow_start { FOLLOW_LATEST, FOLLOW_TRIM_HORIZON, FOLLOW_AFTER };

struct follow; /* one follower, owned by a loop */

struct follow_options {
    struct bytes table_name; /* its open stream */
    enum follow_start start;
    struct log_place after; /* FOLLOW_AFTER */
    /* A batch in order; events are borrowed until it returns. */
    void (*events)(void *arg, const struct follow_event *events, size_t count);
    /* It cannot go on: ERR_TRIMMED (fell behind retention), ERR_NOT_FOUND (no stream), ERR_CLOSED
     * (stream closed, all was handed over). */
    void (*ended)(void *arg, enum err err);
    void *arg;
};

MUST_USE enum err follow_open(struct client *client, const struct follow_options *options,
                              struct follow **follow);
void follow_close(struct follow *follow);
/* Everything up to here was handed over. */
struct log_place follow_place(const struct follow *follow);

#ifdef HW_TEST_HOOKS
/* While this file exists no follower hands anything over (looked at every 10 ms). */
void follow_hold_file(const char *path);
#endif

#endif
