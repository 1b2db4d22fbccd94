/* serve.c: configuration -> the parts, wired together -> run.
 *
 * Starting, in order: options; certificates; loops; the store (which recovers); brokers; the HTTP
 * listeners (so that /healthz answers during a long load); the broker's state; the Kafka listeners;
 * "ready". Stopping is in serve_stop.c, what SIGHUP does in serve_reload.c.
 */
#include "serve.h"

#include "base/assert.h"
#include "base/mem.h"
#include "io/limits.h"
#include "io/log.h"
#include "serve_internal.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>

#define HEAP_KEEP_BYTES ((uint64_t)64 << 20)
#define ADDRESSES_MAX 1024 /* characters, in one line of the log */

void serve_stop_loops(struct serve *s)
{
    for (unsigned i = 0; i < s->n; i++) {
        if (s->loops[i])
            loop_stop(s->loops[i]);
    }
}

void serve_fail(struct serve *s, const char *event, enum err err, const char *why)
{
    char quoted[512];
    log_event(ENV_ERROR, event, "error=%s why=%s", err_name(err),
              log_quote(quoted, sizeof quoted, why && *why ? why : err_meaning(err)));
    atomic_store(&s->status, 1);
    serve_stop_loops(s);
}

/* After a stop in order: nothing is under way, no connection is left. */
static void free_parts(struct serve *s)
{
    loop_set_quiet(s->n, s->loops);
    kafka_front_free(s->kafka);
    http_front_free(s->http);
    serve_invoke_free(s->invoke);
    serve_push_end(s->push);
    serve_functions_free(s->functions);
    broker_set_free(s->brokers, s->n);
    embedded_free(s->embedded);
    loop_set_free(s->n, s->loops);
    serve_push_free(s->push);
    otlp_subscription_free(s->otlp);
    serve_listeners_free(&s->listeners);
    options_free(&serve_option_set, &s->options);
}

/* ---- start ---------------------------------------------------------------------------------- */

/* The store can promise nothing any more: nothing is acknowledged from here on. */
static void store_failed(void *arg, enum err err, const char *what)
{
    serve_fail(arg, "store.failed", err, what);
}

static void loaded(void *arg, enum err err)
{
    struct serve *s = arg;
    struct err_text text = {""};
    if (err) {
        serve_fail(s, "serve.load_failed", err, NULL);
        return;
    }
    err = serve_listeners_open(&s->listeners, SERVE_KAFKA, s->loops, s->n, &text);
    if (err) {
        serve_fail(s, "serve.listen_failed", err, text.s);
        return;
    }
    http_front_set_ready(s->http, true);
    serve_functions_start(s->functions);
    serve_push_start(s->push);
    otlp_subscription_start(s->otlp);
    char data[512], kafka[ADDRESSES_MAX], http[ADDRESSES_MAX];
    log_event(ENV_INFO, "serve.ready", "kafka=%s http=%s data=%s threads=%u version=%s",
              serve_listeners_put(&s->listeners, SERVE_KAFKA, kafka, sizeof kafka),
              serve_listeners_put(&s->listeners, SERVE_HTTP, http, sizeof http),
              log_quote(data, sizeof data, s->options.data), s->n, WEIR_VERSION);
}

static void begin(struct env_mail *mail, struct env *env)
{
    struct serve *s = container_of(mail, struct serve, begin);
    (void)env;
    broker_set_load(s->brokers, s->n, loaded, s);
}

static unsigned reactor_of(void *arg, const struct store_log_id *id)
{
    struct serve *s = arg;
    return broker_shard_of_partition(&id->topic, (int32_t)id->partition) % s->n;
}

static enum err open_store(struct serve *s, struct embedded_report *report, struct err_text *text)
{
    struct embedded_conf conf = {.dir = s->options.data,
                                 .disk = disk_real(),
                                 .reactor_of = reactor_of,
                                 .failed = store_failed,
                                 .arg = s};
    enum err err = embedded_open(&conf, s->loops, s->n, s->stores, &s->embedded, report, text);
    if (err)
        return err;
    embedded_set_scrub(s->embedded, (uint64_t)s->options.scrub);
    log_event(ENV_INFO, "store.open",
              "created=%s clean=%s logs=%" PRIu64 " replayed=%" PRIu64 " cut_bytes=%" PRIu64
              " took_us=%" PRIu64 " incarnation=%" PRIu32,
              report->created ? "true" : "false", report->clean ? "true" : "false", report->logs,
              report->batches, report->cut_bytes, report->took_us, report->meta.incarnation);
    return ERR_OK;
}

void serve_broker_conf(const struct serve_options *o, struct broker_conf *conf)
{
    conf->auto_create_topics = o->auto_create;
    conf->default_partitions = (int32_t)o->partitions;
    conf->group_initial_delay_ms = (uint32_t)o->group_delay_ms;
    conf->hops_percent = (uint32_t)o->hops;
}

static void take_list(const struct option_list *list, const char *out[HTTP_HOSTS_MAX], unsigned *n)
{
    for (size_t i = 0; i < list->n && *n < HTTP_HOSTS_MAX; i++)
        out[(*n)++] = list->at[i];
}

static void http_conf_of(const struct serve_options *o, struct http_conf *conf)
{
    conf->body_max = (size_t)o->http_body_max;
    take_list(&o->http_hosts, conf->hosts, &conf->hosts_n);
    take_list(&o->http_origins, conf->origins, &conf->origins_n);
}

static bool listens_alone(const struct serve *s)
{
    for (size_t i = 0; i < s->listeners.n; i++)
        if (!serve_is_loopback(str_of(s->listeners.at[i].bind)))
            return false;
    return true;
}

/* Who can only be reached from this machine may call back to it. */
static bool private_allowed(const struct serve *s)
{
    return s->options.egress_private == SERVE_ON ||
           (s->options.egress_private == SERVE_AUTO && listens_alone(s));
}

/* A loopback listener that names hosts or origins is meant for callers from elsewhere, too: through
 * a proxy, or by their web pages. */
static bool commands_allowed(const struct serve *s)
{
    const struct serve_options *o = &s->options;
    return o->commands == SERVE_ON || (o->commands == SERVE_AUTO && listens_alone(s) &&
                                       o->http_hosts.n == 0 && o->http_origins.n == 0);
}

/* The link in Event Grid's validation events leads here, unless another address is said. */
static void set_validation_url(struct serve *s)
{
    char url[SERVE_URL_MAX - sizeof HTTP_VALIDATION_PATH];
    if (s->options.validation_url || !serve_listeners_url(&s->listeners, url, sizeof url))
        return;
    snprintf(s->validation_url, sizeof s->validation_url, "%s" HTTP_VALIDATION_PATH, url);
    s->options.validation_url = s->validation_url;
}

static enum err make_parts(struct serve *s, const struct embedded_report *report,
                           struct err_text *text)
{
    struct broker_conf bc = broker_conf_default;
    struct kafka_conf kc = kafka_conf_default;
    struct http_conf hc = http_conf_default;
    bc.cluster_id = report->meta.cluster_id;
    bc.incarnation = report->meta.incarnation;
    serve_broker_conf(&s->options, &bc);
    bc.commands = commands_allowed(s);
    broker_set_make(&bc, s->n, s->envs, s->stores, s->brokers);
    kc.password_threads = true;
    kc.sasl_session_ms = s->options.sasl_session_ms;
    s->kafka = kafka_front_make(&kc, s->brokers, s->n);
    http_conf_of(&s->options, &hc);
    hc.password_threads = true;
    hc.metrics = serve_metrics_page;
    hc.arg = &s->metrics;
    s->http = http_front_make(&hc, s->brokers, s->n);
    s->listeners.kafka = s->kafka;
    s->listeners.http = s->http;
    enum err err = serve_listeners_open(&s->listeners, SERVE_HTTP, s->loops, s->n, text);
    if (err)
        return err;
    set_validation_url(s);
    bool reachable = serve_listeners_url(&s->listeners, s->weir_http, sizeof s->weir_http) != NULL;
    for (unsigned i = 0; i < s->n; i++)
        s->answers[i] =
            (struct budget){.max = HTTP_ANSWERS_BYTES_MAX, .free = HTTP_ANSWERS_BYTES_FREE};
    s->functions = serve_functions_make(reachable ? s->weir_http : NULL, s->answers, s->brokers,
                                        s->loops, s->n);
    s->push = serve_push_make(&s->options, private_allowed(s), s->answers, s->functions, s->brokers,
                              s->envs, s->n);
    s->invoke = serve_invoke_make(s->functions, s->push, s->answers, s->brokers, s->n);
    s->metrics = (struct serve_metrics){s->brokers[0], s->embedded, s->kafka,
                                        s->http,       s->push,     s->functions};
    struct otlp_conf oc = {s->options.otlp_endpoint, s->options.otlp_service,
                           s->options.otlp_headers};
    return otlp_subscription_make(s->brokers[0], &oc, &s->otlp, text);
}

static void run_loop(void *loop)
{
    loop_run(loop);
}

static enum err start_threads(struct serve *s)
{
    for (unsigned i = 1; i < s->n; i++) {
        enum err err = thread_start("weir-loop", run_loop, s->loops[i], &s->threads[i]);
        if (err)
            return err;
    }
    return ERR_OK;
}

static enum err start(struct serve *s, struct err_text *text)
{
    struct embedded_report report = {0};
    uint64_t seed;
    enum err err = loop_set_make(s->n, s->loops);
    if (err) {
        s->loops[0] = NULL; /* all are gone again */
        s->n = 1;
        return err;
    }
    for (unsigned i = 0; i < s->n; i++)
        s->envs[i] = loop_env(s->loops[i]);
    env_random(s->envs[0], &seed, sizeof seed);
    hash_seed(seed);
    err = open_store(s, &report, text);
    if (!err)
        err = make_parts(s, &report, text);
    if (!err)
        err = loop_on_signal(s->loops[0], SIGTERM, serve_on_stop, s);
    if (!err)
        err = loop_on_signal(s->loops[0], SIGINT, serve_on_stop, s);
    if (!err)
        err = loop_on_signal(s->loops[0], SIGHUP, serve_on_reload, s);
    if (!err)
        err = start_threads(s);
    s->begin.run = begin;
    if (!err)
        env_post(s->envs[0], 0, &s->begin);
    return err;
}

static unsigned default_threads(void)
{
    unsigned cpus = thread_cpus();
    unsigned n = cpus <= 2 ? 1 : cpus;
    return n < SERVE_THREADS_MAX ? n : SERVE_THREADS_MAX;
}

int serve(int argc, char **argv)
{
    static struct serve s;
    struct err_text text = {""};
    size_t args_n;
    int end = options_begin(&serve_option_set, argc, argv, &s.options, NULL, &args_n);
    if (end)
        return end - 1;
    s.argc = argc;
    s.argv = argv;
    log_set_level((enum env_level)s.options.log_level);
    limits_raise_files();
    limits_keep_heap(HEAP_KEEP_BYTES);
    s.n = s.options.threads ? (unsigned)s.options.threads : default_threads();
    enum err err = serve_listeners_make(&s.options, &s.listeners, &text);
    if (!err)
        err = start(&s, &text);
    if (err)
        serve_fail(&s, "serve.start_failed", err, text.s);
    else
        loop_run(s.loops[0]);
    for (unsigned i = 1; i < s.n; i++) {
        if (s.threads[i])
            thread_join(s.threads[i]);
    }
    if (s.clean)
        free_parts(&s);
    return atomic_load(&s.status);
}
