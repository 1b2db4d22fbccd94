/* subscription_internal.h: making subscriptions, their records in the catalog, and each reactor's
 * copy of them. Inside of broker/ only.
 *
 * Record: key = format (1 byte: 2) and the subscription's id (16); value = a JSON object, null:
 * deleted. One statelog entity a subscription. The built-in one of a queue has a record only once
 * it was changed.
 */
#pragma once

#include "base/map.h"
#include "broker/leaving.h"
#include "broker/subscription.h"

#define SUBSCRIPTION_KEY_FORMAT 2

/* What a subscription is made of. Borrowed. */
struct subscription_parts {
    struct uuid id, topic;
    struct str topic_name, name;
    bool queue;
    uint64_t created_ms;
    const int64_t *from;
    int32_t from_n;
    json_t *spec; /* canonical, with secrets */
};

/* With one reference. ERR_CONFIG_INVALID: text says which field. */
enum err must_use subscription_make(const struct subscription_parts *parts,
                                    const struct subscription **out, struct err_text *text);
/* The built-in one of a queue, as it is until somebody changes it. */
const struct subscription *subscription_of_queue(const struct topic *t);
/* The value of its record; freed with mem_free. */
char *subscription_encode(const struct subscription *s);
enum err must_use subscription_decode(struct uuid id, struct str value,
                                      const struct subscription **out, struct err_text *text);

/* ---- one reactor's copy ---- */

struct subscriptions {
    struct map by_id;     /* subscriptions_entry */
    struct map by_topic;  /* subscriptions_topic: their subscriptions by name */
    struct list watchers; /* subscription_watcher */
    struct leaving leaving;
};

void subscriptions_init(struct subscriptions *s, struct env *env);
void subscriptions_free(struct subscriptions *s);
const struct subscription *subscriptions_find(const struct subscriptions *s,
                                              const struct uuid *topic, struct str name);
const struct subscription *subscriptions_find_id(const struct subscriptions *s,
                                                 const struct uuid *id);
/* Does it belong to a topic that is there, and still is a queue if it is built in? */
bool subscriptions_wanted(const struct broker *b, const struct subscription *s);
size_t subscriptions_count(const struct subscriptions *s, const struct uuid *topic);
/* now NULL: the one with this id goes. Takes its own reference and tells the watchers. */
void subscriptions_change(struct broker *b, const struct uuid *id, const struct subscription *now);
/* A topic came, changed, or went: its queue's built-in one does the same, and with it all go. */
void subscriptions_topic_change(struct broker *b, const struct topic *old, const struct topic *now);
