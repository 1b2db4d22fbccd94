/* The times of deliveries, as metrics get them: each stage once, over partitions and reactors. */
#include "../check.h"

#include "base/mem.h"
#include "delivery_rig.h"

#include <string.h>

static struct rig r;
static struct uuid s;
static struct stages got;

static void from_the_first(struct subscription_conf *conf)
{
    conf->start = START_EARLIEST;
    conf->attempts = 2;
    conf->retry_first_ms = 0;
}

static void pushed(struct subscription_conf *conf)
{
    from_the_first(conf);
    conf->url = STR_LIT("http://127.0.0.1:1/");
}

static void make(void (*change)(struct subscription_conf *conf))
{
    rig_make(&r, 2);
    assert_int_equal(rig_create(&r, 0, "orders", 2), ERR_OK);
    s = rig_subscribe(&r, "orders", "fraud", change);
}

static void answered(struct op *op)
{
    assert_int_equal(op->err, ERR_OK);
}

static const struct histogram *stage(enum stage i)
{
    struct ledger_stat_op op = {.op.done = answered, .subscription = s, .stages = &got};
    memset(&got, 0, sizeof got);
    broker_ledger_stat(r.brokers[0], &op);
    rig_run(&r);
    return &got.of[i];
}

static void check_stage(enum stage i, uint64_t n, uint64_t sum_us)
{
    assert_int_equal(histogram_count(stage(i)), n);
    assert_int_equal(stage(i)->sum_us, sum_us);
}

/* All there is; the receiver has it for ms. */
static void settle(uint64_t ms, enum settle_verb verb, struct settle_item *like)
{
    struct rig_acquire *a = rig_acquire(&r, 0, s, 1, 10);
    rig_wait(&r, ms);
    for (uint32_t i = 0; i < a->op.n; i++) {
        struct settle_item item = like != NULL ? *like : (struct settle_item){0};
        item.token = a->op.messages[i].token;
        item.verb = verb;
        assert_int_equal(rig_settle(&r, 1, s, &item, 1), ERR_OK);
    }
    rig_acquire_free(a);
}

static void test_pulled(void **state)
{
    (void)state;
    make(from_the_first);
    check_stage(STAGE_TOTAL, 0, 0);
    rig_put(&r, "orders", 0, NULL, "a");
    rig_put(&r, "orders", 1, NULL, "b");
    rig_wait(&r, 30);
    settle(200, SETTLE_ACCEPT, NULL);
    check_stage(STAGE_WAIT, 2, 2 * 30000);
    check_stage(STAGE_CALL, 2, 2 * 200000);
    check_stage(STAGE_SETTLE, 2, 0);
    check_stage(STAGE_TOTAL, 2, 2 * 230000);
    rig_free(&r);
}

/* Waiting is told of the first delivery, the total of the last one. */
static void test_again(void **state)
{
    (void)state;
    make(from_the_first);
    rig_put(&r, "orders", 0, NULL, "a");
    rig_wait(&r, 30);
    settle(200, SETTLE_RELEASE, NULL);
    settle(100, SETTLE_RENEW, NULL);
    check_stage(STAGE_TOTAL, 0, 0);
    rig_wait(&r, 60000); /* the lock runs out, and it is dead: nobody's delivery */
    check_stage(STAGE_WAIT, 1, 30000);
    check_stage(STAGE_CALL, 1, 200000);
    check_stage(STAGE_TOTAL, 0, 0);
    rig_free(&r);
}

/* Who pushes says what he measured. */
static void test_pushed(void **state)
{
    (void)state;
    make(pushed);
    rig_put(&r, "orders", 0, NULL, "a");
    struct settle_item like = {.took_us = 1234,
                               .visible_us = env_mono_us(&r.world.envs[0].env) - 500000};
    settle(10, SETTLE_ACCEPT, &like);
    check_stage(STAGE_CALL, 1, 1234);
    check_stage(STAGE_TOTAL, 1, 510000);
    like = (struct settle_item){0};
    rig_put(&r, "orders", 1, NULL, "b"); /* appended to a topic: without a call */
    settle(10, SETTLE_ACCEPT, &like);
    check_stage(STAGE_CALL, 1, 1234);
    check_stage(STAGE_TOTAL, 2, 520000);
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pulled),
        cmocka_unit_test(test_again),
        cmocka_unit_test(test_pushed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
