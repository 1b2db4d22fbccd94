/* batch.h: Kafka's record batch, version 2 (magic 2): the one format in which weir stores and moves
 * records. Source: org.apache.kafka.common.record.DefaultRecordBatch (KIP-98), DefaultRecord.
 *
 *      0  base offset          8   rewritten by the log, outside of the CRC
 *      8  batch length         4   bytes after this field
 *     12  partition leader epoch 4 rewritten by the log, outside of the CRC
 *     16  magic                1   2
 *     17  crc                  4   CRC-32C of everything from byte 21 on
 *     21  attributes           2   codec 0-2, log append time 3, transactional 4, control 5,
 *                                  delete horizon 6
 *     23  last offset delta    4
 *     27  base timestamp       8
 *     35  max timestamp        8
 *     43  producer id          8   -1: none
 *     51  producer epoch       2
 *     53  base sequence        4   -1: none
 *     57  records count        4
 *     61  records                  varint-framed, as a whole compressed by the codec
 *
 * Pure functions over borrowed bytes; any thread.
 */
#pragma once

#include "base/buf.h"
#include "base/cursor.h"
#include "base/err.h"
#include "base/str.h"

#define BATCH_HEAD_BYTES 61
#define BATCH_PREFIX_BYTES 12 /* base offset and length: enough to find the next batch */
#define BATCH_CRC_FROM 21

enum batch_attributes {
    BATCH_CODEC_MASK = 0x07,
    BATCH_APPEND_TIME = 0x08,
    BATCH_TRANSACTIONAL = 0x10,
    BATCH_CONTROL = 0x20,
    BATCH_DELETE_HORIZON = 0x40,
};

struct batch_head {
    int64_t base_offset;
    uint32_t bytes; /* the whole batch: length field + 12 */
    int32_t leader_epoch;
    uint8_t magic;
    uint32_t crc;
    uint16_t attributes;
    int32_t last_offset_delta;
    int64_t base_timestamp, max_timestamp; /* Unix ms; -1: none */
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t base_sequence;
    int32_t count;
};

static inline int64_t batch_last_offset(const struct batch_head *h)
{
    return h->base_offset + h->last_offset_delta;
}

static inline int64_t batch_next_offset(const struct batch_head *h)
{
    return h->base_offset + h->last_offset_delta + 1;
}

/* Decodes the head of the batch at p, of which n bytes are there. ERR_CORRUPT: fewer than 61 bytes,
 * a length that is negative or below a head's, a negative last offset delta, or offsets beyond 64
 * bits; ERR_MESSAGE_FORMAT: magic is not 2. The batch itself may be longer than n: compare
 * head->bytes. */
enum err must_use batch_head_read(const void *p, size_t n, struct batch_head *out);
/* The stored CRC equals that of bytes 21..head.bytes, all of which must be at p. */
bool batch_crc_ok(const void *p, const struct batch_head *h);
/* Recomputes and stores the CRC after a change behind byte 21. */
void batch_crc_fix(void *p);
/* Rewrite what the CRC does not cover. */
void batch_set_offset(void *p, int64_t base_offset);
void batch_set_leader_epoch(void *p, int32_t epoch);
/* Sets attribute bit 3 and max timestamp and recomputes the CRC: LogAppendTime. */
void batch_set_append_time(void *p, int64_t ms);

/* The records behind the head were compressed, and the whole has so many bytes now: recomputes the
 * CRC. */
void batch_set_codec(void *p, unsigned codec, size_t bytes);

/* One record of a batch; the strings point into the batch's (decompressed) bytes. */
struct record {
    int64_t offset, timestamp;
    struct str key, value; /* at == NULL: null */
    int32_t headers;       /* count; walk with record_header_next */
    struct rd headers_at;  /* private */
};

struct record_header {
    struct str key, value;
};

/* Walks the records of one batch. For a compressed batch `records` is the decompressed rest
 * (base/codec.h), else the bytes from 61 on. */
struct record_iter {
    struct rd rd;
    struct batch_head head;
    int32_t left;
    int64_t delta_min; /* the next record's offset delta is at least this */
};

void record_iter_init(struct record_iter *it, const struct batch_head *head, const void *records,
                      size_t n);
/* ERR_NOT_FOUND at the end (and then nothing may be left over: else ERR_RECORD_INVALID),
 * ERR_RECORD_INVALID: bad framing, delta out of order. */
enum err must_use record_iter_next(struct record_iter *it, struct record *out);
/* False at the end. Only after record_iter_next said ERR_OK (which has checked the framing). */
bool record_header_next(struct record *r, struct record_header *out);

/* One record by itself: the n bytes at p are it, with its length in front, as record_iter_next has
 * found them right before. Nothing is checked again, and headers are not walked. */
void record_read(const struct batch_head *head, const void *p, size_t n, struct record *out);

/* Builds one uncompressed batch. */
struct batch_builder {
    struct wr wr;
    int64_t base_timestamp, max_timestamp;
    int32_t count;
    uint16_t attributes;
};

void batch_begin(struct batch_builder *b, uint16_t attributes);
/* key.at or value.at NULL: null. headers may be NULL with n 0. */
void batch_add(struct batch_builder *b, int64_t timestamp, struct str key, struct str value,
               const struct record_header *headers, size_t n);
/* The bytes that batch_add would add. */
size_t batch_room(const struct batch_builder *b, int64_t timestamp, struct str key,
                  struct str value, const struct record_header *headers, size_t n);
/* Bytes so far, head included. */
size_t batch_bytes(const struct batch_builder *b);
/* Closes the batch (offset 0, no producer, CRC set): a slice that owns its buffer, of which it is
 * the only user; the builder is empty afterwards. At least one record must have been added. */
struct slice batch_end(struct batch_builder *b);
/* As batch_end, with a producer's identity. */
struct slice batch_end_producer(struct batch_builder *b, int64_t producer_id, int16_t epoch,
                                int32_t base_sequence);
