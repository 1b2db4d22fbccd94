/* push_request.h: what is posted to an endpoint: messages and a subscription's settings -> headers
 * and a body.
 *
 *     format                   body                          Content-Type
 *     cloudevents              the event's data              the event's own; attributes in ce-*
 *     cloudevents-structured   the event                     application/cloudevents+json
 *     cloudevents-batch        an array of events            application/cloudevents-batch+json
 *     eventgrid                an array of EventGridEvents   application/json
 *     otlp                     hops as traces: otlp.h        application/json
 *
 * The first two carry one event a call. Attribute values in ce-* headers are percent-encoded as
 * CloudEvents' HTTP binding (3.1.3.2) has it. A function's protocol is one of these formats, or
 * Azure's, which is not built here.
 *
 * Events for functions have four extensions more, in headers or in JSON: weirtopic, weirpartition,
 * weiroffset (where the event stands: who keeps a state knows how far it is) and weirattempt (from
 * 1). Whoever reads replies (reply.h) says so: "Prefer: reply", as Knative has it.
 *
 * Subscriptions that deliver as Event Grid does (its format or one of its schedules) add
 * aeg-event-type, aeg-subscription-name (in upper case), aeg-delivery-count (from 0),
 * aeg-data-version and aeg-metadata-version; all others weir-subscription and weir-delivery (the
 * number of the attempt, from 1). A call with one event has its traceparent and tracestate as
 * headers. Then come the subscription's delivery properties: fixed values, or fields of the (first)
 * event: `subject`, an extension, `data.x.y`; what an event does not have, and what is longer than
 * PUSH_PROPERTY_BYTES_MAX, is left out. Header names that belong to HTTP or to Event Grid are not
 * for properties.
 *
 * Pure. Everything in the request points into the arena, the body, the subscription or the
 * messages.
 */
#pragma once

#include "base/arena.h"
#include "broker/delivery.h"
#include "broker/document.h"
#include "broker/event.h"
#include "broker/http_client.h"
#include "broker/subscription.h"

#define PUSH_PROPERTY_BYTES_MAX 4096

struct push_request {
    char *url;
    struct http_header headers[HTTP_CALL_HEADERS_MAX];
    size_t headers_n;
    struct str body;
};

/* How messages are posted: of a subscription to an endpoint, or of a function. */
struct push_how {
    enum subscription_format format;
    uint32_t events_max;
    int64_t bytes; /* preferred */
    uint32_t timeout_ms;
    bool reply;
    const struct document *function; /* NULL: none */
    bool azure;                      /* its protocol */
};
/* The document stays the caller's. */
void push_how_of(const struct subscription *s, const struct document *function,
                 struct push_how *out);

/* How many of the messages (n >= 1, in their order) one call carries: by the format, by events_max
 * and by bytes (the first goes in any case). What a function has been called with before goes
 * alone: a batch that failed shows which of its events was to blame. */
uint32_t push_request_take(const struct push_how *how, const struct message *messages, uint32_t n);
struct push_request_conf {
    const struct subscription *s;
    const struct push_how *how;
    struct str url;
    const char *origin; /* what the Origin header says; NULL: none is sent */
    struct arena *arena;
    struct wr *body;       /* for what is made */
    uint64_t now_ms;       /* azure */
    const uint8_t *random; /* azure: AZURE_RANDOM_BYTES */
};
/* ERR_RECORD_INVALID: these messages cannot be posted so; text says why. ERR_MEMORY: the arena is
 * full. */
enum err must_use push_request_build(const struct push_request_conf *conf,
                                     const struct message *messages, uint32_t n,
                                     struct push_request *out, struct err_text *text);

/* The subscription's name as aeg-subscription-name has it; at NULL: the arena is full. */
struct str push_name_upper(struct arena *arena, const struct subscription *s);
/* Does it deliver as Event Grid does? */
bool push_is_eventgrid(const struct subscription *s);
/* A field of the event, by its CloudEvents or Event Grid name, or a path into JSON data. at NULL:
 * the event does not have it, or the arena is full. */
struct str push_field(const struct event *e, struct str name, struct arena *arena);
