/* partition_fan.h: the requests that ask one question of many partitions (ListOffsets,
 * OffsetForLeaderEpoch, DeleteRecords): finding the topic is the same for all. */
#pragma once

#include "broker/broker.h"

/* The topic of that name that has the partition. */
static inline enum err partition_find(struct broker *b, struct str name, int32_t partition,
                                      struct uuid *out)
{
    const struct topic *t = broker_topic(b, name);
    if (!t || partition < 0 || partition >= t->partitions)
        return ERR_TOPIC_UNKNOWN;
    *out = t->id;
    return ERR_OK;
}
