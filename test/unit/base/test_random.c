#include "base/random.h"

#include "../check.h"

#include <string.h>

/* The reference implementation's first numbers from the state 1, 2, 3, 4. */
static void test_known_numbers(void **state)
{
    (void)state;
    struct rng r = {{1, 2, 3, 4}};
    assert_int_equal(rng_next(&r), 11520);
    assert_int_equal(rng_next(&r), 0);
    assert_int_equal(rng_next(&r), 1509978240);
    assert_int_equal(rng_next(&r), 1215971899390074240);
}

/* splitmix64's published numbers for this seed. */
static void test_seed(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 1234567);
    assert_int_equal(r.s[0], 6457827717110365317u);
    assert_int_equal(r.s[1], 3203168211198807973u);
    assert_int_equal(r.s[2], 9817491932198370423u);
    assert_int_equal(r.s[3], 4593380528125082431u);
}

static void test_below_is_uniform(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 10);
    unsigned counts[7] = {0};
    for (int i = 0; i < 70000; i++)
        counts[rng_below(&r, 7)]++;
    for (int i = 0; i < 7; i++)
        assert_in_range(counts[i], 9400, 10600);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(rng_below(&r, 1), 0);
        assert_true(rng_below(&r, UINT64_MAX) < UINT64_MAX);
        assert_true(rng_below(&r, (1ull << 63) + 1) <= 1ull << 63);
    }
}

static void test_fill_is_the_same_stream(void **state)
{
    (void)state;
    struct rng a, b;
    rng_seed(&a, 11);
    rng_seed(&b, 11);
    uint8_t bytes[20] = {0};
    rng_fill(&a, bytes, 19);
    assert_int_equal(bytes[19], 0);
    for (int i = 0; i < 2; i++) {
        uint64_t v = rng_next(&b);
        assert_memory_equal(bytes + 8 * i, &v, 8);
    }
    rng_next(&b);
    assert_int_equal(rng_next(&a), rng_next(&b));
    rng_fill(&a, NULL, 0);
    assert_int_equal(rng_next(&a), rng_next(&b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_numbers),
        cmocka_unit_test(test_seed),
        cmocka_unit_test(test_below_is_uniform),
        cmocka_unit_test(test_fill_is_the_same_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
