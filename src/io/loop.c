#include "io/loop_internal.h"

#include "base/assert.h"
#include "io/log.h"

/* A file range of this many bytes counts as one byte of output. */
#define LOOP_FILE_DISCOUNT 100

struct env *loop_env(struct loop *loop)
{
    return &loop->env;
}

struct loop *loop_of(struct env *env)
{
    return container_of(env, struct loop, env);
}

void loop_init(struct loop *loop, const struct loop_ops *ops, const struct env_ops *env_ops,
               unsigned reactor, unsigned reactors)
{
    weir_assert(reactor < reactors);
    loop->ops = ops;
    loop->env.ops = env_ops;
    loop->env.reactor = reactor;
    loop->env.reactors = reactors;
    heap_init(&loop->timers);
    list_init(&loop->hooks);
    list_init(&loop->processes);
    loop->hook_next = NULL;
    atomic_init(&loop->streams, 0);
}

void loop_deinit(struct loop *loop)
{
    heap_free(&loop->timers);
}

void loop_run(struct loop *loop)
{
    weir_assert(loop->ops->run != NULL);
    loop->ops->run(loop);
}

void loop_stop(struct loop *loop)
{
    loop->ops->stop(loop);
}

void loop_job_start(struct loop *loop, struct loop_job *job)
{
    weir_assert(job->work != NULL && job->done != NULL);
    job->loop = loop;
    loop->ops->job_start(loop, job);
}

void loop_set_quiet(unsigned n, struct loop **loops)
{
    for (unsigned i = 0; i < n; i++)
        loops[i]->ops->quiet(loops[i]);
}

enum err loop_listen(struct loop **loops, unsigned n, const struct listen_conf *conf,
                     struct listener **out, struct err_text *text)
{
    weir_assert(n > 0 && conf->accept != NULL);
    return loops[0]->ops->listen(loops, n, conf, out, text);
}

const char *listener_addr(const struct listener *l)
{
    return l->addr;
}

void listener_close(struct listener *l)
{
    if (l)
        l->close(l);
}

enum err loop_connect(struct loop *loop, const char *addr, const struct pipe_user_ops *user_ops,
                      void *user, struct pipe **out)
{
    return loop->ops->connect(loop, addr, user_ops, user, out);
}

size_t loop_streams(const struct loop *loop)
{
    return atomic_load_explicit(&loop->streams, memory_order_relaxed);
}

enum err loop_on_signal(struct loop *loop, int signo, loop_signal_fn *fn, void *arg)
{
    return loop->ops->on_signal(loop, signo, fn, arg);
}

void loop_hook_add(struct loop *loop, struct loop_hook *hook)
{
    list_push(&loop->hooks, &hook->link);
}

void loop_hook_remove(struct loop *loop, struct loop_hook *hook)
{
    if (loop->hook_next == &hook->link)
        loop->hook_next = hook->link.next;
    list_remove(&hook->link);
}

void loop_hooks_run(struct loop *loop)
{
    struct list *at = loop->hooks.next;
    while (at != &loop->hooks) {
        loop->hook_next = at->next;
        struct loop_hook *hook = container_of(at, struct loop_hook, link);
        hook->run(hook);
        at = loop->hook_next;
    }
    loop->hook_next = NULL;
}

void loop_env_timer_set(struct env *env, struct env_timer *timer, uint64_t delay_us)
{
    struct loop *loop = loop_of(env);
    uint64_t due = env->mono_us + delay_us;
    if (due < delay_us)
        due = UINT64_MAX;
    heap_remove(&loop->timers, &timer->node);
    heap_insert(&loop->timers, &timer->node, due);
}

void loop_env_timer_stop(struct env *env, struct env_timer *timer)
{
    heap_remove(&loop_of(env)->timers, &timer->node);
}

void loop_env_log(struct env *env, enum env_level level, const char *event, const char *text)
{
    log_write_at(env->now_ms, level, event, text);
}

void loop_timers_run(struct loop *loop)
{
    uint64_t fresh = loop->timers.next_seq;
    struct heap_node *node;
    while ((node = heap_min(&loop->timers)) != NULL) {
        if (node->key > loop->env.mono_us || node->seq >= fresh)
            return;
        heap_remove(&loop->timers, node);
        struct env_timer *timer = container_of(node, struct env_timer, node);
        timer->fire(timer);
    }
}

uint64_t loop_timers_next(const struct loop *loop)
{
    const struct heap_node *node = heap_min(&loop->timers);
    return node ? node->key : UINT64_MAX;
}

struct loop *loop_least_loaded(struct loop **loops, unsigned n)
{
    struct loop *best = loops[0];
    for (unsigned i = 1; i < n; i++) {
        if (loop_streams(loops[i]) < loop_streams(best))
            best = loops[i];
    }
    return best;
}

size_t loop_output_weight(size_t memory_bytes, size_t file_bytes)
{
    return memory_bytes + file_bytes / LOOP_FILE_DISCOUNT;
}

size_t loop_file_bytes(const struct chunkq *q)
{
    size_t n = 0;
    for (const struct chunk *c = q->head; c; c = c->next)
        n += c->file ? c->len : 0;
    return n;
}
