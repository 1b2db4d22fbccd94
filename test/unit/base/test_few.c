#include "base/few.h"

#include "../check.h"

static void the_first_of_each_second(void **state)
{
    struct few f = {0};
    uint32_t left = 9;
    (void)state;
    uint64_t now = 5000000;
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(few_take(&f, now + i, 3, &left), i < 3);
        assert_int_equal(left, 0);
    }
    assert_false(few_take(&f, now + 999999, 3, &left));
    assert_true(few_take(&f, now + 1000000, 3, &left));
    assert_int_equal(left, 8); /* told once */
    assert_true(few_take(&f, now + 1000001, 3, &left));
    assert_int_equal(left, 0);
    assert_true(few_take(&f, now + 3000000, 3, &left));
    assert_int_equal(left, 0); /* none was left out */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_of_each_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
