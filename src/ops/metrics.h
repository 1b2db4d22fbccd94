/* metrics.h: the metrics page. Gathers over the broker's verbs, so it sees partitions and groups of
 * all reactors; names of kafka_exporter where it has them, so that existing dashboards fit, `weir_`
 * for the rest. The table in metrics.c has every name, its type and its help.
 */
#pragma once

#include "base/cursor.h"
#include "broker/broker.h"

struct metrics;

typedef void metrics_done_fn(void *arg, struct slice page);

/* Gathers and calls done with the page (whose reference is done's), possibly from inside. The extra
 * lines are asked for at the end. */
void metrics_gather(struct broker *broker, void (*extra)(void *arg, struct wr *w), void *extra_arg,
                    metrics_done_fn *done, void *arg);

/* "# HELP ... # TYPE ..." once, then samples. */
void metrics_head(struct wr *w, const char *name, const char *type, const char *help);
/* labels: "topic=\"a\"" or NULL; values of labels must be escaped (metrics_label). */
void metrics_value(struct wr *w, const char *name, const char *labels, double value);
/* Escapes backslash, quote and newline. Returns out. */
const char *metrics_label(char *out, size_t cap, struct str value);
