/* visible.h: when records of late became visible, to the microsecond: a log tells the times of its
 * batches in milliseconds, which says nothing of a delivery that takes half of one.
 *
 * Each reactor remembers the last VISIBLE_MOVES moves of the ends of its partitions that have
 * subscriptions. What was read later than that has waited for so long that milliseconds will do.
 * Inside of broker/ only.
 */
#pragma once

#include "base/uuid.h"

#define VISIBLE_MOVES 512u

struct visible {
    struct visible_move {
        uint64_t log; /* a hash of topic and partition */
        int64_t end;
        uint64_t us; /* monotonic; 0: no move yet */
    } moves[VISIBLE_MOVES];
    unsigned next;
};

void visible_note(struct visible *v, const struct uuid *topic, int32_t partition, int64_t end,
                  uint64_t now_us);
/* The time of the move that made the record of this offset visible; 0: not known (any more). Some
 * hundred ns. */
uint64_t visible_find(const struct visible *v, const struct uuid *topic, int32_t partition,
                      int64_t offset);
