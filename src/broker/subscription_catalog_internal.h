/* subscription_catalog_internal.h: the entries of subscriptions and the changes on their way, for
 * the verbs (subscription_verbs.c). Inside of broker/ only; reactor 0. */
#pragma once

#include "broker/spread.h"
#include "broker/subscription_catalog.h"

/* A subscription with a record, or one that is being made or changed. */
struct subscription_entry {
    struct catalog_entity entity;
    struct map_node node; /* by id */
    struct uuid id, topic;
    char name[SUBSCRIPTION_NAME_MAX + 1];
    const struct subscription *s; /* as its record says; NULL: has none */
    bool busy;
    struct op_queue waiting;
};

struct subscription_catalog {
    struct broker *broker;
    struct map by_id;
    struct env_timer expiry; /* of those that expire */
};

/* One change on its way. */
struct subscription_change {
    struct subscription_catalog *catalog;
    struct subscription_entry *entry;
    const struct subscription *now; /* own reference; NULL: deleted */
    struct statelog_append append;
    struct spread spread;
    /* The verb's end: answers. */
    void (*finish)(struct subscription_change *ch, enum err err);
    void *arg;
};

struct subscription_entry *subscription_entry_find(const struct subscription_catalog *c,
                                                   const struct uuid *id);
/* Also one that is being made. */
struct subscription_entry *subscription_entry_named(const struct subscription_catalog *c,
                                                    const struct uuid *topic, struct str name);
struct subscription_entry *subscription_entry_add(struct subscription_catalog *c,
                                                  const struct uuid *id, const struct uuid *topic,
                                                  struct str name);
/* The op runs again when the entry is not busy any more. */
void subscription_entry_wait(struct subscription_entry *e, struct op *op);
/* Not busy any more; without a record it is forgotten. Those that waited run again. */
void subscription_entry_leave(struct subscription_catalog *c, struct subscription_entry *e);

/* Writes the change of an entry that is busy, and spreads it. Takes over the reference to now. */
void subscription_change_start(struct subscription_catalog *c, struct subscription_entry *e,
                               const struct subscription *now,
                               void (*finish)(struct subscription_change *ch, enum err err),
                               void *arg);
