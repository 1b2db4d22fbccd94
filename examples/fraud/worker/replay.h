/* replay.h: reads a topic's partition again over weir's HTTP API:
 * GET /topics/T?partition=P&offset=N.
 */
#pragma once

#include "event.h"

struct replay {
    const char *weir; /* "127.0.0.1:8080" */
    const char *topic;
    int32_t partition;
    int64_t from, to; /* offsets: from, up to but without to */
    void *arg;
    void (*event)(void *arg, const struct event *e);
};

/* Blocks. What the log no longer has is passed over, and told of; dies if weir does not answer. */
void replay_run(struct replay *r);
