#include "base/arena.h"

#include "base/mem.h"
#include "base/random.h"

#include "../check.h"

#include <string.h>

static void test_aligned_and_apart(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    uint8_t *p[500];
    for (size_t i = 0; i < 500; i++) {
        p[i] = arena_alloc(&a, i);
        assert_non_null(p[i]);
        assert_int_equal((uintptr_t)p[i] % 16, 0);
        memset(p[i], (int)i, i);
    }
    for (size_t i = 0; i < 500; i++) {
        for (size_t k = 0; k < i; k++)
            assert_int_equal(p[i][k], (uint8_t)i);
    }
    arena_free(&a);
}

static void test_copies(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 16);
    assert_string_equal(arena_strndup(&a, "abcdef", 3), "abc");
    assert_string_equal(arena_strndup(&a, NULL, 0), "");
    assert_memory_equal(arena_copy(&a, "xyz", 3), "xyz", 3);
    assert_non_null(arena_copy(&a, NULL, 0));
    memset(arena_alloc(&a, 4096), 0xff, 4096);
    arena_reset(&a);
    uint8_t *z = arena_zalloc(&a, 64, 64);
    for (size_t i = 0; i < 4096; i++)
        assert_int_equal(z[i], 0);
    arena_free(&a);
}

static void test_limit(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1000);
    assert_null(arena_alloc(&a, 1001));
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_alloc(&a, SIZE_MAX - 20));
    assert_null(arena_zalloc(&a, SIZE_MAX / 2, 3));
    assert_null(arena_strndup(&a, "", SIZE_MAX));
    assert_int_equal(a.used, 0);
    assert_non_null(arena_alloc(&a, 900));
    assert_null(arena_alloc(&a, 100)); /* 912 are used, 112 would be */
    assert_non_null(arena_alloc(&a, 80));
    assert_int_equal(a.used, 992);
    assert_null(arena_alloc(&a, 1));
    arena_reset(&a);
    assert_int_equal(a.used, 0);
    assert_non_null(arena_alloc(&a, 900));
    arena_free(&a);
}

static void test_reset_keeps_only_a_small_block(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, SIZE_MAX);
    void *first = arena_alloc(&a, 100);
    arena_alloc(&a, 3 << 20);
    arena_alloc(&a, 100);
    arena_reset(&a);
    assert_ptr_equal(arena_alloc(&a, 100), first);
    assert_ptr_equal(a.first, a.last);
    arena_free(&a);
    assert_null(a.first);

    arena_alloc(&a, 3 << 20);
    arena_reset(&a);
    assert_null(a.first);
    arena_reset(&a);
    arena_free(&a);
}

static void test_small(void **state)
{
    (void)state;
    struct arena a;
    arena_init_small(&a, 4096, 512);
    assert_non_null(arena_alloc(&a, 500));
    struct arena_block *first = a.first;
    assert_non_null(arena_alloc(&a, 500)); /* a second block */
    assert_ptr_not_equal(a.last, first);
    arena_reset(&a);
    assert_ptr_equal(a.first, first);
    arena_free(&a);
    assert_non_null(arena_alloc(&a, 600)); /* of its own size, and not kept */
    arena_reset(&a);
    assert_null(a.first);
    assert_non_null(arena_alloc(&a, 4096));
    assert_null(arena_alloc(&a, 1));
    arena_free(&a);
}

static void test_no_memory(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, SIZE_MAX);
    mem_fail_after(1, NULL);
    assert_null(arena_alloc(&a, 10));
    assert_non_null(arena_alloc(&a, 10));
    mem_fail_after(1, NULL);
    assert_null(arena_alloc(&a, 100000));
    assert_int_equal(a.used, 16);
    assert_non_null(arena_alloc(&a, 100000));
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aligned_and_apart),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_reset_keeps_only_a_small_block),
        cmocka_unit_test(test_small),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
