/* Settles: accept, reject, release, defer; in doubt from here until ledger_done (ledger_change.c).
 *
 * The entry is changed at once to what it becomes and marked in doubt; what it is, is kept in the
 * change. While in doubt it counts as acquired, and nothing but its change touches it. */
#include "broker/ledger_internal.h"

#include "base/mem.h"

#include <string.h>

struct change_item *change_item_add(struct ledger_change *c)
{
    if (c->items_n == c->items_cap) {
        uint32_t cap = c->items_cap * 4;
        struct change_item *items = mem_alloc(cap * sizeof(*items));
        memcpy(items, c->items, c->items_n * sizeof(*items));
        if (c->items != c->few)
            mem_free(c->items);
        c->items = items;
        c->items_cap = cap;
    }
    return &c->items[c->items_n++];
}

/* From here on the entry's fields are what it becomes. */
static void doubt(struct ledger_change *c, struct ledger_page *p, unsigned index,
                  struct ledger_entry *e)
{
    struct ledger *l = c->ledger;
    struct change_item *item = change_item_add(c);
    item->page = p;
    item->session = l->sessions != NULL ? l->sessions->all[e->who] : NULL;
    item->index = (uint16_t)index;
    item->rejected = item->is_void = false;
    item->was = *e;
    if (e->state != LEDGER_ACQUIRED) {
        page_out(l, p, index, e);
        l->acquired_n++;
        p->acquired_n++;
    }
    if (item->session != NULL) {
        item->session->doubt_n++;
        item->session->settling_n += e->state == LEDGER_ACQUIRED && !e->burying;
        item->lock_no = item->session->lock_no;
    }
    e->in_doubt = 1;
    l->in_doubt_n++;
    p->in_doubt_n++;
}

/* What ref names; by offset any that is not settled, if `any`. */
static struct ledger_entry *settle_find(struct ledger_change *c, struct ledger_ref ref, bool any,
                                        struct ledger_page **page)
{
    struct ledger *l = c->ledger;
    if (!any || ref.by != LEDGER_BY_OFFSET)
        return ref_find(l, ref, page);
    if (ref.offset < 0 || ref.offset >= LEDGER_OFFSET_MAX)
        return NULL;
    struct ledger_page *p = *page = page_find(l, page_of(ref.offset));
    struct ledger_entry *e = p != NULL ? page_entry(l, p, index_of(ref.offset)) : NULL;
    return e != NULL && !e->in_doubt ? e : NULL;
}

static enum err settle(struct ledger_change *c, struct ledger_ref ref, bool any,
                       struct ledger_page **page, struct ledger_entry **entry)
{
    weir_assert(c->ledger != NULL && !c->taken);
    if (c->ledger->rewinding != NULL)
        return ERR_BUSY;
    struct ledger_entry *e = *entry = settle_find(c, ref, any, page);
    if (e == NULL)
        return ERR_LOCK_LOST;
    doubt(c, *page, index_of(ref.offset), e);
    return ERR_OK;
}

enum err ledger_accept(struct ledger_change *c, struct ledger_ref ref)
{
    struct ledger_page *p;
    struct ledger_entry *e;
    enum err err = settle(c, ref, true, &p, &e);
    if (err != ERR_OK)
        return err;
    const struct change_item *item = &c->items[c->items_n - 1];
    e->state = LEDGER_SETTLED;
    if (c->ledger->sessions == NULL && item->was.state != LEDGER_ACQUIRED)
        e->who = NOBODY;
    struct session *s = item->session;
    if (s != NULL) /* it may have been the next one */
        session_refresh(c->ledger, s);
    return ERR_OK;
}

enum err ledger_reject(struct ledger_change *c, struct ledger_ref ref)
{
    enum err err = ledger_accept(c, ref);
    if (err == ERR_OK)
        c->items[c->items_n - 1].rejected = true;
    return err;
}

enum err ledger_release(struct ledger_change *c, struct ledger_ref ref, uint32_t delay_ms,
                        bool uncounted, struct ledger_time now)
{
    struct ledger_page *p;
    struct ledger_entry *e;
    enum err err = settle(c, ref, false, &p, &e);
    if (err == ERR_OK)
        entry_released(c->ledger, ref.offset, e, delay_ms ? due_pack(now.mono_ms + delay_ms) : 0,
                       uncounted);
#ifdef FAULT_release_vanishes
    if (err == ERR_OK)
        e->state = LEDGER_SETTLED;
#endif
    return err;
}

enum err ledger_defer(struct ledger_change *c, struct ledger_ref ref)
{
    struct ledger_page *p;
    struct ledger_entry *e;
    enum err err = settle(c, ref, false, &p, &e);
    if (err != ERR_OK)
        return err;
    entry_released(c->ledger, ref.offset, e, 0, false);
    e->state = LEDGER_DEFERRED;
    return ERR_OK;
}
