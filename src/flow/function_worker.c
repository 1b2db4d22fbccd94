/* One worker, one life:
 *
 *     starting   the program runs; a probe waits for its port to answer
 *     ready      it gets calls
 *     draining   no more calls; after the last one SIGTERM, after stop_ms SIGKILL
 *     gone       its process has ended; it stays until its slots are given
 *
 * From any step it is killed where a limit says so.
 */
#include "flow/function_internal.h"

#include "base/assert.h"
#include "base/mem.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define STOP_US_DEFAULT UINT64_C(5000000) /* of a function that is gone */
#define TICK_US UINT64_C(1000000)

const char *function_worker_step_name(enum function_worker_step step)
{
    static const char *const names[] = {
#define S(name) #name,
        FUNCTION_WORKER_STEPS(S)
#undef S
    };
    return names[step];
}

const char *function_kill_name(enum function_kill why)
{
    static const char *const names[] = {"", "time", "memory", "cpu", "start", "flood", "stop"};
    return names[why];
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void probe_end(struct function_worker *w)
{
    if (w->probe)
        function_probe_drop(w->probe);
    w->probe = NULL;
}

static void step_to(struct function_worker *w, enum function_worker_step step)
{
    weir_assert(step > w->step);
    w->step = step;
    probe_end(w);
    env_timer_stop(w->f->all->env, &w->deadline);
}

static void probed(void *arg)
{
    struct function_worker *w = arg;
    struct function *f = w->f;
    w->probe = NULL;
    step_to(w, FUNCTION_WORKER_ready);
    w->ready_us = function_now(f);
    function_log_ready(w);
    function_wake(f, true);
}

static void ask_to_stop(struct function_worker *w)
{
    const struct function *f = w->f;
    if (w->asked || w->killed || w->slots_n > 0)
        return;
    w->asked = true;
    process_signal(w->process, SIGTERM);
    env_timer_set(f->all->env, &w->deadline,
                  f->document ? (uint64_t)function_conf_of(f)->stop_ms * 1000 : STOP_US_DEFAULT);
}

void function_worker_drain(struct function_worker *w)
{
    if (w->step >= FUNCTION_WORKER_draining)
        return;
    step_to(w, FUNCTION_WORKER_draining);
    ask_to_stop(w);
}

void function_worker_kill(struct function_worker *w, enum function_kill why)
{
    if (w->step == FUNCTION_WORKER_gone || w->killed)
        return;
    w->killed = why;
    if (w->step < FUNCTION_WORKER_draining)
        step_to(w, FUNCTION_WORKER_draining);
    env_timer_stop(w->f->all->env, &w->deadline);
    process_signal(w->process, SIGKILL);
}

static void late(struct env_timer *timer)
{
    struct function_worker *w = container_of(timer, struct function_worker, deadline);
    bool starting = w->step == FUNCTION_WORKER_starting;
    function_worker_kill(w, starting ? FUNCTION_KILL_START : FUNCTION_KILL_STOP);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void worker_free(struct function_worker *w)
{
    weir_assert(list_empty(&w->slots));
    function_partitions_drop(w);
    list_remove(&w->link);
    mem_free(w);
}

void function_worker_released(struct function_worker *w)
{
    if (w->slots_n > 0)
        return;
    if (w->step == FUNCTION_WORKER_gone) {
        struct function *f = w->f;
        worker_free(w);
        function_wake(f, true);
    } else if (w->step == FUNCTION_WORKER_draining) {
        ask_to_stop(w);
    }
}

/* What went wrong, in a sentence for who waits in vain. */
static void say_end(const struct function_worker *w, const struct process_end *end, char *text,
                    size_t cap)
{
    const char *last =
        w->tail_n ? w->tail[(w->tail_n - 1) % FUNCTION_TAIL_LINES] : "it printed nothing";
    if (w->killed)
        snprintf(text, cap, "its worker was killed (%s): %s", function_kill_name(w->killed), last);
    else
        snprintf(text, cap, "its worker ended with %s %d: %s", end->signalled ? "signal" : "status",
                 end->status, last);
}

void function_worker_ended(struct function_worker *w, const struct process_end *end)
{
    struct function *f = w->f;
    bool meant = w->killed == FUNCTION_KILL_STOP || (w->asked && !w->killed);
    uint64_t retry_us = 0;
    if (w->step < FUNCTION_WORKER_gone)
        step_to(w, FUNCTION_WORKER_gone);
    w->process = NULL;
    f->all->workers--;
    if (meant) {
        f->stat.stopped++;
    } else {
        char error[ERR_TEXT_MAX];
        say_end(w, end, error, sizeof error);
        f->stat.killed += w->killed != FUNCTION_KILL_NONE;
        f->stat.crashed += w->killed == FUNCTION_KILL_NONE;
        retry_us = function_pool_failed(f, w, error);
    }
    function_log_ended(w, end, meant, retry_us);
    function_wake(f, true);
    function_slots_lost(w);
    if (w->slots_n == 0)
        worker_free(w);
}

/* ---- the start ------------------------------------------------------------------------------- */

static enum err start_process(struct function_worker *w, struct err_text *text)
{
    struct function *f = w->f;
    struct function_start start;
    if (!f->all->conf.commands) /* it was put when they were allowed */
        return err_say(text, ERR_POLICY, "commands are off: see --commands");
    enum err err = process_port(f->all->conf.loop, &w->port);
    if (err)
        return err_say(text, err, "no port is free");
    snprintf(w->url, sizeof w->url, "http://127.0.0.1:%u", (unsigned)w->port);
    function_start_make(&start, f, w->number, w->port);
    const struct process_conf conf = {
        .argv = start.argv,
        .env = start.env,
        .directory = start.directory,
        .lines_max = (uint32_t)function_conf_of(f)->output_lines_max,
        .ops = &function_watch_ops,
        .user = w,
    };
    err = process_start(f->all->conf.loop, &conf, &w->process, text);
    function_start_free(&start);
    return err;
}

bool function_worker_start(struct function *f)
{
    struct functions *all = f->all;
    struct function_worker *w = mem_zalloc(1, sizeof *w);
    struct err_text text = {""};
    w->f = f;
    w->number = ++all->workers_made;
    w->generation = f->generation;
    w->deadline.fire = late;
    w->started_us = function_now(f);
    list_init(&w->slots);
    if (start_process(w, &text)) {
        mem_free(w);
        f->stat.crashed++;
        uint64_t retry_us = function_pool_failed(f, NULL, text.s);
        function_log_unstarted(f, text.s, retry_us);
        return false;
    }
    list_push(&f->workers, &w->link);
    f->stat.started++;
    if (all->workers++ == 0)
        env_timer_set(all->env, &all->tick, TICK_US);
    env_timer_set(all->env, &w->deadline, (uint64_t)function_conf_of(f)->start_ms * 1000);
    w->probe = function_probe_start(f, w->port, probed, w);
    function_log_started(w);
    return true;
}
