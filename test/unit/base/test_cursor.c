#include "base/cursor.h"

#include "base/random.h"

#include "../check.h"

#include <string.h>

static struct rd reader_of(const struct wr *w)
{
    struct rd r;
    rd_init(&r, w->buf->data, w->len);
    return r;
}

static void test_fixed_round_trip(void **state)
{
    (void)state;
    struct wr w;
    wr_init(&w, 0);
    wr_u8(&w, 0xfe);
    wr_i8(&w, -2);
    wr_i16(&w, -300);
    wr_u16(&w, 65000);
    wr_i32(&w, INT32_MIN);
    wr_u32(&w, UINT32_MAX - 1);
    wr_i64(&w, INT64_MIN);
    wr_u64(&w, UINT64_MAX - 1);
    wr_u32_le(&w, 0x01020304);
    wr_u64_le(&w, 0x0102030405060708);
    wr_bytes(&w, "xyz", 3);
    wr_bytes(&w, NULL, 0);
    assert_int_equal(w.len, 1 + 1 + 2 + 2 + 4 + 4 + 8 + 8 + 4 + 8 + 3);

    struct rd r = reader_of(&w);
    assert_int_equal(rd_u8(&r), 0xfe);
    assert_int_equal(rd_i8(&r), -2);
    assert_int_equal(rd_i16(&r), -300);
    assert_int_equal(rd_u16(&r), 65000);
    assert_int_equal(rd_i32(&r), INT32_MIN);
    assert_int_equal(rd_u32(&r), UINT32_MAX - 1);
    assert_int_equal(rd_i64(&r), INT64_MIN);
    assert_int_equal(rd_u64(&r), UINT64_MAX - 1);
    assert_int_equal(rd_u32_le(&r), 0x01020304);
    assert_int_equal(rd_u64_le(&r), 0x0102030405060708);
    assert_memory_equal(rd_bytes(&r, 3), "xyz", 3);
    assert_int_equal(rd_left(&r), 0);
    assert_non_null(rd_bytes(&r, 0));
    assert_false(r.bad);
    wr_free(&w);
    wr_free(&w);
}

static void test_byte_order(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8};
    struct rd r;
    rd_init(&r, bytes, 8);
    assert_int_equal(rd_u64(&r), 0x0102030405060708);
    rd_init(&r, bytes, 8);
    assert_int_equal(rd_u32_le(&r), 0x04030201);
    assert_int_equal(rd_u16(&r), 0x0506);
    assert_int_equal(be16_get(bytes), 0x0102);
    assert_int_equal(be32_get(bytes), 0x01020304);
    uint8_t out[8];
    be64_put(out, 0x0102030405060708);
    assert_memory_equal(out, bytes, 8);
    be32_put(out, 0x01020304);
    be16_put(out + 4, 0x0506);
    assert_memory_equal(out, bytes, 6);
}

static void test_error_sticks(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {1, 2, 3, 4, 5};
    struct rd r;
    rd_init(&r, bytes, sizeof(bytes));
    assert_int_equal(rd_u16(&r), 0x0102);
    assert_int_equal(rd_u32(&r), 0); /* three are left */
    assert_true(r.bad);
    assert_int_equal(rd_left(&r), 0);
    assert_int_equal(rd_u8(&r), 0);
    assert_int_equal(rd_uvarint(&r), 0);
    assert_int_equal(rd_varlong(&r), 0);
    assert_null(rd_bytes(&r, 0));
    rd_skip(&r, 0);
    assert_true(r.bad);
}

static void test_bytes_and_skip_bounds(void **state)
{
    (void)state;
    struct rd r;
    rd_init(&r, "abc", 3);
    rd_skip(&r, 2);
    assert_null(rd_bytes(&r, SIZE_MAX));
    assert_true(r.bad);
    rd_init(&r, "abc", 3);
    rd_skip(&r, 4);
    assert_true(r.bad);
    rd_init(&r, NULL, 0);
    assert_non_null(rd_bytes(&r, 0));
    assert_false(r.bad);
    assert_int_equal(rd_u8(&r), 0);
    assert_true(r.bad);
    rd_init(&r, "abc", 3);
    rd_fail(&r);
    assert_int_equal(rd_u8(&r), 0);
}

struct leb_case {
    const char *bytes;
    size_t n;
    uint64_t value;
    bool ok32, ok64;
};

static const struct leb_case leb_cases[] = {
    {"\x00", 1, 0, true, true},
    {"\x7f", 1, 127, true, true},
    {"\x80\x01", 2, 128, true, true},
    {"\xff\x7f", 2, 16383, true, true},
    {"\x80\x00", 2, 0, true, true},             /* padded, within the length */
    {"\x80\x80\x80\x80\x00", 5, 0, true, true}, /* padded to the end */
    {"\xff\xff\xff\xff\x0f", 5, UINT32_MAX, true, true},
    {"\xff\xff\xff\xff\x10", 5, 0x10fffffff, false, true}, /* bit 32 */
    {"\xff\xff\xff\xff\x7f", 5, 0x7ffffffff, false, true},
    {"\x80\x80\x80\x80\x80\x00", 6, 0, false, true}, /* six bytes */
    {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, UINT64_MAX, false, true},
    {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, 0, false, false}, /* bit 64 */
    {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 11, 0, false, false},
    {"", 0, 0, false, false},
    {"\x80", 1, 0, false, false},
    {"\xff\xff\xff\xff", 4, 0, false, false},
    {"\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9, 0, false, false},
};

static void test_leb128_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(leb_cases) / sizeof(leb_cases[0]); i++) {
        const struct leb_case *c = &leb_cases[i];
        struct rd r;
        rd_init(&r, c->bytes, c->n);
        assert_int_equal(rd_uvarint(&r), c->ok32 ? c->value : 0);
        assert_int_equal(r.bad, !c->ok32);
        assert_int_equal(rd_left(&r), 0);
        rd_init(&r, c->bytes, c->n);
        assert_int_equal(rd_uvarlong(&r), c->ok64 ? c->value : 0);
        assert_int_equal(r.bad, !c->ok64);
    }
}

static void test_zigzag(void **state)
{
    (void)state;
    static const int64_t values[] = {0, -1, 1, -2, 63, -64, 64, INT32_MAX, INT32_MIN};
    static const size_t sizes[] = {1, 1, 1, 1, 1, 1, 2, 5, 5};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct wr w;
        wr_init(&w, 0);
        wr_varint(&w, (int32_t)values[i]);
        assert_int_equal(w.len, sizes[i]);
        wr_varlong(&w, values[i]);
        assert_int_equal(w.len, 2 * sizes[i]);
        struct rd r = reader_of(&w);
        assert_int_equal(rd_varint(&r), values[i]);
        assert_int_equal(rd_varlong(&r), values[i]);
        assert_false(r.bad);
        wr_free(&w);
    }
}

/* Values of every width, and every truncation of what was written. */
static void test_varint_random(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 6);
    for (int i = 0; i < 3000; i++) {
        uint64_t v = rng_next(&rng) >> rng_below(&rng, 64);
        struct wr w;
        wr_init(&w, 0);
        wr_varlong(&w, (int64_t)v);
        wr_uvarlong(&w, v);
        wr_uvarint(&w, (uint32_t)v);
        wr_varint(&w, (int32_t)v);
        struct rd r = reader_of(&w);
        assert_int_equal(rd_varlong(&r), (int64_t)v);
        assert_int_equal(rd_uvarlong(&r), v);
        assert_int_equal(rd_uvarint(&r), (uint32_t)v);
        assert_int_equal(rd_varint(&r), (int32_t)v);
        assert_false(r.bad);
        for (size_t n = 0; n < w.len; n++) {
            rd_init(&r, w.buf->data, n);
            rd_varlong(&r);
            rd_uvarlong(&r);
            rd_uvarint(&r);
            rd_varint(&r);
            assert_true(r.bad);
        }
        wr_free(&w);
    }
}

static void test_growth_keeps_bytes(void **state)
{
    (void)state;
    struct wr w;
    wr_init(&w, 3);
    for (uint32_t i = 0; i < 50000; i++)
        wr_u32(&w, i);
    assert_true(w.buf->cap < 2 * w.len + 64);
    memset(wr_room(&w, 1000000), 7, 1000000);
    struct rd r = reader_of(&w);
    for (uint32_t i = 0; i < 50000; i++)
        assert_int_equal(rd_u32(&r), i);
    assert_int_equal(rd_left(&r), 1000000);
    wr_free(&w);
}

static void patch_outside(void *arg)
{
    wr_patch_i32(arg, 5, 1);
}

static void test_patch_and_take(void **state)
{
    (void)state;
    struct wr w;
    wr_init(&w, 16);
    wr_i32(&w, 0);
    wr_i32(&w, 0);
    wr_i64(&w, 0);
    wr_patch_i32(&w, 0, -5);
    wr_patch_u32(&w, 4, 0xdeadbeef);
    wr_patch_i64(&w, 8, -6);
    struct slice s = wr_take(&w);
    assert_null(w.buf);
    assert_int_equal(s.len, 16);
    struct rd r;
    rd_init(&r, s.at, s.len);
    assert_int_equal(rd_i32(&r), -5);
    assert_int_equal(rd_u32(&r), 0xdeadbeef);
    assert_int_equal(rd_i64(&r), -6);
    slice_unref(s);

    struct slice none = wr_take(&w);
    assert_int_equal(none.len, 0);
    assert_non_null(none.at);
    slice_unref(none);

    wr_u64(&w, 0);
    check_aborts(patch_outside, &w);
    wr_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixed_round_trip), cmocka_unit_test(test_byte_order),
        cmocka_unit_test(test_error_sticks),     cmocka_unit_test(test_bytes_and_skip_bounds),
        cmocka_unit_test(test_leb128_table),     cmocka_unit_test(test_zigzag),
        cmocka_unit_test(test_varint_random),    cmocka_unit_test(test_growth_keeps_bytes),
        cmocka_unit_test(test_patch_and_take),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
