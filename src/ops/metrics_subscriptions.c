#include "ops/metrics_subscriptions.h"

#include "base/mem.h"
#include "broker/delivery.h"
#include "broker/subscription.h"
#include "ops/metrics.h"

struct metrics_subscription {
    struct metrics_subscriptions *all;
    const struct subscription *s; /* a reference */
    struct ledger_stat_op op;
    struct stages stages;
};

#define AT(field) offsetof(struct ledger_stat_op, field)

static const struct row {
    const char *name, *type, *help;
    size_t at; /* uint64_t in the answer */
} rows[] = {
    {"weir_subscription_ready", "gauge", "Messages that wait to be received.", AT(ready)},
    {"weir_subscription_acquired", "gauge", "Messages that are with receivers.", AT(acquired)},
    {"weir_subscription_deferred", "gauge", "Messages that wait to be asked for.", AT(deferred)},
    {"weir_subscription_delayed", "gauge", "Messages that wait for their time.", AT(delayed)},
    {"weir_subscription_sessions", "gauge", "Sessions with messages, a lock or a state.",
     AT(sessions)},
    {"weir_subscription_memory_bytes", "gauge", "Memory of the subscription's ledgers.", AT(bytes)},
    {"weir_subscription_delivered_total", "counter", "Deliveries.", AT(delivered_total)},
    {"weir_subscription_accepted_total", "counter", "Messages that were accepted.",
     AT(accepted_total)},
    {"weir_subscription_released_total", "counter", "Messages that were given back.",
     AT(released_total)},
    {"weir_subscription_dead_lettered_total", "counter", "Messages that became dead letters.",
     AT(dead_lettered_total)},
    {"weir_subscription_expired_total", "counter",
     "Messages that outlived their time, or were deleted before they were delivered.",
     AT(expired_total)},
    {"weir_subscription_dropped_total", "counter",
     "Messages that could not be delivered and have no dead letter.", AT(dropped_total)},
};

static void less(struct metrics_subscriptions *m)
{
    if (--m->waiting == 0)
        m->done(m);
}

static void answered(struct op *op)
{
    less(container_of(op, struct metrics_subscription, op.op)->all);
}

void metrics_subscriptions_ask(struct metrics_subscriptions *m, struct broker *broker)
{
    const struct subscription *s = NULL;
    size_t n = 0;
    while ((s = broker_subscription_next(broker, NULL, s)) != NULL)
        n++;
    m->all = mem_zalloc(n + 1, sizeof(*m->all));
    m->n = n;
    m->waiting = 1 + (unsigned)n;
    for (size_t i = 0; i < n; i++) {
        s = broker_subscription_next(broker, NULL, s);
        m->all[i] = (struct metrics_subscription){
            .all = m,
            .s = subscription_ref(s),
            .op = {.op.done = answered, .subscription = s->id, .stages = &m->all[i].stages},
        };
    }
    for (size_t i = 0; i < n; i++)
        broker_ledger_stat(broker, &m->all[i].op);
    less(m);
}

static void put_row(const struct metrics_subscriptions *m, const struct row *row, struct wr *w)
{
    metrics_head(w, row->name, row->type, row->help);
    for (size_t i = 0; i < m->n; i++) {
        const struct metrics_subscription *one = &m->all[i];
        if (one->op.op.err != ERR_OK)
            continue;
        metrics_line(w, row->name);
        metrics_label(w, "topic", str_of(one->s->topic_name));
        metrics_label(w, "subscription", str_of(one->s->name));
        const void *at = (const char *)&one->op + row->at;
        metrics_value(w, (double)*(const uint64_t *)at);
    }
}

static const char *const stage_names[] = {
#define X(name, text) text,
    STAGES(X)
#undef X
};

static bool is_counted(const struct metrics_subscription *one)
{
    uint64_t n = 0;
    for (size_t i = 0; i < STAGE_COUNT; i++)
        n += histogram_count(&one->stages.of[i]);
    return one->op.op.err == ERR_OK && n > 0;
}

/* A histogram is some twenty lines: of so many subscriptions, the first by topic and name. */
static void put_stages(const struct metrics_subscriptions *m, struct wr *w)
{
    size_t shown = 0, left_out = 0;
    metrics_head(w, "weir_delivery_seconds", "histogram",
                 "What deliveries take: wait to be acquired, the call, the settle, in total.");
    for (size_t i = 0; i < m->n; i++) {
        const struct metrics_subscription *one = &m->all[i];
        if (!is_counted(one))
            continue;
        if (shown++ >= METRICS_HISTOGRAMS_MAX) {
            left_out++;
            continue;
        }
        struct metrics_labels labels = {3,
                                        {"topic", "subscription", "stage"},
                                        {str_of(one->s->topic_name), str_of(one->s->name)}};
        for (size_t k = 0; k < STAGE_COUNT; k++) {
            labels.values[2] = str_of(stage_names[k]);
            if (histogram_count(&one->stages.of[k]) > 0)
                metrics_histogram(w, "weir_delivery_seconds", &labels, &one->stages.of[k]);
        }
    }
    metrics_head(w, "weir_delivery_seconds_left_out", "gauge",
                 "Subscriptions whose histograms are not shown: there are too many.");
    metrics_line(w, "weir_delivery_seconds_left_out");
    metrics_value(w, (double)left_out);
}

void metrics_subscriptions_put(const struct metrics_subscriptions *m, struct wr *w)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        put_row(m, &rows[i], w);
    put_stages(m, w);
}

void metrics_subscriptions_free(struct metrics_subscriptions *m)
{
    for (size_t i = 0; i < m->n; i++)
        subscription_unref(m->all[i].s);
    mem_free(m->all);
    m->all = NULL;
    m->n = 0;
}
