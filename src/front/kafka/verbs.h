/* verbs.h: the handlers of Kafka's requests, one file each; the table that names them is api.c. */
#pragma once

struct kafka_request;

void kafka_produce_run(struct kafka_request *rq);
void kafka_fetch_run(struct kafka_request *rq);
void kafka_list_offsets_run(struct kafka_request *rq);
void kafka_metadata_run(struct kafka_request *rq);
void kafka_offset_commit_run(struct kafka_request *rq);
void kafka_offset_fetch_run(struct kafka_request *rq);
void kafka_find_coordinator_run(struct kafka_request *rq);
void kafka_join_group_run(struct kafka_request *rq);
void kafka_heartbeat_run(struct kafka_request *rq);
void kafka_leave_group_run(struct kafka_request *rq);
void kafka_sync_group_run(struct kafka_request *rq);
void kafka_describe_groups_run(struct kafka_request *rq);
void kafka_list_groups_run(struct kafka_request *rq);
void kafka_api_versions_run(struct kafka_request *rq);
void kafka_create_topics_run(struct kafka_request *rq);
void kafka_delete_topics_run(struct kafka_request *rq);
void kafka_delete_records_run(struct kafka_request *rq);
void kafka_init_producer_id_run(struct kafka_request *rq);
void kafka_offset_for_leader_epoch_run(struct kafka_request *rq);
void kafka_describe_configs_run(struct kafka_request *rq);
void kafka_alter_configs_run(struct kafka_request *rq);
void kafka_incremental_alter_configs_run(struct kafka_request *rq);
void kafka_create_partitions_run(struct kafka_request *rq);
void kafka_delete_groups_run(struct kafka_request *rq);
void kafka_describe_cluster_run(struct kafka_request *rq);
void kafka_sasl_handshake_run(struct kafka_request *rq);
void kafka_sasl_authenticate_run(struct kafka_request *rq);
void kafka_describe_user_scram_run(struct kafka_request *rq);
void kafka_alter_user_scram_run(struct kafka_request *rq);
