/* kafka_consumer_groups.c: the binary under the name kafka-consumer-groups.sh: Kafka's options,
 * Kafka's columns. */
#include "base/when.h"
#include "cli/cli.h"
#include "cli/group_admin.h"
#include "cli/options.h"
#include "io/clock.h"

#define NONE INT64_MIN

struct kafka_groups_options {
    const char *bootstrap, *datetime, *duration;
    struct option_list groups, topics;
    bool list, describe, delete, reset, all_groups, all_topics;
    bool members, state, offsets, verbose, execute, dry_run;
    bool earliest, latest, current;
    int64_t offset, shift, timeout_ms;
};

#define AT(member) offsetof(struct kafka_groups_options, member)
#define SWITCH(name, member, help)                                                                 \
    {                                                                                              \
        name, NULL, OPTION_SWITCH, AT(member), "off", NULL, help, 0, 0, NULL, false                \
    }
#define TEXT(name, member, value, help)                                                            \
    {                                                                                              \
        name, NULL, OPTION_TEXT, AT(member), NULL, value, help, 0, 0, NULL, false                  \
    }
#define LIST(name, member, value, help)                                                            \
    {                                                                                              \
        name, NULL, OPTION_LIST, AT(member), NULL, value, help, 0, 0, NULL, false                  \
    }
#define NUMBER(name, member, dflt, min, max, help)                                                 \
    {                                                                                              \
        name, NULL, OPTION_INT, AT(member), dflt, "N", help, min, max, NULL, false                 \
    }

static const struct option table[] = {
    {"bootstrap-server", NULL, OPTION_TEXT, AT(bootstrap), NULL, "HOST:PORT",
     "the broker to talk to", 0, 0, NULL, true},
    SWITCH("list", list, "list the groups"),
    SWITCH("describe", describe, "show offsets and lag"),
    SWITCH("delete", delete, "delete groups without members"),
    SWITCH("reset-offsets", reset, "move the offsets of a group without members"),
    LIST("group", groups, "NAME", "the group; may be repeated"),
    SWITCH("all-groups", all_groups, "every group"),
    SWITCH("members", members, "describe: the members"),
    SWITCH("state", state, "describe: the state"),
    SWITCH("offsets", offsets, "describe: offsets and lag (the default)"),
    SWITCH("verbose", verbose, "describe --members: the partitions of each"),
    LIST("topic", topics, "TOPIC[:0,1]", "reset: of these topics; may be repeated"),
    SWITCH("all-topics", all_topics, "reset: of all topics that have offsets"),
    SWITCH("to-earliest", earliest, "reset: to the first record"),
    SWITCH("to-latest", latest, "reset: behind the last record"),
    SWITCH("to-current", current, "reset: to where the group is"),
    NUMBER("to-offset", offset, NULL, 0, INT64_MAX, "reset: to this offset"),
    NUMBER("shift-by", shift, NULL, -INT64_MAX, INT64_MAX,
           "reset: by so many records, back if negative"),
    TEXT("to-datetime", datetime, "TIME", "reset: to YYYY-MM-DDTHH:mm:SS.sss (UTC, or +hh:mm)"),
    TEXT("by-duration", duration, "TIME", "reset: to so long ago, such as PT2H or 2h"),
    SWITCH("execute", execute, "reset: do it"),
    SWITCH("dry-run", dry_run, "reset: only show it (the default)"),
    NUMBER("timeout", timeout_ms, "5000", 1, ADMIN_TIMEOUT_MAX_MS,
           "how long to wait for the broker, in ms"),
};

static const struct option_set set = {
    .usage = "kafka-consumer-groups.sh --bootstrap-server HOST:PORT --list|--describe|"
             "--reset-offsets|--delete [options]",
    .about = "Kafka's consumer group command, spoken by weir.",
    .example = "kafka-consumer-groups.sh --bootstrap-server localhost:9092 --describe "
               "--group demo-group",
    .options = table,
    .n = sizeof table / sizeof table[0]};

static bool verbose_members;

static int members(struct admin *a, const char *group)
{
    return group_admin_members(a, group, verbose_members);
}

static bool set_time(const struct kafka_groups_options *o, struct group_reset_plan *plan)
{
    int64_t ms;
    plan->to = RESET_TIME;
    if (o->datetime)
        return when_datetime(str_of(o->datetime), &plan->value);
    if (!when_duration(str_of(o->duration), &ms))
        return false;
    plan->value = (int64_t)clock_wall_ms() - ms;
    return true;
}

/* The one way that was named; false: none or several, or a time that is none. */
static bool plan_of(const struct kafka_groups_options *o, struct group_reset_plan *plan)
{
    int ways = o->earliest + o->latest + o->current + (o->offset != NONE) + (o->shift != NONE) +
               (o->datetime != NULL) + (o->duration != NULL);
    *plan = (struct group_reset_plan){RESET_EARLIEST, 0, &o->topics, o->execute};
    if (o->latest)
        plan->to = RESET_LATEST;
    if (o->current)
        plan->to = RESET_CURRENT;
    if (o->offset != NONE) {
        plan->to = RESET_OFFSET;
        plan->value = o->offset;
    }
    if (o->shift != NONE) {
        plan->to = RESET_SHIFT;
        plan->value = o->shift;
    }
    if ((o->datetime || o->duration) && !set_time(o, plan))
        return false;
    return ways == 1;
}

static int for_groups(struct admin *a, const struct kafka_groups_options *o,
                      int (*fn)(struct admin *a, const char *group))
{
    if (o->all_groups)
        return group_admin_each(a, fn);
    int status = 0;
    for (size_t i = 0; i < o->groups.n; i++) {
        int one = fn(a, o->groups.at[i]);
        status = status ? status : one;
    }
    return status;
}

static int run(struct admin *a, const struct kafka_groups_options *o)
{
    struct group_reset_plan plan;
    if (o->list)
        return group_admin_list(a);
    if (o->delete)
        return for_groups(a, o, group_admin_delete);
    if (o->describe)
        return for_groups(a, o,
                          o->members ? members
                          : o->state ? group_admin_state
                                     : group_admin_describe);
    if (!plan_of(o, &plan)) {
        fprintf(stderr, "--reset-offsets: say where to with exactly one of --to-earliest, "
                        "--to-latest, --to-current, --to-offset N, --shift-by N, --to-datetime "
                        "YYYY-MM-DDTHH:mm:SS.sss, --by-duration PnDTnHnMnS\n");
        return 1;
    }
    return group_admin_reset(a, o->groups.at[0], &plan);
}

static const char *check(const struct kafka_groups_options *o)
{
    if (o->list + o->describe + o->delete + o->reset != 1)
        return "Command must include exactly one action: --list, --describe, --delete or "
               "--reset-offsets";
    if (!o->list && !o->groups.n && !o->all_groups)
        return "Option [group] or [all-groups] is missing";
    if (o->reset && (o->groups.n != 1 || o->all_groups))
        return "--reset-offsets takes one --group";
    if (o->reset && !o->topics.n && !o->all_topics)
        return "Option [topic] or [all-topics] is missing";
    if (o->execute && o->dry_run)
        return "--execute and --dry-run exclude each other";
    return NULL;
}

int cli_kafka_consumer_groups(int argc, char **argv)
{
    struct kafka_groups_options o = {.offset = NONE, .shift = NONE};
    struct err_text text = {""};
    struct admin *a;
    size_t n;
    int end = options_begin(&set, argc, argv, &o, NULL, &n);
    if (end)
        return end > 1; /* Kafka's tools have no other status than 1 */
    const char *wrong = check(&o);
    if (wrong || admin_open(o.bootstrap, o.timeout_ms, &a, &text)) {
        fprintf(stderr, "%s\n", wrong ? wrong : text.s);
        return 1;
    }
    verbose_members = o.verbose;
    int status = run(a, &o);
    admin_close(a);
    return status;
}
