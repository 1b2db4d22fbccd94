/* What the holder of a session does with it: renew, release, its state. */
#include "../check.h"

#include "base/mem.h"
#include "broker/access.h"
#include "broker/records.h"
#include "delivery_rig.h"

#include <stdio.h>
#include <string.h>

#define LOCK_MS 60000 /* a subscription's, unless told otherwise */
#define PARTITIONS 3

static struct rig rig;
static struct uuid sub; /* ordered, of topic t */

static void ordered(struct subscription_conf *conf)
{
    conf->order = ORDER_KEY;
}

static int setup(void **state)
{
    rig_make(&rig, *state != NULL ? 3 : 1);
    assert_int_equal(rig_create(&rig, 0, "t", PARTITIONS), ERR_OK);
    sub = rig_subscribe(&rig, "t", "s", ordered);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_free(&rig);
    return 0;
}

/* ---- calls ---- */

struct call {
    struct session_op op;
    bool done;
};

static void call_done(struct op *op)
{
    struct call *c = container_of(op, struct call, op.op);
    assert_false(c->done);
    c->done = true;
}

static struct call call_of(uint64_t owner, enum session_verb verb)
{
    return (struct call){.op = {.op.done = call_done,
                                .actor = &rig_actor,
                                .subscription = sub,
                                .session = STR_LIT("a"),
                                .owner = owner,
                                .verb = verb}};
}

static enum err run(struct call *c)
{
    c->done = false;
    broker_session(rig.brokers[rig.n - 1], &c->op);
    rig_run(&rig);
    assert_true(c->done);
    return c->op.op.err;
}

/* Of session "a". */
static enum err session(uint64_t owner, enum session_verb verb)
{
    struct call c = call_of(owner, verb);
    return run(&c);
}

static enum err set_state(uint64_t owner, struct str state)
{
    struct call c = call_of(owner, SESSION_SET_STATE);
    c.op.state = state;
    return run(&c);
}

/* want.at NULL: there is none. */
static void check_state(uint64_t owner, struct str want)
{
    struct call c = call_of(owner, SESSION_GET_STATE);
    assert_int_equal(run(&c), ERR_OK);
    assert_int_equal(c.op.state_out.at == NULL, want.at == NULL);
    assert_int_equal(c.op.state_out.len, want.len);
    if (want.len > 0)
        assert_memory_equal(c.op.state_out.at, want.at, want.len);
    slice_unref(c.op.state_out);
}

static const struct str none = {NULL, 0};

static int32_t partition_of_a(void)
{
    return publish_partition_of(STR_LIT("a"), PARTITIONS);
}

static void put(const char *value)
{
    rig_put(&rig, "t", partition_of_a(), "a", value);
}

static void session_a(struct acquire_op *op)
{
    op->session = STR_LIT("a");
}

/* Session "a" for that owner: what comes of it. */
static enum err take(uint64_t owner, const char *values)
{
    struct rig_acquire *a = rig_acquire_with(&rig, 0, sub, owner, 10, 0, session_a);
    rig_run(&rig);
    enum err err = a->op.op.err;
    assert_string_equal(rig_values(a), values);
    rig_acquire_free(a);
    return err;
}

/* ---- the lock ---- */

static void test_renew(void **state)
{
    (void)state;
    put("a0");
    put("a1");
    struct rig_acquire *a = rig_acquire(&rig, 0, sub, 1, 1);
    assert_string_equal(rig_values(a), "a0 ");
    rig_wait(&rig, LOCK_MS - 1000);
    struct call c = call_of(1, SESSION_RENEW);
    assert_int_equal(run(&c), ERR_OK);
    assert_int_equal(c.op.locked_until_ms, rig_env(&rig, 0)->now_ms + LOCK_MS);
    c = call_of(2, SESSION_RENEW);
    assert_int_equal(run(&c), ERR_SESSION_LOCKED);
    assert_int_equal(c.op.locked_until_ms, 0);
    rig_restart(&rig); /* the new end is known */
    rig_wait(&rig, LOCK_MS - 1000);
    assert_int_equal(take(2, ""), ERR_SESSION_LOCKED);
    assert_int_equal(rig_settle_all(&rig, 0, sub, a, SETTLE_ACCEPT), ERR_OK);
    rig_acquire_free(a);
    rig_wait(&rig, 1000);
    assert_int_equal(session(1, SESSION_RENEW), ERR_LOCK_LOST);
    assert_int_equal(session(1, SESSION_RELEASE), ERR_LOCK_LOST);
    assert_int_equal(session(1, SESSION_GET_STATE), ERR_LOCK_LOST);
    assert_int_equal(set_state(1, STR_LIT("late")), ERR_LOCK_LOST);
    assert_int_equal(take(2, "a1 "), ERR_OK);
    assert_int_equal(session(1, SESSION_RENEW), ERR_SESSION_LOCKED);
    check_state(2, none);
}

static void test_release(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++)
        put((const char *[]){"a0", "a1", "a2", "a3"}[i]);
    struct rig_acquire *a = rig_acquire(&rig, 0, sub, 1, 3);
    assert_string_equal(rig_values(a), "a0 a1 a2 ");
    struct settle_item one = {.token = a->op.messages[1].token, .verb = SETTLE_ACCEPT};
    assert_int_equal(rig_settle(&rig, 0, sub, &one, 1), ERR_OK);
    struct rig_acquire *b = rig_acquire_start(&rig, rig.n - 1, sub, 2, 10, 10000);
    assert_int_equal(session(2, SESSION_RELEASE), ERR_SESSION_LOCKED);
    assert_false(b->done);
    assert_int_equal(session(1, SESSION_RELEASE), ERR_OK);
    assert_true(b->done);
    assert_string_equal(rig_values(b), "a0 a2 a3 ");
    assert_true(str_is(b->op.session_out, "a"));
    assert_int_equal(b->op.messages[1].deliveries, 2);
    assert_int_equal(b->op.messages[2].deliveries, 1);
    assert_int_equal(rig_settle_all(&rig, 0, sub, a, SETTLE_ACCEPT), ERR_LOCK_LOST);
    assert_int_equal(session(1, SESSION_RELEASE), ERR_SESSION_LOCKED);
    assert_int_equal(session(2, SESSION_RELEASE), ERR_OK);
    assert_int_equal(session(2, SESSION_RELEASE), ERR_LOCK_LOST);
    rig_restart(&rig);
    assert_int_equal(session(2, SESSION_RENEW), ERR_LOCK_LOST);
    assert_int_equal(take(3, "a0 a2 a3 "), ERR_OK);
    rig_acquire_free(a);
    rig_acquire_free(b);
}

/* One session is released over and over; what lies far behind it in the log has its turn, too. */
static void test_released_again(void **state)
{
    (void)state;
    bool found = false;
    for (unsigned i = 0; i < 3 * RECORDS_READ_MAX; i++)
        put("a");
    rig_put(&rig, "t", partition_of_a(), "b", "b0");
    for (unsigned i = 0; i < 10 && !found; i++) {
        struct rig_acquire *a = rig_acquire(&rig, 0, sub, 1, 1);
        found = str_is(a->op.session_out, "b");
        if (!found)
            assert_int_equal(session(1, SESSION_RELEASE), ERR_OK);
        rig_acquire_free(a);
    }
    assert_true(found);
}

static void partition_of_producer(struct acquire_op *op)
{
    op->partition = (partition_of_a() + 1) % PARTITIONS;
}

/* Who published "a" to another partition made a session of its own of it. */
static void test_other_partition(void **state)
{
    (void)state;
    put("a0");
    rig_put(&rig, "t", (partition_of_a() + 1) % PARTITIONS, "a", "other");
    struct rig_acquire *a = rig_acquire_with(&rig, 0, sub, 1, 9, 0, partition_of_producer);
    rig_run(&rig);
    assert_string_equal(rig_values(a), "other ");
    rig_acquire_free(a);
    assert_int_equal(session(2, SESSION_RENEW), ERR_SESSION_LOCKED);
    assert_int_equal(take(2, "a0 "), ERR_OK);
    assert_int_equal(set_state(1, STR_LIT("of 1")), ERR_OK);
    assert_int_equal(set_state(2, STR_LIT("of 2")), ERR_OK);
    check_state(1, STR_LIT("of 1"));
    check_state(2, STR_LIT("of 2"));
    assert_int_equal(session(3, SESSION_RENEW), ERR_SESSION_LOCKED);
    assert_int_equal(session(1, SESSION_RELEASE), ERR_OK);
    assert_int_equal(session(1, SESSION_RENEW), ERR_SESSION_LOCKED);
    assert_int_equal(session(2, SESSION_RENEW), ERR_OK);
}

/* ---- the state ---- */

static void test_state(void **state)
{
    (void)state;
    assert_int_equal(take(1, ""), ERR_OK); /* without a message */
    check_state(1, none);
    assert_int_equal(set_state(1, STR_LIT("one")), ERR_OK);
    check_state(1, STR_LIT("one"));
    assert_int_equal(set_state(1, STR_LIT("two")), ERR_OK);
    assert_int_equal(set_state(2, STR_LIT("not mine")), ERR_SESSION_LOCKED);
    assert_int_equal(session(2, SESSION_GET_STATE), ERR_SESSION_LOCKED);
    assert_int_equal(session(1, SESSION_RELEASE), ERR_OK);
    assert_int_equal(take(2, ""), ERR_OK);
    check_state(2, STR_LIT("two"));
    rig_restart(&rig);
    check_state(2, STR_LIT("two"));
    rig_wait(&rig, LOCK_MS); /* a state has no end */
    assert_int_equal(take(3, ""), ERR_OK);
    check_state(3, STR_LIT("two"));
    assert_int_equal(set_state(3, STR_LIT("")), ERR_OK); /* that is one */
    check_state(3, STR_LIT(""));
    rig_restart(&rig);
    check_state(3, STR_LIT(""));
    assert_int_equal(set_state(3, none), ERR_OK);
    check_state(3, none);
    rig_restart(&rig);
    check_state(3, none);
}

static void test_state_size(void **state)
{
    (void)state;
    char *bytes = mem_zalloc(1, SESSION_STATE_MAX + 1);
    for (size_t i = 0; i <= SESSION_STATE_MAX; i++)
        bytes[i] = (char)(i * 7 + i / 251);
    assert_int_equal(take(1, ""), ERR_OK);
    assert_int_equal(set_state(1, (struct str){bytes, SESSION_STATE_MAX}), ERR_OK);
    assert_int_equal(set_state(1, (struct str){bytes, SESSION_STATE_MAX + 1}), ERR_REQUEST_INVALID);
    check_state(1, (struct str){bytes, SESSION_STATE_MAX});
    rig_restart(&rig);
    check_state(1, (struct str){bytes, SESSION_STATE_MAX});
    mem_free(bytes);
}

static void test_disk_full(void **state)
{
    (void)state;
    assert_int_equal(take(1, ""), ERR_OK);
    assert_int_equal(set_state(1, STR_LIT("old")), ERR_OK);
    fake_disk_fail(rig.disk, FAKE_COMMIT, 1, 1, ERR_DISK_FULL);
    assert_int_equal(set_state(1, STR_LIT("new")), ERR_DISK_FULL);
    check_state(1, STR_LIT("old"));
    fake_disk_fail(rig.disk, FAKE_COMMIT, 1, 1, ERR_DISK_FULL);
    assert_int_equal(set_state(1, none), ERR_DISK_FULL);
    check_state(1, STR_LIT("old"));
    rig_restart(&rig);
    check_state(1, STR_LIT("old"));
    assert_int_equal(set_state(1, STR_LIT("new")), ERR_OK);
    check_state(1, STR_LIT("new"));
}

static void start(struct call *c)
{
    broker_session(rig.brokers[rig.n - 1], &c->op);
    while (fake_deliver_all(&rig.world) || fake_fire(&rig.world))
        continue;
}

/* Not answered, and seen by nobody, before it is on disk. */
static void test_durable(void **state)
{
    (void)state;
    assert_int_equal(take(1, ""), ERR_OK);
    assert_int_equal(set_state(1, STR_LIT("old")), ERR_OK);
    rig_defer(&rig, true);
    struct call set = call_of(1, SESSION_SET_STATE), get = call_of(1, SESSION_GET_STATE);
    struct call more = set;
    set.op.state = STR_LIT("new");
    start(&set);
    start(&get);
    start(&more);
    assert_false(set.done);
    assert_true(get.done && more.done);
    assert_int_equal(get.op.state_out.len, 3);
    assert_memory_equal(get.op.state_out.at, "old", 3);
    slice_unref(get.op.state_out);
    assert_int_equal(more.op.op.err, ERR_BUSY);
    rig_run(&rig);
    assert_true(set.done);
    assert_int_equal(set.op.op.err, ERR_OK);
    rig_defer(&rig, false);
    check_state(1, STR_LIT("new"));
}

/* The process ends meanwhile: the new state is there if it came to disk, else the old one. */
static void test_kill(void **state)
{
    (void)state;
    assert_int_equal(take(1, ""), ERR_OK);
    assert_int_equal(set_state(1, STR_LIT("old")), ERR_OK);
    for (unsigned keep = 0; keep < 2; keep++) {
        struct call set = call_of(1, SESSION_SET_STATE);
        set.op.state = STR_LIT("new");
        rig_lose_memory(true);
        rig_defer(&rig, true);
        start(&set);
        assert_false(set.done);
        rig_kill(&rig, keep);
        rig_lose_memory(false);
        rig_boot(&rig);
        assert_int_equal(rig.load_err, ERR_OK);
        check_state(1, keep == 0 ? STR_LIT("old") : STR_LIT("new"));
    }
}

/* ---- errors ---- */

static void check_all(struct call c, enum err want)
{
    static const enum session_verb verbs[] = {SESSION_RENEW, SESSION_RELEASE, SESSION_GET_STATE,
                                              SESSION_SET_STATE};
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        c.op.verb = verbs[i];
        assert_int_equal(run(&c), want);
        assert_null(c.op.state_out.at);
    }
}

static void test_errors(void **state)
{
    (void)state;
    static char id[1100];
    memset(id, 'x', sizeof(id));
    assert_int_equal(take(1, ""), ERR_OK);
    struct call c = call_of(1, SESSION_RENEW);
    c.op.session = STR_LIT("never seen");
    check_all(c, ERR_LOCK_LOST);
    c.op.session = (struct str){id, sizeof(id)};
    check_all(c, ERR_REQUEST_INVALID);
    c.op.session = none;
    check_all(c, ERR_REQUEST_INVALID);
    c = call_of(1, SESSION_RENEW);
    c.op.subscription = (struct uuid){{1}};
    check_all(c, ERR_NOT_FOUND);
    c.op.subscription = rig_subscribe(&rig, "t", "unordered", NULL);
    check_all(c, ERR_REQUEST_INVALID);
    assert_int_equal(rig_stat(&rig, sub).sessions, 1); /* asking made none */
    assert_int_equal(rig_delete(&rig, 0, "t"), ERR_OK);
    check_all(call_of(1, SESSION_RENEW), ERR_NOT_FOUND);
}

static void grant_done(struct op *op)
{
    op->done = NULL;
}

static void grant(const char *name, const char *principal, unsigned roles)
{
    struct access_op op = {.op.done = grant_done,
                           .actor = &rig_actor,
                           .what = ACCESS_GRANT,
                           .name = str_of(name),
                           .grant = {.roles = roles, .kind = ACCESS_TOPIC, .on = "t"}};
    snprintf(op.grant.principal, sizeof(op.grant.principal), "%s", principal);
    broker_access_change(rig.brokers[0], &op);
    rig_run(&rig);
    assert_null(op.op.done);
    assert_int_equal(op.op.err, ERR_OK);
    access_unref(op.item);
}

static enum err stat_as(const struct actor *actor)
{
    struct ledger_stat_op op = {.op.done = grant_done, .actor = actor, .subscription = sub};
    broker_ledger_stat(rig.brokers[rig.n - 1], &op);
    rig_run(&rig);
    assert_null(op.op.done);
    assert_int_equal(op.sessions, op.op.err == ERR_OK ? 1 : 0);
    return op.op.err;
}

static void test_access(void **state)
{
    (void)state;
    static const struct actor receiver = {.principal = "User:alice", .address = "10.0.0.1:9"};
    static const struct actor sender = {.principal = "User:bob", .address = "10.0.0.1:9"};
    static const struct actor key = {.principal = "Key:other/1", .address = "10.0.0.1:9"};
    assert_int_equal(take(1, ""), ERR_OK);
    grant("a", "User:alice", ACCESS_RECEIVER);
    grant("b", "User:bob", ACCESS_SENDER);
    check_all(call_of(1, SESSION_RENEW), ERR_TOPIC_DENIED);
    struct call c = call_of(1, SESSION_RENEW);
    c.op.actor = &sender;
    check_all(c, ERR_TOPIC_DENIED);
    c.op.actor = &receiver;
    assert_int_equal(run(&c), ERR_OK);
    /* any role shows how much there is, as with offsets */
    assert_int_equal(stat_as(&key), ERR_TOPIC_DENIED);
    assert_int_equal(stat_as(&sender), ERR_OK);
    assert_int_equal(stat_as(&receiver), ERR_OK);
    assert_int_equal(stat_as(NULL), ERR_OK);
}

/* The topic goes while a state is on its way to disk: that is answered. */
static void test_deleted_meanwhile(void **state)
{
    (void)state;
    assert_int_equal(take(1, ""), ERR_OK);
    struct call set = call_of(1, SESSION_SET_STATE), late = set;
    set.op.state = late.op.state = STR_LIT("new");
    rig_defer(&rig, true);
    start(&set);
    assert_false(set.done);
    broker_session(rig.brokers[rig.n - 1], &late.op);
    assert_int_equal(rig_delete(&rig, 0, "t"), ERR_OK);
    rig_defer(&rig, false);
    rig_run(&rig);
    assert_true(set.done && late.done);
    check_all(call_of(1, SESSION_RENEW), ERR_NOT_FOUND);
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
        BOTH(test_renew),           BOTH(test_release), BOTH(test_released_again),
        BOTH(test_other_partition), BOTH(test_state),   BOTH(test_state_size),
        BOTH(test_disk_full),       BOTH(test_durable), BOTH(test_kill),
        BOTH(test_errors),          BOTH(test_access),  BOTH(test_deleted_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
