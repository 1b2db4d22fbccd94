/* schedule.h: records that wait until they are due (publish_op.due_ms). Inside of broker/ only.
 *
 * They wait in the state topic __weir_scheduled, a partition a shard, on the shard of the partition
 * that they are for: one statelog entity each, its value the whole record. When one is due, its
 * append and its tombstone here are one group of the store: it is in one place or the other, never
 * in both. Until then nobody sees it.
 *
 * What waits is known in memory by its time and its place in the log alone, some 150 bytes a record
 * (SCHEDULE_BYTES_MAX a reactor; more are refused with ERR_BUSY). It is read when it is due.
 *
 * A record is named by its sequence number: incarnation (23 bits) . counter (34) . shard (6), so no
 * number is given twice.
 */
#pragma once

#include "base/heap.h"
#include "base/map.h"
#include "broker/delivery.h"
#include "broker/statelog.h"

#define SCHEDULE_BYTES_MAX ((size_t)256 << 20)
#define SCHEDULE_MOVE_MAX 100 /* records that are appended in one group */
#define SCHEDULE_MOVE_BYTES ((size_t)16 << 20)

struct schedule_shard {
    struct schedule *all;
    struct statelog *log;
};

struct schedule {
    struct broker *broker;
    struct map by_sequence; /* struct scheduled */
    struct heap due;        /* struct scheduled by Unix ms: those that wait */
    struct env_timer timer;
    struct schedule_shard shards[BROKER_SHARDS];
    uint64_t counter;
    size_t bytes;
    bool moving; /* one at a time */
    bool open;   /* loaded */
    unsigned loading;
    enum err load_err;
    void (*loaded)(void *arg, enum err err);
    void *loaded_arg;
};

/* What a waiting record is. The strings point into the bytes that it was read from. */
struct schedule_record {
    struct uuid topic;
    int32_t partition;
    int64_t due_ms;
    struct str message_id;
    struct publish_record record;
};

struct scheduled {
    struct statelog_entity entity; /* paged out: its record is a batch of its own */
    struct map_node node;
    struct heap_node due; /* while it waits */
    struct schedule_shard *shard;
    uint64_t sequence;
    struct uuid topic;
    struct slice *read; /* where to its record's value goes when it is read; NULL: nowhere */
    uint32_t bytes;     /* of that */
    bool stored;
    bool leaving; /* being moved or cancelled */
    bool alone;   /* it was in a move that failed: it goes alone */
    bool dropped; /* it cannot be appended: its tombstone goes alone */
};

struct schedule *schedule_make(struct broker *b, void (*loaded)(void *arg, enum err err),
                               void *arg);
void schedule_free(struct schedule *all);
/* All partitions are open: what is due may go. */
void schedule_open(struct schedule *all);
/* On the reactor of the record's partition, which is chosen and has been asked (publish_check).
 * Answers the op. */
void schedule_publish(struct broker *b, struct publish_op *op);

/* ---- schedule_record.c ---- */

void schedule_record_write(struct wr *w, const struct schedule_record *r);
/* headers: memory for them; false: no such record, or the arena is full. */
bool schedule_record_read(struct str value, struct arena *headers, struct schedule_record *out);

/* ---- schedule_move.c ---- */

/* Appends what is due of one shard; more follows when that is done. */
void schedule_move(struct schedule *all);
/* The tombstone of an entry. */
void schedule_gone(struct batch_builder *b, const struct scheduled *e, int64_t now_ms);
/* Frees it: it is not in the log any more, or never was. */
void schedule_drop(struct scheduled *e);
void schedule_timer_set(struct schedule *all);
