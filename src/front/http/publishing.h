/* publishing.h: the events of one request on their way into a topic, for every route that
 * publishes. Inside of front/http only.
 *
 *     publishing_make      for the topic that the path names
 *     publishing_add ...   each event is checked and becomes a record; nothing is appended yet
 *     publishing_send      all are appended; done when the last one is as durable as the topic
 *                          promises, or has failed
 *
 * So a request that has one bad event appends nothing. What can fail afterwards is the broker (no
 * topic, no grant, a full disk): then per partition, since what one partition gets of a request
 * goes into it at once or not at all (as long as it fits into one batch).
 */
#pragma once

#include "broker/event.h"
#include "broker/publish.h"
#include "front/http/request.h"

#define PUBLISHING_EVENTS_MAX 10000

struct publishing;
typedef void publishing_fn(struct publishing *p);

/* One event's record. */
struct publishing_item {
    struct publishing_item *next;
    struct publishing *all;
    struct publish_op op;
};

struct publishing {
    struct http_request *rq;
    struct str topic_name;
    struct str key;    /* at NULL: each event's partitionkey */
    int32_t partition; /* -1: by key */
    bool auto_create;  /* make the topic if the broker may */
    publishing_fn *done;
    struct publishing_item *first, **last;
    size_t n, failed; /* events; failed 0 with an error: nothing was tried */
    enum err err;     /* of the topic, or the first of an event */
    struct err_text text;
    size_t waiting; /* private */
};

/* NULL: no memory. From the query: key and partition. ERR_REQUEST_INVALID: see text. */
enum err must_use publishing_make(struct http_request *rq, struct str topic, publishing_fn *done,
                                  struct publishing **out, struct err_text *text);
/* The event's strings stay valid until done. ERR_RECORD_INVALID: text says what of it is wrong. */
enum err must_use publishing_add(struct publishing *p, const struct event *e,
                                 struct err_text *text);
/* All that the request's body holds, in any of CloudEvents' modes, or as the data of one event
 * (publish.c). ERR_COMPRESSION: a format that is not read here. */
enum err must_use publishing_read(struct publishing *p, struct err_text *text);
void publishing_send(struct publishing *p);
/* The traceparent and tracestate of the HTTP request, where the event has none. */
enum err must_use publishing_trace(struct http_request *rq, struct event *e);
