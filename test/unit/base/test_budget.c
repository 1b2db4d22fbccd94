#include "../check.h"

#include "base/budget.h"

static unsigned eased;

static void on_eased(void *arg)
{
    assert_false(budget_tight(arg));
    eased++;
}

static void test_a_share_grows_by_doubling(void **state)
{
    struct budget b = {.max = 1000, .free = 10};
    struct budget_share s = {.of = &b};
    (void)state;
    assert_true(budget_share_grow(&s, 0));
    assert_true(budget_share_grow(&s, 10));
    assert_int_equal(atomic_load(&b.held), 0);
    assert_true(budget_share_grow(&s, 11));
    assert_int_equal(atomic_load(&b.held), 10);
    assert_true(budget_share_grow(&s, 81));
    assert_int_equal(atomic_load(&b.held), 150);
    assert_true(budget_share_grow(&s, 160));
    assert_int_equal(s.held, 150);
    budget_share_drop(&s);
    budget_share_drop(&s);
    assert_int_equal(s.held, 0);
    assert_int_equal(atomic_load(&b.held), 0);
}

static void test_the_ceiling(void **state)
{
    struct budget b = {.max = 100, .free = 10};
    struct budget_share one = {.of = &b}, other = {.of = &b};
    (void)state;
    assert_true(budget_share_grow(&one, 80)); /* 70 beyond the free ones */
    assert_true(budget_share_grow(&other, 40));
    assert_int_equal(atomic_load(&b.held), 100);
    assert_false(budget_share_grow(&other, 41));
    assert_false(budget_share_grow(&one, SIZE_MAX));
    assert_int_equal(other.held, 30);
    assert_true(budget_share_grow(&other, 40));
    budget_share_claim(&other, 41); /* it is there already */
    assert_int_equal(atomic_load(&b.held), 140);
    assert_false(budget_share_grow(&one, 81));
    budget_share_drop(&other);
    budget_share_drop(&one);
    assert_int_equal(atomic_load(&b.held), 0);
}

static void test_eased_is_told_once(void **state)
{
    struct budget b = {.max = 100, .free = 10, .eased = on_eased, .arg = &b};
    struct budget_share s[3] = {{.of = &b}, {.of = &b}, {.of = &b}};
    (void)state;
    eased = 0;
    assert_true(budget_share_grow(&s[0], 40));
    assert_false(budget_tight(&b));
    assert_true(budget_share_grow(&s[1], 40));
    assert_true(budget_share_grow(&s[2], 40));
    assert_true(budget_tight(&b));
    budget_share_drop(&s[0]);
    assert_int_equal(eased, 0); /* 60 are held */
    budget_share_drop(&s[1]);
    assert_int_equal(eased, 1);
    budget_share_drop(&s[2]);
    assert_int_equal(eased, 1);
}

static void test_a_share_of_nothing(void **state)
{
    struct budget_share s = {.of = NULL};
    (void)state;
    assert_true(budget_share_grow(&s, SIZE_MAX));
    budget_share_claim(&s, SIZE_MAX);
    budget_share_drop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_share_grows_by_doubling),
        cmocka_unit_test(test_the_ceiling),
        cmocka_unit_test(test_eased_is_told_once),
        cmocka_unit_test(test_a_share_of_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
