#include "cli/bench_hist.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct bench_hist hist;

static int empty(void **state)
{
    (void)state;
    memset(&hist, 0, sizeof hist);
    return 0;
}

static void test_nothing_recorded(void **state)
{
    (void)state;
    assert_int_equal(bench_hist_percentile_us(&hist, 50), 0);
    assert_true(bench_hist_mean_us(&hist) == 0);
}

static void test_small_values_are_exact(void **state)
{
    (void)state;
    for (uint64_t us = 1; us <= 100; us++)
        bench_hist_add(&hist, us);
    assert_int_equal(bench_hist_percentile_us(&hist, 0), 1);
    assert_int_equal(bench_hist_percentile_us(&hist, 1), 1);
    assert_int_equal(bench_hist_percentile_us(&hist, 50), 50);
    assert_int_equal(bench_hist_percentile_us(&hist, 99), 99);
    assert_int_equal(bench_hist_percentile_us(&hist, 99.5), 100);
    assert_int_equal(bench_hist_percentile_us(&hist, 100), 100);
    assert_true(bench_hist_mean_us(&hist) == 50.5);
}

/* Recorded among longer ones, each value comes back at most 1/128 too high and never too low. */
static void test_relative_error_is_bounded(void **state)
{
    (void)state;
    for (uint64_t us = 1; us < UINT64_C(1) << 39; us += us / 7 + 1) {
        memset(&hist, 0, sizeof hist);
        bench_hist_add(&hist, us);
        bench_hist_add(&hist, UINT64_C(1) << 39);
        uint64_t got = bench_hist_percentile_us(&hist, 50);
        assert_true(got >= us);
        assert_true(got - us <= us / 128);
    }
}

static void test_percentile_never_exceeds_the_maximum(void **state)
{
    (void)state;
    bench_hist_add(&hist, 100000);
    assert_int_equal(bench_hist_percentile_us(&hist, 99.9), 100000);
    assert_int_equal(hist.max_us, 100000);
}

static void test_too_long_counts_as_longest(void **state)
{
    (void)state;
    bench_hist_add(&hist, UINT64_MAX);
    assert_int_equal(hist.count, 1);
    assert_int_equal(bench_hist_percentile_us(&hist, 50), (UINT64_C(1) << BENCH_HIST_BITS) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_nothing_recorded, empty),
        cmocka_unit_test_setup(test_small_values_are_exact, empty),
        cmocka_unit_test_setup(test_relative_error_is_bounded, empty),
        cmocka_unit_test_setup(test_percentile_never_exceeds_the_maximum, empty),
        cmocka_unit_test_setup(test_too_long_counts_as_longest, empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
