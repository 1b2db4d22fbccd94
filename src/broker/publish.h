/* publish.h: appending single records, for fronts that do not deal in batches.
 *
 * What is published to a partition in one turn of its reactor, by whomever, becomes one batch (at
 * most PUBLISH_BATCH_BYTES, and never more than the topic's max.message.bytes; more batches where
 * there is more), so that a thousand small messages cost what one batch costs. Answered when it is
 * as durable as the topic promises. Records published by one caller to one partition keep their
 * order.
 *
 * Partition: the given one; else by the key, with Kafka's murmur2 (so that Kafka's own producers
 * agree); else, without a key, one after the other, a batch each; in a topic that drops duplicates
 * by the message id in place of the key, so that a copy meets the first one.
 *
 * Duplicates: in a topic whose setting weir.duplicates.window.ms is above 0, a record whose message
 * id was appended to the partition within that time is dropped and answered with the first one's
 * partition and offset; the memory of it survives a restart. See duplicates.h.
 *
 * Errors are told record by record: ERR_TOPIC_UNKNOWN, ERR_MESSAGE_TOO_LARGE (that record alone is
 * larger than the topic's max.message.bytes), ERR_TIMESTAMP_INVALID, ERR_RECORD_INVALID (no key in
 * a compacted topic, more than PUBLISH_HEADERS_MAX headers), ERR_DISK_FULL (all records of the
 * turn: nothing of them exists).
 *
 * A record with a due time waits, durably, in __weir_scheduled (schedule.h) and is appended to its
 * own topic when it is due, with a new offset: nobody sees it before. ERR_BUSY: too many wait. See
 * broker_cancel in delivery.h.
 */
#pragma once

#include "base/batch.h"
#include "base/uuid.h"
#include "broker/actor.h"
#include "broker/op.h"
#include "broker/store.h"

#define PUBLISH_BATCH_BYTES ((size_t)64 << 10)
#define PUBLISH_HEADERS_MAX 256

/* One record, on its way in. The strings are borrowed until done. */
struct publish_record {
    struct str key, value; /* at NULL: null */
    const struct record_header *headers;
    size_t headers_n;
    int64_t timestamp; /* Unix ms; -1: now */
};

/* The record in weir that another one comes of: an output of its settle, its dead letter. */
struct publish_cause {
    struct uuid topic; /* zero: there is none */
    int32_t partition;
    int64_t offset;
    struct str subscription; /* at NULL: none */
    uint32_t attempt;        /* of its delivery; 0: not known */
};

struct publish_op {
    struct op op;
    const struct actor *actor;
    struct uuid topic;
    int32_t partition; /* -1: by key */
    struct publish_record record;
    /* For duplicates; at NULL: what the headers say (message-id, else ce_source and ce_id). Who
     * gives it writes it as the header message-id too: only what the log holds outlives a restart.
     */
    struct str message_id;
    int64_t due_ms;             /* Unix ms; at or before now, or 0: at once */
    struct publish_cause cause; /* for weir.hops */
    /* out */
    int32_t partition_out;
    int64_t offset; /* of a scheduled record: its sequence number, for broker_cancel */
    int64_t append_ms;
    bool duplicate, scheduled;
    struct err_text text;
    /* private */
    struct list link;    /* in its batch, or in the waiters of another */
    struct list waiters; /* copies that came while this one was under way */
    int32_t index;       /* in its batch */
    bool joined;         /* an output of a publish_join */
    uint64_t begin_us;   /* monotonic */
    struct duplicate_id {
        uint64_t h[2]; /* zeros: none */
    } id;
};
void broker_publish(struct broker *b, struct publish_op *op);

/* Kafka's DefaultPartitioner of a key: murmur2, sign bit off, modulo. */
int32_t publish_partition_of(struct str key, int32_t partitions);

/* ---- publishing in a group of the caller's own ----
 *
 *     publish_join           partitions are chosen, records checked, batches built, wherever the
 *                            partitions are; then ready(), once. Nothing is promised yet
 *     publish_join_add       the batches become appends of the caller's group
 *     (store_commit, its done)
 *     publish_join_end       what became of the group: offsets are filled in, duplicates
 *                            remembered, the partitions let go; then ended(), once
 *
 * All on the reactor `b` of the caller. Between ready() with ERR_OK and publish_join_end the
 * partitions are held open: the end must come, with the group's error if it was not committed.
 * ready() with an error (text says which output and why): nothing is held, no end is wanted.
 * A record that is a duplicate of one that is stored adds nothing and has `duplicate` set; of one
 * that is just being stored: ERR_BUSY, try again (waiting could wait for itself). Due times are
 * not for outputs: ERR_REQUEST_INVALID.
 *
 * The outputs' op.done is not called; op.err is set in ended(). */
struct publish_join {
    struct publish_op *outputs; /* an array; valid until the end */
    size_t outputs_n;
    void (*ready)(struct publish_join *join, enum err err);
    void (*ended)(struct publish_join *join);
    /* out */
    struct err_text text;
    /* private */
    struct broker *broker;
    struct publish_part *parts; /* one a partition */
    size_t parts_n;
    size_t left; /* counts the loop itself too */
    enum err err;
};
void publish_join(struct broker *b, struct publish_join *join);
void publish_join_add(struct publish_join *join, struct store *store, struct store_group *group);
void publish_join_end(struct publish_join *join, enum err err);

/* ---- several records, of any topics: all are stored, or none ---- */

struct publish_all {
    struct publish_op *outputs; /* as of publish_join */
    size_t outputs_n;
    /* Possibly from inside of broker_publish_all. */
    void (*done)(struct publish_all *all, enum err err);
    /* out */
    struct err_text text;
    /* private */
    struct publish_join join;
    struct store_group group;
    enum err err;
};
/* Errors as publish_join's, and those of the store. */
void broker_publish_all(struct broker *b, struct publish_all *all);
