/* Sessions: messages of one id, to one receiver at a time, in order.
 *
 * A session keeps its messages' offsets in order; most leave at the front. It has a message to give
 * if the first one that is not acquired, deferred or dead is ready; then, and while nobody holds
 * it, it stands in the list of ready sessions. A session that has neither messages nor lock nor
 * state is freed, once no record of it is under way. */
#include "broker/ledger_internal.h"

#include "base/mem.h"

#include <string.h>

#define MESSAGES_FIRST 4
#define SESSION_OFFSETS_MAX ((int64_t)UINT32_MAX) /* between a session's first and last message */

static size_t session_bytes(const struct session *s)
{
    return sizeof(*s) + s->id.len + 1;
}

struct sessions *sessions_make(void)
{
    struct sessions *t = mem_zalloc(1, sizeof(*t));
    map_init(&t->by_id);
    heap_init(&t->due);
    list_init(&t->ready);
    list_init(&t->dirty);
    t->bytes = sizeof(*t);
    return t;
}

/* ---- find, make, drop ---- */

static bool session_is(const struct map_node *node, const void *key)
{
    return str_eq(container_of_const(node, struct session, node)->id, *(const struct str *)key);
}

struct session *session_find(const struct ledger *l, struct str id)
{
    struct map_node *node =
        map_find(&l->sessions->by_id, hash_bytes(id.at, id.len), session_is, &id);
    return node != NULL ? container_of(node, struct session, node) : NULL;
}

static uint32_t session_index(struct sessions *t)
{
    if (t->unused_n != 0)
        return t->unused[--t->unused_n];
    if (t->n == t->cap) {
        uint32_t cap = t->cap == 0 ? 4 : t->cap * 2;
        t->all = mem_realloc(t->all, cap * sizeof(struct session *));
        t->unused = mem_realloc(t->unused, cap * sizeof(*t->unused));
        t->bytes += (cap - t->cap) * (sizeof(struct session *) + sizeof(*t->unused));
        t->cap = cap;
    }
    return t->n++;
}

struct session *session_get(struct ledger *l, struct str id)
{
    struct sessions *t = l->sessions;
    struct session *s = session_find(l, id);
    if (s != NULL || t->count >= LEDGER_OWNERS_MAX)
        return s;
    s = mem_zalloc(1, sizeof(*s));
    s->entity.ledger = l;
    s->entity.kind = ENTITY_SESSION;
    s->id = (struct str){mem_strndup(id.at != NULL ? id.at : "", id.len), id.len};
    s->index = session_index(t);
    s->given = -1;
    list_init(&s->ready_link);
    list_init(&s->dirty_link);
    t->all[s->index] = s;
    t->count++;
    t->bytes += session_bytes(s);
    map_insert(&t->by_id, &s->node, hash_bytes(id.at, id.len));
    return s;
}

static void session_free(struct ledger *l, struct session *s)
{
    struct sessions *t = l->sessions;
    if (l->conf.forget != NULL)
        l->conf.forget(l->conf.user, &s->entity.log);
    heap_remove(&t->due, &s->due_node);
    list_remove(&s->ready_link);
    list_remove(&s->dirty_link);
    map_remove(&t->by_id, &s->node);
    t->all[s->index] = NULL;
    t->unused[t->unused_n++] = s->index;
    t->count--;
    t->bytes -= session_bytes(s) + s->cap * sizeof(*s->messages) + s->state.len;
    slice_unref(s->state);
    mem_free(s->messages);
    mem_free((char *)(uintptr_t)s->id.at);
    mem_free(s);
}

void sessions_free(struct ledger *l)
{
    struct sessions *t = l->sessions;
    if (t == NULL)
        return;
    for (uint32_t i = 0; i < t->n; i++) {
        if (t->all[i] != NULL)
            session_free(l, t->all[i]);
    }
    map_free(&t->by_id);
    heap_free(&t->due);
    mem_free(t->all);
    mem_free(t->unused);
    mem_free(t);
    l->sessions = NULL;
}

/* ---- messages ---- */

static void messages_room(struct ledger *l, struct session *s)
{
    if (s->head + s->n < s->cap)
        return;
    if (s->head > s->n / 4) {
        memmove(s->messages, s->messages + s->head, s->n * sizeof(*s->messages));
        s->head = 0;
        return;
    }
    uint32_t cap = s->cap == 0 ? MESSAGES_FIRST : s->cap + s->cap / 4 + 4;
    s->messages = mem_realloc(s->messages, cap * sizeof(*s->messages));
    l->sessions->bytes += (cap - s->cap) * sizeof(*s->messages);
    s->cap = cap;
}

/* Place of the first one at or above. */
static uint32_t message_place(const struct session *s, int64_t offset)
{
    uint32_t from = 0, to = s->n;
    while (from < to) {
        uint32_t mid = from + (to - from) / 2;
        if (s->base + s->messages[s->head + mid] < offset)
            from = mid + 1;
        else
            to = mid;
    }
    return from;
}

bool session_message_fits(const struct session *s, int64_t offset)
{
    if (s->n == 0)
        return true;
    int64_t last = s->base + s->messages[s->head + s->n - 1];
    return (offset > last ? offset : last) - (offset < s->base ? offset : s->base) <=
           SESSION_OFFSETS_MAX;
}

/* What lies before the first message is looked at only after a crash. */
static void session_rebase(struct session *s, int64_t base)
{
    for (uint32_t i = 0; i < s->n; i++)
        s->messages[s->head + i] += (uint32_t)(s->base - base);
    s->base = base;
}

void session_message_add(struct ledger *l, struct session *s, int64_t offset)
{
    weir_assert(session_message_fits(s, offset));
    if (s->n == 0) {
        s->base = offset;
        s->head = 0;
    }
    messages_room(l, s);
    if (offset < s->base)
        session_rebase(s, offset);
    uint32_t place = s->n, *at = s->messages + s->head;
    if (s->n != 0 && s->base + at[s->n - 1] > offset)
        place = message_place(s, offset);
    memmove(at + place + 1, at + place, (s->n - place) * sizeof(*at));
    at[place] = (uint32_t)(offset - s->base);
    s->n++;
}

void session_message_remove(struct ledger *l, struct session *s, int64_t offset)
{
    (void)l;
    uint32_t place = message_place(s, offset);
    if (place == s->n || s->base + s->messages[s->head + place] != offset)
        return; /* forgotten by a rewind */
    uint32_t *at = s->messages + s->head;
    s->n--;
    if (place < s->n / 2) {
        memmove(at + 1, at, place * sizeof(*at));
        s->head++;
    } else {
        memmove(at + place, at + place + 1, (s->n - place) * sizeof(*at));
    }
}

void session_messages_clear(struct ledger *l, struct session *s)
{
    mem_free(s->messages);
    l->sessions->bytes -= s->cap * sizeof(*s->messages);
    s->messages = NULL;
    s->head = s->n = s->cap = 0;
    s->given = -1;
}

static struct ledger_entry *message_at(struct ledger *l, const struct session *s, uint32_t i,
                                       struct ledger_page **page, unsigned *index)
{
    int64_t offset = s->base + s->messages[s->head + i];
    struct ledger_page *p = *page = page_find(l, page_of(offset));
    *index = index_of(offset);
    struct ledger_entry *e = p != NULL ? page_entry(l, p, *index) : NULL;
    weir_assert(e != NULL);
    return e;
}

/* Place of the message that may be given next, from place i on; s->n: none. */
static uint32_t next_given(struct ledger *l, const struct session *s, uint32_t i)
{
    for (; i < s->n; i++) {
        struct ledger_page *p;
        unsigned index;
        const struct ledger_entry *e = message_at(l, s, i, &p, &index);
#ifdef FAULT_session_overtaken
        if (e->state == LEDGER_AVAILABLE && (e->in_doubt || e->deliveries > 0))
            continue;
#endif
        if (e->state == LEDGER_AVAILABLE)
            return !e->in_doubt && bit_get(&p->slots->ready, index) ? i : s->n;
    }
    return s->n;
}

/* ---- where it stands ---- */

static bool session_wanted(const struct session *s)
{
    return s->n != 0 || s->locked || s->state.at != NULL || s->state_doubt || s->doubt_n != 0 ||
           s->writes != 0 || s->known || list_linked(&s->dirty_link);
}

void session_refresh(struct ledger *l, struct session *s)
{
    struct sessions *t = l->sessions;
    if (l->folding)
        return;
    if (!session_wanted(s)) {
        t->ready_n -= list_linked(&s->ready_link);
        session_free(l, s);
        return;
    }
    bool ready = !s->locked && s->former_n == 0 && s->n != 0 && next_given(l, s, 0) < s->n;
    if (ready == list_linked(&s->ready_link))
        return;
    if (ready)
        list_push(&t->ready, &s->ready_link);
    else
        list_remove(&s->ready_link);
    t->ready_n += ready ? 1u : 0u - 1u;
}

uint32_t ledger_sessions_ready(const struct ledger *l)
{
    return l->sessions != NULL ? l->sessions->ready_n : 0;
}

bool ledger_session_returns(struct ledger *l)
{
    if (ledger_sessions_ready(l) == 0)
        return false;
    const struct session *s = container_of(l->sessions->ready.next, struct session, ready_link);
    uint32_t i = next_given(l, s, 0);
    return i < s->n && s->base + s->messages[s->head + i] <= s->given;
}

void session_dirty(struct ledger *l, struct session *s)
{
    if (!list_linked(&s->dirty_link))
        list_push(&l->sessions->dirty, &s->dirty_link);
}

/* ---- locks ---- */

void session_locked(struct ledger *l, struct session *s, int64_t due)
{
    s->locked = true;
    s->due = due;
    heap_remove(&l->sessions->due, &s->due_node);
    if (due != INT64_MAX)
        heap_insert(&l->sessions->due, &s->due_node, due_pack(due));
}

/* Not those being settled: they come back by themselves, if they do. */
void session_unlock(struct ledger *l, struct session *s)
{
    heap_remove(&l->sessions->due, &s->due_node);
    s->locked = false;
    s->lock_no++;
    s->former_n = s->settling_n;
    for (uint32_t i = 0; i < s->n; i++) {
        struct ledger_page *p;
        unsigned index;
        struct ledger_entry *e = message_at(l, s, i, &p, &index);
        if (e->state == LEDGER_ACQUIRED && !e->in_doubt && !e->burying)
            entry_release(l, p, index, e, false);
    }
    session_dirty(l, s);
    session_refresh(l, s);
}

static void info_fill(const struct session *s, struct ledger_time now, struct ledger_session *out)
{
    *out = (struct ledger_session){
        .id = s->id,
        .locked = s->locked,
        .owner = s->locked ? s->owner : 0,
        .locked_until_ms = s->due == INT64_MAX ? INT64_MAX : now.wall_ms + (s->due - now.mono_ms),
        .messages = s->n,
        .state_bytes = s->state.len};
}

static int64_t lock_end(const struct ledger *l, uint32_t lock_ms, struct ledger_time now)
{
    if (lock_ms == 0)
        lock_ms = l->conf.lock_ms;
    return lock_ms == 0 ? INT64_MAX : now.mono_ms + lock_ms;
}

enum err ledger_session_lock(struct ledger *l, uint64_t owner, struct str id, uint32_t lock_ms,
                             struct ledger_time now, struct ledger_session *out)
{
    weir_check(l, LEDGER_MAGIC);
    struct session *s = NULL;
    if (l->sessions == NULL || id.len > LEDGER_SESSION_ID_MAX)
        return ERR_REQUEST_INVALID;
    if (l->rewinding != NULL)
        return ERR_BUSY;
    if (id.at == NULL && list_empty(&l->sessions->ready))
        return ERR_NOT_FOUND;
    if (id.at == NULL)
        s = container_of(l->sessions->ready.next, struct session, ready_link);
    else if ((s = session_get(l, id)) == NULL)
        return ERR_BUSY;
#ifndef FAULT_session_shared
    if (s->locked ? s->owner != owner : s->former_n != 0)
        return ERR_SESSION_LOCKED;
#endif
    s->owner = owner;
    session_locked(l, s, lock_end(l, lock_ms, now));
    session_dirty(l, s);
    session_refresh(l, s);
    info_fill(s, now, out);
    return ERR_OK;
}

static enum err session_held(const struct ledger *l, uint64_t owner, struct str id,
                             struct session **out)
{
    weir_check(l, LEDGER_MAGIC);
    struct session *s = *out = l->sessions != NULL ? session_find(l, id) : NULL;
    if (s == NULL || !s->locked)
        return ERR_LOCK_LOST;
    return s->owner == owner ? ERR_OK : ERR_SESSION_LOCKED;
}

enum err ledger_session_renew(struct ledger *l, uint64_t owner, struct str id, uint32_t lock_ms,
                              struct ledger_time now, int64_t *locked_until_ms)
{
    struct session *s;
    enum err err = session_held(l, owner, id, &s);
    if (err != ERR_OK)
        return err;
    if (l->rewinding != NULL)
        return ERR_BUSY;
    struct ledger_session info;
    session_locked(l, s, lock_end(l, lock_ms, now));
    session_dirty(l, s);
    info_fill(s, now, &info);
    *locked_until_ms = info.locked_until_ms;
    return ERR_OK;
}

enum err ledger_session_release(struct ledger *l, uint64_t owner, struct str id,
                                struct ledger_time now)
{
    (void)now;
    struct session *s;
    enum err err = session_held(l, owner, id, &s);
    if (err != ERR_OK)
        return err;
    if (l->rewinding != NULL)
        return ERR_BUSY;
    session_unlock(l, s);
    return ERR_OK;
}

void sessions_release_owner(struct ledger *l, uint64_t owner, struct ledger_time now)
{
    (void)now;
    for (uint32_t i = 0; i < l->sessions->n; i++) {
        struct session *s = l->sessions->all[i];
        if (s != NULL && s->locked && s->owner == owner)
            session_unlock(l, s);
    }
}

bool sessions_step(struct ledger *l, struct ledger_time now, unsigned n)
{
    struct heap_node *node;
    while ((node = heap_min(&l->sessions->due)) != NULL && node->key <= due_pack(now.mono_ms)) {
        if (n-- == 0)
            return true;
        l->lock_expired++;
        session_unlock(l, container_of(node, struct session, due_node));
    }
    return false;
}

/* ---- messages, for who holds it ---- */

size_t ledger_session_acquire(struct ledger *l, uint64_t owner, struct str id,
                              struct ledger_time now, struct ledger_taken *out, size_t n)
{
    struct session *s;
    size_t done = 0;
    if (session_held(l, owner, id, &s) != ERR_OK)
        return 0;
    n = in_flight_room(l, n);
    for (uint32_t i = 0; done < n && (i = next_given(l, s, i)) < s->n; i++) {
        struct ledger_page *p;
        unsigned index;
        (void)message_at(l, s, i, &p, &index);
        s->given = page_start(p) + index;
        entry_give(l, p, index, s->index, 0, now, &out[done++]);
    }
    return done;
}

/* ---- state ---- */

enum err ledger_session_state(const struct ledger *l, uint64_t owner, struct str id,
                              struct slice *out)
{
    struct session *s;
    enum err err = session_held(l, owner, id, &s);
    if (err == ERR_OK)
        *out = s->state;
    return err;
}

enum err ledger_session_set_state(struct ledger_change *c, uint64_t owner, struct str id,
                                  struct slice state)
{
    struct session *s;
    enum err err = session_held(c->ledger, owner, id, &s);
    weir_assert(!c->taken);
    if (err != ERR_OK)
        return err;
    if (s->state_doubt || c->ledger->rewinding != NULL)
        return ERR_BUSY;
    struct change_item *item = change_item_add(c);
    *item = (struct change_item){.session = s, .state = slice_ref(state)};
    s->state_doubt = true;
    return ERR_OK;
}

void session_state_done(struct ledger *l, struct change_item *item, bool ok)
{
    struct session *s = item->session;
    s->state_doubt = false;
    if (ok) {
        l->sessions->bytes += item->state.len;
        l->sessions->bytes -= s->state.len;
        slice_unref(s->state);
        s->state = item->state;
        item->state = (struct slice){NULL, NULL, 0};
        s->known = s->locked || s->state.at != NULL || s->known;
    }
    session_refresh(l, s);
}

/* ---- records ---- */

static void take_session(struct ledger_change *c, struct session *s)
{
    if (c->sessions_n == c->sessions_cap) {
        c->sessions_cap = c->sessions_cap == 0 ? 4 : c->sessions_cap * 2;
        c->sessions = mem_realloc(c->sessions, c->sessions_cap * sizeof(struct session *));
    }
    c->sessions[c->sessions_n++] = s;
    s->writes++;
}

static void take_lock(struct ledger *l, struct ledger_change *c, struct session *s,
                      struct ledger_time now)
{
    list_remove(&s->dirty_link);
    take_session(c, s);
    record_begin(c, &s->entity);
    session_key(l, s, false, &c->wr);
    record_key_end(c);
    if (s->locked)
        session_write(s, now, &c->wr);
    record_end(c);
    s->known = true;
}

static void state_write(struct slice state, struct wr *w)
{
    if (state.at == NULL)
        return;
    wr_u8(w, LEDGER_FORMAT);
    wr_bytes(w, state.at, state.len);
}

static void take_state(struct ledger *l, struct ledger_change *c, struct change_item *item)
{
    record_begin(c, &item->session->entity);
    session_key(l, item->session, true, &c->wr);
    record_key_end(c);
    state_write(item->state, &c->wr);
    record_end(c);
    item->session->known = true;
}

void sessions_take(struct ledger *l, struct ledger_change *c, struct ledger_time now)
{
    for (uint32_t i = 0; i < c->items_n; i++) {
        struct session *s = c->items[i].page == NULL ? c->items[i].session : NULL;
        if (s == NULL)
            continue;
        take_state(l, c, &c->items[i]);
        if (!c->alone && list_linked(&s->dirty_link))
            take_lock(l, c, s, now); /* records of an entity are next to each other */
    }
    if (c->alone)
        return;
    list_for_safe (it, &l->sessions->dirty)
        take_lock(l, c, container_of(it, struct session, dirty_link), now);
}

/* Its locks' records are written, or not. */
void sessions_told(struct ledger *l, struct ledger_change *c, bool ok)
{
    for (uint32_t i = 0; i < c->sessions_n; i++) {
        struct session *s = c->sessions[i];
        s->writes--;
        if (!ok)
            session_dirty(l, s);
        else if (s->writes == 0 && !s->locked && s->state.at == NULL && !s->state_doubt &&
                 !list_linked(&s->dirty_link))
            s->known = false; /* the log says that there is nothing */
        session_refresh(l, s);
    }
}

void session_snapshot(const struct session *s, struct ledger_time now, struct batch_builder *out)
{
    struct wr key, value;
    wr_init(&key, 64);
    wr_init(&value, 64);
    session_key(s->entity.ledger, s, false, &key);
    if (s->locked)
        session_write(s, now, &value);
    struct str k = {(const char *)key.buf->data, key.len};
    struct str v = {s->locked ? (const char *)value.buf->data : NULL, value.len};
    batch_add(out, now.wall_ms, k, v, NULL, 0);
    key.len = value.len = 0;
    session_key(s->entity.ledger, s, true, &key);
    state_write(s->state, &value);
    k = (struct str){(const char *)key.buf->data, key.len};
    v = (struct str){s->state.at != NULL ? (const char *)value.buf->data : NULL, value.len};
    batch_add(out, now.wall_ms, k, v, NULL, 0);
    wr_free(&key);
    wr_free(&value);
}

/* ---- fold, rewind, list ---- */

void sessions_folded(struct ledger *l)
{
    struct sessions *t = l->sessions;
    for (uint32_t i = 0; i < t->n; i++) {
        struct session *s = t->all[i];
        if (s == NULL)
            continue;
        if (s->locked)
            session_locked(l, s, s->due);
        session_refresh(l, s);
    }
}

void sessions_clear(struct ledger *l)
{
    for (uint32_t i = 0; i < l->sessions->n; i++) {
        if (l->sessions->all[i] != NULL)
            session_messages_clear(l, l->sessions->all[i]);
    }
}

void sessions_rewound(struct ledger *l, bool unlock)
{
    for (uint32_t i = 0; i < l->sessions->n; i++) {
        struct session *s = l->sessions->all[i];
        if (s != NULL && s->locked && unlock)
            session_unlock(l, s);
        else if (s != NULL)
            session_refresh(l, s);
    }
}

void sessions_forget(struct ledger *l)
{
    for (uint32_t i = 0; i < l->sessions->n; i++) {
        if (l->sessions->all[i] != NULL)
            l->conf.forget(l->conf.user, &l->sessions->all[i]->entity.log);
    }
}

bool ledger_sessions(const struct ledger *l, uint32_t *at, struct ledger_time now,
                     struct ledger_session *out)
{
    for (; l->sessions != NULL && *at < l->sessions->n; ++*at) {
        const struct session *s = l->sessions->all[*at];
        if (s == NULL)
            continue;
        info_fill(s, now, out);
        ++*at;
        return true;
    }
    return false;
}
