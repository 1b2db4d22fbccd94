/* main.c: argv -> configuration -> the parts, wired together -> run. The only file that knows them
 * all.
 *
 * serve, in order: options; loops; the store (which recovers); brokers; the operator's port (so that
 * /healthz answers during a long load); the broker's state; the Kafka listener; "ready". SIGTERM and
 * SIGINT undo it: no more accepts, connections drain, a checkpoint, a clean stop.
 */
#include "base/assert.h"
#include "base/mem.h"
#include "broker/broker.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "front/kafka/kafka.h"
#include "io/limits.h"
#include "io/log.h"
#include "io/thread.h"
#include "ops/http.h"
#include "ops/metrics.h"
#include "store/embedded.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>

#define THREADS_MAX 64
#define DRAIN_MS 1000 /* then connections are cut */
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
     "where everything durable is kept", 0, 0, NULL, false},
    {"kafka", "WEIR_KAFKA", OPTION_HOST_PORT, AT(kafka), "127.0.0.1:9092", "HOST:PORT",
     "where Kafka clients connect; port 0: any free one", 0, 0, NULL, false},
    {"kafka-advertise", "WEIR_KAFKA_ADVERTISE", OPTION_HOST_PORT, AT(kafka_advertise), NULL, "HOST:PORT",
     "what Kafka clients are told to connect to; unset: the address that they reached", 0, 0, NULL, false},
    {"http", "WEIR_HTTP", OPTION_HOST_PORT, AT(http), "127.0.0.1:8080", "HOST:PORT",
     "/healthz, /readyz and /metrics", 0, 0, NULL, false},
    {"threads", "WEIR_THREADS", OPTION_INT, AT(threads), "0", "N",
     "event loops; 0: one on up to two CPUs, else one a CPU", 0, THREADS_MAX, NULL, false},
    {"partitions", "WEIR_PARTITIONS", OPTION_INT, AT(partitions), "1", "N",
     "partitions of a topic that is created without a number", 1, 10000, NULL, false},
    {"auto-create", "WEIR_AUTO_CREATE", OPTION_SWITCH, AT(auto_create), "on", NULL,
     "create a topic when a client first names it", 0, 0, NULL, false},
    {"group-delay", "WEIR_GROUP_DELAY", OPTION_DURATION, AT(group_delay_ms), "3s", "TIME",
     "how long a new group waits for more members before its first assignment", 0, 300000, NULL, false},
    {"allow-anonymous", "WEIR_ALLOW_ANONYMOUS", OPTION_SWITCH, AT(allow_anonymous), "off", NULL,
     "listen beyond this machine although anyone who reaches the port may do anything", 0, 0, NULL, false},
    {"log-level", "WEIR_LOG_LEVEL", OPTION_CHOICE, AT(log_level), "info", "LEVEL",
     "least level of log lines on stderr", 0, 0, log_levels, false},
};
/* clang-format on */

static const struct option_set serve_set = {
    .usage = "weir serve [options]",
    .about = "Runs the broker. What is acknowledged is on disk; kill it as you like.",
    .example = "weir serve --data /var/lib/weir --kafka 127.0.0.1:9092",
    .options = serve_table,
    .n = sizeof serve_table / sizeof serve_table[0]};

/* ---- the parts ------------------------------------------------------------------------------ */

struct serve {
    struct serve_options options;
    unsigned n;
    struct loop *loops[THREADS_MAX];
    struct env *envs[THREADS_MAX];
    struct store *stores[THREADS_MAX];
    struct broker *brokers[THREADS_MAX];
    struct thread *threads[THREADS_MAX];
    struct embedded *embedded;
    struct kafka_front *kafka;
    struct ops_http *http;
    struct listener *kafka_listener, *http_listener;
    struct env_mail begin;
    struct env_timer drain_timer;
    struct serve_mail {
        struct env_mail mail;
        struct serve *s;
        bool force;
    } drain_mail[THREADS_MAX];
    bool stopping, forced;
    int status;
};

static void stop_loops(struct serve *s)
{
    for (unsigned i = 0; i < s->n; i++)
        loop_stop(s->loops[i]);
}

static void fail(struct serve *s, const char *event, enum err err, const char *why)
{
    char quoted[512];
    log_event(ENV_ERROR, event, "error=%s why=%s", err_name(err),
              log_quote(quoted, sizeof quoted, why && *why ? why : err_meaning(err)));
    s->status = 1;
    stop_loops(s);
}

/* ---- stop ----------------------------------------------------------------------------------- */

static void store_closed(void *arg, enum err err)
{
    struct serve *s = arg;
    if (err) {
        fail(s, "serve.stop_failed", err, NULL);
        return;
    }
    log_event(ENV_INFO, "serve.stopped", "clean=true");
    stop_loops(s);
}

static void drain_reactor(struct env_mail *mail, struct env *env)
{
    struct serve_mail *m = container_of(mail, struct serve_mail, mail);
    kafka_front_drain(m->s->kafka, env->reactor, m->force);
}

static void drain(struct serve *s, bool force)
{
    for (unsigned i = 0; i < s->n; i++) {
        s->drain_mail[i] = (struct serve_mail){.mail.run = drain_reactor, .s = s, .force = force};
        env_post(s->envs[0], i, &s->drain_mail[i].mail);
    }
}

/* First after DRAIN_MS: cut what is left; a moment later: close the store. */
static void drained(struct env_timer *timer)
{
    struct serve *s = container_of(timer, struct serve, drain_timer);
    if (!s->forced) {
        s->forced = true;
        drain(s, true);
        env_timer_set(s->envs[0], timer, 20 * 1000);
        return;
    }
    embedded_close(s->embedded, store_closed, s);
}

static size_t connections(const struct serve *s)
{
    size_t n = 0;
    for (unsigned i = 0; i < s->n; i++)
        n += loop_streams(s->loops[i]);
    return n;
}

static void on_stop_signal(void *arg, int signo)
{
    struct serve *s = arg;
    if (s->stopping) {
        fail(s, "serve.killed", ERR_CLOSED, "a second signal: the next start recovers");
        return;
    }
    s->stopping = true;
    log_event(ENV_INFO, "serve.stopping", "signal=%d", signo);
    ops_http_set_ready(s->http, false);
    if (!s->kafka_listener) {
        stop_loops(s);
        return;
    }
    listener_close(s->kafka_listener);
    s->kafka_listener = NULL;
    s->forced = s->n == 1 && connections(s) == 0;
    drain(s, false);
    s->drain_timer.fire = drained;
    env_timer_set(s->envs[0], &s->drain_timer, s->forced ? 0 : DRAIN_MS * 1000);
}

/* The store can promise nothing any more: nothing is acknowledged from here on. */
static void store_failed(void *arg, enum err err, const char *what)
{
    fail(arg, "store.failed", err, what);
}

/* ---- start ---------------------------------------------------------------------------------- */

static bool accept_kafka(void *arg, struct loop *loop, struct pipe *pipe)
{
    struct serve *s = arg;
    return kafka_front_accept(s->kafka, loop_env(loop)->reactor, pipe);
}

static bool accept_http(void *arg, struct loop *loop, struct pipe *pipe)
{
    (void)loop;
    return ops_http_accept(((struct serve *)arg)->http, pipe);
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
    ops_http_set_ready(s->http, true);
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
    enum err err =
        embedded_open(&conf, s->loops, s->n, s->stores, &s->embedded, report, text);
    if (err)
        return err;
    log_event(ENV_INFO, "store.open",
              "created=%s clean=%s logs=%" PRIu64 " replayed=%" PRIu64 " cut_bytes=%" PRIu64
              " took_us=%" PRIu64 " incarnation=%" PRIu32,
              report->created ? "true" : "false", report->clean ? "true" : "false", report->logs,
              report->batches, report->cut_bytes, report->took_us, report->meta.incarnation);
    return ERR_OK;
}

static void extra_metrics(void *arg, struct wr *w)
{
    struct serve *s = arg;
    struct embedded_stat st;
    struct kafka_stats k;
    embedded_stat(s->embedded, &st);
    kafka_front_stats(s->kafka, &k);
    metrics_head(w, "weir_journal_groups_total", "counter", "Groups written to the journal.");
    metrics_value(w, "weir_journal_groups_total", NULL, (double)st.groups);
    metrics_head(w, "weir_journal_syncs_total", "counter", "Syncs of the journal.");
    metrics_value(w, "weir_journal_syncs_total", NULL, (double)st.syncs);
    metrics_head(w, "weir_journal_bytes", "gauge", "Size of the journal's files.");
    metrics_value(w, "weir_journal_bytes", NULL, (double)st.journal_bytes);
    metrics_head(w, "weir_journal_commit_seconds", "gauge",
                 "Moving average of one write and sync of the journal.");
    metrics_value(w, "weir_journal_commit_seconds", NULL, (double)st.commit_us / 1e6);
    metrics_head(w, "weir_checkpoints_total", "counter", "Checkpoints done.");
    metrics_value(w, "weir_checkpoints_total", NULL, (double)st.checkpoints);
    metrics_head(w, "weir_kafka_connections", "gauge",
                 "Open connections of Kafka clients.");
    metrics_value(w, "weir_kafka_connections", NULL, (double)k.connections);
    metrics_head(w, "weir_kafka_requests_total", "counter",
                 "Requests of Kafka clients answered.");
    metrics_value(w, "weir_kafka_requests_total", NULL, (double)k.requests);
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
    bc.cluster_id = report->meta.cluster_id;
    bc.incarnation = report->meta.incarnation;
    bc.auto_create_topics = s->options.auto_create;
    bc.default_partitions = (int32_t)s->options.partitions;
    bc.group_initial_delay_ms = (uint32_t)s->options.group_delay_ms;
    enum err err = set_advertised(&s->options, &kc);
    if (err)
        return err;
    broker_set_make(&bc, s->n, s->envs, s->stores, s->brokers);
    s->kafka = kafka_front_make(&kc, s->brokers, s->n);
    s->http = ops_http_make(s->brokers[0], extra_metrics, s);
    struct listen_conf conf = {s->options.http, accept_http, s};
    return loop_listen(s->loops, 1, &conf, &s->http_listener, text);
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
    if (err)
        return err;
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

static int serve(int argc, char **argv)
{
    struct serve s = {0};
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
    return s.status;
}

/* ---- commands ------------------------------------------------------------------------------- */

static int version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    printf("weir %s\n", WEIR_VERSION);
    return 0;
}

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *about;
};

static const struct command commands[] = {
    {"serve", serve, "run the broker"},
    {"topic", cli_topic, "list, describe, create, delete topics; add partitions"},
    {"produce", cli_produce, "send lines of standard input to a topic"},
    {"consume", cli_consume, "print the records of a topic"},
    {"group", cli_group, "list, describe, reset, delete consumer groups"},
    {"bench", cli_bench, "measure a broker"},
    {"version", version, "print the version"},
};

/* Kafka's names, without their ending. */
static const struct command aliases[] = {
    {"kafka-topics", cli_kafka_topics, "kafka-topics.sh"},
    {"kafka-consumer-groups", cli_kafka_consumer_groups, "kafka-consumer-groups.sh"},
};

static int usage(FILE *to)
{
    fprintf(to, "weir: a durable event log that Kafka clients use\n\nusage: weir COMMAND ...\n\n");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].about);
    fprintf(to, "\n`weir COMMAND --help` explains each one. To begin: weir serve\n");
    return to == stderr ? 2 : 0;
}

static const struct command *find(const struct command *table, size_t n, const char *name,
                                  size_t len)
{
    for (size_t i = 0; i < n; i++) {
        if (strlen(table[i].name) == len && !memcmp(table[i].name, name, len))
            return &table[i];
    }
    return NULL;
}

int main(int argc, char **argv)
{
    const char *slash = argc ? strrchr(argv[0], '/') : NULL;
    const char *self = slash ? slash + 1 : (argc ? argv[0] : "weir");
    size_t len = strlen(self);
    if (len > 3 && !strcmp(self + len - 3, ".sh"))
        len -= 3;
    const struct command *c = find(aliases, sizeof aliases / sizeof aliases[0], self, len);
    if (c)
        return c->run(argc, argv);
    if (argc < 2)
        return usage(stderr);
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
        return usage(stdout);
    c = find(commands, sizeof commands / sizeof commands[0], argv[1], strlen(argv[1]));
    if (c)
        return c->run(argc - 1, argv + 1);
    fprintf(stderr, "weir: there is no command '%s'\n", argv[1]);
    return usage(stderr);
}
