/* Simulated programs: functions of the test, each run on a loop of its own on the starter's
 * machine, so that what it listens on and what it is connected to go with it.
 *
 * A program has two sides: the program, which the simulation owns, and what its starter holds of it
 * (struct sim_child). Each outlives the other for a moment.
 */
#include "io/process_internal.h"
#include "io/sim_internal.h"

#include "base/assert.h"
#include "base/mem.h"

#include <signal.h>
#include <string.h>

#define START_US 800  /* mean; the starter waits, as for a real one */
#define BEGIN_US 1500 /* mean, until main runs */
#define TELL_US 40    /* mean, until output and ends are seen */
#define FIRST_ID 1000
#define PIPE_BYTES ((size_t)64 << 10)

struct sim_known {
    struct list link;
    const struct sim_program_ops *ops;
    char name[];
};

struct sim_child {
    struct process p; /* first */
    struct sim_loop *sl;
    struct sim_program *program; /* NULL: it is gone */
    char *output[2];             /* PIPE_BYTES each, taken when they are needed */
    size_t output_n[2];
    struct process_end end; /* when program is NULL */
};

struct sim_program {
    struct list link; /* in sim->programs */
    struct sim *sim;
    const struct sim_program_ops *ops;
    struct sim_loop *sl;     /* its own */
    struct sim_child *child; /* NULL: the starter is gone */
    int64_t id;
    bool outside; /* on another machine */
    char **argv, **env;
    struct env_mail begin, signals;
    uint64_t signals_due; /* bits */
    struct sim_event end;
    bool ending;
    struct process_end why;
    uint64_t started_us;
    uint64_t resident_bytes, resident_max_bytes, cpu_us;
    void *user;
};

/* ---- texts ----------------------------------------------------------------------------------- */

static char **texts_copy(const char *const *from)
{
    size_t n = 0;
    while (from[n])
        n++;
    char **to = mem_zalloc(n + 1, sizeof *to);
    for (size_t i = 0; i < n; i++)
        to[i] = mem_strdup(from[i]);
    return to;
}

static void texts_free(char **texts)
{
    for (size_t i = 0; texts[i]; i++)
        mem_free(texts[i]);
    mem_free(texts);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void program_free(struct sim_program *g)
{
    if (g->ops->gone)
        g->ops->gone(g);
    list_remove(&g->link);
    texts_free(g->argv);
    texts_free(g->env);
    mem_free(g);
}

static void program_ended(struct sim *sim, struct sim_event *event)
{
    struct sim_program *g = container_of(event, struct sim_program, end);
    struct sim_child *c = g->child;
    sim_trace_add(sim, 'E', (uint64_t)g->id, (uint64_t)g->why.status);
    sim_loop_end(g->sl);
    if (c) {
        c->end = g->why;
        c->end.lived_us = sim->now_us - g->started_us;
        c->end.cpu_us = g->cpu_us;
        c->end.resident_max_bytes = g->resident_max_bytes;
        c->program = NULL;
        sim_loop_wake(c->sl, sim->now_us + sim_draw_us(sim, TELL_US));
    }
    program_free(g);
}

static void program_end(struct sim_program *g, bool signalled, int status)
{
    if (g->ending)
        return;
    g->ending = true;
    g->why = (struct process_end){.signalled = signalled, .status = status};
    g->end.run = program_ended;
    g->sl->stopped = true;
    sim_schedule(g->sim, &g->end, sim_local_us(g->sim) + 1);
}

void sim_programs_drop(struct sim *sim, bool outside_too)
{
    list_for_safe (it, &sim->programs) {
        struct sim_program *g = container_of(it, struct sim_program, link);
        if (!outside_too && g->outside)
            continue;
        sim_cancel(sim, &g->end);
        program_free(g);
    }
}

void sim_programs_free(struct sim *sim)
{
    struct list *at;
    while ((at = list_pop(&sim->programs_known)) != NULL)
        mem_free(container_of(at, struct sim_known, link));
}

/* ---- signals --------------------------------------------------------------------------------- */

static void signals_run(struct env_mail *mail, struct env *env)
{
    struct sim_program *g = container_of(mail, struct sim_program, signals);
    uint64_t due = g->signals_due;
    (void)env;
    g->signals_due = 0;
    for (int signo = 1; signo < 64 && !g->ending; signo++) {
        if (!(due >> signo & 1))
            continue;
        if (g->ops->signal)
            g->ops->signal(g, signo);
        else
            program_end(g, true, signo);
    }
}

static void child_signal(struct process *p, int signo)
{
    struct sim_program *g = ((struct sim_child *)p)->program;
    weir_assert(signo > 0 && signo < 64);
    if (!g || g->ending)
        return;
    if (signo == SIGKILL) {
        program_end(g, true, signo);
        return;
    }
    if (!g->signals_due)
        sim_loop_post_at(g->sl, &g->signals, sim_local_us(g->sim));
    g->signals_due |= UINT64_C(1) << signo;
}

/* ---- the starter's side ---------------------------------------------------------------------- */

static void child_resume(struct process *p)
{
    struct sim_child *c = (struct sim_child *)p;
    sim_loop_wake(c->sl, sim_local_us(c->sl->sim));
}

/* Who is not told of its end any more is its starter, which is gone: it dies with it. */
static void child_free(struct process *p)
{
    struct sim_child *c = (struct sim_child *)p;
    if (c->program) {
        c->program->child = NULL;
        program_end(c->program, true, SIGKILL);
    }
    mem_free(c->output[PROCESS_OUT]);
    mem_free(c->output[PROCESS_ERR]);
    mem_free(c);
}

static const struct process_kind sim_kind = {
    .signal = child_signal, .resume = child_resume, .free = child_free};

static void child_turn(struct sim_child *c)
{
    for (unsigned i = 0; i < 2; i++) {
        size_t n = c->output_n[i];
        if (n == 0 || (c->program && !process_wants_output(&c->p)))
            continue;
        c->output_n[i] = 0;
        process_feed(&c->p, (enum process_stream)i, c->output[i], n);
    }
    if (!c->program)
        process_finish(&c->p, &c->end);
}

void sim_processes_run(struct sim_loop *sl)
{
    list_for_safe (it, &sl->loop.processes)
        child_turn((struct sim_child *)container_of(it, struct process, link));
}

/* ---- starting -------------------------------------------------------------------------------- */

static void program_begin(struct env_mail *mail, struct env *env)
{
    struct sim_program *g = container_of(mail, struct sim_program, begin);
    (void)env;
    g->ops->main(g);
}

static const struct sim_known *known_find(const struct sim *sim, const char *name)
{
    list_for (it, &sim->programs_known) {
        const struct sim_known *k = container_of_const(it, struct sim_known, link);
        if (strcmp(k->name, name) == 0)
            return k;
    }
    return NULL;
}

static struct sim_program *program_make(struct sim_loop *starter, const struct sim_known *known,
                                        const struct process_conf *conf)
{
    struct sim *sim = starter->sim;
    struct sim_program *g = mem_zalloc(1, sizeof *g);
    g->sim = sim;
    g->ops = known->ops;
    g->id = FIRST_ID + (int64_t)sim->programs_made++;
    g->outside = starter->outside;
    g->argv = texts_copy(conf->argv);
    g->env = texts_copy(conf->env);
    g->begin.run = program_begin;
    g->signals.run = signals_run;
    g->started_us = sim_local_us(sim);
    struct loop *loop;
    if (starter->outside)
        sim_client_loops(sim, 1, &loop);
    else
        sim_loops(sim, 1, &loop);
    g->sl = (struct sim_loop *)loop;
    list_push(&sim->programs, &g->link);
    sim_loop_post_at(g->sl, &g->begin, g->started_us + sim_draw_us(sim, BEGIN_US));
    return g;
}

enum err sim_process_start(struct loop *loop, const struct process_conf *conf, struct process **out,
                           struct err_text *text)
{
    struct sim_loop *sl = (struct sim_loop *)loop;
    const struct sim_known *known = known_find(sl->sim, conf->argv[0]);
    if (!known)
        return err_say(text, ERR_NOT_FOUND, "cannot run %s: there is no such file", conf->argv[0]);
    sim_spend(sl->sim, sim_draw_us(sl->sim, START_US));
    struct sim_child *c = mem_zalloc(1, sizeof *c);
    c->sl = sl;
    c->program = program_make(sl, known, conf);
    c->program->child = c;
    process_init(&c->p, &sim_kind, loop, conf, c->program->id);
    *out = &c->p;
    return ERR_OK;
}

void sim_process_measure(struct process_measure *m)
{
    const struct sim *sim = ((struct sim_loop *)m->job.loop)->sim;
    list_for (it, &sim->programs) {
        const struct sim_program *g = container_of_const(it, struct sim_program, link);
        struct process_measured *found = process_measured_find(m, g->id);
        if (found)
            found->usage = (struct process_usage){
                .resident_bytes = g->resident_bytes, .cpu_us = g->cpu_us, .processes = 1};
    }
}

/* ---- what a program may do ------------------------------------------------------------------- */

void sim_program_add(struct sim *sim, const char *name, const struct sim_program_ops *ops)
{
    size_t n = strlen(name) + 1;
    struct sim_known *k = mem_zalloc(1, sizeof *k + n);
    weir_assert(ops->main != NULL && !known_find(sim, name));
    k->ops = ops;
    memcpy(k->name, name, n);
    list_push(&sim->programs_known, &k->link);
}

struct loop *sim_program_loop(struct sim_program *g)
{
    return &g->sl->loop;
}

const char *const *sim_program_argv(const struct sim_program *g)
{
    return (const char *const *)g->argv;
}

const char *sim_program_env(const struct sim_program *g, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; g->env[i]; i++) {
        if (strncmp(g->env[i], name, n) == 0 && g->env[i][n] == '=')
            return g->env[i] + n + 1;
    }
    return NULL;
}

void **sim_program_user(struct sim_program *g)
{
    return &g->user;
}

bool sim_program_print(struct sim_program *g, bool err, const char *text)
{
    struct sim_child *c = g->child;
    size_t n = strlen(text);
    unsigned i = err ? PROCESS_ERR : PROCESS_OUT;
    if (!c)
        return true;
    if (c->output_n[i] + n > PIPE_BYTES)
        return false;
    if (!c->output[i])
        c->output[i] = mem_alloc(PIPE_BYTES);
    memcpy(c->output[i] + c->output_n[i], text, n);
    c->output_n[i] += n;
    sim_loop_wake(c->sl, sim_local_us(g->sim) + sim_draw_us(g->sim, TELL_US));
    return true;
}

void sim_program_exit(struct sim_program *g, int status)
{
    program_end(g, false, status);
}

void sim_program_crash(struct sim_program *g, int signo)
{
    program_end(g, true, signo);
}

void sim_program_uses(struct sim_program *g, uint64_t resident_bytes, uint64_t cpu_us)
{
    g->resident_bytes = resident_bytes;
    if (resident_bytes > g->resident_max_bytes)
        g->resident_max_bytes = resident_bytes;
    g->cpu_us = cpu_us;
}

size_t sim_programs(const struct sim *sim)
{
    size_t n = 0;
    list_for (it, &sim->programs)
        n++;
    return n;
}
