/* push_waits.h: how many events wait for a function, told to its pool (function_waits) while there
 * is work: from the ledger (broker_ledger_stat), at most once in PUSH_WAITS_US. In a pusher.
 */
#pragma once

#include "broker/delivery.h"
#include "broker/env.h"

#define PUSH_WAITS_US ((uint64_t)100000)

struct pusher;

struct push_waits {
    struct ledger_stat_op op;
    struct env_timer timer;
    struct pusher *p;
    bool asking;
};

/* Something came, or went: it is worth a look. */
void push_waits_look(struct pusher *p);
/* No more; it may still be asking. */
void push_waits_stop(struct pusher *p);
