#include "broker/op.h"

#include "base/assert.h"
#include "broker/broker_internal.h"

static struct op *op_of(struct env_mail *mail)
{
    return container_of(mail, struct op, mail);
}

static void op_arrive(struct env_mail *mail, struct env *env)
{
    struct op *op = op_of(mail);
    op->run(broker_on(op->home, env->reactor), op);
}

static void op_return(struct env_mail *mail, struct env *env)
{
    (void)env;
    struct op *op = op_of(mail);
    op->done(op);
}

void op_submit_to(struct broker *b, unsigned owner, struct op *op)
{
    weir_assert(op->run != NULL && op->done != NULL);
    op->home = b;
    if (owner == b->env->reactor) {
        op->run(b, op);
        return;
    }
    op->mail.run = op_arrive;
    env_post(b->env, owner, &op->mail);
}

void op_submit(struct broker *b, unsigned shard, struct op *op)
{
    op_submit_to(b, broker_reactor_of_shard(b, shard), op);
}

void op_finish(struct broker *owner, struct op *op, enum err err)
{
    op->err = err;
    if (op->home == owner) {
        op->done(op);
        return;
    }
    op->mail.run = op_return;
    env_post(owner->env, op->home->env->reactor, &op->mail);
}

/* ---- cancelling ---- */

void op_cancel_answered(struct op_cancel *c)
{
    c->answered = true;
    if (!c->under_way)
        c->tell(c);
}

static void cancel_return(struct env_mail *mail, struct env *env)
{
    struct op_cancel *c = container_of(mail, struct op_cancel, mail);
    (void)env;
    c->under_way = false;
    if (c->answered)
        c->tell(c);
}

static void cancel_arrive(struct env_mail *mail, struct env *env)
{
    struct op_cancel *c = container_of(mail, struct op_cancel, mail);
    c->take_out(broker_on(c->home, env->reactor), c);
    mail->run = cancel_return;
    env_post(env, c->home->env->reactor, mail);
}

void op_cancel(struct broker *b, struct op_cancel *c, unsigned owner)
{
    if (c->under_way || c->answered)
        return;
    if (owner == b->env->reactor) {
        c->take_out(b, c);
        return;
    }
    c->home = b;
    c->under_way = true;
    c->mail.run = cancel_arrive;
    env_post(b->env, owner, &c->mail);
}

/* ---- those that wait ---- */

void op_queue_init(struct op_queue *q)
{
    q->first = NULL;
    q->end = &q->first;
}

void op_queue_push(struct op_queue *q, struct op *op)
{
    op->mail.next = NULL;
    *q->end = &op->mail;
    q->end = &op->mail.next;
}

struct op *op_queue_pop(struct op_queue *q)
{
    struct env_mail *mail = q->first;
    if (mail == NULL)
        return NULL;
    q->first = mail->next;
    if (q->first == NULL)
        q->end = &q->first;
    return op_of(mail);
}

void op_queue_run(struct op_queue *q, struct broker *owner)
{
    struct env_mail *waiting = q->first;
    op_queue_init(q);
    while (waiting != NULL) {
        struct op *op = op_of(waiting);
        waiting = waiting->next;
        op->run(owner, op);
    }
}
