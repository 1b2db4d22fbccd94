/* topic_admin.h: what the topic commands do, shared by `weir topic` and kafka-topics.sh. Each
 * prints its result or the error and returns an exit status.
 */
#pragma once

#include "cli/admin.h"
#include "cli/options.h"

#include <stdbool.h>

struct topic_filter {
    const char
        *name; /* NULL: all; a regular expression as Kafka's --topic takes for list/describe */
    bool exclude_internal;
};

int topic_admin_list(struct admin *a, const struct topic_filter *f);
int topic_admin_describe(struct admin *a, const struct topic_filter *f);
/* partitions, replication: -1 the broker's default. configs: "key=value" each. */
int topic_admin_create(struct admin *a, const char *name, int64_t partitions, int64_t replication,
                       const struct option_list *configs, bool if_not_exists);
int topic_admin_delete(struct admin *a, const char *name, bool if_exists);
/* partitions: the new total. */
int topic_admin_grow(struct admin *a, const char *name, int64_t partitions);
