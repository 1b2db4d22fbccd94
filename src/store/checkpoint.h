/* checkpoint.h: makes the logs' own files durable, so that the journal can be used again (R5).
 *
 *     reactor 0   sequence S of the last whole group; asks every reactor for its part
 *     reactor r   at its turn's end: a sync job for each log that changed, its owner's snapshot,
 *                 the manifest entries of all its logs; hands a barrier to the writer
 *     writer      the barriers come back when everything written before them is durable
 *     a thread    syncs the logs' files (syncfs when they are many), the folder of the logs, then
 *                 replaces the manifest
 *     reactor 0   journal files whose groups are all <= S become spares
 *     reactor r   forgets the jobs
 *
 * A manifest may thus hold more than groups up to S did: what it holds beyond is durable by the
 * barrier, and its replay is skipped place by place. Begun by journal fill, by time, by a stop.
 *
 * Errors: a full disk leaves the former manifest and the journal as they were, and is tried again;
 * a failed sync stops the process (R8): what the kernel could not write may be gone from its cache,
 * so only a restart, which replays the journal, can tell.
 *
 * Thread: reactor 0, but for checkpoint_part_*, on the part's reactor.
 */
#pragma once

#include "base/buf.h"
#include "broker/env.h"
#include "io/loop.h"

#include <stdbool.h>
#include <stdint.h>

struct embedded;
struct store_reactor;
struct plog_sync;
struct store_log;

typedef void checkpoint_done_fn(void *arg, enum err err);

/* A reactor's share of the checkpoint that runs. */
struct checkpoint_part {
    struct env_mail mail; /* begin, ready, end, ended */
    bool wanted;          /* begins at this turn's end */
    struct plog_sync **syncs;
    struct store_log **logs; /* of syncs */
    unsigned count;
    struct slice *entries;
    uint32_t entry_count;
    bool synced; /* how the job ended */
};

enum checkpoint_step { CHECKPOINT_IDLE, CHECKPOINT_BEGIN, CHECKPOINT_SYNC, CHECKPOINT_END };

struct checkpoint {
    enum checkpoint_step step;
    unsigned parts; /* not ready, or not ended, yet */
    bool clean;     /* the last one of this process */
    bool again;     /* the last one failed: there is something to do */
    uint64_t sequence, at;
    uint32_t file;
    uint64_t last_bytes; /* of the journal, when the last one began */
    struct loop_job job;
    enum err err;
    bool synced; /* the logs' files are; the manifest may not have been written */
    struct env_timer timer;
    checkpoint_done_fn *done;
    void *done_arg;
    uint64_t count;
};

void checkpoint_init(struct embedded *e);
/* Once a turn of reactor 0: begins one if it is due, and tells the writer to wait while the journal
 * is full and a checkpoint will soon free some of it. */
void checkpoint_tick(struct embedded *e);
/* done is optional. None must be running. */
void checkpoint_start(struct embedded *e, bool clean, checkpoint_done_fn *done, void *arg);
/* The writer has no room at all. */
void checkpoint_starved(struct embedded *e);
/* What it has gathered; its jobs were ended, or are abandoned with their logs. */
void checkpoint_part_free(struct checkpoint_part *p);
/* At the end of each turn of a reactor. */
void checkpoint_part_turn(struct store_reactor *r);
