/* Receivers over several partitions, limits of what is in flight, sessions, growth. */
#include "../check.h"

#include "base/mem.h"
#include "delivery_rig.h"

#include <stdio.h>
#include <string.h>

static struct rig rig;

static int setup(void **state)
{
    rig_make(&rig, *state != NULL ? 3 : 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_free(&rig);
    return 0;
}

static void put(const char *topic, int32_t partition, const char *key, unsigned n)
{
    char value[32];
    snprintf(value, sizeof(value), "%d.%u", partition, n);
    rig_put(&rig, topic, partition, key, value);
}

static bool has(const struct rig_acquire *a, const char *value)
{
    char text[64];
    snprintf(text, sizeof(text), "%s ", value);
    return strstr(rig_values(a), text) != NULL;
}

/* One call takes from all partitions; all receivers together get each message once. */
static void test_all_partitions(void **state)
{
    (void)state;
    struct uuid q = rig_queue(&rig, "q", 5);
    for (int32_t p = 0; p < 5; p++)
        for (unsigned i = 0; i < 4; i++)
            put("q", p, NULL, i);
    struct rig_acquire *a = rig_acquire(&rig, 0, q, 1, 15), *b = rig_acquire(&rig, 0, q, 2, 15);
    assert_int_equal(a->op.n, 15);
    assert_int_equal(b->op.n, 5);
    for (int32_t p = 0; p < 5; p++) {
        for (unsigned i = 0; i < 4; i++) {
            char value[32];
            snprintf(value, sizeof(value), "%d.%u", p, i);
            assert_int_equal(has(a, value) + has(b, value), 1);
        }
    }
    assert_int_equal(rig_settle_all(&rig, 0, q, a, SETTLE_ACCEPT), ERR_OK);
    assert_int_equal(rig_settle_all(&rig, rig.n - 1, q, b, SETTLE_ACCEPT), ERR_OK);
    rig_acquire_free(a);
    rig_acquire_free(b);
    rig_restart(&rig);
    rig_wait(&rig, 61000);
    a = rig_acquire(&rig, 0, q, 1, 5);
    assert_int_equal(a->op.n, 0);
    rig_acquire_free(a);
}

static void partition_two(struct acquire_op *op)
{
    op->partition = 2;
}

static void partition_nine(struct acquire_op *op)
{
    op->partition = 9;
}

static void test_one_partition(void **state)
{
    (void)state;
    struct uuid q = rig_queue(&rig, "q", 4);
    put("q", 0, NULL, 0);
    struct rig_acquire *a = rig_acquire_with(&rig, 0, q, 1, 5, 10000, partition_two);
    struct rig_acquire *b = rig_acquire_start(&rig, 0, q, 2, 5, 10000);
    rig_run(&rig);
    assert_false(a->done);
    assert_true(b->done);
    assert_string_equal(rig_values(b), "0.0 ");
    rig_acquire_free(b);
    put("q", 1, NULL, 0);
    assert_false(a->done);
    put("q", 2, NULL, 0);
    rig_run(&rig);
    assert_true(a->done);
    assert_string_equal(rig_values(a), "2.0 ");
    rig_acquire_free(a);
    a = rig_acquire_with(&rig, 0, q, 1, 5, 0, partition_nine);
    rig_run(&rig);
    assert_int_equal(a->op.op.err, ERR_TOPIC_UNKNOWN);
    rig_acquire_free(a);
}

/* Who asks for one at a time gets one of each partition before the second of any. */
static void test_turns(void **state)
{
    (void)state;
    struct uuid q = rig_queue(&rig, "q", 3);
    for (int32_t p = 0; p < 3; p++)
        for (unsigned i = 0; i < 3; i++)
            put("q", p, NULL, i);
    for (unsigned i = 0; i < 3; i++) {
        unsigned seen = 0;
        for (unsigned p = 0; p < 3; p++) {
            struct rig_acquire *a = rig_acquire(&rig, 0, q, 1, 1);
            assert_int_equal(a->op.n, 1);
            assert_int_equal(a->op.messages[0].offset, i);
            seen |= 1u << a->op.messages[0].partition;
            rig_acquire_free(a);
        }
        assert_int_equal(seen, 7);
    }
}

static void in_flight_four(struct subscription_conf *conf)
{
    conf->in_flight_max = 4;
}

/* Over all partitions and receivers there are never more than so many acquired. */
static void test_in_flight(void **state)
{
    (void)state;
    assert_int_equal(rig_create(&rig, 0, "t", 3), ERR_OK);
    struct uuid s = rig_subscribe(&rig, "t", "s", in_flight_four);
    for (int32_t p = 0; p < 3; p++)
        for (unsigned i = 0; i < 4; i++)
            put("t", p, NULL, i);
    struct rig_acquire *a[8];
    uint32_t n = 0;
    for (unsigned i = 0; i < 8; i++)
        a[i] = rig_acquire_start(&rig, i % rig.n, s, i + 1, 2, 1000000);
    rig_run(&rig);
    for (unsigned i = 0; i < 8; i++)
        n += a[i]->done ? a[i]->op.n : 0;
    assert_int_equal(n, 4);
    assert_int_equal(rig_stat(&rig, s).acquired, 4);
    /* settled ones make room for as many */
    bool settled[8] = {false};
    for (unsigned i = 0; i < 8 * 8; i++) {
        if (!a[i % 8]->done || settled[i % 8])
            continue;
        settled[i % 8] = true;
        assert_int_equal(rig_settle_all(&rig, 0, s, a[i % 8], SETTLE_ACCEPT), ERR_OK);
        rig_run(&rig);
        assert_true(rig_stat(&rig, s).acquired <= 4);
    }
    n = 0;
    for (unsigned i = 0; i < 8; i++)
        n += a[i]->done ? a[i]->op.n : 0;
    assert_int_equal(n, 12);
    rig_wait(&rig, 1000001);
    for (unsigned i = 0; i < 8; i++)
        rig_acquire_free(a[i]);
}

/* A partition that comes later is received from its beginning, by those who wait already, too. */
static void test_growth(void **state)
{
    (void)state;
    struct uuid q = rig_queue(&rig, "q", 1);
    struct rig_acquire *a = rig_acquire_start(&rig, 0, q, 1, 5, 10000);
    rig_run(&rig);
    assert_int_equal(rig_grow(&rig, 0, "q", 3), ERR_OK);
    put("q", 2, NULL, 0);
    rig_run(&rig);
    assert_true(a->done);
    assert_string_equal(rig_values(a), "2.0 ");
    rig_acquire_free(a);
    rig_restart(&rig);
    put("q", 1, NULL, 0);
    a = rig_acquire(&rig, 0, q, 1, 5);
    assert_string_equal(rig_values(a), "1.0 ");
    rig_acquire_free(a);
}

/* A topic that promises nothing loses its tail in a power cut; what is written there next is
 * delivered all the same. */
static void test_ahead_of_log(void **state)
{
    (void)state;
    struct uuid q = rig_queue(&rig, "q", 1);
    struct store_log_id log = {q, 0};
    for (unsigned i = 0; i < 6; i++)
        put("q", 0, NULL, i);
    struct rig_acquire *a = rig_acquire(&rig, 0, q, 1, 5);
    assert_int_equal(a->op.n, 5);
    struct settle_item items[3];
    for (unsigned i = 0; i < 3; i++)
        items[i] =
            (struct settle_item){.token = a->op.messages[i + 1].token, .verb = SETTLE_ACCEPT};
    assert_int_equal(rig_settle(&rig, 0, q, items, 3), ERR_OK);
    rig_acquire_free(a);
    for (unsigned life = 0; life < 2; life++) { /* the second one forgets nothing of the first */
        rig_run(&rig);
        rig_kill(&rig, 0);
        if (life == 0)
            fake_disk_cut(rig.disk, &log, 2);
        rig_boot(&rig);
        assert_int_equal(rig.load_err, ERR_OK);
    }
    rig_put(&rig, "q", 0, NULL, "new2");
    rig_put(&rig, "q", 0, NULL, "new3");
    rig_wait(&rig, 61000);
    a = rig_acquire(&rig, 0, q, 1, 5);
    assert_string_equal(rig_values(a), "0.0 new2 new3 ");
    assert_int_equal(a->op.messages[0].deliveries, 2);
    assert_int_equal(a->op.messages[1].deliveries, 1);
    rig_acquire_free(a);
}

struct busy {
    struct peek_op peek;
    struct rewind_op rewind;
    struct ledger_stat_op stat;
    struct release_op release;
    unsigned answered;
};

static struct busy *busy_now;

static void busy_done(struct op *op)
{
    op->done = NULL;
    busy_now->answered++;
}

/* The topic goes while all kinds of verbs are on their way: each is answered, nothing is left. */
static void test_deleted_meanwhile(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 60; i++) {
        struct uuid q = rig_queue(&rig, "x", 3);
        struct busy b = {.peek = {.subscription = q, .partition = -1, .messages_max = 10},
                         .rewind = {.subscription = q, .partition = -1, .time_ms = 1},
                         .stat = {.subscription = q, .oldest = true},
                         .release = {.subscription = q, .owner = 1}};
        busy_now = &b;
        for (int32_t p = 0; p < 3; p++)
            put("x", p, NULL, 0);
        struct rig_acquire *held = rig_acquire(&rig, 0, q, 1, 1);
        struct settle_item item = {.token = held->op.messages[0].token, .verb = SETTLE_REJECT};
        struct settle_op settle = {
            .op.done = busy_done, .subscription = q, .items = &item, .items_n = 1};
        b.peek.op.done = b.rewind.op.done = b.stat.op.done = b.release.op.done = busy_done;
        rig_defer(&rig, true);
        struct rig_acquire *a = rig_acquire_start(&rig, i % rig.n, q, 2, 5, 0);
        struct rig_acquire *w = rig_acquire_with(&rig, 0, q, 3, 5, 100000, partition_two);
        broker_settle(rig.brokers[0], &settle);
        broker_peek(rig.brokers[rig.n - 1], &b.peek);
        broker_rewind(rig.brokers[0], &b.rewind);
        broker_ledger_stat(rig.brokers[0], &b.stat);
        broker_release_all(rig.brokers[0], &b.release);
        for (unsigned k = 0; k < i / 2; k++) {
            fake_deliver(&rig.world, k % rig.n);
            if (k % 4 == 3)
                fake_fire(&rig.world);
            if (k % 3 == 2)
                fake_store_step(rig.stores[k / 3 % rig.n]);
        }
        assert_int_equal(rig_delete(&rig, 0, "x"), ERR_OK);
        rig_defer(&rig, false);
        rig_run(&rig);
        rig_wait(&rig, 100001);
        assert_int_equal(b.answered, 5);
        assert_true(a->done && w->done);
        rig_acquire_free(a);
        rig_acquire_free(w);
        rig_acquire_free(held);
        peek_free(&b.peek);
    }
}

/* ---- sessions ---- */

static void ordered(struct subscription_conf *conf)
{
    conf->order = ORDER_KEY;
}

static void session_a(struct acquire_op *op)
{
    op->session = STR_LIT("a");
}

static void test_sessions(void **state)
{
    (void)state;
    assert_int_equal(rig_create(&rig, 0, "t", 1), ERR_OK);
    struct uuid s = rig_subscribe(&rig, "t", "s", ordered);
    rig_put(&rig, "t", 0, "a", "a0");
    rig_put(&rig, "t", 0, "b", "b0");
    rig_put(&rig, "t", 0, "a", "a1");
    struct rig_acquire *a = rig_acquire(&rig, 0, s, 1, 10), *b = rig_acquire(&rig, 0, s, 2, 10);
    assert_string_equal(rig_values(a), "a0 a1 ");
    assert_true(str_is(a->op.session_out, "a"));
    assert_int_equal(a->op.session_locked_until_ms, rig_env(&rig, 0)->now_ms + 60000);
    assert_string_equal(rig_values(b), "b0 ");
    assert_true(str_is(b->op.session_out, "b"));
    rig_acquire_free(b);
    b = rig_acquire(&rig, 0, s, 3, 10);
    assert_int_equal(b->op.n, 0);
    assert_null(b->op.session_out.at);
    rig_acquire_free(b);
    /* somebody else's */
    b = rig_acquire_with(&rig, 0, s, 3, 10, 0, session_a);
    rig_run(&rig);
    assert_int_equal(b->op.op.err, ERR_SESSION_LOCKED);
    rig_acquire_free(b);
    /* the holder waits for the next one of its session */
    assert_int_equal(rig_settle_all(&rig, 0, s, a, SETTLE_ACCEPT), ERR_OK);
    rig_acquire_free(a);
    a = rig_acquire_with(&rig, rig.n - 1, s, 1, 10, 10000, session_a);
    rig_run(&rig);
    assert_false(a->done);
    rig_put(&rig, "t", 0, "c", "c0");
    assert_false(a->done);
    rig_put(&rig, "t", 0, "a", "a2");
    rig_run(&rig);
    assert_true(a->done);
    assert_string_equal(rig_values(a), "a2 ");
    rig_acquire_free(a);
    /* a session that is released goes to the next one */
    assert_int_equal(rig_release(&rig, 0, s, 1, false), ERR_OK);
    a = rig_acquire_with(&rig, 0, s, 3, 10, 0, session_a);
    rig_run(&rig);
    assert_string_equal(rig_values(a), "a2 ");
    assert_int_equal(a->op.messages[0].deliveries, 2);
    /* who holds it waits for one that was released, too */
    struct settle_item later = {
        .token = a->op.messages[0].token, .verb = SETTLE_RELEASE, .delay_ms = 500};
    assert_int_equal(rig_settle(&rig, 0, s, &later, 1), ERR_OK);
    rig_acquire_free(a);
    a = rig_acquire_with(&rig, 0, s, 3, 10, 10000, session_a);
    rig_run(&rig);
    assert_false(a->done);
    rig_wait(&rig, 500);
    assert_true(a->done);
    assert_string_equal(rig_values(a), "a2 ");
    rig_acquire_free(a);
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
        BOTH(test_all_partitions), BOTH(test_one_partition),
        BOTH(test_turns),          BOTH(test_in_flight),
        BOTH(test_growth),         BOTH(test_ahead_of_log),
        BOTH(test_sessions),       BOTH(test_deleted_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
