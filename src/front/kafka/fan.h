/* fan.h: one request, several ops: the answer goes when the last one is done.
 *
 *     fan_begin(&fan, rq, answer);
 *     for each: fan_add(&fan), submit the op, whose done fills its row of the answer and calls
 *               fan_done
 *     fan_done(&fan);                  the beginning's own share: ops may all be done by now
 *
 * The last fan_done answers, which ends the request: nothing of it may be touched afterwards.
 */
#pragma once

#include "front/kafka/conn.h"

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

/* The topic of that name, if it has the partition: what every op on a partition is asked with. */
static inline enum err fan_find_partition(struct fan *fan, struct str name, int32_t partition,
                                          struct uuid *out)
{
    const struct topic *t = broker_topic(fan->rq->conn->broker, name);
    if (!t || partition < 0 || partition >= t->partitions)
        return kafka_topic_missing(fan->rq, name);
    *out = t->id;
    return ERR_OK;
}
