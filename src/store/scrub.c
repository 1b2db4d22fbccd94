#include "store/scrub.h"

#include "base/mem.h"
#include "io/log.h"
#include "store/embedded_internal.h"

#include <inttypes.h>

static void look_after(struct store_reactor *r, uint64_t us)
{
    env_timer_set(reactor_env(r), &r->scrub.timer, us);
}

/* --- a pass --- */

static void pass_begin(struct store_reactor *r)
{
    struct scrub *s = &r->scrub;
    s->pass_due_us = env_mono_us(reactor_env(r)) + (uint64_t)SCRUB_PASS_MS * 1000;
    s->ids = mem_zalloc(r->logs.count, sizeof(*s->ids));
    s->count = s->next = 0;
    for (struct map_node *n = map_next(&r->logs, NULL); n; n = map_next(&r->logs, n))
        s->ids[s->count++] = container_of(n, struct store_log, node)->id;
}

static void pass_end(struct store_reactor *r)
{
    mem_free(r->scrub.ids);
    r->scrub.ids = NULL;
    atomic_fetch_add(&r->e->scrub.passes, 1);
}

/* --- a log of it --- */

static void fault_note(void *arg, const char *file, uint64_t at, const char *what)
{
    struct scrub_found *found = arg;
    if (found->faults++ == 0)
        (void)err_say(&found->first, ERR_CORRUPT, "%s, byte %" PRIu64 ": %s", file, at, what);
}

/* False: there is nothing to be looked at. */
static bool log_begin(struct store_reactor *r, const struct store_log *log)
{
    struct scrub *s = &r->scrub;
    struct manifest_log known;
    struct layout_path path;
    if (log->dead || log->entry.len == 0 || manifest_log_decode(log->entry, &known) != ERR_OK)
        return false;
    s->id = log->id;
    s->start = log->start;
    s->err = plog_check_begin(r->e->disk, layout_log(&path, r->e->dir, &log->id), &known.state,
                              fault_note, &s->found, &s->check);
    manifest_log_free(&known);
    return true;
}

static void log_end(struct scrub *s)
{
    plog_check_end(s->check, NULL);
    s->check = NULL;
}

/* The next log that has something; false: the pass is over. */
static bool log_next(struct store_reactor *r)
{
    struct scrub *s = &r->scrub;
    while (s->next < s->count) {
        const struct store_log *log = reactor_log(r, &s->ids[s->next++]);
        if (log && log_begin(r, log))
            return true;
    }
    return false;
}

/* --- a step --- */

static void step_work(struct loop_job *job)
{
    struct scrub *s = container_of(job, struct scrub, job);
    if (!s->err)
        s->err = plog_check_run(s->check, SCRUB_STEP_BYTES, &s->read_bytes, &s->done);
}

/* Nothing that went away while it was read is a fault. */
static bool log_is_same(struct store_reactor *r)
{
    const struct store_log *log = reactor_log(r, &r->scrub.id);
    return log && !log->dead && log->start == r->scrub.start;
}

static void step_tell(struct store_reactor *r)
{
    struct scrub *s = &r->scrub;
    char quoted[512];
    if (s->found.faults == 0 && !s->err)
        return;
    if (s->err)
        log_event(ENV_WARN, "store.scrub.failed", "error=%s", err_name(s->err));
    if (s->found.faults > 0)
        log_event(ENV_ERROR, "store.scrub.fault", "faults=%" PRIu64 " first=%s meaning=\"%s\"",
                  s->found.faults, log_quote(quoted, sizeof(quoted), s->found.first.s),
                  "it has changed on the disk: indexes are built anew, batches need a backup");
    atomic_fetch_add(&r->e->scrub.faults, s->found.faults);
}

/* After so many bytes, at the reactor's share of the rate. */
static uint64_t pause_us(struct embedded *e, uint64_t bytes)
{
    uint64_t rate = atomic_load(&e->scrub.rate);
    uint64_t us = rate > 0 ? bytes * e->reactors * 1000000 / rate : 0;
    return us > SCRUB_PAUSE_US ? us : SCRUB_PAUSE_US;
}

static void step_done(struct loop_job *job)
{
    struct scrub *s = container_of(job, struct scrub, job);
    struct store_reactor *r = container_of(s, struct store_reactor, scrub);
    bool same = log_is_same(r);
    atomic_fetch_add(&r->e->scrub.bytes, s->read_bytes);
    if (same)
        step_tell(r);
    if (!same || s->err || s->done)
        log_end(s);
    look_after(r, pause_us(r->e, s->read_bytes));
}

static void step_begin(struct store_reactor *r)
{
    struct scrub *s = &r->scrub;
    s->found = (struct scrub_found){0};
    s->read_bytes = 0;
    s->job.work = step_work;
    s->job.done = step_done;
    loop_job_start(r->loop, &s->job);
}

static void timer_fire(struct env_timer *timer)
{
    struct store_reactor *r = container_of(timer, struct store_reactor, scrub.timer);
    struct scrub *s = &r->scrub;
    bool idle = atomic_load(&r->e->scrub.rate) == 0 || atomic_load(&r->e->failed) ||
                atomic_load(&r->e->closing);
    if (!idle && !s->ids && env_mono_us(reactor_env(r)) >= s->pass_due_us)
        pass_begin(r);
    if (!idle && s->ids && !s->check && !log_next(r))
        pass_end(r);
    if (!idle && s->check)
        step_begin(r);
    else
        look_after(r, (uint64_t)SCRUB_LOOK_MS * 1000);
}

void scrub_init(struct store_reactor *r)
{
    struct scrub *s = &r->scrub;
    s->timer.fire = timer_fire;
    s->pass_due_us = env_mono_us(reactor_env(r)) + r->e->conf.scrub_after_ms * 1000;
    look_after(r, r->e->conf.scrub_after_ms * 1000);
}

void scrub_free(struct store_reactor *r)
{
    if (r->scrub.check)
        log_end(&r->scrub);
    mem_free(r->scrub.ids);
}
