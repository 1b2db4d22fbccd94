/* fan.h: one request, several ops: the answer goes when the last one is done.
 *
 *     fan_begin(&fan, rq, answer);
 *     for each: fan_add(&fan), submit the op, whose done calls fan_done
 *     fan_done(&fan);                  the beginning's own share: ops may all be done by now
 */
#pragma once

#include <stdint.h>

struct kafka_request;

struct fan {
    struct kafka_request *rq;
    int32_t waiting;
    void (*answer)(struct kafka_request *rq);
};

static inline void fan_begin(struct fan *fan, struct kafka_request *rq,
                             void (*answer)(struct kafka_request *rq))
{
    *fan = (struct fan){rq, 1, answer};
}

static inline void fan_add(struct fan *fan)
{
    fan->waiting++;
}

static inline void fan_done(struct fan *fan)
{
    if (--fan->waiting == 0)
        fan->answer(fan->rq);
}
