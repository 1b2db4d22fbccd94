/* event.h: CloudEvents as weir hands them to a function, and as a function answers them: an array
 * of JSON objects (application/cloudevents-batch+json).
 *
 * weir adds to each event where it is in its topic: the extensions weirpartition and weiroffset.
 */
#pragma once

#include "json.h"
#include "text.h"

struct event {
    struct json id, type, traceparent; /* texts */
    struct json data;                  /* anything */
    int32_t partition;                 /* -1: it does not say */
    int64_t offset;
};

/* Pieces of a body, which must stay. */
struct events {
    struct json_walk walk;
    struct json one;
};

/* Of an array of events, or of one event alone. False: the body is neither. */
bool events_read(struct events *e, const char *body, size_t n);
/* False: that was the last. */
bool events_next(struct events *e, struct event *out);

/* Writes an event that answers another one, in the same trace: `data` is that one's data, an
 * object, and behind it what the caller adds by event_add before event_end. Two answers with the
 * same id are copies of each other to weir, which drops the second where the topic says so
 * (duplicates). */
void event_begin(struct text *out, const struct event *from, int64_t id, const char *type,
                 const char *source, int64_t partitionkey);
void event_add_integer(struct text *out, const char *name, int64_t value);
void event_add_real(struct text *out, const char *name, double value);
void event_end(struct text *out);
