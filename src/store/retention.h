/* retention.h: removes what logs need not keep any longer, by time and by size.
 *
 * Every reactor looks at its open logs now and then: plog_retention says how far whole segments may
 * go; the new log start is made durable by a journal frame first, then the segments are dropped and
 * the owner is told (start_moved). Files are unlinked after their delay.
 *
 * A log that nobody has used for some looks is unloaded: what is left of it in memory is its
 * manifest entry. Of the logs that are not loaded some are looked at each time.
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
#define RETENTION_IDLE_MAX 64 /* logs at one look that are not loaded */

struct store_reactor;

struct retention {
    struct env_timer timer;
    uint64_t wall_ms, mono_us; /* when the clocks last agreed */
    bool stopped;              /* by a jump */
    uint32_t idle_from;        /* the first idle log of the next look, counting */
};

void retention_init(struct store_reactor *r);
/* One look at all logs, as the timer does. */
void retention_run(struct store_reactor *r);
