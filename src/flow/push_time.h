/* push_time.h: what the stages of a delivery take, for weir.hops and metrics. Embedded in a lane;
 * of one call at a time, or of one append into a topic:
 *
 *     push_time_begin     the call leaves, or the append is begun
 *     push_time_end       it is answered; what follows is the settle
 *     push_time_settle    before it goes to the broker: its items say how long the call took
 *     push_time_settled   that is durable, or will not be: a hop for each event of the call;
 *                         nothing if none was begun
 *
 * The times between are those of broker/hop.h. All on the lane's reactor.
 */
#pragma once

#include "broker/hop.h"

#define PUSH_TIME_TEXT 48

struct push_lane;

struct push_time {
    enum hop_step step;
    uint32_t n; /* events of the call, the first of the lane's; 0: nothing has begun */
    uint64_t begin_us, end_us;
    char by[PUSH_TIME_TEXT];      /* who was called, beyond the subscription: a function's worker */
    char outcome[PUSH_TIME_TEXT]; /* status or error */
};

void push_time_begin(struct push_lane *lane, enum hop_step step);
/* by may be NULL. Both are copied. */
void push_time_end(struct push_lane *lane, const char *by, const char *outcome);
void push_time_settle(struct push_lane *lane);
void push_time_settled(struct push_lane *lane, bool durable);
