#include "rig.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

const struct actor rig_actor = {
    .principal = "User:ANONYMOUS", .client_id = {"test", 4}, .address = "127.0.0.1:1"};

static bool is_mine(const struct env *env, const struct store_log_id *id)
{
    return broker_shard_of_partition(&id->topic, (int32_t)id->partition) % env->reactors ==
           env->reactor;
}

void rig_prepare(struct rig *r, unsigned reactors)
{
    *r = (struct rig){.n = reactors, .conf = broker_conf_default};
    fake_world_make(&r->world, reactors);
    r->disk = fake_disk_make();
}

static void loaded(void *arg, enum err err)
{
    struct rig *r = arg;
    r->loaded = true;
    r->load_err = err;
}

void rig_boot(struct rig *r)
{
    struct env *envs[FAKE_REACTORS_MAX];
    struct store *stores[FAKE_REACTORS_MAX];
    r->conf.incarnation++;
    r->loaded = false;
    fake_disk_set_epoch(r->disk, (int32_t)r->conf.incarnation);
    for (unsigned i = 0; i < r->n; i++) {
        envs[i] = rig_env(r, i);
        r->stores[i] = fake_store_make(r->disk, envs[i], is_mine);
        stores[i] = fake_store_port(r->stores[i]);
    }
    broker_set_make(&r->conf, r->n, envs, stores, r->brokers);
    broker_set_load(r->brokers, r->n, loaded, r);
    rig_run(r);
    weir_assert(r->loaded);
}

void rig_make(struct rig *r, unsigned reactors)
{
    rig_prepare(r, reactors);
    rig_boot(r);
    weir_assert(r->load_err == ERR_OK);
}

void rig_kill(struct rig *r, unsigned keep)
{
    uint64_t ms = rig_env(r, 0)->now_ms, us = rig_env(r, 0)->mono_us;
    struct rng rng = r->world.rng;
    fake_disk_crash(r->disk, keep);
    broker_set_free(r->brokers, r->n);
    for (unsigned i = 0; i < r->n; i++)
        fake_store_free(r->stores[i]);
    fake_world_free(&r->world);
    fake_world_make(&r->world, r->n);
    r->world.rng = rng;
    for (unsigned i = 0; i < r->n; i++) {
        rig_env(r, i)->now_ms = ms;
        rig_env(r, i)->mono_us = us;
    }
}

void rig_restart(struct rig *r)
{
    rig_run(r);
    rig_kill(r, 0);
    rig_boot(r);
}

void rig_free(struct rig *r)
{
    rig_kill(r, 0);
    fake_world_free(&r->world);
    fake_disk_free(r->disk);
}

/* The leak sanitizer's, where it is there. */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

void rig_lose_memory(bool on)
{
    void (*call)(void) = on ? __lsan_disable : __lsan_enable;
    if (call != NULL)
        call();
}

void rig_run(struct rig *r)
{
    bool any = true;
    while (any) {
        any = fake_deliver_all(&r->world);
        any |= fake_fire(&r->world);
        for (unsigned i = 0; i < r->n; i++)
            any |= fake_store_run(r->stores[i]);
    }
}

void rig_defer(struct rig *r, bool deferred)
{
    for (unsigned i = 0; i < r->n; i++)
        fake_store_defer(r->stores[i], deferred);
}

struct env *rig_env(struct rig *r, unsigned reactor)
{
    return &r->world.envs[reactor].env;
}

/* ---- topics ---- */

static struct op *last_done;

static void op_done(struct op *op)
{
    last_done = op;
}

static enum err wait(struct rig *r, struct op *op)
{
    rig_run(r);
    weir_assert(last_done == op);
    last_done = NULL;
    return op->err;
}

enum err rig_create_with(struct rig *r, const char *name, int32_t partitions,
                         const struct topic_setting *settings, size_t n)
{
    struct topic_create_op op = {
        .op.done = op_done,
        .actor = &rig_actor,
        .name = str_of(name),
        .partitions = partitions,
        .replication = -1,
        .settings = settings,
        .settings_n = n,
    };
    broker_topic_create(r->brokers[0], &op);
    enum err err = wait(r, &op.op);
    topic_unref(op.topic);
    return err;
}

enum err rig_create(struct rig *r, unsigned from, const char *name, int32_t partitions)
{
    struct topic_create_op op = {
        .op.done = op_done,
        .actor = &rig_actor,
        .name = str_of(name),
        .partitions = partitions,
        .replication = 1,
    };
    broker_topic_create(r->brokers[from], &op);
    enum err err = wait(r, &op.op);
    topic_unref(op.topic);
    return err;
}

enum err rig_delete(struct rig *r, unsigned from, const char *name)
{
    struct topic_delete_op op = {.op.done = op_done, .actor = &rig_actor, .name = str_of(name)};
    broker_topic_delete(r->brokers[from], &op);
    enum err err = wait(r, &op.op);
    topic_unref(op.topic);
    return err;
}

enum err rig_grow(struct rig *r, unsigned from, const char *name, int32_t partitions)
{
    struct topic_grow_op op = {
        .op.done = op_done, .actor = &rig_actor, .name = str_of(name), .partitions = partitions};
    broker_topic_grow(r->brokers[from], &op);
    return wait(r, &op.op);
}

enum err rig_configure(struct rig *r, const char *name, const char *key, const char *value)
{
    struct topic_setting s = {.key = str_of(key)};
    if (value != NULL)
        s.value = str_of(value);
    struct topic_configure_op op = {.op.done = op_done,
                                    .actor = &rig_actor,
                                    .name = str_of(name),
                                    .settings = &s,
                                    .settings_n = 1};
    broker_topic_configure(r->brokers[0], &op);
    return wait(r, &op.op);
}

enum err rig_replace(struct rig *r, const char *name, int32_t partitions,
                     const struct topic_setting *settings, size_t n)
{
    struct topic_configure_op op = {.op.done = op_done,
                                    .actor = &rig_actor,
                                    .name = str_of(name),
                                    .settings = settings,
                                    .settings_n = n,
                                    .replace = true,
                                    .partitions = partitions};
    broker_topic_configure(r->brokers[0], &op);
    return wait(r, &op.op);
}

const struct topic *rig_topic(struct rig *r, unsigned reactor, const char *name)
{
    return broker_topic(r->brokers[reactor], str_of(name));
}

struct uuid rig_topic_id(struct rig *r, const char *name)
{
    const struct topic *t = rig_topic(r, 0, name);
    weir_assert(t != NULL);
    return t->id;
}

/* ---- records ---- */

struct slice rig_batch_from(unsigned n, int64_t ts, int64_t producer, int16_t epoch,
                            int32_t sequence)
{
    struct batch_builder b;
    batch_begin(&b, 0);
    for (unsigned i = 0; i < n; i++) {
        char value[16];
        int len = snprintf(value, sizeof(value), "v%u", i);
        batch_add(&b, ts, (struct str){NULL, 0}, (struct str){value, (size_t)len}, NULL, 0);
    }
    return batch_end_producer(&b, producer, epoch, sequence);
}

struct slice rig_batch(unsigned n, int64_t ts)
{
    return rig_batch_from(n, ts, -1, -1, -1);
}

static void produce_done(struct op *op)
{
    struct rig_produce *p = container_of(op, struct rig_produce, op.op);
    weir_assert(!p->done);
    p->done = true;
}

struct rig_produce *rig_produce_start(struct rig *r, unsigned from, const struct uuid *topic,
                                      int32_t partition, struct slice batch)
{
    struct rig_produce *p = mem_zalloc(1, sizeof(*p));
    p->op.op.done = produce_done;
    p->op.actor = &rig_actor;
    p->op.topic = *topic;
    p->op.partition = partition;
    p->op.batch = batch;
    p->op.zstd_allowed = true;
    broker_produce(r->brokers[from], &p->op);
    return p;
}

void rig_produce_free(struct rig_produce *p)
{
    slice_unref(p->op.batch);
    mem_free(p);
}

enum err rig_produce(struct rig *r, unsigned from, const struct uuid *topic, int32_t partition,
                     struct slice batch, int64_t *offset)
{
    struct rig_produce *p = rig_produce_start(r, from, topic, partition, batch);
    rig_run(r);
    weir_assert(p->done);
    enum err err = p->op.op.err;
    if (offset != NULL)
        *offset = p->op.base_offset;
    rig_produce_free(p);
    return err;
}

static void add_values(struct wr *w, const uint8_t *p, size_t n, int64_t from)
{
    struct batch_head h;
    struct record_iter it;
    struct record rec;
    while (n > 0) {
        enum err err = batch_head_read(p, n, &h);
        weir_assert(err == ERR_OK && h.bytes <= n && batch_crc_ok(p, &h));
        record_iter_init(&it, &h, p + BATCH_HEAD_BYTES, h.bytes - BATCH_HEAD_BYTES);
        while (record_iter_next(&it, &rec) == ERR_OK) {
            if (rec.offset < from)
                continue;
            wr_bytes(w, rec.value.at, rec.value.len);
            wr_u8(w, ' ');
        }
        p += h.bytes;
        n -= h.bytes;
    }
}

char *rig_read(struct rig *r, unsigned from, const struct uuid *topic, int32_t partition,
               int64_t offset, enum err *err)
{
    struct read_op op = {
        .op.done = op_done,
        .actor = topic_id_is_state(topic) ? NULL : &rig_actor, /* as a test, it may */
        .topic = *topic,
        .partition = partition,
        .offset = offset,
        .leader_epoch = -1,
        .last_fetched_epoch = -1,
        .bytes_max = (size_t)1 << 30,
        .min_one = true,
    };
    broker_read(r->brokers[from], &op);
    *err = wait(r, &op.op);
    struct wr w;
    wr_init(&w, 64);
    for (struct chunk *c = op.records.head; c != NULL; c = c->next)
        add_values(&w, c->slice.at, c->slice.len, offset);
    chunkq_clear(&op.records);
    char *values = mem_strndup((const char *)w.buf->data, w.len);
    wr_free(&w);
    return values;
}

int64_t rig_list(struct rig *r, unsigned from, const struct uuid *topic, int32_t partition,
                 int64_t timestamp)
{
    struct list_op op = {
        .op.done = op_done,
        .actor = topic_id_is_state(topic) ? NULL : &rig_actor,
        .topic = *topic,
        .partition = partition,
        .timestamp = timestamp,
        .leader_epoch = -1,
    };
    broker_list_offset(r->brokers[from], &op);
    enum err err = wait(r, &op.op);
    weir_assert(err == ERR_OK);
    return op.offset;
}
