/* A stack of messages, reversed when taken. The release exchange of the poster pairs with the
 * acquire exchange of the owner: what a message points at is visible before the message is. */
#include "sys/mailbox.h"

#include <stdatomic.h>

void mailbox_init(struct mailbox *mailbox, void (*wake)(void *arg), void *wake_arg)
{
    atomic_init(&mailbox->newest, NULL);
    mailbox->wake = wake;
    mailbox->wake_arg = wake_arg;
    mailbox->owner = (struct owner){0};
}

void mailbox_post(struct mailbox *mailbox, struct message *message)
{
    mailbox_post_list(mailbox, message, message);
}

void mailbox_post_list(struct mailbox *mailbox, struct message *oldest, struct message *newest)
{
    /* On the stack each message links to the one before it: turn the list round. */
    struct message *previous = NULL;
    struct message *message = oldest;
    newest->next = NULL;
    while (message != NULL) {
        struct message *next = message->next;
        message->next = previous;
        previous = message;
        message = next;
    }
    struct message *head = atomic_load_explicit(&mailbox->newest, memory_order_relaxed);
    do {
        oldest->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&mailbox->newest, &head, newest,
                                                    memory_order_release, memory_order_relaxed));
    if (head == NULL) {
        mailbox->wake(mailbox->wake_arg);
    }
}

struct message *mailbox_take(struct mailbox *mailbox)
{
    ASSERT_OWNER(&mailbox->owner);
    struct message *message =
        atomic_exchange_explicit(&mailbox->newest, NULL, memory_order_acquire);
    struct message *oldest = NULL;
    while (message != NULL) {
        struct message *older = message->next;
        message->next = oldest;
        oldest = message;
        message = older;
    }
    return oldest;
}

size_t mailbox_run(struct mailbox *mailbox)
{
    size_t count = 0;
    struct message *message = mailbox_take(mailbox);
    while (message != NULL) {
        struct message *next = message->next;
        message->run(message);
        message = next;
        count++;
    }
    return count;
}
