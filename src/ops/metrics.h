/* metrics.h: the metrics page, in Prometheus' text format 0.0.4. Gathers over the broker's verbs,
 * so it sees partitions and groups of all reactors; names of kafka_exporter where it has them, so
 * that existing dashboards fit, `weir_` for the rest. Internal topics are left out.
 *
 *     kafka_brokers                           gauge
 *     kafka_topic_partitions                  gauge  topic
 *     kafka_topic_partition_current_offset    gauge  topic, partition: the high watermark
 *     kafka_topic_partition_oldest_offset     gauge  topic, partition: the log start
 *     kafka_consumergroup_current_offset      gauge  consumergroup, topic, partition: committed
 *     kafka_consumergroup_lag                 gauge  likewise: what is left to read
 *     weir_subscription_...                   see metrics_subscriptions.h
 *     weir_delivery_seconds                   histogram  topic, subscription, stage: stages.h
 *
 * One reactor. What could not be asked has no line.
 */
#pragma once

#include "base/cursor.h"
#include "base/histogram.h"
#include "broker/broker.h"

typedef void metrics_done_fn(void *arg, struct slice page);

/* Gathers and calls done with the page (whose reference is done's), possibly from inside. The extra
 * lines are asked for at the end; extra may be NULL. */
void metrics_gather(struct broker *broker, void (*extra)(void *arg, struct wr *w), void *extra_arg,
                    metrics_done_fn *done, void *arg);

/* "# HELP ... # TYPE ..." once, then samples: metrics_line, a metrics_label for each, and
 * metrics_value at last. */
void metrics_head(struct wr *w, const char *name, const char *type, const char *help);
void metrics_line(struct wr *w, const char *name);
/* A histogram's samples, with these labels beside "le". */
#define METRICS_HISTOGRAMS_MAX 500 /* subscriptions that have them on a page */
#define METRICS_LABELS_MAX 4
struct metrics_labels {
    size_t n;
    const char *keys[METRICS_LABELS_MAX];
    struct str values[METRICS_LABELS_MAX];
};
void metrics_histogram(struct wr *w, const char *name, const struct metrics_labels *labels,
                       const struct histogram *h);
/* The value is escaped; bytes that are not UTF-8, which Prometheus does not take, become '?'. */
void metrics_label(struct wr *w, const char *key, struct str value);
void metrics_value(struct wr *w, double value);
