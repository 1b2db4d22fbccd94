#include "flow/push_internal.h"

/* Messages in hand that no call has. */
static uint64_t held(const struct pusher *p)
{
    uint64_t n = 0;
    for (int32_t i = 0; i < p->streams_n; i++) {
        const struct push_fetch *f = p->streams[i]->fetch;
        n += f && f->done ? f->op.n - f->next : 0;
    }
    return n;
}

static void told(struct op *op)
{
    struct push_waits *w = container_of(op, struct push_waits, op.op);
    struct pusher *p = w->p;
    w->asking = false;
    if (op->err == ERR_OK && !p->leaving)
        function_waits(&p->fn, w->op.ready + held(p));
    if (w->op.ready > 0 || p->slots_out > 0)
        push_waits_look(p);
    pusher_pump(p);
}

static void ask(struct env_timer *timer)
{
    struct push_waits *w = container_of(timer, struct push_waits, timer);
    w->asking = true;
    w->op = (struct ledger_stat_op){.op.done = told, .subscription = w->p->s->id};
    broker_ledger_stat(w->p->push->b, &w->op);
}

void push_waits_look(struct pusher *p)
{
    struct push_waits *w = &p->waits;
    if (!p->doc || p->leaving || p->push->stopping || w->asking || env_timer_armed(&w->timer))
        return;
    w->p = p;
    w->timer.fire = ask;
    env_timer_set(p->push->env, &w->timer, PUSH_WAITS_US);
}

void push_waits_stop(struct pusher *p)
{
    env_timer_stop(p->push->env, &p->waits.timer);
}
