#include "cli/bench_client.h"

#include "io/clock.h"

#include <string.h>

enum {
    TOPIC_WAIT_MS = 30000,
    QUERY_MS = 10000,
    LINGER_MS = 5,
    FETCH_PARTITION_BYTES = 8 << 20,
};

static enum err set(const struct rdkafka *k, rd_kafka_conf_t *conf, const char *name,
                    const char *value, struct err_text *text)
{
    char why[200];
    if (k->conf_set(conf, name, value, why, sizeof why) == RD_KAFKA_CONF_OK)
        return ERR_OK;
    return err_say(text, ERR_CONFIG_INVALID, "librdkafka: %s", why);
}

static enum err set_number(const struct rdkafka *k, rd_kafka_conf_t *conf, const char *name,
                           int64_t value, struct err_text *text)
{
    char s[24];
    snprintf(s, sizeof s, "%lld", (long long)value);
    return set(k, conf, name, s, text);
}

/* The --property options, last, so that they win. */
static enum err set_extra(const struct rdkafka *k, rd_kafka_conf_t *conf,
                          const struct bench_options *o, struct err_text *text)
{
    enum err err = ERR_OK;
    for (size_t i = 0; i < o->properties.n && !err; i++) {
        char name[100];
        const char *given = o->properties.at[i], *eq = strchr(given, '=');
        snprintf(name, sizeof name, "%.*s", (int)(eq - given), given);
        err = set(k, conf, name, eq + 1, text);
    }
    return err;
}

static enum err set_common(const struct rdkafka *k, rd_kafka_conf_t *conf,
                           const struct bench_options *o, struct err_text *text)
{
    enum err err = set(k, conf, "bootstrap.servers", o->bootstrap, text);
    if (!err)
        err = set(k, conf, "client.id", "weir-bench", text);
    if (!err)
        err = set(k, conf, "socket.nagle.disable", "true", text);
    return err;
}

static enum err set_producer(const struct rdkafka *k, rd_kafka_conf_t *conf,
                             const struct bench_options *o, struct err_text *text)
{
    int64_t linger_ms = o->linger_ms == BENCH_LINGER_AUTO ? LINGER_MS : o->linger_ms;
    enum err err = set_number(k, conf, "linger.ms", linger_ms, text);
    if (!err)
        err = set_number(k, conf, "batch.size", o->batch_bytes, text);
    if (!err)
        err = set_number(k, conf, "message.max.bytes", o->batch_bytes, text);
    if (!err)
        err = set(k, conf, "batch.num.messages", "1000000", text);
    if (!err)
        err = set_number(k, conf, "queue.buffering.max.messages", BENCH_QUEUE_MAX, text);
    if (!err)
        err = set(k, conf, "message.timeout.ms", "60000", text);
    if (!err)
        err = set(k, conf, "acks", bench_acks[o->acks], text);
    if (!err)
        err = set(k, conf, "enable.idempotence", o->idempotent ? "true" : "false", text);
    return err;
}

static enum err set_consumer(const struct rdkafka *k, rd_kafka_conf_t *conf, struct err_text *text)
{
    enum err err = set(k, conf, "group.id", "weir-bench", text);
    if (!err)
        err = set(k, conf, "enable.auto.commit", "false", text);
    if (!err)
        err = set(k, conf, "allow.auto.create.topics", "true", text);
    if (!err)
        err = set(k, conf, "auto.offset.reset", "error", text);
    if (!err)
        err = set_number(k, conf, "max.partition.fetch.bytes", FETCH_PARTITION_BYTES, text);
    return err;
}

/* Takes over conf. */
static enum err make(struct bench_client *c, rd_kafka_conf_t *conf, rd_kafka_type_t type,
                     struct err_text *text)
{
    char why[200];
    c->rk = c->k->new (type, conf, why, sizeof why);
    if (!c->rk) {
        c->k->conf_destroy(conf);
        return err_say(text, ERR_CONFIG_INVALID, "librdkafka: %s", why);
    }
    return ERR_OK;
}

/* That the topic exists already is as good. */
static enum err created(struct bench_client *c, rd_kafka_event_t *event, struct err_text *text)
{
    if (!event)
        return err_say(text, ERR_TIMED_OUT, "no answer to the creation of topic '%s'",
                       c->topic_name);
    if (c->k->event_error(event))
        return err_say(text, ERR_INTERNAL, "topic '%s' was not created: %s", c->topic_name,
                       c->k->event_error_string(event));
    size_t n = 0;
    const rd_kafka_topic_result_t **results =
        c->k->CreateTopics_result_topics(c->k->event_CreateTopics_result(event), &n);
    rd_kafka_resp_err_t code = n ? c->k->topic_result_error(results[0]) : RD_KAFKA_RESP_ERR__FAIL;
    if (code && code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        return err_say(text, ERR_INTERNAL, "topic '%s' was not created: %s", c->topic_name,
                       c->k->err2str(code));
    return ERR_OK;
}

static enum err create_topic(struct bench_client *c, int partitions, struct err_text *text)
{
    char why[200];
    rd_kafka_NewTopic_t *topic = c->k->NewTopic_new(c->topic_name, partitions, 1, why, sizeof why);
    if (!topic)
        return err_say(text, ERR_TOPIC_INVALID, "librdkafka: %s", why);
    rd_kafka_queue_t *queue = c->k->queue_new(c->rk);
    c->k->CreateTopics(c->rk, &topic, 1, NULL, queue);
    rd_kafka_event_t *event = c->k->queue_poll(queue, TOPIC_WAIT_MS);
    enum err err = created(c, event, text);
    if (event)
        c->k->event_destroy(event);
    c->k->queue_destroy(queue);
    c->k->NewTopic_destroy(topic);
    return err;
}

/* How many of the topic's partitions have a leader, if all have; else 0. */
static int32_t partitions_ready(struct bench_client *c)
{
    const struct rd_kafka_metadata *md;
    if (c->k->metadata(c->rk, 0, c->topic, &md, 1000))
        return 0;
    int32_t n = 0;
    if (md->topic_cnt == 1 && !md->topics[0].err) {
        const rd_kafka_metadata_topic_t *t = &md->topics[0];
        while (n < t->partition_cnt && t->partitions[n].leader >= 0)
            n++;
        n = n == t->partition_cnt ? n : 0;
    }
    c->k->metadata_destroy(md);
    return n;
}

/* From here on librdkafka asks for the topic, which may create it by itself, with one partition. */
static enum err wait_topic(struct bench_client *c, const struct bench_options *o,
                           struct err_text *text)
{
    c->topic = c->k->topic_new(c->rk, c->topic_name, NULL);
    if (!c->topic)
        return err_say(text, ERR_TOPIC_INVALID, "librdkafka does not take the topic '%s'",
                       c->topic_name);
    uint64_t until = clock_mono_us() + TOPIC_WAIT_MS * 1000;
    int32_t n;
    while (!(n = partitions_ready(c))) {
        if (clock_mono_us() > until)
            return err_say(text, ERR_TIMED_OUT, "no broker at %s has the topic '%s'", o->bootstrap,
                           c->topic_name);
        clock_sleep_until_us(clock_mono_us() + 20000);
    }
    if (n < o->partitions)
        return err_say(text, ERR_PARTITIONS_INVALID,
                       "topic '%s' has %d partitions, not %lld; --create makes a new one",
                       c->topic_name, n, (long long)o->partitions);
    c->partitions = o->partitions ? (int32_t)o->partitions : n;
    return ERR_OK;
}

enum err bench_producer_open(struct bench_client *c, const struct bench_options *o,
                             bench_delivered_fn *delivered, void *opaque, struct err_text *text)
{
    *c = (struct bench_client){.topic_name = o->topic};
    enum err err = rdkafka_load(&c->k, text);
    if (err)
        return err;
    rd_kafka_conf_t *conf = c->k->conf_new();
    c->k->conf_set_dr_msg_cb(conf, delivered);
    c->k->conf_set_opaque(conf, opaque);
    err = set_common(c->k, conf, o, text);
    if (!err)
        err = set_producer(c->k, conf, o, text);
    if (!err)
        err = set_extra(c->k, conf, o, text);
    if (err) {
        c->k->conf_destroy(conf);
        return err;
    }
    err = make(c, conf, RD_KAFKA_PRODUCER, text);
    if (!err && o->create)
        err = create_topic(c, o->partitions ? (int)o->partitions : 1, text);
    if (!err)
        err = wait_topic(c, o, text);
    return err;
}

enum err bench_consumer_open(struct bench_client *c, const struct bench_options *o,
                             struct err_text *text)
{
    *c = (struct bench_client){.topic_name = o->topic, .is_consumer = true};
    enum err err = rdkafka_load(&c->k, text);
    if (err)
        return err;
    rd_kafka_conf_t *conf = c->k->conf_new();
    err = set_common(c->k, conf, o, text);
    if (!err)
        err = set_consumer(c->k, conf, text);
    if (!err)
        err = set_extra(c->k, conf, o, text);
    if (err) {
        c->k->conf_destroy(conf);
        return err;
    }
    err = make(c, conf, RD_KAFKA_CONSUMER, text);
    if (!err)
        err = wait_topic(c, o, text);
    return err;
}

void bench_client_close(struct bench_client *c)
{
    if (c->topic)
        c->k->topic_destroy(c->topic);
    if (c->rk && c->is_consumer)
        c->k->consumer_close(c->rk);
    if (c->rk)
        c->k->destroy(c->rk);
    c->topic = NULL;
    c->rk = NULL;
}

enum err bench_client_range(struct bench_client *c, int32_t partition, int64_t *first,
                            int64_t *next, struct err_text *text)
{
    rd_kafka_resp_err_t code =
        c->k->query_watermark_offsets(c->rk, c->topic_name, partition, first, next, QUERY_MS);
    if (code)
        return err_say(text, ERR_INTERNAL, "the offsets of %s-%d: %s", c->topic_name, partition,
                       c->k->err2str(code));
    return ERR_OK;
}

enum err bench_consumer_assign(struct bench_client *c, const int64_t *offsets,
                               struct err_text *text)
{
    rd_kafka_topic_partition_list_t *list = c->k->topic_partition_list_new(c->partitions);
    for (int32_t i = 0; i < c->partitions; i++)
        if (offsets[i] >= 0)
            c->k->topic_partition_list_add(list, c->topic_name, i)->offset = offsets[i];
    rd_kafka_resp_err_t code = c->k->assign(c->rk, list);
    c->k->topic_partition_list_destroy(list);
    if (code)
        return err_say(text, ERR_INTERNAL, "assign: %s", c->k->err2str(code));
    return ERR_OK;
}
