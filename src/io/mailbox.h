/* mailbox.h: many threads put mails in, one takes them all out.
 *
 * A stack that the taker empties with one exchange and turns round: mails of one poster come out in
 * the order in which they went in. No lock, no allocation: the mails link themselves.
 */
#pragma once

#include "broker/env.h"

#include <stdatomic.h>

struct mailbox {
    _Atomic(struct env_mail *) top;
};

static inline void mailbox_init(struct mailbox *box)
{
    atomic_init(&box->top, NULL);
}

/* Any thread. Sequentially consistent: a poster that then sees the taker awake may rely on the
 * taker's next mailbox_empty to see the mail. */
static inline void mailbox_put(struct mailbox *box, struct env_mail *mail)
{
    struct env_mail *top = atomic_load_explicit(&box->top, memory_order_relaxed);
    do {
        mail->next = top;
    } while (!atomic_compare_exchange_weak(&box->top, &top, mail));
}

static inline bool mailbox_empty(struct mailbox *box)
{
    return atomic_load(&box->top) == NULL;
}

/* All mails, oldest first, linked by next. */
static inline struct env_mail *mailbox_take(struct mailbox *box)
{
    struct env_mail *top = atomic_exchange(&box->top, NULL), *first = NULL;
    while (top) {
        struct env_mail *next = top->next;
        top->next = first;
        first = top;
        top = next;
    }
    return first;
}
