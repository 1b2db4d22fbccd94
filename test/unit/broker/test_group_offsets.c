/* Committed offsets: who may commit, what is found again, what goes. */
#include "../check.h"

#include "group_steps.h"

#include "broker/group.h"

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

static void test_commit_and_fetch(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"fetch t:0", "fetched -1"},
        {"fetch all", "fetched"},
        {"commit - t:0=5 t:1=6/3/text", "- commit OK OK"},
        {"fetch t:0 t:1 t:2 t:1", "fetched 5 6/3/text -1 6/3/text"},
        {"fetch all", "fetched t:0=5 t:1=6/3/text"},
        {"fetch g=other all", "fetched"},
        {"commit - t:0=7", "- commit OK"},
        {"commit - t:1=1", "- commit OK"},
        {"fetch all", "fetched t:0=7 t:1=1"},
        {"list", "listed g:Empty:"},
        {"describe", "Empty / 0"},
        {"kill", ""},
        {"fetch all", "fetched t:0=7 t:1=1"},
        {"list", "listed g:Empty:"},
        /* Of one request each partition is told apart. */
        {"commit - t:0=8 t:3=1 nosuch:0=1 t:-1=1 t:2=9",
         "- commit OK TOPIC_UNKNOWN TOPIC_UNKNOWN TOPIC_UNKNOWN OK"},
        {"commit - t:9=1", "- commit TOPIC_UNKNOWN"},
        {"commit - t:9=1 g=none", "- commit TOPIC_UNKNOWN"},
        {"fetch all", "fetched t:0=8 t:1=1 t:2=9"},
        {"list", "listed g:Empty:"},
        /* The group without a name is one, too. */
        {"commit - t:0=3 g=", "- commit OK"},
        {"fetch all g=", "fetched t:0=3"},
        {"list", "listed :Empty: g:Empty:"},
    };
    STEPS_CHECK(steps);
}

/* 4096 bytes of metadata are taken, one more is not. */
static void test_metadata_size(void **state)
{
    (void)state;
    struct rig r;
    rig_make(&r, 1);
    assert_int_equal(rig_create(&r, 0, "t", 3), ERR_OK);
    struct steps *s = steps_make(&r, 0);
    char line[STEP_LINE_MAX], want[STEP_LINE_MAX];
    memset(want, 'x', sizeof(want));
    snprintf(line, sizeof(line), "commit - t:0=1/-1/%.*s t:1=1/-1/%.*sx", GROUP_OFFSET_METADATA_MAX,
             want, GROUP_OFFSET_METADATA_MAX, want);
    assert_string_equal(steps_do(s, line), "- commit OK OFFSET_METADATA_SIZE");
    snprintf(line, sizeof(line), "fetched 1/-1/%.*s -1", GROUP_OFFSET_METADATA_MAX, want);
    assert_string_equal(steps_do(s, "fetch t:0 t:1"), line);
    rig_kill(&r, 0);
    steps_free(s);
    fake_world_free(&r.world);
    fake_disk_free(r.disk);
}

/* Members in their generation; others only while there are none. */
static void test_who_may(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"commit a t:0=1 gen=1 id=x", "a commit GROUP_UNKNOWN"},
        {"commit a t:0=1 gen=-1 id=x", "a commit OK"},
        {"join a", ""},
        {"commit - t:0=2", "- commit MEMBER_UNKNOWN"},
        {"wait 1", "a joined 1 range leading a"},
        /* Between join and sync the member is told to sync first. */
        {"commit a t:0=2", "a commit REBALANCING"},
        {"commit - t:0=2", "- commit MEMBER_UNKNOWN"},
        {"sync a a=A", "a synced A"},
        {"commit a t:0=3", "a commit OK"},
        {"commit a t:0=4 gen=0", "a commit GENERATION"},
        {"commit a t:0=4 gen=2", "a commit GENERATION"},
        {"commit a t:0=4 id=x", "a commit MEMBER_UNKNOWN"},
        {"commit a t:0=4 instance=i", "a commit MEMBER_UNKNOWN"},
        {"commit - t:0=4", "- commit MEMBER_UNKNOWN"},
        {"commit a t:0=4 gen=-1", "a commit GENERATION"},
        /* What was read before a rebalance can still be committed. */
        {"join b", ""},
        {"commit a t:0=5", "a commit OK"},
        {"join a", "a joined 2 range leading a,b; b joined 2 range under a"},
        {"commit a t:0=6", "a commit REBALANCING"},
        {"commit a t:0=6 gen=1", "a commit GENERATION"},
        {"fetch t:0", "fetched 5"},
        {"leave a b", "leave OK OK"},
        {"commit a t:0=7", "a commit MEMBER_UNKNOWN"},
        {"commit - t:0=8", "- commit OK"},
        {"fetch t:0", "fetched 8"},
    };
    STEPS_CHECK_CONF(steps, no_delay);
}

static void test_durable(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"commit - t:0=1", "- commit OK"},
        {"defer", ""},
        {"commit - t:0=2", ""},
        {"commit - t:0=3", ""},
        {"fetch t:0", "fetched 1"},
        {"flush", "- commit OK; - commit OK"},
        {"fetch t:0", "fetched 3"},
        {"fail", ""},
        {"commit - t:0=4", "- commit COORDINATOR_UNAVAILABLE"},
        {"fetch t:0", "fetched 3"},
        {"defer", ""},
        {"commit - t:0=5", ""},
        {"commit - t:0=6", ""},
        {"kill 1", ""},
        {"fetch t:0", "fetched 5"},
    };
    STEPS_CHECK(steps);
}

static void test_delete(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"delete", "delete GROUP_UNKNOWN"},
        ONE,
        {"commit a t:0=1 t:1=2", "a commit OK OK"},
        {"delete", "delete GROUP_NOT_EMPTY"},
        {"join b", ""},
        {"delete", "delete GROUP_NOT_EMPTY"},
        {"leave a", "b joined 2 range leading b; leave OK"},
        {"delete", "delete GROUP_NOT_EMPTY"},
        {"leave b", "leave OK"},
        {"delete", "delete OK"},
        {"list", "listed"},
        {"fetch all", "fetched"},
        {"delete", "delete GROUP_UNKNOWN"},
        {"kill", ""},
        {"list", "listed"},
        {"commit - t:0=1", "- commit OK"},
        {"delete", "delete OK"},
        {"kill", ""},
        {"list", "listed"},
        {"join a id=", ""},
        {"wait 1", "a joined 1 range leading a"},
    };
    /* Commits that are on their way go too, those that come after stay. */
    static const struct step under_way[] = {
        {"commit - t:0=1", "- commit OK"},
        {"defer", ""},
        {"commit - t:1=2", ""},
        {"delete", ""},
        {"delete", "delete GROUP_UNKNOWN"},
        {"commit - t:2=3", ""},
        {"flush", "- commit OK; delete OK; - commit OK"},
        {"fetch all", "fetched t:2=3"},
        {"kill", ""},
        {"fetch all", "fetched t:2=3"},
    };
    static const struct step joined[] = {
        ONE,
        {"leave a", "leave OK"},
        {"commit - t:0=1", "- commit OK"},
        {"defer", ""},
        {"delete", ""},
        {"join b", ""},
        {"wait 1", "b joined 3 range leading b"},
        {"flush", "delete OK"},
        {"fetch all", "fetched"},
        {"sync b b=B", "b synced B"},
        {"kill", ""},
        {"describe", "Stable consumer/range 3 b>B"},
    };
    static const struct step fails[] = {
        {"commit - t:0=1", "- commit OK"},
        {"fail", ""},
        {"delete", "delete COORDINATOR_UNAVAILABLE"},
        {"fetch all", "fetched t:0=1"},
    };
    static const struct step pending[] = {
        {"commit - t:0=1", "- commit OK"},
        {"join a v4", "a join MEMBER_ID_REQUIRED"},
        {"delete", "delete OK"},
        {"join a v4", "a join MEMBER_UNKNOWN"},
        {"list", "listed"},
    };
    STEPS_CHECK_CONF(steps, no_delay);
    STEPS_CHECK(under_way);
    STEPS_CHECK_CONF(joined, no_delay);
    STEPS_CHECK(fails);
    STEPS_CHECK(pending);
}

static void test_topic_deleted(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"topic u 2", ""},
        {"commit - t:0=1 u:0=2 u:1=3", "- commit OK OK OK"},
        {"commit - u:0=2 g=h", "- commit OK"},
        {"drop u", ""},
        {"fetch all", "fetched t:0=1"},
        {"fetch u:0", "fetched -1"},
        {"wait 100", ""},
        {"list", "listed g:Empty:"},
        /* Another topic of the name begins without offsets, after a restart too. */
        {"topic u 2", ""},
        {"fetch all", "fetched t:0=1"},
        {"kill", ""},
        {"fetch all", "fetched t:0=1"},
        {"commit - u:1=9", "- commit OK"},
        {"fetch u:0 u:1", "fetched -1 9"},
    };
    STEPS_CHECK(steps);
}

/* Offsets of a topic whose deletion the broker did not live to see through. */
static void test_topic_deleted_before_kill(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"topic u 2", ""},
        {"commit - t:0=1 u:0=2 u:1=3", "- commit OK OK OK"},
        {"drop u", ""},
        {"kill", ""},
        {"fetch all", "fetched t:0=1"},
        {"topic u 2", ""},
        {"fetch all", "fetched t:0=1"},
        {"kill", ""},
        {"fetch all", "fetched t:0=1"},
    };
    STEPS_CHECK(steps);
}

/* ---- expiry ---- */

static void short_retention(struct broker_conf *conf)
{
    conf->group_initial_delay_ms = 0;
    conf->offsets_retention_ms = 3600 * 1000;
}

static void test_expiry(void **state)
{
    (void)state;
    /* Never had members: from each commit on. */
    static const struct step simple[] = {
        {"commit - t:0=1", "- commit OK"},
        {"wait 1800000", ""},
        {"commit - t:1=1", "- commit OK"},
        {"wait 1799000", ""},
        {"fetch all", "fetched t:0=1 t:1=1"},
        {"wait 601000", ""},
        {"fetch all", "fetched t:1=1"},
        {"kill", ""},
        {"fetch all", "fetched t:1=1"},
        {"wait 1800000", ""},
        {"list", "listed"},
        {"kill", ""},
        {"list", "listed"},
    };
    /* From when the group became empty, over a restart too. */
    static const struct step emptied[] = {
        ONE,
        {"commit a t:0=1 time=1000", "a commit OK"},
        {"leave a", "leave OK"},
        {"wait 3000000", ""},
        {"kill", ""},
        {"wait 500000", ""},
        {"fetch all", "fetched t:0=1"},
        {"wait 1200000", ""},
        {"list", "listed"},
        {"kill", ""},
        {"list", "listed"},
    };
    /* Without offsets an empty group goes at once. */
    static const struct step bare[] = {
        ONE,
        {"leave a", "leave OK"},
        {"list", "listed g:Empty:consumer"},
        {"wait 600000", ""},
        {"list", "listed"},
        {"kill", ""},
        {"list", "listed"},
    };
    static const struct step own_time[] = {
        {"commit - t:0=1 retention=700000", "- commit OK"},
        {"commit - t:1=1 retention=9000000", "- commit OK"},
        {"kill", ""},
        {"wait 600000", ""},
        {"fetch all", "fetched t:0=1 t:1=1"},
        {"wait 600000", ""},
        {"fetch all", "fetched t:1=1"},
        {"wait 3600000", ""},
        {"fetch all", "fetched t:1=1"},
        {"wait 6000000", ""},
        {"list", "listed"},
    };
    static const struct step old_commit[] = {
        {"commit - t:0=1 time=1000", "- commit OK"},
        {"commit - t:1=1", "- commit OK"},
        {"wait 600000", ""},
        {"fetch all", "fetched t:1=1"},
    };
    /* A commit on its way counts. */
    static const struct step under_way[] = {
        {"commit - t:0=1", "- commit OK"},
        {"wait 3590000", ""},
        {"defer", ""},
        {"commit - t:0=2", ""},
        {"wait 20000", ""},
        {"flush", "- commit OK"},
        {"fetch all", "fetched t:0=2"},
        {"kill", ""},
        {"fetch all", "fetched t:0=2"},
    };
    STEPS_CHECK_CONF(under_way, short_retention);
    STEPS_CHECK_CONF(simple, short_retention);
    STEPS_CHECK_CONF(emptied, short_retention);
    STEPS_CHECK_CONF(bare, short_retention);
    STEPS_CHECK_CONF(own_time, short_retention);
    STEPS_CHECK_CONF(old_commit, short_retention);
}

static void minutes_with_heartbeats(struct steps *s, unsigned minutes)
{
    for (unsigned i = 0; i < 4 * minutes; i++) {
        steps_do(s, "wait 15000");
        assert_string_equal(steps_do(s, "beat a"), "a beat OK");
    }
}

/* While consumers are there, only what none of them subscribes to any more. */
static void test_expiry_of_consumers(void **state)
{
    (void)state;
    struct rig r;
    rig_prepare(&r, 1);
    short_retention(&r.conf);
    rig_boot(&r);
    rig_create(&r, 0, "t", 3);
    rig_create(&r, 0, "u", 3);
    struct steps *s = steps_make(&r, 0);
    static const struct step begin[] = {
        {"commit - t:0=1 u:0=1", "- commit OK OK"},
        {"join a topics=t session=30000", ""},
        {"wait 1", "a joined 1 range leading a"},
        {"sync a a@t:0", "a synced 21 bytes"},
    };
    steps_run(s, begin, 4);
    minutes_with_heartbeats(s, 59);
    assert_string_equal(steps_do(s, "fetch all"), "fetched t:0=1 u:0=1");
    minutes_with_heartbeats(s, 12);
    assert_string_equal(steps_do(s, "fetch all"), "fetched t:0=1");
    rig_kill(&r, 0);
    steps_free(s);
    fake_world_free(&r.world);
    fake_disk_free(r.disk);
}

/* A topic that may lose its tail at a power cut: no offset stays beyond its end, also when the log
 * has grown over it before the next start. */
static void test_clamp(void **state)
{
    (void)state;
    for (unsigned reactors = 1; reactors <= 3; reactors += 2) {
        struct rig r;
        rig_make(&r, reactors);
        assert_int_equal(rig_create(&r, 0, "t", 3), ERR_OK);
        assert_int_equal(rig_create(&r, 0, "u", 3), ERR_OK);
        assert_int_equal(rig_configure(&r, "u", "weir.flush", "os"), ERR_OK);
        struct uuid id = rig_topic_id(&r, "u");
        assert_int_equal(rig_produce(&r, 0, &id, 1, rig_batch(4, 1000), NULL), ERR_OK);
        struct steps *s = steps_make(&r, 0);
        static const struct step steps[] = {
            {"commit - t:0=9 u:0=9/1/text u:1=3 u:2=0", "- commit OK OK OK OK"},
            {"commit - u:1=5 g=h", "- commit OK"},
            {"kill", ""},
            {"fetch all", "fetched t:0=9 u:0=0/1/text u:1=3 u:2=0"},
            {"fetch all g=h", "fetched u:1=4"},
        };
        steps_run(s, steps, sizeof(steps) / sizeof(steps[0]));
        for (int32_t i = 0; i < 3; i++)
            assert_int_equal(rig_produce(&r, 0, &id, i, rig_batch(20, 1000), NULL), ERR_OK);
        steps_run(s, steps + 2, 3);
        rig_kill(&r, 0);
        steps_free(s);
        fake_world_free(&r.world);
        fake_disk_free(r.disk);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_commit_and_fetch),
    cmocka_unit_test(test_metadata_size),
    cmocka_unit_test(test_who_may),
    cmocka_unit_test(test_durable),
    cmocka_unit_test(test_delete),
    cmocka_unit_test(test_topic_deleted),
    cmocka_unit_test(test_topic_deleted_before_kill),
    cmocka_unit_test(test_expiry),
    cmocka_unit_test(test_expiry_of_consumers),
    cmocka_unit_test(test_clamp),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
