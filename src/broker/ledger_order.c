/* Messages of a partition in order (conf.ordered).
 *
 * What is given is always the front of what is unsettled, and nobody overtakes what may come back:
 *
 *     offset   0 1 2 3 4 5 6 7 8       s settled, a acquired by A, r ready, w waits for its delay
 *              s a a r r w r r r
 *                    ^ ^             A may go on with 3 and 4: all before is A's own
 *                        ^           at 5 everybody stops; B stops at 1
 *
 * Dead and deferred messages hold up nobody: they have left the order. A settle in doubt may fail,
 * and then the message is its receiver's again: only that one goes on behind it. One that becomes
 * available again by it stops all.
 *
 * Looked at is what is neither settled nor ready, page by page; pages without such are passed by
 * their counts. */
#include "broker/ledger_internal.h"

enum passing { PASSES, HELD, STOPS };

static enum passing passing_of(const struct ledger *l, const struct ledger_entry *e, uint64_t *by)
{
    if (e->burying || (!e->in_doubt && (e->state == LEDGER_DEAD || e->state == LEDGER_DEFERRED)))
        return PASSES;
#ifdef FAULT_order_overtaken
    if (e->state == LEDGER_AVAILABLE)
        return PASSES;
#endif
    bool held =
        e->in_doubt ? e->state == LEDGER_SETTLED && e->who != NOBODY : e->state == LEDGER_ACQUIRED;
    if (!held)
        return STOPS;
    *by = l->owners.all[e->who]->id;
    return HELD;
}

static bool page_all_passes(const struct ledger_page *p)
{
    return p->acquired_n == 0 && p->open == p->ready_n + p->dead_n;
}

/* First index >= from that is unsettled and not ready; LEDGER_PAGE: none. */
static unsigned next_unready(struct ledger *l, struct ledger_page *p, unsigned from)
{
    const struct page_slots *s = page_slots(l, p);
    for (unsigned w = from / 64; w < PAGE_WORDS; w++) {
        uint64_t bits = s->held.w[w] & ~s->settled.w[w] & ~s->ready.w[w];
        if (w == from / 64)
            bits &= ~(uint64_t)0 << (from % 64);
        if (bits != 0)
            return w * 64 + (unsigned)__builtin_ctzll(bits);
    }
    return LEDGER_PAGE;
}

struct stop {
    int64_t at; /* INT64_MAX: there is none */
    enum passing how;
    uint64_t by; /* HELD */
};

/* The first message that stops those who hold nothing; owner not NULL: that one. */
static struct stop find_stop(struct ledger *l, const uint64_t *owner)
{
    struct stop stop = {INT64_MAX, PASSES, 0};
    if (l->acquired_n == 0 && l->delayed_n == 0)
        return stop;
    for (uint32_t place = 0; place < l->dir.n; place++) {
        struct ledger_page *p = page_at(l, place);
        if (page_all_passes(p))
            continue;
        for (unsigned i = next_unready(l, p, 0); i < LEDGER_PAGE; i = next_unready(l, p, i + 1)) {
            stop.how = passing_of(l, page_entry(l, p, i), &stop.by);
            if (stop.how == PASSES || (stop.how == HELD && owner != NULL && stop.by == *owner))
                continue;
            stop.at = page_start(p) + i;
            return stop;
        }
    }
    return stop;
}

static uint32_t ready_in_page(struct ledger *l, struct ledger_page *p, unsigned below)
{
    const struct page_slots *s = page_slots(l, p);
    unsigned n = 0;
    for (unsigned w = 0; w * 64 < below; w++) {
        uint64_t bits = s->ready.w[w];
        if (below - w * 64 < 64)
            bits &= ((uint64_t)1 << (below - w * 64)) - 1;
        n += (unsigned)__builtin_popcountll(bits);
    }
    return n;
}

static uint32_t ready_below(struct ledger *l, int64_t offset)
{
    uint32_t n = 0;
    for (uint32_t place = 0; place < l->dir.n; place++) {
        struct ledger_page *p = page_at(l, place);
        if (page_start(p) >= offset)
            break;
        if (p->ready_n == 0)
            continue;
        int64_t below = offset - page_start(p);
        n += below >= LEDGER_PAGE ? p->ready_n : ready_in_page(l, p, (unsigned)below);
    }
    return n;
}

size_t order_room(struct ledger *l, uint64_t owner, size_t n)
{
    struct stop stop = find_stop(l, &owner);
    size_t room = stop.at == INT64_MAX ? n : ready_below(l, stop.at);
    return n < room ? n : room;
}

void ledger_order(const struct ledger *l, struct ledger_order *out)
{
    weir_check(l, LEDGER_MAGIC);
    /* Pages that are looked at are unpacked, which changes nothing but memory. */
    struct ledger *own = (struct ledger *)(uintptr_t)l;
    struct stop stop = find_stop(own, NULL);
    *out = (struct ledger_order){.ready = ready_below(own, stop.at)};
    if (out->ready == 0 && stop.how == HELD) {
        out->held = true;
        out->owner = stop.by;
        stop = find_stop(own, &out->owner);
        out->ready = ready_below(own, stop.at);
    }
    out->open = stop.at == INT64_MAX;
}
