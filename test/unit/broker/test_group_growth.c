/* A topic grows: the groups that consume it share the new partitions a second later. */
#include "../check.h"

#include "group_steps.h"

static void no_delay(struct broker_conf *conf)
{
    conf->group_initial_delay_ms = 0;
}

/* a has what there is of "t", b and c are idle; b leads. */
#define IDLE                                                                                       \
    {"topic x 1", ""}, {"join b topics=x", ""}, {"join a topics=x", ""}, {"join c topics=x", ""},  \
        {"wait 1", "b joined 1 range leading b,a,c; a joined 1 range under b; "                    \
                   "c joined 1 range under b"},                                                    \
        {"sync a", ""}, {"sync c", ""},                                                            \
    {                                                                                              \
        "sync b a@x:0", "b synced ; a synced 21 bytes; c synced "                                  \
    }

static void test_leader_that_knows(void **state)
{
    (void)state;
    static const struct step steps[] = {
        IDLE,
        {"topic x 3", ""},
        {"wait 900", ""},
        {"beat b", "b beat OK"},
        {"wait 100", ""},
        {"describe", "PreparingRebalance consumer/ 1 b a c"},
        {"beat a", "a beat REBALANCING"},
        {"join c topics=x", ""},
        {"join b topics=x", ""},
        {"join a topics=x", "b joined 2 range under a; a joined 2 range leading b,a,c; "
                            "c joined 2 range under a"},
        {"sync b", ""},
        {"sync c", ""},
        {"sync a a@x:0 b@x:1 c@x:2", "b synced 21 bytes; a synced 21 bytes; c synced 21 bytes"},
        /* Once. */
        {"wait 5000", ""},
        {"beat a", "a beat OK"},
    };
    /* The leader that knows does not come: any other will do. */
    static const struct step absent[] = {
        IDLE,
        {"topic x 3", ""},
        {"wait 1000", ""},
        {"leave a", "leave OK"},
        {"join c topics=x", ""},
        {"join b topics=x", "b joined 2 range leading b,c; c joined 2 range under b"},
    };
    STEPS_CHECK_CONF(steps, no_delay);
    STEPS_CHECK_CONF(absent, no_delay);
}

/* The leader has seen the new partitions and joined by itself. */
static void test_leader_was_faster(void **state)
{
    (void)state;
    static const struct step steps[] = {
        IDLE,
        {"topic x 2", ""},
        {"wait 500", ""},
        {"join b topics=x", ""},
        {"join a topics=x", ""},
        {"join c topics=x", "b joined 2 range leading b,a,c; a joined 2 range under b; "
                            "c joined 2 range under b"},
        {"sync a", ""},
        {"sync c", ""},
        {"sync b a@x:0 b@x:1", "b synced 21 bytes; a synced 21 bytes; c synced "},
        {"wait 2000", ""},
        {"beat a", "a beat OK"},
    };
    /* In another rebalance its leader had not. */
    static const struct step unknowing[] = {
        IDLE,
        {"topic x 2", ""},
        {"join d topics=x", ""},
        {"join b topics=x", ""},
        {"join a topics=x", ""},
        {"wait 1500", ""},
        {"join c topics=x", "b joined 2 range leading b,a,c,d; a joined 2 range under b; "
                            "c joined 2 range under b; d joined 2 range under b"},
        {"sync a", ""},
        {"sync c", ""},
        {"sync d", ""},
        {"sync b a@x:0", "b synced ; a synced 21 bytes; c synced ; d synced "},
        {"beat a", "a beat OK"},
        {"wait 1000", ""},
        {"beat a", "a beat REBALANCING"},
    };
    STEPS_CHECK_CONF(steps, no_delay);
    STEPS_CHECK_CONF(unknowing, no_delay);
}

static void test_not_concerned(void **state)
{
    (void)state;
    static const struct step other_topic[] = {
        {"topic x 1", ""},
        {"topic y 1", ""},
        {"join a topics=x", ""},
        {"wait 1", "a joined 1 range leading a"},
        {"sync a a@x:0", "a synced 21 bytes"},
        {"topic y 2", ""},
        {"wait 2000", ""},
        {"beat a", "a beat OK"},
        {"topic x 2", ""},
        {"topic y 3", ""},
        {"wait 1000", ""},
        {"beat a", "a beat REBALANCING"},
    };
    static const struct step other_type[] = {
        {"topic x 1", ""},
        {"join a topics=x type=connect", ""},
        {"wait 1", "a joined 1 range leading a"},
        {"sync a a@x:0", "a synced 21 bytes"},
        {"topic x 2", ""},
        {"wait 2000", ""},
        {"beat a", "a beat OK"},
    };
    static const struct step other_bytes[] = {
        {"topic x 1", ""},
        {"join a meta=xxxxxxxxxx", ""},
        {"wait 1", "a joined 1 range leading a"},
        {"sync a a=xxxxxxxxx", "a synced xxxxxxxxx"},
        {"topic x 2", ""},
        {"wait 2000", ""},
        {"beat a", "a beat OK"},
    };
    static const struct step gone[] = {
        IDLE,
        {"topic x 2", ""},
        {"leave a b c", "leave OK OK OK"},
        {"wait 2000", ""},
        {"describe", "Empty consumer/ 2"},
    };
    STEPS_CHECK_CONF(other_topic, no_delay);
    STEPS_CHECK_CONF(other_type, no_delay);
    STEPS_CHECK_CONF(other_bytes, no_delay);
    STEPS_CHECK_CONF(gone, no_delay);
}

/* Two growths in a row are one rebalance. */
static void test_grown_twice(void **state)
{
    (void)state;
    static const struct step steps[] = {
        IDLE,
        {"topic x 2", ""},
        {"wait 500", ""},
        {"topic x 3", ""},
        {"wait 900", ""},
        {"beat a", "a beat OK"},
        {"wait 100", ""},
        {"beat a", "a beat REBALANCING"},
    };
    static const struct step after_kill[] = {
        IDLE, {"kill", ""}, {"topic x 2", ""}, {"wait 1000", ""}, {"beat a", "a beat REBALANCING"},
    };
    STEPS_CHECK_CONF(steps, no_delay);
    STEPS_CHECK_CONF(after_kill, no_delay);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_leader_that_knows),
    cmocka_unit_test(test_leader_was_faster),
    cmocka_unit_test(test_not_concerned),
    cmocka_unit_test(test_grown_twice),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
