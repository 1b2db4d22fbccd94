#include "base/mem.h"

#include "../check.h"

#include <string.h>

static jmp_buf failed;

static void on_fail(void)
{
    longjmp(failed, 1);
}

static void test_sizes(void **state)
{
    (void)state;
    void *empty = mem_alloc(0);
    assert_non_null(empty);
    mem_free(empty);
    mem_free(NULL);

    unsigned char *z = mem_zalloc(7, 9);
    for (size_t i = 0; i < 63; i++)
        assert_int_equal(z[i], 0);
    z = mem_realloc(z, 1000);
    assert_int_equal(z[62], 0);
    mem_free(z);
    void *none = mem_zalloc(0, 8);
    assert_non_null(none);
    mem_free(none);
}

static void test_copies(void **state)
{
    (void)state;
    char *a = mem_strdup("weir");
    char *b = mem_strndup("weir", 2);
    char *c = mem_strndup(NULL, 0);
    assert_string_equal(a, "weir");
    assert_string_equal(b, "we");
    assert_string_equal(c, "");
    mem_free(a);
    mem_free(b);
    mem_free(c);
}

static void test_try_fails_on_the_nth(void **state)
{
    (void)state;
    mem_fail_after(3, on_fail);
    void *a = mem_try(1), *b = mem_try(1), *c = mem_try(1), *d = mem_try(1);
    assert_non_null(a);
    assert_non_null(b);
    assert_null(c);
    assert_non_null(d);
    mem_free(a);
    mem_free(b);
    mem_free(d);
}

static void test_countdown_can_be_stopped(void **state)
{
    (void)state;
    mem_fail_after(1, on_fail);
    mem_fail_after(0, NULL);
    void *a = mem_try(1);
    assert_non_null(a);
    mem_free(a);
}

/* Each of the functions that never return NULL calls the hook instead. */
static void test_alloc_calls_the_hook(void **state)
{
    (void)state;
    for (volatile int which = 0; which < 4; which++) {
        mem_fail_after(1, on_fail);
        if (setjmp(failed) == 0) {
            if (which == 0)
                mem_alloc(1);
            else if (which == 1)
                mem_zalloc(1, 1);
            else if (which == 2)
                mem_realloc(NULL, 1);
            else
                mem_strdup("x");
            fail_msg("allocation %d went through", which);
        }
    }
    mem_fail_after(0, NULL);
}

static void fail_without_hook(void *arg)
{
    (void)arg;
    mem_fail_after(1, NULL);
    mem_alloc(1);
}

static void overflow(void *arg)
{
    size_t *count = arg;
    mem_zalloc(*count, 16);
}

static void test_no_memory_stops_in_order(void **state)
{
    (void)state;
    int status = check_child_status(fail_without_hook, NULL);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 71);
    size_t count = SIZE_MAX / 8;
    assert_int_not_equal(check_child_status(overflow, &count), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_try_fails_on_the_nth),
        cmocka_unit_test(test_countdown_can_be_stopped),
        cmocka_unit_test(test_alloc_calls_the_hook),
        cmocka_unit_test(test_no_memory_stops_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
