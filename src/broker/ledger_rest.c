/* A ledger at rest: whether it can leave memory, what must be written for that, what it knows that
 * no record tells. */
#include "broker/ledger_internal.h"

static bool sessions_rest(const struct sessions *t)
{
    if (!list_empty(&t->dirty))
        return false;
    for (uint32_t i = 0; i < t->n; i++) {
        const struct session *s = t->all[i];
        if (s != NULL && (s->locked || s->state_doubt || s->doubt_n != 0 || s->writes != 0))
            return false;
    }
    return true;
}

bool ledger_rests(const struct ledger *l)
{
    weir_check(l, LEDGER_MAGIC);
    return l->acquired_n == 0 && l->in_doubt_n == 0 && l->dead_n == 0 && !ledger_changed(l) &&
           list_empty(&l->changes) && list_empty(&l->gone) && list_empty(&l->told) &&
           l->rewinding == NULL && (l->sessions == NULL || sessions_rest(l->sessions));
}

void ledger_snapshot_all(struct ledger *l, struct ledger_time now, struct batch_builder *out)
{
    weir_assert(ledger_rests(l));
    for (struct ledger_entity *e = ledger_entity_next(l, NULL); e != NULL;
         e = ledger_entity_next(l, e))
        ledger_snapshot(e, now, out);
}

void ledger_past(const struct ledger *l, struct ledger_past *out)
{
    weir_check(l, LEDGER_MAGIC);
    *out = (struct ledger_past){
        .stamp = l->stamp,
        .kept = l->kept,
        .expired_below = l->expired_below,
        .delivered = l->delivered,
        .accepted = l->accepted,
        .released = l->released,
        .rejected = l->rejected,
        .lock_expired = l->lock_expired,
        .expired = l->expired,
        .skipped = l->skipped,
    };
}

void ledger_resume(struct ledger *l, const struct ledger_past *past)
{
    weir_check(l, LEDGER_MAGIC);
    weir_assert(!l->folding && past->stamp >= l->stamp);
#ifndef FAULT_stamps_forgotten
    l->stamp = past->stamp;
#endif
    l->kept = past->kept;
    l->expired_below = past->expired_below;
    l->delivered = past->delivered;
    l->accepted = past->accepted;
    l->released = past->released;
    l->rejected = past->rejected;
    l->lock_expired = past->lock_expired;
    l->expired = past->expired;
    l->skipped = past->skipped;
}
