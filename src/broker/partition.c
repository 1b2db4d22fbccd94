#include "broker/partition.h"

#include "base/assert.h"
#include "base/mem.h"
#include "broker/delivery_internal.h"

struct partition_key {
    struct uuid topic;
    int32_t index;
};

static uint64_t key_hash(const struct partition_key *key)
{
    return uuid_hash(key->topic) + (uint64_t)(uint32_t)key->index * 0x9e3779b97f4a7c15;
}

static bool key_eq(const struct map_node *node, const void *at)
{
    const struct partition *p = container_of((struct map_node *)node, struct partition, node);
    const struct partition_key *key = at;
    return p->index == key->index && uuid_eq(p->topic_id, key->topic);
}

void partitions_init(struct broker *b)
{
    map_init(&b->partitions);
    list_init(&b->producing);
}

static void partition_free(struct partition *p)
{
    list_remove(&p->producing);
    list_remove(&p->trimming);
    dispatch_drop(p);
    records_cache_forget(&p->broker->records, p);
    producers_free(p->producers);
    duplicates_free(p->duplicates);
    topic_unref(p->topic);
    mem_free(p);
}

void partitions_free(struct broker *b)
{
    struct map_node *n = map_next(&b->partitions, NULL);
    while (n != NULL) {
        struct map_node *next = map_next(&b->partitions, n);
        partition_free(container_of(n, struct partition, node));
        n = next;
    }
    map_free(&b->partitions);
}

struct partition *partition_find(struct broker *b, const struct uuid *topic, int32_t index)
{
    struct partition_key key = {*topic, index};
    struct map_node *n = map_find(&b->partitions, key_hash(&key), key_eq, &key);
    return n != NULL ? container_of(n, struct partition, node) : NULL;
}

enum err partition_get(struct broker *b, const struct uuid *topic, int32_t index,
                       struct partition **out)
{
    struct partition *p = partition_find(b, topic, index);
    *out = p;
    if (p == NULL)
        return b->loaded ? ERR_TOPIC_UNKNOWN : ERR_LEADER_NOT_AVAILABLE;
    return p->state == PARTITION_OPEN ? ERR_OK : ERR_LEADER_NOT_AVAILABLE;
}

int32_t partition_epoch(const struct partition *p)
{
    return (int32_t)p->broker->set->conf.incarnation;
}

enum err partition_epoch_check(const struct partition *p, int32_t epoch)
{
    int32_t present = partition_epoch(p);
    if (epoch == -1 || epoch == present)
        return ERR_OK;
    return epoch < present ? ERR_LEADER_EPOCH_FENCED : ERR_LEADER_EPOCH_UNKNOWN;
}

/* ---- what the store tells ---- */

static void log_end_moved(void *user, int64_t end)
{
    struct partition *p = user;
    p->end = end;
    if (!list_empty(&p->deliveries) || !list_empty(&p->paged))
        visible_note(&p->broker->visible, &p->topic_id, p->index, end,
                     env_clock_us(p->broker->env));
#ifndef FAULT_no_wake
    partition_fire(p, false);
#endif
    deliveries_end_moved(p);
}

static void log_start_moved(void *user, int64_t log_start)
{
    struct partition *p = user;
    p->log_start = log_start;
    records_cache_trim(&p->broker->records, p, log_start);
    partition_fire(p, true);
    deliveries_start_moved(p);
}

static struct slice log_snapshot(void *user)
{
    struct partition *p = user;
    if (producers_count(p->producers) == 0)
        return (struct slice){NULL, NULL, 0};
    return producers_snapshot(p->producers, p->end);
}

static void log_pressed(void *user, int64_t start, bool full)
{
    deliveries_pressed(user, start, full);
}

static const struct store_log_events log_events = {log_end_moved, log_start_moved, log_snapshot,
                                                   log_pressed};

/* ---- opening ---- */

struct opening {
    struct store_open open;
    struct partition *p;
    struct openings *all;
    enum err err;
};

/* All that one partitions_open began. `left` counts the loop itself too. */
struct openings {
    struct broker *broker;
    unsigned left;
    enum err err;
    partitions_opened_fn *done;
    void *arg;
};

static void openings_less(struct openings *all, enum err err)
{
    if (all->err == ERR_OK)
        all->err = err;
    if (--all->left != 0)
        return;
    all->done(all->arg, all->broker, all->err);
    mem_free(all);
}

struct producers *partition_producers(struct partition *p)
{
    if (p->producers == NULL) {
        p->producers = producers_make();
        list_push(&p->broker->producing, &p->producing);
    }
    return p->producers;
}

static void opening_restore(struct store_open *open, struct slice snapshot)
{
    struct opening *o = container_of(open, struct opening, open);
#ifdef FAULT_producers_forgotten
    return;
#endif
    if (snapshot.len != 0 && o->err == ERR_OK)
        o->err = producers_restore(partition_producers(o->p), snapshot);
}

static void opening_replay(struct store_open *open, const struct batch_head *head,
                           int64_t append_ms)
{
    struct opening *o = container_of(open, struct opening, open);
    if (head->producer_id >= 0)
        producers_replay(partition_producers(o->p), head, (uint64_t)append_ms);
}

static void partition_drop(struct partition *p)
{
    map_remove(&p->broker->partitions, &p->node);
    partition_free(p);
}

static void opening_end(void *arg, enum err err)
{
    struct opening *o = arg;
    struct partition *p = o->p;
    if (p->log != NULL) {
        p->state = PARTITION_OPEN;
        floor_open(p);
    }
    if (err != ERR_OK) {
        env_log(p->broker->env, ENV_ERROR, "partition.open", "topic=%s partition=%d error=%s",
                p->topic->name, p->index, err_name(err));
        if (p->log == NULL)
            partition_drop(p);
    }
    struct openings *all = o->all;
    mem_free(o);
    openings_less(all, err);
}

static void opening_done(struct store_open *open, enum err err)
{
    struct opening *o = container_of(open, struct opening, open);
    struct partition *p = o->p;
    if (err == ERR_OK) {
        p->log = open->log;
        p->log_start = open->log_start;
        p->end = open->end;
        err = o->err;
    }
    if (err != ERR_OK || p->topic->conf.duplicates_window_ms == 0) {
        opening_end(o, err);
        return;
    }
    p->duplicates = duplicates_make();
    duplicates_load(p, opening_end, o);
}

static struct partition *partition_add(struct broker *b, const struct topic *topic, int32_t index)
{
    struct partition *p = mem_zalloc(1, sizeof(*p));
    struct partition_key key = {topic->id, index};
    p->broker = b;
    p->topic = topic_ref(topic);
    p->topic_id = topic->id;
    p->index = index;
    list_init(&p->watches);
    list_init(&p->deliveries);
    list_init(&p->paged);
    list_init(&p->trimming);
    p->floor = INT64_MAX;
    list_init(&p->producing);
    map_insert(&b->partitions, &p->node, key_hash(&key));
    return p;
}

static void partition_open(struct openings *all, const struct topic *topic, int32_t index)
{
    struct opening *o = mem_zalloc(1, sizeof(*o));
    o->all = all;
    o->p = partition_add(all->broker, topic, index);
    o->open = (struct store_open){
        .id = {topic->id, (uint32_t)index},
        .create = true,
        .events = &log_events,
        .user = o->p,
        .restore = opening_restore,
        .replay = opening_replay,
        .done = opening_done,
    };
    topic_conf_store(&topic->conf, &o->open.conf);
    all->left++;
    store_open(all->broker->store, &o->open);
}

static bool is_mine(struct broker *b, const struct uuid *topic, int32_t index)
{
    unsigned shard = broker_shard_of_partition(topic, index);
    return broker_reactor_of_shard(b, shard) == b->env->reactor;
}

void partitions_open(struct broker *b, const struct topic *topic, int32_t from, int32_t to,
                     partitions_opened_fn *done, void *arg)
{
    struct openings *all = mem_zalloc(1, sizeof(*all));
    *all = (struct openings){.broker = b, .left = 1, .done = done, .arg = arg};
    for (int32_t i = from; i < to; i++)
        if (is_mine(b, &topic->id, i))
            partition_open(all, topic, i);
    openings_less(all, ERR_OK);
}

/* ---- changing and leaving ---- */

/* From now on; what is under way is told to the memory that it was asked of. */
static void change_window(struct partition *p)
{
    bool wanted = p->topic->conf.duplicates_window_ms > 0;
    if (wanted && p->duplicates == NULL)
        p->duplicates = duplicates_make();
    else if (!wanted && p->duplicates != NULL)
        duplicates_expire(p->duplicates, INT64_MAX);
}

void partitions_change(struct broker *b, const struct topic *now)
{
    for (int32_t i = 0; i < now->partitions; i++) {
        struct partition *p = is_mine(b, &now->id, i) ? partition_find(b, &now->id, i) : NULL;
        if (p == NULL)
            continue;
        bool grown = p->topic->generation != now->generation;
        struct store_log_conf conf;
        topic_conf_store(&now->conf, &conf);
        topic_unref(p->topic);
        p->topic = topic_ref(now);
        store_configure(b->store, p->log, &conf);
        change_window(p);
        if (grown)
            partition_fire(p, true);
    }
}

struct removal {
    struct store_delete remove;
    struct store_open open; /* of an orphan */
    struct broker *broker;
};

static void removal_done(struct store_delete *remove, enum err err)
{
    struct removal *r = container_of(remove, struct removal, remove);
    if (err != ERR_OK) /* it is found again, as an orphan, at the next start */
        env_log(r->broker->env, ENV_WARN, "partition.remove", "error=%s", err_name(err));
    mem_free(r);
}

static void log_remove(struct broker *b, struct store_log *log)
{
    struct removal *r = mem_zalloc(1, sizeof(*r));
    r->broker = b;
    r->remove.log = log;
    r->remove.done = removal_done;
    store_remove(b->store, &r->remove);
}

void partition_enter(struct partition *p)
{
    p->pending++;
}

void partition_leave(struct partition *p)
{
    weir_assert(p->pending > 0);
    if (--p->pending != 0 || p->state != PARTITION_LEAVING)
        return;
    struct broker *b = p->broker;
    struct store_log *log = p->log;
    partition_free(p);
    log_remove(b, log);
}

/* Out of the map at once, so that no verb finds it and a topic of the same id cannot come back. */
static void partition_start_leaving(struct partition *p)
{
    weir_assert(p->state == PARTITION_OPEN);
    map_remove(&p->broker->partitions, &p->node);
    p->state = PARTITION_LEAVING;
    partition_enter(p);
    partition_fire(p, true);
    partition_leave(p);
}

void partitions_remove(struct broker *b, const struct uuid *topic, int32_t from, int32_t to)
{
    for (int32_t i = from; i < to; i++) {
        struct partition *p = is_mine(b, topic, i) ? partition_find(b, topic, i) : NULL;
        if (p != NULL)
            partition_start_leaving(p);
    }
}

static void orphan_opened(struct store_open *open, enum err err)
{
    struct removal *r = container_of(open, struct removal, open);
    struct broker *b = r->broker;
    if (err == ERR_OK)
        log_remove(b, open->log);
    else
        env_log(b->env, ENV_WARN, "partition.orphan", "error=%s", err_name(err));
    mem_free(r);
}

static void orphan_restore(struct store_open *open, struct slice snapshot)
{
    (void)open;
    (void)snapshot;
}

static void orphan_replay(struct store_open *open, const struct batch_head *head, int64_t append_ms)
{
    (void)open;
    (void)head;
    (void)append_ms;
}

static const struct store_log_events orphan_events;

void partition_remove_orphan(struct broker *b, const struct store_log_id *id)
{
    struct removal *r = mem_zalloc(1, sizeof(*r));
    struct topic_conf conf;
    r->broker = b;
    r->open = (struct store_open){
        .id = *id,
        .events = &orphan_events,
        .restore = orphan_restore,
        .replay = orphan_replay,
        .done = orphan_opened,
    };
    topic_conf_default(&conf);
    topic_conf_store(&conf, &r->open.conf);
    store_open(b->store, &r->open);
}

void partition_attach(struct broker *b, const struct topic *topic, int32_t index)
{
    struct partition *p = partition_add(b, topic, index);
    p->attached = true;
    p->state = PARTITION_OPEN;
}

void partition_attached(struct partition *p, struct store_log *log, int64_t log_start, int64_t end)
{
    bool start_moved = log_start != p->log_start;
    weir_assert(p->attached && log != NULL);
    p->log = log;
    p->log_start = log_start;
    p->end = end;
    partition_fire(p, start_moved);
}

bool broker_partition_stat(struct broker *b, const struct uuid *topic, int32_t partition,
                           struct partition_stat *out)
{
    struct partition *p = partition_find(b, topic, partition);
    struct store_log_stat log;
    if (p == NULL || p->state != PARTITION_OPEN)
        return false;
    log = (struct store_log_stat){0};
    if (p->log != NULL)
        store_stat(b->store, p->log, &log);
    *out = (struct partition_stat){
        .log_start = p->log_start,
        .high_watermark = p->end,
        .leader_epoch = partition_epoch(p),
        .bytes = log.bytes,
        .segments = log.segments,
        .producers = (uint32_t)producers_count(p->producers),
        .records_in = p->records_in,
        .bytes_in = p->bytes_in,
        .ids = duplicates_count(p->duplicates),
        .duplicates_dropped = p->duplicates_dropped,
        .ids_forgotten = duplicates_forgotten(p->duplicates),
    };
    list_for (it, &p->watches)
        out->watches++;
    return true;
}
