/* partition.h: the owner's side of one partition: its log, its high watermark, who waits for it,
 * and what it knows of producers. Inside of broker/ only.
 *
 *     OPENING --store_open done--> OPEN --topic deleted--> LEAVING --nothing under way--> gone
 *
 * Owned by the reactor of its shard, in broker->partitions by (topic id, index). Partitions are
 * opened at load and when their topic is created or grows. Verbs on one that is OPENING are
 * answered with ERR_LEADER_NOT_AVAILABLE, on one that is not there with ERR_TOPIC_UNKNOWN.
 *
 * The high watermark is the log's durable end: nobody reads what is not as durable as its topic
 * promises. There are no transactions yet, so the last stable offset is the same.
 *
 * An idle partition costs this struct, a map slot, and what the store keeps.
 */
#pragma once

#include "broker/broker_internal.h"
#include "broker/duplicates.h"
#include "broker/producer.h"
#include "broker/publish_internal.h"
#include "broker/records_cache.h"

enum partition_state { PARTITION_OPENING, PARTITION_OPEN, PARTITION_LEAVING };

struct partition {
    struct map_node node;
    struct broker *broker;
    const struct topic *topic; /* own reference */
    struct store_log *log;
    struct uuid topic_id; /* as topic's: stays while topic changes */
    int32_t index;
    uint8_t state;    /* enum partition_state */
    bool attached;    /* a state topic's: another owns the log (NULL: is not made yet); read only */
    uint32_t pending; /* store calls under way */
    int64_t log_start, end;
    struct list watches;         /* watch_op */
    struct list deliveries;      /* struct delivery: ledgers of its messages */
    struct list paged;           /* struct paged: those that are on disk alone */
    int64_t floor;               /* below it all of them are settled; INT64_MAX: there are none */
    struct dispatch *dispatch;   /* filters evaluated together (delivery_dispatch.c); NULL: none */
    struct list trimming;        /* to be trimmed up to the floor (delivery_floor.c) */
    struct producers *producers; /* NULL: has met none */
    struct list producing;       /* in broker->producing while it has producers */
    uint64_t records_in, bytes_in;
    struct duplicates *duplicates;    /* NULL: its topic does not look for them */
    uint64_t duplicates_dropped;      /* since the start */
    uint64_t forgotten_told;          /* of duplicates_forgotten, in the log */
    struct publish_batch *publishing; /* its open batch; NULL: none */
    struct records_index records;     /* its decoded batches in the reactor's cache */
};

void partitions_init(struct broker *b);
/* Frees the structs; logs that are open stay so (the store is about to be freed too). */
void partitions_free(struct broker *b);

struct partition *partition_find(struct broker *b, const struct uuid *topic, int32_t index);
/* For a verb: ERR_LEADER_NOT_AVAILABLE or ERR_TOPIC_UNKNOWN. */
enum err must_use partition_get(struct broker *b, const struct uuid *topic, int32_t index,
                                struct partition **out);
/* Its producers, made when first asked for. */
struct producers *partition_producers(struct partition *p);
/* Around each store call: the partition stays at least until leave. */
void partition_enter(struct partition *p);
void partition_leave(struct partition *p);

/* Opens those of `topic`'s partitions from..to-1 that are of this reactor's shards; done once, with
 * the first error. */
typedef void partitions_opened_fn(void *arg, struct broker *b, enum err err);
void partitions_open(struct broker *b, const struct topic *topic, int32_t from, int32_t to,
                     partitions_opened_fn *done, void *arg);
/* The partitions take over the new topic: settings, growth (watches fire). */
void partitions_change(struct broker *b, const struct topic *now);
/* Partitions from..to-1 of this reactor leave: watches fire, the logs are removed once nothing is
 * under way on them. */
void partitions_remove(struct broker *b, const struct uuid *topic, int32_t from, int32_t to);
/* Removes a log that no topic owns. */
void partition_remove_orphan(struct broker *b, const struct store_log_id *id);

/* Completes those of the partition's watches for which something has happened; all: each. */
void partition_fire(struct partition *p, bool all);

/* A state topic's partition: who owns its log says where it is, and what moves. */
void partition_attach(struct broker *b, const struct topic *topic, int32_t index);
void partition_attached(struct partition *p, struct store_log *log, int64_t log_start, int64_t end);

/* The leader epoch in a request against the present one; -1: not told. */
enum err must_use partition_epoch_check(const struct partition *p, int32_t epoch);
int32_t partition_epoch(const struct partition *p);
