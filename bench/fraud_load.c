/* fraud_load.c: publishes payments at a rate and watches for their decisions, in one process, so
 * that one clock tells how long each took.
 *
 *     fraud_load --broker HOST:PORT --events FILE [--skip N] [--rate 10000] [--seconds 10]
 *                [--warmup 2] [--spike RATE --spike-seconds S] [--watch TOPICS]
 *
 * A line of FILE is "TOPIC<tab>KEY<tab>JSON object"; lines go out in their order, as Kafka records
 * that librdkafka gathers for a millisecond. To the JSON of a payment is added when it was due, in
 * microseconds: what a sender that cannot keep up adds to its time is in its time. Labels (lines of
 * the topic "terminals") are CloudEvents, and waited for.
 *
 * Decisions are read from the topics payments.approved, .review and .rejected (or those of --watch,
 * with commas), whose ends at the start are where it begins. Prints one line of JSON: counts, and
 * the times from when payments were due to when their decisions were received, in milliseconds; of
 * each second their 99th percentile, so that a spike's beginning and end can be seen.
 */
#include <getopt.h>
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    LINE_MAX_BYTES = 4096,
    BUCKETS = 60000, /* of a tenth of a millisecond */
    SECONDS_MAX = 600,
    PATIENCE_SECONDS = 60,
};

struct histogram {
    uint32_t buckets[BUCKETS + 1];
    uint64_t n;
};

struct load {
    const char *broker, *events, *watch;
    double rate, seconds, warmup, spike, spike_seconds;
    long skip;
    rd_kafka_t *producer, *consumer;
    atomic_ulong acked, failed, labels_waiting;
    uint64_t sent, labels;
    /* the watcher's */
    atomic_ulong decided;
    atomic_bool stop;
    uint64_t begin_us, measure_us; /* times due before measure_us do not count */
    struct histogram all;
    struct histogram *by_second;
};

static void die(const char *why)
{
    fprintf(stderr, "fraud_load: %s\n", why);
    exit(1);
}

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void add(struct histogram *h, uint64_t us)
{
    uint64_t bucket = us / 100;
    h->buckets[bucket < BUCKETS ? bucket : BUCKETS]++;
    h->n++;
}

static double percentile(const struct histogram *h, double share)
{
    uint64_t rank = (uint64_t)((double)h->n * share), seen = 0;
    rank = rank < h->n ? rank : h->n - 1;
    for (int i = 0; i <= BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen > rank)
            return (i + 1) / 10.0;
    }
    return 0;
}

/* ---- sending ---- */

static void delivered(rd_kafka_t *rk, const rd_kafka_message_t *m, void *arg)
{
    struct load *l = arg;
    (void)rk;
    atomic_fetch_add(m->err ? &l->failed : &l->acked, 1);
    if (m->_private)
        atomic_fetch_sub(&l->labels_waiting, 1);
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char why[256];
    if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK)
        die(why);
}

static rd_kafka_t *client(struct load *l, rd_kafka_type_t type)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", l->broker);
    if (type == RD_KAFKA_PRODUCER) {
        set(conf, "linger.ms", "1");
        set(conf, "enable.idempotence", "true");
        set(conf, "queue.buffering.max.messages", "2000000");
        rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    } else {
        set(conf, "group.id", "fraud-load");
        set(conf, "enable.auto.commit", "false");
        set(conf, "fetch.wait.max.ms", "100");
        set(conf, "fetch.min.bytes", "1");
    }
    rd_kafka_conf_set_opaque(conf, l);
    rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof why);
    if (rk == NULL)
        die(why);
    return rk;
}

static void send_label(struct load *l, const char *topic, char *key, char *value)
{
    atomic_fetch_add(&l->labels_waiting, 1);
    rd_kafka_resp_err_t err = rd_kafka_producev(
        l->producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_KEY(key, strlen(key)),
        RD_KAFKA_V_VALUE(value, strlen(value)), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_HEADER("ce_specversion", "1.0", -1), RD_KAFKA_V_HEADER("ce_id", value, -1),
        RD_KAFKA_V_HEADER("ce_source", "/labels", -1),
        RD_KAFKA_V_HEADER("ce_type", "payment.label", -1),
        RD_KAFKA_V_HEADER("content-type", "application/json", -1), RD_KAFKA_V_OPAQUE(l),
        RD_KAFKA_V_END);
    if (err)
        die(rd_kafka_err2str(err));
    l->labels++;
}

static void send_payment(struct load *l, const char *topic, char *key, char *json, uint64_t due_us)
{
    char value[LINE_MAX_BYTES];
    json[strlen(json) - 1] = 0; /* the brace */
    int n =
        snprintf(value, sizeof value, "%s, \"due_us\": %llu}", json, (unsigned long long)due_us);
    rd_kafka_resp_err_t err;
    do {
        err =
            rd_kafka_producev(l->producer, RD_KAFKA_V_TOPIC(topic),
                              RD_KAFKA_V_KEY(key, strlen(key)), RD_KAFKA_V_VALUE(value, (size_t)n),
                              RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
        if (err == RD_KAFKA_RESP_ERR__QUEUE_FULL)
            rd_kafka_poll(l->producer, 10);
    } while (err == RD_KAFKA_RESP_ERR__QUEUE_FULL);
    if (err)
        die(rd_kafka_err2str(err));
    l->sent++;
}

/* A label must be in its topic before the payments behind it. */
static void send_line(struct load *l, char *line, uint64_t due_us)
{
    char *topic = strsep(&line, "\t"), *key = strsep(&line, "\t");
    if (line == NULL)
        die("a line of the events is not TOPIC, KEY, JSON");
    if (strcmp(topic, "terminals") == 0) {
        send_label(l, topic, key, line);
        return;
    }
    while (atomic_load(&l->labels_waiting))
        rd_kafka_poll(l->producer, 1);
    send_payment(l, topic, key, line, due_us);
}

static bool read_line(FILE *file, char line[LINE_MAX_BYTES])
{
    if (fgets(line, LINE_MAX_BYTES, file) == NULL)
        return false;
    line[strcspn(line, "\n")] = 0;
    return true;
}

static double rate_at(const struct load *l, double seconds)
{
    double since = seconds - l->warmup - l->seconds / 3;
    return l->spike > 0 && since >= 0 && since < l->spike_seconds ? l->spike : l->rate;
}

static void send_all(struct load *l)
{
    char line[LINE_MAX_BYTES];
    FILE *file = fopen(l->events, "re");
    if (file == NULL)
        die("cannot read the events");
    for (long i = 0; i < l->skip; i++)
        read_line(file, line);
    double due = (double)l->begin_us, end = due + (l->warmup + l->seconds) * 1e6;
    while (due < end && read_line(file, line)) {
        while (due > (double)now_us())
            rd_kafka_poll(l->producer, 0) ? 0 : nanosleep(&(struct timespec){0, 200000}, NULL);
        send_line(l, line, (uint64_t)due);
        if (strncmp(line, "terminals", 9) != 0)
            due += 1e6 / rate_at(l, (due - (double)l->begin_us) / 1e6);
    }
    fclose(file);
    if (rd_kafka_flush(l->producer, PATIENCE_SECONDS * 1000))
        die("not all was acknowledged");
}

/* ---- watching ---- */

static void watch_from_ends(struct load *l)
{
    rd_kafka_topic_partition_list_t *places = rd_kafka_topic_partition_list_new(16);
    char *topics = strdup(l->watch), *rest = topics;
    for (const char *name; (name = strsep(&rest, ",")) != NULL;) {
        rd_kafka_topic_t *topic = rd_kafka_topic_new(l->consumer, name, NULL);
        const struct rd_kafka_metadata *m;
        if (rd_kafka_metadata(l->consumer, 0, topic, &m, 10000))
            die("no metadata");
        for (int p = 0; p < m->topics[0].partition_cnt; p++) {
            int64_t low, high;
            if (rd_kafka_query_watermark_offsets(l->consumer, name, p, &low, &high, 10000))
                die("no offsets");
            rd_kafka_topic_partition_list_add(places, name, p)->offset = high;
        }
        rd_kafka_metadata_destroy(m);
        rd_kafka_topic_destroy(topic);
    }
    free(topics);
    if (rd_kafka_assign(l->consumer, places))
        die("cannot read the decisions");
    rd_kafka_topic_partition_list_destroy(places);
}

static void decision(struct load *l, const char *value, size_t n)
{
    static const char name[] = "\"due_us\":";
    const char *at = memmem(value, n, name, sizeof name - 1);
    if (at == NULL)
        die("a decision does not say when its payment was due");
    uint64_t due = strtoull(at + sizeof name - 1, NULL, 10), now = now_us();
    uint64_t second = (due - l->begin_us) / 1000000;
    uint64_t took = now > due ? now - due : 0;
    if (due >= l->measure_us)
        add(&l->all, took);
    if (second < SECONDS_MAX)
        add(&l->by_second[second], took);
    atomic_fetch_add(&l->decided, 1);
}

static void *watch(void *arg)
{
    struct load *l = arg;
    while (!atomic_load(&l->stop)) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(l->consumer, 100);
        if (m == NULL)
            continue;
        if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            decision(l, m->payload, m->len);
        rd_kafka_message_destroy(m);
    }
    return NULL;
}

static double await_decisions(struct load *l)
{
    uint64_t begin = now_us();
    while (atomic_load(&l->decided) < l->sent &&
           now_us() - begin < (uint64_t)PATIENCE_SECONDS * 1000000)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    return (double)(now_us() - begin) / 1e6;
}

static void print(const struct load *l, double drained)
{
    printf("{\"sent\": %llu, \"labels\": %llu, \"failed\": %lu, \"decided\": %lu, "
           "\"drained_s\": %.2f, \"p50_ms\": %.1f, \"p90_ms\": %.1f, \"p99_ms\": %.1f, "
           "\"p999_ms\": %.1f, \"max_ms\": %.1f, \"p99_by_second\": [",
           (unsigned long long)l->sent, (unsigned long long)l->labels, atomic_load(&l->failed),
           atomic_load(&l->decided), drained, percentile(&l->all, .5), percentile(&l->all, .9),
           percentile(&l->all, .99), percentile(&l->all, .999), percentile(&l->all, 1));
    for (int i = 0; i < (int)(l->warmup + l->seconds); i++)
        printf("%s%.1f", i ? ", " : "", percentile(&l->by_second[i], .99));
    printf("]}\n");
}

static double number(const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || value < 0)
        die("a number is none");
    return value;
}

static void parse(struct load *l, int argc, char **argv)
{
    static const struct option options[] = {
        {"broker", required_argument, NULL, 'b'},  {"events", required_argument, NULL, 'e'},
        {"skip", required_argument, NULL, 'k'},    {"rate", required_argument, NULL, 'r'},
        {"seconds", required_argument, NULL, 's'}, {"warmup", required_argument, NULL, 'w'},
        {"spike", required_argument, NULL, 'p'},   {"spike-seconds", required_argument, NULL, 'q'},
        {"watch", required_argument, NULL, 'o'},   {NULL, 0, NULL, 0}};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'b':
            l->broker = optarg;
            break;
        case 'e':
            l->events = optarg;
            break;
        case 'k':
            l->skip = (long)number(optarg);
            break;
        case 'r':
            l->rate = number(optarg);
            break;
        case 's':
            l->seconds = number(optarg);
            break;
        case 'w':
            l->warmup = number(optarg);
            break;
        case 'p':
            l->spike = number(optarg);
            break;
        case 'o':
            l->watch = optarg;
            break;
        case 'q':
            l->spike_seconds = number(optarg);
            break;
        default:
            die("see the top of bench/fraud_load.c for what can be said");
        }
    }
    if (l->broker == NULL || l->events == NULL || l->rate <= 0)
        die("--broker and --events must be said");
}

int main(int argc, char **argv)
{
    static struct load l = {.rate = 10000,
                            .seconds = 10,
                            .warmup = 2,
                            .watch = "payments.approved,payments.review,payments.rejected"};
    pthread_t watcher;
    parse(&l, argc, argv);
    l.by_second = calloc(SECONDS_MAX, sizeof *l.by_second);
    if (l.by_second == NULL)
        die("no memory");
    l.producer = client(&l, RD_KAFKA_PRODUCER);
    l.consumer = client(&l, RD_KAFKA_CONSUMER);
    rd_kafka_poll_set_consumer(l.consumer);
    watch_from_ends(&l);
    l.begin_us = now_us() + 100000;
    l.measure_us = l.begin_us + (uint64_t)(l.warmup * 1e6);
    if (pthread_create(&watcher, NULL, watch, &l))
        die("no thread");
    send_all(&l);
    double drained = await_decisions(&l);
    atomic_store(&l.stop, true);
    pthread_join(watcher, NULL);
    print(&l, drained);
    return atomic_load(&l.failed) || atomic_load(&l.decided) != l.sent;
}
