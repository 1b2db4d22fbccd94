/* catalog_internal.h: the catalog's entries and the changes on their way, for the verbs that change
 * topics (topic_verbs.c). Inside of broker/ only; reactor 0.
 */
#pragma once

#include "broker/catalog.h"
#include "broker/spread.h"
#include "broker/statelog.h"

/* A topic, or the name of one that is being created. */
struct catalog_entry {
    struct catalog_entity entity;
    struct map_node by_name; /* by the name with '_' for '.', in which names must differ */
    struct map_node by_id;
    struct uuid id;
    char name[TOPIC_NAME_MAX + 1];
    const struct topic *topic; /* as it is durable; NULL while being created */
    bool busy;
    struct op_queue waiting;
};

struct catalog {
    struct broker *broker;
    struct statelog *log;
    struct map by_name, by_id;
    int64_t partitions; /* of all topics, those being created included */
    enum err load_err;
    catalog_loaded_fn *loaded;
    void *arg;
};

/* One change on its way. */
struct catalog_change {
    struct catalog *catalog;
    struct catalog_entry *entry;
    const struct topic *old, *now; /* own references; NULL: none */
    int32_t open_from, open_to;    /* partitions whose logs the change opens */
    struct statelog_append append;
    struct spread spread;
    enum err err; /* why it is being undone */
    /* The verb's end: copies what it tells, and answers. */
    void (*finish)(struct catalog_change *ch, struct broker *b, enum err err);
    struct op *op;
};

/* The entry of a name, or of one that merely collides with it; NULL: neither. */
struct catalog_entry *catalog_find(const struct catalog *c, struct str name);
struct catalog_entry *catalog_find_id(const struct catalog *c, const struct uuid *id);
/* For a topic about to be created: claims its name. */
struct catalog_entry *catalog_add(struct catalog *c, const struct topic *t);
/* The op runs again when the entry is not busy any more. */
void catalog_wait(struct catalog_entry *e, struct op *op);

/* Makes the entry busy; takes over the references to old and now. finish answers the op. */
struct catalog_change *
catalog_change_make(struct catalog *c, struct catalog_entry *e, const struct topic *old,
                    const struct topic *now, struct op *op,
                    void (*finish)(struct catalog_change *ch, struct broker *b, enum err err));
/* First step of a change with new partitions from..to-1: opens their logs, then writes. */
void catalog_change_open(struct catalog_change *ch, int32_t from, int32_t to);
/* First step of any other. */
void catalog_change_write(struct catalog_change *ch);
