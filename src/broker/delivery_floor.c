/* What subscriptions keep of a log.
 *
 * A partition's floor is the least of its ledgers' floors: below it everybody is done. Retention
 * never passes it (store_retain). In a topic that keeps messages until they are settled it is what
 * drives the log's start: now and then (TRIM_US) the log is trimmed up to it.
 *
 * What a subscription owes is not kept for ever: its time to live ends it (delivery_expiry.c), and
 * the topic's retention.bytes does, when retention says that it would remove more if it were let.
 * Then the oldest messages expire as if their time were up. Not so in a topic that keeps until
 * settled: that one refuses its producers instead. And not where only a few messages are in the
 * way: these are kept elsewhere (stragglers.h), and the floor passes them.
 */
#include "broker/paged.h"
#include "broker/stragglers.h"

#include "base/mem.h"

#define TRIM_US ((uint64_t)1000 * 1000)

static bool is_open(const struct partition *p)
{
    return p->broker->deliveries != NULL && p->broker->deliveries->open;
}

void floor_open(struct partition *p)
{
    if (!is_open(p))
        store_retain(p->broker->store, p->log, 0);
}

static void trim_want(struct partition *p)
{
    struct deliveries *all = p->broker->deliveries;
    if (!p->topic->conf.until_settled || p->floor == INT64_MAX || p->floor <= p->log_start ||
        list_linked(&p->trimming))
        return;
    if (list_empty(&all->trimming))
        env_timer_set(p->broker->env, &all->trim, TRIM_US);
    list_push(&all->trimming, &p->trimming);
}

static void floor_set(struct partition *p)
{
    int64_t least = INT64_MAX;
    list_for (it, &p->deliveries) {
        const struct delivery *d = container_of(it, struct delivery, link);
        least = d->floor < least ? d->floor : least;
    }
#ifndef FAULT_paged_unbounded
    list_for (it, &p->paged) {
        const struct paged *out = container_of(it, struct paged, link);
        least = out->floor < least ? out->floor : least;
    }
#endif
    p->floor = least;
    if (is_open(p) && p->state == PARTITION_OPEN)
        store_retain(p->broker->store, p->log, least);
    trim_want(p);
}

int64_t delivery_floor(const struct delivery *d)
{
    return ledger_first(d->ledger, ledger_kept(d->ledger));
}

void floor_moved(struct delivery *d)
{
    struct partition *p = d->at;
    int64_t was = d->floor;
    d->floor = delivery_floor(d);
    if (p != NULL && (was == p->floor || d->floor < p->floor))
        floor_set(p);
}

void floor_left(struct partition *p)
{
    if (p != NULL)
        floor_set(p);
}

void floors_known(struct deliveries *all)
{
    struct map *partitions = &all->broker->partitions;
    for (struct map_node *n = map_next(partitions, NULL); n != NULL; n = map_next(partitions, n)) {
        struct partition *p = container_of(n, struct partition, node);
        if (!p->attached)
            floor_set(p);
    }
}

/* ---- trimming ---- */

static void trimmed(struct op *op)
{
    mem_free(container_of(op, struct trim_op, op));
}

static void trim_fire(struct env_timer *timer)
{
    struct deliveries *all = container_of(timer, struct deliveries, trim);
    struct list *it;
    while ((it = list_pop(&all->trimming)) != NULL) {
        struct partition *p = container_of(it, struct partition, trimming);
        struct trim_op *op = mem_zalloc(1, sizeof(*op));
        *op = (struct trim_op){.op.done = trimmed,
                               .topic = p->topic_id,
                               .partition = p->index,
                               .offset = p->floor < p->end ? p->floor : p->end,
                               .to_floor = true};
        broker_trim(all->broker, op);
    }
}

void floors_init(struct deliveries *all)
{
    all->trim.fire = trim_fire;
    list_init(&all->trimming);
}

void floors_free(struct deliveries *all)
{
    env_timer_stop(all->broker->env, &all->trim);
    while (list_pop(&all->trimming) != NULL)
        continue;
}

/* ---- too much ---- */

void delivery_pressed(struct delivery *d, int64_t start, bool full)
{
    bool gives_up = full && !d->at->topic->conf.until_settled;
    if (d->floor >= start || stragglers_move(d, start) || !gives_up || d->pressed_to >= start)
        return;
    d->pressed_to = start;
    delivery_expire(d);
}

void deliveries_pressed(struct partition *p, int64_t start, bool full)
{
    list_for (it, &p->deliveries)
        delivery_pressed(container_of(it, struct delivery, link), start, full);
    paged_pressed(p, start, full);
}

enum err floor_allows(const struct partition *p, struct err_text *text)
{
    struct store_log_stat stat;
    const struct topic_conf *conf = &p->topic->conf;
    if (!conf->until_settled || conf->retention_bytes < 0 || p->log == NULL)
        return ERR_OK;
    store_stat(p->broker->store, p->log, &stat);
    if (stat.bytes < (uint64_t)conf->retention_bytes)
        return ERR_OK;
    return err_say(text, ERR_THROTTLED,
                   "topic %s is full (retention.bytes): its subscriptions have to settle messages "
                   "first",
                   p->topic->name);
}
