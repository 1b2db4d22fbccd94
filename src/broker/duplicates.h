/* duplicates.h: the message ids that a partition remembers, so that a record which is published
 * again is dropped and answered as the first time. In topics whose weir.duplicates.window.ms is
 * above 0. Inside of broker/ only; on the partition's reactor.
 *
 * A message's id is, in this order: what its publisher gives as publish_op.message_id, the header
 * message-id, or the headers ce_source and ce_id together (CloudEvents: the id alone is unique only
 * for its source). Who gives message_id writes the header too: the memory is not stored, but built
 * again from the log when the partition opens (duplicates_load.c).
 *
 *     publish ---- check: NEW ------> batch ---- done: stored at an offset, or forgotten
 *             \--- check: STORED ---> answered with the first one's offset
 *             \--- check: UNDER_WAY > waits for the first one
 *
 * Ids are kept as 128 bits of a keyed hash. At most DUPLICATES_MAX a partition (about 80 bytes
 * each): beyond that the oldest are forgotten before their time, which is counted and logged.
 * Records in Kafka batches are remembered, and never dropped: their batches stay as they came.
 */
#pragma once

#include "base/batch.h"
#include "broker/publish.h"

#define DUPLICATES_MAX ((size_t)1 << 18)

struct duplicates;
struct partition;

struct duplicates *duplicates_make(void);
/* NULL is allowed. */
void duplicates_free(struct duplicates *d);
size_t duplicates_count(const struct duplicates *d);
/* How many were forgotten before their time. */
uint64_t duplicates_forgotten(const struct duplicates *d);

/* What a record's headers say of its message id; id.at NULL: nothing. */
struct message_id {
    struct str source, id;
};
struct message_id message_id_of_headers(const struct record_header *headers, size_t n);
struct message_id message_id_of_record(const struct record *r);
struct duplicate_id duplicate_id_make(struct message_id m);
static inline bool duplicate_id_given(const struct duplicate_id *id)
{
    return (id->h[0] | id->h[1]) != 0;
}

enum duplicate_verdict { DUPLICATE_NEW, DUPLICATE_STORED, DUPLICATE_UNDER_WAY };

struct duplicate_found {
    int64_t offset, append_ms; /* STORED */
    void *tag;                 /* UNDER_WAY */
};

/* since_ms: what was appended before it does not count any more. NEW: remembered as under way with
 * the tag; duplicates_done follows. */
enum duplicate_verdict duplicates_check(struct duplicates *d, struct duplicate_id id,
                                        int64_t since_ms, void *tag, struct duplicate_found *out);
/* What became of one that was NEW: stored at the offset, or, if that is -1, not. */
void duplicates_done(struct duplicates *d, struct duplicate_id id, int64_t offset,
                     int64_t append_ms);
/* Stored without a check; the first one of an id stays what it is. In the order of offsets. */
void duplicates_note(struct duplicates *d, struct duplicate_id id, int64_t offset,
                     int64_t append_ms);
/* All records of a batch that was appended just so. What cannot be read is passed over. */
void duplicates_note_batch(struct duplicates *d, struct slice batch, int64_t append_ms);
/* Forgets what was appended before. */
void duplicates_expire(struct duplicates *d, int64_t since_ms);

/* Builds the memory from what the partition's log has of the window; then done. The partition is
 * not open yet. ERR_IO and the like: the log cannot be read. */
typedef void duplicates_loaded_fn(void *arg, enum err err);
void duplicates_load(struct partition *p, duplicates_loaded_fn *done, void *arg);
