/* Static members (KIP-345, KIP-814): one that comes back takes its own place. */
#include "../check.h"

#include "group_steps.h"

static void no_delay(struct broker_conf *conf)
{
    conf->group_initial_delay_ms = 0;
}

#define ONE                                                                                        \
    {"join a instance=i", ""}, {"wait 1", "a joined 1 range leading a"},                           \
    {                                                                                              \
        "sync a a=A", "a synced A"                                                                 \
    }

#define TWO                                                                                        \
    ONE, {"join b instance=j", ""},                                                                \
        {"join a", "a joined 2 range leading a,b; b joined 2 range under a"}, {"sync b", ""},      \
    {                                                                                              \
        "sync a a=1 b=2", "a synced 1; b synced 2"                                                 \
    }

static void test_replaced(void **state)
{
    (void)state;
    static const struct step steps[] = {
        TWO,
        /* A follower. */
        {"join c instance=j id=", "c joined 2 range under a"},
        {"describe", "Stable consumer/range 2 a(i)>1 c(j)>2"},
        {"sync c", "c synced 2"},
        {"beat a", "a beat OK"},
        {"beat b", "b beat INSTANCE_FENCED"},
        {"sync b", "b sync INSTANCE_FENCED"},
        {"commit b t:0=1", "b commit INSTANCE_FENCED"},
        {"join b", "b join INSTANCE_FENCED"},
        {"beat c instance=i", "c beat INSTANCE_FENCED"},
        {"commit c t:0=1", "c commit OK"},
        /* The leader, who can be told to leave the assignment as it is. */
        {"join d v9 instance=i id=", "d joined 2 range leading d,c skip"},
        {"sync d", "d synced 1"},
        {"beat c", "c beat OK"},
        /* And who cannot: it is told of another leader. */
        {"join e instance=i id=", "e joined 2 range under d"},
        {"sync e", "e synced 1"},
        {"describe", "Stable consumer/range 2 e(i)>1 c(j)>2"},
        /* Still it is the leader: its next join is a rebalance. */
        {"join e", ""},
        {"beat c", "c beat REBALANCING"},
        {"join c", "e joined 3 range leading e,c; c joined 3 range under e"},
    };
    STEPS_CHECK_CONF(steps, no_delay);
}

/* Only the session ends a static member's place: a rebalance goes on without its join. */
static void test_absent(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"join a instance=i session=60000 rebalance=7000", ""},
        {"wait 1", "a joined 1 range leading a"},
        {"sync a", "a synced "},
        {"join b instance=j rebalance=5000", ""},
        {"wait 7000", "b joined 2 range leading a,b"},
        {"sync b a=1 b=2", "b synced 2"},
        {"describe", "Stable consumer/range 2 a(i)>1 b(j)>2"},
        {"beat b", "b beat OK"},
        {"wait 4900", ""},
        {"beat b", "b beat OK"},
        {"describe", "Stable consumer/range 2 a(i)>1 b(j)>2"},
        /* Its sync is awaited as any other's. */
        {"wait 2100", ""},
        {"describe", "PreparingRebalance consumer/ 2 b(j)>2"},
    };
    /* None joins again: the group waits until their sessions end. */
    static const struct step all[] = {
        {"join a instance=i session=30000 rebalance=7000", ""},
        {"wait 1", "a joined 1 range leading a"},
        {"sync a", "a synced "},
        {"join b v4", "b join MEMBER_ID_REQUIRED"},
        {"join b v4", ""},
        {"leave b", "b join MEMBER_UNKNOWN; leave OK"},
        {"wait 21000", ""},
        {"describe", "PreparingRebalance consumer/ 1 a(i)"},
        {"join a", "a joined 2 range leading a"},
        {"sync a", "a synced "},
        {"wait 30000", ""},
        {"describe", "Empty consumer/ 3"},
    };
    STEPS_CHECK_CONF(steps, no_delay);
    STEPS_CHECK_CONF(all, no_delay);
}

/* Coming back in the middle of a rebalance. */
static void test_replaced_amid(void **state)
{
    (void)state;
    static const struct step preparing[] = {
        TWO,
        {"join a", ""},
        {"join c instance=j id=", "a joined 3 range leading a,c; c joined 3 range under a"},
        {"sync c", ""},
        {"sync a a=1 c=2", "a synced 1; c synced 2"},
    };
    static const struct step waiting[] = {
        TWO,
        {"join b meta=new", ""},
        {"join c instance=j id=", "b join INSTANCE_FENCED"},
        {"join a", "a joined 3 range leading a,c; c joined 3 range under a"},
    };
    static const struct step completing[] = {
        TWO,
        {"join a", ""},
        {"join b", "a joined 3 range leading a,b; b joined 3 range under a"},
        {"sync b", ""},
        {"join c instance=j id=", "b sync INSTANCE_FENCED"},
        {"sync a a=1 b=2", "a sync REBALANCING"},
        {"join a", "a joined 4 range leading a,c; c joined 4 range under a"},
    };
    STEPS_CHECK_CONF(preparing, no_delay);
    STEPS_CHECK_CONF(waiting, no_delay);
    STEPS_CHECK_CONF(completing, no_delay);
}

/* What the member says may need another assignment: the choice of the protocol, the topics. */
static void test_replaced_with_news(void **state)
{
    (void)state;
    static const struct step changed[] = {
        {"join a instance=i protocols=x,y", ""},
        {"wait 1", "a joined 1 x leading a"},
        {"sync a", "a synced "},
        {"join b instance=i id= protocols=y,x", "b joined 2 y leading b"},
    };
    static const struct step topics[] = {
        {"join a instance=i topics=t,u", ""},
        {"wait 1", "a joined 1 range leading a"},
        {"sync a", "a synced "},
        {"join b instance=i id= topics=u,t", "b joined 1 range under a"},
        {"join c instance=i id= topics=t", "c joined 2 range leading c"},
    };
    static const struct step user_data[] = {
        {"join a instance=i type=connect meta=1", ""},
        {"wait 1", "a joined 1 range leading a"},
        {"sync a", "a synced "},
        {"join b instance=i id= type=connect meta=2", "b joined 1 range under a"},
    };
    STEPS_CHECK_CONF(changed, no_delay);
    STEPS_CHECK_CONF(topics, no_delay);
    STEPS_CHECK_CONF(user_data, no_delay);
}

/* The new id must be in the log before anyone works with it. */
static void test_replaced_durably(void **state)
{
    (void)state;
    static const struct step steps[] = {
        ONE,
        {"defer", ""},
        {"join b instance=i id=", ""},
        {"beat a", "a beat INSTANCE_FENCED"},
        {"flush", "b joined 1 range under a"},
        {"kill", ""},
        {"beat b", "b beat OK"},
        {"describe", "Stable consumer/range 1 b(i)>A"},
        /* It cannot be stored: all is as it was. */
        {"fail", ""},
        {"join c instance=i id=", "c join COORDINATOR_UNAVAILABLE"},
        {"beat b", "b beat OK"},
        {"join c instance=i id=", "c joined 1 range under b"},
        /* A rebalance begins while it is being stored. */
        {"defer", ""},
        {"join d instance=i id=", ""},
        {"join e", "d joined 2 range leading d,e; e joined 2 range under d"},
        {"flush", ""},
    };
    static const struct step amid[] = {
        TWO,
        {"defer", ""},
        {"join c instance=j id=", ""},
        {"join d", ""},
        {"flush", ""},
        {"join a", "a joined 3 range leading a,c,d; c joined 3 range under a; "
                   "d joined 3 range under a"},
    };
    STEPS_CHECK_CONF(steps, no_delay);
    STEPS_CHECK_CONF(amid, no_delay);
}

static void test_leave(void **state)
{
    (void)state;
    static const struct step steps[] = {
        TWO,
        {"leave instance=x", "leave MEMBER_UNKNOWN"},
        {"beat a", "a beat OK"},
        {"leave instance=j", "leave OK"},
        {"beat b", "b beat MEMBER_UNKNOWN"},
        {"describe", "PreparingRebalance consumer/ 2 a(i)>1"},
        {"join a", "a joined 3 range leading a"},
        {"leave instance=x instance=i", "leave MEMBER_UNKNOWN OK"},
        {"describe", "Empty consumer/ 4"},
    };
    STEPS_CHECK_CONF(steps, no_delay);
}

static void test_ids(void **state)
{
    (void)state;
    static const struct step steps[] = {
        ONE,
        {"join b instance=i id=made-up", "b join INSTANCE_FENCED"},
        {"join b instance=k id=made-up", "b join MEMBER_UNKNOWN"},
        {"beat a instance=k", "a beat MEMBER_UNKNOWN"},
        {"beat a", "a beat OK"},
    };
    STEPS_CHECK_CONF(steps, no_delay);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_replaced),
    cmocka_unit_test(test_absent),
    cmocka_unit_test(test_replaced_amid),
    cmocka_unit_test(test_replaced_with_news),
    cmocka_unit_test(test_replaced_durably),
    cmocka_unit_test(test_leave),
    cmocka_unit_test(test_ids),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
