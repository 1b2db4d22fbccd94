/* catalog.h: the truth about topics, on reactor 0: the fold of __weir_catalog, and the changes to
 * it. Inside of broker/ only.
 *
 * Record: key = format (1 byte: 1) and the topic's id (16); value = topic_encode, null: deleted.
 * One statelog entity a topic.
 *
 * A change goes through steps, and further changes of the same topic (or of one whose name collides
 * with it) wait until it is over:
 *
 *     create     open logs everywhere -> write -> every reactor takes it into its copy
 *     grow       open the new logs -> write -> every reactor changes its copy, watches fire
 *     configure  write -> every reactor changes its copy and its logs' settings
 *     delete     write -> every reactor drops its copy, partitions leave
 *                                                             and then the verb is answered
 *
 * What fails before it is written is undone (logs that were opened are removed). A crash between
 * opening and writing leaves logs that no topic owns: the next start removes them (broker.c).
 */
#pragma once

#include "broker/broker_internal.h"

struct catalog;

typedef void catalog_loaded_fn(void *arg, enum err err);
/* Reads the catalog; loaded once. b is reactor 0's. */
struct catalog *catalog_open(struct broker *b, catalog_loaded_fn *loaded, void *arg);
void catalog_free(struct catalog *c);
/* Every topic, in no order: for the load. */
void catalog_each(struct catalog *c, void (*fn)(void *arg, const struct topic *t), void *arg);
