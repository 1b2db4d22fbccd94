#include "base/batch.h"

#include "base/assert.h"
#include "base/crc32c.h"

#include <string.h>

enum at {
    AT_BASE_OFFSET = 0,
    AT_LENGTH = 8,
    AT_EPOCH = 12,
    AT_MAGIC = 16,
    AT_CRC = 17,
    AT_ATTRIBUTES = 21,
    AT_LAST_DELTA = 23,
    AT_BASE_TIME = 27,
    AT_MAX_TIME = 35,
    AT_PRODUCER_ID = 43,
    AT_PRODUCER_EPOCH = 51,
    AT_BASE_SEQUENCE = 53,
    AT_COUNT = 57,
};

static const uint8_t *byte_at(const void *p, size_t at)
{
    return (const uint8_t *)p + at;
}

static uint32_t batch_crc(const uint8_t *p, size_t bytes)
{
    return crc32c(0, p + BATCH_CRC_FROM, bytes - BATCH_CRC_FROM);
}

static size_t batch_length(const uint8_t *p)
{
    return (size_t)be32_get(p + AT_LENGTH) + BATCH_PREFIX_BYTES;
}

static void head_decode(const void *p, struct batch_head *h)
{
    h->base_offset = (int64_t)be64_get(byte_at(p, AT_BASE_OFFSET));
    h->leader_epoch = (int32_t)be32_get(byte_at(p, AT_EPOCH));
    h->magic = *byte_at(p, AT_MAGIC);
    h->crc = be32_get(byte_at(p, AT_CRC));
    h->attributes = be16_get(byte_at(p, AT_ATTRIBUTES));
    h->last_offset_delta = (int32_t)be32_get(byte_at(p, AT_LAST_DELTA));
    h->base_timestamp = (int64_t)be64_get(byte_at(p, AT_BASE_TIME));
    h->max_timestamp = (int64_t)be64_get(byte_at(p, AT_MAX_TIME));
    h->producer_id = (int64_t)be64_get(byte_at(p, AT_PRODUCER_ID));
    h->producer_epoch = (int16_t)be16_get(byte_at(p, AT_PRODUCER_EPOCH));
    h->base_sequence = (int32_t)be32_get(byte_at(p, AT_BASE_SEQUENCE));
    h->count = (int32_t)be32_get(byte_at(p, AT_COUNT));
}

enum err batch_head_read(const void *p, size_t n, struct batch_head *out)
{
    if (n < BATCH_HEAD_BYTES)
        return ERR_CORRUPT;
    head_decode(p, out);
    if (out->magic != 2)
        return ERR_MESSAGE_FORMAT;
    uint32_t length = be32_get(byte_at(p, AT_LENGTH));
    if (length < BATCH_HEAD_BYTES - BATCH_PREFIX_BYTES || length > INT32_MAX)
        return ERR_CORRUPT;
    out->bytes = length + BATCH_PREFIX_BYTES;
    if (out->last_offset_delta < 0 || out->base_offset > INT64_MAX - out->last_offset_delta - 1)
        return ERR_CORRUPT;
    return ERR_OK;
}

bool batch_crc_ok(const void *p, const struct batch_head *h)
{
    return batch_crc(p, h->bytes) == h->crc;
}

void batch_crc_fix(void *p)
{
    uint8_t *at = p;
    be32_put(at + AT_CRC, batch_crc(at, batch_length(at)));
}

void batch_set_offset(void *p, int64_t base_offset)
{
    be64_put((uint8_t *)p + AT_BASE_OFFSET, (uint64_t)base_offset);
}

void batch_set_leader_epoch(void *p, int32_t epoch)
{
    be32_put((uint8_t *)p + AT_EPOCH, (uint32_t)epoch);
}

void batch_set_append_time(void *p, int64_t ms)
{
    uint8_t *at = p;
    be16_put(at + AT_ATTRIBUTES, (uint16_t)(be16_get(at + AT_ATTRIBUTES) | BATCH_APPEND_TIME));
    be64_put(at + AT_MAX_TIME, (uint64_t)ms);
    batch_crc_fix(p);
}

void batch_set_codec(void *p, unsigned codec, size_t bytes)
{
    uint8_t *at = p;
    unsigned rest = be16_get(at + AT_ATTRIBUTES) & ~(unsigned)BATCH_CODEC_MASK;
    weir_assert(codec <= BATCH_CODEC_MASK && bytes <= INT32_MAX);
    be16_put(at + AT_ATTRIBUTES, (uint16_t)(rest | codec));
    be32_put(at + AT_LENGTH, (uint32_t)(bytes - BATCH_PREFIX_BYTES));
    batch_crc_fix(at);
}

void record_iter_init(struct record_iter *it, const struct batch_head *head, const void *records,
                      size_t n)
{
    rd_init(&it->rd, records, n);
    it->head = *head;
    it->left = head->count;
    it->delta_min = 0;
}

/* A varint length and so many bytes; -1 is null where that is allowed. */
static inline bool read_str(struct rd *rd, bool nullable, struct str *out)
{
    int32_t n = rd_varint(rd);
    *out = (struct str){NULL, 0};
    if (n == -1 && nullable)
        return !rd->bad;
    if (rd->bad || n < 0)
        return false;
    out->at = (const char *)rd_bytes(rd, (size_t)n);
    out->len = rd->bad ? 0 : (size_t)n;
    return !rd->bad;
}

static bool read_headers(struct rd *rd, struct record *out)
{
    struct str text;
    out->headers = rd_varint(rd);
    if (rd->bad || out->headers < 0)
        return false;
    out->headers_at = *rd;
    for (int32_t i = 0; i < out->headers; i++)
        if (!read_str(rd, false, &text) || !read_str(rd, true, &text))
            return false;
    out->headers_at.end = rd->at;
    return true;
}

/* Wraps as Java's does: any 64-bit timestamp comes back as it went in. */
static int64_t record_time(const struct batch_head *head, int64_t delta)
{
    if (head->attributes & BATCH_APPEND_TIME)
        return head->max_timestamp;
    return (int64_t)((uint64_t)head->base_timestamp + (uint64_t)delta);
}

static bool read_times(struct record_iter *it, struct rd *rd, struct record *out)
{
    int64_t time_delta = rd_varlong(rd);
    int32_t offset_delta = rd_varint(rd);
    if (rd->bad || offset_delta < it->delta_min || offset_delta > it->head.last_offset_delta)
        return false;
    it->delta_min = (int64_t)offset_delta + 1;
    out->offset = it->head.base_offset + offset_delta;
    out->timestamp = record_time(&it->head, time_delta);
    return true;
}

enum err record_iter_next(struct record_iter *it, struct record *out)
{
    struct rd body;

    if (it->left == 0)
        return rd_left(&it->rd) == 0 && !it->rd.bad ? ERR_NOT_FOUND : ERR_RECORD_INVALID;
    int32_t n = rd_varint(&it->rd);
    const uint8_t *at = n < 0 ? NULL : rd_bytes(&it->rd, (size_t)n);
    if (!at || it->rd.bad || it->left < 0)
        return ERR_RECORD_INVALID;
    rd_init(&body, at, (size_t)n);
    rd_u8(&body); /* attributes: none are defined */
    if (!read_times(it, &body, out) || !read_str(&body, true, &out->key) ||
        !read_str(&body, true, &out->value) || !read_headers(&body, out) || rd_left(&body) != 0)
        return ERR_RECORD_INVALID;
    it->left--;
    return ERR_OK;
}

static inline struct str known_str(struct rd *rd)
{
    int32_t n = rd_varint(rd);
    if (n < 0)
        return (struct str){NULL, 0};
    return (struct str){(const char *)rd_bytes(rd, (size_t)n), (size_t)n};
}

void record_read(const struct batch_head *head, const void *p, size_t n, struct record *out)
{
    struct rd rd;
    rd_init(&rd, p, n);
    (void)rd_varint(&rd);
    (void)rd_u8(&rd);
    int64_t time_delta = rd_varlong(&rd);
    out->offset = head->base_offset + rd_varint(&rd);
    out->timestamp = record_time(head, time_delta);
    out->key = known_str(&rd);
    out->value = known_str(&rd);
    out->headers = rd_varint(&rd);
    out->headers_at = rd;
    weir_assert(!rd.bad);
}

bool record_header_next(struct record *r, struct record_header *out)
{
    struct rd rd = r->headers_at;
    if (rd_left(&rd) == 0)
        return false;
    out->key = known_str(&rd);
    out->value = known_str(&rd);
    weir_assert(!rd.bad && out->key.at != NULL);
    r->headers_at = rd;
    return true;
}

void batch_begin(struct batch_builder *b, uint16_t attributes)
{
    wr_init(&b->wr, 256);
    wr_room(&b->wr, BATCH_HEAD_BYTES);
    b->base_timestamp = b->max_timestamp = -1;
    b->count = 0;
    b->attributes = attributes;
}

static size_t uvar_bytes(uint64_t v)
{
    size_t n = 1;
    for (; v > 127; v >>= 7)
        n++;
    return n;
}

static size_t var_bytes(int64_t v)
{
    return uvar_bytes((uint64_t)v << 1 ^ (uint64_t)(v >> 63));
}

static size_t str_bytes(struct str s)
{
    return s.at ? var_bytes((int64_t)s.len) + s.len : var_bytes(-1);
}

static uint8_t *put_uvar(uint8_t *to, uint64_t v)
{
    for (; v > 127; v >>= 7)
        *to++ = (uint8_t)(v | 0x80);
    *to++ = (uint8_t)v;
    return to;
}

static uint8_t *put_var(uint8_t *to, int64_t v)
{
    return put_uvar(to, (uint64_t)v << 1 ^ (uint64_t)(v >> 63));
}

static uint8_t *put_str(uint8_t *to, struct str s)
{
    if (s.at == NULL)
        return put_var(to, -1);
    to = put_var(to, (int64_t)s.len);
    memcpy(to, s.at, s.len);
    return to + s.len;
}

static int64_t time_delta(const struct batch_builder *b, int64_t timestamp)
{
    return b->count == 0 ? 0 : (int64_t)((uint64_t)timestamp - (uint64_t)b->base_timestamp);
}

/* Of a record, its length field left out. */
static size_t body_bytes(const struct batch_builder *b, int64_t timestamp, struct str key,
                         struct str value, const struct record_header *headers, size_t n)
{
    size_t bytes = 1 + var_bytes(time_delta(b, timestamp)) + var_bytes(b->count) + str_bytes(key) +
                   str_bytes(value) + var_bytes((int64_t)n);
    for (size_t i = 0; i < n; i++)
        bytes += str_bytes(headers[i].key) + str_bytes(headers[i].value);
    return bytes;
}

size_t batch_room(const struct batch_builder *b, int64_t timestamp, struct str key,
                  struct str value, const struct record_header *headers, size_t n)
{
    size_t bytes = body_bytes(b, timestamp, key, value, headers, n);
    return var_bytes((int64_t)bytes) + bytes;
}

void batch_add(struct batch_builder *b, int64_t timestamp, struct str key, struct str value,
               const struct record_header *headers, size_t n)
{
    size_t bytes = body_bytes(b, timestamp, key, value, headers, n);
    int64_t delta = time_delta(b, timestamp);
    if (b->count == 0)
        b->base_timestamp = timestamp;
    if (b->count == 0 || timestamp > b->max_timestamp)
        b->max_timestamp = timestamp;

    weir_assert(bytes <= INT32_MAX);
    uint8_t *to = put_var(wr_room(&b->wr, var_bytes((int64_t)bytes) + bytes), (int64_t)bytes);
    const uint8_t *end = to + bytes;
    *to++ = 0; /* attributes: none are defined */
    to = put_var(to, delta);
    to = put_var(to, b->count);
    to = put_str(to, key);
    to = put_str(to, value);
    to = put_var(to, (int64_t)n);
    for (size_t i = 0; i < n; i++) {
        weir_assert(headers[i].key.at);
        to = put_str(to, headers[i].key);
        to = put_str(to, headers[i].value);
    }
    weir_assert(to == end);
    b->count++;
}

size_t batch_bytes(const struct batch_builder *b)
{
    return b->wr.len;
}

struct slice batch_end(struct batch_builder *b)
{
    return batch_end_producer(b, -1, -1, -1);
}

struct slice batch_end_producer(struct batch_builder *b, int64_t producer_id, int16_t epoch,
                                int32_t base_sequence)
{
    weir_assert(b->count > 0);
    size_t bytes = b->wr.len;
    weir_assert(bytes <= INT32_MAX);
    uint8_t *p = b->wr.buf->data;
    be64_put(p + AT_BASE_OFFSET, 0);
    be32_put(p + AT_LENGTH, (uint32_t)(bytes - BATCH_PREFIX_BYTES));
    be32_put(p + AT_EPOCH, (uint32_t)-1);
    p[AT_MAGIC] = 2;
    be16_put(p + AT_ATTRIBUTES, b->attributes);
    be32_put(p + AT_LAST_DELTA, (uint32_t)(b->count - 1));
    be64_put(p + AT_BASE_TIME, (uint64_t)b->base_timestamp);
    be64_put(p + AT_MAX_TIME, (uint64_t)b->max_timestamp);
    be64_put(p + AT_PRODUCER_ID, (uint64_t)producer_id);
    be16_put(p + AT_PRODUCER_EPOCH, (uint16_t)epoch);
    be32_put(p + AT_BASE_SEQUENCE, (uint32_t)base_sequence);
    be32_put(p + AT_COUNT, (uint32_t)b->count);
    batch_crc_fix(p);
    b->count = 0;
    return wr_take(&b->wr);
}
