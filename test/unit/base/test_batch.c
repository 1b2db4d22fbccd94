/* Record batches: what the builder makes is what the reader sees, byte by byte where it matters,
 * and bytes that are not a batch are refused. */
#include "base/batch.h"
#include "base/crc32c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define T0 1700000000000

/* One batch as Kafka's own producer lays it out: one record at T0, key "k", value "v", a header
 * "h" without value. Written out by hand from the format's description. */
static const uint8_t golden[] = {
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0, /* base offset */
    0,
    0,
    0,
    62, /* length */
    0xff,
    0xff,
    0xff,
    0xff, /* leader epoch */
    2,    /* magic */
    0,
    0,
    0,
    0, /* crc, set by the test */
    0,
    0, /* attributes */
    0,
    0,
    0,
    0, /* last offset delta */
    0,
    0,
    0x01,
    0x8b,
    0xcf,
    0xe5,
    0x68,
    0x00, /* base timestamp */
    0,
    0,
    0x01,
    0x8b,
    0xcf,
    0xe5,
    0x68,
    0x00, /* max timestamp */
    0xff,
    0xff,
    0xff,
    0xff,
    0xff,
    0xff,
    0xff,
    0xff, /* producer id */
    0xff,
    0xff, /* producer epoch */
    0xff,
    0xff,
    0xff,
    0xff, /* base sequence */
    0,
    0,
    0,
    1, /* count */
    22 /* = zig-zag 11 */,
    0,
    0,
    0,
    2,
    'k',
    2,
    'v',
    2,
    2,
    'h',
    1,
};

static struct slice build(int n, uint16_t attributes)
{
    struct batch_builder b;
    struct record_header h[2] = {{STR_LIT("trace"), STR_LIT("abc")}, {STR_LIT("empty"), {NULL, 0}}};
    batch_begin(&b, attributes);
    for (int i = 0; i < n; i++) {
        char value[400];
        memset(value, 'a' + i % 26, sizeof value);
        struct str key = i % 3 == 0 ? (struct str){NULL, 0} : STR_LIT("key");
        struct str text =
            i % 5 == 4 ? (struct str){NULL, 0} : (struct str){value, (size_t)(i * 7 % 400)};
        batch_add(&b, T0 + (i * 37) % 100 - 50, key, text, h, (size_t)(i % 3));
    }
    return batch_end(&b);
}

static struct batch_head head_of(struct slice s)
{
    struct batch_head h;
    assert_int_equal(batch_head_read(s.at, s.len, &h), ERR_OK);
    return h;
}

static void golden_bytes(void **state)
{
    (void)state;
    uint8_t want[sizeof golden];
    memcpy(want, golden, sizeof golden);
    be32_put(want + 17, crc32c(0, want + 21, sizeof want - 21));
    be32_put(want + 8, sizeof want - 12);

    struct batch_builder b;
    struct record_header h = {STR_LIT("h"), {NULL, 0}};
    batch_begin(&b, 0);
    batch_add(&b, T0, STR_LIT("k"), STR_LIT("v"), &h, 1);
    assert_int_equal(batch_bytes(&b), sizeof want);
    struct slice s = batch_end(&b);
    assert_int_equal(s.len, sizeof want);
    assert_memory_equal(s.at, want, sizeof want);
    slice_unref(s);
}

static void round_trip(void **state)
{
    (void)state;
    struct slice s = build(50, 0);
    struct batch_head h = head_of(s);
    assert_int_equal(h.bytes, s.len);
    assert_int_equal(h.count, 50);
    assert_int_equal(batch_last_offset(&h), 49);
    assert_int_equal(batch_next_offset(&h), 50);
    assert_int_equal(h.base_timestamp, T0 - 50);
    assert_int_equal(h.producer_id, -1);
    assert_true(batch_crc_ok(s.at, &h));

    struct record_iter it;
    struct record r;
    struct record_header rh;
    int64_t max = INT64_MIN;
    record_iter_init(&it, &h, s.at + BATCH_HEAD_BYTES, s.len - BATCH_HEAD_BYTES);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(record_iter_next(&it, &r), ERR_OK);
        assert_int_equal(r.offset, i);
        assert_int_equal(r.timestamp, T0 + (i * 37) % 100 - 50);
        max = r.timestamp > max ? r.timestamp : max;
        assert_int_equal(r.key.at == NULL, i % 3 == 0);
        assert_int_equal(r.value.at == NULL, i % 5 == 4);
        if (r.value.at)
            assert_int_equal(r.value.len, i * 7 % 400);
        int n = 0;
        for (; record_header_next(&r, &rh); n++)
            assert_true(str_is(rh.key, n == 0 ? "trace" : "empty"));
        assert_int_equal(n, i % 3);
        assert_int_equal(n, r.headers);
    }
    assert_int_equal(record_iter_next(&it, &r), ERR_NOT_FOUND);
    assert_int_equal(h.max_timestamp, max);
    slice_unref(s);
}

static void rewrites(void **state)
{
    (void)state;
    struct slice s = build(3, 0);
    uint8_t *p = s.buf->data + (s.at - s.buf->data);
    struct batch_head h = head_of(s);
    uint32_t crc = h.crc;

    batch_set_offset(p, INT64_C(1) << 40);
    batch_set_leader_epoch(p, 7);
    h = head_of(s);
    assert_int_equal(h.base_offset, INT64_C(1) << 40);
    assert_int_equal(h.leader_epoch, 7);
    assert_int_equal(h.crc, crc);
    assert_true(batch_crc_ok(p, &h));

    batch_set_append_time(p, T0 + 9999);
    h = head_of(s);
    assert_int_equal(h.attributes, BATCH_APPEND_TIME);
    assert_int_equal(h.max_timestamp, T0 + 9999);
    assert_int_not_equal(h.crc, crc);
    assert_true(batch_crc_ok(p, &h));

    struct record_iter it;
    struct record r;
    record_iter_init(&it, &h, p + BATCH_HEAD_BYTES, s.len - BATCH_HEAD_BYTES);
    assert_int_equal(record_iter_next(&it, &r), ERR_OK);
    assert_int_equal(r.timestamp, T0 + 9999);
    assert_int_equal(r.offset, INT64_C(1) << 40);
    slice_unref(s);
}

static void producer_identity(void **state)
{
    (void)state;
    struct batch_builder b;
    batch_begin(&b, BATCH_TRANSACTIONAL);
    batch_add(&b, -1, STR_LIT(""), STR_LIT(""), NULL, 0);
    struct slice s = batch_end_producer(&b, 4711, 3, 17);
    struct batch_head h = head_of(s);
    assert_int_equal(h.producer_id, 4711);
    assert_int_equal(h.producer_epoch, 3);
    assert_int_equal(h.base_sequence, 17);
    assert_int_equal(h.attributes, BATCH_TRANSACTIONAL);
    assert_int_equal(h.max_timestamp, -1);
    slice_unref(s);
}

static void extreme_times(void **state)
{
    (void)state;
    const int64_t ts[] = {INT64_MAX, INT64_MIN, 0, -1};
    struct batch_builder b;
    batch_begin(&b, 0);
    for (int i = 0; i < 4; i++)
        batch_add(&b, ts[i], (struct str){NULL, 0}, (struct str){NULL, 0}, NULL, 0);
    struct slice s = batch_end(&b);
    struct batch_head h = head_of(s);
    struct record_iter it;
    struct record r;
    record_iter_init(&it, &h, s.at + BATCH_HEAD_BYTES, s.len - BATCH_HEAD_BYTES);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(record_iter_next(&it, &r), ERR_OK);
        assert_int_equal(r.timestamp, ts[i]);
    }
    slice_unref(s);
}

static void bad_heads(void **state)
{
    (void)state;
    struct slice s = build(2, 0);
    uint8_t *p = s.buf->data + (s.at - s.buf->data);
    struct batch_head h;

    for (size_t n = 0; n < BATCH_HEAD_BYTES; n++)
        assert_int_equal(batch_head_read(p, n, &h), ERR_CORRUPT);
    assert_int_equal(batch_head_read(p, BATCH_HEAD_BYTES, &h), ERR_OK);
    assert_int_equal(h.bytes, s.len);

    uint32_t length = be32_get(p + 8);
    be32_put(p + 8, 48);
    assert_int_equal(batch_head_read(p, s.len, &h), ERR_CORRUPT);
    be32_put(p + 8, 49);
    assert_int_equal(batch_head_read(p, s.len, &h), ERR_OK);
    be32_put(p + 8, 0x80000000u);
    assert_int_equal(batch_head_read(p, s.len, &h), ERR_CORRUPT);
    be32_put(p + 8, length);

    p[16] = 1;
    assert_int_equal(batch_head_read(p, s.len, &h), ERR_MESSAGE_FORMAT);
    p[16] = 2;
    batch_set_offset(p, INT64_MAX - 1);
    assert_int_equal(batch_head_read(p, s.len, &h), ERR_CORRUPT);
    batch_set_offset(p, INT64_MAX - 2);
    assert_int_equal(batch_head_read(p, s.len, &h), ERR_OK);
    be32_put(p + 23, 0xffffffffu);
    assert_int_equal(batch_head_read(p, s.len, &h), ERR_CORRUPT);
    slice_unref(s);
}

static void every_bit_counts(void **state)
{
    (void)state;
    struct slice s = build(4, 0);
    uint8_t *p = s.buf->data + (s.at - s.buf->data);
    struct batch_head h = head_of(s);
    for (size_t i = BATCH_CRC_FROM; i < s.len; i++) {
        p[i] ^= 0x10;
        assert_false(batch_crc_ok(p, &h));
        p[i] ^= 0x10;
    }
    assert_true(batch_crc_ok(p, &h));
    slice_unref(s);
}

/* Walks everything that the bytes may hold; the sanitizers watch. Returns how it ended. */
static enum err walk(const struct batch_head *h, const uint8_t *p, size_t n)
{
    struct record_iter it;
    struct record r;
    struct record_header rh;
    enum err err;
    record_iter_init(&it, h, p, n);
    while ((err = record_iter_next(&it, &r)) == ERR_OK)
        while (record_header_next(&r, &rh))
            ;
    return err;
}

static void bad_records(void **state)
{
    (void)state;
    struct slice s = build(6, 0);
    struct batch_head h = head_of(s);
    size_t n = s.len - BATCH_HEAD_BYTES;
    const uint8_t *records = s.at + BATCH_HEAD_BYTES;
    assert_int_equal(walk(&h, records, n), ERR_NOT_FOUND);

    for (size_t cut = 0; cut < n; cut++) { /* a copy, so that reading behind it is seen */
        uint8_t *copy = malloc(cut + 1);
        memcpy(copy, records, cut);
        assert_int_equal(walk(&h, copy, cut), ERR_RECORD_INVALID);
        free(copy);
    }
    h.count = 5; /* bytes left over */
    assert_int_equal(walk(&h, records, n), ERR_RECORD_INVALID);
    h.count = 7;
    assert_int_equal(walk(&h, records, n), ERR_RECORD_INVALID);
    h.count = -1;
    assert_int_equal(walk(&h, records, n), ERR_RECORD_INVALID);
    h.count = 6;
    h.last_offset_delta = 4; /* a record behind the last delta */
    assert_int_equal(walk(&h, records, n), ERR_RECORD_INVALID);
    slice_unref(s);
}

static void deltas_increase(void **state)
{
    (void)state;
    /* length 6, attributes, time delta, offset delta, null key, null value, no headers */
    uint8_t r[14] = {12, 0, 0, 0, 1, 1, 0, 12, 0, 0, 0, 1, 1, 0};
    struct batch_head h = {.count = 2, .last_offset_delta = 9};
    assert_int_equal(walk(&h, r, sizeof r), ERR_RECORD_INVALID); /* 0, 0 */
    r[10] = 18;
    assert_int_equal(walk(&h, r, sizeof r), ERR_NOT_FOUND); /* 0, 9: a gap, as compaction leaves */
    r[10] = 20;
    assert_int_equal(walk(&h, r, sizeof r), ERR_RECORD_INVALID); /* 10 */
    r[3] = 1;
    assert_int_equal(walk(&h, r, sizeof r), ERR_RECORD_INVALID); /* -1 */
}

static void every_byte_changed(void **state)
{
    (void)state;
    struct slice s = build(6, 0);
    struct batch_head h = head_of(s);
    size_t n = s.len - BATCH_HEAD_BYTES;
    uint8_t *copy = malloc(n);
    memcpy(copy, s.at + BATCH_HEAD_BYTES, n);
    for (size_t i = 0; i < n; i++)
        for (int v = 0; v < 256; v++) {
            uint8_t was = copy[i];
            copy[i] = (uint8_t)v;
            enum err err = walk(&h, copy, n);
            assert_true(err == ERR_NOT_FOUND || err == ERR_RECORD_INVALID);
            copy[i] = was;
        }
    free(copy);
    slice_unref(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_bytes),     cmocka_unit_test(round_trip),
        cmocka_unit_test(rewrites),         cmocka_unit_test(producer_identity),
        cmocka_unit_test(extreme_times),    cmocka_unit_test(bad_heads),
        cmocka_unit_test(every_bit_counts), cmocka_unit_test(bad_records),
        cmocka_unit_test(deltas_increase),  cmocka_unit_test(every_byte_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
