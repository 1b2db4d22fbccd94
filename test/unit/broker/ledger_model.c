/* The model of a ledger: what it should be, in the plainest way. */
#include "ledger_world.h"

static uint32_t scramble(int64_t offset)
{
    return (uint32_t)((uint64_t)(offset + 7) * 0x9e3779b97f4a7c15u >> 40);
}

/* Some alone, some in a row, a page and more of none. */
bool taken_by_filter(int64_t offset)
{
    if (offset >= 1200 && offset < 2300)
        return offset == 1500;
    return offset % 300 < 150 || scramble(offset) % 4 == 0;
}

unsigned session_no(int64_t offset)
{
    return scramble(offset) / 16 % SESSIONS;
}

struct str session_id(unsigned no)
{
    static const char *const ids[SESSIONS] = {"", "a", "bb", "a-third-one", "\xff\x00"};
    return (struct str){ids[no], no == 4 ? 2 : strlen(ids[no])};
}

/* ---- the model's own ideas ---- */

bool unsettled(const struct model_message *m)
{
    return m->state != LEDGER_SETTLED && m->state != LEDGER_UNSEEN;
}

bool is_ready(const struct model_message *m)
{
    return m->state == LEDGER_AVAILABLE && !m->doubt && m->due == 0;
}

uint32_t in_flight(const struct world *w)
{
    uint32_t n = 0;
    for (int64_t o = 0; o < SPAN; o++)
        n += w->m[o].state == LEDGER_ACQUIRED || w->m[o].doubt;
    return n;
}

struct model_message released(const struct world *w, int64_t o, int64_t due, bool uncounted)
{
    struct model_message m = w->m[o];
    if (uncounted && m.deliveries > 0)
        m.deliveries--;
    if (m.deliveries == 0)
        m.first = 0;
    if (m.written > m.deliveries)
        m.written = m.deliveries; /* a snapshot may say so at any time */
    m.expired = m.expired || o < w->expired_below;
    bool dead = m.burying || m.expired || m.deliveries >= ATTEMPTS;
    m.state = dead ? LEDGER_DEAD : LEDGER_AVAILABLE;
    m.due = dead ? 0 : due;
    m.owner = 0;
    m.burying = m.endless = false;
    return m;
}

void acquired(struct world *w, const struct ledger_taken *t, uint64_t owner, uint32_t lock,
              bool counts)
{
    struct model_message *m = &w->m[t->offset];
    CHECK_AT(w, t->offset, unsettled(m) && !m->doubt);
    m->state = LEDGER_ACQUIRED;
    m->owner = owner;
    m->deliveries += counts;
    m->endless = lock == 0;
    m->due = w->now.mono_ms + lock;
    if (m->first == 0)
        m->first = w->now.wall_ms;
    CHECK_AT(w, t->offset, !token_eq(&m->token, &t->token)); /* each acquisition has its own */
    m->token = t->token;
    w->gone[owner] = false;
    CHECK_AT(w, t->offset, t->deliveries == m->deliveries && t->first_ms == m->first);
    if (!w->by_session)
        CHECK_AT(w, t->offset, t->locked_until_ms == (lock ? w->now.wall_ms + lock : INT64_MAX));
}

static bool settles_for_good(const struct world *w, int64_t o)
{
    for (size_t f = 0; f <= w->flights_n; f++) {
        const struct flight *fl = f == w->flights_n ? &w->open : &w->flights[f];
        for (size_t i = 0; i < fl->doubts_n; i++)
            if (fl->doubts[i].offset == o)
                return fl->doubts[i].becomes.state == LEDGER_SETTLED;
    }
    return false;
}

bool stops(const struct world *w, int64_t o, uint64_t owner)
{
    const struct model_message *m = &w->m[o];
    if (!unsettled(m) || (m->burying && (!m->doubt || settles_for_good(w, o))))
        return false;
    if (m->doubt)
        return m->state != LEDGER_ACQUIRED || m->burying || m->owner != owner ||
               !settles_for_good(w, o);
    if (m->state == LEDGER_ACQUIRED)
        return m->owner != owner;
    return m->state == LEDGER_AVAILABLE && !is_ready(m);
}

void token_old(struct world *w, struct lock_token token)
{
    w->old[w->old_n++ % TOKENS_OLD] = token;
}

/* ---- comparing ---- */

void compare_one(struct world *w, int64_t o)
{
    const struct model_message *m = &w->m[o];
    struct ledger_message got;
    ledger_get(w->l, o, w->now, &got);
    CHECK_AT(w, o, got.state == m->state);
    if (!unsettled(m))
        return;
    CHECK_AT(w, o, got.settling == m->doubt);
    CHECK_AT(w, o, got.deliveries == m->deliveries);
    CHECK_AT(w, o, got.first_ms == m->first);
    CHECK_AT(w, o, got.expired == m->expired && got.burying == m->burying);
    if (w->by_session)
        CHECK_AT(w, o, str_eq(got.session, session_id(session_no(o))));
    if (m->state == LEDGER_ACQUIRED && !m->burying && !(w->by_session && m->doubt))
        CHECK_AT(w, o, got.owner == m->owner);
    if (w->by_session && m->state == LEDGER_ACQUIRED)
        return;
    int64_t due = m->due == 0 ? 0 : w->now.wall_ms + m->due - w->now.mono_ms;
    if (m->state == LEDGER_ACQUIRED && m->endless)
        due = INT64_MAX;
    CHECK_AT(w, o, got.due_ms == due);
}

void compare_counts(struct world *w)
{
    struct ledger_stat s;
    uint32_t ready = 0, delayed = 0, deferred = 0, dead = 0, held[OWNERS] = {0};
    int64_t floor = w->next;
    for (int64_t o = SPAN - 1; o >= 0; o--) {
        const struct model_message *m = &w->m[o];
        if (unsettled(m) && o < floor)
            floor = o;
        ready += is_ready(m);
        delayed += m->state == LEDGER_AVAILABLE && !m->doubt && m->due != 0;
        deferred += m->state == LEDGER_DEFERRED && !m->doubt;
        dead += m->state == LEDGER_DEAD && !m->doubt;
        if (m->state == LEDGER_ACQUIRED)
            held[m->owner]++;
    }
    ledger_stat(w->l, &s);
    CHECK(w, s.ready == ready && ledger_ready(w->l) == ready);
    CHECK(w, s.delayed == delayed && s.deferred == deferred && s.dead == dead);
    CHECK(w, s.acquired == in_flight(w));
    CHECK(w, ledger_next(w->l) == w->next);
    CHECK(w, ledger_floor(w->l) == floor);
    for (unsigned i = 0; i < OWNERS && !w->by_session; i++)
        CHECK(w, ledger_held(w->l, i) == held[i]);
}

/* To whom something could be given, and how much. */
void compare_order(struct world *w)
{
    struct ledger_order got;
    uint32_t can[OWNERS + 1] = {0}; /* the last one: of who holds nothing */
    bool open[OWNERS + 1];
    if (!w->ordered || w->rewinding)
        return;
    for (uint64_t who = 0; who <= OWNERS; who++) {
        int64_t o = 0;
        for (; o < SPAN && !stops(w, o, who); o++)
            can[who] += is_ready(&w->m[o]);
        open[who] = o == SPAN;
    }
    ledger_order(w->l, &got);
    if (got.held)
        CHECK(w, can[OWNERS] == 0 && got.owner < OWNERS && !open[OWNERS]);
    uint64_t who = got.held ? got.owner : OWNERS;
    CHECK(w, got.ready == can[who] && got.open == open[who]);
    for (who = 0; who < OWNERS && got.ready == 0; who++) /* then there is nobody to whom */
        CHECK(w, can[who] == 0);
}

void compare(struct world *w)
{
    for (int64_t o = 0; o < SPAN; o++)
        compare_one(w, o);
    compare_counts(w);
    compare_order(w);
}

/* The k-th, from a, of those that f is true for; -1. */
int64_t pick(const struct world *w, uint32_t a, bool (*f)(const struct model_message *m))
{
    int64_t start = a % SPAN, base = w->next > 0 ? start % w->next : 0;
    for (int64_t i = 0; i < SPAN; i++) {
        int64_t o = (base + i) % SPAN;
        if (f(&w->m[o]))
            return o;
    }
    return -1;
}

bool is_acquired(const struct model_message *m)
{
    return m->state == LEDGER_ACQUIRED && !m->doubt;
}

bool is_deferred(const struct model_message *m)
{
    return m->state == LEDGER_DEFERRED && !m->doubt;
}

bool token_eq(const struct lock_token *a, const struct lock_token *b)
{
    return memcmp(a->b, b->b, sizeof(a->b)) == 0; /* no secret: two made by this test */
}
