/* segment_writer.h: what is known of a segment while it is appended to: its entries and totals.
 *
 * Counts batches and makes the entries that they deserve; reads and writes no file itself but
 * through index_tail_write. Where a batch goes, when it is written and what becomes of the segment
 * is plog.c's. The rules for both indexes are Kafka's (LogSegment.append): an entry when more than
 * index_interval_bytes were appended since the last one; the time index only when the largest
 * timestamp has grown; one more time entry when the segment is sealed.
 */
#pragma once

#include "store/segment.h"

#define SEGMENT_RECENT 16

struct segment_writer {
    struct segment *seg;
    struct segment_writer *older; /* a segment sealed since, whose entries are not written yet */
    struct index_tail tail[SEGMENT_FILES]; /* SEGMENT_LOG: not used */
    uint32_t bytes;                        /* of all batches, queued ones included */
    uint32_t since_index;                  /* bytes since the last index entry */
    int64_t max_timestamp, max_offset;     /* largest so far, last offset of its batch; -1 */
    int64_t first_append_ms;               /* of the first batch */
    /* Batches to be written, at seg->bytes. */
    struct iovec *iov;
    uint32_t iov_count, iov_cap;
    /* The newest batches: readers at the tail find their place without a look into a file. */
    struct segment_recent {
        int64_t offset; /* base offset; -1: none */
        uint32_t at;
    } recent[SEGMENT_RECENT];
    uint32_t recent_next;
};

/* All that segment_writer_undo restores. */
struct segment_writer_mark {
    uint32_t bytes, since_index;
    int64_t max_timestamp, max_offset, seg_max_timestamp;
    struct index_mark entries[SEGMENT_FILES];
};

struct segment_writer *segment_writer_make(struct segment *seg);
void segment_writer_free(struct segment_writer *w);
/* Can this batch stand in the segment? (offset and append time fit their entries' 32 bits, the
 * position fits) */
bool segment_writer_fits(const struct segment_writer *w, const struct batch_head *head,
                         int64_t append_ms);
/* Counts the batch; raw: its first 21 bytes. */
void segment_writer_count(struct segment_writer *w, const struct batch_head *head,
                          const uint8_t *raw, int64_t append_ms, uint32_t index_interval);
/* Queues the bytes for the next write. */
void segment_writer_queue(struct segment_writer *w, struct slice batch);
/* The last entry of the time index. */
void segment_writer_seal(struct segment_writer *w);
/* Where the batch with this base offset starts, if it is one of the newest. */
bool segment_writer_recent(const struct segment_writer *w, int64_t offset, uint32_t *at);

struct segment_writer_mark segment_writer_mark(const struct segment_writer *w);
/* Back to the mark: what was counted and queued since is forgotten. */
void segment_writer_undo(struct segment_writer *w, const struct segment_writer_mark *mark);

/* The sidecar's CRC of a batch: its 21 head bytes, then the entry's first 12. */
uint32_t segment_sidecar_crc(const uint8_t *raw, const uint8_t *entry);
#define SIDECAR_HEAD_BYTES 16
/* Decodes the sidecar's head. ERR_CORRUPT: it is none. */
enum err must_use segment_sidecar_head(const uint8_t head[SIDECAR_HEAD_BYTES],
                                       int64_t *first_append_ms);
