/* The set of brokers, and how it loads:
 *
 *     reactor 0    the catalog (catalog.c) from its state topic, then who may do what
 *                  (access_log.c)
 *     each         takes both into its copies, removes logs that no topic owns, loads the
 *                  groups of its shards, opens the partitions of its shards
 *     reactor 0    ready
 */
#include "broker/broker_internal.h"

#include "base/assert.h"
#include "base/mem.h"
#include "broker/access_internal.h"
#include "broker/catalog.h"
#include "broker/delivery_internal.h"
#include "broker/document_internal.h"
#include "broker/group.h"
#include "broker/partition.h"
#include "broker/schedule.h"
#include "broker/spread.h"
#include "broker/subscription_catalog.h"
#include "broker/topic_internal.h"

#include <stdlib.h>
#include <string.h>

#define SWEEP_US ((uint64_t)600 * 1000 * 1000) /* as Kafka's producer.id.expiration.check */

const struct broker_conf broker_conf_default = {
    .auto_create_topics = true,
    .default_partitions = 1,
    .group_initial_delay_ms = 3000,
    .offsets_retention_ms = (int64_t)7 * 24 * 3600 * 1000,
    .producer_expiration_ms = (int64_t)24 * 3600 * 1000,
    .records_cache_bytes = RECORDS_CACHE_BYTES,
    .hops_percent = 100,
    .commands = true,
};

/* ---- making ---- */

static void sweep_fire(struct env_timer *timer)
{
    struct broker *b = container_of(timer, struct broker, sweep);
    uint64_t now = env_now_ms(b->env), age = (uint64_t)b->set->conf.producer_expiration_ms;
    list_for (it, &b->producing)
        producers_expire(container_of(it, struct partition, producing)->producers,
                         now > age ? now - age : 0);
    env_timer_set(b->env, &b->sweep, SWEEP_US);
}

/* State topics: known on every reactor from the start, and read as topics. The partitions get their
 * logs from who owns them (statelog.c). */
static void add_state_topic(struct broker_set *set, enum topic_state state, const char *name,
                            int32_t partitions)
{
    struct topic *t = topic_make(topic_state_id(state), str_of(name), partitions);
    t->conf.retention_ms = t->conf.retention_bytes = -1;
    for (unsigned i = 0; i < set->n; i++)
        topics_change(&set->brokers[i]->topics, NULL, t);
    for (int32_t i = 0; i < partitions; i++) {
        unsigned shard = broker_shard_of_partition(&t->id, i);
        partition_attach(
            broker_on(set->brokers[0], broker_reactor_of_shard(set->brokers[0], shard)), t, i);
    }
    topic_unref(t);
}

static struct broker *broker_make(struct broker_set *set, struct env *env, struct store *store)
{
    struct broker *b = mem_zalloc(1, sizeof(*b));
    b->magic = BROKER_MAGIC;
    b->env = env;
    b->store = store;
    b->set = set;
    b->sweep.fire = sweep_fire;
    b->access = access_make(env);
    topics_init(&b->topics, env);
    records_cache_init(&b->records, set->conf.records_cache_bytes);
    subscriptions_init(&b->subscriptions, env);
    documents_init(&b->documents, env);
    publish_init(&b->publish, b);
    hops_init(&b->hops, b);
    partitions_init(b);
    return b;
}

void broker_set_make(const struct broker_conf *conf, unsigned n, struct env **envs,
                     struct store **stores, struct broker **out)
{
    weir_assert(n >= 1 && n <= BROKER_REACTORS_MAX);
    struct broker_set *set = mem_zalloc(1, sizeof(*set));
    set->conf = *conf;
    set->n = n;
    for (unsigned i = 0; i < n; i++)
        set->brokers[i] = out[i] = broker_make(set, envs[i], stores[i]);
    add_state_topic(set, TOPIC_STATE_CATALOG, TOPIC_CATALOG_NAME, 1);
    add_state_topic(set, TOPIC_STATE_OFFSETS, TOPIC_OFFSETS_NAME, BROKER_SHARDS);
    add_state_topic(set, TOPIC_STATE_LEDGER, TOPIC_LEDGER_NAME, BROKER_SHARDS);
    add_state_topic(set, TOPIC_STATE_SCHEDULED, TOPIC_SCHEDULED_NAME, BROKER_SHARDS);
}

static void broker_free(struct broker *b)
{
    weir_check(b, BROKER_MAGIC);
    env_timer_stop(b->env, &b->sweep);
    groups_free(b->groups);
    deliveries_free(b->deliveries);
    schedule_free(b->schedule);
    access_log_free(b->access_log);
    catalog_free(b->catalog);
    publish_free(&b->publish);
    hops_free(&b->hops);
    partitions_free(b);
    subscriptions_free(&b->subscriptions);
    documents_free(&b->documents);
    topics_free(&b->topics);
    access_free(b->access);
    b->magic = 0;
    mem_free(b);
}

void broker_set_free(struct broker **brokers, unsigned n)
{
    struct broker_set *set = brokers[0]->set;
    weir_assert(n == set->n);
    for (unsigned i = 0; i < n; i++)
        broker_free(brokers[i]);
    mem_free(set);
}

/* ---- loading ---- */

/* Things with own references. */
struct load_list {
    const void **at;
    size_t n, cap;
};

struct load {
    struct broker *home;
    broker_ready_fn *done;
    void *arg;
    struct spread spread;
    struct load_list topics, subscriptions, documents, items; /* items: of access.h */
};

/* One reactor's share. `left` counts the loop itself too. */
struct load_part {
    struct broker *broker;
    struct spread_part *part;
    unsigned left;
    enum err err;
};

static void load_push(struct load_list *l, const void *item)
{
    if (l->n == l->cap) {
        l->cap = l->cap != 0 ? 2 * l->cap : 16;
        l->at = mem_realloc(l->at, l->cap * sizeof(const void *));
    }
    l->at[l->n++] = item;
}

static void load_free(struct load_list *l, void (*unref)(const void *item))
{
    for (size_t i = 0; i < l->n; i++)
        unref(l->at[i]);
    mem_free(l->at);
}

static void load_less(struct load_part *lp, enum err err)
{
    struct broker *b = lp->broker;
    if (lp->err == ERR_OK)
        lp->err = err;
    if (--lp->left != 0)
        return;
    b->loaded = lp->err == ERR_OK;
    if (b->loaded)
        env_timer_set(b->env, &b->sweep, SWEEP_US);
    spread_answer(b, lp->part, lp->err);
    mem_free(lp);
}

static void load_opened(void *arg, struct broker *b, enum err err)
{
    (void)b;
    load_less(arg, err);
}

static void load_state(void *arg, enum err err)
{
    load_less(arg, err);
}

struct orphans {
    struct broker *broker;
    struct store_log_id *ids;
    size_t n, cap;
};

static void orphan_look(void *arg, const struct store_log_id *id)
{
    struct orphans *o = arg;
    const struct topic *t = topics_find_id(&o->broker->topics, &id->topic);
    if (topic_id_is_state(&id->topic) || (t != NULL && id->partition < (uint32_t)t->partitions))
        return;
    if (o->n == o->cap) {
        o->cap = o->cap != 0 ? 2 * o->cap : 16;
        o->ids = mem_realloc(o->ids, o->cap * sizeof(struct store_log_id));
    }
    o->ids[o->n++] = *id;
}

/* What a crash left between opening a topic's logs and writing the topic, or between deleting it
 * and them. Listed first: removing changes what is being listed. */
static void remove_orphans(struct broker *b)
{
    struct orphans o = {.broker = b};
    b->store->ops->each(b->store, orphan_look, &o);
    for (size_t i = 0; i < o.n; i++)
        partition_remove_orphan(b, &o.ids[i]);
    if (o.n != 0)
        env_log(b->env, ENV_INFO, "broker.orphans", "logs=%zu", o.n);
    mem_free(o.ids);
}

/* Those of queues first, as they are built in; then what the catalog says. */
static void load_subscriptions(struct broker *b, const struct load *l)
{
    for (size_t i = 0; i < l->topics.n; i++)
        subscriptions_topic_change(b, NULL, l->topics.at[i]);
    for (size_t i = 0; i < l->subscriptions.n; i++) {
        const struct subscription *s = l->subscriptions.at[i];
        if (subscriptions_wanted(b, s))
            subscriptions_change(b, &s->id, s);
    }
}

static void load_documents(struct broker *b, const struct load *l)
{
    for (size_t i = 0; i < l->documents.n; i++) {
        const struct document *d = l->documents.at[i];
        documents_change(b, d->kind, str_of(d->name), d);
    }
}

static void step_load(struct broker *b, struct spread_part *part)
{
    struct load *l = container_of(part->spread, struct load, spread);
    struct load_part *lp = mem_zalloc(1, sizeof(*lp));
    *lp = (struct load_part){.broker = b, .part = part, .left = 1};
    for (size_t i = 0; i < l->topics.n; i++)
        topics_change(&b->topics, NULL, l->topics.at[i]);
    load_subscriptions(b, l);
    load_documents(b, l);
    for (size_t i = 0; i < l->items.n; i++)
        access_copy_change(b->access, NULL, l->items.at[i]);
    remove_orphans(b);
    lp->left += 3 + (unsigned)l->topics.n;
    b->groups = groups_make(b, b->env, b->store, load_state, lp);
    deliveries_make(b, load_state, lp);
    schedule_make(b, load_state, lp);
    for (size_t i = 0; i < l->topics.n; i++) {
        const struct topic *t = l->topics.at[i];
        partitions_open(b, t, 0, t->partitions, load_opened, lp);
    }
    load_less(lp, ERR_OK);
}

static void unref_topic(const void *item)
{
    topic_unref(item);
}

static void unref_subscription(const void *item)
{
    subscription_unref(item);
}

static void unref_document(const void *item)
{
    document_unref(item);
}

static void unref_item(const void *item)
{
    access_unref(item);
}

static void load_end(struct load *l, enum err err)
{
    if (err == ERR_OK)
        access_log_sweep(l->home);
    load_free(&l->topics, unref_topic);
    load_free(&l->subscriptions, unref_subscription);
    if (err == ERR_OK)
        subscription_catalog_clean(l->home->subscription_catalog, NULL);
    load_free(&l->documents, unref_document);
    load_free(&l->items, unref_item);
    l->done(l->arg, err);
    mem_free(l);
}

static void clamp_spread(struct spread *s, struct broker *b, enum err err)
{
    (void)b;
    load_end(container_of(s, struct load, spread), err);
}

static void clamp_done(void *arg, enum err err)
{
    struct load_part *lp = arg;
    if (lp->err == ERR_OK)
        lp->err = err;
    if (--lp->left != 0)
        return;
    spread_answer(lp->broker, lp->part, lp->err);
    mem_free(lp);
}

/* Offsets of groups, and ledgers, against the ends of partitions, which are open on every reactor
 * now. */
static void step_clamp(struct broker *b, struct spread_part *part)
{
    struct load_part *lp = mem_zalloc(1, sizeof(*lp));
    *lp = (struct load_part){.broker = b, .part = part, .left = 2};
    groups_clamp(b->groups, clamp_done, lp);
    deliveries_clamp(b->deliveries, clamp_done, lp);
    schedule_open(b->schedule);
}

static void load_spread(struct spread *s, struct broker *b, enum err err)
{
    struct load *l = container_of(s, struct load, spread);
    if (err != ERR_OK) {
        load_end(l, err);
        return;
    }
    l->spread.step = step_clamp;
    l->spread.done = clamp_spread;
    spread_start(b, &l->spread);
}

static void load_add(void *arg, const struct topic *t)
{
    load_push(&((struct load *)arg)->topics, topic_ref(t));
}

static void load_add_subscription(void *arg, const struct subscription *s)
{
    load_push(&((struct load *)arg)->subscriptions, subscription_ref(s));
}

static void load_add_document(void *arg, const struct document *d)
{
    load_push(&((struct load *)arg)->documents, document_ref(d));
}

static void load_add_item(void *arg, const struct access_item *item)
{
    load_push(&((struct load *)arg)->items, access_ref(item));
}

static int by_name(const void *a, const void *b)
{
    const struct topic *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static int by_item_name(const void *a, const void *b)
{
    const struct access_item *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

/* In name order each goes behind the last in the copies. */
static void access_loaded(void *arg, enum err err)
{
    struct load *l = arg;
    if (err != ERR_OK) {
        load_end(l, err);
        return;
    }
    catalog_each(l->home->catalog, load_add, l);
    subscription_catalog_each(l->home->subscription_catalog, load_add_subscription, l);
    document_catalog_each(l->home->document_catalog, load_add_document, l);
    access_log_each(l->home->access_log, load_add_item, l);
    if (l->topics.n > 0)
        qsort(l->topics.at, l->topics.n, sizeof(l->topics.at[0]), by_name);
    if (l->items.n > 0)
        qsort(l->items.at, l->items.n, sizeof(l->items.at[0]), by_item_name);
    l->spread.step = step_load;
    l->spread.done = load_spread;
    spread_start(l->home, &l->spread);
}

static void catalog_loaded(void *arg, enum err err)
{
    struct load *l = arg;
    if (err != ERR_OK)
        load_end(l, err);
    else
        access_log_open(l->home, access_loaded, l);
}

void broker_set_load(struct broker **brokers, unsigned n, broker_ready_fn *done, void *arg)
{
    weir_assert(n == brokers[0]->set->n && brokers[0]->catalog == NULL);
    struct load *l = mem_zalloc(1, sizeof(*l));
    l->home = brokers[0];
    l->done = done;
    l->arg = arg;
    catalog_open(l->home, catalog_loaded, l);
}

/* ---- small things ---- */

const struct broker_conf *broker_conf(const struct broker *b)
{
    return &b->set->conf;
}

void broker_set_conf(struct broker *b, const struct broker_conf *conf)
{
    struct broker_conf *now = &b->set->conf;
    now->auto_create_topics = conf->auto_create_topics;
    now->default_partitions = conf->default_partitions;
    now->group_initial_delay_ms = conf->group_initial_delay_ms;
    now->hops_percent = conf->hops_percent;
}

struct env *broker_env(const struct broker *b)
{
    return b->env;
}

/* The partitions of a topic on as many shards as there are; the ids of topics are random. */
unsigned broker_shard_of_partition(const struct uuid *topic, int32_t partition)
{
    uint32_t first = topic_id_is_state(topic) ? 0 : be32_get(topic->b);
    return (first + (uint32_t)partition) % BROKER_SHARDS;
}

/* One UTF-16 unit of Java's hash. */
static uint32_t java_hash(uint32_t hash, uint32_t unit)
{
    return 31 * hash + unit;
}

/* A character of well-formed UTF-8 and its length. */
static uint32_t utf8_char(const uint8_t *p, size_t *n)
{
    *n = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    uint32_t c = *n == 1 ? p[0] : p[0] & (0x7fu >> *n);
    for (size_t i = 1; i < *n; i++)
        c = c << 6 | (p[i] & 0x3f);
    return c;
}

unsigned broker_shard_of_group(struct str group)
{
    const uint8_t *p = (const uint8_t *)group.at;
    bool text = utf8_valid(group.at, group.len);
    uint32_t hash = 0;
    for (size_t i = 0, n; i < group.len; i += n) {
        n = 1;
        uint32_t c = text ? utf8_char(p + i, &n) : p[i];
        if (c >= 0x10000) {
            hash = java_hash(hash, 0xd800 + ((c - 0x10000) >> 10));
            c = 0xdc00 + ((c - 0x10000) & 0x3ff);
        }
        hash = java_hash(hash, c);
    }
    int32_t h = (int32_t)hash; /* Kafka's Utils.abs: the least number becomes 0 */
    return (h == INT32_MIN ? 0 : (unsigned)(h < 0 ? -h : h)) % BROKER_SHARDS;
}

unsigned broker_reactor_of_shard(const struct broker *b, unsigned shard)
{
    weir_assert(shard < BROKER_SHARDS);
    return shard % b->set->n;
}

int64_t broker_producer_id(struct broker *b)
{
    if (b->producer_ids == UINT32_MAX)
        return -1;
    uint64_t incarnation = b->set->conf.incarnation & 0x7fffff;
    return (int64_t)(incarnation << 40 | (uint64_t)b->env->reactor << 32 | b->producer_ids++);
}

struct groups *broker_groups(struct broker *b)
{
    return b->groups;
}

const struct topic *broker_topic(struct broker *b, struct str name)
{
    return topics_find(&b->topics, name);
}

const struct topic *broker_topic_by_id(struct broker *b, const struct uuid *id)
{
    return topics_find_id(&b->topics, id);
}

const struct topic *broker_topic_next(struct broker *b, const struct topic *after)
{
    return topics_next(&b->topics, after);
}

void broker_topic_watch(struct broker *b, struct topic_watcher *w)
{
    list_push(&b->topics.watchers, &w->link);
}
