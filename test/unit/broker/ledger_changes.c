/* Verbs of the random test: writing, rewinding, and the end of the process. */
#include "ledger_world.h"

/* ---- verbs: changes ---- */

static void event_add(struct world *w, struct event e)
{
    if (w->events_n == w->events_cap) {
        w->events_cap = w->events_cap == 0 ? 64 : w->events_cap * 2;
        w->events = mem_realloc(w->events, w->events_cap * sizeof(struct event *));
    }
    struct event *copy = mem_alloc(sizeof(*copy));
    *copy = e;
    w->events[w->events_n++] = copy;
}

static void land_one(struct world *w, struct flight *f)
{
    f->landed = true;
    f->at = w->log.end;
    ledger_log_begin(&w->log, &f->take);
    ledger_log_land(&w->log, &f->take);
    w->rewinds += f->rewind;
    if (f->rewind) {
        struct event e = {.at = f->at, .rewind = true, .offset = f->to};
        for (int64_t o = 0; o < SPAN && f->keep; o++)
            e.keep[o] = unsettled(&w->m[o]) && !is_ready(&w->m[o]);
        event_add(w, e);
    }
    /* A settle that lands behind a rewind taken after it means nothing any more. */
    for (size_t i = 0; i < f->doubts_n && f->rewinds == w->rewinds; i++) {
        if (f->doubts[i].becomes.state == LEDGER_SETTLED)
            event_add(w, (struct event){.at = f->at, .offset = f->doubts[i].offset});
    }
}

/* Those that are not alone keep their order. */
static void land(struct world *w, struct flight *f)
{
    for (size_t i = 0; i < w->flights_n && !f->alone; i++) {
        struct flight *before = &w->flights[i];
        if (before == f)
            break;
        if (!before->alone && !before->landed && !before->fails)
            land_one(w, before);
    }
    land_one(w, f);
}

static void flight_done(struct world *w, size_t i, bool ok);

void do_take(struct world *w, const struct step *s)
{
    if (w->flights_n == FLIGHT_MAX)
        flight_done(w, 0, !w->flights[0].fails);
    struct flight *f = open_change(w);
    f->alone = s->a % 4 == 0 || f->rewind;
    f->fails = s->b % 5 == 0;
    f->rewinds = w->rewinds;
    ledger_take(f->change, f->alone, w->now, &f->take);
    CHECK(w, f->take.settles || f->doubts_n == 0);
    for (size_t i = 0; i < f->take.n && s->b / 5 % 3 == 0; i++) /* a snapshot that held it */
        ledger_log_snapshot_of(&w->log, f->take.records[i].entity, w->now);
    w->flights[w->flights_n++] = *f;
    w->open = (struct flight){.change = NULL};
    f = &w->flights[w->flights_n - 1];
    bool late = s->b / 32 % 3 == 0 && !f->rewind; /* its entities wait for their snapshots */
    bool told = !f->alone && !late;               /* all of it, in what lands */
    for (size_t i = 0; i < w->flights_n; i++)
        told = told && !w->flights[i].fails;
    for (int64_t o = 0; o < SPAN && told; o++) {
        if (!w->m[o].doubt)
            w->m[o].written = w->m[o].deliveries;
    }
    if (!f->fails && !late && !(f->alone && !f->rewind))
        land(w, f);
}

static void rewound(struct world *w, const struct flight *f)
{
    for (int64_t o = 0; o < SPAN; o++) {
        struct model_message *m = &w->m[o];
        if (f->keep && unsettled(m) && !is_ready(m))
            continue;
        if (is_acquired(m))
            token_old(w, m->token);
        *m = (struct model_message){.state = o < f->to ? LEDGER_SETTLED : LEDGER_UNSEEN,
                                    .token = m->token};
    }
    /* What was in doubt is void. */
    for (size_t i = 0; i < w->flights_n; i++)
        w->flights[i].doubts_n = 0;
    w->open.doubts_n = 0;
    w->next = f->to;
    for (unsigned i = 0; i < SESSIONS; i++) {
        w->sessions[i].lock_no += w->sessions[i].locked;
        w->sessions[i].locked = false;
    }
}

static void doubt_undone(struct world *w, const struct doubt *d)
{
    struct model_message *m = &w->m[d->offset];
    const struct model_session *s = &w->sessions[session_no(d->offset)];
    bool orphan = w->by_session ? !m->burying && s->lock_no != d->lock_no : w->gone[m->owner];
    if (m->state == LEDGER_ACQUIRED && orphan)
        *m = released(w, d->offset, 0, false);
}

static void doubt_done(struct world *w, const struct doubt *d, bool ok, bool alone)
{
    struct model_message *m = &w->m[d->offset];
    uint32_t written = m->written;
    m->doubt = false;
    if (ok)
        *m = d->becomes;
    else
        doubt_undone(w, d);
    m->doubt = false;
    if (d->offset < w->log_start)
        m->state = LEDGER_SETTLED;
    m->written = written;
    /* Of a change taken alone, the message's acquisition may land later here; in earnest it has, or
     * nobody could have settled. */
    if (ok && (!alone || d->becomes.deliveries < written))
        m->written = d->becomes.deliveries;
    if (unsettled(m) && m->state != LEDGER_ACQUIRED && d->offset < w->expired_below) {
        m->expired |= m->state != LEDGER_DEAD;
        m->state = LEDGER_DEAD;
        m->due = 0;
    }
}

static void flight_done(struct world *w, size_t i, bool ok)
{
    if (!w->flights[i].landed && ok)
        land(w, &w->flights[i]);
    struct flight f = w->flights[i];
    w->flights_n--;
    memmove(&w->flights[i], &w->flights[i + 1], (w->flights_n - i) * sizeof(f));
    if (ok && f.take.settles && f.at + 1 > w->durable)
        w->durable = f.at + 1;
    if (f.landed)
        ledger_log_end(&w->log, &f.take);
    ledger_done(f.change, ok ? ERR_OK : ERR_DISK_FULL, w->now);
    for (size_t k = 0; k < f.doubts_n; k++)
        doubt_done(w, &f.doubts[k], ok, f.alone);
    if (f.state_session >= 0) {
        w->sessions[f.state_session].state_doubt = false;
        if (ok)
            w->sessions[f.state_session].state = f.state;
    }
    if (f.rewind)
        w->rewinding = false;
    if (f.rewind && ok)
        rewound(w, &f);
    if (f.rewind && w->trim_later > w->log_start) {
        uint64_t lost, unseen;
        trimmed(w, w->trim_later, &lost, &unseen);
    }
    mem_free(f.doubts);
}

/* Those not alone are done in order, as a store answers. */
void do_done(struct world *w, const struct step *s)
{
    if (w->flights_n == 0)
        return;
    size_t i = s->a % w->flights_n;
    for (size_t k = 0; k < i; k++) {
        if (!w->flights[k].alone && !w->flights[i].alone) {
            i = k;
            break;
        }
    }
    flight_done(w, i, !w->flights[i].fails);
}

void do_rewind(struct world *w, const struct step *s)
{
    struct flight *f = open_change(w);
    if (f->doubts_n != 0 || f->state_session >= 0 || f->rewind)
        return;
    int64_t to = s->a % (w->next + 100 < SPAN ? w->next + 100 : SPAN);
    bool keep = s->b % 2 && !w->by_session, doubt = false;
    for (int64_t o = 0; o < SPAN; o++)
        doubt |= w->m[o].doubt;
    enum err err = ledger_rewind(f->change, to, keep);
    CHECK(w, err == (w->rewinding || (keep && doubt) ? ERR_BUSY : ERR_OK));
    if (err != ERR_OK)
        return;
    f->rewind = w->rewinding = true;
    f->keep = keep;
    f->to = to > w->log_start ? to : w->log_start;
}

void do_snapshot(struct world *w, const struct step *s)
{
    size_t n = s->b % 2 ? w->log.entities_n : 1 + s->a % 4;
    for (size_t i = 0; i < n; i++)
        ledger_log_snapshot(&w->log, w->now);
}

void do_pack(struct world *w, const struct step *s)
{
    (void)s;
    ledger_pack(w->l, w->now);
}

/* ---- verbs: the end of the process ---- */

/* All that is to be written is. */
static void write_all(struct world *w)
{
    for (unsigned round = 0; round < 4; round++) {
        struct step take = {.a = 1, .b = 1};
        do_take(w, &take);
        while (w->flights_n != 0)
            flight_done(w, 0, !w->flights[0].fails);
    }
    CHECK(w, !ledger_changed(w->l));
}

/* Nothing is lost: a fold of the whole log is the ledger. */
void do_shadow(struct world *w, const struct step *s)
{
    (void)s;
    write_all(w);
    struct ledger *live = w->l;
    struct ledger *fold = ledger_log_fold(&w->log, &w->conf, 0, w->log.end, w->now, false);
    w->l = fold;
    for (int64_t o = 0; o < SPAN; o++) {
        compare_one(w, o);
        if (is_acquired(&w->m[o])) {
            struct ledger_ref ref = ledger_ref(fold, &w->m[o].token);
            struct ledger_message m;
            ledger_get(fold, o, w->now, &m);
            struct ledger_change *c = ledger_change_make(fold);
            CHECK_AT(w, o, ledger_accept(c, ref) == ERR_OK);
            ledger_change_cancel(c);
        }
    }
    /* After a crash or a seek, what lies behind next may be known already. */
    int64_t next = w->next;
    while (w->next < SPAN && w->next < ledger_next(fold) && w->m[w->next].state != LEDGER_UNSEEN)
        w->next++;
    compare_counts(w);
    w->next = next;
    w->l = live;
    ledger_free(fold);
}

struct must {
    bool settled[SPAN];
    bool rewound;
};

/* What the log says for sure, up to the cut. */
static void must_make(const struct world *w, size_t cut, struct must *must)
{
    memset(must, 0, sizeof(*must));
    for (size_t i = 0; i < w->events_n; i++) {
        const struct event *e = w->events[i];
        if (e->at >= cut)
            continue;
        if (!e->rewind) {
            must->settled[e->offset] = true;
            continue;
        }
        for (int64_t o = 0; o < SPAN; o++)
            must->settled[o] = o < e->offset && !e->keep[o];
    }
}

static void crash_check(struct world *w, const struct must *must, bool all)
{
    for (int64_t o = 0; o < SPAN; o++) {
        struct ledger_message got;
        ledger_get(w->l, o, w->now, &got);
        bool open = got.state != LEDGER_SETTLED && got.state != LEDGER_UNSEEN;
        CHECK_AT(w, o, !open || taken_by_filter(o));
        if (o < w->log_start)
            continue; /* gone, whether the log knows or not */
        CHECK_AT(w, o, !must->settled[o] || got.state == LEDGER_SETTLED);
        CHECK_AT(w, o, must->settled[o] || !taken_by_filter(o) || got.state != LEDGER_SETTLED);
        const struct model_message *m = &w->m[o];
        if (all && open && unsettled(m) && !m->doubt)
            CHECK_AT(w, o,
                     got.deliveries >= (m->written < m->deliveries ? m->written : m->deliveries));
    }
}

/* What is left is what the ledger says. */
static void model_from_ledger(struct world *w)
{
    for (int64_t o = 0; o < SPAN; o++) {
        struct ledger_message got;
        struct lock_token token = w->m[o].token;
        ledger_get(w->l, o, w->now, &got);
        struct model_message *m = &w->m[o];
        *m = (struct model_message){.state = got.state,
                                    .expired = got.expired,
                                    .burying = got.burying,
                                    .deliveries = got.deliveries,
                                    .written = got.deliveries,
                                    .owner = got.owner,
                                    .first = got.first_ms,
                                    .endless = got.due_ms == INT64_MAX,
                                    .token = token};
        if (m->endless && got.state == LEDGER_ACQUIRED)
            m->due = w->now.mono_ms - got.idle_ms;
        else if (got.due_ms != 0)
            m->due = got.due_ms - w->now.wall_ms + w->now.mono_ms;
    }
    w->next = ledger_next(w->l);
}

/* A token that is not of what is acquired now would be wrong to use: such messages time out. */
static void model_tokens(struct world *w)
{
    struct ledger_change *c = ledger_change_make(w->l);
    for (int64_t o = 0; o < SPAN; o++) {
        struct model_message *m = &w->m[o];
        if (m->state != LEDGER_ACQUIRED)
            continue;
        bool good = ledger_accept(c, ledger_ref(w->l, &m->token)) == ERR_OK;
        if (!good) { /* an acquisition that the model knew by a later one */
            struct ledger_ref ref = {o, LEDGER_BY_OFFSET, 0};
            CHECK_AT(w, o, ledger_accept(c, ref) == ERR_OK);
            memset(&m->token, 0, sizeof(m->token));
        }
    }
    ledger_change_cancel(c);
    for (int64_t o = 0; o < SPAN; o++) {
        struct model_message *m = &w->m[o];
        static const struct lock_token none;
        if (m->state == LEDGER_ACQUIRED && token_eq(&m->token, &none)) {
            struct ledger_change *d = ledger_change_make(w->l);
            struct ledger_take take;
            CHECK_AT(w, o,
                     ledger_release(d, (struct ledger_ref){o, LEDGER_BY_OFFSET, 0}, 0, false,
                                    w->now) == ERR_OK);
            ledger_take(d, true, w->now, &take);
            ledger_log_begin(&w->log, &take);
            ledger_log_land(&w->log, &take);
            ledger_log_end(&w->log, &take);
            ledger_done(d, ERR_OK, w->now);
            *m = released(w, o, 0, false);
        }
    }
}

static void model_sessions(struct world *w)
{
    struct ledger_session got;
    for (unsigned i = 0; i < SESSIONS; i++)
        w->sessions[i] = (struct model_session){.lock_no = 0};
    for (uint32_t at = 0; ledger_sessions(w->l, &at, w->now, &got);) {
        for (unsigned i = 0; i < SESSIONS; i++) {
            if (!str_eq(got.id, session_id(i)))
                continue;
            w->sessions[i].locked = got.locked;
            w->sessions[i].owner = got.owner;
            w->sessions[i].due = got.locked_until_ms - w->now.wall_ms + w->now.mono_ms;
            w->sessions[i].state = (unsigned)got.state_bytes / 10;
        }
    }
}

void flights_forget(struct world *w)
{
    for (size_t i = 0; i < w->flights_n; i++) {
        ledger_done(w->flights[i].change, ERR_CLOSED, w->now);
        mem_free(w->flights[i].doubts);
    }
    mem_free(w->open.doubts);
    w->flights_n = 0;
    w->open = (struct flight){.change = NULL};
    w->rewinding = false;
    w->trim_later = 0;
}

static void events_cut(struct world *w, size_t cut)
{
    size_t n = 0;
    for (size_t i = 0; i < w->events_n; i++) {
        if (w->events[i]->at >= cut)
            mem_free(w->events[i]);
        else
            w->events[n++] = w->events[i];
    }
    w->events_n = n;
}

/* The log has lost its end. */
static void clamp(struct world *w, const struct step *s)
{
    int64_t end = w->next - s->a % 200;
    struct ledger_change *c = ledger_change_make(w->l);
    struct ledger_take take;
    bool fails = s->b % 4 == 0;
    if (end < w->log_start)
        end = w->log_start;
    CHECK(w, ledger_clamp(c, end) == ERR_OK);
    CHECK(w, ledger_take(c, false, w->now, &take) && take.settles);
    ledger_log_begin(&w->log, &take);
    if (!fails) {
        struct event e = {.at = w->log.end, .rewind = true, .offset = end};
        for (int64_t o = 0; o < end; o++)
            e.keep[o] = unsettled(&w->m[o]);
        event_add(w, e);
        ledger_log_land(&w->log, &take);
    }
    ledger_log_end(&w->log, &take);
    ledger_done(c, fails ? ERR_DISK_FULL : ERR_OK, w->now);
    if (fails)
        return;
    w->next = end;
    w->durable = w->log.end;
    for (int64_t o = end; o < SPAN; o++)
        w->m[o] = (struct model_message){.state = LEDGER_UNSEEN, .token = w->m[o].token};
}

/* Out of memory, and back: nothing is different, whatever the wall clock did. */
void do_page(struct world *w, const struct step *s)
{
    struct ledger_past past;
    int64_t due = ledger_due(w->l);
    if (w->flights_n != 0 || w->open.change != NULL || !ledger_rests(w->l))
        return;
    size_t chunk = ledger_log_page_out(&w->log, w->l, w->now);
    ledger_past(w->l, &past);
    ledger_forget(w->l);
    ledger_free(w->l);
    int64_t most = due == INT64_MAX ? 5000 : due - w->now.mono_ms - 1;
    int64_t ms = most > 0 ? s->a % most : 0;
    w->now.mono_ms += ms;
    w->now.wall_ms += ms;
    w->l = ledger_log_page_in(&w->log, &w->conf, 0, chunk, w->now);
    ledger_resume(w->l, &past);
    uint64_t unseen;
    w->now.wall_ms += (int64_t)(s->b % 20000) - 10000;
    ledger_trim(w->l, w->log_start, &unseen);
    CHECK(w, ledger_rests(w->l) && (ledger_due(w->l) == due || due != INT64_MAX));
    CHECK(w, unseen == 0);
    w->durable = w->log.end;
}

void do_crash(struct world *w, const struct step *s)
{
    struct must must;
    /* kill -9 keeps all; a power cut what was durable, and as much more as it likes. */
    size_t cut = w->log.end;
    if (s->a % 2 != 0 && cut > w->durable)
        cut = w->durable + s->b % (cut - w->durable + 1);
    bool all = cut == w->log.end;
    for (size_t i = 0; i < w->log.entities_n; i++) /* a trim is durable after what allows it */
        if ((size_t)w->log.entities[i]->log.since >= cut)
            all = false, cut = w->log.end;
    must_make(w, cut, &must);
    ledger_free(w->l);
    flights_forget(w);
    w->conf.incarnation++;
    w->now.mono_ms = 10000 + s->c % 100000;
    w->now.wall_ms += s->c % 3 == 0 ? 400 : 0;
    w->l = ledger_log_fold(&w->log, &w->conf, 0, cut, w->now, true);
    w->durable = cut;
    w->expired_below = 0;
    memset(w->gone, 0, sizeof(w->gone));
    crash_check(w, &must, all);
    uint64_t unseen;
    ledger_trim(w->l, w->log_start, &unseen);
    model_from_ledger(w);
    model_sessions(w);
    model_tokens(w);
    events_cut(w, cut);
    struct step still = {.b = 0};
    do_time(w, &still);
    if (s->c % 4 == 0)
        clamp(w, s);
}
