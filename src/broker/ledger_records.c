/* The records of a ledger, in a state log.
 *
 *     key    kind u8, subscription 16, partition u32, then for a page its number (uvarlong), for a
 *            session its id, for a copy of a message its offset (uvarlong)
 *     value  version u8, then
 *
 *     'H' head      epoch, floor uvarlong; runs of pages above the floor of which all is settled:
 *                   count, then gap (from the end of the last, at first from the floor's page) and
 *                   length
 *     'P' page      epoch, wall clock time uvarlong; to the end, runs of offsets that are alike:
 *                   gap (from the end of the last, at first from the page's start), length - 1, tag
 *                   u8, fields
 *     'L' session   locked by owner, what is left (varlong ms + 1; 0: no end) at a wall clock time
 *     'T' session   its state, behind the version
 *     'C' copy      not a ledger's but its owner's (stragglers.h)
 *
 *     tag    bits 0-2 state, 3 burying, 4 endless, 5 expired, 6 has due, 7 has first
 *     fields of what is not settled: deliveries uvarint; first: varlong, time - first; due:
 *            varlong, due - now; if acquired: owner uvarlong (not with sessions), stamp varlong,
 *            less the stamp that follows the last run's; with sessions: 0 and the id's length and
 *            bytes, or the number of one that was in this value already, from 1
 *
 * A change has what changed, a snapshot all that is known of the entity. Both say how things are,
 * so the fold of either is the same: each run is set, but what is settled stays so.
 *
 * Fold: entries go to their slots; heads raise floor and epoch. What is alive is known at the end
 * only: pages of older epochs, below the floor or complete are dropped then, entries counted, next
 * found: the first offset that nothing is known of. */
#include "broker/ledger_internal.h"

#include "base/mem.h"

#include <string.h>

#define KIND_HEAD 'H'
#define KIND_PAGE 'P'
#define KIND_LOCK 'L'
#define KIND_STATE 'T'
#define KIND_COPY 'C'

#define FOLD_RUNS 1024
#define ELAPSED_MAX_MS ((int64_t)1 << 38) /* 8 years */

enum tag {
    TAG_STATE = 7,
    TAG_BURYING = 8,
    TAG_ENDLESS = 16,
    TAG_EXPIRED = 32,
    TAG_DUE = 64,
    TAG_FIRST = 128,
};

/* ---- keys ---- */

static void key_write(const struct ledger_conf *conf, uint8_t kind, struct wr *w)
{
    wr_u8(w, kind);
    wr_bytes(w, conf->subscription.b, 16);
    wr_u32(w, (uint32_t)conf->partition);
}

void head_key(const struct ledger *l, struct wr *w)
{
    key_write(&l->conf, KIND_HEAD, w);
}

void page_key(const struct ledger *l, const struct ledger_page *p, struct wr *w)
{
    key_write(&l->conf, KIND_PAGE, w);
    wr_uvarlong(w, (uint64_t)p->no);
}

void session_key(const struct ledger *l, const struct session *s, bool state, struct wr *w)
{
    key_write(&l->conf, state ? KIND_STATE : KIND_LOCK, w);
    wr_bytes(w, s->id.at, s->id.len);
}

static size_t key_end(struct wr *w, uint8_t out[32])
{
    size_t n = w->len;
    weir_assert(n <= 32);
    memcpy(out, w->buf->data, n);
    wr_free(w);
    return n;
}

size_t ledger_key_head(const struct ledger_conf *conf, uint8_t out[32])
{
    struct wr w;
    wr_init(&w, 32);
    key_write(conf, KIND_HEAD, &w);
    return key_end(&w, out);
}

size_t ledger_key_copy(const struct ledger_conf *conf, int64_t offset, uint8_t out[32])
{
    struct wr w;
    wr_init(&w, 32);
    key_write(conf, KIND_COPY, &w);
    wr_uvarlong(&w, (uint64_t)offset);
    return key_end(&w, out);
}

bool ledger_key_read(struct str key, struct ledger_key *out)
{
    struct rd r;
    rd_init(&r, key.at, key.len);
    *out = (struct ledger_key){.kind = rd_u8(&r)};
    const uint8_t *id = rd_bytes(&r, 16);
    if (id == NULL)
        return false;
    memcpy(out->subscription.b, id, 16);
    out->partition = rd_i32(&r);
    if (out->kind == KIND_PAGE) {
        uint64_t no = rd_uvarlong(&r);
        out->page = (int64_t)no;
        if (no > (uint64_t)page_of(LEDGER_OFFSET_MAX - 1))
            return false;
    } else if (out->kind == KIND_COPY) {
        uint64_t offset = rd_uvarlong(&r);
        out->offset = (int64_t)offset;
        if (offset >= (uint64_t)LEDGER_OFFSET_MAX)
            return false;
    } else if (out->kind == KIND_LOCK || out->kind == KIND_STATE) {
        out->session.len = rd_left(&r);
        out->session.at = (const char *)rd_bytes(&r, out->session.len);
        if (out->session.len > LEDGER_SESSION_ID_MAX)
            return false;
    } else if (out->kind != KIND_HEAD) {
        return false;
    }
    return !r.bad && rd_left(&r) == 0 && out->partition >= 0 &&
           out->partition < LEDGER_PARTITIONS_MAX;
}

int64_t ledger_key_is_copy(const struct ledger_key *key)
{
    return key->kind == KIND_COPY ? key->offset : -1;
}

bool ledger_key_is_head(const struct ledger_key *key)
{
    return key->kind == KIND_HEAD;
}

/* ---- head ---- */

void head_write(struct wr *w, uint64_t epoch, int64_t floor, const struct page_runs *runs)
{
    int64_t at = page_of(floor);
    uint32_t n = 0;
    for (uint32_t i = 0; i < runs->n; i++)
        n += runs->r[i].to > at;
    wr_u8(w, LEDGER_FORMAT);
    wr_uvarlong(w, epoch);
    wr_uvarlong(w, (uint64_t)floor);
    wr_uvarint(w, n);
    for (uint32_t i = 0; i < runs->n; i++) {
        int64_t from = runs->r[i].from > page_of(floor) ? runs->r[i].from : page_of(floor);
        if (runs->r[i].to <= page_of(floor))
            continue;
        wr_varlong(w, from - at); /* they may be out of order */
        wr_uvarlong(w, (uint64_t)(runs->r[i].to - from));
        at = runs->r[i].to;
    }
}

/* All complete pages: those missing in the directory below next, and beyond it. */
static void head_snapshot(const struct ledger *l, struct wr *w)
{
    struct page_runs runs = {NULL, 0, 0};
    int64_t floor = ledger_floor(l), at = page_of(floor), end = page_of(l->next);
    for (uint32_t i = page_place(l, at); i < l->dir.n && page_at(l, i)->no <= end; i++) {
        runs_add(&runs, at, page_at(l, i)->no);
        at = page_at(l, i)->no + 1;
    }
    runs_add(&runs, at, end);
    for (uint32_t i = 0; i < l->beyond.n; i++)
        runs_add(&runs, l->beyond.r[i].from, l->beyond.r[i].to);
    head_write(w, l->epoch, floor, &runs);
    runs_free(&runs);
}

/* ---- page: write ---- */

struct page_writer {
    struct ledger *l;
    struct ledger_page *p;
    struct ledger_time now;
    struct wr *w;
    unsigned end;              /* behind the last run */
    uint64_t stamp;            /* the one after the last run's */
    unsigned from, n;          /* the run that is gathered */
    struct ledger_entry first; /* of that run; state SETTLED: only that counts */
    uint32_t *sessions;        /* that were written, by number */
    uint32_t sessions_n;
};

static void session_ref_write(struct page_writer *pw, uint32_t who)
{
    const struct session *s = pw->l->sessions->all[who];
    for (uint32_t i = 0; i < pw->sessions_n; i++) {
        if (pw->sessions[i] == who) {
            wr_uvarint(pw->w, i + 1);
            return;
        }
    }
    if (pw->sessions == NULL)
        pw->sessions = mem_alloc(LEDGER_PAGE * sizeof(*pw->sessions));
    pw->sessions[pw->sessions_n++] = who;
    wr_uvarint(pw->w, 0);
    wr_uvarint(pw->w, (uint32_t)s->id.len);
    wr_bytes(pw->w, s->id.at, s->id.len);
}

static void entry_write(struct page_writer *pw, const struct ledger_entry *e)
{
    struct wr *w = pw->w;
#ifdef FAULT_count_unwritten
    wr_uvarint(w, 0);
#else
    wr_uvarint(w, (uint32_t)e->deliveries);
#endif
    if (e->first != 0)
        wr_varlong(w, pw->now.wall_ms - (int64_t)e->first);
    if (e->due != 0)
        wr_varlong(w, due_of(e) - pw->now.mono_ms);
    if (e->state == LEDGER_ACQUIRED) {
        if (pw->l->sessions == NULL)
            wr_uvarlong(w, pw->l->owners.all[e->who]->id);
        wr_varlong(w, (int64_t)(e->stamp - pw->stamp));
        pw->stamp = e->stamp + pw->n;
    }
    if (pw->l->sessions != NULL)
        session_ref_write(pw, (uint32_t)e->who);
}

static void run_write(struct page_writer *pw)
{
    const struct ledger_entry *e = &pw->first;
    if (pw->n == 0)
        return;
    wr_uvarint(pw->w, pw->from - pw->end);
    wr_uvarint(pw->w, pw->n - 1);
    pw->end = pw->from + pw->n;
    if (e->state == LEDGER_SETTLED) {
        wr_u8(pw->w, LEDGER_SETTLED);
        return;
    }
    wr_u8(pw->w, (uint8_t)((unsigned)e->state | (e->burying ? TAG_BURYING : 0u) |
                           (e->endless ? TAG_ENDLESS : 0u) | (e->expired ? TAG_EXPIRED : 0u) |
                           (e->due ? TAG_DUE : 0u) | (e->first ? TAG_FIRST : 0u)));
    entry_write(pw, e);
}

static bool alike(const struct page_writer *pw, const struct ledger_entry *e)
{
    const struct ledger_entry *f = &pw->first;
    if (e->state == LEDGER_SETTLED || f->state == LEDGER_SETTLED)
        return e->state == f->state;
    return e->state == f->state && e->due == f->due && e->deliveries == f->deliveries &&
           e->burying == f->burying && e->endless == f->endless && e->expired == f->expired &&
           e->first == f->first && e->who == f->who &&
           (e->state != LEDGER_ACQUIRED || e->stamp == f->stamp + pw->n);
}

static void index_write(struct page_writer *pw, unsigned index, const struct ledger_entry *e)
{
    if (pw->n != 0 && pw->from + pw->n == index && alike(pw, e)) {
        pw->n++;
        return;
    }
    run_write(pw);
    pw->from = index;
    pw->n = 1;
    pw->first = *e;
}

/* Entries in doubt, as they are. */
struct confirmed {
    struct ledger_bits in;
    struct ledger_entry *e; /* by index */
};

static void confirmed_add(void *user, const struct change_item *item)
{
    struct confirmed *c = user;
    if (c->e == NULL)
        c->e = mem_alloc(LEDGER_PAGE * sizeof(c->e[0]));
    bit_set(&c->in, item->index);
    c->e[item->index] = item->was;
}

void page_write(struct ledger *l, struct ledger_page *p, const struct ledger_bits *bits,
                bool confirmed, struct ledger_time now, struct wr *w)
{
    static const struct ledger_entry settled = {.state = LEDGER_SETTLED};
    struct page_writer pw = {.l = l, .p = p, .now = now, .w = w};
    struct confirmed was = {.e = NULL};
    wr_u8(w, LEDGER_FORMAT);
    wr_uvarlong(w, p->epoch);
    wr_uvarlong(w, (uint64_t)now.wall_ms);
    if (confirmed && p->in_doubt_n != 0 && !p->gone)
        changes_confirmed(l, p, confirmed_add, &was);
    for (unsigned word = 0; word < PAGE_WORDS; word++) {
        for (uint64_t rest = bits->w[word]; rest != 0; rest &= rest - 1) {
            unsigned i = word * 64 + (unsigned)__builtin_ctzll(rest);
            const struct ledger_entry *e = p->gone ? NULL : page_entry(l, p, i);
            if (was.e != NULL && bit_get(&was.in, i))
                e = &was.e[i];
            index_write(&pw, i, e != NULL ? e : &settled);
        }
    }
    run_write(&pw);
    mem_free(pw.sessions);
    mem_free(was.e);
}

/* ---- page: read ---- */

struct page_reader {
    struct ledger *l;
    struct ledger_page *p;
    struct ledger_time now;
    struct rd r;
    int64_t wall_ms, elapsed_ms;
    uint64_t stamp;
    uint32_t *sessions;
    uint32_t sessions_n;
};

/* Out of range counts as broken. */
static uint64_t time_read(struct page_reader *pr, int64_t base, int64_t sign, int64_t lo,
                          int64_t hi)
{
    int64_t v = rd_varlong(&pr->r), t;
    if (__builtin_mul_overflow(v, sign, &v) || __builtin_add_overflow(base, v, &t) || t < lo ||
        t > hi) {
        rd_fail(&pr->r);
        return 0;
    }
    return (uint64_t)t;
}

static uint32_t session_ref_read(struct page_reader *pr)
{
    uint32_t ref = rd_uvarint(&pr->r);
    if (ref != 0) {
        if (ref > pr->sessions_n)
            rd_fail(&pr->r);
        return pr->r.bad ? 0 : pr->sessions[ref - 1];
    }
    struct str id = {.len = rd_uvarint(&pr->r)};
    if (id.len > LEDGER_SESSION_ID_MAX || pr->sessions_n == LEDGER_PAGE)
        rd_fail(&pr->r);
    id.at = (const char *)rd_bytes(&pr->r, id.len);
    struct session *s = pr->r.bad ? NULL : session_get(pr->l, id);
    if (s == NULL) {
        rd_fail(&pr->r);
        return 0;
    }
    if (pr->sessions == NULL)
        pr->sessions = mem_alloc(LEDGER_PAGE * sizeof(*pr->sessions));
    pr->sessions[pr->sessions_n++] = s->index;
    return s->index;
}

/* Of a run of n. *owner: who must be referred to by each. */
static struct ledger_entry entry_read(struct page_reader *pr, uint8_t tag, unsigned n,
                                      uint64_t *owner)
{
    struct ledger_entry e = {.state = (tag & TAG_STATE) & 7u,
                             .burying = (tag & TAG_BURYING) != 0,
                             .endless = (tag & TAG_ENDLESS) != 0,
                             .expired = (tag & TAG_EXPIRED) != 0};
    e.deliveries = rd_uvarint(&pr->r) & LEDGER_DELIVERIES_MAX;
    if (tag & TAG_FIRST)
        e.first =
            time_read(pr, pr->wall_ms, -1, 1, ((int64_t)1 << 42) - 1) & (((uint64_t)1 << 42) - 1);
    if (tag & TAG_DUE)
        e.due = due_pack((int64_t)time_read(pr, pr->now.mono_ms - pr->elapsed_ms, 1, 1 - DUE_BIAS,
                                            DUE_BIAS)) &
                DUE_MASK;
    if (e.state == LEDGER_ACQUIRED) {
        *owner = pr->l->sessions == NULL ? rd_uvarlong(&pr->r) : 0;
        e.stamp = pr->stamp + (uint64_t)rd_varlong(&pr->r);
        pr->stamp = e.stamp + n;
        if (!(tag & TAG_DUE))
            rd_fail(&pr->r);
    }
    if (pr->l->sessions != NULL)
        e.who = session_ref_read(pr) & LEDGER_OWNERS_MAX;
    return e;
}

/* An index, whatever it was before; what is settled stays. */
static void index_read(struct page_reader *pr, unsigned index, const struct ledger_entry *e)
{
    struct ledger *l = pr->l;
    struct ledger_page *p = pr->p;
    struct page_slots *s = page_slots(l, p);
#ifndef FAULT_settled_again
    if (bit_get(&s->settled, index))
        return;
#endif
    struct ledger_entry *at = page_entry(l, p, index);
    if (at != NULL && at->state == LEDGER_ACQUIRED && l->sessions == NULL)
        owner_unref(l, (uint32_t)at->who);
    if (e->state == LEDGER_SETTLED) {
        bit_set(&s->settled, index);
        return;
    }
    if (at == NULL)
        at = page_slot_add(l, p, index);
    *at = *e;
}

static enum err run_read(struct page_reader *pr, unsigned *end)
{
    uint32_t gap = rd_uvarint(&pr->r), more = rd_uvarint(&pr->r), who = 0;
    uint8_t tag = rd_u8(&pr->r);
    uint64_t owner = 0;
    struct ledger_entry e = {.state = LEDGER_SETTLED};
    if (pr->r.bad || gap > LEDGER_PAGE - *end || more >= LEDGER_PAGE - *end - gap)
        return ERR_CORRUPT;
    if ((tag & TAG_STATE) > LEDGER_DEAD)
        return ERR_CORRUPT;
    if ((tag & TAG_STATE) != LEDGER_SETTLED)
        e = entry_read(pr, tag, more + 1, &owner);
    if (pr->r.bad)
        return ERR_CORRUPT;
    unsigned from = *end + gap;
    *end = from + more + 1;
    for (unsigned i = from; i < *end; i++, e.stamp += e.state == LEDGER_ACQUIRED) {
        /* One by one: an index that is settled refers to nobody. */
        bool acquired = e.state == LEDGER_ACQUIRED && pr->l->sessions == NULL &&
                        !bit_get(&page_slots(pr->l, pr->p)->settled, i);
        if (acquired && owner_ref(pr->l, owner, 1, &who) != ERR_OK)
            return ERR_CORRUPT;
        if (acquired)
            e.who = who & LEDGER_OWNERS_MAX;
        index_read(pr, i, &e);
    }
    return ERR_OK;
}

/* Since a record was made; a clock that is years off is not believed. */
static int64_t elapsed(int64_t now_ms, int64_t then_ms)
{
    int64_t ms = now_ms - then_ms;
    return ms < 0 ? 0 : ms < ELAPSED_MAX_MS ? ms : ELAPSED_MAX_MS;
}

/* Behind the epoch. */
static enum err page_body_read(struct page_reader *pr)
{
    enum err err = ERR_OK;
    unsigned end = 0;
    uint64_t wall = rd_uvarlong(&pr->r);
    if (pr->r.bad || wall >= (uint64_t)1 << 42)
        return ERR_CORRUPT;
    pr->wall_ms = (int64_t)wall;
    pr->elapsed_ms = elapsed(pr->now.wall_ms, pr->wall_ms);
    while (err == ERR_OK && rd_left(&pr->r) != 0)
        err = run_read(pr, &end);
    mem_free(pr->sessions);
    return err;
}

static enum err version_read(struct rd *r)
{
    uint8_t version = rd_u8(r);
    if (version > LEDGER_FORMAT)
        return ERR_FORMAT_NEWER;
    return version == 0 ? ERR_CORRUPT : ERR_OK;
}

enum err page_read(struct ledger *l, struct ledger_page *p, struct str value,
                   struct ledger_time now)
{
    struct page_reader pr = {.l = l, .p = p, .now = now};
    rd_init(&pr.r, value.at, value.len);
    enum err err = version_read(&pr.r);
    (void)rd_uvarlong(&pr.r); /* epoch */
    return err == ERR_OK ? page_body_read(&pr) : err;
}

/* ---- sessions ---- */

void session_write(const struct session *s, struct ledger_time now, struct wr *w)
{
    wr_u8(w, LEDGER_FORMAT);
    wr_uvarlong(w, (uint64_t)now.wall_ms);
    wr_uvarlong(w, s->owner);
    wr_uvarlong(w, s->due == INT64_MAX
                       ? 0
                       : (uint64_t)(s->due > now.mono_ms ? s->due - now.mono_ms : 0) + 1);
}

static enum err lock_read(struct session *s, struct str value, struct ledger_time now)
{
    struct rd r;
    s->locked = false;
    if (value.at == NULL)
        return ERR_OK;
    rd_init(&r, value.at, value.len);
    enum err err = version_read(&r);
    uint64_t wall = rd_uvarlong(&r), owner = rd_uvarlong(&r), left = rd_uvarlong(&r);
    if (err == ERR_OK &&
        (r.bad || rd_left(&r) != 0 || wall >= (uint64_t)1 << 42 || left > (uint64_t)UINT32_MAX + 1))
        err = ERR_CORRUPT;
    if (err != ERR_OK)
        return err;
    s->locked = true;
    s->owner = owner;
    s->due = left == 0 ? INT64_MAX
                       : now.mono_ms + (int64_t)left - 1 - elapsed(now.wall_ms, (int64_t)wall);
    return ERR_OK;
}

static enum err session_fold(struct ledger *l, const struct ledger_key *key, struct str value,
                             struct ledger_time now, struct ledger_entity **entity)
{
    struct session *s = l->sessions != NULL ? session_get(l, key->session) : NULL;
    enum err err = ERR_OK;
    if (s == NULL)
        return ERR_CORRUPT;
    if (key->kind == KIND_LOCK) {
        err = lock_read(s, value, now);
    } else {
        l->sessions->bytes -= s->state.len;
        slice_unref(s->state);
        s->state = (struct slice){NULL, NULL, 0};
        if (value.at != NULL && (value.len == 0 || value.at[0] != LEDGER_FORMAT))
            return value.len == 0 || value.at[0] == 0 ? ERR_CORRUPT : ERR_FORMAT_NEWER;
        if (value.at != NULL)
            s->state = slice_copy(value.at + 1, value.len - 1);
        l->sessions->bytes += s->state.len;
    }
    s->known = s->locked || s->state.at != NULL;
    *entity = &s->entity;
    return err;
}

/* ---- fold ---- */

/* What is known from older epochs is void; their pages are dropped at the end. */
static void fold_reset(struct ledger *l, uint64_t epoch)
{
    l->beyond.n = 0;
    l->epoch = epoch;
    l->next = 0;
}

static enum err head_fold(struct ledger *l, struct str value)
{
    struct rd r;
    rd_init(&r, value.at, value.len);
    enum err err = version_read(&r);
    uint64_t epoch = rd_uvarlong(&r), floor = rd_uvarlong(&r);
    uint32_t runs = rd_uvarint(&r);
    if (err != ERR_OK)
        return err;
    if (r.bad || floor >= (uint64_t)LEDGER_OFFSET_MAX || epoch == 0)
        return ERR_CORRUPT;
    if (!l->head_known || epoch > l->epoch)
        fold_reset(l, epoch);
    l->head_known = true;
    bool apply = epoch == l->epoch;
    if (apply && (int64_t)floor > l->next)
        l->next = (int64_t)floor;
    int64_t at = page_of((int64_t)floor), from, to;
    for (uint32_t i = 0; i < runs && !r.bad; i++) {
        int64_t gap = rd_varlong(&r);
        uint64_t n = rd_uvarlong(&r);
        if (n == 0 || n > (uint64_t)LEDGER_OFFSET_MAX || __builtin_add_overflow(at, gap, &from) ||
            from < 0 || __builtin_add_overflow(from, (int64_t)n, &to) ||
            to > page_of(LEDGER_OFFSET_MAX))
            return ERR_CORRUPT;
        if (apply)
            runs_add(&l->beyond, from, to);
        at = to;
    }
    if (l->beyond.n > l->beyond_max) { /* heads repeat each other */
        runs_normalize(&l->beyond);
        l->beyond_max = l->beyond.n * 2 + FOLD_RUNS;
    }
    return r.bad || rd_left(&r) != 0 ? ERR_CORRUPT : ERR_OK;
}

static enum err page_fold(struct ledger *l, int64_t no, struct str value, struct ledger_time now,
                          struct ledger_entity **entity)
{
    struct page_reader pr = {.l = l, .now = now};
    rd_init(&pr.r, value.at, value.len);
    enum err err = version_read(&pr.r);
    uint64_t epoch = rd_uvarlong(&pr.r);
    if (err != ERR_OK)
        return err;
    if (pr.r.bad || epoch == 0)
        return ERR_CORRUPT;
    if (l->head_known && epoch < l->epoch)
        return ERR_OK;
    struct ledger_page *p = page_find(l, no);
    if (p != NULL && epoch > p->epoch) { /* what it was before is void */
        page_forget_entries(l, p);
        p->epoch = epoch;
    }
    if (p != NULL && epoch < p->epoch)
        return ERR_OK;
    if (p == NULL) {
        p = page_make(l, no, epoch);
        page_insert(l, p);
    }
    pr.p = p;
    *entity = &p->entity;
    return page_body_read(&pr);
}

enum err ledger_fold(struct ledger *l, const struct ledger_key *key, struct str value,
                     struct ledger_time now, struct ledger_entity **entity)
{
    weir_check(l, LEDGER_MAGIC);
    *entity = NULL;
    l->folding = true;
    switch (key->kind) {
    case KIND_HEAD:
        if (value.at == NULL)
            return ERR_OK;
        *entity = &l->head;
        return head_fold(l, value);
    case KIND_PAGE:
        return value.at != NULL ? page_fold(l, key->page, value, now, entity) : ERR_CORRUPT;
    case KIND_COPY:
        return ERR_CORRUPT;
    default:
        return session_fold(l, key, value, now, entity);
    }
}

/* ---- the end of the fold ---- */

/* One entry as it was read, into counts, heaps and sessions. */
static void entry_folded(struct ledger *l, struct ledger_page *p, unsigned index)
{
    struct ledger_entry *e = page_entry(l, p, index);
    p->open++;
    if (l->sessions != NULL) {
        struct session *s = l->sessions->all[e->who];
        session_message_add(l, s, page_start(p) + index);
        if (e->state == LEDGER_ACQUIRED && !e->burying && !s->locked) {
            entry_released(l, page_start(p) + index, e, 0, false);
            page_dirty(l, p, index);
        }
    }
    page_in(l, p, index, e);
}

static void page_folded(struct ledger *l, struct ledger_page *p)
{
    for (unsigned i = page_next_open(l, p, 0); i < LEDGER_PAGE; i = page_next_open(l, p, i + 1)) {
        if (page_start(p) + i >= l->next) {
            entry_folded(l, p, i);
            continue;
        }
        struct ledger_entry *e = page_entry(l, p, i);
        if (e->state == LEDGER_ACQUIRED && l->sessions == NULL)
            owner_unref(l, (uint32_t)e->who);
        bit_set(&p->slots->settled, i); /* below the floor */
    }
    page_fit(l, p);
}

/* The first offset from floor on that nothing is known of. */
static int64_t first_unknown(struct ledger *l, int64_t at)
{
    uint32_t run = 0;
    for (;;) {
        while (run < l->beyond.n && l->beyond.r[run].to <= page_of(at))
            run++;
        if (run < l->beyond.n && l->beyond.r[run].from <= page_of(at)) {
            at = l->beyond.r[run].to * LEDGER_PAGE;
            continue;
        }
        struct ledger_page *p = page_find(l, page_of(at));
        unsigned i = index_of(at);
        while (p != NULL && i < LEDGER_PAGE && page_known(l, p, i))
            i++;
        at = page_of(at) * LEDGER_PAGE + i;
        if (p == NULL || i < LEDGER_PAGE)
            return at;
    }
}

/* Pages that the head has done with. */
static void fold_drop(struct ledger *l)
{
    for (uint32_t i = 0; i < l->dir.n;) {
        struct ledger_page *p = page_at(l, i);
        if (p->epoch != l->epoch || page_start(p) + LEDGER_PAGE <= l->next ||
            runs_cover(&l->beyond, p->no))
            page_gone_known(l, p);
        else
            i++;
    }
}

static void beyond_trim(struct ledger *l)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < l->beyond.n; i++) {
        if (l->beyond.r[i].to > page_of(l->next))
            l->beyond.r[n++] = l->beyond.r[i];
    }
    l->beyond.n = n;
    if (n == 0)
        runs_free(&l->beyond);
}

void ledger_folded(struct ledger *l, struct ledger_time now)
{
    weir_check(l, LEDGER_MAGIC);
    (void)now;
    if (!l->folding)
        return;
    runs_normalize(&l->beyond);
    fold_drop(l);
    for (uint32_t i = 0; i < l->dir.n; i++)
        page_folded(l, page_at(l, i));
    l->next = first_unknown(l, l->next);
    beyond_trim(l);
    l->folding = false;
    l->head_dirty = !l->head_known;
    for (uint32_t i = 0; i < l->dir.n;) {
        struct ledger_page *p = page_at(l, i);
        page_check(l, p);
        i += !p->gone;
    }
    if (l->sessions != NULL)
        sessions_folded(l);
}

/* ---- snapshots ---- */

static void snapshot_add(struct batch_builder *out, struct wr *key, struct wr *value,
                         struct ledger_time now)
{
    struct str k = {(const char *)key->buf->data, key->len};
    struct str v = {value->buf != NULL ? (const char *)value->buf->data : NULL, value->len};
    batch_add(out, now.wall_ms, k, v, NULL, 0);
    key->len = value->len = 0;
}

static void page_snapshot(struct ledger *l, struct ledger_page *p, struct ledger_time now,
                          struct wr *w)
{
    struct ledger_bits all;
    memset(&all, 0, sizeof(all));
    if (p->gone) { /* until the head says so, this must */
#ifndef FAULT_gone_silent
        for (unsigned i = 0; i < p->settled_to; i++)
            bit_set(&all, i);
#endif
        page_write(l, p, &all, true, now, w);
        return;
    }
    bool packed = p->slots == NULL;
    struct page_slots *s = page_slots(l, p);
    for (unsigned i = 0; i < PAGE_WORDS; i++)
        all.w[i] = s->held.w[i] | s->settled.w[i];
    page_write(l, p, &all, true, now, w);
    if (packed)
        page_pack(l, p);
}

void ledger_snapshot(struct ledger_entity *e, struct ledger_time now, struct batch_builder *out)
{
    struct ledger *l = e->ledger;
    weir_check(l, LEDGER_MAGIC);
    struct wr key, value;
    wr_init(&key, 64);
    wr_init(&value, 256);
    if (e->kind == ENTITY_HEAD) {
        head_key(l, &key);
        head_snapshot(l, &value);
        snapshot_add(out, &key, &value, now);
    } else if (e->kind == ENTITY_PAGE) {
        struct ledger_page *p = container_of(e, struct ledger_page, entity);
        page_key(l, p, &key);
        page_snapshot(l, p, now, &value);
        snapshot_add(out, &key, &value, now);
    } else {
        session_snapshot(container_of(e, struct session, entity), now, out);
    }
    wr_free(&key);
    wr_free(&value);
}

struct ledger_entity *ledger_entity_next(struct ledger *l, struct ledger_entity *after)
{
    uint32_t place = 0, session = 0;
    if (after == NULL)
        return &l->head;
    if (after->kind == ENTITY_PAGE)
        place = page_place(l, container_of(after, struct ledger_page, entity)->no + 1);
    if (after->kind != ENTITY_SESSION && place < l->dir.n)
        return &page_at(l, place)->entity;
    if (after->kind == ENTITY_SESSION)
        session = container_of(after, struct session, entity)->index + 1;
    for (; l->sessions != NULL && session < l->sessions->n; session++) {
        struct session *s = l->sessions->all[session];
        if (s != NULL && (s->locked || s->state.at != NULL))
            return &s->entity;
    }
    return NULL;
}

/* ---- pack ---- */

void page_pack(struct ledger *l, struct ledger_page *p)
{
    if (p->slots == NULL || p->acquired_n != 0 || p->in_doubt_n != 0 || list_linked(&p->dirty_link))
        return;
    struct ledger_bits all;
    struct wr w;
    for (unsigned i = 0; i < PAGE_WORDS; i++)
        all.w[i] = p->slots->held.w[i] | p->slots->settled.w[i];
    wr_init(&w, 64);
    page_write(l, p, &all, false, (struct ledger_time){0, 0}, &w);
    page_packed(l, p, slice_copy(w.buf->data, w.len));
    wr_free(&w);
}

/* Whether nothing is known of the page's indexes from this one on. */
static bool nothing_from(const struct page_slots *s, unsigned index)
{
    while (index < LEDGER_PAGE && !bit_get(&s->held, index) && !bit_get(&s->settled, index))
        index++;
    return index == LEDGER_PAGE;
}

/* Arrays that have grown, and hold nothing. */
static void spare_free(struct ledger *l)
{
    if (l->ready.count == 0)
        heap_free(&l->ready);
    if (l->due.count == 0)
        heap_free(&l->due);
    if (l->runs.n == 0)
        runs_free(&l->runs);
    if (l->beyond.n == 0)
        runs_free(&l->beyond);
}

void ledger_pack(struct ledger *l, struct ledger_time now)
{
    weir_check(l, LEDGER_MAGIC);
    (void)now;
    if (l->sessions != NULL || l->rewinding != NULL)
        return;
    for (uint32_t i = 0; i < l->dir.n;) {
        struct ledger_page *p = page_at(l, i);
        bool empty = l->dir.n == 1 && l->beyond.n == 0 && p->open == 0 &&
                     p->no == page_of(l->next) && nothing_from(page_slots(l, p), index_of(l->next));
        if (empty)
            page_gone(l, p); /* the floor is next */
        else
            page_pack(l, p);
        i += !empty;
    }
    owners_idle(l);
    spare_free(l);
}
