#include "store/retention.h"

#include "io/log.h"
#include "store/embedded_internal.h"

static void start_done(struct commit_item *item, enum err err)
{
    struct store_log *log = item->first->log;
    log->retiring = false;
    if (!err && log->events && log->events->start_moved)
        log->events->start_moved(log->user, log->start);
}

/* The owner may have what is too much settled, given up, or kept elsewhere. */
static void log_press(const struct store_log *log, uint64_t now_ms)
{
    if (log->retain_from >= log->end || log->events == NULL || log->events->pressed == NULL)
        return;
    int64_t start = plog_too_large(log->plog, log->end);
    bool full = start > log->retain_from;
    if (!full)
        start = plog_too_old(log->plog, now_ms, log->end);
    if (start > log->retain_from)
        log->events->pressed(log->user, start, full);
}

/* Without a look at its files: may there be something to remove? */
static bool log_may_retire(const struct store_log *log)
{
    const struct store_log_conf *c = &log->conf;
    return log->bytes > 0 && (c->retention_ms >= 0 || (c->retention_bytes >= 0 &&
                                                       log->bytes > (uint64_t)c->retention_bytes));
}

static void log_retain(struct store_reactor *r, struct store_log *log, uint64_t now_ms)
{
    int64_t limit = log->retain_from < log->end ? log->retain_from : log->end;
    int64_t start = plog_retention(log->plog, now_ms, limit);
    log_press(log, now_ms);
    if (start <= log->start || log->retiring)
        return;
    struct commit_item *item = reactor_item(r, start_done);
    log->retiring = true;
    reactor_log_touch(log); /* it stays loaded until its start has moved */
    reactor_item_mark(item, log, JOURNAL_START, start);
    reactor_submit(r, item);
}

/* False: the wall clock jumped. */
static bool clock_agrees(struct retention *t, const struct env *env)
{
    uint64_t now = env_now_ms(env), mono = env_mono_us(env);
    uint64_t expected = t->wall_ms + (mono - t->mono_us) / 1000;
    uint64_t apart = now > expected ? now - expected : expected - now;
    if (apart > RETENTION_JUMP_MS) {
        if (!t->stopped)
            log_event(ENV_WARN, "store.retention.stopped",
                      "moved_ms=%llu meaning=\"the wall clock jumped; nothing is removed until it "
                      "is back, or until a restart\"",
                      (unsigned long long)apart);
        t->stopped = true;
        return false;
    }
    t->stopped = false;
    t->wall_ms = now;
    t->mono_us = mono;
    return true;
}

/* A log that nobody uses is loaded for the look only. */
static void idle_look(struct store_reactor *r, struct store_log *log, uint64_t now_ms)
{
    if (reactor_log_need(log))
        return;
    log_retain(r, log, now_ms);
    reactor_log_unload(log);
}

static void loaded_look(struct store_reactor *r, struct store_log *log, uint64_t now_ms)
{
    if (log->open)
        log_retain(r, log, now_ms);
    (void)plog_reap(log->plog, now_ms);
    if (++log->idle_looks >= r->e->conf.unload_looks)
        reactor_log_unload(log);
}

/* Whether it is the turn of this idle log: some at each look, one after the other. */
static bool idle_turn(struct retention *t, uint32_t *idle)
{
    uint32_t i = (*idle)++;
    return i >= t->idle_from && i - t->idle_from < RETENTION_IDLE_MAX;
}

void retention_run(struct store_reactor *r)
{
    struct env *env = reactor_env(r);
    struct retention *t = &r->retention;
    uint32_t idle = 0;
    if (atomic_load(&r->e->closing) || atomic_load(&r->e->failed) || !clock_agrees(t, env))
        return;
    for (struct map_node *n = map_next(&r->logs, NULL); n; n = map_next(&r->logs, n)) {
        struct store_log *log = container_of(n, struct store_log, node);
        if (log->dead)
            continue;
        if (log->plog)
            loaded_look(r, log, env_now_ms(env));
        else if (log->open && log_may_retire(log) && idle_turn(t, &idle))
            idle_look(r, log, env_now_ms(env));
    }
    t->idle_from += RETENTION_IDLE_MAX;
    if (t->idle_from >= idle)
        t->idle_from = 0;
}

static void timer_fire(struct env_timer *timer)
{
    struct store_reactor *r = container_of(timer, struct store_reactor, retention.timer);
    retention_run(r);
    env_timer_set(reactor_env(r), timer, r->e->conf.retention_ms * 1000);
}

void retention_init(struct store_reactor *r)
{
    struct env *env = reactor_env(r);
    r->retention = (struct retention){
        .timer.fire = timer_fire, .wall_ms = env_now_ms(env), .mono_us = env_mono_us(env)};
    env_timer_set(env, &r->retention.timer, r->e->conf.retention_ms * 1000);
}
