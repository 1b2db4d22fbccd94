/* append.h: the door to a partition's log, which every batch passes, whoever made it: on the
 * partition's reactor, append_begin, then the store's group with a->store in it, then append_end
 * with what became of the group. In between the partition stays, even if its topic is deleted.
 * Inside of broker/ only.
 *
 * Whether the batch may be appended is decided before: validate.h for bytes that came from outside,
 * validate_record for records that are put into a batch here.
 */
#pragma once

#include "broker/store.h"

struct partition;

struct append {
    struct store_append store; /* its batch: the caller's, until the group is done */
    struct partition *at;
    int32_t records;
};

/* May clients append here? ERR_TOPIC_INVALID: the topic is internal. ERR_THROTTLED: it is full of
 * messages that its subscriptions have not settled. */
enum err must_use append_allowed(const struct partition *p, struct err_text *text);
void append_begin(struct append *a, struct partition *p);
/* The batch, and when it is appended: now. Before store_append. */
void append_set(struct append *a, struct slice batch, int32_t records);
/* Counts what was stored. The partition may be gone afterwards. */
void append_end(struct append *a, enum err err);
