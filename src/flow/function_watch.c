/* What workers print and use. Once a second all of the reactor are measured, and who is above a
 * limit is ended.
 */
#include "flow/function_internal.h"

#include "io/log.h"

#include <stdio.h>
#include <string.h>

#define TICK_US UINT64_C(1000000)
/* Two seconds in which reading stopped follow each other. */
#define ON_END_US UINT64_C(1500000)
#define SHOWN_BYTES 900 /* of a line, in a line of the log */

/* ---- output ---------------------------------------------------------------------------------- */

/* The correlation of the one call that is under way; of several nobody knows which it was. */
static struct str correlation_of(const struct function_worker *w)
{
    if (w->slots_n != 1)
        return (struct str){NULL, 0};
    return container_of(w->slots.next, struct function_slot, link)->correlation;
}

static void line(void *user, enum process_stream stream, struct str text, bool cut)
{
    struct function_worker *w = user;
    char *tail = w->tail[w->tail_n++ % FUNCTION_TAIL_LINES];
    char plain[SHOWN_BYTES / 2 + 1], quoted[SHOWN_BYTES], correlation[128] = "-";
    struct str c = correlation_of(w);
    (void)str_copy(tail, FUNCTION_TAIL_BYTES, text);
    cut |= !str_copy(plain, sizeof plain, text);
    if (c.at)
        str_put_plain(correlation, sizeof correlation, c);
    env_log(w->f->all->env, ENV_INFO, "function.output",
            "function=%s worker=%u stream=%s correlation=%s text=%s%s", w->f->name, w->number,
            stream == PROCESS_ERR ? "stderr" : "stdout", correlation,
            log_quote(quoted, sizeof quoted, plain), cut ? " cut=true" : "");
}

static void dropped(void *user, uint32_t lines, bool held)
{
    struct function_worker *w = user;
    uint64_t now = function_now(w->f);
    env_log(w->f->all->env, ENV_WARN, "function.output_dropped",
            "function=%s worker=%u lines=%u held=%s", w->f->name, w->number, lines,
            held ? "true" : "false");
    if (!held)
        return;
    w->flooded = now - w->flooded_us < ON_END_US ? w->flooded + 1 : 1;
    w->flooded_us = now;
    if (w->flooded >= FUNCTION_FLOOD_SECONDS)
        function_worker_kill(w, FUNCTION_KILL_FLOOD);
}

static void ended(void *user, const struct process_end *end)
{
    function_worker_ended(user, end);
}

const struct process_ops function_watch_ops = {.line = line, .dropped = dropped, .ended = ended};

/* ---- use ------------------------------------------------------------------------------------- */

/* Of a core, in thousandths, over the last FUNCTION_CPU_SECONDS; 0: not known yet. */
static uint64_t cpu_milli(struct function_worker *w, const struct process_usage *u)
{
    if (w->cpu_n > FUNCTION_CPU_SECONDS) {
        memmove(&w->cpu[0], &w->cpu[1], FUNCTION_CPU_SECONDS * sizeof w->cpu[0]);
        w->cpu_n--;
    }
    w->cpu[w->cpu_n].at_us = u->measured_us;
    w->cpu[w->cpu_n++].cpu_us = u->cpu_us;
    if (w->cpu_n <= FUNCTION_CPU_SECONDS)
        return 0;
    uint64_t time = u->measured_us - w->cpu[0].at_us;
    uint64_t used = u->cpu_us > w->cpu[0].cpu_us ? u->cpu_us - w->cpu[0].cpu_us : 0;
    return time ? used * 1000 / time : 0;
}

static void check(struct function_worker *w)
{
    const struct process_usage *u = w->process ? process_usage(w->process) : NULL;
    if (!u || !u->measured_us || !w->f->document)
        return;
    const struct function_conf *c = function_conf_of(w->f);
    uint64_t milli = cpu_milli(w, u);
    w->resident_bytes = u->resident_bytes;
    if (c->memory_bytes && u->resident_bytes > (uint64_t)c->memory_bytes)
        function_worker_kill(w, FUNCTION_KILL_MEMORY);
    else if (c->cpu_milli && milli > (uint64_t)c->cpu_milli)
        function_worker_kill(w, FUNCTION_KILL_CPU);
}

void function_watch_measured(struct process_measure *m)
{
    struct functions *all = container_of(m, struct functions, measure);
    struct map_node *n = NULL;
    all->measuring = false;
    while ((n = map_next(&all->map, n)) != NULL) {
        const struct function *f = container_of(n, struct function, node);
        list_for (it, &f->workers)
            check(container_of(it, struct function_worker, link));
    }
}

void function_watch_tick(struct env_timer *timer)
{
    struct functions *all = container_of(timer, struct functions, tick);
    if (all->workers == 0)
        return;
    if (!all->measuring) {
        all->measuring = true;
        process_measure(all->conf.loop, &all->measure);
    }
    env_timer_set(all->env, timer, TICK_US);
}
