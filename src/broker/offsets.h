/* offsets.h: the committed offsets of one group, by topic and partition.
 *
 * A topic is kept by name and id: what was committed for a topic is not found any more for another
 * one that has its name later. One reactor; strings are copied.
 */
#pragma once

#include "base/map.h"
#include "base/str.h"
#include "base/uuid.h"

struct offsets_entry {
    int32_t partition;
    int32_t leader_epoch; /* -1: not told */
    int64_t offset;
    int64_t commit_ms;
    int64_t expire_ms;   /* -1: by the broker's retention */
    struct str metadata; /* owned */
};

struct offsets_topic {
    struct map_node node;
    struct uuid id;
    struct offsets_entry *entries; /* by partition */
    size_t n, cap;
    struct str name; /* lies behind the struct */
};

struct offsets {
    struct map topics;
    size_t count; /* entries */
    size_t bytes; /* of memory, about */
};

void offsets_init(struct offsets *o);
void offsets_free(struct offsets *o);
/* Memory that one more entry takes at most. */
size_t offsets_entry_bytes(struct str topic, struct str metadata);
/* NULL: none. */
struct offsets_topic *offsets_topic_find(const struct offsets *o, struct str name);
const struct offsets_entry *offsets_find(const struct offsets *o, struct str topic,
                                         int32_t partition);
/* Replaces what is there; entries of a topic with another id of the same name go first. */
void offsets_set(struct offsets *o, struct str topic, const struct uuid *id,
                 const struct offsets_entry *entry);
/* Nothing if it is not there. */
void offsets_remove(struct offsets *o, struct str topic, int32_t partition);
void offsets_topic_remove(struct offsets *o, struct offsets_topic *t);
/* Walks the topics: NULL first, NULL at the end. The one just visited may be removed if its
 * successor was taken before. */
struct offsets_topic *offsets_next(const struct offsets *o, const struct offsets_topic *t);
