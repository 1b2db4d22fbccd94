/* kafka_topics.c: the binary under the name kafka-topics.sh: Kafka's options, Kafka's output. */
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/topic_admin.h"

struct kafka_topics_options {
    const char *bootstrap, *topic;
    bool list, describe, create, delete, alter;
    bool if_exists, if_not_exists, exclude_internal;
    bool under_replicated, unavailable;
    int64_t partitions, replication;
    struct option_list configs;
};

#define AT(member) offsetof(struct kafka_topics_options, member)
#define SWITCH(name, member, help)                                                                 \
    {                                                                                              \
        name, NULL, OPTION_SWITCH, AT(member), "off", NULL, help, 0, 0, NULL, false                \
    }

static const struct option table[] = {
    {"bootstrap-server", NULL, OPTION_TEXT, AT(bootstrap), NULL, "HOST:PORT",
     "the broker to talk to", 0, 0, NULL, true},
    SWITCH("list", list, "list the topics"),
    SWITCH("describe", describe, "show topics with their partitions"),
    SWITCH("create", create, "create a topic"),
    SWITCH("delete", delete, "delete topics"),
    SWITCH("alter", alter, "give topics more partitions"),
    {"topic", NULL, OPTION_TEXT, AT(topic), NULL, "NAME",
     "the topic; all but create take a regular expression", 0, 0, NULL, false},
    {"partitions", NULL, OPTION_INT, AT(partitions), "-1", "N",
     "create: how many; alter: the new total", -1, CLI_PARTITIONS_MAX, NULL, false},
    {"replication-factor", NULL, OPTION_INT, AT(replication), "-1", "N",
     "1, the only one that one broker can give", -1, 32767, NULL, false},
    {"config", NULL, OPTION_LIST, AT(configs), NULL, "KEY=VALUE",
     "a setting of the new topic; may be repeated", 0, 0, NULL, false},
    SWITCH("if-exists", if_exists, "delete, alter, describe: no error when there is no such topic"),
    SWITCH("if-not-exists", if_not_exists, "create: no error when there is one"),
    SWITCH("exclude-internal", exclude_internal, "leave internal topics out"),
    SWITCH("under-replicated-partitions", under_replicated,
           "describe: only those (there are none on one broker)"),
    SWITCH("unavailable-partitions", unavailable,
           "describe: only those (there are none on one broker)"),
};

static const struct option_set set = {
    .usage = "kafka-topics.sh --bootstrap-server HOST:PORT --list|--describe|--create|--alter|"
             "--delete [options]",
    .about = "Kafka's topic command, spoken by weir.",
    .example = "kafka-topics.sh --bootstrap-server localhost:9092 --create --topic payments "
               "--partitions 6",
    .options = table,
    .n = sizeof table / sizeof table[0]};

static int run(struct admin *a, const struct kafka_topics_options *o)
{
    struct topic_filter f = {o->topic, o->exclude_internal, o->if_exists, false};
    if (o->list)
        return topic_admin_list(a, &f);
    if (o->describe && (o->under_replicated || o->unavailable))
        return 0;
    if (o->describe)
        return topic_admin_describe(a, &f);
    if (o->create)
        return topic_admin_create(a, o->topic, o->partitions, o->replication, &o->configs,
                                  o->if_not_exists);
    if (o->delete)
        return topic_admin_delete(a, &f);
    return topic_admin_grow(a, &f, o->partitions);
}

static const char *check(const struct kafka_topics_options *o)
{
    int actions = o->list + o->describe + o->create + o->delete + o->alter;
    if (actions != 1)
        return "Command must include exactly one action: --list, --describe, --create, --alter or "
               "--delete";
    if ((o->create || o->delete || o->alter) && !o->topic)
        return "Missing required argument \"[topic]\"";
    if (o->alter && o->partitions < 1)
        return "Missing required argument \"[partitions]\": the new total";
    return NULL;
}

int cli_kafka_topics(int argc, char **argv)
{
    struct kafka_topics_options o = {0};
    struct err_text text = {""};
    struct admin *a;
    size_t n;
    int end = options_begin(&set, argc, argv, &o, NULL, &n);
    if (end)
        return end > 1; /* Kafka's tools have no other status than 1 */
    const char *wrong = check(&o);
    if (wrong || admin_open(o.bootstrap, ADMIN_TIMEOUT_MS, &a, &text)) {
        fprintf(stderr, "%s\n", wrong ? wrong : text.s);
        return 1;
    }
    int status = run(a, &o);
    admin_close(a);
    return status;
}
