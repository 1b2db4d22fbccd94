#include "fsck.h"

#include "cli/options.h"
#include "store/fsck.h"

#include <inttypes.h>

struct fsck_options {
    const char *data;
    bool quiet;
};

#define AT(member) offsetof(struct fsck_options, member)

static const struct option table[] = {
    {"data", "WEIR_DATA", OPTION_TEXT, AT(data), "./weir-data", "DIR", "the folder to look at", 0,
     0, NULL, false},
    {"quiet", NULL, OPTION_SWITCH, AT(quiet), "off", NULL, "faults only", 0, 0, NULL, false},
};

static const struct option_set set = {
    .usage = "weir fsck [options]",
    .about = "Reads a whole data folder and checks everything in it: checksums, offsets, indexes,\n"
             "the journal. Nothing is changed. A fault is something that a start would refuse, or\n"
             "that lost what was acknowledged; a note is what the next start puts in order.\n"
             "The exit status is 0 without a fault, else 1. Stop the broker first.",
    .example = "weir fsck --data /var/lib/weir",
    .options = table,
    .n = sizeof table / sizeof table[0]};

static void print_line(void *arg, bool fault, const char *line)
{
    const struct fsck_options *o = arg;
    if (fault || !o->quiet)
        printf("%s: %s\n", fault ? "fault" : "note", line);
}

static void print_totals(const struct fsck_totals *t)
{
    printf("logs: %" PRIu64 " with %" PRIu64 " batches, %" PRIu64 " bytes\n", t->logs, t->batches,
           t->bytes);
    printf("journal: %" PRIu64 " groups with %" PRIu64 " batches to replay, %" PRIu64
           " bytes never acknowledged\n",
           t->groups, t->group_batches, t->cut_bytes);
    printf("last process: incarnation %" PRIu32 ", %s\n", t->incarnation,
           t->clean ? "ended in order" : "did not end in order");
    printf("%" PRIu64 " faults, %" PRIu64 " notes\n", t->faults, t->notes);
}

int fsck(int argc, char **argv)
{
    struct fsck_options o = {0};
    struct fsck_totals totals = {0};
    struct err_text text = {""};
    size_t args_n;
    int end = options_begin(&set, argc, argv, &o, NULL, &args_n);
    if (end)
        return end - 1;
    enum err err = fsck_run(disk_real(), o.data, print_line, &o, &totals, &text);
    if (err) {
        fprintf(stderr, "weir fsck: %s: %s\n", o.data, text.s[0] ? text.s : err_meaning(err));
        return 1;
    }
    if (!o.quiet)
        print_totals(&totals);
    return totals.faults ? 1 : 0;
}
