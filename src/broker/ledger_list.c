/* Looking at a ledger: messages, holders, stragglers, numbers. */
#include "broker/ledger_internal.h"

/* Packed pages are unpacked to be looked at, which changes nothing but memory. */
static struct ledger *mutable(const struct ledger *l)
{
    return (struct ledger *)(uintptr_t)l;
}

static int64_t wall_of(const struct ledger_entry *e, struct ledger_time now)
{
    return now.wall_ms + (due_of(e) - now.mono_ms);
}

struct was_find {
    unsigned index;
    const struct ledger_entry *e;
};

static void was_found(void *user, const struct change_item *item)
{
    struct was_find *f = user;
    if (item->index == f->index)
        f->e = &item->was;
}

static void acquired_fill(const struct ledger *l, const struct ledger_entry *e,
                          struct ledger_time now, struct ledger_message *out)
{
    int64_t since = e->endless ? due_of(e) : due_of(e) - l->conf.lock_ms;
    out->idle_ms = now.mono_ms > since ? now.mono_ms - since : 0;
    out->due_ms = e->endless ? INT64_MAX : wall_of(e, now);
    out->owner = e->burying && l->sessions != NULL ? 0 : entry_owner(l, e);
    if (l->sessions == NULL || e->burying)
        return;
    int64_t due = l->sessions->all[e->who]->due;
    out->due_ms = due == INT64_MAX ? INT64_MAX : now.wall_ms + (due - now.mono_ms);
}

static void message_fill(const struct ledger *l, struct ledger_page *p, unsigned index,
                         struct ledger_time now, struct ledger_message *out)
{
    const struct ledger_entry *e = page_entry(mutable(l), p, index);
    struct was_find f = {index, e};
    if (e->in_doubt)
        changes_confirmed(l, p, was_found, &f);
    *out = (struct ledger_message){
        .offset = page_start(p) + index,
        .state = (enum ledger_state)f.e->state,
        .settling = e->in_doubt,
        .expired = f.e->expired,
        .burying = f.e->burying,
        .deliveries = (uint32_t)f.e->deliveries,
        .first_ms = (int64_t)f.e->first,
    };
    if (l->sessions != NULL)
        out->session = l->sessions->all[f.e->who]->id;
    if (f.e->state == LEDGER_ACQUIRED)
        acquired_fill(l, f.e, now, out);
    else if (f.e->due != 0)
        out->due_ms = wall_of(f.e, now);
}

void ledger_get(const struct ledger *l, int64_t offset, struct ledger_time now,
                struct ledger_message *out)
{
    weir_check(l, LEDGER_MAGIC);
    *out = (struct ledger_message){.offset = offset,
                                   .state = offset < l->next ? LEDGER_SETTLED : LEDGER_UNSEEN};
    if (offset < 0 || offset >= LEDGER_OFFSET_MAX)
        return;
    struct ledger_page *p = page_find(l, page_of(offset));
    if (p != NULL && page_entry(mutable(l), p, index_of(offset)) != NULL)
        message_fill(l, p, index_of(offset), now, out);
    else if ((p != NULL && page_known(mutable(l), p, index_of(offset))) ||
             runs_cover(&l->beyond, page_of(offset)))
        out->state = LEDGER_SETTLED;
}

bool ledger_peek(const struct ledger *l, int64_t from, struct ledger_time now,
                 struct ledger_message *out)
{
    weir_check(l, LEDGER_MAGIC);
    if (from < 0)
        from = 0;
    for (uint32_t place = page_place(l, page_of(from)); place < l->dir.n; place++) {
        struct ledger_page *p = page_at(l, place);
        unsigned first = page_start(p) < from ? index_of(from) : 0;
        unsigned i = p->open != 0 ? page_next_open(mutable(l), p, first) : LEDGER_PAGE;
        if (i == LEDGER_PAGE)
            continue;
        if (page_start(p) + i >= l->next)
            return false;
        message_fill(l, p, i, now, out);
        return true;
    }
    return false;
}

bool ledger_holders(const struct ledger *l, uint32_t *at, struct ledger_holder *out)
{
    for (; *at < l->owners.n; ++*at) {
        const struct ledger_owner *o = l->owners.all[*at];
        if (o == NULL || o->held == 0)
            continue;
        *out = (struct ledger_holder){o->id, o->held};
        ++*at;
        return true;
    }
    return false;
}

uint32_t ledger_held(const struct ledger *l, uint64_t owner)
{
    const struct ledger_owner *o = owner_find(l, owner);
    return o != NULL ? o->held : 0;
}

size_t ledger_stragglers(const struct ledger *l, int64_t target, int64_t *out, size_t max)
{
    weir_check(l, LEDGER_MAGIC);
    size_t n = 0;
    for (uint32_t place = 0; place < l->dir.n; place++) {
        struct ledger_page *p = page_at(l, place);
        for (unsigned i = p->open != 0 ? page_next_open(mutable(l), p, 0) : LEDGER_PAGE;
             i < LEDGER_PAGE; i = page_next_open(mutable(l), p, i + 1)) {
            if (page_start(p) + i >= target)
                return n;
            if (n == max)
                return 0;
            out[n++] = page_start(p) + i;
        }
    }
    return n;
}

void ledger_stat(const struct ledger *l, struct ledger_stat *out)
{
    weir_check(l, LEDGER_MAGIC);
    *out = (struct ledger_stat){
        .ready = l->ready_n,
        .delayed = l->delayed_n,
        .acquired = l->acquired_n,
        .deferred = l->deferred_n,
        .dead = l->dead_n,
        .in_doubt = l->in_doubt_n,
        .pages = l->dir.n,
        .bytes = l->bytes + (l->ready.cap + l->due.cap) * sizeof(struct heap_node *) +
                 (l->runs.cap + l->beyond.cap) * sizeof(struct page_run) +
                 l->owners.by_id.cap * sizeof(struct map_node *),
        .delivered = l->delivered,
        .accepted = l->accepted,
        .released = l->released,
        .rejected = l->rejected,
        .lock_expired = l->lock_expired,
        .expired = l->expired,
        .skipped = l->skipped,
    };
    if (l->sessions == NULL)
        return;
    out->sessions = l->sessions->count;
    out->bytes += l->sessions->bytes + l->sessions->due.cap * sizeof(struct heap_node *) +
                  l->sessions->by_id.cap * sizeof(struct map_node *);
}
