#include "fake_env.h"

#include "base/list.h"

#define START_MS 1767225600000u
#define START_US 1000000u

static struct fake_env *fake_of(struct env *env)
{
    return container_of(env, struct fake_env, env);
}

static void fake_timer_stop(struct env *env, struct env_timer *timer)
{
    heap_remove(&fake_of(env)->timers, &timer->node);
}

static void fake_timer_set(struct env *env, struct env_timer *timer, uint64_t delay_us)
{
    fake_timer_stop(env, timer);
    heap_insert(&fake_of(env)->timers, &timer->node, env->mono_us + delay_us);
}

static void fake_post(struct env *env, unsigned reactor, struct env_mail *mail)
{
    struct fake_env *to = &fake_of(env)->world->envs[reactor];
    mail->next = NULL;
    *to->tail = mail;
    to->tail = &mail->next;
}

static void fake_random(struct env *env, void *p, size_t n)
{
    rng_fill(&fake_of(env)->world->rng, p, n);
}

static void fake_log(struct env *env, enum env_level level, const char *event, const char *text)
{
    (void)event;
    (void)text;
    fake_of(env)->world->logged[level]++;
}

static const struct env_ops fake_ops = {fake_timer_set, fake_timer_stop, fake_post,
                                        fake_random,    fake_log,        NULL};

void fake_world_make(struct fake_world *w, unsigned n)
{
    *w = (struct fake_world){.n = n};
    rng_seed(&w->rng, 1);
    for (unsigned i = 0; i < n; i++) {
        struct fake_env *e = &w->envs[i];
        e->env = (struct env){&fake_ops, i, n, START_MS, START_US, 0};
        e->world = w;
        e->tail = &e->head;
        heap_init(&e->timers);
    }
}

void fake_world_free(struct fake_world *w)
{
    for (unsigned i = 0; i < w->n; i++)
        heap_free(&w->envs[i].timers);
}

bool fake_deliver(struct fake_world *w, unsigned i)
{
    struct fake_env *e = &w->envs[i];
    struct env_mail *mail = e->head;
    if (mail == NULL)
        return false;
    e->head = mail->next;
    if (e->head == NULL)
        e->tail = &e->head;
    mail->run(mail, &e->env);
    return true;
}

bool fake_deliver_all(struct fake_world *w)
{
    bool any = false, left = true;
    while (left) {
        left = fake_deliver(w, (unsigned)rng_below(&w->rng, w->n));
        for (unsigned i = 0; i < w->n && !left; i++)
            left = fake_deliver(w, i);
        any |= left;
    }
    return any;
}

/* Those that are set meanwhile wait for the next turn. */
static bool fire_due(struct fake_env *e)
{
    uint64_t fresh = e->timers.next_seq;
    for (bool any = false;; any = true) {
        struct heap_node *node = heap_min(&e->timers);
        if (node == NULL || node->key > e->env.mono_us || node->seq >= fresh)
            return any;
        heap_remove(&e->timers, node);
        struct env_timer *timer = container_of(node, struct env_timer, node);
        timer->fire(timer);
    }
}

bool fake_fire(struct fake_world *w)
{
    bool any = false;
    for (unsigned i = 0; i < w->n; i++)
        any |= fire_due(&w->envs[i]);
    return any;
}

void fake_advance(struct fake_world *w, uint64_t ms)
{
    for (unsigned i = 0; i < w->n; i++) {
        w->envs[i].env.now_ms += ms;
        w->envs[i].env.mono_us += ms * 1000;
    }
    fake_fire(w);
}
