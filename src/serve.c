/* serve.c: configuration -> the parts, wired together -> run.
 *
 * Starting, in order: options; loops; the store (which recovers); brokers; the HTTP listener (so
 * that /healthz answers during a long load); the broker's state; the Kafka listener; "ready".
 *
 * Stopping, at SIGTERM or SIGINT, in steps; the timer looks every STOP_LOOK_MS whether one is done:
 *
 *     DRAINING    no more connections and requests; who waits is answered, connections close
 *     CUTTING     those that are open after DRAIN_MS are cut
 *     STORING     a checkpoint, and the mark of a clean stop
 *     CLOSING     HTTP connections, until now open for /healthz, close; then the loops stop
 *
 * A failure, and a second signal, end the loops at once and free nothing: the next start recovers.
 */
#include "serve.h"

#include "base/assert.h"
#include "base/mem.h"
#include "broker/broker.h"
#include "broker/group.h"
#include "cli/options.h"
#include "front/http/http.h"
#include "front/kafka/kafka.h"
#include "io/limits.h"
#include "io/log.h"
#include "io/thread.h"
#include "serve_metrics.h"
#include "store/embedded.h"

#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#define THREADS_MAX 64
#define DRAIN_MS 1000
#define CUT_MS 1000   /* for requests that are still under way when their connection is gone */
#define CLOSE_MS 1000 /* for the last answers over HTTP */
#define STOP_LOOK_MS 2
#define HEAP_KEEP_BYTES ((uint64_t)64 << 20)

/* ---- options -------------------------------------------------------------------------------- */

struct serve_options {
    const char *data, *kafka, *kafka_advertise, *http;
    int64_t threads, partitions, group_delay_ms, log_level;
    bool auto_create, allow_anonymous;
};

static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};

#define AT(member) offsetof(struct serve_options, member)

/* clang-format off */
static const struct option serve_table[] = {
    {"data", "WEIR_DATA", OPTION_TEXT, AT(data), "./weir-data", "DIR",
     "where everything durable is kept; made if it does not exist", 0, 0, NULL, false},
    {"kafka", "WEIR_KAFKA", OPTION_HOST_PORT, AT(kafka), "127.0.0.1:9092", "HOST:PORT",
     "where Kafka clients connect; port 0: any free one", 0, 0, NULL, false},
    {"kafka-advertise", "WEIR_KAFKA_ADVERTISE", OPTION_HOST_PORT, AT(kafka_advertise), NULL,
     "HOST:PORT",
     "what Kafka clients are told to connect to; unset: the address that they reached", 0, 0, NULL,
     false},
    {"http", "WEIR_HTTP", OPTION_HOST_PORT, AT(http), "127.0.0.1:8080", "HOST:PORT",
     "where HTTP clients connect: CloudEvents, /healthz, /readyz, /metrics", 0, 0, NULL, false},
    {"threads", "WEIR_THREADS", OPTION_INT, AT(threads), "0", "N",
     "event loops; 0: one on up to two CPUs, else one a CPU", 0, THREADS_MAX, NULL, false},
    {"partitions", "WEIR_PARTITIONS", OPTION_INT, AT(partitions), "1", "N",
     "partitions of a topic that is created without a number", 1, 10000, NULL, false},
    {"auto-create", "WEIR_AUTO_CREATE", OPTION_SWITCH, AT(auto_create), "on", NULL,
     "create a topic when a client first names it", 0, 0, NULL, false},
    {"group-delay", "WEIR_GROUP_DELAY", OPTION_DURATION, AT(group_delay_ms), "3s", "TIME",
     "how long a new group waits for more members before its first assignment", 0, 300000, NULL,
     false},
    {"allow-anonymous", "WEIR_ALLOW_ANONYMOUS", OPTION_SWITCH, AT(allow_anonymous), "off", NULL,
     "listen beyond this machine although anyone who reaches the port may do anything", 0, 0, NULL,
     false},
    {"log-level", "WEIR_LOG_LEVEL", OPTION_CHOICE, AT(log_level), "info", "LEVEL",
     "least level of log lines on stderr", 0, 0, log_levels, false},
};
/* clang-format on */

static const struct option_set serve_set = {
    .usage = "weir serve [options]",
    .about =
        "Runs the broker until SIGTERM or Ctrl-C. What it has acknowledged is on disk: it may\n"
        "be killed at any time.",
    .example = "weir serve --data /var/lib/weir --kafka 127.0.0.1:9092\n"
               "  kcat -b 127.0.0.1:9092 -L          what a client sees\n"
               "  curl 127.0.0.1:8080/readyz         is it ready?",
    .options = serve_table,
    .n = sizeof serve_table / sizeof serve_table[0]};

/* ---- the parts ------------------------------------------------------------------------------ */

enum stop_step { RUNNING, DRAINING, CUTTING, STORING, CLOSING };

struct serve_mail {
    struct env_mail mail;
    struct serve *s;
};

struct serve {
    struct serve_options options;
    unsigned n;
    struct loop *loops[THREADS_MAX]; /* NULL: not made */
    struct env *envs[THREADS_MAX];
    struct store *stores[THREADS_MAX];
    struct broker *brokers[THREADS_MAX];
    struct thread *threads[THREADS_MAX];
    struct embedded *embedded;
    struct kafka_front *kafka;
    struct http_front *http;
    struct serve_metrics metrics;
    struct listener *kafka_listener, *http_listener;
    struct env_mail begin;
    enum stop_step step;
    uint64_t step_until_us;
    struct env_timer stop_timer;
    struct serve_mail drain_mail[THREADS_MAX], cut_mail[THREADS_MAX], close_mail[THREADS_MAX];
    atomic_uint drained; /* reactors that begin nothing any more */
    bool clean;          /* everything has ended in order */
    atomic_int status;
};

static void stop_loops(struct serve *s)
{
    for (unsigned i = 0; i < s->n; i++) {
        if (s->loops[i])
            loop_stop(s->loops[i]);
    }
}

/* Any thread. */
static void fail(struct serve *s, const char *event, enum err err, const char *why)
{
    char quoted[512];
    log_event(ENV_ERROR, event, "error=%s why=%s", err_name(err),
              log_quote(quoted, sizeof quoted, why && *why ? why : err_meaning(err)));
    atomic_store(&s->status, 1);
    stop_loops(s);
}

/* ---- stop ----------------------------------------------------------------------------------- */

static void stop_go(struct serve *s, enum stop_step step, unsigned patience_ms)
{
    s->step = step;
    s->step_until_us = env_mono_us(s->envs[0]) + (uint64_t)patience_ms * 1000;
    env_timer_set(s->envs[0], &s->stop_timer, 0);
}

/* Requests that are answered by this may begin to wait in a group: groups come last. */
static void drain_reactor(struct env_mail *mail, struct env *env)
{
    struct serve *s = container_of(mail, struct serve_mail, mail)->s;
    kafka_front_drain(s->kafka, env->reactor, false);
    http_front_stop(s->http, env->reactor, HTTP_DRAIN);
    groups_drain(broker_groups(s->brokers[env->reactor]));
    atomic_fetch_add(&s->drained, 1);
}

static void cut_reactor(struct env_mail *mail, struct env *env)
{
    struct serve *s = container_of(mail, struct serve_mail, mail)->s;
    kafka_front_drain(s->kafka, env->reactor, true);
    http_front_stop(s->http, env->reactor, HTTP_CUT);
}

static void close_reactor(struct env_mail *mail, struct env *env)
{
    struct serve *s = container_of(mail, struct serve_mail, mail)->s;
    http_front_stop(s->http, env->reactor, HTTP_CLOSE);
}

static void mail_all(struct serve *s, struct serve_mail *mails,
                     void (*run)(struct env_mail *mail, struct env *env))
{
    for (unsigned i = 0; i < s->n; i++) {
        mails[i] = (struct serve_mail){.mail.run = run, .s = s};
        env_post(s->envs[0], i, &mails[i].mail);
    }
}

static void store_closed(void *arg, enum err err)
{
    struct serve *s = arg;
    if (err) {
        fail(s, "serve.stop_failed", err, NULL);
        return;
    }
    log_event(ENV_INFO, "serve.stopped", "clean=true");
    listener_close(s->http_listener);
    mail_all(s, s->close_mail, close_reactor);
    stop_go(s, CLOSING, CLOSE_MS);
}

static bool nobody_left(const struct serve *s)
{
    struct http_stats h;
    size_t n = 0;
    http_front_stats(s->http, &h);
    for (unsigned i = 0; i < s->n; i++)
        n += loop_streams(s->loops[i]);
    return n == 0 && h.connections == 0;
}

/* Nothing is under way in the broker any more. HTTP connections stay: /healthz is served to the
 * end. */
static bool is_quiet(const struct serve *s)
{
    struct kafka_stats k;
    struct http_stats h;
    if (atomic_load(&s->drained) < s->n)
        return false;
    kafka_front_stats(s->kafka, &k);
    http_front_stats(s->http, &h);
    return k.connections == 0 && h.running == 0;
}

static void stop_look(struct env_timer *timer)
{
    struct serve *s = container_of(timer, struct serve, stop_timer);
    bool late = env_mono_us(s->envs[0]) >= s->step_until_us;
    if (s->step == CLOSING && (late || nobody_left(s))) {
        s->clean = nobody_left(s);
        stop_loops(s);
    } else if (s->step <= CUTTING && is_quiet(s)) {
        s->step = STORING;
        embedded_close(s->embedded, store_closed, s);
    } else if (s->step == DRAINING && late) {
        mail_all(s, s->cut_mail, cut_reactor);
        stop_go(s, CUTTING, CUT_MS);
    } else if (s->step == CUTTING && late) {
        fail(s, "serve.stop_failed", ERR_TIMED_OUT, "requests are still under way");
    } else if (s->step != STORING) {
        env_timer_set(s->envs[0], timer, STOP_LOOK_MS * 1000);
    }
}

static void on_stop_signal(void *arg, int signo)
{
    struct serve *s = arg;
    if (s->step != RUNNING) {
        fail(s, "serve.killed", ERR_CLOSED, "a second signal: the next start recovers");
        return;
    }
    log_event(ENV_INFO, "serve.stopping", "signal=%d", signo);
    http_front_set_ready(s->http, false);
    if (!s->kafka_listener) { /* nothing was served or written yet */
        stop_loops(s);
        return;
    }
    listener_close(s->kafka_listener);
    s->kafka_listener = NULL;
    s->stop_timer.fire = stop_look;
    mail_all(s, s->drain_mail, drain_reactor);
    stop_go(s, DRAINING, DRAIN_MS);
}

/* After a stop in order: nothing is under way, no connection is left. */
static void free_parts(struct serve *s)
{
    kafka_front_free(s->kafka);
    http_front_free(s->http);
    broker_set_free(s->brokers, s->n);
    embedded_free(s->embedded);
    loop_set_free(s->n, s->loops);
}

/* ---- start ---------------------------------------------------------------------------------- */

/* The store can promise nothing any more: nothing is acknowledged from here on. */
static void store_failed(void *arg, enum err err, const char *what)
{
    fail(arg, "store.failed", err, what);
}

static bool accept_kafka(void *arg, struct loop *loop, struct pipe *pipe)
{
    struct serve *s = arg;
    return kafka_front_accept(s->kafka, loop_env(loop)->reactor, pipe);
}

static bool accept_http(void *arg, struct loop *loop, struct pipe *pipe)
{
    struct serve *s = arg;
    return http_front_accept(s->http, loop_env(loop)->reactor, pipe);
}

static void loaded(void *arg, enum err err)
{
    struct serve *s = arg;
    struct err_text text = {""};
    if (err) {
        fail(s, "serve.load_failed", err, NULL);
        return;
    }
    struct listen_conf conf = {s->options.kafka, accept_kafka, s};
    err = loop_listen(s->loops, s->n, &conf, &s->kafka_listener, &text);
    if (err) {
        fail(s, "serve.listen_failed", err, text.s);
        return;
    }
    http_front_set_ready(s->http, true);
    char data[512];
    log_event(ENV_INFO, "serve.ready", "kafka=%s http=%s data=%s threads=%u version=%s",
              listener_addr(s->kafka_listener), listener_addr(s->http_listener),
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
    log_event(ENV_INFO, "store.open",
              "created=%s clean=%s logs=%" PRIu64 " replayed=%" PRIu64 " cut_bytes=%" PRIu64
              " took_us=%" PRIu64 " incarnation=%" PRIu32,
              report->created ? "true" : "false", report->clean ? "true" : "false", report->logs,
              report->batches, report->cut_bytes, report->took_us, report->meta.incarnation);
    return ERR_OK;
}

static enum err set_advertised(const struct serve_options *o, struct kafka_conf *conf)
{
    if (!o->kafka_advertise)
        return ERR_OK;
    return str_to_host_port(str_of(o->kafka_advertise), conf->advertised_host,
                            sizeof conf->advertised_host, &conf->advertised_port);
}

static enum err make_parts(struct serve *s, const struct embedded_report *report,
                           struct err_text *text)
{
    struct broker_conf bc = broker_conf_default;
    struct kafka_conf kc = kafka_conf_default;
    struct http_conf hc = http_conf_default;
    bc.cluster_id = report->meta.cluster_id;
    bc.incarnation = report->meta.incarnation;
    bc.auto_create_topics = s->options.auto_create;
    bc.default_partitions = (int32_t)s->options.partitions;
    bc.group_initial_delay_ms = (uint32_t)s->options.group_delay_ms;
    enum err err = set_advertised(&s->options, &kc);
    if (err)
        return err_say(text, err, "--kafka-advertise must be HOST:PORT");
    broker_set_make(&bc, s->n, s->envs, s->stores, s->brokers);
    s->kafka = kafka_front_make(&kc, s->brokers, s->n);
    hc.metrics = serve_metrics_page;
    hc.arg = &s->metrics;
    s->http = http_front_make(&hc, s->brokers, s->n);
    s->metrics = (struct serve_metrics){s->brokers[0], s->embedded, s->kafka, s->http};
    struct listen_conf conf = {s->options.http, accept_http, s};
    return loop_listen(s->loops, s->n, &conf, &s->http_listener, text);
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
        err = loop_on_signal(s->loops[0], SIGTERM, on_stop_signal, s);
    if (!err)
        err = loop_on_signal(s->loops[0], SIGINT, on_stop_signal, s);
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
    return n < THREADS_MAX ? n : THREADS_MAX;
}

static bool is_loopback(const char *bind)
{
    char host[256];
    uint16_t port;
    if (!strncmp(bind, "unix:", 5))
        return true;
    if (str_to_host_port(str_of(bind), host, sizeof host, &port))
        return false;
    return !strncmp(host, "127.", 4) || !strcmp(host, "::1") || !strcmp(host, "localhost");
}

static enum err check_exposure(const struct serve_options *o, struct err_text *text)
{
    const char *bad = !is_loopback(o->kafka) ? o->kafka : !is_loopback(o->http) ? o->http : NULL;
    if (!bad || o->allow_anonymous)
        return ERR_OK;
    return err_say(text, ERR_POLICY,
                   "%s is not a loopback address, and there are no credentials yet: anyone who "
                   "reaches it could read and delete everything. Add --allow-anonymous if the "
                   "network around it is trusted",
                   bad);
}

int serve(int argc, char **argv)
{
    static struct serve s;
    struct err_text text = {""};
    size_t args_n;
    int end = options_begin(&serve_set, argc, argv, &s.options, NULL, &args_n);
    if (end)
        return end - 1;
    log_set_level((enum env_level)s.options.log_level);
    limits_raise_files();
    limits_keep_heap(HEAP_KEEP_BYTES);
    s.n = s.options.threads ? (unsigned)s.options.threads : default_threads();
    enum err err = check_exposure(&s.options, &text);
    if (!err)
        err = start(&s, &text);
    if (err)
        fail(&s, "serve.start_failed", err, text.s);
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
