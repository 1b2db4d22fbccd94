#include "base/assert.h"

#include "../check.h"

struct thing {
    unsigned magic;
};

static void fail_plain(void *arg)
{
    weir_assert(arg == NULL);
}

static void reach_unreachable(void *arg)
{
    (void)arg;
    weir_unreachable();
}

static void check_magic(void *arg)
{
    struct thing *t = arg;
    weir_check(t, 7u);
}

static void test_true_goes_on(void **state)
{
    (void)state;
    int evaluated = 0;
    weir_assert(++evaluated == 1);
    assert_int_equal(evaluated, 1);
    struct thing t = {7};
    weir_check(&t, 7u);
}

static void test_false_aborts(void **state)
{
    (void)state;
    int x = 0;
    check_aborts(fail_plain, &x);
    check_aborts(reach_unreachable, NULL);
    struct thing stale = {8};
    check_aborts(check_magic, &stale);
    check_aborts(check_magic, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_true_goes_on),
        cmocka_unit_test(test_false_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
