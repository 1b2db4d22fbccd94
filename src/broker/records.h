/* records.h: a partition's records one by one, for readers that look into batches: ledgers, HTTP,
 * and later Redis, AMQP, NATS.
 *
 * Batches are read from the store, decompressed and indexed once, and kept in a cache of each
 * reactor (RECORDS_CACHE_BYTES, least recently used first out), so that many subscriptions that
 * stand near the same place share the work. What a reader holds stays valid until it lets go, even
 * if the cache has dropped it.
 */
#pragma once

#include "base/batch.h"
#include "broker/actor.h"
#include "broker/op.h"
#include "broker/store.h"

#define RECORDS_CACHE_BYTES ((size_t)32 << 20)
/* A batch that would be larger than this when decompressed is not looked into: ERR_MEMORY. */
#define RECORDS_BATCH_BYTES_MAX ((size_t)64 << 20)

/* One decoded batch: immutable, reference-counted. Any thread may hold it. */
struct records;
struct records *records_ref(struct records *r);
void records_unref(struct records *r);
const struct batch_head *records_head(const struct records *r);
/* When the batch was appended, Unix ms. */
int64_t records_append_ms(const struct records *r);
uint32_t records_count(const struct records *r);
/* The i-th record; its strings point into the batch's memory. */
void records_get(const struct records *r, uint32_t i, struct record *out);
/* The index of the first record with offset >= this one; records_count if there is none. */
uint32_t records_find(const struct records *r, int64_t offset);

/* The batches that hold [offset, ...): the one that holds or follows `offset` first, then as many
 * as fit in bytes_max and RECORDS_READ_MAX, up to the last stable offset. Never waits: see
 * broker_watch. */
#define RECORDS_READ_MAX 16
struct records_op {
    struct op op;
    const struct actor *actor;
    struct uuid topic;
    int32_t partition;
    int64_t offset;
    size_t bytes_max;
    /* out: references for the caller */
    struct records *batches[RECORDS_READ_MAX];
    unsigned n;
    int64_t next_offset, high_watermark, log_start;
    /* private */
    struct store_read read;
    void *at;
};
void broker_records(struct broker *b, struct records_op *op);
