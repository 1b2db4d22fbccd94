/* partition.h: a partition that this worker has: the state of its keys, and how far it has read.
 *
 * weir gives a partition to one worker at a time, and calls it with the events in their order.
 * What a worker did not see itself (it is new, or the partition was another's for a while) it reads
 * again, without answering: from its snapshot if there is one, else from the log's beginning. One
 * rule covers all of that: an event whose offset is beyond `next` means that those in between are
 * missing.
 *
 * Snapshots are written by a child process, which has its memory as it was when it began.
 */
#pragma once

#include "stage.h"

#include <sys/types.h>

struct place {
    const struct stage *stage;
    const char *topic;
    const char *weir;  /* host:port */
    const char *state; /* the folder of snapshots; NULL: none are written */
};

struct partition {
    int32_t number;
    int64_t next;  /* the first offset that is not in the state */
    int64_t saved; /* and in the snapshot */
    struct keyed keys;
};

/* With what its snapshot holds. */
struct partition *partition_make(const struct place *place, int32_t number);
/* Brings it to where `offset` is the next event. */
void partition_catch_up(const struct place *place, struct partition *p, int64_t offset);
/* Writes the snapshot if there is something new; in a child process, whose id is returned, or
 * (`here`) in this one. 0: nothing to do. */
pid_t partition_save(const struct place *place, struct partition *p, int here);
