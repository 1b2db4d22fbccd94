/* What the deliveries of a subscription take, counted for metrics; see stages.h. */
#include "broker/delivery_internal.h"

#include "base/mem.h"

static void add(struct delivery *d, enum stage stage, uint64_t us)
{
    if (d->stages == NULL)
        d->stages = mem_zalloc(1, sizeof(*d->stages));
    histogram_add(&d->stages->of[stage], us);
}

void delivery_stages_received(struct delivery *d, const struct message *m)
{
    if (m->deliveries == 1)
        add(d, STAGE_WAIT, m->waited_us);
}

/* Who pulls does not say how long that took: the ledger knows since when he has it. */
void delivery_stages_settling(const struct delivery *d, struct settle_item *item)
{
    struct ledger_message m;
    if (d->s->conf.deliver != DELIVER_PULL)
        return;
    ledger_get(d->ledger, lock_token_offset(&item->token), delivery_now(d->all), &m);
    item->took_us = m.idle_ms > 0 ? (uint64_t)m.idle_ms * 1000 : 0;
}

static uint64_t since(uint64_t now_us, uint64_t then_us)
{
    return now_us > then_us ? now_us - then_us : 0;
}

/* The batch that the offset is in; NULL: it is not in memory any more. The last one is remembered:
 * what is settled together was mostly published together. */
static const struct delivery_batch *batch_of(struct delivery *d, int64_t offset)
{
    struct delivery_batch *b = &d->batch;
    if (offset >= b->from && offset < b->to)
        return b;
    const struct records *r = d->at != NULL ? records_cached_of(d->at, offset) : NULL;
    if (r == NULL)
        return NULL;
    *b = (struct delivery_batch){.from = records_head(r)->base_offset,
                                 .to = batch_next_offset(records_head(r)),
                                 .append_ms = records_append_ms(r),
                                 .visible_us = records_visible_us(r)};
    return b;
}

/* From when it could be read. */
static bool total_of(struct delivery *d, const struct settle_item *item, uint64_t now_us,
                     uint64_t *us)
{
    *us = since(now_us, item->visible_us);
    if (item->visible_us != 0)
        return true;
    const struct delivery_batch *b = batch_of(d, lock_token_offset(&item->token));
    if (b == NULL)
        return false;
    if (b->visible_us != 0)
        *us = since(now_us, b->visible_us);
    else
        *us = 1000 * since(env_now_ms(d->all->broker->env), (uint64_t)b->append_ms);
    return true;
}

void delivery_stages_settled(struct delivery *d, const struct settle_item *item, uint64_t begin_us,
                             uint64_t now_us)
{
    uint64_t us;
    if (item->verb == SETTLE_RENEW || item->burial)
        return;
    if (item->took_us > 0 || d->s->conf.deliver == DELIVER_PULL)
        add(d, STAGE_CALL, item->took_us);
    add(d, STAGE_SETTLE, since(now_us, begin_us));
    if (item->verb == SETTLE_ACCEPT && total_of(d, item, now_us, &us))
        add(d, STAGE_TOTAL, us);
}
