/* metrics_subscriptions.h: the subscriptions' part of the metrics page, by labels topic and
 * subscription. Totals count since the start of the process.
 *
 *     weir_subscription_ready                  gauge    messages that wait to be received
 *     weir_subscription_acquired               gauge    with receivers
 *     weir_subscription_deferred, _delayed     gauge
 *     weir_subscription_sessions               gauge
 *     weir_subscription_memory_bytes           gauge
 *     weir_subscription_delivered_total        counter  likewise _accepted, _released,
 *                                              _dead_lettered, _expired, _dropped
 */
#pragma once

#include "base/cursor.h"
#include "broker/broker.h"

struct metrics_subscription;

struct metrics_subscriptions {
    struct metrics_subscription *all;
    size_t n;
    unsigned waiting; /* questions under way, and the loop that asks them */
    void (*done)(struct metrics_subscriptions *m);
};

/* done, possibly from inside, when all have answered. */
void metrics_subscriptions_ask(struct metrics_subscriptions *m, struct broker *broker);
void metrics_subscriptions_put(const struct metrics_subscriptions *m, struct wr *w);
void metrics_subscriptions_free(struct metrics_subscriptions *m);
