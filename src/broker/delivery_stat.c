#include "broker/access.h"
#include "broker/paged.h"
#include "broker/stragglers.h"

#include "base/mem.h"

/* ---- what metrics show ---- */

struct stat_call {
    struct delivery_each each;
    struct ledger_stat_op *op;
};

/* Of a batch that cannot be read nobody knows how old it is. */
static void oldest_read(struct op *op)
{
    struct each_part *part = container_of(op, struct each_part, records.op);
    if (part->records.n > 0)
        part->oldest_ms = records_append_ms(part->records.batches[0]);
    for (unsigned i = 0; i < part->records.n; i++)
        records_unref(part->records.batches[i]);
    each_answer(part, ERR_OK);
}

/* The floor is the oldest message that is not settled, if that is not the log's end. */
static void stat_oldest(struct each_part *part, const struct partition *at, int64_t floor)
{
    const struct ledger_stat_op *op = container_of(part->all, struct stat_call, each)->op;
    if (!op->oldest || at == NULL || floor >= at->end) {
        each_answer(part, ERR_OK);
        return;
    }
    struct records *copy = part->d != NULL ? stragglers_read(part->d, floor) : NULL;
    if (copy != NULL) {
        part->oldest_ms = records_append_ms(copy);
        records_unref(copy);
        each_answer(part, ERR_OK);
        return;
    }
    part->records = (struct records_op){.op.done = oldest_read,
                                        .topic = at->topic_id,
                                        .partition = at->index,
                                        .offset = floor,
                                        .bytes_max = 1};
    broker_records(part->broker, &part->records);
}

static void stat_stages(struct each_part *part, const struct stages *stages)
{
    if (container_of(part->all, struct stat_call, each)->op->stages == NULL)
        return;
    part->stages = mem_alloc(sizeof(*part->stages));
    *part->stages = *stages;
}

static uint64_t unseen(const struct partition *at, int64_t next)
{
    return at != NULL && at->end > next ? (uint64_t)(at->end - next) : 0;
}

static void stat_run(struct each_part *part)
{
    const struct delivery *d = part->d;
    ledger_stat(d->ledger, &part->stat);
    part->totals = (struct delivery_totals){
        .delivered = part->stat.delivered,
        .accepted = part->stat.accepted,
        .released = part->stat.released,
        .dead_lettered = d->dead_lettered,
        .expired = d->expired,
        .dropped = d->dropped,
        .unseen = unseen(d->at, ledger_next(d->ledger)),
    };
    part->oldest_ms = -1;
    if (d->stages != NULL)
        stat_stages(part, d->stages);
    stat_oldest(part, d->at, ledger_floor(d->ledger));
}

/* What was told of it when it left: nothing has changed but the log's end. */
static void stat_paged(struct each_part *part, const struct paged *p)
{
    const struct partition *at = partition_find(part->broker, &p->s->topic, p->index);
    struct paged_told told;
    paged_tell(p, &told);
    part->stat = (struct ledger_stat){.ready = (uint32_t)told.ready,
                                      .delayed = (uint32_t)told.delayed,
                                      .deferred = (uint32_t)told.deferred,
                                      .sessions = (uint32_t)told.sessions,
                                      .bytes = paged_bytes(p)};
    part->totals = (struct delivery_totals){
        .delivered = told.past.delivered,
        .accepted = told.past.accepted,
        .released = told.past.released,
        .dead_lettered = told.dead_lettered,
        .expired = told.expired,
        .dropped = told.dropped,
        .unseen = unseen(at, (int64_t)told.next),
    };
    part->oldest_ms = -1;
    stat_stages(part, &told.stages);
    stat_oldest(part, at, p->floor);
}

static void stat_add(struct ledger_stat_op *op, struct each_part *part)
{
    const struct ledger_stat *s = &part->stat;
    const struct delivery_totals *t = &part->totals;
    op->ready += s->ready + t->unseen;
    op->acquired += s->acquired;
    op->deferred += s->deferred;
    op->delayed += s->delayed;
    op->sessions += s->sessions;
    op->delivered_total += t->delivered;
    op->accepted_total += t->accepted;
    op->released_total += t->released;
    op->dead_lettered_total += t->dead_lettered;
    op->expired_total += t->expired;
    op->dropped_total += t->dropped;
    op->bytes += s->bytes;
    for (size_t i = 0; i < STAGE_COUNT && part->stages != NULL; i++)
        histogram_merge(&op->stages->of[i], &part->stages->of[i]);
    mem_free(part->stages);
    if (part->oldest_ms >= 0 && (op->oldest_ms < 0 || part->oldest_ms < op->oldest_ms))
        op->oldest_ms = part->oldest_ms;
}

static void stat_done(struct delivery_each *each, enum err err)
{
    struct stat_call *c = container_of(each, struct stat_call, each);
    struct ledger_stat_op *op = c->op;
    struct broker *b = each->broker;
    for (size_t i = 0; i < each->n; i++)
        stat_add(op, &each->parts[i]);
    mem_free(c);
    op_finish(b, &op->op, err);
}

void broker_ledger_stat(struct broker *b, struct ledger_stat_op *op)
{
    struct uuid subscription = op->subscription;
    const struct subscription *s = broker_subscription_by_id(b, &subscription);
    *op = (struct ledger_stat_op){.op = op->op,
                                  .actor = op->actor,
                                  .subscription = subscription,
                                  .oldest = op->oldest,
                                  .stages = op->stages,
                                  .oldest_ms = -1};
    op->op.home = b;
    if (s != NULL && access_refuses_topic(b, &op->op, op->actor, &s->topic, ACCESS_ANY))
        return;
    struct stat_call *c = mem_zalloc(1, sizeof(*c));
    c->op = op;
    c->each = (struct delivery_each){.broker = b,
                                     .subscription = subscription,
                                     .partition = -1,
                                     .run = stat_run,
                                     .paged = stat_paged,
                                     .done = stat_done};
    delivery_each_start(&c->each);
}
