/* topic.c: `weir topic VERB`. */
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/topic_admin.h"

#include <string.h>

struct topic_options {
    const char *broker;
    int64_t partitions;
    struct option_list configs, unset;
    bool internal;
};

#define AT(member) offsetof(struct topic_options, member)

/* clang-format off */
static const struct option table[] = {
    {"broker", "WEIR_BROKER", OPTION_TEXT, AT(broker), "127.0.0.1:9092", "HOST:PORT",
     "the broker to talk to", 0, 0, NULL, false},
    {"partitions", NULL, OPTION_INT, AT(partitions), "-1", "N",
     "create: how many (-1: the broker's default); grow: the new total", -1, CLI_PARTITIONS_MAX,
     NULL, false},
    {"config", NULL, OPTION_LIST, AT(configs), NULL, "KEY=VALUE",
     "create, alter: a setting, such as retention.ms=86400000; may be repeated", 0, 0, NULL, false},
    {"delete-config", NULL, OPTION_LIST, AT(unset), NULL, "KEY",
     "alter: a setting that goes back to its default; may be repeated", 0, 0, NULL, false},
    {"internal", NULL, OPTION_SWITCH, AT(internal), "off", NULL,
     "list, describe: internal topics too", 0, 0, NULL, false},
};
/* clang-format on */

static const struct option_set set = {
    .usage = "weir topic list|describe|create|alter|grow|delete [TOPIC] [options]",
    .about = "Lists, describes, creates, deletes topics, changes the settings of one, or gives it\n"
             "more partitions.",
    .example = "weir topic create payments --partitions 6 --config retention.ms=604800000",
    .options = table,
    .n = sizeof table / sizeof table[0],
    .args = "the verb, and a topic's name (list and describe: or a regular expression, or\n"
            "           none for all)",
    .args_min = 1,
    .args_max = 2};

static int run(struct admin *a, const struct topic_options *o, const char *verb, const char *name)
{
    bool changes = strcmp(verb, "list") != 0 && strcmp(verb, "describe") != 0;
    struct topic_filter f = {name, !o->internal && !changes, false, changes};
    if (!strcmp(verb, "list"))
        return topic_admin_list(a, &f);
    if (!strcmp(verb, "describe"))
        return topic_admin_describe(a, &f);
    if (!strcmp(verb, "create"))
        return topic_admin_create(a, name, o->partitions, -1, &o->configs, false);
    if (!strcmp(verb, "alter"))
        return topic_admin_alter(a, name, &o->configs, &o->unset);
    if (!strcmp(verb, "delete"))
        return topic_admin_delete(a, &f);
    return topic_admin_grow(a, &f, o->partitions);
}

static const char *check(const char *verb, const char *name, const struct topic_options *o)
{
    bool reads = !strcmp(verb, "list") || !strcmp(verb, "describe");
    bool alters = !strcmp(verb, "alter");
    bool writes =
        alters || !strcmp(verb, "create") || !strcmp(verb, "delete") || !strcmp(verb, "grow");
    if (!reads && !writes)
        return "the verb must be one of list, describe, create, alter, grow, delete";
    if (writes && !name)
        return "a topic's name is missing";
    if (alters && o->configs.n + o->unset.n == 0)
        return "--config KEY=VALUE or --delete-config KEY is missing: what to change";
    if (!strcmp(verb, "grow") && o->partitions < 1)
        return "--partitions N is missing: the new total";
    return NULL;
}

int cli_topic(int argc, char **argv)
{
    struct topic_options o = {0};
    struct err_text text = {""};
    struct admin *a;
    const char *args[2] = {NULL, NULL};
    size_t n;
    int end = options_begin(&set, argc, argv, &o, args, &n);
    if (end)
        return end - 1;
    const char *wrong = check(args[0], args[1], &o);
    if (wrong || admin_open(o.broker, ADMIN_TIMEOUT_MS, &a, &text)) {
        fprintf(stderr, "weir topic: %s\n", wrong ? wrong : text.s);
        return wrong ? 2 : 1;
    }
    int status = run(a, &o, args[0], args[1]);
    admin_close(a);
    return status;
}
