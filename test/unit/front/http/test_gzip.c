/* gzip bodies: both ways, members in a row, bombs, and what is cut off. */
#include "front/http/gzip.h"

#include "base/mem.h"

#include "../../check.h"

#include <string.h>

static struct slice pack(const void *p, size_t n)
{
    struct chunkq q;
    chunkq_init(&q);
    chunkq_add_copy(&q, p, n / 2);
    chunkq_add_copy(&q, (const char *)p + n / 2, n - n / 2);
    struct slice out = gzip_deflate(&q);
    chunkq_clear(&q);
    assert_non_null(out.buf);
    return out;
}

static void what_is_packed_is_unpacked(void **state)
{
    static uint8_t text[200000];
    struct slice packed, plain;
    (void)state;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)(97 + i % 7 + i / 1000 % 3);
    packed = pack(text, sizeof text);
    assert_true(packed.len < sizeof text / 10);
    assert_int_equal(gzip_inflate(packed, sizeof text, &plain), ERR_OK);
    assert_int_equal(plain.len, sizeof text);
    assert_memory_equal(plain.at, text, sizeof text);
    slice_unref(plain);
    assert_int_equal(gzip_inflate(packed, sizeof text - 1, &plain), ERR_MESSAGE_TOO_LARGE);
    assert_null(plain.buf);
    for (size_t n = 0; n < packed.len; n += 7) {
        struct slice part = slice_sub(packed, 0, n);
        assert_int_equal(gzip_inflate(part, sizeof text, &plain), ERR_FRAME);
        assert_null(plain.buf);
    }
    slice_unref(packed);
}

static void members_are_one_body(void **state)
{
    static const char a[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    struct slice packed = pack(a, 60), plain;
    uint8_t twice[400];
    (void)state;
    memcpy(twice, packed.at, packed.len);
    memcpy(twice + packed.len, packed.at, packed.len);
    assert_int_equal(gzip_inflate((struct slice){NULL, twice, 2 * packed.len}, 120, &plain),
                     ERR_OK);
    assert_int_equal(plain.len, 120);
    slice_unref(plain);
    assert_int_equal(gzip_inflate((struct slice){NULL, twice, 2 * packed.len}, 119, &plain),
                     ERR_MESSAGE_TOO_LARGE);
    twice[2 * packed.len] = 'x';
    assert_int_equal(gzip_inflate((struct slice){NULL, twice, 2 * packed.len + 1}, 500, &plain),
                     ERR_FRAME);
    slice_unref(packed);
}

static void other_bytes_are_refused(void **state)
{
    struct slice plain;
    (void)state;
    assert_int_equal(gzip_inflate((struct slice){NULL, (const uint8_t *)"hello", 5}, 100, &plain),
                     ERR_FRAME);
    assert_int_equal(gzip_inflate((struct slice){0}, 100, &plain), ERR_FRAME);
}

/* 100 MB of zeros in 100 kB: no more is unpacked than is allowed. */
static void a_bomb_stops_at_the_bound(void **state)
{
    size_t n = (size_t)100 << 20;
    void *zeros = mem_zalloc(1, n);
    struct slice packed = pack(zeros, n), plain;
    (void)state;
    mem_free(zeros);
    assert_int_equal(gzip_inflate(packed, 1 << 20, &plain), ERR_MESSAGE_TOO_LARGE);
    slice_unref(packed);
}

static void what_does_not_shrink_stays(void **state)
{
    struct chunkq q;
    (void)state;
    chunkq_init(&q);
    chunkq_add_copy(&q, "x7!q", 4);
    assert_null(gzip_deflate(&q).buf);
    chunkq_clear(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_packed_is_unpacked), cmocka_unit_test(members_are_one_body),
        cmocka_unit_test(other_bytes_are_refused),    cmocka_unit_test(a_bomb_stops_at_the_bound),
        cmocka_unit_test(what_does_not_shrink_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
