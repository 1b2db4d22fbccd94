/* How many workers there are: decided by function_scale.h, brought about here.
 *
 * A worker that failed is replaced when its back-off is over, and while failures last only one is
 * starting at a time: whatever ends them all costs one start each time, and no other function's.
 *
 * When the program changes, workers of the new one are started, and for each that is ready one of
 * the old ones goes; if the new one does not start, the old ones go on.
 */
#include "flow/function_internal.h"

#include <stdio.h>
#include <string.h>

#define WAITING_MAX (UINT64_MAX >> 8)
/* What can never be started is tried again in some later turn, whatever the settings say. */
#define BACKOFF_LEAST_US UINT64_C(10000)

static bool is_current(const struct function_worker *w)
{
    return w->generation == w->f->generation;
}

uint32_t function_pool_count(const struct function *f, enum function_worker_step step)
{
    uint32_t n = 0;
    list_for (it, &f->workers)
        n += container_of(it, struct function_worker, link)->step == step;
    return n;
}

static uint32_t count_current(const struct function *f, enum function_worker_step step)
{
    uint32_t n = 0;
    list_for (it, &f->workers) {
        const struct function_worker *w = container_of(it, struct function_worker, link);
        n += is_current(w) && w->step == step;
    }
    return n;
}

static bool works(const struct function_worker *w)
{
    return w->step == FUNCTION_WORKER_starting || w->step == FUNCTION_WORKER_ready;
}

/* ---- failures -------------------------------------------------------------------------------- */

static void forgive(struct function *f)
{
    bool was_failing = f->stat.failures >= FUNCTION_FAILING;
    if (was_failing)
        function_log_failing(f, false);
    f->stat.failures = 0;
    f->last_error[0] = '\0';
}

static uint64_t good_at(const struct function_worker *w)
{
    return is_current(w) && w->ready_us ? w->ready_us + FUNCTION_GOOD_US : UINT64_MAX;
}

/* When one will have been ready for long enough. */
static uint64_t recover(struct function *f)
{
    uint64_t look = UINT64_MAX;
    if (f->stat.failures == 0)
        return look;
    list_for (it, &f->workers) {
        const struct function_worker *w = container_of(it, struct function_worker, link);
        uint64_t at = w->step == FUNCTION_WORKER_ready ? good_at(w) : UINT64_MAX;
        look = at < look ? at : look;
    }
    if (look > function_now(f))
        return look;
    forgive(f);
    return UINT64_MAX;
}

static uint64_t backoff_us(const struct function *f)
{
    const struct function_conf *c = function_conf_of(f);
    uint64_t us = (uint64_t)c->backoff_ms * 1000, most = (uint64_t)c->backoff_max_ms * 1000;
    if (us < BACKOFF_LEAST_US)
        us = BACKOFF_LEAST_US;
    if (most < us)
        most = us;
    for (uint32_t i = 1; i < f->stat.failures && us < most; i++)
#ifndef FAULT_backoff_constant
        us *= 2;
#else
        break;
#endif
    return us < most ? us : most;
}

uint64_t function_pool_failed(struct function *f, const struct function_worker *w,
                              const char *error)
{
    uint64_t now = function_now(f);
    if (!f->document || (w && !is_current(w)))
        return 0;
    if (w && good_at(w) <= now)
        forgive(f);
    snprintf(f->last_error, sizeof f->last_error, "%s", error);
    if (now < f->retry_us) /* several of one cause: it counts once */
        return f->retry_us - now;
    f->stat.failures++;
    f->retry_us = now + backoff_us(f);
    if (f->stat.failures == FUNCTION_FAILING)
        function_log_failing(f, true);
    return f->retry_us - now;
}

/* ---- starting and stopping ------------------------------------------------------------------- */

/* The one that is missed least. */
static struct function_worker *pick(const struct function *f, bool current)
{
    struct function_worker *best = NULL;
    list_for (it, &f->workers) {
        struct function_worker *w = container_of(it, struct function_worker, link);
        if (!works(w) || is_current(w) != current)
            continue;
        bool better = !best || w->slots_n < best->slots_n ||
                      (w->slots_n == best->slots_n && w->partitions_n <= best->partitions_n);
        if (better)
            best = w;
    }
    return best;
}

static void drain_until(struct function *f, bool current, uint32_t most)
{
    uint32_t n = 0;
    list_for (it, &f->workers) {
        const struct function_worker *w = container_of(it, struct function_worker, link);
        n += works(w) && is_current(w) == current;
    }
    for (; n > most; n--)
        function_worker_drain(pick(f, current));
}

static bool may_start(const struct function *f)
{
    if (f->all->stopping || function_now(f) < f->retry_us)
        return false;
    return f->stat.failures == 0 || count_current(f, FUNCTION_WORKER_starting) == 0;
}

static uint64_t fill(struct function *f)
{
    uint32_t ready = count_current(f, FUNCTION_WORKER_ready);
    uint32_t n = ready + count_current(f, FUNCTION_WORKER_starting);
    drain_until(f, false, f->size > ready ? f->size - ready : 0);
    drain_until(f, true, f->size);
    if (n >= f->size)
        return UINT64_MAX;
    /* One a turn, since each holds the loop; the rest follows. */
    if (may_start(f) && function_worker_start(f))
        n++;
    if (n >= f->size || !may_start(f))
        return function_now(f) < f->retry_us ? f->retry_us : UINT64_MAX;
    return function_now(f);
}

/* ---- deciding -------------------------------------------------------------------------------- */

static struct function_scale_conf conf_of(const struct function *f)
{
    const struct function_conf *c = function_conf_of(f);
    return (struct function_scale_conf){.min = (uint32_t)c->workers_min,
                                        .max = (uint32_t)c->workers_max,
                                        .target = (uint32_t)c->target,
                                        .concurrency = (uint32_t)c->concurrency,
                                        .idle_us = (uint64_t)c->idle_ms * 1000};
}

uint64_t function_pool_waiting(const struct function *f)
{
    uint64_t n = 0;
    list_for (it, &f->users) {
        uint64_t more = container_of(it, struct function_user, link)->waiting;
        n = more > WAITING_MAX - n ? WAITING_MAX : n + more;
    }
    return n;
}

static uint64_t decide(struct function *f)
{
    const struct function_scale_conf conf = conf_of(f);
    uint32_t ready = count_current(f, FUNCTION_WORKER_ready);
    const struct function_scale_seen seen = {.now_us = function_now(f),
                                             .waiting = function_pool_waiting(f),
                                             .calls = f->stat.calls + f->waiting_n,
                                             .size = f->size,
                                             .ready = ready < f->size ? ready : f->size};
    struct function_scale_answer a = function_scale(&f->scale, &conf, &seen);
    f->stat.wanted = a.need;
    if (a.size != f->size) {
        function_log_scaled(f, f->size, &a, &seen);
        f->size = a.size;
    }
    return a.look_us;
}

uint64_t function_pool_work(struct function *f)
{
    if (!f->document || f->url || f->all->stopping) {
        f->size = f->stat.wanted = 0;
        drain_until(f, true, 0);
        drain_until(f, false, 0);
        return UINT64_MAX;
    }
    uint64_t good = recover(f), look = decide(f), retry = fill(f);
    look = good < look ? good : look;
    return retry < look ? retry : look;
}
