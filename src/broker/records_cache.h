/* records_cache.h: one reactor's decoded batches, least recently used first out. Inside of broker/
 * only; see records.h.
 *
 *     partition -> records_index: its cached batches by base offset
 *                       |
 *     lru:  oldest <-> ... <-> newest, over all partitions of the reactor
 *
 * A batch in the cache is touched by its reactor alone but for its reference count. What one costs
 * is counted as RECORDS_ENTRY_BYTES_MIN at least, so that the index of many small ones stays small.
 */
#pragma once

#include "base/list.h"
#include "broker/records.h"

#define RECORDS_ENTRY_BYTES_MIN ((size_t)512)

struct partition;

struct records_cache {
    struct list lru;
    size_t bytes, bytes_max, count;
    uint64_t hits, misses;
};

/* Of a partition that has any. */
struct records_index {
    struct records **sorted;
    size_t n, cap;
};

/* A batch that is whole at p, as the store gave it; append_ms -1: not known. Not in any cache yet.
 * ERR_CORRUPT, ERR_COMPRESSION, ERR_MEMORY. */
enum err must_use records_decode(const struct batch_head *h, const uint8_t *p, int64_t append_ms,
                                 struct records **out);

/* Told by who has read it: visible.h. Before anybody else has it. */
void records_set_visible(struct records *r, uint64_t us);

void records_cache_init(struct records_cache *c, size_t bytes_max);
/* The batch that holds the record of this very offset, if it is here; borrowed, for this call. On
 * the partition's reactor. */
struct records *records_cached(struct broker *b, const struct uuid *topic, int32_t partition,
                               int64_t offset);
/* The same, by who has the partition at hand. */
struct records *records_cached_of(struct partition *p, int64_t offset);
/* The partition's batches below `offset` leave the cache. */
void records_cache_trim(struct records_cache *c, struct partition *p, int64_t offset);
/* All of the partition's. */
void records_cache_forget(struct records_cache *c, struct partition *p);
