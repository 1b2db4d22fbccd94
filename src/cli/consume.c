/* consume.c: `weir consume TOPIC`: records to standard output, a line each. Over librdkafka.
 * Without a group it reads all partitions from where it is told; with one it is a member like any
 * other. */
#include "cli/cli.h"

#include "base/mem.h"
#include "cli/options.h"
#include "cli/rdkafka_module.h"
#include "io/interrupt.h"

#include <string.h>

#define TIMEOUT_MS 30000
#define POLL_MS 200 /* how often Ctrl-C is looked for */

enum consume_from { FROM_EARLIEST, FROM_LATEST };

struct consume_options {
    const char *broker, *group;
    int64_t from, offset, partition, count;
    bool end, keys, meta;
};

#define AT(member) offsetof(struct consume_options, member)

static const char *const from_names[] = {"earliest", "latest", NULL};

/* clang-format off */
static const struct option table[] = {
    {"broker", "WEIR_BROKER", OPTION_TEXT, AT(broker), "127.0.0.1:9092", "HOST:PORT",
     "the broker to talk to", 0, 0, NULL, false},
    {"group", NULL, OPTION_TEXT, AT(group), NULL, "NAME",
     "read as a member of this group and commit", 0, 0, NULL, false},
    {"from", NULL, OPTION_CHOICE, AT(from), "earliest", "WHERE",
     "where to begin without a commit", 0, 0, from_names, false},
    {"offset", NULL, OPTION_INT, AT(offset), "-1", "N",
     "begin at this offset (without a group)", -1, INT64_MAX, NULL, false},
    {"partition", NULL, OPTION_INT, AT(partition), "-1", "N",
     "only this partition (without a group)", -1, CLI_PARTITIONS_MAX, NULL, false},
    {"count", NULL, OPTION_INT, AT(count), "0", "N",
     "end after so many records; 0: go on", 0, INT64_MAX, NULL, false},
    {"end", NULL, OPTION_SWITCH, AT(end), "off", NULL,
     "end when everything that is there was read", 0, 0, NULL, false},
    {"keys", NULL, OPTION_SWITCH, AT(keys), "off", NULL,
     "print key and tab before the value", 0, 0, NULL, false},
    {"meta", NULL, OPTION_SWITCH, AT(meta), "off", NULL,
     "print partition, offset and time before the record", 0, 0, NULL, false},
};
/* clang-format on */

static const struct option_set set = {
    .usage = "weir consume TOPIC [options]",
    .about = "Prints the records of a topic and goes on with new ones until Ctrl-C.",
    .example = "weir consume payments --from earliest --keys --end",
    .options = table,
    .n = sizeof table / sizeof table[0],
    .args = "the topic",
    .args_min = 1,
    .args_max = 1};

struct consumer {
    const struct rdkafka *k;
    const struct consume_options *options;
    const char *topic;
    rd_kafka_t *rk;
    bool *at_end; /* by partition: read to its end, and nothing came since */
    int32_t at_end_n;
    int64_t printed;
};

static enum err set_one(struct consumer *c, rd_kafka_conf_t *conf, const char *key,
                        const char *value, struct err_text *text)
{
    char why[256];
    if (c->k->conf_set(conf, key, value, why, sizeof why) == RD_KAFKA_CONF_OK)
        return ERR_OK;
    return err_say(text, ERR_REQUEST_INVALID, "%s", why);
}

static enum err open_consumer(struct consumer *c, struct err_text *text)
{
    const struct consume_options *o = c->options;
    char why[256] = "";
    rd_kafka_conf_t *conf = c->k->conf_new();
    enum err err = set_one(c, conf, "bootstrap.servers", o->broker, text);
    if (!err)
        err = set_one(c, conf, "group.id", o->group ? o->group : "weir-consume", text);
    if (!err)
        err = set_one(c, conf, "auto.offset.reset", from_names[o->from], text);
    if (!err)
        err = set_one(c, conf, "enable.auto.commit", o->group ? "true" : "false", text);
    if (!err)
        err = set_one(c, conf, "enable.partition.eof", "true", text);
    c->rk = err ? NULL : c->k->new (RD_KAFKA_CONSUMER, conf, why, sizeof why);
    if (c->rk)
        return ERR_OK;
    c->k->conf_destroy(conf);
    return err ? err : err_say(text, ERR_REQUEST_INVALID, "%s", why);
}

static enum err read_as_member(struct consumer *c, struct err_text *text)
{
    c->k->poll_set_consumer(c->rk);
    rd_kafka_topic_partition_list_t *list = c->k->topic_partition_list_new(1);
    c->k->topic_partition_list_add(list, c->topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t e = c->k->subscribe(c->rk, list);
    c->k->topic_partition_list_destroy(list);
    return e ? err_say(text, ERR_INTERNAL, "%s", c->k->err2str(e)) : ERR_OK;
}

static int64_t first_offset(const struct consume_options *o)
{
    if (o->offset >= 0)
        return o->offset;
    return o->from == FROM_LATEST ? RD_KAFKA_OFFSET_END : RD_KAFKA_OFFSET_BEGINNING;
}

/* Every partition, or the one that was asked for. */
static enum err read_alone(struct consumer *c, struct err_text *text)
{
    const struct rd_kafka_metadata *md;
    rd_kafka_topic_t *topic = c->k->topic_new(c->rk, c->topic, NULL);
    if (!topic)
        return err_say(text, ERR_TOPIC_INVALID, "'%s' is no topic name", c->topic);
    rd_kafka_resp_err_t e = c->k->metadata(c->rk, 0, topic, &md, TIMEOUT_MS);
    c->k->topic_destroy(topic);
    if (e)
        return err_say(text, ERR_CLOSED, "%s: %s", c->options->broker, c->k->err2str(e));
    enum err err = ERR_OK;
    rd_kafka_topic_partition_list_t *list = c->k->topic_partition_list_new(1);
    for (int i = 0; md->topic_cnt == 1 && i < md->topics[0].partition_cnt; i++) {
        int32_t p = md->topics[0].partitions[i].id;
        if (c->options->partition < 0 || c->options->partition == p) {
            c->k->topic_partition_list_add(list, c->topic, p)->offset = first_offset(c->options);
        }
    }
    if (!list->cnt)
        err = err_say(text, ERR_TOPIC_UNKNOWN, "there is no topic '%s' with such a partition",
                      c->topic);
    else if ((e = c->k->assign(c->rk, list)))
        err = err_say(text, ERR_INTERNAL, "%s", c->k->err2str(e));
    c->k->topic_partition_list_destroy(list);
    c->k->metadata_destroy(md);
    return err;
}

static void print_record(struct consumer *c, const rd_kafka_message_t *m)
{
    if (c->options->meta)
        printf("%d\t%lld\t%lld\t", m->partition, (long long)m->offset,
               (long long)c->k->message_timestamp(m, NULL));
    if (c->options->keys) {
        fwrite(m->key, 1, m->key_len, stdout);
        putchar('\t');
    }
    fwrite(m->payload, 1, m->len, stdout);
    putchar('\n');
    c->printed++;
}

static void note_end(struct consumer *c, int32_t partition, bool at_end)
{
    if (partition >= c->at_end_n) {
        int32_t n = partition * 2 + 16;
        c->at_end = mem_realloc(c->at_end, (size_t)n * sizeof(bool));
        memset(c->at_end + c->at_end_n, 0, (size_t)(n - c->at_end_n) * sizeof(bool));
        c->at_end_n = n;
    }
    c->at_end[partition] = at_end;
}

/* Every partition that is read, which in a group changes. */
static bool all_at_end(struct consumer *c)
{
    rd_kafka_topic_partition_list_t *list;
    if (c->k->assignment(c->rk, &list))
        return false;
    bool all = true;
    for (int i = 0; i < list->cnt; i++) {
        int32_t p = list->elems[i].partition;
        all &= p < c->at_end_n && c->at_end[p];
    }
    c->k->topic_partition_list_destroy(list);
    return all;
}

/* False: it is time to end. */
static bool take(struct consumer *c, const rd_kafka_message_t *m)
{
    if (!m->err) {
        note_end(c, m->partition, false);
        print_record(c, m);
        return !c->options->count || c->printed < c->options->count;
    }
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        note_end(c, m->partition, true);
        return !(c->options->end && all_at_end(c));
    }
    fprintf(stderr, "weir consume: %s\n", c->k->err2str(m->err));
    return true;
}

/* What is printed is seen as soon as there is nothing more to print. */
static rd_kafka_message_t *next_message(struct consumer *c)
{
    rd_kafka_message_t *m = c->k->consumer_poll(c->rk, 0);
    if (m)
        return m;
    fflush(stdout);
    return c->k->consumer_poll(c->rk, POLL_MS);
}

static void run(struct consumer *c)
{
    interrupt_catch();
    for (bool go_on = true; go_on && !interrupt_came() && !ferror(stdout);) {
        rd_kafka_message_t *m = next_message(c);
        if (!m)
            continue;
        go_on = take(c, m);
        c->k->message_destroy(m);
    }
    fflush(stdout);
}

int cli_consume(int argc, char **argv)
{
    struct consume_options o = {0};
    struct consumer c = {.options = &o};
    struct err_text text = {""};
    const char *args[1] = {NULL};
    size_t n;
    int end = options_begin(&set, argc, argv, &o, args, &n);
    if (end)
        return end - 1;
    c.topic = args[0];
    enum err err = rdkafka_load(&c.k, &text);
    if (!err)
        err = open_consumer(&c, &text);
    if (!err)
        err = o.group ? read_as_member(&c, &text) : read_alone(&c, &text);
    if (err)
        fprintf(stderr, "weir consume: %s\n", text.s);
    else
        run(&c);
    if (c.rk) {
        c.k->consumer_close(c.rk);
        c.k->destroy(c.rk);
    }
    mem_free(c.at_end);
    return err ? 1 : 0;
}
