/* main.c: which command is meant. `weir serve` and `weir fsck` are beside it, the others are
 * clients (cli/). */
#include "base/str.h"
#include "cli/cli.h"
#include "fsck.h"
#include "schema.h"
#include "serve.h"

#include <stdio.h>
#include <string.h>

static int version(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--help") != 0 && strcmp(argv[1], "-h") != 0) {
        fprintf(stderr, "weir version: '%s': there are no options\n", argv[1]);
        return 2;
    }
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
    {"topic", cli_topic, "list, describe, create, alter, delete topics; add partitions"},
    {"produce", cli_produce, "send lines of standard input to a topic"},
    {"consume", cli_consume, "print the records of a topic"},
    {"group", cli_group, "list, describe, reset, delete consumer groups"},
    {"apply", cli_apply, "make or change what documents declare: topics, subscriptions, users"},
    {"diff", cli_diff, "say what apply would change"},
    {"get", cli_get, "print resources"},
    {"delete", cli_delete, "delete resources"},
    {"dlq", cli_dlq, "list and show dead letters, and send them on their way again"},
    {"schema", schema, "print the JSON schema of resources, for editors"},
    {"trace", cli_trace, "tell what happened to an event"},
    {"fsck", fsck, "check a data folder that is not being served"},
    {"bench", cli_bench, "measure a broker"},
    {"version", version, "print the version"},
};

/* Kafka's names, without their ending. */
static const struct command aliases[] = {
    {"kafka-topics", cli_kafka_topics, "kafka-topics.sh"},
    {"kafka-consumer-groups", cli_kafka_consumer_groups, "kafka-consumer-groups.sh"},
};

static void usage(FILE *to)
{
    fprintf(to, "weir: a durable event log for clients of Kafka, HTTP and Event Grid\n\n"
                "usage: weir COMMAND [options]\n\n");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].about);
    fprintf(to,
            "\n"
            "to begin:\n"
            "  weir serve                            start the broker; Ctrl-C ends it\n"
            "  echo hello | weir produce greetings   in another terminal: send a record\n"
            "  weir consume greetings                and read it\n"
            "\n"
            "`weir COMMAND --help` explains each one. Kafka clients connect to 127.0.0.1:9092,\n"
            "HTTP clients (CloudEvents, Event Grid) to 127.0.0.1:8080.\n"
            "Under the names kafka-topics.sh and kafka-consumer-groups.sh (make links to weir)\n"
            "it takes Kafka's own options.\n");
}

static int unknown(const char *name)
{
    struct str_nearest near;
    str_nearest_init(&near, str_of(name));
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        str_nearest_offer(&near, str_of(commands[i].name));
    fprintf(stderr, "weir: there is no command '%s'; %s%s%s\n", name,
            near.best.at ? "did you mean '" : "see weir --help", near.best.at ? near.best.at : "",
            near.best.at ? "'?" : "");
    return 2;
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
    if (argc < 2) {
        usage(stderr);
        return 2;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        usage(stdout);
        return 0;
    }
    if (!strcmp(argv[1], "--version"))
        return version(1, argv);
    c = find(commands, sizeof commands / sizeof commands[0], argv[1], strlen(argv[1]));
    return c ? c->run(argc - 1, argv + 1) : unknown(argv[1]);
}
