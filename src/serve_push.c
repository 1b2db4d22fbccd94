#include "serve_push.h"

#include "base/mem.h"
#include "flow/push.h"
#include "io/disk.h"
#include "io/loop.h"
#include "modules/http_curl.h"
#include "ops/metrics.h"
#include "serve_functions.h"

#include <stdatomic.h>
#include <stdio.h>

#define LOOK_US 2000 /* whether all has ended, in a stop */

struct serve_push_one {
    struct serve_push *all;
    struct env *env;
    struct http_client *http;
    struct push *push;
    struct env_mail start;
    struct env_timer look;
    bool stopping;
};

struct serve_push {
    unsigned n;
    const struct budget *answers;
    atomic_uint quiet; /* reactors on which nothing is under way */
    struct serve_push_one at[SERVE_THREADS_MAX];
};

/* ---- life ----------------------------------------------------------------------------------- */

static void start(struct env_mail *mail, struct env *env)
{
    (void)env;
    struct serve_push_one *one = container_of(mail, struct serve_push_one, start);
    if (!one->stopping)
        push_start(one->push);
}

static void look(struct env_timer *timer)
{
    struct serve_push_one *one = container_of(timer, struct serve_push_one, look);
    if (push_busy(one->push))
        env_timer_set(one->env, timer, LOOK_US);
    else
        atomic_fetch_add(&one->all->quiet, 1);
}

struct serve_push *serve_push_make(const struct serve_options *o, bool private_allowed,
                                   struct budget *answers, struct serve_functions *functions,
                                   struct broker **brokers, struct env **envs, unsigned n)
{
    struct serve_push *sp = mem_zalloc(1, sizeof *sp);
    sp->n = n;
    sp->answers = answers;
    for (unsigned i = 0; i < n; i++) {
        struct serve_push_one *one = &sp->at[i];
        struct http_curl_conf hc = {.env = envs[i],
                                    .answers = &answers[i],
                                    .ca_file = o->egress_ca,
                                    .proxy = o->egress_proxy,
                                    .private_allowed = private_allowed};
        one->all = sp;
        one->env = envs[i];
        one->http = http_curl_make(&hc);
        struct push_conf pc = {.http = one->http,
                               .loop = loop_of(envs[i]),
                               .disk = disk_real(),
                               .local = serve_functions_http(functions, i),
                               .functions = serve_functions_at(functions, i),
                               .answers = &answers[i],
                               .origin = o->egress_origin,
                               .validation_url = o->validation_url};
        one->push = push_make(brokers[i], i == 0 ? NULL : sp->at[0].push, &pc);
        one->start.run = start;
        one->look.fire = look;
    }
    return sp;
}

struct http_client *serve_push_http(struct serve_push *sp, unsigned reactor)
{
    return sp->at[reactor].http;
}

void serve_push_start(struct serve_push *sp)
{
    for (unsigned i = 0; i < sp->n; i++)
        env_post(sp->at[0].env, i, &sp->at[i].start);
}

void serve_push_stop(struct serve_push *sp, unsigned reactor, bool cut)
{
    struct serve_push_one *one = &sp->at[reactor];
    push_stop(one->push, cut);
    if (!one->stopping)
        env_timer_set(one->env, &one->look, 0);
    one->stopping = true;
}

bool serve_push_quiet(const struct serve_push *sp)
{
    return atomic_load(&sp->quiet) == sp->n;
}

void serve_push_end(struct serve_push *sp)
{
    for (unsigned i = sp->n; i-- > 0;) {
        http_curl_stop(sp->at[i].http);
        push_free(sp->at[i].push);
    }
}

void serve_push_free(struct serve_push *sp)
{
    for (unsigned i = 0; i < sp->n; i++)
        http_curl_free(sp->at[i].http);
    mem_free(sp);
}

/* ---- metrics -------------------------------------------------------------------------------- */

/* One counter of every reactor's, summed. */
static double sum(const struct serve_push *sp, size_t offset)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < sp->n; i++) {
        const char *stats = (const char *)push_stats(sp->at[i].push);
        n += atomic_load_explicit((const atomic_uint_fast64_t *)(const void *)(stats + offset),
                                  memory_order_relaxed);
    }
    return (double)n;
}

#define SUM(sp, member) sum(sp, offsetof(struct push_stats, member))
#define SUM_AT(sp, member, i)                                                                      \
    sum(sp, offsetof(struct push_stats, member) + (i) * sizeof(atomic_uint_fast64_t))

static void put_outcomes(const struct serve_push *sp, struct wr *w)
{
    metrics_head(w, "weir_push_calls_total", "counter", "Calls to endpoints, by how they ended.");
    for (unsigned i = 0; i < OUTCOME_COUNT; i++) {
        metrics_line(w, "weir_push_calls_total");
        metrics_label(w, "outcome", str_of(outcome_text((enum delivery_outcome)i)));
        metrics_value(w, SUM_AT(sp, calls, i));
    }
    metrics_head(w, "weir_push_events_total", "counter",
                 "Events in calls to endpoints, by how the calls ended.");
    for (unsigned i = 0; i < OUTCOME_COUNT; i++) {
        metrics_line(w, "weir_push_events_total");
        metrics_label(w, "outcome", str_of(outcome_text((enum delivery_outcome)i)));
        metrics_value(w, SUM_AT(sp, events, i));
    }
}

static void put_durations(const struct serve_push *sp, struct wr *w)
{
    double n = 0;
    metrics_head(w, "weir_push_call_seconds", "histogram", "How long calls to endpoints took.");
    for (unsigned i = 0; i <= PUSH_BUCKETS; i++) {
        char bound[32] = "+Inf";
        if (i < PUSH_BUCKETS)
            snprintf(bound, sizeof bound, "%g", push_bucket_seconds[i]);
        n += SUM_AT(sp, took, i);
        metrics_line(w, "weir_push_call_seconds_bucket");
        metrics_label(w, "le", str_of(bound));
        metrics_value(w, n);
    }
    metrics_line(w, "weir_push_call_seconds_sum");
    metrics_value(w, SUM(sp, took_us) / 1e6);
    metrics_line(w, "weir_push_call_seconds_count");
    metrics_value(w, n);
}

static void put_one(struct wr *w, const char *name, const char *type, const char *help, double n)
{
    metrics_head(w, name, type, help);
    metrics_line(w, name);
    metrics_value(w, n);
}

static double answer_bytes(const struct serve_push *sp)
{
    size_t n = 0;
    for (unsigned i = 0; i < sp->n; i++)
        n += atomic_load(&sp->answers[i].held);
    return (double)n;
}

static void put_breaker(void *arg, const char *endpoint, int state)
{
    struct wr *w = arg;
    metrics_line(w, "weir_breaker_state");
    metrics_label(w, "endpoint", str_of(endpoint));
    metrics_value(w, state);
}

/* ---- of models ---- */

static void put_by_scorer(struct wr *w, const char *metric, const char *model,
                          const uint64_t by[MODEL_SCORERS_N], double unit)
{
    for (unsigned i = 0; i < MODEL_SCORERS_N; i++) {
        metrics_line(w, metric);
        metrics_label(w, "model", str_of(model));
        metrics_label(w, "scored_by", str_of(model_scorer_text((enum model_scorer)i)));
        metrics_value(w, (double)by[i] * unit);
    }
}

static void put_rows(void *arg, const struct model_total *t)
{
    put_by_scorer(arg, "weir_model_rows_total", t->name, t->rows, 1);
}

static void put_batches(void *arg, const struct model_total *t)
{
    put_by_scorer(arg, "weir_model_batches_total", t->name, t->batches, 1);
}

static void put_seconds(void *arg, const struct model_total *t)
{
    put_by_scorer(arg, "weir_model_seconds_total", t->name, t->took_us, 1e-6);
}

static void put_of_model(struct wr *w, const char *metric, const char *model, double n)
{
    metrics_line(w, metric);
    metrics_label(w, "model", str_of(model));
    metrics_value(w, n);
}

static void put_refused(void *arg, const struct model_total *t)
{
    put_of_model(arg, "weir_model_refused_total", t->name, (double)t->refused);
}

static void put_ready(void *arg, const struct model_total *t)
{
    put_of_model(arg, "weir_model_ready", t->name, t->ready);
}

static void put_models(const struct serve_push *sp, struct wr *w)
{
    static const struct {
        const char *name, *type, *help;
        model_total_fn *put;
    } metrics[] = {
        {"weir_model_rows_total", "counter", "Events that a model has scored, by what scored them.",
         put_rows},
        {"weir_model_batches_total", "counter", "Batches of them.", put_batches},
        {"weir_model_seconds_total", "counter", "What those batches took, calls included.",
         put_seconds},
        {"weir_model_refused_total", "counter",
         "Events that a model has given up: they have no features, or no score.", put_refused},
        {"weir_model_ready", "gauge", "Whether the model that subscriptions name can score: 1 yes.",
         put_ready},
    };
    for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++) {
        metrics_head(w, metrics[i].name, metrics[i].type, metrics[i].help);
        push_models(sp->at[0].push, metrics[i].put, w);
    }
}

void serve_push_metrics(const struct serve_push *sp, struct wr *w)
{
    put_outcomes(sp, w);
    put_durations(sp, w);
    put_one(w, "weir_push_under_way", "gauge", "Calls to endpoints under way.", SUM(sp, under_way));
    put_one(w, "weir_push_answer_bytes", "gauge",
            "Bytes of answers of more than 8 KiB: under way, or with replies not stored yet.",
            answer_bytes(sp));
    put_one(w, "weir_push_appended_total", "counter",
            "Events that subscriptions have appended to topics and queues.", SUM(sp, appended));
    put_one(w, "weir_push_replies_total", "counter",
            "Events in answer to deliveries that were stored.", SUM(sp, replies));
    put_one(w, "weir_push_replies_dropped_total", "counter",
            "Events in answer to deliveries that no route took.", SUM(sp, replies_dropped));
    metrics_head(w, "weir_breaker_state", "gauge",
                 "Circuit breakers that are not closed: 1 open, 2 half open, 3 disabled, 4 forced "
                 "open, 5 metrics only.");
    push_breakers(sp->at[0].push, put_breaker, w);
    put_models(sp, w);
}
