/* topic_admin.h: what the topic commands do, shared by `weir topic` and kafka-topics.sh. Each
 * prints its result or the error and returns an exit status.
 */
#pragma once

#include "cli/admin.h"
#include "cli/options.h"

#include <stdbool.h>

/* Which topics are meant. */
struct topic_filter {
    /* NULL: all. A topic that has exactly this name is meant alone. If there is none it is, as in
     * Kafka's tools, a regular expression (POSIX extended) that whole names must match, in which a
     * comma stands for "or". */
    const char *name;
    bool exclude_internal;
    bool may_be_none; /* it is no error if there is no such topic */
    bool exact;       /* never a regular expression */
};

int topic_admin_list(struct admin *a, const struct topic_filter *f);
int topic_admin_describe(struct admin *a, const struct topic_filter *f);
/* partitions, replication: -1 the broker's default. configs: "key=value" each. */
int topic_admin_create(struct admin *a, const char *name, int64_t partitions, int64_t replication,
                       const struct option_list *configs, bool if_not_exists);
/* set: "key=value" each; unset: keys that go back to their defaults. */
int topic_admin_alter(struct admin *a, const char *name, const struct option_list *set,
                      const struct option_list *unset);
int topic_admin_delete(struct admin *a, const struct topic_filter *f);
/* partitions: the new total. */
int topic_admin_grow(struct admin *a, const struct topic_filter *f, int64_t partitions);
