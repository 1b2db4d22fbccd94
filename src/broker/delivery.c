/* The ledgers of one reactor: how they are loaded, made, written and left.
 *
 * Load: the state logs are folded, ledger by ledger; those of no subscription are ended when all is
 * there. Partitions are opened at the same time; when both are done each subscription gets a ledger
 * in each partition of its topic, and one that is ahead of its log (a topic that does not flush
 * before it acknowledges loses its tail in a power cut) is set back to the log's end, durably,
 * before anybody can append there.
 *
 * End of the turn: whatever touched a delivery put it into `dirty`; all of them write what their
 * ledgers have to tell, a batch each. A batch without settles is relaxed. Then come the things that
 * follow from a change: dead messages are buried, the clock is set, receivers are told.
 */
#include "broker/paged.h"
#include "broker/stragglers.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

#define SESSIONS_WINDOW_MAX 1000000u /* messages looked at, to find those of a session */
#define MS_US 1000
#define FIRST_EXPIRY_MS 60000
#define SWEEP_SOON_US ((uint64_t)10 * MS_US)
#define PAGE_OUTS_MAX 256 /* by one sweep */

/* ---- finding ---- */

uint64_t delivery_key_hash(const struct delivery_key *key)
{
    return uuid_hash(key->subscription) + (uint64_t)(uint32_t)key->index * 0x9e3779b97f4a7c15;
}

static bool key_eq(const struct map_node *node, const void *at)
{
    const struct delivery *d = container_of_const(node, struct delivery, node);
    const struct delivery_key *key = at;
    return d->index == key->index && uuid_eq(d->subscription, key->subscription);
}

static struct delivery *delivery_of(struct map_node *node)
{
    return container_of(node, struct delivery, node);
}

struct delivery *delivery_find(struct deliveries *all, const struct uuid *subscription,
                               int32_t index)
{
    struct delivery_key key = {*subscription, index};
    struct map_node *n = map_find(&all->ledgers, delivery_key_hash(&key), key_eq, &key);
    return n != NULL ? delivery_of(n) : NULL;
}

struct delivery *delivery_get(struct broker *b, struct op *op, const struct uuid *subscription,
                              int32_t partition, enum err *err)
{
    *err = ERR_COORDINATOR_LOADING;
    if (b->deliveries == NULL || !b->deliveries->open)
        return NULL;
    struct delivery *d = delivery_find(b->deliveries, subscription, partition);
    struct paged *p = d == NULL ? paged_find(b->deliveries, subscription, partition) : NULL;
    if (p != NULL) {
        *err = paged_wait(b->deliveries, p, op);
        return NULL;
    }
    *err = d != NULL && !d->leaving ? ERR_OK : ERR_NOT_FOUND;
    return *err == ERR_OK ? d : NULL;
}

struct ledger_time delivery_now(const struct deliveries *all)
{
    const struct env *env = all->broker->env;
    return (struct ledger_time){.mono_ms = (int64_t)(env_mono_us(env) / MS_US) + 1,
                                .wall_ms = (int64_t)env_now_ms(env)};
}

/* ---- making ---- */

static void forget(void *user, struct statelog_entity *entity)
{
    const struct delivery *d = user;
    statelog_forget(d->shard->log, entity);
}

static uint32_t clamp_u32(int64_t n)
{
    return n < 0 ? 0 : n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

static struct ledger_conf conf_of(struct delivery *d)
{
    const struct subscription *s = d->s;
    struct ledger_conf conf = {
        .subscription = d->subscription,
        .partition = d->index,
        .incarnation = d->all->broker->set->conf.incarnation & LEDGER_INCARNATION_MASK,
        .forget = forget,
        .user = d,
    };
    if (s == NULL)
        return conf;
    conf.lock_ms = clamp_u32(s->conf.lock_ms);
    conf.attempts = clamp_u32(s->conf.attempts);
    conf.sessions = s->conf.order == ORDER_KEY;
    conf.ordered = s->conf.order == ORDER_PARTITION;
    conf.window_max = conf.sessions ? SESSIONS_WINDOW_MAX : 0;
    return conf;
}

struct delivery *delivery_make(struct deliveries *all, const struct uuid *subscription,
                               int32_t index, struct deliveries_shard *shard)
{
    struct delivery *d = mem_zalloc(1, sizeof(*d));
    struct delivery_key key = {*subscription, index};
    const struct subscription *s = broker_subscription_by_id(all->broker, subscription);
    d->all = all;
    d->shard = shard;
    d->s = s != NULL ? subscription_ref(s) : NULL;
    d->subscription = *subscription;
    d->topic = s != NULL ? s->topic : (struct uuid){0};
    d->index = index;
    list_init(&d->link);
    list_init(&d->told);
    list_init(&d->dirty);
    list_init(&d->jobs);
    d->expiry_ms = INT64_MAX;
    d->dispatch_at = -1;
    d->armed = true; /* there may be receivers already */
    map_insert(&all->ledgers, &d->node, delivery_key_hash(&key));
    struct ledger_conf conf = conf_of(d);
    d->ledger = ledger_make(&conf, s != NULL ? subscription_from(s, index) : 0);
    return d;
}

void delivery_free(struct delivery *d)
{
    struct deliveries *all = d->all;
    weir_assert(list_empty(&d->jobs) || !all->open);
    list_remove(&d->link);
    list_remove(&d->dirty);
    heap_remove(&all->due, &d->due);
    map_remove(&all->ledgers, &d->node);
    if (d->change != NULL)
        ledger_change_cancel(d->change);
    stragglers_free(d, false);
    ledger_free(d->ledger);
    subscription_unref(d->s);
    mem_free(d->stages);
    mem_free(d);
}

void delivery_enter(struct delivery *d)
{
    d->pending++;
}

static void end_start(struct delivery *d);

void delivery_leave(struct delivery *d)
{
    weir_assert(d->pending > 0);
    d->pending--;
    if (d->leaving && d->pending == 0)
        end_start(d);
}

/* ---- jobs ---- */

void delivery_job_start(struct delivery *d, struct delivery_job *job,
                        void (*run)(struct delivery_job *job))
{
    job->run = run;
    list_init(&job->link);
    if (d->job != NULL) {
        list_push(&d->jobs, &job->link);
        return;
    }
    d->job = job;
    run(job);
}

/* The next one runs from here: a caller must expect anything but that the delivery goes. */
void delivery_job_end(struct delivery *d, struct delivery_job *job)
{
    weir_assert(d->job == job);
    struct list *next = list_pop(&d->jobs);
    d->job = next != NULL ? container_of(next, struct delivery_job, link) : NULL;
    if (d->job != NULL)
        d->job->run(d->job);
}

/* ---- what could be acquired ---- */

/* How many are in the log that was not looked at. */
static int64_t unseen(const struct delivery *d)
{
    int64_t next = ledger_next(d->ledger);
    return d->at != NULL && d->at->end > next && ledger_room(d->ledger) > 0 ? d->at->end - next : 0;
}

/* In order, behind what somebody holds only he goes on. */
static uint32_t available_in_order(const struct delivery *d, uint64_t *holder)
{
    struct ledger_order order;
    ledger_order(d->ledger, &order);
    *holder = order.held ? order.owner : 0;
    return clamp_u32(order.ready + (order.open ? unseen(d) : 0));
}

uint32_t delivery_available(const struct delivery *d, uint64_t *holder)
{
    const struct ledger *l = d->ledger;
    *holder = 0;
    if (d->leaving)
        return 0;
    if (ledger_conf(l)->ordered)
        return available_in_order(d, holder);
    return clamp_u32((ledger_conf(l)->sessions ? ledger_sessions_ready(l) : ledger_ready(l)) +
                     unseen(d));
}

uint32_t delivery_acquired(const struct delivery *d)
{
    struct ledger_stat stat;
    ledger_stat(d->ledger, &stat);
    return stat.acquired;
}

/* What delivery_available leaves out: messages of a session that is held, for its holder. */
static uint32_t ready_inside(const struct delivery *d)
{
    return ledger_conf(d->ledger)->sessions ? ledger_ready(d->ledger) : 0;
}

void delivery_arm(struct delivery *d)
{
    d->armed = true;
    d->news = false;
    d->armed_at = delivery_available(d, &d->armed_holder);
    d->armed_inside = ready_inside(d);
}

static void tell_receivers(struct delivery *d)
{
    uint64_t holder;
    uint32_t available = delivery_available(d, &holder), acquired = delivery_acquired(d);
    uint32_t inside = ready_inside(d);
    bool others = available > 0 && (d->news || holder != d->armed_holder);
    bool more = d->armed && (available > d->armed_at || others || inside > d->armed_inside);
    bool fewer = d->s->conf.in_flight_max > 0 && acquired < d->acquired;
    if (available < d->armed_at)
        d->armed_at = available;
    if (inside < d->armed_inside)
        d->armed_inside = inside;
    if (!more && !fewer)
        return;
    d->armed = d->armed && !more;
    d->acquired = acquired;
    receivers_tell(d, more && available == 0 ? 1 : available, holder);
    if (holder != 0) /* who waits for others to settle does not ask before */
        delivery_arm(d);
}

/* ---- the end of the turn ---- */

struct delivery_write {
    struct statelog_append append;
    struct delivery *d;
    struct ledger_change *change;
    struct ledger_take take;
    struct statelog_entity **entities;
    struct list told; /* delivery_call */
};

static void write_tell(struct list *told, enum err err)
{
    struct list *it;
    while ((it = list_pop(told)) != NULL) {
        struct delivery_call *call = container_of(it, struct delivery_call, link);
        call->written(call, err);
    }
}

/* The ledger first: what is told looks at it. */
static void write_done(struct statelog_append *a, enum err err)
{
    struct delivery_write *w = container_of(a, struct delivery_write, append);
    struct delivery *d = w->d;
    ledger_done(w->change, err, delivery_now(d->all));
    write_tell(&w->told, err);
    mem_free(w->entities);
    mem_free(w);
    delivery_touch(d);
    delivery_leave(d);
}

struct statelog_entity **delivery_records(const struct ledger_take *take, int64_t now_ms,
                                          struct batch_builder *b)
{
    struct statelog_entity **entities = mem_zalloc(take->n, sizeof(struct statelog_entity *));
    batch_begin(b, 0);
    for (size_t i = 0; i < take->n; i++) {
        entities[i] = &take->records[i].entity->log;
        batch_add(b, now_ms, take->records[i].key, take->records[i].value, NULL, 0);
    }
    return entities;
}

static void write_start(struct delivery *d)
{
    struct delivery_write *w = mem_zalloc(1, sizeof(*w));
    struct ledger_time now = delivery_now(d->all);
    struct batch_builder b;
    w->d = d;
    w->change = d->change != NULL ? d->change : ledger_change_make(d->ledger);
    d->change = NULL;
    list_init(&w->told);
    list_move(&w->told, &d->told);
    delivery_enter(d);
    bool any = ledger_take(w->change, false, now, &w->take) && w->take.n > 0;
#ifdef FAULT_acquire_unwritten
    any = any && w->take.settles;
#endif
    if (!any) {
        ledger_done(w->change, ERR_OK, now);
        write_tell(&w->told, ERR_OK);
        mem_free(w);
        delivery_leave(d);
        return;
    }
    w->entities = delivery_records(&w->take, now.wall_ms, &b);
    w->append.done = write_done;
    w->append.relaxed = !w->take.settles;
#ifdef FAULT_settle_early
    write_tell(&w->told, ERR_OK);
#endif
    statelog_write_all(d->shard->log, &w->append, &b, w->entities, w->take.n);
}

static void clock_arm(struct deliveries *all)
{
    struct heap_node *first = heap_min(&all->due);
    uint64_t now = env_mono_us(all->broker->env);
    if (first == NULL)
        env_timer_stop(all->broker->env, &all->clock);
    else
        env_timer_set(all->broker->env, &all->clock, first->key > now ? first->key - now : 0);
}

static void due_set(struct delivery *d)
{
    struct deliveries *all = d->all;
    int64_t ms = ledger_due(d->ledger);
    ms = d->expiry_ms < ms ? d->expiry_ms : ms;
    uint64_t us = ms == INT64_MAX ? UINT64_MAX : (uint64_t)(ms - 1) * MS_US;
    if (d->due.index1 != 0 && d->due.key == us)
        return;
    heap_remove(&all->due, &d->due);
    if (us != UINT64_MAX)
        heap_insert(&all->due, &d->due, us);
}

void delivery_flush(struct delivery *d)
{
    if (d->change != NULL || ledger_changed(d->ledger) || !list_empty(&d->told))
        write_start(d);
}

static void look_after(struct delivery *d)
{
    delivery_flush(d);
    if (d->leaving)
        return;
    stragglers_look_after(d);
    if (delivery_floor(d) != d->floor)
        floor_moved(d);
    delivery_bury(d);
    due_set(d);
    tell_receivers(d);
}

/* Whatever is touched meanwhile has its turn now, too, as long as it writes nothing. */
static void turn_fire(struct env_timer *timer)
{
    struct deliveries *all = container_of(timer, struct deliveries, turn);
    struct list now;
    list_init(&now);
    list_move(&now, &all->dirty);
    struct list *it;
    while ((it = list_pop(&now)) != NULL) {
        struct delivery *d = container_of(it, struct delivery, dirty);
        delivery_enter(d);
        look_after(d);
        delivery_leave(d);
    }
    clock_arm(all);
}

void delivery_touch(struct delivery *d)
{
    struct deliveries *all = d->all;
    d->touched = true;
    if (list_linked(&d->dirty))
        return;
    if (list_empty(&all->dirty))
        env_timer_set(all->broker->env, &all->turn, 0);
    list_push(&all->dirty, &d->dirty);
}

struct ledger_change *delivery_change(struct delivery *d)
{
    if (d->change == NULL)
        d->change = ledger_change_make(d->ledger);
    delivery_touch(d);
    return d->change;
}

void delivery_tell(struct delivery *d, struct delivery_call *call)
{
    list_push(&d->told, &call->link);
    delivery_touch(d);
}

/* ---- time ---- */

static void clock_fire(struct env_timer *timer)
{
    struct deliveries *all = container_of(timer, struct deliveries, clock);
    struct ledger_time now = delivery_now(all);
    uint64_t us = env_mono_us(all->broker->env);
    struct heap_node *first;
    while ((first = heap_min(&all->due)) != NULL && first->key <= us) {
        struct delivery *d = container_of(first, struct delivery, due);
        heap_remove(&all->due, &d->due);
        while (ledger_step(d->ledger, now))
            continue;
        if (d->expiry_ms <= now.mono_ms) {
            d->expiry_ms = INT64_MAX; /* set by the job's end */
            delivery_expire(d);
        }
        delivery_touch(d);
    }
    clock_arm(all);
}

static void sweep_look(struct delivery *d)
{
    stragglers_sweep(d);
    d->idle = !d->touched;
    d->touched = false;
}

/* What nobody has touched for a while leaves memory; if it cannot, it keeps its window in the form
 * that is written. */
static void sweep_idle(struct delivery *d, unsigned *page_outs)
{
    if (*page_outs > 0 && paged_out(d)) /* it may be gone */
        --*page_outs;
    else if (*page_outs > 0 && !d->leaving && d->pending == 0 && !ledger_conf(d->ledger)->sessions)
        ledger_pack(d->ledger, delivery_now(d->all));
}

/* A turn pages out so many; the rest follows soon. */
static void sweep_fire(struct env_timer *timer)
{
    struct deliveries *all = container_of(timer, struct deliveries, sweep);
    unsigned page_outs = PAGE_OUTS_MAX;
    for (struct map_node *n = map_next(&all->ledgers, NULL), *next; n != NULL; n = next) {
        struct delivery *d = delivery_of(n);
        next = map_next(&all->ledgers, n);
        if (!all->sweep_more)
            sweep_look(d);
        if (d->idle && !d->touched)
            sweep_idle(d, &page_outs);
    }
    if (!all->sweep_more)
        paged_sweep(all);
    all->sweep_more = page_outs == 0;
    env_timer_set(all->broker->env, timer,
                  all->sweep_more ? SWEEP_SOON_US : (uint64_t)all->sweep_ms * MS_US);
}

/* ---- partitions and subscriptions come, change, go ---- */

static bool is_mine(const struct deliveries *all, const struct uuid *topic, int32_t index)
{
    unsigned shard = broker_shard_of_partition(topic, index);
    return broker_reactor_of_shard(all->broker, shard) == all->broker->env->reactor;
}

/* Soon, but not all subscriptions at once. */
static int64_t first_expiry_ms(const struct subscription *s)
{
    int64_t spread = 1000 + (int64_t)(uuid_hash(s->id) % FIRST_EXPIRY_MS);
    return s->ttl_ms < spread ? s->ttl_ms : spread;
}

void delivery_attach(struct delivery *d)
{
    struct partition *p = partition_find(d->all->broker, &d->topic, d->index);
    if (d->at != NULL || p == NULL || p->state != PARTITION_OPEN)
        return;
    d->at = p;
    list_push(&p->deliveries, &d->link);
    if (d->s->ttl_ms >= 0)
        d->expiry_ms = delivery_now(d->all).mono_ms + first_expiry_ms(d->s);
    uint64_t unseen;
    d->expired += ledger_trim(d->ledger, p->log_start, &unseen) + unseen;
    d->floor = delivery_floor(d);
    floor_moved(d);
    delivery_touch(d);
}

/* The subscription's ledgers in those partitions that are here. */
static void add_ledgers(struct deliveries *all, const struct subscription *s, int32_t from,
                        int32_t to)
{
    for (int32_t i = from; i < to; i++) {
        if (!is_mine(all, &s->topic, i))
            continue;
        struct delivery *d = delivery_find(all, &s->id, i);
        struct paged *p = d == NULL ? paged_find(all, &s->id, i) : NULL;
        unsigned shard = broker_shard_of_partition(&s->topic, i);
        if (p != NULL) { /* as one that is leaving, below */
            paged_again(p);
            continue;
        }
        if (d == NULL)
            d = delivery_make(all, &s->id, i, &all->shards[shard]);
        if (d->leaving) /* the built-in one of a queue that was none for a while */
            d->again = true;
        else
            delivery_attach(d);
    }
}

static void ledger_conf_change(struct delivery *d, const struct subscription *now)
{
    dispatch_drop(d->at);
    subscription_unref(d->s);
    d->s = subscription_ref(now);
    struct ledger_conf conf = conf_of(d);
    ledger_set_conf(d->ledger, &conf);
    if (now->ttl_ms >= 0)
        d->expiry_ms = delivery_now(d->all).mono_ms;
    delivery_touch(d);
}

void delivery_end(struct delivery *d)
{
    if (d->leaving)
        return;
    struct partition *p = d->at;
    dispatch_drop(p);
    d->leaving = true;
    list_remove(&d->link);
    d->at = NULL;
    floor_left(p);
    heap_remove(&d->all->due, &d->due);
    delivery_enter(d);
    delivery_touch(d);
    delivery_leave(d);
}

/* now NULL: it ends. */
static void ledgers_change(struct deliveries *all, const struct subscription *old,
                           const struct subscription *now)
{
    for (struct map_node *n = map_next(&all->ledgers, NULL), *next; n != NULL; n = next) {
        struct delivery *d = delivery_of(n);
        next = map_next(&all->ledgers, n);
        if (d->leaving || !uuid_eq(d->subscription, old->id))
            continue;
        if (now != NULL)
            ledger_conf_change(d, now);
        else
            delivery_end(d);
    }
    paged_change(all, old, now);
}

static void subscription_changed(struct subscription_watcher *w, struct broker *b,
                                 const struct subscription *old, const struct subscription *now)
{
    struct deliveries *all = container_of(w, struct deliveries, subscriptions);
    if (!all->open)
        return;
    if (old != NULL)
        ledgers_change(all, old, now);
    else
        add_ledgers(all, now, 0, topics_find_id(&b->topics, &now->topic)->partitions);
    receivers_subscription_changed(b, old, now);
}

static void topic_changed(struct topic_watcher *w, struct broker *b, const struct topic *old,
                          const struct topic *now)
{
    struct deliveries *all = container_of(w, struct deliveries, topics);
    if (!all->open || old == NULL || now == NULL || now->partitions == old->partitions)
        return;
    const struct subscription *s = NULL;
    while ((s = broker_subscription_next(b, &now->id, s)) != NULL) {
        add_ledgers(all, s, old->partitions, now->partitions);
        receivers_subscription_changed(b, s, s);
    }
}

void deliveries_end_moved(struct partition *p)
{
    list_for (it, &p->deliveries) {
        struct delivery *d = container_of(it, struct delivery, link);
        d->news = true;
        if (d->armed)
            delivery_touch(d);
    }
    paged_end_moved(p);
}

void deliveries_start_moved(struct partition *p)
{
    list_for (it, &p->deliveries) {
        struct delivery *d = container_of(it, struct delivery, link);
        uint64_t unseen;
        d->expired += ledger_trim(d->ledger, p->log_start, &unseen) + unseen;
        delivery_touch(d);
    }
    paged_start_moved(p);
}

/* ---- the end of a ledger ---- */

struct ending {
    struct statelog_append append;
    struct statelog_entity entity; /* the tombstone's own: forgotten with it */
    struct delivery *d;
};

static void end_written(struct statelog_append *a, enum err err)
{
    struct ending *e = container_of(a, struct ending, append);
    struct delivery *d = e->d;
    if (err != ERR_OK) /* found again, as one of no subscription, at the next start */
        env_log(d->all->broker->env, ENV_WARN, "delivery.end", "error=%s", err_name(err));
    statelog_forget(d->shard->log, &e->entity);
    mem_free(e);
    struct deliveries *all = d->all;
    struct uuid id = d->subscription;
    bool again = d->again;
    delivery_free(d);
    const struct subscription *s = broker_subscription_by_id(all->broker, &id);
    if (again && s != NULL)
        add_ledgers(all, s, 0, topics_find_id(&all->broker->topics, &s->topic)->partitions);
}

/* Its pages are forgotten with it; what the log still tells about it ends with the tombstone, which
 * lies behind all of it. */
static void end_start(struct delivery *d)
{
    struct ending *e = mem_zalloc(1, sizeof(*e));
    struct batch_builder b;
    uint8_t key[32];
    size_t n = ledger_key_head(ledger_conf(d->ledger), key);
    d->pending++; /* not again */
    list_remove(&d->dirty);
    e->d = d;
    e->append.done = end_written;
    batch_begin(&b, 0);
    batch_add(&b, (int64_t)env_now_ms(d->all->broker->env), (struct str){(const char *)key, n},
              (struct str){NULL, 0}, NULL, 0);
    stragglers_free(d, true);
    ledger_forget(d->ledger);
    ledger_free(d->ledger);
    d->ledger = NULL;
    statelog_write(d->shard->log, &e->append, &b, &e->entity);
}

/* ---- load ---- */

/* What was written in this life is as old as the monotonic clock says, whatever became of the other
 * one. */
static struct ledger_time fold_now(const struct deliveries *all, int64_t written_ms)
{
    struct ledger_time now = delivery_now(all);
    if (all->folded_ms != 0)
        now.wall_ms = written_ms + (now.mono_ms - all->folded_ms);
    return now;
}

static enum err apply_to(struct delivery *d, const struct ledger_key *key, struct str value,
                         int64_t written_ms, struct statelog_entity **out)
{
    struct ledger_entity *entity = NULL;
    int64_t copy = ledger_key_is_copy(key);
    if (copy >= 0)
        return stragglers_apply(d, copy, value, out);
    d->folded = true;
    enum err err = ledger_fold(d->ledger, key, value, fold_now(d->all, written_ms), &entity);
    *out = entity != NULL ? &entity->log : NULL;
    return err;
}

/* One of no subscription is not read, only remembered: it is ended when all is loaded. */
static struct statelog_entity *apply(void *user, struct str key, struct str value,
                                     int64_t timestamp)
{
    struct deliveries_shard *shard = user;
    struct deliveries *all = shard->all;
    struct ledger_key k;
    if (!ledger_key_read(key, &k)) {
        all->load_err = ERR_CORRUPT;
        return NULL;
    }
    struct delivery *d = delivery_find(all, &k.subscription, k.partition);
    if (d == NULL && value.at != NULL)
        d = delivery_make(all, &k.subscription, k.partition, shard);
    if (d == NULL)
        return NULL;
    if (value.at == NULL && ledger_key_is_head(&k)) {
        stragglers_free(d, true);
        ledger_forget(d->ledger);
        delivery_free(d);
        return NULL;
    }
    struct statelog_entity *entity = NULL;
    enum err err = d->s != NULL ? apply_to(d, &k, value, timestamp, &entity) : ERR_OK;
    if (err != ERR_OK && all->load_err == ERR_OK)
        all->load_err = err;
    return entity;
}

static void snapshot(void *user, struct statelog_entity *entity, struct batch_builder *out)
{
    const struct deliveries_shard *shard = user;
    struct ledger_entity *e = container_of(entity, struct ledger_entity, log);
    if (e->kind == LEDGER_ENTITY_OWNERS)
        stragglers_snapshot(container_of(e, struct straggler, entity), out);
    else
        ledger_snapshot(e, delivery_now(shard->all), out);
}

static const struct statelog_ops log_ops = {apply, snapshot};

static void load_less(struct deliveries *all, enum err err)
{
    if (all->load_err == ERR_OK)
        all->load_err = err;
    if (--all->loading == 0)
        all->loaded(all->loaded_arg, all->load_err);
}

static void shard_loaded(void *user, struct statelog *log, enum err err)
{
    struct deliveries_shard *shard = user;
    shard->log = log;
    if (err != ERR_OK)
        env_log(shard->all->broker->env, ENV_ERROR, "delivery.load", "shard=%d error=%s",
                (int)(shard - shard->all->shards), err_name(err));
    load_less(shard->all, err);
}

struct deliveries *deliveries_make(struct broker *b, void (*loaded)(void *arg, enum err err),
                                   void *arg)
{
    struct deliveries *all = mem_zalloc(1, sizeof(*all));
    b->deliveries = all;
    *all = (struct deliveries){
        .broker = b,
        .turn.fire = turn_fire,
        .clock.fire = clock_fire,
        .sweep.fire = sweep_fire,
        .sweep_ms = b->set->conf.sweep_ms > 0 ? b->set->conf.sweep_ms : DELIVERY_SWEEP_MS,
        .subscriptions.changed = subscription_changed,
        .topics.changed = topic_changed,
        .loading = 1,
        .loaded = loaded,
        .loaded_arg = arg,
    };
    map_init(&all->ledgers);
    map_init(&all->paged);
    map_init(&all->receivers);
    list_init(&all->dirty);
    heap_init(&all->due);
    floors_init(all);
    broker_subscription_watch(b, &all->subscriptions);
    broker_topic_watch(b, &all->topics);
    for (unsigned i = 0; i < BROKER_SHARDS; i++) {
        if (broker_reactor_of_shard(b, i) != b->env->reactor)
            continue;
        all->shards[i].all = all;
        all->loading++;
        struct statelog_conf conf = {.store = b->store,
                                     .env = b->env,
                                     .broker = b,
                                     .topic = topic_state_id(TOPIC_STATE_LEDGER),
                                     .partition = i,
                                     .ops = &log_ops,
                                     .user = &all->shards[i],
                                     .loaded = shard_loaded,
                                     .slack_bytes = b->set->conf.state_slack_bytes,
                                     .vital = true /* what is settled makes room */};
        statelog_open(&conf, &all->shards[i].log);
    }
    load_less(all, ERR_OK);
    return all;
}

/* The logs go first: they list the entities. */
void deliveries_free(struct deliveries *all)
{
    if (all == NULL)
        return;
    env_timer_stop(all->broker->env, &all->turn);
    env_timer_stop(all->broker->env, &all->clock);
    env_timer_stop(all->broker->env, &all->sweep);
    floors_free(all);
    list_remove(&all->subscriptions.link);
    list_remove(&all->topics.link);
    all->open = false;
    receivers_free(all);
    for (unsigned i = 0; i < BROKER_SHARDS; i++)
        statelog_free(all->shards[i].log);
    struct map_node *n;
    while ((n = map_next(&all->ledgers, NULL)) != NULL)
        delivery_free(delivery_of(n));
    map_free(&all->ledgers);
    paged_free_all(all);
    heap_free(&all->due);
    mem_free(all);
}

/* ---- the end of the load ---- */

struct clamping {
    size_t left; /* counts the loop itself, too */
    void (*done)(void *arg, enum err err);
    void *arg;
    enum err err;
};

struct clamp {
    struct delivery_call call;
    struct clamping *all;
};

static void clamp_less(struct clamping *c, enum err err)
{
    if (c->err == ERR_OK)
        c->err = err;
    if (--c->left != 0)
        return;
    c->done(c->arg, c->err);
    mem_free(c);
}

static void clamp_written(struct delivery_call *call, enum err err)
{
    struct clamp *clamp = container_of(call, struct clamp, call);
    clamp_less(clamp->all, err);
    mem_free(clamp);
}

static void clamp_one(struct clamping *all, struct delivery *d)
{
    int64_t next = ledger_next(d->ledger);
    if (d->at == NULL || next <= d->at->end)
        return;
    env_log(d->all->broker->env, ENV_WARN, "delivery.clamp",
            "subscription=%s partition=%d next=%lld end=%lld", d->s->name, d->index,
            (long long)next, (long long)d->at->end);
    struct clamp *clamp = mem_zalloc(1, sizeof(*clamp));
    delivery_flush(d); /* it has a change of its own */
    enum err err = ledger_clamp(delivery_change(d), d->at->end);
    weir_assert(err == ERR_OK);
    clamp->all = all;
    clamp->call.written = clamp_written;
    all->left++;
    delivery_tell(d, &clamp->call);
    delivery_flush(d);
}

static void fold_end(struct deliveries *all)
{
    for (struct map_node *n = map_next(&all->ledgers, NULL), *next; n != NULL; n = next) {
        struct delivery *d = delivery_of(n);
        next = map_next(&all->ledgers, n);
        if (d->folded)
            ledger_folded(d->ledger, delivery_now(all));
        stragglers_loaded(d);
        if (d->s == NULL)
            delivery_end(d);
    }
}

void deliveries_clamp(struct deliveries *all, void (*done)(void *arg, enum err err), void *arg)
{
    struct clamping *c = mem_zalloc(1, sizeof(*c));
    const struct subscription *s = NULL;
    *c = (struct clamping){.left = 1, .done = done, .arg = arg};
    all->open = true;
    env_timer_set(all->broker->env, &all->sweep, (uint64_t)all->sweep_ms * MS_US);
    fold_end(all);
    while ((s = broker_subscription_next(all->broker, NULL, s)) != NULL)
        add_ledgers(all, s, 0, topics_find_id(&all->broker->topics, &s->topic)->partitions);
    for (struct map_node *n = map_next(&all->ledgers, NULL); n != NULL;
         n = map_next(&all->ledgers, n))
        clamp_one(c, delivery_of(n));
    floors_known(all);
    clamp_less(c, ERR_OK);
}
