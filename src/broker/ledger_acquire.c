/* Acquiring messages of a ledger, and giving them back without settling. */
#include "broker/ledger_internal.h"

#define FIRST_MASK (((uint64_t)1 << 42) - 1)

/* ---- one entry ---- */

/* Its fields; the caller counts it out before and in after. */
void entry_acquire(struct ledger *l, struct ledger_entry *e, uint32_t who, uint32_t lock_ms,
                   struct ledger_time now)
{
    if (lock_ms == 0)
        lock_ms = l->conf.lock_ms;
    e->state = LEDGER_ACQUIRED;
    e->who = who & LEDGER_OWNERS_MAX;
    e->stamp = ++l->stamp;
    e->endless = lock_ms == 0 || l->sessions != NULL;
    e->due = due_pack(e->endless ? now.mono_ms : now.mono_ms + lock_ms) & DUE_MASK;
    if (e->first == 0)
        e->first = (uint64_t)now.wall_ms & FIRST_MASK;
}

static void entry_count(struct ledger *l, struct ledger_entry *e)
{
    if (e->deliveries < LEDGER_DELIVERIES_MAX)
        e->deliveries++;
    l->delivered++;
}

static int64_t entry_until(const struct ledger *l, const struct ledger_entry *e,
                           struct ledger_time now)
{
    bool own = l->sessions == NULL || e->burying;
    int64_t due = own ? due_of(e) : l->sessions->all[e->who]->due;
    if (own ? e->endless : due == INT64_MAX)
        return INT64_MAX;
    return now.wall_ms + (due - now.mono_ms);
}

void taken_fill(const struct ledger *l, int64_t offset, const struct ledger_entry *e,
                struct ledger_time now, struct ledger_taken *out)
{
    out->offset = offset;
    be64_put(out->token.b, (uint64_t)l->conf.partition << 48 | (uint64_t)offset);
    be64_put(out->token.b + 8, token_word(l, e->stamp));
    out->deliveries = (uint32_t)e->deliveries;
    out->expired = e->expired;
    out->first_ms = (int64_t)e->first;
    out->locked_until_ms = entry_until(l, e, now);
}

void entry_released(const struct ledger *l, int64_t offset, struct ledger_entry *e, uint64_t due,
                    bool uncounted)
{
    bool bury = e->burying;
    if (uncounted && e->deliveries > 0)
        e->deliveries--;
    if (e->deliveries == 0)
        e->first = 0;
    if (offset < l->expired_below)
        e->expired = 1;
    if (bury || e->expired || (l->conf.attempts != 0 && e->deliveries >= l->conf.attempts)) {
        e->state = LEDGER_DEAD;
        due = 0;
    } else {
        e->state = LEDGER_AVAILABLE;
    }
    e->due = due & DUE_MASK;
    e->stamp = 0;
    e->endless = e->burying = 0;
    if (l->sessions == NULL)
        e->who = 0;
}

void entry_release(struct ledger *l, struct ledger_page *p, unsigned index, struct ledger_entry *e,
                   bool uncounted)
{
    uint32_t who = (uint32_t)e->who;
    page_out(l, p, index, e);
    entry_released(l, page_start(p) + index, e, 0, uncounted);
    page_in(l, p, index, e);
    page_dirty(l, p, index);
    if (l->sessions == NULL)
        owner_unref(l, who);
}

uint64_t entry_owner(const struct ledger *l, const struct ledger_entry *e)
{
    return l->sessions != NULL ? l->sessions->all[e->who]->owner : l->owners.all[e->who]->id;
}

struct ledger_entry *ref_find(struct ledger *l, struct ledger_ref ref, struct ledger_page **page)
{
    if (ref.offset < 0 || ref.offset >= LEDGER_OFFSET_MAX)
        return NULL;
    struct ledger_page *p = *page = page_find(l, page_of(ref.offset));
    if (p == NULL || p->acquired_n == 0)
        return NULL;
    struct ledger_entry *e = page_entry(l, p, index_of(ref.offset));
    if (e == NULL || e->in_doubt || e->state != LEDGER_ACQUIRED)
        return NULL;
#ifndef FAULT_token_former
    if (ref.by == LEDGER_BY_STAMP && token_word(l, e->stamp) != ref.value)
        return NULL;
#endif
    if (ref.by == LEDGER_BY_OWNER && (e->burying || entry_owner(l, e) != ref.value))
        return NULL;
    return e;
}

/* ---- acquire ---- */

uint32_t ledger_ready(const struct ledger *l)
{
    return l->ready_n;
}

size_t in_flight_room(const struct ledger *l, size_t n)
{
    if (l->rewinding != NULL)
        return 0;
    if (l->conf.in_flight_max == 0)
        return n;
    size_t room = l->acquired_n < l->conf.in_flight_max ? l->conf.in_flight_max - l->acquired_n : 0;
    return n < room ? n : room;
}

void entry_give(struct ledger *l, struct ledger_page *p, unsigned index, uint32_t who,
                uint32_t lock_ms, struct ledger_time now, struct ledger_taken *out)
{
    struct ledger_entry *e = page_entry(l, p, index);
    page_out(l, p, index, e);
    entry_acquire(l, e, who, lock_ms, now);
    entry_count(l, e);
    page_in(l, p, index, e);
    page_dirty(l, p, index);
    taken_fill(l, page_start(p) + index, e, now, out);
}

/* Ready ones of one page. */
static size_t acquire_page(struct ledger *l, struct ledger_page *p, uint32_t who, uint32_t lock_ms,
                           struct ledger_time now, struct ledger_taken *out, size_t n)
{
    size_t done = 0;
    struct page_slots *s = page_slots(l, p);
    for (unsigned w = 0; w < PAGE_WORDS && done < n; w++) {
        while (s->ready.w[w] != 0 && done < n) {
            unsigned index = w * 64 + (unsigned)__builtin_ctzll(s->ready.w[w]);
            entry_give(l, p, index, who, lock_ms, now, &out[done++]);
        }
    }
    return done;
}

size_t ledger_acquire(struct ledger *l, uint64_t owner, uint32_t lock_ms, struct ledger_time now,
                      struct ledger_taken *out, size_t n)
{
    weir_check(l, LEDGER_MAGIC);
    weir_assert(l->sessions == NULL);
    size_t done = 0;
    uint32_t who;
    n = in_flight_room(l, n);
    if (n > l->ready_n)
        n = l->ready_n;
    if (l->conf.ordered)
        n = order_room(l, owner, n);
    if (n == 0 || owner_ref(l, owner, (uint32_t)n, &who) != ERR_OK)
        return 0;
    while (done < n) {
        struct heap_node *node = heap_min(&l->ready);
        struct ledger_page *p = container_of(node, struct ledger_page, ready_node);
        done += acquire_page(l, p, who, lock_ms, now, out + done, n - done);
    }
    return done;
}

/* An unsettled entry that can be touched, and that a rewind does not hold up; NULL. */
static struct ledger_entry *open_entry(struct ledger *l, int64_t offset, struct ledger_page **page)
{
    if (offset < 0 || offset >= LEDGER_OFFSET_MAX || l->rewinding != NULL)
        return NULL;
    struct ledger_page *p = *page = page_find(l, page_of(offset));
    struct ledger_entry *e = p != NULL ? page_entry(l, p, index_of(offset)) : NULL;
    return e != NULL && !e->in_doubt ? e : NULL;
}

/* Who is noted in the entry: the owner, or with sessions, the session, which owner must hold. */
static enum err holder_ref(struct ledger *l, const struct ledger_entry *e, uint64_t owner,
                           uint32_t *who)
{
    if (l->sessions == NULL)
        return owner_ref(l, owner, 1, who);
    const struct session *s = l->sessions->all[e->who];
    *who = (uint32_t)e->who;
    return s->locked && s->owner == owner ? ERR_OK : ERR_NOT_FOUND;
}

enum err ledger_acquire_deferred(struct ledger *l, uint64_t owner, int64_t offset, uint32_t lock_ms,
                                 struct ledger_time now, struct ledger_taken *out)
{
    weir_check(l, LEDGER_MAGIC);
    struct ledger_page *p;
    struct ledger_entry *e = open_entry(l, offset, &p);
    uint32_t who;
    if (e == NULL || e->state != LEDGER_DEFERRED)
        return ERR_NOT_FOUND;
    if (in_flight_room(l, 1) == 0)
        return ERR_BUSY;
    enum err err = holder_ref(l, e, owner, &who);
    if (err == ERR_OK)
        entry_give(l, p, index_of(offset), who, lock_ms, now, out);
    return err;
}

/* ---- the dead ---- */

/* With sessions, whoever buries needs no session: the lock is the message's own. */
static void bury_one(struct ledger *l, struct ledger_page *p, unsigned index, uint32_t who,
                     uint32_t lock_ms, struct ledger_time now, struct ledger_taken *out)
{
    struct ledger_entry *e = page_entry(l, p, index);
    page_out(l, p, index, e);
    entry_acquire(l, e, l->sessions != NULL ? (uint32_t)e->who : who, lock_ms, now);
    e->burying = 1;
    if (l->sessions != NULL && (lock_ms != 0 || l->conf.lock_ms != 0)) {
        e->endless = 0;
        e->due = due_pack(now.mono_ms + (lock_ms != 0 ? lock_ms : l->conf.lock_ms)) & DUE_MASK;
    }
    page_in(l, p, index, e);
    page_dirty(l, p, index);
    taken_fill(l, page_start(p) + index, e, now, out);
}

static size_t bury_page(struct ledger *l, struct ledger_page *p, unsigned from, uint64_t owner,
                        uint32_t lock_ms, struct ledger_time now, struct ledger_taken *out,
                        size_t n)
{
    size_t done = 0;
    for (unsigned i = from; done < n && p->dead_n != 0 && i < LEDGER_PAGE; i++) {
        const struct ledger_entry *e = page_entry(l, p, i);
        uint32_t who = 0;
        if (e == NULL || e->state != LEDGER_DEAD || e->in_doubt)
            continue;
        if (l->sessions == NULL && owner_ref(l, owner, 1, &who) != ERR_OK)
            break;
        bury_one(l, p, i, who, lock_ms, now, &out[done++]);
    }
    return done;
}

/* Places before dead_from have none; so a ledger without dead ones costs nothing to look at. */
size_t ledger_acquire_dead(struct ledger *l, uint64_t owner, uint32_t lock_ms,
                           struct ledger_time now, int64_t *at, struct ledger_taken *out, size_t n)
{
    weir_check(l, LEDGER_MAGIC);
    size_t done = 0;
    uint32_t place = page_place(l, page_of(*at));
    unsigned pages = 0;
    *at = INT64_MAX;
    if (l->dead_n == 0 || l->rewinding != NULL)
        return 0;
    if (place < l->dead_from)
        place = l->dead_from;
    for (; place < l->dir.n; place++) {
        struct ledger_page *p = page_at(l, place);
        if (p->dead_n == 0) {
            l->dead_from += place == l->dead_from;
            continue;
        }
        if (pages++ == LEDGER_STEP_PAGES || done == n) {
            *at = page_start(p);
            break;
        }
        done += bury_page(l, p, 0, owner, lock_ms, now, out + done, n - done);
    }
    return done;
}

/* ---- claim ---- */

static int64_t entry_idle(const struct ledger *l, const struct ledger_entry *e,
                          struct ledger_time now)
{
    int64_t since = e->endless ? due_of(e) : due_of(e) - l->conf.lock_ms;
    return now.mono_ms > since ? now.mono_ms - since : 0;
}

static enum err claim_check(struct ledger *l, const struct ledger_claim *claim,
                            struct ledger_time now, struct ledger_page **page,
                            struct ledger_entry **entry)
{
    struct ledger_entry *e = *entry = open_entry(l, claim->offset, page);
    if (l->rewinding != NULL)
        return ERR_BUSY;
    if (e == NULL) {
        struct ledger_page *p = page_find(l, page_of(claim->offset));
        bool doubt = p != NULL && page_entry(l, p, index_of(claim->offset)) != NULL;
        return doubt ? ERR_BUSY : ERR_NOT_FOUND;
    }
    if (e->state != LEDGER_ACQUIRED)
        return claim->force && e->state != LEDGER_DEAD ? ERR_OK : ERR_NOT_FOUND;
    if (e->burying || entry_idle(l, e, now) < claim->idle_min_ms)
        return ERR_BUSY;
    return ERR_OK;
}

enum err ledger_claim(struct ledger *l, const struct ledger_claim *claim, struct ledger_time now,
                      struct ledger_taken *out)
{
    weir_check(l, LEDGER_MAGIC);
    struct ledger_page *p;
    struct ledger_entry *e;
    uint32_t who;
    weir_assert(l->sessions == NULL);
    if (claim->offset < 0 || claim->offset >= LEDGER_OFFSET_MAX)
        return ERR_NOT_FOUND;
    enum err err = claim_check(l, claim, now, &p, &e);
    if (err == ERR_OK)
        err = owner_ref(l, claim->owner, 1, &who);
    if (err != ERR_OK)
        return err;
    if (e->state == LEDGER_ACQUIRED)
        owner_unref(l, (uint32_t)e->who);
    page_out(l, p, index_of(claim->offset), e);
    entry_acquire(l, e, who, claim->lock_ms, now);
    if (e->endless)
        e->due = due_pack(now.mono_ms - claim->idle_ms) & DUE_MASK;
    if (claim->deliveries == -1)
        entry_count(l, e);
    else if (claim->deliveries >= 0)
        e->deliveries = (uint64_t)claim->deliveries & LEDGER_DELIVERIES_MAX;
    page_in(l, p, index_of(claim->offset), e);
    page_dirty(l, p, index_of(claim->offset));
    taken_fill(l, claim->offset, e, now, out);
    return ERR_OK;
}

/* ---- back ---- */

enum err ledger_unacquire(struct ledger *l, struct ledger_ref ref, struct ledger_time now)
{
    weir_check(l, LEDGER_MAGIC);
    (void)now;
    struct ledger_page *p;
    struct ledger_entry *e = ref_find(l, ref, &p);
    if (e == NULL)
        return ERR_LOCK_LOST;
    if (l->rewinding != NULL)
        return ERR_BUSY;
    struct session *s = l->sessions != NULL ? l->sessions->all[e->who] : NULL;
    entry_release(l, p, index_of(ref.offset), e, !e->burying);
    if (s != NULL)
        session_refresh(l, s);
    return ERR_OK;
}

enum err ledger_renew(struct ledger *l, struct ledger_ref ref, uint32_t lock_ms,
                      struct ledger_time now, int64_t *locked_until_ms)
{
    weir_check(l, LEDGER_MAGIC);
    struct ledger_page *p;
    struct ledger_entry *e = ref_find(l, ref, &p);
    if (e == NULL || (l->sessions != NULL && !e->burying))
        return ERR_LOCK_LOST;
    if (l->rewinding != NULL)
        return ERR_BUSY;
    if (lock_ms == 0)
        lock_ms = l->conf.lock_ms;
    e->endless = lock_ms == 0;
    e->due = due_pack(e->endless ? now.mono_ms : now.mono_ms + lock_ms) & DUE_MASK;
    if (!e->endless)
        page_due(l, p, due_of(e));
    page_dirty(l, p, index_of(ref.offset));
    *locked_until_ms = e->endless ? INT64_MAX : now.wall_ms + lock_ms;
    return ERR_OK;
}

static void release_page(struct ledger *l, struct ledger_page *p, uint64_t owner, bool uncounted)
{
    for (unsigned i = page_next_open(l, p, 0); i < LEDGER_PAGE && p->acquired_n != 0;
         i = page_next_open(l, p, i + 1)) {
        struct ledger_entry *e = page_entry(l, p, i);
        if (e->state == LEDGER_ACQUIRED && !e->in_doubt && l->owners.all[e->who]->id == owner)
            entry_release(l, p, i, e, uncounted);
    }
}

void ledger_release_owner(struct ledger *l, uint64_t owner, bool uncounted, struct ledger_time now,
                          int64_t *at)
{
    weir_check(l, LEDGER_MAGIC);
    if (l->sessions != NULL) {
        sessions_release_owner(l, owner, now);
        *at = INT64_MAX;
        return;
    }
    struct ledger_owner *o = owner_find(l, owner);
    uint32_t place = page_place(l, page_of(*at));
    unsigned pages = 0;
    for (; o != NULL && o->held != 0 && place < l->dir.n; place++) {
        struct ledger_page *p = page_at(l, place);
        if (p->acquired_n == 0)
            continue;
        if (pages++ == LEDGER_STEP_PAGES) {
            *at = page_start(p);
            return;
        }
        release_page(l, p, owner, uncounted);
        o = owner_find(l, owner);
    }
    if (o != NULL && o->held != 0)
        o->gone = true; /* what is in doubt comes back or not */
    *at = INT64_MAX;
}
