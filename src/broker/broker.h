/* broker.h: what a broker means, in verbs. One struct broker a reactor; together they are one
 * broker.
 *
 * Pure: no system call, no clock, no randomness of its own; the world comes in by env.h and
 * store.h. Every function is called on its broker's reactor. Verbs are ops (op.h): fill the struct,
 * submit, read the outputs in done.
 *
 * Topics are seen through each reactor's own immutable copy of the catalog (struct topic): a change
 * is answered when every reactor has it.
 */
#pragma once

#include "base/batch.h"
#include "base/chunk.h"
#include "base/list.h"
#include "base/map.h"
#include "base/uuid.h"
#include "broker/actor.h"
#include "broker/append.h"
#include "broker/env.h"
#include "broker/op.h"
#include "broker/store.h"
#include "broker/topic.h"

#include <stdatomic.h>

struct partition;

#define BROKER_NODE_ID 1
#define BROKER_PARTITIONS_MAX 100000 /* in all topics together */

struct broker_conf {
    struct uuid cluster_id;
    uint32_t incarnation; /* of this start: every partition's leader epoch */
    /* These four may change while it runs: broker_set_conf. */
    atomic_bool auto_create_topics;          /* a Metadata request may create what it names */
    _Atomic int32_t default_partitions;      /* of a topic created without a number */
    _Atomic uint32_t group_initial_delay_ms; /* group.initial.rebalance.delay.ms */
    _Atomic uint32_t hops_percent;           /* of the events whose hops are noted: hop.h */
    int64_t offsets_retention_ms;            /* offsets.retention.minutes */
    int64_t producer_expiration_ms;          /* producer.id.expiration.ms */
    size_t records_cache_bytes;              /* of each reactor: see records.h */
    bool commands;                           /* functions may be commands that weir runs */
    /* When snapshots of ledgers and waiting records are due (statelog.h); 0: its default */
    uint64_t state_slack_bytes;
    uint32_t sweep_ms; /* how often idle ledgers are looked for (paged.h); 0: once a minute */
};
extern const struct broker_conf broker_conf_default;

/* Makes the brokers of all reactors, linked to each other; nothing is loaded yet. */
void broker_set_make(const struct broker_conf *conf, unsigned n, struct env **envs,
                     struct store **stores, struct broker **out);
/* On reactor 0, once all loops run (or in a simulation): loads the catalog, then every shard's
 * state topics and partitions; done on reactor 0. Until then verbs answer ERR_COORDINATOR_LOADING
 * or ERR_LEADER_NOT_AVAILABLE. ERR_CORRUPT and the like: the broker must not serve. */
typedef void broker_ready_fn(void *arg, enum err err);
void broker_set_load(struct broker **brokers, unsigned n, broker_ready_fn *done, void *arg);
void broker_set_free(struct broker **brokers, unsigned n);

const struct broker_conf *broker_conf(const struct broker *b);
/* Takes what may change while it runs, for the brokers of all reactors. Any thread. */
void broker_set_conf(struct broker *b, const struct broker_conf *conf);
struct env *broker_env(const struct broker *b);
unsigned broker_shard_of_partition(const struct uuid *topic, int32_t partition);
unsigned broker_shard_of_group(struct str group); /* Java's String.hashCode of the name, mod 64 */
unsigned broker_reactor_of_shard(const struct broker *b, unsigned shard);

/* ---- records ---- */

/* Appends one batch. Checks it first (broker/validate.h): CRC, counts, offsets, timestamps, size,
 * codec, idempotence. */
struct produce_op {
    struct op op;
    const struct actor *actor;
    struct uuid topic;
    int32_t partition;
    struct slice batch; /* the caller's reference, kept until done; the bytes are changed in place
                         * (offset, leader epoch, append time): the caller is their only user */
    bool zstd_allowed;  /* Produce v7 and later */
    bool built_here;    /* by weir itself: right, and not checked once more */
    bool nudge;         /* the topic has grown since the client looked: if this is an idempotent
                         * producer's batch, answer ERR_NOT_LEADER instead of appending (see
                         * partition growth in topic.h) */
    /* out */
    int64_t base_offset; /* of the first, also for a duplicate */
    int64_t append_ms;   /* LogAppendTime topics: the time; else -1 */
    int64_t log_start;
    int32_t bad_record; /* index in the batch for ERR_RECORD_INVALID and ERR_TIMESTAMP_INVALID, else
                           -1 */
    struct err_text text;
    /* private */
    struct batch_head head;
    struct append append;
    struct store_group group;
    struct list waiters; /* duplicates that came while this one was under way */
    struct list link;    /* in the waiters of another */
};
void broker_produce(struct broker *b, struct produce_op *op);

/* Reads what is visible now; never waits. */
struct read_op {
    struct op op;
    const struct actor *actor;
    struct uuid topic;
    int32_t partition;
    int64_t offset;
    int32_t leader_epoch;       /* the client's current one, -1: not told. ERR_LEADER_EPOCH_* */
    int32_t last_fetched_epoch; /* -1: not told. With it a diverging log is reported below */
    size_t bytes_max;
    bool min_one;
    bool committed; /* isolation level read_committed */
    /* out */
    struct chunkq records; /* whole batches; the caller clears or moves it */
    int64_t high_watermark, last_stable, log_start;
    int32_t epoch;           /* the partition's leader epoch */
    int32_t diverging_epoch; /* -1: the logs agree */
    int64_t diverging_end;
    /* private */
    struct partition *at;
    struct store_read read;
    struct store_find find;
};
void broker_read(struct broker *b, struct read_op *op);

/* Completes once: when the high watermark (or last stable offset) is above `offset`, the log start
 * moved, the partition was deleted or its topic grew (ERR_OK in all cases: read again), or
 * on broker_watch_cancel (ERR_CLOSED). Completes at once if that is so already. */
struct watch_op {
    struct op op;
    struct uuid topic;
    int32_t partition;
    int64_t offset;
    bool committed;
    struct list link; /* private: in its partition */
    /* private, of the reactor of submission */
    void (*told)(struct op *op); /* the caller's op.done */
    struct op_cancel cancel;
};
void broker_watch(struct broker *b, struct watch_op *op);
/* From where it was submitted. done follows, unless it has been called already. */
void broker_watch_cancel(struct broker *b, struct watch_op *op);

#define LIST_LATEST (-1)
#define LIST_EARLIEST (-2)
#define LIST_MAX_TIMESTAMP (-3)
#define LIST_EARLIEST_LOCAL (-4)
#define LIST_LATEST_TIERED (-5)
#define LIST_EARLIEST_PENDING_UPLOAD (-6)

struct list_op { /* ListOffsets */
    struct op op;
    const struct actor *actor;
    struct uuid topic;
    int32_t partition;
    int64_t timestamp; /* or one of LIST_* */
    int32_t leader_epoch;
    bool committed;
    /* out: offset -1 when no record is that late */
    int64_t offset, found_timestamp;
    int32_t found_epoch;
    /* private */
    struct partition *at;
    struct store_find find;
};
void broker_list_offset(struct broker *b, struct list_op *op);

struct epoch_op { /* OffsetForLeaderEpoch */
    struct op op;
    const struct actor *actor;
    struct uuid topic;
    int32_t partition;
    int32_t current_epoch; /* -1: not told */
    int32_t asked_epoch;
    /* out; -1, -1: unknown epoch */
    int32_t found_epoch;
    int64_t end_offset;
    /* private */
    struct partition *at;
    struct store_find find;
};
void broker_epoch_end(struct broker *b, struct epoch_op *op);

struct trim_op { /* DeleteRecords */
    struct op op;
    const struct actor *actor;
    struct uuid topic;
    int32_t partition;
    int64_t offset; /* the new log start; -1: the high watermark */
    bool to_floor;  /* what subscriptions owe below is kept elsewhere, and stays */
    /* out */
    int64_t log_start;
    /* private */
    struct partition *at;
    struct store_trim trim;
};
void broker_trim(struct broker *b, struct trim_op *op);

/* A producer id that was never given out before, by no incarnation and reactor. Durable without a
 * write: incarnation (23 bits) . reactor (8) . counter (32). -1: the counter is used up. */
int64_t broker_producer_id(struct broker *b);

/* What metrics and describe calls show of a partition that is on this reactor; false: it is not. */
struct partition_stat {
    int64_t log_start, high_watermark;
    int32_t leader_epoch;
    uint64_t bytes;
    uint32_t segments, producers, watches;
    uint64_t records_in, bytes_in; /* since the start */
    /* Message ids remembered now; since the start, records dropped as duplicates, and ids that were
     * forgotten before their time. */
    uint64_t ids, duplicates_dropped, ids_forgotten;
};
bool broker_partition_stat(struct broker *b, const struct uuid *topic, int32_t partition,
                           struct partition_stat *out);

/* ---- topics: see topic.h for struct topic and the verbs' ops ---- */

/* From this reactor's copy; valid until the end of the turn, or until topic_unref after topic_ref.
 */
const struct topic *broker_topic(struct broker *b, struct str name);
const struct topic *broker_topic_by_id(struct broker *b, const struct uuid *id);
/* By name in byte order: the first after `after` (NULL: the first of all); NULL at the end. */
const struct topic *broker_topic_next(struct broker *b, const struct topic *after);
