/* Messages that are owed while all around them is settled do not hold the log. */
#include "../check.h"

#include "base/mem.h"
#include "broker/broker_internal.h"
#include "broker/stragglers.h"
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

static void put(unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        char value[16], key[16];
        snprintf(value, sizeof(value), "v%u", i);
        snprintf(key, sizeof(key), "k%u", i % 4);
        rig_put(&rig, "t", 0, key, value);
    }
}

static int64_t start_of(const struct uuid *topic)
{
    return rig_list(&rig, 0, topic, 0, LIST_EARLIEST);
}

/* The copies that there are of its messages in partition 0. */
static uint32_t copies_of(struct uuid s)
{
    for (unsigned i = 0; i < rig.n; i++) {
        const struct delivery *d = delivery_find(rig.brokers[i]->deliveries, &s, 0);
        if (d != NULL)
            return d->stragglers != NULL ? d->stragglers->n : 0;
    }
    return 0;
}

/* Something is kept, or remembered, for its partition 0. */
static bool has_set(struct uuid s)
{
    for (unsigned i = 0; i < rig.n; i++) {
        const struct delivery *d = delivery_find(rig.brokers[i]->deliveries, &s, 0);
        if (d != NULL)
            return d->stragglers != NULL;
    }
    return false;
}

static void settle(struct uuid s, const struct message *m, enum settle_verb verb, uint32_t delay_ms)
{
    struct settle_item item = {.token = m->token, .verb = verb, .delay_ms = delay_ms};
    assert_int_equal(rig_settle(&rig, 0, s, &item, 1), ERR_OK);
}

static bool is_one_of(int64_t offset, const int64_t *offsets, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (offsets[i] == offset)
            return true;
    return false;
}

/* Of n messages all are accepted but those at `left`, which stay acquired: returned. */
static struct rig_acquire *accept_but(struct uuid s, uint32_t n, const int64_t *left, size_t left_n)
{
    struct rig_acquire *a = rig_acquire(&rig, 0, s, 1, n);
    uint32_t kept = 0;
    assert_int_equal(a->op.n, n);
    for (uint32_t i = 0; i < n; i++) {
        if (!is_one_of(a->op.messages[i].offset, left, left_n)) {
            settle(s, &a->op.messages[i], SETTLE_ACCEPT, 0);
            message_drop(&a->op.messages[i]);
        } else {
            a->op.messages[kept++] = a->op.messages[i];
        }
    }
    a->op.n = kept;
    rig_run(&rig);
    return a;
}

/* Retention by time would have the log start at `to`: it is copied what is in the way, and the next
 * look finds nothing there. */
static void expire(int64_t to)
{
    fake_disk_expire(rig.disk, &log0, to);
    rig_run(&rig);
    fake_disk_expire(rig.disk, &log0, to);
    rig_run(&rig);
}

static const int64_t four[] = {2, 5, 9, 13};

/* One deferred, one delayed, one acquired, one given back; then the log loses all of them. */
static void four_left(struct uuid s, struct lock_token *acquired)
{
    put(0, 24);
    struct rig_acquire *a = accept_but(s, 24, four, 4);
    settle(s, &a->op.messages[0], SETTLE_DEFER, 0);
    settle(s, &a->op.messages[1], SETTLE_RELEASE, 20000);
    settle(s, &a->op.messages[3], SETTLE_RELEASE, 0);
    *acquired = a->op.messages[2].token;
    rig_acquire_free(a);
    assert_int_equal(start_of(&t), 0);
    expire(20);
    assert_int_equal(start_of(&t), 20);
    assert_int_equal(copies_of(s), 4);
}

static void check_four(struct uuid s, const struct lock_token *acquired)
{
    struct rig_messages m = rig_peek(&rig, 0, s, 0, 10);
    assert_string_equal(m.values, "v2 v5 v9 v13 ");
    assert_int_equal(m.states[0], MESSAGE_DEFERRED);
    assert_int_equal(m.states[1], MESSAGE_AVAILABLE);
    assert_int_equal(m.states[2], MESSAGE_ACQUIRED);
    struct ledger_stat_op stat = rig_stat(&rig, s);
    assert_int_equal(stat.deferred, 1);
    assert_int_equal(stat.delayed, 1);
    assert_int_equal(stat.acquired, 1);
    assert_int_equal(stat.ready, 1);
    assert_int_equal(stat.expired_total, 0);
    /* The lock that was there before is good. */
    struct settle_item item = {.token = *acquired, .verb = SETTLE_ACCEPT};
    assert_int_equal(rig_settle(&rig, 0, s, &item, 1), ERR_OK);
    rig_run(&rig);
    assert_int_equal(copies_of(s), 3);
    struct rig_acquire *a = rig_acquire(&rig, 0, s, 2, 10);
    assert_string_equal(rig_values(a), "v13 ");
    assert_int_equal(a->op.messages[0].offset, 13);
    assert_int_equal(a->op.messages[0].deliveries, 2);
    settle(s, &a->op.messages[0], SETTLE_ACCEPT, 0);
    rig_acquire_free(a);
    m = rig_deferred(&rig, 0, s, 2, &four[0], 1);
    assert_int_equal(m.err, ERR_OK);
    assert_string_equal(m.values, "v2 ");
    item = (struct settle_item){.token = m.tokens[0], .verb = SETTLE_ACCEPT};
    assert_int_equal(rig_settle(&rig, 0, s, &item, 1), ERR_OK);
    rig_wait(&rig, 20000);
    a = rig_acquire(&rig, 0, s, 2, 10);
    assert_string_equal(rig_values(a), "v5 ");
    settle(s, &a->op.messages[0], SETTLE_ACCEPT, 0);
    rig_acquire_free(a);
    rig_run(&rig);
    assert_int_equal(copies_of(s), 0);
    assert_int_equal(rig_peek(&rig, 0, s, 0, 10).n, 0);
}

static void test_all_states(void **state)
{
    (void)state;
    struct uuid s = rig_subscribe(&rig, "t", "s", NULL);
    struct lock_token token;
    four_left(s, &token);
    check_four(s, &token);
    rig_restart(&rig);
    assert_int_equal(copies_of(s), 0);
    assert_int_equal(rig_peek(&rig, 0, s, 0, 10).n, 0);
}

static void test_restart(void **state)
{
    (void)state;
    struct uuid s = rig_subscribe(&rig, "t", "s", NULL);
    struct lock_token token;
    four_left(s, &token);
    rig_restart(&rig);
    assert_int_equal(copies_of(s), 4);
    check_four(s, &token);
}

/* Killed at any moment of the move, and told by a small state log again and again. */
static void test_killed(void **state)
{
    (void)state;
    rig_lose_memory(true);
    for (unsigned keep = 0; keep < 6; keep++) {
        teardown(NULL);
        rig_prepare(&rig, 1);
        rig.conf.state_slack_bytes = 300;
        rig_boot(&rig);
        assert_int_equal(rig_create(&rig, 0, "t", 1), ERR_OK);
        t = rig_topic_id(&rig, "t");
        log0 = (struct store_log_id){t, 0};
        struct uuid s = rig_subscribe(&rig, "t", "s", NULL);
        put(0, 24);
        rig_acquire_free(accept_but(s, 24, four, 4));
        rig_defer(&rig, true);
        fake_disk_expire(rig.disk, &log0, 20);
        fake_disk_expire(rig.disk, &log0, 20); /* the copies are under way: not yet */
        assert_true(copies_of(s) == 4);
        rig_kill(&rig, keep);
        rig_boot(&rig);
        assert_int_equal(rig.load_err, ERR_OK);
        assert_string_equal(rig_peek(&rig, 0, s, 0, 10).values, "v2 v5 v9 v13 ");
        expire(20);
        assert_int_equal(start_of(&t), 20);
        assert_string_equal(rig_peek(&rig, 0, s, 0, 10).values, "v2 v5 v9 v13 ");
    }
    rig_lose_memory(false);
}

static void with_letters(struct subscription_conf *conf)
{
    conf->dead_letter = str_of("dead");
    conf->ttl_ms = 100000;
    conf->attempts = 2;
}

/* Time to live goes on, attempts are counted on; a dead letter names the place of the message. */
static void test_dead(void **state)
{
    (void)state;
    struct uuid s = rig_subscribe(&rig, "t", "s", with_letters);
    struct lock_token token;
    four_left(s, &token);
    struct rig_acquire *a = rig_acquire(&rig, 0, s, 2, 10);
    assert_string_equal(rig_values(a), "v13 ");
    settle(s, &a->op.messages[0], SETTLE_RELEASE, 0);
    rig_acquire_free(a);
    rig_run(&rig);
    assert_int_equal(rig_stat(&rig, s).dead_lettered_total, 1);
    assert_int_equal(copies_of(s), 3);
    assert_int_equal(rig_stat(&rig, s).deferred, 1);
    rig_wait(&rig, 101000);
    rig_wait(&rig, 101000);
    assert_int_equal(rig_stat(&rig, s).dead_lettered_total, 4);
    assert_int_equal(copies_of(s), 0);
    struct uuid dead = rig_topic_id(&rig, "dead");
    enum err err;
    char *letters = rig_read(&rig, 0, &dead, 0, 0, &err);
    assert_int_equal(err, ERR_OK);
    assert_string_equal(letters, "v13 v2 v5 v9 ");
    mem_free(letters);
}

static struct rewind_op to_offset(struct uuid s, int64_t offset)
{
    return (struct rewind_op){
        .actor = &rig_actor, .subscription = s, .partition = -1, .time_ms = -1, .offset = offset};
}

/* A rewind begins anew with what is owed from its place on, wherever that is kept. */
static void test_rewind(void **state)
{
    (void)state;
    struct uuid s = rig_subscribe(&rig, "t", "s", NULL);
    struct lock_token token;
    four_left(s, &token);
    struct rewind_op op = to_offset(s, 5);
    assert_int_equal(rig_rewind(&rig, 0, &op), ERR_OK);
    rig_run(&rig);
    assert_string_equal(rig_peek(&rig, 0, s, 0, 10).values, "v5 v9 v13 v20 v21 v22 v23 ");
    assert_int_equal(copies_of(s), 3);
    op = to_offset(s, LIST_EARLIEST);
    assert_int_equal(rig_rewind(&rig, 0, &op), ERR_OK);
    rig_restart(&rig);
    struct rig_acquire *a = rig_acquire(&rig, 0, s, 7, 10);
    assert_string_equal(rig_values(a), "v5 v9 v13 v20 v21 v22 v23 ");
    assert_int_equal(a->op.messages[0].deliveries, 1);
    rig_acquire_free(a);
    op = to_offset(s, LIST_LATEST);
    assert_int_equal(rig_rewind(&rig, 0, &op), ERR_OK);
    rig_run(&rig);
    assert_int_equal(copies_of(s), 0);
    assert_int_equal(rig_peek(&rig, 0, s, 0, 10).n, 0);
}

/* DeleteRecords deletes copies, too; and so does the end of the subscription. */
static void test_deleted(void **state)
{
    (void)state;
    struct uuid s = rig_subscribe(&rig, "t", "s", NULL), u = rig_subscribe(&rig, "t", "u", NULL);
    struct lock_token token;
    put(0, 24);
    rig_acquire_free(accept_but(u, 24, four, 2));
    fake_disk_expire(rig.disk, &log0, 0);
    rig_restart(&rig);
    (void)token;
    rig_acquire_free(accept_but(s, 24, four, 4));
    expire(20);
    assert_int_equal(start_of(&t), 20);
    assert_int_equal(copies_of(s), 4);
    assert_int_equal(copies_of(u), 2);
    assert_int_equal(rig_unsubscribe(&rig, "t", "u"), ERR_OK);
    rig_run(&rig);
    assert_int_equal(rig_trim(&rig, &t, 0, 21), ERR_OK);
    rig_run(&rig);
    assert_int_equal(copies_of(s), 0);
    assert_int_equal(rig_stat(&rig, s).expired_total, 4);
    rig_restart(&rig);
    assert_int_equal(copies_of(s), 0);
    assert_int_equal(rig_peek(&rig, 0, s, 0, 10).n, 0);
}

/* Many are a backlog: it stays, and by size it is given up as ever. */
static void test_backlog(void **state)
{
    (void)state;
    struct uuid s = rig_subscribe(&rig, "t", "s", NULL);
    put(0, 24);
    struct rig_acquire *a = rig_acquire(&rig, 0, s, 1, 10);
    assert_int_equal(rig_settle_all(&rig, 0, s, a, SETTLE_ACCEPT), ERR_OK);
    rig_acquire_free(a);
    rig_run(&rig);
    expire(20);
    assert_int_equal(start_of(&t), 10);
    assert_int_equal(copies_of(s), 0);
    fake_disk_retain(rig.disk, &log0, 20);
    rig_run(&rig);
    assert_int_equal(rig_stat(&rig, s).expired_total, 10);
    fake_disk_retain(rig.disk, &log0, 20);
    assert_int_equal(start_of(&t), 20);
}

/* By size, stragglers are not given up. */
static void test_full(void **state)
{
    (void)state;
    struct uuid s = rig_subscribe(&rig, "t", "s", NULL);
    put(0, 24);
    rig_acquire_free(accept_but(s, 24, four, 4));
    fake_disk_retain(rig.disk, &log0, 20);
    rig_run(&rig);
    fake_disk_retain(rig.disk, &log0, 20);
    assert_int_equal(start_of(&t), 20);
    assert_int_equal(rig_stat(&rig, s).expired_total, 0);
    assert_string_equal(rig_peek(&rig, 0, s, 0, 10).values, "v2 v5 v9 v13 ");
}

/* A copy that could not be stored is not tried again before the next sweep, though the log asks. */
static void test_not_stored(void **state)
{
    (void)state;
    struct uuid s = rig_subscribe(&rig, "t", "s", NULL);
    put(0, 24);
    rig_acquire_free(accept_but(s, 24, four, 4));
    fake_disk_fail(rig.disk, FAKE_COMMIT, 1, 1, ERR_DISK_FULL);
    expire(20);
    assert_int_equal(copies_of(s), 0);
    expire(20);
    assert_int_equal(copies_of(s), 0);
    assert_int_equal(start_of(&t), 2);
    assert_true(has_set(s));
    rig_wait(&rig, 60000);
    assert_false(has_set(s));
    expire(20);
    assert_int_equal(copies_of(s), 4);
    assert_int_equal(start_of(&t), 20);
}

static void by_key(struct subscription_conf *conf)
{
    conf->order = ORDER_KEY;
    conf->attempts = 1000;
}

static void of_k1(struct acquire_op *op)
{
    op->session = STR_LIT("k1");
}

/* Sessions have their messages in order, those that the log lost first. */
static void test_sessions(void **state)
{
    (void)state;
    struct uuid s = rig_subscribe(&rig, "t", "s", by_key);
    unsigned owner = 1, holder = 0, seen = 0;
    bool first = false;
    struct rig_acquire *a;
    put(0, 24);
    for (; (a = rig_acquire(&rig, 0, s, owner, 24))->op.n > 0; owner++) {
        bool hold = a->op.messages[0].offset == 1;
        holder = hold ? owner : holder;
        for (uint32_t k = hold; k < a->op.n; k++)
            settle(s, &a->op.messages[k], SETTLE_ACCEPT, 0);
        rig_acquire_free(a);
        if (!hold)
            assert_int_equal(rig_release(&rig, 0, s, owner, true), ERR_OK);
    }
    rig_acquire_free(a);
    a = rig_acquire_with(&rig, 0, s, holder, 24, 0, of_k1);
    rig_run(&rig);
    assert_int_equal(rig_settle_all(&rig, 0, s, a, SETTLE_ACCEPT), ERR_OK);
    rig_acquire_free(a);
    assert_int_equal(rig_release(&rig, 0, s, holder, true), ERR_OK);
    expire(20);
    assert_int_equal(start_of(&t), 20);
    assert_int_equal(copies_of(s), 1);
    put(24, 28);
    rig_restart(&rig);
    for (; (a = rig_acquire(&rig, 0, s, ++owner, 24))->op.n > 0; rig_acquire_free(a)) {
        first = first || a->op.messages[0].offset == 1;
        assert_true(first || a->op.messages[0].offset != 25); /* its session's next one */
        seen += a->op.n;
        assert_int_equal(rig_settle_all(&rig, 0, s, a, SETTLE_ACCEPT), ERR_OK);
        assert_int_equal(rig_release(&rig, 0, s, owner, true), ERR_OK);
    }
    rig_acquire_free(a);
    assert_int_equal(seen, 5);
    rig_run(&rig);
    assert_int_equal(copies_of(s), 0);
}

/* A queue, which is kept until all is settled, lets go of what lies behind a straggler. */
static void test_queue(void **state)
{
    (void)state;
    struct uuid q = rig_queue(&rig, "q", 1);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(rig_produce(&rig, 0, &q, 0, rig_batch(1000, 1), NULL), ERR_OK);
    struct rig_acquire *a = rig_acquire(&rig, 0, q, 1, 2500);
    assert_int_equal(a->op.n, 2500);
    settle(q, &a->op.messages[0], SETTLE_DEFER, 0);
    for (uint32_t i = 1; i < 2500; i++)
        settle(q, &a->op.messages[i], SETTLE_ACCEPT, 0);
    rig_acquire_free(a);
    rig_wait(&rig, 2000);
    assert_int_equal(start_of(&q), 0);
    rig_wait(&rig, 60000);
    rig_wait(&rig, 2000);
    assert_int_equal(start_of(&q), 2500);
    assert_int_equal(copies_of(q), 1);
    struct rig_messages m = rig_deferred(&rig, 0, q, 1, (const int64_t[]){0}, 1);
    assert_string_equal(m.values, "v0 ");
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
        BOTH(test_all_states), BOTH(test_restart),  ONE(test_killed),   BOTH(test_dead),
        BOTH(test_rewind),     BOTH(test_deleted),  BOTH(test_backlog), BOTH(test_full),
        BOTH(test_not_stored), BOTH(test_sessions), BOTH(test_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
