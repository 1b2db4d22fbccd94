#include "serve_functions.h"

#include "base/mem.h"
#include "flow/http_local.h"
#include "ops/metrics.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define LOOK_US 2000 /* whether all has ended, in a stop */

struct serve_functions_one {
    struct env *env;
    struct http_local *http;
    struct functions *functions;
    struct env_mail start;
    struct env_timer look;
    atomic_bool quiet; /* when it was last looked at, in a stop */
    bool stopping;
};

struct serve_functions {
    unsigned n;
    struct serve_functions_one at[SERVE_THREADS_MAX];
};

struct serve_function_stat {
    struct function_stat stat;
    char name[TOPIC_NAME_MAX + 1];
};

/* ---- life ------------------------------------------------------------------------------------ */

static void start(struct env_mail *mail, struct env *env)
{
    (void)env;
    struct serve_functions_one *one = container_of(mail, struct serve_functions_one, start);
    if (!one->stopping)
        functions_start(one->functions);
}

static void look(struct env_timer *timer)
{
    struct serve_functions_one *one = container_of(timer, struct serve_functions_one, look);
    atomic_store(&one->quiet, !functions_busy(one->functions) && !http_local_busy(one->http));
    env_timer_set(one->env, timer, LOOK_US);
}

struct serve_functions *serve_functions_make(const char *weir_http, struct budget *answers,
                                             struct broker **brokers, struct loop **loops,
                                             unsigned n)
{
    struct serve_functions *sf = mem_zalloc(1, sizeof *sf);
    sf->n = n;
    for (unsigned i = 0; i < n; i++) {
        struct serve_functions_one *one = &sf->at[i];
        one->env = loop_env(loops[i]);
        one->http = http_local_make(loops[i], &answers[i]);
        one->functions =
            functions_make(&(struct functions_conf){.broker = brokers[i],
                                                    .loop = loops[i],
                                                    .commands = broker_conf(brokers[i])->commands,
                                                    .http = http_local_client(one->http),
                                                    .weir_http = weir_http});
        one->start.run = start;
        one->look.fire = look;
    }
    return sf;
}

struct functions *serve_functions_at(struct serve_functions *sf, unsigned reactor)
{
    return sf->at[reactor].functions;
}

struct http_client *serve_functions_http(struct serve_functions *sf, unsigned reactor)
{
    return http_local_client(sf->at[reactor].http);
}

void serve_functions_start(struct serve_functions *sf)
{
    for (unsigned i = 0; i < sf->n; i++)
        env_post(sf->at[0].env, i, &sf->at[i].start);
}

void serve_functions_stop(struct serve_functions *sf, unsigned reactor, bool cut)
{
    struct serve_functions_one *one = &sf->at[reactor];
    functions_stop(one->functions, cut);
    http_local_stop(one->http);
    if (!one->stopping)
        env_timer_set(one->env, &one->look, 0);
    one->stopping = true;
}

bool serve_functions_quiet(const struct serve_functions *sf)
{
    bool quiet = true;
    for (unsigned i = 0; i < sf->n; i++)
        quiet = quiet && atomic_load(&sf->at[i].quiet);
    return quiet;
}

void serve_functions_free(struct serve_functions *sf)
{
    for (unsigned i = sf->n; i-- > 0;) {
        env_timer_stop(sf->at[i].env, &sf->at[i].look);
        functions_free(sf->at[i].functions);
        http_local_free(sf->at[i].http);
    }
    mem_free(sf);
}

/* ---- metrics --------------------------------------------------------------------------------- */

static void add(void *arg, const struct function_stat *stat)
{
    struct serve_function_stats *s = arg;
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 16;
        s->at = mem_realloc(s->at, s->cap * sizeof *s->at);
    }
    struct serve_function_stat *to = &s->at[s->n++];
    to->stat = *stat;
    to->stat.name = NULL; /* the function's, which may go */
    snprintf(to->name, sizeof to->name, "%s", stat->name);
}

void serve_functions_gather(const struct serve_functions *sf, unsigned reactor,
                            struct serve_function_stats *stats)
{
    functions_each(sf->at[reactor].functions, add, stats);
}

void serve_function_stats_free(struct serve_function_stats *stats)
{
    mem_free(stats->at);
    *stats = (struct serve_function_stats){0};
}

/* A row: a member of struct function_stat as a sample, with a label of its own where it shares its
 * metric with the row before. */
struct row {
    const char *name, *type, *help;
    const char *label, *value;
    size_t offset;
    bool wide; /* uint64_t, not uint32_t */
};

#define ROW(name, type, help, label, value, member)                                                \
    {                                                                                              \
        name, type, help, label, value, offsetof(struct function_stat, member),                    \
            sizeof(((struct function_stat *)0)->member) == sizeof(uint64_t)                        \
    }

static const struct row rows[] = {
    ROW("weir_function_workers", "gauge", "Workers of a function, by the step of their life.",
        "state", "starting", starting),
    ROW("weir_function_workers", NULL, NULL, "state", "ready", ready),
    ROW("weir_function_workers", NULL, NULL, "state", "draining", draining),
    ROW("weir_function_workers_wanted", "gauge",
        "Workers that a function needs, by what waits and what is under way.", NULL, NULL, wanted),
    ROW("weir_function_waiting", "gauge", "Events that wait for a function.", NULL, NULL, waiting),
    ROW("weir_function_calls_under_way", "gauge", "Calls of a function under way.", NULL, NULL,
        calls),
    ROW("weir_function_failures", "gauge",
        "Failures of a function's workers in a row, until one is good for a while.", NULL, NULL,
        failures),
    ROW("weir_function_starts_total", "counter", "Workers started.", NULL, NULL, started),
    ROW("weir_function_stops_total", "counter", "Workers that ended as they were asked to.", NULL,
        NULL, stopped),
    ROW("weir_function_crashes_total", "counter",
        "Workers that ended by themselves, or could not be started.", NULL, NULL, crashed),
    ROW("weir_function_kills_total", "counter", "Workers that were killed at a limit.", NULL, NULL,
        killed),
    ROW("weir_function_calls_total", "counter", "Calls of a function, by how they ended.", "result",
        "done", done),
    ROW("weir_function_calls_total", NULL, NULL, "result", "timed_out", timed_out),
    ROW("weir_function_calls_total", NULL, NULL, "result", "broken", broken),
    ROW("weir_function_events_total", "counter",
        "Events, and requests, in calls that were answered.", NULL, NULL, events),
    ROW("weir_function_outputs_dropped_total", "counter",
        "Outputs of calls by requests that no topic is named for.", NULL, NULL, dropped),
};
#define ROWS (sizeof rows / sizeof *rows)

static double value_of(const struct function_stat *stat, const struct row *row)
{
    const void *at = (const char *)stat + row->offset;
    return row->wide ? (double)*(const uint64_t *)at : (double)*(const uint32_t *)at;
}

/* Of so many functions as of subscriptions: metrics.h. */
static void put_durations(const struct serve_function_stats *stats, struct wr *w)
{
    size_t n = stats->n < METRICS_HISTOGRAMS_MAX ? stats->n : METRICS_HISTOGRAMS_MAX;
    if (n > 0)
        metrics_head(w, "weir_function_call_seconds", "histogram",
                     "How long calls of a function took, from whoever they came.");
    for (size_t i = 0; i < n; i++) {
        struct metrics_labels labels = {1, {"function"}, {str_of(stats->at[i].name)}};
        metrics_histogram(w, "weir_function_call_seconds", &labels, &stats->at[i].stat.took);
    }
}

void serve_functions_metrics(const struct serve_function_stats *stats, struct wr *w)
{
    for (size_t r = 0; r < ROWS && stats->n > 0; r++) {
        const struct row *row = &rows[r];
        if (row->help)
            metrics_head(w, row->name, row->type, row->help);
        for (size_t i = 0; i < stats->n; i++) {
            metrics_line(w, row->name);
            metrics_label(w, "function", str_of(stats->at[i].name));
            if (row->label)
                metrics_label(w, row->label, str_of(row->value));
            metrics_value(w, value_of(&stats->at[i].stat, row));
        }
    }
    put_durations(stats, w);
}
