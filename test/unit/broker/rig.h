/* rig.h: a whole broker on fake reactors and a fake store, and its verbs as plain calls that run
 * the fake world until they are answered. */
#pragma once

#include "broker/broker.h"
#include "fake_env.h"
#include "fake_store.h"

struct rig {
    struct fake_world world;
    struct fake_disk *disk;
    struct fake_store *stores[FAKE_REACTORS_MAX];
    struct broker *brokers[FAKE_REACTORS_MAX];
    struct broker_conf conf; /* change before rig_boot */
    unsigned n;
    bool loaded;
    enum err load_err;
};

/* A fresh disk; the broker is up. */
void rig_make(struct rig *r, unsigned reactors);
/* As rig_make, without booting. */
void rig_prepare(struct rig *r, unsigned reactors);
/* Starts a broker of the next incarnation on what the disk holds; load_err says how it went. */
void rig_boot(struct rig *r);
/* Ends the broker as kill -9 does; of the commits under way the oldest `keep` are on disk. */
void rig_kill(struct rig *r, unsigned keep);
/* rig_kill without anything under way, and rig_boot. */
void rig_restart(struct rig *r);
void rig_free(struct rig *r);
/* While on, what is allocated need not be freed: a process that is killed amid store calls keeps
 * their memory until it is gone, and here it lives on. */
void rig_lose_memory(bool on);
/* Delivers mail, fires what is due and completes store calls until nothing is left to do. */
void rig_run(struct rig *r);
void rig_defer(struct rig *r, bool deferred);
struct env *rig_env(struct rig *r, unsigned reactor);

/* Calls from reactor `from`; they run the world until answered. */
enum err rig_create(struct rig *r, unsigned from, const char *name, int32_t partitions);
enum err rig_create_with(struct rig *r, const char *name, int32_t partitions,
                         const struct topic_setting *settings, size_t n);
enum err rig_delete(struct rig *r, unsigned from, const char *name);
enum err rig_grow(struct rig *r, unsigned from, const char *name, int32_t partitions);
enum err rig_configure(struct rig *r, const char *name, const char *key, const char *value);
/* All settings at once, and the number of partitions (0: as it is). */
enum err rig_replace(struct rig *r, const char *name, int32_t partitions,
                     const struct topic_setting *settings, size_t n);
const struct topic *rig_topic(struct rig *r, unsigned reactor, const char *name);
struct uuid rig_topic_id(struct rig *r, const char *name);

/* A batch of n records "v0", "v1", ... at time ts. */
struct slice rig_batch(unsigned n, int64_t ts);
struct slice rig_batch_from(unsigned n, int64_t ts, int64_t producer, int16_t epoch,
                            int32_t sequence);
extern const struct actor rig_actor;

/* A produce that is not waited for. `done` when answered. */
struct rig_produce {
    struct produce_op op;
    bool done;
};
struct rig_produce *rig_produce_start(struct rig *r, unsigned from, const struct uuid *topic,
                                      int32_t partition, struct slice batch);
/* Takes the batch; must be done. */
void rig_produce_free(struct rig_produce *p);
/* Waited for: the error, and the offset where wanted. Takes the batch. */
enum err rig_produce(struct rig *r, unsigned from, const struct uuid *topic, int32_t partition,
                     struct slice batch, int64_t *offset);
/* The values of all records from `offset` on, as one string "v0 v1 "; freed by the caller with
 * mem_free. */
char *rig_read(struct rig *r, unsigned from, const struct uuid *topic, int32_t partition,
               int64_t offset, enum err *err);
int64_t rig_list(struct rig *r, unsigned from, const struct uuid *topic, int32_t partition,
                 int64_t timestamp);
