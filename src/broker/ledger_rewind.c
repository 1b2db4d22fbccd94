/* A rewind: the ledger starts again at an offset, in a new epoch.
 *
 * Its head, which tells the new epoch, voids all records of pages of an older one, wherever they
 * land. So nothing of what is under way needs to be waited for, and nothing is undone in memory
 * before the head is durable. What is kept is staged in pages of the new epoch, which are written
 * in one group with the head; they must not change meanwhile, so all verbs wait.
 *
 * A clamp is a rewind that keeps all that lies before.
 *
 * What the log does not have any more but its owner has copies of (ledger_set_kept) cannot be
 * looked at again: a rewind to before it stages it, as if it had just been. */
#include "broker/ledger_internal.h"

#include "base/mem.h"

static uint32_t keep_count(const struct ledger *l)
{
    return l->acquired_n + l->deferred_n + l->delayed_n + l->dead_n;
}

static enum err rewind(struct ledger_change *c, int64_t to, enum rewind_keep keep)
{
    struct ledger *l = c->ledger;
    weir_check(l, LEDGER_MAGIC);
    weir_assert(!c->taken && c->items_n == 0 && !c->rewind);
    if (l->rewinding != NULL || (keep != KEEP_NONE && l->in_doubt_n != 0))
        return ERR_BUSY;
    if (to < 0 || to >= LEDGER_OFFSET_MAX)
        return ERR_OFFSET_RANGE;
    c->rewind = true;
    c->keep = keep;
    c->rewind_asked = to;
    c->rewind_to = to > l->start ? to : l->start;
    l->rewinding = c;
    return ERR_OK;
}

enum err ledger_rewind(struct ledger_change *c, int64_t to, bool keep)
{
    const struct ledger *l = c->ledger;
    if (keep && (l->sessions != NULL || keep_count(l) > LEDGER_KEEP_MAX))
        return ERR_BUSY;
    return rewind(c, to, keep ? KEEP_PENDING : KEEP_NONE);
}

enum err ledger_clamp(struct ledger_change *c, int64_t end)
{
    return rewind(c, end, KEEP_BELOW);
}

/* ---- what is kept ---- */

static bool stays(const struct ledger_change *c, int64_t offset, const struct ledger_entry *e)
{
    if (c->keep == KEEP_BELOW)
        return offset < c->rewind_to;
    return c->keep == KEEP_PENDING && (e->state != LEDGER_AVAILABLE || e->due != 0);
}

/* It would be looked at again, if the log had it still. */
static bool comes_again(const struct ledger *l, const struct ledger_change *c, int64_t offset)
{
    return c->keep == KEEP_NONE && offset >= c->rewind_asked && offset < l->start &&
           offset < l->kept;
}

bool rewind_stages(const struct ledger *l, const struct ledger_change *c)
{
    return c->keep != KEEP_NONE || (l->kept > 0 && c->rewind_asked < l->start);
}

static struct ledger_page *staged_page(struct ledger *l, struct ledger_change *c, int64_t no)
{
    if (c->staged_n != 0 && c->staged[c->staged_n - 1]->no == no)
        return c->staged[c->staged_n - 1];
    c->staged = mem_realloc(c->staged, (c->staged_n + 1) * sizeof(struct ledger_page *));
    struct ledger_page *p = page_make(l, no, l->epoch + 1);
    return c->staged[c->staged_n++] = p;
}

static void stage_page(struct ledger *l, struct ledger_change *c, struct ledger_page *p)
{
    for (unsigned i = page_next_open(l, p, 0); i < LEDGER_PAGE; i = page_next_open(l, p, i + 1)) {
        struct ledger_entry e = *page_entry(l, p, i);
        if (comes_again(l, c, page_start(p) + i))
            e = (struct ledger_entry){.state = LEDGER_AVAILABLE,
                                      .who = l->sessions != NULL ? e.who : 0};
        else if (!stays(c, page_start(p) + i, &e))
            continue; /* comes again by being looked at, or not */
        *page_slot_add(l, staged_page(l, c, p->no), i) = e;
    }
}

/* Below `to`, what is not kept is settled. */
static void stage_settled(struct ledger_page *p, int64_t to)
{
    for (unsigned i = 0; i < LEDGER_PAGE && page_start(p) + i < to; i++) {
        if (!bit_get(&p->slots->held, i))
            bit_set(&p->slots->settled, i);
    }
}

void rewind_stage(struct ledger *l, struct ledger_change *c)
{
    int64_t to = page_of(c->rewind_to);
    bool told = index_of(c->rewind_to) == 0; /* of the page where it starts: what lies before */
    for (uint32_t i = 0; i < l->dir.n; i++) {
        if (!told && page_at(l, i)->no >= to) {
            staged_page(l, c, to);
            told = true;
        }
        stage_page(l, c, page_at(l, i));
    }
    if (!told)
        staged_page(l, c, to);
    for (uint32_t i = 0; i < c->staged_n; i++)
        stage_settled(c->staged[i], c->rewind_to);
}

void rewind_head_write(struct ledger *l, const struct ledger_change *c, struct wr *w)
{
    struct page_runs runs = {NULL, 0, 0};
    int64_t floor = c->rewind_to;
    for (uint32_t i = 0; i < c->staged_n; i++) {
        unsigned first = page_next_open(l, c->staged[i], 0);
        if (first == LEDGER_PAGE || page_start(c->staged[i]) + first >= floor)
            continue;
        floor = page_start(c->staged[i]) + first;
        break;
    }
    int64_t at = page_of(floor), end = page_of(c->rewind_to);
    for (uint32_t i = 0; i < c->staged_n && c->staged[i]->no <= end; i++) {
        runs_add(&runs, at, c->staged[i]->no);
        if (at <= c->staged[i]->no)
            at = c->staged[i]->no + 1;
    }
    runs_add(&runs, at, end);
    head_write(w, l->epoch + 1, floor, &runs);
    runs_free(&runs);
}

/* ---- done ---- */

static void page_void(struct ledger *l, const struct ledger_change *c, struct ledger_page *p)
{
    for (unsigned i = page_next_open(l, p, 0); i < LEDGER_PAGE; i = page_next_open(l, p, i + 1)) {
        const struct ledger_entry *e = page_entry(l, p, i);
        if (e->state == LEDGER_ACQUIRED && !e->in_doubt && l->sessions == NULL &&
            !stays(c, page_start(p) + i, e))
            owner_unref(l, (uint32_t)e->who);
    }
    page_gone(l, p);
}

static void gone_all_told(struct ledger *l)
{
    struct list *it;
    while ((it = list_pop(&l->gone)) != NULL) {
        struct ledger_page *p = container_of(it, struct ledger_page, gone_link);
        list_push(&l->told, &p->gone_link);
        p->told = true;
        page_release(l, p);
    }
}

static void stage_install(struct ledger *l, struct ledger_page *p)
{
    page_insert(l, p);
    for (unsigned i = page_next_open(l, p, 0); i < LEDGER_PAGE; i = page_next_open(l, p, i + 1)) {
        const struct ledger_entry *e = page_entry(l, p, i);
        p->open++;
        page_in(l, p, i, e);
        if (l->sessions != NULL)
            session_message_add(l, l->sessions->all[e->who], page_start(p) + i);
    }
}

static void rewind_apply(struct ledger *l, struct ledger_change *c)
{
    changes_void(l);
    while (l->dir.n != 0)
        page_void(l, c, page_at(l, 0));
    gone_all_told(l);
    l->runs.n = l->beyond.n = 0;
    l->head_dirty = false;
    l->ready_n = l->delayed_n = l->acquired_n = l->deferred_n = l->dead_n = 0;
    l->epoch++;
    l->next = c->rewind_to;
    if (l->sessions != NULL)
        sessions_clear(l);
    for (uint32_t i = 0; i < c->staged_n; i++)
        stage_install(l, c->staged[i]);
    if (l->sessions != NULL)
        sessions_rewound(l, c->keep == KEEP_NONE);
}

void rewind_done(struct ledger *l, struct ledger_change *c, bool ok)
{
    for (uint32_t i = 0; i < c->staged_n; i++) {
        c->staged[i]->writes -= c->taken;
        if (!ok)
            page_free(l, c->staged[i]);
    }
    l->rewinding = NULL;
    if (ok)
        rewind_apply(l, c);
    c->staged_n = 0;
    uint64_t unseen;
    (void)ledger_trim(l, l->trim_later, &unseen);
}
