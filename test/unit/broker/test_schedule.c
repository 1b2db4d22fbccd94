/* Records that wait until they are due: seen by nobody before, appended once, cancelled, over
 * restarts and crashes. */
#include "../check.h"

#include "base/mem.h"
#include "broker/broker_internal.h"
#include "broker/delivery.h"
#include "broker/schedule.h"
#include "rig.h"

#include <stdio.h>
#include <string.h>

static struct rig rig;
static struct uuid t;

static int setup(void **state)
{
    rig_prepare(&rig, *state != NULL ? 3 : 1);
    rig.conf.state_slack_bytes = 300; /* snapshots all the time */
    rig_boot(&rig);
    assert_int_equal(rig_create(&rig, 0, "t", 3), ERR_OK);
    t = rig_topic_id(&rig, "t");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_free(&rig);
    return 0;
}

static void op_done(struct op *op)
{
    op->done = NULL;
}

static void publish_start(const char *value, int64_t in_ms, struct publish_op *out)
{
    static const struct record_header header = {STR_LIT("h"), STR_LIT("1")};
    *out = (struct publish_op){.op.done = op_done,
                               .actor = &rig_actor,
                               .topic = t,
                               .partition = -1,
                               .record = {.key = str_of(value),
                                          .value = str_of(value),
                                          .headers = &header,
                                          .headers_n = 1,
                                          .timestamp = -1},
                               .due_ms = (int64_t)rig_env(&rig, 0)->now_ms + in_ms};
    broker_publish(rig.brokers[rig.n - 1], out);
}

static enum err publish(const char *value, int64_t in_ms, struct publish_op *out)
{
    publish_start(value, in_ms, out);
    rig_run(&rig);
    assert_null(out->op.done);
    return out->op.err;
}

static enum err cancel(const struct uuid *topic, int64_t sequence)
{
    struct cancel_op op = {
        .op.done = op_done, .actor = &rig_actor, .topic = *topic, .sequence = sequence};
    broker_cancel(rig.brokers[0], &op);
    rig_run(&rig);
    assert_null(op.op.done);
    return op.op.err;
}

static void wait_ms(uint64_t ms)
{
    fake_advance(&rig.world, ms);
    rig_run(&rig);
}

/* All values, of partition after partition. */
static void check_values(const char *want)
{
    char all[4096] = "";
    for (int32_t p = 0; p < 3; p++) {
        enum err err;
        char *values = rig_read(&rig, 0, &t, p, 0, &err);
        assert_int_equal(err, ERR_OK);
        strncat(all, values, sizeof(all) - strlen(all) - 1);
        mem_free(values);
    }
    assert_string_equal(all, want);
}

static int64_t count_values(void)
{
    int64_t n = 0;
    for (int32_t p = 0; p < 3; p++)
        n += rig_list(&rig, 0, &t, p, LIST_LATEST);
    return n;
}

static void test_due(void **state)
{
    (void)state;
    struct publish_op a, b;
    assert_int_equal(publish("a", 5000, &a), ERR_OK);
    assert_true(a.scheduled);
    assert_int_equal(publish("b", 2000, &b), ERR_OK);
    assert_int_not_equal(a.offset, b.offset);
    check_values("");
    wait_ms(1999);
    check_values("");
    wait_ms(1);
    check_values("b ");
    rig_restart(&rig);
    check_values("b ");
    wait_ms(2999);
    assert_int_equal(count_values(), 1);
    wait_ms(1);
    assert_int_equal(count_values(), 2);
    rig_restart(&rig);
    wait_ms(100000);
    assert_int_equal(count_values(), 2);
    assert_int_equal(publish("now", -1, &a), ERR_OK);
    assert_false(a.scheduled);
    assert_int_equal(count_values(), 3);
}

static void test_cancel(void **state)
{
    (void)state;
    struct publish_op a, b;
    struct uuid other = {{9}};
    assert_int_equal(publish("a", 5000, &a), ERR_OK);
    assert_int_equal(publish("b", 5000, &b), ERR_OK);
    assert_int_equal(cancel(&other, a.offset), ERR_NOT_FOUND);
    assert_int_equal(cancel(&t, a.offset + (1 << 20)), ERR_NOT_FOUND);
    fake_disk_fail(rig.disk, FAKE_COMMIT, 1, 1, ERR_DISK_FULL);
    assert_int_equal(cancel(&t, a.offset), ERR_DISK_FULL);
    assert_int_equal(cancel(&t, a.offset), ERR_OK);
    assert_int_equal(cancel(&t, a.offset), ERR_NOT_FOUND);
    rig_restart(&rig);
    wait_ms(5000);
    check_values("b ");
    assert_int_equal(cancel(&t, b.offset), ERR_NOT_FOUND);
    assert_int_equal(publish("c", 1000, &a), ERR_OK);
    assert_true(a.offset > b.offset); /* no number is given twice */
}

static void world_step(unsigned k)
{
    fake_deliver_all(&rig.world);
    fake_fire(&rig.world);
    fake_store_step(rig.stores[k % rig.n]);
}

/* Whatever the log is doing with the record, copying it among others: it is gone for good. */
static void test_cancel_meanwhile(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 60; i++) {
        struct publish_op a, b[6];
        assert_int_equal(publish("a", 1000, &a), ERR_OK);
        rig_defer(&rig, true);
        for (unsigned k = 0; k < 6; k++)
            publish_start("a", 1000, &b[k]); /* of the same log */
        for (unsigned k = 0; k < i; k++)
            world_step(k);
        struct cancel_op op = {
            .op.done = op_done, .actor = &rig_actor, .topic = t, .sequence = a.offset};
        broker_cancel(rig.brokers[0], &op);
        rig_run(&rig);
        rig_defer(&rig, false);
        assert_null(op.op.done);
        assert_int_equal(op.op.err, ERR_OK);
        if (i % 2 == 0)
            rig_restart(&rig);
        wait_ms(1000);
        assert_int_equal(count_values(), 6 * (i + 1));
    }
}

/* However large they are: what waits is on the disk. */
static void test_memory(void **state)
{
    (void)state;
    struct publish_op op;
    char value[4000];
    for (unsigned i = 0; i < 40; i++) {
        memset(value, 'a' + (int)(i % 26), sizeof(value) - 1);
        value[sizeof(value) - 1] = '\0';
        assert_int_equal(publish(value, 1000, &op), ERR_OK);
    }
    for (unsigned round = 0; round < 2; round++) {
        size_t bytes = 0;
        for (unsigned i = 0; i < rig.n; i++)
            bytes += rig.brokers[i]->schedule->bytes;
        assert_int_equal(bytes, 40 * sizeof(struct scheduled));
        rig_restart(&rig);
    }
    assert_true(sizeof(struct scheduled) <= 128);
    wait_ms(1000);
    assert_int_equal(count_values(), 40);
}

/* What cannot be read just now waits on. */
static void test_unreadable(void **state)
{
    (void)state;
    struct publish_op op;
    assert_int_equal(publish("a", 1000, &op), ERR_OK);
    assert_int_equal(publish("b", 1000, &op), ERR_OK);
    fake_disk_fail(rig.disk, FAKE_READ, 1, 2, ERR_IO);
    wait_ms(1000);
    assert_true(count_values() < 2);
    for (unsigned i = 0; i < 3; i++)
        wait_ms(1000);
    assert_int_equal(count_values(), 2);
}

/* A full disk delays; what cannot be appended any more holds up no other. */
static void test_failures(void **state)
{
    (void)state;
    struct publish_op op;
    char large[2000];
    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    fake_disk_fail(rig.disk, FAKE_COMMIT, 1, 1, ERR_DISK_FULL);
    assert_int_equal(publish("a", 1000, &op), ERR_DISK_FULL);
    assert_int_equal(publish("a", 1000, &op), ERR_OK);
    assert_int_equal(publish(large, 1000, &op), ERR_OK);
    assert_int_equal(publish("b", 1000, &op), ERR_OK);
    fake_disk_fail(rig.disk, FAKE_COMMIT, 1, 2, ERR_DISK_FULL);
    wait_ms(1000);
    assert_int_equal(rig_configure(&rig, "t", "max.message.bytes", "1000"), ERR_OK);
    for (unsigned i = 0; i < 12; i++)
        wait_ms(1000);
    assert_int_equal(count_values(), 2);
    rig_restart(&rig);
    wait_ms(10000);
    assert_int_equal(count_values(), 2);
}

static void test_topic_gone(void **state)
{
    (void)state;
    struct publish_op op;
    assert_int_equal(publish("a", 1000, &op), ERR_OK);
    assert_int_equal(rig_delete(&rig, 0, "t"), ERR_OK);
    assert_int_equal(rig_create(&rig, 0, "t", 3), ERR_OK);
    t = rig_topic_id(&rig, "t");
    assert_int_equal(publish("b", 1000, &op), ERR_OK);
    wait_ms(1000);
    wait_ms(1000);
    check_values("b ");
}

/* The process dies at any moment of a move: each record is appended once. */
static void test_crash(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        struct publish_op op;
        int64_t before = count_values();
        for (unsigned k = 0; k < 5; k++) {
            char value[16];
            snprintf(value, sizeof(value), "%u.%u", i, k);
            assert_int_equal(publish(value, 1000, &op), ERR_OK);
        }
        rig_lose_memory(true);
        rig_defer(&rig, true);
        fake_advance(&rig.world, 1000);
        for (unsigned k = 0; k < i; k++)
            world_step(k);
        rig_kill(&rig, i % 3);
        rig_lose_memory(false);
        rig_boot(&rig);
        for (unsigned k = 0; k < 3; k++)
            wait_ms(1000);
        assert_int_equal(count_values() - before, 5);
    }
}

/* Thousands due at once, and the state log does not grow with what has gone. */
static void test_many(void **state)
{
    (void)state;
    struct publish_op op;
    for (unsigned i = 0; i < 1000; i++) {
        char value[16];
        snprintf(value, sizeof(value), "%u", i);
        assert_int_equal(publish(value, 1000 + i % 7, &op), ERR_OK);
    }
    for (unsigned i = 0; i < 5; i++)
        wait_ms(1000);
    assert_int_equal(count_values(), 1000);
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
        BOTH(test_due),
        BOTH(test_cancel),
        BOTH(test_failures),
        BOTH(test_topic_gone),
        BOTH(test_crash),
        BOTH(test_many),
        BOTH(test_cancel_meanwhile),
        BOTH(test_memory),
        BOTH(test_unreadable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
