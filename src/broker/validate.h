/* validate.h: is this a batch that a client may append?
 * Source: Kafka's ProduceRequest.validateRecords and LogValidator.
 *
 *   ERR_RECORD_INVALID     not exactly one batch of magic 2; control or delete horizon bit; a base
 *                          offset; number of records, offsets or framing not as the head says; a
 *                          sequence without its producer; no key on a compacted topic
 *   ERR_CORRUPT            cut, or the CRC or the compressed stream is wrong
 *   ERR_MESSAGE_TOO_LARGE  above max.message.bytes, or VALIDATE_INFLATED_MAX when decompressed
 *   ERR_COMPRESSION        an unknown codec; zstd where the request is too old for it
 *   ERR_TIMESTAMP_INVALID  a record outside of the topic's range around now; append time in a batch
 *                          that comes from a client
 *   ERR_REQUEST_INVALID    transactional: this broker has no transactions yet
 *
 * One pass over the bytes for the CRC and one over the records' framing; keys and values are not
 * touched. A compressed batch is decompressed for it. Pure, any thread.
 */
#pragma once

#include "base/batch.h"
#include "broker/topic.h"

#define VALIDATE_INFLATED_MAX ((size_t)64 << 20)

struct validate {
    const struct topic_conf *conf;
    uint64_t now_ms;
    bool zstd_allowed;
    /* out */
    struct batch_head head;
    int32_t bad_record; /* index, -1: not about one record */
    struct err_text *text;
};

/* One record, of a batch that comes or of one that is made here: its timestamp (before
 * LogAppendTime replaces it), and its key in a compacted topic. index: for the text. */
enum err must_use validate_record(const struct validate *v, int32_t index, int64_t timestamp,
                                  struct str key);

/* The bytes are changed only when the batch is right: LogAppendTime, and a max timestamp that is
 * not that of the records, as Kafka does. */
enum err must_use validate_batch(struct validate *v, struct slice batch);
