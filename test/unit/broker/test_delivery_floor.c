/* What subscriptions keep of a log, and what they do not. */
#include "../check.h"

#include "base/mem.h"
#include "delivery_rig.h"

#include <stdio.h>
#include <string.h>

static struct rig rig;
static struct uuid t;
static struct store_log_id log0;

static int setup(void **state)
{
    rig_make(&rig, *state != NULL ? 3 : 1);
    assert_int_equal(rig_create(&rig, 0, "t", 1), ERR_OK);
    t = rig_topic_id(&rig, "t");
    log0 = (struct store_log_id){t, 0};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_free(&rig);
    return 0;
}

static void put_n(const char *topic, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        char value[16];
        snprintf(value, sizeof(value), "v%u", i);
        rig_put(&rig, topic, 0, NULL, value);
    }
}

static int64_t start_of(const struct uuid *topic)
{
    return rig_list(&rig, 0, topic, 0, LIST_EARLIEST);
}

static void accept_n(struct uuid s, uint32_t n)
{
    struct rig_acquire *a = rig_acquire(&rig, 0, s, 1, n);
    assert_int_equal(a->op.n, n);
    assert_int_equal(rig_settle_all(&rig, 0, s, a, SETTLE_ACCEPT), ERR_OK);
    rig_acquire_free(a);
    rig_run(&rig);
}

/* Retention stops at the floor of the slowest, over a restart too; a subscription that is deleted
 * holds nothing. */
static void test_retention_stops(void **state)
{
    (void)state;
    struct uuid fast = rig_subscribe(&rig, "t", "fast", NULL),
                slow = rig_subscribe(&rig, "t", "slow", NULL);
    put_n("t", 8);
    accept_n(fast, 8);
    accept_n(slow, 3);
    fake_disk_expire(rig.disk, &log0, 6);
    rig_run(&rig);
    assert_int_equal(start_of(&t), 3);
    rig_restart(&rig);
    fake_disk_expire(rig.disk, &log0, 6);
    assert_int_equal(start_of(&t), 3);
    accept_n(slow, 2);
    fake_disk_expire(rig.disk, &log0, 6);
    assert_int_equal(start_of(&t), 5);
    assert_int_equal(rig_unsubscribe(&rig, "t", "slow"), ERR_OK);
    fake_disk_expire(rig.disk, &log0, 6);
    assert_int_equal(start_of(&t), 6);
}

static void with_letters(struct subscription_conf *conf)
{
    conf->dead_letter = str_of("dead");
}

/* What is too much for the topic is given up, oldest first, as a dead letter where there is one. */
static void test_pressed(void **state)
{
    (void)state;
    struct uuid s = rig_subscribe(&rig, "t", "s", with_letters);
    struct uuid d = rig_subscribe(&rig, "t", "d", NULL);
    put_n("t", 6);
    accept_n(s, 1);
    fake_disk_retain(rig.disk, &log0, 4);
    rig_run(&rig);
    assert_int_equal(rig_stat(&rig, s).dead_lettered_total, 3);
    assert_int_equal(rig_stat(&rig, d).expired_total, 4);
    fake_disk_retain(rig.disk, &log0, 4);
    assert_int_equal(start_of(&t), 4);
    struct rig_acquire *a = rig_acquire(&rig, 0, s, 1, 10);
    assert_string_equal(rig_values(a), "v4 v5 ");
    rig_acquire_free(a);
}

/* DeleteRecords passes floors: what it removes counts as expired, whoever held it. */
static void test_trim(void **state)
{
    (void)state;
    struct uuid s = rig_subscribe(&rig, "t", "s", NULL);
    put_n("t", 6);
    struct rig_acquire *a = rig_acquire(&rig, 0, s, 1, 2);
    assert_int_equal(rig_trim(&rig, &t, 0, 4), ERR_OK);
    assert_int_equal(rig_stat(&rig, s).expired_total, 4);
    assert_int_equal(rig_settle_all(&rig, 0, s, a, SETTLE_ACCEPT), ERR_LOCK_LOST);
    rig_acquire_free(a);
    a = rig_acquire(&rig, 0, s, 1, 10);
    assert_string_equal(rig_values(a), "v4 v5 ");
    rig_acquire_free(a);
}

/* Of a queue what is settled goes; of one that is full nothing more is taken. */
static void test_until_settled(void **state)
{
    (void)state;
    struct uuid q = rig_queue(&rig, "q", 1);
    assert_true(rig_topic(&rig, 0, "q")->conf.until_settled);
    put_n("q", 6);
    accept_n(q, 4);
    rig_wait(&rig, 2000);
    assert_int_equal(start_of(&q), 4);
    struct uuid copy = rig_subscribe(&rig, "q", "copy", NULL);
    accept_n(q, 2);
    rig_wait(&rig, 2000);
    assert_int_equal(start_of(&q), 4);
    accept_n(copy, 2);
    rig_wait(&rig, 2000);
    assert_int_equal(start_of(&q), 6);
    assert_int_equal(rig_configure(&rig, "q", "retention.bytes", "100"), ERR_OK);
    put_n("q", 2);
    assert_int_equal(rig_produce(&rig, 0, &q, 0, rig_batch(1, 1), NULL), ERR_THROTTLED);
    accept_n(q, 2);
    accept_n(copy, 2);
    rig_wait(&rig, 2000);
    assert_int_equal(rig_produce(&rig, 0, &q, 0, rig_batch(1, 1), NULL), ERR_OK);
}

static void short_ttl(struct subscription_conf *conf)
{
    conf->ttl_ms = 100000;
    conf->dead_letter = str_of("dead");
}

static void short_ttl_dropped(struct subscription_conf *conf)
{
    conf->ttl_ms = 100000;
}

/* Messages expire though nobody ever asks for them, and the floor moves on. */
static void test_nobody_asks(void **state)
{
    (void)state;
    struct uuid s = rig_subscribe(&rig, "t", "s", short_ttl),
                d = rig_subscribe(&rig, "t", "d", short_ttl_dropped);
    put_n("t", 3);
    rig_wait(&rig, 70000);
    put_n("t", 2);
    assert_int_equal(rig_stat(&rig, s).dead_lettered_total, 0);
    rig_wait(&rig, 31000);
    rig_wait(&rig, 1000);
    assert_int_equal(rig_stat(&rig, s).dead_lettered_total, 3);
    assert_int_equal(rig_stat(&rig, d).expired_total, 3);
    fake_disk_retain(rig.disk, &log0, 5);
    assert_int_equal(start_of(&t), 3);
    rig_wait(&rig, 70000);
    rig_wait(&rig, 1000);
    assert_int_equal(rig_stat(&rig, s).dead_lettered_total, 5);
    assert_int_equal(rig_stat(&rig, d).expired_total, 5);
}

#define ONE(name) cmocka_unit_test_prestate_setup_teardown(name, setup, teardown, NULL)
#define THREE(name)                                                                                \
    {                                                                                              \
#name " (3 reactors)", name, setup, teardown, &rig                                         \
    }
#define BOTH(name) ONE(name), THREE(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_retention_stops), BOTH(test_pressed),     BOTH(test_trim),
        BOTH(test_until_settled),   BOTH(test_nobody_asks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
