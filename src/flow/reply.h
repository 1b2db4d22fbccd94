/* reply.h: what an endpoint, a function or a model answers with, on its way into topics: answers ->
 * events -> publish_ops, which are outputs of the settle that accepts what was answered: no reply
 * without its settle, no settle without its reply.
 *
 * An answer holds events if it is a 2xx but 202 (Knative's data plane: "a 202's body is no reply"),
 * and is in one of CloudEvents' modes: ce- headers (binary), application/cloudevents+json, or
 * application/cloudevents-batch+json. Any other body is the endpoint's small talk, and dropped.
 *
 * Where it goes: the first of the subscription's reply.routes whose filter matches it, else
 * reply.topic, else nowhere, counted in `dropped`.
 *
 * What a reply does not say comes from what it answers, its cause: the only message of the call; of
 * several, the one of its traceparent's trace, else the one at its place if there are as many
 * replies as messages.
 *
 *     key             its partitionkey, else the cause's key; of no cause: none
 *     traceparent     its own, else the cause's (with tracestate); of no cause: the first message's
 *     correlationid   its own, else the cause's
 *     id              its own, else one of the cause's place, the same at each attempt
 *     source          its own, else `source`
 *
 * type and specversion it must have itself. One reply that is none, that no topic takes or that has
 * no topic fails all of the answer: text says which and why.
 *
 * One reactor. What is made points into the arena, into memory of the struct, and into the
 * messages' records: they stay until the settle is over.
 */
#pragma once

#include "base/arena.h"
#include "broker/delivery.h"
#include "broker/event.h"
#include "broker/http_client.h"
#include "broker/subscription.h"

#define REPLY_EVENTS_MAX 10000 /* of one answer */

/* NULL: there is none of that name. */
typedef const struct topic *reply_topic_fn(void *arg, struct str name);

struct reply_conf {
    const struct subscription *s;
    const struct message *messages; /* that are answered */
    uint32_t messages_n;
    struct str source;
    struct arena *arena;
    reply_topic_fn *topic;
    void *arg;
};

struct reply {
    struct publish_op *outputs;
    size_t n;
    uint64_t dropped;
    struct err_text text;
    /* private */
    struct reply_conf conf;
    size_t cap;
    struct wr body;
    struct reply_causes *causes;
    const struct topic **topics; /* one a route, and reply.topic's */
};

/* Has the subscription anywhere for replies to go? */
static inline bool reply_wanted(const struct subscription *s)
{
    return s->conf.routes.n > 0 || s->conf.reply_topic.at != NULL;
}

/* Begins with none; zeroed memory is one that never was. The texts of conf are borrowed. */
void reply_begin(struct reply *r, const struct reply_conf *conf);
/* All that the answer holds, which may be nothing. ERR_RECORD_INVALID: an event is none;
 * ERR_TOPIC_UNKNOWN, ERR_POLICY: its topic; ERR_MEMORY: the arena is full, ERR_MESSAGE_TOO_LARGE:
 * there are too many, or not all of the answer is here. Nothing of it is to be used then. */
enum err must_use reply_read(struct reply *r, const struct http_call *call);

#define REPLY_NO_CAUSE UINT32_MAX
/* One event that answers messages[cause], routed. Its strings stay until the settle is over. */
enum err must_use reply_add(struct reply *r, struct event *e, uint32_t cause);
/* The same, into that topic. */
enum err must_use reply_add_to(struct reply *r, struct event *e, uint32_t cause, struct str topic);
/* What was read is not needed any more: its memory goes, but for a little for the next. */
void reply_rest(struct reply *r);
/* Its memory; it may begin again. */
void reply_free(struct reply *r);
