/* store.h: the port through which the broker keeps logs.
 *
 * Implemented by store/ (the embedded log), by the simulated remote store that the contract suite
 * uses, and by engine/ on an existing cluster. A struct store is one reactor's handle; a struct
 * store_log is one partition's log, opened on the reactor that its shard belongs to and used on
 * that reactor only. The store keys by (topic id, partition) and knows nothing of names or the
 * catalog.
 *
 * Every call is asynchronous: its struct is the caller's, stays valid until done is called, and
 * done may be called from inside the call itself. Calls on one log complete in the order of their
 * kind (appends among appends, reads among reads).
 *
 * Appends go in groups: begin, append to one or several logs, commit or abort. A committed group is
 * visible whole or not at all, after a crash too. A group of one append is the ordinary produce.
 * The embedded store writes all groups of a loop turn by one write and one sync at the turn's end.
 *
 * What a log shows: offsets from log_start up to `end`, which is the durable end (as durable as the
 * log's flush mode promises, or as the relaxed groups that moved it) and moves by the event
 * end_moved. Offsets may have gaps.
 */
#pragma once

#include "base/batch.h"
#include "base/chunk.h"
#include "base/err.h"
#include "base/uuid.h"

#include <stdbool.h>
#include <stdint.h>

struct store;
struct store_log;

#define STORE_RELAXED_MS 100 /* a relaxed group is durable at the latest then */

enum store_caps {
    STORE_RAW_BATCHES = 1, /* batches come back byte for byte but for offset and leader epoch */
    STORE_APPEND_TIME = 2, /* append times are kept beside the batch's own timestamps */
    STORE_EXACT_COUNTS = 4 /* offsets are dense: end - start is a count of offsets */
};

enum store_flush {
    STORE_FLUSH_EACH,     /* durable before it is visible and acknowledged */
    STORE_FLUSH_INTERVAL, /* visible once written; synced every flush_ms: a power cut loses that */
    STORE_FLUSH_OS        /* visible once written; the system syncs: a power cut loses the cache */
};

struct store_log_id {
    struct uuid topic;
    uint32_t partition;
};

struct store_log_conf {
    enum store_flush flush;
    uint32_t flush_ms;
    int64_t segment_bytes;   /* roll when the active segment would exceed it */
    int64_t segment_ms;      /* roll when the first record is older */
    int64_t retention_ms;    /* -1: no limit; by a segment's largest timestamp */
    int64_t retention_bytes; /* -1: no limit */
    int64_t delete_delay_ms; /* a deleted segment's files stay this long for readers */
    uint32_t index_interval_bytes;
    /* Small appends that are taken from what a nearly full disk keeps back: without them nothing
     * could be deleted. */
    bool vital;
};

/* What happens to a log without a call. On the log's reactor. */
struct store_log_events {
    /* The durable end moved; called before the done of the groups that moved it. */
    void (*end_moved)(void *user, int64_t end);
    /* Retention moved the log start. */
    void (*start_moved)(void *user, int64_t log_start);
    /* Asked at a checkpoint: what the owner wants back at the next open, together with the batches
     * appended after this moment (its producers' sequence numbers, say): all those whose group's
     * done has not been called yet, so not from between end_moved and the done that it belongs to.
     * Slice owned by the store afterwards; empty: nothing. */
    struct slice (*snapshot)(void *user);
    /* Optional: retention would have moved the log start to `start`, but for store_retain: because
     * the log is too large (full), or by time alone. Told each time that retention looks. */
    void (*pressed)(void *user, int64_t start, bool full);
};

struct store_open {
    struct store_log_id id;
    struct store_log_conf conf;
    bool create;                           /* else ERR_NOT_FOUND when it does not exist */
    const struct store_log_events *events; /* static */
    void *user;                            /* for events */
    /* Called in order before done: the last snapshot, if any, and the head of every batch that was
     * appended after it (at the first open of a log without snapshot: of every batch). */
    void (*restore)(struct store_open *op, struct slice snapshot);
    void (*replay)(struct store_open *op, const struct batch_head *head, int64_t append_ms);
    void (*done)(struct store_open *op, enum err err);
    /* out */
    struct store_log *log;
    int64_t log_start, end;
};

struct store_group;

struct store_append {
    struct store_append *next; /* private */
    struct store_log *log;
    /* One record batch, checked by the caller. The store rewrites base offset and leader epoch in
     * place: the caller is the only user of these bytes until done. Kept alive by the caller until
     * done. */
    struct slice batch;
    int64_t append_ms;
    /* out, in done */
    int64_t base_offset;
};

struct store_group {
    struct store *store;              /* private */
    struct store_append *head, *tail; /* private */
    struct store_group *next;         /* private */
    uint64_t token;                   /* private */
    /* Set after store_begin: done when it is written, whatever its logs promise. Within
     * STORE_RELAXED_MS a power cut may take it back, the end of the process never. */
    bool relaxed;
    /* ERR_OK: durable as promised and visible. ERR_DISK_FULL, ERR_STORAGE: nothing of the group
     * exists. A failing journal does not answer here: the process stops (store_conf.failed). */
    void (*done)(struct store_group *group, enum err err);
};

struct store_read {
    struct store_log *log;
    int64_t from;     /* the batch that holds or follows this offset comes first */
    int64_t limit;    /* nothing at or above it; at most `end` */
    size_t bytes_max; /* of batches; whole batches only, but for min_one */
    bool min_one;     /* the first batch comes even if larger than bytes_max (KIP-74) */
    bool in_memory;   /* out holds no file ranges: for a reader that looks into the batches */
    /* With in_memory, room for so many numbers: out, when each of the first so many batches was
     * appended, Unix ms; -1: not known (no STORE_APPEND_TIME, or lost). NULL: not wanted. */
    int64_t *append_ms;
    unsigned append_ms_max;
    void (*done)(struct store_read *op, enum err err); /* ERR_OFFSET_RANGE: outside [start, end] */
    /* out: whole batches, possibly none; the caller clears or moves the queue */
    struct chunkq out;
    int64_t next_offset; /* behind the last batch in out, or from */
};

enum store_find_what {
    STORE_FIND_TIME,     /* first record with timestamp >= ts */
    STORE_FIND_MAX_TIME, /* the record with the largest timestamp */
    STORE_FIND_EPOCH     /* end offset of the largest leader epoch <= epoch (KIP-101/320) */
};

struct store_find {
    struct store_log *log;
    enum store_find_what what;
    int64_t ts;    /* STORE_FIND_TIME */
    int32_t epoch; /* STORE_FIND_EPOCH */
    int64_t limit; /* offsets at or above it are not seen */
    void (*done)(struct store_find *op, enum err err);
    /* out; offset -1 when there is none */
    int64_t offset, timestamp;
    int32_t found_epoch; /* leader epoch of that offset; STORE_FIND_EPOCH: the epoch answered for */
};

struct store_trim {
    struct store_log *log;
    int64_t log_start; /* the new one; below the present one: nothing happens; above end: error */
    void (*done)(struct store_trim *op, enum err err); /* durable */
};

struct store_delete {
    struct store_log *log;                               /* invalid from this call on */
    void (*done)(struct store_delete *op, enum err err); /* durable: it will not come back */
};

struct store_log_stat {
    int64_t log_start, end;
    uint64_t bytes; /* of the segments' batches */
    uint32_t segments;
    int32_t leader_epoch; /* that this incarnation writes */
};

struct store_ops {
    void (*open)(struct store *s, struct store_open *op);
    void (*close)(struct store *s, struct store_log *log);
    void (*configure)(struct store *s, struct store_log *log, const struct store_log_conf *conf);
    void (*append)(struct store *s, struct store_group *group, struct store_append *append);
    void (*commit)(struct store *s, struct store_group *group);
    void (*abort)(struct store *s, struct store_group *group);
    void (*read)(struct store *s, struct store_read *op);
    void (*find)(struct store *s, struct store_find *op);
    void (*retain)(struct store *s, struct store_log *log, int64_t from);
    void (*trim)(struct store *s, struct store_trim *op);
    void (*remove)(struct store *s, struct store_delete *op);
    void (*stat)(struct store *s, struct store_log *log, struct store_log_stat *out);
    /* Logs that exist, open or not, on this reactor's shards. */
    void (*each)(struct store *s, void (*fn)(void *arg, const struct store_log_id *id), void *arg);
};

struct store {
    const struct store_ops *ops;
    unsigned caps;
};

static inline void store_open(struct store *s, struct store_open *op)
{
    s->ops->open(s, op);
}

/* Nothing may be under way on it. */
static inline void store_close(struct store *s, struct store_log *log)
{
    s->ops->close(s, log);
}

static inline void store_configure(struct store *s, struct store_log *log,
                                   const struct store_log_conf *conf)
{
    s->ops->configure(s, log, conf);
}

/* Starts an empty group; group->done must be set. Not asynchronous. */
static inline void store_begin(struct store *s, struct store_group *group)
{
    group->store = s;
    group->head = group->tail = NULL;
    group->next = NULL;
    group->token = 0;
    group->relaxed = false;
}

/* Adds one append. base_offset is given in done. append->log
 * may belong to another reactor of the same process: its owner is reached by mail at commit. */
static inline void store_append(struct store *s, struct store_group *group,
                                struct store_append *append)
{
    s->ops->append(s, group, append);
}

static inline void store_commit(struct store *s, struct store_group *group)
{
    s->ops->commit(s, group);
}

/* Before commit only: nothing of the group will exist; done is not called. */
static inline void store_abort(struct store *s, struct store_group *group)
{
    s->ops->abort(s, group);
}

static inline void store_read(struct store *s, struct store_read *op)
{
    s->ops->read(s, op);
}

static inline void store_find(struct store *s, struct store_find *op)
{
    s->ops->find(s, op);
}

/* Retention removes nothing at or above `from` (INT64_MAX, as it is at first: no bound), until it
 * is told otherwise; trims do. Not remembered when the log is closed. Not asynchronous. */
static inline void store_retain(struct store *s, struct store_log *log, int64_t from)
{
    s->ops->retain(s, log, from);
}

static inline void store_trim(struct store *s, struct store_trim *op)
{
    s->ops->trim(s, op);
}

static inline void store_remove(struct store *s, struct store_delete *op)
{
    s->ops->remove(s, op);
}

static inline void store_stat(struct store *s, struct store_log *log, struct store_log_stat *out)
{
    s->ops->stat(s, log, out);
}
