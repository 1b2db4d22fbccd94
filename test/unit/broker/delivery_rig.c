#include "delivery_rig.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

static void op_done(struct op *op)
{
    op->done = NULL; /* so that the caller sees it */
}

static enum err wait(struct rig *r, struct op *op)
{
    rig_run(r);
    weir_assert(op->done == NULL);
    return op->err;
}

struct uuid rig_subscribe(struct rig *r, const char *topic, const char *name,
                          void (*change)(struct subscription_conf *conf))
{
    struct subscription_conf conf;
    subscription_conf_init(&conf);
    conf.topic = str_of(topic);
    conf.start = START_EARLIEST;
    if (change != NULL)
        change(&conf);
    struct subscription_put_op op = {
        .op.done = op_done, .actor = &rig_actor, .name = str_of(name), .conf = &conf};
    broker_subscription_put(r->brokers[0], &op);
    enum err err = wait(r, &op.op);
    if (err != ERR_OK)
        fprintf(stderr, "%s: %s\n", err_name(err), op.text.s);
    weir_assert(err == ERR_OK);
    struct uuid id = op.subscription->id;
    subscription_unref(op.subscription);
    return id;
}

enum err rig_unsubscribe(struct rig *r, const char *topic, const char *name)
{
    struct subscription_delete_op op = {.op.done = op_done,
                                        .actor = &rig_actor,
                                        .topic = rig_topic_id(r, topic),
                                        .name = str_of(name)};
    broker_subscription_delete(r->brokers[0], &op);
    return wait(r, &op.op);
}

enum err rig_trim(struct rig *r, const struct uuid *topic, int32_t partition, int64_t offset)
{
    struct trim_op op = {.op.done = op_done,
                         .actor = &rig_actor,
                         .topic = *topic,
                         .partition = partition,
                         .offset = offset};
    broker_trim(r->brokers[0], &op);
    return wait(r, &op.op);
}

struct uuid rig_queue(struct rig *r, const char *name, int32_t partitions)
{
    struct topic_setting on = {STR_LIT("weir.queue"), STR_LIT("true")};
    enum err err = rig_create_with(r, name, partitions, &on, 1);
    weir_assert(err == ERR_OK);
    return rig_topic_id(r, name);
}

void rig_put(struct rig *r, const char *topic, int32_t partition, const char *key,
             const char *value)
{
    struct batch_builder b;
    struct uuid id = rig_topic_id(r, topic);
    batch_begin(&b, 0);
    batch_add(&b, (int64_t)rig_env(r, 0)->now_ms, key != NULL ? str_of(key) : (struct str){NULL, 0},
              str_of(value), NULL, 0);
    enum err err = rig_produce(r, 0, &id, partition, batch_end(&b), NULL);
    weir_assert(err == ERR_OK);
}

/* ---- acquire ---- */

static void acquire_done(struct op *op)
{
    struct rig_acquire *a = container_of(op, struct rig_acquire, op.op);
    weir_assert(!a->done);
    a->done = true;
}

struct rig_acquire *rig_acquire_with(struct rig *r, unsigned from, struct uuid subscription,
                                     uint64_t owner, uint32_t n, uint32_t wait_ms,
                                     void (*change)(struct acquire_op *op))
{
    struct rig_acquire *a = mem_zalloc(1, sizeof(*a));
    a->op = (struct acquire_op){.op.done = acquire_done,
                                .actor = &rig_actor,
                                .subscription = subscription,
                                .partition = -1,
                                .owner = owner,
                                .messages_max = n,
                                .bytes_max = (size_t)1 << 20,
                                .wait_ms = wait_ms};
    if (change != NULL)
        change(&a->op);
    broker_acquire(r->brokers[from], &a->op);
    return a;
}

struct rig_acquire *rig_acquire_start(struct rig *r, unsigned from, struct uuid subscription,
                                      uint64_t owner, uint32_t n, uint32_t wait_ms)
{
    return rig_acquire_with(r, from, subscription, owner, n, wait_ms, NULL);
}

struct rig_acquire *rig_acquire(struct rig *r, unsigned from, struct uuid subscription,
                                uint64_t owner, uint32_t n)
{
    struct rig_acquire *a = rig_acquire_start(r, from, subscription, owner, n, 0);
    rig_run(r);
    weir_assert(a->done);
    return a;
}

void rig_acquire_free(struct rig_acquire *a)
{
    weir_assert(a->done);
    acquire_free(&a->op);
    mem_free(a);
}

const char *rig_values(const struct rig_acquire *a)
{
    static char text[4096];
    size_t at = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < a->op.n; i++) {
        struct str v = a->op.messages[i].record.value;
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%.*s ", (int)v.len, v.at);
        weir_assert(at < sizeof(text));
    }
    return text;
}

/* ---- settle ---- */

enum err rig_settle(struct rig *r, unsigned from, struct uuid subscription,
                    struct settle_item *items, size_t n)
{
    struct settle_op op = {.op.done = op_done,
                           .actor = &rig_actor,
                           .subscription = subscription,
                           .items = items,
                           .items_n = n};
    broker_settle(r->brokers[from], &op);
    return wait(r, &op.op);
}

enum err rig_settle_all(struct rig *r, unsigned from, struct uuid subscription,
                        const struct rig_acquire *a, enum settle_verb verb)
{
    struct settle_item *items = mem_zalloc(a->op.n + 1, sizeof(*items));
    for (uint32_t i = 0; i < a->op.n; i++)
        items[i] = (struct settle_item){.token = a->op.messages[i].token, .verb = verb};
    enum err err = rig_settle(r, from, subscription, items, a->op.n);
    for (uint32_t i = 0; i < a->op.n && err == ERR_OK; i++)
        err = items[i].err;
    mem_free(items);
    return err;
}

enum err rig_release(struct rig *r, unsigned from, struct uuid subscription, uint64_t owner,
                     bool uncounted)
{
    struct release_op op = {
        .op.done = op_done, .subscription = subscription, .owner = owner, .uncounted = uncounted};
    broker_release_all(r->brokers[from], &op);
    return wait(r, &op.op);
}

struct ledger_stat_op rig_stat(struct rig *r, struct uuid subscription)
{
    struct ledger_stat_op op = {.op.done = op_done, .subscription = subscription, .oldest = true};
    broker_ledger_stat(r->brokers[r->n - 1], &op);
    enum err err = wait(r, &op.op);
    weir_assert(err == ERR_OK);
    return op;
}

static struct rig_messages messages_copy(enum err err, const struct message *m, uint32_t n)
{
    struct rig_messages out = {.err = err, .n = n};
    size_t at = 0;
    for (uint32_t i = 0; i < n && i < RIG_MESSAGES_MAX; i++) {
        struct str v = m[i].record.value;
        at += (size_t)snprintf(out.values + at, sizeof(out.values) - at, "%.*s ", (int)v.len, v.at);
        out.states[i] = m[i].state;
        out.tokens[i] = m[i].token;
    }
    return out;
}

struct rig_messages rig_peek(struct rig *r, unsigned from, struct uuid subscription, int64_t offset,
                             uint32_t n)
{
    struct peek_op op = {.op.done = op_done,
                         .actor = &rig_actor,
                         .subscription = subscription,
                         .partition = -1,
                         .from = offset,
                         .messages_max = n};
    broker_peek(r->brokers[from], &op);
    enum err err = wait(r, &op.op);
    struct rig_messages out = messages_copy(err, op.messages, op.n);
    peek_free(&op);
    return out;
}

struct rig_messages rig_deferred(struct rig *r, unsigned from, struct uuid subscription,
                                 uint64_t owner, const int64_t *offsets, uint32_t n)
{
    struct deferred_op op = {.op.done = op_done,
                             .actor = &rig_actor,
                             .subscription = subscription,
                             .owner = owner,
                             .offsets = offsets,
                             .offsets_n = n};
    broker_receive_deferred(r->brokers[from], &op);
    enum err err = wait(r, &op.op);
    struct rig_messages out = messages_copy(err, op.messages, op.n);
    deferred_free(&op);
    return out;
}

enum err rig_rewind(struct rig *r, unsigned from, struct rewind_op *op)
{
    op->op.done = op_done;
    broker_rewind(r->brokers[from], op);
    return wait(r, &op->op);
}

void rig_wait(struct rig *r, uint64_t ms)
{
    fake_advance(&r->world, ms);
    rig_run(r);
}
