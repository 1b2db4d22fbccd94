#include "base/map.h"

#include "base/random.h"

#include "../check.h"

#include <string.h>

#define KEYS 2000

struct entry {
    struct map_node node;
    uint64_t key;
    bool present, seen;
};

static struct entry entries[KEYS];

static bool key_is(const struct map_node *node, const void *key)
{
    return container_of(node, const struct entry, node)->key == *(const uint64_t *)key;
}

/* Every walk sees each present entry once and no other. */
static void check_walk(const struct map *m)
{
    size_t count = 0;
    for (size_t i = 0; i < KEYS; i++)
        entries[i].seen = false;
    for (struct map_node *n = map_next(m, NULL); n != NULL; n = map_next(m, n)) {
        struct entry *e = container_of(n, struct entry, node);
        assert_true(e->present && !e->seen);
        e->seen = true;
        count++;
    }
    assert_int_equal(count, m->count);
}

/* weak: a hash with many collisions. */
static void random_operations(uint64_t seed, bool weak)
{
    struct rng rng;
    struct map m;
    rng_seed(&rng, seed);
    map_init(&m);
    size_t present = 0;
    for (uint64_t i = 0; i < KEYS; i++)
        entries[i] = (struct entry){.key = i};
    for (int i = 0; i < 40000; i++) {
        struct entry *e = &entries[rng_below(&rng, KEYS)];
        uint64_t hash = weak ? e->key % 13 : hash_u64(e->key);
        struct map_node *found = map_find(&m, hash, key_is, &e->key);
        assert_ptr_equal(found, e->present ? &e->node : NULL);
        if (e->present)
            map_remove(&m, &e->node);
        else
            map_insert(&m, &e->node, hash);
        present = e->present ? present - 1 : present + 1;
        e->present = !e->present;
        assert_int_equal(m.count, present);
        if (i % 5000 == 0)
            check_walk(&m);
    }
    check_walk(&m);
    map_free(&m);
    assert_int_equal(m.count, 0);
}

static void test_random_operations(void **state)
{
    (void)state;
    random_operations(7, false);
}

static void test_collisions(void **state)
{
    (void)state;
    random_operations(8, true);
}

static void test_empty(void **state)
{
    (void)state;
    struct map m;
    uint64_t key = 1;
    map_init(&m);
    assert_null(map_find(&m, 1, key_is, &key));
    assert_null(map_next(&m, NULL));
    map_free(&m);
}

static void test_remove_while_walking(void **state)
{
    (void)state;
    struct map m;
    map_init(&m);
    for (uint64_t i = 0; i < 100; i++) {
        entries[i] = (struct entry){.key = i};
        map_insert(&m, &entries[i].node, hash_u64(i));
    }
    struct map_node *n = map_next(&m, NULL);
    while (n != NULL) {
        struct map_node *next = map_next(&m, n);
        map_remove(&m, n);
        n = next;
    }
    assert_int_equal(m.count, 0);
    assert_null(map_next(&m, NULL));
    map_free(&m);
}

static void remove_stranger(void *arg)
{
    struct map_node stranger = {NULL, 5};
    map_remove(arg, &stranger);
}

static void test_remove_stranger_is_seen(void **state)
{
    (void)state;
    struct map m;
    map_init(&m);
    check_aborts(remove_stranger, &m);
    map_insert(&m, &entries[0].node, 5);
    check_aborts(remove_stranger, &m);
    map_free(&m);
}

static void test_hash_depends_on_all(void **state)
{
    (void)state;
    uint8_t b[40] = {0};
    for (size_t n = 0; n < sizeof(b); n++) {
        uint64_t h = hash_bytes(b, n);
        assert_int_not_equal(h, hash_bytes(b, n + 1)); /* the length counts */
        for (size_t i = 0; i < n; i++) {
            b[i] ^= 0x80;
            assert_int_not_equal(h, hash_bytes(b, n));
            b[i] ^= 0x80;
        }
        assert_int_equal(h, hash_bytes(b, n));
    }
}

static void test_hash_depends_on_seed(void **state)
{
    (void)state;
    hash_seed(1);
    uint64_t one = hash_bytes("orders", 6);
    hash_seed(2);
    assert_int_not_equal(hash_bytes("orders", 6), one);
    hash_seed(1);
    assert_int_equal(hash_bytes("orders", 6), one);
    assert_int_not_equal(hash_u64(1), hash_u64(2));
}

/* 64 Ki neighbouring numbers into 256 classes by the low bits and by the high bits: with 256
 * expected in each, a good hash stays within 6 standard deviations (16 each). */
static void test_hash_spreads(void **state)
{
    (void)state;
    static unsigned low[256], high[256];
    for (uint64_t i = 0; i < 65536; i++) {
        uint64_t h = hash_u64(i);
        low[h & 255]++;
        high[h >> 56]++;
    }
    for (int i = 0; i < 256; i++) {
        assert_in_range(low[i], 256 - 96, 256 + 96);
        assert_in_range(high[i], 256 - 96, 256 + 96);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_operations),
        cmocka_unit_test(test_collisions),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_remove_while_walking),
        cmocka_unit_test(test_remove_stranger_is_seen),
        cmocka_unit_test(test_hash_depends_on_all),
        cmocka_unit_test(test_hash_depends_on_seed),
        cmocka_unit_test(test_hash_spreads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
