/* otlp.h: hops as OpenTelemetry's traces: OTLP's JSON encoding of an ExportTraceServiceRequest
 * (opentelemetry-proto, docs/specification.md: ids are hexadecimal, names lowerCamelCase, 64-bit
 * numbers texts, enumerations numbers), with the attributes of the semantic conventions for
 * messaging.
 *
 *     hop                        span's name        kind        operation.type
 *     publish                    publish TOPIC      PRODUCER    send
 *     push, call, score          push TOPIC ...     CONSUMER    process
 *     forward                    forward TOPIC      INTERNAL
 *     receive                    receive TOPIC      CLIENT      receive
 *     settle                     settle TOPIC       CLIENT      settle
 *     dead-letter, expire, drop  dead-letter TOPIC  INTERNAL    (an error)
 *
 * A delivery's span begins when it is acquired and ends when it is settled; that its call left and
 * was answered are events in it. Spans' ids are hop_span's. The parent of a publish is the delivery
 * that caused it, else what the event's traceparent names; of all other spans it is the latter.
 * Where weir itself made the traceparent, the publish is its span.
 *
 * What is no hop, or has no trace, is left out. Pure.
 */
#pragma once

#include "base/arena.h"
#include "base/cursor.h"
#include "base/str.h"
#include "spec/spec.h"

#define OTLP_PATH "/v1/traces"

/* The request around spans: begin, a span for each hop, end. labels: the resource's attributes;
 * service.name is "weir" if it is not among them. */
struct otlp {
    struct wr *w;
    size_t spans;
};
void otlp_begin(struct otlp *o, const struct spec_map *labels, struct wr *w);
/* A hop as weir.hops has it: broker/hop.h. */
void otlp_add(struct otlp *o, struct str hop, struct arena *arena);
void otlp_end(struct otlp *o);
