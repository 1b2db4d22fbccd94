/* reply_cause.h: which message of a call an event in reply comes of, and what it inherits. Inside
 * of reply*.c.
 *
 * Of one message: that. Of several: the one whose trace the reply's traceparent names, the one at
 * the reply's own place first; a reply without a traceparent is that of the message at its place,
 * if there are as many replies as messages. Else there is none.
 *
 * A message's trace is looked up in a table that is made when the first reply needs it: n replies
 * to n messages cost n steps.
 */
#pragma once

#include "flow/reply.h"

struct reply_causes;

/* NULL: the arena is full. */
struct reply_causes *reply_causes_make(const struct reply_conf *conf);
/* The i-th of the array `batch`. REPLY_NO_CAUSE: none, or no one. */
uint32_t reply_cause_find(struct reply_causes *c, const struct event *e, uint32_t i,
                          struct str batch);
/* How often it was asked for before. */
uint32_t reply_cause_count(struct reply_causes *c, uint32_t cause);

/* What a message's record says of its trace; at NULL: nothing. */
struct reply_trace {
    struct str traceparent, tracestate, correlation;
};
/* As its headers are. */
struct reply_trace reply_trace_read(struct record record);
/* The traceparent is derived where there is none. */
enum err must_use reply_trace_of(const struct reply_conf *conf, uint32_t i,
                                 struct reply_trace *out);
