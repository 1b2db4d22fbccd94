#include "base/crc32c.h"

#include "base/mem.h"
#include "base/random.h"

#include "../check.h"

#include <string.h>

typedef uint32_t crc_fn(uint32_t crc, const void *p, size_t n);

static void check_vectors(crc_fn *fn)
{
    uint8_t b[32];
    assert_int_equal(fn(0, NULL, 0), 0);
    assert_int_equal(fn(0, "123456789", 9), 0xe3069283);
    /* RFC 3720, B.4 */
    memset(b, 0, sizeof(b));
    assert_int_equal(fn(0, b, sizeof(b)), 0x8a9136aa);
    memset(b, 0xff, sizeof(b));
    assert_int_equal(fn(0, b, sizeof(b)), 0x62a8ab43);
    for (uint8_t i = 0; i < 32; i++)
        b[i] = i;
    assert_int_equal(fn(0, b, sizeof(b)), 0x46dd794e);
    for (uint8_t i = 0; i < 32; i++)
        b[i] = (uint8_t)(31 - i);
    assert_int_equal(fn(0, b, sizeof(b)), 0x113fdb5c);
    static const uint8_t iscsi_read[48] = {
        0x01, 0xc0, 0, 0,    0, 0, 0, 0,    0,    0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 0x04, 0,
        0,    0,    0, 0x14, 0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0,    0,
    };
    assert_int_equal(fn(0, iscsi_read, sizeof(iscsi_read)), 0xd9963a56);
}

static void test_vectors(void **state)
{
    (void)state;
    check_vectors(crc32c);
    check_vectors(crc32c_soft);
}

/* The definition, a bit at a time: the two versions share their tables' generator. */
static uint32_t crc_by_bits(uint32_t crc, const uint8_t *p, size_t n)
{
    crc = ~crc;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

static void test_soft_against_definition(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 2);
    uint8_t b[300];
    rng_fill(&rng, b, sizeof(b));
    for (size_t n = 0; n < sizeof(b); n++)
        assert_int_equal(crc32c_soft((uint32_t)n, b, n), crc_by_bits((uint32_t)n, b, n));
}

#define SIZE 40000

static void test_every_short_length(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 3);
    uint8_t *b = mem_alloc(SIZE);
    rng_fill(&rng, b, SIZE);
    for (size_t n = 0; n < 14000; n += n < 2000 ? 1 : 7)
        assert_int_equal(crc32c(0, b, n), crc32c_soft(0, b, n));
    mem_free(b);
}

static void test_random_lengths_and_alignments(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 4);
    uint8_t *b = mem_alloc(SIZE);
    rng_fill(&rng, b, SIZE);
    for (int i = 0; i < 2000; i++) {
        size_t from = rng_below(&rng, 64);
        size_t n = rng_below(&rng, SIZE - from);
        uint32_t crc = (uint32_t)rng_next(&rng);
        assert_int_equal(crc32c(crc, b + from, n), crc32c_soft(crc, b + from, n));
    }
    mem_free(b);
}

static void test_continues(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 5);
    uint8_t *b = mem_alloc(SIZE);
    rng_fill(&rng, b, SIZE);
    uint32_t whole = crc32c(0, b, SIZE);
    for (int i = 0; i < 200; i++) {
        size_t cut = rng_below(&rng, SIZE);
        assert_int_equal(crc32c(crc32c(0, b, cut), b + cut, SIZE - cut), whole);
    }
    mem_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_soft_against_definition),
        cmocka_unit_test(test_every_short_length),
        cmocka_unit_test(test_random_lengths_and_alignments),
        cmocka_unit_test(test_continues),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
