/* One case a rule of broker/validate.h. */
#include "../check.h"

#include "base/codec.h"
#include "base/cursor.h"
#include "broker/validate.h"

#include <string.h>

#define NOW 1767225600000

enum at { AT_MAGIC = 16, AT_ATTRIBUTES = 21, AT_LAST_DELTA = 23, AT_PRODUCER = 43, AT_EPOCH = 51 };
enum { AT_SEQUENCE = 53, AT_COUNT = 57, AT_MAX_TIME = 35 };

struct fixture {
    struct topic_conf conf;
    struct validate v;
    struct err_text text;
    struct batch_builder b;
};

static void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    topic_conf_default(&f->conf);
    f->v =
        (struct validate){.conf = &f->conf, .now_ms = NOW, .zstd_allowed = true, .text = &f->text};
    batch_begin(&f->b, 0);
}

static void add(struct fixture *f, int64_t ts)
{
    batch_add(&f->b, ts, STR_LIT("key"), STR_LIT("value"), NULL, 0);
}

static struct slice three(struct fixture *f)
{
    fixture_init(f);
    for (int i = 0; i < 3; i++)
        add(f, NOW + i);
    return batch_end(&f->b);
}

static uint8_t *bytes(struct slice s)
{
    return (uint8_t *)s.at;
}

/* Validates and frees the batch. */
static enum err check(struct fixture *f, struct slice batch)
{
    enum err err = validate_batch(&f->v, batch);
    slice_unref(batch);
    return err;
}

static enum err check_fixed(struct fixture *f, struct slice batch)
{
    batch_crc_fix(bytes(batch));
    return check(f, batch);
}

static struct slice compressed(struct slice plain, enum codec codec)
{
    struct buf *packed;
    size_t len;
    assert_int_equal(codec_compress(codec, plain.at + BATCH_HEAD_BYTES,
                                    plain.len - BATCH_HEAD_BYTES, 1 << 30, &packed, &len),
                     ERR_OK);
    struct wr w;
    wr_init(&w, BATCH_HEAD_BYTES + len);
    wr_bytes(&w, plain.at, BATCH_HEAD_BYTES);
    wr_bytes(&w, packed->data, len);
    buf_unref(packed);
    slice_unref(plain);
    struct slice s = wr_take(&w);
    be32_put(bytes(s) + 8, (uint32_t)(s.len - BATCH_PREFIX_BYTES));
    be16_put(bytes(s) + AT_ATTRIBUTES, (uint16_t)codec);
    batch_crc_fix(bytes(s));
    return s;
}

static void test_right(void **state)
{
    struct fixture f;
    (void)state;
    struct slice batch = three(&f), copy = slice_copy(batch.at, batch.len);
    assert_int_equal(validate_batch(&f.v, batch), ERR_OK);
    assert_memory_equal(batch.at, copy.at, copy.len);
    assert_int_equal(f.v.head.count, 3);
    assert_int_equal(f.v.bad_record, -1);
    slice_unref(copy);
    slice_unref(batch);
}

static void test_one_batch(void **state)
{
    struct fixture f;
    struct wr w;
    (void)state;
    struct slice one = three(&f);
    wr_init(&w, 2 * one.len);
    wr_bytes(&w, one.at, one.len);
    wr_bytes(&w, one.at, one.len);
    slice_unref(one);
    assert_int_equal(check(&f, wr_take(&w)), ERR_RECORD_INVALID);
    assert_int_equal(f.v.bad_record, -1);
}

static void test_empty(void **state)
{
    struct fixture f;
    (void)state;
    slice_unref(three(&f));
    assert_int_equal(validate_batch(&f.v, (struct slice){NULL, NULL, 0}), ERR_RECORD_INVALID);
    assert_true(f.text.s[0] != '\0');
}

static void test_magic(void **state)
{
    struct fixture f;
    (void)state;
    for (uint8_t magic = 0; magic < 4; magic++) {
        if (magic == 2)
            continue;
        struct slice batch = three(&f);
        bytes(batch)[AT_MAGIC] = magic;
        assert_int_equal(check(&f, batch), ERR_RECORD_INVALID);
    }
}

static void test_cut(void **state)
{
    struct fixture f;
    (void)state;
    struct slice batch = three(&f);
    for (size_t n = 1; n < batch.len; n++)
        assert_int_equal(validate_batch(&f.v, slice_sub(batch, 0, n)), ERR_CORRUPT);
    slice_unref(batch);
}

static void test_crc(void **state)
{
    struct fixture f;
    (void)state;
    struct slice batch = three(&f);
    for (size_t at = BATCH_CRC_FROM; at < batch.len; at++) {
        bytes(batch)[at] ^= 0x10;
        assert_int_equal(validate_batch(&f.v, batch), ERR_CORRUPT);
        bytes(batch)[at] ^= 0x10;
    }
    assert_int_equal(check(&f, batch), ERR_OK);
}

static void test_size(void **state)
{
    struct fixture f;
    (void)state;
    struct slice batch = three(&f);
    f.conf.max_message_bytes = (int64_t)batch.len;
    assert_int_equal(validate_batch(&f.v, batch), ERR_OK);
    f.conf.max_message_bytes--;
    assert_int_equal(check(&f, batch), ERR_MESSAGE_TOO_LARGE);
    assert_non_null(strstr(f.text.s, "max.message.bytes"));
}

static void test_attributes(void **state)
{
    static const struct {
        uint16_t attributes;
        enum err err;
    } cases[] = {
        {BATCH_CONTROL, ERR_RECORD_INVALID},
        {BATCH_CONTROL | BATCH_TRANSACTIONAL, ERR_RECORD_INVALID},
        {BATCH_TRANSACTIONAL, ERR_REQUEST_INVALID},
        {BATCH_DELETE_HORIZON, ERR_RECORD_INVALID},
        {BATCH_APPEND_TIME, ERR_TIMESTAMP_INVALID},
        {5, ERR_COMPRESSION},
        {6, ERR_COMPRESSION},
        {7, ERR_COMPRESSION},
    };
    struct fixture f;
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct slice batch = three(&f);
        be16_put(bytes(batch) + AT_ATTRIBUTES, cases[i].attributes);
        assert_int_equal(check_fixed(&f, batch), cases[i].err);
        assert_true(f.text.s[0] != '\0');
    }
}

static void test_counts(void **state)
{
    static const struct {
        int32_t count, last_delta;
    } cases[] = {{2, 2}, {4, 2}, {3, 1}, {3, 3}, {0, 2}, {-1, 2}, {2, 1}, {4, 3}, {3, -1}, {0, -1}};
    struct fixture f;
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct slice batch = three(&f);
        be32_put(bytes(batch) + AT_COUNT, (uint32_t)cases[i].count);
        be32_put(bytes(batch) + AT_LAST_DELTA, (uint32_t)cases[i].last_delta);
        assert_int_equal(check_fixed(&f, batch), ERR_RECORD_INVALID);
    }
}

static void test_base_offset(void **state)
{
    struct fixture f;
    (void)state;
    struct slice batch = three(&f);
    batch_set_offset(bytes(batch), 5);
    assert_int_equal(check(&f, batch), ERR_RECORD_INVALID);
    assert_non_null(strstr(f.text.s, "5"));
}

/* The offset delta of the second record is its fourth byte. */
static void test_dense(void **state)
{
    struct fixture f;
    (void)state;
    struct slice batch = three(&f);
    size_t first = 1 + (size_t)(batch.at[BATCH_HEAD_BYTES] >> 1);
    uint8_t *delta = bytes(batch) + BATCH_HEAD_BYTES + first + 3;
    assert_int_equal(*delta, 2); /* 1, zig-zag */
    *delta = 4;
    assert_int_equal(check_fixed(&f, batch), ERR_RECORD_INVALID);
    assert_int_equal(f.v.bad_record, 1);
}

static void test_framing(void **state)
{
    struct fixture f;
    (void)state;
    struct slice batch = three(&f);
    bytes(batch)[batch.len - 1] = 2; /* one header, of which nothing is there */
    assert_int_equal(check_fixed(&f, batch), ERR_RECORD_INVALID);
    assert_int_equal(f.v.bad_record, 2);
}

static void test_left_over(void **state)
{
    struct fixture f;
    struct wr w;
    (void)state;
    struct slice batch = three(&f);
    wr_init(&w, batch.len + 1);
    wr_bytes(&w, batch.at, batch.len);
    wr_u8(&w, 0);
    slice_unref(batch);
    batch = wr_take(&w);
    be32_put(bytes(batch) + 8, (uint32_t)(batch.len - BATCH_PREFIX_BYTES));
    assert_int_equal(check_fixed(&f, batch), ERR_RECORD_INVALID);
    assert_int_equal(f.v.bad_record, -1);
}

static enum err check_time(struct fixture *f, int64_t ts)
{
    batch_begin(&f->b, 0);
    add(f, NOW);
    add(f, ts);
    add(f, NOW);
    return check(f, batch_end(&f->b));
}

static void test_timestamps(void **state)
{
    struct fixture f;
    (void)state;
    slice_unref(three(&f));
    f.conf.timestamp_before_max_ms = 1000;
    f.conf.timestamp_after_max_ms = 500;
    assert_int_equal(check_time(&f, NOW - 1000), ERR_OK);
    assert_int_equal(check_time(&f, NOW - 1001), ERR_TIMESTAMP_INVALID);
    assert_int_equal(f.v.bad_record, 1);
    assert_int_equal(check_time(&f, NOW + 500), ERR_OK);
    assert_int_equal(check_time(&f, NOW + 501), ERR_TIMESTAMP_INVALID);
    assert_int_equal(f.v.bad_record, 1);
    assert_int_equal(check_time(&f, INT64_MIN), ERR_TIMESTAMP_INVALID);
    assert_int_equal(check_time(&f, INT64_MAX), ERR_TIMESTAMP_INVALID);
    assert_int_equal(check_time(&f, -1), ERR_OK); /* none */
    f.conf.timestamp_type = TOPIC_APPEND_TIME;
    assert_int_equal(check_time(&f, INT64_MAX), ERR_OK);
}

static void test_default_allows_the_past(void **state)
{
    struct fixture f;
    (void)state;
    slice_unref(three(&f));
    assert_int_equal(check_time(&f, 0), ERR_OK);
    assert_int_equal(check_time(&f, NOW + 3600000), ERR_OK);
    assert_int_equal(check_time(&f, NOW + 3600001), ERR_TIMESTAMP_INVALID);
}

static void test_append_time(void **state)
{
    struct fixture f;
    struct batch_head h;
    (void)state;
    struct slice batch = three(&f);
    f.conf.timestamp_type = TOPIC_APPEND_TIME;
    f.v.now_ms = NOW + 77;
    assert_int_equal(validate_batch(&f.v, batch), ERR_OK);
    assert_int_equal(batch_head_read(batch.at, batch.len, &h), ERR_OK);
    assert_true(h.attributes & BATCH_APPEND_TIME);
    assert_int_equal(h.max_timestamp, NOW + 77);
    assert_true(batch_crc_ok(batch.at, &h));
    assert_int_equal(f.v.head.crc, h.crc);
    slice_unref(batch);
}

/* A head that lies about the latest time would mislead retention and searches by time. */
static void test_max_timestamp(void **state)
{
    struct fixture f;
    struct batch_head h;
    (void)state;
    struct slice batch = three(&f);
    be64_put(bytes(batch) + AT_MAX_TIME, NOW + 5000);
    batch_crc_fix(bytes(batch));
    assert_int_equal(validate_batch(&f.v, batch), ERR_OK);
    assert_int_equal(batch_head_read(batch.at, batch.len, &h), ERR_OK);
    assert_int_equal(h.max_timestamp, NOW + 2);
    assert_true(batch_crc_ok(batch.at, &h));
    slice_unref(batch);
}

static void test_sequence(void **state)
{
    static const struct {
        int64_t producer;
        int16_t epoch;
        int32_t sequence;
        enum err err;
    } cases[] = {
        {7, 0, 0, ERR_OK},
        {7, 0, -1, ERR_RECORD_INVALID},
        {7, -1, 0, ERR_RECORD_INVALID},
        {-1, -1, -1, ERR_OK},
    };
    struct fixture f;
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct slice batch = three(&f);
        be64_put(bytes(batch) + AT_PRODUCER, (uint64_t)cases[i].producer);
        be16_put(bytes(batch) + AT_EPOCH, (uint16_t)cases[i].epoch);
        be32_put(bytes(batch) + AT_SEQUENCE, (uint32_t)cases[i].sequence);
        assert_int_equal(check_fixed(&f, batch), cases[i].err);
    }
}

static void test_keyless(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    add(&f, NOW);
    batch_add(&f.b, NOW, (struct str){NULL, 0}, STR_LIT("v"), NULL, 0);
    struct slice batch = batch_end(&f.b);
    assert_int_equal(validate_batch(&f.v, batch), ERR_OK);
    f.conf.compact = true;
    assert_int_equal(check(&f, batch), ERR_RECORD_INVALID);
    assert_int_equal(f.v.bad_record, 1);
}

static void test_codecs(void **state)
{
    struct fixture f;
    (void)state;
    for (enum codec codec = CODEC_GZIP; codec <= CODEC_ZSTD; codec++) {
        struct slice batch = compressed(three(&f), codec);
        struct slice copy = slice_copy(batch.at, batch.len);
        assert_int_equal(validate_batch(&f.v, batch), ERR_OK);
        assert_memory_equal(batch.at, copy.at, copy.len);
        f.v.zstd_allowed = false;
        assert_int_equal(validate_batch(&f.v, batch),
                         codec == CODEC_ZSTD ? ERR_COMPRESSION : ERR_OK);
        slice_unref(copy);
        slice_unref(batch);
    }
}

/* What is wrong inside is found inside. */
static void test_codecs_walked(void **state)
{
    struct fixture f;
    (void)state;
    for (enum codec codec = CODEC_GZIP; codec <= CODEC_ZSTD; codec++) {
        struct slice batch = three(&f);
        be32_put(bytes(batch) + AT_COUNT, 2);
        be32_put(bytes(batch) + AT_LAST_DELTA, 1);
        assert_int_equal(check(&f, compressed(batch, codec)), ERR_RECORD_INVALID);
        fixture_init(&f);
        add(&f, NOW);
        add(&f, NOW + 7200000);
        assert_int_equal(check(&f, compressed(batch_end(&f.b), codec)), ERR_TIMESTAMP_INVALID);
        assert_int_equal(f.v.bad_record, 1);
        batch = compressed(three(&f), codec);
        bytes(batch)[batch.len - 1] ^= 0xff;
        bytes(batch)[BATCH_HEAD_BYTES] ^= 0xff;
        assert_int_equal(check_fixed(&f, batch), ERR_CORRUPT);
    }
}

static void test_bomb(void **state)
{
    struct fixture f;
    (void)state;
    size_t n = VALIDATE_INFLATED_MAX + 1;
    char *zeros = test_calloc(n, 1);
    fixture_init(&f);
    batch_add(&f.b, NOW, STR_LIT("k"), (struct str){zeros, n}, NULL, 0);
    struct slice batch = compressed(batch_end(&f.b), CODEC_ZSTD);
    test_free(zeros);
    assert_true(batch.len < 1000000);
    assert_int_equal(check(&f, batch), ERR_MESSAGE_TOO_LARGE);
    assert_non_null(strstr(f.text.s, "decompressed"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right),
        cmocka_unit_test(test_one_batch),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_magic),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_crc),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_base_offset),
        cmocka_unit_test(test_dense),
        cmocka_unit_test(test_framing),
        cmocka_unit_test(test_left_over),
        cmocka_unit_test(test_timestamps),
        cmocka_unit_test(test_default_allows_the_past),
        cmocka_unit_test(test_append_time),
        cmocka_unit_test(test_max_timestamp),
        cmocka_unit_test(test_sequence),
        cmocka_unit_test(test_keyless),
        cmocka_unit_test(test_codecs),
        cmocka_unit_test(test_codecs_walked),
        cmocka_unit_test(test_bomb),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
