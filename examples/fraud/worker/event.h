/* event.h: CloudEvents as weir hands them to a function, and as a function answers them: an array
 * of JSON objects (application/cloudevents-batch+json).
 *
 * weir adds to each event where it is in its topic: the extensions weirpartition and weiroffset.
 */
#pragma once

#include "text.h"

#include <jansson.h>
#include <stdint.h>

struct event {
    const char *id, *type, *traceparent; /* "": it has none */
    int32_t partition;                   /* -1: it does not say */
    int64_t offset;
    json_t *data; /* an object; else NULL */
};

struct events {
    json_t *array; /* owns the events' texts and data */
    size_t n;
    char error[192]; /* of events_read, on failure */
};

/* An array of events, or one event alone. False: the body is neither. */
int events_read(struct events *e, const char *body, size_t n);
struct event events_get(const struct events *e, size_t i);
void events_free(struct events *e);

/* Writes an event that answers another one, in the same trace: `data` is that one's data, and
 * behind it what the caller adds by event_add before event_end. Two answers with the same id are
 * copies of each other to weir, which drops the second where the topic says so (duplicates). */
void event_begin(struct text *out, const struct event *from, const char *type, const char *source,
                 int64_t partitionkey);
void event_add_integer(struct text *out, const char *name, int64_t value);
void event_add_real(struct text *out, const char *name, double value);
void event_end(struct text *out);
