/* commit.h: the journal writer: what loop turns hand over becomes groups, one write and one sync
 * each.
 *
 *     reactor 0..n-1, at turn end       writer, on reactor 0
 *     ---------------------------       -------------------------------------------------------
 *     items of the turn  -- hand over ->  queue per reactor
 *                                       take:  the longest closed prefix of all queues (see below)
 *                                       place: journal file, position, sequence
 *                                       run:   pwritev + fdatasync, inline or on a helper thread
 *     complete(items)   <- completion --  ran:  group n is durable; group n + 1 may be taken
 *
 * An item is what is visible and durable whole or not at all on one reactor: a group of appends, a
 * trim, a delete. A group over several reactors is one item on each, with a common tag; they go
 * into the same journal group. Each reactor orders its own items, so two tagged groups may stand in
 * different order in two queues; the writer takes the longest prefixes in which no tagged item
 * misses a part: a queue is cut at the first item whose tag is not complete within the prefixes,
 * which may cut others, until nothing changes. Since every part arrives sooner or later and the
 * whole of all queues is closed then, nothing waits for ever, and no item overtakes another of its
 * reactor.
 *
 * A batch that an item only refers to (R1) is synced in its segment first, in the same run (R3).
 *
 * A sync is made when an item of the group wants one. Inline at the turn's end while writes take
 * less than COMMIT_INLINE_US on average, else on a helper thread while the reactor goes on.
 *
 * Thread: the writer's reactor, but for writer_hand_over, writer_admits and writer_takes.
 * Errors: a failed write or sync is reported once by failed(); nothing is completed from then on.
 */
#pragma once

#include "store/journal.h"

#define COMMIT_INLINE_US 500
/* A group is closed when it has so many bytes (and whole items). */
#define COMMIT_GROUP_BYTES ((uint64_t)8 << 20)
/* The disk's free room is asked for at least once in so many bytes: others may write there, too. */
#define COMMIT_BUDGET_BYTES ((uint64_t)64 << 20)

struct store_log;
struct store_append;

/* One frame of an item. The payload's bytes are borrowed until the item is completed. */
struct commit_frame {
    struct commit_frame *next;
    struct store_log *log;
    struct store_append *append; /* NULL: not a batch */
    struct slice payload;        /* empty: none, or only referred to */
    struct plog_sync *sync;      /* makes batches durable that the group refers to; or NULL */
    int64_t next_offset;
    uint8_t head[JOURNAL_FRAME_BYTES];
};

struct commit_tag {
    unsigned parts, seen;
};

struct commit_item {
    struct list link;
    bool sync;              /* done means durable; else written */
    bool appends;           /* made by a group: fails when its turn does */
    struct commit_tag *tag; /* NULL: complete by itself */
    uint32_t frames;
    uint64_t payload_bytes;
    struct commit_frame *first, *last; /* NULL: nothing to write: a barrier, done in order */
    /* On the item's reactor, after the ends of all logs of its group were moved. */
    void (*done)(struct commit_item *item, enum err err);
    void *user;
    struct commit_frame own; /* the first frame's place */
};

enum commit_where {
    COMMIT_AUTO,   /* by measured duration */
    COMMIT_INLINE, /* always at turn end: simulations, which have no duration to measure */
    COMMIT_HELPER,
};

struct writer_ops {
    /* On the reactor: these items, in order, are as durable as they asked to be. */
    void (*complete)(void *arg, unsigned reactor, struct list *items);
    /* The journal failed, or has no room and never will: the process must stop. */
    void (*failed)(void *arg, enum err err, const char *what);
    /* There is no room but what a checkpoint would free. */
    void (*starved)(void *arg);
    void *arg;
};

struct writer {
    struct journal journal;
    struct writer_ops ops;
    struct loop **loops;
    unsigned reactors;
    enum commit_where where;
    struct list *queue; /* one a reactor */
    struct list **cut;  /* scratch: where each queue's prefix ends */
    unsigned tagged;    /* items in the queues that have a tag */
    uint64_t queued;    /* bytes in the queues */
    bool busy, dead, running;
    bool held;          /* back-pressure: the journal is full and a checkpoint will free some */
    struct list *taken; /* one a reactor: in the group being written */
    struct journal_write write;
    struct loop_job job;
    enum err err;
    uint64_t took_us, average_us;
    uint64_t groups, syncs, bytes; /* so far */
    struct plog_sync **refs;       /* of the group's references, run before it is written */
    unsigned ref_count, ref_cap;
    struct iovec *iov;
    unsigned iov_cap;
    uint8_t *heads;
    size_t heads_cap;
    atomic_bool short_of_room;
    atomic_ullong room;
    atomic_llong budget; /* bytes that may be written before the disk's free room is asked again */
    atomic_bool full;    /* the last time it was asked, it was too little */
};

enum err must_use writer_open(struct writer *w, const struct journal_conf *conf,
                              const struct writer_ops *ops, struct loop **loops, unsigned reactors,
                              enum commit_where where);
/* What the reactor handed over and is not complete, when no loop turns any more; then the close. */
void writer_abandon(struct writer *w, unsigned reactor, struct list *items);
void writer_close(struct writer *w);

/* On the items' own reactor: takes all of them, in order. */
void writer_hand_over(struct writer *w, unsigned reactor, struct list *items);
/* Any reactor: a turn of so many bytes will have room in the journal. False: disk full. */
bool writer_admits(struct writer *w, uint64_t bytes);
/* Any reactor, before a group of so many bytes is begun: the disk has room for them, in segments
 * and in new journal files, and keeps conf.reserve_bytes for what empties a full disk: deletes, the
 * manifest, the next start. False: disk full. */
bool writer_takes(struct writer *w, uint64_t bytes);
/* At the turn's end of reactor 0, and after anything that let it wait. */
void writer_run(struct writer *w);
/* Nothing is queued or being written. */
bool writer_idle(const struct writer *w);
/* The manifest covers the groups up to `sequence`. */
void writer_recycle(struct writer *w, uint64_t sequence);

/* The bytes that an item takes in a group. */
static inline uint64_t commit_item_bytes(const struct commit_item *item)
{
    return (uint64_t)item->frames * JOURNAL_FRAME_BYTES + item->payload_bytes;
}

void commit_item_init(struct commit_item *item, void (*done)(struct commit_item *, enum err));
/* frame is &item->own or another that lives as long as the item. */
void commit_item_add(struct commit_item *item, struct commit_frame *frame);
