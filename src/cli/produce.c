/* produce.c: `weir produce TOPIC`: lines of standard input become records. Over librdkafka, so that
 * the records travel as any client's do. */
#include "cli/cli.h"

#include "base/mem.h"
#include "cli/options.h"
#include "cli/rdkafka_module.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct produce_options {
    const char *broker, *separator;
    int64_t partition, compression;
    bool verbose;
};

#define AT(member) offsetof(struct produce_options, member)

static const char *const codecs[] = {"none", "gzip", "snappy", "lz4", "zstd", NULL};

/* clang-format off */
static const struct option table[] = {
    {"broker", "WEIR_BROKER", OPTION_TEXT, AT(broker), "127.0.0.1:9092", "HOST:PORT",
     "the broker to talk to", 0, 0, NULL, false},
    {"key-separator", NULL, OPTION_TEXT, AT(separator), NULL, "TEXT",
     "what stands before it in a line is the record's key", 0, 0, NULL, false},
    {"partition", NULL, OPTION_INT, AT(partition), "-1", "N",
     "the partition; -1: by key, or any", -1, CLI_PARTITIONS_MAX, NULL, false},
    {"compression", NULL, OPTION_CHOICE, AT(compression), "none", "CODEC",
     "how batches are compressed", 0, 0, codecs, false},
    {"verbose", NULL, OPTION_SWITCH, AT(verbose), "off", NULL,
     "say where each record went", 0, 0, NULL, false},
};
/* clang-format on */

static const struct option_set set = {
    .usage = "weir produce TOPIC [options] < lines",
    .about = "Sends each line of standard input as a record, and ends when all are acknowledged.",
    .example = "echo 'card-7:{\"amount\": 12.5}' | weir produce payments --key-separator :",
    .options = table,
    .n = sizeof table / sizeof table[0],
    .args = "the topic",
    .args_min = 1,
    .args_max = 1};

struct producer {
    const struct rdkafka *k;
    const struct produce_options *options;
    rd_kafka_t *rk;
    rd_kafka_topic_t *topic;
    uint64_t acked, failed;
};

static void delivered(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    struct producer *p = opaque;
    (void)rk;
    if (m->err) {
        p->failed++;
        fprintf(stderr, "weir produce: a record was not taken: %s\n", p->k->err2str(m->err));
        return;
    }
    p->acked++;
    if (p->options->verbose)
        printf("partition %d offset %lld\n", m->partition, (long long)m->offset);
}

static enum err open_producer(struct producer *p, const char *topic, struct err_text *text)
{
    const struct {
        const char *key, *value;
    } settings[] = {{"bootstrap.servers", p->options->broker},
                    {"compression.codec", codecs[p->options->compression]},
                    {"enable.idempotence", "true"},
                    {"linger.ms", "5"}};
    char why[256];
    rd_kafka_conf_t *conf = p->k->conf_new();
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        if (p->k->conf_set(conf, settings[i].key, settings[i].value, why, sizeof why) !=
            RD_KAFKA_CONF_OK) {
            p->k->conf_destroy(conf);
            return err_say(text, ERR_REQUEST_INVALID, "%s", why);
        }
    }
    p->k->conf_set_opaque(conf, p);
    p->k->conf_set_dr_msg_cb(conf, delivered);
    p->rk = p->k->new (RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (!p->rk) {
        p->k->conf_destroy(conf);
        return err_say(text, ERR_REQUEST_INVALID, "%s", why);
    }
    p->topic = p->k->topic_new(p->rk, topic, NULL);
    return p->topic ? ERR_OK : err_say(text, ERR_TOPIC_INVALID, "'%s' is no topic name", topic);
}

static void send_line(struct producer *p, char *line, size_t len)
{
    const char *separator = p->options->separator;
    const char *at = separator ? memmem(line, len, separator, strlen(separator)) : NULL;
    size_t key = at ? (size_t)(at - line) : 0;
    char *value = at ? line + key + strlen(separator) : line;
    size_t value_len = len - (size_t)(value - line);
    int32_t partition =
        p->options->partition < 0 ? RD_KAFKA_PARTITION_UA : (int32_t)p->options->partition;
    while (p->k->produce(p->topic, partition, RD_KAFKA_MSG_F_COPY, value, value_len,
                         at ? line : NULL, key, NULL)) {
        if (p->k->last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            p->failed++;
            fprintf(stderr, "weir produce: %s\n", p->k->err2str(p->k->last_error()));
            return;
        }
        p->k->poll(p->rk, 100);
    }
    p->k->poll(p->rk, 0);
}

static void send_all(struct producer *p)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    while ((n = getline(&line, &cap, stdin)) >= 0) {
        size_t len = (size_t)n;
        if (len && line[len - 1] == '\n')
            line[--len] = 0;
        send_line(p, line, len);
    }
    mem_free(line);
    while (p->k->outq_len(p->rk) > 0)
        p->k->flush(p->rk, 1000);
}

int cli_produce(int argc, char **argv)
{
    struct produce_options o = {0};
    struct producer p = {.options = &o};
    struct err_text text = {""};
    const char *args[1] = {NULL};
    size_t n;
    int end = options_begin(&set, argc, argv, &o, args, &n);
    if (end)
        return end - 1;
    enum err err = rdkafka_load(&p.k, &text);
    if (!err)
        err = open_producer(&p, args[0], &text);
    if (err) {
        fprintf(stderr, "weir produce: %s\n", text.s);
        return 1;
    }
    send_all(&p);
    fprintf(stderr, "%llu acknowledged, %llu failed\n", (unsigned long long)p.acked,
            (unsigned long long)p.failed);
    p.k->topic_destroy(p.topic);
    p.k->destroy(p.rk);
    return p.failed ? 1 : 0;
}
