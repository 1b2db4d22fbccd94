/* Messages of a partition in order (ordering: partition): who may go on, who waits, who is told. */
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

static void by_partition(struct subscription_conf *conf)
{
    conf->order = ORDER_PARTITION;
    conf->filter = str_of("NOT EXISTS subject");
    conf->attempts = 3;
    conf->dead_letter = str_of("dead");
}

static struct uuid make(int32_t partitions)
{
    assert_int_equal(rig_create(&rig, 0, "t", partitions), ERR_OK);
    assert_int_equal(rig_create(&rig, 0, "dead", 1), ERR_OK);
    return rig_subscribe(&rig, "t", "s", by_partition);
}

static void put(int32_t partition, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        char value[32];
        snprintf(value, sizeof(value), "%u", i);
        rig_put(&rig, "t", partition, NULL, value);
    }
}

static struct rig_acquire *expect(struct uuid s, uint64_t owner, uint32_t n, const char *values)
{
    struct rig_acquire *a = rig_acquire(&rig, rig.n - 1, s, owner, n);
    assert_string_equal(rig_values(a), values);
    return a;
}

static void nothing(struct uuid s, uint64_t owner)
{
    rig_acquire_free(expect(s, owner, 10, ""));
}

static enum err settle_one(struct uuid s, const struct rig_acquire *a, unsigned i,
                           enum settle_verb verb, uint32_t delay_ms)
{
    struct settle_item item = {
        .token = a->op.messages[i].token, .verb = verb, .delay_ms = delay_ms};
    return rig_settle(&rig, 0, s, &item, 1);
}

/* One owner goes on behind what it holds; another gets nothing until all of that is settled. */
static void test_holder_goes_on(void **state)
{
    (void)state;
    struct uuid s = make(1);
    put(0, 0, 6);
    struct rig_acquire *a = expect(s, 1, 2, "0 1 "), *more = expect(s, 1, 2, "2 3 ");
    nothing(s, 2);
    assert_int_equal(rig_settle_all(&rig, 0, s, a, SETTLE_ACCEPT), ERR_OK);
    nothing(s, 2);
    assert_int_equal(rig_settle_all(&rig, 0, s, more, SETTLE_ACCEPT), ERR_OK);
    rig_acquire_free(a);
    rig_acquire_free(more);
    rig_acquire_free(expect(s, 2, 9, "4 5 "));
    nothing(s, 1);
}

/* One that is given back comes first, and what its receiver holds behind it stays his. */
static void test_given_back(void **state)
{
    (void)state;
    struct uuid s = make(1);
    put(0, 0, 6);
    struct rig_acquire *a = expect(s, 1, 3, "0 1 2 ");
    assert_int_equal(settle_one(s, a, 0, SETTLE_RELEASE, 1000), ERR_OK);
    nothing(s, 1); /* it waits for its delay */
    nothing(s, 2);
    rig_wait(&rig, 1001);
    struct rig_acquire *b = expect(s, 2, 9, "0 ");
    nothing(s, 1);
    nothing(s, 2); /* 1 and 2 are held by the other */
    assert_int_equal(settle_one(s, b, 0, SETTLE_ACCEPT, 0), ERR_OK);
    nothing(s, 2);
    struct rig_acquire *c = expect(s, 1, 2, "3 4 ");
    assert_int_equal(settle_one(s, a, 1, SETTLE_ACCEPT, 0), ERR_OK);
    assert_int_equal(settle_one(s, a, 2, SETTLE_ACCEPT, 0), ERR_OK);
    assert_int_equal(rig_settle_all(&rig, 0, s, c, SETTLE_ACCEPT), ERR_OK);
    rig_acquire_free(expect(s, 2, 9, "5 "));
    rig_acquire_free(a);
    rig_acquire_free(b);
    rig_acquire_free(c);
}

/* A lock that ends gives back; attempts that are used up make a dead letter, and the next goes. */
static void test_locks_and_dead_letters(void **state)
{
    (void)state;
    struct uuid s = make(1);
    put(0, 0, 3);
    for (unsigned i = 0; i < 3; i++) {
        rig_acquire_free(expect(s, 1 + i, 1, "0 "));
        nothing(s, 7);
        rig_wait(&rig, 60001);
    }
    rig_wait(&rig, 1000);
    rig_acquire_free(expect(s, 7, 9, "1 2 "));
    struct uuid dead = rig_topic_id(&rig, "dead");
    assert_int_equal(rig_list(&rig, 0, &dead, 0, LIST_LATEST), 1);
}

static void put_filtered(const char *value)
{
    struct record_header h = {STR_LIT("ce_subject"), STR_LIT("skip")};
    struct batch_builder b;
    struct uuid t = rig_topic_id(&rig, "t");
    batch_begin(&b, 0);
    batch_add(&b, (int64_t)rig_env(&rig, 0)->now_ms, (struct str){NULL, 0}, str_of(value), &h, 1);
    assert_int_equal(rig_produce(&rig, 0, &t, 0, batch_end(&b), NULL), ERR_OK);
}

/* What the filter leaves out holds up nobody; nor does what is deferred. Partitions are apart. */
static void test_what_does_not_count(void **state)
{
    (void)state;
    struct uuid s = make(2);
    put_filtered("x");
    put(0, 0, 2);
    put(1, 10, 12);
    struct rig_acquire *a = expect(s, 1, 1, "0 "), *b = expect(s, 2, 1, "10 ");
    assert_int_equal(settle_one(s, a, 0, SETTLE_DEFER, 0), ERR_OK);
    rig_acquire_free(expect(s, 3, 9, "1 "));
    nothing(s, 3);
    rig_acquire_free(expect(s, 2, 9, "11 "));
    rig_acquire_free(a);
    rig_acquire_free(b);
}

/* Over a restart, who held something holds it still. */
static void test_restart(void **state)
{
    (void)state;
    struct uuid s = make(1);
    put(0, 0, 4);
    struct rig_acquire *a = expect(s, 1, 2, "0 1 ");
    rig_restart(&rig);
    nothing(s, 2);
    struct rig_acquire *more = expect(s, 1, 1, "2 ");
    assert_int_equal(rig_settle_all(&rig, 0, s, a, SETTLE_ACCEPT), ERR_OK);
    nothing(s, 2);
    rig_restart(&rig);
    nothing(s, 2);
    assert_int_equal(rig_settle_all(&rig, 0, s, more, SETTLE_ACCEPT), ERR_OK);
    rig_acquire_free(expect(s, 2, 9, "3 "));
    rig_acquire_free(a);
    rig_acquire_free(more);
}

/* Who waits is told when the other has settled, though there is nothing more than before. */
static void test_told(void **state)
{
    (void)state;
    struct uuid s = make(1);
    put(0, 0, 4);
    struct rig_acquire *a = expect(s, 1, 2, "0 1 ");
    struct rig_acquire *w = rig_acquire_start(&rig, 0, s, 2, 9, 60000);
    rig_run(&rig);
    assert_false(w->done);
    put(0, 4, 5); /* that is the other one's */
    rig_run(&rig);
    assert_false(w->done);
    struct rig_acquire *own = rig_acquire_start(&rig, 0, s, 1, 1, 60000);
    rig_run(&rig);
    assert_true(own->done);
    assert_string_equal(rig_values(own), "2 ");
    assert_int_equal(rig_settle_all(&rig, 0, s, a, SETTLE_ACCEPT), ERR_OK);
    rig_run(&rig);
    assert_false(w->done);
    assert_int_equal(rig_settle_all(&rig, 0, s, own, SETTLE_ACCEPT), ERR_OK);
    rig_run(&rig);
    assert_true(w->done);
    assert_string_equal(rig_values(w), "3 4 ");
    rig_acquire_free(a);
    rig_acquire_free(own);
    rig_acquire_free(w);
}

/* Also if there was news meanwhile that was none for him, and the other one asks for no more. */
static void test_told_later(void **state)
{
    (void)state;
    struct uuid s = make(1);
    put(0, 0, 3);
    struct rig_acquire *a = expect(s, 1, 2, "0 1 ");
    struct rig_acquire *w = rig_acquire_start(&rig, 0, s, 2, 9, 60000);
    put(0, 3, 5);
    rig_run(&rig);
    assert_false(w->done);
    assert_int_equal(rig_settle_all(&rig, 0, s, a, SETTLE_ACCEPT), ERR_OK);
    rig_run(&rig);
    assert_true(w->done);
    assert_string_equal(rig_values(w), "2 3 4 ");
    rig_acquire_free(a);
    rig_acquire_free(w);
}

/* A disk that takes no settle: the message is its receiver's still, who went on behind it. */
static void test_settle_fails(void **state)
{
    (void)state;
    struct uuid s = make(1);
    put(0, 0, 4);
    struct rig_acquire *a = expect(s, 1, 1, "0 ");
    fake_disk_fail(rig.disk, FAKE_COMMIT, 1, 1, ERR_DISK_FULL);
    assert_int_equal(settle_one(s, a, 0, SETTLE_ACCEPT, 0), ERR_DISK_FULL);
    nothing(s, 2);
    struct rig_acquire *b = expect(s, 1, 1, "1 ");
    assert_int_equal(settle_one(s, a, 0, SETTLE_ACCEPT, 0), ERR_OK);
    rig_acquire_free(a);
    rig_acquire_free(b);
}

/* ---- many at once ---- */

#define PARTITIONS 3
#define WAITERS 4
#define EACH 60

struct waiter {
    struct rig_acquire *a;
    struct rig_acquire *held; /* settled later */
};

/* The least that may come next, of each partition; only grows. */
struct seen {
    int64_t next[PARTITIONS];
    uint32_t left;
};

/* All of it is settled, or given back and gets lost of the count. */
static void finish(struct uuid s, struct waiter *w, struct seen *seen)
{
    bool accept = rng_below(&rig.world.rng, 4) != 0;
    enum settle_verb verb = accept ? SETTLE_ACCEPT : SETTLE_RELEASE;
    for (uint32_t i = 0; accept && i < w->held->op.n; i++) {
        const struct message *m = &w->held->op.messages[i];
        assert_int_equal(m->offset, seen->next[m->partition]);
        seen->next[m->partition]++;
        seen->left--;
    }
    unsigned from = (unsigned)rng_below(&rig.world.rng, rig.n);
    struct settle_item items[8] = {{.verb = verb}};
    for (uint32_t i = 0; i < w->held->op.n; i++)
        items[i] = (struct settle_item){
            .token = w->held->op.messages[i].token, .verb = verb, .uncounted = true};
    assert_int_equal(rig_settle(&rig, from, s, items, w->held->op.n), ERR_OK);
    rig_acquire_free(w->held);
    w->held = NULL;
}

/* Receivers that wait, each for a few: all is settled once, in order, and nobody waits for ever
 * while there is something for him. */
static void test_nobody_starves(void **state)
{
    (void)state;
    struct uuid s = make(PARTITIONS);
    struct waiter waiters[WAITERS] = {{NULL, NULL}};
    struct seen seen = {.left = PARTITIONS * EACH};
    unsigned put_n[PARTITIONS] = {0}, idle = 0;
    while (seen.left > 0) {
        unsigned i = (unsigned)rng_below(&rig.world.rng, WAITERS);
        int32_t p = (int32_t)rng_below(&rig.world.rng, PARTITIONS);
        struct waiter *w = &waiters[i];
        if (put_n[p] < EACH && rng_below(&rig.world.rng, 2)) {
            put(p, put_n[p], put_n[p] + 1);
            put_n[p]++;
        }
        if (w->held != NULL && rng_below(&rig.world.rng, 2))
            finish(s, w, &seen);
        else if (w->a == NULL && w->held == NULL)
            w->a = rig_acquire_start(&rig, (unsigned)rng_below(&rig.world.rng, rig.n), s, 1 + i,
                                     1 + (uint32_t)rng_below(&rig.world.rng, 5), 1000000);
        rig_run(&rig);
        idle++;
        for (i = 0; i < WAITERS; i++) {
            if (waiters[i].a == NULL || !waiters[i].a->done)
                continue;
            waiters[i].held = waiters[i].a;
            waiters[i].a = NULL;
            idle = 0;
        }
        assert_true(idle < 2000);
    }
    rig_wait(&rig, 1000001);
    for (unsigned i = 0; i < WAITERS; i++) {
        if (waiters[i].a != NULL)
            rig_acquire_free(waiters[i].a);
        if (waiters[i].held != NULL)
            rig_acquire_free(waiters[i].held);
    }
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
        BOTH(test_holder_goes_on),      BOTH(test_given_back),   BOTH(test_locks_and_dead_letters),
        BOTH(test_what_does_not_count), BOTH(test_restart),      BOTH(test_told),
        BOTH(test_told_later),          BOTH(test_settle_fails), BOTH(test_nobody_starves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
