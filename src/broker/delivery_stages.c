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

/* From when it could be read; of batches that are not in memory any more nobody knows. */
static bool total_of(const struct delivery *d, const struct settle_item *item, uint64_t now_us,
                     uint64_t *us)
{
    struct broker *b = d->all->broker;
    *us = since(now_us, item->visible_us);
    if (item->visible_us != 0)
        return true;
    struct records *r =
        d->at != NULL ? records_cached_of(d->at, lock_token_offset(&item->token)) : NULL;
    if (r == NULL)
        return false;
    if (records_visible_us(r) != 0)
        *us = since(now_us, records_visible_us(r));
    else
        *us = 1000 * since(env_now_ms(b->env), (uint64_t)records_append_ms(r));
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
