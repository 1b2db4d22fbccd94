/* subscription.h: subscriptions: their settings, and the verbs that change them. What one has
 * delivered and what not is its ledger (ledger.h, delivery.h).
 *
 * A subscription belongs to one topic and is named in it. struct subscription is immutable and
 * reference-counted; a change makes a new one. The truth is the catalog (one statelog entity each,
 * its value the canonical JSON of spec/spec.h); each reactor holds its copy, told of changes by a
 * watcher. A topic's subscriptions are deleted with it.
 *
 * A topic that is a queue (weir.queue) has one built-in subscription of its own name and, so that
 * nobody need look it up, of its own id. It is there as long as the topic is a queue: it can be
 * changed, not deleted.
 *
 * Where a subscription starts is decided once, when it is made: `from` holds an offset for each
 * partition that the topic had then. Partitions that come later are its from their beginning.
 *
 * Who puts one must be Owner of its topic, and Sender of all topics that it names (access.h). That
 * is asked then, and not at delivery: a subscription is the topic's, not its author's, and must not
 * stop when he goes (docs/security.md).
 */
#pragma once

#include "base/uuid.h"
#include "broker/actor.h"
#include "broker/op.h"
#include "broker/topic.h"
#include "expr/expr.h"
#include "spec/spec.h"

#define SUBSCRIPTION_NAME_MAX 249 /* characters: Kafka's rule for topic names */
#define SUBSCRIPTIONS_PER_TOPIC_MAX 1000
#define SUBSCRIPTION_BYTES_MAX ((size_t)256 << 10) /* of its texts */

/* What is not given: how much one call carries to an address ... */
#define SUBSCRIPTION_BATCH_EVENTS 1
#define SUBSCRIPTION_BATCH_BYTES ((int64_t)64 << 10)
/* ... and a ttl. */
#define SUBSCRIPTION_TTL_PUSH_MS ((int64_t)24 * 3600 * 1000)
#define SUBSCRIPTION_TTL_PULL_MS ((int64_t)7 * 24 * 3600 * 1000)

enum subscription_deliver {
    DELIVER_PULL,     /* receivers acquire */
    DELIVER_URL,      /* weir posts to an endpoint */
    DELIVER_TOPIC,    /* weir appends to another topic or queue of its own */
    DELIVER_FUNCTION, /* weir calls a function (document.h) */
    DELIVER_MODEL,    /* weir has a model score it (document.h) */
};

enum subscription_order {
    ORDER_NONE,
    ORDER_KEY, /* sessions: messages of one session id (header session-id, else the key) go to one
                  receiver at a time, in order */
    ORDER_PARTITION, /* those of a partition in order: none is acquired while one before it is
                        delayed, being settled or acquired, but by who holds all of these himself
                        (ledger_acquire). A function's worker keeps its partitions */
};

enum subscription_backoff {
    BACKOFF_EXPONENTIAL,
    BACKOFF_LINEAR,
    BACKOFF_FIXED,
    BACKOFF_EVENTGRID,           /* Event Grid's schedule, basic tier (flow/retry.h) */
    BACKOFF_EVENTGRID_NAMESPACE, /* and that of namespace topics */
};

enum subscription_format {
    FORMAT_CE_BINARY,     /* one event, attributes in ce- headers */
    FORMAT_CE_STRUCTURED, /* one event, application/cloudevents+json */
    FORMAT_CE_BATCH,      /* application/cloudevents-batch+json */
    FORMAT_EVENTGRID,     /* an array of EventGridEvent */
    FORMAT_OTLP,          /* hops as OpenTelemetry's traces; of weir.hops alone */
};

enum subscription_start { START_LATEST, START_EARLIEST, START_TIME };

/* A header that every delivery carries: `value` as it is, or the event's field `source_field`. */
struct delivery_property {
    struct str name, value, source_field;
    bool secret;
};

/* What an endpoint, function or model answers becomes events of weir's own topics: each goes where
 * the first route leads whose filter matches it, else to reply.topic. */
struct reply_route {
    struct str filter, topic; /* CESQL; at NULL: everything */
};

/* The settings: one row each in the table subscription_kind (subscription_conf.c). */
struct subscription_conf {
    struct str topic;
    struct str filter;    /* CESQL; at NULL: everything */
    struct str eventgrid; /* an Event Grid filter object, JSON; both must match if both are set */
    /* Where to; at most one of them. None: to those who ask. */
    struct str url, to_topic, to_queue, to_function, to_model;
    int64_t deliver;       /* enum subscription_deliver: derived from them */
    struct str target;     /* the one that is set: derived, too */
    int64_t order;         /* enum subscription_order */
    int64_t start;         /* enum subscription_start */
    int64_t start_ms;      /* START_TIME: Unix ms */
    int64_t lock_ms;       /* how long an acquired message is its receiver's; 60 s */
    int64_t attempts;      /* deliveries after which it is dead-lettered; 10 */
    int64_t ttl_ms;        /* 0: the default; -1: no limit. See struct subscription */
    int64_t in_flight_max; /* acquired at once over all partitions; 0: no limit */
    int64_t backoff;       /* enum subscription_backoff */
    int64_t retry_first_ms, retry_max_ms;
    struct str dead_letter;   /* a topic; at NULL: what cannot be delivered is dropped, counted */
    bool dead_letter_expired; /* what outlives its ttl goes there too; on by default */
    int64_t expires_ms;       /* the subscription itself is deleted then; -1: never */
    /* Push */
    int64_t format;              /* enum subscription_format */
    int64_t batch_events_max;    /* 0: not said: 1, or a function's own */
    int64_t batch_bytes;         /* preferred; 0: 64 KiB, or a function's own */
    int64_t timeout_ms;          /* of one call; 30 s */
    int64_t concurrency;         /* calls at once; 16 */
    struct spec_list properties; /* struct delivery_property */
    struct str reply_topic;      /* at NULL: what no route matches is dropped, counted */
    struct spec_list routes;     /* struct reply_route */
    struct str validation;       /* how far the endpoint's consent is (flow/push_validate.h) */
    struct spec_map labels;
};
extern const struct spec_kind subscription_kind;

struct subscription {
    atomic_uint refs;
    uint32_t magic;
    struct uuid id;
    struct uuid topic;
    char topic_name[TOPIC_NAME_MAX + 1];
    char name[SUBSCRIPTION_NAME_MAX + 1];
    bool queue; /* the built-in one of a queue */
    uint64_t created_ms;
    int64_t ttl_ms; /* push 24 h, pull 7 d, queue none, or as given; -1: no limit. Counted from the
                       append time */
    struct subscription_conf conf; /* its texts are this struct's */
    const struct expr *filter;     /* of conf.filter and conf.eventgrid; NULL: everything */
    const struct expr *filter_too; /* the second, if both are set */
    const struct expr **routes;    /* one a route, NULL: everything */
    struct arena texts;            /* private */
    const int64_t *from;           /* private */
    int32_t from_n;
};

/* Where it starts in a partition. */
int64_t subscription_from(const struct subscription *s, int32_t partition);

const struct subscription *subscription_ref(const struct subscription *s);
void subscription_unref(const struct subscription *s);

/* From this reactor's copy; valid until the end of the turn, or until subscription_unref after
 * subscription_ref. */
const struct subscription *broker_subscription(struct broker *b, const struct uuid *topic,
                                               struct str name);
const struct subscription *broker_subscription_by_id(struct broker *b, const struct uuid *id);
/* Of one topic (or of all: NULL), by name in byte order; NULL at the end. */
const struct subscription *broker_subscription_next(struct broker *b, const struct uuid *topic,
                                                    const struct subscription *after);

/* Told on every reactor after its copy changed: old NULL: created; now NULL: deleted. */
struct subscription_watcher {
    struct list link;
    void (*changed)(struct subscription_watcher *w, struct broker *b,
                    const struct subscription *old, const struct subscription *now);
};
void broker_subscription_watch(struct broker *b, struct subscription_watcher *w);

/* ---- verbs, run on reactor 0; answered when durable and known on every reactor ---- */

/* Makes or changes. What may not change (fields that are `fixed`) is ERR_CONFIG_INVALID. */
struct subscription_put_op {
    struct op op;
    const struct actor *actor;
    struct str name;
    const struct subscription_conf *conf; /* the whole of it: begin with subscription_conf_init */
    bool create_only;                     /* ERR_EXISTS if it is there */
    bool update_only;                     /* ERR_NOT_FOUND if it is not */
    const struct subscription *expected;  /* not NULL: ERR_BUSY if this is not it (any more) */
    bool validate_only;
    /* out */
    const struct subscription *subscription; /* a reference for the caller; NULL on errors */
    bool created, changed;
    struct err_text text;
    void *at; /* private */
};
void subscription_conf_init(struct subscription_conf *conf);
void broker_subscription_put(struct broker *b, struct subscription_put_op *op);

struct subscription_delete_op {
    struct op op;
    const struct actor *actor;
    struct uuid topic;
    struct str name;
    struct err_text text;
};
/* What it had not delivered is not delivered any more. ERR_NOT_FOUND; ERR_REQUEST_INVALID for the
 * built-in one of a queue. */
void broker_subscription_delete(struct broker *b, struct subscription_delete_op *op);
