/* Record batches and compressed data, as clients and disks may hold them.
 *
 * The first byte says what follows: 0-4 compressed bytes of that codec behind 3 bytes of limit;
 * 5 a batch whose CRC is as given, 6 one whose CRC is made right first; 7 the records of a batch,
 * behind the low byte of its attributes and a count, for which a right head is made.
 */
#include "fuzz.h"

#include "base/batch.h"
#include "base/codec.h"
#include "base/mem.h"
#include "broker/validate.h"

#define NOW_MS 1767225600000u

static void try_codec(struct rd *in)
{
    enum codec codec = (enum codec)rd_u8(in);
    size_t max = (size_t)rd_u8(in) << 16;
    max |= rd_u16(in);
    size_t n = rd_left(in), len, packed_len, back_len;
    const uint8_t *p = rd_bytes(in, n);
    struct buf *out, *packed, *back;
    if (codec_decompress(codec, p, n, max, &out, &len))
        return;
    weir_assert(len <= max);
    if (codec != CODEC_NONE) {
        enum err err =
            codec_compress(codec, out->data, len, (size_t)64 << 20, &packed, &packed_len);
        weir_assert(err == ERR_OK);
        err = codec_decompress(codec, packed->data, packed_len, len, &back, &back_len);
        weir_assert(err == ERR_OK);
        fuzz_check_equal(out->data, len, back->data, back_len);
        buf_unref(packed);
        buf_unref(back);
    }
    buf_unref(out);
}

/* Walks all records and headers, touching every byte of them. Returns how many; -1: bad. */
static int64_t walk(const struct batch_head *head, const void *p, size_t n)
{
    struct record_iter it;
    struct record r;
    struct record_header h;
    enum err err;
    int64_t count = 0, last = 0;
    uint64_t sum = 0;
    record_iter_init(&it, head, p, n);
    while (!(err = record_iter_next(&it, &r))) {
        weir_assert((count == 0 || r.offset > last) && r.offset >= head->base_offset);
        last = r.offset;
        int32_t headers = 0;
        for (; record_header_next(&r, &h); headers++) {
            for (size_t i = 0; i < h.key.len; i++)
                sum += (uint8_t)h.key.at[i];
            for (size_t i = 0; h.value.at && i < h.value.len; i++)
                sum += (uint8_t)h.value.at[i];
        }
        weir_assert(headers == r.headers);
        for (size_t i = 0; r.key.at && i < r.key.len; i++)
            sum += (uint8_t)r.key.at[i];
        for (size_t i = 0; r.value.at && i < r.value.len; i++)
            sum += (uint8_t)r.value.at[i];
        count++;
    }
    weir_assert(err == ERR_NOT_FOUND || err == ERR_RECORD_INVALID);
    weir_assert(count <= INT32_MAX && sum < UINT64_MAX);
    return err == ERR_NOT_FOUND ? count : -1;
}

/* What was found right must be whole, and read back as what its head says. */
static void check_valid(const struct slice *batch)
{
    struct batch_head head;
    enum err err = batch_head_read(batch->at, batch->len, &head);
    weir_assert(err == ERR_OK && head.bytes == batch->len && batch_crc_ok(batch->at, &head));
    const uint8_t *records = batch->at + BATCH_HEAD_BYTES;
    size_t n = batch->len - BATCH_HEAD_BYTES;
    struct buf *plain = NULL;
    enum codec codec = (enum codec)(head.attributes & BATCH_CODEC_MASK);
    if (codec != CODEC_NONE) {
        err = codec_decompress(codec, records, n, VALIDATE_INFLATED_MAX, &plain, &n);
        weir_assert(err == ERR_OK);
        records = plain->data;
    }
    weir_assert(walk(&head, records, n) == head.count);
    buf_unref(plain);
}

static void try_batch(struct slice batch, bool fix_crc)
{
    struct batch_head head;
    uint8_t *p = batch.buf->data;
    if (batch_head_read(p, batch.len, &head) == ERR_OK && head.bytes <= batch.len) {
        if (fix_crc)
            batch_crc_fix(p);
        enum err err = batch_head_read(p, batch.len, &head);
        bool right = batch_crc_ok(p, &head);
        weir_assert(err == ERR_OK && (right || !fix_crc));
        (void)walk(&head, p + BATCH_HEAD_BYTES, head.bytes - BATCH_HEAD_BYTES);
    }
    for (unsigned kind = 0; kind < 4; kind++) {
        struct topic_conf conf;
        struct err_text text = {{0}};
        topic_conf_default(&conf);
        conf.compact = kind & 1;
        conf.timestamp_type = kind & 2 ? TOPIC_APPEND_TIME : TOPIC_CREATE_TIME;
        struct validate v = {.conf = &conf, .now_ms = NOW_MS, .zstd_allowed = true, .text = &text};
        struct slice copy = slice_copy(batch.at, batch.len);
        if (validate_batch(&v, copy) == ERR_OK)
            check_valid(&copy);
        else
            fuzz_check_equal(copy.at, copy.len, batch.at, batch.len);
        slice_unref(copy);
    }
}

/* A head that fits, so that the records themselves are met. */
static void try_records(struct rd *in)
{
    uint8_t attributes = rd_u8(in), count = rd_u8(in);
    size_t n = rd_left(in);
    const uint8_t *p = rd_bytes(in, n);
    struct slice batch = {.len = BATCH_HEAD_BYTES + n};
    batch.buf = buf_make(batch.len);
    batch.at = batch.buf->data;
    uint8_t *b = batch.buf->data;
    memset(b, 0, BATCH_HEAD_BYTES);
    be32_put(b + 8, (uint32_t)(batch.len - BATCH_PREFIX_BYTES));
    b[16] = 2;
    b[22] = attributes;
    be32_put(b + 23, count ? count - 1u : 0);
    be64_put(b + 27, NOW_MS);
    be64_put(b + 35, NOW_MS);
    memset(b + 43, 0xff, 14);
    be32_put(b + 57, count);
    if (n)
        memcpy(b + BATCH_HEAD_BYTES, p, n);
    try_batch(batch, true);
    slice_unref(batch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rd in;
    rd_init(&in, data, size);
    if (size == 0)
        return 0;
    if (data[0] <= CODEC_ZSTD) {
        try_codec(&in);
        return 0;
    }
    uint8_t kind = rd_u8(&in);
    if (kind == 7) {
        try_records(&in);
        return 0;
    }
    struct slice batch = slice_copy(in.at, rd_left(&in));
    try_batch(batch, kind == 6);
    slice_unref(batch);
    return 0;
}
