/* Every request that the front serves, in every version: the smallest is answered as its table
 * says, also from the reactor that does not own what it asks for; and what the others tell. */
#include "front_rig.h"

#include "../check.h"

#include <string.h>

#define LIST_OFFSETS 2
#define METADATA 3
#define FIND_COORDINATOR 10
#define API_VERSIONS 18
#define CREATE_TOPICS 19
#define DELETE_TOPICS 20
#define DELETE_RECORDS 21
#define INIT_PRODUCER_ID 22
#define EPOCH_END 23
#define DESCRIBE_CONFIGS 32
#define CREATE_PARTITIONS 37
#define DESCRIBE_CLUSTER 60

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

/* ---- all of them ---------------------------------------------------------------------------- */

static void the_smallest_request_of_each_version_is_answered(void **state)
{
    (void)state;
    for (size_t i = 0; i < kafka_apis_n; i++) {
        const struct kafka_api *api = &kafka_apis[i];
        void *in = arena_alloc(&f.arena, api->request->size);
        wire_default(api->request, in);
        if (api->key == API_VERSIONS) {
            ((struct kafka_api_versions_request *)in)->client_software_name = STR_LIT("rig");
            ((struct kafka_api_versions_request *)in)->client_software_version = STR_LIT("1.0");
        }
        if (api->key == 0)
            ((struct kafka_produce_request *)in)->acks = 1;
        for (int16_t version = api->min; version <= api->max; version++)
            (void)client_call(c, api->key, version, in);
    }
    assert_false(c->gone);
}

static void keys_stand_once_and_in_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < kafka_apis_n; i++) {
        assert_ptr_equal(kafka_api_find(kafka_apis[i].key), &kafka_apis[i]);
        assert_true(kafka_apis[i].min <= kafka_apis[i].max);
        assert_true(i == 0 || kafka_apis[i].key > kafka_apis[i - 1].key);
    }
    assert_null(kafka_api_find(4));
}

/* ---- ApiVersions, DescribeCluster, FindCoordinator, InitProducerId --------------------------- */

static void api_versions_tells_the_table(void **state)
{
    struct kafka_api_versions_request in;
    (void)state;
    wire_default(&kafka_api_versions_request_table, &in);
    in.client_software_name = STR_LIT("apache-kafka.java");
    in.client_software_version = STR_LIT("4.3.0");
    for (int16_t version = 0; version <= 4; version++) {
        const struct kafka_api_versions_response *out = client_call(c, API_VERSIONS, version, &in);
        assert_int_equal(out->error_code, 0);
        assert_int_equal(out->api_keys_n, kafka_apis_n);
        for (size_t i = 0; i < kafka_apis_n; i++) {
            assert_int_equal(out->api_keys[i].api_key, kafka_apis[i].key);
            assert_int_equal(out->api_keys[i].min_version, kafka_apis[i].min);
            assert_int_equal(out->api_keys[i].max_version, kafka_apis[i].max);
        }
    }
    in.client_software_name = STR_LIT("-bad");
    const struct kafka_api_versions_response *out = client_call(c, API_VERSIONS, 3, &in);
    assert_int_equal(out->error_code, 42);
    assert_int_equal(out->api_keys_n, 0);
}

static void the_cluster_is_one_broker(void **state)
{
    struct kafka_describe_cluster_request in;
    (void)state;
    wire_default(&kafka_describe_cluster_request_table, &in);
    for (int16_t version = 0; version <= 2; version++) {
        in.include_cluster_authorized_operations = version > 0;
        const struct kafka_describe_cluster_response *out =
            client_call(c, DESCRIBE_CLUSTER, version, &in);
        assert_int_equal(out->error_code, 0);
        assert_int_equal(out->cluster_id.len, 22);
        assert_int_equal(out->controller_id, 1);
        assert_int_equal(out->brokers_n, 1);
        assert_true(str_is(out->brokers[0].host, "127.0.0.1"));
        assert_int_equal(out->brokers[0].port, 9092);
        assert_true(version ? out->cluster_authorized_operations > 0
                            : out->cluster_authorized_operations == INT32_MIN);
    }
    in.endpoint_type = 2;
    const struct kafka_describe_cluster_response *out = client_call(c, DESCRIBE_CLUSTER, 1, &in);
    assert_int_equal(out->error_code, 42);
}

static void this_broker_coordinates_groups_alone(void **state)
{
    struct str keys[] = {STR_LIT("g"), STR_LIT(""), STR_LIT("h")};
    struct kafka_find_coordinator_request in = {
        .key = STR_LIT("g"), .coordinator_keys = keys, .coordinator_keys_n = 3};
    (void)state;
    for (int16_t version = 0; version <= 6; version++) {
        const struct kafka_find_coordinator_response *out =
            client_call(c, FIND_COORDINATOR, version, &in);
        if (version < 4) {
            assert_int_equal(out->error_code, 0);
            assert_int_equal(out->node_id, 1);
            continue;
        }
        assert_int_equal(out->coordinators_n, 3);
        assert_int_equal(out->coordinators[0].port, 9092);
        assert_int_equal(out->coordinators[1].error_code, 24);
        assert_int_equal(out->coordinators[2].error_code, 0);
    }
    in.key_type = 1;
    const struct kafka_find_coordinator_response *out = client_call(c, FIND_COORDINATOR, 4, &in);
    assert_int_equal(out->coordinators[0].error_code, 42);
    assert_true(out->coordinators[0].error_message.len > 0);
}

static void producer_ids_are_fresh(void **state)
{
    struct kafka_init_producer_id_request in;
    int64_t last = -1;
    (void)state;
    wire_default(&kafka_init_producer_id_request_table, &in);
    in.transactional_id = (struct str){0};
    for (int16_t version = 0; version <= 5; version++) {
        const struct kafka_init_producer_id_response *out =
            client_call(c, INIT_PRODUCER_ID, version, &in);
        assert_int_equal(out->error_code, 0);
        assert_int_equal(out->producer_epoch, 0);
        assert_true(out->producer_id > last);
        last = out->producer_id;
    }
    in.transactional_id = STR_LIT("tx");
    const struct kafka_init_producer_id_response *out = client_call(c, INIT_PRODUCER_ID, 4, &in);
    assert_int_equal(out->error_code, 42);
    assert_int_equal(out->producer_id, -1);
}

/* ---- offsets -------------------------------------------------------------------------------- */

static const struct kafka_list_offsets_response_topic_partition *
list(int16_t version, const char *topic, int32_t partition, int64_t timestamp)
{
    struct kafka_list_offsets_request_topic_partition p = {
        .partition_index = partition, .current_leader_epoch = -1, .timestamp = timestamp};
    struct kafka_list_offsets_request_topic t = {
        .name = str_of(topic), .partitions = &p, .partitions_n = 1};
    struct kafka_list_offsets_request in;
    wire_default(&kafka_list_offsets_request_table, &in);
    p.max_num_offsets = 1;
    in.topics = &t;
    in.topics_n = 1;
    const struct kafka_list_offsets_response *out = client_call(c, LIST_OFFSETS, version, &in);
    assert_int_equal(out->topics_n, 1);
    assert_true(str_is(out->topics[0].name, topic));
    assert_int_equal(out->topics[0].partitions_n, 1);
    assert_int_equal(out->topics[0].partitions[0].partition_index, partition);
    return &out->topics[0].partitions[0];
}

static void offsets_are_listed_in_every_version(void **state)
{
    (void)state;
    assert_int_equal(list(0, "t", 0, -1)->old_style_offsets_n, 1);
    assert_int_equal(list(0, "t", 0, -1)->old_style_offsets[0], 5);
    assert_int_equal(list(0, "t", 0, 99999)->old_style_offsets_n, 0);
    for (int16_t version = 1; version <= 11; version++) {
        assert_int_equal(list(version, "t", 0, -1)->offset, 5);
        assert_int_equal(list(version, "t", 0, -2)->offset, 0);
        assert_int_equal(list(version, "t", 0, 1000)->offset, 0);
        assert_int_equal(list(version, "t", 0, 1000)->timestamp, 1000);
        assert_int_equal(list(version, "t", 0, 1001)->offset, -1);
        assert_int_equal(list(version, "t", 9, -1)->error_code, 3);
        assert_int_equal(list(version, "u", 0, -1)->error_code, 3);
    }
}

static void special_times_have_their_versions(void **state)
{
    static const struct {
        int64_t timestamp;
        int16_t since;
    } rows[] = {{-3, 7}, {-4, 8}, {-5, 9}, {-6, 11}, {-7, 99}, {INT64_MIN, 99}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (int16_t version = 1; version <= 11; version++)
            assert_int_equal(list(version, "t", 0, rows[i].timestamp)->error_code,
                             version >= rows[i].since ? 0 : 35);
    }
}

/* Several topics and partitions, of two reactors, some wrong: each row is its own. */
static void rows_of_many_partitions_are_in_order(void **state)
{
    struct kafka_list_offsets_request_topic_partition ps[] = {
        {2, -1, -1, 1}, {7, -1, -1, 1}, {0, -1, -1, 1}, {1, -1, -2, 1}};
    struct kafka_list_offsets_request_topic ts[] = {
        {STR_LIT("t"), ps, 4}, {STR_LIT("nowhere"), ps, 2}, {STR_LIT("t"), NULL, 0}};
    struct kafka_list_offsets_request in;
    (void)state;
    wire_default(&kafka_list_offsets_request_table, &in);
    in.topics = ts;
    in.topics_n = 3;
    const struct kafka_list_offsets_response *out = client_call(c, LIST_OFFSETS, 4, &in);
    assert_int_equal(out->topics_n, 3);
    const int16_t codes[] = {0, 3, 0, 0};
    const int64_t offsets[] = {0, -1, 5, 0};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(out->topics[0].partitions[i].partition_index, ps[i].partition_index);
        assert_int_equal(out->topics[0].partitions[i].error_code, codes[i]);
        assert_int_equal(out->topics[0].partitions[i].offset, offsets[i]);
    }
    assert_int_equal(out->topics[1].partitions[1].error_code, 3);
    assert_int_equal(out->topics[2].partitions_n, 0);
}

static void epochs_end_where_they_ended(void **state)
{
    struct kafka_offset_for_leader_epoch_request_topic_partition ps[] = {
        {0, -1, 1}, {0, -1, 2}, {0, 1, 1}, {9, -1, 1}};
    struct kafka_offset_for_leader_epoch_request_topic t = {STR_LIT("t"), ps, 4};
    struct kafka_offset_for_leader_epoch_request in;
    (void)state;
    front_restart(&f);
    c = client_open(&f, 0);
    wire_default(&kafka_offset_for_leader_epoch_request_table, &in);
    in.topics = &t;
    in.topics_n = 1;
    for (int16_t version = 0; version <= 4; version++) {
        const struct kafka_offset_for_leader_epoch_response *out =
            client_call(c, EPOCH_END, version, &in);
        const struct kafka_offset_for_leader_epoch_response_topic_partition *p =
            out->topics[0].partitions;
        assert_int_equal(out->topics[0].partitions_n, 4);
        assert_int_equal(p[0].end_offset, 5);
        assert_int_equal(p[0].leader_epoch, version >= 1 ? 1 : -1);
        assert_int_equal(p[1].end_offset, 5);
        assert_int_equal(p[2].error_code, version >= 2 ? 74 : 0);
        assert_int_equal(p[3].error_code, 3);
        assert_int_equal(p[3].end_offset, -1);
    }
}

static void records_are_deleted(void **state)
{
    struct kafka_delete_records_request_topic_partition ps[] = {{0, 2}, {1, 1}, {5, 0}};
    struct kafka_delete_records_request_topic ts[] = {{STR_LIT("t"), ps, 3},
                                                      {STR_LIT("__weir_ledger"), ps, 1}};
    struct kafka_delete_records_request in = {.topics = ts, .topics_n = 2};
    (void)state;
    for (int16_t version = 0; version <= 2; version++) {
        const struct kafka_delete_records_response *out =
            client_call(c, DELETE_RECORDS, version, &in);
        assert_int_equal(out->topics[0].partitions[0].low_watermark, 2 + version);
        assert_int_equal(out->topics[0].partitions[1].error_code, 1);
        assert_int_equal(out->topics[0].partitions[1].low_watermark, -1);
        assert_int_equal(out->topics[0].partitions[2].error_code, 3);
        assert_int_equal(out->topics[1].partitions[0].error_code, 17);
        ps[0].offset++;
    }
    ps[0].offset = -1;
    const struct kafka_delete_records_response *out = client_call(c, DELETE_RECORDS, 2, &in);
    assert_int_equal(out->topics[0].partitions[0].low_watermark, 5);
}

/* ---- topics --------------------------------------------------------------------------------- */

static void topics_are_created_grown_and_deleted(void **state)
{
    (void)state;
    for (int16_t version = 0; version <= 7; version++) {
        struct kafka_create_topics_request_topic_config config = {STR_LIT("retention.ms"),
                                                                  STR_LIT("1000")};
        struct kafka_create_topics_request_topic ts[] = {
            {.name = STR_LIT("new"),
             .num_partitions = 2,
             .replication_factor = 1,
             .configs = &config,
             .configs_n = 1},
            {.name = STR_LIT("t"), .num_partitions = 1, .replication_factor = 1},
            {.name = STR_LIT("a b"), .num_partitions = 1, .replication_factor = 1},
            {.name = STR_LIT("three"), .num_partitions = 1, .replication_factor = 3},
        };
        struct kafka_create_topics_request in = {.topics = ts, .topics_n = 4};
        const struct kafka_create_topics_response *out =
            client_call(c, CREATE_TOPICS, version, &in);
        assert_int_equal(out->topics_n, 4);
        assert_int_equal(out->topics[0].error_code, 0);
        assert_int_equal(out->topics[1].error_code, 36);
        assert_int_equal(out->topics[2].error_code, 17);
        assert_int_equal(out->topics[3].error_code, 38);
        if (version >= 1)
            assert_true(out->topics[3].error_message.len > 0);
        if (version >= 5) {
            assert_int_equal(out->topics[0].num_partitions, 2);
            assert_int_equal(out->topics[0].configs_n, topic_conf_rows());
            assert_int_equal(out->topics[1].configs_n, -1);
        }
        struct uuid id = rig_topic_id(&f.rig, "new");
        if (version >= 7)
            assert_true(uuid_eq(out->topics[0].topic_id, id));

        struct kafka_create_partitions_request_topic g[] = {{STR_LIT("new"), 5, NULL, -1},
                                                            {STR_LIT("t"), 2, NULL, -1},
                                                            {STR_LIT("no"), 2, NULL, -1}};
        struct kafka_create_partitions_request grow = {.topics = g, .topics_n = 3};
        const struct kafka_create_partitions_response *grown =
            client_call(c, CREATE_PARTITIONS, version % 4, &grow);
        assert_int_equal(grown->results[0].error_code, 0);
        assert_int_equal(grown->results[1].error_code, 37);
        assert_int_equal(grown->results[2].error_code, 3);
        assert_int_equal(rig_topic(&f.rig, 1, "new")->partitions, 5);

        struct str names[] = {STR_LIT("new"), STR_LIT("no")};
        struct kafka_delete_topics_request_topic ds[] = {{{0}, id}, {STR_LIT("no"), {{0}}}};
        struct kafka_delete_topics_request delete = {
            .topics = ds, .topics_n = 2, .topic_names = names, .topic_names_n = 2};
        int16_t of = version <= 6 ? version : 6;
        const struct kafka_delete_topics_response *deleted =
            client_call(c, DELETE_TOPICS, of, &delete);
        assert_int_equal(deleted->responses[0].error_code, 0);
        assert_true(str_is(deleted->responses[0].name, "new"));
        assert_int_equal(deleted->responses[1].error_code, 3);
        assert_null(rig_topic(&f.rig, 1, "new"));
    }
}

static void topics_named_twice_are_refused(void **state)
{
    struct kafka_create_topics_request_topic ts[5] = {{.name = STR_LIT("a")},
                                                      {.name = STR_LIT("b")},
                                                      {.name = STR_LIT("a")},
                                                      {.name = STR_LIT("c")},
                                                      {.name = STR_LIT("a")}};
    struct kafka_create_topics_request in = {.topics = ts, .topics_n = 5};
    const int16_t codes[] = {42, 0, 42, 0, 42};
    (void)state;
    for (int i = 0; i < 5; i++) {
        ts[i].num_partitions = -1;
        ts[i].replication_factor = -1;
    }
    const struct kafka_create_topics_response *out = client_call(c, CREATE_TOPICS, 7, &in);
    for (int i = 0; i < 5; i++)
        assert_int_equal(out->topics[i].error_code, codes[i]);
}

static void assignments_must_be_of_this_broker(void **state)
{
    int32_t one[] = {1}, two[] = {1, 2};
    struct kafka_create_topics_request_topic_assignment good[] = {{0, one, 1}, {1, one, 1}},
                                                        bad[] = {{0, two, 2}};
    struct kafka_create_topics_request_topic ts[] = {
        {STR_LIT("good"), -1, -1, good, 2, NULL, 0},
        {STR_LIT("bad"), -1, -1, bad, 1, NULL, 0},
        {STR_LIT("both"), 2, 1, good, 2, NULL, 0},
    };
    struct kafka_create_topics_request in = {.topics = ts, .topics_n = 3, .validate_only = true};
    (void)state;
    const struct kafka_create_topics_response *out = client_call(c, CREATE_TOPICS, 7, &in);
    assert_int_equal(out->topics[0].error_code, 0);
    assert_int_equal(out->topics[0].num_partitions, 2);
    assert_int_equal(out->topics[1].error_code, 39);
    assert_int_equal(out->topics[2].error_code, 42);
    assert_null(rig_topic(&f.rig, 0, "good")); /* validated only */
}

static const struct kafka_metadata_response *metadata(int16_t version, const char *name,
                                                      bool create)
{
    struct kafka_metadata_request_topic t = {.name = str_of(name ? name : "")};
    struct kafka_metadata_request in;
    wire_default(&kafka_metadata_request_table, &in);
    in.topics = &t;
    in.topics_n = name ? 1 : version == 0 ? 0 : -1;
    in.allow_auto_topic_creation = create;
    return client_call(c, METADATA, version, &in);
}

static void metadata_tells_and_creates(void **state)
{
    (void)state;
    for (int16_t version = 0; version <= 13; version++) {
        const struct kafka_metadata_response *out = metadata(version, "t", false);
        assert_int_equal(out->brokers_n, 1);
        assert_int_equal(out->topics_n, 1);
        assert_int_equal(out->topics[0].error_code, 0);
        assert_int_equal(out->topics[0].partitions_n, 3);
        assert_int_equal(out->topics[0].partitions[2].leader_id, 1);
        assert_int_equal(out->topics[0].partitions[2].leader_epoch, version >= 7 ? 1 : -1);
        assert_int_equal(out->topics[0].partitions[2].replica_nodes_n, 1);
        assert_true(metadata(version, NULL, false)->topics_n >= 3);
        assert_int_equal(metadata(version, "a b", true)->topics[0].error_code, 17);
        if (version >= 4)
            assert_int_equal(metadata(version, "absent", false)->topics[0].error_code, 3);
        char name[] = "auto-a";
        name[5] = (char)('a' + version);
        out = metadata(version, name, true);
        assert_int_equal(out->topics[0].error_code, 0);
        assert_int_equal(out->topics[0].partitions_n, 1);
    }
}

static void settings_are_described(void **state)
{
    struct str one[] = {STR_LIT("retention.ms")};
    struct kafka_describe_configs_request_resource rs[] = {
        {2, STR_LIT("t"), NULL, -1},  {2, STR_LIT("t"), one, 1},   {4, STR_LIT("1"), NULL, -1},
        {2, STR_LIT("no"), NULL, -1}, {4, STR_LIT("2"), NULL, -1}, {7, STR_LIT("x"), NULL, -1}};
    struct kafka_describe_configs_request in = {
        .resources = rs, .resources_n = 6, .include_synonyms = true, .include_documentation = true};
    (void)state;
    assert_int_equal(rig_configure(&f.rig, "t", "retention.ms", "1234"), ERR_OK);
    for (int16_t version = 0; version <= 4; version++) {
        const struct kafka_describe_configs_response *out =
            client_call(c, DESCRIBE_CONFIGS, version, &in);
        assert_int_equal(out->results_n, 6);
        assert_int_equal(out->results[0].configs_n, topic_conf_rows());
        assert_int_equal(out->results[1].configs_n, 1);
        assert_true(str_is(out->results[1].configs[0].value, "1234"));
        assert_true(out->results[2].configs_n > 3);
        assert_int_equal(out->results[3].error_code, 3);
        assert_int_equal(out->results[4].error_code, 42);
        assert_int_equal(out->results[5].error_code, 42);
        if (version >= 1) {
            assert_int_equal(out->results[1].configs[0].config_source, 1);
            assert_int_equal(out->results[1].configs[0].synonyms_n, 2);
        }
        if (version >= 3)
            assert_true(out->results[1].configs[0].documentation.len > 0);
    }
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* Requests that ask for something, in the first version whose answer says most. */
static struct slice frame_of(size_t i)
{
    static struct kafka_list_offsets_request_topic_partition list[2] = {{0, -1, -1, 1},
                                                                        {1, -1, -2, 1}};
    static struct kafka_list_offsets_request_topic lists = {STR_LIT("t"), list, 2};
    static struct kafka_offset_for_leader_epoch_request_topic_partition epoch = {0, -1, 1};
    static struct kafka_offset_for_leader_epoch_request_topic epochs = {STR_LIT("t"), &epoch, 1};
    static struct kafka_describe_configs_request_resource resource = {2, STR_LIT("t"), NULL, -1};
    static struct kafka_fetch_request_topic_partition part = {.partition_max_bytes = 1000};
    static struct kafka_fetch_request_topic parts = {.topic = STR_LIT("t"), .partitions_n = 1};
    static struct kafka_delete_topics_request_topic absent = {.name = STR_LIT("no")};
    static struct str groups[] = {STR_LIT("g"), STR_LIT("h")};
    struct kafka_list_offsets_request list_offsets = {.replica_id = -1};
    struct kafka_offset_for_leader_epoch_request epoch_end = {.replica_id = -1};
    struct kafka_describe_configs_request configs = {.include_synonyms = true,
                                                     .include_documentation = true};
    struct kafka_metadata_request all_topics = {.topics_n = -1};
    struct kafka_describe_cluster_request cluster = {.endpoint_type = 1};
    struct kafka_delete_topics_request delete = {.topics = &absent, .topics_n = 1};
    struct kafka_find_coordinator_request coordinator = {.coordinator_keys = groups,
                                                         .coordinator_keys_n = 2};
    struct kafka_describe_groups_request describe = {.groups = groups, .groups_n = 2};
    struct kafka_list_groups_request list_groups = {.states_filter = groups, .states_filter_n = 2};
    struct kafka_delete_groups_request delete_groups = {.groups_names = groups,
                                                        .groups_names_n = 2};
    struct kafka_offset_fetch_request offsets = {.group_id = STR_LIT("g"), .topics_n = -1};
    struct kafka_heartbeat_request beat = {.group_id = STR_LIT("g")};
    struct kafka_fetch_request fetch;
    wire_default(&kafka_fetch_request_table, &fetch);
    parts.partitions = &part;
    part.current_leader_epoch = -1;
    fetch.topics = &parts;
    fetch.topics_n = 1;
    list_offsets.topics = &lists;
    list_offsets.topics_n = 1;
    epoch_end.topics = &epochs;
    epoch_end.topics_n = 1;
    configs.resources = &resource;
    configs.resources_n = 1;
    const struct {
        int16_t key, version;
        const void *in;
    } rows[] = {
        {LIST_OFFSETS, 0, &list_offsets},
        {LIST_OFFSETS, 7, &list_offsets},
        {EPOCH_END, 4, &epoch_end},
        {DESCRIBE_CONFIGS, 4, &configs},
        {METADATA, 12, &all_topics},
        {DESCRIBE_CLUSTER, 1, &cluster},
        {DELETE_TOPICS, 6, &delete},
        {FIND_COORDINATOR, 4, &coordinator},
        {15, 5, &describe},
        {16, 4, &list_groups},
        {42, 2, &delete_groups},
        {9, 7, &offsets},
        {12, 3, &beat},
        {1, 11, &fetch},
    };
    return i < sizeof rows / sizeof rows[0]
               ? frame_make(rows[i].key, rows[i].version, 7, rows[i].in)
               : (struct slice){0};
}

/* An answer is whole or is not given at all, however little memory its request may take. */
static void short_memory_closes_and_cuts_no_answer(void **state)
{
    struct slice frame;
    (void)state;
    for (size_t i = 0; frame = frame_of(i), frame.len; i++) {
        unsigned closed = 0;
        f.kafka->conf.request_memory_max = KAFKA_REQUEST_MEMORY_MAX_DEFAULT;
        struct client *whole = client_open(&f, 0);
        client_send(whole, frame.at, frame.len);
        assert_false(whole->gone);
        assert_true(whole->got.len > 8);
        for (size_t limit = 0; limit < 20000; limit += 40) {
            f.kafka->conf.request_memory_max = limit;
            struct client *some = client_open(&f, 0);
            client_send(some, frame.at, frame.len);
            closed += some->gone;
            if (some->gone) {
                assert_int_equal(some->got.len, 0);
            } else {
                assert_int_equal(some->got.len, whole->got.len);
                assert_memory_equal(some->got.buf->data, whole->got.buf->data, whole->got.len);
            }
            client_free(some);
        }
        assert_true(closed > 0);
        client_free(whole);
        slice_unref(frame);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
        TEST(the_smallest_request_of_each_version_is_answered),
        TEST(keys_stand_once_and_in_order),
        TEST(api_versions_tells_the_table),
        TEST(the_cluster_is_one_broker),
        TEST(this_broker_coordinates_groups_alone),
        TEST(producer_ids_are_fresh),
        TEST(offsets_are_listed_in_every_version),
        TEST(special_times_have_their_versions),
        TEST(rows_of_many_partitions_are_in_order),
        TEST(epochs_end_where_they_ended),
        TEST(records_are_deleted),
        TEST(topics_are_created_grown_and_deleted),
        TEST(topics_named_twice_are_refused),
        TEST(assignments_must_be_of_this_broker),
        TEST(metadata_tells_and_creates),
        TEST(settings_are_described),
        TEST(short_memory_closes_and_cuts_no_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
