/* admin.h: one connection to a broker, for commands: requests and answers by Kafka's message
 * tables.
 *
 * The versions used here are served by weir and by Apache Kafka 2.4 and later. Everything is asked
 * of the one broker that was connected to: on a cluster of several, use Kafka's own tools.
 */
#pragma once

#include "base/arena.h"
#include "front/kafka/messages.h"

struct admin;

#define ADMIN_TIMEOUT_MS 30000 /* unless the user says otherwise */
#define ADMIN_TIMEOUT_MAX_MS 3600000

/* servers: "HOST:PORT[,HOST:PORT...]": the first that answers. Each wait for it takes timeout_ms at
 * most. */
enum err must_use admin_open(const char *servers, int64_t timeout_ms, struct admin **out,
                             struct err_text *text);
void admin_close(struct admin *a);
/* Memory of the answers, until admin_close. */
struct arena *admin_arena(struct admin *a);

/* Sends `in` (struct of the request's table) in the version and decodes the answer. The answer
 * lives until admin_close. */
struct admin_call {
    int16_t key, version;
    bool flexible;
    const struct wire_message *request, *response;
};
enum err must_use admin_call(struct admin *a, const struct admin_call *call, const void *in,
                             void *out, struct err_text *text);

/* Calls of the commands, one row each. */
extern const struct admin_call admin_metadata, admin_create_topics, admin_delete_topics,
    admin_create_partitions, admin_describe_configs, admin_incremental_alter_configs,
    admin_list_offsets, admin_list_groups, admin_describe_groups, admin_offset_fetch,
    admin_offset_commit, admin_delete_groups, admin_delete_records, admin_describe_cluster;

/* Kafka's error code as a sentence: from err.h's table, or "an error that this program does not
 * know". */
const char *admin_error(int16_t code);
