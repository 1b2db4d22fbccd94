/* Subscriptions: their settings, their life with and without their topic, over restarts and on all
 * reactors. */
#include "../check.h"

#include "base/mem.h"
#include "broker/subscription.h"
#include "rig.h"

#include <stdio.h>
#include <string.h>

static struct rig rig;

static void op_done(struct op *op)
{
    op->done = NULL; /* so that the caller sees it */
}

static enum err put_from(unsigned from, struct subscription_put_op *op)
{
    op->op.done = op_done;
    op->actor = &rig_actor;
    broker_subscription_put(rig.brokers[from], &op[0]);
    rig_run(&rig);
    assert_null(op->op.done);
    return op->op.err;
}

static enum err put(const char *name, const struct subscription_conf *conf)
{
    struct subscription_put_op op = {.name = str_of(name), .conf = conf};
    enum err err = put_from(0, &op);
    subscription_unref(op.subscription);
    return err;
}

static struct subscription_conf conf_of(const char *topic)
{
    struct subscription_conf conf;
    subscription_conf_init(&conf);
    conf.topic = str_of(topic);
    return conf;
}

static enum err del(const char *topic, const char *name, struct err_text *text)
{
    struct subscription_delete_op op = {.op.done = op_done,
                                        .actor = &rig_actor,
                                        .topic = rig_topic_id(&rig, topic),
                                        .name = str_of(name)};
    broker_subscription_delete(rig.brokers[rig.n - 1], &op);
    rig_run(&rig);
    assert_null(op.op.done);
    if (text != NULL)
        *text = op.text;
    return op.op.err;
}

static const struct subscription *find(unsigned reactor, const char *topic, const char *name)
{
    struct uuid id = rig_topic_id(&rig, topic);
    return broker_subscription(rig.brokers[reactor], &id, str_of(name));
}

static int setup(void **state)
{
    (void)state;
    rig_make(&rig, 3);
    assert_int_equal(rig_create(&rig, 0, "t", 4), ERR_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_free(&rig);
    return 0;
}

static void test_defaults(void **state)
{
    (void)state;
    struct subscription_conf conf = conf_of("t");
    assert_int_equal(put("s", &conf), ERR_OK);
    for (unsigned i = 0; i < rig.n; i++) {
        const struct subscription *s = find(i, "t", "s");
        assert_non_null(s);
        assert_string_equal(s->name, "s");
        assert_string_equal(s->topic_name, "t");
        assert_int_equal(s->conf.deliver, DELIVER_PULL);
        assert_int_equal(s->conf.lock_ms, 60000);
        assert_int_equal(s->conf.attempts, 10);
        assert_int_equal(s->conf.expires_ms, -1);
        assert_true(s->conf.dead_letter_expired);
        assert_int_equal(s->ttl_ms, SUBSCRIPTION_TTL_PULL_MS);
        assert_false(s->queue);
        assert_ptr_equal(broker_subscription_by_id(rig.brokers[i], &s->id), s);
    }
    conf.url = str_of("https://example.com/hook?code=1");
    assert_int_equal(put("push", &conf), ERR_OK);
    const struct subscription *s = find(1, "t", "push");
    assert_int_equal(s->conf.deliver, DELIVER_URL);
    assert_true(str_is(s->conf.target, "https://example.com/hook?code=1"));
    assert_int_equal(s->ttl_ms, SUBSCRIPTION_TTL_PUSH_MS);
}

/* Each of these is refused, and the text names the field. */
static void test_refused(void **state)
{
    (void)state;
    struct subscription_conf conf = conf_of("t");
    struct subscription_put_op op = {.name = STR_LIT("s"), .conf = &conf};
    conf.url = str_of("ftp://example.com");
    assert_int_equal(put_from(1, &op), ERR_CONFIG_INVALID);
    assert_non_null(strstr(op.text.s, "deliver.url must begin with https://"));
    conf.url = str_of("https://example.com");
    conf.to_topic = str_of("other");
    assert_int_equal(put_from(1, &op), ERR_CONFIG_INVALID);
    assert_non_null(strstr(op.text.s, "deliver.topic"));
    conf = conf_of("t");
    conf.dead_letter = str_of("t");
    assert_int_equal(put_from(1, &op), ERR_CONFIG_INVALID);
    assert_non_null(strstr(op.text.s, "deadLetter"));
    conf = conf_of("t");
    conf.start = START_TIME;
    assert_int_equal(put_from(1, &op), ERR_CONFIG_INVALID);
    assert_non_null(strstr(op.text.s, "startTime"));
    conf = conf_of("t");
    conf.lock_ms = 1;
    assert_int_equal(put_from(1, &op), ERR_CONFIG_INVALID);
    assert_non_null(strstr(op.text.s, "lock"));
    conf = conf_of("nowhere");
    assert_int_equal(put_from(1, &op), ERR_TOPIC_UNKNOWN);
    conf = conf_of("__weir_ledger");
    assert_int_equal(put_from(1, &op), ERR_TOPIC_INVALID);
    conf = conf_of("t");
    op.name = STR_LIT("");
    assert_int_equal(put_from(1, &op), ERR_REQUEST_INVALID);
    op.name = STR_LIT("t");
    assert_int_equal(put_from(1, &op), ERR_REQUEST_INVALID);
    op.name = STR_LIT("s");
    op.update_only = true;
    assert_int_equal(put_from(1, &op), ERR_NOT_FOUND);
    assert_null(op.subscription);
    assert_null(find(0, "t", "s"));
}

static void test_change(void **state)
{
    (void)state;
    struct subscription_conf conf = conf_of("t");
    struct subscription_put_op op = {.name = STR_LIT("s"), .conf = &conf};
    assert_int_equal(put_from(0, &op), ERR_OK);
    assert_true(op.created && op.changed);
    struct uuid id = op.subscription->id;
    subscription_unref(op.subscription);
    assert_int_equal(put_from(2, &op), ERR_OK); /* the same again */
    assert_true(!op.created && !op.changed);
    subscription_unref(op.subscription);
    conf.lock_ms = 5000;
    op.validate_only = true;
    assert_int_equal(put_from(2, &op), ERR_OK);
    assert_true(!op.created && op.changed);
    subscription_unref(op.subscription);
    assert_int_equal(find(0, "t", "s")->conf.lock_ms, 60000);
    op.validate_only = false;
    assert_int_equal(put_from(2, &op), ERR_OK);
    assert_true(!op.created && op.changed);
    assert_true(uuid_eq(op.subscription->id, id));
    subscription_unref(op.subscription);
    for (unsigned i = 0; i < rig.n; i++)
        assert_int_equal(find(i, "t", "s")->conf.lock_ms, 5000);
    op.create_only = true;
    assert_int_equal(put_from(2, &op), ERR_EXISTS);
    op.create_only = false;
    conf.order = ORDER_KEY; /* fixed */
    assert_int_equal(put_from(2, &op), ERR_CONFIG_INVALID);
    assert_non_null(strstr(op.text.s, "ordering"));
}

/* What is there after a start is what was answered, with where it starts. */
static void test_restart(void **state)
{
    (void)state;
    struct uuid topic = rig_topic_id(&rig, "t");
    for (int32_t p = 0; p < 4; p++)
        for (int32_t i = 0; i <= p; i++)
            assert_int_equal(rig_produce(&rig, 0, &topic, p, rig_batch(2, 1000 + i), NULL), ERR_OK);
    struct subscription_conf conf = conf_of("t");
    conf.lock_ms = 7000;
    conf.dead_letter = str_of("dead");
    assert_int_equal(put("late", &conf), ERR_OK);
    conf.start = START_EARLIEST;
    assert_int_equal(put("early", &conf), ERR_OK);
    conf.start = START_TIME;
    conf.start_ms = 1002;
    assert_int_equal(put("time", &conf), ERR_OK);
    assert_int_equal(del("t", "early", NULL), ERR_OK);
    conf.start = START_EARLIEST;
    conf.start_ms = -1;
    assert_int_equal(put("early", &conf), ERR_OK);
    struct uuid id = find(0, "t", "late")->id;
    rig_restart(&rig);
    for (unsigned i = 0; i < rig.n; i++) {
        const struct subscription *s = find(i, "t", "late");
        assert_true(uuid_eq(s->id, id));
        assert_int_equal(s->conf.lock_ms, 7000);
        assert_true(str_is(s->conf.dead_letter, "dead"));
        for (int32_t p = 0; p < 4; p++) {
            assert_int_equal(subscription_from(s, p), 2 * (p + 1));
            assert_int_equal(subscription_from(find(i, "t", "early"), p), 0);
        }
        assert_int_equal(subscription_from(find(i, "t", "time"), 1), 4); /* behind the last */
        assert_int_equal(subscription_from(find(i, "t", "time"), 2), 4);
        assert_int_equal(subscription_from(find(i, "t", "time"), 3), 4);
        assert_int_equal(subscription_from(s, 4), 0); /* a partition that came later */
    }
}

static void test_order(void **state)
{
    (void)state;
    assert_int_equal(rig_create(&rig, 0, "a", 1), ERR_OK);
    static const char *const names[] = {"m", "a", "z", "m.2", "b"};
    struct subscription_conf t = conf_of("t"), a = conf_of("a");
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(put(names[i], i % 2 == 0 ? &t : &a), ERR_REQUEST_INVALID * (i == 1));
    static const char *const all[] = {"m.2", "b", "m", "z"};
    const struct subscription *s = NULL;
    for (unsigned i = 0; i < 4; i++) {
        s = broker_subscription_next(rig.brokers[1], NULL, s);
        assert_non_null(s);
        assert_string_equal(s->name, all[i]);
    }
    assert_null(broker_subscription_next(rig.brokers[1], NULL, s));
    struct uuid id = rig_topic_id(&rig, "t");
    s = broker_subscription_next(rig.brokers[1], &id, NULL);
    assert_string_equal(s->name, "b");
}

struct seen {
    struct subscription_watcher watcher;
    unsigned created, changed, deleted;
};

static void watch_changed(struct subscription_watcher *w, struct broker *b,
                          const struct subscription *old, const struct subscription *now)
{
    struct seen *seen = container_of(w, struct seen, watcher);
    (void)b;
    seen->created += old == NULL;
    seen->deleted += now == NULL;
    seen->changed += old != NULL && now != NULL;
}

/* They go with their topic, and a topic of the same name has none of them, nor after a restart. */
static void test_topic_deleted(void **state)
{
    (void)state;
    struct seen seen = {.watcher.changed = watch_changed};
    broker_subscription_watch(rig.brokers[2], &seen.watcher);
    struct subscription_conf conf = conf_of("t");
    assert_int_equal(put("s1", &conf), ERR_OK);
    assert_int_equal(put("s2", &conf), ERR_OK);
    conf.lock_ms = 500;
    assert_int_equal(put("s2", &conf), ERR_OK);
    assert_int_equal(rig_delete(&rig, 1, "t"), ERR_OK);
    assert_int_equal(seen.created, 2);
    assert_int_equal(seen.changed, 1);
    assert_int_equal(seen.deleted, 2);
    for (unsigned i = 0; i < rig.n; i++)
        assert_null(broker_subscription_next(rig.brokers[i], NULL, NULL));
    list_remove(&seen.watcher.link);
    assert_int_equal(rig_create(&rig, 0, "t", 1), ERR_OK);
    rig_restart(&rig);
    for (unsigned i = 0; i < rig.n; i++)
        assert_null(broker_subscription_next(rig.brokers[i], NULL, NULL));
}

/* A put and the deletion of its topic at once, in every order: nothing is left over. */
static void test_put_while_deleted(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        char name[16];
        snprintf(name, sizeof(name), "x%u", i);
        assert_int_equal(rig_create(&rig, 0, name, 1 + (int32_t)(i % 3)), ERR_OK);
        struct subscription_conf conf = conf_of(name);
        struct subscription_put_op op = {
            .op.done = op_done, .actor = &rig_actor, .name = STR_LIT("s"), .conf = &conf};
        struct topic_delete_op gone = {
            .op.done = op_done, .actor = &rig_actor, .name = str_of(name)};
        rig_defer(&rig, true);
        if (i % 2 == 0)
            broker_subscription_put(rig.brokers[1], &op);
        for (unsigned k = 0; k < i / 2 % 10; k++) {
            fake_deliver(&rig.world, k % 3);
            fake_store_step(rig.stores[0]);
        }
        broker_topic_delete(rig.brokers[2], &gone);
        if (i % 2 == 1)
            broker_subscription_put(rig.brokers[1], &op);
        rig_run(&rig);
        rig_defer(&rig, false);
        assert_true(op.op.done == NULL && gone.op.done == NULL);
        assert_int_equal(gone.op.err, ERR_OK);
        topic_unref(gone.topic);
        subscription_unref(op.subscription);
        for (unsigned r = 0; r < rig.n; r++)
            assert_null(broker_subscription_next(rig.brokers[r], NULL, NULL));
    }
    rig_restart(&rig);
    assert_null(broker_subscription_next(rig.brokers[0], NULL, NULL));
}

static void check_queue(bool there, int64_t lock_ms)
{
    struct uuid id = rig_topic_id(&rig, "q");
    for (unsigned i = 0; i < rig.n; i++) {
        const struct subscription *s = find(i, "q", "q");
        if (!there) {
            assert_null(s);
            continue;
        }
        assert_true(s->queue);
        assert_true(uuid_eq(s->id, id));
        assert_int_equal(s->ttl_ms, -1);
        assert_int_equal(s->conf.lock_ms, lock_ms);
        assert_true(str_is(s->conf.dead_letter, "q.dead"));
        assert_int_equal(subscription_from(s, 0), 0);
    }
}

static void test_queue(void **state)
{
    (void)state;
    struct topic_setting on = {STR_LIT("weir.queue"), STR_LIT("true")};
    struct err_text text;
    assert_int_equal(rig_create_with(&rig, "q", 2, &on, 1), ERR_OK);
    assert_int_equal(rig_topic(&rig, 1, "q")->conf.retention_ms, -1);
    check_queue(true, 60000);
    rig_restart(&rig);
    check_queue(true, 60000);
    assert_int_equal(del("q", "q", &text), ERR_REQUEST_INVALID);
    assert_non_null(strstr(text.s, "goes with the topic"));
    /* changed, it keeps that over a restart */
    struct subscription_put_op op = {.name = STR_LIT("q"), .update_only = true};
    struct subscription_conf conf = find(0, "q", "q")->conf;
    conf.lock_ms = 9000;
    op.conf = &conf;
    assert_int_equal(put_from(1, &op), ERR_OK);
    assert_true(op.changed && !op.created);
    subscription_unref(op.subscription);
    check_queue(true, 9000);
    rig_restart(&rig);
    check_queue(true, 9000);
    /* and loses it with the queue */
    assert_int_equal(rig_configure(&rig, "q", "weir.queue", "false"), ERR_OK);
    check_queue(false, 0);
    rig_restart(&rig);
    check_queue(false, 0);
    assert_int_equal(rig_configure(&rig, "q", "weir.queue", "true"), ERR_OK);
    check_queue(true, 60000);
}

static void test_disk_full(void **state)
{
    (void)state;
    struct subscription_conf conf = conf_of("t");
    fake_disk_fail(rig.disk, FAKE_COMMIT, 1, 1, ERR_DISK_FULL);
    assert_int_equal(put("s", &conf), ERR_DISK_FULL);
    assert_null(find(0, "t", "s"));
    assert_int_equal(put("s", &conf), ERR_OK);
    fake_disk_fail(rig.disk, FAKE_COMMIT, 1, 1, ERR_DISK_FULL);
    assert_int_equal(del("t", "s", NULL), ERR_DISK_FULL);
    assert_non_null(find(0, "t", "s"));
    assert_int_equal(del("t", "s", NULL), ERR_OK);
}

static void test_expires(void **state)
{
    (void)state;
    struct subscription_conf conf = conf_of("t");
    conf.expires_ms = (int64_t)rig_env(&rig, 0)->now_ms + 60000;
    assert_int_equal(put("s", &conf), ERR_OK);
    fake_advance(&rig.world, 50000);
    rig_run(&rig);
    assert_non_null(find(1, "t", "s"));
    fake_advance(&rig.world, 20000);
    rig_run(&rig);
    assert_null(find(1, "t", "s"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_defaults),      TEST(test_refused),
        TEST(test_change),        TEST(test_restart),
        TEST(test_order),         TEST(test_queue),
        TEST(test_topic_deleted), TEST(test_put_while_deleted),
        TEST(test_disk_full),     TEST(test_expires),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
