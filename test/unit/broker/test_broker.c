/* Where things live, and small things. */
#include "../check.h"

#include "broker/partition.h"
#include "broker/spread.h"
#include "rig.h"

#include <string.h>

/* Values of Java's String.hashCode, and Kafka's Utils.abs(hash) % 64. */
static void test_shard_of_group(void **state)
{
    static const struct {
        const char *name;
        unsigned shard;
    } cases[] = {
        {"", 0},
        {"a", 97 % 64},
        {"demo-group", 21},
        {"polygenelubricants", 0}, /* hashes to the least integer */
        {"gr\xc3\xbc\xc3\x9f", 14},
        {"\xf0\x9f\x98\x80", 35},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(broker_shard_of_group(str_of(cases[i].name)), cases[i].shard);
    assert_true(broker_shard_of_group((struct str){"\xff\xfe", 2}) < BROKER_SHARDS);
}

static void test_shard_of_partition(void **state)
{
    struct uuid id = {{0, 0, 0, 62}}, offsets = topic_state_id(TOPIC_STATE_OFFSETS);
    (void)state;
    assert_int_equal(broker_shard_of_partition(&id, 0), 62);
    assert_int_equal(broker_shard_of_partition(&id, 1), 63);
    assert_int_equal(broker_shard_of_partition(&id, 2), 0);
    for (int32_t p = 0; p < BROKER_SHARDS; p++)
        assert_int_equal(broker_shard_of_partition(&offsets, p), p);
}

static void test_producer_ids(void **state)
{
    struct rig r;
    (void)state;
    rig_make(&r, 2);
    int64_t a = broker_producer_id(r.brokers[0]), b = broker_producer_id(r.brokers[0]);
    int64_t c = broker_producer_id(r.brokers[1]);
    assert_true(a >= 0 && b == a + 1 && c != a && c != b);
    assert_int_equal(a >> 40, 1);
    rig_restart(&r);
    assert_int_equal(broker_producer_id(r.brokers[0]) >> 40, 2);
    r.brokers[0]->producer_ids = UINT32_MAX;
    assert_int_equal(broker_producer_id(r.brokers[0]), -1);
    rig_free(&r);
}

struct each {
    struct spread spread;
    unsigned seen, done;
    unsigned fail; /* on this reactor */
    enum err err;
};

static void each_step(struct broker *b, struct spread_part *part)
{
    struct each *e = container_of(part->spread, struct each, spread);
    e->seen |= 1u << b->env->reactor;
    spread_answer(b, part, b->env->reactor == e->fail ? ERR_IO : ERR_OK);
}

static void each_done(struct spread *s, struct broker *b, enum err err)
{
    struct each *e = container_of(s, struct each, spread);
    assert_int_equal(b->env->reactor, 0);
    e->done++;
    e->err = err;
}

static void test_spread(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 4; n++) {
        struct rig r;
        rig_make(&r, n);
        for (unsigned fail = 0; fail <= n; fail++) {
            struct each e = {.spread = {.step = each_step, .done = each_done}, .fail = fail};
            spread_start(r.brokers[0], &e.spread);
            rig_run(&r);
            assert_int_equal(e.seen, (1u << n) - 1);
            assert_int_equal(e.done, 1);
            assert_int_equal(e.err, fail < n ? ERR_IO : ERR_OK);
        }
        rig_free(&r);
    }
}

static void test_size(void **state)
{
    (void)state;
    assert_true(sizeof(struct partition) <= 264);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shard_of_group), cmocka_unit_test(test_shard_of_partition),
        cmocka_unit_test(test_producer_ids),   cmocka_unit_test(test_spread),
        cmocka_unit_test(test_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
