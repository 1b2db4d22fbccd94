/* What time does to a ledger: locks end, delays end, messages outlive their time to live.
 *
 * Each page stands in a heap by its least due time, or an earlier one: a lock that was settled or
 * renewed leaves its page too early in the heap, which costs one look at the page. */
#include "broker/ledger_internal.h"

int64_t ledger_due(const struct ledger *l)
{
    struct heap_node *node = heap_min(&l->due);
    int64_t due = node != NULL ? (int64_t)node->key - DUE_BIAS : INT64_MAX;
    if (l->rewinding != NULL)
        return INT64_MAX; /* ledger_done asks again */
    if (l->sessions == NULL || (node = heap_min(&l->sessions->due)) == NULL)
        return due;
    int64_t lock = (int64_t)node->key - DUE_BIAS;
    return lock < due ? lock : due;
}

static bool has_due(const struct page_slots *s, unsigned index, const struct ledger_entry *e)
{
    if (e->in_doubt)
        return false;
    if (e->state == LEDGER_ACQUIRED)
        return !e->endless;
    return e->state == LEDGER_AVAILABLE && !bit_get(&s->ready, index);
}

static void entry_due(struct ledger *l, struct ledger_page *p, unsigned index,
                      struct ledger_entry *e)
{
    if (e->state == LEDGER_ACQUIRED) {
        l->lock_expired++;
        entry_release(l, p, index, e, false);
#ifdef FAULT_expiry_forgets
        page_out(l, p, index, e);
        page_settle(l, p, index);
        return;
#endif
    } else {
        page_out(l, p, index, e);
        e->due = 0;
        page_in(l, p, index, e);
        page_dirty(l, p, index);
    }
    if (l->sessions != NULL)
        session_refresh(l, l->sessions->all[e->who]);
}

static void page_step(struct ledger *l, struct ledger_page *p, int64_t mono_ms)
{
    struct page_slots *s = page_slots(l, p);
    int64_t least = INT64_MAX;
    heap_remove(&l->due, &p->due_node);
    for (unsigned i = page_next_open(l, p, 0); i < LEDGER_PAGE; i = page_next_open(l, p, i + 1)) {
        struct ledger_entry *e = page_entry(l, p, i);
        if (!has_due(s, i, e))
            continue;
        if (due_of(e) <= mono_ms)
            entry_due(l, p, i, e);
        else if (due_of(e) < least)
            least = due_of(e);
    }
    if (least != INT64_MAX)
        page_due(l, p, least);
}

bool ledger_step(struct ledger *l, struct ledger_time now)
{
    weir_check(l, LEDGER_MAGIC);
    if (l->rewinding != NULL)
        return false;
    for (unsigned n = 0; n < LEDGER_STEP_PAGES; n++) {
        struct heap_node *node = heap_min(&l->due);
        if (node == NULL || node->key > due_pack(now.mono_ms))
            break;
        page_step(l, container_of(node, struct ledger_page, due_node), now.mono_ms);
    }
    if (l->sessions != NULL)
        sessions_step(l, now, LEDGER_STEP_PAGES);
    return ledger_due(l) <= now.mono_ms;
}

/* ---- time to live ---- */

/* True: it was not dead yet and can be. */
static bool entry_expire(struct ledger *l, struct ledger_page *p, unsigned index)
{
    struct ledger_entry *e = page_entry(l, p, index);
    if (e == NULL || e->in_doubt || e->state == LEDGER_ACQUIRED || e->state == LEDGER_DEAD)
        return false;
    page_out(l, p, index, e);
    e->state = LEDGER_DEAD;
    e->expired = 1;
    e->due = 0;
    page_in(l, p, index, e);
    page_dirty(l, p, index);
    if (l->sessions != NULL)
        session_refresh(l, l->sessions->all[e->who]);
    return true;
}

/* Pages below the old mark have been seen; what came back since is dead by that. */
bool ledger_expire(struct ledger *l, int64_t below)
{
    weir_check(l, LEDGER_MAGIC);
    if (l->rewinding != NULL)
        return true;
    unsigned pages = 0;
    if (below > l->next)
        below = l->next;
    for (uint32_t place = page_place(l, page_of(l->expired_below));
         l->expired_below < below && place < l->dir.n; place++) {
        struct ledger_page *p = page_at(l, place);
        if (page_start(p) >= below)
            break;
        if (pages++ == LEDGER_STEP_PAGES)
            return true;
        int64_t seen = l->expired_below - page_start(p);
        for (unsigned i = page_next_open(l, p, seen > 0 ? (unsigned)seen : 0);
             i < LEDGER_PAGE && page_start(p) + i < below; i = page_next_open(l, p, i + 1))
            entry_expire(l, p, i);
        int64_t end = page_start(p) + LEDGER_PAGE;
        l->expired_below = end < below ? end : below;
    }
    if (l->expired_below < below)
        l->expired_below = below;
    return false;
}

enum err ledger_expire_one(struct ledger *l, int64_t offset)
{
    weir_check(l, LEDGER_MAGIC);
    if (offset < 0 || offset >= LEDGER_OFFSET_MAX)
        return ERR_NOT_FOUND;
    if (l->rewinding != NULL)
        return ERR_BUSY;
    struct ledger_page *p = page_find(l, page_of(offset));
    return p != NULL && entry_expire(l, p, index_of(offset)) ? ERR_OK : ERR_NOT_FOUND;
}
