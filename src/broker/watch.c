/* Watches: who waits until there is something new to read in a partition.
 *
 * A watch lies in its partition's list until something happens.
 */
#include "broker/partition.h"

#include "base/assert.h"

static struct watch_op *watch_of(struct op *op)
{
    return container_of(op, struct watch_op, op);
}

static bool watch_due(const struct partition *p, const struct watch_op *w)
{
    return p->state != PARTITION_OPEN || p->end > w->offset || p->log_start > w->offset;
}

void partition_fire(struct partition *p, bool all)
{
    struct list due;
    list_init(&due);
    list_for_safe (it, &p->watches) {
        struct watch_op *w = container_of(it, struct watch_op, link);
        if (!all && !watch_due(p, w))
            continue;
        list_remove(it);
        list_push(&due, it);
    }
    struct broker *b = p->broker;
    struct list *it;
    while ((it = list_pop(&due)) != NULL)
        op_finish(b, &container_of(it, struct watch_op, link)->op, ERR_OK);
}

static void watch_run(struct broker *b, struct op *op)
{
    struct watch_op *w = watch_of(op);
    struct partition *p = partition_find(b, &w->topic, w->partition);
    if (p == NULL || watch_due(p, w))
        op_finish(b, op, ERR_OK);
    else
        list_push(&p->watches, &w->link);
}

static struct watch_op *watch_of_cancel(struct op_cancel *c)
{
    return container_of(c, struct watch_op, cancel);
}

static void watch_tell(struct op_cancel *c)
{
    struct watch_op *w = watch_of_cancel(c);
    w->op.done = w->told;
    w->op.done(&w->op);
}

static void watch_done(struct op *op)
{
    op_cancel_answered(&watch_of(op)->cancel);
}

static void watch_take_out(struct broker *owner, struct op_cancel *c)
{
    struct watch_op *w = watch_of_cancel(c);
    if (!list_linked(&w->link))
        return;
    list_remove(&w->link);
    op_finish(owner, &w->op, ERR_CLOSED);
}

void broker_watch(struct broker *b, struct watch_op *w)
{
    w->op.run = watch_run;
    w->told = w->op.done;
    w->op.done = watch_done;
    w->cancel = (struct op_cancel){.take_out = watch_take_out, .tell = watch_tell};
    list_init(&w->link);
    op_submit(b, broker_shard_of_partition(&w->topic, w->partition), &w->op);
}

void broker_watch_cancel(struct broker *b, struct watch_op *w)
{
    weir_assert(w->op.home == b);
    unsigned shard = broker_shard_of_partition(&w->topic, w->partition);
    op_cancel(b, &w->cancel, broker_reactor_of_shard(b, shard));
}
