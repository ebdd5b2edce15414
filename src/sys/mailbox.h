/* How threads talk: messages go to a mailbox, whose owner takes them all at once, in order of
 * arrival. Posting never blocks and allocates nothing: the message is inside the object it is
 * about. The first message into an empty mailbox wakes the owner; later ones do not, so a burst
 * costs one wake (sys I4). */
#ifndef HW_SYS_MAILBOX_H
#define HW_SYS_MAILBOX_H

#include "base/bytes.h"
#include "base/owner.h"

struct message {
    struct message *next;
    void (*run)(struct message *message); /* called by the owner, on its thread */
};

struct mailbox {
    _Atomic(struct message *) newest;
    void (*wake)(void *arg); /* any thread; may be called once too often */
    void *wake_arg;
    struct owner owner;
};

void mailbox_init(struct mailbox *mailbox, void (*wake)(void *arg), void *wake_arg);
/* Any thread. The message belongs to the owner of the mailbox until its run is called. */
void mailbox_post(struct mailbox *mailbox, struct message *message);
/* A list linked by next, from oldest to newest, posted with at most one wake. */
void mailbox_post_list(struct mailbox *mailbox, struct message *oldest, struct message *newest);
/* Owner only: all messages, oldest first, linked by next; NULL if there are none. */
struct message *mailbox_take(struct mailbox *mailbox);
/* Owner only: takes all and runs each. Returns how many. */
size_t mailbox_run(struct mailbox *mailbox);

#endif
