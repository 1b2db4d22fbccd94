/* topics.h: one reactor's copy of the catalog: topics by name, by id and in name order.
 *
 * struct topic is immutable and shared by all reactors; a copy holds one reference to each. A topic
 * that leaves the copy stays valid until the end of the turn, for those who looked it up before.
 */
#pragma once

#include "base/map.h"
#include "broker/leaving.h"
#include "broker/topic.h"

struct topics_entry {
    struct map_node by_name, by_id;
    const struct topic *topic;
};

struct topics {
    struct map by_name, by_id; /* topics_entry */
    struct topics_entry **sorted;
    size_t count, cap;
    struct list watchers; /* topic_watcher */
    struct leaving leaving;
};

void topics_init(struct topics *t, struct env *env);
void topics_free(struct topics *t);
/* NULL: there is none. */
const struct topic *topics_find(const struct topics *t, struct str name);
const struct topic *topics_find_id(const struct topics *t, const struct uuid *id);
const struct topic *topics_next(const struct topics *t, const struct topic *after);
/* old NULL: comes in; now NULL: goes. Takes its own references; the caller tells the watchers. */
void topics_change(struct topics *t, const struct topic *old, const struct topic *now);
