#include "base/budget.h"

#include "base/assert.h"

#include <stdint.h>

bool budget_tight(const struct budget *b)
{
    return atomic_load(&b->held) >= b->max / 2;
}

/* How many bytes more a holder of so many takes. */
static size_t step(const struct budget_share *s, size_t bytes)
{
    size_t has = s->of->free + s->held, to = has;
    weir_assert(s->of->free > 0);
    while (to < bytes)
        to = to <= SIZE_MAX / 2 ? to * 2 : bytes;
    return to - has;
}

bool budget_share_grow(struct budget_share *s, size_t bytes)
{
    struct budget *b = s->of;
    size_t more = b ? step(s, bytes) : 0;
    if (more == 0)
        return true;
    size_t held = atomic_load(&b->held);
    do {
        if (held > b->max || more > b->max - held)
            return false;
    } while (!atomic_compare_exchange_weak(&b->held, &held, held + more));
    s->held += more;
    return true;
}

void budget_share_claim(struct budget_share *s, size_t bytes)
{
    size_t more = s->of ? step(s, bytes) : 0;
    if (more == 0)
        return;
    atomic_fetch_add(&s->of->held, more);
    s->held += more;
}

void budget_share_drop(struct budget_share *s)
{
    struct budget *b = s->of;
    if (s->held == 0)
        return;
    size_t before = atomic_fetch_sub(&b->held, s->held), half = b->max / 2;
    weir_assert(before >= s->held);
    bool eased = before >= half && before - s->held < half;
    s->held = 0;
    if (eased && b->eased)
        b->eased(b->arg);
}
