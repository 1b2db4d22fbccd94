/* Groups: the assignment, its way into the log, and what a failure or a restart leaves. */
#include "../check.h"

#include "group_steps.h"

#include <stdio.h>
#include <string.h>

static void no_delay(struct broker_conf *conf)
{
    conf->group_initial_delay_ms = 0;
}

#define ONE                                                                                        \
    {"join a", ""}, {"wait 1", "a joined 1 range leading a"},                                      \
    {                                                                                              \
        "sync a a=A", "a synced A"                                                                 \
    }
#define TWO_JOINED                                                                                 \
    ONE, {"join b", ""},                                                                           \
    {                                                                                              \
        "join a", "a joined 2 range leading a,b; b joined 2 range under a"                         \
    }
#define TWO                                                                                        \
    TWO_JOINED, {"sync b", ""},                                                                    \
    {                                                                                              \
        "sync a a=1 b=2", "a synced 1; b synced 2"                                                 \
    }

static void test_errors(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"sync a", "a sync MEMBER_UNKNOWN"},
        {"sync a g=", "a sync GROUP_INVALID"},
        ONE,
        {"sync a gen=0", "a sync GENERATION"},
        {"sync a gen=2", "a sync GENERATION"},
        {"sync a id=x", "a sync MEMBER_UNKNOWN"},
        {"sync a type=connect", "a sync GROUP_PROTOCOL"},
        {"sync a protocol=sticky", "a sync GROUP_PROTOCOL"},
        {"sync a type=consumer protocol=range", "a synced A"},
        {"join b", ""},
        {"sync a", "a sync REBALANCING"},
    };
    STEPS_CHECK_CONF(steps, no_delay);
}

/* A member without an assignment gets an empty one; one for a stranger is nobody's. A second sync
 * takes the place of the first. */
static void test_assignment(void **state)
{
    (void)state;
    static const struct step steps[] = {
        TWO_JOINED,
        {"sync b b=mine", ""}, /* only the leader assigns */
        {"sync b", "b sync REBALANCING"},
        {"sync a a=1 x=3", "a synced 1; b synced "},
        {"sync b", "b synced "},
        {"sync a a=other", "a synced 1"},
    };
    STEPS_CHECK_CONF(steps, no_delay);
}

/* Members that do not sync within the rebalance timeout are out. */
static void test_timeout(void **state)
{
    (void)state;
    static const struct step follower[] = {
        {"join a session=60000", ""},
        {"wait 1", "a joined 1 range leading a"},
        {"sync a", "a synced "},
        {"join b session=60000", ""},
        {"join a session=60000", "a joined 2 range leading a,b; b joined 2 range under a"},
        {"sync a a=1 b=2", "a synced 1"},
        {"wait 19900", ""},
        {"beat a", "a beat OK"},
        {"wait 100", ""},
        {"beat b", "b beat MEMBER_UNKNOWN"},
        {"beat a", "a beat REBALANCING"},
        {"join a session=60000", "a joined 3 range leading a"},
    };
    static const struct step leader[] = {
        {"join a session=60000", ""},
        {"wait 1", "a joined 1 range leading a"},
        {"sync a", "a synced "},
        {"join b session=60000", ""},
        {"join a session=60000", "a joined 2 range leading a,b; b joined 2 range under a"},
        {"sync b", ""},
        {"wait 19900", ""},
        {"wait 100", "b sync REBALANCING"},
        {"beat a", "a beat MEMBER_UNKNOWN"},
        {"join b session=60000", "b joined 3 range leading b"},
        {"sync b", "b synced "},
        {"wait 25000", ""},
        {"beat b", "b beat OK"},
    };
    STEPS_CHECK_CONF(follower, no_delay);
    STEPS_CHECK_CONF(leader, no_delay);
}

/* Nobody works in a generation that a restart would not know. */
static void test_durable(void **state)
{
    (void)state;
    static const struct step steps[] = {
        TWO_JOINED,
        {"defer", ""},
        {"sync b", ""},
        {"sync a a=1 b=2", ""},
        {"beat a", "a beat OK"},
        {"describe", "CompletingRebalance consumer/ 2 a>A b"},
        /* The leader asks again while it is on its way. */
        {"sync a a=3 b=4", "a sync REBALANCING"},
        {"flush", "a synced 1; b synced 2"},
        {"kill", ""},
        {"describe", "Stable consumer/range 2 a>1 b>2"},
        {"beat a", "a beat OK"},
        {"sync b", "b synced 2"},
        {"join b", "b joined 2 range under a"},
    };
    static const struct step fails[] = {
        TWO_JOINED,
        {"sync b", ""},
        {"fail", ""},
        {"sync a a=1 b=2", "a sync COORDINATOR_UNAVAILABLE; b sync COORDINATOR_UNAVAILABLE"},
        {"beat a", "a beat REBALANCING"},
        {"join b", ""},
        {"join a", "a joined 3 range leading a,b; b joined 3 range under a"},
        {"sync a a=1 b=2", "a synced 1"},
        {"sync b", "b synced 2"},
    };
    /* A rebalance, and even the next generation, overtakes the write. */
    static const struct step overtaken[] = {
        TWO_JOINED,
        {"sync b", ""},
        {"defer", ""},
        {"sync a a=1 b=2", ""},
        {"join b meta=new", "a sync REBALANCING; b sync REBALANCING"},
        {"flush", ""},
        {"describe", "PreparingRebalance consumer/ 2 a b"},
        {"kill", ""},
        {"describe", "Stable consumer/range 2 a>1 b>2"},
    };
    static const struct step overtaken_twice[] = {
        TWO_JOINED,
        {"sync b", ""},
        {"defer", ""},
        {"sync a a=1 b=2", ""},
        {"join b meta=new", "a sync REBALANCING; b sync REBALANCING"},
        {"join a", "a joined 3 range leading a,b; b joined 3 range under a"},
        {"sync a a=3 b=4", ""},
        {"flush", "a synced 3"},
        {"sync b", "b synced 4"},
        {"kill", ""},
        {"describe", "Stable consumer/range 3 a>3 b<new>4"},
    };
    STEPS_CHECK_CONF(steps, no_delay);
    STEPS_CHECK_CONF(fails, no_delay);
    STEPS_CHECK_CONF(overtaken, no_delay);
    STEPS_CHECK_CONF(overtaken_twice, no_delay);
}

/* kill -9 in each state: the last generation that was stored comes back, and members find their way
 * by the errors that they get, as after a change of the coordinator in Kafka. */
static void test_kill(void **state)
{
    (void)state;
    static const struct step nothing[] = {
        {"join a", ""},
        {"kill", ""},
        {"list", "listed"},
        {"join a", ""},
        {"wait 1", "a joined 1 range leading a"},
        {"kill", ""},
        {"list", "listed"},
        {"sync a", "a sync MEMBER_UNKNOWN"},
        {"join a", "a join MEMBER_UNKNOWN"},
        {"join a id=", ""},
        {"wait 1", "a joined 1 range leading a"},
    };
    static const struct step preparing[] = {
        TWO,
        {"join b meta=new", ""},
        {"join c", ""},
        {"kill", ""},
        {"describe", "Stable consumer/range 2 a>1 b>2"},
        {"beat a", "a beat OK"},
        {"join b meta=new", ""},
        {"join c id=", ""},
        {"join a", "a joined 3 range leading a,b,c; b joined 3 range under a; "
                   "c joined 3 range under a"},
    };
    static const struct step completing[] = {
        TWO,
        {"join c", ""},
        {"join b", ""},
        {"join a", "a joined 3 range leading a,b,c; b joined 3 range under a; "
                   "c joined 3 range under a"},
        {"sync b", ""},
        {"kill", ""},
        {"describe", "Stable consumer/range 2 a>1 b>2"},
        {"sync a a=1 b=2 c=3", "a sync GENERATION"},
        {"beat b", "b beat GENERATION"},
        {"sync c", "c sync MEMBER_UNKNOWN"},
        {"join c id=", ""},
        {"join a", ""},
        {"join b", "a joined 3 range leading a,b,c; b joined 3 range under a; "
                   "c joined 3 range under a"},
    };
    /* Sessions begin anew. */
    static const struct step sessions[] = {
        TWO,
        {"wait 9000", ""},
        {"kill", ""},
        {"wait 9000", ""},
        {"beat b", "b beat OK"},
        {"wait 1000", ""},
        {"beat b", "b beat REBALANCING"},
        {"beat a", "a beat MEMBER_UNKNOWN"},
        {"join b", "b joined 3 range leading b"},
    };
    static const struct step empty[] = {
        ONE,
        {"leave a", "leave OK"},
        {"kill", ""},
        {"describe", "Empty consumer/ 2"},
        {"join a id= type=connect", ""},
        {"wait 1", "a joined 3 range leading a"},
    };
    static const struct step instances[] = {
        {"join a instance=i protocols=x,y session=30000 rebalance=9000", ""},
        {"wait 1", "a joined 1 x leading a"},
        {"sync a a=A", "a synced A"},
        {"kill", ""},
        {"describe", "Stable consumer/x 1 a(i)>A"},
        {"beat a instance=j", "a beat MEMBER_UNKNOWN"},
        {"join b v9 instance=i id= protocols=x,y", "b joined 1 x leading b skip"},
    };
    STEPS_CHECK_CONF(nothing, no_delay);
    STEPS_CHECK_CONF(preparing, no_delay);
    STEPS_CHECK_CONF(completing, no_delay);
    STEPS_CHECK_CONF(sessions, no_delay);
    STEPS_CHECK_CONF(empty, no_delay);
    STEPS_CHECK_CONF(instances, no_delay);
}

/* The record of a group that has become empty may not be taken: it is empty nevertheless. */
static void test_empty_not_stored(void **state)
{
    (void)state;
    static const struct step steps[] = {
        ONE,
        {"fail", ""},
        {"leave a", "leave OK"},
        {"describe", "Empty consumer/ 2"},
        {"join a id=", ""},
        {"wait 1", "a joined 3 range leading a"},
        {"sync a a=B", "a synced B"},
        {"kill", ""},
        {"describe", "Stable consumer/range 3 a>B"},
    };
    STEPS_CHECK_CONF(steps, no_delay);
}

/* ---- snapshots ---- */

/* Commits until the log has been rewritten: the oldest batches are not needed any more. */
static void fill_log(struct rig *r, struct steps *s)
{
    struct store_log_id id = {topic_state_id(TOPIC_STATE_OFFSETS),
                              broker_shard_of_group(STR_LIT("g"))};
    char text[4001], line[STEP_LINE_MAX];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    snprintf(line, sizeof(line), "commit a t:0=1/-1/%s t:1=2/-1/%s", text, text);
    size_t batches = fake_disk_batches(r->disk, &id), before = 0;
    unsigned i = 0;
    for (; i < 2000 && batches > before; i++) {
        before = batches;
        assert_string_equal(steps_do(s, line), "a commit OK OK");
        batches = fake_disk_batches(r->disk, &id);
    }
    assert_true(i < 2000);
}

/* The group is written whole while it is not what the log says of it: the stored generation, not
 * the one in the making, is what comes back. */
static void check_snapshot(const struct step *before, size_t before_n, const struct step *after,
                           size_t after_n)
{
    struct rig r;
    rig_prepare(&r, 1);
    no_delay(&r.conf);
    rig_boot(&r);
    assert_int_equal(rig_create(&r, 0, "t", 3), ERR_OK);
    struct steps *s = steps_make(&r, 0);
    steps_run(s, before, before_n);
    fill_log(&r, s);
    steps_run(s, after, after_n);
    rig_kill(&r, 0);
    steps_free(s);
    fake_world_free(&r.world);
    fake_disk_free(r.disk);
}

#define N(steps) steps, sizeof(steps) / sizeof(steps[0])

static void test_snapshot(void **state)
{
    (void)state;
    static const struct step stable[] = {TWO};
    static const struct step preparing[] = {TWO, {"join b meta=new", ""}, {"join c", ""}};
    static const struct step overtaken[] = {
        TWO_JOINED,
        {"sync b", ""},
        {"defer", ""},
        {"sync a a=1 b=2", ""},
        {"join b meta=new", "a sync REBALANCING; b sync REBALANCING"},
        {"flush", ""},
    };
    static const struct step first[] = {
        ONE,
        {"join b", ""},
    };
    static const struct step two[] = {
        {"kill", ""},
        {"describe", "Stable consumer/range 2 a>1 b>2"},
        {"beat b", "b beat OK"},
    };
    static const struct step one[] = {
        {"kill", ""},
        {"describe", "Stable consumer/range 1 a>A"},
        {"beat a", "a beat OK"},
    };
    check_snapshot(N(stable), N(two));
    check_snapshot(N(preparing), N(two));
    check_snapshot(N(overtaken), N(two));
    check_snapshot(N(first), N(one));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_errors),   cmocka_unit_test(test_assignment),
    cmocka_unit_test(test_timeout),  cmocka_unit_test(test_durable),
    cmocka_unit_test(test_kill),     cmocka_unit_test(test_empty_not_stored),
    cmocka_unit_test(test_snapshot),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
