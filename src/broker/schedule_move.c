/* What is due goes where it belongs.
 *
 *     pick      records of one shard whose time has come
 *     read      them from the log
 *     outputs   they find their partitions and are held ready (publish_join)
 *     join      their tombstones are (statelog_join)
 *     commit    both in one group
 *
 * A move that fails waits RETRY_MS; if it was of several records, each goes alone then, so that
 * one that cannot be appended (its topic takes only smaller ones by now) holds up no other. One
 * that can never be appended is dropped, and said.
 */
#include "broker/schedule.h"

#include "base/mem.h"
#include "broker/partition.h"

#define RETRY_MS 1000
#define MEMORY_MAX ((size_t)16 << 20)

/* One that is read. */
struct move_read {
    struct statelog_load load;
    struct move *move;
    struct slice value;
};

struct move {
    struct schedule_shard *shard;
    struct scheduled *entries[SCHEDULE_MOVE_MAX];
    struct move_read reads[SCHEDULE_MOVE_MAX];
    size_t reading; /* of these; counts their start, too */
    size_t bytes;
    struct statelog_entity *entities[SCHEDULE_MOVE_MAX];
    struct publish_op outputs[SCHEDULE_MOVE_MAX];
    size_t n;         /* entries */
    size_t outputs_n; /* fewer, where topics are gone */
    struct arena memory;
    struct publish_join join;
    struct statelog_append append;
    struct store_group group;
    bool joined; /* the tombstones' append is part of the group */
    enum err err;
};

/* ---- the end ---- */

/* Not of the disk or the moment, but of the record and its topic. */
static bool is_final(enum err err)
{
    return err == ERR_TOPIC_UNKNOWN || err == ERR_TOPIC_INVALID || err == ERR_MESSAGE_TOO_LARGE ||
           err == ERR_RECORD_INVALID || err == ERR_TIMESTAMP_INVALID;
}

static void entry_back(struct scheduled *e, size_t together, enum err err)
{
    struct schedule *all = e->shard->all;
    e->leaving = false;
    e->alone = true;
    e->dropped = together == 1 && is_final(err);
    heap_insert(&all->due, &e->due, env_now_ms(all->broker->env) + RETRY_MS);
}

/* From inside of statelog_joined: nothing may be snapshotted that has gone. */
static void tombstones_written(struct statelog_append *a, enum err err)
{
    struct move *m = container_of(a, struct move, append);
    for (size_t i = 0; i < m->n && err == ERR_OK; i++)
        schedule_drop(m->entries[i]);
}

static void move_end(struct move *m)
{
    struct schedule *all = m->shard->all;
    for (size_t i = 0; i < m->n && m->err != ERR_OK; i++)
        entry_back(m->entries[i], m->n, m->err);
    if (m->err != ERR_OK)
        env_log(all->broker->env, ENV_WARN, "schedule.move", "records=%zu error=%s", m->n,
                err_name(m->err));
    all->moving = false;
    for (size_t i = 0; i < m->n; i++)
        slice_unref(m->reads[i].value);
    arena_free(&m->memory);
    mem_free(m);
    schedule_timer_set(all);
}

static void join_ended(struct publish_join *join)
{
    struct move *m = container_of(join, struct move, join);
    if (m->joined)
        statelog_joined(&m->append, m->err);
    move_end(m);
}

static void group_stored(struct store_group *group, enum err err)
{
    struct move *m = container_of(group, struct move, group);
    m->err = err;
    publish_join_end(&m->join, err);
}

/* ---- the way ---- */

static void tombstones_ready(struct statelog_append *a, enum err err)
{
    struct move *m = container_of(a, struct move, append);
    struct store *store = m->shard->all->broker->store;
    m->joined = err == ERR_OK;
    if (err != ERR_OK) {
        m->err = err;
        publish_join_end(&m->join, err);
        return;
    }
    store_begin(store, &m->group);
    m->group.done = group_stored;
    publish_join_add(&m->join, store, &m->group);
    store_append(store, &m->group, &m->append.append);
    store_commit(store, &m->group);
}

static void outputs_ready(struct publish_join *join, enum err err)
{
    struct move *m = container_of(join, struct move, join);
    struct batch_builder batch;
    if (err != ERR_OK) {
        m->err = err;
        move_end(m);
        return;
    }
    batch_begin(&batch, 0);
    for (size_t i = 0; i < m->n; i++) {
        m->entities[i] = &m->entries[i]->entity;
        schedule_gone(&batch, m->entries[i], (int64_t)env_now_ms(m->shard->all->broker->env));
    }
    m->append.done = tombstones_written;
    statelog_join(m->shard->log, &m->append, &batch, m->entities, m->n, tombstones_ready);
}

/* ---- reading ---- */

/* What cannot be appended, now or ever, leaves without an output. */
static void output_add(struct move *m, const struct scheduled *e, struct slice read)
{
    struct broker *b = e->shard->all->broker;
    struct schedule_record r;
    struct str value = {(const char *)read.at, read.len};
    bool there = !e->dropped && schedule_record_read(value, &m->memory, &r) &&
                 topics_find_id(&b->topics, &r.topic) != NULL;
    if (!there) {
        env_log(b->env, ENV_WARN, "schedule.dropped", "sequence=%llu",
                (unsigned long long)e->sequence);
        return;
    }
    m->outputs[m->outputs_n++] = (struct publish_op){
        .topic = r.topic, .partition = r.partition, .record = r.record, .message_id = r.message_id};
}

static void all_read(struct move *m)
{
    if (m->err != ERR_OK) {
        move_end(m);
        return;
    }
    for (size_t i = 0; i < m->n; i++)
        output_add(m, m->entries[i], m->reads[i].value);
    m->join = (struct publish_join){.outputs = m->outputs,
                                    .outputs_n = m->outputs_n,
                                    .ready = outputs_ready,
                                    .ended = join_ended};
    publish_join(m->shard->all->broker, &m->join);
}

static void read_less(struct move *m)
{
    if (--m->reading == 0)
        all_read(m);
}

static void was_read(struct statelog_load *load, enum err err)
{
    struct move_read *read = container_of(load, struct move_read, load);
    struct move *m = read->move;
    struct scheduled *e = m->entries[read - m->reads];
    e->read = &read->value;
    if (err == ERR_OK)
        err = statelog_load_apply(load);
    e->read = NULL;
    if (m->err == ERR_OK)
        m->err = err;
    read_less(m);
}

static void move_read(struct move *m)
{
    m->reading = m->n + 1;
    for (size_t i = 0; i < m->n; i++) {
        m->reads[i].move = m;
        m->reads[i].load.done = was_read;
        statelog_load(m->shard->log, &m->reads[i].load, &m->entries[i]->entity);
    }
    read_less(m);
}

/* ---- picking ---- */

static void move_add(struct move *m, struct scheduled *e)
{
    m->entries[m->n++] = e;
    m->bytes += e->bytes;
    e->leaving = true;
}

static bool is_due(const struct schedule *all, const struct heap_node *first)
{
    return first != NULL && first->key <= env_now_ms(all->broker->env);
}

/* The first one that is due, and others of its shard. */
static void move_pick(struct schedule *all, struct move *m)
{
    struct scheduled *later[SCHEDULE_MOVE_MAX];
    size_t later_n = 0;
    bool alone = false;
    while (m->n < SCHEDULE_MOVE_MAX && m->bytes < SCHEDULE_MOVE_BYTES &&
           later_n < SCHEDULE_MOVE_MAX && !alone && is_due(all, heap_min(&all->due))) {
        struct scheduled *e = container_of(heap_min(&all->due), struct scheduled, due);
        heap_remove(&all->due, &e->due);
        if (m->n == 0) {
            m->shard = e->shard;
            alone = e->alone;
            move_add(m, e);
        } else if (e->shard == m->shard && !e->alone) {
            move_add(m, e);
        } else {
            later[later_n++] = e;
        }
    }
    for (size_t i = 0; i < later_n; i++)
        heap_insert(&all->due, &later[i]->due, later[i]->due.key);
}

void schedule_move(struct schedule *all)
{
    if (!all->open || all->moving || !is_due(all, heap_min(&all->due)))
        return;
    struct move *m = mem_zalloc(1, sizeof(*m));
    all->moving = true;
    arena_init(&m->memory, MEMORY_MAX);
    move_pick(all, m);
    move_read(m);
}
