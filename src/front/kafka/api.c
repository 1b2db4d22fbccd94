/* api.c: which requests this broker serves: one row each. ApiVersions answers from this table, and
 * the connection finds its handlers here.
 *
 * Versions as Kafka 4.3's where it serves more, with the floors of older brokers where clients of
 * that age are still in use. Produce is shown from 0, since librdkafka before 2.11.1 looks for
 * version 0 to decide whether it may compress (KAFKA-18659); below 3 every partition is answered
 * with UNSUPPORTED_FOR_MESSAGE_FORMAT.
 */
#include "front/kafka/conn.h"
#include "front/kafka/verbs.h"

#define ROW(key, min, max, flexible, name, verb)                                                   \
    {                                                                                              \
        key, min, max, flexible, name, &kafka_##verb##_request_table,                              \
            &kafka_##verb##_response_table, kafka_##verb##_run, false                              \
    }
#define ROW_BY_HAND(key, min, max, flexible, name, verb)                                           \
    {                                                                                              \
        key, min, max, flexible, name, &kafka_##verb##_request_table,                              \
            &kafka_##verb##_response_table, kafka_##verb##_run, true                               \
    }

/* clang-format off */
const struct kafka_api kafka_apis[] = {
    /*         key min max flex  name                     verb */
    ROW_BY_HAND(0,  0, 13,  9,  "Produce",                produce),
    ROW(        1,  4, 18, 12,  "Fetch",                  fetch),
    ROW(        2,  0, 11,  6,  "ListOffsets",            list_offsets),
    ROW(        3,  0, 13,  9,  "Metadata",               metadata),
    ROW(        8,  0, 10,  8,  "OffsetCommit",           offset_commit),
    ROW(        9,  0, 10,  6,  "OffsetFetch",            offset_fetch),
    ROW(       10,  0,  6,  3,  "FindCoordinator",        find_coordinator),
    ROW(       11,  0,  9,  6,  "JoinGroup",              join_group),
    ROW(       12,  0,  4,  4,  "Heartbeat",              heartbeat),
    ROW(       13,  0,  5,  4,  "LeaveGroup",             leave_group),
    ROW(       14,  0,  5,  4,  "SyncGroup",              sync_group),
    ROW(       15,  0,  6,  5,  "DescribeGroups",         describe_groups),
    ROW(       16,  0,  5,  3,  "ListGroups",             list_groups),
    ROW(       17,  0,  1, 99,  "SaslHandshake",          sasl_handshake),
    ROW(       18,  0,  4,  3,  "ApiVersions",            api_versions),
    ROW(       19,  0,  7,  5,  "CreateTopics",           create_topics),
    ROW(       20,  0,  6,  4,  "DeleteTopics",           delete_topics),
    ROW(       21,  0,  2,  2,  "DeleteRecords",          delete_records),
    ROW(       22,  0,  5,  2,  "InitProducerId",         init_producer_id),
    ROW(       23,  0,  4,  4,  "OffsetForLeaderEpoch",   offset_for_leader_epoch),
    ROW(       32,  0,  4,  4,  "DescribeConfigs",        describe_configs),
    ROW(       33,  0,  2,  2,  "AlterConfigs",           alter_configs),
    ROW(       36,  0,  2,  2,  "SaslAuthenticate",       sasl_authenticate),
    ROW(       37,  0,  3,  2,  "CreatePartitions",       create_partitions),
    ROW(       42,  0,  2,  2,  "DeleteGroups",           delete_groups),
    ROW(       44,  0,  1,  1,  "IncrementalAlterConfigs", incremental_alter_configs),
    ROW(       50,  0,  0,  0,  "DescribeUserScramCredentials", describe_user_scram),
    ROW(       51,  0,  0,  0,  "AlterUserScramCredentials", alter_user_scram),
    ROW(       60,  0,  2,  0,  "DescribeCluster",        describe_cluster),
};
/* clang-format on */
const size_t kafka_apis_n = sizeof kafka_apis / sizeof kafka_apis[0];

const struct kafka_api *kafka_api_find(int16_t key)
{
    for (size_t i = 0; i < kafka_apis_n; i++) {
        if (kafka_apis[i].key == key)
            return &kafka_apis[i];
    }
    return NULL;
}
