/* bench_client.h: one librdkafka client of the load generator, with its topic ready.
 *
 * The caller owns the struct and closes it, also after a failed open. A client may be used from
 * several threads, as librdkafka allows; opening and closing from one.
 */
#pragma once

#include "cli/bench_options.h"
#include "cli/rdkafka_module.h"

enum {
    BENCH_QUEUE_MAX = 100000, /* records that wait in a producer, or for their acknowledgement */
};

struct bench_client {
    const struct rdkafka *k;
    rd_kafka_t *rk;
    rd_kafka_topic_t *topic;
    const char *topic_name;
    int32_t partitions; /* to be used: the first so many of the topic */
    bool is_consumer;
};

typedef void bench_delivered_fn(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque);

/* Connects, creates the topic when asked to, and waits until its partitions have a leader. */
enum err bench_producer_open(struct bench_client *c, const struct bench_options *o,
                             bench_delivered_fn *delivered, void *opaque,
                             struct err_text *text) must_use;
/* The same without a group; reads nothing until bench_consumer_assign. */
enum err bench_consumer_open(struct bench_client *c, const struct bench_options *o,
                             struct err_text *text) must_use;
void bench_client_close(struct bench_client *c);

/* The first and the next offset of a partition. */
enum err bench_client_range(struct bench_client *c, int32_t partition, int64_t *first,
                            int64_t *next, struct err_text *text) must_use;
/* Starts reading partition i at offsets[i], for each that is not negative. */
enum err bench_consumer_assign(struct bench_client *c, const int64_t *offsets,
                               struct err_text *text) must_use;
