/* The requests of consumer groups, in every version, on a whole broker: what each answers in the
 * life of a group, what it says of errors, and names that an older version cannot carry. */
#include "front_rig.h"

#include "../check.h"

#include "base/mem.h"
#include "broker/group.h"

#include <stdio.h>
#include <string.h>

#define OFFSET_COMMIT 8
#define OFFSET_FETCH 9
#define JOIN_GROUP 11
#define HEARTBEAT 12
#define LEAVE_GROUP 13
#define SYNC_GROUP 14
#define DESCRIBE_GROUPS 15
#define LIST_GROUPS 16
#define DELETE_GROUPS 42

static struct front f;
static struct client *c;

static int setup(void **state)
{
    (void)state;
    front_make(&f, 2);
    front_topic(&f, "t", 3, 5);
    c = client_open(&f, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    front_free(&f);
    return 0;
}

#define DEFAULT(message)                                                                           \
    struct kafka_##message##_request in;                                                           \
    wire_default(&kafka_##message##_request_table, &in)

/* ---- join, sync, heartbeat, leave ------------------------------------------------------------ */

static const struct kafka_join_group_response *do_join(int16_t version, const char *group,
                                                       struct str member, const char *instance)
{
    static struct kafka_join_group_request_protocol p = {STR_LIT("range"), STR_LIT("subscription")};
    DEFAULT(join_group);
    in.group_id = str_of(group);
    in.session_timeout_ms = 30000;
    in.rebalance_timeout_ms = 20000;
    in.member_id = member;
    in.group_instance_id = instance ? str_of(instance) : (struct str){0};
    in.protocol_type = STR_LIT("consumer");
    in.protocols = &p;
    in.protocols_n = 1;
    client_request(c, JOIN_GROUP, version, &in);
    fake_advance(&f.rig.world, 1);
    front_run(&f);
    return client_answer(c, JOIN_GROUP, version);
}

/* The only member of a group, by way of the id that version 4 and later ask for. */
static struct str enter(int16_t version, const char *group, const char *instance)
{
    const struct kafka_join_group_response *out = do_join(version, group, STR_LIT(""), instance);
    if (version >= 4 && !instance) {
        assert_int_equal(out->error_code, 79);
        assert_int_equal(out->generation_id, -1);
        out = do_join(version, group, out->member_id, NULL);
    }
    assert_int_equal(out->error_code, 0);
    assert_int_equal(out->generation_id, 1);
    assert_true(str_is(out->protocol_name, "range"));
    assert_true(version < 7 || str_is(out->protocol_type, "consumer"));
    assert_true(str_eq(out->leader, out->member_id));
    assert_int_equal(out->members_n, 1);
    assert_true(str_eq(out->members[0].member_id, out->member_id));
    assert_true(str_is(out->members[0].metadata, "subscription"));
    if (instance && version >= 5)
        assert_true(str_is(out->members[0].group_instance_id, instance));
    return out->member_id;
}

static int16_t do_sync(int16_t version, const char *group, struct str member)
{
    struct kafka_sync_group_request_assignment a = {member, STR_LIT("mine")};
    DEFAULT(sync_group);
    in.group_id = str_of(group);
    in.generation_id = 1;
    in.member_id = member;
    in.protocol_type = STR_LIT("consumer");
    in.protocol_name = STR_LIT("range");
    in.assignments = &a;
    in.assignments_n = 1;
    const struct kafka_sync_group_response *out = client_call(c, SYNC_GROUP, version, &in);
    if (out->error_code == 0) {
        assert_true(str_is(out->assignment, "mine"));
        assert_true(version < 5 || str_is(out->protocol_type, "consumer"));
        assert_true(version < 5 || str_is(out->protocol_name, "range"));
    }
    return out->error_code;
}

static int16_t do_beat(int16_t version, const char *group, struct str member)
{
    DEFAULT(heartbeat);
    in.group_id = str_of(group);
    in.generation_id = 1;
    in.member_id = member;
    const struct kafka_heartbeat_response *out = client_call(c, HEARTBEAT, version, &in);
    return out->error_code;
}

/* The member's error, and that of a stranger beside it. */
static int16_t do_leave(int16_t version, const char *group, struct str member)
{
    struct kafka_leave_group_request_member members[2] = {{.member_id = STR_LIT("stranger")},
                                                          {.member_id = member}};
    DEFAULT(leave_group);
    in.group_id = str_of(group);
    in.member_id = member;
    in.members = members;
    in.members_n = 2;
    const struct kafka_leave_group_response *out = client_call(c, LEAVE_GROUP, version, &in);
    if (version < 3)
        return out->error_code;
    assert_int_equal(out->error_code, 0);
    assert_int_equal(out->members_n, 2);
    assert_int_equal(out->members[0].error_code, 25);
    assert_true(str_eq(out->members[1].member_id, member));
    return out->members[1].error_code;
}

static void a_member_lives_in_every_version(void **state)
{
    (void)state;
    for (int16_t version = 0; version <= 9; version++) {
        char group[16];
        snprintf(group, sizeof group, "life-%d", version);
        struct str member = enter(version, group, NULL);
        for (int16_t v = 0; v <= 5; v++)
            assert_int_equal(do_sync(v, group, member), 0);
        for (int16_t v = 0; v <= 4; v++)
            assert_int_equal(do_beat(v, group, member), 0);
        int16_t v = version <= 5 ? version : 5;
        assert_int_equal(do_leave(v, group, member), 0);
        assert_int_equal(do_leave(v, group, member), 25);
        assert_int_equal(do_beat(4, group, member), 25);
        assert_int_equal(do_sync(5, group, member), 25);
    }
}

static void a_static_member_comes_back_in_every_version(void **state)
{
    (void)state;
    for (int16_t version = 5; version <= 9; version++) {
        char group[16];
        snprintf(group, sizeof group, "static-%d", version);
        struct str member = enter(version, group, "i");
        assert_int_equal(do_sync(5, group, member), 0);
        const struct kafka_join_group_response *out = do_join(version, group, STR_LIT(""), "i");
        assert_int_equal(out->error_code, 0);
        assert_int_equal(out->generation_id, 1);
        assert_false(str_eq(out->member_id, member));
        assert_int_equal(out->skip_assignment, version >= 9);
        assert_int_equal(str_eq(out->leader, out->member_id), version >= 9);
        assert_int_equal(out->members_n, version >= 9);
        assert_int_equal(do_sync(5, group, out->member_id), 0);
        out = do_join(version, group, member, "i");
        assert_int_equal(out->error_code, 82);
    }
}

static void errors_of_a_join(void **state)
{
    (void)state;
    for (int16_t version = 0; version <= 9; version++) {
        const struct kafka_join_group_response *out = do_join(version, "", STR_LIT(""), NULL);
        assert_int_equal(out->error_code, 24);
        assert_int_equal(out->generation_id, -1);
        out = do_join(version, "g", STR_LIT("made-up"), NULL);
        assert_int_equal(out->error_code, 25);
        assert_true(str_is(out->member_id, "made-up"));
        assert_int_equal(out->leader.len, 0);
        assert_int_equal(out->members_n, 0);
        if (version >= 7)
            assert_null(out->protocol_name.at);
    }
}

static void sync_must_name_the_protocol(void **state)
{
    DEFAULT(sync_group);
    (void)state;
    in.group_id = STR_LIT("g");
    in.member_id = STR_LIT("m");
    const struct kafka_sync_group_response *out = client_call(c, SYNC_GROUP, 5, &in);
    assert_int_equal(out->error_code, 23);
    out = client_call(c, SYNC_GROUP, 4, &in);
    assert_int_equal(out->error_code, 25);
}

/* ---- offsets --------------------------------------------------------------------------------- */

/* Of partition 1 of "t", of partition 7, and of a topic that does not exist. */
static void do_commit(int16_t version, const char *group, int64_t offset, int16_t *errors)
{
    struct kafka_offset_commit_request_topic_partition parts[2] = {
        {.partition_index = 1,
         .committed_offset = offset,
         .committed_leader_epoch = 3,
         .commit_timestamp = -1,
         .committed_metadata = STR_LIT("meta")},
        {.partition_index = 7, .committed_offset = offset, .commit_timestamp = -1}};
    struct kafka_offset_commit_request_topic topics[2] = {
        {.name = STR_LIT("t"),
         .topic_id = rig_topic_id(&f.rig, "t"),
         .partitions = parts,
         .partitions_n = 2},
        {.name = STR_LIT("nosuch"), .topic_id = {{1}}, .partitions = parts, .partitions_n = 1}};
    DEFAULT(offset_commit);
    in.group_id = str_of(group);
    in.topics = topics;
    in.topics_n = 2;
    const struct kafka_offset_commit_response *out = client_call(c, OFFSET_COMMIT, version, &in);
    assert_int_equal(out->topics_n, 2);
    assert_int_equal(out->topics[0].partitions_n, 2);
    assert_true(version >= 10 || str_is(out->topics[1].name, "nosuch"));
    assert_true(version < 10 || uuid_eq(out->topics[0].topic_id, topics[0].topic_id));
    assert_int_equal(out->topics[0].partitions[1].partition_index, 7);
    errors[0] = out->topics[0].partitions[0].error_code;
    errors[1] = out->topics[0].partitions[1].error_code;
    errors[2] = out->topics[1].partitions[0].error_code;
}

struct fetched {
    int16_t error, unknown_error;
    int64_t offset, none; /* of partition 1; of partition 2 */
    int32_t epoch;
    struct str metadata;
};

static struct fetched fetch_old(int16_t version, const char *group)
{
    int32_t indexes[2] = {1, 2};
    struct kafka_offset_fetch_request_topic topics[2] = {{STR_LIT("t"), indexes, 2},
                                                         {STR_LIT("nosuch"), indexes, 1}};
    DEFAULT(offset_fetch);
    in.group_id = str_of(group);
    in.topics = topics;
    in.topics_n = 2;
    in.require_stable = true;
    const struct kafka_offset_fetch_response *out = client_call(c, OFFSET_FETCH, version, &in);
    assert_int_equal(out->topics_n, 2);
    assert_int_equal(out->topics[0].partitions_n, 2);
    return (struct fetched){.error = out->error_code,
                            .unknown_error = out->topics[1].partitions[0].error_code,
                            .offset = out->topics[0].partitions[0].committed_offset,
                            .none = out->topics[0].partitions[1].committed_offset,
                            .epoch = out->topics[0].partitions[0].committed_leader_epoch,
                            .metadata = out->topics[0].partitions[0].metadata};
}

static struct fetched fetch_new(int16_t version, const char *group)
{
    int32_t indexes[2] = {1, 2};
    struct kafka_offset_fetch_request_group_topic topics[2] = {
        {STR_LIT("t"), rig_topic_id(&f.rig, "t"), indexes, 2},
        {STR_LIT("nosuch"), {{1}}, indexes, 1}};
    struct kafka_offset_fetch_request_group groups[2] = {
        {.group_id = STR_LIT("other"), .member_epoch = -1, .topics_n = -1},
        {.group_id = str_of(group), .member_epoch = -1, .topics = topics, .topics_n = 2}};
    DEFAULT(offset_fetch);
    in.groups = groups;
    in.groups_n = 2;
    const struct kafka_offset_fetch_response *out = client_call(c, OFFSET_FETCH, version, &in);
    assert_int_equal(out->groups_n, 2);
    assert_true(str_is(out->groups[0].group_id, "other"));
    assert_int_equal(out->groups[0].topics_n, 0);
    const struct kafka_offset_fetch_response_group *g = &out->groups[1];
    assert_int_equal(g->topics_n, 2);
    return (struct fetched){.error = g->error_code,
                            .unknown_error = g->topics[1].partitions[0].error_code,
                            .offset = g->topics[0].partitions[0].committed_offset,
                            .none = g->topics[0].partitions[1].committed_offset,
                            .epoch = g->topics[0].partitions[0].committed_leader_epoch,
                            .metadata = g->topics[0].partitions[0].metadata};
}

static void every_version_of_a_commit_is_found_by_every_version_of_a_fetch(void **state)
{
    (void)state;
    for (int16_t version = 0; version <= 10; version++) {
        int16_t errors[3];
        do_commit(version, "offsets", 100 + version, errors);
        assert_int_equal(errors[0], 0);
        assert_int_equal(errors[1], 3);
        assert_int_equal(errors[2], version >= 10 ? 100 : 3);
        for (int16_t v = 0; v <= 10; v++) {
            struct fetched got = v < 8 ? fetch_old(v, "offsets") : fetch_new(v, "offsets");
            assert_int_equal(got.error, 0);
            assert_int_equal(got.offset, 100 + version);
            assert_int_equal(got.none, -1);
            assert_true(str_is(got.metadata, "meta"));
            assert_int_equal(got.epoch, version >= 6 && v >= 5 ? 3 : -1);
            assert_int_equal(got.unknown_error, v >= 10 ? 100 : 0);
        }
    }
}

static void all_topics_are_fetched_with_null(void **state)
{
    int16_t errors[3];
    (void)state;
    do_commit(9, "all", 5, errors);
    for (int16_t version = 2; version <= 10; version++) {
        struct kafka_offset_fetch_request_group group = {
            .group_id = STR_LIT("all"), .member_epoch = -1, .topics_n = -1};
        DEFAULT(offset_fetch);
        in.group_id = STR_LIT("all");
        in.topics_n = -1;
        in.groups = &group;
        in.groups_n = 1;
        const struct kafka_offset_fetch_response *out = client_call(c, OFFSET_FETCH, version, &in);
        if (version < 8) {
            assert_int_equal(out->topics_n, 1);
            assert_true(str_is(out->topics[0].name, "t"));
            assert_int_equal(out->topics[0].partitions_n, 1);
            assert_int_equal(out->topics[0].partitions[0].committed_offset, 5);
            continue;
        }
        const struct kafka_offset_fetch_response_group *g = &out->groups[0];
        assert_int_equal(g->topics_n, 1);
        assert_int_equal(g->topics[0].partitions[0].partition_index, 1);
        assert_int_equal(g->topics[0].partitions[0].committed_offset, 5);
        assert_true(version < 10 || uuid_eq(g->topics[0].topic_id, rig_topic_id(&f.rig, "t")));
    }
}

/* A stranger's generation in a group that does not exist: the error has another name since 9. */
static void commit_to_no_group(void **state)
{
    (void)state;
    for (int16_t version = 1; version <= 9; version++) {
        struct kafka_offset_commit_request_topic_partition part = {.commit_timestamp = -1};
        struct kafka_offset_commit_request_topic topic = {
            .name = STR_LIT("t"), .partitions = &part, .partitions_n = 1};
        DEFAULT(offset_commit);
        in.group_id = STR_LIT("nobody");
        in.generation_id_or_member_epoch = 4;
        in.member_id = STR_LIT("m");
        in.topics = &topic;
        in.topics_n = 1;
        const struct kafka_offset_commit_response *out =
            client_call(c, OFFSET_COMMIT, version, &in);
        assert_int_equal(out->topics[0].partitions[0].error_code, version >= 9 ? 69 : 22);
    }
}

/* ---- describe, list, delete ------------------------------------------------------------------ */

static void groups_are_described(void **state)
{
    (void)state;
    struct str member = enter(9, "described", "i");
    assert_int_equal(do_sync(5, "described", member), 0);
    for (int16_t version = 0; version <= 6; version++) {
        struct str names[2] = {STR_LIT("described"), STR_LIT("nobody")};
        DEFAULT(describe_groups);
        in.groups = names;
        in.groups_n = 2;
        in.include_authorized_operations = version == 3;
        const struct kafka_describe_groups_response *out =
            client_call(c, DESCRIBE_GROUPS, version, &in);
        const struct kafka_describe_groups_response_group *g = out->groups;
        assert_int_equal(out->groups_n, 2);
        assert_int_equal(g[0].error_code, 0);
        assert_true(str_is(g[0].group_state, "Stable"));
        assert_true(str_is(g[0].protocol_type, "consumer") && str_is(g[0].protocol_data, "range"));
        assert_int_equal(g[0].members_n, 1);
        assert_true(str_eq(g[0].members[0].member_id, member));
        assert_true(version < 4 || str_is(g[0].members[0].group_instance_id, "i"));
        assert_true(str_is(g[0].members[0].client_id, "rig"));
        assert_true(str_is(g[0].members[0].member_metadata, "subscription"));
        assert_true(str_is(g[0].members[0].member_assignment, "mine"));
        assert_int_equal(g[0].authorized_operations, version == 3 ? 0xd48 : INT32_MIN);
        assert_int_equal(g[1].error_code, version >= 6 ? 69 : 0);
        assert_true(str_is(g[1].group_state, "Dead"));
        assert_true(version < 6 || str_is(g[1].error_message, "Group nobody not found."));
    }
}

static int32_t listed(int16_t version, const char *filter_state, const char *filter_type,
                      const char *group, const struct kafka_list_groups_response_group **found)
{
    struct str states[1], types[1];
    DEFAULT(list_groups);
    if (filter_state) {
        states[0] = str_of(filter_state);
        in.states_filter = states;
        in.states_filter_n = 1;
    }
    if (filter_type) {
        types[0] = str_of(filter_type);
        in.types_filter = types;
        in.types_filter_n = 1;
    }
    const struct kafka_list_groups_response *out = client_call(c, LIST_GROUPS, version, &in);
    assert_int_equal(out->error_code, 0);
    *found = NULL;
    for (int32_t i = 0; i < out->groups_n; i++) {
        if (str_is(out->groups[i].group_id, group))
            *found = &out->groups[i];
    }
    return out->groups_n;
}

/* Groups of both reactors. */
static void groups_are_listed(void **state)
{
    (void)state;
    const struct kafka_list_groups_response_group *found;
    int16_t errors[3];
    for (int i = 0; i < 8; i++) {
        char group[16];
        snprintf(group, sizeof group, "list-%d", i);
        if (i % 2 == 0)
            enter(9, group, NULL);
        else
            do_commit(9, group, i, errors);
        for (int16_t version = 0; version <= 5; version++) {
            listed(version, NULL, NULL, group, &found);
            assert_non_null(found);
            assert_true(str_is(found->protocol_type, i % 2 == 0 ? "consumer" : ""));
            assert_true(version < 4 ||
                        str_is(found->group_state, i % 2 == 0 ? "CompletingRebalance" : "Empty"));
            assert_true(version < 5 || str_is(found->group_type, "classic"));
        }
    }
    listed(5, "empty", "CLASSIC", "list-1", &found);
    assert_non_null(found);
    listed(4, "Empty", NULL, "list-0", &found);
    assert_null(found);
    assert_int_equal(listed(5, NULL, "consumer", "list-1", &found), 0);
    assert_int_equal(listed(5, "nonsense", NULL, "list-1", &found), 0);
}

static void groups_are_deleted(void **state)
{
    (void)state;
    for (int16_t version = 0; version <= 2; version++) {
        int16_t errors[3];
        struct str names[3] = {STR_LIT("deleted"), STR_LIT("lives"), STR_LIT("nobody")};
        do_commit(9, "deleted", 1, errors);
        if (version == 0)
            enter(9, "lives", NULL);
        DEFAULT(delete_groups);
        in.groups_names = names;
        in.groups_names_n = 3;
        const struct kafka_delete_groups_response *out =
            client_call(c, DELETE_GROUPS, version, &in);
        assert_int_equal(out->results_n, 3);
        assert_int_equal(out->results[0].error_code, 0);
        assert_int_equal(out->results[1].error_code, 68);
        assert_int_equal(out->results[2].error_code, 69);
        assert_int_equal(fetch_new(9, "deleted").offset, -1);
    }
}

/* ---- names that are too long ---- */

/* Flexible versions carry strings of any length, older ones 32767 bytes: what is stored must fit
 * these, since it may be asked for in them. */
static void names_that_older_versions_cannot_carry(void **state)
{
    (void)state;
    char *name = mem_alloc(INT16_MAX + 2);
    memset(name, 'x', INT16_MAX + 1);
    name[INT16_MAX + 1] = '\0';
    assert_int_equal(do_join(9, name, STR_LIT(""), NULL)->error_code, 24);
    assert_int_equal(do_join(9, "long", STR_LIT(""), name)->error_code, 42);
    int16_t errors[3];
    do_commit(9, name, 1, errors);
    assert_int_equal(errors[0], 24);
    name[INT16_MAX] = '\0';
    struct str member = enter(9, name, name);
    const struct kafka_list_groups_response_group *found;
    listed(0, NULL, NULL, name, &found);
    assert_non_null(found);
    struct str names[1] = {str_of(name)};
    DEFAULT(describe_groups);
    in.groups = names;
    in.groups_n = 1;
    const struct kafka_describe_groups_response *out = client_call(c, DESCRIBE_GROUPS, 4, &in);
    assert_true(str_eq(out->groups[0].members[0].member_id, member));
    assert_int_equal(do_leave(3, name, member), 0);
    mem_free(name);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_member_lives_in_every_version),
        TEST(a_static_member_comes_back_in_every_version),
        TEST(errors_of_a_join),
        TEST(sync_must_name_the_protocol),
        TEST(every_version_of_a_commit_is_found_by_every_version_of_a_fetch),
        TEST(all_topics_are_fetched_with_null),
        TEST(commit_to_no_group),
        TEST(groups_are_described),
        TEST(groups_are_listed),
        TEST(groups_are_deleted),
        TEST(names_that_older_versions_cannot_carry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
