/* consume.c: `weir consume TOPIC`: records to standard output, a line each. Over librdkafka.
 * Without a group it reads all partitions from where it is told; with one it is a member like any
 * other. */
#include "cli/cli.h"

#include "cli/options.h"
#include "cli/reader.h"
#include "io/interrupt.h"

#include <string.h>

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
    struct reader reader;
    const struct consume_options *options;
    const char *topic;
    int64_t printed;
};

static enum err read_as_member(struct consumer *c, struct err_text *text)
{
    const struct rdkafka *k = c->reader.k;
    k->poll_set_consumer(c->reader.rk);
    rd_kafka_topic_partition_list_t *list = k->topic_partition_list_new(1);
    k->topic_partition_list_add(list, c->topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t e = k->subscribe(c->reader.rk, list);
    k->topic_partition_list_destroy(list);
    return e ? err_say(text, ERR_INTERNAL, "%s", k->err2str(e)) : ERR_OK;
}

static int64_t first_offset(const struct consume_options *o)
{
    if (o->offset >= 0)
        return o->offset;
    return o->from == FROM_LATEST ? RD_KAFKA_OFFSET_END : RD_KAFKA_OFFSET_BEGINNING;
}

static void print_record(struct consumer *c, const rd_kafka_message_t *m)
{
    if (c->options->meta)
        printf("%d\t%lld\t%lld\t", m->partition, (long long)m->offset,
               (long long)c->reader.k->message_timestamp(m, NULL));
    if (c->options->keys) {
        fwrite(m->key, 1, m->key_len, stdout);
        putchar('\t');
    }
    fwrite(m->payload, 1, m->len, stdout);
    putchar('\n');
    c->printed++;
}

/* False: it is time to end. */
static bool take(struct consumer *c, const rd_kafka_message_t *m)
{
    bool all_read = reader_note(&c->reader, m);
    if (!m->err) {
        print_record(c, m);
        return !c->options->count || c->printed < c->options->count;
    }
    if (m->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
        fprintf(stderr, "weir consume: %s\n", c->reader.k->err2str(m->err));
    return !(c->options->end && all_read);
}

/* What is printed is seen as soon as there is nothing more to print. */
static rd_kafka_message_t *next_message(struct consumer *c)
{
    rd_kafka_message_t *m = c->reader.k->consumer_poll(c->reader.rk, 0);
    if (m)
        return m;
    fflush(stdout);
    return c->reader.k->consumer_poll(c->reader.rk, POLL_MS);
}

static void run(struct consumer *c)
{
    interrupt_catch();
    for (bool go_on = true; go_on && !interrupt_came() && !ferror(stdout);) {
        rd_kafka_message_t *m = next_message(c);
        if (!m)
            continue;
        go_on = take(c, m);
        c->reader.k->message_destroy(m);
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
    struct reader_conf conf = {o.broker, o.group, from_names[o.from], o.end};
    enum err err = reader_open(&c.reader, &conf, &text);
    if (!err)
        err = o.group ? read_as_member(&c, &text)
                      : reader_assign(&c.reader, c.topic, (int32_t)o.partition, first_offset(&o),
                                      &text);
    if (err)
        fprintf(stderr, "weir consume: %s\n", text.s);
    else
        run(&c);
    reader_close(&c.reader);
    return err ? 1 : 0;
}
