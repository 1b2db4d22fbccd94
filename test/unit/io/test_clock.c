#include "io/clock.h"

#include "../check.h"

static void test_format(void **state)
{
    (void)state;
    char out[25];
    clock_format_utc(0, out);
    assert_string_equal(out, "1970-01-01T00:00:00.000Z");
    clock_format_utc(UINT64_C(951782399999), out);
    assert_string_equal(out, "2000-02-28T23:59:59.999Z");
    clock_format_utc(UINT64_C(951782400000), out);
    assert_string_equal(out, "2000-02-29T00:00:00.000Z");
    clock_format_utc(UINT64_C(253402300799999), out);
    assert_string_equal(out, "9999-12-31T23:59:59.999Z");
    clock_format_utc(UINT64_MAX, out);
    assert_string_equal(out, "9999-12-31T23:59:59.999Z");
}

static void test_clocks_advance(void **state)
{
    (void)state;
    uint64_t mono = clock_mono_us(), cpu = clock_cpu_us();
    assert_true(clock_wall_ms() > UINT64_C(1700000000000));
    assert_true(clock_wall_us() / 1000 >= clock_wall_ms() - 1000);
    volatile unsigned work = 0;
    while (clock_mono_us() < mono + 2000)
        work = work + 1;
    assert_true(clock_cpu_us() > cpu);
}

static void test_sleep_until(void **state)
{
    (void)state;
    uint64_t until = clock_mono_us() + 3000;
    clock_sleep_until_us(until);
    assert_true(clock_mono_us() >= until);
    clock_sleep_until_us(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_clocks_advance),
        cmocka_unit_test(test_sleep_until),
    };
    return cmocka_run_group_tests_name("io/clock", tests, NULL, NULL);
}
