#include "base/buf.h"

#include "base/mem.h"

#include "../check.h"

#include <pthread.h>
#include <string.h>

static void test_copy_and_count(void **state)
{
    (void)state;
    struct buf *b = buf_copy("abc", 3);
    assert_int_equal(b->cap, 3);
    assert_memory_equal(b->data, "abc", 3);
    assert_ptr_equal(buf_ref(b), b);
    assert_int_equal(atomic_load(&b->refs), 2);
    buf_unref(b);
    assert_int_equal(atomic_load(&b->refs), 1);
    buf_unref(b);
    buf_unref(NULL);
}

static void test_try(void **state)
{
    (void)state;
    assert_null(buf_try(SIZE_MAX));
    assert_null(buf_try(SIZE_MAX - sizeof(struct buf) + 1));
    mem_fail_after(1, NULL);
    assert_null(buf_try(10));
    struct buf *b = buf_try(10);
    assert_non_null(b);
    memset(b->data, 1, 10);
    buf_unref(b);
}

static void test_resize_keeps_bytes(void **state)
{
    (void)state;
    struct buf *b = buf_copy("abc", 3);
    b = buf_resize(b, 100000);
    assert_int_equal(b->cap, 100000);
    assert_memory_equal(b->data, "abc", 3);
    b = buf_resize(b, 2);
    assert_memory_equal(b->data, "ab", 2);
    buf_unref(b);
}

static void resize_shared(void *arg)
{
    buf_resize(arg, 10);
}

static void resize_foreign(void *arg)
{
    struct buf foreign = {.magic = 1, .cap = 1};
    (void)arg;
    buf_unref(&foreign);
}

static void test_misuse_is_seen(void **state)
{
    (void)state;
    struct buf *b = buf_make(1);
    buf_ref(b);
    check_aborts(resize_shared, b);
    check_aborts(resize_foreign, NULL);
    buf_unref(b);
    buf_unref(b);
}

static void test_slices(void **state)
{
    (void)state;
    struct slice s = slice_copy("hello", 5);
    struct slice part = slice_sub(s, 1, 3);
    assert_int_equal(part.len, 3);
    assert_memory_equal(part.at, "ell", 3);
    assert_int_equal(atomic_load(&s.buf->refs), 1);
    part = slice_ref(part);
    slice_unref(s);
    assert_memory_equal(part.at, "ell", 3);
    slice_unref(part);

    struct slice borrowed = {NULL, (const uint8_t *)"xyz", 3};
    slice_unref(slice_ref(borrowed));
    assert_int_equal(slice_sub(borrowed, 3, 0).len, 0);
    struct slice empty = slice_copy(NULL, 0);
    assert_int_equal(slice_sub(empty, 0, 0).len, 0);
    slice_unref(empty);
}

static void sub_outside(void *arg)
{
    struct slice *s = arg;
    slice_sub(*s, 2, 2);
}

static void test_sub_outside_is_seen(void **state)
{
    (void)state;
    struct slice s = {NULL, (const uint8_t *)"xyz", 3};
    check_aborts(sub_outside, &s);
}

#define ROUNDS 20000

static void *ref_and_unref(void *arg)
{
    for (int i = 0; i < ROUNDS; i++)
        buf_unref(buf_ref(arg));
    buf_unref(arg);
    return NULL;
}

static void test_threads_share_the_count(void **state)
{
    (void)state;
    struct buf *b = buf_make(8);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ref_and_unref, buf_ref(b)), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&b->refs), 1);
    buf_unref(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copy_and_count),
        cmocka_unit_test(test_try),
        cmocka_unit_test(test_resize_keeps_bytes),
        cmocka_unit_test(test_misuse_is_seen),
        cmocka_unit_test(test_slices),
        cmocka_unit_test(test_sub_outside_is_seen),
        cmocka_unit_test(test_threads_share_the_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
