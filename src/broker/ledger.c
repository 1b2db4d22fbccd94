/* A ledger's life, and what it has looked at: add, skip, trim; floor and next. */
#include "broker/ledger_internal.h"

#include "base/mem.h"

#include <string.h>

#define STAMP_BITS 40 /* above it the incarnation: 24 bits */

/* splitmix64's finaliser: no two values share a result. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* The same in every process, since tokens outlive it: not hash_bytes. */
static uint64_t tag_of(const struct uuid *id)
{
    return mix(be64_get(id->b) ^ mix(be64_get(id->b + 8)));
}

uint64_t token_word(const struct ledger *l, uint64_t stamp)
{
    return mix(stamp ^ l->tag);
}

struct ledger_ref ledger_ref(const struct ledger *l, const struct lock_token *token)
{
    struct ledger_ref ref = {lock_token_offset(token), LEDGER_BY_STAMP, be64_get(token->b + 8)};
    if (lock_token_partition(token) != l->conf.partition)
        ref.offset = -1;
    return ref;
}

int32_t lock_token_partition(const struct lock_token *token)
{
    return be16_get(token->b);
}

int64_t lock_token_offset(const struct lock_token *token)
{
    return (int64_t)(be64_get(token->b) & (LEDGER_OFFSET_MAX - 1));
}

/* ---- life ---- */

struct ledger *ledger_make(const struct ledger_conf *conf, int64_t start)
{
    weir_assert(conf->partition >= 0 && conf->partition < LEDGER_PARTITIONS_MAX);
    weir_assert(start >= 0 && start < LEDGER_OFFSET_MAX);
    struct ledger *l = mem_zalloc(1, sizeof(*l));
    l->magic = LEDGER_MAGIC;
    l->head.ledger = l;
    l->head.kind = ENTITY_HEAD;
    l->tag = tag_of(&conf->subscription);
#ifdef FAULT_stamps_again
    l->stamp = (uint64_t)1 << STAMP_BITS;
#else
    l->stamp = (uint64_t)conf->incarnation << STAMP_BITS;
#endif
    l->epoch = 1;
    l->start = l->next = start;
    l->expired_below = 0;
    l->head_dirty = true;
    l->bytes = sizeof(*l);
    heap_init(&l->ready);
    heap_init(&l->due);
    list_init(&l->dirty);
    list_init(&l->gone);
    list_init(&l->told);
    list_init(&l->changes);
    map_init(&l->owners.by_id);
    if (conf->sessions)
        l->sessions = sessions_make();
    ledger_set_conf(l, conf);
    return l;
}

void ledger_set_conf(struct ledger *l, const struct ledger_conf *conf)
{
    weir_check(l, LEDGER_MAGIC);
    weir_assert(conf->sessions == (l->sessions != NULL));
    l->conf = *conf;
    if (l->conf.window_max == 0 || l->conf.window_max > LEDGER_WINDOW_MAX)
        l->conf.window_max = LEDGER_WINDOW_MAX;
}

const struct ledger_conf *ledger_conf(const struct ledger *l)
{
    return &l->conf;
}

static void changes_orphan(struct ledger *l)
{
    struct list *it;
    while ((it = list_pop(&l->changes)) != NULL) {
        struct ledger_change *c = container_of(it, struct ledger_change, link);
        list_move(&l->gone, &c->gone);
        for (uint32_t i = 0; i < c->staged_n; i++)
            page_free(l, c->staged[i]);
        c->staged_n = 0;
        c->ledger = NULL;
        if (!c->taken)
            change_free(c);
    }
}

static void pages_forget(struct ledger *l, struct list *pages)
{
    list_for (it, pages) {
        struct ledger_page *p = container_of(it, struct ledger_page, gone_link);
        l->conf.forget(l->conf.user, &p->entity.log);
    }
}

void ledger_forget(struct ledger *l)
{
    weir_check(l, LEDGER_MAGIC);
    if (l->conf.forget == NULL)
        return;
    l->conf.forget(l->conf.user, &l->head.log);
    for (uint32_t i = 0; i < l->dir.n; i++)
        l->conf.forget(l->conf.user, &page_at(l, i)->entity.log);
    pages_forget(l, &l->gone);
    pages_forget(l, &l->told);
    list_for (it, &l->changes) {
        struct ledger_change *c = container_of(it, struct ledger_change, link);
        pages_forget(l, &c->gone);
        for (uint32_t i = 0; i < c->staged_n; i++)
            l->conf.forget(l->conf.user, &c->staged[i]->entity.log);
    }
    if (l->sessions != NULL)
        sessions_forget(l);
}

void ledger_free(struct ledger *l)
{
    if (l == NULL)
        return;
    weir_check(l, LEDGER_MAGIC);
    l->conf.forget = NULL;
    changes_orphan(l);
    while (l->dir.n != 0)
        page_gone(l, page_at(l, 0));
    list_move(&l->gone, &l->told);
    struct list *it;
    while ((it = l->gone.next) != &l->gone)
        page_free(l, container_of(it, struct ledger_page, gone_link));
    owners_free(l);
    sessions_free(l);
    heap_free(&l->ready);
    heap_free(&l->due);
    runs_free(&l->runs);
    runs_free(&l->beyond);
    l->magic = 0;
    mem_free(l);
}

/* ---- floor and next ---- */

int64_t ledger_next(const struct ledger *l)
{
    return l->next;
}

int64_t ledger_first(const struct ledger *l, int64_t from)
{
    for (uint32_t i = page_place(l, page_of(from)); i < l->dir.n; i++) {
        struct ledger_page *p = page_at(l, i);
        if (p->open == 0)
            continue;
#ifdef FAULT_floor_passes
        if (p->acquired_n == 0)
            continue;
#endif
        /* A packed page is unpacked: what it holds stays the same. */
        unsigned k = page_next_open((struct ledger *)(uintptr_t)l, p,
                                    page_start(p) < from ? index_of(from) : 0);
        if (k == LEDGER_PAGE)
            continue;
        int64_t first = page_start(p) + k;
        return first < l->next ? first : l->next;
    }
    return l->next;
}

int64_t ledger_floor(const struct ledger *l)
{
    return ledger_first(l, 0);
}

void ledger_set_kept(struct ledger *l, int64_t below)
{
    weir_check(l, LEDGER_MAGIC);
    l->kept = below;
}

int64_t ledger_kept(const struct ledger *l)
{
    return l->kept;
}

static uint64_t unsettled(const struct ledger *l)
{
    return (uint64_t)l->ready_n + l->delayed_n + l->acquired_n + l->deferred_n + l->dead_n;
}

uint32_t ledger_room(const struct ledger *l)
{
    uint64_t n = unsettled(l);
    return n < l->conf.window_max ? (uint32_t)(l->conf.window_max - n) : 0;
}

/* next goes up to `to`. What it passes may be known already: from before a seek, or a crash. */
static void next_move(struct ledger *l, int64_t to)
{
    int64_t from = l->next;
    l->next = to;
    if (page_of(from) == page_of(to))
        return;
    struct ledger_page *p = page_find(l, page_of(from));
    if (p != NULL)
        page_check(l, p);
    while (l->beyond.n != 0 && page_of(l->next) >= l->beyond.r[0].to) {
        l->beyond.n--;
        memmove(l->beyond.r, l->beyond.r + 1, l->beyond.n * sizeof(l->beyond.r[0]));
    }
}

/* ---- skip ---- */

/* Indexes [from, to) of a page that nothing is known of: settled. */
static void page_skip(struct ledger *l, struct ledger_page *p, unsigned from, unsigned to)
{
    struct page_slots *s = page_slots(l, p);
    for (unsigned i = from; i < to; i++) {
        if (bit_get(&s->held, i) || bit_get(&s->settled, i))
            continue;
        bit_set(&s->settled, i);
        page_dirty(l, p, i);
        l->skipped++;
    }
}

/* Whole pages, or the parts at both ends of what is skipped, none of which is in the directory. */
static void skip_absent(struct ledger *l, int64_t from, int64_t to)
{
    int64_t whole = page_of(from + LEDGER_PAGE - 1), end = page_of(to);
    if (index_of(from) != 0) {
        int64_t stop =
            to < (page_of(from) + 1) * LEDGER_PAGE ? to : (page_of(from) + 1) * LEDGER_PAGE;
        page_skip(l, page_get(l, page_of(from)), index_of(from),
                  (unsigned)(stop - page_of(from) * LEDGER_PAGE));
        from = stop;
    }
    if (whole < end) {
        runs_add(&l->runs, whole, end);
        l->head_dirty = true;
        l->skipped += (uint64_t)(end - whole) * LEDGER_PAGE;
        from = end * LEDGER_PAGE;
    }
    if (from < to && !runs_cover(&l->beyond, page_of(from)))
        page_skip(l, page_get(l, page_of(from)), index_of(from), index_of(to - 1) + 1);
}

static void skip(struct ledger *l, int64_t to)
{
    if (unsettled(l) == 0 && l->dir.n == 0 && l->beyond.n == 0) { /* the floor goes with it */
        l->skipped += (uint64_t)(to - l->next);
        l->next = to;
        l->head_dirty = true;
        return;
    }
    int64_t at = l->next;
    while (at < to) {
        uint32_t place = page_place(l, page_of(at));
        struct ledger_page *p = place < l->dir.n ? page_at(l, place) : NULL;
        int64_t stop = to;
        if (p != NULL && p->no == page_of(at)) {
            stop = page_start(p) + LEDGER_PAGE < to ? page_start(p) + LEDGER_PAGE : to;
            page_skip(l, p, index_of(at), (unsigned)(stop - page_start(p)));
        } else {
            if (p != NULL && page_start(p) < to)
                stop = page_start(p);
            skip_absent(l, at, stop);
        }
        next_move(l, stop);
        at = stop;
    }
}

enum err ledger_skip(struct ledger *l, int64_t to)
{
    weir_check(l, LEDGER_MAGIC);
    if (l->rewinding != NULL)
        return ERR_BUSY;
    if (to > LEDGER_OFFSET_MAX)
        return ERR_OFFSET_RANGE;
    if (to > l->next)
        skip(l, to);
    return ERR_OK;
}

/* ---- add ---- */

/* A page that next has left grows no more. */
static void page_closed(struct ledger *l, struct ledger_page *p)
{
    if (!p->gone)
        page_squeeze(l, p);
}

static void add(struct ledger *l, struct ledger_page *p, int64_t offset, uint32_t who)
{
    unsigned index = index_of(offset);
    struct ledger_entry *e = page_slot_add(l, p, index);
    e->state = LEDGER_AVAILABLE;
    e->who = who & LEDGER_OWNERS_MAX;
    p->open++;
    if (offset < l->expired_below) {
        e->state = LEDGER_DEAD;
        e->expired = 1;
    }
    page_in(l, p, index, e);
    page_dirty(l, p, index);
}

static enum err add_check(const struct ledger *l, int64_t offset, uint32_t n, struct str session)
{
    if (l->rewinding != NULL || ledger_room(l) < n)
        return ERR_BUSY;
    if (offset < l->next || offset > LEDGER_OFFSET_MAX - n)
        return ERR_OFFSET_RANGE;
    return session.len <= LEDGER_SESSION_ID_MAX ? ERR_OK : ERR_REQUEST_INVALID;
}

static enum err add_one(struct ledger *l, int64_t offset, struct str id)
{
    if (offset > l->next)
        skip(l, offset);
    if (l->beyond.n != 0 && runs_cover(&l->beyond, page_of(offset))) {
        next_move(l, offset + 1);
        return ERR_OK;
    }
    struct ledger_page *p = page_get(l, page_of(offset));
    if (!page_known(l, p, index_of(offset))) {
        struct session *s = NULL;
        if (l->sessions != NULL && (s = session_get(l, id)) == NULL)
            return ERR_BUSY;
        if (s != NULL && !session_message_fits(s, offset))
            return ERR_BUSY;
        add(l, p, offset, s != NULL ? s->index : 0);
        if (s != NULL) {
            session_message_add(l, s, offset);
            session_refresh(l, s);
        }
    }
    next_move(l, offset + 1);
    if (index_of(offset) == LEDGER_PAGE - 1)
        page_closed(l, p);
    return ERR_OK;
}

enum err ledger_add(struct ledger *l, int64_t offset, struct str session)
{
    weir_check(l, LEDGER_MAGIC);
    enum err err = add_check(l, offset, 1, session);
    return err == ERR_OK ? add_one(l, offset, session) : err;
}

enum err ledger_add_range(struct ledger *l, int64_t offset, uint32_t n)
{
    weir_check(l, LEDGER_MAGIC);
    weir_assert(l->sessions == NULL);
    struct str none = {NULL, 0};
    enum err err = add_check(l, offset, n, none);
    for (uint32_t i = 0; i < n && err == ERR_OK; i++)
        err = add_one(l, offset + i, none);
    return err;
}

/* ---- trim ---- */

/* One whose record is gone. If it is being settled, that goes on, whatever comes of it. */
static void trim_entry(struct ledger *l, struct ledger_page *p, unsigned index)
{
    struct ledger_entry *e = page_entry(l, p, index);
    if (e->in_doubt)
        return;
    page_out(l, p, index, e);
    struct session *s = l->sessions != NULL ? l->sessions->all[e->who] : NULL;
    if (s != NULL)
        session_message_remove(l, s, page_start(p) + index);
    else if (e->state == LEDGER_ACQUIRED)
        owner_unref(l, (uint32_t)e->who);
    page_dirty(l, p, index);
    page_settle(l, p, index);
    if (s != NULL)
        session_refresh(l, s);
}

uint64_t ledger_trim(struct ledger *l, int64_t log_start, uint64_t *unseen)
{
    weir_check(l, LEDGER_MAGIC);
    *unseen = 0;
    if (log_start <= l->start)
        return 0;
    if (l->rewinding != NULL) {
        if (log_start > l->trim_later)
            l->trim_later = log_start;
        return 0;
    }
    l->start = log_start;
    uint64_t before = unsettled(l);
    for (uint32_t i = 0; i < l->dir.n && page_start(page_at(l, i)) < log_start;) {
        struct ledger_page *p = page_at(l, i);
        int64_t n = log_start - page_start(p), kept = l->kept - page_start(p);
        unsigned from = kept < 0 ? 0 : kept < LEDGER_PAGE ? (unsigned)kept : LEDGER_PAGE;
        for (unsigned k = page_next_open(l, p, from); k < n && k < LEDGER_PAGE;
             k = p->gone ? LEDGER_PAGE : page_next_open(l, p, k + 1))
            trim_entry(l, p, k);
        i += !p->gone;
    }
    if (log_start > l->next) {
        *unseen = (uint64_t)(log_start - l->next);
        skip(l, log_start);
        l->skipped -= *unseen;
    }
    uint64_t lost = before - unsettled(l);
    l->expired += lost;
    return lost;
}
