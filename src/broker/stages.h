/* stages.h: how long the stages of a subscription's deliveries take, counted since the start.
 *
 *     visible --- wait ---> acquired --- call ---> answered --- settle ---> settled
 *     |------------------------------- total -----------------------------------|
 *
 *     wait     of first deliveries
 *     call     what a receiver had the message for; of what weir brings somewhere, its call alone.
 *              None of what is appended to a topic
 *     settle   until it was durable, with all that was published in the same group
 *     total    of what was accepted, in however many attempts
 *
 * Of receivers that pull, `call` is known to the millisecond. */
#pragma once

#include "base/histogram.h"

#define STAGES(X) X(WAIT, "wait") X(CALL, "call") X(SETTLE, "settle") X(TOTAL, "total")

enum stage {
#define X(name, text) STAGE_##name,
    STAGES(X)
#undef X
        STAGE_COUNT
};

struct stages {
    struct histogram of[STAGE_COUNT];
};
