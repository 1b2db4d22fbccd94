/* Messages received and settled: one subscription's way through acquire, settle, release, locks and
 * restarts, on one reactor and on three. */
#include "../check.h"

#include "base/mem.h"
#include "delivery_rig.h"

#include <stdio.h>
#include <string.h>

static struct rig rig;
static struct uuid q;

static int setup_n(unsigned reactors)
{
    rig_make(&rig, reactors);
    q = rig_queue(&rig, "q", 1);
    return 0;
}

static int setup(void **state)
{
    return setup_n(*state != NULL ? 3 : 1);
}

static int teardown(void **state)
{
    (void)state;
    rig_free(&rig);
    return 0;
}

static void put_n(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        char value[16];
        snprintf(value, sizeof(value), "v%u", i);
        rig_put(&rig, "q", 0, NULL, value);
    }
}

static void check_acquire(uint32_t n, const char *values)
{
    struct rig_acquire *a = rig_acquire(&rig, rig.n - 1, q, 1, n);
    assert_int_equal(a->op.op.err, ERR_OK);
    assert_string_equal(rig_values(a), values);
    rig_acquire_free(a);
}

static void test_acquire_accept(void **state)
{
    (void)state;
    check_acquire(10, "");
    assert_int_equal(rig_stat(&rig, q).oldest_ms, -1);
    put_n(5);
    struct rig_acquire *a = rig_acquire(&rig, 0, q, 1, 3);
    assert_string_equal(rig_values(a), "v0 v1 v2 ");
    for (uint32_t i = 0; i < 3; i++) {
        const struct message *m = &a->op.messages[i];
        assert_int_equal(m->offset, i);
        assert_int_equal(m->partition, 0);
        assert_int_equal(m->deliveries, 1);
        assert_int_equal(m->state, MESSAGE_ACQUIRED);
        assert_int_equal(m->locked_until_ms, rig_env(&rig, 0)->now_ms + 60000);
        assert_int_equal(m->append_ms, rig_env(&rig, 0)->now_ms);
    }
    struct ledger_stat_op stat = rig_stat(&rig, q);
    assert_int_equal(stat.oldest_ms, rig_env(&rig, 0)->now_ms);
    assert_int_equal(stat.ready, 2);
    assert_int_equal(stat.acquired, 3);
    assert_int_equal(rig_settle_all(&rig, 0, q, a, SETTLE_ACCEPT), ERR_OK);
    assert_int_equal(rig_settle_all(&rig, 0, q, a, SETTLE_ACCEPT), ERR_LOCK_LOST);
    rig_acquire_free(a);
    check_acquire(10, "v3 v4 ");
    check_acquire(10, "");
    stat = rig_stat(&rig, q);
    assert_int_equal(stat.ready, 0);
    assert_int_equal(stat.acquired, 2);
    assert_int_equal(stat.accepted_total, 3);
}

static void test_lock_runs_out(void **state)
{
    (void)state;
    put_n(3);
    struct rig_acquire *a = rig_acquire(&rig, 0, q, 1, 2), *b;
    assert_string_equal(rig_values(a), "v0 v1 ");
    rig_wait(&rig, 30000);
    struct settle_item renew = {.token = a->op.messages[1].token, .verb = SETTLE_RENEW};
    assert_int_equal(rig_settle(&rig, 0, q, &renew, 1), ERR_OK);
    assert_int_equal(renew.locked_until_ms, rig_env(&rig, 0)->now_ms + 60000);
    rig_wait(&rig, 31000);
    b = rig_acquire(&rig, 0, q, 2, 10);
    assert_string_equal(rig_values(b), "v0 v2 ");
    assert_int_equal(b->op.messages[0].deliveries, 2);
    assert_int_equal(b->op.messages[1].deliveries, 1);
    struct settle_item items[2] = {{.token = a->op.messages[0].token, .verb = SETTLE_ACCEPT},
                                   {.token = a->op.messages[1].token, .verb = SETTLE_ACCEPT}};
    assert_int_equal(rig_settle(&rig, 0, q, items, 2), ERR_OK);
    assert_int_equal(items[0].err, ERR_LOCK_LOST);
    assert_int_equal(items[1].err, ERR_OK);
    rig_acquire_free(a);
    rig_acquire_free(b);
}

static void test_release(void **state)
{
    (void)state;
    put_n(2);
    struct rig_acquire *a = rig_acquire(&rig, 0, q, 1, 2);
    struct settle_item items[2] = {
        {.token = a->op.messages[0].token, .verb = SETTLE_RELEASE, .delay_ms = 5000},
        {.token = a->op.messages[1].token, .verb = SETTLE_RELEASE, .uncounted = true}};
    assert_int_equal(rig_settle(&rig, 0, q, items, 2), ERR_OK);
    rig_acquire_free(a);
    assert_int_equal(rig_stat(&rig, q).delayed, 1);
    a = rig_acquire(&rig, 0, q, 1, 2);
    assert_string_equal(rig_values(a), "v1 ");
    assert_int_equal(a->op.messages[0].deliveries, 1); /* the first one was not counted */
    rig_acquire_free(a);
    rig_wait(&rig, 5000);
    a = rig_acquire(&rig, 0, q, 1, 2);
    assert_string_equal(rig_values(a), "v0 ");
    assert_int_equal(a->op.messages[0].deliveries, 2);
    rig_acquire_free(a);
}

/* Over a restart: what was settled stays so, locks and tokens hold, counts do not go down. */
static void test_restart(void **state)
{
    (void)state;
    put_n(6);
    struct rig_acquire *a = rig_acquire(&rig, 0, q, 1, 4), *b;
    struct settle_item items[2] = {{.token = a->op.messages[1].token, .verb = SETTLE_ACCEPT},
                                   {.token = a->op.messages[2].token, .verb = SETTLE_RELEASE}};
    assert_int_equal(rig_settle(&rig, 0, q, items, 2), ERR_OK);
    rig_restart(&rig);
    b = rig_acquire(&rig, 0, q, 2, 10);
    assert_string_equal(rig_values(b), "v2 v4 v5 ");
    assert_int_equal(b->op.messages[0].deliveries, 2);
    assert_int_equal(b->op.messages[1].deliveries, 1);
    struct settle_item late = {.token = a->op.messages[0].token, .verb = SETTLE_ACCEPT};
    assert_int_equal(rig_settle(&rig, 0, q, &late, 1), ERR_OK);
    rig_acquire_free(a);
    rig_acquire_free(b);
    rig_wait(&rig, 61000);
    b = rig_acquire(&rig, 0, q, 3, 10);
    assert_string_equal(rig_values(b), "v2 v3 v4 v5 ");
    assert_int_equal(b->op.messages[0].deliveries, 3);
    assert_int_equal(b->op.messages[1].deliveries, 2);
    rig_acquire_free(b);
}

/* Who held something before a restart is nobody who receives after it. */
static void test_owners(void **state)
{
    (void)state;
    uint64_t before = broker_owner(rig.brokers[0]), next = broker_owner(rig.brokers[0]);
    assert_int_not_equal(before, next);
    assert_int_not_equal(before, broker_owner(rig.brokers[rig.n - 1]));
    rig_restart(&rig);
    for (int i = 0; i < 10; i++)
        assert_true(broker_owner(rig.brokers[0]) > next);
}

/* A receiver waits until something comes, or its time is over, or it is cancelled. */
static void test_wait(void **state)
{
    (void)state;
    struct rig_acquire *a = rig_acquire_start(&rig, 0, q, 1, 5, 10000);
    rig_run(&rig);
    assert_false(a->done);
    put_n(2);
    rig_run(&rig);
    assert_true(a->done);
    assert_string_equal(rig_values(a), "v0 "); /* what was there first */
    rig_acquire_free(a);
    check_acquire(5, "v1 ");
    a = rig_acquire_start(&rig, 0, q, 1, 5, 10000);
    rig_wait(&rig, 9000);
    assert_false(a->done);
    rig_wait(&rig, 2000);
    assert_true(a->done);
    assert_int_equal(a->op.n, 0);
    rig_acquire_free(a);
    a = rig_acquire_start(&rig, 0, q, 1, 5, 10000);
    rig_run(&rig);
    broker_acquire_cancel(rig.brokers[0], &a->op);
    rig_run(&rig);
    assert_true(a->done);
    rig_acquire_free(a);
    a = rig_acquire_start(&rig, 0, q, 1, 5, 10000); /* at once */
    broker_acquire_cancel(rig.brokers[0], &a->op);
    rig_run(&rig);
    assert_true(a->done);
    rig_acquire_free(a);
    /* a lock that runs out wakes, too */
    a = rig_acquire_start(&rig, 0, q, 1, 5, 100000);
    rig_wait(&rig, 61000);
    assert_true(a->done);
    assert_string_equal(rig_values(a), "v0 v1 ");
    rig_acquire_free(a);
}

/* Those who wait get one each, the longest waiting first. */
static void test_fair(void **state)
{
    (void)state;
    struct rig_acquire *a[4];
    for (unsigned i = 0; i < 4; i++)
        a[i] = rig_acquire_start(&rig, i % rig.n, q, i + 1, 1, 10000);
    rig_run(&rig);
    for (unsigned i = 0; i < 3; i++) {
        char value[8], want[16];
        snprintf(value, sizeof(value), "%u", i);
        snprintf(want, sizeof(want), "%u ", i);
        rig_put(&rig, "q", 0, NULL, value);
        rig_run(&rig);
        assert_string_equal(rig.n == 1 && a[i]->done ? rig_values(a[i]) : want, want);
    }
    unsigned done = 0;
    for (unsigned i = 0; i < 4; i++)
        done += a[i]->done;
    assert_int_equal(done, 3);
    if (rig.n == 1)
        assert_false(a[3]->done);
    rig_wait(&rig, 11000);
    for (unsigned i = 0; i < 4; i++)
        rig_acquire_free(a[i]);
}

/* Nobody knows yet what there is: who cannot wait for the first one's answer asks, too. */
static void test_at_once(void **state)
{
    (void)state;
    struct rig_acquire *a[3];
    put_n(6);
    for (unsigned i = 0; i < 3; i++)
        a[i] = rig_acquire_start(&rig, 0, q, i + 1, 2, 0);
    rig_run(&rig);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(a[i]->op.n, 2);
        rig_acquire_free(a[i]);
    }
}

static void change_settled(struct acquire_op *op)
{
    op->settled = true;
}

static void test_settled_at_once(void **state)
{
    (void)state;
    put_n(3);
    struct rig_acquire *a = rig_acquire_with(&rig, 0, q, 1, 2, 0, change_settled);
    rig_run(&rig);
    assert_string_equal(rig_values(a), "v0 v1 ");
    rig_acquire_free(a);
    assert_int_equal(rig_stat(&rig, q).acquired, 0);
    rig_restart(&rig);
    rig_wait(&rig, 100000);
    check_acquire(5, "v2 ");
}

/* What a receiver held is there for others at once, and uncounted if it never looked. */
static void test_release_all(void **state)
{
    (void)state;
    put_n(4);
    rig_acquire_free(rig_acquire(&rig, 0, q, 1, 2));
    rig_acquire_free(rig_acquire(&rig, 0, q, 2, 2));
    struct rig_acquire *w = rig_acquire_start(&rig, 0, q, 3, 5, 10000);
    rig_run(&rig);
    assert_false(w->done);
    assert_int_equal(rig_release(&rig, rig.n - 1, q, 1, true), ERR_OK);
    assert_true(w->done);
    assert_string_equal(rig_values(w), "v0 v1 ");
    assert_int_equal(w->op.messages[0].deliveries, 1);
    rig_acquire_free(w);
    assert_int_equal(rig_release(&rig, 0, (struct uuid){0}, 2, false), ERR_OK);
    w = rig_acquire(&rig, 0, q, 4, 5);
    assert_string_equal(rig_values(w), "v2 v3 ");
    assert_int_equal(w->op.messages[0].deliveries, 2);
    rig_acquire_free(w);
}

/* What cannot be written is not settled, is said so, and can be settled again; what was to be
 * acquired is there for the next one. */
static void test_disk_full(void **state)
{
    (void)state;
    put_n(3);
    struct rig_acquire *a = rig_acquire(&rig, 0, q, 1, 2);
    fake_disk_fail(rig.disk, FAKE_COMMIT, 1, 1, ERR_DISK_FULL);
    assert_int_equal(rig_settle_all(&rig, 0, q, a, SETTLE_ACCEPT), ERR_DISK_FULL);
    assert_int_equal(rig_stat(&rig, q).acquired, 2);
    assert_int_equal(rig_settle_all(&rig, 0, q, a, SETTLE_ACCEPT), ERR_OK);
    rig_acquire_free(a);
    fake_disk_fail(rig.disk, FAKE_COMMIT, 1, 1, ERR_DISK_FULL);
    a = rig_acquire(&rig, 0, q, 1, 2);
    assert_int_equal(a->op.op.err, ERR_DISK_FULL);
    assert_int_equal(a->op.n, 0);
    rig_acquire_free(a);
    check_acquire(5, "v2 ");
    rig_restart(&rig);
    rig_wait(&rig, 61000);
    check_acquire(5, "v2 ");
}

static void test_errors(void **state)
{
    (void)state;
    struct uuid nobody = {{1}};
    struct rig_acquire *a = rig_acquire(&rig, 0, nobody, 1, 1);
    assert_int_equal(a->op.op.err, ERR_NOT_FOUND);
    rig_acquire_free(a);
    a = rig_acquire(&rig, 0, q, 1, ACQUIRE_MESSAGES_MAX + 1);
    assert_int_equal(a->op.op.err, ERR_REQUEST_INVALID);
    rig_acquire_free(a);
    struct settle_item items[2] = {{.verb = SETTLE_ACCEPT}, {.verb = SETTLE_RELEASE}};
    memset(items[1].token.b, 0xff, sizeof(items[1].token.b));
    assert_int_equal(rig_settle(&rig, 0, q, items, 2), ERR_LOCK_LOST);
    assert_int_equal(items[0].err, ERR_LOCK_LOST);
    assert_int_equal(items[1].err, ERR_LOCK_LOST);
    assert_int_equal(rig_settle(&rig, 0, nobody, items, 2), ERR_NOT_FOUND);
}

/* The queue goes: who waits is told, and a new one of that name begins empty. */
static void test_deleted(void **state)
{
    (void)state;
    put_n(2);
    struct rig_acquire *held = rig_acquire(&rig, 0, q, 1, 2);
    struct rig_acquire *w = rig_acquire_start(&rig, rig.n - 1, q, 3, 5, 10000);
    rig_run(&rig);
    assert_int_equal(rig_delete(&rig, 0, "q"), ERR_OK);
    assert_true(w->done);
    assert_int_equal(w->op.op.err, ERR_NOT_FOUND);
    rig_acquire_free(w);
    assert_int_equal(rig_settle_all(&rig, 0, q, held, SETTLE_ACCEPT), ERR_NOT_FOUND);
    rig_acquire_free(held);
    q = rig_queue(&rig, "q", 1);
    check_acquire(5, "");
    put_n(1);
    check_acquire(5, "v0 ");
    rig_restart(&rig);
    assert_int_equal(rig_stat(&rig, q).acquired, 1);
}

static void short_lock(struct acquire_op *op)
{
    op->lock_ms = 1;
}

/* A ledger that nobody touches needs less memory, and forgets nothing. */
static void test_idle(void **state)
{
    (void)state;
    struct uuid id = rig_topic_id(&rig, "q");
    assert_int_equal(rig_produce(&rig, 0, &id, 0, rig_batch(600, 1), NULL), ERR_OK);
    struct rig_acquire *a = rig_acquire_with(&rig, 0, q, 1, 600, 0, short_lock);
    rig_run(&rig);
    assert_int_equal(a->op.n, 600);
    rig_acquire_free(a);
    rig_wait(&rig, 10);
    uint64_t bytes = rig_stat(&rig, q).bytes;
    rig_wait(&rig, 61000);
    rig_wait(&rig, 61000);
    assert_true(rig_stat(&rig, q).bytes < bytes * 3 / 4);
    a = rig_acquire(&rig, 0, q, 1, 600);
    assert_int_equal(a->op.n, 600);
    assert_int_equal(a->op.messages[599].deliveries, 2);
    rig_acquire_free(a);
}

/* A queue that was none for a while begins anew. */
static void test_queue_again(void **state)
{
    (void)state;
    put_n(2);
    check_acquire(1, "v0 ");
    assert_int_equal(rig_configure(&rig, "q", "weir.queue", "false"), ERR_OK);
    struct rig_acquire *a = rig_acquire(&rig, 0, q, 1, 1);
    assert_int_equal(a->op.op.err, ERR_NOT_FOUND);
    rig_acquire_free(a);
    assert_int_equal(rig_configure(&rig, "q", "weir.queue", "true"), ERR_OK);
    check_acquire(5, "v0 v1 ");
    rig_restart(&rig);
    assert_int_equal(rig_stat(&rig, q).acquired, 2);
}

/* ---- filters ---- */

static void only_even(struct subscription_conf *conf)
{
    conf->filter = str_of("type = 'even'");
}

static void only_blue(struct subscription_conf *conf)
{
    conf->eventgrid = str_of("{\"subjectBeginsWith\": \"blue\"}");
    conf->filter = str_of("data.n > 3");
}

static void put_event(const char *type, const char *subject, unsigned n)
{
    char value[32];
    snprintf(value, sizeof(value), "{\"n\":%u}", n);
    struct record_header headers[] = {{STR_LIT("ce_specversion"), STR_LIT("1.0")},
                                      {STR_LIT("ce_id"), str_of(value)},
                                      {STR_LIT("ce_source"), STR_LIT("/s")},
                                      {STR_LIT("ce_type"), str_of(type)},
                                      {STR_LIT("ce_subject"), str_of(subject)},
                                      {STR_LIT("content-type"), STR_LIT("application/json")}};
    struct batch_builder b;
    struct uuid id = rig_topic_id(&rig, "t");
    batch_begin(&b, 0);
    batch_add(&b, (int64_t)rig_env(&rig, 0)->now_ms, (struct str){NULL, 0}, str_of(value), headers,
              6);
    assert_int_equal(rig_produce(&rig, 0, &id, 0, batch_end(&b), NULL), ERR_OK);
}

/* What the filter does not take is never delivered, does not count, and holds nothing up. */
static void test_filter(void **state)
{
    (void)state;
    assert_int_equal(rig_create(&rig, 0, "t", 1), ERR_OK);
    struct uuid even = rig_subscribe(&rig, "t", "even", only_even);
    struct uuid blue = rig_subscribe(&rig, "t", "blue", only_blue);
    struct rig_acquire *w = rig_acquire_start(&rig, 0, blue, 1, 10, 100000);
    for (unsigned i = 0; i < 8; i++)
        put_event(i % 2 == 0 ? "even" : "odd", i < 5 ? "blue/sky" : "red", i);
    rig_run(&rig);
    assert_true(w->done);
    assert_string_equal(rig_values(w), "{\"n\":4} ");
    rig_acquire_free(w);
    w = rig_acquire(&rig, 0, even, 1, 3);
    assert_string_equal(rig_values(w), "{\"n\":0} {\"n\":2} {\"n\":4} ");
    assert_int_equal(rig_settle_all(&rig, 0, even, w, SETTLE_ACCEPT), ERR_OK);
    rig_acquire_free(w);
    rig_restart(&rig);
    w = rig_acquire(&rig, 0, even, 1, 3);
    assert_string_equal(rig_values(w), "{\"n\":6} ");
    assert_int_equal(rig_settle_all(&rig, 0, even, w, SETTLE_ACCEPT), ERR_OK);
    rig_acquire_free(w);
    assert_int_equal(rig_stat(&rig, even).ready, 0);
}

static void test_peek(void **state)
{
    (void)state;
    put_n(6);
    struct rig_acquire *a = rig_acquire(&rig, 0, q, 1, 4);
    struct settle_item items[2] = {{.token = a->op.messages[0].token, .verb = SETTLE_ACCEPT},
                                   {.token = a->op.messages[2].token, .verb = SETTLE_DEFER}};
    assert_int_equal(rig_settle(&rig, 0, q, items, 2), ERR_OK);
    rig_acquire_free(a);
    struct rig_messages m = rig_peek(&rig, rig.n - 1, q, 0, 10);
    assert_int_equal(m.err, ERR_OK);
    assert_string_equal(m.values, "v1 v2 v3 v4 v5 ");
    assert_int_equal(m.states[0], MESSAGE_ACQUIRED);
    assert_int_equal(m.states[1], MESSAGE_DEFERRED);
    assert_int_equal(m.states[3], MESSAGE_AVAILABLE);
    m = rig_peek(&rig, 0, q, 2, 2);
    assert_string_equal(m.values, "v2 v3 ");
    check_acquire(10, "v4 v5 "); /* nothing was taken by it */
}

/* Deferred messages wait for who asks for them by their place, over a restart too. */
static void test_deferred(void **state)
{
    (void)state;
    put_n(3);
    struct rig_acquire *a = rig_acquire(&rig, 0, q, 1, 3);
    assert_int_equal(rig_settle_all(&rig, 0, q, a, SETTLE_DEFER), ERR_OK);
    rig_acquire_free(a);
    rig_restart(&rig);
    rig_wait(&rig, 61000);
    check_acquire(10, "");
    int64_t wrong[] = {1, 7}, right[] = {2, 1};
    assert_int_equal(rig_deferred(&rig, 0, q, 5, wrong, 2).err, ERR_NOT_FOUND);
    struct rig_messages m = rig_deferred(&rig, rig.n - 1, q, 5, right, 2);
    assert_int_equal(m.err, ERR_OK);
    assert_string_equal(m.values, "v2 v1 ");
    assert_int_equal(rig_deferred(&rig, 0, q, 5, right, 2).err, ERR_NOT_FOUND);
    struct settle_item item = {.token = m.tokens[0], .verb = SETTLE_ACCEPT};
    assert_int_equal(rig_settle(&rig, 0, q, &item, 1), ERR_OK);
    rig_wait(&rig, 61000); /* who lets its lock run out has them in the queue again */
    check_acquire(10, "v1 ");
}

static enum err start_again(int64_t time_ms, int64_t offset)
{
    struct rewind_op op = {.actor = &rig_actor,
                           .subscription = q,
                           .partition = -1,
                           .time_ms = time_ms,
                           .offset = offset};
    return rig_rewind(&rig, rig.n - 1, &op);
}

static void test_rewind(void **state)
{
    (void)state;
    put_n(2);
    uint64_t later = rig_env(&rig, 0)->now_ms + 1000;
    rig_wait(&rig, 1000);
    put_n(2);
    struct rig_acquire *a = rig_acquire(&rig, 0, q, 1, 10);
    assert_int_equal(a->op.n, 4);
    struct settle_item items[2] = {{.token = a->op.messages[0].token, .verb = SETTLE_ACCEPT},
                                   {.token = a->op.messages[3].token, .verb = SETTLE_ACCEPT}};
    assert_int_equal(rig_settle(&rig, 0, q, items, 2), ERR_OK);
    struct rig_acquire *w = rig_acquire_start(&rig, 0, q, 2, 10, 10000);
    rig_run(&rig);
    assert_false(w->done);
    assert_int_equal(start_again((int64_t)later, 0), ERR_OK);
    assert_true(w->done); /* who waits is woken */
    assert_string_equal(rig_values(w), "v0 v1 ");
    assert_int_equal(w->op.messages[0].offset, 2);
    rig_acquire_free(w);
    assert_int_equal(rig_settle_all(&rig, 0, q, a, SETTLE_ACCEPT), ERR_LOCK_LOST);
    rig_acquire_free(a);
    assert_int_equal(start_again(-1, LIST_EARLIEST), ERR_OK);
    rig_restart(&rig);
    check_acquire(10, "v0 v1 v0 v1 ");
    assert_int_equal(start_again(-1, LIST_LATEST), ERR_OK);
    check_acquire(10, "");
    assert_int_equal(start_again(-1, 3), ERR_OK);
    check_acquire(10, "v1 ");
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
        BOTH(test_acquire_accept),  BOTH(test_lock_runs_out), BOTH(test_release),
        BOTH(test_restart),         BOTH(test_wait),          BOTH(test_fair),
        BOTH(test_settled_at_once), BOTH(test_release_all),   BOTH(test_disk_full),
        BOTH(test_errors),          BOTH(test_deleted),       BOTH(test_queue_again),
        BOTH(test_filter),          BOTH(test_peek),          BOTH(test_idle),
        BOTH(test_deferred),        BOTH(test_rewind),        BOTH(test_owners),
        BOTH(test_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
