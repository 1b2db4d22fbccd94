/* kafka_consumer_groups.c: the binary under the name kafka-consumer-groups.sh: Kafka's options,
 * Kafka's columns. */
#include "cli/cli.h"
#include "cli/group_admin.h"
#include "cli/options.h"
#include "io/clock.h"

#include <time.h>

#define NONE INT64_MIN

struct kafka_groups_options {
    const char *bootstrap, *datetime;
    struct option_list groups, topics;
    bool list, describe, delete, reset, all_groups, all_topics;
    bool members, state, offsets, verbose, execute, dry_run;
    bool earliest, latest, current;
    int64_t offset, shift, duration_ms;
};

#define AT(member) offsetof(struct kafka_groups_options, member)

/* clang-format off */
static const struct option table[] = {
    {"bootstrap-server", NULL, OPTION_TEXT, AT(bootstrap), NULL, "HOST:PORT", "the broker to talk to", 0, 0, NULL, true},
    {"list", NULL, OPTION_SWITCH, AT(list), "off", NULL, "list the groups", 0, 0, NULL, false},
    {"describe", NULL, OPTION_SWITCH, AT(describe), "off", NULL, "show offsets and lag", 0, 0, NULL, false},
    {"delete", NULL, OPTION_SWITCH, AT(delete), "off", NULL, "delete groups without members", 0, 0, NULL, false},
    {"reset-offsets", NULL, OPTION_SWITCH, AT(reset), "off", NULL, "move the offsets of a group without members", 0, 0, NULL, false},
    {"group", NULL, OPTION_LIST, AT(groups), NULL, "NAME", "the group; may be repeated", 0, 0, NULL, false},
    {"all-groups", NULL, OPTION_SWITCH, AT(all_groups), "off", NULL, "every group", 0, 0, NULL, false},
    {"members", NULL, OPTION_SWITCH, AT(members), "off", NULL, "describe: the members", 0, 0, NULL, false},
    {"state", NULL, OPTION_SWITCH, AT(state), "off", NULL, "describe: the state", 0, 0, NULL, false},
    {"offsets", NULL, OPTION_SWITCH, AT(offsets), "off", NULL, "describe: offsets and lag (the default)", 0, 0, NULL, false},
    {"verbose", NULL, OPTION_SWITCH, AT(verbose), "off", NULL, "describe --members: the partitions of each", 0, 0, NULL, false},
    {"topic", NULL, OPTION_LIST, AT(topics), NULL, "TOPIC[:0,1]", "reset: of these topics; may be repeated", 0, 0, NULL, false},
    {"all-topics", NULL, OPTION_SWITCH, AT(all_topics), "off", NULL, "reset: of all topics that have offsets", 0, 0, NULL, false},
    {"to-earliest", NULL, OPTION_SWITCH, AT(earliest), "off", NULL, "reset: to the first record", 0, 0, NULL, false},
    {"to-latest", NULL, OPTION_SWITCH, AT(latest), "off", NULL, "reset: behind the last record", 0, 0, NULL, false},
    {"to-current", NULL, OPTION_SWITCH, AT(current), "off", NULL, "reset: to where the group is", 0, 0, NULL, false},
    {"to-offset", NULL, OPTION_INT, AT(offset), NULL, "N", "reset: to this offset", 0, INT64_MAX, NULL, false},
    {"shift-by", NULL, OPTION_INT, AT(shift), NULL, "N", "reset: by so many records, back if negative", -INT64_MAX, INT64_MAX, NULL, false},
    {"to-datetime", NULL, OPTION_TEXT, AT(datetime), NULL, "TIME", "reset: to YYYY-MM-DDTHH:mm:SS.sss (UTC)", 0, 0, NULL, false},
    {"by-duration", NULL, OPTION_DURATION, AT(duration_ms), NULL, "TIME", "reset: to so long ago, such as 2h", 0, INT64_MAX, NULL, false},
    {"execute", NULL, OPTION_SWITCH, AT(execute), "off", NULL, "reset: do it", 0, 0, NULL, false},
    {"dry-run", NULL, OPTION_SWITCH, AT(dry_run), "off", NULL, "reset: only show it (the default)", 0, 0, NULL, false},
};
/* clang-format on */

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

static bool parse_time(const char *s, int64_t *ms)
{
    struct tm tm = {0};
    int millis = 0, used = 0;
    int n = sscanf(s, "%4d-%2d-%2dT%2d:%2d:%2d%n.%3d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
                   &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &used, &millis);
    if (n < 6)
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    *ms = (int64_t)timegm(&tm) * 1000 + millis;
    return true;
}

/* The one way that was named; false: none or several. */
static bool plan_of(const struct kafka_groups_options *o, struct group_reset_plan *plan)
{
    int ways = o->earliest + o->latest + o->current + (o->offset != NONE) + (o->shift != NONE) +
               (o->datetime != NULL) + (o->duration_ms != NONE);
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
    if (o->duration_ms != NONE) {
        plan->to = RESET_TIME;
        plan->value = (int64_t)clock_wall_ms() - o->duration_ms;
    }
    if (o->datetime) {
        plan->to = RESET_TIME;
        if (!parse_time(o->datetime, &plan->value))
            return false;
    }
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
                        "YYYY-MM-DDTHH:mm:SS.sss, --by-duration TIME\n");
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
    struct kafka_groups_options o = {.offset = NONE, .shift = NONE, .duration_ms = NONE};
    struct err_text text = {""};
    struct admin *a;
    size_t n;
    int end = options_begin(&set, argc, argv, &o, NULL, &n);
    if (end)
        return end - 1;
    const char *wrong = check(&o);
    if (wrong || admin_open(o.bootstrap, &a, &text)) {
        fprintf(stderr, "%s\n", wrong ? wrong : text.s);
        return 1;
    }
    verbose_members = o.verbose;
    int status = run(a, &o);
    admin_close(a);
    return status;
}
