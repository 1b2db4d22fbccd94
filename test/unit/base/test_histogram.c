#include "../check.h"

#include "base/histogram.h"

static void test_buckets(void **state)
{
    struct histogram h = {{0}, 0};
    (void)state;
    histogram_add(&h, 0);
    histogram_add(&h, 100); /* a bound belongs to its bucket */
    histogram_add(&h, 101);
    histogram_add(&h, 60000000);
    histogram_add(&h, 60000001);
    assert_int_equal(h.n[0], 2);
    assert_int_equal(h.n[1], 1);
    assert_int_equal(h.n[HISTOGRAM_BOUNDS - 1], 1);
    assert_int_equal(h.n[HISTOGRAM_BOUNDS], 1);
    assert_int_equal(histogram_count(&h), 5);
    assert_int_equal(h.sum_us, 120000202);
    for (unsigned i = 1; i < HISTOGRAM_BOUNDS; i++)
        assert_true(histogram_bounds_us[i - 1] < histogram_bounds_us[i]);
}

static void test_merge(void **state)
{
    struct histogram a = {{0}, 0}, b = {{0}, 0};
    (void)state;
    histogram_add(&a, 5);
    histogram_add(&b, 7);
    histogram_add(&b, 2000);
    histogram_merge(&a, &b);
    assert_int_equal(a.n[0], 2);
    assert_int_equal(histogram_count(&a), 3);
    assert_int_equal(a.sum_us, 2012);
    assert_int_equal(histogram_count(&b), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_buckets),
                                       cmocka_unit_test(test_merge)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
