/* subscription_catalog.h: the truth about subscriptions, on reactor 0: their records in
 * __weir_catalog, and the changes to them. Inside of broker/ only.
 *
 *     put        find out where a new one starts -> write -> every reactor changes its copy
 *     delete     write -> every reactor drops its copy
 *                                                             and then the verb is answered
 *
 * Changes of one subscription, or of one name, wait for each other. A topic's subscriptions go with
 * it: every reactor drops them from its copy when the topic goes, and their records are deleted
 * then; what a crash leaves of these is deleted at the next start.
 */
#pragma once

#include "broker/broker_internal.h"
#include "broker/catalog.h"

struct subscription_catalog;

struct subscription_catalog *subscription_catalog_make(struct broker *b);
void subscription_catalog_free(struct subscription_catalog *c);
extern const struct catalog_kind subscription_catalog_kind;
/* Every one that has a record: for the load. */
void subscription_catalog_each(struct subscription_catalog *c,
                               void (*fn)(void *arg, const struct subscription *s), void *arg);
/* Deletes those that belong to nothing any more (subscriptions_wanted); topic NULL: of all topics,
 * at the end of the load. */
void subscription_catalog_clean(struct subscription_catalog *c, const struct uuid *topic);
