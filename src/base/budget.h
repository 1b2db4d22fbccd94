/* budget.h: how much memory many holders may have together, each as much as it turns out to need.
 *
 *     budget   the ceiling, and what is held of it
 *     share    what one holder has; its first `free` bytes cost nothing
 *
 * A share grows as buffers do (cursor.h), by doubling, and is refused what would pass the ceiling.
 * Nobody waits for a share: who waited while holding some would wait for others that do the same.
 * A refused holder fails, says so, and gives back what it has. Waiting is for who has not begun:
 * while the budget is `tight` (half of it is held) nobody should begin, so that who has begun finds
 * room to end.
 *
 * Shares may grow on any thread. They are dropped, and `tight` is asked, on one thread: `eased` is
 * called there, inside of the drop after which the budget is tight no more, and drops nothing.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct budget {
    size_t max, free; /* bytes */
    atomic_size_t held;
    void (*eased)(void *arg); /* NULL: nobody asks */
    void *arg;
};

/* of NULL: a share of nothing, which grows without limit. */
struct budget_share {
    struct budget *of;
    size_t held; /* beyond those that are free */
};

bool budget_tight(const struct budget *b);
/* To hold `bytes` in all. False: there is no room; it holds what it held. */
bool budget_share_grow(struct budget_share *s, size_t bytes);
/* Likewise, whether there is room or not: for what is there already, and moves to a new holder. */
void budget_share_claim(struct budget_share *s, size_t bytes);
void budget_share_drop(struct budget_share *s);
