/* rdkafka_module.h: librdkafka, loaded at first use.
 *
 * weir does not link librdkafka: a broker that idles should not carry it, and a machine without it
 * runs everything but the load generator. Its headers are used at build time only. After
 * rdkafka_load every function stands in one struct under its own name without the prefix
 * rd_kafka_: k->produce_batch(...) is rd_kafka_produce_batch(...).
 *
 * Call rdkafka_load from one thread first; what it returns is then read-only, for any thread, and
 * is never unloaded. Source: librdkafka 2.0.2's rdkafka.h.
 */
#pragma once

#include "base/err.h"

#include <librdkafka/rdkafka.h>

#define RDKAFKA_FUNCTIONS(X)                                                                       \
    X(version_str)                                                                                 \
    X(err2str)                                                                                     \
    X(new)                                                                                         \
    X(destroy)                                                                                     \
    X(poll)                                                                                        \
    X(flush)                                                                                       \
    X(outq_len)                                                                                    \
    X(conf_new)                                                                                    \
    X(conf_destroy)                                                                                \
    X(conf_set)                                                                                    \
    X(conf_set_opaque)                                                                             \
    X(conf_set_dr_msg_cb)                                                                          \
    X(topic_new)                                                                                   \
    X(topic_destroy)                                                                               \
    X(metadata)                                                                                    \
    X(metadata_destroy)                                                                            \
    X(query_watermark_offsets)                                                                     \
    X(produce_batch)                                                                               \
    X(produce)                                                                                     \
    X(last_error)                                                                                  \
    X(subscribe)                                                                                   \
    X(poll_set_consumer)                                                                           \
    X(topic_name)                                                                                  \
    X(message_timestamp)                                                                           \
    X(assign)                                                                                      \
    X(assignment)                                                                                  \
    X(consumer_poll)                                                                               \
    X(consumer_close)                                                                              \
    X(consume_batch_queue)                                                                         \
    X(message_destroy)                                                                             \
    X(topic_partition_list_new)                                                                    \
    X(topic_partition_list_add)                                                                    \
    X(topic_partition_list_destroy)                                                                \
    X(queue_new)                                                                                   \
    X(queue_get_consumer)                                                                          \
    X(queue_poll)                                                                                  \
    X(queue_destroy)                                                                               \
    X(event_error)                                                                                 \
    X(event_error_string)                                                                          \
    X(event_destroy)                                                                               \
    X(event_CreateTopics_result)                                                                   \
    X(NewTopic_new)                                                                                \
    X(NewTopic_destroy)                                                                            \
    X(CreateTopics)                                                                                \
    X(CreateTopics_result_topics)                                                                  \
    X(topic_result_error)                                                                          \
    X(topic_result_error_string)

struct rdkafka {
#define X(name) __typeof__(rd_kafka_##name) *name;
    RDKAFKA_FUNCTIONS(X)
#undef X
};

/* ERR_NOT_FOUND: the library, or one of its functions, is not there; the text names the Debian
 * package. */
enum err rdkafka_load(const struct rdkafka **out, struct err_text *text) must_use;
