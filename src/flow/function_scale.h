/* function_scale.h: how many workers a function should have. Pure: times come from the caller.
 *
 *     need  =  the larger of   events that wait / target
 *                              calls (under way, or waiting for a worker) / concurrency
 *              within min .. max
 *
 * Up: at once, from zero too; but no more than FUNCTION_SCALE_STEP, or as many as are ready, may be
 * starting at the same time, so that a spike doubles the workers until it is met.
 *
 * Down: one worker when fewer have been needed for idle_us on end, then one every second
 * (FUNCTION_SCALE_DOWN_US; every idle_us if that is shorter). A need that comes back in between
 * begins the wait anew, so that no worker is stopped twice within idle_us for the same wave.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define FUNCTION_SCALE_STEP 4u
#define FUNCTION_SCALE_DOWN_US ((uint64_t)1000000)

enum function_scale_reason {
    FUNCTION_SCALE_NONE,
    FUNCTION_SCALE_MINIMUM, /* workers.min */
    FUNCTION_SCALE_MAXIMUM, /* workers.max became less */
    FUNCTION_SCALE_WAITING, /* events wait */
    FUNCTION_SCALE_CALLS,   /* calls */
    FUNCTION_SCALE_IDLE,
};

struct function_scale_conf {
    uint32_t min, max;
    uint32_t target, concurrency; /* at least 1 */
    uint64_t idle_us;
};

struct function_scale_seen {
    uint64_t now_us;
    uint64_t waiting; /* events without a call */
    uint32_t calls;   /* under way, or waiting for a worker */
    uint32_t size;    /* workers that it should have by the last decision */
    uint32_t ready;   /* of them */
};

/* Zero-initialise. */
struct function_scale {
    uint64_t over_since_us; /* fewer are needed since; 0: no */
};

struct function_scale_answer {
    uint32_t need;
    uint32_t size; /* the new one */
    enum function_scale_reason reason;
    uint64_t look_us; /* when to ask again if nothing happens; UINT64_MAX: never */
};

struct function_scale_answer function_scale(struct function_scale *s,
                                            const struct function_scale_conf *conf,
                                            const struct function_scale_seen *seen);
/* "waiting", ... */
const char *function_scale_reason(enum function_scale_reason reason);
