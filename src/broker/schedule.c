#include "broker/schedule.h"

#include "base/assert.h"
#include "base/mem.h"
#include "broker/access.h"
#include "broker/partition.h"

#include <string.h>

#define KEY_FORMAT 1
#define KEY_BYTES 9
#define LOOK_MS 60000 /* the wall clock may be set: it is looked at so often */
#define HEADERS_MEMORY ((size_t)64 << 10)

static struct scheduled *entry_of(struct map_node *node)
{
    return container_of(node, struct scheduled, node);
}

static bool sequence_eq(const struct map_node *node, const void *key)
{
    return container_of_const(node, struct scheduled, node)->sequence == *(const uint64_t *)key;
}

static struct scheduled *entry_find(const struct schedule *all, uint64_t sequence)
{
    struct map_node *n = map_find(&all->by_sequence, hash_u64(sequence), sequence_eq, &sequence);
    return n != NULL ? entry_of(n) : NULL;
}

static void key_make(const struct scheduled *e, char key[KEY_BYTES])
{
    key[0] = KEY_FORMAT;
    be64_put(key + 1, e->sequence);
}

/* ---- entries ---- */

static struct scheduled *entry_add(struct schedule_shard *shard, uint64_t sequence,
                                   const struct uuid *topic, size_t bytes)
{
    struct schedule *all = shard->all;
    struct scheduled *e = mem_zalloc(1, sizeof(*e));
    e->entity.chunk = true;
    e->shard = shard;
    e->sequence = sequence;
    e->topic = *topic;
    e->bytes = (uint32_t)bytes;
    all->bytes += sizeof(*e);
    map_insert(&all->by_sequence, &e->node, hash_u64(sequence));
    return e;
}

static void entry_free(struct scheduled *e)
{
    struct schedule *all = e->shard->all;
    heap_remove(&all->due, &e->due);
    map_remove(&all->by_sequence, &e->node);
    all->bytes -= sizeof(*e);
    mem_free(e);
}

void schedule_drop(struct scheduled *e)
{
    statelog_forget(e->shard->log, &e->entity);
    entry_free(e);
}

static void entry_wait(struct scheduled *e, int64_t due_ms)
{
    e->stored = true;
    heap_insert(&e->shard->all->due, &e->due, due_ms > 0 ? (uint64_t)due_ms : 0);
}

void schedule_timer_set(struct schedule *all)
{
    const struct env *env = all->broker->env;
    struct heap_node *first = heap_min(&all->due);
    if (first == NULL || !all->open || all->moving) {
        env_timer_stop(all->broker->env, &all->timer);
        return;
    }
    uint64_t now = env_now_ms(env), left = first->key > now ? first->key - now : 0;
    env_timer_set(all->broker->env, &all->timer, (left < LOOK_MS ? left : LOOK_MS) * 1000);
}

static void timer_fire(struct env_timer *timer)
{
    struct schedule *all = container_of(timer, struct schedule, timer);
    schedule_move(all);
    schedule_timer_set(all);
}

static void add_record(struct batch_builder *b, const struct scheduled *e, struct str value,
                       int64_t now_ms)
{
    char key[KEY_BYTES];
    key_make(e, key);
    batch_add(b, now_ms, (struct str){key, KEY_BYTES}, value, NULL, 0);
}

void schedule_gone(struct batch_builder *b, const struct scheduled *e, int64_t now_ms)
{
    add_record(b, e, (struct str){NULL, 0}, now_ms);
}

/* ---- publish ---- */

struct schedule_write {
    struct statelog_append append;
    struct scheduled *entry;
    struct publish_op *op;
    int64_t due_ms;
};

static void stored(struct statelog_append *a, enum err err)
{
    struct schedule_write *w = container_of(a, struct schedule_write, append);
    struct scheduled *e = w->entry;
    struct publish_op *op = w->op;
    struct schedule *all = e->shard->all;
    if (err == ERR_OK) {
        op->scheduled = true;
        op->offset = (int64_t)e->sequence;
        op->append_ms = (int64_t)env_now_ms(all->broker->env);
        entry_wait(e, w->due_ms);
        schedule_timer_set(all);
    } else {
        schedule_drop(e);
    }
    mem_free(w);
    op_finish(all->broker, &op->op, err);
}

static uint64_t sequence_next(struct schedule *all, unsigned shard)
{
    uint64_t incarnation = all->broker->set->conf.incarnation & 0x7fffff;
    return incarnation << 40 | ++all->counter << 6 | shard;
}

void schedule_publish(struct broker *b, struct publish_op *op)
{
    struct schedule *all = b->schedule;
    unsigned shard = broker_shard_of_partition(&op->topic, op->partition_out);
    struct schedule_record r = {.topic = op->topic,
                                .partition = op->partition_out,
                                .due_ms = op->due_ms,
                                .message_id = op->message_id,
                                .record = op->record};
    struct batch_builder batch;
    struct wr w;
    if (all == NULL || !all->open || all->bytes >= SCHEDULE_BYTES_MAX) {
        op_finish(b, &op->op, err_say(&op->text, ERR_BUSY, "too many records wait for their time"));
        return;
    }
    wr_init(&w, 256);
    schedule_record_write(&w, &r);
    struct schedule_write *write = mem_zalloc(1, sizeof(*write));
    write->entry = entry_add(&all->shards[shard], sequence_next(all, shard), &r.topic, w.len);
    write->op = op;
    write->due_ms = op->due_ms;
    write->append.done = stored;
    batch_begin(&batch, 0);
    add_record(&batch, write->entry, (struct str){(const char *)w.buf->data, w.len},
               (int64_t)env_now_ms(b->env));
    wr_free(&w);
    statelog_write(all->shards[shard].log, &write->append, &batch, &write->entry->entity);
}

/* ---- cancel ---- */

struct cancel_write {
    struct statelog_append append;
    struct scheduled *entry;
    struct cancel_op *op;
};

static void cancelled(struct statelog_append *a, enum err err)
{
    struct cancel_write *w = container_of(a, struct cancel_write, append);
    struct cancel_op *op = w->op;
    struct scheduled *e = w->entry;
    struct schedule *all = e->shard->all;
    if (err == ERR_OK) {
        schedule_drop(e);
    } else { /* it waits on */
        e->leaving = false;
        heap_insert(&all->due, &e->due, e->due.key);
    }
    schedule_timer_set(all);
    mem_free(w);
    op_finish(all->broker, &op->op, err);
}

static void cancel_run(struct broker *b, struct op *base)
{
    struct cancel_op *op = container_of(base, struct cancel_op, op);
    struct schedule *all = b->schedule;
    if (all == NULL || !all->open) {
        op_finish(b, base, ERR_COORDINATOR_LOADING);
        return;
    }
    struct scheduled *e = entry_find(all, (uint64_t)op->sequence);
    if (e == NULL || !e->stored || e->leaving || !uuid_eq(e->topic, op->topic)) {
        op_finish(b, base, ERR_NOT_FOUND);
        return;
    }
    struct cancel_write *w = mem_zalloc(1, sizeof(*w));
    struct batch_builder batch;
    heap_remove(&all->due, &e->due);
    e->leaving = true;
    w->entry = e;
    w->op = op;
    w->append.done = cancelled;
    batch_begin(&batch, 0);
    schedule_gone(&batch, e, (int64_t)env_now_ms(b->env));
    statelog_write(e->shard->log, &w->append, &batch, &e->entity);
}

void broker_cancel(struct broker *b, struct cancel_op *op)
{
    op->at = NULL;
    op->op.run = cancel_run;
    if (access_refuses_topic(b, &op->op, op->actor, &op->topic, ACCESS_SENDER))
        return;
    op_submit(b, (unsigned)op->sequence % BROKER_SHARDS, &op->op);
}

/* ---- load ---- */

static struct statelog_entity *apply(void *user, struct str key, struct str value,
                                     int64_t timestamp)
{
    struct schedule_shard *shard = user;
    struct schedule *all = shard->all;
    struct schedule_record r;
    struct arena memory;
    (void)timestamp;
    if (key.len != KEY_BYTES || key.at[0] != KEY_FORMAT) {
        all->load_err = ERR_FORMAT_NEWER;
        return NULL;
    }
    uint64_t sequence = be64_get(key.at + 1);
    struct scheduled *e = entry_find(all, sequence);
    if (value.at == NULL) {
        if (e != NULL)
            schedule_drop(e);
        return NULL;
    }
    if (e != NULL && e->read != NULL)
        *e->read = slice_copy(value.at, value.len);
    if (e != NULL) /* read again, or a copy of it */
        return &e->entity;
    arena_init(&memory, HEADERS_MEMORY);
    bool good = schedule_record_read(value, &memory, &r);
    arena_free(&memory);
    if (!good) {
        all->load_err = ERR_CORRUPT;
        return NULL;
    }
    e = entry_add(shard, sequence, &r.topic, value.len);
    entry_wait(e, r.due_ms);
    return &e->entity;
}

static const struct statelog_ops log_ops = {.apply = apply}; /* all entities are paged out */

static void load_less(struct schedule *all, enum err err)
{
    if (all->load_err == ERR_OK)
        all->load_err = err;
    if (--all->loading == 0)
        all->loaded(all->loaded_arg, all->load_err);
}

static void shard_loaded(void *user, struct statelog *log, enum err err)
{
    struct schedule_shard *shard = user;
    shard->log = log;
    load_less(shard->all, err);
}

struct schedule *schedule_make(struct broker *b, void (*loaded)(void *arg, enum err err), void *arg)
{
    struct schedule *all = mem_zalloc(1, sizeof(*all));
    b->schedule = all;
    all->broker = b;
    all->timer.fire = timer_fire;
    all->loading = 1;
    all->loaded = loaded;
    all->loaded_arg = arg;
    map_init(&all->by_sequence);
    heap_init(&all->due);
    for (unsigned i = 0; i < BROKER_SHARDS; i++) {
        if (broker_reactor_of_shard(b, i) != b->env->reactor)
            continue;
        all->shards[i].all = all;
        all->loading++;
        struct statelog_conf conf = {.store = b->store,
                                     .env = b->env,
                                     .broker = b,
                                     .topic = topic_state_id(TOPIC_STATE_SCHEDULED),
                                     .partition = i,
                                     .ops = &log_ops,
                                     .user = &all->shards[i],
                                     .loaded = shard_loaded,
                                     .slack_bytes = b->set->conf.state_slack_bytes};
        statelog_open(&conf, &all->shards[i].log);
    }
    load_less(all, ERR_OK);
    return all;
}

void schedule_open(struct schedule *all)
{
    all->open = true;
    schedule_timer_set(all);
}

void schedule_free(struct schedule *all)
{
    struct map_node *n;
    if (all == NULL)
        return;
    env_timer_stop(all->broker->env, &all->timer);
    for (unsigned i = 0; i < BROKER_SHARDS; i++)
        statelog_free(all->shards[i].log);
    while ((n = map_next(&all->by_sequence, NULL)) != NULL)
        entry_free(entry_of(n));
    map_free(&all->by_sequence);
    heap_free(&all->due);
    mem_free(all);
}
