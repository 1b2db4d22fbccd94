/* What a receiver holds is given back when it goes. */
#include "broker/delivery_internal.h"

#include "base/mem.h"
#include "broker/spread.h"

struct release_call {
    struct release_op *op;
    struct broker *broker;
    struct delivery_each each;
    struct spread spread; /* of all subscriptions */
};

/* Sessions that it holds are unlocked, too. */
static void sessions_release(struct delivery *d, uint64_t owner, struct ledger_time now)
{
    struct ledger_session s;
    uint32_t at = 0;
    while (ledger_sessions(d->ledger, &at, now, &s)) {
        if (!s.locked || s.owner != owner)
            continue;
        enum err err = ledger_session_release(d->ledger, owner, s.id, now);
        at = 0; /* it may have gone */
        if (err != ERR_OK)
            return;
    }
}

static void release(struct delivery *d, uint64_t owner, bool uncounted)
{
    struct ledger_time now = delivery_now(d->all);
    int64_t at = 0;
    if (d->leaving)
        return;
    if (ledger_conf(d->ledger)->sessions)
        sessions_release(d, owner, now);
    else if (ledger_held(d->ledger, owner) > 0)
        while (at != INT64_MAX)
            ledger_release_owner(d->ledger, owner, uncounted, now, &at);
    else
        return;
    delivery_touch(d);
}

static void release_run(struct each_part *part)
{
    const struct release_op *op = container_of(part->all, struct release_call, each)->op;
    release(part->d, op->owner, op->uncounted);
    each_answer(part, ERR_OK);
}

/* Of what is paged out nobody holds anything. */
static void release_paged(struct each_part *part, const struct paged *p)
{
    (void)p;
    each_answer(part, ERR_OK);
}

static void call_end(struct release_call *c, enum err err)
{
    struct release_op *op = c->op;
    struct broker *b = c->broker;
    mem_free(c);
    op_finish(b, &op->op, err);
}

static void release_done(struct delivery_each *each, enum err err)
{
    call_end(container_of(each, struct release_call, each), err);
}

static void step_release(struct broker *b, struct spread_part *part)
{
    const struct release_op *op = container_of(part->spread, struct release_call, spread)->op;
    struct map *all = &b->deliveries->ledgers;
    for (struct map_node *n = map_next(all, NULL); n != NULL; n = map_next(all, n))
        release(container_of(n, struct delivery, node), op->owner, op->uncounted);
    spread_answer(b, part, ERR_OK);
}

static void spread_done(struct spread *spread, struct broker *b, enum err err)
{
    (void)b;
    call_end(container_of(spread, struct release_call, spread), err);
}

void broker_release_all(struct broker *b, struct release_op *op)
{
    struct release_call *c = mem_zalloc(1, sizeof(*c));
    op->op.home = b;
    c->op = op;
    c->broker = b;
    if (b->deliveries == NULL || !b->deliveries->open) {
        call_end(c, ERR_COORDINATOR_LOADING);
        return;
    }
    if (uuid_is_zero(op->subscription)) {
        c->spread.step = step_release;
        c->spread.done = spread_done;
        spread_start(b, &c->spread);
        return;
    }
    c->each = (struct delivery_each){.broker = b,
                                     .subscription = op->subscription,
                                     .partition = -1,
                                     .run = release_run,
                                     .paged = release_paged,
                                     .done = release_done};
    delivery_each_start(&c->each);
}
