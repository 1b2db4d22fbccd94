#include "broker/paged.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

/* Ops and wishes that wait until it is in memory. */
struct paged_load {
    struct statelog_load read;
    struct deliveries *all;
    struct paged *p;
    struct op_queue ops;
    enum err err;    /* that the ops are told; ERR_OK: it is being read */
    bool news;       /* a record has come */
    bool changed;    /* its subscription is another one */
    bool by_itself;  /* nobody asks again */
    bool full;       /* it is pressed to, for its size */
    int64_t pressed; /* 0: it is not */
};

static struct paged *paged_of(struct map_node *node)
{
    return container_of(node, struct paged, node);
}

static bool paged_eq(const struct map_node *node, const void *at)
{
    const struct paged *p = container_of_const(node, struct paged, node);
    const struct delivery_key *key = at;
    return p->index == key->index && uuid_eq(p->s->id, key->subscription);
}

struct paged *paged_find(struct deliveries *all, const struct uuid *subscription, int32_t index)
{
    struct delivery_key key = {*subscription, index};
    struct map_node *n = map_find(&all->paged, delivery_key_hash(&key), paged_eq, &key);
    return n != NULL ? paged_of(n) : NULL;
}

static struct statelog *log_of(struct deliveries *all, const struct paged *p)
{
    return all->shards[broker_shard_of_partition(&p->s->topic, p->index)].log;
}

static struct partition *partition_of(struct deliveries *all, const struct paged *p)
{
    return partition_find(all->broker, &p->s->topic, p->index);
}

/* ---- what is told of it ---- */

#define TOLD_WORDS (sizeof(struct paged_told) / sizeof(uint64_t))
_Static_assert(sizeof(struct paged_told) % sizeof(uint64_t) == 0, "words");

/* Of each word that is not 0, how many 0 are before it, and the word. */
static void told_write(const struct paged_told *told, struct wr *w)
{
    uint64_t words[TOLD_WORDS];
    uint32_t zeros = 0;
    memcpy(words, told, sizeof(words));
    for (size_t i = 0; i < TOLD_WORDS; i++) {
        zeros++;
        if (words[i] == 0)
            continue;
        wr_uvarint(w, zeros - 1);
        wr_uvarlong(w, words[i]);
        zeros = 0;
    }
}

void paged_tell(const struct paged *p, struct paged_told *out)
{
    uint64_t words[TOLD_WORDS] = {0};
    struct rd r;
    size_t i = 0;
    rd_init(&r, p->told, p->told_n);
    while (rd_left(&r) > 0) {
        i += rd_uvarint(&r);
        uint64_t word = rd_uvarlong(&r);
        weir_assert(i < TOLD_WORDS && !r.bad);
        words[i++] = word;
    }
    memcpy(out, words, sizeof(words));
}

size_t paged_bytes(const struct paged *p)
{
    return sizeof(*p) + p->told_n;
}

static void told_of(const struct delivery *d, struct paged_told *out)
{
    struct ledger_stat stat;
    ledger_stat(d->ledger, &stat);
    *out = (struct paged_told){
        .next = (uint64_t)ledger_next(d->ledger),
        .ready = stat.ready,
        .delayed = stat.delayed,
        .deferred = stat.deferred,
        .sessions = stat.sessions,
        .acquired = d->acquired,
        .expiry_ms = d->expiry_ms != INT64_MAX ? (uint64_t)d->expiry_ms : 0,
        .dead_lettered = d->dead_lettered,
        .expired = d->expired,
        .dropped = d->dropped,
    };
    ledger_past(d->ledger, &out->past);
    if (d->stages != NULL)
        out->stages = *d->stages;
}

/* ---- out ---- */

struct page_out {
    struct statelog_append append;
    struct delivery *d;
    struct paged *p;
};

static int64_t due_of(const struct delivery *d)
{
    int64_t ms = ledger_due(d->ledger);
    return d->expiry_ms < ms ? d->expiry_ms : ms;
}

static bool at_rest(const struct delivery *d, int64_t now_ms)
{
    struct ledger_stat stat;
    if (d->leaving || d->at == NULL || d->pending != 0 || d->change != NULL ||
        !list_empty(&d->told) || list_linked(&d->dirty) || d->stragglers != NULL ||
        due_of(d) < now_ms + (int64_t)d->all->sweep_ms * PAGED_DUE_SWEEPS ||
        !ledger_rests(d->ledger))
        return false;
    ledger_stat(d->ledger, &stat);
    return (uint64_t)stat.ready + stat.delayed + stat.deferred <= PAGED_MESSAGES_MAX &&
           stat.bytes <= 4 * PAGED_BYTES_MAX;
}

static struct paged *paged_make(const struct delivery *d, int64_t now_ms)
{
    struct paged_told told;
    struct wr w;
    told_of(d, &told);
    wr_init(&w, 64);
    told_write(&told, &w);
    struct paged *p = mem_zalloc(1, sizeof(*p) + w.len);
    p->entity.chunk = true;
    p->s = subscription_ref(d->s);
    p->index = d->index;
    p->floor = d->floor;
    p->due_ms = due_of(d);
    p->out_ms = now_ms;
    p->armed = d->armed;
    p->told_n = (uint16_t)w.len;
    memcpy(p->told, w.buf->data, w.len);
    wr_free(&w);
    list_init(&p->link);
    return p;
}

static void paged_drop(struct deliveries *all, struct paged *p)
{
    statelog_forget(log_of(all, p), &p->entity);
    subscription_unref(p->s);
    mem_free(p);
}

/* The log tells all of it by the chunk alone from here on. */
static void page_out_end(struct delivery *d, struct paged *p)
{
    struct delivery_key key = {d->subscription, d->index};
    map_insert(&d->all->paged, &p->node, delivery_key_hash(&key));
    list_push(&d->at->paged, &p->link);
    ledger_forget(d->ledger);
    delivery_free(d);
}

static void page_out_done(struct statelog_append *a, enum err err)
{
    struct page_out *out = container_of(a, struct page_out, append);
    struct delivery *d = out->d;
    struct paged *p = out->p;
    mem_free(out);
#ifdef FAULT_page_out_blindly
    bool still = !d->leaving && d->pending == 1;
#else
    bool still = !d->touched && !d->leaving && d->pending == 1;
#endif
    if (err != ERR_OK || !still) {
        paged_drop(d->all, p);
        delivery_leave(d);
        return;
    }
    d->pending = 0;
    page_out_end(d, p);
}

bool paged_out(struct delivery *d)
{
    struct ledger_time now = delivery_now(d->all);
    struct batch_builder b;
    if (!at_rest(d, now.mono_ms))
        return false;
    batch_begin(&b, 0);
    ledger_snapshot_all(d->ledger, now, &b);
    if (b.wr.len > PAGED_BYTES_MAX) {
        wr_free(&b.wr);
        return false;
    }
    struct page_out *out = mem_zalloc(1, sizeof(*out));
    out->d = d;
    out->p = paged_make(d, now.mono_ms);
    out->append.done = page_out_done;
    d->touched = false;
    delivery_enter(d);
    statelog_write(d->shard->log, &out->append, &b, &out->p->entity);
    return true;
}

/* ---- in ---- */

static void paged_leave(struct deliveries *all, struct paged *p)
{
    list_remove(&p->link);
    map_remove(&all->paged, &p->node);
}

/* What its records do not tell. */
static void past_give(struct delivery *d, const struct paged *p)
{
    struct paged_told told;
    paged_tell(p, &told);
    ledger_resume(d->ledger, &told.past);
    d->acquired = (uint32_t)told.acquired;
    d->dead_lettered = told.dead_lettered;
    d->expired = told.expired;
    d->dropped = told.dropped;
    for (size_t i = 0; i < STAGE_COUNT && d->stages == NULL; i++)
        if (histogram_count(&told.stages.of[i]) > 0)
            d->stages = mem_zalloc(1, sizeof(*d->stages));
    if (d->stages != NULL)
        *d->stages = told.stages;
}

static int64_t expiry_of(const struct paged *p)
{
    struct paged_told told;
    paged_tell(p, &told);
    return told.expiry_ms != 0 ? (int64_t)told.expiry_ms : INT64_MAX;
}

/* A delivery from the chunk. The due times in it are what was left when it was made. */
static enum err page_in(struct paged_load *l)
{
    struct deliveries *all = l->all;
    struct paged *p = l->p;
    unsigned shard = broker_shard_of_partition(&p->s->topic, p->index);
    struct delivery *d = delivery_make(all, &p->s->id, p->index, &all->shards[shard]);
    all->folded_ms = p->out_ms;
    enum err err = statelog_load_apply(&l->read);
    if (err == ERR_OK)
        err = all->load_err;
    all->folded_ms = 0;
    all->load_err = ERR_OK;
    if (err != ERR_OK) {
        ledger_forget(d->ledger);
        delivery_free(d);
        return err;
    }
    ledger_folded(d->ledger, delivery_now(all));
    past_give(d, p);
    paged_leave(all, p);
    delivery_attach(d);
    d->expiry_ms = l->changed && d->s->ttl_ms >= 0 ? delivery_now(all).mono_ms : expiry_of(p);
    d->news = d->news || l->news;
    paged_drop(all, p);
    if (l->pressed > 0 && d->at != NULL)
        delivery_pressed(d, l->pressed, l->full);
    return ERR_OK;
}

/* As one that is in memory ends, which has nothing to be forgotten. */
static void paged_end(struct deliveries *all, struct paged *p)
{
    struct uuid id = p->s->id;
    unsigned shard = broker_shard_of_partition(&p->s->topic, p->index);
    struct partition *at = partition_of(all, p);
    int32_t index = p->index;
    bool again = p->again;
    paged_leave(all, p);
    floor_left(at);
    paged_drop(all, p);
    struct delivery *d = delivery_make(all, &id, index, &all->shards[shard]);
    d->again = again;
    delivery_end(d);
}

/* All that wait are told; meanwhile its subscription may end. */
static void load_failed(struct paged_load *l, enum err err)
{
    struct paged *p = l->p;
    env_log(l->all->broker->env, ENV_WARN, "delivery.wake", "subscription=%s partition=%d error=%s",
            p->s->name, p->index, err_name(err));
    l->err = err;
    op_queue_run(&l->ops, l->all->broker);
    if (l->by_itself) /* the sweep tries again */
        p->due_ms = delivery_now(l->all).mono_ms;
    p->load = NULL;
    if (p->leaving)
        paged_end(l->all, p);
}

static void load_done(struct statelog_load *read, enum err err)
{
    struct paged_load *l = container_of(read, struct paged_load, read);
    struct broker *b = l->all->broker;
    bool leaving = l->p->leaving;
    if (leaving)
        paged_end(l->all, l->p);
    else if (err == ERR_OK)
        err = page_in(l);
    if (err == ERR_OK || leaving)
        op_queue_run(&l->ops, b);
    else
        load_failed(l, err);
    mem_free(l);
}

/* As it is under way, or made, to be started by load_go when what is wanted of it is noted. */
static struct paged_load *load_of(struct deliveries *all, struct paged *p, bool *fresh)
{
    *fresh = p->load == NULL;
    if (!*fresh)
        return p->load;
    struct paged_load *l = p->load = mem_zalloc(1, sizeof(*l));
    l->all = all;
    l->p = p;
    l->read.done = load_done;
    op_queue_init(&l->ops);
    return l;
}

static void load_go(struct paged_load *l, bool fresh)
{
    if (fresh)
        statelog_load(log_of(l->all, l->p), &l->read, &l->p->entity);
}

enum err paged_wait(struct deliveries *all, struct paged *p, struct op *op)
{
    bool fresh;
    if (p->leaving)
        return ERR_NOT_FOUND;
    struct paged_load *l = load_of(all, p, &fresh);
    if (l->err != ERR_OK)
        return l->err;
    op_queue_push(&l->ops, op);
    load_go(l, fresh);
    return ERR_OK;
}

/* Nobody waits for it. */
enum wish { WISH_NONE, WISH_NEWS, WISH_CHANGED };

static void wake(struct deliveries *all, struct paged *p, enum wish wish)
{
    bool fresh;
    struct paged_load *l = load_of(all, p, &fresh);
    l->by_itself = true;
    l->news = l->news || wish == WISH_NEWS;
    l->changed = l->changed || wish == WISH_CHANGED;
    load_go(l, fresh);
}

/* ---- what wakes it ---- */

void paged_sweep(struct deliveries *all)
{
    int64_t soon = delivery_now(all).mono_ms + (int64_t)all->sweep_ms * PAGED_SOON_SWEEPS;
    for (struct map_node *n = map_next(&all->paged, NULL), *next; n != NULL; n = next) {
        struct paged *p = paged_of(n);
        next = map_next(&all->paged, n);
        if (p->due_ms <= soon)
            wake(all, p, WISH_NONE);
    }
}

void paged_end_moved(struct partition *at)
{
    list_for_safe (it, &at->paged) {
        struct paged *p = container_of(it, struct paged, link);
        if (p->armed)
            wake(at->broker->deliveries, p, WISH_NEWS);
    }
}

void paged_start_moved(struct partition *at)
{
    list_for_safe (it, &at->paged) {
        struct paged *p = container_of(it, struct paged, link);
        if (p->floor < at->log_start)
            wake(at->broker->deliveries, p, WISH_NONE);
    }
}

void paged_pressed(struct partition *at, int64_t start, bool full)
{
    list_for_safe (it, &at->paged) {
        struct paged *p = container_of(it, struct paged, link);
        bool fresh;
        if (p->floor >= start)
            continue;
        struct paged_load *l = load_of(at->broker->deliveries, p, &fresh);
        l->by_itself = true;
        l->pressed = start > l->pressed ? start : l->pressed;
        l->full = l->full || full;
        load_go(l, fresh);
    }
}

static void paged_ends(struct deliveries *all, struct paged *p)
{
    struct partition *at = partition_of(all, p);
    if (p->load == NULL) {
        paged_end(all, p);
        return;
    }
    p->leaving = true;
    list_remove(&p->link);
    floor_left(at);
}

void paged_change(struct deliveries *all, const struct subscription *old,
                  const struct subscription *now)
{
    for (struct map_node *n = map_next(&all->paged, NULL), *next; n != NULL; n = next) {
        struct paged *p = paged_of(n);
        next = map_next(&all->paged, n);
        if (p->leaving || !uuid_eq(p->s->id, old->id))
            continue;
        if (now == NULL) {
            paged_ends(all, p);
            continue;
        }
        subscription_unref(p->s);
        p->s = subscription_ref(now);
        wake(all, p, WISH_CHANGED);
    }
}

void paged_again(struct paged *p)
{
    p->again = p->leaving;
}

void paged_free_all(struct deliveries *all)
{
    struct map_node *n;
    while ((n = map_next(&all->paged, NULL)) != NULL) {
        struct paged *p = paged_of(n);
        paged_leave(all, p);
        subscription_unref(p->s);
        mem_free(p->load);
        mem_free(p);
    }
    map_free(&all->paged);
}
