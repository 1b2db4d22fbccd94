/* metrics.c: rounds of questions, then the page.
 *
 *     OFFSETS         the first and last offset of every partition of every topic
 *     GROUPS          the list of groups, then the committed offsets of each
 *     SUBSCRIPTIONS   what their ledgers hold (metrics_subscriptions.h)
 *     PAGE            written at once
 *
 * `waiting` counts the questions under way and the loop that asks them, so that answers that are
 * given at once do not end a round early.
 */
#include "ops/metrics.h"

#include "base/mem.h"
#include "broker/group.h"
#include "ops/metrics_subscriptions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct metrics_partition {
    struct metrics *all;
    const struct topic *topic; /* a reference */
    int32_t partition;
    struct list_op first, last;
};

struct metrics_group {
    struct metrics *all;
    struct str name; /* own memory */
    struct group_fetch_op fetch;
    struct metrics_offset {
        char *topic;
        int32_t partition;
        int64_t offset;
    } * offsets;
    size_t offsets_n;
};

struct metrics {
    struct broker *broker;
    void (*extra)(void *arg, struct wr *w);
    void *extra_arg;
    metrics_done_fn *done;
    void *arg;
    unsigned waiting;
    struct metrics_partition *partitions;
    size_t partitions_n;
    struct group_list_op list;
    struct metrics_group *groups;
    size_t groups_n;
    struct metrics_subscriptions subscriptions;
};

/* ---- lines ---------------------------------------------------------------------------------- */

static void put(struct wr *w, const char *text)
{
    wr_bytes(w, text, strlen(text));
}

void metrics_head(struct wr *w, const char *name, const char *type, const char *help)
{
    const char *const pieces[] = {"# HELP ", name, " ", help, "\n# TYPE ", name, " ", type, "\n"};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++)
        put(w, pieces[i]);
}

void metrics_line(struct wr *w, const char *name)
{
    put(w, name);
}

/* Behind a label stands its quote; a name has none. */
static bool behind_label(const struct wr *w)
{
    return w->buf->data[w->len - 1] == '"';
}

static void put_escaped(struct wr *w, char c, bool text)
{
    if (c == '\\' || c == '"')
        wr_u8(w, '\\');
    if (c == '\n')
        put(w, "\\n");
    else
        wr_u8(w, (unsigned char)c < 0x80 || text ? (uint8_t)c : '?');
}

void metrics_label(struct wr *w, const char *key, struct str value)
{
    bool text = utf8_valid(value.at, value.len);
    put(w, behind_label(w) ? "," : "{");
    put(w, key);
    put(w, "=\"");
    for (size_t i = 0; i < value.len; i++)
        put_escaped(w, value.at[i], text);
    put(w, "\"");
}

void metrics_value(struct wr *w, double value)
{
    char text[64];
    bool whole = value > -0x1p53 && value < 0x1p53 && value == (double)(int64_t)value;
    snprintf(text, sizeof text, "%s %.*g\n", behind_label(w) ? "}" : "", whole ? 17 : 9, value);
    put(w, text);
}

static void sample(struct wr *w, const char *name, const char *what,
                   const struct metrics_labels *labels, const char *bound, double value)
{
    put(w, name);
    put(w, what);
    for (size_t i = 0; i < labels->n; i++)
        metrics_label(w, labels->keys[i], labels->values[i]);
    if (bound != NULL)
        metrics_label(w, "le", str_of(bound));
    metrics_value(w, value);
}

void metrics_histogram(struct wr *w, const char *name, const struct metrics_labels *labels,
                       const struct histogram *h)
{
    char bound[24];
    uint64_t n = 0;
    for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
        n += h->n[i];
        snprintf(bound, sizeof bound, "%g", histogram_bounds_us[i] / 1e6);
        sample(w, name, "_bucket", labels, bound, (double)n);
    }
    n += h->n[HISTOGRAM_BOUNDS];
    sample(w, name, "_bucket", labels, "+Inf", (double)n);
    sample(w, name, "_sum", labels, NULL, (double)h->sum_us / 1e6);
    sample(w, name, "_count", labels, NULL, (double)n);
}

/* ---- the page ------------------------------------------------------------------------------- */

static void label_partition(struct wr *w, const char *topic, int32_t partition)
{
    char number[16];
    snprintf(number, sizeof number, "%d", partition);
    metrics_label(w, "topic", str_of(topic));
    metrics_label(w, "partition", str_of(number));
}

static void partition_line(const struct metrics_partition *p, const char *name,
                           const struct list_op *op, struct wr *w)
{
    if (op->op.err)
        return;
    metrics_line(w, name);
    label_partition(w, p->topic->name, p->partition);
    metrics_value(w, (double)op->offset);
}

static void page_topics(struct metrics *m, struct wr *w)
{
    metrics_head(w, "kafka_brokers", "gauge", "Number of brokers.");
    metrics_line(w, "kafka_brokers");
    metrics_value(w, 1);
    metrics_head(w, "kafka_topic_partitions", "gauge", "Number of partitions of this topic.");
    for (size_t i = 0; i < m->partitions_n; i++) {
        if (m->partitions[i].partition)
            continue;
        metrics_line(w, "kafka_topic_partitions");
        metrics_label(w, "topic", str_of(m->partitions[i].topic->name));
        metrics_value(w, m->partitions[i].topic->partitions);
    }
    metrics_head(w, "kafka_topic_partition_current_offset", "gauge",
                 "High watermark of the partition.");
    for (size_t i = 0; i < m->partitions_n; i++)
        partition_line(&m->partitions[i], "kafka_topic_partition_current_offset",
                       &m->partitions[i].last, w);
    metrics_head(w, "kafka_topic_partition_oldest_offset", "gauge",
                 "Log start offset of the partition.");
    for (size_t i = 0; i < m->partitions_n; i++)
        partition_line(&m->partitions[i], "kafka_topic_partition_oldest_offset",
                       &m->partitions[i].first, w);
}

/* Partitions stand in the order of their topics' names, then of their numbers. */
static int by_place(const void *key, const void *element)
{
    const struct metrics_offset *o = key;
    const struct metrics_partition *p = element;
    int c = strcmp(o->topic, p->topic->name);
    return c ? c : (o->partition > p->partition) - (o->partition < p->partition);
}

static const struct metrics_partition *partition_of(const struct metrics *m,
                                                    const struct metrics_offset *o)
{
    return bsearch(o, m->partitions, m->partitions_n, sizeof *m->partitions, by_place);
}

/* What is left to read: from the commit, or from the log start where that is later. */
static int64_t lag_of(const struct metrics_partition *p, int64_t committed)
{
    int64_t from = committed > p->first.offset ? committed : p->first.offset;
    return p->last.offset > from ? p->last.offset - from : 0;
}

static void group_line(const struct metrics_group *g, const struct metrics_offset *o, bool lag,
                       struct wr *w)
{
    const struct metrics_partition *p = partition_of(g->all, o);
    bool known = p && !p->first.op.err && !p->last.op.err;
    if (o->offset < 0 || (lag && !known))
        return;
    metrics_line(w, lag ? "kafka_consumergroup_lag" : "kafka_consumergroup_current_offset");
    metrics_label(w, "consumergroup", g->name);
    label_partition(w, o->topic, o->partition);
    metrics_value(w, (double)(lag ? lag_of(p, o->offset) : o->offset));
}

static void group_lines(struct metrics *m, bool lag, struct wr *w)
{
    for (size_t g = 0; g < m->groups_n; g++) {
        for (size_t i = 0; i < m->groups[g].offsets_n; i++)
            group_line(&m->groups[g], &m->groups[g].offsets[i], lag, w);
    }
}

static void page_groups(struct metrics *m, struct wr *w)
{
    metrics_head(w, "kafka_consumergroup_current_offset", "gauge",
                 "Committed offset of the group for the partition.");
    group_lines(m, false, w);
    metrics_head(w, "kafka_consumergroup_lag", "gauge",
                 "Records of the partition that the group has not committed yet.");
    group_lines(m, true, w);
}

static void metrics_free(struct metrics *m)
{
    for (size_t i = 0; i < m->partitions_n; i++)
        topic_unref(m->partitions[i].topic);
    for (size_t g = 0; g < m->groups_n; g++) {
        for (size_t i = 0; i < m->groups[g].offsets_n; i++)
            mem_free(m->groups[g].offsets[i].topic);
        mem_free(m->groups[g].offsets);
        mem_free((char *)m->groups[g].name.at);
    }
    metrics_subscriptions_free(&m->subscriptions);
    mem_free(m->groups);
    mem_free(m->partitions);
    mem_free(m);
}

static void page(struct metrics *m)
{
    struct wr w;
    wr_init(&w, 16384);
    page_topics(m, &w);
    page_groups(m, &w);
    metrics_subscriptions_put(&m->subscriptions, &w);
    if (m->extra)
        m->extra(m->extra_arg, &w);
    m->done(m->arg, wr_take(&w));
    metrics_free(m);
}

/* ---- subscriptions -------------------------------------------------------------------------- */

static void subscriptions_asked(struct metrics_subscriptions *subscriptions)
{
    page(container_of(subscriptions, struct metrics, subscriptions));
}

static void ask_subscriptions(struct metrics *m)
{
    m->subscriptions.done = subscriptions_asked;
    metrics_subscriptions_ask(&m->subscriptions, m->broker);
}

/* ---- groups --------------------------------------------------------------------------------- */

static void group_fetched(struct op *op)
{
    struct metrics_group *g = container_of(op, struct metrics_group, fetch.op);
    size_t n = op->err ? 0 : g->fetch.offsets_n;
    g->offsets = mem_zalloc(n ? n : 1, sizeof *g->offsets);
    for (size_t i = 0; i < n; i++) {
        const struct group_offset *o = &g->fetch.offsets[i];
        g->offsets[i].topic = mem_strndup(o->topic.at, o->topic.len);
        g->offsets[i].partition = o->partition;
        g->offsets[i].offset = o->offset;
    }
    g->offsets_n = n;
    if (--g->all->waiting == 0)
        ask_subscriptions(g->all);
}

static void groups_listed(struct op *op)
{
    struct metrics *m = container_of(op, struct metrics, list.op);
    size_t n = op->err ? 0 : m->list.groups_n;
    m->groups = mem_zalloc(n ? n : 1, sizeof *m->groups);
    m->groups_n = n;
    for (size_t i = 0; i < n; i++) {
        m->groups[i].all = m;
        struct str name = m->list.groups[i].group;
        m->groups[i].name = (struct str){mem_strndup(name.at, name.len), name.len};
    }
    m->waiting = 1;
    for (size_t i = 0; i < n; i++) {
        struct group_fetch_op *f = &m->groups[i].fetch;
        f->op.done = group_fetched;
        f->group = m->groups[i].name;
        f->member_epoch = -1;
        f->all = true;
        m->waiting++;
        broker_group_fetch(m->broker, f);
    }
    if (--m->waiting == 0)
        ask_subscriptions(m);
}

static void ask_groups(struct metrics *m)
{
    m->list.op.done = groups_listed;
    broker_group_list(m->broker, &m->list);
}

/* ---- partitions ----------------------------------------------------------------------------- */

static void offset_done(struct metrics_partition *p)
{
    if (--p->all->waiting == 0)
        ask_groups(p->all);
}

static void first_done(struct op *op)
{
    offset_done(container_of(op, struct metrics_partition, first.op));
}

static void last_done(struct op *op)
{
    offset_done(container_of(op, struct metrics_partition, last.op));
}

static void ask(struct metrics_partition *p, struct list_op *op, int64_t what,
                void (*done)(struct op *op))
{
    *op = (struct list_op){.op.done = done,
                           .topic = p->topic->id,
                           .partition = p->partition,
                           .timestamp = what,
                           .leader_epoch = -1};
    p->all->waiting++;
    broker_list_offset(p->all->broker, op);
}

void metrics_gather(struct broker *broker, void (*extra)(void *arg, struct wr *w), void *extra_arg,
                    metrics_done_fn *done, void *arg)
{
    struct metrics *m = mem_zalloc(1, sizeof *m);
    *m = (struct metrics){
        .broker = broker, .extra = extra, .extra_arg = extra_arg, .done = done, .arg = arg};
    const struct topic *t;
    for (t = broker_topic_next(broker, NULL); t; t = broker_topic_next(broker, t))
        m->partitions_n += t->internal ? 0 : (size_t)t->partitions;
    m->partitions = mem_zalloc(m->partitions_n + 1, sizeof *m->partitions);
    struct metrics_partition *p = m->partitions;
    for (t = broker_topic_next(broker, NULL); t; t = broker_topic_next(broker, t)) {
        for (int32_t i = 0; !t->internal && i < t->partitions; i++, p++) {
            p->all = m;
            p->topic = topic_ref(t);
            p->partition = i;
        }
    }
    m->waiting = 1;
    for (size_t i = 0; i < m->partitions_n; i++) {
        ask(&m->partitions[i], &m->partitions[i].first, LIST_EARLIEST, first_done);
        ask(&m->partitions[i], &m->partitions[i].last, LIST_LATEST, last_done);
    }
    if (--m->waiting == 0)
        ask_groups(m);
}
