/* Groups: joining, the vote, rebalances and their time limits, against Kafka's rules. */
#include "../check.h"

#include "group_steps.h"

#include "base/mem.h"
#include "broker/group.h"

static void no_delay(struct broker_conf *conf)
{
    conf->group_initial_delay_ms = 0;
}

/* A group of one, and of two. */
#define ONE                                                                                        \
    {"join a", ""}, {"wait 1", "a joined 1 range leading a"},                                      \
    {                                                                                              \
        "sync a a=A", "a synced A"                                                                 \
    }
#define TWO                                                                                        \
    ONE, {"join b", ""}, {"join a", "a joined 2 range leading a,b; b joined 2 range under a"},     \
        {"sync b", ""},                                                                            \
    {                                                                                              \
        "sync a a=1 b=2", "a synced 1; b synced 2"                                                 \
    }

static void test_life(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"describe", "Dead GROUP_UNKNOWN"},
        ONE,
        {"describe", "Stable consumer/range 1 a>A"},
        {"beat a", "a beat OK"},
        {"join b", ""},
        {"describe", "PreparingRebalance consumer/ 1 a>A ?"},
        {"beat a", "a beat REBALANCING"},
        {"join a", "a joined 2 range leading a,b; b joined 2 range under a"},
        {"describe", "CompletingRebalance consumer/ 2 a>A b"},
        {"beat b", "b beat OK"},
        {"sync b", ""},
        {"sync a a=1 b=2", "a synced 1; b synced 2"},
        {"sync b", "b synced 2"},
        {"describe", "Stable consumer/range 2 a>1 b>2"},
        {"leave b", "leave OK"},
        {"beat b", "b beat MEMBER_UNKNOWN"},
        {"beat a", "a beat REBALANCING"},
        {"join a", "a joined 3 range leading a"},
        {"sync a a=all", "a synced all"},
        {"leave a", "leave OK"},
        {"describe", "Empty consumer/ 4"},
        {"list", "listed g:Empty:consumer"},
        {"join c", ""},
        {"wait 1", "c joined 5 range leading c"},
    };
    STEPS_CHECK_CONF(steps, no_delay);
}

/* Nobody is let in alone while others may be on their way; newcomers extend the delay, but not
 * beyond the rebalance timeout. */
static void test_initial_delay(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"join a", ""},
        {"wait 2900", ""},
        {"join b", ""},
        {"wait 3000", ""},
        {"wait 100", "a joined 1 range leading a,b; b joined 1 range under a"},
    };
    static const struct step alone[] = {
        {"join a", ""},
        {"wait 2900", ""},
        {"wait 100", "a joined 1 range leading a"},
    };
    static const struct step bounded[] = {
        {"join a rebalance=7000", ""},
        {"wait 2000", ""},
        {"join b rebalance=7000", ""},
        {"wait 2000", ""},
        {"join c rebalance=7000", ""},
        {"wait 2000", ""},
        {"join d rebalance=7000", ""},
        {"wait 900", ""},
        {"wait 100", "a joined 1 range leading a,b,c,d; b joined 1 range under a; "
                     "c joined 1 range under a; d joined 1 range under a"},
    };
    STEPS_CHECK(steps);
    STEPS_CHECK(alone);
    STEPS_CHECK(bounded);
}

static void test_member_id_required(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"join a v4", "a join MEMBER_ID_REQUIRED"},
        {"describe", "Empty / 0"},
        {"join a v4", ""},
        {"wait 1", "a joined 1 range leading a"},
        {"sync a a=A", "a synced A"},
        {"join b v4", "b join MEMBER_ID_REQUIRED"},
        {"beat a", "a beat OK"},
        {"join b v4", ""},
        {"join c v4", "c join MEMBER_ID_REQUIRED"},
        {"join a", ""}, /* waits for c */
        {"join c v4", "a joined 2 range leading a,b,c; b joined 2 range under a; "
                      "c joined 2 range under a"},
    };
    STEPS_CHECK_CONF(steps, no_delay);
}

/* An id that nobody comes back with holds a rebalance up for its session timeout at most, and a
 * group of which nothing else exists goes with it. */
static void test_pending_expires(void **state)
{
    (void)state;
    static const struct step steps[] = {
        ONE,
        {"join b v4 session=6000", "b join MEMBER_ID_REQUIRED"},
        {"join c v4", "c join MEMBER_ID_REQUIRED"},
        {"join c v4", ""},
        {"join a", ""},
        {"wait 5900", ""},
        {"wait 100", "a joined 2 range leading a,c; c joined 2 range under a"},
        {"join b v4", "b join MEMBER_UNKNOWN"},
    };
    static const struct step alone[] = {
        {"join a v4 session=6000", "a join MEMBER_ID_REQUIRED"},
        {"list", "listed g:Empty:"},
        {"wait 6000", ""},
        {"list", "listed"},
    };
    static const struct step leaves[] = {
        ONE,
        {"join b v4", "b join MEMBER_ID_REQUIRED"},
        {"join c", ""},
        {"join a", ""},
        {"leave b", "a joined 2 range leading a,c; c joined 2 range under a; leave OK"},
    };
    STEPS_CHECK_CONF(steps, no_delay);
    STEPS_CHECK(alone);
    STEPS_CHECK_CONF(leaves, no_delay);
}

static void test_bad_joins(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"join a session=5999", "a join SESSION_TIMEOUT"},
        {"join a session=1800001", "a join SESSION_TIMEOUT"},
        {"join a session=-1", "a join SESSION_TIMEOUT"},
        {"join a g=", "a join GROUP_INVALID"},
        {"join a id=made-up", "a join MEMBER_UNKNOWN"},
        {"join a protocols=", "a join GROUP_PROTOCOL"},
        {"join a type=", "a join GROUP_PROTOCOL"},
        {"list", "listed"},
        ONE,
        {"join b id=made-up", "b join MEMBER_UNKNOWN"},
        {"join b type=connect", "b join GROUP_PROTOCOL"},
        {"join b protocols=sticky", "b join GROUP_PROTOCOL"},
        {"join b protocols=", "b join GROUP_PROTOCOL"},
        {"join a protocols=sticky", "a join GROUP_PROTOCOL"},
        {"beat a", "a beat OK"},
        {"join b session=6000", ""},
        {"join a session=1800000", "a joined 2 range leading a,b; b joined 2 range under a"},
    };
    STEPS_CHECK_CONF(steps, no_delay);
}

/* The protocol is one that all know; among those the one that most list first. */
static void test_vote(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"join a protocols=x,y,z", ""},
        {"join b protocols=y,z", ""},
        {"join c protocols=z,y", ""},
        {"wait 6000", "a joined 1 y leading a,b,c; b joined 1 y under a; c joined 1 y under a"},
        {"sync b", ""},
        {"sync c", ""},
        {"sync a", "a synced ; b synced ; c synced "},
        {"leave b", "leave OK"},
        {"join a protocols=x,z,y", ""},
        {"join c protocols=z,y", "a joined 2 z leading a,c; c joined 2 z under a"},
        {"sync c", ""},
        {"sync a", "a synced ; c synced "},
        {"leave c", "leave OK"},
        {"join a protocols=x,z,y", "a joined 3 x leading a"},
    };
    static const struct step twice[] = {
        {"join a protocols=x,x,y", ""},
        {"join b protocols=y", ""},
        {"wait 6000", "a joined 1 y leading a,b; b joined 1 y under a"},
    };
    STEPS_CHECK(steps);
    STEPS_CHECK(twice);
}

/* In a stable group a follower with nothing new hears of the present generation; the leader, or
 * news, force a rebalance. */
static void test_rejoin(void **state)
{
    (void)state;
    static const struct step steps[] = {
        TWO,
        {"join b", "b joined 2 range under a"},
        {"sync b", "b synced 2"},
        {"beat a", "a beat OK"},
        {"join b meta=new", ""},
        {"beat a", "a beat REBALANCING"},
        {"join a", "a joined 3 range leading a,b; b joined 3 range under a"},
        /* Between join and sync: the answer is given again, as long as nothing is new. */
        {"join b meta=new", "b joined 3 range under a"},
        {"join a", "a joined 3 range leading a,b"},
        {"sync b", ""},
        {"join b meta=newer", "b sync REBALANCING"},
        {"join a", "a joined 4 range leading a,b; b joined 4 range under a"},
        {"sync a a=1 b=2", "a synced 1"},
        {"sync b", "b synced 2"},
        {"join a", ""},
        {"beat b", "b beat REBALANCING"},
        {"join b meta=newer", "a joined 5 range leading a,b; b joined 5 range under a"},
        /* Of two joins by one member the later one is answered as usual. */
        {"sync a", "a synced "},
        {"sync b", "b synced "},
        {"join a", ""},
        {"join a", "a join REBALANCING"},
        {"join b meta=newer", "a joined 6 range leading a,b; b joined 6 range under a"},
    };
    STEPS_CHECK_CONF(steps, no_delay);
}

/* Who does not join again in time is not in the next generation. */
static void test_rebalance_timeout(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"join a rebalance=8000 session=60000", ""},
        {"wait 1", "a joined 1 range leading a"},
        {"sync a", "a synced "},
        {"join b rebalance=5000 session=60000", ""},
        {"wait 7900", ""},
        {"wait 100", "b joined 2 range leading b"},
        {"beat a", "a beat MEMBER_UNKNOWN"},
        {"sync b", "b synced "},
        {"join a", "a join MEMBER_UNKNOWN"},
    };
    /* A member that is alive but does not join has the time of all; then it is out. */
    static const struct step alive[] = {
        TWO,
        {"join c", ""},
        {"join a", ""},
        {"wait 9000", ""},
        {"beat b", "b beat REBALANCING"},
        {"wait 9000", ""},
        {"beat b", "b beat REBALANCING"},
        {"wait 2000", "a joined 3 range leading a,c; c joined 3 range under a"},
        {"beat b", "b beat MEMBER_UNKNOWN"},
    };
    STEPS_CHECK_CONF(steps, no_delay);
    STEPS_CHECK_CONF(alive, no_delay);
}

/* A member without a sign of life for its session timeout is dropped, which is a rebalance. Every
 * request renews the session. */
static void test_session(void **state)
{
    (void)state;
    static const struct step steps[] = {
        TWO,
        {"wait 9900", ""},
        {"beat a", "a beat OK"},
        {"commit b t:0=1", "b commit OK"},
        {"wait 9900", ""},
        {"beat a", "a beat OK"},
        {"sync b", "b synced 2"},
        {"wait 9900", ""},
        {"beat a", "a beat OK"},
        {"wait 100", ""},
        {"beat b", "b beat MEMBER_UNKNOWN"},
        {"beat a", "a beat REBALANCING"},
        {"join a", "a joined 3 range leading a"},
        {"sync a", "a synced "},
        {"wait 9900", ""},
        {"describe", "Stable consumer/range 3 a"},
        {"wait 100", ""},
        {"describe", "Empty consumer/ 4"},
    };
    /* Waiting for a join or a sync is a sign of life. */
    static const struct step waiting[] = {
        TWO,
        {"join a", ""},
        {"beat b", "b beat REBALANCING"},
        {"wait 9000", ""},
        {"beat b", "b beat REBALANCING"},
        {"wait 9000", ""},
        {"join b", "a joined 3 range leading a,b; b joined 3 range under a"},
        {"sync b", ""},
        {"wait 9000", ""},
        {"beat a", "a beat OK"},
        {"wait 9000", ""},
        {"sync a a=1 b=2", "a synced 1; b synced 2"},
    };
    STEPS_CHECK_CONF(steps, no_delay);
    /* From the answer on it counts again. */
    static const struct step silent[] = {
        TWO,
        {"join a", ""},
        {"wait 9000", ""},
        {"beat b", "b beat REBALANCING"},
        {"wait 9000", ""},
        {"join b", "a joined 3 range leading a,b; b joined 3 range under a"},
        {"sync b", ""},
        {"wait 9900", ""},
        {"describe", "CompletingRebalance consumer/ 3 a>1 b>2"},
        {"wait 100", "b sync REBALANCING"},
        {"describe", "PreparingRebalance consumer/ 3 b"},
    };
    STEPS_CHECK_CONF(waiting, no_delay);
    STEPS_CHECK_CONF(silent, no_delay);
}

/* Nothing is known of a new member while its join waits; after five minutes it is given up. */
static void test_new_member_gives_up(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"join a session=60000 rebalance=600000", ""},
        {"wait 1", "a joined 1 range leading a"},
        {"sync a", "a synced "},
        {"join b rebalance=600000", ""},
        {"wait 59000", ""},
        {"beat a", "a beat REBALANCING"},
        {"wait 59000", ""},
        {"beat a", "a beat REBALANCING"},
        {"wait 59000", ""},
        {"beat a", "a beat REBALANCING"},
        {"wait 59000", ""},
        {"beat a", "a beat REBALANCING"},
        {"wait 59000", ""},
        {"beat a", "a beat REBALANCING"},
        {"wait 4900", ""},
        {"wait 200", "b join MEMBER_UNKNOWN"},
        {"join a session=60000", "a joined 2 range leading a"},
    };
    STEPS_CHECK_CONF(steps, no_delay);
}

static void test_leave(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"join a", ""},
        {"leave a", "leave MEMBER_UNKNOWN"},
        {"wait 1", "a joined 1 range leading a"},
        {"leave x", "leave MEMBER_UNKNOWN"},
        {"leave x a", "leave MEMBER_UNKNOWN OK"},
        {"describe", "Empty consumer/ 2"},
        {"leave a g=other", "leave MEMBER_UNKNOWN"},
        {"leave a g=", "leave GROUP_INVALID"},
        {"list", "listed g:Empty:consumer"},
    };
    /* The leader goes: another leads. All go in the middle of a rebalance. */
    static const struct step leader[] = {
        TWO,
        {"leave a", "leave OK"},
        {"join b", "b joined 3 range leading b"},
        {"join c", ""},
        {"join d v4", "d join MEMBER_ID_REQUIRED"},
        {"leave b", "leave OK"},
        {"describe", "PreparingRebalance consumer/ 3 ?"},
        {"leave d", "c joined 4 range leading c; leave OK"},
        {"leave c", "leave OK"},
        {"describe", "Empty consumer/ 5"},
    };
    /* What waits is answered. */
    static const struct step waiting[] = {
        TWO,
        {"join a", ""},
        {"leave a", "a join MEMBER_UNKNOWN; leave OK"},
        {"join b", "b joined 3 range leading b"},
        {"join c", ""},
        {"join b", "b joined 4 range leading b,c; c joined 4 range under b"},
        {"sync c", ""},
        {"leave c", "c sync MEMBER_UNKNOWN; leave OK"},
        {"describe", "PreparingRebalance consumer/ 4 b"},
    };
    STEPS_CHECK_CONF(steps, no_delay);
    STEPS_CHECK_CONF(leader, no_delay);
    STEPS_CHECK_CONF(waiting, no_delay);
}

static void test_heartbeat(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"beat a", "a beat MEMBER_UNKNOWN"},
        {"beat a g=", "a beat GROUP_INVALID"},
        ONE,
        {"beat a gen=0", "a beat GENERATION"},
        {"beat a gen=2", "a beat GENERATION"},
        {"beat a id=other", "a beat MEMBER_UNKNOWN"},
        {"beat a instance=i", "a beat MEMBER_UNKNOWN"},
        {"beat a", "a beat OK"},
    };
    STEPS_CHECK_CONF(steps, no_delay);
}

struct crowd_call {
    struct group_join_op op;
    unsigned *answers;
    enum err *last;
};

static void crowd_joined(struct op *op)
{
    struct crowd_call *c = container_of(op, struct crowd_call, op.op);
    ++*c->answers;
    *c->last = op->err;
    mem_free(c);
}

/* Pending ids count as members. */
static void test_full(void **state)
{
    (void)state;
    struct rig r;
    unsigned answers = 0;
    enum err last = ERR_OK;
    struct group_protocol p = {STR_LIT("range"), STR_LIT("")};
    rig_make(&r, 1);
    for (unsigned i = 0; i <= GROUP_MEMBERS_MAX; i++) {
        struct crowd_call *c = mem_zalloc(1, sizeof(*c));
        c->answers = &answers;
        c->last = &last;
        c->op = (struct group_join_op){.op.done = crowd_joined,
                                       .actor = &rig_actor,
                                       .group = STR_LIT("g"),
                                       .member_id = STR_LIT(""),
                                       .protocol_type = STR_LIT("consumer"),
                                       .protocols = &p,
                                       .protocols_n = 1,
                                       .session_timeout_ms = 10000,
                                       .rebalance_timeout_ms = 10000,
                                       .member_id_required = i % 2 == 1};
        broker_group_join(r.brokers[0], &c->op);
    }
    assert_int_equal(last, ERR_GROUP_FULL);
    assert_int_equal(answers, GROUP_MEMBERS_MAX / 2 + 1);
    fake_advance(&r.world, 12000); /* the initial delay, and the pending ones' time */
    fake_advance(&r.world, 12000);
    assert_int_equal(last, ERR_OK);
    assert_int_equal(answers, GROUP_MEMBERS_MAX + 1);
    rig_free(&r);
}

/* Waiting calls are answered before a stop. */
static void test_drain(void **state)
{
    (void)state;
    static const struct step steps[] = {
        TWO,
        {"join c", ""},
        {"join d g=h", ""},
        {"drain", "c join COORDINATOR_UNAVAILABLE; d join COORDINATOR_UNAVAILABLE"},
        {"join b", "b join COORDINATOR_UNAVAILABLE"},
        {"sync b", "b sync COORDINATOR_UNAVAILABLE"},
        {"commit a t:0=1", "a commit OK"},
    };
    static const struct step syncs[] = {
        ONE,
        {"join b", ""},
        {"join a", "a joined 2 range leading a,b; b joined 2 range under a"},
        {"sync b", ""},
        {"drain", "b sync COORDINATOR_UNAVAILABLE"},
    };
    STEPS_CHECK_CONF(steps, no_delay);
    STEPS_CHECK_CONF(syncs, no_delay);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_life),
    cmocka_unit_test(test_initial_delay),
    cmocka_unit_test(test_member_id_required),
    cmocka_unit_test(test_pending_expires),
    cmocka_unit_test(test_bad_joins),
    cmocka_unit_test(test_vote),
    cmocka_unit_test(test_rejoin),
    cmocka_unit_test(test_rebalance_timeout),
    cmocka_unit_test(test_session),
    cmocka_unit_test(test_new_member_gives_up),
    cmocka_unit_test(test_leave),
    cmocka_unit_test(test_heartbeat),
    cmocka_unit_test(test_full),
    cmocka_unit_test(test_drain),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
