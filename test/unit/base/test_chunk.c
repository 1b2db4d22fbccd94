#include "base/chunk.h"

#include "base/random.h"

#include "../check.h"

#include <string.h>

struct test_file {
    struct file_ref ref;
    int released;
};

static void release_file(struct file_ref *ref)
{
    ((struct test_file *)ref)->released++;
}

static void test_file_released_once(void **state)
{
    (void)state;
    struct test_file f = {{1, release_file}, 0};
    assert_ptr_equal(file_ref_get(&f.ref), &f.ref);
    file_ref_put(&f.ref);
    assert_int_equal(f.released, 0);
    file_ref_put(&f.ref);
    assert_int_equal(f.released, 1);
    file_ref_put(NULL);
}

static void test_empty_pieces_are_dropped(void **state)
{
    (void)state;
    struct test_file f = {{1, release_file}, 0};
    struct chunkq q;
    chunkq_init(&q);
    chunkq_add_slice(&q, slice_copy("", 0));
    chunkq_add_copy(&q, NULL, 0);
    chunkq_add_file(&q, &f.ref, 100, 0);
    assert_null(q.head);
    assert_int_equal(q.bytes, 0);
    assert_int_equal(f.released, 1);
    chunkq_drop(&q, 0);
    chunkq_clear(&q);
}

static void test_drop_across_boundaries(void **state)
{
    (void)state;
    struct test_file f = {{1, release_file}, 0};
    struct slice shared = slice_copy("0123456789", 10);
    struct chunkq q;
    chunkq_init(&q);
    chunkq_add_copy(&q, "abcd", 4);
    chunkq_add_slice(&q, slice_ref(slice_sub(shared, 2, 5)));
    chunkq_add_file(&q, &f.ref, 1000, 50);
    chunkq_add_copy(&q, "z", 1);
    assert_int_equal(q.bytes, 60);
    assert_int_equal(atomic_load(&shared.buf->refs), 2);

    chunkq_drop(&q, 3);
    assert_int_equal(q.bytes, 57);
    assert_memory_equal(q.head->slice.at, "d", 1);
    chunkq_drop(&q, 3);
    assert_int_equal(q.head->len, 3);
    assert_int_equal(q.head->slice.len, 3);
    assert_memory_equal(q.head->slice.at, "456", 3);
    chunkq_drop(&q, 3);
    assert_int_equal(atomic_load(&shared.buf->refs), 1);
    assert_ptr_equal(q.head->file, &f.ref);
    chunkq_drop(&q, 20);
    assert_int_equal(q.head->at, 1020);
    assert_int_equal(q.head->len, 30);
    assert_int_equal(f.released, 0);
    chunkq_drop(&q, 31);
    assert_int_equal(f.released, 1);
    assert_null(q.head);
    assert_null(q.tail);
    assert_int_equal(q.bytes, 0);
    chunkq_add_copy(&q, "again", 5);
    assert_ptr_equal(q.head, q.tail);
    chunkq_clear(&q);
    slice_unref(shared);
}

static void test_move(void **state)
{
    (void)state;
    struct chunkq a, b;
    chunkq_init(&a);
    chunkq_init(&b);
    chunkq_move(&a, &b);
    assert_null(a.head);
    chunkq_add_copy(&b, "12", 2);
    chunkq_move(&a, &b);
    assert_int_equal(a.bytes, 2);
    assert_null(b.head);
    assert_null(b.tail);
    assert_int_equal(b.bytes, 0);
    chunkq_add_copy(&b, "345", 3);
    chunkq_add_copy(&b, "6", 1);
    chunkq_move(&a, &b);
    assert_int_equal(a.bytes, 6);
    assert_memory_equal(a.tail->slice.at, "6", 1);
    assert_memory_equal(a.head->next->slice.at, "345", 3);
    chunkq_clear(&a);
}

static void drop_too_much(void *arg)
{
    chunkq_drop(arg, 3);
}

static void test_drop_beyond_the_end_is_seen(void **state)
{
    (void)state;
    struct chunkq q;
    chunkq_init(&q);
    chunkq_add_copy(&q, "ab", 2);
    check_aborts(drop_too_much, &q);
    chunkq_clear(&q);
}

/* A stream of numbered bytes goes through in pieces of any size and comes out in order. */
static void test_random_stream(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 1);
    struct chunkq q;
    chunkq_init(&q);
    uint8_t in = 0, out = 0;
    for (int i = 0; i < 20000; i++) {
        uint8_t piece[40];
        size_t n = rng_below(&rng, sizeof(piece));
        for (size_t k = 0; k < n; k++)
            piece[k] = in++;
        chunkq_add_copy(&q, piece, n);
        size_t drop = rng_below(&rng, q.bytes + 1);
        for (; drop != 0; drop--) {
            assert_int_equal(q.head->slice.at[0], out++);
            chunkq_drop(&q, 1);
            if (q.head != NULL && drop > q.head->len) {
                out = (uint8_t)(out + q.head->len);
                drop -= q.head->len;
                chunkq_drop(&q, q.head->len);
            }
        }
        assert_int_equal((uint8_t)(in - out), (uint8_t)q.bytes);
    }
    chunkq_clear(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file_released_once),
        cmocka_unit_test(test_empty_pieces_are_dropped),
        cmocka_unit_test(test_drop_across_boundaries),
        cmocka_unit_test(test_move),
        cmocka_unit_test(test_drop_beyond_the_end_is_seen),
        cmocka_unit_test(test_random_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
