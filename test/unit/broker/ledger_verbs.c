/* Verbs of the random test: looking at the log, acquiring, burying. */
#include "ledger_world.h"

/* ---- verbs: looking and acquiring ---- */

void do_look(struct world *w, const struct step *s)
{
    int64_t from = w->next, to = from + 1 + (s->b % 8 == 0 ? s->a % 1500 : s->a % 60);
    if (to > SPAN)
        to = SPAN;
    for (int64_t o = from; o < to; o++) {
        struct model_message *m = &w->m[o];
        if (w->rewinding || !taken_by_filter(o))
            continue;
        CHECK_AT(w, o, ledger_add(w->l, o, session_id(session_no(o))) == ERR_OK);
        if (m->state == LEDGER_UNSEEN) {
            m->expired = o < w->expired_below;
            m->state = m->expired ? LEDGER_DEAD : LEDGER_AVAILABLE;
        }
    }
    CHECK(w, ledger_skip(w->l, to) == (w->rewinding ? ERR_BUSY : ERR_OK));
    if (w->rewinding)
        return;
    for (int64_t o = from; o < to; o++) {
        if (w->m[o].state == LEDGER_UNSEEN)
            w->m[o].state = LEDGER_SETTLED;
    }
    w->next = to;
}

void do_acquire(struct world *w, const struct step *s)
{
    struct ledger_taken out[64];
    uint64_t owner = s->a % OWNERS;
    uint32_t lock = s->b % 4 == 0 ? 300 : 0, effective = lock ? lock : w->conf.lock_ms;
    size_t n = 1 + s->c % (s->b % 5 == 0 ? 64 : 6), want = 0;
    if (w->by_session) {
        do_acquire_session(w, s);
        return;
    }
    uint32_t room = w->conf.in_flight_max - in_flight(w);
    if (in_flight(w) > w->conf.in_flight_max)
        room = 0;
    size_t got = ledger_acquire(w->l, owner, lock, w->now, out, n);
    for (int64_t o = 0; o < SPAN && want < n && want < room && !w->rewinding; o++) {
        if (w->ordered && stops(w, o, owner))
            break;
        if (!is_ready(&w->m[o]))
            continue;
        CHECK_AT(w, o, want < got && out[want].offset == o);
        acquired(w, &out[want++], owner, effective, true);
    }
    CHECK(w, got == want);
}

static bool session_gives(const struct world *w, unsigned no, int64_t from, int64_t *offset)
{
    for (int64_t o = from; o < SPAN; o++) {
        const struct model_message *m = &w->m[o];
        if (session_no(o) != no || !unsettled(m))
            continue;
        bool becomes_available = false;
        for (size_t f = 0; f <= w->flights_n && m->doubt; f++) {
            const struct flight *fl = f == w->flights_n ? &w->open : &w->flights[f];
            for (size_t i = 0; i < fl->doubts_n; i++)
                becomes_available |=
                    fl->doubts[i].offset == o && fl->doubts[i].becomes.state == LEDGER_AVAILABLE;
        }
        if (m->doubt && !becomes_available)
            continue;
        if (m->state == LEDGER_AVAILABLE || becomes_available) {
            *offset = o;
            return is_ready(m);
        }
    }
    return false;
}

/* Something of it is being settled by who does not hold it any more. */
static bool session_waits(const struct world *w, unsigned no)
{
    for (size_t f = 0; f <= w->flights_n; f++) {
        const struct flight *fl = f == w->flights_n ? &w->open : &w->flights[f];
        for (size_t i = 0; i < fl->doubts_n; i++) {
            const struct doubt *d = &fl->doubts[i];
            const struct model_message *m = &w->m[d->offset];
            if (session_no(d->offset) == no && m->state == LEDGER_ACQUIRED && !m->burying &&
                d->lock_no != w->sessions[no].lock_no)
                return true;
        }
    }
    return false;
}

static bool session_is_free(const struct world *w, unsigned no)
{
    int64_t o;
    return !w->sessions[no].locked && !session_waits(w, no) && session_gives(w, no, 0, &o);
}

void do_acquire_session(struct world *w, const struct step *s)
{
    struct ledger_taken out[64];
    struct ledger_session info;
    uint64_t owner = s->a % OWNERS;
    bool any = s->b % 3 == 0;
    unsigned no = s->b / 3 % SESSIONS;
    struct str id = any ? (struct str){NULL, 0} : session_id(no);
    int64_t o;
    bool free_one = false;
    for (unsigned i = 0; i < SESSIONS; i++)
        free_one |= session_is_free(w, i);
    enum err err = ledger_session_lock(w->l, owner, id, 0, w->now, &info);
    if (w->rewinding || (any && !free_one)) {
        CHECK(w, err == (w->rewinding ? ERR_BUSY : ERR_NOT_FOUND));
        return;
    }
    if (any && err == ERR_OK) {
        for (no = 0; no < SESSIONS && !str_eq(info.id, session_id(no)); no++)
            ;
        CHECK(w, no < SESSIONS && session_is_free(w, no));
    }
    struct model_session *ms = &w->sessions[no];
    if (ms->locked ? ms->owner != owner : session_waits(w, no)) {
        CHECK(w, err == ERR_SESSION_LOCKED);
        return;
    }
    CHECK(w, err == ERR_OK);
    ms->locked = true;
    ms->owner = owner;
    ms->due = w->now.mono_ms + LOCK_MS;
    size_t n = 1 + s->c % 6, want = 0;
    uint32_t room = in_flight(w) < w->conf.in_flight_max ? w->conf.in_flight_max - in_flight(w) : 0;
    size_t got = ledger_session_acquire(w->l, owner, session_id(no), w->now, out, n);
    for (int64_t at = 0; want < n && want < room && session_gives(w, no, at, &o); at = o + 1) {
        CHECK_AT(w, o, want < got && out[want].offset == o);
        acquired(w, &out[want++], owner, 1, true);
    }
    CHECK(w, got == want);
}

void do_deferred(struct world *w, const struct step *s)
{
    struct ledger_taken out;
    int64_t o = pick(w, s->a, is_deferred);
    uint64_t owner = s->b % OWNERS;
    if (o < 0)
        o = s->a % SPAN;
    bool room = in_flight(w) < w->conf.in_flight_max;
    enum err err = ledger_acquire_deferred(w->l, owner, o, 0, w->now, &out), want = ERR_OK;
    const struct model_session *ms = &w->sessions[session_no(o)];
    if (!is_deferred(&w->m[o]) || w->rewinding)
        want = ERR_NOT_FOUND;
    else if (!room)
        want = ERR_BUSY;
    else if (w->by_session && !(ms->locked && ms->owner == owner))
        want = ERR_NOT_FOUND;
    CHECK_AT(w, o, err == want);
    if (err == ERR_OK)
        acquired(w, &out, owner, w->by_session ? 1 : w->conf.lock_ms, true);
}

void do_bury(struct world *w, const struct step *s)
{
    struct ledger_taken out[16];
    int64_t at = 0;
    uint64_t owner = s->a % OWNERS;
    size_t dead = 0, all = 0;
    for (int64_t o = 0; o < SPAN; o++)
        dead += w->m[o].state == LEDGER_DEAD && !w->m[o].doubt;
    size_t n = 1 + s->b % 16;
    while (at != INT64_MAX) {
        size_t got = ledger_acquire_dead(w->l, owner, 0, w->now, &at, out, n);
        for (size_t i = 0; i < got; i++) {
            CHECK_AT(w, out[i].offset, w->m[out[i].offset].state == LEDGER_DEAD);
            CHECK_AT(w, out[i].offset, out[i].expired == w->m[out[i].offset].expired);
            acquired(w, &out[i], owner, w->conf.lock_ms, false);
            w->m[out[i].offset].burying = true;
        }
        all += got;
        if (got == n)
            return;
    }
    CHECK(w, all == (w->rewinding ? 0 : dead));
}
