/* retention.h: removes what logs need not keep any longer, by time and by size.
 *
 * Every reactor looks at its open logs now and then: plog_retention says how far whole segments may
 * go; the new log start is made durable by a journal frame first, then the segments are dropped and
 * the owner is told (start_moved). Files are unlinked after their delay.
 *
 * Time is the wall clock's, which may be wrong: when it moved by more than an hour against the
 * monotonic clock, retention by time and size stands still until it agrees again, or until a
 * restart, and says so in the log.
 *
 * Thread: the reactor's.
 */
#pragma once

#include "broker/env.h"

#include <stdbool.h>
#include <stdint.h>

#define RETENTION_JUMP_MS 3600000

struct store_reactor;

struct retention {
    struct env_timer timer;
    uint64_t wall_ms, mono_us; /* when the clocks last agreed */
    bool stopped;              /* by a jump */
};

void retention_init(struct store_reactor *r);
/* One look at all logs, as the timer does. */
void retention_run(struct store_reactor *r);
