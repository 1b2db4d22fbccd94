/* Ledgers that nobody touches leave memory, and come back as they were. */
#include "../check.h"

#include "base/mem.h"
#include "broker/broker_internal.h"
#include "broker/paged.h"
#include "delivery_rig.h"

#include <stdio.h>
#include <string.h>

#define SWEEP (DELIVERY_SWEEP_MS + 1)
#define TTL_MS 3600000

static struct rig rig;
static struct uuid t, s;

static void conf_of(struct subscription_conf *conf)
{
    conf->ttl_ms = TTL_MS;
    conf->attempts = 10;
}

static int setup(void **state)
{
    rig_prepare(&rig, *state != NULL ? 3 : 1);
    rig.conf.state_slack_bytes = 4000;
    rig_boot(&rig);
    assert_int_equal(rig_create(&rig, 0, "t", 1), ERR_OK);
    t = rig_topic_id(&rig, "t");
    s = rig_subscribe(&rig, "t", "s", conf_of);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_free(&rig);
    return 0;
}

static struct deliveries *all_of(const struct uuid *topic, int32_t partition)
{
    unsigned shard = broker_shard_of_partition(topic, partition);
    return rig.brokers[broker_reactor_of_shard(rig.brokers[0], shard)]->deliveries;
}

static bool is_out(struct uuid subscription)
{
    return paged_find(all_of(&t, 0), &subscription, 0) != NULL;
}

static void sleep_until_out(struct uuid subscription)
{
    for (unsigned i = 0; i < 4; i++)
        rig_wait(&rig, SWEEP);
    assert_true(is_out(subscription));
}

static void put_n(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        char value[16];
        snprintf(value, sizeof(value), "v%u", i);
        rig_put(&rig, "t", 0, "a", value);
    }
}

/* The first n, and given back, or whatever the verb is. */
static struct lock_token settle_n(struct uuid subscription, uint32_t n, enum settle_verb verb)
{
    struct rig_acquire *a = rig_acquire(&rig, 0, subscription, 1, n);
    assert_int_equal(a->op.n, n);
    struct lock_token token = a->op.messages[0].token;
    assert_int_equal(rig_settle_all(&rig, 0, subscription, a, verb), ERR_OK);
    rig_acquire_free(a);
    return token;
}

static void acquire_expect(struct uuid subscription, const char *values, uint32_t deliveries)
{
    struct rig_acquire *a = rig_acquire(&rig, rig.n - 1, subscription, 2, 10);
    assert_int_equal(a->op.op.err, ERR_OK);
    assert_string_equal(rig_values(a), values);
    for (uint32_t i = 0; i < a->op.n; i++)
        assert_int_equal(a->op.messages[i].deliveries, deliveries);
    rig_acquire_free(a);
}

/* What is settled, and how often what is not was delivered. */
static void test_as_it_was(void **state)
{
    (void)state;
    put_n(5);
    settle_n(s, 2, SETTLE_ACCEPT);
    settle_n(s, 3, SETTLE_RELEASE);
    sleep_until_out(s);
    acquire_expect(s, "v2 v3 v4 ", 2);
    assert_false(is_out(s));
    rig_release(&rig, 0, s, 2, false);
    for (unsigned i = 3; i < 6; i++) {
        sleep_until_out(s);
        acquire_expect(s, "v2 v3 v4 ", i);
        rig_release(&rig, 0, s, 2, false);
    }
}

/* A start finds in the log what was there. */
static void test_restart(void **state)
{
    (void)state;
    put_n(5);
    settle_n(s, 2, SETTLE_ACCEPT);
    settle_n(s, 3, SETTLE_RELEASE);
    sleep_until_out(s);
    rig_restart(&rig);
    assert_false(is_out(s));
    sleep_until_out(s);
    rig_restart(&rig);
    acquire_expect(s, "v2 v3 v4 ", 2);
}

/* One that holds something, or has a lock that runs out soon, stays. */
static void test_not_at_rest(void **state)
{
    (void)state;
    put_n(1);
    struct rig_acquire *a = rig_acquire_with(&rig, 0, s, 1, 1, 0, NULL);
    rig_run(&rig);
    assert_int_equal(a->op.n, 1);
    for (unsigned i = 0; i < 10; i++) {
        struct settle_item item = {.token = a->op.messages[0].token, .verb = SETTLE_RENEW};
        assert_int_equal(rig_settle(&rig, 0, s, &item, 1), ERR_OK);
        rig_wait(&rig, SWEEP / 3);
        assert_false(is_out(s));
    }
    rig_acquire_free(a);
    sleep_until_out(s);
}

/* A token of before settles nothing that was acquired since. */
static void test_tokens(void **state)
{
    (void)state;
    put_n(1);
    struct lock_token old = settle_n(s, 1, SETTLE_RELEASE);
    sleep_until_out(s);
    struct rig_acquire *a = rig_acquire(&rig, 0, s, 1, 1);
    struct settle_item item = {.token = old, .verb = SETTLE_ACCEPT};
    rig_settle(&rig, 0, s, &item, 1);
    assert_int_equal(item.err, ERR_LOCK_LOST);
    assert_int_equal(rig_settle_all(&rig, 0, s, a, SETTLE_ACCEPT), ERR_OK);
    rig_acquire_free(a);
}

/* Metrics see it as before, and do not wake it. */
static void test_stat(void **state)
{
    (void)state;
    put_n(5);
    settle_n(s, 2, SETTLE_ACCEPT);
    settle_n(s, 2, SETTLE_DEFER);
    rig_wait(&rig, 1000);
    struct ledger_stat_op before = rig_stat(&rig, s);
    sleep_until_out(s);
    struct ledger_stat_op now = rig_stat(&rig, s);
    assert_true(is_out(s));
    assert_true(now.bytes < 200 && before.bytes > 600);
    assert_int_equal(now.ready, 1);
    assert_int_equal(now.ready, before.ready);
    assert_int_equal(now.deferred, before.deferred);
    assert_int_equal(now.accepted_total, 2);
    assert_int_equal(now.delivered_total, before.delivered_total);
    assert_int_equal(now.oldest_ms, before.oldest_ms);
    put_n(3);
    assert_int_equal(rig_stat(&rig, s).ready, 4);
    assert_int_equal(rig_release(&rig, 0, s, 1, false), ERR_OK);
    assert_int_equal(rig_release(&rig, 0, (struct uuid){0}, 1, false), ERR_OK);
    assert_true(is_out(s));
    settle_n(s, 1, SETTLE_ACCEPT);
    assert_int_equal(rig_stat(&rig, s).accepted_total, 3);
    assert_int_equal(rig_stat(&rig, s).delivered_total, before.delivered_total + 1);
}

/* Who waits is woken by a new record. */
static void test_news(void **state)
{
    (void)state;
    struct rig_acquire *a = rig_acquire_start(&rig, 0, s, 1, 1, 100 * SWEEP);
    sleep_until_out(s);
    assert_false(a->done);
    put_n(1);
    rig_run(&rig);
    assert_true(a->done);
    assert_string_equal(rig_values(a), "v0 ");
    rig_acquire_free(a);
}

/* All that come while it is read wait for it, and go on in their order. */
static void test_verbs_wait(void **state)
{
    (void)state;
    put_n(3);
    struct lock_token old = settle_n(s, 1, SETTLE_RELEASE);
    sleep_until_out(s);
    rig_defer(&rig, true);
    struct rig_acquire *a = rig_acquire_start(&rig, 0, s, 1, 1, 0);
    struct rig_acquire *b = rig_acquire_start(&rig, 0, s, 2, 2, 0);
    struct settle_item item = {.token = old, .verb = SETTLE_ACCEPT};
    assert_int_equal(rig_settle(&rig, 0, s, &item, 1), ERR_LOCK_LOST);
    assert_true(a->done && b->done);
    assert_string_equal(rig_values(a), "v0 ");
    assert_string_equal(rig_values(b), "v1 v2 ");
    rig_acquire_free(a);
    rig_acquire_free(b);
}

/* Other verbs that wake it. */
static void test_peek_and_rewind(void **state)
{
    (void)state;
    put_n(3);
    settle_n(s, 2, SETTLE_ACCEPT);
    sleep_until_out(s);
    struct rig_messages m = rig_peek(&rig, 0, s, 0, 10);
    assert_string_equal(m.values, "v2 ");
    sleep_until_out(s);
    struct rewind_op op = {
        .actor = &rig_actor, .subscription = s, .partition = -1, .time_ms = -1, .offset = 1};
    assert_int_equal(rig_rewind(&rig, 0, &op), ERR_OK);
    acquire_expect(s, "v1 v2 ", 1);
}

static void fail_reads(unsigned n)
{
    fake_disk_fail(rig.disk, FAKE_READ, 1, n, ERR_IO);
}

/* What cannot be read is an error to those who ask, each time they ask. */
static void test_unreadable(void **state)
{
    (void)state;
    put_n(2);
    struct lock_token old = settle_n(s, 1, SETTLE_RELEASE);
    sleep_until_out(s);
    fail_reads(1);
    struct rig_acquire *a = rig_acquire(&rig, 0, s, 1, 1);
    assert_int_equal(a->op.op.err, ERR_IO);
    rig_acquire_free(a);
    fail_reads(1);
    struct settle_item item = {.token = old, .verb = SETTLE_ACCEPT};
    assert_int_equal(rig_settle(&rig, 0, s, &item, 1), ERR_IO);
    assert_int_equal(item.err, ERR_IO);
    fail_reads(1);
    assert_int_equal(rig_peek(&rig, 0, s, 0, 1).err, ERR_IO);
    assert_true(is_out(s));
    fake_disk_fail(rig.disk, FAKE_READ, 1, 0, ERR_OK);
    settle_n(s, 2, SETTLE_ACCEPT);
}

/* What nobody asks for is tried again. */
static void test_unreadable_news(void **state)
{
    (void)state;
    struct rig_acquire *a = rig_acquire_start(&rig, 0, s, 1, 1, 100 * SWEEP);
    sleep_until_out(s);
    fail_reads(1);
    put_n(1);
    rig_run(&rig);
    assert_false(a->done);
    assert_true(is_out(s));
    rig_wait(&rig, SWEEP);
    assert_true(a->done);
    rig_acquire_free(a);
}

/* A chunk that cannot be written: it stays. */
static void test_unwritable(void **state)
{
    (void)state;
    put_n(2);
    settle_n(s, 1, SETTLE_ACCEPT);
    for (unsigned i = 0; i < 5; i++) {
        fake_disk_fail(rig.disk, FAKE_COMMIT, 1, 100, ERR_DISK_FULL);
        rig_wait(&rig, SWEEP);
        assert_false(is_out(s));
        fake_disk_fail(rig.disk, FAKE_COMMIT, 1, 0, ERR_OK);
    }
    acquire_expect(s, "v1 ", 1);
}

/* Its chunk is being written; runs what is due, but not the store. */
static void start_page_out(void)
{
    for (unsigned i = 0; i < 4; i++) {
        rig_run(&rig);
        assert_false(is_out(s));
        rig_defer(&rig, true);
        fake_advance(&rig.world, SWEEP);
        fake_deliver_all(&rig.world);
        if (fake_disk_under_way(rig.disk) > 0)
            return;
        rig_defer(&rig, false);
    }
    fail();
}

/* Somebody takes a message just then: it is his. */
static void test_touched_meanwhile(void **state)
{
    (void)state;
    put_n(2);
    settle_n(s, 1, SETTLE_ACCEPT);
    start_page_out();
    struct rig_acquire *a = rig_acquire_start(&rig, 0, s, 1, 1, 0);
    while (!a->done || fake_disk_under_way(rig.disk) > 0) {
        fake_store_step(rig.stores[0]);
        fake_fire(&rig.world);
    }
    rig_run(&rig);
    rig_defer(&rig, false);
    assert_false(is_out(s));
    assert_int_equal(a->op.n, 1);
    acquire_expect(s, "", 0);
    assert_int_equal(rig_settle_all(&rig, 0, s, a, SETTLE_ACCEPT), ERR_OK);
    rig_acquire_free(a);
    rig_restart(&rig);
    acquire_expect(s, "", 0);
}

/* A record comes just then: who waits gets it. */
static void test_news_meanwhile(void **state)
{
    (void)state;
    rig_wait(&rig, SWEEP); /* its time to live was looked at */
    rig_wait(&rig, SWEEP);
    struct rig_acquire *a = rig_acquire_start(&rig, 0, s, 1, 1, 100 * SWEEP);
    rig_run(&rig);
    assert_false(is_out(s));
    rig_defer(&rig, true);
    struct rig_produce *p = rig_produce_start(&rig, 0, &t, 0, rig_batch(1, 1));
    while (fake_disk_under_way(rig.disk) < 2) {
        fake_advance(&rig.world, SWEEP);
        fake_deliver_all(&rig.world);
    }
    assert_false(p->done);
    fake_store_step(rig.stores[0]); /* both, in one turn */
    fake_store_step(rig.stores[0]);
    rig_run(&rig);
    assert_true(p->done && a->done);
    assert_string_equal(rig_values(a), "v0 ");
    rig_produce_free(p);
    rig_acquire_free(a);
}

/* The process dies while the chunk is written, or a power cut takes it. */
static void test_killed(void **state)
{
    (void)state;
    for (unsigned keep = 0; keep < 2; keep++) {
        put_n(2);
        settle_n(s, 1, SETTLE_RELEASE);
        rig_lose_memory(true);
        start_page_out();
        rig_lose_memory(false);
        rig_kill(&rig, keep);
        rig_boot(&rig);
        struct rig_acquire *a = rig_acquire(&rig, 0, s, 1, 10);
        assert_int_equal(a->op.n, 2);
        assert_int_equal(a->op.messages[0].deliveries, 2);
        assert_int_equal(a->op.messages[1].deliveries, 1);
        assert_int_equal(rig_settle_all(&rig, 0, s, a, SETTLE_ACCEPT), ERR_OK);
        rig_acquire_free(a);
    }
}

/* A delay ends when it should, whatever the wall clock says meanwhile. */
static void test_due(void **state)
{
    (void)state;
    put_n(1);
    struct rig_acquire *a = rig_acquire(&rig, 0, s, 1, 1);
    struct settle_item item = {
        .token = a->op.messages[0].token, .verb = SETTLE_RELEASE, .delay_ms = 20 * SWEEP};
    assert_int_equal(rig_settle(&rig, 0, s, &item, 1), ERR_OK);
    rig_acquire_free(a);
    sleep_until_out(s);
    assert_int_equal(rig_stat(&rig, s).delayed, 1);
    for (unsigned i = 0; i < rig.n; i++)
        rig_env(&rig, i)->now_ms -= 1000000;
    for (unsigned i = 4; i < 20; i++) {
        acquire_expect(s, "", 0);
        if (i == 6)
            sleep_until_out(s), i += 4;
        rig_wait(&rig, i < 19 ? SWEEP : SWEEP - 1);
    }
    acquire_expect(s, "", 0);
    rig_wait(&rig, 2);
    acquire_expect(s, "v0 ", 2);
}

/* What is over by its time to live expires though it is out. */
static void test_ttl(void **state)
{
    (void)state;
    put_n(2);
    settle_n(s, 1, SETTLE_ACCEPT);
    sleep_until_out(s);
    unsigned out = 0;
    for (unsigned i = 0; i < TTL_MS / SWEEP + 2; i++) {
        rig_wait(&rig, SWEEP);
        out += is_out(s);
    }
    assert_int_equal(rig_stat(&rig, s).expired_total, 1);
    assert_true(out > 40);
}

/* Retention stops at its floor; what is deleted all the same is expired. */
static void test_floor(void **state)
{
    (void)state;
    struct store_log_id log0 = {t, 0};
    struct uuid fast = rig_subscribe(&rig, "t", "fast", conf_of);
    put_n(6);
    settle_n(s, 2, SETTLE_ACCEPT);
    sleep_until_out(s);
    settle_n(fast, 6, SETTLE_ACCEPT);
    rig_run(&rig);
    fake_disk_expire(rig.disk, &log0, 5);
    rig_run(&rig);
    assert_int_equal(rig_list(&rig, 0, &t, 0, LIST_EARLIEST), 2);
    rig_run(&rig);
    sleep_until_out(s);
    assert_int_equal(rig_trim(&rig, &t, 0, 4), ERR_OK);
    assert_int_equal(rig_stat(&rig, s).expired_total, 2);
    sleep_until_out(s);
    fake_disk_retain(rig.disk, &log0, 5);
    rig_run(&rig);
    assert_int_equal(rig_stat(&rig, s).expired_total, 3);
    acquire_expect(s, "v5 ", 1);
}

static void short_lock(struct subscription_conf *conf)
{
    conf_of(conf);
    conf->attempts = 2;
}

/* Its subscription changes, ends, and is made again. */
static void test_subscription(void **state)
{
    (void)state;
    put_n(2);
    settle_n(s, 1, SETTLE_RELEASE);
    sleep_until_out(s);
    assert_true(uuid_eq(rig_subscribe(&rig, "t", "s", short_lock), s));
    rig_run(&rig);
    assert_false(is_out(s));
    sleep_until_out(s);
    assert_int_equal(rig_unsubscribe(&rig, "t", "s"), ERR_OK);
    rig_run(&rig);
    assert_false(is_out(s));
    s = rig_subscribe(&rig, "t", "s", conf_of);
    acquire_expect(s, "v0 v1 ", 1);
    rig_restart(&rig);
    rig_release(&rig, 0, s, 2, true);
    acquire_expect(s, "v0 v1 ", 1);
}

/* Its topic goes, and comes back empty. */
static void test_topic_deleted(void **state)
{
    (void)state;
    put_n(2);
    settle_n(s, 1, SETTLE_RELEASE);
    sleep_until_out(s);
    assert_int_equal(rig_delete(&rig, 0, "t"), ERR_OK);
    rig_run(&rig);
    assert_false(is_out(s));
    rig_restart(&rig);
    assert_int_equal(rig_create(&rig, 0, "t", 1), ERR_OK);
    struct uuid other = rig_subscribe(&rig, "t", "s", conf_of);
    put_n(1);
    acquire_expect(other, "v0 ", 1);
}

static void op_done(struct op *op)
{
    op->done = NULL;
}

/* It ends while it is read: who waits is told. */
static void test_ends_in_load(void **state)
{
    (void)state;
    for (unsigned fails = 0; fails < 2; fails++) {
        put_n(1);
        settle_n(s, 1, SETTLE_RELEASE);
        sleep_until_out(s);
        rig_defer(&rig, true);
        if (fails)
            fail_reads(1);
        struct subscription_delete_op op = {
            .op.done = op_done, .actor = &rig_actor, .topic = t, .name = STR_LIT("s")};
        broker_subscription_delete(rig.brokers[0], &op);
        struct rig_acquire *a = rig_acquire_start(&rig, 0, s, 1, 1, 0);
        rig_run(&rig);
        assert_null(op.op.done);
        assert_int_equal(op.op.err, ERR_OK);
        rig_defer(&rig, false);
        assert_true(a->done);
        assert_int_equal(a->op.n, 0);
        assert_false(is_out(s));
        rig_acquire_free(a);
        s = rig_subscribe(&rig, "t", "s", conf_of);
        assert_int_equal(rig_stat(&rig, s).acquired, 0);
    }
}

static void ordered(struct subscription_conf *conf)
{
    conf_of(conf);
    conf->order = ORDER_KEY;
}

static void any_session(struct acquire_op *op)
{
    op->session = (struct str){NULL, 0};
}

static enum err session_verb(struct uuid subscription, enum session_verb verb, struct str state,
                             struct slice *out)
{
    struct session_op op = {.op.done = op_done,
                            .actor = &rig_actor,
                            .subscription = subscription,
                            .session = STR_LIT("a"),
                            .owner = 1,
                            .verb = verb,
                            .state = state};
    broker_session(rig.brokers[0], &op);
    rig_run(&rig);
    assert_null(op.op.done);
    *out = op.state_out;
    return op.op.err;
}

/* Sessions with their messages' order and their state. */
static void test_sessions(void **state)
{
    (void)state;
    struct slice out;
    struct uuid o = rig_subscribe(&rig, "t", "o", ordered);
    put_n(4);
    struct rig_acquire *a = rig_acquire_with(&rig, 0, o, 1, 2, 0, any_session);
    rig_run(&rig);
    assert_string_equal(rig_values(a), "v0 v1 ");
    assert_int_equal(session_verb(o, SESSION_SET_STATE, STR_LIT("half"), &out), ERR_OK);
    for (unsigned i = 0; i < 4; i++)
        rig_wait(&rig, SWEEP / 3); /* the lock runs out */
    rig_acquire_free(a);
    sleep_until_out(o);
    a = rig_acquire_with(&rig, 0, o, 1, 10, 0, any_session);
    rig_run(&rig);
    assert_string_equal(rig_values(a), "v0 v1 v2 v3 ");
    assert_int_equal(a->op.messages[0].deliveries, 2);
    assert_int_equal(a->op.messages[2].deliveries, 1);
    assert_int_equal(session_verb(o, SESSION_GET_STATE, (struct str){NULL, 0}, &out), ERR_OK);
    assert_int_equal(out.len, 4);
    assert_memory_equal(out.at, "half", 4);
    slice_unref(out);
    rig_acquire_free(a);
}

static void many_attempts(struct subscription_conf *conf)
{
    conf->attempts = 10000;
}

/* The state log moves on, and what is out with it. */
static void test_moves_on(void **state)
{
    (void)state;
    struct uuid busy = rig_subscribe(&rig, "t", "busy", many_attempts);
    struct store_log_id log = {topic_state_id(TOPIC_STATE_LEDGER),
                               broker_shard_of_partition(&t, 0)};
    put_n(3);
    settle_n(s, 1, SETTLE_ACCEPT);
    settle_n(s, 2, SETTLE_RELEASE);
    sleep_until_out(s);
    for (unsigned i = 0; i < 400; i++)
        settle_n(busy, 1, SETTLE_RELEASE);
    assert_true(fake_disk_bytes(rig.disk, &log) < 16000);
    assert_true(is_out(s));
    acquire_expect(s, "v1 v2 ", 2);
    rig_restart(&rig);
    rig_release(&rig, 0, s, 2, false);
    acquire_expect(s, "v1 v2 ", 3);
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
        BOTH(test_as_it_was),     BOTH(test_restart),
        BOTH(test_not_at_rest),   BOTH(test_tokens),
        BOTH(test_stat),          BOTH(test_news),
        BOTH(test_verbs_wait),    BOTH(test_peek_and_rewind),
        BOTH(test_unreadable),    BOTH(test_unreadable_news),
        BOTH(test_unwritable),    ONE(test_touched_meanwhile),
        ONE(test_news_meanwhile), ONE(test_killed),
        BOTH(test_due),           BOTH(test_ttl),
        BOTH(test_floor),         BOTH(test_subscription),
        BOTH(test_topic_deleted), BOTH(test_ends_in_load),
        BOTH(test_sessions),      BOTH(test_moves_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
