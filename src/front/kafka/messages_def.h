/* messages_def.h: Kafka's messages as lists of fields; messages.h makes structs of them, messages.c
 * tables. Facts: Kafka's message definitions, 4.3 for what is new and 3.9 for what clients of old
 * versions still send.
 *
 *     F(T, kind, name, element, since, until, nullable from, tag, default)
 *
 * T is the message, passed through. since and until are versions (99: still there), -1 is "never"
 * or "none". Elements come before the messages that use them.
 */
#pragma once

/* clang-format off */

#define KAFKA_API_VERSIONS_REQUEST(F, T)                                                           \
    F(T, STR,       client_software_name,      none,  3, 99, -1, -1, 0)                            \
    F(T, STR,       client_software_version,   none,  3, 99, -1, -1, 0)

#define KAFKA_API_VERSIONS_RESPONSE_API_KEY(F, T)                                                  \
    F(T, I16,       api_key,                   none,  0, 99, -1, -1, 0)                            \
    F(T, I16,       min_version,               none,  0, 99, -1, -1, 0)                            \
    F(T, I16,       max_version,               none,  0, 99, -1, -1, 0)

#define KAFKA_API_VERSIONS_RESPONSE_SUPPORTED_FEATURE(F, T)                                        \
    F(T, STR,       name,                      none,  3, 99, -1, -1, 0)                            \
    F(T, I16,       min_version,               none,  3, 99, -1, -1, 0)                            \
    F(T, I16,       max_version,               none,  3, 99, -1, -1, 0)

#define KAFKA_API_VERSIONS_RESPONSE_FINALIZED_FEATURE(F, T)                                        \
    F(T, STR,       name,                      none,  3, 99, -1, -1, 0)                            \
    F(T, I16,       max_version_level,         none,  3, 99, -1, -1, 0)                            \
    F(T, I16,       min_version_level,         none,  3, 99, -1, -1, 0)

#define KAFKA_API_VERSIONS_RESPONSE(F, T)                                                          \
    F(T, I16,       error_code,                none,  0, 99, -1, -1, 0)                            \
    F(T, ARRAY,     api_keys,                  api_versions_response_api_key, 0, 99, -1, -1, 0)    \
    F(T, I32,       throttle_time_ms,          none,  1, 99, -1, -1, 0)                            \
    F(T, ARRAY,     supported_features,                                                            \
      api_versions_response_supported_feature, 3, 99, -1, 0, 0)                                    \
    F(T, I64,       finalized_features_epoch,  none,  3, 99, -1, 1, -1)                            \
    F(T, ARRAY,     finalized_features,                                                            \
      api_versions_response_finalized_feature, 3, 99, -1, 2, 0)                                    \
    F(T, BOOL,      zk_migration_ready,        none,  3, 99, -1, 3, 0)

#define KAFKA_METADATA_REQUEST_TOPIC(F, T)                                                         \
    F(T, UUID,      topic_id,                  none,  10, 99, -1, -1, 0)                           \
    F(T, STR,       name,                      none,  0, 99, 10, -1, 0)

#define KAFKA_METADATA_REQUEST(F, T)                                                               \
    F(T, ARRAY,     topics,                    metadata_request_topic, 0, 99, 1, -1, 0)            \
    F(T, BOOL,      allow_auto_topic_creation, none,  4, 99, -1, -1, 1)                            \
    F(T, BOOL,      include_cluster_authorized_operations, none,  8, 10, -1, -1, 0)                \
    F(T, BOOL,      include_topic_authorized_operations, none,  8, 99, -1, -1, 0)

#define KAFKA_METADATA_RESPONSE_BROKER(F, T)                                                       \
    F(T, I32,       node_id,                   none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       host,                      none,  0, 99, -1, -1, 0)                            \
    F(T, I32,       port,                      none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       rack,                      none,  1, 99, 1, -1, -1)

#define KAFKA_METADATA_RESPONSE_TOPIC_PARTITION(F, T)                                              \
    F(T, I16,       error_code,                none,  0, 99, -1, -1, 0)                            \
    F(T, I32,       partition_index,           none,  0, 99, -1, -1, 0)                            \
    F(T, I32,       leader_id,                 none,  0, 99, -1, -1, 0)                            \
    F(T, I32,       leader_epoch,              none,  7, 99, -1, -1, -1)                           \
    F(T, ARRAY_I32, replica_nodes,             none,  0, 99, -1, -1, 0)                            \
    F(T, ARRAY_I32, isr_nodes,                 none,  0, 99, -1, -1, 0)                            \
    F(T, ARRAY_I32, offline_replicas,          none,  5, 99, -1, -1, 0)

#define KAFKA_METADATA_RESPONSE_TOPIC(F, T)                                                        \
    F(T, I16,       error_code,                none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       name,                      none,  0, 99, 12, -1, 0)                            \
    F(T, UUID,      topic_id,                  none,  10, 99, -1, -1, 0)                           \
    F(T, BOOL,      is_internal,               none,  1, 99, -1, -1, 0)                            \
    F(T, ARRAY,     partitions,                                                                    \
      metadata_response_topic_partition, 0, 99, -1, -1, 0)                                         \
    F(T, I32,       topic_authorized_operations, none,  8, 99, -1, -1, -2147483648)

#define KAFKA_METADATA_RESPONSE(F, T)                                                              \
    F(T, I32,       throttle_time_ms,          none,  3, 99, -1, -1, 0)                            \
    F(T, ARRAY,     brokers,                   metadata_response_broker, 0, 99, -1, -1, 0)         \
    F(T, STR,       cluster_id,                none,  2, 99, 2, -1, -1)                            \
    F(T, I32,       controller_id,             none,  1, 99, -1, -1, -1)                           \
    F(T, ARRAY,     topics,                    metadata_response_topic, 0, 99, -1, -1, 0)          \
    F(T, I32,       cluster_authorized_operations, none,  8, 10, -1, -1, -2147483648)              \
    F(T, I16,       error_code,                none,  13, 99, -1, -1, 0)

#define KAFKA_PRODUCE_REQUEST_TOPIC_PARTITION(F, T)                                                \
    F(T, I32,       index,                     none,  0, 99, -1, -1, 0)                            \
    F(T, BYTES,     records,                   none,  0, 99, 0, -1, 0)

#define KAFKA_PRODUCE_REQUEST_TOPIC(F, T)                                                          \
    F(T, STR,       name,                      none,  0, 12, -1, -1, 0)                            \
    F(T, UUID,      topic_id,                  none,  13, 99, -1, -1, 0)                           \
    F(T, ARRAY,     partition_data,            produce_request_topic_partition, 0, 99, -1, -1, 0)

#define KAFKA_PRODUCE_REQUEST(F, T)                                                                \
    F(T, STR,       transactional_id,          none,  3, 99, 3, -1, -1)                            \
    F(T, I16,       acks,                      none,  0, 99, -1, -1, 0)                            \
    F(T, I32,       timeout_ms,                none,  0, 99, -1, -1, 0)                            \
    F(T, ARRAY,     topic_data,                produce_request_topic, 0, 99, -1, -1, 0)

#define KAFKA_PRODUCE_RESPONSE_TOPIC_PARTITION_RECORD_ERROR(F, T)                                  \
    F(T, I32,       batch_index,               none,  8, 99, -1, -1, 0)                            \
    F(T, STR,       batch_index_error_message, none,  8, 99, 8, -1, -1)

#define KAFKA_PRODUCE_RESPONSE_TOPIC_PARTITION_CURRENT_LEADER(F, T)                                \
    F(T, I32,       leader_id,                 none,  10, 99, -1, -1, -1)                          \
    F(T, I32,       leader_epoch,              none,  10, 99, -1, -1, -1)

#define KAFKA_PRODUCE_RESPONSE_TOPIC_PARTITION(F, T)                                               \
    F(T, I32,       index,                     none,  0, 99, -1, -1, 0)                            \
    F(T, I16,       error_code,                none,  0, 99, -1, -1, 0)                            \
    F(T, I64,       base_offset,               none,  0, 99, -1, -1, 0)                            \
    F(T, I64,       log_append_time_ms,        none,  2, 99, -1, -1, -1)                           \
    F(T, I64,       log_start_offset,          none,  5, 99, -1, -1, -1)                           \
    F(T, ARRAY,     record_errors,                                                                 \
      produce_response_topic_partition_record_error, 8, 99, -1, -1, 0)                             \
    F(T, STR,       error_message,             none,  8, 99, 8, -1, -1)                            \
    F(T, STRUCT,    current_leader,                                                                \
      produce_response_topic_partition_current_leader, 10, 99, -1, 0, 0)

#define KAFKA_PRODUCE_RESPONSE_TOPIC(F, T)                                                         \
    F(T, STR,       name,                      none,  0, 12, -1, -1, 0)                            \
    F(T, UUID,      topic_id,                  none,  13, 99, -1, -1, 0)                           \
    F(T, ARRAY,     partition_responses,                                                           \
      produce_response_topic_partition, 0, 99, -1, -1, 0)

#define KAFKA_PRODUCE_RESPONSE_NODE_ENDPOINT(F, T)                                                 \
    F(T, I32,       node_id,                   none,  10, 99, -1, -1, 0)                           \
    F(T, STR,       host,                      none,  10, 99, -1, -1, 0)                           \
    F(T, I32,       port,                      none,  10, 99, -1, -1, 0)                           \
    F(T, STR,       rack,                      none,  10, 99, 10, -1, -1)

#define KAFKA_PRODUCE_RESPONSE(F, T)                                                               \
    F(T, ARRAY,     responses,                 produce_response_topic, 0, 99, -1, -1, 0)           \
    F(T, I32,       throttle_time_ms,          none,  1, 99, -1, -1, 0)                            \
    F(T, ARRAY,     node_endpoints,            produce_response_node_endpoint, 10, 99, -1, 0, 0)

#define KAFKA_FETCH_REQUEST_REPLICA_STATE(F, T)                                                    \
    F(T, I32,       replica_id,                none,  15, 99, -1, -1, -1)                          \
    F(T, I64,       replica_epoch,             none,  15, 99, -1, -1, -1)

#define KAFKA_FETCH_REQUEST_TOPIC_PARTITION(F, T)                                                  \
    F(T, I32,       partition,                 none,  0, 99, -1, -1, 0)                            \
    F(T, I32,       current_leader_epoch,      none,  9, 99, -1, -1, -1)                           \
    F(T, I64,       fetch_offset,              none,  0, 99, -1, -1, 0)                            \
    F(T, I32,       last_fetched_epoch,        none,  12, 99, -1, -1, -1)                          \
    F(T, I64,       log_start_offset,          none,  5, 99, -1, -1, -1)                           \
    F(T, I32,       partition_max_bytes,       none,  0, 99, -1, -1, 0)                            \
    F(T, UUID,      replica_directory_id,      none,  17, 99, -1, 0, 0)                            \
    F(T, I64,       high_watermark,            none,  18, 99, -1, 1, INT64_MAX)

#define KAFKA_FETCH_REQUEST_TOPIC(F, T)                                                            \
    F(T, STR,       topic,                     none,  0, 12, -1, -1, 0)                            \
    F(T, UUID,      topic_id,                  none,  13, 99, -1, -1, 0)                           \
    F(T, ARRAY,     partitions,                fetch_request_topic_partition, 0, 99, -1, -1, 0)

#define KAFKA_FETCH_REQUEST_FORGOTTEN_TOPIC(F, T)                                                  \
    F(T, STR,       topic,                     none,  7, 12, -1, -1, 0)                            \
    F(T, UUID,      topic_id,                  none,  13, 99, -1, -1, 0)                           \
    F(T, ARRAY_I32, partitions,                none,  7, 99, -1, -1, 0)

#define KAFKA_FETCH_REQUEST(F, T)                                                                  \
    F(T, STR,       cluster_id,                none,  12, 99, 12, 0, -1)                           \
    F(T, I32,       replica_id,                none,  0, 14, -1, -1, -1)                           \
    F(T, STRUCT,    replica_state,             fetch_request_replica_state, 15, 99, -1, 1, 0)      \
    F(T, I32,       max_wait_ms,               none,  0, 99, -1, -1, 0)                            \
    F(T, I32,       min_bytes,                 none,  0, 99, -1, -1, 0)                            \
    F(T, I32,       max_bytes,                 none,  3, 99, -1, -1, 2147483647)                   \
    F(T, I8,        isolation_level,           none,  4, 99, -1, -1, 0)                            \
    F(T, I32,       session_id,                none,  7, 99, -1, -1, 0)                            \
    F(T, I32,       session_epoch,             none,  7, 99, -1, -1, -1)                           \
    F(T, ARRAY,     topics,                    fetch_request_topic, 0, 99, -1, -1, 0)              \
    F(T, ARRAY,     forgotten_topics_data,     fetch_request_forgotten_topic, 7, 99, -1, -1, 0)    \
    F(T, STR,       rack_id,                   none,  11, 99, -1, -1, 0)

#define KAFKA_FETCH_RESPONSE_TOPIC_PARTITION_DIVERGING_EPOCH(F, T)                                 \
    F(T, I32,       epoch,                     none,  12, 99, -1, -1, -1)                          \
    F(T, I64,       end_offset,                none,  12, 99, -1, -1, -1)

#define KAFKA_FETCH_RESPONSE_TOPIC_PARTITION_CURRENT_LEADER(F, T)                                  \
    F(T, I32,       leader_id,                 none,  12, 99, -1, -1, -1)                          \
    F(T, I32,       leader_epoch,              none,  12, 99, -1, -1, -1)

#define KAFKA_FETCH_RESPONSE_TOPIC_PARTITION_SNAPSHOT_ID(F, T)                                     \
    F(T, I64,       end_offset,                none,  0, 99, -1, -1, -1)                           \
    F(T, I32,       epoch,                     none,  0, 99, -1, -1, -1)

#define KAFKA_FETCH_RESPONSE_TOPIC_PARTITION_ABORTED_TRANSACTION(F, T)                             \
    F(T, I64,       producer_id,               none,  4, 99, -1, -1, 0)                            \
    F(T, I64,       first_offset,              none,  4, 99, -1, -1, 0)

#define KAFKA_FETCH_RESPONSE_TOPIC_PARTITION(F, T)                                                 \
    F(T, I32,       partition_index,           none,  0, 99, -1, -1, 0)                            \
    F(T, I16,       error_code,                none,  0, 99, -1, -1, 0)                            \
    F(T, I64,       high_watermark,            none,  0, 99, -1, -1, 0)                            \
    F(T, I64,       last_stable_offset,        none,  4, 99, -1, -1, -1)                           \
    F(T, I64,       log_start_offset,          none,  5, 99, -1, -1, -1)                           \
    F(T, STRUCT,    diverging_epoch,                                                               \
      fetch_response_topic_partition_diverging_epoch, 12, 99, -1, 0, 0)                            \
    F(T, STRUCT,    current_leader,                                                                \
      fetch_response_topic_partition_current_leader, 12, 99, -1, 1, 0)                             \
    F(T, STRUCT,    snapshot_id,                                                                   \
      fetch_response_topic_partition_snapshot_id, 12, 99, -1, 2, 0)                                \
    F(T, ARRAY,     aborted_transactions,                                                          \
      fetch_response_topic_partition_aborted_transaction, 4, 99, 4, -1, 0)                         \
    F(T, I32,       preferred_read_replica,    none,  11, 99, -1, -1, -1)                          \
    F(T, BYTES,     records,                   none,  0, 99, 0, -1, 0)

#define KAFKA_FETCH_RESPONSE_TOPIC(F, T)                                                           \
    F(T, STR,       topic,                     none,  0, 12, -1, -1, 0)                            \
    F(T, UUID,      topic_id,                  none,  13, 99, -1, -1, 0)                           \
    F(T, ARRAY,     partitions,                fetch_response_topic_partition, 0, 99, -1, -1, 0)

#define KAFKA_FETCH_RESPONSE_NODE_ENDPOINT(F, T)                                                   \
    F(T, I32,       node_id,                   none,  16, 99, -1, -1, 0)                           \
    F(T, STR,       host,                      none,  16, 99, -1, -1, 0)                           \
    F(T, I32,       port,                      none,  16, 99, -1, -1, 0)                           \
    F(T, STR,       rack,                      none,  16, 99, 16, -1, -1)

#define KAFKA_FETCH_RESPONSE(F, T)                                                                 \
    F(T, I32,       throttle_time_ms,          none,  1, 99, -1, -1, 0)                            \
    F(T, I16,       error_code,                none,  7, 99, -1, -1, 0)                            \
    F(T, I32,       session_id,                none,  7, 99, -1, -1, 0)                            \
    F(T, ARRAY,     responses,                 fetch_response_topic, 0, 99, -1, -1, 0)             \
    F(T, ARRAY,     node_endpoints,            fetch_response_node_endpoint, 16, 99, -1, 0, 0)

#define KAFKA_LIST_OFFSETS_REQUEST_TOPIC_PARTITION(F, T)                                           \
    F(T, I32,       partition_index,           none,  0, 99, -1, -1, 0)                            \
    F(T, I32,       current_leader_epoch,      none,  4, 99, -1, -1, -1)                           \
    F(T, I64,       timestamp,                 none,  0, 99, -1, -1, 0)                            \
    F(T, I32,       max_num_offsets,           none,  0, 0, -1, -1, 1)

#define KAFKA_LIST_OFFSETS_REQUEST_TOPIC(F, T)                                                     \
    F(T, STR,       name,                      none,  0, 99, -1, -1, 0)                            \
    F(T, ARRAY,     partitions,                                                                    \
      list_offsets_request_topic_partition, 0, 99, -1, -1, 0)

#define KAFKA_LIST_OFFSETS_REQUEST(F, T)                                                           \
    F(T, I32,       replica_id,                none,  0, 99, -1, -1, 0)                            \
    F(T, I8,        isolation_level,           none,  2, 99, -1, -1, 0)                            \
    F(T, ARRAY,     topics,                    list_offsets_request_topic, 0, 99, -1, -1, 0)       \
    F(T, I32,       timeout_ms,                none,  10, 99, -1, -1, 0)

#define KAFKA_LIST_OFFSETS_RESPONSE_TOPIC_PARTITION(F, T)                                          \
    F(T, I32,       partition_index,           none,  0, 99, -1, -1, 0)                            \
    F(T, I16,       error_code,                none,  0, 99, -1, -1, 0)                            \
    F(T, ARRAY_I64, old_style_offsets,         none,  0, 0, -1, -1, 0)                             \
    F(T, I64,       timestamp,                 none,  1, 99, -1, -1, -1)                           \
    F(T, I64,       offset,                    none,  1, 99, -1, -1, -1)                           \
    F(T, I32,       leader_epoch,              none,  4, 99, -1, -1, -1)

#define KAFKA_LIST_OFFSETS_RESPONSE_TOPIC(F, T)                                                    \
    F(T, STR,       name,                      none,  0, 99, -1, -1, 0)                            \
    F(T, ARRAY,     partitions,                                                                    \
      list_offsets_response_topic_partition, 0, 99, -1, -1, 0)

#define KAFKA_LIST_OFFSETS_RESPONSE(F, T)                                                          \
    F(T, I32,       throttle_time_ms,          none,  2, 99, -1, -1, 0)                            \
    F(T, ARRAY,     topics,                    list_offsets_response_topic, 0, 99, -1, -1, 0)

#define KAFKA_OFFSET_FOR_LEADER_EPOCH_REQUEST_TOPIC_PARTITION(F, T)                                \
    F(T, I32,       partition,                 none,  0, 99, -1, -1, 0)                            \
    F(T, I32,       current_leader_epoch,      none,  2, 99, -1, -1, -1)                           \
    F(T, I32,       leader_epoch,              none,  0, 99, -1, -1, 0)

#define KAFKA_OFFSET_FOR_LEADER_EPOCH_REQUEST_TOPIC(F, T)                                          \
    F(T, STR,       topic,                     none,  0, 99, -1, -1, 0)                            \
    F(T, ARRAY,     partitions,                                                                    \
      offset_for_leader_epoch_request_topic_partition, 0, 99, -1, -1, 0)

#define KAFKA_OFFSET_FOR_LEADER_EPOCH_REQUEST(F, T)                                                \
    F(T, I32,       replica_id,                none,  3, 99, -1, -1, -2)                           \
    F(T, ARRAY,     topics,                                                                        \
      offset_for_leader_epoch_request_topic, 0, 99, -1, -1, 0)

#define KAFKA_OFFSET_FOR_LEADER_EPOCH_RESPONSE_TOPIC_PARTITION(F, T)                               \
    F(T, I16,       error_code,                none,  0, 99, -1, -1, 0)                            \
    F(T, I32,       partition,                 none,  0, 99, -1, -1, 0)                            \
    F(T, I32,       leader_epoch,              none,  1, 99, -1, -1, -1)                           \
    F(T, I64,       end_offset,                none,  0, 99, -1, -1, -1)

#define KAFKA_OFFSET_FOR_LEADER_EPOCH_RESPONSE_TOPIC(F, T)                                         \
    F(T, STR,       topic,                     none,  0, 99, -1, -1, 0)                            \
    F(T, ARRAY,     partitions,                                                                    \
      offset_for_leader_epoch_response_topic_partition, 0, 99, -1, -1, 0)

#define KAFKA_OFFSET_FOR_LEADER_EPOCH_RESPONSE(F, T)                                               \
    F(T, I32,       throttle_time_ms,          none,  2, 99, -1, -1, 0)                            \
    F(T, ARRAY,     topics,                                                                        \
      offset_for_leader_epoch_response_topic, 0, 99, -1, -1, 0)

#define KAFKA_INIT_PRODUCER_ID_REQUEST(F, T)                                                       \
    F(T, STR,       transactional_id,          none,  0, 99, 0, -1, 0)                             \
    F(T, I32,       transaction_timeout_ms,    none,  0, 99, -1, -1, 0)                            \
    F(T, I64,       producer_id,               none,  3, 99, -1, -1, -1)                           \
    F(T, I16,       producer_epoch,            none,  3, 99, -1, -1, -1)                           \
    F(T, BOOL,      enable2_pc,                none,  6, 99, -1, -1, 0)                            \
    F(T, BOOL,      keep_prepared_txn,         none,  6, 99, -1, -1, 0)

#define KAFKA_INIT_PRODUCER_ID_RESPONSE(F, T)                                                      \
    F(T, I32,       throttle_time_ms,          none,  0, 99, -1, -1, 0)                            \
    F(T, I16,       error_code,                none,  0, 99, -1, -1, 0)                            \
    F(T, I64,       producer_id,               none,  0, 99, -1, -1, -1)                           \
    F(T, I16,       producer_epoch,            none,  0, 99, -1, -1, 0)                            \
    F(T, I64,       ongoing_txn_producer_id,   none,  6, 99, -1, -1, -1)                           \
    F(T, I16,       ongoing_txn_producer_epoch, none,  6, 99, -1, -1, -1)

#define KAFKA_FIND_COORDINATOR_REQUEST(F, T)                                                       \
    F(T, STR,       key,                       none,  0, 3, -1, -1, 0)                             \
    F(T, I8,        key_type,                  none,  1, 99, -1, -1, 0)                            \
    F(T, ARRAY_STR, coordinator_keys,          none,  4, 99, -1, -1, 0)

#define KAFKA_FIND_COORDINATOR_RESPONSE_COORDINATOR(F, T)                                          \
    F(T, STR,       key,                       none,  4, 99, -1, -1, 0)                            \
    F(T, I32,       node_id,                   none,  4, 99, -1, -1, 0)                            \
    F(T, STR,       host,                      none,  4, 99, -1, -1, 0)                            \
    F(T, I32,       port,                      none,  4, 99, -1, -1, 0)                            \
    F(T, I16,       error_code,                none,  4, 99, -1, -1, 0)                            \
    F(T, STR,       error_message,             none,  4, 99, 4, -1, 0)

#define KAFKA_FIND_COORDINATOR_RESPONSE(F, T)                                                      \
    F(T, I32,       throttle_time_ms,          none,  1, 99, -1, -1, 0)                            \
    F(T, I16,       error_code,                none,  0, 3, -1, -1, 0)                             \
    F(T, STR,       error_message,             none,  1, 3, 1, -1, 0)                              \
    F(T, I32,       node_id,                   none,  0, 3, -1, -1, 0)                             \
    F(T, STR,       host,                      none,  0, 3, -1, -1, 0)                             \
    F(T, I32,       port,                      none,  0, 3, -1, -1, 0)                             \
    F(T, ARRAY,     coordinators,                                                                  \
      find_coordinator_response_coordinator, 4, 99, -1, -1, 0)

#define KAFKA_JOIN_GROUP_REQUEST_PROTOCOL(F, T)                                                    \
    F(T, STR,       name,                      none,  0, 99, -1, -1, 0)                            \
    F(T, BYTES,     metadata,                  none,  0, 99, -1, -1, 0)

#define KAFKA_JOIN_GROUP_REQUEST(F, T)                                                             \
    F(T, STR,       group_id,                  none,  0, 99, -1, -1, 0)                            \
    F(T, I32,       session_timeout_ms,        none,  0, 99, -1, -1, 0)                            \
    F(T, I32,       rebalance_timeout_ms,      none,  1, 99, -1, -1, -1)                           \
    F(T, STR,       member_id,                 none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       group_instance_id,         none,  5, 99, 5, -1, -1)                            \
    F(T, STR,       protocol_type,             none,  0, 99, -1, -1, 0)                            \
    F(T, ARRAY,     protocols,                 join_group_request_protocol, 0, 99, -1, -1, 0)      \
    F(T, STR,       reason,                    none,  8, 99, 8, -1, -1)

#define KAFKA_JOIN_GROUP_RESPONSE_MEMBER(F, T)                                                     \
    F(T, STR,       member_id,                 none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       group_instance_id,         none,  5, 99, 5, -1, -1)                            \
    F(T, BYTES,     metadata,                  none,  0, 99, -1, -1, 0)

#define KAFKA_JOIN_GROUP_RESPONSE(F, T)                                                            \
    F(T, I32,       throttle_time_ms,          none,  2, 99, -1, -1, 0)                            \
    F(T, I16,       error_code,                none,  0, 99, -1, -1, 0)                            \
    F(T, I32,       generation_id,             none,  0, 99, -1, -1, -1)                           \
    F(T, STR,       protocol_type,             none,  7, 99, 7, -1, -1)                            \
    F(T, STR,       protocol_name,             none,  0, 99, 7, -1, 0)                             \
    F(T, STR,       leader,                    none,  0, 99, -1, -1, 0)                            \
    F(T, BOOL,      skip_assignment,           none,  9, 99, -1, -1, 0)                            \
    F(T, STR,       member_id,                 none,  0, 99, -1, -1, 0)                            \
    F(T, ARRAY,     members,                   join_group_response_member, 0, 99, -1, -1, 0)

#define KAFKA_SYNC_GROUP_REQUEST_ASSIGNMENT(F, T)                                                  \
    F(T, STR,       member_id,                 none,  0, 99, -1, -1, 0)                            \
    F(T, BYTES,     assignment,                none,  0, 99, -1, -1, 0)

#define KAFKA_SYNC_GROUP_REQUEST(F, T)                                                             \
    F(T, STR,       group_id,                  none,  0, 99, -1, -1, 0)                            \
    F(T, I32,       generation_id,             none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       member_id,                 none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       group_instance_id,         none,  3, 99, 3, -1, -1)                            \
    F(T, STR,       protocol_type,             none,  5, 99, 5, -1, -1)                            \
    F(T, STR,       protocol_name,             none,  5, 99, 5, -1, -1)                            \
    F(T, ARRAY,     assignments,               sync_group_request_assignment, 0, 99, -1, -1, 0)

#define KAFKA_SYNC_GROUP_RESPONSE(F, T)                                                            \
    F(T, I32,       throttle_time_ms,          none,  1, 99, -1, -1, 0)                            \
    F(T, I16,       error_code,                none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       protocol_type,             none,  5, 99, 5, -1, -1)                            \
    F(T, STR,       protocol_name,             none,  5, 99, 5, -1, -1)                            \
    F(T, BYTES,     assignment,                none,  0, 99, -1, -1, 0)

#define KAFKA_HEARTBEAT_REQUEST(F, T)                                                              \
    F(T, STR,       group_id,                  none,  0, 99, -1, -1, 0)                            \
    F(T, I32,       generation_id,             none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       member_id,                 none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       group_instance_id,         none,  3, 99, 3, -1, -1)

#define KAFKA_HEARTBEAT_RESPONSE(F, T)                                                             \
    F(T, I32,       throttle_time_ms,          none,  1, 99, -1, -1, 0)                            \
    F(T, I16,       error_code,                none,  0, 99, -1, -1, 0)

#define KAFKA_LEAVE_GROUP_REQUEST_MEMBER(F, T)                                                     \
    F(T, STR,       member_id,                 none,  3, 99, -1, -1, 0)                            \
    F(T, STR,       group_instance_id,         none,  3, 99, 3, -1, -1)                            \
    F(T, STR,       reason,                    none,  5, 99, 5, -1, -1)

#define KAFKA_LEAVE_GROUP_REQUEST(F, T)                                                            \
    F(T, STR,       group_id,                  none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       member_id,                 none,  0, 2, -1, -1, 0)                             \
    F(T, ARRAY,     members,                   leave_group_request_member, 3, 99, -1, -1, 0)

#define KAFKA_LEAVE_GROUP_RESPONSE_MEMBER(F, T)                                                    \
    F(T, STR,       member_id,                 none,  3, 99, -1, -1, 0)                            \
    F(T, STR,       group_instance_id,         none,  3, 99, 3, -1, 0)                             \
    F(T, I16,       error_code,                none,  3, 99, -1, -1, 0)

#define KAFKA_LEAVE_GROUP_RESPONSE(F, T)                                                           \
    F(T, I32,       throttle_time_ms,          none,  1, 99, -1, -1, 0)                            \
    F(T, I16,       error_code,                none,  0, 99, -1, -1, 0)                            \
    F(T, ARRAY,     members,                   leave_group_response_member, 3, 99, -1, -1, 0)

#define KAFKA_OFFSET_COMMIT_REQUEST_TOPIC_PARTITION(F, T)                                          \
    F(T, I32,       partition_index,           none,  0, 99, -1, -1, 0)                            \
    F(T, I64,       committed_offset,          none,  0, 99, -1, -1, 0)                            \
    F(T, I32,       committed_leader_epoch,    none,  6, 99, -1, -1, -1)                           \
    F(T, I64,       commit_timestamp,          none,  1, 1, -1, -1, -1)                            \
    F(T, STR,       committed_metadata,        none,  0, 99, 0, -1, 0)

#define KAFKA_OFFSET_COMMIT_REQUEST_TOPIC(F, T)                                                    \
    F(T, STR,       name,                      none,  0, 9, -1, -1, 0)                             \
    F(T, UUID,      topic_id,                  none,  10, 99, -1, -1, 0)                           \
    F(T, ARRAY,     partitions,                                                                    \
      offset_commit_request_topic_partition, 0, 99, -1, -1, 0)

#define KAFKA_OFFSET_COMMIT_REQUEST(F, T)                                                          \
    F(T, STR,       group_id,                  none,  0, 99, -1, -1, 0)                            \
    F(T, I32,       generation_id_or_member_epoch, none,  1, 99, -1, -1, -1)                       \
    F(T, STR,       member_id,                 none,  1, 99, -1, -1, 0)                            \
    F(T, STR,       group_instance_id,         none,  7, 99, 7, -1, -1)                            \
    F(T, I64,       retention_time_ms,         none,  2, 4, -1, -1, -1)                            \
    F(T, ARRAY,     topics,                    offset_commit_request_topic, 0, 99, -1, -1, 0)

#define KAFKA_OFFSET_COMMIT_RESPONSE_TOPIC_PARTITION(F, T)                                         \
    F(T, I32,       partition_index,           none,  0, 99, -1, -1, 0)                            \
    F(T, I16,       error_code,                none,  0, 99, -1, -1, 0)

#define KAFKA_OFFSET_COMMIT_RESPONSE_TOPIC(F, T)                                                   \
    F(T, STR,       name,                      none,  0, 9, -1, -1, 0)                             \
    F(T, UUID,      topic_id,                  none,  10, 99, -1, -1, 0)                           \
    F(T, ARRAY,     partitions,                                                                    \
      offset_commit_response_topic_partition, 0, 99, -1, -1, 0)

#define KAFKA_OFFSET_COMMIT_RESPONSE(F, T)                                                         \
    F(T, I32,       throttle_time_ms,          none,  3, 99, -1, -1, 0)                            \
    F(T, ARRAY,     topics,                    offset_commit_response_topic, 0, 99, -1, -1, 0)

#define KAFKA_OFFSET_FETCH_REQUEST_TOPIC(F, T)                                                     \
    F(T, STR,       name,                      none,  0, 7, -1, -1, 0)                             \
    F(T, ARRAY_I32, partition_indexes,         none,  0, 7, -1, -1, 0)

#define KAFKA_OFFSET_FETCH_REQUEST_GROUP_TOPIC(F, T)                                               \
    F(T, STR,       name,                      none,  8, 9, -1, -1, 0)                             \
    F(T, UUID,      topic_id,                  none,  10, 99, -1, -1, 0)                           \
    F(T, ARRAY_I32, partition_indexes,         none,  8, 99, -1, -1, 0)

#define KAFKA_OFFSET_FETCH_REQUEST_GROUP(F, T)                                                     \
    F(T, STR,       group_id,                  none,  8, 99, -1, -1, 0)                            \
    F(T, STR,       member_id,                 none,  9, 99, 9, -1, -1)                            \
    F(T, I32,       member_epoch,              none,  9, 99, -1, -1, -1)                           \
    F(T, ARRAY,     topics,                    offset_fetch_request_group_topic, 8, 99, 8, -1, 0)

#define KAFKA_OFFSET_FETCH_REQUEST(F, T)                                                           \
    F(T, STR,       group_id,                  none,  0, 7, -1, -1, 0)                             \
    F(T, ARRAY,     topics,                    offset_fetch_request_topic, 0, 7, 2, -1, 0)         \
    F(T, ARRAY,     groups,                    offset_fetch_request_group, 8, 99, -1, -1, 0)       \
    F(T, BOOL,      require_stable,            none,  7, 99, -1, -1, 0)

#define KAFKA_OFFSET_FETCH_RESPONSE_TOPIC_PARTITION(F, T)                                          \
    F(T, I32,       partition_index,           none,  0, 7, -1, -1, 0)                             \
    F(T, I64,       committed_offset,          none,  0, 7, -1, -1, 0)                             \
    F(T, I32,       committed_leader_epoch,    none,  5, 7, -1, -1, -1)                            \
    F(T, STR,       metadata,                  none,  0, 7, 0, -1, 0)                              \
    F(T, I16,       error_code,                none,  0, 7, -1, -1, 0)

#define KAFKA_OFFSET_FETCH_RESPONSE_TOPIC(F, T)                                                    \
    F(T, STR,       name,                      none,  0, 7, -1, -1, 0)                             \
    F(T, ARRAY,     partitions,                                                                    \
      offset_fetch_response_topic_partition, 0, 7, -1, -1, 0)

#define KAFKA_OFFSET_FETCH_RESPONSE_GROUP_TOPIC_PARTITION(F, T)                                    \
    F(T, I32,       partition_index,           none,  8, 99, -1, -1, 0)                            \
    F(T, I64,       committed_offset,          none,  8, 99, -1, -1, 0)                            \
    F(T, I32,       committed_leader_epoch,    none,  8, 99, -1, -1, -1)                           \
    F(T, STR,       metadata,                  none,  8, 99, 8, -1, 0)                             \
    F(T, I16,       error_code,                none,  8, 99, -1, -1, 0)

#define KAFKA_OFFSET_FETCH_RESPONSE_GROUP_TOPIC(F, T)                                              \
    F(T, STR,       name,                      none,  8, 9, -1, -1, 0)                             \
    F(T, UUID,      topic_id,                  none,  10, 99, -1, -1, 0)                           \
    F(T, ARRAY,     partitions,                                                                    \
      offset_fetch_response_group_topic_partition, 8, 99, -1, -1, 0)

#define KAFKA_OFFSET_FETCH_RESPONSE_GROUP(F, T)                                                    \
    F(T, STR,       group_id,                  none,  8, 99, -1, -1, 0)                            \
    F(T, ARRAY,     topics,                                                                        \
      offset_fetch_response_group_topic, 8, 99, -1, -1, 0)                                         \
    F(T, I16,       error_code,                none,  8, 99, -1, -1, 0)

#define KAFKA_OFFSET_FETCH_RESPONSE(F, T)                                                          \
    F(T, I32,       throttle_time_ms,          none,  3, 99, -1, -1, 0)                            \
    F(T, ARRAY,     topics,                    offset_fetch_response_topic, 0, 7, -1, -1, 0)       \
    F(T, I16,       error_code,                none,  2, 7, -1, -1, 0)                             \
    F(T, ARRAY,     groups,                    offset_fetch_response_group, 8, 99, -1, -1, 0)

#define KAFKA_DESCRIBE_GROUPS_REQUEST(F, T)                                                        \
    F(T, ARRAY_STR, groups,                    none,  0, 99, -1, -1, 0)                            \
    F(T, BOOL,      include_authorized_operations, none,  3, 99, -1, -1, 0)

#define KAFKA_DESCRIBE_GROUPS_RESPONSE_GROUP_MEMBER(F, T)                                          \
    F(T, STR,       member_id,                 none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       group_instance_id,         none,  4, 99, 4, -1, -1)                            \
    F(T, STR,       client_id,                 none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       client_host,               none,  0, 99, -1, -1, 0)                            \
    F(T, BYTES,     member_metadata,           none,  0, 99, -1, -1, 0)                            \
    F(T, BYTES,     member_assignment,         none,  0, 99, -1, -1, 0)

#define KAFKA_DESCRIBE_GROUPS_RESPONSE_GROUP(F, T)                                                 \
    F(T, I16,       error_code,                none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       error_message,             none,  6, 99, 6, -1, -1)                            \
    F(T, STR,       group_id,                  none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       group_state,               none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       protocol_type,             none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       protocol_data,             none,  0, 99, -1, -1, 0)                            \
    F(T, ARRAY,     members,                                                                       \
      describe_groups_response_group_member, 0, 99, -1, -1, 0)                                     \
    F(T, I32,       authorized_operations,     none,  3, 99, -1, -1, -2147483648)

#define KAFKA_DESCRIBE_GROUPS_RESPONSE(F, T)                                                       \
    F(T, I32,       throttle_time_ms,          none,  1, 99, -1, -1, 0)                            \
    F(T, ARRAY,     groups,                    describe_groups_response_group, 0, 99, -1, -1, 0)

#define KAFKA_LIST_GROUPS_REQUEST(F, T)                                                            \
    F(T, ARRAY_STR, states_filter,             none,  4, 99, -1, -1, 0)                            \
    F(T, ARRAY_STR, types_filter,              none,  5, 99, -1, -1, 0)

#define KAFKA_LIST_GROUPS_RESPONSE_GROUP(F, T)                                                     \
    F(T, STR,       group_id,                  none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       protocol_type,             none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       group_state,               none,  4, 99, -1, -1, 0)                            \
    F(T, STR,       group_type,                none,  5, 99, -1, -1, 0)

#define KAFKA_LIST_GROUPS_RESPONSE(F, T)                                                           \
    F(T, I32,       throttle_time_ms,          none,  1, 99, -1, -1, 0)                            \
    F(T, I16,       error_code,                none,  0, 99, -1, -1, 0)                            \
    F(T, ARRAY,     groups,                    list_groups_response_group, 0, 99, -1, -1, 0)

#define KAFKA_DELETE_GROUPS_REQUEST(F, T)                                                          \
    F(T, ARRAY_STR, groups_names,              none,  0, 99, -1, -1, 0)

#define KAFKA_DELETE_GROUPS_RESPONSE_RESULT(F, T)                                                  \
    F(T, STR,       group_id,                  none,  0, 99, -1, -1, 0)                            \
    F(T, I16,       error_code,                none,  0, 99, -1, -1, 0)

#define KAFKA_DELETE_GROUPS_RESPONSE(F, T)                                                         \
    F(T, I32,       throttle_time_ms,          none,  0, 99, -1, -1, 0)                            \
    F(T, ARRAY,     results,                   delete_groups_response_result, 0, 99, -1, -1, 0)

#define KAFKA_CREATE_TOPICS_REQUEST_TOPIC_ASSIGNMENT(F, T)                                         \
    F(T, I32,       partition_index,           none,  0, 99, -1, -1, 0)                            \
    F(T, ARRAY_I32, broker_ids,                none,  0, 99, -1, -1, 0)

#define KAFKA_CREATE_TOPICS_REQUEST_TOPIC_CONFIG(F, T)                                             \
    F(T, STR,       name,                      none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       value,                     none,  0, 99, 0, -1, 0)

#define KAFKA_CREATE_TOPICS_REQUEST_TOPIC(F, T)                                                    \
    F(T, STR,       name,                      none,  0, 99, -1, -1, 0)                            \
    F(T, I32,       num_partitions,            none,  0, 99, -1, -1, 0)                            \
    F(T, I16,       replication_factor,        none,  0, 99, -1, -1, 0)                            \
    F(T, ARRAY,     assignments,                                                                   \
      create_topics_request_topic_assignment, 0, 99, -1, -1, 0)                                    \
    F(T, ARRAY,     configs,                                                                       \
      create_topics_request_topic_config, 0, 99, -1, -1, 0)

#define KAFKA_CREATE_TOPICS_REQUEST(F, T)                                                          \
    F(T, ARRAY,     topics,                    create_topics_request_topic, 0, 99, -1, -1, 0)      \
    F(T, I32,       timeout_ms,                none,  0, 99, -1, -1, 60000)                        \
    F(T, BOOL,      validate_only,             none,  1, 99, -1, -1, 0)

#define KAFKA_CREATE_TOPICS_RESPONSE_TOPIC_CONFIG(F, T)                                            \
    F(T, STR,       name,                      none,  5, 99, -1, -1, 0)                            \
    F(T, STR,       value,                     none,  5, 99, 5, -1, 0)                             \
    F(T, BOOL,      read_only,                 none,  5, 99, -1, -1, 0)                            \
    F(T, I8,        config_source,             none,  5, 99, -1, -1, -1)                           \
    F(T, BOOL,      is_sensitive,              none,  5, 99, -1, -1, 0)

#define KAFKA_CREATE_TOPICS_RESPONSE_TOPIC(F, T)                                                   \
    F(T, STR,       name,                      none,  0, 99, -1, -1, 0)                            \
    F(T, UUID,      topic_id,                  none,  7, 99, -1, -1, 0)                            \
    F(T, I16,       error_code,                none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       error_message,             none,  1, 99, 0, -1, 0)                             \
    F(T, I16,       topic_config_error_code,   none,  5, 99, -1, 0, 0)                             \
    F(T, I32,       num_partitions,            none,  5, 99, -1, -1, -1)                           \
    F(T, I16,       replication_factor,        none,  5, 99, -1, -1, -1)                           \
    F(T, ARRAY,     configs,                                                                       \
      create_topics_response_topic_config, 5, 99, 5, -1, 0)

#define KAFKA_CREATE_TOPICS_RESPONSE(F, T)                                                         \
    F(T, I32,       throttle_time_ms,          none,  2, 99, -1, -1, 0)                            \
    F(T, ARRAY,     topics,                    create_topics_response_topic, 0, 99, -1, -1, 0)

#define KAFKA_DELETE_TOPICS_REQUEST_TOPIC(F, T)                                                    \
    F(T, STR,       name,                      none,  6, 99, 6, -1, -1)                            \
    F(T, UUID,      topic_id,                  none,  6, 99, -1, -1, 0)

#define KAFKA_DELETE_TOPICS_REQUEST(F, T)                                                          \
    F(T, ARRAY,     topics,                    delete_topics_request_topic, 6, 99, -1, -1, 0)      \
    F(T, ARRAY_STR, topic_names,               none,  0, 5, -1, -1, 0)                             \
    F(T, I32,       timeout_ms,                none,  0, 99, -1, -1, 0)

#define KAFKA_DELETE_TOPICS_RESPONSE_TOPIC(F, T)                                                   \
    F(T, STR,       name,                      none,  0, 99, 6, -1, 0)                             \
    F(T, UUID,      topic_id,                  none,  6, 99, -1, -1, 0)                            \
    F(T, I16,       error_code,                none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       error_message,             none,  5, 99, 5, -1, -1)

#define KAFKA_DELETE_TOPICS_RESPONSE(F, T)                                                         \
    F(T, I32,       throttle_time_ms,          none,  1, 99, -1, -1, 0)                            \
    F(T, ARRAY,     responses,                 delete_topics_response_topic, 0, 99, -1, -1, 0)

#define KAFKA_CREATE_PARTITIONS_REQUEST_TOPIC_ASSIGNMENT(F, T)                                     \
    F(T, ARRAY_I32, broker_ids,                none,  0, 99, -1, -1, 0)

#define KAFKA_CREATE_PARTITIONS_REQUEST_TOPIC(F, T)                                                \
    F(T, STR,       name,                      none,  0, 99, -1, -1, 0)                            \
    F(T, I32,       count,                     none,  0, 99, -1, -1, 0)                            \
    F(T, ARRAY,     assignments,                                                                   \
      create_partitions_request_topic_assignment, 0, 99, 0, -1, 0)

#define KAFKA_CREATE_PARTITIONS_REQUEST(F, T)                                                      \
    F(T, ARRAY,     topics,                    create_partitions_request_topic, 0, 99, -1, -1, 0)  \
    F(T, I32,       timeout_ms,                none,  0, 99, -1, -1, 0)                            \
    F(T, BOOL,      validate_only,             none,  0, 99, -1, -1, 0)

#define KAFKA_CREATE_PARTITIONS_RESPONSE_RESULT(F, T)                                              \
    F(T, STR,       name,                      none,  0, 99, -1, -1, 0)                            \
    F(T, I16,       error_code,                none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       error_message,             none,  0, 99, 0, -1, -1)

#define KAFKA_CREATE_PARTITIONS_RESPONSE(F, T)                                                     \
    F(T, I32,       throttle_time_ms,          none,  0, 99, -1, -1, 0)                            \
    F(T, ARRAY,     results,                                                                       \
      create_partitions_response_result, 0, 99, -1, -1, 0)

#define KAFKA_DELETE_RECORDS_REQUEST_TOPIC_PARTITION(F, T)                                         \
    F(T, I32,       partition_index,           none,  0, 99, -1, -1, 0)                            \
    F(T, I64,       offset,                    none,  0, 99, -1, -1, 0)

#define KAFKA_DELETE_RECORDS_REQUEST_TOPIC(F, T)                                                   \
    F(T, STR,       name,                      none,  0, 99, -1, -1, 0)                            \
    F(T, ARRAY,     partitions,                                                                    \
      delete_records_request_topic_partition, 0, 99, -1, -1, 0)

#define KAFKA_DELETE_RECORDS_REQUEST(F, T)                                                         \
    F(T, ARRAY,     topics,                    delete_records_request_topic, 0, 99, -1, -1, 0)     \
    F(T, I32,       timeout_ms,                none,  0, 99, -1, -1, 0)

#define KAFKA_DELETE_RECORDS_RESPONSE_TOPIC_PARTITION(F, T)                                        \
    F(T, I32,       partition_index,           none,  0, 99, -1, -1, 0)                            \
    F(T, I64,       low_watermark,             none,  0, 99, -1, -1, 0)                            \
    F(T, I16,       error_code,                none,  0, 99, -1, -1, 0)

#define KAFKA_DELETE_RECORDS_RESPONSE_TOPIC(F, T)                                                  \
    F(T, STR,       name,                      none,  0, 99, -1, -1, 0)                            \
    F(T, ARRAY,     partitions,                                                                    \
      delete_records_response_topic_partition, 0, 99, -1, -1, 0)

#define KAFKA_DELETE_RECORDS_RESPONSE(F, T)                                                        \
    F(T, I32,       throttle_time_ms,          none,  0, 99, -1, -1, 0)                            \
    F(T, ARRAY,     topics,                    delete_records_response_topic, 0, 99, -1, -1, 0)

#define KAFKA_DESCRIBE_CONFIGS_REQUEST_RESOURCE(F, T)                                              \
    F(T, I8,        resource_type,             none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       resource_name,             none,  0, 99, -1, -1, 0)                            \
    F(T, ARRAY_STR, configuration_keys,        none,  0, 99, 0, -1, 0)

#define KAFKA_DESCRIBE_CONFIGS_REQUEST(F, T)                                                       \
    F(T, ARRAY,     resources,                                                                     \
      describe_configs_request_resource, 0, 99, -1, -1, 0)                                         \
    F(T, BOOL,      include_synonyms,          none,  1, 99, -1, -1, 0)                            \
    F(T, BOOL,      include_documentation,     none,  3, 99, -1, -1, 0)

#define KAFKA_DESCRIBE_CONFIGS_RESPONSE_RESULT_CONFIG_SYNONYM(F, T)                                \
    F(T, STR,       name,                      none,  1, 99, -1, -1, 0)                            \
    F(T, STR,       value,                     none,  1, 99, 0, -1, 0)                             \
    F(T, I8,        source,                    none,  1, 99, -1, -1, 0)

#define KAFKA_DESCRIBE_CONFIGS_RESPONSE_RESULT_CONFIG(F, T)                                        \
    F(T, STR,       name,                      none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       value,                     none,  0, 99, 0, -1, 0)                             \
    F(T, BOOL,      read_only,                 none,  0, 99, -1, -1, 0)                            \
    F(T, BOOL,      is_default,                none,  0, 0, -1, -1, 0)                             \
    F(T, I8,        config_source,             none,  1, 99, -1, -1, -1)                           \
    F(T, BOOL,      is_sensitive,              none,  0, 99, -1, -1, 0)                            \
    F(T, ARRAY,     synonyms,                                                                      \
      describe_configs_response_result_config_synonym, 1, 99, -1, -1, 0)                           \
    F(T, I8,        config_type,               none,  3, 99, -1, -1, 0)                            \
    F(T, STR,       documentation,             none,  3, 99, 0, -1, 0)

#define KAFKA_DESCRIBE_CONFIGS_RESPONSE_RESULT(F, T)                                               \
    F(T, I16,       error_code,                none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       error_message,             none,  0, 99, 0, -1, 0)                             \
    F(T, I8,        resource_type,             none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       resource_name,             none,  0, 99, -1, -1, 0)                            \
    F(T, ARRAY,     configs,                                                                       \
      describe_configs_response_result_config, 0, 99, -1, -1, 0)

#define KAFKA_DESCRIBE_CONFIGS_RESPONSE(F, T)                                                      \
    F(T, I32,       throttle_time_ms,          none,  0, 99, -1, -1, 0)                            \
    F(T, ARRAY,     results,                                                                       \
      describe_configs_response_result, 0, 99, -1, -1, 0)

#define KAFKA_ALTER_CONFIGS_REQUEST_RESOURCE_CONFIG(F, T)                                          \
    F(T, STR,       name,                      none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       value,                     none,  0, 99, 0, -1, 0)

#define KAFKA_ALTER_CONFIGS_REQUEST_RESOURCE(F, T)                                                 \
    F(T, I8,        resource_type,             none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       resource_name,             none,  0, 99, -1, -1, 0)                            \
    F(T, ARRAY,     configs,                                                                       \
      alter_configs_request_resource_config, 0, 99, -1, -1, 0)

#define KAFKA_ALTER_CONFIGS_REQUEST(F, T)                                                          \
    F(T, ARRAY,     resources,                                                                     \
      alter_configs_request_resource, 0, 99, -1, -1, 0)                                            \
    F(T, BOOL,      validate_only,             none,  0, 99, -1, -1, 0)

#define KAFKA_ALTER_CONFIGS_RESPONSE_RESPONSE(F, T)                                                \
    F(T, I16,       error_code,                none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       error_message,             none,  0, 99, 0, -1, 0)                             \
    F(T, I8,        resource_type,             none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       resource_name,             none,  0, 99, -1, -1, 0)

#define KAFKA_ALTER_CONFIGS_RESPONSE(F, T)                                                         \
    F(T, I32,       throttle_time_ms,          none,  0, 99, -1, -1, 0)                            \
    F(T, ARRAY,     responses,                                                                     \
      alter_configs_response_response, 0, 99, -1, -1, 0)

#define KAFKA_INCREMENTAL_ALTER_CONFIGS_REQUEST_RESOURCE_CONFIG(F, T)                              \
    F(T, STR,       name,                      none,  0, 99, -1, -1, 0)                            \
    F(T, I8,        config_operation,          none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       value,                     none,  0, 99, 0, -1, 0)

#define KAFKA_INCREMENTAL_ALTER_CONFIGS_REQUEST_RESOURCE(F, T)                                     \
    F(T, I8,        resource_type,             none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       resource_name,             none,  0, 99, -1, -1, 0)                            \
    F(T, ARRAY,     configs,                                                                       \
      incremental_alter_configs_request_resource_config, 0, 99, -1, -1, 0)

#define KAFKA_INCREMENTAL_ALTER_CONFIGS_REQUEST(F, T)                                              \
    F(T, ARRAY,     resources,                                                                     \
      incremental_alter_configs_request_resource, 0, 99, -1, -1, 0)                                \
    F(T, BOOL,      validate_only,             none,  0, 99, -1, -1, 0)

#define KAFKA_INCREMENTAL_ALTER_CONFIGS_RESPONSE_RESPONSE(F, T)                                    \
    F(T, I16,       error_code,                none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       error_message,             none,  0, 99, 0, -1, 0)                             \
    F(T, I8,        resource_type,             none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       resource_name,             none,  0, 99, -1, -1, 0)

#define KAFKA_INCREMENTAL_ALTER_CONFIGS_RESPONSE(F, T)                                             \
    F(T, I32,       throttle_time_ms,          none,  0, 99, -1, -1, 0)                            \
    F(T, ARRAY,     responses,                                                                     \
      incremental_alter_configs_response_response, 0, 99, -1, -1, 0)

#define KAFKA_DESCRIBE_CLUSTER_REQUEST(F, T)                                                       \
    F(T, BOOL,      include_cluster_authorized_operations, none,  0, 99, -1, -1, 0)                \
    F(T, I8,        endpoint_type,             none,  1, 99, -1, -1, 1)                            \
    F(T, BOOL,      include_fenced_brokers,    none,  2, 99, -1, -1, 0)

#define KAFKA_DESCRIBE_CLUSTER_RESPONSE_BROKER(F, T)                                               \
    F(T, I32,       broker_id,                 none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       host,                      none,  0, 99, -1, -1, 0)                            \
    F(T, I32,       port,                      none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       rack,                      none,  0, 99, 0, -1, -1)                            \
    F(T, BOOL,      is_fenced,                 none,  2, 99, -1, -1, 0)

#define KAFKA_DESCRIBE_CLUSTER_RESPONSE(F, T)                                                      \
    F(T, I32,       throttle_time_ms,          none,  0, 99, -1, -1, 0)                            \
    F(T, I16,       error_code,                none,  0, 99, -1, -1, 0)                            \
    F(T, STR,       error_message,             none,  0, 99, 0, -1, -1)                            \
    F(T, I8,        endpoint_type,             none,  1, 99, -1, -1, 1)                            \
    F(T, STR,       cluster_id,                none,  0, 99, -1, -1, 0)                            \
    F(T, I32,       controller_id,             none,  0, 99, -1, -1, -1)                           \
    F(T, ARRAY,     brokers,                                                                       \
      describe_cluster_response_broker, 0, 99, -1, -1, 0)                                          \
    F(T, I32,       cluster_authorized_operations, none,  0, 99, -1, -1, -2147483648)

#define KAFKA_SASL_HANDSHAKE_REQUEST(F, T)                                                         \
    F(T, STR,       mechanism,                 none, 0, 99, -1, -1, 0)

#define KAFKA_SASL_HANDSHAKE_RESPONSE(F, T)                                                        \
    F(T, I16,       error_code,                none, 0, 99, -1, -1, 0)                             \
    F(T, ARRAY_STR, mechanisms,                none, 0, 99, -1, -1, 0)

#define KAFKA_SASL_AUTHENTICATE_REQUEST(F, T)                                                      \
    F(T, BYTES,     auth_bytes,                none, 0, 99, -1, -1, 0)

#define KAFKA_SASL_AUTHENTICATE_RESPONSE(F, T)                                                     \
    F(T, I16,       error_code,                none, 0, 99, -1, -1, 0)                             \
    F(T, STR,       error_message,             none, 0, 99, 0, -1, -1)                             \
    F(T, BYTES,     auth_bytes,                none, 0, 99, -1, -1, 0)                             \
    F(T, I64,       session_lifetime_ms,       none, 1, 99, -1, -1, 0)

#define KAFKA_DESCRIBE_USER_SCRAM_REQUEST_USER(F, T)                                               \
    F(T, STR,       name,                      none, 0, 99, -1, -1, 0)

#define KAFKA_DESCRIBE_USER_SCRAM_REQUEST(F, T)                                                    \
    F(T, ARRAY,     users,                     describe_user_scram_request_user, 0, 99, 0, -1, 0)

#define KAFKA_DESCRIBE_USER_SCRAM_RESPONSE_RESULT_CREDENTIAL_INFO(F, T)                            \
    F(T, I8,        mechanism,                 none, 0, 99, -1, -1, 0)                             \
    F(T, I32,       iterations,                none, 0, 99, -1, -1, 0)

#define KAFKA_DESCRIBE_USER_SCRAM_RESPONSE_RESULT(F, T)                                            \
    F(T, STR,       user,                      none, 0, 99, -1, -1, 0)                             \
    F(T, I16,       error_code,                none, 0, 99, -1, -1, 0)                             \
    F(T, STR,       error_message,             none, 0, 99, 0, -1, -1)                             \
    F(T, ARRAY,     credential_infos,                                                              \
      describe_user_scram_response_result_credential_info, 0, 99, -1, -1, 0)

#define KAFKA_DESCRIBE_USER_SCRAM_RESPONSE(F, T)                                                   \
    F(T, I32,       throttle_time_ms,          none, 0, 99, -1, -1, 0)                             \
    F(T, I16,       error_code,                none, 0, 99, -1, -1, 0)                             \
    F(T, STR,       error_message,             none, 0, 99, 0, -1, -1)                             \
    F(T, ARRAY,     results,                                                                       \
      describe_user_scram_response_result, 0, 99, -1, -1, 0)

#define KAFKA_ALTER_USER_SCRAM_REQUEST_DELETION(F, T)                                              \
    F(T, STR,       name,                      none, 0, 99, -1, -1, 0)                             \
    F(T, I8,        mechanism,                 none, 0, 99, -1, -1, 0)

#define KAFKA_ALTER_USER_SCRAM_REQUEST_UPSERTION(F, T)                                             \
    F(T, STR,       name,                      none, 0, 99, -1, -1, 0)                             \
    F(T, I8,        mechanism,                 none, 0, 99, -1, -1, 0)                             \
    F(T, I32,       iterations,                none, 0, 99, -1, -1, 0)                             \
    F(T, BYTES,     salt,                      none, 0, 99, -1, -1, 0)                             \
    F(T, BYTES,     salted_password,           none, 0, 99, -1, -1, 0)

#define KAFKA_ALTER_USER_SCRAM_REQUEST(F, T)                                                       \
    F(T, ARRAY,     deletions,                 alter_user_scram_request_deletion, 0, 99, -1, -1, 0)\
    F(T, ARRAY,     upsertions,                alter_user_scram_request_upsertion, 0, 99, -1, -1, 0)

#define KAFKA_ALTER_USER_SCRAM_RESPONSE_RESULT(F, T)                                               \
    F(T, STR,       user,                      none, 0, 99, -1, -1, 0)                             \
    F(T, I16,       error_code,                none, 0, 99, -1, -1, 0)                             \
    F(T, STR,       error_message,             none, 0, 99, 0, -1, -1)

#define KAFKA_ALTER_USER_SCRAM_RESPONSE(F, T)                                                      \
    F(T, I32,       throttle_time_ms,          none, 0, 99, -1, -1, 0)                             \
    F(T, ARRAY,     results,                   alter_user_scram_response_result, 0, 99, -1, -1, 0)

/* Every message, elements first. */
#define KAFKA_MESSAGES(M)                                                                          \
    M(api_versions_request, KAFKA_API_VERSIONS_REQUEST)                                            \
    M(api_versions_response_api_key, KAFKA_API_VERSIONS_RESPONSE_API_KEY)                          \
    M(api_versions_response_supported_feature, KAFKA_API_VERSIONS_RESPONSE_SUPPORTED_FEATURE)      \
    M(api_versions_response_finalized_feature, KAFKA_API_VERSIONS_RESPONSE_FINALIZED_FEATURE)      \
    M(api_versions_response, KAFKA_API_VERSIONS_RESPONSE)                                          \
    M(metadata_request_topic, KAFKA_METADATA_REQUEST_TOPIC)                                        \
    M(metadata_request, KAFKA_METADATA_REQUEST)                                                    \
    M(metadata_response_broker, KAFKA_METADATA_RESPONSE_BROKER)                                    \
    M(metadata_response_topic_partition, KAFKA_METADATA_RESPONSE_TOPIC_PARTITION)                  \
    M(metadata_response_topic, KAFKA_METADATA_RESPONSE_TOPIC)                                      \
    M(metadata_response, KAFKA_METADATA_RESPONSE)                                                  \
    M(produce_request_topic_partition, KAFKA_PRODUCE_REQUEST_TOPIC_PARTITION)                      \
    M(produce_request_topic, KAFKA_PRODUCE_REQUEST_TOPIC)                                          \
    M(produce_request, KAFKA_PRODUCE_REQUEST)                                                      \
    M(produce_response_topic_partition_record_error,                                               \
      KAFKA_PRODUCE_RESPONSE_TOPIC_PARTITION_RECORD_ERROR)                                         \
    M(produce_response_topic_partition_current_leader,                                             \
      KAFKA_PRODUCE_RESPONSE_TOPIC_PARTITION_CURRENT_LEADER)                                       \
    M(produce_response_topic_partition, KAFKA_PRODUCE_RESPONSE_TOPIC_PARTITION)                    \
    M(produce_response_topic, KAFKA_PRODUCE_RESPONSE_TOPIC)                                        \
    M(produce_response_node_endpoint, KAFKA_PRODUCE_RESPONSE_NODE_ENDPOINT)                        \
    M(produce_response, KAFKA_PRODUCE_RESPONSE)                                                    \
    M(fetch_request_replica_state, KAFKA_FETCH_REQUEST_REPLICA_STATE)                              \
    M(fetch_request_topic_partition, KAFKA_FETCH_REQUEST_TOPIC_PARTITION)                          \
    M(fetch_request_topic, KAFKA_FETCH_REQUEST_TOPIC)                                              \
    M(fetch_request_forgotten_topic, KAFKA_FETCH_REQUEST_FORGOTTEN_TOPIC)                          \
    M(fetch_request, KAFKA_FETCH_REQUEST)                                                          \
    M(fetch_response_topic_partition_diverging_epoch,                                              \
      KAFKA_FETCH_RESPONSE_TOPIC_PARTITION_DIVERGING_EPOCH)                                        \
    M(fetch_response_topic_partition_current_leader,                                               \
      KAFKA_FETCH_RESPONSE_TOPIC_PARTITION_CURRENT_LEADER)                                         \
    M(fetch_response_topic_partition_snapshot_id,                                                  \
      KAFKA_FETCH_RESPONSE_TOPIC_PARTITION_SNAPSHOT_ID)                                            \
    M(fetch_response_topic_partition_aborted_transaction,                                          \
      KAFKA_FETCH_RESPONSE_TOPIC_PARTITION_ABORTED_TRANSACTION)                                    \
    M(fetch_response_topic_partition, KAFKA_FETCH_RESPONSE_TOPIC_PARTITION)                        \
    M(fetch_response_topic, KAFKA_FETCH_RESPONSE_TOPIC)                                            \
    M(fetch_response_node_endpoint, KAFKA_FETCH_RESPONSE_NODE_ENDPOINT)                            \
    M(fetch_response, KAFKA_FETCH_RESPONSE)                                                        \
    M(list_offsets_request_topic_partition, KAFKA_LIST_OFFSETS_REQUEST_TOPIC_PARTITION)            \
    M(list_offsets_request_topic, KAFKA_LIST_OFFSETS_REQUEST_TOPIC)                                \
    M(list_offsets_request, KAFKA_LIST_OFFSETS_REQUEST)                                            \
    M(list_offsets_response_topic_partition, KAFKA_LIST_OFFSETS_RESPONSE_TOPIC_PARTITION)          \
    M(list_offsets_response_topic, KAFKA_LIST_OFFSETS_RESPONSE_TOPIC)                              \
    M(list_offsets_response, KAFKA_LIST_OFFSETS_RESPONSE)                                          \
    M(offset_for_leader_epoch_request_topic_partition,                                             \
      KAFKA_OFFSET_FOR_LEADER_EPOCH_REQUEST_TOPIC_PARTITION)                                       \
    M(offset_for_leader_epoch_request_topic, KAFKA_OFFSET_FOR_LEADER_EPOCH_REQUEST_TOPIC)          \
    M(offset_for_leader_epoch_request, KAFKA_OFFSET_FOR_LEADER_EPOCH_REQUEST)                      \
    M(offset_for_leader_epoch_response_topic_partition,                                            \
      KAFKA_OFFSET_FOR_LEADER_EPOCH_RESPONSE_TOPIC_PARTITION)                                      \
    M(offset_for_leader_epoch_response_topic, KAFKA_OFFSET_FOR_LEADER_EPOCH_RESPONSE_TOPIC)        \
    M(offset_for_leader_epoch_response, KAFKA_OFFSET_FOR_LEADER_EPOCH_RESPONSE)                    \
    M(init_producer_id_request, KAFKA_INIT_PRODUCER_ID_REQUEST)                                    \
    M(init_producer_id_response, KAFKA_INIT_PRODUCER_ID_RESPONSE)                                  \
    M(find_coordinator_request, KAFKA_FIND_COORDINATOR_REQUEST)                                    \
    M(find_coordinator_response_coordinator, KAFKA_FIND_COORDINATOR_RESPONSE_COORDINATOR)          \
    M(find_coordinator_response, KAFKA_FIND_COORDINATOR_RESPONSE)                                  \
    M(join_group_request_protocol, KAFKA_JOIN_GROUP_REQUEST_PROTOCOL)                              \
    M(join_group_request, KAFKA_JOIN_GROUP_REQUEST)                                                \
    M(join_group_response_member, KAFKA_JOIN_GROUP_RESPONSE_MEMBER)                                \
    M(join_group_response, KAFKA_JOIN_GROUP_RESPONSE)                                              \
    M(sync_group_request_assignment, KAFKA_SYNC_GROUP_REQUEST_ASSIGNMENT)                          \
    M(sync_group_request, KAFKA_SYNC_GROUP_REQUEST)                                                \
    M(sync_group_response, KAFKA_SYNC_GROUP_RESPONSE)                                              \
    M(heartbeat_request, KAFKA_HEARTBEAT_REQUEST)                                                  \
    M(heartbeat_response, KAFKA_HEARTBEAT_RESPONSE)                                                \
    M(leave_group_request_member, KAFKA_LEAVE_GROUP_REQUEST_MEMBER)                                \
    M(leave_group_request, KAFKA_LEAVE_GROUP_REQUEST)                                              \
    M(leave_group_response_member, KAFKA_LEAVE_GROUP_RESPONSE_MEMBER)                              \
    M(leave_group_response, KAFKA_LEAVE_GROUP_RESPONSE)                                            \
    M(offset_commit_request_topic_partition, KAFKA_OFFSET_COMMIT_REQUEST_TOPIC_PARTITION)          \
    M(offset_commit_request_topic, KAFKA_OFFSET_COMMIT_REQUEST_TOPIC)                              \
    M(offset_commit_request, KAFKA_OFFSET_COMMIT_REQUEST)                                          \
    M(offset_commit_response_topic_partition, KAFKA_OFFSET_COMMIT_RESPONSE_TOPIC_PARTITION)        \
    M(offset_commit_response_topic, KAFKA_OFFSET_COMMIT_RESPONSE_TOPIC)                            \
    M(offset_commit_response, KAFKA_OFFSET_COMMIT_RESPONSE)                                        \
    M(offset_fetch_request_topic, KAFKA_OFFSET_FETCH_REQUEST_TOPIC)                                \
    M(offset_fetch_request_group_topic, KAFKA_OFFSET_FETCH_REQUEST_GROUP_TOPIC)                    \
    M(offset_fetch_request_group, KAFKA_OFFSET_FETCH_REQUEST_GROUP)                                \
    M(offset_fetch_request, KAFKA_OFFSET_FETCH_REQUEST)                                            \
    M(offset_fetch_response_topic_partition, KAFKA_OFFSET_FETCH_RESPONSE_TOPIC_PARTITION)          \
    M(offset_fetch_response_topic, KAFKA_OFFSET_FETCH_RESPONSE_TOPIC)                              \
    M(offset_fetch_response_group_topic_partition,                                                 \
      KAFKA_OFFSET_FETCH_RESPONSE_GROUP_TOPIC_PARTITION)                                           \
    M(offset_fetch_response_group_topic, KAFKA_OFFSET_FETCH_RESPONSE_GROUP_TOPIC)                  \
    M(offset_fetch_response_group, KAFKA_OFFSET_FETCH_RESPONSE_GROUP)                              \
    M(offset_fetch_response, KAFKA_OFFSET_FETCH_RESPONSE)                                          \
    M(describe_groups_request, KAFKA_DESCRIBE_GROUPS_REQUEST)                                      \
    M(describe_groups_response_group_member, KAFKA_DESCRIBE_GROUPS_RESPONSE_GROUP_MEMBER)          \
    M(describe_groups_response_group, KAFKA_DESCRIBE_GROUPS_RESPONSE_GROUP)                        \
    M(describe_groups_response, KAFKA_DESCRIBE_GROUPS_RESPONSE)                                    \
    M(list_groups_request, KAFKA_LIST_GROUPS_REQUEST)                                              \
    M(list_groups_response_group, KAFKA_LIST_GROUPS_RESPONSE_GROUP)                                \
    M(list_groups_response, KAFKA_LIST_GROUPS_RESPONSE)                                            \
    M(delete_groups_request, KAFKA_DELETE_GROUPS_REQUEST)                                          \
    M(delete_groups_response_result, KAFKA_DELETE_GROUPS_RESPONSE_RESULT)                          \
    M(delete_groups_response, KAFKA_DELETE_GROUPS_RESPONSE)                                        \
    M(create_topics_request_topic_assignment, KAFKA_CREATE_TOPICS_REQUEST_TOPIC_ASSIGNMENT)        \
    M(create_topics_request_topic_config, KAFKA_CREATE_TOPICS_REQUEST_TOPIC_CONFIG)                \
    M(create_topics_request_topic, KAFKA_CREATE_TOPICS_REQUEST_TOPIC)                              \
    M(create_topics_request, KAFKA_CREATE_TOPICS_REQUEST)                                          \
    M(create_topics_response_topic_config, KAFKA_CREATE_TOPICS_RESPONSE_TOPIC_CONFIG)              \
    M(create_topics_response_topic, KAFKA_CREATE_TOPICS_RESPONSE_TOPIC)                            \
    M(create_topics_response, KAFKA_CREATE_TOPICS_RESPONSE)                                        \
    M(delete_topics_request_topic, KAFKA_DELETE_TOPICS_REQUEST_TOPIC)                              \
    M(delete_topics_request, KAFKA_DELETE_TOPICS_REQUEST)                                          \
    M(delete_topics_response_topic, KAFKA_DELETE_TOPICS_RESPONSE_TOPIC)                            \
    M(delete_topics_response, KAFKA_DELETE_TOPICS_RESPONSE)                                        \
    M(create_partitions_request_topic_assignment,                                                  \
      KAFKA_CREATE_PARTITIONS_REQUEST_TOPIC_ASSIGNMENT)                                            \
    M(create_partitions_request_topic, KAFKA_CREATE_PARTITIONS_REQUEST_TOPIC)                      \
    M(create_partitions_request, KAFKA_CREATE_PARTITIONS_REQUEST)                                  \
    M(create_partitions_response_result, KAFKA_CREATE_PARTITIONS_RESPONSE_RESULT)                  \
    M(create_partitions_response, KAFKA_CREATE_PARTITIONS_RESPONSE)                                \
    M(delete_records_request_topic_partition, KAFKA_DELETE_RECORDS_REQUEST_TOPIC_PARTITION)        \
    M(delete_records_request_topic, KAFKA_DELETE_RECORDS_REQUEST_TOPIC)                            \
    M(delete_records_request, KAFKA_DELETE_RECORDS_REQUEST)                                        \
    M(delete_records_response_topic_partition, KAFKA_DELETE_RECORDS_RESPONSE_TOPIC_PARTITION)      \
    M(delete_records_response_topic, KAFKA_DELETE_RECORDS_RESPONSE_TOPIC)                          \
    M(delete_records_response, KAFKA_DELETE_RECORDS_RESPONSE)                                      \
    M(describe_configs_request_resource, KAFKA_DESCRIBE_CONFIGS_REQUEST_RESOURCE)                  \
    M(describe_configs_request, KAFKA_DESCRIBE_CONFIGS_REQUEST)                                    \
    M(describe_configs_response_result_config_synonym,                                             \
      KAFKA_DESCRIBE_CONFIGS_RESPONSE_RESULT_CONFIG_SYNONYM)                                       \
    M(describe_configs_response_result_config, KAFKA_DESCRIBE_CONFIGS_RESPONSE_RESULT_CONFIG)      \
    M(describe_configs_response_result, KAFKA_DESCRIBE_CONFIGS_RESPONSE_RESULT)                    \
    M(describe_configs_response, KAFKA_DESCRIBE_CONFIGS_RESPONSE)                                  \
    M(alter_configs_request_resource_config, KAFKA_ALTER_CONFIGS_REQUEST_RESOURCE_CONFIG)          \
    M(alter_configs_request_resource, KAFKA_ALTER_CONFIGS_REQUEST_RESOURCE)                        \
    M(alter_configs_request, KAFKA_ALTER_CONFIGS_REQUEST)                                          \
    M(alter_configs_response_response, KAFKA_ALTER_CONFIGS_RESPONSE_RESPONSE)                      \
    M(alter_configs_response, KAFKA_ALTER_CONFIGS_RESPONSE)                                        \
    M(incremental_alter_configs_request_resource_config,                                           \
      KAFKA_INCREMENTAL_ALTER_CONFIGS_REQUEST_RESOURCE_CONFIG)                                     \
    M(incremental_alter_configs_request_resource,                                                  \
      KAFKA_INCREMENTAL_ALTER_CONFIGS_REQUEST_RESOURCE)                                            \
    M(incremental_alter_configs_request, KAFKA_INCREMENTAL_ALTER_CONFIGS_REQUEST)                  \
    M(incremental_alter_configs_response_response,                                                 \
      KAFKA_INCREMENTAL_ALTER_CONFIGS_RESPONSE_RESPONSE)                                           \
    M(incremental_alter_configs_response, KAFKA_INCREMENTAL_ALTER_CONFIGS_RESPONSE)                \
    M(describe_cluster_request, KAFKA_DESCRIBE_CLUSTER_REQUEST)                                    \
    M(describe_cluster_response_broker, KAFKA_DESCRIBE_CLUSTER_RESPONSE_BROKER)                    \
    M(describe_cluster_response, KAFKA_DESCRIBE_CLUSTER_RESPONSE)                                  \
    M(sasl_handshake_request, KAFKA_SASL_HANDSHAKE_REQUEST)                                        \
    M(sasl_handshake_response, KAFKA_SASL_HANDSHAKE_RESPONSE)                                      \
    M(sasl_authenticate_request, KAFKA_SASL_AUTHENTICATE_REQUEST)                                  \
    M(sasl_authenticate_response, KAFKA_SASL_AUTHENTICATE_RESPONSE)                                \
    M(describe_user_scram_request_user, KAFKA_DESCRIBE_USER_SCRAM_REQUEST_USER)                    \
    M(describe_user_scram_request, KAFKA_DESCRIBE_USER_SCRAM_REQUEST)                              \
    M(describe_user_scram_response_result_credential_info,                                         \
      KAFKA_DESCRIBE_USER_SCRAM_RESPONSE_RESULT_CREDENTIAL_INFO)                                   \
    M(describe_user_scram_response_result, KAFKA_DESCRIBE_USER_SCRAM_RESPONSE_RESULT)              \
    M(describe_user_scram_response, KAFKA_DESCRIBE_USER_SCRAM_RESPONSE)                            \
    M(alter_user_scram_request_deletion, KAFKA_ALTER_USER_SCRAM_REQUEST_DELETION)                  \
    M(alter_user_scram_request_upsertion, KAFKA_ALTER_USER_SCRAM_REQUEST_UPSERTION)                \
    M(alter_user_scram_request, KAFKA_ALTER_USER_SCRAM_REQUEST)                                    \
    M(alter_user_scram_response_result, KAFKA_ALTER_USER_SCRAM_RESPONSE_RESULT)                    \
    M(alter_user_scram_response, KAFKA_ALTER_USER_SCRAM_RESPONSE)

/* clang-format on */
