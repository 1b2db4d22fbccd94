#include "io/process_internal.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define SECOND_US UINT64_C(1000000)

/* ---- limits ---------------------------------------------------------------------------------- */

bool process_wants_output(const struct process *p)
{
    return p->bytes < PROCESS_OUTPUT_MAX;
}

static void second_tell(struct process *p)
{
    bool held = !process_wants_output(p);
    uint32_t dropped = p->dropped;
    p->bytes = 0;
    p->lines = p->dropped = 0;
    if (dropped || held)
        p->ops->dropped(p->user, dropped, held);
}

static void second_over(struct env_timer *timer)
{
    struct process *p = container_of(timer, struct process, second);
    bool held = !process_wants_output(p);
    second_tell(p);
    if (held)
        p->kind->resume(p);
}

/* ---- lines ----------------------------------------------------------------------------------- */

static void line_tell(struct process *p, enum process_stream stream, bool cut)
{
    struct process_line *l = &p->line[stream];
    struct str text = {l->text, l->len};
    l->len = 0;
    if (text.len && text.at[text.len - 1] == '\r' && !cut)
        text.len--;
    if (p->lines < p->lines_max)
        p->lines++, p->ops->line(p->user, stream, text, cut);
    else
        p->dropped++;
}

static void line_add(struct process *p, enum process_stream stream, const char *bytes, size_t n)
{
    struct process_line *l = &p->line[stream];
    if (l->over)
        return;
    if (!l->text)
        l->text = mem_alloc(PROCESS_LINE_MAX);
    size_t room = PROCESS_LINE_MAX - l->len;
    size_t k = n < room ? n : room;
    memcpy(l->text + l->len, bytes, k);
    l->len += k;
    l->over = n > room;
    if (l->over)
        line_tell(p, stream, true);
}

void process_feed(struct process *p, enum process_stream stream, const char *bytes, size_t n)
{
    if (!env_timer_armed(&p->second))
        env_timer_set(&p->loop->env, &p->second, SECOND_US);
    p->bytes += n;
    while (n > 0) {
        const char *end = memchr(bytes, '\n', n);
        size_t k = end ? (size_t)(end - bytes) : n;
        line_add(p, stream, bytes, k);
        if (!end)
            return;
        if (!p->line[stream].over)
            line_tell(p, stream, false);
        p->line[stream].over = false;
        bytes += k + 1;
        n -= k + 1;
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

void process_init(struct process *p, const struct process_kind *kind, struct loop *loop,
                  const struct process_conf *conf, int64_t id)
{
    weir_assert(conf->ops->line && conf->ops->dropped && conf->ops->ended);
    p->kind = kind;
    p->loop = loop;
    p->ops = conf->ops;
    p->user = conf->user;
    p->id = id;
    p->started_us = env_mono_us(&loop->env);
    p->lines_max = conf->lines_max;
    p->second.fire = second_over;
    list_push(&loop->processes, &p->link);
}

void process_drop(struct process *p)
{
    env_timer_stop(&p->loop->env, &p->second);
    list_remove(&p->link);
    mem_free(p->line[PROCESS_OUT].text);
    mem_free(p->line[PROCESS_ERR].text);
    p->kind->free(p);
}

void process_finish(struct process *p, const struct process_end *end)
{
    for (unsigned i = 0; i < 2; i++) {
        if (p->line[i].len)
            line_tell(p, (enum process_stream)i, false);
    }
    second_tell(p);
    p->ops->ended(p->user, end);
    process_drop(p);
}

enum err process_start(struct loop *loop, const struct process_conf *conf, struct process **out,
                       struct err_text *text)
{
    weir_assert(conf->argv[0] != NULL && conf->env != NULL);
    return loop->ops->process_start(loop, conf, out, text);
}

int64_t process_id(const struct process *p)
{
    return p->id;
}

void process_signal(struct process *p, int signo)
{
    p->kind->signal(p, signo);
}

enum err process_port(struct loop *loop, uint16_t *port)
{
    return loop->ops->process_port(loop, port);
}

/* ---- measuring ------------------------------------------------------------------------------- */

const struct process_usage *process_usage(const struct process *p)
{
    return &p->usage;
}

static int id_compare(const void *a, const void *b)
{
    int64_t x = ((const struct process_measured *)a)->id;
    int64_t y = ((const struct process_measured *)b)->id;
    return (x > y) - (x < y);
}

struct process_measured *process_measured_find(struct process_measure *m, int64_t id)
{
    const struct process_measured key = {.id = id};
    return bsearch(&key, m->at, m->n, sizeof *m->at, id_compare);
}

static void measured(struct loop_job *job)
{
    struct process_measure *m = container_of(job, struct process_measure, job);
    list_for (it, &job->loop->processes) {
        struct process *p = container_of(it, struct process, link);
        const struct process_measured *found = process_measured_find(m, p->id);
        if (!found) /* started meanwhile */
            continue;
        p->usage = found->usage;
        p->usage.measured_us = env_mono_us(&job->loop->env);
    }
    mem_free(m->at);
    m->at = NULL;
    m->done(m);
}

static void measure_work(struct loop_job *job)
{
    job->loop->ops->process_measure(container_of(job, struct process_measure, job));
}

void process_measure(struct loop *loop, struct process_measure *m)
{
    weir_assert(m->at == NULL && m->done != NULL);
    m->n = 0;
    list_for (it, &loop->processes)
        m->n++;
    m->at = mem_zalloc(m->n + 1, sizeof *m->at);
    size_t i = 0;
    list_for (it, &loop->processes)
        m->at[i++].id = container_of(it, struct process, link)->id;
    qsort(m->at, m->n, sizeof *m->at, id_compare);
    m->job.work = measure_work;
    m->job.done = measured;
    loop_job_start(loop, &m->job);
}
