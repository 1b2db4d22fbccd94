/* When records became visible: found as long as the reactor remembers, and never guessed. */
#include "../check.h"

#include "broker/visible.h"

#include <string.h>

static const struct uuid orders = {{1}}, others = {{2}};
static struct visible v;

static int setup(void **state)
{
    (void)state;
    memset(&v, 0, sizeof v);
    return 0;
}

static uint64_t find(int64_t offset)
{
    return visible_find(&v, &orders, 1, offset);
}

static void test_the_move_that_showed_it(void **state)
{
    (void)state;
    assert_int_equal(find(0), 0);
    visible_note(&v, &orders, 1, 10, 100);
    visible_note(&v, &others, 1, 50, 150); /* of another topic, and another partition */
    visible_note(&v, &orders, 0, 50, 160);
    visible_note(&v, &orders, 1, 12, 200);
    assert_int_equal(find(9), 100);
    assert_int_equal(find(10), 200);
    assert_int_equal(find(11), 200);
    assert_int_equal(find(12), 0); /* not visible yet */
    assert_int_equal(visible_find(&v, &orders, 0, 0), 160);
}

static void test_only_what_is_sure(void **state)
{
    (void)state;
    for (unsigned i = 0; i < VISIBLE_MOVES + 3; i++)
        visible_note(&v, &orders, 1, i + 1, 1000 + i);
    assert_int_equal(find(VISIBLE_MOVES + 2), 1000 + VISIBLE_MOVES + 2);
    assert_int_equal(find(4), 1004);
    assert_int_equal(find(3), 0); /* the oldest move may have shown more than it */
    assert_int_equal(find(0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_the_move_that_showed_it, setup),
        cmocka_unit_test_setup(test_only_what_is_sure, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
