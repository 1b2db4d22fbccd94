/* Publishing a record.
 *
 *     broker_publish   at home: the topic, the partition
 *     publish_run      on the owner: may it be appended; into the partition's open batch
 *     flush_fire       at the end of the turn (or when a batch is full): each open batch is a group
 *     batch_stored     each record's answer
 */
#include "broker/access.h"
#include "broker/partition.h"
#include "broker/schedule.h"

#include <inttypes.h>

enum err publish_begin(struct broker *b, struct publish_op *op, const struct topic **topic)
{
    op->partition_out = -1;
    op->offset = op->append_ms = -1;
    op->duplicate = op->scheduled = op->joined = false;
    op->id = (struct duplicate_id){{0, 0}};
    op->begin_us = env_mono_us(b->env);
    op->text.s[0] = '\0';
    list_init(&op->link);
    list_init(&op->waiters);
    if (!b->loaded)
        return ERR_LEADER_NOT_AVAILABLE;
    const struct topic *t = *topic = topics_find_id(&b->topics, &op->topic);
    if (t == NULL)
        return ERR_TOPIC_UNKNOWN;
    if (op->partition < -1 || op->partition >= t->partitions)
        return err_say(&op->text, ERR_TOPIC_UNKNOWN, "topic %s has %" PRId32 " partitions, no %d",
                       t->name, t->partitions, op->partition);
    return access_check(b, op->actor, ACCESS_TOPIC, str_of(t->name), ACCESS_SENDER);
}

static void batch_stored(struct store_group *group, enum err err)
{
    publish_batch_end(container_of(group, struct publish_batch, group), err);
}

/* The topic may have been deleted in this turn: then the log takes nothing more. */
static void batch_send(struct publish_batch *batch)
{
    struct partition *p = batch->append.at;
    struct broker *b = p->broker;
    p->publishing = NULL;
    list_remove(&batch->link);
    list_push(&b->publish.sent, &batch->link);
    publish_batch_close(batch);
    batch->group.done = batch_stored;
    if (p->state != PARTITION_OPEN) {
        batch_stored(&batch->group, ERR_TOPIC_UNKNOWN);
        return;
    }
    store_begin(b->store, &batch->group);
    store_append(b->store, &batch->group, &batch->append.store);
    store_commit(b->store, &batch->group);
}

static void flush_fire(struct env_timer *timer)
{
    struct publish *pub = container_of(timer, struct publish, flush);
    struct list open;
    list_init(&open);
    list_move(&open, &pub->open); /* what the answers publish is the next turn's */
    while (!list_empty(&open))
        batch_send(container_of(open.next, struct publish_batch, link));
}

static void batch_open(struct partition *p)
{
    struct publish *pub = &p->broker->publish;
    p->publishing = publish_batch_make(p);
    list_push(&pub->open, &p->publishing->link);
    pub->flush.fire = flush_fire;
    if (!env_timer_armed(&pub->flush))
        env_timer_set(pub->broker->env, &pub->flush, 0);
}

/* The answers of a batch that is sent may come at once, and publish more. */
static void publish_add(struct partition *p, struct publish_op *op)
{
    partition_enter(p);
    for (;;) {
        if (p->publishing == NULL)
            batch_open(p);
        if (publish_batch_add(p->publishing, op))
            break;
        batch_send(p->publishing);
    }
    partition_leave(p);
}

static void publish_start(struct broker *b, struct partition *p, struct publish_op *op)
{
    struct publish_op *first;
    switch (publish_ask(p, op, &first)) {
    case PUBLISH_NEW:
        publish_add(p, op);
        break;
    case PUBLISH_KNOWN:
        op_finish(b, &op->op, ERR_OK);
        break;
    case PUBLISH_UNDER_WAY:
#ifdef FAULT_copy_unwaited
        op->duplicate = true;
        op_finish(b, &op->op, ERR_OK);
#else
        list_push(&first->waiters, &op->link);
#endif
        break;
    }
}

void publish_again(struct broker *b, struct publish_op *op)
{
    struct partition *p;
    enum err err = partition_get(b, &op->topic, op->partition_out, &p);
    if (err == ERR_OK)
        err = publish_check(p, op);
    if (err != ERR_OK)
        op_finish(b, &op->op, err);
    else if (op->due_ms > (int64_t)env_now_ms(b->env))
        schedule_publish(b, op);
    else
        publish_start(b, p, op);
}

static void publish_run(struct broker *b, struct op *op)
{
    publish_again(b, container_of(op, struct publish_op, op));
}

static size_t about_bytes(const struct publish_record *r)
{
    return r->key.len + r->value.len + 32 * r->headers_n + 16;
}

static enum err home_check(struct broker *b, struct publish_op *op)
{
    const struct topic *topic;
    enum err err = publish_begin(b, op, &topic);
    if (err != ERR_OK)
        return err;
    op->partition_out = publish_choose(topic, op);
    if (op->partition_out < 0)
        op->partition_out = publish_by_turns(&b->publish, topic, about_bytes(&op->record));
    return ERR_OK;
}

void broker_publish(struct broker *b, struct publish_op *op)
{
    enum err err = home_check(b, op);
    op->op.run = publish_run;
    if (err == ERR_OK) {
        op_submit(b, broker_shard_of_partition(&op->topic, op->partition_out), &op->op);
        return;
    }
    op->op.home = b;
    op_finish(b, &op->op, err);
}
