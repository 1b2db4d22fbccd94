#include "base/secret.h"

#include "../check.h"

static void equal_means_every_byte(void **state)
{
    const char a[] = "0123456789", b[] = "0123456789";
    (void)state;
    assert_true(secret_eq(a, b, 10));
    assert_true(secret_eq(a, "", 0));
    for (size_t i = 0; i < 10; i++) {
        char c[] = "0123456789";
        c[i] ^= 0x40;
        assert_false(secret_eq(a, c, 10));
        assert_true(secret_eq(a, c, i));
    }
}

static void clear_leaves_zeros(void **state)
{
    char a[] = "secret";
    (void)state;
    secret_clear(a, 5);
    assert_memory_equal(a, "\0\0\0\0\0t", 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_means_every_byte),
        cmocka_unit_test(clear_leaves_zeros),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
