/* records.h: a partition's records one by one, for readers that look into batches: ledgers, HTTP.
 *
 * Batches are read from the store, checked, decompressed and indexed once, and kept in a cache of
 * each reactor (broker_conf.records_cache_bytes, least recently used first out), so that many
 * subscriptions that stand near the same place share the work. What a reader holds stays valid
 * until it lets go, even if the cache has dropped it.
 */
#pragma once

#include "base/batch.h"
#include "base/uuid.h"
#include "broker/actor.h"
#include "broker/op.h"

#define RECORDS_CACHE_BYTES ((size_t)32 << 20) /* of a reactor, by default */
/* A batch that would be larger than this when decompressed is not looked into: ERR_MEMORY. */
#define RECORDS_BATCH_BYTES_MAX ((size_t)64 << 20)

/* One decoded batch: immutable, reference-counted. Any thread may hold it. */
struct records;
struct records *records_ref(struct records *r);
/* NULL is allowed. */
void records_unref(struct records *r);
const struct batch_head *records_head(const struct records *r);
/* When the batch was appended, Unix ms; its largest timestamp where the store does not know. */
int64_t records_append_ms(const struct records *r);
/* When its last record became visible, us of the monotonic clock; 0: not known. */
uint64_t records_visible_us(const struct records *r);
uint32_t records_count(const struct records *r);
/* Bytes of its records, decompressed. */
size_t records_bytes(const struct records *r);
/* The i-th record; its strings point into the batch's memory. Some 10 ns. */
void records_get(const struct records *r, uint32_t i, struct record *out);
/* The index of the first record with offset >= this one; records_count if there is none. */
uint32_t records_find(const struct records *r, int64_t offset);

/* The batches that hold [offset, ...): the one that holds or follows `offset` first, whatever its
 * size, then as many as fit in bytes_max and RECORDS_READ_MAX, up to the last stable offset; fewer
 * where these are enough or what follows is not in the cache. None (and ERR_OK): offset is the end.
 * Never waits: see broker_watch.
 *
 * ERR_OFFSET_RANGE: outside of [log_start, high_watermark]. ERR_CORRUPT, ERR_COMPRESSION,
 * ERR_MEMORY: the batch there cannot be looked into; next_offset is behind it, for a reader that
 * rather goes on (it is `offset` if not even that can be known). */
#define RECORDS_READ_MAX 16
struct records_op {
    struct op op;
    const struct actor *actor;
    struct uuid topic;
    int32_t partition;
    int64_t offset;
    size_t bytes_max;     /* of records_bytes */
    uint32_t offsets_max; /* so many are enough; 0: none are */
    /* out: references for the caller */
    struct records *batches[RECORDS_READ_MAX];
    unsigned n;
    int64_t next_offset, high_watermark, log_start;
    size_t bytes; /* of the batches */
};
void broker_records(struct broker *b, struct records_op *op);

/* Of this reactor's cache. */
struct records_stat {
    uint64_t hits, misses; /* calls of broker_records that found their offset, or not */
    size_t bytes, batches; /* held now */
};
void broker_records_stat(const struct broker *b, struct records_stat *out);
