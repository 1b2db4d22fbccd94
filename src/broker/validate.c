#include "broker/validate.h"

#include "base/assert.h"
#include "base/codec.h"

#include <inttypes.h>

#define AT_MAGIC 16
#define AT_LAST_DELTA 23
#define AT_MAX_TIMESTAMP 35
#define NO_TIMESTAMP (-1)

/* What the walk over the records finds out. */
struct walk {
    struct validate *v;
    int32_t index;
    int64_t max_timestamp;
};

static enum err check_frame(struct validate *v, struct slice batch)
{
    if (batch.len == 0)
        return err_say(v->text, ERR_RECORD_INVALID, "there is no record batch: give exactly one");
    if (batch.len > AT_MAGIC && batch.at[AT_MAGIC] != 2)
        return err_say(v->text, ERR_RECORD_INVALID,
                       "the record batch has magic %u: only 2 can be produced", batch.at[AT_MAGIC]);
    if (batch.len >= BATCH_HEAD_BYTES && (int32_t)be32_get(batch.at + AT_LAST_DELTA) < 0)
        return err_say(v->text, ERR_RECORD_INVALID, "the batch's last offset delta is negative");
    if (batch_head_read(batch.at, batch.len, &v->head) != ERR_OK || v->head.bytes > batch.len)
        return err_say(v->text, ERR_CORRUPT, "the record batch is cut: %zu bytes came", batch.len);
    if (v->head.bytes < batch.len)
        return err_say(v->text, ERR_RECORD_INVALID,
                       "something follows the record batch: give exactly one a partition");
    if (v->head.bytes > (uint64_t)v->conf->max_message_bytes)
        return err_say(v->text, ERR_MESSAGE_TOO_LARGE,
                       "the record batch has %u bytes: the topic's max.message.bytes is %" PRId64,
                       v->head.bytes, v->conf->max_message_bytes);
    if (!batch_crc_ok(batch.at, &v->head))
        return err_say(v->text, ERR_CORRUPT, "the record batch does not match its CRC");
    return ERR_OK;
}

static enum err check_attributes(struct validate *v)
{
    unsigned attributes = v->head.attributes, codec = attributes & BATCH_CODEC_MASK;
    if (attributes & BATCH_CONTROL)
        return err_say(v->text, ERR_RECORD_INVALID, "clients must not write control records");
    if (attributes & BATCH_TRANSACTIONAL)
        return err_say(v->text, ERR_REQUEST_INVALID,
                       "the batch is transactional: this broker has no transactions yet, produce "
                       "without transactional.id");
    if (attributes & BATCH_DELETE_HORIZON)
        return err_say(v->text, ERR_RECORD_INVALID,
                       "the delete horizon bit is set: only compaction writes it");
    if (attributes & BATCH_APPEND_TIME)
        return err_say(v->text, ERR_TIMESTAMP_INVALID,
                       "the timestamp type is LogAppendTime: only the broker sets it");
    if (codec > CODEC_ZSTD)
        return err_say(v->text, ERR_COMPRESSION, "codec %u is not known", codec);
    if (codec == CODEC_ZSTD && !v->zstd_allowed)
        return err_say(v->text, ERR_COMPRESSION, "zstd needs version 7 of the produce request");
    return ERR_OK;
}

static enum err check_head(struct validate *v)
{
    const struct batch_head *h = &v->head;
    if (h->base_offset != 0)
        return err_say(v->text, ERR_RECORD_INVALID,
                       "the batch's base offset is %" PRId64 ": a producer's must be 0",
                       h->base_offset);
    if (h->count <= 0 || h->count != (int64_t)h->last_offset_delta + 1)
        return err_say(v->text, ERR_RECORD_INVALID,
                       "the batch says %d records and %d as its last offset delta", h->count,
                       h->last_offset_delta);
    if (h->producer_id >= 0 && (h->base_sequence < 0 || h->producer_epoch < 0))
        return err_say(v->text, ERR_RECORD_INVALID,
                       "the batch of producer %" PRId64 " has sequence %d and epoch %d: both must "
                       "be >= 0",
                       h->producer_id, h->base_sequence, h->producer_epoch);
    return ERR_OK;
}

/* Differences of any two 64-bit times fit into unsigned ones. */
static bool time_allowed(const struct validate *v, int64_t ts)
{
    int64_t now = (int64_t)v->now_ms;
    if (v->conf->timestamp_type == TOPIC_APPEND_TIME || ts == NO_TIMESTAMP)
        return true;
    if (ts <= now)
        return (uint64_t)now - (uint64_t)ts <= (uint64_t)v->conf->timestamp_before_max_ms;
    return (uint64_t)ts - (uint64_t)now <= (uint64_t)v->conf->timestamp_after_max_ms;
}

enum err validate_record(const struct validate *v, int32_t index, int64_t timestamp, struct str key)
{
    if (v->conf->compact && key.at == NULL)
        return err_say(v->text, ERR_RECORD_INVALID,
                       "record %d has no key, which a compacted topic needs", index);
    if (!time_allowed(v, timestamp))
        return err_say(v->text, ERR_TIMESTAMP_INVALID,
                       "record %d has timestamp %" PRId64 ": at %" PRIu64
                       " the topic allows from %" PRId64 " ms before to %" PRId64 " ms after",
                       index, timestamp, v->now_ms, v->conf->timestamp_before_max_ms,
                       v->conf->timestamp_after_max_ms);
    return ERR_OK;
}

static enum err check_record(struct walk *w, const struct record *r)
{
    struct validate *v = w->v;
    if (r->offset != v->head.base_offset + w->index)
        return err_say(v->text, ERR_RECORD_INVALID,
                       "record %d has offset delta %" PRId64 ": they must count up from 0",
                       w->index, r->offset - v->head.base_offset);
    return validate_record(v, w->index, r->timestamp, r->key);
}

static enum err walk_records(struct walk *w, const uint8_t *records, size_t n)
{
    struct record_iter it;
    struct record r;
    enum err err;
    record_iter_init(&it, &w->v->head, records, n);
    while ((err = record_iter_next(&it, &r)) == ERR_OK) {
        err = check_record(w, &r);
        if (err != ERR_OK)
            return err;
        if (w->index == 0 || r.timestamp > w->max_timestamp)
            w->max_timestamp = r.timestamp;
        w->index++;
    }
    if (err == ERR_NOT_FOUND)
        return ERR_OK;
    if (w->index == w->v->head.count)
        w->index = -1;
    return err_say(w->v->text, err, "the framing of record %d of %d is wrong",
                   w->index < 0 ? w->v->head.count : w->index, w->v->head.count);
}

static enum err walk_inflated(struct walk *w, enum codec codec, const uint8_t *records, size_t n)
{
    struct buf *plain;
    size_t len;
    enum err err = codec_decompress(codec, records, n, VALIDATE_INFLATED_MAX, &plain, &len);
    if (err == ERR_MESSAGE_TOO_LARGE)
        return err_say(w->v->text, err, "the record batch has more than %zu bytes decompressed",
                       VALIDATE_INFLATED_MAX);
    if (err != ERR_OK)
        return err_say(w->v->text, err, "the record batch cannot be decompressed");
    err = walk_records(w, plain->data, len);
    buf_unref(plain);
    return err;
}

static void stamp(struct validate *v, struct slice batch, int64_t max_timestamp)
{
    uint8_t *p = (uint8_t *)batch.at;
    if (v->conf->timestamp_type == TOPIC_APPEND_TIME) {
        batch_set_append_time(p, (int64_t)v->now_ms);
    } else if (max_timestamp != v->head.max_timestamp) {
        be64_put(p + AT_MAX_TIMESTAMP, (uint64_t)max_timestamp);
        batch_crc_fix(p);
    } else {
        return;
    }
    enum err err = batch_head_read(p, batch.len, &v->head);
    weir_assert(err == ERR_OK);
}

enum err validate_batch(struct validate *v, struct slice batch)
{
    v->bad_record = -1;
    enum err err = check_frame(v, batch);
    if (err == ERR_OK)
        err = check_attributes(v);
    if (err == ERR_OK)
        err = check_head(v);
    if (err != ERR_OK)
        return err;

    struct walk w = {.v = v, .max_timestamp = NO_TIMESTAMP};
    enum codec codec = (enum codec)(v->head.attributes & BATCH_CODEC_MASK);
    const uint8_t *records = batch.at + BATCH_HEAD_BYTES;
    size_t n = v->head.bytes - BATCH_HEAD_BYTES;
    err = codec == CODEC_NONE ? walk_records(&w, records, n) : walk_inflated(&w, codec, records, n);
    if (err == ERR_RECORD_INVALID || err == ERR_TIMESTAMP_INVALID)
        v->bad_record = w.index;
    if (err == ERR_OK)
        stamp(v, batch, w.max_timestamp);
    return err;
}
