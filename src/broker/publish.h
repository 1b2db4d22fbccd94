/* publish.h: appending single records, for fronts that do not deal in batches.
 *
 * What is published to a partition in one turn of its reactor, by whomever, becomes one batch (at
 * most PUBLISH_BATCH_BYTES), so that a thousand small messages cost what one batch costs. Answered
 * when it is as durable as the topic promises. Records published by one caller to one partition
 * keep their order.
 *
 * Partition: the given one; else by the key, with Kafka's murmur2 (so that Kafka's own producers
 * agree); else, without a key, one after the other, a batch each.
 *
 * Duplicates: in a topic whose setting weir.duplicates.window.ms is above 0, a record whose message
 * id (header `ce_id`, or message_id here) was appended within that time is dropped and answered
 * with the first one's partition and offset; the memory of it survives a restart.
 *
 * A record with a due time waits in a side topic and is appended to its own when it is due; see
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

struct publish_op {
    struct op op;
    const struct actor *actor;
    struct uuid topic;
    int32_t partition; /* -1: by key */
    struct publish_record record;
    struct str message_id; /* for duplicates; at NULL: none */
    int64_t due_ms;        /* Unix ms; at or before now, or 0: at once */
    /* out */
    int32_t partition_out;
    int64_t offset; /* of a scheduled record: its sequence number, for broker_cancel */
    int64_t append_ms;
    bool duplicate, scheduled;
    struct err_text text;
    /* private */
    struct list link;
    void *batch;
};
void broker_publish(struct broker *b, struct publish_op *op);

/* Kafka's DefaultPartitioner of a key: murmur2, sign bit off, modulo. */
int32_t publish_partition_of(struct str key, int32_t partitions);
