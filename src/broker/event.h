/* event.h: CloudEvents, and how they are records. The mapping is CloudEvents' Kafka protocol
 * binding (binary mode), so that Kafka clients with a CloudEvents SDK read what HTTP clients
 * published, and the other way round:
 *
 *     attribute            record
 *     id source type ...   header ce_<name>, UTF-8 text
 *     datacontenttype      header content-type
 *     partitionkey         key (and header ce_partitionkey)
 *     data                 value, byte for byte
 *     time                 header ce_time, and the record's timestamp where it can be read
 *
 * A record that came without these headers is an event too: its id, source, type are derived
 * ("<topic id>/<partition>/<offset>", "/topics/<name>", "weir.record"), the same at each reading. A
 * record in CloudEvents' structured mode (content-type application/cloudevents+json) is read as
 * what it holds.
 *
 * Pure; strings point into the record, the document or the arena.
 */
#pragma once

#include "base/arena.h"
#include "base/batch.h"
#include "base/err.h"
#include "base/uuid.h"
#include "broker/publish.h"
#include "expr/expr.h"

#include <jansson.h>

#define EVENT_EXTENSIONS_MAX 64
#define EVENT_ATTRIBUTE_BYTES_MAX 4096

struct event_attribute {
    struct str name, value;
};

struct event {
    struct str id, source, type, subject, time, datacontenttype, dataschema; /* at NULL: not set */
    struct event_attribute extensions[EVENT_EXTENSIONS_MAX]; /* traceparent, partitionkey ... */
    size_t extensions_n;
    struct str data; /* at NULL: none */
    bool data_is_json;
    bool data_is_json_text; /* structured mode: `data` was a JSON value, not data_base64 */
};

/* An extension's value; at NULL: not set. */
struct str event_extension(const struct event *e, struct str name);
/* ERR_MEMORY: more than EVENT_EXTENSIONS_MAX. */
enum err must_use event_extension_set(struct event *e, struct str name, struct str value);

/* Where the record stands, for what is derived. */
struct event_place {
    const char *topic_name;
    struct uuid topic;
    int32_t partition;
    int64_t offset;
};
/* Never fails: what is missing is derived, what is no CloudEvent is data. */
void event_of_record(const struct record *record, const struct event_place *place,
                     struct arena *arena, struct event *out);
/* The record to publish; key: partitionkey unless one is given. ERR_RECORD_INVALID: a required
 * attribute is missing or one is no CloudEvents value; text names it. Adds traceparent if there is
 * none (random, from the arena's owner: 16 + 8 bytes). */
enum err must_use event_to_record(const struct event *e, const uint8_t trace_random[24],
                                  struct arena *arena, struct publish_record *out,
                                  struct err_text *text);

/* One event in the JSON format (application/cloudevents+json). The strings of *out point into json,
 * which the caller keeps. */
enum err must_use event_of_json(json_t *json, struct arena *arena, struct event *out,
                                struct err_text *text);
/* Appends the JSON object's text. */
void event_write_json(const struct event *e, struct wr *out);

/* An event as what a filter looks at. Embeds its source first. */
struct event_source {
    struct expr_source source;
    const struct event *event;
};
void event_source_init(struct event_source *s, const struct event *e);
