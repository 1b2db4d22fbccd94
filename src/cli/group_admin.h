/* group_admin.h: what the group commands do, shared by `weir group` and kafka-consumer-groups.sh.
 * Each prints its result or the error and returns an exit status.
 */
#pragma once

#include "cli/admin.h"
#include "cli/options.h"

#include <stdbool.h>

int group_admin_list(struct admin *a);
/* Offsets, lag and who reads what, in Kafka's columns. */
int group_admin_describe(struct admin *a, const char *group);
int group_admin_members(struct admin *a, const char *group, bool verbose);
int group_admin_state(struct admin *a, const char *group);
int group_admin_delete(struct admin *a, const char *group);
/* Calls fn for every group; the first status that is not 0 ends it. */
int group_admin_each(struct admin *a, int (*fn)(struct admin *a, const char *group));

enum group_reset {
    RESET_EARLIEST,
    RESET_LATEST,
    RESET_OFFSET,
    RESET_TIME,
    RESET_SHIFT,
    RESET_CURRENT
};

struct group_reset_plan {
    enum group_reset to;
    int64_t value;                    /* the offset, the Unix ms, or the shift */
    const struct option_list *topics; /* "topic" or "topic:0,1"; empty: all with offsets */
    bool execute;                     /* else only shown */
};
int group_admin_reset(struct admin *a, const char *group, const struct group_reset_plan *plan);
