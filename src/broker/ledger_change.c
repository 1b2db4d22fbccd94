/* Changes: what is written together, from its first settle to the write's end.
 *
 *   make    settles are added, each remembers the entry as it was
 *   take    records are made: of each page that has settles of this change or mere changes, the
 *           entries concerned; of the head, if pages are done with; of sessions
 *   done    ERR_OK: settles happen, pages of which all is settled leave; pages that the head says
 *           are done with are forgotten. Else settles are undone, and what was told is marked to be
 *           told again.
 *
 * A mere change of a message that is in doubt by another change is not told now: that other one
 * says what becomes of it, and if it fails, it is told then. */
#include "broker/ledger_internal.h"

#include "base/mem.h"

#include <string.h>

/* ---- life ---- */

struct ledger_change *ledger_change_make(struct ledger *l)
{
    weir_check(l, LEDGER_MAGIC);
    struct ledger_change *c = mem_alloc(sizeof(*c));
    memset(c, 0, offsetof(struct ledger_change, few));
    c->ledger = l;
    c->items = c->few;
    c->items_cap = CHANGE_ITEMS_FEW;
    c->pages = c->few_pages;
    c->pages_cap = CHANGE_PAGES_FEW;
    c->records = c->few_records;
    c->records_cap = CHANGE_RECORDS_FEW;
    list_init(&c->gone);
    list_push(&l->changes, &c->link);
    return c;
}

void change_free(struct ledger_change *c)
{
    list_remove(&c->link);
    for (uint32_t i = 0; i < c->items_n; i++) {
        if (c->items[i].page == NULL)
            slice_unref(c->items[i].state);
    }
    if (c->items != c->few)
        mem_free(c->items);
    if (c->pages != c->few_pages)
        mem_free(c->pages);
    if (c->records != c->few_records)
        mem_free(c->records);
    mem_free(c->sessions);
    mem_free(c->staged);
    runs_free(&c->runs);
    wr_free(&c->wr);
    mem_free(c);
}

void changes_confirmed(const struct ledger *l, const struct ledger_page *p,
                       void (*f)(void *user, const struct change_item *item), void *user)
{
    list_for (it, &l->changes) {
        const struct ledger_change *c = container_of(it, struct ledger_change, link);
        for (uint32_t i = 0; i < c->items_n; i++) {
            if (c->items[i].page == p)
                f(user, &c->items[i]);
        }
    }
}

/* ---- take: which pages ---- */

static struct change_page *change_page_get(struct ledger_change *c, struct ledger_page *p)
{
    if (p->take != 0)
        return &c->pages[p->take - 1];
    if (c->pages_n == c->pages_cap) {
        uint32_t cap = c->pages_cap * 4;
        struct change_page *pages = mem_alloc(cap * sizeof(*pages));
        memcpy(pages, c->pages, c->pages_n * sizeof(*pages));
        if (c->pages != c->few_pages)
            mem_free(c->pages);
        c->pages = pages;
        c->pages_cap = cap;
    }
    struct change_page *at = &c->pages[c->pages_n++];
    at->page = p;
    memset(&at->bits, 0, sizeof(at->bits));
    p->take = c->pages_n;
    p->writes++;
    return at;
}

static void take_items(struct ledger_change *c)
{
    for (uint32_t i = 0; i < c->items_n; i++) {
        struct ledger_page *p = c->items[i].page;
        if (p != NULL && !p->gone)
            bit_set(&change_page_get(c, p)->bits, c->items[i].index);
    }
}

/* Dirty ones join, but for those in doubt by others. */
static void take_dirty_page(struct ledger *l, struct ledger_change *c, struct ledger_page *p)
{
    struct page_slots *s = page_slots(l, p);
    struct change_page *at = change_page_get(c, p);
    bool kept = false;
    for (unsigned w = 0; w < PAGE_WORDS; w++) {
        uint64_t dirty = s->dirty.w[w], keep = 0;
        for (uint64_t rest = p->in_doubt_n != 0 ? dirty & ~at->bits.w[w] : 0; rest != 0;
             rest &= rest - 1) {
            unsigned i = w * 64 + (unsigned)__builtin_ctzll(rest);
            const struct ledger_entry *e = page_entry(l, p, i);
#ifndef FAULT_doubt_told
            if (e != NULL && e->in_doubt)
#else
            if (e == NULL)
#endif
                keep |= rest & -rest;
        }
        at->bits.w[w] |= dirty & ~keep;
        s->dirty.w[w] = keep;
        kept |= keep != 0;
    }
    if (!kept)
        list_remove(&p->dirty_link);
}

static void take_dirty(struct ledger *l, struct ledger_change *c)
{
    list_for_safe (it, &l->dirty)
        take_dirty_page(l, c, container_of(it, struct ledger_page, dirty_link));
}

/* ---- take: records ---- */

void record_begin(struct ledger_change *c, struct ledger_entity *e)
{
    if (c->records_n == c->records_cap) {
        uint32_t cap = c->records_cap * 4;
        struct ledger_record *records = mem_alloc(cap * sizeof(*records));
        memcpy(records, c->records, c->records_n * sizeof(*records));
        if (c->records != c->few_records)
            mem_free(c->records);
        c->records = records;
        c->records_cap = cap;
    }
    /* Lengths for now: the bytes may still move. */
    c->records[c->records_n++] = (struct ledger_record){e, {NULL, c->wr.len}, {NULL, 0}};
}

void record_key_end(struct ledger_change *c)
{
    struct ledger_record *r = &c->records[c->records_n - 1];
    r->key.len = c->wr.len - r->key.len;
    r->value.len = c->wr.len;
}

void record_end(struct ledger_change *c)
{
    struct ledger_record *r = &c->records[c->records_n - 1];
    r->value.len = c->wr.len - r->value.len;
}

static void take_head(struct ledger *l, struct ledger_change *c)
{
    record_begin(c, &l->head);
    head_key(l, &c->wr);
    record_key_end(c);
    if (c->rewind)
        rewind_head_write(l, c, &c->wr);
    else
        head_write(&c->wr, l->epoch, ledger_floor(l), &l->runs);
    record_end(c);
    if (c->rewind)
        return;
    c->head = true;
    c->epoch = l->epoch;
    c->runs = l->runs;
    l->runs = (struct page_runs){NULL, 0, 0};
    list_move(&c->gone, &l->gone);
    l->head_dirty = false;
}

static bool bits_any(const struct ledger_bits *b)
{
    uint64_t any = 0;
    for (unsigned w = 0; w < PAGE_WORDS; w++)
        any |= b->w[w];
    return any != 0;
}

static void take_page(struct ledger *l, struct ledger_change *c, struct ledger_page *p,
                      const struct ledger_bits *bits, struct ledger_time now)
{
    if (!bits_any(bits))
        return;
    record_begin(c, &p->entity);
    page_key(l, p, &c->wr);
    record_key_end(c);
    page_write(l, p, bits, false, now, &c->wr);
    record_end(c);
}

/* The records' places, now that the bytes do not move any more. */
static void records_place(struct ledger_change *c)
{
    const char *at = c->wr.buf != NULL ? (const char *)c->wr.buf->data : NULL;
    for (uint32_t i = 0; i < c->records_n; i++) {
        struct ledger_record *r = &c->records[i];
        r->key.at = at;
        at += r->key.len;
        r->value.at = r->value.len != 0 ? at : NULL; /* no value is empty */
        at += r->value.len;
    }
}

bool ledger_changed(const struct ledger *l)
{
    return l->head_dirty || !list_empty(&l->dirty) ||
           (l->sessions != NULL && !list_empty(&l->sessions->dirty));
}

static void take_staged(struct ledger *l, struct ledger_change *c, struct ledger_time now)
{
    for (uint32_t i = 0; i < c->staged_n; i++) {
        struct ledger_page *p = c->staged[i];
        struct ledger_bits all;
        for (unsigned w = 0; w < PAGE_WORDS; w++)
            all.w[w] = p->slots->held.w[w] | p->slots->settled.w[w];
        take_page(l, c, p, &all, now);
        p->writes++;
    }
}

static void take_records(struct ledger *l, struct ledger_change *c, struct ledger_time now)
{
    bool head = c->rewind || (!c->alone && l->head_dirty);
    if (head)
        take_head(l, c);
    for (uint32_t i = 0; i < c->pages_n; i++) {
        c->pages[i].page->take = 0;
        take_page(l, c, c->pages[i].page, &c->pages[i].bits, now);
    }
    take_staged(l, c, now);
    if (l->sessions != NULL)
        sessions_take(l, c, now);
    records_place(c);
}

bool ledger_take(struct ledger_change *c, bool alone, struct ledger_time now,
                 struct ledger_take *out)
{
    struct ledger *l = c->ledger;
    weir_check(l, LEDGER_MAGIC);
    weir_assert(!c->taken);
    c->taken = true;
    c->alone = alone || c->rewind;
    wr_init(&c->wr, TAKE_BYTES);
    if (c->rewind && rewind_stages(l, c))
        rewind_stage(l, c);
    take_items(c);
    if (!c->alone)
        take_dirty(l, c);
    take_records(l, c, now);
    *out = (struct ledger_take){
        .records = c->records,
        .n = c->records_n,
        .settles = c->items_n != 0 || c->rewind || c->head,
        .atomic = c->staged_n != 0,
    };
    return c->records_n != 0;
}

/* ---- done ---- */

static void item_unref(struct ledger *l, const struct change_item *item)
{
    if (item->was.state == LEDGER_ACQUIRED && item->session == NULL)
        owner_unref(l, (uint32_t)item->was.who);
}

static void item_count(struct ledger *l, const struct change_item *item,
                       const struct ledger_entry *e)
{
    if (item->rejected)
        l->rejected++;
    else if (e->state == LEDGER_SETTLED)
        l->accepted++;
    else if (e->state != LEDGER_DEFERRED)
        l->released++;
}

/* It comes back after its time to live, which passed over it while it was in doubt. */
static void item_outlived(struct ledger *l, struct ledger_page *p, unsigned index,
                          struct ledger_entry *e)
{
    if (page_start(p) + index >= l->expired_below || e->state == LEDGER_ACQUIRED ||
        e->state == LEDGER_DEAD)
        return;
    e->state = LEDGER_DEAD;
    e->expired = 1;
    e->due = 0;
    page_dirty(l, p, index);
}

static void item_settle(struct ledger *l, struct change_item *item, struct ledger_entry *e)
{
    struct ledger_page *p = item->page;
    item_unref(l, item);
    if (e->state != LEDGER_SETTLED) {
        item_outlived(l, p, item->index, e);
        page_in(l, p, item->index, e);
        return;
    }
    if (item->session != NULL)
        session_message_remove(l, item->session, page_start(p) + item->index);
    page_settle(l, p, item->index);
}

/* It may come back no more, or it is back. */
static void item_decided(const struct change_item *item)
{
    struct session *s = item->session;
    if (s == NULL || item->was.state != LEDGER_ACQUIRED || item->was.burying)
        return;
    weir_assert(s->settling_n > 0);
    s->settling_n--;
    if (item->lock_no != s->lock_no) {
        weir_assert(s->former_n > 0);
        s->former_n--;
    }
}

void changes_void(struct ledger *l)
{
    list_for (it, &l->changes) {
        struct ledger_change *c = container_of(it, struct ledger_change, link);
        for (uint32_t i = 0; i < c->items_n; i++) {
            struct change_item *item = &c->items[i];
            if (item->page == NULL || item->is_void)
                continue;
            item_unref(l, item);
            item_decided(item);
            item->is_void = true;
        }
    }
    l->acquired_n -= l->in_doubt_n;
    l->in_doubt_n = 0;
}

/* Back to what it was; by now that may be over. */
static void item_undo(struct ledger *l, struct change_item *item, struct ledger_entry *e)
{
    struct ledger_page *p = item->page;
    *e = item->was;
    item_outlived(l, p, item->index, e);
    page_in(l, p, item->index, e);
    page_dirty(l, p, item->index);
    if (e->state != LEDGER_ACQUIRED)
        return;
    const struct session *s = item->session;
    bool orphan =
        s != NULL ? !e->burying && s->lock_no != item->lock_no : l->owners.all[e->who]->gone;
    if (orphan)
        entry_release(l, p, item->index, e, false);
}

static void item_apply(struct ledger *l, struct ledger_change *c, struct change_item *item, bool ok)
{
    struct ledger_page *p = item->page;
    struct ledger_entry *e = page_entry(l, p, item->index);
    weir_assert(e != NULL && e->in_doubt);
    e->in_doubt = 0;
    if (ok)
        item_count(l, item, e);
    bool told = ok && (!c->alone || e->state == LEDGER_SETTLED);
    int64_t offset = page_start(p) + item->index;
    if (offset < l->start && offset >= l->kept && !(ok && e->state == LEDGER_SETTLED)) {
        e->state = LEDGER_SETTLED; /* the log was trimmed meanwhile */
        l->expired++;
        ok = true;
        told = false;
    }
    if (!told) /* of a change taken alone, an older record may land behind it */
        page_dirty(l, p, item->index);
    if (ok)
        item_settle(l, item, e);
    else
        item_undo(l, item, e);
}

static void item_done(struct ledger *l, struct ledger_change *c, struct change_item *item, bool ok)
{
    struct ledger_page *p = item->page;
    struct session *s = item->session;
    p->in_doubt_n--;
    if (!item->is_void) {
        l->in_doubt_n--;
        l->acquired_n--;
        p->acquired_n--;
        item_decided(item);
        item_apply(l, c, item, ok);
    }
    if (s != NULL) {
        s->doubt_n--;
        session_refresh(l, s);
    }
    if (p->gone)
        page_release(l, p);
    else
        page_squeeze(l, p);
}

static void gone_told(struct ledger *l, struct ledger_change *c)
{
    list_for_safe (it, &c->gone) {
        struct ledger_page *p = container_of(it, struct ledger_page, gone_link);
        list_remove(&p->gone_link);
        list_push(&l->told, &p->gone_link);
        p->told = true;
        page_release(l, p);
    }
}

/* What it told is told again by the next change. */
static void retell(struct ledger *l, struct ledger_change *c)
{
    for (uint32_t i = 0; i < c->pages_n; i++) {
        struct ledger_page *p = c->pages[i].page;
        if (p->gone)
            continue;
        struct page_slots *s = page_slots(l, p);
        for (unsigned w = 0; w < PAGE_WORDS; w++)
            s->dirty.w[w] |= c->pages[i].bits.w[w] & (s->held.w[w] | s->settled.w[w]);
        if (!list_linked(&p->dirty_link))
            list_push(&l->dirty, &p->dirty_link);
    }
    if (!c->head)
        return;
    if (c->epoch != l->epoch) { /* a rewind has come between: what its head tells is all there is */
        gone_told(l, c);
        return;
    }
    for (uint32_t i = 0; i < c->runs.n; i++)
        runs_add(&l->runs, c->runs.r[i].from, c->runs.r[i].to);
    list_move(&l->gone, &c->gone);
    l->head_dirty = true;
}

static void items_done(struct ledger *l, struct ledger_change *c, bool ok)
{
    for (uint32_t i = 0; i < c->items_n; i++) {
        if (c->items[i].page != NULL)
            item_done(l, c, &c->items[i], ok);
        else
            session_state_done(l, &c->items[i], ok);
    }
}

static void change_end(struct ledger *l, struct ledger_change *c, bool ok)
{
    items_done(l, c, ok);
    if (!ok && c->taken)
        retell(l, c);
    if (c->sessions_n != 0)
        sessions_told(l, c, ok);
    if (c->rewind)
        rewind_done(l, c, ok);
    for (uint32_t i = 0; i < c->pages_n; i++)
        c->pages[i].page->writes--;
    if (ok)
        gone_told(l, c);
    for (uint32_t i = 0; i < c->pages_n; i++)
        page_release(l, c->pages[i].page);
}

void ledger_done(struct ledger_change *c, enum err err, struct ledger_time now)
{
    (void)now;
    weir_assert(c->taken);
    if (c->ledger != NULL)
        change_end(c->ledger, c, err == ERR_OK);
    change_free(c);
}

void ledger_change_cancel(struct ledger_change *c)
{
    weir_assert(!c->taken);
    if (c->ledger != NULL)
        change_end(c->ledger, c, false);
    change_free(c);
}
