/* Verbs of the random test: settling, renewing, claiming, time, sessions. */
#include "ledger_world.h"

/* ---- verbs: settling ---- */

struct flight *open_change(struct world *w)
{
    if (w->open.change == NULL) {
        w->open = (struct flight){.change = ledger_change_make(w->l), .state_session = -1};
    }
    return &w->open;
}

void doubt_add(struct world *w, int64_t o, struct model_message becomes)
{
    struct flight *f = open_change(w);
    f->doubts = mem_realloc(f->doubts, (f->doubts_n + 1) * sizeof(*f->doubts));
    f->doubts[f->doubts_n++] = (struct doubt){o, becomes, w->sessions[session_no(o)].lock_no};
    w->m[o].doubt = true;
}

static struct ledger_ref ref_of(struct world *w, int64_t o, uint32_t how)
{
    if (how % 8 == 0 && !w->m[o].burying)
        return (struct ledger_ref){o, LEDGER_BY_OWNER, w->m[o].owner};
    if (how % 8 == 1)
        return (struct ledger_ref){o, LEDGER_BY_OFFSET, 0};
    return ledger_ref(w->l, &w->m[o].token);
}

static void settle_one(struct world *w, int64_t o, uint32_t verb, uint32_t how)
{
    struct flight *f = open_change(w);
    if (f->rewind)
        return;
    struct ledger_ref ref = ref_of(w, o, how);
    struct model_message becomes = w->m[o];
    enum err err = ERR_INTERNAL;
    uint32_t delay = how / 8 % 3 == 0 ? 0 : 1 + how / 32 % 900;
    bool uncounted = how / 16 % 2;
    switch (verb % 6) {
    case 0:
    case 1:
        err = ledger_accept(f->change, ref);
        becomes.state = LEDGER_SETTLED;
        break;
    case 2:
        err = ledger_reject(f->change, ref);
        becomes.state = LEDGER_SETTLED;
        break;
    case 3:
    case 4:
        err = ledger_release(f->change, ref, delay, uncounted, w->now);
        becomes = released(w, o, delay ? w->now.mono_ms + delay : 0, uncounted);
        break;
    default:
        err = ledger_defer(f->change, ref);
        becomes = released(w, o, 0, false);
        becomes.state = LEDGER_DEFERRED;
        becomes.due = 0;
    }
    CHECK_AT(w, o, err == (w->rewinding ? ERR_BUSY : ERR_OK));
    if (err != ERR_OK)
        return;
    token_old(w, w->m[o].token);
    doubt_add(w, o, becomes);
}

void do_settle(struct world *w, const struct step *s)
{
    int64_t o = pick(w, s->a, is_acquired);
    if (o >= 0)
        settle_one(w, o, s->b, s->c);
}

void do_settle_many(struct world *w, const struct step *s)
{
    for (uint32_t i = 0; i < 40 + s->b % 800; i++) {
        int64_t o = pick(w, s->a, is_acquired);
        if (o < 0)
            return;
        settle_one(w, o, s->b / 1024 % 4 == 0 ? s->b : 0, 2);
        if (w->rewinding || w->open.rewind)
            return;
    }
}

/* Any unsettled one, by its place. */
static bool is_touchable(const struct model_message *m)
{
    return unsettled(m) && !m->doubt;
}

void do_accept_any(struct world *w, const struct step *s)
{
    int64_t o = pick(w, s->a, is_touchable);
    struct flight *f = open_change(w);
    if (o < 0 || f->rewind)
        return;
    enum err err = ledger_accept(f->change, (struct ledger_ref){o, LEDGER_BY_OFFSET, 0});
    CHECK_AT(w, o, err == (w->rewinding ? ERR_BUSY : ERR_OK));
    if (err != ERR_OK)
        return;
    struct model_message becomes = w->m[o];
    becomes.state = LEDGER_SETTLED;
    doubt_add(w, o, becomes);
}

/* All of a page or more. */
void do_finish(struct world *w, const struct step *s)
{
    int64_t from = s->a % SPAN / 1024 * 1024, to = from + (s->b % 2 ? 1024 : 2048);
    struct flight *f = open_change(w);
    if (f->rewind || w->rewinding)
        return;
    for (int64_t o = from; o < to && o < SPAN; o++) {
        if (!is_touchable(&w->m[o]))
            continue;
        enum err err = ledger_accept(f->change, (struct ledger_ref){o, LEDGER_BY_OFFSET, 0});
        CHECK_AT(w, o, err == ERR_OK);
        struct model_message becomes = w->m[o];
        becomes.state = LEDGER_SETTLED;
        doubt_add(w, o, becomes);
    }
}

/* Spent tokens, and what nobody holds. */
void do_settle_badly(struct world *w, const struct step *s)
{
    struct flight *f = open_change(w);
    if (f->rewind || w->rewinding)
        return;
    if (w->old_n != 0) {
        const struct lock_token *t =
            &w->old[s->a % (w->old_n < TOKENS_OLD ? w->old_n : TOKENS_OLD)];
        int64_t o = lock_token_offset(t);
        if (!(is_acquired(&w->m[o]) && token_eq(&w->m[o].token, t)))
            CHECK_AT(w, o, ledger_accept(f->change, ledger_ref(w->l, t)) == ERR_LOCK_LOST);
    }
    int64_t o = s->b % SPAN;
    struct ledger_ref ref = {o, LEDGER_BY_OWNER, s->c % OWNERS};
    if (!is_acquired(&w->m[o]) || w->m[o].owner != s->c % OWNERS || w->m[o].burying)
        CHECK_AT(w, o, ledger_defer(f->change, ref) == ERR_LOCK_LOST);
}

void do_renew(struct world *w, const struct step *s)
{
    int64_t o = pick(w, s->a, is_acquired), until = 0;
    uint32_t lock = s->b % 2 ? 400 : 0, effective = lock ? lock : w->conf.lock_ms;
    if (o < 0)
        return;
    enum err err = ledger_renew(w->l, ledger_ref(w->l, &w->m[o].token), lock, w->now, &until);
    if (w->by_session && !w->m[o].burying) {
        CHECK_AT(w, o, err == ERR_LOCK_LOST);
        return;
    }
    CHECK_AT(w, o, err == (w->rewinding ? ERR_BUSY : ERR_OK));
    if (err != ERR_OK)
        return;
    w->m[o].endless = effective == 0;
    w->m[o].due = w->now.mono_ms + effective;
    CHECK_AT(w, o, until == (effective ? w->now.wall_ms + effective : INT64_MAX));
}

void do_unacquire(struct world *w, const struct step *s)
{
    int64_t o = pick(w, s->a, is_acquired);
    if (o < 0)
        return;
    enum err err = ledger_unacquire(w->l, ledger_ref(w->l, &w->m[o].token), w->now);
    CHECK_AT(w, o, err == (w->rewinding ? ERR_BUSY : ERR_OK));
    if (err == ERR_OK) {
        token_old(w, w->m[o].token);
        w->m[o] = released(w, o, 0, !w->m[o].burying);
    }
}

void session_unlocked(struct world *w, unsigned no)
{
    w->sessions[no].locked = false;
    w->sessions[no].lock_no++;
    for (int64_t o = 0; o < SPAN; o++) {
        if (session_no(o) == no && is_acquired(&w->m[o]) && !w->m[o].burying)
            w->m[o] = released(w, o, 0, false);
    }
}

void do_release_owner(struct world *w, const struct step *s)
{
    uint64_t owner = s->a % OWNERS;
    bool uncounted = s->b % 2 && !w->by_session;
    if (w->rewinding)
        return;
    for (int64_t at = 0; at != INT64_MAX;)
        ledger_release_owner(w->l, owner, uncounted, w->now, &at);
    for (unsigned i = 0; w->by_session && i < SESSIONS; i++) {
        if (w->sessions[i].locked && w->sessions[i].owner == owner)
            session_unlocked(w, i);
    }
    for (int64_t o = 0; o < SPAN && !w->by_session; o++) {
        if (is_acquired(&w->m[o]) && w->m[o].owner == owner)
            w->m[o] = released(w, o, 0, uncounted);
    }
    w->gone[owner] = true;
}

void do_claim(struct world *w, const struct step *s)
{
    struct ledger_taken out;
    int64_t o = s->b % 4 ? pick(w, s->a, is_acquired) : s->a % SPAN;
    if (o < 0 || w->by_session)
        return;
    struct ledger_claim claim = {.owner = s->c % OWNERS,
                                 .offset = o,
                                 .idle_min_ms = s->b / 4 % 3 == 0 ? 200 : 0,
                                 .idle_ms = s->b / 16 % 100,
                                 .deliveries = (int32_t)(s->b / 64 % 5) - 2,
                                 .force = s->c / 4 % 3 == 0};
    const struct model_message *m = &w->m[o];
    int64_t idle =
        m->endless ? w->now.mono_ms - m->due : w->now.mono_ms - (m->due - w->conf.lock_ms);
    enum err want = ERR_OK;
    if (w->rewinding || (m->doubt && unsettled(m)))
        want = ERR_BUSY;
    else if (m->state != LEDGER_ACQUIRED)
        want = claim.force && unsettled(m) && m->state != LEDGER_DEAD ? ERR_OK : ERR_NOT_FOUND;
    else if (m->burying || (idle > 0 ? idle : 0) < claim.idle_min_ms)
        want = ERR_BUSY;
    if (m->state == LEDGER_ACQUIRED && !m->doubt)
        token_old(w, m->token);
    CHECK_AT(w, o, ledger_claim(w->l, &claim, w->now, &out) == want);
    if (want != ERR_OK)
        return;
    if (claim.deliveries >= 0)
        w->m[o].deliveries = (uint32_t)claim.deliveries;
    if (w->m[o].written > w->m[o].deliveries)
        w->m[o].written = w->m[o].deliveries;
    acquired(w, &out, claim.owner, w->conf.lock_ms, claim.deliveries == -1);
    if (w->m[o].endless)
        w->m[o].due -= claim.idle_ms;
}

/* ---- verbs: time ---- */

void do_time(struct world *w, const struct step *s)
{
    int64_t ms = s->a % 4 == 0 ? s->b % 1500 : s->b % 90;
    w->now.mono_ms += ms;
    w->now.wall_ms += ms;
    while (ledger_step(w->l, w->now))
        ;
    if (w->rewinding)
        return;
    CHECK(w, ledger_due(w->l) > w->now.mono_ms);
    for (unsigned i = 0; w->by_session && i < SESSIONS; i++) {
        if (w->sessions[i].locked && w->sessions[i].due <= w->now.mono_ms)
            session_unlocked(w, i);
    }
    for (int64_t o = 0; o < SPAN; o++) {
        struct model_message *m = &w->m[o];
        bool own = !w->by_session || m->burying;
        if (m->doubt || m->due == 0 || m->due > w->now.mono_ms)
            continue;
        if (m->state == LEDGER_ACQUIRED && !m->endless && own)
            *m = released(w, o, 0, false);
        else if (m->state == LEDGER_AVAILABLE)
            m->due = 0;
    }
}

void do_expire(struct world *w, const struct step *s)
{
    if (w->rewinding)
        return;
    if (s->a % 3 != 0) {
        int64_t o = s->b % SPAN;
        struct model_message *m = &w->m[o];
        bool can =
            unsettled(m) && !m->doubt && m->state != LEDGER_ACQUIRED && m->state != LEDGER_DEAD;
        CHECK_AT(w, o, ledger_expire_one(w->l, o) == (can ? ERR_OK : ERR_NOT_FOUND));
        if (can) {
            m->state = LEDGER_DEAD;
            m->expired = true;
            m->due = 0;
        }
        return;
    }
    int64_t below = w->expired_below + s->b % 200;
    while (ledger_expire(w->l, below))
        ;
    if (below > w->next)
        below = w->next;
    for (int64_t o = w->expired_below; o < below; o++) {
        struct model_message *m = &w->m[o];
        if (unsettled(m) && !m->doubt && m->state != LEDGER_ACQUIRED && m->state != LEDGER_DEAD) {
            m->state = LEDGER_DEAD;
            m->expired = true;
            m->due = 0;
        }
    }
    if (below > w->expired_below)
        w->expired_below = below;
}

void trimmed(struct world *w, int64_t to, uint64_t *lost_out, uint64_t *unseen_out)
{
    uint64_t lost = 0, want_unseen = 0;
    for (int64_t o = 0; o < to; o++) {
        if (unsettled(&w->m[o]) && !w->m[o].doubt) {
            lost++;
            w->m[o].state = LEDGER_SETTLED;
        }
        want_unseen += o >= w->next;
        if (w->m[o].state == LEDGER_UNSEEN)
            w->m[o].state = LEDGER_SETTLED;
    }
    w->log_start = to;
    if (w->next < to)
        w->next = to;
    *lost_out = lost;
    *unseen_out = want_unseen;
}

void do_trim(struct world *w, const struct step *s)
{
    int64_t to = w->log_start + s->a % (s->b % 3 == 0 ? 700 : 40);
    uint64_t unseen, lost = 0, want_unseen = 0;
    if (to > SPAN)
        to = SPAN;
    if (w->rewinding) {
        if (to > w->trim_later)
            w->trim_later = to;
    } else {
        trimmed(w, to, &lost, &want_unseen);
    }
    CHECK(w, ledger_trim(w->l, to, &unseen) == lost && unseen == want_unseen);
}

void do_stragglers(struct world *w, const struct step *s)
{
    int64_t target = s->a % SPAN, out[12];
    size_t max = 1 + s->b % 12, want = 0;
    size_t n = ledger_stragglers(w->l, target, out, max);
    for (int64_t o = 0; o < target; o++) {
        if (!unsettled(&w->m[o]))
            continue;
        if (want < n)
            CHECK_AT(w, o, out[want] == o);
        want++;
    }
    CHECK(w, n == (want > max ? 0 : want));
}

void do_peek(struct world *w, const struct step *s)
{
    struct ledger_message got;
    int64_t from = s->a % SPAN, o = from;
    while (o < w->next && !unsettled(&w->m[o]))
        o++;
    bool found = ledger_peek(w->l, from, w->now, &got);
    CHECK(w, found == (o < w->next) && (!found || got.offset == o));
}

/* ---- verbs: sessions ---- */

void do_session(struct world *w, const struct step *s)
{
    unsigned no = s->a % SESSIONS;
    uint64_t owner = s->b % OWNERS;
    struct model_session *ms = &w->sessions[no];
    bool holds = ms->locked && ms->owner == owner;
    int64_t until;
    if (!w->by_session || w->rewinding)
        return;
    enum err want = holds ? ERR_OK : ms->locked ? ERR_SESSION_LOCKED : ERR_LOCK_LOST;
    if (s->c % 3 == 0) {
        CHECK(w, ledger_session_renew(w->l, owner, session_id(no), 0, w->now, &until) == want);
        if (holds)
            ms->due = w->now.mono_ms + LOCK_MS;
    } else if (s->c % 3 == 1) {
        CHECK(w, ledger_session_release(w->l, owner, session_id(no), w->now) == want);
        if (holds)
            session_unlocked(w, no);
    } else {
        struct flight *f = open_change(w);
        uint32_t value = s->c / 3 % 4;
        struct slice state = {NULL, NULL, 0}, got;
        CHECK(w, ledger_session_state(w->l, owner, session_id(no), &got) == want);
        if (holds)
            CHECK(w, (got.at == NULL) == (ms->state == 0) && got.len == ms->state % 4 * 10);
        if (f->rewind || f->state_session >= 0)
            return;
        if (value != 0)
            state = slice_copy("123456789012345678901234567890", value * 10);
        enum err err = ledger_session_set_state(f->change, owner, session_id(no), state);
        slice_unref(state);
        CHECK(w, err == (holds && ms->state_doubt ? ERR_BUSY : want));
        if (err != ERR_OK)
            return;
        ms->state_doubt = true;
        f->state_session = (int)no;
        f->state = value;
    }
}
