#include "base/heap.h"

#include "base/random.h"

#include "../check.h"

#define NODES 300

static struct heap_node nodes[NODES];
static bool inside[NODES];

static int reset(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++) {
        nodes[i] = (struct heap_node){0};
        inside[i] = false;
    }
    return 0;
}

/* The least key, and the earliest among equals, by looking at all. */
static struct heap_node *naive_min(void)
{
    struct heap_node *min = NULL;
    for (int i = 0; i < NODES; i++) {
        struct heap_node *n = &nodes[i];
        if (inside[i] &&
            (min == NULL || n->key < min->key || (n->key == min->key && n->seq < min->seq)))
            min = n;
    }
    return min;
}

static void test_random_operations(void **state)
{
    (void)state;
    struct rng rng;
    struct heap h;
    rng_seed(&rng, 9);
    heap_init(&h);
    size_t count = 0;
    for (int i = 0; i < 30000; i++) {
        size_t k = rng_below(&rng, NODES);
        if (inside[k] && rng_one_in(&rng, 3)) { /* change */
            heap_remove(&h, &nodes[k]);
            heap_insert(&h, &nodes[k], rng_below(&rng, 50));
        } else if (inside[k]) {
            heap_remove(&h, &nodes[k]);
            assert_int_equal(nodes[k].index1, 0);
            inside[k] = false;
            count--;
        } else {
            heap_insert(&h, &nodes[k], rng_below(&rng, 50));
            inside[k] = true;
            count++;
        }
        assert_int_equal(h.count, count);
        assert_ptr_equal(heap_min(&h), naive_min());
    }
    heap_free(&h);
}

static void test_sorts_and_keeps_order_of_equals(void **state)
{
    (void)state;
    struct heap h;
    heap_init(&h);
    for (size_t i = 0; i < NODES; i++)
        heap_insert(&h, &nodes[i], (NODES - i) / 10);
    uint64_t key = 0;
    struct heap_node *last = NULL;
    while (h.count != 0) {
        struct heap_node *n = heap_min(&h);
        assert_true(n->key >= key);
        if (last != NULL && n->key == key)
            assert_true(n > last); /* inserted in the order of the array */
        key = n->key;
        last = n;
        heap_remove(&h, n);
    }
    assert_null(heap_min(&h));
    heap_free(&h);
}

static void test_remove_outside_is_harmless(void **state)
{
    (void)state;
    struct heap h;
    heap_init(&h);
    heap_remove(&h, &nodes[0]);
    heap_insert(&h, &nodes[0], UINT64_MAX);
    heap_remove(&h, &nodes[0]);
    heap_remove(&h, &nodes[0]);
    assert_int_equal(h.count, 0);
    heap_free(&h);
}

static void insert_twice(void *arg)
{
    heap_insert(arg, &nodes[0], 1);
}

static void test_insert_twice_is_seen(void **state)
{
    (void)state;
    struct heap h;
    heap_init(&h);
    heap_insert(&h, &nodes[0], 1);
    check_aborts(insert_twice, &h);
    heap_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_random_operations, reset),
        cmocka_unit_test_setup(test_sorts_and_keeps_order_of_equals, reset),
        cmocka_unit_test_setup(test_remove_outside_is_harmless, reset),
        cmocka_unit_test_setup(test_insert_twice_is_seen, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
