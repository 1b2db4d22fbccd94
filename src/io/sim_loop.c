/* Simulated loops: the turn of loop.h in virtual time, mail and jobs.
 *
 * A loop has at most one turn in the queue of events, at the earliest time that something asked
 * for, but not while it is still busy with its last one.
 */
#include "io/process_internal.h"
#include "io/sim_internal.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

/* What a turn takes beside its syncs, us: drawn from 1 to this. */
#define SIM_TURN_US_MAX 4
/* Nothing happens later: two thousand years. */
#define SIM_TIME_END_US (UINT64_MAX >> 8)
/* How long a mail or a job may wait until it is looked at, us. */
#define SIM_WAKE_US_MAX 20

struct sim_mail {
    struct list link;
    uint64_t due_us;
    struct env_mail *mail;
};

struct sim_job {
    struct list link;
    struct sim_event event;
    struct sim_loop *sl;
    struct loop_job *job;
};

struct sim_signal {
    struct list link;
    int signo;
    loop_signal_fn *fn;
    void *arg;
};

/* A signal that was raised. */
struct sim_raise {
    struct env_mail mail;
    int signo;
};

static struct sim_loop *sim_loop_of(struct loop *loop)
{
    return (struct sim_loop *)loop;
}

static void turn_schedule(struct sim_loop *sl)
{
    if (sl->in_turn || sl->stopped || sl->wake_us == UINT64_MAX)
        return;
    uint64_t at = sl->wake_us;
    if (at < sl->busy_until_us)
        at = sl->busy_until_us;
    if (at < sl->sim->now_us)
        at = sl->sim->now_us;
    sim_cancel(sl->sim, &sl->turn);
    if (at < SIM_TIME_END_US)
        sim_schedule(sl->sim, &sl->turn, at);
}

void sim_loop_wake(struct sim_loop *sl, uint64_t at_us)
{
    if (at_us >= sl->wake_us)
        return;
    sl->wake_us = at_us;
    turn_schedule(sl);
}

void sim_loop_post_at(struct sim_loop *sl, struct env_mail *mail, uint64_t at_us)
{
    struct sim_mail *m = mem_alloc(sizeof(*m));
    *m = (struct sim_mail){.due_us = at_us, .mail = mail};
    struct list *before = sl->mails.prev;
    while (before != &sl->mails && container_of(before, struct sim_mail, link)->due_us > at_us)
        before = before->prev;
    list_insert_before(before->next, &m->link);
    sim_loop_wake(sl, at_us + rng_below(&sl->sim->rng, SIM_WAKE_US_MAX));
}

/* Those that are due when it begins; what they post here waits for the next turn. */
static void mails_run(struct sim_loop *sl)
{
    size_t due = 0;
    list_for (it, &sl->mails)
        due += container_of(it, struct sim_mail, link)->due_us <= sl->sim->now_us;
    for (; due > 0; due--) {
        struct sim_mail *m = container_of(list_pop(&sl->mails), struct sim_mail, link);
        struct env_mail *mail = m->mail;
        mem_free(m);
        mail->run(mail, &sl->loop.env);
    }
}

static void turn_run(struct sim *sim, struct sim_event *event)
{
    struct sim_loop *sl = container_of(event, struct sim_loop, turn);
    sim_trace_add(sim, 'T', sl->loop.env.reactor, sim->now_us);
    sl->wake_us = UINT64_MAX;
    sl->in_turn = true;
    sim->in_program = !sl->outside;
    sl->loop.env.mono_us = sim->now_us;
    sl->loop.env.now_ms = sim_wall_at(sim, sim->now_us);
    sim_net_receive(sl);
    sim_processes_run(sl);
    mails_run(sl);
    loop_timers_run(&sl->loop);
    loop_hooks_run(&sl->loop);
    sim_net_send(sl);
    sim_net_close(sl);
    sim_spend(sim, 1 + rng_below(&sim->rng, SIM_TURN_US_MAX));
    sl->busy_until_us = sim_local_us(sim);
    sl->in_turn = false;
    if (!list_empty(&sl->mails))
        sim_loop_wake(sl, container_of(sl->mails.next, struct sim_mail, link)->due_us);
    sim_loop_wake(sl, loop_timers_next(&sl->loop));
    turn_schedule(sl);
}

/* A timer that is armed outside of a turn (at a start, before the loop runs) needs one too. */
static void sim_timer_set(struct env *env, struct env_timer *timer, uint64_t delay_us)
{
    struct sim_loop *sl = sim_loop_of(loop_of(env));
    loop_env_timer_set(env, timer, delay_us);
    sim_loop_wake(sl, timer->node.key);
}

static void sim_post(struct env *env, unsigned reactor, struct env_mail *mail)
{
    struct sim_loop *sl = sim_loop_of(loop_of(env));
    weir_assert(reactor < env->reactors && mail->run != NULL);
    sim_loop_post_at(sim_loop_of(sl->set[reactor]), mail, sim_local_us(sl->sim));
}

static void sim_random(struct env *env, void *p, size_t n)
{
    rng_fill(&sim_loop_of(loop_of(env))->sim->rng, p, n);
}

static const struct env_ops sim_env_ops = {
    .timer_set = sim_timer_set,
    .timer_stop = loop_env_timer_stop,
    .post = sim_post,
    .random = sim_random,
    .log = loop_env_log,
};

/* ---- jobs ---- */

static void job_done(struct env_mail *mail, struct env *env)
{
    (void)env;
    struct loop_job *job = container_of(mail, struct loop_job, mail);
    job->done(job);
}

static void job_run(struct sim *sim, struct sim_event *event)
{
    struct sim_job *sj = container_of(event, struct sim_job, event);
    struct sim_loop *sl = sj->sl;
    struct loop_job *job = sj->job;
    list_remove(&sj->link);
    mem_free(sj);
    sim_trace_add(sim, 'J', sl->loop.env.reactor, sim->now_us);
    sim->in_program = !sl->outside;
    job->work(job);
    sim_loop_post_at(sl, &job->mail, sim_local_us(sim));
}

static void sim_job_start(struct loop *loop, struct loop_job *job)
{
    struct sim_loop *sl = sim_loop_of(loop);
    struct sim_job *sj = mem_zalloc(1, sizeof(*sj));
    job->mail.run = job_done;
    sj->event.run = job_run;
    sj->sl = sl;
    sj->job = job;
    list_push(&sl->jobs, &sj->link);
    uint64_t wait = 1 + rng_below(&sl->sim->rng, SIM_WAKE_US_MAX);
    sim_schedule(sl->sim, &sj->event, sim_local_us(sl->sim) + wait);
}

static void sim_quiet(struct loop *loop)
{
    struct sim_loop *sl = sim_loop_of(loop);
    struct list *at;
    while ((at = list_pop(&sl->mails)) != NULL)
        mem_free(container_of(at, struct sim_mail, link));
    while ((at = list_pop(&sl->jobs)) != NULL) {
        struct sim_job *sj = container_of(at, struct sim_job, link);
        sim_cancel(sl->sim, &sj->event);
        mem_free(sj);
    }
}

/* ---- signals ---- */

static enum err sim_on_signal(struct loop *loop, int signo, loop_signal_fn *fn, void *arg)
{
    struct sim_signal *s = mem_zalloc(1, sizeof(*s));
    *s = (struct sim_signal){.signo = signo, .fn = fn, .arg = arg};
    list_push(&sim_loop_of(loop)->signals, &s->link);
    return ERR_OK;
}

static void raise_run(struct env_mail *mail, struct env *env)
{
    struct sim_raise *r = container_of(mail, struct sim_raise, mail);
    list_for (it, &sim_loop_of(loop_of(env))->signals) {
        const struct sim_signal *s = container_of(it, struct sim_signal, link);
        if (s->signo == r->signo)
            s->fn(s->arg, s->signo);
    }
    mem_free(r);
}

void sim_signal(struct loop *loop, int signo)
{
    struct sim_loop *sl = sim_loop_of(loop);
    struct sim_raise *r = mem_zalloc(1, sizeof(*r));
    r->mail.run = raise_run;
    r->signo = signo;
    sim_loop_post_at(sl, &r->mail, sim_local_us(sl->sim));
}

/* ---- life ---- */

static void sim_stop(struct loop *loop)
{
    struct sim_loop *sl = sim_loop_of(loop);
    sl->stopped = true;
    sim_cancel(sl->sim, &sl->turn);
}

static const struct loop_ops sim_loop_ops = {
    .stop = sim_stop,
    .job_start = sim_job_start,
    .quiet = sim_quiet,
    .listen = sim_net_listen,
    .connect = sim_net_connect,
    .on_signal = sim_on_signal,
    .process_start = sim_process_start,
    .process_port = sim_net_port,
    .process_measure = sim_process_measure,
};

static struct sim_loop *sim_loop_make(struct sim *sim, unsigned reactor, unsigned reactors,
                                      bool outside)
{
    struct sim_loop *sl = mem_zalloc(1, sizeof(*sl));
    loop_init(&sl->loop, &sim_loop_ops, &sim_env_ops, reactor, reactors);
    sl->loop.env.mono_us = sim_local_us(sim);
    sl->loop.env.now_ms = sim_wall_at(sim, sim_local_us(sim));
    sl->sim = sim;
    sl->outside = outside;
    sl->turn.run = turn_run;
    sl->wake_us = UINT64_MAX;
    list_init(&sl->mails);
    list_init(&sl->jobs);
    list_init(&sl->signals);
    list_init(&sl->streams);
    list_push(&sim->loops, &sl->link);
    return sl;
}

static void loops_make(struct sim *sim, unsigned n, struct loop **loops, bool outside)
{
    weir_assert(n > 0);
    for (unsigned i = 0; i < n; i++)
        loops[i] = &sim_loop_make(sim, i, n, outside)->loop;
    for (unsigned i = 0; i < n; i++) {
        struct sim_loop *sl = sim_loop_of(loops[i]);
        sl->set = mem_alloc(n * sizeof(*loops));
        memcpy(sl->set, loops, n * sizeof(*loops));
        sim_loop_wake(sl, sim_local_us(sim));
    }
}

void sim_loops(struct sim *sim, unsigned n, struct loop **loops)
{
    loops_make(sim, n, loops, false);
}

void sim_client_loops(struct sim *sim, unsigned n, struct loop **loops)
{
    loops_make(sim, n, loops, true);
}

static void sim_loop_free(struct sim_loop *sl)
{
    struct list *at;
    list_for_safe (it, &sl->loop.processes)
        process_drop(container_of(it, struct process, link));
    sim_quiet(&sl->loop);
    while ((at = list_pop(&sl->signals)) != NULL)
        mem_free(container_of(at, struct sim_signal, link));
    sim_cancel(sl->sim, &sl->turn);
    list_remove(&sl->link);
    loop_deinit(&sl->loop);
    mem_free(sl->set);
    mem_free(sl);
}

void sim_loop_end(struct sim_loop *sl)
{
    weir_assert(!sl->in_turn);
    sim_net_drop_loop(sl->sim->net, sl);
    sim_loop_free(sl);
}

void sim_loops_drop(struct sim *sim, bool outside_too)
{
    list_for (it, &sim->loops) {
        struct sim_loop *sl = container_of(it, struct sim_loop, link);
        if (outside_too || !sl->outside)
            sim_net_drop_loop(sim->net, sl);
    }
    list_for_safe (it, &sim->loops) {
        struct sim_loop *sl = container_of(it, struct sim_loop, link);
        if (outside_too || !sl->outside)
            sim_loop_free(sl);
    }
}
