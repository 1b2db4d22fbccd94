/* event.h: CloudEvents 1.0, and how they are records. The mapping is CloudEvents' Kafka protocol
 * binding (binary mode), so that Kafka clients with a CloudEvents SDK read what HTTP clients
 * published, and the other way round (docs/events.md has it as a table):
 *
 *     attribute            record
 *     id source type ...   header ce_<name>, UTF-8 text; ce_specversion 1.0
 *     datacontenttype      header content-type
 *     partitionkey         key (and header ce_partitionkey)
 *     data                 value, byte for byte; null: no data
 *     time                 header ce_time. The record's timestamp is when it came in: retention
 *                          goes by it, and an old event must not be gone as soon as it is stored
 *
 * A record that came without these headers is an event too: its id, source, type and time are
 * derived ("<topic id>/<partition>/<offset>", "/topics/<name>", "weir.record", the timestamp), and
 * its content type is looked for in the value; the same at each reading. A record in CloudEvents'
 * structured mode (content-type application/cloudevents+json) is read as what it holds.
 *
 * Every event has a traceparent (W3C Trace Context): its own extension, else the header of a Kafka
 * client's tracing (traceparent, without ce_), else one derived from where the record stands.
 *
 * Attribute values are CloudEvents' canonical texts. Integers and booleans are taken and become
 * text ("5", "true"): a record does not keep the type.
 *
 * Pure; strings point into the record, the document or the arena.
 */
#pragma once

#include "base/arena.h"
#include "base/batch.h"
#include "base/err.h"
#include "base/json.h"
#include "base/uuid.h"
#include "broker/publish.h"
#include "expr/expr.h"

#define EVENT_EXTENSIONS_MAX 64
#define EVENT_ATTRIBUTE_BYTES_MAX 4096
#define EVENT_NAME_BYTES_MAX 64 /* of an extension's name; the specification asks for <= 20 */

struct event_attribute {
    struct str name, value;
};

struct event {
    struct str id, source, type, subject, time, datacontenttype, dataschema; /* at NULL: not set */
    struct event_attribute extensions[EVENT_EXTENSIONS_MAX]; /* traceparent, partitionkey ... */
    size_t extensions_n;
    struct str data;   /* at NULL: none */
    bool data_is_json; /* datacontenttype says so */
    int64_t record_ms; /* of event_of_record: the record's timestamp; else -1 */
};

/* All unset. */
void event_init(struct event *e);
/* An extension's value; at NULL: not set. */
struct str event_extension(const struct event *e, struct str name);
/* ERR_MEMORY: more than EVENT_EXTENSIONS_MAX. */
enum err must_use event_extension_set(struct event *e, struct str name, struct str value);
/* Any attribute by its CloudEvents name, as from a ce- header (its text decoded already); of
 * specversion only "1.0" is taken, and not kept. The value is borrowed. ERR_RECORD_INVALID: no
 * attribute can have this name, or this value; text says why. */
enum err must_use event_attribute_set(struct event *e, struct str name, struct str value,
                                      struct err_text *text);
/* The value as it stands in a ce- header (HTTP binding 3.1.3.2): blank, quote, percent and all that
 * is not printable ASCII is percent-encoded. at NULL: the arena is full. */
struct str event_percent_encode(struct str value, struct arena *arena);
/* The value that such a header has: a quoted string is unquoted, then % is decoded, once. A % that
 * no two digits follow stands for itself: senders that do not know of the encoding are many. Bytes
 * above ASCII that are no UTF-8 are ISO 8859-1, as headers were once defined to be, and as Python's
 * and other clients still send what an SDK gives them unencoded. at NULL: the arena is full. */
struct str event_percent_decode(struct str value, struct arena *arena);
/* A media type whose subtype is json or ends in +json, parameters aside. */
bool event_type_is_json(struct str datacontenttype);
/* application/cloudevents..., in any case, with parameters: the structured mode (of any format),
 * and the batched mode. */
bool event_type_is_structured(struct str content_type);
bool event_type_is_batch(struct str content_type);

/* Where the record stands, for what is derived. */
struct event_place {
    const char *topic_name;
    struct uuid topic;
    int32_t partition;
    int64_t offset;
};
#define EVENT_TRACEPARENT_BYTES 55
/* "00-<trace id>-<span id>-01" from where a record stands, the same at each call. */
void event_trace_derive(const struct event_place *place, char out[EVENT_TRACEPARENT_BYTES + 1]);
/* A fresh one from 24 random bytes. Of both kinds the span's id follows from the trace's. */
void event_trace_make(const uint8_t random[24], char out[EVENT_TRACEPARENT_BYTES + 1]);

/* Did weir make this trace (32 digits) and this span (16) up? Nobody else has a span of that id. */
bool event_trace_made(struct str trace, struct str span);

/* Never fails: what is missing is derived, what is no CloudEvent is data. The arena is for what is
 * derived and for structured mode (a few hundred bytes, or data that must be decoded). */
void event_of_record(const struct record *record, const struct event_place *place,
                     struct arena *arena, struct event *out);
/* The record to publish, with timestamp -1 (now); key: partitionkey unless out->key is set before.
 * ERR_RECORD_INVALID: a required attribute is missing or one is no CloudEvents value; text names
 * it. Adds traceparent if there is none. ERR_MEMORY: the arena is full. */
enum err must_use event_to_record(const struct event *e, const uint8_t trace_random[24],
                                  struct arena *arena, struct publish_record *out,
                                  struct err_text *text);

/* One event in the JSON format (application/cloudevents+json). Strings point into the text, where
 * they have no escapes, and JSON data is its own bytes of it: numbers keep their digits.
 * ERR_RECORD_INVALID: not such an event; text says what is wrong. ERR_MEMORY: the arena is full. */
enum err must_use event_of_json(struct str json, struct arena *arena, struct event *out,
                                struct err_text *text);
/* The events of an array (application/cloudevents-batch+json), one after the other.
 * ERR_NOT_FOUND at its end; after another error there is no going on. */
enum err must_use event_batch_begin(struct jr *batch, struct str json, struct err_text *text);
enum err must_use event_batch_next(struct jr *batch, struct arena *arena, struct event *out,
                                   struct err_text *text);
/* The same of events in answer to another one: what is required may be missing, and is for the
 * caller to fill in. */
enum err must_use event_of_json_partial(struct str json, struct arena *arena, struct event *out,
                                        struct err_text *text);
enum err must_use event_batch_next_partial(struct jr *batch, struct arena *arena, struct event *out,
                                           struct err_text *text);
/* Appends the JSON object's text. Data of a JSON type is put in as it is, text as a string, and
 * all else as data_base64. */
void event_write_json(const struct event *e, struct wr *out);

/* ---- Event Grid's schema: EventGridEvent (event_eventgrid.c) ----
 *
 *     EventGridEvent    CloudEvent
 *     id                id
 *     topic             source; absent: `topic` of the call (Event Grid stamps its own)
 *     subject           subject ("" : none)
 *     eventType         type
 *     eventTime         time
 *     data              data, application/json
 *     dataVersion       extension dataversion
 *     metadataVersion   extension metadataversion ("1", put there by Event Grid)
 *
 * A dead letter (delivery.h) has, in CloudEvents and in Event Grid's schema:
 *
 *     deadletterreason         deadLetterReason, in Event Grid's words where it has one
 *     deliveryattempts         deliveryAttempts
 *     lastdeliveryoutcome      lastDeliveryOutcome
 *     publishtime              publishTime
 *     lastdeliveryattempttime  lastDeliveryAttemptTime
 */
/* One element of the array that is published; fields as event_of_json. */
enum err must_use event_of_eventgrid(struct str json, struct str topic, struct arena *arena,
                                     struct event *out, struct err_text *text);
enum err must_use event_eventgrid_next(struct jr *batch, struct str topic, struct arena *arena,
                                       struct event *out, struct err_text *text);
/* Appends the object's text. `topic`: at NULL: the source. */
void event_write_eventgrid(const struct event *e, struct str topic, struct wr *out);

/* An event as what a filter looks at. Embeds its source first. */
struct event_source {
    struct expr_source source;
    const struct event *event;
};
void event_source_init(struct event_source *s, const struct event *e);
