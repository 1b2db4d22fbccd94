/* Watches: who waits until there is something new to read in a partition.
 *
 * A watch lies in its partition's list until something happens. Cancelling crosses reactors: the
 * cancellation travels to the owner and back by the watch's own mail, and since the answer to the
 * watch is posted by the owner before that mail returns, it is home first. So the caller is told
 * when both are back, and no mail is on its way in memory that the caller may free.
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

static void watch_tell(struct watch_op *w)
{
    w->op.done = w->told;
    w->op.done(&w->op);
}

static void watch_done(struct op *op)
{
    struct watch_op *w = watch_of(op);
    w->answered = true;
    if (!w->cancelled)
        watch_tell(w);
}

void broker_watch(struct broker *b, struct watch_op *w)
{
    w->op.run = watch_run;
    w->told = w->op.done;
    w->op.done = watch_done;
    w->cancelled = w->answered = false;
    list_init(&w->link);
    op_submit(b, broker_shard_of_partition(&w->topic, w->partition), &w->op);
}

static void watch_take_out(struct broker *owner, struct watch_op *w)
{
    if (!list_linked(&w->link))
        return;
    list_remove(&w->link);
    op_finish(owner, &w->op, ERR_CLOSED);
}

static void cancel_return(struct env_mail *mail, struct env *env)
{
    (void)env;
    struct watch_op *w = container_of(mail, struct watch_op, cancel_mail);
    weir_assert(w->answered);
    watch_tell(w);
}

static void cancel_arrive(struct env_mail *mail, struct env *env)
{
    struct watch_op *w = container_of(mail, struct watch_op, cancel_mail);
    struct broker *owner = broker_on(w->op.home, env->reactor);
    watch_take_out(owner, w);
    mail->run = cancel_return;
    env_post(env, w->op.home->env->reactor, mail);
}

void broker_watch_cancel(struct broker *b, struct watch_op *w)
{
    weir_assert(w->op.home == b);
    if (w->cancelled || w->answered)
        return;
    unsigned shard = broker_shard_of_partition(&w->topic, w->partition);
    unsigned owner = broker_reactor_of_shard(b, shard);
    if (owner == b->env->reactor) {
        watch_take_out(b, w);
        return;
    }
    w->cancelled = true;
    w->cancel_mail.run = cancel_arrive;
    env_post(b->env, owner, &w->cancel_mail);
}
