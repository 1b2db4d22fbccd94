/* group.c: `weir group VERB`. */
#include "cli/cli.h"
#include "cli/group_admin.h"
#include "cli/options.h"

#include <string.h>

struct group_options {
    const char *broker;
    bool verbose, execute, earliest, latest;
    int64_t offset, shift;
    struct option_list topics;
};

#define NONE INT64_MIN
#define AT(member) offsetof(struct group_options, member)

/* clang-format off */
static const struct option table[] = {
    {"broker", "WEIR_BROKER", OPTION_TEXT, AT(broker), "127.0.0.1:9092", "HOST:PORT",
     "the broker to talk to", 0, 0, NULL, false},
    {"verbose", NULL, OPTION_SWITCH, AT(verbose), "off", NULL,
     "members: the partitions of each", 0, 0, NULL, false},
    {"topic", NULL, OPTION_LIST, AT(topics), NULL, "TOPIC[:0,1]",
     "reset: only these; may be repeated", 0, 0, NULL, false},
    {"earliest", NULL, OPTION_SWITCH, AT(earliest), "off", NULL,
     "reset: to the first record", 0, 0, NULL, false},
    {"latest", NULL, OPTION_SWITCH, AT(latest), "off", NULL,
     "reset: behind the last record", 0, 0, NULL, false},
    {"offset", NULL, OPTION_INT, AT(offset), NULL, "N",
     "reset: to this offset", 0, INT64_MAX, NULL, false},
    {"shift", NULL, OPTION_INT, AT(shift), NULL, "N",
     "reset: by so many records, back if negative", -INT64_MAX, INT64_MAX, NULL, false},
    {"execute", NULL, OPTION_SWITCH, AT(execute), "off", NULL,
     "reset: do it; otherwise it is only shown", 0, 0, NULL, false},
};
/* clang-format on */

static const struct option_set set = {
    .usage = "weir group list|describe|members|state|reset|delete [GROUP] [options]",
    .about = "Shows consumer groups with their offsets and lag, moves their offsets, deletes them.",
    .example = "weir group reset demo-group --topic demo-topic --earliest --execute",
    .options = table,
    .n = sizeof table / sizeof table[0],
    .args = "the verb, and a group's name (describe without one: all groups)",
    .args_min = 1,
    .args_max = 2};

static int reset(struct admin *a, const char *group, const struct group_options *o)
{
    struct group_reset_plan plan = {RESET_EARLIEST, 0, &o->topics, o->execute};
    int ways = o->earliest + o->latest + (o->offset != NONE) + (o->shift != NONE);
    if (ways != 1) {
        fprintf(stderr, "weir group reset: say where to with one of --earliest, --latest, "
                        "--offset N, --shift N\n");
        return 2;
    }
    if (o->latest)
        plan.to = RESET_LATEST;
    if (o->offset != NONE) {
        plan.to = RESET_OFFSET;
        plan.value = o->offset;
    }
    if (o->shift != NONE) {
        plan.to = RESET_SHIFT;
        plan.value = o->shift;
    }
    return group_admin_reset(a, group, &plan);
}

static int run(struct admin *a, const struct group_options *o, const char *verb, const char *group)
{
    if (!strcmp(verb, "list"))
        return group_admin_list(a);
    if (!strcmp(verb, "describe"))
        return group ? group_admin_describe(a, group) : group_admin_each(a, group_admin_describe);
    if (!strcmp(verb, "members"))
        return group_admin_members(a, group, o->verbose);
    if (!strcmp(verb, "state"))
        return group_admin_state(a, group);
    if (!strcmp(verb, "reset"))
        return reset(a, group, o);
    return group_admin_delete(a, group);
}

static const char *check(const char *verb, const char *group)
{
    static const char *const verbs[] = {"list", "describe", "members", "state", "reset", "delete"};
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (!strcmp(verb, verbs[i]))
            return i < 2 || group ? NULL : "a group's name is missing";
    }
    return "the verb must be one of list, describe, members, state, reset, delete";
}

int cli_group(int argc, char **argv)
{
    struct group_options o = {.offset = NONE, .shift = NONE};
    struct err_text text = {""};
    struct admin *a;
    const char *args[2] = {NULL, NULL};
    size_t n;
    int end = options_begin(&set, argc, argv, &o, args, &n);
    if (end)
        return end - 1;
    const char *wrong = check(args[0], args[1]);
    if (wrong || admin_open(o.broker, ADMIN_TIMEOUT_MS, &a, &text)) {
        fprintf(stderr, "weir group: %s\n", wrong ? wrong : text.s);
        return wrong ? 2 : 1;
    }
    int status = run(a, &o, args[0], args[1]);
    admin_close(a);
    return status;
}
