/* catalog.h: the truth about topics, on reactor 0: the fold of __weir_catalog, and the changes to
 * it. Inside of broker/ only.
 *
 * Record: key = format (1 byte) and what it is about. Each format is a kind of thing with entities
 * and values of its own:
 *
 *     1    topics: key = id (16 bytes), value = topic_encode, null: deleted; an entity a topic
 *     2    subscriptions (subscription_catalog.h)
 *     3    functions and models (document_internal.h)
 *
 * A topic's change goes through steps, and further changes of the same topic (or of one whose name
 * collides with it) wait until it is over:
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
#include "broker/statelog.h"

struct catalog;

/* Embedded in what has records in the catalog. */
struct catalog_entity {
    struct statelog_entity entity;
    const struct catalog_kind *kind;
};

struct catalog_kind {
    uint8_t format;
    /* At load: one record, its key without the format. value.at NULL: gone. out: the entity that it
     * belongs to; NULL: none. An error ends the load. */
    enum err (*apply)(struct broker *b, struct str key, struct str value,
                      struct catalog_entity **out, struct err_text *text);
    void (*snapshot)(struct broker *b, struct catalog_entity *entity, struct batch_builder *out);
};

typedef void catalog_loaded_fn(void *arg, enum err err);
/* Reads the catalog; loaded once. b is reactor 0's. */
struct catalog *catalog_open(struct broker *b, catalog_loaded_fn *loaded, void *arg);
void catalog_free(struct catalog *c);
/* As statelog_write and statelog_forget. */
void catalog_write(struct catalog *c, struct statelog_append *a, struct batch_builder *b,
                   struct catalog_entity *entity);
void catalog_forget(struct catalog *c, struct catalog_entity *entity);
/* Adds the record; value.at NULL: gone. */
void catalog_add_record(struct catalog *c, struct batch_builder *b, const struct catalog_kind *kind,
                        struct str key, struct str value);
/* The op runs again when no change of the topic is under way. False: none is. */
bool catalog_topic_wait(struct catalog *c, const struct uuid *id, struct op *op);
/* Every topic, in no order: for the load. */
void catalog_each(struct catalog *c, void (*fn)(void *arg, const struct topic *t), void *arg);
